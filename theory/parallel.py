"""States of several overlaps: what they look like, and what they are called."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .ground_states import CELLS, lowest_mixture

STARTS = ("hierarchical", "pure", "symmetric", "mixture", "spin_glass", "paramagnet")
RETRIEVED_ABOVE = 1e-6
"""An overlap m_hat below this is none."""
_ALIGNED_ABOVE = 1e-3
"""A state whose largest overlap is below this is aligned with nothing: at T_c residuals cannot tell it from zero."""
_EQUAL = 1e-4


def amplitudes(start: str, K: int, d: NDArray[np.float64]) -> NDArray[np.float64]:
    """m_hat of K patterns where iteration begins, shape (K, *d.shape).

    "hierarchical": d^(k-1), exact at T = 0. "mixture": the lowest of all others at T = 0 (K <= 5; else the last three
    hierarchical ones in the triangle (1 - y, d + y, d^2 + y), y = (1 - d)^2/2). "pure": one. "symmetric": all equal.
    Else none.

    >>> amplitudes("mixture", 3, np.array(0.5)).tolist()
    [0.875, 0.625, 0.375]
    """
    k = np.arange(K).reshape(-1, *[1] * d.ndim)
    flat = np.ones((K, *d.shape))
    if start == "mixture" and len(CELLS) >= K:
        return lowest_mixture(d, K)
    if start == "mixture":
        y = 0.5 * (1 - d) ** 2
        return np.concatenate([d ** k[:-3] * flat[:-3], d ** (K - 3) * np.stack([1 - y, d + y, d**2 + y])])
    return {"hierarchical": d**k * flat, "pure": (k == 0) * flat, "symmetric": flat}.get(start, 0 * flat)


def name_states(m: NDArray[np.float64], otherwise: Any) -> NDArray[np.str_]:
    """The names of states with overlaps m_hat (..., mu), whatever their order and signs.

    "pure": one overlap. "parallel": all of them, equal to 1e-4. "hierarchical": each exceeds the sum of all smaller
    ones, so that a spin follows the first of its patterns that is not blank. "mixture": where some spins follow a
    majority. ``otherwise``: where there is none.

    >>> m = np.array([[0.7, 0.0, 0.0], [0.2, 0.2, -0.2], [0.1, 0.6, 0.25], [0.49, 0.35, 0.2], [0, 0, 0]])
    >>> name_states(m, "paramagnet").tolist()
    ['pure', 'parallel', 'hierarchical', 'mixture', 'paramagnet']
    """
    a = -np.sort(-abs(m), axis=-1)
    a = np.where(a > RETRIEVED_ABOVE, a, 0.0)
    a = np.where(a[..., :1] > _ALIGNED_ABOVE, a, 0.0)
    many, largest = (a > 0).sum(axis=-1), a[..., 0]
    smaller = np.flip(np.cumsum(np.flip(a, -1), axis=-1), -1) - a
    follows = ((a > smaller) | (a == 0)).all(axis=-1)
    equal = (many == a.shape[-1]) & (largest - a[..., -1] < _EQUAL * largest)
    name = np.where(follows, "hierarchical", "mixture")
    name = np.where(equal, "parallel", name)
    name = np.where(many == 1, "pure", name)
    return np.where(many == 0, otherwise, name)
