"""The field that acts on every site at given one-site averages: of the energy itself, and of Plefka's expansion."""

from collections.abc import Iterator
from math import factorial
from typing import Any

import numpy as np
from numpy.polynomial import Polynomial
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require
from ..core.hermite import hermite_weights
from .energy import OverlapEnergy

MODES = ("exact", "plefka1", "plefka2")
_AT_ONCE = 2**16  # weights, or sums of all lanes, in floats at a time: they stay in cache

Array = NDArray[np.float64]


def effective_field(
    energy: OverlapEnergy, m: ArrayLike, *, mode: str = "exact", T: ArrayLike | None = None, gamma: float | None = None
) -> Array:
    r"""The field on every site where the sites have averages m: a free spin in it has the average tanh(h/T).

    .. math::
        \text{exact:}\ h_i = -\frac{\partial \langle H \rangle_m}{\partial m_i}, \qquad
        \text{plefka1:}\ h_i = \frac{P}{2} \sum_\mu \xi_i^\mu m_\mu^{P-1}, \qquad
        \text{plefka2:}\ h_i^\text{exact} - \frac{\gamma}{T} \frac{P(P-1)}{2} q^{P-2} (1-q)\, m_i

    with :math:`\langle H \rangle_m` the mean energy of independent spins and :math:`q = \frac1N \sum_i m_i^2`.

    "exact" has no term of the site itself, with or without the diagonal: at spins :math:`2 \sigma_i h_i` is the cost of
    the flip, and sequential heat bath in this field is what ``simulate`` does. "plefka1" has these terms. At
    :math:`K \sim N^{P-1}` they are no correction: at even P > 2 they grow with N and freeze any state, at P = 3 they
    are a random field. "plefka2" takes off what a site feels of its own average by way of the others. At P = 2 that is
    the sum of all orders, :math:`\alpha (1-q) m_i/(T - 1 + q)`; the diagonal adds the orders of ``onsager``.

    Parameters
    ----------
    energy : OverlapEnergy of a power of the overlaps
    m : float array (sample, ..., site), or (site,) for all samples; in [-1, 1]
    mode : "exact", "plefka1" or "plefka2"
    T : float > 0, or an array that broadcasts with (sample, ...); "plefka2" alone uses it
    gamma : float >= 0, the load of the noise; "plefka2" alone uses it. By default :math:`K P!/(2 N^{P-1})` times the
        mean P-th power of what the squared weights of a row are on average: right for independent patterns, averages
        of examples and blanks. Of single examples :math:`\gamma (1+\rho_P)/(1+\rho)^P` must be given

    Returns
    -------
    float64 array (sample, ..., site), in the unit of T.

    Raises
    ------
    TypeError for another energy, ValueError outside these ranges or where T or gamma is needed and missing; "plefka2"
    at P = 2 also where T <= 1 - q, and for single examples, whose noise no one load describes.

    Source: T. Plefka, J. Phys. A 15, 1971 (1982); for P = 2 M. Mezard, Phys. Rev. E 95, 022117 (2017).

    >>> energy = OverlapEnergy.dense(np.ones((1, 10), int), P=4)
    >>> float(effective_field(energy, np.ones(10))[0, 0])  # 2 * 9 * 8 * 7 / 10^3
    1.008
    """
    check_choices(energy, mode)
    averages = _averages(energy, m)
    h = np.stack([field(energy, x, z, mode) for z, x in enumerate(averages)])
    if mode != "plefka2":
        return h
    temperature, noise = _temperature(T, averages.shape[:-1]), load(energy, gamma)
    q = np.mean(averages**2, axis=-1)
    b = np.stack([onsager(energy, q[z], temperature[z], noise[z]) for z in range(energy.samples)])
    require(b >= 0, "T", temperature, "> 1 - q at P = 2, in units of the mean squared weight")
    return h - b[..., None] * averages


def check_choices(energy: Any, mode: str) -> None:
    """Refuse an energy that is no power of the overlaps, and an unknown mode."""
    if not isinstance(energy, OverlapEnergy) or energy.F is not None:
        kind = "a table" if isinstance(energy, OverlapEnergy) else type(energy).__name__
        raise TypeError(f"energy must be an OverlapEnergy of a power of the overlaps, got {kind}")
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}")


def _averages(energy: OverlapEnergy, m: ArrayLike) -> Array:
    """m as (sample, ..., site)."""
    values = np.asarray(m, np.float64)
    shape = values.shape
    if values.ndim == 1:
        values = np.broadcast_to(values, (energy.samples, *shape))
    if values.ndim == 0 or values.shape[0] != energy.samples or values.shape[-1] != energy.N:
        raise ValueError(f"m must have shape ({energy.N},) or ({energy.samples}, ..., {energy.N}), got {shape}")
    require(np.abs(values) <= 1, "m", values, "in [-1, 1]")
    return values


def _temperature(T: ArrayLike | None, shape: tuple[int, ...]) -> Array:
    """T as an array of this shape."""
    if T is None:
        raise ValueError("T must be given for mode='plefka2'")
    values = np.asarray(T, np.float64)
    require(np.isfinite(values) & (values > 0), "T", values, "finite and > 0")
    try:
        return np.broadcast_to(values, shape)
    except ValueError:
        raise ValueError(
            f"T must be a number or broadcast to {shape}, m without its sites, got {values.shape}"
        ) from None


def field(energy: OverlapEnergy, m: Array, sample: int, mode: str) -> Array:
    r"""The field of one sample without the Onsager term, at averages (..., site).

    With :math:`A(t) = \exp \sum_k t^k \sum_i w_i^k\, l_k(m_i)` the generating function of a pattern, whose energy is
    :math:`-c\, P!\, A_P`, a site of it feels :math:`c\, P! \sum_k l_k'(m_i)\, w_i^k A_{P-k}`.
    """
    flat, P = m.reshape(-1, energy.N), energy.P
    cumulants = [Polynomial([0, 1])] if mode == "plefka1" else _cumulants(P, energy.excluded)
    values, slopes = [c(flat) for c in cumulants], [c.deriv()(flat) for c in cumulants]
    h = np.zeros_like(flat)
    for _, w in blocks(energy, sample, len(flat)):
        powers = _powers(w, len(cumulants), energy)
        S = [v.sum(-1, keepdims=True) if p is None else v @ p.T for v, p in zip(values, powers, strict=True)]
        A = _series(S, P - 1, len(w))
        for k, (slope, p) in enumerate(zip(slopes, powers, strict=True), 1):
            h += slope * (A[P - k].sum(-1, keepdims=True) if p is None else A[P - k] @ p)
    return (energy.g * factorial(P) / (2 * float(energy.N) ** (P - 1)) * h).reshape(m.shape)


def blocks(energy: OverlapEnergy, sample: int, lanes: int) -> Iterator[tuple[slice, Array]]:
    """The weights of one sample as floats (mu, site), so many rows at a time that memory stays bounded."""
    rows = max(1, _AT_ONCE // max(energy.N, lanes))
    for first in range(0, energy.K, rows):
        part = slice(first, first + rows)
        yield part, energy.xi[sample, part].astype(np.float64)


def _cumulants(P: int, excluded: bool) -> list[Polynomial]:
    r"""l_1 to l_P: of :math:`\ln(1 + m x)`, whose A_P is e_P, or of :math:`\ln(\cosh x + m \sinh x)`, whose A_P is the
    average of M^P/P!: :math:`l_k = \kappa_k/k!, \ \kappa_{k+1} = (1 - m^2)\, \kappa_k'`.

    >>> [float(l(0.5)) for l in _cumulants(2, True)], [float(l(0.5)) for l in _cumulants(2, False)]
    ([0.5, -0.125], [0.5, 0.375])
    """
    if excluded:
        return [Polynomial([0] * k + [(-1) ** (k - 1) / k]) for k in range(1, P + 1)]
    kappa = [Polynomial([0, 1])]
    for _ in range(1, P):
        kappa.append(Polynomial([1, 0, -1]) * kappa[-1].deriv())
    return [kappa[k - 1] / factorial(k) for k in range(1, P + 1)]


def _powers(w: Array, last: int, energy: OverlapEnergy) -> list[Array | None]:
    """w to w^last; None where all of it is 1."""
    if energy.largest_weight > 1:
        return list(np.multiply.accumulate([w] * last))
    square = None if energy.signs or last == 1 else w * w
    return [w if k % 2 else square for k in range(1, last + 1)]


def _series(S: list[Array], order: int, width: int) -> list[Array]:
    r"""A_0 to A_order of :math:`\exp \sum_k S_k t^k`, each (lane, mu): :math:`n A_n = \sum_k k S_k A_{n-k}`."""
    A = [np.ones((len(S[0]), width))]
    for n in range(1, order + 1):
        terms = [k / n * s * A[n - k] for k, s in enumerate(S[:n], 1)]
        A.append(np.sum(terms, axis=0))
    return A


def load(energy: OverlapEnergy, gamma: float | None) -> Array:
    r"""The load of every sample: :math:`\frac{P!}{2 N^{P-1}} g^2 \sum_\mu (\overline{w^2})^P`, or gamma."""
    if energy.example is not None and energy.largest_weight == 1:
        must = "given for single examples, gamma (1 + rho_P)/(1 + rho)^P, and P >= 3"
        require(gamma is not None and energy.P > 2, "gamma", str(gamma), must)
    if gamma is not None:
        require(np.isfinite(gamma) & (gamma >= 0), "gamma", gamma, "finite and >= 0")
        return np.full(energy.samples, gamma, np.float64)
    rows = np.full(energy.samples, float(energy.K))
    if not energy.signs:
        square = np.stack([np.einsum("ki,ki->k", w, w, dtype=np.int64) for w in energy.xi]) / energy.N
        rows = energy.g**2 * np.sum(square**energy.P, axis=-1)
    return factorial(energy.P) / (2 * float(energy.N) ** (energy.P - 1)) * rows


def onsager(energy: OverlapEnergy, q: Array, T: Array, gamma: float) -> Array:
    r"""What "plefka2" takes off per m_i, :math:`(1-q)\, \xi''(q)/T`; at P = 2 the sum of all orders.

    .. math:: \xi(q) = \frac{\gamma}{2} \sum_k \frac{c_k^2\, k!}{P!} q^k, \qquad c_k = \binom{P}{k} (P-k-1)!!,

    over k = P, P - 2, ..., or over k = P alone where the diagonal is out. At P = 2, :math:`\gamma (1-q)/(T - v(1-q))`
    with v the mean squared weight, 1 but for blanks; nan where that is not positive.
    """
    P = energy.P
    if P == 2:
        D = T - np.sqrt(gamma * energy.N / energy.K) * (1 - q)
        return np.where(D > 0, gamma * (1 - q) / np.where(D > 0, D, 1.0), np.nan)
    weights = hermite_weights(P, energy.diagonal)
    curvature = sum(w * k * (k - 1) * q ** (k - 2) for k, w in weights.items() if k > 1)
    return gamma / 2 * (1 - q) * curvature / T
