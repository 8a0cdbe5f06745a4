"""Draws in the form other programs take: ArviZ for diagnostics and plots, pymbar for reweighting in temperature.

Neither program is needed to convert; ``pip install 'mattis[analysis]'`` brings both.
"""

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require
from .stats import tau_int, variable


def to_arviz(ds: xr.Dataset, name: str = "energy") -> xr.DataTree:
    r"""One variable as the group ``posterior`` of a tree, with the dimensions chain and draw ArviZ looks for.

    .. math:: x_{sTcd} \to x_{cdsT}, \qquad c \text{ chain or pair},\ d \text{ draw},\ s \text{ sample}

    ArviZ 1 takes the tree as it is; for ArviZ 0.23, the last for Python 3.11, call ``arviz.from_datatree`` on it.

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it, or any selection of its samples and temperatures
    name : a variable (sample, T, chain or pair, draw) and perhaps more; a pair counts as a chain

    Returns
    -------
    DataTree with ``posterior``, whose other dimensions, sample and T among them, are those of the variable.

    Raises
    ------
    ValueError where the variable or a dimension is missing.

    Source: the ArviZ schema, https://python.arviz.org/projects/base/en/latest/.

    >>> ds = xr.Dataset({"energy": (("sample", "T", "chain", "draw"), np.ones((2, 3, 4, 50)))})
    >>> dict(to_arviz(ds).posterior.energy.sizes)
    {'chain': 4, 'draw': 50, 'sample': 2, 'T': 3}
    """
    x = variable(ds, name).rename(name)
    if "pair" in x.dims:
        x = x.drop_vars("chain", errors="ignore").rename(pair="chain")
    posterior = x.transpose("chain", "draw", ...).to_dataset().assign_attrs(ds.attrs)
    return xr.DataTree.from_dict({"posterior": posterior})


def to_pymbar(ds: xr.Dataset) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    r"""Reduced energies of decorrelated draws of one sample at all of its temperatures, for ``pymbar.MBAR``.

    .. math:: u_{kn} = \frac{N e_n}{T_k}

    Of every chain, each :math:`\lceil 2 \tau_{int} \rceil`-th draw is taken, with tau_int of all chains of that T. In
    tempering what remains of different T are still correlated, and the errors of MBAR a little low.

    Parameters
    ----------
    ds : Dataset with ``energy`` (sample, T, chain, draw) per spin, of one sample, and the attribute ``N``

    Returns
    -------
    u_kn : float array (T, n), the draws of the first T first, and N_k : int array (T,), how many are of each T

    Raises
    ------
    ValueError for several samples (take one, ``ds.isel(sample=[0])``), or where energy or a dimension is missing.

    Source: M. R. Shirts, J. D. Chodera, J. Chem. Phys. 129, 124105 (2008).

    >>> e = np.array([[[[-0.5, -0.25, 0.0]], [[0.0, 0.25, -0.5]]]])
    >>> ds = xr.Dataset({"energy": (("sample", "T", "chain", "draw"), e)}, {"T": [0.5, 1.0]}, {"N": 4})
    >>> u_kn, N_k = to_pymbar(ds)
    >>> u_kn[:, 1].tolist(), N_k.tolist()
    ([-2.0, -1.0], [3, 3])
    """
    x = variable(ds, "energy").transpose("sample", "T", "chain", "draw")
    require(x.sizes["sample"] == 1, "samples", x.sizes["sample"], "1: take one, ds.isel(sample=[0])")
    taken = [chains[:, :: int(np.ceil(2 * tau_int(chains)))].ravel() for chains in x.values[0]]
    energies = int(ds.attrs["N"]) * np.concatenate(taken)
    return energies / x["T"].values[:, None], np.array([e.size for e in taken])
