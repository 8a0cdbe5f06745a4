r"""Effective fields and mean field against the exact Monte Carlo of the package, in one run, by CPU time of one core.

First what a step costs: a sweep of heat bath from the pattern, and the fields of all sites in each mode, measured in
turn; a field of eight lanes serves eight temperatures or starts. Then what an answer costs: the overlap with the
retrieved pattern by mean field, its distance from a long simulation of the same samples, and the time in which one
chain of ``simulate`` reaches an error as small, 2 tau var/error^2 sweeps after ten times tau (as small as the long
simulation knows the overlap, where mean field is nearer than that).

    python benchmarks/effective_field.py [--quick]
"""

import argparse
import os
import time

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # rates of one core

import numpy as np
from mc_measure import SEED, Chains, compare, signs

import mattis as mt
from mattis.mc.effective_field import MODES, effective_field
from mattis.mc.mean_field import mean_field
from mattis.mc.stats import tau_int

# P, N, gamma, T', samples, sweeps of the long simulation
CASES = ((3, 200, 0.2, 0.5, 8, 4000), (3, 400, 0.2, 0.5, 4, 2000), (3, 600, 0.2, 0.5, 2, 1000))
CASES += ((4, 200, 0.2, 0.5, 2, 1000), (4, 300, 0.2, 0.5, 1, 200))
ROUNDS, SECONDS = 5, 0.5


class Field:
    """The fields of so many lanes of averages again and again; an attempt is a site."""

    def __init__(self, energy, mode, T, lanes):
        m = np.random.default_rng(1).uniform(-1, 1, (1, lanes, energy.N))
        self._make = lambda: effective_field(energy, m, mode=mode, T=T if mode == "plefka2" else None)
        self.attempts = energy.N * lanes
        self.seconds(1)

    def seconds(self, times):
        """CPU seconds of this thread for so many fields."""
        before = time.thread_time()
        for _ in range(times):
            self._make()
        return time.thread_time() - before

    def acceptance(self):
        return np.nan

    def per_spin(self):
        return np.nan

    def mib(self):
        return np.nan


def load_of(P, N, gamma):
    """K = gamma (2/P!) N^(P-1)."""
    return round(2 * gamma / np.prod(range(1, P + 1)) * N ** (P - 1))


def step(P, N, gamma, T):
    """What a sweep and a field cost; CPU seconds of one sweep."""
    energy = mt.OverlapEnergy.dense(signs(N, load_of(P, N, gamma)), P=P)
    programs = {"simulate": Chains(energy, mt.HeatBath(), T, start="pattern", warm=20)}
    programs |= {f"{mode}, {lanes} lanes": Field(energy, mode, T, lanes) for lanes in (1, 8) for mode in MODES}
    timed = {name: (p, max(1, round(SECONDS / p.seconds(1)))) for name, p in programs.items()}
    title = f"P = {P}, N = {N}, K = {energy.K}, T' = {T}: sites"
    rate = np.median(compare(title, timed, ROUNDS, unit="10^6/s")["simulate"])
    return N / rate


def answer(P, N, gamma, T, samples, sweeps, sweep_seconds):
    """What the overlap costs by mean field, and by one chain to the same error."""
    xi = mt.patterns(N=N, K=load_of(P, N, gamma), samples=samples, seed=1982)
    energy = mt.OverlapEnergy.dense(xi, P=P)
    run = {"T": T, "chains": 2, "burn_in": sweeps // 10, "start": "pattern", "seed": SEED, "observables": ("spins",)}
    spins = mt.simulate(energy, sweeps=sweeps, **run).spins.values[:, 0]
    m = np.einsum("zcti,zi->zct", spins, xi.values[:, 0], dtype=np.float64) / N
    tau, var = np.mean([tau_int(x) for x in m]), np.mean(m.var(axis=(1, 2)))
    known = np.sqrt(2 * tau * var / (2 * sweeps))
    print(f"  simulate: m = {m.mean():.5f}, known to {known:.1e} in each of {samples} samples; tau = {tau:.1f} sweeps")
    for mode in MODES:
        before = time.thread_time()
        ds = mean_field(energy, T=T, mode=mode, tol=1e-4, max_steps=200)
        spent = (time.thread_time() - before) / samples
        error = np.sqrt(np.mean((ds.overlap.values[:, 0, 0] - m.mean(axis=(1, 2))) ** 2))
        chain = (10 * tau + 2 * tau * var / max(error, known) ** 2) * sweep_seconds
        told = (
            f"m = {ds.overlap.values[:, 0, 0].mean():.5f}, rms error {error:.1e}, converged {ds.converged.mean():.0%}"
        )
        print(
            f"  {mode:8} {told}, {ds.n_steps.mean():.0f} steps, {spent:.3g} s; simulate to this error {chain:.3g} s, "
            f"{chain / spent:.2g} times that",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the smallest case")
    for case in CASES[: 1 if parser.parse_args().quick else None]:
        answer(*case, step(*case[:4]))
