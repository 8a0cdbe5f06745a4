r"""Random features of the arc-cosine kernels, which are averages over Gaussian directions w ~ N(0, 1_d),

    k_n(x, y) = 2 E[Theta(w.x) (w.x)^n Theta(w.y) (w.y)^n] = |x|^n |y|^n J_n(theta)/pi,

    J_0 = pi - theta,   J_1 = sin theta + (pi - theta) cos theta,
    J_2 = 3 sin theta cos theta + (pi - theta)(1 + 2 cos^2 theta),

with theta the angle of x and y. A mean over m directions is a dot product of m features and estimates k_n without
bias, for independent directions, for orthogonal ones of chi-distributed length, and for a scrambled Sobol sequence.
"""

from dataclasses import dataclass, is_dataclass, replace
from math import ceil, pi
from typing import Any, ClassVar, Protocol

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist
from scipy.special import ndtri
from scipy.stats import qmc

from ...core.backend import Array
from ...core.errors import real_array, require, require_integer


class Features(Protocol):
    """A random feature map, a dataclass; another ``seed`` is an independent draw of it."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def seed(self) -> int:
        """The key of the draw."""

    def transform(self, X: ArrayLike) -> Array:
        """Features (n, M) of the rows of X (n, d)."""


def arc_cosine_kernel(X: ArrayLike, Y: ArrayLike | None = None, *, order: int) -> xr.DataArray:
    r"""Arc-cosine kernel of order 0, 1 or 2.

    .. math::
        k_n(x, y) = \frac1\pi |x|^n |y|^n J_n(\theta), \qquad k_n(x, x) = (2n - 1)!!\, |x|^{2n}

    k_1/2 is the dual E relu(u) relu(v) of the ReLU. A zero row has theta = pi/2, as Theta(0) = 1/2 implies.

    Parameters
    ----------
    X, Y : arrays (n, d) and (n', d); Y = X where it is left out
    order : {0, 1, 2}

    Returns
    -------
    DataArray (x1, x2) of shape (n, n'). The angle is 2 atan(|x_hat - y_hat|/|x_hat + y_hat|), exact at any angle.

    Raises
    ------
    ValueError
        If an array has the wrong shape or an entry that is not finite, or order is none of these.

    Source: Y. Cho, L. K. Saul, Adv. Neural Inf. Process. Syst. 22 (2009), eqs. 1, 3-6.

    >>> round(float(arc_cosine_kernel([[1.0, 0.0]], [[0.0, 2.0]], order=1)[0, 0]), 12)  # |x| |y|/pi
    0.636619772368
    """
    require_integer(order, "order", 0, 2, "0, 1 or 2")
    X = rows("X", X)
    Y = X if Y is None else rows("Y", Y, X.shape[1])
    (x, x_length), (y, y_length) = _unit(X), _unit(Y)
    apart, along = cdist(x, y), cdist(x, -y)
    theta = np.where(apart + along > 0, 2 * np.arctan2(apart, along), pi / 2)
    angular = (_j0, _j1, _j2)[order](theta) / pi
    return xr.DataArray(np.outer(x_length**order, y_length**order) * angular, dims=("x1", "x2"))


def _j0(theta: Array) -> Array:
    return pi - theta


def _j1(theta: Array) -> Array:
    return np.sin(theta) + (pi - theta) * np.cos(theta)


def _j2(theta: Array) -> Array:
    return 3 * np.sin(theta) * np.cos(theta) + (pi - theta) * (1 + 2 * np.cos(theta) ** 2)


@dataclass(frozen=True, kw_only=True)
class ArcCosineFeatures:
    r"""Features whose dot product estimates the arc-cosine kernel without bias.

    .. math::
        \phi_i(x) = \sqrt{2/m}\; \Theta(w_i.x)\, (w_i.x)^n

    Parameters
    ----------
    order : {0, 1, 2}
        n.
    m : int >= 1
        Number of features; a power of 2 for ``draw="qmc"``.
    seed : int >= 0
    draw : {"iid", "orthogonal", "qmc"}
        Directions w_i: independent; in blocks of d orthogonal ones, uniform on the rotations, with independent chi_d
        lengths; or Gaussian quantiles of a scrambled Sobol sequence. Each w_i is N(0, 1_d) in all three.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its range.

    Source: Cho and Saul (2009); orthogonal blocks: F. X. Yu et al., arXiv:1610.09072; K. Choromanski, M. Rowland,
    A. Weller, arXiv:1703.00864.

    >>> features = ArcCosineFeatures(order=1, m=4096, seed=1, draw="orthogonal")
    >>> phi = features.transform([[1.0, 0.0], [0.0, 2.0]])
    >>> phi.shape, round(float(phi[0] @ phi[1]), 2)
    ((2, 4096), 0.71)
    """

    order: int
    m: int
    seed: int
    draw: str = "iid"

    def __post_init__(self) -> None:
        require_integer(self.order, "order", 0, 2, "0, 1 or 2")
        require_integer(self.m, "m", 1, 2**31, "in [1, 2^31]")
        require_integer(self.seed, "seed", 0, 2**63 - 1, "in [0, 2^63)")
        if self.draw not in ("iid", "orthogonal", "qmc"):
            raise ValueError(f"draw must be iid, orthogonal or qmc, got {self.draw!r}")
        power = self.m & (self.m - 1) == 0
        require(self.draw != "qmc" or power, "m", self.m, 'a power of 2 for draw="qmc"')

    def transform(self, X: ArrayLike) -> Array:
        """Features (n, m) of the rows of X (n, d); ValueError for another shape or an entry that is not finite."""
        X = rows("X", X)
        z = X @ self._directions(X.shape[1]).T
        z = np.heaviside(z, 0.5) if self.order == 0 else np.maximum(z, 0) ** self.order
        z *= np.sqrt(2 / self.m)
        return z

    def _directions(self, d: int) -> Array:
        if self.draw == "qmc":
            return _sobol(self.seed, self.m, d)
        rng = np.random.Generator(np.random.Philox(key=self.seed))
        return _orthogonal(rng, self.m, d) if self.draw == "orthogonal" else rng.standard_normal((self.m, d))


def _orthogonal(rng: np.random.Generator, m: int, d: int) -> Array:
    """Rows of Haar rotations, each times the length of a Gaussian vector."""
    blocks = ceil(m / d)
    Q, R = np.linalg.qr(rng.standard_normal((blocks, d, d)))
    Q *= np.sign(np.diagonal(R, axis1=1, axis2=2))[:, None, :]  # else QR is not uniform on the rotations
    return (Q.reshape(-1, d) * np.sqrt(rng.chisquare(d, (blocks * d, 1))))[:m]


def _sobol(seed: int, m: int, d: int) -> Array:
    """Gaussian quantiles of the middles of the 2^52 cells of a scrambled Sobol sequence."""
    require(d <= qmc.Sobol.MAXDIM, "d", d, f'at most {qmc.Sobol.MAXDIM} for draw="qmc"')
    points = qmc.Sobol(d, bits=52, rng=seed).random_base2(m.bit_length() - 1)
    return ndtri(points + 2.0**-53)


def kernel_estimate(features: Features, X: ArrayLike, Y: ArrayLike | None = None, *, replicas: int) -> xr.Dataset:
    r"""Kernel of a feature map as the mean over independent draws, with its standard error.

    .. math::
        \hat K = \frac1R \sum_r \phi^{(r)}(X)\, \phi^{(r)}(Y)^T

    Parameters
    ----------
    features : ArcCosineFeatures, NetworkFeatures or any other frozen dataclass with ``seed`` and ``transform``
        The draws have the seeds seed, seed + 1, ...
    X, Y : arrays (n, d) and (n', d); Y = X where it is left out
    replicas : int >= 2
        R.

    Returns
    -------
    Dataset of ``kernel`` and ``error`` with dims (x1, x2), and ``spread``, the standard deviation of one draw. The
    error is that of the mean; it holds for features of any draw, but knows nothing of a bias.

    Raises
    ------
    ValueError, TypeError
        If replicas is no integer >= 2, features no feature map, X and Y differ in columns, or as ``transform``.

    >>> found = kernel_estimate(ArcCosineFeatures(order=1, m=256, seed=3), [[1.0, 0.0]], [[0.0, 2.0]], replicas=64)
    >>> round(float(found.kernel[0, 0]), 2), round(float(found.error[0, 0]), 3)
    (0.62, 0.014)
    """
    require_integer(replicas, "replicas", 2, 2**31, ">= 2")
    if not (is_dataclass(features) and hasattr(features, "seed") and hasattr(features, "transform")):
        raise TypeError(f"features must be a feature map, a dataclass with seed and transform, got {features!r}")
    X = rows("X", X)
    Y = None if Y is None else rows("Y", Y, X.shape[1])
    mean, squares = np.zeros(()), np.zeros(())
    for r in range(replicas):
        draw = replace(features, seed=features.seed + r)
        phi = draw.transform(X)
        gram = phi @ (phi if Y is None else draw.transform(Y)).T
        shift = gram - mean
        mean = mean + shift / (r + 1)
        squares = squares + shift * (gram - mean)
    spread = np.sqrt(squares / (replicas - 1))
    fields = {"kernel": mean, "error": spread / np.sqrt(replicas), "spread": spread}
    return xr.Dataset({name: (("x1", "x2"), values) for name, values in fields.items()})


def rows(name: str, X: ArrayLike, d: int | None = None) -> Array:
    """Points as the rows of a finite float array (n, d)."""
    X = real_array(X, name)
    if X.ndim != 2 or 0 in X.shape or d not in (None, X.shape[1]):
        raise ValueError(f"{name} must have shape (n, {d or 'd'}), got {X.shape}")
    require(np.isfinite(X), name, X, "finite")
    return X


def _unit(X: Array) -> tuple[Array, Array]:
    """Directions and lengths of the rows; a zero row keeps the direction 0."""
    length = np.linalg.norm(X, axis=1)
    return np.divide(X, length[:, None], out=np.zeros(X.shape), where=length[:, None] > 0), length
