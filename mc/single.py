"""A few chains of one sample, each in the kernel its acceptance calls for: both give the same trajectory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bits4 import Bits4, Bits4Tables
from .integers import IntegerOverlaps
from .kernel import Rule
from .rows import Rows
from .speculative import Speculative

_LONGEST = 64  # sweeps between two looks at the acceptance; 1, 2, 4, ... at first
_RELUCTANCE = 1.2


def many_flips(acceptance: NDArray[np.float64], N: int, K: int) -> NDArray[np.bool_]:
    """Where four sites at once are faster: a step there takes about 6 + K/45 ns whatever happens, in the speculative
    kernel next to nothing but 60 + N (K + 25)/800 ns with each flip.

    >>> many_flips(np.array([0.01, 0.1]), N=1000, K=50)
    array([False,  True])
    """
    return acceptance * (60 + N * (K + 25) / 800) > 6 + K / 45


@dataclass(frozen=True)
class SingleTables:
    """The tables of both kernels, each made when it is first asked for."""

    energy: IntegerOverlaps
    sample: int

    @cached_property
    def speculative(self) -> Rows:
        """For few flips."""
        return Speculative.tables(self.energy, self.sample)

    @cached_property
    def bits4(self) -> Bits4Tables:
        """For many flips."""
        return Bits4.tables(self.energy, self.sample)


class Single:
    """Chains of one sample one after the other, patterns of signs at P = 2, sequential order.

    Each starts in the kernel for few flips; now and then its acceptance is looked at, and it may move.
    """

    name = "single chain"
    tables: Callable[[IntegerOverlaps, int], SingleTables] = SingleTables

    def __init__(
        self, tables: SingleTables, spins: NDArray[np.int8], rule: Rule, lanes: NDArray[np.uint64], sample: int
    ) -> None:
        self._of, self._rule, self._lanes, self._sample = tables, rule, lanes, sample
        self._before = np.zeros((1, lanes.size), np.int64)
        self._looked, self._period, self._left = self._before, 1, 1
        self._many = np.zeros(lanes.size, np.bool_)
        self._place(spins)

    def _place(self, spins: NDArray[np.int8]) -> None:
        """Put every chain into its kernel."""
        self._parts: list[tuple[NDArray[np.int64], Speculative | Bits4]] = []
        for many in (False, True):
            part = np.flatnonzero(self._many == many)
            if part.size:
                given = spins[:, part], self._rule, self._lanes[part], self._sample
                kernel = Bits4(self._of.bits4, *given) if many else Speculative(self._of.speculative, *given)
                self._parts.append((part, kernel))

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``."""
        start = first
        while first < last:
            stop = min(last, first + self._left)
            rows = scales[first - start : stop - start] if scales.shape[0] > 1 else scales
            for part, kernel in self._parts:
                kernel.sweep(np.ascontiguousarray(rows[:, :, part]), first, stop)
            self._left -= stop - first
            first = stop
            if self._left == 0:
                self._look()

    def _look(self) -> None:
        """Move the chains whose acceptance since the last look asks for it."""
        now, N = self.accepted, self._of.energy.N
        rate = (now - self._looked)[0] / (N * self._period)
        rate *= np.where(self._many, _RELUCTANCE, 1 / _RELUCTANCE)
        many = many_flips(rate, N, self._of.energy.K)
        if np.any(many != self._many):
            self._many, spins = many, self.spins()
            self._before = now
            self._place(spins)
        self._looked = now
        self._period = self._left = min(2 * self._period, _LONGEST)

    def _join(self, what: Callable[[Any], NDArray[Any]]) -> NDArray[Any]:
        order = np.argsort(np.concatenate([part for part, _ in self._parts]))
        return np.concatenate([what(kernel) for _, kernel in self._parts], axis=1)[:, order]

    @property
    def accepted(self) -> NDArray[np.int64]:
        """Flips since the kernel was made, (1, lane)."""
        return self._before + self._join(lambda kernel: kernel.accepted)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (1, lane, site)."""
        return self._join(lambda kernel: kernel.spins())

    def overlaps(self) -> NDArray[np.int64]:
        """The overlaps now, (1, lane, mu)."""
        return self._join(lambda kernel: kernel.overlaps())

    def total(self) -> NDArray[np.int64]:
        """sum_mu M_mu^2 now, (1, lane)."""
        return self._join(lambda kernel: kernel.total())
