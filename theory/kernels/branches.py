"""Branches that are added again: FanOut, parallel, FanInSum; residual networks are made of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.errors import require_integer
from .layer import Block, Layer, Parameters, Shape, State, require_layers


@dataclass(frozen=True)
class Identity(Layer):
    """What comes in, as the other branch of a residual block."""

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """Return x."""
        return x

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Return delta."""
        return delta

    def carry(self, state: State, name: str) -> State:
        """Return the state."""
        return state


@dataclass(frozen=True)
class FanOut(Layer):
    """The same to each of ``branches`` branches of the ``parallel`` that follows.

    Raises
    ------
    ValueError
        If ``branches`` < 1.
    """

    branches: int = 2

    def __post_init__(self) -> None:
        require_integer(self.branches, "FanOut: branches", 1, 2**20, ">= 1")

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Any, Parameters]:
        """The shape of each branch."""
        return [shape] * self.branches, None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """A list of x."""
        return [x] * self.branches

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """The sum over the branches."""
        return sum(delta[1:], delta[0])

    def carry(self, state: State, name: str) -> Any:
        """One state for each branch."""
        return [replace(state, fresh=(*state.fresh, False))] * self.branches


@dataclass(frozen=True)
class Parallel(Layer):
    """Each layer on its own branch; made by ``parallel``."""

    layers: tuple[Layer, ...]
    joins = True

    def __post_init__(self) -> None:
        require_layers(self.layers, "parallel", "branch")

    def init(self, rng: np.random.Generator, shape: Any, units: int) -> tuple[Any, Parameters]:
        """The shapes of all branches."""
        made = [layer.init(rng, one, units) for layer, one in zip(self.layers, shape, strict=True)]
        return [s for s, _ in made], [p for _, p in made]

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """A list of what comes out."""
        return [layer.apply(p, one) for layer, p, one in zip(self.layers, parameters, x, strict=True)]

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """A list of derivatives."""
        each = zip(self.layers, parameters, x, delta, strict=True)
        return [layer.backward(p, one, d, tape) for layer, p, one, d in each]

    def carry(self, state: Any, name: str) -> Any:
        """One state for each branch."""
        if not isinstance(state, list) or len(state) != len(self.layers):
            raise ValueError(f"{name} has {len(self.layers)} branches: put FanOut({len(self.layers)}) before it")
        return [
            layer.carry(one, f"{name}, branch {i}")
            for i, (layer, one) in enumerate(zip(self.layers, state, strict=True))
        ]

    def needs_positions(self) -> bool:
        """Whether a branch does."""
        return any(layer.needs_positions() for layer in self.layers)


def parallel(*layers: Layer) -> Parallel:
    """Layers side by side, between ``FanOut`` and ``FanInSum``.

    >>> import mattis as mt
    >>> two = mt.nn.parallel(mt.nn.Dense(), mt.nn.Dense(sigma_b=1.0))
    >>> net = mt.nn.serial(mt.nn.FanOut(2), two, mt.nn.FanInSum())
    >>> float(net.kernel([[3.0, 4.0]]).nngp[0, 0])  # 12.5 + 13.5
    26.0
    """
    return Parallel(tuple(layers))


@dataclass(frozen=True)
class FanInSum(Layer):
    """The sum of the branches; all but one must end in Dense or Conv (and pools), or the sum has cross terms.

    >>> import mattis as mt
    >>> block = mt.nn.parallel(mt.nn.Identity(), mt.nn.serial(mt.nn.Relu(), mt.nn.Dense(sigma_w=2**0.5)))
    >>> net = mt.nn.serial(mt.nn.Dense(), mt.nn.FanOut(2), block, mt.nn.FanInSum())
    >>> round(float(net.kernel([[3.0, 4.0]]).nngp[0, 0]), 9)  # 12.5 + 2 (12.5/2)
    25.0
    """

    joins = True

    def init(self, rng: np.random.Generator, shape: Any, units: int) -> tuple[Shape, Parameters]:
        """The common shape."""
        if len(set(shape)) != 1:
            raise ValueError(f"FanInSum adds branches of one shape, got {shape}: give their last layers equal units")
        return shape[0], None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """The sum."""
        return sum(x[1:], x[0])

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """The same to each."""
        return [delta] * len(x)

    def carry(self, state: Any, name: str) -> State:
        """The sum of the covariances."""
        if not isinstance(state, list):
            raise ValueError(f"{name} adds branches: put FanOut and parallel before it")
        if sum(not one.fresh[-1] for one in state) > 1:
            raise ValueError(
                f"{name}: two branches share weights or have a mean, so their sum has cross terms: end all but one in "
                "Dense or Conv"
            )
        if len({(one.positions, one.self1.k.shape[1:]) for one in state}) != 1:
            raise ValueError(f"{name}: the branches have different shapes")
        widths = {one.channels for one in state} - {None}
        if len(widths) > 1:
            raise ValueError(f"{name}: the branches have different units, {sorted(widths)}")

        def add(blocks: list[Block]) -> Block:
            t = None if blocks[0].t is None else sum(b.t for b in blocks)
            return Block(sum(b.k for b in blocks), t)

        return replace(
            state[0],
            self1=add([s.self1 for s in state]),
            self2=add([s.self2 for s in state]),
            cross=add([s.cross for s in state]),
            gaussian=all(s.gaussian for s in state),
            wide=all(s.wide for s in state),
            fresh=tuple(all(level) for level in zip(*(s.fresh[:-1] for s in state), strict=True)),
            channels=min(widths, default=None),
            error=max(s.error for s in state),
        )
