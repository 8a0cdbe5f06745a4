"""The sweep: a grid of a model computed tile by tile, here or on any executor, kept in a store that resumes."""

import os
import signal
import sys
import threading
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import closing
from dataclasses import is_dataclass
from math import prod
from multiprocessing import parent_process
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from ..core.backend import Array
from ..solvers.root import Solver
from ..theory import model as theory
from .broken import Steps
from .grid import DONE, FAILED, Plan, blank, checked, empty, evaluated, on_grid
from .lock import locked
from .provenance import provenance, resumed
from .solve import default_solver
from .store import Store, Tile, key_of

PATIENCE = 30.0
"""Seconds without a result after which one line is printed."""
FAILURES_KEPT = 100

Values = dict[str, NDArray[Any]]
Piece = tuple[int, int, Values | str]
"""Points lo to hi of a flat tile: their values, or the message of the exception that the one point raised."""


def sweep(
    Model: type[theory.Model],
    *,
    over: Mapping[str, ArrayLike],
    const: Mapping[str, Any] | None = None,
    starts: Sequence[str] | None = None,
    solver: Solver | None = None,
    k: int | str | None = None,
    executor: Executor | None = None,
    store: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> xr.Dataset:
    r"""Solve a model from several starts on a grid of its parameters.

    At each point x = F(x) is iterated from each start. The grid is cut into tiles (one start, at most 8192
    points, the same for every executor), each solved in one vectorised call: any executor, number of workers
    or interruption gives the same bits, on processors of one kind.

    Parameters
    ----------
    Model : type
        The class, e.g. ``mt.Hopfield``; one that other processes can import where an executor is given.
    over : mapping of str to array_like, each of shape (n,)
        Values of the parameters that vary, in the order of the dimensions wanted; ranges are the model's.
    const : mapping of str to scalar or word, optional
        The parameters held fixed.
    starts : sequence of str, optional
        Some of ``Model.starts``; all if not given.
    solver : Solver, optional
        A frozen dataclass; by default ``Newton(tol=1e-10)``.
    k : int or "full", optional
        Break replica symmetry in so many steps, as :func:`mattis.rsb` does, in place of a solver: quantities are those
        of ``rsb``, dims ``level`` and ``step`` last where there are several, tiles of 64 points, and "paramagnet"
        is no start ("spin_glass" flows to it).
    executor : concurrent.futures.Executor, optional
        Computes the tiles; the calling process alone where not given. Any will do: a
        ``ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=mattis.sweeps.sweep.worker_init)``, dask's
        ``Client.get_executor(pure=False)``, an ``MPIPoolExecutor``.
    store : path, optional
        A folder (zarr v3) that keeps every tile as soon as it is done. The same call resumes: it computes what
        is missing and tries again what failed. Only the calling process writes.
    progress : bool
        Show a bar on a terminal after two seconds.

    Returns
    -------
    xarray.Dataset
        In memory, dims (start, \*over), ``mu`` last where a quantity is a vector: order parameters, free_energy,
        energy, entropy, replicon, stability, quadrature_error, residual, converged, n_steps, and status (1 done,
        2 an exception was raised: nan, its message in ``attrs["failures"]``). Points that did not converge stay,
        marked, and are counted: ``n_unconverged``, ``n_failed``, ``worst_residual`` and
        ``worst_quadrature_error`` (the largest finite ones). Also in attrs: model, const, starts, solver,
        versions, commit, created.

    Raises
    ------
    ValueError, TypeError
        If an argument is unknown, given twice, missing or out of the model's range; nothing is computed then.
    StoreError
        If the store is damaged, in use, or holds another sweep.

    Examples
    --------
    >>> import mattis as mt
    >>> ds = mt.sweep(mt.Hopfield, over={"alpha": [0.05, 0.2], "T": [0.2, 0.5]}, starts=["retrieval"])
    >>> ds.m.dims, round(float(ds.m.sel(start="retrieval", alpha=0.05, T=0.5)), 10)
    (('start', 'alpha', 'T'), 0.9041060753)
    """
    if k is not None and solver is not None:
        raise ValueError(f"solver solves replica-symmetric equations and k={k!r} breaks the symmetry: give one of them")
    given = default_solver if solver is None else solver
    plan = checked(Model, over, const or {}, starts, given if k is None else Steps(k))
    if executor is not None and not hasattr(executor, "submit"):
        raise TypeError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    ds = empty(plan)
    if store is None:
        ds.attrs = provenance(plan)
        _run(plan, ds, executor, None, progress)
        return ds
    if not is_dataclass(plan.solver):
        raise TypeError(f"a store needs a solver whose repr tells it, a frozen dataclass, got {plan.solver!r}")
    path, identity = Path(store).expanduser(), plan.identity([str(k) for k in ds.data_vars])
    ds.attrs = provenance(plan) | {"key": key_of(identity)}
    with locked(path):
        kept = Store(path, ds, plan.chunks, identity)
        try:
            _run(plan, ds, executor, kept, progress)
        except BaseException as error:
            error.add_note(f"what was finished is kept in {path}: the same call resumes")
            raise
    return ds


def worker_init() -> None:
    """Make a worker of a process pool single-threaded, deaf to Ctrl-C, and mortal with its parent.

    For ``ProcessPoolExecutor(mp_context=get_context("spawn"), initializer=worker_init)``. Without it, workers
    whose driver was killed outright wait for ever. Libraries loaded before it runs keep the threads they have:
    BLAS reads its number when NumPy is imported, so ``OMP_NUM_THREADS=1`` belongs in the environment of the driver.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
        os.environ[name] = "1"
    if "numba" in sys.modules:
        sys.modules["numba"].set_num_threads(1)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


def compute(
    Model: type[theory.Model], axes: dict[str, Array], const: dict[str, Any], start: str, solver: Solver | Steps
) -> list[Piece]:
    """Solve one tile; exceptions are isolated by halving and returned as messages of single points."""
    return _halved(on_grid(Model, axes, const).flat(), 0, start, solver)


def _halved(model: theory.Model, first: int, start: str, solver: Solver | Steps) -> list[Piece]:
    (size,) = model.shape
    try:
        return [(first, first + size, evaluated(model, start, solver))]
    except Exception as error:
        if size == 1:
            return [(first, first + 1, f"{type(error).__name__}: {error}")]
    half = size // 2
    left = _halved(model.at(slice(0, half)), first, start, solver)
    return left + _halved(model.at(slice(half, size)), first + half, start, solver)


def _run(plan: Plan, ds: xr.Dataset, executor: Executor | None, kept: Store | None, progress: bool) -> None:
    """Fill the dataset tile by tile, a tile of the store being read where it is whole and has no failures."""
    values: Values = {str(k): v.values for k, v in ds.data_vars.items()}
    tiles = plan.tiles()
    todo = [t for t in tiles if kept is None or not kept.load(t) or (values["status"][t.box] == FAILED).any()]
    if kept is not None:
        ds.attrs = ds.attrs if len(todo) == len(tiles) else resumed(kept.attrs, ds.attrs, bool(todo))
        kept.describe(ds.attrs)
    failures: dict[tuple[int, ...], list[str]] = {}
    with (
        _bar(values["status"].size, sum(prod(t.shape) for t in todo), progress) as bar,
        closing(_results(plan, todo, executor)) as results,
    ):
        for tile, pieces in results:
            failures[tile.index] = _put(plan, values, tile, pieces)
            if kept is not None:
                kept.save(tile)
            bar.update(prod(tile.shape))
    ds.attrs = _counted(ds.attrs, values, [m for index in sorted(failures) for m in failures[index]])
    if kept is not None:
        kept.describe(ds.attrs)


def _bar(total: int, todo: int, shown: bool) -> "tqdm[Any]":
    """A bar over points, on a terminal only, after two seconds."""
    return tqdm(total=total, initial=total - todo, unit="pt", delay=2, disable=None if shown else True)


def _put(plan: Plan, values: Values, tile: Tile, pieces: list[Piece]) -> list[str]:
    """Lay the pieces of a tile into the arrays; return the first messages of its failures."""
    messages: list[str] = []
    flat = {k: blank(v.dtype, (prod(tile.shape), *v.shape[len(tile.shape) :])) for k, v in values.items()}
    for lo, hi, found in pieces:
        flat["status"][lo:hi] = FAILED if isinstance(found, str) else DONE
        if not isinstance(found, str):
            for name, value in found.items():
                flat[name][lo:hi] = value
        elif len(messages) < FAILURES_KEPT:
            messages.append(f"{_where(plan, tile, lo)}: {found}")
    for name, value in flat.items():
        values[name][tile.box] = value.reshape(tile.shape + value.shape[1:])
    return messages


def _where(plan: Plan, tile: Tile, point: int) -> str:
    index = np.unravel_index(point, tile.shape[1:]) if plan.axes else ()
    at = (f"{k}={v[box][i]}" for (k, v), box, i in zip(plan.axes.items(), tile.box[1:], index, strict=True))
    return ", ".join([f"start={plan.starts[tile.index[0]]}", *at])


def _results(
    plan: Plan, todo: list[Tile], executor: Executor | None
) -> Generator[tuple[Tile, list[Piece]], None, None]:
    """The tiles as they are done; at most four per worker are in flight."""
    if executor is None:
        yield from ((tile, compute(*plan.call(tile))) for tile in todo)
        return
    limit = 4 * _workers(executor)
    pending: dict[Future[list[Piece]], Tile] = {}
    try:
        for tile in todo:
            pending[executor.submit(compute, *plan.call(tile))] = tile
            if len(pending) >= limit:
                yield from _finished(pending)
        while pending:
            yield from _finished(pending)
    except Exception:  # a broken pool, say: keep what the others had finished
        yield from ((t, f.result()) for f, t in pending.items() if f.done() and not f.cancelled() and not f.exception())
        raise
    finally:
        for future in pending:
            future.cancel()


def _finished(pending: dict[Future[list[Piece]], Tile]) -> Iterator[tuple[Tile, list[Piece]]]:
    done, _ = wait(pending, timeout=PATIENCE, return_when=FIRST_COMPLETED)
    if not done:
        tqdm.write(f"no result for {PATIENCE:g} s: are the workers alive?", file=sys.stderr)
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
    for future in done:
        result = future.result()
        yield pending.pop(future), result


def _workers(executor: Executor) -> int:
    """What the executor tells of its size; 64 where it tells nothing (dask)."""
    told = getattr(executor, "num_workers", None) or getattr(executor, "_max_workers", None)
    return int(told or 64)


def _counted(attrs: dict[str, Any], values: Values, messages: list[str]) -> dict[str, Any]:
    """The attributes with what did not go well, counted."""
    status = values["status"]
    told = {k: v for k, v in attrs.items() if k != "failures"}
    told["n_unconverged"] = int(((status == DONE) & ~values["converged"]).sum())
    told["n_failed"] = int((status == FAILED).sum())
    for name in ("residual", "quadrature_error"):
        finite = values[name][np.isfinite(values[name])]
        told[f"worst_{name}"] = float(finite.max(initial=0.0))
    return told | ({"failures": messages[:FAILURES_KEPT]} if messages else {})
