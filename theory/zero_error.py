r"""How many patterns are stored without a single error."""

from math import factorial, prod

import numpy as np
from numpy.typing import ArrayLike

from ..core.backend import Array
from ..core.errors import require_integer
from .model import Range


def zero_error_load(*, P: int, N: ArrayLike, every: bool = False, diagonal: str = "excluded") -> Array:
    r"""Patterns up to which one given pattern, or every pattern, is exactly stable.

    .. math::
        K = \frac{N^{P-1}}{2\,(P - 1)!\,\ln N} \ \text{(one)}, \qquad K = \frac{N^{P-1}}{2\,P!\,\ln N} \ \text{(every)}

    from N exp(-1/(2V)) = 1 and N K exp(-1/(2V)) = 1, V = K (P - 1)!/N^(P-1). With repeated indices (the diagonal
    included) (2P - 3)!! stands for (P - 1)!, as E z^(2P-2) does for the square of a Hermite polynomial.

    Parameters
    ----------
    P : int >= 2
    N : array_like, > 1
        Sites.
    every : bool
        Every pattern instead of one given pattern.
    diagonal : {"excluded", "included"}
        Products of different sites only, or the full power m^P.

    Returns
    -------
    array, a real number of patterns, to leading order in ln N.

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: McEliece et al., IEEE Trans. Inf. Theory 33, 461 (1987) for P = 2; Krotov and Hopfield, arXiv:1606.01164,
    with repeated indices.

    >>> [round(float(zero_error_load(P=2, N=10_000, every=e)), 2) for e in (False, True)]
    [542.87, 271.43]
    """
    require_integer(P, "P", 2, 2**10, ">= 2")
    N = Range(1.0, open_low=True).check("N", N)
    if diagonal not in ("excluded", "included"):
        raise ValueError(f"diagonal must be excluded or included, got {diagonal!r}")
    moment = factorial(P - 1) if diagonal == "excluded" else prod(range(2 * P - 3, 0, -2))
    return N ** (P - 1) / (2 * (P if every else 1) * moment * np.log(N))
