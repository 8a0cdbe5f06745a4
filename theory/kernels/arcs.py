r"""Angles of a correlation without a branch, so that a loop over pairs runs in vector registers.

With S = sqrt(1 - rho^2), the one square root, and two polynomials on z in [0, 1/4], Chebyshev interpolants of degree
13 in powers of z,

    P(z) = asin(sqrt z)/sqrt(z (1 - z)),      Q(z) = (sin t - t cos t)/(2 z sqrt(z (1 - z))),   t = 2 asin(sqrt z),

both off by less than 1e-16 (relative, in exact arithmetic): acos rho = S P((1 - rho)/2) of rho > 1/2, and asin rho =
rho S P(rho^2) of |rho| < 1/2. An angle near 0 comes from 1 - |rho| and one near pi/2 from rho itself, so neither loses
digits.
"""

from math import pi, sqrt

from ...core.jit import njit

FAST = {"contract", "nnan", "ninf", "nsz", "arcp"}
"""What the compiler may assume: no NaN and no infinity, which the inputs are checked for."""
STRIP = {"nogil": True, "fastmath": FAST, "boundscheck": False, "error_model": "numpy"}
"""Of every compiled loop over pairs; Python's error model tests each division and stops the vectors."""

(P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13) = (
    1.0,
    0.6666666666667322,
    0.5333333333163501,
    0.4571428588719633,
    0.40634911476368524,
    0.3694112649313803,
    0.3409332932493519,
    0.3190722876223924,
    0.29180058074110277,
    0.33511256175349097,
    0.03513915536852488,
    0.9776555580022731,
    -1.1132861271784307,
    1.5537792943093436,
)
(Q0, Q1, Q2, Q3, Q4, Q5, Q6, Q7, Q8, Q9, Q10, Q11, Q12, Q13) = (
    1.3333333333333333,
    0.8000000000000674,
    0.6095238095063396,
    0.5079365097151783,
    0.44328994907800856,
    0.3978273764406633,
    0.36366441998745563,
    0.3378168076144677,
    0.30734290923858665,
    0.35010720630118136,
    0.04008461027169337,
    1.008897552885332,
    -1.1439359450852191,
    1.6010353865724098,
)
HALF_PI = pi / 2
ROUNDING = 4e-15
"""Of 1 - r^2, computed from covariances."""


@njit(fastmath=FAST, inline="always")
def angle_ratio(z: float) -> float:
    """P(z), in two chains that run side by side."""
    w = z * z
    even = (((((P12 * w + P10) * w + P8) * w + P6) * w + P4) * w + P2) * w + P0
    odd = (((((P13 * w + P11) * w + P9) * w + P7) * w + P5) * w + P3) * w + P1
    return even + z * odd


@njit(fastmath=FAST, inline="always")
def arc_ratio(z: float) -> float:
    """Q(z)."""
    w = z * z
    even = (((((Q12 * w + Q10) * w + Q8) * w + Q6) * w + Q4) * w + Q2) * w + Q0
    odd = (((((Q13 * w + Q11) * w + Q9) * w + Q7) * w + Q5) * w + Q3) * w + Q1
    return even + z * odd


@njit(fastmath=FAST, inline="always")
def angle(r: float) -> tuple[float, float]:
    """Theta = acos r and sin theta of r in [-1, 1]."""
    a = abs(r)
    near = a > 0.5
    S = sqrt((1.0 - a) * (1.0 + a))
    arc = S * angle_ratio(0.5 * (1.0 - a) if near else r * r)
    small = arc if r > 0.0 else pi - arc
    return (small if near else HALF_PI - r * arc), S


@njit(fastmath=FAST, inline="always")
def arcsine(r: float, w1: float, w2: float) -> tuple[float, float]:
    """Asin r and sqrt(1 - r^2) of an erf unit, r = 2 b^2 k w1 w2, w = 1/sqrt(1 + 2 b^2 q); exact to rounding as r -> 0.

    1 - r^2 = w1^2 + w2^2 - w1^2 w2^2 + (2 b^2)^2 (q1 q2 - k^2) w1^2 w2^2, and where the last term, zero for coincident
    inputs, is within rounding it is left out: the root is never that of a rounding error.
    """
    a = abs(r)
    near = a > 0.5
    least = w1 * w1 + w2 * w2 - w1 * w1 * w2 * w2
    rest = (1.0 - a) * (1.0 + a)
    S = sqrt(rest if rest - least > ROUNDING else least)
    arc = S * angle_ratio(0.5 * (1.0 - a) if near else r * r)
    large = HALF_PI - arc
    large = large if r > 0.0 else -large
    return (large if near else r * arc), S


@njit(fastmath=FAST, inline="always")
def angle_of_gap(c: float) -> tuple[float, float]:
    """Theta and sin theta of c = 1 - rho in [0, 2]; both exact to rounding as c -> 0."""
    r = 1.0 - c
    near = abs(r) > 0.5
    S = sqrt(c * (2.0 - c))
    arc = S * angle_ratio(0.5 * (c if r > 0.0 else 2.0 - c) if near else r * r)
    small = arc if r > 0.0 else pi - arc
    return (small if near else HALF_PI - r * arc), S


@njit(fastmath=FAST, inline="always")
def angle_and_arc(c: float) -> tuple[float, float]:
    """Theta and J = sin theta - theta cos theta of c = 1 - rho in [0, 2]; both exact to rounding as c -> 0."""
    theta, S = angle_of_gap(c)
    r = 1.0 - c
    half = 0.5 * (c if r > 0.0 else 2.0 - c)
    near = abs(r) > 0.5
    J = S * half * arc_ratio(half if near else 0.0)
    J = J if r > 0.0 else J - pi * r
    return theta, (J if near else S - r * theta)
