"""The staircase of broken replica symmetry as the unknowns of a solver, and what one step more may look like."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.interpolate import PchipInterpolator

from ..core.backend import Array
from ..solvers.stationary import Stationarity, Stationary
from ..theory.rsb import Parisi, Staircase, State

MERGED = 1e-6
"""Overlaps nearer than this are one level."""
_STRETCHES = ((1.0, 1.0), (1.25, 1.0), (0.8, 1.0), (0.8, 0.6), (1.25, 0.6), (1.0, 1.6))
"""How much wider and how much later the steps of a guess are than those of the curve before."""


@dataclass(frozen=True)
class Unknowns:
    """Which of (n, q_0..q_{k-1}, C, y_1..y_k) are solved for at one point.

    n only where aligned; q_0 = 0 by symmetry where ``gapped``; the breakpoints not where ``held``.
    """

    aligned: bool
    gapped: bool
    held: bool = False

    def free(self, k: int) -> Array:
        """Indices into the list above."""
        first = [0] if self.aligned else []
        overlaps = range(2 if self.gapped else 1, k + 2)
        return np.array([*first, *overlaps, *([] if self.held else range(k + 2, 2 * k + 2))])

    def belongs(self, state: State, n: float) -> bool:
        """Whether a state is as aligned as n, and not with q_0 = 0, which solves the equations without a field in every
        glass and is stable only where it must be zero.
        """
        return abs(state.n - n) <= 0.1 * abs(n) and (self.gapped or state.stairs.q[0] > MERGED)

    def solve(self, functional: Parisi, state: State, solver: Stationary) -> tuple[State, Stationarity]:
        """Make the functional stationary in the unknowns, from a state near by."""
        z, free = listed(state), self.free(state.stairs.y.size)

        def full(x: Array) -> Array:
            out = z.copy()
            out[free] = x
            return out

        def g(x: Array) -> Array:
            return scaled_residual(functional, full(x))[free]

        found = solver(g, z[free], lambda x: lengths(full(x), functional.T)[free])
        return state_of(full(found.x), functional.T), found


def rigidity(J: Array) -> float:
    """1 - dn'/dn with all else stationary, from the Jacobian of the conditions, n the first: 0 where retrieval ends."""
    slope = -J
    return float(slope[0, 0] - slope[0, 1:] @ np.linalg.solve(slope[1:, 1:], slope[1:, 0]))


def listed(state: State) -> Array:
    """(n, q_0..q_{k-1}, C, y_1..y_k)."""
    q, C, y = state.stairs
    return np.concatenate([[state.n], q[:-1], [C], y])


def state_of(z: Array, T: float) -> State:
    """The state of such a list; q_k = 1 - T C."""
    k = z.size // 2 - 1
    return State(float(z[0]), Staircase(np.append(z[1 : k + 1], 1 - T * z[k + 1]), float(z[k + 1]), z[k + 2 :]))


def scaled_residual(functional: Parisi, z: Array) -> Array:
    """The residual with the equation of y_i divided by the variance of step i; nan where z is no staircase."""
    state = state_of(z, functional.T)
    q, C, y = state.stairs
    rising = (np.diff(q) > 1e-9).all() and (np.diff(y) > 0).all()
    if not (rising and q[0] >= 0 and q[-1] <= 1 and C >= 0 and y[0] > 0 and y[-1] * functional.T <= 1 + 1e-6):
        return np.full(z.size, np.nan)
    R = functional.covariance(state)
    spread = np.diff(R)
    if not (np.isfinite(spread).all() and (spread > MERGED * R[-1]).all()):
        return np.full(z.size, np.nan)
    g = functional.residual(state)
    g[q.size + 1 :] /= spread
    return g


def lengths(z: Array, T: float) -> Array:
    """Over what each may change: the distance to its neighbours."""
    q, C, y = state_of(z, T).stairs
    k = y.size
    gaps = np.diff(q, prepend=0.0, append=1.0)
    gaps[gaps == 0] = np.inf
    nearest = np.minimum(gaps[:-1], gaps[1:])[:k]
    top = (q[k] - q[k - 1]) / T if T > 0 else np.inf
    steps = np.diff(y, prepend=0.0)
    above = np.append(steps[1:], np.inf)
    return np.concatenate([[1e-2], nearest, [min(C, top)], np.minimum(steps, above)])


def merged(state: State) -> bool:
    """Whether two levels are one."""
    return bool((np.diff(state.stairs.q) < MERGED).any())


def finer(functional: Parisi, state: State, gapped: bool) -> Iterator[State]:
    """Guesses of the staircase with one step more, the likeliest first.

    The same curve with x and q each by their index, cut finer, and with its steps wider, narrower, earlier, later.
    Where gapped, q_0 = 0 and the first breakpoint stay: beyond them the curve is continuous.
    """
    (q, C, y), T = state.stairs, functional.T
    kept = int(gapped)
    levels, breaks = q[kept:], y[kept:]
    if levels.size == 1:
        yield from _split(state, T, float(np.sqrt(functional.symmetric(0.0).R[0])))
        return
    low = y[0] if gapped else max(breaks[0] - (breaks[1] - breaks[0] if breaks.size > 1 else 0.5 * breaks[0]), 0.0)
    new_q, new_y = _cut_levels(levels, cold=T == 0), _cut_breaks(breaks, low, np.inf if T == 0 else 1 / T)
    new_C = (levels.size - 0.5) / (levels.size + 0.5) * C if T == 0 else (1 - new_q[-1]) / T
    for wide, late in _STRETCHES:
        overlaps = np.append(q[:kept], new_q[-1] - wide * (new_q[-1] - new_q))
        yield State(state.n, Staircase(overlaps, new_C, np.append(y[:kept], low + late * (new_y - low))))


def _cut_levels(q: Array, cold: bool) -> Array:
    """One level more on the curve through these; where cold the last is 1, which the curve reaches as a square."""
    n = q.size
    bottom = max(q[0] - 0.5 * (q[1] - q[0]), 0.0)
    if cold:
        at = (np.arange(n) + 0.5) / (n - 0.5)
        root = PchipInterpolator(np.append(0.0, at), np.append(np.sqrt(1 - bottom), np.sqrt(1 - q)))
        return 1 - root((np.arange(n + 1) + 0.5) / (n + 0.5)) ** 2
    at = (np.arange(n) + 0.5) / n
    top = min(q[-1] + 0.5 * (q[-1] - q[-2]), 0.5 * (1 + q[-1]))
    return PchipInterpolator([0.0, *at, 1.0], [bottom, *q, top])((np.arange(n + 1) + 0.5) / (n + 1))


def _cut_breaks(y: Array, low: float, beta: float) -> Array:
    """One breakpoint more between ``low`` and the end of the curve, which at T = 0 is at infinity."""
    n = y.size + 1
    at = np.arange(n + 1) / n
    new = np.arange(1, n + 1) / (n + 1)
    if beta == np.inf:
        scale = y[-1]
        curve = PchipInterpolator(at, [low / (1 + low / scale), *(y / (1 + y / scale)), scale])(new)
        return curve / (1 - curve / scale)
    end = min(beta, y[-1] + 0.5 * (y[-1] - (y[-2] if n > 2 else low)))
    return PchipInterpolator(at, [low, *y, end])(new)


def _split(state: State, T: float, sd: float) -> Iterator[State]:
    """The only level that is not zero cut in two, far or near, in units of C sd; the new breakpoint early or late."""
    q, C, y = state.stairs
    for wide, ratio in product((0.3, 0.1, 0.03, 0.01), (2.8, 1.5, 8.0)):
        less = 1 - min(wide, 0.3)
        levels = np.array([q[0], q[1] - wide * C * sd, 1 - T * less * C])
        late = min(ratio * y[0], y[0] + 0.5 * (1 / T - y[0])) if T > 0 else ratio * y[0]
        yield State(state.n, Staircase(levels, less * C, np.append(y, late)))
