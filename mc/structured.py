"""Structured patterns: images as spins, the archetype of every class, and examples of it drawn from the images."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require, require_integer
from ..core.memory import require_memory
from ..core.philox import STREAMS, words
from .patterns import examples, patterns

_LAST = 2**32 - 1
_LANES = {"train": _LAST, "test": _LAST - 1}
"""Addresses beyond those of random patterns and their examples: the order of the classes, and of their images."""


def binarise(images: xr.Dataset, *, threshold: str | float = "median", balance: float = 0.6) -> xr.Dataset:
    r"""Turn grey images into spins, and leave out pixels that are nearly always the same.

    .. math:: \eta_i = \mathrm{sign}(x_i - \theta_i), \qquad
              \theta_i = \min\{\theta: P(x_i \le \theta) \ge \tfrac12\} \ \text{or}\ \theta, \qquad
              |\langle \eta_i \rangle| \le b

    over the training images, with -1 at the threshold. Pixels that seldom change are the common background of all
    images: with them every archetype overlaps with every other (on MNIST by 0.65 on average, 0.07 without).

    Parameters
    ----------
    images : Dataset as ``load_images`` returns it
    threshold : "median", the own one of every pixel, or one grey value in [0, 255] for all
    balance : float in (0, 1], the b above; 1 keeps all pixels

    Returns
    -------
    Dataset with ``eta`` (image, site) int8 of -1 and 1, ``label`` (image,), and the coordinates ``split`` (image,),
    ``row`` and ``column`` (site,).

    Raises
    ------
    ValueError outside these ranges, or where no pixel is left; TypeError where images is no such dataset.

    Source: thresholds at the median make every site unbiased, as patterns of the theory are; D. J. Amit, H. Gutfreund,
    H. Sompolinsky, Phys. Rev. A 35, 2293 (1987) for what biased patterns do.

    >>> grey = np.array([[[0, 9]], [[5, 9]], [[7, 9]], [[8, 9]]], np.uint8)
    >>> told = {"grey": (("image", "row", "column"), grey), "label": ("image", [0, 0, 1, 1])}
    >>> binarise(xr.Dataset(told, {"split": ("image", ["train"] * 4)})).eta.values.ravel()
    array([-1, -1,  1,  1], dtype=int8)
    """
    _require_dataset(images, "images", ("grey", "label", "split"), "load_images")
    require(0 < balance <= 1, "balance", balance, "in (0, 1]")
    grey = images.grey.stack(site=("row", "column")).reset_index("site")
    train = np.ascontiguousarray(grey.values[images.split.values == "train"].T)
    below = np.cumsum([np.bincount(x, minlength=256) for x in train], axis=1) / train.shape[1]  # P(x <= grey)
    if isinstance(threshold, str):
        if threshold != "median":
            raise ValueError(f"threshold must be 'median' or a number in [0, 255], got {threshold!r}")
        theta = np.argmax(below >= 0.5, axis=1)
    else:
        require(0 <= threshold <= 255, "threshold", threshold, "'median' or in [0, 255]")
        theta = np.full(len(train), int(threshold))
    mean = 1 - 2 * np.take_along_axis(below, theta[:, None], axis=1)[:, 0]
    kept = np.flatnonzero(np.abs(mean) <= balance)
    require(kept.size > 0, "balance", balance, "large enough to keep a pixel")
    above = np.take(grey.values, kept, axis=1) > theta[kept].astype(np.uint8)
    eta = grey.isel(site=kept).copy(data=2 * above.view(np.int8) - np.int8(1))
    return xr.Dataset({"eta": eta, "label": images.label}, attrs=images.attrs)


def archetypes(pixels: xr.Dataset) -> xr.Dataset:
    r"""The archetype of every class, the majority of its training images, and how well an image shows it.

    .. math:: \xi_i^c = \mathrm{sign} \langle \eta_i \rangle_c, \qquad
              r_c = \frac1N \sum_i \xi_i^c \langle \eta_i \rangle_c = \frac1N \sum_i |\langle \eta_i \rangle_c|

    with -1 where the majority is a tie.

    Parameters
    ----------
    pixels : Dataset as ``binarise`` returns it; fewer classes by leaving out images

    Returns
    -------
    Dataset with ``xi`` (label, site) int8 of -1 and 1, and ``r`` (label,).

    Raises
    ------
    ValueError where there is no training image; TypeError where pixels is no such dataset.

    Source: the definition; r as in arXiv:2212.00606, whose sites all have the same.

    >>> told = {"eta": (("image", "site"), [[1, 1, -1], [1, -1, -1], [1, 1, 1]]), "label": ("image", [3, 3, 3])}
    >>> found = archetypes(xr.Dataset(told, {"split": ("image", ["train"] * 3)}))
    >>> found.xi.values.tolist(), found.r.values.round(4).tolist()
    ([[1, 1, -1]], [0.5556])
    """
    _require_dataset(pixels, "pixels", ("eta", "label", "split"), "binarise")
    train = pixels.split.values == "train"
    classes, sizes = np.unique(pixels.label.values[train], return_counts=True)
    require(classes.size > 0, "training images", classes.size, "at least one")
    of = [train & (pixels.label.values == c) for c in classes]
    sums = np.stack([np.sum(pixels.eta.values[here], axis=0, dtype=np.int64) for here in of])
    xi = np.where(sums > 0, 1, -1).astype(np.int8)
    r = np.mean(xi * sums / sizes[:, None], axis=1)
    return xr.Dataset({"xi": (("label", "site"), xi), "r": ("label", r)}, {"label": classes})


def image_examples(pixels: xr.Dataset, *, K: int, M: int, samples: int = 1, seed: int) -> xr.Dataset:
    r"""Draw M training images of each of K classes as examples of its archetype; random patterns beyond the classes.

    .. math:: r_\mu = \frac{1}{M N} \sum_{a i} \xi_i^\mu \eta_i^{\mu a}, \qquad \rho = \frac{1 - r^2}{M r^2}, \qquad
              r = \frac1K \sum_\mu r_\mu

    What random-pattern theory is compared at: ``Hopfield`` or ``DenseHebbian`` of this r and M. Every sample has the
    classes in an order of its own, then random patterns with examples of the mean quality of all classes.

    Parameters
    ----------
    pixels : Dataset as ``binarise`` returns it
    K : int in [1, 2^32]
    M : int >= 1, not above the smallest class where classes are drawn
    samples : int in [1, 2^24], number of independent draws
    seed : int in [0, 2^64)

    Returns
    -------
    Dataset with ``xi`` (sample, mu, site) and ``eta`` (sample, mu, example, site), int8; ``label`` (sample, mu), -1 for
    random patterns; ``unseen`` (sample, known, site), a test image of each of the classes among the K; ``r``
    (sample, mu), measured, and ``rho`` (sample,). Larger K, M or samples only append.

    Raises
    ------
    ValueError outside these ranges, TypeError for counts that are no integers and where pixels is no such dataset,
    MemoryError, before anything is drawn, where twice samples K M N bytes are not available.

    Source: arXiv:2212.00606, arXiv:2211.14067 for the theory; the definitions.

    >>> told = {"eta": (("image", "site"), np.ones((6, 4), np.int8)), "label": ("image", [0] * 6)}
    >>> pixels = xr.Dataset(told, {"split": ("image", ["train"] * 5 + ["test"])})
    >>> drawn = image_examples(pixels, K=3, M=2, seed=1)
    >>> drawn.eta.shape, drawn.label.values.tolist(), drawn.r.values.tolist()
    ((1, 3, 2, 4), [[0, -1, -1]], [[1.0, 1.0, 1.0]])
    """
    require_integer(K, "K", 1, 2**32, "in [1, 2^32]")
    require_integer(samples, "samples", 1, 2**24, "in [1, 2^24]")
    archetype, split = archetypes(pixels), pixels.split.values
    classes, N = archetype.label.values, pixels.sizes["site"]
    C = min(K, classes.size)
    lots = {key: [np.flatnonzero((split == key) & (pixels.label.values == c)) for c in classes] for key in _LANES}
    fewest = min(map(len, lots["train"]))
    require(np.array([x.size for x in lots["test"]]) > 0, "test images of a class", 0, "at least one")
    require_integer(M, "M", 1, fewest, f"in [1, {fewest}], the training images of the smallest class")
    size = 2.0 * samples * K * M * N
    require_memory(size, f"eta of N = {N}, K = {K}, M = {M}, samples = {samples}", "fewer patterns or samples")
    xi, eta = np.empty((samples, K, N), np.int8), np.empty((samples, K, M, N), np.int8)
    unseen, label = np.empty((samples, C, N), np.int8), np.full((samples, K), -1)
    if K > C:
        xi[:, C:] = patterns(N=N, K=K - C, samples=samples, seed=seed)
        eta[:, C:] = examples(xi[:, C:], r=float(archetype.r.mean()), M=M, seed=seed)
    for z in range(samples):
        order = _shuffled(np.arange(classes.size), seed, "patterns", _LAST, 0, z)[:C]
        xi[z, :C], label[z, :C] = archetype.xi.values[order], classes[order]
        for mu, c in enumerate(order):
            train, test = (_shuffled(lots[key][c], seed, "examples", mu, lane, z) for key, lane in _LANES.items())
            eta[z, mu], unseen[z, mu] = pixels.eta.values[train[:M]], pixels.eta.values[test[0]]
    r = np.einsum("zki,zkai->zk", xi, eta, dtype=np.int64) / (M * N)
    mean = r.mean(axis=1)
    return xr.Dataset(
        {
            "xi": (("sample", "mu", "site"), xi),
            "eta": (("sample", "mu", "example", "site"), eta),
            "label": (("sample", "mu"), label),
            "unseen": (("sample", "known", "site"), unseen),
            "r": (("sample", "mu"), r),
            "rho": ("sample", (1 - mean**2) / (M * mean**2)),
        }
    )


def _shuffled(items: NDArray[np.intp], seed: int, stream: str, row: int, lane: int, sample: int) -> NDArray[np.intp]:
    """All items in a random order."""
    return items[np.argsort(words(seed, STREAMS[stream], items.size, row=row, lane=lane, sample=sample), kind="stable")]


def _require_dataset(ds: object, name: str, variables: tuple[str, ...], maker: str) -> None:
    given = list(map(str, ds.variables)) if isinstance(ds, xr.Dataset) else [type(ds).__name__]
    if not set(variables) <= set(given):
        raise TypeError(
            f"{name} must be a dataset of mattis.{maker}, with {', '.join(variables)}, got {', '.join(given)}"
        )
