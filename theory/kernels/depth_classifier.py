r"""The classifier sign(K_L(x, X) K_L(X, X)^-1 y) of an infinitely wide network of finite or infinite depth.

.. math::
    \text{singular kernel: } \mathrm{sign} \sum_i y_i\, s(x \cdot x_i), \qquad
    \text{1-NN: } \mathrm{sign}(y_i K(x, x_i)) \text{ at the largest } b(x \cdot x_i), \qquad
    \text{majority vote: } \mathrm{sign} \sum_i y_i

and in the flat limit the interpolant f = c - sum_i a_i S(x . x_i), f(x_i) = y_i, sum_i a_i = 0. At finite depth rows
of K_L(x, X) are scaled by their largest entry and the training matrix to ones on the diagonal, M; where M nears 11^T
the system is solved for E = 11^T - M with c = sum_i a_i as one more unknown. Source: arXiv:2204.14126.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import lapack
from scipy.spatial.distance import cdist

from ...core.backend import Array
from ...core.errors import require, require_integer
from .depth_kernels import Dual, iterate, limit_of_logs
from .taxonomy import infinite_depth

Cosines = tuple[Array, Array]


@dataclass(frozen=True)
class DeepPrediction:
    """Labels of a deep classifier with how clear they are."""

    label: Array
    """(test,) -1 or 1; 0 where the vote is a tie"""
    margin: Array
    """(test,) |sum of terms|/sum of |terms| of the decision, in [0, 1]; open if below rounding times condition"""
    condition: float
    """Condition number of the solved system in the 1-norm; 1 where none was solved"""


def deep_classifier(
    coefficients: ArrayLike,
    X: ArrayLike,
    y: ArrayLike,
    X_test: ArrayLike,
    *,
    depth: int | None = None,
    kind: Literal["ntk", "nngp"] = "ntk",
) -> DeepPrediction:
    r"""Classify points of the unit sphere by ridgeless regression of the labels on a deep kernel.

    .. math:: \mathrm{sign}\bigl(K_L(x, X)\, K_L(X, X)^{-1} y\bigr)

    Parameters
    ----------
    coefficients : array_like (terms,)
        Orthonormal Hermite coefficients of the activation, sum c_m^2 = 1.
    X : array_like (train, d)
        Different unit vectors.
    y : array_like (train,)
        Labels, -1 or 1.
    X_test : array_like (test, d)
        Unit vectors.
    depth : int >= 1 or None
        Number of activations; None is the limit of infinite depth, where NTK and NNGP agree.
    kind : {"ntk", "nngp"}
        The kernel at finite depth.

    Returns
    -------
    DeepPrediction
        Three fields, labels and margins of shape (test,). Of two opposite points an odd activation gives one the
        opposite sign of the other, so "nearest" means nearest up to that sign; in one orthant it is the plain angle.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the kernel of this depth is singular on X (few coefficients span only
        polynomials of low degree) or leaves the range of floats.

    Source: arXiv:2204.14126; the flat limit is that of Driscoll and Fornberg (2002) with S in place of a power.

    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-0.6, 0.8]], [1, -1, -1]
    >>> deep_classifier([0.0, 0.6, 0.0, 0.8], X, y, [[0.8, 0.6], [0.28, 0.96]]).label.tolist()
    [1.0, -1.0]
    """
    X, X_test, y = _unit(X, "X"), _unit(X_test, "X_test"), np.asarray(y, np.float64)
    if y.shape != X.shape[:1] or X_test.shape[1] != X.shape[1]:
        raise ValueError(
            f"y and X_test must have shapes (train,) and (test, d) of X {X.shape}, got {y.shape}, {X_test.shape}"
        )
    require(abs(y) == 1, "y", y, "-1 or 1")
    if kind not in ("ntk", "nngp"):
        raise ValueError(f"kind must be ntk or nngp, got {kind!r}")
    train, test = _cosines(X, X), _cosines(X_test, X)
    off = ~np.eye(len(y), dtype=bool)
    require((train[0] < 1)[off] | (train[1] < 0)[off], "cosine of two rows of X", 1.0, "< 1: they are equal")
    found = infinite_depth(coefficients).kind
    if found == "constant":
        raise ValueError("coefficients must have a term besides c_0: the network forgets its input in one layer")
    if found == "linear":
        return _decide(X_test * np.linalg.lstsq(X, y)[0], float(np.linalg.cond(X)))
    if depth is None:
        return _at_infinity(coefficients, found, train, test, y)
    require_integer(depth, "depth", 1, 10**6, "in [1, 10^6] or None")
    M, k = (_share(Dual(coefficients), *c, depth, kind) for c in (train, test))
    if (M[0] > 0).all() and M[1].min() > -np.log(2):
        return _flat(-np.expm1(M[1]), np.where(k[0] > 0, -np.expm1(k[1]), 1 + np.exp(k[1])), y, sum_a=1.0)
    require(np.isfinite(k[1].max(axis=1)), "ln|K(x, X)| of this depth", k[1].max(axis=1), "finite: take depth=None")
    a, condition = _solve(M[0] * np.exp(M[1]), y)
    return _decide(_scaled(*k) * a, condition)


def _at_infinity(coefficients: ArrayLike, found: str, train: Cosines, test: Cosines, y: Array) -> DeepPrediction:
    if found == "majority vote":
        return _decide(np.broadcast_to(y, test[0].shape), 1.0)
    sign, value, _, _ = limit_of_logs(coefficients, *test)
    if found == "flat limit":
        return _flat(np.exp(limit_of_logs(coefficients, *train)[1]), np.exp(value), y, sum_a=0.0)
    if found == "1-NN":
        value = np.where(value == value.max(axis=1, keepdims=True), 0.0, -np.inf)
    return _decide(_scaled(sign, value) * y, 1.0)


def _unit(X: ArrayLike, name: str) -> Array:
    X = np.asarray(X, np.float64)
    if X.ndim != 2 or not X.size:
        raise ValueError(f"{name} must have the shape (points, d), got {X.shape}")
    length = np.linalg.norm(X, axis=1)
    require(abs(length - 1) <= 1e-10, f"length of the rows of {name}", length, "1")
    return X / length[:, None]


def _cosines(X: Array, Z: Array) -> Cosines:
    """Sign and ln|x . z|, from |x - z| or |x + z|, whichever is smaller: near 1 no digit is lost."""
    half = cdist(X, Z, "sqeuclidean") / 2, cdist(X, -Z, "sqeuclidean") / 2
    with np.errstate(divide="ignore"):
        log = np.log1p(-np.minimum(np.minimum(*half), 1.0))
    return np.where(np.isinf(log), 0.0, np.where(half[0] <= half[1], 1.0, -1.0)), log


def _share(dual: Dual, sign: Array, log: Array, depth: int, kind: str) -> Cosines:
    """Sign and logarithm of the kernel over its value at xi = 1."""
    deep = iterate(dual, sign, log, [depth])
    return (deep.nngp_sign[0], deep.nngp_log[0]) if kind == "nngp" else (deep.ntk_sign[0], deep.ntk_share_log[0])


def _scaled(sign: Array, log: Array) -> Array:
    """Rows over their largest entry; where that is infinite only the infinite entries count."""
    top = log.max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return sign * np.where(log == top, 1.0, np.exp(log - top))


def _flat(E: Array, E_test: Array, y: Array, sum_a: float) -> DeepPrediction:
    """Solve (11^T - E) a = y with a in units of 1/mean E and c = sum a unknown too; sum_a = 0 is the limit E -> 0."""
    n, unit = len(y), float(E.mean())
    require(unit > 1e-290, "mean of 1 - K at this depth", unit, "> 1e-290: take depth=None")
    bordered = np.ones((n + 1, n + 1))
    bordered[:n, :n], bordered[n, n] = -E / unit, -sum_a * unit
    a, condition = _solve(bordered, np.append(y, 0.0))
    return _decide(np.column_stack([-E_test / unit * a[:n], np.full(len(E_test), a[n])]), condition)


def _solve(matrix: Array, y: Array) -> tuple[Array, float]:
    factor, pivots, _ = lapack.dgetrf(matrix)
    reciprocal, _ = lapack.dgecon(factor, abs(matrix).sum(axis=0).max())
    require(reciprocal > 1e-15, "1/condition of the kernel of this depth on X", reciprocal, "> 1e-15: it is singular")
    return lapack.dgetrs(factor, pivots, y)[0], 1 / float(reciprocal)


def _decide(terms: Array, condition: float) -> DeepPrediction:
    score, size = terms.sum(axis=1), abs(terms).sum(axis=1)
    margin = abs(score) / np.where(size > 0, size, 1.0)
    return DeepPrediction(np.where(margin > 1e-15 * terms.shape[1], np.sign(score), 0.0), margin, condition)
