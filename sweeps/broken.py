"""What is reported of broken replica symmetry, point by point: the twin of ``solve.evaluate``."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ..core.backend import Array
from ..core.errors import require_integer
from ..solvers.root import Root, residual_of
from ..solvers.stationary import derivatives
from ..theory.model import Model
from ..theory.rsb import Parisi, State, parisi
from .one_step import Symmetric
from .solve import describe
from .stairs import Unknowns, lengths, listed, rigidity, scaled_residual
from .tower import Tower, tower

FULL, MOST = 14, 20
"""Steps of the finest staircase of full breaking, and the most that can be asked for."""
LEVELS, STEPS = ("q", "replicon"), ("x", "x_low", "x_high")
"""Quantities with a value per level 0..k, and per step 1..k."""
_FINE = 1.6  # of the grids that tell the error


@dataclass(frozen=True)
class Steps:
    """What solves a sweep of broken replica symmetry, in place of a solver: k steps, or "full"."""

    k: int | str

    def __post_init__(self) -> None:
        check_steps(self.k)


Values = dict[str, NDArray[Any]]


def check_steps(k: Any) -> int:
    """The number of steps k asks for."""
    if k == "full":
        return FULL
    if isinstance(k, str):
        raise ValueError(f'k must be an integer from 1 to {MOST}, or "full", got {k!r}')
    require_integer(k, "k", 1, MOST, f'from 1 to {MOST}, or "full"')
    return int(k)


def broken_starts(Model: type[Model]) -> tuple[str, ...]:
    """The starts of states that can be broken: all but the paramagnet."""
    return tuple(name for name in Model.starts if name != "paramagnet")


def start_of(Model: type[Model], start: str | None) -> str:
    """The start by name, or the first."""
    known = broken_starts(Model)
    if start is not None and start not in known:
        raise ValueError(f"start must be one of {', '.join(known)}, got {start!r}")
    return known[0] if start is None else start


def evaluate_broken(model: Model, start: str, k: int | str) -> Values:
    """All reported quantities, each of the model's shape and those per level or step with an axis more.

    Failures are marked, not raised. Points that differ in the load alone are taken in its order, each from the one
    before; where retrieval has ended, it has at all larger loads.
    """
    flat, steps = model.flat(), check_steps(k)
    rows = [_nothing(model, steps)] * flat.shape[0]
    ended: set[tuple[float, ...]] = set()
    before: dict[tuple[float, ...], tuple[float, Tower]] = {}
    for i in _by_load(flat):
        point = flat.at(slice(i, i + 1)).reshaped(())
        load = float(point.parameters()[model.load]) if model.load else 0.0
        others = tuple(float(v) for name, v in point.parameters().items() if name != model.load)
        reached = None if others in ended else tower(point, start, steps, before.get(others))
        rows[i] = values_of(point, start, reached, k)
        if reached is not None:
            before[others] = load, reached
        elif start == "retrieval":
            ended.add(others)
    return stacked(rows or [_nothing(model, steps)], model.shape)


def values_of(point: Model, start: str, reached: Tower | None, k: int | str) -> dict[str, Any]:
    """Every quantity of one point, by name."""
    blank = _nothing(point, check_steps(k))
    return blank if reached is None else blank | _told(point, start, reached, check_steps(k), k == "full")


def stacked(rows: Sequence[dict[str, Any]], shape: tuple[int, ...]) -> Values:
    """The points laid out on a grid."""
    size = int(np.prod(shape))
    return {
        name: np.array([row[name] for row in rows][:size], np.asarray(value).dtype).reshape((*shape, *np.shape(value)))
        for name, value in rows[0].items()
    }


def ansatz(k: int | str) -> str:
    """What a solution of k steps says of itself."""
    return "full replica symmetry breaking" if k == "full" else f"{k} step{'s' * (k != 1)} of broken replica symmetry"


def _by_load(flat: Model) -> Sequence[int]:
    """The points, those of little load first."""
    if flat.load is None:
        return range(flat.shape[0])
    order: list[int] = np.argsort(flat.parameters()[flat.load], kind="stable").tolist()
    return order


def _nothing(model: Model, steps: int) -> dict[str, Any]:
    """Every quantity of a point where nothing is known."""
    names = [*model.order, "C", "free_energy", "energy", "entropy", "soft_free_energy", "free_energy_error", "residual"]
    values: dict[str, Any] = dict.fromkeys([*names, "quadrature_error", "stability"], np.nan)
    values |= {name: np.full(steps + 1, np.nan) for name in LEVELS} | {name: np.full(steps, np.nan) for name in STEPS}
    if "unsupervised" in model.words().values() and hasattr(model, "P"):
        values["example_gain"] = np.nan
    return values | {"admissible": False, "stable": False, "converged": False, "certified": False, "steps": 0}


def _told(point: Model, start: str, reached: Tower, steps: int, full: bool) -> dict[str, Any]:
    """The quantities of one point; q and the replicon repeat the last level, x is nan, past the steps there are."""
    taken, unit = reached.steps, float(np.asarray(point.parameters()["T"])) or 1.0
    if taken:
        told = _broken(point, start, reached, full)
        told["admissible"] = True
    else:
        told = _symmetric(point, reached.base)
        told["admissible"] = bool(told["admissible"]) or start == "retrieval"
    for name, side in zip(("x_low", "x_high"), reached.bracket, strict=True):
        told[name] = np.full(taken, side * unit if taken == 1 else np.nan)
    for name in LEVELS:
        told[name] = np.append(told[name], np.full(steps + 1 - told[name].size, told[name][-1]))
    for name in STEPS:
        told[name] = np.append(told[name], np.full(steps - told[name].size, np.nan))
    told["stable"] = told["stability"] > 0 and not told.get("example_gain", 0.0) >= 1
    return told | {"steps": taken, "certified": reached.certified, "converged": True}


def _symmetric(point: Model, base: Symmetric | None) -> dict[str, Any]:
    """The quantities of the replica-symmetric solution."""
    assert base is not None
    flat = point.flat()
    x = np.array([[base.n], [base.C]])[-len(flat.variables) :]
    image, J = flat.self_consistency(x)
    residual = residual_of(image, x)
    found = describe(flat, Root(x, J, residual, residual == residual, np.zeros(1, np.int64)))
    wanted = (
        *point.order,
        "free_energy",
        "energy",
        "entropy",
        "residual",
        "quadrature_error",
        "stability",
        "admissible",
    )
    told: dict[str, Any] = {name: found[name][0] for name in wanted}
    told |= {name: found[name][0] for name in ("example_gain",) if name in found}
    levels = {"q": found["q"], "replicon": found["replicon"], "x": np.empty(0)}
    soft = parisi(point).symmetric(base.C).soft
    return told | levels | {"C": base.C, "free_energy_error": told["quadrature_error"], "soft_free_energy": soft}


def _broken(point: Model, start: str, reached: Tower, full: bool) -> dict[str, Any]:
    """The quantities of the highest staircase; in full also what its free energy tends to."""
    functional, state = parisi(point), reached.states[-1]
    finer = replace(functional, fineness=_FINE)
    account, g = functional.account(state), functional.residual(state)
    f, error = account.free_energy, abs(finer.account(state).free_energy - account.free_energy)
    if full:
        f, spread = extrapolated([functional.account(s).free_energy for s in reached.states], reached.steps)
        error += spread
    q, C, y = state.stairs
    told = {"m": account.m, "n": state.n, "q": q, "C": C, "x": y * (functional.T or 1.0), "free_energy": f}
    told |= {"energy": account.energy, "entropy": account.entropy, "replicon": account.replicon}
    told |= {"residual": _largest(g, reached.unknowns), "free_energy_error": error}
    told["soft_free_energy"] = account.soft
    told["quadrature_error"] = _largest(g - finer.residual(state), reached.unknowns)
    told["stability"] = _stability(functional, reached.unknowns, state, start)
    gain = point.example_gain(np.asarray(state.n), np.asarray(account.response), np.asarray(account.vv_response))
    told |= {} if gain is None else {"example_gain": gain}
    return {name: value for name, value in told.items() if name not in ("m", "n") or name in point.order}


def _largest(g: Array, unknowns: Unknowns) -> float:
    return float(abs(g[unknowns.free(g.size // 2 - 1)]).max())


def _stability(functional: Parisi, unknowns: Unknowns, state: State, start: str) -> float:
    """Of retrieval 1 - dn'/dn, all else made stationary, which vanishes where it ends; of a glass the least real part
    of the spectrum of 1 - map', the breakpoints held.
    """
    retrieval, z = start == "retrieval", listed(state)
    free = replace(unknowns, held=not retrieval).free(state.stairs.y.size)

    def g(x: Array) -> Array:
        full = z.copy()
        full[free] = x
        return scaled_residual(functional, full)[free]

    J = derivatives(g, z[free], lengths(z, functional.T)[free])
    if not np.isfinite(J).all():
        return np.nan
    if retrieval:
        return rigidity(J)
    return float(np.linalg.eigvals(-J).real.min())


def extrapolated(f: Sequence[float], k: int) -> tuple[float, float]:
    """The limit of .., f_(k-1), f_k by f_k = f + c/(k + a)^4 through the last three, and its distance from the last.

    With fewer than three, or where they no longer move by that law, the last itself; its error is then the last move.
    """
    if len(f) < 2:
        return f[-1], 0.0
    last = abs(f[-1] - f[-2])
    if len(f) == 2 or not 0 < (f[-1] - f[-2]) / (f[-2] - f[-3]) < 1:
        return f[-1], last
    ratio = (f[-1] - f[-2]) / (f[-2] - f[-3])

    def moves(a: float) -> Array:
        return np.diff((np.arange(k - 2, k + 1) + a) ** -4.0)

    def off(a: float) -> float:
        first, second = moves(a)
        return float(second / first) - ratio

    low, high = -k + 2.001, 1e4
    if off(low) * off(high) > 0:
        return f[-1], last
    a = float(brentq(off, low, high))
    limit = f[-1] - (f[-1] - f[-2]) / moves(a)[1] * (k + a) ** -4.0
    return limit, abs(limit - f[-1])
