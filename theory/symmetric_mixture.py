r"""Where the symmetric (parallel) mixture of diluted patterns is stable: all K overlaps equal, m_mu = m.

With S = sum xi^mu, n = sum (xi^mu)^2 and y = m/T everything is explicit in y: m = E[S tanh(y S)]/K, T = m/y, and the
mode that breaks the symmetry is stable where

    g(y) = T - E[(xi^1 - xi^2)^2 sech^2(y S)]/2 = E[S^2 (t(yS) - 1)/K + (n K - S^2) tanh^2(yS)/(K(K-1))] > 0,

t(x) = tanh(x)/x. The mode along m is always stable, as E[S tanh(y S)] is concave in y > 0.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ive, xlogy

from ..core.backend import Array
from ..core.errors import require_integer
from .diluted import DILUTION
from .model import Range
from .settled import zero

_POINTS = 400
_FIRST = 1e-3


class Window(NamedTuple):
    """Temperatures between which a state is stable; nan where it never is."""

    T_low: Array
    T_high: Array


class Skellam(NamedTuple):
    """Lower edge of the parallel phase at extreme dilution, and the overlap there, both over 1 - d."""

    T_hat: Array
    m_hat: Array


def T_s(*, d: ArrayLike, K: int) -> Array:
    r"""Temperature below which the symmetric mixture of K patterns is unstable: lower edge of the parallel phase.

    .. math::
        m = \frac1K \mathrm{E}\,S\tanh(\beta m S), \qquad T_s = \mathrm{E}\,\tfrac12(\xi^1 - \xi^2)^2
        \,\mathrm{sech}^2(\beta m S), \qquad S = \sum_\mu\xi^\mu

    For d > 2/3 the mixture is stable from T_s to T_c = 1 - d. Below 2/3 it is stable in a window at most, see
    :func:`symmetric_window`, of which this is the lower edge: T_s = 0 at d = 0 and odd K (spurious mixtures).

    Parameters
    ----------
    d : array_like in [0, 1)
        Dilution, P(xi = 0).
    K : int in [2, 200]
        Patterns.

    Returns
    -------
    array, of the shape of d, raw normalisation (over 1 - d in units of T_c); nan where the mixture is never stable.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: Hessian of arXiv:2308.04106, arXiv:1302.7259, arXiv:1304.4488 (parallel retrieval); as d -> 1 it
    approaches sum_n n P(n, S = 0)/(K - 1), (1 - d)^2 for K = 2.

    >>> T_s(d=[0.7, 0.8, 0.9], K=2).round(7).tolist()
    [0.0937644, 0.0400806, 0.01]
    """
    return symmetric_window(d=d, K=K).T_low


def symmetric_window(*, d: ArrayLike, K: int) -> Window:
    r"""Both temperatures between which the symmetric mixture of K patterns is stable.

    .. math:: T > \mathrm{E}\,\tfrac12(\xi^1 - \xi^2)^2\,\mathrm{sech}^2(\beta m S)

    T_high = T_c = 1 - d for d > 2/3; below 2/3 the mixture is unstable again just below T_c and stable, if at all, in
    a window, the one at the highest temperatures being returned.

    Parameters
    ----------
    d, K
        As in :func:`T_s`.

    Returns
    -------
    Window
        T_low and T_high of the shape of d, raw normalisation; nan where the mixture is never stable.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Edges are bracketed on a logarithmic grid of 400 values of m/T: a window narrower than a cell is not seen.

    Source: as :func:`T_s`; d = 0 is Amit, Gutfreund, Sompolinsky, Phys. Rev. A 32, 1007 (1985).

    >>> tuple(round(float(T), 7) for T in symmetric_window(d=0.65, K=2))
    (0.1369815, 0.327252)
    """
    require_integer(K, "K", 2, 200, "in [2, 200]")
    d = DILUTION.check("d", d)
    S, law, n_law = _law(K, d.ravel())
    last = 6 * (1 - d.ravel()) / np.maximum(n_law[0] / (K - 1), 1e-12)
    g = _gap(np.geomspace(_FIRST, last, _POINTS), S, law, n_law) > 0
    up, down = _rises(g, S, law, n_law, last)
    high = np.where(g[0], 1 - d.ravel(), _temperature(up, S, law))
    ends = np.where(np.isinf(down), np.nan, down)
    low = np.where(np.isinf(down), 0.0, _temperature(ends, S, law))
    return Window(low.reshape(d.shape), high.reshape(d.shape))


def T_skellam(*, kappa: ArrayLike) -> Skellam:
    r"""Lower edge of the parallel phase of extremely diluted patterns, K -> inf at K (1 - d) = kappa.

    .. math::
        \hat m = \mathrm{E}\tanh\frac{\hat m(1 + S')}{\hat T}, \qquad
        \hat T_s = \mathrm{E}\,\mathrm{sech}^2\frac{\hat m(1 + S')}{\hat T_s}, \qquad
        S' \sim \mathrm{Skellam}(\kappa/2, \kappa/2)

    with T_hat = T/(1 - d), m_hat = m/(1 - d): parallel retrieval for T_hat_s < T_hat < 1. Without cross-talk
    (kappa = 0) all patterns are recalled at any T_hat < 1; T_hat_s -> exp(-kappa) I_1(kappa) for small kappa.

    Parameters
    ----------
    kappa : array_like in [0, 1000]
        Informed patterns per site besides its own.

    Returns
    -------
    Skellam
        T_hat and m_hat at the edge, of the shape of kappa.

    Raises
    ------
    ValueError
        If kappa is outside its range.

    Source: arXiv:1405.2454 (extreme dilution); the instability is the limit of that of :func:`T_s`.

    >>> T_skellam(kappa=[0.1, 0.5, 2.0]).T_hat.round(8).tolist()
    [0.04529845, 0.15651564, 0.23407837]
    """
    kappa = Range(0.0, 1000.0).check("kappa", kappa)
    k = np.where(kappa > 0, kappa, 1.0).ravel()
    most = int(12 * np.sqrt(k.max(initial=1.0)) + 30)
    x = np.arange(-most, most + 1)[:, None] + 1.0
    law = ive(abs(x - 1), k)

    def gap(u: Array, k: Array) -> Array:
        p = ive(abs(x - 1), k)
        y = np.exp(u)
        return (p * (x * _tanh_ratio(y * x) + np.tanh(y * x) ** 2)).sum(axis=0) / y**2

    found = zero(gap, (np.full(k.shape, np.log(1e-2)), np.log(30 + 8 / ive(1, k))), k)
    y = np.exp(found)
    m = (law * np.tanh(y * x)).sum(axis=0)
    some = (kappa > 0).ravel()
    T, m = np.where(some, m / y, 0.0), np.where(some, m, 1.0)
    return Skellam(T.reshape(kappa.shape), m.reshape(kappa.shape))


def _law(K: int, d: Array) -> tuple[Array, Array, Array]:
    """S = 0..K, P(+-S) and E[n; +-S], each of shape (K + 1, points)."""
    S, law, n_law = np.arange(K + 1.0)[:, None], np.zeros((K + 1, d.size)), np.zeros((K + 1, d.size))
    for n in range(K + 1):
        s = np.arange(n % 2, n + 1, 2)
        choose = gammaln(K + 1) - gammaln(K - n + 1) - gammaln((n + s) / 2 + 1) - gammaln((n - s) / 2 + 1)
        log = choose[:, None] + xlogy(n, (1 - d) / 2) + xlogy(K - n, d)
        w = np.where(s > 0, 2, 1)[:, None] * np.exp(log)
        law[s] += w
        n_law[s] += n * w
    return S, law, n_law


def _gap(y: Array, S: Array, law: Array, n_law: Array) -> Array:
    """g(y)/y^2 for y of shape (.., points)."""
    K, y = len(S) - 1, y[..., None, :]
    x = y * S
    g = law * S**2 * _tanh_ratio(x) / K + (n_law * K - law * S**2) * np.tanh(x) ** 2 / (K * (K - 1))
    return g.sum(axis=-2) / y[..., 0, :] ** 2


def _tanh_ratio(x: Array) -> Array:
    """tanh(x)/x - 1."""
    series = x**2 * (-1 / 3 + x**2 * (2 / 15 + x**2 * (-17 / 315 + x**2 * (62 / 2835 - x**2 * 1382 / 155925))))
    with np.errstate(invalid="ignore"):
        return np.where(abs(x) < 0.05, series, np.tanh(x) / np.where(x == 0, 1.0, x) - 1)


def _temperature(y: Array, S: Array, law: Array) -> Array:
    return (law * S * np.tanh(y * S)).sum(axis=0) / (y * (len(S) - 1))


def _rises(g: NDArray[np.bool_], S: Array, law: Array, n_law: Array, last: Array) -> tuple[Array, Array]:
    """The y where g first turns positive and next negative; inf where it stays positive, nan where it never is."""
    first = g.argmax(axis=0)
    after = ~g & (np.arange(_POINTS)[:, None] > first)
    end = after.argmax(axis=0)
    grid = np.log(np.geomspace(_FIRST, last, _POINTS))
    at = np.arange(grid.shape[1])
    edges = []
    for i, there in ((first, g.any(axis=0) & (first > 0)), (end, g.any(axis=0) & after.any(axis=0))):
        below = np.where(there, grid[np.maximum(i - 1, 0), at], np.nan)
        columns = at.astype(np.float64)
        f = lambda u, c: _gap(np.exp(u), S, law[:, c.astype(int)], n_law[:, c.astype(int)])  # noqa: E731
        edges.append(np.exp(zero(f, (below, grid[i, at]), columns)))
    return edges[0], np.where(g.any(axis=0) & ~after.any(axis=0), np.inf, edges[1])
