r"""The NNGP kernel of a multilayer perceptron as a kernel of scikit-learn, for its GaussianProcessRegressor.

.. math::
    K = K(x, x'; \sigma_w, \sigma_b), \qquad \theta = (\ln\sigma_b, \ln\sigma_w), \qquad
    \partial_{\ln\sigma} K = \sigma\, \partial_\sigma K
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import is_real, require
from .activation import Activation
from .network import Network, mlp

if find_spec("sklearn") is None:
    raise ImportError("mt.nn.ScikitKernel needs scikit-learn: pip install 'mattis[scikit]'")

_sklearn: Any = import_module("sklearn.gaussian_process.kernels")
_BLOCK = 64  # inputs at once of which only the diagonal is kept


class ScikitKernel(_sklearn.Kernel):  # type: ignore[misc]
    r"""NNGP kernel of ``mlp(hidden_layers=, activation=, sigma_w=, sigma_b=)`` for scikit-learn.

    scikit-learn searches over :math:`\theta = (\ln\sigma_b, \ln\sigma_w)`, in this (its alphabetic) order, with the
    exact gradient of the marginal likelihood; a bound "fixed" keeps a sigma where it is. Add ``WhiteKernel()`` for a
    noise that is searched too.

    Parameters
    ----------
    hidden_layers : int, >= 1
    activation : Activation
    sigma_w : float, > 0
        Of all layers, the readout too.
    sigma_b : float, >= 0
        Of all layers; 0 needs ``sigma_b_bounds="fixed"``.
    sigma_w_bounds, sigma_b_bounds : (low, high) of positive numbers, or "fixed"

    Raises
    ------
    ImportError
        On first use of the name, without scikit-learn.
    ValueError
        When called, if a sigma is out of its range or an input is not finite.
    OverflowError
        When called, if the kernel leaves the range of floating-point numbers.

    Examples
    --------
    >>> import mattis as mt
    >>> from sklearn.gaussian_process import GaussianProcessRegressor
    >>> kernel = mt.nn.ScikitKernel(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5)
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0, -1.0]
    >>> model = GaussianProcessRegressor(kernel, alpha=0.1, optimizer=None).fit(X, y)
    >>> round(float(model.predict([[0.8, 0.6]])[0]), 10)
    0.6621645249
    """

    def __init__(
        self,
        *,
        hidden_layers: int,
        activation: Activation,
        sigma_w: float = 1.0,
        sigma_b: float = 0.1,
        sigma_w_bounds: Any = (1e-2, 1e2),
        sigma_b_bounds: Any = (1e-3, 1e2),
    ) -> None:
        self.hidden_layers = hidden_layers
        self.activation = activation
        self.sigma_w = sigma_w
        self.sigma_b = sigma_b
        self.sigma_w_bounds = sigma_w_bounds
        self.sigma_b_bounds = sigma_b_bounds

    @property
    def hyperparameter_sigma_w(self) -> Any:
        """How scikit-learn is told of sigma_w."""
        return _sklearn.Hyperparameter("sigma_w", "numeric", self.sigma_w_bounds)

    @property
    def hyperparameter_sigma_b(self) -> Any:
        """How scikit-learn is told of sigma_b."""
        return _sklearn.Hyperparameter("sigma_b", "numeric", self.sigma_b_bounds)

    def __call__(self, X: ArrayLike, Y: ArrayLike | None = None, eval_gradient: bool = False) -> Any:
        """K(X, Y), shape (n, m), Y = X where None; with ``eval_gradient`` also dK/dtheta, shape (n, n, parameters)."""
        net, X = self._network(), np.atleast_2d(X)
        K = self._values(net, X, None if Y is None else np.atleast_2d(Y))
        if not eval_gradient:
            return K
        if Y is not None:
            raise ValueError("eval_gradient needs Y=None: the gradient is that of the kernel of X")
        free = [h.name for h in self.hyperparameters if not h.fixed]
        slopes = net.kernel_gradient(X) if free else {}
        gradient = np.empty((*K.shape, len(free)))
        for k, name in enumerate(free):
            gradient[:, :, k] = getattr(self, name) * np.asarray(slopes[name])
        return K, gradient

    def diag(self, X: ArrayLike) -> Array:
        """K(x, x), shape (n,)."""
        net, X = self._network(), np.atleast_2d(X)
        blocks = [X[i : i + _BLOCK] for i in range(0, len(X), _BLOCK)]
        return np.concatenate([np.diagonal(self._values(net, x, None)) for x in blocks])

    def is_stationary(self) -> bool:
        """False: K depends on the lengths of the inputs."""
        return False

    def __repr__(self) -> str:
        return (
            f"ScikitKernel(hidden_layers={self.hidden_layers}, sigma_w={self.sigma_w:.3g}, sigma_b={self.sigma_b:.3g})"
        )

    def _values(self, net: Network, x1: Any, x2: Any) -> Array:
        """K itself; scikit-learn has no place for a scale beside it."""
        pair = net.kernel(x1, x2, get="nngp")
        if pair.log_scale != 0:
            raise OverflowError(
                f"the kernel at sigma_w = {self.sigma_w:.3g} and {self.hidden_layers} hidden layers leaves the range "
                "of floating-point numbers: take narrower sigma_w_bounds"
            )
        values: Array = pair.nngp.values
        return values

    def _network(self) -> Network:
        """The network; a scale of 0 has no logarithm to search over."""
        for name, hyper in (("sigma_w", self.hyperparameter_sigma_w), ("sigma_b", self.hyperparameter_sigma_b)):
            value = getattr(self, name)
            require(is_real(value) and (value > 0 or hyper.fixed), name, value, "> 0 where it is searched")
        return mlp(
            hidden_layers=self.hidden_layers, activation=self.activation, sigma_w=self.sigma_w, sigma_b=self.sigma_b
        )
