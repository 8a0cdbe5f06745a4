"""Simulations of diluted patterns against low-load theory and exact sums; and planted bugs that must be seen.

Tests with ``p_min`` have the false-positive rate of this folder. Others compare with the limit of many sites, at
bounds six errors or more beyond what a finite network is known to differ by: chance fails one with 2e-9 at most.
"""

from itertools import product

import numpy as np
import pytest
from scipy.special import stdtr

import mattis as mt
from mattis.mc.exact import all_states, boltzmann
from mattis.mc.fluctuations import autocorrelation, covariance
from mattis.mc.parallel import archetype_overlaps, parallel_retrieval
from mattis.mc.patterns import row_counts

RANDOM = mt.HeatBath("random")


# --- theory, written out ---------------------------------------------------------------------------------------------


def rows(K):
    return np.array(list(product((-1, 0, 1), repeat=K)))


def state(d, T, m, N=None):
    """m = E xi tanh(xi.m/T) by iteration, and A = 1 - E[xi xi sech^2]/T; of the rounded rows of N sites if given."""
    m, K = np.asarray(m, float), len(m)
    xi = rows(K)
    n = np.count_nonzero(xi, axis=1)
    w = d ** (K - n) * ((1 - d) / 2) ** n if N is None else row_counts(N, K, d) / N
    for _ in range(5000):
        m = w @ (xi * np.tanh(xi @ m / T)[:, None])
    return m, np.eye(K) - np.einsum("r,rm,rn->mn", w / np.cosh(xi @ m / T) ** 2, xi, xi) / T


def exact(N, d, T, m, A, points=150, wide=8):
    """Mean overlaps and N times their covariance of N sites, two stratified patterns, in one state.

    x = m + sqrt(T/N) z has the density exp(-N x^2/2T + sum_i ln 2cosh(xi_i.x/T)): a sum over a grid of 8 sd each way.
    """
    L = wide * np.linalg.cholesky(np.linalg.inv(A) * T / N)
    g = (np.arange(points) + 0.5) * 2 / points - 1
    x = m + np.stack(np.meshgrid(g, g), -1).reshape(-1, 2) @ L.T
    log = -N * np.sum(x**2, axis=1) / (2 * T)
    for count, xi in zip(row_counts(N, 2, d), rows(2), strict=True):
        log += count * np.logaddexp(x @ xi / T, -x @ xi / T)
    p = np.exp(log - log.max())
    p /= p.sum()
    mean = p @ x
    return mean, N * (x - mean).T @ (p[:, None] * (x - mean)) - T * np.eye(2)


def relaxed(C, T):
    """exp(-A_N), A_N the A whose T (A^-1 - 1) is the covariance of N sites."""
    return np.exp(-np.diag(np.linalg.inv(np.eye(2) + C / T)))


def student(found, expected, units):
    """The smallest p-value of the values of a dataset, times their number."""
    t = (found["value"] - expected) / found["error"]
    return float((2 * stdtr(units - 1, -abs(t.values))).min()) * t.size


# --- fluctuations ----------------------------------------------------------------------------------------------------

PURE, BOTH = (0.3, 0.3, (0.7, 0.0)), (0.3, 0.15, (0.7, 0.21))


def test_fluctuations_of_a_large_network():
    """N Cov(m) -> T (1/A - 1) as 1/N: four times the sites, a quarter of the distance; A to its six digits."""
    m, A = state(*PURE)
    assert np.allclose(A, np.diag([0.905398, 0.233779]), rtol=0, atol=5e-7)
    limit = PURE[1] * (np.linalg.inv(A) - np.eye(2))
    assert limit.diagonal() == pytest.approx([0.03135, 0.9833], abs=5e-5)
    off = [exact(N, *PURE[:2], m, A)[1] - limit for N in (2000, 8000, 32000)]
    assert (off[0] / off[1]).diagonal() == pytest.approx([4, 4], abs=0.25)
    assert (off[1] / off[2]).diagonal() == pytest.approx([4, 4], abs=0.07)
    assert 0.5 / np.tanh(A[1, 1] / 2) == pytest.approx(4.297, abs=5e-4)  # tau_int


@pytest.mark.parametrize("case", [PURE, BOTH], ids=["pure", "hierarchical"])
@pytest.mark.parametrize("factor", [1.0, 1.03])
def test_fluctuations_and_relaxation_of_a_state(case, factor, p_min):
    """Means, N Cov(m) and C(1) of 32 networks; 3 percent in T are seen in both."""
    d, T, begin = case
    m, A = state(d, T, begin)
    N, S = 1000, 32
    xi = mt.patterns(N=N, K=2, d=d, samples=S, seed=1, pattern_sampling="stratified")
    start = "pattern" if case is PURE else "hierarchical"
    given = {"T": factor * T, "chains": 32, "sweeps": 500, "burn_in": 60, "start": start, "seed": 3}
    ds = mt.simulate(mt.OverlapEnergy.multitasking(xi), sampler=RANDOM, **given)
    mean, C = exact(N, d, T, m, A)
    time = autocorrelation(ds, lags=1).isel(lag=1, T=0)
    p = student(covariance(ds).isel(T=0), C, S), student(time, relaxed(C, T), S)
    assert all(x > p_min for x in p) if factor == 1 else all(x < p_min for x in p)
    means = mt.summary(ds).isel(T=0).rename(mean="value")
    assert (student(means, mean, S) > p_min) == (factor == 1)


# --- states ----------------------------------------------------------------------------------------------------------


def retrieved(K, d, T, start, sampling="stratified"):
    xi = mt.patterns(N=2000, K=K, d=d, samples=4, seed=1, pattern_sampling=sampling)
    given = {"T": T, "chains": 32, "sweeps": 400, "burn_in": 200, "every": 4, "start": start, "seed": 2}
    found = parallel_retrieval(mt.simulate(mt.OverlapEnergy.multitasking(xi), sampler=RANDOM, **given))
    return {name: mt.summary(found, name).isel(T=0) for name in ("ranked", "sum_m2", "a4")}


@pytest.mark.parametrize(
    ("case", "m"),
    [((3, 0.4, 0.05), (0.6, 0.2396, 0.0916)), ((3, 0.6, 0.05), (0.3672, 0.2705, 0.1768))],
)
def test_hierarchical_states(case, m):
    """Within 5e-4 of the theory, whose four digits are those given; independent patterns are ten times as far."""
    K, d, T = case
    theory = state(d, T, [(1 - d) * d**k for k in range(K)])[0]
    assert theory == pytest.approx(m, abs=6e-5)
    found = retrieved(K, d, T, "hierarchical")["ranked"]
    assert found["mean"].values == pytest.approx(theory, abs=5e-4)
    assert (found.error < 6e-5).all()
    loose = retrieved(K, d, T, "hierarchical", "independent")["ranked"]
    assert abs(loose["mean"].values - theory).max() > 5e-3


@pytest.mark.parametrize(
    ("case", "m"), [((2, 0.7, 0.1), 0.2523114579), ((3, 0.8, 0.05), 0.1636267361), ((5, 0.9, 0.02), 0.0827246145)]
)
def test_parallel_states(case, m):
    """All K overlaps alike: sum m^2 within 1 percent of theory for the rounded rows; that of d + 0.01 is further.

    The overlaps themselves are soft: each within 6 percent, a_4 within 3 percent of 1/K.
    """
    K, d, T = case
    assert state(d, T, [m] * K)[0] == pytest.approx([m] * K, abs=1e-10)
    right, other = (np.sum(state(x, T, [m] * K, N=2000)[0] ** 2) for x in (d, d + 0.01))
    found = retrieved(K, d, T, "symmetric")
    assert found["sum_m2"]["mean"].item() == pytest.approx(right, rel=0.01)
    assert found["sum_m2"]["mean"].item() != pytest.approx(other, rel=0.03)
    assert found["a4"]["mean"].item() == pytest.approx(1 / K, rel=0.03)
    assert found["ranked"]["mean"].values == pytest.approx([m] * K, rel=0.06)


# --- examples --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["state", "energy"])
def test_diluted_examples_sample_the_boltzmann_law(by, chi_square, p_min):
    """P = 2, N = 8: supervised, every state or level; unsupervised the other order. With 5 percent in T, seen."""
    xi = mt.patterns(N=8, K=3, d=0.4, seed=8)
    eta = mt.examples(xi, r=0.6, M=3, seed=9)
    for make, order in ((mt.OverlapEnergy.supervised, "random"), (mt.OverlapEnergy.unsupervised, "sequential")):
        energy, T = make(eta, r=0.6), 0.5
        states = all_states(8)
        key = np.arange(256) if by == "state" else np.unique(energy.total_of(states), return_inverse=True)[1]
        p = np.bincount(key, boltzmann(energy, T=T).values[0, 0])
        for hotter in (1.0, 1.05):
            given = {"T": hotter * T, "chains": 40000, "sweeps": 1, "burn_in": 40, "seed": 11}
            ds = mt.simulate(energy, sampler=mt.HeatBath(order), **given, observables=("spins",))
            seen = key[(ds.spins.values[0, 0, :, 0] > 0) @ (1 << np.arange(8))]
            value = chi_square(np.bincount(seen, minlength=p.size), p)
            assert value > p_min if hotter == 1 else (by == "state" or value < p_min)


def test_diluted_energies_of_examples_by_enumeration():
    """<e> and ln Z of all 2^9 states from the definitions, one energy per way of learning, diagonal in and out."""
    xi = mt.patterns(N=9, K=2, d=0.4, seed=12)
    eta = mt.examples(xi, r=0.6, M=3, seed=13)
    s, T = all_states(9).astype(float), 0.4
    R = 0.6**2 + (1 - 0.6**2) / 3
    mean, every = eta.values[0].mean(axis=1), eta.values[0].reshape(-1, 9)
    for make, w, g in ((mt.OverlapEnergy.supervised, mean, 1 / R), (mt.OverlapEnergy.unsupervised, every, 1 / (3 * R))):
        for diagonal in ("excluded", "included"):
            H = -g / 18 * (np.sum((s @ w.T) ** 2, axis=1) - (np.sum(w**2) if diagonal == "excluded" else 0))
            found = mt.enumerate_states(make(eta, r=0.6, diagonal=diagonal), T=T)
            p = np.exp(-H / T)
            assert found.log_Z.item() == pytest.approx(np.log(p.sum()), rel=1e-13)
            assert found.energy.item() == pytest.approx(p @ H / p.sum() / 9, rel=1e-12)


LEARNT = {"K": 2, "d": 0.3, "r": 0.5, "M": 20, "T": 0.1}


def learnt(protocol, *, N, samples, chains, sweeps, T=LEARNT["T"], spins=False):
    """Stratified patterns and their examples, learned and started at the hierarchical state of the examples."""
    xi = mt.patterns(N=N, K=2, d=0.3, samples=samples, seed=1, pattern_sampling="stratified")
    eta = mt.examples(xi, r=LEARNT["r"], M=LEARNT["M"], seed=1)
    energy = getattr(mt.OverlapEnergy, protocol)(eta, r=LEARNT["r"])
    given = {"T": T, "chains": chains, "sweeps": sweeps, "burn_in": 60, "every": 5, "seed": 2}
    kept = ("overlap", "spins") if spins else ("overlap",)
    return xi, mt.simulate(energy, sampler=RANDOM, start="hierarchical", observables=kept, **given)


def test_a_teacher_changes_nothing():
    """Supervised and unsupervised agree in every sample within 1e-3, ten times closer than samples do.

    Their difference is known to 1.5e-4 or so; what is left is the 1/N of the 40 single examples. A temperature that
    forgets 1 + rho is seen.
    """
    run = {"N": 8000, "samples": 2, "chains": 32, "sweeps": 200}
    s, u, hot = (
        parallel_retrieval(learnt(name, **run, T=T)[1]).ranked.isel(T=0)
        for name, T in (("supervised", 0.1), ("unsupervised", 0.1), ("unsupervised", 0.115))
    )
    n_s, n_u, n_hot = (x.mean(("chain", "draw")).values for x in (s, u, hot))
    assert float((s.mean("draw").std("chain", ddof=1) / 32**0.5).max()) < 2e-4
    assert n_u == pytest.approx(n_s, abs=1e-3)
    assert abs(n_s[0] - n_s[1]).max() > 5e-3
    assert abs(n_hot - n_s).max() > 1.5e-3


def test_learned_overlaps_are_those_of_theory(p_min):
    """n = (.59892167, .21439791), m = (.65702496, .22838188) of the exact binomial law, over 24 datasets.

    Without the noise of the examples m would be (.69998, .20289), as stored: seen.
    """
    xi, ds = learnt("supervised", N=3000, samples=24, chains=8, sweeps=50, spins=True)
    m = archetype_overlaps(ds, xi)
    for found, values in ((ds, (0.59892167, 0.21439791)), (m, (0.65702496, 0.22838188))):
        summary = mt.summary(parallel_retrieval(found), "ranked").isel(T=0).rename(mean="value")
        assert student(summary, np.array(values), 24) > p_min
        assert student(summary, np.array([0.69998, 0.20289]), 24) < p_min
