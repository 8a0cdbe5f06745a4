r"""The Student-t process of a network: a Gaussian process whose overall scale is unknown.

.. math::
    f \mid s^2 \sim \mathrm{GP}(0, s^2 K), \qquad s^2 \sim \mathrm{InvGamma}(\alpha, \beta)

The labels enter through :math:`Q = y^T A^{-1} y` and :math:`\ln|A|` only, A = K_XX + noise.
"""

from dataclasses import dataclass
from math import lgamma, log, log1p, pi
from typing import Any, NamedTuple

import xarray as xr
from scipy.special import betaln

from ...core.errors import is_real, require
from .training import Trained, labelled_cov


class StudentT(NamedTuple):
    """A multivariate t: mean ``loc`` (nu > 1), covariance ``scale`` nu/(nu - 2) (nu > 2)."""

    nu: float
    """degrees of freedom, 2 alpha + number of labels"""
    loc: xr.DataArray
    """(x1,) or (x1, output)"""
    scale: xr.DataArray
    """(x1, x2), the same for every output"""


@dataclass(frozen=True, eq=False, kw_only=True)
class StudentTProcess(Trained):
    r"""The Student-t process of a network whose readout has an inverse-gamma variance, :math:`s^2 \sim
    \mathrm{InvGamma}(\alpha, \beta)`, of density :math:`\propto s^{-2\alpha-2} e^{-\beta/s^2}`.

    .. math::
        f_s \mid y \sim t_\nu\Bigl(K_{sX} A^{-1} y,\ \frac{2\beta + Q}{2\alpha + N}\,
        (K_{ss} - K_{sX} A^{-1} K_{Xs})\Bigr), \qquad \nu = 2\alpha + N

    with N = n outputs labels. All outputs share one s^2: they are uncorrelated and not independent.

    Parameters
    ----------
    net : Network
        Has ``kernel(x1, x2, get=)``; its NNGP kernel is computed where first needed.
    X : array_like, shape (n, ...)
        Training inputs.
    y : array_like, shape (n,) or (n, outputs)
        Labels, finite.
    alpha, beta : float, > 0
        Shape and scale of the inverse gamma law. alpha = beta -> inf is the Gaussian process.
    noise : float, >= 0
        In the units of K, inside the scale: y = f + N(0, s^2 noise).

    Raises
    ------
    ValueError
        If an argument is outside its range or of a wrong shape, or the kernel holds nan.
    ConvergenceError
        If K_XX is indefinite by more than rounding; see ``GaussianProcess`` for rounding and ``jitter``.

    Notes
    -----
    Source: H. Lee, E. Yun, H. Yang, J. Lee, arXiv:2107.01408; A. Shah, A. Wilson, Z. Ghahramani, arXiv:1402.4306.

    Examples
    --------
    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.1)
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0, -1.0]
    >>> process = mt.nn.StudentTProcess(net, X, y, alpha=2.0, beta=1.5)
    >>> nu, loc, scale = process.predict([[0.8, 0.6]])
    >>> nu, round(float(loc[0]), 10), round(float(scale[0, 0]), 10)
    (7.0, 0.7581466961, 0.1180728826)
    """

    alpha: float
    beta: float

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            require(is_real(value) and value > 0, name, value, "finite and > 0")

    def predict(self, X_test: Any) -> StudentT:
        """The t law of f at X_test, shape (points, ...); without the noise of a label."""
        loc, spread = self._conditional(X_test)
        nu = 2 * self.alpha + self.y.size
        return StudentT(nu, self._labelled(loc), labelled_cov((2 * self.beta + self._quadratic) / nu * spread))

    @property
    def log_marginal_likelihood(self) -> float:
        r"""Ln p(y | X).

        .. math::
            \ln\Gamma(\alpha + \tfrac N2) - \ln\Gamma(\alpha) - \tfrac N2 \ln 2\pi\beta - \tfrac12\ln|A|
            - (\alpha + \tfrac N2) \ln\bigl(1 + Q/2\beta\bigr)
        """
        half = self.y.size / 2
        outputs = self._targets.shape[1]
        return (
            lgamma(half)
            - float(betaln(self.alpha, half))
            - half * log(2 * pi * self.beta)
            - outputs * self._factor.log_determinant / 2
            - (self.alpha + half) * log1p(self._quadratic / (2 * self.beta))
        )
