"""How the figure of permutations is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"ntk": "#0072B2", "nngp": "#D55E00"}
NAMES = {"ntk": "both layers trained", "nngp": "readout trained"}
MARKERS = {"ntk": "o", "nngp": "s"}


def draw(ds: xr.Dataset) -> "Figure":
    """Means, weights; sizes for one input by either rounding, for all inputs, and the authors' runs."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplot_mosaic("aaaabb;ccddee", figsize=(7, 5), height_ratios=[0.85, 1])
    _draw_mean(panels["a"], ds)
    _draw_weights(panels["b"], ds)
    _draw_sizes(panels["c"], ds)
    _draw_all(panels["d"], ds)
    _draw_pairs(panels["e"], ds)
    for letter, axes in panels.items():
        axes.set_title(f"({letter})", loc="left", pad=3)
    return figure


def _draw_mean(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib.colors import SymLogNorm

    norm = SymLogNorm(0.02, linscale=0.6, vmin=-1, vmax=1, base=10)
    mesh = axes.pcolormesh(ds["mean"].T, cmap="RdBu_r", norm=norm, rasterized=True)
    x, y = np.nonzero(ds.target.values)
    axes.plot(x + 0.5, y + 0.5, ".", color="w", ms=2.2, mew=0)
    first = np.searchsorted(ds.ones, np.arange(1, ds.attrs["k_mean"] + 2))
    for at in first[1:-1]:
        axes.axvline(at, color="k", lw=0.6)
    middle = (first[1:] + first[:-1]) / 2
    axes.set_xticks(middle, np.arange(1, len(first)))
    axes.set_yticks(np.arange(ds.sizes["output"]) + 0.5, np.arange(1, ds.sizes["output"] + 1))
    axes.tick_params(length=0)
    axes.set(xlabel="bits set $s$, all nonzero inputs", ylabel="output")
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, label="mean output", ticks=[-1, -0.1, 0, 0.1, 1])
    bar.ax.set_yticklabels(["$-1$", "$-0.1$", "$0$", "$0.1$", "$1$"])


def _draw_weights(axes: "Axes", ds: xr.Dataset) -> None:
    for kind, colour in COLOURS.items():
        at = ds.sel(kind=kind)
        sigma = np.sqrt(at.variance)
        for mean in (at.w_set, at.w_unset):
            axes.fill_between(at.s, mean - sigma, mean + sigma, color=colour, alpha=0.2, lw=0)
            axes.plot(at.s, mean, MARKERS[kind] + "-", color=colour, mfc="w", ms=2.8, mew=0.8)
        axes.plot(at.s, (at.w_set + at.w_unset.fillna(0)) / 2, ":", color=colour, lw=0.9)
        axes.plot([], [], MARKERS[kind] + "-", color=colour, mfc="w", label=NAMES[kind])
    axes.axhline(0, color="k", lw=0.6)
    axes.legend(loc="upper right")
    axes.set(xlabel=rf"bits set $s$, $k={ds.attrs['k_weights']}$", ylabel=r"output $\pm\sigma$, one network")


def _draw_sizes(axes: "Axes", ds: xr.Dataset) -> None:
    for rounding, style in (("sign", "--"), ("midway", "-")):
        for kind, colour in COLOURS.items():
            at = ds.sel(kind=kind, rounding=rounding)
            axes.plot(at.k, at.bound, color=colour, lw=0.6, ls=style)
            axes.plot(at.k, at.least, color=colour, ls=style)
            axes.errorbar(at.k, at.sampled, at.error, fmt=MARKERS[kind], color=colour, mfc="w", ms=2.6, mew=0.7)
    _guide(axes, ds.k.values, lambda k: 0.45 * k * np.log(k), r"$\propto k\,\ln k$")
    axes.set(xscale="log", yscale="log", xlabel="bits $k$", ylabel="networks $N$, one input")


def _draw_all(axes: "Axes", ds: xr.Dataset) -> None:
    for rounding, style in (("sign", "--"), ("midway", "-")):
        for kind, colour in COLOURS.items():
            at = ds.sel(kind=kind, rounding=rounding)
            axes.plot(at.k_all, at.bound_all, color=colour, lw=0.6, ls=style)
            axes.errorbar(
                at.k_all, at["all"], at.all_error, fmt=MARKERS[kind], ls=style, color=colour, mfc="w", ms=2.6, mew=0.7
            )
    _guide(axes, ds.k_all.values, lambda k: 0.3 * k**2, r"$\propto k^2$")
    axes.set(xscale="log", yscale="log", xlabel="bits $k$", ylabel="networks $N$, all inputs")


def _draw_pairs(axes: "Axes", ds: xr.Dataset) -> None:
    low, middle, high = ds.pairs.T
    axes.fill_between(ds.k_pair, low, high, color=COLOURS["nngp"], alpha=0.2, lw=0)
    axes.plot(ds.k_pair, middle, color=COLOURS["nngp"])
    axes.plot(ds.k_authors, ds.authors, "kX", ms=5)
    for kind, colour in COLOURS.items():
        axes.plot(ds.k_pair, ds.pairs_least.sel(kind=kind), ":", color=colour)
    axes.set(yscale="log", xlabel="bits $k$", ylabel="networks $N$, pairs of bits")


def _guide(axes: "Axes", k: Any, f: Any, label: str) -> None:
    axes.plot(k, f(k), color="0.5", lw=2, alpha=0.5)
    axes.text(k[-1], f(k[-1]) * 0.6, label, ha="right", va="top", fontsize=7, color="0.35")
