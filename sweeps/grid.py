"""What a sweep is asked: parameters on axes, checked before anything runs; its tiles; its empty dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ..core.backend import Array
from ..solvers.root import Solver
from ..theory import model as theory
from .broken import LEVELS, STEPS, Steps, broken_starts, evaluate_broken
from .solve import evaluate
from .store import FORMAT, Tile, key_of

TODO, DONE, FAILED = 0, 1, 2
SMALLEST_TILE, LARGEST_TILE, BROKEN_TILE = 4096, 8192, 64
"""Points of a tile; where replica symmetry is broken a point takes a hundredth of a second to seconds."""

LONG_NAMES = {
    "free_energy": "free energy per spin",
    "energy": "energy per spin",
    "entropy": "entropy per spin",
    "replicon": "1 - de Almeida-Thouless value",
    "admissible": "whether the solution may be the state of equilibrium",
    "stability": "least real part of the spectrum of 1 - map'",
    "stable": "whether small changes of the solution die out",
    "example_gain": "growth per step of differences between the overlaps with examples",
    "quadrature_error": "estimated error of the Gaussian averages",
    "residual": "largest |F(x) - x|",
    "converged": "residual below the solver's tolerance",
    "n_steps": "solver steps",
    "C": "(1 - q_k)/T",
    "x": "breakpoints of q(x), or y = lim x/T at T = 0",
    "x_low": "breakpoint below which the sign of df/dx is sure",
    "x_high": "breakpoint above which the sign of df/dx is sure",
    "soft_free_energy": "free energy per spin of the response of soft modes",
    "free_energy_error": "estimated error of the free energy",
    "steps": "steps of replica symmetry breaking found",
    "certified": "whether no step is missing of those asked for",
}


@dataclass(frozen=True)
class Plan:
    """What is asked, checked: parameters on the axes, the constants, starts, and a solver or steps of breaking."""

    Model: type[theory.Model]
    axes: dict[str, Array]
    const: dict[str, Any]
    starts: tuple[str, ...]
    solver: Solver | Steps

    @property
    def name(self) -> str:
        """``module:Class``."""
        return f"{self.Model.__module__}:{self.Model.__qualname__}"

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each axis."""
        return tuple(v.size for v in self.axes.values())

    @property
    def chunks(self) -> tuple[int, ...]:
        """Points of a tile along start and each axis."""
        limits = (BROKEN_TILE, BROKEN_TILE) if isinstance(self.solver, Steps) else (SMALLEST_TILE, LARGEST_TILE)
        return (1, *block_shape(self.shape, *limits))

    def tiles(self) -> list[Tile]:
        """All tiles, start by start; they depend on the grid alone."""
        size = (len(self.starts), *self.shape)
        count = [-(-n // b) for n, b in zip(size, self.chunks, strict=True)]
        return [
            Tile(i, tuple(slice(k * b, min((k + 1) * b, n)) for k, b, n in zip(i, self.chunks, size, strict=True)))
            for i in np.ndindex(*count)
        ]

    def identity(self, variables: Sequence[str]) -> dict[str, Any]:
        """What makes two sweeps the same one."""
        return {
            "format": FORMAT,
            "model": self.name,
            "dims": ["start", *self.axes],
            "over": {
                k: f"{v.size} values from {v[0]} to {v[-1]}, {key_of({k: v.tolist()})}" for k, v in self.axes.items()
            },
            "const": self.const,
            "starts": list(self.starts),
            "solver": repr(self.solver),
            "variables": list(variables),
            "tile": list(self.chunks),
        }

    def call(self, tile: Tile) -> tuple[Any, ...]:
        """The arguments of ``compute`` for one tile."""
        axes = {k: v[at] for (k, v), at in zip(self.axes.items(), tile.box[1:], strict=True)}
        return self.Model, axes, self.const, self.starts[tile.index[0]], self.solver


def checked(
    Model: type[theory.Model],
    over: Mapping[str, ArrayLike],
    const: Mapping[str, Any],
    starts: Sequence[str] | None,
    solver: Solver | Steps,
) -> Plan:
    """Raise ValueError or TypeError, in one sentence, where the arguments make no sweep."""
    if not (isinstance(Model, type) and issubclass(Model, theory.Model)):
        raise TypeError(f"Model must be the class of a model, such as mt.Hopfield, got {Model!r}")
    broken = isinstance(solver, Steps)
    if not (broken or callable(solver)):
        raise TypeError(f"solver must be a solver, such as mt.Newton(), got {solver!r}")
    _check_names(Model, over, const)
    axes = {k: _axis(k, v) for k, v in over.items()}
    fixed = {k: _scalar(k, v, k in Model.numeric()) for k, v in const.items()}
    model = on_grid(Model, axes, fixed)
    if broken:
        model.flat().at(slice(0, 1)).reshaped(()).noise()
    return Plan(Model, axes, fixed, _starts(broken_starts(Model) if broken else Model.starts, starts), solver)


def _check_names(Model: type[theory.Model], over: Mapping[str, Any], const: Mapping[str, Any]) -> None:
    Model.check_names([*over, *const])
    for name in [*over, *const]:
        if name in over and name in const:
            raise ValueError(f"{name} is given in both over and const: give it in one of them")
        if name in over and name not in Model.numeric():
            raise ValueError(f"{name} is one word or integer per sweep: give it in const, not in over")


def _axis(name: str, values: ArrayLike) -> Array:
    try:
        axis = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise TypeError(f"over[{name!r}] must be a 1-d array of real numbers, got {values!r}") from None
    if axis.ndim != 1 or axis.size == 0:
        raise ValueError(f"over[{name!r}] must be 1-d and not empty, got shape {axis.shape}")
    if not np.isfinite(axis).all():
        raise ValueError(f"over[{name!r}] must be finite, got {axis[~np.isfinite(axis)][0]}")
    return axis


def _scalar(name: str, value: Any, numeric: bool) -> Any:
    if np.ndim(value):
        raise ValueError(f"const[{name!r}] must be one number or word, got shape {np.shape(value)}: give it in over")
    if isinstance(value, np.generic | np.ndarray):
        value = value.item()
    if not isinstance(value, str | float | int | None):
        raise TypeError(f"const[{name!r}] must be one number or word, got {value!r}")
    return float(value) if numeric and isinstance(value, int) else value


def _starts(known: tuple[str, ...], starts: Sequence[str] | None) -> tuple[str, ...]:
    if isinstance(starts, str):
        raise TypeError(f"starts must be a sequence of names, got {starts!r}: write [{starts!r}]")
    names = known if starts is None else tuple(starts)
    if unknown := [n for n in names if n not in known]:
        raise ValueError(f"starts must be among {', '.join(known)}, got {unknown[0]!r}")
    if not names or len(set(names)) < len(names):
        raise ValueError(f"starts must be at least one name, each once, got {names}")
    return names


def on_grid(Model: type[theory.Model], axes: Mapping[str, Array], const: Mapping[str, Any]) -> theory.Model:
    """The model on the product of the axes."""
    mesh = np.meshgrid(*axes.values(), indexing="ij", sparse=True)
    return Model(**dict(zip(axes, mesh, strict=True)), **const)


def evaluated(model: theory.Model, start: str, solver: Solver | Steps) -> dict[str, NDArray[Any]]:
    """All reported quantities of one start, replica symmetric by a solver or broken in steps."""
    if isinstance(solver, Steps):
        return evaluate_broken(model, start, solver.k)
    return evaluate(model, start, solver)


def block_shape(shape: tuple[int, ...], least: int = SMALLEST_TILE, most: int = LARGEST_TILE) -> tuple[int, ...]:
    """Points of a tile along each dimension of the grid: about an eighth of it within the limits, last axis first.

    >>> block_shape((200, 200)), block_shape((10, 10)), block_shape((10**6,))
    ((25, 200), (10, 10), (8131,))
    """
    room = min(most, max(least, prod(shape) // 8))
    block: list[int] = []
    for n in reversed(shape):
        size = -(-n // -(-n // room))
        block.insert(0, size)
        room //= size
    return tuple(block)


def empty(plan: Plan) -> xr.Dataset:
    """The dataset with every point still to do."""
    one = {k: v[:1] for k, v in plan.axes.items()}
    template = evaluated(on_grid(plan.Model, one, plan.const).flat().at(slice(0, 0)), plan.starts[0], plan.solver)
    shape = (len(plan.starts), *plan.shape)
    dims = ("start", *plan.axes)
    variables: dict[str, Any] = {}
    for name, value in template.items():
        dtype = np.dtype(np.float64) if value.dtype.kind == "f" else value.dtype
        variables[name] = (
            dims + (_last(name),) * (value.ndim - 1),
            blank(dtype, shape + value.shape[1:]),
            _attrs(plan, name),
        )
    flags = {"long_name": "state of the point", "flag_values": [0, 1, 2], "flag_meanings": "todo done failed"}
    variables["status"] = dims, np.zeros(shape, np.uint8), flags
    coords = {k: (k, v, _attrs(plan, k)) for k, v in plan.axes.items()}
    return xr.Dataset(variables, {"start": list(plan.starts), **coords})


def _last(name: str) -> str:
    """The dimension of a quantity that is a vector."""
    return "level" if name in LEVELS else "step" if name in STEPS else "mu"


def blank(dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """An array of nothing known: nan, False or 0."""
    return np.full(shape, np.nan if dtype.kind == "f" else 0, dtype)


def erased(values: Mapping[str, NDArray[Any]], lost: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """Quantities by name, (points, ...) each, with nothing known at the points that are lost."""
    return {k: np.where(lost.reshape(-1, *[1] * (v.ndim - 1)), blank(v.dtype, v.shape), v) for k, v in values.items()}


def _attrs(plan: Plan, name: str) -> dict[str, str]:
    symbol = plan.Model.symbols.get(name)
    attrs = {"long_name": LONG_NAMES.get(name) or (f"${symbol}$" if symbol else name)}
    if symbol:
        attrs["symbol"] = symbol
    return attrs if name in ("converged", "admissible") else attrs | {"units": "1"}
