"""The Boltzmann machine with one mean-field fixed point (arXiv:2307.04990): its solution, uniqueness, and refusals."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.special import softmax

import mattis as mt
from mattis.mc.monotone import _Simplices

PAIR = np.kron([[0.0, -0.8], [-0.8, 0.0]], np.eye(2))
FIELDS = [[0.3, 0.0], [-0.5, 0.0]]
SIZES = (3, 4, 2, 5, 6)


def random_machine(seed, scale, m=0.1):
    rng = np.random.default_rng(seed)
    A, b = scale * rng.normal(size=(12, sum(SIZES))), [2 * rng.normal(size=k) for k in SIZES]
    return mt.MonotoneBoltzmann.from_factors(A, b, m=m), rng


def begun(rng):
    return np.concatenate([rng.dirichlet(np.full(k, 0.3)) for k in SIZES])


def test_two_binary_nodes():
    """q_i = (1/2 + delta_i, 1/2 - delta_i), delta_i = tanh(a delta_j + b_i/2)/2, a = -0.8: by bisection."""
    machine = mt.MonotoneBoltzmann(PAIR, FIELDS, m=0.2)
    found = machine.solve()

    def other(delta, b):
        return 0.5 * np.tanh(-0.8 * delta + b / 2)

    first = brentq(lambda y: other(other(y, -0.5), 0.3) - y, -0.5, 0.5, xtol=1e-15)
    np.testing.assert_allclose(found.q.values[::2] - 0.5, [first, other(first, -0.5)], atol=2e-12)
    np.testing.assert_allclose(found.q.values[::2] - 0.5, [0.1405862530, -0.1736934712], rtol=0, atol=5.1e-11)
    assert machine.spectrum.tolist() == pytest.approx([0.2, 0.2, 1.8, 1.8])
    assert found.converged
    assert found.node.values.tolist() == [0, 0, 1, 1]
    assert found.state.values.tolist() == [0, 1, 0, 1]


def test_factors():
    """A[r, c] = sin(1 + r + 2c + rc/2): norms of its blocks, eigenvalues of I - Phi and a row of Phi, by hand."""
    r, c = np.mgrid[:9, :9]
    A = np.sin(1 + r + 2 * c + 0.5 * r * c)
    machine = mt.MonotoneBoltzmann.from_factors(A, np.cos(np.arange(9.0)).reshape(3, 3), m=0.1)
    norms = [np.linalg.norm(A[:, 3 * i : 3 * i + 3], 2) for i in range(3)]
    assert norms == pytest.approx([2.4213413903, 2.4746259879, 2.4476794659], abs=5.1e-11)
    assert machine.spectrum[[0, -1]].tolist() == pytest.approx([0.45245347, 1.44186955], abs=5.1e-9)
    np.testing.assert_allclose(machine.Phi[0, 3:6], [-0.03863493, -0.00490161, 0.04592851], rtol=0, atol=5.1e-9)
    np.testing.assert_allclose(machine.Phi[0, 3:6], -0.9 * (A[:, 0] @ A[:, 3:6]) / norms[0] / norms[1], rtol=1e-12)
    q = machine.solve().q.values.reshape(3, 3)
    field = (machine.Phi @ q.ravel()).reshape(3, 3) + np.cos(np.arange(9.0)).reshape(3, 3)
    np.testing.assert_allclose(q, softmax(field, axis=1), atol=2e-12)


def test_small_factors_are_kept():
    """Columns of norm below sqrt(1 - m) are not scaled."""
    A = np.array([[0.1, 0.2, 0.0, 0.3], [0.2, -0.1, 0.4, 0.0]])
    machine = mt.MonotoneBoltzmann.from_factors(A, FIELDS)
    np.testing.assert_allclose(machine.Phi[:2, 2:], -A[:, :2].T @ A[:, 2:], rtol=1e-14)
    assert not machine.Phi[:2, :2].any()


@pytest.mark.parametrize(("seed", "scale"), [(1, 3.0), (2, 5.0)])
def test_one_solution(seed, scale):
    """Three starts end on one solution, in about 100 steps at a = 0.125, the published damping; all a agree."""
    machine, rng = random_machine(seed, scale)
    found = [machine.solve(start=begun(rng), a=0.125) for _ in range(3)]
    assert all(one.converged and one.residual < 1e-12 for one in found)
    assert all(60 < one.n_steps < 200 for one in found)
    q = np.stack([one.q for one in found] + [machine.solve(a=a).q for a in (None, 0.05, 1.0)])
    assert np.ptp(q, axis=0).max() < 7e-12 / machine.spectrum[0]
    np.testing.assert_allclose(np.add.reduceat(q[0], np.cumsum([0, *SIZES[:-1]])), 1, atol=1e-14)


def test_default_damping_contracts():
    """Distances to the solution fall by 1 - a times the least eigenvalue at every step, a = 1/largest."""
    machine, rng = random_machine(3, 4.0)
    q, start = machine.solve().q, begun(rng)
    rate = 1 - machine.spectrum[0] / machine.spectrum[-1]
    gaps = [float(np.linalg.norm(machine.solve(start=start, max_steps=n + 1).q - q)) for n in range(12)]
    assert all(after <= rate * before for before, after in pairwise(gaps))


def test_it_minimises_the_variational_free_energy():
    """Of -q Phi q/2 - b q + sum q ln q, convex as I - Phi > 0 and 1/q >= 1: no neighbour is lower."""
    machine, rng = random_machine(4, 3.0)
    b, q = np.concatenate(machine.b), machine.solve().q.values

    def F(x):
        return -0.5 * x @ machine.Phi @ x - b @ x + x @ np.log(x)

    def of_logits(y):
        return F(_Simplices(np.repeat(np.arange(5), SIZES)).softmax(y))

    lowest = minimize(of_logits, np.log(begun(rng) + 0.1), method="BFGS", options={"gtol": 1e-7}).fun
    assert F(q) == pytest.approx(lowest, abs=1e-9)


def test_prox():
    """argmin |z - y|^2/2 + a (sum z ln z - |z|^2/2) on each simplex: a ln z + (1 - a) z - y is one number per node."""
    node = np.repeat(np.arange(5), SIZES)
    y = np.random.default_rng(5).normal(size=node.size) * 4
    for a in (1e-3, 0.125, 0.7, 1 - 1e-9):
        z = _Simplices(node).prox(y, a)
        np.testing.assert_allclose(np.bincount(node, z), 1, atol=1e-14)
        some = z > 1e-200
        level = a * np.log(z[some]) + (1 - a) * z[some] - y[some]
        for i in range(5):
            assert np.ptp(level[node[some] == i]) < 1e-11
    np.testing.assert_allclose(_Simplices(node).prox(y, 1.0), _Simplices(node).prox(y, 1 - 1e-10), rtol=1e-8)


def test_observed_nodes_are_fields_on_the_others():
    machine, _ = random_machine(6, 3.0)
    found = machine.solve(observed={1: 2, 4: 0})
    node = found.node.values
    assert found.q.values[node == 1].tolist() == [0, 0, 1, 0]
    assert found.q.values[node == 4].tolist() == [1, 0, 0, 0, 0, 0]
    field = machine.Phi @ found.q.values + np.concatenate(machine.b)
    for i in (0, 2, 3):
        np.testing.assert_allclose(found.q.values[node == i], softmax(field[node == i]), atol=2e-12)
    everything = machine.solve(observed=dict.fromkeys(range(5), 1))
    assert everything.converged
    assert everything.q.values.tolist() == (everything.state == 1).astype(float).values.tolist()


def test_without_couplings_and_with_large_fields():
    b = [[800.0, 0.0, -800.0], [1.0, 2.0]]
    q = mt.MonotoneBoltzmann(np.zeros((5, 5)), b, m=1.0).solve(a=0.3).q.values
    np.testing.assert_allclose(q, [1, 0, 0, *softmax([1.0, 2.0])], atol=2e-12)


def test_what_has_not_converged_stays():
    machine, _ = random_machine(7, 3.0)
    found = machine.solve(a=0.01, max_steps=4)
    assert not found.converged
    assert found.n_steps == 4
    assert found.residual > 1e-3


def test_attraction_beyond_the_margin_is_refused():
    """Phi_12 = 3 I has two solutions; the least eigenvalue of I - Phi is -2."""
    with pytest.raises(ValueError, match=r"^the least eigenvalue of I - Phi must be >= m = 0.1, got -(2.0|1.99)"):
        mt.MonotoneBoltzmann(np.kron([[0.0, 3.0], [3.0, 0.0]], np.eye(2)), FIELDS)
    with pytest.raises(ValueError, match=r"^the least eigenvalue of I - Phi must be >= m = 0.3, got 0\.19"):
        mt.MonotoneBoltzmann(PAIR, FIELDS, m=0.3)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Phi": np.zeros((3, 3))}, r"^Phi must have shape \(4, 4\), the states in b, got \(3, 3\)$"),
        ({"Phi": np.full((4, 4), np.nan)}, r"^Phi must be finite, got nan"),
        ({"Phi": 0.1 * np.ones((4, 4))}, r"^Phi must be 0 between the states of one node, got 0.1"),
        ({"Phi": np.triu(PAIR)}, r"^Phi must be symmetric, got -0.8 at index \(0, 2\)$"),
        ({"b": []}, r"^the number of nodes in b must be >= 1, got 0$"),
        ({"b": [[0.1, 0.2], 3.0]}, r"^b\[1\] must be one field for each of at least one state, got shape \(\)$"),
        ({"b": [[0.1, 0.2], [0.1, np.inf]]}, r"^b\[1\] must be finite, got inf at index \(1,\)$"),
        ({"m": 0.0}, r"^m must be in \(0, 1\], got 0.0$"),
        ({"m": 1.5}, r"^m must be in \(0, 1\], got 1.5$"),
    ],
)
def test_what_a_machine_refuses(wrong, message):
    given = {"Phi": PAIR, "b": FIELDS} | wrong
    with pytest.raises(ValueError, match=message):
        mt.MonotoneBoltzmann(given.pop("Phi"), given.pop("b"), **given)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"A": np.ones((2, 3))}, r"^A must be a matrix with 4 columns, the states in b, got shape \(2, 3\)$"),
        ({"A": np.ones(4)}, r"^A must be a matrix with 4 columns"),
        ({"A": np.full((2, 4), np.inf)}, r"^A must be finite, got inf"),
        ({"m": -0.1}, r"^m must be in \(0, 1\], got -0.1$"),
    ],
)
def test_what_factors_refuse(wrong, message):
    given = {"A": np.ones((2, 4)), "m": 0.1} | wrong
    with pytest.raises(ValueError, match=message):
        mt.MonotoneBoltzmann.from_factors(given["A"], FIELDS, m=given["m"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"a": 0.0}, r"^a must be in \(0, 1\], got 0.0$"),
        ({"a": 1.2}, r"^a must be in \(0, 1\], got 1.2$"),
        ({"tol": np.nan}, r"^tol must be finite and > 0, got nan$"),
        ({"max_steps": 0}, r"^max_steps must be in \[1, 2\^31\], got 0$"),
        ({"start": [0.5, 0.5]}, r"^start must have shape \(4,\), got \(2,\)$"),
        ({"start": [1.5, -0.5, 1, 0]}, r"^start must be finite and >= 0, got -0.5 at index \(1,\)$"),
        ({"start": [0.5, 0.5, 1, 1]}, r"^the sum of start in a node must be 1, got 2.0 at index \(1,\)$"),
        ({"observed": {2: 0}}, r"^node in observed must be in \[0, 1\], got 2$"),
        ({"observed": {0: 2}}, r"^observed\[0\] must be in \[0, 1\], got 2$"),
        ({"observed": {0: 0.5}}, r"^observed\[0\] must be an integer in \[0, 1\], got 0.5$"),
    ],
)
def test_what_solve_refuses(wrong, message):
    with pytest.raises((ValueError, TypeError), match=message):
        mt.MonotoneBoltzmann(PAIR, FIELDS).solve(**wrong)
