"""Chains with few accepted flips: cached integer fields, 128 sites tested at once, a new test after each flip.

A first test bounds -ln u from above by its binary exponent and mantissa, a few operations a site; only where D is at
most that bound is the threshold itself computed. A flip of site i changes every field by a row of couplings.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numba import types
from numpy.typing import NDArray

from ..core.jit import njit
from ..core.philox import fill_words
from .kernel import DOWNHILL, HEAT_BATH, Rule
from .rows import GROUP, Rows, add_row, fill_fields, fill_overlaps, place, to_sites, to_state
from .simd import aligned, convert, lowest_bit, make
from .steps import draw_sites
from .thresholds import QC, logit_jit, neglog_jit
from .vectors import L, le_bits, load, splat, wide

_F, _U = make(types.float32, 32), make(types.uint32, 32)
_real, _real_of_word = convert(L, _F, "sitofp"), convert(_U, _F, "uitofp")
_bits = convert(_F, L, "bitcast")
_load_word, _splat_word, _splat_real, _le_real = _U.load, _U.splat, _F.splat, _F.le_bits


@njit(forceinline=True, error_model="numpy")
def _accepts(D: Any, u: Any, scale: Any, acceptance: Any) -> Any:
    if acceptance == DOWNHILL:
        return D < 0
    x = logit_jit(u, QC) if acceptance == HEAT_BATH else neglog_jit(u, QC)
    return np.float64(D) <= np.float64(np.float32(x * scale))


@njit(forceinline=True)
def _test(s: Any, h: Any, at: Any, own: Any, u: Any, step: Any, scale: Any, acceptance: Any) -> Any:
    """Sites of one vector that may flip, as bits: those with D <= (2e-3 - log2 x) ln 2 scale, x of ``neglog``.

    As log2(1 + m) >= m, exponent + mantissa is at most log2 x; 2e-3 is far above all rounding. -ln x bounds the
    logit too.
    """
    D = load(s, at) * load(h, at) - splat(h, own)
    if acceptance == DOWNHILL:
        return le_bits(D, splat(h, -1))
    slope = scale * np.float32(0.6931472 * 2.0**-23)
    x = _real_of_word(_load_word(u, step) >> _splat_word(8)) + _splat_real(np.float32(0.5))
    bound = _splat_real(slope * np.float32((127 + 24 + 2e-3) * 2.0**23)) - _real(_bits(x)) * _splat_real(slope)
    return _le_real(_real(wide(D)), bound)


@njit(forceinline=True)
def _next(s: Any, h: Any, start: Any, own: Any, u: Any, t: Any, scale: Any, acceptance: Any) -> Any:
    """The first step >= t of a group whose site may flip, or 128."""
    steps, step = s.size // 4, start // 4
    live = np.uint64(0xFFFFFFFF)
    b0 = _test(s, h, start, own, u, step, scale, acceptance) & (live << np.uint64((t + 3) >> 2))
    b1 = _test(s, h, start + 32, own, u, steps + step, scale, acceptance) & (live << np.uint64((t + 2) >> 2))
    b2 = _test(s, h, start + 64, own, u, 2 * steps + step, scale, acceptance) & (live << np.uint64((t + 1) >> 2))
    b3 = _test(s, h, start + 96, own, u, 3 * steps + step, scale, acceptance) & (live << np.uint64(t >> 2))
    some = b0 | b1 | b2 | b3
    if some == 0:
        return GROUP
    c = lowest_bit(some)
    bit = np.uint64(1) << np.uint64(c)
    return 4 * c + (0 if b0 & bit else 1 if b1 & bit else 2 if b2 & bit else 3)


@njit(nogil=True, error_model="numpy")
def _sequential(s: Any, h: Any, rows: Any, own: Any, N: Any, u: Any, scale: Any, acceptance: Any) -> Any:
    flips = 0
    for start in range(0, N, GROUP):
        t = _next(s, h, start, own, u, 0, scale, acceptance)
        while t < min(GROUP, N - start):
            i = start + t
            at = place(i)
            S = s[at]
            if _accepts(h.dtype.type(S * h[at] - own), u[i & 3, i >> 2], scale, acceptance):
                s[at] = -S
                add_row(h, rows, i, -2 * S, own)
                flips += 1
            t = _next(s, h, start, own, u, t + 1, scale, acceptance)
    return flips


@njit(nogil=True, error_model="numpy")
def _listed(s: Any, h: Any, rows: Any, own: Any, site: Any, u: Any, scale: Any, acceptance: Any) -> Any:
    flips = 0
    for t in range(site.size):
        at = place(site[t])
        S = s[at]
        if _accepts(h.dtype.type(S * h[at] - own), u[t & 3, t >> 2], scale, acceptance):
            s[at] = -S
            add_row(h, rows, site[t], -2 * S, own)
            flips += 1
    return flips


@njit(nogil=True, error_model="numpy")
def _advance(s: Any, h: Any, accepted: Any, tables: Any, rule: Any, address: Any, scales: Any, span: Any) -> None:
    """Sweep one chain after the other from the first sweep of ``span`` to the last."""
    rows, own, N = tables
    acceptance, order, k0, k1 = rule
    lanes, sample = address
    first, last = span
    u, site = np.empty((4, s.shape[1] // 4), np.uint32), np.arange(N)
    for lane in range(lanes.size):
        for sweep in range(first, last):
            draw_sites(site, u, rule, sweep, sample)
            if acceptance != DOWNHILL:
                fill_words(u, k0, k1, 0, sweep, lanes[lane], sample)
            scale = scales[min(sweep - first, scales.shape[0] - 1), lane]
            if order > 0:
                accepted[lane] += _listed(s[lane], h[lane], rows, own, site, u, scale, acceptance)
            else:
                accepted[lane] += _sequential(s[lane], h[lane], rows, own, N, u, scale, acceptance)


class Speculative:
    """Chains of one sample one after the other, patterns of signs at P = 2: fastest below a few flips in a hundred.

    The site order is any; only the sequential one tests many sites at once.
    """

    name = "speculative"
    tables: ClassVar[Callable[..., Rows]] = Rows.of

    def __init__(
        self, tables: Rows, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        self._of, self._tables = tables, (tables.rows, tables.own, tables.N)
        self._rule, self._address = (rule.acceptance, rule.order, *rule.key), (lanes, sample)
        self._s = to_state(spins[0].astype(tables.rows.dtype))
        self._h = aligned(self._s.shape, self._s.dtype)
        self._fill()
        self.accepted = np.zeros((1, lanes.size), np.int64)

    def _fill(self) -> None:
        for h, M in zip(self._h, self.overlaps()[0], strict=True):
            fill_fields(h, self._of.rows, M)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``."""
        state = self._s, self._h, self.accepted[0]
        _advance(*state, self._tables, self._rule, self._address, scales[:, 0], (first, last))

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return to_sites(self._s, self._of.N).astype(np.int8)[None]

    def overlaps(self) -> NDArray[np.int64]:
        """The overlaps now, (1, lane, mu), counted from the bits."""
        M = np.empty((1, self._s.shape[0], self._of.K), np.int64)
        for lane, s in zip(M[0], self._s, strict=True):
            fill_overlaps(lane, s, self._of.rows)
        return M

    def total(self) -> NDArray[np.int64]:
        """G now, (1, lane): sum_mu M_mu^2 = sum_i (D_i + K), or sum_ij J_ij s_i s_j = sum_i D_i."""
        own = self._of.own
        D = self._s * self._h - self._s.dtype.type(own)  # -K where there is no site
        return np.asarray(np.sum(D, axis=1, dtype=np.int64) + own * D.shape[1])[None]


class SpeculativeJ(Speculative):
    """The same for couplings in any number: rows of J in place of those made from bits."""

    name = "speculative, couplings"
    tables: ClassVar[Callable[..., Rows]] = Rows.of_couplings

    def _fill(self) -> None:
        self._h[:] = to_sites(self._s, self._of.N) @ self._of.rows

    def overlaps(self) -> NDArray[np.int64]:
        """No patterns, no overlaps: (1, lane, 0)."""
        return np.empty((1, self._s.shape[0], 0), np.int64)
