r"""Infinitely wide networks trained by gradient descent, step by step, with heavy-ball momentum.

.. math::
    f_{k+1} = f_k - \eta\,\Theta\,(f_k - y) + m\,(f_k - f_{k-1}), \qquad f_{-1} = f_0

In a mode of eigenvalue lambda the residual e and its last change d move by

.. math::
    \begin{pmatrix} e \\ d \end{pmatrix}_{k+1} =
    \begin{pmatrix} 1 - \eta\lambda & m \\ -\eta\lambda & m \end{pmatrix} \begin{pmatrix} e \\ d \end{pmatrix}_k,
    \qquad \varphi_k(\lambda) = \frac{1 - e_k}{\lambda}.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import is_real, require
from .dynamics import Ensemble
from .training import Prediction


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientDescent(Ensemble):
    r"""The ensemble of networks trained by k steps of gradient descent on :math:`\frac12|f(X) - y|^2`.

    .. math::
        f_{k+1} = f_k - \eta\,\Theta\,(f_k - y) + m\,(f_k - f_{k-1}), \quad f_{-1} = f_0 \sim \mathrm{GP}(0, K)

    Mean and covariance are those of ``GradientFlow``, with :math:`\varphi_k(\lambda) = (1 - e_k)/\lambda` for
    :math:`(1 - e^{-\lambda t})/\lambda`, e_k the residual of a mode after k steps; exact, in O(log k).

    Parameters
    ----------
    net, X, y, noise, kind
        As in ``GradientFlow``; the ridge ``noise`` enters the loss as there.
    learning_rate : float, > 0
        eta; below ``max_learning_rate``, or predict refuses it.
    momentum : float, in [0, 1)
        m.
    convention : {"mattis", "neural_tangents"}
        "neural_tangents": the loss is a mean, so that eta is divided by ``y.size``, and noise is in units of the mean
        diagonal of Theta_XX.

    Raises
    ------
    ValueError
        If an argument is outside its range or of a wrong shape, or the kernel holds nan.
    ConvergenceError
        If Theta_XX is indefinite by more than rounding; see ``GradientFlow`` for rounding and ``jitter``.

    Notes
    -----
    Source: J. Lee et al., arXiv:1902.06720 (linear dynamics); B. T. Polyak, USSR Comput. Math. Math. Phys. 4, 1 (1964)
    (momentum and its bound on eta).

    Examples
    --------
    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.1)
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0, -1.0]
    >>> descent = mt.nn.GradientDescent(net, X, y, learning_rate=0.1, momentum=0.5)
    >>> round(descent.max_learning_rate, 10)
    0.7044659664
    >>> mean, cov = descent.predict([[0.8, 0.6]], steps=10)
    >>> round(float(mean[0]), 10), round(float(cov[0, 0]), 10)
    (0.6510746997, 0.1528061308)
    """

    learning_rate: float
    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        eta, m = self.learning_rate, self.momentum
        require(is_real(eta) and eta > 0, "learning_rate", eta, "finite and > 0")
        require(is_real(m) and 0 <= m < 1, "momentum", m, "in [0, 1)")

    @property
    def max_learning_rate(self) -> float:
        """2 (1 + m)/lambda_max of A = Theta_XX + noise, from which on the fastest mode grows."""
        return 2 * (1 + self.momentum) / float(self._modes[0][-1]) * self._unit

    def predict(self, X_test: Any, steps: ArrayLike, *, cov: bool = True) -> Prediction:
        """Mean and covariance of the networks at X_test after the steps.

        Parameters
        ----------
        X_test : array_like, shape (points, ...), or None
            None is the training set.
        steps : array_like of int, shape () or (counts,)
            >= 0.
        cov : bool
            Whether the covariance is computed.

        Returns
        -------
        mean : DataArray, shape (x1,) or (x1, output), with step before where steps is a list
        cov : DataArray, shape (x1, x2), with step before where steps is a list; or None

        Raises
        ------
        ValueError
            If steps is negative, an argument has a wrong shape, or learning_rate >= max_learning_rate.
        TypeError
            If steps are no integers.
        """
        counts = np.asarray(steps)
        if counts.size and counts.dtype.kind not in "iu":
            raise TypeError(f"steps must be integers >= 0, got {steps!r}")
        if counts.ndim > 1 or counts.size == 0:
            raise ValueError(f"steps must be a count or a list of counts, got shape {counts.shape}")
        require(counts >= 0, "steps", counts, ">= 0")
        blocks = self._blocks(X_test, cov)
        bound = self.max_learning_rate
        must = f"< {bound:.6g} = 2 (1 + momentum)/lambda_max, where descent begins to diverge"
        require(self.learning_rate < bound, "learning_rate", self.learning_rate, must)
        eta, values = self.learning_rate / self._unit, self._modes[0]
        filters = [progress(values, eta, self.momentum, int(k)) for k in np.atleast_1d(counts)]
        return self._along("step", counts, *self._evolve(blocks, filters))


def progress(values: Array, eta: float, m: float, steps: int) -> Array:
    r"""phi_k = (1 - e_k)/lambda of every mode, by doubling the number of steps.

    With the k-th power of the matrix above written as 1 + [[-lambda a, b], [-lambda c, d]], phi_k = a. The product of
    two such powers keeps the form, and lambda is never divided by: neither slow modes nor the double root of the
    momentum lose digits.

    >>> progress(np.array([0.0, 0.5]), 0.1, 0.0, 2)  # 2 eta, and (1 - 0.95^2)/0.5
    array([0.2  , 0.195])
    """
    one, zero = np.ones_like(values), np.zeros_like(values)
    done, step = (zero, zero, zero, zero), (eta * one, m * one, eta * one, (m - 1) * one)
    while steps:
        if steps & 1:
            done = _both(done, step, values)
        step, steps = _both(step, step, values), steps >> 1
    return done[0]


Power = tuple[Array, Array, Array, Array]
"""(a, b, c, d) of a power of the matrix of one step."""


def _both(p: Power, q: Power, lam: Array) -> Power:
    """One power after another."""
    (a, b, c, d), (A, B, C, D) = p, q
    return (
        a + A - lam * a * A + b * C,
        b + B - lam * a * B + b * D,
        c + C - lam * c * A + d * C,
        d + D - lam * c * B + d * D,
    )
