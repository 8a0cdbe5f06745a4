r"""The retrieval branch in closed form, and its fold.

The branch is not followed: choose the signal m; the noise width sd is the one root of the model's residual,
E tanh((m + sd z)/T) = m for the Hopfield network; q and the load follow in closed form. load(m) is smooth and
single-valued, and where its stability vanishes first, below the m of load 0, is the spinodal: the maximum of the load,
or, with examples at some T, a little before it, where a pair of complex eigenvalues crosses. Without alignment, m = 0,
the noise width is the parameter, and a glass that appears by a jump does so at the minimum of the load. It is the
parameter too where several signals are retrieved together, or some spins see none: m(sd) is solved for, and the branch
begins at the least sd that a load can make.
"""

import numpy as np

from ..core.backend import Array
from ..solvers.bracket import Index, root
from ..solvers.newton import Newton
from ..solvers.stability import stability
from ..theory.model import Model
from .solve import fixed_points

_FRACTIONS = np.concatenate([np.geomspace(1e-7, 0.1, 40)[:-1], np.linspace(0.1, 0.999, 40)])
_ALIGNED = 1e-3
_NOISES = np.geomspace(1e-4, 3.0, 181)
_PLAIN = 40
_WIDTHS = np.geomspace(1e-3, 1e4, 141)


def fold(model: Model) -> tuple[Array, Array]:
    """(load, x) where the retrieval branch, followed down from load 0, loses its stability, for a flat model at load 0.

    nan where there is no such branch.
    """
    if model.along_noise:
        return _fold_along_noise(model)
    top = fixed_points(model, model.starts[0], Newton()).x[0]
    points = np.flatnonzero(top > _ALIGNED)
    load, x = np.full(top.shape, np.nan), np.full((len(model.variables), top.size), np.nan)
    if points.size == 0:
        return load, x
    u = _FRACTIONS[:, None]
    every = np.broadcast_to(points, (u.size, points.size)).ravel()
    rigid = _on_branch(model.at(every), (top[points] * (1 - u)).ravel())[1].reshape(u.size, -1)
    last = np.argmax(rigid[1:] < 0, axis=0)  # of the branch that begins at load 0; at smaller m there may be others

    def rigidity(fraction: Array, i: Index) -> Array:
        return _on_branch(model.at(i), top[i] * (1 - fraction))[1]

    fraction = root(rigidity, _FRACTIONS[last], _FRACTIONS[last + 1], points)
    points, fraction = points[np.isfinite(fraction)], fraction[np.isfinite(fraction)]
    load[points], _, x[:, points] = _on_branch(model.at(points), top[points] * (1 - fraction))
    return load, x


def _fold_along_noise(model: Model) -> tuple[Array, Array]:
    """The same where the branch is followed in the width of the noise."""
    size = int(np.prod(model.shape))
    load, x = np.full(size, np.nan), np.full((len(model.variables), size), np.nan)
    points = np.arange(size)
    every = np.tile(points, _NOISES.size)
    rigid = _in_noise(model, np.repeat(_NOISES, size), every)[1].reshape(_NOISES.size, size)
    first = np.argmax(rigid > 0, axis=0)
    lost = (rigid < 0) & (np.arange(_NOISES.size)[:, None] > first)
    last = np.argmax(lost, axis=0)
    points = points[(rigid > 0).any(axis=0) & lost.any(axis=0)]
    log = np.log(_NOISES)
    u = root(lambda u, i: _in_noise(model, np.exp(u), i)[1], log[last[points] - 1], log[last[points]], points)
    points, u = points[np.isfinite(u)], u[np.isfinite(u)]
    load[points], _, x[:, points] = _in_noise(model, np.exp(u), points)
    return load, x


def _in_noise(model: Model, sd: Array, i: Index) -> tuple[Array, Array, Array]:
    """(load, stability, x) of the first start in noise sd at points i; -1 where a signal or the load is lost."""
    at = model.at(i)
    m = start = at.start(model.starts[0])[:-1]
    for _ in range(_PLAIN):
        m = at.in_noise(m, sd)[0]
    high = np.full(m.shape, 1.001)
    found = Newton()(lambda y, k: at.at(k).in_noise(y, sd[k]), m, (-high, high))
    load, rigid, x = _at(at, found.x, sd)
    kept = found.converged & (abs(found.x) >= _ALIGNED * abs(start)).all(axis=0)
    return load, np.where(kept, rigid, -1.0), x


def freezing(model: Model) -> tuple[Array, Array]:
    """(load, x) at the least load of the branch without alignment, for a flat model; nan where that is no fold."""
    T = model.parameters()["T"]
    load, x = np.full(T.shape, np.nan), np.full((len(model.variables), T.size), np.nan)
    points = np.flatnonzero(T > 0)
    every = np.broadcast_to(points, (_WIDTHS.size, points.size)).ravel()

    def on(width: Array, i: Index) -> tuple[Array, Array, Array]:
        return _at(model.at(i), np.zeros(i.size), width * T[i])

    loads = on(np.repeat(_WIDTHS, points.size), every)[0].reshape(_WIDTHS.size, -1)
    best = np.argmin(np.where(np.isnan(loads), np.inf, loads), axis=0)
    inside = (best > 0) & (best < _WIDTHS.size - 1)
    points, best = points[inside], best[inside]
    width = root(lambda w, i: on(w, i)[1], _WIDTHS[best - 1], _WIDTHS[best + 1], points)
    load[points], _, x[:, points] = on(width, points)
    return load, x


def _on_branch(model: Model, m: Array) -> tuple[Array, Array, Array]:
    """(load, stability, x) of the retrieval branch at signal m."""
    return _at(model, m, _width(model, m))


def _at(model: Model, m: Array, sd: Array) -> tuple[Array, Array, Array]:
    """(load, stability, x) of the branch at signal m and noise sd; stability -1 where it has no load."""
    assert model.load is not None
    _, load, x = model.branch(m, sd)
    inside = np.isfinite(load)
    J = model.moved(model.load, np.where(inside, load, 0.0)).self_consistency(x)[1]
    return load, np.where(inside, stability(J), -1.0), x


def _width(model: Model, m: Array) -> Array:
    """The noise width of the branch at signal m: the one root of the residual."""

    def residual(sd: Array, i: Index) -> Array:
        return model.at(i).branch(m[i], sd)[0]

    points = np.arange(m.size)
    high = np.ones(m.size)
    for _ in range(60):
        short = residual(high, points) > 0
        if not short.any():
            break
        high = np.where(short, 2 * high, high)
    return root(residual, np.zeros(m.size), high, points)
