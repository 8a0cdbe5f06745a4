r"""The empirical kernels of finite networks: K = f(x) f(x') and Theta = sum_theta df(x)/dtheta df(x')/dtheta.

Of one output f of a network drawn at random; the derivatives are products of what each layer receives and what flows
back, written by hand for every layer. At width n both fluctuate around the kernels of infinite width by n^(-1/2), and
their means are off by 1/n.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...core.backend import Array
from ...core.errors import real_array, require, require_integer
from .affine import Dense
from .branches import Parallel
from .layer import Layer, Parameters, Shape
from .network import Network


def tangent_kernel(net: Network, parameters: Parameters, x1: Any, x2: Any = None) -> Array:
    r"""Theta(x, x') = sum over all parameters of df_0(x)/dtheta df_0(x')/dtheta, (n1, n2), of the first output f_0.

    Parameters
    ----------
    net : Network
        Of any layers; ``Elementwise`` needs its derivative.
    parameters : list
        From ``net.init``.
    x1, x2 : array
        Inputs (n1, ...) and (n2, ...), finite; None: x1.

    Raises
    ------
    ValueError
        If the inputs do not fit the parameters, are empty or not finite, or the network does not end in vectors.
    TypeError
        If net is no network.

    Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572, section 3.

    >>> import mattis as mt
    >>> net = mt.nn.serial(mt.nn.Dense(sigma_w=2.0, sigma_b=0.5))
    >>> _, parameters = net.init(np.random.default_rng(1), (2,), 1)
    >>> round(float(tangent_kernel(net, parameters, np.array([[3.0, 4.0]]))[0, 0]), 9)  # 4 (25/2) + 1/4
    50.25
    """
    one = _tape(net, parameters, batch(net, parameters, x1, "x1"))
    two = one if x2 is None else _tape(net, parameters, batch(net, parameters, x2, "x2"))
    total: Array = sum(layer.gram((x, d), (y, e)) for (layer, x, d), (_, y, e) in zip(one, two, strict=True))
    return total


def _tape(net: Network, parameters: Parameters, x: Array) -> list[Any]:
    """(layer, what it receives, what flows back to it) of every layer with parameters."""
    tape: list[Any] = []
    out = net.apply(parameters, x)
    if out.ndim != 2:
        raise ValueError(
            f"the network must end in vectors, got outputs of shape {out.shape[1:]}: put Flatten or GlobalAvgPool"
        )
    delta = np.zeros_like(out)
    delta[:, 0] = 1.0
    net.backward(parameters, x, delta, tape)
    return tape


class Drawn(NamedTuple):
    """Means over draws, their standard errors, and the spread of one draw."""

    mean: xr.DataArray
    error: xr.DataArray
    std: xr.DataArray


def empirical_kernel(net: Network, x: Any, *, units: int, draws: int, seed: int, outputs: int = 1) -> dict[str, Drawn]:
    r"""NNGP and NTK of finite networks, averaged over random ones.

    Parameters
    ----------
    net : Network
        Its last layer, in a network inside a network too, a Dense without ``units`` of its own.
    x : array
        Inputs (n, ...), finite.
    units : int
        Width n of every hidden layer without ``units`` of its own, >= 1.
    draws : int
        Networks, >= 2.
    seed : int
        >= 0, of the draws; each has a generator of its own, so more draws never change the first ones.
    outputs : int
        Of each network, >= 1: f f' is averaged over them too.

    Returns
    -------
    dict
        "nngp" and "ntk": ``mean``, ``error`` (standard error of the mean) and ``std`` over draws, each (x1, x2).

    Raises
    ------
    ValueError
        If an argument is outside its range, x is empty or does not fit the network, or the network ends otherwise.
    TypeError
        If a count is no integer, or net no network.

    Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572, figure 1.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu(), sigma_w=2**0.5)
    >>> found = empirical_kernel(net, [[1.0, 1.0]], units=64, draws=50, seed=1)["ntk"]
    >>> bool(abs(found.mean[0, 0] - 4.0) < 4 * found.error[0, 0])
    True
    """
    require_integer(draws, "draws", 2, 2**31, ">= 2")
    require_integer(seed, "seed", 0, 2**63 - 1, "in [0, 2^63)")
    x = _inputs(x, "x")
    nngp, ntk = [], []
    for draw in range(draws):
        parameters = draw_parameters(net, x.shape[1:], units=units, outputs=outputs, seed=(seed, draw))
        f = net.apply(parameters, x)
        nngp.append(f @ f.T / f.shape[1])
        ntk.append(tangent_kernel(net, parameters, x))
    return {name: _drawn(np.array(values)) for name, values in (("nngp", nngp), ("ntk", ntk))}


def draw_parameters(net: Network, shape: tuple[int, ...], *, units: int, outputs: int, seed: Any) -> Parameters:
    """Random parameters of a network of ``units`` hidden units whose last layer has ``outputs``.

    Parameters
    ----------
    net : Network
        Its last layer, in a network inside a network too, a Dense without ``units`` of its own.
    shape : tuple of int
        Of one input, without the sample.
    units, outputs : int
        >= 1; of every hidden layer without ``units`` of its own, and of the last one.
    seed : int or tuple of int
        >= 0.

    Returns
    -------
    list
        For ``net.apply``: what belongs to each layer, for a network inside the list of its layers.

    Raises
    ------
    ValueError
        If an argument is outside its range, or the network ends otherwise.
    TypeError
        If a count is no integer, or net no network.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu())
    >>> parameters = draw_parameters(net, (3,), units=16, outputs=2, seed=1)
    >>> net.apply(parameters, np.ones((5, 3))).shape
    (5, 2)
    """
    for value, name in ((units, "units"), (outputs, "outputs")):
        require_integer(value, name, 1, 2**31, ">= 1")
    for entry in seed if isinstance(seed, tuple) and seed else (seed,):
        require_integer(entry, "seed", 0, 2**63 - 1, "in [0, 2^63)")
    if not isinstance(shape, list | tuple) or len(shape) == 0:
        raise ValueError(f"shape must be that of one input, such as (d,), got {shape!r}")
    for i, size in enumerate(shape):
        require_integer(size, f"shape[{i}]", 1, 2**31, ">= 1")
    name, last = _ends(net)
    if not isinstance(last, Dense) or last.units is not None:
        own = f" of {last.units} units" if isinstance(last, Dense) else ""
        raise ValueError(f"outputs needs a net whose last layer is a Dense without units of its own, got {name}{own}")
    return _draw(net, np.random.default_rng(seed), tuple(shape), units, outputs)[1]


def _draw(net: Network, rng: np.random.Generator, shape: Shape, units: int, outputs: int) -> tuple[Shape, Parameters]:
    """As ``net.init``, with ``outputs`` for the very last layer."""
    made = []
    for i, layer in enumerate(net.layers, 1):
        width = outputs if i == len(net.layers) else units
        if isinstance(layer, Network):
            shape, parameters = _draw(layer, rng, shape, units, width)
        else:
            shape, parameters = layer.init(rng, shape, width)
        made.append(parameters)
    return shape, made


def _ends(net: Network, inside: str = "") -> tuple[str, Layer]:
    """The very last layer and its name."""
    name, last = _named(net, inside)[-1]
    return _ends(last, f"{name.split()[1]}.") if isinstance(last, Network) else (name, last)


def _named(net: Network, inside: str) -> list[tuple[str, Layer]]:
    if not isinstance(net, Network):
        raise TypeError(f"net must be a network from serial or mlp, got {net!r}")
    return net.named(inside)


def batch(net: Network, parameters: Parameters, x: Any, name: str) -> Array:
    """Finite inputs (n, ...) that go through the network with these parameters; or what does not fit, by name."""
    x = _inputs(x, name)
    _fit(net, parameters, x.shape[1:], name, "")
    return x


def _inputs(x: Any, name: str) -> Array:
    x = real_array(x, name)
    if x.ndim < 2 or 0 in x.shape:
        raise ValueError(f"{name} must be inputs (n, ...) and not empty, got shape {x.shape}")
    require(np.isfinite(x), name, x, "finite")
    return x


def _fit(net: Network, parameters: Parameters, shape: Any, name: str, inside: str) -> Any:
    """The shape of what comes out of inputs of a shape."""
    named = _named(net, inside)
    for (label, layer), own in zip(named, _each(parameters, len(named), f"{len(named)} layers"), strict=True):
        if isinstance(layer, Network):
            shape = _fit(layer, own, shape, name, f"{label.split()[1]}.")
        elif isinstance(layer, Parallel):
            count = len(layer.layers)
            if not isinstance(shape, list) or len(shape) != count:
                raise ValueError(f"net: {label} has {count} branches: put FanOut({count}) before it")
            branches = zip(layer.layers, _each(own, count, f"{count} branches of {label}"), shape, strict=True)
            shape = [_fit(Network((one,)), [p], at, name, f"{label.split()[1]}.") for one, p, at in branches]
        else:
            shape = _fit_layer(label, layer, own, shape, name)
    return shape


def _each(parameters: Parameters, count: int, of: str) -> Any:
    if not isinstance(parameters, list | tuple) or len(parameters) != count:
        got = f"{len(parameters)} entries" if isinstance(parameters, list | tuple) else repr(parameters)
        raise ValueError(f"parameters must be a list with an entry for each of {of}, got {got}")
    return parameters


class _Shapes:
    """In place of a generator: numbers of the right shapes that take no memory."""

    def standard_normal(self, shape: Any) -> Array:
        return np.broadcast_to(0.0, shape)

    def integers(self, high: int) -> int:
        return 0


def _fit_layer(label: str, layer: Layer, own: Parameters, shape: Any, name: str) -> Any:
    sizes = [np.shape(p) for p in own] if isinstance(own, list | tuple) else None
    units = sizes[0][-1] if sizes and sizes[0] else 1
    rng: Any = _Shapes()
    after, needed = layer.init(rng, shape, units)
    wanted = [np.shape(p) for p in needed] if isinstance(needed, tuple) else None
    if sizes != wanted:
        must = f"W and b of shapes {wanted[0]} and {wanted[1]}" if wanted else "nothing"
        got = " and ".join(map(str, sizes)) if sizes else repr(own)
        raise ValueError(f"parameters of {label} must be {must}, as {name} gives it inputs {shape}, got {got}")
    return after


def _drawn(values: Array) -> Drawn:
    std = values.std(0, ddof=1)
    arrays = (values.mean(0), std / np.sqrt(len(values)), std)
    return Drawn(*(xr.DataArray(a, dims=("x1", "x2")) for a in arrays))
