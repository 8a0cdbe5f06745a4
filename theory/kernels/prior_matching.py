r"""A network whose prior over functions comes as close as it can to a given one.

On a set X of inputs the network prior is N(0, K_p(X)), p its parameters, and the target N(0, K(X)). With D = W_2^2 or a
Kullback-Leibler divergence the parameters descend the mean over random sets,

    min_p < D(K_p(X), K(X)) >_X,        dD/d ln p_i = p_i tr (dD/dK_1) (dK_p/dp_i).

Source: arXiv:2011.12829; the distances of wide networks are closed, :mod:`.prior_distance`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize

from ...core.backend import Array
from ...core.errors import ConvergenceError, require, require_integer
from .prior_distance import covariance, gaussian_kl, wasserstein2

KernelOf = Callable[[Array, Array], tuple[Array, Sequence[Array]]]
"""(X, parameters (p,)) -> K (M, M) and its p derivatives by the parameters, each (M, M)."""
_DISTANCES = {"wasserstein": wasserstein2, "kl": gaussian_kl}


@dataclass(frozen=True, eq=False)
class PriorFit:
    """A fitted kernel: its parameters, the way there, and how it does on inputs it has not seen."""

    parameters: Array
    """(p,)"""
    distance: Array
    """(iterations + 1,): mean over the measurement sets, from the start on"""
    gradient_norm: Array
    """(iterations + 1,): largest derivative of that mean by the logarithm of a parameter"""
    converged: bool
    """whether the last gradient_norm is below the tolerance"""
    fresh: float
    """mean distance over the fresh sets"""
    fresh_error: float
    """its standard error"""


def fit_prior(
    kernel_of: KernelOf,
    target: Callable[[Array], Array],
    *,
    start: ArrayLike,
    measurement_sets: Sequence[Array],
    fresh_sets: Sequence[Array],
    distance: str = "wasserstein",
    tolerance: float = 1e-6,
    iterations: int = 200,
) -> PriorFit:
    r"""Positive parameters of a kernel that bring its prior closest to a target prior.

    .. math:: \min_p\ \langle D(K_p(X), K_\mathrm{target}(X)) \rangle_X,
              \qquad \frac{\partial D}{\partial \ln p_i} = p_i\,\mathrm{tr}\,\frac{\partial D}{\partial K_1}
              \frac{\partial K_p}{\partial p_i}

    by BFGS in the logarithms of the parameters, D = W_2^2 or KL. A minimum, not always the lowest.

    Parameters
    ----------
    kernel_of : callable (X, parameters (p,)) -> (K, dK)
        The kernel, (M, M), and its p derivatives by the parameters, each (M, M).
    target : callable X -> (M, M)
        The kernel of the target prior.
    start : array_like, (p,), > 0
        Parameters to begin with.
    measurement_sets, fresh_sets : sequences of arrays
        Random sets of inputs X, handed on as they are; the fit sees only the former, and the fresh ones, at least two,
        measure it. Draw both from where the prior matters.
    distance : {"wasserstein", "kl"}
        W_2^2 or the divergence of :func:`gaussian_kl`.
    tolerance : float > 0
        Of the gradient norm, in units of the mean trace of the target, or of M for "kl".
    iterations : int >= 1
        At most.

    Returns
    -------
    PriorFit.

    Raises
    ------
    ValueError
        If an argument is out of range, or a kernel is no covariance matrix of the right shape.
    mattis.core.errors.ConvergenceError
        If the gradient stays above the tolerance; ``solution`` is the PriorFit that was reached.

    Source: arXiv:2011.12829, there with W_1 and a trained critic.

    >>> x = [np.array([0.3, 1.0]), np.array([0.5, 2.0])]
    >>> linear = lambda X, p: (p[0] ** 2 * np.outer(X, X) + np.eye(2), [2 * p[0] * np.outer(X, X)])
    >>> goal = lambda X: 4.0 * np.outer(X, X) + np.eye(2)
    >>> fit_prior(linear, goal, start=[0.5], measurement_sets=x, fresh_sets=x).parameters.round(6)
    array([2.])
    """
    first = np.log(_start(start, measurement_sets, fresh_sets, distance, tolerance, iterations))
    goals = [covariance("target(X)", target(X)) for X in measurement_sets]
    bound = tolerance * float(np.mean([np.trace(goal) if distance == "wasserstein" else len(goal) for goal in goals]))
    visited: dict[bytes, tuple[float, Array]] = {}

    def mean(log_p: Array) -> tuple[float, Array]:
        if log_p.tobytes() not in visited:
            pairs = zip(measurement_sets, goals, strict=True)
            terms = [_term(kernel_of, X, np.exp(log_p), goal, distance) for X, goal in pairs]
            visited[log_p.tobytes()] = float(np.mean([d for d, _ in terms])), np.mean([g for _, g in terms], axis=0)
        return visited[log_p.tobytes()]

    path = [first]
    end = minimize(
        mean,
        first,
        jac=True,
        method="BFGS",
        callback=lambda x: path.append(x.copy()),
        options={"gtol": bound, "maxiter": iterations},
    )
    values, slopes = zip(*[mean(x) for x in path], strict=True)
    norms = np.abs(slopes).max(axis=1)
    parameters = np.exp(path[-1])
    fresh = [_term(kernel_of, X, parameters, covariance("target(X)", target(X)), distance)[0] for X in fresh_sets]
    error = float(np.std(fresh, ddof=1) / np.sqrt(len(fresh)))
    fit = PriorFit(parameters, np.array(values), norms, bool(norms[-1] <= bound), float(np.mean(fresh)), error)
    if not fit.converged:
        reached = f"a gradient of {norms[-1]:.3g} > {bound:.3g} after {end.nit} iterations"
        raise ConvergenceError(f"the prior fit stopped at {reached}: {end.message}", fit)
    return fit


def _start(
    start: ArrayLike, sets: Sequence[Array], fresh: Sequence[Array], distance: str, tolerance: float, iterations: int
) -> Array:
    """The start as a vector, once every argument is in its range."""
    p = np.asarray(start, dtype=np.float64)
    if p.ndim != 1 or p.size == 0:
        raise ValueError(f"start must be a vector (p,), got shape {p.shape}")
    require((p > 0) & np.isfinite(p), "start", p, "> 0 and finite")
    require(len(sets) >= 1, "the number of measurement_sets", len(sets), ">= 1")
    require(len(fresh) >= 2, "the number of fresh_sets", len(fresh), ">= 2")
    if distance not in _DISTANCES:
        raise ValueError(f"distance must be wasserstein or kl, got {distance!r}")
    require(0 < tolerance < np.inf, "tolerance", tolerance, "> 0 and finite")
    require_integer(iterations, "iterations", 1, 2**31, ">= 1")
    return p


def _term(kernel_of: KernelOf, X: Array, p: Array, goal: Array, distance: str) -> tuple[float, Array]:
    """The distance on one set and its derivatives by ln p."""
    K, dK = kernel_of(X, p)
    K, slopes = covariance("kernel_of(X, p)[0]", K), np.asarray(dK, dtype=np.float64)
    if slopes.shape != (len(p), *K.shape):
        raise ValueError(f"kernel_of(X, p)[1] must be of shape {(len(p), *K.shape)}, got {slopes.shape}")
    found = _DISTANCES[distance](K, goal)
    return found.value, p * np.einsum("ij,pij->p", found.gradient, slopes)
