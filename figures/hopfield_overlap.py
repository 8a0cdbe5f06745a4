r"""Retrieval overlap m(T) of the Hopfield network: replica theory, Monte Carlo, and how far apart they are."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..mc.energy import OverlapEnergy
from ..mc.patterns import patterns
from ..mc.run import simulate
from ..mc.stats import summary
from ..sweeps.lines import spinodal
from ..sweeps.solve import solve
from ..theory.hopfield import Hopfield
from ._panels import three_panels
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^")


def data(
    *,
    loads: list[float],
    fractions: list[float],
    N: int,
    hot: float,
    sizes: list[int],
    samples: int,
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """m(T) up to the spinodal T_M(alpha); simulations of N spins at fractions of T_M; several sizes at ``hot`` T_M.

    ``pull`` is (simulation - theory)/error, the error that of the mean over disorder samples. The fractions end
    at 0.8: at 0.9 T_M, ``hot``, samples of 2000 spins fall out of the metastable state and the mean over samples
    mixes two states. That is no statistical error but a finite-size effect: ``shift`` shows it against N.
    """
    alpha = xr.DataArray(loads, dims="alpha", coords={"alpha": loads})
    T_M = alpha.copy(data=spinodal(Hopfield, along="T", alpha=loads).T)
    T = T_M * xr.DataArray(fractions, dims="fraction", coords={"fraction": fractions})
    T_line = T_M * xr.DataArray(1 - np.linspace(1, 0, n_line) ** 2 * 0.95 - 1e-9, dims="line")
    T_hot = (hot * T_M).expand_dims("at")
    jobs = [(N, T), *((size, T_hot) for size in sizes)]
    runs = [_runs(size, grid, samples, sweeps) for size, grid in tqdm(jobs, unit="size", delay=2, disable=None)]
    ds = runs[0].rename(run="fraction").assign_coords(fraction=fractions)
    hottest = xr.concat(runs[1:], xr.DataArray(sizes, dims="N", coords={"N": sizes})).isel(run=0)
    ds = ds.assign(T_M=T_M, T=T, theory=_theory(T), T_line=T_line, theory_line=_theory(T_line))
    ds["pull"] = (ds.overlap - ds.theory) / ds.overlap_error
    ds["shift"] = hottest.overlap - _theory(T_hot).isel(at=0)
    ds["shift_error"] = hottest.overlap_error
    return ds.assign_attrs(samples=samples, sweeps=sweeps, N_pull=N, hot=hot)


def _runs(N: int, T: xr.DataArray, samples: int, sweeps: int) -> xr.Dataset:
    """Simulations at every load; loads have independent disorder, the temperatures of one load share it."""
    each = [_run(float(a), N, T.sel(alpha=a).values, samples, sweeps, seed) for seed, a in enumerate(T.alpha.values)]
    return xr.concat(each, T.alpha)


def _theory(T: xr.DataArray) -> xr.DataArray:
    alpha, _ = xr.broadcast(T.alpha, T)
    return T.copy(data=solve(Hopfield(alpha=alpha.transpose(*T.dims).values, T=T.values)).m)


def _run(
    alpha: float, N: int, T: "np.ndarray[tuple[int], np.dtype[np.float64]]", samples: int, sweeps: int, seed: int
) -> xr.Dataset:
    """Overlap with the pattern the chain starts from: mean and error over disorder, by fraction of T_M."""
    xi = patterns(N=N, K=round(alpha * N), samples=samples, seed=seed)
    run = simulate(
        OverlapEnergy.hebbian(xi),
        T=T,
        chains=1,
        sweeps=sweeps,
        burn_in=sweeps // 2,
        every=10,
        start="pattern",
        seed=seed,
    )
    found = summary(run.isel(mu=[0])).isel(mu=0, drop=True).rename(T="run", mean="overlap", error="overlap_error")
    return found[["overlap", "overlap_error"]].drop_vars("run")


def draw(ds: xr.Dataset) -> "Figure":
    """m(T) beside the simulations; their pulls; and the shift close to the spinodal against 1/N."""
    return three_panels(ds, (_draw_overlap, _draw_pulls, _draw_shift), height=4.7, ratios=[2.2, 1, 1.2])


def _draw_overlap(axes: "Axes", ds: xr.Dataset) -> None:
    for k, alpha in enumerate(ds.alpha.values):
        at = line = ds.sel(alpha=alpha)
        axes.plot(line.T_line, line.theory_line, color=f"C{k}")
        axes.plot(line.T_line[-1], line.theory_line[-1], "x", color=f"C{k}", ms=5)
        label = rf"$\alpha={alpha:g}$"
        axes.errorbar(at.T, at.overlap, at.overlap_error, fmt=MARKERS[k], color=f"C{k}", mfc="w", label=label)
    axes.set(ylabel="retrieval overlap $m$", xlim=(0, None), ylim=(0.62, 1.02))
    told = rf"lines: theory to the spinodal $\times$; points: $N={ds.attrs['N_pull']}$"
    axes.legend(title=told, title_fontsize=7, loc="lower left", alignment="left")
    axes.tick_params(labelbottom=False)


def _draw_pulls(axes: "Axes", ds: xr.Dataset) -> None:
    axes.axhspan(-1, 1, color="0.9", lw=0)
    for y in (-3, 0, 3):
        axes.axhline(y, color="0.4", lw=0.6, ls="-" if y == 0 else ":")
    for k, alpha in enumerate(ds.alpha.values):
        axes.plot(ds.T.sel(alpha=alpha), ds.pull.sel(alpha=alpha), MARKERS[k], color=f"C{k}", mfc="w")
    high = max(4.0, 1.1 * float(abs(ds.pull).max()))
    axes.set(xlabel=r"temperature $T$ $[J/k_B]$", ylabel=r"$(m_N - m)/$error", ylim=(-high, high), yticks=[-3, 0, 3])


def _draw_shift(axes: "Axes", ds: xr.Dataset) -> None:
    for k, alpha in enumerate(ds.alpha.values):
        at = ds.sel(alpha=alpha)
        beside = 1e3 / ds.N + 0.03 * (k - 1)
        axes.errorbar(beside, at["shift"], at.shift_error, fmt=MARKERS[k], color=f"C{k}", mfc="w")
    axes.axhline(0, color="0.4", lw=0.6)
    axes.set(xlabel=r"$1000/N$", ylabel=rf"$m_N - m$ at ${ds.attrs['hot']:g}\,T_M$", xlim=(0, None))


recipe = Recipe(
    name="hopfield_overlap",
    data=data,
    draw=draw,
    full={
        "loads": [0.02, 0.05, 0.08],
        "fractions": [0.3, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8],
        "N": 2000,
        "hot": 0.9,
        "sizes": [500, 1000, 2000, 4000],
        "samples": 64,
        "sweeps": 400,
        "n_line": 80,
    },
    draft={
        "loads": [0.02, 0.05],
        "fractions": [0.5, 0.8],
        "N": 150,
        "hot": 0.9,
        "sizes": [100, 200],
        "samples": 3,
        "sweeps": 40,
        "n_line": 9,
    },
)
