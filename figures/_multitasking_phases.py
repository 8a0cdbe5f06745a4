r"""What the phase diagrams of the multitasking network share: regions in (d, T), and the states that cooling finds."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.backend import cores
from ..mc.energy import OverlapEnergy
from ..mc.parallel import parallel_retrieval
from ..mc.run import simulate
from ..mc.samplers import Annealing, HeatBath
from ..sweeps.phases import classify
from ..sweeps.sweep import sweep
from ..theory.multitasking import Multitasking

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
PHASES = ("paramagnet", "pure", "hierarchical", "mixture", "parallel")
COLOURS = ("#FFFFFF", "#CFE3F2", "#BFE3D3", "#FBE3B4", "#EBCFDF")
MARKS = (("o", "0.3"), ("s", "#0072B2"), ("^", "#009E73"), ("D", "#D08A00"), ("p", "#B0528A"))
ON, UNEQUAL = 0.07, 0.02
"""A simulated m_hat above the first is retrieved; K a_4 - 1 of overlaps above the second is not parallel."""


def diagram(d: Floats, T: Floats, **const: Any) -> xr.Dataset:
    """The phase of every point of (d, T), an index into PHASES, and where a start failed or no state is stable.

    Also the ``stability`` of the pure and of the symmetric state below T_c, by start: its zeros are their edges.
    """
    with ThreadPoolExecutor(cores()) as pool:
        ds = sweep(Multitasking, over={"d": d, "T": T}, const=const, executor=pool, progress=False)
    ds = classify(ds)
    lost = (~ds.converged).any("start") | (ds.phase == "none")
    edges = ds.stability.sel(start=["pure", "symmetric"]).where(ds["T"] < 0.995 * (1 - ds.d)).astype(np.float32)
    found = {"region": indexed(ds.phase), "unconverged": lost.astype(np.int8), "stability": edges}
    return xr.Dataset(found).drop_attrs()


def indexed(phase: xr.DataArray) -> xr.DataArray:
    """Names of phases as indices into PHASES; "none" is counted as the paramagnet, and hatched."""
    codes = [np.where(phase == name, code, 0) for code, name in enumerate(PHASES)]
    return xr.DataArray(np.sum(codes, axis=0).astype(np.int8), dims=phase.dims, coords=phase.coords)


def cooled(
    energy: Callable[[float], OverlapEnergy], d_mc: Sequence[float], T_mc: Sequence[float], sweeps: int, **const: Any
) -> xr.Dataset:
    """The states found by cooling from the paramagnet, by d and T/T_c, those of theory, and the share of samples.

    Each sample of the disorder is cooled from 1.3 T_c in ``sweeps`` sweeps and measured in as many; ``found`` is the
    phase of most of them, ``share`` their part, ``sum_m2`` the mean of sum m^2 over (1 - d)^2.
    """
    rows = []
    for d in d_mc:
        T = (1 - d) * np.array(T_mc)
        code, sum_m2 = _cool(energy(d), d, T, sweeps)
        votes = (code[..., None] == np.arange(len(PHASES))).mean(axis=0)
        theory = diagram(np.array([d]), T, **const).region.values[0]
        row = {"found": votes.argmax(axis=-1), "share": votes.max(axis=-1), "expected": theory, "sum_m2": sum_m2}
        rows.append(xr.Dataset({name: ("T_mc", value) for name, value in row.items()}))
    return xr.concat(rows, "d_mc").assign_coords(d_mc=list(d_mc), T_mc=list(T_mc))


def _cool(energy: OverlapEnergy, d: float, T: Floats, sweeps: int) -> tuple[NDArray[np.int64], Floats]:
    """The phase (sample, T) and the mean of sum m^2, (T,)."""
    run = simulate(
        energy,
        sampler=Annealing(T_start=max(1.3 * (1 - d), T.max()), rule=HeatBath(order="random")),
        T=T,
        chains=1,
        sweeps=sweeps,
        burn_in=sweeps,
        every=10,
        seed=2012,
    )
    found = parallel_retrieval(run).isel(chain=0)
    m = found.ranked.mean("draw").transpose("sample", "T", "rank").values / (1 - d)
    return phase_of(m), found.sum_m2.mean(("sample", "draw")).values / (1 - d) ** 2


def phase_of(m: Floats) -> NDArray[np.int64]:
    """The phase, as an index into PHASES, of mean overlaps over 1 - d, descending along the last axis.

    By how many are on, by a_4 = sum m^4/(sum m^2)^2, and by whether the first exceeds the sum of the others.

    >>> phase_of(np.array([[0.05, 0.01], [0.9, 0.02], [0.9, 0.3], [0.61, 0.6]])).tolist()
    [0, 1, 2, 4]
    """
    K, many = m.shape[-1], (m > ON).sum(axis=-1)
    a4 = (m**4).sum(axis=-1) / (m**2).sum(axis=-1) ** 2
    alike = (many == K) & (K * a4 - 1 < UNEQUAL)
    tail = np.flip(np.cumsum(np.flip(m, -1), axis=-1), -1) - m
    ladder = ((m > tail) | (m < ON)).all(axis=-1)
    several = np.where(alike, 4, np.where(ladder, 2, 3))
    return np.where(many > 1, several, many)


def shade(axes: "Axes", ds: xr.Dataset) -> None:
    """Regions as colours over (d, T); points without a state are hatched."""
    from matplotlib.colors import ListedColormap

    style: dict[str, Any] = {"cmap": ListedColormap(COLOURS), "vmin": -0.5, "vmax": len(PHASES) - 0.5}
    region = ds.region.transpose("T", "d")
    axes.pcolormesh(ds.d, ds["T"], region, **style, shading="nearest", rasterized=True, zorder=0)
    if ds.unconverged.any():
        lost = ds.unconverged.transpose("T", "d")
        axes.contourf(ds.d, ds["T"], lost, levels=[0.5, 1.5], colors="none", hatches=["xxxx"])


def draw_states(axes: "Axes", ds: xr.Dataset) -> None:
    """Simulated states: the shape and colour tell the phase, open symbols differ from theory."""
    for code, (marker, colour) in enumerate(MARKS):
        x, T = np.meshgrid(ds.d_mc, ds.T_mc, indexing="ij")
        here = (ds.found == code).transpose("d_mc", "T_mc").values
        agrees = (ds.found == ds.expected).transpose("d_mc", "T_mc").values
        for which, face in ((here & agrees, colour), (here & ~agrees, "w")):
            style: dict[str, Any] = {"color": face, "edgecolors": colour if face == "w" else "w", "zorder": 5}
            wide = 0.9 if face == "w" else 0.4
            axes.scatter(x[which], (1 - x[which]) * T[which], 17, marker=marker, linewidths=wide, **style)


def key_of_states(figure: "Figure", ds: xr.Dataset, lines: Sequence[Any], **where: Any) -> None:
    """The symbols of the simulations and the lines, below the panels."""
    from matplotlib.lines import Line2D

    kinds = np.unique(ds.found.values[np.isfinite(ds.found.values)]).astype(int)
    style: dict[str, Any] = {"ls": "", "mec": "w", "mew": 0.4, "ms": 4.5}
    unlike: dict[str, Any] = {"ls": "", "marker": "o", "mfc": "w", "mec": "0.3", "mew": 0.9, "ms": 4}
    handles = [Line2D([], [], marker=MARKS[k][0], color=MARKS[k][1], label=PHASES[k], **style) for k in kinds]
    if (ds.found != ds.expected).any():
        handles.append(Line2D([], [], label="differs from theory", **unlike))
    figure.legend(handles=[*lines, *handles], loc="outside lower center", columnspacing=1.2, handlelength=1.7, **where)


def name(axes: "Axes", texts: Sequence[tuple[str, float, float]], **style: Any) -> None:
    """Words at points of a panel."""
    for text, x, y in texts:
        axes.text(x, y, text, ha="center", va="center", zorder=6, **{"fontsize": 7, **style})


def point_at(axes: "Axes", text: str, at: tuple[float, float], beside: tuple[float, float]) -> None:
    """A word beside a region too small for it, and a stroke that leads there."""
    axes.annotate(text, at, beside, fontsize=7, ha="center", arrowprops={"arrowstyle": "-", "lw": 0.5}, zorder=6)
