r"""Dense network at high load, K ~ N^3: m against the load, replica theory and Monte Carlo, and their trend with N."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps.lines import spinodal
from ..sweeps.solve import solve
from ..theory.dense import DenseHebbian
from ._dense_runs import MARKERS, Cell, compared, draw_pulls, expected
from ._panels import three_panels
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = 4


def data(
    *,
    T: list[float],
    sizes: dict[int, tuple[int, list[float]]],
    shown: int,
    trend: list[float],
    hot: float,
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """m of patterns at P = 4 by load and T: theory to the spinodal, and networks of N sites (samples, loads).

    A pull is (simulation - theory)/error, against theory for infinitely many sites and against that at gamma/s_N and
    T/s_N, s_N = prod_{j<P} (1 - j/N). At the loads ``trend`` and T = ``hot`` the shift is shown against 1/N.
    """
    cells = [Cell(P, int(N), g, samples) for N, (samples, loads) in sizes.items() for g in loads]
    ds = compared(cells, T, sweeps=sweeps)
    for kind, by in (("theory", 1.0), ("finite", Cell(P, shown, 0.0, 0).shrink)):
        at = np.asarray(T)[:, None] / by
        end = np.asarray(spinodal(DenseHebbian, along="gamma", P=P, T=at[:, 0]).gamma)
        gamma = end[:, None] * (1 - np.linspace(1, 0, n_line) ** 2) * (1 - 1e-9)
        lines = np.array([gamma * by, solve(DenseHebbian(P=P, gamma=gamma, T=at)).m])
        ds[f"line_{kind}"] = ("axis", "T", "line"), lines
    small = 1000 / np.geomspace(min(map(int, sizes)), 20 * max(map(int, sizes)), n_line)
    ds["inverse"] = "line", small
    for k, g in enumerate(trend):
        m = expected([Cell(P, round(1000 / x), g, 0) for x in small], [hot], finite=True)["m"][:, 0]
        ds[f"trend_{k}"] = "line", m - float(solve(DenseHebbian(P=P, gamma=g, T=hot)).m)
    return ds.assign_attrs(shown=shown, trend=trend, hot=hot)


def draw(ds: xr.Dataset) -> "Figure":
    """m(gamma) beside the simulations, the pulls of every one of them, and the shift against 1/N."""
    return three_panels(ds, (_draw_overlap, _draw_pulls, _draw_shift), height=5.4, ratios=[2, 1.5, 1.6])


def _draw_overlap(axes: "Axes", ds: xr.Dataset) -> None:
    at = ds.isel(cell=ds.N.values == ds.attrs["shown"])
    for k, T in enumerate(ds["T"].values):
        (gamma, m), small = ds.line_theory[:, k].values, ds.line_finite[:, k].values
        axes.plot(gamma, m, color=f"C{k}")
        axes.plot(gamma[-1], m[-1], "x", color=f"C{k}", ms=5)
        axes.plot(*small, "--", color=f"C{k}", lw=0.9)
        label = rf"$T'={T:g}$, $N={ds.attrs['shown']}$"
        axes.errorbar(at.gamma, at.m[:, k], at.m_error[:, k], fmt=MARKERS[k], color=f"C{k}", mfc="w", label=label)
    told = "lines: theory to the spinodal $\\times$;\ndashed: at $\\gamma/s_N,\\ T'/s_N$"
    axes.legend(title=told, title_fontsize=7, loc="lower left", alignment="left")
    axes.set(ylabel="retrieval overlap $m$", xlim=(0, None))
    axes.tick_params(labelbottom=False)


def _draw_pulls(axes: "Axes", ds: xr.Dataset) -> None:
    sizes = np.unique(ds.N.values)
    for j, (N, marker) in enumerate(zip(sizes, MARKERS, strict=False)):
        for k in range(ds.sizes["T"]):
            at = ds.isel(cell=ds.N.values == N, T=k)
            beside = at.gamma + 0.006 * (j - (len(sizes) - 1) / 2) + 0.002 * k
            axes.plot(beside, at.m_pull_theory, marker, color=f"C{k}", mfc="w", ms=2.8)
            axes.plot(beside, at.m_pull_finite, marker, color=f"C{k}", ms=2.8)
        axes.plot([], [], marker, color="0.3", ms=2.8, label=f"{N}")
    draw_pulls(axes, np.stack([ds.m_pull_theory, ds.m_pull_finite]))
    axes.legend(title="$N$; filled: against dashed", loc="upper right", ncols=3, columnspacing=0.4, handletextpad=0)
    axes.set(xlabel=r"load $\gamma = K P!/(2 N^{P-1})$", ylabel=r"$(m_N - m)/$error")


def _draw_shift(axes: "Axes", ds: xr.Dataset) -> None:
    for k, g in enumerate(ds.attrs["trend"]):
        at = ds.isel(cell=np.isclose(ds.gamma, g)).sel(T=ds.attrs["hot"])
        beside = 1e3 / at.N + 0.06 * (k - 1)
        shift = 1e3 * (at.m - at.m_theory)
        error, label = 1e3 * at.m_error, rf"$\gamma={g:g}$"
        axes.errorbar(beside, shift, error, fmt=MARKERS[k], color=f"C{k + 2}", mfc="w", label=label)
        axes.plot(ds.inverse, 1e3 * ds[f"trend_{k}"], color=f"C{k + 2}")
    axes.axhline(0, color="0.4", lw=0.6)
    axes.legend(title=r"lines: theory at $\gamma/s_N,\ T'/s_N$", title_fontsize=7, loc="lower left", alignment="left")
    hot = ds.attrs["hot"]
    axes.set(xlabel=r"$1000/N$", ylabel=rf"$10^3\,(m_N - m)$ at $T'={hot:g}$", xlim=(0, None))


recipe = Recipe(
    name="dense_overlap",
    data=data,
    draw=draw,
    full={
        "T": [0.2, 0.5],
        "sizes": {
            100: (160, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
            140: (48, [0.05, 0.1, 0.15]),
            200: (16, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
            280: (12, [0.05, 0.1]),
            400: (10, [0.1]),
            600: (4, [0.1]),
        },
        "shown": 200,
        "trend": [0.05, 0.1, 0.15],
        "hot": 0.5,
        "sweeps": 40,
        "n_line": 80,
    },
    draft={
        "T": [0.2, 0.5],
        "sizes": {20: (3, [0.1, 0.2]), 30: (3, [0.1, 0.2])},
        "shown": 30,
        "trend": [0.1, 0.2],
        "hot": 0.5,
        "sweeps": 10,
        "n_line": 9,
    },
)
