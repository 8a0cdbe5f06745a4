r"""Any scale mixture of the Gaussian process of a network, by one quadrature over the scale.

.. math::
    p(y) = \int ds^2\, h(s^2)\, (2\pi s^2)^{-N/2} |A|^{-1/2} e^{-Q/2s^2}, \qquad Q = y^T A^{-1} y

Only Q, ln|A| and the number N of labels enter. The integral is one over u = ln s^2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import exp, log, pi
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad

from ...core.backend import Array
from ...core.errors import ConvergenceError, real_array, require
from .psd import cholesky
from .training import Prediction, Trained, labelled_cov

_REACH = (250.0, 500.0, 1400.0)  # of ln s^2, to either side of where the likelihood has its top
_LARGEST = 700.0  # |ln s^2| of floating-point numbers
_STEP = 0.25  # of ln s^2, the narrowest support that is seen
_DEPTH = 60.0  # below the top of the logarithm of the integrand, where it is cut
_TOLERANCE = 1e-8  # of the relative error of an integral


@dataclass(frozen=True, eq=False, kw_only=True)
class ScaleMixture(Trained):
    r"""The posterior of f | s^2 ~ GP(0, s^2 K), for any law h of s^2.

    .. math::
        \mathrm{E} f_s = K_{sX} A^{-1} y, \qquad
        \mathrm{Cov} f_s = \mathrm{E}[s^2 \mid y]\,(K_{ss} - K_{sX} A^{-1} K_{Xs}), \qquad
        p(s^2 \mid y) \propto h(s^2)\, s^{-N} e^{-Q/2s^2}

    The law itself is no Gaussian: ``log_predictive_density`` has it. All outputs share one s^2.

    Parameters
    ----------
    net : Network
        Has ``kernel(x1, x2, get=)``; its NNGP kernel is computed where first needed.
    X : array_like, shape (n, ...)
        Training inputs.
    y : array_like, shape (n,) or (n, outputs)
        Labels, finite; N = n outputs of them.
    log_density : callable
        ln h(s^2) of an array of s^2 > 0, normalised over s^2; -inf where h = 0. Such as the ``logpdf`` of a law of
        ``scipy.stats`` (Burr XII, beta prime, ...). It may jump; its support is no narrower than 1/4 in ln s^2.
    noise : float, >= 0
        In the units of K, inside the scale: y = f + N(0, s^2 noise).

    Raises
    ------
    ValueError
        If an argument is outside its range or of a wrong shape, the kernel holds nan, or log_density is nan.
    ConvergenceError
        If K_XX is indefinite by more than rounding (see ``GaussianProcess``), or if an integral over s^2 diverges or
        has a relative error above 1e-8.

    Notes
    -----
    Source: H. Lee, E. Yun, H. Yang, J. Lee, arXiv:2107.01408, who sample s^2 where this integrates.

    Examples
    --------
    >>> import mattis as mt
    >>> from scipy.stats import burr12
    >>> net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.1)
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0, -1.0]
    >>> mixture = mt.nn.ScaleMixture(net, X, y, log_density=burr12(2.0, 3.0).logpdf)
    >>> round(mixture.log_marginal_likelihood, 10), round(mixture.posterior_scale, 10)
    (-4.4870766021, 0.7639144902)
    """

    log_density: Callable[[Array], Array]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not callable(self.log_density):
            raise TypeError(f"log_density must be a function of s^2, got {self.log_density!r}")

    def predict(self, X_test: Any, *, cov: bool = True) -> Prediction:
        """Mean of f at X_test, shape (points, ...), and covariance, which needs a finite E[s^2 | y], if ``cov``."""
        if not cov:
            return Prediction(self._labelled(self._mean(X_test)), None)
        mean, spread = self._conditional(X_test)
        return Prediction(self._labelled(mean), labelled_cov(self.posterior_scale * spread))

    @property
    def log_marginal_likelihood(self) -> float:
        """Ln p(y | X)."""
        return self._evidence[0]

    @property
    def quadrature_error(self) -> float:
        """Estimated error of ``log_marginal_likelihood``."""
        return self._evidence[1]

    @property
    def posterior_scale(self) -> float:
        """E[s^2 | y]."""
        return exp(self._integral(*self._seen, power=1)[0] - self.log_marginal_likelihood)

    def log_predictive_density(self, X_test: Any, y_test: ArrayLike) -> float:
        """Ln p(y_test | X_test, y, X) of further labels, shape (points,) or (points, outputs), with their noise."""
        mean, spread = self._conditional(X_test)
        new = real_array(y_test, "y_test")
        if new.shape != (len(mean), *self.y.shape[1:]):
            raise ValueError(f"y_test must have shape {(len(mean), *self.y.shape[1:])}, got {new.shape}")
        require(np.isfinite(new), "y_test", new, "finite")
        factor, apart = cholesky(spread, self.noise, "the covariance of y_test"), new.reshape(mean.shape) - mean
        Q, log_determinant, N = self._seen
        Q += float(np.vdot(apart, factor.solve(apart)))
        both = Q, log_determinant + mean.shape[1] * factor.log_determinant, N + mean.size
        return self._integral(*both)[0] - self.log_marginal_likelihood

    @property
    def _seen(self) -> tuple[float, float, int]:
        """Q, ln|A| of all outputs and N of the training set."""
        return self._quadratic, self._targets.shape[1] * self._factor.log_determinant, self.y.size

    @cached_property
    def _evidence(self) -> tuple[float, float]:
        return self._integral(*self._seen)

    def _integral(self, Q: float, log_determinant: float, N: int, power: int = 0) -> tuple[float, float]:
        """Ln of the integral over s^2 of s^(2 power) p(y, s^2), and its error."""

        def exponent(u: Array) -> Array:
            s2 = np.exp(u)
            with np.errstate(over="ignore", divide="ignore"):
                density = np.asarray(self.log_density(s2), dtype=np.float64)
            if density.shape != s2.shape:
                raise ValueError(f"log_density must give an array of the shape of s^2, {s2.shape}, got {density.shape}")
            require(density < np.inf, "log_density", density, "a number or -inf")
            return density + (1 + power) * u - (N * (log(2 * pi) + u) + log_determinant + Q / s2) / 2

        return log_integral(exponent, log(Q / N) if Q > 0 else 0.0)


def log_integral(exponent: Callable[[Array], Array], near: float) -> tuple[float, float]:
    """Ln of the integral over u of exp(exponent(u)), and its error; its top is searched first about ``near``.

    >>> value, error = log_integral(lambda u: -u * u / 2e-6, 3.0)
    >>> abs(value - log(2e-6 * pi) / 2) < 1e-13, error < 1e-9
    (True, True)
    """
    low, high = _range(exponent, near)
    for _ in range(3):
        u = np.linspace(low, high, 2001)
        g = exponent(u)
        top, at = float(g.max()), float(u[g.argmax()])
        inside = np.flatnonzero(g > top - _DEPTH)
        outer = np.clip([inside[0] - 1, inside[-1] + 1], 0, u.size - 1)
        low, high = u[outer]
    low, high = _edges(lambda v: exponent(v) > top - _DEPTH, u[inside[[0, -1]]], u[outer])

    def integrand(v: float) -> float:
        return float(np.exp(exponent(np.array([v])) - top)[0])

    value, error, *_ = quad(integrand, low, high, epsabs=0, epsrel=1e-13, limit=200, points=[at], full_output=1)
    if not error <= _TOLERANCE * value:
        raise ConvergenceError(
            f"the integral over s^2 is not found to {_TOLERANCE:.0e}: {value:.6g} with error {error:.1e}"
        )
    return top + log(value), error / value


def _range(exponent: Callable[[Array], Array], near: float) -> Array:
    """Two ends, between which the integrand rises from, and falls to, _DEPTH below its top."""
    for reach in _REACH:
        low, high = max(near - reach, -_LARGEST), min(near + reach, _LARGEST)
        u = np.linspace(low, high, int((high - low) / _STEP) + 2)
        g = exponent(u)
        inside = np.flatnonzero(g > g.max() - _DEPTH)
        if inside.size and inside[0] > 0 and inside[-1] < u.size - 1:
            return u[[inside[0] - 1, inside[-1] + 1]]
    raise ConvergenceError(
        "the integral over s^2 diverges, vanishes, or falls too slowly to be found within ln s^2 in [-700, 700]"
    )


def _edges(holds: Callable[[Array], NDArray[np.bool_]], inner: Array, outer: Array) -> Array:
    """Between inner and outer, where the condition ceases to hold, by bisection: a density may jump there."""
    for _ in range(60):
        middle = (inner + outer) / 2
        inside = holds(middle)
        inner, outer = np.where(inside, middle, inner), np.where(inside, outer, middle)
    return inner
