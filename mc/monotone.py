"""Mean field of a Boltzmann machine whose couplings leave it one fixed point, found by a convergent splitting."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from typing import Self

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from scipy.special import wrightomega

from ..core.errors import require, require_integer
from .effective_field import Array

Index = NDArray[np.intp]
_ROUND_OFF, _SUM = 1e-12, 1e-9


@dataclass(frozen=True, eq=False)
class MonotoneBoltzmann:
    r"""Nodes with a few states each, and couplings that leave the mean-field equations one solution.

    .. math::
        p(x) \propto \exp\Bigl[\sum_{i<j} x_i^T \Phi_{ij} x_j + \sum_i b_i^T x_i\Bigr], \qquad
        q_i = \mathrm{softmax}\Bigl(\sum_j \Phi_{ij} q_j + b_i\Bigr), \qquad I - \Phi \succeq m I

    with x_i one of the unit vectors of the k_i states of node i.

    Parameters
    ----------
    Phi : float array (row, row), rows the states of node 0, then of node 1, ...; symmetric, zero inside a node
    b : sequence of arrays (k_i,), a field on every state of every node; their lengths are the k_i
    m : float in (0, 1], the margin of monotonicity

    Raises
    ------
    ValueError where these do not fit together, or the least eigenvalue of I - Phi is below m.

    Source: Z. Feng, E. Winston, J. Z. Kolter, arXiv:2307.04990.

    >>> pair = MonotoneBoltzmann(np.kron([[0, -0.8], [-0.8, 0]], np.eye(2)), [[0.3, 0.0], [-0.5, 0.0]])
    >>> (pair.solve().q.values[::2] - 0.5).round(10).tolist()
    [0.140586253, -0.1736934712]
    """

    Phi: Array
    b: Sequence[Array]
    _: KW_ONLY
    m: float = 0.1
    spectrum: Array = field(init=False, repr=False)
    """The eigenvalues of I - Phi, in rising order"""

    def __post_init__(self) -> None:
        require(0 < self.m <= 1, "m", self.m, "in (0, 1]")
        b = _fields(self.b)
        Phi = _couplings(self.Phi, _node_of(b))
        spectrum = np.linalg.eigvalsh(np.eye(len(Phi)) - Phi)
        must = f">= m = {self.m:g}"
        require(spectrum[0] >= self.m - _ROUND_OFF, "the least eigenvalue of I - Phi", spectrum[0], must)
        for name, value in (("Phi", Phi), ("b", b), ("spectrum", spectrum)):
            object.__setattr__(self, name, value)

    @classmethod
    def from_factors(cls, A: ArrayLike, b: Sequence[ArrayLike], *, m: float = 0.1) -> Self:
        r"""The machine of any matrix A, :math:`\Phi = \mathrm{blkdiag}(\hat A^T \hat A) - \hat A^T \hat A`.

        .. math:: \hat A_i = A_i \min\Bigl(\frac{\sqrt{1-m}}{\lVert A_i \rVert_2}, 1\Bigr)

        with A_i the columns of node i: then :math:`I - \Phi \succeq m I`, as no block exceeds 1 - m.

        Parameters
        ----------
        A : float array (rank, row), of any rank
        b, m : as of the machine

        Raises
        ------
        ValueError where A is not finite or its columns are not the states of b, or m is outside (0, 1].

        >>> machine = MonotoneBoltzmann.from_factors(np.sin(np.arange(12.0)).reshape(3, 4), [[0, 1], [1, 0]])
        >>> machine.spectrum[0].item() > 0.1, machine.Phi[0, 2:].round(6).tolist()
        (True, [0.129556, 0.589384])
        """
        require(0 < m <= 1, "m", m, "in (0, 1]")
        fields = _fields(b)
        node, scaled = _node_of(fields), np.array(A, np.float64)
        if scaled.ndim != 2 or scaled.shape[1] != node.size:
            raise ValueError(f"A must be a matrix with {node.size} columns, the states in b, got shape {scaled.shape}")
        require(np.isfinite(scaled), "A", scaled, "finite")
        for i in range(len(fields)):
            norm = np.linalg.norm(scaled[:, node == i], 2)
            scaled[:, node == i] *= min(np.sqrt(1 - m) / norm, 1.0) if norm > 0 else 1.0
        gram = scaled.T @ scaled
        return cls(np.where(np.equal.outer(node, node), 0.0, -gram), fields, m=m)

    def solve(
        self,
        *,
        observed: Mapping[int, int] | None = None,
        start: ArrayLike | None = None,
        a: float | None = None,
        tol: float = 1e-12,
        max_steps: int = 10000,
    ) -> xr.Dataset:
        r"""The one solution of the mean-field equations, by steps forward and backward.

        .. math::
            q \leftarrow \mathrm{prox}_a[(1 - a)\, q + a (\Phi q + b)], \qquad
            \mathrm{prox}_a(y) = \arg\min_z \tfrac12 |z - y|^2 + a \sum (z \ln z - \tfrac12 z^2)

        over the simplex of every node; a = 1 is the iteration of softmax, without a guarantee. A step
        forward shrinks distances by 1 - a times the least eigenvalue of I - Phi for all a up to 1 over the largest,
        the default, as Phi is symmetric; without that, a < :math:`2m/\lVert I - \Phi \rVert^2` would do.

        Parameters
        ----------
        observed : {node: state} of nodes that are known; what they couple to feels them as a field
        start : float array (row,), >= 0 and of sum 1 in every node; even by default
        a : float in (0, 1]
        tol : float > 0, for the residual
        max_steps : int >= 1

        Returns
        -------
        Dataset with ``q`` (row), the probability of every state (``node`` and ``state`` tell which), ``residual``, the
        largest :math:`|\mathrm{softmax}(\Phi q + b) - q|` of the nodes not observed, ``converged``, whether that is
        below ``tol``, and ``n_steps``.

        Raises
        ------
        ValueError outside these ranges, TypeError for nodes, states or steps that are no integers.

        >>> pair = MonotoneBoltzmann(np.kron([[0, -0.8], [-0.8, 0]], np.eye(2)), [[0.3, 0.0], [-0.5, 0.0]])
        >>> pair.solve(observed={1: 0}).q.values.round(10).tolist()  # ln q_0/q_1 = 0.3 - 0.8
        [0.3775406688, 0.6224593312, 1.0, 0.0]
        """
        step = 1 / self.spectrum[-1] if a is None else a
        require(0 < step <= 1, "a", step, "in (0, 1]")
        require(np.isfinite(tol) & (tol > 0), "tol", tol, "finite and > 0")
        require_integer(max_steps, "max_steps", 1, 2**31, "in [1, 2^31]")
        node, q = _node_of(self.b), self._begun(start)
        known = np.isin(node, self._clamped(q, {} if observed is None else observed))
        among = np.unique(node[~known], return_inverse=True)[1]
        h = np.concatenate(self.b)[~known] + self.Phi[np.ix_(~known, known)] @ q[known]
        inner = self.Phi[np.ix_(~known, ~known)]
        q[~known], residual, n_steps = _iterated(inner, h, _Simplices(among), q[~known], step, tol, max_steps)
        state = np.concatenate([np.arange(len(fields)) for fields in self.b])
        found = {"q": ("row", q), "residual": residual, "converged": residual < tol, "n_steps": n_steps}
        return xr.Dataset(found, coords={"node": ("row", node), "state": ("row", state)})

    def _begun(self, start: ArrayLike | None) -> Array:
        """Where iteration begins: even, or a distribution that is given."""
        simplices = _Simplices(_node_of(self.b))
        if start is None:
            return 1 / simplices.spread(simplices.total(np.ones(len(self.Phi))))
        q = np.array(start, np.float64)
        if q.shape != (len(self.Phi),):
            raise ValueError(f"start must have shape ({len(self.Phi)},), got {q.shape}")
        require(np.isfinite(q) & (q >= 0), "start", q, "finite and >= 0")
        require(abs(simplices.total(q) - 1) < _SUM, "the sum of start in a node", simplices.total(q), "1")
        return q

    def _clamped(self, q: Array, observed: Mapping[int, int]) -> list[int]:
        """The nodes that are observed; their states are written into q."""
        node = _node_of(self.b)
        for i, state in observed.items():
            require_integer(i, "node in observed", 0, len(self.b) - 1, f"in [0, {len(self.b) - 1}]")
            last = len(self.b[i]) - 1
            require_integer(state, f"observed[{i}]", 0, last, f"in [0, {last}]")
            q[node == i] = np.arange(last + 1) == state
        return list(observed)


class _Simplices:
    """Rows that belong to nodes 0, 1, ..., in this order."""

    def __init__(self, node: Index) -> None:
        self.node, self.first = node, np.flatnonzero(np.diff(node, prepend=-1))

    def total(self, z: Array) -> Array:
        """Sums over the states of every node."""
        return np.add.reduceat(z, self.first) if z.size else z

    def spread(self, of_node: Array) -> Array:
        """The value of its node on every row."""
        return of_node[self.node]

    def softmax(self, y: Array) -> Array:
        """exp(y) normalised in every node."""
        z = np.exp(y - self.spread(np.maximum.reduceat(y, self.first)))
        return z / self.spread(self.total(z))

    def prox(self, y: Array, a: float) -> Array:
        r"""The z of a ln z + (1 - a) z = y + nu - a with sum 1 in every node.

        The sum grows with nu and is convex in it, so Newton's method from nu = 1 - max y, where it is >= 1, falls to
        the root. z = omega(c + ln kappa)/kappa, kappa = (1 - a)/a, c = (y + nu - a)/a, omega + ln omega(x) = x.
        """
        if a == 1:
            return self.softmax(y)
        kappa, nu = (1 - a) / a, 1 - np.maximum.reduceat(y, self.first)
        for _ in range(100):
            z = wrightomega((y + self.spread(nu) - a) / a + np.log(kappa)) / kappa
            above = self.total(z) - 1
            if not (above > _ROUND_OFF / 1e4).any():
                break
            nu = nu - above / self.total(z / (a + (1 - a) * z))
        return z


def _iterated(
    Phi: Array, h: Array, simplices: _Simplices, q: Array, a: float, tol: float, max_steps: int
) -> tuple[Array, float, int]:
    """Probabilities, the residual, and the steps taken."""
    if q.size == 0:
        return q, 0.0, 0
    for step in range(1, max_steps + 1):
        h_q = Phi @ q + h
        residual = float(np.abs(simplices.softmax(h_q) - q).max())
        if residual < tol or step == max_steps:
            break
        q = simplices.prox((1 - a) * q + a * h_q, a)
    return q, residual, step


def _node_of(b: Sequence[Array]) -> Index:
    """The node of every row."""
    return np.repeat(np.arange(len(b)), [len(fields) for fields in b])


def _fields(b: Sequence[ArrayLike]) -> tuple[Array, ...]:
    """The fields of every node as arrays."""
    fields = tuple(np.array(some, np.float64) for some in b)
    require(len(fields) > 0, "the number of nodes in b", len(fields), ">= 1")
    for i, some in enumerate(fields):
        if some.ndim != 1 or some.size == 0:
            raise ValueError(f"b[{i}] must be one field for each of at least one state, got shape {some.shape}")
        require(np.isfinite(some), f"b[{i}]", some, "finite")
    return fields


def _couplings(Phi: ArrayLike, node: Index) -> Array:
    """Phi as an array, checked."""
    square = np.array(Phi, np.float64)
    if square.shape != (node.size, node.size):
        raise ValueError(f"Phi must have shape ({node.size}, {node.size}), the states in b, got {square.shape}")
    require(np.isfinite(square), "Phi", square, "finite")
    inside = np.equal.outer(node, node)
    require(~inside | (square == 0), "Phi", square, "0 between the states of one node")
    require(np.abs(square - square.T) <= _ROUND_OFF * np.abs(square).max(), "Phi", square, "symmetric")
    return square
