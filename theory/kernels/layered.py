"""Any network, layer by layer on a tile of pairs: the reference of the compiled loops, and what they lack."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ...core.backend import namespace_of
from .layer import Block, Layer, State
from .network import Network
from .series import Series


def first_state(x1: Any, x2: Any, ntk: bool, positions: int) -> State:
    """Covariances x.x'/d of the inputs, at equal positions of images (2) or at all pairs of them (4)."""
    xp, d = namespace_of(x1), x1.shape[-1]
    each, pair = {0: ("ic,ic->i", "ic,jc->ij"), 2: ("ihwc,ihwc->ihw", "ihwc,jhwc->ijhw"),
                  4: ("ihwc,ixyc->ihwxy", "ihwc,jxyc->ijhwxy")}[positions]  # fmt: skip

    def block(rule: str, a: Any, b: Any) -> Block:
        k = xp.einsum(rule, a, b, optimize=True) / d
        return Block(k, xp.zeros_like(k) if ntk else None)

    return State(block(each, x1, x1), block(each, x2, x2), block(pair, x1, x2), positions=positions, channels=d)


def carry(net: Network, x1: Any, x2: Any, ntk: bool) -> State:
    """Covariances of what comes out; the network must end without positions."""
    positions = 0 if x1.ndim == 2 else 4 if net.needs_positions() else 2
    with np.errstate(over="ignore", invalid="ignore"):  # activations and the end refuse what is no number
        state = net.carry(first_state(x1, x2, ntk, positions), "")
    if not isinstance(state, State):
        raise ValueError("the network ends in branches: put FanInSum after parallel")
    if state.positions:
        raise ValueError("the network ends in images: put Flatten or GlobalAvgPool before the readout")
    return state


def bytes_per_pair(net: Network, shape: tuple[int, ...]) -> float:
    """Of all temporaries of a tile."""
    if len(shape) == 1:
        return 160.0
    return 136.0 * (shape[0] * shape[1]) ** (2 if net.needs_positions() else 1)


def bytes_per_row(net: Network, shape: tuple[int, ...]) -> float:
    """Of a row and a column of a tile: covariances of each input with itself, coefficients of its variances."""
    series = max((x.bytes_per_variance() for x in _inside(net) if isinstance(x, Series)), default=0.0)
    return bytes_per_pair(net, shape) + 2.0 * series * (shape[0] * shape[1] if len(shape) > 1 else 1)


def _inside(layer: Layer) -> Iterator[Layer]:
    """The layer and those of networks and branches inside."""
    yield layer
    for one in getattr(layer, "layers", ()):
        yield from _inside(one)


def layered_tile(net: Network, x1: Any, x2: Any, diagonal: bool, ntk: bool) -> tuple[dict[str, Any], float]:
    """NNGP and NTK of a tile, exact on the ``diagonal`` where x1 is x2, and the error of numerical activations."""
    state = carry(net, x1, x2, ntk)
    if not np.isfinite(float(namespace_of(x1).sum(state.cross.k))):
        raise OverflowError(
            "the readout gives a covariance beyond the range of floating-point numbers: take smaller sigma_w"
        )
    found = {"nngp": state.cross.k} | ({"ntk": state.cross.t} if ntk else {})
    if diagonal:
        xp, own = namespace_of(x1), {"nngp": state.self1.k, "ntk": state.self1.t}
        for name, block in found.items():
            low = xp.tril(block, -1)
            found[name] = low + low.T + xp.diag(own[name])
    return found, state.error
