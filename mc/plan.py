"""What a run is, and how its chains are dealt out to kernels and threads."""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.philox import key, lane
from .kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from .samplers import ORDERS, Annealing, HeatBath, Metropolis, ParallelTempering, Sampler, ZeroTemperature
from .start import Energy


@dataclass(frozen=True)
class Run:
    """What defines every number of a run but its start."""

    energy: Energy
    sampler: Sampler
    T: NDArray[np.float64]
    burn_in: int
    sweeps: int
    every: int
    seed: int
    observables: tuple[str, ...]

    @property
    def last(self) -> int:
        """Sweeps in all."""
        return self.burn_in + self.sweeps

    @property
    def ladder(self) -> bool:
        """Whether the temperatures of a chain are exchanged after every sweep."""
        return isinstance(self.sampler, ParallelTempering)

    @property
    def dynamics(self) -> HeatBath | Metropolis | ZeroTemperature:
        """The sampler of one sweep."""
        return self.sampler.rule if isinstance(self.sampler, Annealing | ParallelTempering) else self.sampler

    @cached_property
    def rule(self) -> Rule:
        """The same in numbers."""
        acceptance = {HeatBath: HEAT_BATH, Metropolis: METROPOLIS, ZeroTemperature: DOWNHILL}[type(self.dynamics)]
        return Rule(acceptance, (*ORDERS, "parallel").index(self.dynamics.order), key(self.seed))

    def draws(self, sweep: int) -> int:
        """Draws taken in the first ``sweep`` sweeps."""
        return max(0, sweep - self.burn_in) // self.every

    def is_draw(self, sweep: int) -> bool:
        """Whether a draw is taken after ``sweep`` sweeps."""
        return sweep > self.burn_in and (sweep - self.burn_in) % self.every == 0

    def next_draw(self, sweep: int) -> int:
        """The first draw after more than ``sweep`` sweeps, or the end."""
        return min(self.last, self.burn_in + self.every * (self.draws(sweep) + 1))

    def scales(self, first: int, last: int) -> NDArray[np.float32]:
        """The temperatures of the sweeps in units of D, (1 or last - first, T): many rows where they change."""
        if isinstance(self.sampler, Annealing) and first < self.burn_in:
            n = np.arange(first, last)[:, None]
            fraction = np.minimum(n, self.burn_in) / self.burn_in
            T_start = np.float64(self.sampler.T_start)
            return self.energy.scale(np.where(n < self.burn_in, T_start + (self.T - T_start) * fraction, self.T))
        return self._constant_scales

    @cached_property
    def _constant_scales(self) -> NDArray[np.float32]:
        return self.energy.scale(self.T)[None]


@dataclass(frozen=True)
class Unit:
    """Chains that one thread advances together: of some samples, the same (T, chain) of each."""

    samples: NDArray[np.int64]  # (sample,)
    t: NDArray[np.int64]  # (lane,)
    chain: NDArray[np.int64]  # (lane,)

    @property
    def at(self) -> Any:
        """The index of these chains in an array (sample, T, chain, ...): it gives (sample, lane, ...)."""
        return self.samples[:, None], self.t, self.chain

    @property
    def lanes(self) -> NDArray[np.uint64]:
        """The counter word of every lane."""
        return lane(self.t, self.chain)


def deal(run: Run, chains: int, width: int, samples_together: bool) -> list[Unit]:
    """Deal the chains of a run to units of about ``width`` lanes, in order.

    Chains 2c and 2c + 1 stay together, for their overlap; so do all temperatures of a tempered chain, t fastest.
    """
    t, chain = (x.ravel() for x in np.indices((run.T.size, chains)))
    piece = t * chains + chain // 2
    if run.ladder:
        chain, t = (x.ravel() for x in np.indices((chains, run.T.size)))
        piece = chain // 2
    starts = np.append(np.flatnonzero(np.diff(piece, prepend=-1)), t.size)
    parts, first = [], 0
    for start, end in pairwise(starts.tolist()):
        if end - first > width and start > first:
            parts.append(slice(first, start))
            first = start
    parts.append(slice(first, t.size))
    samples = np.arange(run.energy.samples)
    together = [samples] if samples_together else list(samples[:, None])
    return [Unit(some, t[part], chain[part]) for some in together for part in parts]


def at_one_sweep(units: list[Unit], sweep: NDArray[np.int64]) -> list[Unit]:
    """The same units, those apart whose chains a checkpoint holds at different sweeps (sample, T, chain).

    A run that is continued may deal its chains otherwise than before.
    """
    parts = []
    for unit in units:
        reached = sweep[unit.at]
        if np.all(reached == reached[0, 0]):
            parts.append(unit)
            continue
        for row, sample in zip(reached, unit.samples, strict=True):
            alike = [row == value for value in np.unique(row)]
            parts += [Unit(np.array([sample]), unit.t[some], unit.chain[some]) for some in alike]
    return parts
