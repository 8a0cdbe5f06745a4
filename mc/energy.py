"""Energies of the overlaps, as data: integer patterns and the unit in which a flip costs an integer."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require
from .patterns import as_patterns


@dataclass(frozen=True, eq=False)
class OverlapEnergy:
    r"""An energy of the overlaps, with the diagonal out; built by ``OverlapEnergy.hebbian``.

    .. math:: H = -\frac{1}{2N} \sum_\mu \sum_{i \ne j} \xi_i^\mu \xi_j^\mu \sigma_i \sigma_j
                = -\frac{1}{2N} \Big(\sum_\mu M_\mu^2 - \sum_{i\mu} (\xi_i^\mu)^2\Big),
              \qquad M_\mu = \sum_i \xi_i^\mu \sigma_i

    A flip costs :math:`\Delta E = (2/N) D` with the integer
    :math:`D = \sigma_i \sum_\mu \xi_i^\mu M_\mu - \sum_\mu (\xi_i^\mu)^2`.

    Parameters
    ----------
    xi : int8 array (sample, mu, site), values -1, 0, 1

    Raises
    ------
    ValueError for other values or shapes, or where N^2 K reaches 2^62 (sums are exact in 64 bits).
    """

    xi: NDArray[np.int8]

    def __post_init__(self) -> None:
        object.__setattr__(self, "xi", as_patterns(self.xi))
        require(self.N**2 * self.K < 2**62, "N^2 K", str(self.N**2 * self.K), "< 2^62")

    @classmethod
    def hebbian(cls, xi: xr.DataArray | NDArray[Any]) -> "OverlapEnergy":
        r"""The Hopfield model with the diagonal out.

        .. math:: H = -\frac{N}{2} \sum_\mu m_\mu^2 + \frac{K}{2}, \qquad
                  m_\mu = \frac{1}{N} \sum_i \xi_i^\mu \sigma_i

        Parameters
        ----------
        xi : integer array (sample, mu, site) or (mu, site), values -1 and 1

        Returns
        -------
        OverlapEnergy, in units of J = k_B = 1.

        Raises
        ------
        ValueError for other values or shapes.

        Source: J. J. Hopfield, PNAS 79, 2554 (1982); Amit, Gutfreund, Sompolinsky, Ann. Phys. 173, 30 (1987).

        >>> energy = OverlapEnergy.hebbian(np.array([[1, 1, -1, 1], [1, -1, -1, -1]]))
        >>> M = energy.overlaps(np.array([1, 1, -1, 1]))
        >>> float(energy.per_spin(np.sum(M**2, dtype=np.int64)))
        -0.25
        """
        require(np.abs(np.asarray(xi)) == 1, "xi", np.asarray(xi), "-1 or 1")
        return cls(as_patterns(xi))

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
    def diagonal(self) -> NDArray[np.int64]:
        """The self term of every site, ``sum_mu (xi_i^mu)^2``, shape (sample, site)."""
        return np.sum(self.xi != 0, axis=1, dtype=np.int64)

    def overlaps(self, sigma: ArrayLike, sample: int = 0) -> NDArray[np.int64]:
        """``M_mu = sum_i xi_i^mu sigma_i`` of the spins (..., site) in one sample, exact, shape (..., mu)."""
        M: NDArray[np.int64] = np.matmul(np.asarray(sigma), self.xi[sample].T, dtype=np.int64)
        return M

    def per_spin(self, squares: ArrayLike, sample: int = 0) -> NDArray[np.float64]:
        """Energy per spin, ``-(sum_mu M_mu^2 - sum_i,mu (xi_i^mu)^2) / (2 N^2)``, of ``sum_mu M_mu^2``."""
        diagonal = np.count_nonzero(self.xi[sample])
        return (diagonal - np.asarray(squares, np.int64)) / (2.0 * self.N**2)

    def scale(self, T: float) -> np.float32:
        """The temperature in units of D: ``T N/2`` in float64, rounded once to float32.

        >>> float(OverlapEnergy.hebbian(np.ones((1, 6))).scale(0.5))
        1.5
        """
        scale = np.float64(T) * (self.N / 2)
        require(2.0**-100 <= scale <= 2.0**100, "T", T, f"between 2^-100 and 2^100 in units of {2 / self.N:.3g}")
        return np.float32(scale)


def temperatures_of(T: ArrayLike) -> NDArray[np.float64]:
    """Temperatures of a simulation or an enumeration as a list: finite and > 0, at least one.

    >>> temperatures_of(0.5)
    array([0.5])
    """
    temperatures = np.atleast_1d(np.asarray(T, np.float64))
    require(temperatures.ndim == 1 and temperatures.size > 0, "T", str(T), "a number or a list of at least one")
    require(np.isfinite(temperatures) & (temperatures > 0), "T", temperatures, "finite and > 0")
    return temperatures
