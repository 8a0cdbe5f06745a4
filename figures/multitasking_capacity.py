r"""The load up to which one, two and three diluted patterns are retrieved at T = 0: replica theory and Monte Carlo."""

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..mc.energy import OverlapEnergy
from ..mc.patterns import patterns
from ..mc.run import simulate
from ..mc.samplers import HeatBath, ZeroTemperature
from ..sweeps.lines import spinodal
from ..theory.diluted_load import alpha_c
from ..theory.multitasking import Multitasking
from ._multitasking_phases import name
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT = 0.7
"""The overlap with the last of s patterns, over its value (1 - d) d^(s - 1) without load, above which it is kept."""
HEAT = 0.2
"""Over d^(s - 1) T_c: the temperature of the heat bath, at which replica symmetry is stable at the fold."""
MIXTURES = 0.5
"""The dilution beyond which the branch of several patterns runs into mixtures: their lines end there."""
STYLES = (("C0", "-", "o"), ("C1", "--", "s"), ("C2", "-.", "^"))


def data(
    *,
    n_d: int,
    n_fold: int,
    d_mc: list[list[float]],
    N: list[list[int]],
    ratios: list[float],
    samples: int,
    sweeps: int,
) -> xr.Dataset:
    """alpha_c(d) of s = 1, 2, 3 patterns, folds of the branch at two temperatures, and loads where the s-th is lost.

    Networks start from the hierarchical state of s patterns. ``kept`` is the share of samples that keep the last
    at ``ratios`` times alpha_c, and one half lies between ``low`` and ``high``: by single flips at T = 0, which stop in
    the first local minimum, and by the heat bath at T = ``HEAT`` d^(s - 1) T_c.
    """
    d = np.linspace(0.0, 0.66, n_d)
    lines = np.array([alpha_c(d=d, s=s) for s in (1, 2, 3)])
    lines[1:, d > MIXTURES] = np.nan
    ds = xr.Dataset({"alpha_c": (("s", "d"), lines)}, coords={"s": [1, 2, 3], "d": d})
    ds["fold"] = ("s", "heat", "d_fold"), np.full((3, 2, n_fold), np.nan)
    x = np.linspace(0.02, 0.6, n_fold)
    for s, (i, heat) in product((1, 2, 3), enumerate((0.0, HEAT))):
        inside = x < (1 if s == 1 else MIXTURES - 0.04)
        T = heat * (1 - x[inside]) * x[inside] ** (s - 1)
        line = spinodal(Multitasking, along="alpha", of="hierarchical", T=T, K=s, d=x[inside])
        ds["fold"].values[s - 1, i, inside] = line.alpha
    ds = ds.assign_coords(d_fold=x, heat=[0.0, HEAT])
    runs = [(s, x, size) for s in range(1, len(d_mc) + 1) for x, size in zip(d_mc[s - 1], N[s - 1], strict=True)]
    kept = [_lost(s, x, ratios, size, samples, sweeps) for s, x, size in tqdm(runs, delay=2, disable=None)]
    ds = ds.merge(xr.concat(kept, "run"))
    for key, values in zip(("run_s", "run_d", "run_N"), zip(*runs, strict=True), strict=True):
        ds[key] = "run", list(values)
    return ds.assign_attrs(samples=samples, sweeps=sweeps)


def _lost(s: int, d: float, ratios: list[float], N: int, samples: int, sweeps: int) -> xr.Dataset:
    """The share of samples that keep pattern s, by load and temperature, and the bracket of one half."""
    most = float(alpha_c(d=d, s=s))
    load = np.array([max(s, round(ratio * most * N)) for ratio in ratios]) / N
    temperatures = [0.0, HEAT * (1 - d) * d ** (s - 1)]
    share = np.zeros((2, len(ratios)))  # 0 beyond the load at which all have lost it
    for i, T in enumerate(temperatures):
        for j, alpha in enumerate(load):
            xi = patterns(N=N, K=round(alpha * N), d=d, samples=samples, seed=s)
            share[i, j] = _kept(OverlapEnergy.multitasking(xi), s, d, T, sweeps)
            if share[i, j] == 0:
                break
    first = (share < 0.5).argmax(axis=1)
    known = (share < 0.5).any(axis=1) & (first > 0)
    low, high = np.where(known, load[first - 1], np.nan), np.where(known, load[first], np.nan)
    found = {"kept": (("dynamics", "ratio"), share), "load": ("ratio", load), "low": ("dynamics", low)}
    return xr.Dataset(found | {"high": ("dynamics", high)}, coords={"dynamics": ["quench", "heat bath"]})


def _kept(energy: OverlapEnergy, s: int, d: float, T: float, sweeps: int) -> float:
    """The share of samples that keep pattern s: averaged over the last third of the sweeps."""
    run = simulate(
        energy,
        sampler=HeatBath() if T else ZeroTemperature(order="permutation"),
        T=T,
        chains=1,
        sweeps=sweeps // 3,
        burn_in=sweeps - sweeps // 3,
        start="hierarchical" if s > 1 else "pattern",
        seed=s,
    )
    m = run.overlap.isel(mu=s - 1).mean(("T", "chain", "draw")) / ((1 - d) * d ** (s - 1))
    return float((m > KEPT).mean())


def draw(ds: xr.Dataset) -> "Figure":
    """Capacities against dilution, folds on them, and brackets of what simulations retain."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3.375, 3.9))
    for s, (colour, style, marker) in zip(ds.s.values, STYLES, strict=True):
        line, at, fold = ds.alpha_c.sel(s=s), ds.run_s == s, ds.fold.sel(s=s)
        axes.plot(ds.d, line.where(line > 0), style, color=colour, label=rf"$\alpha_c^{{({s})}}$")
        axes.plot(ds.d_fold[::4], fold[0, ::4], "+", color=colour, ms=5)
        axes.plot(ds.d_fold, fold[1], ":", color=colour, lw=0.9)
        for dynamics, filled in (("quench", "w"), ("heat bath", colour)):
            runs = ds.isel(run=at.values).sel(dynamics=dynamics)
            middle = np.sqrt(runs.low * runs.high)
            told: dict[str, Any] = {
                "fmt": marker,
                "color": colour,
                "mfc": filled,
                "capsize": 2,
                "elinewidth": 0.8,
                "ms": 3.5,
            }
            axes.errorbar(runs.run_d, middle, np.array([middle - runs.low, runs.high - middle]), **told)
    axes.axvline(2 / 3, color="0.5", lw=0.7, ls=":")
    axes.text(0.675, 2e-5, "$d=2/3$", fontsize=7)
    name(axes, (("spin glass", 0.57, 0.05), ("one retrieved", 0.3, 0.007), ("two", 0.28, 8e-4), ("three", 0.37, 8e-5)))
    figure.legend(handles=_key(axes), loc="outside lower center", ncols=2, fontsize=6.5, columnspacing=1)
    axes.set(yscale="log", xlim=(-0.02, 0.8), ylim=(1e-5, 0.4))
    axes.set(xlabel="dilution $d$", ylabel=r"load $\alpha=K/N$")
    return figure


def _key(axes: "Axes") -> list[Any]:
    from matplotlib.lines import Line2D

    heat = rf"T={HEAT:g}\,d^{{s-1}}T_c"
    points: dict[str, Any] = {"ls": "", "color": "0.3", "ms": 3.5}
    return [
        *axes.get_legend_handles_labels()[0][:3],
        Line2D([], [], marker="+", label="fold of the branch, $T=0$", **points | {"ms": 5}),
        Line2D([], [], ls=":", color="0.3", lw=0.9, label=rf"fold of the branch, ${heat}$"),
        Line2D([], [], marker="o", label=rf"half have lost it, ${heat}$", **points),
        Line2D([], [], marker="o", mfc="w", label="same, single flips at $T=0$", **points),
    ]


recipe = Recipe(
    name="multitasking_capacity",
    data=data,
    draw=draw,
    full={
        "n_d": 133,
        "n_fold": 30,
        "d_mc": [[0.0, 0.1, 0.2, 0.3, 0.4], [0.2, 0.3, 0.4]],
        "ratios": [0.7, 0.85, 1.0, 1.15, 1.3, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0],
        "N": [[4000, 4000, 8000, 8000, 16_000], [16_000, 16_000, 16_000]],
        "samples": 8,
        "sweeps": 240,
    },
    draft={
        "n_d": 12,
        "n_fold": 2,
        "d_mc": [[0.2], [0.3]],
        "ratios": [0.7, 1.5, 4.0],
        "N": [[300], [300]],
        "samples": 2,
        "sweeps": 20,
    },
)
