r"""Averages over a Gaussian field, h = (mean + sd z)/T with z ~ N(0, 1), at any temperature, T = 0 included.

Two independent rules. :func:`average` takes any function: it cuts the z axis at the zero z_0 of the field and
clusters Gauss-Legendre nodes there, z = z_0 +- sinh(u)/b, so the kink of tanh at b = sd/T -> infinity costs
nothing. :func:`field` returns the few averages every replica-symmetric model needs, much faster, by the rule of
``core/fused.py``; it errs by less than 1e-13.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from .backend import Array
from .errors import require
from .fused import CHECK, FAST, Rule, fill

_ZMAX = 9.5
_EPS, _WEIGHTS = 4e-16, 4e-14


class FieldAverages(NamedTuple):
    """Averages over h = (mean + sd z)/T, each of the broadcast shape of (mean, sd, T)."""

    tanh: Array
    """E tanh h"""
    C: Array
    """E sech^2(h)/T = d(E tanh)/d mean"""
    C_mean: Array
    """dC/d mean = -2 E[tanh sech^2]/T^2"""
    C_var: Array
    """dC/d sd^2 = E[2 sech^2 - 3 sech^4]/T^3"""
    sech4: Array
    """E sech^4(h)/T^2; infinite at T = 0 unless the field keeps away from zero"""
    log2cosh: Array
    """T E ln 2cosh h; E|mean + sd z| at T = 0"""
    entropy: Array
    """E[ln 2cosh h - h tanh h], the entropy of free spins in this field"""


def _grid(mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> tuple[tuple[Array, Array, Array], tuple[int, ...]]:
    given = [np.asarray(v, np.float64) for v in (mean, sd, T)]
    shape = np.broadcast_shapes(*(v.shape for v in given))
    full = [v if v.shape == shape else np.broadcast_to(v, shape) for v in given]
    a, b, c = (np.require(v, requirements=["C", "W"]).ravel() for v in full)
    return (a, b, c), shape


def _by(rule: Rule, mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> Array:
    flat, shape = _grid(mean, sd, T)
    require(~(flat[1] < 0), "sd", flat[1], ">= 0")
    require(~(flat[2] < 0), "T", flat[2], ">= 0")
    out = np.empty((7, flat[0].size))
    fill(*flat, *rule, out)
    return out.reshape(7, *shape)


def field(mean: ArrayLike, sd: ArrayLike, T: ArrayLike) -> FieldAverages:
    r"""Averages over the Gaussian field h = (mean + sd z)/T that replica-symmetric equations are made of.

    .. math:: E f = \int \frac{dz}{\sqrt{2\pi}} e^{-z^2/2} f\Bigl(\frac{mean + sd\, z}{T}\Bigr)

    Parameters
    ----------
    mean, sd, T : array_like
        Mean and standard deviation (>= 0) of the local field and temperature (>= 0), in units of J;
        broadcast together. A field that is not finite gives nan.

    Returns
    -------
    FieldAverages
        Seven arrays of the broadcast shape; derivatives are by Stein's lemma. T = 0 is the exact limit.
        The error is below 1e-13 of each average's natural scale (:func:`field_error` estimates it).

    Raises
    ------
    ValueError
        If sd or T is negative.

    Examples
    --------
    >>> f = field(mean=1.0, sd=0.5, T=0.2)
    >>> round(float(f.tanh), 12), round(float(f.C), 12)
    (0.939838648432, 0.255210545184)
    """
    return FieldAverages(*_by(FAST, mean, sd, T))


def field_error(mean: ArrayLike, sd: ArrayLike, T: ArrayLike, found: FieldAverages) -> FieldAverages:
    """Error estimates of ``found = field(mean, sd, T)``: its distance from the rule with other nodes, plus round-off.

    The leading error of a trapezoidal rule changes sign when its nodes move by half a step, so the distance is
    twice that error; the narrow-field rules are compared with ones of fewer nodes. What both share is the
    round-off of the Gaussian weights, 4e-14.
    """
    fast, check = np.stack(found), _by(CHECK, mean, sd, T)
    with np.errstate(invalid="ignore", divide="ignore"):
        rounding = _WEIGHTS * abs(fast)
        rounding[[0, 5]] = _EPS * abs(fast[[0, 5]])
        rounding[3] += _WEIGHTS * abs(fast[1]) / np.maximum(np.square(sd), np.square(T))
        return FieldAverages(*np.where(np.isinf(fast), 0.0, abs(fast - check) + rounding))


def _split(function: Callable[[Array], Array], mean: Array, sd: Array, T: Array, n: int) -> Array:
    """Four Gauss-Legendre panels: within one unit of z of the zero z_0 of the field, z = z_0 +- sinh(u)/b on
    each side; uniform nodes in the two outer ones.
    """
    x, w = np.polynomial.legendre.leggauss(n)
    x, w = (x + 1) / 2, w / 2
    zero = -mean / np.where(sd > 0, sd, np.inf)
    inside = abs(zero) < _ZMAX
    zero = np.where(inside, zero, 0.0)[..., None]
    b = np.where(inside, np.maximum(sd / T, 1.0), 1.0)[..., None]
    total: Array = np.zeros(mean.shape)
    for side in (-1.0, 1.0):
        reach = np.maximum(_ZMAX - side * zero, 0.0)
        near = np.arcsinh(b * np.minimum(reach, 1.0))
        far = np.maximum(reach - 1.0, 0.0)
        inner = np.sinh(near * x) / b, w * near * np.cosh(near * x) / b
        outer = 1.0 + far * x, w * far
        for distance, weight in (inner, outer):
            z = zero + side * distance
            h = (mean[..., None] + sd[..., None] * z) / T[..., None]
            gauss = np.exp(-0.5 * z * z) / math.sqrt(2 * math.pi)
            total = total + (weight * gauss * function(h)).sum(-1)
    return total


def average(
    function: Callable[[Array], Array], mean: ArrayLike, sd: ArrayLike, T: ArrayLike = 1.0
) -> tuple[Array, Array]:
    r"""Gaussian average of any function of the field, with an error estimate.

    .. math:: \int \frac{dz}{\sqrt{2\pi}} e^{-z^2/2} f\Bigl(\frac{mean + sd\, z}{T}\Bigr)

    Parameters
    ----------
    function : callable
        f, taking an array of fields h of any shape. Smooth but for scale-one structure at h = 0; at T = 0 it
        is asked for f(+inf) and f(-inf), and must have these limits.
    mean, sd, T : array_like
        As in :func:`field`.

    Returns
    -------
    value, error : arrays of the broadcast shape
        The value by four panels of 56 nodes, and its distance from that by panels of 40.

    Examples
    --------
    >>> value, error = average(lambda h: np.tanh(h) ** 2, mean=100.0, sd=150.0)
    >>> round(float(value), 12), bool(error < 1e-9)
    (0.995740736508, True)
    """
    flat, shape = _grid(mean, sd, T)
    require(~(flat[1] < 0), "sd", flat[1], ">= 0")
    require(~(flat[2] < 0), "T", flat[2], ">= 0")
    value, error = np.empty(flat[0].size), np.empty(flat[0].size)
    hot = ~(flat[2] == 0)
    warm = flat[0][hot], flat[1][hot], flat[2][hot]
    value[hot] = _split(function, *warm, 56)
    error[hot] = abs(value[hot] - _split(function, *warm, 40))
    if not hot.all():
        value[~hot], error[~hot] = _cold(function, flat[0][~hot], flat[1][~hot]), 0.0
    return value.reshape(shape), error.reshape(shape)


def _cold(function: Callable[[Array], Array], mean: Array, sd: Array) -> Array:
    """T = 0: the field is +inf or -inf, or 0 where mean and sd both vanish."""
    with np.errstate(divide="ignore", invalid="ignore"):
        up = ndtr(np.where(sd > 0, mean / sd, np.sign(mean) * np.inf))
    ends: NDArray[np.float64] = function(np.array([np.inf, -np.inf]))
    split = up * ends[0] + (1 - up) * ends[1]
    return np.where((mean == 0) & (sd == 0), function(np.zeros(mean.shape)), split)
