"""The compiled sweep: one chain a call, integer overlaps kept up to date, integer thresholds."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.jit import njit
from ..core.philox import fill_words
from .energy import OverlapEnergy
from .thresholds import fill_thresholds

_LANES = 32  # rows are padded with blank patterns to whole vectors


def site_rows(xi: NDArray[np.int8]) -> NDArray[np.int8]:
    """Patterns (mu, site) as one contiguous row per site, blank-padded to a multiple of 32.

    >>> site_rows(np.ones((3, 5), np.int8)).shape
    (5, 32)
    """
    K, N = xi.shape
    rows = np.zeros((N, -(-K // _LANES) * _LANES), np.int8)
    rows[:, :K] = xi.T
    return rows


def overlap_type(N: int) -> type[np.int16] | type[np.int32]:
    """The integer that holds every overlap of N sites, ``|M| <= N``.

    >>> overlap_type(32768).__name__
    'int32'
    """
    return np.int16 if N <= 32767 else np.int32


@njit(nogil=True)
def fill_overlaps(M: Any, sigma: Any, rows: Any) -> None:
    """``M_mu = sum_i xi_i^mu sigma_i`` from scratch."""
    M[:] = 0
    for i in range(sigma.size):
        if sigma[i] > 0:
            for mu in range(M.size):
                M[mu] += rows[i, mu]
        else:
            for mu in range(M.size):
                M[mu] -= rows[i, mu]


def all_overlaps(energy: OverlapEnergy, spins: NDArray[np.int8]) -> NDArray[np.integer]:
    """The overlaps of spins (sample, T, chain, site) from scratch, in the kernel's integers."""
    M = np.empty((*spins.shape[:3], energy.K), overlap_type(energy.N))
    for sample in range(energy.samples):
        rows = np.ascontiguousarray(energy.xi[sample].T)
        for at in np.ndindex(spins.shape[1:3]):
            fill_overlaps(M[sample][at], spins[sample][at], rows)
    return M


@njit(nogil=True)
def fill_sites(site: Any, u: Any, random: bool) -> None:
    """The twin of ``reference.sites`` for random order and for permutations, from the words of the sweep."""
    N = site.size
    if random:
        for t in range(N):
            site[t] = np.int64((np.uint64(u[t & 3, t >> 2]) * np.uint64(N)) >> np.uint64(32))
        return
    for t in range(N):
        site[t] = t
    for t in range(N - 1, 0, -1):
        j = np.int64((np.uint64(u[t & 3, t >> 2]) * np.uint64(t + 1)) >> np.uint64(32))
        site[t], site[j] = site[j], site[t]


@njit(nogil=True)
def _field(rows: Any, i: int, M: Any) -> Any:
    """``sum_mu xi_i^mu M_mu`` in 32 bits: for N K < 2^31, where no sum can leave them."""
    field = np.int32(0)
    for mu in range(M.size):
        field = np.int32(field + np.int32(rows[i, mu]) * np.int32(M[mu]))
    return np.int64(field)


@njit(nogil=True)
def _wide_field(rows: Any, i: int, M: Any) -> Any:
    """``sum_mu xi_i^mu M_mu`` in 64 bits."""
    field = np.int64(0)
    for mu in range(M.size):
        field += np.int64(rows[i, mu]) * np.int64(M[mu])
    return field


@njit(nogil=True)
def _add(M: Any, rows: Any, i: int, d: Any) -> None:
    """``M_mu += d xi_i^mu``, the overlaps after a flip that changes sigma_i by d."""
    for mu in range(M.size):
        M[mu] += d * rows[i, mu]


@njit(nogil=True)
def sweep_once(sigma: Any, M: Any, rows: Any, diagonal: Any, site: Any, threshold: Any) -> None:
    """The twin of ``reference.sweep_once``: flip iff the integer D is at most the integer threshold."""
    narrow = rows.size < 2147483648
    for t in range(site.size):
        i = site[t]
        s = np.int64(sigma[i])
        field = _field(rows, i, M) if narrow else _wide_field(rows, i, M)
        if s * field - diagonal[i] <= threshold[t & 3, t >> 2]:
            sigma[i] = -s
            _add(M, rows, i, -2 * s)


@njit(nogil=True)
def advance(
    sigma: Any,  # int8 (site,), changed in place
    M: Any,  # int16 or int32 (mu,), changed in place
    rows: Any,  # int8 (site, mu)
    diagonal: Any,  # int64 (site,)
    rule: Any,  # (heat bath?, order: 0 sequential, 1 permutation, 2 random), (scale, coefficients)
    address: Any,  # key words, lane, sample
    span: Any,  # first sweep, last sweep (excluded), burn_in, every
    overlaps: Any,  # (draw, mu) or no rows: M after each draw of this span
    squares: Any,  # int64 (draw,): sum of M^2 after each draw
) -> None:
    """Sweep one chain from sweep ``first`` to ``last`` and record every ``every`` sweeps after ``burn_in``."""
    heat_bath, order, scale, c = rule
    k0, k1, lane, sample = address
    first, last, burn_in, every = span
    N, draw = sigma.size, 0
    u = np.empty((4, (N + 3) // 4), np.uint32)
    threshold = np.empty(u.shape, np.int64)
    site = np.arange(N)
    for sweep in range(first, last):
        if order > 0:
            fill_words(u, k0, k1, 5, sweep, 0, sample)
            fill_sites(site, u, order == 2)
        fill_words(u, k0, k1, 0, sweep, lane, sample)
        fill_thresholds(threshold, u, scale, heat_bath, c)
        sweep_once(sigma, M, rows, diagonal, site, threshold)
        if sweep >= burn_in and (sweep + 1 - burn_in) % every == 0:
            if overlaps.shape[0] > 0:
                overlaps[draw] = M[: overlaps.shape[1]]
            for mu in range(M.size):
                squares[draw] += np.int64(M[mu]) * np.int64(M[mu])
            draw += 1
