r"""Learning curves of kernel ridge regression from the spectrum of the kernel.

With K = sum_r lambda_r psi_r psi_r, a target sum_r w_r psi_r seen at P random points with noise of variance s^2, and
the ridge of sum (f - y)^2 + ridge |f|^2, the average over the points is

    kappa = ridge + kappa sum_r lambda_r/(lambda_r P + kappa),       L_r = lambda_r P/(lambda_r P + kappa),
    gamma = sum_r L_r^2/P,      E_g = [sum_r w_r^2 (1 - L_r)^2 + s^2 gamma]/(1 - gamma),
    sum_r L_r + ridge P/kappa = P,                 E_train = (ridge/kappa)^2 (E_g + s^2).

The estimate of w_r has mean L_r w_r and variance (E_g + s^2) L_r^2/P, uncorrelated between the modes. All is exact for
P, modes -> infinity at fixed ratio and Gaussian psi; at P = 5 simulations may differ by tens of percent.
"""

from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import ConvergenceError, real_array, require

_STEPS = 3000  # of Newton; each at least halves kappa until it converges quadratically
_TOLERANCE = 1e-13


def learning_curve(
    eigenvalues: ArrayLike,
    *,
    target_power: ArrayLike,
    P: ArrayLike | xr.DataArray,
    ridge: ArrayLike | xr.DataArray,
    noise: ArrayLike | xr.DataArray = 0.0,
    multiplicity: ArrayLike = 1.0,
) -> xr.Dataset:
    r"""Average errors of kernel ridge regression on P random points.

    .. math::
        E_g = \frac{\sum_r w_r^2 (1 - L_r)^2 + s^2 \gamma}{1 - \gamma}, \quad L_r = \frac{\lambda_r P}{\lambda_r P +
        \kappa}, \quad \gamma = \sum_r \frac{L_r^2}{P}, \quad \sum_r L_r + \frac{ridge\, P}{\kappa} = P

    Parameters
    ----------
    eigenvalues : array_like, shape (modes,), >= 0
        lambda_r. Modes left out act as a ridge: add to ``ridge`` the trace they hold.
    target_power : array_like, shape (modes,), >= 0
        w_r^2, the power of the target in each mode; with multiplicities its sum over the modes of that eigenvalue.
        Power outside the span of the kernel goes to a mode of eigenvalue zero.
    P : array_like, >= 0
        Number of training points, not necessarily an integer.
    ridge : array_like, >= 0
        Ridge of the SUM of squares, the noise variance of the Gaussian process.
    noise : array_like, >= 0
        s^2, variance of the noise of the training labels.
    multiplicity : array_like, scalar or shape (modes,), > 0
        Number of modes of each eigenvalue, N(d, k) on a sphere.

    P, ridge and noise are scalars, 1-D arrays, each of which becomes an axis of its name, or DataArrays, which
    broadcast by their axes: ``ridge=xr.DataArray(0.1 * P, dims="P")`` lets the ridge grow with P.

    Returns
    -------
    xarray.Dataset
        Over the axes of P and ridge: ``kappa``, ``gamma``, ``residual`` (estimated relative error of kappa), and with
        axis mode ``learnability`` L_r and ``mode_bias`` w_r^2 (1 - L_r)^2. Over those of the noise too: ``E_g``
        (against labels without noise), ``E_train`` (mean square on the noisy training labels; at P = 0 the limit
        P -> 0), and with axis mode ``mode_variance`` and ``mode_error`` = bias + variance, which add up to E_g.
        At ridge = 0, with M modes of positive eigenvalue: P > M has kappa = 0 and gamma = M/P, the limit of a small
        ridge; at P = M gamma is 1, E_g is infinite if there is noise or power in modes of eigenvalue zero, and zero
        if there is neither; E_train is zero there.

    Raises
    ------
    ValueError
        If an argument is outside its range or has a wrong shape.
    ConvergenceError
        If a residual exceeds 1e-13; ``solution`` holds kappa.

    Source: Bordelon, Canatar, Pehlevan, arXiv:2002.02561, eqs. (4)-(5); Canatar et al., arXiv:2006.13198; Simon et al.,
    arXiv:2110.03922 (conservation law).

    >>> flat = learning_curve([0.02] * 50, target_power=[0.02] * 50, P=[20, 40], ridge=0.1, noise=0.25)
    >>> flat.kappa.values.round(9).tolist(), flat.E_g.values.round(9).tolist()
    ([0.753112887, 0.470156212], [0.717651964, 0.517703823])
    """
    lam, w2, g = _modes(eigenvalues, target_power, multiplicity)
    P, ridge, noise = _axis("P", P), _axis("ridge", ridge), _axis("noise", noise)
    P_all, ridge_all = xr.broadcast(P, ridge)
    kappa, residual = (P_all.copy(data=a) for a in _solve(lam.values, g.values, P_all.values, ridge_all.values))
    M = float(g.where(lam > 0, 0.0).sum())

    D = lam * P + kappa
    seen, D = D > 0, D.where(D > 0, 1.0)  # of a mode with kappa = 0 = lambda P nothing is learnt
    miss = (kappa / D).where(seen, 1.0)  # 1 - L_r
    finite, scale = kappa > 0, kappa.where(kappa > 0, 1.0)
    share = g * P * (lam / D) ** 2
    gamma = share.sum("mode").where(finite, M / P.where(P > 0, np.inf))
    rest = (g * (lam / D) * (kappa / D)).sum("mode") + ridge / scale  # 1 - gamma, no cancellation
    rest = rest.where(finite, 1 - M / P.where(P > 0, np.inf))

    mode_bias = w2 * miss**2
    bias = mode_bias.sum("mode")
    top = bias + noise * gamma
    E_g = (top / rest.where(rest > 0, 1.0)).where((rest > 0) | (top == 0), np.inf)
    E_train = ((ridge / scale) ** 2 * (E_g + noise)).where(finite, rest * (bias + noise))
    mode_variance = share * (E_g + noise).where(share > 0, 0.0)
    found = {"kappa": kappa, "gamma": gamma, "residual": residual, "E_g": E_g, "E_train": E_train}
    found |= {"learnability": lam * P / D, "mode_bias": mode_bias, "mode_variance": mode_variance}
    given = {"eigenvalue": lam, "target_power": w2, "multiplicity": g}
    return xr.Dataset(found | {"mode_error": mode_bias + mode_variance}, given).transpose(..., "mode")


def transfer_error(curve: xr.Dataset, *, target: ArrayLike, overlap: ArrayLike) -> xr.DataArray:
    r"""Average error on test points drawn from another measure than the training points.

    .. math:: E' = \sum_{rs} (1 - L_r) w_r\, O_{rs}\, (1 - L_s) w_s + \sum_r O_{rr} \mathrm{Var}_r, \qquad
        O_{rs} = \langle \psi_r \psi_s \rangle_{test}

    Parameters
    ----------
    curve : xarray.Dataset
        From :func:`learning_curve` without multiplicities.
    target : array_like, shape (modes,)
        w_r, with the signs; its squares are the ``target_power`` of the curve.
    overlap : array_like, shape (modes, modes)
        O, symmetric positive semi-definite; the identity if nothing changes.

    Returns
    -------
    xarray.DataArray
        E' over the axes of the curve, against labels without noise.

    Raises
    ------
    ValueError
        If a shape is wrong, a value not finite, or O not symmetric positive semi-definite up to rounding.
    TypeError
        If curve is no learning curve.

    Source: Canatar, Bordelon, Pehlevan, arXiv:2106.02261.

    >>> curve = learning_curve([1.0, 0.5], target_power=[1.0, 1.0], P=4, ridge=0.5)
    >>> [round(float(transfer_error(curve, target=[1.0, w], overlap=[[1, 0.9], [0.9, 1]])), 9) for w in (1.0, -1.0)]
    [0.248004, 0.072050715]

    """
    if not isinstance(curve, xr.Dataset) or "mode_variance" not in curve:
        raise TypeError(f"curve must be the Dataset of learning_curve, got {curve!r}")
    n = curve.sizes["mode"]
    w, metric = real_array(target, "target"), real_array(overlap, "overlap")
    if w.shape != (n,) or metric.shape != (n, n):
        raise ValueError(f"target and overlap must have shapes ({n},) and ({n}, {n}), got {w.shape} and {metric.shape}")
    require(curve["multiplicity"] == 1, "multiplicity of the curve", curve["multiplicity"], "1")
    require(abs(w * w - curve["target_power"]) <= 1e-9 * max(w * w), "target", w, "a root of target_power")
    require(np.isfinite(metric), "overlap", metric, "finite")
    skew = metric - metric.T
    require(abs(skew) <= 1e-12 * abs(metric).max(), "overlap - overlap.T", skew, "zero up to rounding")
    diagonal = xr.DataArray(metric.diagonal(), dims="mode")
    require(diagonal >= 0, "diagonal of overlap", diagonal, ">= 0")
    lowest = float(np.linalg.eigvalsh(metric)[0])
    require(lowest >= -1e-10 * abs(metric).max(), "smallest eigenvalue of overlap", lowest, ">= 0 up to rounding")
    b = xr.DataArray(np.sign(w), dims="mode") * curve["mode_bias"] ** 0.5  # (1 - L_r) w_r
    bias = (b * xr.dot(xr.DataArray(metric, dims=("other", "mode")), b, dim="mode").rename(other="mode")).sum("mode")
    return bias + (diagonal * curve["mode_variance"].where(diagonal > 0, 0.0)).sum("mode")


class EmpiricalSpectrum(NamedTuple):
    """A kernel and a target in the eigenbasis of the uniform measure on n points, largest eigenvalue first."""

    eigenvalues: Array
    """lambda_r, shape (n,)"""
    target_power: Array
    """w_r^2 summed over the outputs, shape (n,); they add up to the mean of y^2"""
    eigenfunctions: Array
    """psi_r(x_i), shape (n, n) = (point, mode), of mean square 1"""


def empirical_spectrum(K: ArrayLike, *, y: ArrayLike) -> EmpiricalSpectrum:
    r"""Spectrum of a kernel on a data set, and a target in its eigenbasis: what a learning curve needs.

    .. math::
        \frac1n \sum_j K(x_i, x_j) \psi_r(x_j) = \lambda_r \psi_r(x_i), \qquad w_r = \frac1n \sum_i y_i \psi_r(x_i)

    Parameters
    ----------
    K : array_like, shape (n, n)
        Kernel matrix, symmetric and positive semi-definite up to rounding.
    y : array_like, shape (n,) or (n, outputs)
        Target on the same points.

    Returns
    -------
    EmpiricalSpectrum
        Eigenvalues that rounding made negative are set to zero. The learning curve is that of points drawn with
        replacement, and needs P well below n.

    Raises
    ------
    ValueError
        If a shape is wrong, a value not finite, or K not symmetric positive semi-definite.

    Source: Canatar, Bordelon, Pehlevan, arXiv:2006.13198.

    >>> found = empirical_spectrum([[2.0, 1.0], [1.0, 2.0]], y=[3.0, 1.0])
    >>> found.eigenvalues.round(12).tolist(), found.target_power.round(12).tolist()
    ([1.5, 0.5], [4.0, 1.0])
    """
    K, y = real_array(K, "K"), real_array(y, "y")
    if K.ndim != 2 or K.shape[0] != K.shape[1] or K.size == 0:
        raise ValueError(f"K must be a square matrix, got shape {K.shape}")
    n = len(K)
    if y.ndim not in (1, 2) or len(y) != n:
        raise ValueError(f"y must have shape ({n},) or ({n}, outputs) like K, got {y.shape}")
    require(np.isfinite(K), "K", K, "finite")
    require(np.isfinite(y), "y", y, "finite")
    size = n * np.finfo(float).eps * abs(K).max()
    require(abs(K - K.T) <= size, "K - K.T", K - K.T, "zero up to rounding")
    values, vectors = np.linalg.eigh(K)
    values, vectors = values[::-1] / n, vectors[:, ::-1]
    require(values >= -size, "eigenvalues of K/n", values, ">= 0 up to rounding")
    w = vectors.T @ y.reshape(n, -1) / np.sqrt(n)
    return EmpiricalSpectrum(np.maximum(values, 0.0), (w * w).sum(1), vectors * np.sqrt(n))


def _modes(eigenvalues: ArrayLike, target_power: ArrayLike, multiplicity: ArrayLike) -> list[xr.DataArray]:
    """Lambda, w^2 and multiplicity, checked, on the axis mode."""
    given = {"eigenvalues": eigenvalues, "target_power": target_power, "multiplicity": multiplicity}
    lam, w2, g = (real_array(value, name) for name, value in given.items())
    if lam.ndim != 1 or lam.size == 0 or w2.shape != lam.shape or g.shape not in ((), lam.shape):
        shapes = f"{lam.shape}, {w2.shape} and {g.shape}"
        raise ValueError(f"eigenvalues, target_power and multiplicity must have one shape (modes,), got {shapes}")
    require(np.isfinite(lam) & (lam >= 0), "eigenvalues", lam, "finite and >= 0")
    require(np.isfinite(w2) & (w2 >= 0), "target_power", w2, "finite and >= 0")
    require(np.isfinite(g) & (g > 0), "multiplicity", g, "finite and > 0")
    return [xr.DataArray(np.broadcast_to(v, lam.shape), dims="mode") for v in (lam, w2, g)]


def _axis(name: str, value: ArrayLike | xr.DataArray) -> xr.DataArray:
    """The values, finite and >= 0, on an axis of that name unless they come with axes."""
    if not isinstance(value, xr.DataArray):
        array = real_array(value, name)
        if array.ndim > 1:
            raise ValueError(f"{name} must be a scalar, a 1-D array or a DataArray, got shape {array.shape}")
        value = xr.DataArray(array, dims=(name,)[: array.ndim], coords={name: array} if array.ndim else None)
    require(np.isfinite(value) & (value >= 0), name, value.values, "finite and >= 0")
    return value.astype(np.float64)


def _solve(lam: Array, g: Array, P: Array, ridge: Array) -> tuple[Array, Array]:
    """Kappa and its estimated relative error, of the shape of P.

    H = kappa (1 - sum_r lambda_r/(lambda_r P + kappa)) - ridge is convex in kappa and >= 0 at ridge + trace, so Newton
    descends from there to the largest root, and H H' falls by 4 or more at every step.
    """
    lam, g = lam[lam > 0], g[lam > 0]
    shape, P, ridge = P.shape, P.ravel(), ridge.ravel()
    kappa: Array = np.where((ridge > 0) | (g.sum() > P), ridge + (g * lam).sum(), 0.0)
    residual, active = np.zeros(P.shape), np.flatnonzero((kappa > 0) & (P > 0))
    for _ in range(_STEPS):
        excess, slope = _balance(lam, g, P[active], ridge[active], kappa[active])
        kappa[active] *= slope / (excess + slope)
        step = excess / (excess + slope)
        residual[active] = abs(step)
        active = active[step > 4 * np.finfo(float).eps]
        if not active.size:
            break
    if (residual > _TOLERANCE).any():
        raise ConvergenceError(f"kappa is off by up to {residual.max():.1e}, relative, after {_STEPS} steps", kappa)
    return kappa.reshape(shape), residual.reshape(shape)


def _balance(lam: Array, g: Array, P: Array, ridge: Array, kappa: Array) -> tuple[Array, Array]:
    """E = P - sum_r L_r - ridge P/kappa = P H/kappa and dE/dln kappa, so that P H' = E + dE/dln kappa.

    A mode counts as learnt, L = 1 - (1 - L), or not: large numbers cancel only where they are integers.
    """
    D = lam * P[:, None] + kappa[:, None]
    L, miss = lam * P[:, None] / D, kappa[:, None] / D
    learnt = L > 0.5
    excess = (P - learnt @ g) + np.where(learnt, miss, -L) @ g - ridge * P / kappa
    return excess, ridge * P / kappa + (L * miss) @ g
