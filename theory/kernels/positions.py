"""Layers that move or average positions: Flatten, AvgPool, GlobalAvgPool."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.backend import namespace_of
from .layer import Layer, Parameters, Shape, State
from .windows import out_size, require_pair


def _images(state: State, name: str) -> None:
    if not state.positions:
        raise ValueError(f"{name} needs images (n, height, width, channels), got vectors")


@dataclass(frozen=True)
class Flatten(Layer):
    """All positions and channels as one vector: the covariance is the mean over equal positions.

    >>> import mattis as mt
    >>> import numpy as np
    >>> net = mt.nn.serial(mt.nn.Flatten(), mt.nn.Dense())
    >>> float(net.kernel(np.full((1, 2, 2, 3), 2.0)).nngp[0, 0])
    4.0
    """

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """The product of the sizes."""
        return (int(np.prod(shape)),), None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """(n, H W C)."""
        return x.reshape(len(x), -1)

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """The shape of before."""
        return delta.reshape(x.shape)

    def carry(self, state: State, name: str) -> State:
        """Mean over equal positions."""
        if not state.positions:
            return state
        size = int(np.prod(state.self1.k.shape[1:3]))

        def mean(array: Any, lead: int) -> Any:
            if state.positions == 2:
                return array.mean(axis=(lead, lead + 1))
            return namespace_of(array).einsum("...hwhw->...", array) / size

        channels = None if state.channels is None else state.channels * size
        gaussian = state.gaussian and size == 1  # variances that differ by position mix
        return state.map(mean, positions=0, channels=channels, gaussian=gaussian)


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean over all positions: the covariance is the mean over all pairs of positions.

    >>> import mattis as mt
    >>> import numpy as np
    >>> image = np.array([1.0, -1.0, 2.0, 0.0]).reshape(1, 2, 2, 1)
    >>> float(mt.nn.serial(mt.nn.GlobalAvgPool(), mt.nn.Dense()).kernel(image).nngp[0, 0])  # of the mean, 1/2
    0.25
    """

    pools = True

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """The channels."""
        return shape[-1:], None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """(n, C)."""
        return x.mean(axis=(1, 2))

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Each position gets its share."""
        return np.broadcast_to(delta[:, None, None, :] / (x.shape[1] * x.shape[2]), x.shape)

    def carry(self, state: State, name: str) -> State:
        """Mean over all pairs of positions."""
        _images(state, name)
        return state.map(lambda array, lead: array.mean(axis=tuple(range(lead, lead + 4))), positions=0)


@dataclass(frozen=True, kw_only=True)
class AvgPool(Layer):
    """The mean over windows that do not leave the image.

    Parameters
    ----------
    window : (int, int)
        Height and width, at least 1 and at most those of the image.
    strides : (int, int), optional
        Steps; by default the window.

    Raises
    ------
    ValueError
        If a size or a step is not positive, or the window does not fit.

    >>> import mattis as mt
    >>> import numpy as np
    >>> image = np.array([1.0, -1.0, 2.0, 0.0]).reshape(1, 2, 2, 1)
    >>> net = mt.nn.serial(mt.nn.AvgPool(window=(1, 2)), mt.nn.Flatten(), mt.nn.Dense())
    >>> float(net.kernel(image).nngp[0, 0])  # (0^2 + 1^2)/2
    0.5
    """

    window: tuple[int, int]
    strides: tuple[int, int] | None = None
    pools = True

    def __post_init__(self) -> None:
        require_pair(self.window, "AvgPool: window")
        require_pair(self.steps, "AvgPool: strides")

    @property
    def steps(self) -> tuple[int, int]:
        """Steps of the window."""
        return self.window if self.strides is None else self.strides

    def _matrix(self, n: int, axis: int) -> Any:
        """(n', n): one row for each window."""
        f, s = self.window[axis], self.steps[axis]
        size = out_size(n, f, s, "VALID")
        matrix = np.zeros((size, n))
        for i in range(size):
            matrix[i, i * s : i * s + f] = 1.0 / f
        return matrix

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """The number of windows and the channels."""
        return (*(len(self._matrix(n, axis)) for axis, n in enumerate(shape[:2])), shape[2]), None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """(n, H', W', C)."""
        return np.einsum("ph,qw,nhwc->npqc", self._matrix(x.shape[1], 0), self._matrix(x.shape[2], 1), x, optimize=True)

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Each pixel gets its share of each window."""
        return np.einsum(
            "ph,qw,npqc->nhwc", self._matrix(x.shape[1], 0), self._matrix(x.shape[2], 1), delta, optimize=True
        )

    def carry(self, state: State, name: str) -> State:
        """The mean over both windows of a pair."""
        _images(state, name)
        xp = namespace_of(state.self1.k)
        H, W = state.self1.k.shape[1:3]
        rows, columns = (xp.asarray(self._matrix(n, axis)) for axis, n in enumerate((H, W)))

        def pool(array: Any, lead: int) -> Any:
            array = xp.einsum("...hwxy,ph,qw->...pqxy", array, rows, columns, optimize=True)
            return xp.einsum("...pqxy,rx,sy->...pqrs", array, rows, columns, optimize=True)

        return state.map(pool)
