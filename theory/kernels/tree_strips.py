r"""All nodes of a tree of ReLU layers on strips of pairs that stay in the first-level cache.

With D = 1 - K and E = Theta(1) - Theta averaged over the children of a node, theta = acos(1 - D) and
J = sin theta - theta cos theta,

    D <- D - J/pi,    E <- D + E + (Theta(1) - E) theta/pi,    Theta(1) <- Theta(1) + 1,

which is K <- kappa1(K), Theta <- kappa1(K) + Theta kappa0(K) without a difference of nearly equal numbers.
"""

from math import pi
from typing import Any

import numpy as np

from ...core.jit import njit
from .arcs import STRIP, angle_and_arc

WIDTH = 128


@njit(inline="always", **STRIP)
def _half_distance(x: Any, z: Any, jb: int, m: int, d: Any, e: Any) -> None:
    """1 - x.z of one patch: x (s,), z (s, n)."""
    for j in range(m):
        d[j] = 0.0
    for c in range(x.size):
        for j in range(m):
            gap = x[c] - z[c, jb + j]
            d[j] += 0.5 * gap * gap
    for j in range(m):
        d[j] = min(d[j], 2.0)
        e[j] = d[j]


@njit(inline="always", **STRIP)
def _layer(d: Any, e: Any, m: int, top: float) -> None:
    """One ReLU layer; top is Theta(1) below it."""
    for j in range(m):
        theta, J = angle_and_arc(d[j])
        d[j] = max(d[j] - J / pi, 0.0)
        e[j] = d[j] + e[j] + (top - e[j]) * theta / pi


@njit(**STRIP)
def tree(X: Any, Z: Any, children: Any, lower: bool, K: Any, T: Any) -> None:
    """Fill K and T, (n1, n2), from patches X (n1, p, s) and Z (p, s, n2), where j <= i only if ``lower``.

    ``children``: how many nodes of each layer meet in one of the next, and last how many of the top layer are left.
    """
    levels = children.size
    d, e = np.empty(WIDTH), np.empty(WIDTH)
    sums, count = np.empty((levels, 2, WIDTH)), np.empty(levels, np.int64)
    for jb in range(0, Z.shape[2], WIDTH):
        for i in range(jb if lower else 0, X.shape[0]):
            m = min(jb + WIDTH, i + 1 if lower else Z.shape[2]) - jb
            sums[:] = 0.0
            count[:] = 0
            for patch in range(X.shape[1]):
                _half_distance(X[i, patch], Z[patch], jb, m, d, e)
                for level in range(levels):
                    _layer(d, e, m, level + 1.0)
                    for j in range(m):
                        sums[level, 0, j] += d[j]
                        sums[level, 1, j] += e[j]
                    count[level] += 1
                    if count[level] < children[level]:
                        break
                    for j in range(m):
                        d[j] = sums[level, 0, j] / children[level]
                        e[j] = sums[level, 1, j] / children[level]
                        sums[level, 0, j] = 0.0
                        sums[level, 1, j] = 0.0
                    count[level] = 0
            for j in range(m):
                K[i, jb + j] = 1.0 - d[j]
                T[i, jb + j] = levels + 1.0 - e[j]
