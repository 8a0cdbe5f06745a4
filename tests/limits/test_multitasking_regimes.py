"""Temperatures and loads of the multitasking network: reference digits, and each again from the equation it solves.

Digits without another source were computed from the same equations by separate code (double precision). The equations:
m = E xi tanh(xi.m/T), f = m^2/2 - T E ln 2cosh(xi.m/T), xi = +-1 with probability (1 - d)/2 each, else 0.
"""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf
from scipy.stats import binom

from mattis.theory import regimes

EIGHTH = 6e-9


def law(K, d):
    """All 3^K rows and their probabilities, written out."""
    rows = np.array(list(product((-1, 0, 1), repeat=K)), float)
    n = abs(rows).sum(axis=1)
    return rows, ((1 - d) / 2) ** n * d ** (K - n)


def iterated(K, d, T, steps=60_000):
    """Plain iteration of m = E xi tanh(xi.m/T) from m_k = (1 - d) d^(k-1)."""
    rows, w = law(K, d)
    m = (1 - d) * d ** np.arange(K)
    for _ in range(steps):
        new = (w * np.tanh(rows @ m / T)) @ rows
        if abs(new - m).max() < 1e-16:
            break
        m = new
    return m


# --- the cascade -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("k", "d", "T"),
    [
        (1, 0.3, 0.7),
        (2, 0.1, 0.09000001),
        (2, 0.3, 0.21276314),
        (2, 0.5, 0.28720974),
        (2, 0.65, 0.32912886),
        (3, 0.2, 0.03202343),
        (4, 0.2, 0.00640469),
        (3, 0.4, 0.10187816),
        (4, 0.4, 0.04075162),
    ],
)
def test_onsets(k, d, T):
    assert regimes.T_k(k=k, d=d) == pytest.approx(T, abs=EIGHTH)


@pytest.mark.parametrize(("k", "d"), [(2, 0.6), (3, 0.35), (3, 0.55), (3, 0.63), (4, 0.45)])
def test_at_its_onset_a_pattern_is_marginal_and_below_it_is_retrieved(k, d):
    """At T_k the plain iteration of k - 1 patterns has T = p E sech^2, and 1% lower that of k patterns has m_k > 0."""
    T = float(regimes.T_k(k=k, d=d))
    rows, w = law(k - 1, d)
    marginal = (1 - d) * (w / np.cosh(rows @ iterated(k - 1, d, T) / T) ** 2).sum()
    assert marginal == pytest.approx(T, rel=1e-9)
    assert iterated(k, d, 1.01 * T)[-1] < 1e-9
    assert iterated(k, d, 0.99 * T, 20_000)[-1] > 0.02 * T


def test_blank_spins_are_a_smaller_copy_of_the_network():
    """T_{k+1} = d T_k up to spins that are not frozen, exp(-2(1 - 2d)/T_k): for small d and high k to all digits."""
    d = np.array([1e-4, 0.01, 0.05, 0.1])
    deep = [regimes.T_k(k=k, d=d) for k in range(2, 8)]
    for k in range(1, 5):
        np.testing.assert_allclose(deep[k + 1] / deep[k] / d, 1, rtol=1e-12)
    np.testing.assert_allclose(deep[0][:2], d[:2] * (1 - d[:2]), rtol=1e-12)


def test_no_pure_state_beyond_two_thirds():
    d = np.array([0.0, 0.6666, 2 / 3, 0.8])
    T = regimes.T_k(k=2, d=d)
    assert T[0] == 0
    assert T[1] == pytest.approx(1 - d[1], abs=1e-3)
    assert np.isnan(T[2:]).all()
    assert np.isnan(regimes.T_k(k=3, d=0.7))


def test_patterns_retrieved_at_a_temperature():
    """k* by the cascade, 2 + floor(ln(T_2/T)/ln(1/d)) where it holds, and the plain iteration of six patterns."""
    assert regimes.k_star(T=0.02, d=0.3) == 3
    T, d = np.geomspace(1e-6, 0.1, 23)[:, None], np.array([0.05, 0.21, 0.33])
    simple = 2 + np.floor(np.log(regimes.T_k(k=2, d=d) / T) / np.log(1 / d))
    np.testing.assert_array_equal(regimes.k_star(T=T, d=d), simple)
    for T in (0.5, 0.2, 0.06, 0.03):
        assert regimes.k_star(T=T, d=0.42) == (iterated(6, 0.42, T, 3000) > 1e-8).sum()
    assert regimes.k_star(T=0.0, d=0.3) == np.inf
    assert regimes.k_star(T=0.0, d=0.0) == 1
    assert regimes.k_star(T=0.4, d=0.7) == 0
    assert np.isnan(regimes.k_star(T=0.2, d=0.7))


def test_multicritical_dilution():
    """By the fourth cumulant of the mean example, summed over its binomial law."""
    assert regimes.d_star(r=0.5, M=20) == pytest.approx(0.5194077, abs=6e-8)
    assert regimes.d_star(r=0.3, M=9) == pytest.approx(0.2383070, abs=6e-8)
    assert regimes.d_star(r=0.4, M=1) == pytest.approx(2 / 3, abs=1e-15)
    assert regimes.d_star(rho=0.15) == pytest.approx(2 / 3 / 1.15**2, abs=1e-15)
    k = np.arange(8)
    v, w = (2 * k - 7) / (7 * 0.4), binom.pmf(k, 7, 0.7)
    assert regimes.d_star(r=0.4, M=7) == pytest.approx(1 - (w @ v**4) / 3 / (w @ v**2) ** 2, abs=1e-14)


def test_number_of_patterns_grows_as_the_logarithm():
    K = regimes.K_max(N=[10**4, 10**8], d=0.5)
    np.testing.assert_allclose(K.signal, [2 / np.log10(2), 4 / np.log10(2)], rtol=1e-14)
    np.testing.assert_allclose(2**K.absolute, [5e3, 5e7], rtol=1e-12)


# --- the symmetric mixture -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "edges"), [(2, [0.0937644, 0.0400806, 0.01]), (3, [0.1049796, 0.0486487, 0.0135005])])
def test_lower_edge_of_the_parallel_phase(K, edges):
    np.testing.assert_allclose(regimes.T_s(d=[0.7, 0.8, 0.9], K=K), edges, atol=6e-8)


def test_windows_of_stability():
    """d = 0 is Amit, Gutfreund, Sompolinsky, Phys. Rev. A 32, 1007 (1985): the mixture of three below 0.46."""
    np.testing.assert_allclose(regimes.symmetric_window(d=0.65, K=2), [0.1369815, 0.327252], atol=6e-7)
    assert regimes.symmetric_window(d=0.0, K=3) == (0, pytest.approx(0.4597942, abs=6e-8))
    assert regimes.symmetric_window(d=0.0, K=5) == (0, pytest.approx(0.3847393, abs=6e-8))
    for K in (2, 3, 4, 5, 9):
        assert np.isnan(regimes.symmetric_window(d=[0.2, 0.4, 0.6], K=K)).all()
    np.testing.assert_array_equal(regimes.symmetric_window(d=[0.67, 0.9], K=4).T_high, 1 - np.array([0.67, 0.9]))


@pytest.mark.parametrize(("K", "d"), [(2, 0.65), (2, 0.75), (3, 0.1), (3, 0.8), (4, 0.9)])
def test_the_hessian_changes_sign_at_the_edges(K, d):
    """Finite differences of f at the symmetric state: lowest eigenvalue 0 at an edge, > 0 inside, < 0 outside."""
    rows, w = law(K, d)

    def lowest(T):
        S = rows.sum(axis=1)
        m = brentq(lambda m: (w * S * np.tanh(m * S / T)).sum() / K - m, 1e-4, 1, xtol=1e-15)
        f = lambda x: 0.5 * x @ x - T * (w * np.logaddexp(rows @ x / T, -rows @ x / T)).sum()  # noqa: E731
        h, e = 2e-4 * T, np.eye(K)
        A = np.zeros((K, K))
        for a, b in product(range(K), repeat=2):
            shift = [s * h * e[a] + t * h * e[b] for s, t in ((1, 1), (1, -1), (-1, 1), (-1, -1))]
            A[a, b] = np.dot((1, -1, -1, 1), [f(m + x) for x in shift]) / (4 * h * h)
        return np.linalg.eigvalsh(A)[0]

    low, high = regimes.symmetric_window(d=d, K=K)
    edges = (low,) if d > 2 / 3 else (low, high)
    for T in edges:
        assert abs(lowest(T)) < 2e-5
    assert lowest(0.98 * low) < -1e-4
    assert lowest(1.02 * low) > 1e-4


def test_extreme_dilution():
    """Digits; exp(-kappa) I_1(kappa) for small kappa; none without cross-talk; and the limit of T_s at K p = kappa."""
    edge = regimes.T_skellam(kappa=[0.0, 1e-5, 0.1, 0.5, 2.0])
    np.testing.assert_allclose(edge.T_hat, [0, 5e-6, 0.04529845, 0.15651564, 0.23407837], atol=6e-9)
    assert edge.T_hat[1] == pytest.approx(5e-6, rel=2e-5)
    assert edge.m_hat[0] == 1
    gaps = [regimes.T_s(d=1 - 2 / K, K=K) * K / 2 - edge.T_hat[4] for K in (100, 200)]
    assert gaps[0] / gaps[1] == pytest.approx(2, abs=0.1)


# --- extensive load --------------------------------------------------------------------------------------------------


def test_load_of_one_condensed_pattern():
    d = np.array([0.0, 0.1, 0.3, 0.5, 2 / 3, 0.9])
    known = [0.13790557, 0.09030148, 0.02746892, 0.00253172, 0, 0]
    np.testing.assert_allclose(regimes.alpha_c(d=d), known, atol=EIGHTH)
    assert regimes.alpha_c(d=0.0) == pytest.approx(0.137905566495, abs=1e-12)
    assert regimes.alpha_c(d=0.65) == pytest.approx(6.1e-7, abs=0.05e-7)
    x = np.geomspace(1e-3, 6, 200_001)
    for y in (0.2, 0.6):
        load = erf(x) / x - 2 / np.sqrt(np.pi) * ((1 - y) * np.exp(-x * x) + y)
        assert regimes.alpha_c(d=y) == pytest.approx(load.max() ** 2 / 2, rel=1e-7)
    gap = np.array([1e-4, 1e-5])  # the maximum of (2/sqrt pi)(gap x^2 - x^4/15)
    np.testing.assert_allclose(regimes.alpha_c(d=2 / 3 - gap), 225 / 8 / np.pi * gap**4, rtol=20 * gap[0])


@pytest.mark.parametrize(
    ("s", "d", "load"),
    [
        (2, [0.1, 0.2, 0.3, 0.4, 0.5], [0.000903, 0.002147, 0.002472, 0.001621, 0.000257]),
        (3, [0.2, 0.3, 0.4], [8.59e-5, 2.22e-4, 2.59e-4]),
    ],
)
def test_load_of_several_condensed_patterns(s, d, load):
    """Three digits; then stationary in Delta, by iteration of the equations on both sides."""
    np.testing.assert_allclose(regimes.alpha_c(d=d, s=s), load, atol=6e-7)
    rows, w = law(s, d[1])

    def root_of_load(Delta):
        m = d[1] ** np.arange(s)
        for _ in range(3000):
            m = (w * erf(rows @ m / np.sqrt(2) / Delta)) @ rows / (1 - d[1])
        return Delta - np.sqrt(2 / np.pi) * (w * np.exp(-((rows @ m / Delta) ** 2) / 2)).sum()

    grid = [root_of_load(D) for D in np.linspace(0.4, 0.6, 41) * d[1] ** (s - 1)]
    assert regimes.alpha_c(d=d[1], s=s) == pytest.approx(max(grid) ** 2, rel=1e-3)
    assert regimes.alpha_c(d=d[1], s=s) >= max(grid) ** 2


def test_deeper_patterns_are_a_smaller_copy_at_load_too():
    """alpha_c(s + 1) = d^2 alpha_c(s) as d -> 0; none for d >= 2/3."""
    d = np.array([1e-3, 0.1, 0.13])
    one, two, three = (regimes.alpha_c(d=d, s=s) for s in (1, 2, 3))
    np.testing.assert_allclose(two / one / d**2, 1, rtol=1e-9)
    np.testing.assert_allclose(three / two / d**2, 1, rtol=1e-9)
    assert regimes.alpha_c(d=0.28, s=3) == pytest.approx(0.28**2 * regimes.alpha_c(d=0.28, s=2), rel=1e-7)
    assert (regimes.alpha_c(d=[2 / 3, 0.8], s=2) == 0).all()


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: regimes.T_c(d=1.2), r"d must be finite and in \[0, 1\], got 1.2"),
        (lambda: regimes.T_k(k=0, d=0.3), r"k must be in \[1, 9\], got 0"),
        (lambda: regimes.T_k(k=2, d=1.0), r"d must be finite and in \[0, 1\), got 1.0"),
        (lambda: regimes.k_star(T=-0.1, d=0.3), r"T must be finite and >= 0, got -0.1"),
        (lambda: regimes.d_star(rho=0.1, r=0.2, M=3), r"give rho alone or both r and M"),
        (lambda: regimes.d_star(r=0.2), r"give rho alone or both r and M"),
        (lambda: regimes.d_star(r=0.2, M=2.5), r"M must be an integer, finite and >= 1, got 2.5"),
        (lambda: regimes.T_s(d=0.8, K=1), r"K must be in \[2, 200\], got 1"),
        (lambda: regimes.symmetric_window(d=np.nan, K=2), r"d must be finite and in \[0, 1\), got nan"),
        (lambda: regimes.T_skellam(kappa=-1), r"kappa must be finite and in \[0, 1000\], got -1.0"),
        (lambda: regimes.K_max(N=1, d=0.3), r"N must be finite and > 1, got 1.0"),
        (lambda: regimes.alpha_c(d=0.2, s=5), r"s must be in \[1, 4\], got 5"),
        (lambda: regimes.T_g(alpha=-1, d=0.2), r"alpha must be finite and >= 0, got -1.0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()


def test_an_integer_must_be_one():
    with pytest.raises(TypeError, match=r"^k must be an integer"):
        regimes.T_k(k=2.0, d=0.3)
    with pytest.raises(TypeError, match=r"^d must be a real number"):
        regimes.T_c(d="blank")
