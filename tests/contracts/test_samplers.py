"""Every sampler on every energy against the NumPy reference, and what each sampler promises beside its numbers."""

import hashlib
import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

import mattis as mt
from mattis.core.philox import key, lane, words
from mattis.mc import chains as engine
from mattis.mc import reference, routing, tempering
from mattis.mc.plan import Run
from mattis.mc.start import STARTS, initial_spins
from mattis.mc.thresholds import QC, logit, neglog

Energy = mt.OverlapEnergy
XI = mt.patterns(N=19, K=5, samples=2, seed=3)
BLANK = mt.patterns(N=19, K=5, samples=2, d=0.4, seed=3)
ETA = mt.examples(XI, r=0.7, M=5, seed=3)
HALF = np.random.default_rng(3).normal(size=(2, 17, 17))
J = HALF + HALF.transpose(0, 2, 1)
ENERGIES = {
    "hebbian": Energy.hebbian(XI),
    "multitasking": Energy.multitasking(BLANK, diagonal="included"),
    "dense-3": Energy.dense(XI, P=3),
    "dense-4-included": Energy.dense(XI, P=4, diagonal="included"),
    "dense-5": Energy.dense(XI, P=5),
    "diluted-3": Energy.dense(BLANK, P=3),
    "supervised": Energy.supervised(ETA, r=0.7),
    "supervised-3": Energy.supervised(ETA, P=3, r=0.7),
    "supervised-4-included": Energy.supervised(ETA, P=4, r=0.7, diagonal="included"),
    "unsupervised-3": Energy.unsupervised(ETA, P=3, r=0.7),
    "table": Energy.table(XI, np.exp(np.arange(-19, 20) / 7)),
    "couplings": mt.CouplingEnergy(J),
    "whole-couplings": mt.CouplingEnergy(np.rint(3 * J).astype(int)),
}
every_energy = pytest.mark.parametrize("energy", ENERGIES.values(), ids=list(ENERGIES))
SAMPLERS = [
    mt.HeatBath(),
    mt.HeatBath("random"),
    mt.Metropolis("permutation"),
    mt.ZeroTemperature(),
    mt.ZeroTemperature("permutation"),
    mt.ZeroTemperature("random"),
    mt.ZeroTemperature("parallel"),
    mt.Annealing(T_start=3.0, rule=mt.Metropolis()),
    mt.Annealing(T_start=2.0, rule=mt.HeatBath("permutation")),
    mt.ParallelTempering(adapt=False),
    mt.ParallelTempering(adapt=False, rule=mt.Metropolis("random")),
]


def sha(spins):
    return hashlib.sha256(np.ascontiguousarray(spins, np.int8)).hexdigest()


def named(sampler):
    rule = getattr(sampler, "rule", sampler)
    return f"{type(sampler).__name__}-{type(rule).__name__}-{rule.order}"


@every_energy
@pytest.mark.parametrize("sampler", SAMPLERS, ids=named)
def test_equals_the_reference(energy, sampler):
    """Final spins of an odd number of chains; the last draw has the energies, overlaps and q of its spins."""
    T = [0.0] if isinstance(sampler, mt.ZeroTemperature) else [0.4, 0.7, 1.3]
    run = {"sampler": sampler, "T": T, "chains": 3, "sweeps": 4, "start": "random", "seed": 2**33 + 5, "burn_in": 1}
    expected = reference.final_spins(energy, **run)
    ds = mt.simulate(energy, **run, every=2, observables=("overlap", "energy", "q", "spins"))
    assert ds.sha256 == sha(expected)
    s = ds.spins.values[:, :, :, -1]
    for z in range(energy.samples):
        e = energy.per_spin(energy.total_of(s[z], z), z)
        assert np.array_equal(ds.energy.values[z, :, :, -1], e)
        if energy.K:
            m = energy.overlaps(s[z], z) * (energy.unit / energy.N)
            np.testing.assert_allclose(ds.overlap.values[z, :, :, -1], m, rtol=1e-14, atol=1e-15)
    q = np.einsum("ztci,ztci->ztc", s[:, :, :2:2], s[:, :, 1::2], dtype=np.int64) / energy.N
    assert np.array_equal(ds.q.values[..., -1], q)
    assert ("overlap" in ds) == (energy.K > 0)


# --- zero temperature ------------------------------------------------------------------------------------------------


def costs(energy, s, z):
    """D of a flip of every site."""
    sums = energy.sums(s, z)
    return np.array([energy.flip_cost(sums, int(x), i, z) for i, x in enumerate(s)])


@every_energy
@pytest.mark.parametrize("order", ["sequential", "permutation", "random"])
def test_relaxation_only_falls_and_ends_where_no_flip_helps(energy, order):
    run = {"sampler": mt.ZeroTemperature(order), "T": 0.0, "chains": 9, "burn_in": 0, "seed": 5}
    ds = mt.simulate(energy, **run, sweeps=60, observables=("energy", "spins"))
    assert (np.diff(ds.energy.values, axis=-1) <= 0).all()
    assert (ds.energy[..., -1] < ds.energy[..., 0]).any()
    moved = np.any(np.diff(ds.spins.values, axis=3) != 0, axis=-1)
    fell = np.diff(ds.energy.values, axis=-1) < 0
    assert np.array_equal(moved, fell)  # ties stay
    for z, c in np.ndindex(energy.samples, 9):
        assert (costs(energy, ds.spins.values[z, 0, c, -1], z) >= 0).all()


@pytest.mark.parametrize("order", ["sequential", "permutation", "random", "parallel"])
@pytest.mark.parametrize("chains", [3, 40])
def test_ties_stay(order, chains):
    """Orthogonal rows: all fields are 0, every state stays for ever; at any T > 0 none would."""
    xi = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])
    for energy in (Energy.hebbian(xi), mt.CouplingEnergy(np.eye(4)), Energy.table(xi, np.zeros(9))):
        run = {"chains": chains, "sweeps": 5, "burn_in": 0, "seed": 6}
        ds = mt.simulate(energy, sampler=mt.ZeroTemperature(order), T=0, **run)
        assert ds.sha256 == sha(initial_spins(energy, "random", 1, chains, 6))
        assert (ds.acceptance == 0).all()
        assert (mt.simulate(energy, T=1e-9, **run).acceptance.mean() - 0.5) ** 2 < 0.1


@pytest.mark.parametrize("name", ["hebbian", "multitasking", "supervised", "couplings"])
def test_parallel_updates_end_in_cycles_of_two_at_most(name):
    """-sum_i |h_i| never rises (P. Peretto 1984), and falls until the state of two sweeps before is back."""
    energy = ENERGIES[name]
    run = {"sampler": mt.ZeroTemperature("parallel"), "T": 0, "chains": 7, "burn_in": 0, "seed": 7}
    s = mt.simulate(energy, **run, sweeps=40, observables=("spins",)).spins.values[:, 0]
    for z in range(energy.samples):
        sums = energy.sums(s[z], z)
        h = sums if name == "couplings" else sums @ energy.xi[z].astype(int)
        if getattr(energy, "excluded", False):
            h = h - energy.self_term[z] * s[z]
        L = -np.sum(np.abs(h), axis=-1)
        assert (np.diff(L, axis=-1) <= 0).all()
        after = np.where(h == 0, s[z], np.sign(h))
        assert np.array_equal(after[:, :-1], s[z, :, 1:])
    back = (s[:, :, 2:] == s[:, :, :-2]).all(axis=-1)
    assert back[:, :, -1].all()
    assert (np.diff(back.astype(int), axis=-1) >= 0).all()


def test_the_self_term_counts_in_parallel_updates_alone():
    xi = mt.patterns(N=37, K=23, samples=2, seed=8)
    out, included = (Energy.multitasking(xi, diagonal=d) for d in ("excluded", "included"))
    assert (included.self_field == 23).all()
    assert not out.self_field.any()
    for order in ("sequential", "permutation", "random", "parallel"):
        run = {"sampler": mt.ZeroTemperature(order), "T": 0, "chains": 9, "sweeps": 3, "burn_in": 0, "seed": 8}
        assert (mt.simulate(out, **run).sha256 == mt.simulate(included, **run).sha256) == (order != "parallel")
    warm = {"T": [0.5, 1.0], "chains": 9, "sweeps": 3, "burn_in": 0, "seed": 8}
    assert mt.simulate(out, **warm).sha256 == mt.simulate(included, **warm).sha256


# --- annealing -------------------------------------------------------------------------------------------------------


def test_annealing_falls_in_equal_steps():
    energy, T = ENERGIES["supervised-3"], np.array([0.3, 1.1])
    run = Run(energy, mt.Annealing(T_start=2.5), T, burn_in=8, sweeps=4, every=1, seed=1, observables=())
    expected = [energy.scale(2.5 + (T - 2.5) * (n / 8)) for n in range(8)] + [energy.scale(T)] * 4
    assert np.array_equal(run.scales(0, 12), expected)
    for first, last in ((0, 3), (3, 9), (7, 8), (6, 12)):
        assert np.array_equal(run.scales(first, last), expected[first:last])
    for first in (8, 9):
        assert np.array_equal(run.scales(first, 12), expected[-1:])
    assert np.array_equal(replace(run, burn_in=0).scales(0, 5), expected[-1:])


@pytest.mark.parametrize("name", ["hebbian", "dense-3", "couplings"])
def test_annealing_ends_at_constant_temperature(name):
    """From the state after the burn-in, sweeps at T; with T_start = T or no burn-in it is the rule itself."""
    energy = ENERGIES[name]
    run = {"T": [0.4, 0.9], "chains": 3, "sweeps": 5, "seed": 9}
    ds = mt.simulate(energy, sampler=mt.Annealing(T_start=3.0), burn_in=6, **run, observables=("spins",))
    for z, t, c in np.ndindex(2, 2, 3):
        s = ds.spins.values[z, t, c, 0].copy()
        for sweep in range(7, 11):
            u = words(9, 0, energy.N, row=sweep, lane=int(lane(t, c)), sample=z)
            reference.sweep_once(s, energy, z, logit(u) * energy.scale(run["T"][t]), np.arange(energy.N))
            assert np.array_equal(s, ds.spins.values[z, t, c, sweep - 6])
    plain = mt.simulate(energy, burn_in=0, **run).sha256
    assert mt.simulate(energy, sampler=mt.Annealing(T_start=3.0), burn_in=0, **run).sha256 == plain
    level = mt.simulate(energy, sampler=mt.Annealing(T_start=0.9), burn_in=6, **run | {"T": 0.9})
    assert level.sha256 == mt.simulate(energy, burn_in=6, **run | {"T": 0.9}).sha256
    assert level.sha256 != mt.simulate(energy, sampler=mt.Annealing(T_start=20.0), burn_in=6, **run | {"T": 0.9}).sha256


# --- parallel tempering ----------------------------------------------------------------------------------------------

LADDER = {"T": np.linspace(0.25, 1.5, 7), "chains": 3, "sweeps": 240, "burn_in": 0, "seed": 10}


def slow_tempering(energy, T, chains, sweeps, seed, z):
    """One sample by hand: spins, home of every slot after each sweep, flips of every slot, swaps of every pair."""
    N, slots = energy.N, len(T)
    s = initial_spins(energy, "random", slots, chains, seed)[z]
    home = np.empty((chains, sweeps + 1, slots), int)
    flips, swaps = np.zeros((slots, chains), int), np.zeros((chains, slots - 1), int)
    for c in range(chains):
        home[c, 0] = np.arange(slots)
        for n in range(sweeps):
            at = home[c, n].copy()
            for slot, who in enumerate(at):
                u = words(seed, 0, N, row=n, lane=int(lane(who, c)), sample=z)
                x = logit(u) * energy.scale(T[slot])
                sums = energy.sums(s[who, c], z)
                for i in range(N):
                    if energy.flip_cost(sums, int(s[who, c, i]), i, z) <= float(x[i]):
                        energy.flip(sums, int(s[who, c, i]), i, z)
                        s[who, c, i] *= -1
                        flips[slot, c] += 1
            G = energy.total_of(s[:, c], z)
            u = neglog(words(seed, 1, 4 * slots, row=n, lane=c, sample=z))
            for t in range(n % 2, slots - 1, 2):
                w = (1 / T[t] - 1 / T[t + 1]) * energy.c
                if w * float(G[at[t]] - G[at[t + 1]]) <= float(u[4 * t]):
                    at[t], at[t + 1] = at[t + 1], at[t]
                    swaps[c, t] += 1
            home[c, n + 1] = at
    return s, home, flips, swaps


def round_trips(home):
    """Visits of the lowest slot after the highest after the lowest, of every chain; home is (draw, slot)."""
    slots = home.shape[1]
    trips, last = np.zeros(slots, int), [""] * slots
    for at in home:
        if last[at[-1]] == "low":
            last[at[-1]] = "high"
        if last[at[0]] == "high":
            trips[at[0]] += 1
        last[at[0]] = "low"
    return trips


@pytest.mark.parametrize("name", ["hebbian", "dense-4-included", "whole-couplings"])
def test_tempering_by_hand(name):
    """Spins, homes, flips, swaps and round trips of a short run against plain loops, and what stands where."""
    energy, T = ENERGIES[name], np.array([0.3, 0.5, 0.9, 1.4])
    run = {"T": T, "chains": 3, "sweeps": 12, "burn_in": 0, "seed": 11}
    shown = ("spins", "energy", "q")
    ds = mt.simulate(energy, sampler=mt.ParallelTempering(adapt=False), **run, observables=shown)
    final = []
    for z in range(energy.samples):
        s, home, flips, swaps = slow_tempering(energy, T, 3, 12, 11, z)
        final.append(s)
        assert np.array_equal(ds.home[z].transpose("chain", "draw", "T"), home[:, 1:])
        np.testing.assert_allclose(ds.acceptance[z], flips / (12 * energy.N), rtol=1e-14)
        np.testing.assert_allclose(ds.swap_rate[z], swaps / 6, rtol=1e-14)
        for c in range(3):
            assert np.array_equal(ds.round_trips[z, c], round_trips(home[c, 1:]))
            assert np.array_equal(ds.spins[z, :, c, -1], s[home[c, -1], c])
        assert np.array_equal(ds.energy[z], energy.per_spin(energy.total_of(ds.spins.values[z], z), z))
        q = np.mean(ds.spins.values[z, :, 0].astype(float) * ds.spins.values[z, :, 1], axis=-1)
        np.testing.assert_allclose(ds.q[z, :, 0], q, atol=1e-14)
    assert ds.sha256 == sha(np.stack(final))
    assert ds.swap_rate.dims == ("sample", "chain", "lower")
    assert ds.round_trips.dims[:2] == ("sample", "chain")
    assert ds.home.dims == ("sample", "T", "chain", "draw")


def test_bookkeeping_of_swaps():
    """Chains change places in neighbouring pairs of one parity; rates and round trips follow from the homes alone."""
    ds = mt.simulate(ENERGIES["hebbian"], sampler=mt.ParallelTempering(adapt=False), **LADDER)
    home = ds.home.transpose("sample", "chain", "draw", "T").values
    assert (np.sort(home, axis=-1) == np.arange(7)).all()
    first = np.broadcast_to(np.arange(7), home[:, :, :1].shape)
    steps = np.concatenate([first, home], axis=2)
    where = np.argsort(steps, axis=-1)
    assert np.abs(np.diff(where, axis=2)).max() == 1
    swapped = (steps[:, :, :-1, :-1] == steps[:, :, 1:, 1:]) & (steps[:, :, :-1, 1:] == steps[:, :, 1:, :-1])
    parity = np.arange(240)[:, None] % 2 == np.arange(6) % 2
    assert not (swapped & ~parity).any()
    np.testing.assert_allclose(ds.swap_rate, swapped.sum(axis=2) / parity.sum(axis=0), rtol=1e-14)
    trips = [[round_trips(home[z, c]) for c in range(3)] for z in range(2)]
    assert np.array_equal(ds.round_trips, trips)
    assert np.sum(trips) > 10
    assert np.array_equal(tempering.attempts(7, 4), [4, 3, 4])


def test_swap_rounds_are_those_of_the_reference():
    """Energies from equal to far apart, odd and even sweeps, one pair to eleven; infinities of w never arise."""
    rng = np.random.default_rng(12)
    for slots in (2, 3, 8, 12):
        for sweep in range(6):
            w = -np.sort(rng.exponential(size=slots - 1)) * 10.0 ** rng.integers(-3, 1)
            G = rng.integers(-40, 40, (5, slots)) * 10 ** rng.integers(0, 3)
            slot = np.stack([rng.permutation(slots) for _ in range(5)])
            address = np.stack([np.arange(5) * 3, np.arange(5) % 2], axis=1)
            ours, at, swaps = slot.copy(), np.argsort(slot, axis=1), np.zeros((5, slots - 1), np.int64)
            books = swaps, np.zeros(slot.shape, np.int8), np.zeros(slot.shape, np.int64)
            tempering.swap_round((ours, at), G, w, sweep, address, key(99), QC, books)
            for row, g, (chain, sample) in zip(slot, G, address, strict=True):
                reference.swap_round(row, g, w, sweep, int(chain), int(sample), 99)
            assert np.array_equal(ours, slot)
            assert np.array_equal(at, np.argsort(slot, axis=1))
            assert not swaps[:, 1 - sweep % 2 :: 2].any()


def test_adapting_makes_the_rates_equal_and_changes_nothing_else():
    """The inner temperatures move; the run is that of the ladder reached, whatever the threads or the chains."""
    T = np.linspace(0.25, 2.5, 7)
    run = {"T": T, "chains": 3, "sweeps": 400, "seed": 13, "burn_in": 512}
    energy = Energy.hebbian(mt.patterns(N=101, K=5, samples=2, seed=13))
    fixed = mt.simulate(energy, sampler=mt.ParallelTempering(adapt=False), **run)
    moved = mt.simulate(energy, sampler=mt.ParallelTempering(), **run)
    ladder = moved["T"].values
    assert ladder[[0, -1]].tolist() == T[[0, -1]].tolist()
    assert (np.diff(ladder) > 0).all()
    assert (np.abs(ladder - T)[1:-1] > 1e-3).all()
    spread = [float(ds.swap_rate.mean(("sample", "chain")).std()) for ds in (moved, fixed)]
    assert spread[0] < 0.5 * spread[1]
    again = mt.simulate(energy, sampler=mt.ParallelTempering(adapt=False), **run | {"T": ladder})
    xr.testing.assert_identical(again, moved)
    xr.testing.assert_identical(mt.simulate(energy, sampler=mt.ParallelTempering(), **run, threads=1), moved)
    fewer = mt.simulate(Energy.hebbian(energy.xi[:1]), sampler=mt.ParallelTempering(), **run | {"chains": 2})
    xr.testing.assert_equal(fewer, moved.isel(sample=slice(1), chain=slice(2)))


def test_equal_rates():
    """The ladder that has them stays; a bottleneck draws temperatures in, and no rate is taken as one."""
    T = 1 / np.linspace(4.0, 0.5, 8)
    np.testing.assert_allclose(tempering.equal_rates(T, np.full(7, 0.6)), T, rtol=1e-14)
    near = tempering.equal_rates(T, np.array([0.9, 0.9, 0.9, 0.1, 0.9, 0.9, 0.9]))
    assert np.count_nonzero((near > T[3]) & (near < T[4])) >= 3
    assert (np.diff(tempering.equal_rates(T, np.ones(7))) > 0).all()
    assert (np.diff(tempering.equal_rates(T, np.array([1.0, 0, 1, 0, 1, 0, 1]))) > 0).all()


# --- what is refused -------------------------------------------------------------------------------------------------

BAD = [
    (mt.HeatBath(), {"T": 0.0}, "^T must be finite and > 0, got 0.0"),
    (mt.Metropolis(), {"T": [1.0, 0.0]}, r"^T must be finite and > 0, got 0.0 at index \(1,\)$"),
    (mt.ZeroTemperature(), {"T": 0.5}, r"^T must be 0 for ZeroTemperature\(\), got 0.5$"),
    (mt.ZeroTemperature(), {"T": [0.0, 0.1]}, r"^T must be 0 for ZeroTemperature\(\), got 0.1 at index \(1,\)$"),
    (mt.ZeroTemperature(), {"T": [0.0, 0.0]}, r"^T must be one number for ZeroTemperature\(\), got '\[0.0, 0.0\]'$"),
    (mt.ZeroTemperature(), {"T": []}, r"^T must be one number for ZeroTemperature\(\), got '\[\]'$"),
    (mt.ZeroTemperature(), {"T": np.nan}, r"^T must be 0 for ZeroTemperature\(\), got nan$"),
    (mt.Annealing(T_start=1.0), {"T": [0.5, 0.0]}, r"^T must be finite and > 0, got 0.0 at index \(1,\)$"),
    (mt.Annealing(T_start=1.0), {"T": [0.5, 1.2]}, r"^T_start must be at least every T, 1.2, got 1.0 at index \(1,\)$"),
    (mt.ParallelTempering(), {"T": [0.0, 0.5]}, r"^T must be finite and > 0, got 0.0 at index \(0,\)$"),
    (mt.ParallelTempering(), {"T": []}, "^T must be a number or a list of at least one"),
    (mt.ParallelTempering(), {"T": 0.5}, "^number of temperatures T must be >= 2 for parallel tempering, got 1$"),
    (mt.ParallelTempering(), {"T": [0.5, 0.4]}, r"^T must be rising for parallel tempering, got '\[0.5, 0.4\]'"),
    (mt.ParallelTempering(), {"T": [0.4, 0.5, 0.5]}, "^T must be rising for parallel tempering"),
    (mt.ParallelTempering(), {"burn_in": 63}, "^burn_in must be >= 64 for a ladder that adapts, got 63$"),
]


@pytest.mark.parametrize(("sampler", "changes", "message"), BAD)
def test_bad_temperatures(sampler, changes, message):
    run = {"T": [0.4, 0.8], "chains": 3, "sweeps": 4, "burn_in": 64, "seed": 1}
    with pytest.raises(ValueError, match=message):
        mt.simulate(ENERGIES["hebbian"], sampler=sampler, **run | changes)


def test_enumeration_at_zero_temperature_is_refused():
    with pytest.raises(ValueError, match=r"^T must be finite and > 0, got 0.0"):
        mt.enumerate_states(ENERGIES["hebbian"], T=0.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: mt.ZeroTemperature("up"), "order must be one of .*'random', 'parallel', got 'up'"),
        (lambda: mt.HeatBath("parallel"), "order must be one of .*'random', got 'parallel'"),
        (lambda: mt.Annealing(T_start=0.0), "^T_start must be finite and > 0, got 0.0$"),
        (lambda: mt.Annealing(T_start=-1), "^T_start must be finite and > 0, got -1$"),
        (lambda: mt.Annealing(T_start=np.inf), "^T_start must be finite and > 0, got inf$"),
        (lambda: mt.Annealing(T_start=np.nan), "^T_start must be finite and > 0, got nan$"),
        (lambda: mt.ParallelTempering(swap="random"), "^swap must be 'even-odd', got 'random'$"),
    ],
)
def test_bad_samplers(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("rule", [mt.ZeroTemperature(), mt.HeatBath, "metropolis", mt.Annealing(T_start=1.0)])
def test_bad_rules(rule):
    for build in (lambda: mt.Annealing(T_start=1.0, rule=rule), lambda: mt.ParallelTempering(rule=rule)):
        with pytest.raises(TypeError, match=r"^rule must be HeatBath\(\) or Metropolis\(\), got "):
            build()
    with pytest.raises(TypeError, match=r"^adapt must be True or False, got 1$"):
        mt.ParallelTempering(adapt=1)


# --- starts and observables ------------------------------------------------------------------------------------------


def expected_start(energy, start, random):
    """(sample, T, chain, site) by loops over the definition; random where it says nothing."""
    spins = random.copy()
    for z, i in np.ndindex(energy.samples, energy.N):
        column = energy.xi[z, :, i].astype(int).reshape(4, -1).sum(axis=1)  # over the examples stored singly
        first = column[column != 0]
        says = {
            "pattern": column[0],
            "hierarchical": first[0] if first.size else 0,
            "symmetric": column.sum(),
            "example": 0 if energy.example is None else energy.example[z, i],
        }[start]
        if says != 0:
            spins[z, :, :, i] = np.sign(says)
    return spins


@pytest.mark.parametrize("start", [s for s in STARTS if s != "random"])
def test_starts(start):
    blank = mt.patterns(N=41, K=4, d=0.5, samples=2, seed=14)
    eta = mt.examples(blank, r=0.5, M=4, seed=14)
    for energy in (Energy.multitasking(blank), Energy.supervised(eta, r=0.5), Energy.unsupervised(eta, r=0.5, P=3)):
        if start == "example" and energy.example is None:
            continue
        begun = {"T": [0.5, 0.9, 1.3], "chains": 5, "sweeps": 0, "burn_in": 0, "seed": 15}
        random = initial_spins(energy, "random", 3, 5, 15)
        expected = expected_start(energy, start, random)
        assert (expected != random).any()
        assert len(np.unique(expected.reshape(2, 15, 41), axis=1)[0]) > 1  # some site is left to chance
        ds = mt.simulate(energy, start=start, **begun)
        assert ds.sha256 == sha(expected)
        assert ds.start == start
    assert (eta[:, 0, 0] == np.asarray(energy.example)).all()
    assert sha(random) == mt.simulate(energy, **begun).sha256


def test_starts_that_nothing_is_stored_for():
    for energy, start, message in (
        (ENERGIES["hebbian"], "example", "^start='example' needs an energy of examples, supervised or unsupervised$"),
        (
            ENERGIES["couplings"],
            "pattern",
            "^start must be 'random' or an array of spins for a CouplingEnergy, got",
        ),
        (ENERGIES["hebbian"], "ferro", "^start must be one of 'random', .*'example' or an array of spins, got 'ferro'"),
    ):
        with pytest.raises(ValueError, match=message):
            mt.simulate(energy, T=1.0, chains=1, sweeps=1, burn_in=0, start=start, seed=1)


@pytest.mark.parametrize("chains", [1, 2, 5])
def test_observables(chains):
    """q of chains 2c and 2c + 1, the odd one out; only what was asked for; energies without overlaps have none."""
    run = {"T": [0.5, 0.9], "chains": chains, "sweeps": 6, "burn_in": 1, "every": 3, "seed": 16}
    ds = mt.simulate(ENERGIES["hebbian"], **run, observables=("q", "spins"))
    assert set(ds.data_vars) == {"q", "spins", "acceptance"}
    assert ds.q.dims == ("sample", "T", "pair", "draw")
    assert ds.spins.dims == ("sample", "T", "chain", "draw", "site")
    assert ds.sizes["pair"] == chains // 2
    assert ds.spins.dtype == np.int8
    assert (np.abs(ds.spins) == 1).all()
    a, b = (ds.spins.values[:, :, k : chains - chains % 2 : 2].astype(int) for k in (0, 1))
    assert np.array_equal(ds.q, np.sum(a * b, axis=-1) / 19)
    assert sha(ds.spins.values[:, :, :, -1]) == ds.sha256
    every = mt.simulate(ENERGIES["hebbian"], **run | {"every": 1}, observables=("spins", "energy", "overlap"))
    assert np.array_equal(every.spins[:, :, :, 2::3], ds.spins)
    assert set(mt.simulate(ENERGIES["couplings"], **run).data_vars) == {"energy", "acceptance"}
    assert set(mt.simulate(ENERGIES["hebbian"], **run, observables=()).data_vars) == {"acceptance"}


def test_acceptance_counts_flips():
    """Flips per step over all sweeps, burn-in and all: from the spins after every sweep where a sweep flips once."""
    ds = mt.simulate(ENERGIES["hebbian"], T=[0.3, 1.0], chains=11, sweeps=9, burn_in=0, seed=17, observables=("spins",))
    begun = initial_spins(ENERGIES["hebbian"], "random", 2, 11, 17)[:, :, :, None]
    s = np.concatenate([begun, ds.spins.values], axis=3)
    flips = np.sum(s[:, :, :, 1:] != s[:, :, :, :-1], axis=(3, 4))
    np.testing.assert_allclose(ds.acceptance, flips / (9 * 19), rtol=1e-14)


# --- checkpoints -----------------------------------------------------------------------------------------------------

KILLED = [mt.Annealing(T_start=2.0), mt.Annealing(T_start=2.0, rule=mt.Metropolis("random"))]
KILLED += [mt.ParallelTempering(adapt=False), mt.ParallelTempering(rule=mt.Metropolis("permutation"))]


@pytest.mark.parametrize("calls", [1, 50, 200])
@pytest.mark.parametrize("sampler", KILLED, ids=named)
@pytest.mark.parametrize("name", ["multitasking", "dense-3", "couplings"])
def test_interrupted_runs_resume(name, sampler, calls, tmp_path):
    """Stopped within the burn-in or after it, with small groups of chains, and continued: the same dataset."""
    path = tmp_path / "run.npz"
    run = {"sampler": sampler, "T": [0.4, 0.7, 1.3], "chains": 5, "sweeps": 21, "burn_in": 67, "every": 3, "seed": 18}
    shown = ("energy", "overlap", "q", "spins")
    whole = mt.simulate(ENERGIES[name], **run, observables=shown)
    real, count, adapting = engine._advance_one, iter(range(calls)), getattr(sampler, "adapt", False)

    def interrupted(of, *arguments):
        for sweeps in real(of, *arguments):
            if of.burn_in == 67 and next(count, None) is None:
                raise KeyboardInterrupt
            yield sweeps

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_advance_one", interrupted)
        patch.setattr(engine, "_COMMIT_SECONDS", -1.0)
        patch.setattr(engine, "_LARGEST_SPAN", 1)
        patch.setattr(routing, "_SIDE_BY_SIDE", 4)
        patch.setattr(routing, "_WORK", 1)
        with pytest.raises(KeyboardInterrupt):
            mt.simulate(ENERGIES[name], **run, observables=shown, checkpoint=path, threads=1)
    with np.load(path) as file:
        assert 0 < file["sweep"].sum() < file["sweep"].size * 88
        assert json.loads(str(file["run"]))["T"] == whole["T"].values.tolist()
        assert adapting == (whole["T"].values.tolist() != [0.4, 0.7, 1.3])
    xr.testing.assert_identical(whole, mt.simulate(ENERGIES[name], **run, observables=shown, checkpoint=path))


LONG = """
import sys
import mattis as mt
from mattis.mc import chains
chains.SAVE_EVERY_SECONDS, chains._COMMIT_SECONDS = 0.05, 0.02
energy = mt.OverlapEnergy.hebbian(mt.patterns(N=201, K=7, samples=3, seed=1))
run = dict(T=[0.4, 0.6, 0.9, 1.3], chains=5, sweeps=3000, burn_in=3000, every=100, seed=3)
ds = mt.simulate(energy, sampler=mt.ParallelTempering(), checkpoint=sys.argv[1] if sys.argv[1:] else None, **run)
print(ds.sha256, int(ds.round_trips.sum()), ds["T"].values.tolist())
"""


def test_killed_ladders_resume(tmp_path):
    path = tmp_path / "run.npz"

    def begin(*arguments):
        command = [sys.executable, "-W", "error", "-c", LONG, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    killed = begin(path)
    while killed.poll() is None and not path.exists():
        time.sleep(0.005)
    time.sleep(0.1)
    assert killed.poll() is None
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    with np.load(path) as file:
        assert file["sweep"].sum() < 60 * 6000
    (resumed, warned), (whole, _) = (begin(*to).communicate(timeout=120) for to in ((path,), ()))
    assert warned == ""
    assert resumed == whole != ""
