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
from .start import Energy

Json = dict[str, Any]


@dataclass
class State:
    """Where every chain is and what it has shown: all that a run must not lose.

    Axes are (sample, T, chain, ...), T the index a chain began with (its home); what is drawn stands at the
    temperature it was drawn at. What was not asked for has length 0.

    Parameters
    ----------
    spins : int8 (..., site)
    overlaps : int32 (..., mu), those of these spins as the kernel keeps them
    total : int64, G of these spins
    sweep : int64, sweeps done
    accepted : int64, flips at this temperature
    slot : int64, where each chain of a ladder is
    heading : int8, 1 after the lowest temperature, -1 after the highest
    trips : int64, round trips
    swaps : int64 (sample, chain, T - 1), swaps of neighbouring temperatures
    overlap : int32 (draw, ..., mu)
    G : int64 (draw, ...)
    q : int32 (draw, sample, T, pair), N q
    home : int16 (draw, ...), which chain of the ladder was drawn
    drawn : int8 (draw, ..., site), spins
    """

    spins: NDArray[np.int8]
    overlaps: NDArray[np.int32]
    total: NDArray[np.int64]
    sweep: NDArray[np.int64]
    accepted: NDArray[np.int64]
    slot: NDArray[np.int64]
    heading: NDArray[np.int8]
    trips: NDArray[np.int64]
    swaps: NDArray[np.int64]
    overlap: NDArray[np.int32]
    G: NDArray[np.int64]
    q: NDArray[np.int32]
    home: NDArray[np.int16]
    drawn: NDArray[np.int8]

    def copy(self) -> "State":
        """A snapshot that the chains no longer touch."""
        return State(*(getattr(self, f.name).copy() for f in fields(self)))


_NAMES = tuple(f.name for f in fields(State))
_SPINS = ("spins", "drawn")  # kept as bits


def save(path: Path, state: State, run: Json) -> None:
    """Write the state and the description of its run to a new file, then put it in the place of the old."""
    partial = path.with_name(path.name + ".partial")
    arrays = {name: getattr(state, name) for name in _NAMES}
    arrays |= {name: np.packbits(arrays[name] > 0, axis=-1) for name in _SPINS}
    with partial.open("wb") as file:
        np.savez(file, run=np.array(json.dumps(run)), **arrays)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def load(path: Path, run: Json, fresh: State, energy: Energy) -> State:
    """Read the state of the same run; ``fresh`` gives its shapes.

    Raises
    ------
    StoreError where the file is damaged, is of another run, or its spins do not have its overlaps or energy.
    """
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            stored = dict(file)
        described: Json = json.loads(str(stored["run"]))
        for name in _SPINS:
            bits = np.unpackbits(stored[name], axis=-1, count=energy.N)
            stored[name] = 2 * bits.astype(np.int8) - np.int8(1)
        state = State(*(stored[name] for name in _NAMES))
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise StoreError(f"checkpoint {path} is damaged: delete it to start again") from error
    for name, asked in run.items():
        if described.get(name) != asked:
            raise StoreError(f"checkpoint {path} is of another run: its {name} is {described.get(name)}, not {asked}")
    same = all(getattr(state, name).shape == getattr(fresh, name).shape for name in _NAMES)
    if not (same and all(_agree(energy, state, sample) for sample in range(energy.samples))):
        raise StoreError(f"checkpoint {path} is damaged, its overlaps are not those of its spins: delete it")
    return state


def _agree(energy: Energy, state: State, sample: int) -> bool:
    """Whether the spins of one sample have the overlaps and the energies that were kept with them."""
    spins = state.spins[sample]
    same = np.array_equal(energy.overlaps(spins, sample), state.overlaps[sample])
    return same and np.array_equal(energy.total_of(spins, sample), state.total[sample])
