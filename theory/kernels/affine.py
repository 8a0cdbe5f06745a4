r"""Dense and Conv: z = (sigma_w/sqrt(fan_in)) W h + sigma_b b with independent standard normal W and b.

    K' = sigma_w^2 <K> + sigma_b^2,     Theta' = g_w <K> + g_b + sigma_w^2 <Theta>,

<.> the average over the window (Conv), with the size of the filter as divisor at zero-padded borders too. In the NTK
parametrisation g_w = sigma_w^2, g_b = sigma_b^2; in the standard one, W ~ N(0, sigma_w^2/fan_in) and b ~ N(0,
sigma_b^2) are the parameters themselves, g_w = fan_in and g_b = 1 (0 without a bias).
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from ...core.errors import is_real, require, require_integer
from .layer import Block, Layer, Parameters, Shape, State
from .windows import Padding, out_size, pad_widths, patches, require_pair, unpatch, window_mean

Parametrisation = Literal["ntk", "standard"]
SMALLEST = 1e-290
"""Of the largest variance of a layer that is not zero: smaller ones lose digits."""


def _check(name: str, sigma_w: float, sigma_b: float, units: int | None, parametrisation: str) -> None:
    for value, what in ((sigma_w, "sigma_w"), (sigma_b, "sigma_b")):
        require(is_real(value) and value >= 0, f"{name}: {what}", value, "a number in [0, inf)")
        require(value == 0 or value >= 1e-153, f"{name}: {what}", value, "0 or >= 1e-153, or its square is lost")
    if units is not None:
        require_integer(units, f"{name}: units", 1, 2**31, ">= 1")
    if parametrisation not in ("ntk", "standard"):
        raise ValueError(f"{name}: parametrisation must be 'ntk' or 'standard', got {parametrisation!r}")


def _require_digits(largest: float, gain: float, name: str) -> None:
    """Refuse variances that are not zero and become so small that they lose digits."""
    if 0 < largest < SMALLEST / min(gain, 1.0):
        raise OverflowError(f"{name} gives variances below {SMALLEST}: take larger sigma_w")


@dataclass(frozen=True, kw_only=True)
class _Affine(Layer):
    sigma_w: float = 1.0
    sigma_b: float = 0.0
    units: int | None = None
    parametrisation: Parametrisation = "ntk"

    def squares(self, name: str) -> tuple[float, float]:
        """sigma_w^2 and sigma_b^2."""
        if max(self.sigma_w, self.sigma_b) > 1e153:
            raise OverflowError(
                f"{name} gives a variance beyond the range of floating-point numbers: its sigma squared"
            )
        return self.sigma_w**2, self.sigma_b**2

    def own_part(self, state: State, fan_in: int | None, name: str) -> tuple[float, float]:
        """(g_w, g_b) of the layer's own parameters."""
        if self.parametrisation == "ntk":
            return self.squares(name)
        if fan_in is None:
            raise ValueError(f"{name}: the standard parametrisation needs the number of units of the layer before")
        return float(fan_in), float(self.sigma_b > 0)

    def affine(self, state: State, mean: Any, fan_in: int | None, name: str) -> State:
        """The covariances after the layer; ``mean(array, lead)`` averages over the window."""
        g_w, g_b = self.own_part(state, fan_in, name)
        gain, shift = self.squares(name)
        if gain > 0 and not shift:
            for block in (state.self1, state.self2):
                _require_digits(float(block.k.max()), gain, name)

        def go(block: Block, lead: int) -> Block:
            k = mean(block.k, lead)
            t = None if block.t is None else g_w * k + g_b + gain * mean(block.t, lead)
            return Block(gain * k + shift, t)

        return replace(
            state, self1=go(state.self1, 1), self2=go(state.self2, 1), cross=go(state.cross, 2),
            gaussian=True, wide=True, fresh=(True,) * len(state.fresh), channels=self.units,
        )  # fmt: skip

    def scales(self, fan_in: int) -> tuple[float, float]:
        """What multiplies W and b in the finite form."""
        return (self.sigma_w / np.sqrt(fan_in), self.sigma_b) if self.parametrisation == "ntk" else (1.0, 1.0)

    def draw(self, rng: np.random.Generator, fan_in: int, units: int) -> Parameters:
        """W (fan_in, units) and b (units,)."""
        W, b = rng.standard_normal((fan_in, units)), rng.standard_normal(units)
        if self.parametrisation == "ntk":
            return W, b
        return self.sigma_w / np.sqrt(fan_in) * W, self.sigma_b * b

    def linear(self, parameters: Parameters, h: Any) -> Any:
        """s_w h W + s_b b along the last axis."""
        W, b = parameters
        s_w, s_b = self.scales(W.shape[0])
        z = h @ (s_w * W)
        return z + s_b * b if self.sigma_b else z

    def slopes(self, h: Any, delta: Any) -> Parameters:
        """d(sum delta z)/dW (fan_in, units) and d(sum delta z)/db (units,), summed over all axes but the last."""
        s_w, s_b = self.scales(h.shape[-1])
        h, delta = s_w * h.reshape(-1, h.shape[-1]), delta.reshape(-1, delta.shape[-1])
        return h.T @ delta, (s_b if self.sigma_b else 0.0) * delta.sum(0)


@dataclass(frozen=True, kw_only=True)
class Dense(_Affine):
    r"""A fully connected layer, z = (sigma_w/sqrt(n)) W h + sigma_b b along the last axis.

    Parameters
    ----------
    sigma_w, sigma_b : float
        Scales of weights and bias, 0 or in [1e-153, inf).
    units : int, optional
        Of the finite form; by default what ``init`` of the network says. The standard parametrisation of the *next*
        layer needs it.
    parametrisation : "ntk" or "standard"
        Which parameters the NTK differentiates by (Jacot et al., arXiv:1806.07572; Sohl-Dickstein et al.,
        arXiv:2001.07301).

    Raises
    ------
    ValueError
        If a scale is outside, or ``units`` < 1.

    >>> import mattis as mt
    >>> pair = mt.nn.serial(mt.nn.Dense(sigma_w=2.0, sigma_b=0.5)).kernel([[3.0, 4.0]])
    >>> float(pair.nngp[0, 0]), float(pair.ntk[0, 0])
    (50.25, 50.25)
    """

    def __post_init__(self) -> None:
        _check("Dense", self.sigma_w, self.sigma_b, self.units, self.parametrisation)

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """W (n, units) and b (units,)."""
        units = self.units or units
        return (*shape[:-1], units), self.draw(rng, shape[-1], units)

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """z (n, ..., units)."""
        return self.linear(parameters, x)

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Delta W^T."""
        W, _ = parameters
        tape.append((self, x, delta))
        return delta @ (self.scales(W.shape[0])[0] * W).T

    def gram(self, one: tuple[Any, Any], two: tuple[Any, Any]) -> Any:
        """Sum over this layer's parameters of the products of derivatives, (n1, n2)."""
        (x1, d1), (x2, d2) = one, two
        s_w, s_b = self.scales(x1.shape[-1])
        s_b = s_b if self.sigma_b else 0.0
        if x1.ndim == 2:
            return (s_w**2 * (x1 @ x2.T) + s_b**2) * (d1 @ d2.T)
        return gram_of_positions(x1, d1, x2, d2, s_w, s_b)

    def gradient(self, x: Any, delta: Any) -> Parameters:
        """Of the sum of z with coefficients ``delta``: by W (fan_in, units) and by b (units,)."""
        return self.slopes(x, delta)

    def carry(self, state: State, name: str) -> State:
        """K' = sigma_w^2 K + sigma_b^2."""
        return self.affine(state, lambda array, lead: array, state.channels, name)


def gram_of_positions(x1: Any, d1: Any, x2: Any, d2: Any, s_w: float, s_b: float) -> Any:
    """Products of the summed derivatives of shared weights; x (n, H, W, fan_in), d (n, H, W, units)."""
    n1, n2 = len(x1), len(x2)
    g1, g2 = (np.einsum("nhwc,nhwu->ncu", x, d, optimize=True).reshape(len(x), -1) for x, d in ((x1, d1), (x2, d2)))
    b1, b2 = d1.reshape(n1, -1, d1.shape[-1]).sum(1), d2.reshape(n2, -1, d2.shape[-1]).sum(1)
    return s_w**2 * (g1 @ g2.T) + s_b**2 * (b1 @ b2.T)


@dataclass(frozen=True, kw_only=True)
class Conv(_Affine):
    r"""A convolution, z_p = (sigma_w/sqrt(C |F|)) sum_{u in F} W_u h_{p+u} + sigma_b b.

    Parameters
    ----------
    filter_shape : (int, int)
        Height and width of the window.
    sigma_w, sigma_b, units, parametrisation
        As in ``Dense``; ``units`` are the channels.
    strides : (int, int)
        Steps of the window.
    padding : "SAME", "VALID" or "CIRCULAR"
        Zeros around, no window that leaves the image, or a torus.

    Raises
    ------
    ValueError
        If a scale is outside, or the window or a stride is not positive.

    >>> import mattis as mt
    >>> import numpy as np
    >>> net = mt.nn.serial(mt.nn.Conv(filter_shape=(3, 3), sigma_w=1.0), mt.nn.Flatten())
    >>> round(float(net.kernel(np.ones((1, 2, 2, 1))).nngp[0, 0]), 6)  # four of nine neighbours
    0.444444
    """

    filter_shape: tuple[int, int]
    strides: tuple[int, int] = (1, 1)
    padding: Padding = "SAME"

    def __post_init__(self) -> None:
        _check("Conv", self.sigma_w, self.sigma_b, self.units, self.parametrisation)
        require_pair(self.filter_shape, "Conv: filter_shape")
        require_pair(self.strides, "Conv: strides")
        if self.padding not in ("SAME", "VALID", "CIRCULAR"):
            raise ValueError(f"Conv: padding must be 'SAME', 'VALID' or 'CIRCULAR', got {self.padding!r}")

    def require_room(self, shape: tuple[int, ...]) -> None:
        """Refuse images (height, width) that the window does not fit."""
        for n, f, s in zip(shape, self.filter_shape, self.strides, strict=True):
            pad_widths(n, f, s, self.padding)

    def init(self, rng: np.random.Generator, shape: Shape, units: int) -> tuple[Shape, Parameters]:
        """W (fh fw C, units) and b (units,)."""
        if len(shape) != 3:
            raise ValueError(f"Conv needs images (height, width, channels), got inputs of shape {shape}")
        self.require_room(shape[:2])
        units = self.units or units
        size = tuple(
            out_size(n, f, s, self.padding) for n, f, s in zip(shape, self.filter_shape, self.strides, strict=False)
        )
        return (*size, units), self.draw(rng, self.filter_shape[0] * self.filter_shape[1] * shape[-1], units)

    def _patches(self, x: Any) -> Any:
        return patches(x, self.filter_shape, self.strides, self.padding)

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """z (n, H', W', units)."""
        return self.linear(parameters, self._patches(x))

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """The transposed convolution."""
        W, _ = parameters
        tape.append((self, x, delta))
        back = delta @ (self.scales(W.shape[0])[0] * W).T
        return unpatch(back, x.shape, self.filter_shape, self.strides, self.padding)

    def gram(self, one: tuple[Any, Any], two: tuple[Any, Any]) -> Any:
        """Sum over the filter and the bias of the products of derivatives, (n1, n2)."""
        (x1, d1), (x2, d2) = one, two
        p1, p2 = self._patches(x1), self._patches(x2)
        s_w, s_b = self.scales(p1.shape[-1])
        return gram_of_positions(p1, d1, p2, d2, s_w, s_b if self.sigma_b else 0.0)

    def gradient(self, x: Any, delta: Any) -> Parameters:
        """Of the sum of z with coefficients ``delta``: by W (fan_in, units) and by b (units,)."""
        return self.slopes(self._patches(x), delta)

    def carry(self, state: State, name: str) -> State:
        """K' = sigma_w^2 <K> + sigma_b^2."""
        if not state.positions:
            raise ValueError(f"{name} needs images (n, height, width, channels), got vectors")
        self.require_room(state.cross.k.shape[2:4])

        def mean(array: Any, lead: int) -> Any:
            return window_mean(array, lead, self.filter_shape, self.strides, self.padding)

        size = self.filter_shape[0] * self.filter_shape[1]
        return self.affine(state, mean, None if state.channels is None else state.channels * size, name)
