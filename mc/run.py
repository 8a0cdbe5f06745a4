"""``simulate``: many chains of one energy, as a labelled dataset."""

import hashlib
import os
import warnings
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binom

from ..core.backend import cores
from ..core.errors import require, require_integer
from ..core.memory import require_memory
from ..core.philox import key
from . import checkpoint as store
from . import gpu
from .chains import advance_all
from .checkpoint import State
from .coupling import CouplingEnergy
from .dataset import labelled
from .energy import OverlapEnergy, temperatures_of
from .plan import Run, Unit, at_one_sweep, deal
from .routing import Route
from .samplers import Annealing, HeatBath, ParallelTempering, Sampler, ZeroTemperature
from .start import Energy, Start, initial_spins
from .tempering import attempts, check_ladder, equal_rates

OBSERVABLES = ("overlap", "energy", "q", "spins")
_HEAT_BATH = HeatBath()
_PILOTS = (8, 4, 2)  # parts of the burn-in over which a ladder is measured and moved
_SHORTEST_PILOT = 64
_VISIBLE = 1e-4  # share of tied sites that a simulation shows


def simulate(
    energy: Energy,
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
    observables: tuple[str, ...] = ("overlap", "energy"),
    checkpoint: str | os.PathLike[str] | None = None,
    backend: str = "auto",
) -> xr.Dataset:
    r"""Run Markov chains of an energy at given temperatures.

    .. math:: P(\sigma) \propto e^{-H(\sigma)/T}, \qquad m_\mu = \frac{1}{N} \sum_i \xi_i^\mu \sigma_i,
              \qquad e = H/N, \qquad q = \frac{1}{N} \sum_i \sigma_i^{(2c)} \sigma_i^{(2c+1)}

    Parameters
    ----------
    energy : OverlapEnergy or CouplingEnergy
    sampler : HeatBath, Metropolis, ZeroTemperature, Annealing or ParallelTempering
    T : float or (T,), finite and > 0, in units of J/k_B; at most 2^12 temperatures. 0 for ZeroTemperature and for it
        alone; rising for ParallelTempering, whose ladder it is
    chains : int in [1, 2^20], chains per sample and temperature (ladders, in tempering)
    sweeps : int >= 0, measured sweeps after ``burn_in``, a multiple of ``every``
    burn_in : int >= 0, sweeps before the first draw counts; burn_in + sweeps <= 2^32
    every : int >= 1, sweeps per draw
    start : "random", "pattern", "hierarchical", "symmetric", "example" (see ``mc.start``) or spins -1, 1 of shape
        (site,), (sample, site) or (sample, T, chain, site)
    seed : int in [0, 2^64)
    threads : int >= 1, or None for one per available core; it never changes a number
    observables : some of "overlap", "energy", "q" (of chains 2c and 2c + 1), "spins"; a draw of a chain takes 4 bytes
        per pattern, 8, 4, and 1 per site
    checkpoint : path of an npz file saved every ten seconds and continued by the same call
    backend : "auto" (a device where there is one and the run is large enough to fill it), "cpu" or "gpu"

    Returns
    -------
    Dataset with what was asked of ``overlap`` (sample, T, chain, draw, mu), ``energy`` (sample, T, chain, draw) per
    spin, ``q`` (sample, T, pair, draw) and ``spins`` (sample, T, chain, draw, site), and always ``acceptance``
    (sample, T, chain), flips per step. Tempering adds ``swap_rate`` (sample, chain, lower), ``round_trips``
    (sample, chain, replica) and ``home`` (sample, T, chain, draw): which of the ladder a draw is of. The attribute
    ``sha256`` is the hash of the final spins, ``kernel`` what swept them. More samples, more chains or temperatures
    appended to the list (not in tempering) never change the numbers of the first ones.

    Raises
    ------
    ValueError outside these ranges; TypeError for another energy or sampler; MemoryError, before anything is drawn,
    where the patterns of the kernels and the draws do not fit; StoreError where the checkpoint is damaged or of
    another run; BackendUnavailable for ``backend="gpu"`` where there is none.

    Warns
    -----
    UserWarning at T = 0 where the examples of a pattern (P = 2, even M) tie at a share of at least 1e-4 of the sites.

    Source: K. Binder, D. W. Heermann, Monte Carlo Simulation in Statistical Physics (2010); random numbers as in
    Salmon et al., SC'11 (2011), doi:10.1145/2063384.2063405.

    >>> energy = OverlapEnergy.hebbian(np.ones((1, 100), int))
    >>> ds = simulate(energy, T=0.5, chains=2, sweeps=100, burn_in=10, start="pattern", seed=1)
    >>> round(float(ds.overlap.mean()), 2)
    0.96
    """
    _check_choices(energy, sampler, observables, backend)
    _check_counts(chains, sweeps, burn_in, every, threads)
    key(seed)  # refuses a seed beyond 64 bits
    run = Run(energy, sampler, _temperatures(sampler, T, burn_in), burn_in, sweeps, every, seed, observables)
    energy.scale(run.T)  # refuses what float32 cannot hold
    _warn_of_ties(energy, run.T)
    many = threads or cores()
    what = f"a run of N = {run.energy.N}, K = {run.energy.K}"
    require_memory(_estimate(run, chains), what, "fewer patterns, draws or observables")
    spins = initial_spins(energy, start, run.T.size, chains, seed)
    route, where = _route(run, chains, many, backend)
    if isinstance(sampler, ParallelTempering) and sampler.adapt:
        run = replace(run, T=_adapted(run, spins[:1, :, :1], route))
    state, save = _fresh(run, spins), None
    if checkpoint is not None:
        path, description = Path(checkpoint), _describe(run, state)
        require(path.parent.is_dir(), "checkpoint", str(path), "in a folder that exists")
        save = partial(store.save, path, run=description)
        if path.exists():
            state = store.load(path, description, state, energy)
    units = deal(run, chains, route.width, route.samples_together)
    advance_all(run, at_one_sweep(units, state.sweep), route, state, many, save)
    began = start if isinstance(start, str) else "array"
    return labelled(run, state, {"start": began, "backend": where, "kernel": route.name})


def _route(run: Run, chains: int, threads: int, backend: str) -> tuple[Any, str]:
    """The kernels of a run, and whether they are the processor's or a device's."""
    lanes = run.T.size * chains
    if backend == "gpu" or (backend == "auto" and gpu.worth_it(run.energy, run.rule, lanes)):
        return gpu.Route(run.energy, run.rule, lanes), "gpu"
    return Route(run.energy, run.rule, lanes, threads), "cpu"


def _adapted(run: Run, spins: NDArray[np.int8], route: Any) -> NDArray[np.float64]:
    """The ladder of equal swap rates, by pilot runs of the first ladder of the first sample."""
    for part in _PILOTS:
        pilot = replace(run, burn_in=run.burn_in // part, sweeps=0, observables=())
        state = _fresh(pilot, spins)
        unit = Unit(np.zeros(1, np.int64), np.arange(run.T.size), np.zeros(run.T.size, np.int64))
        advance_all(pilot, [unit], route, state, 1, None)
        run = replace(run, T=equal_rates(run.T, state.swaps[0, 0] / attempts(pilot.last, run.T.size)))
    return run.T


def _temperatures(sampler: Sampler, T: ArrayLike, burn_in: int) -> NDArray[np.float64]:
    """The temperatures, checked against what the sampler does with them."""
    if isinstance(sampler, ZeroTemperature):
        require(np.asarray(T) == 0, "T", np.asarray(T), "0 for ZeroTemperature()")
        require(np.size(T) == 1, "T", str(T), "one number for ZeroTemperature()")
        return np.zeros(1)
    temperatures = temperatures_of(T)
    if isinstance(sampler, Annealing):
        require(sampler.T_start >= temperatures, "T_start", sampler.T_start, f"at least every T, {temperatures.max()}")
    if isinstance(sampler, ParallelTempering):
        check_ladder(temperatures)
        if sampler.adapt:
            require(burn_in >= _SHORTEST_PILOT, "burn_in", burn_in, f">= {_SHORTEST_PILOT} for a ladder that adapts")
    return temperatures


def _warn_of_ties(energy: Energy, T: NDArray[np.float64]) -> None:
    r"""At T = 0 an even number of examples tells nothing at the sites where :math:`\sum_a \chi^a = 0`."""
    if not isinstance(energy, OverlapEnergy) or not energy.pairwise or energy.M % 2 or T.all():
        return
    r = energy.unit / (energy.g * energy.M)
    tied = float(binom.pmf(energy.M // 2, energy.M, (1 + r) / 2))
    if tied >= _VISIBLE:
        warnings.warn(
            f"M = {energy.M} is even: at a share {tied:.2g} of the sites of a pattern, about "
            "sqrt(2/(pi M)) e^(-1/(2 rho)), its examples cancel, and at T = 0 nothing aligns these: "
            "overlaps are visibly lower; take an odd M",
            UserWarning,
            stacklevel=3,
        )


def _check_choices(energy: Any, sampler: Any, observables: tuple[str, ...], backend: str) -> None:
    if not isinstance(energy, OverlapEnergy | CouplingEnergy):
        raise TypeError(f"energy must be an OverlapEnergy or a CouplingEnergy, got {type(energy).__name__}")
    if not isinstance(sampler, Sampler):
        raise TypeError(f"sampler must be one such as HeatBath(), got {sampler!r}")
    if isinstance(observables, str) or not set(observables) <= set(OBSERVABLES):
        raise ValueError(f"observables must be a tuple of {', '.join(map(repr, OBSERVABLES))}, got {observables!r}")
    if backend not in ("auto", "cpu", "gpu"):
        raise ValueError(f"backend must be 'auto', 'cpu' or 'gpu', got {backend!r}")


def _check_counts(chains: int, sweeps: int, burn_in: int, every: int, threads: int | None) -> None:
    require_integer(chains, "chains", 1, 2**20, "in [1, 2^20]")
    require_integer(sweeps, "sweeps", 0, 2**32, "in [0, 2^32]")
    require_integer(burn_in, "burn_in", 0, 2**32, "in [0, 2^32]")
    require_integer(burn_in + sweeps, "burn_in + sweeps", 0, 2**32, "in [0, 2^32]")
    require_integer(every, "every", 1, 2**32, "in [1, 2^32]")
    require(sweeps % every == 0, "sweeps", sweeps, f"a multiple of every = {every}")
    if threads is not None:
        require_integer(threads, "threads", 1, 2**20, "in [1, 2^20]")


def _estimate(run: Run, chains: int) -> float:
    """Bytes beside the patterns themselves: theirs in the kernels, the state of the lanes, and what is drawn, twice."""
    N, K, asked = run.energy.N, run.energy.K, run.observables
    lanes = float(run.energy.samples * run.T.size * chains)
    drawn = 12 * K * ("overlap" in asked) + 16 * ("energy" in asked) + 8 * ("q" in asked) + 2 * N * ("spins" in asked)
    return float(K) * N + lanes * (4 * K + 6 * N + run.sweeps // run.every * drawn)


def _fresh(run: Run, spins: NDArray[np.int8]) -> State:
    """The state before the first sweep, with room for what will be drawn."""
    samples, temperatures, chains, N = spins.shape
    shape, draws, asked = spins.shape[:3], run.sweeps // run.every, run.observables
    K, per_sample = run.energy.K, range(samples)

    def room(name: str) -> int:
        return draws if name in asked else 0

    return State(
        spins=spins.copy(),
        overlaps=np.stack([run.energy.overlaps(spins[z], z) for z in per_sample]).astype(np.int32),
        total=np.stack([run.energy.total_of(spins[z], z) for z in per_sample]),
        sweep=np.zeros(shape, np.int64),
        accepted=np.zeros(shape, np.int64),
        slot=np.broadcast_to(np.arange(temperatures)[:, None], shape).copy(),
        heading=np.zeros(shape, np.int8),
        trips=np.zeros(shape, np.int64),
        swaps=np.zeros((samples, chains, temperatures - 1), np.int64),
        overlap=np.zeros((room("overlap"), *shape, K), np.int32),
        G=np.zeros((room("energy"), *shape), np.int64),
        q=np.zeros((room("q"), samples, temperatures, chains // 2), np.int32),
        home=np.zeros((draws if run.ladder else 0, *shape), np.int16),
        drawn=np.zeros((room("spins"), *shape, N), np.int8),
    )


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
        "observables": sorted(run.observables),
        "energy": run.energy.description(),
        "start": hashlib.sha256(state.spins.tobytes()).hexdigest(),
    }
