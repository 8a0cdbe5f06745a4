r"""All ABRelu layers of a fully connected network on strips of half squared distances.

With D = (q1 + q2)/2 - k, TD the same of the NTK, and every constant multiplied by sigma_w^2,

    c = (D - (sqrt q1 - sqrt q2)^2/2)/sqrt(q1 q2) = 1 - rho,   J = sin theta - theta cos theta,
    D <- A D - C sqrt(q1 q2) J,    TD <- D + A TD + C theta t,    A = (al^2 + be^2)/2, C = (al - be)^2/(2 pi).

Of a pair with angle theta the differences in J and in sqrt q1 - sqrt q2 lose a digit for each of 1/theta: pairs with
c < NEAR are told to be done again.
"""

from typing import Any

import numpy as np

from ...core.jit import njit
from .arcs import STRIP, angle_of_gap
from .strips import WIDTH, mirror

NEAR = 1e-4
"""Of 1 - rho, an angle of 0.014: D is good to 1e-14 there."""


@njit(inline="always", **STRIP)
def _abrelu(
    D: Any,
    TD: Any,
    low: Any,
    m: int,
    law: Any,
    root: float,
    inverse: float,
    roots: Any,
    inverses: Any,
    t1: float,
    t2: Any,
) -> None:
    """One ABRelu layer and the affine map after it; ``low`` keeps the smallest c of each pair."""
    A, C = law[1], law[2]
    for j in range(m):
        gap = root - roots[j]
        scale = root * roots[j]
        c = (D[j] - 0.5 * gap * gap) * (inverse * inverses[j])
        low[j] = min(low[j], c)
        theta, sine = angle_of_gap(min(2.0, max(0.0, c)))
        t = 0.5 * (t1 + t2[j]) - TD[j]
        next_D = A * D[j] - C * scale * (sine - (1.0 - c) * theta)
        TD[j] = next_D + A * TD[j] + C * theta * t
        D[j] = next_D


@njit(**STRIP)
def abrelu_distances(
    G: Any, at: Any, lower: bool, laws: Any, rows: Any, columns: Any, q1: Any, q2: Any, t1: Any, t2: Any, level: Any,
    K: Any, T: Any, D_out: Any, TD_out: Any, near: Any,
) -> None:  # fmt: skip
    """As ``strips.covariances``, with 2 D beside K and 2 TD beside T; each of the two pairs may be empty.

    ``q1`` (L + 1, n) and ``t1`` are the diagonals of K and T before each layer and at the end; ``near`` (rows,
    columns) of the tile is set where a pair is too close for a difference of sqrt q.
    """
    i0, i1, j0, j1 = at[0], at[1], at[2], at[3]
    D, TD, low = np.empty(WIDTH), np.empty(WIDTH), np.empty(WIDTH)
    scale, first = laws[0, 1], laws[0, 5]
    for jb in range(j0, j1, WIDTH):
        for i in range(i0, i1):
            end = min(jb + WIDTH, i if lower else j1)
            m = end - jb
            for j in range(m):
                D[j] = 0.5 * (q1[0, i] + q2[0, jb + j]) - scale * G[i - i0, jb - j0 + j] - first
                TD[j] = D[j]
                low[j] = 2.0
            if m > 0:
                for layer in range(level.size):
                    _abrelu(
                        D, TD, low, m, laws[layer + 1], rows[layer, 0, i], rows[layer, 1, i],
                        columns[layer, 0, jb:end], columns[layer, 1, jb:end], t1[layer, i], t2[layer, jb:end],
                    )  # fmt: skip
                    if level[layer] >= 0:
                        if D_out.size > 0:
                            _write(D, q1[layer + 1, i], q2[layer + 1, jb:end], K, D_out, level[layer], i, jb)
                        if TD_out.size > 0:
                            _write(TD, t1[layer + 1, i], t2[layer + 1, jb:end], T, TD_out, level[layer], i, jb)
                for j in range(m):
                    near[i - i0, jb - j0 + j] = low[j] < NEAR
        if lower:
            for array in (K, T, D_out, TD_out):
                for one in range(array.shape[0]):
                    mirror(array[one], i0, i1, jb, min(jb + WIDTH, j1))


@njit(inline="always", **STRIP)
def _write(D: Any, q1: float, q2: Any, K: Any, D_out: Any, level: int, i: int, jb: int) -> None:
    for j in range(q2.size):
        K[level, i, jb + j] = 0.5 * (q1 + q2[j]) - D[j]
        D_out[level, i, jb + j] = 2.0 * D[j]
