r"""A row of covariances through one convolution and one activation: window sums, dual activations, padding.

With rho = K/sqrt(q q') and theta = acos rho, behind an activation phi the covariance V and V' = dV/dK are

    phi = a min(x, 0) + b max(x, 0):  V = V' K + C sqrt(q q') sin theta,  V' = A - C theta,
                                      A = (a^2 + b^2)/2,  C = (a - b)^2/(2 pi),
    phi = a erf(b x) + c:             V = (2 a^2/pi) asin r + c^2,  V' = (4 a^2 b^2/pi) w w'/sqrt(1 - r^2),
                                      r = 2 b^2 w w' K,  w = 1/sqrt(1 + 2 b^2 q).

A plane of numbers (positions of an image, or pairs of columns) lies flat in a frame whose padding is filled after
every layer, so that a window is a set of shifts of one long run.

Source: Y. Cho, L. K. Saul, NIPS 2009, arXiv:1112.3712; C. K. I. Williams, Neural Computation 10, 1203 (1998).
"""

from math import pi
from typing import NamedTuple

from ...core.backend import Array
from ...core.jit import njit
from .arcs import STRIP, angle, arcsine

ERF = 1
"""Code of a erf(b x) + c; 0 is a min(x, 0) + b max(x, 0)."""
_COINCIDENT = 1 - 1e-14  # of |rho|: the two fields differ by rounding only


class Frame(NamedTuple):
    """A plane of rows x cols: entry (i, j) lies at origin + i stride + j."""

    rows: int
    cols: int
    top: int
    """rows of padding above, and as many below"""
    side: int
    """columns of padding on the left, and as many on the right"""
    circular: bool
    stride: int
    origin: int
    used: int
    """numbers from the origin to the end of the last row"""
    size: int

    @classmethod
    def of(cls, rows: int, cols: int, top: int, side: int, circular: bool) -> "Frame":
        """Zeros on the right of a row also serve as those on the left of the next."""
        stride = cols + side * (2 if circular else 1)
        origin, used = top * stride + side, rows * stride
        return cls(rows, cols, top, side, circular, stride, origin, used, used + 2 * origin)


@njit(**STRIP)
def box(source: Array, out: Array, start: int, step: int, reach: int, scale: float, shift: float) -> None:
    """out[f] = shift + scale sum of source[start + f + v step] over |v| <= reach."""
    n = out.size
    middle = source[start : start + n]
    if reach == 0:
        for f in range(n):
            out[f] = shift + scale * middle[f]
        return
    before, after = source[start - step :], source[start + step :]
    for f in range(n):
        out[f] = shift + scale * (before[f] + middle[f] + after[f])
    for v in range(2, reach + 1):
        before, after = source[start - v * step :], source[start + v * step :]
        for f in range(n):
            out[f] += scale * (before[f] + after[f])


@njit(**STRIP)
def relu(k: Array, slope: Array, out: Array, left: Array, right: Array, i: int, j: int, a: float, b: float) -> None:
    """V into ``out`` and V' into ``slope`` of k; rows i and j of the tables hold sqrt q and 1/sqrt q."""
    A, C = 0.5 * (a * a + b * b), (a - b) ** 2 / (2 * pi)
    for f in range(out.size):
        rho = k[f] * left[1, i, f] * right[1, j, f]
        rho = 1.0 if rho > _COINCIDENT else rho
        rho = -1.0 if rho < -_COINCIDENT else rho
        theta, sine = angle(rho)
        v = A - C * theta
        slope[f] = v
        out[f] = v * k[f] + C * left[0, i, f] * right[0, j, f] * sine


@njit(**STRIP)
def erf(
    k: Array, slope: Array, out: Array, left: Array, right: Array, i: int, j: int, a: float, b: float, c: float
) -> None:
    """V into ``out`` and V' into ``slope`` of k; rows i and j of the tables hold nothing and w."""
    A, b2, c2 = 2 * a * a / pi, 2 * b * b, c * c
    for f in range(out.size):
        w1, w2 = left[1, i, f], right[1, j, f]
        w = b2 * w1 * w2
        arc, root = arcsine(w * k[f], w1, w2)
        slope[f] = A * w / root
        out[f] = A * arc + c2


@njit(**STRIP)
def pad(z: Array, origin: int, frame: Frame) -> None:
    """Fill the padding of the plane that begins at z[origin]: with zeros, or with the plane repeated."""
    rows, cols, side, stride = frame.rows, frame.cols, frame.side, frame.stride
    for i in range(rows):
        at = origin + i * stride
        for v in range(side):
            if frame.circular:
                z[at + cols + v] = z[at + v % cols]
                z[at - 1 - v] = z[at + cols - 1 - v % cols]
            else:
                z[at + cols + v] = 0.0
    if frame.circular:
        for u in range(frame.top):
            for f in range(-side, cols + side):
                z[origin + (rows + u) * stride + f] = z[origin + u % rows * stride + f]
                z[origin - (1 + u) * stride + f] = z[origin + (rows - 1 - u % rows) * stride + f]
