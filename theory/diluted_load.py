r"""Diluted patterns at extensive load, K = alpha N: how many patterns until retrieval is lost at T = 0.

With s condensed patterns, m_hat = m/(1 - d) and Delta the deviation of the noise over 1 - d (p = 1 - d):

    m_hat_mu = E xi^mu erf(m_hat.xi/(sqrt2 Delta))/p,
    sqrt(alpha) = Delta - sqrt(2/pi) E exp(-(m_hat.xi)^2/(2 Delta^2)),

which gives the load explicitly along each branch m_hat(Delta); the capacity is its maximum.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import elementwise
from scipy.special import erf, hyp1f1

from ..core.backend import Array
from ..core.errors import require_integer
from .diluted import rows, weights
from .model import Range
from .settled import settle

_POINTS, _CONDENSED = 80, 1e-3


def alpha_c(*, d: ArrayLike, s: int = 1) -> Array:
    r"""Load K/N up to which s diluted patterns are retrieved at T = 0, replica symmetric.

    .. math::
        \sqrt{2\alpha_c} = \max_x\Bigl\{\frac{\mathrm{erf}\,x}{x}
        - \frac{2}{\sqrt\pi}\bigl[(1 - d)e^{-x^2} + d\bigr]\Bigr\} \quad (s = 1)

    whose maximum is the one root of 1F1(1; 5/2; x^2) = 3(1 - d): alpha_c = 0 from d = 2/3 on. For s > 1

    .. math::
        \hat m_\mu = \frac{\mathrm{E}\,\xi^\mu\,\mathrm{erf}(\hat m\cdot\xi/\sqrt2\Delta)}{1 - d}, \qquad
        \sqrt{\alpha_c} = \max_\Delta\Bigl\{\Delta - \sqrt{2/\pi}\,\mathrm{E}\,e^{-(\hat m\cdot\xi)^2/2\Delta^2}\Bigr\}

    on the branch that iteration from the hierarchical m_hat_k = d^(k-1) reaches; alpha_c(s + 1) -> d^2 alpha_c(s) as
    d -> 0.

    Parameters
    ----------
    d : array_like in [0, 1]
        Dilution, P(xi = 0).
    s : int in [1, 4]
        Condensed patterns.

    Returns
    -------
    array, of the shape of d; 0 where there is no such state.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    For s > 1 a state counts where m_s > 0.001 d^(s-1) m_1. From d = 0.5 or so
    on the branch runs into mixtures with equal amplitudes, and alpha_c need not fall with d.

    Source: arXiv:1302.7259 (diluted patterns at high load); d = 0 is Amit, Gutfreund, Sompolinsky,
    Phys. Rev. Lett. 55, 1530 (1985).

    >>> alpha_c(d=[0.0, 0.3, 0.7]).round(8).tolist(), float(alpha_c(d=0.2, s=2).round(6))
    ([0.13790557, 0.02746892, 0.0], 0.002147)
    """
    require_integer(s, "s", 1, 4, "in [1, 4]")
    d = Range(0.0, 1.0).check("d", d)
    out, inside = np.zeros(d.shape), d < 2 / 3
    out[inside] = _below(d[inside], s)
    return out


def T_g(*, alpha: ArrayLike, d: ArrayLike) -> Array:
    r"""Temperature below which the paramagnet gives way to the spin glass.

    .. math:: T_g = (1 - d)(1 + \sqrt\alpha)

    Parameters
    ----------
    alpha : array_like, >= 0
        Load K/N.
    d : array_like in [0, 1]
        Dilution, P(xi = 0).

    Returns
    -------
    array, of the shape the arguments broadcast to, raw normalisation.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:1302.7259; d = 0 is Amit, Gutfreund, Sompolinsky, Ann. Phys. 173, 30 (1987).

    >>> float(T_g(alpha=0.25, d=0.2).round(10))
    1.2
    """
    return (1 - Range(0.0, 1.0).check("d", d)) * (1 + np.sqrt(Range(0.0).check("alpha", alpha)))


def _below(d: Array, s: int) -> Array:
    """The load for d < 2/3: d^2 times that of one pattern less where sites of the first are frozen to exp(-36)."""
    if s == 1:
        return _one(d)
    free = 1 - 2 * d < 6.8 * d ** (s - 1)
    out = np.zeros(d.shape)
    out[~free] = d[~free] ** 2 * _below(d[~free], s - 1)
    if free.any():
        out[free] = _several(d[free], s)
    return out


def _one(d: Array) -> Array:
    """(2/pi) [2 p t e^-t - d (1 - e^-t)]^2 at the maximum, t = x^2."""
    p = 1 - d
    find: Any = elementwise.find_root
    t = find(lambda t, p: hyp1f1(1, 2.5, t) - 3 * p, (np.zeros(d.shape), np.full(d.shape, 3.0)), args=(p,)).x
    return 2 / np.pi * (2 * p * t * np.exp(-t) + d * np.expm1(-t)) ** 2


def _several(d: Array, s: int) -> Array:
    """The highest maximum over Delta: the best of a grid and its neighbours, then refined."""
    top = np.log(np.sqrt(2 / np.pi) * np.minimum(1, 3 * d ** (s - 1)))
    u = np.linspace(np.log(0.3 * d ** (s - 1)), top, _POINTS)
    load = _load(s, u.ravel(), np.tile(d, _POINTS), rounds=5).reshape(u.shape)
    best, at = load.argmax(axis=0), np.arange(d.size)
    some = (load[best, at] > 0) & (best > 0) & (best < _POINTS - 1)
    bracket = [np.where(some, u[np.clip(best + i, 0, _POINTS - 1), at], np.nan) for i in (-1, 0, 1)]
    find: Any = elementwise.find_minimum
    found = find(lambda u, d: -_load(s, u, d), bracket, args=(d,))
    return np.where(some, np.fmax(-found.f_x, load[best, at]), 0.0) ** 2


def _load(k: int, u: Array, d: Array, *, rounds: int = 8) -> Array:
    """sqrt(alpha) at Delta = e^u, -1 where fewer than k patterns are condensed."""
    Delta = np.exp(u)
    m = settle(_overlaps, d ** np.arange(k)[:, None], d, Delta, rounds=rounds)
    blur = d**k + (weights(k, d) * np.exp(-((rows(k) @ m / Delta) ** 2) / 2)).sum(axis=0)
    return np.where(m[-1] > _CONDENSED * d ** (k - 1) * m[0], Delta - np.sqrt(2 / np.pi) * blur, -1.0)


def _overlaps(m: Array, d: Array, Delta: Array) -> Array:
    R = rows(len(m))
    return R.T @ (weights(len(m), d) * erf(R @ m / (np.sqrt(2) * Delta))) / (1 - d)
