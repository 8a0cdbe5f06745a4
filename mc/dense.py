r"""Dense energies, P >= 3 and patterns of signs: one chain at a time, every proposal one sum over the patterns.

    D = -sum_mu [a(M_mu) + sigma_i xi_i^mu b(M_mu)]

The sums of a and b change with flips alone, and are kept. What a proposal needs, ``sum_mu xi_i^mu b(M_mu)``, is summed
over a cached b(M), which a flip rewrites, or (P = 3 and 4) over products of 16-bit numbers made from M, 32 at a time,
so that a flip rewrites M alone. P = 4 takes the first where few flips are accepted and the second where many are.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.jit import njit
from .dense_sums import cache_of, flip, proposal
from .dense_tables import HALVES, WIDE, DenseTables, dense_tables, monic_pair
from .integers import IntegerOverlaps
from .kernel import Rule
from .simd import aligned
from .steps import draw_sites, draw_thresholds


@njit(inline="always")
def _value(p: Any, m: Any) -> Any:
    """A polynomial at the integer m."""
    value = 0
    for k in range(p.size - 1, -1, -1):
        value = value * m + p[k]
    return value


@njit(nogil=True)
def steps(sigma: Any, M: Any, B: Any, sums: Any, tables: Any, run: Any, site: Any, threshold: Any) -> Any:
    """The steps of one sweep of one chain; gives the number of flips."""
    bits, balance, a, b, padding, units, inner = tables
    sum_a, sum_b, flips = sums[0], sums[1], 0
    for t in range(site.size):
        i = site[t]
        s = np.int64(sigma[i])
        weighted = units[2] * balance[i] + units[3] * (sum_b + proposal(M, B, bits, i, run, inner))
        D = -(units[0] + units[1] * sum_a + s * weighted)
        if padding > 0:
            m = np.int64(M[M.size - 1])
            D += padding * (_value(a, m) + s * _value(b, m))
        if np.float64(D) <= np.float64(threshold[t & 3, t >> 2]):
            sigma[i] = -s
            sum_a, sum_b = flip(M, B, bits, i, -2 * s, run, inner)
            flips += 1
    sums[0], sums[1] = sum_a, sum_b
    return flips


@njit(nogil=True)
def sweep_once(
    sigma: Any, M: Any, few: Any, many: Any, sums: Any, flips: Any, tables: Any, run: Any, site: Any, threshold: Any
) -> None:
    """One sweep of one chain, by the route of ``many`` if its last one accepted at least a quarter of its proposals."""
    bits, inner, zero = tables[0], tables[6], np.int64(0)
    busy = 4 * flips[1] >= sigma.size
    if busy:
        if flips[2] != 1:
            sums[0], sums[1] = flip(M, many, bits, zero, zero, run[1], inner)
        flips[1] = steps(sigma, M, many, sums, tables, run[1], site, threshold)
    else:
        if flips[2] != 0:
            sums[0], sums[1] = flip(M, few, bits, zero, zero, run[0], inner)
        flips[1] = steps(sigma, M, few, sums, tables, run[0], site, threshold)
    flips[2] = busy
    flips[0] += flips[1]


@njit(nogil=True, error_model="numpy")
def advance(
    sigma: Any,  # int8 (lane, site), changed in place
    M: Any,  # int16 or int32 (lane, padded mu), changed in place
    few: Any,  # the cache where few flips are accepted: int32 or int64 (lane, padded mu), or None; changed in place
    many: Any,  # that where many are
    sums: Any,  # int64 (lane, 2): of a and b, less constants and over leads; changed in place
    flips: Any,  # int64 (lane, 3): in all, in the last sweep, whether those were many (-1: no sweep); changed in place
    tables: Any,  # (bits, balance, a, b, padding, units, inner)
    run: Any,  # of the two routes
    scales: Any,  # float32 (1 or sweep, lane)
    lanes: Any,  # uint64 (lane,)
    rule: Any,  # acceptance, order, two key words
    span: Any,  # sample, first sweep, last sweep (excluded)
) -> None:
    """Advance every lane from the first sweep to the last."""
    sample, first, last = span
    N = sigma.shape[1]
    u = np.empty((4, (N + 3) // 4), np.uint32)
    threshold, site = np.empty(u.shape, np.int64), np.arange(N)
    for sweep in range(first, last):
        draw_sites(site, u, rule, sweep, sample)
        row = min(sweep - first, scales.shape[0] - 1)
        for lane in range(lanes.size):
            draw_thresholds(threshold, u, rule, sweep, lanes[lane], sample, scales[row, lane])
            caches = cache_of(few, lane), cache_of(many, lane)
            state = sigma[lane], M[lane], *caches, sums[lane], flips[lane]
            sweep_once(*state, tables, run, site, threshold)


class Dense:
    """Chains of one sample with patterns of signs and P >= 3, one after the other.

    Parameters
    ----------
    tables : what ``Dense.tables`` gives for this sample
    spins : int8 (1, lane, site)
    rule : Rule
    lanes : uint64 (lane,), counter words of the chains
    sample : int, counter word of the sample
    """

    name = "dense"

    def __init__(
        self, tables: DenseTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        R, (quiet, busy) = lanes.size, tables.route
        sigma, sums, flips = spins[0].copy(), np.zeros((R, 2), np.int64), np.zeros((R, 3), np.int64)
        M = aligned((R, tables.padded), np.int32 if quiet == WIDE else np.int16)
        B = None if quiet == HALVES else aligned((R, tables.padded), np.int64 if quiet == WIDE else np.int32)
        M[:] = sigma.sum(axis=1, dtype=np.int64)[:, None]  # what patterns of ones, the padding, have
        M[:, : tables.energy.K] = tables.energy.overlaps(sigma, tables.sample)
        flips[:, 2] = -1
        self._state = sigma, M, B, None if busy == HALVES else B, sums, flips
        self._shared = tables.constants, tables.run
        self._energy, self._sample = tables.energy, tables.sample
        self._address = lanes, (rule.acceptance, rule.order, *rule.key)
        self._word = sample
        self._M, self.accepted = M[None, :, : tables.energy.K], flips[None, :, 0]

    @classmethod
    def fits(cls, energy: IntegerOverlaps, sample: int) -> bool:
        """Whether this kernel can take a sample: signs, P >= 3, a polynomial it can sum, sums below 2^62."""
        return monic_pair(energy) is not None

    @classmethod
    def tables(cls, energy: IntegerOverlaps, sample: int) -> DenseTables:
        """What all kernels of one sample share."""
        return dense_tables(energy, sample)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``; ``scales`` is (1 or last - first, 1, lane)."""
        span = self._word, first, last
        advance(*self._state, *self._shared, scales[:, 0], *self._address, span)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._state[0][None].copy()

    def overlaps(self) -> NDArray[np.integer]:
        """The integer overlaps now, (1, lane, mu)."""
        return self._M.copy()

    def total(self) -> NDArray[np.int64]:
        """The integer G, the sum over the patterns of M^P or e_P, now, (1, lane)."""
        return self._energy.total(self._M, self._sample)
