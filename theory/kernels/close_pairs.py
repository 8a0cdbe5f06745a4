r"""Pairs of inputs so close that the difference of their kernels must be carried, not formed.

The state is D = (q1 + q2)/2 - k and TD of the NTK (half squared distances), and dl = q1 - q2, ta = (t11 - t22)/2. It
starts from x - x': D = sigma_w^2 |x - x'|^2/(2 d), dl = sigma_w^2 (x - x').(x + x')/d, TD = D, ta = dl/2. With
A, C as in ``distances``, every constant multiplied by sigma_w^2, one ABRelu layer is

    h = dl^2/(2 (sqrt q1 + sqrt q2)^2),   c = (D - h)/sqrt(q1 q2) = 1 - rho,
    D' = A D - C sqrt(q1 q2) J,  TD' = D' + A TD + C theta t,  dl' = A dl,  ta' = dl'/2 + A ta,

and one Erf layer follows from the half sum m and half difference e of the angles of the diagonal (see ``_erf``).
k and t are (q1 + q2)/2 - D while the pair is close and have their own recursion once it has parted. Errors at the
double-precision inputs stay below 1e-13 at any distance and at depth 100.
"""

from math import asin, cos, sin, sqrt
from typing import Any

from ...core.jit import njit
from .arcs import STRIP, angle, angle_and_arc, arcsine


@njit(inline="always", **STRIP)
def _abrelu(
    D: float, TD: float, dl: float, ta: float, q1: float, q2: float, t: float, law: Any
) -> tuple[float, float, float, float]:
    A, C = law[1], law[2]
    s = sqrt(q1) + sqrt(q2)
    scale = sqrt(q1 * q2)
    h = 0.5 * (dl / s) ** 2 if s > 0.0 else 0.0
    c = min(2.0, max(0.0, (D - h) / scale)) if scale > 0.0 else 1.0
    theta, J = angle_and_arc(c)
    D_next = A * D - C * scale * J
    TD_next = D_next + A * TD + C * theta * t
    dl_next = A * dl
    return D_next, TD_next, dl_next, 0.5 * dl_next + A * ta


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
def _start(x1: Any, x2: Any, scale: float) -> tuple[float, float]:
    """D and dl of the first covariance, from the inputs; ``scale`` is sigma_w^2/d."""
    square = product = 0.0
    for a in range(x1.size):
        gap = x1[a] - x2[a]
        square += gap * gap
        product += gap * (x1[a] + x2[a])
    return 0.5 * scale * square, scale * product


@njit(inline="always", **STRIP)
def _plain(k: float, t: float, q1: float, q2: float, law: Any) -> tuple[float, float]:
    """The covariances after a layer, as in ``strips``; for pairs that have parted."""
    if law[0] == 0.0:
        scale = sqrt(q1 * q2)
        theta, sine = angle(min(1.0, max(-1.0, k / scale)) if scale > 0.0 else 0.0)
        slope = law[1] - law[2] * theta
        k = law[2] * scale * sine + slope * k + law[5]
    else:
        w1, w2 = 1.0 / sqrt(1.0 + law[3] * q1), 1.0 / sqrt(1.0 + law[3] * q2)
        arc, root = arcsine(law[3] * k * w1 * w2, w1, w2)
        slope = law[2] * w1 * w2 / root
        k = law[1] * arc + law[5]
    return k, k + slope * t


@njit(**STRIP)
def close_pairs(
    near: Any, at: Any, x1: Any, x2: Any, laws: Any, q1: Any, q2: Any, t1: Any, t2: Any, level: Any,
    K: Any, T: Any, D_out: Any, TD_out: Any, lower: bool,
) -> None:  # fmt: skip
    """Do the pairs marked in ``near`` again and overwrite them in K, T, 2 D, 2 TD, both triangles if ``lower``."""
    i0, j0 = at[0], at[2]
    for i in range(i0, i0 + near.shape[0]):
        for j in range(j0, j0 + near.shape[1]):
            if near[i - i0, j - j0] and not (lower and j >= i):
                D, dl = _start(x1[i], x2[j], laws[0, 1])
                TD, ta = D, 0.5 * dl
                k = t = 0.5 * (q1[0, i] + q2[0, j]) - D
                for layer in range(level.size):
                    law, a, b = laws[layer + 1], q1[layer, i], q2[layer, j]
                    next_k, next_t = _plain(k, t, a, b, law)
                    if law[0] == 0.0:
                        D, TD, dl, ta = _abrelu(D, TD, dl, ta, a, b, t, law)
                    else:
                        tm = 0.5 * (t1[layer, i] + t2[layer, j])
                        D, TD, dl, ta = _erf(D, TD, dl, ta, a, b, tm, law)
                    qm, tm = 0.5 * (q1[layer + 1, i] + q2[layer + 1, j]), 0.5 * (t1[layer + 1, i] + t2[layer + 1, j])
                    k = qm - D if qm > 2.0 * D else next_k
                    t = tm - TD if tm > 2.0 * TD else next_t
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
