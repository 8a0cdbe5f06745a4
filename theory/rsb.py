r"""The functional of k-step broken replica symmetry and its stationarity, for any model that declares its noise.

A model gives the covariance R(q) of the field of a spin and its signal mu(n), of energy E(n) per spin. With Y_0 the
cascade of ``core/cascade.py`` from fields mu v + sqrt(R_0) z in steps of variance R_i - R_{i-1},

    f = E + (1 + rho) n mu + f_noise[q, y] - Y_0,

stationary in all order parameters where, with t_i and c_i the first and second derivatives along the cascade,

    E v t_0 = (1 + rho) n,      E t_i^2 = q_i,      E c_k = C,      2 dY_0/dy_i = int q dR  from q_{i-1} to q_i.

The last holds for every noise, since df_noise/dy_i at fixed q and R is half the integral. A level is stable where
R'(q_i) E c_i^2 < 1: without steps the condition of de Almeida and Thouless, at q_1 of one step that of Gardner.

Sources: G. Parisi, J. Phys. A 13, 1101 (1980); arXiv:2111.12997; for Hopfield's modes H. Steffan, R. Kuehn, Z. Phys. B
95, 249 (1994).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..core.backend import Array
from ..core.cascade import Cascade, cascade, widest_step
from .examples import MeanExample
from .model import Model
from .noise import Noise, NoiseTerms
from .noise import Staircase as Staircase


class State(NamedTuple):
    """The order parameters of one point."""

    n: float
    """Alignment: m, or with examples their overlap"""
    stairs: Staircase


class Account(NamedTuple):
    """What a state amounts to; replicon per level 0..k: 1 - R'(q_i) E c_i^2."""

    m: float
    free_energy: float
    energy: float
    entropy: float
    replicon: Array
    response: float
    """E c_0, how m follows a field"""
    vv_response: float
    """E v^2 c_0, how n follows"""
    soft: float
    """The part of the free energy that is not the one of Gaussian couplings"""


@dataclass(frozen=True)
class Parisi:
    """The functional of one point of a model.

    ``seen`` names what makes (1 + rho) n: ``v_t``, or ``t`` in the low-entropy closure, where f is not stationary in n.
    """

    noise: Noise
    signal: Callable[[Any], tuple[Any, Any]]
    mean_example: MeanExample
    T: float
    seen: str = "v_t"
    fineness: float = 1.0

    @property
    def share(self) -> float:
        """1 + rho."""
        return 1 + float(self.mean_example.rho)

    def _averages(self, state: State) -> tuple[Cascade, NoiseTerms]:
        terms = self.noise.terms(state.stairs, self.T)
        s, y = np.sqrt(np.diff(terms.R)), state.stairs.y
        mu, step = float(self.signal(state.n)[0]), widest_step(s[0], y[0], self.T) / self.fineness
        h, weights, v = self.mean_example.nodes(mu, float(terms.R[0]), step)
        return cascade(h, weights, v, s, y, self.T, self.fineness), terms

    def residual(self, state: State) -> Array:
        """(E v t/(1 + rho) - n, E t_i^2 - q_i for i < k, E c_k - C, then 2 dY_0/dy_i - int q dR), shape (2k + 2,)."""
        q, C, _ = state.stairs
        a, terms = self._averages(state)
        work = np.diff(terms.R * q) - terms.area
        aligned = float(getattr(a, self.seen)) / self.share - state.n
        return np.concatenate([[aligned], a.q[:-1] - q[:-1], [a.C - C], 2 * a.slope - work])

    def symmetric(self, C: float) -> NoiseTerms:
        """The noise of a single level, q = 1 - T C."""
        return self.noise.terms(Staircase(np.array([1 - self.T * C]), C, np.empty(0)), self.T)

    def covariance(self, state: State) -> Array:
        """R_0..R_k; R_i - R_{i-1} is the natural unit of the last k residuals. nan where there is no such noise."""
        return self.noise.terms(state.stairs, self.T).R

    def account(self, state: State) -> Account:
        """Free energy, energy, entropy and replicons; f - u + T s vanishes at a stationary point."""
        mu, energy = self.signal(state.n)
        a, terms = self._averages(state)
        f = energy + self.share * state.n * mu + terms.free_energy - a.Y
        with np.errstate(invalid="ignore"):
            replicon = 1 - np.where(terms.slope > 0, terms.slope * a.c2, 0.0)
        return Account(
            a.t,
            float(f),
            float(energy + terms.energy),
            float(a.entropy + terms.entropy),
            replicon,
            a.response,
            a.vv_response,
            float(terms.soft),
        )


def parisi(model: Model, fineness: float = 1.0) -> Parisi:
    """The functional of a model of one point."""
    seen = "t" if getattr(model, "closure", "full") == "low_entropy" else "v_t"
    T = float(np.asarray(model.parameters()["T"]))
    return Parisi(model.noise(), model.signal, model.mean_example, T, seen, fineness)
