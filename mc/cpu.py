"""The plain compiled sweep: chain after chain, integer overlaps kept up to date, sites in any order."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba.extending import overload
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from .energy import OverlapEnergy
from .kernel import Rule
from .simd import W, aligned
from .steps import draw_sites, draw_thresholds

_LANES = 16  # patterns of one vector
_load, _store, _splat, _select, _mask_add, _sum = W.load, W.store, W.splat, W.select_bits, W.mask_add, W.hsum


@dataclass(frozen=True)
class PlainTables:
    """One sample: two masks a site where weights are -1, 0, 1, the ones and the minus ones; else a row of weights.

    Parameters
    ----------
    rows : uint16 (site, 2, word of 16 patterns) or integers (site, mu), padded with blank patterns to a multiple of 16
    """

    energy: OverlapEnergy
    sample: int
    rows: NDArray[np.integer]

    @classmethod
    def of(cls, energy: OverlapEnergy, sample: int) -> "PlainTables":
        """The tables of one sample.

        Raises
        ------
        ValueError where a flip could cost more than 32 bits hold.

        >>> PlainTables.of(OverlapEnergy.hebbian(np.ones((3, 5))), 0).rows.shape
        (5, 2, 1)
        """
        require(cls.fits(energy, sample), "K N w^2", energy.largest_cost, "< 2^31")
        rows = np.zeros((energy.N, -(-energy.K // _LANES) * _LANES), energy.xi.dtype)
        rows[:, : energy.K] = energy.xi[sample].T
        if energy.largest_weight > 1:
            return cls(energy, sample, rows)
        masks = np.packbits(np.stack([rows > 0, rows < 0], axis=1), axis=2, bitorder="little")
        return cls(energy, sample, masks.view(np.uint16))

    @classmethod
    def fits(cls, energy: OverlapEnergy, sample: int) -> bool:
        """Whether 32 bits hold whatever a flip can cost."""
        return energy.pairwise and energy.largest_cost < 2**31


def _field(rows: Any, i: Any, M: Any) -> Any:
    """``sum_mu xi_i^mu M_mu``, exact in 32 bits."""


def _add(rows: Any, i: Any, M: Any, d: Any) -> None:
    """``M_mu += d xi_i^mu``, the overlaps after a flip that changes sigma_i by d."""


@overload(_field)
def _field_of(rows: Any, i: Any, M: Any) -> Any:
    return _masked_field if rows.ndim == 3 else _weighted_field


@overload(_add)
def _add_of(rows: Any, i: Any, M: Any, d: Any) -> Any:
    return _masked_add if rows.ndim == 3 else _weighted_add


def _masked_field(rows: Any, i: Any, M: Any) -> Any:
    plus = minus = _splat(np.int32(0))
    for word in range(rows.shape[2]):
        m = _load(M, 16 * word)
        plus = _mask_add(plus, m, np.uint64(rows[i, 0, word]))
        minus = _mask_add(minus, m, np.uint64(rows[i, 1, word]))
    return _sum(plus - minus)


def _masked_add(rows: Any, i: Any, M: Any, d: Any) -> None:
    change = _splat(np.int32(d))
    for word in range(rows.shape[2]):
        m = _mask_add(_load(M, 16 * word), change, np.uint64(rows[i, 0, word]))
        _store(M, 16 * word, _select(np.uint64(rows[i, 1, word]), m - change, m))


def _weighted_field(rows: Any, i: Any, M: Any) -> Any:
    field = np.int32(0)
    for mu in range(M.size):
        field = np.int32(field + np.int32(rows[i, mu]) * M[mu])
    return field


def _weighted_add(rows: Any, i: Any, M: Any, d: Any) -> None:
    for mu in range(M.size):
        M[mu] += np.int32(d * rows[i, mu])


@njit(nogil=True)
def _start(M: Any, sigma: Any, rows: Any) -> None:
    """The overlaps of spins (lane, site) from scratch."""
    for lane in range(sigma.shape[0]):
        for i in range(sigma.shape[1]):
            _add(rows, i, M[lane], np.int32(sigma[lane, i]))


@njit(nogil=True)
def sweep_once(sigma: Any, M: Any, rows: Any, diagonal: Any, site: Any, threshold: Any) -> int:
    """The twin of ``reference.sweep_once`` for P = 2: flip iff the integer D is at most the integer threshold."""
    flips = 0
    for t in range(site.size):
        i = site[t]
        s = np.int64(sigma[i])
        if s * _field(rows, i, M) - diagonal[i] <= threshold[t & 3, t >> 2]:
            sigma[i] = -s
            _add(rows, i, M, np.int32(-2 * s))
            flips += 1
    return flips


@njit(nogil=True)
def advance(
    sigma: Any,  # int8 (lane, site), changed in place
    M: Any,  # int32 (lane, mu), changed in place
    accepted: Any,  # int64 (lane,), added to
    tables: Any,  # rows, self term
    rule: Any,  # acceptance, order, two key words
    address: Any,  # lanes, sample
    scales: Any,  # float32 (1 or last - first, lane)
    first: int,
    last: int,
) -> None:
    """Advance every lane from sweep ``first`` to ``last``."""
    rows, diagonal = tables
    lanes, sample = address
    N = sigma.shape[1]
    u = np.empty((4, (N + 3) // 4), np.uint32)
    threshold, site = np.empty(u.shape, np.int64), np.arange(N)
    for sweep in range(first, last):
        draw_sites(site, u, rule, sweep, sample)
        row = min(sweep - first, scales.shape[0] - 1)
        for lane in range(lanes.size):
            draw_thresholds(threshold, u, rule, sweep, lanes[lane], sample, scales[row, lane])
            accepted[lane] += sweep_once(sigma[lane], M[lane], rows, diagonal, site, threshold)


class Plain:
    """Chains of one sample one after the other: pairwise energies of any weights, sites in any order.

    For the few chains of a drawn order, or of weights, where none of the faster kernels goes.
    """

    name = "plain"
    tables = PlainTables.of
    fits = PlainTables.fits

    def __init__(
        self, tables: PlainTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        self._of, self._rule, self._address = tables, (rule.acceptance, rule.order, *rule.key), (lanes, sample)
        self._tables = tables.rows, tables.energy.self_term[sample]
        self._sigma = np.ascontiguousarray(spins[0])
        self._M = aligned((lanes.size, -(-tables.energy.K // _LANES) * _LANES), np.int32)
        _start(self._M, self._sigma, tables.rows)
        self.accepted = np.zeros((1, lanes.size), np.int64)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``."""
        state = self._sigma, self._M, self.accepted[0]
        advance(*state, self._tables, self._rule, self._address, scales[:, 0], first, last)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._sigma[None]

    def overlaps(self) -> NDArray[np.integer]:
        """The overlaps now, (1, lane, mu)."""
        return self._M[None, :, : self._of.energy.K]

    def total(self) -> NDArray[np.int64]:
        """The sum of their squares now, (1, lane)."""
        return self._of.energy.total(self.overlaps(), self._of.sample)
