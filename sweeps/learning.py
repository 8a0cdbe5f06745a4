"""How many examples a network needs: the least M at which a solution exists, by the self-consistent theory."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..core.backend import Array
from ..core.errors import require, require_integer
from ..solvers.bracket import Index
from ..solvers.newton import Newton
from ..theory.model import Model
from .grid import erased
from .solve import Solution, describe, fixed_points, shaped

_SOLVER = Newton()


def learning_threshold(
    Model: type[Model], *, theta: ArrayLike = 0.0, of: str = "retrieval", most: int = 2**52, **const: Any
) -> Solution:
    r"""The number of examples from which on a network has learned: a solution exists, is stable and is good enough.

    .. math:: M_c = \min\{M : \text{for every } M' \ge M \text{ the solution exists, is stable},\ m \ge \theta\}

    M is halved from ``most`` until the solution, sought from its own start, is lost, and then bisected. Very few
    examples may be retrieved too, being stored like patterns themselves, and lost again before the pattern is
    learned: that does not count. A window of loss narrower than a factor of two in M can be overlooked.

    Parameters
    ----------
    Model : type
        A model class with the parameter M, such as ``mattis.Hopfield``.
    theta : array_like in [0, 1)
        The overlap m asked for.
    of : str
        The solution, one of ``Model.starts``.
    most : int in [1, 2^52]
        The largest M tried; the binomial law of the mean example costs sqrt(M) and takes 2^26 at most.
    **const
        The other parameters by name, scalars or arrays that broadcast; the quality r among them.

    Returns
    -------
    Solution
        The solution at the threshold, of the shape of theta and ``const``; M is one of its fields. nan where at
        ``most`` examples it has not learned.

    Raises
    ------
    ValueError
        If the model does not learn from examples, ``of`` is unknown, or a parameter is outside its range.

    Source: arXiv:2212.00606, arXiv:2211.14067.

    Examples
    --------
    >>> import mattis as mt
    >>> found = learning_threshold(mt.Hopfield, alpha=0.05, T=0.0, protocol="supervised", r=[0.2, 0.4, 0.8])
    >>> found.M.tolist()
    [153.0, 34.0, 4.0]
    """
    require_integer(most, "most", 1, 2**52, "in [1, 2^52]")
    theta = np.asarray(theta, dtype=np.float64)
    require((theta >= 0) & (theta < 1), "theta", theta, "in [0, 1)")
    at, shape = _with_examples(Model, of, theta.shape, const)
    asked = np.broadcast_to(theta, shape).ravel()

    def learned(M: Array, i: Index) -> NDArray[np.bool_]:
        model = at(M, i)
        found = describe(model, fixed_points(model, of, _SOLVER))
        there = found["converged"] & found["stable"] & (model.label(found) == of)
        return there & (found["m"] >= asked[i])

    return _solution(at, of, _from_on(learned, asked.size, most), shape)


def _with_examples(
    cls: type[Model], of: str, extra: tuple[int, ...], const: Mapping[str, Any]
) -> tuple[Callable[[Array, Index], Model], tuple[int, ...]]:
    """(the flat model of M examples at some points, shape); built anew for every M, which fixes rho as well."""
    if "M" not in cls.numeric():
        raise ValueError(f"Model must learn from examples (have the parameter M), got {cls.__name__}")
    if "M" in const:
        raise ValueError("M is the parameter searched and cannot be given as well")
    if of not in cls.starts:
        raise ValueError(f"of must be among {', '.join(cls.starts)}, got {of!r}")
    cls.check_names(["M", *const])
    shape = np.broadcast_shapes(cls(**{"M": 1.0, **const}).shape, extra)
    words = {k: v for k, v in const.items() if k not in cls.numeric()}
    given = {k: np.broadcast_to(v, shape).ravel() for k, v in const.items() if k not in words}

    def at(M: Array, i: Index) -> Model:
        return cls(**{"M": M, **{k: v[i] for k, v in given.items()}, **words})

    return at, shape


def _from_on(holds: Callable[[Array, Index], NDArray[np.bool_]], size: int, most: int) -> Array:
    """The least integer from which on, up to ``most``, a property holds; nan where it does not hold there."""
    low, high, every = np.zeros(size), np.full(size, float(most)), np.arange(size)
    never = ~holds(high, every)

    def narrow(points: Index, tried: Array) -> Index:
        yes = holds(tried, points)
        high[points[yes]], low[points[~yes]] = tried[yes], tried[~yes]
        return points[yes]

    todo = every[~never & (high > 1)]
    while todo.size:
        todo = narrow(todo, np.floor(high[todo] / 2))
        todo = todo[high[todo] > 1]
    while (todo := np.flatnonzero(~never & (high - low > 1))).size:
        narrow(todo, np.floor((low[todo] + high[todo]) / 2))
    return np.where(never, np.nan, high)


def _solution(at: Callable[[Array, Index], Model], of: str, M: Array, shape: tuple[int, ...]) -> Solution:
    """The solution at M examples; nan where M is."""
    lost = np.isnan(M)
    model = at(np.where(lost, 1.0, M), np.arange(M.size))
    found = erased(describe(model, fixed_points(model, of, _SOLVER)), lost)
    found["label"] = np.where(lost, "none", of)
    for name in ("M", "rho"):
        model = model.moved(name, np.where(lost, np.nan, model.parameters()[name]))
    return Solution(model.reshaped(shape), shaped(found, shape))
