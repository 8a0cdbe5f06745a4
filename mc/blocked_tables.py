"""The patterns of one sample as the kernel of 32 chains reads them: four sites and two patterns a byte."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require

PAIRS = (0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)
"""Two sites of a block, the later one second: the order of the couplings."""


@dataclass(frozen=True)
class BlockedTables:
    """Signs by blocks of four sites, the last block filled up with sites of weight -1 that never flip.

    Parameters
    ----------
    codes : uint8 (block, pair of patterns): bit a of each half byte is set where the weight on site a is +1, the
        lower half of the first pattern and the upper of the second; the partner of a last odd pattern has no bit
    couplings : int32 (block, 6), twice ``sum_mu xi_a^mu xi_b^mu`` of ``PAIRS``
    K, N : number of patterns and of sites
    """

    codes: NDArray[np.uint8]
    couplings: NDArray[np.int32]
    K: int
    N: int


def certified(N: int, K: int) -> bool:
    """Whether 16 bits hold every overlap and 32 bits whatever a flip can cost, ``|D| <= (N + 1) K``.

    >>> certified(32767, 65535), certified(32767, 65536), certified(32768, 1)
    (True, False, False)
    """
    return N <= 32767 and (N + 1) * K < 2**31


def blocked_tables(xi: NDArray[np.integer]) -> BlockedTables:
    """Tables of the patterns (mu, site), -1 or 1.

    Raises
    ------
    ValueError for sizes that are not certified.

    >>> blocked_tables(np.array([[1, 1, -1, 1, 1], [1, -1, -1, -1, -1]])).codes.tolist()
    [[27], [1]]
    """
    K, N = xi.shape
    require(certified(N, K), "N and K", f"{N} and {K}", "at most 32767 sites, and (N + 1) K < 2^31")
    blocks = -(-N // 4)
    up = np.zeros((blocks, 4, K + K % 2), np.uint8)
    up.reshape(4 * blocks, -1)[:N, :K] = xi.T > 0
    codes = np.zeros((blocks, up.shape[2] // 2), np.uint8)
    for a in range(4):
        codes |= up[:, a, 0::2] << np.uint8(a) | up[:, a, 1::2] << np.uint8(a + 4)
    couplings = np.empty((blocks, len(PAIRS)), np.int32)
    for n, (a, b) in enumerate(PAIRS):
        unlike = np.count_nonzero(up[:, a, :K] != up[:, b, :K], axis=1)
        couplings[:, n] = 2 * (K - 2 * unlike)
    return BlockedTables(codes, couplings, K, N)


def signs() -> NDArray[np.int32]:
    """Of every byte of codes and site, its two weights as two int16; then of every half byte, one weight and 0."""
    code, site = np.arange(256 + 16)[:, None], np.arange(4)
    first = 2 * (code >> site & 1) - 1
    second = np.where(code < 256, 2 * (code >> (site + 4) & 1) - 1, 0)
    return np.stack([first, second], axis=-1).astype(np.int16).view(np.int32).reshape(-1)
