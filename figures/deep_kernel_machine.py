r"""Gram matrices that a network of three layers learns between the limits of features and of a fixed kernel."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from tqdm import tqdm

from ..theory.kernels.deep_kernel_finite import finite_width_grams
from ..theory.kernels.deep_kernel_maps import input_gram
from ..theory.kernels.deep_kernel_maximum import deep_kernel_optimum
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
LAYERS, NNGP = 3, 1e12
COLOURS = ("#0072B2", "#D55E00", "#009E73")
MARKERS = ("o", "s", "^")
GROUPS = "ABCD"
DIRECTIONS = np.deg2rad([45.0, 225.0, 135.0, 315.0])
"""Of the groups; the first two have the label 1, the others -1."""
WIDTH_LAYERS, WIDTH_NU = 2, 1.0
_SPREAD = np.deg2rad(18.0)


def points(per_group: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """Inputs of four groups on the circle of radius sqrt(2), their Gram matrix and labels; opposite groups agree."""
    centre = np.repeat(DIRECTIONS, per_group)
    angle = centre + _SPREAD * Generator(Philox(key=seed)).standard_normal(centre.size)
    x = np.sqrt(2) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return x, input_gram(x, x, 0.02), np.repeat([1.0, 1.0, -1.0, -1.0], per_group)


def data(
    *,
    per_group: int,
    noise: float,
    shown: list[float],
    nu: list[float],
    widths: list[int],
    chains: int,
    sweeps: int,
    repeats: int,
) -> xr.Dataset:
    """Gram matrices at some nu, their distance from the NNGP and likeness to the labels, and those of finite widths."""
    x, G0, y = points(per_group, seed=0)
    known: dict[str, Any] = {"layers": LAYERS, "noise": noise}
    fixed = deep_kernel_optimum(G0, y, nu=NNGP, **known)
    images = [fixed] + [deep_kernel_optimum(G0, y, nu=v, **known) for v in shown]
    line = [deep_kernel_optimum(G0, y, nu=v, **known) for v in nu]
    grams = xr.concat([best.grams for best in line], "nu")
    over: Any = ("x1", "x2")
    norm = np.sqrt((grams**2).sum(over))
    labels = xr.DataArray(np.outer(y, y), dims=over)
    ds = xr.Dataset({"image": xr.concat([best.grams for best in images], "shown")})
    ds["off"] = np.sqrt(((grams - fixed.grams) ** 2).sum(over) / (fixed.grams**2).sum(over))
    ds["likeness"] = (grams * labels).sum(over) / (norm * y.size)
    ds["likeness_nngp"] = (fixed.grams * labels).sum(over) / (np.sqrt((fixed.grams**2).sum(over)) * y.size)
    ds["input"], ds["input_gram"], ds["labels"] = (("x1", "axis"), x), (over, G0), labels
    ds = ds.assign_coords(nu=nu, shown=[np.inf, *shown])
    both = xr.merge([ds, _of_width(widths, noise, chains, sweeps, repeats)])
    worst = max(best.residual for best in (*images, *line))
    return both.assign_attrs(residual=worst, curvature=max(best.curvature for best in (*images, *line)))


def _of_width(widths: list[int], noise: float, chains: int, sweeps: int, repeats: int) -> xr.Dataset:
    """Distance of the mean Gram matrices of width N from the limit, with its error, and the spread of a sample.

    The squared distance is the mean over pairs of independent runs, so that their noise adds nothing; its error is
    that of the jackknife.
    """
    _, G0, y = points(1, seed=0)
    known: dict[str, Any] = {"layers": WIDTH_LAYERS, "nu": WIDTH_NU, "noise": noise}
    best = deep_kernel_optimum(G0, y, **known).grams.values
    found = []
    for width in tqdm(widths, desc="widths", delay=2, disable=None):
        runs = [
            finite_width_grams(G0, y, width=width, chains=chains, sweeps=sweeps, seed=seed, **known)
            for seed in range(repeats)
        ]
        off = np.stack([(run.gram.values - best).ravel() for run in runs])
        left_out = np.array([_squared(np.delete(off, i, axis=0)) for i in range(repeats)])
        error = np.sqrt((repeats - 1) * left_out.var())
        spread = np.sqrt(np.mean([(run.gram_std.values**2).sum() for run in runs]))
        distance = np.sqrt(max(_squared(off), 0.0))
        found.append([distance, error / (2 * distance) if distance else np.inf, spread])
    columns = (np.array(found) / np.linalg.norm(best)).T
    names = ("distance", "distance_error", "spread")
    return xr.Dataset({name: ("width", v) for name, v in zip(names, columns, strict=True)}, {"width": widths})


def _squared(off: Floats) -> float:
    """Mean of the products of two different rows."""
    runs = len(off)
    return float(((off.sum(0) ** 2).sum() - (off**2).sum()) / (runs * (runs - 1)))


def draw(ds: xr.Dataset) -> "Figure":
    """Inputs, targets and Gram matrices above; distances, likeness and finite widths below."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(7, 6.6))
    parts: Any = figure.subfigures(2, 1, height_ratios=[4.3, 2.3])
    above, below = parts
    panels = above.subplots(LAYERS, 1 + ds.sizes["shown"])
    _draw_inputs(panels[0, 0], ds)
    for axes, matrix, name in zip(panels[1:, 0], (ds.input_gram, ds.labels), ("$G_0$", r"$yy^{\rm T}$"), strict=True):
        _draw_matrix(axes, matrix, name)
    for row, layer in zip(panels, ds.layer.values, strict=True):
        for axes, nu in zip(row[1:], ds.shown.values, strict=True):
            top = rf"$\nu={nu:g}$" if np.isfinite(nu) else r"$\nu=\infty$: NNGP"
            image = _draw_matrix(axes, ds.image.sel(layer=layer, shown=nu), f"$G_{layer}$, {top}")
    above.colorbar(image, ax=panels, shrink=0.6, aspect=30, label="Gram matrix", pad=0.01)
    bottom = below.subplots(1, 3)
    _draw_distance(bottom[0], ds)
    _draw_likeness(bottom[1], ds)
    _draw_widths(bottom[2], ds)
    for axes, letter in zip((panels[0, 0], *bottom), "abcd", strict=True):
        axes.set_title(f"({letter}) {axes.get_title(loc='left')}", loc="left", pad=3)
    return figure


def _draw_inputs(axes: "Axes", ds: xr.Dataset) -> None:
    per = ds.sizes["x1"] // len(GROUPS)
    for i, (name, angle) in enumerate(zip(GROUPS, DIRECTIONS, strict=True)):
        x, positive = ds.input.values[i * per : (i + 1) * per], i < 2
        axes.plot(*x.T, "o" if positive else "v", color=COLOURS[0] if positive else COLOURS[1], ms=2.5, mew=0)
        axes.text(np.cos(angle) * 0.8, np.sin(angle) * 0.8, name, fontsize=7, ha="center", va="center")
    axes.text(0, 0.0, "$y=+1$", color=COLOURS[0], fontsize=7, ha="center", va="bottom")
    axes.text(0, 0.0, "$y=-1$", color=COLOURS[1], fontsize=7, ha="center", va="top")
    axes.set(aspect="equal", xlim=(-1.7, 1.7), ylim=(-1.7, 1.7), xticks=[], yticks=[])
    axes.set_title("inputs", loc="left")


def _draw_matrix(axes: "Axes", matrix: xr.DataArray, title: str) -> Any:
    image = axes.imshow(matrix, cmap="RdBu_r", vmin=-1.05, vmax=1.05)
    n = matrix.sizes["x1"]
    at = (np.arange(4) + 0.5) * n / 4 - 0.5
    axes.set_xticks(at, GROUPS, fontsize=6)
    axes.set_yticks(at, GROUPS, fontsize=6)
    axes.tick_params(length=0, pad=1.5)
    axes.set_title(title, loc="left", pad=3)
    return image


def _draw_distance(axes: "Axes", ds: xr.Dataset) -> None:
    for layer, colour, marker in zip(ds.layer.values, COLOURS, MARKERS, strict=True):
        axes.plot(ds.nu, ds.off.sel(layer=layer), color=colour, marker=marker, mfc="w", ms=3, label=f"$G_{layer}$")
    late = ds.nu.values[ds.nu.values >= 30]
    axes.plot(late, 0.3 * float(ds.off.max("layer")[-1]) * late[-1] / late, "k--", lw=0.8)
    axes.text(0.45, 0.25, r"$\propto 1/\nu$", transform=axes.transAxes, fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel=r"relative width $\nu$")
    axes.set_ylabel(r"$|G_l-G_l^{\infty}|_F\,/\,|G_l^{\infty}|_F$")
    axes.legend(loc="upper right")
    axes.set_title("towards the NNGP", loc="left")


def _draw_likeness(axes: "Axes", ds: xr.Dataset) -> None:
    for layer, colour, marker in zip(ds.layer.values, COLOURS, MARKERS, strict=True):
        axes.plot(ds.nu, ds.likeness.sel(layer=layer), color=colour, marker=marker, mfc="w", ms=3)
        axes.axhline(float(ds.likeness_nngp.sel(layer=layer)), color=colour, ls=":", lw=0.8)
    axes.text(0.14, 0.9, "features learned", transform=axes.transAxes, fontsize=7, va="top")
    axes.text(0.97, 0.5, "fixed kernel (dotted: $\\nu=\\infty$)", transform=axes.transAxes, fontsize=7, ha="right")
    axes.set(xscale="log", xlabel=r"relative width $\nu$", ylim=(0, 1))
    axes.set_ylabel(r"$y^{\rm T}G_l\,y\,/\,(|G_l|_F\,|y|^2)$")
    axes.set_title("likeness to labels", loc="left")


def _draw_widths(axes: "Axes", ds: xr.Dataset) -> None:
    N = ds.width.values.astype(float)
    axes.plot(N, ds.spread, "s", color=COLOURS[1], mfc="w", label="one sample")
    axes.errorbar(
        N, ds.distance, ds.distance_error, ls="", marker="o", color=COLOURS[0], mfc="w", label="posterior mean"
    )
    for line, power, text in ((ds.spread, -0.5, "N^{-1/2}"), (ds.distance, -1.0, "N^{-1}")):
        at = float(line[-1] * N[-1] ** -power)
        axes.plot(N, at * N**power, "k--", lw=0.8)
        axes.text(1.15 * N[-1], float(line[-1]), f"${text}$", fontsize=7, va="center")
    axes.set(xscale="log", yscale="log", xlabel="width $N$", xlim=(0.8 * N[0], 3.5 * N[-1]))
    axes.set_ylabel(r"relative distance from $N=\infty$")
    axes.legend(loc="lower left")
    axes.set_title(rf"finite width, $\nu={WIDTH_NU:g}$, $L={WIDTH_LAYERS}$", loc="left")


recipe = Recipe(
    name="deep_kernel_machine",
    data=data,
    draw=draw,
    full={
        "per_group": 6,
        "noise": 0.05,
        "shown": [16.0, 4.0, 1.0],
        "nu": [round(float(v), 6) for v in np.geomspace(1, 1e4, 17)],
        "widths": [4, 8, 16, 32, 64],
        "chains": 50,
        "sweeps": 700,
        "repeats": 8,
    },
    draft={
        "per_group": 2,
        "noise": 0.05,
        "shown": [4.0, 1.0],
        "nu": [1.0, 30.0, 1000.0],
        "widths": [4, 8],
        "chains": 8,
        "sweeps": 10,
        "repeats": 3,
    },
)
