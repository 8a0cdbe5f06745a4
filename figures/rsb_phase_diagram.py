r"""Phase diagrams with replica symmetry broken in one step: the dense network at P = 4, and Hopfield for contrast."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..sweeps.lines import at_line, spinodal, transition
from ..sweeps.phases import classify
from ..sweeps.sweep import sweep
from ..theory.dense import DenseHebbian
from ..theory.hopfield import Hopfield
from ..theory.pspin import PSpin
from ._rsb import ONE, RS, name, regions, retrieval_end, shade, spaced
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
LEVEL = ("retrieval", "spin_glass")
GLASS, AT, GARDNER = "k", "#CC79A7", "#E69F00"


def data(
    *,
    P: int,
    n: list[int],
    top: list[float],
    n_line: int,
    T_broken: list[float],
    T_level: list[float],
    T_low: list[float],
    T_pair: list[float],
) -> xr.Dataset:
    """Regions of one step on a grid of n points up to ``top`` = (gamma, T), and the lines of both networks.

    ``T_broken`` and ``T_level``: where the dense lines of one step are searched; ``T_low`` and ``T_pair``: Hopfield's.
    """
    over = {"gamma": np.linspace(0, top[0], n[0]), "T": np.linspace(0, top[1], n[1])}
    grid = classify(sweep(DenseHebbian, over=over, const={"P": P}, k=1, progress=False))
    found = regions(grid).drop_attrs()
    lines = xr.merge([_dense(P, top, n_line, T_broken, T_level), _pair(n_line, T_low, T_pair)])
    lost = int(found.unconverged.sum()) + sum(int(lines[v].isnull().sum()) for v in lines.attrs["searched"])
    return xr.merge([found, lines]).drop_attrs().assign_attrs(P=P, n_unconverged=lost, **_glass(P))


def _glass(P: int) -> dict[str, float]:
    """T_s, T_d and T_G at unit load; each grows with the root of the load."""
    critical = PSpin(p=P, T=0.0).glass_temperatures()
    gardner = at_line(PSpin, along="T", of="spin_glass", k=1, p=P).T
    return {"T_s": float(critical.static), "T_d": float(critical.dynamic), "T_G": float(gardner)}


def _dense(P: int, top: list[float], n: int, T_broken: list[float], T_level: list[float]) -> xr.Dataset:
    """Lines of the dense network, loads by T and the AT line by load."""
    T, load = np.linspace(0, top[1], n), np.linspace(0.01 * top[0], 0.48 * top[0] / 0.6, n)
    cold, frozen = (spaced(t) for t in (T_broken, T_level))
    kept: dict[str, Any] = {"along": "gamma", "P": P}
    return xr.Dataset(
        {
            "gamma_M": ("T_line", spinodal(DenseHebbian, **kept, T=T).gamma),
            "gamma_M1": ("T_broken", retrieval_end(DenseHebbian, 1, cold, P=P)),
            "gamma_c": ("T_level", transition(DenseHebbian, **kept, between=LEVEL, T=frozen).gamma),
            "gamma_c_para": (
                "T_line",
                transition(DenseHebbian, **kept, between=("retrieval", "paramagnet"), T=T).gamma,
            ),
            "T_AT": ("gamma_line", at_line(DenseHebbian, along="T", P=P, gamma=load).T),
        },
        coords={"T_line": T, "gamma_line": load, "T_broken": cold, "T_level": frozen},
        attrs={"searched": ["gamma_M1", "alpha_M1", "alpha_c1"]},
    )


def _pair(n: int, T_low: list[float], T_pair: list[float]) -> xr.Dataset:
    """Lines of the Hopfield network."""
    T, near = np.linspace(0, 0.999, n), np.linspace(0.1, 0.138, n)
    low, level = (spaced(t) for t in (T_low, T_pair))
    return xr.Dataset(
        {
            "alpha_M": ("T_pair", spinodal(Hopfield, T=T).alpha),
            "alpha_M_low": ("T_low", spinodal(Hopfield, T=low).alpha),
            "alpha_M1": ("T_low", retrieval_end(Hopfield, 1, low)),
            "alpha_c": ("T_pair", transition(Hopfield, between=LEVEL, T=T).alpha),
            "alpha_c1": ("T_pair_level", _level(level)),
            "T_AT_pair": ("alpha_near", at_line(Hopfield, along="T", alpha=near).T),
        },
        coords={"T_pair": T, "T_low": low, "T_pair_level": level, "alpha_near": near},
    )


def _level(T: Floats) -> list[float]:
    """Hopfield's alpha_c of one step."""
    return [float(transition(Hopfield, between=LEVEL, k=1, T=t).alpha) for t in T.tolist()]


def draw(ds: xr.Dataset) -> "Figure":
    """The dense network above; Hopfield below, beside the corner where its retrieval breaks replica symmetry."""
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(3.375, 5.6))
    grid = figure.add_gridspec(2, 2, height_ratios=[1.7, 1])
    _draw_dense(figure.add_subplot(grid[0, :]), ds)
    _draw_pair(figure.add_subplot(grid[1, 0]), ds)
    _draw_corner(figure.add_subplot(grid[1, 1]), ds)
    return figure


def _draw_dense(axes: "Axes", ds: xr.Dataset) -> None:
    shade(axes, ds.region, ds.unconverged)
    load = np.linspace(0, float(ds.gamma.max()), 200)
    axes.plot(load, ds.attrs["T_s"] * np.sqrt(load), color=GLASS, label=r"$T_s$: static glass")
    axes.plot(load, ds.attrs["T_d"] * np.sqrt(load), ":", color=GLASS, label=r"$T_d$: dynamic")
    axes.plot(load, ds.attrs["T_G"] * np.sqrt(load), "-.", color=GARDNER, label=r"$T_G$: Gardner, glass")
    axes.plot(ds.gamma_line, ds.T_AT, "-.", color=AT, label=r"$T_{AT}$: retrieval")
    axes.plot(ds.gamma_M, ds.T_line, "--", color=RS, label=r"$\gamma_M$: end of retrieval, RS")
    axes.plot(ds.gamma_M1, ds.T_broken, color=ONE, label=r"$\gamma_M$, 1 step")
    axes.plot(ds.gamma_c, ds.T_level, color="#009E73", label=r"$\gamma_c$: $f$ equal")
    axes.plot(ds.gamma_c_para, ds.T_line, color="#009E73")
    axes.set(xlim=(0, load[-1]), ylim=(0, float(ds["T"].max())), ylabel=r"temperature $T'$")
    axes.set_xlabel(rf"load $\gamma = K P!/(2N^{{P-1}})$, $P={ds.attrs['P']}$")
    axes.legend(loc="upper right", fontsize=6, labelspacing=0.15, handlelength=1.4, borderaxespad=0.1)
    name(axes, (("retrieval", 0.14, 0.38), ("spin glass", 0.53, 0.2), ("paramagnet", 0.51, 0.56)))
    name(axes, (("metastable\nretrieval", 0.31, 0.65),), fontsize=6)
    if ds.attrs["n_unconverged"]:
        told = f"{ds.attrs['n_unconverged']} left out"
        axes.text(0.985, 0.02, told, transform=axes.transAxes, ha="right", fontsize=6, color="0.35")


def _draw_pair(axes: "Axes", ds: xr.Dataset) -> None:
    load = np.linspace(0, 0.16, 100)
    axes.plot(load, 1 + np.sqrt(load), color=GLASS)
    axes.plot(ds.alpha_M, ds.T_pair, "--", color=RS)
    axes.plot(ds.alpha_M1, ds.T_low, color=ONE)
    axes.plot(ds.alpha_c, ds.T_pair, "--", color="#009E73")
    axes.plot(ds.alpha_c1, ds.T_pair_level, color="#009E73")
    axes.set(xlim=(0, 0.16), ylim=(0, 1.5), xlabel=r"load $\alpha$, $P=2$", ylabel=r"temperature $T$")
    name(axes, (("paramagnet", 0.07, 1.4), ("spin glass", 0.108, 0.8), ("$T_g$", 0.13, 1.28)), fontsize=6)
    name(axes, (("retrieval", 0.024, 0.12), (r"$\alpha_c$", 0.043, 0.42), (r"$\alpha_M$", 0.1, 0.36)), fontsize=6)
    name(axes, (("solid: 1 step\ndashed: RS", 0.118, 0.58),), fontsize=5.5)


def _draw_corner(axes: "Axes", ds: xr.Dataset) -> None:
    axes.plot(ds.alpha_M_low, ds.T_low, "--", color=RS)
    axes.plot(ds.alpha_M1, ds.T_low, color=ONE)
    axes.plot(ds.alpha_near, ds.T_AT_pair, "-.", color=AT)
    axes.set(xlim=(0.1365, 0.1385), ylim=(0, 0.03), xlabel=r"load $\alpha$")
    axes.set_xticks([0.137, 0.138])
    name(axes, (("retrieval", 0.1371, 0.026), (r"$T_{AT}$", 0.13685, 0.0205), ("1 step", 0.1371, 0.004)), fontsize=6)


recipe = Recipe(
    name="rsb_phase_diagram",
    data=data,
    draw=draw,
    full={
        "P": 4,
        "n": [31, 31],
        "top": [0.6, 0.9],
        "n_line": 61,
        "T_broken": [0.0, 0.44, 12],
        "T_level": [0.0, 0.38, 11],
        "T_low": [0.0, 0.03, 11],
        "T_pair": [0.0, 0.4, 5],
    },
    draft={
        "P": 4,
        "n": [4, 4],
        "top": [0.6, 0.9],
        "n_line": 6,
        "T_broken": [0.1, 0.1, 1],
        "T_level": [0.3, 0.3, 1],
        "T_low": [0.0, 0.0, 1],
        "T_pair": [0.3, 0.3, 0],
    },
)
