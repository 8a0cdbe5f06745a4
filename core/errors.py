"""Named errors, and the one way an argument is refused: its name, its value, its range."""

from math import isfinite
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray


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
    ok = np.asarray(ok, bool)
    if ok.all():
        return
    if ok.ndim == 0:
        raise ValueError(f"{name} must be {must}, got {_quoted(value)}")
    ok, value = np.broadcast_arrays(ok, np.asarray(value))
    at = np.unravel_index(int(np.argmin(ok)), ok.shape)
    raise ValueError(f"{name} must be {must}, got {_quoted(value[at])} at index {tuple(int(i) for i in at)}")


def is_real(value: Any) -> bool:
    """A finite number in the range of float64, no bool and no array.

    >>> is_real(2), is_real(float("nan")), is_real("2"), is_real(10**400)
    (True, False, False, False)
    """
    try:
        return isinstance(value, Real) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:
        return False


def real_array(value: Any, name: str) -> NDArray[np.float64]:
    """Return ``value`` as float64, itself where it is that; ``ValueError`` unless it holds real numbers in rows alike.

    >>> real_array([1, 2.5], "y")
    array([1. , 2.5])
    >>> real_array([1j], "y")
    Traceback (most recent call last):
        ...
    ValueError: y must hold real numbers, got [1j]
    """
    try:
        array = np.asarray(value)
    except ValueError:
        raise ValueError(f"{name} must hold real numbers in rows of one length, got {_quoted(value)}") from None
    if array.dtype.kind not in "biuf":
        raise ValueError(f"{name} must hold real numbers, got {_quoted(value)}")
    return np.asarray(array, dtype=np.float64)


def _quoted(value: Any) -> str:
    """A value as one writes it, cut where it is long."""
    single = isinstance(value, np.generic | np.ndarray) and value.ndim == 0
    told = " ".join(repr(value.item() if single else value).split())
    return told if len(told) <= 80 else f"{told[:76]} ..."


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
