r"""The deep kernel machine of a linear kernel in closed form: G_l = G_0 (G_0^-1 G_{L+1})^{l/(L+1)}."""

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ...core.errors import require_integer
from .deep_kernel_algebra import factor, lower, symmetric
from .deep_kernel_given import gram


def deep_linear_interpolation(G0: ArrayLike, G_out: ArrayLike, *, layers: int) -> xr.DataArray:
    r"""Gram matrices that lie evenly on the geodesic from the inputs to the outputs.

    .. math:: G_l = G_0 (G_0^{-1} G_{L+1})^{l/(L+1)}, \qquad l = 1 \dots L

    They minimise the sum over l = 1..L+1 of KL(N(0, G_l) || N(0, G_{l-1})): a deep linear network without label noise
    whose nu of every layer is the number C of outputs, with G_{L+1} = Y Y^T/C.

    Parameters
    ----------
    G0, G_out : array_like (n, n)
        Symmetric and positive definite: G_0 and G_{L+1}.
    layers : int >= 1
        L.

    Returns
    -------
    DataArray (layer, x1, x2)

    Raises
    ------
    ValueError
        If an argument is outside its range.

    Source: arXiv:2108.13097, the deep linear case.

    >>> deep_linear_interpolation([[1.0]], [[8.0]], layers=2).values.ravel().round(12).tolist()
    [2.0, 4.0]
    """
    first, last = gram("G0", G0), gram("G_out", G_out)
    require_integer(layers, "layers", 1, 1000, "in [1, 1000]")
    if first.shape != last.shape:
        raise ValueError(f"G_out must have the shape of G0, {first.shape}, got {last.shape}")
    try:
        J = factor(first)
        factor(last)
    except np.linalg.LinAlgError:
        raise ValueError("G0 and G_out must be positive definite, and one is not to rounding") from None
    ratio, vectors = np.linalg.eigh(symmetric(lower(J, lower(J, last).T)))
    layer = np.arange(1, layers + 1)
    half = (J @ vectors) * ratio ** (layer[:, None, None] / (2 * (layers + 1)))
    return xr.DataArray(half @ half.transpose(0, 2, 1), dims=("layer", "x1", "x2"), coords={"layer": layer})
