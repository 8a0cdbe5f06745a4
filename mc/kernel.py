"""What every compiled sweep is given and gives back: one border between the physics and the kernels."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

METROPOLIS, HEAT_BATH, DOWNHILL = 0, 1, 2
"""How a word becomes a threshold: -ln u, the logit, or no word at all and the threshold -1 (T = 0)."""


@dataclass(frozen=True)
class Rule:
    """The dynamics of a run, as numbers a kernel understands.

    Parameters
    ----------
    acceptance : METROPOLIS, HEAT_BATH or DOWNHILL
    order : 0 sequential, 1 permutation, 2 random with replacement, 3 parallel
    key : the two key words of the seed
    """

    acceptance: int
    order: int
    key: tuple[int, int]


class Kernel(Protocol):
    """Chains of one or more samples that a compiled loop advances; built as ``SomeKernel(tables, spins, ...)``.

    Arrays begin with (sample, lane): a CPU kernel holds one sample, a device many.
    """

    name: str
    accepted: NDArray[np.int64]  # (sample, lane), flips since the kernel was made

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``; ``scales`` is (1 or last - first, sample, lane)."""

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (sample, lane, site)."""

    def overlaps(self) -> NDArray[Any]:
        """The integer overlaps sum_i xi_i^mu sigma_i now, (sample, lane, mu)."""

    def total(self) -> NDArray[np.int64]:
        """The integer G now, (sample, lane): the energy is a constant minus c G."""
