r"""All ABRelu layers of a fully connected network on strips of half squared distances.

With E = sqrt(q1 q2) - k, D = (q1 + q2)/2 - k = E + (sqrt q1 - sqrt q2)^2/2, TD the same of the NTK, and every constant
multiplied by sigma_w^2,

    c = E/sqrt(q1 q2) = 1 - rho,   J = sin theta - theta cos theta,   A = (al^2 + be^2)/2,   C = (al - be)^2/(2 pi),
    E <- A E - C sqrt(q1 q2) J + B,    TD <- D + A TD + C theta t,    t = (t1 + t2)/2 - TD,
    B = A (sqrt q1 - sqrt q2)^2/2 - (sqrt q1' - sqrt q2')^2/2, with a prime after the layer, and zero without bias.

The rounding of B and t is that of q1 - q2: far inputs whose lengths have the ratio R lose a factor R.

Of a pair with angle theta the differences in J and B lose a digit for each of 1/theta, and the E of the inputs two:
pairs with c < NEAR at the end (c grows in no layer: V(1) = V'(1), and V is convex), or c < FIRST at the inputs, are
told to be done again, as are nearly opposite inputs of an even unit (``close_pairs.even_start``).
"""

from typing import Any

import numpy as np

from ...core.jit import njit
from .arcs import STRIP, angle_of_gap
from .close_pairs import even_start
from .strips import mirror

WIDTH = 384
"""Pairs of a strip: the state and three tables fill two thirds of a 32 KiB cache."""
NEAR = 1e-4
"""Of 1 - rho, an angle of 0.014: D is good to 1e-14 there."""
FIRST = 1e-2
"""Of 1 - rho of the inputs."""


@njit(inline="always", **STRIP)
def _abrelu(
    E: Any, TD: Any, t1: float, t2: Any, m: int, law: Any,
    root: float, inverse: float, next_root: float, roots: Any, inverses: Any, next_roots: Any,
) -> None:  # fmt: skip
    """One ABRelu layer and the affine map after it."""
    A, C, biased = law[1], law[2], 1.0 if law[5] > 0.0 else 0.0
    before = 0.5 * A * biased
    for j in range(m):
        scale = root * roots[j]
        gap, next_gap = root - roots[j], next_root - next_roots[j]
        c = E[j] * (inverse * inverses[j])
        theta, sine = angle_of_gap(min(2.0, c))
        half = 0.5 * next_gap * next_gap
        next_E = A * E[j] - C * scale * (sine - (1.0 - c) * theta) + (before * gap * gap - biased * half)
        TD[j] = next_E + half + A * TD[j] + C * theta * (0.5 * (t1 + t2[j]) - TD[j])
        E[j] = next_E


@njit(inline="always", **STRIP)
def _mark(E: Any, near: Any, m: int, root: float, roots: Any, least: float, even: bool) -> None:
    """Set where c < least, or 2 - c if ``even``; a first look at all, as there is seldom one."""
    lowest, end = 1.0, 2.0 if even else 4.0
    for j in range(m):
        scale = root * roots[j]
        rest = min(E[j], end * scale - E[j]) - least * scale
        lowest = rest if rest < lowest else lowest
    if lowest < 0.0:
        for j in range(m):
            scale = root * roots[j]
            near[j] |= min(E[j], end * scale - E[j]) < least * scale


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
    E, TD = np.empty(WIDTH), np.empty(WIDTH)
    scale, first, L = laws[0, 1], laws[0, 5], level.size
    even = even_start(laws)
    last1, last2 = np.sqrt(q1[L, i0:i1]), np.sqrt(q2[L, j0:j1])
    for jb in range(j0, j1, WIDTH):
        for i in range(i0, i1):
            end = min(jb + WIDTH, i if lower else j1)
            m = end - jb
            for j in range(m):
                k = scale * G[i - i0, jb - j0 + j] + first
                TD[j] = 0.5 * (q1[0, i] + q2[0, jb + j]) - k
                E[j] = rows[0, 0, i] * columns[0, 0, jb + j] - k
            if m > 0:
                _mark(E, near[i - i0, jb - j0 : end - j0], m, rows[0, 0, i], columns[0, 0, jb:end], FIRST, even)
                for layer in range(L):
                    after = rows[layer + 1, 0, i] if layer + 1 < L else last1[i - i0]
                    afters = columns[layer + 1, 0, jb:end] if layer + 1 < L else last2[jb - j0 : end - j0]
                    law, root, inverse = laws[layer + 1], rows[layer, 0, i], rows[layer, 1, i]
                    roots, inverses = columns[layer, 0, jb:end], columns[layer, 1, jb:end]
                    _abrelu(
                        E, TD, t1[layer, i], t2[layer, jb:end], m, law, root, inverse, after, roots, inverses, afters
                    )
                    one = level[layer]
                    if one >= 0:
                        if D_out.size > 0:
                            for j in range(m):
                                K[one, i, jb + j] = after * afters[j] - E[j]
                                D_out[one, i, jb + j] = 2.0 * E[j] + (after - afters[j]) ** 2
                        if TD_out.size > 0:
                            for j in range(m):
                                T[one, i, jb + j] = 0.5 * (t1[layer + 1, i] + t2[layer + 1, jb + j]) - TD[j]
                                TD_out[one, i, jb + j] = 2.0 * TD[j]
                _mark(E, near[i - i0, jb - j0 : end - j0], m, last1[i - i0], last2[jb - j0 : end - j0], NEAR, False)
        if lower:
            for array in (K, T, D_out, TD_out):
                for one in range(array.shape[0]):
                    mirror(array[one], i0, i1, jb, min(jb + WIDTH, j1))
