r"""The bridge from magnetisations to the losses of machine learning."""

import numpy as np
from numpy.typing import ArrayLike

from ..core.backend import Array
from ..core.errors import require, require_integer


def loss(m: ArrayLike, *, P: int) -> Array:
    r"""Loss of a state that reconstructs a pattern with overlap m, up to a sign.

    .. math::
        L = 1 - m^P = 1 - (1 - L_+ L_-)^{P/2}, \qquad L_\pm = \frac{|\xi \mp \sigma|^2}{2N} = 1 \mp m

    L_+ and L_- are half the mean square errors against the pattern and its mirror image. The energy per spin of the
    dense network, its diagonal included, is half the sum of the losses of its patterns up to a constant:
    e = -(1/2) sum_mu (1 - L_mu).

    Parameters
    ----------
    m : array_like in [-1, 1]
        Overlap.
    P : int >= 2, even
        Order of the interaction; P = 2 is the quadratic loss L_+ L_- = 1 - m^2.

    Returns
    -------
    array in [0, 1].

    Raises
    ------
    ValueError
        If P is odd, as such a network tells a state from its mirror image and L_+ L_- does not.

    Source: losses and Mattis magnetisations as in arXiv:2211.14067; the power P/2 makes their sum the energy.

    >>> [round(float(loss(0.9, P=P)), 4) for P in (2, 4)]
    [0.19, 0.3439]
    """
    require_integer(P, "P", 2, 2**10, ">= 2")
    require(P % 2 == 0, "P", P, "even: an odd P tells a state from its mirror image")
    m = np.asarray(m, dtype=np.float64)
    require(~(abs(m) > 1 + 1e-9), "m", m, "in [-1, 1]")
    return 1 - m**P
