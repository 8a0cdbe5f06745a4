"""P(q), Binder ratio, susceptibility, jackknife and blocking where the answer is known to the last digit."""

import numpy as np
import pytest
import xarray as xr

from mattis.mc.equilibration import energy_histograms, hot_cold, log_binning, q_in_time, q_symmetry
from mattis.mc.identities import pattern_moments
from mattis.mc.observables import binder, blocking, jackknife, p_of_q, replica_overlap, susceptibility, units

DIMS = ("sample", "T", "chain", "draw")


def dataset(name="energy", x=None, shape=(5, 2, 3, 7), **attrs):
    x = np.random.default_rng(1).normal(size=shape) if x is None else x
    dims = (*DIMS[:2], "pair" if name == "q" else "chain", "draw", "mu")[: x.ndim]
    coords = {dim: np.arange(n) for dim, n in zip(dims, x.shape, strict=True)}
    coords |= {"T": 0.5 + np.arange(x.shape[1]), "sweep": ("draw", 1 + np.arange(x.shape[3]))}
    return xr.Dataset({name: (dims, x)}, coords, {"N": 9, "K": 2, "every": 1} | attrs)


def overlaps(N, shape, seed=2):
    """Random values of q on the lattice of N sites."""
    return 2 * np.random.default_rng(seed).integers(N + 1, size=shape) / N - 1


# --- errors ----------------------------------------------------------------------------------------------------------


def test_jackknife_in_closed_form():
    """The mean: s/sqrt(n), no bias. The variance over n: bias -s^2/n. The squared mean: bias s^2/n."""
    x = np.random.default_rng(3).normal(2.0, 1.5, (11, 4))
    s2 = x.var(axis=0, ddof=1)
    mean = jackknife(lambda v: v.mean(axis=0), x)
    np.testing.assert_allclose(mean.estimate, x.mean(axis=0), rtol=1e-15)
    np.testing.assert_allclose(mean.error, np.sqrt(s2 / 11), rtol=1e-13)
    np.testing.assert_allclose(mean.bias, 0, atol=1e-13)
    np.testing.assert_allclose(jackknife(lambda v: v.var(axis=0), x).bias, -s2 / 11, rtol=1e-12)
    np.testing.assert_allclose(jackknife(lambda v: v.mean(axis=0) ** 2, x).bias, s2 / 11, rtol=1e-11)


def test_jackknife_of_a_ratio_is_that_of_its_linear_part():
    """Error of a/b to first order in 1/sqrt(n): that of (a - r b)/b."""
    rng = np.random.default_rng(5)
    b = rng.normal(3.0, 0.1, 2000)
    x = np.stack([2 * b + rng.normal(0, 0.05, b.size), b], axis=1)
    ratio = jackknife(lambda v: v[:, 0].mean() / v[:, 1].mean(), x)
    linear = (x[:, 0] - ratio.estimate * b).std(ddof=1) / b.mean() / np.sqrt(b.size)
    assert ratio.error == pytest.approx(linear, rel=1e-3)


def test_jackknife_of_one_value_knows_no_error():
    one = jackknife(np.mean, np.array([3.0]))
    assert one.estimate == 3
    assert np.isnan(one.error)
    assert np.isnan(one.bias)


def test_blocking_of_repeated_draws_is_blocking_of_the_draws():
    y = np.random.default_rng(7).normal(size=4096)
    once, repeated = blocking(y), blocking(np.repeat(y, 8))
    assert once.length < 64
    assert repeated.length >= 128
    k = repeated.length // 8
    blocks = y.reshape(-1, k).mean(axis=1)
    assert repeated.error == pytest.approx(blocks.std(ddof=1) / np.sqrt(blocks.size), rel=1e-12)
    assert repeated.spread == pytest.approx(repeated.error / np.sqrt(2 * (blocks.size - 1)), rel=1e-12)


def test_blocking_of_short_and_constant_series():
    drift = np.cumsum(np.random.default_rng(11).normal(size=64))
    assert np.isnan(blocking(drift).error)
    assert blocking(drift).length == 0
    assert blocking(np.full(10, 0.1)).error < 1e-16
    for bad in (np.ones(1), np.ones((2, 5))):
        with pytest.raises(ValueError, match=r"shape of x must be \(draw,\) with at least two"):
            blocking(bad)


# --- overlaps --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int8, np.int64])
def test_replica_overlap_is_the_sum(dtype):
    """301 sites: more than int8 holds."""
    a, b = np.random.default_rng(29).choice(np.array([-1, 1], dtype), (2, 6, 301))
    assert np.array_equal(replica_overlap(a, b), np.sum(a * b, axis=-1, dtype=int) / 301)
    assert np.array_equal(replica_overlap(a[:, None], b), (a.astype(int) @ b.T) / 301)
    assert (replica_overlap(a, a) == 1).all()
    for pair in ((a, 0 * b), (2 * a, b)):
        with pytest.raises(ValueError, match=r"^[ab] must be -1 or 1, got [02] at index \(0, 0\)$"):
            replica_overlap(*pair)


@pytest.mark.parametrize(("N", "bins"), [(9, None), (9, 10), (9, 4), (10, 3), (10, 11), (12, 5), (50, 17), (3, 1)])
def test_p_of_q_is_a_density(N, bins):
    q = overlaps(N, (4, 2, 3, 60))
    found = p_of_q(dataset("q", q, N=N), bins=bins)
    n = N + 1 if bins is None else bins
    assert found.P.dims == found.error.dims == ("T", "q")
    assert found.sizes["q"] == n
    np.testing.assert_allclose(found.P.sum("q") * found.width, 1, rtol=1e-13)
    np.testing.assert_allclose(np.diff(found.q), found.width * np.ones(n - 1), rtol=1e-12)
    np.testing.assert_allclose(found.symmetric, (found.P.values + found.P.values[:, ::-1]) / 2, rtol=1e-15)
    np.testing.assert_allclose((found.P * found.q).sum("q") * found.width, q.mean(axis=(0, 2, 3)), atol=found.width / 2)
    assert (found.P >= 0).all()


def test_p_of_q_counts_every_value():
    N, q = 9, overlaps(9, (4, 2, 3, 60))
    found = p_of_q(dataset("q", q, N=N))
    lattice = -1 + 2 * np.arange(N + 1) / N
    each = np.mean(np.abs(q[..., None] - lattice) < 1e-9, axis=(2, 3)) / found.width
    np.testing.assert_allclose(found.q, lattice, atol=1e-15)
    np.testing.assert_allclose(found.P, each.mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.error, each.std(axis=0, ddof=1) / 2, rtol=1e-13)
    even = (each + each[..., ::-1]) / 2
    np.testing.assert_allclose(found.symmetric_error, even.std(axis=0, ddof=1) / 2, rtol=1e-13)
    assert found.error_from == "disorder"


@pytest.mark.parametrize("bins", [1, 2, 3, 7, 10, 11])
def test_bins_of_a_flat_distribution_are_flat_and_of_an_even_one_even(bins):
    """No bin holds more values than another, whatever N + 1 divides by."""
    q = (-1 + 2 * np.arange(11) / 10).reshape(1, 1, 1, 11)
    np.testing.assert_allclose(p_of_q(dataset("q", q, N=10), bins=bins).P, 10 / 22, rtol=1e-13)
    even = np.repeat(q, [3, 1, 4, 1, 5, 9, 5, 1, 4, 1, 3], axis=3)
    P = p_of_q(dataset("q", even, N=10), bins=bins).P.values
    np.testing.assert_allclose(P, P[:, ::-1], rtol=1e-13)


def test_units_are_samples_or_chains():
    many, one = (p_of_q(dataset("q", overlaps(9, (n, 2, 3, 60)))) for n in (4, 1))
    assert (many.error_from, one.error_from) == ("disorder", "chains")
    assert not np.isnan(one.error).any()
    single = p_of_q(dataset("q", overlaps(9, (1, 2, 1, 60))))
    assert np.isnan(single.error).all()
    assert units(dataset(shape=(4, 2, 3, 7)).energy).dims == ("unit", "T", "copy", "draw")
    assert units(dataset("overlap", np.ones((1, 2, 3, 7, 6))).overlap).shape == (3, 2, 6, 1, 7)


def test_bad_overlaps():
    for q in (np.full((1, 1, 1, 2), 0.5), np.full((1, 1, 1, 2), 1 + 2 / 9)):
        with pytest.raises(ValueError, match=r"^q must be one of -1, -1 \+ 2/N, ..., 1 with N = 9, got "):
            p_of_q(dataset("q", q))
    for bins in (0, 11):
        with pytest.raises(ValueError, match=r"^bins must be in \[1, N \+ 1 = 10\], got "):
            p_of_q(dataset("q", overlaps(9, (2, 1, 1, 2))), bins=bins)
    with pytest.raises(ValueError, match="name must be a variable of the dataset, energy, got 'q'"):
        p_of_q(dataset())
    with pytest.raises(ValueError, match=r"energy must have the dimensions sample, T, draw and chain or pair"):
        binder(dataset().isel(chain=0), "energy")
    with pytest.raises(TypeError, match="ds must be a Dataset, such as simulate returns, got ndarray"):
        binder(np.ones(3))
    with pytest.raises(ValueError, match=r"energy.size must be >= 1"):
        susceptibility(dataset(shape=(1, 1, 1, 0)), "energy")


@pytest.mark.parametrize("samples", [1, 6])
def test_binder_and_susceptibility_written_out(samples):
    x = np.random.default_rng(13).normal(size=(samples, 2, 4, 50, 3))
    ds = dataset("overlap", x, N=30)
    second, fourth = (np.mean(x**k, axis=(0, 2, 3)) for k in (2, 4))
    g, chi = binder(ds, "overlap"), susceptibility(ds)
    assert g.value.dims == chi.value.dims == ("T", "mu")
    np.testing.assert_allclose(g.value, (3 - fourth / second**2) / 2, rtol=1e-12)
    variance = np.mean(x.var(axis=(2, 3)), axis=0)
    np.testing.assert_allclose(chi.value, 30 * variance / ds["T"].values[:, None], rtol=1e-12)
    assert g.error_from == chi.error_from == ("disorder" if samples > 1 else "chains")
    assert (g.error > 0).all()
    if samples > 1:
        each = x.var(axis=(2, 3)).std(axis=0, ddof=1) / np.sqrt(samples)
        np.testing.assert_allclose(chi.error, 30 * each / ds["T"].values[:, None], rtol=1e-12)


# --- equilibration: what is exact ------------------------------------------------------------------------------------


def test_bins_are_whole_and_double():
    """Sweeps 4, 6, ..., 132, burn-in 2: whole are [4, 8) to [64, 128); of sweeps 6 to 132, burn-in 4, [8, 16) on."""
    x = np.arange(65.0) + np.arange(3)[:, None, None, None] * np.ones((3, 2, 4, 65))
    ds = dataset(x=x, every=2).assign_coords(sweep=("draw", 4 + 2 * np.arange(65)))
    found = log_binning(ds, within=3.0)
    assert found.bin.values.tolist() == [4, 8, 16, 32, 64]
    first = [np.flatnonzero((ds.sweep.values >= b) & (ds.sweep.values < 2 * b)).mean() for b in (4, 8, 16, 32, 64)]
    np.testing.assert_allclose(found["mean"][0], np.array(first) + 1, rtol=1e-14)
    np.testing.assert_allclose(found.value[0], np.array(first) - first[-1], rtol=1e-13)
    assert not found.agree.any()
    assert log_binning(ds.isel(draw=slice(1, None)), within=3.0).bin.values.tolist() == [8, 16, 32, 64]
    with pytest.raises(ValueError, match=r"whole bins of sweeps \[2\^k, 2\^\(k\+1\)\) must be >= 3, got 2"):
        log_binning(ds.isel(draw=slice(7)), within=3.0)
    with pytest.raises(ValueError, match="within must be > 0, got 0"):
        log_binning(ds, within=0)


def test_hot_and_cold_are_compared_sample_by_sample():
    hot = dataset(shape=(6, 2, 3, 40))
    shift = np.array([1.0, 2, 3, 4, 5, 6])
    cold = hot.assign(energy=hot.energy - xr.DataArray(shift, dims="sample"))
    found = hot_cold(hot, cold)
    np.testing.assert_allclose(found.value, 3.5, rtol=1e-12)
    np.testing.assert_allclose(found.error, np.sqrt(3.5 / 6), rtol=1e-12)
    np.testing.assert_allclose(found.pull, 3.5 / np.sqrt(3.5 / 6), rtol=1e-12)
    assert found.units == 6
    same = hot_cold(hot, hot)
    assert (same.pull == 0).all()
    assert (same.p_value == 1).all()
    assert hot_cold(hot.isel(sample=[0]), cold.isel(sample=[0])).units == 3
    with pytest.raises(ValueError, match="sizes of cold must be those of hot"):
        hot_cold(hot, cold.isel(sample=slice(5)))
    with pytest.raises(ValueError, match="T of cold must be that of hot"):
        hot_cold(hot, cold.assign_coords(T=[0.5, 1.6]))
    with pytest.raises(ValueError, match="N of cold must be that of hot, got 10"):
        hot_cold(hot, cold.assign_attrs(N=10))


def test_symmetry_takes_half_of_q():
    q = overlaps(9, (4, 2, 3, 60))
    P = p_of_q(dataset("q", q)).P.values
    found = q_symmetry(dataset("q", q))
    assert (found.q > 0).all()
    np.testing.assert_allclose(found.value, (P - P[:, ::-1])[:, 5:], atol=1e-15)
    assert found.units == 4


def test_overlaps_in_time_are_half_a_run_apart():
    """Five draws: draws 0, 1 with 2, 3; three chains: one pair."""
    sigma = np.random.default_rng(17).choice(np.array([-1, 1]), (4, 2, 3, 5, 11))
    q = np.mean(sigma[:, :, :1] * sigma[:, :, 1:2], axis=-1)
    ds = dataset("q", q, N=11).assign(spins=((*DIMS, "site"), sigma.astype(np.int8)))
    time = np.mean(sigma[:, :, :2, :2] * sigma[:, :, :2, 2:4], axis=-1)
    expected = p_of_q(dataset("q", time, N=11)).P
    found = q_in_time(ds)
    np.testing.assert_allclose(found.time, expected, atol=1e-14)
    np.testing.assert_allclose(found.replicas, p_of_q(ds).P, atol=1e-14)
    np.testing.assert_allclose(found.value, found.replicas - found.time, atol=1e-14)
    with pytest.raises(ValueError, match="name must be a variable of the dataset, q, got 'spins'"):
        q_in_time(ds.drop_vars("spins"))
    with pytest.raises(ValueError, match="draws must be >= 2, got 1"):
        q_in_time(ds.isel(draw=[0]))


def test_moments_of_spins_written_out():
    rng = np.random.default_rng(19)
    sigma, xi = rng.choice(np.array([-1, 1]), (3, 2, 5, 6, 11)), rng.normal(size=(3, 4, 11))
    ds = dataset(shape=(3, 2, 5, 6), N=11).assign(spins=((*DIMS, "site"), sigma.astype(np.int8)))
    found = pattern_moments(ds, xi)
    a, b = sigma[:, :, :4:2], sigma[:, :, 1:4:2]
    M = [np.einsum("ztcdi,zmi->ztcdm", s, xi) for s in (sigma[:, :, :4], a, b)]
    np.testing.assert_allclose(found.M_squared, np.mean(M[0] ** 2, axis=(2, 3)), rtol=1e-12)
    q = np.mean(a * b, axis=-1)[..., None]
    np.testing.assert_allclose(found.q_M_M, np.mean(q * M[1] * M[2], axis=(2, 3)), rtol=1e-10, atol=1e-12)
    with pytest.raises(ValueError, match="chains must be >= 2, got 1"):
        pattern_moments(ds.isel(chain=[0]), xi)


def test_slope_of_histograms_of_two_energies():
    """Two levels: the slope of greatest likelihood is the difference of log odds; several T give one slope each."""
    n = np.array([[70, 30], [45, 55], [20, 80]])
    x = np.stack([np.repeat([0.0, 0.25], row) for row in n])[None, :, None]
    found = energy_histograms(dataset(x=x, N=8))
    odds = np.log(n[:, 1] / n[:, 0])
    np.testing.assert_allclose(found.value, (odds[:-1] - odds[1:]) / 2, rtol=1e-9)
    np.testing.assert_allclose(found.expected, [1 / 1.5 - 1 / 0.5, 1 / 2.5 - 1 / 1.5], rtol=1e-14)
    assert found["T"].values.tolist() == [0.5, 1.5]
    assert found.T_next.values.tolist() == [1.5, 2.5]
    assert np.isnan(found.error).all()  # one chain
    apart = np.stack([np.linspace(0, 1, 50), np.linspace(2, 3, 50)])[None, :, None]
    assert np.isnan(energy_histograms(dataset(x=apart)).value).all()
    with pytest.raises(ValueError, match="number of T must be >= 2, got 1"):
        energy_histograms(dataset(x=apart[:, :1]))


def test_error_of_a_slope_in_closed_form():
    """Two levels, four chains: s = (o_a - o_b)/2 of log odds o, and do = dk/(n p (1 - p)) of each chain's count k."""
    k = np.array([[60, 70, 52, 75], [20, 34, 41, 28]])
    x = (np.arange(100) < k[..., None])[None] * 0.25
    p = k.mean(axis=1, keepdims=True) / 100
    pieces = (k - 100 * p) / (400 * p * (1 - p))
    found = energy_histograms(dataset(x=x, N=8))
    assert found.units == 4
    odds = np.log(p / (1 - p))[:, 0]
    assert float(found.value[0]) == pytest.approx((odds[0] - odds[1]) / 2, rel=1e-9)
    assert float(found.error[0]) == pytest.approx(np.sqrt(np.sum((pieces[0] - pieces[1]) ** 2) * 4 / 3) / 2, rel=1e-9)
