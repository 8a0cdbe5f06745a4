r"""How many examples two diluted patterns need to be retrieved at once: exact theory and both ways to learn."""

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from ..mc.energy import OverlapEnergy
from ..mc.parallel import archetype_overlaps, parallel_retrieval
from ..mc.patterns import examples, patterns
from ..mc.run import simulate
from ..mc.stats import summary
from ..sweeps.sweep import sweep
from ..theory.multitasking import Multitasking
from ..theory.parallel_learning import one_step_examples, self_consistent_examples
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
K = 2
LEARN = {"supervised": OverlapEnergy.supervised, "unsupervised": OverlapEnergy.unsupervised}
STYLES: dict[str, dict[str, Any]] = {
    "supervised": {"fmt": "o", "mfc": "w", "ms": 4, "label": "supervised"},
    "unsupervised": {"fmt": "x", "ms": 3.5, "label": "unsupervised"},
}
MARKS: dict[str, dict[str, Any]] = {
    "M_one_step": {"color": "0.35", "ls": "--", "lw": 0.8, "label": r"$M_\times$: one step"},
    "M_self": {"color": "0.35", "ls": ":", "lw": 1.0, "label": r"$M_\times$: self-consistent ($T=0$)"},
}


def data(
    *,
    r: list[float],
    d: list[float],
    most: list[int],
    M_mc: list[list[int]],
    heat: float,
    N: int,
    samples: int,
    sweeps: int,
) -> xr.Dataset:
    """m_1 and m_2 over 1 - d against M at T = ``heat`` (1 - d), by quality r (each up to ``most``) and dilution d.

    Theory is exactly binomial, for odd M; ``gain`` above 1 (nowhere here): without a teacher, overlaps with single
    examples grow apart.
    """
    cells = [(i, x) for i in range(len(r)) for x in d]
    lines = [_theory(r[i], x, heat * (1 - x), most[i]) for i, x in cells]
    runs = [
        _simulated(r[i], x, heat * (1 - x), M_mc[i], N, samples, sweeps) for i, x in tqdm(cells, delay=2, disable=None)
    ]
    ds = xr.merge([xr.concat(lines, "cell", join="outer"), xr.concat(runs, "cell")])
    qualities, dilutions = np.array([r[i] for i, _ in cells]), np.array([x for _, x in cells])
    ds["r"], ds["d"] = ("cell", qualities), ("cell", dilutions)
    ds["M_one_step"] = "cell", one_step_examples(r=qualities, d=dilutions, K=K)
    ds["M_self"] = "cell", self_consistent_examples(r=qualities, d=dilutions, K=K)
    return ds.assign_attrs(N=N, samples=samples, sweeps=sweeps, heat=heat, n_unconverged=int(ds.lost.sum()))


def _theory(r: float, d: float, T: float, most: int) -> xr.Dataset:
    M = np.unique(2 * np.rint((np.geomspace(1, most, 100) - 1) / 2) + 1)
    const = {"K": K, "r": r, "d": d, "T": T, "protocol": "unsupervised"}
    ds = sweep(Multitasking, over={"M": M}, const=const, starts=["hierarchical"], progress=False).isel(
        start=0, drop=True
    )
    sure = ds.converged & (ds.stability > 0)
    found = xr.Dataset(
        {"theory": ds.m_hat.where(sure), "gain": ds.example_gain.where(sure), "lost": (~sure).astype(np.int8)}
    )
    point = np.arange(M.size)
    return found.drop_vars("M").rename(M="point").assign(M=("point", M)).assign_coords(point=point).drop_attrs()


def _simulated(r: float, d: float, T: float, M: list[int], N: int, samples: int, sweeps: int) -> xr.Dataset:
    """Both overlaps with the patterns, the larger first, and their errors over samples, by protocol and M."""
    xi = patterns(N=N, K=K, d=d, samples=samples, seed=2023, pattern_sampling="stratified")
    eta = examples(xi, r=r, M=max(M), seed=2023)
    mean, error = np.empty((2, len(LEARN), len(M), K))
    for (i, learn), (j, many) in product(enumerate(LEARN.values()), enumerate(M)):
        run = simulate(
            learn(eta[:, :, :many], r=r),
            T=T,
            chains=1,
            sweeps=sweeps,
            burn_in=sweeps,
            every=max(1, sweeps // 20),
            start="hierarchical",
            seed=2023,
            observables=("spins",),
        )
        found = summary(parallel_retrieval(archetype_overlaps(run, xi)), "ranked").isel(T=0)
        mean[i, j], error[i, j] = found["mean"] / (1 - d), found.error / (1 - d)
    dims = ("protocol", "run", "mu")
    return xr.Dataset(
        {"m": (dims, mean), "error": (dims, error), "M_mc": ("run", M)},
        coords={"protocol": list(LEARN), "run": np.arange(len(M))},
    )


def draw(ds: xr.Dataset) -> "Figure":
    """A row for each quality, a column for each dilution."""
    import matplotlib.pyplot as plt

    qualities, dilutions = np.unique(ds.r), np.unique(ds.d)
    size: Any = {"figsize": (7, 1.0 + 1.75 * qualities.size), "sharex": "row", "sharey": True, "squeeze": False}
    figure, panels = plt.subplots(qualities.size, dilutions.size, **size)
    for letter, (i, j) in zip("abcdefghi", product(range(qualities.size), range(dilutions.size)), strict=False):
        cell = np.flatnonzero((ds.r.values == qualities[i]) & (ds.d.values == dilutions[j]))[0]
        _draw_panel(panels[i, j], ds.isel(cell=cell))
        panels[i, j].set_title(rf"({letter}) $r={qualities[i]:g}$, $d={dilutions[j]:g}$")
    for axes in panels[:, 0]:
        axes.set_ylabel(r"overlap $m_\mu/(1-d)$")
    for axes in panels[-1]:
        axes.set_xlabel("examples per pattern $M$")
    told = (
        rf"$T={ds.attrs['heat']:g}\,T_c$; simulations: $N={ds.attrs['N']}$, errors over {ds.attrs['samples']} samples"
    )
    figure.legend(*_handles(panels[0, 0]), loc="outside lower center", ncols=4, title=told, title_fontsize=7)
    return figure


def _draw_panel(axes: "Axes", ds: xr.Dataset) -> None:
    axes.axhline(1, color="0.8", lw=0.6)
    axes.axhline(float(ds.d), color="0.8", lw=0.6)
    for name, style in MARKS.items():
        axes.axvline(float(ds[name]), **style)
    for k, colour in enumerate(("C0", "C1")):
        axes.plot(ds.M, ds.theory.isel(mu=k), ".-", ms=1.6, lw=1, color=colour, label=rf"$m_{k + 1}$, theory")
        for protocol, style in STYLES.items():
            at = ds.sel(protocol=protocol).isel(mu=k)
            told = style | ({} if k == 0 else {"label": None})
            axes.errorbar(ds.M_mc, at.m, at.error, color=colour, elinewidth=0.7, capsize=1.2, **told)
    axes.set(xscale="log", xlim=(0.9, 1.1 * float(ds.M.max())), ylim=(-0.05, 1.08))


def _handles(axes: "Axes") -> tuple[list[Any], list[str]]:
    """Of the errorbars in grey: they are drawn in the colours of both patterns."""
    from matplotlib.lines import Line2D

    handles, labels = axes.get_legend_handles_labels()
    grey = {"supervised": ("o", "w"), "unsupervised": ("x", "0.3")}
    for i, label in enumerate(labels):
        if label in grey:
            handles[i] = Line2D([], [], ls="", marker=grey[label][0], mfc=grey[label][1], color="0.3", ms=4)
    return handles, labels


recipe = Recipe(
    name="multitasking_learning",
    data=data,
    draw=draw,
    full={
        "r": [0.2, 0.5],
        "d": [0.2, 0.4, 0.8],
        "most": [501, 101],
        "M_mc": [[5, 13, 25, 51, 101, 201], [1, 3, 5, 9, 17, 41]],
        "heat": 0.05,
        "N": 10_000,
        "samples": 6,
        "sweeps": 200,
    },
    draft={
        "r": [0.5],
        "d": [0.2],
        "most": [21],
        "M_mc": [[3, 9]],
        "heat": 0.05,
        "N": 100,
        "samples": 2,
        "sweeps": 20,
    },
)
