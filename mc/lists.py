"""Up to 32 chains of one sample side by side: pairwise energies of any integer weights, sites in any order.

A site lists the patterns whose weight differs from its most common one, its base b, so that with M the overlaps

    sum_mu w_i^mu M_mu = b sum_mu M_mu + sum_listed (w_i^mu - b) M_mu

costs the listed rows alone: at most half of the patterns if they are -1 and 1, the nonzero ones if few are. A flip
changes the listed rows, and adds b d for all rows at once to a vector ``common`` that every row lacks.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from .fill import LANES, SEEDS, fill_lanes, seed_lanes
from .integers import IntegerOverlaps
from .kernel import Rule
from .list_tables import WIDEST, ListTables, cheap_bound, list_tables
from .simd import H, aligned, convert, make
from .steps import draw_sites
from .vectors import L, le_bits, load, mask_add, splat, store

_BYTES = make(types.int8, LANES)
_load_spins, _store_spins = _BYTES.load, _BYTES.store
_OF = {types.int8: _BYTES, types.int16: H, types.int32: L}


def _to(array: Any, v: Any) -> Any:
    """The lanes in the integers of an array, modulo their width."""


@overload(_to, strict=False)
def _to_of(array: Any, v: Any) -> Any:
    wider = array.dtype.bitwidth - v.elem.bitwidth
    chosen = convert(_OF[v.elem], _OF[array.dtype], "bitcast" if wider == 0 else "sext" if wider > 0 else "trunc")
    return lambda array, v: chosen(v)


@njit(inline="always")
def _field(M: Any, sum_M: Any, i: Any, tables: Any) -> Any:
    """``sum_mu w_i^mu M_mu`` of every lane: as many rows at once as a row's integers can sum, then wider."""
    gaps, begin, factor, first, site, K, run = tables
    common = load(M, K * LANES)
    h = splat(sum_M, site[i, 0]) * load(sum_M, 0)
    for g in range(first[i], first[i + np.uint64(1)]):
        listed, mu, k, end = splat(sum_M, 0), np.uint64(0), begin[g], begin[g + np.uint64(1)]
        while k < end:
            stop = min(k + run, end)
            part = splat(M, stop - k) * common
            for e in range(k, stop):
                mu += gaps[e]
                part = part + load(M, np.int64(mu * np.uint64(LANES)))
            listed, k = listed + _to(sum_M, part), stop
        h = h + splat(sum_M, factor[g]) * listed
    return h


@njit(inline="always")
def _add(M: Any, sum_M: Any, i: Any, d: Any, tables: Any) -> None:
    """``M_mu += d w_i^mu``."""
    gaps, begin, factor, first, site, K, _ = tables
    store(sum_M, 0, load(sum_M, 0) + d * splat(sum_M, site[i, 2]))
    store(M, K * LANES, load(M, K * LANES) + _to(M, d * splat(sum_M, site[i, 0])))
    for g in range(first[i], first[i + np.uint64(1)]):
        change, mu = _to(M, d * splat(sum_M, factor[g])), np.uint64(0)
        for e in range(begin[g], begin[g + np.uint64(1)]):
            mu += gaps[e]
            at = np.int64(mu * np.uint64(LANES))
            store(M, at, load(M, at) + change)


@njit(nogil=True)
def _start(M: Any, sum_M: Any, spins: Any, tables: Any) -> None:
    """The overlaps of the spins, from zero."""
    for i in range(np.uint64(spins.size // LANES)):
        _add(M, sum_M, i, _to(sum_M, _load_spins(spins, np.int64(i) * LANES)), tables)


@njit(nogil=True, error_model="numpy")
def _advance(
    M: Any,  # int16 or int32, rows of 32 lanes: the overlaps less ``common``, then common; changed in place
    sum_M: Any,  # int16 or int32 (32,), the sum of all overlaps, changed in place; its integers are those of D
    spins: Any,  # int8, rows of 32 lanes, changed in place
    accepted: Any,  # int64 (32,), added to
    tables: Any,  # (gaps, begin, factor, first, site, K, run)
    scales: Any,  # float32 (1 or sweep, lane)
    rule: Any,  # acceptance, order, two key words
    lanes: Any,  # uint64 (lane,)
    live: Any,  # uint64, one bit a lane
    span: Any,  # sample, first sweep, last sweep (excluded)
) -> None:
    acceptance, order, k0, k1 = rule
    sample, first, last = span
    N, site = spins.size // LANES, tables[4]
    u = np.empty((4, (N + 3) // 4 if order > 0 else 0), np.uint32)
    sites = np.arange(N)
    threshold, count = np.empty(4 * LANES, sum_M.dtype), np.empty(LANES, np.int32)
    seeds, minus_scales = np.empty(SEEDS, np.uint64), np.empty(LANES, np.float32)
    for sweep in range(first, last):
        scale = scales[min(sweep - first, scales.shape[0] - 1)]
        seed_lanes(seeds, minus_scales, threshold, k0, k1, sweep, lanes, scale)
        draw_sites(sites, u, rule, sweep, sample)
        flips = splat(count, 0)
        for t in range(N):
            if t & 3 == 0:
                fill_lanes(threshold, seeds, minus_scales, k0, k1, t >> 2, sample, acceptance)
            i, at = np.uint64(sites[t]), sites[t] * LANES
            s = _to(sum_M, _load_spins(spins, at))
            D = s * _field(M, sum_M, i, tables) - splat(sum_M, site[i, 1])
            bits = le_bits(D, load(threshold, (t & 3) * LANES)) & live
            if bits == 0:
                continue
            d = mask_add(splat(sum_M, 0), splat(sum_M, -2) * s, bits)
            _store_spins(spins, at, _to(spins, s + d))
            _add(M, sum_M, i, d, tables)
            flips = mask_add(flips, splat(count, 1), bits)
        store(count, 0, flips)
        for lane in range(LANES):
            accepted[lane] += count[lane]


class Lists:
    """Up to 32 chains of one sample with integer weights and P = 2, advanced side by side in any order of the sites.

    Parameters
    ----------
    tables : what ``Lists.tables`` gives for this sample
    spins : int8 (1, lane, site)
    rule : Rule
    lanes : uint64 (lane,), counter words of the chains
    sample : int, counter word of the sample

    Raises
    ------
    ValueError for more than 32 lanes.
    """

    name = "lists"

    def __init__(
        self, tables: ListTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        R, N, field = lanes.size, spins.shape[-1], tables.site.dtype
        require(0 < R <= LANES, "lanes", R, f"in [1, {LANES}]")
        self._K, self._lanes, self._sample = tables.K, np.ascontiguousarray(lanes), sample
        self._live = np.uint64(2**R - 1)
        self._spins = aligned((N, LANES), np.int8)
        self._spins[:] = 1
        self._spins[:, :R] = spins[0].T
        self._M = aligned((tables.K + 1, LANES), tables.row)
        self._sum_M = aligned((1, LANES), field)
        self._accepted = np.zeros(LANES, np.int64)
        self.accepted = self._accepted[None, :R]
        arrays = tables.gaps, tables.begin, tables.factor, tables.first, tables.site
        self._tables = *arrays, tables.K, np.uint64(tables.run)
        self._rule = rule.acceptance, rule.order, np.uint64(rule.key[0]), np.uint64(rule.key[1])
        _start(self._M.reshape(-1), self._sum_M.reshape(-1), self._spins.reshape(-1), self._tables)

    @classmethod
    def fits(cls, energy: IntegerOverlaps, sample: int) -> bool:
        """Whether this kernel can take a sample: P = 2, and 32 bits hold whatever a flip can cost."""
        certain = energy.K * energy.N * energy.largest_weight**2 <= WIDEST
        return energy.P == 2 and energy.F is None and (certain or cheap_bound(energy.xi[sample]) <= WIDEST)

    @classmethod
    def tables(cls, energy: IntegerOverlaps, sample: int) -> ListTables:
        """What all kernels of one sample share."""
        return list_tables(energy, sample)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``; ``scales`` is (1 or last - first, 1, lane)."""
        rows = np.ascontiguousarray(scales[:, 0])
        M, sum_M, spins = self._M.reshape(-1), self._sum_M.reshape(-1), self._spins.reshape(-1)
        span = self._sample, first, last
        _advance(M, sum_M, spins, self._accepted, self._tables, rows, self._rule, self._lanes, self._live, span)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return np.ascontiguousarray(self._spins[:, : self.accepted.size].T)[None]

    def overlaps(self) -> NDArray[np.integer]:
        """The integer overlaps now, (1, lane, mu)."""
        return (self._M[: self._K] + self._M[self._K])[:, : self.accepted.size].T[None]

    def total(self) -> NDArray[np.int64]:
        """The integer G = sum_mu M_mu^2 now, (1, lane)."""
        M = self.overlaps().astype(np.int64)
        G: NDArray[np.int64] = np.einsum("zlk,zlk->zl", M, M)
        return G
