r"""Deep Gaussian processes of finite width, sampled: what a deep kernel machine is the limit of.

    columns of F_l ~ N(0, K(G_{l-1})),   G_l = F_l F_l^T/N_l,   F_l of shape (n, N_l),   N_l = N nu_l
    posterior of F_1..F_L:  prior times P(Y | G_L)^N,   P(Y | G_L) = prod_c N(y_c; 0, K(G_L) + noise I)

The power N stands for N copies of the outputs. With F_l = R_l Z_l, R_l R_l^T the Gram matrix of the limit, all Z_l are
drawn together by elliptical slices: turning Z towards a fresh one leaves the limit in place, so a sweep moves G_l by
its own spread at any N. What R is decides about the speed alone.
"""

from collections.abc import Callable, Iterator

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import require, require_integer
from .deep_kernel_algebra import factor
from .deep_kernel_given import Given, forward, given, gram
from .deep_kernel_maximum import deep_kernel_optimum


def finite_width_grams(
    G0: ArrayLike,
    Y: ArrayLike,
    *,
    layers: int,
    nu: ArrayLike,
    noise: float,
    width: int,
    kernel: str = "relu",
    chains: int = 64,
    sweeps: int = 400,
    seed: int = 0,
) -> xr.Dataset:
    r"""Posterior mean of the Gram matrices of a deep Gaussian process of N = width, by Monte Carlo.

    .. math:: \langle G_l\rangle, \qquad G_l = \frac{F_l F_l^T}{N_l}, \qquad
        P(F_1..F_L | Y) \propto P(Y | G_L)^N \prod_l\prod_{\lambda=1}^{N_l}\mathcal N(f_l^\lambda; 0, K(G_{l-1}))

    The mean differs from the deep kernel machine by O(1/N), a sample by O(N^-1/2).

    Parameters
    ----------
    G0, Y, layers, nu, noise, kernel
        As in :func:`~mattis.theory.kernels.deep_kernel_maximum.deep_kernel_optimum`.
    width : int >= 1
        N; every N nu_l must be an integer >= n.
    chains : int >= 2
        Independent chains; they run side by side.
    sweeps : int >= 2
        Elliptical slices of each chain; the first half is left out.
    seed : int

    Returns
    -------
    Dataset
        (layer, x1, x2): gram, the mean; gram_error, its standard error from the scatter of the chains; gram_std, the
        standard deviation of a sample.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:2108.13097; Murray, Adams, MacKay, AISTATS 9, 541 (2010), the sampler.

    >>> finite = finite_width_grams([[1.0]], [2.0], layers=1, nu=1.0, noise=0.1, width=50)
    >>> round(finite.gram.item(), 3), round(finite.gram_error.item(), 3)
    (1.937, 0.003)
    """
    G = gram("G0", G0)
    known = given(Y, len(G), kernel, layers, nu, noise)
    for name, value, low in (("width", width, 1), ("chains", chains, 2), ("sweeps", sweeps, 2), ("seed", seed, 0)):
        require_integer(value, name, low, 2**63 - 1, f">= {low}")
    units = np.rint(width * known.nu).astype(int)
    require(np.isclose(units, width * known.nu, rtol=1e-12), "width * nu", width * known.nu, "an integer")
    require(units >= len(G), "width * nu", units, f">= {len(G)}, the number of points")
    best = deep_kernel_optimum(G, known.Y, layers=layers, nu=known.nu, noise=noise, kernel=kernel)
    J0, R = forward(G, known.kernel, 1)[0], factor(best.grams.values)
    rng = np.random.Generator(np.random.Philox(key=seed))
    Z = [rng.normal(size=(chains, len(G), count)) for count in units]
    return _summary(_sweeps(rng, lambda Z: _weigh(J0, R, known, width, Z), Z, sweeps), sweeps - sweeps // 2)


def _weigh(J0: Array, R: Array, known: Given, width: int, Z: list[Array]) -> tuple[Array, Array]:
    """Gram matrices (chain, layer, n, n) of Z_l (chain, n, N_l); ln of posterior over normal density of each chain."""
    J, grams, level = J0[None], [], np.zeros(len(Z[0]))
    for r, z in zip(R, Z, strict=True):
        F = r @ z
        white = np.linalg.solve(J, F)
        level += 0.5 * ((z**2).sum((1, 2)) - (white**2).sum((1, 2))) - z.shape[2] * _log_det(J)
        grams.append(F @ F.transpose(0, 2, 1) / z.shape[2])
        q = np.diagonal(grams[-1], axis1=1, axis2=2)
        K = known.kernel.slopes(grams[-1], q[:, :, None], q[:, None, :]).k
        J = factor(K)
    J = factor(K + known.noise * np.eye(len(J0)))
    white = np.linalg.solve(J, known.Y[None])
    level -= width * (0.5 * (white**2).sum((1, 2)) + known.Y.shape[1] * _log_det(J))
    return np.stack(grams, 1), level


def _log_det(J: Array) -> Array:
    """Ln |J| of each triangular matrix."""
    return np.log(np.diagonal(J, axis1=1, axis2=2)).sum(1)


def _sweeps(
    rng: np.random.Generator, weigh: Callable[[list[Array]], tuple[Array, Array]], Z: list[Array], sweeps: int
) -> Iterator[Array]:
    """Gram matrices of all chains after each sweep of the second half."""
    grams, level = weigh(Z)
    for sweep in range(sweeps):
        _slice(rng, weigh, Z, grams, level)
        if sweep >= sweeps // 2:
            yield grams


def _slice(
    rng: np.random.Generator,
    weigh: Callable[[list[Array]], tuple[Array, Array]],
    Z: list[Array],
    grams: Array,
    level: Array,
) -> None:
    """One elliptical slice of every chain, written over Z, grams and level."""
    other = [rng.normal(size=z.shape) for z in Z]
    floor = level + np.log(1 - rng.random(len(level)))
    angle = rng.uniform(0, 2 * np.pi, len(level))
    low, high, left = angle - 2 * np.pi, angle.copy(), np.arange(len(level))
    while left.size:
        turn = angle[left, None, None]
        trial = [z[left] * np.cos(turn) + o[left] * np.sin(turn) for z, o in zip(Z, other, strict=True)]
        new, weight = weigh(trial)
        done = weight >= floor[left]
        for z, t in zip((*Z, grams, level), (*trial, new, weight), strict=True):
            z[left[done]] = t[done]
        left = left[~done]
        below = angle[left] < 0
        low[left], high[left] = np.where(below, angle[left], low[left]), np.where(below, high[left], angle[left])
        angle[left] = rng.uniform(low[left], high[left])


def _summary(samples: Iterator[Array], count: int) -> xr.Dataset:
    """Mean, its standard error by chains, and the standard deviation, of arrays (chain, layer, n, n)."""
    total = square = np.zeros(1)
    for grams in samples:
        total, square = total + grams, square + grams**2
    by_chain, mean = total / count, total.mean(0) / count
    error = by_chain.std(0, ddof=1) / np.sqrt(len(by_chain))
    deviation = np.sqrt((square.mean(0) / count - mean**2).clip(0.0))
    dims, layer = ("layer", "x1", "x2"), np.arange(1, len(mean) + 1)
    found = {"gram": mean, "gram_error": error, "gram_std": deviation}
    return xr.Dataset({name: (dims, value) for name, value in found.items()}, coords={"layer": layer})
