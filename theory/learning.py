r"""How many examples, and how good, a network needs: one step from the pattern, and the regimes that follow from it.

At T = 0 every spin of the state sigma = xi is set once along its field, xi (1 + sqrt(V) z) with z Gaussian. With the
crosstalk of bare patterns c = 2 gamma/P = K (P - 1)!/N^(P-1), x = 1/r^2 - 1 and E(x) = x + c [(1 + x)^P - 1],

    V = c (storing),    c + E(x/M) (supervised),    c + E(x)/M (unsupervised).

Supervised learning averages the examples before they meet the power P, unsupervised learning after it.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import elementwise
from scipy.special import erf, erfinv

from ..core.backend import Array
from ..core.errors import require, require_integer
from .dataset import PROTOCOLS, entropy_of, resolve
from .load import load_to_gamma
from .model import Range

_LOAD, _ENTROPY, _QUALITY = Range(0.0), Range(0.0), Range(0.0, 1.0, open_low=True)
_EXAMPLES, _SITES = Range(1.0), Range(1.0, open_low=True)


def one_step_overlap(
    *, P: int, gamma: ArrayLike, protocol: str = "storing", rho: Any = None, r: Any = None, M: Any = None
) -> Array:
    r"""Overlap with the pattern one parallel step at T = 0 after it: the signal-to-noise estimate.

    .. math::
        m_1 = \mathrm{erf}\frac{1}{\sqrt{2V}}, \qquad V = \begin{cases}
        2\gamma/P & \text{storing} \\
        \rho + (2\gamma/P)(1 + \rho)^P & \text{supervised} \\
        \rho + (2\gamma/P)(1 + \rho_P) & \text{unsupervised}\end{cases}, \qquad
        \rho = \frac{1 - r^2}{M r^2}, \quad \rho_P = \frac{1 - r^{2P}}{M r^{2P}}

    Parameters
    ----------
    P : int >= 2
        Order of the interaction.
    gamma : array_like, >= 0
        Load, K = gamma (2/P!) N^(P-1).
    protocol : {"storing", "supervised", "unsupervised"}
        What is stored: patterns, class means of examples, or single examples.
    rho : array_like, >= 0, optional
        Dataset entropy (supervised; with (r, M) only if they agree).
    r : array_like in (0, 1], optional
        Quality of an example.
    M : array_like, real >= 1, optional
        Examples per pattern (needed with r where unsupervised).

    Returns
    -------
    array, of the shape the arguments broadcast to; N is infinite and the law of the mean example Gaussian.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the dataset is missing or given twice and differs.

    Source: signal-to-noise analysis of the energies of arXiv:2212.00606 (supervised), arXiv:2211.14067 (unsupervised).

    >>> round(float(one_step_overlap(P=4, gamma=0.1, protocol="unsupervised", r=0.5, M=200)), 6)
    0.994679
    """
    c = _crosstalk(P, gamma)
    _known(protocol, PROTOCOLS)
    given = (("rho", rho, _ENTROPY), ("r", r, _QUALITY), ("M", M, _EXAMPLES))
    rho, r, M = (None if v is None else must.check(name, v) for name, v, must in given)
    rho = resolve(protocol, rho, r, M)
    blur = _blur(_single(r), P, c) / M if protocol == "unsupervised" else _blur(rho, P, c)
    with np.errstate(divide="ignore"):
        return erf(1 / np.sqrt(2 * (c + blur)))


def minimal_examples(*, P: int, gamma: ArrayLike, r: ArrayLike, protocol: str, theta: ArrayLike) -> Array:
    r"""Examples M per pattern from which on one step from the pattern keeps an overlap theta.

    .. math::
        V(M) = V^* = \frac{1}{2\,[\mathrm{erf}^{-1}\theta]^2}: \qquad
        M = \frac{1 - r^2}{\rho^* r^2} \ \text{(supervised)}, \qquad
        M = \frac{(r^{-2} - 1) + (2\gamma/P)(r^{-2P} - 1)}{V^* - 2\gamma/P} \ \text{(unsupervised)}

    with rho* the root of rho + (2 gamma/P)(1 + rho)^P = V*. At fixed gamma (ultra-storage, K ~ N^(P-1)) and weak
    examples M ~ r^-2 supervised and r^-2P unsupervised; at gamma = P! N^(b-P+1)/2 (K = N^b) unsupervised learning
    crosses from r^-2 to gamma r^-2P where gamma r^-2(P-1) is of order one: see :func:`ultra_detection`.

    Parameters
    ----------
    P, gamma, r
        As in :func:`one_step_overlap`.
    protocol : {"supervised", "unsupervised"}
    theta : array_like in (0, 1)
        The overlap asked for.

    Returns
    -------
    array, real and not rounded; 1 where one example is enough, inf where no number of examples is.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:2212.00606, arXiv:2211.14067.

    >>> question = {"P": 4, "gamma": 0.1, "r": 0.2, "theta": 0.95}
    >>> [float(minimal_examples(protocol=p, **question).round(4)) for p in ("supervised", "unsupervised")]
    [143.3344, 92979.3039]
    """
    c, spare = _asked(P, gamma, protocol, theta)
    x = _single(_QUALITY.check("r", r))
    with np.errstate(divide="ignore", invalid="ignore"):
        M = x / _sharp(spare, P, c) if protocol == "supervised" else _blur(x, P, c) / spare
    return np.where(spare >= 0, np.fmax(M, 1.0), np.inf)


def minimal_quality(*, P: int, gamma: ArrayLike, M: ArrayLike, protocol: str, theta: ArrayLike) -> Array:
    r"""Least quality r of M examples per pattern with which one step from the pattern keeps an overlap theta.

    The same condition as in :func:`minimal_examples`, solved for r. At fixed gamma and many examples r ~ M^(-1/2)
    supervised and M^(-1/(2P)) unsupervised.

    Parameters
    ----------
    P, gamma, M, protocol, theta
        As in :func:`one_step_overlap` and :func:`minimal_examples`.

    Returns
    -------
    array in (0, 1]; nan where not even perfect examples are enough.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:2212.00606, arXiv:2211.14067.

    >>> question = {"P": 4, "gamma": 0.1, "M": 100, "theta": 0.95}
    >>> [float(minimal_quality(protocol=p, **question).round(6)) for p in ("supervised", "unsupervised")]
    [0.237396, 0.480006]
    """
    c, spare = _asked(P, gamma, protocol, theta)
    M = _EXAMPLES.check("M", M)
    x = M * _sharp(spare, P, c) if protocol == "supervised" else _sharp(M * spare, P, c)
    return 1 / np.sqrt(1 + x)


class Detection(NamedTuple):
    """The weakest examples that can be used, and how many of them per pattern."""

    r: Array
    M: Array


def ultra_detection(
    *, P: int, N: ArrayLike, b: ArrayLike, rho: ArrayLike, protocol: str, theta: ArrayLike
) -> Detection:
    r"""Weakest examples that can be used at K = N^b, b < P - 1, where the dataset entropy rho is kept.

    .. math::
        \rho + c\,\Bigl[1 + \rho\,\frac{(1 + x)^P - 1}{x}\Bigr] = V^*, \qquad c = (P - 1)!\,N^{b - P + 1}, \qquad
        r = \frac{1}{\sqrt{1 + x}}, \quad M = \frac{x}{\rho}

    for unsupervised learning, so that r ~ N^(-(P-1-b)/(2(P-1))): the noise c rho_P ~ c rho r^(-2(P-1)) must stay of
    order one. Supervised learning at fixed rho does not feel r at all: r = 0, M = inf, with M r^2 = 1/rho.

    Parameters
    ----------
    P, protocol, theta
        As in :func:`minimal_examples`.
    N : array_like, > 1
        Sites.
    b : array_like in [0, P - 1]
        Exponent of the number of patterns.
    rho : array_like, > 0
        Dataset entropy (1 - r^2)/(M r^2).

    Returns
    -------
    Detection
        The least quality r and the examples M it needs; nan where this entropy does not do at any M >= 1.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Leading order in N. The overlaps of the retrieved pattern's own examples fluctuate, which adds
    rho (P - 1)^2 (1 - r^2)/(N r^2) to V: unsupervised learning needs r >> N^(-1/2), and this r is N^(b/(2(P-1)))
    times that. The threshold is that of the pattern's stability; an example by itself is stored as well, with a
    lower energy than the pattern where M r^P < 1.

    Source: arXiv:2211.14067 (the regime); the exponent follows from the equation above.

    >>> weakest = ultra_detection(P=4, N=10**6, b=1.0, rho=0.1, protocol="unsupervised", theta=0.95)
    >>> round(float(weakest.r), 6), round(float(weakest.M), 2)
    (0.012461, 64395.21)
    """
    N, b, rho = _SITES.check("N", N), _LOAD.check("b", b), _ENTROPY.check("rho", rho)
    require(rho > 0, "rho", rho, "> 0")
    c, spare = _asked(P, load_to_gamma(N ** (b - P + 1), P=P), protocol, theta)
    require(b <= P - 1, "b", b, "in [0, P - 1]")
    enough = _blur(rho, P, c) <= spare  # at M = 1, the best examples of this entropy
    if protocol == "supervised":
        return Detection(np.where(enough, 0.0, np.nan), np.where(enough, np.inf, np.nan))
    with np.errstate(divide="ignore", invalid="ignore"):
        most = ((spare - rho) / (c * rho)) ** (1 / (P - 1))  # as (1 + x)^P - 1 >= x^P
    bracket = 0.9 * rho, np.where(enough, 1.1 * most, np.nan)
    x = _zero(lambda x, c, s, rho: rho * _blur(x, P, c) / x - s, bracket, c, spare, rho)
    return Detection(1 / np.sqrt(1 + x), x / rho)


def _known(protocol: str, names: tuple[str, ...]) -> None:
    if protocol not in names:
        raise ValueError(f"protocol must be one of {', '.join(names)}, got {protocol!r}")


def _crosstalk(P: int, gamma: ArrayLike) -> Array:
    require_integer(P, "P", 2, 2**10, ">= 2")
    return 2 * _LOAD.check("gamma", gamma) / P


def _asked(P: int, gamma: ArrayLike, protocol: str, theta: ArrayLike) -> tuple[Array, Array]:
    """c, and V* - c: what theta leaves to the noise of the examples."""
    c = _crosstalk(P, gamma)
    _known(protocol, PROTOCOLS[1:])
    theta = np.asarray(theta, dtype=np.float64)
    require((theta > 0) & (theta < 1), "theta", theta, "in (0, 1)")
    return c, 0.5 / erfinv(theta) ** 2 - c


def _blur(x: Array, P: int, c: Array) -> Array:
    """E(x) = x + c [(1 + x)^P - 1]: what one example of 1/r^2 = 1 + x adds to the variance."""
    with np.errstate(over="ignore", invalid="ignore"):
        return x + np.where(c > 0, c * np.expm1(P * np.log1p(x)), 0.0)


def _single(r: Array) -> Array:
    """x = 1/r^2 - 1, the dataset entropy of one example."""
    return entropy_of(r, np.ones(()))


def _sharp(spare: Array, P: int, c: Array) -> Array:
    """The x >= 0 at which E(x) = spare; nan where spare < 0.

    E is convex with E(0) = 0, and at most 2 spare where both its terms are at most spare: the root is in the
    upper half of that.
    """
    spare = np.where(spare >= 0, spare, np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        most = np.fmin(spare, np.expm1(np.log1p(spare / c) / P))
    return _zero(lambda x, c, s: _blur(x, P, c) - s, (0.4 * most, 1.1 * most), c, spare)


def _zero(g: Any, bracket: tuple[Array, Array], *parameters: Array) -> Array:
    """The zero of g(x, *parameters) in a bracket; nan where there is none."""
    find: Any = elementwise.find_root
    found = find(g, bracket, args=parameters)
    return np.where(found.success, found.x, np.nan)
