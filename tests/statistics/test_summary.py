"""Means, errors, autocorrelation times and R-hat on series whose answers are known."""

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import chi2, norm, rankdata

import mattis as mt
from mattis.mc.stats import rank_r_hat, tau_int


def ar1(phi, chains, draws, seed):
    """Stationary AR(1) of unit variance: rho(t) = phi^t, tau_int = (1 + phi) / (2 (1 - phi))."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(chains, draws)) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise, axis=1, zi=phi * rng.normal(size=(chains, 1)))[0]


def dataset(x, name="energy"):
    dims = ("sample", "T", "chain", "draw", "mu")[: x.ndim]
    return xr.Dataset({name: (dims, x)})


@pytest.mark.parametrize(("phi", "chains", "draws"), [(0.0, 2, 50000), (0.5, 3, 60000), (0.9, 4, 120000)])
def test_tau_of_ar1(phi, chains, draws, p_min):
    """Standard deviation of the estimate: tau sqrt(2 (2 W + 1) / n), Sokal (1997), eq. (3.19)."""
    tau = (1 + phi) / (2 * (1 - phi))
    n = chains * draws
    spread = tau * np.sqrt(2 * (10 * tau + 3) / n)
    assert abs(tau_int(ar1(phi, chains, draws, 59)) - tau) < norm.isf(p_min / 2) * spread + tau * np.exp(-10)
    assert abs(2 * tau - tau) > 10 * spread  # the other convention, 1 + 2 sum rho, would be seen


def test_error_of_one_sample_is_the_spread_of_its_mean(p_min):
    """100 runs of an AR(1) around 0: sum (mean / error)^2 is chi-square."""
    z = []
    for run in range(100):
        s = mt.summary(dataset(ar1(0.8, 3, 7000, 61 + run)[None, None]), "energy")
        assert s.error_from == "chains"
        z.append(float(s["mean"][0] / s.error[0]))
    assert p_min < chi2.sf(np.sum(np.square(z)), 100) < 1 - p_min
    naive = np.array(z) * np.sqrt((1 + 0.8) / (1 - 0.8))  # as if all draws were independent
    assert chi2.sf(np.sum(naive**2), 100) < p_min


def test_disorder_is_the_outer_error():
    rng = np.random.default_rng(67)
    level = rng.normal(size=(11, 2, 1, 1, 3))
    x = level + 1e-3 * rng.normal(size=(11, 2, 5, 400, 3))
    s = mt.summary(dataset(x, "overlap"))
    assert s.error_from == "disorder"
    assert s["mean"].dims == s.error.dims == ("T", "mu")
    assert s.tau_int.dims == s.ess.dims == s.r_hat.dims == ("sample", "T", "mu")
    np.testing.assert_allclose(s.error, level[:, :, 0, 0].std(axis=0, ddof=1) / np.sqrt(11), rtol=1e-2)
    np.testing.assert_allclose(s["mean"], level[:, :, 0, 0].mean(axis=0), atol=1e-3)


def test_short_runs_say_so():
    long, short = (dataset(ar1(0.9, 4, draws, 71)[None, None]) for draws in (5000, 300))
    assert not mt.summary(long, "energy").short.any()
    assert mt.summary(short, "energy").short.all()


def test_stuck_chains_are_seen():
    x = ar1(0.3, 6, 800, 73) + np.repeat([-5.0, 5.0], 3)[:, None]
    s = mt.summary(dataset(x[None, None]), "energy")
    assert s.short.all()
    assert s.r_hat > 1.5
    assert s.error > 1  # six chains in two places
    assert rank_r_hat(x[:3]) < 1.02


def slow_r_hat(x):
    """Equations (1)-(4) and (14) of arXiv:1903.08008 written out."""

    def basic(z):
        n = z.shape[1]
        B = n * np.var([row.mean() for row in z], ddof=1)
        W = np.mean([np.var(row, ddof=1) for row in z])
        return np.sqrt(((n - 1) / n * W + B / n) / W)

    def scores(y):
        return norm.ppf((rankdata(y, method="average").reshape(y.shape) - 3 / 8) / (y.size + 1 / 4))

    n = x.shape[1]
    y = np.vstack([x[:, : n // 2], x[:, n - n // 2 :]])
    return max(basic(scores(y)), basic(scores(np.abs(y - np.median(y)))))


@pytest.mark.parametrize(("chains", "draws"), [(1, 40), (3, 101), (5, 64)])
def test_r_hat_is_the_published_one(chains, draws):
    x = ar1(0.6, chains, draws, 79)
    assert rank_r_hat(x) == pytest.approx(slow_r_hat(x), rel=1e-12)
    assert rank_r_hat(np.exp(3 * x)) == pytest.approx(slow_r_hat(np.exp(3 * x)), rel=1e-12)
    wide = x * np.linspace(1, 4, chains)[:, None]
    assert rank_r_hat(wide) == pytest.approx(slow_r_hat(wide), rel=1e-12)


def test_constant_chains_are_no_trouble():
    s = mt.summary(dataset(np.full((1, 2, 3, 50), 0.1)), "energy")
    assert (s.tau_int == 0.5).all()
    assert (s.ess == 150).all()
    assert (s.r_hat == 1).all()
    assert (s.error < 1e-15).all()
    two_levels = np.repeat([0.1, 0.7], 2)[:, None] * np.ones(50)
    assert rank_r_hat(two_levels) == np.inf


def test_one_draw_of_many_chains():
    x = np.random.default_rng(83).normal(size=(1, 1, 500, 1))
    s = mt.summary(dataset(x), "energy")
    assert float(s.error[0]) == pytest.approx(x.std(ddof=1) / np.sqrt(500), rel=1e-12)
    assert np.isnan(s.r_hat).all()
    assert s.short.all()
    assert np.isnan(mt.summary(dataset(x[:, :, :1]), "energy").error).all()


def test_bad_names():
    ds = dataset(np.zeros((1, 1, 2, 3)))
    with pytest.raises(ValueError, match="name must be a variable of the dataset, energy, got 'overlap'"):
        mt.summary(ds)
    with pytest.raises(ValueError, match="must have the dimensions sample, T, draw and chain or pair, got"):
        mt.summary(ds.isel(chain=0), "energy")
    with pytest.raises(ValueError, match=r"energy.size must be >= 1"):
        mt.summary(ds.isel(draw=slice(0)), "energy")


def test_a_run_of_the_engine():
    """K = 1 at T = 0.5: energies of the ferromagnet, one number per temperature and a sane R-hat."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=60, K=1, seed=89))
    ds = mt.simulate(energy, T=[0.5, 0.9], chains=4, sweeps=2000, burn_in=100, start="pattern", seed=97)
    s = mt.summary(ds, "energy")
    assert s["mean"].dims == ("T",)
    assert (s.r_hat < 1.02).all()
    assert (s.error > 0).all()
    assert (s.tau_int >= 0.5).all()
