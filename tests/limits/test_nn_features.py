"""Random features: exact kernels by quadrature, unbiased draws, rates, and ridge regression against the dual form.

A z-score here is the distance of a mean over R independent draws from the exact value, in standard errors; Student's t
with R - 1 >= 99 degrees of freedom passes 6 in modulus with probability 3e-8 or less, so all 300 entries of this file
together raise a false alarm in 1e-5 of all choices of their seeds (the seeds are fixed).
"""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import ndtr

from mattis.core.errors import ConvergenceError
from mattis.theory.kernels import ridge as ridge_module
from mattis.theory.kernels.features import ArcCosineFeatures, arc_cosine_kernel, kernel_estimate
from mattis.theory.kernels.network_features import NetworkFeatures
from mattis.theory.kernels.ridge import feature_ridge
from mattis.theory.kernels.shifted_duals import relu_dual
from mattis.theory.kernels.universal_features import (
    UniversalFeatures,
    cosine_spectrum,
    gaussian_spectrum,
    sine_spectrum,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "kernel_numbers.json").read_text())
DRAWS = ("iid", "orthogonal", "qmc")


def points(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def z_scores(found, want):
    return ((found.kernel - want) / found.error).values


def squared_errors(features, X, want, replicas):
    """|K_hat - K|^2/|K|^2 of independent draws."""
    drawn = (replace(features, seed=s).transform(X) for s in range(replicas))
    return np.array([((phi @ phi.T - want) ** 2).sum() for phi in drawn]) / (want**2).sum()


# --- arc-cosine ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "radial"), [(0, 1), (1, 2), (2, 8)])
def test_arc_cosine_kernel_is_its_integral_over_directions(order, radial):
    """2 E r^{2n} (1/2 pi) int cos^n a cos^n(a - theta) over the arc where both are positive; E r^{2n} = 2^n n!."""
    theta = np.array([0.0, 1e-9, 1e-3, 0.4, 1.5, 2.9, 3.1])
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = (np.pi - theta)[:, None] / 2
    arc = theta[:, None] / 2 + half * nodes
    want = radial * (half * weights * (np.cos(arc) * np.cos(arc - theta[:, None])) ** order).sum(1) / np.pi
    Y = 1.7 * np.stack([np.cos(theta), np.sin(theta)], 1)
    found = arc_cosine_kernel([[0.6, 0.0]], Y, order=order)
    assert found.dims == ("x1", "x2")
    np.testing.assert_allclose(found[0], want * (0.6 * 1.7) ** order, rtol=0, atol=2e-14)


def test_arc_cosine_kernel_at_known_places():
    """k_n(x, x) = (2n - 1)!! |x|^{2n}; k_n(x, -x) = 0; k_1/2 is the ReLU dual; a zero row; near-duplicates."""
    X = points(7, 3)
    length = np.linalg.norm(X, axis=1)
    for order, factor in ((0, 1), (1, 1), (2, 3)):
        K = arc_cosine_kernel(X, order=order).values
        np.testing.assert_allclose(np.diag(K), factor * length ** (2 * order), rtol=1e-15)
        opposite = np.diag(arc_cosine_kernel(X, -2 * X, order=order))
        assert (abs(opposite) <= 1e-15 * (2 * length**2) ** order).all()
    rho = np.clip(X @ X.T / np.outer(length, length), -1, 1)
    dual = relu_dual(0.0, 0.0, length[:, None], length, rho)
    np.testing.assert_allclose(arc_cosine_kernel(X, order=1) / 2, dual, rtol=1e-14)
    assert not arc_cosine_kernel(np.zeros((1, 3)), X, order=1).any()
    assert arc_cosine_kernel(np.zeros((1, 3)), order=0)[0, 0] == 0.5
    apart = 1 - arc_cosine_kernel([[1.0, 0.0]], [[1.0, 1e-12]], order=0)[0, 0]
    assert float(apart) == pytest.approx(1e-12 / np.pi, abs=2e-16)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("draw", DRAWS)
def test_arc_cosine_features_are_unbiased(order, draw):
    """9 points, axes among them: QR without the signs of R fills the rotations unevenly and is seen on the axes."""
    X = np.vstack([np.eye(3), -np.eye(3), points(3, 3)])
    found = kernel_estimate(ArcCosineFeatures(order=order, m=64, seed=100, draw=draw), X, replicas=300)
    known = found.error.values > 0  # (x, -x) has no spread, nor has a Sobol sequence in the octants
    want = arc_cosine_kernel(X, order=order).values
    np.testing.assert_allclose(found.kernel.values[~known], want[~known], atol=1e-14)
    assert known.sum() >= 45
    assert abs(z_scores(found, want)[known]).max() < 6


def test_rotations_without_their_signs_are_caught(monkeypatch):
    """The planted bug of the test above."""
    monkeypatch.setattr(np, "sign", np.ones_like)
    X = np.vstack([np.eye(3), -np.eye(3)])
    found = kernel_estimate(ArcCosineFeatures(order=1, m=64, seed=100, draw="orthogonal"), X, replicas=300)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = z_scores(found, arc_cosine_kernel(X, order=1))
    assert np.nanmax(abs(z)) > 30


def test_orthogonal_and_quasi_random_draws_have_smaller_errors():
    """Mean squared errors of 300 draws differ by 5 standard errors, 3e-7 by chance were they equal."""
    X = points(6, 16, seed=2)
    want = arc_cosine_kernel(X, order=1).values
    error = {draw: squared_errors(ArcCosineFeatures(order=1, m=256, seed=0, draw=draw), X, want, 300) for draw in DRAWS}
    for better, worse in (("orthogonal", "iid"), ("qmc", "orthogonal")):
        gain = error[worse].mean() - error[better].mean()
        assert gain > 5 * np.hypot(error[worse].std(), error[better].std()) / np.sqrt(300)


def test_blocks_of_directions_are_orthogonal():
    for m in (10, 3):  # 5 rows of a block are orthogonal; fewer features than dimensions are one piece of a block
        W = ArcCosineFeatures(order=1, m=m, seed=4, draw="orthogonal")
        w = (W.transform(np.eye(5)) - W.transform(-np.eye(5))).T * np.sqrt(m / 2)
        dots = w[:5] @ w[:5].T
        np.testing.assert_allclose(dots, np.diag(np.diag(dots)), atol=1e-14)
        assert (np.diag(dots) > 0).all()


@pytest.mark.parametrize("kind", ["arc", "nngp", "ntk"])
def test_error_falls_as_the_root_of_the_number_of_features(kind):
    """m times the mean squared error, one hidden layer: each ratio is within 5 standard errors of 1, 6e-7 by chance."""
    X = points(5, 3, seed=3)
    if kind == "arc":
        maps = [ArcCosineFeatures(order=1, m=m, seed=0) for m in (16, 128, 1024)]
        want = arc_cosine_kernel(X, order=1).values
    else:
        maps = [
            NetworkFeatures(hidden_layers=1, m=m, seed=0, sigma_w=1.3, sigma_b=0.2, kind=kind) for m in (16, 128, 1024)
        ]
        want = relu_network(X, 1, 1.3, 0.2)[kind]
    scaled = np.array([features.m * squared_errors(features, X, want, 200) for features in maps])
    mean, error = scaled.mean(1), scaled.std(1) / np.sqrt(200)
    log_ratio, relative = np.diff(np.log(mean)), np.hypot(error[1:] / mean[1:], error[:-1] / mean[:-1])
    assert (abs(log_ratio) < 5 * relative).all()
    assert (5 * relative < 1).all()  # errors like m^(-1/4) or m^(-1) would give |log ratio| >= ln(8)/2 = 1.04


# --- deep networks ---------------------------------------------------------------------------------------------------


def relu_network(X, hidden_layers, sigma_w, sigma_b):
    """The recursion of both kernels with angles (kernels.md 4.0)."""
    K = sigma_w**2 * X @ X.T / X.shape[1] + sigma_b**2
    T = K
    for _ in range(hidden_layers):
        scale = np.sqrt(np.outer(np.diag(K), np.diag(K)))
        rho = np.clip(K / scale, -1, 1)
        np.fill_diagonal(rho, 1.0)
        angle = np.arccos(rho)
        V = scale * (np.sin(angle) + (np.pi - angle) * rho) / (2 * np.pi)
        K, T = (
            sigma_w**2 * V + sigma_b**2,
            sigma_w**2 * V + sigma_b**2 + sigma_w**2 * (np.pi - angle) / (2 * np.pi) * T,
        )
    return {"nngp": K, "ntk": T}


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_one_hidden_layer_is_unbiased(kind):
    """And the other kernel is caught."""
    X = points(4, 3, seed=5)
    features = NetworkFeatures(hidden_layers=1, m=32, seed=200, sigma_w=1.3, sigma_b=0.4, kind=kind)
    found = kernel_estimate(features, X, replicas=2000)
    exact = relu_network(X, 1, 1.3, 0.4)
    assert abs(z_scores(found, exact[kind])).max() < 6
    other = exact["ntk" if kind == "nngp" else "nngp"]
    assert abs(z_scores(found, other)).max() > 30


def test_the_diagonal_of_a_deep_nngp_is_unbiased_and_the_rest_is_of_order_1_over_m():
    """V(q, q, q) = q/2 is linear. Beside the diagonal the bias is seen (> 6 errors), and m times it is one constant."""
    X = np.array([[1.4, 0.0], [1.1 * np.cos(2.5), 1.1 * np.sin(2.5)]])
    exact = relu_network(X, 3, 1.4, 0.0)["nngp"]
    scaled, error = [], []
    for m, replicas in ((8, 6000), (32, 16_000)):
        features = NetworkFeatures(hidden_layers=3, m=m, seed=0, sigma_w=1.4, sigma_b=0.0)
        drawn = (replace(features, seed=s).transform(X) for s in range(replicas))
        off = np.array([phi @ phi.T for phi in drawn]) - exact
        mean, deviation = off.mean(0), off.std(0) / np.sqrt(replicas)
        assert (abs(mean / deviation)[[0, 1], [0, 1]] < 6).all()
        scaled.append(m * mean[0, 1])
        error.append(m * deviation[0, 1])
    assert abs(scaled[0]) > 6 * error[0]
    assert abs(scaled[0] - scaled[1]) < 6 * np.hypot(*error) < abs(scaled[0])  # a bias of m^(-1/2) would double it


@pytest.mark.parametrize("kind", ["nngp", "ntk"])
def test_golden_deep_kernels(kind):
    """kernel_numbers.json, fully_connected, ReLU, depth 2; the bias, under 2/m of an entry, is 0.3 of an error."""
    X = np.array(GOLDEN["fully_connected"]["X"], float)
    cases = [c for c in GOLDEN["fully_connected"]["cases"] if c["act"] == "relu" and c["hidden_layers"] == 2]
    assert len(cases) > 1
    for case in cases:
        sigma_w, sigma_b = float(case["sigma_w2"]) ** 0.5, float(case["sigma_b2"]) ** 0.5
        features = NetworkFeatures(hidden_layers=2, m=256, seed=7, sigma_w=sigma_w, sigma_b=sigma_b, kind=kind)
        found = kernel_estimate(features, X, replicas=100)
        assert abs(z_scores(found, np.array(case[kind], float))).max() < 6


# --- universal features ----------------------------------------------------------------------------------------------

NEURONS = {
    "cos": (cosine_spectrum, np.cos),
    "sin": (sine_spectrum, np.sin),
    "gaussian": (gaussian_spectrum(0.4), lambda z: np.exp(-0.4 * z**2)),
}


def small_neurons():
    """|x + w|^2 <= 1, so that fourth moments are moderate and the z-scores nearly Gaussian."""
    X, W, b = 0.2 * points(4, 3, seed=8), 0.2 * points(2, 3, seed=9), np.array([0.7, -1.1])
    reach = ((X[:, None] + W) ** 2).sum(-1)
    assert reach.max() < 1
    return X, W, b, reach


@pytest.mark.parametrize("tilt", [1.0, 1.2, 1.1 + 0.2j])
@pytest.mark.parametrize("name", NEURONS)
def test_universal_features_are_unbiased(name, tilt):
    """8 entries, |z| < 6: 2e-8 false alarms. A forgotten bias b is caught."""
    X, W, b, _ = small_neurons()
    spectrum, f = NEURONS[name]
    features = UniversalFeatures(spectrum=spectrum, m=200_000, seed=12, tilt=tilt)
    found = features.neuron(X, W, b)
    z = (found.value - f(X @ W.T + b)) / found.error
    assert abs(z).max() < 6
    assert abs((found.value - f(X @ W.T)) / found.error).max() > 30
    assert found.value.dims == ("x", "neuron")


@pytest.mark.parametrize("tilt", [1.0, 1.3, 1.3 + 0.5j])
def test_variance_of_universal_features(tilt):
    """The second moment of the module at xi = 1/(2 pi), and its mean over xi for a Gaussian at tilt 1; 5 errors."""
    X, W, b, reach = small_neurons()
    p, q, size = np.real(tilt), np.imag(tilt), abs(tilt)
    want = size**3 * (2 * p - 1) ** -1.5 * np.exp(reach * (size - q) / (2 * p - 1))
    spectra = {"cos": want, "sin": want}
    if tilt == 1:
        s = reach * np.sqrt(2 * 0.4)  # E exp(2 pi |xi| reach), xi ~ N(0, c/(2 pi^2))
        spectra["gaussian"] = 2 * np.exp(s**2 / 2) * ndtr(s)
    for name, moment in spectra.items():
        features = UniversalFeatures(spectrum=NEURONS[name][0], m=100_000, seed=13, tilt=tilt)
        terms = abs(features.m * features.inputs(X)[:, None] * features.neurons(W, b)) ** 2
        assert (abs(terms.mean(-1) - moment) < 5 * terms.std(-1) / np.sqrt(features.m)).all()


def test_error_of_universal_features_is_that_of_their_terms():
    X, W, b, _ = small_neurons()
    features = UniversalFeatures(spectrum=sine_spectrum, m=500, seed=14, tilt=1.2 + 0.1j)
    terms = features.m * (features.inputs(X)[:, None] * features.neurons(W, b)).real
    found = features.neuron(X, W, b)
    np.testing.assert_allclose(found.value, terms.mean(-1), rtol=1e-12)
    np.testing.assert_allclose(found.error, terms.std(-1, ddof=1) / np.sqrt(500), rtol=1e-10)


def test_a_tilt_tames_far_neurons():
    """d = 3, |x + w|^2 = 8: the error of one term is 4 times smaller at tau = 1.7 + 1.9i, as the second moment says."""
    X, W = np.array([[1.0, 1.0, 0.0]]), np.array([[1.0, 1.0, 0.0]])
    plain, tilted = (
        UniversalFeatures(spectrum=cosine_spectrum, m=100_000, seed=15, tilt=tilt).neuron(X, W)
        for tilt in (1.0, 1.7 + 1.9j)
    )
    assert abs(float(tilted.value[0, 0]) - np.cos(2)) < 6 * float(tilted.error[0, 0])
    assert float(plain.error[0, 0]) > 4 * float(tilted.error[0, 0])


# --- ridge regression ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["arc", "ntk"])
def test_feature_ridge_is_kernel_ridge_with_the_same_features(kind, monkeypatch):
    """f = k (Phi Phi^T + ridge)^{-1} y, in blocks of 7 rows."""
    monkeypatch.setattr(ridge_module, "_BLOCK", 7)
    X, y, new = points(30, 3, seed=20), points(30, 2, seed=21), points(9, 3, seed=22)
    features = (
        ArcCosineFeatures(order=1, m=64, seed=1, draw="qmc")
        if kind == "arc"
        else NetworkFeatures(hidden_layers=2, m=20, seed=1, sigma_w=1.2, sigma_b=0.3, kind="ntk")
    )
    phi, phi_new = features.transform(X), features.transform(new)
    want = phi_new @ phi.T @ np.linalg.solve(phi @ phi.T + 0.1 * np.eye(30), y)
    fit = feature_ridge(features, X, y, ridge=0.1)
    np.testing.assert_allclose(fit.predict(new), want, rtol=1e-9, atol=1e-11)
    assert fit.residual < 1e-15
    assert fit.weights.shape == (phi.shape[1], 2)
    one = feature_ridge(features, X, y[:, 1], ridge=0.1)
    np.testing.assert_allclose(one.predict(new), want[:, 1], rtol=1e-9, atol=1e-11)


def test_feature_ridge_tends_to_kernel_ridge():
    """The prediction of m = 4096 quasi-random features is nearer than 3% of |f| to that of the exact kernel."""
    X, new = points(40, 3, seed=23), points(9, 3, seed=24)
    y = np.tanh(X[:, 0] * X[:, 1])
    K, k = arc_cosine_kernel(X, order=1).values, arc_cosine_kernel(new, X, order=1).values
    want = k @ np.linalg.solve(K + 0.5 * np.eye(40), y)
    fit = feature_ridge(ArcCosineFeatures(order=1, m=4096, seed=3, draw="qmc"), X, y, ridge=0.5)
    assert np.linalg.norm(fit.predict(new) - want) < 0.03 * np.linalg.norm(want)


def test_a_ridge_lost_in_rounding_is_an_error():
    with pytest.raises(ConvergenceError, match="ridge = 1e-30 is lost in the rounding errors"):
        feature_ridge(ArcCosineFeatures(order=1, m=40, seed=1), points(5, 3), np.ones(5), ridge=1e-30)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_bad_features():
    with pytest.raises(ValueError, match="order must be 0, 1 or 2, got 3"):
        ArcCosineFeatures(order=3, m=8, seed=1)
    with pytest.raises(TypeError, match="m must be an integer"):
        ArcCosineFeatures(order=1, m=8.0, seed=1)
    with pytest.raises(ValueError, match='m must be a power of 2 for draw="qmc", got 12'):
        ArcCosineFeatures(order=1, m=12, seed=1, draw="qmc")
    with pytest.raises(ValueError, match="draw must be iid, orthogonal or qmc, got 'halton'"):
        ArcCosineFeatures(order=1, m=8, seed=1, draw="halton")
    with pytest.raises(ValueError, match=r"seed must be in \[0, 2\^63\), got -1"):
        ArcCosineFeatures(order=1, m=8, seed=-1)
    with pytest.raises(ValueError, match=r"X must have shape \(n, d\), got \(3,\)"):
        ArcCosineFeatures(order=1, m=8, seed=1).transform([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="X must be finite, got inf"):
        ArcCosineFeatures(order=1, m=8, seed=1).transform([[1.0, np.inf]])
    with pytest.raises(ValueError, match=r"Y must have shape \(n, 2\), got \(1, 3\)"):
        arc_cosine_kernel(np.ones((4, 2)), np.ones((1, 3)), order=1)
    with pytest.raises(ValueError, match="replicas must be >= 2, got 1"):
        kernel_estimate(ArcCosineFeatures(order=1, m=8, seed=1), np.ones((4, 2)), replicas=1)


def test_bad_networks_and_neurons():
    net = {"hidden_layers": 1, "m": 8, "seed": 1, "sigma_w": 1.0, "sigma_b": 0.0}
    with pytest.raises(ValueError, match="kind must be nngp or ntk, got 'cntk'"):
        NetworkFeatures(**net, kind="cntk")
    with pytest.raises(ValueError, match=r"sigma_w must be finite and > 0, got nan"):
        NetworkFeatures(**{**net, "sigma_w": np.nan})
    with pytest.raises(ValueError, match="hidden_layers must be in"):
        NetworkFeatures(**{**net, "hidden_layers": 0})
    with pytest.raises(ValueError, match="tilt must be finite, of real part > 1/2"):
        UniversalFeatures(spectrum=cosine_spectrum, m=8, seed=1, tilt=0.5 + 1j)
    with pytest.raises(ValueError, match=r"c must be finite and > 0, got 0\.0"):
        gaussian_spectrum(0.0)
    features = UniversalFeatures(spectrum=cosine_spectrum, m=8, seed=1)
    with pytest.raises(ValueError, match=r"b must have shape \(k,\) with k = 2, got \(3,\)"):
        features.neurons(np.ones((2, 4)), np.ones(3))
    with pytest.raises(ValueError, match=r"W must have shape \(n, 4\), got \(2, 3\)"):
        features.neuron(np.ones((1, 4)), np.ones((2, 3)))
    with pytest.raises(ConvergenceError, match="a universal feature overflows"):
        features.neuron(np.full((1, 4), 2000.0), np.full((1, 4), 2000.0))
    with pytest.raises(ValueError, match=r"spectrum must return two arrays \(8,\), got \(7,\) and \(8,\)"):
        replace(features, spectrum=lambda rng, m: (np.ones(m - 1), np.ones(m, complex))).inputs(np.ones((1, 4)))


def test_bad_ridge():
    features = ArcCosineFeatures(order=1, m=8, seed=1)
    X = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"y must have shape \(n,\) or \(n, k\) with n = 4, got \(3,\)"):
        feature_ridge(features, X, np.ones(3), ridge=1.0)
    with pytest.raises(ValueError, match=r"ridge must be finite and > 0, got 0\.0"):
        feature_ridge(features, X, np.ones(4), ridge=0.0)
    with pytest.raises(ValueError, match="y must be finite, got nan at index"):
        feature_ridge(features, X, np.full(4, np.nan), ridge=1.0)
    with pytest.raises(ValueError, match="X must be finite, got nan"):
        feature_ridge(features, np.full((4, 2), np.nan), np.ones(4), ridge=1.0)
    with pytest.raises(ValueError, match=r"X must have shape \(n, 2\), got \(4,\)"):
        feature_ridge(features, X, np.ones(4), ridge=1.0).predict(np.ones(4))


@pytest.mark.parametrize(
    "features",
    [ArcCosineFeatures(order=1, m=8, seed=1), NetworkFeatures(hidden_layers=1, m=8, seed=1, sigma_w=1.0, sigma_b=0.1)],
)
def test_inputs_of_another_number_of_columns(features):
    """The maps draw weights for any d, so the fit and the estimate hold on to theirs."""
    fit = feature_ridge(features, np.ones((4, 2)), np.ones(4), ridge=0.1)
    with pytest.raises(ValueError, match=r"X must have shape \(n, 2\), got \(4, 3\)"):
        fit.predict(np.ones((4, 3)))
    with pytest.raises(ValueError, match=r"Y must have shape \(n, 2\), got \(4, 3\)"):
        kernel_estimate(features, np.ones((4, 2)), np.ones((4, 3)), replicas=2)


@pytest.mark.parametrize("value", ["a", None, [1.0], 1j])
def test_what_is_no_number(value):
    net = {"hidden_layers": 1, "m": 8, "seed": 1, "sigma_w": 1.0, "sigma_b": 0.0}
    features = NetworkFeatures(**net)
    for name, call in (
        ("sigma_w", lambda: NetworkFeatures(**net | {"sigma_w": value})),
        ("sigma_b", lambda: NetworkFeatures(**net | {"sigma_b": value})),
        ("tilt", lambda: UniversalFeatures(spectrum=cosine_spectrum, m=8, seed=1, tilt=0.5 if value == 1j else value)),
        ("c", lambda: gaussian_spectrum(value)),
        ("ridge", lambda: feature_ridge(features, np.ones((4, 2)), np.ones(4), ridge=value)),
    ):
        with pytest.raises(ValueError, match=f"^{name} must be .*, got "):
            call()


def test_what_is_no_feature_map():
    X = np.ones((4, 2))
    with pytest.raises(TypeError, match="features must be a feature map with transform, got 3"):
        feature_ridge(3, X, np.ones(4), ridge=1.0)
    with pytest.raises(TypeError, match="features must be a feature map, a dataclass with seed and transform, got 3"):
        kernel_estimate(3, X, replicas=2)
    with pytest.raises(TypeError, match="spectrum must be a function such as cosine_spectrum, got 3"):
        UniversalFeatures(spectrum=3, m=8, seed=1)
    with pytest.raises(ValueError, match="X must hold real numbers, got 'a'"):
        ArcCosineFeatures(order=1, m=8, seed=1).transform("a")
