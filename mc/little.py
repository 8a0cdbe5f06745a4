"""Parallel dynamics at T = 0: all spins follow their fields at once, by matrix products that are exact."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .coupling import CouplingEnergy
from .kernel import Rule
from .start import Energy

_EXACT = ((2**24, np.float32), (2**53, np.float64), (2**62, np.int64))  # floats have the faster products
_ROWS = 256  # patterns turned to such numbers at a time: few bytes, long products


@dataclass(frozen=True)
class LittleTables:
    """One sample, and the narrowest numbers that hold every partial sum of its integers: any order is then exact."""

    energy: Energy
    sample: int
    exact: Any  # the type

    @classmethod
    def of(cls, energy: Energy, sample: int) -> "LittleTables":
        """The tables of one sample."""
        return cls(energy, sample, next(t for bound, t in _EXACT if energy.largest_cost <= bound))


class Little:
    """Chains of one sample that follow their fields all at once."""

    name = "little"
    tables = LittleTables.of

    def __init__(
        self, tables: LittleTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        self._of, self._sigma = tables, np.array(spins[0])
        self.accepted = np.zeros((1, lanes.size), np.int64)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``."""
        for _ in range(first, last):
            flips = self._costs() < 0
            self._sigma[flips] *= -1
            self.accepted[0] += np.count_nonzero(flips, axis=1)

    def _costs(self) -> NDArray[np.number]:
        r"""The costs :math:`D = \sum_j \sigma^j \sum_\mu (\xi^\mu)^j V_j^\mu` of all flips, block of patterns by block.

        At P = 2 there is V_1 = M and V_2 = -1, which leaves the self term.
        """
        energy, z = self._of.energy, self._of.sample
        sigma = self._sigma.astype(self._of.exact)
        D = np.broadcast_to(energy.self_field[z].astype(sigma.dtype), sigma.shape).copy()
        if isinstance(energy, CouplingEnergy):
            return D + sigma * (sigma @ energy.J[z].astype(sigma.dtype))
        if energy.pairwise:
            D -= energy.self_term[z].astype(sigma.dtype)
        for first in range(0, energy.K, _ROWS):
            part = replace(energy, xi=energy.xi[z : z + 1, first : first + _ROWS])
            w = part.xi[0].astype(sigma.dtype)
            if energy.pairwise:
                D += sigma * (sigma @ w.T @ w)
                continue
            odd = [sigma @ (w**k).T for k in range(1, 2 * energy.odd_powers, 2)]
            sums = (odd[0] if len(odd) == 1 else np.stack(odd, axis=-2)).astype(np.int64)
            for j, V in enumerate(part.flip_vectors(sums), 1):
                D += sigma ** (j % 2) * (V.astype(sigma.dtype) @ w**j)
        return D

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._sigma[None]

    def overlaps(self) -> NDArray[np.int64]:
        """The overlaps now, (1, lane, mu)."""
        return self._of.energy.overlaps(self._sigma, self._of.sample)[None]

    def total(self) -> NDArray[np.int64]:
        """G now, (1, lane)."""
        return self._of.energy.total_of(self._sigma, self._of.sample)[None]
