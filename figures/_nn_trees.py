"""Binary trees of filters on four angles: exact spectra, and errors of learning what shorter trees draw.

Inputs are four patches on the circle, so the kernel depends on four differences of angles and its eigenfunctions are
products of cosines and sines of k_1 ... k_4 times the angles. A mode belongs to layer 1 if one k_i > 0, to layer 2 if
only k_1, k_2 or only k_3, k_4 are, to layer 3 otherwise.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
import xarray as xr
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from scipy.fft import dctn

from ..theory.kernels.generalisation import learning_curve
from ..theory.kernels.hierarchical import HierarchicalCNN
from ..theory.kernels.teacher_student import expected_error

Floats = NDArray[np.float64]
TREES = (HierarchicalCNN((2,)), HierarchicalCNN((2, 2)), HierarchicalCNN((2, 2, 2)))
"""Depths 1, 2, 3: 4, 2 and 1 nodes in the last layer."""
_PATCHES = 4
_SHARPNESS = 100  # bins of ln(eigenvalue) per unit


def circle(angle: Floats) -> Floats:
    """Patches of length 1, (..., 2)."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def coefficients(net: HierarchicalCNN, grid: Sequence[int]) -> Floats:
    """Fourier coefficients of the NTK by discrete cosines on ``grid`` points of each angle, (N_1/2 + 1, ...)."""
    half = [2 * np.pi * np.arange(N // 2 + 1) / N for N in grid]
    origin = circle(np.zeros((1, _PATCHES)))
    K = np.empty([h.size for h in half])
    for i, first in enumerate(half[0]):
        angles = np.stack(np.meshgrid(first, *half[1:], indexing="ij"), axis=-1).reshape(-1, _PATCHES)
        K[i] = net.kernel(origin, circle(angles)).ntk.values.reshape(K.shape[1:])
    found: Floats = dctn(K, type=1) / np.prod(grid)
    return np.where(found > 1e-14, found, 0.0)


def spectrum(net: HierarchicalCNN, *, boxes: Sequence[int]) -> xr.Dataset:
    """Eigenvalues, multiplicities, layers and largest k_i of the modes with k_i up to boxes[l - 1] in layer l.

    ``equal`` are modes of one k_i in all patches of a node; ``beyond``, by layer, is the sum over larger k_i. Aliases
    of the grids are below 2 % of the eigenvalues at the edges of the boxes.
    """
    a, b, c = boxes
    one = coefficients(net, (8, 8, 8, 16 * a))[0, 0, 0, : a + 1]
    two = coefficients(net, (16, 16, 6 * b, 6 * b))[0, 0, 1 : b + 1, 1 : b + 1]
    four = coefficients(net, (6 * c,) * 4)[(slice(c + 1),) * 4]
    k = np.indices(four.shape)
    across = ((k[0] > 0) | (k[1] > 0)) & ((k[2] > 0) | (k[3] > 0))
    i, j = np.indices(two.shape) + 1
    columns = {
        "eigenvalue": (one, two.ravel(), four[across]),
        "multiplicity": (np.where(np.arange(a + 1) > 0, 8, 1), 8 * np.ones(two.size), 2.0 ** (k > 0).sum(0)[across]),
        "layer": (np.minimum(np.arange(a + 1), 1), 2 * np.ones(two.size), 3 * np.ones(across.sum())),
        "largest": (np.arange(a + 1), np.maximum(i, j).ravel(), k.max(0)[across]),
        "equal": (np.full(a + 1, True), (i == j).ravel(), (k.max(0) == k.min(0))[across]),
    }
    ds = xr.Dataset({name: ("mode", np.concatenate(parts)) for name, parts in columns.items()})
    return ds.assign_attrs(
        beyond=[_tail(ds.where(ds.layer == x, 0), box) for x, box in zip((1, 2, 3), boxes, strict=True)]
    )


def _tail(ds: xr.Dataset, box: int) -> float:
    """Sum of k^(d - 1) k^(-1 - d) beyond the box: as much as between half of the box and its edge."""
    return float((ds.eigenvalue * ds.multiplicity).where(ds.largest > box // 2, 0).sum())


def predicted(student: xr.Dataset, teacher: xr.Dataset, P: Floats) -> Floats:
    """Error of ridgeless regression by the theory of learning curves, over the mean square of the target."""
    lam, times = student.eigenvalue.values, student.multiplicity.values
    power = times * teacher.eigenvalue.values
    with np.errstate(divide="ignore"):
        key = np.where(lam > 0, np.round(_SHARPNESS * np.log(lam)), -np.inf)
    _, at = np.unique(key, return_inverse=True)
    count, trace, seen = (np.bincount(at, weights=w) for w in (times, times * lam, power))
    rest, ridge = sum(teacher.attrs["beyond"]), sum(student.attrs["beyond"])
    found = learning_curve(
        np.append(trace / count, 0.0),
        target_power=np.append(seen, rest),
        P=P,
        ridge=ridge,
        multiplicity=np.append(count, 1.0),
    )
    E: Floats = found.E_g.values / (power.sum() + rest)
    return E


def outside(student: xr.Dataset, teacher: xr.Dataset, depth: int) -> float:
    """Share of the teacher's power in modes whose eigenvalue is zero for a student of that depth."""
    power = teacher.eigenvalue * teacher.multiplicity
    lost = float(power.where(student.eigenvalue == 0, 0).sum()) + sum(teacher.attrs["beyond"][depth:])
    return lost / (float(power.sum()) + sum(teacher.attrs["beyond"]))


def sampled(rng: Generator, n: int) -> list[xr.Dataset]:
    """Kernels of the three trees for n random inputs."""
    x = circle(2 * np.pi * rng.random((n, _PATCHES)))
    return [net.kernel(x) for net in TREES]


def learned(*, sizes: Sequence[int], n_test: int, draws: int) -> xr.Dataset:
    """Exact expected error of an NTK of each depth for targets of each depth, over their mean square."""
    kinds, depths, n = ("ntk", "nngp"), (1, 2, 3), sizes[-1]
    found = np.full((2, 3, 3, len(sizes), draws), np.nan)
    for i in range(draws):
        kernels = sampled(Generator(Philox(key=i)), n + n_test)
        for (q, kind), t, s in product(enumerate(kinds), range(3), range(3)):
            if kind == "nngp" and t > s:
                continue
            K_T, K_S = kernels[t][kind].values, kernels[s].ntk.values
            for j, size in enumerate(sizes):
                error = expected_error(
                    K_S_train=K_S[:size, :size],
                    k_S_test=K_S[:size, n:],
                    K_T_train=K_T[:size, :size],
                    k_T_test=K_T[:size, n:],
                    K_T_diag=np.diagonal(K_T)[n:],
                )
                found[q, t, s, j, i] = error.value / K_T[0, 0]
    ds = xr.Dataset({"error": (("kind", "teacher", "student", "n", "draw"), found)})
    return ds.assign_coords(kind=list(kinds), teacher=list(depths), student=list(depths), n=list(sizes))


def empirical(*, n: int, draws: int, ranks: NDArray[np.int64]) -> xr.Dataset:
    """Eigenvalues of the matrices of n inputs over n, at some ranks."""
    found = np.empty((3, ranks.size, draws))
    for i in range(draws):
        for j, kernel in enumerate(sampled(Generator(Philox(key=[i, n])), n)):
            found[j, :, i] = np.linalg.eigvalsh(kernel.ntk.values)[::-1][ranks - 1] / n
    ds = xr.Dataset({"sampled": (("depth", "rank", "draw"), found)})
    return ds.assign_coords(depth=[1, 2, 3], rank=ranks).assign_attrs(n_eigenvalues=n)
