"""What figures of dense networks share: simulations that start from an archetype, or from a corrupted copy of it."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.backend import cores
from ..mc.energy import OverlapEnergy
from ..mc.patterns import examples
from ..mc.run import simulate
from ..sweeps.sweep import sweep
from ..theory.dense import DenseHebbian

Floats = NDArray[np.float64]


def stored(xi: xr.DataArray, eta: xr.DataArray | None, *, P: int, r: float, protocol: str) -> OverlapEnergy:
    """The energy of a protocol; of the patterns themselves where there are no examples."""
    if eta is None:
        return OverlapEnergy.dense(xi, P=P)
    learn = OverlapEnergy.supervised if protocol == "supervised" else OverlapEnergy.unsupervised
    return learn(eta, P=P, r=r)


def overlaps(
    energy: OverlapEnergy, xi: xr.DataArray, *, start: float, T: list[float], sweeps: int, seed: int
) -> Floats:
    """Overlap of one sample with its first pattern, by T: the mean over ``sweeps`` sweeps after as many, of one chain.

    It starts from the pattern with spins turned at random, ``start`` the overlap that is left on average.
    """
    begin = examples(xi[:, :1], r=start, M=1, seed=seed + 2**32).values[:, 0, 0]  # not the seed of what is stored
    run = simulate(
        energy,
        T=T,
        chains=1,
        sweeps=sweeps,
        burn_in=sweeps,
        start=begin,
        seed=seed,
        threads=1,
        observables=("spins",),
    )
    m = (run.spins.mean(("chain", "draw")) * xi.isel(mu=0)).mean("site")
    return np.asarray(m.isel(sample=0).values, np.float64)


def over_samples(one: Callable[[int], Floats], samples: int) -> Floats:
    """``one(seed)`` for every sample of the disorder, the first axis; as many at a time as there are cores."""
    with ThreadPoolExecutor(cores()) as pool:
        return np.stack(list(tqdm(pool.map(one, range(samples)), total=samples, unit="sample", delay=2, disable=None)))


def averaged(m: Floats, dims: tuple[str, ...]) -> xr.Dataset:
    """Mean over disorder, the first axis, and its standard error."""
    error = m.std(axis=0, ddof=1) / np.sqrt(len(m))
    return xr.Dataset({"overlap": (dims, m.mean(axis=0)), "overlap_error": (dims, error)})


def retrieved(over: Mapping[str, Any], const: Mapping[str, Any]) -> xr.Dataset:
    """m of the stable retrieval solution of infinitely many sites, and ``unconverged`` points.

    m is 0 where there is none, nan where only that of unequal overlaps with the examples is missing to be stable.
    """
    ds = sweep(DenseHebbian, over=over, const=const, starts=["retrieval"], progress=False).isel(start=0, drop=True)
    there = ds.converged & (ds.stability > 0)
    m = ds.m.where(there, 0.0).where(ds.stable | ~there)
    return xr.Dataset({"m": m, "unconverged": (~ds.converged).astype(np.int8)}).drop_attrs()
