r"""NNGP and NTK of this package against neural-tangents, in turn, ratios of the medians of one run.

The peer needs an environment of its own (Python 3.11: neural-tangents 0.6.5, jax and jaxlib 0.4.25, numpy 1.26.4, scipy
1.12.0, tf2jax 0.3.6, tensorflow 2.16.2); give its interpreter with ``--peer``. Without it the peer is left out, and our
times are compared with the floor alone: the product X X^T (syrk) and 1.1 ns for each pair and layer, a sum.

Both use ``--threads`` threads, two by default (the peer all cores of the machine). Peak memory is that above the
inputs, of a process of its own. ``error``: largest difference to the peer's kernels off the diagonal,
relative to them or to 1e-3 of the diagonal where they vanish, and of our diagonal to that of the layered path.

    python benchmarks/kernels_vs_neural_tangents.py --peer ~/peer/bin/python          all cases, about eight minutes
    python benchmarks/kernels_vs_neural_tangents.py large                             n = 10000 alone
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy.linalg import blas
from threadpoolctl import threadpool_limits

import mattis as mt

nn = mt.nn
SIGMAS = {"sigma_w": 1.4, "sigma_b": 0.1}
UNITS = {"relu": nn.Relu(), "erf": nn.Erf()}
TARGETS = {("relu", False): (3, 8.5, 19), ("relu", True): (2.8, 7, 15), ("erf", False): (2.7, 6.5, 16)}
DEPTHS = (3, 10, 40)
REST = 0.3
"""Seconds."""


class Peer:
    """The process of the peer, or nothing."""

    def __init__(self, python, folder):
        self.folder, self.process = Path(folder), None
        if python:
            script = Path(__file__).with_name("kernels_peer.py")
            self.process = subprocess.Popen(
                [python, str(script)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )

    def call(self, **ask):
        """Wall and processor seconds, None without the peer."""
        if self.process is None:
            return None
        ask |= {"inputs": str(self.folder / "inputs.npz"), "results": str(self.folder / "results.npz")} | SIGMAS
        print(json.dumps(ask), file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def results(self):
        found = np.load(self.folder / "results.npz")
        return [found[name] for name in found.files]

    def inputs(self, **arrays):
        np.savez(self.folder / "inputs.npz", **arrays)


def timed(work):
    wall, cpu = time.perf_counter(), time.process_time()
    found = work()
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}, found


def in_turn(repeats, ours, peer):
    """Medians of ours and of the peer, measured in turn after one call of each; the last result of ours.

    Threads of linear algebra spin on after a call; each measurement waits until those of the other are asleep.
    """
    ours(), peer()
    mine, theirs = [], []
    for _ in range(repeats):
        time.sleep(REST)
        told, found = timed(ours)
        mine.append(told)
        time.sleep(REST)
        theirs.append(peer())
    medians = [
        {key: float(np.median([t[key] for t in times])) for key in ("wall", "cpu")} if times[0] else None
        for times in (mine, theirs)
    ]
    return *medians, found


def line(title, mine, theirs, goal, error=None):
    """One case, its ratios and what was to be reached."""
    told = f"{title:34s} {mine['wall']:7.3f} s wall {mine['cpu']:7.3f} s cpu"
    if theirs:
        told += f" | peer {theirs['wall']:7.3f} {theirs['cpu']:7.3f} | wall x {theirs['wall'] / mine['wall']:5.1f}"
        told += f"  cpu x {theirs['cpu'] / mine['cpu']:5.1f}"
    print(told + f"  (goal {goal})" + (f"  error {error}" if error else ""), flush=True)


def errors(net, x, pair, theirs):
    """Off the diagonal against the peer, on it against the recursion."""
    told = []
    if theirs is not None:
        q = np.sqrt(np.diag(theirs))
        gap = np.abs(pair.ntk.values - theirs) / np.maximum(np.abs(theirs), 1e-3 * q[:, None] * q)
        np.fill_diagonal(gap, 0)
        told.append(f"{gap.max():.1e} off")
    few = nn.serial(*net.layers, nn.Identity()).kernel(x[:50]).ntk.values
    told.append(f"{np.abs(np.diag(pair.ntk.values)[:50] / np.diag(few) - 1).max():.1e} on the diagonal")
    return ", ".join(told)


def connected(peer, repeats, threads):
    """n = 2000, d = 784, NTK."""
    x = np.random.default_rng(0).standard_normal((2000, 784))
    peer.inputs(x=x)
    for (unit, stable), goals in TARGETS.items():
        for depth, goal in zip(DEPTHS, goals, strict=True):
            net = nn.mlp(hidden_layers=depth, activation=UNITS[unit], **SIGMAS)
            ask = {"what": "connected", "activation": unit, "depth": depth, "get": "ntk"}
            mine, theirs, pair = in_turn(
                repeats,
                lambda net=net, stable=stable: net.kernel(x, get="ntk", stable=stable, threads=threads),
                lambda ask=ask: peer.call(**ask),
            )
            told = errors(net, x, pair, peer.results()[0] if theirs else None)
            line(f"{unit}{' stable' * stable}, depth {depth}, {threads} threads", mine, theirs, f"wall {goal}", told)


def floor(peer, repeats, threads):
    """Depth 10 of ReLU on one thread against the product of the inputs and 1.1 ns for each pair and layer."""
    x = np.random.default_rng(0).standard_normal((2000, 784))
    net = nn.mlp(hidden_layers=10, activation=nn.Relu(), **SIGMAS)
    pairs = 2000 * 1999 / 2
    with threadpool_limits(1):
        for stable, goal in ((False, 1.7), (True, 1.9)):
            ratios = []
            for _ in range(repeats + 1):
                product, _ = timed(lambda: blas.dsyrk(1.0, x.T, trans=1))
                mine, _ = timed(lambda stable=stable: net.kernel(x, get="ntk", stable=stable, threads=1))
                ratios.append(mine["cpu"] / (product["cpu"] + 1.1e-9 * pairs * 10))
            print(
                f"relu{' stable' * stable}, depth 10, 1 thread: {np.median(ratios[1:]):.2f} of the floor (goal {goal})"
            )


def convolutions(peer, repeats, threads):
    """50 random images 16 x 16 x 3, three layers of 3 x 3."""
    x = np.random.default_rng(0).standard_normal((50, 16, 16, 3))
    peer.inputs(x=x)
    conv = nn.Conv(filter_shape=(3, 3), **SIGMAS)
    for pooled, get, goal in ((True, "nngp", 14), (True, "ntk", 18), (False, "ntk", 10)):
        head = nn.GlobalAvgPool() if pooled else nn.Flatten()
        net = nn.serial(*(conv, nn.Relu()) * 3, head, nn.Dense(**SIGMAS))
        ask = {"what": "convolution", "activation": "relu", "depth": 3, "pooled": pooled, "get": get}
        mine, theirs, _ = in_turn(
            max(repeats // 3, 2) if pooled else repeats,
            lambda net=net, get=get: net.kernel(x, get=get, threads=1),
            lambda ask=ask: peer.call(**ask),
        )
        line(f"convolutions, {'pooled' if pooled else 'flat'}, {get}, 1 thread", mine, theirs, f"cpu {goal}")


def posterior(peer, repeats, threads):
    """Mean and covariance at 200 points given 2000, two hidden layers."""
    rng = np.random.default_rng(0)
    x, test, y = rng.standard_normal((2000, 784)), rng.standard_normal((200, 784)), rng.standard_normal((2000, 1))
    peer.inputs(x=x, test=test, y=y)
    net = nn.mlp(hidden_layers=2, activation=nn.Relu(), **SIGMAS)
    ask = {"what": "posterior", "activation": "relu", "depth": 2, "get": "nngp", "noise": 0.1}

    def ours():
        found = nn.GaussianProcess(net, x, y, noise=0.1).predict(test)
        return found.mean.values, found.cov.values

    for one in (False, True):
        with threadpool_limits(1 if one else None), cores(1 if one else threads):
            mine, theirs, found = in_turn(repeats, ours, lambda: peer.call(**ask))
        gap = max(float(np.abs(a - b).max()) for a, b in zip(found, peer.results(), strict=True)) if theirs else np.nan
        goal = "cpu 2.7" if one else "wall 2"
        line(f"posterior, {1 if one else threads} threads", mine, theirs, goal, f"{gap:.1e} absolute")


@contextmanager
def cores(number):
    """Let this process use so many."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, set(sorted(before)[:number]))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


LARGE = """
import sys, threading, time, numpy as np, mattis as mt

def anonymous():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) / 1e6

x = np.random.default_rng(0).standard_normal((10000, 3072))
net = mt.nn.mlp(hidden_layers=10, activation=mt.nn.Relu(), sigma_w=1.4, sigma_b=0.1)
net.kernel(x[:100], threads=2)
held, peak, done = anonymous(), [0.0], threading.Event()

def watch():
    while not done.wait(0.02):
        peak[0] = max(peak[0], anonymous())

watcher = threading.Thread(target=watch)
watcher.start()
folder, walls = sys.argv[1], []
out = np.lib.format.open_memmap(folder + "/ntk.npy", mode="w+", shape=(10000, 10000)) if folder else None
for _ in range(2):
    start = time.perf_counter()
    pair = net.kernel(x, get="ntk", out=out, threads=2)
    walls.append(time.perf_counter() - start)
    pair = None
done.set()
watcher.join()
print(f"{walls[0]:.2f} s, again {walls[1]:.2f} s; {peak[0]:.2f} GB at peak, {held:.2f} GB with the inputs before")
"""


def large(peer, repeats, threads):
    """n = 10000, d = 3072, depth 10, NTK on two cores: in memory, and into a file."""
    with tempfile.TemporaryDirectory() as folder:
        for where, goal in (("", "8 s, 2.5 GB"), (folder, "500 MB beyond the inputs")):
            told = subprocess.run(
                [sys.executable, "-c", LARGE, where], check=True, capture_output=True, text=True
            ).stdout
            name = "streamed" if where else "in memory"
            print(f"n = 10000, d = 3072, {name}: {told.strip()} ({goal})")


CASES = {"connected": connected, "floor": floor, "convolutions": convolutions, "posterior": posterior, "large": large}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", help=f"of {', '.join(CASES)}; by default all")
    parser.add_argument("--peer", help="interpreter of an environment with neural-tangents")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    chosen = parser.parse_args()
    if unknown := [name for name in chosen.cases if name not in CASES]:
        parser.error(f"cases must be of {', '.join(CASES)}, got {', '.join(unknown)}")
    if not chosen.peer:
        print("without --peer: neural-tangents is left out")
    with tempfile.TemporaryDirectory() as folder:
        peer = Peer(chosen.peer, folder)
        for name in chosen.cases or CASES:
            CASES[name](peer, chosen.repeats, chosen.threads)


if __name__ == "__main__":
    main()
