r"""Spectra of convolutional networks whose filters form a tree, and how fast they learn targets of every layer."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ._nn_trees import TREES, empirical, learned, outside, predicted, spectrum
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
COLOURS = {1: "#0072B2", 2: "#D55E00", 3: "#009E73"}
MARKERS = {1: "o", 2: "s", 3: "^"}
NODES = {"one": "1 patch", "two": "2 patches", "four": "4 patches"}


def data(
    *,
    boxes: list[int],
    n_eigenvalues: int,
    sizes: list[int],
    fitted: int,
    n_test: int,
    draws: int,
    n_line: int,
) -> xr.Dataset:
    """Eigenvalues by wave number and by rank, errors of all teachers and students, and the decay from ``fitted`` on."""
    exact = [spectrum(net, boxes=boxes) for net in TREES]
    ranks = np.unique(np.geomspace(1, n_eigenvalues, 25).astype(np.int64))
    P = np.geomspace(sizes[0], sizes[-1], n_line)
    theory = np.array([[predicted(student, teacher, P) for student in exact] for teacher in exact])
    ds = xr.merge([_diagonals(exact[-1]), _ranked(exact, n_line)])
    ds = xr.merge([ds, empirical(n=n_eigenvalues, draws=draws, ranks=ranks)], combine_attrs="no_conflicts")
    ds = xr.merge([ds, learned(sizes=sizes, n_test=n_test, draws=draws)], combine_attrs="no_conflicts")
    ds["theory"] = ("teacher", "student", "P"), theory
    lost = [[outside(student, teacher, s) for s, student in enumerate(exact, 1)] for teacher in exact]
    ds["outside"] = ("teacher", "student"), lost
    late = ds.error.sel(n=slice(fitted, None))
    x = np.log(late.n) - np.log(late.n).mean()
    ds["decay"] = -(np.log(late) * x).sum("n", skipna=False) / (x**2).sum()
    ds["expected"] = (
        ds.decay.dims[:-1],
        [[[_beta(k, t, s) for s in (1, 2, 3)] for t in (1, 2, 3)] for k in ("ntk", "nngp")],
    )
    return ds.assign_coords(P=P).assign_attrs(fitted=fitted)


def _beta(kind: str, teacher: int, student: int) -> float:
    """The exponent of the theory, for teachers no deeper than students."""
    if teacher > student:
        return np.nan
    return TREES[student - 1].learning_exponent(teacher, teacher="ntk" if kind == "ntk" else "nngp", student="ntk")


def _diagonals(exact: xr.Dataset) -> xr.Dataset:
    """Eigenvalues of the deepest tree by k, of modes with equal k_i on the patches of one node of each layer."""
    at = exact.equal & (exact.largest > 0)
    parts = [exact.eigenvalue.values[at & (exact.layer == layer)] for layer in (1, 2, 3)]
    named = {name: (f"k_{name}", part) for name, part in zip(NODES, parts, strict=True)}
    return xr.Dataset(named, {f"k_{name}": np.arange(1, part.size + 1) for name, (_, part) in named.items()})


def _ranked(exact: list[xr.Dataset], n_line: int) -> xr.Dataset:
    """Eigenvalues of each depth at some ranks, nan where larger ones may lie outside the boxes."""
    ranks = np.geomspace(1, 1e5, n_line)
    found = np.empty((3, n_line))
    for j, modes in enumerate(exact):
        ds = modes.sortby("eigenvalue", ascending=False)
        ends = ds.largest.groupby(ds.layer).max()
        edge = float(ds.eigenvalue.where((ds.largest == ends.sel(layer=ds.layer)) & (ds.layer > 0)).max())
        last = ds.multiplicity.cumsum().values
        at = np.searchsorted(last, ranks)
        found[j] = ds.eigenvalue.values[np.minimum(at, last.size - 1)]
        found[j, found[j] <= edge] = np.nan
    return xr.Dataset({"ranked": (("depth", "rank_line"), found)}, {"depth": [1, 2, 3], "rank_line": ranks})


def draw(ds: xr.Dataset) -> "Figure":
    """Spectra and exponents above; below a panel for each teacher."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, 3, figsize=(7, 4.9))
    _draw_modes(panels[0, 0], ds)
    _draw_ranks(panels[0, 1], ds)
    _draw_decay(panels[0, 2], ds)
    for axes, teacher in zip(panels[1], (1, 2, 3), strict=True):
        axes.sharey(panels[1, 0])
        _draw_curves(axes, ds.sel(teacher=teacher, kind="ntk"))
    panels[1, 0].set_ylabel(r"test error $E/\langle f^2\rangle$")
    panels[1, 2].plot([], [], "k", label="theory, exact spectrum")
    panels[1, 2].legend(title="student NTK of depth", loc="lower left", labelspacing=0.25)
    panels[1, 1].text(
        0.04, 0.04, "dotted: power outside\nthe student's modes", transform=panels[1, 1].transAxes, fontsize=7
    )
    for axes, letter in zip(panels.ravel(), "abcdef", strict=True):
        axes.set_title(f"({letter}) {axes.get_title(loc='left')}", loc="left", pad=3)
    return figure


def _guide(axes: "Axes", x: Floats, end: float, power: float, text: str, colour: str) -> None:
    """Dashed power law over x that ends at ``end``, with its name."""
    axes.plot(x, end * (x / x[-1]) ** power, color=colour, ls="--", lw=0.8)
    axes.text(1.12 * x[-1], end, f"${text}$", color=colour, fontsize=7, va="center")


def _draw_modes(axes: "Axes", ds: xr.Dataset) -> None:
    for layer, (name, label) in enumerate(NODES.items(), 1):
        at, power = ds[name][:64], TREES[2].exponent(layer, "ntk")
        k = at[f"k_{name}"].values
        axes.plot(k, at, MARKERS[layer], color=COLOURS[layer], ms=2.5, mfc="w", mew=0.7, label=label)
        _guide(axes, k[k.size // 4 :].astype(float), 3 * float(at[-1]), -power, f"k^{{-{power:g}}}", COLOURS[layer])
    axes.set(xscale="log", yscale="log", xlabel="wave number $k$", ylabel=r"eigenvalue $\Lambda$", xlim=(0.8, 250))
    axes.set_ylim(None, 30)
    axes.legend(title="modes on nodes of", loc="upper right", labelspacing=0.25, handletextpad=0.2)
    axes.set_title("NTK of depth 3", loc="left")


def _draw_ranks(axes: "Axes", ds: xr.Dataset) -> None:
    for depth, net in enumerate(TREES, 1):
        colour, at, line = COLOURS[depth], ds.sampled.sel(depth=depth), ds.ranked.sel(depth=depth).dropna("rank_line")
        axes.plot(line.rank_line, line, color=colour)
        _mean(axes, at, "rank", color=colour, marker=MARKERS[depth], ms=3, label=f"depth {depth}")
        d, late = net.effective_dimension(depth), line.rank_line.values[line.rank_line > 100]
        power = net.exponent(depth, "ntk") / d
        if late.size:
            _guide(axes, late, 0.25 * float(line[-1]) * 4 ** (depth - 1.5), -power, rf"\rho^{{-{power:g}}}", colour)
    axes.set(xscale="log", yscale="log", xlabel=r"rank $\rho$", ylabel=r"eigenvalue $\Lambda$", xlim=(0.8, 1e5))
    axes.legend(loc="lower left")
    axes.set_title(f"exact, and of {ds.attrs['n_eigenvalues']} inputs", loc="left")


def _draw_decay(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib.ticker import FixedLocator, NullFormatter, ScalarFormatter

    for kind, full in (("ntk", False), ("nngp", True)):
        for student, colour in COLOURS.items():
            at, fill = ds.sel(kind=kind, student=student), colour if full else "w"
            _mean(axes, at.decay, "", x=at.expected, color=colour, marker=MARKERS[student], mfc=fill)
        axes.plot([], [], "ok", mfc="k" if full else "w", label=f"teacher {kind.upper()}")
    axes.plot([0.2, 4], [0.2, 4], "k--", lw=0.8)
    axes.set(xscale="log", yscale="log", xlim=(0.2, 4), ylim=(0.2, 4))
    axes.set(xlabel=r"predicted exponent $\beta$", ylabel=rf"exponent from $n={ds.attrs['fitted']}$ on")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([0.25, 0.5, 1, 2]))
        axis.set_major_formatter(ScalarFormatter())
        axis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper left")
    axes.text(0.97, 0.05, "colours as in (f)", transform=axes.transAxes, fontsize=7, ha="right")
    axes.set_title(r"$E\sim n^{-\beta}$, student NTK", loc="left")


def _mean(axes: "Axes", values: xr.DataArray, over: str, *, x: Any = None, **style: Any) -> None:
    """Means over the draws with their standard errors."""
    error = values.std("draw", ddof=1) / np.sqrt(values.sizes["draw"])
    axes.errorbar(values[over] if x is None else x, values.mean("draw"), error, **{"ls": "", "mfc": "w"} | style)


def _draw_curves(axes: "Axes", ds: xr.Dataset) -> None:
    for student, colour in COLOURS.items():
        at = ds.sel(student=student)
        axes.plot(ds.P, at.theory, color=colour)
        _mean(axes, at.error, "n", color=colour, marker=MARKERS[student], label=str(student))
        beta = float(at.expected)
        if np.isfinite(beta):
            end = 0.72 * float(at.error.mean("draw")[-1])
            _guide(axes, ds.n.values[2:].astype(float), end, -beta, f"n^{{-{beta:.3g}}}", colour)
        else:
            axes.axhline(float(at.outside), color=colour, ls=":", lw=0.8)
    axes.set(xscale="log", yscale="log", xlabel="training points $n$", xlim=(0.8 * ds.n[0], 4.5 * ds.n[-1]))
    axes.set_title(f"teacher NTK of depth {int(ds.teacher)}", loc="left")


recipe = Recipe(
    name="cnn_learning_curves",
    data=data,
    draw=draw,
    full={
        "boxes": [2048, 64, 14],
        "n_eigenvalues": 1024,
        "sizes": [32, 64, 128, 256, 512, 1024, 2048],
        "fitted": 256,
        "n_test": 400,
        "draws": 8,
        "n_line": 60,
    },
    draft={
        "boxes": [64, 8, 3],
        "n_eigenvalues": 50,
        "sizes": [16, 32, 64],
        "fitted": 16,
        "n_test": 20,
        "draws": 2,
        "n_line": 12,
    },
)
