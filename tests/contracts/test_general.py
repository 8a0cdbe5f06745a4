"""The general kernel against explicit tensors: all products of different sites, or of any sites, one by one."""

from itertools import combinations, product

import numpy as np
import pytest

from mattis import OverlapEnergy
from mattis.core.philox import key, words
from mattis.mc.general import General, cost, flip_form, refresh
from mattis.mc.integers import IntegerOverlaps
from mattis.mc.kernel import DOWNHILL, HEAT_BATH, METROPOLIS, Rule
from mattis.mc.reference import sites
from mattis.mc.thresholds import logit, neglog

SEED, SAMPLE = 2**35 + 1, 9
RULES = list(product((METROPOLIS, HEAT_BATH, DOWNHILL), (0, 1, 2)))
KINDS = ("signs", "diluted", "weights")


def weights(kind, N, K, seed=0):
    rng = np.random.default_rng([N, K, seed])
    signs = rng.choice(np.array([-1, 1], np.int8), size=(K, N))
    if kind == "diluted":
        return signs * (rng.random((K, N)) < 0.6).astype(np.int8)
    return rng.integers(-5, 6, size=(K, N), dtype=np.int16) if kind == "weights" else signs


def energy_of(xi, P, diagonal):
    return IntegerOverlaps(np.asarray(xi)[None], P, diagonal)


def tensor(xi, s, P, diagonal):
    """sum_mu of all products of P different sites, each set once, or of all P-tuples of sites."""
    v = xi.astype(np.int64) * s
    if diagonal == "excluded" and P > 2:
        return int(sum(np.prod(v[:, list(tuple_)], axis=1).sum() for tuple_ in combinations(range(s.size), P)))
    total = 0
    for row in v:
        products = row
        for _ in range(P - 1):
            products = np.multiply.outer(products, row).ravel()
        total += int(products.sum())
    return total


def unit(P, diagonal):
    """D over the energy's own change: (P - 1)!/2 of e_P; half of M^P, an eighth at P = 4; a quarter of M^2."""
    if P == 2:
        return 1, 4
    return ([0, 0, 0, 1, 3, 12, 60][P], 1) if diagonal == "excluded" else (1, 8 if P == 4 else 2)


def cost_of_every_flip(energy, s):
    form = flip_form(energy, 0)
    arrays = form.w, form.r, form.c, form.even, form.table
    V, E, power = (np.ones((n, energy.K), np.int64) for n in (form.rows, energy.P, 1))
    refresh(V, E, energy.sums(s).reshape(form.odd, energy.K), arrays)
    return [int(cost(V, form.w[i], int(s[i]), power[0])) for i in range(s.size)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("P", [2, 3, 4, 5, 6])
def test_cost_of_a_flip_is_the_change_of_the_tensor(P, diagonal, kind):
    N, K = (12, 3) if P < 6 or diagonal == "excluded" else (8, 2)
    xi = weights(kind, N, K)
    energy = energy_of(xi, P, diagonal)
    s = np.where(np.random.default_rng(P).random(N) < 0.4, -1, 1)
    G = tensor(xi, s, P, diagonal)
    up, down = unit(P, diagonal)
    expected = []
    for i in range(N):
        flipped = np.where(np.arange(N) == i, -s, s)
        change = up * (G - tensor(xi, flipped, P, diagonal))
        assert change % down == 0
        expected.append(change // down)
    assert cost_of_every_flip(energy, s) == expected
    kernel = General(General.tables(energy, 0), s[None, None].astype(np.int8), Rule(0, 0, key(1)), addresses(1), 0)
    assert kernel.total().tolist() == [[G]]
    assert np.array_equal(kernel.overlaps(), [[xi.astype(int) @ s]])


def test_cost_of_a_flip_is_the_change_of_the_table():
    N, xi = 12, weights("diluted", 12, 5)
    F = np.random.default_rng(4).integers(-1000, 1000, 2 * N + 1)
    energy = OverlapEnergy.table(xi, F)
    for s in (np.ones(N, int), xi[0] + (xi[0] == 0), np.where(np.arange(N) % 3, -1, 1)):
        G = F[xi.astype(int) @ s + N].sum()
        flipped = [np.where(np.arange(N) == i, -s, s) for i in range(N)]
        assert cost_of_every_flip(energy, s) == [2 * (G - F[xi.astype(int) @ f + N].sum()) for f in flipped]


def addresses(R):
    return (np.arange(R, dtype=np.uint64) << 20) | np.arange(3, R + 3, dtype=np.uint64)


def slow(energy, D, spins, rule, scales, last):
    """Spins and flips after ``last`` sweeps; ``D(s, i)`` is the cost of a flip of site i."""
    s = spins[0].astype(np.int64)
    (R, N), order = s.shape, ("sequential", "permutation", "random")[rule.order]
    flips = np.zeros(R, np.int64)
    for lane, sweep in product(range(R), range(last)):
        u = words(SEED, 0, N, row=sweep, lane=int(addresses(R)[lane]), sample=SAMPLE)
        x = (logit if rule.acceptance == HEAT_BATH else neglog)(u) * scales[min(sweep, len(scales) - 1), 0, lane]
        for t, i in enumerate(sites(order, N, SEED, SAMPLE, sweep)):
            if np.float64(D(s[lane], i)) <= (-1.0 if rule.acceptance == DOWNHILL else np.float64(x[t])):
                s[lane, i] *= -1
                flips[lane] += 1
    return s.astype(np.int8), flips


def power_change(xi, P, diagonal):
    """The cost of a flip from all e_P or M^P of the flipped and unflipped state, in 64 bits."""
    w, (up, down) = xi.astype(np.int64), unit(P, diagonal)

    def G(v):
        if diagonal == "included" or P == 2:
            return np.sum(np.sum(v, axis=1) ** P)
        e = np.zeros((P + 1, len(v)), np.int64)
        e[0] = 1
        for column in v.T:  # prod (1 + v_i x), up to x^P
            e[1:] += column * e[:-1]
        return np.sum(e[P])

    def D(s, i):
        v = w * s
        before = G(v)
        v[:, i] *= -1
        return up * int(before - G(v)) // down

    return D


def compare(energy, D, rule, T, sweeps):
    """Run the kernel in two parts and compare with the slow loop; T is (1 or sweep, lane)."""
    T = np.asarray(T, float)
    scales, R = energy.scale(T)[:, None], T.shape[1]
    spins = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), size=(1, R, energy.N))
    kernel = General(General.tables(energy, 0), spins, rule, addresses(R), SAMPLE)
    cut = sweeps // 2
    kernel.sweep(scales[:cut] if len(scales) > 1 else scales, 0, cut)
    kernel.sweep(scales[cut:] if len(scales) > 1 else scales, cut, sweeps)
    s, flips = slow(energy, D, spins, rule, scales, sweeps)
    assert np.array_equal(kernel.spins()[0], s)
    assert np.array_equal(kernel.accepted[0], flips)
    assert np.array_equal(kernel.overlaps()[0], s.astype(np.int64) @ energy.xi[0].T)
    assert np.array_equal(kernel.total()[0], energy.total_of(s))
    return flips


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("P", "diagonal"), [(2, "included"), (3, "excluded"), (4, "excluded"), (5, "included")])
@pytest.mark.parametrize(("N", "K"), [(1, 1), (3, 7), (12, 53), (33, 41)])
def test_spins_of_every_rule_and_order(N, K, P, diagonal, kind):
    xi = weights(kind, N, K)
    energy, T = energy_of(xi, P, diagonal), np.array([0.1, 0.5, 2.0]) * max(1, np.abs(xi).max()) ** P
    flips = [compare(energy, power_change(xi, P, diagonal), Rule(*rule, key(SEED)), T[None], 3) for rule in RULES]
    assert np.sum(flips) > 0


@pytest.mark.parametrize(
    ("N", "K", "P", "kind"), [(101, 53, 3, "weights"), (33, 409, 4, "diluted"), (21, 7, 6, "weights")]
)
def test_spins_of_larger_systems_and_a_temperature_for_every_sweep(N, K, P, kind):
    xi = weights(kind, N, K)
    T = np.geomspace(0.05, 2, 6).reshape(3, 2) * float(np.abs(xi).max()) ** P
    compare(energy_of(xi, P, "excluded"), power_change(xi, P, "excluded"), Rule(HEAT_BATH, 1, key(SEED)), T, 3)


@pytest.mark.parametrize("P", [3, 4])
def test_averaged_examples(P):
    eta = np.random.default_rng(2).choice([-1, 1], size=(4, 7, 15), p=(0.3, 0.7))
    energy = OverlapEnergy.supervised(eta, P=P, r=0.4)
    assert np.sum(
        compare(energy, power_change(eta.sum(1), P, "excluded"), Rule(HEAT_BATH, 0, key(SEED)), [[0.1, 1.0]], 4)
    )


def test_tables():
    N, xi = 33, weights("diluted", 33, 12)
    energy = OverlapEnergy.table(xi, np.exp(np.arange(-N, N + 1) / 8))
    F, w = energy.F[2:-2], xi.astype(np.int64)

    def D(s, i):
        M = w @ s
        return 2 * int(np.sum(F[M + N] - F[M - 2 * w[:, i] * s[i] + N]))

    for rule in RULES:
        assert np.sum(compare(energy, D, Rule(*rule, key(SEED)), [[0.5, 5.0, 40.0]], 3))


def test_sums_that_could_leave_64_bits_are_refused():
    """The energy's own sums fit, those of the general kernel do not: it forms k! e_k, and its bound takes no signs."""
    energy = IntegerOverlaps(np.ones((1, 1, 3), np.int8), 19)
    with pytest.raises(ValueError, match=r"largest possible cost of a flip must be < 2\^62"):
        General.tables(energy, 0)


def test_large_sums_are_exact():
    """D beyond 2^53, where the comparison is one of float64 numbers."""
    signs = np.where(np.arange(30) % 4, 1, -1)
    xi = 1100 * signs.astype(np.int16)[None]
    energy, D = energy_of(xi, 4, "included"), power_change(xi, 4, "included")
    assert D(signs, 0) > 2**54
    assert cost_of_every_flip(energy, signs) == [D(signs, i) for i in range(30)]
    assert compare(energy, D, Rule(METROPOLIS, 0, key(SEED)), [[1e12, 6e12]], 3).min() > 9
