r"""Test error of kernel regression on a random target, averaged over the target exactly.

.. math::
    E = \frac1m \sum_x \bigl[K_T(x, x) - 2\, k_S^T A\, k_T + k_S^T A\, K_{T,XX} A\, k_S\bigr],
    \qquad A = (K_{S,XX} + ridge)^{-1}

The target is a Gaussian field of covariance K_T (the teacher), the regression has the kernel K_S (the student), and
k_S, k_T hold a test point's kernels with the training points. No target is ever drawn. Source: arXiv:2208.01003.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from ...core.backend import Array
from ...core.errors import ConvergenceError, is_real, real_array, require


@dataclass(frozen=True)
class ExpectedError:
    """Mean over the target of the squared test error."""

    value: float
    """E of the formula above"""
    standard_error: float
    """Of the mean over the test points, for given training points"""
    residual: float
    """Largest entry of (K_S + ridge) W - k_S over that of k_S, W the solution used"""


def expected_error(
    *,
    K_S_train: ArrayLike,
    k_S_test: ArrayLike,
    K_T_train: ArrayLike,
    k_T_test: ArrayLike,
    K_T_diag: ArrayLike,
    ridge: float = 0.0,
) -> ExpectedError:
    """Exact mean over targets f ~ GP(0, K_T) of the squared error of kernel regression with K_S.

    Parameters
    ----------
    K_S_train, K_T_train : array_like (n, n)
        Student's and teacher's kernel of the training points.
    k_S_test, k_T_test : array_like (n, m)
        The same of training (rows) and test points (columns).
    K_T_diag : array_like (m,)
        The teacher's kernel K_T(x, x) of the test points.
    ridge : float >= 0
        Added to the diagonal of K_S_train.

    Returns
    -------
    ExpectedError
        Values below about 1e-15 times the mean of K_T_diag and the condition number of K_S are rounding.

    Raises
    ------
    ValueError
        If the shapes do not fit together or a number is not finite.
    ConvergenceError
        If K_S + ridge is not positive definite to rounding.

    Source: arXiv:2208.01003.

    >>> one = expected_error(K_S_train=[[1.0]], k_S_test=[[0.5]], K_T_train=[[1.0]], k_T_test=[[0.5]], K_T_diag=[1.0])
    >>> one.value
    0.75
    """
    names = ("K_S_train", "k_S_test", "K_T_train", "k_T_test", "K_T_diag")
    given = (K_S_train, k_S_test, K_T_train, k_T_test, K_T_diag)
    K_S, k_S, K_T, k_T, diagonal = (real_array(v, name) for name, v in zip(names, given, strict=True))
    if k_S.ndim != 2 or not k_S.size:
        raise ValueError(f"k_S_test must have a shape (n, m) of training and test points, got {k_S.shape}")
    n, m = k_S.shape
    for name, value, shape in zip(names, (K_S, k_S, K_T, k_T, diagonal), ((n, n), (n, m)) * 2 + ((m,),), strict=True):
        if value.shape != shape:
            raise ValueError(f"{name} must have the shape {shape} for k_S_test of shape {k_S.shape}, got {value.shape}")
        require(np.isfinite(value), name, value, "finite")
    require(is_real(ridge) and ridge >= 0, "ridge", ridge, "finite and >= 0")
    W, residual = _weights(K_S + ridge * np.eye(n), k_S)
    errors = diagonal - 2 * (k_T * W).sum(axis=0) + (W * (K_T @ W)).sum(axis=0)
    spread = float(errors.std(ddof=1) / np.sqrt(m)) if m > 1 else np.inf
    return ExpectedError(float(errors.mean()), spread, residual)


def _weights(K: Array, k: Array) -> tuple[Array, float]:
    try:
        W = cho_solve(cho_factor(K, lower=True), k)
    except LinAlgError as error:
        raise ConvergenceError("K_S_train + ridge is not positive definite to rounding: raise ridge") from error
    return W, float(abs(K @ W - k).max() / max(abs(k).max(), np.finfo(float).tiny))
