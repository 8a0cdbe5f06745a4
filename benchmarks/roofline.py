r"""The dense kernel against the speed at which one core reads memory, in one run.

A proposal of P >= 3 is one sum over K patterns. With b(M) cached in 32 bits it reads 4 bytes and one bit per pattern
and no less. Its rooflines are plain reads of 256 KiB again and again (``of L2``), and of the 4 K bytes of B (``of its
B``); all are measured in turn (A, B, A, B), by the CPU time of the thread. Where the kernel reads overlaps of 16 bits
instead these fractions may exceed 1: ``reads`` counts the bytes per pattern that it does read, against a read of as
many.

    python benchmarks/roofline.py [--quick]
"""

import argparse
import os
import time

import numba
import numpy as np
from mc_measure import Chains, in_turn, signs, spread, verdict

import mattis as mt
from mattis.mc import simd
from mattis.mc.dense import Dense

KIB = 2**10
SIZES = tuple(KIB * n for n in (16, 32, 64, 128, 256, 512, 768, 1024, 1536, 2048, 4096, 8192, 16384, 65536))
CASES = ((3, 200, 2000), (3, 500, 25_000), (4, 200, 80_000), (3, 1000, 100_000))
TEMPERATURES = (0.15, 1.0)
L2 = 256 * KIB
TERMS = 1_000_000_000  # a round
WIDTH = {"halves": 2, "words": 4, "wide": 8}  # bytes per pattern by route
load, zero, hsum = simd.W.load, simd.W.splat, simd.W.hsum


@numba.njit(nogil=True)
def _read(array, passes):
    """Sums an int32 array again and again, eight vectors of 64 bytes at a time."""
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = zero(np.int32(0))
    for _ in range(passes):
        for at in range(0, array.size - 127, 128):
            s0 = s0 + load(array, at)
            s1 = s1 + load(array, at + 16)
            s2 = s2 + load(array, at + 32)
            s3 = s3 + load(array, at + 48)
            s4 = s4 + load(array, at + 64)
            s5 = s5 + load(array, at + 80)
            s6 = s6 + load(array, at + 96)
            s7 = s7 + load(array, at + 112)
    return hsum(((s0 + s1) + (s2 + s3)) + ((s4 + s5) + (s6 + s7)))


class Read:
    """Reads of one array; an attempt is a byte."""

    def __init__(self, size):
        self._array = simd.aligned((size // 512 * 128,), np.int32)  # whole turns of the loop
        self._array[:] = 1  # memory of its own, not the page of zeros
        self.attempts = self._array.nbytes
        self.passes = max(1, 2**28 // self.attempts)
        self.seconds(1)

    def seconds(self, passes):
        """CPU seconds of so many passes."""
        before = time.thread_time()
        _read(self._array, passes)
        return time.thread_time() - before


def memory(repeats):
    """GB/s of plain reads by the size of what is read."""
    print("\nread of one core, GB/s, by working set")
    reads = {size: Read(size) for size in SIZES}
    rates = in_turn({size: (read, read.passes) for size, read in reads.items()}, repeats)
    for size, rate in rates.items():
        print(f"  {size // KIB:8} KiB  {spread(rate / 1e9, '.1f')}")


def dense(P, N, K, T, repeats):
    """One line: the kernel and three reads in turn."""
    energy = mt.OverlapEnergy.dense(signs(N, K), P=P)
    chain = Chains(energy, mt.Metropolis(), T, 1, "pattern", warm=50)
    chain.seconds(50)
    quiet, busy = (WIDTH[name] for name in Dense.tables(energy, 0).route)
    narrow = busy if chain.acceptance() >= 0.25 else quiet
    reads = {"L2": Read(L2), "cached": Read(4 * K), "own": Read(narrow * K)}
    programs = {name: (read, read.passes) for name, read in reads.items()}
    rates = in_turn({"dense": (chain, max(1, TERMS // (N * K)))} | programs, repeats)
    terms = rates["dense"] * K
    of_L2, of_cached = (4.125 * terms / rates[name] for name in ("L2", "cached"))
    of_own = (narrow + 0.125) * terms / rates["own"]
    goal = (0.75 if 4 * K <= 128 * KIB else 0.65) if chain.acceptance() < 0.05 else None
    print(
        f"  P={P} N={N:4} K={K:6} T'={T:4}  {chain.acceptance():7.4f}  {spread(terms / 1e9, '.1f'):19}"
        f"{4 * K // KIB:5}  {spread(of_L2, '.2f'):19}{spread(of_cached, '.2f'):19}"
        f"{narrow:3} {spread(of_own, '.2f'):19}{chain.sha256}  {verdict(np.median(of_L2), goal)}",
        flush=True,
    )


def main():
    """Print both tables."""
    parser = argparse.ArgumentParser(description="The dense kernel against the read speed of one core")
    parser.add_argument("--quick", action="store_true", help="three rounds in place of nine")
    repeats = 3 if parser.parse_args().quick else 9
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
    memory(repeats)
    print("\ndense, one chain, Metropolis, diagonal out, pattern start")
    columns = (("", 29), ("accepted  G terms/s", 30), ("KiB", 4), ("of L2", 19), ("of its B", 18), ("reads", 19))
    print("  " + "".join(f"{title:{width}}" for title, width in columns))
    for P, N, K in CASES:
        for T in TEMPERATURES:
            dense(P, N, K, T, repeats)
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
