r"""Convolutional networks whose filters do not overlap: a tree of patches, patches of patches, ...

.. math::
    K^1_i = \kappa_1(t_i), \quad \Theta^1_i = K^1_i + t_i\, \kappa_0(t_i), \qquad
    K^l = \kappa_1(\bar K^{l-1}), \quad \Theta^l = K^l + \bar\Theta^{l-1} \kappa_0(\bar K^{l-1})

with t_i = x_i . x'_i of patch i, a bar the mean over the s_l children of a node, kappa0(t) = (pi - acos t)/pi and
kappa1(t) = (t (pi - acos t) + sqrt(1 - t^2))/pi. The network has ReLUs, sigma_w^2 = 2, no bias, and each position of
the last layer its own readout weight: its kernels are the means over the nodes of layer L. Source: arXiv:2208.01003.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from ...core.backend import Array
from ...core.errors import real_array, require, require_integer
from .strips import mirror
from .tree_strips import tree

Kernel = Literal["ntk", "nngp"]
SMOOTHNESS: dict[str, float] = {"ntk": 0.5, "nngp": 1.5}
"""nu: near coincidence the kernel is 1 - K ~ analytic + |x - x'|^(2 nu)."""


def normalise_patches(x: ArrayLike) -> Array:
    """Divide each patch of x (..., p, s_1) by its length.

    Raises
    ------
    ValueError
        If a patch is empty, zero or not finite.

    >>> normalise_patches([[[3.0, 4.0], [0.0, -2.0]]]).tolist()
    [[[0.6, 0.8], [0.0, -1.0]]]
    """
    x = real_array(x, "x")
    if x.ndim == 0 or x.shape[-1] == 0:
        raise ValueError(f"x must be patches (..., s_1) of numbers, got shape {x.shape}")
    scale = abs(x).max(axis=-1, keepdims=True, initial=0.0)
    require((scale > 0) & np.isfinite(scale), "largest entry of a patch", scale, "positive and finite")
    x = x / scale
    unit: Array = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return unit


@dataclass(frozen=True)
class HierarchicalCNN:
    r"""Kernels and exponents of the tree of filters s_1, s_2, ..., s_L.

    A node of layer l sees s_1 s_2 ... s_l numbers, of which d_eff(l) = (s_1 - 1) s_2 ... s_l are free.

    Parameters
    ----------
    filters : tuple of int
        s_1 >= 2 numbers in a patch, then how many nodes of each layer meet in one of the next, >= 1.

    Raises
    ------
    ValueError, TypeError
        If filters is empty or holds anything but such integers.

    Source: arXiv:2208.01003.

    >>> net = HierarchicalCNN((2, 2))
    >>> x = [[[1.0, 0.0], [0.0, 1.0]], [[0.6, 0.8], [1.0, 0.0]]]
    >>> net.kernel(x).ntk.values.round(6).tolist()
    [[3.0, 1.079997], [1.079997, 3.0]]
    """

    filters: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.filters, tuple) or not self.filters:
            raise TypeError(f"filters must be a tuple of integers (s_1, ..., s_L), got {self.filters!r}")
        for layer, s in enumerate(self.filters):
            require_integer(s, f"filters[{layer}]", 1 if layer else 2, 2**16, ">= 2 in the first layer, >= 1 above")

    @property
    def depth(self) -> int:
        """L, the number of hidden layers."""
        return len(self.filters)

    def kernel(self, x1: ArrayLike, x2: ArrayLike | None = None) -> xr.Dataset:
        """NNGP and NTK of all pairs, in the memory of the result.

        Parameters
        ----------
        x1, x2 : array_like (n, p, s_1) and (n', p, s_1)
            Patches of length 1 (see :func:`normalise_patches`); p a multiple of s_2 ... s_L. None means x1.

        Returns
        -------
        xr.Dataset
            nngp, ntk, dims (x1, x2); 1 and L + 1 for equal inputs.

        Raises
        ------
        ValueError
            If a shape does not fit the filters or a patch has not the length 1.
        """
        X = self._patches(x1, "x1")
        Z = X if x2 is None else self._patches(x2, "x2")
        if Z.shape[1] != X.shape[1]:
            raise ValueError(f"x1 and x2 must have as many patches, got {X.shape[1]} and {Z.shape[1]}")
        left = X.shape[1] // int(np.prod(self.filters[1:], dtype=np.int64))
        children = np.array([*self.filters[1:], left], dtype=np.int64)
        K, T = np.empty((2, len(X), len(Z)))
        tree(X, np.ascontiguousarray(Z.transpose(1, 2, 0)), children, x2 is None, K, T)
        if x2 is None:
            for out in (K, T):
                mirror(out, 0, len(X), 0, len(X))
        return xr.Dataset({"nngp": (("x1", "x2"), K), "ntk": (("x1", "x2"), T)})

    def _patches(self, x: ArrayLike, name: str) -> Array:
        x = np.ascontiguousarray(real_array(x, name))
        nodes = int(np.prod(self.filters[1:], dtype=np.int64))
        if x.ndim != 3 or x.shape[2] != self.filters[0] or x.shape[1] % nodes or not x.size:
            raise ValueError(
                f"{name} must have the shape (n, p, {self.filters[0]}) with p a multiple of {nodes}, got {x.shape}"
            )
        length = np.linalg.norm(x, axis=2)
        require(abs(length - 1) <= 1e-10, f"length of a patch of {name}", length, "1: use normalise_patches")
        return x

    def effective_dimension(self, layer: int) -> int:
        """Free numbers a node of ``layer`` sees, d_eff(l) = (s_1 - 1) s_2 ... s_l.

        >>> [HierarchicalCNN((3, 2, 4)).effective_dimension(layer) for layer in (1, 2, 3)]
        [2, 4, 16]
        """
        require_integer(layer, "layer", 1, self.depth, f"in [1, {self.depth}]")
        return (self.filters[0] - 1) * int(np.prod(self.filters[1:layer], dtype=np.int64))

    def exponent(self, layer: int, kind: Kernel) -> float:
        r"""Decay of the eigenvalues of modes that live on a node of a layer, Lambda_k ~ k^-exponent.

        .. math:: 2 \nu + d_{eff}(l), \qquad \nu = 1/2 \ \text{(NTK)}, \quad 3/2 \ \text{(NNGP)}

        A mode is a product of harmonics, one of each patch, of degrees k_i; k is their size. It belongs to the lowest
        layer in which one node sees all patches with k_i > 0.

        Parameters
        ----------
        layer : int in [1, L]
        kind : {"ntk", "nngp"}

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If an argument is outside its range.

        Source: arXiv:2208.01003.

        >>> net = HierarchicalCNN((2, 2))
        >>> [net.exponent(layer, "ntk") for layer in (1, 2)]
        [2.0, 3.0]
        """
        return 2 * smoothness(kind, "kind") + self.effective_dimension(layer)

    def learning_exponent(self, layer: int, *, teacher: Kernel, student: Kernel) -> float:
        r"""Decay of the test error, E ~ n^-beta, of ridgeless regression on a target that lives on one layer's nodes.

        .. math::
            \beta = \min\Bigl(\frac{2 \nu_T}{2 \nu_S + d_l},\ 2\Bigr) \frac{2 \nu_S + d_L}{d_L}, \quad d_l = d_{eff}(l)

        Eigenvalue number n of the student, most of whose modes live on the top layer, is c ~ n^-(2 nu_S + d_L)/d_L, and
        n inputs teach the modes above it: on layer l those with k^-(2 nu_S + d_l) > c. The others cost the teacher's
        power, sum of k^(d_l - 1) k^-(2 nu_T + d_l) ~ k^(-2 nu_T): the first term. A learnt mode keeps the error
        (c k^(2 nu_S + d_l))^2 of its power; small k give c^2, the student's saturation, the second term. It is out
        of reach of these two teachers, as 2 nu_T <= 3 < 2 (2 nu_S + d_l). For l = L beta = 2 nu_T/d_L.

        Parameters
        ----------
        layer : int in [1, L]
            The target is a Gaussian field whose covariance is the kernel of a network with filters s_1 ... s_l.
        teacher, student : {"ntk", "nngp"}
            Kinds of that covariance and of the kernel of the regression, with filters s_1 ... s_L.

        Returns
        -------
        float

        Raises
        ------
        ValueError
            If an argument is outside its range.

        Source: the spectra of arXiv:2208.01003 in the learning curve of arXiv:2006.13198; beta = 2 nu_T/d_l, which
        counts the teacher's modes in their own order, holds for l = L only.

        >>> net = HierarchicalCNN((2, 2))
        >>> [net.learning_exponent(layer, teacher="ntk", student="ntk") for layer in (1, 2)]
        [0.75, 0.5]
        """
        d, D = self.effective_dimension(layer), self.effective_dimension(self.depth)
        nu_T, nu_S = smoothness(teacher, "teacher"), smoothness(student, "student")
        return min(2 * nu_T / (2 * nu_S + d), 2.0) * (2 * nu_S + D) / D


def smoothness(kind: str, name: str) -> float:
    """Nu of a kind of kernel, refused by the name of the argument."""
    if not isinstance(kind, str) or kind not in SMOOTHNESS:
        raise ValueError(f"{name} must be ntk or nngp, got {kind!r}")
    return SMOOTHNESS[kind]
