"""What the engine refuses, what it never lets change a number, and what survives a kill."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import xarray as xr

import mattis as mt
from mattis.mc import chains as engine
from mattis.mc import routing

XI = mt.patterns(N=23, K=3, samples=2, seed=1)
ENERGY = mt.OverlapEnergy.hebbian(XI)
RUN = {"T": [0.4, 1.1], "chains": 5, "sweeps": 12, "burn_in": 7, "every": 4, "seed": 9}


def simulate(energy=ENERGY, **changes):
    return mt.simulate(energy, **RUN | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"T": [0.3, -1.0]}, r"T must be finite and > 0, got -1.0 at index \(1,\)"),
        ({"T": np.nan}, "T must be finite and > 0"),
        ({"T": [1.0, np.inf]}, "T must be finite and > 0"),
        ({"T": 0.0}, "T must be finite and > 0"),
        ({"T": []}, "T must be a number or a list of at least one"),
        ({"T": [[1.0]]}, "T must be a number or a list"),
        ({"T": 1e-40}, r"T must be 2\^-100 to 2\^100 in units of 0.087, got 1e-40"),
        ({"T": np.linspace(1, 2, 2**12 + 1)}, r"temperature index must be in \[0, 2\^12\)"),
        ({"chains": 0}, r"chains must be in \[1, 2\^20\], got 0"),
        ({"sweeps": -4}, r"^sweeps must be in \[0, 2\^32\], got -4$"),
        ({"sweeps": 2**32}, r"burn_in \+ sweeps must be in \[0, 2\^32\], got 4294967303"),
        ({"burn_in": -1}, r"^burn_in must be in \[0, 2\^32\], got -1$"),
        ({"every": 0}, r"^every must be in \[1, 2\^32\], got 0$"),
        ({"sweeps": 10}, "sweeps must be a multiple of every = 4, got 10"),
        ({"threads": -2}, r"^threads must be in \[1, 2\^20\], got -2$"),
        ({"threads": 0}, r"^threads must be in \[1, 2\^20\], got 0$"),
        ({"seed": -1}, r"^seed must be in \[0, 2\^64\), got -1$"),
        ({"seed": 2**64, "start": "pattern"}, r"^seed must be in \[0, 2\^64\), got '18446744073709551616'$"),
        ({"start": "up"}, "start must be one of 'random', 'pattern', .*, 'example' or an array of spins, got 'up'"),
        ({"start": np.ones(22)}, r"start must have shape \(23,\), \(2, 23\), \(2, 2, 5, 23\), got \(22,\)"),
        ({"start": np.ones((2, 5, 23))}, "start must have shape"),
        ({"start": np.arange(23)}, r"start must be -1 or 1, got 0 at index \(0,\)"),
        ({"observables": ("overlaps",)}, "observables must be a tuple"),
        ({"observables": "energy"}, "observables must be a tuple"),
        ({"checkpoint": "no/such/folder/run.npz"}, "checkpoint must be in a folder that exists"),
        ({"backend": "tpu"}, "backend must be 'auto', 'cpu' or 'gpu', got 'tpu'"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(ValueError, match=message):
        simulate(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"energy": XI}, "energy must be an OverlapEnergy or a CouplingEnergy, got DataArray"),
        ({"sampler": mt.HeatBath}, r"sampler must be one such as HeatBath\(\), got <class"),
        ({"chains": 2.0}, r"^chains must be an integer in \[1, 2\^20\], got 2.0$"),
        ({"sweeps": "12"}, r"^sweeps must be an integer in \[0, 2\^32\], got '12'$"),
        ({"seed": 1.5}, r"^seed must be an integer in \[0, 2\^64\), got 1.5$"),
        ({"threads": True}, r"^threads must be an integer in"),
    ],
)
def test_bad_types(changes, message):
    with pytest.raises(TypeError, match=message):
        simulate(**changes)


def test_bad_patterns():
    for xi in (np.array([[1, 2]]), np.array([[1, 0]]), np.array([[np.nan, 1]])):
        with pytest.raises(ValueError, match=r"xi must be -1 or 1, got .* at index \(0, "):
            mt.OverlapEnergy.hebbian(xi)
    for xi, message in ((np.ones(3), "dimensions of xi"), (np.ones((2, 0)), "xi.size must be >= 1")):
        with pytest.raises(ValueError, match=message):
            mt.OverlapEnergy.hebbian(xi)
    with pytest.raises(ValueError, match="order must be one of 'sequential', 'permutation', 'random', got 'up'"):
        mt.HeatBath("up")
    with pytest.raises(ValueError, match="order must be one of"):
        mt.Metropolis(order="checkerboard")
    bad = ({"N": 0, "K": 1}, {"N": 2, "K": 0}, {"N": 2, "K": 1, "d": 1.1}, {"N": 2, "K": 1, "samples": 0})
    for arguments in bad:
        with pytest.raises(ValueError, match="must be in"):
            mt.patterns(**arguments, seed=1)
    for name, value in (("N", 50.5), ("K", "3"), ("samples", 2.0), ("seed", 1.5)):
        with pytest.raises(TypeError, match=f"^{name} must be an integer in .*, got {value!r}$"):
            mt.patterns(**({"N": 7, "K": 2, "seed": 1} | {name: value}))
    with pytest.raises(TypeError, match=r"^M must be an integer in \[1, 2\^32\], got 2.5$"):
        mt.examples(XI, r=0.5, M=2.5, seed=1)
    for r, M in ((0.0, 1), (1.1, 1), (0.5, 0)):
        with pytest.raises(ValueError, match="must be in"):
            mt.examples(XI, r=r, M=M, seed=1)


def test_gpu_is_refused_in_one_sentence(monkeypatch):
    """Where CuPy is missing, as it is made to be here, the sentence names the extra."""
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(mt.BackendUnavailable, match=r"^backend='gpu' needs CuPy: pip install 'mattis\[cuda13\]'"):
        simulate(backend="gpu")


def test_labels():
    ds = simulate(sampler=mt.Metropolis("random"))
    assert dict(ds.sizes) == {"sample": 2, "T": 2, "chain": 5, "draw": 3, "mu": 3}
    assert ds.overlap.dims == ("sample", "T", "chain", "draw", "mu")
    assert ds.energy.dims == ("sample", "T", "chain", "draw")
    assert ds.acceptance.dims == ("sample", "T", "chain")
    assert ds["T"].values.tolist() == [0.4, 1.1]
    assert ds.sweep.values.tolist() == [11, 15, 19]
    expected = {"N": 23, "K": 3, "seed": 9, "sampler": "Metropolis", "order": "random", "start": "random"}
    assert expected.items() <= ds.attrs.items()
    assert list(simulate(observables=("energy",)).data_vars) == ["energy", "acceptance"]
    assert simulate(observables=("energy",)).energy.equals(simulate().energy)
    assert simulate(sweeps=0).sizes["draw"] == 0
    assert simulate(T=0.4).sizes["T"] == 1


def test_draws_do_not_depend_on_how_often_one_looks():
    often = simulate(every=1)
    assert often.overlap.isel(draw=slice(3, None, 4)).drop_vars("draw").equals(simulate().overlap.drop_vars("draw"))
    later = simulate(burn_in=11, sweeps=8)
    assert np.array_equal(later.overlap, simulate().overlap.isel(draw=slice(1, None)))


def test_starts():
    pattern = simulate(start="pattern", sweeps=4, burn_in=0)
    for array in (XI.values[:, 0], np.broadcast_to(XI.values[:, None, None, 0], (2, 2, 5, 23))):
        assert np.array_equal(simulate(start=array, sweeps=4, burn_in=0).overlap, pattern.overlap)
    same = simulate(ENERGY, start=XI.values[0, 0], sweeps=4, burn_in=0)
    assert np.array_equal(same.overlap[0], pattern.overlap[0])
    assert same.start == "array"


@pytest.mark.parametrize("order", ["sequential", "permutation", "random"])
def test_threads_and_spans_change_nothing(order, monkeypatch):
    one = simulate(sampler=mt.HeatBath(order), threads=1)
    xr.testing.assert_identical(one, simulate(sampler=mt.HeatBath(order), threads=3))
    monkeypatch.setattr(engine, "_LARGEST_SPAN", 1)
    xr.testing.assert_identical(one, simulate(sampler=mt.HeatBath(order), threads=2))


@pytest.mark.parametrize("order", ["sequential", "permutation", "random"])
def test_more_of_anything_appends(order):
    sampler = mt.HeatBath(order)
    full = simulate(sampler=sampler)
    fewer = [
        (simulate(mt.OverlapEnergy.hebbian(XI[:1]), sampler=sampler), {"sample": slice(1)}),
        (simulate(sampler=sampler, chains=3), {"chain": slice(3)}),
        (simulate(sampler=sampler, T=[0.4]), {"T": slice(1)}),
        (simulate(sampler=sampler, sweeps=4), {"draw": slice(1)}),
    ]
    for part, which in fewer:
        whole = full.isel(which)
        if "draw" in which:  # flips are counted over the whole run
            assert (part.acceptance * 11 <= whole.acceptance * 19).all()
            part, whole = (ds.drop_vars("acceptance") for ds in (part, whole))
        xr.testing.assert_equal(part, whole)


def test_more_patterns_sites_samples_and_examples_append():
    full = mt.patterns(N=13, K=5, d=0.4, samples=3, seed=7)
    assert (mt.patterns(N=13, K=5, d=0.4, samples=2, seed=7) == full[:2]).all()
    assert (mt.patterns(N=13, K=4, d=0.4, samples=3, seed=7) == full[:, :4]).all()
    assert (mt.patterns(N=11, K=5, d=0.4, samples=3, seed=7) == full[..., :11]).all()
    eta = mt.examples(full, r=0.5, M=6, seed=7)
    assert (mt.examples(full, r=0.5, M=2, seed=7) == eta[:, :, :2]).all()
    assert (mt.examples(full[:2, :3, :7], r=0.5, M=6, seed=7) == eta[:2, :3, :, :7]).all()
    assert eta.dims == ("sample", "mu", "example", "site")


def test_many_patterns_are_the_same_in_any_block(monkeypatch):
    whole = mt.patterns(N=13, K=50, seed=7)
    eta = mt.examples(whole, r=0.5, M=40, seed=7)
    monkeypatch.setattr("mattis.mc.patterns._WORDS_AT_ONCE", 13 * 7)
    assert whole.equals(mt.patterns(N=13, K=50, seed=7))
    assert eta.equals(mt.examples(whole, r=0.5, M=40, seed=7))


def test_checkpoint_of_a_finished_run(tmp_path):
    path = tmp_path / "run.npz"
    first = simulate(checkpoint=path)
    xr.testing.assert_identical(first, simulate())
    xr.testing.assert_identical(first, simulate(checkpoint=path))
    assert [p.name for p in tmp_path.iterdir()] == ["run.npz"]


def interrupt_after(calls, monkeypatch):
    """Stop a run as Ctrl-C does, after so many spans of the kernels; every span is one sweep and goes to the state."""
    real, count = engine._advance_one, iter(range(calls))

    def interrupted(*arguments):
        for sweeps in real(*arguments):
            if next(count, None) is None:
                raise KeyboardInterrupt
            yield sweeps

    monkeypatch.setattr(engine, "_advance_one", interrupted)
    monkeypatch.setattr(engine, "_COMMIT_SECONDS", -1.0)
    monkeypatch.setattr(engine, "_LARGEST_SPAN", 1)


@pytest.mark.parametrize("width", [3, 32])
@pytest.mark.parametrize("calls", [0, 3, 17, 30])
@pytest.mark.parametrize("order", ["sequential", "permutation"])
def test_interrupted_runs_resume(order, calls, width, tmp_path, monkeypatch):
    """Begun with small groups of chains, continued with groups of 3 or 32, which then begin at different sweeps."""
    path, whole = tmp_path / "run.npz", simulate(sampler=mt.HeatBath(order))
    with pytest.MonkeyPatch.context() as patch:
        interrupt_after(calls, patch)
        patch.setattr(routing, "_SIDE_BY_SIDE", 3)
        with pytest.raises(KeyboardInterrupt):
            simulate(sampler=mt.HeatBath(order), checkpoint=path, threads=2)
    with np.load(path) as file:
        assert 0 < file["sweep"].sum() < 20 * 19
    monkeypatch.setattr(routing, "_SIDE_BY_SIDE", width)
    xr.testing.assert_identical(whole, simulate(sampler=mt.HeatBath(order), checkpoint=path))


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"seed": 10}, "seed is 9, not 10"),
        ({"chains": 4}, "chains is 5, not 4"),
        ({"energy": mt.OverlapEnergy.hebbian(XI[:, :2])}, "K is 3, not 2"),
        ({"T": [0.4, 1.2]}, r"T is \[0.4, 1.1\], not \[0.4, 1.2\]"),
        ({"sampler": mt.Metropolis()}, "sampler is"),
        ({"burn_in": 8}, "burn_in is 7, not 8"),
        ({"sweeps": 8}, "sweeps is 12, not 8"),
        ({"every": 2}, "every is 4, not 2"),
        ({"energy": mt.OverlapEnergy.hebbian(-XI)}, "energy is .*'patterns'"),
        ({"start": "pattern"}, "start is"),
        ({"observables": ("energy",)}, r"observables is \['energy', 'overlap'\], not \['energy'\]"),
    ],
)
def test_checkpoint_of_another_run(changes, what, tmp_path):
    path = tmp_path / "run.npz"
    simulate(checkpoint=path)
    with pytest.raises(mt.StoreError, match=f"is of another run: its {what}"):
        simulate(checkpoint=path, **changes)


def test_damaged_checkpoints(tmp_path):
    path = tmp_path / "run.npz"
    simulate(checkpoint=path)
    whole = path.read_bytes()
    for damaged in (
        b"",
        whole[: len(whole) // 2],
        b"no archive",
        whole.replace(b"\x00\x00\x00\x00", b"\x00\x01\x00\x00"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(mt.StoreError, match="damaged"):
            simulate(checkpoint=path)
    path.write_bytes(whole)
    with np.load(path) as file:
        stored = dict(file)
    np.savez(path, **stored | {"spins": ~stored["spins"]})
    with pytest.raises(mt.StoreError, match="its overlaps are not those of its spins"):
        simulate(checkpoint=path)
    np.savez(path, **stored | {"sweep": stored["sweep"][:1]})
    with pytest.raises(mt.StoreError, match="damaged"):
        simulate(checkpoint=path)
    np.savez(path, **{name: stored[name] for name in stored if name != "total"})
    with pytest.raises(mt.StoreError, match="damaged"):
        simulate(checkpoint=path)


LONG = """
import sys
import mattis as mt
from mattis.mc import chains
chains.SAVE_EVERY_SECONDS, chains._COMMIT_SECONDS = 0.05, 0.02
xi = mt.patterns(N=501, K=7, seed=1)
run = dict(T=[0.5, 1.5], chains=2, sweeps=60000, burn_in=100, every=200, seed=3, threads=2)
print(mt.simulate(mt.OverlapEnergy.hebbian(xi), checkpoint=sys.argv[1] or None, **run).sha256)
"""


def long_run(path):
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", LONG, str(path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def swept(path):
    """Sweeps of all chains in a checkpoint."""
    if not path.exists():
        return 0
    with np.load(path) as file:
        return int(file["sweep"].sum())


@pytest.mark.parametrize(("how", "times"), [(signal.SIGKILL, 2), (signal.SIGINT, 1)])
def test_killed_runs_resume(how, times, tmp_path):
    path = tmp_path / "run.npz"
    kills = 0
    for _ in range(times):
        before = swept(path)
        process = long_run(path)
        while process.poll() is None and swept(path) <= before:
            time.sleep(0.005)
        if process.poll() is None:
            os.kill(process.pid, how)
            kills += 1
        process.communicate(timeout=60)
    assert kills >= 1
    assert 0 < swept(path) < 4 * 60100
    out, err = long_run(path).communicate(timeout=120)
    xi = mt.patterns(N=501, K=7, seed=1)
    run = {"T": [0.5, 1.5], "chains": 2, "sweeps": 60000, "burn_in": 100, "every": 200, "seed": 3}
    assert out.strip() == mt.simulate(mt.OverlapEnergy.hebbian(xi), **run).sha256, err
    assert err == ""


def test_importing_mattis_loads_no_numba():
    code = "import sys, mattis; assert 'numba' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
