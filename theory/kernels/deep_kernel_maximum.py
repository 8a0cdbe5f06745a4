r"""Deep kernel machines: infinitely wide networks that learn their Gram matrices.

With widths N_l = N nu_l, N copies of every output and N -> inf the posterior concentrates on the maximum of

    L(G_1..G_L) = sum_c ln N(y_c; 0, K(G_L) + noise I) - sum_l nu_l KL(N(0, G_l) || N(0, K(G_{l-1}))).

nu -> inf gives the NNGP, G_l = K(G_{l-1}), with an error 1/nu.
"""

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import ConvergenceError, require_integer
from .deep_kernel_ascent import Ascent, Evaluate, ascend, curvature
from .deep_kernel_given import forward, given, gram, started
from .deep_kernel_objective import evaluate

_TOLERANCE = 1e-9
_CERTIFIED = 1500


@dataclass(frozen=True)
class DeepKernelOptimum:
    """A maximum of L.

    grams: DataArray (layer, x1, x2), G_1..G_L. objective: L. log_likelihood: ln P(Y | G_L). kl: (layers,), each KL
    without its nu. residual: largest |2 dL/dS_l|/nu_l along G_l = R_l (1 + S_l) R_l^T, the relative change of a G_l
    that the force calls for. curvature: largest eigenvalue of the Hessian of L by s_l = S_l sqrt(nu_l/2), in which a
    single layer without data has -1; below 0 it certifies a strict local maximum; nan above 1500 unknowns (not
    computed). steps: of Newton. converged: residual <= 1e-9.
    """

    grams: xr.DataArray
    objective: float
    log_likelihood: float
    kl: Array
    residual: float
    curvature: float
    steps: int
    converged: bool


def deep_kernel_optimum(
    G0: ArrayLike,
    Y: ArrayLike,
    *,
    layers: int,
    nu: ArrayLike,
    noise: float,
    kernel: str = "relu",
    start: str | ArrayLike = "nngp",
    seed: int = 0,
    max_steps: int = 200,
) -> DeepKernelOptimum:
    r"""Gram matrices of a deep kernel machine from the Gram matrix of its inputs.

    .. math:: L = \sum_c\ln\mathcal N(y_c; 0, K(G_L) + \mathrm{noise}\,I)
        - \sum_l\nu_l\,\mathrm{KL}(\mathcal N(0, G_l)\,\|\,\mathcal N(0, K(G_{l-1})))

    Parameters
    ----------
    G0 : array_like (n, n)
        Symmetric, positive semi-definite, with K(G_0) positive definite.
    Y : array_like (n,) or (n, outputs)
    layers : int >= 1
        Hidden Gram matrices L.
    nu : array_like > 0, () or (layers,)
        Width of each hidden layer over the number of copies of the outputs.
    noise : float >= 0
        Variance of the labels.
    kernel : {"linear", "relu", "squared_exponential"}
        K_ij = G_ij; 2 E[relu(u) relu(v)], arc-cosine of degree 1; exp(-(G_ii + G_jj - 2 G_ij)/2).
    start : "nngp", "random" or array_like (layers, n, n)
        The ascent begins at G_l = K(G_{l-1}), at Wishart matrices around those, or at given Gram matrices.
    seed : int
        Of a random start.
    max_steps : int >= 1

    Returns
    -------
    DeepKernelOptimum
        A local maximum. The linear kernel has no other. Other kernels may have several where nu is small and close
        inputs have different labels, and the one reached from "nngp" need not be the highest: try random starts.

    Raises
    ------
    ValueError
        If an argument is outside its range.
    ConvergenceError
        If the residual stays above 1e-9; its ``solution`` is what was reached. L may have no maximum, as at noise = 0
        with a linear kernel, fewer outputs than points and more outputs than nu.

    Source: Yang, Robeyns, Milsom, Anson, Schoots, Aitchison, arXiv:2108.13097.

    >>> best = deep_kernel_optimum([[1.0, 0.2], [0.2, 0.5]], [1.0, -1.0], layers=2, nu=3.0, noise=0.1)
    >>> round(best.objective, 6), best.grams.sel(layer=2).values.round(4).tolist()
    (-3.811952, [[1.0132, 0.1655], [0.1655, 0.6214]])
    """
    G = gram("G0", G0)
    known = given(Y, len(G), kernel, layers, nu, noise)
    prior = forward(G, known.kernel, layers)
    return maximised(lambda R: evaluate(prior[0], known, R), started(start, prior, seed), known.nu, max_steps)


def maximised(function: Evaluate, R: Array, nu: Array, max_steps: int) -> DeepKernelOptimum:
    """Ascend from R and report; ConvergenceError where the residual stays above the tolerance."""
    require_integer(max_steps, "max_steps", 1, 2**31, ">= 1")
    try:
        best = ascend(function, R, nu, tolerance=_TOLERANCE, max_steps=max_steps)
    except np.linalg.LinAlgError:
        raise ValueError("start must keep every K(G_l) positive definite, and does not") from None
    found = _optimum(best, nu)
    if not found.converged:
        raise ConvergenceError(
            f"no maximum of L found: residual {best.residual:.1e} > {_TOLERANCE:.0e} after {best.steps} steps",
            found,
        )
    return found


def _optimum(best: Ascent, nu: Array) -> DeepKernelOptimum:
    layers, n, _ = best.R.shape
    done = best.residual <= _TOLERANCE
    bend = curvature(best.at, nu) if done and layers * n * (n + 1) // 2 <= _CERTIFIED else np.nan
    grams = xr.DataArray(
        best.R @ best.R.transpose(0, 2, 1), dims=("layer", "x1", "x2"), coords={"layer": np.arange(1, layers + 1)}
    )
    at = best.at
    return DeepKernelOptimum(grams, at.value, at.log_likelihood, at.kl, best.residual, bend, best.steps, done)
