"""Learning by one step from the pattern: closed forms, limits, exponents, and the step itself on a machine."""

from math import comb, factorial, log, prod

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf, erfc, erfinv
from scipy.stats import binom, t

import mattis as mt
from mattis.theory.learning import minimal_examples, minimal_quality, one_step_overlap, ultra_detection
from mattis.theory.loss import loss
from mattis.theory.zero_error import zero_error_load

BOTH = ("supervised", "unsupervised")


def variance(P, gamma, r, M, protocol):
    """V as the specification writes it (dense_hebbian.md 2.3), for floats."""
    c, rho, rho_P = 2 * gamma / P, (1 - r**2) / (M * r**2), (1 - r ** (2 * P)) / (M * r ** (2 * P))
    return rho + c * ((1 + rho) ** P if protocol == "supervised" else 1 + rho_P)


def slope(x, y):
    """d ln y/d ln x between neighbours."""
    return np.diff(np.log(y)) / np.diff(np.log(x))


# --- one step --------------------------------------------------------------------------------------------------------


def test_patterns_themselves():
    gamma = np.array([0.0, 0.1, 2.0])
    with np.errstate(divide="ignore"):
        np.testing.assert_allclose(one_step_overlap(P=5, gamma=gamma), erf(np.sqrt(5 / (4 * gamma))), rtol=1e-15)


@pytest.mark.parametrize("protocol", BOTH)
def test_without_load_it_is_a_majority_vote(protocol):
    """P(k > M/2) of a binomial law at odd M, to its distance from the Gaussian, of order 1/M."""
    M, r = np.array([1001.0, 100_001.0]), np.array([0.04, 0.004])
    vote = 1 - 2 * binom.cdf(np.floor(M / 2), M, (1 + r) / 2)
    found = one_step_overlap(P=4, gamma=0.0, protocol=protocol, r=r, M=M)
    assert (abs(found - vote) < 1 / M).all()
    assert found == pytest.approx(erf(np.sqrt(M * r**2 / (2 * (1 - r**2)))), rel=1e-14)


def test_perfect_and_endless_examples_are_the_patterns():
    for protocol in BOTH:
        want = one_step_overlap(P=3, gamma=0.7)
        assert one_step_overlap(P=3, gamma=0.7, protocol=protocol, r=1.0, M=7) == want
        assert one_step_overlap(P=3, gamma=0.7, protocol=protocol, r=0.3, M=1e14) == pytest.approx(want, rel=1e-10)


def test_one_example_needs_no_teacher_and_more_do():
    r, gamma = np.linspace(0.1, 0.9, 9), np.array([[0.01], [0.3], [2.0]])
    for P in (2, 3, 6):
        taught, alone = (one_step_overlap(P=P, gamma=gamma, protocol=p, r=r, M=1) for p in BOTH)
        np.testing.assert_allclose(taught, alone, rtol=1e-13)
        taught, alone = (one_step_overlap(P=P, gamma=gamma, protocol=p, r=r, M=5) for p in BOTH)
        assert (taught > alone).all()


def test_rho_or_r_and_M():
    """Both ways of giving a dataset, together only where they agree."""
    a = one_step_overlap(P=4, gamma=0.1, protocol="supervised", rho=0.1)
    assert a == pytest.approx(one_step_overlap(P=4, gamma=0.1, protocol="supervised", r=0.5, M=30), rel=1e-15)
    with pytest.raises(ValueError, match="rho must be"):
        one_step_overlap(P=4, gamma=0.1, protocol="supervised", rho=0.2, r=0.5, M=30)


def step_on_a_machine(protocol, N, K, r, M, rng):
    """m after one parallel step from xi^1 at T = 0, P = 3 and distinct sites; in the gauge xi^1 = 1.

    sum_{j<k, not i} w_j w_k = [(p1 - w_i)^2 - (p2 - w_i^2)]/2, p1 and p2 the sums of w and w^2.
    """
    xi = rng.integers(0, 2, (K, 1, N), np.int8) * 2 - 1
    xi[0] = 1
    w = np.where(rng.random((K, M, N), np.float32) < (1 + r) / 2, xi, -xi).astype(np.float32)
    w = w.mean(axis=1) if protocol == "supervised" else w.reshape(K * M, N)
    p1, p2 = w.sum(axis=1, keepdims=True), (w * w).sum(axis=1, keepdims=True)
    return np.sign((w * ((p1 - w) ** 2 - (p2 - w * w))).sum(axis=0)).mean()


ON_A_MACHINE = [("supervised", 100, 730, 0.43, 9), ("unsupervised", 120, 120, 0.31, 48)]


@pytest.mark.parametrize(("protocol", "N", "K", "r", "M"), ON_A_MACHINE)
def test_the_step_on_a_machine(protocol, N, K, r, M):
    """Mean of 100 samples against V with c at this N and the noise of the pattern's own examples (unsupervised).

    Allowed: t of 99 degrees of freedom at a false-positive rate of 1e-6, and 0.02 for finite N and M. The second row
    is ultra-detection: K = N, r at the threshold of theta = 0.8. Planted: the noise without its power of 1 + rho, and
    with rho in place of rho_P.
    """
    rng = np.random.default_rng(7)
    m = np.array([step_on_a_machine(protocol, N, K, r, M, rng) for _ in range(100)])
    c = 2 * K / ((N - 1) * (N - 2))
    rho, own = (1 - r**2) / (M * r**2), 4 * (1 - r**2) / (N * r**2)
    V = variance(3, 1.5 * c, r, M, protocol) + (rho * own if protocol == "unsupervised" else 0.0)
    planted = rho + c if protocol == "supervised" else rho * (1 + own) + c * (1 + rho)
    allowed = t.isf(5e-7, 99) * m.std(ddof=1) / 10 + 0.02
    assert abs(m.mean() - erf(1 / np.sqrt(2 * V))) < allowed
    assert abs(m.mean() - erf(1 / np.sqrt(2 * planted))) > allowed
    if protocol == "unsupervised":
        weakest = ultra_detection(P=3, N=N, b=1.0, rho=rho, protocol=protocol, theta=0.8)
        assert r == pytest.approx(weakest.r, rel=0.02)


# --- thresholds ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("P", [2, 3, 7])
def test_thresholds_solve_the_equation(P, protocol):
    """Against bisection of V as written, over six decades of load; 1, inf and nan where there is nothing to solve."""
    rng = np.random.default_rng(P)
    gamma, r, M = 10 ** rng.uniform(-4, 0.3, 60), 10 ** rng.uniform(-1.5, 0, 60), 10 ** rng.uniform(0, 6, 60)
    theta = rng.uniform(0.05, 0.999, 60)
    found = minimal_examples(P=P, gamma=gamma, r=r, protocol=protocol, theta=theta)
    best = minimal_quality(P=P, gamma=gamma, M=M, protocol=protocol, theta=theta)
    kinds = set()
    for g, quality, number, overlap, M_x, r_x in zip(gamma, r, M, theta, found, best, strict=True):
        allowed = 0.5 / erfinv(overlap) ** 2
        if 2 * g / P > allowed:
            assert (M_x, np.isnan(r_x)) == (np.inf, True)
            kinds.add("none")
            continue
        r_ref = brentq(lambda x: log(variance(P, g, np.exp(x), number, protocol) / allowed), -40, 0, xtol=1e-15)  # noqa: B023
        assert r_x == pytest.approx(np.exp(r_ref), rel=1e-13)
        if variance(P, g, quality, 1.0, protocol) <= allowed:
            assert M_x == 1
            kinds.add("one")
            continue
        M_ref = brentq(lambda x: log(variance(P, g, quality, np.exp(x), protocol) / allowed), 0, 100, xtol=1e-14)  # noqa: B023
        assert M_x == pytest.approx(np.exp(M_ref), rel=1e-12)
        assert one_step_overlap(P=P, gamma=g, protocol=protocol, r=quality, M=M_x) == pytest.approx(overlap, rel=1e-12)
        kinds.add("some")
    assert kinds == {"none", "one", "some"}


def test_perfect_examples():
    """r = 1: one is enough up to V* = 2 gamma/P, and none is beyond."""
    limit = 0.25 / erfinv(0.9) ** 2 * 4
    for protocol in BOTH:
        found = minimal_examples(P=4, gamma=[0.0, limit, limit * 1.01], r=1.0, protocol=protocol, theta=0.9)
        assert found.tolist() == [1, 1, np.inf]
        best = minimal_quality(P=4, gamma=[limit * (1 - 1e-12), limit * 1.01], M=3, protocol=protocol, theta=0.9)
        assert best[0] == pytest.approx(1, abs=1e-9)
        assert np.isnan(best[1])


def test_ultra_storage():
    """At fixed gamma and r -> 0: M ~ r^-2 with a teacher, r^-2P without; r ~ M^(-1/2) and M^(-1/2P)."""
    r, M = np.geomspace(1e-6, 1e-4, 5), np.geomspace(1e20, 1e30, 5)
    for P in (2, 3, 4, 6):
        for protocol, power in zip(BOTH, (2, 2 * P), strict=True):
            examples = minimal_examples(P=P, gamma=0.1, r=r, protocol=protocol, theta=0.9)
            np.testing.assert_allclose(slope(r, examples), -power, rtol=1e-6)
            quality = minimal_quality(P=P, gamma=0.1, M=M, protocol=protocol, theta=0.9)
            np.testing.assert_allclose(slope(M, quality), -1 / power, rtol=1e-3)


@pytest.mark.parametrize(("P", "b"), [(2, 0.0), (3, 0.0), (3, 1.0), (4, 1.0), (4, 2.5), (6, 3.0)])
def test_ultra_detection(P, b):
    """r ~ N^(-(P-1-b)/(2(P-1))), by the function and by bisection of V with M = (1 - r^2)/(rho r^2).

    The larger r ~ N^(-(P-1-b)/(2P)) is safe: the noise of the other patterns vanishes there.
    """
    N, rho = np.geomspace(1e18, 1e24, 4), 0.2
    weakest = ultra_detection(P=P, N=N, b=b, rho=rho, protocol="unsupervised", theta=0.9)
    np.testing.assert_allclose(slope(N, weakest.r), -(P - 1 - b) / (2 * (P - 1)), rtol=2e-3)
    np.testing.assert_allclose((1 - weakest.r**2) / (weakest.M * weakest.r**2), rho, rtol=1e-12)
    allowed = 0.5 / erfinv(0.9) ** 2
    for size, r in zip(N, weakest.r, strict=True):
        gamma = factorial(P) * size ** (b - P + 1) / 2

        def excess(x, gamma=gamma):
            return variance(P, gamma, np.exp(x), np.expm1(-2 * x) / rho, "unsupervised") - allowed

        assert r == pytest.approx(np.exp(brentq(excess, -40, -0.5 * np.log1p(rho), xtol=1e-14)), rel=1e-11)
    safe = N ** (-(P - 1 - b) / (2 * P))
    spare = variance(P, gamma, safe[-1], (1 - safe[-1] ** 2) / (rho * safe[-1] ** 2), "unsupervised") - rho
    assert 0 < spare < 2 * factorial(P - 1) * rho * N[-1] ** (-(P - 1 - b) / P)


def test_ultra_detection_with_a_teacher_and_without_hope():
    """Any quality does with a teacher; nothing where rho alone is too much, or where K is too large at M = 1."""
    taught = ultra_detection(P=4, N=1e6, b=[1.0, 3.0], rho=0.2, protocol="supervised", theta=0.9)
    np.testing.assert_array_equal(taught, [[0, np.nan], [np.inf, np.nan]])
    alone = ultra_detection(P=4, N=1e6, b=[1.0, 3.0], rho=0.2, protocol="unsupervised", theta=0.9)
    assert np.isnan(alone.r).tolist() == np.isnan(alone.M).tolist() == [False, True]
    for protocol in BOTH:
        assert np.isnan(ultra_detection(P=4, N=1e6, b=1.0, rho=0.5, protocol=protocol, theta=0.9)).all()


def test_crossing_from_the_vote_to_the_noise():
    """M ~ max(r^-2, gamma r^-2P): at gamma r^(-2(P-1)) << 1 the first, at >> 1 the second."""
    r = np.geomspace(1e-5, 1e-3, 5)
    few = minimal_examples(P=4, gamma=1e-6 * r[0] ** 6, r=r, protocol="unsupervised", theta=0.9)
    many = minimal_examples(P=4, gamma=1e6 * r[-1] ** 6, r=r, protocol="unsupervised", theta=0.9)
    np.testing.assert_allclose(slope(r, few), -2, rtol=1e-4)
    np.testing.assert_allclose(slope(r, many), -8, rtol=1e-4)


# --- patterns without error, and losses ------------------------------------------------------------------------------


def test_without_error_at_two_bodies():
    """N/(2 ln N) and N/(4 ln N) (McEliece et al. 1987), whatever the diagonal."""
    N = np.array([100.0, 1e6])
    for diagonal in ("excluded", "included"):
        np.testing.assert_allclose(zero_error_load(P=2, N=N, diagonal=diagonal), N / (2 * np.log(N)), rtol=1e-14)
        np.testing.assert_allclose(
            zero_error_load(P=2, N=N, every=True, diagonal=diagonal), N / (4 * np.log(N)), rtol=1e-14
        )


@pytest.mark.parametrize("P", [2, 3, 4, 6])
def test_variance_of_the_crosstalk(P):
    """(P - 1)! and (2P - 3)!!: the square of e_{P-1}, and of M^(P-1)/(P-1)!, over random spins, to order 1/N."""
    N = 20_001
    k = np.arange(N)  # N - 1 spins
    weight, z = binom.pmf(k, N - 1, 0.5), (2 * k - (N - 1)) / np.sqrt(N)
    repeated, distinct = (weight * z ** (2 * P - 2)).sum(), factorial(P - 1) ** 2 * comb(N - 1, P - 1) / N ** (P - 1)
    for diagonal, moment in (("excluded", distinct), ("included", repeated)):
        one = zero_error_load(P=P, N=N, diagonal=diagonal)
        assert N ** (P - 1) / (2 * one * log(N)) == pytest.approx(moment, rel=(P - 1) * P / N)
        assert zero_error_load(P=P, N=N, every=True, diagonal=diagonal) == pytest.approx(one / P, rel=1e-15)
    assert moment == pytest.approx(prod(range(2 * P - 3, 0, -2)), rel=P * P / N)


@pytest.mark.parametrize("every", [False, True])
def test_errors_vanish_below_and_abound_above(every):
    """Expected number of unstable sites, N or N K times the Gaussian tail beyond 1/sqrt(V)."""
    for share, rising in ((0.8, False), (1.2, True)):
        errors = []
        for N in (1e6, 1e12, 1e24):
            K = share * zero_error_load(P=4, N=N, every=every)
            errors.append(N * (K if every else 1) * 0.5 * erfc(1 / np.sqrt(2 * K * factorial(3) / N**3)))
        assert np.all(np.diff(errors) > 0) == rising
        assert (errors[-1] > 100) if rising else (errors[-1] < 1e-3)


def test_loss_is_the_product_of_two_square_errors_and_makes_the_energy():
    """Against vectors, and against the energy of the simulation with its diagonal in."""
    xi = mt.patterns(N=40, K=3, seed=5).values[0].astype(int)
    spins = mt.patterns(N=40, K=1, seed=6).values[0, 0].astype(int)
    spins[:30] = xi[0, :30]
    m = xi @ spins / 40
    near, far = ((xi - s * spins) ** 2 for s in (1, -1))
    quadratic = (near.sum(axis=1) / 80) * (far.sum(axis=1) / 80)
    np.testing.assert_allclose(loss(m, P=2), quadratic, rtol=1e-14)
    for P in (2, 4, 6):
        energy = mt.OverlapEnergy.dense(xi, P=P, diagonal="included")
        e = energy.per_spin(energy.total(energy.overlaps(spins)))
        assert float(e) == pytest.approx(-0.5 * (1 - loss(m, P=P)).sum(), rel=1e-12)
        np.testing.assert_allclose(loss(m, P=P), 1 - (1 - quadratic) ** (P / 2), rtol=1e-13)


# --- bad input -------------------------------------------------------------------------------------------------------

GOOD = {
    one_step_overlap: {"P": 4, "gamma": 0.1, "protocol": "supervised", "r": 0.5, "M": 4},
    minimal_examples: {"P": 4, "gamma": 0.1, "r": 0.5, "protocol": "supervised", "theta": 0.9},
    minimal_quality: {"P": 4, "gamma": 0.1, "M": 4, "protocol": "unsupervised", "theta": 0.9},
    ultra_detection: {"P": 4, "N": 1e3, "b": 1.0, "rho": 0.1, "protocol": "unsupervised", "theta": 0.9},
    zero_error_load: {"P": 4, "N": 1e3},
}
BAD = {
    "P": [(1, "P must be >= 2( and <= 170)?, got 1")],
    "gamma": [(-0.1, "gamma must be finite and >= 0, got -0.1"), ([0.1, np.nan], "gamma must be .* got nan at index")],
    "r": [(0.0, r"r must be finite and in \(0, 1\], got 0.0"), (1.5, "r must be .* got 1.5")],
    "M": [(0.5, "M must be finite and >= 1, got 0.5")],
    "theta": [(0.0, r"theta must be in \(0, 1\), got 0.0"), (1.0, "theta must be .* got 1.0")],
    "protocol": [("taught", "protocol must be one of .* got 'taught'")],
    "N": [(1.0, "N must be finite and > 1, got 1.0")],
    "b": [(-1.0, "b must be finite and >= 0, got -1.0"), (3.5, r"b must be in \[0, P - 1\], got 3.5")],
    "rho": [(0.0, "rho must be > 0, got 0.0"), (-1.0, "rho must be finite and >= 0, got -1.0")],
    "diagonal": [("out", "diagonal must be excluded or included, got 'out'")],
}


@pytest.mark.parametrize("function", GOOD)
def test_bad_arguments(function):
    good = GOOD[function]
    function(**good)
    for name in {**good, **({"diagonal": 0} if function is zero_error_load else {})}:
        for value, message in BAD[name]:
            with pytest.raises(ValueError, match=message):
                function(**good | {name: value})
    with pytest.raises(TypeError, match=r"^P must be an integer >= 2( and <= 170)?, got 2.5$"):
        function(**good | {"P": 2.5})


def test_nothing_is_learned_by_storing():
    for function in (minimal_examples, minimal_quality, ultra_detection):
        with pytest.raises(ValueError, match="protocol must be one of supervised, unsupervised, got 'storing'"):
            function(**GOOD[function] | {"protocol": "storing"})
    with pytest.raises(ValueError, match="takes no rho, r or M"):
        one_step_overlap(P=4, gamma=0.1, r=0.5, M=3)


def test_loss_of_odd_order():
    with pytest.raises(ValueError, match=r"^P must be even: an odd P tells a state from its mirror image, got 3$"):
        loss(0.5, P=3)
    with pytest.raises(ValueError, match=r"^m must be in \[-1, 1\], got 1.5$"):
        loss(1.5, P=4)
