r"""Loss of what a dense network reconstructs: against the number of examples, and against the magnetisation."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr

from ..theory.loss import loss
from ._dense_runs import MARKERS, Cell, compared, expected
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PROTOCOLS = ("supervised", "unsupervised")
LINES = {"supervised": "-", "unsupervised": "--"}


def data(
    *,
    gamma: float,
    T: float,
    r: float,
    M: list[int],
    most: int,
    networks: list[tuple[int, int, int]],
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """1 - <m^P> of networks (P, N, samples) beside theory, L = 1 - m^P, for M odd; H/N = -(1/2) sum_mu (1 - L_mu).

    L = 1 - (1 - Q)^(P/2), where Q = 1 - m^2 is the quadratic loss: near m = 1 it is P/2 times Q.
    """
    cells = [Cell(P, N, gamma, samples, r, k) for P, N, samples in networks for k in M]
    runs = [compared(cells, [T], protocol, sweeps=sweeps, seed=1).isel(T=0) for protocol in PROTOCOLS]
    ds = xr.concat(runs, "protocol", data_vars="all", combine_attrs="drop_conflicts")
    numbers = np.arange(1, most + 1, 2)
    P = [network[0] for network in networks]
    ds = ds.assign_coords(network=P, M_line=numbers, m_line=np.linspace(0, 1, n_line))
    every = [[Cell(p, 1, gamma, 0, r, int(k)) for k in numbers] for p in P]
    m = np.array([[expected(of_P, [T], protocol)["m"][:, 0] for of_P in every] for protocol in PROTOCOLS])
    L = np.array([[loss(m[i, j], P=p) for j, p in enumerate(P)] for i in range(len(PROTOCOLS))])
    ds["loss"] = ("protocol", "network", "M_line"), np.where(L < 1, L, np.nan)
    ds["loss_of_m"] = ("network", "m_line"), np.array([loss(ds.m_line, P=p) for p in P])
    return ds.assign_attrs(gamma=gamma, r=r)


def draw(ds: xr.Dataset) -> "Figure":
    """The loss against M, and against m."""
    import matplotlib.pyplot as plt

    figure, (by_M, by_m) = plt.subplots(2, 1, figsize=(3.375, 4.4))
    for k, P in enumerate(ds.network.values):
        by_m.plot(ds.m_line, ds.loss_of_m[k], color=f"C{k}")
        for i, protocol in enumerate(PROTOCOLS):
            at = ds.isel(protocol=i, cell=ds.P.isel(protocol=i).values == P)
            told = {"fmt": MARKERS[k], "color": f"C{k}", "mfc": f"C{k}" if i == 0 else "w"}
            by_M.plot(ds.M_line, ds.loss[i, k], LINES[protocol], color=f"C{k}")
            by_M.errorbar(at.M * (1 + 0.03 * (2 * i - 1)), 1 - at.power, at.power_error, **told)
            by_m.errorbar(at.m, 1 - at.power, at.power_error, at.m_error, **told)
    _label(by_M, by_m, ds)
    return figure


def _label(by_M: "Axes", by_m: "Axes", ds: xr.Dataset) -> None:
    by_M.set(xscale="log", yscale="log", xlabel="examples per pattern $M$", ylabel=r"loss $1 - m^P$")
    for k, P in enumerate(ds.network.values):
        N = int(ds.N.isel(protocol=0).values[ds.P.isel(protocol=0).values == P][0])
        by_m.plot([], [], MARKERS[k] + "-", color=f"C{k}", label=f"$P={P}$, $N={N}$")
    for i, protocol in enumerate(PROTOCOLS):
        by_M.plot([], [], "o" + LINES[protocol], color="0.3", mfc="0.3" if i == 0 else "w", label=protocol)
    told = rf"$r={ds.attrs['r']:g}$, $\gamma={ds.attrs['gamma']:g}$, $T'={float(ds['T']):g}$"
    by_M.legend(title=told, title_fontsize=7, loc="lower left", alignment="left")
    by_m.legend(loc="lower left")
    by_m.set(xlabel="magnetisation $m$", ylabel=r"loss $1 - m^P$", xlim=(0, 1.02), ylim=(0, 1.05))


recipe = Recipe(
    name="dense_loss",
    data=data,
    draw=draw,
    full={
        "gamma": 0.05,
        "T": 0.2,
        "r": 0.8,
        "M": [1, 3, 5, 7, 9],
        "most": 11,
        "networks": [(2, 1000, 32), (4, 140, 32), (6, 40, 32)],
        "sweeps": 40,
        "n_line": 60,
    },
    draft={
        "gamma": 0.01,
        "T": 0.2,
        "r": 0.6,
        "M": [3, 9],
        "most": 9,
        "networks": [(2, 60, 3), (4, 30, 3), (6, 20, 3)],
        "sweeps": 10,
        "n_line": 9,
    },
)
