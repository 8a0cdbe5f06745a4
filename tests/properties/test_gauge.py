"""Symmetries of the energy hold for every single trajectory, not only for averages."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import mattis as mt

SAMPLERS = st.builds(
    lambda rule, order: rule(order),
    st.sampled_from([mt.HeatBath, mt.Metropolis]),
    st.sampled_from(["sequential", "permutation", "random"]),
)
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 9)).filter(lambda size: size[0] != size[1])
SEEDS = st.integers(0, 2**64 - 1)
QUIET = settings(derandomize=True, deadline=None, max_examples=60)


def trajectory(xi, start, sampler, seed):
    energy = mt.OverlapEnergy.hebbian(xi)
    return mt.simulate(energy, sampler=sampler, T=[0.4, 1.2], chains=3, sweeps=5, burn_in=1, start=start, seed=seed)


def setting(size, seed):
    """Patterns, spins (sample, T, chain, site) and a gauge of one size."""
    N, K = size
    xi = mt.patterns(N=N, K=K, samples=2, seed=seed).values
    rng = np.random.default_rng(seed)
    return xi, rng.choice([-1, 1], (2, 2, 3, N)), rng.choice([-1, 1], N), rng.permutation(K)


@QUIET
@given(SIZES, SAMPLERS, SEEDS)
def test_gauge(size, sampler, seed):
    """xi -> eps xi and sigma -> eps sigma leave every overlap and energy as they are."""
    xi, start, eps, _ = setting(size, seed)
    a = trajectory(xi, start, sampler, seed)
    b = trajectory(eps * xi, eps * start, sampler, seed)
    assert np.array_equal(a.overlap, b.overlap)
    assert np.array_equal(a.energy, b.energy)


@QUIET
@given(SIZES, SAMPLERS, SEEDS)
def test_spin_flip(size, sampler, seed):
    """The energy is even: sigma -> -sigma turns every overlap over."""
    xi, start, _, _ = setting(size, seed)
    a, b = (trajectory(xi, s, sampler, seed) for s in (start, -start))
    assert np.array_equal(a.overlap, -b.overlap)
    assert np.array_equal(a.energy, b.energy)


@QUIET
@given(SIZES, SAMPLERS, SEEDS)
def test_pattern_names(size, sampler, seed):
    """Patterns in another order, or of the other sign, are the same patterns."""
    xi, start, _, order = setting(size, seed)
    a = trajectory(xi, start, sampler, seed)
    b = trajectory(-xi[:, order], start, sampler, seed)
    assert np.array_equal(a.overlap.values[..., order], -b.overlap.values)
    assert np.array_equal(a.energy, b.energy)


@QUIET
@given(SIZES, SEEDS, st.floats(0, 1))
def test_diluted_patterns_blank_sites_and_keep_the_signs_of_the_others(size, seed, d):
    N, K = size
    full, thin = (mt.patterns(N=N, K=K, d=dilution, seed=seed).values for dilution in (0.0, d))
    assert (np.abs(full) == 1).all()
    assert ((thin == full) | (thin == 0)).all()
