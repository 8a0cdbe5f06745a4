r"""What infinitely wide networks do as they get deeper: three kinds of kernels, of classifiers and of errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr

from ..theory.kernels.depth_kernels import deep_kernels, limit_function
from ..theory.kernels.taxonomy import infinite_depth
from ._nn_taxonomy import ACTIVATIONS, DIM, by_depth, by_size, edge, maps
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

KINDS: dict[str, dict[str, Any]] = {
    "1-NN": {"color": "#0072B2", "marker": "s"},
    "singular kernel": {"color": "#D55E00", "marker": "o"},
    "majority vote": {"color": "#009E73", "marker": "^"},
}
CONDITIONS = {"1-NN": "$A=0,\\ A'=0$", "singular kernel": "$A=0,\\ A'\\neq 0$", "majority vote": "$A\\neq 0,\\ B'>1$"}
CLASSES = ("#F2C9A8", "#B9D7EC")
SEEN = ("#8C3B00", "#00406B")
ARROW = {"arrowstyle": "-", "lw": 0.5}


def data(
    *,
    depths: list[int],
    n_angle: int,
    n_map: int,
    pixels: int,
    trained: list[int],
    n: int,
    n_test: int,
    draws: int,
    sizes: list[int],
    alphas: list[float],
    n_test_limit: int,
) -> xr.Dataset:
    """Kernels by angle and depth with their limits, maps of the classes, errors by depth and by number of points."""
    parts = [_kernels(depths, np.geomspace(0.01, 1.55, n_angle)), maps(n=n_map, pixels=pixels, seed=1)]
    parts.append(by_depth(depths=trained, n=n, n_test=n_test, draws=draws))
    parts.append(by_size(sizes=sizes, alphas=alphas, n_test=n_test_limit, draws=draws))
    return xr.merge(parts, combine_attrs="no_conflicts")


def _kernels(layers: Sequence[int], angle: np.ndarray) -> xr.Dataset:
    """What tends to a limit: Theta_L^(1/2^L), Theta_L/((L + 1) A'^(2L)) and Theta_L over that of orthogonal inputs."""
    xi, L = np.cos(angle), np.asarray(layers)[:, None]
    nearest, singular, vote = ACTIVATIONS.values()
    scale = np.log(L + 1) + 2 * L * np.log(infinite_depth(singular).A_prime)
    across = deep_kernels(vote, 0.0, layers).ntk_log
    seen = [
        np.exp(deep_kernels(nearest, xi, layers).ntk_share_log / 2.0**L),
        np.exp(deep_kernels(singular, xi, layers).ntk_log - scale),
        np.exp(deep_kernels(vote, xi, layers).ntk_log - across[:, None]),
    ]
    limit = [np.exp(limit_function(nearest, xi).value), limit_function(singular, xi).value, np.ones_like(xi)]
    ds = xr.Dataset(
        {"kernel": (("kind", "layers", "angle"), np.stack(seen)), "kernel_limit": (("kind", "angle"), limit)}
    )
    return ds.assign_coords(kind=list(ACTIVATIONS), layers=list(layers), angle=angle)


def draw(ds: xr.Dataset) -> "Figure":
    """A column for each kind: its kernel and its map; below them the errors."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(3, 3, figsize=(7, 6.9), height_ratios=[1, 1.12, 1])
    for axes, kind in zip(panels[0], KINDS, strict=True):
        _draw_kernel(axes, ds.sel(kind=kind))
    panels[0, 0].legend(title="depth $L$", loc="lower left", handlelength=1.2, labelspacing=0.2)
    panels[0, 0].set(ylabel=r"$[\Theta_L(\theta)/\Theta_L(0)]^{1/2^L}$", xlim=(0, np.pi / 2), ylim=(0, 1.03))
    panels[0, 1].set(ylabel=r"$\Theta_L(\theta)/[(L+1)A'^{2L}]$", xscale="log", yscale="log", ylim=(0.05, 2e4))
    panels[0, 2].set(ylabel=r"$\Theta_L(\theta)/\Theta_L(\pi/2)$", xscale="log", yscale="log", ylim=(0.7, 3e3))
    panels[0, 1].text(0.011, 4.5e2, rf"$\propto\theta^{{-{DIM}}}$", fontsize=7)
    for axes, kind in zip(panels[1], KINDS, strict=True):
        _draw_map(axes, ds.sel(kind=kind))
    panels[1, 0].set_ylabel("$x_2$")
    for value, colour, y in ((-1, SEEN[0], -0.98), (1, SEEN[1], 0.9)):
        panels[1, 0].text(0.99, y, f"$y={value:+d}$", color=colour, fontsize=7, ha="right")
    panels[1, 2].annotate("optimal", (-0.25, float(edge(np.array(-0.25)))), (-0.1, -0.75), fontsize=7, arrowprops=ARROW)
    _draw_classification(panels[2, 0], ds)
    _draw_regression(panels[2, 1], ds.regression.sel(kernels="ntk"))
    _draw_size(panels[2, 2], ds.limit)
    for axes, letter in zip(panels.ravel(), "abcdefghi", strict=True):
        axes.set_title(f"({letter}) {axes.get_title(loc='left')}", loc="left", pad=3)
    return figure


def _draw_kernel(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib import colormaps

    shades = colormaps["viridis_r"](np.linspace(0.08, 0.95, ds.sizes["layers"]))
    for line, L, colour in zip(ds.kernel, ds.layers.values, shades, strict=True):
        axes.plot(ds.angle, line, color=colour, lw=1, label=str(L))
    axes.plot(ds.angle, ds.kernel_limit, "k--", lw=1.1, label=r"$\infty$")
    kind = str(ds.kind.values)
    axes.set_xlabel(r"angle $\theta$ [rad]")
    axes.set_title(f"{kind}: {CONDITIONS[kind]}", loc="left")


def _draw_map(axes: "Axes", ds: xr.Dataset) -> None:
    from matplotlib.colors import ListedColormap

    axes.pcolormesh(ds.x_1, ds.x_2, ds.decision, cmap=ListedColormap(CLASSES), vmin=-1, vmax=1, shading="nearest")
    for value, marker, colour in ((-1, "v", SEEN[0]), (1, "o", SEEN[1])):
        axes.plot(*ds.seen.values[ds.seen_class.values == value].T, marker, color=colour, ms=2, mew=0)
    line = np.linspace(-1, 1, 400)
    shown = line**2 + edge(line) ** 2 < 1
    axes.plot(line[shown], edge(line)[shown], "k--", lw=0.9)
    axes.set(xlabel="$x_1$", aspect="equal", xlim=(-1.02, 1.02), ylim=(-1.02, 1.02))
    axes.set_title(f"{ds.kind.values}, $L=\\infty$", loc="left")


def _mean(axes: "Axes", errors: xr.DataArray, x: str, **style: Any) -> None:
    """Means over the draws with their standard errors."""
    error = errors.std("draw", ddof=1) / np.sqrt(errors.sizes["draw"])
    axes.errorbar(errors[x], errors.mean("draw"), error, mfc="w", **style)


def _draw_classification(axes: "Axes", ds: xr.Dataset) -> None:
    for kind, style in KINDS.items():
        at = ds.sel(kind=kind)
        _mean(axes, at.classification.sel(kernels="ntk"), "depth", **style)
        axes.axhline(float(at.classification_limit.mean()), color=style["color"], ls=":", lw=1)
    singular = ds.classification.sel(kernels="nngp", kind="singular kernel")
    _mean(
        axes,
        singular,
        "depth",
        **KINDS["singular kernel"] | {"marker": "D", "ls": "--", "ms": 2.5, "label": "NNGP"},
    )
    axes.plot([], [], "k:", lw=1, label=r"$L=\infty$")
    axes.legend(loc="center right", bbox_to_anchor=(1, 0.55))
    axes.set(xscale="log", xlabel="depth $L$", ylabel="excess test error")
    axes.set_title(f"classification, $n={ds.attrs['n']}$", loc="left")


def _draw_regression(axes: "Axes", errors: xr.DataArray) -> None:
    for kind, style in KINDS.items():
        _mean(axes, errors.sel(kind=kind), "depth", **style, label=kind)
    axes.axhline(1, color="0.6", lw=0.8, ls=":")
    axes.text(0.97, 0.845, "prediction 0", transform=axes.transAxes, fontsize=7, color="0.35", ha="right")
    axes.legend(loc="lower right", title="NTK")
    axes.set(xscale="log", yscale="log", ylim=(0.01, 3), xlabel="depth $L$")
    axes.set_ylabel(r"squared error over $\langle f^2\rangle$")
    axes.set_title("regression, same points", loc="left")


def _draw_size(axes: "Axes", errors: xr.DataArray) -> None:
    from matplotlib.ticker import NullFormatter

    for kind, style in KINDS.items():
        _mean(axes, errors.sel(net=kind), "size", **style)
    for net in map(str, errors.net.values):
        if net not in KINDS:
            label = rf"singular kernel, $\{net}$"
            _mean(axes, errors.sel(net=net), "size", color="#E69F00", marker="v", ls="--", label=label)
    axes.text(40, 0.05, rf"$\alpha={DIM}$", color=KINDS["singular kernel"]["color"], fontsize=7)
    axes.set(xscale="log", yscale="log", xlabel="training points $n$", ylabel="excess test error", ylim=(0.02, 1))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.legend(loc="upper right")
    axes.set_title(r"classification, $L=\infty$", loc="left")


recipe = Recipe(
    name="depth_taxonomy",
    data=data,
    draw=draw,
    full={
        "depths": [1, 2, 5, 20, 60, 500],
        "n_angle": 200,
        "n_map": 80,
        "pixels": 141,
        "trained": [5, 6, 8, 11, 16, 23, 32, 64, 128],
        "n": 128,
        "n_test": 400,
        "draws": 12,
        "sizes": [32, 64, 128, 256, 512, 1024],
        "alphas": [4.0],
        "n_test_limit": 200,
    },
    draft={
        "depths": [1, 2, 60],
        "n_angle": 30,
        "n_map": 20,
        "pixels": 15,
        "trained": [5, 16],
        "n": 30,
        "n_test": 40,
        "draws": 2,
        "sizes": [32, 64],
        "alphas": [4.0],
        "n_test_limit": 20,
    },
)
