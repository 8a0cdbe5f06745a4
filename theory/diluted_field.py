r"""Averages over the field of a spin under K diluted patterns, X = sum_mu n_mu eta^mu + z sqrt(noise), h = X/T.

Three independent ways. ``by_rows`` sums over the 3^K rows of the patterns, each a Gaussian field. ``by_waves`` is a
Fourier integral of products over patterns, of cost K, for any law of the entries. ``by_halves`` is exact at T = 0
without noise: it sorts the sums of one half of the patterns and looks up those of the other.
"""

from typing import Any, NamedTuple

import numpy as np

from ..core.backend import Array
from ..core.fused import CHECK, FAST, Rule
from ..core.products import products
from ..core.row_sums import row_sums
from .diluted import rows
from .entries import Entries

ROWS_UP_TO, ROWS_AT_ZERO = 6, 9
"""Patterns that are summed over by rows; at T = 0 in noise of the entries, where a Fourier integral decays slowly."""
_DECAY, _GAUSS = 27.0, 8.7  # of 1/sinh and of a Gaussian below 1e-17
_ALIAS = 19.0  # exp(-2 * 19) = 3e-17
_MOST = 2**25  # nodes, or sums of half of the patterns
_AT_ONCE = 2**13
_TIE = 1e-12
_NO_ROWS = np.zeros((0, 1))


class DilutedAverages(NamedTuple):
    """Of points (P): (P,) but where said otherwise. C = E sech^2(h)/T."""

    eta_tanh: Any
    """E eta_mu tanh h, (K, P)"""
    xi_tanh: Any
    """E xi_mu tanh h, (K, P)"""
    response: Any
    """E eta_mu eta_nu sech^2(h)/T = d(E eta_mu tanh)/d n_nu, (K, K, P)"""
    C_n: Any
    """dC/d n_mu = 2 d(E eta_mu tanh)/d noise, (K, P)"""
    xi2_C: Any
    """E xi_mu^2 sech^2(h)/T, (K, P)"""
    C: Any
    C_noise: Any
    """dC/d noise"""
    sech4: Any
    """E sech^4(h)/T^2"""
    log2cosh: Any
    """T E ln 2cosh h"""
    entropy: Any
    """E[ln 2cosh h - h tanh h]"""
    q: Any
    """E tanh^2 h"""


def average(entries: Entries, d: Array, n: Array, noise: Array, T: Array, check: bool = False) -> DilutedAverages:
    """The averages at points of any shape, n (K, *points); ``check``: by other nodes, to estimate the error."""
    shape = np.broadcast_shapes(n.shape[1:], *(np.shape(v) for v in (d, noise, T)))
    flat = [np.broadcast_to(v, shape).ravel() for v in (d, noise, T)]
    points = np.broadcast_to(n, (n.shape[0], *shape)).reshape(n.shape[0], -1)
    found = _average(entries.laid_out(shape), flat[0], points, flat[1], flat[2], check)
    return DilutedAverages(*(v.reshape((*v.shape[:-1], *shape)) for v in found))


def _average(entries: Entries, d: Array, n: Array, noise: Array, T: Array, check: bool) -> DilutedAverages:
    most = ROWS_AT_ZERO if (T == 0).any() and (entries.rho > 0).any() else ROWS_UP_TO
    if n.shape[0] <= most and not entries.binomial:
        return by_rows(entries, d, n, noise, T, CHECK if check else FAST)
    cold = (T == 0) & (noise == 0) & (entries.binomial | (entries.rho == 0))
    parts = [np.flatnonzero(cold), np.flatnonzero(~cold)]
    ways = by_halves, by_waves_finer if check else by_waves
    made = [f(entries.at(i), d[i], n[:, i], noise[i], T[i]) for f, i in zip(ways, parts, strict=True)]
    back = np.argsort(np.concatenate(parts))
    return DilutedAverages(*(np.concatenate(v, axis=-1)[..., back] for v in zip(*made, strict=True)))


def by_rows(entries: Entries, d: Array, n: Array, noise: Array, T: Array, rule: Rule = FAST) -> DilutedAverages:
    """Sums over rows; n (K, P). The entries are bare or Gaussian."""
    scalars, vectors, matrix = row_sums(rows(n.shape[0]), d, n, entries.rho, noise, T, rule)
    return DilutedAverages(vectors[0], vectors[1], matrix, vectors[2], vectors[3], *scalars)


def nodes(entries: Entries, n: Array, noise: float, T: float, finer: float = 1.0) -> tuple[float, int]:
    """(step, number) of the midpoint rule: beyond the last node the integrand is below 1e-16, as is its alias."""
    sd, some = float(np.sqrt(noise)), abs(n[n != 0])
    own = 0.0 if entries.binomial or some.size < n.size else float(np.sqrt(entries.rho) * some.min())
    reach = entries.largest * float(min(some.sum(), _GAUSS * np.sqrt(some @ some))) + _GAUSS * sd
    step = finer * 2 * np.pi / (reach + _ALIAS * T) if T > 0 or reach > 0 else 1.0
    ends = [_DECAY / T if T > 0 else np.inf, _GAUSS / np.hypot(sd, own) if sd + own > 0 else np.inf]
    return step, int(min(np.ceil(min(ends) / step), 2.0**62))


def by_waves(entries: Entries, d: Array, n: Array, noise: Array, T: Array) -> DilutedAverages:
    """The Fourier integral, point by point; T > 0, or noise > 0 or that of the entries."""
    return _stacked([_wave(entries.at(p), d[p], n[:, p], noise[p], T[p]) for p in range(d.size)], n)


def by_waves_finer(entries: Entries, d: Array, n: Array, noise: Array, T: Array) -> DilutedAverages:
    """The same with nodes closer by a quarter: its distance from that is the error of the coarser."""
    return _stacked([_wave(entries.at(p), d[p], n[:, p], noise[p], T[p], 0.8) for p in range(d.size)], n)


def _wave(entries: Entries, d: float, n: Array, noise: float, T: float, finer: float = 1.0) -> DilutedAverages:
    """One point: with a = pi w T/2 the weight of w is T/sinh a, that of the entropy (a coth a - 1)/(w sinh a)."""
    step, count = nodes(entries, n, noise, T, finer)
    if count > _MOST:
        told = f"T/(1 - d) = {T:.3g} is too low for the average over {n.size} patterns, of {count:.1e} nodes"
        raise ValueError(f"{told}: take a higher T" + ", T = 0 or rho without r and M" * entries.binomial)
    vectors, matrix = np.zeros((4, n.size)), np.zeros((n.size, n.size))
    C = C_noise = entropy = 0.0
    free = d**n.size  # the blank row has no noise of entries: its integrand decays later, and it is one term by hand
    for first in range(0, count, _AT_ONCE):
        w: Array = step * np.arange(first + 0.5, min(first + _AT_ONCE, count), dtype=np.float64)
        a = 0.5 * np.pi * T * w
        g: Array = step * np.exp(-0.5 * noise * w * w) * (T / np.sinh(a) if T > 0 else 2 / np.pi / w)
        wave, p = entries.waves(n[:, None] * w), 1 - d
        part, cross, whole = products(d + p * wave.cos, p * wave.v_sin, p * wave.vv_cos, p * wave.sin, d, g, w)
        vectors, matrix = vectors + part, matrix + cross
        whole = whole - free
        C, C_noise = C + float(g @ (w * whole)), C_noise - 0.5 * float(g @ (w**3 * whole))
        entropy += float(g @ (whole * (a / np.tanh(a) - 1) / (w * T))) if T > 0 else 0.0
    log2cosh = T * entropy + n @ vectors[0] + noise * C
    sech4 = (4 * C / T - 2 * T * C_noise) / 6 if T > 0 else (np.inf if C > 0 else 0.0)
    scalars = np.array([C, C_noise, sech4, log2cosh, entropy, 1 - free - T * C])
    blank = row_sums(_NO_ROWS, np.array([free]), np.zeros((1, 1)), np.zeros(1), np.array([noise]), np.array([T]))[0]
    return DilutedAverages(vectors[0], vectors[1], matrix, vectors[2], vectors[3], *(scalars + blank[:, 0]))


def by_halves(entries: Entries, d: Array, n: Array, noise: Array, T: Array) -> DilutedAverages:
    """T = 0 without noise, point by point; ties of the field count zero, and the response diverges where there are."""
    return _stacked([_halved(entries.at(p), d[p], n[:, p]) for p in range(d.size)], n)


def _halved(entries: Entries, d: float, n: Array) -> DilutedAverages:
    K, (eta, law, xi) = n.size, entries.values(d)
    halves = np.arange(K // 2), np.arange(K // 2, K)
    if eta.size ** halves[1].size > _MOST:
        told = f"K = {K} patterns of {eta.size} values each are too many for the exact average at T = 0"
        raise ValueError(f"{told}: take T > 0" + ", or rho without r and M" * entries.binomial)
    sums = [_sums(eta, law, n[half]) for half in halves]
    eta_tanh, xi_tanh, mean, zero, tie = np.zeros(K), np.zeros(K), 0.0, 0.0, np.zeros(K, np.bool_)
    for one, other, half in ((0, 1, halves[0]), (1, 0, halves[1])):
        X, w = sums[one]
        order = np.argsort(sums[other][0])
        Y, v = sums[other][0][order], np.append(0.0, np.cumsum(sums[other][1][order]))
        slack = _TIE * abs(n).max(initial=0.0)
        low, high = v[np.searchsorted(Y, -X - slack)], v[np.searchsorted(Y, -X + slack, side="right")]
        sign, flat = w * (v[-1] - high - low), w * (high - low)
        zero = float(flat.sum())
        for axis, k in enumerate(half):
            shape = (eta.size,) * half.size
            by_value = [np.moveaxis(u.reshape(shape), axis, 0).reshape(eta.size, -1).sum(1) for u in (sign, flat)]
            eta_tanh[k], xi_tanh[k] = eta @ by_value[0], xi @ by_value[0]
            tie[k] = bool((by_value[1][eta != 0] > 0).any())
    diverges = np.where(tie, np.inf, 0.0)
    mean = float(n @ eta_tanh)
    C = np.inf if zero > 0 else 0.0
    return DilutedAverages(
        eta_tanh, xi_tanh, np.diag(diverges), np.zeros(K), diverges, C, -C, C, mean, np.log(2) * zero, 1 - zero
    )


def _sums(eta: Array, law: Array, n: Array) -> tuple[Array, Array]:
    """All sums of n_mu eta_mu and their probabilities, the first pattern slowest."""
    X, w = np.zeros(1), np.ones(1)
    for n_mu in n:
        X, w = np.add.outer(X, n_mu * eta).ravel(), np.multiply.outer(w, law).ravel()
    return X, w


def _stacked(points: list[DilutedAverages], n: Array) -> DilutedAverages:
    """The points along a last axis."""
    if not points:
        K = n.shape[0]
        vector, scalar = np.zeros((K, 0)), np.zeros(0)
        return DilutedAverages(vector, vector, np.zeros((K, K, 0)), vector, vector, *[scalar] * 6)
    return DilutedAverages(*(np.stack(np.broadcast_arrays(*v), axis=-1) for v in zip(*points, strict=True)))
