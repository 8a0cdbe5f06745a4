"""Addressed random numbers: Philox4x32-10, one table of streams, one counter layout.

A random word is a function of its address and of nothing else: there is no generator state, so any
number of threads, any grouping of the chains and any restart give the same numbers.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import require, require_integer
from .jit import njit

STREAMS = {"acceptance": 0, "swap": 1, "start": 2, "patterns": 3, "examples": 4, "order": 5}
"""Stream ids: 6 to 31 are kept for ``mc``, other folders start at 32."""


def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> Any:
    """Four random 32-bit words of a counter and a key, by ten rounds of Philox4x32.

    ``(c0, c1, c2, c3) <- (hi(M1 c2) ^ c1 ^ k0, lo(M1 c2), hi(M0 c0) ^ c3 ^ k1, lo(M0 c0))`` and
    ``(k0, k1) <- (k0 + W0, k1 + W1)`` modulo 2^32, ten times.

    Parameters
    ----------
    c0, c1, c2, c3 : uint64 scalars or broadcastable arrays
        The counter, each in [0, 2^32). Words live in 64 bits so that the loop over them vectorises.
    k0, k1 : uint64 scalars or broadcastable arrays
        The key, each in [0, 2^32).

    Returns
    -------
    tuple of four uint64 of the broadcast shape, each in [0, 2^32).

    Source: Salmon, Moraes, Dror, Shaw, SC'11 (2011), doi:10.1145/2063384.2063405, and its known answers.

    >>> zero = np.uint64(0)
    >>> [f"{int(w):08x}" for w in philox(zero, zero, zero, zero, zero, zero)]
    ['6627e8d5', 'e169c58d', 'bc57ac4c', '9b00dbd8']
    """
    low, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0 = (p1 >> half) ^ c1 ^ k0
        c2 = (p0 >> half) ^ c3 ^ k1
        c1 = p1 & low
        c3 = p0 & low
        k0 = (k0 + np.uint64(0x9E3779B9)) & low
        k1 = (k1 + np.uint64(0xBB67AE85)) & low
    return c0, c1, c2, c3


philox_jit = njit(inline="always")(philox)


def key(seed: int) -> tuple[int, int]:
    """The two key words of a seed, ``(seed mod 2^32, seed >> 32)``, for 0 <= seed < 2^64.

    >>> key(2**32 + 7)
    (7, 1)
    """
    require_integer(seed, "seed", 0, 2**64 - 1, "in [0, 2^64)")
    return int(seed) & 0xFFFFFFFF, int(seed) >> 32


def lane(temperature: ArrayLike, chain: ArrayLike) -> NDArray[np.uint64]:
    """The counter word of a chain, ``temperature << 20 | chain``, for indices below 2^12 and 2^20.

    >>> int(lane(1, 2))
    1048578
    """
    t, c = np.asarray(temperature, np.int64), np.asarray(chain, np.int64)
    require((t >= 0) & (t < 2**12), "temperature index", t, "in [0, 2^12)")
    require((c >= 0) & (c < 2**20), "chain index", c, "in [0, 2^20)")
    return ((t << 20) | c).astype(np.uint64)


def words(
    seed: int, stream: int, count: int, *, row: ArrayLike = 0, lane: ArrayLike = 0, sample: ArrayLike = 0
) -> NDArray[np.uint32]:
    """The words 0 to ``count - 1`` of one stream (of many rows, lanes and samples at once).

    Word ``index`` is word ``index & 3`` of ``philox(index >> 2, row, lane, stream << 24 | sample; key(seed))``.

    Parameters
    ----------
    seed : int in [0, 2^64)
    stream : int in [0, 2^8), one of ``STREAMS``
    count : int in [0, 2^31]
    row, lane : integers in [0, 2^32), broadcastable
        What they count is the stream's affair: sweep or pattern, chain or example.
    sample : integers in [0, 2^24), broadcastable

    Returns
    -------
    uint32 array of the broadcast shape of row, lane and sample, with ``count`` appended.

    Raises
    ------
    ValueError beyond any of these limits: an address never wraps.

    >>> words(0, STREAMS["acceptance"], 2)
    array([1713891541, 3781805453], dtype=uint32)
    """
    require(0 <= count <= 2**31, "count", count, "in [0, 2^31]")
    require(0 <= stream < 2**8, "stream", stream, "in [0, 2^8)")
    r, c, z = (np.asarray(x, np.int64)[..., None] for x in (row, lane, sample))
    require((r >= 0) & (r < 2**32), "row", r, "in [0, 2^32)")
    require((c >= 0) & (c < 2**32), "lane", c, "in [0, 2^32)")
    require((z >= 0) & (z < 2**24), "sample", z, "in [0, 2^24)")
    k0, k1 = (np.uint64(k) for k in key(seed))
    block = np.arange((count + 3) // 4, dtype=np.uint64)
    counter = block, r.astype(np.uint64), c.astype(np.uint64), (stream << 24 | z).astype(np.uint64)
    four = np.stack(philox(*counter, k0, k1), axis=-1).astype(np.uint32)
    return four.reshape(*four.shape[:-2], -1)[..., :count]


@njit(nogil=True)
def fill_words(
    out: Any, k0: int, k1: int, stream: int, row: int, lane: int, sample: int
) -> None:  # the Numba twin of ``words``
    """Fill ``out[index & 3, index >> 2]`` (uint32, shape (4, blocks)) with the words of one address."""
    r, c, z = np.uint64(row), np.uint64(lane), np.uint64((stream << 24) | sample)
    a, b = np.uint64(k0), np.uint64(k1)
    for block in range(out.shape[1]):
        w0, w1, w2, w3 = philox_jit(np.uint64(block), r, c, z, a, b)
        out[0, block] = np.uint32(w0)
        out[1, block] = np.uint32(w1)
        out[2, block] = np.uint32(w2)
        out[3, block] = np.uint32(w3)
