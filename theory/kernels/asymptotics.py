r"""How fast the kernels of a random network forget their inputs with depth, and what becomes of the NTK.

.. math::
    q^* = \sigma_w^2 V(q^*, q^*, q^*) + \sigma_b^2, \quad c^* q^* = \sigma_w^2 V(q^*, c^* q^*, q^*) + \sigma_b^2, \quad
    \chi(c) = \sigma_w^2 V_k(q^*, c q^*, q^*)

V(a, k, b) = E phi(u) phi(v) over Gaussian (u, v) with variances a, b and covariance k, and V_k = dV/dk, which is
E phi'(u) phi'(v) with the delta functions of phi' where phi jumps. A correlation nears c* as exp(-l/xi_c), xi_c =
-1/ln chi(c*), a variance nears q* as exp(-l/xi_q). The NTK of an equal pair sums chi(1)^l, that of any other pair
chi(c*)^l, hence its ratio off/on the diagonal by phase.
Source: Schoenholz et al., arXiv:1611.01232; Xiao et al., arXiv:1912.13053.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.optimize import brentq

from ...core.errors import is_real, require, require_integer
from .activation import Activation

_CRITICAL = 1e-8


@dataclass(frozen=True)
class DepthScales:
    """Fixed points and depths of correlation of one (sigma_w, sigma_b)."""

    q_star: float
    """Variance at large depth; 0, or infinite, in the last two phases; 1 where every variance stays what it is"""
    chi_1: float
    """sigma_w^2 E phi'^2 at q*; infinite where phi jumps"""
    c_star: float
    """Correlation at large depth of two different inputs"""
    xi_c: float
    """Depth over which correlations forget; infinite at criticality"""
    xi_q: float
    """Depth over which variances forget"""
    phase: Literal["ordered", "critical", "chaotic", "vanishing", "diverging"]
    """chi_1 below, within 1e-8 of, or above 1; or no finite positive q*"""
    ntk_ratio: float
    """Limit of Theta(x, x')/Theta(x, x): 1, 1/4 (phi has a kink) or 1/3 (phi is smooth), and 0; c* where phi jumps,
    as nothing below a jump is in the NTK"""
    error: float
    """Of the averages at q* of an activation that is a truncated series, relative; 0 in closed form"""

    def ntk_condition(self, points: int) -> float:
        """Limit of the NTK's largest eigenvalue over its bulk: (1 + (n - 1) r)/(1 - r), r = ntk_ratio.

        Infinite (growing as chi_1^-L/L) in the ordered phase, (n + 3)/3 or (n + 2)/2 at criticality, 1 in chaos unless
        phi jumps.

        >>> import mattis as mt
        >>> scales = depth_scales(mt.nn.Monomial(1), sigma_w=0.8, sigma_b=0.6)
        >>> scales.phase, scales.ntk_condition(10)
        ('ordered', inf)
        """
        require_integer(points, "points", 2, 2**31, ">= 2")
        return (1 + (points - 1) * self.ntk_ratio) / (1 - self.ntk_ratio) if self.ntk_ratio != 1 else np.inf


def depth_scales(activation: Activation, *, sigma_w: float, sigma_b: float) -> DepthScales:
    r"""Fixed points, depth scales and the fate of the NTK of a deep network.

    .. math:: \xi_c = -1/\ln\chi(c^*), \qquad \xi_q = -1/\ln\bigl[\sigma_w^2\, dV(q, q, q)/dq\bigr]_{q^*}

    At criticality 1 - c_l obeys e' = e - b e^(1 + s), so chi = 1 - (1 + s)/(s l) at depth l and
    Theta(x, x') -> s/(2 s + 1) Theta(x, x): s = 1/2 where phi has a kink, s = 1 where it is smooth.

    Parameters
    ----------
    activation : Activation
        Of every layer. A jump given as ``Elementwise`` is a truncated series: chi_1 is large instead of infinite and
        c* is that of a steep step; ``error`` says so. ``Sign`` is exact.
    sigma_w : float > 0
    sigma_b : float >= 0

    Returns
    -------
    DepthScales
        q* is the fixed point that variances starting at 1 flow to. Without a finite positive one (ReLU with sigma_b = 0
        but at sigma_w^2 = 2, whose kernels are those of sigma_w^2 = 2 rescaled) only q* and chi_1 are numbers.

    Raises
    ------
    ValueError
        If an argument is outside its range, or 1 - chi(c) vanishes as neither the root of 1 - c nor 1 - c itself.
    TypeError
        If activation is no activation of a network.

    Source: arXiv:1611.01232 (eqs. 4-9), arXiv:1912.13053 (the NTK by phase); the law at criticality is derived above.

    >>> import mattis as mt
    >>> scales = depth_scales(mt.nn.Erf(), sigma_w=2.5, sigma_b=0.3)
    >>> scales.phase, round(scales.q_star, 6), round(scales.xi_c, 6)
    ('chaotic', 4.555462, 4.238491)
    """
    if not isinstance(activation, Activation):
        raise TypeError(f"activation must be a layer such as Erf() or Relu(), got {activation!r}")
    require(is_real(sigma_w) and sigma_w > 0, "sigma_w", sigma_w, "finite and > 0")
    require(is_real(sigma_b) and sigma_b >= 0, "sigma_b", sigma_b, "finite and >= 0")
    w, b = sigma_w**2, sigma_b**2

    def V(a: float, k: float, b: float) -> float:
        return float(activation.averages(a, k, b)[0])

    def V_k(a: float, k: float, b: float) -> float:
        return float(activation.averages(a, k, b, derivative=True)[1])

    q = _variance(lambda q: w * V(q, q, q) + b)
    if q in (0.0, np.inf):
        chi_1 = w * V_k(*[1e-12 if q == 0 else 1e12] * 3)
        return DepthScales(q, chi_1, np.nan, np.nan, np.nan, "vanishing" if q == 0 else "diverging", np.nan, 0.0)

    jumps = V_k(q, 0.0, q) != float(activation.averages(q, 0.0, q)[1])
    error = activation.series_error(np.array([q]))

    def chi(c: float) -> float:
        return np.inf if jumps and c == 1 else w * V_k(q, c * q, q)

    chi_1 = chi(1.0)
    _, slope, up = activation.averages(q, q, q, derivative=True)
    chi_q = w * float(slope + 2 * up)
    if abs(chi_1 - 1) <= _CRITICAL:
        s = _power(chi)
        return DepthScales(q, chi_1, 1.0, np.inf, _depth(chi_q), "critical", s / (2 * s + 1), error)
    if chi_1 < 1:
        return DepthScales(q, chi_1, 1.0, _depth(chi_1), _depth(chi_q), "ordered", 1.0, error)
    c = _correlation(lambda c: (w * V(q, c * q, q) + b) / q - c)
    at_c = 0.5 if jumps and c == 1 else chi(c)  # 1 - c' ~ (1 - c)^(1/2) at a jump: the slope where both are equal
    return DepthScales(q, chi_1, c, _depth(at_c), _depth(chi_q), "chaotic", c if jumps else 0.0, error)


def _variance(step: Callable[[float], float]) -> float:
    """The fixed point above or below 1 that 1 flows to, 0 or infinity."""
    up = step(1.0) - 1.0
    if abs(up) < 1e-14:
        return 1.0
    near, far = 1.0, 2.0 if up > 0 else 0.5
    while (step(far) - far) * up > 0:
        near, far = far, far * (2.0 if up > 0 else 0.5)
        if not 1e-12 < far < 1e12:
            return np.inf if up > 0 else 0.0
    return float(brentq(lambda q: step(q) - q, near, far, xtol=1e-300, rtol=1e-15))


def _correlation(gain: Callable[[float], float]) -> float:
    """The zero of c' - c below the unstable one at c = 1; c' >= 0 at c = 0, so it is not negative."""
    if gain(0.0) <= 0:
        return 0.0
    gap = 0.5
    while gain(1 - gap) >= 0:
        gap /= 2
        if gap < 1e-14:
            return 1.0
    return float(brentq(gain, 0.0, 1 - gap, xtol=1e-16, rtol=1e-15))


def _depth(chi: float) -> float:
    """-1/ln chi; 0 where nothing is left after one layer, infinite at chi = 1 to rounding."""
    if abs(chi) < 1e-15:
        return 0.0
    return np.inf if abs(chi - 1) <= _CRITICAL else -1 / float(np.log(abs(chi)))


def _power(chi: Callable[[float], float]) -> float:
    """1/2 or 1, the s of chi(1) - chi(1 - e) ~ e^s."""
    one, two = (chi(1.0) - chi(1 - e) for e in (1e-6, 2e-6))
    s = float(np.log2(two / one)) if one > 0 < two else 0.0
    law = 1.0 if s > 0.75 else 0.5
    require(abs(s - law) < 0.01, "power of 1 - c in chi(1) - chi(c)", s, "1/2 or 1")
    return law
