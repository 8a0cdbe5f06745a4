"""Newton's method that keeps to the basin of the flow it replaces."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require
from .root import Box, Root, Step, iterate, residual_of
from .stability import least_eigenvalue

_WORSE = 10.0
_LAMBDAS = (0.0, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1e4)


@dataclass(frozen=True, kw_only=True)
class Newton:
    r"""Implicit Euler on dx/dt = F(x) - x with the longest step that keeps to the flow.

    .. math:: (\lambda + 1 - J)\, dx = F(x) - x

    with the smallest lambda in {0, 0.03, ..., 1e4} for which every eigenvalue of the matrix has a positive real
    part (for two variables: determinant and trace positive), |dx| <= reach max(1, |x|) and x + dx lies in the box. At
    lambda = 0 this is Newton's method; the conditions keep an iteration in the basin where it began. After a step
    that makes the residual ten times larger, as from flat ground past a solution, reach is a quarter.

    Parameters
    ----------
    tol : float
        A point has converged when max |F(x) - x| < tol.
    max_steps : int
        Steps before a point is given up; it stays, marked.
    reach : float
        Longest step in any variable, relative to its size beyond 1.

    Examples
    --------
    >>> def step(x, at):
    ...     return np.cos(x), -np.sin(x)[None]
    >>> root = Newton()(step, np.ones((1, 1)), (np.zeros((1, 1)), np.ones((1, 1))))
    >>> round(float(root.x[0, 0]), 10)
    0.7390851332
    """

    tol: float = 1e-12
    max_steps: int = 1000
    reach: float = 0.3

    def __post_init__(self) -> None:
        require(self.tol > 0, "tol", self.tol, "> 0")
        require(self.max_steps >= 1, "max_steps", self.max_steps, ">= 1")
        require(self.reach > 0, "reach", self.reach, "> 0")

    def __call__(self, step: Step, x0: Array, box: Box) -> Root:
        """Iterate every point of x0, shape (variables, points), until it has converged or is given up."""
        pace = _Pace(x0.shape[1], self.reach)

        def advance(y: Array, image: Array, J: Array, box: Box, going: NDArray[np.bool_]) -> Array:
            return self._move(y, image, J, box, pace.reach_at(residual_of(image, y), going))

        return iterate(step, x0, box, advance, self.tol, self.max_steps)

    def _move(self, y: Array, image: Array, J: Array, box: Box, longest: Array) -> Array:
        """The longest admissible implicit step; a small explicit one where none is."""
        low, high = box
        gap, A = image - y, np.eye(y.shape[0])[:, :, None] - J
        least = least_eigenvalue(A)
        reach = longest * np.maximum(1.0, abs(y))
        moved = np.clip(y + 1e-3 * gap, low, high)
        todo = np.arange(y.shape[1])
        for lam in _LAMBDAS:
            dx = _solve(A, lam, gap)
            new = y + dx
            with np.errstate(invalid="ignore"):
                ok = (least + lam > 0) & (abs(dx) <= reach).all(axis=0)
                ok &= ((new >= low) & (new <= high)).all(axis=0)
            moved[:, todo[ok]] = new[:, ok]
            left = np.flatnonzero(~ok)
            if left.size == 0:
                break
            todo, least, A, gap = todo[left], least[left], A.take(left, axis=-1), gap.take(left, axis=-1)
            y, reach, low, high = (v.take(left, axis=-1) for v in (y, reach, low, high))
        return moved


class _Pace:
    """The longest step of each point: a quarter of it after a step that took it tenfold further from its solution."""

    def __init__(self, points: int, reach: float) -> None:
        self.reach, self.residual = np.full(points, reach), np.full(points, np.inf)

    def reach_at(self, residual: Array, going: NDArray[np.bool_]) -> Array:
        """The longest steps of the points left."""
        self.reach = np.where(residual > _WORSE * self.residual[going], 0.25, 1.0) * self.reach[going]
        self.residual = residual
        return self.reach


def _solve(A: Array, lam: float, b: Array) -> Array:
    """(lam + A) dx = b for every point, in closed form for one and two variables."""
    with np.errstate(all="ignore"):
        if A.shape[0] == 1:
            return b / (lam + A[0])
        if A.shape[0] == 2:
            a, d = A[0, 0] + lam, A[1, 1] + lam
            det = a * d - A[0, 1] * A[1, 0]
            return np.stack([d * b[0] - A[0, 1] * b[1], a * b[1] - A[1, 0] * b[0]]) / det
    return _solve_many(A, lam, b)


def _solve_many(A: Array, lam: float, b: Array) -> Array:
    n = A.shape[0]
    matrix = np.moveaxis(A + lam * np.eye(n)[:, :, None], 2, 0)
    good: NDArray[np.bool_] = np.isfinite(matrix).all(axis=(1, 2)) & (abs(np.linalg.det(matrix)) > 0)
    dx = np.full(b.shape, np.nan)
    dx[:, good] = np.linalg.solve(matrix[good], b[:, good].T[:, :, None])[:, :, 0].T
    return dx
