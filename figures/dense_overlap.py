r"""Dense network at high load, K ~ N^3: m against the load, replica theory and Monte Carlo, and their trend with N."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps.lines import spinodal
from ..sweeps.solve import solve
from ..theory.dense import DenseHebbian
from ._dense_runs import MARKERS, Cell, compared, draw_pulls, expected
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
    trend: list[tuple[float, float]],
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """m of patterns at P = 4 by load and T: theory to the spinodal, and networks of N sites (samples, loads).

    A pull is (simulation - theory)/error, against theory for infinitely many sites and against that at gamma/s_N and
    T/s_N, s_N = prod_{j<P} (1 - j/N). ``trend`` says at which (gamma, T) the shift is shown against 1/N.
    """
    cells = [Cell(P, int(N), g, samples) for N, (samples, loads) in sizes.items() for g in loads]
    ds = compared(cells, T, sweeps=sweeps)
    ends = spinodal(DenseHebbian, along="gamma", P=P, T=T)
    fraction = 1 - np.linspace(1, 0, n_line) ** 2
    gamma = np.asarray(ends.gamma)[:, None] * fraction * (1 - 1e-9)
    ds["gamma_line"] = ("T", "line"), gamma
    ds["m_line"] = ("T", "line"), solve(DenseHebbian(P=P, gamma=gamma, T=np.asarray(T)[:, None])).m
    small = 1000 / np.geomspace(min(map(int, sizes)), 20 * max(map(int, sizes)), n_line)
    ds["inverse"] = "line", small
    for k, (g, t) in enumerate(trend):
        m = expected([Cell(P, round(1000 / x), g, 0) for x in small], [t], finite=True)["m"][:, 0]
        ds[f"trend_{k}"] = "line", m - float(solve(DenseHebbian(P=P, gamma=g, T=t)).m)
    return ds.assign_attrs(shown=shown, trend_gamma=[g for g, _ in trend], trend_T=[t for _, t in trend])


def draw(ds: xr.Dataset) -> "Figure":
    """m(gamma) beside the simulations, the pulls of every one of them, and the shift against 1/N."""
    import matplotlib.pyplot as plt

    figure, (top, pulls, shift) = plt.subplots(3, 1, figsize=(3.375, 5.4), height_ratios=[2, 1.5, 1.6])
    pulls.sharex(top)
    _draw_overlap(top, ds)
    _draw_pulls(pulls, ds)
    _draw_shift(shift, ds)
    return figure


def _draw_overlap(axes: "Axes", ds: xr.Dataset) -> None:
    at = ds.isel(cell=ds.N.values == ds.attrs["shown"])
    for k, T in enumerate(ds["T"].values):
        axes.plot(ds.gamma_line[k], ds.m_line[k], color=f"C{k}")
        axes.plot(ds.gamma_line[k, -1], ds.m_line[k, -1], "x", color=f"C{k}", ms=5)
        label = rf"$T'={T:g}$"
        axes.errorbar(at.gamma, at.m[:, k], at.m_error[:, k], fmt=MARKERS[k], color=f"C{k}", mfc="w", label=label)
    told = rf"lines: theory to the spinodal $\times$; points: $N={ds.attrs['shown']}$"
    axes.legend(title=told, title_fontsize=7, loc="lower left", alignment="left")
    axes.set(ylabel="retrieval overlap $m$", xlim=(0, None))
    axes.tick_params(labelbottom=False)


def _draw_pulls(axes: "Axes", ds: xr.Dataset) -> None:
    sizes = np.unique(ds.N.values)
    for k in range(ds.sizes["T"]):
        for N, marker in zip(sizes, MARKERS, strict=False):
            at = ds.isel(cell=ds.N.values == N, T=k)
            beside = at.gamma + 0.003 * (k - 0.5)
            axes.plot(beside, at.m_pull_theory, marker, color=f"C{k}", mfc="w")
            axes.plot(beside, at.m_pull_finite, marker, color=f"C{k}")
    draw_pulls(axes, np.stack([ds.m_pull_theory, ds.m_pull_finite]))
    axes.set(xlabel=r"load $\gamma = K P!/(2 N^{P-1})$", ylabel=r"$(m_N - m)/$error")


def _draw_shift(axes: "Axes", ds: xr.Dataset) -> None:
    for k, (g, t) in enumerate(
        zip(np.atleast_1d(ds.attrs["trend_gamma"]), np.atleast_1d(ds.attrs["trend_T"]), strict=True)
    ):
        at = ds.isel(cell=np.isclose(ds.gamma, g)).sel(T=t)
        beside = 1e3 / at.N + 0.06 * (k - 1)
        label = rf"$\gamma={g:g},\ T'={t:g}$"
        shift = 1e3 * (at.m - at.m_theory)
        axes.errorbar(beside, shift, 1e3 * at.m_error, fmt=MARKERS[k], color=f"C{k + 2}", mfc="w", label=label)
        axes.plot(ds.inverse, 1e3 * ds[f"trend_{k}"], color=f"C{k + 2}")
    axes.axhline(0, color="0.4", lw=0.6)
    axes.legend(title=r"lines: theory at $\gamma/s_N,\ T'/s_N$", title_fontsize=7, loc="lower left", alignment="left")
    axes.set(xlabel=r"$1000/N$", ylabel=r"$10^3\,(m_N - m)$", xlim=(0, None))


recipe = Recipe(
    name="dense_overlap",
    data=data,
    draw=draw,
    full={
        "T": [0.2, 0.5],
        "sizes": {
            100: (160, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
            140: (96, [0.1, 0.2, 0.3]),
            200: (24, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35]),
            280: (12, [0.1, 0.2]),
            400: (8, [0.1]),
            600: (6, [0.1]),
        },
        "shown": 200,
        "trend": [(0.1, 0.5), (0.2, 0.5), (0.3, 0.2)],
        "sweeps": 40,
        "n_line": 80,
    },
    draft={
        "T": [0.2, 0.5],
        "sizes": {20: (3, [0.1, 0.2]), 30: (3, [0.1, 0.2])},
        "shown": 30,
        "trend": [(0.1, 0.5), (0.2, 0.2)],
        "sweeps": 10,
        "n_line": 9,
    },
)
