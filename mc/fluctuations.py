"""How the overlaps of a run fluctuate and relax: N times their covariance, and their autocorrelation."""

from typing import Any

import numpy as np
import xarray as xr

from ..core.errors import require_integer
from .observables import Array, jackknife, units
from .stats import autocovariance, variable


def covariance(ds: xr.Dataset) -> xr.Dataset:
    r"""N times the covariance of the overlaps in one state, averaged over the disorder.

    .. math:: C_{\mu\nu} = N\, \mathrm E\, [\langle m_\mu m_\nu \rangle - \langle m_\mu \rangle \langle m_\nu \rangle]
              \to T\, (A^{-1} - 1)_{\mu\nu}, \qquad
              A_{\mu\nu} = \delta_{\mu\nu} - \frac1T \mathrm E_\xi [\xi^\mu \xi^\nu \mathrm{sech}^2(\xi \cdot m/T)]

    at low load, N to infinity; for the n of examples :math:`T (A^{-1} - 1/(1 + \rho))` with 1 + rho on the diagonal of
    A and :math:`\hat\eta` in place of xi. Means are over all draws and chains of a sample, which have to be in the same
    state (``start="pattern"``, say); of correlated draws the value is low by a part 1/ess.

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it, with ``overlap`` (sample, T, chain, draw, mu) and the attribute ``N``

    Returns
    -------
    Dataset over (T, mu, nu) with ``value``, its standard ``error`` over the samples (``error_from`` "disorder") or the
    chains of a single one ("chains"), nan for one, and ``bias``, all by the jackknife.

    Raises
    ------
    ValueError where the overlaps or one of their dimensions are missing, TypeError where ds is no Dataset.

    Source: Gaussian fluctuations around a minimum of the free energy, whose Hessian is A; the states are those of
    Agliari et al., Phys. Rev. Lett. 109, 268101 (2012).

    >>> m = xr.DataArray([[[[[0.3, 0.2], [0.1, 0.4]]]]], {"T": [0.5]}, ("sample", "T", "chain", "draw", "mu"))
    >>> covariance(xr.Dataset({"overlap": m}, attrs={"N": 100})).value.round(9).values[0].tolist()
    [[1.0, -1.0], [-1.0, 1.0]]
    """
    x = units(variable(ds, "overlap")).transpose("unit", "T", "mu", "copy", "draw")
    many, n = ds.sizes["sample"] > 1, x.sizes["copy"] * x.sizes["draw"]
    m = x.values.reshape(*x.shape[:3], -1)
    mean = m.mean(axis=-1, keepdims=True)
    moments = np.concatenate([m @ m.swapaxes(-1, -2) / n, mean], axis=-1)

    def matrix(moment: Array) -> Any:
        each = moment if many else moment.mean(axis=0, keepdims=True)
        mean = each[..., -1]
        return ds.attrs["N"] * np.mean(each[..., :-1] - mean[..., :, None] * mean[..., None, :], axis=0)

    coords = {"T": x["T"], "mu": np.arange(x.sizes["mu"]), "nu": np.arange(x.sizes["mu"])}
    result = zip(("value", "error", "bias"), jackknife(matrix, moments), strict=True)
    return xr.Dataset({k: (("T", "mu", "nu"), v) for k, v in result}, coords, {"error_from": x.attrs["error_from"]})


def autocorrelation(ds: xr.Dataset, name: str = "overlap", *, lags: int) -> xr.Dataset:
    r"""Normalised autocorrelation of a variable, averaged over the disorder.

    .. math:: C(t) = \frac{\mathrm E\, [\langle x_s x_{s+t} \rangle - \langle x \rangle^2]}
              {\mathrm E\, [\langle x^2 \rangle - \langle x \rangle^2]}

    At low load an eigenmode of A (see ``covariance``) has :math:`C(t) = e^{-\lambda t}`, t in sweeps of random order,
    and :math:`\tau_{int} = \frac12 \coth \frac\lambda2`; the n of examples relax at :math:`\lambda/(1 + \rho)`.

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it
    name : a variable (sample, T, chain or pair, draw) and perhaps more
    lags : int in [0, draws), the largest t, in draws

    Returns
    -------
    Dataset over (T, ..., lag) with ``value``, ``error`` and ``bias`` as of ``covariance``; nan where x is constant.

    Raises
    ------
    ValueError where the variable or a dimension is missing, or for lags outside their range.

    Source: R. J. Glauber, J. Math. Phys. 4, 294 (1963), linearised; A. Sokal (1997), section 2, for the estimate.

    >>> x = xr.DataArray([[[[1.0, -1.0, 1.0, -1.0]]]], dims=("sample", "T", "chain", "draw"))
    >>> autocorrelation(xr.Dataset({"m": x}), "m", lags=2).value.round(9).values.tolist()
    [[1.0, -1.0, 1.0]]
    """
    x = variable(ds, name)
    require_integer(lags, "lags", 0, x.sizes["draw"] - 1, f"in [0, draws), below {x.sizes['draw']}")
    parts = units(x)
    over = ("copy", "draw") if parts.attrs["error_from"] == "disorder" else ("unit", "copy", "draw")
    parts = (parts - parts.mean(over)).transpose("unit", ..., "copy", "draw").assign_attrs(parts.attrs)
    outer = parts.isel(copy=0, draw=0, unit=0, drop=True)
    cells = parts.values.reshape(-1, *parts.shape[-2:])
    c = np.array([autocovariance(cell)[: lags + 1] for cell in cells]).reshape(*parts.shape[:-2], lags + 1)

    def ratio(c: Array) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return c.mean(axis=0) / c.mean(axis=0)[..., :1]

    coords = {str(key): value for key, value in outer.coords.items()} | {"lag": np.arange(lags + 1)}
    result = zip(("value", "error", "bias"), jackknife(ratio, c), strict=True)
    found = {key: ((*outer.dims, "lag"), value) for key, value in result}
    return xr.Dataset(found, coords, {"error_from": parts.attrs["error_from"]})
