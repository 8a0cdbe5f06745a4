"""What a solver is given and what it returns; only arrays cross this border."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array

Box = tuple[Array, Array]
Step = Callable[[Array, NDArray[np.intp]], tuple[Array, Array]]
"""``step(x, at) -> (F, J)``: the map F(x), shape (variables, len(at)), and its Jacobian dF_i/dx_j, shape
(variables, variables, len(at)), of the points ``at`` only."""


@dataclass(frozen=True)
class Root:
    """Where an iteration ended: x (variables, points), dF_i/dx_j there, and per point residual max|F(x) - x|,
    converged, n_steps.
    """

    x: Array
    J: Array
    residual: Array
    converged: NDArray[np.bool_]
    n_steps: NDArray[np.int64]


class Solver(Protocol):
    """``solver(step, x0, box) -> Root``; box = (low, high), each of x0's shape."""

    def __call__(self, step: Step, x0: Array, box: Box) -> Root:
        """Iterate from x0, shape (variables, points), inside the box."""
        ...


def residual_of(image: Array, x: Array) -> Array:
    """max_i |F_i - x_i| per point; equal infinities differ by nothing, nan stays nan."""
    with np.errstate(invalid="ignore"):
        gap = np.where(image == x, 0.0, np.abs(image - x))
    return gap.max(axis=0, initial=0.0)


class Advance(Protocol):
    """The rule of a solver: from y, F(y) and J of the points still going to their next y.

    ``going`` says which of the points of the call before are left, for rules with a memory.
    """

    def __call__(self, y: Array, image: Array, J: Array, box: Box, going: NDArray[np.bool_]) -> Array:
        """Return the next y, shape (variables, points left)."""
        ...


def iterate(step: Step, x0: Array, box: Box, advance: Advance, tol: float, max_steps: int) -> Root:
    """Advance every point of x0 until max|F(x) - x| < tol; points that are done leave the working set.

    A point whose map is not finite, or that has used up max_steps, stays where it is, marked.
    """
    points = x0.shape[1]
    x, residual, n_steps = x0.astype(float), np.full(points, np.inf), np.zeros(points, np.int64)
    jacobian = np.full((x.shape[0], *x.shape), np.nan)
    at, y, (low, high) = np.arange(points), x.copy(), box
    for _ in range(max_steps):
        image, J = step(y, at)
        r = residual_of(image, y)
        residual[at], x[:, at], jacobian[:, :, at] = r, y, J
        n_steps[at] += 1
        going = (r >= tol) & np.isfinite(r)
        if not going.all():
            left = np.flatnonzero(going)
            at, y, image, J = at[left], y.take(left, axis=-1), image.take(left, axis=-1), J.take(left, axis=-1)
            low, high = low.take(left, axis=-1), high.take(left, axis=-1)
        if at.size == 0:
            break
        y = advance(y, image, J, (low, high), going)
    return Root(x, jacobian, residual, residual < tol, n_steps)
