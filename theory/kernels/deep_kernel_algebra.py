"""The few products of triangular and symmetric matrices that deep kernel machines are made of."""

import numpy as np
from scipy.linalg import solve_triangular

from ...core.backend import Array


def factor(A: Array) -> Array:
    """Lower Cholesky factor J of each matrix, A = J J^T; LinAlgError where A is not positive definite."""
    return np.linalg.cholesky(A).astype(np.float64, copy=False)


def lower(J: Array, B: Array) -> Array:
    """J^-1 B of a lower triangular J."""
    return solve_triangular(J, B, lower=True, check_finite=False)


def upper(J: Array, B: Array) -> Array:
    """J^-T B of a lower triangular J."""
    return solve_triangular(J, B, lower=True, trans="T", check_finite=False)


def sandwich(J: Array, A: Array) -> Array:
    """J^-T A J^-1 of a symmetric A."""
    return upper(J, upper(J, A).T)


def symmetric(A: Array) -> Array:
    """The symmetric part of each matrix: conjugate gradients would amplify a skew rounding error."""
    return 0.5 * (A + A.swapaxes(-1, -2))
