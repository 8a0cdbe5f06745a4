"""The command line: the numbers of the library, JSON, exit codes, and one sentence for every mistake."""

import dataclasses
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import mattis as mt
from mattis.cli import MODELS, PARAMETERS, WORDS, main
from mattis.core import backend
from mattis.solvers.newton import Newton
from mattis.sweeps import sweep as engine

sys.path.append(str(Path(__file__).parents[1] / "contracts"))
from sweep_models import Fragile

HEAVY = ("numba", "xarray", "zarr", "matplotlib", "scipy", "pandas", "distributed", "cupy", "tqdm")


def mattis(command, *more):
    return main([*command.split(), *map(str, more)])


def points(capsys, command):
    assert mattis(command) == 0
    told = capsys.readouterr()
    assert told.err == ""
    return json.loads(told.out)["points"]


def rows(text):
    """The rows of a printed table as dictionaries of words, and its units."""
    _, names, units, *body = text.splitlines()
    assert len({len(line) for line in (names, units, *body)}) == 1  # aligned
    ends = [found.end() for found in re.finditer(r"\S+", names)]
    cut = [slice(a, b) for a, b in zip([0, *ends], ends, strict=False)]
    read = [dict(zip(names.split(), (line[c].strip() for c in cut), strict=True)) for line in (units, *body)]
    return read[0], read[1:]


def test_the_parameters_are_those_of_the_models():
    for name, parameters, needed in MODELS.values():
        cls = getattr(mt, name)
        assert parameters == tuple(f.name for f in dataclasses.fields(cls) if f.init)
        assert {p for p in parameters if p not in WORDS} == set(cls.numeric())
        required = {f.name for f in dataclasses.fields(cls) if f.default is dataclasses.MISSING}
        assert required == set(parameters[:needed])
        assert set(parameters) <= set(PARAMETERS)


def test_help_and_mistakes_of_typing_import_nothing_heavy():
    for command, code in ((["--help"], 0), (["solve", "hopfield", "--alpha", "0.1", "--beta", "2"], 2)):
        ran = subprocess.run(
            [sys.executable, "-X", "importtime", "-m", "mattis", *command], capture_output=True, text=True
        )
        assert ran.returncode == code
        imported = {line.rpartition("|")[2].strip().split(".")[0] for line in ran.stderr.splitlines() if "|" in line}
        assert "mattis" in imported
        assert imported.isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "command", ["--help", "solve --help", "solve hopfield --help", "sweep sk --help", "simulate -h"]
)
def test_help(capsys, command):
    assert mattis(command) == 0
    assert capsys.readouterr().out.startswith("usage: mattis")


def test_version(capsys):
    assert mattis("--version") == 0
    assert capsys.readouterr().out == f"mattis {mt.__version__}\n"


def test_overlaps_with_several_patterns_have_columns_of_their_own(capsys):
    """m_1, m_2, f of d = 0.3, T = 0.1, K = 2 as in the doctest of Multitasking."""
    (point,) = points(capsys, "solve multitasking --d 0.3 --T 0.1 --K 2 --json")
    found = [point[name] for name in ("m_1", "m_2", "free_energy")]
    assert found == pytest.approx([0.6999760657, 0.2028858209, -0.2736241702], abs=1e-10)
    assert (point["label"], point["retrieved"]) == ("hierarchical", 2)


def test_solve_gives_the_reference_value(capsys):
    """m and f at alpha = 0.05, T = 0.2 as in the doctest of Hopfield."""
    (point,) = points(capsys, "solve hopfield --alpha 0.05 --T 0.2 --json")
    assert abs(point["m"] - 0.9988777631) < 1e-10
    assert abs(point["free_energy"] + 0.5001111650) < 1e-10
    assert (point["label"], point["converged"]) == ("retrieval", True)


@pytest.mark.parametrize(
    ("command", "model", "start"),
    [
        (
            "hopfield --alpha 0.05 0.1 --T 0.1:0.5:3",
            mt.Hopfield(alpha=[[0.05], [0.1]], T=np.linspace(0.1, 0.5, 3)),
            None,
        ),
        (
            "hopfield --alpha 0.02 --T 0.4 --protocol unsupervised --r 0.5 --M 30 --start spin_glass",
            mt.Hopfield(alpha=0.02, T=0.4, protocol="unsupervised", r=0.5, M=30),
            "spin_glass",
        ),
        (
            "hopfield --alpha 0.02 --T 0.4 --protocol supervised --rho 0 0.1",
            mt.Hopfield(alpha=0.02, T=0.4, protocol="supervised", rho=[0.0, 0.1]),
            None,
        ),
        ("sk --T 0.7 --h -0.1:0.1:3 -.5", mt.SherringtonKirkpatrick(T=0.7, h=[-0.1, 0.0, 0.1, -0.5]), None),
        (
            "curie_weiss --T 0 0.5:1.5:4 --start paramagnet",
            mt.CurieWeiss(T=[0.0, *np.linspace(0.5, 1.5, 4)]),
            "paramagnet",
        ),
    ],
)
def test_solve_is_solve_of_the_library(capsys, command, model, start):
    found = points(capsys, f"solve {command} --json")
    expected = mt.solve(model, start)
    assert len(found) == np.size(expected.free_energy)
    for name, values in expected.values.items():
        told = np.array([math.nan if p[name] is None else p[name] for p in found])
        if values.dtype.kind == "U":
            assert told.tolist() == values.ravel().tolist()
        else:
            finite = np.isfinite(values).ravel()
            np.testing.assert_array_equal(told[finite], values.ravel()[finite])


def test_json_is_valid_where_a_quantity_is_infinite(capsys):
    (point,) = points(capsys, "solve sk --T 0 --json")
    assert point["replicon"] is None
    assert abs(point["entropy"] + 1 / (2 * math.pi)) < 1e-12


def test_the_table_is_aligned_with_units(capsys):
    assert mattis("solve hopfield --alpha 0.05 --T 0.1:0.3:3") == 0
    text = capsys.readouterr().out
    assert text.startswith("model Hopfield, start retrieval\n")
    units, found = rows(text)
    assert (units["T"], units["free_energy"], units["entropy"], units["m"]) == ("J/k_B", "J", "k_B", "1")
    assert [row["T"] for row in found] == ["0.1", "0.2", "0.3"]
    assert (found[1]["m"], found[1]["free_energy"], found[1]["label"]) == ("0.998878", "-0.500111", "retrieval")


def test_unconverged_points_are_shown_and_told(capsys, monkeypatch):
    monkeypatch.setattr("mattis.sweeps.solve.Newton", lambda: Newton(max_steps=1))
    assert mattis("solve hopfield --alpha 0.05 --T 0.2 0.5 --json") == 1
    told = capsys.readouterr()
    assert [(p["label"], p["converged"]) for p in json.loads(told.out)["points"]] == [("unconverged", False)] * 2
    assert re.fullmatch(r"mattis: error: Hopfield did not converge from start 'retrieval' at 2 of 2 .*\n", told.err)


SIMULATE = "simulate --N 40 --alpha 0.1 --T 0.5"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("", "the following arguments are required: command"),
        ("solve", "the following arguments are required: model"),
        ("solve ising --T 1", "invalid choice: 'ising' (choose from"),
        ("solve hopfield --alpha 0.1", "the following arguments are required: --T"),
        ("solve hopfield --alpha 0.1 --T", "argument --T: expected at least one argument"),
        ("solve hopfield --alpha 0.1 --T 1 --beta 2", "unrecognized arguments: --beta 2"),
        ("solve hopfield --alph 0.1 --T 1", "--alpha"),
        ("solve hopfield --alpha 0.1 --T -0.5", "T must be finite and >= 0, got -0.5"),
        ("solve hopfield --alpha 0.1 --T 0.5 -0.5", "T must be finite and >= 0, got -0.5 at index (1,)"),
        ("solve hopfield --alpha 0.1 --T nan", "T must be finite and >= 0, got nan"),
        ("solve hopfield --alpha -inf --T 0.1", "alpha must be finite and >= 0, got -inf"),
        ("solve hopfield --alpha 0.1 --T hot", "T must be numbers or ranges start:stop:count"),
        ("solve hopfield --alpha 0.1 --T 0.1:0.5", "T must be numbers or ranges start:stop:count"),
        ("solve hopfield --alpha 0.1 --T 0.1:0.5:1", "count >= 2), got '0.1:0.5:1'"),
        ("solve hopfield --alpha 0.1 --T 0.1:0.5:2.5", "got '0.1:0.5:2.5'"),
        ("solve hopfield --alpha 0.1 --T inf:1:3", "T must be finite and >= 0"),
        ("solve hopfield --alpha 0.1 --T 1 --start cold", "start must be one of retrieval, spin_glass, paramagnet"),
        ("solve hopfield --alpha 0.1 --T 1 --protocol bad", "protocol must be one of storing, supervised"),
        ("solve hopfield --alpha 0.1 --T 1 --rho 0.1", "protocol='storing' stores the patterns themselves"),
        ("solve hopfield --alpha 0.1 --T 1 --protocol supervised --r 0.5 --M 2.5", "M must be an integer"),
        ("solve sk --alpha 0.1 --T 1", "unrecognized arguments: --alpha 0.1"),
        ("sweep sk --T 0.5 1", "the following arguments are required: --store"),
        ("sweep sk --T 0.5 -1 --store s.zarr", "T must be finite and >= 0, got -1.0"),
        ("sweep sk --T 0.5 nan --store s.zarr", "finite, got nan"),
        ("sweep sk --T 0.5 1 --start cold --store s.zarr", "starts must be among spin_glass, paramagnet, got 'cold'"),
        ("sweep sk --T 0.5 1 --store s.zarr --workers 0", "--workers must be >= 1, got 0"),
        ("sweep sk --T 0.5 1 --store s.zarr --workers 2 --dask tcp://a:1", "not allowed with argument --workers"),
        ("simulate --N 40 --T 0.5", "one of the arguments --alpha --K is required"),
        ("simulate --N 40 --K 4 --alpha 0.1 --T 0.5", "not allowed with argument"),
        ("simulate --N many --K 4 --T 0.5", "argument --N: invalid int value: 'many'"),
        ("simulate --N 0 --K 4 --T 0.5", "N must be in [1, 2^31], got 0"),
        ("simulate --N 40 --alpha nan --T 0.5", "--alpha must be finite and > 0, got nan"),
        ("simulate --N 40 --K 4 --T 0", "T must be finite and > 0, got 0.0"),
        ("simulate --N 40000 --K 4000000000 --T 0.5", "are available: take fewer patterns, sites or samples"),
        (f"{SIMULATE} --sweeps 0", "--sweeps must be >= 1, got 0"),
        (f"{SIMULATE} --every 7", "sweeps must be a multiple of every = 7, got 400"),
        (f"{SIMULATE} --seed -1", "seed"),
        (f"{SIMULATE} --start warm", "argument --start: invalid choice: 'warm'"),
        (f"{SIMULATE} --out none/run.nc", "--out must be in a folder that exists, got 'none/run.nc'"),
        ("solve dense --P 2 --gamma 0.1 --T 0.5", "P must be >= 3 (P = 2 is Hopfield) and <= 170, got 2"),
        ("solve multitasking --d 0.3 --T 0.1 --K 0", "K must be in [1, 10000], got 0"),
        ("solve multitasking --d 1 --T 0.1 --K 2", "d must be finite and in [0, 1), got 1.0"),
        ("solve dense --P 3.5 --gamma 0.1 --T 0.5", "argument --P: invalid int value: '3.5'"),
        ("solve dense --gamma 0.1 --T 0.5", "the following arguments are required: --P"),
        ("figures network", "names must be, or begin, one of"),
    ],
)
def test_a_mistake_is_one_sentence(capsys, monkeypatch, tmp_path, command, says):
    monkeypatch.chdir(tmp_path)
    assert mattis(command) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("mattis: error: ")
    assert told.err.count("\n") == 1
    assert says in told.err
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_the_program_keeps_its_traceback(monkeypatch):
    def broken(*_):
        raise KeyError("alpha")

    monkeypatch.setattr("mattis.sweeps.solve.evaluate", broken)
    with pytest.raises(KeyError):
        mattis("solve sk --T 1")


SWEEP = "sweep hopfield --alpha 0:0.2:5 --T 0.01:1.5:7 --store"


@pytest.mark.parametrize("workers", [1, 2])
def test_sweep_is_sweep_of_the_library(capsys, tmp_path, workers):
    store = tmp_path / "runs" / "s.zarr"
    assert mattis(SWEEP, store, "--workers", workers) == 0
    told = capsys.readouterr()
    assert told.err == ""
    found = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in told.out.splitlines() if "  " in line)
    expected = mt.classify(
        mt.sweep(mt.Hopfield, over={"alpha": np.linspace(0, 0.2, 5), "T": np.linspace(0.01, 1.5, 7)}, progress=False)
    )
    assert found["points"] == "105 = 3 start x 5 alpha x 7 T"
    assert found["failed"] == "0"
    counted = dict(part.split() for part in found["phases"].split(", "))
    assert {k: int(v) for k, v in counted.items()} == dict(
        zip(*np.unique(expected.phase, return_counts=True), strict=True)
    )
    opened = eval(found["store"], {"mattis": mt, "xarray": xr})
    xr.testing.assert_equal(opened.drop_attrs(), expected.drop_attrs())


def test_one_value_is_no_axis_and_another_sweep_is_refused(capsys, tmp_path):
    ask = "sweep hopfield --alpha 0.05 --T 0.1 0.2 --start retrieval --protocol supervised --store"
    assert mattis(ask, tmp_path / "s.zarr", "--rho", 0.1) == 0
    assert "2 = 1 start x 2 T\n" in capsys.readouterr().out
    assert mattis(ask, tmp_path / "s.zarr", "--rho", 0.2) == 4
    told = capsys.readouterr()
    assert told.err.startswith("mattis: error: ")
    assert "rho" in told.err
    assert told.err.count("\n") == 1


def test_unconverged_points_of_a_sweep_are_told_and_failed_ones_are_exit_code_3(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(engine, "default_solver", Newton(max_steps=1))
    assert mattis(SWEEP, tmp_path / "a.zarr") == 0
    assert re.search(r"unconverged +[1-9]\d* \(kept and marked\)\n", capsys.readouterr().out)
    monkeypatch.setattr(mt, "Hopfield", Fragile)  # without its cause it takes the current folder, which is there
    assert mattis("sweep hopfield --alpha 0.1 0.2 --T 0.1 0.2 --store", tmp_path / "b.zarr") == 3
    told = capsys.readouterr()
    assert "failed      2\n" in told.out
    first = "mattis: error: 2 points failed, first start=up, alpha=0.1, T=0.1: ZeroDivisionError: the cause is there\n"
    assert told.err == first


def test_dask_is_an_extra(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert mattis(SWEEP, tmp_path / "s.zarr", "--dask", "tcp://127.0.0.1:1") == 2
    assert "pip install 'mattis[cluster]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def digests(store):
    found = [p for p in (store / "tiles/digest/c").rglob("*") if p.is_file() and p.suffix != ".partial"]
    return {path: path.stat().st_mtime_ns for path in found}


def test_interrupted_sweep_resumes_by_the_same_command(tmp_path):
    grid = ["--alpha", "0:0.2:300", "--T", "0.01:1.5:300"]
    command = [sys.executable, "-m", "mattis", "sweep", "hopfield", *grid, "--store", "s.zarr"]
    run = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while not digests(tmp_path / "s.zarr") and run.poll() is None and time.monotonic() < end:
        time.sleep(0.005)
    run.send_signal(signal.SIGINT)
    _, told = run.communicate(timeout=60)
    assert run.returncode == 130, told
    assert told == "mattis: interrupted: what was finished is kept in s.zarr, and the same command resumes\n"
    assert not (tmp_path / "s.zarr.lock").exists()
    kept = digests(tmp_path / "s.zarr")
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout.startswith("points      270000 = 3 start x 300 alpha x 300 T\n")
    whole = digests(tmp_path / "s.zarr")
    assert 0 < len(kept) < len(whole)
    assert all(whole[path] == written for path, written in kept.items())


def test_interruption_without_a_store_is_told(capsys, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("mattis.sweeps.solve.evaluate", interrupted)
    assert mattis("solve sk --T 1") == 130
    assert capsys.readouterr().err == "mattis: interrupted\n"


RUN = "simulate --N 300 --K 9 --T 0.3 0.7 1.6 --samples 3 --sweeps 300 --burn-in 50 --every 2 --seed 5"


def test_simulate_is_simulate_of_the_library_beside_its_theory(capsys, tmp_path):
    assert mattis(RUN, "--json", "--out", tmp_path / "run.nc") == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["K"], told["alpha"], told["sampler"]) == (9, 0.03, "HeatBath(order='sequential')")
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=300, K=9, samples=3, seed=5))
    ds = mt.simulate(energy, T=[0.3, 0.7, 1.6], chains=1, sweeps=300, burn_in=50, every=2, start="pattern", seed=5)
    m, u = mt.summary(ds.isel(mu=[0])).isel(mu=0), mt.summary(ds, "energy")
    column = {name: np.array([p[name] for p in told["points"]]) for name in told["points"][0]}
    np.testing.assert_array_equal(column["m"], m["mean"])
    np.testing.assert_array_equal(column["m_error"], m["error"])
    np.testing.assert_array_equal(column["energy"], u["mean"])
    np.testing.assert_array_equal(column["tau_int"], 2 * m.tau_int.max("sample"))  # in sweeps, two a draw
    np.testing.assert_array_equal(column["r_hat"], m.r_hat.max("sample"))
    theory = mt.solve(mt.Hopfield(alpha=0.03, T=0.3))
    assert abs(column["m_theory"][0] - theory.m) < 1e-9
    assert abs(column["energy_theory"][0] - theory.energy) < 1e-9
    assert column["energy_theory"][2] == pytest.approx(-0.03 / 1.2, abs=1e-9)  # u = -alpha/(2 (T - 1)), paramagnet
    expected = (column["m"][0] - column["m_theory"][0]) / column["m_error"][0]
    assert column["m_pull"][0] == pytest.approx(expected, abs=1e-12)
    xr.testing.assert_identical(xr.load_dataset(tmp_path / "run.nc", engine="scipy").overlap, ds.overlap)


def test_any_seed_can_be_kept(tmp_path):
    assert mattis("simulate --N 20 --K 3 --T 1 --sweeps 4 --seed", 2**64 - 1, "--out", tmp_path / "run.nc") == 0
    assert xr.load_dataset(tmp_path / "run.nc", engine="scipy").attrs["seed"] == str(2**64 - 1)


def test_simulate_prints_a_table_and_continues_a_checkpoint(capsys, tmp_path):
    command = "simulate --N 60 --alpha 0.1 --T 0.2:0.6:2 --samples 2 --chains 2 --start random --sampler metropolis"
    command = f"{command} --order random --checkpoint {tmp_path / 'run.npz'}"
    assert mattis(command) == 0
    first = capsys.readouterr()
    assert first.out.startswith("N 60, K 6, alpha 0.1, samples 2, sampler Metropolis(order='random'), chains 2")
    units, found = rows(first.out)
    assert (units["tau_int"], units["energy_error"], units["m_pull"]) == ("sweeps", "J", "1")
    assert [(row["T"], row["m_theory"], row["m_pull"]) for row in found] == [("0.2", "-", "-"), ("0.6", "-", "-")]
    assert re.fullmatch(r"mattis: note: at T = .* a chain is shorter than 50 tau_int, .*\n", first.err)
    assert mattis(command) == 0
    assert capsys.readouterr().out == first.out
    assert mattis(command, "--seed", 2) == 4
    assert "is of another run" in capsys.readouterr().err


def test_figures_are_found_by_name_by_how_it_begins_or_all(monkeypatch, capsys, tmp_path):
    """Which recipes are made; that each can be is the test of the figures."""
    folder = Path(find_spec("mattis.figures").origin).parent
    names = sorted(p.stem for p in folder.glob("[a-z]*.py") if p.stem != "recipe")
    monkeypatch.setattr("mattis.figures.recipe.Recipe.make", lambda self, folder, draft: [folder / self.name])

    def made(words):
        assert mattis(f"figures {words} --draft --out", tmp_path) == 0
        return capsys.readouterr().out.splitlines()

    assert made("") == [str(tmp_path / name) for name in names]
    assert made("hopfield_overlap") == [str(tmp_path / "hopfield_overlap")]
    assert made("hop hopfield_o") == [str(tmp_path / name) for name in names if name.startswith("hop")]


def test_a_figure_is_drawn(capsys, tmp_path):
    assert mattis("figures hopfield_overlap --draft --out", tmp_path) == 0
    made = capsys.readouterr().out.splitlines()
    assert made == [str(tmp_path / f"hopfield_overlap.{suffix}") for suffix in ("png", "pdf")]
    assert all(Path(path).stat().st_size > 1000 for path in made)
    plt.close("all")


def test_drafts_do_not_replace_the_figures(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    asked = []
    monkeypatch.setattr("mattis.figures.recipe.Recipe.make", lambda self, folder, draft: asked.append(folder) or [])
    assert mattis("figures hopfield_overlap") == mattis("figures hopfield_overlap --draft") == 0
    assert asked == [Path("runs/figures"), Path("runs/figures/draft")]


@pytest.mark.parametrize("broken", [False, True])
def test_info(capsys, monkeypatch, broken):
    if broken:
        monkeypatch.setattr(backend, "cupy", lambda: 1 / 0)
    assert mattis("info") == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if "numba cache" not in line)
    assert told["mattis"] == mt.__version__
    assert told["numpy"] == np.__version__
    assert told["python"] == sys.version.split()[0]
    assert 1 <= int(told["cores"]) <= os.cpu_count()
    assert {"commit", "scipy", "numba", "xarray", "zarr", "matplotlib", "gpu"} < set(told)
    assert not broken or told["gpu"] == "none: division by zero"
