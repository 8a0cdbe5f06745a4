r"""How overlaps of diluted patterns relax and fluctuate: C_k(t) against exp(-A t), N Cov(m) against T (A^-1 - 1)."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.linalg import expm

from ..mc.energy import OverlapEnergy
from ..mc.fluctuations import autocorrelation, covariance
from ..mc.patterns import patterns
from ..mc.run import simulate
from ..mc.samplers import HeatBath
from ..theory.diluted import weights
from ._multitasking import around, hessian, row_shares, settled
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

STATES = ("pure", "hierarchical")
_STARTS = {"pure": "pattern", "hierarchical": "hierarchical"}


def data(
    *, d: float, T: dict[str, float], N: int, samples: int, chains: int, sweeps: int, burn_in: int, lags: int
) -> xr.Dataset:
    """Two states of two patterns: C_k(t) and N Cov with errors over samples, both theories, and pulls to that of N."""
    t = np.linspace(0, lags, 10 * lags + 1)
    found = [_state(d, T[name], name, N, samples, chains, sweeps, burn_in, lags, t) for name in STATES]
    ds = xr.concat(found, xr.DataArray(list(STATES), dims="state", coords={"state": list(STATES)}))
    return ds.assign(t=("line", t)).assign_attrs(N=N, d=d, samples=samples)


def _state(
    d: float,
    T: float,
    name: str,
    N: int,
    samples: int,
    chains: int,
    sweeps: int,
    burn_in: int,
    lags: int,
    t: "np.ndarray[tuple[int], np.dtype[np.float64]]",
) -> xr.Dataset:
    xi = patterns(N=N, K=2, d=d, samples=samples, seed=1, pattern_sampling="stratified")
    given: dict[str, Any] = {"chains": chains, "sweeps": sweeps, "burn_in": burn_in, "start": _STARTS[name], "seed": 3}
    run = simulate(OverlapEnergy.multitasking(xi), sampler=HeatBath(order="random"), T=T, **given)
    C, time = covariance(run).isel(T=0, drop=True), autocorrelation(run, lags=lags).isel(T=0, drop=True)
    w, rounded = weights(2, np.array(d)), row_shares(N, 2, d)
    begin = np.array([1 - d, 0.0 if name == "pure" else d * (1 - d)])
    A = hessian(settled(begin[None], w, T)[0], w, T)
    x, p = around(settled(begin[None], rounded, T)[0], rounded, T, N)
    limit = T * (np.linalg.inv(A) - np.eye(2))
    exact = N * (x - p @ x).T @ (p[:, None] * (x - p @ x)) - T * np.eye(2)
    lines = [_relaxed(cov, T, t) for cov in (limit, exact)]
    at = _relaxed(exact, T, np.arange(lags + 1.0))
    pull = (time["value"].transpose("mu", "lag") - at) / time.error.transpose("mu", "lag").where(time.lag > 0)
    ds = xr.Dataset({"C": time["value"], "C_error": time.error, "pull": pull, "cov": C["value"], "cov_error": C.error})
    ds["C_line"], ds["C_line_N"] = (("mu", "line"), lines[0]), (("mu", "line"), lines[1])
    ds["cov_limit"], ds["cov_N"] = (("mu", "nu"), limit), (("mu", "nu"), exact)
    return ds.assign(eigenvalues=("mu", np.linalg.eigvalsh(A)), T=T)


def _relaxed(
    C: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", T: float, t: "np.ndarray[tuple[int], np.dtype[np.float64]]"
) -> "np.ndarray[tuple[int, int], np.dtype[np.float64]]":
    """The diagonal of exp(-A t) C over that of C, (mu, t), with A = (1 + C/T)^-1."""
    A = np.linalg.inv(np.eye(2) + C / T)
    return np.array([np.diag(expm(-A * s) @ C) / np.diag(C) for s in t]).T


def draw(ds: xr.Dataset) -> "Figure":
    """Relaxation in both states, all pulls, and the covariances beside their limits."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, axes = plt.subplots(2, 3, figsize=(7.0, 3.6), height_ratios=[2, 1])
    for j, name in enumerate(STATES):
        at = ds.sel(state=name)
        _draw_relaxation(axes[0, j], at, f"({'ab'[j]}) {name}, $T={float(at['T']):g}$")
        _draw_pulls(axes[1, j], at)
    axes[0, 0].set_ylabel(r"$C_k(t)$")
    axes[1, 0].set_ylabel(r"pull to $N$ sites")
    _draw_covariance(axes[:, 2], ds)
    for panel, letter in zip(axes[1], "abc", strict=True):
        panel.text(0.03, 0.95, f"({letter}')", transform=panel.transAxes, va="top")
    lines = [
        ("-", "0.4", r"$N\to\infty$: $e^{-\lambda t}$ and $T(A^{-1}-1)$"),
        (":", "k", _EXACT.format(ds.attrs["N"])),
    ]
    handles = [Line2D([], [], ls=style, color=color, label=label) for style, color, label in lines]
    figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _draw_relaxation(axes: "Axes", at: xr.Dataset, title: str) -> None:
    for k, marker in enumerate("os"):
        here = at.isel(mu=k)
        axes.plot(at.t, here.C_line, "-", color=f"C{k}", lw=1)
        axes.plot(at.t, here.C_line_N, ":", color="k", lw=1)
        seen = here.where(here.C_error < here.C)
        axes.errorbar(at.lag, seen.C, seen.C_error, fmt=marker, color=f"C{k}", mfc="w", ms=3, label=rf"$m_{k + 1}$")
    values = ", ".join(f"{x:.3f}" for x in at.eigenvalues.values)
    axes.set_title(title + rf", $\lambda={values}$")
    axes.legend(loc="upper right", ncols=2)
    axes.set(yscale="log", ylim=(6e-4, 3), xticks=range(0, at.sizes["lag"], 3), xlim=(-0.5, at.sizes["lag"] - 0.5))
    axes.tick_params(labelbottom=False)


def _draw_pulls(axes: "Axes", at: xr.Dataset) -> None:
    axes.axhspan(-1, 1, color="0.92", lw=0)
    for y in (-3, 0, 3):
        axes.axhline(y, color="0.4", lw=0.6, ls="-" if y == 0 else ":")
    for k, marker in enumerate("os"):
        axes.plot(at.lag, at.pull.isel(mu=k), marker, color=f"C{k}", mfc="w", ms=3)
    high = max(4.4, 1.15 * float(abs(at.pull).max()))
    axes.set(
        xlabel="time $t$ [sweeps]",
        xlim=(-0.5, at.sizes["lag"] - 0.5),
        ylim=(-high, high),
        yticks=[-3, 0, 3],
        xticks=range(0, at.sizes["lag"], 3),
    )


def _draw_covariance(axes: "np.ndarray[tuple[int], np.dtype[np.object_]]", ds: xr.Dataset) -> None:
    """N Cov over its limit, and its pulls to N sites."""
    entries = [(s, i, j) for s in STATES for i, j in ((0, 0), (1, 1), (0, 1)) if s != "pure" or i == j]
    names = [rf"{i + 1},{j + 1}" for _, i, j in entries]
    for x, (state, i, j) in enumerate(entries):
        here = ds.sel(state=state).isel(mu=i, nu=j)
        unit, color = float(here.cov_limit), ("C2", "C3")[STATES.index(state)]
        label = state if i == j == 0 else None
        axes[0].errorbar(x, here.cov / unit, here.cov_error / abs(unit), fmt="o", color=color, mfc="w", label=label)
        axes[0].plot([x - 0.3, x + 0.3], [here.cov_N / unit] * 2, ":", color="k")
        axes[1].plot(x, (here.cov - here.cov_N) / here.cov_error, "o", color=color, mfc="w")
    axes[0].axhline(1, color="0.4", lw=0.8)
    axes[0].legend(loc="upper left")
    axes[0].set_title(f"(c) fluctuations, $d={ds.attrs['d']:g}$")
    axes[0].set_ylabel(r"$N\,$Cov$_{kl}\,/\,T(A^{-1} - 1)_{kl}$")
    axes[1].axhspan(-1, 1, color="0.92", lw=0)
    for panel in axes:
        panel.set(xlim=(-0.6, len(entries) - 0.4), xticks=range(len(entries)), xticklabels=names)
    axes[1].set(xlabel="$k,l$", ylim=(-4.4, 4.4), yticks=[-3, 0, 3])


_EXACT = r"$N={}$: $e^{{-A_Nt}}$, with $T(A_N^{{-1}}-1)=N\,$Cov$(m)$ exactly"
recipe = Recipe(
    name="multitasking_autocorrelation",
    data=data,
    draw=draw,
    full={
        "d": 0.3,
        "T": {"pure": 0.3, "hierarchical": 0.15},
        "N": 8000,
        "samples": 32,
        "chains": 32,
        "sweeps": 1200,
        "burn_in": 100,
        "lags": 12,
    },
    draft={
        "d": 0.3,
        "T": {"pure": 0.3, "hierarchical": 0.15},
        "N": 200,
        "samples": 4,
        "chains": 4,
        "sweeps": 60,
        "burn_in": 10,
        "lags": 4,
    },
)
