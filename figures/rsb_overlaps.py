r"""Dense network beyond its replica-symmetric capacity: m, q_0, q_1 and the breakpoint x of one step against T."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..theory.dense import DenseHebbian
from ._panels import three_panels
from ._rsb import ONE, RS, counted, draw_pieces, states, tell_errors
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STARTS = ["retrieval", "spin_glass"]


def data(*, P: int, gamma: float, n_T: int, T_max: float) -> xr.Dataset:
    """m and q of both states, replica symmetric (``m_rs``, ``q_rs``) and of one step (``m``, ``q``, ``x``)."""
    where: dict[str, Any] = {
        "over": {"T": np.linspace(0, T_max, n_T)},
        "const": {"P": P, "gamma": gamma},
        "starts": STARTS,
    }
    rs, one = states(DenseHebbian, **where), states(DenseHebbian, **where, k=1)
    x = one.x.isel(step=0).where(one["T"] > 0, 0.0)  # at T = 0 it is y = x/T
    ds = one[["m", "q", "steps"]].assign(x=x, m_rs=rs.m, q_rs=rs.q, quadrature_error=one.quadrature_error)
    return ds.drop_attrs().assign_attrs(P=P, gamma=gamma, **counted(rs, one))


def draw(ds: xr.Dataset) -> "Figure":
    """Retrieval, spin glass, and the breakpoint of both."""
    figure = three_panels(ds, (_draw_retrieval, _draw_glass, _draw_breakpoint), height=4.9, ratios=[1.3, 1.1, 1])
    for axes in figure.axes:
        axes.set_xlim(0, float(ds["T"].max()))
    for axes, letter in zip(figure.axes, "abc", strict=True):
        axes.text(0.985, 0.94, f"({letter})", transform=axes.transAxes, ha="right", va="top", fontsize=8)
    for axes in figure.axes[:2]:
        axes.tick_params(labelbottom=False)
    return figure


def _draw_levels(axes: "Axes", at: xr.Dataset) -> None:
    """Replica symmetric dashed; q_0 only where there are two levels, and no line across a jump to the paramagnet."""
    draw_pieces(axes, at.q_rs, at.q_rs, "--", color=RS, label=r"$q$, RS")
    draw_pieces(axes, at.q[:, 1], at.q[:, 1], "-", color=ONE, label=r"$q_1$")
    axes.plot(at["T"], at.q[:, 0].where(at.steps > 0), "-.", color=ONE, label=r"$q_0$")


def _draw_retrieval(axes: "Axes", ds: xr.Dataset) -> None:
    at = ds.sel(start="retrieval")
    _draw_levels(axes, at)
    axes.plot(at["T"], at.m_rs, ":", color="k", lw=2.2, label=r"$m$, RS")
    axes.plot(at["T"], at.m, color="#CC79A7", label=r"$m$")
    axes.legend(loc="lower left", ncols=2, title=rf"$P={ds.attrs['P']}$, $\gamma={ds.attrs['gamma']:g}$: retrieval")
    axes.set(ylabel=r"overlaps $m,\ q$")


def _draw_glass(axes: "Axes", ds: xr.Dataset) -> None:
    _draw_levels(axes, ds.sel(start="spin_glass"))
    axes.legend(loc="center right", title="spin glass; above, paramagnet")
    axes.set(ylabel=r"overlap $q$", ylim=(-0.04, 1.12))


def _draw_breakpoint(axes: "Axes", ds: xr.Dataset) -> None:
    for start, style, label in zip(STARTS, ("-", "--"), ("retrieval", "spin glass"), strict=True):
        at = ds.sel(start=start)
        axes.plot(at["T"], at.x, style, color=ONE, label=label)
    axes.axhline(1, color="0.6", lw=0.6)
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 0.9))
    axes.set(xlabel=r"temperature $T'$", ylabel=r"breakpoint $x$", ylim=(0, 1.2))
    tell_errors(axes, ds, 0.98, 0.08)


recipe = Recipe(
    name="rsb_overlaps",
    data=data,
    draw=draw,
    full={"P": 4, "gamma": 0.42, "n_T": 121, "T_max": 0.6},
    draft={"P": 4, "gamma": 0.42, "n_T": 9, "T_max": 0.6},
)
