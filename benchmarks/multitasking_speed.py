"""How long multitasking networks take: python benchmarks/multitasking_speed.py [--diagram 200]

One core for the averages and the peer, two for the diagrams. The peer of a point is what one would write: the 3^K rows
in NumPy and plain iteration to the same residual.
"""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import numpy as np

import mattis as mt
from mattis.core.products import products
from mattis.theory.diluted_field import by_rows, by_waves
from mattis.theory.entries import Entries


def best(call, rounds=7):
    """The shortest of some times of a call, in seconds."""
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def obvious(d, T, K, tol=1e-10):
    """m of the hierarchical state by rows and plain iteration, and the number of evaluations."""
    xi = np.array(list(product((-1, 0, 1), repeat=K)), float)
    w = np.where(xi == 0, d, (1 - d) / 2).prod(axis=1)
    m = (1 - d) * d ** np.arange(K)
    for n in range(1, 100_000):
        new = (w * np.tanh(xi @ m / T)) @ xi
        if abs(new - m).max() < tol:
            return new, n
        m = new
    return m, n


def averages():
    """One evaluation of the map and its Jacobian: K = 200 by products; rows against products; against NumPy."""
    bare, at = Entries(np.zeros(1)), np.ones(1)
    n = 0.03 + 0.003 * np.random.default_rng(1).random((200, 1))
    products(*(np.ones((2, 1)) for _ in range(4)), 0.0, at, at)
    passed = best(lambda: by_waves(bare, 0.95 * at, n, 0 * at, 0.02 * at))
    print(f"K = 200, map, Jacobian and thermodynamics by products: {passed:.3f} s")
    for K in (2, 5, 7):
        n = 0.9 * 0.3 ** np.arange(K)[:, None]
        pair = [f(bare, 0.3 * at, n, 0 * at, 0.1 * at).eta_tanh for f in (by_rows, by_waves)]
        print(f"K = {K}: rows differ from products by {abs(pair[0] - pair[1]).max():.0e}")


def points():
    """Whole solutions on random points of (d, T), in one call and by the obvious script."""
    rng = np.random.default_rng(2)
    for K in (2, 3, 5):
        d = rng.uniform(0.05, 0.5, 200)
        T = rng.uniform(0.02, 0.6, 200) * (1 - d)
        model = mt.Multitasking(d=d, T=T, K=K)
        mt.solve(model)
        ours = best(lambda model=model: mt.solve(model), 3)
        began = time.perf_counter()
        theirs = [obvious(*at, K) for at in zip(d, T, strict=True)]
        passed = time.perf_counter() - began
        gap = max(abs(m - ours_m).max() for (m, _), ours_m in zip(theirs, mt.solve(model).m, strict=True))
        print(
            f"K = {K}: {1e6 * ours / 200:.0f} us per solution, {passed / ours:.0f} times faster than the obvious script"
        )
        print(
            f"  {np.mean([n for _, n in theirs]):.0f} evaluations there on average; largest difference in m {gap:.0e}"
        )


def diagrams(n):
    """(d, T) on n x n points, all starts and the phase, two threads."""
    over, total = {"d": np.linspace(0, 0.995, n), "T": np.linspace(0.005, 1, n)}, 0.0
    for K in (2, 3, 5):
        began = time.perf_counter()
        with ThreadPoolExecutor(2) as pool:
            ds = mt.classify(mt.sweep(mt.Multitasking, over=over, const={"K": K}, executor=pool, progress=False))
        total += time.perf_counter() - began
        phases = ", ".join(f"{name} {n}" for name, n in zip(*np.unique(ds.phase, return_counts=True), strict=True))
        print(f"K = {K}, {n} x {n}: {time.perf_counter() - began:.1f} s; {phases}; {ds.n_unconverged} unconverged")
    print(f"together {total:.1f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diagram", type=int, default=200)
    asked = parser.parse_args()
    averages()
    points()
    diagrams(asked.diagram)
