r"""The law of an entry of a diluted pattern and of what a network has learned of it, eta = xi v.

xi = +-1 with probability (1 - d)/2 each, else 0; v = 1 where patterns are stored; 1 + sqrt(rho) lambda where the
dataset entropy rho is all that is known; (2k/M - 1)/r with k ~ B(M, (1 + r)/2) for M examples of quality r.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binom

from ..core.backend import Array

_LEAST = 1e-18  # weight of a value that counts


class Waves(NamedTuple):
    """Of an entry that is not blank at x: E cos(x v), E v sin(x v), E v^2 cos(x v), E sin(x v)."""

    cos: Array
    v_sin: Array
    vv_cos: Array
    sin: Array


@dataclass(frozen=True)
class Entries:
    """A law of v at points: Gaussian of variance rho (stored patterns at rho = 0), or binomial where r, M are given."""

    rho: Any
    r: Any = None
    M: Any = None

    @property
    def binomial(self) -> bool:
        """Whether v is made of a given number of examples."""
        return self.M is not None

    def laid_out(self, shape: tuple[int, ...]) -> "Entries":
        """The same along one axis of points."""
        given = (self.rho, self.r, self.M) if self.binomial else (self.rho,)
        return Entries(*(np.broadcast_to(v, shape).ravel() for v in given))

    def at(self, points: Any) -> "Entries":
        """The law at some of the points."""
        return Entries(*(v[points] for v in ((self.rho, self.r, self.M) if self.binomial else (self.rho,))))

    @property
    def largest(self) -> float:
        """Largest |v| at one point; of the Gaussian law, what holds but for 1e-16."""
        return float(1 / self.r) if self.binomial else 1 + 8.7 * float(np.sqrt(self.rho))

    def waves(self, x: Array) -> Waves:
        """The characteristic function Q(x) = E exp(i x v) of one point, and its derivatives."""
        if not self.binomial:
            rho, cos, sin, g = self.rho, np.cos(x), np.sin(x), np.exp(-0.5 * self.rho * x * x)
            y = rho * x
            return Waves(g * cos, g * (sin + y * cos), g * ((1 + rho) * cos - 2 * y * sin - y * y * cos), g * sin)
        r, M, t = self.r, self.M, x / (self.r * self.M)
        u, du = np.cos(t) + 1j * r * np.sin(t), -np.sin(t) + 1j * r * np.cos(t)
        Q = np.exp(0.5 * M * np.log1p(-(1 - r * r) * np.sin(t) ** 2) + 1j * M * np.arctan2(u.imag, u.real))
        L = du / u / r
        second = Q * (L * L - (1 + (r * L) ** 2) / (r * r * M))
        return Waves(Q.real, -(Q * L).real, -second.real, Q.imag)

    def values(self, d: float) -> tuple[Array, Array, Array]:
        """The values of eta = xi v at one point, their probabilities, and E xi at each; of a law without Gaussians."""
        if not self.binomial:
            return np.array([-1.0, 0.0, 1.0]), np.array([0.5 * (1 - d), d, 0.5 * (1 - d)]), np.array([-1.0, 0.0, 1.0])
        middle, half = 0.5 * self.M * (1 + self.r), 10 * np.sqrt(self.M) + 2
        k = np.arange(max(0, np.floor(self.M - middle - half)), min(self.M, np.ceil(middle + half)) + 1)
        up, down = binom.pmf(k, self.M, (1 + self.r) / 2), binom.pmf(k, self.M, (1 - self.r) / 2)
        kept = up + down > _LEAST
        up, down, v = 0.5 * (1 - d) * up[kept], 0.5 * (1 - d) * down[kept], ((2 * k / self.M - 1) / self.r)[kept]
        return np.append(v, 0.0), np.append(up + down, d), np.append((up - down) / (up + down), 0.0)
