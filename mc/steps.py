"""What the steps of one sweep draw: the site of each, the same for all chains of a sample, and its threshold."""

from typing import Any

import numpy as np

from ..core.jit import njit
from ..core.philox import STREAMS, fill_words
from .kernel import DOWNHILL, HEAT_BATH
from .thresholds import QC, fill_thresholds

_ACCEPTANCE, _ORDER = STREAMS["acceptance"], STREAMS["order"]


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
def draw_sites(site: Any, u: Any, rule: Any, sweep: Any, sample: Any) -> None:
    """The sites of one sweep; in sequential order they stay as they are.

    Parameters
    ----------
    site : int64 (site,), 0 to N - 1 at first, filled
    u : uint32 (4, blocks), scratch
    rule : acceptance, order, two key words
    """
    if rule[1] > 0:
        fill_words(u, rule[2], rule[3], _ORDER, sweep, 0, sample)
        fill_sites(site, u, rule[1] == 2)


@njit(nogil=True, error_model="numpy")
def draw_thresholds(threshold: Any, u: Any, rule: Any, sweep: Any, lane: Any, sample: Any, scale: Any) -> None:
    """The thresholds of one sweep of one chain, int64 (4, blocks): step t has ``threshold[t & 3, t >> 2]``."""
    if rule[0] == DOWNHILL:
        threshold[:] = -1
    else:
        fill_words(u, rule[2], rule[3], _ACCEPTANCE, sweep, lane, sample)
        fill_thresholds(threshold, u, scale, rule[0] == HEAT_BATH, QC)
