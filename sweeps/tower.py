"""All the staircases of one point, one step after the other, and along the load where replica symmetry has none."""

from dataclasses import dataclass, field

import numpy as np

from ..core.backend import Array
from ..theory.model import Model
from ..theory.rsb import Parisi, Staircase, State, parisi
from .branch import fold
from .one_step import SOLVER, Symmetric, at_breakpoint, condition, one_step, sure, symmetric
from .stairs import Unknowns, finer, merged

RETRIEVAL = Unknowns(aligned=True, gapped=False)
_INSIDE = 0.98  # of the replica-symmetric spinodal, where the way beyond it begins
_FIRST, _LEAST = 0.02, 1e-4  # step along the load, relative to it


@dataclass
class Tower:
    """What was found at one point: states of more and more steps on the replica-symmetric solution (None past its end).

    ``certified``: levels that merged are stable as they are; else more steps exist but were not found.
    ``bracket``: of the breakpoint of one step.
    """

    base: Symmetric | None
    unknowns: Unknowns
    states: list[State] = field(default_factory=list)
    certified: bool = True
    bracket: tuple[float, float] = (np.nan, np.nan)

    @property
    def single(self) -> State | None:
        """The state of one step, if it is there."""
        return next((state for state in self.states if state.stairs.y.size == 1), None)

    @property
    def steps(self) -> int:
        """Of the last state."""
        return self.states[-1].stairs.y.size if self.states else 0


def tower(model: Model, start: str, k: int, near: tuple[float, Tower] | None = None) -> Tower | None:
    """Up to k steps at a model of one point; None where the start leads to no such solution.

    ``near`` is the tower at a smaller load, all else equal.
    """
    base = symmetric(model, start)
    functional = parisi(model)
    aligned = start == "retrieval"
    if aligned and (base is None or base.label != "retrieval"):
        return _beyond(model, k, near)
    if base is None:
        return None
    in_field = float(functional.signal(0.0)[0]) != 0
    found = Tower(base, Unknowns(aligned or in_field, functional.noise.gapped and not aligned))
    noiseless = not functional.symmetric(0.0).R[0] > 0
    if noiseless or (base.replicon > 0 and not found.unknowns.gapped):
        return found
    first = one_step(model, start, base, found.unknowns, near[1].single if near else None)
    if first is None:
        return _without_steps(model, start, found)
    found.states, found.bracket = [first.state], (first.y_low, first.y_high)
    found.certified = bool(np.isfinite(first.y_low))
    _climb(functional, found, k)
    return found


def _without_steps(model: Model, start: str, found: Tower) -> Tower:
    """Replica symmetry holds; certified where, as in a glass that would appear by a jump, no cluster is favoured."""
    if not found.unknowns.gapped:
        found.certified = False
        return found
    functional, free = parisi(model), symmetric(model, "paramagnet")
    found.base, found.certified = free, functional.T > 0
    if functional.T > 0 and free is not None:
        state = at_breakpoint(model, start, free, found.unknowns, 1 / functional.T, None)
        found.certified = state is None or condition(functional, state) < 0
    return found


def _climb(functional: Parisi, found: Tower, k: int) -> None:
    """Add steps up to k, as long as a level is unstable."""
    while found.steps < k:
        state = found.states[-1]
        if (functional.account(state).replicon >= 0).all():
            return
        more = next_step(functional, state, found.unknowns)
        if more is None:
            found.certified = False
            return
        found.states.append(more)


def next_step(functional: Parisi, state: State, unknowns: Unknowns) -> State | None:
    """The state with one step more; None where none of the guesses leads there."""
    for guess in finer(functional, state, unknowns.gapped):
        new, root = unknowns.solve(functional, guess, SOLVER)
        if root.converged and not merged(new) and unknowns.belongs(new, state.n):
            return new
    return None


def _beyond(model: Model, k: int, near: tuple[float, Tower] | None) -> Tower | None:
    """Retrieval past the replica-symmetric spinodal, continued from loads below it; None where it ends before."""
    if model.load is None:
        return None
    target = float(model.parameters()[model.load])
    if near is None or not near[1].states:
        top = float(fold(model.moved(model.load, np.zeros(())).flat())[0][0])
        below = tower(model.moved(model.load, np.asarray(_INSIDE * top)), "retrieval", k) if top < target else None
        if below is None or not below.states:
            return None
        near = _INSIDE * top, below
    load, below = near
    carried = [follow(model, load, target, state, below.unknowns) for state in below.states]
    states = [state for state in carried if state is not None]  # of fewer steps it ends earlier
    if carried[-1] is None:
        return None
    found = Tower(None, below.unknowns, states, below.certified)
    if found.steps == 1:
        certain = sure(parisi(model), found.unknowns, states[0])
        found.bracket = certain.y_low, certain.y_high
        found.certified = bool(np.isfinite(certain.y_low))
    return found


def follow(model: Model, load: float, target: float, state: State, unknowns: Unknowns) -> State | None:
    """The state carried along the load; None where it ends on the way."""
    step, before = _FIRST * load, None
    while load < target:
        new_load = min(load + step, target)
        guess = state if before is None else _ahead(before, (load, state), new_load)
        there = parisi(model.moved(str(model.load), np.asarray(new_load)))
        new, root = unknowns.solve(there, guess, SOLVER)
        if root.converged and not merged(new) and unknowns.belongs(new, state.n):
            before, load, state, step = (load, state), new_load, new, 1.5 * step
        elif step < _LEAST * load:
            return None
        else:
            step *= 0.3
    return state


def _ahead(first: tuple[float, State], second: tuple[float, State], load: float) -> State:
    """The secant through two states."""
    u = (load - second[0]) / (second[0] - first[0])

    def on(a: Array | float, b: Array | float) -> Array:
        return np.asarray(b) + u * (np.asarray(b) - np.asarray(a))

    (n1, s1), (n2, s2) = first[1], second[1]
    return State(float(on(n1, n2)), Staircase(on(s1.q, s2.q), float(on(s1.C, s2.C)), on(s1.y, s2.y)))
