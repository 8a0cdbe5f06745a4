"""From a random word to the largest energy step it accepts: -ln(u), the logit, and their integer thresholds.

Plain IEEE float32 sums and products in one fixed order, no library function and no fused multiply-add, so
NumPy, Numba and any device agree bit for bit. Each NumPy function is followed by its Numba twin.
"""

from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

from ..core.jit import njit

QC = tuple(
    np.float32(float.fromhex(c))
    for c in (
        "0x1.fffffep-1",
        "-0x1.00007ap-1",
        "0x1.555a00p-2",
        "-0x1.ff6316p-3",
        "0x1.9785cap-3",
        "-0x1.613806p-3",
        "0x1.4c79e8p-3",
        "-0x1.9f174ap-4",
        "0x1.62e430p-1",
    )
)
"""Coefficients q_0 to q_7 of ln(1 + t)/t on [1/sqrt(2) - 1, sqrt(2) - 1], then ln 2."""


def _series(t: Any, e: Any, c: Any) -> Any:
    """-(e ln 2 + t q(t)) by Horner's rule, float32."""
    p = c[7] * t + c[6]
    p = p * t + c[5]
    p = p * t + c[4]
    p = p * t + c[3]
    p = p * t + c[2]
    p = p * t + c[1]
    p = p * t + c[0]
    return -(e * c[8] + p * t)


_series_jit = njit(inline="always")(_series)


def _minus_log(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """-ln x of positive normal float32: exponent from the bits, mantissa in [1/sqrt(2), sqrt(2))."""
    i = x.view(np.int32) - np.int32(0x3F3504F3)
    m = ((i & np.int32(0x7FFFFF)) + np.int32(0x3F3504F3)).view(np.float32)
    result: NDArray[np.float32] = _series(m - np.float32(1), (i >> np.int32(23)).astype(np.float32), QC)
    return result


def neglog(u: NDArray[np.uint32]) -> NDArray[np.float32]:
    """L(u) of Metropolis: ``-ln x`` with ``x = ((u >> 8) + 1/2) 2^-24``, within 1.1e-6 of the logarithm.

    Parameters
    ----------
    u : uint32 array, any shape; its upper 24 bits count.

    Returns
    -------
    float32 array of u's shape, in [-0.0, 17.33].

    >>> float(neglog(np.array([2**31], np.uint32))[0])
    0.6931471824645996
    """
    x = ((u >> np.uint32(8)).astype(np.int32).astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-24)
    return _minus_log(x)


def logit(u: NDArray[np.uint32]) -> NDArray[np.float32]:
    """L(u) of the heat bath: ``ln((1 - x)/x)`` with x as in ``neglog``, from one division.

    Parameters
    ----------
    u : uint32 array, any shape; its upper 24 bits count.

    Returns
    -------
    float32 array of u's shape, in [-17.33, 17.33].

    >>> logit(np.array([0, 2**32 - 1], np.uint32))
    array([ 17.32868, -17.32868], dtype=float32)
    """
    n = (u >> np.uint32(8)).astype(np.int32)
    x = n.astype(np.float32) + np.float32(0.5)
    y = (np.int32(0xFFFFFF) - n).astype(np.float32) + np.float32(0.5)
    return _minus_log(x / y)


def thresholds(L: NDArray[np.float32], scale: np.float32) -> NDArray[np.int64]:
    """The largest integer D that is accepted: ``floor(L scale)``, clipped to +-2^62 before the conversion.

    >>> thresholds(np.array([0.75, -0.25], np.float32), np.float32(2.0))
    array([ 1, -1])
    """
    x = np.clip(L * scale, np.float32(-(2.0**62)), np.float32(2.0**62))
    return np.floor(x).astype(np.int64)


def _bits(typing: Any, x: Any) -> Any:
    return types.int32(types.float32), lambda context, builder, signature, args: builder.bitcast(
        args[0], context.get_value_type(types.int32)
    )


def _real(typing: Any, i: Any) -> Any:
    return types.float32(types.int32), lambda context, builder, signature, args: builder.bitcast(
        args[0], context.get_value_type(types.float32)
    )


bits: Any = intrinsic(_bits)
real: Any = intrinsic(_real)


@njit(inline="always", error_model="numpy")
def _minus_log_jit(x: Any, c: Any) -> Any:
    i = np.int32(bits(x) - np.int32(0x3F3504F3))
    m = real(np.int32(np.int32(i & np.int32(0x7FFFFF)) + np.int32(0x3F3504F3)))
    return _series_jit(m - np.float32(1), np.float32(i >> np.int32(23)), c)


@njit(inline="always", error_model="numpy")
def neglog_jit(u: Any, c: Any) -> Any:
    """The twin of ``neglog``, of one word."""
    x = (np.float32(np.int32(u >> np.uint32(8))) + np.float32(0.5)) * np.float32(5.9604644775390625e-08)
    return _minus_log_jit(x, c)


@njit(inline="always", error_model="numpy")
def logit_jit(u: Any, c: Any) -> Any:
    """The twin of ``logit``, of one word."""
    n = np.int32(u >> np.uint32(8))
    x = np.float32(n) + np.float32(0.5)
    y = np.float32(np.int32(np.int32(0xFFFFFF) - n)) + np.float32(0.5)
    return _minus_log_jit(x / y, c)


@njit(inline="always", error_model="numpy")
def _floor_jit(x: Any) -> Any:
    low, high = np.float32(-4611686018427387904.0), np.float32(4611686018427387904.0)
    return np.int64(np.floor(min(max(x, low), high)))


@njit(nogil=True, error_model="numpy")
def fill_thresholds(out: Any, u: Any, scale: Any, heat_bath: bool, c: Any) -> None:
    """The twin of ``thresholds``: fill int64 ``out`` (4, blocks) from the words ``u``, with ``c = QC``."""
    for word in range(4):
        if heat_bath:
            for block in range(u.shape[1]):
                out[word, block] = _floor_jit(logit_jit(u[word, block], c) * scale)
        else:
            for block in range(u.shape[1]):
                out[word, block] = _floor_jit(neglog_jit(u[word, block], c) * scale)
