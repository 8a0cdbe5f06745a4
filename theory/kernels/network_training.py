r"""Finite networks trained on least squares: full-batch gradient descent on all parameters.

.. math::
    \theta_{k+1} = \theta_k - \eta\,\nabla_\theta \tfrac12 \sum_i |f(x_i) - y_i|^2, \qquad
    \dot f = -\Theta\,(f - y) \text{ in } t = \eta k \text{ as } \eta \to 0

Theta is the empirical NTK of the network as it is: it moves in training, the less the wider the network. At infinite
width it stands still, and ``GradientDescent`` and ``GradientFlow`` give the same f without training anything.
"""

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import ConvergenceError, is_real, real_array, require
from .affine import Conv, Dense
from .branches import Parallel
from .empirical import batch, tangent_kernel
from .layer import Layer, Parameters
from .network import Network


@dataclass(frozen=True, eq=False)
class TrainedNetwork:
    """What ``train`` returns."""

    parameters: Parameters
    """after the last step, for ``net.apply`` and ``tangent_kernel``"""
    f: xr.DataArray
    """(step, x1), or (step, x1, output) where y has outputs, with the coordinates step and t = learning_rate step"""
    loss: xr.DataArray
    r"""(step,), :math:`\frac12\sum|f(X) - y|^2`"""


def train(
    net: Network, parameters: Parameters, X: Any, y: Any, *, learning_rate: float, steps: ArrayLike, x: Any = None
) -> TrainedNetwork:
    r"""Train one finite network by gradient descent on half the sum of squares.

    .. math::
        \theta_{k+1} = \theta_k - \eta\,\sum_i (f(x_i) - y_i)\,\nabla_\theta f(x_i)

    Parameters
    ----------
    net : Network
        Ends in vectors.
    parameters : list
        From ``net.init`` or ``draw_parameters``; not changed.
    X : array_like, shape (n, ...)
        Training inputs.
    y : array_like, shape (n,) or (n, outputs)
        Labels, finite; (n,) for a network of one output.
    learning_rate : float, > 0
        eta. Descent is stable below 2/lambda_max of the NTK of X, and follows gradient flow far below.
    steps : array_like of int, shape () or (counts,)
        Numbers of steps, >= 0 and increasing, after each of which f and the loss are kept.
    x : array_like, shape (points, ...), optional
        Where f is kept; None: X.

    Returns
    -------
    TrainedNetwork
        ``parameters``, ``f`` and ``loss``.

    Raises
    ------
    ValueError
        If an argument is outside its range or of a wrong shape, or the inputs do not fit the parameters.
    TypeError
        If steps are no integers, or net is no network.
    ConvergenceError
        If the loss leaves the range of floating-point numbers.

    Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572, section 6.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Erf(), sigma_b=0.5)
    >>> X, y = np.array([[1.0, 0.0], [0.0, 1.0]]), [1.0, -1.0]
    >>> start = mt.nn.draw_parameters(net, (2,), units=4096, outputs=1, seed=1)
    >>> f0 = net.apply(start, X)[:, 0]
    >>> wide = f0 + mt.nn.GradientFlow(net, X, y - f0).predict(X, t=2.0, cov=False).mean
    >>> run = train(net, start, X, y, learning_rate=0.02, steps=100)
    >>> bool(abs(run.f[-1] - wide).max() < 0.02)
    True
    """
    X = batch(net, parameters, X, "X")
    x = None if x is None else batch(net, parameters, x, "x")
    counts, labels = _counts(steps), real_array(y, "y")
    require(is_real(learning_rate) and learning_rate > 0, "learning_rate", learning_rate, "finite and > 0")
    require(np.isfinite(labels), "y", labels, "finite")
    learning_rate = float(learning_rate)
    own, shape = deepcopy(parameters), net.apply(parameters, X).shape
    y = labels[:, None] if labels.ndim == 1 else labels
    if labels.ndim not in (1, 2) or shape != y.shape:
        raise ValueError(
            f"y must have shape (n,) or (n, outputs) as what comes out of X, {shape}, got shape {labels.shape}"
        )
    f, loss = _descend(net, parameters, own, X, y, learning_rate, counts, x)
    axes = {"step": np.ravel(counts), "t": ("step", learning_rate * np.ravel(counts))}
    dims = ("step", "x1", "output")[: 1 + labels.ndim]
    return TrainedNetwork(
        own,
        xr.DataArray(f[..., 0] if labels.ndim == 1 else f, axes, dims),
        xr.DataArray(loss, axes, ("step",)),
    )


def _counts(steps: ArrayLike) -> Array:
    counts = np.atleast_1d(np.asarray(steps))
    if counts.size == 0:
        raise ValueError("steps must be a count or an increasing list of counts, got an empty list")
    if counts.dtype.kind not in "iu":
        raise TypeError(f"steps must be integers >= 0, got {steps!r}")
    if counts.ndim > 1 or (np.diff(counts.astype(np.int64)) <= 0).any():
        raise ValueError(f"steps must be a count or an increasing list of counts, got {counts.tolist()}")
    require(counts >= 0, "steps", counts, ">= 0")
    return counts


def _descend(
    net: Network, start: Parameters, own: Parameters, X: Array, y: Array, eta: float, counts: Array, x: Array | None
) -> tuple[Array, Array]:
    """f (count, points, outputs) and the loss (count,), of parameters that are changed in place."""
    weights, f, loss = trained_parameters(net, own), [], []
    for k in range(int(counts[-1]) + 1):
        with np.errstate(over="ignore", invalid="ignore"):  # told below
            residual, tape = _backward(net, own, X, y)
            now = float(np.vdot(residual, residual)) / 2
        if not np.isfinite(now):
            raise ConvergenceError(f"gradient descent diverged at step {k}: {_why(k, net, start, X, eta)}")
        if k in counts:
            f.append(residual + y if x is None else net.apply(own, x))
            loss.append(now)
        if k < counts[-1]:
            with np.errstate(over="ignore", invalid="ignore"):
                for (W, b), (layer, received, delta) in zip(weights, tape, strict=True):
                    by_W, by_b = layer.gradient(received, eta * delta)
                    W -= by_W
                    b -= by_b
    return np.array(f), np.array(loss)


def _why(step: int, net: Network, start: Parameters, X: Array, eta: float) -> str:
    """What made the loss overflow, as far as the NTK of the first output at the start tells."""
    if step == 0:
        return "X, y or the parameters are too large for a finite loss"
    with np.errstate(over="ignore", invalid="ignore"):
        Theta = tangent_kernel(net, start, X)
    if not np.isfinite(Theta).all():
        return "X or the parameters are too large for their NTK"
    bound = 2 / float(np.linalg.eigvalsh(Theta)[-1])
    if eta > bound:
        return f"learning_rate={eta!r} is above 2/lambda_max = {bound:.6g} of the NTK of X at the start"
    return f"learning_rate={eta!r} is below 2/lambda_max = {bound:.6g} of the NTK of X at the start, which has grown"


def _backward(net: Network, parameters: Parameters, X: Array, y: Array) -> tuple[Array, list[Any]]:
    """F(X) - y, and (layer, what it receives, derivative of the loss by what it gives) of layers with parameters."""
    received, tape = [X], list[Any]()
    for layer, p in zip(net.layers, parameters, strict=True):
        received.append(layer.apply(p, received[-1]))
    delta = residual = received.pop() - y
    for layer, p, h in reversed(list(zip(net.layers, parameters, received, strict=True))):
        delta = layer.backward(p, h, delta, tape)
    return residual, tape


def trained_parameters(layer: Layer, parameters: Parameters) -> list[Any]:
    """(W, b) of every Dense and Conv inside, in the order in which ``backward`` puts them on the tape."""
    if isinstance(layer, Dense | Conv):
        return [parameters]
    if not isinstance(layer, Network | Parallel):
        return []
    inside = list(zip(layer.layers, parameters, strict=True))
    ordered = inside if isinstance(layer, Parallel) else reversed(inside)
    return [found for one in ordered for found in trained_parameters(*one)]


def tangent_motion(net: Network, before: Parameters, after: Parameters, x: Any) -> float:
    r"""How far the empirical NTK has moved in training, |Theta_after - Theta_before|/|Theta_before| (Frobenius).

    Parameters
    ----------
    net : Network
    before, after : list
        Parameters, as of ``draw_parameters`` and ``train``.
    x : array
        Inputs (n, ...) on which the norm is taken.

    Raises
    ------
    ValueError
        If the inputs do not fit the parameters, or Theta_before vanishes on them.

    Source: J. Lee et al., arXiv:1902.06720, figure 1.

    >>> import mattis as mt
    >>> net = mt.nn.serial(mt.nn.Dense())  # linear in its parameters
    >>> start = mt.nn.draw_parameters(net, (2,), units=8, outputs=1, seed=1)
    >>> run = train(net, start, [[1.0, 2.0]], [1.0], learning_rate=0.1, steps=5)
    >>> tangent_motion(net, start, run.parameters, [[1.0, 2.0]])
    0.0
    """
    one, two = (tangent_kernel(net, parameters, x) for parameters in (before, after))
    norm = float(np.linalg.norm(one))
    require(norm > 0, "norm of the NTK of x before training", norm, "> 0")
    return float(np.linalg.norm(two - one)) / norm
