"""What a layer is: its finite form (init, apply, backward) and its infinite form (kernel) side by side."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from ...core.backend import namespace_of

Shape = tuple[int, ...]
"""Of one input without the sample: (d,) or (H, W, C)."""
Parameters = Any
"""Of a layer: None, a tuple of arrays, or a list of the parameters of the layers inside."""


class Block(NamedTuple):
    """Covariances of one set of pairs: (n, ...) of an input with itself, (n1, n2, ...) of two sets.

    ``...`` is nothing for vectors, (H, W) where equal positions are kept, (H, W, H', W') where all are.
    """

    k: Any
    t: Any
    """of the NTK, None where not asked for"""


@dataclass(frozen=True)
class State:
    """Covariances of what a layer receives, of infinitely many channels."""

    self1: Block
    self2: Block
    cross: Block
    positions: int = 0
    """0, or 2 (equal positions), or 4 (all pairs of positions)"""
    gaussian: bool = False
    """the channels are Gaussian, as after Dense and Conv"""
    wide: bool = False
    """infinitely many channels, as after Dense and Conv; the inputs have d"""
    fresh: tuple[bool, ...] = ()
    """for each open FanOut, the outermost first: without a mean and independent of the other branches"""
    channels: int | None = None
    """of what is received, where it is known: the fan-in of the standard parametrisation"""
    error: float = 0.0
    """of numerical activations so far"""

    def map(self, rule: Any, **changes: Any) -> "State":
        """Each block through ``rule(array, lead)``, ``lead`` the number of axes before the positions."""

        def go(block: Block, lead: int) -> Block:
            return Block(rule(block.k, lead), None if block.t is None else rule(block.t, lead))

        return replace(self, self1=go(self.self1, 1), self2=go(self.self2, 1), cross=go(self.cross, 2), **changes)

    def variances(self, block: Block) -> Any:
        """(n, ...) of one input at each position."""
        xp = namespace_of(block.k)
        return xp.einsum("nhwhw->nhw", block.k) if self.positions == 4 else block.k

    def pairs(self) -> tuple[tuple[Block, Any, Any], ...]:
        """(block, a, b) of the three blocks, the variances shaped to broadcast with the covariances."""
        v1, v2 = self.variances(self.self1), self.variances(self.self2)
        wide = self.positions == 4
        one = (Ellipsis, None, None) if wide else (Ellipsis,)
        two = (slice(None), None, None) if wide else (slice(None),)
        return (
            (self.self1, v1[one], v1[two]),
            (self.self2, v2[one], v2[two]),
            (self.cross, v1[:, None][one], v2[None][:, :, None, None] if wide else v2[None]),
        )


def require_layers(layers: tuple[Any, ...], name: str, what: str) -> None:
    """Refuse an empty row of layers, and what is no layer."""
    if not layers:
        raise ValueError(f"{name} needs at least one layer")
    for i, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise TypeError(f"{name}: {what} {i} must be a layer such as Dense() or Relu(), got {layer!r}")


class Layer:
    """One layer of a network.

    The finite form of ``units`` channels where the layer has a choice: ``init(rng, shape, units)`` gives the shape of
    what comes out and the parameters, ``apply(parameters, x)`` what comes out of x (n, *shape), ``backward`` the
    derivative by x of a sum with coefficients ``delta``, and ``gram`` the part of the empirical NTK. The infinite
    form ``carry(state, name)`` gives the covariances; ``name`` is how an error calls the layer.
    """

    pools = False
    """needs the covariances of all pairs of positions before it"""
    joins = False
    """receives branches"""

    @property
    def title(self) -> str:
        """What errors call it, after its place."""
        return type(self).__name__

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """Shape of what comes out, and random parameters."""
        return shape, None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """What comes out, (n, *shape)."""
        raise NotImplementedError

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """d(sum delta y)/dx; a layer with parameters adds itself, x and delta to ``tape``."""
        raise NotImplementedError

    def carry(self, state: State, name: str) -> State:
        """Covariances of what comes out."""
        raise NotImplementedError

    def needs_positions(self) -> bool:
        """Whether all pairs of positions are needed here or inside."""
        return self.pools
