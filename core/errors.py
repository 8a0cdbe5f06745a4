"""Named errors, and the one way an argument is refused: its name, its value, its range."""

from typing import Any

import numpy as np


class ConvergenceError(RuntimeError):
    """A single call was asked for a solution and found none; ``solution`` holds what was reached."""

    def __init__(self, message: str, solution: Any = None) -> None:
        super().__init__(message)
        self.solution = solution


class StoreError(RuntimeError):
    """A sweep store or a checkpoint is damaged, in use, or belongs to another run."""


class BackendUnavailable(RuntimeError):
    """An accelerator was asked for that this machine or this installation lacks."""


def require(ok: Any, name: str, value: Any, must: str) -> None:
    """Raise ``ValueError`` unless ``ok`` holds everywhere, quoting the first offender and its index.

    >>> require(np.array([1.0, -0.1]) >= 0, "alpha", np.array([1.0, -0.1]), ">= 0")
    Traceback (most recent call last):
        ...
    ValueError: alpha must be >= 0, got -0.1 at index (1,)
    """
    ok, value = np.broadcast_arrays(np.asarray(ok, bool), np.asarray(value))
    if ok.all():
        return
    at = np.unravel_index(int(np.argmin(ok)), ok.shape)
    where = f" at index {tuple(int(i) for i in at)}" if ok.ndim else ""
    raise ValueError(f"{name} must be {must}, got {value[at].item()!r}{where}")


def require_integer(value: Any, name: str, low: int, high: int, must: str) -> None:
    """Raise ``TypeError`` unless ``value`` is an integer, ``ValueError`` unless it lies in [low, high].

    >>> require_integer(0, "N", 1, 2**31, "in [1, 2^31]")
    Traceback (most recent call last):
        ...
    ValueError: N must be in [1, 2^31], got 0
    """
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise TypeError(f"{name} must be an integer {must}, got {value!r}")
    require(low <= value <= high, name, str(value) if abs(int(value)) >= 2**63 else value, must)
