"""The same trajectories from code for processors without AVX-512, compiled afresh in a Python of its own."""

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

CASES = json.loads(Path(__file__).with_name("trajectories.json").read_text())
OF_KERNELS = {  # energy, order, fewest and most chains of a sample
    "blocked": ("hebbian", "sequential", 24, 40),
    "lists": ("hebbian", "random", 24, 40),
    "single chain": ("hebbian", "sequential", 1, 7),
    "plain": ("multitasking", "sequential", 1, 7),
    "dense": ("dense", "sequential", 1, 40),
    "general": ("table", "sequential", 1, 40),
    "speculative, couplings": ("CouplingEnergy", "sequential", 1, 40),
}
SCRIPT = """
import json, sys
sys.path.append(sys.argv[1])
import mattis as mt
from write_trajectories import energy_of, run_of
for case in json.loads(sys.stdin.read()):
    ds = mt.simulate(energy_of(case), **run_of(case) | {"every": case["sweeps"], "observables": ()})
    print(ds.kernel, ds.sha256, sep=": ")
"""


def case_of(energy, order, least, most):
    fits = (c for c in CASES if c.get("energy", "hebbian") == energy and c["order"] == order and 30 < c["N"] < 1000)
    return next(c for c in fits if least <= len(c["T"]) * c["chains"] <= most)


@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="haswell is an x86-64 processor")
def test_every_kernel_in_code_for_haswell(tmp_path):
    cases = {kernel: case_of(*of) for kernel, of in OF_KERNELS.items()}
    machine = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "", "MATTIS_CACHE": str(tmp_path)}
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(Path(__file__).parent)],
        input=json.dumps(list(cases.values())),
        env=os.environ | machine,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert told == [f"{kernel}: {case['sha256']}" for kernel, case in cases.items()]
