r"""Objective of a sparse deep kernel machine, collapsed over the outputs, and its exact gradient.

    L = sum_c ln N(y_c; 0, Q + noise I) - C tr(K_tt - Q)/(2 noise) - sum_l nu_l KL(N(0, G_ii^l) || N(0, K_ii^{l-1}))
    Q = K_ti K_ii^-1 K_it of the last layer;  with W = K_ti K_ii^-1 and v = diag(K_tt) - rows of W K_it, each layer has
    G_ti = W G_ii,   diag(G_tt) = v + rows of W G_ii W^T

for P data points t and Pi inducing points i: P Pi^2 per layer. It is a lower bound of the L of all data.
"""

from typing import NamedTuple

import numpy as np

from ...core.backend import Array
from .deep_kernel_algebra import factor, lower, sandwich, symmetric, upper
from .deep_kernel_given import Given
from .deep_kernel_maps import GramMap, Slopes, pull, square, variance
from .deep_kernel_objective import Evaluation, divergence

_DIFFERENCE = 1e-5


class Seen(NamedTuple):
    """One layer as the data see it: K_ii = J J^T and K_ti with slopes, W and v."""

    inducing: Slopes
    J: Array
    cross: Slopes
    W: Array
    v: Array


class Adjoint(NamedTuple):
    """Derivatives of L by K_ii, by K_ti and by the variances K_tt."""

    inducing: Array
    cross: Array
    test: Array


class Bound(NamedTuple):
    """The expected log likelihood and its derivatives."""

    value: float
    by: Adjoint


def seen(kernel: GramMap, G: Array, cross: Array, test: Array) -> Seen:
    """K of a layer from G_ii (Pi, Pi), G_ti (P, Pi) and the variances G_tt (P,)."""
    q = np.diagonal(G)
    inducing, across = square(kernel, G), kernel.slopes(cross, test[:, None], q[None, :])
    J = factor(inducing.k)
    half = lower(J, across.k.T)
    return Seen(inducing, J, across, upper(J, half).T, variance(kernel, test) - (half**2).sum(0))


def layers_seen(kernel: GramMap, first: Seen, G: Array) -> list[Seen]:
    """Layers 0..L from the first and the G_ii (layer, Pi, Pi)."""
    chain = [first]
    for gram in G:
        W, v = chain[-1].W, chain[-1].v
        cross = W @ gram
        chain.append(seen(kernel, gram, cross, v + (cross * W).sum(1)))
    return chain


def evaluate_bound(first: Seen, known: Given, R: Array) -> Evaluation:
    """L and its derivatives at G_ii^l = R_l R_l^T; the Hessian by central differences of the exact gradient."""
    value, gradient, fit, kl = _value_and_gradient(first, known, R)

    def shifted(S: Array) -> Array:
        C = factor(np.eye(R.shape[1]) + S)
        there = _value_and_gradient(first, known, R @ C)[1]
        return np.array([sandwich(c, g) for c, g in zip(C, there, strict=True)])

    def hessian(S: Array) -> Array:
        h = _DIFFERENCE / np.linalg.norm(S)
        return symmetric(shifted(h * S) - shifted(-h * S)) / (2 * h)

    return Evaluation(value, gradient, hessian, fit, kl)


def _value_and_gradient(first: Seen, known: Given, R: Array) -> tuple[float, Array, float, Array]:
    G = R @ R.transpose(0, 2, 1)
    chain = layers_seen(known.kernel, first, G)
    ratios = [lower(at.J, r) for at, r in zip(chain, R, strict=False)]
    terms = [divergence(at.J, B, nu) for at, B, nu in zip(chain, ratios, known.nu, strict=False)]
    gradient = np.array([0.5 * nu * (np.eye(len(B)) - B.T @ B) for B, nu in zip(ratios, known.nu, strict=True)])
    fit, by = bound(chain[-1], known.Y, known.noise)
    for i in reversed(range(len(R))):
        W, (by_gram, by_cross, by_test) = chain[i].W, _pulled(known.kernel, chain[i + 1], by)
        by_gram = by_gram + symmetric(W.T @ by_cross) + W.T @ (by_test[:, None] * W)
        gradient[i] += R[i].T @ by_gram @ R[i]
        by = _below(chain[i], (by_cross + 2 * by_test[:, None] * W) @ G[i], by_test, terms[i].weight * terms[i].A)
    kl = np.array([-term.value for term in terms])
    return fit - float(known.nu @ kl), symmetric(gradient), fit, kl


def bound(last: Seen, Y: Array, noise: float) -> Bound:
    """Sum_c ln N(y_c; 0, Q + noise) - C sum(v)/(2 noise) from the last layer."""
    P, C = Y.shape
    half = lower(last.J, last.cross.k.T)
    root = factor(noise * np.eye(len(half)) + half @ half.T)
    inner = lower(root, half)

    def solved(V: Array) -> Array:
        return (V - inner.T @ (inner @ V)) / noise

    a = solved(Y)
    log_det = 2 * np.log(np.diagonal(root)).sum() + (P - len(half)) * np.log(noise)
    value = -0.5 * ((Y * a).sum() + C * (log_det + P * np.log(2 * np.pi) + last.v.sum() / noise))
    by_cross = a @ (a.T @ last.W) - C * solved(last.W)
    by_v = np.full(P, -0.5 * C / noise)
    weighted = by_v[:, None] * last.W
    by_inducing = last.W.T @ weighted - 0.5 * symmetric(last.W.T @ by_cross)
    return Bound(float(value), Adjoint(by_inducing, by_cross - 2 * weighted, by_v))


def _pulled(kernel: GramMap, at: Seen, by: Adjoint) -> Adjoint:
    """Derivatives by G_ii, G_ti and the variances G_tt from those by K."""
    by_gram = pull(at.inducing, by.inducing)
    by_gram[np.diag_indices_from(by_gram)] += (by.cross * at.cross.q2).sum(0)
    own = by.test if kernel.keeps_variance else 0.0
    return Adjoint(by_gram, by.cross * at.cross.c, (by.cross * at.cross.q1).sum(1) + own)


def _below(at: Seen, by_W: Array, by_v: Array, by_inducing: Array) -> Adjoint:
    """Derivatives by the K of a layer from those by its W and v, and what its K_ii has from a divergence."""
    half = upper(at.J, lower(at.J, by_W.T)).T
    weighted = by_v[:, None] * at.W
    return Adjoint(by_inducing + at.W.T @ weighted - symmetric(at.W.T @ half), half - 2 * weighted, by_v)
