"""A model class with one parameter free: what the boundaries of all kinds are searched on."""

from typing import Any

import numpy as np

from ..core.backend import Array
from ..solvers.bracket import Index
from ..solvers.newton import Newton
from ..solvers.root import Root, residual_of
from ..theory.model import Model
from .grid import erased
from .solve import Solution, describe, fixed_points, shaped

SOLVER = Newton()
TOL = 1e-10


class Family:
    """A model class with one parameter free: the constants laid out along one axis of points."""

    def __init__(self, cls: type[Model], along: str, const: dict[str, Any]) -> None:
        known = [n for n in (cls.load, "T") if n is not None]
        if along not in known:
            raise ValueError(f"along must be one of {', '.join(known)} for {cls.__name__}, got {along!r}")
        if along in const:
            raise ValueError(f"{along} is the parameter searched (along={along!r}) and cannot be given as well")
        cls.check_names([along, *const])
        self.cls, self.along = cls, along
        model = cls(**{along: 0.0}, **const)
        self.shape, flat = model.shape, model.flat()
        self.base = flat.moved(along, flat.parameters()[along])
        self.size = int(np.prod(self.shape))

    def check(self, argument: str, name: str) -> None:
        """Raise ValueError where a name is no start."""
        if name not in self.cls.starts:
            raise ValueError(f"{argument} must be among {', '.join(self.cls.starts)}, got {name!r}")

    def at(self, value: Array, i: Index | None = None) -> Model:
        """The models at these values of the free parameter."""
        base = self.base if i is None else self.base.at(i)
        return base.moved(self.along, value)

    def solution(self, value: Array, x: Array) -> Solution:
        """The solution x at the boundary; nan where the boundary is."""
        lost = np.isnan(value) | np.isnan(x).any(axis=0)
        model = self.at(np.where(lost, 0.0, value))
        x = np.where(lost, model.start("paramagnet"), x)
        image, J = model.self_consistency(x)
        residual = residual_of(image, x)
        root = Root(x, J, residual, (residual < TOL) & ~lost, np.zeros(lost.shape, np.int64))
        found = erased(describe(model, root), lost)
        found["label"] = np.where(lost, "none", model.label(found))
        named = self.at(np.where(lost, np.nan, value))
        return Solution(named.reshaped(self.shape), shaped(found, self.shape))

    def reached(self, value: Array, start: str) -> Array:
        """The variables reached from a start."""
        return fixed_points(self.at(np.nan_to_num(value)), start, SOLVER).x
