"""One-site averages that agree with the field they make: mean field and Thouless-Anderson-Palmer, iterated."""

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require, require_integer
from ..core.versions import versions
from .effective_field import Array, blocks, check_choices, field, load, onsager
from .energy import OverlapEnergy, temperatures_of
from .start import Start, initial_spins


def mean_field(
    energy: OverlapEnergy,
    *,
    T: ArrayLike,
    mode: str = "plefka2",
    start: Start = "pattern",
    gamma: float | None = None,
    damping: float = 0.0,
    tol: float = 1e-8,
    max_steps: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    r"""Iterate the averages of all sites in their own effective field, in every sample and at every temperature.

    .. math:: m_i^{t+1} = d\, m_i^t + (1 - d) \tanh \frac{h_i(m^t) - b(q^t)\, m_i^{t-1}}{T}

    with h the field of ``effective_field`` without its last term and b the coefficient of that term, which "plefka2"
    takes at the averages of one step before. This gives averages of one disorder sample without noise of a Monte
    Carlo, to an error that vanishes as N grows, and only where the state is stable: at P >= 3 the iteration converges
    where the solution is stable against replica symmetry breaking, and elsewhere need not. Spins drawn from
    these fields all at once would be no simulation of H, since parallel updates have another stationary law; the
    exact field, site by site, is ``simulate``.

    Parameters
    ----------
    energy : OverlapEnergy of a power of the overlaps
    T : float or (T,), finite and > 0, in the unit of the energy
    mode : "plefka2"; "exact" and "plefka1" are naive mean field, without and with the terms of the site itself
    start : as in ``simulate``, spins of shape (site,), (sample, site) or (sample, T, 1, site) if an array
    gamma : float >= 0, the load of the noise, as in ``effective_field``
    damping : float in [0, 1), the d above: it helps small samples near the end of stability
    tol : float > 0, for the residual
    max_steps : int >= 1
    seed : int in [0, 2^64), of the sites that ``start`` leaves to chance

    Returns
    -------
    Dataset (sample, T) with ``average``, the m_i (..., site); ``overlap`` (..., mu) of them, in the unit of
    ``simulate``; ``q``, their mean square; ``residual``, the largest :math:`|\tanh(h_i/T) - m_i|` in the full field
    of the m_i; ``converged``, whether that is below ``tol``; ``n_steps``. What has not converged keeps its last values.

    Raises
    ------
    TypeError for another energy, ValueError outside these ranges or where gamma must be given.

    Source: D. J. Thouless, P. W. Anderson, R. G. Palmer, Phil. Mag. 35, 593 (1977); for the step before,
    E. Bolthausen, Commun. Math. Phys. 325, 333 (2014).

    >>> ds = mean_field(OverlapEnergy.hebbian(np.ones((1, 1000), int)), T=0.5)
    >>> round(ds.overlap.item(), 3), ds.converged.item()
    (0.957, True)
    """
    check_choices(energy, mode)
    temperatures = temperatures_of(T)
    require(0 <= damping < 1, "damping", damping, "in [0, 1)")
    require(np.isfinite(tol) & (tol > 0), "tol", tol, "finite and > 0")
    require_integer(max_steps, "max_steps", 1, 2**31, "in [1, 2^31]")
    noise = load(energy, gamma) if mode == "plefka2" else np.zeros(energy.samples)
    spins = initial_spins(energy, start, temperatures.size, 1, seed)[:, :, 0].astype(np.float64)
    found = [
        _iterated(partial(_field, energy, z, mode, noise[z]), m, temperatures, damping, tol, max_steps)
        for z, m in enumerate(spins)
    ]
    m, residual, n_steps = (np.stack([sample[k] for sample in found]) for k in range(3))
    return as_dataset(energy, temperatures, m, residual, n_steps, tol, start, mode=mode)


def as_dataset(
    energy: OverlapEnergy,
    T: Array,
    m: NDArray[Any],
    residual: NDArray[Any],
    n_steps: NDArray[Any],
    tol: float,
    start: Start,
    **words: str,
) -> xr.Dataset:
    """Averages m (sample, T, site) as labelled arrays, with what follows from them; ``words`` go to the attributes."""
    at = ("sample", "T")
    variables = {
        "overlap": ((*at, "mu"), np.stack([_overlaps(energy, x, z) for z, x in enumerate(m)])),
        "q": (at, np.mean(m**2, axis=-1)),
        "average": ((*at, "site"), m),
        "residual": (at, residual),
        "converged": (at, residual < tol),
        "n_steps": (at, n_steps),
    }
    attrs = {"N": energy.N, "K": energy.K, **words, "start": start if isinstance(start, str) else "array"}
    ds = xr.Dataset(variables, attrs=attrs | {"versions": json.dumps(versions("mattis", "numpy"))})
    return ds.assign_coords({str(name): np.arange(size) for name, size in ds.sizes.items()} | {"T": T})


def _field(energy: OverlapEnergy, sample: int, mode: str, noise: float, m: Array, T: Array) -> tuple[Array, Array]:
    """Field (T, site) and the coefficient (T, 1) of what is taken off it."""
    b = onsager(energy, np.mean(m**2, axis=-1), T, noise) if mode == "plefka2" else np.zeros(len(m))
    return field(energy, m, sample, mode), b[:, None]


def _iterated(
    make: Callable[[Array, Array], tuple[Array, Array]], m: Array, T: Array, damping: float, tol: float, max_steps: int
) -> tuple[Array, Array, NDArray[np.int64]]:
    """Averages (T, site) that agree with the field ``make(m, T)``, the residuals, and the fields computed for each."""
    residual, n_steps = np.full(T.size, np.inf), np.zeros(T.size, np.int64)
    before, live = np.zeros_like(m), np.arange(T.size)
    for step in range(1, max_steps + 1):
        t, now = T[live, None], m[live]
        h, b = make(now, T[live])
        residual[live] = np.max(np.abs(np.tanh((h - b * now) / t) - now), axis=-1)
        n_steps[live] = step
        go = residual[live] >= tol  # nan stops
        if step == max_steps or not go.any():
            break
        after = damping * now + (1 - damping) * np.tanh((h - b * before[live]) / t)
        live = live[go]
        m[live], before[live] = after[go], now[go]
    return m, residual, n_steps


def _overlaps(energy: OverlapEnergy, m: Array, sample: int) -> Array:
    """Overlaps (T, mu) of averages (T, site), in the unit of the energy."""
    M = np.empty((len(m), energy.K))
    for part, w in blocks(energy, sample, len(m)):
        M[:, part] = m @ w.T
    return M * energy.unit / energy.N
