"""m and n against the number of examples: what the figures of both protocols compute and show."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps.solve import solve
from ..theory.learning import minimal_examples, one_step_overlap
from ._dense_runs import MARKERS, Cell, compared, draw_pulls, family, name_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SEEN = 0.05


def data(
    *,
    protocol: str,
    P: int,
    N: int,
    gamma: float,
    T: float,
    theta: float,
    examples: dict[float, list[int]],
    most: int,
    samples: int,
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """Simulations of N sites from ``examples`` (numbers M by quality r); theory of infinitely many up to ``most``.

    Theory in both laws of the mean example; the overlap after one step from the pattern, and the M_x at which it
    reaches theta. Theory is of states that overlap with all examples of a pattern alike; where the ``largest`` overlap
    with one of them is far above n, the network has retrieved that example.
    """
    cells = [Cell(P, N, gamma, samples, float(r), M) for r, numbers in examples.items() for M in numbers]
    ds = compared(cells, [T], protocol, sweeps=sweeps).isel(T=0)
    r, M = np.array([float(r) for r in examples]), np.unique(np.geomspace(1, most, n_line).round())
    ds = ds.assign_coords(quality=r, M_line=M)
    for law in ("binomial", "gaussian"):
        Model, load, const = family(Cell(P, N, gamma, 0, 1.0, 1), protocol, law)
        found = solve(Model(**const | {load: gamma, "T": T, "r": r[:, None], "M": M}))
        there = (found.m > SEEN) & found.stable
        for name in ("m", "n"):
            ds[f"{name}_{law}"] = ("quality", "M_line"), np.where(there, getattr(found, name), np.nan)
    step = one_step_overlap(P=P, gamma=gamma, protocol=protocol, r=r[:, None], M=M)
    ds["one_step"] = ("quality", "M_line"), step
    ds["M_x"] = "quality", minimal_examples(P=P, gamma=gamma, r=r, protocol=protocol, theta=theta)
    return ds.assign_attrs(gamma=gamma, theta=theta, N_pull=N)


def draw(ds: xr.Dataset) -> "Figure":
    """m and n against M, and the pulls of both where theory has a retrieval solution."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 1, figsize=(3.375, 5.4), height_ratios=[2, 1.6, 1.1], sharex=True)
    for k, r in enumerate(ds.quality.values):
        at, line = ds.isel(cell=ds.r.values == r), ds.isel(quality=k)
        for ax, name in zip(axes, ("m", "n"), strict=False):
            ax.plot(line.M_line, line[f"{name}_binomial"], color=f"C{k}")
            ax.plot(line.M_line, line[f"{name}_gaussian"], "--", color=f"C{k}", lw=0.9)
            ax.errorbar(
                at.M, at[name], at[f"{name}_error"], fmt=MARKERS[k], color=f"C{k}", mfc="w", label=f"$r = {r:g}$"
            )
        axes[0].plot(line.M_line, line.one_step, ":", color=f"C{k}", lw=0.9)
        axes[0].plot(line.M_x, ds.attrs["theta"], "|", color=f"C{k}", ms=12, mew=1.2)
        if ds.attrs["protocol"] == "unsupervised":
            axes[1].plot(at.M, at.largest, "+", color=f"C{k}", ms=4.5)
        for name, fill in (("m", f"C{k}"), ("n", "w")):
            axes[2].plot(at.M, at[f"{name}_pull_finite"].where(at.m_finite > SEEN), MARKERS[k], color=f"C{k}", mfc=fill)
    _label(axes, ds)
    single = {"largest $n_a$": "+"} if ds.attrs["protocol"] == "unsupervised" else {}
    name_lines(figure, {"theory": "-", "Gaussian": "--", "one step": ":", "$M_\\times$": "|"} | single)
    return figure


def _label(axes: "list[Axes]", ds: xr.Dataset) -> None:
    told = rf"$\gamma = {ds.attrs['gamma']:g}$, $T' = {float(ds['T']):g}$; points: $N={ds.attrs['N_pull']}$"
    axes[0].legend(title=told, title_fontsize=7, loc="lower right", alignment="left")
    axes[0].set(ylabel="archetype overlap $m$", xscale="log", ylim=(0, 1.04))
    most = float(ds.largest.max()) if ds.attrs["protocol"] == "unsupervised" else 1.0
    axes[1].set(ylabel="example overlap $n$", ylim=(0, 1.04 * max(1.0, most)))
    draw_pulls(axes[2], np.stack([ds[f"{name}_pull_finite"].where(ds.m_finite > SEEN) for name in ("m", "n")]))
    axes[2].set(xlabel="examples per pattern $M$", ylabel="pulls of $m$, $n$")
