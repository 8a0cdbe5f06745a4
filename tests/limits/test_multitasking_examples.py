"""The multitasking network that learns from examples: reference digits, limits, and its map over all examples.

Digits without another source were computed from the equations of the docstring by separate code (double precision).
"""

from itertools import product

import numpy as np
import pytest
from scipy.special import erf

import mattis as mt


def solve(start=None, **parameters):
    return mt.solve(mt.Multitasking(**parameters), start)


EXAMPLES = [
    (1, 0.0, 0.3, 21, 0.1, [0.70849640], [0.83787262]),
    (2, 0.3, 0.5, 20, 0.1, [0.59892167, 0.21439791], [0.65702496, 0.22838188]),
    (3, 0.3, 0.5, 20, 0.05, [0.59909863, 0.21689886, 0.08113133], [0.65712662, 0.23087474, 0.08412979]),
    (2, 0.6, 0.5, 20, 0.05, [0.29298923] * 2, [0.31431758] * 2),
]


@pytest.mark.parametrize(("K", "d", "r", "M", "T", "n", "m"), EXAMPLES)
def test_learning_from_examples_with_and_without_a_teacher(K, d, r, M, T, n, m):
    """Exact binomial law; at alpha = 0 a teacher changes nothing but the growth of differences between examples."""
    taught, alone = (solve(K=K, d=d, r=r, M=M, T=T, protocol=p) for p in ("supervised", "unsupervised"))
    np.testing.assert_allclose(taught.n, n, rtol=0, atol=6e-9)
    np.testing.assert_allclose(taught.m, m, rtol=0, atol=6e-9)
    assert set(alone.values) - set(taught.values) == {"example_gain"}
    for name in set(taught.values) - {"stable"}:
        np.testing.assert_array_equal(taught.values[name], alone.values[name])


def test_low_entropy_law():
    """Gaussian mean examples: T > 0; at T = 0 m = E xi erf(xi.n/s sqrt2), s^2 = rho sum n^2 xi^2."""
    for (r, M), m in {(0.2, 400): [0.697399, 0.210226, 0.049155], (0.5, 20): [0.66198, 0.229329, 0.082834]}.items():
        rho = (1 - r * r) / (M * r * r)
        np.testing.assert_allclose(solve(K=3, d=0.3, T=0.05, protocol="supervised", rho=rho).m, m, rtol=0, atol=6e-7)
    cold = [
        (2, 0.3, 0.05, [0.6664736, 0.2007833], [0.6993194, 0.2106774]),
        (2, 0.3, 0.25, [0.5388438, 0.2594448], [0.6028064, 0.2843627]),
        (3, 0.4, 0.1, None, [0.5652602, 0.263285, 0.1268555]),
    ]
    for K, d, rho, n, m in cold:
        state = solve(K=K, d=d, T=0.0, protocol="supervised", rho=rho)
        np.testing.assert_allclose(state.m, m, rtol=0, atol=6e-8)
        np.testing.assert_allclose(state.n if n else [], n or [], rtol=0, atol=6e-8)
    rho = np.array([0.05, 0.3, 1.0])
    one = solve(K=1, d=0.35, T=0.0, protocol="supervised", rho=rho)
    np.testing.assert_allclose(one.m[:, 0], 0.65 * erf(1 / np.sqrt(2 * rho)), rtol=0, atol=1e-14)


def test_one_step_of_the_map():
    """n = (.5, .2): brute force and Fourier integral agree to 1e-10."""
    model = mt.Multitasking(K=2, d=0.3, r=0.4, M=7, T=0.2, protocol="supervised")
    x = np.array([0.5, 0.2]) / 0.7
    np.testing.assert_allclose(model.self_consistency(x)[0] * 0.7, [0.4211528533, 0.2044023571], rtol=0, atol=6e-11)
    np.testing.assert_allclose(model.order_parameters(x)["m"], [0.4634253943, 0.2127927896], rtol=0, atol=6e-11)


def test_majority_of_examples():
    """K = 1, d = 0, T = 0: m = E sgn sum chi."""
    known = {(0.2, 25): 0.6924645, (0.1, 101): 0.6875108, (0.5, 5): 0.7929688, (0.2, 101): 0.9582066}
    for (r, M), m in known.items():
        assert solve(K=1, d=0.0, T=0.0, r=r, M=M, protocol="unsupervised").m[0] == pytest.approx(m, abs=6e-8)


@pytest.mark.parametrize(("d", "rho"), [(0.1, 1.0683585), (0.3, 0.3684530), (0.6, 0.0795743)])
def test_noise_of_the_dataset_makes_two_patterns_parallel(d, rho):
    """rho_sym at T = 0: above it the symmetric state is stable."""
    found = solve("symmetric", K=2, d=d, T=0.0, protocol="supervised", rho=rho + np.array([-1, 1]) * 1e-7)
    assert found.stable.tolist() == [False, True]


@pytest.mark.parametrize(("K", "d", "rho"), [(1, 0.37, 1.0), (2, 0.2, 0.521903), (3, 0.4, 0.189793)])
def test_dataset_entropy_at_which_the_first_pattern_is_lost(K, d, rho):
    """m_1(rho)/m_1(0) = erf(1/sqrt2), to the six digits of rho."""
    m = solve(K=K, d=d, T=0.0, protocol="supervised", rho=rho + np.array([-1, 1]) * 1e-6).m_hat[:, 0]
    assert m[0] > erf(np.sqrt(0.5)) > m[1]


def test_no_noise_is_the_limit_of_little():
    """rho -> 0: quantities move by O(rho)."""
    clean, small, less = (
        solve(K=2, d=0.3, T=0.1, **({"protocol": "supervised", "rho": rho} if rho else {})) for rho in (0, 1e-5, 1e-7)
    )
    for name in ("m", "free_energy", "energy", "entropy", "stability"):
        move = (
            np.ravel(getattr(small, name) - getattr(clean, name)),
            np.ravel(getattr(less, name) - getattr(clean, name)),
        )
        np.testing.assert_allclose(move[0], 100 * move[1], rtol=2e-3, atol=3e-9)
        assert abs(move[0]).max() < 1e-3


@pytest.mark.parametrize(
    ("K", "d", "r", "M", "T"), [(1, 0.2, 0.7, 3, 0.3), (2, 0.25, 0.8, 3, 0.1), (2, 0.6, 0.5, 2, 0.2)]
)
def test_growth_of_differences_between_examples(K, d, r, M, T):
    """The map of all K M overlaps n_a = E eta^a tanh(sum_b n_b eta^b/(M r T))/((1 + rho) r), its Jacobian in full."""
    rho = (1 - r * r) / (M * r * r)
    signs = np.array(list(product((-1, 1), repeat=K * M)), float).reshape(-1, K, M)
    law = np.prod((1 + r * signs) / 2, axis=(1, 2))
    xi = np.array(list(product((-1, 0, 1), repeat=K)), float)
    w = np.prod(np.where(xi == 0, d, (1 - d) / 2), axis=1)
    eta = (xi[:, None, :, None] * signs).reshape(-1, K * M)
    w = np.outer(w, law).ravel()
    state = solve(K=K, d=d, r=r, M=M, T=T, protocol="unsupervised")
    n = np.repeat(state.n, M)
    h = eta @ n / (M * r * T)
    image = eta.T @ (w * np.tanh(h)) / ((1 + rho) * r)
    np.testing.assert_allclose(image, n, rtol=0, atol=1e-11)
    J = (eta.T * (w / np.cosh(h) ** 2)) @ eta / ((1 + rho) * r * r * M * T)
    apart = np.kron(np.eye(K), np.eye(M) - 1 / M)
    gain = np.linalg.eigvalsh(apart @ J @ apart)[-1]
    assert state.example_gain == pytest.approx(gain, abs=1e-10)
    together = np.kron(np.eye(K), np.ones(M) / np.sqrt(M))
    assert state.stability == pytest.approx(np.linalg.eigvalsh(np.eye(K) - together @ J @ together.T)[0], abs=1e-10)
    assert gain > 0.01
    assert state.stable == (state.stability > 0 and gain < 1)
