"""Gaussian-process regression of infinitely wide networks against conditioning, scipy, primal ridge and differences."""

import json
from dataclasses import FrozenInstanceError
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.activations import Relu
from mattis.theory.kernels.network import mlp
from mattis.theory.kernels.psd import NotPositiveDefinite, cholesky
from mattis.theory.kernels.regression import GaussianProcess
from mattis.theory.kernels.series import Elementwise, Tanh

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/kernel_numbers.json").read_text())["inference"]
"""20 digits, checked against neural-tangents 0.6.5 (reference README)."""


def numbers(strings):
    return np.array(strings, dtype=np.float64)


class Table:
    """A network of which only two kernel matrices are known; an input is its number."""

    def __init__(self, nngp, ntk=None, slopes=None):
        self.matrices, self.slopes, self.calls = {"nngp": nngp, "ntk": ntk}, slopes, []

    def kernel(self, x1, x2=None, *, get):
        self.calls.append((len(x1), None if x2 is None else len(x2), get))
        rows = x1[:, 0]
        columns = rows if x2 is None else x2[:, 0]
        return SimpleNamespace(**{kind: self.matrices[kind][np.ix_(rows, columns)] for kind in get})

    def kernel_gradient(self, x):
        return {name: slope[np.ix_(x[:, 0], x[:, 0])] for name, slope in self.slopes.items()}


def inputs(low, high):
    return np.arange(low, high)[:, None]


def random_kernel(n, seed, features=40):
    """A positive definite matrix and its features."""
    phi = np.random.Generator(np.random.Philox(key=seed)).standard_normal((n, features)) / features**0.5
    return phi @ phi.T, phi


GOLDEN_NET = Table(numbers(GOLDEN["nngp"]), numbers(GOLDEN["ntk"]))
TRAIN, TEST, Y = inputs(0, 5), inputs(5, 7), numbers(GOLDEN["y"])
ALL, _ = random_kernel(23, 1)
LABELS = np.random.Generator(np.random.Philox(key=2)).standard_normal((17, 3))


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_golden(noise):
    key = GOLDEN["nngp_posterior_noise_0" if noise == 0 else "nngp_posterior_noise_0.1"]
    real = mlp(hidden_layers=2, activation=Relu(), sigma_w=2**0.5, sigma_b=0.1**0.5)
    points = numbers(GOLDEN["X"])
    for net, X, X_test in ((GOLDEN_NET, TRAIN, TEST), (real, points[:5], points[5:])):
        process = GaussianProcess(net, X, Y, noise=noise)
        mean, cov = process.predict(X_test)
        assert mean.dims == ("x1",)
        assert cov.dims == ("x1", "x2")
        np.testing.assert_allclose(mean, numbers(key["mean"]), rtol=1e-11)
        np.testing.assert_allclose(cov, numbers(key["cov"]), rtol=1e-11)
        np.testing.assert_allclose(process.log_marginal_likelihood, float(key["log_marginal_likelihood"]), rtol=1e-11)


def test_the_golden_numbers_see_a_wrong_noise():
    """Planted faults: twice the noise, half of it, and noise left in the covariance of f."""
    key = GOLDEN["nngp_posterior_noise_0.1"]
    for noise in (0.05, 0.2):
        mean, _ = GaussianProcess(GOLDEN_NET, TRAIN, Y, noise=noise).predict(TEST)
        assert np.abs(mean - numbers(key["mean"])).max() > 1e-3
    _, cov = GaussianProcess(GOLDEN_NET, TRAIN, Y, noise=0.1).predict(TEST)
    assert abs(float(cov[0, 0]) + 0.1 - float(key["cov"][0][0])) > 0.09


def test_conditioning_of_the_joint_law():
    """From the precision matrix of labels and test values together, which is never formed in the code."""
    joint = ALL.copy()
    joint[:17, :17] += 0.3 * np.eye(17)
    precision = np.linalg.inv(joint)
    cov = np.linalg.inv(precision[17:, 17:])
    mean = -cov @ precision[17:, :17] @ LABELS
    process = GaussianProcess(Table(ALL), inputs(0, 17), LABELS, noise=0.3)
    found = process.predict(inputs(17, 23))
    assert found.mean.dims == ("x1", "output")
    np.testing.assert_allclose(found.mean, mean, atol=1e-12)
    np.testing.assert_allclose(found.cov, cov, atol=1e-12)
    np.testing.assert_array_equal(found.cov, found.cov.T)
    logpdf = multivariate_normal(cov=joint[:17, :17]).logpdf(LABELS.T).sum()
    np.testing.assert_allclose(process.log_marginal_likelihood, logpdf, rtol=1e-12)
    assert process.jitter == 0.0
    assert process.predict(inputs(17, 23), cov=False).cov is None


@pytest.mark.parametrize("convention", ["mattis", "neural_tangents"])
def test_gradient_by_differences(convention):
    """K = sigma_w^2 A + sigma_b^2 B: central differences of step 1e-5, whose error is 1e-9 of the third derivative."""
    B, _ = random_kernel(23, 3, features=31)
    at = {"sigma_w": 1.3, "sigma_b": 0.7, "noise": 0.2}

    def process(sigma_w, sigma_b, noise):
        net = Table(
            sigma_w**2 * ALL + sigma_b**2 * B, slopes={"sigma_w": 2 * sigma_w * ALL, "sigma_b": 2 * sigma_b * B}
        )
        return GaussianProcess(net, inputs(0, 17), LABELS, noise=noise, convention=convention)

    found = process(**at).log_marginal_likelihood_gradient()
    assert list(found) == ["sigma_w", "sigma_b", "noise"]
    for name in at:
        up, down = (process(**at | {name: at[name] + h}).log_marginal_likelihood for h in (1e-5, -1e-5))
        np.testing.assert_allclose(found[name], (up - down) / 2e-5, rtol=1e-7)


def test_the_ntk_is_ridge_regression_on_its_features():
    """(phi^T phi + noise)^-1 phi^T y, in the space of the features."""
    theta, phi = random_kernel(23, 4)
    weights = np.linalg.solve(phi[:17].T @ phi[:17] + 0.4 * np.eye(40), phi[:17].T @ LABELS)
    process = GaussianProcess(Table(ALL, theta), inputs(0, 17), LABELS, noise=0.4, kind="ntk")
    mean, cov = process.predict(inputs(17, 23))
    np.testing.assert_allclose(mean, phi[17:] @ weights, atol=1e-12)
    assert cov is None
    with pytest.raises(ValueError, match=r"^kind='ntk' is kernel ridge regression, .* it has no covariance; GradientF"):
        process.predict(inputs(17, 23), cov=True)
    with pytest.raises(ValueError, match=r"no marginal likelihood"):
        _ = process.log_marginal_likelihood
    with pytest.raises(ValueError, match=r"no marginal likelihood"):
        process.log_marginal_likelihood_gradient()


def test_relative_noise_of_neural_tangents():
    """diag_reg is in units of the mean diagonal there (spec 1.4)."""
    unit = np.trace(ALL[:17, :17]) / 17
    one = GaussianProcess(Table(ALL), inputs(0, 17), LABELS, noise=0.3, convention="neural_tangents")
    two = GaussianProcess(Table(ALL), inputs(0, 17), LABELS, noise=0.3 * unit)
    np.testing.assert_allclose(one.predict(inputs(17, 23)).mean, two.predict(inputs(17, 23)).mean, rtol=1e-13)
    assert abs(unit - 1) > 1e-3


def test_kernels_are_asked_once_and_nothing_of_the_user_is_touched():
    net, X, y = Table(ALL.copy()), inputs(0, 17), LABELS[:, 0].copy()
    process = GaussianProcess(net, X, y, noise=0.1)
    assert net.calls == []
    first = process.predict(inputs(17, 23))
    y[:], X[:] = 99.0, 3
    again = process.predict(inputs(17, 23))
    np.testing.assert_array_equal(first.mean, again.mean)
    assert sum(call[:2] == (17, None) for call in net.calls) == 1
    assert all(call[2] == ("nngp",) for call in net.calls)
    np.testing.assert_array_equal(net.matrices["nngp"], ALL)
    with pytest.raises(FrozenInstanceError):
        process.noise = 0.2
    with pytest.raises(ValueError, match="read-only"):
        process.y[0] = 0.0


# --- matrices that are not positive definite -------------------------------------------------------------------------


def test_coincident_inputs_get_a_stated_jitter():
    """Two equal inputs, equal labels: rank one, and the answer of one input."""
    K = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 5.0]])
    process = GaussianProcess(Table(K), inputs(0, 2), [0.5, 0.5])
    with pytest.warns(NotPositiveDefinite, match=r"least eigenvalue .*: 2e-14 was added to its diagonal"):
        mean, cov = process.predict(inputs(2, 3))
    assert process.jitter == 2e-14
    np.testing.assert_allclose([mean[0], cov[0, 0]], [0.25, 4.5], rtol=1e-12)


@pytest.mark.parametrize(("least", "jitter"), [(3e-12, 1e-11), (3e-9, 1e-8), (0.7e-6, 1e-6)])
def test_the_least_jitter_that_suffices(least, jitter):
    """Eigenvalues 1, ..., 1 and one below zero; the mean diagonal is 10/11 to 1e-6."""
    turn, _ = np.linalg.qr(np.random.Generator(np.random.Philox(key=5)).standard_normal((11, 11)))
    values = np.ones(11)
    values[0] = -least
    matrix = (turn * values) @ turn.T
    matrix = (matrix + matrix.T) / 2
    with pytest.warns(NotPositiveDefinite, match=f"{-least:.3g}"):
        factor = cholesky(matrix.copy())
    np.testing.assert_allclose(factor.jitter, jitter * 10 / 11, rtol=1e-5)
    lower = np.tril(factor.packed)
    np.testing.assert_allclose(lower @ lower.T, matrix + factor.jitter * np.eye(11), atol=1e-14)
    np.testing.assert_allclose(factor.matrix(), matrix, atol=1e-15)


def test_what_no_rounding_explains_is_refused():
    K = np.diag([1.0, -1e-3, 2.0])
    with pytest.raises(ConvergenceError, match=r"no Cholesky factor: its least eigenvalue is -0\.001"):
        GaussianProcess(Table(K), inputs(0, 3), np.zeros(3)).predict(inputs(0, 1))
    for bad in (np.nan, np.inf):
        K = np.eye(4)
        K[2, 1] = K[1, 2] = bad
        with pytest.raises(ValueError, match=r"^the kernel of X holds nan or inf"):
            GaussianProcess(Table(K), inputs(0, 4), np.zeros(4)).predict(inputs(0, 1))


def test_the_parts_of_a_factor():
    matrix = ALL[:17, :17]
    factor = cholesky(matrix.copy(), 0.3)
    A = matrix + 0.3 * np.eye(17)
    np.testing.assert_allclose(factor.log_determinant, np.linalg.slogdet(A)[1], rtol=1e-13)
    np.testing.assert_allclose(factor.solve(LABELS), np.linalg.solve(A, LABELS), atol=1e-13)
    np.testing.assert_allclose(factor.multiply(LABELS[:, 0]), A @ LABELS[:, 0], atol=1e-13)
    np.testing.assert_allclose(
        np.linalg.norm(factor.whiten(LABELS[:, :1])) ** 2, LABELS[:, 0] @ np.linalg.solve(A, LABELS[:, 0]), rtol=1e-13
    )
    np.testing.assert_allclose(factor.inverse_triangle(), np.triu(np.linalg.inv(A)), atol=1e-13)
    values, vectors = factor.eigh()
    np.testing.assert_allclose((vectors * values) @ vectors.T, A, atol=1e-13)


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise": -0.1}, r"^noise must be finite and >= 0, got -0.1$"),
        ({"noise": np.nan}, r"^noise must be finite and >= 0, got nan$"),
        ({"noise": "0.1"}, r"^noise must be finite and >= 0, got '0.1'$"),
        ({"kind": "rbf"}, r"^kind must be 'nngp' or 'ntk', got 'rbf'$"),
        ({"convention": "nt"}, r"^convention must be 'mattis' or 'neural_tangents', got 'nt'$"),
        ({"y": [1.0, np.nan, 0.0]}, r"^y must be finite, got nan at index \(1,\)$"),
        ({"X": [[1.0], [np.inf], [0.0]]}, r"^X must be finite, got inf at index \(1, 0\)$"),
        ({"y": [1.0, 0.0]}, r"of the same n >= 1, got shapes \(3, 1\) and \(2,\)$"),
        ({"y": np.zeros((3, 1, 2))}, r"got shapes \(3, 1\) and \(3, 1, 2\)$"),
        ({"X": [1.0, 2.0, 3.0]}, r"got shapes \(3,\) and \(3,\)$"),
        ({"X": np.zeros((0, 2)), "y": []}, r"got shapes \(0, 2\) and \(0,\)$"),
    ],
)
def test_bad_arguments(change, message):
    given = {"net": Table(ALL), "X": inputs(0, 3), "y": np.zeros(3)} | change
    with pytest.raises(ValueError, match=message):
        GaussianProcess(**given)


def test_bad_test_inputs_and_networks():
    process = GaussianProcess(Table(ALL), inputs(0, 3), np.zeros(3), noise=0.1)
    for X_test, shape in ((np.zeros((4, 2)), r"\(4, 2\)"), (np.zeros(4), r"\(4,\)"), (np.zeros((0, 1)), r"\(0, 1\)")):
        with pytest.raises(ValueError, match=rf"^X_test must have shape \(points, 1\), .* got {shape}$"):
            process.predict(X_test)
    with pytest.raises(ValueError, match=r"^X_test must be finite, got nan at index \(0, 0\)$"):
        process.predict([[np.nan]])

    class Wrong:
        def kernel(self, x1, x2=None, *, get):
            return SimpleNamespace(nngp=np.eye(2))

    with pytest.raises(ValueError, match=r"^the nngp of net must have shape \(1, 3\) here, got \(2, 2\)$"):
        GaussianProcess(Wrong(), inputs(0, 3), np.zeros(3)).predict(inputs(0, 1))

    class Huge:
        def kernel(self, x1, x2=None, *, get):
            return SimpleNamespace(nngp=np.eye(1), log_scale=900.0)

    with pytest.raises(ValueError, match=r"^the kernels of net leave the range of floating-point numbers"):
        GaussianProcess(Huge(), inputs(0, 1), np.zeros(1)).predict(inputs(0, 1))


def test_variances_are_not_negative():
    """At the training points without noise the variance is zero to rounding, never below."""
    X = np.random.default_rng(0).standard_normal((12, 3))
    process = GaussianProcess(mlp(hidden_layers=2, activation=Relu(), sigma_w=1.4, sigma_b=0.1), X, X[:, 0])
    spread = process.predict(X).cov.values
    assert (np.diag(spread) >= 0).all()
    assert np.diag(spread).max() < 1e-13


def test_the_error_of_the_kernel_is_told():
    X = np.random.default_rng(0).standard_normal((5, 3))
    for activation, low, high in ((Relu(), 0, 0), (Tanh(), 0, 1e-9), (Elementwise(np.sign), 0.1, 1)):
        process = GaussianProcess(mlp(hidden_layers=1, activation=activation), X, X[:, 0], noise=0.1)
        assert low <= process.kernel_error <= high
        assert process.kernel_error == process.net.kernel(X, get="nngp").quadrature_error


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"net": 3}, TypeError, "net must have kernel"),
        ({"X": [["a"]] * 3}, ValueError, "X must hold real numbers"),
        ({"X": np.ones((3, 1)) * 1j}, ValueError, "X must hold real numbers"),
        ({"y": ["a"] * 3}, ValueError, "y must hold real numbers"),
        ({"y": [1, [2], 3]}, ValueError, "y must hold real numbers in rows of one length"),
        ({"noise": None}, ValueError, "noise must be finite and >= 0, got None"),
        ({"noise": []}, ValueError, r"noise must be finite and >= 0, got \[\]"),
    ],
)
def test_what_is_no_number(change, error, said):
    given = {"net": mlp(hidden_layers=1, activation=Relu()), "X": np.eye(3), "y": np.ones(3)} | change
    with pytest.raises(error, match=said):
        GaussianProcess(given["net"], given["X"], given["y"], noise=given.get("noise", 0.1))
