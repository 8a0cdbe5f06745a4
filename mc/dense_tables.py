"""Patterns of signs as bits, the polynomials of a flip as the dense kernel sums them, and its range certificates."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from .integers import IntegerOverlaps

BLOCK = 128  # patterns that a turn of the inner loop takes
HALVES, WORDS, WIDE = "halves", "words", "wide"
"""Products of int16 summed in int32, nothing cached; b(M) cached in int32; b(M) cached in int64."""
_PATTERNS_AT_ONCE = 4096


@dataclass(frozen=True)
class Monic:
    """A polynomial in M as ``constant + lead X h(M^2)``: X is M or M^2 by the parity of the degree, h is monic.

    ``inner`` are the coefficients of h below the leading one, lowest power first.

    >>> Monic.of(np.array([0, 22, 0, -1]))
    Monic(degree=3, constant=0, lead=-1, inner=(-22,))
    """

    degree: int
    constant: int
    lead: int
    inner: tuple[int, ...]

    @classmethod
    def of(cls, polynomial: NDArray[np.int64]) -> "Monic | None":
        """This form of coefficients of one parity, lowest power first, or None where it needs fractions."""
        p = polynomial.tolist()
        degree, lead = len(p) - 1, p[-1]
        varying = p[2 - degree % 2 :: 2]
        if any(c % lead for c in varying):
            return None
        return cls(degree, p[0], lead, tuple(c // lead for c in varying[:-1]))

    def peak(self, N: int) -> int:
        """A bound of ``|X h(M^2)|`` where |M| <= N."""
        first = 2 - self.degree % 2
        return sum(abs(c) * N ** (first + 2 * k) for k, c in enumerate((*self.inner, 1)))


def monic_pair(energy: IntegerOverlaps) -> tuple[Monic, Monic] | None:
    """a and b of an energy of sign patterns with P >= 3, or None where no dense kernel is exact."""
    if energy.P < 3 or energy.F is not None or not energy.signs:
        return None
    N, polynomials = energy.N, energy.flip_polynomials()
    a, b = (Monic.of(p) for p in polynomials)
    if a is None or b is None:
        return None
    flip = sum(abs(int(c)) * N**k for p in polynomials for k, c in enumerate(p))
    return (a, b) if 4 * (energy.K + BLOCK) * flip < 2**62 else None


def route_of(N: int, a: Monic, b: Monic) -> tuple[tuple[str, str], tuple[int, int]]:
    """The exact routes for few and for many accepted flips, and how many terms their narrow sums may take.

    Sums of fewer than four terms are widened so often that a cache does not pay where there is a choice.
    """
    largest, c = max(a.peak(N), b.peak(N)), b.inner[0] if b.degree == 3 else 0
    square, cube = b.degree == 2 and N <= 32767, b.degree == 3 and N <= 16383 and -(2**15) <= c <= 2**14
    halves = (2**31 - 1) // (2 * N * (N if square else max(N, 2**14 + abs(c))))
    words = (2**31 - 1) // largest
    if square or (cube and words < 4):
        return (HALVES, HALVES), (halves, halves)
    if N > 32767 or not words:
        return (WIDE, WIDE), (2**31, 2**31)
    return ((WORDS, HALVES), (words, halves)) if cube else ((WORDS, WORDS), (words, words))


@dataclass(frozen=True, eq=False)
class DenseTables:
    r"""What all chains of a sample share.

    A flip costs :math:`D = -\sum_\mu [a(M_\mu) + \sigma_i \xi_i^\mu b(M_\mu)]`. K is padded to whole blocks with
    patterns of ones, whose share of D is taken off again.

    Attributes
    ----------
    route, run : what ``route_of`` gives
    bits : uint64 (site, word), set where the pattern is -1
    balance : int64 (site,), ``sum_mu xi_i^mu`` with the padding
    a, b : int64, the polynomials, lowest power first
    units : constant of a summed, lead of a, constant of b, lead of b
    inner : ``Monic.inner`` of a and b
    """

    energy: IntegerOverlaps
    sample: int
    route: tuple[str, str]
    run: tuple[int, int]
    bits: NDArray[np.uint64]
    balance: NDArray[np.int64]
    a: NDArray[np.int64]
    b: NDArray[np.int64]
    units: tuple[int, int, int, int]
    inner: tuple[tuple[int, ...], tuple[int, ...]]

    @property
    def padded(self) -> int:
        """The number of patterns with the padding."""
        return 64 * self.bits.shape[1]

    @property
    def constants(self) -> tuple[Any, ...]:
        """What the compiled functions read."""
        return self.bits, self.balance, self.a, self.b, self.padded - self.energy.K, self.units, self.inner


def dense_tables(energy: IntegerOverlaps, sample: int) -> DenseTables:
    """The tables of one sample of an energy that ``monic_pair`` accepts."""
    pair = monic_pair(energy)
    must = "signs with P >= 3 and sums below 2^62, else it is one for the general kernel"
    require(pair is not None, "energy", f"P = {energy.P}", must)
    assert pair is not None
    a, b = pair
    route, run = route_of(energy.N, a, b)
    bits = _minus_bits(energy.xi[sample])
    padded = 64 * bits.shape[1]
    balance = padded - 2 * np.sum(np.bitwise_count(bits), axis=1, dtype=np.int64)
    units = a.constant * padded, a.lead, b.constant, b.lead
    return DenseTables(energy, sample, route, run, bits, balance, *energy.flip_polynomials(), units, (a.inner, b.inner))


def _minus_bits(xi: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Patterns (mu, site) as bits (site, word), set where xi = -1, in whole blocks."""
    K, N = xi.shape
    bits = np.zeros((N, -(-K // BLOCK) * BLOCK // 8), np.uint8)
    for first in range(0, K, _PATTERNS_AT_ONCE):
        some = np.packbits(xi[first : first + _PATTERNS_AT_ONCE] < 0, axis=0, bitorder="little")
        bits[:, first // 8 : first // 8 + len(some)] = some.T
    return bits.view(np.uint64)
