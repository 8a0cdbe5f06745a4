"""Broken replica symmetry: one call for k steps or the full hierarchy, of every model that declares its noise."""

import numpy as np

from ..core.errors import ConvergenceError
from ..theory.model import Model
from .broken import ansatz, check_steps, evaluate_broken, start_of
from .solve import Solution


def rsb(model: Model, *, k: int | str = 1, start: str | None = None) -> Solution:
    r"""Solve a model with replica symmetry broken in k steps, or in full.

    With levels q_0 < .. < q_k and breakpoints x_1 < .. < x_k,

    .. math::
        Y_{k+1}(h) = T\ln 2\cosh\frac hT, \quad
        Y_i(h) = \frac{T}{x_i}\ln\mathrm{E}\,e^{x_i Y_{i+1}(h + z\sqrt{R(q_i)-R(q_{i-1})})/T}, \quad
        f = f_\mathrm{noise}[q, x] + f_\mathrm{signal}(m) - \mathrm{E}\,Y_1(\mu(m) + z\sqrt{R(q_0)})

    is stationary in m, in every q_i (q_0 too) and in every x_i, R(q) the covariance of the noise that the model
    declares. "full" is the Parisi equation: its solution between two breakpoints of a staircase x(q) is this
    recursion, the staircase that makes f stationary errs by O(k^-4), and f is extrapolated from k = 12, 13, 14.

    Parameters
    ----------
    model : Model
        One with a noise, such as ``SherringtonKirkpatrick``, ``PSpin``, ``Hopfield`` or ``DenseHebbian``, with examples
        or without; its parameters may be arrays, T = 0 is the exact limit.
    k : int or "full"
        Steps, 1 to 20.
    start : {"retrieval", "spin_glass"}, optional
        The state wanted; the model's first if not given. Retrieval past the spinodal of the replica-symmetric solution
        is continued from lower loads.

    Returns
    -------
    Solution
        Of the model's shape: m (and n), ``free_energy``, ``energy``, ``entropy``, C = (1 - q_k)/T, ``residual``,
        ``quadrature_error``, ``free_energy_error`` (of the averages; "full": also the distance from k = 14 to the
        extrapolation), ``soft_free_energy`` (the part of f that is not that of Ising spins with Gaussian couplings of
        covariance int R dq: the soft glass of arXiv:2111.12997, zero in p-spin glasses and dense networks),
        ``stability`` (of retrieval 1 - dn'/dn with all else stationary; of a glass that at fixed x) and the rest of
        :class:`Solution`. With an axis more: ``q`` and ``replicon`` (levels 0..k: 1 - R'(q_i) E c_i^2, negative where
        the level would split), ``x`` (steps 1..k; y = lim x/T where T = 0), ``x_low`` and ``x_high`` (of one step:
        df/dx is surely of opposite signs there).
        ``steps``: how many there are. Where fewer than k, levels merged (0: replica symmetry recovered), q repeats the
        last, and x is nan. ``certified``: whether steps are as many as asked for, or the last level is stable.

    Raises
    ------
    ConvergenceError
        If at any point there is no such solution; its ``solution`` holds all points.
    ValueError, TypeError
        If k or start is none of these, or the model declares no noise.

    Notes
    -----
    Between T_s and T_d of a glass that appears by a jump only the paramagnet is a state of equilibrium: "spin_glass"
    returns it, with ``steps`` 0. For the states that trap the dynamics see :func:`complexity`.

    Source: G. Parisi, J. Phys. A 13, 1101 (1980); arXiv:2111.12997.

    Examples
    --------
    >>> import mattis as mt
    >>> glass = rsb(mt.SherringtonKirkpatrick(T=0.0), k=5)
    >>> round(float(glass.free_energy), 9)
    -0.763197532
    """
    if not isinstance(model, Model):
        raise TypeError(f"model must be a model with its parameters, such as mattis.PSpin(p=3, T=0.2), got {model!r}")
    check_steps(k)
    name = start_of(type(model), start)
    values = evaluate_broken(model, name, k)
    values["label"] = np.asarray(model.label(values | {"q": values["q"][..., -1]}))
    values["ansatz"] = np.asarray(ansatz(k))
    solution = Solution(model, values)
    failed = ~values["converged"]
    if failed.any():
        first = np.unravel_index(int(np.argmax(failed)), failed.shape)
        point = ", ".join(f"{n}={np.broadcast_to(v, model.shape)[first]:g}" for n, v in model.parameters().items())
        raise ConvergenceError(
            f"{type(model).__name__} has no {name} state of k={k!r} steps that could be found at "
            f"{int(failed.sum())} of {failed.size} points, first at {point}",
            solution,
        )
    return solution
