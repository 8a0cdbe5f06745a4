"""Threads over groups of chains: kernels sweep, measurements are taken, the state is kept whole and saved."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

from tqdm import tqdm

from .checkpoint import State
from .group import Group
from .plan import Run, Unit
from .routing import Route

SAVE_EVERY_SECONDS = 10.0
_COMMIT_SECONDS = 0.2  # how often a group puts its chains into the state
_LARGEST_SPAN = 4096  # sweeps in one call of a kernel


def advance_all(
    run: Run, units: list[Unit], route: Route, state: State, threads: int, save: Callable[[State], None] | None
) -> None:
    """Advance every chain of ``state`` in place to the end; what was reached is saved, even when interrupted."""
    lock, stop = threading.Lock(), threading.Event()
    bar = tqdm(total=state.sweep.size * run.last, initial=int(state.sweep.sum()), unit="sweep", delay=2, disable=None)

    def one(unit: Unit) -> None:
        for sweeps in _advance_one(run, unit, route, state, lock):
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
            pending = {pool.submit(one, unit) for unit in units}
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


def _advance_one(run: Run, unit: Unit, route: Route, state: State, lock: threading.Lock) -> Iterator[int]:
    """Advance one unit to the end, putting its chains into ``state`` whole now and then; yields the sweeps done."""
    sweep = reached = int(state.sweep[unit.at][0, 0])
    if sweep == run.last:
        return
    group, span, committed = Group(run, unit, state, route), 1, time.monotonic()
    while sweep < run.last:
        end = sweep + 1 if run.ladder else min(sweep + span, run.next_draw(sweep))
        began = time.monotonic()
        group.sweep(sweep, end)
        now = time.monotonic()
        if now - began < _COMMIT_SECONDS / 4:
            span = min(2 * span, _LARGEST_SPAN)
        if run.is_draw(end):
            group.draw(state, run.draws(end) - 1)
        sweep = end
        if now - committed > _COMMIT_SECONDS or sweep == run.last:
            with lock:
                group.commit(state, sweep)
            yield (sweep - reached) * unit.lanes.size
            reached, committed = sweep, now
