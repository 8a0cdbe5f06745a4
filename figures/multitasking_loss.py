r"""Energy and loss of a network of diluted patterns along one Monte Carlo trajectory: one falls if the other does."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..mc.energy import OverlapEnergy
from ..mc.losses import losses
from ..mc.patterns import examples, patterns
from ..mc.run import simulate
from ..mc.samplers import HeatBath
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PROTOCOLS = ("storing", "supervised")


def data(*, N: int, K: int, d: float, r: float, M: int, T: float, sweeps: int, seed: int) -> xr.Dataset:
    """H/N as simulated, and the unmasked losses of the spins themselves, (protocol, draw); quenched from random spins.

    ``loss`` is (g/2) sum_mu L+ L-, L+- = |w -+ sigma|^2/2N with w the patterns (g = 1) or the mean examples over r.
    """
    xi = patterns(N=N, K=K, d=d, seed=seed, pattern_sampling="stratified")
    eta = examples(xi, r=r, M=M, seed=seed)
    rho = (1 - r**2) / (M * r**2)
    mean = eta.values[0].mean(axis=1) / r
    stored, learnt = OverlapEnergy.multitasking(xi), OverlapEnergy.supervised(eta, r=r)
    known = [(stored, xi.values[0].astype(float), 1.0), (learnt, mean, 1 / (1 + rho))]
    found = [_trajectory(energy, w, g, T, sweeps, seed) for energy, w, g in known]
    ds = xr.concat(found, xr.DataArray(list(PROTOCOLS), dims="protocol", coords={"protocol": list(PROTOCOLS)}))
    return ds.assign_attrs(N=N, K=K, d=d, r=r, M=M, T=T)


def _trajectory(
    energy: OverlapEnergy,
    w: "np.ndarray[tuple[int, int], np.dtype[np.float64]]",
    g: float,
    T: float,
    sweeps: int,
    seed: int,
) -> xr.Dataset:
    kept = ("overlap", "energy", "spins")
    given: dict[str, Any] = {"chains": 1, "sweeps": sweeps, "burn_in": 0, "start": "random", "seed": seed}
    run = simulate(energy, sampler=HeatBath(order="random"), T=T, observables=kept, **given)
    s = run.spins.values[0, 0, 0].astype(float)
    plus, minus = (np.mean((w - sign * s[:, None]) ** 2, axis=-1) / 2 for sign in (1, -1))
    loss = 0.5 * g * np.sum(plus * minus, axis=1)
    told = losses(run, energy, masked=False).isel(sample=0, T=0, chain=0)
    residual = max(
        abs(run.energy.values.ravel() - loss - told.constant.item()).max(), abs(told.loss.values - loss).max()
    )
    values = {"energy": run.energy.values.ravel(), "loss": loss, "m": run.overlap.values[0, 0, 0]}
    ds = xr.Dataset({"energy": ("draw", values["energy"]), "loss": ("draw", loss), "m": (("draw", "mu"), values["m"])})
    return ds.assign(sweep=("draw", run.sweep.values), constant=told.constant.item(), residual=residual)


def draw(ds: xr.Dataset) -> "Figure":
    """Storing, supervised learning, and all changes within one sweep."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 1, figsize=(3.375, 5.6), height_ratios=[1, 1, 1.1])
    for panel, protocol in zip(axes, PROTOCOLS, strict=False):
        _draw_trajectory(panel, ds.sel(protocol=protocol), protocol, ds)
    axes[0].tick_params(labelbottom=False)
    axes[1].set_xlabel("time $t$ [sweeps]")
    _draw_changes(axes[2], ds)
    for panel, letter in zip(axes, "abc", strict=True):
        panel.text(0.03, 0.06 if letter < "c" else 0.89, f"({letter})", transform=panel.transAxes)
    return figure


def _draw_trajectory(axes: "Axes", at: xr.Dataset, protocol: str, ds: xr.Dataset) -> None:
    """H/N on the left and the loss on the right, on scales of the same unit; shifted, lest one hide the other."""
    low, high = float(at.energy.min()), float(at.energy.max())
    span = high - low
    ends = low - 0.35 * span, high + 0.25 * span
    shift = float(at.constant) + 0.22 * span
    twin = axes.twinx()
    (a,) = axes.plot(at.sweep, at.energy, "-o", color="C0", ms=1.8, lw=0.8, label="energy $H/N$")
    (b,) = twin.plot(at.sweep, at.loss, "-s", color="C1", ms=1.8, lw=0.8, mfc="w", label=_LOSS)
    axes.set(xlim=(0, None), ylim=ends)
    twin.set_ylim(ends[0] - shift, ends[1] - shift)
    axes.set_ylabel("$H/N$ $[J]$", color="C0")
    twin.set_ylabel(_LOSS, color="C1")
    told = protocol if protocol == "storing" else rf"supervised, $r={ds.attrs['r']:g}$, $M={ds.attrs['M']}$"
    axes.legend(handles=[a, b], title=told, loc="upper right")
    power = int(np.ceil(np.log10(max(float(at.residual), 1e-17))))
    words = rf"$|H/N - $loss$ - $const$| < 10^{{{power}}}$"
    axes.text(0.14, 0.07, words, transform=axes.transAxes, fontsize=6.5, color="0.25")


def _draw_changes(axes: "Axes", ds: xr.Dataset) -> None:
    for k, protocol in enumerate(PROTOCOLS):
        at = ds.sel(protocol=protocol)
        change = at[["loss", "energy"]].diff("draw")
        axes.plot(change.loss, change.energy, "os"[k], color=f"C{(2, 3)[k]}", ms=3, mfc="w", mew=0.6, label=protocol)
    a = 1.1 * float(abs(ds.energy.diff("draw")).max())
    axes.plot([-a, a], [-a, a], color="0.4", lw=0.6, zorder=0)
    for line in (axes.axhline, axes.axvline):
        line(0, color="0.4", lw=0.6, zorder=0)
    axes.set_xscale("symlog", linthresh=1e-3)
    axes.set_yscale("symlog", linthresh=1e-3)
    ticks = [-1e-1, -1e-2, 0, 1e-2, 1e-1]
    axes.set(xticks=ticks, yticks=ticks)
    axes.set(xlabel="change of the loss in one sweep", ylabel="change of $H/N$ $[J]$", xlim=(-a, a), ylim=(-a, a))
    for x, y in ((0.25, 0.75), (0.62, 0.4)):
        axes.text(x, y, "never", transform=axes.transAxes, color="0.45", ha="center")
    axes.legend(loc="lower right", title=rf"$K={ds.attrs['K']}$, $d={ds.attrs['d']:g}$, $T={ds.attrs['T']:g}$")


_LOSS = r"$\frac{g}{2}\sum_\mu L_\mu^+ L_\mu^-$"
recipe = Recipe(
    name="multitasking_loss",
    data=data,
    draw=draw,
    full={"N": 2000, "K": 3, "d": 0.3, "r": 0.5, "M": 20, "T": 0.3, "sweeps": 80, "seed": 4},
    draft={"N": 200, "K": 3, "d": 0.3, "r": 0.5, "M": 5, "T": 0.3, "sweeps": 20, "seed": 4},
)
