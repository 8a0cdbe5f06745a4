"""A (gamma, T) diagram of the dense network beside one of the Hopfield network, in processor time of one process.

    python benchmarks/dense_sweep.py

150 x 150 points, three starts, P = 4, rho = 0, 0.05, 0.1, 0.2, both closures; one such grid of Hopfield. Median of 5.
"""

import time

import numpy as np

import mattis as mt

N, REPEATS = 150, 5
RHO = (0.0, 0.05, 0.1, 0.2)


def timed(Model, over, const):
    """(seconds of processor, points and starts, unconverged) of a sweep."""
    began = time.process_time()
    ds = mt.sweep(Model, over=over, const=const, progress=False)
    return time.process_time() - began, ds.status.size, ds.attrs["n_unconverged"]


def main():
    T = np.linspace(0.0, 1.3, N)
    dense = {"gamma": np.linspace(0.0, 0.6, N), "T": T}
    learned = {"P": 4, "protocol": "supervised"}
    jobs = [{**learned, "rho": rho, "closure": closure} for closure in ("full", "low_entropy") for rho in RHO]
    hopfield = {"alpha": np.linspace(0.0, 0.2, N), "T": T}
    timed(mt.DenseHebbian, dense, jobs[0])  # compiles
    ratios, totals = [], []
    for _ in range(REPEATS):
        runs = [timed(mt.DenseHebbian, dense, job) for job in jobs]
        peer = timed(mt.Hopfield, hopfield, {})
        seconds, points = sum(run[0] for run in runs), sum(run[1] for run in runs)
        totals.append(seconds)
        ratios.append(seconds / points / (peer[0] / peer[1]))
    print(f"dense: {points} points and starts, {sum(run[2] for run in runs)} unconverged")
    print(f"  {np.median(totals):.2f} s of one core, {1e6 * np.median(totals) / points:.2f} us each")
    print(f"  {np.median(ratios):.2f} times a point and start of Hopfield ({min(ratios):.2f}-{max(ratios):.2f})")


if __name__ == "__main__":
    main()
