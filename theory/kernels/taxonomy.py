r"""What an infinitely wide and infinitely deep network does, read off three Gaussian averages of its activation.

.. math::
    \phi = \sum_m c_m h_m, \quad \sum_m c_m^2 = 1, \qquad \hat\phi(\xi) = \sum_m c_m^2 \xi^m, \qquad
    A = E\phi = c_0, \quad A' = E\phi' = c_1, \quad B' = E\phi'^2 = \sum_m m\, c_m^2

h_m are the orthonormal Hermite polynomials of probability. On the unit sphere the cosine of two inputs obeys
xi_{L+1} = phi^(xi_L). phi^ maps the complex disc into itself, so (Denjoy and Wolff) every |xi| < 1 flows to one point:

=======================  =================  ==========================================================================
condition                kind               the classifier of infinite depth
=======================  =================  ==========================================================================
A = 0, A' = 0            "1-NN"             the label of the nearest training point
A = 0, 0 < A'^2 < 1      "singular kernel"  a vote with weights s(xi) ~ |x - x'|^-alpha
A = 0, A'^2 = 1          "linear"           xi never moves: linear least squares
A != 0, B' >= 1          "majority vote"    the larger class
A != 0, 0 < B' < 1       "flat limit"       all xi -> 1 at one rate: interpolation by a conditionally positive kernel
A^2 = 1                  "constant"         the inputs are forgotten in one layer
=======================  =================  ==========================================================================

The source lists three kinds; the other rows complete them. Source: arXiv:2204.14126.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from ...core.backend import Array
from ...core.errors import is_real, real_array, require, require_integer

Kind = Literal["1-NN", "singular kernel", "linear", "majority vote", "flat limit", "constant"]
Activation = Callable[[Array], Array]
_RANGE, _ORDER = 13.0, 24


@dataclass(frozen=True)
class Taxonomy:
    """The averages A, A', B' of an activation with E phi^2 = 1 and the kind of its deep network."""

    A: float
    """E phi"""
    A_prime: float
    """E phi'"""
    B_prime: float
    """E phi'^2; infinite where phi jumps"""
    alpha_nngp: float
    """The NNGP of infinite depth is singular as |x - x'|^-alpha; nan for the other kinds"""
    alpha_ntk: float
    """The same exponent of the NTK, which is equal"""
    kind: Kind
    """The row of the table above"""
    error: float
    """What the quadrature of a callable leaves open in A, A', B'; 0 for given coefficients"""


@dataclass(frozen=True)
class HermiteSeries:
    """The first orthonormal Hermite coefficients of phi/sqrt(E phi^2)."""

    coefficients: Array
    """c_0 .. c_{terms - 1}, scaled to sum c_m^2 = 1; those below 1e-14 are set to 0, so that a parity stays one"""
    truncation: float
    """The part of E phi^2 that the higher terms held, before that scaling"""
    error: float
    """Largest change of a coefficient when all panels of the quadrature are halved"""


def squares(coefficients: ArrayLike) -> Array:
    """c_m^2, scaled to sum to 1."""
    c = real_array(coefficients, "coefficients")
    if c.ndim != 1 or c.size < 1:
        raise ValueError(f"coefficients must be a vector (c_0, c_1, ...), got shape {c.shape}")
    require(np.isfinite(c), "coefficients", c, "finite")
    total = float(c @ c)
    require(abs(total - 1) <= 1e-10, "sum of coefficients^2", total, "1 (divide the coefficients by its root)")
    return c * c / total


def infinite_depth(activation: ArrayLike | Activation) -> Taxonomy:
    r"""Kind of the infinitely deep classifier, with the exponent of its singular kernel.

    .. math:: \alpha_{nngp} = \alpha_{ntk} = -4 \ln|A'| / \ln B'

    The multiplier of phi^ at 0 is A'^2 and at 1 is B', so the limit s(xi) of xi_L/A'^(2L) grows as (1 - xi)^(-alpha/2),
    and so does that of Theta_L/((L + 1) A'^(2L)). A vote with alpha = the dimension of the data is consistent.

    Parameters
    ----------
    activation : array_like (terms,) or callable
        Orthonormal Hermite coefficients c_0, c_1, ... with sum c_m^2 = 1, or phi itself, which is then scaled to
        E phi^2 = 1. A callable takes and returns an array; it may have kinks and jumps at multiples of 1/2 only.

    Returns
    -------
    Taxonomy

    Raises
    ------
    ValueError
        If the coefficients are not normalised, or the quadrature of a callable does not settle.

    Source: arXiv:2204.14126; the exponent of the NTK is for Theta_L/((L + 1) A'^(2L)), the depth taken first.

    >>> found = infinite_depth([0.0, 0.6, 0.0, 0.8])
    >>> found.kind, round(found.alpha_ntk, 6)
    ('singular kernel', 2.479208)
    """
    if callable(activation):
        coarse, fine = (_averages(activation, width) for width in (0.5, 0.25))
        error = max(abs(f - c) for f, c in zip(fine, coarse, strict=True) if f != c)
        require(error < 1e-6, "quadrature error of E phi, E phi', E phi'^2", error, "< 1e-6: phi is too rough")
        return _taxonomy(*fine, error, zero=max(1e-12, 4 * error))
    w = squares(activation)
    A, A_prime = np.append(np.sign(activation) * np.sqrt(w), 0.0)[:2]
    return _taxonomy(float(A), float(A_prime), float(np.arange(w.size) @ w), 0.0, zero=0.0)


def _taxonomy(A: float, A_prime: float, B_prime: float, error: float, zero: float) -> Taxonomy:
    one = 1 - max(1e-12, 4 * error)
    kind: Kind
    if abs(A) <= zero:
        kind = "1-NN" if abs(A_prime) <= zero else "linear" if A_prime**2 >= one else "singular kernel"
    else:
        kind = "majority vote" if B_prime >= one else "flat limit" if B_prime > zero else "constant"
    alpha = -4 * np.log(abs(A_prime)) / np.log(B_prime) if kind == "singular kernel" else np.nan
    return Taxonomy(A, A_prime, B_prime, float(alpha), float(alpha), kind, error)


def design_activation(dim: float, *, m: int = 3) -> Array:
    r"""Coefficients of the activation c_1 h_1 + c_m h_m whose deep kernel is singular as |x - x'|^-dim.

    .. math:: -2 \ln t / \ln(t + m (1 - t)) = dim, \qquad c_1^2 = t, \quad c_m^2 = 1 - t

    Parameters
    ----------
    dim : float, > 2/(m - 1), at most 1000
        Dimension of the data: n - 1 for points all over the unit sphere in R^n. Any larger than 2/(m - 1), the
        value as t -> 1, has one solution.
    m : int in [2, 64]
        Degree of the second term.

    Returns
    -------
    array (m + 1,)

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:2204.14126 (Bayes consistency of the weights |x - x'|^-dim: Devroye, Gyorfi and Krzyzak 1998).

    >>> design_activation(2.0).round(6).tolist()
    [0.0, 0.707107, 0.0, 0.707107]
    """
    require_integer(m, "m", 2, 64, "in [2, 64]")
    low = 2 / (m - 1)
    require(is_real(dim) and low < dim <= 1000, "dim", dim, f"in ({low:g}, 1000] with m = {m}")
    y = brentq(
        lambda y: 2 * y - dim * np.log1p(-(m - 1) * np.expm1(-y)),
        1e-12,
        dim * np.log(m) / 2 + 1.0,
        xtol=1e-15,
        rtol=1e-15,
    )
    c = np.zeros(m + 1)
    c[1], c[m] = np.exp(-y / 2), np.sqrt(-np.expm1(-y))
    return c


def hermite_coefficients(activation: Activation, *, terms: int = 64) -> HermiteSeries:
    r"""Coefficients c_m = E[phi(z) h_m(z)], z ~ N(0, 1), of an activation, scaled to sum c_m^2 = 1.

    Gauss-Legendre panels that end at the multiples of 1/2, so that kinks and jumps there cost nothing.

    Parameters
    ----------
    activation : callable
        phi, from an array to an array of the same shape; of exponential growth at most.
    terms : int in [1, 512]
        How many coefficients.

    Returns
    -------
    HermiteSeries

    Raises
    ------
    ValueError
        If phi is not finite, has the wrong shape or vanishes.
    TypeError
        If activation is no function, or terms no integer.

    >>> series = hermite_coefficients(lambda x: x**3, terms=4)
    >>> (series.coefficients**2).round(6).tolist(), series.truncation < 1e-12
    ([0.0, 0.6, 0.0, 0.4], True)
    """
    require_integer(terms, "terms", 1, 512, "in [1, 512]")
    if not callable(activation):
        raise TypeError(f"activation must be a function of arrays, got {activation!r}")
    coarse, fine = (_project(activation, width, terms) for width in (0.5, 0.25))
    fine = np.where(abs(fine) < 1e-14, 0.0, fine)
    kept = float(fine @ fine)
    require(kept > 0, "the kept part of E phi^2", kept, "> 0: take more terms")
    return HermiteSeries(fine / np.sqrt(kept), max(0.0, 1 - kept), float(abs(fine - coarse).max()))


def _sample(activation: Activation, width: float) -> tuple[Array, Array, Array]:
    """Nodes, weights of the standard normal law and phi/sqrt(E phi^2) at the nodes, each (panels, order)."""
    x, w = legendre.leggauss(_ORDER)
    edges = np.arange(-_RANGE, _RANGE, width)[:, None]
    nodes = edges + width * (x + 1) / 2
    weights = width / 2 * w * np.exp(-(nodes**2) / 2) / np.sqrt(2 * np.pi)
    values = real_array(activation(nodes), "activation")
    if values.shape != nodes.shape:
        raise ValueError(f"activation must keep the shape of its argument: {nodes.shape} became {values.shape}")
    require(np.isfinite(values), "activation", values, "finite")
    second = float((weights * values**2).sum())
    require(second > 0, "E phi^2", second, "> 0")
    return nodes, weights, values / np.sqrt(second)


def _averages(activation: Activation, width: float) -> tuple[float, float, float]:
    """A, A', B' with phi' from the Legendre interpolant of each panel; B' is infinite where two panels do not join."""
    nodes, weights, phi = _sample(activation, width)
    series = legendre.legfit(legendre.leggauss(_ORDER)[0], phi.T, _ORDER - 1)
    slope = legendre.legval(legendre.leggauss(_ORDER)[0], legendre.legder(series)) * 2 / width
    left, right = (legendre.legval(np.array([end]), series)[:, 0] for end in (-1.0, 1.0))
    here = abs(left[1:] - right[:-1]) * np.exp(-(nodes[1:, 0] ** 2) / 4)
    B_prime = np.inf if here.max() > 1e-6 else float((weights * slope**2).sum())
    return float((weights * phi).sum()), float((weights * nodes * phi).sum()), B_prime


def _project(activation: Activation, width: float, terms: int) -> Array:
    """E[phi h_m] by h_{m+1} = (x h_m - sqrt(m) h_{m-1})/sqrt(m + 1), times the root of the weight: it stays bounded."""
    nodes, weights, phi = (v.ravel() for v in _sample(activation, width))
    root = np.exp(-(nodes**2) / 4)
    scaled, before, now = weights * phi / root, np.zeros_like(root), root
    c = np.empty(terms)
    for m in range(terms):
        c[m] = scaled @ now
        before, now = now, (nodes * now - np.sqrt(m) * before) / np.sqrt(m + 1)
    return c
