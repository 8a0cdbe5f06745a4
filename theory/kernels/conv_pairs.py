r"""Kernels of infinitely wide convolutional networks between images, behind the last activation and the head.

    Flatten:        k = sum_p V_L(K_L)(p, p)/(H W),
    GlobalAvgPool:  k = sum_{p, p'} V_L(K_L)(p, p')/(H W)^2,

and t the same sums of V'_L Theta_L. Each pair of images passes all layers by itself, so that a thread needs memory for
a few images, whatever n is: GlobalAvgPool about (5 + 16 L) H W^2 numbers, Flatten (128 L + 64 C) H W.

Source: R. Novak et al., ICLR 2019, arXiv:1810.05148; S. Arora et al., NeurIPS 2019, arXiv:1904.11955.
"""

from math import isqrt

import numpy as np
from numpy.typing import NDArray

from ...core.backend import Array
from ...core.jit import njit
from .arcs import STRIP
from .conv_layers import ConvChain, Line, layers, tables
from .conv_rows import Frame, pad
from .workers import in_threads

_POOLED_SIDE, _FLAT_SIDE = 4, 32
"""Images on a side of one task: enough pairs to repay their tables and the call."""


def conv_kernel(
    x1: Array, x2: Array | None, chain: ConvChain, *, pooled: bool, ntk: bool, threads: int
) -> tuple[Array, Array | None]:
    """Return k and t (n1, n2) behind the last activation and the head, t only if asked for.

    x1 (n1, H, W, C) and x2 (n2, H, W, C) are float64; without x2 the pairs of x1, each computed once. A readout makes
    K = sigma_w^2 k + sigma_b^2 and Theta = K + sigma_w^2 t of them. No bit depends on ``threads``.

    >>> chain = ConvChain(np.array([[3, 5]]), np.array([2.0]), np.array([0.1]), np.array([[0, 0, 1.0, 0]]), True)
    >>> k, t = conv_kernel(np.ones((1, 4, 6, 3)), None, chain, pooled=True, ntk=True, threads=1)
    >>> round(float(k[0, 0]), 12), round(float(t[0, 0]), 12)  # K = Theta = 2.1 before the activation, halved by it
    (1.05, 1.05)
    """
    x, y = np.ascontiguousarray(x1), np.ascontiguousarray(x1 if x2 is None else x2)
    side = _POOLED_SIDE if pooled else _FLAT_SIDE
    rows, columns = -(-len(x) // side), -(-len(y) // side)
    out = np.zeros((1 + ntk, len(x), len(y)))
    image = _whole(x.shape[1], x.shape[2], chain)
    frame, line = _pairs(x.shape[1], x.shape[2], chain) if pooled else image

    def one(task: int) -> None:
        i, j = divmod(task, columns)
        if x2 is None:
            i = (isqrt(8 * task + 1) - 1) // 2
            j = task - i * (i + 1) // 2
        a, b = slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side)
        diagonal = x2 is None and i == j
        u, of_u = tables(x[a], chain, *image)
        v, of_v = (u, of_u) if diagonal else tables(y[b], chain, *image)
        s, t = _of_rows(of_u, x.shape[2], pooled, True), _of_rows(of_v, x.shape[2], pooled, False)
        out[:, a, b] = _tile(u, v, s, t, chain, frame, line, pooled, ntk, diagonal)
        if x2 is None:
            out[:, b, a] = out[:, a, b].swapaxes(1, 2)

    in_threads(one, range(rows * (rows + 1) // 2 if x2 is None else rows * columns), threads)
    return out[0], out[1] if ntk else None


def _of_rows(found: Array, cols: int, pooled: bool, left: bool) -> Array:
    """Tables (n, L, 2, H, stride) as those of rows: of pairs (j, j') the left or the right one, or of all positions."""
    n, L, two, H, stride = found.shape
    if not pooled:
        return found.reshape(n, L, two, 1, H * stride)
    wide = np.empty((n, L, two, H, cols, stride))
    wide[:] = found[..., :cols, None] if left else found[..., None, :]
    return wide.reshape(n, L, two, H, cols * stride)


def _whole(H: int, W: int, chain: ConvChain) -> tuple[Frame, Line]:
    """Positions of one image: a line of a single row."""
    top, side = (int(reach) for reach in chain.filters.max(axis=0) // 2)
    frame = Frame.of(H, W, top, side, chain.circular)
    start, length = top * frame.stride, frame.used + 2 * side
    return frame, Line(1, 0, 0, frame.size, start, length, frame.stride, 1, frame.size)


def _pairs(H: int, W: int, chain: ConvChain) -> tuple[Frame, Line]:
    """Pairs of positions of one vertical difference: H rows of pairs of columns."""
    top, side = (int(reach) for reach in chain.filters.max(axis=0) // 2)
    frame = Frame.of(W, W, side, side, chain.circular)
    gap, pitch = 0 if chain.circular else top, frame.size
    length, size = (H + gap) * pitch, (H + gap + 2 * top) * pitch
    return frame, Line(H, top, gap, pitch, top * pitch, length, pitch, frame.stride + 1, size)


@njit(**STRIP)
def _tile(
    x: Array,
    y: Array,
    left: Array,
    right: Array,
    chain: ConvChain,
    frame: Frame,
    line: Line,
    pooled: bool,
    ntk: bool,
    triangle: bool,
) -> Array:
    """K and t (1 or 2, n1, n2); a ``triangle`` of equal x and y is computed once and mirrored."""
    parts, H, used = 1 + ntk, line.rows, frame.used
    out = np.zeros((parts, x.shape[0], y.shape[0]))
    state, sums = np.zeros((parts, line.size)), np.zeros((parts, line.size))
    work, total, slots = np.zeros((3, used)), np.zeros((parts, used)), np.zeros((2, H), np.int64)
    for a in range(x.shape[0]):
        for b in range(a + 1 if triangle else y.shape[0]):
            total[:] = 0.0
            for offset in range(H):
                _start(x[a], y[b], offset, pooled, state, slots, line, frame)
                layers(state, sums, work, slots, left[a], right[b], chain, line, frame)
                for part in range(parts):
                    _add_rows(state[part], slots, total[part])
            for part in range(parts):
                out[part, a, b] = _mean(total[part], frame) / (H * H)
                if triangle:
                    out[part, b, a] = out[part, a, b]
    return out


@njit(**STRIP)
def _start(
    x: Array, y: Array, offset: int, pooled: bool, state: Array, slots: NDArray[np.int64], line: Line, frame: Frame
) -> None:
    """Lay the products of row i of x and row i + offset of y into slots, with a gap where i + offset passes H."""
    H = line.rows
    begin = (line.margin + H - offset) * line.pitch
    for part in range(state.shape[0]):
        for f in range(line.gap * line.pitch):
            state[part, begin + f] = 0.0
    for i in range(H):
        slot = line.margin + i + (line.gap if i + offset >= H else 0)
        at = slot * line.pitch + frame.origin
        slots[0, i], slots[1, i] = at, (i + offset) % H
        row = state[0, at : at + frame.used]
        if pooled:
            _outer(x, y, i, slots[1, i], frame.stride, row)
        else:
            _products(x, y, frame.stride, row)
        if frame.circular:
            pad(state[0], at, frame)


@njit(**STRIP)
def _outer(x: Array, y: Array, i: int, ip: int, stride: int, out: Array) -> None:
    """out[j, j'] = sum over channels of x[i, j] y[i', j']; y is 0 in its padding."""
    for j in range(out.size // stride):
        for f in range(stride):
            out[j * stride + f] = x[0, i, j] * y[0, ip, f]
        for c in range(1, x.shape[0]):
            v = x[c, i, j]
            for f in range(stride):
                out[j * stride + f] += v * y[c, ip, f]


@njit(**STRIP)
def _products(x: Array, y: Array, stride: int, out: Array) -> None:
    """out[i, j] = sum over channels of x[i, j] y[i, j]."""
    for i in range(out.size // stride):
        for f in range(stride):
            out[i * stride + f] = x[0, i, f] * y[0, i, f]
        for c in range(1, x.shape[0]):
            for f in range(stride):
                out[i * stride + f] += x[c, i, f] * y[c, i, f]


@njit(**STRIP)
def _add_rows(z: Array, slots: NDArray[np.int64], total: Array) -> None:
    for i in range(slots.shape[1]):
        row = z[slots[0, i] : slots[0, i] + total.size]
        for f in range(total.size):
            total[f] += row[f]


@njit(**STRIP)
def _mean(z: Array, frame: Frame) -> float:
    """Over the entries of a plane, without its padding."""
    total = 0.0
    for i in range(frame.rows):
        for j in range(frame.cols):
            total += z[i * frame.stride + j]
    return total / (frame.rows * frame.cols)
