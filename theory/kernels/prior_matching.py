r"""A network whose prior over functions comes as close as it can to a given one.

On a set X of inputs the network prior is N(0, K_p(X)), p its parameters, and the target N(0, K(X)). With D = W_2^2 or a
Kullback-Leibler divergence the parameters descend the mean over random sets,

    min_p < D(K_p(X), K(X)) >_X,        dD/d ln p_i = p_i tr (dD/dK_1) (dK_p/dp_i).

ln p makes a plateau of p -> 0, where p_i dD/dp_i -> 0 whether D falls or rises with p_i: a point is a minimum only if
no multiple of a parameter, however large or small, is lower.

Source: arXiv:2011.12829; the distances of wide networks are closed, :mod:`.prior_distance`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import LinAlgError, cholesky

from ...core.backend import Array
from ...core.errors import ConvergenceError, is_real, real_array, require, require_integer
from .prior_distance import covariance, gaussian_kl, wasserstein2

KernelOf = Callable[[Array, Array], tuple[Array, Sequence[Array]]]
"""(X, parameters (p,)) -> K (M, M) and its p derivatives by the parameters, each (M, M)."""
_DISTANCES = {"wasserstein": wasserstein2, "kl": gaussian_kl}
_FACTOR, _MULTIPLES = 4.0, 30  # a parameter is looked at up to 4^30 times larger and smaller

Mean = Callable[[Array], tuple[float, Array]]
"""ln p -> the mean distance, infinite where it is none, and its derivatives."""


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
    """whether the last gradient_norm is below the tolerance and no multiple of a parameter is lower by more than it"""
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

    by BFGS in the logarithms of the parameters, D = W_2^2 or KL. Where the gradient is below the tolerance, D is looked
    up with one parameter times 4^j, j = +-1, +-2, ..., +-30, until it rises by more than the tolerance, and descent
    goes on from a lower point. A minimum, not always the lowest; where a parameter tends to 0, one of the boundary.

    Parameters
    ----------
    kernel_of : callable (X, parameters (p,)) -> (K, dK)
        The kernel, (M, M), and its p derivatives by the parameters, each (M, M), at any positive parameters.
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
        Of the gradient norm and of D, in units of the mean trace of the target, or of M for "kl".
    iterations : int >= 1
        At most.

    Returns
    -------
    PriorFit.

    Raises
    ------
    ValueError
        If an argument is out of range, or a kernel is no covariance matrix of the right shape; for "kl" also if it is
        singular to double precision at the start or on a fresh set.
    TypeError
        If kernel_of or target is no function, or a count is no integer.
    mattis.core.errors.ConvergenceError
        If no such point is reached; ``solution`` is the PriorFit that was.

    Source: arXiv:2011.12829, there with W_1 and a trained critic.

    >>> x = [np.array([0.3, 1.0]), np.array([0.5, 2.0])]
    >>> linear = lambda X, p: (p[0] ** 2 * np.outer(X, X) + np.eye(2), [2 * p[0] * np.outer(X, X)])
    >>> goal = lambda X: 4.0 * np.outer(X, X) + np.eye(2)
    >>> fit_prior(linear, goal, start=[0.5], measurement_sets=x, fresh_sets=x).parameters.round(6)
    array([2.])
    """
    first = np.log(_start(start, measurement_sets, fresh_sets, distance, tolerance, iterations))
    for name, function in (("kernel_of", kernel_of), ("target", target)):
        if not callable(function):
            raise TypeError(f"{name} must be a function, got {function!r}")
    goals = [_goal(target, X, distance) for X in measurement_sets]
    unit = float(np.mean([np.trace(goal) if distance == "wasserstein" else len(goal) for goal in goals]))
    visited: dict[bytes, tuple[float, Array]] = {}

    def mean(log_p: Array) -> tuple[float, Array]:
        if log_p.tobytes() not in visited:
            pairs = zip(measurement_sets, goals, strict=True)
            terms = [_term(kernel_of, X, np.exp(log_p), goal, distance) for X, goal in pairs]
            visited[log_p.tobytes()] = float(np.mean([d for d, _ in terms])), np.mean([g for _, g in terms], axis=0)
        return visited[log_p.tobytes()]

    _refuse_singular(mean(first)[0], first)
    path, settled = _descend(mean, first, tolerance * unit, unit, iterations)
    values, slopes = zip(*[mean(x) for x in path], strict=True)
    norms = np.abs(slopes).max(axis=1)
    parameters = np.exp(path[-1])
    fresh = [_term(kernel_of, X, parameters, _goal(target, X, distance), distance)[0] for X in fresh_sets]
    _refuse_singular(float(np.sum(fresh)), path[-1])
    error = float(np.std(fresh, ddof=1) / np.sqrt(len(fresh)))
    fit = PriorFit(parameters, np.array(values), norms, settled, float(np.mean(fresh)), error)
    if not settled:
        reached = f"a gradient of {norms[-1]:.3g} (tolerance {tolerance * unit:.3g}) after {len(path) - 1} iterations"
        why = "iterations is too small" if len(path) > iterations else "no step along the gradient is lower"
        raise ConvergenceError(f"the prior fit stopped at {reached}: {why}", fit)
    return fit


def _descend(mean: Mean, first: Array, bound: float, unit: float, iterations: int) -> tuple[list[Array], bool]:
    """BFGS with steps of at most 1 in ln p; the points, and whether the last is a minimum to within ``bound``."""
    path, H = [first], None
    while True:
        u = path[-1]
        slope = mean(u)[1]
        flat = bool(np.abs(slope).max() <= bound)
        step = None if flat else _step(mean, u, H, unit)
        after = u + step if step is not None else _lower_multiple(mean, u, bound)
        if after is None or len(path) > iterations:
            return path, flat and after is None
        H = None if step is None else _updated(H, step, mean(after)[1] - slope)
        path.append(after)


def _step(mean: Mean, u: Array, H: Array | None, unit: float) -> Array | None:
    """Down along -H slope, halved until D falls, to rounding; None where it does not."""
    value, slope = mean(u)
    for way in (slope,) if H is None else (H @ slope, slope):
        longest = float(np.abs(way).max())
        step = -way / longest if H is None or way is slope else -way / max(1.0, longest)
        while np.abs(step).max() > 1e-12:
            if mean(u + step)[0] <= value + 1e-4 * float(slope @ step) + 16 * np.finfo(float).eps * unit:
                return np.asarray(step)
            step = step / 2
    return None


def _updated(H: Array | None, step: Array, change: Array) -> Array | None:
    """The inverse Hessian after a step that changed the slope; where the curvature is not positive, none."""
    curvature = float(step @ change)
    if curvature <= 0:
        return None
    H = np.eye(len(step)) * curvature / float(change @ change) if H is None else H
    left = np.eye(len(step)) - np.outer(step, change) / curvature
    return np.asarray(left @ H @ left.T + np.outer(step, step) / curvature)


def _lower_multiple(mean: Mean, u: Array, bound: float) -> Array | None:
    """The lowest point, by more than ``bound``, with one parameter times a power of 4; None if there is none."""
    here = mean(u)[0]
    best, lowest = None, here - bound
    for way in (*np.eye(len(u)), *-np.eye(len(u))):
        for j in range(1, _MULTIPLES + 1):
            other = u + j * np.log(_FACTOR) * way
            value = mean(other)[0]
            if value > here + bound or (best is not None and value > lowest):
                break
            if value < lowest:
                best, lowest = other, value
    return best


def _refuse_singular(value: float, log_p: Array) -> None:
    """A kernel of infinite divergence is an argument outside its range."""
    if not np.isfinite(value):
        at = ", ".join(f"{p:.6g}" for p in np.exp(log_p))
        raise ValueError(
            f"kernel_of(X, p)[0] must be positive definite to double precision for 'kl', not at p = [{at}]"
        )


def _start(
    start: ArrayLike, sets: Sequence[Array], fresh: Sequence[Array], distance: str, tolerance: float, iterations: int
) -> Array:
    """The start as a vector, once every argument is in its range."""
    p = real_array(start, "start")
    if p.ndim != 1 or p.size == 0:
        raise ValueError(f"start must be a vector (p,), got shape {p.shape}")
    require((p > 0) & np.isfinite(p), "start", p, "> 0 and finite")
    for name, given, least in (("measurement_sets", sets, 1), ("fresh_sets", fresh, 2)):
        if not hasattr(given, "__len__"):
            raise TypeError(f"{name} must be a list of sets of inputs, got {given!r}")
        require(len(given) >= least, f"the number of {name}", len(given), f">= {least}")
    if distance not in ("wasserstein", "kl"):
        raise ValueError(f"distance must be wasserstein or kl, got {distance!r}")
    require(is_real(tolerance) and tolerance > 0, "tolerance", tolerance, "> 0 and finite")
    require_integer(iterations, "iterations", 1, 2**31, ">= 1")
    return p


def _goal(target: Callable[[Array], Array], X: Array, distance: str) -> Array:
    """The kernel of the target, of which a divergence needs the inverse."""
    K = covariance("target(X)", target(X))
    if distance == "kl" and not _positive_definite(K):
        raise ValueError("target(X) must be positive definite to double precision for 'kl'")
    return K


def _term(kernel_of: KernelOf, X: Array, p: Array, goal: Array, distance: str) -> tuple[float, Array]:
    """The distance on one set, infinite where the kernel is singular, and its derivatives by ln p."""
    pair = kernel_of(X, p)
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ValueError(f"kernel_of(X, p) must return a kernel and its derivatives (K, dK), got {pair!r}")
    K, dK = pair
    K, slopes = covariance("kernel_of(X, p)[0]", K), real_array(dK, "kernel_of(X, p)[1]")
    if slopes.shape != (len(p), *K.shape):
        raise ValueError(f"kernel_of(X, p)[1] must be of shape {(len(p), *K.shape)}, got {slopes.shape}")
    if K.shape != goal.shape:
        raise ValueError(f"kernel_of(X, p)[0] must have the shape of target(X), {goal.shape}, got {K.shape}")
    if distance == "kl" and not _positive_definite(K):
        return np.inf, np.zeros(len(p))
    found = _DISTANCES[distance](K, goal)
    return found.value, p * np.einsum("ij,pij->p", found.gradient, slopes)


def _positive_definite(K: Array) -> bool:
    try:
        cholesky(K, lower=True)
    except LinAlgError:
        return False
    return True
