r"""The kernel of random-feature attention with endlessly many heads, and the model with a finite number of them.

A head m scores a query x_0 against the tokens x_1 .. x_N with a frozen W_m and adds up the tokens it likes,

    f(x_0; x_1 .. x_N) = sum_m <v_m, F_m>,   F_m = (1/N) sum_i sigma(<W_m, x_0 x_i^T>) x_i,   W_m = mean + sigma_w G_m,

with G_m of independent standard normal entries. Only v_m learns, so that f is a kernel method with

    K(X, X') = E F.F' = (1/(N N')) sum_ij E[sigma(u_i) sigma(u'_j)] <x_i, x'_j>,
    u_i ~ N(x_0^T mean x_i, sigma_w^2 |x_0|^2 |x_i|^2),   cov(u_i, u'_j) = sigma_w^2 <x_0, x'_0> <x_i, x'_j>.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from scipy.special import erf

from ...core.backend import Array
from ...core.errors import is_real, real_array, require, require_integer
from .shifted_duals import erf_dual, relu_dual

_ENTRIES = 2**18  # of a working array


class _Activation(NamedTuple):
    function: Callable[[Array], Array]
    dual: Callable[[Array, Array, Array, Array, Array], Array]


_ACTIVATIONS = {"relu": _Activation(lambda u: np.maximum(u, 0), relu_dual), "erf": _Activation(erf, erf_dual)}


def attention_kernel(
    x0: ArrayLike,
    tokens: ArrayLike,
    x0_other: ArrayLike | None = None,
    tokens_other: ArrayLike | None = None,
    *,
    sigma_w: float,
    mean: ArrayLike = 0.0,
    activation: str = "relu",
) -> xr.DataArray:
    r"""Kernel of attention with infinitely many random heads.

    .. math::
        K(X, X') = \frac{1}{N N'} \sum_{ij} E[\sigma(u_i) \sigma(u'_j)]\, \langle x_i, x'_j \rangle

    Parameters
    ----------
    x0 : array (n, d)
        Queries.
    tokens : array (n, N, d)
        The N tokens of each query.
    x0_other, tokens_other : arrays (n', d) and (n', N', d), optional
        The second set; the first one where both are left out.
    sigma_w : float > 0
        Standard deviation of the entries of W.
    mean : float or array (d, d)
        Mean of W; a number stands for that number times the identity. Where a constant 1 is appended to queries and
        tokens, a mean without that last row and column leaves the constant out of the preference.
    activation : {"relu", "erf"}

    Returns
    -------
    DataArray (x1, x2) of shape (n, n').

    Raises
    ------
    ValueError
        If an array has the wrong shape or an entry that is not finite, or an argument is outside its range.

    Source: H. Fu, T. Guo, Y. Bai, S. Mei, arXiv:2307.11353, whose zero-mean and biased models these are; the average
    with means is that of ``shifted_duals``.

    >>> x = attention_kernel([[1.0, 0.0]], [[[1.0, 0.0], [0.0, 1.0]]], sigma_w=0.5, mean=1.0)
    >>> round(float(x[0, 0]), 12)
    0.34338945458
    """
    law = _law(activation)
    x0, tokens = _samples("x0", x0, "tokens", tokens)
    if x0_other is None and tokens_other is None:
        x0_other, tokens_other = x0, tokens
    elif x0_other is None or tokens_other is None:
        raise ValueError("x0_other and tokens_other must be given together")
    x0_other, tokens_other = _samples("x0_other", x0_other, "tokens_other", tokens_other)
    centre = _weights_law(x0, x0_other, sigma_w, mean)
    kernel = np.empty((x0.shape[0], x0_other.shape[0]))
    pairs = max(1, _ENTRIES // (tokens.shape[1] * tokens_other.shape[1]))
    columns = min(pairs, kernel.shape[1])
    for i in _slices(kernel.shape[0], max(1, pairs // columns)):
        for j in _slices(kernel.shape[1], columns):
            kernel[i, j] = _block(law, x0[i], tokens[i], x0_other[j], tokens_other[j], sigma_w, centre)
    return xr.DataArray(kernel, dims=("x1", "x2"))


def _slices(total: int, block: int) -> list[slice]:
    return [slice(i, i + block) for i in range(0, total, block)]


def _block(law: _Activation, x: Array, T: Array, y: Array, S: Array, sigma_w: float, centre: Array) -> Array:
    """K of a few first samples (x, T) with all second ones (y, S); axes (n, N, n', N')."""
    a = np.einsum("nd,nid->ni", x @ centre, T)[:, :, None, None]
    b = np.einsum("nd,nid->ni", y @ centre, S)
    (x_hat, x_length), (T_hat, T_length), (y_hat, y_length), (S_hat, S_length) = map(_unit, (x, T, y, S))
    su = (sigma_w * x_length[:, None] * T_length)[:, :, None, None]
    sv = sigma_w * y_length[:, None] * S_length
    likeness = np.tensordot(T_hat, S_hat, (-1, -1))
    rho = np.clip((x_hat @ y_hat.T)[:, None, :, None] * likeness, -1, 1)
    overlap = likeness * T_length[:, :, None, None] * S_length
    return (law.dual(a, b, su, sv, rho) * overlap).mean((1, 3))


def attention_features(
    x0: ArrayLike,
    tokens: ArrayLike,
    *,
    heads: int,
    seed: int,
    sigma_w: float,
    mean: ArrayLike = 0.0,
    activation: str = "relu",
) -> Array:
    r"""What the frozen heads hand to the trainable values, scaled so that the Gram matrix estimates the kernel.

    .. math::
        F_{m} = \frac{1}{\sqrt{M}\,N} \sum_i \sigma(\langle W_m, x_0 x_i^T \rangle)\, x_i, \qquad
        E \sum_m \langle F_m, F'_m \rangle = K(X, X')

    Parameters
    ----------
    x0, tokens, sigma_w, mean, activation
        As in ``attention_kernel``.
    heads : int >= 1
        M.
    seed : int >= 0
        More heads of the same seed leave the first W_m as they are.

    Returns
    -------
    array (n, heads, d); flattened to (n, heads d) it is a design matrix for ridge regression on v.

    Raises
    ------
    ValueError, TypeError
        As ``attention_kernel``, and if heads or seed is no integer of its range.

    Source: arXiv:2307.11353, the model with M heads.

    >>> x0, tokens = [[1.0, 0.0]], [[[1.0, 0.0], [0.0, 1.0]]]
    >>> F = attention_features(x0, tokens, heads=20_000, seed=1, sigma_w=0.5, mean=1.0)
    >>> F.shape, round(float((F * F).sum()), 2)
    ((1, 20000, 2), 0.34)
    """
    law = _law(activation)
    x0, tokens = _samples("x0", x0, "tokens", tokens)
    centre = _weights_law(x0, x0, sigma_w, mean)
    rng = _generator(heads, 1, seed)
    W = centre + sigma_w * rng.standard_normal((heads, *centre.shape))
    return _heads(law, x0, tokens, W) / np.sqrt(heads)


def attention_estimate(
    x0: ArrayLike,
    tokens: ArrayLike,
    *,
    heads: int,
    seed: int,
    sigma_w: float,
    mean: ArrayLike = 0.0,
    activation: str = "relu",
) -> xr.Dataset:
    r"""The kernel as the mean over a finite number of heads, with its standard error.

    .. math::
        \hat K = \frac1M \sum_m k_m, \quad k_m = \langle F_m, F'_m \rangle, \qquad
        \mathrm{error}^2 = \frac{1}{M (M - 1)} \sum_m (k_m - \hat K)^2

    Parameters
    ----------
    x0, tokens, sigma_w, mean, activation
        As in ``attention_kernel``.
    heads : int >= 2
        M; they are drawn in blocks, so that memory does not grow with it.
    seed : int >= 0

    Returns
    -------
    Dataset of ``kernel`` and ``error`` with dims (x1, x2), both of shape (n, n).

    Raises
    ------
    ValueError, TypeError
        As ``attention_features``.

    Source: arXiv:2307.11353, the model with M heads.

    >>> x0, tokens = [[1.0, 0.0]], [[[1.0, 0.0], [0.0, 1.0]]]
    >>> found = attention_estimate(x0, tokens, heads=20_000, seed=1, sigma_w=0.5, mean=1.0)
    >>> round(float(found.kernel[0, 0]), 2), round(float(found.error[0, 0]), 3)
    (0.34, 0.002)
    """
    law = _law(activation)
    x0, tokens = _samples("x0", x0, "tokens", tokens)
    centre = _weights_law(x0, x0, sigma_w, mean)
    rng = _generator(heads, 2, seed)
    n, N, d = tokens.shape
    block = max(1, _ENTRIES // max(n * n, n * N, n * d, d * d))
    count, kernel, squares = 0, np.zeros((n, n)), np.zeros((n, n))
    while count < heads:
        m = min(block, heads - count)
        F = _heads(law, x0, tokens, centre + sigma_w * rng.standard_normal((m, d, d))).swapaxes(0, 1)
        terms = F @ F.swapaxes(1, 2)
        shift = terms.mean(0) - kernel
        squares += ((terms - terms.mean(0)) ** 2).sum(0) + shift**2 * (count * m / (count + m))
        kernel += shift * (m / (count + m))
        count += m
    error = np.sqrt(squares / (heads - 1) / heads)
    return xr.Dataset({"kernel": (("x1", "x2"), kernel), "error": (("x1", "x2"), error)})


def _heads(law: _Activation, x0: Array, tokens: Array, W: Array) -> Array:
    """(1/N) sum_i sigma(<W_m, x_0 x_i^T>) x_i, shape (n, m, d)."""
    scores = np.tensordot(x0, W, (1, 1)) @ tokens.swapaxes(1, 2)
    return law.function(scores) @ tokens / tokens.shape[1]


def _law(activation: str) -> _Activation:
    if not isinstance(activation, str) or activation not in _ACTIVATIONS:
        raise ValueError(f"activation must be relu or erf, got {activation!r}")
    return _ACTIVATIONS[activation]


def _samples(query_name: str, query: ArrayLike, tokens_name: str, tokens: ArrayLike) -> tuple[Array, Array]:
    """Queries (n, d) and tokens (n, N, d), or a sentence that says what is wrong with them."""
    x, T = real_array(query, query_name), real_array(tokens, tokens_name)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"{query_name} must have shape (n, d), got {x.shape}")
    if T.ndim != 3 or 0 in T.shape or (T.shape[0], T.shape[2]) != x.shape:
        n, d = x.shape
        raise ValueError(f"{tokens_name} must have shape (n, N, d) with n = {n} and d = {d}, got {T.shape}")
    require(np.isfinite(x), query_name, x, "finite")
    require(np.isfinite(T), tokens_name, T, "finite")
    return x, T


def _weights_law(x: Array, y: Array, sigma_w: float, mean: ArrayLike) -> Array:
    """The mean of W as a matrix; refuses what is no law of W for these inputs."""
    d = x.shape[1]
    if y.shape[1] != d:
        raise ValueError(f"x0 and x0_other must have the same dimension d, got {d} and {y.shape[1]}")
    require(is_real(sigma_w) and sigma_w > 0, "sigma_w", sigma_w, "finite and > 0")
    centre = real_array(mean, "mean")
    if centre.shape not in ((), (d, d)):
        raise ValueError(f"mean must be a number or have shape (d, d) = {(d, d)}, got {centre.shape}")
    require(np.isfinite(centre), "mean", centre, "finite")
    return centre * np.eye(d) if centre.ndim == 0 else centre


def _generator(heads: int, least: int, seed: int) -> np.random.Generator:
    require_integer(heads, "heads", least, 2**31, f"in [{least}, 2^31]")
    require_integer(seed, "seed", 0, 2**63 - 1, "in [0, 2^63)")
    return np.random.Generator(np.random.Philox(key=seed))


def _unit(x: Array) -> tuple[Array, Array]:
    """Directions and lengths; a zero vector keeps the direction 0."""
    length = np.linalg.norm(x, axis=-1)
    return np.divide(x, length[..., None], out=np.zeros(x.shape), where=length[..., None] > 0), length
