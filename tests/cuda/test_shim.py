"""Every kernel against the slow reference, under the shim and on a device; faults planted in the sources are seen."""

import dataclasses
from fractions import Fraction
from math import factorial
from pathlib import Path

import numpy as np
import pytest

import mattis as mt
from mattis.core.philox import key, lane
from mattis.mc import gpu, gpu_plans, reference
from mattis.mc.kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from mattis.mc.start import initial_spins
from mattis.mc.thresholds import logit, neglog, thresholds

ACCEPTANCE = {mt.HeatBath: HEAT_BATH, mt.Metropolis: METROPOLIS, mt.ZeroTemperature: DOWNHILL}
ORDERS = ("sequential", "permutation", "random")


def swept(device, energy, sampler, T, chains, sweeps, seed=11, parts=1, start="random"):
    """The kernel after ``sweeps`` sweeps in ``parts`` calls."""
    rule = Rule(ACCEPTANCE[type(sampler)], ORDERS.index(sampler.order), key(seed))
    spins = initial_spins(energy, start, len(T), chains, seed).reshape(energy.samples, -1, energy.N)
    lanes = lane(np.arange(len(T))[:, None], np.arange(chains)).ravel()
    kernel = gpu.kernel_for(energy, rule)(energy, range(energy.samples), spins, rule, lanes, device)
    scales = np.broadcast_to(energy.scale(np.repeat(T, chains)), (1, *spins.shape[:2]))
    for part in range(parts):
        kernel.sweep(scales, sweeps * part // parts, sweeps * (part + 1) // parts)
    return kernel


def expected(energy, sampler, T, chains, sweeps, seed=11, start="random"):
    spins = reference.final_spins(energy, sampler=sampler, T=T, chains=chains, sweeps=sweeps, start=start, seed=seed)
    return spins.reshape(energy.samples, -1, energy.N)


def check(kernel, energy, spins):
    assert np.array_equal(kernel.spins(), spins)
    M = np.stack([energy.overlaps(s, z) for z, s in enumerate(spins)])
    assert np.array_equal(kernel.overlaps(), M)
    assert np.array_equal(kernel.total(), [energy.total(m, z) for z, m in enumerate(M)])
    assert kernel.accepted.shape == spins.shape[:2]


def hebbian(N, K, samples=1):
    return mt.OverlapEnergy.hebbian(mt.patterns(N=N, K=K, samples=samples, seed=N))


def diluted(N, K, samples=1):
    return mt.OverlapEnergy.multitasking(mt.patterns(N=N, K=K, d=0.4, samples=samples, seed=N))


def dense(N, K, P, diagonal="excluded", samples=1):
    return mt.OverlapEnergy.dense(mt.patterns(N=N, K=K, samples=samples, seed=N), P=P, diagonal=diagonal)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("sampler", [mt.HeatBath, mt.Metropolis])
@pytest.mark.parametrize(
    ("energy", "T", "chains"),
    [
        (hebbian(33, 13, samples=2), [0.3, 0.6, 1.0, 1.5], 6),  # 24 lanes
        (hebbian(30, 7), [0.25, 0.9], 20),  # 40
        (hebbian(5, 1, samples=3), [0.4, 2.0], 2),
        (hebbian(1, 2), [0.8], 3),
        (diluted(37, 17), [0.2, 1.0], 4),
    ],
    ids=["33-13", "30-7", "5-1", "1-2", "diluted"],
)
def test_pairwise(device, monkeypatch, energy, T, chains, sampler, order):
    case = energy, sampler(order), T, chains
    spins = expected(*case, sweeps=5)
    kernel = swept(device(seed=1), *case, sweeps=5, parts=2)
    assert kernel.plan.name == "hop2_reg"
    check(kernel, energy, spins)
    monkeypatch.setattr(gpu_plans, "LANES_PER_BLOCK", 32)
    check(swept(device(seed=2), *case, sweeps=5), energy, spins)
    monkeypatch.setattr(gpu_plans, "REGISTER_PATTERNS", 0)
    for lanes_per_block in (32, 128):
        monkeypatch.setattr(gpu_plans, "LANES_PER_BLOCK", lanes_per_block)
        kernel = swept(device(seed=3), *case, sweeps=5, parts=3)
        assert kernel.plan.name == "hop2_smem"
        check(kernel, energy, spins)


@pytest.mark.parametrize("energy", [hebbian(17, 5, samples=3), dense(17, 5, 3, samples=3)], ids=["hopfield", "dense"])
def test_some_of_the_samples(device, energy):
    """A sample is addressed by its index, whichever others are there."""
    rule, lanes = Rule(METROPOLIS, 2, key(3)), lane(0, np.arange(4))
    spins = initial_spins(energy, "random", 1, 4, 3)[:, 0]
    scales = np.full((1, 1, 4), energy.scale(1.0))
    kernels = []
    for samples in ([0, 1, 2], [2, 0]):
        kernels.append(gpu.kernel_for(energy, rule)(energy, samples, spins[samples], rule, lanes, device()))
        kernels[-1].sweep(np.repeat(scales, len(samples), axis=1), 0, 4)
    for what in ("spins", "overlaps", "total"):
        every, some = (getattr(kernel, what)() for kernel in kernels)
        assert np.array_equal(every[[2, 0]], some)


def dense_temperatures(energy):
    """Below and above what a flip usually costs: |D| is about sqrt(K (P - 1)! N^(P - 1)), the unit T N^(P-1)/P."""
    unit = energy.P * np.sqrt(energy.K * float(factorial(energy.P - 1)) / float(energy.N) ** (energy.P - 1))
    return [0.3 * unit, 2.0 * unit]


@pytest.mark.parametrize(
    ("P", "diagonal", "integers", "sampler"),
    [
        *((3, "excluded", "int int", mt.HeatBath(order)) for order in ORDERS),
        *((3, "excluded", "int int", mt.Metropolis(order)) for order in ORDERS),
        (4, "included", "int int", mt.HeatBath("random")),
        (6, "excluded", "int i64", mt.Metropolis("permutation")),
        (8, "excluded", "i64 i64", mt.HeatBath("sequential")),
    ],
)
def test_dense(device, monkeypatch, P, diagonal, integers, sampler):
    energy = dense(29, 601, P, diagonal)
    case = energy, sampler, dense_temperatures(energy), 2
    spins = expected(*case, sweeps=2)
    kernels, types = [], set()
    for half, registers, threads in ((1024, 2**14, 1024), (0, 2**14, 1024), (0, 0, 1024)):
        monkeypatch.setattr(gpu_plans, "HALF_WORD_PATTERNS", half)
        monkeypatch.setattr(gpu_plans, "DENSE_REGISTER_PATTERNS", registers)
        monkeypatch.setattr(gpu_plans, "THREADS_PER_BLOCK", threads)
        kernel = swept(device(seed=half + registers + 1), *case, sweeps=2, parts=2)
        check(kernel, energy, spins)
        assert 0.05 < kernel.accepted.mean() / (2 * 29) < 0.95
        given = macros(kernel)
        types.add(f"{given['TERM']} {given['SUM']}")
        kernels.append((kernel.plan.name, given["THREADS"], given["OVERLAPS"]))
    assert types == {integers}
    assert kernels == [
        ("dense_block", "64", "Registers<u16>"),
        ("dense_block", "32", "Registers<u32>"),
        ("dense_smem", "32", "Shared<1>"),
    ]


def macros(kernel):
    return dict(option[2:].split("=") for option in kernel.plan.options[1:])


@pytest.mark.parametrize(("N", "K", "samples"), [(301, 37, 1), (1, 3, 2), (2, 1, 2), (3, 1099, 3)])
def test_dense_sizes(device, monkeypatch, N, K, samples):
    """More steps than thresholds in shared memory, one site, one pattern, several warps and words per thread."""
    energy = dense(N, K, 3, samples=samples)
    case = energy, mt.HeatBath("random"), [1.5, 4.0], 1
    spins = expected(*case, sweeps=3)
    check(swept(device(seed=1), *case, sweeps=3), energy, spins)
    monkeypatch.setattr(gpu_plans, "HALF_WORD_PATTERNS", 2**14)
    check(swept(device(seed=2), *case, sweeps=3, parts=3), energy, spins)
    monkeypatch.setattr(gpu_plans, "DENSE_REGISTER_PATTERNS", 0)
    check(swept(device(seed=3), *case, sweeps=3), energy, spins)
    monkeypatch.setattr(gpu_plans, "THREADS_PER_BLOCK", 32)
    kernel = swept(device(seed=4), *case, sweeps=3)
    check(kernel, energy, spins)
    assert macros(kernel)["OVERLAPS"] == f"Shared<{-(-K // 1024)}>"


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "energy", [hebbian(31, 5), diluted(40, 11), dense(31, 40, 3)], ids=["hopfield", "diluted", "dense"]
)
def test_zero_temperature(device, energy, order):
    case = energy, mt.ZeroTemperature(order), [0.0], 5
    kernel = swept(device(), *case, sweeps=4)
    check(kernel, energy, expected(*case, sweeps=4))
    assert 0 < kernel.accepted.sum() < kernel.accepted.size * 4 * energy.N / 2


@pytest.mark.parametrize(
    "energy", [hebbian(33, 13, samples=2), hebbian(33, 140), dense(33, 600, 4)], ids=["reg", "smem", "dense"]
)
def test_accepted_flips_are_counted(device, energy):
    """A sequential sweep visits each site once: what differs after it was accepted."""
    spins = initial_spins(energy, "random", 2, 3, 11).reshape(energy.samples, -1, energy.N)
    rule, lanes = Rule(HEAT_BATH, 0, key(11)), np.arange(6, dtype=np.uint64)
    kernel = gpu.kernel_for(energy, rule)(energy, range(energy.samples), spins, rule, lanes, device())
    scales, flips = np.full((1, *spins.shape[:2]), energy.scale(1.0)), 0
    for sweep in range(3):
        kernel.sweep(scales, sweep, sweep + 1)
        flips += np.count_nonzero(kernel.spins() != spins, axis=2)
        spins = kernel.spins()
    assert np.array_equal(kernel.accepted, flips)
    assert flips.all()


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("energy", [hebbian(21, 7, samples=2), dense(21, 40, 3, samples=2)], ids=["hopfield", "dense"])
def test_simulate(device, monkeypatch, energy, order):
    """A whole run: temperatures that change within a call, orders drawn a few sweeps at a time, tempering."""
    monkeypatch.setattr(gpu, "CupyDevice", device)
    monkeypatch.setattr(gpu, "_ORDER_BYTES", 4 * 2 * 21 * 3)
    run = {"T": [0.4, 1.1, 2.0], "chains": 2, "seed": 5, "sweeps": 4, "burn_in": 4, "every": 2}
    for sampler in (
        mt.Annealing(5.0, rule=mt.HeatBath(order)),
        mt.ParallelTempering(rule=mt.Metropolis(order), adapt=False),
    ):
        here, there = (mt.simulate(energy, sampler=sampler, **run, backend=where) for where in ("cpu", "gpu"))
        assert (there.backend, there.kernel) == ("gpu", "hop2" if energy.pairwise else "dense, device")
        assert here.sha256 == there.sha256
        for name in here:
            assert np.array_equal(here[name], there[name]), name


@pytest.mark.parametrize("blanks", [False, True])
def test_overlaps_fill_their_16_bits(device, monkeypatch, blanks):
    """The largest N: all spins and a pattern alike, so that halves begin at their ends."""
    xi = np.ones((2, 16383 if blanks else 32767), int)
    xi[1, ::2] = 0 if blanks else -1
    energy = mt.OverlapEnergy.multitasking(xi)
    for sign in (1, -1):
        case = energy, mt.HeatBath(), [0.6], 1
        start = np.full(energy.N, sign)
        spins = expected(*case, sweeps=1, start=start)
        check(swept(device(), *case, sweeps=1, start=start), energy, spins)
        with monkeypatch.context() as patch:
            patch.setattr(gpu_plans, "REGISTER_PATTERNS", 0)
            check(swept(device(), *case, sweeps=1, start=start), energy, spins)


@pytest.mark.parametrize("heat_bath", [False, True])
def test_thresholds(device, heat_bath):
    """Of every 64th word at 2^24, at scales from below one to beyond 32 bits."""
    u = (np.arange(2**18, dtype=np.uint32) << np.uint32(14)) + np.uint32(77)
    u = np.append(u, np.array([0, 255, 2**32 - 1], np.uint32))
    for scale in (0.7, 150.0, 8e4, 1e9, 2.0**100):
        wide, narrow = laws(device(), u, scale, heat_bath)
        x = (logit if heat_bath else neglog)(u) * np.float32(scale)
        assert np.array_equal(wide, thresholds(x, np.float32(1)))
        assert np.array_equal(narrow, np.floor(np.clip(x, -(2.0**31), 2.0**31 - 128)).astype(np.int32))


def laws(device, u, scale, heat_bath):
    file = str(Path(__file__).with_name("laws.cu"))
    options = tuple(o.replace("NAME=orders", "NAME=laws") for o in gpu_plans.ORDERS.options)
    plan = gpu_plans.Plan(file, "thresholds_of", options, gpu_plans.ORDERS.threads)
    wide, narrow = np.zeros(u.size, np.int64), np.zeros(u.size, np.int32)
    there = [device.put(array) for array in (u, wide, narrow)]
    device.launch(plan, 64, [*there, np.int32(heat_bath), np.float32(scale), np.int32(u.size)])
    return device.get(there[1]), device.get(there[2])


# --- planted faults --------------------------------------------------------------------------------------------------

TOTALS = "block_sum(moved(M, x, live, -2 * s).sum, all, part + 2 * WARPS * (buffer ^= 1));"
DOT = "block_sum(mine, dot, part + 2 * WARPS * (buffer ^= 1));"
SPIN = "if (me == 0) spins[i] = (signed char)-s;"
FAULTS = {
    "no double buffer": (
        (TOTALS, TOTALS.replace(" + 2 * WARPS * (buffer ^= 1)", "")),
        (DOT, DOT.replace(" + 2 * WARPS * (buffer ^= 1)", "")),
    ),
    "no barrier before the refill": (("        __syncthreads();\n        for (int block", "        for (int block"),),
    "a spin written after its barrier": ((SPIN, ""), ("        ++flips;\n", f"        ++flips;\n{SPIN}\n")),
    "no barrier in the sum": (
        (
            "  __syncthreads();\n#pragma unroll\n  for (int k = 0; k < COUNT; ++k) {\n    total",
            "#pragma unroll\n  for (int k = 0; k < COUNT; ++k) {\n    total",
        ),
    ),
    "a cast for the floor": (("__float2ll_rd(", "(i64)("),),
    "another stream": (("ACCEPTANCE_STREAM = 0", "ACCEPTANCE_STREAM = 1"),),
    "strictly below": (("<= threshold[t % CHUNK]", "< threshold[t % CHUNK]"),),
    "padding counts": (("left >= PATTERNS ? ~0u : left <= 0 ? 0u : (1u << left) - 1u", "~0u"),),
}


def differs(device, case, sweeps, spins):
    """Whether the kernel gives other spins, or threads that no longer agree wait for each other."""
    try:
        return not np.array_equal(swept(device, *case, sweeps=sweeps).spins(), spins)
    except RuntimeError as fault:
        return str(fault) == "DEADLOCK"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_dense_kernel_is_seen(shim, fault):
    """Two warps, or integers so small that thresholds often decide by one."""
    small = fault in ("a cast for the floor", "strictly below")
    energy, T = (dense(5, 3, 3), [0.3, 1.0]) if small else (dense(3, 1030, 3), [20.0, 60.0])
    case, sweeps = (energy, mt.HeatBath("random"), T, 4), 8
    spins = expected(*case, sweeps=sweeps)
    check(swept(shim(), *case, sweeps=sweeps), energy, spins)
    for schedule in range(4):
        assert differs(shim(seed=10 * schedule, edits=FAULTS[fault]), case, sweeps, spins)


@pytest.mark.parametrize(
    "edit",
    [
        ("__float2int_rd(", "(int)("),
        ("ACCEPTANCE_STREAM = 0", "ACCEPTANCE_STREAM = 1"),
        ("(a == 0 || t + a < N) && D", "D"),
        ("a * (5 - a) / 2 + b - 1", "a * (5 - a) / 2 + b"),
        ("0x10101010u", "0u"),
        ("32768u * Y", "0u * Y"),
        ("<= threshold[a]", "< threshold[a]"),
    ],
    ids=["cast", "stream", "dead sites", "couplings", "borrow", "bias", "equality"],
)
def test_a_fault_in_the_pairwise_kernel_is_seen(shim, monkeypatch, edit):
    monkeypatch.setattr(gpu_plans, "REGISTER_PATTERNS", 0)
    energy = hebbian(9, 5)
    case = energy, mt.HeatBath(), [0.3, 1.2], 8
    spins = expected(*case, sweeps=10)
    check(swept(shim(), *case, sweeps=10), energy, spins)
    assert not np.array_equal(swept(shim(edits=(edit,)), *case, sweeps=10).spins(), spins)


def test_a_contracted_sum_is_seen(shim):
    edits = (("__fadd_rn(__fmul_rn(p, t), c[k])", "fmaf(p, t, c[k])"),)
    u = np.arange(2**12, dtype=np.uint32) << np.uint32(20)
    assert not np.array_equal(laws(shim(edits=edits), u, 1e9, True)[0], laws(shim(), u, 1e9, True)[0])


def test_a_divergent_barrier_is_reported(shim):
    energy = dense(5, 601, 3)
    edits = ((SPIN, "if (me < 32) __syncthreads();"),)
    with pytest.raises(RuntimeError, match="DEADLOCK"):
        swept(shim(edits=edits), energy, mt.Metropolis(), [50.0], 1, sweeps=1)


def test_the_shim_checks_a_launch(shim):
    u = np.zeros(4, np.uint32)
    plan = gpu_plans.ORDERS
    order = np.zeros(5, np.int32)
    good = [order, u, np.int32(1), np.int32(5), np.int32(1), np.uint32(0), np.uint32(1), np.uint32(1), np.uint32(1)]
    shim().launch(plan, 1, good)
    assert np.array_equal(order, reference.sites("random", 5, 2**32 + 1, 0, 0))
    for k in (2, 5):
        with pytest.raises(RuntimeError, match="WRONG_ARGUMENTS"):
            shim().launch(plan, 1, [*good[:k], np.int64(good[k]), *good[k + 1 :]])
    with pytest.raises(RuntimeError, match="PARTIAL_WARP"):
        shim().launch(dataclasses.replace(plan, threads=48), 1, good)
    with pytest.raises(RuntimeError, match="TOO_MUCH_SHARED"):
        shim().launch(dataclasses.replace(plan, shared=2**20), 1, good)


def test_shared_memory_beyond_the_bytes_asked_for_is_reported(shim, monkeypatch):
    monkeypatch.setattr(
        gpu, "pairwise_plan", lambda *given: dataclasses.replace(gpu_plans.pairwise_plan(*given), shared=32)
    )
    with pytest.raises(RuntimeError, match="OUT_OF_BOUNDS"):
        swept(shim(), hebbian(9, 130), mt.Metropolis(), [1.0], 1, sweeps=1)


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("energy", "options", "message"),
    [
        (
            hebbian(9, 5),
            {"free": 100},
            "bytes of patterns and chains on the device must be <= 100, its free memory, got",
        ),
        (hebbian(9, 600), {"shared": 2**15}, "K must be <= 512, what a block of this device has room for, got 600"),
        (
            dense(9, 2**14 + 1, 3),
            {"shared": 2**15},
            "K must be so small that a block of this device, 32768 bytes, has room for 37408, got 16385",
        ),
    ],
    ids=["memory", "shared", "dense shared"],
)
def test_too_large_for_the_device(shim, energy, options, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        swept(shim(**options), energy, mt.Metropolis(), [1.0], 1, sweeps=1)


@pytest.mark.parametrize("order", ORDERS)
def test_many_patterns_go_to_shared_memory(shim, order):
    energy = hebbian(19, 131)
    case = energy, mt.Metropolis(order), [0.5, 3.0], 17
    kernel = swept(shim(shared=2**14), *case, sweeps=3)  # 34 lanes of 288 bytes would fit: blocks are multiples of 32
    assert (kernel.plan.name, kernel.plan.threads, kernel.plan.shared) == ("hop2_smem", 32, 9216)
    check(kernel, energy, expected(*case, sweeps=3))


def test_sums_beyond_64_bits_are_refused():
    with pytest.raises(ValueError, match=r"^K must be so small that 64 bits hold every sum at N = 1000, got 400$"):
        gpu_plans.dense_plan(400, 1000, [0, 1], [0, 0, 0, 0, 0, 5], Fraction(1), 2**16)
    assert gpu_plans.dense_plan(300, 1000, [0, 1], [0, 0, 0, 0, 0, 5], Fraction(1), 2**16).room == 512


def test_energies_without_a_kernel(monkeypatch, shim):
    monkeypatch.setattr(gpu, "CupyDevice", shim)
    J = mt.CouplingEnergy(np.array([[0.0, 1.0], [1.0, 0.0]]))
    run = {"T": 1.0, "chains": 1, "sweeps": 1, "burn_in": 0, "seed": 1, "backend": "gpu"}
    with pytest.raises(ValueError, match="backend must be 'cpu' for this energy: a device takes patterns"):
        mt.simulate(J, **run)
    with pytest.raises(ValueError, match="backend must be 'cpu' for parallel updates"):
        mt.simulate(hebbian(4, 2), sampler=mt.ZeroTemperature("parallel"), **run | {"T": 0.0})
    with pytest.raises(ValueError, match="backend must be 'cpu' for this energy"):
        mt.simulate(mt.OverlapEnergy.dense(np.array([[1, 0, -1]]), P=3), **run)
    with pytest.raises(ValueError, match="N must be <= 16383 on a device"):
        mt.simulate(diluted(16384, 1), **run)
    assert not gpu.worth_it(J, Rule(0, 0, (0, 0)), 2**20)


def test_large_runs_go_to_a_device_that_is_there(monkeypatch):
    rule = Rule(HEAT_BATH, 0, (0, 0))
    monkeypatch.setattr(gpu, "cupy", lambda: np)
    assert gpu.worth_it(hebbian(8, 2, samples=16), rule, 512)
    assert not gpu.worth_it(hebbian(8, 2, samples=16), rule, 511)
    assert gpu.worth_it(dense(8, 1024, 3), rule, 1024)
    monkeypatch.undo()
    monkeypatch.setattr("mattis.core.backend.find_spec", lambda name: None)
    assert not gpu.worth_it(hebbian(8, 2, samples=16), rule, 512)
