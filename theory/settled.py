"""Roots that belong to definitions, many points at once: of one variable, and fixed points that iteration reaches."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

from ..core.backend import Array

Map = Callable[..., Array]
_ROUNDS = (40, 60, 100, 160, 250, 400, 640, 1000)


def settle(G: Map, x: Array, *parameters: Array, rounds: int = 8) -> Array:
    """The fixed point of x -> G(x, *parameters) reached from x of shape (variables, points); parameters (points,).

    Newton's solution is taken where it is stable and near the iterate (by a quarter), else iteration goes on,
    for 40 (rounds = 1) to 2650 (rounds = 8) steps, and ends where it is.

    >>> float(settle(lambda m, T: np.tanh(m / T), np.ones((1, 1)), np.array([0.5]))[0, 0].round(10))
    0.9575040241
    """
    x, left = np.array(x, np.float64), np.arange(x.shape[1])
    for steps in _ROUNDS[:rounds]:
        y, of = x[:, left], [v[left] for v in parameters]
        for _ in range(steps):
            y = G(y, *of)
        x[:, left], found = _finish(G, y, of)
        left = left[~found]
        if not left.size:
            break
    return x


def zero(g: Map, bracket: tuple[Array, Array], *parameters: Array) -> Array:
    """The zero of g(x, *parameters) in a bracket; nan where there is none.

    >>> float(zero(lambda x: x**2 - 2, (np.array(1.0), np.array(2.0))).round(10))
    1.4142135624
    """
    if not np.size(bracket[0]):
        return np.zeros(np.shape(bracket[0]))
    find: Any = elementwise.find_root
    found = find(g, bracket, args=parameters)
    return np.where(found.success, found.x, np.nan)


def _finish(G: Map, y: Array, of: list[Array]) -> tuple[Array, NDArray[np.bool_]]:
    """Newton from y: the solution where there is one at hand, else y; and where."""
    x, one = y, np.eye(len(y))
    with np.errstate(all="ignore"):
        for _ in range(5):
            J = _jacobian(G, x, of)
            step = np.linalg.solve(one - J + 1e-300, (G(x, *of) - x).T[..., None])[..., 0].T
            x = x + np.where(np.isfinite(step), step, 0.0)
        rest, top = abs(G(x, *of) - x), abs(x).max(axis=0)
        stable = np.linalg.eigvals(_jacobian(G, x, of)).real.max(axis=1) < 1
        near = abs(x - y) <= 0.25 * abs(y) + 1e-6 * top
        found = (near & (rest <= 1e-13 * abs(x) + 1e-15 * top)).all(axis=0) & stable
    return np.where(found, x, y), found


def _jacobian(G: Map, x: Array, of: list[Array]) -> Array:
    """dG_a/dx_b by central differences, shape (points, a, b)."""
    columns = []
    for b in range(len(x)):
        h = np.zeros_like(x)
        h[b] = 1e-5 * np.where(x[b] != 0, x[b], 1e-300)
        columns.append((G(x + h, *of) - G(x - h, *of)) / (2 * h[b]))
    return np.nan_to_num(np.moveaxis(np.stack(columns, axis=1), 2, 0))
