"""A run on disk: one npz file, replaced whole, that a later call continues bit for bit."""

import json
import os
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import StoreError
from .cpu import all_overlaps
from .energy import OverlapEnergy

Json = dict[str, Any]


@dataclass
class State:
    """Where every chain is and what it has shown: all that a run must not lose.

    Parameters
    ----------
    spins : int8 (sample, T, chain, site)
    M : int16 or int32 (sample, T, chain, mu), overlaps of these spins as the kernel keeps them
    sweep : int64 (sample, T, chain), sweeps done
    overlap : float64 (sample, T, chain, draw, mu), or no draws where overlaps were not asked for
    squares : int64 (sample, T, chain, draw), sum of M^2
    """

    spins: NDArray[np.int8]
    M: NDArray[np.integer]
    sweep: NDArray[np.int64]
    overlap: NDArray[np.float64]
    squares: NDArray[np.int64]

    def copy(self) -> "State":
        """A snapshot that the chains no longer touch."""
        return State(*(getattr(self, f.name).copy() for f in fields(self)))


def save(path: Path, state: State, run: Json) -> None:
    """Write the state and the description of its run to a new file, then put it in the place of the old."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez(
            file,
            run=np.array(json.dumps(run)),
            spins=np.packbits(state.spins > 0, axis=-1),
            M=state.M,
            sweep=state.sweep,
            overlap=state.overlap,
            squares=state.squares,
        )
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path, run: Json, fresh: State, energy: OverlapEnergy) -> State:
    """Read the state of the same run; ``fresh`` gives its shapes.

    Raises
    ------
    StoreError where the file is damaged, is of another run, or its spins do not have its overlaps.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            stored = dict(file)
        described: Json = json.loads(str(stored["run"]))
        bits = np.unpackbits(stored["spins"], axis=-1, count=energy.N)
        spins = 2 * bits.astype(np.int8) - np.int8(1)
        state = State(spins, *(stored[name] for name in ("M", "sweep", "overlap", "squares")))
    except (OSError, ValueError, TypeError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreError(f"checkpoint {path} is damaged: delete it to start again") from error
    for name, asked in run.items():
        if described.get(name) != asked:
            raise StoreError(f"checkpoint {path} is of another run: its {name} is {described.get(name)}, not {asked}")
    same_shapes = all(getattr(state, f.name).shape == getattr(fresh, f.name).shape for f in fields(State))
    if not (same_shapes and np.array_equal(state.M, all_overlaps(energy, spins))):
        raise StoreError(f"checkpoint {path} is damaged, its overlaps are not those of its spins: delete it")
    return state
