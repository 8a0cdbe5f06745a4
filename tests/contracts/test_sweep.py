"""A sweep: the same bits on any executor, labelled, with every point accounted for."""

import json
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from math import prod
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mattis.core import versions
from mattis.solvers.newton import Newton
from mattis.sweeps import grid
from mattis.sweeps import sweep as engine
from mattis.sweeps.sweep import sweep, worker_init
from mattis.theory.hopfield import Hopfield

sys.path.append(str(Path(__file__).parent))
from sweep_models import ALPHA, OVER, Fragile, Gated, T, Toy


@pytest.fixture
def small_tiles(monkeypatch):
    monkeypatch.setattr(grid, "SMALLEST_TILE", 10)


def bits(ds):
    return {name: variable.values.tobytes() for name, variable in ds.variables.items()}


def test_dims_coordinates_and_attributes():
    ds = sweep(Toy, over={"T": T[:4], "alpha": ALPHA}, const={"K": 5})
    assert ds.x.dims == ("start", "T", "alpha")
    assert ds.powers.dims == ("start", "T", "alpha", "mu")
    assert dict(ds.sizes) == {"start": 2, "T": 4, "alpha": 10, "mu": 5}
    assert list(ds.start.values) == ["up", "zero"]
    np.testing.assert_array_equal(ds.alpha, ALPHA)
    assert (ds.status == 1).all()
    assert ds.status.dtype == np.uint8
    assert ds.status.attrs["flag_meanings"] == "todo done failed"
    assert ds.converged.dtype == bool
    assert ds.n_steps.dtype == np.int64
    assert ds.alpha.attrs == {"long_name": r"$\alpha$", "symbol": r"\alpha", "units": "1"}
    assert ds.free_energy.attrs["long_name"] == "free energy per spin"
    a = ds.attrs
    assert a["model"] == "sweep_models:Toy"
    assert json.loads(a["const"]) == {"K": 5}
    assert a["solver"] == repr(Newton(tol=1e-10))
    assert set(json.loads(a["versions"])) == {"python", "mattis", "numpy", "scipy", "numba", "xarray", "zarr"}
    assert (a["n_unconverged"], a["n_failed"], a["format"]) == (0, 0, 1)
    assert 0 < a["worst_residual"] < 1e-10


def test_values_are_those_of_the_model_at_each_point():
    ds = sweep(Toy, over=OVER, starts=["zero"])
    here = ds.sel(start="zero", alpha=ALPHA[7], T=T[2])
    assert abs(np.tanh((ALPHA[7] + here.x) / (1 + T[2])) / 2 - here.x) < 1e-10
    np.testing.assert_allclose(here.powers, here.x.item() ** np.arange(1, 4), rtol=1e-15)


def test_a_grid_of_one_point_and_of_none():
    one = sweep(Toy, over={"T": [0.5]}, const={"alpha": 0.3})
    none = sweep(Toy, over={}, const={"alpha": 0.3, "T": 0.5})
    assert (one.x.dims, one.x.shape) == (("start", "T"), (2, 1))
    assert (none.x.dims, none.x.shape) == (("start",), (2,))
    np.testing.assert_array_equal(one.x.values[:, 0], none.x.values)


def test_any_executor_gives_the_same_bits(monkeypatch):
    monkeypatch.setattr(grid, "SMALLEST_TILE", 20)
    ask = partial(sweep, Hopfield, over={"alpha": np.linspace(0, 0.2, 9), "T": np.linspace(0, 1.1, 13)})
    alone = bits(ask())
    with ThreadPoolExecutor(3) as pool:
        assert bits(ask(executor=pool)) == alone
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=worker_init) as pool:
        assert bits(ask(executor=pool)) == alone


@pytest.mark.parametrize("shape", [(200, 200), (7, 11, 13), (10**6,), (3, 9000), (1, 1), (50_000, 2), ()])
def test_tiles_cover_the_grid_once(shape):
    plan = grid.Plan(Toy, {str(i): np.zeros(n) for i, n in enumerate(shape)}, {}, ("up", "zero"), Newton())
    tiles = plan.tiles()
    assert sum(prod(t.shape) for t in tiles) == 2 * prod(shape)
    assert len({t.index for t in tiles}) == len(tiles)
    assert all(prod(t.shape) <= grid.LARGEST_TILE and t.shape[0] == 1 for t in tiles)
    assert all(b.start == i * c for t in tiles for b, i, c in zip(t.box, t.index, plan.chunks, strict=True))


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"over": {"beta": T}}, ValueError, "beta is no parameter of Toy: it has alpha, T, K"),
        ({"over": {"alpha": ALPHA}}, ValueError, "Toy needs T"),
        ({"const": {"T": 1.0}}, ValueError, "T is given in both over and const"),
        ({"over": OVER | {"T": 0.5}}, ValueError, r"over\['T'\] must be 1-d and not empty, got shape \(\)"),
        ({"over": OVER | {"T": []}}, ValueError, "not empty"),
        ({"over": OVER | {"T": [[0.5]]}}, ValueError, "must be 1-d"),
        ({"over": OVER | {"T": [0.5, np.nan]}}, ValueError, r"over\['T'\] must be finite, got nan"),
        ({"over": OVER | {"T": ["hot"]}}, TypeError, "must be a 1-d array of real numbers"),
        ({"over": OVER | {"T": [0.5, -0.25]}}, ValueError, "T must be finite and >= 0, got -0.25"),
        ({"over": OVER | {"K": [2, 3]}}, ValueError, "K is one word or integer per sweep"),
        ({"over": {"T": T}, "const": {"alpha": ALPHA}}, ValueError, "must be one number or word"),
        ({"over": {"T": T}, "const": {"alpha": object()}}, TypeError, "must be one number or word, got <object"),
        ({"starts": ["up", "down"]}, ValueError, "starts must be among up, zero, got 'down'"),
        ({"starts": "up"}, TypeError, "starts must be a sequence of names"),
        ({"starts": []}, ValueError, "at least one name"),
        ({"starts": ["up", "up"]}, ValueError, "each once"),
        ({"Model": Toy(alpha=0.0, T=1.0)}, TypeError, "Model must be the class of a model"),
        ({"solver": "newton"}, TypeError, r"solver must be a solver, such as mt.Newton\(\), got 'newton'"),
        ({"solver": 0}, TypeError, "solver must be a solver"),
        ({"executor": 3}, TypeError, "executor must be a concurrent.futures.Executor, got 3"),
        ({"solver": lambda step, x0, box: Newton()(step, x0, box)}, TypeError, "a frozen dataclass"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(change, error, says, tmp_path):
    asked = {"Model": Toy, "over": OVER, "store": tmp_path / "s.zarr"} | change
    with pytest.raises(error, match=says):
        sweep(asked.pop("Model"), **asked)
    assert list(tmp_path.iterdir()) == []


def test_points_that_raise_are_marked_and_tried_again(small_tiles, tmp_path):
    cause = tmp_path / "cause"
    ask = partial(sweep, Fragile, over=OVER, const={"cause": str(cause)}, starts=["up"], store=tmp_path / "s.zarr")
    cause.touch()
    ds = ask()
    bad = (ds.status == 2).values
    assert (bad.sum(), (ds.status == 1).values.sum()) == (25, 75)
    assert np.isnan(ds.x.values[bad]).all()
    assert np.isfinite(ds.x.values[~bad]).all()
    assert not ds.converged.values[bad].any()
    assert (ds.attrs["n_failed"], ds.attrs["n_unconverged"]) == (25, 0)
    assert len(ds.attrs["failures"]) == 25
    assert ds.attrs["failures"][0] == "start=up, alpha=0.1, T=0.1: ZeroDivisionError: the cause is there"
    assert bits(ask()) == bits(ds)  # tried again, failed again
    cause.unlink()
    whole = ask()
    assert (whole.attrs["n_failed"], "failures" in whole.attrs) == (0, False)
    never = sweep(Fragile, over=OVER, const={"cause": str(cause)}, starts=["up"])
    assert bits(whole) == bits(never)


def test_only_the_first_hundred_messages_are_kept(tmp_path):
    (tmp_path / "cause").touch()
    over = {"alpha": [0.1, 0.3], "T": np.full(70, 0.5)}
    ds = sweep(Fragile, over=over, const={"cause": str(tmp_path / "cause")}, starts=["up"])
    assert (ds.attrs["n_failed"], len(ds.attrs["failures"])) == (140, 100)


def test_points_that_do_not_converge_stay_and_are_counted():
    ds = sweep(Toy, over=OVER, solver=Newton(max_steps=1), starts=["up"])
    assert (ds.status == 1).all()
    assert ds.attrs["n_unconverged"] == int((~ds.converged).sum()) > 0
    assert ds.attrs["worst_residual"] == float(ds.residual.max()) > 1e-3


class Batches(Executor):
    """Two workers that do ``batch`` tasks at a time, and are gone at task ``breaks``."""

    num_workers = 2

    def __init__(self, batch=8, breaks=None):
        self.tasks, self.batch, self.breaks = [], batch, breaks

    def submit(self, fn, /, *args, **kwargs):
        if len(self.tasks) == self.breaks:
            raise BrokenProcessPool("a worker is gone")
        self.tasks.append((Future(), fn, args))
        if len(self.tasks) % self.batch == 0:
            for future, f, a in self.tasks[-self.batch :]:
                future.set_result(f(*a))
        return self.tasks[-1][0]


@pytest.mark.parametrize(("batch", "breaks", "kept"), [(8, 9, 8), (1, 5, 5), (3, 7, 6)])
def test_a_broken_pool_keeps_what_was_finished(small_tiles, tmp_path, batch, breaks, kept):
    ask = partial(sweep, Toy, over=OVER, store=tmp_path / "s.zarr")
    with pytest.raises(BrokenProcessPool) as caught:
        ask(executor=Batches(batch, breaks))
    assert "the same call resumes" in caught.value.__notes__[0]
    assert len([p for p in (tmp_path / "s.zarr/tiles/digest/c").rglob("*") if p.is_file()]) == kept
    assert bits(ask()) == bits(sweep(Toy, over=OVER))


def test_silence_is_told_and_at_most_four_tiles_a_worker_are_in_flight(small_tiles, tmp_path, monkeypatch):
    said, futures = [], []

    class Pool(ThreadPoolExecutor):
        def submit(self, fn, /, *args, **kwargs):
            futures.append(super().submit(fn, *args, **kwargs))
            return futures[-1]

    def write(text, file):
        said.append((text, file, sum(not f.done() for f in futures)))
        (tmp_path / "gate").touch()

    monkeypatch.setattr(engine, "PATIENCE", 0.5)
    monkeypatch.setattr(engine.tqdm, "write", write)
    with Pool(1) as pool:
        ds = sweep(Gated, over=OVER, const={"gate": str(tmp_path / "gate")}, executor=pool)
    assert said == [("no result for 0.5 s: are the workers alive?", sys.stderr, 4)]
    assert (ds.status == 1).all()
    assert len(futures) == 20


def test_a_worker_has_one_thread():
    code = (
        "import numba, os; from mattis.sweeps.sweep import worker_init; worker_init(); "
        "assert numba.get_num_threads() == 1; assert os.environ['OMP_NUM_THREADS'] == '1'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_commit_is_none_outside_a_checkout(tmp_path):
    assert versions.commit(tmp_path) == "none"
    (tmp_path / "broken" / ".git").mkdir(parents=True)
    assert versions.commit(tmp_path / "broken") == "none"
