r"""The Sherrington-Kirkpatrick spin glass in a field, replica symmetric."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.quadrature import FieldAverages, field, field_error
from .model import Model, Report, parameter
from .noise import Mixture, Noise
from .overlap import GLASS_ABOVE, overlap


@dataclass(frozen=True, kw_only=True, eq=False)
class SherringtonKirkpatrick(Model):
    r"""Ising spins with Gaussian couplings of variance 1/N in a uniform field h, replica symmetric.

    .. math::
        q = \int\!Dz\,\tanh^2\frac{h+\sqrt q\,z}{T}, \qquad
        f = -\frac{(1-q)^2}{4T} - T\int\!Dz\,\ln 2\cosh\frac{h+\sqrt q\,z}{T}

    Iterated is C = (1 - q)/T, which stays finite as T -> 0.

    Parameters
    ----------
    T : array_like, shape (*grid)
        Temperature, >= 0, in units of J.
    h : array_like, shape (*grid)
        Uniform field, any sign; with h != 0 there is one solution and q > 0 at every T.

    Raises
    ------
    ValueError
        If T is negative, or either is not finite.

    Notes
    -----
    Unstable against replica symmetry breaking (``replicon`` < 0) below the line of de Almeida and Thouless.

    Examples
    --------
    >>> import mattis as mt
    >>> glass = mt.solve(mt.SherringtonKirkpatrick(T=0.5))
    >>> round(float(glass.q), 10), round(float(glass.free_energy), 10)
    (0.5303683921, -0.7923929451)
    """

    T: Any = parameter(0.0)
    h: Any = parameter(default=0.0)

    order: ClassVar[tuple[str, ...]] = ("m", "q")
    starts: ClassVar[tuple[str, ...]] = ("spin_glass", "paramagnet")
    continuous: ClassVar[tuple[str, ...]] = ("spin_glass",)
    symbols: ClassVar[Mapping[str, str]] = {"T": "T", "h": "h", "m": "m", "q": "q"}
    reference: ClassVar[str] = "Sherrington, Kirkpatrick, Phys. Rev. Lett. 35 (1975) 1792"

    @property
    def variables(self) -> tuple[str, ...]:
        """C = (1 - q)/T alone."""
        return ("C",)

    def start(self, name: str) -> Array:
        """q = 1, or free spins in the field h: C = sech^2(h/T)/T, q = 0 without a field."""
        if name not in self.starts:
            raise self._no_start(name)
        return self._stack(0.0 if name == "spin_glass" else field(self.h, 0.0, self.T).C)

    def box(self) -> tuple[Array, Array]:
        """0 <= C <= 1/T."""
        with np.errstate(divide="ignore"):
            return self._stack(0.0), self._stack(1 / np.asarray(self.T))

    def _q(self, x: Array) -> Array:
        return overlap(x[0], np.asarray(self.T))

    def _field(self, x: Array) -> FieldAverages:
        return field(self.h, np.sqrt(self._q(x)), self.T)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """C -> E sech^2/T, with dC'/dC = -T dC'/dq."""
        f = self._field(x)
        with np.errstate(invalid="ignore"):
            slope = np.where(np.isinf(f.C_var), np.inf, -np.asarray(self.T) * f.C_var)
        return f.C[None], slope[None, None]

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """Magnetisation m and overlap q of two replicas."""
        return {"m": self._field(x).tanh, "q": self._q(x)}

    def report(self, x: Array) -> Report:
        """f = -C (1 - q)/4 - T E ln 2cosh; u = -C (1 + q)/2 - h m; s = E[ln 2cosh - h tanh] - C^2/4.

        The replicon is 1 - E sech^4/T^2; s = -1/(2 pi) at T = h = 0.
        """
        C, q, f = x[0], self._q(x), self._field(x)
        with np.errstate(invalid="ignore"):
            free_energy = -0.25 * C * (1 - q) - f.log2cosh
        error = field_error(self.h, np.sqrt(q), self.T, f).C
        energy = -0.5 * C * (1 + q) - np.asarray(self.h) * f.tanh
        return Report(free_energy, energy, f.entropy - 0.25 * C**2, 1 - f.sech4, error)

    def noise(self) -> Noise:
        """R(q) = q."""
        return Mixture(((2, 0.5),))

    def signal(self, n: Any) -> tuple[Any, Any]:
        """The field h, of energy -h m."""
        return self.h, -np.asarray(self.h) * n

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Spin glass where q > 1e-4 (with a field: the one solution there is), else paramagnet."""
        return np.where(np.asarray(order["q"]) > GLASS_ABOVE, "spin_glass", "paramagnet")
