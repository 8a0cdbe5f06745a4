r"""Test error of NNGP inference and of ridge regression with the NTK, on MNIST and Fashion-MNIST."""

from dataclasses import dataclass
from itertools import product
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from ..mc.images import load_images
from ..theory.kernels.activations import Erf, Relu
from ..theory.kernels.network import Network, mlp
from ..theory.kernels.regression import GaussianProcess
from ._images import NAMES
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
Classes = NDArray[np.int64]
SCALES: dict[str, Any] = {"sigma_w": 2**0.5, "sigma_b": 0.1}
NETS = {
    "ReLU, 1 hidden": mlp(hidden_layers=1, activation=Relu(), **SCALES),
    "ReLU, 3 hidden": mlp(hidden_layers=3, activation=Relu(), **SCALES),
    "erf, 2 hidden": mlp(hidden_layers=2, activation=Erf(), **SCALES),
}
KINDS = ("nngp", "ntk")
MARKERS = "os^"


@dataclass(frozen=True)
class Rows:
    """The kernels of a table of images with the first of them, computed once; an input is a row of it."""

    kernels: dict[str, Floats]

    def kernel(self, x1: Any, x2: Any = None, *, get: tuple[str, ...]) -> Any:
        """``nngp`` or ``ntk`` of rows with rows."""
        at = np.ix_(x1[:, 0], (x1 if x2 is None else x2)[:, 0])
        return SimpleNamespace(**{kind: self.kernels[kind][at] for kind in get})


def data(*, n: list[int], held: int, tests: int, subsets: int, noise: list[float]) -> xr.Dataset:
    """Share of wrong classes by collection, network, kernel, size n of the training set and noise.

    Each of the disjoint ``subsets`` has ``held`` more training images, on which the noise is chosen, and ``tests`` test
    images of its own. Labels: 9/10 for the class, -1/10 for others. Noise: relative to the mean diagonal of the kernel.
    """
    found = np.empty((len(NAMES), len(NETS), subsets, len(n), len(KINDS), len(noise), 2))
    collections = [_Collection(name) for name in NAMES]
    jobs = [(i, j, k) for i in range(len(NAMES)) for k in range(subsets) for j in range(len(NETS))]
    for i, j, k in tqdm(jobs, "NNGP and NTK", delay=2, disable=None):
        x, label = collections[i].subset(k, n[-1] + held, tests)
        table = _table(list(NETS.values())[j], x, n[-1])
        for at in product(*map(range, found.shape[3:6])):
            size, kind, ridge = n[at[0]], KINDS[at[1]], noise[at[2]]
            wrong = _classes(table, label[:size], len(x) - n[-1], n[-1], kind, ridge) != label[n[-1] :]
            found[(i, j, k, *at)] = wrong[:held].mean(), wrong[held:].mean()
    dims = ("images", "net", "subset", "n", "kind", "noise")
    ds = xr.Dataset(
        {"held": (dims, found[..., 0]), "error": (dims, found[..., 1])},
        {"images": list(NAMES), "net": list(NETS), "n": n, "kind": list(KINDS), "noise": noise},
    )
    return ds.assign_attrs(tests=tests)


class _Collection:
    """Images whose pixels have mean 0 and variance 1 over the training images, in an order that is drawn once."""

    def __init__(self, name: str) -> None:
        self.images = load_images(name)
        grey = self.images.grey.values[:60_000]
        self.mean, self.std = grey.mean(), grey.std()
        rng = np.random.default_rng(1)
        self.order, self.tests = rng.permutation(60_000), 60_000 + rng.permutation(10_000)

    def subset(self, k: int, trained: int, tests: int) -> tuple[Floats, Classes]:
        """Pixels (image, 784) and classes of ``trained`` training images, then of ``tests`` test images."""
        chosen = np.concatenate([self.order[k * trained :][:trained], self.tests[k * tests :][:tests]])
        pixels = (self.images.grey.values[chosen].reshape(len(chosen), -1) - self.mean) / self.std
        return pixels, self.images.label.values[chosen].astype(np.int64)


def _table(net: Network, x: Floats, n: int) -> Rows:
    """Of all images with the first n."""
    square, cross = net.kernel(x[:n]), net.kernel(x[n:], x[:n])
    return Rows({kind: np.concatenate([getattr(square, kind), getattr(cross, kind)]) for kind in KINDS})


def _classes(table: Rows, label: Classes, many: int, first: int, kind: str, noise: float) -> Classes:
    """Of ``many`` images from row ``first`` on, after the images of the first rows."""
    y, rows = np.eye(10)[label] - 0.1, np.arange(first + many)[:, None]
    process = GaussianProcess(table, rows[: len(y)], y, noise=noise, kind=kind, convention="neural_tangents")  # type: ignore[arg-type]
    return process.predict(rows[first:], cov=False).mean.values.argmax(axis=1)


def draw(ds: xr.Dataset) -> "Figure":
    """Errors against n; below, what the NTK has more than the NNGP: at little noise, and at the noise chosen."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(3, 2, figsize=(7, 6.2), sharex=True, sharey="row", height_ratios=[1.5, 1, 1])
    axes[1, 0].sharey(axes[2, 0])
    chosen = ds.error.isel(noise=ds.held.mean("subset").argmin("noise"))
    least = ds.error.isel(noise=0)
    for column, name in zip(axes.T, ds.images.values, strict=True):
        _draw_errors(column[0], chosen.sel(images=name))
        column[0].set_title(NAMES[str(name)])
        for panel, errors in zip(column[1:], (least, chosen), strict=True):
            _draw_gain(panel, errors.sel(images=name))
        column[2].set_xlabel("training images $n$")
    axes[0, 0].set(ylabel="test error [%], noise chosen", xscale="log", yscale="log")
    axes[1, 0].set_ylabel(f"NTK $-$ NNGP [points],\nnoise {float(ds.noise[0]):g}")
    axes[2, 0].set_ylabel("NTK $-$ NNGP [points],\nnoise chosen")
    for axis, ticks in ((axes[0, 0].xaxis, ds.n.values[::2]), (axes[0, 0].yaxis, [5, 10, 20, 30])):
        axis.set_ticks(ticks)
        axis.set_major_formatter("{x:g}")
    axes[0, 0].minorticks_off()
    for panel, letter in zip(axes.flat, "abcdef", strict=True):
        panel.text(0.98, 0.95, f"({letter})", transform=panel.transAxes, ha="right", va="top")
    axes[0, 0].legend(loc="lower left")
    return figure


def _draw_errors(axes: "Axes", error: xr.DataArray) -> None:
    for k, net in enumerate(error.net.values):
        for kind, style, face in zip(KINDS, ("-", "--"), (f"C{k}", "w"), strict=True):
            mean, bar = _mean(100 * error.sel(net=net, kind=kind))
            look: dict[str, Any] = {"marker": MARKERS[k], "color": f"C{k}", "mfc": face, "ls": style, "lw": 0.8}
            axes.errorbar(error.n, mean, bar, **look, label=f"{net}, {kind.upper()}")


def _draw_gain(axes: "Axes", error: xr.DataArray) -> None:
    more = 100 * (error.sel(kind="ntk") - error.sel(kind="nngp"))
    axes.axhline(0, color="k", lw=0.7)
    for k, net in enumerate(error.net.values):
        mean, bar = _mean(more.sel(net=net))
        axes.errorbar(error.n * 1.04 ** (k - 1), mean, bar, marker=MARKERS[k], color=f"C{k}", mfc="w", lw=0.8)
    axes.margins(y=0.2)
    for y, word in ((0.95, "NNGP better"), (0.05, "NTK better")):
        axes.text(
            0.02, y, word, transform=axes.transAxes, va="top" if y > 0.5 else "bottom", fontsize=7, style="italic"
        )


def _mean(values: xr.DataArray) -> tuple[Floats, Floats]:
    """Over subsets, and its error."""
    return values.mean("subset").values, values.std("subset", ddof=1).values / np.sqrt(values.sizes["subset"])


recipe = Recipe(
    name="nngp_vs_ntk_mnist",
    data=data,
    draw=draw,
    full={
        "n": [64, 128, 256, 512, 1024, 2048, 4096],
        "held": 1000,
        "tests": 2500,
        "subsets": 4,
        "noise": [1e-3, 1e-2, 1e-1],
    },
    draft={"n": [16, 32, 64], "held": 40, "tests": 50, "subsets": 2, "noise": [1e-3, 1e-1]},
)
