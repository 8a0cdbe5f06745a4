r"""Linear training dynamics of an ensemble of infinitely wide networks: what gradient flow and descent share.

Networks begin at f_0 ~ GP(0, K) and move along the kernel Theta only. Whatever the schedule,

.. math::
    f_s = f_{0s} + B\,(y - f_{0X}), \qquad B = \Theta_{sX}\,\varphi(A), \qquad A = \Theta_{XX} + \mathrm{noise}

with one function phi of the eigenvalues of A (1/lambda at the end of training), so that over the ensemble

.. math::
    m_s = B\,y, \qquad C_{ss} = K_{ss} + B K_{XX} B^T - B K_{Xs} - K_{sX} B^T.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.backend import Array
from .training import Prediction, WithKernel, labelled_cov


class Blocks(NamedTuple):
    """Kernels between the points asked for and the training set."""

    theta: Array
    """Theta_sX"""
    cross: Array
    """K_sX; Theta_sX where no covariance is asked for"""
    test: Array | None
    """K_ss, or None where no covariance is asked for"""


@dataclass(frozen=True, eq=False, kw_only=True)
class Ensemble(WithKernel):
    """Networks trained on the same labels from random starts; ``kind="nngp"`` trains the readout only: Theta = K."""

    kind: str = "ntk"

    def _kinds(self) -> tuple[str, ...]:
        return ("ntk", "nngp") if self.kind == "ntk" else ("nngp",)

    @property
    def _unit(self) -> float:
        """What a time or a learning rate is divided by: y.size with neural-tangents, where the loss is a mean."""
        return float(self.y.size) if self.convention == "neural_tangents" else 1.0

    @cached_property
    def _modes(self) -> tuple[Array, Array]:
        """Eigenvalues and eigenvectors of A."""
        return self._factor.eigh()

    @cached_property
    def _prior(self) -> Array:
        """K_XX, shape (n, n)."""
        factor, others = self._trained
        return others[0] if others else factor.matrix()

    def _blocks(self, X_test: Any, cov: bool) -> Blocks:
        """Kernels of test points, or of the training set where there are none."""
        if X_test is None:
            return Blocks(self._factor.matrix(), self._prior, self._prior if cov else None)
        X_test = self._points(X_test)
        found = self._kernels(X_test, self.X, self._kinds() if cov else [self.kind])
        return Blocks(found[0], found[-1], self._kernels(X_test, None, ["nngp"])[0] if cov else None)

    def _evolve(self, blocks: Blocks, filters: Sequence[Array | None]) -> tuple[Array, Array | None]:
        """m_s, shape (filters, points, outputs), and C_ss, shape (filters, points, points), for each phi(lambda).

        A phi of None is the end of training, phi(A) = A^-1, by the Cholesky factor.
        """
        theta, cross, test = blocks
        means = np.stack([theta @ self._apply(phi, self._targets) for phi in filters])
        if test is None:
            return means, None
        spreads = np.empty((len(filters), *test.shape))
        for spread, phi in zip(spreads, filters, strict=True):
            back = self._apply(phi, theta.T)
            half = back.T @ (self._prior @ back - 2 * cross.T)
            spread[...] = test + (half + half.T) / 2
        return means, spreads

    def _along(self, axis: str, at: NDArray[Any], mean: Array, spread: Array | None) -> Prediction:
        """Labelled by the times or steps; no such axis for a single number."""
        axes, first = [axis] * at.ndim, () if at.ndim else 0
        coords = {axis: at} if at.ndim else {}
        found = self._labelled(mean[first], axes).assign_coords(coords)
        return Prediction(found, None if spread is None else labelled_cov(spread[first], axes).assign_coords(coords))

    def _apply(self, phi: Array | None, b: Array) -> Array:
        """phi(A) b; b has shape (n, k)."""
        if phi is None:
            return self._factor.solve(b)
        _, vectors = self._modes
        return vectors @ (phi[:, None] * (vectors.T @ b))
