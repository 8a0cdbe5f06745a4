r"""Datasets of noisy examples: rho, r and M, given once or twice but never in disagreement."""

from typing import Any

import numpy as np

from ..core.backend import Array
from ..core.errors import require

PROTOCOLS = ("storing", "supervised", "unsupervised")


def entropy_of(r: Array, M: Array) -> Array:
    r"""Dataset entropy :math:`\rho = (1 - r^2)/(M r^2)` of M examples of quality r.

    >>> round(float(entropy_of(np.float64(0.5), np.float64(30))), 6)
    0.1
    """
    return (1 - r**2) / (M * r**2)


def resolve(protocol: str, rho: Any, r: Any, M: Any) -> Array:
    """The dataset entropy a protocol uses, from rho or (r, M); both only if they agree.

    Storing takes none of the three; unsupervised learning needs (r, M).
    """
    given = ", ".join(n for n, v in (("rho", rho), ("r", r), ("M", M)) if v is not None)
    if protocol == "storing":
        if given and not (r is None and M is None and np.all(rho == 0)):
            raise ValueError(f"protocol='storing' stores the patterns themselves and takes no rho, r or M, got {given}")
        return np.zeros(())
    if (r is None) != (M is None):
        raise ValueError(f"r and M must be given together, got {given} alone")
    if r is None and protocol == "unsupervised":
        raise ValueError("protocol='unsupervised' needs both r and M")
    if r is None and rho is None:
        raise ValueError("protocol='supervised' needs rho, or both r and M")
    if r is None:
        return np.asarray(rho)
    found = entropy_of(r, M)
    if rho is not None:
        agree = abs(rho - found) <= 1e-9 * (1 + abs(found))
        require(agree, "rho", rho, "(1 - r^2)/(M r^2) where r and M are given too")
    return found
