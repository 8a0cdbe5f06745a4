r"""Averages of two activations of correlated Gaussians with means, u ~ a + su X and v ~ b + sv Y, corr(X, Y) = rho.

With h = -a/su, k = -b/sv, t = sqrt(1 - rho^2) and L = P(X > h, Y > k),

    E relu(u) relu(v) = (rho su sv + a b) L + su sv t phi(h) phi((k - rho h)/t)
                        + su b phi(h) Phi((rho h - k)/t) + sv a phi(k) Phi((rho k - h)/t).

An erf is the mean of a sign, erf(u) = E_e sign(u + e) with e ~ N(0, 1/2), so E erf(u) erf(v) needs only L at the
deviations Su = sqrt(su^2 + 1/2), Sv:

    E erf(u) erf(v) = 4 L - 2 Phi(a/Su) - 2 Phi(b/Sv) + 1.
"""

from math import pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, owens_t

from ...core.backend import Array
from ...core.errors import real_array, require

_FAR = 40.0  # phi and Phi are 0 or 1 beyond it
_ZERO = 1e-150  # stands for a threshold 0, so that the ratio of two of them is defined


def orthant(h: ArrayLike, k: ArrayLike, rho: ArrayLike) -> Array:
    r"""P(X > h, Y > k) of standard normal X and Y with correlation rho.

    .. math::
        L = \tfrac12 [\Phi(-h) + \Phi(-k)] - T(h, \tfrac{k - \rho h}{h t}) - T(k, \tfrac{h - \rho k}{k t})
        - \tfrac12 [h k < 0], \qquad t = \sqrt{1 - \rho^2}

    with Owen's T; the limits h = 0, k = 0 and rho = +-1 are exact.

    Parameters
    ----------
    h, k : array_like
        Thresholds, broadcast together; beyond 40 in modulus they count as 40.
    rho : array_like in [-1, 1]

    Returns
    -------
    array of the common shape; its error is a few 1e-16, absolute.

    Raises
    ------
    ValueError
        If a threshold is not finite or rho is outside [-1, 1].

    Source: D. B. Owen, Ann. Math. Statist. 27, 1075 (1956).

    >>> round(float(orthant(0.0, 0.0, 0.5)), 12)  # 1/4 + asin(rho)/(2 pi)
    0.333333333333
    """
    h, k, rho = _checked(h=h, k=k, rho=rho)
    h, k = _within(h), _within(k)
    return _orthant(h, k, *_conditional(h, k, rho)[1:])


def relu_dual(a: ArrayLike, b: ArrayLike, su: ArrayLike, sv: ArrayLike, rho: ArrayLike) -> Array:
    r"""E relu(u) relu(v) of u ~ N(a, su^2) and v ~ N(b, sv^2) with correlation rho.

    Parameters
    ----------
    a, b : array_like
        Means.
    su, sv : array_like >= 0
        Deviations; at su = 0 or sv = 0 the average is a product and rho does not matter.
    rho : array_like in [-1, 1]

    Returns
    -------
    array of the common shape of the arguments; its error is a few 1e-16 of sqrt(E u^2 E v^2).

    Raises
    ------
    ValueError
        If an argument is not finite or outside its range.

    Source: the moments of the truncated bivariate normal law, S. Rosenbaum, J. R. Stat. Soc. B 23, 405 (1961).

    >>> round(float(relu_dual(0.0, 0.0, 1.0, 1.0, 0.5)), 12), round(3**0.5 / (4 * pi) + 1 / 6, 12)
    (0.304498890522, 0.304498890522)
    """
    a, b, su, sv, rho = _checked(a=a, b=b, su=su, sv=sv, rho=rho)
    h, k = _threshold(a, su), _threshold(b, sv)
    t, beyond_h, beyond_k = _conditional(h, k, rho)
    L = _orthant(h, k, beyond_h, beyond_k)
    joint = (rho * su * sv + a * b) * L + su * sv * t * _phi(h) * _phi(beyond_h)
    joint += su * b * _phi(h) * ndtr(-beyond_h) + sv * a * _phi(k) * ndtr(-beyond_k)
    return np.where((su == 0) | (sv == 0), _relu_mean(a, su, h) * _relu_mean(b, sv, k), joint)


def erf_dual(a: ArrayLike, b: ArrayLike, su: ArrayLike, sv: ArrayLike, rho: ArrayLike) -> Array:
    r"""E erf(u) erf(v) of u ~ N(a, su^2) and v ~ N(b, sv^2) with correlation rho.

    Parameters
    ----------
    a, b : array_like
        Means.
    su, sv : array_like >= 0
        Deviations.
    rho : array_like in [-1, 1]

    Returns
    -------
    array of the common shape of the arguments, in (-1, 1); its error is a few 1e-16, absolute.

    Raises
    ------
    ValueError
        If an argument is not finite or outside its range.

    Source: without means C. K. I. Williams, Neural Computation 10, 1203 (1998), eq. 11.

    >>> round(float(erf_dual(0.0, 0.0, 1.0, 1.0, 0.5)), 12)  # 2/pi asin(1/3)
    0.216346895939
    """
    a, b, su, sv, rho = _checked(a=a, b=b, su=su, sv=sv, rho=rho)
    wide_u, wide_v = np.sqrt(su**2 + 0.5), np.sqrt(sv**2 + 0.5)
    h, k = _threshold(a, wide_u), _threshold(b, wide_v)
    L = _orthant(h, k, *_conditional(h, k, rho * (su / wide_u) * (sv / wide_v))[1:])
    return 4 * L - 2 * ndtr(-h) - 2 * ndtr(-k) + 1


def _checked(**arguments: ArrayLike) -> tuple[Array, ...]:
    """Return the arguments as finite float arrays of one shape, each in the range its name says."""
    arrays = {name: real_array(value, name) for name, value in arguments.items()}
    for name, value in arrays.items():
        if name == "rho":
            require(abs(value) <= 1, name, value, "in [-1, 1]")
        elif name in ("su", "sv"):
            require((value >= 0) & np.isfinite(value), name, value, "finite and >= 0")
        else:
            require(np.isfinite(value), name, value, "finite")
    try:
        return tuple(np.broadcast_arrays(*arrays.values()))
    except ValueError:
        shapes = ", ".join(str(value.shape) for value in arrays.values())
        raise ValueError(f"{', '.join(arrays)} must broadcast to one shape, got {shapes}") from None


def _threshold(mean: Array, deviation: Array) -> Array:
    """-mean/deviation; 0 where the mean is 0, whatever the deviation."""
    with np.errstate(over="ignore", divide="ignore"):
        return _within(np.divide(-mean, deviation, out=np.zeros(mean.shape), where=mean != 0))


def _within(threshold: Array) -> Array:
    threshold = np.clip(threshold, -_FAR, _FAR)
    return np.where(abs(threshold) < _ZERO, _ZERO, threshold)


def _conditional(h: Array, k: Array, rho: Array) -> tuple[Array, Array, Array]:
    """The t of above, (k - rho h)/t and (h - rho k)/t, with no cancellation as rho -> +-1; 0/0 is 0."""
    sign = np.where(rho < 0, -1.0, 1.0)
    short = 1 - abs(rho)
    t = np.sqrt(short * (1 + abs(rho)))
    return t, _over(k - sign * h + sign * short * h, t), _over(h - sign * k + sign * short * k, t)


def _over(gap: Array, t: Array) -> Array:
    with np.errstate(divide="ignore"):
        return np.divide(gap, t, out=np.zeros(gap.shape), where=gap != 0)


def _orthant(h: Array, k: Array, beyond_h: Array, beyond_k: Array) -> Array:
    """P(X > h, Y > k) of thresholds that are not 0."""
    same = (h > 0) == (k > 0)
    half = 0.5 * np.where(same, ndtr(-h) + ndtr(-k), ndtr(-np.maximum(h, k)) - ndtr(np.minimum(h, k)))
    return half - owens_t(h, beyond_h / h) - owens_t(k, beyond_k / k)


def _relu_mean(mean: Array, deviation: Array, threshold: Array) -> Array:
    """E relu of N(mean, deviation^2)."""
    return np.where(deviation == 0, np.maximum(mean, 0), mean * ndtr(-threshold) + deviation * _phi(threshold))


def _phi(x: Array) -> Array:
    return np.exp(-0.5 * x**2) / sqrt(2 * pi)
