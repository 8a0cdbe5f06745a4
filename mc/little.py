"""Parallel dynamics at T = 0: all spins follow their fields at once, by matrix products that are exact."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .coupling import CouplingEnergy
from .kernel import Rule
from .start import Energy

_EXACT = ((2**24, np.float32), (2**53, np.float64), (2**62, np.int64))  # floats have the faster products


@dataclass(frozen=True)
class LittleTables:
    """One sample as factors: the costs of all flips are ``constant + sum_j sigma^j (V_j @ factors[j])``.

    In the narrowest type that holds every partial sum of integers exactly, so a product is exact in any order.
    """

    energy: Energy
    sample: int
    factors: dict[int, NDArray[np.number]]
    constant: NDArray[np.number]  # (site,)

    @classmethod
    def of(cls, energy: Energy, sample: int) -> "LittleTables":
        """The tables of one sample: J; or weights at P = 2, where V_2 = -1 leaves the self term; or their powers."""
        exact = next(t for bound, t in _EXACT if energy.largest_cost <= bound)
        constant = energy.self_field[sample]
        if isinstance(energy, CouplingEnergy):
            factors = {1: energy.J[sample].astype(exact)}
        else:
            w = energy.xi[sample].astype(exact)
            factors = {1: w} if energy.pairwise else {j: w**j for j in range(1, energy.flip_powers + 1)}
            constant = constant - (energy.self_term[sample] if energy.pairwise else 0)
        return cls(energy, sample, factors, constant.astype(exact))


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
        energy, factors = self._of.energy, self._of.factors
        sigma = self._sigma.astype(factors[1].dtype)
        if isinstance(energy, CouplingEnergy):
            return self._of.constant + sigma * (sigma @ factors[1])
        odd = [sigma @ factors[k].T for k in range(1, 2 * energy.odd_powers, 2)]
        sums = odd[0] if len(odd) == 1 else np.stack(odd, axis=-2)
        D = np.broadcast_to(self._of.constant, sigma.shape).copy()
        vectors = [sums] if energy.pairwise else energy.flip_vectors(sums.astype(np.int64), self._of.sample)
        for j, V in zip(factors, vectors, strict=True):
            D += sigma ** (j % 2) * (V.astype(sigma.dtype) @ factors[j])
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
