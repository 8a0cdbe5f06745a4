r"""A permutation of k bits learned exactly from the k basis vectors, by an ensemble of infinitely wide ReLU networks.

One hidden layer, no bias, sigma_w = 1, NTK parametrisation. On the basis vectors Theta = (a - b) I + b 11^T with
a = 1/k and b = 1/(2 pi k), so that Sherman and Morrison give the limit of gradient flow without a matrix. At an input x
with s bits set, cos th = 1/sqrt(s) and r = sqrt(s) - sqrt(s - 1), the mean of an output is w_set if its bit is set and
w_unset if not, and its variance over initial networks is the same for all outputs, which are independent:

    w_unset = -[s (2 pi - 2 th - r) - (2 pi - 1) sqrt(s)] / [(2 pi - 1)(2 pi - 1 + k)]
    1 - w_set = (2 th - 1 + r)/(2 pi - 1) - w_unset
    2 pi k sigma^2 = (pi - 1) s (1 - w_set)^2 + 2 s w_set (th - 1 + r) + [(2 pi - 1)^2 + (pi - 1)(k - s)] w_unset^2

No two large terms cancel, so the formulas hold to rounding at any k. With the readout alone trained (kind "nngp") the
kernel is K in place of Theta: pi and th replace 2 pi and 2 th. The input x/sqrt(s) divides means and sigma by sqrt(s),
and no ensemble size changes. Source: arXiv:2502.16763.
"""

from math import ceil, log, pi
from typing import Any, NamedTuple

import numpy as np
from numpy.random import Generator, Philox
from numpy.typing import ArrayLike
from scipy.special import log_ndtr

from ...core.backend import Array
from ...core.errors import is_real, real_array, require, require_integer

_MOST = 2**40
_AT_ONCE = 2**21  # normal deviates of a block of draws


class PermutationKernel(NamedTuple):
    """The NTK on the k basis vectors: Theta(e_i, e_i) = 1/k and Theta(e_i, e_j) = 1/(2 pi k)."""

    theta_diag: Array
    theta_off: Array


class PermutationWeights(NamedTuple):
    """Of the outputs of a trained network: means where the bit is set and where not (nan at s = k), and variance."""

    w_set: Array
    w_unset: Array
    variance: Array


class EnsembleSize(NamedTuple):
    """N networks suffice; the hardest input has s bits set."""

    N: int
    s: int


class SampledAccuracy(NamedTuple):
    """The share of draws with every bit right; its standard error counts one more success and one more failure."""

    accuracy: float
    error: float


def permutation_ntk(k: ArrayLike) -> PermutationKernel:
    r"""The two entries of the NTK Gram matrix of the k basis vectors, Theta = (a - b) I + b 11^T.

    Parameters
    ----------
    k : array_like of integers, >= 2
        Bits.

    Returns
    -------
    PermutationKernel of arrays shaped as k: theta_diag a = 1/k, theta_off b = 1/(2 pi k).

    Raises
    ------
    ValueError
        If k is out of range or no integer.

    Source: arXiv:2502.16763; arc-cosine kernels of order 0 and 1 at angles 0 and pi/2.

    >>> [round(float(v), 9) for v in permutation_ntk(4)]
    [0.25, 0.039788736]
    """
    bits = _whole("k", k, 2)
    return PermutationKernel(1 / bits, 1 / (2 * pi * bits))


def permutation_weights(k: ArrayLike, *, s: ArrayLike, kind: str = "ntk") -> PermutationWeights:
    r"""Mean and variance of the outputs at an input with s of k bits set, after training on the basis vectors.

    Parameters
    ----------
    k : array_like of integers, >= 2
        Bits.
    s : array_like of integers, in [1, k]
        Set bits of the input; broadcasts with k. s = 1 is a training input: means 1 and 0, variance 0.
    kind : {"ntk", "nngp"}
        Both layers trained, or the readout alone. The latter is also the limit of a network in the standard
        parametrisation trained with one small learning rate.

    Returns
    -------
    PermutationWeights of arrays of the broadcast shape.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Source: arXiv:2502.16763; mean B y and covariance K_ss + B K_XX B^T - B K_Xs - K_sX B^T, B = Theta_sX Theta_XX^-1.

    >>> [round(float(v), 9) for v in permutation_weights(8, s=2)]
    [0.797529672, -0.016027901, 0.016369929]
    """
    bits, ones = np.broadcast_arrays(_whole("k", k, 2), _whole("s", s, 1))
    require(ones <= bits, "s", ones, "in [1, k]")
    w_set, w_unset, variance = _weights(bits, ones, kind)
    return PermutationWeights(w_set, np.where(ones == bits, np.nan, w_unset), variance)


def ensemble_size(
    k: int, *, delta: float, rounding: str = "midway", inputs: str = "worst", kind: str = "ntk"
) -> EnsembleSize:
    r"""Networks whose averaged and rounded outputs are the permutation with probability 1 - delta.

    .. math:: N \ge 2\,\frac{\sigma^2(x)}{g^2(x)}\,\ln\frac{k}{\delta} \ \text{(one input)}, \qquad
              N \ge 2\,\max_x \frac{\sigma^2(x)}{g^2(x)}\,\ln\frac{k\,2^k}{\delta} \ \text{(all inputs at once)}

    from the Gaussian tail exp(-N g^2/(2 sigma^2)) and a union over outputs (and inputs); g is the distance of the
    nearer mean from the threshold. A sufficient size, not the smallest.

    Parameters
    ----------
    k : int in [2, 10^6]
        Bits.
    delta : float in (0, 1)
        Probability of any wrong bit.
    rounding : {"midway", "sign"}
        Threshold (w_set + w_unset)/2, or w_set/2 where all bits are set; or zero.
    inputs : {"worst", "all"}
        Any one input, fixed beforehand; or every nonzero input right at the same time.
    kind : {"ntk", "nngp"}
        See :func:`permutation_weights`.

    Returns
    -------
    EnsembleSize, N and the s of the hardest input. N grows as k ln k ("worst") and k^2 ("all").

    Raises
    ------
    ValueError
        If an argument is out of range.

    Source: arXiv:2502.16763.

    >>> ensemble_size(64, delta=0.1), ensemble_size(64, delta=0.1, rounding="sign").N
    (EnsembleSize(N=542, s=64), 2732)
    """
    require_integer(k, "k", 2, 10**6, "in [2, 10^6]")
    require(is_real(delta) and 0 < delta < 1, "delta", delta, "in (0, 1)")
    if inputs not in ("worst", "all"):
        raise ValueError(f"inputs must be worst or all, got {inputs!r}")
    s = np.arange(2.0, k + 1)
    w_set, w_unset, variance = _weights(np.float64(k), s, kind)
    _, above, below = _threshold(w_set, w_unset, s == k, rounding)
    needed = 2 * variance / np.minimum(above, below) ** 2
    union = log(k / delta) + (k * log(2) if inputs == "all" else 0.0)
    return EnsembleSize(ceil(needed.max() * union), int(needed.argmax()) + 2)


def ensemble_accuracy(
    k: ArrayLike, *, s: ArrayLike, N: ArrayLike, rounding: str = "midway", kind: str = "ntk"
) -> Array:
    r"""Probability that N averaged and rounded networks permute an input with s bits without error.

    .. math:: \Phi\!\left(\frac{\sqrt N\,(w_1 - \theta)}{\sigma}\right)^{s}
              \Phi\!\left(\frac{\sqrt N\,(\theta - w_0)}{\sigma}\right)^{k-s}

    with threshold theta, w_1 = w_set, w_0 = w_unset: the k outputs are independent Gaussians.

    Parameters
    ----------
    k, s : array_like of integers, k >= 2 and s in [2, k]
        Bits and set bits; s = 1 is learned exactly.
    N : array_like of integers, >= 1
        Networks; broadcasts with k and s.
    rounding, kind
        See :func:`ensemble_size`.

    Returns
    -------
    array of the broadcast shape, in [0, 1].

    Raises
    ------
    ValueError
        If an argument is out of range.

    Source: arXiv:2502.16763 for the law of the outputs.

    >>> round(float(ensemble_accuracy(8, s=8, N=26)), 4)
    0.9892
    """
    bits, ones, members = np.broadcast_arrays(_whole("k", k, 2), _whole("s", s, 2), _whole("N", N, 1))
    require(ones <= bits, "s", ones, "in [2, k]")
    w_set, w_unset, variance = _weights(bits, ones, kind)
    _, above, below = _threshold(w_set, w_unset, ones == bits, rounding)
    scale = np.sqrt(members / variance)
    unset = np.where(ones == bits, 0.0, (bits - ones) * log_ndtr(scale * below))
    return np.exp(ones * log_ndtr(scale * above) + unset)


def sampled_accuracy(
    k: int, *, s: int, N: int, draws: int, seed: int, rounding: str = "midway", kind: str = "ntk"
) -> SampledAccuracy:
    r"""The same probability measured: initial functions are drawn, trained, averaged, rounded and compared.

    The average of N initial functions is drawn from GP(0, K/N) at the input and at the basis vectors, of which only the
    sums over set and over unset bits matter; the training formula f_0(x) + B (y - f_0(X)) is then applied.

    Parameters
    ----------
    k, s, N : int
        As in :func:`ensemble_accuracy`, one each.
    draws : int >= 1
        Ensembles.
    seed : int >= 0
        Of the random numbers.
    rounding, kind
        See :func:`ensemble_size`.

    Returns
    -------
    SampledAccuracy, the share of ensembles without a wrong bit and its standard error.

    Raises
    ------
    ValueError
        If an argument is out of range.

    Source: arXiv:2502.16763.

    >>> sampled_accuracy(8, s=8, N=26, draws=2000, seed=1).accuracy > 0.98
    True
    """
    for name, value, low in (("k", k, 2), ("s", s, 2), ("N", N, 1), ("draws", draws, 1), ("seed", seed, 0)):
        require_integer(value, name, low, _MOST, f">= {low} and <= 2^40")
    require(s <= k, "s", s, "in [2, k]")
    w_set, w_unset, _ = _weights(np.float64(k), np.float64(s), kind)
    threshold, _, _ = _threshold(w_set, w_unset, np.bool_(s == k), rounding)
    mix = np.array([1.0, -w_set, -w_unset]) @ _initial_root(k, s) / np.sqrt(N)
    target = np.where(np.arange(k) < s, w_set, w_unset)
    rng = Generator(Philox(key=seed))
    block, right = max(1, _AT_ONCE // (3 * k)), 0
    for first in range(0, draws, block):
        output = target + rng.standard_normal((min(block, draws - first), k, 3)) @ mix
        right += int(((output > threshold) == (np.arange(k) < s)).all(axis=1).sum())
    share = (right + 1) / (draws + 2)
    return SampledAccuracy(right / draws, float(np.sqrt(share * (1 - share) / draws)))


def _weights(k: Any, s: Any, kind: str) -> tuple[Array, Array, Array]:
    """w_set, w_unset (its continuation at s = k) and the variance; the formulas above with a = 2 pi or pi."""
    if kind not in ("ntk", "nngp"):
        raise ValueError(f"kind must be ntk or nngp, got {kind!r}")
    layers = 2.0 if kind == "ntk" else 1.0
    a, th = layers * pi, np.arctan(np.sqrt(s - 1))
    r = 1 / (np.sqrt(s) + np.sqrt(s - 1))
    w_unset = -np.sqrt(s) * (np.sqrt(s) * (a - layers * th - r) - (a - 1)) / ((a - 1) * (a - 1 + k))
    missing = (layers * th - 1 + r) / (a - 1) - w_unset
    w_set = 1 - missing
    spread = (pi - 1) * s * missing**2 + 2 * s * w_set * (th - 1 + r)
    return w_set, w_unset, (spread + ((a - 1) ** 2 + (pi - 1) * (k - s)) * w_unset**2) / (2 * pi * k)


def _threshold(w_set: Array, w_unset: Array, full: Any, rounding: str) -> tuple[Array, Array, Array]:
    """The threshold and the distances of w_set above and of w_unset below it, infinite where no bit is unset."""
    if rounding not in ("midway", "sign"):
        raise ValueError(f"rounding must be midway or sign, got {rounding!r}")
    low = np.where(full, 0.0, w_unset)
    threshold = (w_set + low) / 2 if rounding == "midway" else np.zeros_like(w_set)
    return threshold, w_set - threshold, np.where(full, np.inf, threshold - w_unset)


def _initial_root(k: int, s: int) -> Array:
    """R with R R^T the covariance of f_0(x), of sum f_0(e_i) over set bits, and over unset bits."""
    one, other = float(s), float(k - s)
    at_x = np.sqrt(one - 1) + pi - np.arctan(np.sqrt(one - 1))
    x = [pi * one, one * at_x, other * np.sqrt(one)]
    covariance = np.array([x, [x[1], one * (pi - 1 + one), one * other], [x[2], one * other, other * (pi - 1 + other)]])
    value, vector = np.linalg.eigh(covariance / (2 * pi * k))
    return vector * np.sqrt(np.maximum(value, 0.0))


def _whole(name: str, value: Any, low: int) -> Array:
    """The integers as float64, or a refusal."""
    number = real_array(value, name)
    ok = (number == np.round(number)) & (number >= low) & (number <= _MOST)
    require(ok, name, number, f"an integer >= {low} and <= 2^40")
    return number
