r"""Pairs of inputs so close that the difference of their kernels must be carried, not formed.

The state is E = sqrt(q1 q2) - k and D = (q1 + q2)/2 - k = E + h, TD of the NTK as D, dl = q1 - q2, ta = (t11 - t22)/2,
k and t. With A, C as in ``distances`` and s = sigma_b^2, every other constant multiplied by sigma_w^2, and with
S = sqrt q1 + sqrt q2, h = dl^2/(2 S^2), one ABRelu layer is

    c = E/sqrt(q1 q2) = 1 - rho,    E' = A E - C sqrt(q1 q2) J + (A h/S'^2) (S'^2 - A S^2),
    S'^2 - A S^2 = 2 s (1 + (A (q1 + q2) + s)/(sqrt(q1' q2') + A sqrt(q1 q2))),
    D' = E' + h',  TD' = D' + A TD + C theta t,  dl' = A dl,  ta' = dl'/2 + A ta,  t' = k' + (A - C theta) t,

and one Erf layer follows from the half sum m and half difference e of the angles of the diagonal (see ``_erf``).
k is sqrt(q1 q2) - E while the pair is close and has its own recursion once it has parted. The first E and dl come from
the inputs: with w = sigma_w^2/d, b = sigma_b^2 and y_ the part of y across x,

    D = w |x - y|^2/2,   dl = w (x - y).(x + y),   E = (w |x|^2 w |y_|^2 + w b |x - y|^2)/(sqrt(q1 q2) + k).

Errors at the double-precision inputs stay below 1e-13 at any distance, of parallel inputs too, and at depth 100. An
ABRelu layer behind an Erf layer starts from E = D - h, which loses digits where the inputs differ in length alone.

The covariance of an even unit, al = -be, is the same for x and -y: without a bias before it, opposite inputs are close.
"""

from math import asin, cos, frexp, ldexp, pi, sin, sqrt
from typing import Any

import numpy as np

from ...core.jit import njit
from .arcs import STRIP, angle_and_arc, arcsine

EXACT = {"nogil": True, "boundscheck": False, "error_model": "numpy"}
"""Of functions that compute rounding errors: the compiler may not fuse their operations."""
SUM = {"nogil": True, "boundscheck": False, "fastmath": {"reassoc", "contract"}}
"""Of sums in any order."""
SPLITTER = 134217729.0
"""2^27 + 1, which cuts a double in halves."""
FAR = 0.25
"""Of 1 - rho: beyond, sqrt(q1 q2) - k of the inputs has all digits."""


@njit(inline="always", **STRIP)
def _abrelu(
    E: float, TD: float, dl: float, ta: float, k: float, t: float, q1: float, q2: float, n1: float, n2: float, law: Any
) -> tuple[float, float, float, float, float, float, float]:
    """``q1``, ``q2`` are the variances before the layer, ``n1``, ``n2`` those after it."""
    A, C, shift = law[1], law[2], law[5]
    scale, next_scale = sqrt(q1) * sqrt(q2), sqrt(n1) * sqrt(n2)
    c = min(2.0, max(0.0, E / scale)) if scale > 0.0 else 1.0
    theta, J = angle_and_arc(c)
    slope = A - C * theta
    E_next = A * E - C * scale * J
    if shift > 0.0:
        parted = 1.0 + (A * (q1 + q2) + shift) / (next_scale + A * scale)
        E_next += A * _unequal(dl, q1, q2) * 2.0 * shift * parted / (sqrt(n1) + sqrt(n2)) ** 2
    dl_next = A * dl
    D_next = E_next + _unequal(dl_next, n1, n2)
    k_next = next_scale - E_next
    if E_next > FAR * next_scale:
        k_next = C * scale * sqrt(c * (2.0 - c)) + slope * k + shift
    return (
        E_next, D_next, D_next + A * TD + C * theta * t, dl_next, 0.5 * dl_next + A * ta, k_next, k_next + slope * t,
    )  # fmt: skip


@njit(inline="always", **STRIP)
def _unequal(dl: float, q1: float, q2: float) -> float:
    """h = (sqrt q1 - sqrt q2)^2/2 from the difference of the q."""
    s = sqrt(q1) + sqrt(q2)
    return 0.5 * (dl / s) ** 2 if s > 0.0 else 0.0


@njit(inline="always", **STRIP)
def _erf(
    D: float, TD: float, dl: float, ta: float, q1: float, q2: float, tm: float, law: Any
) -> tuple[float, float, float, float]:
    """The angles of the diagonal are m + e and m - e, that of the pair follows from f."""
    gain, rate, square = law[1], law[2], 0.5 * law[3]
    q1, q2, D, dl = square * q1, square * q2, square * D, square * dl
    a, b = 1.0 + 2.0 * q1, 1.0 + 2.0 * q2
    G = sqrt(a * b)
    H = 2.0 * (dl / (sqrt(a) + sqrt(b))) ** 2
    p, r = sqrt(1.0 + 4.0 * q1), sqrt(1.0 + 4.0 * q2)
    m = asin(1.0 / sqrt(2.0 * a)) + asin(1.0 / sqrt(2.0 * b))
    e = -asin(dl / (a * b * sin(m)))
    w = (1.0 - H + 2.0 * D) / G
    f = 2.0 * asin(sqrt(min(1.0, 0.5 * w)))
    nu = (2.0 * D - H * (1.0 + 1.0 / G)) / G + (1.0 - (a + b) / (2.0 * a * b)) * 2.0 * sin(0.5 * e) ** 2 / cos(e)
    D_next = 2.0 * gain * asin(nu / (2.0 * sin(0.5 * (f + m))))
    dl_next = -2.0 * gain * e
    X = dl * dl * (8.0 / (p + r) ** 2 - 1.0) + 4.0 * D * (q1 + q2 - D)
    s = sqrt(p * r + X)
    skew = 4.0 * dl / ((p + r) * (sqrt(p) + sqrt(r)))
    Q = ((p + r) * X / (s + sqrt(p * r)) + sqrt(p * r) * skew * skew) / (p * r * s)
    R = -4.0 * dl / ((p + r) * p * r)
    TD_next = D_next + rate * (0.5 * tm * Q + 0.5 * ta * R + TD / s)
    ta_next = 0.5 * dl_next + 0.5 * rate * (ta * (1.0 / p + 1.0 / r) + tm * R)
    return D_next, TD_next, dl_next, ta_next


@njit(inline="always", **STRIP)
def _erf_covariances(k: float, t: float, q1: float, q2: float, law: Any) -> tuple[float, float]:
    """The covariances after a layer, as in ``strips``; for pairs that have parted."""
    w1, w2 = 1.0 / sqrt(1.0 + law[3] * q1), 1.0 / sqrt(1.0 + law[3] * q2)
    arc, root = arcsine(law[3] * k * w1 * w2, w1, w2)
    k = law[1] * arc + law[5]
    return k, k + law[2] * w1 * w2 / root * t


@njit(**EXACT)
def _product(a: float, b: float) -> tuple[float, float]:
    """a b and its rounding error (Dekker)."""
    c, d = SPLITTER * a, SPLITTER * b
    high_a, high_b = c - (c - a), d - (d - b)
    low_a, low_b = a - high_a, b - high_b
    p = a * b
    return p, ((high_a * high_b - p) + high_a * low_b + low_a * high_b) + low_a * low_b


@njit(**SUM)
def _dot(x: Any, y: Any) -> float:
    total = 0.0
    for a in range(x.size):
        total += x[a] * y[a]
    return total


@njit(**EXACT)
def _across(u: Any, v: Any, across: Any) -> tuple[float, float]:
    """|u|^2 and |v_|^2, v_ the part of v across u, the longer: z = v - (v_p/u_p) u, then v_ = z - (z.u/|u|^2) u.

    u_p is the largest component; z, in ``across``, has no cancellation, and is zero if v is exactly parallel to u.
    """
    square = _dot(u, u)
    if square == 0.0:
        return 0.0, 0.0
    p = np.argmax(np.abs(u))
    a, power = frexp(u[p])
    b = ldexp(v[p], -power)
    inverse = 1.0 / a
    for j in range(u.size):
        one, e = _product(a, v[j])
        two, f = _product(b, u[j])
        across[j] = ((one - two) + (e - f)) * inverse
    along = _dot(u, across) / square
    for j in range(u.size):
        across[j] -= along * u[j]
    return square, _dot(across, across)


@njit(**EXACT)
def _start(
    x: Any, y: Any, even: bool, w: float, b: float, root: float, buffer: Any
) -> tuple[float, float, float, float]:
    """E, D, dl and k of the first map, ``root`` is sqrt(q1 q2); of x and -y if ``even`` and these are the closer."""
    gap, total, inner = x - y, x + y, _dot(x, y)
    product = _dot(gap, total)
    turn = even and inner < 0.0
    square = _dot(total, total) if turn else _dot(gap, gap)
    k = (-w if turn else w) * inner + b
    E = root - k
    if k > (1.0 - FAR) * root:
        long, across = _across(x, y, buffer) if product > 0.0 else _across(y, x, buffer)
        E = w * long / (root + k) * (w * across) + b / (root + k) * (w * square)
        k = root - E
    return E, 0.5 * w * square, w * product, k


@njit(**STRIP)
def even_start(laws: Any) -> bool:
    """Whether the kernel is the same for x and -y: al = -be to rounding behind a first map without bias."""
    A, C = laws[1, 1], laws[1, 2]
    return bool(laws[0, 5] == 0.0 and laws[1, 0] == 0.0 and abs(A - 0.5 * pi * C) < 1e-15 * A)


@njit(**STRIP)
def close_pairs(
    near: Any, at: Any, x1: Any, x2: Any, laws: Any, q1: Any, q2: Any, t1: Any, t2: Any, level: Any,
    K: Any, T: Any, D_out: Any, TD_out: Any, lower: bool,
) -> None:  # fmt: skip
    """Do the pairs marked in ``near`` again and overwrite them in K, T, 2 D, 2 TD, both triangles if ``lower``."""
    i0, j0 = at[0], at[2]
    even, buffer = even_start(laws), np.empty(x1.shape[1])
    for i in range(i0, i0 + near.shape[0]):
        for j in range(j0, j0 + near.shape[1]):
            if near[i - i0, j - j0] and not (lower and j >= i):
                root = sqrt(q1[0, i]) * sqrt(q2[0, j])
                E, D, dl, k = _start(x1[i], x2[j], even, laws[0, 1], laws[0, 5], root, buffer)
                TD, ta, t = D, 0.5 * dl, k
                for layer in range(level.size):
                    law, a, b, c, d = laws[layer + 1], q1[layer, i], q2[layer, j], q1[layer + 1, i], q2[layer + 1, j]
                    if law[0] == 0.0:
                        E, D, TD, dl, ta, k, t = _abrelu(E, TD, dl, ta, k, t, a, b, c, d, law)
                    else:
                        k, t = _erf_covariances(k, t, a, b, law)
                        D, TD, dl, ta = _erf(D, TD, dl, ta, a, b, 0.5 * (t1[layer, i] + t2[layer, j]), law)
                        E = D - _unequal(dl, c, d)
                        qm, tm = 0.5 * (c + d), 0.5 * (t1[layer + 1, i] + t2[layer + 1, j])
                        k = qm - D if qm > 2.0 * D else k
                        t = tm - TD if tm > 2.0 * TD else t
                    at_level = level[layer]
                    if at_level >= 0:
                        _put(K, at_level, i, j, k, lower)
                        _put(T, at_level, i, j, t, lower)
                        _put(D_out, at_level, i, j, 2.0 * D, lower)
                        _put(TD_out, at_level, i, j, 2.0 * TD, lower)


@njit(inline="always", **STRIP)
def _put(array: Any, level: int, i: int, j: int, value: float, both: bool) -> None:
    if array.size > 0:
        array[level, i, j] = value
        if both:
            array[level, j, i] = value
