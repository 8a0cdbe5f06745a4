r"""Newton's ascent over a stack of positive definite matrices, in coordinates where the prior has curvature -1.

    G_l = R_l (1 + S_l) R_l^T,   S_l = sqrt(2/nu_l) s_l,   s -> s - H^-1 g,   G_l <- R_l (1 + S_l/2)^2 R_l^T

The linear system is solved by conjugate gradients with exact products H s, so a step costs some tens of those at any
size. The update is positive definite whatever the step.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.sparse.linalg import LinearOperator, eigsh

from ...core.backend import Array
from .deep_kernel_algebra import factor
from .deep_kernel_objective import Evaluation

Evaluate = Callable[[Array], Evaluation]
_HALVINGS = 40
_INNER = 200
_DENSE = 300


class Ascent(NamedTuple):
    """Where the ascent ended: R (layer, n, n), the evaluation there, the residual, the number of steps."""

    R: Array
    at: Evaluation
    residual: float
    steps: int


def ascend(evaluate: Evaluate, R: Array, nu: Array, *, tolerance: float, max_steps: int) -> Ascent:
    """Damped Newton steps until max |2 (dL/dS_l)/nu_l| <= tolerance, none helps or max_steps are done."""
    weight = np.sqrt(2 / nu)[:, None, None]
    at, steps = evaluate(R), 0
    while _residual(at, weight) > tolerance and steps < max_steps:
        step = weight * _newton_step(at, weight)
        moved = _line_search(evaluate, R, at, step, weight)
        if moved is None:
            break
        R, at = moved
        steps += 1
    return Ascent(R, at, _residual(at, weight), steps)


def curvature(at: Evaluation, nu: Array) -> float:
    """Largest eigenvalue of the Hessian by s: of the whole matrix while small, else by Lanczos to 1e-3."""
    weight, shape = np.sqrt(2 / nu)[:, None, None], at.gradient.shape
    rows, columns = np.triu_indices(shape[1])
    unit = np.where(rows == columns, 1.0, np.sqrt(0.5))
    size = shape[0] * len(rows)

    def product(v: Array) -> Array:
        s = np.zeros(shape)
        s[:, rows, columns] = unit * v.reshape(shape[0], -1)
        s += np.triu(s, 1).transpose(0, 2, 1)
        Hs = weight * at.hessian(weight * s)
        return (Hs[:, rows, columns] / unit).ravel()

    if size <= _DENSE:
        H = np.array([product(e) for e in np.eye(size)])
        return float(np.linalg.eigvalsh(0.5 * (H + H.T))[-1])
    start = np.random.Generator(np.random.Philox(key=0)).normal(size=size)
    operator = LinearOperator((size, size), matvec=product, dtype=np.float64)
    return float(eigsh(operator, k=1, which="LA", tol=1e-3, v0=start, return_eigenvectors=False)[0])


def _residual(at: Evaluation, weight: Array) -> float:
    return float(np.abs(weight**2 * at.gradient).max())


def _newton_step(at: Evaluation, weight: Array) -> Array:
    """Conjugate gradients for -H s = g, cut short where H is not negative along a direction."""
    g = weight * at.gradient
    s, rest, p, square = np.zeros_like(g), g, g, float((g**2).sum())
    enough = square * min(0.1, np.sqrt(square)) ** 2
    for _ in range(_INNER):
        Hp = -weight * at.hessian(weight * p)
        bend = float((p * Hp).sum())
        if bend <= 0:
            return s if s.any() else g
        s = s + (square / bend) * p
        rest = rest - (square / bend) * Hp
        previous, square = square, float((rest**2).sum())
        if square <= enough:
            break
        p = rest + (square / previous) * p
    return s


def _line_search(
    evaluate: Evaluate, R: Array, at: Evaluation, step: Array, weight: Array
) -> tuple[Array, Evaluation] | None:
    """The first of step, step/2, ... that raises L enough or, where L is flat to rounding, lowers the residual."""
    rise, flat = float((at.gradient * step).sum()), 1e-9 * (1 + abs(at.value))
    for t in 0.5 ** np.arange(_HALVINGS):
        half = np.eye(R.shape[1]) + 0.5 * t * step
        try:
            trial = R @ factor(half @ half)
            new = evaluate(trial)
        except np.linalg.LinAlgError:
            continue
        if new.value >= at.value + 1e-4 * t * rise and t * rise > flat:
            return trial, new
        if rise <= flat and _residual(new, weight) < 0.9 * _residual(at, weight):
            return trial, new
    return None
