r"""A permutation of k bits from its k basis vectors: what one wide network says, and how many must be averaged."""

import numpy as np
import xarray as xr
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from ..theory.kernels.activations import Relu
from ..theory.kernels.network import mlp
from ..theory.kernels.permutation import ensemble_accuracy, ensemble_size, permutation_weights, sampled_accuracy
from ..theory.kernels.regression import GaussianProcess
from ._nn_permutation_drawn import draw
from .recipe import Recipe

Floats = NDArray[np.float64]
KINDS, ROUNDINGS = ("ntk", "nngp"), ("midway", "sign")
DELTA = 0.1
SAMPLED = 256
"""Most bits that are sampled."""
AUTHORS = {5: 43, 10: 69, 15: 103, 20: 117, 25: 157, 30: 175}
"""Networks of width 50 000 at which one run each had 90 % of 1000 pairs right; opallab/permlearn, experiment_1."""
NET = mlp(hidden_layers=1, activation=Relu(), sigma_w=1.0, sigma_b=0.0)


def data(
    *, k_mean: int, k_weights: int, k: list[int], k_all: list[int], k_pair: list[int], draws: int, runs: int
) -> xr.Dataset:
    """Mean outputs; weights by set bits s; sizes of ensembles for one input, for all at once, and as the authors stop.

    An ensemble is right with probability 1 - DELTA. Errors are standard errors over ``draws`` ensembles.
    """
    one = np.array([[[_one_input(n, how, kind, draws) for n in k] for kind in KINDS] for how in ROUNDINGS])
    every = np.array([[_all_inputs(n, kind, draws) for n in k_all] for kind in KINDS])
    names, names_all = ("bound", "least", "sampled", "error"), ("bound_all", "all", "all_error")
    ds = xr.Dataset(
        {name: (("rounding", "kind", "k"), one[..., i]) for i, name in enumerate(names)}
        | {name: (("kind", "k_all", "rounding"), every[..., i]) for i, name in enumerate(names_all)}
        | {"pairs": (("k_pair", "quantile"), [_first_passage(n, runs) for n in k_pair])}
        | {"pairs_least": (("kind", "k_pair"), [[_least(n, 2, "sign", kind) for n in k_pair] for kind in KINDS])}
        | {"authors": ("k_authors", list(AUTHORS.values()))},
        coords={"rounding": list(ROUNDINGS), "kind": list(KINDS), "k": k, "k_all": k_all, "k_pair": k_pair}
        | {"k_authors": list(AUTHORS)},
    )
    ds = ds.merge(_mean(k_mean)).merge(_weights(k_weights))
    return ds.assign_attrs(k_mean=k_mean, k_weights=k_weights, delta=DELTA, runs=runs)


def _inputs(k: int) -> Floats:
    """All nonzero inputs, fewest bits first: the basis vectors at their head."""
    bits = (np.arange(1, 2**k)[:, None] >> np.arange(k)) & 1
    return bits[np.argsort(bits.sum(1), kind="stable")].astype(float)


def _mean(k: int) -> xr.Dataset:
    """Mean outputs at every input by the NTK, for a permutation drawn at random."""
    order, X = Generator(Philox(key=k)).permutation(k), _inputs(k)
    process = GaussianProcess(NET, np.eye(k), np.eye(k)[:, order], kind="ntk")
    found = {"mean": process.predict(X).mean.values, "target": X[:, order]}
    return xr.Dataset({name: (("input", "output"), v) for name, v in found.items()} | {"ones": ("input", X.sum(1))})


def _weights(k: int) -> xr.Dataset:
    found = [permutation_weights(k, s=np.arange(1, k + 1), kind=kind) for kind in KINDS]
    names = {name: (("kind", "s"), np.array([getattr(w, name) for w in found])) for name in found[0]._fields}
    return xr.Dataset(names, coords={"s": np.arange(1, k + 1), "kind": list(KINDS)})


def _least(k: int, s: int, rounding: str, kind: str) -> int:
    """The smallest ensemble that is right with probability 1 - DELTA at s set bits."""
    low, high = 1, ensemble_size(k, delta=DELTA, rounding=rounding, kind=kind).N
    while low < high:
        N = (low + high) // 2
        right = ensemble_accuracy(k, s=s, N=N, rounding=rounding, kind=kind) >= 1 - DELTA
        low, high = (low, N) if right else (N + 1, high)
    return low


def _one_input(k: int, rounding: str, kind: str, draws: int) -> tuple[float, ...]:
    """Sufficient and least size at the hardest input, and that sampled, with its error.

    Where a line through ln(-ln accuracy) at 0.9 and 1.1 of the least size is at 1 - DELTA.
    """
    how = {"rounding": rounding, "kind": kind}
    bound, s = ensemble_size(k, delta=DELTA, **how)
    least = _least(k, s, rounding, kind)
    if k > SAMPLED:
        return bound, least, np.nan, np.nan
    N = np.floor(0.9 * least), np.ceil(1.1 * least)
    measured = [sampled_accuracy(k, s=s, N=int(n), draws=draws, seed=k + i, **how) for i, n in enumerate(N)]
    right = np.array([found.accuracy for found in measured])
    y, error = np.log(-np.log(right)), np.array([found.error for found in measured]) / (right * np.log(right))
    slope = (N[1] - N[0]) / (y[1] - y[0])
    part = (np.log(-np.log(1 - DELTA)) - y[0]) / (y[1] - y[0])
    return bound, least, N[0] + part * (N[1] - N[0]), abs(slope) * np.hypot((1 - part) * error[0], part * error[1])


def _residual(X: Floats, kind: str) -> tuple[Floats, Floats]:
    """Of one output: B with mean B y, and a root of the covariance of f_0(x) - B f_0(e) over initial networks."""
    k = X.shape[1]
    both = NET.kernel(np.vstack([np.eye(k), X]))
    T, K = (np.asarray(both.ntk if kind == "ntk" else both.nngp), np.asarray(both.nngp))
    B = np.linalg.solve(T[:k, :k], T[:k, k:]).T
    cross = B @ K[:k, k:]
    value, vector = np.linalg.eigh(K[k:, k:] + B @ K[:k, :k] @ B.T - cross - cross.T)
    kept = value > 1e-12 * value[-1]
    return B, vector[:, kept] * np.sqrt(value[kept])


def _all_inputs(k: int, kind: str, draws: int) -> list[tuple[float, ...]]:
    """By rounding: sufficient size for all inputs at once, and that sampled, (1 - DELTA)^(1/k) for each output.

    It errs somewhere unless N^(1/2) > max_x Z(x)/g(x), Z the residual, g the signed distance to the threshold.
    """
    X = _inputs(k)[k:]
    B, root = _residual(X, kind)
    high, low = B.max(1), np.where(X.all(1), 0.0, B.min(1))
    distance = np.array([(high + low) / 2 - B[:, 0], -B[:, 0]])[:, None]  # by symmetry any output will do
    rng = Generator(Philox(key=k))
    worst = [(rng.standard_normal((500, root.shape[1])) @ root.T / distance).max(2) for _ in range(draws // 500)]
    N = np.sort(np.concatenate(worst, axis=1)) ** 2
    level = (1 - DELTA) ** (1 / k)
    spread = (level * (1 - level) / N.shape[1]) ** 0.5
    left, least, right = np.quantile(N, np.minimum([level - spread, level, level + spread], 1), axis=1)
    bound = [ensemble_size(k, delta=DELTA, rounding=how, kind=kind, inputs="all").N for how in ROUNDINGS]
    return list(zip(bound, least, (right - left) / 2, strict=True))


def _first_passage(k: int, runs: int) -> Floats:
    """Quantiles 5, 50, 95 % of the size at which an ensemble that grows one by one first has 90 % of pairs right.

    The authors' experiment at infinite width: sign rounding, 1000 pairs drawn with replacement, readout trained.
    """
    i, j = np.triu_indices(k, 1)
    X = np.eye(k)[i] + np.eye(k)[j]
    B, root = _residual(X, "nngp")
    rng, found = Generator(Philox(key=k)), np.zeros(runs)
    for run in range(runs):
        weight = np.bincount(rng.integers(len(X), size=1000), minlength=len(X)) / 1000
        total, N, done = np.zeros((k, len(X))), 0, False
        while not done:
            Z = rng.standard_normal((16, k, root.shape[1])) @ root.T
            sums = total + Z.cumsum(0)
            mean = B.T + sums / (N + np.arange(1, 17))[:, None, None]
            right = ((mean > 0) == (X.T > 0)).all(1) @ weight >= 1 - DELTA
            done, first = bool(right.any()), int(right.argmax())
            N, total = N + (first + 1 if done else 16), sums[-1]
        found[run] = N
    return np.quantile(found, [0.05, 0.5, 0.95])


recipe = Recipe(
    name="permutation_learning",
    data=data,
    draw=draw,
    full={
        "k_mean": 6,
        "k_weights": 16,
        "k": [4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 2048, 4096],
        "k_all": [4, 5, 6, 7, 8, 9, 10, 11],
        "k_pair": [5, 10, 15, 20, 25, 30],
        "draws": 20_000,
        "runs": 100,
    },
    draft={"k_mean": 4, "k_weights": 6, "k": [4, 16], "k_all": [4, 5], "k_pair": [5], "draws": 1000, "runs": 4},
)
