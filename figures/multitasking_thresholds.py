r"""How much noise of the data makes retrieval parallel: two patterns at T = 0, any number just below T_c."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from ..mc.energy import OverlapEnergy
from ..mc.parallel import parallel_retrieval
from ..mc.patterns import examples, patterns
from ..mc.run import simulate
from ..mc.samplers import ZeroTemperature
from ..sweeps.solve import solve
from ..theory.dataset import entropy_of
from ..theory.multitasking import Multitasking
from ..theory.parallel_learning import rho_sym
from ..theory.regimes import d_star
from ._multitasking_phases import MARKS, name, point_at
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
R = 0.2
UNEQUAL = 0.15
"""(m_1 - m_2)/m_1 above which two simulated overlaps are unequal."""
COLOURS = {"cold": "#BFE3D3", "parallel": "#EBCFDF", "melted": "#FBE3B4", "warm": "#D9DFF2"}
LINES: dict[str, dict[str, Any]] = {
    "sym": {"color": "#B0528A", "label": r"$\rho_{\rm sym}(d)$, $T=0$, $K=2$"},
    "star": {"color": "k", "ls": "--", "label": r"$d^*(\rho)$, $T\to T_c$, all $K$"},
}


def data(
    *,
    n: int,
    d_model: list[float],
    r: list[float],
    M: list[int],
    d_mc: list[float],
    ratios: list[float],
    N: int,
    samples: int,
    sweeps: int,
) -> xr.Dataset:
    """rho_sym(d) and d*(rho); d* of M examples exactly; where the model itself turns symmetric; and simulations.

    ``edge``: between which entropies the state of T = 0 that iteration reaches from the hierarchical (first) and from
    a nearly symmetric start turns symmetric. ``unequal``: (m_1 - m_2)/m_1 of networks at T = 0 at ``ratios`` times
    rho_sym, from as many examples of quality R as that takes, M odd; ``unequal_theory``: of so many examples exactly.
    """
    rho, d = np.geomspace(5e-4, 10.0, n), np.linspace(0.003, 0.99, n)
    quality, many = np.repeat(r, len(M)), np.tile(M, len(r))
    exact = d_star(r=quality, M=many)
    ds = xr.Dataset(
        {
            "rho_sym": ("d", rho_sym(d=d)),
            "d_star": ("rho", d_star(rho=rho)),
            "d_exact": ("dataset", np.where(exact > 0, exact, np.nan)),
            "rho_exact": ("dataset", entropy_of(quality, many)),
            "edge": (("d_model", "from", "side"), _edges(np.array(d_model))),
        },
        coords={"d": d, "rho": rho, "d_model": d_model, "from": ["hierarchical", "mixture"], "side": ["low", "high"]},
    )
    ds["r_exact"] = "dataset", quality
    runs = [_simulated(x, ratios, N, samples, sweeps) for x in tqdm(d_mc, delay=2, disable=None)]
    return ds.merge(xr.concat(runs, "d_mc").assign_coords(d_mc=d_mc)).assign_attrs(
        N=N, samples=samples, sweeps=sweeps, r=R
    )


def _edges(d: Floats) -> Floats:
    """By bisection of ln rho between rho_sym/2 and 2 rho_sym, (d, start, side)."""
    ends = []
    for start in ("hierarchical", "mixture"):
        low, high = np.log(rho_sym(d=d) / 2), np.log(rho_sym(d=d) * 2)
        for _ in range(12):
            middle = (low + high) / 2
            state = solve(Multitasking(d=d, T=0.0, K=2, rho=np.exp(middle), protocol="supervised"), start)
            alike = abs(state.m[:, 0] - state.m[:, 1]) < 1e-5 * state.m[:, 0]
            low, high = np.where(alike, low, middle), np.where(alike, middle, high)
        ends.append(np.exp([low, high]).T)
    return np.stack(ends, axis=1)


def _simulated(d: float, ratios: list[float], N: int, samples: int, sweeps: int) -> xr.Dataset:
    M = [2 * round(((1 / R**2 - 1) / (ratio * float(rho_sym(d=d))) - 1) / 2) + 1 for ratio in ratios]
    xi = patterns(N=N, K=2, d=d, samples=samples, seed=18, pattern_sampling="stratified")
    eta = examples(xi, r=R, M=max(M), seed=18)
    mean, error = np.empty((2, len(M)))
    for i, many in enumerate(M):
        run = simulate(
            OverlapEnergy.supervised(eta[:, :, :many], r=R),
            sampler=ZeroTemperature(order="permutation"),
            T=0.0,
            chains=1,
            sweeps=1,
            burn_in=sweeps,
            start="hierarchical",
            seed=18,
        )
        m = parallel_retrieval(run).ranked.values.reshape(samples, 2)
        unequal = 1 - m[:, 1] / m[:, 0]
        mean[i], error[i] = unequal.mean(), unequal.std(ddof=1) / np.sqrt(samples)
    rho = entropy_of(np.array(R), np.array(M))
    m = solve(Multitasking(d=d, T=0.0, K=2, r=R, M=np.array(M), protocol="supervised"), "hierarchical").m
    found = {"unequal": mean, "unequal_error": error, "rho_mc": rho, "unequal_theory": 1 - m[:, 1] / m[:, 0]}
    return xr.Dataset({key: ("ratio", value) for key, value in found.items()})


def draw(ds: xr.Dataset) -> "Figure":
    """The plane of dilution and dataset entropy, its regions named."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3.375, 3.9))
    _shade(axes, ds)
    axes.plot(ds.d, ds.rho_sym, **LINES["sym"])
    axes.plot(ds.d_star, ds.rho, **LINES["star"])
    middle = np.sqrt(ds.edge.prod("side"))
    axes.plot(
        ds.d_model,
        middle.sel({"from": "hierarchical"}),
        "+",
        color="k",
        ms=7,
        mew=0.8,
        label="model, hierarchical start",
    )
    axes.plot(
        ds.d_model, middle.sel({"from": "mixture"}), "x", color="k", ms=4.5, mew=0.8, label="model, symmetric start"
    )
    for r, marker in zip(np.unique(ds.r_exact), "sDv", strict=False):
        at = ds.r_exact == r
        axes.plot(
            ds.d_exact[at], ds.rho_exact[at], marker, color="k", mfc="w", mew=0.7, label=rf"$d^*$ exact, $r={r:g}$"
        )
    _draw_runs(axes, ds)
    _name_regions(axes)
    axes.set(yscale="log", xlim=(0, 1), ylim=(1.2e-3, 6), xlabel="dilution $d$", ylabel=r"dataset entropy $\rho$")
    figure.legend(loc="outside lower center", ncols=2, fontsize=6.5, columnspacing=1)
    return figure


def _name_regions(axes: "Axes") -> None:
    cold, warm = "$T=0$: ", r"$T\to T_c$: "
    name(axes, ((f"{cold}hierarchical\n{warm}pure", 0.3, 0.008), (f"{cold}parallel\n{warm}parallel", 0.78, 1.5)))
    point_at(axes, f"{cold}parallel\n{warm}pure", (0.115, 1.2), (0.35, 2.6))
    point_at(axes, f"{cold}hierarchical\n{warm}parallel", (0.71, 0.013), (0.83, 0.15))


def _shade(axes: "Axes", ds: xr.Dataset) -> None:
    """Four regions: unequal or equal overlaps at T = 0, and just below T_c one pattern or both alike."""
    star = np.interp(ds.d, ds.d_star[::-1], ds.rho[::-1], right=0.0)
    low, high = np.minimum(star, ds.rho_sym), np.maximum(star, ds.rho_sym)
    axes.fill_between(ds.d, 1e-5, low, color=COLOURS["cold"], lw=0, zorder=0)
    axes.fill_between(ds.d, high, 100, color=COLOURS["parallel"], lw=0, zorder=0)
    axes.fill_between(ds.d, low, high, where=star > ds.rho_sym, color=COLOURS["melted"], lw=0, zorder=0)
    axes.fill_between(ds.d, low, high, where=star <= ds.rho_sym, color=COLOURS["warm"], lw=0, zorder=0)


def _draw_runs(axes: "Axes", ds: xr.Dataset) -> None:
    """Simulations: unequal overlaps and equal ones by the symbols of the phase diagrams, open ones unlike theory."""
    d, rho = np.broadcast_arrays(ds.d_mc.values[:, None], ds.rho_mc.values)
    unequal, agrees = (ds.unequal > UNEQUAL).values, ((ds.unequal > UNEQUAL) == (ds.unequal_theory > UNEQUAL)).values
    for which, code, text in ((unequal, 2, "unequal"), (~unequal, 4, "equal")):
        marker, colour = MARKS[code]
        style: dict[str, Any] = {"marker": marker, "linewidths": 0.5, "zorder": 5}
        told = rf"$T=0$, $N={ds.attrs['N']}$: {text}"
        axes.scatter(d[which & agrees], rho[which & agrees], 17, color=colour, edgecolors="w", label=told, **style)
        axes.scatter(d[which & ~agrees], rho[which & ~agrees], 14, color="w", edgecolors=colour, **style)


recipe = Recipe(
    name="multitasking_thresholds",
    data=data,
    draw=draw,
    full={
        "n": 300,
        "d_model": [0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.92],
        "r": [0.2, 0.5, 0.8],
        "M": [3, 9, 25, 75, 225],
        "d_mc": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
        "ratios": [0.5, 0.75, 1.33, 2.0],
        "N": 40_000,
        "samples": 4,
        "sweeps": 100,
    },
    draft={
        "n": 30,
        "d_model": [0.3, 0.6],
        "r": [0.5],
        "M": [9, 25],
        "d_mc": [0.2],
        "ratios": [0.5, 2.0],
        "N": 400,
        "samples": 2,
        "sweeps": 20,
    },
)
