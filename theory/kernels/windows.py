"""Windows over images, with zeros around (SAME), within (VALID), or on a torus (CIRCULAR)."""

from typing import Any, Literal

import numpy as np

from ...core.backend import namespace_of
from ...core.errors import require_integer

Padding = Literal["SAME", "VALID", "CIRCULAR"]
Pair = tuple[int, int]


def require_pair(value: Any, name: str) -> None:
    """Refuse what is not two integers, each >= 1."""
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name} must be two integers, got {value!r}")
    for one in value:
        require_integer(one, name, 1, 2**20, ">= 1")


def out_size(n: int, f: int, s: int, padding: Padding) -> int:
    """Positions of a window of ``f`` by steps of ``s`` on ``n``."""
    if padding == "VALID":
        if f > n:
            raise ValueError(f"a window of {f} does not fit an image of {n}")
        return (n - f) // s + 1
    return -(-n // s)


def pad_widths(n: int, f: int, s: int, padding: Padding) -> Pair:
    """What is added before and after: the odd one after."""
    size = out_size(n, f, s, padding)
    total = max((size - 1) * s + f - n, 0)
    if padding == "CIRCULAR" and total > n:
        raise ValueError(f"a window of {f} winds around a torus of {n} more than once")
    return total // 2, total - total // 2


def _padded(x: Any, axes: Pair, f: Pair, s: Pair, padding: Padding) -> Any:
    if padding == "VALID":
        return x
    widths = [(0, 0)] * x.ndim
    for axis, size, step in zip(axes, f, s, strict=True):
        widths[axis] = pad_widths(x.shape[axis], size, step, padding)
    return namespace_of(x).pad(x, widths, mode="wrap" if padding == "CIRCULAR" else "constant")


def _slices(n: int, f: int, s: int, padding: Padding) -> list[slice]:
    size = out_size(n, f, s, padding)
    return [slice(u, u + (size - 1) * s + 1, s) for u in range(f)]


def window_mean(array: Any, lead: int, f: Pair, s: Pair, padding: Padding) -> Any:
    """Mean of covariances over the window: (..., H, W), or (..., H, W, H', W') moved along both positions at once."""
    places = [(lead, lead + 1)] + ([(lead + 2, lead + 3)] if array.ndim == lead + 4 else [])
    sizes = array.shape[lead : lead + 2]
    for axes in places:
        array = _padded(array, axes, f, s, padding)
    total = 0.0
    for u in _slices(sizes[0], f[0], s[0], padding):
        for v in _slices(sizes[1], f[1], s[1], padding):
            total = total + array[(slice(None),) * lead + (u, v) * len(places)]
    return total / (f[0] * f[1])


def patches(x: Any, f: Pair, s: Pair, padding: Padding) -> Any:
    """(n, H', W', fh fw C) of images (n, H, W, C)."""
    rows, columns = (_slices(n, size, step, padding) for n, size, step in zip(x.shape[1:3], f, s, strict=True))
    wide = _padded(x, (1, 2), f, s, padding)
    return np.concatenate([wide[:, u, v] for u in rows for v in columns], axis=-1)


def unpatch(delta: Any, shape: tuple[int, ...], f: Pair, s: Pair, padding: Padding) -> Any:
    """The transpose of ``patches``: what each pixel receives."""
    rows, columns = (_slices(n, size, step, padding) for n, size, step in zip(shape[1:3], f, s, strict=True))
    lows = [
        (0, 0) if padding == "VALID" else pad_widths(n, size, step, padding)
        for n, size, step in zip(shape[1:3], f, s, strict=True)
    ]
    out = np.zeros((shape[0], shape[1] + sum(lows[0]), shape[2] + sum(lows[1]), shape[3]))
    parts = iter(np.split(delta, f[0] * f[1], axis=-1))
    for u in rows:
        for v in columns:
            out[:, u, v] += next(parts)
    for axis, (low, high) in ((1, lows[0]), (2, lows[1])):
        out = _fold(out, axis, low, high, padding == "CIRCULAR")
    return out


def _fold(out: Any, axis: int, low: int, high: int, wrap: bool) -> Any:
    """Cut the border off, on a torus after adding it to the other side."""
    n = out.shape[axis] - low - high
    out = np.moveaxis(out, axis, 0)
    inside = out[low : low + n].copy()
    if wrap and low:
        inside[n - low :] += out[:low]
    if wrap and high:
        inside[:high] += out[low + n :]
    return np.moveaxis(inside, 0, axis)
