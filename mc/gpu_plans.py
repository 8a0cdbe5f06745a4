"""The CUDA kernels as data: their source, what they are compiled with, the arrays they read and write.

Nothing here needs a device: whatever compiles or runs the sources without one is given the same.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.errors import require
from .forms import SHARED
from .thresholds import QC

FOLDER = Path(__file__).with_name("cuda")
LANES_PER_BLOCK = 128  # of the pairwise kernels
REGISTER_PATTERNS = 128  # of a pairwise lane: with their row of patterns nearly all registers of a thread
THREADS_PER_BLOCK = 1024  # at most, of a dense chain
HALF_WORD_PATTERNS = 1024  # up to here a thread of a dense chain keeps 16 patterns, above 32
DENSE_REGISTER_PATTERNS = 2**14  # of a dense chain: 512 threads of 32
_CHUNK = 256  # thresholds of a dense chain in shared memory
_PAIRS = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))  # of the sites of a block, as hop2.cu counts them

Integers = Sequence[int] | NDArray[np.int64]


@dataclass(frozen=True)
class Plan:
    """A kernel and its launch.

    Parameters
    ----------
    file, name : the source and the kernel in it
    options : what it is compiled with
    threads, shared : threads of a block, and bytes of shared memory that they ask for
    room : patterns that fit in the arrays of one chain, padding included
    """

    file: str
    name: str
    options: tuple[str, ...]
    threads: int
    shared: int = 0
    room: int = 0


def source(file: str) -> str:
    """The text of a source with its includes put in: one text, so that no cache misses a change of either."""
    text = (FOLDER / file).read_text()
    return re.sub(r'^#include "(.+)"$', lambda line: source(line[1]), text, flags=re.MULTILINE)


def _options(name: str, threads: int, **macros: Any) -> tuple[str, ...]:
    coefficients = ",".join(f"{float(q).hex()}f" for q in QC)
    given = {"NAME": name, "THREADS": threads, "QC": coefficients} | macros
    return "--std=c++17", *(f"-D{macro}={value}" for macro, value in given.items())


ORDERS = Plan("orders.cu", "orders", _options("orders", LANES_PER_BLOCK), LANES_PER_BLOCK)
"""The kernel that draws the site of every step."""


def pairwise_plan(K: int, lanes: int, gain: int, sequential: bool, shared: int) -> Plan:
    """The pairwise kernel for K patterns, on a device whose blocks may ask for ``shared`` bytes of shared memory.

    >>> pairwise_plan(50, 64, 2, True, 2**16).options[-1]
    '-DOVERLAPS=Registers<13>'
    >>> pairwise_plan(200, 64, 2, True, 2**16).shared
    26624
    """
    room, most = 16 * -(-K // 16), LANES_PER_BLOCK
    if K <= REGISTER_PATTERNS:
        name, overlaps, column = "hop2_reg", f"Registers<{-(-K // 4)}>", 0
    else:
        name, overlaps, column = "hop2_smem", f"Column<{4 if sequential else 1}>", 2 * room
        require(32 * column <= shared, "K", K, f"<= {shared // 1024 * 16}, what a block of this device has room for")
        most = min(most, shared // column // 32 * 32)
    threads = 32 * -(-lanes // (32 * -(-lanes // most)))
    options = _options(name, threads, GAIN=gain, OVERLAPS=overlaps)
    return Plan("hop2.cu", name, options, threads, column * threads, room)


def fall(P: int, diagonal: str) -> Fraction:
    """By how much G falls in a flip for each unit of its cost D: see ``forms``.

    >>> fall(2, "excluded"), fall(3, "included"), fall(4, "excluded")
    (Fraction(4, 1), Fraction(2, 1), Fraction(1, 3))
    """
    if P > 2 and diagonal == "excluded":
        return Fraction(2, factorial(P - 1))
    return Fraction(2 * SHARED.get(P, 1))


def dense_plan(K: int, N: int, even: Integers, odd: Integers, per_cost: Fraction, shared: int) -> Plan:
    """The dense kernel for K patterns of N sites, a cost of ``-sum [even(M) + xi s odd(M)]`` and its ``fall``.

    >>> plan = dense_plan(3000, 100, [0, 2], [98, 0, -1], fall(3, "excluded"), 2**16)
    >>> plan.options[-1], plan.room
    ('-DOVERLAPS=Registers<u32>', 3072)
    """
    words, patterns = 1, 16 if K <= HALF_WORD_PATTERNS else 32
    name, overlaps = "dense_block", f"Registers<u{patterns}>"
    if K > DENSE_REGISTER_PATTERNS:
        words, patterns = -(-K // (32 * THREADS_PER_BLOCK)), 32
        name, overlaps = "dense_smem", f"Shared<{words}>"
    threads = 32 * -(-K // (32 * patterns * words))
    room = patterns * words * threads
    memory = 8 * (_CHUNK + 4 * (threads // 32)) + (2 * room if name == "dense_smem" else 0)
    require(memory <= shared, "K", K, f"so small that a block of this device, {shared} bytes, has room for {memory}")
    largest = [sum(abs(int(c)) * N**k for k, c in enumerate(p)) for p in (even, odd)]
    sums = K * (largest[0] + 3 * largest[1]) * per_cost.numerator
    require(sums < 2**62, "K", K, f"so small that 64 bits hold every sum at N = {N}")
    macros = {
        "EVEN": ",".join(str(int(c)) for c in even),
        "ODD": ",".join(str(-int(c)) for c in odd),
        "TIMES": per_cost.numerator,
        "OVER": per_cost.denominator,
        "TERM": "int" if max(largest) < 2**31 else "i64",
        "SUM": "int" if 32 * patterns * words * max(largest) < 2**31 else "i64",
    }
    return Plan("dense.cu", name, _options(name, threads, **macros, OVERLAPS=overlaps), threads, memory, room)


def pairwise_tables(xi: NDArray[np.integer], gain: int, room: int) -> list[NDArray[Any]]:
    """Rows of ``xi = gain y - 1``, uint8 (sample, site, room); their sums of y and of xi^2, int32 (..., site, 2)."""
    samples, K, N = xi.shape
    rows = np.zeros((samples, N, room), np.uint8)
    rows[..., :K] = ((xi + 1) >> (gain - 1)).transpose(0, 2, 1)
    sums = rows.sum(axis=2, dtype=np.int32), np.sum(xi != 0, axis=1, dtype=np.int32)
    return [rows, np.stack(sums, axis=-1)]


def couplings(xi: NDArray[np.integer]) -> NDArray[np.int32]:
    """``sum_mu xi_a xi_b`` of the sites a < b of each block of four, (sample, block, 6), 0 beyond the last site."""
    samples, K, N = xi.shape
    blocks = np.zeros((samples, K, -(-N // 4), 4), np.int16)
    blocks.reshape(samples, K, -1)[..., :N] = xi
    return np.stack(
        [np.einsum("zkb,zkb->zb", blocks[..., a], blocks[..., b], dtype=np.int32) for a, b in _PAIRS], axis=-1
    )


def pairwise_state(M: NDArray[np.integer], spins: NDArray[np.int8], gain: int, room: int) -> list[NDArray[Any]]:
    """What ``hop2.cu`` keeps of one sample: pairs uint32 (pair, lane), W and total int32 (lane, 2), spins.

    M is (lane, mu) and ``spins`` (lane, site); a half is ``m + 2^15`` with ``M = gain m - W``.
    """
    W = spins.sum(axis=1, dtype=np.int32)
    m = (M + W[:, None]) // gain
    halves = np.full((room, len(W)), 2**15, np.uint32)
    halves[: m.shape[1]] += m.T.astype(np.uint32)
    sums = np.stack([W, m.sum(axis=1, dtype=np.int32)], axis=-1)
    return [halves[::2] | halves[1::2] << np.uint32(16), sums, np.ascontiguousarray(spins.T)]


def pairwise_overlaps(
    pairs: NDArray[np.uint32], sums: NDArray[np.int32], gain: int, K: int
) -> NDArray[np.int32]:  # (sample, lane, mu)
    """The overlaps in what ``pairwise_state`` gave, of many samples."""
    halves = np.stack([pairs & np.uint32(0xFFFF), pairs >> np.uint32(16)], axis=2).astype(np.int32) - 2**15
    m = halves.reshape(pairs.shape[0], -1, pairs.shape[2])[:, :K].transpose(0, 2, 1)
    M: NDArray[np.int32] = gain * m - sums[..., :1]
    return M


def dense_tables(xi: NDArray[np.integer], room: int) -> list[NDArray[Any]]:
    """The bits of ``xi > 0``, uint8 (sample, site, room/8), pattern mu in bit mu of a row."""
    samples, _, N = xi.shape
    rows = np.zeros((samples, N, room // 8), np.uint8)
    bits = np.packbits(xi.transpose(0, 2, 1) > 0, axis=-1, bitorder="little")
    rows[..., : bits.shape[-1]] = bits
    return [rows]


def dense_state(M: NDArray[np.integer], spins: NDArray[np.int8], room: int) -> list[NDArray[Any]]:
    """What ``dense.cu`` keeps of one sample: overlaps int16 (lane, room), spins. Padding patterns are all -1."""
    overlaps = np.empty((len(M), room), np.int16)
    overlaps[:, : M.shape[1]] = M
    overlaps[:, M.shape[1] :] = -spins.sum(axis=1, dtype=np.int32)[:, None]
    return [overlaps, np.ascontiguousarray(spins)]
