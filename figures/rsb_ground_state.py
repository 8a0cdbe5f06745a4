r"""Energy of the ground state against the number of steps k, and how its distance from the limit falls as k^-4."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..theory.hopfield import Hopfield
from ..theory.pspin import PSpin
from ..theory.sk import SherringtonKirkpatrick
from ._rsb import counted, states
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KNOWN = -0.76316672
"""Of SK: M. J. Schmidt, R. Oppermann, Phys. Rev. E 77, 061104 (2008)."""
LABELS = ("SK", r"Hopfield, $\alpha={:g}$", r"$p=3$ glass")
MARKERS = "os^"


def data(*, k: list[int], alpha: float) -> xr.Dataset:
    """e_k = f_k at T = 0 of three glasses, the limit from "full", and its error."""
    models: tuple[tuple[Any, dict[str, Any]], ...] = (
        (SherringtonKirkpatrick, {}),
        (Hopfield, {"alpha": alpha}),
        (PSpin, {"p": 3}),
    )
    table = [[_frozen(Model, const, steps) for steps in k] for Model, const in models]
    limits = [_frozen(Model, const, "full") for Model, const in models]
    ds = xr.Dataset(
        {
            "energy": (("glass", "k"), [[float(found.free_energy) for found in row] for row in table]),
            "limit": ("glass", [float(found.free_energy) for found in limits]),
            "limit_error": ("glass", [float(found.free_energy_error) for found in limits]),
        },
        coords={"k": k},
    )
    return ds.assign_attrs(known=KNOWN, alpha=alpha, **counted(*limits, *(found for row in table for found in row)))


def _frozen(Model: Any, const: dict[str, Any], k: int | str) -> xr.Dataset:
    """The glass at T = 0, of one point."""
    return states(Model, over={"T": [0.0]}, const=const, starts=["spin_glass"], k=k).isel(start=0, T=0, drop=True)


def draw(ds: xr.Dataset) -> "Figure":
    """SK against k, and the distance of all three from their limits."""
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(3.375, 4.4), sharex=True)
    _draw_energy(upper, ds.isel(glass=0), ds.attrs["known"])
    _draw_distance(lower, ds)
    for axes, letter in zip((upper, lower), "ab", strict=True):
        axes.text(0.985, 0.9, f"({letter})", transform=axes.transAxes, ha="right", va="top")
    upper.set_ylim(top=-0.763)
    return figure


def _draw_energy(axes: "Axes", at: xr.Dataset, known: float) -> None:
    axes.plot(at.k, at.energy, MARKERS[0], mfc="none", label=r"SK, $k$ steps")
    limit, error = float(at.limit), float(at.limit_error)
    told = rf"limit ${limit:.8f} \pm {1e8 * error:.0f}\times 10^{{-8}}$"
    axes.axhline(limit, color="C2", lw=1.8, label=told)
    axes.axhline(known, color="k", ls="--", lw=0.8, label=rf"known: ${known:.8f}$")
    axes.set(ylabel=r"ground-state energy $e_k$", xscale="log")
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.08), title="error of the limit: below its line")


def _draw_distance(axes: "Axes", ds: xr.Dataset) -> None:
    for i, label in enumerate(LABELS):
        at = ds.isel(glass=i)
        beyond = abs(at.energy - at.limit)
        resolved = beyond > 2 * at.limit_error
        told = label.format(ds.attrs["alpha"])
        shown, error = beyond.where(resolved), at.limit_error.where(resolved)
        axes.errorbar(at.k, shown, error, fmt=MARKERS[i], color=f"C{i}", mfc="none", label=told)
    first = float(abs(ds.energy[0, 0] - ds.limit[0]))
    k = np.array([float(ds.k.min()), float(ds.k.max())])
    axes.plot(k, 1.6 * first * k**-4.0, ":", color="0.3", label=r"$\propto k^{-4}$")
    axes.legend(loc="lower left")
    axes.set(xlabel=r"steps $k$", ylabel=r"$|e_k - e_\infty|$", xscale="log", yscale="log")
    ticks = [t for t in (1, 2, 3, 5, 10, 14) if t <= int(ds.k.max())]
    axes.set_xticks(ticks, [str(t) for t in ticks])
    axes.minorticks_off()


recipe = Recipe(
    name="rsb_ground_state",
    data=data,
    draw=draw,
    full={"k": list(range(1, 15)), "alpha": 1.0},
    draft={"k": [1, 2, 3], "alpha": 1.0},
)
