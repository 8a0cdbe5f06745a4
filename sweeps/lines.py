r"""Boundaries in the (load, T) plane: spinodals, first-order transitions, de Almeida-Thouless lines."""

from typing import Any

import numpy as np

from ..core.backend import Array
from ..core.errors import require_integer
from ..solvers.bracket import SCAN_LOW, Index, beyond, largest_zero
from ..solvers.root import residual_of
from ..solvers.stability import stability
from ..theory.model import Model
from .branch import fold, freezing
from .broken import MOST, start_of
from .broken_lines import broken_at_line, broken_spinodal, broken_transition
from .family import SOLVER, TOL, Family
from .solve import Solution, describe, fixed_points


def spinodal(
    Model: type[Model], *, along: str = "alpha", of: str = "retrieval", k: int | None = None, **const: Any
) -> Solution:
    r"""Where a solution ceases to exist: the fold of the retrieval branch, or a continuous onset.

    A fold is the maximum of the load along the branch, found where the least eigenvalue of 1 - map' vanishes on it.
    (With examples at some T > 0 a pair of complex eigenvalues crosses a few percent of the load before; that point
    is returned. Where the two differ by more, the states between are ones of negative entropy or replicon.) A
    solution that leaves the paramagnet continuously (``Model.continuous``) begins where the paramagnet turns unstable;
    T_g of the Hopfield network is ``spinodal(Hopfield, along="T", of="spin_glass", alpha=...)``.
    The spin glass of the dense network appears at a fold of its own, at the least load of the branch without
    alignment; at T = 0 it exists under every load, and there is no boundary.

    Parameters
    ----------
    Model : type
        A model class, such as ``mattis.Hopfield``.
    along : str
        The parameter searched: the model's load or ``"T"``.
    of : str
        The solution, one of ``Model.starts``.
    k : int, optional
        Steps in which replica symmetry is broken, as in :func:`mattis.rsb`; only retrieval, along the load.
    **const
        The other parameters by name, scalars or arrays that broadcast.

    Returns
    -------
    Solution
        The solution at the boundary, of the shape of ``const``; the parameter searched is one of its fields.
        nan where there is no boundary; the largest value where there are several.

    Raises
    ------
    ValueError
        If ``along`` or ``of`` is unknown, or a parameter is outside its range.

    Examples
    --------
    >>> import mattis as mt
    >>> fold = spinodal(mt.Hopfield, T=0.0)
    >>> round(float(fold.alpha), 12), round(float(fold.m), 10)
    (0.137905566495, 0.9674171157)
    """
    family = Family(Model, along, const)
    family.check("of", of)
    if k is not None:
        _whole_steps(k)
        if of != "retrieval" or along != Model.load:
            raise ValueError(
                f"k={k!r} steps: only the end of retrieval along the load is searched, got of={of!r}, {along=}"
            )
        return broken_spinodal(family, k)
    if of in Model.continuous:
        return family.solution(*_onset(family))
    if of == "paramagnet" or Model.load is None:
        raise ValueError(f"of must be a solution of {Model.__name__} that ends at a spinodal, got {of!r}")
    if of != Model.starts[0]:
        return family.solution(*_freezing(family))
    if along == Model.load:
        return family.solution(*fold(family.base))
    return family.solution(*_fold_temperature(family))


def transition(
    Model: type[Model], *, between: tuple[str, str], along: str = "alpha", k: int | None = None, **const: Any
) -> Solution:
    r"""Where two solutions have the same free energy, or merge.

    Both are solved at every trial value inside the range where the retrieval solution exists. Of a continuous
    pair (a solution of ``Model.continuous`` and the paramagnet) it is the onset, where they merge. Between states
    of which one is not ``admissible`` there is none: the dense network against the paramagnet below T_s. There it is
    "spin_glass" that retrieval meets, the glass of one-step broken symmetry (``ansatz`` says so), in place of the
    replica-symmetric one that never is a state of equilibrium.

    Parameters
    ----------
    Model, along, **const
        As in :func:`spinodal`.
    k : int, optional
        Steps in which replica symmetry is broken in both states ("retrieval" and "spin_glass", along the load).
    between : (str, str)
        Two of ``Model.starts``.

    Returns
    -------
    Solution
        The first of the pair at the boundary. nan where there is none; the largest where there are several.

    Raises
    ------
    ValueError
        If a name is unknown, or a parameter is outside its range.

    Examples
    --------
    >>> import mattis as mt
    >>> line = transition(mt.Hopfield, between=("retrieval", "spin_glass"), T=0.5)
    >>> round(float(line.alpha), 8)
    0.02807626
    """
    family = Family(Model, along, const)
    if isinstance(between, str) or len(set(between)) != 2 or len(between) != 2:
        raise ValueError(f"between must be two different solutions, got {between!r}")
    for name in between:
        family.check("between", name)
    if k is not None or (set(between) == {"retrieval", "spin_glass"} and _by_a_jump(family)):
        if k is not None and _whole_steps(k) and set(between) != {"retrieval", "spin_glass"}:
            raise ValueError(f"between must be retrieval and spin_glass where k={k!r} is given, got {between!r}")
        if along != Model.load:
            raise ValueError(f"along must be {Model.load!r} where replica symmetry is broken, got {along!r}")
        return broken_transition(family, between, k)
    for a, b in (between, between[::-1]):
        if a in Model.continuous and b == "paramagnet":
            return family.solution(*_onset(family))

    def gap(value: Array, i: Index) -> Array:
        model = family.at(value, i)
        first, second = (_of(model, name, "free_energy") for name in between)
        return first - second if between[0] == Model.starts[0] else second - first

    found = largest_zero(gap, _end(family), rising=True)
    at = family.at(np.nan_to_num(found))
    both = np.logical_and(*(_of(at, name, "admissible") == 1 for name in between))
    return family.solution(np.where(both, found, np.nan), family.reached(found, between[0]))


def at_line(
    Model: type[Model], *, along: str = "T", of: str = "retrieval", k: int | None = None, **const: Any
) -> Solution:
    r"""The de Almeida-Thouless line: where the replicon of a replica-symmetric solution vanishes; k = 1: Gardner's.

    Parameters
    ----------
    Model, along, of, **const
        As in :func:`spinodal`.
    k : int, optional
        Steps of broken replica symmetry; the replicon is that of the last level. Where that is unstable wherever there
        are k steps, as in continuous glasses, there is no line.

    Returns
    -------
    Solution
        The solution at the line. nan where there is none; the largest value where there are several.

    Raises
    ------
    ValueError
        If a name is unknown, or a parameter is outside its range.

    Examples
    --------
    >>> import mattis as mt
    >>> line = at_line(mt.Hopfield, along="T", alpha=[0.10, 0.13])
    >>> line.T.round(6).tolist()
    [0.00145, 0.009473]
    >>> round(float(at_line(mt.PSpin, of="spin_glass", k=1, p=3).T), 9)
    0.240260036
    """
    family = Family(Model, along, const)
    family.check("of", of)
    if k is not None:
        _whole_steps(k)
        return broken_at_line(family, start_of(Model, of), k)

    def replicon(value: Array, i: Index) -> Array:
        return _of(family.at(value, i), of, "replicon")

    rising = along == "T"
    onset, merged = _marginal_onset(family, of)
    if Model.load is not None and of == Model.starts[0]:
        end = _end(family)
    else:
        end = beyond(replicon, family.size, 1.0 if rising else -1.0)
    cold = family.along != "T" and family.base.parameters()["T"] == 0  # the replicon is -inf under any load
    end = np.where(np.isnan(onset) & ~np.asarray(cold), end, np.nan)
    value = largest_zero(replicon, end, rising=rising, scan=SCAN_LOW)  # T_AT falls as exp(-1/(2 alpha))
    x = family.reached(value, of)
    return family.solution(np.where(np.isnan(onset), value, onset), np.where(np.isnan(onset), x, merged))


def _whole_steps(k: Any) -> bool:
    """Refuse what is no number of steps; the full hierarchy has no lines of its own here."""
    require_integer(k, "k", 1, MOST, f"from 1 to {MOST}")
    return True


def _by_a_jump(family: Family) -> bool:
    """Whether the glass of the model appears by a jump, in broken symmetry."""
    return family.size > 0 and family.base.at(slice(0, 1)).reshaped(()).noise().gapped


def _of(model: Model, solution: str, quantity: str) -> Array:
    """A quantity of a solution; nan where its start ends on another one (a continuous one may merge)."""
    found = describe(model, fixed_points(model, solution, SOLVER))
    ended_there = model.ended_on(found, solution) | (solution in model.continuous)
    return np.where(ended_there & found["converged"], found[quantity], np.nan)


def _marginal_onset(family: Family, of: str) -> tuple[Array, Array]:
    """(value, x) at the onset of a continuous glass, whose replicon is born at zero; nan for other solutions."""
    value, x = _onset(family)
    born = family.at(np.nan_to_num(value, nan=1.0)).replicon(x)
    marginal = (of in (*family.cls.continuous, "paramagnet")) & (abs(born) < TOL)
    return np.where(marginal, value, np.nan), x


def _end(family: Family) -> Array:
    """The largest value of the free parameter at which the retrieval solution exists, a little inside."""
    if family.along == "T":
        return _fold_temperature(family)[0] * (1 - 1e-9)
    return fold(family.base)[0] * (1 - 1e-9)


def _fold_temperature(family: Family) -> tuple[Array, Array]:
    """(T, x) at the largest T where the load given is a spinodal load.

    At load 0 the branch may end continuously, where the paramagnet of that load turns unstable.
    """
    name = str(family.cls.load)
    load = family.base.parameters()[name]

    def unloaded(T: Array, i: Index) -> Model:
        return family.at(T, i).moved(name, np.zeros(T.size))

    def spare(T: Array, i: Index) -> Array:
        top = fold(unloaded(T, i))[0]
        return np.where(np.isnan(top), -1.0, top) - load[i]

    onset, merged = _onset(family)
    continuous = (load == 0) & np.isfinite(onset)
    end = np.where(continuous, np.nan, beyond(spare, family.size, -1.0))
    T = largest_zero(spare, end, rising=False)
    x = fold(unloaded(np.nan_to_num(T), np.arange(family.size)))[1]
    return np.where(continuous, onset, T), np.where(continuous, merged, x)


def _freezing(family: Family) -> tuple[Array, Array]:
    """(value, x) at the least load, or the largest T, where the solution without alignment is frozen."""
    name = str(family.cls.load)
    onset, merged = _onset(family)
    if family.along == name:
        load, x = freezing(family.base)
        first = ~(np.isnan(load) | (load > onset))
        return np.where(first, load, onset), np.where(first, x, merged)
    load = family.base.parameters()[name]

    def spare(T: Array, i: Index) -> Array:
        return load[i] - freezing(family.at(T, i).moved(name, np.zeros(T.size)))[0]

    T = largest_zero(spare, beyond(spare, family.size, -1.0), rising=False)
    x = freezing(family.at(np.nan_to_num(T)).moved(name, np.zeros(family.size)))[1]
    first = ~(np.isnan(T) | (onset > T))
    return np.where(first, T, onset), np.where(first, x, merged)


def _onset(family: Family) -> tuple[Array, Array]:
    """(value, x) where the paramagnet turns unstable; nan where it is no solution, or never turns."""

    def order(value: Array, i: Index) -> Array:
        model = family.at(value, i)
        x = model.start("paramagnet")
        image, J = model.self_consistency(x)
        least = np.where(np.isnan(model.free_energy(x)), -1.0, stability(J))
        return np.where(residual_of(image, x) < TOL, least, np.nan)

    hot = family.along == "T"
    end = beyond(order, family.size, 1.0 if hot else -1.0)
    value = largest_zero(order, end, rising=hot)
    return value, family.at(np.where(np.isnan(value), 1.0, value)).start("paramagnet")
