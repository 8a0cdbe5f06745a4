"""Anderson acceleration: the residual of a few past iterates, least squares, no Jacobian."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require
from .root import Box, Root, Step, iterate


@dataclass(frozen=True, kw_only=True)
class Anderson:
    r"""Fixed-point iteration mixed over the last ``memory`` iterates (Anderson, J. ACM 12 (1965) 547).

    .. math:: x \leftarrow \bar x + (1 - damping)\,\bar g, \qquad g = F(x) - x,

    where the bar is the affine combination of past iterates whose :math:`\bar g` is smallest. It needs no
    Jacobian; close to a spinodal it may leave the basin of its start, so look at the label of what it returns.

    Parameters
    ----------
    memory : int
        Past differences kept, >= 1.
    damping : float
        In [0, 1).
    tol, max_steps
        As in :class:`mattis.Newton`.

    Examples
    --------
    >>> def step(x, at):
    ...     return np.cos(x), -np.sin(x)[None]
    >>> root = Anderson()(step, np.ones((1, 1)), (np.zeros((1, 1)), np.ones((1, 1))))
    >>> round(float(root.x[0, 0]), 10)
    0.7390851332
    """

    memory: int = 5
    damping: float = 0.3
    tol: float = 1e-12
    max_steps: int = 1000

    def __post_init__(self) -> None:
        require(self.memory >= 1, "memory", self.memory, ">= 1")
        require(0 <= self.damping < 1, "damping", self.damping, "in [0, 1)")
        require(self.tol > 0, "tol", self.tol, "> 0")
        require(self.max_steps >= 1, "max_steps", self.max_steps, ">= 1")

    def __call__(self, step: Step, x0: Array, box: Box) -> Root:
        """Iterate every point of x0, shape (variables, points), until it has converged or is given up."""
        past = _Past(self.memory)

        def move(y: Array, image: Array, J: Array, box: Box, going: NDArray[np.bool_]) -> Array:
            bar_y, bar_g = past.mix(y, image - y, going)
            return np.clip(bar_y + (1 - self.damping) * bar_g, *box)

        return iterate(step, x0, box, move, self.tol, self.max_steps)


class _Past:
    """The last iterates and their residuals, of the points still going."""

    def __init__(self, memory: int) -> None:
        self.memory = memory
        self.ys: list[Array] = []
        self.gs: list[Array] = []

    def mix(self, y: Array, g: Array, going: NDArray[np.bool_]) -> tuple[Array, Array]:
        """Add (y, g) and return the affine combination of the past whose residual is least."""
        self.ys = [v[:, going] for v in self.ys[-self.memory :]] + [y]
        self.gs = [v[:, going] for v in self.gs[-self.memory :]] + [g]
        if len(self.ys) == 1:
            return y, g
        dy, dg = np.diff(self.ys, axis=0), np.diff(self.gs, axis=0)
        inverse = np.linalg.pinv(dg.transpose(2, 1, 0), rcond=1e-10)
        weight = np.einsum("pkv,vp->kp", inverse, g)[:, None]
        return y - (weight * dy).sum(0), g - (weight * dg).sum(0)
