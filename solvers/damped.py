"""Plain iteration with damping: slow, robust, and faithful to the basin of its start."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require
from .root import Box, Root, Step, iterate


@dataclass(frozen=True, kw_only=True)
class Damped:
    r"""x <- (1 - damping) F(x) + damping x, clipped to the box.

    Steps needed grow as 1/stability: thousands close to a spinodal. With too little damping it may settle in a
    2-cycle where the map falls steeply (the glass at low T). Use it to select a basin, or as a check.

    Parameters
    ----------
    damping : float
        Share of the old value kept, in [0, 1).
    tol, max_steps
        As in :class:`mattis.Newton`.

    Examples
    --------
    >>> def step(x, at):
    ...     return np.cos(x), -np.sin(x)[None]
    >>> root = Damped()(step, np.ones((1, 1)), (np.zeros((1, 1)), np.ones((1, 1))))
    >>> round(float(root.x[0, 0]), 10)
    0.7390851332
    """

    damping: float = 0.8
    tol: float = 1e-12
    max_steps: int = 10_000

    def __post_init__(self) -> None:
        require(0 <= self.damping < 1, "damping", self.damping, "in [0, 1)")
        require(self.tol > 0, "tol", self.tol, "> 0")
        require(self.max_steps >= 1, "max_steps", self.max_steps, ">= 1")

    def __call__(self, step: Step, x0: Array, box: Box) -> Root:
        """Iterate every point of x0, shape (variables, points), until it has converged or is given up."""
        return iterate(step, x0, box, self._move, self.tol, self.max_steps)

    def _move(self, y: Array, image: Array, J: Array, box: Box, going: NDArray[np.bool_]) -> Array:
        return np.clip((1 - self.damping) * image + self.damping * y, *box)
