"""The effective field against tensors written out, enumeration and random-matrix theory; mean field against both
replica theory and simulation of the same samples, which naive mean field misses."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from scipy.optimize import brentq

import mattis as mt
from mattis.core.quadrature import field as gaussian
from mattis.mc import effective_field as module
from mattis.mc.effective_field import effective_field, load, onsager
from mattis.mc.exact import all_states
from mattis.mc.mean_field import mean_field

N, K, M, SAMPLES, R = 12, 3, 5, 2, 0.6
Energy = mt.OverlapEnergy
XI = mt.patterns(N=N, K=K, samples=SAMPLES, seed=1).values
BLANK = mt.patterns(N=N, K=K, d=0.4, samples=SAMPLES, seed=2).values
ETA = mt.examples(XI, r=R, M=M, seed=3).values
BLANK_ETA = mt.examples(BLANK, r=R, M=M, seed=3).values
REAL = np.random.default_rng(4).uniform(-1, 1, (SAMPLES, 3, N))
SPINS = np.random.default_rng(5).choice([-1, 1], (SAMPLES, 4, N))


def cases():
    """Name, energy, and the weights and the norm that its tensor is written out of."""
    norm = R**2 + (1 - R**2) / M
    for d in ("excluded", "included"):
        for P in (2, 3, 4, 5):
            yield f"dense-{P}-{d}", Energy.dense(XI, P=P, diagonal=d), XI, 1.0
            yield f"diluted-{P}-{d}", Energy.dense(BLANK, P=P, diagonal=d), BLANK, 1.0
            for name, eta in (("", ETA), ("diluted-", BLANK_ETA)):
                e = Energy.supervised(eta, P=P, r=R, diagonal=d)
                yield f"{name}supervised-{P}-{d}", e, eta.mean(axis=2), norm ** (-P / 2)
            e = Energy.unsupervised(ETA, P=P, r=R, diagonal=d)
            yield f"unsupervised-{P}-{d}", e, ETA.reshape(SAMPLES, K * M, N), norm ** (-P / 2) / M
        yield f"multitasking-{d}", Energy.multitasking(BLANK, diagonal=d), BLANK, 1.0
    yield "hebbian", Energy.hebbian(XI), XI, 1.0


CASES = list(cases())


def over(cases):
    return pytest.mark.parametrize(("energy", "rows", "norm"), [c[1:] for c in cases], ids=[c[0] for c in cases])


def tensor_field(rows, norm, m, P, distinct):
    """norm P/(2 N^(P-1)) sum over i2 ... iP of w_i w_i2 m_i2 ... w_iP m_iP, over all or over distinct sites alone."""
    tensor = np.zeros((N,) * P)
    for w in rows.astype(float):
        outer = w
        for _ in range(P - 1):
            outer = np.multiply.outer(outer, w)
        tensor += outer
    if distinct:
        at = np.sort(np.indices(tensor.shape).reshape(P, -1), axis=0)
        tensor *= np.all(np.diff(at, axis=0) > 0, axis=0).reshape(tensor.shape)
    for _ in range(P - 1):
        tensor = tensor @ m
    return norm * P / (2 * N ** (P - 1)) * tensor


def close(a, b, times=1e-12):
    """Equal to 1e-12 of the largest."""
    np.testing.assert_allclose(a, b, rtol=0, atol=times * np.abs(b).max())


@over([c for c in CASES if c[1].excluded])
def test_exact_is_the_tensor_of_distinct_sites(energy, rows, norm):
    """To 1e-12 of the largest, at averages in (-1, 1); the diagonal is in the next test."""
    h = effective_field(energy, REAL)
    for z, j in np.ndindex(REAL.shape[:2]):
        close(h[z, j], tensor_field(rows[z], norm, REAL[z, j], energy.P, distinct=True))


@over(CASES)
def test_exact_is_the_mean_cost_of_independent_spins(energy, rows, norm):
    """h_i = (<H | s_i = -1> - <H | s_i = 1>)/2 by enumeration of all states, with or without the diagonal."""
    states = all_states(N)
    for z in range(SAMPLES):
        H = N * energy.per_spin(energy.total_of(states, z), z)
        m = REAL[z, 0]
        h = effective_field(energy, REAL)[z, 0]
        for i in range(N):
            others = np.delete((1 + states * m) / 2, i, axis=1).prod(axis=1)  # sums to 1 for either s_i
            assert h[i] == pytest.approx(-(others * states[:, i]) @ H / 2, abs=1e-12 * np.abs(H).max())


@over(CASES)
def test_at_spins_it_is_half_the_cost_of_a_flip(energy, rows, norm):
    """2 s_i h_i = D g (P or what P > 2 with its diagonal shares)/N^(P-1)."""
    shared = energy.P if energy.excluded else {2: 2, 4: 4}.get(energy.P, 1)
    h = effective_field(energy, SPINS)
    for z, j in np.ndindex(SPINS.shape[:2]):
        s = SPINS[z, j]
        sums = energy.sums(s, z)
        D = np.array([energy.flip_cost(sums, int(s[i]), i, z) for i in range(N)])
        close(2 * s * h[z, j], D * energy.g * float(Fraction(shared, N ** (energy.P - 1))))


@over(CASES)
def test_plefka1_adds_the_terms_of_the_site_itself(energy, rows, norm):
    """The tensor over all sites; without the diagonal the difference is the tensor of coinciding ones."""
    P, m = energy.P, REAL[0, 0]
    naive = effective_field(energy, REAL, mode="plefka1")[0, 0]
    close(naive, tensor_field(rows[0], norm, m, P, distinct=False))
    if energy.excluded:
        own = naive - effective_field(energy, REAL)[0, 0]
        coinciding = tensor_field(rows[0], norm, m, P, False) - tensor_field(rows[0], norm, m, P, True)
        close(own, coinciding)
        assert np.abs(own).max() > 1e-2


def test_shapes_and_blocks(monkeypatch):
    """(site,) is every sample's; neither lanes, samples nor the size of a block change a number."""
    energy = Energy.supervised(ETA, P=3, r=R)
    h = effective_field(energy, REAL)
    assert h.shape == REAL.shape
    close(effective_field(energy, REAL[0, 1])[0], h[0, 1])
    close(effective_field(Energy.supervised(ETA[1:], P=3, r=R), REAL[1:, 2]), h[1:, 2])
    deep = effective_field(energy, REAL[:, :, None], mode="plefka2", T=[[0.3], [0.4], [0.5]])
    close(deep[:, 1, 0], effective_field(energy, REAL[:, 1], mode="plefka2", T=0.4))
    monkeypatch.setattr(module, "_AT_ONCE", 1)
    close(effective_field(energy, REAL), h)


# --- the Onsager term ------------------------------------------------------------------------------------------------


def second_order(energy, m, T):
    """sum_j (dh_i/dm_j)^2 (1 - m_j^2)/T, averaged over i: the slope from the field at m_j = 1 and -1."""
    n = energy.N
    up, down = np.tile(m, (n, 1)), np.tile(m, (n, 1))
    np.fill_diagonal(up, 1)
    np.fill_diagonal(down, -1)
    slope = (effective_field(energy, up[None]) - effective_field(energy, down[None]))[0] / 2
    assert np.abs(np.diag(slope)).max() < 1e-12 * np.abs(slope).max()
    return np.mean((1 - m**2) @ slope**2) / T


def noisy(P, gamma, n, **dilution):
    return mt.patterns(N=n, K=round(2 * gamma / factorial(P) * n ** (P - 1)), seed=6, **dilution)


@pytest.mark.parametrize(
    ("name", "P", "n"),
    [
        ("", 3, 90),
        ("", 4, 50),
        ("included", 3, 90),
        ("included", 4, 50),
        ("included", 5, 22),
        ("diluted", 3, 90),
        ("supervised", 3, 70),
        ("unsupervised", 3, 50),
    ],
)
def test_onsager_term_is_the_second_order_of_plefka(name, P, n):
    """To O(P^2/N), at averages that know nothing of the patterns; half or twice of any factor would show."""
    r, gamma, given, xi = 0.8, 0.4, None, noisy(P, 0.4, n, d=0.2 if name == "diluted" else 0.0)
    energy = Energy.dense(xi, P=P, diagonal="included" if name == "included" else "excluded")
    if name == "supervised":
        energy = Energy.supervised(mt.examples(xi, r=r, M=M, seed=7), P=P, r=r)
    if name == "unsupervised":
        energy = Energy.unsupervised(mt.examples(xi, r=r, M=M, seed=7), P=P, r=r)
        rho, rho_P = (1 - r**2) / (M * r**2), (1 - r ** (2 * P)) / (M * r ** (2 * P))
        given = gamma * (1 + rho_P) / (1 + rho) ** P
    m = np.random.default_rng(8).uniform(-1, 1, n)
    (noise,) = load(energy, given)
    assert noise == pytest.approx(given or gamma * (0.8**P if name == "diluted" else 1), rel=0.03)
    b = float(onsager(energy, np.mean(m**2), np.array(0.5), noise))
    assert second_order(energy, m, 0.5) == pytest.approx(b, rel=P**2 / n)
    whole = effective_field(energy, m, mode="plefka2", T=0.5, gamma=given)
    close(whole, effective_field(energy, m) - b * m)


@pytest.mark.parametrize("d", [0.0, 0.3])
def test_onsager_term_of_pairs_is_the_r_transform_of_the_couplings(d):
    """Parisi and Potters, J. Phys. A 28, 5267 (1995): b = R(C), where the resolvent of J at R(C) + 1/C is C."""
    n = 400
    xi = mt.patterns(N=n, K=120, d=d, seed=9)
    energy, rows = Energy.multitasking(xi), xi.values[0].astype(float)
    J = rows.T @ rows / n
    np.fill_diagonal(J, 0)
    spectrum = np.linalg.eigvalsh(J)
    for q, T in ((0.6, 0.7), (0.9, 0.3), (0.9, 1.5)):
        C = (1 - q) / T
        z = brentq(lambda z, C=C: np.mean(1 / (z - spectrum)) - C, spectrum[-1] + 1e-3, 1e3)
        b = float(onsager(energy, np.array(q), np.array(T), load(energy, None)[0]))
        assert b == pytest.approx(z - 1 / C, rel=0.06)
    assert np.isnan(onsager(energy, np.array(0.1), np.array(0.5), load(energy, None)[0]))


# --- averages that agree with their field ----------------------------------------------------------------------------


def replica_symmetric(P, n, gamma, T):
    """m and q of dense_hebbian.md 2.2, from retrieval, with (n-1)...(n-P+1) tuples of sites in place of n^(P-1)."""
    tuples, m, q = np.prod(1 - np.arange(1, P) / n), 1.0, 1.0
    for _ in range(300):
        of = gaussian(tuples * P / 2 * m ** (P - 1), np.sqrt(tuples * gamma * P / 2 * q ** (P - 1)), T)
        m, q = float(of.tanh), float(1 - T * of.C)
    return np.array([m, q])


def pulls(energy, expected, **given):
    """Distance of the sample means of m and q from what is expected, in their standard errors."""
    ds = mean_field(energy, tol=1e-5, **given)
    assert float(ds.converged.mean()) > 0.95
    found = np.stack([ds.overlap.values[:, 0, 0], ds.q.values[:, 0]])
    return (found.mean(axis=1) - expected) / (found.std(axis=1, ddof=1) / np.sqrt(energy.samples))


def test_second_order_is_the_replica_symmetric_theory():
    """P = 3 at high load, 40 samples of N = 200, which naive mean field misses.

    The 4.5 standard errors are exceeded by chance in 1.4e-5 of such sets of samples; this one is fixed.
    """
    n, gamma, T = 200, 0.2, 0.5
    energy = Energy.dense(mt.patterns(N=n, K=2667, samples=40, seed=10), P=3)
    expected = replica_symmetric(3, n, gamma, T)
    np.testing.assert_allclose(replica_symmetric(3, 1e9, 0.3, 0.4), [0.9316610655, 0.9167557957], atol=1e-7)
    assert np.abs(pulls(energy, expected, T=T)).max() < 4.5
    assert pulls(energy, expected, T=T, mode="exact")[1] > 6
    assert pulls(energy, expected, T=T, mode="plefka1")[0] < -3.5


def test_all_orders_at_two_spins_are_the_theory_of_amit_gutfreund_sompolinsky():
    energy = Energy.hebbian(mt.patterns(N=1000, K=30, samples=50, seed=11))
    theory = mt.solve(mt.Hopfield(alpha=0.03, T=0.5))
    expected = np.array([float(theory.m), float(theory.q)])
    assert np.abs(pulls(energy, expected, T=0.5)).max() < 4.5
    assert pulls(energy, expected, T=0.5, mode="exact").min() > 5.5
    assert pulls(energy, expected, T=0.5, mode="plefka1").min() > 20


def trials():
    r, P, n, gamma, samples = 0.8, 3, 160, 0.08, 4
    eta = mt.examples(mt.patterns(N=n, K=683, samples=samples, seed=4), r=r, M=M, seed=5)
    rho, rho_P = (1 - r**2) / (M * r**2), (1 - r ** (2 * P)) / (M * r ** (2 * P))
    yield Energy.supervised(eta, P=P, r=r), 0.3, None
    yield Energy.unsupervised(eta, P=P, r=r), 0.3, gamma * (1 + rho_P) / (1 + rho) ** P
    yield Energy.dense(mt.patterns(N=n, K=1280, samples=samples, seed=1), P=P), 0.4, None
    yield Energy.dense(mt.patterns(N=n, K=853, samples=samples, seed=2), P=P, diagonal="included"), 0.4, None


@pytest.mark.parametrize(("energy", "T", "gamma"), list(trials()), ids=["sup", "uns", "dense", "included"])
def test_second_order_is_the_simulation_of_the_same_sample(energy, T, gamma):
    """Overlap with the first row and q, sample by sample: three times nearer to the chains than naive mean field."""
    ds = mt.simulate(
        energy,
        T=T,
        chains=4,
        sweeps=400,
        burn_in=50,
        every=2,
        start="pattern",
        seed=1,
        observables=("overlap", "spins"),
    )
    s = ds.spins.values[:, 0].mean(axis=2, dtype=float)
    of_chains = np.stack(
        [ds.overlap.values[:, 0, :, :, 0].mean(axis=(1, 2)), (s[:, ::2] * s[:, 1::2]).mean(axis=(1, 2))]
    )
    away = {}
    for mode in ("plefka2", "exact"):
        f = mean_field(energy, T=T, mode=mode, gamma=gamma)
        assert bool(f.converged.all())
        away[mode] = (np.stack([f.overlap.values[:, 0, 0], f.q.values[:, 0]]) - of_chains).mean(axis=1)
    assert np.abs(away["plefka2"]).max() < 2e-3
    assert np.all(away["exact"] > 3 * np.abs(away["plefka2"]))
    if gamma is not None:  # a load that forgets the examples of one pattern have something in common
        f = mean_field(energy, T=T, gamma=2 * gamma)
        assert abs((f.q.values[:, 0] - of_chains[1]).mean()) > 4 * abs(away["plefka2"][1])


def test_own_terms_freeze_an_even_power():
    """P = 4 at high load without leave-one-out: any state is a solution, here a random one at T' = 0.5."""
    energy = Energy.dense(noisy(4, 0.3, 60), P=4)
    assert mean_field(energy, T=0.5, mode="plefka1", start="random").q.item() > 0.999
    assert mean_field(energy, T=0.5, mode="plefka2", start="random").q.item() < 1e-6


def test_the_iteration_ends_where_replica_symmetry_is_unstable():
    """AT value 2.8 (P = 3, gamma = 0.4, T' = 0.1) and 0.06; what has not converged is kept and marked."""
    energy = Energy.dense(noisy(3, 0.4, 200, samples=5), P=3)
    ds = mean_field(energy, T=0.1, max_steps=200)
    assert float(ds.converged.mean()) < 0.8
    lost = ~ds.converged.values
    assert np.all(ds.n_steps.values[lost] == 200)
    assert np.all(ds.residual.values[lost] > 1e-8)
    assert np.all(np.abs(ds.average.values) <= 1)
    calm = Energy.dense(noisy(3, 0.2, 200, samples=5), P=3)
    assert bool(mean_field(calm, T=0.45, max_steps=200).converged.all())


def test_dataset():
    """What it reports is what it says of its averages; temperatures, samples and damping do not mix."""
    xi = mt.patterns(N=90, K=8, samples=3, seed=12)
    eta = mt.examples(xi, r=0.8, M=M, seed=13)
    energy = Energy.supervised(eta, P=3, r=0.8)
    T = [0.5, 0.2]
    ds = mean_field(energy, T=T, start="example")
    assert ds.sizes == {"sample": 3, "T": 2, "mu": 8, "site": 90}
    assert ds["T"].values.tolist() == T
    assert bool(ds.converged.all())
    m = ds.average.values
    h = effective_field(energy, m, mode="plefka2", T=np.array(T))
    np.testing.assert_allclose(np.abs(np.tanh(h / np.array(T)[:, None]) - m).max(axis=-1), ds.residual, atol=1e-14)
    n = np.einsum("zmi,zti->ztm", eta.values.mean(axis=2), m) * 0.8 / (0.8**2 + 0.36 / M) / 90
    np.testing.assert_allclose(ds.overlap, n, atol=1e-13)
    np.testing.assert_allclose(ds.q, (m**2).mean(axis=-1), atol=1e-15)
    assert float(ds.overlap[..., 0].min()) > 0.8
    alone = mean_field(Energy.supervised(eta[:1], P=3, r=0.8), T=0.2, start="example")
    np.testing.assert_allclose(alone.average[:, 0], ds.average[:1, 1], atol=1e-12)
    damped = mean_field(energy, T=T, start="example", damping=0.4)
    np.testing.assert_allclose(damped.average, ds.average, atol=1e-6)
    assert np.all(damped.n_steps > ds.n_steps)
    at_odds = mean_field(Energy.hebbian(xi), T=0.05, start="random", max_steps=1)
    assert not bool(at_odds.converged.any())
    assert at_odds.n_steps.values.tolist() == [[1]] * 3


# --- what is refused -------------------------------------------------------------------------------------------------

DENSE, PAIRS, SINGLE = Energy.dense(XI, P=4), Energy.hebbian(XI), Energy.unsupervised(ETA, P=3, r=R)
m_0 = np.zeros(N)


@pytest.mark.parametrize(
    ("energy", "m", "given", "message"),
    [
        (DENSE, m_0, {"mode": "tap"}, "mode must be one of 'exact', 'plefka1', 'plefka2', got 'tap'"),
        (DENSE, m_0 + 1.5, {}, r"m must be in \[-1, 1\], got 1.5 at index \(0, 0\)"),
        (DENSE, m_0 + np.nan, {}, r"m must be in \[-1, 1\], got nan"),
        (DENSE, np.zeros(11), {}, r"m must have shape \(12,\) or \(2, ..., 12\), got \(11,\)"),
        (DENSE, np.zeros((3, N)), {}, r"m must have shape \(12,\) or \(2, ..., 12\), got \(3, 12\)"),
        (DENSE, 0.5, {}, r"m must have shape .* got \(\)"),
        (DENSE, m_0, {"mode": "plefka2"}, "T must be given for mode='plefka2'"),
        (DENSE, m_0, {"mode": "plefka2", "T": 0.0}, "T must be finite and > 0, got 0.0"),
        (DENSE, m_0, {"mode": "plefka2", "T": [0.1, 0.2, 0.3]}, r"T must be a number or broadcast to \(2,\).*\(3,\)"),
        (DENSE, m_0, {"mode": "plefka2", "T": 0.5, "gamma": -0.1}, "gamma must be finite and >= 0, got -0.1"),
        (PAIRS, m_0, {"mode": "plefka2", "T": 0.5}, "T must be > 1 - q at P = 2"),
        (SINGLE, m_0, {"mode": "plefka2", "T": 0.5}, "gamma must be given for single examples, .*, got 'None'"),
        (
            Energy.unsupervised(ETA, P=2, r=R),
            m_0,
            {"mode": "plefka2", "T": 0.5, "gamma": 0.1},
            "gamma must be given for single examples, .* and P >= 3, got '0.1'",
        ),
    ],
)
def test_bad_fields(energy, m, given, message):
    with pytest.raises(ValueError, match=message):
        effective_field(energy, m, **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"T": 0.0}, "T must be finite and > 0"),
        ({"T": []}, "T must be a number or a list of at least one"),
        ({"mode": "naive"}, "mode must be one of"),
        ({"start": "up"}, "start must be one of"),
        ({"damping": 1.0}, r"damping must be in \[0, 1\), got 1.0"),
        ({"damping": -0.1}, r"damping must be in \[0, 1\), got -0.1"),
        ({"tol": 0.0}, "tol must be finite and > 0, got 0.0"),
        ({"max_steps": 0}, r"max_steps must be in \[1, 2\^31\], got 0"),
        ({"gamma": np.inf}, "gamma must be finite and >= 0, got inf"),
    ],
)
def test_bad_iterations(given, message):
    with pytest.raises(ValueError, match=message):
        mean_field(DENSE, **{"T": 0.5} | given)


@pytest.mark.parametrize(
    ("energy", "name"),
    [
        (mt.CouplingEnergy(np.eye(4)), "CouplingEnergy"),
        (Energy.table(np.ones((1, 4), int), np.zeros(9)), "a table"),
        (XI, "ndarray"),
    ],
)
def test_only_powers_of_overlaps_have_one(energy, name):
    message = f"^energy must be an OverlapEnergy of a power of the overlaps, got {name}$"
    with pytest.raises(TypeError, match=message):
        effective_field(energy, np.zeros(4))
    with pytest.raises(TypeError, match=message):
        mean_field(energy, T=1.0)


def test_pairs_below_their_range_are_marked():
    """At T <= 1 - q the sum of all orders diverges: the lane stops where it is, its residual nan."""
    ds = mean_field(Energy.hebbian(mt.patterns(N=300, K=60, seed=14)), T=[0.6, 3.0], start="random")
    assert ds.converged.values.tolist() == [[False, True]]
    assert np.all(np.abs(ds.average.values) <= 1)
