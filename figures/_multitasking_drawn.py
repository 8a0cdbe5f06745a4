"""Overlaps of diluted patterns above their pulls, a column for each K or d: how two of the figures are laid out."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..theory.parallel import name_states
from ._multitasking import BARRIER, SOFT

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PHASES = ("paramagnet", "pure", "hierarchical", "mixture", "parallel")
MARKERS = ("o", "s")
_BEYOND = 5.6  # pulls further out are drawn at the edge


def phase_codes(m: xr.DataArray, d: xr.DataArray) -> xr.DataArray:
    """The phase of states (..., mu), as an index into PHASES."""
    named = name_states((m / (1 - d)).values, np.full(m.isel(mu=0).shape, "paramagnet"))
    return m.isel(mu=0).copy(data=np.vectorize(PHASES.index)(named).astype(np.int32))


def labelled(name: str, values: Sequence[float]) -> xr.DataArray:
    """Values along a dimension of their own."""
    return xr.DataArray(np.asarray(values), dims=name, coords={name: np.asarray(values)})


def columns(
    ds: xr.Dataset, decorate: Callable[["Axes", xr.Dataset], None], title: Callable[[xr.Dataset], str]
) -> "Figure":
    """Panels of ``ds``: lines m_line(x_line), points overlap(x) of every size, and all pulls below."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    n = ds.sizes["panel"]
    figure, axes = plt.subplots(2, n, figsize=(7.0, 4.2), height_ratios=[2, 1], sharey="row", sharex="col")
    for j, letter in zip(range(n), "abcdef", strict=False):
        at = ds.isel(panel=j)
        _draw_overlaps(axes[0, j], at)
        decorate(axes[0, j], at)
        _draw_pulls(axes[1, j], at)
        axes[1, j].text(0.03, 0.95, f"({letter}')", transform=axes[1, j].transAxes, va="top")
        axes[0, j].set_title(f"({letter}) {title(at)}")
    figure.legend(handles=_key(ds, Line2D), loc="outside lower center", ncols=7, columnspacing=1.2)
    axes[0, 0].set_ylabel(r"overlap $m_k$")
    axes[1, 0].set_ylabel(r"pull $(m_N - m)/$error")
    return figure


def told(ds: xr.Dataset) -> tuple[int, float, int, int]:
    """Of the pulls that count: how many, the largest, how many are beyond 3; and how many overlaps never moved."""
    counted = ds.pull.where((ds.counts > 0) & (ds.turned >= 1)).values
    still = int(((ds.counts > 0) & (ds.turned < 1)).sum())
    pull = abs(counted[np.isfinite(counted)])
    return pull.size, float(pull.max(initial=0.0)), int((pull > 3).sum()), still


def _key(ds: xr.Dataset, make: Callable[..., Any]) -> list[Any]:
    """What lines and markers are."""
    kept: dict[str, Any] = {"ls": "", "mew": 0.7, "ms": 3.4}
    sizes = [
        make([], [], marker=marker, color="k", mfc="w" if marker == "o" else "k", label=rf"$N={N}$", **kept)
        for marker, N in zip(MARKERS, ds["size"].values, strict=False)
    ]
    told = rf"not counted: $N\lambda_{{\min}}^2<{SOFT:g}$ or barrier$\,<{BARRIER:g}\,T$"
    return [
        make([], [], color="k", label=r"theory, $N\to\infty$"),
        *([make([], [], color="0.35", ls=":", lw=0.8, label="$T=0$")] if "m_cold" in ds else []),
        *sizes,
        make([], [], marker="o", color="0.6", mfc="w", label=told, **kept),
        make([], [], marker="|", color="0.3", label="counted, no spin turned", **kept),
    ]


def _each(at: xr.Dataset) -> list[tuple[str, str, xr.Dataset]]:
    """Colour and marker of every size and pattern simulated."""
    found = []
    for i, size in enumerate(at["size"].values):
        for k in range(at.sizes["mu"]):
            here = at.sel(size=size).isel(mu=k)
            if np.isfinite(here.overlap).any():
                found.append((f"C{k}", MARKERS[i], here))
    return found


def _draw_overlaps(axes: "Axes", at: xr.Dataset) -> None:
    for k in range(at.sizes["mu"]):
        line = at.m_line.isel(mu=k)
        if np.isfinite(line).any():
            axes.plot(at.x_line, line, color=f"C{k}", zorder=1, label=rf"$m_{k + 1}$")
    for colour, marker, here in _each(at):
        for sure in (0, 1):
            y = here.overlap.where(here.counts == sure)
            ink = colour if sure else "0.6"
            face = "w" if marker == "o" or not sure else ink
            axes.errorbar(here.x, y, here.error, fmt=marker, color=ink, ms=3.2, mew=0.7, zorder=2 + sure, mfc=face)


def _draw_pulls(axes: "Axes", at: xr.Dataset) -> None:
    axes.axhspan(-1, 1, color="0.92", lw=0)
    for y in (-3, 0, 3):
        axes.axhline(y, color="0.4", lw=0.6, ls="-" if y == 0 else ":")
    for colour, marker, here in _each(at):
        for sure in (0, 1):
            moved = here.pull.where((here.counts == sure) & (here.turned >= 1))
            ink = colour if sure else "0.7"
            face = "w" if marker == "o" or not sure else ink
            inside = moved.where(abs(moved) <= _BEYOND)
            axes.plot(here.x, inside, marker, color=ink, ms=2.8, mew=0.6, ls="", zorder=2 + sure, mfc=face)
            for sign, arrow in ((1, "^"), (-1, "v")):
                off = np.where(sign * moved > _BEYOND, sign * (_BEYOND + 0.3), np.nan)
                axes.plot(here.x, off, arrow, color=ink, ms=2.8, ls="", zorder=2)
        still = np.where((here.counts > 0) & (here.turned < 1), 0.0, np.nan)
        axes.plot(here.x, still, "|", color="0.3", ms=4, mew=0.6, zorder=4)
    axes.set(ylim=(-_BEYOND - 0.8, _BEYOND + 3.2), yticks=[-3, 0, 3])
    many, most, beyond, _ = told(at)
    words = rf"{many} pulls, largest ${most:.1f}$, {beyond} beyond 3"
    axes.text(0.97, 0.95, words, transform=axes.transAxes, ha="right", va="top", fontsize=6.5)
