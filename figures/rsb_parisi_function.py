r"""The order parameter q(x) of the Sherrington-Kirkpatrick glass, fully broken, at several T and against x/T."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..theory.sk import SherringtonKirkpatrick
from ._rsb import counted, states, tell_errors
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def data(*, T: list[float], k: int | str) -> xr.Dataset:
    """Levels q and breakpoints x (y = x/T at T = 0) of the finest staircase, by T."""
    ds = states(SherringtonKirkpatrick, over={"T": T}, starts=["spin_glass"], k=k).isel(start=0, drop=True)
    return ds[["q", "x", "free_energy", "free_energy_error", "steps"]].drop_attrs().assign_attrs(**counted(ds))


def draw(ds: xr.Dataset) -> "Figure":
    """q(x) of every T > 0, and q(x/T) of every T."""
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(3.375, 4.6))
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.9, ds.sizes["T"]))
    for i, T in enumerate(ds["T"].values):
        q, x = ds.q.values[i], ds.x.values[i]
        y_end = 1 / T if T else 1e3
        if T > 0:
            _stairs(upper, q, x, 1.0, colours[i], rf"$T={T:g}$")
            upper.text(0.9, q[-1] + 0.01, rf"$T={T:g}$", ha="center", va="bottom", color=colours[i], fontsize=7)
        _stairs(lower, q, x / (T or 1.0), y_end, colours[i], rf"$T={T:g}$")
    end = np.array([0.0, 0.5])
    upper.plot(end, end / 2, ":", color="0.3")
    upper.text(0.51, 0.25, r"$x/2$ ($T\to T_c=1$)", va="center", fontsize=7)
    upper.set(xlabel=r"$x$", ylabel=r"overlap $q(x)$", xlim=(0, 1), ylim=(0, 1.1))
    lower.legend(loc="lower right", ncols=2)
    lower.set(xlabel=r"$y = x/T$", ylabel=r"overlap $q(y)$", xlim=(0, 3), ylim=(0, 1.03))
    tell_errors(upper, ds, 0.98, 0.04)
    for axes, letter in zip((upper, lower), "ab", strict=True):
        axes.text(0.015, 0.98, f"({letter})", transform=axes.transAxes, va="top")
    return figure


def _stairs(axes: "Axes", q: np.ndarray, x: np.ndarray, end: float, colour: "np.ndarray", label: str) -> None:
    """Every level from one breakpoint to the next, a point in its middle."""
    edges = np.concatenate([[0.0], x, [end]])
    axes.stairs(q, edges, baseline=None, color=colour, lw=0.8)
    axes.plot(0.5 * (edges[1:-2] + edges[2:-1]), q[1:-1], "o", color=colour, ms=2.5, label=label)


recipe = Recipe(
    name="rsb_parisi_function",
    data=data,
    draw=draw,
    full={"T": [0.0, 0.1, 0.3, 0.5, 0.7, 0.9], "k": "full"},
    draft={"T": [0.0, 0.3, 0.7], "k": 4},
)
