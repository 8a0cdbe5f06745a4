r"""Objective of a deep kernel machine with its exact gradient and Hessian.

    L(G_1..G_L) = sum_c ln N(y_c; 0, K(G_L) + noise I) - sum_l nu_l KL(N(0, G_l) || N(0, K(G_{l-1})))
    KL(N(0, G) || N(0, K)) = [tr(K^-1 G) - ln |K^-1 G| - n]/2

    dL/dG_l = nu_l (G_l^-1 - K_{l-1}^-1)/2 + k'(G_l)^* A_l,        A_l = dL/dK_l
    A_l = nu_{l+1} (K_l^-1 G_{l+1} K_l^-1 - K_l^-1)/2  below the last layer,
    A_L = (M^-1 Y Y^T M^-1 - C M^-1)/2,  M = K_L + noise I,  C columns of Y

All is given along G_l = R_l (1 + S_l) R_l^T, R_l the Cholesky factor of where one stands: with K_{l-1} = J J^T the
force is nu (1 - B^T B)/2, B = J^-1 R_l, so a condition number counts by its square root.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...core.backend import Array
from .deep_kernel_algebra import factor, lower, sandwich, symmetric
from .deep_kernel_given import Given
from .deep_kernel_maps import GramMap, Slopes, pull, pull_change, push, square


class Evaluation(NamedTuple):
    """L, dL/dS (layer, n, n) at S = 0, the product of the Hessian by S with such a stack, ln P(Y | G_L), each KL."""

    value: float
    gradient: Array
    hessian: Callable[[Array], Array]
    log_likelihood: float
    kl: Array


class Term(NamedTuple):
    """What stands on a K: ``weight`` times a value, X = (K + noise I)^-1, A = d(value)/dK, and its columns C."""

    weight: float
    value: float
    columns: int
    X: Array
    A: Array


def evaluate(J: Array, known: Given, R: Array) -> Evaluation:
    """L and its derivatives at G_l = R_l R_l^T, J J^T = K(G_0); LinAlgError where a matrix is not positive definite."""
    kernel, G = known.kernel, R @ R.transpose(0, 2, 1)
    terms, maps, gradient = [], [], np.empty_like(R)
    for i, nu in enumerate(known.nu):
        B = lower(J, R[i])
        terms.append(divergence(J, B, nu))
        gradient[i] = 0.5 * nu * (np.eye(len(B)) - B.T @ B)
        maps.append(square(kernel, G[i]))
        J = factor(maps[i].k) if i + 1 < len(R) else J
    terms.append(likelihood(maps[-1].k, known.Y, known.noise))
    for i, (at, above) in enumerate(zip(maps, terms[1:], strict=True)):
        gradient[i] += R[i].T @ pull(at, above.weight * above.A) @ R[i]

    def hessian(S: Array) -> Array:
        return _hessian_product(kernel, R, G, maps, terms, S)

    kl = np.array([-term.value for term in terms[:-1]])
    fit = terms[-1].value
    return Evaluation(fit - float(known.nu @ kl), symmetric(gradient), hessian, fit, kl)


def divergence(J: Array, B: Array, nu: float) -> Term:
    """-nu KL(N(0, G) || N(0, J J^T)) from J and B = J^-1 R."""
    n = len(B)
    kl = 0.5 * ((B**2).sum() - n) - np.log(np.diagonal(B)).sum()
    eye = np.eye(n)
    return Term(nu, -float(kl), 1, sandwich(J, eye), 0.5 * sandwich(J, B @ B.T - eye))


def likelihood(K: Array, Y: Array, noise: float) -> Term:
    """Sum over columns of ln N(y; 0, K + noise I)."""
    n, columns = Y.shape
    J = factor(K + noise * np.eye(n))
    z, eye = lower(J, Y), np.eye(n)
    value = -0.5 * (z**2).sum() - columns * (np.log(np.diagonal(J)).sum() + 0.5 * n * np.log(2 * np.pi))
    return Term(1.0, float(value), columns, sandwich(J, eye), 0.5 * sandwich(J, z @ z.T - columns * eye))


def _hessian_product(kernel: GramMap, R: Array, G: Array, maps: list[Slopes], terms: list[Term], S: Array) -> Array:
    r"""Change of the gradient along S; of a term of C columns, G above it (none above the likelihood),

    .. math:: dA = X\,dG X/2 - (X\,dK A + A\,dK X) - C X\,dK X/2.
    """
    out, dG, dK = np.empty_like(S), R @ S @ R.transpose(0, 2, 1), np.zeros_like(S[0])
    for i, (at, below, above) in enumerate(zip(maps, terms[:-1], terms[1:], strict=True)):
        XR = below.X @ R[i]
        out[i] = 0.5 * below.weight * (XR.T @ dK @ XR - S[i])
        dK = push(at, dG[i])
        half = above.X @ dK @ (above.A + 0.25 * above.columns * above.X)
        dA = -half - half.T
        if i + 1 < len(R):
            dA += 0.5 * above.X @ dG[i + 1] @ above.X
        change = pull(at, above.weight * dA) + pull_change(kernel, G[i], above.weight * above.A, dG[i])
        out[i] += R[i].T @ change @ R[i]
    return symmetric(out)
