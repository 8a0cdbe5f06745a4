r"""The layers of an infinitely wide convolutional network: variances of one image, covariances of two.

    q_{l+1}(p) = sigma_w^2 <V_l(q_l)(p + u)>_u + sigma_b^2,
    K_{l+1}(p, p') = sigma_w^2 <V_l(K_l)(p + u, p' + u)>_u + sigma_b^2,
    Theta_{l+1}(p, p') = K_{l+1}(p, p') + sigma_w^2 <(V'_l Theta_l)(p + u, p' + u)>_u,

means over the window u, a position outside a zero padded image counting as 0. A shift keeps p' - p, so only pairs of
one difference meet: those of one p_1' - p_1 go through all layers before the next, and stay close to the core.

Source: R. Novak et al., ICLR 2019, arXiv:1810.05148; S. Arora et al., NeurIPS 2019, arXiv:1904.11955.
"""

from math import atan2, pi, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.backend import Array
from ...core.jit import njit
from .arcs import STRIP
from .conv_rows import ERF, Frame, box, erf, pad, relu


class ConvChain(NamedTuple):
    """L convolutions of stride 1 that keep the size of the image, each with the activation behind it."""

    filters: NDArray[np.int64]
    """(L, 2): odd heights and widths"""
    sigma_w2: Array
    """(L,)"""
    sigma_b2: Array
    """(L,)"""
    activation: Array
    """(L, 4): (0, a, b, any) for a min(x, 0) + b max(x, 0), (1, a, b, c) for a erf(b x) + c"""
    circular: bool
    """padding: the image repeated, else zeros"""


class Line(NamedTuple):
    """Rows which a vertical shift by one maps on each other, in slots of one flat array."""

    rows: int
    margin: int
    """slots of padding above, and as many below"""
    gap: int
    """slots of zeros where the line passes from the last row of an image to the first"""
    pitch: int
    """from slot to slot"""
    start: int
    """where the numbers begin that need a vertical sum"""
    length: int
    down: int
    """shift by one vertically"""
    along: int
    """shift by one horizontally"""
    size: int


@njit(nogil=True, error_model="numpy")
def tables(x: Array, chain: ConvChain, frame: Frame, line: Line) -> tuple[Array, Array]:
    """Images (n, C, rows, stride) over sqrt C, and what activations need to know of them (n, L, 2, rows, stride)."""
    n, L = x.shape[0], chain.sigma_w2.size
    images = np.zeros((n, x.shape[3], frame.rows, frame.stride))
    found = np.zeros((n, L, 2, frame.rows, frame.stride))
    q, sums, row = np.zeros(frame.size), np.zeros(frame.size), np.zeros(frame.used)
    for m in range(n):
        _first_variance(x[m], images[m], q, frame)
        for layer in range(L):
            pad(q, frame.origin, frame)
            up, across = chain.filters[layer, 0] // 2, chain.filters[layer, 1] // 2
            scale = chain.sigma_w2[layer] / ((2 * up + 1) * (2 * across + 1))
            box(q, sums[line.start : line.start + line.length], line.start, line.down, up, 1.0, 0.0)
            box(sums, row, frame.origin, line.along, across, scale, chain.sigma_b2[layer])
            _next_variance(row, chain.activation[layer], q, found[m, layer, 0], found[m, layer, 1], frame)
    return images, found


@njit(nogil=True, error_model="numpy")
def _first_variance(x: Array, image: Array, q: Array, frame: Frame) -> None:
    for i in range(frame.rows):
        for j in range(frame.cols):
            total = 0.0
            for c in range(x.shape[2]):
                image[c, i, j] = x[i, j, c] / sqrt(x.shape[2])
                total += image[c, i, j] * image[c, i, j]
            q[frame.origin + i * frame.stride + j] = total


@njit(nogil=True, error_model="numpy")
def _next_variance(row: Array, activation: Array, q: Array, first: Array, second: Array, frame: Frame) -> None:
    """V(row) into q, and the tables of row."""
    a, b, c = activation[1], activation[2], activation[3]
    for i in range(frame.rows):
        for j in range(frame.cols):
            v, at = row[i * frame.stride + j], frame.origin + i * frame.stride + j
            if activation[0] == ERF:
                twice = 2 * b * b * v
                second[i, j] = 1 / sqrt(1 + twice)
                q[at] = 2 * a * a / pi * atan2(twice, sqrt(1 + 2 * twice)) + c * c
            else:
                first[i, j] = sqrt(v)
                second[i, j] = 1 / first[i, j] if v > 0 else 0.0
                q[at] = 0.5 * (a * a + b * b) * v


@njit(**STRIP)
def layers(
    state: Array,
    sums: Array,
    work: Array,
    slots: NDArray[np.int64],
    left: Array,
    right: Array,
    chain: ConvChain,
    line: Line,
    frame: Frame,
) -> None:
    """Carry a line of padded rows of K (and of Theta, if state has a second part) from the input to the last layer.

    Row i begins at slots[0, i] and pairs row i of ``left`` with row slots[1, i] of ``right``, both (L, 2, rows, used).
    """
    n, stop, ntk = frame.used, line.start + line.length, state.shape[0] == 2
    k, slope, theta = work[0], work[1], work[2]
    for f in range(n):
        theta[f] = 0.0  # nothing to average yet in the first layer
    for layer in range(chain.sigma_w2.size):
        up, across = chain.filters[layer, 0] // 2, chain.filters[layer, 1] // 2
        scale = chain.sigma_w2[layer] / ((2 * up + 1) * (2 * across + 1))
        code, a, b, c = chain.activation[layer]
        for part in range(1 if layer == 0 else state.shape[0]):
            if frame.circular:
                _close(state[part], line)
            box(state[part], sums[part, line.start : stop], line.start, line.down, up, 1.0, 0.0)
        for i in range(line.rows):
            at, j = slots[0, i], slots[1, i]
            box(sums[0], k, at, line.along, across, scale, chain.sigma_b2[layer])
            if code == ERF:
                erf(k, slope, state[0, at : at + n], left[layer], right[layer], i, j, a, b, c)
            else:
                relu(k, slope, state[0, at : at + n], left[layer], right[layer], i, j, a, b)
            pad(state[0], at, frame)
            if ntk:
                if layer > 0:
                    box(sums[1], theta, at, line.along, across, scale, 0.0)
                _theta(k, slope, theta, state[1, at : at + n])
                pad(state[1], at, frame)


@njit(**STRIP)
def _theta(k: Array, slope: Array, sums: Array, out: Array) -> None:
    """V' Theta behind the activation, Theta = K + sigma_w^2 <...> before it."""
    for f in range(out.size):
        out[f] = slope[f] * (k[f] + sums[f])


@njit(**STRIP)
def _close(z: Array, line: Line) -> None:
    """Repeat the rows of a circular line in its margins."""
    for u in range(line.margin):
        above, below = line.margin - 1 - u, line.margin + line.rows + u
        last, first = line.margin + line.rows - 1 - u % line.rows, line.margin + u % line.rows
        for f in range(line.pitch):
            z[above * line.pitch + f] = z[last * line.pitch + f]
            z[below * line.pitch + f] = z[first * line.pitch + f]
