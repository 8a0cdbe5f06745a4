"""The plain compiled sweep: chain after chain, integer overlaps kept up to date, integer thresholds."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.jit import njit
from ..core.philox import fill_words
from .energy import OverlapEnergy
from .kernel import DOWNHILL, HEAT_BATH, Rule
from .thresholds import QC, fill_thresholds

_LANES = 32  # rows are padded with blank patterns to whole vectors


@dataclass(frozen=True)
class PlainTables:
    """One sample as one row of weights per site, padded with blank patterns, and what its sums need."""

    energy: OverlapEnergy
    sample: int
    rows: NDArray[np.integer]
    narrow: bool  # no field leaves 32 bits

    @classmethod
    def of(cls, energy: OverlapEnergy, sample: int) -> "PlainTables":
        """The tables of one sample.

        >>> PlainTables.of(OverlapEnergy.hebbian(np.ones((3, 5))), 0).rows.shape
        (5, 32)
        """
        rows = np.zeros((energy.N, -(-energy.K // _LANES) * _LANES), energy.xi.dtype)
        rows[:, : energy.K] = energy.xi[sample].T
        return cls(energy, sample, rows, energy.K * energy.N * energy.largest_weight**2 < 2**31)


@njit(nogil=True)
def fill_overlaps(M: Any, sigma: Any, rows: Any) -> None:
    """``M_mu = sum_i xi_i^mu sigma_i`` from scratch."""
    M[:] = 0
    for i in range(sigma.size):
        if sigma[i] > 0:
            for mu in range(M.size):
                M[mu] += rows[i, mu]
        else:
            for mu in range(M.size):
                M[mu] -= rows[i, mu]


@njit(nogil=True)
def fill_sites(site: Any, u: Any, random: bool) -> None:
    """The twin of ``reference.sites`` for random order and for permutations, from the words of the sweep."""
    N = site.size
    if random:
        for t in range(N):
            site[t] = np.int64((np.uint64(u[t & 3, t >> 2]) * np.uint64(N)) >> np.uint64(32))
        return
    for t in range(N):
        site[t] = t
    for t in range(N - 1, 0, -1):
        j = np.int64((np.uint64(u[t & 3, t >> 2]) * np.uint64(t + 1)) >> np.uint64(32))
        site[t], site[j] = site[j], site[t]


@njit(nogil=True)
def _field(rows: Any, i: int, M: Any) -> Any:
    """``sum_mu xi_i^mu M_mu`` in 32 bits: for N K < 2^31, where no sum can leave them."""
    field = np.int32(0)
    for mu in range(M.size):
        field = np.int32(field + np.int32(rows[i, mu]) * np.int32(M[mu]))
    return np.int64(field)


@njit(nogil=True)
def _wide_field(rows: Any, i: int, M: Any) -> Any:
    """``sum_mu xi_i^mu M_mu`` in 64 bits."""
    field = np.int64(0)
    for mu in range(M.size):
        field += np.int64(rows[i, mu]) * np.int64(M[mu])
    return field


@njit(nogil=True)
def _add(M: Any, rows: Any, i: int, d: Any) -> None:
    """``M_mu += d xi_i^mu``, the overlaps after a flip that changes sigma_i by d."""
    for mu in range(M.size):
        M[mu] += d * rows[i, mu]


@njit(nogil=True)
def sweep_once(sigma: Any, M: Any, rows: Any, diagonal: Any, narrow: bool, site: Any, threshold: Any) -> int:
    """The twin of ``reference.sweep_once`` for P = 2: flip iff the integer D is at most the integer threshold."""
    flips = 0
    for t in range(site.size):
        i = site[t]
        s = np.int64(sigma[i])
        field = _field(rows, i, M) if narrow else _wide_field(rows, i, M)
        if s * field - diagonal[i] <= threshold[t & 3, t >> 2]:
            sigma[i] = -s
            _add(M, rows, i, -2 * s)
            flips += 1
    return flips


@njit(nogil=True)
def advance(
    sigma: Any,  # int8 (lane, site), changed in place
    M: Any,  # int16 or int32 (lane, mu), changed in place
    accepted: Any,  # int64 (lane,), added to
    tables: Any,  # rows, self term, narrow?
    rule: Any,  # acceptance, order, key words, coefficients
    address: Any,  # lanes, sample
    scales: Any,  # float32 (1 or last - first, lane)
    first: int,
    last: int,
) -> None:
    """Sweep one chain after the other from sweep ``first`` to ``last``."""
    rows, diagonal, narrow = tables
    acceptance, order, k0, k1, c = rule
    lanes, sample = address
    N = sigma.shape[1]
    u = np.empty((4, (N + 3) // 4), np.uint32)
    threshold = np.full(u.shape, -1, np.int64)
    site = np.arange(N)
    for lane in range(lanes.size):
        for sweep in range(first, last):
            if order > 0:
                fill_words(u, k0, k1, 5, sweep, 0, sample)
                fill_sites(site, u, order == 2)
            if acceptance != DOWNHILL:
                fill_words(u, k0, k1, 0, sweep, lanes[lane], sample)
                scale = scales[min(sweep - first, scales.shape[0] - 1), lane]
                fill_thresholds(threshold, u, scale, acceptance == HEAT_BATH, c)
            accepted[lane] += sweep_once(sigma[lane], M[lane], rows, diagonal, narrow, site, threshold)


class Plain:
    """Chains of one sample one after the other: pairwise energies of any weights, sites in any order.

    For the few chains of a drawn order, where none of the faster kernels goes.
    """

    name = "plain"
    tables = PlainTables.of

    def __init__(
        self, tables: PlainTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        self._of, self._rule, self._address = tables, (rule.acceptance, rule.order, *rule.key, QC), (lanes, sample)
        self._tables = tables.rows, tables.energy.self_term[sample], tables.narrow
        self._sigma = np.ascontiguousarray(spins[0])
        small = tables.energy.N * tables.energy.largest_weight <= 32767
        self._M = np.empty((lanes.size, tables.rows.shape[1]), np.int16 if small else np.int32)
        for M, sigma in zip(self._M, self._sigma, strict=True):
            fill_overlaps(M, sigma, tables.rows)
        self.accepted = np.zeros((1, lanes.size), np.int64)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``."""
        state = self._sigma, self._M, self.accepted[0]
        advance(*state, self._tables, self._rule, self._address, scales[:, 0], first, last)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._sigma[None]

    def overlaps(self) -> NDArray[np.integer]:
        """The overlaps now, (1, lane, mu)."""
        return self._M[None, :, : self._of.energy.K]

    def total(self) -> NDArray[np.int64]:
        """The sum of their squares now, (1, lane)."""
        return self._of.energy.total(self.overlaps(), self._of.sample)
