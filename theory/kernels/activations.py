r"""Activations with Gaussian averages in closed form; the formulas are in ``expressions``."""

from dataclasses import dataclass
from math import pi, sqrt
from typing import Any

import numpy as np
from scipy.special import erf, ndtr

from ...core.errors import is_real, require
from .activation import Closed


def _finite(layer: str, **values: float) -> None:
    for name, value in values.items():
        require(is_real(value), f"{layer}: {name}", value, "finite" if isinstance(value, float) else "a finite number")


@dataclass(frozen=True)
class ABRelu(Closed):
    """phi(x) = al min(x, 0) + be max(x, 0); Cho and Saul (2009), arXiv:1112.3712 for al = 0.

    >>> V, slope = ABRelu(0.0, 1.0).dual(1.0, 0.5, 1.0)
    >>> round(float(V), 12), round(float(slope), 12)
    (0.304498890522, 0.333333333333)
    """

    al: float
    be: float
    entry = "abrelu"

    def __post_init__(self) -> None:
        _finite(type(self).__name__, al=self.al, be=self.be)

    @property
    def title(self) -> str:
        """As it is made."""
        one = "LeakyRelu" if self.be == 1 else "ABRelu"
        return {(0.0, 1.0): "Relu", (-1.0, 1.0): "Abs"}.get((self.al, self.be), one)

    def parameters(self) -> tuple[float, ...]:
        """Slopes below and above zero."""
        return (self.al, self.be)

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.where(x > 0, self.be * x, self.al * x)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return np.where(x > 0, self.be, self.al)

    def fused(self) -> tuple[float, float, float, float]:
        """Code 0."""
        return (0.0, self.al, self.be, 0.0)


def Relu() -> ABRelu:
    """phi(x) = max(x, 0).

    >>> round(float(Relu().dual(1.0, 0.5, 1.0)[0]), 9)
    0.304498891
    """
    return ABRelu(0.0, 1.0)


def LeakyRelu(slope: float = 0.01) -> ABRelu:
    """phi(x) = max(x, 0) + slope min(x, 0).

    >>> round(float(LeakyRelu(0.1).dual(1.0, 0.5, 1.0)[0]), 9)
    0.296644101
    """
    _finite("LeakyRelu", slope=slope)
    return ABRelu(slope, 1.0)


def Abs() -> ABRelu:
    """phi(x) = |x|.

    >>> round(float(Abs().dual(1.0, 0.5, 1.0)[0]), 9)
    0.717995562
    """
    return ABRelu(-1.0, 1.0)


@dataclass(frozen=True)
class Erf(Closed):
    """phi(x) = A erf(B x) + c; Williams, Computing with infinite networks (1997).

    >>> float(Erf().dual(1.0, 0.5, 1.0)[0]).__round__(12)
    0.216346895939
    """

    A: float = 1.0
    B: float = 1.0
    c: float = 0.0
    entry = "erf"

    def __post_init__(self) -> None:
        _finite("Erf", A=self.A, B=self.B, c=self.c)

    def parameters(self) -> tuple[float, ...]:
        """A, B, c."""
        return (self.A, self.B, self.c)

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return self.A * erf(self.B * x) + self.c

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return self.A * self.B * 2 / sqrt(pi) * np.exp(-((self.B * x) ** 2))

    def fused(self) -> tuple[float, float, float, float]:
        """Code 1."""
        return (1.0, self.A, self.B, self.c)


def SigmoidLike() -> Erf:
    """phi(x) = erf(x/2.4020563531719796)/2 + 1/2, within 0.017 of the logistic function.

    >>> round(float(SigmoidLike().dual(1.0, 0.5, 1.0)[0]), 9)
    0.270540567
    """
    return Erf(0.5, 1 / 2.4020563531719796, 0.5)


@dataclass(frozen=True)
class Gelu(Closed):
    """phi(x) = x Phi(x), Phi the normal distribution function.

    >>> float(Gelu().dual(1.0, 0.5, 1.0)[0]).__round__(12)
    0.227294915022
    """

    entry = "gelu"

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return x * ndtr(x)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return ndtr(x) + x * np.exp(-(x**2) / 2) / sqrt(2 * pi)


@dataclass(frozen=True)
class Sin(Closed):
    """phi(x) = A sin(w x + phase).

    >>> float(Sin().dual(1.0, 0.5, 1.0)[0]).__round__(12)
    0.191700249782
    """

    A: float = 1.0
    w: float = 1.0
    phase: float = 0.0
    entry = "sine"

    def __post_init__(self) -> None:
        _finite("Sin", A=self.A, w=self.w, phase=self.phase)

    def parameters(self) -> tuple[float, ...]:
        """A, w, phase."""
        return (self.A, self.w, self.phase)

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return self.A * np.sin(self.w * x + self.phase)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return self.A * self.w * np.cos(self.w * x + self.phase)


def Cos(A: float = 1.0, w: float = 1.0, phase: float = 0.0) -> Sin:
    """phi(x) = A cos(w x + phase).

    >>> round(float(Cos().dual(1.0, 0.5, 1.0)[0]), 9)
    0.41483041
    """
    _finite("Cos", A=A, w=w, phase=phase)
    return Sin(A, w, phase + pi / 2)


def Rbf(gamma: float = 1.0) -> Sin:
    """phi(x) = sqrt(2) sin(sqrt(2 gamma) x + pi/4): V = exp(-gamma (a + b - 2 k)), the kernel of radial functions.

    >>> round(float(Rbf(0.5).dual(1.0, 0.5, 1.0)[0]), 9)
    0.60653066
    """
    require(is_real(gamma) and gamma >= 0, "Rbf: gamma", gamma, "in [0, inf)")
    return Sin(sqrt(2), sqrt(2 * gamma), pi / 4)


@dataclass(frozen=True)
class Exp(Closed):
    """phi(x) = exp(c x).

    >>> float(Exp(0.5).dual(1.0, 0.5, 1.0)[0]).__round__(12)
    1.454991414618
    """

    c: float = 1.0
    entry = "exponential"

    def __post_init__(self) -> None:
        _finite("Exp", c=self.c)

    def parameters(self) -> tuple[float, ...]:
        """The rate c."""
        return (self.c,)

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.exp(self.c * x)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return self.c * np.exp(self.c * x)


@dataclass(frozen=True)
class Gaussian(Closed):
    """phi(x) = exp(-c x^2), c > 0.

    >>> float(Gaussian().dual(1.0, 0.5, 1.0)[0]).__round__(12)
    0.353553390593
    """

    c: float = 1.0
    entry = "gaussian"

    def __post_init__(self) -> None:
        require(is_real(self.c) and self.c > 0, f"{type(self).__name__}: c", self.c, "in (0, inf)")

    def parameters(self) -> tuple[float, ...]:
        """The width c."""
        return (self.c,)

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.exp(-self.c * x**2)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return -2 * self.c * x * np.exp(-self.c * x**2)


@dataclass(frozen=True)
class Gabor(Gaussian):
    """phi(x) = exp(-c x^2) sin x, c > 0."""

    entry = "gabor"

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.exp(-self.c * x**2) * np.sin(x)

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return np.exp(-self.c * x**2) * (np.cos(x) - 2 * self.c * x * np.sin(x))


@dataclass(frozen=True)
class Sign(Closed):
    """phi(x) = sign x; its derivative vanishes, so nothing below it is in the NTK.

    >>> float(Sign().dual(1.0, 0.5, 1.0)[0]).__round__(12)
    0.333333333333
    """

    entry = "sign"

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.sign(x)

    def derivative(self, x: Any) -> Any:
        """Zero."""
        return np.zeros_like(x)


@dataclass(frozen=True)
class RectifiedSquare(Closed):
    """phi(x) = max(x, 0)^2."""

    entry = "rectified_square"

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        return np.maximum(x, 0) ** 2

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        return 2 * np.maximum(x, 0)
