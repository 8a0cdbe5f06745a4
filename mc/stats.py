"""Means and honest errors of Markov chains, disorder outermost."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.fft import irfft, next_fast_len, rfft
from scipy.special import ndtri
from scipy.stats import rankdata

from ..core.errors import require

_WINDOW = 5.0  # Sokal's c: sum the correlations up to the first W >= c tau_int(W)
_LONG = 50.0  # draws per tau_int below which tau_int itself is not known

Array = NDArray[np.float64]


def summary(ds: xr.Dataset, name: str = "overlap") -> xr.Dataset:
    r"""Mean, error, autocorrelation time, effective size and convergence of one variable of ``simulate``.

    .. math:: \tau_{int} = \tfrac12 + \sum_{t=1}^{W} \rho(t), \qquad
              \mathrm{ess} = \frac{\mathrm{chains} \cdot \mathrm{draws}}{2 \tau_{int}}

    The mean is over draws, chains and samples. Its error is the standard error of the per-sample means over
    the disorder samples; with one sample it is that of the chains, sqrt(variance / ess), and knows nothing of
    the disorder. The attribute ``error_from`` says which: "disorder" or "chains".

    Parameters
    ----------
    ds : Dataset with a variable of dims (sample, T, chain or pair, draw) and perhaps more, at least one draw
    name : the variable; for |m| assign it first, ``ds.assign(size=abs(ds.overlap))``

    Returns
    -------
    Dataset with ``mean`` and ``error`` without (sample, chain, draw), and per sample: ``tau_int`` in draws (at
    least 1/2, which independent or constant ones have), ``ess``, ``r_hat`` (rank-normalised and split, the larger
    of bulk and folded; 1 where all chains are the same constant, inf where they are different ones, nan below 4
    draws) and ``short``, true where the chains are shorter than 50 tau_int: then tau_int, ess and an error from
    chains are not to be trusted.

    Raises
    ------
    ValueError where the variable or a dimension is missing, TypeError where ds is no Dataset.

    Source: A. Sokal, in Functional Integration (1997), section 3, for tau_int; Vehtari, Gelman, Simpson,
    Carpenter, Buerkner, Bayesian Analysis 16, 667 (2021), arXiv:1903.08008, eqs. (1)-(14), for r_hat.

    >>> draws = np.random.default_rng(1).normal(size=(1, 1, 4, 1000))
    >>> ds = xr.Dataset({"energy": (("sample", "T", "chain", "draw"), draws)})
    >>> float(summary(ds, "energy").error.round(3)[0])
    0.016
    """
    x = variable(ds, name)
    x = x.rename(pair="chain") if "pair" in x.dims else x
    x = x.transpose("sample", ..., "chain", "draw")
    cells = x.values.reshape(-1, *x.shape[-2:])
    outer = x.isel(chain=0, draw=0, drop=True)
    tau, r_hat = (outer.copy(data=np.array([f(c) for c in cells]).reshape(outer.shape)) for f in (tau_int, rank_r_hat))
    n = x.sizes["chain"] * x.sizes["draw"]
    ess = n / (2 * tau)
    many = x.sizes["sample"] > 1
    error = _disorder_error(x) if many else _chain_error(x, ess).isel(sample=0, drop=True)
    result = {
        "mean": x.mean(("sample", "chain", "draw")),
        "error": error,
        "tau_int": tau,
        "ess": ess,
        "r_hat": r_hat,
        "short": x.sizes["draw"] < _LONG * tau,
    }
    return xr.Dataset(result, attrs={"error_from": "disorder" if many else "chains", "name": name})


def variable(ds: xr.Dataset, name: str) -> xr.DataArray:
    """A variable of a dataset as float64, refused unless it has sample, T, draw, and chain or pair, and a draw."""
    if not isinstance(ds, xr.Dataset):
        raise TypeError(f"ds must be a Dataset, such as simulate returns, got {type(ds).__name__}")
    if name not in ds:
        raise ValueError(f"name must be a variable of the dataset, {', '.join(map(str, ds.data_vars))}, got {name!r}")
    dims = set(ds[name].dims)
    if not {"sample", "T", "draw"} <= dims or not dims & {"chain", "pair"}:
        raise ValueError(f"{name} must have the dimensions sample, T, draw and chain or pair, got {ds[name].dims}")
    require(ds[name].size > 0, f"{name}.size", ds[name].size, ">= 1")
    return ds[name].astype(np.float64)


def _disorder_error(x: xr.DataArray) -> xr.DataArray:
    return x.mean(("chain", "draw")).std("sample", ddof=1) / np.sqrt(x.sizes["sample"])


def _chain_error(x: xr.DataArray, ess: xr.DataArray) -> xr.DataArray:
    """sqrt(variance / ess) with the bias of the variance removed, nan where there is but one independent draw."""
    return (x.var(("chain", "draw")) / (ess - 1).where(ess > 1)) ** 0.5


def tau_int(x: Array) -> float:
    r"""Integrated autocorrelation time of chains (chain, draw) around their common mean, in draws.

    .. math:: \tau_{int} = \tfrac12 + \sum_{t=1}^{W} \rho(t), \qquad W = \min\{W: W \ge 5\,\tau_{int}(W)\}

    Covariances are averaged over the chains before they are divided, so chains stuck apart show as a long
    time. Never below 1/2, which constant chains give.

    Source: A. Sokal, in Functional Integration (1997), section 3.

    >>> tau_int(np.ones((2, 10)))
    0.5
    """
    if x.max() == x.min():
        return 0.5
    n, covariance = x.shape[1], autocovariance(x - x.mean())
    tau = np.cumsum(covariance / covariance[0]) - 0.5
    window = np.arange(n) >= _WINDOW * tau
    return float(max(0.5, tau[np.argmax(window)] if window.any() else tau.max()))


def autocovariance(x: Array) -> Array:
    r"""Covariance of chains (chain, draw) of mean 0 with themselves t draws later, averaged over the chains, (draw,).

    .. math:: c(t) = \frac{1}{n - t} \sum_{s=1}^{n - t} \overline{x_s x_{s+t}}

    >>> autocovariance(np.array([[1.0, -1.0, 1.0, -1.0]])).round(9).tolist()
    [1.0, -1.0, 1.0, -1.0]
    """
    n = x.shape[1]
    size = next_fast_len(2 * n)
    power: Any = np.mean(np.abs(rfft(x, size)) ** 2, axis=0)
    covariance: Array = irfft(power, size)[:n] / (n - np.arange(n))
    return covariance


def rank_r_hat(x: Array) -> float:
    r"""Rank-normalised split :math:`\hat R` of chains (chain, draw), the larger of bulk and folded.

    .. math:: \hat R = \sqrt{\frac{n-1}{n} + \frac{B}{n W}}, \qquad
              z = \Phi^{-1}\Big(\frac{\mathrm{rank} - 3/8}{S + 1/4}\Big)

    with n draws per half chain, S in all, W the mean of the variances within and B/n the variance of the means.

    Source: arXiv:1903.08008, eqs. (1)-(4) and (14).

    >>> rank_r_hat(np.ones((2, 10)))
    1.0
    """
    half = x.shape[1] // 2
    if half < 2:
        return float("nan")
    split = np.concatenate([x[:, :half], x[:, -half:]])
    return max(_r_hat(_normal_scores(split)), _r_hat(_normal_scores(np.abs(split - np.median(split)))))


def _normal_scores(x: Array) -> Array:
    z: Array = ndtri((rankdata(x).reshape(x.shape) - 0.375) / (x.size + 0.25))
    return z


def _r_hat(z: Array) -> float:
    n = z.shape[1]
    within = np.where(np.ptp(z, axis=1) > 0, z.var(axis=1, ddof=1), 0.0).mean()
    means = z.mean(axis=1)
    between = means.var(ddof=1) if np.ptp(means) > 0 else 0.0
    if within == 0:
        return 1.0 if between == 0 else float("inf")
    return float(np.sqrt((n - 1) / n + between / within))
