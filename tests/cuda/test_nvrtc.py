"""Every kernel compiles for the devices of ten years, and keeps its arrays in registers."""

import re

import pytest

from mattis.mc import forms, gpu_plans

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="the compiler of the CUDA sources is in the extra 'nvrtc'")

SHARED = {75: 64 << 10, 80: 163 << 10, 90: 227 << 10}  # bytes a block may have
PAIRWISE = [(1, 2, True), (50, 2, True), (128, 1, False), (200, 2, True), (1000, 1, False)]  # K, gain, sequential
DENSE = [(3, 512, 8192), (4, 200, 500), (4, 2000, 2000), (3, 512, 25600), (4, 200, 28000)]  # P, N, K


def plans(shared):
    yield gpu_plans.ORDERS
    for K, gain, sequential in PAIRWISE:
        yield gpu_plans.pairwise_plan(K, 1024, gain, sequential, shared)
    for P, N, K in DENSE:
        polynomials, per_cost = forms.flip_polynomials(N, P, "excluded"), gpu_plans.fall(P, "excluded")
        yield gpu_plans.dense_plan(K, N, *polynomials, per_cost, shared)


A_FEW_WORDS = 64  # bytes that some compilers spill to fit one more block; an array of overlaps has hundreds
CASES = [(target, plan) for target, shared in SHARED.items() for plan in plans(shared)]


def call(function, *arguments):
    result, *values = function(*arguments)
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS
    return values[0] if values else None


def text(program, what):
    buffer = bytearray(call(getattr(nvrtc, f"nvrtcGet{what}Size"), program))
    call(getattr(nvrtc, f"nvrtcGet{what}"), program, buffer)
    return buffer.decode().rstrip("\0")


def compiled(plan, target):
    """The log, with the registers of the machine code, and the PTX of a plan."""
    program = call(nvrtc.nvrtcCreateProgram, gpu_plans.source(plan.file).encode(), plan.file.encode(), 0, None, None)
    options = [o.encode() for o in (*plan.options, f"--gpu-architecture=sm_{target}", "--ptxas-options=-v")]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    log = text(program, "ProgramLog")
    assert result == nvrtc.nvrtcResult.NVRTC_SUCCESS, log
    return log, text(program, "PTX")


@pytest.mark.parametrize(
    ("target", "plan"), CASES, ids=[f"{p.name}-{p.options[-1].partition('=')[2]}-sm{t}" for t, p in CASES]
)
def test_kernel(target, plan):
    log, ptx = compiled(plan, target)
    assert re.search(rf"\.entry {plan.name}\b", ptx)
    assert ".local" not in ptx
    assert int(re.search(r"(\d+) bytes stack frame", log)[1]) <= A_FEW_WORDS
    assert "warning" not in log
    assert int(re.search(r"Used (\d+) registers", log)[1]) * plan.threads <= 2**16
