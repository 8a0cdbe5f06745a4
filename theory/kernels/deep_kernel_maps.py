r"""Kernels as maps of Gram matrices, K_ij = k(G_ij, G_ii, G_jj), with their derivatives by c = G_ij and q = G_ii.

    linear                k = c
    relu                  k = [w + (pi - theta) c]/pi,  w = sqrt(q1 q2 - c^2),  theta = angle of (c, w)
    squared_exponential   k = exp(c - (q1 + q2)/2)

relu is 2 E[relu(u) relu(v)] of Gaussians of variances q1, q2 and covariance c, so k(q, q, q) = q. Its second
derivatives diverge as 1/w where two points coincide; the diagonal of a square matrix is mapped by itself.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...core.backend import Array

_COINCIDE = 1e-14


class Slopes(NamedTuple):
    """K and its derivatives by c, q1 and q2, all of one shape."""

    k: Array
    c: Array
    q1: Array
    q2: Array


class Bends(NamedTuple):
    """Second derivatives of k by (c, c), (c, q1), (q1, q1) and (q1, q2)."""

    cc: Array
    cq: Array
    qq: Array
    qq2: Array


class GramMap(NamedTuple):
    """A kernel: slopes(c, q1, q2), bends(c, q1, q2), and whether k(q, q, q) is q (or else the constant 1)."""

    slopes: Callable[[Array, Array, Array], Slopes]
    bends: Callable[[Array, Array, Array], Bends]
    keeps_variance: bool


def _linear(c: Array, q1: Array, q2: Array) -> Slopes:
    zero = np.zeros_like(c)
    return Slopes(c, np.ones_like(c), zero, zero)


def _linear_bends(c: Array, q1: Array, q2: Array) -> Bends:
    zero = np.zeros_like(c)
    return Bends(zero, zero, zero, zero)


def _width(c: Array, q1: Array, q2: Array) -> Array:
    """W, and 0 where two points coincide to rounding."""
    scale = np.sqrt(q1 * q2)
    gap = scale - c
    return np.sqrt(np.where(gap > _COINCIDE * scale, gap * (scale + c), 0.0).clip(0.0))


def _relu(c: Array, q1: Array, q2: Array) -> Slopes:
    w = _width(c, q1, q2)
    rest = np.pi - np.arctan2(w, c)
    rise = w / (2 * np.pi)
    return Slopes((w + rest * c) / np.pi, rest / np.pi, rise / q1, rise / q2)


def _relu_bends(c: Array, q1: Array, q2: Array) -> Bends:
    w = _width(c, q1, q2)
    inverse = np.divide(1 / np.pi, w, out=np.zeros_like(w), where=w > 0)
    cq, qq = -c / (2 * q1), (2 * c**2 - q1 * q2) / (2 * q1) ** 2
    return Bends(inverse, cq * inverse, qq * inverse, 0.25 * inverse)


def _squared_exponential(c: Array, q1: Array, q2: Array) -> Slopes:
    k = np.exp(c - 0.5 * (q1 + q2))
    return Slopes(k, k, -0.5 * k, -0.5 * k)


def _squared_exponential_bends(c: Array, q1: Array, q2: Array) -> Bends:
    k = np.exp(c - 0.5 * (q1 + q2))
    return Bends(k, -0.5 * k, 0.25 * k, 0.25 * k)


MAPS = {
    "linear": GramMap(_linear, _linear_bends, True),
    "relu": GramMap(_relu, _relu_bends, True),
    "squared_exponential": GramMap(_squared_exponential, _squared_exponential_bends, False),
}


def variance(kernel: GramMap, q: Array) -> Array:
    """k(q, q, q)."""
    return q if kernel.keeps_variance else np.ones_like(q)


def square(kernel: GramMap, G: Array) -> Slopes:
    """K = k(G) of a Gram matrix (n, n) of different points, with its slopes."""
    q = np.diagonal(G)
    k, c, q1, q2 = kernel.slopes(G, q[:, None], q[None, :])
    same = np.eye(len(G), dtype=bool)
    slope = 1.0 if kernel.keeps_variance else 0.0
    by_q1, by_q2 = np.where(same, 0.0, q1), np.where(same, 0.0, q2)
    return Slopes(np.where(same, variance(kernel, q), k), np.where(same, slope, c), by_q1, by_q2)


def push(at: Slopes, dG: Array) -> Array:
    """dK of a symmetric dG."""
    by_row = at.q1 * np.diagonal(dG)[:, None]
    return at.c * dG + by_row + by_row.T


def pull(at: Slopes, A: Array) -> Array:
    """df/dG from a symmetric A = df/dK, in the sense df = tr(A dK) = tr(result dG)."""
    out = A * at.c
    out[np.diag_indices_from(out)] += 2 * (A * at.q1).sum(1)
    return out


def pull_change(kernel: GramMap, G: Array, A: Array, dG: Array) -> Array:
    """Change of pull(k'(G), A) with G by dG, A held."""
    q, dq = np.diagonal(G), np.diagonal(dG)
    bends = Bends(*(np.where(np.eye(len(G), dtype=bool), 0.0, b) for b in kernel.bends(G, q[:, None], q[None, :])))
    by_row = bends.cq * dq[:, None]
    change = bends.cq * dG + bends.qq * dq[:, None] + bends.qq2 * dq
    return pull(Slopes(G, bends.cc * dG + by_row + by_row.T, change, change.T), A)


def input_gram(X1: Array, X2: Array, input_noise: float) -> Array:
    """G_0 = X_1 X_2^T/nu_0 + input_noise delta(x_1, x_2), nu_0 = number of columns; (rows of X1, rows of X2)."""
    G = X1 @ X2.T / X1.shape[1]
    if input_noise:
        same = np.ones(G.shape, bool)
        for a, b in zip(X1.T, X2.T, strict=True):
            same &= a[:, None] == b[None, :]
        G += input_noise * same
    return G
