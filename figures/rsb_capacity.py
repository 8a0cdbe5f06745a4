r"""How much a dense network stores: where retrieval ends, replica symmetric and broken, beside T_d^2."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..sweeps.lines import transition
from ..theory.dense import DenseHebbian
from ..theory.pspin import PSpin
from ._panels import three_panels
from ._rsb import FULL, ONE, RS, retrieval_end, spaced
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STEPS = (0, 1, 2)
STYLES = (("s", "--", RS, "RS"), ("o", "-", ONE, "1 step"), ("^", "-.", FULL, "2 steps"))


def data(*, P: list[int], P_level: list[int], shown: int, T: list[float], T_broken: list[float]) -> xr.Dataset:
    """gamma_M at T' = 0 by P and of P = ``shown`` by T, of 0, 1 and 2 steps; gamma_c, and T_d^2 of the pure glass.

    On T' = gamma, where the field of a spin is as of a planted pattern (m = q), R(q)/T^2 = P q^(P-1)/(2 gamma) makes
    the end of retrieval the T_d of the glass at unit load, gamma_M = T_d^2, and replica symmetry holds.
    """
    cold = np.array([[retrieval_end(DenseHebbian, k, np.zeros(1), P=p)[0] for k in STEPS] for p in P])
    both: dict[str, Any] = {"between": ("retrieval", "spin_glass"), "along": "gamma", "T": 0.0, "k": 1}
    level = [float(transition(DenseHebbian, **both, P=p).gamma) for p in P_level]
    warm = {"RS": spaced(T), "broken": spaced(T_broken)}
    ds = xr.Dataset(
        {
            "capacity": (("P", "k"), cold),
            "level": ("P_level", level),
            "planted": ("P", [_planted(p) for p in P]),
            "gamma_rs": ("T", retrieval_end(DenseHebbian, 0, warm["RS"], P=shown)),
            "gamma_k": (
                ("step", "T_broken"),
                [retrieval_end(DenseHebbian, k, warm["broken"], P=shown) for k in STEPS[1:]],
            ),
        },
        coords={"P": P, "P_level": P_level, "k": list(STEPS), "T": warm["RS"], "T_broken": warm["broken"]},
    )
    lost = sum(int(np.isnan(ds[name]).sum()) for name in ("capacity", "level", "gamma_k"))
    return ds.assign_attrs(shown=shown, planted_shown=_planted(shown), n_unconverged=lost)


def _planted(P: int) -> float:
    """T_d^2 at unit load."""
    return float(PSpin(p=P, T=0.0).glass_temperatures().dynamic) ** 2


def draw(ds: xr.Dataset) -> "Figure":
    """Capacity against P, what it lacks of T_d^2, and its course with T."""
    import matplotlib.ticker as ticks

    figure = three_panels(ds, (_draw_capacity, _draw_lack, _draw_course), height=6.3, ratios=[1.2, 0.9, 1.2])
    figure.axes[0].tick_params(labelbottom=False)
    figure.axes[1].xaxis.set_major_locator(ticks.MaxNLocator(integer=True))
    for axes, y, letter in zip(figure.axes, (0.14, 0.96, 0.96), "abc", strict=True):
        axes.text(0.985, y, f"({letter})", transform=axes.transAxes, ha="right", va="top")
    return figure


def _draw_capacity(axes: "Axes", ds: xr.Dataset) -> None:
    axes.plot(ds.P, ds.planted, color="0.5", lw=3, alpha=0.5, label=r"$T_d^2$ (end on $T'=\gamma$)")
    for i, (marker, style, colour, label) in enumerate(STYLES[:2]):
        axes.plot(ds.P, ds.capacity[:, i], marker + style, color=colour, mfc="w", label=rf"$\gamma_M$, {label}")
    axes.plot(ds.P_level, ds.level, "k:", marker="v", mfc="w", label=r"$\gamma_c$, 1 step: $f$ equal in glass")
    axes.legend(loc="upper left")
    axes.set(ylabel=r"load $\gamma$ at $T'=0$", ylim=(0.3, None))


def _draw_lack(axes: "Axes", ds: xr.Dataset) -> None:
    for i, (marker, style, colour, label) in enumerate(STYLES):
        axes.plot(ds.P, 1 - ds.capacity[:, i] / ds.planted, marker + style, color=colour, mfc="w", label=label)
    axes.set(xlabel=r"spins per interaction $P$", ylabel=r"$1-\gamma_M/T_d^2$", yscale="log")
    if ds.attrs["n_unconverged"]:
        told = f"{ds.attrs['n_unconverged']} left out"
        axes.text(0.02, 0.04, told, transform=axes.transAxes, fontsize=6, color="0.35")
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.55))


def _draw_course(axes: "Axes", ds: xr.Dataset) -> None:
    planted = ds.attrs["planted_shown"]
    axes.axvline(planted, color="0.5", lw=3, alpha=0.5)
    axes.plot(ds.gamma_rs, ds["T"], STYLES[0][1], color=RS, label="RS")
    for i, (_, style, colour, label) in enumerate(STYLES[1:]):
        axes.plot(ds.gamma_k[i], ds.T_broken, style, color=colour, label=label)
    diagonal = np.array([0.3, 0.6])
    axes.plot(diagonal, diagonal, "k:", lw=0.8, label=r"$T'=\gamma$")
    low = float(ds.gamma_rs.isel(T=0)) - 0.02
    axes.text(0.3, 0.68, "retrieval", transform=axes.transAxes, fontsize=7)
    axes.text(planted + 0.003, 0.06, r"$T_d^2$", fontsize=7)
    axes.legend(loc="upper left", bbox_to_anchor=(0, 0.52), title=rf"$P={ds.attrs['shown']}$")
    axes.set(xlabel=r"load $\gamma$", ylabel=r"temperature $T'$", xlim=(low, planted + 0.015), ylim=(0, 0.75))


recipe = Recipe(
    name="rsb_capacity",
    data=data,
    draw=draw,
    full={
        "P": [3, 4, 5, 6, 7, 8, 9, 10],
        "P_level": [3, 4, 5, 6, 7, 8, 9, 10],
        "shown": 4,
        "T": [0.0, 0.8, 161],
        "T_broken": [0.0, 0.44, 23],
    },
    draft={"P": [5], "P_level": [], "shown": 4, "T": [0.0, 0.8, 17], "T_broken": [0.2, 0.2, 1]},
)
