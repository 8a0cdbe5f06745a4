"""The stored trajectories on the device's kernels, and what only a device can tell about them."""

from functools import partial
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

import mattis as mt
from mattis.mc import forms, gpu, gpu_plans

GOLDEN = Path(__file__).parents[1] / "golden" / "test_trajectories.py"


def module(path):
    spec = spec_from_file_location(path.stem, path)
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


golden = module(GOLDEN)


@pytest.mark.parametrize("case", golden.CASES, ids=lambda c: f"{c['N']}-{c['K']}-{c['sampler']}-{c['order']}")
def test_trajectory(device, monkeypatch, case):
    """The test of the processor's kernels, with a device in their place; energies without a kernel are left out."""
    monkeypatch.setattr(gpu, "CupyDevice", device)
    monkeypatch.setattr(mt, "simulate", partial(mt.simulate, backend="gpu"))
    try:
        golden.test_trajectory(case)
    except ValueError as refused:
        if "backend must be 'cpu'" not in str(refused):
            raise
        pytest.skip(str(refused))


def test_kernels_of_this_device(cuda):
    """No array has left its registers (a few words may), and blocks are no larger than the registers allow."""
    shared = cuda().shared
    plans = [gpu_plans.ORDERS]
    plans += [gpu_plans.pairwise_plan(K, 1024, 2, True, shared) for K in (50, 128, 200)]
    dense = *forms.flip_polynomials(512, 3, "excluded"), gpu_plans.fall(3, "excluded"), shared
    plans += [gpu_plans.dense_plan(K, 512, *dense) for K in (8192, 25600)]
    for plan in plans:
        kernel = gpu.compiled(plan)
        assert kernel.local_size_bytes <= 64, plan.name
        assert kernel.max_threads_per_block >= plan.threads


def test_a_device_holds_what_its_memory_holds(cuda):
    device = cuda()
    before = device.free()
    array = device.put(np.zeros(2**24, np.uint8))
    assert device.free() <= before - 2**24
    assert np.array_equal(device.get(array), np.zeros(2**24, np.uint8))
