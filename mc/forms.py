r"""The integer forms of an energy of overlaps: what a pattern adds to the energy and what a flip costs.

With weights w_i, v_i = w_i sigma_i and power sums :math:`p_k = \sum_i v_i^k`, a pattern adds -c F: F is the power
:math:`p_1^P`, the elementary symmetric polynomial :math:`e_P(v)` (the power without its diagonal) or a table.
A flip of site i costs the integer :math:`D = \sum_j \sigma_i^j \sum_\mu (w_i^\mu)^j V_j^\mu`, in units fixed per
family (they define the trajectory, through the rounding of its thresholds).
"""

from math import comb, factorial

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
SHARED = {2: 2, 4: 4}
"""Common factors that are taken out of D where the diagonal is included, by P."""


def elementary(p: list[Integers | int], P: int) -> list[Integers]:
    r"""Elementary symmetric polynomials e_0 to e_P of the power sums ``p[k]``, exact (Newton's identities).

    .. math:: k\,e_k = \sum_{i=1}^{k} (-1)^{i-1} e_{k-i}\, p_i

    >>> [int(e) for e in elementary([0, np.int64(4), 4, 4], 3)]  # four ones
    [1, 4, 6, 4]
    """
    e = [np.ones_like(np.asarray(p[1]))]
    for k in range(1, P + 1):
        e.append(sum((-1) ** (i - 1) * e[k - i] * p[i] for i in range(1, k + 1)) // k)
    return e


def excluded_vectors(p: list[Integers | int], P: int) -> list[Integers]:
    r"""V_1 to V_P of :math:`F = e_P`: :math:`V_j = (-1)^{j-1} (P-1)!\, e_{P-j}`, since

    .. math:: e_P(\sigma_i \to -\sigma_i) - e_P = -2 \sum_{j=1}^{P} (-1)^{j-1} v_i^j\, e_{P-j} = -\frac{2 D}{(P-1)!}
    """
    e = elementary(p, P - 1)
    return [(-1) ** (j - 1) * factorial(P - 1) * e[P - j] for j in range(1, P + 1)]


def included_vectors(M: Integers, P: int) -> list[Integers]:
    r"""V_1 to V_P of :math:`F = M^P`, in units that leave :math:`D = -\frac12 \sum_\mu [(M - 2 v_i)^P - M^P]`,
    or half of it at P = 2 and a quarter at P = 4.
    """
    shared = SHARED.get(P, 1)
    return [(-1) ** (j - 1) * (comb(P, j) * 2 ** (j - 1) // shared) * M ** (P - j) for j in range(1, P + 1)]


def table_vectors(M: Integers, F: Integers) -> list[Integers]:
    """V_1 and V_2 of a table ``F[M + N + 2]``: ``F(M+2) - F(M-2)`` and ``2 F(M) - F(M+2) - F(M-2)``."""
    at = M + (F.size - 1) // 2
    return [F[at + 2] - F[at - 2], 2 * F[at] - F[at + 2] - F[at - 2]]


def flip_polynomials(N: int, P: int, diagonal: str) -> tuple[Integers, Integers]:
    r"""Coefficients of a(M) and b(M), lowest power first, for xi = -1, 1: :math:`D = -\sum_\mu [a(M) + v_i\, b(M)]`.

    Without the diagonal :math:`a = (P-1)!\, e_{P-2}^{(N-2)}(M)` and :math:`b = -(P-1)!\, e_{P-1}^{(N-2)}(M)`, e^(n)
    those of n signs with sum M: :math:`(k+1) e_{k+1} = M e_k - (n-k+1) e_{k-1}` (Krawtchouk polynomials).

    >>> [c.tolist() for c in flip_polynomials(10, 3, "excluded")]
    [[0, 2], [8, 0, -1]]
    """
    a, b = [0] * (P - 1), [0] * P  # Python's integers: no step can overflow
    if diagonal == "excluded":
        E = [[1], [0, 1]]  # k! e_k
        for k in range(1, P - 1):
            lower = [k * (N - 1 - k) * c for c in E[k - 1]] + [0, 0]
            E.append([up - down for up, down in zip([0, *E[k]], lower, strict=True)])
        a, b = [(P - 1) * c for c in E[P - 2]], [-c for c in E[P - 1]]
    else:
        for j in range(1, P + 1):
            size = comb(P, j) * 2 ** (j - 1) // SHARED.get(P, 1)
            (b if j % 2 else a)[P - j] = -size if j % 2 else size
    return np.array(a, np.int64), np.array(b, np.int64)
