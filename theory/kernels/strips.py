r"""All layers of a fully connected network on strips of pairs that stay in the first-level cache.

With theta = acos rho, rho = k/sqrt(q1 q2), and every constant multiplied by sigma_w^2,

    ABRelu:  V' = A - C theta,  V = C sqrt(q1 q2) sin theta + V' k,     A = (al^2 + be^2)/2, C = (al - be)^2/(2 pi),
    Erf:     V = a^2 (2/pi) asin r + c^2,  V' = a^2 b^2 (4/pi)/(s1 s2 sqrt(1 - r^2)),
             r = 2 b^2 k/(s1 s2),  s = sqrt(1 + 2 b^2 q),
    next:    k <- V + sigma_b^2,   t <- k + V' t.
"""

from typing import Any

import numpy as np

from ...core.jit import njit
from .arcs import STRIP, angle, arcsine

WIDTH = 128
"""Pairs of a strip: the state, two tables and a row of the Gram matrix fill a quarter of a 32 KiB cache."""
SNAP = 1.0 - 1e-14
"""Correlations above are those of coincident inputs, whose angle would be the root of a rounding error."""
NEAR = 1e-2
"""Of D/q, (q1 + q2)/2 - k = D: nearer pairs lose more than two digits to the difference."""


@njit(inline="always", **STRIP)
def _abrelu(k: Any, t: Any, m: int, law: Any, root: float, inverse: float, roots: Any, inverses: Any) -> None:
    """One ABRelu layer and the affine map after it; the tables hold sqrt q and its inverse."""
    A, C, shift = law[1], law[2], law[5]
    for j in range(m):
        r = k[j] * inverse * inverses[j]
        r = 1.0 if r > SNAP else (-1.0 if r < -SNAP else r)
        theta, sine = angle(r)
        slope = A - C * theta
        next_k = C * root * roots[j] * sine + slope * k[j] + shift
        k[j] = next_k
        t[j] = next_k + slope * t[j]


@njit(inline="always", **STRIP)
def _erf(k: Any, t: Any, m: int, law: Any, inverse: float, inverses: Any) -> None:
    """One Erf layer and the affine map after it; the table holds 1/sqrt(1 + 2 b^2 q)."""
    gain, rate, twice, shift = law[1], law[2], law[3], law[5]
    for j in range(m):
        w = inverse * inverses[j]
        arc, root = arcsine(twice * k[j] * w, inverse, inverses[j])
        slope = rate * w / root
        next_k = gain * arc + shift
        k[j] = next_k
        t[j] = next_k + slope * t[j]


@njit(**STRIP)
def mirror(K: Any, i0: int, i1: int, j0: int, j1: int) -> None:
    """Copy the lower triangle of a block across the diagonal, by squares that fit the cache."""
    for jb in range(j0, j1, 16):
        for ib in range(max(i0, jb), i1, 16):
            for j in range(jb, min(jb + 16, j1)):
                for i in range(max(ib, j + 1), min(ib + 16, i1)):
                    K[j, i] = K[i, j]


@njit(**STRIP)
def covariances(
    G: Any, at: Any, lower: bool, laws: Any, rows: Any, columns: Any, q1: Any, q2: Any, level: Any,
    K: Any, T: Any, near: Any,
) -> None:  # fmt: skip
    """Carry the pairs of rows ``at[0]:at[1]`` with columns ``at[2]:at[3]`` through all layers.

    G[i - at[0], j - at[2]] is x.x'; of a symmetric kernel (``lower``) only j < i is done, and mirrored. ``laws``
    (L + 1, 6): (code, three constants, 0, shift) of each layer, row 0 the scale and the shift of the first map;
    ``rows`` and ``columns`` (L, 2, n): the tables of each layer. After layer l the pairs go to K[level[l]] and
    T[level[l]] (-1: nowhere; either may be empty). Unless ``near`` is empty it is set where D < NEAR q in some layer,
    with the diagonals ``q1``, ``q2`` (L + 1, n) of K.
    """
    i0, i1, j0, j1 = at[0], at[1], at[2], at[3]
    k, t, low = np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH)
    scale, first = laws[0, 1], laws[0, 5]
    nngp, ntk, marked = K.size > 0, T.size > 0, near.size > 0
    for jb in range(j0, j1, WIDTH):
        for i in range(i0, i1):
            end = min(jb + WIDTH, i if lower else j1)
            m = end - jb
            for j in range(m):
                k[j] = scale * G[i - i0, jb - j0 + j] + first
                t[j] = k[j]
                low[j] = 1.0
            if m > 0:
                for layer in range(level.size):
                    if marked:
                        _closest(k, low, m, q1[layer, i], q2[layer, jb:end])
                    law, inverse, inverses = laws[layer + 1], rows[layer, 1, i], columns[layer, 1, jb:end]
                    if law[0] == 0.0:
                        _abrelu(k, t, m, law, rows[layer, 0, i], inverse, columns[layer, 0, jb:end], inverses)
                    else:
                        _erf(k, t, m, law, inverse, inverses)
                    at_level = level[layer]
                    if at_level >= 0:
                        if nngp:
                            for j in range(m):
                                K[at_level, i, jb + j] = k[j]
                        if ntk:
                            for j in range(m):
                                T[at_level, i, jb + j] = t[j]
                if marked:
                    _closest(k, low, m, q1[level.size, i], q2[level.size, jb:end])
                    for j in range(m):
                        near[i - i0, jb - j0 + j] = low[j] < 0.0
        if lower:
            for array in (K, T):
                for one in range(array.shape[0]):
                    mirror(array[one], i0, i1, jb, min(jb + WIDTH, j1))


@njit(inline="always", **STRIP)
def _closest(k: Any, low: Any, m: int, q1: float, q2: Any) -> None:
    """Keep below zero what was once closer than NEAR."""
    for j in range(m):
        mean = 0.5 * (q1 + q2[j])
        low[j] = min(low[j], mean - k[j] - NEAR * mean)
