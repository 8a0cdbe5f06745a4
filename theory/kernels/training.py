r"""What every inference with an infinitely wide network shares: the data, its kernels and the conditional Gaussian.

.. math::
    m_s = K_{sX} A^{-1} y, \qquad C_{ss} = K_{ss} - K_{sX} A^{-1} K_{Xs}, \qquad A = K_{XX} + \mathrm{noise}
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ...core.backend import Array
from ...core.blas import threads_for
from ...core.errors import is_real, real_array, require
from .psd import Cholesky, cholesky


class Network(Protocol):
    """Whatever has the kernels of an infinitely wide network."""

    def kernel(self, x1: Any, x2: Any = None, *, get: tuple[str, ...]) -> Any:
        """``.nngp`` and ``.ntk`` of the points x1 and x2 (x2 = x1 where None), arrays of their own at every call."""

    def kernel_gradient(self, x: Any) -> Mapping[str, Array]:
        """Derivatives of the NNGP kernel of the points x, each of shape (n, n), by parameter."""


class Prediction(NamedTuple):
    """Of the function itself, without the noise of a label."""

    mean: xr.DataArray
    """(x1,) over the test points, or (x1, output) where y has outputs; a time goes before them"""
    cov: xr.DataArray | None
    """(x1, x2), the same for every output; None where it was not asked for"""


def one_of(name: str, value: str, words: tuple[str, ...]) -> None:
    """Refuse a word that is not among the words."""
    if value not in words:
        raise ValueError(f"{name} must be {' or '.join(repr(w) for w in words)}, got {value!r}")


@dataclass(frozen=True, eq=False)
class Trained:
    """A network and its training set; X and y are copied. The kernels are computed where first needed, and once."""

    net: Network
    X: Any = field(repr=False)
    y: Any = field(repr=False)
    noise: float = field(default=0.0, kw_only=True)

    def __post_init__(self) -> None:
        if not callable(getattr(self.net, "kernel", None)):
            raise TypeError(f"net must have kernel(x1, x2, get=), as networks do, got {self.net!r}")
        real_array(self.X, "X")
        X, y = np.array(self.X), np.array(real_array(self.y, "y"))
        if X.ndim < 2 or y.ndim not in (1, 2) or len(X) != len(y) or y.size == 0:
            raise ValueError(
                f"X must have shape (n, ...) and y shape (n,) or (n, outputs) of the same n >= 1, got shapes {X.shape} "
                f"and {y.shape}"
            )
        require(np.isfinite(X), "X", X, "finite")
        require(np.isfinite(y), "y", y, "finite")
        require(is_real(self.noise) and self.noise >= 0, "noise", self.noise, "finite and >= 0")
        for name, array in (("X", X), ("y", y)):
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @property
    def jitter(self) -> float:
        """What was added to the diagonal of the kernel besides ``noise``; 0.0 unless a warning has said so."""
        return self._factor.jitter

    @property
    def kernel_error(self) -> float:
        """Largest ``quadrature_error`` of the kernels computed so far, that of the training set at least."""
        self._trained  # noqa: B018 - its kernels are computed here where they were not yet
        return max(self._errors)

    @cached_property
    def _errors(self) -> list[float]:
        return []

    def _kinds(self) -> tuple[str, ...]:
        """The kernels of the training set that are needed, the one that is factored first."""
        return ("nngp",)

    def _ridge(self, matrix: Array) -> float:
        """What is added to the diagonal of a kernel, in its units."""
        return float(self.noise)

    def _kernels(self, x1: NDArray[Any], x2: NDArray[Any] | None, kinds: Sequence[str]) -> list[Array]:
        """The kernels named, as float64 arrays in C order that may be overwritten."""
        pair = self.net.kernel(x1, x2, get=tuple(kinds))
        self._errors.append(float(getattr(pair, "quadrature_error", 0.0)))
        shape = len(x1), len(x1 if x2 is None else x2)
        if getattr(pair, "log_scale", 0.0) != 0:
            raise ValueError("the kernels of net leave the range of floating-point numbers: sigma_w or X is too large")
        found = [np.require(np.asarray(getattr(pair, kind)), np.float64, ["C", "W"]) for kind in kinds]
        for kind, array in zip(kinds, found, strict=True):
            if array.shape != shape:
                raise ValueError(f"the {kind} of net must have shape {shape} here, got {array.shape}")
        return found

    @cached_property
    def _trained(self) -> tuple[Cholesky, list[Array]]:
        """The factor of the first kernel of the training set, and the other kernels."""
        first, *others = self._kernels(self.X, None, self._kinds())
        return cholesky(first, self._ridge(first)), others

    @property
    def _factor(self) -> Cholesky:
        return self._trained[0]

    @cached_property
    def _targets(self) -> Array:
        """The labels, shape (n, outputs)."""
        return np.asfortranarray(self.y.reshape(len(self.y), -1))

    @cached_property
    def _weights(self) -> Array:
        """A^-1 y, shape (n, outputs)."""
        return self._factor.solve(self._targets)

    @property
    def _quadratic(self) -> float:
        """y^T A^-1 y, summed over the outputs."""
        return float(np.vdot(self._targets, self._weights))

    def _points(self, X_test: Any) -> NDArray[Any]:
        """Test inputs of the shape of the training inputs."""
        real_array(X_test, "X_test")
        X_test = np.asarray(X_test)
        if X_test.ndim != self.X.ndim or X_test.shape[1:] != self.X.shape[1:] or len(X_test) == 0:
            shape = ", ".join(["points", *map(str, self.X.shape[1:])])
            raise ValueError(f"X_test must have shape ({shape}), points >= 1, as X has, got {X_test.shape}")
        require(np.isfinite(X_test), "X_test", X_test, "finite")
        return X_test

    def _mean(self, X_test: Any) -> Array:
        """m_s, shape (points, outputs)."""
        cross = self._kernels(self._points(X_test), self.X, self._kinds()[:1])[0]
        with threads_for(len(self.X)):
            return cross @ self._weights

    def _conditional(self, X_test: Any) -> tuple[Array, Array]:
        """m_s, shape (points, outputs), and C_ss, shape (points, points)."""
        X_test, kind = self._points(X_test), self._kinds()[:1]
        cross, test = self._kernels(X_test, self.X, kind)[0], self._kernels(X_test, None, kind)[0]
        half = self._factor.whiten(cross.T)
        with threads_for(len(half)):
            test -= half.T @ half
            return cross @ self._weights, test

    def _labelled(self, mean: Array, axes: Sequence[str] = ()) -> xr.DataArray:
        """Shape (*axes, x1), with the outputs last where y has them."""
        one = self.y.ndim == 1
        return xr.DataArray(mean[..., 0] if one else mean, dims=[*axes, "x1", *(() if one else ("output",))])


@dataclass(frozen=True, eq=False, kw_only=True)
class WithKernel(Trained):
    """A training set whose kernel and whose units are chosen."""

    kind: str = "nngp"
    convention: str = "mattis"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kind", self.kind, ("nngp", "ntk"))
        one_of("convention", self.convention, ("mattis", "neural_tangents"))

    def _kinds(self) -> tuple[str, ...]:
        return (self.kind,)

    def _ridge(self, matrix: Array) -> float:
        """``noise``, relative to the mean diagonal where the units are those of neural-tangents."""
        relative = self.convention == "neural_tangents"
        return float(self.noise * (np.trace(matrix) / len(matrix) if relative else 1.0))


def labelled_cov(cov: Array, axes: Sequence[str] = ()) -> xr.DataArray:
    """Shape (*axes, x1, x2); a variance below zero by rounding is zero."""
    variances = np.einsum("...ii->...i", cov)
    np.maximum(variances, 0.0, out=variances)
    return xr.DataArray(cov, dims=[*axes, "x1", "x2"])
