"""Chains on a CUDA device: the kernels of ``mc/cuda``, launched by CuPy, with the trajectories of the CPU's."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..core.backend import cupy
from ..core.errors import BackendUnavailable, require
from .energy import OverlapEnergy
from .gpu_plans import (
    ORDERS,
    Plan,
    couplings,
    dense_plan,
    dense_state,
    dense_tables,
    fall,
    pairwise_overlaps,
    pairwise_plan,
    pairwise_state,
    pairwise_tables,
    source,
)
from .kernel import DOWNHILL, Kernel, Rule
from .plan import Unit
from .start import Energy

_ORDER_BYTES = 2**26  # of the sites drawn ahead, at least one sweep of them
_FILLS_PAIRWISE = 2**13  # chains from which a device is estimated to beat a processor: one per thread
_FILLS_DENSE = 2**20  # chains times patterns, likewise: one per 32 threads


class Device(Protocol):
    """Where kernels run."""

    shared: int  # bytes of shared memory a block may ask for

    def free(self) -> int:
        """Bytes of memory left."""

    def put(self, array: NDArray[Any]) -> Any:
        """A copy there of a contiguous array."""

    def get(self, array: Any) -> NDArray[Any]:
        """A copy here, when all kernels have ended."""

    def launch(self, plan: Plan, blocks: int, arguments: Sequence[Any]) -> None:
        """Start a kernel on arrays that are there and on NumPy scalars of exactly the kernel's types."""


class CupyDevice:
    """The current device of CuPy."""

    def __init__(self) -> None:
        self._cupy = cupy()
        self.shared = int(self._cupy.cuda.Device().attributes["MaxSharedMemoryPerBlockOptin"])

    def free(self) -> int:
        """Bytes of memory left, CuPy's own reserve included."""
        reserve = self._cupy.get_default_memory_pool().free_bytes()
        return int(self._cupy.cuda.runtime.memGetInfo()[0] + reserve)

    def put(self, array: NDArray[Any]) -> Any:
        """A copy there."""
        return self._cupy.asarray(array)

    def get(self, array: Any) -> NDArray[Any]:
        """A copy here."""
        host: NDArray[Any] = array.get()
        return host

    def launch(self, plan: Plan, blocks: int, arguments: Sequence[Any]) -> None:
        """Start a kernel."""
        compiled(plan)((blocks,), (plan.threads,), tuple(arguments), shared_mem=plan.shared)


@lru_cache
def compiled(plan: Plan) -> Any:
    """The kernel of a plan for the current device, a ``cupy.RawKernel``."""
    kernel = cupy().RawModule(code=source(plan.file), options=plan.options).get_function(plan.name)
    kernel.max_dynamic_shared_size_bytes = plan.shared
    return kernel


class _OnDevice(ABC):
    """Chains of many samples that ``plan`` advances by ``blocks`` blocks a sample, their arrays on the device."""

    def __init__(
        self,
        energy: OverlapEnergy,
        samples: Sequence[int],
        spins: NDArray[np.int8],
        rule: Rule,
        lanes: NDArray[np.uint64],
        device: Device,
        plan: Plan,
        blocks: int,
        tables: list[NDArray[Any]],
    ) -> None:
        self.plan, self._device, self._rule = plan, device, rule
        self._energy, self._shape, self._blocks = energy, spins.shape[:2], len(samples) * blocks
        M = [energy.overlaps(s, z) for s, z in zip(spins, samples, strict=True)]
        self._total = np.stack([energy.total(m, z) for m, z in zip(M, samples, strict=True)])
        packed = [self._pack(m, s) for m, s in zip(M, spins, strict=True)]
        self.accepted, gained = np.zeros(self._shape, np.int64), np.zeros(self._shape, np.int64)
        addresses = [lanes.astype(np.uint32), np.array(samples, np.uint32)]
        state = [*(np.stack(part) for part in zip(*packed, strict=True)), gained, self.accepted]
        self._ahead = max(1, _ORDER_BYTES // (4 * len(samples) * energy.N))
        order = np.empty((self._ahead, len(samples), energy.N) if rule.order else 0, np.int32)
        arrays = [*tables, order, *addresses, *state]
        needed, free = sum(array.nbytes for array in arrays), device.free()
        require(needed <= free, "bytes of patterns and chains on the device", needed, f"<= {free}, its free memory")
        put = [device.put(np.ascontiguousarray(array)) for array in arrays]
        first = len(tables)
        self._tables, self._order = put[:first], put[first] if rule.order else np.uint64(0)
        self._addresses, self._state = put[first + 1 : first + 3], put[first + 3 :]

    @abstractmethod
    def _pack(self, M: NDArray[np.int64], spins: NDArray[np.int8]) -> list[NDArray[Any]]:
        """What the kernel keeps of one sample: overlaps, ... and spins."""

    def sweep(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        """Advance every lane from sweep ``first`` to ``last``; ``scales`` is (1 or last - first, sample, lane)."""
        if self._rule.acceptance == DOWNHILL:
            scales = np.ones((1, *self._shape), np.float32)
        if scales.shape not in ((1, *self._shape), (last - first, *self._shape)):
            raise ValueError(f"scales must have shape {(last - first, *self._shape)}, got {scales.shape}")
        step = self._ahead if self._rule.order else max(1, last - first)
        for start in range(first, last, step):
            end = min(start + step, last)
            self._advance(scales if len(scales) == 1 else scales[start - first : end - first], start, end)
        self.accepted = self._device.get(self._state[-1])

    def _advance(self, scales: NDArray[np.float32], first: int, last: int) -> None:
        samples, lanes = self._shape
        N, K = self._energy.N, self._energy.K
        u32, i32 = np.uint32, np.int32
        span = [u32(first), u32(last - first), *(u32(word) for word in self._rule.key)]
        if self._rule.order:
            given = [i32(samples), i32(N), i32(self._rule.order == 2), *span]
            blocks = -(-samples * (last - first) // ORDERS.threads)
            self._device.launch(ORDERS, blocks, [self._order, self._addresses[1], *given])
        numbers = [i32(n) for n in (samples, N, K, lanes, len(scales), self._rule.acceptance)]
        there = self._device.put(np.ascontiguousarray(scales, np.float32))
        arrays = [*self._tables, self._order, *self._addresses, there, *self._state]
        self._device.launch(self.plan, self._blocks, [*arrays, *numbers, *span])

    def total(self) -> NDArray[np.int64]:
        """The integer G now, (sample, lane): what it was, and what the flips have cost since."""
        total: NDArray[np.int64] = self._total + self._device.get(self._state[-2])
        return total


class DevicePairwise(_OnDevice):
    """Pairwise energies of patterns -1, 0, 1: a lane is a thread.

    Parameters
    ----------
    energy : OverlapEnergy with P = 2
    samples : indices of its samples
    spins : int8 (sample, lane, site)
    rule : Rule with an order of 0, 1 or 2
    lanes : uint64 (lane,), their addresses
    device : Device, or None for CuPy's

    Raises
    ------
    ValueError where the patterns or the chains exceed the device; BackendUnavailable where there is none.
    """

    name = "hop2"

    def __init__(
        self,
        energy: OverlapEnergy,
        samples: Sequence[int],
        spins: NDArray[np.int8],
        rule: Rule,
        lanes: NDArray[np.uint64],
        device: Device | None = None,
    ) -> None:
        device = device or CupyDevice()
        self._gain = 2 if energy.signs else 1
        plan = pairwise_plan(energy.K, lanes.size, self._gain, rule.order == 0, device.shared)
        xi = energy.xi[list(samples)]
        blocked = plan.name == "hop2_smem" and rule.order == 0
        tables = [*pairwise_tables(xi, self._gain, plan.room), couplings(xi) if blocked else np.zeros(1, np.int32)]
        super().__init__(energy, samples, spins, rule, lanes, device, plan, -(-lanes.size // plan.threads), tables)

    def _pack(self, M: NDArray[np.int64], spins: NDArray[np.int8]) -> list[NDArray[Any]]:
        return pairwise_state(M, spins, self._gain, self.plan.room)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (sample, lane, site)."""
        return np.ascontiguousarray(self._device.get(self._state[2]).transpose(0, 2, 1))

    def overlaps(self) -> NDArray[np.int32]:
        """The integer overlaps now, (sample, lane, mu)."""
        pairs, sums = (self._device.get(part) for part in self._state[:2])
        return pairwise_overlaps(pairs, sums, self._gain, self._energy.K)


class DeviceDense(_OnDevice):
    """Dense energies of patterns -1, 1: a chain is a block; arguments as for ``DevicePairwise``."""

    name = "dense, device"

    def __init__(
        self,
        energy: OverlapEnergy,
        samples: Sequence[int],
        spins: NDArray[np.int8],
        rule: Rule,
        lanes: NDArray[np.uint64],
        device: Device | None = None,
    ) -> None:
        device = device or CupyDevice()
        per_cost = fall(energy.P, energy.diagonal)
        plan = dense_plan(energy.K, energy.N, *energy.flip_polynomials(), per_cost, device.shared)
        tables = dense_tables(energy.xi[list(samples)], plan.room)
        super().__init__(energy, samples, spins, rule, lanes, device, plan, lanes.size, tables)

    def _pack(self, M: NDArray[np.int64], spins: NDArray[np.int8]) -> list[NDArray[Any]]:
        return dense_state(M, spins, self.plan.room)

    def spins(self) -> NDArray[np.int8]:
        """The spins now, (sample, lane, site)."""
        return self._device.get(self._state[1])

    def overlaps(self) -> NDArray[np.int16]:
        """The integer overlaps now, (sample, lane, mu)."""
        return self._device.get(self._state[0])[..., : self._energy.K]


def kernel_for(energy: Energy, rule: Rule) -> Any:
    """The class of kernel on a device.

    Raises
    ------
    ValueError where it has none: for couplings, tables, weights, blanks at P > 2, parallel updates, and overlaps
    beyond 16 bits.

    >>> energy = OverlapEnergy.hebbian(np.ones((1, 10), int))
    >>> kernel_for(energy, Rule(0, 0, (0, 0))).__name__
    'DevicePairwise'
    """
    if rule.order == 3:
        raise ValueError("backend must be 'cpu' for parallel updates")
    refusal = ValueError("backend must be 'cpu' for this energy: a device takes patterns -1, 1 and, at P = 2, 0")
    if not isinstance(energy, OverlapEnergy) or energy.F is not None or energy.largest_weight > 1:
        raise refusal
    if not (energy.pairwise or energy.signs):
        raise refusal
    most = 2**15 - 1 if energy.signs else 2**14 - 1
    require(most >= energy.N, "N", energy.N, f"<= {most} on a device: overlaps are kept in 16 bits")
    return DevicePairwise if energy.pairwise else DeviceDense


def worth_it(energy: Energy, rule: Rule, lanes: int) -> bool:
    """Whether a device is there and ``lanes`` chains per sample are enough to fill it."""
    try:
        kernel = kernel_for(energy, rule)
        chains = energy.samples * lanes
        fills = chains >= _FILLS_PAIRWISE if kernel is DevicePairwise else chains * energy.K >= _FILLS_DENSE
        return fills and bool(cupy())
    except (ValueError, BackendUnavailable):
        return False


class Route:
    """The kernels of one run on a device: all its chains in one unit."""

    samples_together = True

    def __init__(self, energy: Energy, rule: Rule, lanes: int) -> None:
        self._device = CupyDevice()
        self._kernel, self._energy, self._rule, self.width = kernel_for(energy, rule), energy, rule, lanes
        self.name: str = self._kernel.name

    def kernels(self, unit: Unit, spins: NDArray[np.int8]) -> list[tuple[slice, Kernel]]:
        """The kernel of a unit, with all its lanes."""
        kernel = self._kernel(self._energy, unit.samples.tolist(), spins, self._rule, unit.lanes, self._device)
        return [(slice(None), kernel)]
