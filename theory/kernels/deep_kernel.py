r"""Deep kernel machines on data: fit and prediction.

A test point t follows the prior given the training points i, layer by layer, as its features do:

    G_ti = K_ti K_ii^-1 G_ii,      G_tt = K_tt - K_ti K_ii^-1 K_it + K_ti K_ii^-1 G_ii K_ii^-1 K_it

with K of the layer below and G of this one; so unlabelled points change neither L nor the Gram matrices of the others.
"""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.linalg import cho_factor, cho_solve

from ...core.backend import Array
from ...core.errors import require
from .deep_kernel_algebra import symmetric
from .deep_kernel_given import finite, given, points
from .deep_kernel_maps import GramMap, input_gram, square
from .deep_kernel_maximum import deep_kernel_optimum
from .training import Prediction


class DeepKernelMachine:
    r"""Regression with learned Gram matrices, G_0 = X X^T/nu_0 + input_noise delta.

    .. math:: L = \sum_c\ln\mathcal N(y_c; 0, K(G_L) + \mathrm{noise}\,I)
        - \sum_l\nu_l\,\mathrm{KL}(\mathcal N(0, G_l)\,\|\,\mathcal N(0, K(G_{l-1})))

    Parameters
    ----------
    X : array_like (n, nu_0)
        Inputs. n = 200 and two layers take seconds; a step costs some tens of n^3 products per layer.
    Y : array_like (n,) or (n, outputs)
        Labels.
    layers, nu, noise, kernel, start, seed, max_steps
        As in :func:`~mattis.theory.kernels.deep_kernel_maximum.deep_kernel_optimum`.
    input_noise : float >= 0
        Added to G_0(x, x') where x = x' exactly. It keeps K(G_0) invertible for inputs that almost coincide.

    Attributes
    ----------
    optimum : DeepKernelOptimum
        Gram matrices, L and its parts, residual and certificate.

    Raises
    ------
    ValueError
        If an argument is outside its range or K(G_0) is singular.
    ConvergenceError
        If no maximum is found.

    Source: arXiv:2108.13097.

    >>> X, Y = [[1.0, 0.5], [-0.4, 0.8], [0.3, -1.1]], [1.0, -0.5, 0.4]
    >>> machine = DeepKernelMachine(X, Y, layers=2, nu=2.0, noise=0.1)
    >>> mean, cov = machine.predict([[0.2, 0.1]])
    >>> round(machine.optimum.objective, 6), round(mean.item(), 6), round(cov.item(), 6)
    (-3.183289, 0.171152, 0.003307)
    """

    def __init__(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        layers: int,
        nu: ArrayLike,
        noise: float,
        kernel: str = "relu",
        input_noise: float = 0.0,
        start: str | ArrayLike = "nngp",
        seed: int = 0,
        max_steps: int = 200,
    ) -> None:
        self._X, self._input_noise = points("X", X), positive("input_noise", input_noise)
        self._known, self._flat = given(Y, len(self._X), kernel, layers, nu, noise), np.ndim(Y) == 1
        self._G0 = input_gram(self._X, self._X, self._input_noise)
        self.optimum = deep_kernel_optimum(
            self._G0,
            Y,
            layers=layers,
            nu=nu,
            noise=noise,
            kernel=kernel,
            start=start,
            seed=seed,
            max_steps=max_steps,
        )

    def predict(self, X_test: ArrayLike) -> Prediction:
        r"""Mean and covariance of the noise-free outputs at test points.

        .. math:: K_{ti}(K_{ii} + \mathrm{noise})^{-1}Y, \qquad K_{tt} - K_{ti}(K_{ii} + \mathrm{noise})^{-1}K_{it}

        K of the last layer.

        Parameters
        ----------
        X_test : array_like (t, nu_0)

        Returns
        -------
        mean : DataArray (x1,) or (x1, output), as Y
        cov : DataArray (x1, x2), the same for every output

        Raises
        ------
        ValueError
            If X_test has another number of columns or is not finite.
        """
        X = points("X_test", X_test, self._X.shape[1])
        cross, test = (input_gram(X, other, self._input_noise) for other in (self._X, X))
        K, K_ti, K_tt = propagate(self._known.kernel, self._G0, self.optimum.grams.values, cross, test)
        W = cho_solve(cho_factor(K + self._known.noise * np.eye(len(K))), K_ti.T).T
        return labelled(W @ self._known.Y, K_tt - W @ K_ti.T, self._flat)


def propagate(kernel: GramMap, G0: Array, grams: Array, cross: Array, test: Array) -> tuple[Array, Array, Array]:
    """K_ii, K_ti, K_tt of the last layer, from G_ii of all layers and G_ti, G_tt of the inputs."""
    G = G0
    for above in grams:
        K, K_ti, K_tt = _blocks(kernel, G, cross, test)
        W = cho_solve(cho_factor(K), K_ti.T).T
        G, cross, test = above, W @ above, K_tt + W @ (above - K) @ W.T
    return _blocks(kernel, G, cross, test)


def _blocks(kernel: GramMap, G: Array, cross: Array, test: Array) -> tuple[Array, Array, Array]:
    K_ti = kernel.slopes(cross, np.diagonal(test)[:, None], np.diagonal(G)[None, :]).k
    return square(kernel, G).k, K_ti, square(kernel, test).k


def labelled(mean: Array, cov: Array, flat: bool) -> Prediction:
    """A prediction with its axes; ``flat`` for one output without an axis of its own."""
    one = xr.DataArray(mean[:, 0], dims="x1") if flat else xr.DataArray(mean, dims=("x1", "output"))
    return Prediction(one, xr.DataArray(symmetric(cov), dims=("x1", "x2")))


def positive(name: str, value: float) -> float:
    """Return a number >= 0."""
    v = finite(name, value)
    require(v >= 0, name, v, ">= 0")
    return float(v)
