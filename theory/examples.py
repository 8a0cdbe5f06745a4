r"""Averages over the field of a spin and the mean example it sees, v = etabar/(r xi), of mean 1 and variance rho.

The field is h = (mu v + z sqrt(noise))/T. In the Gaussian law, v = 1 + sqrt(rho) lambda, the mean example joins the
noise: one average of width^2 = noise + rho mu^2, with moments of v by Stein's lemma. In the binomial law of M examples,
v = (2k/M - 1)/r with k ~ B(M, (1 + r)/2), it is a sum over k.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy

from ..core.backend import Array
from ..core.errors import require
from ..core.quadrature import FieldAverages, field, field_error

LAWS = ("gaussian", "binomial")
"""Words for ``MeanExample``: Gaussian as in the papers, or exact for finite M."""
_REACH = 9.5  # standard deviations of k that are summed
_LEAST = 1e-18  # weight of a k that is summed
_MOST = 2**26  # examples: 1/M is the difference from the Gaussian law at equal rho
_AT_ONCE = 2**18  # terms of the sum at a time


class ExampleAverages(NamedTuple):
    """Averages over v and z, each of the broadcast shape; a C is E sech^2(h)/T, its derivatives as in ``field``."""

    tanh: Array
    C: Array
    C_mean: Array
    C_var: Array
    sech4: Array
    log2cosh: Array
    entropy: Array
    v_tanh: Array
    """E v tanh h"""
    v_C: Array
    """E v sech^2(h)/T = d(E tanh)/d mu"""
    vv_C: Array
    """E v^2 sech^2(h)/T = d(E v tanh)/d mu"""
    v_C_mean: Array
    """E v dC/d mean = dC/d mu = 2 d(E v tanh)/d noise"""


@dataclass(frozen=True)
class MeanExample:
    """The law of v: Gaussian of variance rho, or binomial where the quality r and the number M are given."""

    rho: Array
    r: Array | None = None
    M: Array | None = None

    def average(self, mu: Array, noise: Array, T: Array) -> ExampleAverages:
        """The averages at signal mu and variance of the noise."""
        if self.r is None or self.M is None:
            return self._gaussian(mu, noise, T)

        def terms(v: Array) -> list[Array]:
            f = field(mu * v, np.sqrt(noise), T)
            return [*f, v * f.tanh, v * f.C, v * v * f.C, v * f.C_mean]

        return ExampleAverages(*self._over_k(terms, np.broadcast(mu, noise, T).shape))

    def _gaussian(self, mu: Array, noise: Array, T: Array) -> ExampleAverages:
        rho = self.rho
        f = field(mu, np.sqrt(noise + rho * mu**2), T)
        width = rho * mu
        v_C = f.C + chain(width, f.C_mean)
        v_C_mean = f.C_mean + chain(2 * width, f.C_var)
        vv_C = v_C + chain(rho, f.C + chain(mu, v_C_mean))
        return ExampleAverages(*f, v_tanh=f.tanh + chain(width, f.C), v_C=v_C, vv_C=vv_C, v_C_mean=v_C_mean)

    def _over_k(self, terms: Callable[[Array], list[Array]], points: tuple[int, ...]) -> list[Array]:
        """Averages of terms(v) over all k that matter, so many at a time that memory stays bounded."""
        r, M = np.asarray(self.r), np.asarray(self.M)
        shape = np.broadcast_shapes(r.shape, M.shape, points)
        p, M = np.broadcast_to((1 + r) / 2, shape), np.broadcast_to(M, shape)
        middle, half = M * p, np.ceil(_REACH * np.sqrt(M * p * (1 - p))) + 1
        first = np.maximum(np.floor(middle - half), 0.0)
        count = int((np.minimum(middle + half, M) - first).max(initial=0.0)) + 1
        many, whole, sums = max(1, _AT_ONCE // max(M.size, 1)), np.zeros(shape), None
        for begin in range(0, count, many):
            k = first + np.arange(begin, min(begin + many, count)).reshape(-1, *[1] * len(shape))
            inside = np.minimum(k, M)
            log = gammaln(M + 1) - gammaln(inside + 1) - gammaln(M - inside + 1)
            w = np.where(k <= M, np.exp(log + xlogy(inside, p) + xlog1py(M - inside, -p)), 0.0)
            with np.errstate(invalid="ignore"):
                part = [np.where(w > 0, w * term, 0.0).sum(axis=0) for term in terms((2 * k / M - 1) / r)]
            whole, sums = (
                whole + w.sum(axis=0),
                part if sums is None else [x + y for x, y in zip(sums, part, strict=True)],
            )
        return [x / whole for x in sums or []]

    def nodes(self, mu: float, noise: float, step: float) -> tuple[Array, Array, Array]:
        """Fields h = mu v + z sqrt(noise) of one point, ``step`` apart or less, their weights and mean v."""
        if self.r is None or self.M is None:
            sd = float(np.sqrt(noise + self.rho * mu**2))
            z, w = _normal(sd, step)
            return mu + sd * z, w, 1 + (self.rho * mu / sd * z if sd > 0 else 0.0 * z)
        z, w = _normal(float(np.sqrt(noise)), step)
        k = np.arange(float(self.M) + 1)
        p = float(1 + self.r) / 2
        law = np.exp(
            gammaln(self.M + 1) - gammaln(k + 1) - gammaln(self.M - k + 1) + xlogy(k, p) + xlog1py(self.M - k, -p)
        )
        kept = law > _LEAST
        v = np.repeat((2 * k[kept] / self.M - 1) / self.r, z.size)
        h = mu * v + np.tile(np.sqrt(noise) * z, kept.sum())
        return h, np.repeat(law[kept], z.size) * np.tile(w, kept.sum()), v

    def error(self, mu: Array, noise: Array, T: Array) -> Array:
        """The larger of the estimated errors of E tanh and C."""
        if self.r is None or self.M is None:
            sd = np.sqrt(noise + self.rho * mu**2)
            return _largest(field_error(mu, sd, T, field(mu, sd, T)))
        sd = np.sqrt(noise)

        def terms(v: Array) -> list[Array]:
            return [_largest(field_error(mu * v, sd, T, field(mu * v, sd, T)))]

        return self._over_k(terms, np.broadcast(mu, noise, T).shape)[0]


def mean_example(etabar: str, rho: Array, r: Array | None, M: Array | None) -> MeanExample:
    """The law of v by its name in ``LAWS``; the binomial needs r and M."""
    if etabar == "gaussian":
        return MeanExample(rho)
    if r is None or M is None:
        raise ValueError("etabar='binomial' needs both r and M")
    require(M <= _MOST, "M", M, "<= 2^26 with etabar='binomial', a sum over sqrt(M) terms")
    return MeanExample(rho, r, M)


def _normal(sd: float, step: float) -> tuple[Array, Array]:
    """Nodes and weights of a normal variable for functions of sd z on the scale of ``step``."""
    if sd == 0:
        return np.zeros(1), np.ones(1)
    n = int(np.ceil(_REACH / min(0.5, step / sd)))
    z = np.linspace(-_REACH, _REACH, 2 * n + 1)
    w = np.exp(-0.5 * z * z)
    return z, w / w.sum()


def chain(outer: Array, inner: Array) -> Array:
    """A derivative through a variable: 0 where either factor is, though the other be infinite there."""
    with np.errstate(invalid="ignore"):
        return np.where((outer == 0) | (inner == 0), 0.0, outer * inner)


def _largest(error: FieldAverages) -> Array:
    return np.maximum(error.tanh, error.C)
