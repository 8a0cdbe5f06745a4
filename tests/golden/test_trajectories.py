"""The compiled engine reproduces the stored trajectories of the NumPy reference, bit for bit, however it is cut."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

import mattis as mt
from mattis.mc import chains as engine
from mattis.mc import routing

sys.path.append(str(Path(__file__).parent))
from write_trajectories import CASES as STATED
from write_trajectories import energy_of, run_of

CASES = json.loads(Path(__file__).with_name("trajectories.json").read_text())
SMALL = [c for c in CASES if c["N"] < 4000]


def named(case):
    of = case.get("energy", "hebbian") + "".join(f"-{value}" for value in case.get("arguments", {}).values())
    lanes = len(case["T"]) * case["chains"]
    return f"{of}-{case['N']}-{case['K']}-{lanes}-{case['sampler']}-{case.get('rule', '')}-{case['order']}"


def sha_of(case, **changes):
    return mt.simulate(energy_of(case), **run_of(case) | {"every": case["sweeps"], "observables": ()} | changes).sha256


@pytest.mark.parametrize("case", CASES, ids=named)
def test_trajectory(case):
    assert sha_of(case) == case["sha256"]


def test_what_is_stored_is_what_is_stated():
    assert [{name: c[name] for name in c if name != "sha256"} for c in CASES] == STATED


def test_the_stored_hashes_tell_the_cases_apart():
    """Orders of one site are all alike, and so are states that T = 0 has left in the same minimum; nothing else."""
    told = {}
    for c in CASES:
        told.setdefault(c["sha256"], []).append(c)
    for same in told.values():
        assert len({c["N"] for c in same}) == 1
        assert len(same) == 1 or same[0]["N"] <= 5


def test_fields_of_the_largest_case_leave_16_bits():
    """N = 10000, K = 1000 at T = 1.0: there only a kernel with wider fields can have the hash."""
    for case in (c for c in CASES if c["N"] == 10000 and c["chains"] > 1):
        energy = energy_of(case)
        ds = mt.simulate(energy, **run_of(case) | {"every": 2, "observables": ("spins",)})
        s = ds.spins.values[0, 0].reshape(-1, energy.N)
        h = energy.overlaps(s).astype(float) @ energy.xi[0].astype(float) - energy.K * s.astype(float)
        assert np.abs(h).max() > 2**15


@pytest.mark.parametrize("case", SMALL, ids=named)
def test_threads_and_groups_change_nothing(case, monkeypatch):
    """One thread, two, and chains side by side in other numbers."""
    assert sha_of(case, threads=1) == case["sha256"]
    monkeypatch.setattr(routing, "_SIDE_BY_SIDE", 7)
    monkeypatch.setattr(routing, "_WORK", 1)
    assert sha_of(case, threads=2) == case["sha256"]


@pytest.mark.parametrize("case", SMALL, ids=named)
def test_a_run_in_two_parts(case, tmp_path):
    """Stopped after one sweep of the first few chains, continued with all of them."""
    real = engine._advance_one

    def interrupted(*arguments):
        for _ in real(*arguments):
            raise KeyboardInterrupt
        yield 0

    path = tmp_path / "run.npz"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_advance_one", interrupted)
        patch.setattr(engine, "_COMMIT_SECONDS", -1.0)
        patch.setattr(engine, "_LARGEST_SPAN", 1)
        patch.setattr(routing, "_SIDE_BY_SIDE", 7)
        with pytest.raises(KeyboardInterrupt):
            sha_of(case, checkpoint=path, threads=1)
    with np.load(path) as file:
        assert 0 < file["sweep"].sum() < file["sweep"].size * (case["sweeps"] + case.get("burn_in", 0)) or (
            file["sweep"].size < 32 and case["sweeps"] == 1
        )
    assert sha_of(case, checkpoint=path) == case["sha256"]


@pytest.mark.parametrize("case", SMALL, ids=named)
def test_more_samples_chains_and_temperatures_append(case):
    """The first spins of a larger run are those of the case; a ladder takes no other temperature, T = 0 no second."""
    T = case["T"] if case["sampler"] in ("ParallelTempering", "ZeroTemperature") else [*case["T"], 1.9]
    more = run_of(case) | {"T": T, "chains": case["chains"] + 3, "every": case["sweeps"], "observables": ("spins",)}
    ds = mt.simulate(energy_of(case, samples=1), **more)
    spins = ds.spins.values[..., 0, :]
    if "home" in ds:
        spins = np.take_along_axis(spins, np.argsort(ds.home.values[..., 0], axis=1)[..., None], axis=1)
    first = spins[: case["samples"], : len(case["T"]), : case["chains"]]
    assert hashlib.sha256(first.tobytes()).hexdigest() == case["sha256"]
