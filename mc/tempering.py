"""Replica exchange: the swap round after a sweep, and the ladder that makes its rates equal."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from ..core.philox import STREAMS, philox_jit
from .thresholds import neglog_jit

_SWAP = STREAMS["swap"]


def weights(T: NDArray[np.float64], c: float) -> NDArray[np.float64]:
    """``(1/T_t - 1/T_(t+1)) c`` of neighbouring temperatures, for an energy of -c G.

    >>> weights(np.array([0.5, 1.0]), 0.25)
    array([0.25])
    """
    beta = 1 / T
    return (beta[:-1] - beta[1:]) * c


@njit(nogil=True)
def swap_round(
    ladders: Any,  # int64 (ladder, lane), both changed: where each lane is, and which lane is where
    G: Any,  # int64 (ladder, lane)
    w: Any,  # float64 (slot - 1,)
    sweep: int,
    address: Any,  # int64 (ladder, 2): chain and sample
    key: Any,
    coefficients: Any,
    books: Any,  # swaps, int64 (ladder, slot - 1); heading, int8, and round trips, int64 (ladder, lane), all changed
) -> None:
    """The twin of ``reference.swap_round``, of many ladders.

    Its books: accepted swaps; 1 after the lowest slot and -1 after the highest; round trips lowest - highest - lowest.
    """
    slot, at = ladders
    swaps, heading, trips = books
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    lanes = slot.shape[1]
    for j in range(slot.shape[0]):
        c2, c3 = np.uint64(address[j, 0]), np.uint64((_SWAP << 24) | address[j, 1])
        for t in range(sweep % 2, lanes - 1, 2):
            u, _, _, _ = philox_jit(np.uint64(t), np.uint64(sweep), c2, c3, k0, k1)
            a, b = at[j, t], at[j, t + 1]
            if w[t] * np.float64(G[j, a] - G[j, b]) <= np.float64(neglog_jit(np.uint32(u), coefficients)):
                at[j, t], at[j, t + 1] = b, a
                slot[j, a], slot[j, b] = t + 1, t
                swaps[j, t] += 1
        top, bottom = at[j, lanes - 1], at[j, 0]
        if heading[j, top] == 1:
            heading[j, top] = -1
        if heading[j, bottom] == -1:
            trips[j, bottom] += 1
        heading[j, bottom] = 1


def attempts(sweeps: int, slots: int) -> NDArray[np.int64]:
    """How often each pair of neighbouring slots was tried in the first ``sweeps`` sweeps.

    >>> attempts(3, 4)
    array([2, 1, 2])
    """
    t = np.arange(slots - 1)
    return np.where(t % 2 == 0, (sweeps + 1) // 2, sweeps // 2)


def equal_rates(T: NDArray[np.float64], rate: NDArray[np.float64]) -> NDArray[np.float64]:
    r"""The ladder between the same ends whose neighbours reject swaps equally often.

    .. math:: \Lambda(\beta_t) = \sum_{s < t} (1 - \mathrm{rate}_s)

    linear between the temperatures, is divided into equal parts.

    Parameters
    ----------
    T : (slot,), rising
    rate : (slot - 1,), measured swap rates; 0.99 at most counts, so that no step grows without bound

    Source: Syed et al., arXiv:1905.02939, section 5.

    >>> equal_rates(np.array([1.0, 2.0, 4.0]), np.array([0.9, 0.5])).round(3)
    array([1. , 2.5, 4. ])
    """
    barrier = np.append(0.0, np.cumsum(np.maximum(1 - rate, 0.01)))
    beta = np.interp(np.linspace(0, barrier[-1], T.size), barrier, 1 / T)
    ladder = 1 / beta
    ladder[[0, -1]] = T[[0, -1]]
    return ladder


def check_ladder(T: NDArray[np.float64]) -> None:
    """Refuse a ladder that does not rise, or that has no two temperatures."""
    require(T.size >= 2, "number of temperatures T", T.size, ">= 2 for parallel tempering")
    require(np.diff(T) > 0, "T", str(T.tolist()), "rising for parallel tempering")
