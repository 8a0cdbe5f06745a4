r"""The NTK on the unit circle, at finite and infinite width, and the networks trained with it; arXiv:1806.07572."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import linregress

from ..theory.kernels.activations import Relu
from ..theory.kernels.empirical import draw_parameters, empirical_kernel, tangent_kernel
from ..theory.kernels.flow import GradientFlow
from ..theory.kernels.network import mlp
from ..theory.kernels.network_training import tangent_motion, train
from ._nn_networks import side_by_side
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
NET = mlp(hidden_layers=3, activation=Relu(), sigma_w=1.0, sigma_b=0.1)
"""Of four layers, with the scales of the source: its beta = 0.1 is sigma_b."""
POINTS = (-2.5, -0.9, 0.4, 1.9)
"""Angles of the training inputs on the circle."""
T_MEAN = 200.0
"""Training time where the loss is a mean, as in the source: t = T_MEAN/N of df/dt = -Theta (f - y)."""
Z90 = 1.2815515655446004
"""Of the 10% and the 90% quantile of a Gaussian."""
COLOURS = {"shown": ("C1", "C0"), "networks": ("C3", "C1")}
DASHED = (0, (3, 1.2))


def on_circle(angles: Any) -> Floats:
    """(cos gamma, sin gamma)."""
    return np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def data(
    *,
    n_gamma: int,
    n_train: int,
    widths: list[int],
    inits: int,
    shown: list[int],
    draws: int,
    networks: list[int],
    samples: int,
    steps: int,
) -> xr.Dataset:
    """NTK by width at t = 0 and ``T_MEAN``, its spread at t = 0, and trained networks on the circle.

    ``inits`` networks of each of the ``widths`` learn x_1 x_2 of ``n_train`` Gaussian inputs; ``draws`` more give the
    spread of Theta(x_0, x_0), and how many errors their mean is off infinite width (``pull``). ``samples`` networks of
    each of the widths ``networks`` learn the four points on the circle.
    """
    gamma = np.linspace(-np.pi, np.pi, n_gamma)
    ds = xr.Dataset(coords={"gamma": gamma, "width": widths, "stage": ["before", "after"], "point": list(POINTS)})
    circle, first = on_circle(gamma), on_circle(np.zeros(1))
    ds["ntk"] = "gamma", np.asarray(NET.kernel(first, circle).ntk)[0]
    jobs = [(n, k, n_train, circle, first, steps) for n in widths for k in range(inits)]
    found = side_by_side(_in_training, jobs, "NTK in training")
    ds["trained"] = ("width", "init", "stage", "gamma"), np.reshape([one for one, _ in found], (-1, inits, 2, n_gamma))
    ds["motion"] = ("width", "init"), np.reshape([motion for _, motion in found], (-1, inits))
    at_start = side_by_side(lambda n: empirical_kernel(NET, first, units=n, draws=draws, seed=n), zip(widths), "NTK")
    limit = float(NET.kernel(first).ntk[0, 0])
    ds["spread"] = "width", [float(one["ntk"].std[0, 0]) / limit for one in at_start]
    ds["pull"] = "width", [float((one["ntk"].mean[0, 0] - limit) / one["ntk"].error[0, 0]) for one in at_start]
    ds = xr.merge([ds, _functions(circle, networks, samples, steps)])
    return ds.assign_attrs(shown=shown, draws=draws, n_train=n_train)


def _in_training(
    width: int, init: int, n_train: int, circle: Floats, first: Floats, steps: int
) -> tuple[list[Floats], float]:
    """Theta(x_0, circle) before and after, (stage, gamma), and the motion of Theta on the circle."""
    X = np.random.default_rng(n_train).standard_normal((n_train, 2))
    start = draw_parameters(NET, (2,), units=width, outputs=1, seed=(1, width, init))
    end = _trained(start, X, steps).parameters
    kernels = [tangent_kernel(NET, parameters, first, circle)[0] for parameters in (start, end)]
    return kernels, tangent_motion(NET, start, end, circle)


def _trained(start: Any, X: Floats, steps: int, x: Floats | None = None) -> Any:
    """A network after ``T_MEAN`` on y = x_1 x_2."""
    return train(NET, start, X, X[:, 0] * X[:, 1], learning_rate=T_MEAN / len(X) / steps, steps=steps, x=x)


def _functions(circle: Floats, networks: list[int], samples: int, steps: int) -> xr.Dataset:
    """F on the circle of networks trained at four points, and mean and deviation of the Gaussian of infinite width."""
    X = on_circle(np.array(POINTS))
    mean, cov = GradientFlow(NET, X, X[:, 0] * X[:, 1]).predict(circle, T_MEAN / len(X))
    assert cov is not None

    def one(width: int, k: int) -> Floats:
        start = draw_parameters(NET, (2,), units=width, outputs=1, seed=(2, width, k))
        return _trained(start, X, steps, circle).f.values[-1]

    jobs = [(width, k) for width in networks for k in range(samples)]
    f = np.reshape(side_by_side(one, jobs, "networks"), (len(networks), samples, -1))
    of = {"f": (("network", "sample", "gamma"), f), "mean": ("gamma", mean.values)}
    deviation = {"deviation": ("gamma", np.sqrt(np.diagonal(cov.values).clip(0)))}
    labels = {"label": ("point", X[:, 0] * X[:, 1])}
    return xr.Dataset(of | deviation | labels, {"network": networks, "point": list(POINTS)})


def draw(ds: xr.Dataset) -> "Figure":
    """The kernel on the circle, its powers of the width; functions of narrow and of wide networks."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(7, 5))
    _draw_kernel(axes[0, 0], ds)
    _draw_widths(axes[0, 1], ds)
    for panel, colour, i in zip(axes[1], COLOURS["networks"], range(2), strict=True):
        _draw_functions(panel, ds.isel(network=i), colour)
    axes[1, 1].sharey(axes[1, 0])
    for panel, letter in zip(axes.flat, "abcd", strict=True):
        panel.text(0.02, 0.97, f"({letter})", transform=panel.transAxes, va="top")
        if letter != "b":
            panel.set(xlim=(-np.pi, np.pi), xlabel=r"angle $\gamma$ [rad]")
            panel.set_xticks(
                [-np.pi, -np.pi / 2, 0, np.pi / 2, np.pi], [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"]
            )
    return figure


def _draw_kernel(axes: "Axes", ds: xr.Dataset) -> None:
    for width, colour in zip(ds.attrs["shown"], COLOURS["shown"], strict=True):
        for stage, style in (("before", "-"), ("after", DASHED)):
            lines = ds.trained.sel(width=width, stage=stage).values
            axes.plot(ds.gamma, lines.T, color=colour, ls=style, lw=0.5, alpha=0.6)
            time = "0" if stage == "before" else f"{T_MEAN:g}"
            axes.plot([], [], color=colour, ls=style, lw=0.9, label=rf"$n={width}$, $t={time}$")
    axes.plot(ds.gamma, ds.ntk, color="k", lw=1.4, label=r"$n\to\infty$")
    axes.set(ylabel=r"$\Theta(x_0,(\cos\gamma,\sin\gamma))$", ylim=(0, None))
    axes.legend(loc="upper right", title=r"$\dot f=-\Theta(f-f^*)/N$", title_fontsize=7)


def _draw_widths(axes: "Axes", ds: xr.Dataset) -> None:
    n, inits = ds.width.values.astype(float), ds.sizes["init"]
    spread, motion = ds.spread.values, ds.motion.mean("init").values
    errors = (spread / np.sqrt(2 * (ds.attrs["draws"] - 1)), ds.motion.std("init", ddof=1).values / np.sqrt(inits))
    told = (rf"spread over {ds.attrs['draws']} inits, $t=0$", rf"motion in training, mean of {inits}, $t={T_MEAN:g}$")
    for y, error, power, name, look in zip((spread, motion), errors, (-0.5, -1), told, ("oC2", "sC4"), strict=True):
        fit = linregress(np.log(n), np.log(y))
        label = rf"{name}: $n^{{{fit.slope:.2f}\pm{fit.stderr:.2f}}}$"
        axes.errorbar(n, y, error, fmt=look[0], color=look[1:], mfc="w", label=label, zorder=3)
        style, guide = ("--", "$n^{-1/2}$") if power > -1 else (":", "$n^{-1}$")
        axes.plot(n, y[-1] * (n / n[-1]) ** power, color="k", ls=style, lw=0.7, label=guide)
    axes.set(xscale="log", yscale="log", xlabel="width $n$", ylabel=r"relative change of $\Theta$")
    axes.set_ylim(motion.min() / 30, 4 * motion.max())
    pulls = rf"$t=0$: mean off infinite width by at most {np.abs(ds.pull.values).max():.1f} errors"
    axes.legend(loc="lower left", title=pulls, title_fontsize=7, alignment="left")
    axes.text(0.12, 0.95, "kernel moves", transform=axes.transAxes, va="top", fontsize=7, style="italic")
    axes.text(0.97, 0.75, "kernel frozen", transform=axes.transAxes, ha="right", fontsize=7, style="italic")


def _draw_functions(axes: "Axes", ds: xr.Dataset, colour: str) -> None:
    band = [ds["mean"] + z * ds.deviation for z in (-Z90, 0, Z90)]
    axes.fill_between(ds.gamma, band[0], band[2], color="0.85", lw=0, label=r"$n\to\infty$: 10%, 50%, 90%")
    for line, style in zip(band, (":", "-", ":"), strict=True):
        axes.plot(ds.gamma, line, color="k", ls=style, lw=1.0, zorder=4)
    axes.plot(ds.gamma, ds.f[:10].T, color=colour, lw=0.5, alpha=0.7)
    axes.plot(ds.point, ds.label, "ko", ms=4, zorder=5, label=r"$f^*=x_1x_2$")
    inside = ((ds.f > band[0]) & (ds.f < band[2])).mean("gamma").values
    share = rf"{inside.mean():.2f}\pm{inside.std(ddof=1) / np.sqrt(len(inside)):.2f}"
    told = rf"$n={int(ds.network)}$, 10 of {len(inside)} drawn: ${share}$ within 10-90%"
    axes.plot([], [], color=colour, lw=0.9, label=told)
    axes.set(ylabel=rf"$f(\cos\gamma,\sin\gamma)$ at $t={T_MEAN:g}$", ylim=(-1.05, 0.65))
    axes.legend(loc="lower right")


recipe = Recipe(
    name="ntk_circle",
    data=data,
    draw=draw,
    full={
        "n_gamma": 101,
        "n_train": 50,
        "widths": [62, 125, 250, 500, 1000, 2000],
        "inits": 10,
        "shown": [500, 2000],
        "draws": 200,
        "networks": [50, 500],
        "samples": 80,
        "steps": 100,
    },
    draft={
        "n_gamma": 25,
        "n_train": 10,
        "widths": [16, 32, 64],
        "inits": 3,
        "shown": [16, 64],
        "draws": 20,
        "networks": [8, 64],
        "samples": 4,
        "steps": 50,
    },
)
