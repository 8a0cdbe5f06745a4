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
    """Where an iteration ended: x (variables, points), and per point residual max|F(x) - x|, converged, n_steps."""

    x: Array
    residual: Array
    converged: NDArray[np.bool_]
    n_steps: NDArray[np.int64]
    message: str


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


def ended(x: Array, residual: Array, tol: float, n_steps: NDArray[np.int64]) -> Root:
    """Assemble the Root; the message counts the failures and names the worst residual."""
    converged = residual < tol
    failed = int((~converged).sum())
    message = "converged"
    if failed:
        worst = float(np.max(np.where(converged, 0.0, np.where(np.isnan(residual), np.inf, residual))))
        message = f"{failed} of {residual.size} points did not converge (worst residual {worst:.1e}, asked {tol:.1e})"
    return Root(x, residual, converged, n_steps, message)
