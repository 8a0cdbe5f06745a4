"""Kernels of fully connected networks: tiles of the Gram matrix, carried through all layers while they are warm."""

from collections.abc import Callable, Sequence
from math import frexp
from typing import NamedTuple

import numpy as np

from ...core.backend import Array
from .chain import ERF, Chain, Tables
from .close_pairs import close_pairs
from .distances import abrelu_distances
from .strips import covariances
from .workers import in_threads

ROWS = 128
"""Of a tile: its Gram matrix and its part of the kernels stay in the second-level cache."""
_EMPTY = np.empty((0, 0, 0))


Tile = Callable[[slice, slice, bool], dict[str, Array]]
"""(rows, columns, on the diagonal) -> arrays (..., rows, columns) by name"""


class Kernels(NamedTuple):
    """Arrays (level, n1, n2), empty where not asked for, and the binary exponent left out of each level."""

    nngp: Array
    ntk: Array
    nngp_sqdist: Array
    ntk_sqdist: Array
    exponent: tuple[int, ...]


class Rows(NamedTuple):
    """Inputs and their tables."""

    x: Array
    tables: Tables


def prepare(x1: Array, x2: Array | None, chain: Chain) -> tuple[Rows, Rows]:
    """The tables of both sets, of one scale; ``x2`` None: the same rows twice."""
    squares = [np.einsum("ij,ij->i", x, x) for x in (x1, x2) if x is not None]
    both = chain.tables(np.concatenate(squares), x1.shape[1])
    if x2 is None:
        return (same := Rows(x1, both)), same
    n1 = len(x1)
    return Rows(x1, take(both, slice(None, n1))), Rows(x2, take(both, slice(n1, None)))


def take(tables: Tables, rows: slice) -> Tables:
    """The tables of some of the inputs, contiguous."""
    layers, q, t = (np.ascontiguousarray(array[..., rows]) for array in tables[1:4])
    return tables._replace(layers=layers, q=q, t=t)


def block(one: Rows, two: Rows, at: tuple[int, int, int, int], lower: bool, level: Array, out: Kernels) -> None:
    """Rows ``at[0]:at[1]`` against columns ``at[2]:at[3]`` into ``out``; ``lower``: one triangle, mirrored."""
    i0, i1, j0, j1 = at
    a, b, bounds = one.tables, two.tables, np.array(at)
    G = one.x[i0:i1] @ two.x[j0:j1].T
    distances = out.nngp_sqdist.size + out.ntk_sqdist.size > 0
    if lower:
        fill_diagonal(a, slice(i0, i1), level, out)
    near = np.zeros(G.shape if distances else (0, 0), np.bool_)
    if distances and not (a.laws[1:, 0] == ERF).any():
        abrelu_distances(
            G, bounds, lower, a.laws, a.layers, b.layers, a.q, b.q, a.t, b.t, level,
            out.nngp, out.ntk, out.nngp_sqdist, out.ntk_sqdist, near,
        )  # fmt: skip
    else:
        covariances(G, bounds, lower, a.laws, a.layers, b.layers, a.q, b.q, level, out.nngp, out.ntk, near)
        if distances:
            _subtract(a, b, at, lower, level, out)
    if near.any():
        close_pairs(
            near, bounds, one.x, two.x, a.laws, a.q, b.q, a.t, b.t, level,
            out.nngp, out.ntk, out.nngp_sqdist, out.ntk_sqdist, lower,
        )  # fmt: skip


def _subtract(a: Tables, b: Tables, at: tuple[int, int, int, int], lower: bool, level: Array, out: Kernels) -> None:
    """q1 + q2 - 2 k of a block and of its mirror image."""
    rows, columns = slice(*at[:2]), slice(*at[2:])
    for layer in np.flatnonzero(level >= 0):
        one = level[layer]
        for k, d, p, r in ((out.nngp, out.nngp_sqdist, a.q, b.q), (out.ntk, out.ntk_sqdist, a.t, b.t)):
            if not d.size:
                continue
            d[one, rows, columns] = p[layer + 1, rows, None] + r[layer + 1, columns] - 2 * k[one, rows, columns]
            if lower:
                d[one, columns, rows] = d[one, rows, columns].T


def fill_diagonal(tables: Tables, rows: slice, level: Array, out: Kernels) -> None:
    """The exact variances, and distance zero, of the rows of a symmetric kernel."""
    for layer in np.flatnonzero(level >= 0):
        own = (tables.q[layer + 1, rows], tables.t[layer + 1, rows], 0.0, 0.0)
        for array, value in zip(out[:4], own, strict=True):
            if array.size:
                np.fill_diagonal(array[level[layer], rows, rows], value)


def allocate(shape: tuple[int, int, int], names: Sequence[str]) -> Kernels:
    """Fresh arrays for what is asked by name."""
    k, t, d, td = (np.empty(shape) if name in names else _EMPTY for name in Kernels._fields[:4])
    return Kernels(k, t, d, td, ())


def levels(depths: Sequence[int], L: int) -> Array:
    """Where each layer's kernel goes: the place of its depth in ``depths``, or -1."""
    level = np.full(L, -1)
    level[np.asarray(depths) - 1] = np.arange(len(depths))
    return level


def connected_kernel(
    x1: Array, x2: Array | None, chain: Chain, *, depths: Sequence[int], names: Sequence[str], threads: int
) -> Kernels:
    """Kernels ``names`` at the end of each of ``depths`` layers, in memory."""
    one, two = prepare(x1, x2, chain)
    symmetric, L = x2 is None, len(chain.activations)
    n1, n2 = len(one.x), len(two.x)
    out, level = allocate((len(depths), n1, n2), names), levels(depths, L)
    powers, left = scales(one.tables, two.tables, depths)

    def work(i0: int) -> None:
        i1 = min(i0 + ROWS, n1)
        block(one, two, (i0, i1, 0, i1 if symmetric else n2), symmetric, level, out)

    in_threads(work, range((n1 - 1) // ROWS * ROWS, -1, -ROWS), threads)
    rescale(out, powers)
    return out._replace(exponent=left)


def connected_tile(
    x1: Array, x2: Array | None, chain: Chain, *, depths: Sequence[int], names: Sequence[str]
) -> tuple[Tile, tuple[int, ...]]:
    """A function that gives the tile of some rows and columns by name, and the exponents left out."""
    one, two = prepare(x1, x2, chain)
    level = levels(depths, len(chain.activations))
    powers, left = scales(one.tables, two.tables, depths)

    def tile(rows: slice, columns: slice, diagonal: bool) -> dict[str, Array]:
        a = Rows(one.x[rows], take(one.tables, rows))
        b = a if diagonal else Rows(two.x[columns], take(two.tables, columns))
        n1, n2 = len(a.x), len(b.x)
        out = allocate((len(depths), n1, n2), names)
        block(a, b, (0, n1, 0, n2), diagonal, level, out)
        rescale(out, powers)
        return {name: getattr(out, name) for name in names}

    return tile, left


def tile_bytes(depths: int, names: Sequence[str]) -> float:
    """Of a pair in a tile: its kernels at each depth, its Gram matrix, a mark."""
    return 8.0 * (depths * len(names) + 1) + 1


def scales(a: Tables, b: Tables, depths: Sequence[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """For each depth the power of two to multiply by, and the one left out as the result would not be a number."""
    powers, left = [], []
    for depth in depths:
        e = a.exponent[depth]
        largest = max(float(x[depth].max()) for x in (a.t, b.t))
        fits = e == 0 or -1000 < frexp(largest)[1] + e < 1020
        powers.append(e if fits else 0)
        left.append(0 if fits else e)
    return tuple(powers), tuple(left)


def rescale(out: Kernels, powers: Sequence[int]) -> None:
    """Multiply by the powers, in place."""
    for one, power in enumerate(powers):
        if power:
            for array in out[:4]:
                if array.size:
                    np.ldexp(array[one], power, out=array[one])
