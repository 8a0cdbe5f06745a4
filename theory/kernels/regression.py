r"""Exact inference with the Gaussian process of an infinitely wide network, and ridge regression with its kernels.

.. math::
    m_s = K_{sX} A^{-1} y, \qquad C_{ss} = K_{ss} - K_{sX} A^{-1} K_{Xs}, \qquad
    \ln Z = -\tfrac12 y^T A^{-1} y - \tfrac12 \ln|A| - \tfrac n2 \ln 2\pi, \qquad A = K_{XX} + \mathrm{noise}
"""

from dataclasses import dataclass
from math import log, pi
from typing import Any

import numpy as np

from ...core.backend import Array
from .training import Prediction, WithKernel, labelled_cov

_RIDGE = (
    "kind='ntk' is kernel ridge regression, no Gaussian process: it has no {}; GradientFlow(..., noise=noise)"
    ".predict(X_test, t=np.inf) has the covariance of trained networks"
)


@dataclass(frozen=True, eq=False, kw_only=True)
class GaussianProcess(WithKernel):
    r"""The posterior of f ~ GP(0, K) after labels y = f(X) + Gaussian noise, by one Cholesky factor.

    .. math::
        m_s = K_{sX} A^{-1} y, \qquad C_{ss} = K_{ss} - K_{sX} A^{-1} K_{Xs}, \qquad A = K_{XX} + \mathrm{noise}

    With ``kind="ntk"`` the NTK stands for K: kernel ridge regression, which is the mean of networks trained to the end
    by gradient descent on :math:`\frac12|f - y|^2 + \frac{\rm noise}2|\theta - \theta_0|^2`. It has a mean only.

    Parameters
    ----------
    net : Network
        Has ``kernel(x1, x2, get=)``; its kernels are computed where first needed.
    X : array_like, shape (n, ...)
        Training inputs.
    y : array_like, shape (n,) or (n, outputs)
        Labels, finite. The outputs are independent and share K.
    noise : float, >= 0
        Variance of the noise of a label, in the units of K.
    kind : {"nngp", "ntk"}
        The kernel.
    convention : {"mattis", "neural_tangents"}
        "neural_tangents": noise is in units of the mean diagonal of K_XX.

    Raises
    ------
    ValueError
        If an argument is outside its range or of a wrong shape, or the kernel holds nan.
    ConvergenceError
        If the kernel matrix is indefinite by more than rounding. Within rounding a ``NotPositiveDefinite`` warning
        states the least eigenvalue and what was added to the diagonal; ``jitter`` reports it.

    Notes
    -----
    ``jitter`` (float) is what was added to the diagonal besides noise: 0.0 unless a warning has said so.
    Source: C. E. Rasmussen, C. K. I. Williams, Gaussian Processes for Machine Learning (2006), eqs 2.25, 2.26, 2.30,
    5.9; J. Lee et al., arXiv:1711.00165.

    Examples
    --------
    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.1)
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0, -1.0]
    >>> process = mt.nn.GaussianProcess(net, X, y, noise=0.1)
    >>> mean, cov = process.predict([[0.8, 0.6]])
    >>> round(float(mean[0]), 10), round(float(cov[0, 0]), 10), round(process.log_marginal_likelihood, 10)
    (0.6621645249, 0.1997244386, -3.9610368169)
    """

    def predict(self, X_test: Any, *, cov: bool | None = None) -> Prediction:
        """Mean and covariance of f at X_test.

        Parameters
        ----------
        X_test : array_like, shape (points, ...)
        cov : bool, optional
            Whether the covariance is computed; by default it is with ``kind="nngp"``.

        Returns
        -------
        mean : DataArray, shape (x1,) or (x1, output)
        cov : DataArray, shape (x1, x2), or None
            Of f, without the noise of a label; the same for every output.

        Raises
        ------
        ValueError
            If X_test has a wrong shape, or cov is True with ``kind="ntk"``.
        """
        if cov and self.kind == "ntk":
            raise ValueError(_RIDGE.format("covariance"))
        if cov is False or self.kind == "ntk":
            return Prediction(self._labelled(self._mean(X_test)), None)
        mean, spread = self._conditional(X_test)
        return Prediction(self._labelled(mean), labelled_cov(spread))

    @property
    def log_marginal_likelihood(self) -> float:
        """Ln Z = ln p(y | X), summed over the outputs."""
        self._refuse_ridge()
        n, outputs = self._targets.shape
        return -0.5 * (self._quadratic + outputs * (self._factor.log_determinant + n * log(2 * pi)))

    def log_marginal_likelihood_gradient(self) -> dict[str, float]:
        r"""Derivatives of ln Z by the parameters of ``net.kernel_gradient(X)`` and by ``noise``.

        .. math::
            \partial_\theta \ln Z = \tfrac12\,\mathrm{tr}\bigl[(\alpha\alpha^T - A^{-1})\,\partial_\theta A\bigr],
            \qquad \alpha = A^{-1} y

        Returns
        -------
        dict
            One number for each key of ``net.kernel_gradient(X)`` (sigma_w and sigma_b of all layers together) and one
            for "noise".

        Raises
        ------
        ValueError
            If ``kind="ntk"``, which has no marginal likelihood.
        """
        self._refuse_ridge()
        alpha, outputs = self._weights, self._targets.shape[1]
        inverse = outputs * self._factor.inverse_triangle()
        by_noise = (float(np.vdot(alpha, alpha)) - float(np.trace(inverse))) / 2
        relative = self.noise if self.convention == "neural_tangents" else 0.0

        def slope(dK: Array) -> float:
            """From one triangle of A^-1; the noise moves with the mean diagonal where it is relative to it."""
            diagonal = np.diagonal(dK)
            trace = 2 * np.einsum("ij,ij->", inverse, dK) - np.diagonal(inverse) @ diagonal
            return float(np.vdot(alpha, dK @ alpha) - trace) / 2 + relative * by_noise * float(diagonal.mean())

        slopes = {name: slope(np.asarray(dK)) for name, dK in self.net.kernel_gradient(self.X).items()}
        mean_diagonal = float(self._factor.diagonal.mean()) - self._factor.noise - self.jitter
        return slopes | {"noise": by_noise * (mean_diagonal if self.convention == "neural_tangents" else 1.0)}

    def _refuse_ridge(self) -> None:
        if self.kind == "ntk":
            raise ValueError(_RIDGE.format("marginal likelihood"))
