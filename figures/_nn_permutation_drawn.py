"""How the figure of permutations is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"ntk": "#0072B2", "nngp": "#D55E00"}
NAMES = {"ntk": "both layers trained", "nngp": "readout trained"}
MEMBERS = 16
MARKERS = {"ntk": "o", "nngp": "s"}


def draw(ds: xr.Dataset) -> "Figure":
    """Means, weights; sizes for one input and for all at once, by either rounding, and the authors' runs."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(7, 5.3))
    rows: Any = figure.subfigures(2, 1, height_ratios=[0.85, 1])
    upper, lower = rows
    panels = [*upper.subplots(1, 2, width_ratios=[2.2, 1]), *lower.subplots(1, 3)]
    draws = (_draw_mean, _draw_weights, _draw_sizes, _draw_all, _draw_pairs)
    for letter, axes, panel in zip("abcde", panels, draws, strict=True):
        panel(axes, ds)
        axes.set_title(f"({letter})", loc="left", pad=3)
    _key(figure)
    return figure


def _key(figure: "Figure") -> None:
    from matplotlib.lines import Line2D

    def line(label: str, colour: str, **style: Any) -> Line2D:
        return Line2D([], [], label=label, color=colour, **style)

    kinds = [line(NAMES[kind], colour, marker=MARKERS[kind], mfc="w") for kind, colour in COLOURS.items()]
    what = [line("threshold midway", "k"), line("threshold zero", "k", ls="--")]
    how = [line("union bound", "k", lw=0.6), line("least (points: sampled)", "k", marker="D", mfc="w", ms=3)]
    figure.legend(handles=[*kinds, *what, *how], loc="outside lower center", ncols=6, columnspacing=1.2)


def _draw_mean(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib.colors import SymLogNorm

    norm = SymLogNorm(0.02, linscale=0.6, vmin=-1, vmax=1, base=10)
    mesh = axes.pcolormesh(ds["mean"].T, cmap="RdBu_r", norm=norm, rasterized=True)
    x, y = np.nonzero(ds.target.values)
    axes.plot(x + 0.5, y + 0.5, ".", color="w", ms=3, mew=0)
    first = np.searchsorted(ds.ones, np.arange(1, ds.attrs["k_mean"] + 2))
    for at in first[1:-1]:
        axes.axvline(at, color="k", lw=0.6)
    middle = (first[1:] + first[:-1]) / 2
    axes.set_xticks(middle, np.arange(1, len(first)))
    axes.set_yticks(np.arange(ds.sizes["output"]) + 0.5, np.arange(1, ds.sizes["output"] + 1))
    axes.tick_params(length=0)
    axes.set(xlabel="all nonzero inputs, by bits set $s$ (dots: the bit to be found is 1)", ylabel="output")
    bar = axes.figure.colorbar(mesh, ax=axes, pad=0.01, label="mean output", ticks=[-1, -0.1, 0, 0.1, 1])
    bar.ax.set_yticklabels(["$-1$", "$-0.1$", "$0$", "$0.1$", "$1$"])


def _draw_weights(axes: "Axes", ds: xr.Dataset) -> None:
    for kind, colour in COLOURS.items():
        at = ds.sel(kind=kind)
        sigma = np.sqrt(at.variance / MEMBERS)
        for mean in (at.w_set, at.w_unset):
            axes.fill_between(at.s, mean - sigma, mean + sigma, color=colour, alpha=0.2, lw=0)
            axes.plot(at.s, mean, MARKERS[kind] + "-", color=colour, mfc="w", ms=2.8, mew=0.8)
        axes.plot(at.s, (at.w_set + at.w_unset.fillna(0)) / 2, ":", color=colour, lw=0.9)
    axes.axhline(0, color="k", lw=0.6)
    k = ds.attrs["k_weights"]
    axes.text(0.6 * k, 0.8, "bit set", fontsize=7)
    axes.text(0.25 * k, -0.4, "bit unset", fontsize=7)
    axes.set(xlabel=rf"bits set $s$, $k={ds.attrs['k_weights']}$", ylabel=rf"mean of {MEMBERS} networks $\pm\sigma$")


def _draw_sizes(axes: "Axes", ds: xr.Dataset) -> None:
    unit = ds.k * np.log(ds.k)
    for rounding, style in (("sign", "--"), ("midway", "-")):
        for kind, colour in COLOURS.items():
            at = ds.sel(kind=kind, rounding=rounding) / unit
            axes.plot(at.k, at.bound, color=colour, lw=0.6, ls=style)
            axes.plot(at.k, at.least, color=colour, ls=style)
            axes.errorbar(at.k, at.sampled, at.error, fmt=MARKERS[kind], color=colour, mfc="w", ms=2.6, mew=0.7)
    axes.plot(ds.k, ds.k / np.log(ds.k), color="0.5", lw=2, alpha=0.5)
    axes.text(40, 20, r"$N=k^2$", fontsize=7, color="0.35")
    axes.set(xscale="log", yscale="log", xlabel="bits $k$", ylabel=r"$N/(k\ln k)$, one input", ylim=(0.6, 150))


def _draw_all(axes: "Axes", ds: xr.Dataset) -> None:
    for rounding, style in (("sign", "--"), ("midway", "-")):
        for kind, colour in COLOURS.items():
            at = ds.sel(kind=kind, rounding=rounding)
            axes.plot(at.k_all, at.bound_all, color=colour, lw=0.6, ls=style)
            axes.errorbar(
                at.k_all, at["all"], at.all_error, fmt=MARKERS[kind], ls=style, color=colour, mfc="w", ms=2.6, mew=0.7
            )
    k = ds.k_all.values
    axes.plot(k, 0.2 * k**2, color="0.5", lw=2, alpha=0.5)
    axes.text(k[-1], 0.13 * k[-1] ** 2, r"$\propto k^2$", ha="right", va="top", fontsize=7, color="0.35")
    axes.set(xscale="log", yscale="log", xlabel="bits $k$", ylabel="networks $N$, all inputs")
    axes.set_xticks(ds.k_all, [str(k) for k in ds.k_all.values])
    axes.set_xticks([], minor=True)


def _draw_pairs(axes: "Axes", ds: xr.Dataset) -> None:
    low, middle, high = ds.pairs.T
    axes.fill_between(ds.k_pair, low, high, color=COLOURS["nngp"], alpha=0.2, lw=0, label=r"wide: 5 to 95 %")
    axes.plot(ds.k_pair, middle, color=COLOURS["nngp"], lw=0.8, label="wide: median")
    for kind, colour in COLOURS.items():
        axes.plot(ds.k_pair, ds.pairs_least.sel(kind=kind), "--", color=colour)
    axes.plot(ds.k_authors, ds.authors, "kX", ms=4.5, label="authors, width 50 000")
    axes.legend(loc="lower right")
    axes.set(yscale="log", xlabel="bits $k$", ylabel=r"networks $N$, $s=2$")
