r"""A fully connected network as numbers: what its layers do to the variance of one input.

    q_0 = sigma_w^2 |x|^2/d + sigma_b^2,    q_{l+1} = sigma_w^2 V(q_l) + sigma_b^2,
    t_0 = q_0,                              t_{l+1} = q_{l+1} + sigma_w^2 V'(q_l) t_l,

in O(n L), with the exact limits of coincident inputs. Where variances of a network of ABRelu units leave the range of
floating-point numbers they are kept as q 2^e, the same e for all inputs: a power of two changes no digit. An Erf unit
of variances so small that it is a line to all digits is one of them.
"""

from dataclasses import dataclass
from math import frexp, inf, isfinite, ldexp, pi, sqrt
from typing import NamedTuple

import numpy as np

from ...core.backend import Array

ABRELU, ERF = 0, 1
LARGE = 400
"""Of the binary exponent of the largest variance: beyond, the scale is taken out."""
LINE = -100
"""Of the binary exponent of b^2 q of an Erf unit: below, erf(b x) is 2 b x/sqrt(pi) to all digits."""


class Tables(NamedTuple):
    """Of all inputs: everything the loops over pairs read."""

    laws: Array
    """(L + 1, 6): scale sigma_w^2/d and shift of the first map; (code, three constants, 0, shift) of each layer"""
    layers: Array
    """(L, 2, n): sqrt q and its inverse (ABRelu), sqrt(1 + 2 b^2 q) and its inverse (Erf)"""
    q: Array
    """(L + 1, n): diagonal of the NNGP kernel before each layer and at the end"""
    t: Array
    """(L + 1, n): diagonal of the NTK"""
    exponent: tuple[int, ...]
    """e of each level: the kernels are 2^e times what the loops give"""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Dense, activation, Dense, ..., activation, Dense."""

    sigma_w2: tuple[float, ...]
    sigma_b2: tuple[float, ...]
    """of the L + 1 affine maps"""
    activations: tuple[tuple[float, float, float, float], ...]
    """L times (code, parameters): (0, al, be, 0) or (1, a, b, c)"""
    names: tuple[str, ...]
    """of the L + 1 affine maps and L activations in turn, for errors"""
    inputs: int = 0
    """binary exponent taken out of |x|^2"""

    def tables(self, square: Array, d: int) -> Tables:
        """Tables of inputs with |x|^2 = ``square`` (n,) in ``d`` dimensions."""
        L = len(self.activations)
        laws, layers = np.zeros((L + 1, 6)), np.zeros((L, 2, square.size))
        q, t = np.empty((L + 1, square.size)), np.empty((L + 1, square.size))
        gain, shift = self.sigma_w2[0], self.sigma_b2[0]
        drop = taken_out(gain, float(square.max()), shift, self.inputs)
        exponents = [self.inputs + drop]
        laws[0, 1], laws[0, 5] = ldexp(gain, -drop) / d, _ldexp(shift, -exponents[0])
        q[0] = t[0] = laws[0, 1] * square + laws[0, 5]
        for layer in range(L):
            code, a, b, c = self.activations[layer]
            e, largest = exponents[-1], float(q[layer].max())
            if code == ABRELU:
                found = self._abrelu(layer, (a, b, 0.0), q[layer], t[layer], e)
            elif largest == 0 or frexp(b * b)[1] + frexp(largest)[1] + e < LINE:
                slope = 2 * a * b / sqrt(pi)
                found = self._abrelu(layer, (slope, slope, c), q[layer], t[layer], e)
            else:
                found = self._erf(layer, q[layer], t[layer], e)
            laws[layer + 1], layers[layer], q[layer + 1], t[layer + 1], e = found
            if not np.isfinite(q[layer + 1]).all():
                raise OverflowError(
                    f"{self.names[2 * layer + 2]} gives a variance beyond the range of floating-point numbers"
                )
            exponents.append(e)
        return Tables(laws, layers, q, t, tuple(exponents))

    def _abrelu(
        self, layer: int, unit: tuple[float, float, float], q: Array, t: Array, e: int
    ) -> tuple[Array, Array, Array, Array, int]:
        """Of a unit al min(x, 0) + be max(x, 0) and a constant, which al = be may have."""
        al, be, c = unit
        gain = self.sigma_w2[layer + 1]
        shift = gain * c * c + self.sigma_b2[layer + 1]
        A, C = gain * (al * al + be * be) / 2, gain * (al - be) * (al - be) / (2 * pi)
        drop = taken_out(A, float(q.max()), shift, e)
        A, C, shift = ldexp(A, -drop), ldexp(C, -drop), _ldexp(shift, -e - drop)
        root = np.sqrt(q)
        inverse = np.divide(1.0, root, out=np.zeros_like(root), where=root > 0)
        law = np.array([ABRELU, A, C, 0.0, 0.0, shift])
        with np.errstate(over="ignore", invalid="ignore"):  # told by tables
            q_next = A * q + shift
            return law, np.array([root, inverse]), q_next, q_next + A * t, e + drop

    def _erf(self, layer: int, q: Array, t: Array, e: int) -> tuple[Array, Array, Array, Array, int]:
        _, a, b, c = self.activations[layer]
        gain = self.sigma_w2[layer + 1]
        square = _ldexp(b * b, e)
        if not isfinite(4 * square * float(q.max(initial=0.0))):
            raise OverflowError(
                f"{self.names[2 * layer + 1]} receives a variance beyond 2^{e}: take smaller sigma_w before it"
            )
        rate, amplitude = gain * a * a * square * 4 / pi, gain * a * a * 2 / pi
        shift = gain * c * c + self.sigma_b2[layer + 1]
        s2 = 1 + 2 * square * q
        law = np.array([ERF, amplitude, rate, 2 * square, 0.0, shift])
        q_next = amplitude * np.arctan2(2 * square * q, np.sqrt(1 + 4 * square * q)) + shift
        root = np.sqrt(s2)
        return law, np.array([root, 1 / root]), q_next, q_next + rate / np.sqrt(1 + 4 * square * q) * t, 0


def taken_out(gain: float, q: float, shift: float, e: int) -> int:
    """The power of two to take out of gain q + shift 2^-e, from exponents: it may be no number itself."""
    parts = [frexp(gain)[1] + frexp(q)[1]] if gain > 0 and q > 0 else []
    parts += [frexp(shift)[1] - e] if shift > 0 else []
    power = max(parts, default=0)
    return power if abs(power) > LARGE else 0


def _ldexp(value: float, power: int) -> float:
    try:
        return ldexp(value, power)
    except OverflowError:
        return inf
