r"""Infinitely wide networks trained by gradient flow for a time t.

.. math::
    \dot f = -\Theta\,(f - y), \qquad \varphi_t(\lambda) = \frac{1 - e^{-\lambda t}}{\lambda}
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import real_array, require
from .dynamics import Ensemble
from .krylov import filtered, progress_of_flow
from .training import Prediction

_FEWEST = 16  # steps that a Krylov space is tried for
_RTOL = 1e-12  # of its error, in units of |phi_t(A) y|


@dataclass(frozen=True, eq=False, kw_only=True)
class GradientFlow(Ensemble):
    r"""The ensemble of networks trained by gradient flow on :math:`\frac12|f(X) - y|^2` for a time t.

    .. math::
        \dot f = -\Theta\,(f - y), \quad f_0 \sim \mathrm{GP}(0, K): \qquad
        m_s = B y, \quad C_{ss} = K_{ss} + B K_{XX} B^T - B K_{Xs} - K_{sX} B^T, \quad
        B = \Theta_{sX} A^{-1} (1 - e^{-A t})

    with :math:`A = \Theta_{XX} + \mathrm{noise}`: the ridge of the loss :math:`\frac12|f - y|^2 +
    \frac{\rm noise}2|\theta - \theta_0|^2`. C is the spread over the starts, no posterior: with noise > 0 and t = inf
    it is that of the ridge map B = Theta_sX A^-1.

    Parameters
    ----------
    net : Network
        Has ``kernel(x1, x2, get=)``; its kernels are computed where first needed.
    X : array_like, shape (n, ...)
        Training inputs.
    y : array_like, shape (n,) or (n, outputs)
        Labels, finite.
    noise : float, >= 0
        Ridge, in the units of Theta.
    kind : {"ntk", "nngp"}
        All layers are trained, or the readout only (Theta = K).
    convention : {"mattis", "neural_tangents"}
        "neural_tangents": the loss is a mean, so that t is divided by the number of labels ``y.size``, and noise is in
        units of the mean diagonal of Theta_XX.

    Raises
    ------
    ValueError
        If an argument is outside its range or of a wrong shape, or the kernel holds nan.
    ConvergenceError
        If Theta_XX is indefinite by more than rounding. Within rounding a ``NotPositiveDefinite`` warning states the
        least eigenvalue and what was added to the diagonal; ``jitter`` reports it.

    Notes
    -----
    t = inf is one Cholesky factor. The first covariance at a finite t costs one eigendecomposition, which all further
    times share; a mean alone is found in a Krylov space (residual bound 1e-12) where that is faster.
    Source: A. Jacot, F. Gabriel, C. Hongler, arXiv:1806.07572; J. Lee et al., arXiv:1902.06720, eqs 14-16.

    Examples
    --------
    >>> import mattis as mt
    >>> net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.1)
    >>> X, y = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]], [1.0, 0.0, -1.0]
    >>> flow = mt.nn.GradientFlow(net, X, y)
    >>> mean, cov = flow.predict([[0.8, 0.6]], t=[0.0, 0.5, float("inf")])
    >>> [round(float(m), 10) for m in mean[:, 0]], [round(float(c), 10) for c in cov[:, 0, 0]]
    ([0.0, 0.4894050056, 0.6554591366], [1.03, 0.1925445251, 0.1496698858])
    """

    def predict(self, X_test: Any, t: ArrayLike, *, cov: bool = True) -> Prediction:
        """Mean and covariance of the networks at X_test after the times t.

        Parameters
        ----------
        X_test : array_like, shape (points, ...), or None
            None is the training set.
        t : array_like, shape () or (times,)
            Times >= 0, inf allowed.
        cov : bool
            Whether the covariance is computed.

        Returns
        -------
        mean : DataArray, shape (x1,) or (x1, output), with t before where t is a list
        cov : DataArray, shape (x1, x2), with t before where t is a list; or None

        Raises
        ------
        ValueError
            If t is negative or nan, or an argument has a wrong shape.
        """
        times = real_array(t, "t")
        if times.ndim > 1 or times.size == 0:
            raise ValueError(f"t must be a time or a list of times, got shape {times.shape}")
        require(times >= 0, "t", times, ">= 0 (inf allowed)")
        blocks, flat = self._blocks(X_test, cov), np.atleast_1d(times) / self._unit
        quick = None if cov else self._without_modes(flat)
        if quick is not None:
            return self._along("t", times, blocks.theta @ quick, None)
        return self._along("t", times, *self._evolve(blocks, [self._filter(s) for s in flat]))

    def _without_modes(self, times: Array) -> Array | None:
        """phi_t(A) y, shape (times, n, outputs), where Krylov spaces are faster than eigenvectors; else None.

        They are while they take fewer than about n/8 products by A, for all outputs together.
        """
        n, outputs = self._targets.shape
        steps, finite = n // (8 * outputs), np.isfinite(times)
        if "_modes" in self.__dict__ or (steps < _FEWEST and finite.any()):
            return None
        found = np.empty((times.size, n, outputs))
        if not finite.all():
            found[~finite] = self._weights
        for k in range(outputs) if finite.any() else ():
            quick = filtered(self._factor.multiply, self._targets[:, k], times[finite], steps, _RTOL)
            if quick is None:
                return None
            found[finite, :, k] = quick
        return found

    def _filter(self, t: float) -> Array | None:
        """phi_t of the eigenvalues, t (exp(x) - 1)/x at x = -lambda t; None at the end."""
        return None if np.isinf(t) else progress_of_flow(t, self._modes[0])
