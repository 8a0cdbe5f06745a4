r"""Attempted flips per CPU second of ``mattis.simulate``, against a plain Numba loop with cached fields, in one run.

The kernel measured is the plain one of this version: one chain at a time, integer overlaps, each attempt reads the K
patterns of its site (cost ~ K). Blocked kernels come later. The peer keeps the N local fields h = J sigma in float64:
an attempt costs O(1), an accepted flip N additions; its couplings, N^2 numbers, are made outside the clock. So the
peer does well where few flips are accepted. ``simulate`` is timed whole: set-up, thresholds, one draw per sweep.
Both sample the same law: the energies per spin are printed side by side.

    python benchmarks/mc_speed.py          about a minute
"""

import os
import time

import numba
import numpy as np

import mattis as mt

SIZES = ((1000, 50), (2000, 100))
TEMPERATURES = (0.3, 1.0)
REPEATS = 5
ATTEMPTS = {0.3: 10_000_000, 1.0: 4_000_000}


@numba.njit
def cached_fields(sigma, J, T, sweeps, heat_bath):
    """Sweeps in sequential order; returns the accepted flips and the mean energy per spin of the second half."""
    N, accepted, total = sigma.size, 0, 0.0
    h = J @ sigma
    for sweep in range(sweeps):
        for i in range(N):
            cost = 2 * sigma[i] * h[i]
            p = 1 / (1 + np.exp(cost / T)) if heat_bath else np.exp(-cost / T)
            if np.random.random() < p:  # noqa: NPY002
                sigma[i] = -sigma[i]
                accepted += 1
                for j in range(N):
                    h[j] += 2 * sigma[i] * J[i, j]
        if 2 * sweep >= sweeps:
            total -= 0.5 * np.dot(sigma, h) / N
    return accepted, total / (sweeps - sweeps // 2)


def peer(xi, T, sweeps, heat_bath):
    """(CPU seconds, acceptance, energy per spin) of one chain that starts from the first pattern."""
    N = xi.shape[1]
    J = xi.T @ xi / N
    np.fill_diagonal(J, 0.0)
    sigma = xi[0].copy()
    before = time.process_time()
    accepted, energy = cached_fields(sigma, J, T, sweeps, heat_bath)
    return time.process_time() - before, accepted / (N * sweeps), energy


def ours(energy, T, sweeps, sampler, threads):
    """(CPU seconds, wall seconds, energy per spin) of one chain per thread."""
    before, began = time.process_time(), time.perf_counter()
    ds = mt.simulate(
        energy,
        sampler=sampler,
        T=T,
        chains=threads,
        sweeps=sweeps - sweeps // 2,
        burn_in=sweeps // 2,
        start="pattern",
        seed=1985,
        threads=threads,
        observables=("energy",),
    )
    return time.process_time() - before, time.perf_counter() - began, float(ds.energy.mean())


def row(N, K, T, sampler):
    """One line of the table: medians over interleaved repeats."""
    xi = mt.patterns(N=N, K=K, seed=1982)
    energy, real, sweeps = mt.OverlapEnergy.hebbian(xi), xi.values[0].astype(float), ATTEMPTS[T] // N
    attempts, heat_bath = N * sweeps, isinstance(sampler, mt.HeatBath)
    one, two, other, ratio, gain = [], [], [], [], []
    for repeat in range(REPEATS + 1):
        a, wall_1, e = ours(energy, T, sweeps, sampler, 1)
        b, accepted, e_peer = peer(real, T, sweeps, heat_bath)
        c, wall_2, _ = ours(energy, T, sweeps, sampler, 2)
        if repeat:  # the first run loads or compiles the kernels
            one.append(attempts / a / 1e6)
            two.append(2 * attempts / c / 1e6)
            other.append(attempts / b / 1e6)
            ratio.append(b / a)
            gain.append(2 * wall_1 / wall_2)
    m = [float(np.median(v)) for v in (one, two, other, ratio, gain)]
    print(
        f"{type(sampler).__name__:10} {N:5} {K:4} {T:4.1f} {accepted:7.3f} {m[0]:8.1f} {m[1]:9.1f} {m[2]:8.1f} "
        f"{m[3]:8.2f} [{min(ratio):.2f}, {max(ratio):.2f}] {m[4]:7.2f} {e:10.4f} {e_peer:8.4f}"
    )


def main():
    """Print the table."""
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores; millions of attempts per CPU second")
    print(
        "sampler        N    K    T  accept  1 thread 2 threads     peer    ratio  (range)   gain of 2   e     e peer"
    )
    for N, K in SIZES:
        for T in TEMPERATURES:
            for sampler in (mt.HeatBath(), mt.Metropolis()):
                row(N, K, T, sampler)
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
