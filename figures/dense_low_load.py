r"""Dense network at low load, K = N and N^2: m against temperature, theory and Monte Carlo, and their trend with N."""

from math import factorial
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from scipy.special import gammaln

from ..mc.forms import elementary
from ..sweeps.lines import spinodal
from ..sweeps.solve import solve
from ..theory.dense import DenseHebbian
from ..theory.load import load_to_gamma
from ._dense_runs import MARKERS, Cell, Floats, compared, draw_pulls, expected
from ._panels import three_panels
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = 4
POWER = {1: r"$K = N$", 2: r"$K = N^2$"}


def data(
    *, T: list[float], hot: float, groups: list[tuple[int, int, list[tuple[int, int]]]], n_line: int
) -> xr.Dataset:
    """m at P = 4 by T, for K = N^b patterns, groups (b, sweeps, [(N, samples)]); theory of gamma = 0 to its spinodal.

    A pull is (simulation - theory)/error, against theory for infinitely many sites and the gamma of K and N, and
    against that at gamma/s_N and T/s_N. At T = ``hot`` the shift from gamma = 0 is shown against 1/N.
    """
    runs = [
        compared([_cell(b, N, samples) for N, samples in sizes], T, sweeps=sweeps, seed=b).assign(
            b=("cell", [b] * len(sizes))
        )
        for b, sweeps, sizes in groups
    ]
    ds = xr.concat(runs, "cell", combine_attrs="drop_conflicts")
    T_line = float(spinodal(DenseHebbian, along="T", P=P, gamma=0.0).T) * (1 - np.linspace(0.9, 0, n_line) ** 2 - 1e-9)
    ds["T_line"], ds["m_line"] = ("line", T_line), ("line", solve(DenseHebbian(P=P, gamma=0.0, T=T_line)).m)
    N = np.unique(np.geomspace(ds.N.min(), 20 * ds.N.max(), n_line).round()).astype(int)
    zero = float(solve(DenseHebbian(P=P, gamma=0.0, T=hot)).m)
    ds["inverse"], ds["single"] = ("size", 1e3 / N), ("size", [_single(int(n), hot) - zero for n in N])
    for b, _, _ in groups:
        m = expected([_cell(b, int(n), 0) for n in N], [hot], finite=True)["m"][:, 0]
        ds[f"trend_{b}"] = "size", m - zero
    return ds.assign_attrs(hot=hot, zero=zero)


def _cell(b: int, N: int, samples: int) -> Cell:
    return Cell(P, N, float(load_to_gamma(N ** (b - P + 1.0), P=P)), samples)


def _single(N: int, T: float) -> float:
    """m of N sites and one pattern, summed exactly over its overlaps, from the least likely one below the peak on."""
    M = np.arange(N % 2, N + 1, 2)
    e = elementary([0, M, N, M, N], P)[P].astype(np.float64)
    log: Floats = (
        gammaln(N + 1) - gammaln((N + M) / 2 + 1) - gammaln((N - M) / 2 + 1) + factorial(P) / (2 * N**3 * T) * e
    )
    peak = int(np.argmax(np.where(M > 0.6 * N, log, -np.inf)))
    w = np.exp(log - log[peak])
    w[: int(np.argmin(log[: peak + 1]))] = 0.0
    return float(w @ M / w.sum() / N)


def draw(ds: xr.Dataset) -> "Figure":
    """m(T) beside the simulations of the largest networks, the pulls of all, and the shift against 1/N."""
    return three_panels(ds, (_draw_overlap, _draw_pulls, _draw_shift), height=5.4, ratios=[2, 1.5, 1.6])


def _draw_overlap(axes: "Axes", ds: xr.Dataset) -> None:
    axes.plot(ds.T_line, ds.m_line, color="0.3")
    axes.plot(ds.T_line[-1], ds.m_line[-1], "x", color="0.3", ms=5)
    for k, b in enumerate(np.unique(ds.b)):
        at = ds.isel(cell=ds.b.values == b)
        at = at.isel(cell=int(np.argmax(at.N.values)))
        beside = at["T"] + 0.006 * (k - 0.5)
        axes.errorbar(
            beside, at.m, at.m_error, fmt=MARKERS[k], color=f"C{k}", mfc="w", label=POWER[int(b)] + f", $N={int(at.N)}$"
        )
    told = r"line: theory, $\gamma = 0$, to the spinodal $\times$"
    axes.legend(title=told, title_fontsize=7, loc="lower left", alignment="left")
    axes.set(ylabel="retrieval overlap $m$")
    axes.tick_params(labelbottom=False)


def _draw_pulls(axes: "Axes", ds: xr.Dataset) -> None:
    for k, b in enumerate(np.unique(ds.b)):
        for j, N in enumerate(np.unique(ds.N)):
            for i in np.flatnonzero((ds.b.values == b) & (ds.N.values == N)):
                at = ds.isel(cell=i)
                beside = at["T"] + 0.006 * (k - 0.5)
                axes.plot(beside, at.m_pull_theory, MARKERS[j], color=f"C{k}", mfc="w")
                axes.plot(beside, at.m_pull_finite, MARKERS[j], color=f"C{k}")
    for marker, N in zip(MARKERS, np.unique(ds.N), strict=False):
        axes.plot([], [], marker, color="0.3", ms=2.8, label=f"{int(N)}")
    draw_pulls(axes, np.stack([ds.m_pull_theory, ds.m_pull_finite]))
    told = "$N$; filled: at $\\gamma/s_N,\\ T'/s_N$"
    axes.legend(title=told, loc="upper left", ncols=4, columnspacing=0.4, handletextpad=0, alignment="left")
    axes.set(xlabel=r"temperature $T'$", ylabel=r"$(m_N - m)/$error")


def _draw_shift(axes: "Axes", ds: xr.Dataset) -> None:
    zero, hot = ds.attrs["zero"], ds.attrs["hot"]
    for k, b in enumerate(np.unique(ds.b)):
        at = ds.isel(cell=ds.b.values == b).sel(T=hot)
        axes.plot(ds.inverse, 1e3 * ds[f"trend_{b}"], color=f"C{k}")
        beside = 1e3 / at.N + 0.05 * (k - 0.5)
        axes.errorbar(beside, 1e3 * (at.m - zero), 1e3 * at.m_error, fmt=MARKERS[k], color=f"C{k}", mfc="w")
    axes.plot(ds.inverse, 1e3 * ds.single, ":", color="0.3", label="one pattern, exact")
    axes.axhline(0, color="0.4", lw=0.6)
    axes.legend(title=r"lines: theory at $\gamma/s_N,\ T'/s_N$", title_fontsize=7, loc="lower left", alignment="left")
    axes.set(xlabel=r"$1000/N$", ylabel=rf"$10^3\,(m_N - m)$ at $T'={hot:g}$", xlim=(0, None))


recipe = Recipe(
    name="dense_low_load",
    data=data,
    draw=draw,
    full={
        "T": [0.4, 0.5, 0.6, 0.7, 0.8, 0.9],
        "hot": 0.6,
        "groups": [
            (1, 240, [(125, 64), (250, 64), (500, 64), (1000, 64)]),
            (2, 40, [(125, 64), (250, 32), (500, 12), (1000, 4)]),
        ],
        "n_line": 60,
    },
    draft={"T": [0.5, 0.7], "hot": 0.7, "groups": [(1, 20, [(40, 3), (80, 3)]), (2, 10, [(30, 3)])], "n_line": 9},
)
