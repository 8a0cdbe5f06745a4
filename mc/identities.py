r"""What integration by parts over Gaussian disorder says of energies and overlaps: exact at any N and temperature."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require
from .equilibration import compare, recorded_spins


def sk_identity(energy: xr.DataArray, q_squared: xr.DataArray) -> xr.Dataset:
    r"""Energy against overlap in the Sherrington-Kirkpatrick model with Gaussian couplings, at any N and T.

    .. math:: \mathrm E\Big[\langle e \rangle + \frac{1 - \langle q_{12}^2 \rangle}{2T}\Big] = 0

    By parts in each :math:`J_{ij} \sim \mathcal N(0, 1/N)`: :math:`\mathrm E e = -\frac{N-1}{2NT} (1 - \mathrm E q_l)`
    with the link overlap :math:`q_l = (N q_{12}^2 - 1)/(N - 1)`. A random start begins at 1/(2T).

    Parameters
    ----------
    energy, q_squared : DataArrays (sample, T) with the coordinate T, means of each sample
        (``ds.energy.mean(("chain", "draw"))``, ``(ds.q**2).mean(("pair", "draw"))``)

    Returns
    -------
    Dataset over T, with ``value`` the left side, 0 expected.

    Source: A. J. Bray, M. A. Moore, J. Phys. C 13, 419 (1980); Katzgraber et al., Phys. Rev. B 63, 184422 (2001).

    >>> e, q2 = (xr.DataArray(np.array(x)[:, None], {"T": [0.5]}, ("sample", "T")) for x in ([-0.8, -0.6], [0.2, 0.3]))
    >>> sk_identity(e, q2).value.round(4).item()
    0.05
    """
    return compare((energy + (1 - q_squared) / (2 * energy["T"])).rename(sample="unit"))


def gaussian_pattern_identity(M_squared: xr.DataArray, q_M_M: xr.DataArray, *, N: int) -> xr.Dataset:
    r"""Overlaps of one and two replicas in the Hopfield model with Gaussian patterns, at any N, K and T.

    .. math:: \mathrm E\Big[\Big(1 - \frac1T\Big) \frac{\langle M_\mu^2 \rangle}N
              + \frac1T \frac{\langle q_{12} M_\mu^{(1)} M_\mu^{(2)} \rangle}N\Big] = 1, \qquad
              M_\mu = \sum_i \xi_i^\mu \sigma_i, \quad \xi_i^\mu \sim \mathcal N(0, 1)

    By parts in each :math:`\xi_i^\mu`. Patterns of -1 and 1 obey it up to O(1/N) only.

    Parameters
    ----------
    M_squared, q_M_M : DataArrays (sample, T, mu) with the coordinate T, averages of each sample (``pattern_moments``)
    N : int >= 1, number of sites

    Returns
    -------
    Dataset over T, with ``value`` the left side averaged over mu, 1 expected.

    Source: Gaussian integration by parts.

    >>> M2, qMM = (xr.DataArray(np.full((3, 1, 2), x), {"T": [0.5]}, ("sample", "T", "mu")) for x in (30.0, 20.0))
    >>> gaussian_pattern_identity(M2, qMM, N=10).value.item()
    1.0
    """
    beta = 1 / M_squared["T"]
    return compare((((1 - beta) * M_squared + beta * q_M_M) / N).mean("mu").rename(sample="unit"), 1.0)


def pattern_moments(ds: xr.Dataset, xi: NDArray[Any]) -> xr.Dataset:
    r"""What ``gaussian_pattern_identity`` takes, from recorded spins and any real patterns.

    .. math:: \langle M_\mu^2 \rangle, \qquad \langle q_{12} M_\mu^{(1)} M_\mu^{(2)} \rangle

    Parameters
    ----------
    ds : Dataset with ``spins`` (sample, T, chain, draw, site) of at least two chains
    xi : array (sample, mu, site)

    Returns
    -------
    Dataset with ``M_squared`` and ``q_M_M`` (sample, T, mu), averaged over draws and chains or pairs of chains.

    Source: the definitions.

    >>> spins = xr.DataArray([[[[[1, -1]], [[1, -1]]]]], dims=("sample", "T", "chain", "draw", "site"))
    >>> pattern_moments(xr.Dataset({"spins": spins}), np.array([[[1.0, -0.5]]])).q_M_M.item()
    2.25
    """
    spins = recorded_spins(ds)
    require(spins.size > 0, "chains", ds.sizes["chain"], ">= 2")
    moments = np.empty((2, *spins.shape[:2], xi.shape[1]))
    for sample, t in np.ndindex(spins.shape[:2]):
        sigma = spins[sample, t].astype(np.float64)
        M = sigma @ xi[sample].T
        q = np.mean(sigma[::2] * sigma[1::2], axis=-1, keepdims=True)
        moments[:, sample, t] = np.mean(M**2, axis=(0, 1)), np.mean(q * M[::2] * M[1::2], axis=(0, 1))
    names = zip(("M_squared", "q_M_M"), moments, strict=True)
    return xr.Dataset({name: (("sample", "T", "mu"), x) for name, x in names}, {"T": ds["T"]})
