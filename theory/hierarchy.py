r"""The hierarchical cascade of diluted patterns: T_1 > T_2 > .., at which one pattern after the other condenses.

With k patterns on, a spin blank in them is held by pattern k + 1 alone: it turns on, continuously, where
T = p (1 - Q_k), Q_k = E tanh^2(m.xi/T), p = 1 - d.
"""

from functools import cache, partial

import numpy as np
from numpy.typing import ArrayLike

from ..core.backend import Array
from ..core.errors import require_integer
from .diluted import DILUTION, rows, weights
from .diluted_field import by_rows
from .entries import Entries
from .model import Range
from .settled import settle, zero

_DEEPEST = 9


def T_k(*, k: int, d: ArrayLike) -> Array:
    r"""Temperature at which pattern k condenses in the hierarchical cascade, T_1 = T_c.

    .. math::
        T_{k+1} = (1 - d)\,\mathrm{E}\,\mathrm{sech}^2(\beta\,m\cdot\xi), \qquad
        m_\mu = \mathrm{E}\,\xi^\mu\tanh(\beta\,m\cdot\xi), \quad \mu \le k

    in the state of k patterns reached by iteration from m_mu = (1 - d) d^(mu - 1). For k = 1 that is
    T_2 = 1 - d - m^2, the lower edge of the pure state. Spins with xi^1 != 0 freeze, so that T_{k+1} ~ d^(k-1) T_2.

    Parameters
    ----------
    k : int in [1, 9]
        The pattern that condenses.
    d : array_like in [0, 1)
        Dilution, P(xi = 0).

    Returns
    -------
    array, of the shape of d, raw normalisation; for k >= 2 0 at d = 0 and nan at d >= 2/3, where the pure state is
    never stable; for k >= 3 nan also within about 0.005 of 2/3, where iteration does not settle.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Notes
    -----
    Onsets are continuous. From d = 0.5 to 0.6 on (deep and shallow ones) patterns above the new one have equal
    amplitudes: iteration then leads to mixtures.

    Source: PRL 109, 268101 (2012), arXiv:1304.4488, arXiv:2308.04106.

    >>> [round(float(T_k(k=k, d=0.2)), 8) for k in (1, 2, 3, 4)]
    [0.8, 0.16011717, 0.03202343, 0.00640469]
    """
    require_integer(k, "k", 1, _DEEPEST, f"in [1, {_DEEPEST}]")
    d = DILUTION.check("d", d)
    return _cascade(k, d)[-1]


def k_star(*, T: ArrayLike, d: ArrayLike) -> Array:
    r"""Number of patterns the hierarchical cascade retrieves at temperature T, however many are stored.

    .. math:: k^* = \#\{k : T_k(d) > T\} \simeq 2 + \Bigl\lfloor\frac{\ln(T_2/T)}{\ln(1/d)}\Bigr\rfloor

    Counted from :func:`T_k` itself, beyond k = 9 by T_{k+1} = d T_k, which for d < 1/2 holds to exp(-2(1 - 2d)/T_k).

    Parameters
    ----------
    T : array_like, >= 0
        Temperature, raw normalisation.
    d : array_like in [0, 1)
        Dilution, P(xi = 0).

    Returns
    -------
    array of floats, of the shape the arguments broadcast to: inf at T = 0 and 0 < d < 1/2; nan where there is no
    cascade (d >= 2/3, T < T_c) or it is not known (d >= 1/2, T < T_9). For d > 1/2 the count is that of the
    continuous onsets, while at low T mixtures take over (see :func:`d_gs`).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:1304.4488, arXiv:2308.04106.

    >>> k_star(T=[0.8, 0.5, 0.1, 0.02], d=0.3).tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    T, d = Range(0.0).check("T", T), DILUTION.check("d", d)
    T, d = np.broadcast_arrays(T, d)
    onsets = _cascade(_DEEPEST, d, T)
    found = (onsets > T).sum(axis=0).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        deeper = _DEEPEST - 1 + np.ceil(np.log(onsets[-1] / T) / np.log(1 / d))
    found = np.where(found == _DEEPEST, np.where(d < 0.5, deeper, np.nan), found)
    return np.where(np.isnan(onsets).any(axis=0) & (np.fmin.reduce(onsets) > T), np.nan, found)


def _cascade(k: int, d: Array, T: ArrayLike = 0.0) -> Array:
    """T_1..T_k, shape (k, *d.shape); 0 below the first that is not above T."""
    inside = (d > 0) & (d < 2 / 3)
    x, floor = d[inside], np.broadcast_to(T, d.shape)[inside]
    found = [1 - x, _second(x)][:k]
    for on in range(2, k):
        last, below = found[-1], 0 * found[-1]
        need = last > floor
        below[need] = _next(on, x[need], last[need], found[1][need])
        found.append(below)
    out = np.where(d >= 2 / 3, np.nan, np.zeros((k, *d.shape)))
    out[:, inside] = found
    out[0] = 1 - d
    return out


def _second(d: Array) -> Array:
    """T_2 = p tanh(y)/y, y = m/T: the root of coth(y)/y - 1/sinh^2 y = d."""
    y = np.exp(zero(lambda u, d: _edge(np.exp(u)) - d, (np.full(d.shape, np.log(1e-7)), np.log(2 / d)), d))
    return (1 - d) * np.tanh(y) / y


def _edge(y: Array) -> Array:
    with np.errstate(over="ignore"):
        plain = 1 / (y * np.tanh(y)) - 1 / np.sinh(y) ** 2
    t = np.minimum(y, 0.05) ** 2
    return np.where(y < 0.05, 2 / 3 - t * (4 / 45 - t * (4 / 315)), plain)


def _next(on: int, d: Array, T: Array, T_2: Array) -> Array:
    """T_{on+1} below T = T_on; d T where the first pattern is frozen to 1e-14."""
    out, free = d * T, 2 * (1 - 2 * d) < 32 * T
    d, u, ratio = d[free], np.log(T[free]), np.log(T_2[free] / (1 - d[free]))
    low, high = np.where(d < 0.4, 1.1, np.where(d < 0.6, 1.3, 2.8)), np.where(d < 0.4, 0.9, 0.5)
    out[free] = np.exp(zero(partial(_stability, on), (u + low * ratio, u + high * ratio), d))
    return out


def _stability(k: int, u: Array, d: Array) -> Array:
    """1 - p E sech^2/T at T = e^u, in the state of the first k patterns."""
    T = np.exp(u)
    m = settle(_overlaps, (1 - d) * d ** np.arange(k)[:, None], d, T)
    m = np.where(abs(_overlaps(m, d, T) - m) <= 1e-12 * m, m, np.nan)
    return 1 - (1 - d) * by_rows(Entries(0 * d), d, m, 0 * d, T).C


def _overlaps(m: Array, d: Array, T: Array) -> Array:
    """E xi tanh(xi.m/T) = p E sinh 2b/(cosh 2a + cosh 2b), b = m_mu/T, a the other patterns' field: no differences."""
    k, b = len(m), m[:, None] / T
    a = abs(_others(k) @ m) / T
    with np.errstate(over="ignore"):
        share = -np.expm1(-4 * b) / (np.exp(2 * (a - b)) + np.exp(-2 * (a + b)) + 1 + np.exp(-4 * b))
    blank = d ** (k - 1) * np.tanh(b[:, 0])
    return (1 - d) * (blank + (weights(k - 1, d) * share).sum(axis=1))


@cache
def _others(k: int) -> Array:
    """The rows of the k - 1 patterns but mu, with 0 in its place: shape (k, rows, k)."""
    return np.stack([np.insert(rows(k - 1), mu, 0.0, axis=1) for mu in range(k)])
