"""Threads over chains: the kernel runs, the state is kept whole, and now and then it is saved."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.philox import key, lane
from .checkpoint import State
from .cpu import advance, site_rows
from .energy import OverlapEnergy
from .samplers import ORDERS, HeatBath, Sampler
from .thresholds import QC

SAVE_EVERY_SECONDS = 10.0
_WORK = 2**28  # products xi M in one call of the kernel: a fraction of a second


@dataclass(frozen=True)
class Run:
    """What defines every number of a run but its start: ``T`` and ``scales`` have shape (T,)."""

    energy: OverlapEnergy
    sampler: Sampler
    T: NDArray[np.float64]
    scales: NDArray[np.float32]
    burn_in: int
    sweeps: int
    every: int
    seed: int

    @property
    def last(self) -> int:
        """Sweeps in all."""
        return self.burn_in + self.sweeps

    def draws(self, sweep: int) -> int:
        """Draws taken in the first ``sweep`` sweeps."""
        return max(0, sweep - self.burn_in) // self.every


def advance_all(run: Run, state: State, threads: int, save: Callable[[State], None] | None) -> None:
    """Advance every chain of ``state`` in place to the end; save what was reached even when interrupted."""
    lock, stop = threading.Lock(), threading.Event()
    rows = [site_rows(xi) for xi in run.energy.xi]
    diagonal = run.energy.diagonal
    _, temperatures, chains = state.sweep.shape
    lanes = lane(np.arange(temperatures)[:, None], np.arange(chains))
    keys = key(run.seed)
    bar = tqdm(total=state.sweep.size * run.last, initial=int(state.sweep.sum()), unit="sweep", delay=2, disable=None)

    def one(at: tuple[int, ...]) -> None:
        address = *keys, int(lanes[at[1:]]), at[0]
        for sweeps in _advance_one(run, state, at, (rows[at[0]], diagonal[at[0]]), address, lock):
            with lock:
                bar.update(sweeps)
            if stop.is_set():
                return

    def save_now() -> None:
        if save is not None:
            with lock:
                snapshot = state.copy()
            save(snapshot)

    try:
        with bar, ThreadPoolExecutor(threads) as pool:
            pending = {pool.submit(one, at) for at in np.ndindex(state.sweep.shape)}
            try:
                while pending:
                    done, pending = wait(pending, SAVE_EVERY_SECONDS, FIRST_EXCEPTION)
                    for chain in done:
                        chain.result()
                    if pending:
                        save_now()
            except BaseException:
                stop.set()
                pool.shutdown(cancel_futures=True)
                raise
    finally:
        save_now()


def _advance_one(
    run: Run,
    state: State,
    at: tuple[int, ...],
    sites: tuple[NDArray[np.int8], NDArray[np.int64]],
    address: tuple[int, ...],
    lock: threading.Lock,
) -> Iterator[int]:
    """Advance one chain in spans, putting each into ``state`` whole; yields the sweeps of each span."""
    rows, diagonal = sites
    K, kept = run.energy.K, state.overlap.shape[3] > 0
    rule = isinstance(run.sampler, HeatBath), ORDERS.index(run.sampler.order), run.scales[at[1]], QC
    sigma, sweep = state.spins[at].copy(), int(state.sweep[at])
    M = np.zeros(rows.shape[1], state.M.dtype)
    M[:K] = state.M[at]
    while sweep < run.last:
        end = min(run.last, sweep + max(1, _WORK // rows.size))
        drawn = slice(run.draws(sweep), run.draws(end))
        squares = np.zeros(drawn.stop - drawn.start, np.int64)
        overlaps = np.empty((squares.size if kept else 0, K), M.dtype)
        advance(sigma, M, rows, diagonal, rule, address, (sweep, end, run.burn_in, run.every), overlaps, squares)
        with lock:
            state.spins[at], state.M[at], state.sweep[at] = sigma, M[:K], end
            state.squares[at][drawn] = squares
            if kept:
                state.overlap[at][drawn] = np.divide(overlaps, run.energy.N, dtype=np.float64)
        yield end - sweep
        sweep = end
