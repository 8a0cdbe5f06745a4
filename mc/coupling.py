"""Any symmetric couplings, as integers: the energy of models that are no function of a few overlaps."""

from hashlib import sha256

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require
from .integers import scale_of


class CouplingEnergy:
    r"""Pairwise couplings, rounded to integers times a power of two.

    .. math:: H = -\frac12 \sum_{i \ne j} J_{ij} \sigma_i \sigma_j, \qquad J \to 2^{-b}\,\mathrm{round}(2^b J)

    with b = 0 for integer J, else the largest for which N max|J| 2^b stays within 2^30: the largest coupling then
    keeps about 30 - log2 N binary digits, and the model simulated is the rounded one. The diagonal of J is a constant
    of the energy and is left out. It is the one energy that holds N x N numbers.

    Parameters
    ----------
    J : (site, site) or (sample, site, site), symmetric, finite

    Attributes
    ----------
    J : int32 (sample, site, site), the integers, diagonal 0
    bits : int, the b above

    Raises
    ------
    ValueError for other values or shapes, or integer J with N max|J| > 2^30.

    Source: the definition; Sherrington, Kirkpatrick, Phys. Rev. Lett. 35, 1792 (1975) for Gaussian J.

    >>> energy = CouplingEnergy(np.array([[0.0, 0.5], [0.5, 0.0]]))
    >>> float(energy.per_spin(energy.total_of(np.array([1, 1]))))
    -0.25
    """

    K = 0  # no patterns, no overlaps

    def __init__(self, J: xr.DataArray | ArrayLike) -> None:
        given = np.asarray(J)
        require(given.ndim in (2, 3), "dimensions of J", given.ndim, "2 (site, site) or 3 (sample, site, site)")
        require(given.size > 0, "J.size", given.size, ">= 1")
        J = given.reshape(-1, *given.shape[-2:])
        require(J.shape[1] == J.shape[2], "J.shape", str(given.shape), "two equal lengths at the end")
        require(np.isfinite(J), "J", J, "finite")
        require(J.transpose(0, 2, 1) == J, "J", J, "symmetric")
        whole, real = J.dtype.kind in "iu", J.astype(np.float64)
        largest = float(np.max(np.abs(real))) * J.shape[1]
        require(largest == 0 or 2.0**-900 <= largest <= 2.0**900, "N max|J|", largest, "0 or from 2^-900 to 2^900")
        self.bits = 0 if whole or largest == 0 else int(np.floor(30 - np.log2(largest)))
        require(largest * 2.0**self.bits <= 2**30, "N max|J|", largest, "at most 2^30 where J is integer")
        self.J: NDArray[np.int32] = np.rint(np.ldexp(real, self.bits)).astype(np.int32)
        self.J[:, np.arange(self.N), np.arange(self.N)] = 0

    @property
    def samples(self) -> int:
        """Number of disorder samples."""
        return self.J.shape[0]

    @property
    def N(self) -> int:
        """Number of sites."""
        return self.J.shape[2]

    @property
    def largest_cost(self) -> int:
        """An upper bound of what a flip costs in units of D."""
        return self.N * int(np.max(np.abs(self.J.astype(np.int64))))

    @property
    def flip_symmetric(self) -> bool:
        """A flip of all spins keeps the energy."""
        return True

    @property
    def self_field(self) -> NDArray[np.int64]:
        """What the diagonal adds to D in a parallel update, (sample, site): nothing."""
        return np.zeros((self.samples, self.N), np.int64)

    def sums(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """The integer fields ``sum_j J_ij sigma_j`` of spins (..., site), exact."""
        h: NDArray[np.int64] = np.matmul(np.asarray(sigma), self.J[sample], dtype=np.int64)
        return h

    def overlaps(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """Of no pattern, shape (..., 0)."""
        return np.zeros((*np.shape(sigma)[:-1], 0), np.int64)

    def flip_cost(self, sums: NDArray[np.int64], sigma: int, i: int, sample: int = 0) -> int:
        """``D = sigma_i sum_j J_ij sigma_j`` in a state with these ``sums``."""
        return sigma * int(sums[i])

    def flip(self, sums: NDArray[np.int64], sigma: int, i: int, sample: int = 0) -> None:
        """Change ``sums`` in place as a flip of site i, whose spin was sigma, does."""
        sums -= 2 * sigma * self.J[sample, i]

    def total_of(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """``G = sum_ij J_ij sigma_i sigma_j`` of spins (..., site), exact."""
        return np.sum(self.sums(sigma, sample) * np.asarray(sigma), axis=-1)

    @property
    def c(self) -> float:
        """The energy of one unit of G: H = -c G."""
        return 2.0 ** (-self.bits - 1)

    def per_spin(self, total: ArrayLike, sample: int = 0) -> NDArray[np.float64]:
        """Energy per spin of G: ``-c G/N``."""
        return -self.c * np.asarray(total, np.int64) / self.N

    def scale(self, T: ArrayLike) -> NDArray[np.float32]:
        """The temperature in units of D: ``T 2^b/2`` in float64, rounded once to float32."""
        return scale_of(T, 2.0 ** (self.bits - 1))

    def description(self) -> dict[str, str | int]:
        """What tells this energy from any other of the same shape."""
        return {"bits": self.bits, "couplings": sha256(self.J.tobytes()).hexdigest()}
