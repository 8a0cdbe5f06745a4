r"""Dense networks are Ising spins with Gaussian couplings, and only at P = 2 a soft glass besides."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import factorial, gammaln, logsumexp

from ..theory.dense import DenseHebbian
from ..theory.hopfield import Hopfield
from ._rsb import FULL, ONE, RS, counted, spaced, states, tell_errors
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
MARKERS = "os^vD"
_SERIES = 0.05  # below this |X| the exponential less its first terms is summed


def data(
    *, alpha: float, gamma: float, P_dense: list[int], T: list[float], P: list[int], N: list[int], hot: float
) -> xr.Dataset:
    """f and its soft part of the one-step glass by T = (first, last, how many), and r_N at T = ``hot`` by P and N.

    r_N = -T (K/N)[ln E e^X - E X^2/2]: what a pattern adds to Gaussian couplings above all transitions, X its energy by
    -T, K its number at unit load. At P = 2 it tends to (T/2)[ln(1 - b) + b + b^2/2], b = 1/T; else to zero.
    """
    over = {"T": spaced(T)}
    given: list[tuple[Any, dict[str, Any]]] = [(Hopfield, {"alpha": alpha})]
    given += [(DenseHebbian, {"P": p, "gamma": gamma}) for p in P_dense]
    found = [states(M, over=over, const=c, starts=["spin_glass"], k=1).isel(start=0, drop=True) for M, c in given]
    kept = [ds[["free_energy", "soft_free_energy"]].drop_attrs() for ds in found]
    ds = xr.concat(kept, dim="P_theory").assign_coords(P_theory=[2, *P_dense])
    b = 1 / hot
    ds["remainder"] = ("P", "N"), np.array([[remainder(p, n, b) for n in N] for p in P])
    ds["remainder_limit"] = ("P", [0.5 * hot * (np.log1p(-b) + b + 0.5 * b * b) if p == 2 else 0.0 for p in P])
    ds = ds.assign_coords(P=P, N=N)
    return ds.assign_attrs(alpha=alpha, gamma=gamma, hot=hot, **counted(*found))


def remainder(P: int, N: int, b: float) -> float:
    r"""r_N at unit load, exact: M of a binomial law, X = b P!/(2 N^(P-1)) e_P(M), K = 2 N^(P-1)/P!."""
    up = np.arange(N + 1.0)
    log_w = gammaln(N + 1) - gammaln(up + 1) - gammaln(N - up + 1) - N * np.log(2)
    scale = float(factorial(P)) / (2 * float(N) ** (P - 1))
    X = b * scale * symmetric(P, N, 2 * up - N)
    half = 0.5 * float(np.exp(log_w) @ X**2)
    u = half + _beyond_square(X, log_w)
    return float(-(np.log1p(u) - half) / (b * scale * N))


def symmetric(P: int, N: int, M: Floats) -> Floats:
    """e_P of N signs of sum M, (k + 1) e_{k+1} = M e_k - (N - k + 1) e_{k-1}."""
    before, e = np.zeros_like(M), np.ones_like(M)
    for k in range(P):
        before, e = e, (M * e - (N - k + 1) * before) / (k + 1)
    return e


def _beyond_square(X: Floats, log_w: Floats) -> float:
    """E[e^X - 1 - X - X^2/2], with no loss of digits where X is small nor overflow where it is large."""
    small = abs(X) < _SERIES
    x = X[small]
    series = x**3 * np.polynomial.polynomial.polyval(x, 1 / factorial(np.arange(3, 12)))
    low = float(np.exp(log_w[small]) @ series)
    if small.all():
        return low
    x, log_w = X[~small], log_w[~small]
    return low + float(np.exp(logsumexp(x + log_w))) - float(np.exp(log_w) @ (1 + x + 0.5 * x * x))


def draw(ds: xr.Dataset) -> "Figure":
    """The parts of f against T, and r_N against N."""
    import matplotlib.pyplot as plt

    figure, (upper, lower) = plt.subplots(2, 1, figsize=(3.375, 5.0), height_ratios=[1, 1.2])
    _draw_parts(upper, ds)
    _draw_remainder(lower, ds)
    for axes, y, letter in ((upper, 0.9, "a"), (lower, 0.8, "b")):
        axes.text(0.985, y, f"({letter})", transform=axes.transAxes, ha="right", va="top")
    return figure


def _draw_parts(axes: "Axes", ds: xr.Dataset) -> None:
    at = ds.sel(P_theory=2)
    soft = at.soft_free_energy
    axes.plot(ds["T"], at.free_energy, color="k", label=rf"$f$, $P=2$, $\alpha={ds.attrs['alpha']:g}$")
    axes.plot(ds["T"], at.free_energy - soft, "--", color=ONE, label=r"$f_\mathrm{hard}$, $P=2$")
    axes.plot(ds["T"], soft, "-.", color=RS, label=r"$f_\mathrm{soft}$, $P=2$")
    zero = r"$f_\mathrm{{soft}}$, $P={}$"
    for P, marker in zip(ds.P_theory.values[1:], MARKERS[1:], strict=False):
        few = ds.sel(P_theory=P).isel(T=slice(int(P) - 3, None, 6))
        axes.plot(few["T"], few.soft_free_energy, marker, color=FULL, mfc="none", label=zero.format(P))
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.58), ncols=2)
    axes.set(xlabel=r"temperature $T$", ylabel="free energy, one step", xlim=(0, None))
    tell_errors(axes, ds, 0.02, 0.05, ha="left")


def _draw_remainder(axes: "Axes", ds: xr.Dataset) -> None:
    for i, P in enumerate(ds.P.values):
        at = ds.sel(P=P)
        axes.plot(ds.N, abs(at.remainder), MARKERS[i], color=f"C{i}", mfc="none", label=rf"$P={P}$")
        if P == 2:
            axes.axhline(abs(float(at.remainder_limit)), color=f"C{i}", lw=0.8)
            continue
        power = 1 - P / 2 if P % 2 == 0 else 2 - P
        told = f"{power:g}"
        axes.plot(ds.N, abs(at.remainder[-1]) * (ds.N / ds.N[-1]) ** power, ":", color=f"C{i}", lw=0.9)
        axes.text(float(ds.N[-1]) * 1.25, float(abs(at.remainder[-1])), rf"$N^{{{told}}}$", color=f"C{i}", va="center")
    axes.text(0.02, 0.02, "line: limit at $P=2$; sums exact", transform=axes.transAxes, fontsize=6, color="0.35")
    axes.legend(loc="lower left", bbox_to_anchor=(0, 0.05), ncols=2)
    hot = ds.attrs["hot"]
    axes.set(xlabel="sites $N$", ylabel=rf"$|r_N|$ per load, $T={hot:g}$", xscale="log", yscale="log")
    axes.set_xlim(right=4 * float(ds.N[-1]))


recipe = Recipe(
    name="rsb_decomposition",
    data=data,
    draw=draw,
    full={
        "alpha": 0.5,
        "gamma": 0.5,
        "P_dense": [3, 4],
        "T": [0.0, 2.0, 81],
        "P": [2, 3, 4, 5, 6],
        "N": [12, 20, 32, 50, 80, 128, 200, 320, 500, 800, 1280, 2000, 3200, 5000],
        "hot": 2.0,
    },
    draft={
        "alpha": 0.5,
        "gamma": 0.5,
        "P_dense": [3, 4],
        "T": [0.0, 2.0, 17],
        "P": [2, 3, 4, 6],
        "N": [20, 50, 128, 320, 800],
        "hot": 2.0,
    },
)
