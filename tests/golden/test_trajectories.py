"""The compiled engine reproduces the stored trajectories of the NumPy reference, bit for bit."""

import json
from pathlib import Path

import pytest

import mattis as mt

CASES = json.loads(Path(__file__).with_name("trajectories.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c['N']}-{c['K']}-{c['sampler']}-{c['order']}")
def test_trajectory(case):
    xi = mt.patterns(N=case["N"], K=case["K"], samples=case["samples"], seed=case["seed"])
    sampler = {"HeatBath": mt.HeatBath, "Metropolis": mt.Metropolis}[case["sampler"]](case["order"])
    run = {name: case[name] for name in ("T", "chains", "sweeps", "start", "seed")}
    ds = mt.simulate(
        mt.OverlapEnergy.hebbian(xi), sampler=sampler, burn_in=0, every=case["sweeps"], observables=(), **run
    )
    assert ds.sha256 == case["sha256"]
