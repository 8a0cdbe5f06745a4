"""Random patterns and noisy examples of them, addressed: more of either never changes the first ones."""

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require, require_integer
from ..core.memory import require_memory
from ..core.philox import STREAMS, words

SAMPLINGS = ("independent", "stratified")
_WORDS_AT_ONCE = 2**17  # what stays in cache while the rounds of Philox pass over it


def _in_24_bits(p: float) -> np.uint32:
    """A probability as a count of the 2^24 values of ``u >> 8``."""
    return np.uint32(round(p * 2**24))


def patterns(
    *, N: int, K: int, d: float = 0.0, samples: int = 1, seed: int, pattern_sampling: str = "independent"
) -> xr.DataArray:
    r"""Draw binary patterns, a fraction d of whose entries is blank.

    .. math:: P(\xi_i^\mu = \pm 1) = \frac{1 - d}{2}, \qquad P(\xi_i^\mu = 0) = d

    Stratified patterns have each row :math:`(\xi_i^1, \dots, \xi_i^K)` at its share N P(row) of the sites, rounded,
    and only the sites are random: overlaps of patterns, which shift those of a state by about 1/sqrt(N), are gone.

    Parameters
    ----------
    N : int in [1, 2^31], number of sites
    K : int in [1, 2^32], number of patterns
    d : float in [0, 1], dilution (rounded to a multiple of 2^-24)
    samples : int in [1, 2^24], number of independent disorder samples
    seed : int in [0, 2^64)
    pattern_sampling : "independent" entries, or "stratified", where 3^K <= N: shares are rounded down, and what is left
        goes to the largest remainders, equal ones in the order of the rows; every sample is another shuffle of sites

    Returns
    -------
    int8 DataArray (sample, mu, site) with values -1, 0, 1. More samples only append; larger N or K do so too where the
    entries are independent, and give other patterns where they are stratified.

    Raises
    ------
    ValueError outside these ranges, for another word or for K beyond 3^K <= N; TypeError for counts that are no
    integers; MemoryError, before anything is drawn, where samples K N bytes are not available.

    Source: Agliari, Barra, Galluzzi, Guerra, Moauro, Phys. Rev. Lett. 109, 268101 (2012) for the dilution.

    >>> patterns(N=5, K=2, seed=1).values[0]
    array([[-1, -1, -1,  1, -1],
           [ 1,  1, -1, -1, -1]], dtype=int8)
    >>> patterns(N=9, K=1, d=1 / 3, seed=1, pattern_sampling="stratified").values[0]
    array([[-1,  1,  0,  0,  0, -1,  1,  1, -1]], dtype=int8)
    """
    require_integer(N, "N", 1, 2**31, "in [1, 2^31]")
    require_integer(K, "K", 1, 2**32, "in [1, 2^32]")
    require_integer(samples, "samples", 1, 2**24, "in [1, 2^24]")
    require(0 <= d <= 1, "d", d, "in [0, 1]")
    if pattern_sampling not in SAMPLINGS:
        raise ValueError(f"pattern_sampling must be 'independent' or 'stratified', got {pattern_sampling!r}")
    if pattern_sampling == "stratified":
        most = int(np.searchsorted(3 ** np.arange(21), N, side="right")) - 1  # 3^20 > 2^31
        require(most >= K, "K", K, f"at most {most}, 3^K <= N = {N}, for stratified patterns")
    size = float(samples) * K * N
    require_memory(size, f"xi of N = {N}, K = {K}, samples = {samples}", "fewer patterns, sites or samples")
    draw = _independent if pattern_sampling == "independent" else _stratified
    return xr.DataArray(draw(N, K, d, samples, seed), dims=("sample", "mu", "site"), name="xi")


def _independent(N: int, K: int, d: float, samples: int, seed: int) -> NDArray[np.int8]:
    xi = np.empty((samples, K, N), np.int8)
    rows = max(1, _WORDS_AT_ONCE // N)
    for sample in range(samples):
        for first in range(0, K, rows):
            mu = np.arange(first, min(first + rows, K))
            u = words(seed, STREAMS["patterns"], N, row=mu, sample=sample)
            sign = 2 * (u & np.uint32(1)).astype(np.int8) - np.int8(1)
            xi[sample, mu] = sign * ((u >> np.uint32(8)) >= _in_24_bits(d))
    return xi


def _stratified(N: int, K: int, d: float, samples: int, seed: int) -> NDArray[np.int8]:
    """Every row at its rounded share of the sites, shuffled by the words of lane 1."""
    ordered = np.repeat(_rows(K), row_counts(N, K, d), axis=1)
    xi = np.empty((samples, K, N), np.int8)
    for sample in range(samples):
        keys = words(seed, STREAMS["patterns"], N, lane=1, sample=sample)
        xi[sample] = ordered[:, np.argsort(keys, kind="stable")]
    return xi


def _rows(K: int) -> NDArray[np.int8]:
    """All 3^K rows as columns (mu, row), the first pattern slowest, -1 before 0 before 1."""
    return (np.arange(3**K) // 3 ** np.arange(K - 1, -1, -1)[:, None] % 3 - 1).astype(np.int8)


def row_counts(N: int, K: int, d: float) -> NDArray[np.int64]:
    """The sites of each of the 3^K rows, N in all: exact shares rounded down, then the largest remainders one more.

    >>> row_counts(10, 1, 0.5).tolist()  # 2.5, 5, 2.5
    [3, 5, 2]
    """
    blank = Fraction(float(d))
    share = [N * blank ** (K - n) * ((1 - blank) / 2) ** n for n in range(K + 1)]
    by_remainder = sorted(range(K + 1), key=lambda n: int(share[n]) - share[n])
    n = np.sum(_rows(K) != 0, axis=0, dtype=np.int64)
    counts = np.array([int(x) for x in share])[n]
    counts[np.argsort(np.argsort(by_remainder)[n], kind="stable")[: N - counts.sum()]] += 1
    return counts


def examples(xi: xr.DataArray | NDArray[Any], *, r: float, M: int, seed: int) -> xr.DataArray:
    r"""Draw M noisy examples of every pattern, each site right with probability (1 + r)/2.

    .. math:: \eta_i^{\mu a} = \xi_i^\mu \chi_i^{\mu a}, \qquad P(\chi = \pm 1) = \frac{1 \pm r}{2}

    Parameters
    ----------
    xi : integer array (sample, mu, site) or (mu, site), values -1, 0, 1
    r : float in (0, 1], quality ((1 - r)/2 is rounded to a multiple of 2^-24)
    M : int in [1, 2^32], examples per pattern
    seed : int in [0, 2^64); may equal the seed of the patterns, the streams differ

    Returns
    -------
    int8 DataArray (sample, mu, example, site). More samples, patterns, examples or sites only append.

    Raises
    ------
    ValueError outside these ranges, TypeError for counts that are no integers, MemoryError, before anything is drawn,
    where samples K M N bytes are not available.

    Source: arXiv:2212.00606.

    >>> xi = patterns(N=5, K=2, seed=1)
    >>> examples(xi, r=0.5, M=3, seed=1).values[0, 0] * xi.values[0, 0]
    array([[-1,  1,  1,  1, -1],
           [ 1,  1,  1,  1, -1],
           [-1, -1,  1, -1,  1]], dtype=int8)
    """
    require(0 < r <= 1, "r", r, "in (0, 1]")
    require_integer(M, "M", 1, 2**32, "in [1, 2^32]")
    pattern = as_patterns(xi)
    samples, K, N = pattern.shape
    what = f"eta of N = {N}, K = {K}, M = {M}, samples = {samples}"
    require_memory(float(pattern.size) * M, what, "fewer examples, patterns or samples")
    eta = np.empty((samples, K, M, N), np.int8)
    many = max(1, _WORDS_AT_ONCE // N)
    rows = max(1, many // M)
    for sample, mu in product(range(samples), range(0, K, rows)):
        xi_mu = pattern[sample, mu : mu + rows, None]
        for a in range(0, M, many):
            which = np.arange(mu, mu + xi_mu.shape[0])[:, None], np.arange(a, min(a + many, M))
            u = words(seed, STREAMS["examples"], N, row=which[0], lane=which[1], sample=sample)
            wrong = (u >> np.uint32(8)) < _in_24_bits((1 - r) / 2)
            eta[sample, mu : mu + rows, a : a + many] = np.where(wrong, -xi_mu, xi_mu)
    return xr.DataArray(eta, dims=("sample", "mu", "example", "site"), name="eta")


def as_patterns(xi: xr.DataArray | NDArray[Any]) -> NDArray[np.int8]:
    """Check patterns (mu, site) or (sample, mu, site) with values -1, 0, 1 and return them as int8, 3-d.

    >>> as_patterns(np.array([[1, -1, 1]])).shape
    (1, 1, 3)
    """
    return _checked(xi, "xi", ("mu", "site"))


def as_examples(eta: xr.DataArray | NDArray[Any]) -> NDArray[np.int8]:
    """Check examples (mu, example, site), with or without samples before, values -1, 0, 1; int8, 4-d.

    >>> as_examples(np.ones((2, 3, 4), int)).shape
    (1, 2, 3, 4)
    """
    return _checked(eta, "eta", ("mu", "example", "site"))


def _checked(x: xr.DataArray | NDArray[Any], name: str, dims: tuple[str, ...]) -> NDArray[np.int8]:
    shape = ", ".join(dims)
    if isinstance(x, xr.DataArray):
        if {"sample", *x.dims} != {"sample", *dims}:
            raise ValueError(
                f"{name} must have the dimensions {shape}, or sample, {shape}, got {', '.join(map(str, x.dims))}"
            )
        x = x.transpose("sample", *dims, missing_dims="ignore")
    values, n = np.asarray(x), len(dims)
    require(
        values.ndim in (n, n + 1), f"dimensions of {name}", values.ndim, f"{n} ({shape}) or {n + 1} (sample, {shape})"
    )
    require(values.size > 0, f"{name}.size", values.size, ">= 1")
    if values.dtype.kind != "i" or values.min() < -1 or values.max() > 1:  # no array of the size of the patterns
        require(np.isin(values, (-1, 0, 1)), name, values, "-1, 0 or 1")
    return np.ascontiguousarray(values.reshape(-1, *values.shape[-n:]), np.int8)
