"""LayerNorm and Dropout."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.backend import namespace_of
from ...core.errors import is_real, require
from .layer import Block, Layer, Parameters, Shape, State


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Layer):
    r"""Each input divided by its spread over the channels, y = (h - <h>)/sqrt(<(h - <h>)^2> + epsilon).

    On Gaussian channels K -> K/sqrt((a + epsilon)(b + epsilon)), and Theta likewise: the change of the spread
    itself is one among infinitely many channels. Put it after Dense or Conv, where the channels have no mean.

    Parameters
    ----------
    epsilon : float
        Added to the variance, >= 0.

    >>> import mattis as mt
    >>> net = mt.nn.serial(mt.nn.Dense(sigma_w=3.0), mt.nn.LayerNorm())
    >>> round(float(net.kernel([[3.0, 4.0]]).nngp[0, 0]), 9)
    1.0
    """

    epsilon: float = 1e-12

    def __post_init__(self) -> None:
        ok = is_real(self.epsilon) and self.epsilon >= 0
        require(ok, "LayerNorm: epsilon", self.epsilon, "a number in [0, inf)")

    def _parts(self, x: Any) -> tuple[Any, Any]:
        centred = x - x.mean(-1, keepdims=True)
        return centred, 1 / np.sqrt((centred**2).mean(-1, keepdims=True) + self.epsilon)

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """The shape of x."""
        centred, inverse = self._parts(x)
        return centred * inverse

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Without the parts along the mean and along y."""
        centred, inverse = self._parts(x)
        y = centred * inverse
        return inverse * (delta - delta.mean(-1, keepdims=True) - y * (delta * y).mean(-1, keepdims=True))

    def carry(self, state: State, name: str) -> State:
        """K/sqrt(a b)."""
        if not state.gaussian:
            raise ValueError(f"{name} needs Gaussian channels without a mean: put it after Dense or Conv")
        xp = namespace_of(state.self1.k)

        def go(block: Block, a: Any, b: Any) -> Block:
            variance = (a + self.epsilon) * (b + self.epsilon)
            scale = xp.where(variance > 0, 1 / xp.sqrt(xp.where(variance > 0, variance, 1.0)), 0.0)
            return Block(block.k * scale, None if block.t is None else block.t * scale)

        one, two, cross = (go(*pair) for pair in state.pairs())
        return replace(state, self1=one, self2=two, cross=cross)


@dataclass(frozen=True, kw_only=True)
class Dropout(Layer):
    r"""Each channel kept with probability ``keep`` and divided by it, with masks of its own for each input.

    The variance of an input grows, a -> a/keep, and the covariance of two inputs does not change; the same input in
    both sets counts as two. A draw of the finite form fixes the masks of a batch. What is kept of Gaussian channels is
    not Gaussian: the next activation needs a Dense or Conv before it.

    Parameters
    ----------
    keep : float
        In (0, 1].

    Raises
    ------
    ValueError
        If ``keep`` is outside.

    >>> import mattis as mt
    >>> net = mt.nn.serial(mt.nn.Dense(), mt.nn.Relu(), mt.nn.Dropout(keep=0.5), mt.nn.Dense())
    >>> float(net.kernel([[3.0, 4.0]]).nngp[0, 0])  # 12.5/2/keep
    12.5
    """

    keep: float

    def __post_init__(self) -> None:
        require(is_real(self.keep) and 0 < self.keep <= 1, "Dropout: keep", self.keep, "a number in (0, 1]")

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """The key of the masks."""
        return shape, int(rng.integers(2**63))

    def _mask(self, parameters: Parameters, x: Any) -> Any:
        """0 or 1/keep for each channel of each input of a batch."""
        return (np.random.default_rng(parameters).random(x.shape) < self.keep) / self.keep

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """The shape of x."""
        return x * self._mask(parameters, x)

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Through the same masks."""
        return delta * self._mask(parameters, x)

    def carry(self, state: State, name: str) -> State:
        """The variances over keep."""
        if not state.wide:
            raise ValueError(f"{name} needs many channels to average over: put Dense or Conv before it")
        xp = namespace_of(state.self1.k)

        def go(block: Block) -> Block:
            def widen(array: Any) -> Any:
                if state.positions != 4:
                    return array / self.keep
                H, W = array.shape[1:3]
                same = xp.eye(H * W).reshape(H, W, H, W)
                return array * (1 + same * (1 / self.keep - 1))

            return Block(widen(block.k), None if block.t is None else widen(block.t))

        return replace(state, self1=go(state.self1), self2=go(state.self2), gaussian=state.gaussian and self.keep == 1)
