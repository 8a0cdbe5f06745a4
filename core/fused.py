r"""The fast rule behind :func:`mattis.core.quadrature.field`: seven averages over a Gaussian field in one pass.

    tanh h = erf(kappa h) + [tanh h - erf(kappa h)],      kappa = sqrt(pi)/2,
    E erf(kappa h) = erf(a/(S sqrt 2)),                   S^2 = b^2 + 1/(2 kappa^2),  a = mean/T,  b = sd/T,

where the bracket is short and analytic: a trapezoidal rule on fixed nodes, the functions tabulated once, Gaussian
weights by a two-multiplication recurrence. A narrow field is averaged by Gauss-Hermite.
"""

import math

import numpy as np
from scipy.special import erf

from .backend import Array
from .jit import njit

KAPPA = math.sqrt(math.pi) / 2
_STEP, _HALF = 0.2, 95  # nodes in |h| <= 19, where the bracket is below 1e-16; the step leaves sech^4 1e-15
_NARROW, _VERY_NARROW = 0.35, 0.2  # widths sd/T below which Gauss-Hermite rules are better
_CUT = 8.7  # widths of the Gaussian kept: exp(-8.7^2/2) = 4e-17
_VANISHING = 37.0  # widths at which its weight underflows
_FROZEN = 1e-100  # T (or sd) relative to the field below which the limit is exact

Rule = tuple[Array, Array, Array, Array]
_Seven = tuple[float, float, float, float, float, float, float]


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


def _rule(shift: float, n_wide: int, n_narrow: int) -> Rule:
    """Trapezoidal nodes (k + shift) step with their table, and two Gauss-Hermite rules."""
    nodes: Array = _STEP * (np.arange(-_HALF, _HALF + 1, dtype=np.float64) + shift)
    table = _functions(nodes) * (_STEP / math.sqrt(2 * math.pi))
    return nodes, table, _hermite_rule(n_wide), _hermite_rule(n_narrow)


FAST = _rule(0.0, 40, 22)
CHECK = _rule(0.5, 34, 18)


@njit(error_model="numpy")
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


@njit(error_model="numpy")
def _weights(a: float, b: float, start: float, low: int, high: int, buffer: Array) -> int:
    """Gaussian weights of nodes low..high by recurrence, outward from the middle on both sides at once.

    Begun afresh every 32 nodes, or the rounded ratios would add up to 3e-13. Returns where node 0 is in the buffer.
    """
    zero = buffer.size // 3
    mid = (low + high) // 2
    dz = _STEP / b
    z = (start + mid * _STEP - a) / b
    shrink = math.exp(-dz * dz)
    centre = np.uint64(zero + mid)
    for block in range(0, high - mid + 1, 32):
        above, below = z + block * dz, z - block * dz
        up, down = math.exp(-0.5 * above * above) / b, math.exp(-0.5 * below * below) / b
        ratio_up, ratio_down = math.exp(-dz * (above + 0.5 * dz)), math.exp(dz * (below - 0.5 * dz))
        for i in range(block, min(block + 32, high - mid + 1)):
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


@njit(error_model="numpy")
def _trapezoid(a: float, b: float, start: float, table: Array, buffer: Array) -> _Seven:
    """The seven averages at unit temperature for a wide field; derivatives of C as moments of z sech^2."""
    S = math.sqrt(b * b + 1 / (2 * KAPPA * KAPPA))
    y = a / (math.sqrt(2.0) * S)
    t = math.erf(y)
    smooth = a * t + S * math.sqrt(2 / math.pi) * math.exp(-y * y)
    cut = max(_CUT * b, abs(a) + 1)  # the kink stays inside, however rare
    low = math.ceil(max((a - cut - start) / _STEP, 0.0))
    high = math.floor(min((a + cut - start) / _STEP, table.shape[1] - 1.0))
    if max(abs(a) - abs(start), 0.0) > _VANISHING * b:
        return t, 0.0, 0.0, 0.0, 0.0, smooth, 0.0
    zero = _weights(a, b, start, low, high, buffer)
    bracket, c, hc, hhc, s4, lc, s = _dots(buffer, table, low, high, zero)
    zc = (hc - a * c) / b
    zzc = (hhc - 2 * a * hc + a * a * c) / (b * b)
    return t + bracket, c, zc / b, 0.5 * (zzc - c) / (b * b), s4, smooth + lc, s


@njit(error_model="numpy")
def _frozen(mean: float, sd: float) -> _Seven:
    """The seven averages at T = 0, in units of the field."""
    if sd <= _FROZEN * abs(mean):
        flat = math.inf if mean == 0.0 else 0.0
        return float(np.sign(mean)), flat, 0.0, -flat, flat, abs(mean), (math.log(2.0) if mean == 0.0 else 0.0)
    y = mean / sd
    t = math.erf(y / math.sqrt(2.0))
    density = math.sqrt(2 / math.pi) * math.exp(-0.5 * y * y)
    c = density / sd
    s4 = math.inf if c > 0 else 0.0
    return t, c, -c * y / sd, 0.5 * c * (y * y - 1) / sd / sd, s4, mean * t + sd * density, 0.0


@njit(error_model="numpy")
def _hot(a: float, b: float, start: float, table: Array, wide: Array, narrow: Array, buffer: Array) -> _Seven:
    """The rule that fits the width b of the field."""
    if b >= _NARROW:
        return _trapezoid(a, b, start, table, buffer)
    return _hermite(a, b, wide if b > _VERY_NARROW else narrow)


@njit(error_model="numpy")
def one(mean: float, sd: float, T: float, rule: Rule, buffer: Array) -> _Seven:
    """The seven averages of one field: E tanh, C, dC/d mean, dC/d sd^2, E sech^4/T^2, T E ln 2cosh, E[ln 2cosh -
    h tanh]. ``buffer`` is of three times the size of the nodes.
    """
    nodes, table, wide, narrow = rule
    if not (math.isfinite(mean) and math.isfinite(sd)):
        return math.nan, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan
    scale = T
    if T == 0.0 or _FROZEN * max(abs(mean), sd) > T:
        row = _frozen(mean, sd)
        scale = 1.0
    else:
        row = _hot(mean / scale, sd / scale, nodes[0], table, wide, narrow, buffer)
    return (
        row[0] if mean != 0.0 else 0.0,
        row[1] / scale,
        (row[2] / scale) / scale if mean != 0.0 else 0.0,
        ((row[3] / scale) / scale) / scale,
        (row[4] / scale) / scale,
        row[5] * scale,
        row[6],
    )


@njit(nogil=True, error_model="numpy")
def fill(mean: Array, sd: Array, T: Array, nodes: Array, table: Array, wide: Array, narrow: Array, out: Array) -> None:
    """Fill out (7, points) with the averages of ``one``."""
    buffer = np.empty(3 * nodes.size)
    rule = (nodes, table, wide, narrow)
    for i in range(mean.size):
        row = one(mean[i], sd[i], T[i], rule, buffer)
        for j in range(7):
            out[j, i] = row[j]
