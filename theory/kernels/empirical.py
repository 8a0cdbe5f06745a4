r"""The empirical kernels of finite networks: K = f(x) f(x') and Theta = sum_theta df(x)/dtheta df(x')/dtheta.

Of one output f of a network drawn at random; the derivatives are products of what each layer receives and what flows
back, written by hand for every layer. At width n both fluctuate around the kernels of infinite width by n^(-1/2), and
their means are off by 1/n.
"""

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from ...core.backend import Array
from ...core.errors import require_integer
from .layer import Parameters
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
        Inputs (n1, ...) and (n2, ...); None: x1.

    Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572, section 3.

    >>> import mattis as mt
    >>> net = mt.nn.serial(mt.nn.Dense(sigma_w=2.0, sigma_b=0.5))
    >>> _, parameters = net.init(np.random.default_rng(1), (2,), 1)
    >>> round(float(tangent_kernel(net, parameters, np.array([[3.0, 4.0]]))[0, 0]), 9)  # 4 (25/2) + 1/4
    50.25
    """
    one = _tape(net, parameters, np.asarray(x1, float))
    two = one if x2 is None else _tape(net, parameters, np.asarray(x2, float))
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
        Its last layer a Dense without ``units`` of its own.
    x : array
        Inputs (n, ...).
    units : int
        Width n of every hidden layer without ``units`` of its own, >= 1.
    draws : int
        Networks, >= 2.
    seed : int
        Of the draws; each has a generator of its own, so more draws never change the first ones.
    outputs : int
        Of each network, >= 1: f f' is averaged over them too.

    Returns
    -------
    dict
        "nngp" and "ntk": ``mean``, ``error`` (standard error of the mean) and ``std`` over draws, each (x1, x2).

    Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572, figure 1.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu(), sigma_w=2**0.5)
    >>> found = empirical_kernel(net, [[1.0, 1.0]], units=64, draws=50, seed=1)["ntk"]
    >>> bool(abs(found.mean[0, 0] - 4.0) < 4 * found.error[0, 0])
    True
    """
    for value, name, low in ((units, "units", 1), (draws, "draws", 2), (outputs, "outputs", 1)):
        require_integer(value, name, low, 2**31, f">= {low}")
    x = np.asarray(x, float)
    nngp, ntk = [], []
    for draw in range(draws):
        parameters = draw_parameters(net, x.shape[1:], units=units, outputs=outputs, seed=(seed, draw))
        f = net.apply(parameters, x)
        nngp.append(f @ f.T / f.shape[1])
        ntk.append(tangent_kernel(net, parameters, x))
    return {name: _drawn(np.array(values)) for name, values in (("nngp", nngp), ("ntk", ntk))}


def draw_parameters(net: Network, shape: tuple[int, ...], *, units: int, outputs: int, seed: Any) -> Parameters:
    """Random parameters of a network of ``units`` hidden units whose last layer has ``outputs``.

    Inputs have ``shape`` without the sample; ``seed`` is an integer or a tuple of them.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu())
    >>> parameters = draw_parameters(net, (3,), units=16, outputs=2, seed=1)
    >>> net.apply(parameters, np.ones((5, 3))).shape
    (5, 2)
    """
    rng, made = np.random.default_rng(seed), []
    for i, layer in enumerate(net.layers, 1):
        shape, parameters = layer.init(rng, shape, outputs if i == len(net.layers) else units)
        made.append(parameters)
    return made


def _drawn(values: Array) -> Drawn:
    std = values.std(0, ddof=1)
    arrays = (values.mean(0), std / np.sqrt(len(values)), std)
    return Drawn(*(xr.DataArray(a, dims=("x1", "x2")) for a in arrays))
