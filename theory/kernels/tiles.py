"""Square tiles of a kernel, written wherever slices can be assigned."""

import sys
import threading
from collections.abc import Mapping
from contextlib import nullcontext
from math import sqrt
from typing import Any

import numpy as np

from ...core.backend import namespace_of, to_host
from ...core.memory import in_units
from .connected import Tile
from .workers import in_threads


def tile_memory(edge: int, threads: int, per_pair: float, per_row: float) -> float:
    """Bytes of tiles of ``edge`` rows and columns, one for each thread."""
    return threads * edge * (per_pair * edge + per_row)


def edge_of(memory: float, threads: int, per_pair: float, largest: int, per_row: float = 0.0) -> int:
    """Rows and columns of a tile, so that all threads together keep within ``memory``."""
    half = per_row / per_pair / 2
    edge = int(sqrt(memory / threads / per_pair + half * half) - half)
    return max(min(edge - edge % 128 if edge >= 128 else edge, largest), 1)


def fill(tile: Tile, targets: Mapping[str, Any], symmetric: bool, edge: int, threads: int) -> None:
    """All tiles of ``targets`` (..., n1, n2); of a symmetric kernel those on and below the diagonal, and mirrored.

    Arrays are written side by side; anything else, whose chunks tiles may share, one tile at a time.
    """
    n1, n2 = next(iter(targets.values())).shape[-2:]
    places = [(i, j) for i in range(0, n1, edge) for j in range(0, i + 1 if symmetric else n2, edge)]
    lock = nullcontext() if all(isinstance(t, np.ndarray) for t in targets.values()) else threading.Lock()

    def work(job: int) -> None:
        i, j = places[job]
        rows, columns = slice(i, min(i + edge, n1)), slice(j, min(j + edge, n2))
        for name, block in tile(rows, columns, symmetric and i == j).items():
            block = block[0] if block.ndim > len(targets[name].shape) else block
            block = to_host(block) if namespace_of(targets[name]) is np else block
            with lock:
                targets[name][..., rows, columns] = block
                if symmetric and i != j:
                    targets[name][..., columns, rows] = np.swapaxes(block, -1, -2)

    in_threads(work, range(len(places) - 1, -1, -1), threads)


def announce(targets: Mapping[str, Any], edge: int, threads: int, working: float) -> None:
    """One line before a streamed computation starts."""
    shape = next(iter(targets.values())).shape
    size = 8 * float(np.prod(shape)) * len(targets)
    print(
        f"{', '.join(targets)} of shape {shape}: {in_units(size)} written in tiles of {edge}, "
        f"{in_units(working)} of memory on {threads} threads",
        file=sys.stderr,
    )
