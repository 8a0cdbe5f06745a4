"""Boundaries of states that break replica symmetry: where retrieval ends, and where a staircase would split again."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ..core.backend import Array
from ..solvers.bracket import Index, beyond, largest_zero
from ..solvers.stationary import derivatives
from ..theory.model import Model
from ..theory.rsb import State, parisi
from .branch import fold
from .broken import ansatz, evaluate_broken, stacked, values_of
from .family import SOLVER, Family
from .one_step import SOLVER as STATIONARY
from .solve import Solution, fixed_points
from .stairs import lengths, listed, merged, scaled_residual, state_of
from .tower import RETRIEVAL, Tower, tower

_INSIDE = (0.98, 0.995, 0.998, 0.9995, 0.99995)
"""Shares of the replica-symmetric spinodal at which the broken branch is looked for."""
_STEP, _ALIGNED = 0.01, 0.05  # step of n along the branch, relative to n and to (1 - n)/10, and the least n


def broken_fold(flat: Model, k: int) -> tuple[Array, list[State | None]]:
    """(load, state) at the largest load of the retrieval branch of k steps, for a flat model at load 0.

    The state is None, and the load the replica-symmetric one, where that spinodal is stable against breaking; nan where
    there is no branch.
    """
    tops = fold(flat)[0]
    loads = tops.copy()
    states: list[State | None] = [None] * tops.size
    for i in np.flatnonzero(np.isfinite(tops)):
        loads[i], states[i] = _fold_of(flat.at(slice(i, i + 1)).reshaped(()), float(tops[i]), k)
    return loads, states


def _fold_of(model: Model, top: float, k: int) -> tuple[float, State | None]:
    name = str(model.load)
    for share in _INSIDE:
        found = tower(model.moved(name, np.asarray(share * top)), "retrieval", k)
        if found is not None and (found.steps == k or (found.steps > 0 and found.certified)):
            end = _Branch(model).fold(share * top, found.states[-1])
            if end is not None:
                return end
    stable = found is not None and found.steps == 0 and found.certified
    return (top if stable else np.nan), None


class _Branch:
    """The retrieval branch by its alignment n: the load is an unknown in its place."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def _g(self, n: float, w: Array) -> Array:
        """All conditions at alignment n; w lists the load, then the staircase."""
        if not w[0] > 0:
            return np.full(w.size, np.nan)
        functional = parisi(self.model.moved(str(self.model.load), np.asarray(w[0])))
        return scaled_residual(functional, np.append(n, w[1:]))

    def _length(self, n: float, w: Array) -> Array:
        T = float(self.model.parameters()["T"])
        return np.append(0.1 * w[0], lengths(np.append(n, w[1:]), T)[1:])

    def at(self, n: float, guess: Array) -> Array | None:
        """The load and the staircase at alignment n."""
        found = STATIONARY(lambda w: self._g(n, w), guess, lambda w: self._length(n, w))
        return found.x if found.converged else None

    def tangent(self, n: float, w: Array) -> Array:
        """dw/dn along the branch."""
        J = derivatives(lambda v: self._g(n, v), w, self._length(n, w))
        by_n = derivatives(lambda v: self._g(v[0], w), np.array([n]), np.array([1e-2]))[:, 0]
        return np.asarray(np.linalg.solve(J, -by_n), np.float64)

    def fold(self, load: float, state: State) -> tuple[float, State] | None:
        """(load, state) where d load/dn vanishes, down the branch from a state; None where that is not found."""
        n, w = state.n, np.append(load, listed(state)[1:])
        tangent, before = self.tangent(n, w), None
        while tangent[0] < 0:
            before, step = (n, w), -min(_STEP * n, 10 * _STEP * (1 - n))
            n, found = n + step, self.at(n + step, w + step * tangent)
            if found is None or n < _ALIGNED:
                return None
            w, tangent = found, self.tangent(n, found)
        if before is None:
            return None
        kept: dict[str, Any] = {"n": before[0], "w": before[1]}

        def slope(n: float) -> float:
            tangent = self.tangent(kept["n"], kept["w"])
            found = self.at(n, kept["w"] + (n - kept["n"]) * tangent)
            if found is None:
                raise ArithmeticError
            kept["n"], kept["w"] = n, found
            return float(self.tangent(n, found)[0])

        try:
            n = float(brentq(slope, n, before[0], xtol=1e-11))
            slope(n)
        except ArithmeticError:
            return None
        top = state_of(np.append(n, kept["w"][1:]), float(self.model.parameters()["T"]))
        return None if merged(top) else (float(kept["w"][0]), top)


def broken_spinodal(family: Family, k: int) -> Solution:
    """Where retrieval broken in k steps ends, along the load; the replica-symmetric spinodal where that is stable."""
    loads, states = broken_fold(family.base, k)
    rows = []
    for i, (load, state) in enumerate(zip(loads, states, strict=True)):
        inside = load if state else load * (1 - 1e-9)
        point = family.at(np.array([inside]), np.array([i])).reshaped(())
        if state:
            rows.append(values_of(point, "retrieval", Tower(None, RETRIEVAL, [state]), k))
        else:
            rows.append(values_of(point, "retrieval", None if np.isnan(load) else tower(point, "retrieval", k), k))
    return _solution(family, loads, rows, k)


def broken_transition(family: Family, between: tuple[str, str], k: int | None) -> Solution:
    """Where retrieval and the glass, broken in k steps (one, and retrieval in none, where k is not given), are level.

    The glass is the paramagnet where there are no steps; no boundary is reported there.
    """
    steps = k or 1

    def f(start: str, value: Array, i: Index) -> Array:
        model = family.at(value, i)
        if start == "spin_glass" or k is not None:
            return evaluate_broken(model, start, steps)["free_energy"]
        root = fixed_points(model, start, SOLVER)
        here = (model.label(model.order_parameters(root.x)) == start) & root.converged
        return np.where(here, model.free_energy(root.x), np.nan)

    tops = broken_fold(family.base, steps)[0] if k is not None else fold(family.base)[0]
    value = largest_zero(lambda v, i: f("retrieval", v, i) - f("spin_glass", v, i), tops * (1 - 1e-9), rising=True)
    at = family.at(np.nan_to_num(value))
    frozen = evaluate_broken(at, "spin_glass", steps)["steps"] > 0
    value = np.where(frozen, value, np.nan)
    if k is not None or between[0] == "spin_glass":
        return _solution(family, value, _rows(family, value, between[0], steps), steps)
    found = family.solution(value, family.reached(value, between[0]))
    told = "retrieval replica symmetric, spin glass of 1 step of broken replica symmetry"
    return Solution(found.model, {**found.values, "ansatz": np.asarray(told)})


def broken_at_line(family: Family, of: str, k: int) -> Solution:
    """Where the last level of k steps turns unstable: for one, the line of Gardner; nan where it always is, or never.

    Along T it is unstable below; along the load, above.
    """

    def replicon(value: Array, i: Index) -> Array:
        found = evaluate_broken(family.at(value, i), of, k)
        return np.where(found["steps"] == k, found["replicon"][..., -1], np.nan)

    hot = family.along == "T"
    end = _last_frozen(family, of, k) if hot else beyond(replicon, family.size, -1.0)
    value = largest_zero(replicon, end, rising=hot)
    return _solution(family, value, _rows(family, value, of, k), k)


def _last_frozen(family: Family, of: str, k: int) -> Array:
    """The largest T with k steps, a little inside; nan where there is none."""

    def frozen(T: Array) -> NDArray[np.bool_]:
        return np.asarray(evaluate_broken(family.at(T), of, k)["steps"] == k)

    low, high = np.full(family.size, 1e-3), np.ones(family.size)
    some = frozen(low)
    while (some & frozen(high)).any():
        high = np.where(frozen(high), 2 * high, high)
    for _ in range(30):
        middle = 0.5 * (low + high)
        inside = frozen(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(some, low * (1 - 1e-6), np.nan)


def _rows(family: Family, value: Array, start: str, k: int) -> list[dict[str, Any]]:
    """What is reported of a start at the values found."""
    points = [family.at(np.array([v]), np.array([i])).reshaped(()) for i, v in enumerate(np.nan_to_num(value))]
    return [
        values_of(p, start, None if np.isnan(v) else tower(p, start, k), k) for p, v in zip(points, value, strict=True)
    ]


def _solution(family: Family, value: Array, rows: list[dict[str, Any]], k: int) -> Solution:
    """The states at the boundary; nan, and not converged, where there is none."""
    lost = np.isnan(value) | np.array([not row["converged"] for row in rows], bool)
    named = family.at(np.where(lost, np.nan, value)).reshaped(family.shape)
    found = stacked(rows, family.shape)
    labels = named.label(found | {"q": np.nan_to_num(found["q"][..., -1]), "m": np.nan_to_num(found.get("m", 0.0))})
    found["label"] = np.where(lost.reshape(family.shape), "none", labels)
    return Solution(named, {**found, "ansatz": np.asarray(ansatz(k))})
