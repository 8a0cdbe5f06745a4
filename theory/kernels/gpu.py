r"""Kernels of fully connected networks on a CUDA device: one kernel does all layers of a tile of pairs.

The activations are those of the table ``expressions``, another in each layer if one likes; variances come from

    q_{l+1} = sigma_w^2 V(q_l, q_l, q_l) + sigma_b^2,      t_{l+1} = q_{l+1} + sigma_w^2 V'(q_l, q_l, q_l) t_l

on the host, in O(n L), and are the exact diagonal of a symmetric kernel.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from ...core.backend import Array, cupy, namespace_of, to_host
from .activation import Closed
from .affine import Dense
from .connected import Tile
from .expressions import averages
from .gpu_source import EDGE, LAW, NAME, THREADS, source
from .network import Network
from .plan import flat
from .positions import Flatten

OPTIONS = ("--std=c++17",)
SMALLEST = 1e-290
"""Of the variances met that are not zero: smaller ones lose digits."""
Launch = Callable[[str, int, Sequence[Any]], None]
"""(source, blocks of ``THREADS`` threads, arguments): starts the kernel"""


@dataclass(frozen=True)
class ClosedChain:
    """Dense, activation, Dense, ..., activation, Dense of closed forms."""

    maps: tuple[Dense, ...]
    units: tuple[Closed, ...]
    names: tuple[str, ...]
    """of all layers in turn, for errors"""

    def entries(self) -> tuple[str, ...]:
        """The entries of the table that occur, sorted."""
        return tuple(sorted({unit.entry for unit in self.units}))

    @np.errstate(over="ignore")  # told by diagonals
    def laws(self, d: int) -> Array:
        """(L + 1, LAW): what the device reads of each layer; the first map is of inputs in ``d`` dimensions."""
        laws, entries = np.zeros((len(self.maps), LAW)), self.entries()
        laws[:, 1:3] = np.array([(x.sigma_w, x.sigma_b) for x in self.maps]) ** 2
        laws[0, 1] /= d
        for law, unit in zip(laws[1:], self.units, strict=True):
            law[0], law[3 : 3 + len(unit.parameters())] = entries.index(unit.entry), unit.parameters()
        return laws

    def diagonals(self, square: Array, laws: Array, ntk: bool) -> tuple[Array, Array]:
        """Variances (L + 1, n) of inputs with |x|^2 = ``square`` (n,), and the diagonal (n,) of the NTK."""
        q = np.empty((len(laws), square.size))
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            q[0] = t = laws[0, 1] * square + laws[0, 2]
            for layer, (law, unit) in enumerate(zip(laws[1:], self.units, strict=True)):
                V, slope = averages(unit.entry, q[layer], q[layer], q[layer], unit.parameters(), np)
                q[layer + 1] = law[1] * V + law[2]
                t = q[layer + 1] + law[1] * slope * t
        lost = ~np.isfinite(q)
        lost[:-1] |= (q[:-1] > 0) & (q[:-1] < SMALLEST)
        lost[-1] |= ntk and ~np.isfinite(t)
        if lost.any():
            name = self.names[2 * int(lost.any(1).argmax())]
            raise OverflowError(f"{name} gives variances outside [{SMALLEST}, 1e308]: change sigma_w before it")
        return q, t


def closed_chain(net: Network, images: bool) -> ClosedChain | None:
    """The layers of such a chain, after Flatten where the inputs are images; None of any other network."""
    found = list(flat(net))
    flattened = not images
    while found and isinstance(found[0][1], Flatten):
        found.pop(0)
        flattened = True
    maps = tuple(x for _, x in found[::2] if isinstance(x, Dense) and x.parametrisation == "ntk")
    units = tuple(x for _, x in found[1::2] if isinstance(x, Closed))
    if not flattened or not units or len(maps) != len(units) + 1 or len(maps) + len(units) != len(found):
        return None
    return ClosedChain(maps, units, tuple(name for name, _ in found))


@lru_cache
def _compiled(text: str) -> Any:
    return cupy().RawModule(code=text, options=OPTIONS).get_function(NAME)


def launched(text: str, blocks: int, arguments: Sequence[Any]) -> None:
    """Start the kernel on the current device of CuPy."""
    _compiled(text)((blocks,), (THREADS,), tuple(arguments))


def device_tile(net: Network, x1: Any, x2: Any, names: Sequence[str], launch: Launch = launched) -> Tile | None:
    """A function that gives the tile of some rows and columns by name; None unless the network is a closed chain.

    ``x1`` and ``x2`` (None: the same) live on the device, and so does what comes out.
    """
    chain = closed_chain(net, x1.ndim == 4)
    if chain is None:
        return None
    xp = namespace_of(x1)
    one, two = (x.reshape(len(x), -1) for x in (x1, x1 if x2 is None else x2))
    laws, text = chain.laws(one.shape[1]), source(chain.entries())
    (q1, own), (q2, _) = (chain.diagonals(to_host((x * x).sum(1)), laws, "ntk" in names) for x in (one, two))
    tables = [xp.asarray(table) for table in (laws, q1, q2, own)]
    counts = len(laws) - 1, len(one), len(two)

    def tile(rows: slice, columns: slice, diagonal: bool) -> dict[str, Any]:
        gram = one[rows] @ two[columns].T
        found = {name: xp.empty_like(gram) for name in names}
        out = [found.get(name, np.uint64(0)) for name in ("nngp", "ntk")]
        numbers = [np.int32(n) for n in (*counts, rows.start, columns.start, *gram.shape, diagonal)]
        blocks = -(-gram.shape[0] // EDGE) * -(-gram.shape[1] // EDGE)
        launch(text, blocks, [gram, *tables, *out, *numbers])
        return found

    return tile
