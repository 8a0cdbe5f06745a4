"""Zeros of one unknown per point, by bracketing: what boundaries are searched with."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import elementwise

from ..core.backend import Array

Index = NDArray[np.intp]
Function = Callable[[Array, Index], Array]
"""g(value, point): the value tried at each of some points, and which points they are."""

SCAN = np.linspace(0.0, 1.0, 33)
SCAN_LOW = np.union1d(SCAN[1:], np.geomspace(1e-30, SCAN[1], 33))
_TOLERANCES = {"xatol": 0.0, "xrtol": 1e-15, "fatol": 0.0, "frtol": 0.0}


def root(g: Function, low: Array, high: Array, points: Index) -> Array:
    """The zero of g(value, point) in a bracket per point (Chandrupatla's method); nan where there is none."""
    find: Any = elementwise.find_root
    found = find(lambda v, i: g(v, i.astype(np.intp)), (low, high), args=(points,), tolerances=_TOLERANCES)
    return np.where(found.success, found.x, np.nan)


def beyond(g: Function, size: int, sign: float) -> Array:
    """A value beyond the last zero: doubled from 1 until g has its final sign; nan where it never has."""
    points, end = np.arange(size), np.ones(size)
    for _ in range(40):
        short = ~(sign * g(end, points) > 0)
        if not short.any():
            return end
        end = np.where(short, 2 * end, end)
    return np.where(short, np.nan, end)


def largest_zero(g: Function, end: Array, *, rising: bool, scan: Array = SCAN) -> Array:
    """The largest zero of g in (0, end) where it rises (or falls), bracketed by a scan of fractions; nan if none.

    Where g nearly reaches zero between two values of the scan, that stretch is scanned again, and once more.
    """
    found = np.full(end.shape, np.nan)
    points = np.flatnonzero(np.isfinite(end))
    low, high = np.zeros(points.size), end[points]
    for _ in range(3):
        if points.size == 0:
            break
        grid = low + (high - low) * scan[:, None]
        every = np.broadcast_to(points, grid.shape).ravel()
        values = (1.0 if rising else -1.0) * g(grid.ravel(), every).reshape(grid.shape)
        crossing = (values[1:] > 0) & (values[:-1] <= 0)
        has = crossing.any(axis=0)
        columns = np.flatnonzero(has)
        last = scan.size - 2 - np.argmax(crossing[::-1, columns], axis=0)
        found[points[columns]] = root(g, grid[last, columns], grid[last + 1, columns], points[columns])
        columns = np.flatnonzero(~has)
        nearest = np.argmin(np.where(np.isnan(values[:, columns]), np.inf, values[:, columns]), axis=0)
        low, high = grid[np.maximum(nearest - 1, 0), columns], grid[np.minimum(nearest + 1, scan.size - 1), columns]
        points = points[columns]
    return found
