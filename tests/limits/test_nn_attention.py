"""Random-feature attention: averages with means by quadrature, the kernel by its golden numbers and by drawn heads."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf, ndtr
from scipy.stats import norm

from mattis.theory.kernels import attention
from mattis.theory.kernels.attention import attention_estimate, attention_features, attention_kernel
from mattis.theory.kernels.shifted_duals import erf_dual, orthant, relu_dual

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "kernel_numbers.json").read_text())
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
MEANS = [(0.0, 0.0), (0.0, 0.7), (-0.4, 0.0), (1.3, 0.6), (-0.8, -0.5), (2.0, -1.1), (-6.0, 3.0), (9.0, 14.0)]
DEVIATIONS = [(1.0, 1.0), (0.3, 1.7), (2.5, 0.04)]


def panels(edges):
    """Gauss-Legendre nodes and weights on the intervals between edges (..., n)."""
    low, half = edges[..., :-1, None], np.diff(edges)[..., None] / 2
    shape = (*edges.shape[:-1], (edges.shape[-1] - 1) * NODES.size)
    return (low + half * (1 + NODES)).reshape(shape), (half * WEIGHTS).reshape(shape)


def relu_average(a, b, su, sv, rho):
    """E relu(u) relu(v) by nested quadrature over x > h and y > (k - rho x)/t, |rho| < 1."""
    t, h, k = np.sqrt((1 - rho) * (1 + rho)), -a / su, -b / sv
    turn = k / rho + np.arange(-8, 9) * t / rho if rho else []
    inside = np.concatenate([np.arange(-12, 12.5, 0.5), turn])
    x, wx = panels(np.unique(np.clip(inside, max(h, -12), 12)))
    start = np.clip((k - rho * x) / t, -12, 12)
    y, wy = panels(start[:, None] + np.linspace(0, 1, 13) * (12 - start[:, None]))
    inner = (wy * norm.pdf(y) * (b + sv * (rho * x[:, None] + t * y))).sum(1)
    return (wx * norm.pdf(x) * (a + su * x) * inner).sum()


def relu_average_on_a_line(a, b, su, sv, sign):
    """E relu(a + su x) relu(b + sign sv x)."""
    edges = np.unique(np.clip([*np.arange(-14, 14.5, 0.5), -a / su, -sign * b / sv], -14, 14))
    x, w = panels(edges)
    return (w * norm.pdf(x) * np.maximum(a + su * x, 0) * np.maximum(b + sign * sv * x, 0)).sum()


def size(a, b, su, sv):
    return np.sqrt((a**2 + su**2) * (b**2 + sv**2))


# --- averages with means ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.6, 0.98, -0.98, 1 - 1e-6, 1e-6 - 1])
def test_relu_average_is_its_double_integral(rho):
    for (a, b), (su, sv) in product(MEANS, DEVIATIONS):
        want = relu_average(a, b, su, sv, rho)
        assert abs(relu_dual(a, b, su, sv, rho) - want) < 1e-14 * size(a, b, su, sv)


@pytest.mark.parametrize("sign", [1, -1])
def test_relu_average_up_to_full_correlation(sign):
    """At rho = +-1 one integral; below, V' = su sv L with L in [0, 1] bounds the change."""
    for (a, b), (su, sv) in product(MEANS, DEVIATIONS):
        want = relu_average_on_a_line(a, b, su, sv, sign)
        for short in (0.0, 2.0**-53, 2.0**-50, 1e-13):
            found = relu_dual(a, b, su, sv, sign * (1 - short))
            assert abs(found - want) < 1e-14 * size(a, b, su, sv) + short * su * sv


def test_relu_average_at_full_correlation_and_equal_thresholds():
    """rho = 1 and h = k: su sv E (x - h)^2 Theta(x - h)."""
    h = np.linspace(-3, 3, 13)
    want = (1 + h**2) * ndtr(-h) - h * norm.pdf(h)
    np.testing.assert_allclose(relu_dual(-0.5 * h, -2 * h, 0.5, 2.0, 1.0), want, rtol=1e-12, atol=1e-16)


def test_a_sure_argument_leaves_a_product():
    a, b, sv = 1.7, -0.4, 0.6
    mean = b * ndtr(b / sv) + sv * norm.pdf(b / sv)
    assert relu_dual(a, b, 0.0, sv, 0.3) == pytest.approx(a * mean, rel=1e-14)
    assert relu_dual(b, a, sv, 0.0, -1.0) == pytest.approx(a * mean, rel=1e-14)
    assert relu_dual(a, 2.0, 0.0, 0.0, 1.0) == a * 2.0
    assert relu_dual([0.0, -1.0], 1.0, 0.0, [1.0, 0.0], 0.0).tolist() == [0.0, 0.0]
    assert relu_dual(a, 2.0, 1e-300, 1e-9, 0.5) == pytest.approx(a * 2.0, rel=1e-15)


def test_without_means_it_is_the_dual_of_the_relu():
    theta = np.linspace(0.05, 3.1, 40)
    want = 0.3 * 1.7 * (np.sin(theta) + (np.pi - theta) * np.cos(theta)) / (2 * np.pi)
    np.testing.assert_allclose(relu_dual(0.0, 0.0, 0.3, 1.7, np.cos(theta)), want, rtol=0, atol=1e-16)


def test_orthants():
    """L(h, k, rho) + L(h, -k, -rho) = P(X > h); quadrant, independence and full correlation in closed form."""
    h, k, rho = np.meshgrid(
        [-3.1, -0.2, 0.0, 1e-200, 0.7, 4.0], [-2.0, 0.0, 0.7, 3.3], [-1, -0.9, 0, 0.5, 1 - 1e-12, 1]
    )
    np.testing.assert_allclose(orthant(h, k, rho) + orthant(h, -k, -rho), ndtr(-h), rtol=0, atol=3e-16)
    np.testing.assert_allclose(orthant(h, k, rho), orthant(k, h, rho), rtol=0, atol=2e-16)
    np.testing.assert_allclose(orthant(0, 0, rho), 0.25 + np.arcsin(rho) / (2 * np.pi), rtol=0, atol=2e-16)
    np.testing.assert_allclose(orthant(h, k, 0), ndtr(-h) * ndtr(-k), rtol=0, atol=2e-16)
    np.testing.assert_allclose(orthant(h, k, 1), ndtr(-np.maximum(h, k)), rtol=0, atol=2e-16)


@pytest.mark.parametrize("rho", [-1.0, -0.7, 0.0, 0.4, 1.0])
def test_erf_average_is_its_double_integral(rho):
    x, w = np.polynomial.hermite_e.hermegauss(140)
    w /= w.sum()
    t = np.sqrt(1 - rho**2)
    for (a, b), (su, sv) in product(MEANS, [(0.5, 0.2), (0.1, 0.9), (0.0, 0.7)]):
        u, v = erf(a + su * x), erf(b + sv * (rho * x[:, None] + t * x))
        assert erf_dual(a, b, su, sv, rho) == pytest.approx((w * u) @ (v @ w), rel=0, abs=2e-13)


# --- the kernel ------------------------------------------------------------------------------------------------------


def samples(n, N, d, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, N, d))


def by_hand(x, T, y, S, sigma_w, mean):
    """K of one pair by loops and nested quadrature."""
    total = 0.0
    for p, q in product(T, S):
        su, sv = (sigma_w * np.linalg.norm(r) * np.linalg.norm(s) for r, s in ((x, p), (y, q)))
        rho = sigma_w**2 * (x @ y) * (p @ q) / (su * sv)
        total += relu_average(x @ mean @ p, y @ mean @ q, su, sv, rho) * (p @ q)
    return total / (len(T) * len(S))


def test_golden_kernel():
    """kernel_numbers.json, random_feature_attention: variance of W 0.25, no mean."""
    golden = GOLDEN["random_feature_attention"]
    T = np.array(golden["tokens"], float)
    found = attention_kernel(T[:, 0], T[:, 1:], sigma_w=float(golden["s2w"]) ** 0.5)
    np.testing.assert_allclose(found, np.array(golden["K"], float), rtol=1e-14)


@pytest.mark.parametrize("mean", [0.0, 0.6, np.array([[0.5, 1, 0], [0, -0.3, 0], [0.2, 0, 0]])])
def test_kernel_is_the_sum_over_pairs_of_tokens(mean, monkeypatch):
    (x, T), (y, S) = samples(2, 4, 3, 1), samples(1, 5, 3, 2)
    matrix = mean * np.eye(3) if np.ndim(mean) == 0 else mean
    want = [[by_hand(x[i], T[i], y[0], S[0], 0.7, matrix)] for i in range(2)]
    found = attention_kernel(x, T, y, S, sigma_w=0.7, mean=mean)
    np.testing.assert_allclose(found, want, rtol=1e-12)
    assert found.dims == ("x1", "x2")
    whole = attention_kernel(y, S, x, T, sigma_w=0.7, mean=mean)
    np.testing.assert_allclose(whole, found.T, rtol=1e-13)
    monkeypatch.setattr(attention, "_ENTRIES", 20)  # one pair at a time
    np.testing.assert_allclose(attention_kernel(y, S, x, T, sigma_w=0.7, mean=mean), whole, rtol=1e-14)


def test_zero_tokens_and_queries():
    """A zero token scores 0 and adds nothing, so N - 1 tokens of N remain; a zero query is no query."""
    x, T = samples(3, 4, 2, 3)
    T[:, 1] = 0
    rest = attention_kernel(x, np.delete(T, 1, axis=1), sigma_w=0.5, mean=0.8)
    found = attention_kernel(x, T, sigma_w=0.5, mean=0.8)
    np.testing.assert_allclose(found, rest * (3 / 4) ** 2, rtol=1e-13)
    x[2] = 0
    silent = attention_kernel(x, T, sigma_w=0.5, mean=0.8)
    assert not silent[2].any()
    np.testing.assert_array_equal(silent[:2, :2], found[:2, :2])


def test_sure_heads():
    """sigma_w -> 0 with mean 1: F = (1/N) sum_i relu(x_0.x_i) x_i, with corrections of order sigma_w^2."""
    x, T = samples(4, 5, 3, 4)
    F = np.einsum("ni,nid->nd", np.maximum(np.einsum("nd,nid->ni", x, T), 0), T) / 5
    np.testing.assert_allclose(attention_kernel(x, T, sigma_w=1e-9, mean=1.0), F @ F.T, rtol=1e-12, atol=1e-14)


def test_order_of_tokens_does_not_matter_and_no_eigenvalue_is_negative():
    x, T = samples(9, 4, 3, 5)
    K = attention_kernel(x, T, sigma_w=0.5, mean=0.3).values
    np.testing.assert_allclose(attention_kernel(x, T[:, ::-1], sigma_w=0.5, mean=0.3), K, rtol=1e-12)
    np.testing.assert_allclose(K, K.T, rtol=1e-13)
    assert np.linalg.eigvalsh(K).min() > 0


# --- a finite number of heads ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "erf"])
@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_heads_average_to_the_kernel(activation, mean):
    """|z| < 5.5 for 6 different entries: 2e-7 false alarms in each of the 4 cases. A kernel without mean is caught."""
    x, T = samples(3, 4, 2, 6)
    law = {"sigma_w": 0.6, "activation": activation}
    drawn = attention_estimate(x, T, heads=60_000, seed=11, mean=mean, **law)
    z = (attention_kernel(x, T, mean=mean, **law) - drawn.kernel) / drawn.error
    assert abs(z).max() < 5.5
    wrong = (attention_kernel(x, T, mean=0.5 - mean, **law) - drawn.kernel) / drawn.error
    assert abs(wrong).max() > 20


def test_error_of_heads_falls_as_their_root():
    """M times the mean squared error is one constant: each ratio is within 5 standard errors of 1 (1e-6 each)."""
    x, T = samples(3, 5, 4, 7)
    K = attention_kernel(x, T, sigma_w=0.5, mean=0.4).values
    scaled = []
    for M in (8, 64, 512):
        F = [attention_features(x, T, heads=M, seed=s, sigma_w=0.5, mean=0.4).reshape(3, -1) for s in range(M, M + 300)]
        scaled.append([M * ((f @ f.T - K) ** 2).sum() for f in F])
    mean, error = np.mean(scaled, 1), np.std(scaled, 1) / np.sqrt(300)
    for i in (0, 1):
        ratio, relative = mean[i + 1] / mean[i], np.hypot(error[i] / mean[i], error[i + 1] / mean[i + 1])
        assert abs(np.log(ratio)) < 5 * relative < 1.0  # a slope of -1/4 or -1 would be |log| >= 1.04


def test_model_and_estimate_use_the_same_heads(monkeypatch):
    x, T = samples(3, 5, 2, 8)
    F = attention_features(x, T, heads=70, seed=2, sigma_w=0.5, mean=0.4)
    assert F.shape == (3, 70, 2)
    fewer = attention_features(x, T, heads=40, seed=2, sigma_w=0.5, mean=0.4)
    np.testing.assert_allclose(fewer * np.sqrt(40 / 70), F[:, :40], rtol=1e-14)
    whole = attention_estimate(x, T, heads=70, seed=2, sigma_w=0.5, mean=0.4)
    terms = 70 * np.einsum("imd,jmd->mij", F, F)
    np.testing.assert_allclose(whole.kernel, terms.mean(0), rtol=1e-13)
    np.testing.assert_allclose(whole.error, terms.std(0, ddof=1) / np.sqrt(70), rtol=1e-12)
    monkeypatch.setattr(attention, "_ENTRIES", 160)  # blocks of 10 heads
    parts = attention_estimate(x, T, heads=70, seed=2, sigma_w=0.5, mean=0.4)
    np.testing.assert_allclose(parts.kernel, whole.kernel, rtol=1e-13)
    np.testing.assert_allclose(parts.error, whole.error, rtol=1e-12)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_bad_input():
    x, T = samples(3, 4, 2, 9)
    with pytest.raises(ValueError, match=r"x0 must have shape \(n, d\), got \(2,\)"):
        attention_kernel(x[0], T, sigma_w=1.0)
    with pytest.raises(ValueError, match=r"tokens must have shape \(n, N, d\) with n = 3 and d = 2, got \(3, 4, 1\)"):
        attention_kernel(x, T[:, :, :1], sigma_w=1.0)
    with pytest.raises(ValueError, match="tokens must be finite, got nan"):
        attention_kernel(x, np.where(T > 0, T, np.nan), sigma_w=1.0)
    with pytest.raises(ValueError, match="given together"):
        attention_kernel(x, T, x, sigma_w=1.0)
    with pytest.raises(ValueError, match="same dimension d, got 2 and 5"):
        attention_kernel(x, T, *samples(1, 4, 5, 1), sigma_w=1.0)
    with pytest.raises(ValueError, match=r"sigma_w must be finite and > 0, got 0\.0"):
        attention_kernel(x, T, sigma_w=0.0)
    with pytest.raises(ValueError, match=r"mean must be a number or have shape \(d, d\) = \(2, 2\), got \(3,\)"):
        attention_kernel(x, T, sigma_w=1.0, mean=np.ones(3))
    with pytest.raises(ValueError, match="activation must be relu or erf, got 'tanh'"):
        attention_features(x, T, heads=5, seed=1, sigma_w=1.0, activation="tanh")
    with pytest.raises(ValueError, match="heads must be in"):
        attention_estimate(x, T, heads=1, seed=1, sigma_w=1.0)
    with pytest.raises(TypeError, match="seed must be an integer"):
        attention_features(x, T, heads=5, seed=1.0, sigma_w=1.0)
    with pytest.raises(ValueError, match=r"rho must be in \[-1, 1\], got 1\.5"):
        relu_dual(0, 0, 1, 1, 1.5)
    with pytest.raises(ValueError, match=r"su must be finite and >= 0, got -1\.0"):
        erf_dual(0, 0, -1, 1, 0)
    with pytest.raises(ValueError, match="h must be finite, got inf"):
        orthant(np.inf, 0, 0)
    for value in ("a", None, [1.0]):
        with pytest.raises(ValueError, match="sigma_w must be finite and > 0, got "):
            attention_kernel(x, T, sigma_w=value)
    with pytest.raises(ValueError, match=r"activation must be relu or erf, got \['relu'\]"):
        attention_kernel(x, T, sigma_w=1.0, activation=["relu"])
    with pytest.raises(ValueError, match="tokens must hold real numbers, got 'a'"):
        attention_kernel(x, "a", sigma_w=1.0)
    with pytest.raises(ValueError, match=r"h, k, rho must broadcast to one shape, got \(2,\), \(3,\), \(\)"):
        orthant([1, 2], [1, 2, 3], 0)
