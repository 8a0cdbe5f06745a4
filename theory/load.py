r"""How many patterns a load means, for networks of P-spin interactions."""

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..core.errors import require, require_integer
from .model import Range

_LARGEST = 2**62


def load_to_gamma(load: ArrayLike, *, P: int) -> Any:
    r"""Gardner's load gamma of a network with K = load N^(P-1) patterns.

    .. math:: K = \gamma\, \frac{2}{P!}\, N^{P-1} \quad\Longleftrightarrow\quad
              \gamma = \frac{P!}{2}\, \alpha_{P-1}, \qquad \alpha_{P-1} = \frac{K}{N^{P-1}}

    Parameters
    ----------
    load : array_like
        K/N^(P-1), finite and >= 0.
    P : int
        Order of the interactions, >= 2; at P = 2 gamma is the load K/N.

    Returns
    -------
    gamma, of the shape of load.

    Raises
    ------
    ValueError
        Outside these ranges.

    Notes
    -----
    Source: E. Gardner, J. Phys. A 20, 3453 (1987); arXiv:2111.12997.

    Examples
    --------
    >>> float(load_to_gamma(0.125, P=3))
    0.375
    """
    require_integer(P, "P", 2, 170, ">= 2 and <= 170")
    alpha = Range(0.0).check("load", load)
    return (alpha * (factorial(P) / 2))[()]


def gamma_to_K(gamma: ArrayLike, *, N: int, P: int) -> Any:
    r"""Number of patterns at load gamma.

    .. math:: K = \mathrm{round}\Bigl(\gamma\, \frac{2}{P!}\, N^{P-1}\Bigr)

    Parameters
    ----------
    gamma : array_like
        Load, finite and >= 0.
    N : int
        Sites, >= 1.
    P : int
        Order of the interactions, >= 2.

    Returns
    -------
    K, an int or an int64 array of the shape of gamma.

    Raises
    ------
    ValueError
        Outside these ranges, or where K reaches 2^62.

    Notes
    -----
    Source: E. Gardner, J. Phys. A 20, 3453 (1987); arXiv:2111.12997.

    Examples
    --------
    >>> gamma_to_K(0.3, N=100, P=4)
    25000
    """
    require_integer(P, "P", 2, 170, ">= 2 and <= 170")
    require_integer(N, "N", 1, 2**31, "in [1, 2^31]")
    given = Range(0.0).check("gamma", gamma)
    whole, part = divmod(2 * N ** (P - 1), factorial(P))
    unit = min(whole, 2**1000) + part / factorial(P)
    require(given * unit < _LARGEST, "gamma", given, f"below {_LARGEST / unit:.3g}, where K reaches 2^62")
    K = np.rint(given * unit).astype(np.int64)
    return int(K) if K.ndim == 0 else K
