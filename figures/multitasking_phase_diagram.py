r"""The (d, T) phase diagram of the multitasking network of K diluted patterns: theory, its lines, and Monte Carlo."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..mc.energy import OverlapEnergy
from ..mc.patterns import patterns
from ..theory.ground_states import d_gs
from ..theory.hierarchy import T_k
from ..theory.symmetric_mixture import symmetric_window
from ._multitasking_phases import PHASES, Floats, cooled, diagram, draw_states, key_of_states, name, point_at, shade
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ONSETS = (2, 3, 4, 5)
LINES: dict[str, dict[str, Any]] = {
    "T_c": {"color": "k", "label": r"$T_c=1-d$"},
    "T_2": {"color": "#0072B2", "label": r"$T_2$: onset of the 2nd pattern"},
    "T_k": {"color": "#0072B2", "ls": (0, (4, 1.5)), "lw": 0.8, "label": "$T_3, T_4, T_5$: of later ones"},
    "T_s": {"color": "#B0528A", "ls": "-.", "label": "symmetric mixture: edges of stability"},
    "d_gs": {"color": "k", "ls": "", "marker": "v", "ms": 4, "label": "$d_{gs}$: first order at $T=0$"},
}
LETTERS = "abc"


def data(
    *,
    K: list[int],
    n_d: int,
    n_T: int,
    n_line: int,
    N: int,
    samples: int,
    sweeps: int,
    d_mc: list[float],
    T_mc: list[float],
) -> xr.Dataset:
    """Phases on a grid for every K, the lines of theory, and the states simulations are cooled into."""
    d, T = np.linspace(0, 0.995, n_d), np.linspace(0, 1.1, n_T)
    grid = xr.concat([diagram(d, T, K=k) for k in K], "K").assign_coords(K=K).drop_dims("start")
    lines = _lines(grid.region, np.linspace(0, 0.99, n_line))

    def found(k: int) -> xr.Dataset:
        def energy(d: float) -> OverlapEnergy:
            xi = patterns(N=N, K=k, d=d, samples=samples, seed=k, pattern_sampling="stratified")
            return OverlapEnergy.multitasking(xi)

        return cooled(energy, d_mc, T_mc, sweeps, K=k)

    states = xr.concat([found(k) for k in K], "K").assign_coords(K=K)
    lost = int(grid.unconverged.sum())
    return xr.merge([grid, lines, states]).assign_attrs(N=N, samples=samples, sweeps=sweeps, n_unconverged=lost)


def _lines(region: xr.DataArray, d: Floats) -> xr.Dataset:
    """T_k(d), k <= K, where mixtures have not taken over; edges of the symmetric mixture; d_gs at T = 0."""
    K = [int(k) for k in region.K]
    windows = [symmetric_window(d=d, K=k) for k in K]
    onsets = xr.DataArray([T_k(k=k, d=d) for k in ONSETS], dims=("k", "d_line"))
    there = region.sel(d=xr.DataArray(d, dims="d_line"), T=onsets.fillna(0.0), method="nearest")
    ladder = there <= PHASES.index("hierarchical")
    return xr.Dataset(
        {
            "T_k": onsets.where(ladder).drop_vars(("d", "T")),
            "T_low": (("K", "d_line"), [w.T_low for w in windows]),
            "T_high": (("K", "d_line"), [w.T_high for w in windows]),
            "d_gs": ("K", [d_gs(K=k) if k > 2 else np.nan for k in K]),
        },
        coords={"k": list(ONSETS), "d_line": d, "K": K},
    )


def draw(ds: xr.Dataset) -> "Figure":
    """One panel for each K: phases shaded, lines of theory, simulated states as symbols."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    figure, panels = plt.subplots(1, ds.sizes["K"], figsize=(7, 3.15), sharey=True, squeeze=False)
    for axes, k, letter in zip(panels[0], ds.K.values, LETTERS, strict=False):
        _draw_panel(axes, ds.sel(K=k), f"({letter}) $K={k}$")
    panels[0, 0].set_ylabel(r"temperature $T$ $[J/k_B]$")
    handles = [Line2D([], [], **style) for style in LINES.values()]
    key_of_states(figure, ds, handles, ncols=5)
    return figure


def _draw_panel(axes: "Axes", ds: xr.Dataset, title: str) -> None:
    shade(axes, ds)
    axes.plot(ds.d_line, 1 - ds.d_line, **LINES["T_c"])
    for k in ds.k.values[ds.k.values <= int(ds.K)]:
        axes.plot(ds.d_line, ds.T_k.sel(k=k), **LINES["T_2" if k == 2 else "T_k"])
    for edge in ("T_low", "T_high"):
        axes.plot(ds.d_line, ds[edge].where(ds[edge] < (1 - ds.d_line) * (1 - 1e-9)), **LINES["T_s"])
    axes.plot(2 / 3, 1 / 3, "*", color="k", mec="w", mew=0.4, ms=8, zorder=6)
    if np.isfinite(ds.d_gs):
        axes.plot(ds.d_gs, 0, **LINES["d_gs"], zorder=6, clip_on=False)
    draw_states(axes, ds)
    axes.set(xlim=(0, 1), ylim=(0, 1.1), title=title, xlabel="dilution $d$")
    _label(axes, ds)


def _label(axes: "Axes", ds: xr.Dataset) -> None:
    name(axes, (("paramagnet", 0.74, 0.72), ("pure", 0.25, 0.45), ("hierarchical", 0.27, 0.115)))
    pointed = [("parallel", (0.73, 0.2), (0.86, 0.38)), ("multicritical", (2 / 3, 1 / 3), (0.8, 0.52))]
    if int(ds.K) > 2:
        pointed.append(("mixture", (0.67, 0.07), (0.9, 0.27)))
    for text, at, beside in pointed:
        point_at(axes, text, at, beside)


recipe = Recipe(
    name="multitasking_phase_diagram",
    data=data,
    draw=draw,
    full={
        "K": [2, 3, 5],
        "n_d": 200,
        "n_T": 200,
        "n_line": 199,
        "N": 8000,
        "samples": 4,
        "sweeps": 1000,
        "d_mc": [0.12, 0.3, 0.45, 0.62, 0.82],
        "T_mc": [0.08, 0.27, 0.55, 0.8, 1.2],
    },
    draft={
        "K": [3],
        "n_d": 12,
        "n_T": 10,
        "n_line": 12,
        "N": 100,
        "samples": 2,
        "sweeps": 40,
        "d_mc": [0.3, 0.8],
        "T_mc": [0.3, 1.2],
    },
)
