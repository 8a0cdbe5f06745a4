r"""Kernel principal components of MNIST in training: each learned at the rate of its eigenvalue; arXiv:1806.07572."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..mc.images import load_images
from ..theory.kernels.activations import Relu
from ..theory.kernels.empirical import draw_parameters
from ..theory.kernels.network import mlp
from ..theory.kernels.network_training import tangent_motion, train
from ._nn_networks import side_by_side
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
NET = mlp(hidden_layers=4, activation=Relu(), sigma_w=1.0, sigma_b=0.1)
STEP = 0.45
"""Learning rate in units of 1/lambda_1, the largest eigenvalue; Theta of narrow networks grows by a factor of three."""
LAZY = 10
"""Per cent that Theta may move."""
LOOKS = ("oC1", "^C2", "sC0", "DC3")


def data(
    *, N: int, series: list[list[float]], inits: int, last: float, components: list[int], t_shown: list[float]
) -> xr.Dataset:
    """Eigenvalues lambda_k of Theta/N of N digits, and networks that learn f_0 + A f^(2), and all ``components``.

    ``series`` are (width, A); ``inits`` networks of each learn the second component until lambda_2 t = ``last``, as
    many of the last one all ``components`` together. Loss: mean over the digits, df/dt = -Theta (f - f*)/N.
    """
    x, digit = _digits(N)
    values, vectors = np.linalg.eigh(np.asarray(NET.kernel(x, get="ntk").ntk) / N)
    lam, phi = values[::-1], np.sqrt(N) * vectors[:, ::-1].T
    phi *= np.sign(phi[np.arange(N), np.abs(phi).argmax(axis=1)])[:, None]
    eta = STEP / lam[0]
    kept = np.unique(np.linspace(0, last / (lam[1] * eta), 26).astype(np.int64))

    def one(width: int, amplitude: float, init: int, together: list[int]) -> tuple[Floats, Floats, float]:
        return _learned(x, phi[np.array(together) - 1], amplitude, eta / N, kept, width, init)

    jobs = [(int(width), A, k, [2]) for width, A in series for k in range(inits)]
    found = side_by_side(one, [*jobs, *((*job[:3], components) for job in jobs[-inits:])], "components of MNIST")
    second, shape = found[: len(jobs)], (len(series), inits, len(kept))
    ds = xr.Dataset(
        {
            "eigenvalue": ("rank", lam),
            "score": (("of", "image"), phi[1:3]),
            "digit": ("image", digit),
            "along": (("series", "init", "t"), np.reshape([along[:, 0] for along, _, _ in second], shape)),
            "aside": (("series", "init", "t"), np.reshape([aside for _, aside, _ in second], shape)),
            "motion": (("series", "init"), np.reshape([motion for _, _, motion in second], shape[:2])),
            "each": (("init", "t", "component"), np.array([along for along, _, _ in found[len(jobs) :]])),
            "width": ("series", [int(width) for width, _ in series]),
            "amplitude": ("series", [A for _, A in series]),
        },
        {"rank": np.arange(1, N + 1), "of": [2, 3], "t": eta * kept, "component": components},
    )
    return ds.assign_attrs(t_shown=t_shown)


def _digits(N: int) -> tuple[Floats, NDArray[np.int64]]:
    """Images (N, 784) in [0, 1] and their digits, drawn from the training images."""
    images = load_images("mnist")
    chosen = np.sort(np.random.default_rng(N).permutation(60_000)[:N])
    return images.grey.values[chosen].reshape(N, -1) / 255.0, images.label.values[chosen].astype(np.int64)


def _learned(
    x: Floats, phi: Floats, A: float, rate: float, kept: NDArray[np.int64], width: int, init: int
) -> tuple[Floats, Floats, float]:
    """Shares of the components learned (t, component), the rest of (f - f_0)/A (t,), and the motion of Theta."""
    start = draw_parameters(NET, x.shape[1:], units=width, outputs=1, seed=(width, init))
    f0, each = NET.apply(start, x)[:, 0], A / np.sqrt(len(phi))
    run = train(NET, start, x, f0 + each * phi.sum(axis=0), learning_rate=rate, steps=kept)
    moved = run.f.values - f0
    along = moved @ phi.T / (len(x) * each)
    rest = moved - each * along @ phi
    return along, np.sqrt((rest**2).mean(axis=1)) / A, tangent_motion(NET, start, run.parameters, x)


def draw(ds: xr.Dataset) -> "Figure":
    """Digits on two components; the way of the second, its deviation from a line; the learned share by eigenvalue."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(7, 5.2))
    for panel, one, letter in zip(axes.flat, (_draw_digits, _draw_along, _draw_aside, _draw_each), "abcd", strict=True):
        one(panel, ds)
        panel.text(0.02, 0.97, f"({letter})", transform=panel.transAxes, va="top")
    return figure


def _draw_digits(axes: "Axes", ds: xr.Dataset) -> None:
    for digit in range(10):
        x, y = ds.score.where(ds.digit == digit).values
        axes.plot(x, y, ls="", marker=f"${digit}$", color=f"C{digit % 7}", ms=3.5, mew=0.2, alpha=0.8)
    told = [rf"\lambda_{k}={value:.3g}" for k, value in enumerate(ds.eigenvalue.values[:3], 1)]
    axes.text(0.98, 0.97, f"${', '.join(told)}$", transform=axes.transAxes, ha="right", va="top", fontsize=7)
    axes.set(xlabel=r"second component $f^{(2)}(x)$", ylabel=r"third component $f^{(3)}(x)$")
    axes.set_ylim(None, 1.25 * float(ds.score[1].max()))


def _mean(values: xr.DataArray) -> tuple[Floats, Floats]:
    """Mean over inits and its error."""
    return values.mean("init").values, values.std("init", ddof=1).values / np.sqrt(values.sizes["init"])


def _draw_along(axes: "Axes", ds: xr.Dataset) -> None:
    time = float(ds.eigenvalue[1]) * ds.t
    for look, at in _series(ds):
        axes.errorbar(time, *_mean(1 - at.along), **look, label=rf"$n={int(at.width)}$, $A={float(at.amplitude):g}$")
    axes.plot(time, np.exp(-time), "k", label=r"$e^{-\lambda_2t}$, $n\to\infty$", zorder=4)
    axes.set(xlabel=r"time $\lambda_2t$", ylabel=r"left of component 2, $1-g_t$", yscale="log")
    axes.set_ylim(None, 1.7)
    axes.legend(loc="lower left", title=r"$f_t-f_0=A\,g_tf^{(2)}+h_t$", title_fontsize=7)


def _series(ds: xr.Dataset) -> list[tuple[dict[str, Any], xr.Dataset]]:
    """Colour and marker of every width and amplitude."""
    looks = [{"fmt": look[0], "color": look[1:], "mfc": "w", "ms": 2.8} for look in LOOKS]
    return list(zip(looks, (ds.isel(series=k) for k in range(ds.sizes["series"])), strict=False))


def _draw_aside(axes: "Axes", ds: xr.Dataset) -> None:
    time = float(ds.eigenvalue[1]) * ds.t
    for look, at in _series(ds):
        motion, error = _mean(100 * at.motion)
        told = f"{motion:.0f}\\pm{error:.0f}$ %" if motion > LAZY else f"{motion:.1f}\\pm{error:.1f}$ %, lazy"
        axes.errorbar(time, *_mean(at.aside), **look, label=rf"$\Theta$ moves by ${told}")
    axes.axhline(0, color="k", lw=1.2, label=r"straight line, $n\to\infty$")
    axes.set(xlabel=r"time $\lambda_2t$", ylabel=r"off the straight line, $|h_t|/A$")
    axes.set_ylim(None, 1.7 * float(ds.aside.mean("init").max()))
    axes.legend(loc="upper right", title="as in (b)", title_fontsize=7)


def _draw_each(axes: "Axes", ds: xr.Dataset) -> None:
    lam = ds.eigenvalue.sel(rank=ds.component.values)
    line = np.geomspace(float(lam.min()) / 2, 2 * float(lam.max()), 200)
    for t, (look, _) in zip(np.ravel(ds.attrs["t_shown"]), _series(ds), strict=False):
        at = ds.each.sel(t=t, method="nearest")
        axes.plot(line, -np.expm1(-line * float(at.t)), color=look["color"])
        axes.errorbar(lam, *_mean(at), **look, label=rf"$t={float(at.t):.0f}$")
    axes.plot([], [], "k", label=r"$1-e^{-\lambda_kt}$, $n\to\infty$")
    axes.set(xscale="log", xlabel=r"eigenvalue $\lambda_k$ of $\Theta/N$", ylabel="learned of component $k$")
    axes.set_ylim(None, 1.2)
    told = rf"$n={int(ds.width[-1])}$, $A={float(ds.amplitude[-1]):g}$"
    axes.legend(loc="center left", title=told, title_fontsize=7)


recipe = Recipe(
    name="ntk_mnist_components",
    data=data,
    draw=draw,
    full={
        "N": 256,
        "series": [[100, 0.5], [300, 0.5], [900, 0.5], [900, 0.1]],
        "inits": 4,
        "last": 2.5,
        "components": [1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233],
        "t_shown": [80.0, 400.0, 2000.0],
    },
    draft={
        "N": 40,
        "series": [[16, 0.5], [64, 0.1]],
        "inits": 2,
        "last": 1.5,
        "components": [1, 2, 5, 20],
        "t_shown": [40.0, 500.0],
    },
)
