r"""The Monte Carlo of this package against what one would use instead: public cases B1 to B15, G1 and G2.

Programs are measured in turn in one process (A, B, A, B), by the CPU time of their thread; ratios are taken within
each round, and medians given with the least and the largest. Rates are attempts (or terms of the sums over patterns)
per second of one core; ``MiB`` is what a kernel and its tables hold, or the peak of a library above its imports. Floors
are goals of this project, for a core of the year 2022. Nothing is installed: dwave-samplers and openjij are taken where
present.

    python benchmarks/mc_vs_peers.py                  all cases, about ten minutes
    python benchmarks/mc_vs_peers.py B1 B8 --quick    some of them, three rounds in place of seven
"""

import os

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # rates of one core

import argparse
import platform
import time
from functools import cache, partial
from pathlib import Path

import mc_machine
import mc_peers as peers
import numba
import numpy as np
from mc_measure import SEED, Chains, compare, in_turn, signs, spread

import mattis as mt
from mattis.core.philox import fill_words
from mattis.mc.fill import SEEDS, fill_chain, fill_lanes, seed_lanes

LANES = 32
installed = cache(peers.libraries)


def ours(energy, T, sweeps, chains=1, start="random"):
    """Both rules on one energy, as ``compare`` takes them."""
    return {
        name: (Chains(energy, sampler, T, chains, start), sweeps)
        for name, sampler in (("Metropolis", mt.Metropolis()), ("heat bath", mt.HeatBath()))
    }


def pairwise(title, repeats, N, K, T, sweeps, others, *, chains=1, start="random", floors=None):
    """P = 2 against the peers named in ``others`` (sweeps per round), each from the state ours has warmed up to."""
    xi = signs(N, K)
    programs = ours(mt.OverlapEnergy.hebbian(xi), T, sweeps, chains, start)
    spins = programs["Metropolis"][0].spins()[0]
    for name, library in installed().items():
        if library.package in others:
            programs[name] = library(xi, T, spins), others[library.package]
    programs["Numba, cached fields"] = peers.cached_fields(xi, T, spins), others["Numba"]
    title = f"{title}: P=2, N={N}, K={K}, {chains} lane{'s' * (chains > 1)}, T={T}, {start} start"
    compare(title, programs, repeats, floors=floors)


def b1(repeats):
    """Many accepted flips."""
    floors = {"Metropolis": 400, "openjij": 50, "dwave-samplers": 200, "Numba": 40}
    others = {"dwave-samplers": 500, "openjij": 2000, "Numba": 2000}
    pairwise("B1", repeats, 1000, 50, 1.0, 1000, others, chains=LANES, floors=floors)


def b2(repeats):
    """Few accepted flips: the peers at their best."""
    floors = {"Metropolis": 400, "openjij": 8, "dwave-samplers": 8, "Numba": 8}
    others = {"dwave-samplers": 10_000, "openjij": 20_000, "Numba": 10_000}
    pairwise("B2", repeats, 1000, 50, 0.3, 1000, others, chains=LANES, start="pattern", floors=floors)


class Framed:
    """``simulate`` whole, less the set-up of a call; its draws are taken every sweep."""

    def __init__(self, energy, sampler, T):
        self.attempts, self._mean = energy.N * len(T), (float("nan"),) * 2
        self._call = partial(mt.simulate, energy, sampler=sampler, T=T, chains=1, burn_in=0, seed=SEED, threads=1)
        self._timed(1)

    def _timed(self, sweeps):
        before = time.process_time()
        ds = self._call(sweeps=sweeps, observables=("overlap", "energy"))
        spent = time.process_time() - before
        self._mean = float(ds.acceptance.mean()), float(ds.energy.isel(draw=-1).mean())
        return spent

    def seconds(self, sweeps):
        """CPU seconds of so many sweeps."""
        set_up = self._timed(1)
        return self._timed(1 + sweeps) - set_up

    def acceptance(self):
        """Flips per attempt."""
        return self._mean[0]

    def per_spin(self):
        """Energy per spin of the last draw."""
        return self._mean[1]

    def mib(self):
        """Its draws are counted with the user's memory."""
        return float("nan")


def b3(repeats):
    """Parallel tempering: the kernel bare, and in its frame."""
    xi, ladder = signs(1000, 50), np.linspace(0.2, 1.6, LANES)
    energy, rule = mt.OverlapEnergy.hebbian(xi), mt.Metropolis()
    bare = Chains(energy, rule, ladder)
    programs = {
        "bare kernel": (bare, 2000),
        "simulate": (Framed(energy, mt.ParallelTempering(adapt=False, rule=rule), ladder), 2000),
        "Numba, Python swaps": (peers.tempering(xi, ladder, bare.spins()), 50),
    }
    title = "B3: P=2, N=1000, K=50, tempering of 32 temperatures 0.2 to 1.6, a swap round and a draw every sweep"
    rates = compare(title, programs, repeats)
    print(f"  lost to the frame: {spread(1 - rates['simulate'] / rates['bare kernel'], '.2f')}")
    print(f"  simulate / Numba, Python swaps: {spread(rates['simulate'] / rates['Numba, Python swaps'], '.4g')}")


def b4(repeats):
    """Larger."""
    floors = {"Metropolis": 200, "dwave-samplers": 400, "Numba": 150}
    pairwise("B4", repeats, 4000, 200, 1.0, 200, {"dwave-samplers": 50, "Numba": 50}, chains=LANES, floors=floors)


def b5(repeats):
    """Fields that leave 16 bits."""
    pairwise("B5", repeats, 10_000, 1000, 1.0, 20, {"Numba": 5}, chains=LANES, floors={"Metropolis": 60})


def b6(repeats):
    """One chain at low acceptance."""
    others = {"dwave-samplers": 10_000, "openjij": 20_000, "Numba": 10_000}
    for T, floor in ((0.2, 600), (0.3, None)):
        pairwise("B6", repeats, 1000, 50, T, 50_000, others, start="pattern", floors={"Metropolis": floor})


def b7(repeats):
    """One chain at high acceptance."""
    pairwise("B7", repeats, 4000, 192, 1.0, 3000, {"Numba": 50}, floors={"Metropolis": 70})
    pairwise("B7", repeats, 1000, 50, 1.0, 20_000, {"Numba": 2000}, floors={"Metropolis": 90})


def dense(title, repeats, P, N, K, T, sweeps, floors):
    """P >= 3 with the diagonal included, so that ours and the loops have one law."""
    xi = signs(N, K)
    programs = ours(mt.OverlapEnergy.dense(xi, P=P, diagonal="included"), T, sweeps, start="pattern")
    spins = programs["Metropolis"][0].spins()[0]
    programs["Numba, q q q"] = peers.dense_loop(xi, P, T, spins, peers.product), max(1, sweeps // 10)
    programs["Numba, q**P"] = peers.dense_loop(xi, P, T, spins, peers.power), max(1, sweeps // 100)
    programs["NumPy"] = peers.dense_numpy(xi, P, T, spins), max(1, sweeps // 200)
    title = f"{title}: P={P}, N={N}, K={K}, one chain, T'={T}, pattern start"
    compare(title, programs, repeats, unit="G terms/s", size=1e9 / K, floors=floors)


def b8(repeats):
    """Dense, many patterns."""
    dense("B8", repeats, 3, 500, 25_000, 0.15, 300, {"Numba, q q q": 3.5, "Numba, q**P": 60})
    dense("B8", repeats, 3, 500, 25_000, 1.0, 200, {"Metropolis": 12, "Numba, q q q": 2.5, "Numba, q**P": 40})


def b9(repeats):
    """Dense with four spins."""
    dense("B9", repeats, 4, 200, 80_000, 0.15, 200, {"Numba, q q q": 3.5, "Numba, q**P": 60})


def b10(repeats):
    """Diluted patterns, 40 nonzeros per site."""
    N, K, d = 4000, 4000, 0.99
    xi = mt.patterns(N=N, K=K, d=d, seed=1982)
    T = 0.3 * (1 - d)
    programs = ours(mt.OverlapEnergy.multitasking(xi), T, 200, LANES, "pattern")
    spins = programs["Metropolis"][0].spins()[0]
    programs["Numba, SciPy sparse"] = peers.sparse(xi.values[0], T, spins), 500
    title = f"B10: diluted, N={N}, K={K}, d={d}, {LANES} lanes, T={T:.3g}, pattern start"
    compare(title, programs, repeats, floors={"Metropolis": 200})


def b11(repeats):
    """Parallel dynamics."""
    N, K, R = 4000, 200, 512
    xi = signs(N, K)
    chains = Chains(mt.OverlapEnergy.hebbian(xi), mt.ZeroTemperature("parallel"), 0.0, R, warm=2)
    programs = {"Little": (chains, 10), "NumPy, J": (peers.little(xi, chains.spins()), 1)}
    compare(f"B11: Little dynamics, P=2, N={N}, K={K}, {R} lanes", programs, repeats)


@numba.njit(nogil=True)
def _words(u, sweeps):
    for row in range(sweeps):
        fill_words(u, 1, 2, 0, row, 0, 0)
    return 0


@numba.njit(nogil=True)
def _chain(out, acceptance, sweeps):
    for row in range(sweeps):
        fill_chain(out, 1, 2, row, 0, 0, np.float32(500), acceptance)
    return 0


@numba.njit(nogil=True)
def _lanes(out, seeds, minus_scales, lanes, scales, blocks, acceptance, sweeps):
    for row in range(sweeps):
        seed_lanes(seeds, minus_scales, out, 1, 2, row, lanes, scales)
        for block in range(blocks):
            fill_lanes(out, seeds, minus_scales, 1, 2, block, 0, acceptance)
    return 0


@numba.njit(nogil=True)
def _numba_random(out, sweeps):
    for _ in range(sweeps):
        for k in range(out.size):
            out[k] = np.random.random()  # noqa: NPY002
    return 0


def b12(repeats):
    """Random numbers and thresholds, 10^8 a round."""
    size, rounds = 2**14, 10**8 // 2**14
    out, block, seeds = np.empty(size, np.int16), np.empty(4 * LANES, np.int16), np.empty(SEEDS, np.uint64)
    lanes = (
        block,
        seeds,
        np.empty(LANES, np.float32),
        np.arange(LANES, dtype=np.uint64),
        np.full(LANES, 500, np.float32),
    )
    programs = {
        "Philox, a word": peers.Loop(_words, (np.empty((4, size // 4), np.uint32),), (), size),
        "np.random in Numba": peers.Loop(_numba_random, (np.empty(size),), (), size),
    }
    for acceptance, name in enumerate(("Metropolis", "heat bath")):
        programs[f"{name}, a chain"] = peers.Loop(_chain, (out,), (acceptance,), size)
        programs[f"{name}, 32 lanes"] = peers.Loop(_lanes, lanes, (size // block.size, acceptance), size)
    rates = in_turn({name: (program, rounds) for name, program in programs.items()}, repeats)
    print("\nB12: random words and thresholds, ns each, and np.random to it")
    for name, rate in rates.items():
        print(f"  {name:22}{1e9 / np.median(rate):12.3f}  {spread(rate / rates['np.random in Numba'], '.3g')}")


CASES = {f.__name__.upper(): f for f in (b1, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12)} | {
    "B13": mc_machine.start_up,
    "B14": mc_machine.memory,
    "B15": mc_machine.threads,
    "AVX2": mc_machine.avx2,
    "G1": mc_machine.device_pairwise,
    "G2": mc_machine.device_dense,
}


def processor():
    """What the system calls its processor."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())


def main():
    """Run the cases asked for."""
    parser = argparse.ArgumentParser(description="The Monte Carlo against its peers")
    parser.add_argument("cases", nargs="*", metavar="case", help=f"some of {' '.join(CASES)}; default all")
    parser.add_argument("--quick", action="store_true", help="three rounds in place of seven")
    asked = parser.parse_args()
    if unknown := set(asked.cases) - set(CASES):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {' '.join(CASES)}")
    print(f"{processor()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    versions = f"Python {platform.python_version()}, numpy {np.__version__}, numba {numba.__version__}"
    print(f"mattis {mt.__version__}, {versions}, OpenBLAS with one thread")
    if os.getloadavg()[0] > os.cpu_count() / 2:
        print("this machine is busy with other work: rates suffer, and wall times (B15, G1, G2) say little")
    for name in asked.cases or CASES:
        CASES[name](3 if asked.quick else 7)
    print(f"\nload {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
