r"""The (d, T) phase diagram of the multitasking network that learns from noisy examples: theory and Monte Carlo."""

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from scipy.optimize import brentq

from ..mc.energy import OverlapEnergy
from ..mc.patterns import examples, patterns
from ..theory.parallel_learning import rho_sym
from ..theory.regimes import d_star
from ._multitasking_phases import PHASES, cooled, diagram, draw_states, key_of_states, name, point_at, shade
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

R = 0.2
LINES: dict[str, dict[str, Any]] = {
    "T_c": {"color": "k", "label": "$T_c=1-d$"},
    "pure": {"color": "#0072B2", "label": "pure state: edge of stability"},
    "symmetric": {"color": "#B0528A", "ls": "-.", "label": "symmetric mixture: edge of stability"},
    "d_star": {
        "color": "k",
        "ls": "",
        "marker": "*",
        "mec": "w",
        "mew": 0.4,
        "ms": 8,
        "label": r"$d^*(\rho)$ at $T_c$",
    },
    "d_sym": {"color": "k", "ls": "", "marker": "v", "ms": 4, "label": r"$\rho_{\rm sym}(d)=\rho$ at $T=0$"},
}


def data(
    *,
    rho: list[float],
    K: list[int],
    n_d: int,
    n_T: int,
    N: int,
    samples: int,
    sweeps: int,
    d_mc: list[float],
    T_mc: list[float],
) -> xr.Dataset:
    """Phases on a grid by rho and K, and the states into which networks of (1 - r^2)/(rho r^2) examples are cooled."""
    d, T = np.linspace(0, 0.99, n_d), np.linspace(0, 1.1, n_T)

    def found(noise: float, k: int) -> xr.Dataset:
        const = {"rho": noise, "K": k, "protocol": "supervised"}
        M = round((1 / R**2 - 1) / noise)

        def energy(d: float) -> OverlapEnergy:
            xi = patterns(N=N, K=k, d=d, samples=samples, seed=k, pattern_sampling="stratified")
            return OverlapEnergy.supervised(examples(xi, r=R, M=M, seed=k), r=R)

        return xr.merge([diagram(d, T, **const), cooled(energy, d_mc, T_mc, sweeps, **const)])

    panels = [xr.concat([found(noise, k) for k in K], "K") for noise in rho]
    ds = xr.concat(panels, "rho").assign_coords(rho=rho, K=K)
    ds["d_star"] = "rho", d_star(rho=rho)
    ds["d_sym"] = "rho", [brentq(lambda x, at=noise: float(rho_sym(d=x)) - at, 1e-3, 0.999) for noise in rho]
    told = {"N": N, "samples": samples, "sweeps": sweeps, "r": R, "n_unconverged": int(ds.unconverged.sum())}
    return ds.assign_attrs(told)


def draw(ds: xr.Dataset) -> "Figure":
    """A row for each rho, a column for each K."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    shape = ds.sizes["rho"], ds.sizes["K"]
    size: Any = {"figsize": (7, 0.9 + 2.45 * shape[0]), "sharex": True, "sharey": True, "squeeze": False}
    figure, panels = plt.subplots(*shape, **size)
    for letter, (i, j) in zip("abcdef", product(*map(range, shape)), strict=False):
        at = ds.isel(rho=i, K=j)
        _draw_panel(panels[i, j], at, rf"({letter}) $\rho={float(at.rho):g}$, $K={int(at.K)}$")
    for axes in panels[:, 0]:
        axes.set_ylabel(r"temperature $T$ $[J/k_B]$")
    for axes in panels[-1]:
        axes.set_xlabel("dilution $d$")
    key_of_states(figure, ds, [Line2D([], [], **style) for style in LINES.values()], ncols=4)
    return figure


def _draw_panel(axes: "Axes", ds: xr.Dataset, title: str) -> None:
    shade(axes, ds)
    axes.plot(ds.d, 1 - ds.d, **LINES["T_c"])
    for start in ("pure", "symmetric"):
        edge, style = ds.stability.sel(start=start).transpose("T", "d"), LINES[start]
        axes.contour(ds.d, ds["T"], edge, [0.0], colors=style["color"], linestyles=style.get("ls", "-"), linewidths=1.2)
    axes.plot(ds.d_star, 1 - ds.d_star, **LINES["d_star"], zorder=6)
    if int(ds.K) == 2:
        axes.plot(ds.d_sym, 0, **LINES["d_sym"], zorder=6, clip_on=False)
    draw_states(axes, ds)
    axes.set(xlim=(0, 1), ylim=(0, 1.1), title=title)
    name(axes, (("paramagnet", 0.78, 0.7), ("pure", 0.17, 0.55), ("parallel", 0.7, 0.19)))
    point_at(axes, "hierarchical", (0.8 * float(ds.d_sym), 0.3 * float(ds.d_sym) + 0.08), (0.4, 0.92))
    cold = ds.region.sel(T=0.12, method="nearest") == PHASES.index("mixture")
    if cold.any():
        point_at(axes, "mixture", (float(ds.d.where(cold).mean()), 0.12), (0.62, 0.8))


recipe = Recipe(
    name="multitasking_noisy_phases",
    data=data,
    draw=draw,
    full={
        "rho": [0.15, 0.5],
        "K": [2, 3],
        "n_d": 140,
        "n_T": 140,
        "N": 80_000,  # sampling the data parts equal overlaps by 1/(softest eigenvalue sqrt N), 0.1 at 20 000
        "samples": 4,
        "sweeps": 400,
        "d_mc": [0.08, 0.18, 0.36, 0.6, 0.8],
        "T_mc": [0.1, 0.35, 0.6, 1.15],
    },
    draft={
        "rho": [0.15],
        "K": [2],
        "n_d": 12,
        "n_T": 10,
        "N": 100,
        "samples": 2,
        "sweeps": 40,
        "d_mc": [0.3, 0.8],
        "T_mc": [0.3, 1.2],
    },
)
