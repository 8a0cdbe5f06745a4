"""m against the load for several P, learned from examples: what the figures of both protocols compute and show."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..sweeps.lines import spinodal
from ..sweeps.solve import solve
from ._dense_runs import MARKERS, Cell, Floats, compared, draw_pulls, family, name_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


STYLES = {"exact": "-", "finite": "--", "gaussian": ":"}
NAMES = {"theory": "-", r"at $\gamma/s_N,\ T'/s_N$": "--", "Gaussian examples": ":"}


def data(
    *,
    protocol: str,
    T: list[float],
    r: float,
    M: int,
    networks: list[tuple[int, int, int, list[float]]],
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """Simulations of ``networks`` (P, N, samples, loads) from M examples of quality r; theory up to the spinodals.

    Theory is for infinitely many sites, in the binomial law of the mean example (``exact``) and in the Gaussian one of
    the papers, and at gamma/s_N, T/s_N (``finite``) for the N of each P. At T = 0 a chain descends to the first
    minimum: near the spinodal that is closer to the pattern than the replica-symmetric state.
    """
    cells = [Cell(P, N, g, samples, r, M) for P, N, samples, loads in networks for g in loads]
    ds = compared(cells, T, protocol, sweeps=sweeps)
    each = [Cell(P, N, 0.0, 0, r, M) for P, N, *_ in networks]
    kinds = {"exact": ("binomial", False), "gaussian": ("gaussian", False), "finite": ("binomial", True)}
    for kind, (law, finite) in kinds.items():
        lines = np.array([_line(cell, T, protocol, law, n_line, finite=finite) for cell in each])
        ds[f"line_{kind}"] = ("network", "axis", "T", "line"), lines
    return ds.assign_coords(network=[cell.P for cell in each]).assign_attrs(r=r, M=M)


def _line(cell: Cell, T: list[float], protocol: str, law: str, n_line: int, *, finite: bool) -> Floats:
    """Load and m, (2, T, line), up to the spinodal."""
    Model, load, const = family(cell, protocol, law)
    by = cell.shrink if finite else 1.0
    at = np.asarray(T) / by
    end = getattr(spinodal(Model, along=load, T=at, **const), load)
    loads = end[:, None] * (1 - np.linspace(1, 0, n_line) ** 2) * (1 - 1e-9)
    return np.array([loads * by, solve(Model(**{load: loads}, T=at[:, None], **const)).m])


def draw(ds: xr.Dataset) -> "Figure":
    """One panel for each T, and the pulls of all points."""
    import matplotlib.pyplot as plt

    count = ds.sizes["T"]
    figure, axes = plt.subplots(count + 1, 1, figsize=(3.375, 1.5 + 1.7 * count), sharex=True)
    for k in range(count):
        _draw_overlap(axes[k], ds.isel(T=k))
        axes[k].tick_params(labelbottom=False)
    axes[0].legend(loc="lower left")
    name_lines(figure, NAMES)
    _draw_pulls(axes[-1], ds)
    axes[-1].set_xlim(0, None)
    return figure


def _draw_overlap(axes: "Axes", ds: xr.Dataset) -> None:
    for k, P in enumerate(ds.network.values):
        at = ds.isel(cell=ds.P.values == P)
        for kind, style in STYLES.items():
            load, m = ds[f"line_{kind}"].isel(network=k).values
            axes.plot(load, m, style, color=f"C{k}", lw=1.2 if kind == "exact" else 0.9)
            if kind == "exact":
                axes.plot(load[-1], m[-1], "x", color=f"C{k}", ms=5)
        label = rf"$P={P}$, $N={int(at.N[0])}$"
        axes.errorbar(at.gamma, at.m, at.m_error, fmt=MARKERS[k], color=f"C{k}", mfc="w", label=label)
    axes.set_ylabel("archetype overlap $m$")
    axes.annotate(rf"$T'={float(ds['T']):g}$", (0.96, 0.9), xycoords="axes fraction", ha="right", va="top")


def _draw_pulls(axes: "Axes", ds: xr.Dataset) -> None:
    for k, P in enumerate(ds.network.values):
        at = ds.isel(cell=ds.P.values == P)
        for j in range(ds.sizes["T"]):
            for pull, fill in ((at.m_pull_theory, "w"), (at.m_pull_finite, f"C{k}")):
                axes.plot(at.gamma + 0.002 * j, pull[:, j], MARKERS[k], color=f"C{k}", mfc=fill)
    draw_pulls(axes, np.stack([ds.m_pull_theory, ds.m_pull_finite]))
    axes.annotate("filled: against dashed lines", (0.97, 0.95), xycoords="axes fraction", ha="right", va="top")
    axes.set(xlabel=r"load $\gamma = K P!/(2 N^{P-1})$", ylabel=r"$(m_N - m)/$error")
