"""Stratified patterns, parallel retrieval, losses, fluctuations, starts of examples: against their definitions."""

import hashlib
from itertools import product

import numpy as np
import pytest
import xarray as xr

import mattis as mt
from mattis.mc.fluctuations import autocorrelation, covariance
from mattis.mc.losses import losses
from mattis.mc.parallel import archetype_overlaps, parallel_retrieval
from mattis.mc.patterns import row_counts
from mattis.mc.start import initial_spins

N, K, M, SAMPLES, R = 41, 3, 5, 2, 0.6
Energy = mt.OverlapEnergy
XI = mt.patterns(N=N, K=K, d=0.4, samples=SAMPLES, seed=1)
ETA = mt.examples(XI, r=R, M=M, seed=2)
RUN = {"T": [0.3, 0.9], "chains": 4, "sweeps": 6, "burn_in": 1, "seed": 3}
DIMS = ("sample", "T", "chain", "draw", "mu")
SHA = "5deda1c0d665f6f463e39b8379dc00fd8b0762d62972bb7987fca27a24443871"
LEARNT = {"supervised": Energy.supervised(ETA, r=R), "unsupervised": Energy.unsupervised(ETA, r=R)}


def stratified(**more):
    return mt.patterns(**{"N": 100, "K": 3, "d": 0.3, "seed": 5, "pattern_sampling": "stratified"} | more)


def run(energy, observables=("overlap", "energy", "spins"), **more):
    return mt.simulate(energy, **RUN | {"observables": observables} | more)


def dataset(m, **attrs):
    m = np.asarray(m, float)
    return xr.Dataset({"overlap": (DIMS, m)}, {"T": np.arange(1.0, 1 + m.shape[1])}, attrs)


# --- stratified patterns ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "size", [(100, 3, 0.3), (2000, 5, 0.9), (27, 3, 0.5), (9, 2, 1.0), (11, 2, 0.0), (3, 1, 1 / 3)]
)
def test_every_row_has_its_share_of_the_sites(size):
    """|count - N P(row)| < 1 in all 3^K rows, the larger remainders rounded up, every sample another order."""
    N, K, d = size
    rows = np.array(list(product((-1, 0, 1), repeat=K)))
    n = np.count_nonzero(rows, axis=1)
    share = N * d ** (K - n) * ((1 - d) / 2) ** n
    counts = row_counts(N, K, d)
    assert counts.sum() == N
    assert (abs(counts - share) < 1).all()
    up, down = share[counts > share + 1e-9] % 1, share[counts < share - 1e-9] % 1
    assert up.size == 0 or down.size == 0 or up.min() >= down.max() - 1e-9
    xi = stratified(N=N, K=K, d=d, samples=3).values
    for sample in xi:
        found = [np.count_nonzero((sample == row[:, None]).all(axis=0)) for row in rows]
        assert found == counts.tolist()
    if N > 50:
        assert (xi[0] != xi[1]).any()
        assert (xi[0] != np.sort(xi[0], axis=1)).any()


def test_the_sites_of_stratified_patterns_are_addressed():
    """Words of (seed, sample) alone: SHA-256 of the bytes, on any machine; more samples append."""
    xi = stratified(samples=3)
    assert hashlib.sha256(xi.values.tobytes()).hexdigest() == SHA
    assert xi.dims == ("sample", "mu", "site")
    assert xi.dtype == np.int8
    assert (stratified(samples=2) == xi[:2]).all()
    assert (stratified(samples=3, seed=6) != xi).any()
    independent = mt.patterns(N=100, K=3, d=0.3, samples=3, seed=5)
    assert independent.equals(mt.patterns(N=100, K=3, d=0.3, samples=3, seed=5, pattern_sampling="independent"))
    assert (independent != xi).any()


def test_a_shuffle_puts_every_row_anywhere():
    """d = 0, K = 1: a site is +1 with probability 1/2; 4000 shuffles of 10 sites, 6 standard errors (2e-8 for ten)."""
    xi = stratified(N=10, K=1, d=0.0, samples=4000).values[:, 0]
    assert (abs(xi.mean(axis=0)) < 6 / np.sqrt(4000)).all()
    pairs = np.corrcoef(xi.T)[np.triu_indices(10, 1)]
    assert (abs(pairs + 1 / 9) < 6 / np.sqrt(4000)).all()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"K": 5}, r"^K must be at most 4, 3\^K <= N = 100, for stratified patterns, got 5$"),
        ({"N": 2, "K": 1}, r"^K must be at most 0, "),
        ({"K": 2**32}, r"^K must be at most 4"),
        ({"pattern_sampling": "even"}, r"^pattern_sampling must be 'independent' or 'stratified', got 'even'$"),
        ({"pattern_sampling": None}, r"^pattern_sampling must be 'independent' or 'stratified', got None$"),
        ({"d": -0.1}, r"^d must be in \[0, 1\], got -0.1$"),
        ({"samples": 0}, r"^samples must be in"),
    ],
)
def test_bad_stratified_patterns(more, message):
    with pytest.raises(ValueError, match=message):
        stratified(**more)


# --- parallel retrieval ----------------------------------------------------------------------------------------------


def test_parallel_retrieval_draw_by_draw():
    ds = run(Energy.multitasking(XI))
    found = parallel_retrieval(ds)
    for z, t, c in np.ndindex(2, 2, 4):
        x = ds.overlap.values[z, t, c]
        mean = x.mean(axis=0)
        order = sorted(range(K), key=lambda mu: -abs(mean[mu]))
        at = {"sample": z, "T": t, "chain": c}
        assert found.ranked[at].values == pytest.approx(x[:, order] * np.sign(mean[order]), abs=0)
        assert np.array_equal(found.sorted[at].values, np.sort(abs(x))[:, ::-1])
        assert found.sum_m2[at].values == pytest.approx((x**2).sum(axis=1), rel=1e-15)
        assert found.a4[at].values == pytest.approx((x**4).sum(axis=1) / (x**2).sum(axis=1) ** 2, rel=1e-15)
    assert (np.diff(found.ranked.mean("draw")) <= 0).all()
    for name in found.data_vars:
        assert np.isfinite(mt.summary(found, name)["mean"]).all()
    assert found.sweep.equals(ds.sweep)


@pytest.mark.parametrize(("m", "a4"), [([0.7, 0, 0], 1.0), ([0.2, -0.2, 0.2], 1 / 3), ([0.0, 0, 0], np.nan)])
def test_anisotropy_of_pure_and_parallel_states(m, a4):
    found = parallel_retrieval(dataset([[[[m]]]]))
    assert found.a4.item() == pytest.approx(a4, rel=1e-15, nan_ok=True)
    assert found.ranked.values.ravel().tolist() == sorted(map(abs, m), reverse=True)


def test_overlaps_with_examples_are_averaged_by_pattern():
    """n_mu = (1/M) sum_a n_mu,a: the same of the same spins, however they are stored."""
    start = np.random.default_rng(4).choice([-1, 1], (SAMPLES, 2, 4, N))
    kept = {"start": start, "T": [1e-3, 2e-3], "sampler": mt.HeatBath("permutation"), "sweeps": 1, "burn_in": 0}
    found = {name: run(energy, **kept) for name, energy in LEARNT.items()}
    for name, ds in found.items():
        assert ds.rows == (M if name == "unsupervised" else 1)
        eta_hat = ETA.values.mean(axis=2) / R
        n = np.einsum("zki,ztcdi->ztcdk", eta_hat, ds.spins.values) / (N * (1 + (1 - R**2) / (M * R**2)))
        assert parallel_retrieval(ds).sorted.values == pytest.approx(-np.sort(-abs(n), axis=-1), abs=1e-14)


def test_archetype_overlaps():
    for energy in (Energy.multitasking(XI), LEARNT["unsupervised"]):
        ds = run(energy)
        m = archetype_overlaps(ds, XI)
        assert m.overlap.dims == DIMS
        expected = np.einsum("zki,ztcdi->ztcdk", XI.values, ds.spins.values, dtype=int) / N
        assert np.array_equal(m.overlap.values, expected)
        assert parallel_retrieval(m).sizes["rank"] == K
        assert (m.attrs["K"], m.attrs["N"], m.attrs["seed"]) == (K, N, 3)
    assert np.array_equal(
        archetype_overlaps(run(Energy.multitasking(XI)), XI).overlap, run(Energy.multitasking(XI)).overlap
    )


@pytest.mark.parametrize("function", [parallel_retrieval, covariance, lambda ds: autocorrelation(ds, lags=0)])
def test_datasets_without_overlaps_are_refused(function):
    with pytest.raises(ValueError, match=r"^name must be a variable of the dataset, .*, got 'overlap'$"):
        function(run(Energy.multitasking(XI), ("energy",)))
    with pytest.raises(ValueError, match=r"^overlap must have the dimensions sample, T, draw and chain"):
        function(dataset(np.ones((1, 1, 1, 2, 2))).rename(draw="time"))
    with pytest.raises(TypeError, match=r"^ds must be a Dataset"):
        function(np.ones(3))


def test_bad_archetypes():
    ds = run(Energy.multitasking(XI))
    with pytest.raises(
        ValueError, match=r"^samples and sites of xi must be those of the spins, \(2, 41\), got '\(1, 41\)'$"
    ):
        archetype_overlaps(ds, XI[0])
    with pytest.raises(ValueError, match=r"^samples and sites of xi must be those of the spins, \(2, 41\), got"):
        archetype_overlaps(ds, XI[..., 1:])
    with pytest.raises(ValueError, match=r"^xi must be -1, 0 or 1"):
        archetype_overlaps(ds, 2 * XI)
    with pytest.raises(ValueError, match=r"got 'spins'$"):
        archetype_overlaps(ds.drop_vars("spins"), XI)
    with pytest.raises(TypeError, match=r"^ds must be a Dataset"):
        archetype_overlaps(ds.spins, XI)


# --- losses ----------------------------------------------------------------------------------------------------------


def learnt(protocol, diagonal):
    """The energy, and its real rows (sample, row, site): xi, eta_hat, eta."""
    if protocol == "storing":
        return Energy.multitasking(XI, diagonal=diagonal), XI.values.astype(float)
    energy = getattr(Energy, protocol)(ETA, r=R, diagonal=diagonal)
    return energy, ETA.values.mean(axis=2) / R if protocol == "supervised" else ETA.values.reshape(SAMPLES, -1, N) * 1.0


@pytest.mark.parametrize("masked", [True, False])
@pytest.mark.parametrize("diagonal", ["excluded", "included"])
@pytest.mark.parametrize("protocol", ["storing", "supervised", "unsupervised"])
def test_losses_are_the_energy(protocol, diagonal, masked):
    """L by sums over the sites; the energy from them in every draw, to rounding."""
    energy, rows = learnt(protocol, diagonal)
    ds = run(energy)
    found = losses(ds, energy, masked=masked)
    s = ds.spins.values[..., None, :]
    x = rows[:, None, None, None]
    sites = np.where(x != 0, 1.0, 0.0) if masked else np.ones_like(x)
    for sign, name in ((1, "L_plus"), (-1, "L_minus")):
        by_hand = np.sum(sites * (x - sign * s) ** 2, axis=-1) / (2 * sites.sum(axis=-1))
        assert found[name].values == pytest.approx(by_hand, abs=1e-12)
    assert found.energy.values == pytest.approx(ds.energy.values, abs=1e-12)
    assert found.energy.values == pytest.approx((found.loss + found.constant).values, abs=1e-15)
    rho = (1 - R**2) / (M * R**2)
    g = {"storing": 1.0, "supervised": 1 / (1 + rho), "unsupervised": 1 / ((1 + rho) * M * R**2)}[protocol]
    product_sum = np.sum(sites.sum(axis=-1) ** 2 * (found.L_plus * found.L_minus).values, axis=-1)
    assert found.loss.values == pytest.approx(g * product_sum / (2 * N**2), rel=1e-12)
    assert (found.L_plus >= 0).all()
    assert found.sweep.equals(ds.sweep)


def test_without_blanks_the_losses_are_those_of_theory():
    """L_+ L_- = 1 - m^2 = mt.loss(m, P=2), and e = -(1/2) sum_mu (1 - L_+ L_-), masked or not."""
    energy = Energy.multitasking(mt.patterns(N=N, K=K, samples=2, seed=7), diagonal="included")
    ds = run(energy)
    for masked in (True, False):
        found = losses(ds, energy, masked=masked)
        both = (found.L_plus * found.L_minus).values
        assert both == pytest.approx(mt.loss(ds.overlap.values, P=2), abs=1e-14)
        assert ds.energy.values == pytest.approx(-0.5 * np.sum(1 - both, axis=-1), abs=1e-13)


def test_examples_stored_singly_lie_below_their_average():
    """H_u <= H_s with the diagonal, by Jensen; K = 1, M = 1: equal."""
    spins = np.random.default_rng(8).choice([-1, 1], (500, N))
    of = {name: Energy.supervised if name == "supervised" else Energy.unsupervised for name in LEARNT}
    s, u = (make(ETA, r=R, diagonal="included") for make in of.values())
    for z in range(SAMPLES):
        H = [e.per_spin(e.total_of(spins, z), z) for e in (s, u)]
        assert (H[1] < H[0]).all()
    s, u = (make(ETA[:, :, :1], r=R, diagonal="included") for make in of.values())
    assert s.per_spin(s.total_of(spins)) == pytest.approx(u.per_spin(u.total_of(spins)), rel=1e-14)


def test_bad_losses():
    energy = Energy.multitasking(XI)
    ds = run(energy)
    bad = [
        (Energy.dense(XI, P=3), ValueError, r"^P must be 2: only squares of overlaps are losses, got 3$"),
        (Energy.table(XI, np.zeros(2 * N + 1)), ValueError, r"^P must be 2: .*, got 'a table'$"),
        (mt.CouplingEnergy(np.ones((N, N))), TypeError, r"^energy must be an OverlapEnergy, got CouplingEnergy$"),
        (
            Energy.multitasking(XI[:, :2]),
            ValueError,
            r"^samples and patterns of ds must be .*, \(2, 2\), got '\(2, 3\)'$",
        ),
        (Energy.multitasking(XI[:1]), ValueError, r"^samples and patterns of ds must be .*, \(1, 3\), got '\(2, 3\)'$"),
        (
            Energy.multitasking(0 * XI),
            ValueError,
            r"^sites of a pattern that are not blank must be >= 1, got 0.0 at index",
        ),
        (Energy.multitasking(XI[..., 1:]), ValueError, r"^N of ds must be that of the energy, 40, got 41$"),
    ]
    for other, kind, message in bad:
        with pytest.raises(kind, match=message):
            losses(ds, other)
    with pytest.raises(ValueError, match=r"got 'overlap'$"):
        losses(ds.drop_vars("overlap"), energy)


# --- fluctuations ----------------------------------------------------------------------------------------------------


def test_covariance_is_that_of_numpy():
    """N times the covariance in each sample, averaged; the error is the spread of the samples over sqrt(3)."""
    m = np.random.default_rng(9).normal(size=(3, 2, 4, 50, 2)) @ np.array([[1.0, 0.5], [0.0, 2.0]]) + 0.3
    found = covariance(dataset(m, N=10))
    for t in range(2):
        each = np.array([10 * np.cov(x.reshape(-1, 2).T, ddof=0) for x in m[:, t]])
        assert found.value.values[t] == pytest.approx(each.mean(axis=0), rel=1e-12)
        assert found.error.values[t] == pytest.approx(each.std(axis=0, ddof=1) / np.sqrt(3), rel=1e-10)
    assert found.value.dims == ("T", "mu", "nu")
    assert found.error_from == "disorder"
    one = covariance(dataset(m[:1], N=10))
    assert one.error_from == "chains"
    assert one.value.values[0] == pytest.approx(10 * np.cov(m[0, 0].reshape(-1, 2).T, ddof=0), rel=1e-12)
    assert one.value[0].values.diagonal() == pytest.approx(mt.susceptibility(dataset(m[:1], N=10), "overlap").value[0])
    assert np.isnan(covariance(dataset(m[:1, :, :1], N=10)).error).all()


@pytest.mark.parametrize("samples", [1, 3])
def test_autocorrelation_written_out(samples):
    m = np.random.default_rng(10).normal(size=(samples, 2, 4, 30, 2)).cumsum(axis=3)
    found = autocorrelation(dataset(m), lags=5)
    assert found.value.dims == ("T", "mu", "lag")
    x = m - m.mean(axis=(2, 3), keepdims=True)
    c = np.stack([np.mean(x[..., : 30 - t, :] * x[..., t:, :], axis=(0, 2, 3)) for t in range(6)], axis=-1)
    assert found.value.values == pytest.approx(c / c[..., :1], rel=1e-10)
    assert (found.error.values[..., 0] < 1e-14).all()
    assert (found.error.values[..., 1:] > 0).all()
    energy = autocorrelation(dataset(m).overlap.isel(mu=1).to_dataset(name="e"), "e", lags=5)
    assert energy.value.values == pytest.approx(found.value.values[:, 1], rel=1e-12)


def test_autocorrelation_of_constants_and_bad_lags():
    ds = dataset(np.ones((2, 1, 3, 7, 1)))
    assert np.isnan(autocorrelation(ds, lags=2).value).all()
    for lags in (-1, 7):
        with pytest.raises(ValueError, match=rf"^lags must be in \[0, draws\), below 7, got {lags}$"):
            autocorrelation(ds, lags=lags)
    with pytest.raises(TypeError, match=r"^lags must be an integer in \[0, draws\), below 7, got 1.5$"):
        autocorrelation(ds, lags=1.5)


# --- examples: starts and ties ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["pattern", "hierarchical", "symmetric", "example"])
@pytest.mark.parametrize("number", [5, 4])
def test_both_ways_of_learning_start_alike(start, number):
    """By the sums over the examples, 0 at blanks and where an even number of them ties; random where all is 0."""
    eta = mt.examples(XI, r=R, M=number, seed=11)
    sums = eta.values.sum(axis=2, dtype=int)
    assert ((sums == 0) & (XI.values != 0)).any() == (number % 2 == 0)
    first = np.array([[next((x for x in site if x), 0) for site in sample.T] for sample in sums])
    by = {"pattern": sums[:, 0], "hierarchical": first, "symmetric": sums.sum(axis=1), "example": eta.values[:, 0, 0]}
    says = np.sign(by[start])
    for energy in (Energy.supervised(eta, r=R), Energy.unsupervised(eta, r=R), Energy.unsupervised(eta, r=R, P=3)):
        spins, random = (initial_spins(energy, word, 1, 1, 12)[:, 0, 0] for word in (start, "random"))
        assert np.array_equal(spins, np.where(says, says, random))
        assert (says == 0).any()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("make", [Energy.supervised, Energy.unsupervised])
def test_even_numbers_of_examples_tie_at_zero_temperature(make):
    """The share told is that of sites where the examples cancel: C(M, M/2) ((1 - r^2)/4)^(M/2)."""
    cold = {"sampler": mt.ZeroTemperature(), "T": 0.0, "chains": 2, "sweeps": 0, "burn_in": 0, "seed": 1}
    eta = mt.examples(XI, r=0.2, M=40, seed=13)
    share = 137846528820 * 0.24**20
    with pytest.warns(
        UserWarning, match=r"^M = 40 is even: at a share 0.055 of the sites of a .*; take an odd M$"
    ) as told:
        mt.simulate(make(eta, r=0.2), **cold)
    assert told[0].filename == __file__
    many = mt.examples(np.ones((1, 40000), int), r=0.2, M=40, seed=14).values.sum(axis=2, dtype=int)
    assert abs((many == 0).mean() - share) < 6 * np.sqrt(share / 40000)
    mt.simulate(make(eta[:, :, :39], r=0.2), **cold)
    mt.simulate(make(eta, r=0.2), **cold | {"T": 0.1, "sampler": mt.HeatBath()})
    mt.simulate(make(mt.examples(XI, r=1.0, M=4, seed=13), r=1.0), **cold)
    mt.simulate(make(eta[:, :, :4], r=0.2, P=3), **cold)
    mt.simulate(Energy.multitasking(XI), **cold)
    mt.simulate(mt.CouplingEnergy(np.ones((N, N))), **cold)
