"""How long broken replica symmetry takes: python benchmarks/rsb_speed.py [--diagram 40]

One core for the points, two for the diagram. The peer of the points is the same recursion as one would write it, in
NumPy on a uniform grid with Gauss-Hermite nodes and interpolation, its free energy alone and no solution: what is told
is how many of its evaluations one solved point costs.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

import mattis as mt
from mattis.sweeps.sweep import worker_init


def obvious(q, y, nodes=61, points=2001):
    """-f of the SK model at T = 0 for k steps: k convolutions by Gauss-Hermite and linear interpolation."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w, h = w / w.sum(), np.linspace(-12, 12, points)
    Y = abs(h)
    for level in range(len(y) - 1, -1, -1):
        at = h[:, None] + np.sqrt(q[level + 1] - q[level]) * z
        inner = np.interp(at, h, Y) + np.maximum(abs(at) - 12, 0)
        Y = np.log(np.exp(y[level] * (inner - inner.max(1, keepdims=True))) @ w) / y[level] + inner.max(1)
    return float(np.interp(np.sqrt(q[0]) * z, h, Y) @ w) - 0.25 * float(y @ np.diff(q**2))


def timed(what, call):
    """The result, and its time printed."""
    began = time.perf_counter()
    found = call()
    passed = time.perf_counter() - began
    print(f"{what}: {passed:.2f} s", flush=True)
    return found, passed


def points():
    """SK: five steps, the full hierarchy at ten temperatures, the obvious script."""
    mt.rsb(mt.SherringtonKirkpatrick(T=0.0), k=2)  # compiled, or read from the disk
    five, passed = timed("SK, T = 0, k = 5", lambda: mt.rsb(mt.SherringtonKirkpatrick(T=0.0), k=5))
    f, once = timed("one evaluation of it by the obvious script", lambda: obvious(five.q, five.x))
    print(f"  {passed / once:.1f} of its evaluations; it errs by {abs(f + five.free_energy):.1e}")
    T = np.arange(10) / 10
    full, _ = timed("SK, full, T = 0, 0.1, .. 0.9", lambda: mt.rsb(mt.SherringtonKirkpatrick(T=T), k="full"))
    print(
        f"  f(0) = {full.free_energy[0]:.9f} +- {full.free_energy_error[0]:.1e}, all certified: {full.certified.all()}"
    )


def diagram(n):
    """(gamma, T) of the dense network with P = 4 in one step, n x n points of both states, on two processes."""
    over = {"gamma": np.linspace(0.015, 0.6, n), "T": np.linspace(0.0, 1.0, n)}
    context = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=worker_init) as pool:
        ds, passed = timed(
            f"P = 4, k = 1, {n} x {n} points",
            lambda: mt.sweep(mt.DenseHebbian, over=over, const={"P": 4}, k=1, executor=pool, progress=False),
        )
    ds = mt.classify(ds)
    missing = int((~ds.certified & ds.converged).sum())
    print(f"  {1e3 * passed / (2 * n * n):.0f} ms per point and start; uncertified: {missing}")
    print(f"  phases {dict(zip(*np.unique(ds.phase, return_counts=True), strict=True))}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--diagram", type=int, default=40)
    asked = parser.parse_args()
    points()
    diagram(asked.diagram)
