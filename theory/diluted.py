r"""The rows of diluted patterns at one site: xi = (xi^1..xi^K) with P(+1) = P(-1) = (1 - d)/2 and P(0) = d.

Averages of functions even under xi -> -xi need half of the 3^K rows: those whose first nonzero entry is +1. The
blank row, of weight d^K, is left out: where it counts, it is one term written down by hand.
"""

from functools import cache
from itertools import product

import numpy as np

from ..core.backend import Array
from .model import Range

DILUTION = Range(0.0, 1.0, open_high=True)


@cache
def rows(K: int) -> Array:
    """The rows whose first nonzero entry is +1, positive in balanced ternary, shape ((3^K - 1)/2, K).

    >>> rows(2).tolist()
    [[0.0, 1.0], [1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    table: Array = np.array(list(product((-1.0, 0.0, 1.0), repeat=K)))[(3**K + 1) // 2 :]
    table.flags.writeable = False
    return table


def weights(K: int, d: Array) -> Array:
    """The probability of each of ``rows(K)`` or its negative, shape (rows, *d.shape).

    >>> weights(2, np.float64(0.5)).tolist()
    [0.25, 0.125, 0.25, 0.125]
    """
    d = np.asarray(d, np.float64)
    n = abs(rows(K)).sum(axis=1).reshape(-1, *[1] * d.ndim)
    w: Array = 2 * d ** (K - n) * ((1 - d) / 2) ** n
    return w
