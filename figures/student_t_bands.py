r"""A wide network whose scale is unknown: Student-t beside Gaussian, prior, posterior and forecast."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from scipy.stats import norm
from scipy.stats import t as student
from tqdm import tqdm

from ..theory.kernels.activations import Erf, Relu
from ..theory.kernels.empirical import draw_parameters
from ..theory.kernels.network import mlp
from ..theory.kernels.regression import GaussianProcess
from ..theory.kernels.student import StudentTProcess
from ._nn_student_drawn import draw
from .recipe import Recipe

Floats = NDArray[np.float64]
ALPHA, BETA = 2.0, 1.0
"""Of the inverse gamma law of s^2, whose mean is 1."""
PRIOR = mlp(hidden_layers=1, activation=Relu(), sigma_w=2**0.5, sigma_b=0.1)
NET = mlp(hidden_layers=2, activation=Erf(), sigma_w=2.0, sigma_b=1.0)
NOISE = 0.01
OUTLIER = 6
LAWS = "gauss", "fitted", "student"


class Forecast(NamedTuple):
    """Of labels: means and spreads, and the scale s^2 of each of LAWS; degrees of freedom of the last."""

    mean: Floats
    spread: Floats
    scale: dict[str, float]
    nu: float


def data(
    *,
    widths: list[int],
    nets: int,
    points: int,
    n_line: int,
    n: int,
    fractions: list[float],
    ratios: list[float],
    draws: int,
) -> xr.Dataset:
    """Two outputs of random networks; bands with and without an outlier; forecasts by share of outliers and scale."""
    ds = _prior(widths, nets, points).merge(_bands(n_line))
    rows = {"outliers": (fractions, _by_outliers), "misfit": (ratios, _by_scale)}
    for name, (values, measure) in rows.items():
        found = np.array([[measure(n, v, seed) for seed in range(draws)] for v in tqdm(values, delay=2, disable=None)])
        ds[name] = (f"x_{name}", "law"), found.mean(1)
        ds[f"{name}_error"] = (f"x_{name}", "law"), found.std(1, ddof=1) / draws**0.5
        ds[f"x_{name}"] = values
    return ds.assign_coords(law=list(LAWS)).assign_attrs(alpha=ALPHA, beta=BETA, outlier=OUTLIER, n=n)


def _prior(widths: list[int], nets: int, points: int) -> xr.Dataset:
    """Outputs (f_1, f_2)/K^(1/2) of networks of a width at one input, and the share of them beyond a radius."""
    x = np.array([[1.0, -0.5, 2.0]])
    K = float(PRIOR.kernel(x).nngp[0, 0])
    radius = np.geomspace(0.5, 12, 13)
    beyond = np.zeros((len(widths), len(radius)))
    for i, width in enumerate(widths):
        scale = Generator(Philox(key=width)).gamma(ALPHA, 1 / BETA, nets) ** -0.5
        made = (draw_parameters(PRIOR, (3,), units=width, outputs=2, seed=(width, k)) for k in range(nets))
        f = scale[:, None] * np.array([PRIOR.apply(p, x)[0] for p in made]) / K**0.5
        beyond[i] = (np.hypot(*f.T)[:, None] > radius).mean(0)
    share = (beyond * nets + 1) / (nets + 2)
    found = {"beyond": (("width", "radius"), beyond), "cloud": (("point", "output"), f[:points])}
    found["beyond_error"] = ("width", "radius"), np.sqrt(share * (1 - share) / nets)
    return xr.Dataset(found, coords={"width": widths, "radius": radius})


def _bands(n_line: int) -> xr.Dataset:
    """Means and half widths of the central 95 % of f by every law, without the outlier and with it."""
    x, line = np.linspace(-1.6, 1.6, 9), np.linspace(-2.5, 2.5, n_line)
    y = np.sin(2 * x) + 0.1 * Generator(Philox(key=3)).standard_normal(x.size)
    labels = np.array([y, np.where(np.arange(x.size) == OUTLIER, y - 2.5, y)])
    mean, half = np.zeros((2, n_line)), np.zeros((2, len(LAWS), n_line))
    scale = np.zeros((2, len(LAWS)))
    for i, each in enumerate(labels):
        law = forecast(x, each, line)
        mean[i], scale[i] = law.mean, list(law.scale.values())
        unit = [norm.isf(0.025), norm.isf(0.025), student.isf(0.025, law.nu)]
        half[i] = np.multiply.outer(unit * np.sqrt(scale[i]), np.sqrt(law.spread))
    found = {
        "mean": (("case", "line"), mean),
        "half": (("case", "law", "line"), half),
        "scale": (("case", "law"), scale),
    }
    return xr.Dataset(found | {"labels": (("case", "x"), labels)}, coords={"x": x, "line": line})


def forecast(x: Floats, y: Floats, line: Floats) -> Forecast:
    """Of f; the Gaussian of scale s^2 = 1, that of most evidence, s^2 = Q/n, and the Student-t process."""
    points, test = x[:, None], line[:, None]
    process = StudentTProcess(NET, points, y, alpha=ALPHA, beta=BETA, noise=NOISE)
    mean, cov = GaussianProcess(NET, points, y, noise=NOISE).predict(test)
    spread = np.diagonal(np.asarray(cov))
    nu, _, scale = process.predict(test)
    grown = float(scale[0, 0]) / spread[0]  # (2 beta + Q)/nu
    fitted = (nu * grown - 2 * BETA) / len(y)
    return Forecast(mean.values, spread, {"gauss": 1.0, "fitted": fitted, "student": grown}, nu)


def _loss(x: Floats, y: Floats, x_test: Floats, y_test: Floats) -> dict[str, float]:
    """Negative log density of a test label, averaged over them, by law."""
    found = forecast(x, y, x_test)
    apart = y_test - found.mean
    loss = {}
    for law, s2 in found.scale.items():
        width = np.sqrt(s2 * (found.spread + NOISE))
        density = student(found.nu).logpdf(apart / width) if law == "student" else norm.logpdf(apart / width)
        loss[law] = -float((density - np.log(width)).mean())
    return loss


def _sample(n: int, seed: int) -> tuple[Floats, Floats, Generator]:
    """Inputs of n training and 40 test points, noisy labels by the network of s = 1."""
    rng = Generator(Philox(key=seed))
    x = rng.uniform(-2, 2, n + 40)
    K = np.asarray(NET.kernel(x[:, None]).nngp) + NOISE * np.eye(len(x))
    return x, np.linalg.cholesky(K) @ rng.standard_normal(len(x)), rng


def _by_outliers(n: int, fraction: float, seed: int) -> list[float]:
    """A share of the training labels is off by N(0, 1); the test labels are not."""
    x, y, rng = _sample(n, seed)
    off = rng.permutation(n) < fraction * n - 1e-9
    return list(_loss(x[:n], y[:n] + off * rng.standard_normal(n), x[n:], y[n:]).values())


def _by_scale(n: int, ratio: float, seed: int) -> list[float]:
    """All labels are ``ratio`` times what the prior expects; above the loss with the scale known."""
    x, y, _ = _sample(n, seed)
    known = _loss(x[:n], y[:n], x[n:], y[n:])["gauss"] + np.log(ratio)
    return [loss - known for loss in _loss(x[:n], ratio * y[:n], x[n:], ratio * y[n:]).values()]


recipe = Recipe(
    name="student_t_bands",
    data=data,
    draw=draw,
    full={
        "widths": [2, 8, 512],
        "nets": 20_000,
        "points": 1500,
        "n_line": 121,
        "n": 10,
        "fractions": [0.0, 0.1, 0.2, 0.3, 0.4, 0.5],
        "ratios": [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0],
        "draws": 300,
    },
    draft={
        "widths": [4],
        "nets": 200,
        "points": 50,
        "n_line": 21,
        "n": 6,
        "fractions": [0.0, 0.5],
        "ratios": [0.5, 2.0],
        "draws": 3,
    },
)
