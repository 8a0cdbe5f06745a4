"""The slow, obvious dynamics in NumPy: what every kernel must equal bit for bit."""

import numpy as np
from numpy.typing import NDArray

from ..core.philox import STREAMS, lane, words
from .samplers import Annealing, HeatBath, ParallelTempering, Sampler, ZeroTemperature
from .start import Energy, Start, initial_spins
from .thresholds import logit, neglog


def sites(order: str, N: int, seed: int, sample: int, sweep: int) -> NDArray[np.int64]:
    """The site of every step of one sweep, drawn from stream ``order``.

    Random: ``(u_t N) >> 32``. Permutation: from the identity, for t = N - 1 down to 1, swap entries t and
    ``(u_t (t + 1)) >> 32``.

    >>> sorted(sites("permutation", 5, seed=1, sample=0, sweep=3).tolist())
    [0, 1, 2, 3, 4]
    """
    site = np.arange(N)
    if order == "sequential":
        return site
    u = words(seed, STREAMS["order"], N, row=sweep, sample=sample).astype(np.uint64)
    if order == "random":
        return ((u * np.uint64(N)) >> np.uint64(32)).astype(np.int64)
    for t in range(N - 1, 0, -1):
        j = int(u[t]) * (t + 1) >> 32
        site[t], site[j] = site[j], site[t]
    return site


def sweep_once(
    sigma: NDArray[np.int8], energy: Energy, sample: int, x: NDArray[np.floating], order: NDArray[np.int64]
) -> None:
    r"""One sweep over ``order`` in place: step t flips its site i iff :math:`D \le x_t` (equality flips).

    Parameters
    ----------
    sigma : int8 (site,), changed in place
    x : (step,), the float32 product of L(u) and the scale, or -1 at T = 0
    order : int64 (step,)
    """
    sums = energy.sums(sigma, sample)
    for t, i in enumerate(order):
        s = int(sigma[i])
        if np.float64(energy.flip_cost(sums, s, i, sample)) <= np.float64(x[t]):
            sigma[i] = -s
            energy.flip(sums, s, i, sample)


def little_once(sigma: NDArray[np.int8], energy: Energy, sample: int) -> None:
    r"""All spins follow their fields at once: those with :math:`\sigma_i h_i < 0` flip.

    The field has the term of its own spin where the diagonal is included: :math:`2 \sigma_i h_i` is then the cost D
    plus what the diagonal adds to it, at P = 2 the self term.
    """
    sums = energy.sums(sigma, sample)
    D = np.array([energy.flip_cost(sums, int(s), i, sample) for i, s in enumerate(sigma)])
    sigma[D + energy.self_field[sample] < 0] *= -1


def temperature(sampler: Sampler, T: float, sweep: int, burn_in: int) -> np.float64:
    """The temperature of one sweep: T, but for annealing, which falls to it over the burn-in."""
    if isinstance(sampler, Annealing) and sweep < burn_in:
        return np.float64(sampler.T_start) + (np.float64(T) - np.float64(sampler.T_start)) * (sweep / burn_in)
    return np.float64(T)


def swap_round(
    slot: NDArray[np.int64],
    G: NDArray[np.int64],
    w: NDArray[np.float64],
    sweep: int,
    chain: int,
    sample: int,
    seed: int,
) -> None:
    """Exchange the temperatures of neighbours after ``sweep``, in place: ``slot[lane]`` is where a lane is.

    Slots t and t + 1 for t = sweep mod 2, + 2, ...; ``w_t = (1/T_t - 1/T_(t+1)) c``; swap iff
    ``w_t (G_t - G_(t+1)) <= -ln u`` in float64, the word with index 4 t of stream ``swap``.
    """
    u = neglog(words(seed, STREAMS["swap"], 4 * slot.size, row=sweep, lane=chain, sample=sample))
    at = np.argsort(slot)
    for t in range(sweep % 2, slot.size - 1, 2):
        a, b = at[t], at[t + 1]
        if w[t] * np.float64(G[a] - G[b]) <= np.float64(u[4 * t]):
            slot[a], slot[b] = t + 1, t


def final_spins(
    energy: Energy,
    *,
    sampler: Sampler,
    T: list[float],
    chains: int,
    sweeps: int,
    start: Start,
    seed: int,
    burn_in: int = 0,
) -> NDArray[np.int8]:
    """The spins after ``burn_in + sweeps`` sweeps, int8 (sample, T, chain, site); tempering lanes stay at home.

    >>> from mattis import OverlapEnergy
    >>> energy = OverlapEnergy.hebbian(np.array([[1, -1, -1]]))
    >>> final_spins(energy, sampler=HeatBath(), T=[0.1], chains=1, sweeps=4, start="pattern", seed=1)
    array([[[[ 1, -1, -1]]]], dtype=int8)
    """
    sigma = initial_spins(energy, start, len(T), chains, seed)
    rule = sampler.rule if isinstance(sampler, Annealing | ParallelTempering) else sampler
    L = logit if isinstance(rule, HeatBath) else neglog
    beta = 1 / np.array(T, np.float64) if isinstance(sampler, ParallelTempering) else np.zeros(len(T))
    w = (beta[:-1] - beta[1:]) * energy.c
    for sample, chain in np.ndindex(energy.samples, chains):
        slot = np.arange(len(T))
        for sweep in range(burn_in + sweeps):
            for t in range(len(T)):
                state = sigma[sample, t, chain]
                if rule == ZeroTemperature("parallel"):
                    little_once(state, energy, sample)
                    continue
                x = np.full(energy.N, -1.0)
                if not isinstance(rule, ZeroTemperature):
                    address = {"row": sweep, "lane": int(lane(t, chain)), "sample": sample}
                    scale = energy.scale(temperature(sampler, T[slot[t]], sweep, burn_in))
                    x = L(words(seed, STREAMS["acceptance"], energy.N, **address)) * scale
                sweep_once(state, energy, sample, x, sites(rule.order, energy.N, seed, sample, sweep))
            if isinstance(sampler, ParallelTempering):
                swap_round(slot, energy.total_of(sigma[sample, :, chain], sample), w, sweep, chain, sample, seed)
    return sigma
