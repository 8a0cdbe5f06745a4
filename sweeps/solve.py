"""One call: a model, a start, a solver. The only place where a model meets a solver."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import ConvergenceError
from ..solvers.newton import Newton
from ..solvers.root import Root, Solver, residual_of
from ..solvers.stability import stability
from ..theory.model import Model

default_solver = Newton(tol=1e-10)
"""Of sweeps; a single call asks for 1e-12."""


@dataclass(frozen=True, repr=False)
class Solution:
    """Solutions of a model, each quantity by name and of the model's shape.

    The order parameters and the parameters of the model (``solution.m``, ``solution.alpha``), and
    ``free_energy``, ``energy``, ``entropy``, ``residual``, ``converged``, ``n_steps``, ``quadrature_error``
    (of the map at the solution), ``stability`` (least real part of the spectrum of 1 - map'), ``stable`` (whether it
    is > 0, and where a model has an ``example_gain`` that < 1), ``replicon``,
    ``admissible`` (whether it may be the state of equilibrium, as the model says) and ``label`` (the name of the
    solution, which need not be the start's). ``ansatz`` and the words of the model (``protocol``, ``closure``) too.

    Examples
    --------
    >>> import mattis as mt
    >>> line = mt.spinodal(mt.Hopfield, along="T", alpha=0.1)
    >>> round(float(line.T), 7), str(line.label)
    (0.3154322, 'retrieval')
    """

    model: Model
    values: Mapping[str, NDArray[Any]]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("model", "values"):
            raise AttributeError(name)
        if name in self.values:
            return self.values[name][()]
        if name in self.model.parameters():
            return np.broadcast_to(self.model.parameters()[name], self.model.shape)[()]
        if name in self.model.words():
            return self.model.words()[name]
        known = ", ".join([*self.values, *self.model.parameters(), *self.model.words()])
        raise AttributeError(f"a solution of {type(self.model).__name__} has no {name!r}; it has {known}")

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self.values, *self.model.parameters(), *self.model.words()})

    def __repr__(self) -> str:
        shown = {**self.model.parameters(), **self.values}
        lines = [f"  {k} = {v}" for k, v in self.model.words().items() if k not in self.values]
        lines += [f"  {k} = {np.array2string(np.asarray(v), threshold=6)}" for k, v in shown.items()]
        return f"Solution of {type(self.model).__name__}, shape {self.model.shape}\n" + "\n".join(lines)


def describe(model: Model, root: Root) -> dict[str, NDArray[Any]]:
    """All reported quantities of a flat model at the points a solver ended on."""
    report = model.report(root.x)
    found: dict[str, NDArray[Any]] = model.order_parameters(root.x) | report._asdict()
    found["admissible"] = model.admissible(root.x, report)
    found["stability"] = stability(root.J)
    found["stable"] = (found["stability"] > 0) & np.logical_not(found.get("example_gain", 0.0) >= 1)
    found["residual"], found["converged"], found["n_steps"] = root.residual, root.converged, root.n_steps
    return found


def fixed_points(model: Model, start: str, solver: Solver) -> Root:
    """Run the solver over the points of a flat model, in the sector of the start where there is one."""
    classes = model.sector(start)
    if classes is None:
        x = model.start(start)
        for _ in range(model.plain_steps):
            x = model.self_consistency(x)[0]
        return solver(lambda x, at: model.at(at).self_consistency(x), x, model.box())
    return _in_sector(model, model.start(start), classes, solver)


def _in_sector(model: Model, x0: Array, classes: NDArray[np.intp], solver: Solver) -> Root:
    """The same for one variable of each class only; residual and Jacobian at the end are those of all."""
    own = [int(np.argmax(classes == c)) for c in range(classes.max(initial=-1) + 1)]

    def whole(y: Array) -> Array:
        return np.concatenate([y, np.zeros((1, y.shape[1]))])[classes]

    def step(y: Array, at: NDArray[np.intp]) -> tuple[Array, Array]:
        image, J = model.at(at).self_consistency(whole(y))
        by_class = [np.nan_to_num(J[own][:, classes == c], posinf=0.0).sum(axis=1) for c in range(len(own))]
        return image[own], np.stack(by_class, axis=1) if own else np.zeros((0, 0, at.size))

    low, high = model.box()
    root = solver(step, x0[own], (low[own], high[own]))
    x = whole(root.x)
    image, J = model.self_consistency(x)
    residual = residual_of(image, x)
    return Root(x, J, residual, root.converged & (residual <= 2 * root.residual + 1e-13), root.n_steps)


def shaped(values: Mapping[str, NDArray[Any]], shape: tuple[int, ...]) -> dict[str, NDArray[Any]]:
    """Lay the points of each quantity out on a grid."""
    return {k: np.reshape(v, (*shape, *np.shape(v)[1:])) for k, v in values.items()}


def evaluate(model: Model, start: str, solver: Solver) -> dict[str, NDArray[Any]]:
    """All reported quantities of one start, each of the model's shape; failures are marked, not raised."""
    flat = model.flat()
    return shaped(describe(flat, fixed_points(flat, start, solver)), model.shape)


def solve(model: Model, start: str | None = None, solver: Solver | None = None) -> Solution:
    r"""Solve the self-consistency equations x = F(x) of a model from one start.

    Parameters
    ----------
    model : Model
        Its parameters may be arrays; every point is solved.
    start : str, optional
        One of ``model.starts``; the first if not given. Only where iteration begins: see ``label`` for where it
        ended.
    solver : Solver, optional
        Default ``Newton()``, to a residual of 1e-12.

    Returns
    -------
    Solution
        Every quantity of the model's shape.

    Raises
    ------
    ConvergenceError
        If any point failed; its ``solution`` holds all points. In a sweep failures are data instead.
    ValueError
        If the start is unknown.
    TypeError
        If model is no model, or solver no solver.

    Examples
    --------
    >>> import mattis as mt
    >>> point = solve(mt.Hopfield(alpha=0.05, T=0.5))
    >>> round(float(point.m), 10), round(float(point.q), 10), str(point.label)
    (0.9041060753, 0.833357964, 'retrieval')
    """
    if not isinstance(model, Model):
        raise TypeError(
            f"model must be a model with its parameters, such as mattis.Hopfield(alpha=, T=), got {model!r}"
        )
    if solver is not None and not callable(solver):
        raise TypeError(f"solver must be a solver, such as mattis.Newton(), got {solver!r}")
    name = model.starts[0] if start is None else start
    values = evaluate(model, name, Newton() if solver is None else solver)
    values["label"] = np.asarray(model.label(values))
    solution = Solution(model, values)
    failed = ~values["converged"]
    if failed.any():
        raise ConvergenceError(_why(model, name, values["residual"], failed), solution)
    return solution


def _why(model: Model, start: str, residual: Array, failed: NDArray[np.bool_]) -> str:
    first = np.unravel_index(int(np.argmax(failed)), failed.shape)
    point = ", ".join(f"{k}={np.broadcast_to(v, model.shape)[first]:g}" for k, v in model.parameters().items())
    return (
        f"{type(model).__name__} did not converge from start {start!r} at {int(failed.sum())} of {failed.size} "
        f"points, first at {point} with residual {residual[first]:.1e}"
    )
