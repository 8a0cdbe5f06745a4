r"""The energy of a run as the loss of autoencoders: products of the square errors against a pattern and its mirror."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require
from .energy import OverlapEnergy
from .stats import variable

_DRAW = ("sample", "T", "chain", "draw")


def losses(ds: xr.Dataset, energy: OverlapEnergy, *, masked: bool = True) -> xr.Dataset:
    r"""Square errors of every draw as reconstructions of every pattern, and the energy as their sum.

    .. math:: L_\mu^\pm = \frac{1}{2 N_\mu} \sum_{i: \xi_i^\mu \ne 0} (\xi_i^\mu \mp \sigma_i)^2
              = \frac{|\xi^\mu|^2 + N_\mu}{2 N_\mu} \mp \frac{\xi^\mu \cdot \sigma}{N_\mu}, \qquad
              \frac HN = \frac{g}{2N^2} \sum_\mu N_\mu^2 L_\mu^+ L_\mu^- + \mathrm{const}

    Unmasked, the sum is over all N sites and N_mu is N, so that the plain sum of the products falls with the energy.
    Of patterns g = 1. With ``supervised`` :math:`\xi^\mu` is :math:`\hat\eta^\mu = \frac{1}{rM} \sum_a \eta^{\mu a}`,
    whose sites N_mu are those where it is not 0, and :math:`g = 1/(1 + \rho)`; with ``unsupervised`` it is every
    :math:`\eta^{\mu a}`, and :math:`g = 1/((1 + \rho) M r^2)`; :math:`(1 + \rho) r^2 = r^2 + (1 - r^2)/M`.

    Parameters
    ----------
    ds : Dataset with ``overlap`` (sample, T, chain, draw, mu), as ``simulate`` returns it for this energy
    energy : OverlapEnergy of pairs, P = 2
    masked : bool, whether blank sites are left out

    Returns
    -------
    Dataset with ``L_plus``, ``L_minus`` (sample, T, chain, draw, mu), ``loss`` (sample, T, chain, draw), the sum of the
    products with its factors, ``constant`` (sample), and ``energy`` = loss + constant: the energy per spin, its
    diagonal in or out as in the energy.

    Raises
    ------
    TypeError for another energy; ValueError where P is not 2, the sizes differ, or a pattern is blank everywhere.

    Source: arXiv:2211.14067 for the losses of patterns without blanks, where H/N = -(1/2) sum_mu (1 - L_+ L_-).

    >>> m = xr.DataArray([[[[[0.5]]]]], dims=("sample", "T", "chain", "draw", "mu"))
    >>> energy = OverlapEnergy.multitasking(np.array([[1, 0, -1, 1]]))
    >>> found = losses(xr.Dataset({"overlap": m}), energy)
    >>> round(found.L_plus.item(), 4), round(found.L_minus.item(), 4), found.energy.item()
    (0.3333, 1.6667, -0.03125)
    """
    if not isinstance(energy, OverlapEnergy):
        raise TypeError(f"energy must be an OverlapEnergy, got {type(energy).__name__}")
    require(energy.pairwise, "P", energy.P if energy.F is None else "a table", "2: only squares of overlaps are losses")
    m = variable(ds, "overlap").transpose(*_DRAW, "mu")
    N, scale = energy.N, _scale(energy)
    given, needed = (m.sizes["sample"], m.sizes["mu"]), (energy.samples, energy.K)
    require(given == needed, "samples and patterns of ds", str(given), f"those of the energy, {needed}")
    require(ds.attrs.get("N", N) == N, "N of ds", ds.attrs.get("N"), f"that of the energy, {N}")
    M = np.rint(m.values * (N / energy.unit)) / scale
    sites, square = (x[:, None, None, None] for x in _norms(energy, masked))
    mean = (square / scale**2 + sites) / (2 * sites)
    factor = energy.g * scale**2 * sites**2 / (2 * N**2)
    plus, minus = mean - M / sites, mean + M / sites
    loss = np.sum(factor * plus * minus, axis=-1)
    diagonal = np.array([energy.per_spin(0, sample) for sample in range(energy.samples)])
    constant = diagonal - np.sum(factor * mean**2, axis=-1)[:, 0, 0, 0]
    found = {
        "L_plus": ((*_DRAW, "mu"), plus),
        "L_minus": ((*_DRAW, "mu"), minus),
        "loss": (_DRAW, loss),
        "constant": ("sample", constant),
        "energy": (_DRAW, loss + constant[:, None, None, None]),
    }
    return xr.Dataset(found, m.coords, ds.attrs)


def _scale(energy: OverlapEnergy) -> float:
    """By which integer weights are divided: r M where they are sums over examples."""
    return energy.unit / energy.g if energy.protocol == "supervised" else 1.0


def _norms(energy: OverlapEnergy, masked: bool) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """N_mu and the sum of squared integer weights of every row, both (sample, mu)."""
    sites = np.count_nonzero(energy.xi, axis=-1).astype(np.float64)
    require(sites > 0, "sites of a pattern that are not blank", sites, ">= 1")
    square = np.stack([np.einsum("ki,ki->k", w, w, dtype=np.int64) for w in energy.xi]).astype(np.float64)
    return sites if masked else np.full_like(sites, energy.N), square
