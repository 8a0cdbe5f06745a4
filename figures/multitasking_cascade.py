r"""The cascade of diluted patterns: overlaps m_k against T with the onsets T_k, Monte Carlo and all pulls."""

from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..theory.hierarchy import T_k
from ._multitasking import compare, states
from ._multitasking_drawn import columns, labelled
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def data(
    *, K: int, dilutions: list[float], T_min: float, runs: list[dict[str, int]], n_T: int, n_line: int
) -> xr.Dataset:
    """Panels by d: the state of lowest f from T_min to above T_c = 1 - d, and simulations (size, at) at n_T points.

    A pull counts, ``counts``, where ``N softest^2 > 5`` and ``barrier > 17`` (see ``compare``).
    """
    panels = []
    for seed, d in enumerate(tqdm(dilutions, unit="d", delay=2, disable=None)):
        T, line = (np.geomspace(T_min, 1.15 * (1 - d), n) for n in (n_T, n_line))
        each = [compare(K=K, d=d, T=T, seed=seed, **run).rename(T="at").assign_coords(at=range(n_T)) for run in runs]
        ds = xr.concat(each, labelled("size", [run["N"] for run in runs])).assign(x=("at", T))
        m = np.array([found[0] if len(found := states(K, d, t)) else np.zeros(K) for t in line])
        onsets = [float(T_k(k=k, d=d)) for k in range(1, K + 1)]
        panels.append(ds.assign(m_line=(("line", "mu"), m), x_line=("line", line), T_k=("mu", onsets)))
    return xr.concat(panels, labelled("panel", dilutions)).assign_attrs(K=K)


def draw(ds: xr.Dataset) -> "Figure":
    """A column for every d: overlaps above pulls, against T on a logarithmic axis."""
    figure = columns(ds, _decorate, lambda at: rf"$K={at.attrs['K']}$, $d={float(at.panel):g}$")
    plate = {"frameon": True, "edgecolor": "none", "framealpha": 1, "borderpad": 0.2}
    figure.axes[0].legend(loc="center left", bbox_to_anchor=(0.02, 0.56), **plate)
    for axes in figure.axes[ds.sizes["panel"] :]:
        axes.set_xlabel(r"temperature $T$ $[J/k_B]$")
    return figure


def _decorate(axes: "Axes", at: xr.Dataset) -> None:
    """The onsets of the patterns, and the phases below and between them."""
    low, high = float(at.x_line[0]), float(at.x_line[-1])
    axes.set(xscale="log", xlim=(0.9 * low, 1.05 * high), ylim=(-0.04, 0.99))
    for k, T in enumerate(at.T_k.values):
        if low < T:
            axes.axvline(T, color=f"C{k}", lw=0.7, ls="--", zorder=0)
            axes.text(T, 0.985, rf"$T_{k + 1}$", color=f"C{k}", ha="center", va="top", fontsize=7, bbox=_PLATE)
    T = at.T_k.values
    for word, x in (("hierarchical", (low * T[1]) ** 0.5), ("pure", (T[0] * T[1]) ** 0.5)):
        axes.text(x, 0.88, word, ha="center", va="top", fontsize=7, color="0.25", bbox=_PLATE)


_PLATE = {"fc": "w", "ec": "none", "pad": 0.6}
recipe = Recipe(
    name="multitasking_cascade",
    data=data,
    draw=draw,
    full={
        "K": 5,
        "dilutions": [0.2, 0.4, 0.5],
        "T_min": 0.004,
        "runs": [
            {"N": 2000, "chains": 128, "sweeps": 1500, "burn_in": 300},
            {"N": 20000, "chains": 64, "sweeps": 800, "burn_in": 300},
        ],
        "n_T": 15,
        "n_line": 200,
    },
    draft={
        "K": 3,
        "dilutions": [0.2, 0.5],
        "T_min": 0.02,
        "runs": [{"N": 300, "chains": 4, "sweeps": 50, "burn_in": 10}],
        "n_T": 3,
        "n_line": 9,
    },
)
