"""Newton's method for one point of a system whose solutions are stationary: minima or maxima, by direction."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..core.backend import Array
from ..core.errors import require

Stencil = tuple[tuple[int, float], ...]
_ROUGH: Stencil = ((1, 0.5), (-1, -0.5))
_FINE: Stencil = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
_ROUND_OFF = 1e-12
_NEAR = 1e-4  # residual below which the derivatives are of fourth order


@dataclass(frozen=True)
class Stationarity:
    """Where an iteration ended: x, g(x), dg_i/dx_j there, and whether max|g| < tol."""

    x: Array
    g: Array
    J: Array
    converged: bool
    n_steps: int

    @property
    def residual(self) -> float:
        """max |g_i|."""
        return float(abs(self.g).max(initial=0.0))


@dataclass(frozen=True, kw_only=True)
class Stationary:
    """Solve g(x) = 0 by J dx = -g, with dx halved until x + dx is allowed and |g| falls; until it falls no more.

    ``g`` is nan where x is not allowed; ``length(x)`` says over what x_j may change, shape of x: derivatives are
    differences over 1e-3 of it, of second order, or of fourth once a step near the solution gains less than tenfold.

    Parameters
    ----------
    tol : float
        Converged where max |g| < tol.
    max_steps : int
        Steps before the point is given up.

    Examples
    --------
    >>> found = Stationary()(lambda x: x**2 - 2, np.array([1.0]), abs)
    >>> round(float(found.x[0]), 10), found.converged
    (1.4142135624, True)
    """

    tol: float = 1e-9
    max_steps: int = 40

    def __post_init__(self) -> None:
        require(self.tol > 0, "tol", self.tol, "> 0")
        require(self.max_steps >= 1, "max_steps", self.max_steps, ">= 1")

    def __call__(self, g: Callable[[Array], Array], x0: Array, length: Callable[[Array], Array]) -> Stationarity:
        """Iterate from x0, shape (variables,)."""
        x, value, stencil = x0.astype(float), g(x0), _ROUGH
        J = np.full((x.size, x.size), np.nan)
        for step in range(self.max_steps):
            small = abs(value).max(initial=0.0)
            if not np.isfinite(small):
                break
            J = derivatives(g, x, length(x), stencil)
            if small < _ROUND_OFF:
                return Stationarity(x, value, J, True, step)
            moved = _descend(g, x, value, J)
            if moved is None:
                break
            x, value = moved
            if 0.1 * small < abs(value).max() < _NEAR:
                stencil = _FINE
        return Stationarity(x, value, J, bool(abs(value).max(initial=0.0) < self.tol), step)


def derivatives(g: Callable[[Array], Array], x: Array, length: Array, stencil: Stencil = _FINE) -> Array:
    """dg_i/dx_j by central differences."""
    columns = []
    with np.errstate(invalid="ignore"):
        for j, h in enumerate(1e-3 * length):
            move = np.zeros(x.size)
            move[j] = h
            columns.append(sum(w * g(x + c * move) for c, w in stencil) / h)
    return np.stack(columns, axis=-1)


def _descend(g: Callable[[Array], Array], x: Array, value: Array, J: Array) -> tuple[Array, Array] | None:
    """The longest of the halved steps that makes |g| fall; None where there is none."""
    try:
        dx = np.linalg.solve(J, -value)
    except np.linalg.LinAlgError:
        return None
    before, share = float(np.linalg.norm(value)), 1.0
    while share > 1e-3:
        after = g(x + share * dx)
        if np.linalg.norm(after) < (1 - 0.1 * share) * before + 1e-14:
            return x + share * dx, after
        share /= 2
    return None
