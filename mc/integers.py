"""The exact arithmetic of an energy of overlaps: sums, energies, the unit of a flip, and the bounds that certify it."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from hashlib import sha256
from math import comb, factorial

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require, require_integer
from . import forms

DIAGONALS = ("excluded", "included")
POWERS = 2, 2**10, ">= 2"
_ROWS = 4096  # patterns turned to floats at a time
_LARGEST = 2**62  # sums stay below: exact in 64 bits


@dataclass(frozen=True, eq=False)
class IntegerOverlaps:
    r"""Integer weights and an integer F of their overlaps :math:`M_\mu = \sum_i \xi_i^\mu \sigma_i`.

    .. math:: H = -\frac{g N}{2} \sum_\mu \Big(\frac{M_\mu}{N}\Big)^P \ \text{up to its diagonal, or}\quad
              H = -2^{-b} \sum_\mu F(M_\mu)

    Parameters
    ----------
    xi : integer array (sample, mu, site)
    P : int >= 2
    diagonal : "excluded" (the power becomes P! times the elementary symmetric polynomial) or "included"
    g : float > 0, the norm of averaged examples; 1 for patterns
    unit : float, by which an overlap M/N is multiplied where it is reported
    F : int64 array (2 N + 5,), values for M = -N - 2 to N + 2, or None for the power
    bits : int, the b above
    example : int8 (sample, site), the first example of the first pattern, or None
    protocol : "storing", "supervised" (weights are sums over examples) or "unsupervised" (every row an example)
    M : int, examples per pattern; 1 for patterns

    Raises
    ------
    ValueError for other values, or where a sum could reach 2^62.
    """

    xi: NDArray[np.integer]
    P: int = 2
    diagonal: str = "excluded"
    g: float = 1.0
    unit: float = 1.0
    F: NDArray[np.int64] | None = None
    bits: int = 0
    example: NDArray[np.int8] | None = None
    protocol: str = "storing"
    M: int = 1

    def __post_init__(self) -> None:
        require_integer(self.P, "P", *POWERS)
        if self.diagonal not in DIAGONALS:
            raise ValueError(f"diagonal must be 'excluded' or 'included', got {self.diagonal!r}")
        bound = max(self._largest_total(), self.largest_cost)
        require(
            bound < _LARGEST,
            "the largest possible sum of F",
            f"2^{bound.bit_length() - 1}",
            "< 2^62: take fewer patterns",
        )

    def _largest_total(self) -> int:
        """An upper bound of G and of every step to it: powers, or e_P by Newton's identities."""
        if self.F is not None:
            return self.K * max(int(self.F.max()), -int(self.F.min()))
        N, P, w = self.N, self.P, self.largest_weight
        if P == 2 or not self.excluded:
            return self.K * (N * w) ** P
        return max(self.K * comb(N, P), N * sum(comb(N, k) for k in range(P))) * w**P

    @property
    def largest_cost(self) -> int:
        """An upper bound of what a flip costs in units of D, and of every step to it."""
        if self.F is not None:
            return 8 * self.K * max(int(self.F.max()), -int(self.F.min()))
        N, P, w = self.N, self.P, self.largest_weight
        if P == 2:
            return self.K * N * w**2
        if not self.excluded:
            return self.K * w**P * ((N + 2) ** P - N**P)
        return self.K * w**P * factorial(P - 1) * sum(comb(N, k) for k in range(P))

    @property
    def pairwise(self) -> bool:
        """Whether F is the square."""
        return self.P == 2 and self.F is None

    @property
    def flip_symmetric(self) -> bool:
        """Whether a flip of all spins keeps the energy: P is even, or the table is."""
        return self.P % 2 == 0 if self.F is None else bool(np.array_equal(self.F, self.F[::-1]))

    @property
    def flip_powers(self) -> int:
        """How many V_j there are."""
        return self.P if self.F is None else 2

    @property
    def samples(self) -> int:
        """Number of disorder samples."""
        return self.xi.shape[0]

    @property
    def K(self) -> int:
        """Number of patterns."""
        return self.xi.shape[1]

    @property
    def N(self) -> int:
        """Number of sites."""
        return self.xi.shape[2]

    @property
    def rows(self) -> int:
        """How many rows belong to one pattern: its examples where they are stored singly."""
        return self.M if self.protocol == "unsupervised" else 1

    @property
    def class_sums(self) -> NDArray[np.integer]:
        """The rows of each pattern summed, integers (sample, pattern, site): 0 at blanks, and where examples tie."""
        if self.rows == 1:
            return self.xi
        classes = self.xi.reshape(self.samples, -1, self.rows, self.N)
        return np.sum(classes, axis=2, dtype=np.int8 if self.rows <= 127 else np.int32)

    @property
    def excluded(self) -> bool:
        """Whether the diagonal is out."""
        return self.diagonal == "excluded" and self.F is None

    @cached_property
    def largest_weight(self) -> int:
        """The largest magnitude of a weight."""
        return int(max(self.xi.max(), -int(self.xi.min())))

    @cached_property
    def signs(self) -> bool:
        """Whether all weights are -1 or 1."""
        return self.largest_weight == 1 and bool(np.all(self.xi))

    @property
    def odd_powers(self) -> int:
        """How many odd power sums of a pattern its F needs: one, but for averaged weights at P > 2."""
        return (self.P + 1) // 2 if self.excluded and self.P > 2 and self.largest_weight > 1 else 1

    @cached_property
    def self_term(self) -> NDArray[np.int64]:
        """``sum_mu (xi_i^mu)^2`` of every site, shape (sample, site)."""
        if self.largest_weight == 1:
            return np.sum(self.xi != 0, axis=1, dtype=np.int64)
        return np.einsum("zki,zki->zi", self.xi, self.xi, dtype=np.int64)

    @property
    def self_field(self) -> NDArray[np.int64]:
        """What the diagonal adds to D in a parallel update, (sample, site): the self term where P = 2 includes it."""
        counts = self.pairwise and self.diagonal == "included"
        return self.self_term if counts else np.zeros((self.samples, self.N), np.int64)

    def sums(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """The odd power sums ``sum_i (xi_i^mu)^k sigma_i`` of spins (..., site), exact: all that F depends on.

        Shape (..., mu), the overlaps, where one odd power is enough, else (..., odd_powers, mu), k = 1, 3, ...
        """
        if self.odd_powers == 1:
            return self.overlaps(sigma, sample)
        s, w = np.asarray(sigma), self.xi[sample].astype(np.int64)
        return np.stack([s @ (w**k).T for k in range(1, 2 * self.odd_powers, 2)], axis=-2, dtype=np.int64)

    def overlaps(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """``M_mu = sum_i xi_i^mu sigma_i`` of the spins (..., site) in one sample, exact, shape (..., mu)."""
        exact = np.float32 if self.N * self.largest_weight <= 2**24 else np.float64  # every partial sum is an integer
        s = np.asarray(sigma, exact)
        M = np.empty((*s.shape[:-1], self.K), np.int64)
        for first in range(0, self.K, _ROWS):
            M[..., first : first + _ROWS] = s @ self.xi[sample, first : first + _ROWS].T.astype(exact)
        return M

    def total(self, sums: NDArray[np.integer], sample: int = 0) -> NDArray[np.int64]:
        """G, the sum over the patterns of M^P, e_P or F(M), of the ``sums`` of one sample."""
        p = np.asarray(sums, np.int64)
        if self.F is not None:
            return np.sum(self.F[p + self.N + 2], axis=-1)
        if self.excluded and self.P > 2:
            return np.sum(forms.elementary(self._powers(p, sample), self.P)[self.P], axis=-1)
        return np.sum(p**self.P, axis=-1)

    def total_of(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """G of spins (..., site) in one sample."""
        return self.total(self.sums(sigma, sample), sample)

    def flip_vectors(self, sums: NDArray[np.int64], sample: int = 0) -> list[NDArray[np.int64]]:
        r"""The V_j of ``sums``, each (..., mu), of :math:`D = \sum_j \sigma_i^j \sum_\mu (\xi_i^\mu)^j V_j^\mu`."""
        if self.F is not None:
            return forms.table_vectors(sums, self.F)
        if self.excluded and self.P > 2:
            return forms.excluded_vectors(self._powers(sums, sample), self.P)
        return forms.included_vectors(sums, self.P)

    def _powers(self, sums: NDArray[np.int64], sample: int) -> list[NDArray[np.int64] | int]:
        """The power sums p_0 to p_P of a sample: odd ones from ``sums``, even ones from xi alone."""
        odd = sums if self.odd_powers > 1 else sums[..., None, :]
        even = [0, *self._even_powers[sample]]
        return [odd[..., min(k // 2, self.odd_powers - 1), :] if k % 2 else even[k // 2] for k in range(self.P + 1)]

    @cached_property
    def _even_powers(self) -> NDArray[np.int64]:
        """p_2, p_4, ... of every pattern, shape (sample, P // 2, mu): no flip changes them."""
        if self.signs:
            return np.broadcast_to(np.int64(self.N), (self.samples, self.P // 2, self.K))
        found = np.empty((self.samples, self.P // 2, self.K), np.int64)
        for sample, first in np.ndindex(self.samples, -(-self.K // _ROWS)):
            rows = slice(first * _ROWS, (first + 1) * _ROWS)
            w = self.xi[sample, rows].astype(np.int64)
            found[sample, :, rows] = [np.sum(w**k, axis=-1) for k in range(2, self.P + 1, 2)]
        return found

    def flip_cost(self, sums: NDArray[np.int64], sigma: int, i: int, sample: int = 0) -> int:
        """D of a flip of site i, whose spin is sigma, in a state with these ``sums``."""
        w = self.xi[sample, :, i].astype(np.int64)
        return sum(sigma**j * int(np.sum(w**j * V)) for j, V in enumerate(self.flip_vectors(sums, sample), 1))

    def flip(self, sums: NDArray[np.int64], sigma: int, i: int, sample: int = 0) -> None:
        """Change ``sums`` in place as a flip of site i, whose spin was sigma, does."""
        w = self.xi[sample, :, i].astype(np.int64)
        sums -= 2 * sigma * (w if self.odd_powers == 1 else w ** np.arange(1, 2 * self.odd_powers, 2)[:, None])

    @property
    def c(self) -> float:
        """The energy of one unit of G: H is a constant minus c G."""
        if self.F is not None:
            return 2.0**-self.bits
        last = factorial(self.P) if self.excluded and self.P > 2 else 1
        return self.g * float(Fraction(last, 2 * self.N ** (self.P - 1)))

    def per_spin(self, total: ArrayLike, sample: int = 0) -> NDArray[np.float64]:
        """Energy per spin of G: ``-c (G - G_0)/N``, G_0 the diagonal that P = 2 leaves in M^2."""
        G_0 = np.sum(self.self_term[sample]) if self.excluded and self.P == 2 else 0
        return -self.c * (np.asarray(total, np.int64) - G_0) / self.N

    def scale(self, T: ArrayLike) -> NDArray[np.float32]:
        """The temperature in units of D, in float64 and rounded once to float32: ``T N^(P-1)/P`` for patterns.

        With the diagonal ``T N^(P-1)`` (``T N/2`` at P = 2, ``T N^3/4`` at P = 4), of a table ``2^(b+1) T``; of
        examples divided by g.
        """
        if self.F is not None:
            unit = Fraction(2) ** (self.bits + 1)
        else:
            unit = Fraction(self.N ** (self.P - 1), self.P if self.excluded else forms.SHARED.get(self.P, 1))
        return scale_of(T, float(unit) / self.g)

    def flip_polynomials(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        r"""a and b, lowest power first, of :math:`D = -\sum_\mu [a(M_\mu) + \xi_i^\mu \sigma_i b(M_\mu)]` for signs."""
        return forms.flip_polynomials(self.N, self.P, self.diagonal)

    def description(self) -> dict[str, str | int | float]:
        """What tells this energy from any other of the same shape."""
        return {
            "P": int(self.P),
            "diagonal": self.diagonal,
            "g": float(self.g),
            "bits": self.bits,
            "patterns": sha256(np.ascontiguousarray(self.xi).tobytes()).hexdigest(),
            "table": sha256(b"" if self.F is None else self.F.tobytes()).hexdigest(),
        }


def scale_of(T: ArrayLike, unit: float) -> NDArray[np.float32]:
    """``T unit`` in float64, rounded once to float32; T = 0, which no threshold uses, gives 0.

    >>> float(scale_of(0.5, 3.0))
    1.5
    """
    t = np.asarray(T, np.float64)
    fits = (t == 0) | ((t * unit >= 2.0**-100) & (t * unit <= 2.0**100))
    require(fits, "T", t, f"2^-100 to 2^100 in units of {1 / unit:.3g}")
    return (t * unit).astype(np.float32)
