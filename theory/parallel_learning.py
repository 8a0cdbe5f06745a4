r"""How many examples a network of diluted patterns needs to retrieve several of them at once.

Each of K patterns of dilution d is learned from M examples of quality r, P(chi = 1) = (1 + r)/2 on its informed sites,
of dataset entropy rho = (1 - r^2)/(M r^2). T = 0 throughout. The thresholds by one step, by self-consistency and by
energy are all proportional to 1/r^2 and differ: they have names of their own.
"""

from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.special import erf, gammaln

from ..core.backend import Array
from ..core.errors import require, require_integer
from .dataset import entropy_of
from .diluted import DILUTION, rows, weights
from .model import Range
from .settled import settle, zero

__all__ = [
    "energy_crossover",
    "one_step_alignment",
    "one_step_examples",
    "rho_sym",
    "rho_x",
    "self_consistent_examples",
]

ENERGY_CONSTANT = float(
    brentq(lambda y: np.sqrt(y) * erf(np.sqrt(y / 2)) + np.sqrt(2 / np.pi) * np.exp(-y / 2) - 1, 0.1, 2, xtol=1e-16)
)
"""M r^2 at the energy crossover as r -> 0: sqrt(y) erf sqrt(y/2) + sqrt(2/pi) e^(-y/2) = 1, y = 0.5287503."""
_QUALITY = Range(0.0, 1.0, open_low=True)


def one_step_alignment(*, r: ArrayLike, M: ArrayLike, d: ArrayLike, K: int, k: int = 1) -> Array:
    r"""Aligned fraction of the spins of layer k one step from the hierarchical configuration: signal to noise.

    .. math::
        \tfrac12\Bigl[1 + \mathrm{erf}\frac{1}{\sqrt{2[\rho + (1 + \rho)g_k]}}\Bigr], \qquad
        g_k = \frac{d^2(1 - d^{2(K - k)})}{1 + d}, \qquad \rho = \frac{1 - r^2}{M r^2}

    Layer k holds the sites with xi^1 = .. = xi^(k-1) = 0, xi^k != 0; signal n_k ~ d^(k-1), noise of its own examples
    and of the patterns l > k.

    Parameters
    ----------
    r : array_like in (0, 1]
        Quality of an example.
    M : array_like, >= 1
        Examples per pattern.
    d : array_like in [0, 1]
        Dilution, P(xi = 0).
    K : int >= 1
        Patterns.
    k : int in [1, K]
        Layer.

    Returns
    -------
    array in [1/2, 1], of the shape the arguments broadcast to.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: signal-to-noise analysis as in arXiv:2308.04106; the noise is taken Gaussian.

    >>> round(float(one_step_alignment(r=0.2, M=40, d=0.2, K=2)), 4)
    0.8924
    """
    r, M, g = _QUALITY.check("r", r), Range(1.0).check("M", M), _crosstalk(d, K, k)
    rho = entropy_of(r, M)
    with np.errstate(divide="ignore"):
        return 0.5 * (1 + erf(1 / np.sqrt(2 * (rho + (1 + rho) * g))))


def one_step_examples(*, r: ArrayLike, d: ArrayLike, K: int, k: int = 1) -> Array:
    r"""Examples per pattern from which on the signal of layer k exceeds its noise by one deviation.

    .. math:: M_\times = \frac{1 - r^2}{r^2}\,\frac{1 + g_k}{1 - g_k}

    where :func:`one_step_alignment` is (1 + erf(1/sqrt 2))/2 = 0.8413; for k = K or d = 0, rho = 1.

    Parameters
    ----------
    r, d, K, k
        As in :func:`one_step_alignment`.

    Returns
    -------
    array, real and not rounded, of the shape the arguments broadcast to.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: signal-to-noise analysis as in arXiv:2308.04106.

    >>> one_step_examples(r=0.2, d=[0.2, 0.4], K=2).round(1).tolist()
    [25.6, 29.1]
    """
    r, g = _QUALITY.check("r", r), _crosstalk(d, K, k)
    return (1 / r**2 - 1) * (1 + g) / (1 - g)


def rho_x(*, d: ArrayLike, K: int) -> Array:
    r"""Dataset entropy at which the first pattern keeps erf(1/sqrt 2) of its overlap 1 - d, self-consistently.

    .. math::
        m_1(\rho_\times) = (1 - d)\,\mathrm{erf}\tfrac{1}{\sqrt 2}, \qquad
        m_\mu = \mathrm{E}\,\xi^\mu\,\mathrm{erf}\frac{\xi\cdot n}{\sqrt2 s}, \quad
        (1 + \rho)n_\mu = m_\mu + \rho n_\mu\mathrm{E}(\xi^\mu)^2\sqrt{\tfrac2\pi}\frac{e^{-(\xi\cdot n)^2/2s^2}}{s},
        \ s^2 = \rho\sum_\nu (n_\nu\xi^\nu)^2

    with Gaussian mean examples, in the state iteration reaches from the hierarchical n_k = (1 - d) d^(k-1).

    Parameters
    ----------
    d : array_like in [0, 1)
        Dilution, P(xi = 0).
    K : int in [1, 6]
        Patterns.

    Returns
    -------
    array, of the shape of d: 1 for one pattern or at d = 0; nan where m_1 is below the threshold at every rho.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    For K >= 3 and d near d_h(K) the state may be lost in a jump across the threshold: that jump is returned, to 1e-5.

    Source: self-consistency equations of arXiv:2308.04106 at T = 0.

    >>> round(float(rho_x(d=0.2, K=2)), 6), round(float(rho_x(d=0.4, K=3)), 6)
    (0.521903, 0.189793)
    """
    require_integer(K, "K", 1, 6, "in [1, 6]")
    d = DILUTION.check("d", d)
    out, some = np.ones(d.shape), d > 0
    if K > 1 and some.any():
        x = d[some]
        out[some] = np.exp(zero(partial(_excess, K), (np.full(x.shape, np.log(1e-4)), np.full(x.shape, 0.01)), x))
    return out


def self_consistent_examples(*, r: ArrayLike, d: ArrayLike, K: int) -> Array:
    r"""Least number of examples per pattern at which the first pattern is retrieved, self-consistently.

    .. math:: M_\times = \Bigl\lceil\frac{1 - r^2}{r^2\rho_\times(d, K)}\Bigr\rceil

    Parameters
    ----------
    r : array_like in (0, 1]
        Quality of an example.
    d, K
        As in :func:`rho_x`.

    Returns
    -------
    array of whole numbers, >= 1, of the shape the arguments broadcast to; nan as in :func:`rho_x`.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: as :func:`rho_x`.

    >>> self_consistent_examples(r=0.2, d=[0.2, 0.4], K=2).tolist()
    [46.0, 101.0]
    """
    M = (1 / _QUALITY.check("r", r) ** 2 - 1) / rho_x(d=d, K=K)
    return np.maximum(np.ceil(M * (1 - 1e-12)), 1.0)


def energy_crossover(*, r: float) -> int:
    r"""Smallest odd number of examples at which the pattern has a lower energy than a single example (unsupervised).

    .. math:: M x^2 > 1 + (M - 1)r^4, \qquad x = \frac{\mathrm{E}|\sum_a\chi_a|}{M}

    for one pattern without blanks at T = 0, x exactly binomial; M r^2 -> ``ENERGY_CONSTANT`` = 0.5287503 as r -> 0.

    Parameters
    ----------
    r : float in [0.001, 1)
        Quality of an example.

    Returns
    -------
    int, odd.

    Raises
    ------
    ValueError
        If r is outside its range.

    Source: energies of the unsupervised network of arXiv:2308.04106; E|sum chi| in closed form.

    >>> energy_crossover(r=0.05), energy_crossover(r=0.1)
    (213, 55)
    """
    given = Range(1e-3, 1.0, open_high=True).check("r", r)
    require(given.ndim == 0, "r", str(given.shape), "one number, got the shape")
    r = float(given)
    j = np.arange(int(1 / r**2) + 10)
    even = np.exp(gammaln(2 * j + 1) - 2 * gammaln(j + 1) + j * np.log((1 - r**2) / 4))  # P(a sum of 2j is 0)
    majority = r * np.cumsum(even)  # E sgn of a sum of 2j + 1
    size = np.cumsum(even) + 2 * r * np.concatenate([[0.0], np.cumsum(majority)[:-1]])
    M = 2 * j + 1
    return int(M[np.argmax(size**2 / M > 1 + (M - 1) * r**4 + 1e-12)])


def rho_sym(*, d: ArrayLike) -> Array:
    r"""Dataset entropy above which two patterns are retrieved with equal overlaps at T = 0.

    .. math::
        1 + \rho = \frac{p^2[2 + \rho + \rho e^{-1/\rho}]}{n\sqrt{4\pi\rho}}, \qquad
        (1 + \rho)n = p\Bigl[d\,\mathrm{erf}\tfrac{1}{\sqrt{2\rho}} + \tfrac p2\mathrm{erf}\tfrac{1}{\sqrt\rho}\Bigr]
        + \sqrt{\tfrac{2\rho}{\pi}}\,p\Bigl[d\,e^{-1/2\rho} + \tfrac{p}{\sqrt8}(1 + e^{-1/\rho})\Bigr]

    with p = 1 - d and K = 2: noisier datasets melt the hierarchy into the parallel state.

    Parameters
    ----------
    d : array_like in (0, 1)
        Dilution, P(xi = 0).

    Returns
    -------
    array, of the shape of d.

    Raises
    ------
    ValueError
        If d is outside its range.

    Source: stability of the symmetric solution of arXiv:2308.04106 at T = 0, mean examples Gaussian.

    >>> rho_sym(d=[0.1, 0.3, 0.6]).round(7).tolist()
    [1.0683585, 0.368453, 0.0795742]
    """
    d = Range(0.0, 1.0, open_low=True, open_high=True).check("d", d)
    return np.exp(zero(_melting, (np.log(0.5 * (1 - d) ** 2 / np.pi), np.log(10 / d)), d))


def _crosstalk(d: ArrayLike, K: int, k: int) -> Array:
    """g_k: the variance of the patterns l > k over the square of the signal of pattern k."""
    require_integer(K, "K", 1, 2**10, ">= 1")
    require_integer(k, "k", 1, K, f"in [1, K] = [1, {K}]")
    d = Range(0.0, 1.0).check("d", d)
    return d**2 * (1 - d ** (2 * (K - k))) / (1 + d)


def _excess(K: int, u: Array, d: Array) -> Array:
    """m_1/(1 - d) - erf(1/sqrt 2) at rho = e^u."""
    rho = np.exp(u)
    n = settle(_step, (1 - d) * d ** np.arange(K)[:, None], d, rho)
    return _frozen(n, d, rho)[0][0] / (1 - d) - erf(1 / np.sqrt(2))


def _step(n: Array, d: Array, rho: Array) -> Array:
    m, blur = _frozen(n, d, rho)
    return (m + rho * n * blur) / (1 + rho)


def _frozen(n: Array, d: Array, rho: Array) -> tuple[Array, Array]:
    """m = E xi erf(xi.n/(s sqrt2)) and E xi^2 sqrt(2/pi) exp(-(xi.n)^2/(2 s^2))/s, each (K, points)."""
    R, w = rows(len(n)), weights(len(n), d)
    s = np.sqrt(rho * (R**2 @ n**2)) + 1e-200
    h = R @ n / s
    return R.T @ (w * erf(h / np.sqrt(2))), (R**2).T @ (w * np.sqrt(2 / np.pi) / s * np.exp(-(h**2) / 2))


def _melting(u: Array, d: Array) -> Array:
    rho, p = np.exp(u), 1 - d
    n = p * (d * erf(1 / np.sqrt(2 * rho)) + p / 2 * erf(1 / np.sqrt(rho)))
    n = n + np.sqrt(2 * rho / np.pi) * p * (d * np.exp(-0.5 / rho) + p / np.sqrt(8) * (1 + np.exp(-1 / rho)))
    return n * np.sqrt(4 * np.pi * rho) / p**2 - (2 + rho + rho * np.exp(-1 / rho))
