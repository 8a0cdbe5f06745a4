"""Gradient flow and descent of infinitely wide networks against integration in parameter space and explicit steps."""

import json
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mattis.theory.kernels.activations import Relu
from mattis.theory.kernels.descent import GradientDescent, progress
from mattis.theory.kernels.flow import GradientFlow
from mattis.theory.kernels.krylov import filtered
from mattis.theory.kernels.network import mlp
from mattis.theory.kernels.psd import NotPositiveDefinite
from mattis.theory.kernels.regression import GaussianProcess

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/kernel_numbers.json").read_text())["inference"]
"""20 digits, checked against neural-tangents 0.6.5 (reference README)."""


def numbers(strings):
    return np.array(strings, dtype=np.float64)


class Table:
    """A network of which only two kernel matrices are known; an input is its number."""

    def __init__(self, nngp, ntk):
        self.matrices, self.calls = {"nngp": nngp, "ntk": ntk}, []

    def kernel(self, x1, x2=None, *, get):
        self.calls.append((len(x1), None if x2 is None else len(x2), get))
        rows = x1[:, 0]
        columns = rows if x2 is None else x2[:, 0]
        return SimpleNamespace(**{kind: self.matrices[kind][np.ix_(rows, columns)] for kind in get})


def inputs(low, high):
    return np.arange(low, high)[:, None]


def generator(key):
    return np.random.Generator(np.random.Philox(key=key))


GOLDEN_NET = Table(numbers(GOLDEN["nngp"]), numbers(GOLDEN["ntk"]))
TRAIN, TEST, Y = inputs(0, 5), inputs(5, 7), numbers(GOLDEN["y"])

n, m, features = 11, 4, 19
PSI, PHI = generator(11).standard_normal((n + m, 23)) / 23**0.5, generator(12).standard_normal((n + m, features)) / 4
K, THETA = PSI @ PSI.T, PHI @ PHI.T
NET, LABELS = Table(K, THETA), generator(13).standard_normal((n, 2))


def ensemble(drift, kind="ntk", labels=LABELS):
    """Mean and covariance where the last weights are w(t) = drift(features of X, f_0(X) - y), f = f_0 + features w.

    f_0 runs over a basis, so that f(t) = M f_0 + B y is known as a matrix.
    """
    phi = PHI if kind == "ntk" else np.linalg.cholesky(K)
    start = np.eye(n + m)[:n]
    M = np.eye(n + m)[n:] + phi[n:] @ drift(phi[:n], start)
    return phi[n:] @ drift(phi[:n], -labels), M @ K @ M.T


def integrated(t, ridge):
    """dw/dt = -phi^T (f - y) - ridge w, by an integrator of order 8."""

    def drift(phi, apart):
        def move(_, w):
            w = w.reshape(phi.shape[1], -1)
            return (-phi.T @ (apart + phi @ w) - ridge * w).ravel()

        start = np.zeros(phi.shape[1] * apart.shape[1])
        return (
            solve_ivp(move, (0, t), start, method="DOP853", rtol=1e-12, atol=1e-14).y[:, -1].reshape(phi.shape[1], -1)
        )

    return drift


def stepped(steps, eta, momentum, ridge):
    """w_{k+1} = w_k - eta grad + momentum (w_k - w_{k-1}), written out."""

    def drift(phi, apart):
        w = before = np.zeros((phi.shape[1], apart.shape[1]))
        for _ in range(steps):
            w, before = w - eta * (phi.T @ (apart + phi @ w) + ridge * w) + momentum * (w - before), w
        return w

    return drift


# --- flow ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["0.1", "1", "10", "None", "1_mean_loss"])
def test_golden(key):
    entry, loss = GOLDEN[f"ntk_flow_t_{key}"], "neural_tangents" if key == "1_mean_loss" else "mattis"
    t = {"None": np.inf, "1_mean_loss": 1.0}.get(key) or float(key)
    real = mlp(hidden_layers=2, activation=Relu(), sigma_w=2**0.5, sigma_b=0.1**0.5)
    points = numbers(GOLDEN["X"])
    for net, X, X_test in ((GOLDEN_NET, TRAIN, TEST), (real, points[:5], points[5:])):
        mean, cov = GradientFlow(net, X, Y, convention=loss).predict(X_test, t=t)
        np.testing.assert_allclose(mean, numbers(entry["mean"]), rtol=1e-11)
        np.testing.assert_allclose(cov, numbers(entry["cov"]), rtol=1e-11)


def test_golden_ridge():
    """The covariance of the ridge map, no posterior: the posterior with the NTK for K differs by far more."""
    entry = GOLDEN["ntk_krr_reg_0.1"]
    mean, cov = GradientFlow(GOLDEN_NET, TRAIN, Y, noise=0.1).predict(TEST, t=np.inf)
    np.testing.assert_allclose(mean, numbers(entry["mean"]), rtol=1e-11)
    np.testing.assert_allclose(cov, numbers(entry["cov"]), rtol=1e-11)
    posterior = GaussianProcess(Table(GOLDEN_NET.matrices["ntk"], None), TRAIN, Y, noise=0.1).predict(TEST)
    assert np.abs(posterior.cov - numbers(entry["cov"])).max() > 0.1


@pytest.mark.parametrize(
    ("kind", "ridge", "t"), [("ntk", 0.0, 0.7), ("ntk", 0.3, 2.1), ("nngp", 0.0, 1.3), ("nngp", 0.2, 4.0)]
)
def test_integration_in_parameter_space(kind, ridge, t):
    """The integrator is asked for 1e-12 a step."""
    mean, cov = ensemble(integrated(t, ridge), kind)
    found = GradientFlow(NET, inputs(0, n), LABELS, noise=ridge, kind=kind).predict(inputs(n, n + m), t=t)
    assert found.mean.dims == ("x1", "output")
    np.testing.assert_allclose(found.mean, mean, atol=1e-10)
    np.testing.assert_allclose(found.cov, cov, atol=1e-10)
    np.testing.assert_array_equal(found.cov, found.cov.T)


def test_the_integration_sees_a_wrong_covariance():
    """Planted faults: one cross term missing, and the posterior of a Gaussian process in place of the ensemble."""
    _, cov = ensemble(integrated(0.7, 0.0))
    theta, cross = THETA[n:, :n], K[n:, :n]
    values, vectors = np.linalg.eigh(THETA[:n, :n])
    B = theta @ (vectors * (-np.expm1(-0.7 * values) / values)) @ vectors.T
    wrong = K[n:, n:] + B @ K[:n, :n] @ B.T - B @ cross.T
    assert np.abs(wrong - cov).max() > 0.05
    assert np.abs(K[n:, n:] - cross @ np.linalg.solve(K[:n, :n], cross.T) - cov).max() > 0.05


def test_both_ends():
    """t = 0 is the prior, t = inf ridgeless regression; late times reach it, and the training set is fitted."""
    flow = GradientFlow(NET, inputs(0, n), LABELS[:, 0])
    mean, cov = flow.predict(inputs(n, n + m), t=[0.0, 1e9, np.inf])
    assert mean.dims == ("t", "x1")
    assert cov.dims == ("t", "x1", "x2")
    assert list(mean.t) == [0.0, 1e9, np.inf]
    np.testing.assert_array_equal(mean[0], np.zeros(m))
    np.testing.assert_array_equal(cov[0], K[n:, n:])
    ridgeless = GaussianProcess(NET, inputs(0, n), LABELS[:, 0], kind="ntk").predict(inputs(n, n + m)).mean
    np.testing.assert_allclose(mean[2], ridgeless, atol=1e-12)
    np.testing.assert_allclose(mean[1], ridgeless, atol=1e-11)
    np.testing.assert_allclose(cov[1], cov[2], atol=1e-11)
    fitted = flow.predict(None, t=np.inf)
    np.testing.assert_allclose(fitted.mean, LABELS[:, 0], atol=1e-12)
    np.testing.assert_allclose(fitted.cov, np.zeros((n, n)), atol=1e-12)


@pytest.mark.parametrize("kind", ["ntk", "nngp"])
def test_the_training_set(kind):
    """None asks no kernel again and is what its inputs give; with a ridge too."""
    net = Table(K, THETA)
    flow = GradientFlow(net, inputs(0, n), LABELS, noise=0.3, kind=kind)
    one = flow.predict(None, t=[0.4, np.inf])
    assert len(net.calls) == 1
    two = flow.predict(inputs(0, n), t=[0.4, np.inf])
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-13)
    np.testing.assert_allclose(one.cov, two.cov, atol=1e-13)


def test_the_readout_alone_is_bayesian_at_the_end():
    """Theta = K, no ridge: the mean and the covariance of the ensemble are those of the posterior."""
    found = GradientFlow(NET, inputs(0, n), LABELS, kind="nngp").predict(inputs(n, n + m), t=np.inf)
    posterior = GaussianProcess(NET, inputs(0, n), LABELS).predict(inputs(n, n + m))
    np.testing.assert_allclose(found.mean, posterior.mean, atol=1e-12)
    np.testing.assert_allclose(found.cov, posterior.cov, atol=1e-12)


def test_units_of_neural_tangents():
    """t is divided by y.size = n outputs, diag_reg is in units of the mean diagonal of Theta (spec 1.4)."""
    unit = np.trace(THETA[:n, :n]) / n
    one = GradientFlow(NET, inputs(0, n), LABELS, noise=0.2, convention="neural_tangents").predict(
        inputs(n, n + m), t=30.0
    )
    two = GradientFlow(NET, inputs(0, n), LABELS, noise=0.2 * unit).predict(inputs(n, n + m), t=30.0 / (2 * n))
    np.testing.assert_allclose(one.mean, two.mean, atol=1e-13)
    np.testing.assert_allclose(one.cov, two.cov, atol=1e-13)
    eta = 0.02 * 2 * n
    three = GradientDescent(
        NET, inputs(0, n), LABELS, noise=0.2, convention="neural_tangents", learning_rate=eta, momentum=0.3
    )
    four = GradientDescent(NET, inputs(0, n), LABELS, noise=0.2 * unit, learning_rate=0.02, momentum=0.3)
    np.testing.assert_allclose(three.max_learning_rate, 2 * n * four.max_learning_rate, rtol=1e-13)
    mean = four.predict(inputs(n, n + m), steps=9).mean
    np.testing.assert_allclose(three.predict(inputs(n, n + m), steps=9).mean, mean, atol=1e-13)


# --- means without eigenvectors --------------------------------------------------------------------------------------


def smooth_network(size):
    """Kernels exp(-|x - x'|^2/2) and 1 + 2 of it on a line, of quickly falling spectra."""
    x = np.linspace(0, 30, size)
    rbf = np.exp(-((x[:, None] - x) ** 2) / 2)
    return Table(rbf, 1 + 2 * rbf)


def test_a_krylov_space_gives_the_same_mean():
    net = smooth_network(652)
    X, X_test = inputs(0, 640), inputs(640, 652)
    y = np.column_stack([np.sin(np.arange(640)), np.cos(0.1 * np.arange(640))])
    flow = GradientFlow(net, X, y, noise=0.05)
    times = [0.0, 0.03, 0.3, np.inf]
    quick = flow.predict(X_test, t=times, cov=False)
    assert "_modes" not in flow.__dict__
    assert quick.cov is None
    full = flow.predict(X_test, t=times)
    assert "_modes" in flow.__dict__
    np.testing.assert_allclose(quick.mean, full.mean, atol=1e-11)
    late = GradientFlow(net, X, y, noise=0.0005)
    mean = late.predict(X_test, t=3000.0, cov=False).mean
    assert "_modes" in late.__dict__  # more steps than eigenvectors are worth
    np.testing.assert_array_equal(mean, late.predict(X_test, t=3000.0).mean)


@pytest.mark.parametrize("rtol", [1e-3, 1e-7, 1e-11])
def test_the_bound_of_a_krylov_space_holds(rtol):
    """It is a bound, and not so far above the error that nothing was tested."""
    size = 157
    values, b = np.geomspace(1e-3, 1e3, size), generator(14).standard_normal(size)
    times, exact = np.array([0.02, 0.11]), []
    for t in times:
        exact.append(-np.expm1(-values * t) / values * b)
    used = []

    def multiply(v):
        used.append(1)
        return values * v

    found = filtered(multiply, b, times, 150, rtol)
    error = np.linalg.norm(found - exact, axis=1) / np.linalg.norm(exact, axis=1)
    assert (error <= rtol).all()
    assert len(used) < 100
    assert filtered(multiply, b, times, len(used) - 9, rtol) is None


def test_small_krylov_spaces():
    """An eigenvector closes the space after one step; no vector, no space."""
    values = np.array([1.0, 2.0, 5.0])
    found = filtered(lambda v: values * v, np.array([0.0, 3.0, 0.0]), np.array([0.0, 0.4]), 3, 1e-13)
    np.testing.assert_allclose(found, [[0, 0, 0], [0, -3 * np.expm1(-0.8) / 2, 0]], rtol=1e-13)
    assert (filtered(lambda v: values * v, np.zeros(3), np.array([0.4, 1.0]), 3, 1e-13) == np.zeros((2, 3))).all()


# --- descent ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("momentum", "ridge", "kind"), [(0.0, 0.0, "ntk"), (0.7, 0.0, "ntk"), (0.9, 0.3, "nngp")])
def test_explicit_steps(momentum, ridge, kind):
    eta = 0.21
    counts = [0, 1, 2, 7, 64]
    descent = GradientDescent(NET, inputs(0, n), LABELS, learning_rate=eta, momentum=momentum, noise=ridge, kind=kind)
    found = descent.predict(inputs(n, n + m), steps=counts)
    assert found.mean.dims == ("step", "x1", "output")
    assert list(found.cov.step) == counts
    for i, steps in enumerate(counts):
        mean, cov = ensemble(stepped(steps, eta, momentum, ridge), kind)
        np.testing.assert_allclose(found.mean[i], mean, atol=1e-12)
        np.testing.assert_allclose(found.cov[i], cov, atol=1e-12)
    np.testing.assert_array_equal(descent.predict(inputs(n, n + m), steps=7).mean, found.mean[3])


def test_the_largest_learning_rate():
    """Just below it the slowest growth is none, just above an explicit run grows; predict refuses it."""
    top = np.linalg.eigvalsh(THETA[:n, :n])[-1]
    for momentum in (0.0, 0.6):
        eta = GradientDescent(NET, inputs(0, n), LABELS, learning_rate=0.01, momentum=momentum).max_learning_rate
        for factor, grows in ((1 - 1e-6, False), (1 + 1e-6, True)):
            step = np.array([[1 + momentum - factor * eta * top, -momentum], [1, 0]])
            assert (np.abs(np.linalg.eigvals(step)).max() > 1) == grows
        descent = GradientDescent(NET, inputs(0, n), LABELS, learning_rate=1.01 * eta, momentum=momentum)
        with pytest.raises(ValueError, match=r"^learning_rate must be < .* = 2 \(1 \+ momentum\)/lambda_max, where"):
            descent.predict(inputs(n, n + m), steps=3)


def test_small_steps_are_the_flow():
    """eta -> 0 at eta steps = t: the error falls with eta (order 1), and by 1/(1 - m) more time with momentum."""
    t = 0.8
    flow = GradientFlow(NET, inputs(0, n), LABELS).predict(inputs(n, n + m), t=t).mean
    errors = []
    for steps in (800, 1600):
        descent = GradientDescent(NET, inputs(0, n), LABELS, learning_rate=t / steps)
        errors.append(np.abs(descent.predict(inputs(n, n + m), steps=steps).mean - flow).max())
    assert 1.95 < errors[0] / errors[1] < 2.05
    heavy = GradientDescent(NET, inputs(0, n), LABELS, learning_rate=t / 10**6 * 0.4, momentum=0.6)
    np.testing.assert_allclose(heavy.predict(inputs(n, n + m), steps=10**6).mean, flow, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.81, 0.99])
def test_slow_modes_and_the_double_root_keep_their_digits(momentum):
    """phi_k = (1 - e_k)/lambda by the roots of z^2 - (1 + m - eta lambda) z + m in 60 digits, k up to 10^7."""
    eta = 0.1
    double = (1 - momentum**0.5) ** 2 / eta
    values = np.array([1e-12, 1e-6, 0.03, double, 1.7])
    for steps in (1, 6, 1000, 10**7):
        found = progress(values, eta, momentum, steps)
        for lam, phi in zip(values, found, strict=True):
            with mpmath.workdps(60):
                m_, s = mpmath.mpf(momentum), mpmath.mpf(eta) * mpmath.mpf(float(lam))
                root = mpmath.sqrt((1 + m_ - s) ** 2 - 4 * m_)
                z, w = (1 + m_ - s + root) / 2, (1 + m_ - s - root) / 2
                e = ((1 - w) * z ** (steps + 1) - (1 - z) * w ** (steps + 1)) / root if root else None
                exact = float(mpmath.re((1 - e) / mpmath.mpf(float(lam))))
            np.testing.assert_allclose(phi, exact, rtol=2e-12)
    np.testing.assert_allclose(progress(np.zeros(1), eta, 0.0, 10**7), [1e6], rtol=1e-13)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_singular_kernel_is_stated():
    """Two equal inputs: the flow on them is that of one input with twice the rate."""
    theta = np.array([[2.0, 2.0, 1.0], [2.0, 2.0, 1.0], [1.0, 1.0, 5.0]])
    flow = GradientFlow(Table(np.eye(3), theta), inputs(0, 2), [0.5, 0.5])
    with pytest.warns(NotPositiveDefinite, match="least eigenvalue"):
        mean = flow.predict(inputs(2, 3), t=[0.3, np.inf]).mean
    assert flow.jitter == 2e-14
    np.testing.assert_allclose(mean[:, 0], [-0.25 * np.expm1(-4 * 0.3), 0.25], rtol=1e-12)


@pytest.mark.parametrize(
    ("t", "message"),
    [
        (-1.0, r"^t must be >= 0 \(inf allowed\), got -1.0$"),
        ([0.0, np.nan], r"^t must be >= 0 \(inf allowed\), got nan at index \(1,\)$"),
        ([[0.0, 1.0]], r"^t must be a time or a list of times, got shape \(1, 2\)$"),
        ([], r"^t must be a time or a list of times, got shape \(0,\)$"),
    ],
)
def test_bad_times(t, message):
    with pytest.raises(ValueError, match=message):
        GradientFlow(NET, inputs(0, n), LABELS).predict(inputs(n, n + m), t=t)


def test_bad_descents():
    def made(**change):
        return GradientDescent(NET, inputs(0, n), LABELS, **{"learning_rate": 0.1} | change)

    for change, message in (
        ({"learning_rate": 0.0}, r"^learning_rate must be finite and > 0, got 0.0$"),
        ({"learning_rate": np.inf}, r"^learning_rate must be finite and > 0, got inf$"),
        ({"momentum": 1.0}, r"^momentum must be in \[0, 1\), got 1.0$"),
        ({"momentum": -0.1}, r"^momentum must be in \[0, 1\), got -0.1$"),
        ({"kind": "rbf"}, r"^kind must be 'nngp' or 'ntk', got 'rbf'$"),
        ({"noise": -1.0}, r"^noise must be finite and >= 0, got -1.0$"),
    ):
        with pytest.raises(ValueError, match=message):
            made(**change)
    with pytest.raises(ValueError, match=r"^steps must be >= 0, got -1 at index \(1,\)$"):
        made().predict(inputs(n, n + m), steps=[3, -1])
    with pytest.raises(TypeError, match=r"^steps must be integers >= 0, got 2.5$"):
        made().predict(inputs(n, n + m), steps=2.5)
    with pytest.raises(ValueError, match=r"^steps must be a count or a list of counts, got shape \(1, 1\)$"):
        made().predict(inputs(n, n + m), steps=[[3]])


def test_times_beyond_all_numbers():
    """Where lambda t overflows the mean is that of the end."""
    X = np.random.default_rng(0).standard_normal((6, 3))
    flow = GradientFlow(mlp(hidden_layers=1, activation=Relu(), sigma_w=1.4, sigma_b=0.1), X, X[:, 0])
    for cov in (False, True):
        mean = flow.predict(X[:2] + 0.1, t=[1e300, 1.7e308, np.inf], cov=cov).mean.values
        np.testing.assert_allclose(mean[:2], mean[[2, 2]], rtol=1e-12)
