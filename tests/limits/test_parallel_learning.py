"""Examples a network of diluted patterns needs: reference digits, and each threshold again from its equations.

Digits without another source were computed from the same equations by separate code (double precision).
"""

from itertools import product

import numpy as np
import pytest
from scipy.special import erf
from scipy.stats import binom

from mattis.theory import parallel_learning as learning

FIFTH_DIGIT = 6e-6


def law(K, d):
    """All 3^K rows and their probabilities, written out."""
    rows = np.array(list(product((-1, 0, 1), repeat=K)), float)
    n = abs(rows).sum(axis=1)
    return rows, ((1 - d) / 2) ** n * d ** (K - n)


def frozen(K, d, rho, n, steps=20_000):
    """Iteration of the equations of learning at T = 0, Gaussian mean examples: (m, n)."""
    rows, w = law(K, d)
    rows, w = rows[w * abs(rows).sum(axis=1) > 0], w[w * abs(rows).sum(axis=1) > 0]
    for _ in range(steps):
        s = np.sqrt(rho * (rows**2 @ n**2))
        h = rows @ n / s
        m = (w * erf(h / np.sqrt(2))) @ rows
        blur = (w * np.sqrt(2 / np.pi) / s * np.exp(-(h**2) / 2)) @ rows**2
        new = (m + rho * n * blur) / (1 + rho)
        if abs(new - n).max() < 1e-15:
            break
        n = new
    return m, n


def test_examples_by_one_step():
    """r = 0.2: M_x 25.6 and 29.1; aligned fractions at M = 40 (d = 0.2, K = 2); one deviation at M_x."""
    np.testing.assert_allclose(learning.one_step_examples(r=0.2, d=[0.2, 0.4], K=2), [25.6, 29.1], atol=0.05)
    fractions = [learning.one_step_alignment(r=0.2, M=40, d=0.2, K=2, k=k) for k in (1, 2)]
    np.testing.assert_allclose(fractions, [0.8924, 0.9016], atol=6e-5)
    M = learning.one_step_examples(r=0.3, d=0.35, K=4, k=2)
    one = learning.one_step_alignment(r=0.3, M=M, d=0.35, K=4, k=2)
    assert one == pytest.approx(0.5 + 0.5 * erf(np.sqrt(0.5)), abs=1e-14)
    assert learning.one_step_examples(r=0.5, d=0.4, K=3, k=3) == pytest.approx(3, abs=1e-14)


def test_aligned_fraction_in_a_sample():
    """2e5 spins of layer 1, d = 0.3, K = 2, M = 25 examples of r = 0.4: five deviations of the sample (one-sided
    false-positive rate 3e-7) and 4e-3 of the Gaussian approximation, a third of the effect of the second pattern."""
    random, r, M, d, N = np.random.default_rng(11), 0.4, 25, 0.3, 200_000
    v = (2 * random.binomial(M, (1 + r) / 2, (2, N)) / M - 1) / r
    other = random.choice([-1, 0, 1], N, p=[(1 - d) / 2, d, (1 - d) / 2])
    aligned = ((v[0] + d * other * v[1]) > 0).mean()
    expected = learning.one_step_alignment(r=r, M=M, d=d, K=2)
    assert aligned == pytest.approx(expected, abs=4e-3 + 5 * np.sqrt(0.25 / N))
    assert abs(learning.one_step_alignment(r=r, M=M, d=d, K=1) - expected) > 8e-3


def test_entropy_at_the_self_consistent_threshold():
    known = [(1, 0.3, 1.0), (2, 0.2, 0.521903), (3, 0.4, 0.189793)]
    for K, d, rho in known:
        found = float(learning.rho_x(d=d, K=K))
        assert found == pytest.approx(rho, abs=6e-7)
        m, _ = frozen(K, d, found, (1 - d) * d ** np.arange(K))
        assert m[0] / (1 - d) == pytest.approx(erf(np.sqrt(0.5)), abs=1e-9)
    found = [
        int(learning.self_consistent_examples(r=0.2, d=d, K=K)) for K, d in ((1, 0.3), (2, 0.2), (2, 0.4), (3, 0.4))
    ]
    assert found == [24, 46, 101, 127]


def test_equations_of_learning_at_zero_temperature():
    """The iteration of this file itself: digits of (n; m) at K = 2, d = 0.3."""
    m, n = frozen(2, 0.3, 0.25, np.array([0.7, 0.21]))
    np.testing.assert_allclose([*n, *m], [0.5388438, 0.2594448, 0.6028064, 0.2843627], atol=6e-8)


def test_crossover_of_energies():
    """E|sum chi| summed over the binomial law; smallest odd M, and 0.5287503/r^2 for small r."""
    assert [learning.energy_crossover(r=r) for r in (0.05, 0.1)] == [213, 55]
    assert pytest.approx(0.5287503, abs=6e-8) == learning.ENERGY_CONSTANT
    for r in (0.07, 0.2, 0.45, 0.9):
        odd = np.arange(1, 160, 2)
        x = [abs(2 * np.arange(M + 1) - M) @ binom.pmf(np.arange(M + 1), M, (1 + r) / 2) / M for M in odd]
        lower = odd * np.array(x) ** 2 > 1 + (odd - 1) * r**4 + 1e-12
        assert learning.energy_crossover(r=r) == odd[lower.argmax()]
    assert learning.energy_crossover(r=0.003) * 0.003**2 == pytest.approx(learning.ENERGY_CONSTANT, abs=3e-5)


def test_entropy_at_which_two_patterns_become_equal():
    """Digits; at d = 0.3 iteration from (0.5, 0.3) breaks the symmetry below rho_sym, not above."""
    np.testing.assert_allclose(learning.rho_sym(d=[0.1, 0.3, 0.6]), [1.0683585, 0.3684530, 0.0795742], atol=6e-8)
    rho = float(learning.rho_sym(d=0.3))
    np.testing.assert_allclose(
        frozen(2, 0.3, 0.97 * rho, np.array([0.5, 0.3]))[1], [0.43957, 0.35644], atol=FIFTH_DIGIT
    )
    np.testing.assert_allclose(frozen(2, 0.3, 1.03 * rho, np.array([0.5, 0.3]))[1], [0.39625] * 2, atol=FIFTH_DIGIT)


@pytest.mark.parametrize("d", [0.1, 0.3, 0.6, 0.95])
def test_the_equal_state_is_marginal_at_rho_sym(d):
    """(1, -1) perturbed: the map returns it unchanged to first order."""
    rho, step = float(learning.rho_sym(d=d)), np.array([1e-6, -1e-6])
    n = frozen(2, d, rho, np.array([0.5, 0.5]))[1]
    moved = frozen(2, d, rho, n * (1 + step), steps=1)[1] - frozen(2, d, rho, n * (1 - step), steps=1)[1]
    assert moved[0] / (2 * n[0] * step[0]) == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: learning.one_step_examples(r=0.2, d=0.2, K=2, k=3), r"k must be in \[1, K\] = \[1, 2\], got 3"),
        (lambda: learning.one_step_alignment(r=0.0, M=3, d=0.2, K=2), r"r must be finite and in \(0, 1\], got 0.0"),
        (lambda: learning.rho_x(d=0.2, K=7), r"K must be in \[1, 6\], got 7"),
        (lambda: learning.energy_crossover(r=1.0), r"r must be finite and in \[0.001, 1\), got 1.0"),
        (lambda: learning.rho_sym(d=0.0), r"d must be finite and in \(0, 1\), got 0.0"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        call()
