r"""Ridge regression on M features instead of n points: kernel ridge regression with K = Phi Phi^T, at a cost of n M^2,

    (Phi^T Phi + ridge) w = Phi^T y,      f(x) = phi(x).w = K(x, X) (K + ridge)^{-1} y.

Only M x M numbers are kept: the rows of X pass by in blocks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ...core.backend import Array
from ...core.errors import ConvergenceError, is_real, real_array, require
from .features import Features

_BLOCK = 4096  # rows


@dataclass(frozen=True)
class FeatureRidge:
    """A fitted model."""

    features: Features
    """phi"""
    weights: Array
    """w, (M,) or (M, k)"""
    residual: float
    """|Phi^T y - (Phi^T Phi + ridge) w| over |Phi^T Phi + ridge| |w| + |Phi^T y|, Frobenius norms: a few 1e-16"""
    d: int
    """columns of the inputs"""

    def predict(self, X: ArrayLike) -> Array:
        """f (n,) or (n, k) at the rows of X (n, d), in blocks; ValueError for another shape, another d too."""
        X = _rows(X, self.d)
        return np.concatenate([self.features.transform(X[i]) @ self.weights for i in _blocks(len(X))])


def feature_ridge(features: Features, X: ArrayLike, y: ArrayLike, *, ridge: float) -> FeatureRidge:
    r"""Ridge regression with random features.

    .. math::
        w = (\Phi^T \Phi + \mathrm{ridge})^{-1} \Phi^T y, \qquad \Phi = \phi(X)

    which minimises sum_i (phi(x_i).w - y_i)^2 + ridge |w|^2. With E Phi Phi^T = K it tends to kernel ridge regression
    with K + ridge as m grows.

    Parameters
    ----------
    features : ArcCosineFeatures, NetworkFeatures or another map with ``transform``
    X : array (n, d)
        Inputs; a memory map is read block by block.
    y : array (n,) or (n, k)
        Targets.
    ridge : float > 0
        For the sum of squares, not their mean.

    Returns
    -------
    FeatureRidge with weights (M,) or (M, k), ``predict`` and the relative residual of the normal equations.

    Raises
    ------
    ValueError
        If an array has the wrong shape or an entry that is not finite, or ridge is not positive.
    TypeError
        If features is no feature map.
    ConvergenceError
        If the ridge is below the rounding errors of Phi^T Phi, so that it is not positive definite.

    Source: A. Rahimi, B. Recht, Adv. Neural Inf. Process. Syst. 20 (2007); the convention of the ridge is that of
    arXiv:2006.13198.

    >>> from mattis.theory.kernels.features import ArcCosineFeatures
    >>> X = np.linspace(-1.0, 1.0, 50)[:, None] * [1.0, 0.0] + [0.0, 1.0]
    >>> fit = feature_ridge(ArcCosineFeatures(order=1, m=512, seed=1), X, X[:, 0] ** 2, ridge=1e-6)
    >>> round(float(fit.predict([[0.5, 1.0]])[0]), 3)
    0.25
    """
    if not hasattr(features, "transform"):
        raise TypeError(f"features must be a feature map with transform, got {features!r}")
    X, y = _rows(X), real_array(y, "y")
    if y.ndim not in (1, 2) or len(y) != len(X):
        raise ValueError(f"y must have shape (n,) or (n, k) with n = {len(X)}, got {y.shape}")
    require(np.isfinite(y), "y", y, "finite")
    require(is_real(ridge) and ridge > 0, "ridge", ridge, "finite and > 0")
    A, b = _normal_equations(features, X, y)
    A[np.diag_indices_from(A)] += ridge
    try:
        w = cho_solve(cho_factor(A), b)
    except LinAlgError:
        raise ConvergenceError(
            f"ridge = {ridge} is lost in the rounding errors of Phi^T Phi: take a larger one"
        ) from None
    norm = np.linalg.norm
    return FeatureRidge(features, w, float(norm(b - A @ w) / (norm(A) * norm(w) + norm(b) or 1.0)), X.shape[1])


def _normal_equations(features: Features, X: Array, y: Array) -> tuple[Array, Array]:
    """Phi^T Phi and Phi^T y."""
    A, b = np.zeros(()), np.zeros(())
    for i in _blocks(len(X)):
        phi = features.transform(X[i])
        A = A + phi.T @ phi
        b = b + phi.T @ y[i]
    return A, b


def _blocks(n: int) -> list[slice]:
    return [slice(i, i + _BLOCK) for i in range(0, n, _BLOCK)]


def _rows(X: ArrayLike, d: int | None = None) -> Array:
    """X as it is, with its shape checked; ``transform`` checks the entries block by block."""
    X = X if isinstance(X, np.ndarray) else real_array(X, "X")
    if X.ndim != 2 or 0 in X.shape or d not in (None, X.shape[1]):
        raise ValueError(f"X must have shape (n, {d or 'd'}), got {X.shape}")
    return X
