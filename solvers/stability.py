"""Local stability of a fixed point: the spectrum of 1 - dF/dx."""

import numpy as np

from ..core.backend import Array


def least_eigenvalue(A: Array) -> Array:
    """Least real part among the eigenvalues of A, shape (variables, variables, points); nan where A is.

    >>> float(least_eigenvalue(np.array([[[2.0]], ]) - 0.5)[0])
    1.5
    """
    if A.shape[0] == 1:
        return A[0, 0]
    if A.shape[0] == 2:
        half, det = 0.5 * (A[0, 0] + A[1, 1]), A[0, 0] * A[1, 1] - A[0, 1] * A[1, 0]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            gap = half * half - det
            root = np.sqrt(np.maximum(gap, 0.0))
            return np.where((gap > 0) & (half > 0), det / (half + root), half - root)
    found = np.full(A.shape[2], np.nan)
    finite = np.isfinite(A).all(axis=(0, 1))
    matrix = np.moveaxis(A[:, :, finite], 2, 0)
    if np.array_equal(matrix, matrix.swapaxes(1, 2)):
        found[finite] = np.linalg.eigvalsh(matrix)[:, 0]
    else:
        found[finite] = np.linalg.eigvals(matrix).real.min(axis=1)
    return found


def stability(J: Array) -> Array:
    """Least real part of the spectrum of 1 - J; -inf where an entry of J diverges upwards.

    A solution is locally stable under dx/dt = F(x) - x where this is positive.

    Parameters
    ----------
    J : array, shape (variables, variables, points)
        dF_i/dx_j at the solutions.

    Returns
    -------
    array, shape (points,)

    Examples
    --------
    >>> J = np.array([[0.5, 0.0], [0.0, 0.25]])[:, :, None]
    >>> float(stability(J)[0])
    0.5
    """
    n = J.shape[0]
    with np.errstate(invalid="ignore"):
        least = least_eigenvalue(np.eye(n)[:, :, None] - J)
    diverges = np.isposinf(J[np.arange(n), np.arange(n)]).any(axis=0)
    return np.where(diverges, -np.inf, least)
