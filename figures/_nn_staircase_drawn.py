"""How the figure of learning curves is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v")
NAMES = {"A": "monotone", "B": "double descent", "C": "single peak"}
LEVELS = [0.2, 0.4, 0.6, 0.8]
FRAME: dict[str, Any] = {"frameon": True, "facecolor": "w", "edgecolor": "none", "framealpha": 1}
WHITE: dict[str, Any] = {"bbox": {"fc": "w", "ec": "none", "pad": 0.8}}
COLOURS = ("#FFFFFF", "#FBE3B4", "#CFE3F2")


def draw(ds: xr.Dataset) -> "Figure":
    """Staircase, errors by degree; diagram of the flat spectrum, its curves."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(7, 5.2))
    for axes, letter, panel in zip(panels.flat, "abcd", (_staircase, _degrees, _map, _curves), strict=True):
        panel(axes, ds)
        axes.set_title(f"({letter})", loc="left", pad=3)
    return figure


def _staircase(axes: "Axes", ds: xr.Dataset) -> None:
    axes.plot(ds.x, ds.limit, color="0.7", lw=2.5, zorder=0, label=rf"$d={ds.attrs['limit']}$")
    for i, d in enumerate(ds.d.values):
        at = ds.sel(d=d)
        axes.plot(at.x, at.E_g, color=f"C{i}", zorder=1)
        _points(axes, np.log(at.P) / np.log(d), at.E_mc, at.E_mc_error, i, rf"$d={d}$")
    for k in (1, 2, 3):
        axes.axvline(k, color="0.6", lw=0.6, ls=":", zorder=0)
        axes.text(k, 1.13, rf"$P=d^{k}$", ha="center", fontsize=7, color="0.35", **WHITE)
        power = 1 - float(ds.share[0, : k + 1].sum())
        axes.axhline(power, color="0.6", lw=0.6, ls=":", zorder=0)
        if k < 3:
            axes.text(3.47, power + 0.012, rf"degrees to {k} learnt", ha="right", fontsize=7, color="0.35")
    axes.legend(
        loc="lower left", title="lines: theory\npoints: regression", title_fontsize=7, alignment="left", **FRAME
    )
    axes.set(xlabel=r"training points, $\ln P/\ln d$", ylabel=r"error $E_g/\langle f^2\rangle$", ylim=(0, 1.22))
    axes.set(xlim=(0.3, 3.5))


def _points(axes: "Axes", x: xr.DataArray, y: xr.DataArray, error: xr.DataArray, i: int, label: str) -> None:
    axes.errorbar(x, y, error, fmt=MARKERS[i], color=f"C{i}", mfc="w", mew=0.8, label=label)


def _degrees(axes: "Axes", ds: xr.Dataset) -> None:
    d = ds.attrs["shown"]
    at = ds.sel(d=d)
    for k in range(5):
        axes.plot(d**at.x, at["modes"][:, k], color=f"C{k}", zorder=1)
        _points(axes, at.P, at.modes_mc[:, k], at.modes_mc_error[:, k], k, rf"$k={k}$")
        if at.share[k] > 0:
            axes.axvline(float(at["count"][k]), color=f"C{k}", lw=0.7, ls=":", zorder=0)
            axes.text(float(at["count"][k]), 0.55, f" $N_{k}$", color=f"C{k}", fontsize=8)
    axes.legend(loc="lower left", title=rf"degree, $d={d}$", title_fontsize=7, **FRAME)
    axes.set(xscale="log", yscale="log", xlabel="training points $P$", ylabel=r"error of degree $k$, $E_k$")
    axes.set(ylim=(2e-4, 0.9), xlim=(d**0.45, d**3.2))


def _map(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib.colors import ListedColormap

    style: dict[str, Any] = {
        "cmap": ListedColormap(COLOURS),
        "vmin": -0.5,
        "vmax": 2.5,
        "shading": "nearest",
        "rasterized": True,
    }
    axes.pcolormesh(ds.ridge, ds.noise, ds.turns.T, **style)
    axes.contour(ds.ridge, ds.noise, ds.gamma.T, LEVELS, colors="0.45", linewidths=0.7)
    for level in LEVELS:
        ridge = float(np.interp(-level, -ds.gamma[:, -1], np.log10(ds.ridge)))
        axes.text(10**ridge, 13, rf"$\gamma={level:g}$", **WHITE, ha="center", fontsize=7, color="0.35")
    axes.plot(ds.ridge, ds.edge, "k", lw=1.4)
    rise = ds.ridge.where(ds.ridge <= 1)
    axes.plot(rise, 1 + 2 * rise, "k--", lw=1.2)
    axes.text(9, 5e-3, r"grey: $\gamma$ where $E_g$ peaks", ha="right", fontsize=7, color="0.35")
    axes.plot(1, 3, "o", color="k", mfc="w", ms=4)
    for words, ridge, noise in ((NAMES["C"], 0.028, 2.2), (NAMES["B"], 0.004, 0.25), (NAMES["A"], 0.6, 0.04)):
        axes.text(ridge, noise, words, ha="center", va="center", fontsize=8)
    told: dict[str, Any] = {"xy": (1.05e-3, 5), "xytext": (1.7e-3, 5), "va": "center", "fontsize": 7}
    axes.annotate("noise peak,\n" r"$\gamma\to1$", **told, arrowprops={"arrowstyle": "->", "lw": 0.8})
    axes.text(1.15, 2.3, "$(1, 3)$", fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel=r"ridge$\,/(M\lambda)$", ylabel=r"noise $s^2/\langle f^2\rangle$")
    for i, name in enumerate(ds.case.values):
        ridge, noise = ds["at"][i].values
        axes.plot(ridge, noise, MARKERS[i], color=f"C{i}", ms=5)
        axes.text(1.25 * ridge, noise, name, va="center", fontsize=8, color=f"C{i}", weight="bold")


def _curves(axes: "Axes", ds: xr.Dataset) -> None:
    for i, name in enumerate(ds.case.values):
        axes.plot(ds.line, ds.flat[i], color=f"C{i}", zorder=1)
        _points(axes, ds["load"], ds.flat_mc[i], ds.flat_mc_error[i], i, f"{name}: {NAMES[name]}")
    axes.axvline(1, color="0.6", lw=0.6, ls=":", zorder=0)
    axes.legend(loc="lower left", title=rf"$M={ds.attrs['modes']}$", title_fontsize=7, **FRAME)
    axes.set(xscale="log", yscale="log", xlabel="training points per mode $P/M$")
    axes.set_ylabel(r"error $E_g/\langle f^2\rangle$")
