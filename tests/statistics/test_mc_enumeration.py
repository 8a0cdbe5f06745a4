"""Independent chains, one state of each, against full enumeration; and planted bugs that must be seen."""

from functools import cache
from itertools import permutations

import numpy as np
import pytest

import mattis as mt
from mattis.mc.exact import all_states, boltzmann
from mattis.mc.thresholds import logit, neglog, thresholds


@cache
def law(heat_bath):
    """L(u) for all 2^24 words that differ, ascending (L falls with u)."""
    words = np.arange(2**24, dtype=np.uint32)[::-1] << np.uint32(8)
    return logit(words) if heat_bath else neglog(words)


CASES = [  # N, K, T, chains, burn-in: pairwise different
    (5, 2, 0.7, 7000, 60),
    (7, 3, 1.1, 7500, 50),
    (8, 1, 0.8, 8000, 80),
    (10, 6, 0.9, 8500, 70),
    (11, 4, 1.4, 9000, 40),
    (12, 9, 1.9, 9500, 30),
]
RULES = [(s, o) for s in (mt.HeatBath, mt.Metropolis) for o in ("sequential", "permutation", "random")]


def keys(energy, spins, by):
    """What is counted of spins (..., site): all overlaps, the integer energy, or the state itself."""
    if by == "overlap":
        return energy.overlaps(spins)
    return energy.total_of(spins)[:, None] if by == "energy" else (spins > 0) @ (1 << np.arange(energy.N))[:, None]


def classes(energy, T, by):
    """Key of every state, as class numbers, and the class probabilities."""
    kinds, kind = np.unique(keys(energy, all_states(energy.N), by), axis=0, return_inverse=True)
    return kinds, np.bincount(kind.ravel(), boltzmann(energy, T=T).values[0, 0])


def counts(kinds, seen):
    """How often each row of ``kinds`` occurs among the rows of ``seen``."""
    found, at, n = np.unique(np.concatenate([kinds, seen]), axis=0, return_inverse=True, return_counts=True)
    assert len(found) == len(kinds), "a state that does not exist"
    return (n - 1)[at.ravel()[: len(kinds)]]


def last_spins(energy, sampler, T, chains, burn_in, seed):
    run = {"T": T, "chains": chains, "sweeps": 1, "burn_in": burn_in, "seed": seed}
    return mt.simulate(energy, sampler=sampler, **run, observables=("spins",)).spins.values[0, 0, :, 0]


@pytest.mark.parametrize("by", ["overlap", "energy"])
@pytest.mark.parametrize(("case", "rule"), list(zip(CASES, RULES, strict=True)))
def test_chains_sample_the_boltzmann_law(case, rule, by, chi_square, p_min):
    N, K, T, chains, burn_in = case
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=N, K=K, seed=N))
    kinds, p = classes(energy, T, by)
    spins = last_spins(energy, rule[0](rule[1]), T, chains, burn_in, seed=29)
    assert chi_square(counts(kinds, keys(energy, spins, by)), p) > p_min


XI = {N: mt.patterns(N=N, K=3, seed=N) for N in (6, 7, 8, 9)}
HALF = np.random.default_rng(7).normal(size=(7, 7)) / np.sqrt(7)
OTHERS = {  # energy, T
    "dense-3": (mt.OverlapEnergy.dense(XI[9], P=3), 0.6),
    "dense-4": (mt.OverlapEnergy.dense(XI[8], P=4), 0.3),
    "dense-4-included": (mt.OverlapEnergy.dense(XI[7], P=4, diagonal="included"), 0.5),
    "diluted": (mt.OverlapEnergy.multitasking(mt.patterns(N=9, K=5, d=0.4, seed=10)), 0.7),
    "supervised-3": (mt.OverlapEnergy.supervised(mt.examples(XI[8], r=0.7, M=4, seed=8), P=3, r=0.7), 0.7),
    "unsupervised-3": (mt.OverlapEnergy.unsupervised(mt.examples(XI[6], r=0.7, M=3, seed=6), P=3, r=0.7), 0.8),
    "table": (mt.OverlapEnergy.table(XI[7], 0.1 * np.abs(np.arange(-7, 8)) ** 1.5), 0.9),
    "couplings": (mt.CouplingEnergy(HALF + HALF.T), 1.1),
}


@pytest.mark.parametrize("by", ["state", "energy"])
@pytest.mark.parametrize("rule", [mt.HeatBath, mt.Metropolis])
@pytest.mark.parametrize("name", list(OTHERS))
def test_chains_of_other_energies_sample_the_boltzmann_law(name, rule, by, chi_square, p_min):
    """Each order in turn; every state of N = 6 to 9, or every level."""
    energy, T = OTHERS[name]
    n = list(OTHERS).index(name) + (rule == mt.HeatBath)
    kinds, p = classes(energy, T, by)
    spins = last_spins(energy, rule(("sequential", "permutation", "random")[n % 3]), T, 7000 + n, 60, seed=31 + n)
    assert chi_square(counts(kinds, keys(energy, spins, by)), p) > p_min


@pytest.mark.parametrize(("sampler", "factor"), [(mt.HeatBath(), 0.95), (mt.Metropolis(), 1.05)])
@pytest.mark.parametrize("name", ["hebbian", "dense-3", "supervised-3", "couplings"])
def test_five_percent_in_beta_is_seen(name, sampler, factor, chi_square, p_min):
    hebbian = mt.OverlapEnergy.hebbian(mt.patterns(N=12, K=5, seed=31)), 0.8
    energy, T = (OTHERS | {"hebbian": hebbian})[name]
    kinds, p = classes(energy, T, "energy")
    spins = last_spins(energy, sampler, T / factor, 30000 if name == "hebbian" else 45000, 25, seed=37)
    assert chi_square(counts(kinds, keys(energy, spins, "energy")), p) < p_min


def plain_chains(energy, T, chains, sweeps, to_integer=np.floor, bias=0):
    """Heat bath in plain NumPy on all chains at once; ``to_integer`` and ``bias`` of site 0 plant bugs."""
    rng = np.random.default_rng(41)
    sigma = rng.choice(np.array([-1, 1]), (chains, energy.N))
    xi = energy.xi[0].astype(np.int64)
    for _ in range(sweeps):
        for i in range(energy.N):
            D = sigma[:, i] * (energy.overlaps(sigma) @ xi[:, i]) - energy.self_term[0, i]
            x = logit(rng.integers(2**32, size=chains, dtype=np.uint32)) * energy.scale(T)
            D = D + (bias * sigma[:, 0] if i == 0 else 0)
            sigma[to_integer(x) >= D, i] *= -1
    return sigma


@pytest.mark.parametrize(
    ("bug", "seen"), [({}, False), ({"to_integer": np.trunc}, True), ({"bias": 2}, True), ({"bias": -2}, True)]
)
def test_wrong_thresholds_and_a_biased_site_are_seen(bug, seen, chi_square, p_min):
    """K (N - 1) is odd, so D is odd and a cast moves the law; for even D it would move only D = 0, both ways."""
    N, K, T = 6, 3, 0.6
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=N, K=K, seed=43))
    sigma = plain_chains(energy, T, 50000, 25, **bug)
    state = (sigma > 0) @ (2 ** np.arange(N))
    p = chi_square(np.bincount(state, minlength=2**N), boltzmann(energy, T=T).values[0, 0])
    assert (p < p_min) == seen


def site_matrices(energy, T, L, to_integer=np.floor):
    """The exact transition matrix of a step at each site, summed over all 2^24 acceptance words."""
    N, states = energy.N, all_states(energy.N).astype(int)
    x = L * energy.scale(T)
    threshold = to_integer(x)
    h = energy.overlaps(states) @ energy.xi[0].astype(np.int64)
    matrices = np.zeros((N, 2**N, 2**N))
    for i in range(N):
        D = states[:, i] * h[:, i] - energy.self_term[0, i]
        flips = 1 - np.searchsorted(threshold, D, side="left") / 2**24
        k = np.arange(2**N)
        matrices[i, k, k ^ (1 << i)] = flips
        matrices[i, k, k] = 1 - flips
    return matrices


@pytest.mark.parametrize("heat_bath", [True, False])
@pytest.mark.parametrize(("K", "T"), [(2, 0.5), (3, 0.8), (5, 1.3)])
def test_the_boltzmann_law_is_stationary(heat_bath, K, T):
    """Sequential: pi P = pi; permutation: its average; random: detailed balance; to the 24 bits of a threshold."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=4, K=K, seed=47))
    pi = boltzmann(energy, T=T).values[0, 0]
    L = law(heat_bath)
    assert np.array_equal(np.floor(L[:99] * energy.scale(T)), thresholds(L[:99], energy.scale(T)))
    P = site_matrices(energy, T, L)
    sweep = np.linalg.multi_dot(list(P))
    mean = np.mean([np.linalg.multi_dot([P[i] for i in order]) for order in permutations(range(4))], axis=0)
    flow = pi[:, None] * P.mean(axis=0)
    assert np.abs(pi @ sweep - pi).max() < 1e-6
    assert np.abs(pi @ mean - pi).max() < 1e-6
    assert np.abs(flow - flow.T).max() < 1e-6
    hot = np.linalg.multi_dot(list(site_matrices(energy, T * 1.05, L)))
    assert np.abs(pi @ hot - pi).max() > 1e-4


def test_a_cast_breaks_stationarity():
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=4, K=3, seed=47))
    pi = boltzmann(energy, T=0.8).values[0, 0]
    sweep = np.linalg.multi_dot(list(site_matrices(energy, 0.8, law(True), np.trunc)))
    assert np.abs(pi @ sweep - pi).max() > 1e-3


def test_enumeration_against_sums_written_out():
    """Z, <e>, <|m|> and <m^2> of two samples from their definitions, with H from the couplings."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=6, K=3, samples=2, seed=53))
    T = [0.5, 1.2, 2.0, 7.0]
    exact = mt.enumerate_states(energy, T=T)
    s = all_states(6).astype(float)
    for sample, xi in enumerate(energy.xi.astype(float)):
        J = (xi.T @ xi) * (1 - np.eye(6)) / 6
        H = -0.5 * np.einsum("si,ij,sj->s", s, J, s)
        for t, temperature in enumerate(T):
            w = np.exp(-H / temperature)
            at = exact.isel(sample=sample, T=t)
            assert float(at.log_Z) == pytest.approx(np.log(w.sum()), rel=1e-13)
            assert float(at.free_energy) == pytest.approx(-temperature * np.log(w.sum()) / 6, rel=1e-13)
            assert float(at.energy) == pytest.approx(w @ H / w.sum() / 6, rel=1e-12)
            m = s @ xi.T / 6
            np.testing.assert_allclose(at.abs_overlap, w @ np.abs(m) / w.sum(), rtol=1e-12)
            np.testing.assert_allclose(at.overlap_squared, w @ m**2 / w.sum(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"N must be in \[1, 20\], got 21"):
        mt.enumerate_states(mt.OverlapEnergy.hebbian(np.ones((1, 21))), T=1.0)
