"""A store of a sweep survives what happens to it, or says in one sentence what is wrong with which file."""

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

import pytest
import xarray as xr

from mattis.core.errors import StoreError
from mattis.solvers.newton import Newton
from mattis.sweeps import grid, lock
from mattis.sweeps.sweep import sweep

HERE = Path(__file__).parent
sys.path.append(str(HERE))
from sweep_models import ALPHA, OVER, TILES_FREE, Fragile, Gated, T, Toy  # noqa: E402

TILES = 20


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    monkeypatch.setattr(grid, "SMALLEST_TILE", 10)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    path = tmp_path_factory.mktemp("finished") / "s.zarr"
    with pytest.MonkeyPatch.context() as m:
        m.setattr(grid, "SMALLEST_TILE", 10)
        sweep(Toy, over=OVER, store=path)
    return path


@pytest.fixture
def store(finished, tmp_path):
    """A finished store of the toy."""
    return shutil.copytree(finished, tmp_path / "s.zarr")


def bits(ds):
    return {name: variable.values.tobytes() for name, variable in ds.variables.items()}


@cache
def toy():
    """The bits of the toy computed without a store."""
    return bits(sweep(Toy, over=OVER))


def digests(path):
    return [p for p in (path / "tiles/digest/c").rglob("*") if p.is_file() and p.suffix != ".partial"]


def computed(monkeypatch):
    """Count the tiles that are computed from now on."""
    from mattis.sweeps import sweep as engine

    calls, compute = [], engine.compute
    monkeypatch.setattr(engine, "compute", lambda *a: calls.append(a) or compute(*a))
    return calls


# what is written


def test_the_store_is_the_dataset(tmp_path, monkeypatch):
    path = tmp_path / "deep" / "s.zarr"
    fresh = sweep(Toy, over=OVER, store=path)
    assert bits(fresh) == toy()
    calls = computed(monkeypatch)
    again = sweep(Toy, over=OVER, store=path)
    assert calls == []
    xr.testing.assert_identical(again, fresh)
    opened = xr.open_zarr(path, consolidated=False, chunks=None)
    xr.testing.assert_identical(opened.load(), fresh)
    assert {k: v.dims for k, v in opened.variables.items()} == {k: v.dims for k, v in fresh.variables.items()}
    assert all(opened[k].values.tobytes() == fresh[k].values.tobytes() for k in fresh.data_vars)
    assert os.listdir(path.parent) == ["s.zarr"]


def test_every_chunk_of_every_array_has_a_checksum(store):
    files = sorted(store.rglob("zarr.json"))
    arrays = [meta for f in files if (meta := json.loads(f.read_text()))["node_type"] == "array"]
    assert len(arrays) == len(toy()) + 1  # all variables and coordinates, and the digest
    assert all([c["name"] for c in a["codecs"]][-2:] == ["zstd", "crc32c"] for a in arrays)
    assert len(digests(store)) == TILES


def test_a_chunk_of_nothing_but_fill_values_is_written(tmp_path):
    (tmp_path / "cause").touch()
    over = {"alpha": [0.1], "T": [0.5]}
    sweep(Fragile, over=over, const={"cause": str(tmp_path / "cause")}, store=tmp_path / "s.zarr")
    assert (tmp_path / "s.zarr/x/c/0/0/0").exists()


def test_a_store_made_elsewhere_keeps_its_provenance(store):
    meta = json.loads((store / "zarr.json").read_text())
    meta["attributes"] |= {"commit": "1234567", "created": "2001-02-03T04:05:06Z"}
    (store / "zarr.json").write_text(json.dumps(meta))
    shutil.rmtree(store / "x/c/0")
    ds = sweep(Toy, over=OVER, store=store)
    assert (ds.attrs["commit"], ds.attrs["created"]) == ("1234567", "2001-02-03T04:05:06Z")
    assert len(ds.attrs["resumed"]) == 1
    assert sweep(Toy, over=OVER, store=store).attrs == ds.attrs


def test_the_remains_of_a_creation_that_was_killed_are_no_hindrance(tmp_path):
    (tmp_path / "s.zarr.new" / "x").mkdir(parents=True)
    assert bits(sweep(Toy, over=OVER, store=tmp_path / "s.zarr")) == toy()
    assert os.listdir(tmp_path) == ["s.zarr"]


# damage


@pytest.mark.parametrize("chunk", ["x/c/0/3/0", "powers/c/1/4/0/0", "converged/c/0/0/0", "status/c/1/9/0", "alpha/c/0"])
@pytest.mark.parametrize("harm", ["truncated", "emptied", "flipped"])
def test_a_damaged_chunk_is_named(store, chunk, harm):
    file = store / chunk
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    file.write_bytes({"truncated": whole[: len(whole) // 2], "emptied": b"", "flipped": bytes(flipped)}[harm])
    with pytest.raises(StoreError) as caught:
        sweep(Toy, over=OVER, store=store)
    assert f"{store} is damaged: a chunk of {chunk.split('/')[0]}, {file}, cannot be read" in str(caught.value)
    assert "delete that file and repeat the call: only its points are computed again" in str(caught.value)
    file.unlink()
    assert bits(sweep(Toy, over=OVER, store=store)) == toy()


@pytest.mark.parametrize("chunk", ["x/c/0/3/0", "n_steps/c/1/3/0", "status/c/1/9/0", "tiles/digest/c/0/4/0"])
def test_a_deleted_chunk_costs_its_tile_only(store, chunk, monkeypatch):
    (store / chunk).unlink()
    calls = computed(monkeypatch)
    ds = sweep(Toy, over=OVER, store=store)
    assert len(calls) == 1
    assert bits(ds) == toy()
    assert (store / chunk).exists()


def test_a_chunk_of_another_tile_is_not_taken_for_this_one(store):
    shutil.copy(store / "x/c/0/3/0", store / "x/c/0/4/0")
    assert bits(sweep(Toy, over=OVER, store=store)) == toy()


@pytest.mark.parametrize("name", ["", "x", "alpha", "tiles", "tiles/digest"])
@pytest.mark.parametrize("harm", ["cut", "emptied", "gone"])
def test_cut_metadata_is_named(store, name, harm):
    file = store / name / "zarr.json"
    text = file.read_text()
    file.unlink() if harm == "gone" else file.write_text(text[: len(text) // 2] if harm == "cut" else "")
    with pytest.raises(StoreError) as caught:
        sweep(Toy, over=OVER, store=store)
    assert str(file) in str(caught.value)
    assert "restore that file from a copy or delete the whole" in str(caught.value)
    file.write_text(text)
    sweep(Toy, over=OVER, store=store)


def test_metadata_of_another_shape_is_named(store):
    shutil.copy(store / "x/zarr.json", store / "powers/zarr.json")
    with pytest.raises(StoreError, match=r"powers/zarr\.json tells another shape or type"):
        sweep(Toy, over=OVER, store=store)


def test_a_folder_that_is_no_store_is_left_alone(tmp_path):
    (tmp_path / "thesis").mkdir()
    with pytest.raises(StoreError, match="damaged or no store of a sweep"):
        sweep(Toy, over=OVER, store=tmp_path / "thesis")
    assert list((tmp_path / "thesis").iterdir()) == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Model": Fragile}, "model: 'sweep_models:Toy' there, 'sweep_models:Fragile' here"),
        ({"over": OVER | {"T": T + 0.5}}, "over: .*10 values from 0.1 to 1.0.* there, .*from 0.6 to 1.5.* here"),
        ({"over": {"T": T, "alpha": ALPHA}}, r"dims: \['start', 'alpha', 'T'\] there, \['start', 'T', 'alpha'\] here"),
        ({"const": {"K": 4}}, "const: {} there, {'K': 4} here"),
        ({"starts": ["up"]}, r"starts: \['up', 'zero'\] there, \['up'\] here"),
        ({"solver": Newton(tol=1e-8)}, "solver: .*1e-10.* there, .*1e-08.* here"),
    ],
)
def test_another_sweep_is_refused(store, change, says):
    asked = {"Model": Toy, "over": OVER, "store": store} | change
    before = {f: f.read_bytes() for f in store.rglob("*") if f.is_file()}
    with pytest.raises(StoreError, match=says) as caught:
        sweep(asked.pop("Model"), **asked)
    assert "holds another sweep" in str(caught.value)
    assert {f: f.read_bytes() for f in store.rglob("*") if f.is_file()} == before


# a full disk


@pytest.fixture
def full_disk(monkeypatch):
    """Let some writes pass, then find no space; ``after=None`` makes room again."""
    from zarr.storage import LocalStore

    put = LocalStore.set

    def leave(after):
        left = [after]

        async def write(self, key, value):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            await put(self, key, value)

        monkeypatch.setattr(LocalStore, "set", put if after is None else write)

    return leave


@pytest.mark.parametrize("after", [0, 1, 20])
def test_a_disk_full_at_creation_leaves_nothing(tmp_path, full_disk, after):
    full_disk(after)
    with pytest.raises(OSError, match="No space left"):
        sweep(Toy, over=OVER, store=tmp_path / "s.zarr")
    assert not {"s.zarr", "s.zarr.lock"} & set(os.listdir(tmp_path))
    full_disk(None)
    assert bits(sweep(Toy, over=OVER, store=tmp_path / "s.zarr")) == toy()


@pytest.mark.parametrize(("tiles", "more"), [(0, 0), (0, 1), (1, -1), (1, 0), (8, 5)])
def test_a_disk_full_mid_run_leaves_a_store_that_opens(tmp_path, finished, full_disk, tiles, more):
    path = tmp_path / "s.zarr"
    writes = len(toy()) - 3 + 1  # of a tile: its variables and its digest
    after = tiles * writes + more
    full_disk(len(list(finished.rglob("zarr.json"))) + 3 + after)  # its making, with three coordinates
    with pytest.raises(OSError, match="No space left") as caught:
        sweep(Toy, over=OVER, store=path)
    full_disk(None)
    assert "the same call resumes" in caught.value.__notes__[0]
    kept = xr.open_zarr(path, consolidated=False, chunks=None).load()
    assert len(digests(path)) == after // writes
    done = kept.status.values == 1
    assert 10 * len(digests(path)) <= done.sum() <= 10 * len(digests(path)) + 10
    whole = sweep(Toy, over=OVER, store=path)
    assert bits(whole) == toy()
    assert all((kept[k].values[done] == whole[k].values[done]).all() for k in whole.data_vars)


@pytest.mark.parametrize("after", [0, 1, 7, 14])
def test_a_tile_interrupted_while_written_again_is_not_taken_for_whole(tmp_path, full_disk, after):
    cause, path = tmp_path / "cause", tmp_path / "s.zarr"
    ask = partial(sweep, Fragile, over={"alpha": ALPHA[:2], "T": T}, const={"cause": str(cause)})
    cause.touch()
    ask(store=path)
    cause.unlink()
    full_disk(after)
    with pytest.raises(OSError, match="No space left"):
        ask(store=path)
    full_disk(None)
    assert bits(ask(store=path)) == bits(ask())


# processes that are killed


@pytest.fixture
def run(tmp_path):
    """Start ``drive(...)`` in processes of their own; none outlives the test."""
    started = []
    paths = os.pathsep.join([str(HERE), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}

    def start(*command, **asked):
        line = command or (sys.executable, "-c", f"import sweep_models; sweep_models.drive(**{asked!r})")
        process = subprocess.Popen(line, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()


def until(true, what, seconds=60):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def waiting(folder):
    """The processes that stand at the gate."""
    return [int(p.stem) for p in folder.glob("*.waits")]


def finishes_alike(path, gate):
    """The rerun keeps every finished tile and ends with the bits of a run that was never interrupted."""
    before = {p: p.stat().st_mtime_ns for p in digests(path)}
    kept = xr.open_zarr(path, consolidated=False, chunks=None).load()
    assert int((kept.status == 1).sum()) == 10 * len(before)
    gate.touch()
    ask = partial(sweep, Gated, over=OVER, const={"gate": str(gate)})
    assert bits(ask(store=path)) == bits(ask())
    assert {p: p.stat().st_mtime_ns for p in before} == before
    assert len(digests(path)) == TILES
    assert not path.with_name("s.zarr.lock").exists()
    return len(before)


@pytest.mark.parametrize("workers", [0, 2])
def test_kill_of_the_driver(tmp_path, run, workers):
    path, gate = tmp_path / "s.zarr", tmp_path / "gate"
    driver = run(store=str(path), gate=str(gate), workers=workers)
    until(lambda: len(waiting(tmp_path)) >= max(1, workers) and len(digests(path)) >= TILES_FREE, "five tiles")
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    assert path.with_name("s.zarr.lock").exists()
    for pid in waiting(tmp_path):
        until(lambda pid=pid: lock._born(pid) in ("", "gone"), "an orphan to end")
    assert finishes_alike(path, gate) == TILES_FREE


def test_kill_of_a_worker(tmp_path, run):
    path, gate = tmp_path / "s.zarr", tmp_path / "gate"
    driver = run(store=str(path), gate=str(gate), workers=2)
    until(lambda: len(waiting(tmp_path)) == 2 and len(digests(path)) >= TILES_FREE, "five tiles")
    os.kill(waiting(tmp_path)[0], signal.SIGKILL)
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 1
    assert "BrokenProcessPool" in said
    assert f"what was finished is kept in {path}: the same call resumes" in said
    assert finishes_alike(path, gate) == TILES_FREE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("workers", [0, 2])
def test_an_interrupted_run_resumes(tmp_path, run, number, workers):
    path, gate = tmp_path / "s.zarr", tmp_path / "gate"
    driver = run(store=str(path), gate=str(gate), workers=workers)
    until(lambda: waiting(tmp_path) and len(digests(path)) >= TILES_FREE, "five tiles")
    driver.send_signal(number)
    until(lambda: not path.with_name("s.zarr.lock").exists(), "the lock to be released")
    gate.touch()  # a pool waits for the tiles its workers are at
    _, said = driver.communicate(timeout=60)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in said
        assert f"what was finished is kept in {path}: the same call resumes" in said
    else:
        assert driver.returncode == 128 + number
    assert finishes_alike(path, gate) >= TILES_FREE


def test_dask_on_loopback_with_a_worker_killed(tmp_path, run):
    path, gate, scheduler = tmp_path / "s.zarr", tmp_path / "gate", tmp_path / "scheduler.json"
    dask = sys.executable, "-m", "dask"
    run(*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(scheduler))
    until(scheduler.exists, "the scheduler")
    one = "--scheduler-file", str(scheduler), "--host", "127.0.0.1", "--nthreads", "1", "--no-nanny", "--no-dashboard"
    workers = [run(*dask, "worker", *one), run(*dask, "worker", *one)]
    driver = run(store=str(path), gate=str(gate), scheduler=str(scheduler))
    until(lambda: set(waiting(tmp_path)) >= {w.pid for w in workers}, "both workers")
    workers[0].send_signal(signal.SIGKILL)
    gate.touch()
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    whole = xr.open_zarr(path, consolidated=False, chunks=None).load()
    assert (whole.attrs["n_failed"], int((whole.status == 1).sum())) == (0, 200)
    alone = sweep(Gated, over=OVER, const={"gate": str(gate)})
    assert all(whole[k].values.tobytes() == alone[k].values.tobytes() for k in alone.data_vars)


# one writer


def test_a_second_driver_is_refused(tmp_path, run):
    path, gate = tmp_path / "s.zarr", tmp_path / "gate"
    driver = run(store=str(path), gate=str(gate))
    until(lambda: waiting(tmp_path), "the first driver")
    with pytest.raises(StoreError, match=f"held by process {driver.pid} on host {socket.gethostname()}"):
        sweep(Gated, over=OVER, const={"gate": str(gate)}, store=path)
    gate.touch()
    _, said = driver.communicate(timeout=60)
    assert driver.returncode == 0, said
    assert finishes_alike(path, gate) == TILES


def leave_lock(path, **changed):
    me = {"pid": os.getpid(), "host": socket.gethostname(), "born": lock._born(os.getpid())}
    path.with_name("s.zarr.lock").write_text(json.dumps(me | changed))


def gone():
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_a_lock_of_a_process_that_is_gone_is_taken_over(store):
    leave_lock(store, pid=gone())
    sweep(Toy, over=OVER, store=store)
    leave_lock(store, born="12")  # the number of a dead process, used again
    sweep(Toy, over=OVER, store=store)
    assert os.listdir(store.parent) == ["s.zarr"]


def test_a_lock_that_may_be_alive_is_left(store):
    leave_lock(store)
    with pytest.raises(StoreError, match=f"held by process {os.getpid()} on host"):
        sweep(Toy, over=OVER, store=store)
    leave_lock(store, host="elsewhere", pid=12)
    with pytest.raises(StoreError, match="process 12 on host elsewhere: wait for that run, or delete the lock"):
        sweep(Toy, over=OVER, store=store)
    store.with_name("s.zarr.lock").write_text("")
    with pytest.raises(StoreError, match="held by a process that left no name"):
        sweep(Toy, over=OVER, store=store)
    assert store.with_name("s.zarr.lock").exists()


def test_a_lock_taken_over_by_another_in_between_is_given_back(store, monkeypatch):
    leave_lock(store, pid=gone())
    path, in_use = store.with_name("s.zarr.lock"), lock._in_use

    def overtaken(text):
        monkeypatch.setattr(lock, "_in_use", in_use)
        answer = in_use(text)
        leave_lock(store)
        return answer

    monkeypatch.setattr(lock, "_in_use", overtaken)
    with pytest.raises(StoreError, match=f"held by process {os.getpid()}"):
        sweep(Toy, over=OVER, store=store)
    assert json.loads(path.read_text())["pid"] == os.getpid()


def test_sigterm_is_as_before_afterwards(store):
    sweep(Toy, over=OVER, store=store)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
