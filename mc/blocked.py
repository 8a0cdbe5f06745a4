"""Up to 32 chains of one sample side by side, four sites at a time: pairwise energies of signs, sites in order.

One pass over the overlaps M adds what the four sites before have flipped and sums the fields of the next four,
``h_a = sum_mu xi_a^mu M_mu``, exactly: M in 16 bits, h in 32. The four then decide one after the other; what a flip of
site a changes in the field of site b is their coupling ``C_ab = sum_mu xi_a^mu xi_b^mu``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from .blocked_tables import BlockedTables, blocked_tables, certified, signs
from .fill import LANES, SEEDS, fill_lanes, seed_lanes
from .integers import IntegerOverlaps
from .kernel import Rule
from .simd import H, W, aligned, convert, pairs, pick
from .vectors import L, item

_SIGNS = signs()
_PLACE = np.array([8 * (r % 16 // 4) + 4 * (r // 16) + r % 4 for r in range(LANES)])
"""Where lane r stands in a row of 16 bits, so that one instruction interleaves two rows or packs 32 bits into 16."""

_load_h, _store_h = H.load, H.store
_w, _to_h = W.splat, convert(W, H, "bitcast")
_load, _store, _splat, _select, _le, _mask_add = L.load, L.store, L.splat, L.select_bits, L.le_bits, L.mask_add
_near, _far = (pick(H, H, [8 * (j // 8) + at + j % 8 // 2 + j % 2 * 32 for j in range(32)]) for at in (0, 4))
_join = pick(W, L, range(32))
_pack = pick(L, H, [2 * int(r) for r in np.argsort(_PLACE)])


@njit(forceinline=True)
def _add_changes(M: Any, D: Any, codes: Any, old: Any, k: Any) -> Any:
    """Rows 2k and 2k + 1 of M after the flips of the block whose codes begin at ``old``."""
    code = np.int64(item(codes, old + k))
    u = _load_h(M, 64 * k) + _load_h(D, 32 * (code & 15))
    v = _load_h(M, 64 * k + 32) + _load_h(D, 32 * (code >> 4))
    _store_h(M, 64 * k, u)
    _store_h(M, 64 * k + 32, v)
    return u, v


@njit(forceinline=True)
def _fields(M: Any, D: Any, codes: Any, signs: Any, K: Any, old: Any, new: Any) -> Any:
    """Fields of the four sites of block ``new``, after M has the flips of block ``old``."""
    rows, zero = (K + 1) >> 1, _w(np.int32(0))
    old, new = old * rows, new * rows
    a0, a1, a2, a3, b0, b1, b2, b3 = zero, zero, zero, zero, zero, zero, zero, zero
    for rest in range(2):  # two rows at a time, then the last one of an odd number
        for k in range(rest * (K >> 1), (K >> 1) + rest * (K & 1)):
            u, v = _add_changes(M, D, codes, old, k)
            a, b = _near(u, v), _far(u, v)
            at = 4 * np.int64(item(codes, new + k)) + 1024 * rest
            s = _to_h(_w(item(signs, at)))
            a0, b0 = a0 + pairs(a, s), b0 + pairs(b, s)
            s = _to_h(_w(item(signs, at + 1)))
            a1, b1 = a1 + pairs(a, s), b1 + pairs(b, s)
            s = _to_h(_w(item(signs, at + 2)))
            a2, b2 = a2 + pairs(a, s), b2 + pairs(b, s)
            s = _to_h(_w(item(signs, at + 3)))
            a3, b3 = a3 + pairs(a, s), b3 + pairs(b, s)
    return _join(a0, b0), _join(a1, b1), _join(a2, b2), _join(a3, b3)


@njit(forceinline=True)
def _cost(h: Any, s: Any, K: Any) -> Any:
    """``D = s h - K``"""
    return _select(s, h, _splat(np.int32(0)) - h) - _splat(np.int32(K))


@njit(forceinline=True)
def _after(D: Any, flipped: Any, s: Any, r: Any, couplings: Any, at: Any) -> Any:
    """``D - 2 C s r`` where the earlier spin s has flipped, D the cost of flipping r."""
    twice = item(couplings, at)
    return _mask_add(D, _select(s ^ r, _splat(twice), _splat(-twice)), flipped)


@njit(forceinline=True)
def _decide(h: Any, s: Any, K: Any, couplings: Any, at: Any, x: Any) -> Any:
    """Where the four spins flip, as bits."""
    s0, s1, s2, s3 = s
    m0 = _le(_cost(h[0], s0, K), _load(x, 0))
    D = _after(_cost(h[1], s1, K), m0, s0, s1, couplings, at)
    m1 = _le(D, _load(x, LANES))
    D = _after(_cost(h[2], s2, K), m0, s0, s2, couplings, at + 1)
    D = _after(D, m1, s1, s2, couplings, at + 2)
    m2 = _le(D, _load(x, 2 * LANES))
    D = _after(_cost(h[3], s3, K), m0, s0, s3, couplings, at + 3)
    D = _after(D, m1, s1, s3, couplings, at + 4)
    D = _after(D, m2, s2, s3, couplings, at + 5)
    return m0, m1, m2, _le(D, _load(x, 3 * LANES))


@njit(forceinline=True)
def _change(flipped: Any, s: Any, size: Any) -> Any:
    """``-size s`` where flipped, else 0, as a row of 16 bits."""
    d = _select(flipped, _select(s, _splat(np.int32(-size)), _splat(np.int32(size))), _splat(np.int32(0)))
    return _pack(d, d)


@njit(forceinline=True)
def _store_four(D: Any, at: Any, p: Any, q: Any, u: Any) -> None:
    _store_h(D, at, u - p)
    _store_h(D, at + LANES, u + q)
    _store_h(D, at + 2 * LANES, u - q)
    _store_h(D, at + 3 * LANES, u + p)


@njit(forceinline=True)
def _store_changes(D: Any, d0: Any, d1: Any, d2: Any, d3: Any) -> None:
    """``D[code] = +-d0 +-d1 +-d2 +-d3``, plus where the bit is set: what rows of that code change by."""
    p, q, u, v, zero = d0 + d1, d0 - d1, d2 + d3, d2 - d3, d0 - d0
    _store_four(D, 0, p, q, zero - u)
    _store_four(D, 4 * LANES, p, q, v)
    _store_four(D, 8 * LANES, p, q, zero - v)
    _store_four(D, 12 * LANES, p, q, u)


@njit(nogil=True, error_model="numpy")
def _advance(
    M: Any,  # int16 (pattern, 32), flat, changed in place
    D: Any,  # int16 (16, 32), flat, scratch
    spins: Any,  # uint32 (site,), a lane a bit, changed in place
    accepted: Any,  # int64 (32,), added to
    tables: Any,  # codes and couplings, flat; signs; K and N
    scales: Any,  # float32 (1 or sweep, lane)
    rule: Any,  # acceptance, two key words
    lanes: Any,  # uint64 (lane,)
    scratch: Any,  # int32 (128,), uint64 (SEEDS,), float32 (32,)
    span: Any,  # sample, first sweep, last sweep (excluded)
) -> None:
    """Sweep all lanes from the first sweep of ``span`` to the last."""
    codes, couplings, signs, K, N = tables
    acceptance, k0, k1 = rule
    x, seeds, minus_scales = scratch
    sample, first, last = span
    never, one = _splat(np.int32(-2147483648)), _splat(np.int32(1))
    old = (spins.size >> 2) - 1
    D[:] = 0
    for sweep in range(first, last):
        scale = scales[min(sweep - first, scales.shape[0] - 1)]
        seed_lanes(seeds, minus_scales, x, k0, k1, sweep, lanes, scale)
        flips = _splat(np.int32(0))
        for new in range(spins.size >> 2):
            i = 4 * new
            fill_lanes(x, seeds, minus_scales, k0, k1, new, sample, acceptance)
            for dead in range(N - i, 4):
                _store(x, LANES * dead, never)
            h = _fields(M, D, codes, signs, K, old, new)
            s0, s1 = np.uint64(item(spins, i)), np.uint64(item(spins, i + 1))
            s2, s3 = np.uint64(item(spins, i + 2)), np.uint64(item(spins, i + 3))
            m0, m1, m2, m3 = _decide(h, (s0, s1, s2, s3), K, couplings, 6 * new, x)
            spins[i], spins[i + 1], spins[i + 2], spins[i + 3] = s0 ^ m0, s1 ^ m1, s2 ^ m2, s3 ^ m3
            _store_changes(D, _change(m0, s0, 2), _change(m1, s1, 2), _change(m2, s2, 2), _change(m3, s3, 2))
            flips = _mask_add(_mask_add(_mask_add(_mask_add(flips, one, m0), one, m1), one, m2), one, m3)
            old = new
        _store(x, 0, flips)
        for lane in range(LANES):
            accepted[lane] += x[lane]
    for k in range((K + 1) >> 1):
        _add_changes(M, D, codes, old * ((K + 1) >> 1), k)


@njit(nogil=True)
def _start(M: Any, D: Any, spins: Any, codes: Any, N: Any, K: Any) -> None:
    """The overlaps of the spins, from zero."""
    for b in range(spins.size >> 2):
        live = np.uint64(0xFFFFFFFF)
        s0, s1 = np.uint64(item(spins, 4 * b)), np.uint64(item(spins, 4 * b + 1))
        s2, s3 = np.uint64(item(spins, 4 * b + 2)), np.uint64(item(spins, 4 * b + 3))
        d0 = _change(live, s0, -1)
        d1 = _change(live * np.uint64(4 * b + 1 < N), s1, -1)
        d2 = _change(live * np.uint64(4 * b + 2 < N), s2, -1)
        d3 = _change(live * np.uint64(4 * b + 3 < N), s3, -1)
        _store_changes(D, d0, d1, d2, d3)
        for k in range((K + 1) >> 1):
            _add_changes(M, D, codes, b * ((K + 1) >> 1), k)


@njit(nogil=True)
def _add_squares(M: Any, G: Any, K: int) -> None:
    """``G += sum_mu M_mu^2``, lanes by their places."""
    for mu in range(K):
        for place in range(LANES):
            m = np.int64(M[LANES * mu + place])
            G[place] += m * m


class Blocked:
    """Up to 32 chains of one sample of signs with P = 2, advanced side by side over the sites in order.

    Parameters
    ----------
    tables : what ``Blocked.tables`` gives for this sample
    spins : int8 (1, lane, site)
    rule : Rule
    lanes : uint64 (lane,), counter words of the chains
    sample : int, counter word of the sample

    Raises
    ------
    ValueError for more than 32 lanes.
    """

    name = "blocked"

    def __init__(
        self, tables: BlockedTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        R, K, N = lanes.size, tables.K, tables.N
        require(0 < R <= LANES, "lanes", R, f"in [1, {LANES}]")
        self._N, self._K, self._sample, self._lanes = N, K, sample, np.array(lanes)
        up = np.zeros((-(-N // 4) * 4, LANES), bool)
        up[:N] = spins[0, np.minimum(np.arange(LANES), R - 1)].T > 0  # the last lane stands in for those missing
        self._spins = np.packbits(up, axis=1, bitorder="little").view(np.uint32).reshape(-1)
        self._M, self._D = aligned(((K + K % 2) * LANES,), np.int16), aligned((16 * LANES,), np.int16)
        self._scratch = aligned((4 * LANES,), np.int32), aligned((SEEDS,), np.uint64), aligned((LANES,), np.float32)
        self._accepted = np.zeros(LANES, np.int64)
        self.accepted = self._accepted[None, :R]
        self._tables = tables.codes.reshape(-1), tables.couplings.reshape(-1), _SIGNS, K, N
        self._rule = rule.acceptance, np.uint64(rule.key[0]), np.uint64(rule.key[1])
        _start(self._M, self._D, self._spins, self._tables[0], N, K)

    @classmethod
    def fits(cls, energy: IntegerOverlaps, sample: int) -> bool:
        """Whether this kernel can take a sample: signs, P = 2, and sizes that its integers certainly hold."""
        return energy.pairwise and energy.signs and certified(energy.N, energy.K)

    @classmethod
    def tables(cls, energy: IntegerOverlaps, sample: int) -> BlockedTables:
        """What all kernels of one sample share."""
        return blocked_tables(energy.xi[sample])

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``; ``scales`` is (1 or last - first, 1, lane)."""
        rows, span = np.ascontiguousarray(scales[:, 0]), (self._sample, first, last)
        state = self._M, self._D, self._spins, self._accepted
        _advance(*state, self._tables, rows, self._rule, self._lanes, self._scratch, span)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        bits = self._spins[: self._N].view(np.uint8).reshape(-1, 4)
        up = np.unpackbits(bits, axis=1, count=self.accepted.size, bitorder="little")
        return np.ascontiguousarray(2 * up.view(np.int8).T - 1)[None]

    def overlaps(self) -> NDArray[np.int16]:
        """The integer overlaps now, (1, lane, mu)."""
        return self._M.reshape(-1, LANES)[: self._K, _PLACE[: self.accepted.size]].T[None]

    def total(self) -> NDArray[np.int64]:
        """The integer G = sum_mu M_mu^2 now, (1, lane)."""
        G = np.zeros(LANES, np.int64)
        _add_squares(self._M, G, self._K)
        return G[None, _PLACE[: self.accepted.size]]
