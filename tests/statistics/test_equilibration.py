"""Equilibration tests and error bars: right runs pass at the rate they state, planted faults are seen.

Every comparison with ``p_min`` fails by chance with probability 1e-6 / N_TESTS at most; where a test looks at many
p-values at once it divides ``p_min`` by their number. Draws by ``drawn`` are exact: from all states by their weights.
"""

import warnings

import numpy as np
import pytest
import xarray as xr
from scipy.signal import lfilter
from scipy.stats import chi2, norm

import mattis as mt
from mattis.mc.convert import to_arviz, to_pymbar
from mattis.mc.equilibration import (
    energy_histograms,
    hot_cold,
    log_binning,
    q_in_time,
    q_symmetry,
)
from mattis.mc.exact import all_states
from mattis.mc.identities import gaussian_pattern_identity, pattern_moments, sk_identity
from mattis.mc.observables import binder, blocking, p_of_q, replica_overlap, susceptibility


def boltzmann(H, T):
    """Weights of states, energies (sample, state) and T (T,) to (sample, T, state)."""
    w = np.exp(-(H - H.min(axis=1, keepdims=True))[:, None] / np.asarray(T)[:, None])
    return w / w.sum(axis=-1, keepdims=True)


def hebbian(xi, states):
    """H = -(1/2N) sum M^2 of real patterns (sample, mu, site), diagonal in; (sample, state)."""
    return -np.sum((xi @ states.T.astype(float)) ** 2, axis=1) / (2 * states.shape[1])


def drawn(H, T, pairs, draws, seed, hold=0.0):
    """Dataset of exact draws given H (sample, 2^N), each kept with probability h: tau_int (1 + h)/(2 (1 - h))."""
    rng = np.random.default_rng(seed)
    N = int(np.log2(H.shape[1]))
    shape = (len(H), len(T), 2 * pairs, draws)
    state = np.empty((*shape[:2], 2 * pairs * draws), int)
    for at, p in zip(np.ndindex(shape[:2]), boltzmann(H, T).reshape(-1, 2**N), strict=True):
        state[at] = np.searchsorted(np.cumsum(p) / p.sum(), rng.random(state.shape[2]), side="right")
    new = rng.random(shape) >= hold
    new[..., 0] = True
    last = np.maximum.accumulate(np.where(new, np.arange(draws), 0), axis=-1)
    state = np.take_along_axis(state.reshape(shape), last, axis=-1)
    spins = all_states(N)[state]
    dims = ("sample", "T", "chain", "draw")
    variables = {
        "energy": (dims, np.take_along_axis(H[:, None, None], state, axis=-1) / N),
        "spins": ((*dims, "site"), spins),
        "q": (("sample", "T", "pair", "draw"), replica_overlap(spins[:, :, ::2], spins[:, :, 1::2])),
    }
    return xr.Dataset(variables, {"T": np.asarray(T), "sweep": ("draw", 1 + np.arange(draws))}, {"N": N, "every": 1})


def ar1(phi, chains, draws, seed):
    """Stationary AR(1) of unit variance: tau_int = (1 + phi) / (2 (1 - phi))."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(chains, draws)) * np.sqrt(1 - phi**2)
    return lfilter([1], [1, -phi], noise, axis=1, zi=phi * rng.normal(size=(chains, 1)))[0]


def least(p_value):
    """The least of many p-values, as one."""
    return float(p_value.min()) * p_value.size


# --- errors of one chain ---------------------------------------------------------------------------------------------


def test_blocking_of_ar1(p_min):
    """100 series: sum (mean / error)^2 is chi-square but for the spread 1/sqrt(2 n_B) of an error and a part tau/B."""
    found = [(x.mean(), blocking(x)) for x in (ar1(0.8, 1, 2**16, 101 + run)[0] for run in range(100))]
    z = np.array([mean / b.error for mean, b in found])
    assert p_min < chi2.sf(np.sum(z**2), 100) < 1 - p_min
    naive = np.array([mean * 2**8 for mean, _ in found])
    assert chi2.sf(np.sum(naive**2), 100) < p_min
    exact = np.sqrt(9 / 2**16)
    error, spread = (np.array([getattr(b, key) for _, b in found]) for key in ("error", "spread"))
    assert abs(error.mean() / exact - 1) < 4.5 / 256 + norm.isf(p_min / 2) * spread.mean() / exact / np.sqrt(100)
    assert 0.7 < error.std() / spread.mean() < 1.4
    assert {b.length for _, b in found} <= {128, 256, 512}


def test_effective_size_is_that_of_arviz(p_min):
    """n/(2 tau_int) against ArviZ (Geyer's truncation of ranked draws); spread of either: Sokal (1997), eq. (3.19)."""
    arviz = imported("arviz")
    for phi, chains, draws in ((0.0, 4, 6000), (0.6, 3, 20000), (0.9, 4, 40000)):
        x = ar1(phi, chains, draws, 211)
        ds = xr.Dataset({"energy": (("sample", "T", "chain", "draw"), x[None, None])})
        theirs = float(arviz.ess(to_arviz(ds).posterior.to_dataset()).energy[0, 0])
        tau = (1 + phi) / (2 * (1 - phi))
        spread = np.sqrt(2 * (10 * tau + 3) / x.size)
        assert abs(float(mt.summary(ds, "energy").ess[0, 0]) / theirs - 1) < norm.isf(p_min / 6) * spread * np.sqrt(2)


@pytest.mark.filterwarnings("ignore:Unknown solver options")  # of pymbar 4.0 to SciPy
def test_free_energies_of_mbar_are_the_enumerated_ones(p_min):
    """ln Z differences of three temperatures; draws are held, tau_int = 3/2, so a third of them at most is taken."""
    pymbar = imported("pymbar")
    T, energy = [0.6, 0.9, 1.6], mt.OverlapEnergy.hebbian(mt.patterns(N=11, K=3, seed=223))
    H = hebbian(energy.xi.astype(float), all_states(11)) + 3 / 2  # diagonal out
    ds = drawn(H, T, 4, 3000, 227, hold=0.5)
    u_kn, N_k = to_pymbar(ds)
    assert (N_k <= 8 * 1000).all()
    result = pymbar.MBAR(u_kn, N_k).compute_free_energy_differences()
    log_Z = mt.enumerate_states(energy, T=T).log_Z.values[0]
    upper = np.triu_indices(3, 1)
    error = result["dDelta_f"][upper]
    z = (result["Delta_f"] - (log_Z[:, None] - log_Z))[upper] / error
    assert np.abs(z).max() < norm.isf(p_min / 6)
    assert (error < 0.03).all()


def imported(name):
    """The optional program, or a skip; ArviZ 0.23 warns of its successor when it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        return pytest.importorskip(name, reason=f"{name} comes with the extra 'analysis'")


# --- overlaps of replicas --------------------------------------------------------------------------------------------


def test_p_of_q_is_the_enumerated_one(chi_square, p_min):
    """One sample, N = 9: independent pairs of draws, all 10 values of q; and the two sides of q = 0 agree."""
    states = all_states(9)
    H = hebbian(mt.patterns(N=9, K=4, seed=229).values, states)
    p = boltzmann(H, [0.8])[0, 0]
    different = np.bitwise_count(np.arange(512)[:, None] ^ np.arange(512))
    exact = np.bincount(different.ravel(), np.outer(p, p).ravel())[::-1]
    ds = drawn(H, [0.8], 50, 400, 233)
    found = p_of_q(ds)
    assert found.error_from == "chains"
    counts = found.P.values[0] * found.width * 20000
    assert chi_square(np.rint(counts), exact) > p_min
    assert chi_square(np.rint(counts), np.roll(exact, 1)) < p_min
    z = (found.P.values[0] - exact / found.width) / found.error.values[0]
    assert np.abs(z).max() < 8  # Student's with 49 degrees of freedom, 10 values: 2e-9


def exact_moments(H, T):
    """<q^2> and <q^4> of two replicas, (2, sample, T)."""
    states = all_states(int(np.log2(H.shape[1]))).astype(float)
    Q, p = states @ states.T / states.shape[1], boltzmann(H, T)
    return np.array([np.sum((p @ Q**k) * p, axis=-1) for k in (2, 4)])


@pytest.mark.parametrize("samples", [30, 1])
def test_errors_of_binder_and_susceptibility(samples, p_min):
    """60 runs of N = 6 against enumeration: sum pull^2 is that of 60 values of Student's t, of variance n/(n - 2).

    30 samples, new in every run: of the mean over disorder, here over 20,000. One sample: 30 chains or pairs of it.
    """
    T, runs, pairs = [0.9], 60, 1 if samples > 1 else 30
    rng = np.random.default_rng(239)
    H = hebbian(rng.normal(size=(20000 if samples > 1 else 1, 3, 6)), all_states(6))
    second, fourth = exact_moments(H, T).mean(axis=1)
    exact = {"g": 1.5 - 0.5 * fourth / second**2, "chi": 6 / np.array(T) * second}
    pull = {"g": [], "chi": []}
    for run in range(runs):
        ds = drawn(H[np.arange(samples) + samples * run if samples > 1 else [0]], T, pairs, 400, 241 + run)
        for key, found in (("g", binder(ds)), ("chi", susceptibility(ds, "q"))):
            pull[key].append(float((found.value[0] - exact[key][0]) / found.error[0]))
    for key in pull:
        statistic = np.sum(np.square(pull[key])) * 27 / 29
        assert p_min < chi2.sf(statistic, runs) < 1 - p_min, (key, statistic)


def test_symmetry_and_time(p_min):
    """Exact chains have an even P(q), the same of replicas and of times; chains that are stuck have neither."""
    H = hebbian(np.random.default_rng(251).normal(size=(60, 2, 10)), all_states(10))
    ds = drawn(H, [0.5, 1.0], 2, 200, 257, hold=0.6)
    assert least(q_symmetry(ds, bins=7).p_value) > p_min
    assert least(q_in_time(ds, bins=7).p_value) > p_min
    stuck = drawn(H, [0.5, 1.0], 2, 200, 263, hold=0.999)
    assert least(q_in_time(stuck, bins=7).p_value) < p_min
    bent = ds.assign(q=xr.where(np.arange(200) % 5 == 0, 1.0, ds.q).transpose(*ds.q.dims))
    assert least(q_symmetry(bent, bins=7).p_value) < p_min


# --- runs ------------------------------------------------------------------------------------------------------------


def test_log_binning_of_a_run(p_min):
    """From a random start at T = 0.8 and 1.0: the first bin is seen to differ, the last three agree; 64 samples."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=96, K=3, samples=64, seed=269))
    run = {"T": [0.8, 1.0], "chains": 2, "burn_in": 0, "seed": 271, "observables": ("energy",)}
    ds = mt.simulate(energy, sweeps=511, **run)
    result = log_binning(ds, within=6.5)  # Student's with 63 degrees of freedom, 4 pulls: 6e-8
    assert result.bin.values.tolist() == [2**k for k in range(9)]
    assert (result.p_value.isel(bin=0) < p_min).all()
    assert least(result.p_value.isel(bin=slice(-3, -1))) > p_min
    assert result.agree.all()
    assert not log_binning(ds.isel(draw=slice(7)), within=6.5).agree.any()


def test_hot_and_cold_starts(p_min):
    """|m| of the first pattern: the same at T = 1.4; at T = 0.25 the pattern stays, the random start finds a glass."""
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=120, K=9, samples=40, seed=277))
    run = {"T": [0.25, 1.4], "chains": 3, "sweeps": 300, "burn_in": 100, "seed": 281}
    hot, cold = (mt.simulate(energy, start=start, **run) for start in ("random", "pattern"))
    result = hot_cold(*(ds.assign(size=abs(ds.overlap.isel(mu=0))) for ds in (hot, cold)), "size")
    assert float(result.p_value[1]) > p_min
    assert float(result.p_value[0]) < p_min
    assert result.value[0] < 0


def test_one_percent_in_the_temperature_of_a_run_is_seen(p_min):
    """256 chains at each of two T: the slope is that of T, and not that of 1.01 T; its relative error is 0.0012."""
    T = np.array([0.8, 2.0])
    energy = mt.OverlapEnergy.hebbian(mt.patterns(N=24, K=4, seed=283))
    run = {"chains": 256, "sweeps": 6000, "burn_in": 50, "seed": 293, "observables": ("energy",)}
    ds = mt.simulate(energy, T=T, **run)
    result = energy_histograms(ds)
    assert float(result.p_value[0]) > p_min
    assert float(result.error[0] / abs(result.expected[0])) < 0.0013
    assert float(energy_histograms(ds.assign_coords(T=1.01 * T)).p_value[0]) < p_min


@pytest.mark.parametrize(("samples", "pairs", "hold"), [(1, 8, 0.5), (20, 1, 0.7)])
def test_slopes_have_honest_errors(samples, pairs, hold, chi_square, p_min):
    """260 runs: p-values are even over [0, 1], whether units are few chains or many samples, draws held or not."""
    H = hebbian(np.random.default_rng(307).normal(size=(samples, 3, 7)), all_states(7))
    p = [float(energy_histograms(drawn(H, [0.8, 1.3], pairs, 60, 311 + run, hold)).p_value[0]) for run in range(260)]
    assert chi_square(np.histogram(p, 10, (0, 1))[0], np.full(10, 0.1)) > p_min


def sherrington_kirkpatrick(samples, N, T, seed):
    """Exact <e> and <q^2>, each (sample, T), of Gaussian couplings of variance 1/N."""
    J = np.random.default_rng(seed).normal(size=(samples, N * (N - 1) // 2)) / np.sqrt(N)
    i, j = np.triu_indices(N, 1)
    bonds = (all_states(N)[:, i] * all_states(N)[:, j]).astype(float)
    H = -J @ bonds.T
    p = boltzmann(H, T)
    link = np.mean((p @ bonds) ** 2, axis=-1)
    return labelled(np.einsum("zts,zs->zt", p, H) / N, T), labelled((1 + (N - 1) * link) / N, T)


def labelled(x, T):
    return xr.DataArray(x, {"T": np.asarray(T)}, ("sample", "T", "mu")[: x.ndim])


def test_sk_identity_by_enumeration(p_min):
    """5000 disorders, N = 9: 0 within errors; q^2 taken for the link overlap, or 5 % in T, are seen."""
    T = [0.5, 0.8, 1.5]
    e, q2 = sherrington_kirkpatrick(5000, 9, T, 313)
    right = sk_identity(e, q2)
    assert least(right.p_value) > p_min
    assert least(sk_identity(e, (9 * q2 - 1) / 8).p_value) < p_min
    assert least(sk_identity(*(x.assign_coords(T=1.05 * x["T"]) for x in (e, q2))).p_value) < p_min


def test_gaussian_pattern_identity_by_enumeration(p_min):
    """6000 disorders, N = 10, K = 2 as in the derivation's own check: 1 within errors; 10 % in T are seen."""
    N, T, states = 10, [0.6, 1.0, 1.7], all_states(10)[:512].astype(float)  # every average is even
    M_squared, q_M_M = [], []
    for xi in np.random.default_rng(317).normal(size=(30, 200, 2, N)):
        p, M = boltzmann(hebbian(xi, states), T), xi @ states.T
        M_squared.append(np.einsum("zts,zms->ztm", p, M**2))
        sigma_M = np.einsum("ztms,si->ztmi", p[:, :, None] * M[:, None], states, optimize=True)
        q_M_M.append(np.sum(sigma_M**2, axis=-1) / N)
    moments = [labelled(np.concatenate(x), T) for x in (M_squared, q_M_M)]
    right = gaussian_pattern_identity(*moments, N=N)
    assert least(right.p_value) > p_min
    wrong = gaussian_pattern_identity(*(x.assign_coords(T=1.1 * x["T"]) for x in moments), N=N)
    assert least(wrong.p_value) < p_min


def test_pattern_moments_from_recorded_spins(p_min):
    """300 disorders, N = 8, exact draws: the identity holds, and does not with the patterns of another sample."""
    xi = np.random.default_rng(331).normal(size=(300, 3, 8))
    ds = drawn(hebbian(xi, all_states(8)), [0.8, 1.2], 2, 100, 337)
    right, other = (pattern_moments(ds, patterns) for patterns in (xi, np.roll(xi, 1, axis=0)))
    assert least(gaussian_pattern_identity(right.M_squared, right.q_M_M, N=8).p_value) > p_min
    assert least(gaussian_pattern_identity(other.M_squared, other.q_M_M, N=8).p_value) < p_min
