r"""Spectra of kernels on spheres: what a wide network learns first.

A kernel K(t) of the cosine t = x.x' between unit vectors of R^d has the spherical harmonics for eigenfunctions. With
P_k the Gegenbauer polynomial of S^{d-1}, P_k(1) = 1, and the uniform probability measure,

    lambda_k = <K P_k> = int_0^pi K(cos a) P_k(cos a) sin^{d-2} a da / int_0^pi sin^{d-2} a da,
    K(t) = sum_k N(d, k) lambda_k P_k(t),      N(d, k) = C(k+d-1, k) - C(k+d-3, k-2).

On a product of spheres the eigenfunctions are products of harmonics, lambda_{k k'} = <K(t, t') P_k(t) P_k'(t')>.

Kernels of networks have powers (1 - t)^{1/2}, (1 - t)^{3/2}, ... at coincident points, and cones where several
patches coincide. In the angle, the tanh-sinh rule of Takahasi and Mori still converges exponentially.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from itertools import count
from math import comb
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.backend import Array
from ...core.errors import ConvergenceError, is_real, real_array, require, require_integer

if TYPE_CHECKING:
    from .network import Network

_EDGE = 3.25  # the weights of the rule are below 1e-16 beyond
_FIRST, _MOST = 128, (2**13, 2**11, 2**8)  # nodes per angle; at most, with 1, 2, 3 spheres
_BLOCK = 2**20  # values of the kernel at a time
_TOLERANCE = 1e-10  # of the largest eigenvalue


@dataclass(frozen=True, eq=False)
class SphereSpectrum:
    """Eigenvalues of a kernel on a sphere, or on a product of spheres (one axis of degrees k per sphere)."""

    dims: tuple[int, ...]
    """d of each sphere S^{d-1}"""
    eigenvalues: Array
    """lambda, shape (k_max + 1, ...); noise where not ``resolved``"""
    multiplicities: Array
    """number of eigenfunctions of each, the same shape; exact below 2^53"""
    quadrature_error: Array
    """estimated error of each eigenvalue, rounding included"""
    trace: float
    """K(1), the sum of all eigenvalues"""

    @property
    def resolved(self) -> NDArray[np.bool_]:
        """Where an eigenvalue exceeds its error; elsewhere it is zero as far as this computation can tell."""
        return abs(self.eigenvalues) > self.quadrature_error

    @property
    def trace_residual(self) -> float:
        """K(1) - sum of the resolved eigenvalues: what the other degrees hold."""
        return self.trace - float((self.multiplicities * self.eigenvalues)[self.resolved].sum())

    @property
    def trace_error(self) -> float:
        """Estimated error of ``trace_residual``: the multiplicities amplify the errors of high degrees."""
        return float((self.multiplicities * self.quadrature_error)[self.resolved].sum())

    def kernel(self, *t: ArrayLike) -> Array:
        """Sum of N lambda P_k(t) over the resolved degrees, for one array of cosines per sphere (they broadcast).

        Where all eigenvalues are >= 0 it is off by at most ``trace_residual``, because abs(P_k) <= 1.
        """
        require(len(t) == len(self.dims), "number of arrays t", len(t), f"{len(self.dims)}, one per sphere")
        value = np.where(self.resolved, self.multiplicities * self.eigenvalues, 0.0)
        value = value.reshape(value.shape + (1,) * max(map(np.ndim, t)))
        for cosine, d, size in zip(t, self.dims, self.eigenvalues.shape, strict=True):
            P = gegenbauer(cosine, dim=d, k_max=size - 1)
            P = P.reshape(P.shape[:1] + (1,) * (value.ndim - P.ndim) + P.shape[1:])
            value = (value * P).sum(0)
        return value


def gegenbauer(t: ArrayLike, *, dim: int, k_max: int) -> Array:
    r"""Gegenbauer polynomials of the sphere S^{d-1}, normalised to 1 at t = 1.

    .. math:: (k + d - 2) P_{k+1}(t) = (2k + d - 2)\, t P_k(t) - k P_{k-1}(t), \qquad P_0 = 1,\ P_1 = t

    Parameters
    ----------
    t : array_like, in [-1, 1]
        Cosines.
    dim : int in [2, 1000]
        d; 2 gives the Chebyshev polynomials cos(k a), 3 those of Legendre.
    k_max : int in [0, 200]
        Highest degree.

    Returns
    -------
    array, shape (k_max + 1, *t.shape).

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: Atkinson and Han, Spherical Harmonics and Approximations on the Unit Sphere (2012), 2.7.

    >>> gegenbauer(0.5, dim=3, k_max=3).tolist()
    [1.0, 0.5, -0.125, -0.4375]
    """
    _check_degrees(dim, k_max)
    t = real_array(t, "t")
    require(abs(t) <= 1, "t", t, "in [-1, 1]")
    P = np.ones((k_max + 1, *t.shape))
    P[1:2] = t
    for k in range(1, k_max):
        P[k + 1] = ((2 * k + dim - 2) * t * P[k] - k * P[k - 1]) / (k + dim - 2)
    return P


def multiplicities(*, dim: int, k_max: int) -> Array:
    r"""Number N(d, k) of spherical harmonics of degree 0 ... k_max on S^{d-1}.

    .. math:: N(d, k) = \binom{k+d-1}{k} - \binom{k+d-3}{k-2}

    ``dim`` = d in [2, 1000], ``k_max`` in [0, 200], else a ``ValueError``. Returns floats, exact below 2^53.

    >>> multiplicities(dim=10, k_max=4)
    array([  1.,  10.,  54., 210., 660.])
    """
    _check_degrees(dim, k_max)
    below = [0, 0] + [comb(k + dim - 3, k - 2) for k in range(2, k_max + 1)]
    return np.array([float(comb(k + dim - 1, k) - below[k]) for k in range(k_max + 1)])


def sphere_spectrum(kernel: Callable[..., ArrayLike], *, dim: int | tuple[int, ...], k_max: int) -> SphereSpectrum:
    r"""Eigenvalues of a kernel on a sphere, or on a product of up to three spheres.

    .. math:: \lambda_{k_1 k_2 \dots} = \langle K(t_1, t_2, \dots)\, P_{k_1}(t_1) P_{k_2}(t_2) \cdots \rangle

    Parameters
    ----------
    kernel : callable
        K of one array of cosines in [-1, 1] per sphere, vectorised; it must be finite, and smooth in the angles but at
        0 and pi.
    dim : int in [2, 1000], or a tuple of one to three
        d of each sphere S^{d-1} in R^d; 2 is the circle.
    k_max : int in [0, 200]
        Highest degree, in each sphere.

    Returns
    -------
    SphereSpectrum
        Eigenvalues of shape (k_max + 1,) per sphere, their multiplicities, an estimated error of each, K(1).
        The error of lambda_k is absolute: in high dimension the eigenvalues of high degree drown in rounding
        (``resolved`` tells).

    Raises
    ------
    ValueError
        If an argument is outside its range or the kernel returns something not finite or of another shape.
    ConvergenceError
        If an error exceeds 1e-10 of the largest eigenvalue; ``solution`` holds what was reached.

    Source: Bordelon, Canatar, Pehlevan, arXiv:2002.02561; Cagnetta, Favero, Wyart, arXiv:2208.01003 (products).

    >>> def one_layer(t):  # the NNGP of one hidden ReLU layer
    ...     return (t * (np.pi - np.arccos(t)) + np.sqrt(1 - t * t)) / np.pi
    >>> sphere_spectrum(one_layer, dim=3, k_max=2).eigenvalues.round(12).tolist()  # 3/8, 1/6, 3/128
    [0.375, 0.166666666667, 0.0234375]
    """
    require(callable(kernel), "kernel", kernel, "a function of cosines")
    dims = dim if isinstance(dim, tuple) else (dim,)
    require(1 <= len(dims) <= 3, "number of spheres", len(dims), "1, 2 or 3")
    for d in dims:
        _check_degrees(d, k_max)
    value, floor = _project(kernel, _FIRST, dims, k_max)
    for nodes in (_FIRST * 2**level for level in count(1)):
        coarse, (value, floor) = value, _project(kernel, nodes, dims, k_max)
        error = abs(value - coarse)
        if (error <= floor).all() or nodes == _MOST[len(dims) - 1]:
            break
    trace = float(_values(kernel, [np.ones(1)] * len(dims)).item())
    N = _outer([multiplicities(dim=d, k_max=k_max) for d in dims])
    found = SphereSpectrum(dims, value, N, error + floor, trace)
    if (found.quadrature_error > _TOLERANCE * abs(value).max()).any():
        message = f"the spectrum is off by up to {error.max():.1e} with {nodes} nodes per angle: is the kernel smooth?"
        raise ConvergenceError(message, found)
    return found


def zonal_kernel(network: "Network", *, dim: int, kind: str = "ntk", norm: float = 1.0) -> Callable[[ArrayLike], Array]:
    r"""Kernel of a network as a function of the cosine between two inputs of one norm.

    .. math:: t \mapsto K(x, x'), \qquad x = |x|\,(1, 0, 0, \dots), \quad x' = |x|\,(t, \sqrt{1 - t^2}, 0, \dots)

    ``network`` of Dense layers; ``dim`` = d in [2, 1000], of its inputs; ``kind`` "nngp" or "ntk"; ``norm`` = abs(x),
    positive. Returns a function of an array of cosines in [-1, 1]; raises ``ValueError`` or ``TypeError`` else.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.0)
    >>> sphere_spectrum(zonal_kernel(net, dim=3, norm=1.5**0.5), dim=3, k_max=2).eigenvalues.round(9).tolist()
    [0.5, 0.333333333, 0.078125]
    """
    _check_degrees(dim, 0)
    if not hasattr(network, "kernel"):
        raise TypeError(f"network must be a network from serial or mlp, got {network!r}")
    require(is_real(norm) and norm > 0, "norm", norm, "finite and > 0")
    if kind not in ("nngp", "ntk"):
        raise ValueError(f"kind must be nngp or ntk, got {kind!r}")

    def kernel(t: ArrayLike) -> Array:
        t = real_array(t, "t")
        require(abs(t) <= 1, "t", t, "in [-1, 1]")
        x = np.zeros((t.size, dim))
        x[:, 0], x[:, 1] = t.ravel(), np.sqrt((1 - t) * (1 + t)).ravel()
        pair = network.kernel(norm * np.eye(dim)[:1], norm * x, get=kind)
        return np.asarray(getattr(pair, kind)).reshape(t.shape) * np.exp(pair.log_scale)

    return kernel


def product_spectrum(*spectra: SphereSpectrum) -> SphereSpectrum:
    r"""Spectrum of a product of kernels of separate inputs, each on its own sphere or product of spheres.

    .. math:: K = K_1(t_1) K_2(t_2) \cdots, \qquad \lambda_{k_1 k_2 \dots} = \lambda_{k_1} \lambda_{k_2} \cdots

    Takes at least one :class:`SphereSpectrum` and returns another, whose axes are theirs in order; errors are
    propagated. A sum of such kernels is the sum of the eigenvalues.

    >>> circle = sphere_spectrum(lambda t: 1 + t, dim=2, k_max=1)
    >>> product_spectrum(circle, circle).eigenvalues.round(12).tolist()
    [[1.0, 0.5], [0.5, 0.25]]
    """
    require(len(spectra) > 0, "number of spectra", len(spectra), ">= 1")
    if not all(isinstance(s, SphereSpectrum) for s in spectra):
        raise TypeError(f"spectra must each be a SphereSpectrum, got {spectra!r}")
    size = _outer([abs(s.eigenvalues) for s in spectra])
    error = _outer([abs(s.eigenvalues) + s.quadrature_error for s in spectra]) - size
    return SphereSpectrum(
        sum((s.dims for s in spectra), ()),
        _outer([s.eigenvalues for s in spectra]),
        _outer([s.multiplicities for s in spectra]),
        error + len(spectra) * np.finfo(float).eps * size,
        float(np.prod([s.trace for s in spectra])),
    )


def _check_degrees(dim: int, k_max: int) -> None:
    require_integer(dim, "dim", 2, 1000, "in [2, 1000]")
    require_integer(k_max, "k_max", 0, 200, "in [0, 200]")


def _outer(factors: list[Array]) -> Array:
    return reduce(np.multiply.outer, factors)


def _angles(nodes: int) -> tuple[Array, Array, Array]:
    """Cosine, log of the sine and weight of the tanh-sinh rule in the angle; exactly antipodal, so parity is kept."""
    u = np.linspace(-_EDGE, _EDGE, nodes + 1)
    s = np.pi / 2 * np.sinh(u)
    pole, equator = np.pi / (1 + np.exp(2 * abs(s))), np.pi / 2 * np.tanh(s)  # the angles to the nearer of them
    far = abs(s) < 0.5
    t = np.where(far, np.sin(equator), np.sign(u) * np.cos(pole))
    log_sine = np.where(far, np.log1p(-np.square(np.sin(equator * far))) / 2, np.log(np.sin(pole)))
    return t, log_sine, np.cosh(u) / np.cosh(s) ** 2


def _values(kernel: Callable[..., ArrayLike], cosines: list[Array]) -> Array:
    """K on the grid of the cosines, checked."""
    value = real_array(kernel(*np.ix_(*cosines)), "kernel(t)")
    shape = tuple(len(t) for t in cosines)
    if value.shape != shape:
        raise ValueError(f"kernel must return one value per cosine, shape {shape}, got {value.shape}")
    require(np.isfinite(value), "kernel(t)", value, "finite on [-1, 1]")
    return value


def _project(kernel: Callable[..., ArrayLike], nodes: int, dims: tuple[int, ...], k_max: int) -> tuple[Array, Array]:
    """<K P_k P_k' ...> by the product rule, and its rounding, that of P_k growing with k."""
    t, log_sine, weight = _angles(nodes)
    basis = []
    for d in dims:
        density = weight * np.exp((d - 2) * log_sine)
        basis.append(gegenbauer(t, dim=d, k_max=k_max) * (density / density.sum()))
    signed, absolute = np.zeros((2,) + (k_max + 1,) * len(dims))
    rows = max(1, _BLOCK // len(t) ** (len(dims) - 1))
    for first in range(0, len(t), rows):
        part = slice(first, first + rows)
        value = _values(kernel, [t[part]] + [t] * (len(dims) - 1))
        projectors = [basis[0][:, part], *basis[1:]]
        signed += _contract(value, projectors)
        absolute += _contract(abs(value), [abs(P) for P in projectors])
    return signed, np.finfo(float).eps * (8 + np.indices(signed.shape).sum(0) / 2) * absolute


def _contract(value: Array, projectors: list[Array]) -> Array:
    """Sum over the points of each axis, in turn replaced by an axis of degrees."""
    for P in reversed(projectors):
        value = np.moveaxis(np.tensordot(value, P, axes=(len(projectors) - 1, 1)), -1, 0)
    return value
