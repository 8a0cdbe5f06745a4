r"""Where the paramagnet of a p-spin glass freezes: the dynamic and the static temperature.

The noise of a dense network is a p-spin glass of energy covariance N xi(q). One step of replica symmetry breaking with
breakpoint x -> 1 tilts the field of a spin into that of a planted one: with lambda = xi'(q)/T^2,

    q = E tanh(lambda + sqrt(lambda) z),      T^2 = xi'(q)/lambda,

a curve in lambda. T_d is the largest T on it; at T_s the planted state is as likely as the paramagnet,

    E ln cosh(lambda + sqrt(lambda) z) - lambda/2 - (lambda/2)(q - xi(q)/xi'(q)) = 0.
"""

from functools import lru_cache
from math import log, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq, minimize_scalar

from ..core.backend import Array
from ..core.quadrature import field

Powers = tuple[tuple[int, float], ...]
"""((k, a_k), ...) of xi(q) = sum_k a_k q^k."""
_SMALL = 1e-6  # of lambda, where the curve begins


class GlassTemperatures(NamedTuple):
    """Of the paramagnet; of a unit load here, in the units of T as a model gives them."""

    dynamic: Any
    """T_d: below, metastable states trap the dynamics"""
    static: Any
    """T_s: below, the paramagnet is no state of equilibrium"""


@lru_cache(maxsize=4096)
def glass_temperatures(powers: Powers) -> GlassTemperatures:
    r"""T_d and T_s of the glass xi(q) = sum_k a_k q^k; both are sqrt(2 a_2) where that is the higher.

    nan where k = 1 is among them: in a random field the paramagnet has q > 0, and this criterion does not hold.

    Source: T. R. Kirkpatrick, D. Thirumalai, Phys. Rev. B 36, 5388 (1987); E. Gardner, Nucl. Phys. B 257, 747 (1985).

    >>> found = glass_temperatures(((3, 0.5),))
    >>> round(found.dynamic, 9), round(found.static, 9)
    (0.681598041, 0.651385227)
    """

    if any(k == 1 for k, _ in powers):
        return GlassTemperatures(nan, nan)

    k, a = np.array([k for k, _ in powers]), np.array([a for _, a in powers])

    def curve(lam: Any) -> tuple[Any, Any]:
        """T^2 and the gain of the planted state."""
        q, gain = _planted(lam)
        xi, slope = (a * q[..., None] ** k).sum(-1), (a * k * q[..., None] ** (k - 1)).sum(-1)
        with np.errstate(invalid="ignore"):  # q^k may vanish at the small end of the curve
            return slope / lam, gain - lam / 2 * (q - xi / slope)

    onset, end = 2 * float(a[k == 2].sum()), 60.0 + 10 * int(k.max())
    grid = np.geomspace(_SMALL, end, 200)
    best = int(np.argmax(curve(grid)[0]))
    if best == 0:
        return GlassTemperatures(sqrt(onset), sqrt(onset))
    near = grid[best - 1], grid[min(best + 1, grid.size - 1)]
    top = minimize_scalar(lambda lam: -curve(lam)[0], bounds=near, method="bounded", options={"xatol": 1e-9})
    balanced = brentq(lambda lam: curve(lam)[1], top.x, end, xtol=1e-13, rtol=1e-14)
    return GlassTemperatures(sqrt(max(-top.fun, onset)), sqrt(max(float(curve(balanced)[0]), onset)))


def _planted(lam: Any) -> tuple[Array, Array]:
    """q, and E ln cosh(lambda + sqrt(lambda) z) - lambda/2."""
    f = field(lam, np.sqrt(lam), 1.0)
    return f.tanh, f.log2cosh - log(2) - lam / 2
