r"""Has a run reached equilibrium, and is its temperature right? Tests that need no exact answer.

Each takes means over independent units, the samples, or the chains (pairs) of a single one, and returns a Dataset
with ``value``, ``error`` (nan for one unit), ``pull`` = (value - expected)/error and ``p_value``: Student's chance of a
larger one, at ``units`` - 1 degrees of freedom. A missing variable or dimension is a ValueError.
"""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import expit, stdtr

from ..core.errors import require
from .observables import Array, density, error_over_units, replica_overlap, units
from .stats import variable


def compare(parts: xr.DataArray, expected: float = 0.0) -> xr.Dataset:
    """The mean over the dimension ``unit`` against what is expected."""
    return pulls(parts.mean("unit"), error_over_units(parts).values, expected, parts.sizes["unit"])


def pulls(value: xr.DataArray, error: Array, expected: Any, n: int) -> xr.Dataset:
    """A value of n units against what is expected; the pull is 0 where they are equal, whatever the error."""
    x = value.values
    with np.errstate(divide="ignore", invalid="ignore"):
        pull = np.where(x == expected, 0.0, (x - expected) / error)
    p_value = 2 * stdtr(max(n - 1, 1), -np.abs(pull))
    each = {"value": x, "error": error, "pull": pull, "p_value": p_value}
    return xr.Dataset({name: (value.dims, y) for name, y in each.items()}, value.coords, {"units": n})


def log_binning(ds: xr.Dataset, name: str = "energy", *, within: float) -> xr.Dataset:
    r"""Averages over sweeps :math:`[2^k, 2^{k+1})`, counted from the start: equal once equilibrium is reached.

    .. math:: d_k = \bar x_k - \bar x_{last}

    Parameters
    ----------
    ds : Dataset as ``simulate`` returns it, with at least three whole bins (``burn_in=0, sweeps=2**n - 1`` has n)
    name : a variable (sample, T, chain or pair, draw) and perhaps more
    within : float > 0, the number of errors within which the last three bins are to agree

    Returns
    -------
    Dataset over ``bin``, labelled by its first sweep, with ``value`` d_k, subtracted unit by unit; also ``mean``, and
    ``agree``, true where the two bins before the last have :math:`|pull|` <= within. Below three bins, a ValueError.

    Source: H. G. Katzgraber, arXiv:0905.1629, section 4.2.

    >>> x = np.tile(1 / np.arange(1, 32), (5, 1, 1, 1))
    >>> ds = xr.Dataset({"energy": (("sample", "T", "chain", "draw"), x)}, {"sweep": ("draw", np.arange(1, 32))})
    >>> log_binning(ds.assign_attrs(every=1), within=3.0)["mean"].round(2).values[0].tolist()
    [1.0, 0.42, 0.19, 0.09, 0.04]
    """
    require(within > 0, "within", within, "> 0")
    x, sweep, every = units(variable(ds, name)), ds["sweep"].values, ds.attrs["every"]
    k = np.frexp(sweep)[1].astype(np.int64) - 1  # floor(log2(sweep)), exact
    whole = (2.0**k > sweep[0] - every) & (2.0 ** (k + 1) <= sweep[-1] + every)
    bins = np.unique(k[whole])
    require(bins.size >= 3, "whole bins of sweeps [2^k, 2^(k+1))", bins.size, ">= 3")
    means = xr.concat([x.isel(draw=k == b).mean(("copy", "draw")) for b in bins], "bin").assign_coords(bin=2**bins)
    result = compare(means - means.isel(bin=-1, drop=True))
    agree = (abs(result["pull"].isel(bin=slice(-3, None))) <= within).all("bin")
    return result.assign(mean=means.mean("unit"), agree=agree).transpose(..., "bin")


def hot_cold(hot: xr.Dataset, cold: xr.Dataset, name: str = "energy") -> xr.Dataset:
    r"""The same average from two starts: equal once both runs have reached equilibrium.

    .. math:: d = \bar x_{hot} - \bar x_{cold}

    Outside the retrieval region only: inside, a start at a pattern stays there for a time exponential in N.

    Parameters
    ----------
    hot, cold : of ``start="random"`` and ``start="pattern"``, of the same samples, T and number of chains
    name : a variable (sample, T, chain or pair, draw) and perhaps more

    Returns
    -------
    Dataset with ``value`` d, unit by unit, so equal seeds do no harm; where sizes, T, N or K differ, a ValueError.

    Source: one Markov chain has one limit.

    >>> e = xr.DataArray(np.arange(8.0).reshape(4, 1, 1, 2) ** 2, {"T": [1.0]}, ("sample", "T", "chain", "draw"))
    >>> hot_cold(xr.Dataset({"energy": e}), xr.Dataset({"energy": 1.1 * e})).pull.round(2).item()
    -1.88
    """
    for key in ("N", "K"):
        require(hot.attrs.get(key) == cold.attrs.get(key), f"{key} of cold", cold.attrs.get(key), "that of hot")
    a, b = (units(variable(ds, name)) for ds in (hot, cold))
    sizes = [{str(dim): n for dim, n in x.sizes.items() if dim != "draw"} for x in (a, b)]
    require(sizes[0] == sizes[1], "sizes of cold", str(sizes[1]), f"those of hot, {sizes[0]}")
    require(a["T"].values == b["T"].values, "T of cold", b["T"].values, "that of hot")
    return compare(a.mean(("copy", "draw")) - b.mean(("copy", "draw")))


def q_symmetry(ds: xr.Dataset, *, bins: int | None = None) -> xr.Dataset:
    r"""Without a field an energy even in the spins has an even P(q) in every sample.

    .. math:: d(q) = P(q) - P(-q), \qquad q > 0

    Parameters
    ----------
    ds, bins : as of ``p_of_q``

    Returns
    -------
    Dataset over (T, q > 0) with ``value`` d.

    Raises
    ------
    ValueError where the run says that its energy is not even (odd P), besides what all tests here raise.

    Source: the definition.

    >>> q = xr.DataArray(np.tile([1.0, -1.0, 0.0], (4, 1, 1, 2)), dims=("sample", "T", "pair", "draw"))
    >>> q_symmetry(xr.Dataset({"q": q}, attrs={"N": 2})).value.values.tolist()
    [[0.0]]
    """
    if not ds.attrs.get("flip_symmetric", 1):
        raise ValueError("ds must be of an energy even in the spins (even P), where P(q) = P(-q); its P is odd")
    P = density(units(variable(ds, "q")), N=int(ds.attrs["N"]), bins=bins)
    return compare((P - P.values[..., ::-1]).isel(q=P["q"].values > 0))


def q_in_time(ds: xr.Dataset, *, bins: int | None = None) -> xr.Dataset:
    r"""Two replicas, and one replica at two times, have the same P(q).

    .. math:: d(q) = P(q) - P_{time}(q), \qquad
              q_{time} = \frac1N \sum_i \sigma_i(t)\, \sigma_i(t + \mathrm{draws}/2)

    Replicas still on their way make P(q) too narrow, one that moves little in half a run makes P_time(q) too wide.

    Parameters
    ----------
    ds : Dataset with ``q`` (sample, T, pair, draw), ``spins`` (sample, T, chain, draw, site) and two draws at least
    bins : as of ``p_of_q``

    Returns
    -------
    Dataset over (T, q) with ``value`` d; also ``replicas`` and ``time``, the two P.

    Source: R. N. Bhatt, A. P. Young, Phys. Rev. Lett. 54, 924 (1985).

    >>> q = xr.DataArray(np.ones((1, 1, 2, 2)), dims=("sample", "T", "pair", "draw"))
    >>> spins = xr.DataArray(np.ones((1, 1, 4, 2, 2), int), dims=("sample", "T", "chain", "draw", "site"))
    >>> q_in_time(xr.Dataset({"q": q, "spins": spins}, attrs={"N": 2})).time.values[0].tolist()
    [0.0, 0.0, 1.0]
    """
    N, q = int(ds.attrs["N"]), variable(ds, "q").transpose("sample", "T", "pair", "draw")
    spins, half = recorded_spins(ds), q.sizes["draw"] // 2
    require(half > 0, "draws", q.sizes["draw"], ">= 2")
    overlaps = replica_overlap(spins[..., :half, :], spins[..., half : 2 * half, :])
    time = xr.DataArray(overlaps.reshape(*q.shape[:3], 2 * half), {"T": q["T"]}, q.dims)
    P, P_time = (density(units(x), N=N, bins=bins) for x in (q, time))
    return compare(P - P_time).assign(replicas=P.mean("unit"), time=P_time.mean("unit"))


def recorded_spins(ds: xr.Dataset) -> NDArray[np.integer]:
    """Spins (sample, T, chain, draw, site) of whole pairs of chains."""
    variable(ds.isel(draw=slice(1)), "spins")
    even = slice(ds.sizes["chain"] // 2 * 2)
    return ds["spins"].isel(chain=even).transpose("sample", "T", "chain", "draw", "site").values


def energy_histograms(ds: xr.Dataset) -> xr.Dataset:
    r"""Energies at neighbouring temperatures a, b are Boltzmann's: the sharpest test of the temperature scale.

    .. math:: \ln \frac{p_a(E)}{p_b(E)} = c + s E, \qquad s = \frac{1}{T_b} - \frac{1}{T_a}

    The slope is that of greatest likelihood of all draws, with one c per sample; the units of its error are all
    chains (in tempering, ladders) of all samples, so correlated draws do no harm. Have eight units or more.

    Parameters
    ----------
    ds : Dataset with ``energy`` (sample, T, chain, draw) per spin, the attribute ``N``, at least two T

    Returns
    -------
    Dataset over T_a, all T but the last, with ``T_next``, T_b; ``value`` s, nan without overlap, and ``expected``.

    Source: M. R. Shirts, J. Chem. Theory Comput. 9, 909 (2013), arXiv:1208.0910.

    >>> E = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 1.0]]).reshape(1, 2, 1, 4)  # odds 3:1 and 1:3
    >>> ds = xr.Dataset({"energy": (("sample", "T", "chain", "draw"), E)}, {"T": [0.5, 1.0]}, {"N": 1})
    >>> energy_histograms(ds).value.round(4).item()
    -2.1972
    """
    N, x = int(ds.attrs["N"]), variable(ds, "energy").transpose("sample", "T", "chain", "draw")
    T, n = x["T"].values, x.sizes["sample"] * x.sizes["chain"]
    require(T.size >= 2, "number of T", T.size, ">= 2")
    expected = 1 / T[1:] - 1 / T[:-1]
    fits = np.array([_slope(N * x.values[:, t : t + 2], s) for t, s in enumerate(expected)])
    value = xr.DataArray(fits[:, 0], {"T": T[:-1], "T_next": ("T", T[1:])}, ("T",))
    return pulls(value, fits[:, 1], expected, n).assign(expected=("T", expected))


def _slope(E: Array, s: float) -> tuple[float, float]:
    """Slope of the log odds of T_a against T_b given E (sample, 2, chain, draw), by Newton from s, and its error."""
    high, low = E.max(axis=(2, 3)), E.min(axis=(2, 3))
    if not (high > low[:, ::-1]).any(axis=0).all():  # the likelihood grows to the end of the axis
        return np.nan, np.nan
    each, at_a = (1, 2, 3), np.array([1.0, 0.0])[:, None, None]
    c, n = -s * E.mean(axis=each, keepdims=True), E.shape[0] * E.shape[2]
    with np.errstate(all="ignore"):
        for _ in range(50):  # five are usual
            p = expit(c + s * E)
            w = p * (1 - p)
            W = w.sum(axis=each, keepdims=True)
            centre = np.sum(w * E, axis=each, keepdims=True) / W
            information = np.sum(w * (E - centre) ** 2)
            steps = np.sum((at_a - p) * (E - centre), axis=(1, 3)) / information  # what each (sample, chain) asks for
            step = float(steps.sum())
            c += np.sum(at_a - p, axis=each, keepdims=True) / W - centre * step
            s += step
            if abs(step) <= 1e-10 * abs(s):
                return s, float(np.sqrt(np.sum(steps**2) * n / (n - 1))) if n > 1 else np.nan
    return np.nan, np.nan
