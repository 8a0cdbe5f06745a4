r"""The pseudo-inverse (projection) rule: couplings that project on the patterns, replica symmetric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr

from ..core.backend import Array
from ..core.quadrature import FieldAverages, field, field_error
from .examples import chain
from .model import Model, Report, parameter
from .overlap import GLASS_ABOVE, MATTIS_ABOVE


class Reaction(NamedTuple):
    """R-transform of the spectrum (1 - alpha) delta_0 + alpha delta_1, with two derivatives."""

    R: Array
    slope: Array
    curvature: Array


def reaction(C: Array, alpha: Array) -> Reaction:
    r"""R(C), R' and R'' of a random projector of rank alpha N; no reaction (one pattern) at alpha = 0.

    .. math:: R = \frac{C - 1 + S}{2C}, \qquad S = \sqrt{(1-C)^2 + 4\alpha C}, \qquad R' = \frac{R(1-R)}{S}

    Parameters
    ----------
    C : array_like, >= 0; infinite in the paramagnet of T = 0
    alpha : array_like, in [0, 1)

    >>> [round(float(v), 6) for v in reaction(np.float64(0.0), np.float64(0.2))]
    [0.2, 0.16, 0.192]
    """
    C, alpha = np.broadcast_arrays(C, alpha)
    frozen, w = np.isinf(C), np.where(np.isinf(C), 1.0, C)
    S = np.sqrt((1 - w) ** 2 + 4 * alpha * w)
    with np.errstate(divide="ignore", invalid="ignore"):
        R = np.where(w < 1, 2 * alpha / (1 - w + S), (w - 1 + S) / (2 * w))
        slope = R * (1 - R) / S
        curvature = 2 * slope * (1 - 2 * R - w * slope) / S
    some = alpha > 0
    R = np.where(some, np.where(frozen, 1.0, R), 0.0)
    return Reaction(R, *(np.where(some & ~frozen, v, 0.0) for v in (slope, curvature)))


@dataclass(frozen=True, kw_only=True, eq=False)
class PseudoInverse(Model):
    r"""Network whose couplings :math:`J = \xi^T (\xi\xi^T)^{-1} \xi` project on K = alpha N random patterns,
    :math:`H = -\frac12 \sum_{i \ne j} J_{ij} \sigma_i \sigma_j`, replica symmetric.

    With C = (1 - q)/T, the R-transform of J, :math:`R(C) = [C - 1 + \sqrt{(1-C)^2 + 4\alpha C}]/(2C)`, and the field
    :math:`h = [(1 - R)\, m + \sqrt\Delta\, z]/T`:

    .. math::
        m = \mathrm{E}\tanh h, \quad q = \mathrm{E}\tanh^2 h, \quad \Delta = (q - m^2)\, R'(C), \qquad
        f = \frac{(1-R)\, m^2 - qR - T G + \Delta C + \alpha}{2} - T\, \mathrm{E}\ln 2\cosh h

    where :math:`G = \int_0^C R = CR - D(\alpha|R)` and :math:`D = \alpha \ln\frac{\alpha}{R} + (1-\alpha)
    \ln\frac{1-\alpha}{1-R}`. Retrieval has no noise, Delta = 0: m = tanh[(1 - R) m/T], q = m^2. Iterated are m, C and
    V = q - m^2, which all stay finite as T -> 0.

    Parameters
    ----------
    alpha : array_like, shape (*grid)
        Load K/N, in [0, 1); 0 is one pattern, the Curie-Weiss magnet.
    T : array_like, shape (*grid)
        Temperature, >= 0, in units of J; T = 0 is the exact limit.

    Raises
    ------
    ValueError
        If a parameter is outside its range.

    Notes
    -----
    The diagonal of J, which tends to alpha, is out of H and of f: the aligned field at T = 0 is 1 - alpha. There the
    patterns are the states of least energy, -(1 - alpha)/2, and fixed points at every alpha < 1, with no spinodal.
    The paramagnet never loses its stability; "spin_glass" (m = 0, Delta > 0) appears by a jump and is unstable against
    replica symmetry breaking; it has a boundary of no closed form.

    Examples
    --------
    >>> import mattis as mt
    >>> point = mt.solve(mt.PseudoInverse(alpha=0.2, T=0.3))
    >>> round(float(point.m), 10), round(float(point.free_energy), 10)
    (0.9889590903, -0.4015445463)
    """

    alpha: Any = parameter(0.0, 1.0, open_high=True)
    T: Any = parameter(0.0)

    order: ClassVar[tuple[str, ...]] = ("m", "q")
    starts: ClassVar[tuple[str, ...]] = ("retrieval", "spin_glass", "paramagnet")
    load: ClassVar[str | None] = "alpha"
    symbols: ClassVar[Mapping[str, str]] = {"alpha": r"\alpha", "T": "T", "m": "m", "q": "q"}
    reference: ClassVar[str] = "Kanter, Sompolinsky, Phys. Rev. A 35 (1987) 380; Parisi, Potters, J. Phys. A 28 (1995)"

    @property
    def variables(self) -> tuple[str, ...]:
        """m, C = (1 - q)/T and V = q - m^2, the variance of the averages of the sites."""
        return ("m", "C", "V")

    def start(self, name: str) -> Array:
        """Aligned with the pattern; frozen without alignment (not one pattern alone; at T = 0 where alpha < 1 - 2/pi,
        as C^2 R' -> 1 - alpha but must be 2/pi); neither.
        """
        if name not in self.starts:
            raise self._no_start(name)
        if name == "retrieval":
            return self._stack(1.0, 0.0, 0.0)
        with np.errstate(divide="ignore"):
            free = 1 / np.asarray(self.T)
        some = np.where(np.asarray(self.T) > 0, 1.0, 1 - 2 / np.pi)
        glass = (np.asarray(self.alpha) > 0) & (np.asarray(self.alpha) < some) & (name == "spin_glass")
        return self._stack(0.0, np.where(glass, 0.0, free), np.where(glass, 1.0, 0.0))

    def box(self) -> tuple[Array, Array]:
        """|m| <= 1, 0 <= C <= 1/T, 0 <= V <= 1."""
        with np.errstate(divide="ignore"):
            return self._stack(-1.0, 0.0, 0.0), self._stack(1.0, 1 / np.asarray(self.T), 1.0)

    def _reaction(self, x: Array) -> Reaction:
        return reaction(x[1], np.asarray(self.alpha))

    def _moments(self, x: Array) -> tuple[Array, Array]:
        """Mean (1 - R) m and standard deviation sqrt(V R') of the field."""
        R, slope, _ = self._reaction(x)
        return (1 - R) * x[0], np.sqrt(np.maximum(x[2], 0.0) * slope)

    def _field(self, x: Array) -> FieldAverages:
        return field(*self._moments(x), self.T)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """(m, C, V) -> (E tanh, E sech^2/T, 1 - T E sech^2/T - (E tanh)^2), chained through R(C) and R'(C)."""
        m, _, V = x
        (R, slope, curvature), T, f = self._reaction(x), np.asarray(self.T), self._field(x)
        with np.errstate(invalid="ignore"):
            spread = np.where(V > 0, np.maximum(1 - T * f.C - f.tanh**2, 0.0), 0.0)
        mean = np.stack([1 - R, -slope * m, np.zeros(m.shape)])  # d mean/dx, and d Delta/dx
        noise = np.stack([np.zeros(m.shape), V * curvature, slope])
        by_m = chain(f.C, mean) + 0.5 * chain(f.C_mean, noise)
        by_C = chain(f.C_mean, mean) + chain(f.C_var, noise)
        return np.stack([f.tanh, f.C, spread]), np.stack([by_m, by_C, -chain(T, by_C) - 2 * chain(f.tanh, by_m)])

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """Mattis overlap m and overlap q of two replicas."""
        return {"m": x[0], "q": x[0] ** 2 + x[2]}

    def report(self, x: Array) -> Report:
        """f as in the class docstring, with q = 1 - T C; u = -[m^2 + (1 - m^2) R + Delta C - alpha]/2;
        s = E[ln 2cosh h - h tanh h] - D(alpha|R)/2; replicon = 1 - R' E sech^4/T^2.
        """
        (m, C, V), alpha, T = x, np.asarray(self.alpha), np.asarray(self.T)
        (R, slope, _), f, moments = self._reaction(x), self._field(x), self._moments(x)
        lost = np.where(alpha > 0, rel_entr(alpha, R) + rel_entr(1 - alpha, 1 - R), 0.0)
        with np.errstate(invalid="ignore"):
            noise = chain(chain(slope, V), C)
            glass = np.where(alpha > 0, noise - (1 - T * C) * R - T * (C * R - lost), 0.0)
        error = field_error(*moments, self.T, f)
        return Report(
            0.5 * ((1 - R) * m**2 + glass + alpha) - f.log2cosh,
            -0.5 * (m**2 + (1 - m**2) * R + noise - alpha),
            f.entropy - 0.5 * lost,
            1 - chain(slope, f.sech4),
            np.maximum(error.tanh, error.C),
        )

    def branch(self, m: Array, sd: Array) -> tuple[Array, Array, Array]:
        """(residual, alpha, x) of retrieval at overlap m: no noise, sd = 0, so that sd itself is the residual.

        R = 1 - T artanh(m)/m and C = (1 - m^2)/T give alpha = R [1 - C (1 - R)]; nan where R is not the R-transform.
        """
        if not np.all(m):
            raise NotImplementedError("the boundary of the spin glass of PseudoInverse has no closed form")
        T = np.asarray(self.T)
        with np.errstate(divide="ignore", invalid="ignore"):
            C, R = (1 - m**2) / T, 1 - T * np.arctanh(m) / m
            alpha = R * (1 - C * (1 - R))
            exists = (alpha >= 0) & (alpha <= 1) & (1 - C + 2 * C * R > 0)
        return -sd, np.where(exists, alpha, np.nan), np.stack([m, C, np.zeros(m.shape)])

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Retrieval where |m| > 1e-3, else spin glass where q > 1e-4, else paramagnet."""
        frozen = np.where(np.asarray(order["q"]) > GLASS_ABOVE, "spin_glass", "paramagnet")
        return np.where(abs(np.asarray(order["m"])) > MATTIS_ABOVE, "retrieval", frozen)
