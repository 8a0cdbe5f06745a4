"""Classes of two-dimensional data on the sphere, and the errors of deep networks on them."""

from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr
from numpy.random import Generator, Philox
from numpy.typing import NDArray

from ..theory.kernels.depth_classifier import deep_classifier
from ..theory.kernels.depth_kernels import deep_kernels
from ..theory.kernels.taxonomy import design_activation

Floats = NDArray[np.float64]
DIM = 2
ACTIVATIONS = {
    "1-NN": np.sqrt([0.0, 0.0, 0.5, 0.5]),
    "singular kernel": design_activation(float(DIM)),
    "majority vote": np.full(4, 0.5),
}
"""Hermite coefficients of the three kinds; the singular kernel has alpha = 2, the dimension of the data."""


def edge(x: Floats) -> Floats:
    """Height of the optimal border of the classes."""
    bent: Floats = 0.45 * np.sin(3.5 * x) - 0.15
    return bent


def chance(x: Floats) -> Floats:
    """P(y = 1 | x), from 0.1 to 0.9."""
    p: Floats = 0.5 + 0.4 * np.tanh((x[:, 1] - edge(x[:, 0])) / 0.1)
    return p


def drawn(rng: Generator, n: int) -> tuple[Floats, Floats]:
    """Points spread evenly over the unit disc, and their classes."""
    r, angle = np.sqrt(rng.random(n)), 2 * np.pi * rng.random(n)
    x = np.stack([r * np.cos(angle), r * np.sin(angle)], axis=1)
    return x, np.where(rng.random(n) < chance(x), 1.0, -1.0)


def lifted(x: Floats) -> Floats:
    """(x, 1)/|(x, 1)|: all angles between two points are below pi/2, the disc being of radius 1."""
    z = np.column_stack([x, np.ones(len(x))])
    unit: Floats = z / np.linalg.norm(z, axis=1)[:, None]
    return unit


def excess(label: Floats, x: Floats) -> float:
    """Probability of a wrong class at x, beyond that of the optimal classifier; a tie is wrong in one of two cases."""
    p = chance(x)
    wrong = np.where(label == 0, 0.5, np.where(label > 0, 1 - p, p))
    return float((wrong - np.minimum(p, 1 - p)).mean())


def by_depth(*, depths: Sequence[int], n: int, n_test: int, draws: int) -> xr.Dataset:
    """Excess error given noisy classes, by kernel, kind and depth and in the limit; error of regression.

    The function of the regression is f(x) = 2 P(y = 1 | x) - 1, seen without noise; its error is relative to <f^2>.
    """
    found = np.empty((2, 2, len(ACTIVATIONS), len(depths), draws))
    limit = np.empty((len(ACTIVATIONS), draws))
    for i in range(draws):
        rng = Generator(Philox(key=i))
        (x, y), (z, _) = drawn(rng, n), drawn(rng, n_test)
        f, g = 2 * chance(x) - 1, 2 * chance(z) - 1
        for j, c in enumerate(ACTIVATIONS.values()):
            limit[j, i] = excess(deep_classifier(c, lifted(x), y, lifted(z)).label, z)
            for which, k, label, value in _fitted(c, x, z, np.stack([y, f], axis=1), depths):
                found[:, which, j, k, i] = excess(label, z), ((value - g) ** 2).mean() / (g**2).mean()
    dims = ("kernels", "kind", "depth", "draw")
    ds = xr.Dataset({"classification": (dims, found[0]), "regression": (dims, found[1])})
    ds["classification_limit"] = ("kind", "draw"), limit
    return ds.assign_coords(kernels=["ntk", "nngp"], kind=list(ACTIVATIONS), depth=list(depths)).assign_attrs(n=n)


def _fitted(
    c: Floats, x: Floats, z: Floats, targets: Floats, depths: Sequence[int]
) -> Iterator[tuple[int, int, Floats, Floats]]:
    """0 of the NTK or 1 of the NNGP, which depth, signs of the first and values of the second target, k K^-1 t."""
    cosines = [np.clip(lifted(v) @ lifted(x).T, 0, 1) for v in (x, z)]
    np.fill_diagonal(cosines[0], 1.0)
    both = [deep_kernels(c, xi, depths) for xi in cosines]
    for which, (sign, log) in enumerate((("ntk_sign", "ntk_share_log"), ("nngp_sign", "nngp_log"))):
        (S, K), (s, k) = ((getattr(at, sign), getattr(at, log)) for at in both)
        for i in range(len(depths)):
            top = k[i].max(axis=1, keepdims=True)
            scaled = s[i] * np.exp(k[i] - top) @ np.linalg.solve(S[i] * np.exp(K[i]), targets)
            yield which, i, np.sign(scaled[:, 0]), np.exp(top[:, 0]) * scaled[:, 1]


def by_size(*, sizes: Sequence[int], alphas: Sequence[float], n_test: int, draws: int) -> xr.Dataset:
    """Excess error at infinite depth against the number of training points, of the kinds and of other exponents."""
    nets = ACTIVATIONS | {f"alpha = {a:g}": design_activation(a) for a in alphas}
    found = np.empty((len(nets), len(sizes), draws))
    for i in range(draws):
        for k, n in enumerate(sizes):
            rng = Generator(Philox(key=[i, n]))
            (x, y), (z, _) = drawn(rng, n), drawn(rng, n_test)
            for j, c in enumerate(nets.values()):
                found[j, k, i] = excess(deep_classifier(c, lifted(x), y, lifted(z)).label, z)
    ds = xr.Dataset({"limit": (("net", "size", "draw"), found)})
    return ds.assign_coords(net=list(nets), size=list(sizes))


def maps(*, n: int, pixels: int, seed: int) -> xr.Dataset:
    """Classes that the three networks of infinite depth give to the points of the disc, and the training points."""
    x, y = drawn(Generator(Philox(key=seed)), n)
    at = np.linspace(-1, 1, pixels)
    grid = np.stack(np.meshgrid(at, at), axis=2).reshape(-1, 2)
    inside = (grid**2).sum(axis=1) <= 1
    labels = np.full((len(ACTIVATIONS), len(grid)), np.nan)
    for j, c in enumerate(ACTIVATIONS.values()):
        labels[j, inside] = deep_classifier(c, lifted(x), y, lifted(grid[inside])).label
    shape = (len(ACTIVATIONS), pixels, pixels)
    ds = xr.Dataset({"decision": (("kind", "x_2", "x_1"), labels.reshape(shape)), "seen": (("point", "axis"), x)})
    ds["seen_class"] = "point", y
    return ds.assign_coords(kind=list(ACTIVATIONS), x_1=at, x_2=at)
