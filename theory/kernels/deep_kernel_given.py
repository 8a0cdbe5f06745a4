"""What a deep kernel machine is given, checked, and where its ascent may start."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import real_array, require, require_integer
from .deep_kernel_algebra import factor
from .deep_kernel_maps import MAPS, GramMap, square

_ROUNDING = 1e-10


class Given(NamedTuple):
    """Y (n, C), nu (layers,), the noise and the kernel."""

    Y: Array
    nu: Array
    noise: float
    kernel: GramMap


def given(Y: ArrayLike, points: int, kernel: str, layers: int, nu: ArrayLike, noise: float) -> Given:
    """Check everything but the inputs; ``points`` is how many rows Y must have."""
    require_integer(layers, "layers", 1, 1000, "in [1, 1000]")
    if not isinstance(kernel, str) or kernel not in MAPS:
        raise ValueError(f"kernel must be one of {', '.join(MAPS)}, got {kernel!r}")
    labels = finite("Y", Y)
    if labels.ndim not in (1, 2) or len(labels) != points or labels.size == 0:
        raise ValueError(f"Y must have shape ({points},) or ({points}, outputs), got {labels.shape}")
    rates = finite("nu", nu)
    if rates.shape not in ((), (layers,)):
        raise ValueError(f"nu must be a number or have shape ({layers},), got {rates.shape}")
    require(rates > 0, "nu", rates, "> 0")
    level = finite("noise", noise)
    if level.ndim:
        raise ValueError(f"noise must be a number, got shape {level.shape}")
    require(level >= 0, "noise", level, ">= 0")
    return Given(labels.reshape(points, -1), np.broadcast_to(rates, (layers,)).copy(), float(level), MAPS[kernel])


def points(name: str, X: ArrayLike, columns: int | None = None) -> Array:
    """Return inputs as float64 of shape (points, columns), none of the two empty."""
    x = finite(name, X)
    if x.ndim != 2 or 0 in x.shape or (columns is not None and x.shape[1] != columns):
        raise ValueError(f"{name} must have shape (points, {columns or 'features'}), neither 0, got {x.shape}")
    return x


def gram(name: str, G: ArrayLike) -> Array:
    """Return a symmetric positive semi-definite matrix of positive diagonal as float64."""
    g = finite(name, G)
    if g.ndim != 2 or g.shape[0] != g.shape[1] or g.size == 0:
        raise ValueError(f"{name} must be a square matrix of at least one row, got shape {g.shape}")
    size = np.abs(g).max()
    require(np.abs(g - g.T).max() <= _ROUNDING * size, name, float(np.abs(g - g.T).max()), "symmetric (|G - G^T| = 0)")
    require(np.diagonal(g) > 0, f"the diagonal of {name}", np.diagonal(g), "> 0")
    lowest = float(np.linalg.eigvalsh(g)[0])
    require(lowest >= -_ROUNDING * size, f"the smallest eigenvalue of {name}", lowest, ">= 0")
    return 0.5 * (g + g.T)


def finite(name: str, value: ArrayLike) -> Array:
    """Return the value as float64, refusing NaN and infinity."""
    v = real_array(value, name)
    require(np.isfinite(v), name, v, "finite")
    return v


def forward(G0: Array, kernel: GramMap, layers: int) -> Array:
    """Cholesky factors of K(G_0), K(K(G_0)), ...: the prior mean (NNGP), (layers, n, n)."""
    G, factors = G0, []
    for layer in range(layers):
        G = square(kernel, G).k
        if not _definite(G):
            raise ValueError(
                f"K(G_{layer}) must be positive definite, and is not to rounding: are two inputs equal, or, for relu, "
                "parallel, or, for linear, more than their features? A positive input_noise parts all but equal ones"
            )
        factors.append(factor(G))
    return np.array(factors)


def _definite(G: Array) -> bool:
    """Whether all pivots are above rounding."""
    try:
        pivots = np.diagonal(factor(G)) ** 2
    except np.linalg.LinAlgError:
        return False
    return bool((pivots > 10 * len(G) * np.finfo(float).eps * np.diagonal(G)).all())


def started(start: str | ArrayLike, prior: Array, seed: int) -> Array:
    """Cholesky factors (layers, n, n) from the name of a start or from Gram matrices."""
    if isinstance(start, str):
        if start not in ("nngp", "random"):
            raise ValueError(f"start must be nngp, random or an array of Gram matrices, got {start!r}")
        return prior if start == "nngp" else _wishart(prior, seed)
    grams = finite("start", start)
    if grams.shape != prior.shape:
        raise ValueError(f"start must have shape {prior.shape}, got {grams.shape}")
    try:
        return factor(grams)
    except np.linalg.LinAlgError:
        raise ValueError("start must be positive definite in every layer, and is not") from None


def _wishart(prior: Array, seed: int) -> Array:
    """Independent Wishart matrices of 2n degrees of freedom around the prior mean."""
    require_integer(seed, "seed", 0, 2**64 - 1, "in [0, 2^64)")
    layers, n, _ = prior.shape
    z = np.random.Generator(np.random.Philox(key=seed)).normal(size=(layers, n, 2 * n))
    return prior @ factor(z @ z.transpose(0, 2, 1) / (2 * n))
