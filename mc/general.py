r"""The kernel for every energy of overlaps that no faster one takes: one chain at a time, int64, plain loops.

With :math:`v_i = w_i \sigma_i` and the power sums :math:`p_k = \sum_i v_i^k` of a pattern, a flip costs

    D = sum_j sigma_i^j sum_mu (w_i^mu)^j V_j^mu,

where V_j is kept up to date: it changes with flips alone (``mc.forms`` has the formulas and the units).
"""

from dataclasses import dataclass
from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from ..core.jit import njit
from . import forms
from .integers import IntegerOverlaps
from .kernel import Rule
from .steps import draw_sites, draw_thresholds


@dataclass(frozen=True, eq=False)
class FlipForm:
    r"""What a flip costs, as arrays: the V_j by a recurrence in the power sums, or from a table.

    .. math:: E_0 = 1, \quad E_k = \sum_{i=1}^{k} r_{ki}\, E_{k-i}\, p_i, \qquad V_j = c_j\, E_{P-j}

    For powers with the diagonal and pairs :math:`E_k = p_1^k`. Without the diagonal :math:`E_k = k!\, e_k`, Newton's
    identities without a division: :math:`r_{ki} = (-1)^{i-1} (k-1)!/(k-i)!`. Of a table V_1 and V_2 are functions of
    p_1. Where weights are -1, 0, 1 their odd powers agree and their even ones, so all odd j share one row of V, and
    all even ones.

    Attributes
    ----------
    w : integer (site, mu), the weights
    r : int64 (P, P), zero where i > k
    c : int64 (P,), c_1 to c_P; no entry for a table
    even : int64 (P // 2, mu), p_2, p_4, ..., which no flip changes
    table : int64 (2, 2 N + 1), V_1 and V_2 at p_1 = -N to N; (2, 0) for a power
    rows : int, how many rows V has
    odd : int, how many odd power sums: p_1, p_3, ...
    """

    energy: IntegerOverlaps
    sample: int
    w: NDArray[np.integer]
    r: NDArray[np.int64]
    c: NDArray[np.int64]
    even: NDArray[np.int64]
    table: NDArray[np.int64]
    rows: int
    odd: int


def _bound(energy: IntegerOverlaps, r: NDArray[np.object_], c: NDArray[np.object_], table: NDArray[np.int64]) -> int:
    """A bound of every number that the kernel forms, in integers without limit."""
    N, K, W, P = energy.N, energy.K, max(1, energy.largest_weight), c.size
    if P == 0:
        return 2 * K * int(np.max(np.abs(table)))
    E = [1]
    for k in range(1, P):
        E.append(sum(abs(r[k, i]) * E[k - i] * N * W**i for i in range(1, k + 1)))
    return max(N * W**P, *E, K * sum(abs(c[j - 1]) * E[P - j] * W**j for j in range(1, P + 1)))


def flip_form(energy: IntegerOverlaps, sample: int) -> FlipForm:
    """The form of one sample.

    Raises
    ------
    ValueError where a sum could reach 2^62.
    """
    P, W = energy.P, energy.largest_weight
    w = np.ascontiguousarray(energy.xi[sample].T)
    r, c, table = np.zeros((P, P), object), np.zeros(P, object), np.zeros((2, 0), np.int64)
    if energy.F is not None:
        c, table = c[:0], np.stack(forms.table_vectors(np.arange(-energy.N, energy.N + 1), energy.F))
    elif energy.excluded and P > 2:
        c[:] = [(-1) ** (j - 1) * (factorial(P - 1) // factorial(P - j)) for j in range(1, P + 1)]
        for k in range(1, P):
            r[k, 1 : k + 1] = [(-1) ** (i - 1) * (factorial(k - 1) // factorial(k - i)) for i in range(1, k + 1)]
    else:
        one: Any = 1  # an integer without limit
        c[:] = forms.included_vectors(one, P)
        r[1:, 1] = 1
    bound = _bound(energy, r, c, table)
    require(bound < 2**62, "the largest possible cost of a flip", f"{float(bound):.3g}", "< 2^62: take fewer patterns")
    even = np.stack([np.sum(w.astype(np.int64) ** k, axis=0) for k in range(2, P + 1, 2)])
    rows = 2 if W <= 1 else P
    return FlipForm(energy, sample, w, r.astype(np.int64), c.astype(np.int64), even, table, rows, energy.odd_powers)


@njit(nogil=True)
def _add(out: Any, c: Any, x: Any) -> None:
    """``out += c x``."""
    for mu in range(out.size):
        out[mu] += c * x[mu]


@njit(nogil=True)
def _add_product(out: Any, c: Any, x: Any, y: Any) -> None:
    """``out += c x y``."""
    for mu in range(out.size):
        out[mu] += c * x[mu] * y[mu]


@njit(nogil=True)
def refresh(V: Any, E: Any, p: Any, form: Any) -> None:
    """V of the odd power sums ``p``; E is work space, its first row ones."""
    _, r, c, even, table = form
    if c.size == 0:
        for mu in range(p.shape[1]):
            at = p[0, mu] + table.shape[1] // 2
            V[0, mu], V[1, mu] = table[0, at], table[1, at]
        return
    V[:] = 0
    for k in range(c.size):
        if k > 0:
            E[k] = 0
        for i in range(1, k + 1):
            if r[k, i] != 0:
                _add_product(E[k], r[k, i], E[k - i], p[min(i // 2, p.shape[0] - 1)] if i & 1 else even[i // 2 - 1])
        j = c.size - k
        _add(V[(j - 1) % V.shape[0]], c[j - 1], E[k])


@njit(nogil=True)
def cost(V: Any, w: Any, s: Any, power: Any) -> Any:
    """D of a flip of the site with weights ``w``, whose spin is s; ``power`` is work space."""
    if V.shape[0] == 2:
        odd, even = 0, 0
        for mu in range(w.size):
            x = np.int64(w[mu])
            odd += x * V[0, mu]
            even += x * x * V[1, mu]
        return s * odd + even
    D, sign = 0, s
    power[:] = 1
    for j in range(V.shape[0]):
        part = 0
        for mu in range(w.size):
            power[mu] *= np.int64(w[mu])
            part += power[mu] * V[j, mu]
        D += sign * part
        sign *= s
    return D


@njit(nogil=True)
def change(p: Any, w: Any, d: Any, power: Any) -> None:
    """``p_k += d w^k`` for odd k; ``power`` is work space."""
    for mu in range(w.size):
        power[mu] = np.int64(w[mu])
    for k in range(p.shape[0]):
        for mu in range(w.size):
            p[k, mu] += d * power[mu]
            power[mu] *= np.int64(w[mu]) * np.int64(w[mu])


@njit(nogil=True)
def steps(sigma: Any, p: Any, form: Any, V: Any, E: Any, power: Any, site: Any, threshold: Any) -> Any:
    """The steps of one sweep of one chain; gives the number of flips."""
    w, flips = form[0], 0
    refresh(V, E, p, form)
    for t in range(site.size):
        i = site[t]
        s = np.int64(sigma[i])
        if np.float64(cost(V, w[i], s, power)) <= np.float64(threshold[t & 3, t >> 2]):
            sigma[i] = -s
            change(p, w[i], -2 * s, power)
            refresh(V, E, p, form)
            flips += 1
    return flips


@njit(nogil=True, error_model="numpy")
def advance(
    sigma: Any,  # int8 (lane, site), changed in place
    p: Any,  # int64 (lane, odd power, mu), changed in place
    accepted: Any,  # int64 (lane,), added to
    form: Any,  # (w, r, c, even, table)
    rows: Any,  # of V
    scales: Any,  # float32 (1 or sweep, lane)
    lanes: Any,  # uint64 (lane,)
    rule: Any,  # acceptance, order, two key words
    span: Any,  # sample, first sweep, last sweep (excluded)
) -> None:
    """Advance every lane from the first sweep to the last."""
    sample, first, last = span
    N, K = form[0].shape
    u = np.empty((4, (N + 3) // 4), np.uint32)
    threshold, site = np.empty(u.shape, np.int64), np.arange(N)
    V, power = np.empty((rows, K), np.int64), np.empty(K, np.int64)
    E = np.ones((max(form[2].size, 1), K), np.int64)
    for sweep in range(first, last):
        draw_sites(site, u, rule, sweep, sample)
        row = min(sweep - first, scales.shape[0] - 1)
        for lane in range(lanes.size):
            draw_thresholds(threshold, u, rule, sweep, lanes[lane], sample, scales[row, lane])
            accepted[lane] += steps(sigma[lane], p[lane], form, V, E, power, site, threshold)


class General:
    """Chains of one sample of any energy of overlaps, one after the other.

    Parameters
    ----------
    tables : what ``General.tables`` gives for this sample
    spins : int8 (1, lane, site)
    rule : Rule
    lanes : uint64 (lane,), counter words of the chains
    sample : int, counter word of the sample
    """

    name = "general"

    def __init__(
        self, tables: FlipForm, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        form, energy = tables, tables.energy
        self._sigma = spins[0].copy()
        self._p = energy.sums(self._sigma, form.sample).reshape(lanes.size, form.odd, energy.K)
        self.accepted = np.zeros((1, lanes.size), np.int64)
        self._shared, self._lanes, self._sample = tables, lanes, sample
        self._form = form.w, form.r, form.c, form.even, form.table
        self._rule = rule.acceptance, rule.order, *rule.key

    @classmethod
    def tables(cls, energy: IntegerOverlaps, sample: int) -> FlipForm:
        """What all kernels of one sample share."""
        return flip_form(energy, sample)

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``; ``scales`` is (1 or last - first, 1, lane)."""
        state, span = (self._sigma, self._p, self.accepted[0]), (self._sample, first, last)
        advance(*state, self._form, self._shared.rows, scales[:, 0], self._lanes, self._rule, span)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._sigma[None].copy()

    def overlaps(self) -> NDArray[np.int64]:
        """The integer overlaps now, (1, lane, mu)."""
        return self._p[None, :, 0].copy()

    def total(self) -> NDArray[np.int64]:
        """The integer G, the sum over the patterns of M^P, e_P or F(M), now, (1, lane)."""
        p = self._p if self._shared.odd > 1 else self._p[:, 0]
        return self._shared.energy.total(p, self._shared.sample)[None]
