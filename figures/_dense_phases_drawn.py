"""How the phase diagrams of dense networks that learn are drawn; ``_dense_phases`` computes them."""

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ._dense_phases import CLOSURES, LAWS, REGIONS, THETA

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#FFFFFF", "#DCEBF5", "#9CC4E4", "#DDD3E8", "#E6E6E6", "#FBE3C4")
LARGE_ERROR = 0.05
OVERLAP: dict[str, Any] = {"cmap": "viridis", "vmin": 0, "vmax": 1}
LINES: dict[str, dict[str, Any]] = {
    "gamma_M": {"color": "#0072B2", "label": "RS spinodal of retrieval"},
    "gamma_c": {"color": "#D55E00", "ls": "--", "label": "RS first order, retrieval = paramagnet"},
    "gamma_AT": {"color": "#CC79A7", "ls": "-.", "label": "AT line of retrieval"},
}
GLASS: dict[str, dict[str, Any]] = {
    "T_s": {"color": "k", "label": r"$T_s\sqrt{\gamma}$: glass (1RSB)"},
    "T_d": {"color": "k", "ls": ":", "label": r"$T_d\sqrt{\gamma}$: dynamic glass (1RSB)"},
    "T_onset": {"color": "0.5", "ls": (0, (1, 2)), "label": "RS root $m=0$, $q>0$: not a phase"},
}
NISHIMORI: dict[str, Any] = {"color": "#009E73", "lw": 0.8, "label": r"Nishimori line $T'=\gamma$"}
LAW_LINES: dict[str, dict[str, Any]] = {
    "low_entropy": {"color": "#E69F00", "ls": "-.", "label": "low-entropy closure"},
    "full": {"color": "#0072B2", "ls": "--", "label": "full closure"},
    "binomial": {"color": "#0072B2", "label": "exact law of $M$ examples"},
}
REGION_NAMES = (
    "ergodic",
    "ergodic, retrieval metastable",
    "retrieval",
    "retrieval or glass (needs RSB)",
    "glass",
    "single examples (no theory)",
)


def draw(ds: xr.Dataset) -> "Figure":
    """(gamma, T) by dataset entropy and closure above; (M, gamma) and (r, M) by the exact law of M examples below.

    The low-entropy closure has no free energy that is stationary: its first-order line is that of f at its solution.
    """
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(7, 6.6))
    halves: Any = figure.subfigures(2, 1, height_ratios=[1.5, 1])
    above, below = halves
    several = ds.M.values[1:]
    names = [["storing", *(f"low_entropy {M}" for M in several)], ["key", *(f"full {M}" for M in several)]]
    axes = above.subplot_mosaic(names)
    points = _plane(axes["storing"], ds.sel(closure="full", M=0), r"$\rho=0$ (patterns)")
    _name(
        axes["storing"],
        (("retrieval", 0.17, 0.43), ("glass", 0.455, 0.08), ("ergodic", 0.38, 0.9), ("metastable", 0.1, 0.76)),
    )
    high = min(1.25 * float(ds.gamma_M.sel(M=several).max()), float(ds.gamma.max()))
    for closure, M in product(CLOSURES, several):
        at = axes[f"{closure} {M}"]
        _plane(at, ds.sel(closure=closure, M=M), rf"$\rho={1 / M:g}$ ($M={M}$)")
        at.set_xlim(0, high)
        _name(at, ((LAW_LINES[closure]["label"], 0.62 * high, 0.93 * float(ds["T"].max())),))
    for first in ("storing", f"full {several[0]}"):
        axes[first].set_ylabel(r"temperature $T'$ $[J/k_B]$")
    _key(axes["key"], np.unique(np.concatenate([ds.region.values.ravel(), ds.region_M.values.ravel()])))
    bar = above.colorbar(points, ax=list(axes.values()), pad=0.01)
    bar.set_label(rf"simulated overlap $m$, $N={ds.attrs['N']}$ ($\times$: error > {LARGE_ERROR:g})")
    left, right = below.subplots(1, 2)
    _draw_examples(left, ds)
    _draw_quality(right, ds)
    return figure


def _shade(axes: "Axes", x: Any, y: Any, region: xr.DataArray, unconverged: xr.DataArray) -> None:
    from matplotlib.colors import ListedColormap

    style: dict[str, Any] = {"cmap": ListedColormap(COLOURS), "vmin": -0.5, "vmax": len(REGIONS) - 0.5}
    axes.pcolormesh(x, y, region, **style, rasterized=True, shading="nearest", zorder=0)
    if unconverged.any():
        axes.contourf(x, y, unconverged, levels=[0.5, 1.5], colors="none", hatches=["xxxx"])


def _plane(axes: "Axes", ds: xr.Dataset, title: str) -> Any:
    _shade(axes, ds.gamma, ds["T"], ds.region.transpose("T", "gamma"), ds.unconverged.transpose("T", "gamma"))
    root = np.sqrt(np.linspace(0, float(ds.gamma.max()), 200))
    for name, style in GLASS.items():
        axes.plot(root**2, float(ds[name]) * root, lw=0.9, **style)
    if ds.M == 0:
        axes.plot(ds.gamma, ds.gamma, **NISHIMORI)
    for name, style in LINES.items():
        axes.plot(ds[name], ds.T_line, **style)
    x, y = np.meshgrid(ds.gamma_mc, ds.T_mc, indexing="ij")
    axes.set(xlim=(0, ds.gamma.max()), ylim=(0, ds["T"].max()), title=title, xlabel=r"load $\gamma$")
    return _points(axes, x, y, ds.overlap, ds.overlap_error)


def _points(axes: "Axes", x: Any, y: Any, m: xr.DataArray, error: xr.DataArray) -> Any:
    """Circles coloured by the overlap; a white cross where its error over disorder exceeds 0.05."""
    unsure = (error > LARGE_ERROR).values
    axes.scatter(x[unsure], y[unsure], c="w", s=4, marker="x", linewidths=0.7, zorder=5)
    return axes.scatter(x, y, c=m, s=13, edgecolors="k", linewidths=0.3, zorder=4, **OVERLAP)


def _draw_examples(left: "Axes", ds: xr.Dataset) -> None:
    _shade(left, ds.M_line, ds.gamma, ds.region_M.transpose("gamma", "M_line"), ds.unconverged_M.T)
    for law in LAWS:
        left.plot(ds.M_line, ds.gamma_of_M.sel(law=law), **LAW_LINES[law])
    learned = ds.isel(M=slice(1, None), T_mc=0)
    x, y = np.meshgrid(learned.M, learned.gamma_mc, indexing="ij")
    _points(left, x, y, learned.overlap, learned.overlap_error)
    left.set(xscale="log", xlim=(1, ds.M_line.max()), xlabel="examples per pattern $M$", ylabel=r"load $\gamma$")
    left.set(title=rf"$r=1/\sqrt{{2}}$, $T'={ds.attrs['T']:g}$; lines: RS spinodals; shaded by the exact law")
    _name(left, (("glass", 60, 0.46), ("retrieval", 45, 0.2)))
    left.legend(loc="upper center")


def _draw_quality(axes: "Axes", ds: xr.Dataset) -> None:
    axes.set_facecolor(COLOURS[REGIONS.index("singly")])
    axes.pcolormesh(ds.r, ds.M_of_r, ds.m_of_r.T, shading="nearest", rasterized=True, alpha=0.55, **OVERLAP)
    if ds.unconverged_r.any():
        axes.contourf(ds.r, ds.M_of_r, ds.unconverged_r.T, levels=[0.5, 1.5], colors="none", hatches=["xxxx"])
    for law in LAWS:
        axes.plot(ds.r, ds.M_least.sel(law=law), **LAW_LINES[law])
    x, y = np.meshgrid(ds.r_mc, ds.M_mc, indexing="ij")
    _points(axes, x, y, ds.weak_overlap, ds.weak_overlap_error)
    axes.set(xscale="log", yscale="log", xlim=(ds.r.min(), 1), ylim=(0.85, ds.M_of_r.max()))
    axes.set(xlabel="quality of an example $r$", ylabel="examples per pattern $M$")
    axes.set(title=rf"$\gamma={ds.attrs['gamma']:g}$, $T'={ds.attrs['T']:g}$; shaded: $m$, lines: $m={THETA:g}$ (RS)")
    ticks = [r for r in (0.2, 0.3, 0.4, 0.6, 0.8, 1) if r > ds.r.min()]
    axes.set_xticks(ticks, [f"{r:g}" for r in ticks])
    axes.set_xticks([], minor=True)


def _key(axes: "Axes", regions: Any) -> None:
    """The lines and the shades of the panels."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    styles = (*LINES.values(), *GLASS.values(), NISHIMORI)
    handles: list[Any] = [Line2D([], [], **style) for style in styles]
    handles += [Patch(fc=COLOURS[k], ec="0.4", lw=0.5, label=REGION_NAMES[k]) for k in regions]
    axes.legend(handles=handles, loc="center left", bbox_to_anchor=(-0.4, 0.5), fontsize=6, handlelength=1.8)
    axes.set_axis_off()


def _name(axes: "Axes", texts: tuple[tuple[str, float, float], ...]) -> None:
    for text, x, y in texts:
        axes.text(x, y, text, ha="center", va="center", fontsize=7, zorder=6)
