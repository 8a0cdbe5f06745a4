r"""What a proposal and a flip of the dense kernel sum over the patterns, by vectors.

The types choose the route, so that the compiled code can be kept on disk: a cache B of int32 or int64, or None where
b(M) is summed as products of 16-bit numbers; P is 3 and the number of inner coefficients (``Monic``). All sums are less
the constants of a and b and over their leads. ``run`` is the number of terms that a narrow sum takes.
"""

from functools import cache
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload, register_jitable

from . import simd

_LONG = simd.make(types.int64, 16)
_SHORT = simd.make(types.int16, 16)
_sum, _long = _LONG.hsum, _LONG.splat
_widen = simd.convert(simd.W, _LONG, "sext")


def proposal(M: Any, B: Any, bits: Any, i: Any, run: Any, inner: Any) -> Any:
    """``sum_mu xi_i^mu b(M_mu)``, less ``sum_mu b(M_mu)`` where it is cached."""


def flip(M: Any, B: Any, bits: Any, i: Any, d: Any, run: Any, inner: Any) -> Any:
    """``M += d xi_i`` and B with it; the sums of a(M) and, where it is cached, b(M), else 0."""


def cache_of(B: Any, lane: Any) -> Any:
    """The cache of one lane, or None."""


@overload(cache_of)
def _cache_of(B: Any, lane: Any) -> Any:
    def none(B: Any, lane: Any) -> Any:
        return None

    def one(B: Any, lane: Any) -> Any:
        return B[lane]

    return none if isinstance(B, types.NoneType) else one


@overload(proposal)
def _proposal(M: Any, B: Any, bits: Any, i: Any, run: Any, inner: Any) -> Any:
    return _route(B, inner)[0]


@overload(flip)
def _flip(M: Any, B: Any, bits: Any, i: Any, d: Any, run: Any, inner: Any) -> Any:
    return _route(B, inner)[1]


def _route(B: Any, inner: Any) -> Any:
    P = 3 + sum(len(c) for c in inner)
    if isinstance(B, types.NoneType):
        return _halves(P)
    return _cached(simd.W, _SHORT, P) if B.dtype == types.int32 else _cached(_LONG, simd.W, P)


@cache
def _halves(P: int) -> Any:
    """Without a cache: b is M^2, or M (M^2 + c) with M^2 in two parts, the low one of 14 bits."""
    load, store, splat, select = simd.H.load, simd.H.store, simd.H.splat, simd.H.select_bits
    pairs, high_half, word, short = simd.pairs, simd.high_half, simd.W.splat, np.int16

    @register_jitable
    def square(M: Any, at: Any, minus: Any, c: Any) -> Any:
        m = load(M, at)
        return pairs(m, select(minus, splat(short(0)) - m, m)), word(np.int32(0))

    @register_jitable
    def cube(M: Any, at: Any, minus: Any, c: Any) -> Any:
        m = load(M, at)
        y = select(minus, splat(short(0)) - m, m)
        low = (m * m & splat(short(0x3FFF))) + splat(short(c[0]))
        return pairs(low, y), pairs(high_half(m + m, m + m), y)

    term = square if P == 3 else cube

    def proposal(M: Any, B: Any, bits: Any, i: Any, run: Any, inner: Any) -> Any:
        turns, total, total_high, c = M.size // 128, _long(0), _long(0), inner[1]
        first = 0
        while first < turns:
            last = min(first + run, turns)
            s0 = s1 = s2 = s3 = h0 = h1 = h2 = h3 = word(np.int32(0))
            for v in range(first, last):
                at, low, high = 128 * v, bits[i, np.uint64(2 * v)], bits[i, np.uint64(2 * v + 1)]
                x, z = term(M, at, low, c)
                s0, h0 = s0 + x, h0 + z
                x, z = term(M, at + 32, low >> np.uint64(32), c)
                s1, h1 = s1 + x, h1 + z
                x, z = term(M, at + 64, high, c)
                s2, h2 = s2 + x, h2 + z
                x, z = term(M, at + 96, high >> np.uint64(32), c)
                s3, h3 = s3 + x, h3 + z
            total = total + (_widen(s0) + _widen(s1)) + (_widen(s2) + _widen(s3))
            total_high = total_high + (_widen(h0) + _widen(h1)) + (_widen(h2) + _widen(h3))
            first = last
        return _sum(total) + 16384 * _sum(total_high)

    @register_jitable
    def move(M: Any, at: Any, minus: Any, plus: Any, less: Any) -> Any:
        m = load(M, at) + select(minus, less, plus)
        store(M, at, m)
        return pairs(m, splat(short(1)) if P == 3 else m)

    def flip(M: Any, B: Any, bits: Any, i: Any, d: Any, run: Any, inner: Any) -> Any:
        turns, total, plus, less = M.size // 128, _long(0), splat(short(d)), splat(short(-d))
        first = 0
        while first < turns:
            last = min(first + run, turns)
            s0 = s1 = s2 = s3 = word(np.int32(0))
            for v in range(first, last):
                at, low, high = 128 * v, bits[i, np.uint64(2 * v)], bits[i, np.uint64(2 * v + 1)]
                s0 = s0 + move(M, at, low, plus, less)
                s1 = s1 + move(M, at + 32, low >> np.uint64(32), plus, less)
                s2 = s2 + move(M, at + 64, high, plus, less)
                s3 = s3 + move(M, at + 96, high >> np.uint64(32), plus, less)
            total = total + (_widen(s0) + _widen(s1)) + (_widen(s2) + _widen(s3))
            first = last
        return _sum(total), 0

    return proposal, flip


def _monic(V: Any, degree: int) -> Any:
    """``X h(q)`` of ``Monic``: ``h = q^n + c[n-1] q^(n-1) + ... + c[0]`` by Horner's rule."""
    splat, integer, n = V.splat, V.T.elem, (degree - 1) // 2

    @register_jitable
    def plain(X: Any, q: Any, c: Any) -> Any:
        return X

    @register_jitable
    def horner(X: Any, q: Any, c: Any) -> Any:
        h = q + splat(integer(c[n - 1]))
        for k in range(2, n + 1):
            h = h * q + splat(integer(c[n - k]))
        return X * h

    return horner if n else plain


@cache
def _cached(V: Any, narrow: Any, P: int) -> Any:
    """With b(M) cached in vectors V of 16 lanes."""
    load, store, zero, mask_add, splat = V.load, V.store, V.T.elem(0), V.mask_add, V.splat
    load_M, store_M, splat_M, select = narrow.load, narrow.store, narrow.splat, narrow.select_bits
    extend, overlap, odd = simd.convert(narrow, V, "sext"), narrow.T.elem, P % 2 == 0
    of_a, of_b = _monic(V, P - 2), _monic(V, P - 1)

    @register_jitable
    def long(v: Any) -> Any:
        return v

    if V is simd.W:
        long = _widen

    def proposal(M: Any, B: Any, bits: Any, i: Any, run: Any, inner: Any) -> Any:
        turns, total, word = B.size // 128, _long(0), np.uint64(16)
        first = 0
        while first < turns:
            last = min(first + run, turns)
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = splat(zero)
            for v in range(first, last):
                at, low, high = 128 * v, bits[i, np.uint64(2 * v)], bits[i, np.uint64(2 * v + 1)]
                s0 = mask_add(s0, load(B, at), low)
                s1 = mask_add(s1, load(B, at + 16), low >> word)
                s2 = mask_add(s2, load(B, at + 32), low >> np.uint64(32))
                s3 = mask_add(s3, load(B, at + 48), low >> np.uint64(48))
                s4 = mask_add(s4, load(B, at + 64), high)
                s5 = mask_add(s5, load(B, at + 80), high >> word)
                s6 = mask_add(s6, load(B, at + 96), high >> np.uint64(32))
                s7 = mask_add(s7, load(B, at + 112), high >> np.uint64(48))
            total = total + ((long(s0) + long(s1)) + (long(s2) + long(s3)))
            total = total + ((long(s4) + long(s5)) + (long(s6) + long(s7)))
            first = last
        return -2 * _sum(total)  # the bits are the patterns that are -1 there

    def flip(M: Any, B: Any, bits: Any, i: Any, d: Any, run: Any, inner: Any) -> Any:
        turns, total_a, total_b = B.size // 16, _long(0), _long(0)
        plus, less = splat_M(overlap(d)), splat_M(overlap(-d))
        first = 0
        while first < turns:
            last = min(first + run, turns)
            sum_a = sum_b = splat(zero)
            for v in range(first, last):
                m = load_M(M, 16 * v) + select(bits[i, np.uint64(v >> 2)] >> np.uint64(16 * (v & 3)), less, plus)
                store_M(M, 16 * v, m)
                x = extend(m)
                q = x * x
                b = of_b(x if odd else q, q, inner[1])
                store(B, 16 * v, b)
                sum_b = sum_b + b
                sum_a = sum_a + of_a(q if odd else x, q, inner[0])
            total_a, total_b = total_a + long(sum_a), total_b + long(sum_b)
            first = last
        return _sum(total_a), _sum(total_b)

    return proposal, flip
