"""neural-tangents in a process of its own: one JSON line in, one out. Run by ``kernels_vs_neural_tangents.py``.

It imports nothing of this package. A request names the network and the inputs (an npz file); the answer has wall and
processor seconds of one call after the first, and the file of the results.
"""

import json
import os
import sys
import time

os.environ["JAX_ENABLE_X64"] = "1"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import numpy as np


def network(stax, ask):
    """The layers of a request."""
    scale = {"W_std": ask["sigma_w"], "b_std": ask["sigma_b"]}
    unit = {"relu": stax.Relu, "erf": stax.Erf}[ask["activation"]]
    if ask["what"] == "convolution":
        layers = [
            layer for _ in range(ask["depth"]) for layer in (stax.Conv(1, (3, 3), padding="SAME", **scale), unit())
        ]
        head = stax.GlobalAvgPool() if ask["pooled"] else stax.Flatten()
        return stax.serial(*layers, head, stax.Dense(1, **scale))
    layers = [layer for _ in range(ask["depth"]) for layer in (stax.Dense(1, **scale), unit())]
    return stax.serial(*layers, stax.Dense(1, **scale))


def prepared(ask):
    """A function without arguments that does the work, and its results."""
    import jax
    import neural_tangents as nt
    from neural_tangents import stax

    x = np.load(ask["inputs"])
    _, _, kernel = network(stax, ask)
    get = ask["get"]
    compiled = jax.jit(lambda x: kernel(x, None, get))
    if ask["what"] != "posterior":
        return lambda: compiled(x["x"]).block_until_ready()
    ensemble = nt.predict.gradient_descent_mse_ensemble
    both = kernel_fn(compiled, jax.jit(lambda a, b: kernel(a, b, get)))

    def posterior():
        predict = ensemble(both, x["x"], x["y"], diag_reg=ask["noise"], diag_reg_absolute_scale=True)
        found = predict(x_test=x["test"], get="nngp", compute_cov=True)
        return np.asarray(found.mean), np.asarray(found.covariance)

    return posterior


def kernel_fn(symmetric, cross):
    """The compiled kernel as the peer's inference calls it."""

    def call(x1, x2=None, get=None, **_):
        return symmetric(x1) if x2 is None else cross(x1, x2)

    return call


def main():
    """Answer until the input ends."""
    works = {}
    for line in sys.stdin:
        ask = json.loads(line)
        key = json.dumps(ask)
        if key not in works:
            works[key] = prepared(ask)
            works[key]()
        wall, cpu = time.perf_counter(), time.process_time()
        found = works[key]()
        answer = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        arrays = found if isinstance(found, tuple) else (found,)
        np.savez(ask["results"], *(np.asarray(a) for a in arrays))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
