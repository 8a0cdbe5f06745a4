"""Energies of the overlaps by name: patterns, dense and diluted networks, examples, any function of the overlaps."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.errors import require, require_integer
from .integers import POWERS, IntegerOverlaps
from .patterns import as_examples, as_patterns


@dataclass(frozen=True, eq=False)
class OverlapEnergy(IntegerOverlaps):
    r"""An energy of the overlaps, built by one of its class methods; no couplings are ever formed.

    .. math:: H = -\frac{N}{2} \sum_\mu m_\mu^P \ \text{up to its diagonal}, \qquad
              m_\mu = \frac{1}{N} \sum_i \xi_i^\mu \sigma_i

    so that the T of a simulation is the T (at P > 2 the T') of the theory.

    >>> OverlapEnergy.dense(np.ones((1, 10), int), P=4).scale(0.5).item()
    125.0
    """

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
        >>> float(energy.per_spin(energy.total(M)))
        -0.25
        """
        require(np.abs(np.asarray(xi)) == 1, "xi", np.asarray(xi), "-1 or 1")
        return cls(as_patterns(xi))

    @classmethod
    def dense(cls, xi: xr.DataArray | NDArray[Any], *, P: int, diagonal: str = "excluded") -> "OverlapEnergy":
        r"""The dense Hebbian network of P-spin interactions, at T' of the theory.

        .. math:: H = -\frac{P!}{2 N^{P-1}} \sum_\mu e_P(\xi^\mu \sigma), \qquad
                  \text{included:}\ H = -\frac{N}{2} \sum_\mu m_\mu^P

        with e_P the sum of all products of P different sites, by the Krawtchouk recursion. P = 2 is ``hebbian``.

        Parameters
        ----------
        xi : integer array (sample, mu, site) or (mu, site), values -1, 0 and 1
        P : int >= 2
        diagonal : "excluded", or "included" for the full power

        Returns
        -------
        OverlapEnergy; its T is T' = P! T/2 of the energy with prefactor 1/N^(P-1).

        Raises
        ------
        ValueError for other values or shapes, or where a sum could reach 2^62.

        Source: arXiv:2212.00606; Gardner, J. Phys. A 20, 3453 (1987).

        >>> energy = OverlapEnergy.dense(np.ones((1, 5), int), P=3)
        >>> float(energy.per_spin(energy.total(energy.overlaps(np.ones(5, int))))) == -3 * 10 / 5**3
        True
        """
        return cls(as_patterns(xi), P, diagonal)

    @classmethod
    def multitasking(cls, xi: xr.DataArray | NDArray[Any], *, diagonal: str = "excluded") -> "OverlapEnergy":
        r"""The Hopfield energy of diluted patterns, in raw units (T_c = 1 - d at low load).

        .. math:: H = -\frac{N}{2} \sum_\mu m_\mu^2 + \frac{1}{2N} \sum_{i\mu} (\xi_i^\mu)^2

        Parameters
        ----------
        xi : integer array (sample, mu, site) or (mu, site), values -1, 0 and 1
        diagonal : "excluded", or "included" without the last term

        Returns
        -------
        OverlapEnergy.

        Raises
        ------
        ValueError for other values or shapes.

        Source: Agliari, Barra, Galluzzi, Guerra, Moauro, Phys. Rev. Lett. 109, 268101 (2012).

        >>> energy = OverlapEnergy.multitasking(np.array([[1, 0, -1, 1]]))
        >>> float(energy.per_spin(energy.total(energy.overlaps(np.array([1, 1, -1, 1])))))
        -0.1875
        """
        return cls(as_patterns(xi), 2, diagonal)

    @classmethod
    def supervised(
        cls, eta: xr.DataArray | NDArray[Any], *, P: int = 2, r: float, diagonal: str = "excluded"
    ) -> "OverlapEnergy":
        r"""Patterns known by the average of their M examples, :math:`\bar\eta_i^\mu = \frac1M \sum_a \eta_i^{\mu a}`.

        .. math:: H = -\frac{P!}{2 R^{P/2} N^{P-1}} \sum_\mu e_P(\bar\eta^\mu \sigma), \qquad
                  R = r^2 + \frac{1 - r^2}{M}

        Overlaps are reported as the n of the theory, :math:`n_\mu = \frac{r}{R N} \sum_i \bar\eta_i^\mu \sigma_i`.

        Parameters
        ----------
        eta : integer array (sample, mu, example, site) or (mu, example, site), values -1, 0 and 1
        P : int >= 2
        r : float in (0, 1], quality of the examples; it sets R, the examples themselves carry it
        diagonal : "excluded" or "included"

        Returns
        -------
        OverlapEnergy with the integer weights :math:`\sum_a \eta_i^{\mu a}`.

        Raises
        ------
        ValueError for other values or shapes, or where a sum could reach 2^62.

        Source: arXiv:2212.00606.

        >>> OverlapEnergy.supervised(np.ones((1, 3, 8), int), r=1.0).scale(1.0).item()  # 9 * 8 / 2
        36.0
        """
        require_integer(P, "P", *POWERS)
        examples = as_examples(eta)
        M = examples.shape[2]
        R = _norm(r, M)
        w: NDArray[np.integer] = np.sum(examples, axis=2, dtype=np.int8 if M <= 127 else np.int32)
        g, first = 1 / (R ** (P / 2) * float(M) ** P), examples[:, 0, 0].copy()
        return cls(w, P, diagonal, g=g, unit=r / (R * M), example=first, protocol="supervised", M=M)

    @classmethod
    def unsupervised(
        cls, eta: xr.DataArray | NDArray[Any], *, P: int = 2, r: float, diagonal: str = "excluded"
    ) -> "OverlapEnergy":
        r"""Every example stored as a pattern of its own.

        .. math:: H = -\frac{P!}{2 R^{P/2} M N^{P-1}} \sum_{\mu a} e_P(\eta^{\mu a} \sigma), \qquad
                  R = r^2 + \frac{1 - r^2}{M}

        Overlaps are reported as :math:`n_{\mu a} = \frac{r}{R N} \sum_i \eta_i^{\mu a} \sigma_i`, mu slowest.

        Parameters
        ----------
        eta : integer array (sample, mu, example, site) or (mu, example, site), values -1, 0 and 1
        P : int >= 2
        r : float in (0, 1], quality of the examples; it sets R, the examples themselves carry it
        diagonal : "excluded" or "included"

        Returns
        -------
        OverlapEnergy with K M patterns.

        Raises
        ------
        ValueError for other values or shapes, or where a sum could reach 2^62.

        Source: arXiv:2211.14067.

        >>> OverlapEnergy.unsupervised(np.ones((2, 3, 8), int), r=1.0).K
        6
        """
        require_integer(P, "P", *POWERS)
        examples = as_examples(eta)
        samples, K, M, N = examples.shape
        R = _norm(r, M)
        xi = examples.reshape(samples, K * M, N)
        g, first = 1 / (R ** (P / 2) * M), examples[:, 0, 0].copy()
        return cls(xi, P, diagonal, g=g, unit=r / R, example=first, protocol="unsupervised", M=M)

    @classmethod
    def table(cls, xi: xr.DataArray | NDArray[Any], F: ArrayLike) -> "OverlapEnergy":
        r"""Any function of the overlaps, in 64-bit fixed point.

        .. math:: H = -\sum_\mu F(M_\mu), \qquad F \to 2^{-b}\,\mathrm{round}(2^b F)

        with b = 0 for integer F and else as large as 62 bits allow; the model simulated is the rounded one.

        Parameters
        ----------
        xi : integer array (sample, mu, site) or (mu, site), values -1, 0 and 1
        F : (2 N + 1,), the values at M = -N, ..., N, finite

        Returns
        -------
        OverlapEnergy; T is in the unit of F, and b is its ``bits``.

        Raises
        ------
        ValueError for other values or shapes.

        Source: Krotov, Hopfield, NIPS 29 (2016), arXiv:1606.01164, eq. (2); Demircigil et al., arXiv:1702.01929.

        >>> energy = OverlapEnergy.table(np.ones((1, 4), int), np.exp(np.arange(-4, 5)))
        >>> float(energy.per_spin(energy.total(energy.overlaps(np.ones(4, int)))).round(6)) == -13.649538
        True
        """
        values, checked = np.asarray(F), as_patterns(xi)
        _, K, N = checked.shape
        require(values.shape == (2 * N + 1,), "F.shape", str(values.shape), f"({2 * N + 1},), one value for M = -N..N")
        whole = values.dtype.kind in "iu"
        real = values.astype(np.float64)
        require(np.isfinite(real), "F", real, "finite")
        require(whole | (np.abs(real) < 2.0**59 / K), "F", real, f"below 2^62 / (8 K) = {2.0**59 / K:.3g}")
        bits = 0 if whole else int(61 - np.ceil(np.log2(max(1.0, 8 * K * np.max(np.abs(real))))))
        fixed = values.astype(np.int64) if whole else np.rint(np.ldexp(real, bits)).astype(np.int64)
        return cls(checked, F=np.pad(fixed, 2, mode="edge"), bits=bits)


def _norm(r: float, M: int) -> float:
    """R = r^2 + (1 - r^2)/M."""
    require(0 < r <= 1, "r", r, "in (0, 1]")
    return r**2 + (1 - r**2) / M


def temperatures_of(T: ArrayLike) -> NDArray[np.float64]:
    """Temperatures of a simulation or an enumeration as a list: finite and > 0, at least one.

    >>> temperatures_of(0.5)
    array([0.5])
    """
    temperatures = np.atleast_1d(np.asarray(T, np.float64))
    require(temperatures.ndim == 1 and temperatures.size > 0, "T", str(T), "a number or a list of at least one")
    require(np.isfinite(temperatures) & (temperatures > 0), "T", temperatures, "finite and > 0")
    return temperatures
