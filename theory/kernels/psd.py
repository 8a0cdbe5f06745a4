r"""A kernel matrix factored once, A = L L^T, and what had to be added to its diagonal for that.

The factor is written over the lower triangle of A; the upper triangle and the diagonal keep A, so that nothing of n^2
is copied and A is there again where the factorisation fails.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh, eigvalsh
from scipy.linalg.blas import dsymv, dtrsm
from scipy.linalg.lapack import dpotrf, dpotri, dpotrs

from ...core.backend import Array
from ...core.blas import threads_for
from ...core.errors import ConvergenceError


class NotPositiveDefinite(UserWarning):
    """A kernel matrix had no Cholesky factor above rounding: its least eigenvalue, and what its diagonal was given."""


@dataclass(frozen=True, eq=False)
class Cholesky:
    """A = L L^T of shape (n, n), in Fortran order."""

    packed: Array
    """L on and below the diagonal, A above it; shape (n, n)"""
    diagonal: Array
    """of A; shape (n,)"""
    noise: float
    """what the caller added to the diagonal of the matrix"""
    jitter: float
    """what was added besides; 0.0 where A has a factor without"""

    @property
    def log_determinant(self) -> float:
        """Ln |A|."""
        return 2 * float(np.log(np.diagonal(self.packed)).sum())

    def solve(self, b: Array) -> Array:
        """A^-1 b; b has shape (n, k)."""
        with threads_for(len(b)):
            return dpotrs(self.packed, b, lower=1)[0]

    def multiply(self, v: Array) -> Array:
        """A v; v has shape (n,)."""
        return dsymv(1.0, self.packed, v, lower=0) + (self.diagonal - np.diagonal(self.packed)) * v

    def whiten(self, b: Array) -> Array:
        """L^-1 b; b has shape (n, k)."""
        with threads_for(len(b)):
            return dtrsm(1.0, self.packed, b, lower=1)

    def matrix(self) -> Array:
        """The matrix that was given: A without noise and jitter; shape (n, n)."""
        matrix = np.triu(self.packed, 1)
        matrix += matrix.T
        np.fill_diagonal(matrix, self.diagonal - self.noise - self.jitter)
        return matrix

    def inverse_triangle(self) -> Array:
        """A^-1 on and above the diagonal, zero below it, in C order; shape (n, n)."""
        with threads_for(len(self.packed)):
            inverse, _ = dpotri(self.packed, lower=1)
        return np.triu(inverse.T)

    def eigh(self) -> tuple[Array, Array]:
        """Eigenvalues of A, shape (n,), those below zero by rounding set to zero; eigenvectors in the columns."""
        matrix = self.packed.copy(order="F")
        np.fill_diagonal(matrix, self.diagonal)
        values, vectors = eigh(matrix, lower=False, overwrite_a=True, check_finite=False, driver="evd")
        return np.maximum(values, 0.0), vectors


def cholesky(matrix: Array, noise: float = 0.0, what: str = "the kernel of X") -> Cholesky:
    r"""Factor A = matrix + noise I. ``matrix`` is overwritten.

    Where A is not positive definite beyond rounding (coincident inputs, say), the smallest of the diagonal shifts
    1e-14, 1e-13, ..., 1e-6 of the mean diagonal that makes it so is added, reported as ``jitter`` and warned of.

    Parameters
    ----------
    matrix : array, shape (n, n)
        Symmetric, float64, C order.
    noise : float, >= 0
        Added to the diagonal, in the units of the matrix.
    what : str
        What messages call the matrix.

    Raises
    ------
    ValueError
        If the matrix holds nan or inf.
    ConvergenceError
        If a shift of 1e-6 is not enough.

    >>> factor = cholesky(np.array([[1.0, 0.5], [0.5, 1.0]]), noise=1.0)
    >>> round(factor.log_determinant, 12), factor.jitter  # ln(2 * 2 - 1 / 4)
    (1.321755839982, 0.0)
    """
    diagonal = np.diagonal(matrix) + noise
    packed, done = _factor(matrix.T, diagonal)
    return Cholesky(packed, diagonal, noise, 0.0) if done else _shifted(packed, diagonal, noise, what)


def _factor(packed: Array, diagonal: Array) -> tuple[Array, bool]:
    """Overwrite the lower triangle by L; False where a pivot is not above rounding, n eps of its diagonal."""
    np.einsum("ii->i", packed)[...] = diagonal
    with threads_for(len(packed)):
        packed, info = dpotrf(packed, lower=1, clean=0, overwrite_a=1)
    above = np.diagonal(packed) ** 2 > diagonal.size * np.finfo(float).eps * diagonal
    return packed, info == 0 and bool(above.all())


def _restore(packed: Array, diagonal: Array) -> None:
    """A from its upper triangle and its diagonal."""
    for j in range(len(diagonal)):
        packed[j + 1 :, j] = packed[j, j + 1 :]
    np.einsum("ii->i", packed)[...] = diagonal


def _shifted(packed: Array, diagonal: Array, noise: float, what: str) -> Cholesky:
    """The factor of A + jitter, least jitter of the list first."""
    _restore(packed, diagonal)
    if not np.isfinite(packed).all():
        raise ValueError(f"{what} holds nan or inf: its inputs are too large, or not finite")
    least = float(eigvalsh(packed, subset_by_index=[0, 0], check_finite=False)[0])
    for exponent in range(-14, -5):
        jitter = 10.0**exponent * abs(float(diagonal.mean()))
        if jitter <= -least:
            continue
        packed, done = _factor(packed, diagonal + jitter)
        if done:
            warnings.warn(
                f"{what} is not positive definite beyond rounding (least eigenvalue {least:.3g}): "
                f"{jitter:.3g} was added to its diagonal; noise > 0 states it as a parameter",
                NotPositiveDefinite,
                stacklevel=2,
            )
            return Cholesky(packed, diagonal + jitter, noise, jitter)
        _restore(packed, diagonal)
    raise ConvergenceError(
        f"{what} has no Cholesky factor: its least eigenvalue is {least:.3g}, and 1e-6 of its mean diagonal "
        f"{diagonal.mean():.3g} does not lift it"
    )
