r"""The (alpha, T) phase diagram of the Hopfield network: replica theory and Monte Carlo on one figure."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..mc.energy import OverlapEnergy
from ..mc.patterns import patterns
from ..mc.run import simulate
from ..mc.stats import summary
from ..sweeps.lines import at_line, spinodal, transition
from ..sweeps.phases import classify
from ..sweeps.sweep import sweep
from ..theory.hopfield import Hopfield
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure

PHASES = ("paramagnet", "spin_glass", "metastable", "retrieval")
COLOURS = ("#FFFFFF", "#E6E6E6", "#CFE3F2", "#9CC4E4")
LARGE_ERROR = 0.05


def data(
    *, n_alpha: int, n_T: int, n_line: int, N: int, samples: int, sweeps: int, mc_alpha: list[float], mc_T: list[float]
) -> xr.Dataset:
    """Theory on a grid, its boundary lines, and simulations started from a pattern."""
    grid = classify(sweep(Hopfield, over={"alpha": np.linspace(0.0, 0.2, n_alpha), "T": np.linspace(0.01, 1.55, n_T)}))
    return xr.merge([_regions(grid), _lines(n_line), _simulation(N, samples, sweeps, mc_alpha, mc_T)]).assign_attrs(
        N=N, samples=samples, sweeps=sweeps, n_unconverged=int((~grid.converged).sum())
    )


def _regions(grid: xr.Dataset) -> xr.Dataset:
    """The region of every grid point, as an index into PHASES; metastable retrieval is no phase of its own."""
    found = (grid.label.sel(start="retrieval") == "retrieval") & grid.stable.sel(start="retrieval")
    index = xr.zeros_like(grid.phase, dtype=np.int32)
    for code, name in enumerate(PHASES):
        index = index.where(grid.phase != name, code)
    index = index.where(~(found & (grid.phase == "spin_glass")), PHASES.index("metastable"))
    lost = (~grid.converged).any("start") | (grid.phase == "none")
    return xr.Dataset({"region": index.astype(np.int32), "unconverged": lost.astype(np.int8)}).drop_vars(
        "start", errors="ignore"
    )


def _lines(n: int) -> xr.Dataset:
    """T_M, T_c by temperature, the AT line and T_g by load."""
    T = np.linspace(0.0, 0.999, n)
    alpha = np.linspace(0.0, 0.2, n)
    alpha_M = spinodal(Hopfield, T=T).alpha
    near = np.append(np.linspace(0.08, 0.1375, n), float(alpha_M.max()) * (1 - np.geomspace(3e-3, 1e-4, 8)))
    return xr.Dataset(
        {
            "alpha_M": ("T_line", alpha_M),
            "alpha_c": ("T_line", transition(Hopfield, between=("retrieval", "spin_glass"), T=T).alpha),
            "T_g": ("alpha_line", spinodal(Hopfield, along="T", of="spin_glass", alpha=alpha).T),
            "T_AT": ("alpha_near", at_line(Hopfield, along="T", alpha=near).T),
        },
        coords={"T_line": T, "alpha_line": alpha, "alpha_near": near},
    )


def _simulation(N: int, samples: int, sweeps: int, loads: list[float], temperatures: list[float]) -> xr.Dataset:
    """Overlap with the pattern a chain starts from, mean and error over disorder."""
    parts = []
    for alpha in tqdm(loads, unit="load", delay=2, disable=None):
        xi = patterns(N=N, K=round(alpha * N), samples=samples, seed=1982)
        run = simulate(
            OverlapEnergy.hebbian(xi),
            T=temperatures,
            chains=1,
            sweeps=sweeps,
            burn_in=sweeps,
            every=10,
            start="pattern",
            seed=1985,
        )
        parts.append(summary(run.isel(mu=[0]))[["mean", "error"]].isel(mu=0, drop=True))
    found = xr.concat(parts, dim="alpha_mc").rename(T="T_mc", mean="overlap", error="overlap_error")
    return found.assign_coords(alpha_mc=loads)[["overlap", "overlap_error"]]


def draw(ds: xr.Dataset) -> "Figure":
    """Regions shaded, boundaries as lines, simulations as points coloured by their overlap; below, the AT corner."""
    import matplotlib.pyplot as plt

    figure, (axes, corner) = plt.subplots(2, 1, figsize=(3.375, 4.3), height_ratios=[2.7, 1])
    _shade(axes, ds)
    _draw_lines(axes, ds)
    points = _draw_points(axes, ds)
    bar = figure.colorbar(points, ax=axes, pad=0.02)
    bar.set_label(rf"simulated overlap $m$ ($N={ds.attrs['N']}$; $\times$: error > {LARGE_ERROR:g})")
    axes.set(xlim=(0, 0.2), ylim=(0, 1.55), xlabel=r"load $\alpha = K/N$", ylabel=r"temperature $T$ $[J/k_B]$")
    _name(axes, (("paramagnet", 0.05, 1.4), ("spin glass", 0.15, 0.6), ("retrieval", 0.0205, 0.2)))
    _name(axes, (("metastable", 0.08, 0.2), ("retrieval", 0.08, 0.1)))
    _name(axes, (("$T_g$", 0.1, 1.37), ("$T_M$", 0.066, 0.6), ("$T_c$", 0.0275, 0.4)))
    _draw_corner(corner, ds)
    return figure


def _shade(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib.colors import ListedColormap

    colours = ListedColormap(COLOURS)
    axes.pcolormesh(ds.alpha, ds.T, ds.region.T, cmap=colours, vmin=-0.5, vmax=3.5, rasterized=True, zorder=0)
    if ds.unconverged.any():
        axes.contourf(ds.alpha, ds.T, ds.unconverged.T, levels=[0.5, 1.5], colors="none", hatches=["xxxx"])


def _draw_corner(axes: "Axes", ds: xr.Dataset) -> None:
    axes.set(xlim=(0.1, 0.142), ylim=(0, 0.03), xlabel=r"load $\alpha$", ylabel=r"$T$ $[J/k_B]$")
    axes.fill_betweenx(ds.T_line, 0, ds.alpha_M, color=COLOURS[PHASES.index("metastable")], lw=0)
    axes.fill_betweenx(ds.T_line, ds.alpha_M, 1, color=COLOURS[PHASES.index("spin_glass")], lw=0)
    _draw_lines(axes, ds)
    _name(axes, (("retrieval, replica symmetric", 0.115, 0.02), ("$T_{AT}$", 0.1255, 0.0102)))
    _name(axes, (("symmetry broken", 0.131, 0.003), ("$T_M$", 0.1395, 0.024)))


def _draw_lines(axes: "Axes", ds: xr.Dataset) -> None:
    axes.plot(ds.alpha_line, ds.T_g, color="k")
    axes.plot(ds.alpha_M, ds.T_line, color="#0072B2")
    axes.plot(ds.alpha_c, ds.T_line, color="#D55E00", ls="--")
    axes.plot(ds.alpha_near, ds.T_AT, color="#CC79A7", ls="-.")


def _draw_points(axes: "Axes", ds: xr.Dataset) -> "PathCollection":
    """Circles coloured by the overlap; a white cross where its error over disorder exceeds 0.05."""
    loads, temperatures = np.meshgrid(ds.alpha_mc, ds.T_mc, indexing="ij")
    unsure = (ds.overlap_error > LARGE_ERROR).values
    axes.scatter(loads[unsure], temperatures[unsure], c="w", s=5, marker="x", linewidths=0.8, zorder=5)
    return axes.scatter(
        loads,
        temperatures,
        c=ds.overlap,
        s=13,
        cmap="viridis",
        vmin=0,
        vmax=1,
        edgecolors="k",
        linewidths=0.3,
        zorder=4,
    )


def _name(axes: "Axes", texts: tuple[tuple[str, float, float], ...]) -> None:
    for text, x, y in texts:
        axes.text(x, y, text, ha="center", va="center", fontsize=7, zorder=6)


recipe = Recipe(
    name="hopfield_phase_diagram",
    data=data,
    draw=draw,
    full={
        "n_alpha": 201,
        "n_T": 155,
        "n_line": 120,
        "N": 2000,
        "samples": 4,
        "sweeps": 400,
        "mc_alpha": [0.01, 0.03, 0.05, 0.07, 0.09, 0.11, 0.13, 0.15, 0.17, 0.19],
        "mc_T": [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95, 1.05, 1.15],
    },
    draft={
        "n_alpha": 21,
        "n_T": 16,
        "n_line": 12,
        "N": 200,
        "samples": 2,
        "sweeps": 20,
        "mc_alpha": [0.02, 0.1],
        "mc_T": [0.2, 0.6, 1.2],
    },
)
