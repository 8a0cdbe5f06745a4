r"""Activations known by their Hermite coefficients: polynomials exactly, any function numerically.

    c_m(q) = E[phi(sqrt q z) h_m(z)],  z ~ N(0, 1),  h_m the orthonormal Hermite polynomials,
    V = sum_m c_m(a) c_m(b) rho^m,     dV/dk = sum_m m c_m(a) c_m(b) rho^(m-1)/sqrt(a b),    rho = k/sqrt(a b),
    dV/da = sum_m sqrt((m + 1)(m + 2))/(2 a) c_{m+2}(a) c_m(b) rho^m.

The coefficients are sums over nodes, one set for each input and layer; a pair costs a sum over m.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import factorial, pi, sqrt
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy.special import expit, roots_hermitenorm

from ...core.backend import Array, namespace_of
from ...core.errors import real_array, require, require_integer
from .activation import Activation

TERMS = 800
"""At most, of the series of a function that is no polynomial; a pair sums as many as the tail asks for."""
TAIL = 1e-15
"""Of sum_m (m + 1) c_m^2: what the terms left out may weigh."""
REACH = 13.5
"""Of the nodes: h_m(z) exp(-z^2/4) is bounded, and the other half of the weight is below 2e-20 there."""
BLOCK = 32
"""Variances whose function values at all nodes are held at once."""


def _hermite(z: Array, terms: int) -> Array:
    """h_m(z), (nodes, terms)."""
    h = np.empty((terms, z.size))
    h[0] = 1.0
    for m in range(1, terms):
        h[m] = (z * h[m - 1] - (sqrt(m - 1) * h[m - 2] if m > 1 else 0.0)) / sqrt(m)
    return h.T


@lru_cache
def _gauss_hermite(terms: int) -> tuple[Array, Array]:
    """Nodes and h_m times the weights; exact for polynomials of this many coefficients."""
    z, weights = roots_hermitenorm(terms)
    return z, _hermite(z, terms) * (weights / weights.sum())[:, None]


@lru_cache
def _panels(terms: int, panels: int) -> tuple[Array, Array]:
    """Gauss-Legendre on ``panels`` equal panels each side of z = 0, where a kink may be."""
    x, w = leggauss(14)
    edges = np.linspace(-REACH, REACH, 2 * panels + 1)
    half = REACH / panels / 2
    z = (half * x + (edges[:-1] + half)[:, None]).ravel()
    weights = np.tile(half * w, 2 * panels) * np.exp(-z * z / 2) / sqrt(2 * pi)
    return z, _hermite(z, terms) * weights[:, None]


class Series(Activation):
    """An activation whose averages are a sum over Hermite coefficients."""

    def rule(self) -> tuple[Array, Array]:
        """Nodes (nodes,), and h_m times the weights (nodes, terms)."""
        return _panels(TERMS, 64)

    def coefficients(self, q: Any) -> Any:
        """c_m(q), (..., terms)."""
        xp, flat = namespace_of(q), q.reshape(-1)
        z, weighted = (xp.asarray(part) for part in self.rule())
        found = xp.empty((flat.size, weighted.shape[1]))
        for start in range(0, flat.size, BLOCK):
            part = slice(start, start + BLOCK)
            found[part] = self.function(xp.sqrt(flat[part])[:, None] * z) @ weighted
        return found.reshape((*q.shape, -1))

    def _both(self, a: Any, b: Any) -> tuple[Any, Any]:
        """Of two sets of variances, evaluated once where they are the same."""
        ca = self.coefficients(a)
        if a.size == b.size and not bool((a.reshape(-1) != b.reshape(-1)).any()):
            return ca, ca.reshape((*b.shape, ca.shape[-1]))
        return ca, self.coefficients(b)

    def bytes_per_variance(self) -> float:
        """Of what ``averages`` keeps for each variance of a tile's rows and columns."""
        return 8.0 * self.rule()[1].shape[1]

    def averages(self, a: Any, k: Any, b: Any, *, derivative: bool = False) -> Any:
        """(V, dV/dk), and dV/da if ``derivative``."""
        xp = namespace_of(k)
        a, b = xp.asarray(a, dtype=float), xp.asarray(b, dtype=float)
        ca, cb = self._both(a, b)
        terms = max(_needed(ca), _needed(cb))
        product = xp.sqrt(a * b)
        inverse = xp.where(product > 0, 1 / xp.where(product > 0, product, 1.0), 0.0)
        rho = xp.clip(k * inverse, -1.0, 1.0)
        V = slope = up = xp.zeros(xp.broadcast(rho, a).shape)
        for m in range(terms - 1, -1, -1):
            slope = slope * rho + V
            V = V * rho + ca[..., m] * cb[..., m]
            if derivative and m + 2 < terms:
                up = up * rho + sqrt((m + 1) * (m + 2)) / 2 * ca[..., m + 2] * cb[..., m]
        slope = slope * inverse
        return (V, slope, up * xp.where(a > 0, 1 / xp.where(a > 0, a, 1.0), 0.0)) if derivative else (V, slope)

    def series_error(self, q: Any) -> float:
        """Largest weight, over variances ``q``, of the upper half of the terms in E phi'^2, and error of E phi^2."""
        q = np.array([float(q.min()), float(q.max())])
        c = self.coefficients(q)
        weight = np.arange(c.shape[-1]) * c**2
        tail = weight[..., c.shape[-1] // 2 :].sum(-1) / np.maximum(weight.sum(-1), 1e-300)
        z, weights = _panels(1, 101)
        square = (self.function(np.sqrt(q)[..., None] * z) ** 2 @ weights)[..., 0]
        missing = np.where(square > 0, (c**2).sum(-1) / np.where(square > 0, square, 1.0) - 1, 0.0)
        return float(np.max(tail + np.abs(missing)))


def _needed(c: Any) -> int:
    """Terms up to where the tail weighs TAIL at all variances."""
    xp, flat, terms = namespace_of(c), c.reshape(-1, c.shape[-1]), 1
    for start in range(0, len(flat), BLOCK):
        weight = (xp.arange(c.shape[-1]) + 1) * flat[start : start + BLOCK] ** 2
        tail = xp.flip(xp.cumsum(xp.flip(weight, -1), -1), -1) > TAIL * weight.sum(-1, keepdims=True)
        terms = max(terms, int(tail.any(0).sum()))
    return terms


@dataclass(frozen=True)
class Polynomial(Series):
    """phi(x) = sum_i coefficients[i] x^i.

    Raises
    ------
    ValueError
        If there is no coefficient, or one is not finite, or the degree is above 64.

    >>> V, slope = Polynomial((0.0, 0.0, 1.0)).dual(1.0, 0.5, 1.0)
    >>> round(float(V), 12), round(float(slope), 12)  # a b + 2 k^2, 4 k
    (1.5, 2.0)
    """

    coefficients_of_powers: tuple[float, ...]

    def __post_init__(self) -> None:
        values = real_array(self.coefficients_of_powers, "Polynomial: coefficients")
        if values.ndim != 1 or not 1 <= values.size <= 65:
            told = values.size if values.ndim == 1 else f"{self.coefficients_of_powers!r}"
            raise ValueError(f"Polynomial: coefficients must be 1 to 65 numbers, got {told}")
        require(np.isfinite(values), "Polynomial: coefficients", values, "finite")
        object.__setattr__(self, "coefficients_of_powers", tuple(values.tolist()))

    def rule(self) -> tuple[Array, Array]:
        """Exact."""
        return _gauss_hermite(len(self.coefficients_of_powers))

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.polynomial.polynomial.polyval(x, self.coefficients_of_powers)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return np.polynomial.polynomial.polyval(x, np.polynomial.polynomial.polyder(self.coefficients_of_powers))

    def series_error(self, q: Any) -> float:
        """Zero: the sums are exact."""
        return 0.0


def Monomial(n: int) -> Polynomial:
    """phi(x) = x^n, 0 <= n <= 64.

    >>> round(float(Monomial(3).dual(1.0, 0.5, 1.0)[0]), 9)
    5.25
    """
    require_integer(n, "Monomial: n", 0, 64, "in [0, 64]")
    return Polynomial((0.0,) * n + (1.0,))


def Hermite(m: int) -> Polynomial:
    """The orthonormal Hermite polynomial h_m(x) = He_m(x)/sqrt(m!), 0 <= m <= 64; V = k^m at a = b = 1.

    >>> round(float(Hermite(3).dual(1.0, 0.5, 1.0)[0]), 9)
    0.125
    """
    require_integer(m, "Hermite: m", 0, 64, "in [0, 64]")
    powers = np.polynomial.hermite_e.herme2poly([0.0] * m + [1.0])
    return Polynomial(tuple(float(c) / sqrt(factorial(m)) for c in powers))


@dataclass(frozen=True)
class Elementwise(Series):
    """Any function of one real variable that accepts arrays.

    Parameters
    ----------
    f : callable
        phi(x) of arrays of any shape.
    df : callable, optional
        phi'(x), for the empirical NTK of the finite form only.

    The error of the series at the variances met travels with the kernel as ``quadrature_error``: small for functions
    without kinks (but for one at zero) and variances of order one.

    >>> V, slope = Elementwise(np.tanh).dual(1.0, 0.5, 1.0)
    >>> round(float(V), 12), round(float(slope), 12)
    (0.186324413203, 0.384747028441)
    """

    f: Callable[[Any], Any]
    df: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if not callable(self.f):
            raise TypeError(f"Elementwise: f must be a function of arrays, got {self.f!r}")
        if self.df is not None and not callable(self.df):
            raise TypeError(f"Elementwise: df must be a function of arrays or None, got {self.df!r}")
        value = np.asarray(self.f(np.array([-0.5, 0.0, 1.5])))
        require(
            value.shape == (3,) and value.dtype.kind in "biuf" and np.isfinite(value).all(),
            "Elementwise: f at (-0.5, 0, 1.5)",
            str(value),
            "three finite numbers, none complex",
        )

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return self.f(x)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        if self.df is None:
            raise ValueError("Elementwise: the empirical NTK needs the derivative: give df")
        return self.df(x)


def Tanh() -> Elementwise:
    """phi(x) = tanh x.

    >>> round(float(Tanh().dual(1.0, 0.5, 1.0)[0]), 9)
    0.186324413
    """
    return Elementwise(np.tanh, _sech2)


def Swish() -> Elementwise:
    """phi(x) = x/(1 + exp(-x)).

    >>> round(float(Swish().dual(1.0, 0.5, 1.0)[0]), 9)
    0.183169663
    """
    return Elementwise(_swish, _swish_slope)


def _sech2(x: Any) -> Any:
    return 1 / np.cosh(np.clip(x, -350, 350)) ** 2


def _swish(x: Any) -> Any:
    return x * expit(x)


def _swish_slope(x: Any) -> Any:
    return expit(x) * (1 + x * expit(-x))
