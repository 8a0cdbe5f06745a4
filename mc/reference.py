"""The slow, obvious sweep in NumPy: what every kernel must equal bit for bit."""

import numpy as np
from numpy.typing import NDArray

from ..core.philox import STREAMS, lane, words
from .energy import OverlapEnergy
from .samplers import HeatBath, Sampler
from .start import Start, initial_spins
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


def sweep_once(sigma: NDArray[np.int8], xi: NDArray[np.int8], x: NDArray[np.float32], order: NDArray[np.int64]) -> None:
    r"""One sweep over ``order`` in place: step t flips its site i iff :math:`D \le x_t` (equality flips).

    .. math:: D = \sigma_i \sum_\mu \xi_i^\mu M_\mu - \sum_\mu (\xi_i^\mu)^2, \qquad
              M_\mu = \sum_j \xi_j^\mu \sigma_j

    Parameters
    ----------
    sigma : int8 (site,), changed in place
    xi : int8 (mu, site)
    x : float32 (step,), the product of L(u) and the scale
    order : int64 (step,)
    """
    columns = xi.T.astype(np.int64)
    M = np.sum(columns * sigma[:, None], axis=0, dtype=np.int64)
    for t, i in enumerate(order):
        column, s = columns[i], int(sigma[i])
        D = s * int(column @ M) - int(column @ column)
        if np.float64(D) <= np.float64(x[t]):
            sigma[i] = -s
            M -= 2 * s * column


def final_spins(
    energy: OverlapEnergy, *, sampler: Sampler, T: list[float], chains: int, sweeps: int, start: Start, seed: int
) -> NDArray[np.int8]:
    """The spins after ``sweeps`` sweeps, int8 (sample, T, chain, site).

    >>> energy = OverlapEnergy.hebbian(np.array([[1, -1, -1]]))
    >>> final_spins(energy, sampler=HeatBath(), T=[0.1], chains=1, sweeps=4, start="pattern", seed=1)
    array([[[[ 1, -1, -1]]]], dtype=int8)
    """
    sigma = initial_spins(energy, start, len(T), chains, seed)
    L = logit if isinstance(sampler, HeatBath) else neglog
    for sample, t, chain in np.ndindex(sigma.shape[:3]):
        for sweep in range(sweeps):
            u = words(seed, STREAMS["acceptance"], energy.N, row=sweep, lane=int(lane(t, chain)), sample=sample)
            order = sites(sampler.order, energy.N, seed, sample, sweep)
            sweep_once(sigma[sample, t, chain], energy.xi[sample], L(u) * energy.scale(T[t]), order)
    return sigma
