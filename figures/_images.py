"""What the figures of MNIST and Fashion-MNIST share: overlaps with archetypes after real and artificial examples."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from ..mc.images import load_images
from ..mc.patterns import examples
from ..mc.run import simulate
from ..mc.structured import archetypes, binarise, image_examples
from ..sweeps.solve import solve
from ..theory.dense import DenseHebbian
from ..theory.hopfield import Hopfield
from ..theory.load import load_to_gamma
from ._dense import stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}
STARTS = ("archetype", "unseen", "flips")
MARKERS, LINES = "os^", ("-", "--", (0, (1, 1.5)))
T_OF_ALL = 0.1
_AT_ONCE = 2**26  # bytes of examples

Floats = NDArray[np.float64]


def computed(
    *,
    protocol: str,
    powers: list[int],
    M: list[int],
    classes: int,
    K: list[int],
    stored_at: int,
    samples: int,
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """Overlaps m with the archetypes against M at K = ``classes``, and against K at M = ``stored_at``; theory of both.

    ``start`` is where chains begin and what was learned: "archetype" and "unseen", a test image, after images; "flips"
    at the archetype after independent examples, of the same archetypes and the mean quality of the images. Means over
    the classes among the K, and over ``sweeps`` sweeps after as many. Errors are over samples: draws of images, of
    classes where K is below their number, and of random patterns.
    """
    line = {"line_M": np.arange(1, M[-1] + 1), "line_K": np.unique(np.geomspace(1, 1e5, n_line).astype(np.int64))}
    parts = []
    for name in NAMES:
        pixels = binarise(load_images(name))
        N, r = pixels.sizes["site"], float(archetypes(pixels).r.mean())
        variables: dict[str, Any] = {"N": N, "r": r}
        for axis, points in (("M", [(classes, m) for m in M]), ("K", [(k, stored_at) for k in K])):
            told = tqdm(
                [(P, *point) for P in powers for point in points], desc=f"{name}, {axis}", delay=2, disable=None
            )
            found = np.array([_measured(pixels, protocol, *job, samples, sweeps) for job in told])
            mean, error = np.moveaxis(found.reshape(len(powers), len(points), 2, len(STARTS)), 2, 0)
            variables |= {f"m_{axis}": (("P", axis, "start"), mean), f"m_{axis}_error": (("P", axis, "start"), error)}
        theory = [_theory(protocol, P, N, r, classes, line["line_M"]) for P in powers]
        loaded = [_theory(protocol, P, N, r, line["line_K"], stored_at) for P in powers]
        variables |= {"theory_M": (("P", "line_M"), theory), "theory_K": (("P", "line_K"), loaded)}
        parts.append(xr.Dataset(variables))
    ds = xr.concat(parts, xr.DataArray(list(NAMES), dims="images", name="images"))
    ds = ds.assign_coords({"P": powers, "M": M, "K": K, "start": list(STARTS)} | line)
    return ds.assign_attrs(T=T_OF_ALL, classes=classes, stored_at=stored_at, samples=samples, protocol=protocol)


def _measured(pixels: xr.Dataset, protocol: str, P: int, K: int, M: int, samples: int, sweeps: int) -> Floats:
    """Mean and error over samples of m, (2, start)."""
    many = max(1, min(samples, _AT_ONCE // (K * M * pixels.sizes["site"])))
    seeds = range(0, samples, many)
    m = np.concatenate([_run(pixels, protocol, P, K, M, min(many, samples - k), sweeps, k) for k in seeds])
    return np.stack([m.mean(axis=0), m.std(axis=0, ddof=1) / np.sqrt(samples)])


def _run(pixels: xr.Dataset, protocol: str, P: int, K: int, M: int, samples: int, sweeps: int, seed: int) -> Floats:
    """m (sample, start), averaged over the classes among the K, over ``sweeps`` sweeps after as many."""
    drawn = image_examples(pixels, K=K, M=M, samples=samples, seed=seed)
    r = float(drawn.r.mean())
    xi = drawn.xi.values[:, : drawn.sizes["known"]]
    flips = examples(drawn.xi, r=r, M=M, seed=seed + 2**32)
    found = []
    for eta, starts in ((drawn.eta, (xi, drawn.unseen.values)), (flips, (xi,))):
        start = np.concatenate(starts, axis=1)[:, None]
        run = simulate(
            stored(drawn.xi, eta, P=P, r=r, protocol=protocol),
            T=T_OF_ALL,
            chains=start.shape[2],
            sweeps=sweeps,
            burn_in=sweeps,
            every=sweeps // 4,
            start=start,
            seed=seed,
            observables=("spins",),
        )
        m = np.mean(run.spins.values[:, 0] * np.concatenate([xi] * len(starts), axis=1)[:, :, None], axis=(2, 3))
        found.append(m.reshape(samples, len(starts), -1).mean(axis=2))
    return np.concatenate(found, axis=1)


def _theory(protocol: str, P: int, N: int, r: float, K: Any, M: Any) -> Floats:
    """m of random patterns of quality r, from the retrieval start; nan where that is lost."""
    K, M = np.broadcast_arrays(K, M)
    load = load_to_gamma(K / float(N) ** (P - 1), P=P)
    at: dict[str, Any] = {"T": T_OF_ALL, "protocol": protocol, "r": r, "M": M, "etabar": "binomial"}
    m = np.asarray(solve(Hopfield(alpha=load, **at) if P == 2 else DenseHebbian(P=P, gamma=load, **at)).m)
    return np.where(m > 0.01, m, np.nan)


def drawn(ds: xr.Dataset) -> "Figure":
    """m against M above, against K below; the collections side by side."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(3.375, 4.4), sharey=True, sharex="row")
    for column, name in zip(axes.T, ds.images.values, strict=True):
        at = ds.sel(images=name)
        for axis, where in zip("MK", column, strict=True):
            _draw(where, at, axis)
        column[0].set_title(f"{NAMES[str(name)]}\n$N={int(at.N)}$, $r={float(at.r):.2f}$")
    a = ds.attrs
    axes[0, 0].set(ylabel=rf"overlap $m$ ($K={a['classes']}$)", ylim=(0, 1.05))
    axes[1, 0].set(ylabel=rf"overlap $m$ ($M={a['stored_at']}$)")
    _legend(figure, ds)
    return figure


def _draw(axes: "Axes", at: xr.Dataset, axis: str) -> None:
    for k, P in enumerate(at.P.values):
        one, color = at.sel(P=P), f"C{k}"
        axes.plot(at[f"line_{axis}"], one[f"theory_{axis}"], ls=LINES[k], color=color, lw=1.0)
        for start, marker, face in (
            ("archetype", MARKERS[k], color),
            ("unseen", MARKERS[k], "w"),
            ("flips", "x", color),
        ):
            m, error = (one[f"m_{axis}{what}"].sel(start=start) for what in ("", "_error"))
            axes.errorbar(at[axis], m, error, fmt=marker, color=color, mfc=face, ms=3, mew=0.7, elinewidth=0.7)
    axes.set_xscale("log", base=4 if axis == "M" else 10)
    if axis == "M":
        axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("examples per class $M$" if axis == "M" else "patterns $K$")


def _legend(figure: "Figure", ds: xr.Dataset) -> None:
    from matplotlib.lines import Line2D

    colors = [
        Line2D([], [], color=f"C{k}", marker=MARKERS[k], ls=LINES[k], ms=3, label=f"$P={P}$")
        for k, P in enumerate(ds.P.values)
    ]
    looks = [
        Line2D([], [], ls="", marker="o", color="0.3", ms=3, label="images, start at archetype"),
        Line2D([], [], ls="", marker="o", mfc="w", color="0.3", ms=3, label="images, start at unseen image"),
        Line2D([], [], ls="", marker="x", color="0.3", ms=3, label="independent flips, archetype"),
        Line2D([], [], color="0.3", lw=0.9, label="theory, random patterns"),
    ]
    told = rf"{ds.attrs['protocol']}, $T'={ds.attrs['T']:g}\,[J/k_B]$"
    figure.legend(handles=colors, title=told, title_fontsize=8, loc="outside upper center", ncols=3)
    figure.legend(handles=looks, loc="outside lower center", ncols=2, handlelength=1.2, columnspacing=0.8)
