r"""Free energy and entropy of glasses against T: replica symmetric, of one step, and fully broken."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..theory.dense import DenseHebbian
from ..theory.sk import SherringtonKirkpatrick
from ._rsb import FULL, ONE, RS, counted, draw_pieces, spaced, states, tell_errors
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KEPT = ["q", "free_energy", "entropy", "free_energy_error"]


def data(
    *, P: int, gamma: float, k: int | str, T_dense: list[float], T_sk: list[float], few: int, cold: float
) -> xr.Dataset:
    """f and s of the glass by T of each system and ``ansatz`` (rs, one); of ``k`` steps at ``few`` T below ``cold``.

    ``cold`` is the share of the largest T below which one step is no longer enough to the eye.
    """
    parts, lost = [], []
    for name, Model, T, const in (
        ("dense", DenseHebbian, T_dense, {"P": P, "gamma": gamma}),
        ("sk", SherringtonKirkpatrick, T_sk, {}),
    ):
        hot = spaced(T)
        some = np.linspace(T[0], cold * T[1], few)
        for ansatz, at, steps in (("rs", hot, None), ("one", hot, 1), ("full", some, k)):
            found = _glass(Model, at, const, steps)
            lost.append(found)
            dim = f"T_{name}_full" if ansatz == "full" else f"T_{name}"
            last = found.q.isel(level=-1) if "level" in found.dims else found.q
            told = found.assign(q=last)[[v for v in KEPT if v in found]].rename(T=dim)
            parts.append(told.rename({str(v): f"{v}_{name}_{ansatz}" for v in told.data_vars}))
    return xr.merge(parts).drop_attrs().assign_attrs(P=P, gamma=gamma, k=str(k), **counted(*lost))


def _glass(Model: Any, T: np.ndarray[Any, Any], const: dict[str, Any], k: int | str | None) -> xr.Dataset:
    """The spin glass (the paramagnet where that is what it becomes) by T."""
    return states(Model, over={"T": T}, const=const, starts=["spin_glass"], k=k).isel(start=0, drop=True)


def draw(ds: xr.Dataset) -> "Figure":
    """f above s, the dense network beside SK."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 2, figsize=(3.375, 3.9), sharex="col")
    P, gamma = ds.attrs["P"], ds.attrs["gamma"]
    for column, (name, title) in enumerate((("dense", rf"dense $P={P}$, $\gamma={gamma:g}$"), ("sk", "SK"))):
        upper, lower = panels[:, column]
        _draw(upper, ds, name, "free_energy")
        _draw(lower, ds, name, "entropy")
        lower.axhline(0, color="0.4", lw=0.6, zorder=0)
        upper.set_title(title)
        lower.set_xlabel(r"temperature $T'$" if name == "dense" else r"temperature $T$ $[J/k_B]$")
        lower.set_xlim(0, float(ds[f"T_{name}"].max()))
    panels[0, 0].set_ylabel(r"free energy $f$")
    panels[1, 0].set_ylabel(r"entropy $s$ $[k_B]$")
    panels[0, 0].legend(loc="lower left")
    tell_errors(panels[1, 0], ds, 0.03, 0.94, ha="left")
    return figure


def _draw(axes: "Axes", ds: xr.Dataset, name: str, quantity: str) -> None:
    for ansatz, style, colour, label in (("rs", "--", RS, "RS"), ("one", "-", ONE, "1 step")):
        q, values = (ds[f"{v}_{name}_{ansatz}"].rename({f"T_{name}": "T"}) for v in ("q", quantity))
        draw_pieces(axes, values, q, style, color=colour, label=label)
    label = "full" if ds.attrs["k"] == "full" else f"{ds.attrs['k']} steps"
    axes.plot(ds[f"T_{name}_full"], ds[f"{quantity}_{name}_full"], "o", color=FULL, mfc="none", ms=4, label=label)


recipe = Recipe(
    name="rsb_free_energy",
    data=data,
    draw=draw,
    full={
        "P": 4,
        "gamma": 0.3,
        "k": "full",
        "T_dense": [0.0, 0.45, 91],
        "T_sk": [0.0, 1.2, 97],
        "few": 9,
        "cold": 0.7,
    },
    draft={"P": 4, "gamma": 0.3, "k": 3, "T_dense": [0.0, 0.45, 19], "T_sk": [0.0, 1.2, 13], "few": 4, "cold": 0.7},
)
