"""What a run has shown, with names, units and where it came from."""

import hashlib
import json
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.versions import versions
from .checkpoint import State
from .plan import Run
from .start import Energy
from .tempering import attempts

_CHAIN, _DRAW = ("sample", "T", "chain"), ("sample", "T", "chain", "draw")


def labelled(run: Run, state: State, attrs: dict[str, str]) -> xr.Dataset:
    """The dataset of ``simulate`` of a finished state."""
    variables: dict[str, Any] = {}
    N, asked = run.energy.N, run.observables
    if "overlap" in asked and run.energy.K:
        variables["overlap"] = ((*_DRAW, "mu"), _last(state.overlap) * _unit(run.energy) / N)
    if "energy" in asked:
        per_spin = [run.energy.per_spin(G, sample) for sample, G in enumerate(_last(state.G))]
        variables["energy"] = (_DRAW, np.stack(per_spin))
    if "q" in asked:
        variables["q"] = (("sample", "T", "pair", "draw"), _last(state.q) / N)
    if "spins" in asked:
        variables["spins"] = ((*_DRAW, "site"), np.ascontiguousarray(_last(state.drawn)))
    variables["acceptance"] = (_CHAIN, state.accepted / (N * max(run.last, 1)))
    if run.ladder:
        rate = state.swaps / np.maximum(attempts(run.last, run.T.size), 1)
        variables["swap_rate"] = (("sample", "chain", "lower"), rate)
        variables["round_trips"] = (("sample", "chain", "replica"), state.trips.transpose(0, 2, 1))
        variables["home"] = (_DRAW, np.ascontiguousarray(_last(state.home)))
    ds = xr.Dataset(variables, attrs=_attributes(run, state) | attrs)
    draws = run.sweeps // run.every
    coords: dict[str, Any] = {str(name): np.arange(size) for name, size in ds.sizes.items()}
    coords |= {"T": run.T, "draw": np.arange(draws)}
    coords["sweep"] = ("draw", run.burn_in + run.every * np.arange(1, draws + 1))
    return ds.assign_coords(coords)


def _last(draws: NDArray[Any]) -> NDArray[Any]:
    """(draw, sample, T, chain or pair, ...) of the state as (sample, T, chain or pair, draw, ...)."""
    return np.moveaxis(draws, 0, 3)


def _unit(energy: Energy) -> float:
    return getattr(energy, "unit", 1.0)


def _attributes(run: Run, state: State) -> dict[str, Any]:
    return {
        "N": run.energy.N,
        "K": run.energy.K,
        "rows": getattr(run.energy, "rows", 1),
        "seed": int(run.seed),
        "sampler": type(run.sampler).__name__,
        "order": run.dynamics.order,
        "flip_symmetric": int(run.energy.flip_symmetric),
        "burn_in": int(run.burn_in),
        "every": int(run.every),
        "versions": json.dumps(versions("mattis", "numpy", "numba")),
        "sha256": hashlib.sha256(state.spins.tobytes()).hexdigest(),
    }
