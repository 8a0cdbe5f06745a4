r"""Averages of tanh of a sum of independent terms, X = sum_mu n_mu eta_mu + sd z, by Fourier transform: O(K) each.

.. math:: \tanh\frac XT = T \int_0^\infty dw\, \frac{\sin wX}{\sinh(\pi w T/2)}, \qquad
          E\,\eta_\mu \sin wX = s_\mu(w) \prod_{\nu\ne\mu} c_\nu(w)\, e^{-w^2 sd^2/2}

with c = E cos(w n eta) and s = E eta sin(w n eta). Products over the others are made from both ends, never by division:
c may vanish. Averages with w in front of the sine are derivatives by the mean of the field.
"""

import numpy as np

from .backend import Array
from .jit import njit

_BLOCK = 64  # nodes at a time: what stays in the first cache


@njit(nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})
def _fill(c: Array, s: Array, e: Array, xs: Array, d: float, g: Array, w: Array, out: tuple[Array, Array]) -> Array:
    K, size = c.shape
    vectors, matrix = out
    before, after = np.ones((K + 1, _BLOCK)), np.ones((K + 1, _BLOCK))
    most, run = np.empty(size), np.empty(_BLOCK)
    for first in range(0, size, _BLOCK):
        n = min(_BLOCK, size - first)
        for k in range(K):
            for i in range(n):
                before[k + 1, i] = before[k, i] * c[k, first + i]
        for i in range(n):
            after[K, i] = g[first + i]
        for k in range(K - 1, -1, -1):
            for i in range(n):
                after[k, i] = after[k + 1, i] * c[k, first + i]
        for i in range(n):
            most[first + i] = before[K, i]
        for k in range(K):
            t = x = slope = x2 = own = 0.0
            for i in range(n):
                rest = before[k, i] * after[k + 1, i]
                v = w[first + i]
                t += rest * s[k, first + i]
                slope -= rest * s[k, first + i] * v * v
                x += rest * xs[k, first + i]
                own += rest * v * e[k, first + i]
                x2 += rest * v * (c[k, first + i] - d)
            for i in range(n):  # apart from the sums: a loop that also stores is vectorised or not by where memory lies
                v = w[first + i]
                run[i] = before[k, i] * s[k, first + i] * v
            vectors[0, k] += t
            vectors[1, k] += x
            vectors[2, k] += slope
            vectors[3, k] += x2
            matrix[k, k] += own
            for j in range(k + 1, K):
                cross = 0.0
                for i in range(n):
                    cross -= run[i] * s[j, first + i] * after[j + 1, i]
                for i in range(n):
                    run[i] *= c[j, first + i]
                matrix[k, j] += cross
    for k in range(K):
        for j in range(k):
            matrix[k, j] = matrix[j, k]
    return most


def products(c: Array, s: Array, e: Array, xs: Array, d: float, g: Array, w: Array) -> tuple[Array, Array, Array]:
    """Sums over nodes w of weight g(w), tables of shape (K, nodes) with x = w n_mu.

    c = E cos(x eta), d of it blank; s = E eta sin(x eta), e = E eta^2 cos(x eta), xs = E xi sin(x eta).
    Returns vectors (4, K): E eta tanh, E xi tanh, its second derivative E eta tanh'', E xi^2 tanh'; the matrix (K, K)
    E eta eta tanh'; and prod c at the nodes.

    >>> w = np.array([0.5])
    >>> vectors, matrix, whole = products(*(np.full((2, 1), 0.5) for _ in range(4)), 0.0, 2 * w, w)
    >>> vectors[0].tolist(), matrix.tolist(), whole.tolist()
    ([0.25, 0.25], [[0.125, -0.125], [-0.125, 0.125]], [0.25])
    """
    K = c.shape[0]
    vectors, matrix = np.zeros((4, K)), np.zeros((K, K))
    most = _fill(c, s, e, xs, d, g, w, (vectors, matrix))
    return vectors, matrix, most
