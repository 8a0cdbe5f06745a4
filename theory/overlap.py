"""The overlap q of two replicas from the iterated C = (1 - q)/T, and when it counts as nonzero."""

import numpy as np

from ..core.backend import Array

MATTIS_ABOVE = 1e-3
"""A solution with |m| below this is not aligned with its pattern."""
GLASS_ABOVE = 1e-4
"""A solution with q below this is not frozen."""


def overlap(C: Array, T: Array) -> Array:
    """q = 1 - T C; zero where that is round-off, and at T = 0 where C is infinite (the paramagnet).

    >>> float(overlap(np.float64(0.4), np.float64(0.5)))
    0.8
    """
    with np.errstate(invalid="ignore"):
        q = 1 - T * C
    return np.where((abs(q) < 1e-15) | np.isinf(C), 0.0, np.maximum(q, 0.0))
