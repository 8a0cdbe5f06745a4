r"""Sparse deep kernel machines: the Gram matrices of a few inducing points stand for those of all data.

    L = sum_c ln N(y_c; 0, Q + noise I) - C tr(K_tt - Q)/(2 noise) - sum_l nu_l KL(N(0, G_ii^l) || N(0, K_ii^{l-1}))

Q = K_ti K_ii^-1 K_it of the last layer. The cost is P Pi^2 for P data and Pi inducing points.
"""

import numpy as np
from numpy.typing import ArrayLike

from ...core.errors import require
from .deep_kernel import labelled, positive, propagate
from .deep_kernel_algebra import factor, lower
from .deep_kernel_bound import evaluate_bound, layers_seen, seen
from .deep_kernel_given import forward, given, points, started
from .deep_kernel_maps import input_gram
from .deep_kernel_maximum import maximised
from .training import Prediction


class SparseDeepKernelMachine:
    r"""Deep kernel machine of many data through inducing points.

    .. math:: L = \sum_c\ln\mathcal N(y_c; 0, Q + \mathrm{noise}\,I)
        - \frac{C\,\mathrm{tr}(K_{tt} - Q)}{2\,\mathrm{noise}}
        - \sum_l\nu_l\,\mathrm{KL}(\mathcal N(0, G_{ii}^l)\,\|\,\mathcal N(0, K_{ii}^{l-1}))

    Parameters
    ----------
    X : array_like (P, nu_0)
        Inputs.
    Y : array_like (P,) or (P, outputs)
        Labels, C columns.
    inducing : array_like (Pi, nu_0)
        Inducing inputs, all different; they stay where they are. With inducing = X the result is that of
        :class:`~mattis.theory.kernels.deep_kernel.DeepKernelMachine`; with fewer L is lower.
    noise : float > 0
        Variance of the labels.
    layers, nu, kernel, input_noise, start, seed, max_steps
        As in :class:`~mattis.theory.kernels.deep_kernel.DeepKernelMachine`.

    Attributes
    ----------
    optimum : DeepKernelOptimum
        Gram matrices of the inducing points, L and its parts, residual and certificate.

    Raises
    ------
    ValueError
        If an argument is outside its range or K(G_0) of the inducing points is singular.
    ConvergenceError
        If no maximum is found.

    Source: arXiv:2108.13097, inducing points; the outputs are integrated as in Titsias, AISTATS 5, 567 (2009).

    >>> X = np.linspace(-1, 1, 20)[:, None] ** [1, 0]
    >>> machine = SparseDeepKernelMachine(X, np.sin(3 * X[:, 0]), inducing=X[::4], layers=1, nu=5.0, noise=0.1)
    >>> mean, _ = machine.predict([[0.5, 1.0]])
    >>> round(machine.optimum.objective, 6), round(mean.item(), 6)
    (-13.614336, 0.624567)
    """

    def __init__(
        self,
        X: ArrayLike,
        Y: ArrayLike,
        *,
        inducing: ArrayLike,
        layers: int,
        nu: ArrayLike,
        noise: float,
        kernel: str = "relu",
        input_noise: float = 0.0,
        start: str | ArrayLike = "nngp",
        seed: int = 0,
        max_steps: int = 200,
    ) -> None:
        data, self._input_noise = points("X", X), positive("input_noise", input_noise)
        self._known, self._flat = given(Y, len(data), kernel, layers, nu, noise), np.ndim(Y) == 1
        require(self._known.noise > 0, "noise", self._known.noise, "> 0")
        self._Z = points("inducing", inducing, data.shape[1])
        self._G0, cross = (input_gram(x, self._Z, self._input_noise) for x in (self._Z, data))
        variances = (data**2).sum(1) / data.shape[1] + self._input_noise
        require(variances > 0, "the squared length of a row of X", variances, "> 0")
        prior = forward(self._G0, self._known.kernel, layers)
        first = seen(self._known.kernel, self._G0, cross, variances)
        self.optimum = maximised(
            lambda R: evaluate_bound(first, self._known, R), started(start, prior, seed), self._known.nu, max_steps
        )
        self._last = layers_seen(self._known.kernel, first, self.optimum.grams.values)[-1]

    def predict(self, X_test: ArrayLike) -> Prediction:
        r"""Mean and covariance of the noise-free outputs at test points.

        .. math:: K_{*i}\Sigma^{-1}K_{it}Y, \qquad K_{**} - K_{*i}(K_{ii}^{-1} - \mathrm{noise}\,\Sigma^{-1})K_{i*},
            \qquad \Sigma = \mathrm{noise}\,K_{ii} + K_{it}K_{ti}

        Parameters
        ----------
        X_test : array_like (points, nu_0)

        Returns
        -------
        mean : DataArray (x1,) or (x1, output), as Y
        cov : DataArray (x1, x2), the same for every output

        Raises
        ------
        ValueError
            If X_test has another number of columns or is not finite.
        """
        X = points("X_test", X_test, self._Z.shape[1])
        cross, test = (input_gram(X, other, self._input_noise) for other in (self._Z, X))
        _, K_ti, K_tt = propagate(self._known.kernel, self._G0, self.optimum.grams.values, cross, test)
        data, new = lower(self._last.J, self._last.cross.k.T), lower(self._last.J, K_ti.T)
        root = factor(self._known.noise * np.eye(len(data)) + data @ data.T)
        seen_new = lower(root, new)
        mean = seen_new.T @ lower(root, data @ self._known.Y)
        return labelled(mean, K_tt - new.T @ new + self._known.noise * seen_new.T @ seen_new, self._flat)
