"""Full enumeration of small systems: what every sampler must reproduce."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp

from ..core.errors import require
from .energy import OverlapEnergy, temperatures_of
from .start import Energy

LARGEST_N = 20


def all_states(N: int) -> NDArray[np.int8]:
    """All spin states, int8 (2^N, site): site i of state k is +1 iff bit i of k is set.

    >>> all_states(2).tolist()
    [[-1, -1], [1, -1], [-1, 1], [1, 1]]
    """
    require(1 <= N <= LARGEST_N, "N", N, f"in [1, {LARGEST_N}]")
    bits = np.arange(2**N)[:, None] >> np.arange(N) & 1
    return (2 * bits - 1).astype(np.int8)


def boltzmann(energy: Energy, *, T: ArrayLike) -> xr.DataArray:
    r"""The probability of every state of ``all_states``.

    .. math:: p(\sigma) = \frac{e^{-H(\sigma)/T}}{Z}

    Parameters
    ----------
    energy : OverlapEnergy or CouplingEnergy with N <= 20
    T : float or (T,), finite and > 0

    Returns
    -------
    DataArray (sample, T, state), summing to 1 over the states.

    Raises
    ------
    ValueError outside these ranges.

    Source: the definition.

    >>> p = boltzmann(OverlapEnergy.hebbian(np.ones((1, 2), int)), T=1.0)
    >>> p.values[0, 0].round(4)
    array([0.3655, 0.1345, 0.1345, 0.3655])
    """
    temperatures = temperatures_of(T)
    minus_H_over_T = -energy.N * _per_spin(energy)[:, None] / temperatures[:, None]
    p = np.exp(minus_H_over_T - logsumexp(minus_H_over_T, axis=-1, keepdims=True))
    return xr.DataArray(p, {"T": temperatures}, ("sample", "T", "state"), "probability")


def enumerate_states(energy: Energy, *, T: ArrayLike) -> xr.Dataset:
    r"""Exact averages by summing over all 2^N states.

    .. math:: Z = \sum_\sigma e^{-H(\sigma)/T}, \qquad \langle A \rangle = \frac{1}{Z} \sum_\sigma A e^{-H/T},
              \qquad f = -\frac{T}{N} \ln Z

    Parameters
    ----------
    energy : OverlapEnergy or CouplingEnergy with N <= 20
    T : float or (T,), finite and > 0

    Returns
    -------
    Dataset with ``energy`` (per spin), ``free_energy`` (per spin) and ``log_Z``, all (sample, T), and with
    ``abs_overlap`` = <|m_mu|> and ``overlap_squared`` = <m_mu^2>, both (sample, T, mu), where there are patterns.

    Raises
    ------
    ValueError outside these ranges.

    Source: the definitions.

    >>> float(enumerate_states(OverlapEnergy.hebbian(np.ones((1, 2), int)), T=1.0).energy[0, 0].round(4))
    -0.1155
    """
    p = boltzmann(energy, T=T)
    e = _per_spin(energy)
    minus_H_over_T = -energy.N * e[:, None] / p["T"].values[:, None]
    log_Z = logsumexp(minus_H_over_T, axis=-1)
    states = all_states(energy.N)
    at, of = ("sample", "T"), ("sample", "T", "mu")
    exact: dict[str, Any] = {
        "energy": (at, np.einsum("zts,zs->zt", p.values, e)),
        "free_energy": (at, -p["T"].values * log_Z / energy.N),
        "log_Z": (at, log_Z),
    }
    coords: dict[str, Any] = {"T": p["T"].values, "sample": np.arange(energy.samples)}
    if isinstance(energy, OverlapEnergy):
        m = np.stack([energy.overlaps(states, k) for k in range(energy.samples)]) * energy.unit / energy.N
        exact |= {"abs_overlap": (of, p.values @ np.abs(m)), "overlap_squared": (of, p.values @ m**2)}
        coords["mu"] = np.arange(energy.K)
    return xr.Dataset(exact, coords)


def _per_spin(energy: Energy) -> NDArray[np.float64]:
    """Energy per spin of every state, (sample, state)."""
    states = all_states(energy.N)
    return np.stack([energy.per_spin(energy.total_of(states, k), k) for k in range(energy.samples)])
