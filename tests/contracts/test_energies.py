"""Energies against the tensor written out, to the unit of the theory; what their integers hold and what is refused."""

import json
from fractions import Fraction
from math import comb, factorial

import numpy as np
import pytest

import mattis as mt
from mattis.mc import forms
from mattis.mc.integers import IntegerOverlaps

N, K, M, SAMPLES = 12, 3, 5, 2
Energy, Couplings = mt.OverlapEnergy, mt.CouplingEnergy
XI = mt.patterns(N=N, K=K, samples=SAMPLES, seed=1).values
BLANK = mt.patterns(N=N, K=K, d=0.4, samples=SAMPLES, seed=2).values
ETA = mt.examples(XI, r=0.6, M=M, seed=3).values
BLANK_ETA = mt.examples(BLANK, r=0.6, M=M, seed=3).values
STATES = np.random.default_rng(4).choice([-1, 1], (7, N))
F = np.random.default_rng(5).normal(size=2 * N + 1)
WHOLE_F = np.random.default_rng(6).integers(-99, 99, 2 * N + 1)
HALF = np.random.default_rng(7).normal(size=(SAMPLES, N, N))
J = HALF + HALF.transpose(0, 2, 1)
WHOLE_J = np.rint(9 * J).astype(int)


def written_out(rows, P, diagonal, norm=1.0):
    """H of one sample: -norm P!/(2 N^(P-1)) sum_{i1<...<iP}, or -norm/(2 N^(P-1)) sum over all, of w_i1 ... w_iP."""
    tensor = sum(outer(w, P) for w in rows.astype(float))
    if diagonal == "excluded":
        i = np.indices(tensor.shape)
        tensor = factorial(P) * tensor * np.all(i[:-1] < i[1:], axis=0)
    return lambda s: -norm / (2 * N ** (P - 1)) * contract(tensor, s)


def outer(w, P):
    """w_i1 w_i2 ... w_iP."""
    return w if P == 1 else np.multiply.outer(w, outer(w, P - 1))


def contract(tensor, s):
    return contract(tensor @ s, s) if tensor.ndim else float(tensor)


def normal(r, P, M=M):
    """R^(-P/2), R = r^2 + (1 - r^2)/M."""
    return (r**2 + (1 - r**2) / M) ** (-P / 2)


def in_pairs(J):
    return lambda s: -0.5 * (s @ J @ s - np.trace(J))


def from_table(F):
    return lambda rows: lambda s: -sum(F[int(w @ s) + N] for w in rows)


def cases():
    """Name, energy, H of each sample, T D/dE in exact arithmetic (the unit of a flip)."""
    half = Fraction(N, 2)
    yield "hebbian", Energy.hebbian(XI), [written_out(x, 2, "excluded") for x in XI], half
    for d in ("excluded", "included"):
        yield f"multitasking-{d}", Energy.multitasking(BLANK, diagonal=d), [written_out(x, 2, d) for x in BLANK], half
        for P in (2, 3, 4, 5):
            last = P if d == "excluded" else {2: 2, 4: 4}.get(P, 1)
            unit = Fraction(N ** (P - 1), last)
            yield f"dense-{P}-{d}", Energy.dense(XI, P=P, diagonal=d), [written_out(x, P, d) for x in XI], unit
            if P == 5:
                continue
            blank = [written_out(x, P, d) for x in BLANK]
            yield f"diluted-{P}-{d}", Energy.dense(BLANK, P=P, diagonal=d), blank, unit
            for name, eta, r in (("", ETA, 0.6), ("diluted-", BLANK_ETA, 0.7)):
                sums, norm = eta.sum(axis=2), normal(r, P)
                H = [written_out(w / M, P, d, norm) for w in sums]
                e = Energy.supervised(eta, P=P, r=r, diagonal=d)
                yield f"{name}supervised-{P}-{d}", e, H, unit * Fraction(M**P) / Fraction(norm)
            rows = ETA.reshape(SAMPLES, K * M, N)
            H = [written_out(x, P, d, normal(0.6, P) / M) for x in rows]
            e = Energy.unsupervised(ETA, P=P, r=0.6, diagonal=d)
            yield f"unsupervised-{P}-{d}", e, H, unit * M / Fraction(normal(0.6, P))
    e = Energy.table(BLANK, F)
    H = from_table(np.rint(F * 2.0**e.bits) / 2.0**e.bits)
    yield "table", e, [H(x) for x in BLANK], Fraction(2) ** (e.bits + 1)
    yield "whole-table", Energy.table(XI, WHOLE_F), [from_table(WHOLE_F)(x) for x in XI], Fraction(2)
    c = Couplings(J)
    rounded = np.rint(J * 2.0**c.bits) / 2.0**c.bits
    yield "couplings", c, [in_pairs(x) for x in rounded], Fraction(2) ** (c.bits - 1)
    yield "whole-couplings", Couplings(WHOLE_J), [in_pairs(x) for x in WHOLE_J], Fraction(1, 2)


CASES = list(cases())
case = pytest.mark.parametrize(("energy", "H", "unit"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])


@case
def test_energy_and_flips_are_those_of_the_tensor(energy, H, unit):
    """H of a state, dE/T = D/scale of all its flips, and the sums after each."""
    for z in range(SAMPLES):
        for s in STATES:
            G, before = energy.total_of(s, z), H[z](s)
            assert float(energy.per_spin(G, z)) * N == pytest.approx(before, rel=1e-12, abs=1e-11)
            sums = energy.sums(s, z)
            assert sums.dtype == np.int64
            for i in range(N):
                flipped = np.where(np.arange(N) == i, -s, s)
                D = energy.flip_cost(sums, int(s[i]), i, z)
                assert isinstance(D, int)
                assert abs(D) <= energy.largest_cost
                assert D / float(unit) == pytest.approx(H[z](flipped) - before, rel=1e-11, abs=1e-11)
                assert energy.c * int(G - energy.total_of(flipped, z)) == pytest.approx(D / float(unit), rel=1e-12)
                after = sums.copy()
                energy.flip(after, int(s[i]), i, z)
                assert np.array_equal(after, energy.sums(flipped, z))


@case
def test_scale_is_rounded_once(energy, H, unit):
    """T times the float64 nearest the unit, then one rounding to float32 (monte_carlo.md 4.2, rule 4)."""
    T = np.array([0.1, 0.3, 1.0, 1.7, 1e3])
    scale = energy.scale(T)
    assert scale.dtype == np.float32
    np.testing.assert_allclose(scale.astype(float), T * float(unit), rtol=2.0**-24 * (1 + 1e-6))
    if getattr(energy, "g", 1.0) == 1.0:  # the unit is rational
        assert np.array_equal(scale, (T * float(unit)).astype(np.float32))


def test_names_of_energies_are_their_own():
    """No two of them take each other's checkpoint, but P = 2 is Hopfield's by whatever name."""
    told = [json.dumps(e.description(), sort_keys=True) for _, e, _, _ in CASES]
    same = {("hebbian", "dense-2-excluded")}
    same |= {(f"multitasking-{d}", f"diluted-2-{d}") for d in ("excluded", "included")}
    for a in range(len(told)):
        for b in range(a):
            assert (told[a] == told[b]) == ((CASES[b][0], CASES[a][0]) in same), (CASES[a][0], CASES[b][0])


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("P", [2, 3, 4, 5, 6, 7])
def test_flip_polynomials_are_the_flip_vectors(P, diagonal):
    """For signs the odd V_j add to -b and the even ones to -a, at every overlap."""
    for n in (1, 2, 11, 20):
        energy = IntegerOverlaps(np.ones((1, 1, n), np.int8), P, diagonal)
        m = np.arange(-n, n + 1, 2)[:, None]
        V = energy.flip_vectors(m)
        a, b = energy.flip_polynomials()
        assert a.dtype == b.dtype == np.int64
        assert np.array_equal(np.polynomial.polynomial.polyval(m, a), -sum(V[1::2]))
        assert np.array_equal(np.polynomial.polynomial.polyval(m, b), -sum(V[0::2]))


def test_flip_polynomials_of_the_study():
    """The table of monte_carlo.md 3.4; they define the trajectories."""
    n = 31
    table = {
        (2, "excluded"): ([1], [0, -1]),
        (2, "included"): ([1], [0, -1]),
        (3, "included"): ([0, 6], [-4, 0, -3]),
        (3, "excluded"): ([0, 2], [n - 2, 0, -1]),
        (4, "included"): ([2, 0, 3], [0, -4, 0, -1]),
        (4, "excluded"): ([-3 * (n - 2), 0, 3], [0, 3 * n - 8, 0, -1]),
    }
    for (P, diagonal), expected in table.items():
        assert [c.tolist() for c in forms.flip_polynomials(n, P, diagonal)] == list(expected)


@pytest.mark.parametrize("n", [1, 2, 5, 12, 31])
def test_elementary_polynomials(n):
    """Newton's identities, the Krawtchouk recursion and a sum of products of binomials agree at every overlap."""
    for m in range(-n, n + 1, 2):
        e = [1, m]
        for k in range(1, 7):
            e.append((m * e[k] - (n - k + 1) * e[k - 1]) // (k + 1))
        up = (n + m) // 2
        written = [sum((-1) ** j * comb(n - up, j) * comb(up, k - j) for j in range(k + 1)) for k in range(8)]
        assert e == written
        for P in range(3, 8):
            assert IntegerOverlaps(np.ones((1, 1, n), np.int8), P).total(np.array([m])) == e[P]


# --- one energy by several names -------------------------------------------------------------------------------------


def spins_after(energy, **changes):
    run = {"T": [0.3, 0.9], "chains": 5, "sweeps": 6, "burn_in": 0, "seed": 8}
    ds = mt.simulate(energy, **run | changes)
    return ds.sha256, ds.energy.values


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("P", [2, 3, 4])
def test_one_perfect_example_is_the_pattern(P, diagonal):
    """M = 1, r = 1: supervised and unsupervised are the dense network, and at P = 2 Hopfield's, spin by spin."""
    xi = mt.patterns(N=33, K=7, samples=2, seed=9)
    eta = mt.examples(xi, r=1.0, M=1, seed=9)
    dense = spins_after(Energy.dense(xi, P=P, diagonal=diagonal))
    for make in (Energy.supervised, Energy.unsupervised):
        ours = spins_after(make(eta, P=P, r=1.0, diagonal=diagonal))
        assert ours[0] == dense[0]
        assert np.array_equal(ours[1], dense[1])
    if P == 2:
        hebbian, blank = spins_after(Energy.hebbian(xi)), spins_after(Energy.multitasking(xi, diagonal=diagonal))
        assert dense[0] == hebbian[0] == blank[0]
        shift = 7 / (2 * 33) if diagonal == "included" else 0.0
        np.testing.assert_allclose(dense[1], hebbian[1] - shift, atol=1e-14)


@pytest.mark.parametrize("make", [Energy.supervised, Energy.unsupervised])
@pytest.mark.parametrize("P", [2, 3])
def test_overlaps_are_in_the_unit_of_the_theory(make, P):
    """n_mu = r/(R N M) sum_ia eta sigma, or r/(R N) sum_i eta sigma of one example (dense_hebbian.md 1.3)."""
    r = 0.6
    energy = make(ETA, P=P, r=r)
    run = {"T": [0.5, 1.5], "chains": 3, "sweeps": 2, "burn_in": 1, "seed": 10}
    ds = mt.simulate(energy, **run, observables=("overlap", "spins"))
    R = r**2 + (1 - r**2) / M
    n = np.einsum("zmai,ztcdi->ztcdma", ETA, ds.spins.values.astype(float)) * r / (R * N)
    n = n.mean(axis=-1) if make == Energy.supervised else n.reshape(*n.shape[:-2], K * M)
    np.testing.assert_allclose(ds.overlap, n, rtol=1e-14, atol=1e-15)
    exact = mt.enumerate_states(energy, T=1e9)  # all states alike: <n^2> = (r/(R N))^2 sum_i of squared weights
    rows = ETA.mean(axis=2) if make == Energy.supervised else ETA.reshape(SAMPLES, K * M, N)
    np.testing.assert_allclose(exact.overlap_squared[:, 0], np.sum((rows * r / (R * N)) ** 2, axis=2), rtol=1e-6)


# --- certificates ----------------------------------------------------------------------------------------------------

REFUSED = r"^the largest possible sum of F must be < 2\^62"


def exact_F(energy, v):
    """F of one pattern in integers of any size, v_i = w_i sigma_i."""
    if not energy.excluded or energy.P == 2:
        return sum(v) ** energy.P
    e = [1] + [0] * energy.P
    for x in v:
        e = [1, *(e[k] + x * e[k - 1] for k in range(1, energy.P + 1))]
    return e[energy.P]


def check_exact(energy, s):
    """G and D of every flip of sample 0 against integers of any size."""
    rows = [[int(w) * int(x) for w, x in zip(row, s, strict=True)] for row in energy.xi[0]]
    G = sum(exact_F(energy, v) for v in rows)
    assert int(energy.total_of(s)) == G
    power = not energy.excluded or energy.P == 2
    last = Fraction(1, {2: 2, 4: 4}.get(energy.P, 1)) if power else Fraction(factorial(energy.P - 1))
    sums = energy.sums(s)
    for i in range(energy.N):
        after = [[-x if j == i else x for j, x in enumerate(v)] for v in rows]
        D = Fraction(G - sum(exact_F(energy, v) for v in after), 2) * last
        assert energy.flip_cost(sums, int(s[i]), i) == D


def largest(accepted):
    """The largest integer that is accepted, from 1 up."""
    low, high = 1, 2
    while accepted(high):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if accepted(middle) else (low, middle)
    return low


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("P", [2, 3, 4, 5, 6])
@pytest.mark.parametrize(("k", "n"), [(1, 7), (4, 5), (40, 3)])
def test_the_largest_weights_are_exact_and_larger_ones_refused(k, n, P, diagonal):
    def energy(w):
        rows = np.random.default_rng(11).integers(-w, w, (1, k, n), endpoint=True)
        rows[0, 0] = w
        return IntegerOverlaps(rows, P, diagonal)

    def accepted(w):
        try:
            energy(w)
        except ValueError:
            return False
        return True

    w = largest(accepted)
    with pytest.raises(ValueError, match=REFUSED):
        energy(w + 1)
    for s in (np.ones(n, int), -np.ones(n, int), np.where(np.arange(n) % 2, 1, -1)):
        check_exact(energy(w), s)
        check_exact(IntegerOverlaps(np.full((1, k, n), w), P, diagonal), s)


@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("P", [2, 3, 4, 5, 7, 13, 20, 21, 22, 34, 64, 200])
def test_any_power_of_few_sites_is_exact_or_refused(P, diagonal):
    """Factorials and binomials overflow before the powers of one or two sites do."""
    for k, n in ((1, 1), (5, 1), (7, 2), (3, 4), (2, 6)):
        try:
            energy = Energy.dense(np.ones((k, n), int), P=P, diagonal=diagonal)
        except ValueError as refusal:
            assert "< 2^62" in str(refusal)  # noqa: PT017
            continue
        for s in (np.ones(n, int), np.where(np.arange(n) % 2, 1, -1)):
            check_exact(energy, s)


@pytest.mark.parametrize(("P", "n"), [(3, 1153000), (4, 35000), (5, 4300), (7, 390)])
def test_the_largest_networks_are_exact(P, n):
    """One pattern, by the recursion in integers of any size; four times the sites are refused."""
    energy = Energy.dense(np.ones((1, n), np.int8), P=P)
    for m in (n, n - 2, n % 2, 2 - n):
        e = [1, m]
        for k in range(1, P):
            e.append((m * e[k] - (n - k + 1) * e[k - 1]) // (k + 1))
        assert int(energy.total(np.array([m]))) == e[P]
    power = Energy.dense(np.ones((1, n), np.int8), P=P, diagonal="included")
    assert int(power.total(np.array([-n]))) == (-n) ** P
    with pytest.raises(ValueError, match=REFUSED):
        Energy.dense(np.ones((1, 4 * n), np.int8), P=P)


def test_tables_are_rounded_as_finely_as_62_bits_allow():
    for scale in (1e-3, 1.0, 3.7e5, 1e15):
        energy = Energy.table(BLANK, scale * F)
        largest = 8 * K * np.abs(scale * F).max()
        assert largest * 2.0**energy.bits <= 2**61
        assert energy.bits == 61 or largest * 2.0 ** (energy.bits + 1) > 2**61
        middle = energy.F[2:-2]
        assert np.array_equal(middle, np.rint(scale * F * 2.0**energy.bits))
        assert energy.F[[0, 1, -2, -1]].tolist() == middle[[0, 0, -1, -1]].tolist()
    assert Energy.table(XI, WHOLE_F).bits == 0
    for kind in (np.float32, np.float16, bool):
        narrow = (np.arange(2 * N + 1) % 3).astype(kind)
        same = Energy.table(XI, narrow.astype(float))
        assert np.array_equal(Energy.table(XI, narrow).F, same.F)


def test_the_largest_tables_are_exact_and_larger_ones_refused():
    top = (2**62 - 1) // (8 * K)
    energy = Energy.table(XI, np.where(np.arange(2 * N + 1) % 4 < 2, top, -top))
    for s in STATES:
        G = sum(int(energy.F[int(w @ s) + N + 2]) for w in XI[0])
        assert int(energy.total_of(s)) == G
        for i in range(N):
            flipped = np.where(np.arange(N) == i, -s, s)
            D = G - sum(int(energy.F[int(w @ flipped) + N + 2]) for w in XI[0])
            assert energy.flip_cost(energy.sums(s), int(s[i]), i) == 2 * D
    for beyond in (top + 1, np.iinfo(np.int64).max, np.iinfo(np.int64).min):
        with pytest.raises(ValueError, match=REFUSED):
            Energy.table(XI, np.full(2 * N + 1, beyond))


def test_couplings_are_rounded_as_finely_as_30_bits_allow():
    for scale in (1e-12, 1.0, 1e30):
        c = Couplings(scale * J)
        largest = N * np.abs(scale * J).max()
        assert 2**29 < largest * 2.0**c.bits <= 2**30
        assert np.array_equal(c.J, np.rint(scale * J * 2.0**c.bits) * (1 - np.eye(N)))
    assert Couplings(WHOLE_J).bits == 0
    assert np.array_equal(Couplings(WHOLE_J.astype(np.int8)).J, Couplings(WHOLE_J).J)
    assert Couplings(np.zeros((3, 3))).J.tolist() == np.zeros((1, 3, 3)).tolist()
    for kind in (np.float32, np.float16):
        assert np.array_equal(Couplings(WHOLE_J.astype(kind)).J, Couplings(WHOLE_J.astype(float)).J)
    top = 2**30 // N
    assert Couplings(np.full((N, N), top)).largest_cost == N * top
    assert int(Couplings(np.full((N, N), -top)).total_of(np.ones(N, int))) == -top * N * (N - 1)


# --- what is refused -------------------------------------------------------------------------------------------------

VALUES = [
    (lambda: Energy.hebbian(BLANK), r"^xi must be -1 or 1, got 0 at index \(0, \d+, \d+\)$"),
    (lambda: Energy.dense(2 * XI, P=3), r"^xi must be -1, 0 or 1, got -?2 at index"),
    (lambda: Energy.dense(XI[None], P=3), r"^dimensions of xi must be 2 .*, got 4$"),
    (lambda: Energy.dense(np.ones((0, 5)), P=3), r"^xi.size must be >= 1, got 0$"),
    (lambda: Energy.dense(XI, P=1), r"^P must be >= 2, got 1$"),
    (lambda: Energy.dense(XI, P=0), r"^P must be >= 2, got 0$"),
    (lambda: Energy.dense(XI, P=20), REFUSED),
    (lambda: Energy.dense(XI, P=3, diagonal="out"), r"^diagonal must be 'excluded' or 'included', got 'out'$"),
    (lambda: Energy.multitasking(XI + 0.5), r"^xi must be -1, 0 or 1, got -?\d.5 at index"),
    (lambda: Energy.multitasking(np.full((2, 5), np.nan)), r"^xi must be -1, 0 or 1, got nan at index \(0, 0\)$"),
    (lambda: Energy.multitasking(XI, diagonal=""), r"^diagonal must be 'excluded' or 'included', got ''$"),
    (lambda: Energy.supervised(ETA, r=0.0), r"^r must be in \(0, 1\], got 0.0$"),
    (lambda: Energy.supervised(ETA, r=1.01), r"^r must be in \(0, 1\], got 1.01$"),
    (lambda: Energy.supervised(ETA, r=float("nan")), r"^r must be in \(0, 1\], got nan$"),
    (lambda: Energy.supervised(XI[0], r=0.5), r"^dimensions of eta must be 3 .*, got 2$"),
    (
        lambda: Energy.supervised(mt.patterns(N=5, K=3, seed=1), r=0.5),
        r"^eta must have the dimensions mu, example, site, ",
    ),
    (lambda: Energy.hebbian(mt.patterns(N=5, K=3, seed=1)[0].rename(mu="a")), r"^xi must have .*, got a, site$"),
    (lambda: Energy.supervised(3 * ETA, r=0.5), r"^eta must be -1, 0 or 1, got -?3 at index"),
    (lambda: Energy.supervised(ETA, r=0.5, P=1), r"^P must be >= 2, got 1$"),
    (lambda: Energy.supervised(ETA, r=0.5, P=17), REFUSED),
    (lambda: Energy.supervised(ETA, r=0.5, diagonal="in"), r"^diagonal must be .*, got 'in'$"),
    (lambda: Energy.unsupervised(ETA, r=-0.5), r"^r must be in \(0, 1\], got -0.5$"),
    (lambda: Energy.unsupervised(XI[0], r=0.5), r"^dimensions of eta must be 3 .*, got 2$"),
    (lambda: Energy.unsupervised(np.ones((1, 0, 4)), r=0.5), r"^eta.size must be >= 1, got 0$"),
    (lambda: Energy.unsupervised(ETA, r=0.5, P=1), r"^P must be >= 2, got 1$"),
    (lambda: Energy.table(XI, F[1:]), r"^F.shape must be \(25,\), one value for M = -N..N, got '\(24,\)'$"),
    (lambda: Energy.table(XI, np.where(F > 0, F, np.inf)), r"^F must be finite, got inf at index \(\d+,\)$"),
    (lambda: Energy.table(XI, np.full(25, 1e300)), r"^F must be below 2\^62 / \(8 K\) = 1.92e\+17, got 1e\+300"),
    (lambda: Energy.table(2 * XI, F), r"^xi must be -1, 0 or 1, got -?2 at index"),
    (lambda: Couplings(np.ones(4)), r"^dimensions of J must be 2 .*, got 1$"),
    (lambda: Couplings(np.ones((0, 0))), r"^J.size must be >= 1, got 0$"),
    (lambda: Couplings(np.ones((2, 3))), r"^J.shape must be two equal lengths at the end, got '\(2, 3\)'$"),
    (lambda: Couplings(HALF), r"^J must be symmetric, got .* at index \(0, 0, 1\)$"),
    (lambda: Couplings(J + np.inf), r"^J must be finite, got inf at index \(0, 0, 0\)$"),
    (lambda: Couplings(np.full((N, N), 2**30 // N + 1)), r"^N max\|J\| must be at most 2\^30 .*, got 1073741832.0$"),
    (lambda: Couplings(np.full((N, N), np.iinfo(np.int64).min)), r"^N max\|J\| must be at most 2\^30"),
    (lambda: Couplings(np.full((N, N), 5e-324)), r"J\b.* must be"),
    (lambda: Couplings(J).scale(1e-40), r"^T must be 2\^-100 to 2\^100 in units of .*, got 1e-40$"),
]


@pytest.mark.parametrize(("build", "message"), VALUES)
def test_bad_values(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@pytest.mark.parametrize("P", [2.5, "3", True, None])
@pytest.mark.parametrize("make", [Energy.dense, Energy.supervised, Energy.unsupervised])
def test_powers_are_integers(make, P):
    arguments = {} if make == Energy.dense else {"r": 0.5}
    with pytest.raises(TypeError, match=rf"^P must be an integer >= 2, got {P!r}$"):
        make(XI if make == Energy.dense else ETA, P=P, **arguments)
