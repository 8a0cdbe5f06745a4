"""How ultra-storage and ultra-detection are drawn; ``_dense_regimes`` computes them."""

from typing import TYPE_CHECKING, Any

import xarray as xr

from ._dense_regimes import RHO, START, THETA, P, T, exponent

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D")
EXACT = rf"lines: RS, exact law, $T'={T:g}$"
RS: dict[str, Any] = {"color": "k", "label": rf"RS, Gaussian $\bar\eta$, $T'={T:g}$"}
ONE_STEP: dict[str, Any] = {"color": "0.45", "ls": "--", "label": "one step, $T'=0$"}
FIXED: dict[str, Any] = {"color": "#CC79A7", "ls": "-.", "label": rf"one step, $\rho={RHO:g}$"}


def draw(ds: xr.Dataset) -> "Figure":
    """Above K = gamma N^3/12: m against M, the M needed against r. Below K = M = N: m against r, the least r."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(7, 5.2))
    _stored(axes[0, 0], ds)
    _needed(axes[0, 1], ds)
    _detected(axes[1, 0], ds)
    _least(axes[1, 1], ds)
    return figure


def _frame(axes: "Axes", **labels: Any) -> None:
    """The overlap of the start and the one asked for."""
    axes.axhline(START, color="0.6", lw=0.7, ls=":")
    axes.axhline(THETA, color="0.6", lw=0.7, ls="--")
    axes.set(xscale="log", ylim=(0, 1.04), ylabel="overlap reached $m$", **labels)


def _plain(axis: "Axis") -> None:
    """Ticks of a logarithmic axis at 1, 2, 5, written out."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())


def _stored(axes: "Axes", ds: xr.Dataset) -> None:
    for k, r in enumerate(ds.r_storage.values):
        at = ds.sel(r_storage=r)
        axes.plot(at.M_line, at.m_of_M.where(at.unconverged_storage == 0), color=f"C{k}")
        style: dict[str, Any] = {"fmt": MARKERS[k], "color": f"C{k}", "mfc": "w", "label": f"$r={r:g}$"}
        axes.errorbar(at.M_storage, at.m_storage, at.m_storage_error, **style)
    size = ds.attrs["N_storage"]
    _frame(axes, xlabel="examples per pattern $M$", xlim=(0.9, 4 * ds.M_line.max()))
    axes.set(title=rf"ultra-storage: $K=\gamma N^3/12$, $\gamma={ds.attrs['gamma']:g}$, $N={size}$; {EXACT}")
    axes.legend(loc="lower right")


def _needed(axes: "Axes", ds: xr.Dataset) -> None:
    for name, style in (("M_RS", RS), ("M_one_step", ONE_STEP)):
        axes.plot(ds.r_line, ds[name], **style)
    steep = 2 if ds.attrs["protocol"] == "supervised" else 2 * P
    weak = ds.r_line.values[: len(ds.r_line) // 3]
    guide = 0.3 * float(ds.M_one_step[0]) * (weak / weak[0]) ** -steep
    axes.plot(weak, guide, color="0.6", lw=0.7)
    axes.text(weak[-1], guide[-1], rf"$r^{{-{steep}}}$ ", ha="right", va="top", fontsize=7)
    for k, r in enumerate(ds.r_storage.values):
        at = ds.sel(r_storage=r)
        axes.errorbar(r, at.M_needed, at.M_needed_error, fmt=MARKERS[k], color=f"C{k}", mfc="w")
    axes.set(xscale="log", yscale="log", ylim=(1, None), xlabel="quality of an example $r$")
    axes.set(ylabel=rf"examples needed for $m={THETA:g}$", title="points: simulated, interpolated")
    _plain(axes.xaxis)
    axes.legend(loc="upper right")


def _detected(axes: "Axes", ds: xr.Dataset) -> None:
    for k, size in enumerate(ds.N_detection.values):
        at = ds.sel(N_detection=size)
        axes.plot(at.r_curve, at.m_curve.where(at.unconverged_detection == 0), color=f"C{k}")
        style: dict[str, Any] = {"fmt": MARKERS[k], "color": f"C{k}", "mfc": "w", "label": f"$N={size}$"}
        axes.errorbar(at.r_detection, at.m_detection, at.m_detection_error, **style)
    _frame(axes, xlabel="quality of an example $r$", title=f"ultra-detection: $K=M=N$; {EXACT}")
    _plain(axes.xaxis)
    axes.legend(loc="lower right")


def _least(axes: "Axes", ds: xr.Dataset) -> None:
    for name, style in (("r_RS", RS), ("r_one_step", ONE_STEP), ("r_rho", FIXED)):
        if (ds[name] > 0).any():
            axes.plot(ds.N_line, ds[name], **style)
    far = ds.N_line.values[len(ds.N_line) // 2 :]
    power = exponent(ds.attrs["protocol"])
    axes.plot(far, 0.7 * float(ds.r_one_step[len(ds.N_line) // 2]) * (far / far[0]) ** -power, color="0.6", lw=0.7)
    told = "$N^{-1/2}$" if power == 0.5 else rf"$N^{{-{P - 1}/{2 * P}}}$"
    axes.text(far[0], 0.65 * float(ds.r_one_step[len(ds.N_line) // 2]), told, ha="right", va="top", fontsize=7)
    for k, size in enumerate(ds.N_detection.values):
        at = ds.sel(N_detection=size)
        axes.errorbar(size, at.r_least, at.r_least_error, fmt=MARKERS[k], color=f"C{k}", mfc="w")
    axes.set(xscale="log", yscale="log", xlabel="sites $N$", ylabel=rf"least quality for $m={THETA:g}$")
    axes.set(title="points: simulated, interpolated")
    _plain(axes.xaxis)
    _plain(axes.yaxis)
    axes.legend(loc="upper right")
