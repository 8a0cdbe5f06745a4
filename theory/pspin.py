r"""The Ising p-spin glass, replica symmetric; its true glass is one of broken symmetry."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require_integer
from ..core.quadrature import FieldAverages, field, field_error
from .glass import GlassTemperatures, glass_temperatures
from .model import Model, Report, parameter
from .noise import Mixture, Noise
from .overlap import GLASS_ABOVE, overlap


@dataclass(frozen=True, kw_only=True, eq=False)
class PSpin(Model):
    r"""Ising spins with Gaussian couplings of all p-tuples, energy covariance N xi(q), xi = q^p/2, replica symmetric.

    .. math::
        q = \int\!Dz\,\tanh^2\frac{\sqrt{\xi'(q)}\,z}{T}, \qquad
        f = -\frac{\xi(1) - \xi(q) - (1-q)\xi'(q)}{2T} - T\int\!Dz\,\ln 2\cosh\frac{\sqrt{\xi'(q)}\,z}{T}

    The paramagnet q = 0 solves this at every T, and the other solution is never a state of equilibrium:
    the glass, below T_s, breaks replica symmetry in one step (:func:`mattis.rsb`), below T_G < T_s in infinitely many.

    Parameters
    ----------
    p : int
        Spins per coupling, >= 3 (p = 2 is ``SherringtonKirkpatrick``) and <= 170.
    T : array_like, shape (*grid)
        Temperature, >= 0, in units of J.

    Raises
    ------
    ValueError
        If p or T is out of range.
    TypeError
        If p is no integer.

    Examples
    --------
    >>> import mattis as mt
    >>> glass = mt.rsb(mt.PSpin(p=3, T=0.5))
    >>> glass.x.round(10).tolist(), glass.q.round(10).tolist(), round(float(glass.free_energy), 10)
    ([0.7099479483], [0.0, 0.8931014271], -0.823136142)
    """

    p: int
    T: Any = parameter(0.0)

    order: ClassVar[tuple[str, ...]] = ("q",)
    starts: ClassVar[tuple[str, ...]] = ("spin_glass", "paramagnet")
    symbols: ClassVar[Mapping[str, str]] = {"T": "T", "q": "q"}
    reference: ClassVar[str] = "Gardner, Nucl. Phys. B 257 (1985) 747"

    def __post_init__(self) -> None:
        require_integer(self.p, "p", 3, 170, ">= 3 (p = 2 is SherringtonKirkpatrick) and <= 170")
        super().__post_init__()

    @property
    def variables(self) -> tuple[str, ...]:
        """C = (1 - q)/T alone."""
        return ("C",)

    def start(self, name: str) -> Array:
        """q = 1, or q = 0."""
        if name not in self.starts:
            raise self._no_start(name)
        with np.errstate(divide="ignore"):
            return self._stack(0.0 if name == "spin_glass" else 1 / np.asarray(self.T))

    def box(self) -> tuple[Array, Array]:
        """0 <= C <= 1/T."""
        with np.errstate(divide="ignore"):
            return self._stack(0.0), self._stack(1 / np.asarray(self.T))

    def _field(self, x: Array) -> tuple[Array, FieldAverages]:
        q = overlap(x[0], np.asarray(self.T))
        return q, field(0.0, np.sqrt(0.5 * self.p * q ** (self.p - 1)), self.T)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """C -> E sech^2/T, with dC'/dC = -T xi''(q) dC'/d xi'."""
        q, f = self._field(x)
        curved = 0.5 * self.p * (self.p - 1) * q ** (self.p - 2)
        with np.errstate(invalid="ignore"):
            slope = np.where(np.isinf(f.C_var) & (curved > 0), np.inf, -np.asarray(self.T) * curved * f.C_var)
        return f.C[None], np.where(curved == 0, 0.0, slope)[None, None]

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """Overlap q of two replicas."""
        return {"q": overlap(x[0], np.asarray(self.T))}

    def report(self, x: Array) -> Report:
        """u = -[xi(1) - xi(q)]/T; s = E[ln 2cosh - h tanh] - [xi(1) - xi(q) - (1 - q) xi'(q)]/(2 T^2); the replicon is
        1 - xi''(q) E sech^4/T^2.
        """
        C, T = x[0], np.asarray(self.T)
        q, f = self._field(x)
        rising = 0.5 * np.polynomial.polynomial.polyval(q, np.ones(self.p))
        curved = 0.5 * np.polynomial.polynomial.polyval(q, np.arange(1.0, self.p))
        slope = 0.5 * self.p * (self.p - 1) * q ** (self.p - 2)
        with np.errstate(invalid="ignore"):
            free_energy = -0.5 * T * C * C * curved - f.log2cosh
            replicon = 1 - np.where(slope > 0, slope * f.sech4, 0.0)
        error = field_error(0.0, np.sqrt(0.5 * self.p * q ** (self.p - 1)), T, f).C
        return Report(free_energy, -C * rising, f.entropy - 0.5 * C * C * curved, replicon, error)

    def admissible(self, x: Array, report: Report) -> NDArray[np.bool_]:
        """The paramagnet, down to T_s; never the solution with q > 0."""
        warm = np.asarray(self.T) >= self.glass_temperatures().static * (1 - 1e-8)
        return np.isfinite(report.free_energy) & warm & (overlap(x[0], np.asarray(self.T)) <= GLASS_ABOVE)

    def glass_temperatures(self) -> GlassTemperatures:
        """T_d, below which metastable states trap the dynamics; T_s, below which the paramagnet is no equilibrium."""
        return glass_temperatures(((self.p, 0.5),))

    def noise(self) -> Noise:
        """R = xi'(q)."""
        return Mixture(((self.p, 0.5),))

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Spin glass where q > 1e-4, else paramagnet."""
        return np.where(np.asarray(order["q"]) > GLASS_ABOVE, "spin_glass", "paramagnet")
