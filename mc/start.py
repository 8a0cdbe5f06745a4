"""Where chains begin: addressed random spins, the first pattern, or spins that are given."""

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from ..core.philox import STREAMS, lane, words
from .energy import OverlapEnergy

Start = str | NDArray[np.integer]


def initial_spins(energy: OverlapEnergy, start: Start, temperatures: int, chains: int, seed: int) -> NDArray[np.int8]:
    r"""The spins at sweep 0, shape (sample, T, chain, site).

    .. math:: \sigma_i = \pm 1 \ \text{evenly}, \qquad \sigma_i = \xi_i^1, \qquad \text{or the array}

    Parameters
    ----------
    energy : OverlapEnergy
    start : "random" (addressed by sample, temperature index and chain), "pattern" (mu = 0 of each sample) or
        an array of -1 and 1 of shape (site,), (sample, site) or (sample, T, chain, site)
    temperatures : int in [1, 2^12]
    chains : int in [1, 2^20]
    seed : int in [0, 2^64)

    Raises
    ------
    ValueError for another word, shape or value.

    >>> energy = OverlapEnergy.hebbian(np.array([[1, -1, -1]]))
    >>> initial_spins(energy, "pattern", 1, 2, seed=1)[0, 0]
    array([[ 1, -1, -1],
           [ 1, -1, -1]], dtype=int8)
    """
    shape = (energy.samples, temperatures, chains, energy.N)
    lanes = lane(np.arange(temperatures)[:, None], np.arange(chains))
    if not isinstance(start, str):
        return _given(np.asarray(start), shape)
    if start == "pattern":
        first = energy.xi[:, None, None, 0]
        require(first != 0, "xi[:, 0]", first, "-1 or 1 for start='pattern'")
        return np.broadcast_to(first, shape).copy()
    if start != "random":
        raise ValueError(f"start must be 'random', 'pattern' or an array of spins, got {start!r}")
    spins = np.empty(shape, np.int8)
    for sample, t in np.ndindex(shape[:2]):
        u = words(seed, STREAMS["start"], energy.N, lane=lanes[t], sample=sample)
        spins[sample, t] = np.where(u >> np.uint32(31), 1, -1)
    return spins


def _given(start: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.int8]:
    allowed = {1: shape[3:], 2: (shape[0], shape[3]), 4: shape}
    if start.shape != allowed.get(start.ndim):
        raise ValueError(f"start must have shape {', '.join(map(str, allowed.values()))}, got {start.shape}")
    require(np.isin(start, (-1, 1)), "start", start, "-1 or 1")
    spins = start if start.ndim != 2 else start[:, None, None]
    return np.broadcast_to(spins, shape).astype(np.int8)
