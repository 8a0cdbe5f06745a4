"""Networks as one layer after another, in their finite and their infinite form."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.errors import require_integer
from .activation import Activation
from .affine import Dense
from .layer import Layer, Parameters, State, require_layers

UNITS = 256
"""Of a hidden layer in the finite form, where neither the layer nor ``init`` says."""


@contextmanager
def naming(label: str) -> Iterator[None]:
    """Refusals from within begin with the name of a layer."""
    try:
        yield
    except ValueError as error:
        told = str(error)
        raise ValueError(told if told.startswith("layer ") else f"{label}: {told}") from None


def _silent(state: State) -> bool:
    return float(state.self1.k.max()) == 0


@dataclass(frozen=True)
class Network(Layer):
    """Layers in a row; made by ``serial`` and ``mlp``, and itself a layer.

    The infinite form is ``kernel(x1, x2)``, the finite form ``init`` and ``apply``.
    """

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        require_layers(self.layers, "serial", "layer")

    def named(self, inside: str = "") -> list[tuple[str, Layer]]:
        """Each layer with its name, as in "layer 3 (Dense)"."""
        return [(f"layer {inside}{i} ({x.title})", x) for i, x in enumerate(self.layers)]

    def init(self, rng: np.random.Generator, shape: Any, units: int = UNITS) -> tuple[Any, Parameters]:
        """Shape of what comes out of one input of ``shape``, and random parameters of all layers."""
        made = []
        for label, layer in self.named():
            with naming(label):
                shape, parameters = layer.init(rng, shape, units)
            made.append(parameters)
        return shape, made

    def _inputs(self, parameters: Parameters, x: Any) -> list[Any]:
        """What each layer receives, and what comes out at the end."""
        found = [x]
        for layer, p in zip(self.layers, parameters, strict=True):
            found.append(layer.apply(p, found[-1]))
        return found

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """What comes out of x (n, *shape)."""
        return self._inputs(parameters, x)[-1]

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Through all layers, from the last."""
        received = self._inputs(parameters, x)[:-1]
        for layer, p, one in reversed(list(zip(self.layers, parameters, received, strict=True))):
            delta = layer.backward(p, one, delta, tape)
        return delta

    def carry(self, state: State, name: str) -> State:
        """Covariances through all layers."""
        inside = f"{name.split()[1]}." if name else ""
        for label, layer in self.named(inside):
            if isinstance(state, list) and not layer.joins:
                raise ValueError(f"{label} stands after FanOut: put parallel and FanInSum before it")
            unit = layer if isinstance(layer, Activation) else None
            heard = unit is not None and not _silent(state)
            with naming(label):
                state = layer.carry(state, label)
            if unit and heard and _silent(state) and np.any(unit.function(np.array([-1.0, 1.0]))):
                raise OverflowError(f"{label} gives variances too small to be told from zero: take larger sigma_w")
        return state

    def needs_positions(self) -> bool:
        """Whether a layer does."""
        return any(layer.needs_positions() for layer in self.layers)

    def kernel(
        self,
        x1: Any,
        x2: Any = None,
        *,
        get: str | Sequence[str] = ("nngp", "ntk"),
        stable: bool = False,
        depths: Sequence[int] | None = None,
        out: Any = None,
        memory: float = 2.0**28,
        threads: int | None = None,
    ) -> "Any":
        r"""NNGP and NTK of the infinitely wide network,

            K(x, x') = lim E f(x) f(x'),     Theta(x, x') = lim E sum_theta df(x)/dtheta df(x')/dtheta.

        Parameters
        ----------
        x1, x2 : array
            Inputs (n1, d) and (n2, d), or images (n, height, width, channels); finite. ``x2`` None: x1 itself, only
            one triangle is computed, and the diagonal is exact.
        get : "nngp", "ntk" or both
            What is returned; the NNGP is part of every NTK.
        stable : bool
            Also the squared distances K(x, x) + K(x', x') - 2 K(x, x') and that of Theta, of full relative accuracy
            however close the inputs; for Dense layers with ABRelu (Relu, LeakyRelu, Abs) and Erf units.
        depths : list of int, optional
            Numbers of hidden layers, each from 1 to that of the network, increasing: the kernels of the networks cut
            after them, in one pass, along a first axis ``depth``. For Dense layers with ABRelu and Erf units.
        out : array or dict of arrays, optional
            Written tile by tile instead of arrays in memory: a memmap, a zarr array, anything with a ``shape`` that
            takes slices, of floats of 4 or 8 bytes; a dict by name ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist") where
            several are asked.
        memory : float
            Bytes that tiles may take, beyond inputs and results.
        threads : int, optional
            All cores by default.

        Returns
        -------
        Pair
            ``nngp``, ``ntk``, ``nngp_sqdist``, ``ntk_sqdist``: DataArrays with dims (x1, x2), (depth, x1, x2) with
            ``depths``, or ``out`` itself; None where not asked for. ``log_scale``: kernels are exp(log_scale) times
            what the arrays hold; 0 unless they would leave the range of floating-point numbers.
            ``quadrature_error``: of numerical activations.

        Raises
        ------
        ValueError
            If an input is not finite or of another shape, or a layer cannot follow the one before.
        OverflowError
            If a layer's variance cannot be represented.

        Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572; J. Lee et al., arXiv:1711.00165.

        >>> import mattis as mt
        >>> net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.0)
        >>> pair = net.kernel([[1.0, 0.5, -0.3], [0.2, -1.1, 0.7]])
        >>> round(float(pair.nngp[0, 1]), 12), round(float(pair.ntk[0, 0]), 12)
        (0.159409606247, 1.786666666667)
        """
        from .kernel import network_kernel

        return network_kernel(
            self, x1, x2, get=get, stable=stable, depths=depths, out=out, memory=memory, threads=threads
        )  # fmt: skip

    def kernel_gradient(self, x: Any) -> Mapping[str, Any]:
        """Derivatives of the NNGP kernel (n, n) by a common change of all sigma_w, and of all sigma_b."""
        from .gradient import kernel_gradient

        return kernel_gradient(self, x)


def serial(*layers: Layer) -> Network:
    """Layers in a row.

    >>> import mattis as mt
    >>> net = mt.nn.serial(mt.nn.Dense(), mt.nn.Erf(), mt.nn.Dense())
    >>> round(float(net.kernel([[1.0, 0.0]]).nngp[0, 0]), 12)  # (2/pi) asin(1/2)
    0.333333333333
    """
    return Network(tuple(layers))


def mlp(*, hidden_layers: int, activation: Activation, sigma_w: float = 1.0, sigma_b: float = 0.0) -> Network:
    """Dense, then ``hidden_layers`` times an activation and Dense: all layers, the readout too, of the same sigmas.

    Raises
    ------
    ValueError
        If ``hidden_layers`` < 1.

    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=3, activation=mt.nn.Relu(), sigma_w=2**0.5)
    >>> len(net.layers), round(float(net.kernel([[1.0, 1.0]]).ntk[0, 0]), 12)
    (7, 8.0)
    """
    require_integer(hidden_layers, "mlp: hidden_layers", 1, 2**20, ">= 1")
    if not isinstance(activation, Activation):
        raise TypeError(f"mlp: activation must be an activation such as Relu(), got {activation!r}")
    dense = Dense(sigma_w=sigma_w, sigma_b=sigma_b)
    return Network((dense, *(activation, dense) * hidden_layers))
