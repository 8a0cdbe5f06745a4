"""How many metastable states a glass has: the complexity by the free energy of the states."""

from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ..core.backend import Array
from ..core.errors import require
from ..theory.model import Model
from ..theory.rsb import State, parisi
from .broken import start_of
from .one_step import Symmetric, at_breakpoint, breakpoints, one_step, symmetric
from .stairs import Unknowns

_POINTS = 61


def complexity(model: Model, *, start: str | None = None, x: ArrayLike | None = None) -> xr.Dataset:
    r"""Complexity of the states of a glass, with replica symmetry broken in one step.

    At a breakpoint x that is held, with phi the functional stationary in all else and y = x/T,

    .. math::
        f(x) = \frac{\partial(y\phi)}{\partial y}, \qquad \Sigma(x) = y^2\,\frac{\partial\phi}{\partial y},

    N Sigma the logarithm of the number of states of free energy f per spin. Equilibrium is where Sigma vanishes
    (T < T_s) or at x = 1; where ``replicon`` < 0 states of this kind are unstable, and one step does not count them.

    Parameters
    ----------
    model : Model
        Of one point, with a noise; T = 0 counts minima of the energy.
    start : {"spin_glass", "retrieval"}, optional
        Which states; "spin_glass" if not given.
    x : array_like, shape (n,), optional
        Breakpoints, in (0, 1]; y > 0 at T = 0. By default 61, from the largest complexity to past its zero.

    Returns
    -------
    xarray.Dataset
        Over x: ``complexity``, ``free_energy`` of the states, ``phi``, ``replicon`` at q_1, ``q`` (level), ``C``; nan
        where there are none. The attribute ``T`` tells whether the axis is x or y.

    Raises
    ------
    ValueError, TypeError
        If the model has more than one point or no noise, or x or start is out of range.

    Notes
    -----
    Source: R. Monasson, Phys. Rev. Lett. 75, 2847 (1995).

    Examples
    --------
    >>> import mattis as mt
    >>> ds = complexity(mt.PSpin(p=3, T=0.67), x=[1.0])  # between T_s and T_d
    >>> ds.complexity.values.round(6).tolist()
    [0.015715]
    """
    if not isinstance(model, Model) or model.shape != ():
        raise TypeError(f"model must be a model of one point, such as mattis.PSpin(p=3, T=0.2), got {model!r}")
    name = start_of(type(model), "spin_glass" if start is None else start)
    functional = parisi(model)
    base = symmetric(model, name)
    unknowns = Unknowns(name == "retrieval", functional.noise.gapped and name != "retrieval")
    scale = functional.T or 1.0
    tried = None if x is None else _checked(x, functional.T) / scale
    if tried is None:
        tried = np.empty(0) if base is None else _range(model, name, base, unknowns)
    found = {} if base is None else _followed(model, name, base, unknowns, tried)
    rows = [_row(model, found.get(y)) for y in tried.tolist()]
    ds = xr.Dataset(
        {
            key: ("x", np.array([row[key] for row in rows]))
            for key in ("complexity", "free_energy", "phi", "replicon", "C")
        },
        {"x": tried * scale},
        {"model": type(model).__name__, "T": functional.T, "start": name},
    )
    return ds.assign(q=(("x", "level"), np.array([row["q"] for row in rows]).reshape(-1, 2)))


def _checked(x: ArrayLike, T: float) -> Array:
    values = np.array(x, dtype=np.float64)
    if values.ndim != 1:
        raise ValueError(f"x must be 1-d, got shape {values.shape}")
    require(
        (values > 0) & ((values <= 1) | (T == 0)) & np.isfinite(values), "x", values, "in (0, 1], or y > 0 at T = 0"
    )
    return values


def _range(model: Model, start: str, base: Symmetric, unknowns: Unknowns) -> Array:
    """Breakpoints from where the complexity is largest to where it is negative, as far as a coarse scan tells."""
    found = _followed(model, start, base, unknowns, breakpoints(parisi(model), base, unknowns.gapped))
    y = np.array(sorted(found))
    if y.size < 2:
        return y
    many = np.array([_row(model, found[v])["complexity"] for v in y])
    first = int(np.argmax(many))
    negative = np.flatnonzero(many[first:] < 0)
    last = first + int(negative[0]) if negative.size else y.size - 1
    return np.geomspace(y[max(first - 1, 0)], y[last], _POINTS)


def _followed(model: Model, start: str, base: Symmetric, unknowns: Unknowns, tried: Array) -> dict[float, State]:
    """The states at each breakpoint: of a gapped glass from the most frozen down, else both ways from equilibrium."""
    middle = None if unknowns.gapped else one_step(model, start, base, unknowns)
    centre = np.inf if middle is None else float(middle.state.stairs.y[0])
    found: dict[float, State] = {}
    for way in (np.sort(tried[tried <= centre])[::-1], np.sort(tried[tried > centre])):
        near = None if middle is None else middle.state
        for y in way.tolist():
            state = at_breakpoint(model, start, base, unknowns, y, near)
            if state is not None:
                found[y] = near = state
    return found


def _row(model: Model, state: State | None) -> dict[str, Any]:
    if state is None:
        return dict.fromkeys(("complexity", "free_energy", "phi", "replicon", "C"), np.nan) | {"q": np.full(2, np.nan)}
    functional = parisi(model)
    account, y = functional.account(state), float(state.stairs.y[0])
    slope = -0.5 * float(functional.residual(state)[-1])
    return {
        "complexity": y**2 * slope,
        "free_energy": account.free_energy + y * slope,
        "phi": account.free_energy,
        "replicon": account.replicon[1],
        "C": state.stairs.C,
        "q": state.stairs.q,
    }
