"""Index lists of a pairwise energy and the bound that says how narrow its integers may be."""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .integers import IntegerOverlaps

WIDEST = 2147483520
"""The largest integer a 32-bit threshold decides: the largest float32 below 2^31."""
_BLOCK = 256  # sites whose couplings to all others are formed at once


@dataclass(frozen=True)
class ListTables:
    """The weights of one sample, as what distinguishes the patterns of a site from its most common weight.

    Parameters
    ----------
    gaps : unsigned integers (entry,), the smallest type that holds them: from one listed pattern to the next
    begin : uint64 (group + 1,): where the entries of a group begin; a group is the patterns of one weight
    factor : (group,): its weight less the site's base, in the type of the fields
    first : uint64 (site + 1,): where the groups of a site begin
    site : (site, 3), in the type of the fields: base, sum of w^2, sum of w
    row : the type of the overlaps, that of the fields or a narrower one
    run : how many overlaps the type of the rows can sum
    K : number of patterns
    """

    gaps: NDArray[np.unsignedinteger]
    begin: NDArray[np.uint64]
    factor: NDArray[np.integer]
    first: NDArray[np.uint64]
    site: NDArray[np.integer]
    row: np.dtype[Any]
    run: int
    K: int


def list_tables(energy: IntegerOverlaps, sample: int) -> ListTables:
    """Tables of one sample, with 16-bit fields where the bound certifies them and 32-bit ones elsewhere."""
    xi = energy.xi[sample]
    reach = largest_overlap(xi)
    field = np.dtype(np.int16 if field_bound(xi, 32767) <= 32767 else np.int32)
    row = np.dtype(np.int16) if reach <= 32767 else field
    gaps: list[NDArray[np.uint32]] = []
    sizes, factors, groups = [0], [], [0]
    rows = np.empty((energy.N, 3), np.int64)
    for i, w in enumerate(np.ascontiguousarray(xi.T)):
        values, counts = np.unique(w, return_counts=True)
        base = values[counts.argmax()]
        for value in values[values != base]:
            listed = np.flatnonzero(w == value)
            gaps.append(np.diff(listed, prepend=0).astype(np.uint32))
            sizes.append(listed.size)
            factors.append(int(value) - int(base))
        groups.append(len(factors))
        rows[i] = base, counts @ values.astype(np.int64) ** 2, counts @ values
    entries = np.concatenate([*gaps, np.zeros(1, np.uint32)])
    return ListTables(
        gaps=entries.astype(np.min_scalar_type(entries.max())),
        begin=np.cumsum(sizes).astype(np.uint64),
        factor=np.array(factors, np.int64).astype(field),
        first=np.array(groups, np.uint64),
        site=rows.astype(field),  # modulo the width: only what a flip costs has to fit
        row=row,
        run=energy.K if row == field else 32767 // reach,
        K=energy.K,
    )


def largest_overlap(xi: NDArray[np.integer]) -> int:
    """The largest ``sum_i |w_i^mu|``: no overlap exceeds it."""
    return int(_reach(xi).max())


def cheap_bound(xi: NDArray[np.integer]) -> int:
    r"""No D and no overlap exceeds this: the largest :math:`\sum_\mu |w_i^\mu| \sum_{j \ne i} |w_j^\mu|`, or the
    largest overlap.

    >>> cheap_bound(np.array([[1, 1, -1, 0], [1, 0, 0, 1]]))
    3
    """
    reach = _reach(xi)
    largest = int(reach.max())
    for block in _blocks(xi, _BLOCK):
        w = np.abs(block.astype(np.int64))
        largest = max(largest, int(np.max(reach @ w - np.sum(w * w, axis=0))))
    return largest


def field_bound(xi: NDArray[np.integer], limit: int) -> int:
    r"""The largest :math:`\sum_{j \ne i} |C_{ij}|`, :math:`C_{ij} = \sum_\mu w_i^\mu w_j^\mu`, or overlap, unless
    the cheap bound is within ``limit`` already; the first sites beyond ``limit`` end the search.

    >>> xi = np.array([[1, 1, 1, 1], [1, 1, -1, -1]])
    >>> cheap_bound(xi), field_bound(xi, 4)
    (6, 4)
    """
    cheap, largest = cheap_bound(xi), largest_overlap(xi)
    if cheap <= limit:
        return cheap
    peak = max(int(xi.max()), -int(xi.min()))
    real: Any = np.float32 if len(xi) * peak**2 < 2**24 else np.float64  # exact: integers below 2^24 or 2^53
    for block in _blocks(xi, _BLOCK):
        left = np.ascontiguousarray(block.T, real)
        total = -np.einsum("im,im->i", left, left, dtype=np.float64)
        for others in _blocks(xi, 8 * _BLOCK):
            C = left @ others.astype(real)
            total += np.abs(C, out=C) @ np.ones(C.shape[1], real)
        largest = max(largest, int(total.max()))
        if largest > limit:
            break
    return largest


def _reach(xi: NDArray[np.integer]) -> NDArray[np.int64]:
    """``sum_i |w_i^mu|`` of every pattern."""
    total = np.zeros(len(xi), np.int64)
    for block in _blocks(xi, _BLOCK):
        total += np.sum(np.abs(block.astype(np.int64)), axis=1)
    return total


def _blocks(xi: NDArray[np.integer], size: int) -> list[NDArray[np.integer]]:
    edges = [*range(0, xi.shape[1], size), xi.shape[1]]
    return [xi[:, a:b] for a, b in pairwise(edges)]
