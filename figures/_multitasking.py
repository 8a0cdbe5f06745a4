r"""What figures of diluted patterns share: their states, what N sites add to theory, simulations, and pulls.

Exactly, :math:`\langle m \rangle = \langle x \rangle` over the density exp(-N f(x)/T) of the Hubbard-Stratonovich field
with :math:`f = x^2/2 - T \sum_\xi (N_\xi/N) \ln 2\cosh(\xi \cdot x/T)`, whatever the number N_xi of sites of a row.
"""

from functools import cache
from typing import Any

import numpy as np
import xarray as xr
from numpy.polynomial.hermite_e import hermegauss
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import skellam

from ..mc.energy import OverlapEnergy
from ..mc.patterns import patterns, row_counts
from ..mc.run import simulate
from ..mc.samplers import HeatBath
from ..theory.diluted import rows, weights
from ..theory.ground_states import ground_states

Floats = NDArray[np.float64]
SOFT, BARRIER = 5.0, 17.0
"""A pull counts where N times the square of the least eigenvalue of the Hessian is above the first, so that one loop is
small, and the barrier N (f - f_state)/T above the second: at one attempt per sweep of each chain, 100 runs of 240 000
sweeps in all then leave a state once, while chains that have left theirs do not measure it."""
_NODES = 40_000  # of Gauss and Hermite at most; 16 for each overlap reach 6.6 standard deviations, before the barriers
_RARE = 1000  # expected spins against their field in all draws, below which they are counted
_SAME = 1e-6  # distance of overlaps that count as equal
_GOLDEN = (5**0.5 - 1) / 2  # multiples of it are spread evenly modulo 1
_EVERY = 5  # sweeps per draw


def row_shares(N: int, K: int, d: float) -> Floats:
    """The share of the sites of each of ``rows(K)``, or its negative, in stratified patterns of N sites."""
    counts, half = row_counts(N, K, d), 3**K // 2
    return (counts[half + 1 :] + counts[:half][::-1]) / N


def free_energy(x: Floats, w: Floats, T: float) -> Floats:
    """f of fields x (..., K) for rows of weight w, up to a constant."""
    h = abs(x @ rows(x.shape[-1]).T) / T
    f: Floats = 0.5 * np.sum(x**2, axis=-1) - T * (h + np.log1p(np.exp(-2 * h))) @ w
    return f


def overlaps(x: Floats, w: Floats, T: float) -> Floats:
    """E xi tanh(xi.x/T), the negative gradient of the second term of f."""
    xi = rows(x.shape[-1])
    m: Floats = (np.tanh(x @ xi.T / T) * w) @ xi
    return m


def hessian(m: Floats, w: Floats, T: float) -> Floats:
    """A = 1 - E[xi xi sech^2(xi.m/T)]/T of one state (K,)."""
    xi = rows(m.size)
    slope = w * (1 - np.tanh(xi @ m / T) ** 2) / T
    A: Floats = np.eye(m.size) - (xi.T * slope) @ xi
    return A


def settled(m: Floats, w: Floats, T: float) -> Floats:
    """Minima of f, (states, K), to which plain steps lead from m; each once."""
    for _ in range(100):
        for _ in range(50):
            before, m = m, overlaps(m, w, T)
        done = np.max(abs(m - before)) < 1e-13
        m = m[np.unique(m.round(8), axis=0, return_index=True)[1]]
        if done:
            break
    return m


@cache
def states(K: int, d: float, T: float) -> Floats:
    """Stable states, m_1 >= .. >= m_K >= 0, reached from all of T = 0, pure and equal overlaps; lowest f first.

    Broken symmetry needs a start without it: equal overlaps are spread by 1 in 1000 per pattern.
    """
    k = np.arange(K)
    begin = [
        ground_states(d=d, K=K).m,
        (1 - d) * d ** k[None],
        (1 - d) * (1 - k[None] / 1000),
        (1 - d) * (k[None] == 0),
    ]
    w = weights(K, np.array(d))
    m = settled(np.concatenate(begin) * (1 - 1e-3 * k / K), w, T)
    m = settled(-np.sort(-abs(m), axis=1), w, T)  # rounding may part equal overlaps in the wrong order
    m = -np.sort(-abs(m), axis=1)
    m = m[np.unique(m.round(8), axis=0, return_index=True)[1]]
    m = m[[np.linalg.eigvalsh(hessian(x, w, T))[0] > 0 for x in m]]
    return m[np.argsort(free_energy(m, w, T), kind="stable")]


def barrier(m: Floats, others: Floats, d: float, T: float) -> float:
    r"""A bound from below on what (f(x) - f(m))/T reaches on the way from the state m to any other or to its image.

    With x folded into x_1 >= .. >= x_K >= 0 the way ends on a wall, x_k = x_{k+1} or x_K = 0, or leads across the plane
    halfway to another state, and to where that is. On each plane plain steps, projected, lower f to its least value.
    """
    K, w, unit = m.size, weights(m.size, np.array(d)), np.eye(m.size + 1)[:, :-1]
    walls = [unit[k] - unit[k + 1] for k in range(K) if m[k] - np.append(m, 0.0)[k + 1] > _SAME]
    away = [x - m for x in others if np.max(abs(x - m)) > _SAME]
    if not walls + away:
        return np.inf
    normal = np.array(walls + away)
    normal /= np.linalg.norm(normal, axis=1)[:, None]
    level = np.sum(normal * np.array([0 * m] * len(walls) + [m + v / 2 for v in away]), axis=1)
    x = m + _SAME
    for _ in range(1000):
        x = -np.sort(-abs(overlaps(x, w, T)), axis=-1)
        x = x - (np.sum(normal * x, axis=1) - level)[:, None] * normal
    there = free_energy(x, w, T)
    there[len(walls) :] = np.maximum(there[len(walls) :], [free_energy(m + v, w, T) for v in away])
    return float(there.min() - free_energy(m, w, T)) / T


def around(m: Floats, w: Floats, T: float, N: int) -> tuple[Floats, Floats]:
    """Fields (nodes, K) and probabilities (nodes,) of N sites in the state m of rows w, after Gauss and Hermite."""
    node, weight = hermegauss(min(16, int(_NODES ** (1 / m.size))))
    z, log = (
        np.stack(np.meshgrid(*[v] * m.size, indexing="ij"), -1).reshape(-1, m.size) for v in (node, np.log(weight))
    )
    x = m + z @ np.linalg.cholesky(np.linalg.inv(hessian(m, w, T)) * T / N).T
    loss = N * (free_energy(x, w, T) - free_energy(m, w, T)) / T
    p = np.exp(np.sum(log + 0.5 * z**2, axis=1) - loss)
    return x, p / p.sum()


def of_sites(m: Floats, w: Floats, T: float, N: int) -> tuple[Floats, Floats]:
    """Means of N sites in the state m of rows w, one loop and beyond.

    The overlaps (K,), and the share of spins against the field of m that lower and raise each overlap, (2, K).
    """
    x, p = around(m, w, T, N)
    xi = rows(m.size)
    h = xi @ m
    to = np.where(abs(h) > _SAME, np.sign(h), 0.0)  # 0: a spin with no field, against both
    wrong = w * (p @ expit(-2 * to * (x @ xi.T) / T))
    along = xi * to[:, None]
    idle = wrong @ (abs(xi) - abs(along))
    return p @ x, np.stack([wrong @ np.maximum(along, 0) + idle, wrong @ np.maximum(-along, 0) + idle])


def compare(*, K: int, d: float, T: Floats, N: int, chains: int, sweeps: int, burn_in: int, seed: int) -> xr.Dataset:
    """Simulations in the states of lowest f, beside theory of N sites: (T, mu), ``pull`` and whether it counts.

    ``overlap`` is the mean over draws and chains, ``error`` the spread of chains over the root of their number: they
    are independent, and samples of stratified patterns differ by the order of sites alone. They start with the overlaps
    of the state. A pull is (overlap - theory)/error; if fewer than 1000 spins against their field are expected over all
    draws, ``turned``, it is the normal score of their number, whose law is Skellam's.
    """
    found = [states(K, d, t) for t in T]
    exact, w = weights(K, np.array(d)), row_shares(N, K, d)
    m = [each[0] if len(each) else np.zeros(K) for each in found]
    here = [settled(x[None], w, t)[0] for x, t in zip(m, T, strict=True)]
    soft = [min(least(x, exact, t), least(y, w, t)) for x, y, t in zip(m, here, T, strict=True)]
    high = [N * barrier(x, each, d, t) for x, each, t in zip(m, found, T, strict=True)]
    theory, wrong = map(np.array, zip(*[of_sites(x, w, t, N) for x, t in zip(here, T, strict=True)], strict=True))
    xi = patterns(N=N, K=K, d=d, seed=seed, pattern_sampling="stratified")
    even = 2 * ((np.arange(N) + 0.5) * _GOLDEN % 1) - 1
    aligned = np.where(np.tanh(np.array(here) @ xi.values[0] / T[:, None]) >= even, 1, -1).astype(np.int8)
    given: dict[str, Any] = {"chains": chains, "sweeps": sweeps, "burn_in": burn_in, "every": _EVERY, "seed": seed}
    begin = np.repeat(aligned[None, :, None], chains, axis=2)
    run = simulate(OverlapEnergy.multitasking(xi), sampler=HeatBath(order="random"), T=T, start=begin, **given)
    x = run.overlap.isel(sample=0).mean("draw").transpose("T", "chain", "mu").values.astype(np.float64)
    mean, error = x.mean(axis=1), x.std(axis=1, ddof=1) / chains**0.5
    wrong *= N * chains * run.sizes["draw"]
    frozen = np.array([overlaps(y, w, t * 1e-9) for y, t in zip(here, T, strict=True)])
    pull = pulls(mean, theory, error, wrong, (frozen - mean) * N * chains * run.sizes["draw"] / 2)
    counts = (N * np.array(soft) ** 2 > SOFT) & (np.array(high) > BARRIER)
    values = {"m": np.array(m), "theory": theory, "overlap": mean, "error": error, "pull": pull}
    ds = xr.Dataset({name: (("T", "mu"), v) for name, v in values.items()}, {"T": T, "mu": np.arange(K)})
    ds["turned"] = (("T", "mu"), wrong.sum(axis=1))
    ds["softest"], ds["barrier"], ds["counts"] = ("T", soft), ("T", high), ("T", counts.astype(np.int8))
    return ds


def least(m: Floats, w: Floats, T: float) -> float:
    """The least eigenvalue of the Hessian."""
    return float(np.linalg.eigvalsh(hessian(m, w, T))[0])


def pulls(mean: Floats, theory: Floats, error: Floats, wrong: Floats, seen: Floats) -> Floats:
    """(mean - theory)/error; where fewer than 1000 are ``wrong`` (T, 2, K) the normal score of how many are seen."""
    many = wrong.sum(axis=1) >= _RARE
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = (mean - theory) / error
    lower, raised = np.maximum(wrong, 1e-9).swapaxes(0, 1)
    n = np.rint(seen)
    middle = skellam.cdf(n, lower, raised) - 0.5 * skellam.pmf(n, lower, raised)
    return np.where(many, pull, -ndtri(np.clip(middle, 1e-16, 1 - 1e-16)))
