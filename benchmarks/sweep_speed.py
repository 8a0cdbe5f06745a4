r"""CPU time and correctness of ``mattis.sweep`` on the Hopfield network, against the obvious script, in one run.

The grid is 200 x 200, alpha in (0.0005, 0.2] and T in [0.01, 1.5], from the three default starts, to a residual of
1e-10. CPU time is that of this process and its children (getrusage), so work done elsewhere is counted too. The two
programs alternate; the ratio is taken within each pair.

    python benchmarks/sweep_speed.py            about a minute on one core
    python benchmarks/sweep_speed.py --pool     also a pool of two processes, their start counted
"""

import argparse
import math
import os
import resource
import subprocess
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
from obvious_script import STARTS, solve_point

import mattis as mt
from mattis.sweeps.sweep import worker_init

GOAL_US, GOAL_RATIO = 20.0, 350.0
REPEATS, SOLVES, SEED = 5, 600, 1987
SAME = 1e-4  # two solutions that differ by more are different ones
COLD = """
import time
a = time.process_time()
import mattis as mt
b = time.process_time()
over = {"alpha": [0.05], "T": [0.5]}
mt.sweep(mt.Hopfield, over=over)
c = time.process_time()
mt.sweep(mt.Hopfield, over=over)
print(b - a, c - b, time.process_time() - c)
"""


def cpu():
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def grid(n):
    """The axes of an n x n grid."""
    return {"alpha": np.linspace(0.0005, 0.2, n + 1)[1:], "T": np.linspace(0.01, 1.5, n)}


def timed_sweep(n, executor=None):
    """(CPU seconds, dataset)."""
    before = cpu()
    ds = mt.sweep(mt.Hopfield, over=grid(n), executor=executor, progress=False)
    return cpu() - before, ds


def timed_pool(n):
    """(CPU seconds, wall seconds, dataset) of a pool of two, from its start to its end."""
    before, began = cpu(), time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=get_context("spawn"), initializer=worker_init) as pool:
        ds = mt.sweep(mt.Hopfield, over=grid(n), executor=pool, progress=False)
    return cpu() - before, time.perf_counter() - began, ds


def timed_script(tasks, library):
    """(CPU seconds, results) of the obvious script at (alpha, T, start)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = cpu()
        results = [solve_point(*task, library) for task in tasks]
    return cpu() - before, results


def spread(values, form):
    """Least, median and largest."""
    return " / ".join(format(v, form) for v in (min(values), float(np.median(values)), max(values)))


def verdict(ok):
    """PASS or MISS."""
    return "PASS" if ok else "MISS"


def speed(n, tasks):
    """Sweep and script in turn; prints the table and returns the last dataset and the script's results."""
    points = 3 * n * n
    timed_sweep(n)
    ours, scripts, results = [], {np: [], math: []}, []
    for _ in range(REPEATS):
        spent, ds = timed_sweep(n)
        ours.append(spent / points)
        for library, times in scripts.items():
            spent, found = timed_script(tasks, library)
            times.append(spent / len(tasks))
            results = found if library is np else results
    print(f"\nCPU per point and start, {REPEATS} repeats: least / median / largest")
    print(f"mattis.sweep, {n} x {n}, 3 starts     {spread([1e6 * t for t in ours], '.2f')} us")
    ratios = {}
    for library, times in scripts.items():
        name, ratios[library] = library.__name__, [t / o for t, o in zip(times, ours, strict=True)]
        print(f"obvious script with {name:5}          {spread([1e3 * t for t in times], '.2f')} ms")
        print(f"ratio to it                        {spread(ratios[library], '.0f')}")
    us, ratio = 1e6 * float(np.median(ours)), float(np.median(ratios[np]))
    print(f"goal: at most {GOAL_US:g} us                {verdict(us <= GOAL_US)} ({us:.2f})")
    print(f"goal: {GOAL_RATIO:g} times the numpy script  {verdict(ratio >= GOAL_RATIO)} ({ratio:.0f})")
    return ds, results


def correctness(ds):
    """The retrieval start is on the retrieval branch below alpha_M(T), and nowhere else."""
    ds = mt.classify(ds)
    fold = mt.spinodal(mt.Hopfield, T=ds["T"].values)
    found = ds.sel(start="retrieval")
    exists = ds.alpha.values[:, None] < np.nan_to_num(fold.alpha)
    aligned = (found.label == "retrieval").transpose("alpha", "T").values
    m = found.m.transpose("alpha", "T").values
    lost = exists & ~(aligned & (m > np.nan_to_num(fold.m)))
    ghosts = ~exists & aligned
    print(f"\nretrieval start against alpha_M(T), {exists.size} points, {exists.sum()} of them below it")
    print(f"not on the branch below alpha_M    {lost.sum():6}   {verdict(not lost.any())}")
    print(f"retrieval above alpha_M            {ghosts.sum():6}   {verdict(not ghosts.any())}")
    unconverged = ds.attrs["n_unconverged"] + ds.attrs["n_failed"]
    print(f"unconverged, of all starts         {unconverged:6}   {verdict(unconverged == 0)}")
    print(f"worst residual                   {ds.attrs['worst_residual']:8.1e}")
    print(f"worst quadrature error           {ds.attrs['worst_quadrature_error']:8.1e}")


def other_solutions(ds, tasks, results):
    """How the script fared at the same points and starts."""
    print(f"\nobvious script (numpy), {len(tasks)} solves     failed   another solution")
    for start in STARTS:
        chosen = [(task, found) for task, found in zip(tasks, results, strict=True) if task[2] == start]
        failed = other = 0
        for (alpha, T, _), (m, q, success) in chosen:
            true = ds.sel(start=start, alpha=alpha, T=T)
            failed += not success
            other += success and max(abs(abs(m) - abs(float(true.m))), abs(q - float(true.q))) > SAME
        print(f"start {start:12} {len(chosen):6}           {failed / len(chosen):10.1%} {other / len(chosen):10.1%}")


def growth():
    """Cost per point on grids of all sizes, and of a call."""
    print("\ngrid        us per point and start (least of 3)")
    for n in (25, 50, 100, 200, 400):
        print(f"{n:3} x {n:<3} {1e6 * min(timed_sweep(n)[0] for _ in range(3)) / (3 * n * n):10.2f}")
    over = {"alpha": [0.05], "T": [0.5]}
    times = []
    for _ in range(20):
        before = cpu()
        mt.sweep(mt.Hopfield, over=over, starts=["retrieval"], progress=False)
        times.append(cpu() - before)
    print(f"a call of one point and start      {1e3 * min(times):.2f} ms")


def cold_start():
    """CPU of a new process, numba cache warm."""
    runs = [subprocess.run([sys.executable, "-c", COLD], capture_output=True, text=True, check=True) for _ in range(4)]
    least = np.min([[float(v) for v in run.stdout.split()] for run in runs[1:]], axis=0)
    print("\nnew process, numba cache warm, CPU seconds (least of 3)")
    for name, seconds in zip(("import mattis", "first sweep, of one point", "second sweep"), least, strict=True):
        print(f"{name:32} {seconds:6.3f}")


def main():
    """Print all tables."""
    parser = argparse.ArgumentParser(description="CPU time and correctness of mattis.sweep")
    parser.add_argument("--pool", action="store_true", help="also a pool of two processes")
    asked = parser.parse_args()
    axes, rng = grid(200), np.random.default_rng(SEED)
    tasks = [(rng.choice(axes["alpha"]), rng.choice(axes["T"]), start) for _ in range(SOLVES // 3) for start in STARTS]
    python = sys.version.split()[0]
    print(f"load {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores, Python {python}, mattis {mt.__version__}")
    ds, results = speed(200, tasks)
    correctness(ds)
    other_solutions(ds, tasks, results)
    growth()
    if asked.pool:
        spent, wall, pooled = timed_pool(200)
        same = all(np.array_equal(pooled[v].values, ds[v].values, equal_nan=True) for v in ds.data_vars)
        us, told = 1e6 * spent / (3 * 200**2), "the same" if same else "OTHER"
        print(f"pool of two                        {us:.2f} us with their start, {wall:.2f} s wall, {told} numbers")
    cold_start()
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
