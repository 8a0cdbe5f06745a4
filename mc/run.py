"""``simulate``: many chains of one energy, as a labelled dataset."""

import hashlib
import json
import os
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.backend import cores, cupy
from ..core.errors import BackendUnavailable, require, require_integer
from ..core.philox import key
from ..core.versions import versions
from . import checkpoint as store
from .chains import Run, advance_all
from .checkpoint import State
from .cpu import all_overlaps
from .energy import OverlapEnergy, temperatures_of
from .samplers import HeatBath, Sampler
from .start import Start, initial_spins

OBSERVABLES = ("overlap", "energy")
_HEAT_BATH = HeatBath()


def simulate(
    energy: OverlapEnergy,
    *,
    sampler: Sampler = _HEAT_BATH,
    T: ArrayLike,
    chains: int,
    sweeps: int,
    burn_in: int,
    every: int = 1,
    start: Start = "random",
    seed: int,
    threads: int | None = None,
    observables: tuple[str, ...] = OBSERVABLES,
    checkpoint: str | os.PathLike[str] | None = None,
    backend: str = "auto",
) -> xr.Dataset:
    r"""Run independent Markov chains of an energy at given temperatures.

    .. math:: P(\sigma) \propto e^{-H(\sigma)/T}, \qquad m_\mu = \frac{1}{N} \sum_i \xi_i^\mu \sigma_i,
              \qquad e = H/N

    Parameters
    ----------
    energy : OverlapEnergy
    sampler : HeatBath or Metropolis
    T : float or (T,), finite and > 0, in units of J/k_B; at most 2^12 temperatures
    chains : int in [1, 2^20], independent chains per sample and temperature
    sweeps : int >= 0, measured sweeps after ``burn_in``, a multiple of ``every``
    burn_in : int >= 0, sweeps before the first draw counts; burn_in + sweeps <= 2^32
    every : int >= 1, sweeps per draw
    start : "random", "pattern" (mu = 0 of each sample) or spins -1, 1 of shape (site,), (sample, site) or
        (sample, T, chain, site)
    seed : int in [0, 2^64)
    threads : int >= 1, or None for one per available core; it never changes a number
    observables : some of "overlap", "energy"; overlaps take 8 bytes per chain, draw and pattern
    checkpoint : path of an npz file saved every ten seconds and continued by the same call
    backend : "auto", "cpu" or "gpu"

    Returns
    -------
    Dataset with ``overlap`` (sample, T, chain, draw, mu) and ``energy`` (sample, T, chain, draw), energy per
    spin; its attribute ``sha256`` is the hash of the final spins. More samples, more chains or temperatures
    appended to the list never change the numbers of the first ones.

    Raises
    ------
    ValueError outside these ranges; TypeError for another energy or sampler; StoreError where the checkpoint
    is damaged or of another run; BackendUnavailable for ``backend="gpu"`` where there is none.

    Source: K. Binder, D. W. Heermann, Monte Carlo Simulation in Statistical Physics (2010); random numbers as in
    Salmon et al., SC'11 (2011), doi:10.1145/2063384.2063405.

    >>> energy = OverlapEnergy.hebbian(np.ones((1, 100), int))
    >>> ds = simulate(energy, T=0.5, chains=2, sweeps=100, burn_in=10, start="pattern", seed=1)
    >>> round(float(ds.overlap.mean()), 2)
    0.96
    """
    _check_choices(energy, sampler, observables, backend)
    temperatures = temperatures_of(T)
    scales = np.array([energy.scale(t) for t in temperatures], np.float32)
    _check_counts(chains, sweeps, burn_in, every, threads)
    key(seed)  # refuses a seed beyond 64 bits
    spins = initial_spins(energy, start, temperatures.size, chains, seed)
    run = Run(energy, sampler, temperatures, scales, burn_in, sweeps, every, seed)
    state = _fresh(run, spins, "overlap" in observables)
    save = None
    if checkpoint is not None:
        path, description = Path(checkpoint), _describe(run, state)
        require(path.parent.is_dir(), "checkpoint", str(path), "in a folder that exists")
        save = partial(store.save, path, run=description)
        if path.exists():
            state = store.load(path, description, state, energy)
    advance_all(run, state, threads or cores(), save)
    return _dataset(run, state, observables, start if isinstance(start, str) else "array")


def _check_choices(energy: Any, sampler: Any, observables: tuple[str, ...], backend: str) -> None:
    if not isinstance(energy, OverlapEnergy):
        raise TypeError(f"energy must be an OverlapEnergy, got {type(energy).__name__}")
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler must be HeatBath() or Metropolis(), got {sampler!r}")
    if isinstance(observables, str) or not set(observables) <= set(OBSERVABLES):
        raise ValueError(f"observables must be a tuple of 'overlap' and 'energy', got {observables!r}")
    if backend not in ("auto", "cpu", "gpu"):
        raise ValueError(f"backend must be 'auto', 'cpu' or 'gpu', got {backend!r}")
    if backend == "gpu":
        cupy()
        raise BackendUnavailable("backend='gpu' has no kernels in this version: use backend='cpu'")


def _check_counts(chains: int, sweeps: int, burn_in: int, every: int, threads: int | None) -> None:
    require_integer(chains, "chains", 1, 2**20, "in [1, 2^20]")
    require_integer(sweeps, "sweeps", 0, 2**32, "in [0, 2^32]")
    require_integer(burn_in, "burn_in", 0, 2**32, "in [0, 2^32]")
    require_integer(burn_in + sweeps, "burn_in + sweeps", 0, 2**32, "in [0, 2^32]")
    require_integer(every, "every", 1, 2**32, "in [1, 2^32]")
    require(sweeps % every == 0, "sweeps", sweeps, f"a multiple of every = {every}")
    if threads is not None:
        require_integer(threads, "threads", 1, 2**20, "in [1, 2^20]")


def _fresh(run: Run, spins: NDArray[np.int8], with_overlap: bool) -> State:
    shape, draws = spins.shape[:3], run.sweeps // run.every
    overlap = np.zeros((*shape, draws if with_overlap else 0, run.energy.K))
    M = all_overlaps(run.energy, spins)
    return State(spins, M, np.zeros(shape, np.int64), overlap, np.zeros((*shape, draws), np.int64))


def _describe(run: Run, state: State) -> store.Json:
    """What must agree between a checkpoint and the call that continues it."""
    return {
        "N": run.energy.N,
        "K": run.energy.K,
        "samples": run.energy.samples,
        "seed": int(run.seed),
        "T": run.T.tolist(),
        "chains": state.spins.shape[2],
        "sampler": repr(run.sampler),
        "burn_in": int(run.burn_in),
        "sweeps": int(run.sweeps),
        "every": int(run.every),
        "draws of overlap": state.overlap.shape[3],
        "patterns": _sha256(run.energy.xi),
        "start": _sha256(state.spins),
    }


def _sha256(array: NDArray[np.int8]) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _dataset(run: Run, state: State, observables: tuple[str, ...], start: str) -> xr.Dataset:
    dims = ("sample", "T", "chain", "draw")
    variables: dict[str, Any] = {}
    if "overlap" in observables:
        variables["overlap"] = ((*dims, "mu"), state.overlap)
    if "energy" in observables:
        per_spin = [run.energy.per_spin(squares, sample) for sample, squares in enumerate(state.squares)]
        variables["energy"] = (dims, np.stack(per_spin))
    sizes = dict(zip((*dims, "mu"), (*state.squares.shape, run.energy.K), strict=True))
    coords: dict[str, Any] = {name: np.arange(size) for name, size in sizes.items()} | {"T": run.T}
    coords["sweep"] = ("draw", run.burn_in + run.every * np.arange(1, sizes["draw"] + 1))
    attrs = {
        "N": run.energy.N,
        "K": run.energy.K,
        "seed": int(run.seed),
        "sampler": type(run.sampler).__name__,
        "order": run.sampler.order,
        "start": start,
        "burn_in": int(run.burn_in),
        "every": int(run.every),
        "backend": "cpu",
        "kernel": "numba",
        "versions": json.dumps(versions("mattis", "numpy", "numba")),
        "sha256": _sha256(state.spins),
    }
    return xr.Dataset(variables, coords, attrs)
