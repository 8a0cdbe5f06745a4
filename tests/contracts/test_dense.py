"""The dense kernel against slow loops in Python integers: every route, order and rule, and the ends of its ranges."""

from functools import cache
from itertools import product
from math import comb, factorial

import numpy as np
import pytest
from numba import njit

from mattis import OverlapEnergy
from mattis.core.philox import key, words
from mattis.mc import dense_tables, simd
from mattis.mc.dense import Dense
from mattis.mc.dense_tables import BLOCK, HALVES, WIDE, WORDS, Monic
from mattis.mc.forms import flip_polynomials
from mattis.mc.kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from mattis.mc.reference import sites
from mattis.mc.thresholds import logit, neglog

SEED, SAMPLE = 2**33 + 5, 6
RULES = list(product((METROPOLIS, HEAT_BATH, DOWNHILL), (0, 1, 2)))


def patterns(N, K, seed=0):
    return np.random.default_rng([N, K, seed]).choice(np.array([-1, 1], np.int8), size=(K, N))


def start(xi, R):
    """Half of the chains at random, half at the first pattern."""
    spins = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), size=(1, R, xi.shape[1]))
    spins[0, 1::2] = xi[0]
    return spins


def addresses(R):
    return (np.arange(R, dtype=np.uint64) << 20) | np.arange(7, R + 7, dtype=np.uint64)


@cache
def units_of_D(N, P, diagonal):
    """u (F(M) - F(M - 2)) of every M >= 2 - N by counting in Python integers: F = e_P or M^P, u the unit of D."""

    def F(M):
        minus = (N - M) // 2
        if diagonal == "excluded":
            products = sum((-1) ** j * comb(minus, j) * comb(N - minus, P - j) for j in range(P + 1))
            return factorial(P - 1) * products
        return M**P

    shared = {4: 8}.get(P, 2) if diagonal == "included" else 2
    steps = [F(M) - F(M - 2) for M in range(2 - N, N + 1, 2)]
    assert not any(step % shared for step in steps)
    assert max(map(abs, steps), default=0) * 10_000 < 2**62
    return np.array([step // shared for step in steps], np.int64)


def slow(xi, P, diagonal, spins, rule, scales, last):
    """Spins and flips after ``last`` sweeps; D = u sum_mu [F(M) - F(M - 2 xi sigma)]."""
    w, s = xi.astype(np.int64), spins[0].astype(np.int64)
    (R, N), table = s.shape, units_of_D(xi.shape[1], P, diagonal)
    order, flips = ("sequential", "permutation", "random")[rule.order], np.zeros(R, np.int64)
    for lane, sweep in product(range(R), range(last)):
        u = words(SEED, 0, N, row=sweep, lane=int(addresses(R)[lane]), sample=SAMPLE)
        x = (logit if rule.acceptance == HEAT_BATH else neglog)(u) * scales[min(sweep, len(scales) - 1), 0, lane]
        M = w @ s[lane]
        for t, i in enumerate(sites(order, N, SEED, SAMPLE, sweep)):
            up = w[:, i] * s[lane, i] > 0
            steps = table[(M - 2 * up + N) >> 1]
            D = int(np.sum(np.where(up, steps, -steps)))
            if np.float64(D) <= (-1.0 if rule.acceptance == DOWNHILL else np.float64(x[t])):
                M -= 2 * w[:, i] * s[lane, i]
                s[lane, i] *= -1
                flips[lane] += 1
    return s.astype(np.int8), flips


def compare(xi, P, diagonal, rule, T, sweeps, expected=None):
    """Run the kernel in two parts and compare with the slow loop; T is (1 or sweep, lane)."""
    energy = OverlapEnergy.dense(xi, P=P, diagonal=diagonal)
    T = np.asarray(T, float)
    scales = energy.scale(T)[:, None]
    spins = start(xi, T.shape[1])
    kernel = Dense(Dense.tables(energy, 0), spins, rule, addresses(T.shape[1]), SAMPLE)
    cut = sweeps // 2
    kernel.sweep(scales[:cut] if len(scales) > 1 else scales, 0, cut)
    kernel.sweep(scales[cut:] if len(scales) > 1 else scales, cut, sweeps)
    s, flips = slow(xi, P, diagonal, spins, rule, scales, sweeps) if expected is None else expected
    assert np.array_equal(kernel.spins()[0], s)
    assert np.array_equal(kernel.accepted[0], flips)
    M = s.astype(np.int64) @ xi.T
    assert np.array_equal(kernel.overlaps()[0], M)
    assert np.array_equal(kernel.total(), energy.total(M)[None])
    return s, flips


@pytest.mark.parametrize(("N", "K"), [(1, 1), (3, 7), (12, 53), (33, 409), (101, 128)])
@pytest.mark.parametrize("P", [3, 4])
def test_spins_of_every_rule_and_order(P, N, K):
    for acceptance, order in RULES:
        for diagonal in ("excluded", "included"):
            compare(patterns(N, K), P, diagonal, Rule(acceptance, order, key(SEED)), [[0.1, 0.5, 1.5]], 4)


@pytest.mark.parametrize(
    ("P", "routes"),
    [
        (3, [(HALVES, HALVES), (WIDE, WIDE)]),
        (4, [(HALVES, HALVES), (WORDS, WORDS), (WORDS, HALVES), (WIDE, WIDE)]),
        (5, [(WORDS, WORDS), (WIDE, WIDE)]),
        (6, [(WORDS, WORDS)]),
    ],
)
def test_all_routes_give_the_same_spins(P, routes, monkeypatch):
    """Narrow sums of three terms at a time; hot sweeps after cold ones, so that P = 4 changes its route and back."""
    xi, T = patterns(29, 901), np.where(np.arange(6)[:, None] % 3, 20.0, [[0.05, 0.3]])
    for diagonal in ("excluded", "included") if P < 6 else ("excluded",):
        rule, scales = Rule(HEAT_BATH, 1, key(SEED)), OverlapEnergy.dense(xi, P=P, diagonal=diagonal).scale(T)[:, None]
        expected = slow(xi, P, diagonal, start(xi, 2), rule, scales, 6)
        assert expected[1].min() > 29
        for route in routes:
            monkeypatch.setattr(dense_tables, "route_of", lambda N, a, b, route=route: (route, (3, 3)))
            compare(xi, P, diagonal, rule, T, 6, expected)


def test_the_route_follows_the_acceptance_of_the_last_sweep():
    xi = patterns(29, 901)
    energy = OverlapEnergy.dense(xi, P=4)
    kernel = Dense(Dense.tables(energy, 0), start(xi, 2), Rule(HEAT_BATH, 0, key(SEED)), addresses(2), SAMPLE)
    busy = []
    for sweep, T in enumerate([[0.01, 20.0], [0.01, 20.0], [20.0, 0.01], [20.0, 0.01], [0.01, 0.01]]):
        kernel.sweep(energy.scale(T)[None, None], sweep, sweep + 1)
        busy.append(kernel._state[-1][:, 2].tolist())
    assert busy == [[0, 0], [0, 1], [0, 1], [1, 0], [1, 0]]


@pytest.mark.parametrize(
    ("P", "N", "K", "route"),
    [
        (3, 32767, 3, HALVES),  # pairs of M^2 reach 2^31 - 2^17 + 2
        (3, 32769, 3, WIDE),
        (4, 1500, 9001, HALVES),  # b(N) is beyond 2^31, and the sums are widened on the way
        (4, 16385, 2, WIDE),
        (5, 301, 130, WIDE),
    ],
)
def test_beyond_32_bits(P, N, K, route):
    xi = patterns(N, K)
    energy = OverlapEnergy.dense(xi, P=P)
    assert Dense.tables(energy, 0).route == (route, route)
    s, _ = compare(xi, P, "excluded", Rule(METROPOLIS, 0, key(SEED)), [[0.3, 0.3]], 1)
    assert abs(int(s[1] @ xi[0].astype(np.int64))) > 0.8 * N


def test_without_the_certificate_32_bits_give_other_spins(monkeypatch):
    xi, rule = patterns(1500, 40), Rule(METROPOLIS, 0, key(SEED))
    compare(xi, 4, "excluded", rule, [[0.3, 0.3]], 1)
    monkeypatch.setattr(dense_tables, "route_of", lambda N, a, b: ((WORDS, WORDS), (1, 1)))
    with pytest.raises(AssertionError):
        compare(xi, 4, "excluded", rule, [[0.3, 0.3]], 1)


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("P", [3, 4, 5])
def test_certificates_hold_at_the_ends(P, diagonal):
    """The largest terms of every route, over all overlaps, where its run is as long as it is allowed to be."""
    for N in (1, 2, 7, 40, 180, 215, 1000, 1290, 10_921):
        a, b = (p.tolist() for p in flip_polynomials(N, P, diagonal))
        A, B = Monic.of(np.array(a)), Monic.of(np.array(b))
        (quiet, busy), runs = dense_tables.route_of(N, A, B)
        M = np.arange(-N, N + 1).astype(object)
        for route, run in zip((quiet, busy), runs, strict=True):
            assert run >= 1
            if route == WORDS:
                for p, form in ((a, A), (b, B)):
                    term = (sum(c * M**k for k, c in enumerate(p)) - form.constant) // form.lead
                    assert run * max(abs(term)) < 2**31
            if route == HALVES:
                factors = [M, M] if P == 3 else [M * M % 2**14 + B.inner[0], M * M >> 14, 2 * M]
                assert max(int(max(abs(f))) for f in factors) < 2**15
                assert run * 2 * max(int(max(abs(f * M))) for f in (*factors[:2], M)) < 2**31


def test_the_form_of_a_polynomial():
    for p in ([0, 2], [7, 0, -1], [0, -4, 0, -1], [-16, 0, -40, 0, -5], [0, 40, 0, 20]):
        form = Monic.of(np.array(p))
        for M in range(-5, 6):
            h = sum(c * M ** (2 * k) for k, c in enumerate((*form.inner, 1)))
            value = form.constant + form.lead * (M if form.degree % 2 else M * M) * h
            assert value == sum(c * M**k for k, c in enumerate(p))
            assert abs(value - form.constant) <= abs(form.lead) * form.peak(5)
    assert Monic.of(np.array([0, -96, 0, -80, 0, -6])) is None


def test_what_it_does_not_take():
    signs = patterns(12, 4)
    diluted = signs * (np.arange(12) > 0).astype(np.int8)
    assert Dense.fits(OverlapEnergy.dense(signs, P=6), 0)
    for energy in (
        OverlapEnergy.dense(diluted, P=3),
        OverlapEnergy.dense(signs, P=6, diagonal="included"),  # its polynomial needs fractions
        OverlapEnergy.hebbian(signs),
        OverlapEnergy.table(signs, np.arange(-12, 13)),
    ):
        assert not Dense.fits(energy, 0)
        with pytest.raises(ValueError, match="general"):
            Dense.tables(energy, 0)


@pytest.mark.parametrize("K", [1, BLOCK, BLOCK + 1])
def test_memory_is_one_bit_a_pattern_and_a_few_bytes_an_overlap(K):
    N, R = 64, 3
    energy = OverlapEnergy.dense(patterns(N, K), P=4)
    tables = Dense.tables(energy, 0)
    kernel = Dense(tables, start(energy.xi[0], R), Rule(0, 0, key(1)), addresses(R), 0)
    padded = -(-K // BLOCK) * BLOCK
    assert tables.bits.nbytes == N * padded // 8
    assert sum(x.nbytes for x in kernel._state if x is not None) == R * (N + 6 * padded + 40)


def test_products_of_short_integers():
    x, y = np.random.default_rng(3).integers(-(2**15), 2**15, size=(2, 32), dtype=np.int16)
    x[:4] = y[:4] = 32767, -32768, 32767, 32767
    load, store, store_sums = simd.H.load, simd.H.store, simd.W.store
    pairs, high_half = simd.pairs, simd.high_half

    @njit
    def both(x, y, sums, high):
        store_sums(sums, 0, pairs(load(x, 0), load(y, 0)))
        store(high, 0, high_half(load(x, 0), load(y, 0)))

    sums, high = np.empty(16, np.int32), np.empty(32, np.int16)
    both(x, y, sums, high)
    product_ = x.astype(np.int64) * y
    assert np.array_equal(sums, product_[::2] + product_[1::2])
    assert np.array_equal(high, product_ >> 16)
