"""Loads of networks of P-spin interactions: K = gamma (2/P!) N^(P-1), both ways, and what is refused."""

from math import comb, factorial

import numpy as np
import pytest

import mattis as mt


@pytest.mark.parametrize("P", [2, 3, 4, 5, 8, 20])
def test_both_ways(P):
    """alpha = K/N^(P-1) = 2 gamma/P!; at P = 2 gamma is alpha. K is the nearest integer."""
    gamma = np.array([0.0, 0.05, 0.37, 4.0])
    np.testing.assert_allclose(mt.load_to_gamma(2 * gamma / factorial(P), P=P), gamma, rtol=1e-14)
    N = {2: 10**6, 3: 1000, 4: 300, 5: 60, 8: 30, 20: 24}[P]
    K = mt.gamma_to_K(gamma, N=N, P=P)
    assert K.dtype == np.int64
    exact = gamma * 2 * N ** (P - 1) / factorial(P)
    assert (abs(K - exact) <= 0.5 + 1e-12 * exact).all()
    np.testing.assert_allclose(mt.load_to_gamma(K / N ** (P - 1), P=P), gamma, atol=factorial(P) / (4 * N ** (P - 1)))


def test_shapes():
    assert mt.gamma_to_K(0.3, N=100, P=4) == 25_000
    assert type(mt.gamma_to_K(0.3, N=100, P=4)) is int
    assert mt.gamma_to_K([[0.3], [0.1]], N=100, P=3).tolist() == [[1000], [333]]
    assert mt.gamma_to_K([], N=100, P=3).shape == (0,)
    assert np.shape(mt.load_to_gamma(0.1, P=3)) == ()
    assert mt.load_to_gamma([[0.1, 0.2]], P=3).shape == (1, 2)
    assert mt.load_to_gamma(1, P=4) == 12


def test_the_noise_of_K_patterns_is_that_of_gamma():
    """H = -(P!/(2 N^(P-1))) sum e_P: over random patterns Var H/N = (K/N) (P!/(2 N^(P-1)))^2 binom(N, P) -> gamma/2."""
    N, P, gamma = 500, 3, 0.3
    K = mt.gamma_to_K(gamma, N=N, P=P)
    variance = K * (factorial(P) / (2 * N ** (P - 1))) ** 2 * comb(N, P)
    assert variance / N == pytest.approx(gamma / 2, rel=P * P / N)


BAD = [
    (lambda: mt.load_to_gamma(-1.0, P=3), ValueError, r"^load must be finite and >= 0, got -1.0$"),
    (lambda: mt.load_to_gamma([0.1, np.nan], P=3), ValueError,
     r"^load must be finite and >= 0, got nan at index \(1,\)$"),
    (lambda: mt.load_to_gamma("a", P=3), (TypeError, ValueError), r"^load must be .*, got 'a'$"),
    (lambda: mt.load_to_gamma(1j, P=3), (TypeError, ValueError), r"^load must be .*, got 1j$"),
    (lambda: mt.load_to_gamma(0.1, P=1), ValueError, r"^P must be .*>= 2.*, got 1$"),
    (lambda: mt.load_to_gamma(0.1, P=3.0), TypeError, r"^P must be an integer .*>= 2.*, got 3.0$"),
    (lambda: mt.load_to_gamma(0.1, P=10**4), ValueError, r"^P must be .*, got 10000$"),
    (lambda: mt.load_to_gamma(0.1, P=300), ValueError, r"^P must be .*, got 300$"),
    (lambda: mt.gamma_to_K(0.1, N=0, P=3), ValueError, r"^N must be in \[1, 2\^31\], got 0$"),
    (lambda: mt.gamma_to_K(0.1, N=1.5, P=3), TypeError, r"^N must be an integer in \[1, 2\^31\], got 1.5$"),
    (lambda: mt.gamma_to_K(-0.1, N=10, P=3), ValueError, r"^gamma must be finite and >= 0, got -0.1$"),
    (lambda: mt.gamma_to_K(np.inf, N=10, P=3), ValueError, r"^gamma must be finite and >= 0, got inf$"),
    (lambda: mt.gamma_to_K(1j, N=10, P=3), (TypeError, ValueError), r"^gamma must be .*, got 1j$"),
    (lambda: mt.gamma_to_K(0.3, N=10**6, P=5), ValueError,
     r"^gamma must be below 0.000277, where K reaches 2\^62, got 0.3$"),
    (lambda: mt.gamma_to_K(0.3, N=2**31, P=100), ValueError, r"^gamma must be below .*, got 0.3$"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "message"), BAD)
def test_what_is_refused(call, kind, message):
    with pytest.raises(kind, match=message) as refused:
        call()
    assert "\n" not in str(refused.value)
