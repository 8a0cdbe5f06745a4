"""Monte Carlo where the answer is known in closed form."""

import numpy as np
import pytest
from scipy.special import comb, factorial, gammaln, logsumexp
from scipy.stats import binom, chisquare

import mattis as mt


def curie_weiss(N, T):
    """log Z, <e>, <|m|>, <m^2> of H = -(N/2) m^2 + 1/2 by the sum over N + 1 magnetisations."""
    k = np.arange(N + 1)
    m = 2 * k / N - 1
    e = -(m**2) / 2 + 1 / (2 * N)
    log_w = gammaln(N + 1) - gammaln(k + 1) - gammaln(N - k + 1) - N * e / T
    log_Z = logsumexp(log_w)
    w = np.exp(log_w - log_Z)
    return log_Z, w @ e, w @ np.abs(m), w @ m**2


@pytest.mark.parametrize(("N", "T"), [(2, 0.3), (9, 0.8), (14, 1.7)])
def test_one_pattern_is_the_curie_weiss_model(N, T):
    exact = mt.enumerate_states(mt.OverlapEnergy.hebbian(mt.patterns(N=N, K=1, seed=3)), T=T)
    got = [float(exact[name].squeeze()) for name in ("log_Z", "energy", "abs_overlap", "overlap_squared")]
    assert got == pytest.approx(curie_weiss(N, T), rel=1e-12)


@pytest.mark.parametrize("sampler", [mt.HeatBath(), mt.Metropolis()])
def test_large_ferromagnet(sampler):
    """Beyond enumeration: 300 chains of N = 70 against the sum, within five standard errors."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=70, K=1, seed=5))
    T = [0.6, 1.0, 1.6]
    ds = mt.simulate(energy, sampler=sampler, T=T, chains=300, sweeps=400, burn_in=200, every=4, seed=7)
    s = mt.summary(ds, "energy")
    assert (s.error < 3e-3).all()
    assert (abs(s["mean"].values - [curie_weiss(70, t)[1] for t in T]) < 5 * s.error).all()


def ferromagnet(N, P, T, diagonal):
    """log Z and <e> of one pattern with P-spin interactions by the sum over N + 1 magnetisations."""
    k = np.arange(N + 1)
    M = 2 * k - N
    G = M.astype(float) ** P
    if diagonal == "excluded":  # products of P different spins of N, k of them up
        up, down = np.arange(P, -1, -1), np.arange(P + 1)
        G = factorial(P) * np.sum((-1.0) ** down * comb(k[:, None], up) * comb(N - k[:, None], down), axis=1)
    e = -G / (2 * N**P)
    log_w = gammaln(N + 1) - gammaln(k + 1) - gammaln(N - k + 1) - N * e / T
    log_Z = logsumexp(log_w)
    return log_Z, np.exp(log_w - log_Z) @ e


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize(("P", "T"), [(3, 0.35), (4, 0.3), (5, 0.25)])
def test_one_pattern_of_any_power_is_a_ferromagnet(P, T, diagonal):
    """Enumeration at N = 14, and 300 chains of N = 60 in the paramagnet within five standard errors."""
    small = mt.OverlapEnergy.dense(mt.patterns(N=14, K=1, seed=3), P=P, diagonal=diagonal)
    exact = mt.enumerate_states(small, T=T)
    got = float(exact.log_Z.squeeze()), float(exact.energy.squeeze())
    assert got == pytest.approx(ferromagnet(14, P, T, diagonal), rel=1e-12)
    large = mt.OverlapEnergy.dense(mt.patterns(N=60, K=1, seed=5), P=P, diagonal=diagonal)
    ds = mt.simulate(large, T=1.1, chains=300, sweeps=200, burn_in=100, every=4, seed=7)
    s = mt.summary(ds, "energy").squeeze()
    assert abs(float(s["mean"]) - ferromagnet(60, P, 1.1, diagonal)[1]) < 5 * float(s.error)


def test_infinite_temperature_is_a_fair_coin():
    """T -> infinity: heat-bath spins are independent, M is binomial, <m^2> = 1/N, <e> = 0, log Z = N ln 2."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=13, K=3, seed=11))
    exact = mt.enumerate_states(energy, T=1e9)
    np.testing.assert_allclose(exact.overlap_squared, 1 / 13, rtol=1e-6)
    np.testing.assert_allclose(exact.log_Z, 13 * np.log(2), rtol=1e-9)
    np.testing.assert_allclose(exact.energy, 0, atol=1e-7)
    ds = mt.simulate(energy, T=1e9, chains=4000, sweeps=1, burn_in=2, start="pattern", seed=17)
    plus = np.rint((ds.overlap.values[0, 0, :, 0, 0] + 1) * 13 / 2).astype(int)
    seen = np.bincount(plus, minlength=14)
    p = binom.pmf(np.arange(14), 13, 0.5)
    middle = slice(3, 11)
    counts = np.append(seen[middle], seen.sum() - seen[middle].sum())
    expected = 4000 * np.append(p[middle], 1 - p[middle].sum())
    assert chisquare(counts, expected).pvalue > 1e-6


def test_low_temperature_keeps_the_pattern():
    """T -> 0 below saturation: the chain stays at m = 1 with e = -(1 + sum of other m^2)/2 + K/(2 N)."""
    xi = mt.patterns(N=501, K=2, seed=19)
    ds = mt.simulate(mt.OverlapEnergy.hebbian(xi), T=0.01, chains=2, sweeps=10, burn_in=0, start="pattern", seed=23)
    assert (ds.overlap.isel(mu=0) == 1).all()
    m = xi.values[0].astype(float) @ xi.values[0, 0] / 501
    np.testing.assert_allclose(ds.energy, -np.sum(m**2) / 2 + 2 / (2 * 501), rtol=1e-13)


def test_examples_of_quality_one_are_the_pattern_and_of_quality_r_agree_with_probability():
    """P(chi = 1) = (1 + r)/2 (arXiv:2212.00606): mean chi = r within five standard errors."""
    xi = mt.patterns(N=300, K=4, seed=29)
    assert (mt.examples(xi, r=1.0, M=2, seed=31) == xi).all()
    chi = mt.examples(xi, r=0.6, M=50, seed=31) * xi
    assert float(chi.mean()) == pytest.approx(0.6, abs=5 * 0.8 / np.sqrt(chi.size))


def test_dilution_is_the_fraction_of_blanks():
    blank = mt.patterns(N=400, K=90, d=0.3, seed=37) == 0
    assert float(blank.mean()) == pytest.approx(0.3, abs=5 * np.sqrt(0.21 / blank.size))
    assert not mt.patterns(N=40, K=9, d=1.0, seed=37).any()
