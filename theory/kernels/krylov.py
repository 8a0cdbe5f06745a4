r"""The action of the flow's phi_t(A) on one vector, without the eigenvectors of A (Lanczos).

.. math::
    u(t) = \varphi_t(A)\, b, \quad \dot u = b - A u, \qquad
    u_m = |b|\, V_m \varphi_t(H_m) e_1, \quad A V_m = V_m H_m + \beta_m v_{m+1} e_m^T

The residual of u_m in the equation of motion is :math:`|b| \beta_m |e_m^T \varphi_s(H_m) e_1|` at time s, which grows
with s (exp(-s H) of a tridiagonal H > 0 has entries of fixed sign), so that the error of u_m(t) is at most t times it.
"""

from collections.abc import Callable

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.special import exprel

from ...core.backend import Array

_EVERY = 8  # steps between two looks at the error


def filtered(multiply: Callable[[Array], Array], b: Array, times: Array, steps: int, rtol: float) -> Array | None:
    r"""phi_t(A) b, phi_t = (1 - exp(-A t))/A, for every time.

    Parameters
    ----------
    multiply : callable
        v -> A v, A symmetric and positive semidefinite.
    b : array, shape (n,)
    times : array, shape (times,)
        Finite, >= 0.
    steps : int
        Products by A at most.
    rtol : float
        Bound on the error in units of |phi_t(A) b|, for every time.

    Returns
    -------
    array, shape (times, n); None where the bound was not reached.

    Source: R. Sidje, ACM Trans. Math. Softw. 24, 130 (1998); M. Botchev, V. Grimm, M. Hochbruck, arXiv:1206.2909
    (the residual).

    >>> A, b = np.diag([1.0, 2.0, 3.0]), np.ones(3)
    >>> found = filtered(lambda v: A @ v, b, np.array([0.5]), 3, 1e-12)
    >>> bool(np.allclose(found, (1 - np.exp(-0.5 * A.diagonal())) / A.diagonal(), rtol=1e-13))
    True
    """
    length = float(np.linalg.norm(b))
    if length == 0:
        return np.zeros((times.size, b.size))
    basis, diagonal, beside = np.empty((steps + 1, b.size)), np.empty(steps), np.empty(steps)
    basis[0] = b / length
    for m in range(1, steps + 1):
        w, known = multiply(basis[m - 1]), basis[:m]
        diagonal[m - 1] = w @ basis[m - 1]
        for _ in range(2):  # the second time takes out what rounding has left
            w -= known.T @ (known @ w)
        beside[m - 1] = np.linalg.norm(w)
        closed = beside[m - 1] <= 1e-14 * diagonal[:m].max()  # the basis is closed under A
        if closed or m % _EVERY == 0 or m == steps:
            small = _small(diagonal[:m], beside[: m - 1], times)
            if (times * beside[m - 1] * abs(small[:, -1]) <= rtol * np.linalg.norm(small, axis=1)).all():
                return length * (small @ known)
        if closed:
            return None
        basis[m] = w / beside[m - 1]
    return None


def _small(diagonal: Array, beside: Array, times: Array) -> Array:
    """phi_t(H) e_1, shape (times, m)."""
    values, vectors = eigh_tridiagonal(diagonal, beside)
    phi = progress_of_flow(times[:, None], np.maximum(values, 0.0))
    return (phi * vectors[0]) @ vectors.T


def progress_of_flow(t: Array | float, values: Array) -> Array:
    """(1 - exp(-lambda t))/lambda of eigenvalues lambda >= 0 at times t, also where their product is no number.

    >>> progress_of_flow(1e308, np.array([0.0, 1e-3, 1e3]))
    array([1.e+308, 1.e+003, 1.e-003])
    """
    with np.errstate(over="ignore"):
        x = t * values
    late = x > 1
    done: Array = np.where(late, -np.expm1(-x) / np.where(late, values, 1.0), t * exprel(-np.minimum(x, 1.0)))
    return done
