"""The chains of one unit in motion: kernels hold their spins, this holds their temperatures and measures them."""

import numpy as np
from numpy.typing import NDArray

from .checkpoint import State
from .plan import Run, Unit
from .routing import Route
from .tempering import swap_round, weights
from .thresholds import QC


class Group:
    """A unit of ``run`` taken up where ``state`` left it.

    Lanes stand in the order of the unit, their homes; place p of a sample is the temperature where lane p began, and
    ``_lane`` says which lane is there now.
    """

    def __init__(self, run: Run, unit: Unit, state: State, route: Route) -> None:
        self.run, self.unit = run, unit
        self.kernels = route.kernels(unit, state.spins[unit.at])
        self._slot, self._accepted = state.slot[unit.at], state.accepted[unit.at]
        self._heading, self._trips = state.heading[unit.at], state.trips[unit.at]
        self._chains = np.unique(unit.chain)
        self._ladders = unit.samples[:, None], self._chains
        self._swaps = state.swaps[self._ladders]
        self._counted = np.zeros(self._slot.shape, np.int64)
        self._rows = np.arange(unit.samples.size)[:, None]
        self._first = np.zeros((run.T.size, self._chains[-1] + 1), np.int64)
        self._first[unit.t, unit.chain] = np.arange(unit.t.size)
        self._lane = np.argsort(self._first[self._slot, unit.chain], axis=1)
        self._pairs = self._find_pairs()
        self._known: dict[str, NDArray[np.integer]] = {}  # what was read of the kernels since they last swept
        if run.ladder:
            self._prepare_swaps()

    def _prepare_swaps(self) -> None:
        """The same arrays as the swap round sees them, by ladder: t is fastest in the unit."""
        shape = (-1, self.run.T.size)
        self._begin = np.tile(np.arange(0, self.unit.t.size, shape[1]), self.unit.samples.size)[:, None]
        sample, chain = np.meshgrid(self.unit.samples, self._chains, indexing="ij")
        self._address = np.stack([chain.ravel(), sample.ravel()], axis=1)
        self._at = self._lane.reshape(shape) % shape[1]
        self._where = self._slot.reshape(shape), self._at
        swaps = self._swaps.reshape(-1, shape[1] - 1)
        self._books = swaps, self._heading.reshape(shape), self._trips.reshape(shape)
        self._weights = weights(self.run.T, self.run.energy.c)

    def sweep(self, first: int, last: int) -> None:
        """Advance all lanes from sweep ``first`` to ``last`` (one sweep in tempering, with its swap round)."""
        scales = self.run.scales(first, last)[:, self._slot]
        self._known = {}
        for part, kernel in self.kernels:
            kernel.sweep(np.ascontiguousarray(scales[:, :, part]), first, last)
        if self.run.ladder:
            self._count()
            G = self._join("total").reshape(-1, self.run.T.size)
            swap_round(self._where, G, self._weights, first, self._address, self.run.rule.key, QC, self._books)
            self._lane = (self._begin + self._at).reshape(self._slot.shape)

    def draw(self, state: State, number: int) -> None:
        """Take draw ``number``: everything goes to the temperature it was found at."""
        at, asked = (number, *self.unit.at), self.run.observables
        if self.run.ladder:
            state.home[at] = self.unit.t[self._lane]
        if "overlap" in asked:
            state.overlap[at] = self._by_place("overlaps")
        if "energy" in asked:
            state.G[at] = self._by_place("total")
        if "q" in asked or "spins" in asked:
            spins = self._by_place("spins")
            if "spins" in asked:
                state.drawn[at] = spins
            if "q" in asked:
                first, second, where = self._pairs
                q = np.einsum("sli,sli->sl", spins[:, first], spins[:, second], dtype=np.int32)
                state.q[(number, self.unit.samples[:, None], *where)] = q

    def commit(self, state: State, sweep: int) -> None:
        """Put the chains and their books into ``state``."""
        self._count()
        at = self.unit.at
        state.spins[at], state.total[at] = self._join("spins"), self._join("total")
        state.overlaps[at] = self._join("overlaps")
        state.slot[at], state.accepted[at] = self._slot, self._accepted
        state.heading[at], state.trips[at] = self._heading, self._trips
        state.swaps[self._ladders] = self._swaps
        state.sweep[at] = sweep

    def _join(self, what: str) -> NDArray[np.integer]:
        if what not in self._known:
            parts = [getattr(kernel, what)() for _, kernel in self.kernels]
            self._known[what] = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        return self._known[what]

    def _by_place(self, what: str) -> NDArray[np.integer]:
        values = self._join(what)
        return values[self._rows, self._lane] if self.run.ladder else values

    def _count(self) -> None:
        """Put the flips since the last count to the temperatures they happened at."""
        counts = [kernel.accepted for _, kernel in self.kernels]
        now = counts[0].copy() if len(counts) == 1 else np.concatenate(counts, axis=1)
        flips = now - self._counted
        self._accepted += flips[self._rows, self._lane]
        self._counted = now

    def _find_pairs(self) -> tuple[NDArray[np.int64], NDArray[np.int64], tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Places of chains 2c, of chains 2c + 1, and the (T, pair) of both."""
        even = np.flatnonzero((self.unit.chain % 2 == 0) & np.isin(self.unit.chain + 1, self._chains))
        t, chain = self.unit.t[even], self.unit.chain[even]
        return even, self._first[t, chain + 1], (t, chain // 2)
