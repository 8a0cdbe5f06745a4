r"""The states of a network of K diluted patterns at T = 0: :math:`m = \mathrm{E}\,\xi\,\mathrm{sgn}(\xi\cdot m)`."""

from functools import cache
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ..core.backend import Array
from ..core.errors import require, require_integer
from .diluted import DILUTION, rows, weights

CELLS = (1, 1, 2, 14, 516)
"""Regions of m_1 > .. > m_K > 0 cut by the planes xi.m = 0, K = 1..5: OEIS A009997 (Fine and Gill, 1976)."""
_REACH = (1, 2, 4, 10, 30)  # integers up to which every region has a point
_TIE = 1e-14  # over 1 - d: fields that rounding cannot tell from 0


class GroundStates(NamedTuple):
    """The stable states at T = 0: overlaps of shape (states, K), each row descending, and energies, ascending."""

    m: Array
    e: Array


def ground_states(*, d: float, K: int) -> GroundStates:
    r"""All stable states at T = 0 without a spin in zero field, up to the order and the signs of the patterns.

    .. math:: m_\mu = \mathrm{E}\,\xi^\mu\,\mathrm{sgn}(\xi\cdot m), \qquad e = -\tfrac12\sum_\mu m_\mu^2

    The hierarchical state m_k = (1 - d) d^(k-1) and the mixtures, nested ones included. The list is complete: sgn(xi.m)
    of all rows names the region of m in the arrangement of the planes xi.m = 0, each region holds at most one state
    (the image of any of its points), and the regions are all visited, their number being known.

    Parameters
    ----------
    d : float in [0, 1)
        Dilution, P(xi = 0).
    K : int in [1, 5]
        Patterns.

    Returns
    -------
    GroundStates
        m of shape (states, K) and e of shape (states,), raw normalisation; the first has the lowest energy.

    Raises
    ------
    ValueError
        If d or K is outside its range.

    Notes
    -----
    A field below 1e-14 (1 - d) counts as zero: at d^(K-1) < 1e-14, or very near d = 1, states are missed.

    Source: arXiv:2308.04106, PRL 109, 268101 (2012) for the model; the list is by enumeration of the regions.

    >>> states = ground_states(d=0.4, K=3)
    >>> states.m.round(6).tolist(), states.e.round(6).tolist()
    ([[0.6, 0.24, 0.096], [0.492, 0.348, 0.204]], [-0.213408, -0.202392])
    """
    require_integer(K, "K", 1, 5, "in [1, 5]")
    p = 1 - _dilution(d)
    w = weights(K, 1 - p)
    R, signs = rows(K)[w > 0], np.unique(cells(K)[:, w > 0], axis=0)
    m = (w[w > 0] * signs) @ R
    m = m[(m @ R.T * signs > _TIE * p).all(axis=1)]
    e = -0.5 * (m**2).sum(axis=1)
    order = np.argsort(e, kind="stable")
    return GroundStates(m[order], e[order])


@cache
def cells(K: int) -> Array:
    """sgn(xi.m) of ``rows(K)`` in every region of m_1 > .. > m_K > 0, shape (``CELLS[K - 1]``, rows).

    >>> [len(cells(K)) for K in (1, 2, 3, 4)]
    [1, 1, 2, 14]
    """
    points = np.array(list(combinations(range(_REACH[K - 1], 0, -1), K)), np.float32)
    h = points @ rows(K).T.astype(np.float32)
    h = h[(h != 0).all(axis=1)]
    first = np.unique(np.packbits(h > 0, axis=1), axis=0, return_index=True)[1]
    signs: Array = np.sign(h[first]).astype(np.float64)
    signs.flags.writeable = False
    return signs


def lowest_mixture(d: Array, K: int) -> Array:
    """m/(1 - d) of the state of lowest energy at T = 0 that is not hierarchical, shape (K, *d.shape), K <= 5.

    Overlaps that nearly agree where there is none.

    >>> lowest_mixture(np.array([0.4, 0.0]), 3).round(6).T.tolist()
    [[0.82, 0.58, 0.34], [0.5, 0.5, 0.5]]
    """
    each, back = np.unique(d, return_inverse=True)
    found = np.empty((K, each.size))
    for i, own in enumerate(each):
        w, signs = weights(K, own), cells(K)[(cells(K) < 0).any(axis=1)]
        m = (w * signs) @ rows(K) / (1 - own)
        kept = (m @ rows(K)[w > 0].T * signs[:, w > 0] > _TIE).all(axis=1)
        best = np.argmax(np.where(kept, (m * m).sum(axis=1), -1.0)) if kept.any() else None
        found[:, i] = 1 - 0.1 * np.arange(K) / K if best is None else m[best]
    return found[:, back.ravel()].reshape(K, *d.shape)


def d_h(*, K: int) -> float:
    r"""Dilution up to which the hierarchical state m_k = (1 - d) d^(k-1) exists at T = 0.

    .. math:: m_1 > \sum_{k>1} m_k \iff 1 - 2d + d^K > 0

    Parameters
    ----------
    K : int >= 1
        Patterns.

    Returns
    -------
    float
        The root in (1/2, 1): the reciprocal (K - 1)-bonacci constant, 1/2 as K grows; nan for K <= 2, where the
        state exists at every d < 1.

    Raises
    ------
    ValueError
        If K < 1.

    Source: arXiv:2308.04106, PRL 109, 268101 (2012); the inequality is that of the row (1, -1, .., -1).

    >>> round(d_h(K=3), 10), round(d_h(K=8), 10)
    (0.6180339887, 0.5020170552)
    """
    require_integer(K, "K", 1, 2**10, ">= 1")
    if K <= 2:
        return float("nan")
    return _root(lambda d: 1 - sum(d**k for k in range(1, K)), 0.49, 0.63)


def d_gs(*, K: int) -> float:
    r"""Dilution at which the ground state stops being hierarchical, a transition of first order at T = 0.

    .. math::
        \sum_\mu m_\mu^2 = \frac{(1-d)(1-d^{2K})}{1+d}, \qquad
        m = (1-d)(1, d, .., d^{K-1}) - 4\sum_{j=0}^{K-3} d^j\Bigl(\frac{1-d}{2}\Bigr)^{K-j}\,(0^j, 1, -1^{K-j-1})

    The competitor m turns the sites of the rows (0, .., 0, 1, -1, .., -1); at K = 3 it is the triangle and
    d_gs = (1 + 2 sqrt 2)/7. Below d_gs the hierarchical state is the ground state, from d_gs to d_h metastable.

    Parameters
    ----------
    K : int in [3, 6]
        Patterns.

    Returns
    -------
    float
        The crossing, in (1/2, d_h).

    Raises
    ------
    ValueError
        If K is outside its range.

    Notes
    -----
    The competitor is the lowest one: for K <= 5 in the complete list of :func:`ground_states`, for K = 6 in a search
    from many starts.

    >>> round(d_gs(K=3), 10), round(d_gs(K=6), 10)
    (0.5469181607, 0.5027903598)
    """
    require_integer(K, "K", 3, 6, "in [3, 6]")
    return _root(lambda d: (competitor(d, K) ** 2).sum() - ((1 - d) ** 2 * d ** (2.0 * np.arange(K))).sum(), 0.49, 0.6)


def competitor(d: float, K: int) -> Array:
    """The overlaps of the state that takes over at ``d_gs``.

    >>> competitor(0.4, 3).round(6).tolist()
    [0.492, 0.348, 0.204]
    """
    m = np.asarray((1 - d) * d ** np.arange(K), np.float64)
    for j in range(K - 2):
        m -= 4 * d**j * ((1 - d) / 2) ** (K - j) * np.r_[np.zeros(j), 1, -np.ones(K - j - 1)]
    return m


def _dilution(d: ArrayLike) -> Array:
    d = DILUTION.check("d", d)
    require(d.ndim == 0, "d", str(d.shape), "one number, got the shape")
    return d


def _root(f: Any, low: float, high: float) -> float:
    return float(brentq(f, low, high, xtol=1e-16, rtol=1e-15))
