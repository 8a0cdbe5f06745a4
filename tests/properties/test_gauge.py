"""Symmetries of the energy hold for every single trajectory, not only for averages."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import mattis as mt

RULES = st.builds(
    lambda rule, order: rule(order),
    st.sampled_from([mt.HeatBath, mt.Metropolis]),
    st.sampled_from(["sequential", "permutation", "random"]),
)
SAMPLERS = st.one_of(
    RULES,
    st.builds(lambda rule: mt.Annealing(T_start=2.0, rule=rule), RULES),
    st.builds(lambda rule: mt.ParallelTempering(adapt=False, rule=rule), RULES),
)
EVEN = {  # data (patterns or examples) to an energy that does not tell sigma from -sigma
    "hebbian": mt.OverlapEnergy.hebbian,
    "multitasking": lambda xi: mt.OverlapEnergy.multitasking(xi, diagonal="included"),
    "dense-4": lambda xi: mt.OverlapEnergy.dense(xi, P=4),
    "table": lambda xi: mt.OverlapEnergy.table(xi, np.abs(np.arange(-xi.shape[-1], xi.shape[-1] + 1)) ** 1.5),
    "supervised": lambda eta: mt.OverlapEnergy.supervised(eta, r=0.7),
    "supervised-4": lambda eta: mt.OverlapEnergy.supervised(eta, P=4, r=0.7, diagonal="included"),
    "unsupervised": lambda eta: mt.OverlapEnergy.unsupervised(eta, r=0.7),
}
ODD = {
    "dense-3": lambda xi: mt.OverlapEnergy.dense(xi, P=3),
    "dense-5": lambda xi: mt.OverlapEnergy.dense(xi, P=5, diagonal="included"),
    "supervised-3": lambda eta: mt.OverlapEnergy.supervised(eta, P=3, r=0.7),
    "unsupervised-3": lambda eta: mt.OverlapEnergy.unsupervised(eta, P=3, r=0.7),
}
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 9)).filter(lambda size: size[0] != size[1])
SEEDS = st.integers(0, 2**64 - 1)
QUIET = settings(derandomize=True, deadline=None, max_examples=60)


def trajectory(energy, start, sampler, seed):
    return mt.simulate(energy, sampler=sampler, T=[0.4, 1.2], chains=3, sweeps=5, burn_in=1, start=start, seed=seed)


def setting(name, size, seed):
    """Patterns or examples, spins (sample, T, chain, site), a gauge and an order of the patterns, of one size."""
    N, K = size
    data = mt.patterns(N=N, K=K, d=0.4 if name == "multitasking" else 0.0, samples=2, seed=seed)
    if "supervised" in name:
        data = mt.examples(data, r=0.7, M=3, seed=seed)
    rng = np.random.default_rng(seed)
    return data.values, rng.choice([-1, 1], (2, 2, 3, N)), rng.choice([-1, 1], N), rng.permutation(K)


@QUIET
@given(st.sampled_from([*EVEN, *ODD]), SIZES, SAMPLERS, SEEDS)
def test_gauge(name, size, sampler, seed):
    """xi -> eps xi and sigma -> eps sigma leave every overlap and energy as they are."""
    make = (EVEN | ODD)[name]
    xi, start, eps, _ = setting(name, size, seed)
    a = trajectory(make(xi), start, sampler, seed)
    b = trajectory(make(eps * xi), eps * start, sampler, seed)
    assert np.array_equal(a.overlap, b.overlap)
    assert np.array_equal(a.energy, b.energy)


@QUIET
@given(st.sampled_from(list(EVEN)), SIZES, SAMPLERS, SEEDS)
def test_spin_flip(name, size, sampler, seed):
    """The energy is even: sigma -> -sigma turns every overlap over."""
    xi, start, _, _ = setting(name, size, seed)
    a, b = (trajectory(EVEN[name](xi), s, sampler, seed) for s in (start, -start))
    assert np.array_equal(a.overlap, -b.overlap)
    assert np.array_equal(a.energy, b.energy)


def test_odd_powers_tell_a_pattern_from_its_negative():
    for name, make in ODD.items():
        xi, start, _, _ = setting(name, (33, 7), 1)
        a, b = (trajectory(make(xi), s, mt.HeatBath(), 1) for s in (start, -start))
        assert not np.array_equal(a.energy, b.energy)


@QUIET
@given(st.sampled_from([*EVEN, *ODD]), SIZES, SAMPLERS, SEEDS)
def test_pattern_names(name, size, sampler, seed):
    """Patterns in another order, or of the other sign where the energy is even, are the same patterns."""
    make, sign = (EVEN | ODD)[name], -1 if name in EVEN else 1
    xi, start, _, order = setting(name, size, seed)
    a = trajectory(make(xi), start, sampler, seed)
    b = trajectory(make(sign * xi[:, order]), start, sampler, seed)
    of = np.arange(a.sizes["mu"]).reshape(order.size, -1)[order].ravel()  # examples stay with their pattern
    assert np.array_equal(a.overlap.values[..., of], sign * b.overlap.values)
    assert np.array_equal(a.energy, b.energy)


@QUIET
@given(SIZES, SEEDS, st.floats(0, 1))
def test_diluted_patterns_blank_sites_and_keep_the_signs_of_the_others(size, seed, d):
    N, K = size
    full, thin = (mt.patterns(N=N, K=K, d=dilution, seed=seed).values for dilution in (0.0, d))
    assert (np.abs(full) == 1).all()
    assert ((thin == full) | (thin == 0)).all()
