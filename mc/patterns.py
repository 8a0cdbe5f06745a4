"""Random patterns and noisy examples of them, addressed: more of either never changes the first ones."""

from itertools import product
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require, require_integer
from ..core.memory import require_memory
from ..core.philox import STREAMS, words

_WORDS_AT_ONCE = 2**17  # what stays in cache while the rounds of Philox pass over it


def _in_24_bits(p: float) -> np.uint32:
    """A probability as a count of the 2^24 values of ``u >> 8``."""
    return np.uint32(round(p * 2**24))


def patterns(*, N: int, K: int, d: float = 0.0, samples: int = 1, seed: int) -> xr.DataArray:
    r"""Draw independent binary patterns, a fraction d of whose entries is blank.

    .. math:: P(\xi_i^\mu = \pm 1) = \frac{1 - d}{2}, \qquad P(\xi_i^\mu = 0) = d

    Parameters
    ----------
    N : int in [1, 2^31], number of sites
    K : int in [1, 2^32], number of patterns
    d : float in [0, 1], dilution (rounded to a multiple of 2^-24)
    samples : int in [1, 2^24], number of independent disorder samples
    seed : int in [0, 2^64)

    Returns
    -------
    int8 DataArray (sample, mu, site) with values -1, 0, 1. Larger N, K or samples only append.

    Raises
    ------
    ValueError outside these ranges, TypeError for counts that are no integers, MemoryError, before anything is drawn,
    where samples K N bytes are not available.

    Source: Agliari, Barra, Galluzzi, Guerra, Moauro, Phys. Rev. Lett. 109, 268101 (2012) for the dilution.

    >>> patterns(N=5, K=2, seed=1).values[0]
    array([[-1, -1, -1,  1, -1],
           [ 1,  1, -1, -1, -1]], dtype=int8)
    """
    require_integer(N, "N", 1, 2**31, "in [1, 2^31]")
    require_integer(K, "K", 1, 2**32, "in [1, 2^32]")
    require_integer(samples, "samples", 1, 2**24, "in [1, 2^24]")
    require(0 <= d <= 1, "d", d, "in [0, 1]")
    size = float(samples) * K * N
    require_memory(size, f"xi of N = {N}, K = {K}, samples = {samples}", "fewer patterns, sites or samples")
    xi = np.empty((samples, K, N), np.int8)
    rows = max(1, _WORDS_AT_ONCE // N)
    for sample in range(samples):
        for first in range(0, K, rows):
            mu = np.arange(first, min(first + rows, K))
            u = words(seed, STREAMS["patterns"], N, row=mu, sample=sample)
            sign = 2 * (u & np.uint32(1)).astype(np.int8) - np.int8(1)
            xi[sample, mu] = sign * ((u >> np.uint32(8)) >= _in_24_bits(d))
    return xr.DataArray(xi, dims=("sample", "mu", "site"), name="xi")


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
