"""Averages over the mean example of a spin: the binomial law against brute-force sums, the Gaussian one against two
integrals, derivatives against differences.
"""

import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import binom

import mattis as mt
from mattis.core.quadrature import average
from mattis.theory.examples import MeanExample

POINTS = [(0.8, 0.15, 0.3), (1.4, 0.5, 0.05), (0.3, 0.02, 1.2), (0.9, 0.3, 0.0)]


def rho_of(r, M):
    return (1 - r**2) / (M * r**2)


def exact(r, M):
    r, M = np.asarray(r, float), np.asarray(M, float)
    return MeanExample(rho_of(r, M), r, M)


def functions(T):
    """name -> (power of v, function of h), to be averaged by the rule that ``field`` does not use."""

    def sech2(h):
        e = np.exp(-2 * abs(h))
        return 4 * e / (1 + e) ** 2 / T

    def log2cosh(h):
        return T * (abs(h) + np.log1p(np.exp(-2 * abs(h))))

    return {
        "tanh": (0, np.tanh), "C": (0, sech2), "log2cosh": (0, log2cosh), "v_tanh": (1, np.tanh), "v_C": (1, sech2),
        "vv_C": (2, sech2),
    }  # fmt: skip


@pytest.mark.parametrize(("r", "M"), [(0.8, 5), (0.3, 1), (0.5, 40), (0.05, 7), (1.0, 6), (0.99, 300)])
@pytest.mark.parametrize(("mu", "noise", "T"), POINTS[:3])
def test_binomial_is_the_sum_over_k(r, M, mu, noise, T):
    found = exact(r, M).average(np.float64(mu), np.float64(noise), np.float64(T))
    k = np.arange(M + 1)
    w, v = binom.pmf(k, M, (1 + r) / 2), (2 * k / M - 1) / r
    for name, (power, function) in functions(T).items():
        want = (w * v**power * average(function, mu * v, np.sqrt(noise), T)[0]).sum()
        assert getattr(found, name) == pytest.approx(want, rel=1e-11, abs=1e-13 / r**power), name


@pytest.mark.parametrize(("r", "M"), [(0.6, 9), (0.2, 2), (1.0, 4)])
def test_binomial_at_zero_temperature(r, M):
    """E tanh = sum w erf(mu v/sqrt(2 noise)); no noise: the sign of v, and nothing where v = 0."""
    k = np.arange(M + 1)
    w, v = binom.pmf(k, M, (1 + r) / 2), (2 * k / M - 1) / r
    found = exact(r, M).average(np.float64(0.7), np.float64(0.2), np.float64(0.0))
    assert found.tanh == pytest.approx((w * erf(0.7 * v / np.sqrt(0.4))).sum(), abs=1e-14)
    assert found.v_tanh == pytest.approx((w * v * erf(0.7 * v / np.sqrt(0.4))).sum(), abs=1e-14)
    bell = np.sqrt(2 / (np.pi * 0.2)) * np.exp(-((0.7 * v) ** 2) / 0.4)
    assert pytest.approx((w * bell).sum(), rel=1e-13) == found.C
    bare = exact(r, M).average(np.float64(0.7), np.float64(0.0), np.float64(0.0))
    assert bare.tanh == pytest.approx((w * np.sign(v)).sum(), abs=1e-14)
    assert bare.v_tanh == pytest.approx((w * abs(v)).sum(), abs=1e-14)


@pytest.mark.parametrize("rho", [0.0, 0.1, 1.5])
@pytest.mark.parametrize(("mu", "noise", "T"), POINTS[:3])
def test_gaussian_is_a_second_integral(rho, mu, noise, T):
    """v = 1 + sqrt(rho) lambda, integrated over lambda by a fine trapezoid; Stein's lemma is what is tested."""
    found = MeanExample(np.float64(rho)).average(np.float64(mu), np.float64(noise), np.float64(T))
    x, step = np.linspace(-9, 9, 721, retstep=True)
    w, v = step * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi), 1 + np.sqrt(rho) * x
    for name, (power, function) in functions(T).items():
        want = (w * v**power * average(function, mu * v, np.sqrt(noise), T)[0]).sum()
        assert getattr(found, name) == pytest.approx(want, rel=1e-9, abs=1e-11), name


LAWS = [MeanExample(np.float64(0.2)), MeanExample(np.float64(0.0)), exact(0.7, 6), exact(0.3, 1)]


@pytest.mark.parametrize("law", LAWS, ids=["gaussian", "pattern", "binomial", "one"])
@pytest.mark.parametrize(("mu", "noise", "T"), POINTS)
def test_derivatives(law, mu, noise, T):
    """v_C, vv_C, v_C_mean are derivatives by mu, C_mean/2, C_var, v_C_mean/2 by the noise (heat equation)."""

    def at(mu, noise):
        return law.average(np.float64(mu), np.float64(noise), np.float64(T))

    def slope(name, d_mu, d_noise):
        h = 1e-4 * (mu if d_mu else noise)
        steps = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
        return sum(w * getattr(at(mu + k * h * d_mu, noise + k * h * d_noise), name) for k, w in steps) / h

    here = at(mu, noise)
    for name, variable, derivative, factor in (
        ("tanh", (1, 0), "v_C", 1), ("v_tanh", (1, 0), "vv_C", 1), ("C", (1, 0), "v_C_mean", 1),
        ("tanh", (0, 1), "C_mean", 0.5), ("v_tanh", (0, 1), "v_C_mean", 0.5), ("C", (0, 1), "C_var", 1),
        ("log2cosh", (1, 0), "v_tanh", 1), ("log2cosh", (0, 1), "C", 0.5),
    ):  # fmt: skip
        want = factor * getattr(here, derivative)
        assert slope(name, *variable) == pytest.approx(want, rel=1e-7, abs=1e-8), (name, variable)


@pytest.mark.parametrize(("r", "M"), [(0.02, 10_000), (0.5, 100_000), (0.9, 1000), (1e-3, 100_000)])
def test_the_terms_left_out_do_not_matter(r, M):
    """Only k within 9.5 standard deviations is summed: E v = 1, E v^2 = 1 + rho, from E log2cosh at T = 0, no noise,
    and from its derivative: E|v| and P(v > 0).
    """
    found = exact(r, M).average(np.float64(1.0), np.float64(0.0), np.float64(0.0))
    k = np.arange(M + 1)
    w, v = binom.pmf(k, M, (1 + r) / 2), (2 * k / M - 1) / r
    assert found.tanh == pytest.approx((w * np.sign(v)).sum(), abs=1e-10)
    assert found.log2cosh == pytest.approx((w * abs(v)).sum(), rel=1e-10)
    hot = exact(r, M).average(np.float64(1e-3), np.float64(0.0), np.float64(1.0))  # tanh h = h: moments of v
    assert hot.tanh == pytest.approx(1e-3, rel=2e-6 * (1 + rho_of(r, M)))
    assert hot.v_tanh == pytest.approx(1e-3 * (1 + rho_of(r, M)), rel=2e-5 * (1 + rho_of(r, M)))


@pytest.mark.parametrize("shape", [(), (1,), (6,), (2, 6), (6, 2)])
def test_points_are_not_mixed_up_with_examples(shape):
    """M = 5 has six values of k: the average over them is the same whatever the shape of the points, six among them."""
    rng = np.random.default_rng(3)
    mu, noise, T = rng.uniform(0.2, 1.5, shape), rng.uniform(0, 0.5, shape), rng.uniform(0.1, 1, shape)
    law = exact(0.8, 5)
    found = law.average(mu, noise, T)
    error = law.error(mu, noise, T)
    for at in np.ndindex(*shape):
        one = law.average(mu[at], noise[at], T[at]) if shape else law.average(mu, noise, T)
        for name, value in one._asdict().items():
            assert getattr(found, name).shape == shape
            assert getattr(found, name)[at] == pytest.approx(value, rel=1e-14, abs=1e-300), name
        assert error[at] < 1e-12


def test_datasets_on_an_axis():
    """r and M of different sizes in one array: shorter sums are padded with nothing."""
    r, M = np.array([0.3, 0.8, 1.0]), np.array([50.0, 3.0, 2.0])
    together = exact(r, M).average(np.full(3, 0.9), np.full(3, 0.2), np.full(3, 0.3))
    for i in range(3):
        alone = exact(r[i], M[i]).average(np.float64(0.9), np.float64(0.2), np.float64(0.3))
        for name, value in alone._asdict().items():
            assert getattr(together, name)[i] == pytest.approx(value, rel=1e-13), name


@pytest.mark.parametrize("r", [1.0, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("protocol", ["supervised", "unsupervised"])
def test_a_single_example_is_a_pattern_of_its_own(protocol, r):
    """M = 1 in the exact law: the Hopfield network stores eta itself, so m = n = r m_storing, the rest as there."""
    grid = {"alpha": np.array([0.02, 0.05, 0.12, 0.1]), "T": np.array([0.6, 0.2, 0.05, 0.0])}
    storing = mt.solve(mt.Hopfield(**grid))
    found = mt.solve(mt.Hopfield(**grid, protocol=protocol, r=r, M=1, etabar="binomial"))
    for name in ("q", "free_energy", "energy", "entropy"):
        np.testing.assert_allclose(getattr(found, name), getattr(storing, name), rtol=0, atol=1e-10, err_msg=name)
    np.testing.assert_allclose(found.m, r * storing.m, rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.n, r * storing.m, rtol=0, atol=1e-10)


def test_too_many_examples_to_sum_over():
    with pytest.raises(ValueError, match=r"^M must be <= 2\^26 with etabar='binomial', a sum over sqrt"):
        mt.Hopfield(alpha=0.1, T=0.1, protocol="supervised", r=0.5, M=2**26 + 1, etabar="binomial")
