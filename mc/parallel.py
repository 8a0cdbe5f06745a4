"""What a run says of parallel retrieval: many patterns at once, whichever of them and with whatever sign."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require
from .energy import OverlapEnergy
from .stats import variable

_DRAW = ("sample", "T", "chain", "draw")


def parallel_retrieval(ds: xr.Dataset) -> xr.Dataset:
    r"""Overlaps in the order of their size, and how evenly they share their sum of squares, draw by draw.

    .. math:: |m_{(1)}| \ge |m_{(2)}| \ge \dots, \qquad \sum_\mu m_\mu^2, \qquad
              a_4 = \frac{\sum_\mu m_\mu^4}{(\sum_\mu m_\mu^2)^2}

    a_4 is 1 of a pure state and 1/K where K patterns are retrieved alike. The mean of sorted overlaps is not the sort
    of mean overlaps: fluctuations pull apart what is equal, and lift what is 0, by about 1/sqrt(N). Close to
    instabilities patterns change places, and only the sums are well defined.

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it, with ``overlap`` (sample, T, chain, draw, mu) of at least one draw. Of
        examples stored singly (attribute ``rows``) the overlaps of each pattern are averaged first.

    Returns
    -------
    Dataset, each variable as ``summary`` takes it: ``ranked`` (sample, T, chain, draw, rank), signed overlaps of the
    pattern whose mean over the draws of a chain is the one of that rank, positive in the mean: averaged, the sort of
    means; ``sorted``, the :math:`|m_{(k)}|` of every draw: averaged, the mean of the sort; ``sum_m2`` and ``a4``
    (sample, T, chain, draw), nan where all overlaps are 0.

    Raises
    ------
    ValueError where the overlaps or one of their dimensions are missing, TypeError where ds is no Dataset.

    Source: Agliari, Barra, Galluzzi, Guerra, Moauro, Phys. Rev. Lett. 109, 268101 (2012), for the states.

    >>> m = xr.DataArray([[[[[0.1, -0.6], [-0.3, -0.6]]]]], dims=("sample", "T", "chain", "draw", "mu"))
    >>> found = parallel_retrieval(xr.Dataset({"overlap": m}))
    >>> found.ranked.mean("draw").values.ravel().round(2), found.sorted.mean("draw").values.ravel().round(2)
    (array([0.6, 0.1]), array([0.6, 0.2]))
    """
    m = _patterns(ds)
    x = m.values
    mean = x.mean(axis=-2, keepdims=True)
    order = np.argsort(-np.abs(mean), axis=-1, kind="stable")
    ranked = np.take_along_axis(x * np.where(mean < 0, -1.0, 1.0), order, axis=-1)
    square = np.sum(x**2, axis=-1)
    with np.errstate(invalid="ignore"):
        a4 = np.sum(x**4, axis=-1) / square**2
    ranks = (*_DRAW, "rank")
    found = {
        "ranked": (ranks, ranked),
        "sorted": (ranks, -np.sort(-np.abs(x), axis=-1)),
        "sum_m2": (_DRAW, square),
        "a4": (_DRAW, a4),
    }
    coords = {name: x for name, x in m.drop_vars("mu", errors="ignore").coords.items()}
    return xr.Dataset(found, coords | {"rank": np.arange(x.shape[-1])}, ds.attrs | {"rows": 1})


def archetype_overlaps(ds: xr.Dataset, xi: xr.DataArray | NDArray[Any]) -> xr.Dataset:
    r"""Overlaps of recorded spins with any patterns: those behind the examples that a network has learned.

    .. math:: m_\mu = \frac1N \sum_i \xi_i^\mu \sigma_i

    Parameters
    ----------
    ds : Dataset with ``spins`` (sample, T, chain, draw, site), ``simulate(..., observables=("spins",))``
    xi : integer array (sample, mu, site), or (mu, site) for one sample, values -1, 0, 1

    Returns
    -------
    Dataset with ``overlap`` (sample, T, chain, draw, mu), for ``summary`` or ``parallel_retrieval``.

    Raises
    ------
    ValueError where the spins are missing or xi has other samples or sites.

    Source: the definition.

    >>> spins = xr.DataArray([[[[[1, -1, 1, 1]]]]], dims=("sample", "T", "chain", "draw", "site"))
    >>> archetype_overlaps(xr.Dataset({"spins": spins}), np.array([[1, 0, 1, -1]])).overlap.item()
    0.25
    """
    variable(ds.isel(draw=slice(1)) if isinstance(ds, xr.Dataset) and "draw" in ds.dims else ds, "spins")
    spins, patterns = ds["spins"].transpose(*_DRAW, "site"), OverlapEnergy.multitasking(xi)
    given = patterns.samples, patterns.N
    needed = spins.sizes["sample"], spins.sizes["site"]
    require(given == needed, "samples and sites of xi", str(given), f"those of the spins, {needed}")
    m = np.stack([patterns.overlaps(s, z) for z, s in enumerate(spins.values)]) / patterns.N
    coords = {name: x for name, x in spins.drop_vars("site", errors="ignore").coords.items()}
    attrs = ds.attrs | {"N": patterns.N, "K": patterns.K, "rows": 1}
    return xr.Dataset({"overlap": ((*_DRAW, "mu"), m)}, coords | {"mu": np.arange(patterns.K)}, attrs)


def _patterns(ds: xr.Dataset) -> xr.DataArray:
    """The overlaps (sample, T, chain, draw, mu) with patterns: those of examples stored singly, averaged."""
    m = variable(ds, "overlap").transpose(*_DRAW, "mu")
    rows = ds.attrs.get("rows", 1)
    return m if rows == 1 else m.coarsen(mu=rows).mean()
