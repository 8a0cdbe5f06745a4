r"""The Curie-Weiss ferromagnet: one pattern, no load."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.quadrature import FieldAverages, field, field_error
from .model import Model, Report, parameter

FERROMAGNET_ABOVE = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class CurieWeiss(Model):
    r"""Mean-field ferromagnet, :math:`H = -\frac{N}{2} m^2` (a Hopfield network with one pattern).

    .. math:: m = \tanh(m/T), \qquad f = \frac{m^2}{2} - T \ln 2\cosh\frac{m}{T}

    Parameters
    ----------
    T : array_like, shape (*grid)
        Temperature, >= 0, in units of J; T = 0 is the exact limit.

    Raises
    ------
    ValueError
        If T is negative or not finite.

    Notes
    -----
    The diagonal :math:`i = j`, 1/(2N) per spin, vanishes as N grows. T_c = 1.

    Examples
    --------
    >>> import mattis as mt
    >>> round(float(mt.solve(mt.CurieWeiss(T=0.5)).m), 10)
    0.9575040241
    """

    T: Any = parameter(0.0)

    order: ClassVar[tuple[str, ...]] = ("m",)
    starts: ClassVar[tuple[str, ...]] = ("ferromagnet", "paramagnet")
    continuous: ClassVar[tuple[str, ...]] = ("ferromagnet",)
    symbols: ClassVar[Mapping[str, str]] = {"T": "T", "m": "m"}
    reference: ClassVar[str] = "Weiss, J. Phys. Theor. Appl. 6 (1907) 661"

    @property
    def variables(self) -> tuple[str, ...]:
        """The magnetisation alone."""
        return ("m",)

    def start(self, name: str) -> Array:
        """m = 1 or m = 0."""
        if name not in self.starts:
            raise self._no_start(name)
        return self._stack(1.0 if name == "ferromagnet" else 0.0)

    def box(self) -> tuple[Array, Array]:
        """-1 <= m <= 1."""
        return self._stack(-1.0), self._stack(1.0)

    def _field(self, x: Array) -> FieldAverages:
        return field(x[0], 0.0, self.T)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """m -> tanh(m/T)."""
        f = self._field(x)
        return f.tanh[None], f.C[None, None]

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """The magnetisation m."""
        return {"m": x[0]}

    def report(self, x: Array) -> Report:
        """f = m^2/2 - T ln 2cosh(m/T); u = -m^2/2; s = ln 2cosh - (m/T) tanh; no disorder, so replicon 1."""
        m, f = x[0], self._field(x)
        error = field_error(m, 0.0, self.T, f).tanh
        return Report(0.5 * m**2 - f.log2cosh, -0.5 * m**2, f.entropy, np.ones(np.shape(m)), error)

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Ferromagnet where |m| > 1e-3, else paramagnet."""
        return np.where(abs(np.asarray(order["m"])) > FERROMAGNET_ABOVE, "ferromagnet", "paramagnet")
