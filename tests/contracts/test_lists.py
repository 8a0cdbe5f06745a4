"""The kernel of index lists against a slow loop in 64-bit integers, and the bounds that choose its integers."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from mattis.core.philox import key, words
from mattis.mc.integers import IntegerOverlaps
from mattis.mc.kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from mattis.mc.list_tables import WIDEST, cheap_bound, field_bound
from mattis.mc.lists import Lists
from mattis.mc.reference import sites
from mattis.mc.thresholds import logit, neglog

SEED, SAMPLE = 2**40 + 11, 3
RULES = list(product((METROPOLIS, HEAT_BATH, DOWNHILL), (0, 1, 2)))
KINDS = ("signs", "diluted", "examples", "heavy")


def weights(kind, N, K, seed=0):
    rng = np.random.default_rng([N, K, seed])
    signs = rng.choice(np.array([-1, 1], np.int8), size=(K, N))
    if kind == "diluted":
        return signs * (rng.random((K, N)) < 0.4).astype(np.int8)
    if kind == "examples":
        return np.sum(signs * rng.choice([-1, 1], size=(5, K, N), p=(0.25, 0.75)), axis=0, dtype=np.int16)
    if kind == "heavy":
        return rng.integers(-127, 128, size=(K, N), dtype=np.int32)
    return signs


def start(xi, R, seed=1):
    """Half of the lanes at random, half at the first pattern."""
    spins = np.random.default_rng(seed).choice(np.array([-1, 1], np.int8), size=(1, R, xi.shape[1]))
    spins[0, ::2] = np.where(xi[0] < 0, -1, 1)
    return spins


def addresses(R):
    return (np.arange(R, dtype=np.uint64) % 3 << 20) | np.arange(5, R + 5, dtype=np.uint64)


def scales_of(xi, R, rows):
    """Temperatures from frozen to free, in units of the largest self term, other ones each sweep."""
    D = np.sqrt(np.mean(np.sum(xi.astype(float) ** 2, axis=0)) * xi.shape[1])
    return np.geomspace(0.02, 3, rows * R).reshape(rows, 1, R).astype(np.float32) * np.float32(D)


def slow(xi, spins, rule, scales, last):
    """Spins and flips after ``last`` sweeps, step by step, D in int64 and compared in float64."""
    w, s = xi.astype(np.int64), spins[0].astype(np.int64)
    R, N = s.shape
    M, flips = s @ w.T, np.zeros(R, np.int64)
    seed, order = rule.key[0] | rule.key[1] << 32, ("sequential", "permutation", "random")[rule.order]
    for sweep in range(last):
        u = words(seed, 0, N, row=sweep, lane=addresses(R), sample=SAMPLE)
        x = (logit if rule.acceptance == HEAT_BATH else neglog)(u) * scales[min(sweep, len(scales) - 1), 0][:, None]
        for t, i in enumerate(sites(order, N, seed, SAMPLE, sweep)):
            D = s[:, i] * (M @ w[:, i]) - w[:, i] @ w[:, i]
            flip = D < 0 if rule.acceptance == DOWNHILL else D.astype(np.float64) <= x[:, t].astype(np.float64)
            M -= 2 * np.outer(flip * s[:, i], w[:, i])
            s[flip, i] *= -1
            flips += flip
    return s, flips


def kernel(xi, spins, rule, tables=None):
    made = Lists.tables(IntegerOverlaps(np.stack([xi])), 0) if tables is None else tables
    return Lists(made, spins, rule, addresses(spins.shape[1]), SAMPLE)


def check(k, xi, spins, rule, scales, last):
    s, flips = slow(xi, spins, rule, scales, last)
    M = s @ xi.T.astype(np.int64)
    np.testing.assert_array_equal(k.spins(), s[None])
    np.testing.assert_array_equal(k.overlaps(), M[None])
    np.testing.assert_array_equal(k.total(), np.sum(M**2, axis=1)[None])
    np.testing.assert_array_equal(k.accepted, flips[None])
    return flips


@pytest.mark.parametrize("K", [1, 7, 53])
@pytest.mark.parametrize("N", [1, 3, 5, 30, 33, 97, 101])
@pytest.mark.parametrize("kind", KINDS)
def test_equals_the_slow_loop(kind, N, K):
    """Three orders, all acceptances, one to 32 lanes, a temperature of their own for every lane and sweep."""
    xi, total = weights(kind, N, K), 0
    for n, (acceptance, order) in enumerate(RULES):
        R, rows = (1, 2, 13, 31, 32)[(n + N + K) % 5], 1 + 2 * (n % 2)
        rule, spins, scales = Rule(acceptance, order, key(SEED)), start(xi, R), scales_of(xi, R, rows)
        k = kernel(xi, spins, rule)
        k.sweep(scales, 0, 3)
        total += check(k, xi, spins, rule, scales, 3).sum()
    assert total > 0


@pytest.mark.parametrize("kind", KINDS)
def test_split_runs_and_lane_groups_change_nothing(kind):
    xi = weights(kind, 97, 7)
    for acceptance, order in RULES:
        rule, spins, scales = Rule(acceptance, order, key(SEED)), start(xi, 24), scales_of(xi, 24, 6)
        whole = kernel(xi, spins, rule)
        whole.sweep(scales, 0, 6)
        split = kernel(xi, spins, rule)
        split.sweep(scales[:1], 0, 1)
        split.sweep(scales[1:], 1, 6)
        np.testing.assert_array_equal(split.spins(), whole.spins())
        np.testing.assert_array_equal(split.accepted, whole.accepted)
        tables = Lists.tables(IntegerOverlaps(np.stack([xi])), 0)
        for part in (slice(0, 7), slice(7, 24)):
            k = Lists(tables, spins[:, part], rule, addresses(24)[part], SAMPLE)
            k.sweep(np.ascontiguousarray(scales[:, :, part]), 0, 6)
            np.testing.assert_array_equal(k.spins(), whole.spins()[:, part])


def test_a_later_start_is_that_of_a_resumed_run():
    xi, rule = weights("diluted", 33, 7), Rule(HEAT_BATH, 2, key(SEED))
    spins, scales = start(xi, 9), scales_of(xi, 9, 1)
    whole, first = kernel(xi, spins, rule), kernel(xi, spins, rule)
    whole.sweep(scales, 0, 5)
    first.sweep(scales, 0, 2)
    resumed = kernel(xi, first.spins(), rule)
    resumed.sweep(scales, 2, 5)
    np.testing.assert_array_equal(resumed.spins(), whole.spins())
    np.testing.assert_array_equal(resumed.overlaps(), whole.overlaps())


def test_fields_beyond_16_bits_take_the_wider_route():
    """Sixty patterns that agree on three sites of four: fields of 60000, which 16 bits turn into a gain."""
    common = weights("signs", 4000, 1)
    xi = common * np.random.default_rng(4).choice(np.array([-1, 1], np.int8), size=(60, 4000), p=(0.25, 0.75))
    rule, spins = Rule(METROPOLIS, 1, key(SEED)), start(common, 4)
    scales = np.full((1, 1, 4), 2000, np.float32)
    tables = Lists.tables(IntegerOverlaps(xi[None]), 0)
    assert (tables.row, tables.site.dtype, tables.run) == (np.int16, np.int32, 8)
    k = kernel(xi, spins, rule, tables)
    k.sweep(scales, 0, 2)
    check(k, xi, spins, rule, scales, 2)
    narrow = {name: getattr(tables, name).astype(np.int16) for name in ("factor", "site")}
    wrong = kernel(xi, spins, rule, replace(tables, **narrow, run=60))
    wrong.sweep(scales, 0, 2)
    assert np.any(wrong.spins() != k.spins())


@pytest.mark.parametrize(("N", "integers"), [(32767, np.int16), (32768, np.int32)])
def test_overlaps_beyond_16_bits_take_the_wider_route(N, integers):
    xi, rule = np.ones((1, N), np.int8), Rule(HEAT_BATH, 0, key(SEED))
    spins, scales = np.ones((1, 2, N), np.int8), np.full((1, 1, 2), 6000, np.float32)
    k = kernel(xi, spins, rule)
    assert k.overlaps().dtype == integers
    assert k.overlaps().tolist() == [[[N], [N]]]
    k.sweep(scales, 0, 1)
    flips = check(k, xi, spins, rule, scales, 1)
    assert np.all(flips > 0)


def test_long_gaps_between_patterns():
    """Listed patterns more than 255 and more than 65535 apart."""
    for K, dtype in ((300, np.uint16), (65600, np.uint32)):
        xi = np.zeros((K, 30), np.int8)
        xi[np.random.default_rng(K).choice(K, 20), :20] = weights("signs", 20, 20)
        xi[-1, ::2] = 1
        rule, spins, scales = Rule(METROPOLIS, 2, key(SEED)), start(xi, 5), np.full((1, 1, 5), 9, np.float32)
        k = kernel(xi, spins, rule)
        assert Lists.tables(IntegerOverlaps(xi[None]), 0).gaps.dtype == dtype
        k.sweep(scales, 0, 2)
        check(k, xi, spins, rule, scales, 2)


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_are_those_of_the_couplings(kind):
    for N, K in ((1, 1), (5, 3), (600, 7)):
        xi = weights(kind, N, K)
        C = xi.T.astype(np.int64) @ xi.astype(np.int64)
        np.fill_diagonal(C, 0)
        exact = max(int(np.abs(C).sum(axis=1).max()), int(np.abs(xi.astype(np.int64)).sum(axis=1).max()))
        assert cheap_bound(xi) >= exact
        assert field_bound(xi, exact) == exact
        assert field_bound(xi, exact - 1) >= exact


def test_what_fits():
    xi = weights("signs", 33, 7)[None]
    assert Lists.fits(IntegerOverlaps(xi), 0)
    assert not Lists.fits(IntegerOverlaps(xi, P=3), 0)
    assert not Lists.fits(IntegerOverlaps(xi, F=np.arange(2 * 33 + 5)), 0)
    w = np.repeat(np.array([8191, 8192], np.int32), 33).reshape(2, 1, 33)  # 32 8192^2 = 2^31
    energy = IntegerOverlaps(w)
    assert [Lists.fits(energy, sample) for sample in (0, 1)] == [True, False]


def test_the_largest_costs_are_decided():
    """Weights that just fit: costs of 2^31 (1 - 1/4096), and thresholds on both sides of them."""
    xi = np.full((1, 33), 8191, np.int32)
    assert WIDEST - 2**20 < cheap_bound(xi) <= WIDEST
    rule, spins = Rule(METROPOLIS, 0, key(SEED)), np.ones((1, 32, 33), np.int8)
    scales = np.geomspace(1e8, 1e12, 32, dtype=np.float32).reshape(1, 1, 32)
    k = kernel(xi, spins, rule)
    k.sweep(scales, 0, 4)
    check(k, xi, spins, rule, scales, 4)


def test_more_lanes_than_a_vector_are_refused():
    xi = weights("signs", 5, 3)
    with pytest.raises(ValueError, match=r"lanes must be in \[1, 32\], got 33"):
        kernel(xi, start(xi, 33), Rule(METROPOLIS, 0, key(SEED)))


@pytest.mark.parametrize(("kind", "N", "K"), [("signs", 1000, 50), ("signs", 4000, 400), ("diluted", 1000, 200)])
def test_memory(kind, N, K):
    """At most 4 (N K/8 + R (N + 2 K)) bytes of tables and state, for the 32 lanes of a vector."""
    xi = weights(kind, N, K)
    tables = Lists.tables(IntegerOverlaps(xi[None]), 0)
    k = kernel(xi, start(xi, 32), Rule(METROPOLIS, 0, key(SEED)), tables)
    held = [x.nbytes for part in (tables, k) for x in vars(part).values() if isinstance(x, np.ndarray)]
    assert sum(held) <= 4 * (N * K / 8 + 32 * (N + 2 * K))
