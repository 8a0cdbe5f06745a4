r"""Energies of all T = 0 states of K diluted patterns against dilution, beside those that quenches end in."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..mc.energy import OverlapEnergy
from ..mc.parallel import parallel_retrieval
from ..mc.patterns import patterns
from ..mc.run import simulate
from ..mc.samplers import ZeroTemperature
from ..theory.ground_states import d_gs, d_h, ground_states
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
LADDER, MIXTURE = "#009E73", "#D55E00"


def data(*, K: list[int], n_d: int, N: int, quenches: int, sweeps: int, d_mc: list[float]) -> xr.Dataset:
    """Energies over (1 - d)^2 of all stable states, the hierarchical one, the lowest other one, and of quenches."""
    d = np.linspace(0.005, 0.985, n_d)
    parts = [xr.merge([_states(k, d), _quenched(k, d_mc, N, quenches, sweeps)]) for k in K]
    ds = xr.concat(parts, "K", join="outer").assign_coords(K=K)
    ds["d_gs"], ds["d_h"] = ("K", [d_gs(K=k) for k in K]), ("K", [d_h(K=k) for k in K])
    return ds.assign_attrs(N=N, quenches=quenches)


def ladder(d: Any, K: int) -> Any:
    """-sum_k d^(2k - 2)/2, the energy of the hierarchical state over (1 - d)^2, wherever it exists."""
    return -0.5 * sum(d ** (2 * k) for k in range(K))


def _states(K: int, d: Floats) -> xr.Dataset:
    found = [ground_states(d=x, K=K) for x in d]
    e = np.full((d.size, max(len(s.e) for s in found)), np.nan)
    for i, (x, s) in enumerate(zip(d, found, strict=True)):
        e[i, : len(s.e)] = s.e / (1 - x) ** 2
    own = abs(e - ladder(d, K)[:, None]) < 1e-9
    hierarchical = np.where(own.any(axis=1) & (d < d_h(K=K)), ladder(d, K), np.nan)
    with np.errstate(all="ignore"):
        other = np.where(own | np.isnan(e), np.inf, e).min(axis=1)
    names = {"hierarchical": hierarchical, "mixture": np.where(np.isinf(other), np.nan, other)}
    return xr.Dataset(
        {"e": (("d", "state"), e), **{name: ("d", x) for name, x in names.items()}},
        coords={"d": d, "state": np.arange(e.shape[1])},
    )


def _quenched(K: int, d_mc: list[float], N: int, quenches: int, sweeps: int) -> xr.Dataset:
    """-sum m^2/2 over (1 - d)^2 at the end of every quench from a random start, one sample of stratified patterns."""
    rows = []
    for d in d_mc:
        xi = patterns(N=N, K=K, d=d, seed=K, pattern_sampling="stratified")
        run = simulate(
            OverlapEnergy.multitasking(xi),
            sampler=ZeroTemperature(order="permutation"),
            T=0.0,
            chains=quenches,
            sweeps=1,
            burn_in=sweeps,
            seed=K,
        )
        rows.append(-0.5 * parallel_retrieval(run).sum_m2.values.ravel() / (1 - d) ** 2)
    return xr.Dataset({"quenched": (("d_mc", "quench"), np.array(rows))}, coords={"d_mc": d_mc})


def draw(ds: xr.Dataset) -> "Figure":
    """A column for each K: energies above, below the distance from the hierarchical energy around the crossing."""
    import matplotlib.pyplot as plt

    shape: Any = {"figsize": (7, 4.3), "sharey": "row", "squeeze": False, "height_ratios": [1.25, 1]}
    figure, panels = plt.subplots(2, ds.sizes["K"], **shape)
    for j, K in enumerate(ds.K.values):
        at = ds.sel(K=K)
        _draw_energies(panels[0, j], at, np.zeros(ds.sizes["d"]), np.zeros(ds.sizes["d_mc"]))
        panels[0, j].set(title=f"({'ab'[j]}) $K={K}$", xlim=(0, 1), xlabel="dilution $d$")
        _draw_energies(panels[1, j], at, ladder(ds.d.values, int(K)), ladder(ds.d_mc.values, int(K)))
        _draw_crossing(panels[1, j], at)
        panels[1, j].set(title=f"({'cd'[j]}) $K={K}$", xlim=(0.38, 0.72), ylim=(-0.045, 0.06), xlabel="dilution $d$")
    panels[0, 0].set_ylabel(r"energy per spin $e/(1-d)^2$ $[J]$")
    panels[1, 0].set_ylabel(r"$(e-e_{\rm h})/(1-d)^2$ $[J]$")
    figure.legend(*panels[0, -1].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def _draw_energies(axes: "Axes", ds: xr.Dataset, below: Floats, below_mc: Floats) -> None:
    grid = np.broadcast_to(ds.d.values[:, None], ds.e.shape)
    axes.plot(
        grid.ravel(), (ds.e.values - below[:, None]).ravel(), ".", color="0.6", ms=1.0, label="other stable states"
    )
    axes.plot(ds.d, ds.hierarchical - below, color=LADDER, label="hierarchical")
    axes.plot(ds.d, ds.mixture - below, color=MIXTURE, ls="--", label="lowest mixture")
    many = np.broadcast_to(ds.d_mc.values[:, None], ds.quenched.shape)
    told = rf"quenches, $N={ds.attrs['N']}$"
    axes.plot(
        many.ravel(),
        (ds.quenched - below_mc[:, None]).values.ravel(),
        "o",
        mfc="none",
        mec="k",
        mew=0.4,
        ms=3,
        label=told,
    )


def _draw_crossing(axes: "Axes", ds: xr.Dataset) -> None:
    axes.axhline(0, color="0.8", lw=0.6, zorder=0)
    for value, text, x in ((ds.d_gs, "d_{gs}", -0.004), (ds.d_h, "d_h", 0.004)):
        at, side = float(value), "right" if x < 0 else "left"
        axes.axvline(at, color="k", lw=0.7, ls=":")
        axes.text(at + x, 0.052, f"${text}={at:.4f}$", ha=side, va="center", fontsize=7)


recipe = Recipe(
    name="multitasking_ground_states",
    data=data,
    draw=draw,
    full={
        "K": [3, 4],
        "n_d": 400,
        "N": 20_000,
        "quenches": 100,
        "sweeps": 60,
        "d_mc": [0.1, 0.2, 0.3, 0.4, 0.44, 0.48, 0.52, 0.56, 0.6, 0.64, 0.68, 0.76, 0.84, 0.92],
    },
    draft={"K": [3, 4], "n_d": 25, "N": 200, "quenches": 5, "sweeps": 20, "d_mc": [0.3, 0.5, 0.7]},
)
