"""Couplings row by row, in the order of state of the speculative kernel: made from bits, or as they are.

The state of 128 sites is kept in the order of their random words (``core.philox.fill_words``): four vectors of 32,
step 4 c + w of the group is lane c of vector w.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from .coupling import CouplingEnergy
from .integers import IntegerOverlaps
from .simd import aligned
from .vectors import L, item, load, popcount, splat, store, wide

LARGEST = 2147483520
"""The largest float32 below 2^31: no D of 32 bits may lie beyond what a threshold can be."""

GROUP = 128
_sum = L.hsum


def to_state(x: NDArray[Any]) -> NDArray[Any]:
    """Entries (..., site) in the order of the state, blank sites 0.

    >>> to_state(np.arange(1, 7))[[0, 1, 32, 33, 64, 96]]
    array([1, 5, 2, 6, 3, 4])
    """
    full = np.zeros((*x.shape[:-1], -(-x.shape[-1] // GROUP) * GROUP), x.dtype)
    full[..., : x.shape[-1]] = x
    state = aligned(full.shape, x.dtype)
    state.reshape(*x.shape[:-1], -1, 4, 32)[:] = full.reshape(*x.shape[:-1], -1, 32, 4).swapaxes(-1, -2)
    return state


def to_sites(x: NDArray[Any], N: int) -> NDArray[Any]:
    """Entries in the order of the state as (..., site), the inverse of ``to_state``."""
    return x.reshape(*x.shape[:-1], -1, 4, 32).swapaxes(-1, -2).reshape(x.shape)[..., :N]


@njit(forceinline=True)
def place(t: Any) -> Any:
    """Where site t lies in the order of the state: lane (t >> 2) & 31 of vector t & 3 of its group of 128."""
    return (t & -128) | ((t & 3) << 5) | ((t >> 2) & 31)


def add_row(h: Any, rows: Any, i: Any, d: Any, own: Any) -> None:
    """Add d C_i (rows of bits: (group, word, 128)) or d J_i (rows of integers: (site, place)) to the fields."""


@overload(add_row)
def _add_row(h: Any, rows: Any, i: Any, d: Any, own: Any) -> Any:
    return _add_bits if rows.ndim == 3 else _add_integers


def _add_integers(h: Any, rows: Any, i: Any, d: Any, own: Any) -> None:
    factor = splat(h, d)
    for at in range(0, h.size, 32):
        store(h, at, load(h, at) + factor * load(rows, i * h.size + at))


def _add_bits(h: Any, rows: Any, i: Any, d: Any, own: Any) -> None:
    """C_ij = K - 2 popcount(x_i xor x_j), four vectors at a time."""
    words = rows.shape[1]
    site = (i >> 7) * words * 128 + (place(i) & 127)
    equal, factor = splat(h, d * own), splat(h, -2 * d)
    at = 0
    for first in range(0, h.size, 128):
        n0 = n1 = n2 = n3 = splat(h, 0)
        for word in range(words):
            x = splat(h, item(rows, site + 128 * word))
            n0 = n0 + popcount(x ^ load(rows, at))
            n1 = n1 + popcount(x ^ load(rows, at + 32))
            n2 = n2 + popcount(x ^ load(rows, at + 64))
            n3 = n3 + popcount(x ^ load(rows, at + 96))
            at += 128
        store(h, first, load(h, first) + equal + factor * n0)
        store(h, first + 32, load(h, first + 32) + equal + factor * n1)
        store(h, first + 64, load(h, first + 64) + equal + factor * n2)
        store(h, first + 96, load(h, first + 96) + equal + factor * n3)


@njit(nogil=True)
def fill_overlaps(M: Any, s: Any, rows: Any) -> None:
    """M_mu = 2 sum_{i: xi_i^mu = 1} s_i - sum_i s_i."""
    words, bits, every = rows.shape[1], 8 * rows.itemsize, s.sum()
    for mu in range(M.size):
        word, shift, ones = mu // bits, splat(s, mu % bits), splat(s, 0)
        for at in range(0, s.size, 32):
            x = load(rows, (at & -128) * words + word * 128 + (at & 127))
            ones = ones + load(s, at) * ((x >> shift) & splat(s, 1))
        M[mu] = 2 * _sum(wide(ones)) - every


@njit(nogil=True)
def fill_fields(h: Any, rows: Any, M: Any) -> None:
    """h_i = 2 sum_{mu: xi_i^mu = 1} M_mu - sum_mu M_mu."""
    words, bits, every = rows.shape[1], 8 * rows.itemsize, splat(h, M.sum())
    for at in range(0, h.size, 32):
        field = splat(h, 0)
        for mu in range(M.size):
            x = load(rows, (at & -128) * words + mu // bits * 128 + (at & 127))
            field = field + splat(h, M[mu]) * ((x >> splat(h, mu % bits)) & splat(h, 1))
        store(h, at, field + field - every)


@njit(nogil=True)
def _fits(rows: Any, own: Any, N: Any) -> Any:
    """Whether max_i sum_{j != i} |C_ij| <= 32767; each row is formed once and ends the search where it is too long."""
    C, blank = np.zeros(rows.shape[0] * 128, np.int16), rows.shape[0] * 128 - N
    for i in range(N):
        C[:] = 0
        add_row(C, rows, i, 1, own)
        total = -own - blank * abs(np.int64(C[-1]))  # without C_ii and the blank sites, alike, of which the last is one
        for c in C:
            total += abs(np.int64(c))
        if total > 32767:
            return False
    return True


def _pack(xi: NDArray[np.integer], bits: type[np.int16] | type[np.int32]) -> NDArray[np.integer]:
    """Patterns (mu, site) as bits, 1 for +1: (group, word, 128), blank patterns and sites 0."""
    size = 8 * np.dtype(bits).itemsize
    on = to_state(xi > 0).T
    on = np.pad(on, ((0, 0), (0, -on.shape[1] % size)))
    packed = np.ascontiguousarray(np.packbits(on, axis=1, bitorder="little"))
    words = packed.view(np.dtype(bits).newbyteorder("<"))
    rows = aligned((words.shape[0] // GROUP, words.shape[1], GROUP), bits)
    rows[:] = words.reshape(-1, GROUP, words.shape[1]).transpose(0, 2, 1)
    return rows


@dataclass(frozen=True)
class Rows:
    """Rows of couplings, as bits or as they are, and the self term that the fields contain."""

    rows: NDArray[np.integer]
    own: int
    N: int
    K: int

    @classmethod
    def of(cls, energy: IntegerOverlaps, sample: int) -> "Rows":
        """16 bits where every field fits them, by the sum of the couplings of each site; else 32."""
        N, K = energy.N, energy.K
        require(N * K <= LARGEST, "N K", str(N * K), f"<= {LARGEST} for 32-bit sums")
        rows = _pack(energy.xi[sample], np.int16)
        narrow = K <= 32767 and _fits(rows, K, N)
        return cls(rows if narrow else _pack(energy.xi[sample], np.int32), K, N, K)

    @classmethod
    def of_couplings(cls, energy: CouplingEnergy, sample: int) -> "Rows":
        """The rows of J, in the order of the state."""
        J = energy.J[sample]
        largest = int(np.max(np.sum(np.abs(J), axis=1, dtype=np.int64)))
        require(largest <= LARGEST, "the largest sum of couplings of a site", str(largest), f"<= {LARGEST}")
        return cls(to_state(J), 0, energy.N, 0)
