"""Tiny models that worker processes can import: one that waits for a file, one that breaks while a file is there."""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mattis.sweeps import grid
from mattis.sweeps.sweep import sweep, worker_init
from mattis.theory.model import Model, Report, parameter

ALPHA = np.linspace(0.0, 0.9, 10)
T = np.linspace(0.1, 1.0, 10)
OVER = {"alpha": ALPHA, "T": T}
TILES_FREE = 5
"""Tiles of the first start that need no gate."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Toy(Model):
    """x = tanh((alpha + x)/(1 + T))/2, reported as x and as a vector of its K first powers."""

    alpha: Any = parameter(0.0)
    T: Any = parameter(0.0)
    K: int = 3

    order: ClassVar[tuple[str, ...]] = ("x", "powers")
    starts: ClassVar[tuple[str, ...]] = ("up", "zero")
    symbols: ClassVar[Mapping[str, str]] = {"alpha": r"\alpha", "T": "T", "x": "x"}
    reference: ClassVar[str] = "none"

    @property
    def variables(self):
        return ("x",)

    def start(self, name):
        return self._stack({"up": 1.0, "zero": 0.0}[name])

    def box(self):
        return self._stack(-1.0), self._stack(1.0)

    def self_consistency(self, x):
        width = 1 + np.asarray(self.T)
        image = np.tanh((self.alpha + x[0]) / width)
        return 0.5 * image[None], (0.5 * (1 - image**2) / width)[None, None]

    def order_parameters(self, x):
        return {"x": x[0], "powers": x[0][..., None] ** np.arange(1, self.K + 1)}

    def report(self, x):
        return Report(x[0] ** 2, x[0] ** 3, x[0] ** 4, x[0] ** 5, np.zeros_like(x[0]))

    @classmethod
    def label(cls, order):
        return np.where(np.asarray(order["x"]) > 0, "up", "zero")


@dataclass(frozen=True, kw_only=True, eq=False)
class Gated(Toy):
    """Past alpha = 0.45 a tile waits until the file ``gate`` is there, and leaves its process number beside it."""

    gate: str = ""

    def report(self, x):
        gate, end = Path(self.gate), time.monotonic() + 60
        if x.size and np.max(self.alpha) > 0.45 and not gate.exists():
            gate.with_name(f"{os.getpid()}.waits").touch()
            while not gate.exists() and time.monotonic() < end:
                time.sleep(0.01)
        return super().report(x)


@dataclass(frozen=True, kw_only=True, eq=False)
class Fragile(Toy):
    """Every second alpha and every second T raise while the file ``cause`` is there: 25 of 100 points."""

    cause: str = ""

    def report(self, x):
        odd = (np.rint(self.alpha * 10) % 2 == 1) & (np.rint(self.T * 10) % 2 == 1)
        if odd.any() and Path(self.cause).exists():
            raise ZeroDivisionError("the cause is there")
        return super().report(x)


def small_tiles():
    """Ten points a tile on the 10 x 10 grid."""
    grid.SMALLEST_TILE = 10


def drive(store, gate, workers=0, scheduler=""):
    """A run of the gated model, as the main program of a process."""
    small_tiles()
    wanted = {"over": OVER, "const": {"gate": gate}, "store": store}
    if scheduler:
        from distributed import Client

        with Client(scheduler_file=scheduler, timeout=30) as client:
            client.wait_for_workers(2, timeout=30)
            sweep(Gated, **wanted, executor=client.get_executor(pure=False))
    elif workers:
        from concurrent.futures import ProcessPoolExecutor

        with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=worker_init) as pool:
            sweep(Gated, **wanted, executor=pool)
    else:
        sweep(Gated, **wanted)
