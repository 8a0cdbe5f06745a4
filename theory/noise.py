r"""The noise of unretrieved patterns, or of random couplings, by the covariance R(q) of the field of a spin.

Two families. A mixture of p-spin couplings, of energy covariance N xi(q), has R = xi'(q). Patterns in pairwise
couplings are Gaussian modes that respond to the spins: with y(q) = x(q)/T,

    R(q) = alpha sum g^2 int_0^q dq'/lambda_g(q')^2,      lambda_g(q) = 1 - g C - g int_q^{q_k} y(q') dq',

g the coupling of a kind of mode. Overlaps q_0 <= ... <= q_k = 1 - T C; y_i holds between q_{i-1} and q_i, i = 1..k.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..core.backend import Array


class Staircase(NamedTuple):
    """Overlaps of k steps: q_0..q_k, C = (1 - q_k)/T and y_1..y_k = x_i/T, finite at T = 0."""

    q: Array
    C: float
    y: Array


class NoiseTerms(NamedTuple):
    """What a staircase makes of the noise."""

    R: Array
    """Covariance of the fields of two replicas of overlap q_i, i = 0..k"""
    slope: Array
    """dR/dq at q_i"""
    area: Array
    """int R dq from q_{i-1} to q_i, i = 1..k"""
    free_energy: float
    """All of f but the signal and the spins in their field"""
    energy: float
    """Of the noise, per spin"""
    entropy: float
    """All of s but that of the spins in their field"""
    soft: float
    """The part of free_energy that is not that of Gaussian couplings of covariance int R dq: (1/2) int y R dq - G, G
    the coupling term whose derivative by y is R/2; zero where R does not depend on y"""


class Noise(ABC):
    """The noise in the field of a spin."""

    @abstractmethod
    def terms(self, stairs: Staircase, T: float) -> NoiseTerms:
        """Covariance and thermodynamics of a staircase."""

    @property
    @abstractmethod
    def gapped(self) -> bool:
        """Whether R starts flat, R'(0) = 0, so that without a field replicas of different clusters share nothing."""


@dataclass(frozen=True)
class Mixture(Noise):
    """xi(q) = sum_p a_p q^p from ((p, a_p), ...)."""

    powers: Sequence[tuple[int, float]]

    @property
    def gapped(self) -> bool:
        """No pair couplings and no random field."""
        return all(p > 2 for p, _ in self.powers)

    def _xi(self, q: Array, order: int) -> Array:
        """xi and its derivatives."""
        total = np.zeros(np.shape(q))
        for p, a in self.powers:
            if p >= order:
                total += a * np.prod(np.arange(p, p - order, -1.0)) * q ** (p - order)
        return total

    def terms(self, stairs: Staircase, T: float) -> NoiseTerms:
        """f = [sum y_i (theta_i - theta_{i-1}) - T C^2 c(q_k)]/2 with theta = q xi' - xi, c = [xi(1) - xi - (1 - q)
        xi']/(1 - q)^2; u = -C [xi(1) - xi(q_k)]/(1 - q_k) - sum y_i [xi_i - xi_{i-1}]; s = -C^2 c(q_k)/2.
        """
        q, C, y = stairs
        xi, R = self._xi(q, 0), self._xi(q, 1)
        theta, top = q * R - xi, q[-1]
        mean = sum(a * np.polynomial.polynomial.polyval(top, np.ones(p)) for p, a in self.powers)
        curved = sum(a * np.polynomial.polynomial.polyval(top, np.arange(1.0, p)) for p, a in self.powers if p > 1)
        return NoiseTerms(
            R,
            self._xi(q, 2),
            np.diff(xi),
            0.5 * float(y @ np.diff(theta) - T * C * C * curved),
            -float(C * mean + y @ np.diff(xi)),
            -0.5 * float(C * C * curved),
            0.0,
        )


@dataclass(frozen=True)
class SoftModes(Noise):
    """alpha N (number, coupling) kinds of Gaussian modes, and the diagonal they leave out, per spin."""

    alpha: float
    modes: Sequence[tuple[float, float]]
    diagonal: float

    @property
    def gapped(self) -> bool:
        """R'(0) = alpha g^2/lambda_0^2 > 0."""
        return False

    def terms(self, stairs: Staircase, T: float) -> NoiseTerms:
        """Sums over kinds, g the coupling, lambda = 1 at q = 1.

        f = [R_k C + sum y_i (R_i q_i - R_{i-1} q_{i-1})]/2 + (alpha/2) sum {T ln lambda_k - g q_0/lambda_0 -
        sum_i ln(lambda_i/lambda_{i-1})/y_i} + diagonal; u = -sum [R_k/g + alpha g (1 - q_k)/lambda_k]/2 + diagonal;
        s = -(alpha/2) sum [ln lambda_k + g C/lambda_k]. nan where lambda <= 0.
        """
        q, C, y = stairs
        steps = np.diff(q)
        R, slope, area = np.zeros(q.size), np.zeros(q.size), np.zeros(y.size)
        f = u = s = work = 0.0
        for number, g in self.modes:
            if g == 0 or number == 0:
                continue
            some = self.alpha * number
            pull = np.append(np.cumsum((y * steps)[::-1])[::-1], 0.0)
            lam = 1 - g * C - g * pull
            if not lam[0] > 0:
                lam = np.full(q.size, np.nan)
            jump = g * y * steps / lam[:-1]  # lambda_i/lambda_{i-1} - 1
            own = some * g * g * np.append(q[0] / lam[0] ** 2, steps / (lam[1:] * lam[:-1])).cumsum()
            R, slope = R + own, slope + some * g * g / lam**2
            area += steps * own[:-1] + some * (jump - np.log1p(jump)) / y**2
            f += 0.5 * some * (T * np.log(lam[-1]) - g * q[0] / lam[0] - (np.log1p(jump) / y).sum())
            u -= 0.5 * (own[-1] / g + some * g * T * C / lam[-1])
            s -= 0.5 * some * (np.log(lam[-1]) + g * C / lam[-1])
            work += own[-1] * C + some * T * (g * C / lam[-1] + np.log(lam[-1]))
        soft = f + 0.5 * float(work + y @ area)
        f += 0.5 * float(R[-1] * C + y @ np.diff(R * q))
        return NoiseTerms(R, slope, area, f + self.diagonal, u + self.diagonal, s, soft + self.diagonal)
