"""What draws say of a sample and samples say of the disorder: P(q), Binder ratio, susceptibility and their errors."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import require, require_integer
from .stats import variable

Array = NDArray[np.float64]


class Jackknife(NamedTuple):
    """An estimate, its standard error, and its bias (subtract it to correct to first order)."""

    estimate: Any
    error: Any
    bias: Any


class Blocked(NamedTuple):
    """The standard error of a mean, the standard deviation of that error, and the block length taken."""

    error: float
    spread: float
    length: int


def jackknife(function: Callable[[Any], Any], values: NDArray[Any]) -> Jackknife:
    r"""Error and bias of any function of independent values, by leaving out one at a time.

    .. math:: \sigma^2 = \frac{n-1}{n} \sum_i (f_{(i)} - \bar f)^2, \qquad b = (n-1)(\bar f - f), \qquad
              \bar f = \frac1n \sum_i f_{(i)}

    Exact for the mean, where :math:`\sigma = s/\sqrt n` and b = 0.

    Parameters
    ----------
    function : from an array (value, ...) of any length to a number or an array
    values : array (value, ...), independent along its first axis: one row per disorder sample

    Returns
    -------
    Jackknife(estimate, error, bias), each shaped as the function's result; error and bias are nan for one value.

    Source: B. Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), eqs. (2.8) and (3.2).

    >>> float(jackknife(lambda x: x.mean() ** 2, np.array([1.0, 2.0, 4.0, 6.0])).error.round(4))
    7.0269
    """
    n = len(values)
    estimate = np.asarray(function(values), np.float64)[()]
    if n == 1:
        return Jackknife(estimate, estimate * np.nan, estimate * np.nan)
    left_out = np.array([function(np.delete(values, i, axis=0)) for i in range(n)])
    mean = left_out.mean(axis=0)
    error = np.sqrt((n - 1) / n * np.sum((left_out - mean) ** 2, axis=0))
    return Jackknife(estimate, error, (n - 1) * (mean - estimate))


def blocking(x: Array) -> Blocked:
    r"""Standard error of the mean of one long correlated series, by averaging it in blocks.

    .. math:: \sigma_B^2 = \frac{1}{n_B (n_B - 1)} \sum_j (\bar x_j - \bar x)^2, \qquad
              B = \min\Big\{2^k : B^3 > 2 n \frac{\sigma_B^4}{\sigma_1^4}\Big\}

    The rule for B balances what correlation between blocks hides (falling as 1/B) against the noise of the error
    (growing as the root of B); what stays hidden is a part of about tau_int/B.

    Parameters
    ----------
    x : array (draw,), at least two

    Returns
    -------
    Blocked(error, spread, length); error and spread are nan and length is 0 where no length leaving two blocks obeys
    the rule: the series is too short to tell.

    Raises
    ------
    ValueError for another shape.

    Source: H. Flyvbjerg, H. G. Petersen, J. Chem. Phys. 91, 461 (1989); the rule: R. M. Lee et al., Phys. Rev. E 83,
    066706 (2011).

    >>> blocking(np.repeat(np.random.default_rng(1).normal(size=5000), 4)).length  # of 4 equal draws each
    128
    """
    series = np.asarray(x, np.float64)
    require(series.ndim == 1 and series.size > 1, "shape of x", str(series.shape), "(draw,) with at least two")
    n, length, first = series.size, 1, series.std(ddof=1) / np.sqrt(series.size)
    while series.size > 1:
        error = float(series.std(ddof=1) / np.sqrt(series.size))
        if error == 0 or length**3 > 2 * n * (error / first) ** 4:
            return Blocked(error, error / np.sqrt(2 * (series.size - 1)), length)
        series = series[: series.size // 2 * 2].reshape(-1, 2).mean(axis=1)
        length *= 2
    return Blocked(np.nan, np.nan, 0)


def replica_overlap(a: NDArray[np.integer], b: NDArray[np.integer]) -> Array:
    r"""Overlap of two spin configurations, exact.

    .. math:: q = \frac1N \sum_i \sigma_i^{(1)} \sigma_i^{(2)}

    Parameters
    ----------
    a, b : integer arrays (..., site) of -1 and 1, broadcastable

    Returns
    -------
    float array (...), multiples of 1/N in [-1, 1].

    Raises
    ------
    ValueError for other values.

    Source: the definition.

    >>> replica_overlap(np.array([1, 1, -1, 1, 1]), np.array([1, -1, -1, 1, 1])).item()
    0.6
    """
    for name, spins in (("a", a), ("b", b)):
        require(np.abs(spins) == 1, name, spins, "-1 or 1")
    return np.asarray(np.sum(a * b, axis=-1, dtype=np.int64) / np.shape(a)[-1])


def p_of_q(ds: xr.Dataset, *, bins: int | None = None) -> xr.Dataset:
    r"""Distribution of the overlap of two replicas, averaged over the disorder.

    .. math:: P(q) = \mathrm E \langle \delta(q - \sigma^{(1)} \cdot \sigma^{(2)}/N) \rangle, \qquad
              \int P\,dq = 1, \qquad P_{sym}(q) = \tfrac12 [P(q) + P(-q)]

    q lives on -1, -1 + 2/N, ..., 1. Each of these N + 1 values is spread evenly over the cell of width 2/N around
    it, and the cells are shared out over equal bins, so a bin never holds more values than its neighbour.

    Parameters
    ----------
    ds : Dataset with ``q`` (sample, T, pair, draw), at least one draw, and the attribute ``N``
    bins : int in [1, N + 1], or None for N + 1, one per value of q

    Returns
    -------
    Dataset with ``P`` and, of an energy even in the spins, ``symmetric`` (T, q), and their errors ``error`` and
    ``symmetric_error``: over the samples (``error_from`` "disorder"), or over the pairs of a single one ("chains"), nan
    where there is but one. The attribute ``width`` is that of a bin.

    Raises
    ------
    ValueError where q is missing or off its lattice, or for bins outside its range.

    Source: G. Parisi, Phys. Rev. Lett. 50, 1946 (1983).

    >>> q = xr.DataArray(np.array([[[[1.0, 0.0, -1.0, 1.0]]]]), dims=("sample", "T", "pair", "draw"))
    >>> p_of_q(xr.Dataset({"q": q}, attrs={"N": 2})).P.values[0].tolist()
    [0.25, 0.25, 0.5]
    """
    x = units(variable(ds, "q"))
    P = density(x, N=int(ds.attrs["N"]), bins=bins)
    result = {"P": P.mean("unit"), "error": error_over_units(P)}
    if ds.attrs.get("flip_symmetric", 1):  # odd P tells q from -q
        symmetric = (P + P.values[..., ::-1]) / 2
        result |= {"symmetric": symmetric.mean("unit"), "symmetric_error": error_over_units(symmetric)}
    return xr.Dataset(result).drop_attrs().assign_attrs(error_from=x.attrs["error_from"], width=P.attrs["width"])


def density(x: xr.DataArray, *, N: int, bins: int | None = None) -> xr.DataArray:
    """P(q) of every unit: from overlaps (unit, ..., copy, draw) to densities (unit, ..., q) in equal bins."""
    bins = N + 1 if bins is None else bins
    require_integer(bins, "bins", 1, N + 1, f"in [1, N + 1 = {N + 1}]")
    k = np.rint((x.values + 1) * (N / 2)).astype(np.int64)
    on = (np.abs(x.values * N - (2 * k - N)) < 1e-6) & (k >= 0) & (k <= N)
    require(on, "q", x.values, f"one of -1, -1 + 2/N, ..., 1 with N = {N}")
    rows = k.reshape(-1, x.sizes["copy"] * x.sizes["draw"])
    cells = rows + (N + 1) * np.arange(len(rows))[:, None]
    counts = np.bincount(cells.ravel(), minlength=len(rows) * (N + 1)).reshape(-1, N + 1)
    width = 2 * (N + 1) / (N * bins)
    P = _shared_out(counts, bins) / (rows.shape[1] * width)
    outer = x.isel(copy=0, draw=0, drop=True)
    centre = (2 * np.arange(bins) + 1 - bins) / bins * (1 + 1 / N)
    shaped = P.reshape(*outer.shape, bins)
    return xr.DataArray(shaped, dict(outer.coords) | {"q": centre}, (*outer.dims, "q"), attrs={"width": width})


def _shared_out(counts: NDArray[np.int64], bins: int) -> Array:
    """Counts of cells (row, cell) in equal bins (row, bin); a cell astride an edge goes to both in proportion."""
    total = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    edge = np.arange(bins + 1) * counts.shape[1] / bins
    cell = edge.astype(np.int64)
    part = (edge - cell) * counts[:, np.minimum(cell, counts.shape[1] - 1)]
    shares: Array = np.diff(total[:, cell] + part, axis=1)
    return shares


def binder(ds: xr.Dataset, name: str = "q") -> xr.Dataset:
    r"""Binder ratio of an overlap: 0 for a Gaussian around 0, 1 for two values :math:`\pm x`.

    .. math:: g = \frac12 \Big(3 - \frac{\mathrm E \langle x^4 \rangle}{(\mathrm E \langle x^2 \rangle)^2}\Big)

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it
    name : a variable (sample, T, chain or pair, draw) and perhaps more, such as "q" or "overlap"

    Returns
    -------
    Dataset with ``value``, ``error`` and ``bias`` by jackknife over the samples, or the chains of a single one.

    Raises
    ------
    ValueError where the variable or a dimension is missing.

    Source: R. N. Bhatt, A. P. Young, Phys. Rev. Lett. 54, 924 (1985).

    >>> x = xr.DataArray(np.ones((2, 1, 4, 50)), dims=("sample", "T", "pair", "draw"))
    >>> binder(xr.Dataset({"q": x})).value.item()
    1.0
    """
    return _of_moments(variable(ds, name), (2, 4), lambda x: 1.5 - 0.5 * x.mean(axis=0)[1] / x.mean(axis=0)[0] ** 2)


def susceptibility(ds: xr.Dataset, name: str = "overlap") -> xr.Dataset:
    r"""Response of an overlap to its field, from its fluctuations in each sample.

    .. math:: \chi = \frac NT\, \mathrm E\, [\langle x^2 \rangle - \langle x \rangle^2]

    The mean of x is over all draws and chains of a sample; of correlated draws the variance is low by a part 1/ess.

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it, with the attribute ``N``
    name : a variable (sample, T, chain or pair, draw) and perhaps more

    Returns
    -------
    Dataset, and ValueError, as of ``binder``.

    Source: the fluctuation-dissipation theorem, K. Binder, D. W. Heermann (2010), eq. (2.20).

    >>> x = xr.DataArray(np.array([[[[0.1, -0.1]]]]), {"T": [0.5]}, ("sample", "T", "chain", "draw"))
    >>> susceptibility(xr.Dataset({"overlap": x}, attrs={"N": 100})).value.round(9).item()
    2.0
    """
    x = variable(ds, name)
    many = x.sizes["sample"] > 1

    def variance(moment: Array) -> Any:
        each = moment if many else moment.mean(axis=0, keepdims=True)
        return np.mean(each[:, 1] - each[:, 0] ** 2, axis=0)

    return _of_moments(x, (1, 2), variance, ds.attrs["N"] / x["T"])


def _of_moments(
    x: xr.DataArray, powers: tuple[int, int], function: Callable[[Array], Any], factor: Any = 1.0
) -> xr.Dataset:
    """Jackknife of a function of two moments, given as an array (unit, moment, ...), times a factor."""
    parts = units(x)
    moment = xr.concat([(parts**p).mean(("copy", "draw")) for p in powers], "moment").transpose("unit", "moment", ...)
    like = moment.isel(unit=0, moment=0, drop=True)
    result = jackknife(function, moment.values)
    names = zip(("value", "error", "bias"), result, strict=True)
    found = xr.Dataset({key: like.copy(data=r) * factor for key, r in names})
    return found.drop_attrs().assign_attrs(error_from=parts.attrs["error_from"])


def units(x: xr.DataArray) -> xr.DataArray:
    """What is independent, as dimension ``unit``: the samples, or the chains (pairs) of a single sample.

    From (sample, T, chain or pair, draw) and more to (unit, T, ..., copy, draw), where the copies are what else is
    equal within a unit; the attribute ``error_from`` is "disorder" or "chains".
    """
    chain = "pair" if "pair" in x.dims else "chain"
    many = x.sizes["sample"] > 1
    names = {"sample": "unit", chain: "copy"} if many else {chain: "unit", "sample": "copy"}
    parts = x.drop_vars(("sample", chain), errors="ignore").rename(names)
    return parts.transpose("unit", ..., "copy", "draw").assign_attrs(error_from="disorder" if many else "chains")


def error_over_units(x: xr.DataArray) -> xr.DataArray:
    """Standard error of the mean over the dimension ``unit``, nan for one."""
    n = x.sizes["unit"]
    return x.std("unit", ddof=1) / np.sqrt(n) if n > 1 else x.isel(unit=0, drop=True) * np.nan
