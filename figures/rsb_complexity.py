r"""Complexity of the p-spin glass, Sigma(f) = y^2 dphi/dy, of one step: minima of the energy and states at T > 0."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps.complexity import complexity
from ..theory.pspin import PSpin
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def data(*, p: int, T: list[float], n: int, y_cold: list[float]) -> xr.Dataset:
    """f, Sigma and the replicon over n breakpoints x at every T (y at T = 0); nan where there are no states."""
    parts = []
    for t in T:
        x = np.geomspace(y_cold[0], y_cold[1], n) if t == 0 else np.geomspace(max(y_cold[0] * t, 0.05), 1.0, n)
        found = complexity(PSpin(p=p, T=t), x=x)[["complexity", "free_energy", "replicon"]]
        parts.append(found.drop_vars("x").rename_dims(x="point").assign(breakpoint=("point", x)))
    ds = xr.concat(parts, dim="T").assign_coords(T=T).drop_attrs()
    critical = PSpin(p=p, T=0.0).glass_temperatures()
    lost = int(np.isnan(ds.complexity).sum())
    return ds.assign_attrs(p=p, T_d=float(critical.dynamic), T_s=float(critical.static), n_absent=lost)


def draw(ds: xr.Dataset) -> "Figure":
    """Sigma(f): minima of the energy above, states at T > 0 below."""
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(3.375, 5.0), height_ratios=[1, 1.35])
    warm = ds["T"].values > 0
    for axes, at in ((upper, ds.isel(T=~warm)), (lower, ds.isel(T=warm))):
        for i, t in enumerate(at["T"].values):
            _draw_curve(axes, at.sel(T=t), f"C{i}", rf"$T={t:g}$" if t else "")
        axes.axhline(0, color="0.4", lw=0.6)
        axes.set(ylabel=r"complexity $\Sigma$")
    upper.set(xlabel=r"energy of the minima $e$ $[J]$")
    lower.set(xlabel=r"free energy of the states $f$ $[J]$")
    p, T_s, T_d = ds.attrs["p"], ds.attrs["T_s"], ds.attrs["T_d"]
    lower.legend(loc="upper left", title=rf"$T_s={T_s:.3f}$, $T_d={T_d:.3f}$")
    upper.text(0.97, 0.08, rf"(a) $p={p}$, $T=0$", transform=upper.transAxes, ha="right")
    lower.text(0.97, 0.08, rf"(b) $p={p}$, $T>0$", transform=lower.transAxes, ha="right")
    _explain(upper)
    return figure


def _draw_curve(axes: "Axes", at: xr.Dataset, colour: str, label: str) -> None:
    """From the largest Sigma down to its zero, or to x = 1 where it is still positive; dashed where not stable."""
    at = at.dropna("point", subset=["complexity"])
    at = at.isel(point=slice(int(np.argmax(at.complexity.values)), None))
    f, sigma, stable = at.free_energy.values, at.complexity.values, at.replicon.values > 0
    ends = sigma[-1] > 0
    if not ends:
        last = int(np.argmax(sigma < 0))
        zero = float(np.interp(0.0, sigma[[last, last - 1]], f[[last, last - 1]]))
        f, sigma = np.append(f[:last], zero), np.append(sigma[:last], 0.0)
        stable = np.append(stable[:last], stable[last])
    axes.plot(f, sigma, "--", color=colour, lw=0.8)
    axes.plot(np.where(stable, f, np.nan), sigma, color=colour, lw=1.6, label=label)
    axes.plot(
        f[-1], sigma[-1], "s" if ends else "o", color=colour, mfc="w" if ends else colour, clip_on=False, zorder=5
    )


def _explain(axes: "Axes") -> None:
    for style, label in (("k-", "stable"), ("k--", "replicon $<0$ (all minima)")):
        axes.plot([], [], style, lw=1.0, label=label)
    axes.plot([], [], "ko", label=r"equilibrium, $\Sigma=0$")
    axes.plot([], [], "ks", mfc="w", label=r"equilibrium, $x=1$")
    axes.legend(loc="upper left")


recipe = Recipe(
    name="rsb_complexity",
    data=data,
    draw=draw,
    full={"p": 3, "T": [0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.67], "n": 161, "y_cold": [0.35, 2.0]},
    draft={"p": 3, "T": [0.0, 0.3, 0.5, 0.67], "n": 41, "y_cold": [0.35, 2.0]},
)
