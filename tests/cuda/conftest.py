"""The CUDA sources on this processor: g++ compiles the very text a device is given, fibers run its threads."""

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from mattis.core.backend import cupy
from mattis.core.errors import BackendUnavailable
from mattis.mc import gpu, gpu_plans

HERE = Path(__file__).parent
FAULTS = ("", "WRONG_ARGUMENTS", "PARTIAL_WARP", "TOO_MUCH_SHARED", "DEADLOCK", "OUT_OF_BOUNDS")
FLAGS = ("-O1", "-fPIC", "-ffp-contract=off", "-Wno-unknown-pragmas")


class Compiler:
    """Shared libraries of kernels, one for each plan and edited text."""

    def __init__(self, folder):
        self._folder, self._built = folder, {}
        self._run("-std=c++17", "-c", str(HERE / "host.cpp"), "-o", str(folder / "host.o"))

    def _run(self, *arguments, **options):
        subprocess.run(["g++", *FLAGS, *arguments], check=True, **options)

    def launch_of(self, plan, edits=()):
        """The ``launch`` of a plan; each of ``edits`` (old, new) must be in the text, once."""
        if (plan, edits) not in self._built:
            text = gpu_plans.source(plan.file)
            for old, new in edits:
                assert text.count(old) == 1, old
                text = text.replace(old, new)
            library = self._folder / f"{plan.name}{len(self._built)}.so"
            arguments = "-shared", "-include", str(HERE / "shim.h"), "-x", "c++", "-", "-x", "none"
            text += f"\nENTRY({plan.name})\n"
            self._run(
                *plan.options, *arguments, str(self._folder / "host.o"), "-o", str(library), input=text, text=True
            )
            self._built[plan, edits] = ctypes.CDLL(str(library)).launch
        return self._built[plan, edits]


class Shim:
    """The ``Device`` that is this processor; ``seed`` is its schedule, ``edits`` faults planted in the sources."""

    def __init__(self, compiler, seed=1, edits=(), shared=2**16, free=2**40):
        self._compiler, self._seed, self._edits, self.shared, self._free = compiler, seed, edits, shared, free

    def free(self):
        return self._free

    def put(self, array):
        return array.copy()

    def get(self, array):
        return array.copy()

    def launch(self, plan, blocks, arguments):
        edits = () if plan == gpu_plans.ORDERS else self._edits
        words = [np.array(a.ctypes.data if isinstance(a, np.ndarray) else a) for a in arguments]
        for word, a in zip(words, arguments, strict=True):
            assert isinstance(a, np.ndarray) or word.dtype == a.dtype, "a Python number has no exact type"
        addresses = (ctypes.c_void_p * len(words))(*(word.ctypes.data for word in words))
        sizes = (ctypes.c_int * len(words))(*(word.nbytes for word in words))
        counts = len(words), blocks, plan.threads, ctypes.c_ulong(plan.shared), self._seed
        fault = self._compiler.launch_of(plan, edits)(addresses, sizes, *counts)
        self._seed += 1
        if fault:
            raise RuntimeError(FAULTS[fault])


@pytest.fixture(scope="session")
def compiler(tmp_path_factory):
    if shutil.which("g++") is None:
        pytest.skip("no g++ to build the CUDA sources for this processor")
    return Compiler(tmp_path_factory.mktemp("cuda"))


@pytest.fixture
def shim(compiler):
    """``shim(seed=, edits=, shared=, free=)`` makes a device of this processor."""

    def make(**options):
        return Shim(compiler, **options)

    return make


@pytest.fixture
def cuda(request):
    """``cuda()`` makes the device of CuPy; without one the test is skipped, or fails with --require-gpu."""
    try:
        cupy()
    except BackendUnavailable as reason:
        (pytest.fail if request.config.getoption("--require-gpu") else pytest.skip)(str(reason))
    return lambda **schedule: gpu.CupyDevice()


@pytest.fixture(params=["shim", "cuda"])
def device(request):
    """Either of the two; ``device(seed=)``."""
    return request.getfixturevalue(request.param)
