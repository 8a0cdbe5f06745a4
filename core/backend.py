"""What the numbers live and run on: NumPy on the host and its cores, CuPy on a CUDA device."""

import os
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import BackendUnavailable

Array = NDArray[np.float64]


def cores() -> int:
    """Processors this process may use; all of the machine where the system does not tell (macOS, Windows)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cupy() -> ModuleType:
    """Return CuPy where it is installed and sees a device; else say in one sentence what is missing."""
    if find_spec("cupy") is None:
        raise BackendUnavailable("backend='gpu' needs CuPy: pip install 'mattis[cuda13]' (or 'mattis[cuda12]')")
    module = import_module("cupy")
    if not module.cuda.is_available():
        raise BackendUnavailable("backend='gpu' needs a CUDA device and CuPy sees none: use backend='cpu'")
    return module


def namespace_of(*arrays: Any) -> ModuleType:
    """Return ``cupy`` where any of the arrays lives on a device, else ``numpy``.

    >>> namespace_of(np.ones(3)).__name__
    'numpy'
    """
    if any(type(a).__module__.split(".")[0] == "cupy" for a in arrays):
        return cupy()
    return np


def to_host(array: Any) -> NDArray[Any]:
    """Copy a device array to the host; a host array is returned as it is."""
    return np.asarray(array.get() if namespace_of(array) is not np else array)
