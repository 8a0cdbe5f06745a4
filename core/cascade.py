r"""Averages over a cascade of Gaussian fields, the nested recursion of broken replica symmetry.

    Y_{k+1}(h) = T ln 2cosh(h/T),      Y_j(h) = (1/y_j) ln E exp[y_j Y_{j+1}(h + s_j z)],   j = k..1,

in units of energy, |h| for Y_{k+1} at T = 0. With <.>_j the average so tilted, t_j = Y'_{j+1}, c_j = Y''_{j+1}:

    t_{j-1} = <t_j>_j,      c_{j-1} = <c_j>_j + y_j (<t_j^2>_j - <t_j>_j^2),      dY_j/dy_j = (<Y_{j+1}>_j - Y_j)/y_j.

The innermost step is exact at T = 0 (error functions); at T > 0 the spins frozen by |h| > 18 T are taken so, and the
others by Gauss-Legendre nodes from the kink outwards, or by a trapezoidal rule where the field is narrow. All other
steps are trapezoidal rules on the uniform grid of the function averaged, whose spacing follows s_j: they converge
exponentially. Beyond the grid Y is |h| + const. Averages over the path of the field are a second pass, outwards in.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .backend import Array
from .jit import njit

_CUT = 9.0  # standard deviations kept: exp(-40)
_FROZEN = 18.0  # |h|/T beyond which tanh is 1: exp(-36)
_WIDE = 1.5  # s/T above which the nodes of the kink are used
_u, _w = np.polynomial.legendre.leggauss(48)
_U, _W = _FROZEN * (_u + 1) / 2, _FROZEN * _w / 2
_E = np.exp(-2 * _U)
_LOG, _TANH, _SECH2 = _U + np.log1p(_E), np.tanh(_U), 4 * _E / (1 + _E) ** 2
_FREE = np.log1p(_E) + 2 * _U * _E / (1 + _E)
_MOST = 2**23  # weights kept, 64 MiB
_Seven = tuple[float, float, float, float, float, float, float]


class Cascade(NamedTuple):
    """Averages over the cascade; q, replicon and slope per level."""

    Y: float
    """E Y_1"""
    t: float
    """E t_0"""
    v_t: float
    """E v t_0"""
    response: float
    """E c_0, how t follows a field on all replicas"""
    vv_response: float
    """E v^2 c_0"""
    C: float
    """E sech^2/T of the innermost field"""
    entropy: float
    """E[ln 2cosh h - h tanh h] of the innermost field"""
    q: Array
    """E t_j^2, j = 0..k"""
    c2: Array
    """E c_j^2, j = 0..k; infinite for j = k at T = 0"""
    slope: Array
    """dE Y_1/dy_j at fixed s, j = 1..k"""


@njit(error_model="numpy")
def _log_ndtr(x: float) -> float:
    """ln of the normal distribution function."""
    if x > -8.0:
        return math.log(0.5 * math.erfc(-x / math.sqrt(2.0)))
    i = 1 / (x * x)
    series = 1 - i * (1 - 3 * i * (1 - 5 * i * (1 - 7 * i * (1 - 9 * i * (1 - 11 * i * (1 - 13 * i))))))
    return -0.5 * x * x - math.log(-x * math.sqrt(2 * math.pi)) + math.log(series)


@njit(error_model="numpy")
def _hard(h: float, s: float, y: float, a: float, ref: float) -> tuple[float, float, float]:
    """Where |h'| > a, Y = |h'|: weight, weight times sign, weight times |h'|, relative to exp(ref)."""
    up = math.exp(y * h + _log_ndtr((h - a) / s + y * s) + 0.5 * (y * s) ** 2 - ref)
    down = math.exp(-y * h + _log_ndtr((-h - a) / s + y * s) + 0.5 * (y * s) ** 2 - ref)
    edge = math.exp(-0.5 * ((a - h) / s) ** 2 + y * a - ref) + math.exp(-0.5 * ((a + h) / s) ** 2 + y * a - ref)
    mean = (h + y * s * s) * up + (-h + y * s * s) * down + s * edge / math.sqrt(2 * math.pi)
    return up + down, up - down, mean


@njit(error_model="numpy")
def _frozen(h: float, s: float, y: float) -> _Seven:
    """The innermost step at T = 0: Y, <t>, <t^2>, <c>, <c^2>, <entropy>, <|h|>."""
    plus, minus = y * h + _log_ndtr(h / s + y * s), -y * h + _log_ndtr(-h / s + y * s)
    top = max(plus, minus)
    log = top + math.log(math.exp(plus - top) + math.exp(minus - top)) + 0.5 * (y * s) ** 2
    weight, sign, mean = _hard(h, s, y, 0.0, log)
    C = 2 * math.exp(-0.5 * (h / s) ** 2 - log) / (s * math.sqrt(2 * math.pi))
    return log / y, sign / weight, 1.0, C, math.inf, 0.0, mean / weight


@njit(error_model="numpy")
def _wide(h: float, s: float, y: float, T: float) -> _Seven:
    """The innermost step where the field is wider than T: frozen spins and nodes of the others."""
    plus, minus = y * h + _log_ndtr(h / s + y * s), -y * h + _log_ndtr(-h / s + y * s)
    ref = max(plus, minus) + 0.5 * (y * s) ** 2
    z, odd, mean = _hard(h, s, y, _FROZEN * T, ref)
    even, c, c2, free = z, 0.0, 0.0, 0.0
    x, scale = y * T, T / (s * math.sqrt(2 * math.pi))
    for b in range(_U.size):
        up, down = (_U[b] * T - h) / s, (_U[b] * T + h) / s
        log = x * _LOG[b] - ref
        above, below = math.exp(log - 0.5 * up * up), math.exp(log - 0.5 * down * down)
        w = _W[b] * scale * (above + below)
        z += w
        odd += _W[b] * scale * (above - below) * _TANH[b]
        even += w * _TANH[b] ** 2
        c += w * _SECH2[b]
        c2 += w * _SECH2[b] ** 2
        free += w * _FREE[b]
        mean += w * T * _LOG[b]
    return (math.log(z) + ref) / y, odd / z, even / z, c / (z * T), c2 / (z * T * T), free / z, mean / z


@njit(error_model="numpy")
def _narrow(h: float, s: float, y: float, T: float) -> _Seven:
    """The innermost step where the field is not much wider than T: a trapezoidal rule."""
    step = min(0.45, math.pi**2 * T / (36 * s))
    reach = _CUT + y * s
    n = math.ceil(reach / step)
    ref = y * (abs(h) + T)
    z = odd = even = c = c2 = free = mean = 0.0
    for b in range(-n, n + 1):
        u = (h + s * b * step) / T
        e = math.exp(-2 * abs(u))
        log, i = abs(u) + math.log1p(e), 1 / (1 + e)
        w = math.exp(y * T * log - 0.5 * (b * step) ** 2 - ref)
        t, sech2 = math.copysign((1 - e) * i, u), 4 * e * i * i
        z += w
        odd += w * t
        even += w * t * t
        c += w * sech2
        c2 += w * sech2 * sech2
        free += w * (math.log1p(e) + 2 * abs(u) * e * i)
        mean += w * T * log
    log_z = math.log(z * step / math.sqrt(2 * math.pi)) + ref
    return log_z / y, odd / z, even / z, c / (z * T), c2 / (z * T * T), free / z, mean / z


@njit(error_model="numpy")
def _innermost(h: float, s: float, y: float, T: float) -> _Seven:
    if T == 0:
        return _frozen(h, s, y)
    if s > _WIDE * T:
        return _wide(h, s, y, T)
    return _narrow(h, s, y, T)


@njit(error_model="numpy")
def _step(
    targets: Array, s: float, y: float, step: float, shift: float, f: Array, size: int, weights: Array, out: Array
) -> None:
    """One step from the function f = (Y, t, c) on its grid to the targets, and the weights it used.

    Y - |h| = shift beyond the grid. Rows of out: Y, t, c, <t^2>, <c^2>, dY/dy.
    """
    cut = _CUT * s + y * s * s
    for a in range(targets.size):
        h = targets[a]
        low, high = math.ceil((h - cut) / step), math.floor((h + cut) / step)
        ref = y * (abs(h) + shift) + 0.5 * (y * s) ** 2
        z = odd = even = c = c2 = mean = 0.0
        for b in range(low, high + 1):
            i = abs(b)
            near = i < size
            Y = f[0, i] if near else i * step + shift
            t, curved = (f[1, i], f[2, i]) if near else (1.0, 0.0)
            w = math.exp(y * Y - 0.5 * ((b * step - h) / s) ** 2 - ref)
            weights[a, b - low] = w
            z += w
            odd += w * (t if b > 0 else -t)
            even += w * t * t
            c += w * curved
            c2 += w * curved * curved
            mean += w * Y
        for b in range(high - low + 1):
            weights[a, b] /= z
        t = odd / z
        Y = (math.log(z * step / (s * math.sqrt(2 * math.pi))) + ref) / y
        out[0, a], out[1, a], out[2, a] = Y, t, c / z + y * (even / z - t * t)
        out[3, a], out[4, a], out[5, a] = even / z, c2 / z, (mean / z - Y) / y


@njit(error_model="numpy")
def _spread(targets: Array, density: Array, s: float, y: float, step: float, weights: Array, onward: Array) -> float:
    """Carry the density of the targets through a step to the grid; returns what leaves the grid."""
    cut, left = _CUT * s + y * s * s, 0.0
    for a in range(targets.size):
        low, high = math.ceil((targets[a] - cut) / step), math.floor((targets[a] + cut) / step)
        for b in range(low, high + 1):
            mass = density[a] * weights[a, b - low]
            if abs(b) < onward.size:
                onward[abs(b)] += mass
            else:
                left += mass
    return left


@njit(error_model="numpy")
def _run(
    h: Array,
    density: Array,
    v: Array,
    s: Array,
    y: Array,
    T: float,
    steps: Array,
    sizes: NDArray[np.int64],
    widths: NDArray[np.int64],
    shifts: Array,
) -> tuple[float, float, float, float, float, float, float, Array, Array, Array]:
    """Both passes; see ``Cascade``. The functions averaged by steps 1..k-1 live on grids of these steps and sizes."""
    k, widest = s.size, max(sizes.max(), h.size)
    out = np.empty((k, 8, widest))
    weights = [np.empty((h.size if j == 0 else sizes[j - 1], widths[j])) for j in range(k - 1)]
    for j in range(k - 1, -1, -1):
        targets = h if j == 0 else np.arange(sizes[j - 1]) * steps[j - 1]
        if j < k - 1:
            _step(targets, s[j], y[j], steps[j], shifts[j], out[j + 1], sizes[j], weights[j], out[j])
            continue
        for a in range(targets.size):
            Y, t, t2, C, c2, S, mean = _innermost(targets[a], s[j], y[j], T)
            out[j, 0, a], out[j, 1, a], out[j, 2, a] = Y, t, C + y[j] * (t2 - t * t)
            out[j, 3, a], out[j, 4, a], out[j, 5, a] = t2, c2, (mean - Y) / y[j]
            out[j, 6, a], out[j, 7, a] = C, S
    top = out[0, :, : h.size]
    q, c2s, slope = np.zeros(k + 1), np.zeros(k + 1), np.zeros(k)
    q[0], c2s[0] = (density * top[1] ** 2).sum(), (density * top[2] ** 2).sum()
    Y0, t0, v_t = (density * top[0]).sum(), (density * top[1]).sum(), (density * v * top[1]).sum()
    c0, vv_c0 = (density * top[2]).sum(), (density * v * v * top[2]).sum()
    beyond, targets = 0.0, h
    for j in range(k):
        inside = out[j, :, : targets.size]
        q[j + 1] = beyond + (density * inside[3]).sum()
        c2s[j + 1] = (density * inside[4]).sum()
        slope[j] = 0.5 * beyond * s[j] ** 2 + (density * inside[5]).sum()
        if j < k - 1:
            onward = np.zeros(sizes[j])
            beyond += _spread(targets, density, s[j], y[j], steps[j], weights[j], onward)
            density, targets = onward, np.arange(sizes[j]) * steps[j]
    last = out[k - 1, :, : targets.size]
    return Y0, t0, v_t, c0, vv_c0, (density * last[6]).sum(), (density * last[7]).sum(), q, c2s, slope


def widest_step(s: float, y: float, T: float) -> float:
    """How far apart fields may be where a step (s, y) follows: what it makes is smooth on the scale of s or T, and its
    singularities lie pi/(2y) off.
    """
    return min(max(0.36 * s, 0.18 * T), 0.18 / y)


def cascade(h: Array, weights: Array, v: Array, s: Array, y: Array, T: float, fineness: float = 1.0) -> Cascade:
    """The averages for fields h of these weights, which see the mean examples v, and steps (s_j, y_j), j = 1..k.

    Every s_j and y_j is > 0. ``fineness`` > 1 takes finer grids: the difference tells their error. All nan where a grid
    would be too large: steps so strong, or so unlike, are far from any solution.

    >>> point = cascade(np.zeros(1), np.ones(1), np.ones(1), np.array([1.0]), np.array([1.5]), 0.0)
    >>> round(point.Y, 10)  # (1/y) ln[2 Phi(y)] + y/2
    1.1660024833
    """
    k = s.size
    rest, pull = np.cumsum((s**2)[::-1])[::-1], np.cumsum((y * s**2)[::-1])[::-1]
    steps = np.array([min(0.6 * s[j], widest_step(s[j + 1], y[j + 1], T)) for j in range(k - 1)]) / fineness
    reach = _CUT * np.sqrt(rest[1:]) + pull[1:] + (_FROZEN + 2) * T
    width = 2 * (_CUT * s[:-1] + y[:-1] * s[:-1] ** 2) / steps + 2
    targets = np.append(h.size, reach / steps)[: k - 1]
    if not h.size + float(targets @ width) < _MOST:
        nan, nothing = math.nan, np.full(k + 1, math.nan)
        return Cascade(nan, nan, nan, nan, nan, nan, nan, nothing, nothing, nothing[1:])
    sizes = np.append(np.ceil(reach / steps) + 1, 1).astype(np.int64)
    return Cascade(*_run(h, weights, v, s, y, float(T), steps, sizes, width.astype(np.int64), 0.5 * pull[1:]))
