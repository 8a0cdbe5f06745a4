"""Which compiled loop does a network: layers read as numbers."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from .activation import Activation
from .affine import Conv, Dense
from .chain import Chain
from .conv_layers import ConvChain
from .layer import Layer
from .network import Network, naming
from .positions import Flatten, GlobalAvgPool


def flat(net: Network, inside: str = "") -> Iterator[tuple[str, Layer]]:
    """Layers with their names, those of networks inside in their place."""
    for name, layer in net.named(inside):
        if isinstance(layer, Network):
            yield from flat(layer, f"{name.split()[1]}.")
        else:
            yield name, layer


def _ntk(layer: Any) -> bool:
    return layer.parametrisation == "ntk"


def _units(layer: Layer) -> tuple[float, float, float, float] | None:
    return layer.fused() if isinstance(layer, Activation) else None


def chain_of(net: Network, images: bool) -> Chain | None:
    """Dense, activation, ..., Dense of units the compiled loops have, ``images`` after Flatten; else None."""
    found, flattened = list(flat(net)), not images
    while found and isinstance(found[0][1], Flatten):
        flattened = bool(found.pop(0))
    maps, units = [x for _, x in found[::2]], [x for _, x in found[1::2]]
    if not flattened or len(found) < 3 or len(found) % 2 == 0:
        return None
    if not all(isinstance(x, Dense) and _ntk(x) for x in maps) or any(_units(x) is None for x in units):
        return None
    sigma_w2, sigma_b2 = zip(*(x.squares(name) for name, x in found[::2] if isinstance(x, Dense)), strict=True)
    return Chain(
        sigma_w2=sigma_w2,
        sigma_b2=sigma_b2,
        activations=tuple(code for x in units if (code := _units(x)) is not None),
        names=tuple(name for name, _ in found),
    )


class Convolution(NamedTuple):
    """(Conv, activation) repeated, a pool of all positions or none, and a readout."""

    chain: ConvChain
    pooled: bool
    readout: Dense
    names: tuple[str, ...]
    """of all layers, for errors"""


def convolution_of(net: Network, shape: tuple[int, ...]) -> Convolution | None:
    """A network of the compiled convolutions on images of ``shape``, or None."""
    names, found = zip(*flat(net), strict=True)
    if len(found) < 4 or len(found) % 2 or not isinstance(found[-1], Dense) or not _ntk(found[-1]):
        return None
    squares: list[tuple[float, float]] = []
    head, convolutions, units = found[-2], found[:-2:2], found[1:-2:2]
    if not isinstance(head, Flatten | GlobalAvgPool) or any(_units(x) is None for x in units):
        return None
    if not all(isinstance(x, Conv) and _simple(x) for x in convolutions):
        return None
    for name, x in zip(names[:-2:2], convolutions, strict=True):
        if isinstance(x, Conv):
            squares.append(x.squares(name))
            with naming(name):
                x.require_room(shape[:2])
    paddings = {x.padding for x in convolutions if isinstance(x, Conv)}
    if len(paddings) != 1:
        return None
    chain = ConvChain(
        filters=np.array([x.filter_shape for x in convolutions if isinstance(x, Conv)]),
        sigma_w2=np.array([w for w, _ in squares]),
        sigma_b2=np.array([b for _, b in squares]),
        activation=np.array([_units(x) for x in units]),
        circular=paddings == {"CIRCULAR"},
    )
    return Convolution(chain, isinstance(head, GlobalAvgPool), found[-1], names)


def _simple(layer: Conv) -> bool:
    odd = all(size % 2 for size in layer.filter_shape)
    return _ntk(layer) and odd and layer.strides == (1, 1) and layer.padding != "VALID"
