r"""One step of broken replica symmetry found from nothing, as a nested problem.

At a given breakpoint y the other order parameters are solved for; what is left, dY_0/dy - (1/2) int q dR, is scanned in
y and its root bracketed. In retrieval states f hardly depends on y, and only this tells where it is stationary. A glass
that leaves the paramagnet continuously is found at once, beside the replica-symmetric one.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, product
from typing import NamedTuple

import numpy as np
from scipy.optimize import brentq

from ..core.backend import Array
from ..solvers.stationary import Stationarity, Stationary
from ..theory.model import Model
from ..theory.rsb import Parisi, Staircase, State, parisi
from .solve import default_solver, fixed_points
from .stairs import MERGED, Unknowns, listed, merged, rigidity, scaled_residual

SOLVER = Stationary()
_LOWEST, _HIGHEST, _RATIO = 0.05, 300.0, 1.6
"""Breakpoints scanned, in units of 1/sd of the noise, up to x = 1."""
_NEAR_ONE = np.array([1.0, 0.99, 0.97, 0.93, 0.87, 0.8, 0.7])
"""x scanned in a glass that appears by a jump: at T_s its breakpoint is 1, and below some x it does not exist."""
_MOBILE = np.append(np.geomspace(1e-12, 1e-2, 11), np.linspace(0.03, 0.97, 48))
"""1 - q_1 tried; at T = 0 in place of C sd/10"""
_PATIENCE = {True: 3, False: 12}  # breakpoints at which levels that may be one are tried apart, at T = 0 and above
_WARM = 30.0  # y sd of the coldest clusters scanned at T = 0
_FINE = 1.6  # of the grids that tell the error
_SURE = 10  # times that error is a sign


class Symmetric(NamedTuple):
    """The replica-symmetric solution of one point."""

    n: float
    C: float
    replicon: float
    label: str


class OneStep(NamedTuple):
    """A staircase of one step; the condition on y is surely of opposite signs at y_low and y_high (nan: unknown)."""

    state: State
    y_low: float
    y_high: float


def symmetric(model: Model, start: str) -> Symmetric | None:
    """The replica-symmetric solution of a model of one point; None where there is none."""
    flat = model.flat()
    root = fixed_points(flat, start, default_solver)
    if not root.converged[0]:
        return None
    x = root.x
    order = flat.order_parameters(x)
    n = float(x[0, 0]) if len(flat.variables) > 1 else float(np.sum(order.get("m", 0.0)))
    label = str(flat.label(order)[0])
    return Symmetric(n, float(x[-1, 0]), float(flat.replicon(x)[0]), label)


def one_step(
    model: Model, start: str, base: Symmetric, unknowns: Unknowns, near: State | None = None
) -> OneStep | None:
    """The staircase of one step beside a replica-symmetric solution, at once from one near by; None if not found."""
    functional = parisi(model)
    if near is not None and (found := _from(functional, base, unknowns, near)) is not None:
        return found
    if functional.T == 0 and base.C**2 < MERGED and base.label == "retrieval":
        return None  # levels are C^2 apart
    if base.label == "spin_glass" and not unknowns.gapped:
        return _at_once(functional, base, unknowns)
    before: tuple[State, float] | None = None
    last = 0 if unknowns.gapped and functional.T > 0 else _PATIENCE[functional.T == 0]
    for tried, y in enumerate(breakpoints(functional, base, unknowns.gapped)):
        state = at_breakpoint(model, start, base, unknowns, y, before[0] if before else None)
        if state is None and before:  # near the end of retrieval the nested problem may fold before its root
            return _from(functional, base, unknowns, before[0])
        if state is None and tried == last:
            return None
        if state is None:
            continue
        here = condition(functional, state)
        if unknowns.gapped and functional.T > 0 and not before and here < 0:
            return None  # at x = 1 clusters are many: the paramagnet is made of them
        if before and before[1] * here < 0:
            return _bracketed(functional, base, unknowns, before[0], state)
        before = state, here
    return None


def _at_once(functional: Parisi, base: Symmetric, unknowns: Unknowns) -> OneStep | None:
    """All conditions at once, from steps about the replica-symmetric glass as they are in the model of S. and K."""
    T, q = functional.T, 1 - functional.T * base.C
    sd = _noise(functional, base)
    for low, times in product((0.4, 0.7, 0.9), (1.0, 0.4, 2.5)):
        C = base.C - 0.2 * q * base.C * (1 - low)
        y = min(times * 0.8 * q / (T + 0.6 * sd), 0.9 / T if T > 0 else np.inf)
        guess = State(base.n, Staircase(np.array([low * q, 1 - T * C]), C, np.array([y])))
        if (found := _from(functional, base, unknowns, guess)) is not None:
            return found
    return None


def _from(functional: Parisi, base: Symmetric, unknowns: Unknowns, guess: State) -> OneStep | None:
    """All conditions solved at once from a guess."""
    state, root = unknowns.solve(functional, guess, SOLVER)
    if root.converged and not merged(state) and _belongs(functional, base, unknowns, state) and _upright(base, root):
        return sure(functional, unknowns, state)
    return None


def _belongs(functional: Parisi, base: Symmetric, unknowns: Unknowns, state: State) -> bool:
    """Whether a state is beside its base; in retrieval not below, where the unstable branch runs."""
    below = base.n - 0.05 * abs(1 / functional.share - base.n)
    return unknowns.belongs(state, base.n) and (base.label != "retrieval" or state.n >= below)


def _upright(base: Symmetric, root: Stationarity) -> bool:
    """Whether retrieval is on its stable branch."""
    return base.label != "retrieval" or rigidity(root.J) > 0


def _noise(functional: Parisi, base: Symmetric) -> float:
    """Standard deviation of the noise at the replica-symmetric solution, or a tenth of the largest it can be."""
    here, most = functional.symmetric(base.C).R[0], functional.symmetric(0.0).R[0]
    return float(np.sqrt(max(here, 1e-2 * most)))


def at_breakpoint(
    model: Model, start: str, base: Symmetric, unknowns: Unknowns, y: float, near: State | None
) -> State | None:
    """The stationary state of one step at a given breakpoint; None where the levels merge, or there is none."""
    functional = parisi(model)
    if unknowns.gapped:
        return _held(functional, unknowns, near, y)
    for guess in chain([near] if near else [], _beside(model, start, base, functional.T, y)):
        state = _held(functional, unknowns, guess, y)
        if state is not None and _belongs(functional, base, unknowns, state):
            return state
    return None


def _held(functional: Parisi, unknowns: Unknowns, near: State | None, y: float) -> State | None:
    """The stationary state at a given breakpoint from one near by, or in a gapped glass from the most frozen."""
    for guess in chain([near] if near else [], _frozen(functional, y) if unknowns.gapped else []):
        trial = State(guess.n, Staircase(guess.stairs.q, guess.stairs.C, np.array([y])))
        state, root = replace(unknowns, held=True).solve(functional, trial, SOLVER)
        if root.converged and not merged(state):
            return state
    return None


def condition(functional: Parisi, state: State) -> float:
    """2 dY_0/dy - int q dR of one step, over the variance of the step."""
    return float(scaled_residual(functional, listed(state))[-1])


def breakpoints(functional: Parisi, base: Symmetric, gapped: bool) -> Array:
    """In the order scanned: down from x = 1, or from infinity, where gapped, else up from nothing."""
    T, sd = functional.T, _noise(functional, base)
    high = min(_HIGHEST / sd, 1 / T if T > 0 else np.inf)
    low = min(_LOWEST / sd, 0.1 * high)
    rising = np.geomspace(low, high, 2 + int(np.log(high / low) / np.log(_RATIO)))
    if not gapped:
        return rising
    falling = rising[::-1]
    return np.append(_NEAR_ONE / T, falling[falling < 0.7 / T]) if T > 0 else falling[falling * sd < _WARM]


def _frozen(functional: Parisi, y: float) -> Iterator[State]:
    """Clusters that share nothing, as frozen as they can be: the least C at which E c = C."""
    T = functional.T

    def state(C: float) -> State:
        return State(0.0, Staircase(np.array([0.0, 1 - T * C]), C, np.array([y])))

    def excess(C: float) -> float:
        return float(scaled_residual(functional, listed(state(C)))[2])

    last = 0.0
    for C in _MOBILE / (T or 0.1 * float(np.sqrt(functional.symmetric(0.0).R[0]))):
        if excess(C) <= 0:
            yield state(brentq(excess, last, C, xtol=1e-18) if last > 0 else C)
            return
        last = C


def _beside(model: Model, start: str, base: Symmetric, T: float, y: float) -> Iterator[State]:
    """Levels below and above the replica-symmetric one; the lower as if it were at temperature 1/y."""
    warm = symmetric(model.moved("T", np.asarray(1 / y)), start)
    lows = [1 - warm.C / y] if warm and warm.label == base.label else [1 - (T + 0.5 / y) * base.C]
    if T > 0:
        lows += [1 - 1.15 * T * base.C, 1 - 1.5 * T * base.C]
    n = base.n + 0.1 * max(1 / parisi(model).share - base.n, 0.0)  # the stable branch is the upper one
    for low, share in product(lows, (0.8, 0.97, 0.5)):
        C = share * base.C
        if MERGED < low < 1 - T * C - MERGED:
            yield State(n, Staircase(np.array([low, 1 - T * C]), C, np.array([y])))


def _bracketed(functional: Parisi, base: Symmetric, unknowns: Unknowns, low: State, high: State) -> OneStep | None:
    """The root of the condition between two breakpoints."""
    follow = _Nested(functional, unknowns, low)
    try:
        brentq(follow, float(low.stairs.y[0]), float(high.stairs.y[0]), xtol=1e-14, rtol=1e-12)
    except ArithmeticError:
        return None
    state, root = unknowns.solve(functional, follow.state, SOLVER)
    if not root.converged or merged(state):
        return sure(functional, unknowns, follow.state)
    return sure(functional, unknowns, state) if _upright(base, root) else None


def sure(functional: Parisi, unknowns: Unknowns, state: State) -> OneStep:
    """The state with the nearest breakpoints on either side at which the sign of the condition is sure, nan if none."""
    y, finer = float(state.stairs.y[0]), replace(functional, fineness=_FINE)
    noise, spare = _SURE * abs(condition(finer, state) - condition(functional, state)), 1e-10
    while spare < 1:
        low, high = y * (1 - spare), y * (1 + spare)
        try:
            signs = [_Nested(functional, unknowns, state)(side) for side in (low, high)]
        except ArithmeticError:
            break
        if signs[0] * signs[1] < 0 and min(abs(signs[0]), abs(signs[1])) > noise:
            return OneStep(state, low, high)
        spare *= 10
    return OneStep(state, np.nan, np.nan)


class _Nested:
    """The condition on y with all else solved for, followed from a state."""

    def __init__(self, functional: Parisi, unknowns: Unknowns, state: State) -> None:
        self.functional, self.unknowns, self.state = functional, unknowns, state

    def __call__(self, y: float) -> float:
        state = _held(self.functional, self.unknowns, self.state, y)
        if state is None:
            raise ArithmeticError("the levels merge")
        self.state = state
        return condition(self.functional, state)
