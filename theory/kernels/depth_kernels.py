r"""NNGP and NTK on the unit sphere at any depth, and what is left of them at infinite depth.

.. math::
    K_{L+1} = \hat\phi(K_L), \qquad \Theta_{L+1} = K_{L+1} + \hat\phi'(K_L)\, \Theta_L, \qquad K_0 = \Theta_0 = \xi,
    \qquad \hat\phi(\xi) = \sum_m c_m^2 \xi^m

Deep kernels run to 0, to 1 or to infinity, so the state is a sign and a logarithm: ln|K| and ln|Theta/D| with
D_L = 1 + B' + ... + B'^L, the NTK at xi = 1. Near 1 the step is taken in e = 1 - K and u = 1 - Theta/D,

    e_{L+1} = e T(K),    u_{L+1} D_{L+1} = e_{L+1} + D_L (phi^'(K) u + e U(K)),

T and U the polynomials (phi^(1) - phi^(x))/(1 - x) and (phi^'(1) - phi^'(x))/(1 - x), whose coefficients are sums of
c_m^2: nothing cancels, and points however near each other keep all their digits. Source: arXiv:2204.14126.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial.polynomial import polyval
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import ConvergenceError, real_array, require
from .taxonomy import infinite_depth, squares

Signed = tuple[Array, Array]
"""Signs and logarithms"""
_MOST_LAYERS = 1_000_000


@dataclass(frozen=True)
class DeepKernels:
    """Kernels of several depths; every array has the shape (depths, *xi.shape)."""

    depth: Array
    """(depths,) the number of activations, as asked for"""
    nngp_sign: Array
    """Sign of K_L: -1, 0 or 1"""
    nngp_log: Array
    """ln|K_L|"""
    ntk_sign: Array
    """Sign of Theta_L"""
    ntk_log: Array
    """ln|Theta_L|"""
    ntk_share_log: Array
    """ln|Theta_L/Theta_L(xi = 1)|, all digits kept where it is near 0"""

    @cached_property
    def nngp(self) -> Array:
        """K_L; 0 where it is below the range of floats."""
        return self.nngp_sign * np.exp(self.nngp_log)

    @cached_property
    def ntk(self) -> Array:
        """Theta_L; 0 or infinite outside the range of floats."""
        with np.errstate(over="ignore"):
            return self.ntk_sign * np.exp(self.ntk_log)


@dataclass(frozen=True)
class LimitFunction:
    """What remains of the kernel at infinite depth."""

    value: Array
    """s, S or b of :func:`limit_function`, of the shape of xi"""
    error: float
    """Bound on the relative error: what the later layers would still change, and rounding"""
    depth: int
    """Layers taken"""


class Dual:
    """phi^ and phi^' of one activation, as polynomials that do not cancel on [0, 1]."""

    def __init__(self, coefficients: ArrayLike) -> None:
        w = squares(coefficients)
        m = np.arange(w.size)
        first, slope = np.flatnonzero(w), np.flatnonzero(m * w)
        self.order, self.value = int(first[0]), w[first[0] :]
        self.slope_order = int(slope[0]) if slope.size else 1
        self.slope = (m * w)[self.slope_order :] if slope.size else np.zeros(1)
        self.tail = np.append(w[::-1].cumsum()[::-1][1:], 0.0)
        self.slope_tail = np.append((m * w)[::-1].cumsum()[::-1][2:], 0.0)
        self.B_prime = float(m @ w)
        odd, even = bool(w[1::2].any()), bool(w[::2].any())
        self.parity = None if odd and even else int(odd)

    def fold(self, sign: Array) -> tuple[Array, Array]:
        """Signs to iterate with, and those to put back for L >= 1: a pure parity needs |xi| only."""
        if self.parity is None:
            return sign, np.ones_like(sign)
        return abs(sign), np.where(sign == 0, 1.0, sign) ** self.parity

    def nngp(self, sign: Array, log: Array) -> Signed:
        """Sign and logarithm of phi^(K)."""
        z = sign * np.exp(log)
        Q = polyval(z, self.value)
        far = np.log(abs(Q)) + (self.order * log if self.order else 0.0)
        e = -np.expm1(log) * polyval(z, self.tail)
        near = (sign > 0) & (e < 0.5)
        return sign**self.order * np.sign(Q), np.where(near, np.log1p(-np.where(near, e, 0.0)), far)

    def ntk(self, K: Signed, K_next: Signed, share: Signed, log_D: float) -> tuple[Signed, float]:
        """Sign and logarithm of Theta_{L+1}/D_{L+1}, and ln D_{L+1}, from those of layer L."""
        (sign, log), (t, w), d = K, share, np.exp(-log_D)
        z, ratio = sign * np.exp(log), 1 / (d + self.B_prime)
        R = polyval(z, self.slope)
        a = K_next[1] - log_D + np.log(ratio)
        b = np.log(abs(R)) + w + np.log(ratio) + ((self.slope_order - 1) * log if self.slope_order > 1 else 0.0)
        top = np.maximum(a, b)
        top = np.where(np.isfinite(top), top, 0.0)
        total = K_next[0] * np.exp(a - top) + sign ** (self.slope_order - 1) * np.sign(R) * t * np.exp(b - top)
        rest = -np.expm1(w) * z ** (self.slope_order - 1) * R - np.expm1(log) * polyval(z, self.slope_tail)
        u = -np.expm1(K_next[1]) * d * ratio + ratio * rest
        near = (sign > 0) & (t > 0) & (u < 0.5)
        next_log = np.where(near, np.log1p(-np.where(near, u, 0.0)), top + np.log(abs(total)))
        return (np.sign(total), next_log), log_D - float(np.log(ratio))


def deep_kernels(coefficients: ArrayLike, xi: ArrayLike, depths: Sequence[int]) -> DeepKernels:
    r"""NNGP and NTK of unit vectors at the angle arccos xi, for many depths in one pass.

    .. math:: K_{L+1} = \hat\phi(K_L), \quad \Theta_{L+1} = K_{L+1} + \hat\phi'(K_L) \Theta_L, \ K_0 = \Theta_0 = \xi

    sigma_w = 1 and no bias; the inputs have |x|^2 = d, or the first covariance is xi itself.

    Parameters
    ----------
    coefficients : array_like (terms,)
        Orthonormal Hermite coefficients of phi, sum c_m^2 = 1.
    xi : array_like in [-1, 1]
        Cosines, of any shape.
    depths : sequence of int in [0, 10^6]
        Numbers of activations, in any order.

    Returns
    -------
    DeepKernels
        Arrays (depths, *xi.shape): signs, logarithms (they reach ln|K| = -1e300) and the plain values.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:2204.14126.

    >>> deep = deep_kernels([0.0, 0.6, 0.0, 0.8], 0.5, [1, 60])
    >>> deep.nngp.round(4).tolist(), deep.ntk_log.round(6).tolist()
    ([0.26, 0.0], [-0.385662, -57.35555])
    """
    xi = real_array(xi, "xi")
    require(abs(xi) <= 1, "xi", xi, "in [-1, 1]")
    with np.errstate(divide="ignore"):
        return iterate(Dual(coefficients), np.sign(xi), np.log(abs(xi)), depths)


def iterate(dual: Dual, sign: Array, log: Array, depths: Sequence[int]) -> DeepKernels:
    """Kernels from the signs and logarithms of the cosines."""
    at = np.asarray(depths)
    if at.ndim != 1 or at.size < 1 or not np.issubdtype(at.dtype, np.integer):
        raise TypeError(f"depths must be a list of integers, got {depths!r}")
    require((at >= 0) & (at <= _MOST_LAYERS), "depths", at, f"in [0, {_MOST_LAYERS}]")
    out = np.empty((5, at.size, *np.shape(log)))
    kept, back = dual.fold(sign)
    K, share, log_D = (kept, log), (kept, log), 0.0
    with np.errstate(all="ignore"):
        for L in range(int(at.max()) + 1):
            if (at == L).any():
                put_back = back if L else np.where(kept == 0, 0.0, sign * kept)
                now = (K[0] * put_back, K[1], share[0] * put_back, share[1] + log_D, share[1])
                out[:, at == L] = np.asarray(now)[:, None]
            K_next = dual.nngp(*K)
            share, log_D = dual.ntk(K, K_next, share, log_D)
            K = K_next
    return DeepKernels(at, *out)


def limit_function(coefficients: ArrayLike, xi: ArrayLike) -> LimitFunction:
    r"""What is left of NNGP and NTK at infinite depth, as a function of the cosine of two inputs.

    .. math::
        \text{singular kernel: } s = \lim K_L / A'^{2L} = \lim \Theta_L/((L + 1) A'^{2L}), \qquad
        \text{flat limit: } S = \lim (1 - K_L)/B'^L, \qquad \text{1-NN: } b = \lim \ln|K_L| / m^L

    s is the Schroeder function of phi^ at 0, s(phi^(xi)) = A'^2 s(xi), S the one at 1, and b the logarithm of the
    Boettcher function, m the lowest degree of phi^; the largest b wins. The NTK tends to s only as 1/L and for
    |x - x'|^2 >> 2/L; in the flat limit 1 - Theta_L/Theta_L(1) is S L B'^L up to a constant and to order 1/L.

    Parameters
    ----------
    coefficients : array_like (terms,)
        Orthonormal Hermite coefficients of phi, sum c_m^2 = 1.
    xi : array_like in [-1, 1]
        Cosines, of any shape; s is infinite at xi = 1.

    Returns
    -------
    LimitFunction

    Raises
    ------
    ValueError
        If an argument is outside its range or the deep kernel depends on the inputs in none of these ways.
    ConvergenceError
        If 10^6 layers do not suffice: a multiplier is within 1e-5 of 1.

    Source: arXiv:2204.14126; Koenigs, Schroeder and Boettcher in Milnor, Dynamics in One Complex Variable, 8 and 9.

    >>> s = limit_function([0.0, 0.6, 0.0, 0.8], 0.5)
    >>> round(float(s.value), 6), bool(s.error < 1e-12)
    (0.827326, True)
    """
    xi = real_array(xi, "xi")
    require(abs(xi) <= 1, "xi", xi, "in [-1, 1]")
    with np.errstate(divide="ignore"):
        sign, value, error, depth = limit_of_logs(coefficients, np.sign(xi), np.log(abs(xi)))
    one_nn = infinite_depth(coefficients).kind == "1-NN"
    return LimitFunction(value if one_nn else sign * np.exp(value), error, depth)


def limit_of_logs(coefficients: ArrayLike, sign: Array, log: Array) -> tuple[Array, Array, float, int]:
    """Signs, the logarithm of |s| or S (b itself for 1-NN), bound on the error and depth."""
    found, dual = infinite_depth(coefficients), Dual(coefficients)
    if found.kind not in ("1-NN", "singular kernel", "flat limit"):
        raise ValueError(
            f"coefficients must be of kind 1-NN, singular kernel or flat limit, they are of kind {found.kind}"
        )
    flat, m = found.kind == "flat limit", float(dual.order)
    multiplier = found.B_prime if flat else found.A_prime**2
    scale = float(dual.slope_tail.sum()) / found.B_prime / (1 - multiplier) if flat else 1 / dual.value[0]
    kept, back = dual.fold(sign)
    fixed, layer = (log == 0) & (kept > 0), 0
    with np.errstate(all="ignore"):
        while (left := scale * _farthest(kept, log, fixed, flat)) >= 1e-16:
            kept, log, layer = *dual.nngp(kept, log), layer + 1
            if layer > _MOST_LAYERS:
                raise ConvergenceError(f"{_MOST_LAYERS} layers leave the limit function open by {left:.1e}")
        if found.kind == "1-NN":
            return kept * back, (log + np.log(dual.value[0]) / (m - 1) * ~fixed) / m**layer, 2e-16 * (layer + 1), layer
        value = (np.log(-np.expm1(log)) if flat else log) - layer * np.log(multiplier)
    largest = max(1.0, float(abs(log[np.isfinite(log)]).max(initial=0.0)))
    value = np.where(fixed, -np.inf if flat else np.inf, value)
    return (np.ones_like(kept) if flat else kept * back), value, left + 2e-16 * (layer + 1) * largest, layer


def _farthest(sign: Array, log: Array, fixed: Array, flat: bool) -> float:
    """Largest distance from the fixed point that all but the points ``fixed`` at 1 flow to."""
    return float(np.where(fixed, 0.0, 1 - sign * np.exp(log) if flat else np.exp(log)).max(initial=0.0))
