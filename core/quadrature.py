r"""Averages over a Gaussian field, h = (mean + sd z)/T with z ~ N(0, 1), at any temperature, T = 0 included.

Two independent rules. :func:`average` takes any function: it cuts the z axis at the zero z_0 of the field and
clusters Gauss-Legendre nodes there, z = z_0 +- sinh(u)/b, so the kink of tanh at b = sd/T -> infinity costs
nothing. :func:`field` returns the few averages every replica-symmetric model needs, about forty times faster, by

    tanh h = erf(kappa h) + [tanh h - erf(kappa h)],      kappa = sqrt(pi)/2,
    E erf(kappa h) = erf(a/(S sqrt 2)),                   S^2 = b^2 + 1/(2 kappa^2),  a = mean/T,  b = sd/T,

where the bracket is short and analytic: a trapezoidal rule on fixed nodes (functions tabulated once, Gaussian
weights by a two-multiplication recurrence) errs by less than 1e-13. Below b = 0.5 Gauss-Hermite is used.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, ndtr

from .backend import Array
from .errors import require
from .jit import njit

KAPPA = math.sqrt(math.pi) / 2
_STEP = 0.2
_HALF = 95
_NARROW = 0.5
_VERY_NARROW = 0.28
_CUT = 8.7
_VANISHING = 37.0
_FROZEN = 1e-100
_ZMAX = 9.5

_Rule = tuple[Array, Array, Array, Array]
_Seven = tuple[float, float, float, float, float, float, float]


class FieldAverages(NamedTuple):
    """Averages over h = (mean + sd z)/T, each of the broadcast shape of (mean, sd, T)."""

    tanh: Array
    """E tanh h"""
    C: Array
    """E sech^2(h)/T = d(E tanh)/d mean"""
    C_mean: Array
    """dC/d mean = -2 E[tanh sech^2]/T^2"""
    C_var: Array
    """dC/d sd^2 = E[2 sech^2 - 3 sech^4]/T^3"""
    sech4: Array
    """E sech^4(h)/T^2; infinite at T = 0 unless the field keeps away from zero"""
    log2cosh: Array
    """T E ln 2cosh h; E|mean + sd z| at T = 0"""
    entropy: Array
    """E[ln 2cosh h - h tanh h], the entropy of free spins in this field"""


def _functions(h: Array) -> Array:
    """Rows: tanh - erf, sech^2, h sech^2, h^2 sech^2, sech^4, ln 2cosh - its smooth part, ln 2cosh - h tanh."""
    e = np.exp(-2 * abs(h))
    sech2 = 4 * e / (1 + e) ** 2
    smooth = h * erf(KAPPA * h) + np.exp(-((KAPPA * h) ** 2)) / (KAPPA * math.sqrt(math.pi))
    log2cosh = abs(h) + np.log1p(e)
    free = np.log1p(e) + 2 * abs(h) * e / (1 + e)
    return np.stack([np.tanh(h) - erf(KAPPA * h), sech2, h * sech2, h * h * sech2, sech2**2, log2cosh - smooth, free])


def _hermite_rule(n: int) -> Array:
    x, w = np.polynomial.hermite_e.hermegauss(n)
    return np.stack([x, w / w.sum()])


def _rule(shift: float, n_wide: int, n_narrow: int) -> _Rule:
    """Trapezoidal nodes (k + shift) step with their table, and two Gauss-Hermite rules."""
    nodes: Array = _STEP * (np.arange(-_HALF, _HALF + 1, dtype=np.float64) + shift)
    table = _functions(nodes) * (_STEP / math.sqrt(2 * math.pi))
    return nodes, table, _hermite_rule(n_wide), _hermite_rule(n_narrow)


_FAST = _rule(0.0, 48, 20)
_CHECK = _rule(0.5, 40, 16)


@njit()
def _hermite(a: float, b: float, rule: Array) -> _Seven:
    """The seven averages at unit temperature for a narrow field."""
    t = c = c1 = c2 = s4 = lc = s = 0.0
    for k in range(rule.shape[1]):
        h, w = a + b * rule[0, k], rule[1, k]
        e = math.exp(-2 * abs(h))
        i = 1 / (1 + e)
        th = math.copysign((1 - e) * i, h)
        s2 = 4 * e * i * i
        log = math.log1p(e)
        t += w * th
        c += w * s2
        c1 -= w * 2 * th * s2
        c2 += w * s2 * (2 - 3 * s2)
        s4 += w * s2 * s2
        lc += w * (abs(h) + log)
        s += w * (log + 2 * abs(h) * e * i)
    return t, c, c1, c2, s4, lc, s


@njit()
def _weights(a: float, b: float, start: float, low: int, mid: int, high: int, buffer: Array) -> int:
    """Gaussian weights of nodes low..high by recurrence, outward from the node nearest a on both sides at once.

    Returns where in the buffer node 0 would be.
    """
    zero = buffer.size // 3
    dz = _STEP / b
    z = (start + mid * _STEP - a) / b
    up = down = math.exp(-0.5 * z * z) / b
    ratio_up, ratio_down = math.exp(-dz * (z + 0.5 * dz)), math.exp(dz * (z - 0.5 * dz))
    shrink = math.exp(-dz * dz)
    centre = np.uint64(zero + mid)
    for i in range(max(high - mid, mid - low) + 1):
        buffer[centre + np.uint64(i)] = up
        buffer[centre - np.uint64(i)] = down
        up *= ratio_up
        down *= ratio_down
        ratio_up *= shrink
        ratio_down *= shrink
    return zero


@njit(fastmath={"reassoc", "contract"})
def _dots(w: Array, table: Array, low: int, high: int, zero: int) -> _Seven:
    """The weighted sums of the seven rows of the table over nodes low..high."""
    t = c = hc = hhc = s4 = lc = s = 0.0
    first, shift = np.uint64(low), np.uint64(zero)  # unsigned: a signed index that may wrap is not vectorised
    for i in range(high - low + 1):
        k = first + np.uint64(i)
        v = w[shift + k]
        t += v * table[0, k]
        c += v * table[1, k]
        hc += v * table[2, k]
        hhc += v * table[3, k]
        s4 += v * table[4, k]
        lc += v * table[5, k]
        s += v * table[6, k]
    return t, c, hc, hhc, s4, lc, s


@njit()
def _trapezoid(a: float, b: float, start: float, table: Array, buffer: Array) -> _Seven:
    """The seven averages at unit temperature for a wide field; derivatives of C as moments of z sech^2."""
    S = math.sqrt(b * b + 1 / (2 * KAPPA * KAPPA))
    y = a / (math.sqrt(2.0) * S)
    t = math.erf(y)
    smooth = a * t + S * math.sqrt(2 / math.pi) * math.exp(-y * y)
    cut = max(_CUT * b, abs(a) + 1)  # the kink stays inside, however rare
    low = math.ceil(max((a - cut - start) / _STEP, 0.0))
    high = math.floor(min((a + cut - start) / _STEP, table.shape[1] - 1.0))
    mid = round(min(max((a - start) / _STEP, low), high))
    if abs(start + mid * _STEP - a) > _VANISHING * b:
        return t, 0.0, 0.0, 0.0, 0.0, smooth, 0.0
    zero = _weights(a, b, start, low, mid, high, buffer)
    bracket, c, hc, hhc, s4, lc, s = _dots(buffer, table, low, high, zero)
    zc = (hc - a * c) / b
    zzc = (hhc - 2 * a * hc + a * a * c) / (b * b)
    return t + bracket, c, zc / b, 0.5 * (zzc - c) / (b * b), s4, smooth + lc, s


@njit()
def _frozen(mean: float, sd: float) -> _Seven:
    """The seven averages at T = 0, in units of the field."""
    if sd == 0.0:
        flat = math.inf if mean == 0.0 else 0.0
        return float(np.sign(mean)), flat, 0.0, -flat, flat, abs(mean), (math.log(2.0) if mean == 0.0 else 0.0)
    y = mean / sd
    t = math.erf(y / math.sqrt(2.0))
    c = math.sqrt(2 / math.pi) * math.exp(-0.5 * y * y) / sd
    s4 = math.inf if c > 0 else 0.0
    return t, c, -c * y / sd, 0.5 * c * (y * y - 1) / (sd * sd), s4, mean * t + sd * sd * c, 0.0


@njit()
def _hot(a: float, b: float, start: float, table: Array, wide: Array, narrow: Array, buffer: Array) -> _Seven:
    """The rule that fits the width b of the field."""
    if b >= _NARROW:
        return _trapezoid(a, b, start, table, buffer)
    return _hermite(a, b, wide if b > _VERY_NARROW else narrow)


@njit(nogil=True)
def _fill(mean: Array, sd: Array, T: Array, nodes: Array, table: Array, wide: Array, narrow: Array, out: Array) -> None:
    buffer = np.empty(3 * nodes.size)
    for i in range(mean.size):
        if not (math.isfinite(mean[i]) and math.isfinite(sd[i])):
            out[:, i] = math.nan
            continue
        if T[i] == 0.0 or T[i] < _FROZEN * max(abs(mean[i]), sd[i]):
            row = _frozen(mean[i], sd[i])
            scale = 1.0
        else:
            scale = T[i]
            row = _hot(mean[i] / scale, sd[i] / scale, nodes[0], table, wide, narrow, buffer)
        out[0, i] = row[0] if mean[i] != 0.0 else 0.0
        out[1, i] = row[1] / scale
        out[2, i] = (row[2] / scale) / scale if mean[i] != 0.0 else 0.0
        out[3, i] = ((row[3] / scale) / scale) / scale
        out[4, i] = (row[4] / scale) / scale
        out[5, i] = row[5] * scale
        out[6, i] = row[6]


def _grid(mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> tuple[tuple[Array, Array, Array], tuple[int, ...]]:
    given = [np.asarray(v, np.float64) for v in (mean, sd, T)]
    shape = np.broadcast_shapes(*(v.shape for v in given))
    a, b, c = (np.array(np.broadcast_to(v, shape)).ravel() for v in given)
    return (a, b, c), shape


def _by(rule: _Rule, mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> Array:
    flat, shape = _grid(mean, sd, T)
    require(~(flat[1] < 0), "sd", flat[1], ">= 0")
    require(~(flat[2] < 0), "T", flat[2], ">= 0")
    out = np.empty((7, flat[0].size))
    _fill(*flat, *rule, out)
    return out.reshape(7, *shape)


def field(mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> FieldAverages:
    r"""Averages over the Gaussian field h = (mean + sd z)/T that replica-symmetric equations are made of.

    .. math:: E f = \int \frac{dz}{\sqrt{2\pi}} e^{-z^2/2} f\Bigl(\frac{mean + sd\, z}{T}\Bigr)

    Parameters
    ----------
    mean, sd, T : array_like
        Mean and standard deviation (>= 0) of the local field and temperature (>= 0), in units of J;
        broadcast together. A field that is not finite gives nan.

    Returns
    -------
    FieldAverages
        Seven arrays of the broadcast shape; derivatives are by Stein's lemma. T = 0 is the exact limit.
        The error is below 1e-13 of each average's natural scale (:func:`field_error` estimates it).

    Raises
    ------
    ValueError
        If sd or T is negative.

    Examples
    --------
    >>> f = field(mean=1.0, sd=0.5, T=0.2)
    >>> round(float(f.tanh), 12), round(float(f.C), 12)
    (0.939838648432, 0.255210545184)
    """
    return FieldAverages(*_by(_FAST, mean, sd, T))


def field_error(mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> FieldAverages:
    """Error estimates of :func:`field`: its distance from the rule with shifted nodes, plus round-off.

    The leading error of a trapezoidal rule changes sign when its nodes move by half a step, so the distance
    is twice that error; the narrow-field rule is compared with one of eight nodes fewer.
    """
    fast, check = _by(_FAST, mean, sd, T), _by(_CHECK, mean, sd, T)
    with np.errstate(invalid="ignore"):
        return FieldAverages(*np.where(np.isinf(fast), 0.0, abs(fast - check) + 4e-16 * abs(fast)))


def _split(function: Callable[[Array], Array], mean: Array, sd: Array, T: Array, n: int) -> Array:
    """Four Gauss-Legendre panels: within one unit of z of the zero z_0 of the field, z = z_0 +- sinh(u)/b on
    each side; uniform nodes in the two outer ones.
    """
    x, w = np.polynomial.legendre.leggauss(n)
    x, w = (x + 1) / 2, w / 2
    zero = -mean / np.where(sd > 0, sd, np.inf)
    inside = abs(zero) < _ZMAX
    zero = np.where(inside, zero, 0.0)[..., None]
    b = np.where(inside, np.maximum(sd / T, 1.0), 1.0)[..., None]
    total: Array = np.zeros(mean.shape)
    for side in (-1.0, 1.0):
        reach = np.maximum(_ZMAX - side * zero, 0.0)
        near = np.arcsinh(b * np.minimum(reach, 1.0))
        far = np.maximum(reach - 1.0, 0.0)
        inner = np.sinh(near * x) / b, w * near * np.cosh(near * x) / b
        outer = 1.0 + far * x, w * far
        for distance, weight in (inner, outer):
            z = zero + side * distance
            h = (mean[..., None] + sd[..., None] * z) / T[..., None]
            gauss = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
            total = total + (weight * gauss * function(h)).sum(-1)
    return total


def average(
    function: Callable[[Array], Array], mean: ArrayLike, sd: ArrayLike, T: ArrayLike = 1.0
) -> tuple[Array, Array]:
    r"""Gaussian average of any function of the field, with an error estimate.

    .. math:: \int \frac{dz}{\sqrt{2\pi}} e^{-z^2/2} f\Bigl(\frac{mean + sd\, z}{T}\Bigr)

    Parameters
    ----------
    function : callable
        f, taking an array of fields h of any shape. Smooth but for scale-one structure at h = 0; at T = 0 it
        is asked for f(+inf) and f(-inf), and must have these limits.
    mean, sd, T : array_like
        As in :func:`field`.

    Returns
    -------
    value, error : arrays of the broadcast shape
        The value by four panels of 56 nodes, and its distance from that by panels of 40.

    Examples
    --------
    >>> value, error = average(lambda h: np.tanh(h) ** 2, mean=100.0, sd=150.0)
    >>> round(float(value), 12), bool(error < 1e-9)
    (0.995740736508, True)
    """
    flat, shape = _grid(mean, sd, T)
    require(flat[1] >= 0, "sd", flat[1], ">= 0")
    require(flat[2] >= 0, "T", flat[2], ">= 0")
    value, error = np.empty(flat[0].size), np.empty(flat[0].size)
    hot = flat[2] > 0
    warm = flat[0][hot], flat[1][hot], flat[2][hot]
    value[hot] = _split(function, *warm, 56)
    error[hot] = abs(value[hot] - _split(function, *warm, 40))
    value[~hot], error[~hot] = _cold(function, flat[0][~hot], flat[1][~hot]), 0.0
    return value.reshape(shape), error.reshape(shape)


def _cold(function: Callable[[Array], Array], mean: Array, sd: Array) -> Array:
    """T = 0: the field is +inf or -inf, or 0 where mean and sd both vanish."""
    with np.errstate(divide="ignore", invalid="ignore"):
        up = ndtr(np.where(sd > 0, mean / sd, np.sign(mean) * np.inf))
    ends: NDArray[np.float64] = function(np.array([np.inf, -np.inf]))
    split = up * ends[0] + (1 - up) * ends[1]
    return np.where((mean == 0) & (sd == 0), function(np.zeros(mean.shape)), split)
