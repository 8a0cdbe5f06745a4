"""Integer thresholds, many at a time: of the steps of one chain, and of 32 chains side by side.

The twin of ``thresholds`` by vectors: the same words, the same float32 operations in the same order, and the floor of
``L(u) scale`` clipped before its conversion to the integers of the array it is written to. A block is the four steps
of one Philox counter.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from ..core.jit import njit
from .kernel import DOWNHILL, HEAT_BATH
from .simd import W, convert, make, pick
from .thresholds import QC

LANES = 32
SEEDS = 5 * LANES
"""Size of the uint64 array that ``seed_lanes`` prepares for ``fill_lanes``."""

_Q, _U, _F = make(types.uint64, 32), make(types.uint32, 32), make(types.float32, 32)
_load_q, _ramp, _q = _Q.load, _Q.ramp, _Q.splat
_load_u, _store_u, _u = _U.load, _U.store, _U.splat
_load_f, _f, _smaller, _larger, _floor = _F.load, _F.splat, _F.smaller, _F.larger, _F.floor
_store_w, _w = W.store, W.splat
_to_real, _to_integer = convert(_U, _F, "sitofp"), convert(_F, _U, "fptosi")
_bits, _of_bits = convert(_F, _U, "bitcast"), convert(_U, _F, "bitcast")
# Lower halves: those of elements 0, 16, 1, 17, ...; and those of x and y in turn, of elements 0 to 15, of 16 to 31.
_lanes = pick(_Q, _U, [2 * (r // 2 + r % 2 * 16) for r in range(32)])
_near, _far = (pick(_Q, _U, [2 * (r // 2) + r % 2 * 64 for r in range(at, at + 32)]) for at in (0, 32))
# Halves of a vector; then x and y in turn, the first half of that and the second.
_first, _second = (pick(_U, W, range(at, at + 16)) for at in (0, 16))
_low, _high = (pick(_U, _U, [r // 2 + r % 2 * 32 for r in range(at, at + 32)]) for at in (0, 32))

_M0, _M1, _W0, _W1 = (np.uint64(c) for c in (0xD2511F53, 0xCD9E8D57, 0x9E3779B9, 0xBB67AE85))
_LOW, _32 = np.uint64(0xFFFFFFFF), np.uint64(32)
_LN2 = np.float32(QC[8] * np.float32(2.0**-23))
"""ln 2 for an exponent left in its place, times 2^23: the same product, bit for bit."""


@njit(forceinline=True)
def _rounds(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """The last eight rounds of Philox4x32 in the lower halves; upper halves are left to anything."""
    for _ in range(8):
        p0, p1 = _q(_M0) * (c0 & _q(_LOW)), _q(_M1) * (c2 & _q(_LOW))
        c0, c1 = (p1 >> _q(_32)) ^ c1 ^ _q(k0), p1
        c2, c3 = (p0 >> _q(_32)) ^ c3 ^ _q(k1), p0
        k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    return c0, c1, c2, c3


@njit(forceinline=True, error_model="numpy")
def _scaled_log(x: Any, shift: Any, scale: Any) -> Any:
    """``ln(2^-shift x) scale`` of the bits of x, the series of ``thresholds``."""
    i = x - _u(np.uint32(0x3F3504F3 + (shift << 23)))
    e = i & _u(np.uint32(0xFF800000))
    t = _of_bits((i ^ e) + _u(np.uint32(0x3F3504F3))) - _f(np.float32(1))
    p = _f(QC[7]) * t + _f(QC[6])
    p = p * t + _f(QC[5])
    p = p * t + _f(QC[4])
    p = p * t + _f(QC[3])
    p = p * t + _f(QC[2])
    p = p * t + _f(QC[1])
    p = p * t + _f(QC[0])
    return (_to_real(e) * _f(_LN2) + p * t) * scale


@njit(forceinline=True, error_model="numpy")
def _thresholds(u: Any, scale: Any, limits: Any, heat_bath: Any) -> Any:
    """``floor(L(u) scale)`` within limits; ``scale`` comes with a minus sign."""
    low, high = limits
    n = u >> _u(np.uint32(8))
    x = _to_real(n) + _f(np.float32(0.5))
    if heat_bath:
        y = _to_real(_u(np.uint32(0xFFFFFF)) - n) + _f(np.float32(0.5))
        x = _larger(_smaller(_scaled_log(_bits(x / y), 0, scale), _f(high)), _f(low))
        return _to_integer(_floor(x))
    return _to_integer(_smaller(_scaled_log(_bits(x), 24, scale), _f(high)))


def _limits(out: Any) -> Any:
    """The clip of an integer type: its lowest value and the largest float32 it holds."""


@overload(_limits)
def _limits_of(out: Any) -> Any:
    low, high = (-32768.0, 32767.0) if out.dtype == types.int16 else (-2147483648.0, 2147483520.0)
    limits = np.float32(low), np.float32(high)

    def implementation(out: Any) -> Any:
        return limits

    return implementation


def _put_steps(out: Any, at: Any, even: Any, odd: Any) -> None:
    """Write 64 thresholds, those of the even steps and those of the odd ones."""


@overload(_put_steps)
def _put_steps_of(out: Any, at: Any, even: Any, odd: Any) -> Any:
    def narrow(out: Any, at: Any, even: Any, odd: Any) -> None:
        _store_u(out, at, (even & _u(np.uint32(0xFFFF))) ^ (odd << _u(np.uint32(16))))

    def wide(out: Any, at: Any, even: Any, odd: Any) -> None:
        _store_u(out, at, _low(even, odd))
        _store_u(out, at + 32, _high(even, odd))

    return narrow if out.dtype == types.int16 else wide


def _put_lanes(out: Any, at: Any, v: Any) -> None:
    """Write the thresholds of 32 lanes: of int16, those of the even lanes come first."""


@overload(_put_lanes)
def _put_lanes_of(out: Any, at: Any, v: Any) -> Any:
    def narrow(out: Any, at: Any, v: Any) -> None:
        _store_w(out, at, (_first(v, v) & _w(np.int32(0xFFFF))) ^ (_second(v, v) << _w(np.int32(16))))

    def wide(out: Any, at: Any, v: Any) -> None:
        _store_u(out, at, v)

    return narrow if out.dtype == types.int16 else wide


@njit(forceinline=True, error_model="numpy")
def _fill_chain(out: Any, k0: Any, k1: Any, sweep: Any, lane: Any, sample: Any, scale: Any, heat_bath: Any) -> None:
    limits, minus_scale = _limits(out), _f(-scale)
    p1 = _M1 * lane
    q0 = _M0 * ((p1 >> _32) ^ sweep ^ k0)
    key0, key1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    for at in range(0, out.size, 128):
        p0 = _q(_M0) * ((_ramp() + _q(np.uint64(at >> 2))) & _q(_LOW))
        q1 = _q(_M1) * (((p0 >> _q(_32)) ^ _q(sample ^ k1)) & _q(_LOW))
        c0, c2 = (q1 >> _q(_32)) ^ _q((p1 & _LOW) ^ key0), p0 ^ _q((q0 >> _32) ^ key1)
        u0, u1, u2, u3 = _rounds(c0, q1, c2, _q(q0), (key0 + _W0) & _LOW, (key1 + _W1) & _LOW)
        even = _thresholds(_near(u0, u2), minus_scale, limits, heat_bath)
        odd = _thresholds(_near(u1, u3), minus_scale, limits, heat_bath)
        _put_steps(out, at, even, odd)
        even = _thresholds(_far(u0, u2), minus_scale, limits, heat_bath)
        odd = _thresholds(_far(u1, u3), minus_scale, limits, heat_bath)
        _put_steps(out, at + 64, even, odd)


@njit(nogil=True, error_model="numpy")
def fill_chain(out: Any, k0: Any, k1: Any, sweep: Any, lane: Any, sample: Any, scale: Any, acceptance: Any) -> None:
    """Thresholds of the steps of one sweep of one chain, in step order.

    Parameters
    ----------
    out : int16 or int32 (step,), its size a multiple of 256; all of it is written
    k0, k1 : the key words
    sweep, lane, sample : the address
    scale : float32
    acceptance : METROPOLIS, HEAT_BATH or DOWNHILL
    """
    address = np.uint64(k0), np.uint64(k1), np.uint64(sweep), np.uint64(lane), np.uint64(sample)
    if acceptance == DOWNHILL:
        out[:] = -1
    elif acceptance == HEAT_BATH:
        _fill_chain(out, *address, np.float32(scale), True)
    else:
        _fill_chain(out, *address, np.float32(scale), False)


@njit(forceinline=True)
def _even_first(r: Any) -> Any:
    """Entry r of 0, 2, ..., 30, 1, 3, ..., 31."""
    return 2 * r if r < 16 else 2 * r - 31


@njit(forceinline=True)
def seed_lanes(seeds: Any, minus_scales: Any, out: Any, k0: Any, k1: Any, sweep: Any, lanes: Any, scales: Any) -> None:
    """What ``fill_lanes`` needs to know of a sweep: of two rounds of Philox, what the lanes decide.

    Parameters
    ----------
    seeds : uint64 (SEEDS,), written
    minus_scales : float32 (32,), written
    out : the array that ``fill_lanes`` will write
    k0, k1 : the key words
    sweep : the sweep
    lanes : uint64 (lane,), at most 32; the last one stands in for those that are missing
    scales : float32 (lane,)
    """
    for r in range(LANES):
        place = _even_first(r) if out.itemsize == 2 else r
        minus_scales[r] = -scales[min(place, lanes.size - 1)]
        q = _even_first(r)
        place = _even_first(q) if out.itemsize == 2 else q
        p1 = _M1 * np.uint64(lanes[min(place, lanes.size - 1)])
        q0 = _M0 * ((p1 >> _32) ^ np.uint64(sweep) ^ np.uint64(k0))
        seeds[r], seeds[r + LANES], seeds[r + 2 * LANES] = p1 & _LOW, q0 >> _32, q0 & _LOW


@njit(forceinline=True)
def _store_words(seeds: Any, k0: Any, k1: Any, block: Any, sample: Any) -> None:
    """The words of a block behind the seeds of its lanes, step by step."""
    key0, key1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
    p0 = _M0 * block
    q1 = _M1 * ((p0 >> _32) ^ sample ^ k1)
    c0, c2 = _load_q(seeds, 0) ^ _q((q1 >> _32) ^ key0), _load_q(seeds, 32) ^ _q((p0 & _LOW) ^ key1)
    u0, u1, u2, u3 = _rounds(c0, _q(q1), c2, _load_q(seeds, 64), (key0 + _W0) & _LOW, (key1 + _W1) & _LOW)
    _store_u(seeds, 96, _lanes(u0, u0))
    _store_u(seeds, 112, _lanes(u1, u1))
    _store_u(seeds, 128, _lanes(u2, u2))
    _store_u(seeds, 144, _lanes(u3, u3))


@njit(forceinline=True, error_model="numpy")
def _fill_lanes(out: Any, seeds: Any, minus_scales: Any, heat_bath: Any) -> None:
    limits, minus_scale = _limits(out), _load_f(minus_scales, 0)
    for step in range(4):
        _put_lanes(out, 32 * step, _thresholds(_load_u(seeds, 96 + 16 * step), minus_scale, limits, heat_bath))


@njit(forceinline=True)
def fill_lanes(
    out: Any, seeds: Any, minus_scales: Any, k0: Any, k1: Any, block: Any, sample: Any, acceptance: Any
) -> None:
    """Thresholds of the four steps of a block, 32 lanes each, in the order of the lanes.

    Parameters
    ----------
    out : int16 or int32 (128,), written: step t at 32 (t & 3)
    seeds, minus_scales : from ``seed_lanes`` of this sweep
    k0, k1 : the key words
    block : t >> 2
    sample : counter word of the sample
    acceptance : METROPOLIS, HEAT_BATH or DOWNHILL
    """
    if acceptance == DOWNHILL:
        for step in range(4):
            _put_lanes(out, 32 * step, _u(np.uint32(0xFFFFFFFF)))
    else:
        _store_words(seeds, np.uint64(k0), np.uint64(k1), np.uint64(block), np.uint64(sample))
        if acceptance == HEAT_BATH:
            _fill_lanes(out, seeds, minus_scales, True)
        else:
            _fill_lanes(out, seeds, minus_scales, False)
