"""What every model declares, and the handling of parameters they share."""

import copy
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require
from .examples import MeanExample
from .noise import Noise


@dataclass(frozen=True)
class Range:
    """The values a parameter may take: from low to high, included or not, integers only or not."""

    low: float = -np.inf
    high: float = np.inf
    open_low: bool = False
    integer: bool = False
    open_high: bool = False

    def __str__(self) -> str:
        below = f"{'>' if self.open_low else '>='} {self.low:g}"
        if self.high < np.inf:
            below = f"in {'(' if self.open_low else '['}{self.low:g}, {self.high:g}{')' if self.open_high else ']'}"
        bounds = "finite" if self.low == -np.inf else f"finite and {below}"
        return f"an integer, {bounds}" if self.integer else bounds

    def check(self, name: str, value: Any) -> Array:
        """Return the value as float64, or raise naming argument, value and range."""
        try:
            v = np.asarray(value, dtype=np.float64)
        except (TypeError, ValueError):
            raise TypeError(f"{name} must be a real number or an array of them, {self}, got {value!r}") from None
        ok = np.isfinite(v) & ((v > self.low) if self.open_low else (v >= self.low))
        ok &= (v < self.high) if self.open_high else (v <= self.high)
        if self.integer:
            with np.errstate(invalid="ignore"):
                ok &= v == np.floor(v)
        require(ok, name, v, str(self))
        return v


class Report(NamedTuple):
    """Per spin, at a solution, from one average over the field; ``quadrature_error`` is the largest error of F(x)."""

    free_energy: Array
    energy: Array
    entropy: Array
    replicon: Array
    quadrature_error: Array


def parameter(
    low: float = -np.inf,
    high: float = np.inf,
    *,
    open_low: bool = False,
    integer: bool = False,
    open_high: bool = False,
    default: Any = MISSING,
) -> Any:
    """A numeric parameter of a model: a scalar or an array that broadcasts with the others."""
    return field(default=default, metadata={"range": Range(low, high, open_low, integer, open_high)})


@dataclass(frozen=True, kw_only=True, eq=False)
class Model(ABC):
    """Base of all models: a frozen dataclass of parameters with the map whose fixed points are its solutions.

    Shapes: every parameter broadcasts to ``shape``; ``x`` stacks the ``variables``, shape (variables, *shape).
    Fields made by :func:`parameter` are numeric; all others are static words and integers.
    """

    order: ClassVar[tuple[str, ...]]
    starts: ClassVar[tuple[str, ...]]
    continuous: ClassVar[tuple[str, ...]] = ()
    """The starts whose solution leaves the paramagnet continuously."""
    load: ClassVar[str | None] = None
    ansatz: ClassVar[str] = "replica symmetric"
    along_noise: ClassVar[bool] = False
    """Whether the branch in closed form is followed in the width of the noise; else in its one signal."""
    symbols: ClassVar[Mapping[str, str]]
    reference: ClassVar[str]

    def __post_init__(self) -> None:
        for f in self.numeric():
            value = getattr(self, f)
            if value is not None:
                self._set(f, self._ranges()[f].check(f, value))
        self._check_shapes()

    def _check_shapes(self) -> None:
        given = {f: np.shape(getattr(self, f)) for f in self.numeric() if getattr(self, f) is not None}
        try:
            np.broadcast_shapes(*given.values())
        except ValueError:
            listed = ", ".join(f"{k} of shape {v}" for k, v in given.items())
            raise ValueError(f"the parameters must broadcast together, got {listed}") from None

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def _ranges(cls) -> dict[str, Range]:
        return {f.name: f.metadata["range"] for f in fields(cls) if "range" in f.metadata}

    @classmethod
    def numeric(cls) -> tuple[str, ...]:
        """Names of the numeric parameters."""
        return tuple(cls._ranges())

    @classmethod
    def check_names(cls, names: Iterable[str]) -> None:
        """Raise ``ValueError`` where a name is no parameter, or one that is needed is not among them."""
        given, own = list(names), [f for f in fields(cls) if f.init]
        for name in given:
            if name not in (known := [f.name for f in own]):
                raise ValueError(f"{name} is no parameter of {cls.__name__}: it has {', '.join(known)}")
        if missing := [f.name for f in own if f.default is MISSING and f.name not in given]:
            raise ValueError(f"{cls.__name__} needs {', '.join(missing)}")

    def check_words(self, **known: tuple[str, ...]) -> None:
        """Raise ``ValueError`` where a parameter is none of the words it may be."""
        for name, words in known.items():
            if (value := getattr(self, name)) not in words:
                raise ValueError(f"{name} must be one of {', '.join(words)}, got {value!r}")

    def parameters(self) -> dict[str, Array]:
        """The numeric parameters that are set, by name."""
        return {n: getattr(self, n) for n in self.numeric() if getattr(self, n) is not None}

    def words(self) -> dict[str, Any]:
        """What is one value per model, by name: the ansatz, and parameters that are words or integers."""
        return {"ansatz": self.ansatz} | {
            f.name: getattr(self, f.name) for f in fields(self) if f.init and "range" not in f.metadata
        }

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape the parameters broadcast to."""
        return np.broadcast_shapes(*(np.shape(v) for v in self.parameters().values()))

    def flat(self) -> Self:
        """The same model with every parameter broadcast and laid out along one axis of points."""
        new, shape = copy.copy(self), self.shape
        for name, value in self.parameters().items():
            new._set(name, np.ascontiguousarray(np.broadcast_to(value, shape)).ravel())
        return new

    def at(self, points: NDArray[np.intp] | slice) -> Self:
        """The model at some points of a flat one."""
        new = copy.copy(self)
        for name, value in self.parameters().items():
            new._set(name, value[points])
        return new

    def reshaped(self, shape: tuple[int, ...]) -> Self:
        """A flat model laid out on a grid."""
        new = copy.copy(self)
        for name, value in self.parameters().items():
            new._set(name, value.reshape(shape))
        return new

    def moved(self, name: str, values: Array) -> Self:
        """A flat model with other values of one parameter (not checked again: a boundary may be nan)."""
        new = copy.copy(self)
        new._set(name, values)
        return new

    @property
    @abstractmethod
    def variables(self) -> tuple[str, ...]:
        """Names of what is iterated, in the order of x."""

    @property
    def plain_steps(self) -> int:
        """Steps x -> F(x) before a solver takes over, where basins are many: they keep to that of a start."""
        return 0

    @abstractmethod
    def start(self, name: str) -> Array:
        """Where iteration begins, shape (variables, *shape)."""

    def sector(self, start: str) -> NDArray[np.intp] | None:
        """The subspace the map does not leave from a start: variables of one number stay equal, those of -1 stay 0."""
        return None

    @abstractmethod
    def box(self) -> tuple[Array, Array]:
        """The lowest and highest values the variables may take, each of shape (variables, *shape)."""

    @abstractmethod
    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """The map F(x), shape (variables, *shape), and dF_i/dx_j, shape (variables, variables, *shape)."""

    @abstractmethod
    def order_parameters(self, x: Array) -> dict[str, Array]:
        """What is reported, by name: each of ``shape`` (and a last axis mu where it is a vector)."""

    @abstractmethod
    def report(self, x: Array) -> Report:
        """Free energy, energy, entropy, replicon and the error of the averages at x, each of ``shape``."""

    def free_energy(self, x: Array) -> Array:
        """Free energy per spin, stationary in x exactly where the map is fixed; nan where it is not defined."""
        return self.report(x).free_energy

    def energy(self, x: Array) -> Array:
        """Energy per spin at a solution."""
        return self.report(x).energy

    def entropy(self, x: Array) -> Array:
        """Entropy per spin at a solution."""
        return self.report(x).entropy

    def replicon(self, x: Array) -> Array:
        """1 - de Almeida-Thouless value; -inf where that diverges."""
        return self.report(x).replicon

    def admissible(self, x: Array, report: Report) -> NDArray[np.bool_]:
        """Whether the solution x may be the state of equilibrium: here, where it has a free energy."""
        return np.isfinite(report.free_energy)

    @classmethod
    @abstractmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Name the solution with these order parameters (arrays of one shape)."""

    @classmethod
    def ended_on(cls, order: Mapping[str, Any], start: str) -> NDArray[np.bool_]:
        """Whether these are solutions of the name of a start: here, those of that label."""
        return cls.label(order) == start

    def noise(self) -> Noise:
        """The noise of a model of one point by the covariance R(q) of its field, for replica symmetry breaking."""
        raise TypeError(f"{type(self).__name__} declares no noise: there is no replica symmetry to break")

    def signal(self, n: Any) -> tuple[Any, Any]:
        """(mu, E): the signal in the field where the order parameter of alignment is n, and its energy per spin."""
        return 0.0, 0.0

    @property
    def mean_example(self) -> MeanExample:
        """What a spin sees of the signal, v: here, all of it."""
        return MeanExample(np.zeros(()))

    def example_gain(self, n: Array, C: Array, vv_C: Array) -> Array | None:
        """Growth of differences between the overlaps with examples; C and vv_C are the responses of m and n to a field.

        None where there are no single examples, or a state of equal overlaps takes all of them into account.
        """
        return None

    def branch(self, m: Array, sd: Array) -> tuple[Array, Array, Array]:
        """(residual, load, x) at signal m and width sd of the noise the load makes, the load in closed form.

        On the branch the residual vanishes; it falls in sd. The load is nan where it has no physical value. Where the
        model is followed ``along_noise``, m and the residual F(m) - m are of shape (signals, points).
        """
        raise NotImplementedError(f"{type(self).__name__} has no branch in closed form")

    def in_noise(self, m: Array, sd: Array) -> tuple[Array, Array]:
        """The map of the signals alone in noise of width sd, and dF_i/dm_j, where the branch is followed along it."""
        raise NotImplementedError(f"{type(self).__name__} is not followed along its noise")

    def _stack(self, *values: Any) -> Array:
        return np.stack([np.broadcast_to(np.asarray(v, float), self.shape) for v in values])

    def _no_start(self, name: str) -> ValueError:
        return ValueError(f"start must be one of {', '.join(self.starts)}, got {name!r}")
