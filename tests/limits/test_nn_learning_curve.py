"""Learning curves of kernel regression: golden numbers, closed forms, identities and simulations.

Statistical tests compare means over independent draws with the theory at five standard errors, 6e-7 for each of the 20
comparisons, 1.2e-5 in all. They allow the finite-P bias of a Gaussian design, here 1.5/P of the value (measured with
6000 draws in these settings: 0.1/P to 1.2/P). Planted errors in the formula must be caught.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.random import Generator, Philox

from mattis.core.errors import ConvergenceError
from mattis.theory.kernels import generalisation as module
from mattis.theory.kernels.generalisation import empirical_spectrum, learning_curve, transfer_error
from mattis.theory.kernels.spectra import sphere_spectrum

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "kernel_numbers.json").read_text())["learning_curves"]
RANKS = np.arange(1, 91.0)
LAM, W = RANKS**-1.3, RANKS**-0.6 * np.where(RANKS % 3 == 0, -1, 1)


def rng(seed):
    return Generator(Philox(key=seed))


def ntk(t):
    """One hidden ReLU layer, sigma_w^2 = 2, no bias, first covariance t."""
    angle = np.arccos(np.clip(t, -1, 1))
    return (np.sin(angle) + 2 * (np.pi - angle) * np.cos(angle)) / np.pi


def off(sample, theory):
    """Distance of the mean of a sample from the theory in standard errors."""
    return float((sample.mean() - theory) / (sample.std(ddof=1) / len(sample) ** 0.5))


def agrees(sample, theory, P):
    """Within five standard errors and a bias of 1.5/P."""
    return abs(sample.mean() - float(theory)) < 5 * sample.std(ddof=1) / len(sample) ** 0.5 + 1.5 * float(theory) / P


@pytest.mark.parametrize("case", GOLDEN["values"], ids=lambda v: f"{v['spectrum']}-{v['P']}-{v['ridge']}")
def test_golden_numbers(case):
    given = {k: np.array(v, float) for k, v in GOLDEN["spectra"][case["spectrum"]].items()}
    P, ridge, noise = float(case["P"]), float(case["ridge"]), float(case["noise_var"])
    found = learning_curve(given["eigenvalues"], target_power=given["target_power"], P=P, ridge=ridge, noise=noise)
    for name in ("kappa", "gamma", "E_g"):
        assert float(found[name]) == pytest.approx(float(case[name]), rel=1e-14)
    assert float(found.mode_bias.sum() / (1 - found.gamma)) == pytest.approx(
        float(case["E_g_noise_free_part"]), rel=1e-13
    )
    assert float(found.residual) < 1e-14
    assert float(found.learnability.sum() + ridge * P / found.kappa) == pytest.approx(P, rel=1e-14)  # conservation


def flat_kappa(M, lam, P, ridge):
    """kappa^2 + kappa (lam (P - M) - ridge) - ridge lam P = 0, its positive root without cancellation."""
    b = lam * (P - M) - ridge
    larger = (abs(b) + np.sqrt(b * b + 4 * ridge * lam * P)) / 2
    return np.where(b > 0, ridge * lam * P / larger, larger)


@pytest.mark.parametrize("ridge", [0.0, 1e-250, 1e-20, 1e-3, 1.0, 1e8])
def test_flat_spectrum(ridge):
    """One eigenvalue: kappa is the root of a quadratic; next to the noise peak too."""
    M, lam = 50, 0.02
    P = np.array([1e-6, 1, 30, 49, 49.999, 50, 50.001, 51, 400, 1e9])
    if ridge == 0:
        P = P[P < M]
    found = learning_curve(np.full(M, lam), target_power=np.full(M, lam), P=P, ridge=ridge)
    grouped = learning_curve([lam], target_power=[M * lam], P=P, ridge=ridge, multiplicity=M)
    for curve in (found, grouped):
        np.testing.assert_allclose(curve.kappa, flat_kappa(M, lam, P, ridge), rtol=1e-11)
    np.testing.assert_allclose(found.E_g, grouped.E_g, rtol=1e-11)
    np.testing.assert_allclose(found.mode_error.sum("mode"), grouped.mode_error[:, 0], rtol=1e-11)


def test_hard_spectra_converge():
    """Eigenvalues over 300 decades and levels of 1e40 modes: sum L + ridge P/kappa = P holds to rounding."""
    spectra = [
        (10.0 ** np.linspace(0, -300, 37), np.ones(37)),
        (10.0 ** (-3.0 * np.arange(21)), 10.0 ** (2.0 * np.arange(21))),
    ]
    for lam, g in spectra:
        for ridge in (1e-280, 1e-12, 3.0):
            P = np.array([0.5, 7, 36, 37, 1e4])
            found = learning_curve(lam, target_power=lam, P=P, ridge=ridge, noise=0.1, multiplicity=g)
            balance = (found.learnability * g).sum("mode") + ridge * P / found.kappa
            np.testing.assert_allclose(balance, P, rtol=1e-13)
            assert float(found.residual.max()) < 1e-14


def test_slope_of_kappa_is_the_susceptibility():
    """dkappa/dridge = 1/(1 - gamma), by central differences."""
    for P in (11, 60, 200):
        low, mid, high = learning_curve(LAM, target_power=W**2, P=P, ridge=[0.3 - 1e-4, 0.3, 0.3 + 1e-4]).kappa.values
        gamma = float(learning_curve(LAM, target_power=W**2, P=P, ridge=0.3).gamma)
        assert (high - low) / 2e-4 == pytest.approx(1 / (1 - gamma), rel=1e-7)
        assert low < mid < high


def test_matched_prior():
    """Target drawn from the prior, w_r^2 = lambda_r, and ridge = s^2: E_g + s^2 = kappa, E_train = s^4/kappa, and no
    other ridge is better.
    """
    P, s2 = np.array([3.0, 40, 90, 700]), 0.07
    ridges = s2 * np.array([0.5, 0.98, 1.0, 1.02, 2.0])
    found = learning_curve(LAM, target_power=LAM, P=P, ridge=ridges, noise=s2)
    best = found.isel(ridge=2)
    np.testing.assert_allclose(best.E_g + s2, best.kappa, rtol=1e-13)
    np.testing.assert_allclose(best.E_train, s2**2 / best.kappa, rtol=1e-13)
    assert (found.E_g.argmin("ridge") == 2).all()


def test_few_and_many_points():
    """P = 0: E_g is the power of the target, kappa = ridge + trace. P -> infinity: E_g P -> M s^2, E_train -> s^2."""
    ends = learning_curve(LAM, target_power=W**2, P=[0.0, 1e-9, 1e11], ridge=0.2, noise=0.4)
    power, trace = (W**2).sum(), LAM.sum()
    assert float(ends.E_g[0]) == pytest.approx(power, rel=1e-14)
    assert float(ends.kappa[0]) == pytest.approx(0.2 + trace, rel=1e-14)
    assert float(ends.E_train[0]) == pytest.approx((0.2 / (0.2 + trace)) ** 2 * (power + 0.4), rel=1e-13)
    assert abs(ends.isel(P=1) / ends.isel(P=0) - 1).E_g < 1e-7
    assert float(ends.E_g[2]) * 1e11 == pytest.approx(len(LAM) * 0.4, rel=1e-6)
    assert float(ends.E_train[2]) == pytest.approx(0.4, rel=1e-6)


def test_small_ridge():
    """The limit ridge -> 0 is continuous on both sides of P = M; beyond M it is least squares on M features:
    E_g = (w_0^2 + s^2 M/P)/(1 - M/P), E_train = (1 - M/P)(w_0^2 + s^2), w_0^2 the power outside their span.
    """
    lam, w2 = np.append(LAM, 0.0), np.append(W**2, 0.3)
    P, M = np.array([20.0, 70, 89, 91, 130, 500]), len(LAM)
    zero, small = (learning_curve(lam, target_power=w2, P=P, ridge=r, noise=0.2) for r in (0.0, 1e-13))
    for name in ("kappa", "gamma", "E_g", "E_train", "learnability", "mode_error"):
        np.testing.assert_allclose(zero[name], small[name], rtol=1e-6, atol=1e-9)
    few, many = zero.isel(P=slice(0, 3)), zero.isel(P=slice(3, None))
    assert (few.kappa > 0).all()
    assert (few.E_train == 0).all()
    assert (many.kappa == 0).all()
    q = M / P[3:]
    np.testing.assert_allclose(many.gamma, q, rtol=1e-14)
    np.testing.assert_allclose(many.E_g, (0.3 + 0.2 * q) / (1 - q), rtol=1e-12)
    np.testing.assert_allclose(many.E_train, (1 - q) * 0.5, rtol=1e-12)
    np.testing.assert_allclose(many.mode_error.sum("mode"), many.E_g, rtol=1e-12)


def test_noise_peak():
    """ridge = 0 and P = M: gamma = 1; E_g is infinite with noise or unlearnable power, and zero without."""
    lam, w2 = np.append(LAM, 0.0), np.append(W**2, 0.0)
    found = learning_curve(lam, target_power=w2, P=[89, 90, 91], ridge=0.0, noise=[0.0, 0.1])
    assert found.gamma[1] == 1
    assert found.kappa[1] == 0
    assert found.E_g[1].values.tolist() == [0, np.inf]
    assert found.E_train[1].values.tolist() == [0, 0]
    assert np.isfinite(found.E_g[[0, 2]]).all()
    assert found.mode_error.sel(P=90, noise=0.1).values.tolist() == [np.inf] * 90 + [0]
    outside = learning_curve(lam, target_power=w2 + 0.1, P=90, ridge=0.0)
    assert outside.E_g == np.inf
    assert not np.isnan(outside.to_dataarray()).any()
    near = learning_curve(LAM, target_power=W**2, P=90, ridge=[1e-4, 1e-6, 1e-8], noise=0.1).E_g.values
    np.testing.assert_allclose(near[1:] / near[:-1], 10, rtol=0.05)  # diverges as ridge^(-1/2)


def test_kernel_without_modes():
    nothing = learning_curve([0.0, 0.0], target_power=[1.0, 0.5], P=[0, 4], ridge=[0.0, 2.0], noise=0.25)
    assert (nothing.E_g == 1.5).all()
    assert (nothing.E_train == 1.75).all()
    assert (nothing.kappa.values == [[0, 2], [0, 2]]).all()


def test_axes():
    """Arrays become axes of their names; DataArrays broadcast by theirs."""
    P = np.array([4.0, 30, 100])
    found = learning_curve(LAM, target_power=W**2, P=P, ridge=[0.1, 2.0], noise=[0.0, 0.3, 0.6, 0.9])
    assert found.kappa.dims == ("P", "ridge")
    assert found.E_g.dims == ("P", "ridge", "noise")
    assert found.learnability.dims == ("P", "ridge", "mode")
    assert found.mode_error.shape == (3, 2, 4, 90)
    growing = learning_curve(LAM, target_power=W**2, P=P, ridge=xr.DataArray(0.01 * P, dims="P"))
    assert growing.E_g.dims == ("P",)
    for p, value in zip(P, growing.E_g.values, strict=True):
        alone = learning_curve(LAM, target_power=W**2, P=p, ridge=0.01 * p)
        assert value == pytest.approx(float(alone.E_g), rel=1e-14)
        assert alone.E_g.dims == ()


def gaussian_design(lam, w, P, ridge, noise, draws, seed):
    """Errors w_hat - w and mean squares on the training labels of ridge regression with Gaussian features."""
    random, errors, train = rng(seed), [], []
    for _ in range(draws):
        psi = random.standard_normal((P, len(lam)))
        K, y = (psi * lam) @ psi.T, psi @ w + noise**0.5 * random.standard_normal(P)
        a = np.linalg.solve(K + ridge * np.eye(P), y)
        errors.append(w - lam * (psi.T @ a))
        train.append(np.mean((y - K @ a) ** 2))
    return np.array(errors), np.array(train)


@pytest.mark.parametrize(("P", "ridge", "noise"), [(60, 0.5, 0.1), (130, 0.05, 0.3)])
def test_gaussian_features(P, ridge, noise):
    """E_g, E_train, errors of three groups of modes, and the error under another test measure (arXiv:2106.02261)."""
    errors, train = gaussian_design(LAM, W, P, ridge, noise, draws=500, seed=P)
    found = learning_curve(LAM, target_power=W**2, P=P, ridge=ridge, noise=noise)
    assert agrees((errors**2).sum(1), found.E_g, P)
    assert agrees(train, found.E_train, P)
    for group in (slice(0, 3), slice(3, 20), slice(20, None)):
        assert agrees((errors[:, group] ** 2).sum(1), found.mode_error[group].sum(), P)
    A = rng(17).standard_normal((90, 120)) / 120**0.5
    overlap = A @ A.T + 0.2
    shifted = np.einsum("ir,rs,is->i", errors, overlap, errors)
    assert agrees(shifted, transfer_error(found, target=W, overlap=overlap), P)
    assert not agrees(shifted, transfer_error(found, target=abs(W), overlap=overlap), P)  # planted: signs lost
    assert off((errors**2).sum(1), float(found.mode_bias.sum() + noise * found.gamma)) > 10  # planted: no 1/(1 - gamma)


def test_mean_and_variance_of_the_predictor():
    """w_hat has mean L w, looked at in five modes, and variance (E_g + s^2) L^2/P per mode, in three levels."""
    P, ridge, noise = 80, 0.3, 0.2
    lam, w = np.repeat([1.0, 0.3, 0.05], [7, 30, 110]), np.repeat([0.5, 0.2, 0.05], [7, 30, 110])
    errors, _ = gaussian_design(lam, w, P, ridge, noise, draws=400, seed=5)
    found = learning_curve(lam, target_power=w**2, P=P, ridge=ridge, noise=noise)
    for r in (0, 6, 7, 37, 146):
        assert abs(off(errors[:, r], float((1 - found.learnability[r]) * w[r]))) < 5
    square = (errors - errors.mean(0)) ** 2 * 400 / 399
    for level in (slice(0, 7), slice(7, 37), slice(37, None)):
        assert agrees(square[:, level].sum(1), found.mode_variance[level].sum(), P)


def test_transfer_to_the_same_measure():
    found = learning_curve(LAM, target_power=W**2, P=[10, 50], ridge=0.1, noise=[0.0, 0.2])
    np.testing.assert_allclose(transfer_error(found, target=W, overlap=np.eye(90)), found.E_g, rtol=1e-13)
    one = np.zeros((90, 90))
    one[4, 4] = 2.0
    np.testing.assert_allclose(
        transfer_error(found, target=W, overlap=one), 2 * found.mode_error.isel(mode=4), rtol=1e-13
    )


def test_staircase_on_a_sphere():
    """The NTK of one ReLU layer on S^7, target of degrees 1 and 2, with true harmonics instead of Gaussian features:
    theory within 10% (sampling error 2 to 3%), and each degree is learnt when P reaches its multiplicity.
    """
    d, ridge, noise = 8, 0.1, 0.1
    spectrum = sphere_spectrum(ntk, dim=d, k_max=14)
    lam = np.where(spectrum.resolved, spectrum.eigenvalues, 0.0)
    power = np.zeros(15)
    power[1:3] = 0.5
    given = {"target_power": power, "multiplicity": spectrum.multiplicities, "noise": noise}
    found = learning_curve(lam, P=[8, 100, 300], ridge=ridge + spectrum.trace_residual, **given)
    random = rng(23)
    for P, draws in ((100, 60), (300, 20)):
        errors = []
        for _ in range(draws):
            X = random.standard_normal((P + 400, d))
            X /= np.linalg.norm(X, axis=1, keepdims=True)
            f = (d / 2) ** 0.5 * X[:, 0] + (d * (d + 2) / 2) ** 0.5 * X[:, 0] * X[:, 1]
            K, y = ntk(X @ X[:P].T), f[:P] + noise**0.5 * random.standard_normal(P)
            errors.append(np.mean((f[P:] - K[P:] @ np.linalg.solve(K[:P] + ridge * np.eye(P), y)) ** 2))
        assert np.mean(errors) == pytest.approx(float(found.E_g.sel(P=P)), rel=0.10)
    first, second = found.learnability[:, 1], found.learnability[:, 2]
    assert first[0] > 0.4 > 0.1 > second[0]
    assert second[2] > 0.8
    wrong = learning_curve(lam, P=100, ridge=ridge + spectrum.trace_residual, target_power=power, noise=noise)
    assert abs(wrong.E_g / found.E_g[1] - 1) > 0.5  # planted: multiplicities forgotten


def test_empirical_spectrum():
    """K and y are rebuilt from it; a circle has the eigenvalues of `sphere_spectrum`."""
    n = 64
    angle = 2 * np.pi * np.arange(n) / n
    K = np.exp(np.cos(angle[:, None] - angle))
    y = rng(2).standard_normal((n, 3))
    found = empirical_spectrum(K, y=y)
    psi = found.eigenfunctions
    np.testing.assert_allclose(psi.T @ psi / n, np.eye(n), atol=1e-13)
    np.testing.assert_allclose((psi * found.eigenvalues) @ psi.T, K, atol=1e-12)
    np.testing.assert_allclose(found.target_power, ((psi.T @ y / n) ** 2).sum(1), rtol=1e-10, atol=1e-15)
    assert found.target_power.sum() == pytest.approx((y**2).mean(0).sum(), rel=1e-13)
    circle = sphere_spectrum(lambda t: np.exp(t), dim=2, k_max=8)
    levels = np.repeat(circle.eigenvalues, circle.multiplicities.astype(int))
    np.testing.assert_allclose(found.eigenvalues[:17], levels, atol=1e-14)
    assert (found.eigenvalues >= 0).all()


def test_learning_curve_of_a_data_set():
    """P of n = 500 points drawn with replacement, from the kernel matrix alone: within 5%."""
    random = rng(31)
    X = random.standard_normal((500, 6))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    K, y = ntk(X @ X.T), np.sign(X[:, 0] + 0.3 * X[:, 1] * X[:, 2])
    K = (K + K.T) / 2
    spectrum = empirical_spectrum(K, y=y)
    found = learning_curve(spectrum.eigenvalues, target_power=spectrum.target_power, P=[15, 45], ridge=0.05)
    for P, theory in zip((15, 45), found.E_g.values, strict=True):
        errors = []
        for _ in range(300):
            at = random.integers(0, 500, P)
            a = np.linalg.solve(K[np.ix_(at, at)] + 0.05 * np.eye(P), y[at])
            errors.append(np.mean((K[:, at] @ a - y) ** 2))
        assert np.mean(errors) == pytest.approx(theory, rel=0.05)


def test_unfinished_iteration_is_an_error(monkeypatch):
    monkeypatch.setattr(module, "_STEPS", 2)
    with pytest.raises(ConvergenceError, match="kappa is off by up to"):
        learning_curve(LAM, target_power=W**2, P=40, ridge=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target_power": [1.0]}, r"one shape \(modes,\), got \(2,\), \(1,\)"),
        ({"target_power": [1.0, -1.0]}, "target_power must be finite and >= 0, got -1.0"),
        ({"P": "a"}, "P must hold real numbers, got 'a'"),
        ({"P": -1}, "P must be finite and >= 0, got -1"),
        ({"P": np.ones((2, 2))}, r"P must be a scalar, a 1-D array or a DataArray, got shape \(2, 2\)"),
        ({"ridge": np.nan}, "ridge must be finite and >= 0, got nan"),
        ({"noise": [0.1, np.inf]}, "noise must be finite and >= 0, got inf"),
        ({"multiplicity": [1.0, 0.0]}, "multiplicity must be finite and > 0, got 0.0"),
    ],
)
def test_bad_input(change, message):
    with pytest.raises(ValueError, match=message):
        learning_curve([1.0, 0.5], **({"target_power": [1.0, 1.0], "P": 3, "ridge": 0.1} | change))


def test_more_bad_input():
    with pytest.raises(ValueError, match="eigenvalues must be finite and >= 0, got -1e-09"):
        learning_curve([1.0, -1e-9], target_power=[1.0, 1.0], P=3, ridge=0.1)
    curve = learning_curve([1.0, 0.5], target_power=[1.0, 4.0], P=3, ridge=0.1)
    grouped = learning_curve([1.0, 0.5], target_power=[1.0, 4.0], P=3, ridge=0.1, multiplicity=2)
    for target, overlap, of, message in (
        ([1.0, 2.0], np.eye(3), curve, r"shapes \(2,\) and \(2, 2\), got \(2,\) and \(3, 3\)"),
        ([1.0, 1.0], np.eye(2), curve, "target must be a root of target_power"),
        ([1.0, 2.0], [[1, 0.5], [0, 1]], curve, "zero up to rounding"),
        ([1.0, 2.0], [[1, 0], [0, -1]], curve, "diagonal of overlap must be >= 0"),
        ([1.0, 2.0], np.eye(2), grouped, "multiplicity of the curve must be 1"),
    ):
        with pytest.raises(ValueError, match=message):
            transfer_error(of, target=target, overlap=overlap)
    for K, y, message in (
        (np.ones((2, 3)), [1, 2], r"K must be a square matrix, got shape \(2, 3\)"),
        (np.eye(3), [1, 2], r"y must have shape \(3,\) or \(3, outputs\) like K, got \(2,\)"),
        (np.diag([1.0, -1e-3]), [1, 2], "eigenvalues of K/n must be >= 0 up to rounding"),
        ([[1.0, 0.5], [0.4, 1.0]], [1, 2], "K - K.T must be zero up to rounding"),
        ([[1.0, np.nan], [np.nan, 1.0]], [1, 2], "K must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            empirical_spectrum(K, y=y)


def test_an_overlap_that_is_no_metric():
    """Eigenvalues 6 and -4: the squared error would be negative."""
    curve = learning_curve([1.0, 0.5], target_power=[1.0, 1.0], P=4, ridge=0.5)
    with pytest.raises(ValueError, match="smallest eigenvalue of overlap must be >= 0 up to rounding, got -4"):
        transfer_error(curve, target=[1.0, -1.0], overlap=[[1, 5], [5, 1]])
    assert (transfer_error(curve, target=[1.0, -1.0], overlap=np.ones((2, 2))) >= 0).all()
    with pytest.raises(TypeError, match="curve must be the Dataset of learning_curve, got 3"):
        transfer_error(3, target=[1.0], overlap=[[1.0]])
