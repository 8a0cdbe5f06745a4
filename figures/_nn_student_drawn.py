"""How the figure of the Student-t process is drawn."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {"gauss": "#0072B2", "fitted": "#009E73", "student": "#D55E00"}
NAMES = {"gauss": "Gaussian, $s^2=1$", "fitted": "Gaussian, $s^2=Q/n$ (most evidence)", "student": "Student-t"}
STYLES = {"gauss": "--", "fitted": ":", "student": "-"}
MARKERS = {"gauss": "o", "fitted": "^", "student": "s"}
WHITE = {"fc": "w", "ec": "none", "pad": 0.8}
OUTSIDE = (0.5, 0.1, 0.01)


def draw(ds: xr.Dataset) -> "Figure":
    """Prior: outputs, their tail. Posterior: bands without and with an outlier. Forecasts: outliers, scale."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, panels = plt.subplots(2, 3, figsize=(7, 4.7))
    draws = (_draw_cloud, _draw_tail, _draw_misfit, _draw_bands, _draw_bands, _draw_outliers)
    for i, (letter, axes, panel) in enumerate(zip("abcdef", panels.flat, draws, strict=True)):
        panel(axes, ds.isel(case=i - 3) if panel is _draw_bands else ds)
        axes.set_title(f"({letter})", loc="left", pad=3)
    panels[1, 0].set_ylabel("function $f$, central 95 %")
    panels[1, 1].plot(ds.x[ds.attrs["outlier"]], ds.labels[1, ds.attrs["outlier"]], "o", ms=8, mfc="none", mec="k")
    for axes, words in zip(panels[1], ("without outlier", "one label off by $-2.5$"), strict=False):
        axes.text(0.04, 0.95, words, transform=axes.transAxes, va="top", fontsize=7)
    keys = [
        Line2D([], [], color=colour, ls=STYLES[law], marker=MARKERS[law], mfc="w", label=NAMES[law])
        for law, colour in COLOURS.items()
    ]
    figure.legend(handles=keys, loc="outside lower center", ncols=3)
    return figure


def _tail_student(r: Any, ds: xr.Dataset) -> Any:
    return (1 + r**2 / (2 * ds.attrs["beta"])) ** -ds.attrs["alpha"]


def _draw_cloud(axes: "Axes", ds: xr.Dataset) -> None:
    """Contours that leave outside 50, 10 and 1 % of the outputs."""
    axes.plot(*ds.cloud.T, ".", color="0.55", ms=1.5, mew=0, zorder=0, rasterized=True)
    angle = np.linspace(0, 2 * np.pi, 200)
    for share in OUTSIDE:
        radius = {
            "gauss": np.sqrt(-2 * np.log(share)),
            "student": np.sqrt(2 * ds.attrs["beta"] * (share ** (-1 / ds.attrs["alpha"]) - 1)),
        }
        for law, r in radius.items():
            axes.plot(r * np.cos(angle), r * np.sin(angle), color=COLOURS[law], ls=STYLES[law])
    told = f"width {ds.width.values[-1]}; outside: 50, 10, 1 %"
    axes.text(0.5, 0.96, told, transform=axes.transAxes, ha="center", va="top", fontsize=6.5, bbox=WHITE)
    axes.set(xlim=(-5.8, 5.8), ylim=(-4.9, 5.7), aspect="equal")
    axes.set(xlabel=r"output $f_1/\sqrt{K}$", ylabel=r"output $f_2/\sqrt{K}$")


def _draw_tail(axes: "Axes", ds: xr.Dataset) -> None:
    r = np.geomspace(0.4, 14, 100)
    axes.plot(r, np.exp(-(r**2) / 2), color=COLOURS["gauss"], ls="--")
    axes.plot(r, _tail_student(r, ds), color=COLOURS["student"])
    for width, marker, grey in zip(ds.width.values, "v^D", ("0.55", "0.3", "k"), strict=False):
        at = ds.sel(width=width)
        y = at.beyond.where(at.beyond > 0)
        style: dict[str, Any] = {"fmt": marker, "color": grey, "mfc": "w", "ms": 3, "mew": 0.7, "lw": 0.8}
        axes.errorbar(at.radius, y, at.beyond_error, label=f"width {width}", **style)
    axes.legend(loc="lower left")
    axes.set(xscale="log", yscale="log", ylim=(3e-4, 1.3), xlabel=r"radius $r$")
    axes.set_ylabel(r"share with $(f_1^2+f_2^2)/K>r^2$")


def _draw_bands(axes: "Axes", ds: xr.Dataset) -> None:
    axes.fill_between(
        ds.line,
        *(ds["mean"] + sign * ds.half.sel(law="student") for sign in (-1, 1)),
        color=COLOURS["student"],
        alpha=0.25,
        lw=0,
    )
    for law, colour in COLOURS.items():
        for sign in (-1, 1):
            axes.plot(ds.line, ds["mean"] + sign * ds.half.sel(law=law), color=colour, ls=STYLES[law], lw=0.9)
    axes.plot(ds.line, ds["mean"], "k", lw=0.9)
    axes.plot(ds.x, ds.labels, "ko", ms=3)
    axes.set(xlabel="input $x$", ylim=(-3.6, 4.2), xlim=(float(ds.line[0]), float(ds.line[-1])))


def _draw_outliers(axes: "Axes", ds: xr.Dataset) -> None:
    _draw_losses(axes, ds, "outliers", 100 * ds.x_outliers)
    axes.text(0.04, 0.95, rf"$n={ds.attrs['n']}$ labels", transform=axes.transAxes, va="top", fontsize=7)
    axes.set(xlabel="outliers among the labels [%]", ylabel=r"$-\ln p$ per test label [nat]")


def _draw_misfit(axes: "Axes", ds: xr.Dataset) -> None:
    """On a logarithmic axis; the excess of the right scale is zero."""
    import matplotlib.ticker as ticks

    _draw_losses(axes, ds.assign(misfit=ds.misfit.where(ds.misfit > 1e-9)), "misfit", ds.x_misfit)
    r = np.geomspace(0.1, 10, 201)
    axes.plot(r, (r**2 - 1) / 2 - np.log(r), color=COLOURS["gauss"], ls="--", lw=0.9)
    axes.set(xscale="log", yscale="log", xlabel="scale $s$ of the labels", ylabel=r"excess of $-\ln p$ [nat]")
    axes.set(ylim=(6e-3, 90))
    axes.text(0.5, 0.95, rf"$n={ds.attrs['n']}$ labels", transform=axes.transAxes, ha="center", va="top", fontsize=7)
    axes.set_xticks(ds.x_misfit[::2], [f"{s:g}" for s in ds.x_misfit.values[::2]])
    axes.xaxis.set_minor_formatter(ticks.NullFormatter())


def _draw_losses(axes: "Axes", ds: xr.Dataset, name: str, x: xr.DataArray) -> None:
    for law, colour in COLOURS.items():
        at = ds.sel(law=law)
        line = "" if (law, name) == ("gauss", "misfit") else STYLES[law]
        style: dict[str, Any] = {"fmt": MARKERS[law] + line, "color": colour, "mfc": "w", "mew": 0.8}
        axes.errorbar(x, at[name], at[f"{name}_error"], **style)
