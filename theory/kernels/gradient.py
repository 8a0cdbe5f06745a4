r"""Derivatives of the NNGP kernel by the scales of all layers, carried forward beside it.

    K' = sigma_w^2 V(a, K, b) + sigma_b^2,
    dK' = sigma_w^2 (V_k dK + V_a da + V_b db) + 2 sigma_w V dsigma_w + 2 sigma_b dsigma_b,

with the limits of coincident inputs: V_a of a pair of ReLUs is sqrt(ab - K^2)/(4 pi a), zero there.
"""

from typing import Any, NamedTuple

import numpy as np

from ...core.backend import Array, namespace_of
from .activation import Activation
from .affine import Dense
from .kernel import check_input
from .network import Network
from .plan import flat
from .positions import Flatten


class Tangent(NamedTuple):
    """Variances and covariances, and their derivatives by a common sigma_w and sigma_b."""

    a: Array
    k: Array
    da: Array
    """(2, n)"""
    dk: Array
    """(2, n, n)"""


def kernel_gradient(net: Network, x: Any) -> dict[str, Array]:
    """See ``Network.kernel_gradient``.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu(), sigma_w=1.5, sigma_b=0.5)
    >>> round(float(net.kernel_gradient([[1.0, 2.0]])["sigma_b"][0, 0]), 9)  # 2 sigma_b (1 + sigma_w^2/2)
    2.125
    """
    if namespace_of(x) is not np:
        raise ValueError("x must be a host array: gradients are for the processor")
    x = check_input(x, "x")
    layers = list(flat(net))
    if x.ndim == 4 and not isinstance(layers[0][1], Flatten):
        raise ValueError(f"{layers[0][0]}: gradients are for vectors: put Flatten before it")
    x = x.reshape(len(x), -1)
    n, d = x.shape
    state = Tangent(np.einsum("ij,ij->i", x, x) / d, x @ x.T / d, np.zeros((2, n)), np.zeros((2, n, n)))
    gaussian = False
    with np.errstate(over="ignore", invalid="ignore"):  # refused at the end
        for name, layer in layers:
            if isinstance(layer, Dense):
                layer.squares(name)  # refuses what is no number
                state, gaussian = _dense(state, layer.sigma_w, layer.sigma_b), True
            elif isinstance(layer, Activation) and gaussian:
                state, gaussian = _activation(state, layer), False
            elif not isinstance(layer, Flatten):
                raise ValueError(f"{name}: gradients are for Dense layers with one activation between them")
    if not all(np.isfinite(part).all() for part in state):
        raise OverflowError(
            "the kernel or its derivatives leave the range of floating-point numbers: take other sigma_w"
        )
    return {"sigma_w": state.dk[0], "sigma_b": state.dk[1]}


def _dense(s: Tangent, sigma_w: float, sigma_b: float) -> Tangent:
    square, shift = sigma_w**2, sigma_b**2
    da, dk = square * s.da, square * s.dk
    da[0] += 2 * sigma_w * s.a
    dk[0] += 2 * sigma_w * s.k
    da[1] += 2 * sigma_b
    dk[1] += 2 * sigma_b
    return Tangent(square * s.a + shift, square * s.k + shift, da, dk)


def _activation(s: Tangent, layer: Activation) -> Tangent:
    a, b = s.a[:, None], s.a[None]
    V, slope, V_a = layer.averages(a, s.k, b, derivative=True)
    own, own_slope, own_a = layer.averages(s.a, s.a, s.a, derivative=True)
    dk = slope * s.dk + V_a * s.da[:, :, None] + V_a.T * s.da[:, None, :]
    return Tangent(own, V, (own_slope + 2 * own_a) * s.da, dk)
