"""Parallel tempering against full enumeration at 16 temperatures, and planted errors that must be seen.

One number per run: Hotelling's T^2 of the energies of 256 independent ladders, each averaged over 400 draws (1e5 draws
per temperature, every other sweep of N = 14, correlated by less than 0.15), whitened over the temperatures. With the
covariance estimated, T^2 (n - p)/(p (n - 1)) follows F(p, n - p), n = 256, p = 16; a right program fails each test with
probability p_min, T^2 = 84 at 1e-8. One percent of temperature, planted, gives 130 and more.
"""

from functools import cache

import numpy as np
import pytest
from scipy.stats import f

import mattis as mt
from mattis.mc import group

N, LADDERS, DRAWS = 14, 256, 400
XI = mt.patterns(N=N, K=5, seed=59)
BLANK = mt.patterns(N=N, K=8, d=0.4, seed=61)
CASES = {  # energy, rule, ends of the ladder
    "P=2": (mt.OverlapEnergy.hebbian(XI), mt.HeatBath(), (0.25, 2.0)),
    "P=3": (mt.OverlapEnergy.dense(XI, P=3), mt.HeatBath(), (0.15, 1.2)),
    "P=4": (mt.OverlapEnergy.dense(XI, P=4), mt.Metropolis("permutation"), (0.2, 1.2)),
    "diluted": (mt.OverlapEnergy.multitasking(BLANK), mt.Metropolis("random"), (0.2, 1.2)),
}
every_case = pytest.mark.parametrize("name", list(CASES))


def simulated(name, seed, adapt=False):
    """The temperatures and the mean total energy (ladder, T) of every ladder."""
    energy, rule, ends = CASES[name]
    sampler = mt.ParallelTempering(adapt=adapt, rule=rule)
    run = {"T": np.geomspace(*ends, 16), "chains": LADDERS, "sweeps": 2 * DRAWS, "every": 2, "burn_in": 300}
    ds = mt.simulate(energy, sampler=sampler, **run, seed=seed, observables=("energy",))
    assert (ds.round_trips.sum(ds.round_trips.dims[2]) > 0).all()
    return ds["T"].values, N * ds.energy.values[0].mean(axis=-1).T


@cache
def right(name):
    return simulated(name, seed=67)


def p_value(name, T, means):
    """Of the joint deviation from the exact energies at T."""
    n, p = means.shape
    off = means.mean(axis=0) - N * mt.enumerate_states(CASES[name][0], T=T).energy.values[0]
    T_squared = n * off @ np.linalg.solve(np.cov(means.T), off)
    return f.sf(T_squared * (n - p) / (p * (n - 1)), p, n - p)


@every_case
def test_ladders_have_the_energies_of_enumeration(name, p_min):
    assert p_value(name, *right(name)) > p_min


@every_case
def test_one_percent_in_temperature_is_seen(name, p_min):
    """The same energies are not those of a ladder one percent hotter, nor of one that is colder."""
    T, means = right(name)
    assert max(p_value(name, T * 1.01, means), p_value(name, T * 0.99, means)) < p_min


@every_case
def test_one_percent_in_the_scale_of_flips_is_seen(name, p_min, monkeypatch):
    """Planted in the thresholds of the flips alone; swaps know the right temperatures."""
    scale = mt.OverlapEnergy.scale
    monkeypatch.setattr(mt.OverlapEnergy, "scale", lambda self, T: scale(self, 1.01 * np.asarray(T)))
    assert p_value(name, *simulated(name, seed=71)) < p_min


def test_ten_percent_in_the_weight_of_swaps_is_seen(p_min, monkeypatch):
    weights = group.weights
    monkeypatch.setattr(group, "weights", lambda T, c: 1.1 * weights(T, c))
    assert p_value("P=2", *simulated("P=2", seed=73)) < p_min


def test_ladders_that_adapt_have_the_energies_of_enumeration(p_min):
    """A ladder moved by pilot runs is a ladder like any other: the run begins afresh."""
    assert p_value("diluted", *simulated("diluted", seed=79, adapt=True)) > p_min
