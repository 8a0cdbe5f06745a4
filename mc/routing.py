"""Which kernel takes which chains: by the energy, the order of the sites and how many chains go side by side."""

import threading
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .blocked import Blocked
from .coupling import CouplingEnergy
from .cpu import Plain
from .dense import Dense
from .energy import OverlapEnergy
from .general import General
from .kernel import Kernel, Rule
from .lists import Lists
from .little import Little
from .plan import Unit
from .single import Single
from .speculative import SpeculativeJ
from .start import Energy

_SIDE_BY_SIDE = 32  # chains of one vector
_WORTH_IT = 8  # chains from which a vector of them beats one after the other
_LARGEST = 2147483520  # the largest float32 below 2^31, hence the largest threshold of 32 bits
_VECTORS = 8  # vectors of chains in one unit, that share the cost of a swap round
_WORK = 2**22  # patterns times sites times chains in one sweep of one unit: a millisecond


def kernel_for(energy: Energy, rule: Rule, lanes: int) -> Any:
    """The class of kernel for ``lanes`` chains of one sample.

    >>> from mattis import OverlapEnergy
    >>> energy = OverlapEnergy.hebbian(np.ones((1, 10), int))
    >>> kernel_for(energy, Rule(0, 0, (0, 0)), 32).name
    'blocked'
    """
    if rule.order == 3:
        return Little
    if isinstance(energy, CouplingEnergy):
        return SpeculativeJ
    if not energy.pairwise:
        return Dense if energy.signs and _fits(Dense, energy) else General
    if lanes < _WORTH_IT:
        alone = energy.signs and rule.order == 0 and energy.largest_cost <= _LARGEST
        return Single if alone else Plain if _fits(Plain, energy) else General
    if energy.signs and rule.order == 0 and _fits(Blocked, energy):
        return Blocked
    return Lists if _fits(Lists, energy) else General


def _fits(kernel: Any, energy: OverlapEnergy) -> bool:
    return all(kernel.fits(energy, sample) for sample in range(energy.samples))


class Route:
    """The kernels of one run on this machine's processors."""

    samples_together = False

    def __init__(self, energy: Energy, rule: Rule, lanes: int, threads: int) -> None:
        self._kernel, self._rule = kernel_for(energy, rule, lanes), rule
        self.name: str = self._kernel.name
        self._vector = self._kernel in (Blocked, Lists)
        many = _WORK // (energy.N * max(energy.K, 1))
        share = -(-lanes * energy.samples // (4 * threads))
        vectors = max(1, min(_VECTORS, share // _SIDE_BY_SIDE))
        self.width = _SIDE_BY_SIDE * vectors if self._vector else max(1, min(many, share))
        if self._kernel is Little:
            self.width = max(_SIDE_BY_SIDE, share)  # a matrix product is the faster the more chains it has
        self._lock = threading.Lock()
        self._tables = lru_cache(2 * threads)(lambda sample: self._kernel.tables(energy, sample))

    def kernels(self, unit: Unit, spins: NDArray[np.int8]) -> list[tuple[slice, Kernel]]:
        """The kernels of a unit of one sample, each with the lanes it holds."""
        sample = int(unit.samples[0])
        with self._lock:
            tables = self._tables(sample)
        size = unit.t.size
        step = _SIDE_BY_SIDE if self._vector else size
        parts = [slice(first, min(first + step, size)) for first in range(0, size, step)]
        return [(p, self._kernel(tables, spins[:, p], self._rule, unit.lanes[p], sample)) for p in parts]
