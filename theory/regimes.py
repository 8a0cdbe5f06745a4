r"""Regimes of the multitasking network of diluted patterns: which temperature, dilution or load separates which.

Patterns xi = +-1 with probability (1 - d)/2 each, else 0; H = -(1/2N) sum_mu (sum_i xi_i^mu sigma_i)^2. All
temperatures and overlaps are in the raw normalisation, T_c = 1 - d; where couplings carry 1/(1 - d) (T_c = 1),
divide them by 1 - d.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ..core.backend import Array
from .diluted_load import T_g, alpha_c
from .ground_states import GroundStates, d_gs, d_h, ground_states
from .hierarchy import T_k, k_star
from .model import Range
from .symmetric_mixture import Skellam, T_s, T_skellam, Window, symmetric_window

__all__ = [
    "GroundStates",
    "K_max",
    "LargestK",
    "Skellam",
    "T_c",
    "T_g",
    "T_k",
    "T_s",
    "T_skellam",
    "Window",
    "alpha_c",
    "d_gs",
    "d_h",
    "d_star",
    "ground_states",
    "k_star",
    "symmetric_window",
]


class LargestK(NamedTuple):
    """Patterns a hierarchy of N spins can hold: by its signal, and at the very most."""

    signal: Array
    absolute: Array


def T_c(*, d: ArrayLike) -> Array:
    r"""Critical temperature of retrieval at low load.

    .. math:: T_c = 1 - d

    for every K, and for learning from examples at every r, M, rho as well.

    Parameters
    ----------
    d : array_like in [0, 1]
        Dilution, P(xi = 0).

    Returns
    -------
    array, of the shape of d.

    Raises
    ------
    ValueError
        If d is outside its range.

    Source: PRL 109, 268101 (2012), arXiv:2308.04106.

    >>> float(T_c(d=0.25))
    0.75
    """
    return 1 - Range(0.0, 1.0).check("d", d)


def d_star(*, rho: ArrayLike | None = None, r: ArrayLike | None = None, M: ArrayLike | None = None) -> Array:
    r"""Dilution above which the state just below T_c is parallel (symmetric), below which it is pure.

    .. math::
        d^* = \frac{2}{3(1 + \rho)^2} \ \text{(Gaussian)}, \qquad
        d^* = 1 - \frac{\mathrm{E}\hat\eta^4/(1 - d)}{3(1 + \rho)^2} \ \text{(M examples of quality r)},
        \qquad \rho = \frac{1 - r^2}{M r^2}

    with E eta^4/(1 - d) = [M + 3M(M-1) + 4M(M-1)r^2 + 6M(M-1)(M-2)r^2 + M(M-1)(M-2)(M-3)r^4]/(rM)^4, where the quartic
    anisotropy of the free energy changes sign; d* = 2/3 for bare patterns.

    Parameters
    ----------
    rho : array_like, >= 0
        Dataset entropy, mean example Gaussian; alone.
    r : array_like in (0, 1]
        Quality of an example; with M.
    M : array_like, integer >= 1
        Examples per pattern, their mean exactly binomial.

    Returns
    -------
    array, of the shape the arguments broadcast to.

    Raises
    ------
    ValueError
        If neither rho alone nor r and M together are given, or one is outside its range.

    Source: Landau expansion of the free energy of arXiv:2308.04106.

    >>> round(float(d_star(rho=0.0)), 7), round(float(d_star(r=0.5, M=20)), 7)
    (0.6666667, 0.5194077)
    """
    if (rho is None) == (r is None) or (r is None) != (M is None):
        raise ValueError(f"give rho alone or both r and M, got rho={rho!r}, r={r!r}, M={M!r}")
    if rho is not None:
        return 2 / (3 * (1 + Range(0.0).check("rho", rho)) ** 2)
    r, M = Range(0.0, 1.0, open_low=True).check("r", r), Range(1.0, integer=True).check("M", M)
    a, b, c = M - 1, (M - 1) * (M - 2), (M - 1) * (M - 2) * (M - 3)
    fourth = (1 + 3 * a + 4 * a * r**2 + 6 * b * r**2 + c * r**4) / M
    return 1 - fourth / (3 * (1 + a * r**2) ** 2)


def K_max(*, N: ArrayLike, d: ArrayLike) -> LargestK:
    r"""How many patterns a hierarchy of N spins can hold, to leading order in ln N.

    .. math::
        K_{\max} = \frac{\ln N}{2\ln(1/d)} \ \text{(signal)}, \qquad \frac{\ln N(1 - d)}{\ln(1/d)} \ \text{(bound)}

    The k-th pattern is held by N (1 - d) d^(k-1) spins: their signal must exceed the overlap 1/sqrt N of independent
    patterns, and there must be one at least.

    Parameters
    ----------
    N : array_like, > 1
        Spins.
    d : array_like in (0, 1)
        Dilution, P(xi = 0).

    Returns
    -------
    LargestK
        signal and absolute, real numbers, of the shape the arguments broadcast to.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: PRL 109, 268101 (2012) for the logarithmic growth.

    >>> [round(float(K), 3) for K in K_max(N=10**6, d=0.3)]
    [5.737, 11.179]
    """
    N, d = Range(1.0, open_low=True).check("N", N), Range(0.0, 1.0, open_low=True, open_high=True).check("d", d)
    return LargestK(np.log(N) / (2 * np.log(1 / d)), np.log(N * (1 - d)) / np.log(1 / d))
