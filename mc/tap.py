"""Thouless-Anderson-Palmer equations of one instance of a Boltzmann machine, solved by message passing."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require, require_integer
from .effective_field import Array
from .energy import OverlapEnergy, temperatures_of
from .mean_field import as_dataset
from .start import Start, initial_spins

_ALMOST, _LARGEST = 0.99, 0.95


class Machine(NamedTuple):
    """Weights w (mu, site) between spins and hidden units, their squares, beta h, and the kind of hidden units."""

    w: Array
    square: Array
    h: Array
    hidden: str | None


def TAP(
    xi: xr.DataArray | NDArray[np.integer],
    *,
    T: ArrayLike,
    hidden: str | None = None,
    h: ArrayLike = 0.0,
    start: Start = "pattern",
    tol: float = 1e-10,
    max_steps: int = 1000,
    seed: int = 0,
) -> xr.Dataset:
    r"""Solve the equations of Thouless, Anderson and Palmer of a restricted Boltzmann machine, site by site.

    .. math::
        p(\sigma, \tau) \propto p(\tau)\, e^{\sum w_i^\mu \sigma_i \tau_\mu + \sum_i h_i \sigma_i/T}, \quad
        w = \xi/\sqrt{NT}, \qquad
        m_i = \tanh\Bigl[\frac{h_i}{T} + \sum_\mu w_i^\mu M_\mu - m_i \sum_\mu (w_i^\mu)^2 v_\mu\Bigr], \quad
        k_\mu = \sum_i w_i^\mu m_i - C_\mu M_\mu

    with :math:`C_\mu = \sum_i (w_i^\mu)^2 (1 - m_i^2)`. Gaussian hidden units, :math:`\tau \sim N(0, 1)`, are the
    Hopfield network in other words: M = k/(1 - C) and v = 1/(1 - C), so that :math:`M = \sqrt{N/T}\, m_\mu`, and the
    last term is :math:`\alpha m_i/(T - 1 + q)` with the diagonal in it. Binary ones, :math:`\tau = \pm 1` evenly, make
    :math:`-H/T = \sum_\mu \ln\cosh \sum_i w_i^\mu \sigma_i`: M = tanh k and v = 1 - M^2.

    Iterated is message passing: k has the M of one step before, and C the mean of its own last value and the present
    one, 0 in the first step and at most 0.95 with Gaussian units. A pattern has a C of its own, as one that is
    retrieved and has blanks has a smaller one: with the same for all, its state is not stable.

    Parameters
    ----------
    xi : integer array (sample, mu, site) or (mu, site), values -1, 0 (blank) and 1
    T : float or (T,), finite and > 0; the paramagnet of independent patterns without blanks freezes at 1 +
        sqrt(alpha), with binary hidden units at sqrt(alpha)
    hidden : None for Gaussian hidden units, or "binary"
    h : float or (site,), a field on the spins, in the unit of T
    start : as in ``mean_field``; iteration begins at 0.99 of these spins
    tol : float > 0, for the residual
    max_steps : int >= 1
    seed : int in [0, 2^64), of the sites that ``start`` leaves to chance, such as blanks

    Returns
    -------
    Dataset (sample, T) as of ``mean_field``, and ``hidden`` (..., mu), the M. ``residual`` is the largest violation
    of the equations above, of spins and hidden units, in the C of the averages themselves; inf where some C >= 1.
    ``converged`` says whether it is below ``tol``; what has not converged keeps its last values.

    Raises
    ------
    ValueError outside these ranges.

    Source: M. Mezard, Phys. Rev. E 95, 022117 (2017); for binary hidden units E. W. Tramel, M. Gabrie, A. Manoel,
    F. Caltagirone, F. Krzakala, Phys. Rev. X 8, 041006 (2018).

    >>> from mattis.mc.patterns import patterns
    >>> ds = TAP(patterns(N=1000, K=50, seed=1), T=0.3)
    >>> round(ds.overlap[0, 0, 0].item(), 3), ds.converged.item()
    (0.993, True)
    """
    energy, temperatures = OverlapEnergy.multitasking(xi, diagonal="included"), temperatures_of(T)
    if hidden not in (None, "binary"):
        raise ValueError(f"hidden must be None (Gaussian) or 'binary', got {hidden!r}")
    require(np.isfinite(tol) & (tol > 0), "tol", tol, "finite and > 0")
    require_integer(max_steps, "max_steps", 1, 2**31, "in [1, 2^31]")
    outer = _on_sites(h, energy.N)
    spins = _ALMOST * initial_spins(energy, start, temperatures.size, 1, seed)[:, :, 0].astype(np.float64)
    m, M = np.empty(spins.shape), np.empty((*spins.shape[:2], energy.K))
    residual, n_steps = np.empty(spins.shape[:2]), np.empty(spins.shape[:2], np.int64)
    for z, t in np.ndindex(residual.shape):
        w = energy.xi[z] / np.sqrt(energy.N * temperatures[t])
        machine = Machine(w, w * w, outer / temperatures[t], hidden)
        m[z, t], M[z, t], residual[z, t], n_steps[z, t] = _solved(machine, spins[z, t], tol, max_steps)
    found = as_dataset(energy, temperatures, m, residual, n_steps, tol, start, units=hidden or "gaussian")
    return found.assign(hidden=(("sample", "T", "mu"), M))


def _on_sites(h: ArrayLike, N: int) -> Array:
    """The field as an array (site,)."""
    values = np.asarray(h, np.float64)
    require(np.isfinite(values), "h", values, "finite")
    if values.shape not in ((), (N,)):
        raise ValueError(f"h must be a number or of shape ({N},), got shape {values.shape}")
    return np.broadcast_to(values, (N,))


def _solved(machine: Machine, m: Array, tol: float, max_steps: int) -> tuple[Array, Array, float, int]:
    """Averages of spins and hidden units, the residual, and the steps taken."""
    M, C = np.zeros(len(machine.w)), np.zeros(len(machine.w))
    for step in range(1, max_steps + 1):
        k, own = machine.w @ m, machine.square @ (1 - m * m)
        M, v = _hidden(k - C * M, C, machine.hidden)
        residual = _residual(machine, m, M, k, own)
        if residual < tol or step == max_steps:
            break
        m = _spins(machine, m, M, v)
        C = 0.5 * (C + own)
        if machine.hidden is None:
            C = np.minimum(C, _LARGEST)
    return m, M, residual, step


def _hidden(k: Array, C: Array, kind: str | None) -> tuple[Array, Array]:
    """Average and variance of hidden units in the cavity field k, of variance C."""
    if kind is None:
        return k / (1 - C), 1 / (1 - C)
    M = np.tanh(k)
    return M, 1 - M * M


def _spins(machine: Machine, m: Array, M: Array, v: Array) -> Array:
    """Averages of the spins in the field of the hidden units."""
    return np.tanh(machine.h + M @ machine.w - m * (v @ machine.square))


def _residual(machine: Machine, m: Array, M: Array, k: Array, C: Array) -> float:
    """The largest violation of the equations at (m, M), with C the one of m and k the field without reaction."""
    if machine.hidden is None and not (C < 1).all():
        return float("inf")
    image, v = _hidden(k - C * M, C, machine.hidden)
    return float(max(np.abs(image - M).max(), np.abs(_spins(machine, m, M, v) - m).max()))
