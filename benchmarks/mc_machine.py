"""Cases of ``mc_vs_peers.py`` about the machine: start-up, memory, threads, instruction sets, a device."""

import argparse
import os
import subprocess
import sys
import tempfile
import time

import mc_peers as peers
import numpy as np
from mc_measure import MIB, SEED, Chains, bytes_held, compare, in_turn, signs, spread, verdict

import mattis as mt
from mattis.mc.bits4 import Bits4
from mattis.mc.speculative import Speculative

ISA = {"native": {}, "AVX2": {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": ""}}
SAME = {"B1": (1000, 50, 1000), "B4": (4000, 200, 200)}  # N, K, sweeps a round
FIRST = """
from time import process_time as cpu
began = cpu()
import mattis as mt
mt.simulate
imported = cpu()
energy = mt.OverlapEnergy.hebbian(mt.patterns(N=1000, K=50, seed=1))
given = {"T": 1.0, "chains": 32, "sweeps": 100, "burn_in": 0, "seed": 1, "observables": ("energy",)}
a = cpu()
mt.simulate(energy, **given)
b = cpu()
mt.simulate(energy, **given)
print(imported - began, b - a, cpu() - b, sep="\\n")
"""


def hebbian(N=1000, K=50):
    """The Hopfield energy of random patterns."""
    return mt.OverlapEnergy.hebbian(signs(N, K))


def diluted(N=1000, K=500):
    """Patterns of nine blanks in ten."""
    return mt.OverlapEnergy.multitasking(mt.patterns(N=N, K=K, d=0.9, seed=1982))


def table(N=200, K=500):
    """An exponential of the overlaps."""
    return mt.OverlapEnergy.table(signs(N, K), np.exp(np.arange(-N, N + 1) / 20))


def glass(N=500):
    """Gaussian couplings."""
    J = np.random.default_rng(1).normal(size=(N, N)) / N**0.5
    return mt.CouplingEnergy(J + J.T)


def dense(P, N, K):
    """Patterns of signs, P spins at a time."""
    return mt.OverlapEnergy.dense(signs(N, K), P=P)


# energy, sampler, T, chains, and the kernel where a single chain has two: every kernel once
KERNELS = (
    (hebbian, mt.HeatBath(), 1.0, 32),
    (lambda: hebbian(4000, 200), mt.HeatBath(), 1.0, 32),
    (lambda: hebbian(10_000, 1000), mt.HeatBath(), 1.0, 32),
    (hebbian, mt.HeatBath("permutation"), 1.0, 32),
    (diluted, mt.HeatBath(), 0.1, 32),
    (hebbian, mt.HeatBath(), 0.2, 1, Speculative),
    (lambda: hebbian(4000, 192), mt.HeatBath(), 1.0, 1, Bits4),
    (hebbian, mt.HeatBath("random"), 1.0, 1),
    (lambda: dense(3, 500, 25_000), mt.HeatBath(), 1.0, 1),
    (lambda: dense(4, 200, 80_000), mt.HeatBath(), 1.0, 1),
    (table, mt.HeatBath(), 1.0, 1),
    (glass, mt.HeatBath(), 1.0, 1),
    (lambda: hebbian(4000, 200), mt.ZeroTemperature("parallel"), 0.0, 32),
)


def chains_of(index, apart):
    """A line of KERNELS in words, its chains after eight sweeps (of the one kernel if ``apart``), and CPU seconds."""
    energy, sampler, T, chains, *kernel = KERNELS[index]
    made = energy()
    P = f"P={made.P}, " if isinstance(made, mt.OverlapEnergy) and made.F is None else ""
    words = f"{P}N={made.N}, K={made.K}, {chains} lanes, {type(sampler).__name__}, {sampler.order}"
    began = time.process_time()
    swept = Chains(made, sampler, T, chains, warm=8, kernel=kernel[0] if kernel and apart else None)
    return words, swept, time.process_time() - began


def child(arguments, **environment):
    """The lines that a new Python prints."""
    told = subprocess.run(
        [sys.executable, *arguments], env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return told.stdout.splitlines()


def start_up(repeats):
    """Import, first call with and without compiled code on disk, and the first sweeps of every kernel without it."""
    print("\nB13: start-up, CPU seconds in a new process (32 chains, N=1000, K=50, 100 sweeps)")
    with tempfile.TemporaryDirectory() as empty:
        cold = [float(x) for x in child(["-c", FIRST], MATTIS_CACHE=empty)]
        warm = [[float(x) for x in child(["-c", FIRST], MATTIS_CACHE=empty)] for _ in range(repeats)]
    imported, first, second = np.array(warm).T
    print(f"  import            {spread(imported, '.2f')}  {verdict(np.median(imported), ceiling=0.5)}")
    print(f"  warm first call   {spread(first, '.2f')}  {verdict(np.median(first), ceiling=0.5)}")
    print(f"  warm second call  {spread(second, '.2f')}\n  cold first call   {cold[1]:.2f}")
    for index in range(len(KERNELS)):
        with tempfile.TemporaryDirectory() as empty:
            seconds, name, words = child([__file__, "--compile", str(index)], MATTIS_CACHE=empty)
        spent = float(seconds)
        print(f"  compiled in {spent:5.2f} s  {name:24}{words}  {verdict(spent, ceiling=5)}", flush=True)


def memory(repeats):
    """What kernels and tables hold, and for N = 4000 what the libraries take."""
    print("\nB14: arrays of a kernel and its tables, MiB, and as a part of 4 (N K/8 + R (N + 2 K)) bytes")
    for index, (_, _, _, chains, *_) in enumerate(KERNELS):
        words, made, _ = chains_of(index, apart=False)
        N, K, held = made.energy.N, made.energy.K, bytes_held(made.kernel)
        part = held / (4 * (N * K / 8 + chains * (N + 2 * K)))
        goal = verdict(part, ceiling=1) if K else "J was asked for"
        print(f"  {made.name:24}{held / MIB:9.2f}  {part:6.2f}  {words}  {goal}", flush=True)
    xi = signs(4000, 200)
    for name, library in peers.libraries().items():
        print(
            f"  {name:24}{library(xi, 1.0, xi[0]).mib():9.0f}          N=4000, peak above J and its imports", flush=True
        )


class Threaded:
    """``simulate`` of eight samples, 32 chains each, on some threads: wall time."""

    def __init__(self, N, K, threads):
        xi = np.stack([signs(N, K, seed) for seed in range(8)])
        self._energy, self._threads, self.attempts = mt.OverlapEnergy.hebbian(xi), threads, 8 * 32 * N
        self.seconds(1)

    def seconds(self, sweeps):
        """Wall seconds of a call."""
        given = {"T": 1.0, "chains": 32, "burn_in": sweeps, "sweeps": 0, "seed": SEED}
        began, before = time.perf_counter(), time.process_time()
        self.sha256 = mt.simulate(self._energy, threads=self._threads, sampler=mt.Metropolis(), **given).sha256
        self.work = time.process_time() - before
        return time.perf_counter() - began


def threads(repeats):
    """Two threads against one."""
    print(f"\nB15: eight samples, 32 lanes, Metropolis, T=1, wall time of simulate; load {os.getloadavg()[0]:.2f}")
    for N, K, sweeps in ((1000, 50, 2000), (4000, 200, 300)):
        one, two = Threaded(N, K, 1), Threaded(N, K, 2)
        rates = in_turn({"1": (one, sweeps), "2": (two, sweeps)}, repeats)
        gain = rates["2"] / rates["1"]
        same = "equal" if one.sha256 == two.sha256 else "UNEQUAL"
        work = f"CPU of two {two.work / one.work:.2f} of one"
        print(f"  N={N}, K={K}: {' and '.join(f'{np.median(r) / 1e6:.4g}' for r in rates.values())} M/s, ", end="")
        print(f"gain {spread(gain, '.3g')}, {work}, hashes {same}  {verdict(np.median(gain), 1.8)}", flush=True)


def avx2(repeats):
    """Code for a processor without AVX-512: the same spins, and the rate."""
    print("\nAVX2: code for haswell against code for this processor, M/s, Metropolis, T=1, 32 lanes")
    with tempfile.TemporaryDirectory() as empty:
        for case in SAME:
            rates, hashes = {name: [] for name in ISA}, set()
            for _ in range(repeats):
                for name, environment in ISA.items():
                    rate, sha256 = child([__file__, "--rate", case], MATTIS_CACHE=empty, **environment)
                    rates[name].append(float(rate))
                    hashes.add(sha256)
            native, narrow = (np.array(rates[name]) for name in ISA)
            same = "equal" if len(hashes) == 1 else "UNEQUAL"
            told = f"{np.median(native):.4g} and {np.median(narrow):.4g}, ratio {spread(narrow / native, '.2f')}"
            print(f"  {case}: {told}, hashes {same}  {verdict(np.median(narrow / native), 0.55)}", flush=True)


def device(title, energy, T, chains, sweeps, repeats, unit, size, goal):
    """All samples on a device, by wall time, and at most 32 chains of the first one on a core, by CPU time."""
    print(f"\n{title}")
    rule, T = mt.Metropolis(), np.atleast_1d(T)
    try:
        there = Chains(energy, rule, T, chains, "pattern", device=True)
    except mt.BackendUnavailable as missing:
        print(f"  not measured, there is no device here: {missing}")
        return
    core = Chains(energy, rule, T[:32], min(chains, 32), "pattern")
    lanes = len(core.spins())
    same = "equal" if np.array_equal(core.spins(), there.spins()[:lanes]) else "UNEQUAL"
    programs = {"device": (there, sweeps), "one core": (core, max(1, sweeps // 20))}
    compare(
        f"  spins of the first {lanes} chains {same}", programs, repeats, unit=unit, size=size, floors={"device": goal}
    )


def device_pairwise(repeats):
    """P = 2 in registers."""
    xi = np.stack([signs(1024, 52, seed) for seed in range(1024)])
    title = "G1: P=2, N=1024, K=52, 1024 samples of 64 temperatures"
    device(title, mt.OverlapEnergy.hebbian(xi), np.linspace(0.2, 1.6, 64), 1, 500, repeats, "G/s", 1e9, 60)


def device_dense(repeats):
    """P = 3 in registers and in shared memory."""
    for K in (8192, 25_600):
        title = f"G2: P=3, N=512, K={K}, 264 chains"
        device(title, dense(3, 512, K), 0.15, 264, 100, repeats, "T terms/s", 1e12 / K, 2)


def main():
    """What ``start_up`` and ``avx2`` ask of new processes."""
    parser = argparse.ArgumentParser(description="One measurement in a process of its own")
    parser.add_argument(
        "--compile", type=int, help="a line of KERNELS: seconds of its first sweeps beyond those of a second run"
    )
    parser.add_argument("--rate", choices=SAME, help="rate and hash of a case")
    asked = parser.parse_args()
    if asked.compile is not None:
        (words, chains, cold), (_, _, warm) = (chains_of(asked.compile, apart=True) for _ in range(2))
        print(cold - warm, chains.name, words, sep="\n")
        return
    N, K, sweeps = SAME[asked.rate]
    chains = Chains(hebbian(N, K), mt.Metropolis(), 1.0, 32)
    rates = in_turn({"rate": (chains, sweeps)}, 7)["rate"]
    print(np.median(rates) / 1e6, chains.sha256, sep="\n")


if __name__ == "__main__":
    main()
