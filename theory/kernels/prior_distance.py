r"""How far two priors over functions are apart, on M inputs.

Both priors of wide networks are Gaussian, N(0, K_1) and N(0, K_2), and the Wasserstein distance is closed:

    W_2^2 = tr K_1 + tr K_2 - 2 tr (K_1^1/2 K_2 K_1^1/2)^1/2,      dW_2^2/dK_1 = 1 - T,
    T = K_1^-1/2 (K_1^1/2 K_2 K_1^1/2)^1/2 K_1^-1/2,

T the map that carries one Gaussian to the other. With K_1 = A A^T, K_2 = B B^T and A^T B = P S Q^T this is
W_2^2 = |A P - B Q|^2 and T = B Q S^-1 Q^T B^T: a sum of squares, and no root of a squared matrix. Samples of finite
networks are compared one dimension at a time, by W_1 of their projections on random directions.
"""

from typing import NamedTuple

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import ArrayLike
from scipy.linalg import cho_solve, cholesky, eigh, svd

from ...core.backend import Array
from ...core.errors import require, require_integer

_EPS = float(np.finfo(np.float64).eps)
_ROUNDING = 1e-10  # of the largest entry or eigenvalue: what rounding may leave of asymmetry or below zero


class GaussianDistance(NamedTuple):
    """A distance between N(0, K_1) and N(0, K_2), and its derivative by K_1."""

    value: float
    gradient: Array
    """(M, M)"""
    outside: float
    """trace of the part of K_2 that no map of K_1 reaches: unless 0, the gradient holds within the range of K_1 only"""


class SlicedDistance(NamedTuple):
    """W_1 averaged over directions, from samples."""

    value: float
    """biased upwards by the finite samples"""
    error: float
    """standard error, of the samples and of the directions"""
    floor: float
    """the value after the two samples are mixed at random: what the bias alone gives where the priors are equal"""


def wasserstein2(K1: ArrayLike, K2: ArrayLike) -> GaussianDistance:
    r"""The square W_2^2 of the Wasserstein distance of order 2 between N(0, K_1) and N(0, K_2).

    .. math:: W_2^2 = \mathrm{tr}\,K_1 + \mathrm{tr}\,K_2 - 2\,\mathrm{tr}\,(K_1^{1/2} K_2 K_1^{1/2})^{1/2}

    Parameters
    ----------
    K1, K2 : array_like, (M, M)
        Symmetric positive semidefinite; eigenvalues below M eps of the largest count as zero.

    Returns
    -------
    GaussianDistance, the value W_2^2 and the gradient 1 - T. Where K1 vanishes and K2 does not, W_2^2 falls as a square
    root when K1 grows: it has no derivative there, and T is taken on the range of K1.

    Raises
    ------
    ValueError
        If a matrix is not square, finite, symmetric and positive semidefinite, or the shapes differ.

    Source: C. R. Givens, R. M. Shortt, Michigan Math. J. 31, 231 (1984); arXiv:2011.12829.

    >>> round(wasserstein2([[4.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.0, 9.0]]).value, 12)
    5.0
    """
    one, two = _pair(K1, K2)
    A, B = _root("K1", one), _root("K2", two)
    left, singular, right = svd(A.T @ B)
    moved = B @ right.T
    value = float(((A @ left - moved) ** 2).sum())
    resolved = singular > len(A) * _EPS * np.linalg.norm(A, 2) * np.linalg.norm(B, 2)
    T = (moved[:, resolved] / singular[resolved]) @ moved[:, resolved].T
    outside = float((moved[:, ~resolved] ** 2).sum())
    return GaussianDistance(value, np.eye(len(A)) - T, outside if outside > len(A) * _EPS * np.trace(two) else 0.0)


def gaussian_kl(K1: ArrayLike, K2: ArrayLike) -> GaussianDistance:
    r"""The Kullback-Leibler divergence of N(0, K_2) from N(0, K_1).

    .. math:: \mathrm{KL} = \frac12 \left[\mathrm{tr}\,(K_2^{-1} K_1) - M + \ln|K_2| - \ln|K_1|\right],
              \qquad \frac{d\,\mathrm{KL}}{dK_1} = \frac12 \left(K_2^{-1} - K_1^{-1}\right)

    Parameters
    ----------
    K1, K2 : array_like, (M, M)
        Symmetric positive definite; the average is over N(0, K1).

    Returns
    -------
    GaussianDistance, KL in nats and its gradient; nothing is outside.

    Raises
    ------
    ValueError
        If a matrix is not square, finite, symmetric and positive definite, or the shapes differ.

    Source: S. Kullback, Information Theory and Statistics (1959), chapter 9.

    >>> round(gaussian_kl([[2.0]], [[1.0]]).value, 6)
    0.153426
    """
    one, two = _pair(K1, K2)
    roots = []
    for name, K in (("K1", one), ("K2", two)):
        try:
            roots.append(cholesky(K, lower=True))
        except np.linalg.LinAlgError:
            raise ValueError(f"{name} must be positive definite to double precision") from None
    inverse = [cho_solve((root, True), np.eye(len(root))) for root in roots]
    logs = [2 * np.log(root.diagonal()).sum() for root in roots]
    value = ((inverse[1] * one).sum() - len(one) + logs[1] - logs[0]) / 2
    return GaussianDistance(float(value), (inverse[1] - inverse[0]) / 2, 0.0)


def sliced_wasserstein1(F: ArrayLike, G: ArrayLike, *, projections: int, seed: int) -> SlicedDistance:
    r"""The Wasserstein distance of order 1 between two samples of functions, averaged over random directions.

    .. math:: \mathrm{SW}_1 = \Big\langle \int |F_u(z) - G_u(z)|\,dz \Big\rangle_{|u| = 1}

    F_u and G_u the distribution functions of the projections u.f, summed exactly between the sorted values.

    Parameters
    ----------
    F, G : array_like, (samples, M)
        Values at the same M inputs, one function a row; the numbers of samples may differ, both at least 2.
    projections : int >= 2
        Directions, uniform on the sphere.
    seed : int >= 0
        Of the directions and of the mixing.

    Returns
    -------
    SlicedDistance. The error is that of the Kantorovich potentials over the samples and of the directions, to leading
    order; compare the value with the floor before it is read as a difference.

    Raises
    ------
    ValueError
        If a shape or a number is out of range.

    Source: N. Bonneel et al., J. Math. Imaging Vis. 51, 22 (2015).

    >>> f = np.array([[0.0], [1.0]])
    >>> sliced_wasserstein1(f, f + 3.0, projections=4, seed=0).value
    3.0
    """
    f, g = np.asarray(F, dtype=np.float64), np.asarray(G, dtype=np.float64)
    require_integer(projections, "projections", 2, 2**31, ">= 2")
    require_integer(seed, "seed", 0, 2**63, "in [0, 2^63]")
    if f.ndim != 2 or g.ndim != 2 or f.shape[1] != g.shape[1] or f.shape[1] == 0 or min(len(f), len(g)) < 2:
        raise ValueError(f"F and G must be (samples >= 2, M) of one M, got shapes {f.shape} and {g.shape}")
    require(np.isfinite(f), "F", f, "finite")
    require(np.isfinite(g), "G", g, "finite")
    rng = Generator(Philox(key=seed))
    directions = rng.standard_normal((projections, f.shape[1]))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    values, of_f, of_g = _sliced(f, g, directions)
    mixed = rng.permutation(np.concatenate([f, g]))
    floor = _sliced(mixed[: len(f)], mixed[len(f) :], directions)[0].mean()
    variance = values.var(ddof=1) / projections + of_f.var(ddof=1) / len(f) + of_g.var(ddof=1) / len(g)
    return SlicedDistance(float(values.mean()), float(np.sqrt(variance)), float(floor))


def covariance(name: str, K: ArrayLike) -> Array:
    """K as a symmetric float64 matrix, or a refusal that names it."""
    matrix = np.asarray(K, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise ValueError(f"{name} must be a square matrix (M, M), got shape {matrix.shape}")
    require(np.isfinite(matrix), name, matrix, "finite")
    skew = float(np.abs(matrix - matrix.T).max())
    ok = skew <= _ROUNDING * np.abs(matrix).max()
    require(ok, f"the asymmetry of {name}", skew, "below 1e-10 of its largest entry")
    return (matrix + matrix.T) / 2


def _pair(K1: ArrayLike, K2: ArrayLike) -> tuple[Array, Array]:
    one, two = covariance("K1", K1), covariance("K2", K2)
    if one.shape != two.shape:
        raise ValueError(f"K1 and K2 must be of one shape, got {one.shape} and {two.shape}")
    return one, two


def _root(name: str, K: Array) -> Array:
    """A with A A^T = K, eigenvalues within rounding of zero taken as zero."""
    value, vector = eigh(K)
    low, top = float(value[0]), max(float(value[-1]), 0.0)
    require(low >= -_ROUNDING * top, f"the smallest eigenvalue of {name}", low, ">= 0")
    return vector * np.sqrt(np.where(value > len(K) * _EPS * top, value, 0.0))


def _sliced(f: Array, g: Array, directions: Array) -> tuple[Array, Array, Array]:
    """W_1 of every direction, and the potentials of the samples of f and g averaged over directions."""
    values, of_f, of_g = np.empty(len(directions)), np.zeros(len(f)), np.zeros(len(g))
    for i, u in enumerate(directions):
        z = np.concatenate([f @ u, g @ u])
        order = np.argsort(z, kind="stable")
        ahead = np.cumsum(np.where(order < len(f), 1 / len(f), -1 / len(g)))[:-1]  # F_u - G_u between sorted values
        gap = np.diff(z[order])
        values[i] = np.abs(ahead) @ gap
        potential = np.empty(len(z))
        potential[order] = np.append(0.0, -np.cumsum(np.sign(ahead) * gap))
        of_f += potential[: len(f)] / len(directions)
        of_g += potential[len(f) :] / len(directions)
    return values, of_f, of_g
