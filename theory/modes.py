r"""The noise of unretrieved patterns in pairwise couplings: Gaussian modes that respond to the spins.

With C = (1 - q)/T, kappa the coupling of a kind of modes and D = 1 - kappa C > 0:

.. math:: r = \sum \frac{\kappa^2 q}{D^2}, \qquad
          f = \frac{\alpha}{2} \Bigl[\sum \Bigl(T \ln D - \frac{\kappa q}{D}\Bigr) + r C\Bigr]

One kind of coupling 1 for stored patterns and class means of examples; where single examples are stored, M - 1 more per
pattern of coupling rho/(1 + rho).
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..core.backend import Array
from .noise import SoftModes
from .overlap import overlap


class Kind(NamedTuple):
    """Modes of one kind: how many per pattern, and their coupling."""

    number: Array
    coupling: Array


@dataclass(frozen=True)
class Modes:
    """Modes of load alpha at temperature T (in units of their couplings)."""

    alpha: Array
    T: Array
    kinds: tuple[Kind, ...]
    diagonal: Array
    """What the couplings of a spin with itself add to the energy, left out of f"""

    def loaded(self, value: Array) -> Array:
        """Alpha times a property of the noise; 0 without load, whatever the property."""
        with np.errstate(invalid="ignore"):
            return np.where(np.asarray(self.alpha) > 0, self.alpha * value, 0.0)

    def noise(self, C: Array) -> tuple[Array, Array, Array]:
        """(q, r, dr/dC)."""
        T = np.asarray(self.T)
        q, r, dr = overlap(C, T), np.zeros(()), np.zeros(())
        with np.errstate(divide="ignore", invalid="ignore"):
            for number, k in self.kinds:
                gain = number * k**2 / (1 - k * C) ** 2
                r = r + np.where(q > 0, gain * q, 0.0)
                dr = dr + gain * (2 * k * q / (1 - k * C) - T)
        return q, r, dr

    def thermodynamics(self, C: Array) -> tuple[Array, Array, Array]:
        """What the modes add to f, u and s, without diagonal; nan where D <= 0.

        u = -(alpha/2) [sum kappa/D + r C] + diagonal, s = -(alpha/2) sum [ln D + kappa C/D].
        """
        T = np.asarray(self.T)
        q, r, _ = self.noise(C)
        with np.errstate(divide="ignore", invalid="ignore"):
            f, u, s = r * C, -r * C, np.zeros(())
            for number, k in self.kinds:
                D = np.where(1 - k * C > 0, 1 - k * C, np.nan)
                f = f + number * (T * np.log(D) - k * q / D)
                u = u - number * k / D
                s = s - number * (np.log(D) + k * C / D)
        return 0.5 * self.loaded(f) + self.diagonal, 0.5 * self.loaded(u) + self.diagonal, 0.5 * self.loaded(s)

    def instability(self, C: Array, sech4: Array) -> Array:
        """alpha E sech^4/T^2 sum kappa^2/D^2: replicas part where it exceeds 1."""
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = sum((number * k**2 / (1 - k * C) ** 2 for number, k in self.kinds), np.zeros(()))
            return self.loaded(gain * sech4)

    def soft(self) -> SoftModes:
        """The same for one point, as the noise of broken replica symmetry."""
        modes = tuple((float(number), float(k)) for number, k in self.kinds)
        return SoftModes(float(self.alpha), modes, float(self.diagonal))


def modes_of(protocol: str, alpha: Array, T: Array, rho: Array, r: Array, M: Array) -> Modes:
    """The modes of a protocol; r and M count where single examples are stored.

    >>> given = [np.array(v) for v in (0.1, 1.0, 0.25, 0.8, 2.0)]
    >>> [float(kind.coupling) for kind in modes_of("unsupervised", *given).kinds]
    [1.0, 0.2]
    """
    one, diagonal = np.ones(()), 0.5 * np.asarray(alpha)
    if protocol != "unsupervised":
        return Modes(alpha, T, (Kind(one, one),), diagonal)
    return Modes(alpha, T, (Kind(one, one), Kind(M - 1, rho / (1 + rho))), diagonal / (r**2 * (1 + rho)))
