"""Thresholds by vectors and the kernel of 32 chains side by side: the plain rules bit for bit, at any size."""

import hashlib
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mattis as mt
from mattis.core.jit import njit
from mattis.core.philox import lane, words
from mattis.mc import fill
from mattis.mc.blocked import Blocked
from mattis.mc.blocked_tables import blocked_tables
from mattis.mc.kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from mattis.mc.reference import final_spins
from mattis.mc.start import initial_spins
from mattis.mc.thresholds import logit, neglog, thresholds

KEY, SAMPLE = (5, 6), 9
SEED = KEY[0] | KEY[1] << 32
LAWS = {METROPOLIS: neglog, HEAT_BATH: logit}
LIMITS = {np.int16: (-32768, 32767), np.int32: (-2147483648, 2147483520)}
GOLDEN = Path(__file__).parents[1] / "golden" / "trajectories.json"
LARGE = [case for case in json.loads(GOLDEN.read_text()) if case["N"] == 10000 and case["order"] == "sequential"]
load, splat, store, law = fill._load_u, fill._f, fill._store_u, fill._thresholds


@njit(nogil=True)
def fill_words(out, u, scale, limits, heat_bath):
    for at in range(0, u.size, 32):
        store(out, at, law(load(u, at), splat(-scale), limits, heat_bath))


@njit(nogil=True)
def fill_block(out, seeds, minus_scales, sweep, lanes, scales, block, acceptance):
    fill.seed_lanes(seeds, minus_scales, out, KEY[0], KEY[1], sweep, lanes, scales)
    fill.fill_lanes(out, seeds, minus_scales, KEY[0], KEY[1], block, SAMPLE, acceptance)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("acceptance", LAWS)
def test_thresholds_of_every_word(acceptance, kind):
    u = np.arange(2**24, dtype=np.uint32) << np.uint32(8)
    L, out = LAWS[acceptance](u), np.empty(u.size, np.int32)
    for scale in (np.float32(0.7), np.float32(8e4), np.float32(2.0**100)):
        limits = tuple(np.float32(x) for x in LIMITS[kind])
        fill_words(out, u, scale, limits, acceptance == HEAT_BATH)
        assert np.array_equal(out, np.clip(thresholds(L, scale), *LIMITS[kind]))


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("acceptance", LAWS)
def test_thresholds_of_a_chain(acceptance, kind):
    c = int(lane(3, 2**20 - 1))
    for sweep, scale, size in ((0, 0.7, 256), (2**32 - 1, 3e3, 768), (17, 1e9, 2560)):
        out = np.empty(size, kind)
        fill.fill_chain(out, *KEY, sweep, c, SAMPLE, np.float32(scale), acceptance)
        L = LAWS[acceptance](words(SEED, 0, size, row=sweep, lane=c, sample=SAMPLE))
        assert np.array_equal(out, np.clip(thresholds(L, np.float32(scale)), *LIMITS[kind]))
    fill.fill_chain(out, *KEY, 0, c, SAMPLE, np.float32(1), DOWNHILL)
    assert np.all(out == -1)


@pytest.mark.parametrize("kind", LIMITS)
@pytest.mark.parametrize("acceptance", LAWS)
@pytest.mark.parametrize("R", [1, 5, 31, 32])
def test_thresholds_of_lanes(acceptance, kind, R):
    out, lanes = np.empty(128, kind), lane(np.arange(R) % 7, 2**20 - 1 - np.arange(R))
    scratch = np.empty(fill.SEEDS, np.uint64), np.empty(fill.LANES, np.float32)
    scales = np.geomspace(0.1, 1e5, R).astype(np.float32)
    for block, sweep in ((0, 0), (11, 2**32 - 1)):
        fill_block(out, *scratch, sweep, lanes, scales, block, acceptance)
        u = words(SEED, 0, 4 * block + 4, row=sweep, lane=lanes, sample=SAMPLE)[:, 4 * block :]
        expected = [thresholds(LAWS[acceptance](v), scale) for v, scale in zip(u, scales, strict=True)]
        assert np.array_equal(out.reshape(4, 32)[:, :R], np.clip(np.transpose(expected), *LIMITS[kind]))
    fill_block(out, *scratch, 0, lanes, scales, 3, DOWNHILL)
    assert np.all(out == -1)


def weights(N, K):
    return np.random.default_rng([N, K]).choice(np.array([-1, 1], np.int8), size=(K, N))


def spins_of(R, N):
    return np.random.default_rng([R, N, 1]).choice(np.array([-1, 1], np.int8), size=(1, R, N))


def lanes_of(R):
    return lane(np.arange(R) % 5, 3 + np.arange(R))


def kernel(xi, spins, acceptance, lanes):
    return Blocked(blocked_tables(xi), spins, Rule(acceptance, 0, KEY), lanes, SAMPLE)


def slow(xi, spins, acceptance, lanes, scales, first, last):
    """Spins, overlaps and flips, step by step in int64; D is compared in float64."""
    w, s = xi.astype(np.int64), spins[0].astype(np.int64)
    M, flips = s @ w.T, np.zeros(len(s), np.int64)
    for sweep in range(first, last):
        x = np.full(s.shape, -1.0)
        if acceptance != DOWNHILL:
            u = words(SEED, 0, s.shape[1], row=sweep, lane=lanes, sample=SAMPLE)
            x = LAWS[acceptance](u) * scales[min(sweep - first, len(scales) - 1), 0][:, None]
        for i, column in enumerate(w.T):
            flip = (s[:, i] * (M @ column) - len(w)).astype(np.float64) <= x[:, i]
            M -= np.outer(2 * flip * s[:, i], column)
            s[:, i] *= 1 - 2 * flip
            flips += flip
    return s, M, flips


def check(k, expected):
    s, M, flips = expected
    assert np.array_equal(k.spins()[0], s)
    assert np.array_equal(k.overlaps()[0], M)
    assert np.array_equal(k.accepted[0], flips)
    assert np.array_equal(k.total()[0], np.sum(M**2, axis=1))


@pytest.mark.parametrize("acceptance", [METROPOLIS, HEAT_BATH, DOWNHILL])
@pytest.mark.parametrize("K", [1, 2, 7, 53])
@pytest.mark.parametrize("N", [1, 2, 3, 5, 30, 33, 97, 101])
def test_sweeps(N, K, acceptance):
    xi = weights(N, K)
    for R in (1 + (N + K) % 31, 32):
        spins, lanes = spins_of(R, N), lanes_of(R)
        scales = np.geomspace(0.05, 1.5, 3 * R).reshape(3, 1, R).astype(np.float32) * np.float32(N / 2)
        k = kernel(xi, spins, acceptance, lanes)
        check(k, (spins[0], spins[0].astype(int) @ xi.T, np.zeros(R)))
        k.sweep(scales, 7, 10)
        check(k, slow(xi, spins, acceptance, lanes, scales, 7, 10))


@pytest.mark.parametrize("R", range(1, 33))
def test_any_number_of_lanes(R):
    xi, spins, lanes = weights(14, 6), spins_of(R, 14), lanes_of(R)
    scales = np.linspace(0.5, 20, R).reshape(1, 1, R).astype(np.float32)
    k = kernel(xi, spins, HEAT_BATH, lanes)
    k.sweep(scales, 0, 4)
    check(k, slow(xi, spins, HEAT_BATH, lanes, scales, 0, 4))


@pytest.mark.parametrize("acceptance", [METROPOLIS, HEAT_BATH])
def test_a_run_in_parts_and_lanes_in_other_groups(acceptance):
    xi, spins, lanes = weights(41, 11), spins_of(40, 41), lanes_of(40)
    scales = np.linspace(1, 30, 40).reshape(1, 1, 40).astype(np.float32)
    found = []
    for groups, parts in (((0, 32, 40), (0, 9)), ((0, 24, 40), (0, 4, 5, 9))):
        kernels = [kernel(xi, spins[:, a:b], acceptance, lanes[a:b]) for a, b in pairwise(groups)]
        for first, last in pairwise(parts):
            for k, (a, b) in zip(kernels, pairwise(groups), strict=True):
                k.sweep(scales[:, :, a:b], first, last)
        found.append([np.concatenate([getattr(k, what)() for k in kernels], axis=1) for what in ("spins", "overlaps")])
    for one, other in zip(*found, strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("sampler", [mt.Metropolis, mt.HeatBath])
def test_the_reference(sampler):
    T, chains, sweeps = [0.2, 0.6, 1.1], 3, 5
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=37, K=9, samples=2, seed=4))
    spins, lanes = initial_spins(energy, "random", 3, chains, 21), lane(np.arange(3)[:, None], np.arange(chains))
    rule = Rule(HEAT_BATH if sampler is mt.HeatBath else METROPOLIS, 0, (21, 0))
    expected = final_spins(energy, sampler=sampler(), T=T, chains=chains, sweeps=sweeps, start="random", seed=21)
    for sample in range(2):
        k = Blocked(Blocked.tables(energy, sample), spins[sample].reshape(1, 9, 37), rule, lanes.ravel(), sample)
        k.sweep(np.repeat(energy.scale(np.array(T)), chains).reshape(1, 1, 9), 0, sweeps)
        assert np.array_equal(k.spins(), expected[sample].reshape(1, 9, 37))


def test_overlaps_of_all_the_sites_16_bits_can_count():
    xi, R = weights(32767, 1), 2
    spins = np.stack([xi[0], -xi[0]])[None]
    scales = np.array([[[4.0, 3e4]]], np.float32)
    k = kernel(xi, spins, METROPOLIS, lanes_of(R))
    assert k.overlaps().ravel().tolist() == [32767, -32767]
    k.sweep(scales, 0, 2)
    check(k, slow(xi, spins, METROPOLIS, lanes_of(R), scales, 0, 2))


@pytest.mark.parametrize("case", LARGE, ids=lambda case: f"{case['sampler']}-{case['chains']}")
def test_the_large_golden_trajectory(case):
    energy, R = mt.OverlapEnergy.hebbian(mt.patterns(N=case["N"], K=case["K"], seed=case["seed"])), case["chains"]
    spins = initial_spins(energy, case["start"], 1, R, case["seed"])[0]
    rule = Rule(HEAT_BATH if case["sampler"] == "HeatBath" else METROPOLIS, 0, (case["seed"], 0))
    k = Blocked(Blocked.tables(energy, 0), spins, rule, lane(0, np.arange(R)), 0)
    k.sweep(np.full((1, 1, R), energy.scale(np.array(case["T"])), np.float32), 0, case["sweeps"])
    assert hashlib.sha256(k.spins()).hexdigest() == case["sha256"]


@pytest.mark.parametrize("acceptance", [METROPOLIS, HEAT_BATH])
def test_fields_beyond_16_bits(acceptance):
    """N = 10000, K = 1000, T = 1: after a few sweeps some fields pass 32767, and must still decide rightly."""
    xi, R = weights(10000, 1000), 3
    scales, lanes = np.full((1, 1, R), 5000, np.float32), lanes_of(R)
    k = kernel(xi, spins_of(R, 10000), acceptance, lanes)
    k.sweep(scales, 0, 7)
    before, accepted = k.spins(), k.accepted.copy()
    fields = k.overlaps()[0].astype(np.float32) @ xi.astype(np.float32)
    assert np.count_nonzero(np.abs(fields) > 32767) > R
    k.sweep(scales, 7, 8)
    s, M, flips = slow(xi, before, acceptance, lanes, scales, 7, 8)
    check(k, (s, M, accepted[0] + flips))


@pytest.mark.parametrize(("N", "K", "R"), [(1000, 50, 32), (4000, 200, 31), (10000, 1000, 32), (103, 9, 32)])
def test_memory(N, K, R):
    k = kernel(weights(N, K), spins_of(R, N), METROPOLIS, lanes_of(R))
    k.sweep(np.ones((1, 1, R), np.float32), 0, 1)
    pending, held = list(vars(k).values()), {}
    while pending:
        x = pending.pop()
        if isinstance(x, tuple):
            pending += x
        elif isinstance(x, np.ndarray):
            base = x if x.base is None else x.base
            held[id(base)] = base.nbytes
    assert N * K / 8 < sum(held.values()) <= 4 * (N * K / 8 + R * (N + 2 * K))


def test_what_does_not_fit_is_refused():
    xi = np.ones((1, 32768), np.int8)
    assert not Blocked.fits(mt.OverlapEnergy.hebbian(xi), 0)
    assert not Blocked.fits(mt.OverlapEnergy.dense(weights(9, 2), P=4), 0)
    assert not Blocked.fits(mt.OverlapEnergy.multitasking(np.array([[1, 0, -1]])), 0)
    assert Blocked.fits(mt.OverlapEnergy.hebbian(xi[:, :32767]), 0)
    with pytest.raises(ValueError, match="N and K must be at most 32767 sites"):
        blocked_tables(xi)
    with pytest.raises(ValueError, match="lanes must be in"):
        kernel(weights(5, 3), spins_of(33, 5), METROPOLIS, lanes_of(33))
