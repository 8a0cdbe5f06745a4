"""Chains with many accepted flips: four sites at once, their sums over the overlaps chosen by bits.

One pass over M sums, for each of four consecutive sites, the overlaps of the patterns that are +1 there. The
decisions are scalars without branches. A pass takes in the flips of the block before last, so that it need not wait
for the decisions just made: couplings C_ij = sum_mu xi_i^mu xi_j^mu make up for the flips of the last block, 16 of
them, and of the block itself, 6. The work is the same at any temperature.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from .fill import fill_chain
from .integers import IntegerOverlaps
from .kernel import Rule
from .rows import LARGEST
from .simd import W, aligned
from .vectors import halves, item, load, mask_add, splat, store

_NONE = 0, 0, 0, 0
_neighbours, _store_sums, _zero = W.neighbours, W.store, W.splat


@njit(forceinline=True)
def _changed(M: Any, at: Any, masks: Any, row: Any, flips: Any) -> Any:
    """32 overlaps after the flips of a block, that is changes d_a xi_a of four spins."""
    d0, d1, d2, d3 = flips
    m = load(M, at) + splat(M, -(d0 + d1 + d2 + d3))
    m = mask_add(m, splat(M, 2 * d0), np.uint64(item(masks, row)))
    m = mask_add(m, splat(M, 2 * d1), np.uint64(item(masks, row + 1)))
    m = mask_add(m, splat(M, 2 * d2), np.uint64(item(masks, row + 2)))
    return mask_add(m, splat(M, 2 * d3), np.uint64(item(masks, row + 3)))


@njit(forceinline=True)
def _pass(M: Any, masks: Any, run: Any, old: Any, flips: Any, block: Any, sums: Any) -> None:
    """Take in the flips of block ``old``, and put the sums over M of ``block`` into the first four of ``sums``.

    Up to ``run`` vectors are summed in the integers of M, then in 32 bits.
    """
    words = masks.shape[1]
    S0 = S1 = S2 = S3 = _zero(0)
    word, change, row = 0, 4 * words * old, 4 * words * block
    while word < words:
        s0 = s1 = s2 = s3 = splat(M, 0)
        stop = min(word + run, words)
        while word < stop:
            m = _changed(M, 32 * word, masks, change + 4 * word, flips)
            store(M, 32 * word, m)
            s0 = mask_add(s0, m, np.uint64(item(masks, row + 4 * word)))
            s1 = mask_add(s1, m, np.uint64(item(masks, row + 4 * word + 1)))
            s2 = mask_add(s2, m, np.uint64(item(masks, row + 4 * word + 2)))
            s3 = mask_add(s3, m, np.uint64(item(masks, row + 4 * word + 3)))
            word += 1
        S0, S1, S2, S3 = S0 + halves(s0), S1 + halves(s1), S2 + halves(s2), S3 + halves(s3)
    fours = _neighbours(_neighbours(S0, S1), _neighbours(S2, S3))
    twos = _neighbours(fours, fours)
    _store_sums(sums, 0, _neighbours(twos, twos))


@njit(forceinline=True)
def _flip(s: Any, h: Any, own: Any, threshold: Any) -> Any:
    return -2 * s if s * h - own <= threshold else 0


@njit(forceinline=True)
def _decide(s: Any, h: Any, C: Any, own: Any, threshold: Any, i: Any, b: Any) -> Any:
    """Four decisions, each with the fields as those before it leave them."""
    s0, s1, s2, s3 = np.int64(s[i]), np.int64(s[i + 1]), np.int64(s[i + 2]), np.int64(s[i + 3])
    d0 = _flip(s0, h[0], own, threshold[i])
    d1 = _flip(s1, h[1] + C[b, 0] * d0, own, threshold[i + 1])
    d2 = _flip(s2, h[2] + C[b, 1] * d0 + C[b, 3] * d1, own, threshold[i + 2])
    d3 = _flip(s3, h[3] + C[b, 2] * d0 + C[b, 4] * d1 + C[b, 5] * d2, own, threshold[i + 3])
    s[i], s[i + 1], s[i + 2], s[i + 3] = s0 + d0, s1 + d1, s2 + d2, s3 + d3
    return d0, d1, d2, d3


@njit(forceinline=True)
def _dot(x: Any, at: Any, d: Any) -> Any:
    return x[at] * d[0] + x[at + 1] * d[1] + x[at + 2] * d[2] + x[at + 3] * d[3]


@njit(nogil=True)
def _sweep(s: Any, M: Any, tables: Any, threshold: Any, sums: Any) -> Any:
    """One sweep of one chain; returns the flips."""
    masks, C, own_sums, own, run = tables
    every, flips = np.int64(0), 0
    for mu in range(own):
        every += M[mu]
    d, before, old, last = _NONE, _NONE, 0, 0
    for b in range(masks.shape[0]):
        _pass(M, masks, run, old, before, b, sums)
        h0, h1 = 2 * np.int64(sums[0]) - every, 2 * np.int64(sums[1]) - every
        h2, h3 = 2 * np.int64(sums[2]) - every, 2 * np.int64(sums[3]) - every
        row = C[b]
        h = h0 + _dot(row, 6, d), h1 + _dot(row, 10, d), h2 + _dot(row, 14, d), h3 + _dot(row, 18, d)
        every += _dot(own_sums, 4 * last, d)
        before, old, last = d, last, b
        d = _decide(s, h, C, own, threshold, 4 * b, b)
        flips += (d[0] & 2) + (d[1] & 2) + (d[2] & 2) + (d[3] & 2)
    words = masks.shape[1]
    for word in range(words):
        store(M, 32 * word, _changed(M, 32 * word, masks, 4 * (old * words + word), before))
        store(M, 32 * word, _changed(M, 32 * word, masks, 4 * (last * words + word), d))
    return flips // 2


@njit(nogil=True)
def _advance(s: Any, M: Any, accepted: Any, tables: Any, rule: Any, address: Any, scales: Any, span: Any) -> None:
    """Sweep one chain after the other from the first sweep of ``span`` to the last."""
    acceptance, k0, k1 = rule
    lanes, sample = address
    first, last = span
    threshold, sums = np.empty(-(-s.shape[1] // 256) * 256, np.int32), np.empty(16, np.int32)
    for lane in range(lanes.size):
        for sweep in range(first, last):
            scale = scales[min(sweep - first, scales.shape[0] - 1), lane]
            fill_chain(threshold, k0, k1, sweep, lanes[lane], sample, scale, acceptance)
            accepted[lane] += _sweep(s[lane], M[lane], tables, threshold, sums)


@njit(nogil=True)
def _fill_overlaps(M: Any, s: Any, masks: Any) -> None:
    for i in range(s.size):
        sign, twice = splat(M, -s[i]), splat(M, 2 * s[i])
        for word in range(masks.shape[1]):
            m = load(M, 32 * word) + sign
            store(M, 32 * word, mask_add(m, twice, np.uint64(masks[i >> 2, word, i & 3])))


@dataclass(frozen=True)
class Bits4Tables:
    """Patterns of one sample by blocks of four sites, the last one filled up with blank sites.

    Parameters
    ----------
    masks : uint32 (block, word, site of the block), bit k of word w is 1 where pattern 32 w + k is +1
    couplings : (block, 22): C_01, C_02, C_03, C_12, C_13, C_23, then C_ab, a of the block, b of the one before it
    sums : (site,), sum_mu xi_i^mu
    N, K : int
    """

    masks: NDArray[np.uint32]
    couplings: NDArray[np.integer]
    sums: NDArray[np.integer]
    N: int
    K: int

    @classmethod
    def of(cls, energy: IntegerOverlaps, sample: int) -> "Bits4Tables":
        """The tables of patterns of signs, in the smallest integers that hold K."""
        N, K = energy.N, energy.K
        require(N * K <= LARGEST, "N K", str(N * K), f"<= {LARGEST} for 32-bit sums")
        xi = np.zeros((K, -(-N // 4), 4), np.int8)
        xi.reshape(K, -1)[:, :N] = energy.xi[sample]
        on = np.zeros((xi.shape[1] * 4, -(-K // 32) * 32), np.bool_)
        on[:, :K] = xi.reshape(K, -1).T > 0
        words = np.packbits(on, axis=1, bitorder="little").view("<u4").reshape(xi.shape[1], 4, -1)
        C = np.zeros((xi.shape[1], 22), np.min_scalar_type(-K - 1))
        for k, (a, b) in enumerate(combinations(range(4), 2)):
            C[:, k] = np.sum(xi[:, :, a] * xi[:, :, b], axis=0, dtype=np.int64)
        for a, b in np.ndindex(4, 4):
            C[1:, 6 + 4 * a + b] = np.sum(xi[:, 1:, a] * xi[:, :-1, b], axis=0, dtype=np.int64)
        sums = np.sum(xi, axis=0, dtype=np.int64).ravel().astype(C.dtype)
        return cls(np.ascontiguousarray(words.transpose(0, 2, 1), np.uint32), C, sums, N, K)


class Bits4:
    """Chains of one sample one after the other, patterns of signs at P = 2, sequential order; as fast at any T."""

    name = "four sites at once"
    tables = Bits4Tables.of

    def __init__(
        self, tables: Bits4Tables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        self._of, narrow = tables, tables.N <= 32767
        words = tables.masks.shape[1]
        run = 32767 // tables.N if narrow else words
        self._tables = tables.masks, tables.couplings, tables.sums, tables.K, run
        self._rule, self._address = (rule.acceptance, *rule.key), (lanes, sample)
        self._s = np.zeros((lanes.size, 4 * tables.masks.shape[0]), np.int8)
        self._s[:, : tables.N] = spins[0]
        self._M = aligned((lanes.size, 32 * words), np.int16 if narrow else np.int32)
        for M, s in zip(self._M, self._s, strict=True):
            _fill_overlaps(M, s, tables.masks)
        self.accepted = np.zeros((1, lanes.size), np.int64)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``."""
        state = self._s, self._M, self.accepted[0]
        _advance(*state, self._tables, self._rule, self._address, scales[:, 0], (first, last))

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._s[None, :, : self._of.N].copy()

    def overlaps(self) -> NDArray[np.int64]:
        """The overlaps now, (1, lane, mu)."""
        return self._M[None, :, : self._of.K].astype(np.int64)

    def total(self) -> NDArray[np.int64]:
        """sum_mu M_mu^2 now, (1, lane)."""
        return np.sum(self.overlaps() ** 2, axis=-1)
