"""Where chains begin: addressed random spins, what the energy stores, or spins that are given."""

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from ..core.philox import STREAMS, lane, words
from .coupling import CouplingEnergy
from .energy import OverlapEnergy

Energy = OverlapEnergy | CouplingEnergy
Start = str | NDArray[np.integer]
STARTS = ("random", "pattern", "hierarchical", "symmetric", "example")


def initial_spins(energy: Energy, start: Start, temperatures: int, chains: int, seed: int) -> NDArray[np.int8]:
    r"""The spins at sweep 0, shape (sample, T, chain, site).

    .. math:: \sigma_i = \pm 1 \ \text{evenly}, \quad \mathrm{sign}\, \xi_i^1, \quad
              \mathrm{sign}\, \xi_i^{\min\{\mu: \xi_i^\mu \ne 0\}}, \quad \mathrm{sign} \sum_\mu \xi_i^\mu

    Parameters
    ----------
    energy : OverlapEnergy or CouplingEnergy
    start : "random" (addressed by sample, temperature index and chain), "pattern" (the first), "hierarchical" (every
        site follows the first pattern that is not 0 there), "symmetric" (the majority of all patterns), "example" (the
        first one), or an array of -1 and 1 of shape (site,), (sample, site) or (sample, T, chain, site). Of examples,
        stored singly or averaged, a pattern is their sum, 0 at blanks and where they tie. Where a rule says nothing a
        site is random.
    temperatures : int in [1, 2^12]
    chains : int in [1, 2^20]
    seed : int in [0, 2^64)

    Raises
    ------
    ValueError for another word, shape or value, or for what the energy does not store.

    Source: Agliari et al., Phys. Rev. Lett. 109, 268101 (2012) for the hierarchical state.

    >>> energy = OverlapEnergy.hebbian(np.array([[1, -1, -1]]))
    >>> initial_spins(energy, "pattern", 1, 2, seed=1)[0, 0]
    array([[ 1, -1, -1],
           [ 1, -1, -1]], dtype=int8)
    """
    shape = (energy.samples, temperatures, chains, energy.N)
    lanes = lane(np.arange(temperatures)[:, None], np.arange(chains))
    if not isinstance(start, str):
        return _given(np.asarray(start), shape)
    if start not in STARTS:
        raise ValueError(f"start must be one of {', '.join(map(repr, STARTS))} or an array of spins, got {start!r}")
    stored = None if start == "random" else np.sign(_stored(energy, start))[:, None, None]
    if stored is not None and np.all(stored):
        return np.ascontiguousarray(np.broadcast_to(stored, shape), np.int8)
    spins = np.empty(shape, np.int8)
    for sample, t in np.ndindex(shape[:2]):
        u = words(seed, STREAMS["start"], energy.N, lane=lanes[t], sample=sample)
        spins[sample, t] = np.where(u >> np.uint32(31), 1, -1)
    return spins if stored is None else np.where(stored, stored, spins).astype(np.int8)


def _stored(energy: Energy, start: str) -> NDArray[np.integer]:
    """Integers (sample, site) whose signs are the start; 0 where it says nothing."""
    if not isinstance(energy, OverlapEnergy):
        raise ValueError(f"start must be 'random' or an array of spins for a CouplingEnergy, got {start!r}")
    if start == "example":
        if energy.example is None:
            raise ValueError("start='example' needs an energy of examples, supervised or unsupervised")
        return energy.example
    if start == "symmetric":
        return np.sum(energy.xi, axis=1, dtype=np.int64)
    patterns = energy.class_sums
    if start == "pattern":
        return patterns[:, 0]
    first = np.argmax(patterns != 0, axis=1)[:, None]
    return np.take_along_axis(patterns, first, axis=1)[:, 0]


def _given(start: NDArray[np.integer], shape: tuple[int, ...]) -> NDArray[np.int8]:
    allowed = {1: shape[3:], 2: (shape[0], shape[3]), 4: shape}
    if start.shape != allowed.get(start.ndim):
        raise ValueError(f"start must have shape {', '.join(map(str, allowed.values()))}, got {start.shape}")
    require(np.isin(start, (-1, 1)), "start", start, "-1 or 1")
    spins = start if start.ndim != 2 else start[:, None, None]
    return np.ascontiguousarray(np.broadcast_to(spins, shape), np.int8)
