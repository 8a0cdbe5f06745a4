"""Scale mixtures of the Gaussian process of a network against scipy's t, closed forms of the integral and sampling."""

import json
from pathlib import Path
from types import SimpleNamespace

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import gammaln, kve, log_ndtr
from scipy.stats import betaprime, burr12, expon, gamma, invgamma, lognorm, multivariate_t, uniform

from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.activations import Relu
from mattis.theory.kernels.mixture import ScaleMixture, log_integral
from mattis.theory.kernels.network import mlp
from mattis.theory.kernels.regression import GaussianProcess
from mattis.theory.kernels.student import StudentTProcess

GOLDEN = json.loads((Path(__file__).parent.parent / "golden/kernel_numbers.json").read_text())["inference"]
"""20 digits, checked against scipy and 1-D quadrature (reference README)."""


def numbers(strings):
    return np.array(strings, dtype=np.float64)


class Table:
    """A network of which only the NNGP kernel matrix is known; an input is its number."""

    def __init__(self, nngp):
        self.nngp = nngp

    def kernel(self, x1, x2=None, *, get):
        assert get == ("nngp",)
        return SimpleNamespace(nngp=self.nngp[np.ix_(x1[:, 0], (x1 if x2 is None else x2)[:, 0])])


def inputs(low, high):
    return np.arange(low, high)[:, None]


GOLDEN_NET, TRAIN, TEST, Y = Table(numbers(GOLDEN["nngp"])), inputs(0, 5), inputs(5, 7), numbers(GOLDEN["y"])
n, m = 9, 4
RNG = np.random.Generator(np.random.Philox(key=21))
PHI = RNG.standard_normal((n + m, 20)) / 20**0.5
K, LABELS = PHI @ PHI.T, RNG.standard_normal((n, 3))
NET, X, X_TEST = Table(K), inputs(0, n), inputs(n, n + m)


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_golden(noise):
    entry = GOLDEN["student_t_noise_0" if noise == 0 else "student_t_noise_0.05"]
    real = mlp(hidden_layers=2, activation=Relu(), sigma_w=2**0.5, sigma_b=0.1**0.5)
    points = numbers(GOLDEN["X"])
    for net, X, X_test in ((GOLDEN_NET, TRAIN, TEST), (real, points[:5], points[5:])):
        process = StudentTProcess(net, X, Y, alpha=2, beta=1.5, noise=noise)
        nu, loc, scale = process.predict(X_test)
        assert nu == float(entry["nu"])
        np.testing.assert_allclose(loc, numbers(entry["loc"]), rtol=1e-11)
        np.testing.assert_allclose(scale, numbers(entry["scale_matrix"]), rtol=1e-11)
        found = process.log_marginal_likelihood
        np.testing.assert_allclose(found, float(entry["log_marginal_likelihood"]), rtol=1e-11)


def test_the_joint_t_law():
    """Marginal and posterior of scipy's t with scale (beta/alpha)(K + noise), the outputs stacked: they share s^2."""
    alpha, beta, noise = 1.7, 0.9, 0.2
    process = StudentTProcess(NET, X, LABELS, alpha=alpha, beta=beta, noise=noise)

    def logpdf(matrix, y):
        scale = beta / alpha * np.kron(np.eye(3), matrix)
        return multivariate_t(np.zeros(y.size), scale, df=2 * alpha).logpdf(y.T.ravel())

    A = K + noise * np.diag([1.0] * n + [0.0] * m)
    before = logpdf(A[:n, :n], LABELS)
    np.testing.assert_allclose(process.log_marginal_likelihood, before, rtol=1e-12)
    nu, loc, scale = process.predict(X_TEST)
    assert nu == 2 * alpha + 27
    assert loc.dims == ("x1", "output")
    assert scale.dims == ("x1", "x2")
    new = RNG.standard_normal((m, 3))
    posterior = multivariate_t(loc.values.T.ravel(), np.kron(np.eye(3), scale.values), df=nu).logpdf(new.T.ravel())
    np.testing.assert_allclose(posterior, logpdf(A, np.vstack([LABELS, new])) - before, rtol=1e-11)


def test_the_gaussian_limit():
    """alpha = beta -> infinity: s^2 = 1; the difference falls as 1/alpha."""
    exact = GaussianProcess(NET, X, LABELS, noise=0.3).log_marginal_likelihood
    off = [
        StudentTProcess(NET, X, LABELS, alpha=a, beta=a, noise=0.3).log_marginal_likelihood - exact for a in (1e4, 2e4)
    ]
    assert abs(off[1]) < 0.01
    np.testing.assert_allclose(off[0] / off[1], 2, rtol=0.01)


# --- any law of the scale --------------------------------------------------------------------------------------------


def mixture(law, y=LABELS, noise=0.1, points=n):
    return ScaleMixture(NET, inputs(0, points), y, log_density=law.logpdf, noise=noise)


def seen(y=LABELS, noise=0.1):
    """Q, ln|A| of all outputs and N, by numpy."""
    A = K[:n, :n] + noise * np.eye(n)
    return np.sum(y * np.linalg.solve(A, y)), y.shape[1] * np.linalg.slogdet(A)[1], y.size


def test_the_inverse_gamma_law():
    one, two = mixture(invgamma(1.7, scale=0.9)), StudentTProcess(NET, X, LABELS, alpha=1.7, beta=0.9, noise=0.1)
    np.testing.assert_allclose(one.log_marginal_likelihood, two.log_marginal_likelihood, rtol=1e-13)
    assert one.quadrature_error < 1e-12
    nu, loc, scale = two.predict(X_TEST)
    mean, cov = one.predict(X_TEST)
    np.testing.assert_allclose(mean, loc, rtol=1e-13)
    np.testing.assert_allclose(cov, scale * nu / (nu - 2), rtol=1e-12)


def test_exponential_and_uniform_laws():
    """Integrals in closed form: a Bessel function K, and incomplete gamma functions where the density jumps."""
    Q, log_det, N = seen()
    rate = 0.6
    order, z = 1 - N / 2, np.sqrt(2 * rate * Q)
    log_bessel = np.log(2 * rate) + order / 2 * np.log(Q / (2 * rate)) + np.log(kve(order, z)) - z
    found = mixture(expon(scale=1 / rate))
    gauss = -(N * np.log(2 * np.pi) + log_det) / 2
    np.testing.assert_allclose(found.log_marginal_likelihood, gauss + log_bessel, rtol=1e-13)
    ratio = np.sqrt(Q / (2 * rate)) * kve(order + 1, z) / kve(order, z)
    np.testing.assert_allclose(found.posterior_scale, ratio, rtol=1e-12)
    low, high = 0.3, 2.0
    a = N / 2 - 1
    upper, lower = gamma(a).cdf(Q / 2 / low), gamma(a).cdf(Q / 2 / high)
    exact = gauss - np.log(high - low) - a * np.log(Q / 2) + gammaln(a) + np.log(upper - lower)
    jump = mixture(uniform(low, high - low))
    np.testing.assert_allclose(jump.log_marginal_likelihood, exact, rtol=1e-13)


def test_a_scale_that_is_known():
    """A law of s^2 as narrow as 1e-4 about 1: a Gaussian process."""
    found = mixture(lognorm(1e-4))
    exact = GaussianProcess(NET, X, LABELS, noise=0.1).log_marginal_likelihood
    np.testing.assert_allclose(found.log_marginal_likelihood, exact, atol=1e-6)
    np.testing.assert_allclose(found.posterior_scale, 1.0, atol=1e-6)


def test_the_predictive_density():
    """It integrates to one over one more label, and is the quotient of two evidences."""
    y = LABELS[:, 0]
    found = mixture(betaprime(2.5, 1.5), y=y)
    s = np.linspace(-4.5, 4.5, 61)  # v = 3 sinh s: the trapezium in s
    density = np.exp([found.log_predictive_density(X_TEST[:1], [v]) for v in 3 * np.sinh(s)])
    np.testing.assert_allclose(np.sum(density * 3 * np.cosh(s)) * (s[1] - s[0]), 1, atol=1e-9)
    more = np.append(y, 0.7)
    joint = mixture(betaprime(2.5, 1.5), y=more, points=n + 1)
    quotient = joint.log_marginal_likelihood - found.log_marginal_likelihood
    np.testing.assert_allclose(found.log_predictive_density(X_TEST[:1], [0.7]), quotient, rtol=1e-11)
    both, new = mixture(betaprime(2.5, 1.5)), RNG.standard_normal((2, 3))
    joint = mixture(betaprime(2.5, 1.5), y=np.vstack([LABELS, new]), points=n + 2)
    quotient = joint.log_marginal_likelihood - both.log_marginal_likelihood
    np.testing.assert_allclose(both.log_predictive_density(X_TEST[:2], new), quotient, rtol=1e-11)


def test_the_integral_of_one_variable():
    """A narrow top far away, a slow tail, two tops, a jump, and no closed form."""
    value, error = log_integral(lambda u: -0.5 * ((u - 100.1) / 1e-4) ** 2, 0.0)
    np.testing.assert_allclose(value, np.log(1e-4 * np.sqrt(2 * np.pi)), atol=2e-10)  # eps 100/1e-4, of u itself
    assert error < 1e-10
    value, _ = log_integral(lambda u: -np.exp(-u) - 0.5 * u, 0.0)  # Gamma(1/2)
    np.testing.assert_allclose(value, np.log(np.pi) / 2, rtol=1e-11)
    value, _ = log_integral(lambda u: np.logaddexp(-0.5 * (u - 40) ** 2, -0.5 * (u + 30) ** 2), 3.0)
    np.testing.assert_allclose(value, np.log(2 * np.sqrt(2 * np.pi)), rtol=1e-12)
    value, _ = log_integral(lambda u: np.where((u >= 1) & (u <= 2), -300 * u, -np.inf), 0.3)  # its top at a jump
    np.testing.assert_allclose(value, -300 + np.log(-np.expm1(-300) / 300), rtol=1e-13)
    value, _ = log_integral(lambda u: log_ndtr(-u) + log_ndtr(u), 1.0)
    exact, _ = quad(lambda u: np.exp(log_ndtr(-u) + log_ndtr(u)), -12, 12, epsabs=0, epsrel=1e-13)
    np.testing.assert_allclose(value, np.log(exact), rtol=1e-11)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_a_mean_scale_that_does_not_exist():
    """One label and a tail s^(-2 - 2 alpha), alpha = 0.3: E[s^2 | y] diverges, the evidence does not."""
    found = mixture(invgamma(0.3), y=LABELS[:1, 0], points=1)
    exact = StudentTProcess(NET, inputs(0, 1), LABELS[:1, 0], alpha=0.3, beta=1.0, noise=0.1)
    np.testing.assert_allclose(found.log_marginal_likelihood, exact.log_marginal_likelihood, rtol=1e-11)
    with pytest.raises(ConvergenceError, match=r"^the integral over s\^2 diverges, vanishes"):
        _ = found.posterior_scale


def test_bad_laws():
    for density, error, message in (
        (lambda s2: np.full(s2.shape, -np.inf), ConvergenceError, r"^the integral over s\^2 diverges, vanishes"),
        (lambda s2: np.full(s2.shape, np.nan), ValueError, r"^log_density must be a number or -inf, got nan at"),
        (lambda s2: np.full(s2.shape, np.inf), ValueError, r"^log_density must be a number or -inf, got inf at"),
        (lambda s2: np.log(s2) * n * 2, ConvergenceError, r"^the integral over s\^2 diverges, vanishes"),
    ):
        found = ScaleMixture(NET, X, LABELS, log_density=density)
        with pytest.raises(error, match=message):
            _ = found.log_marginal_likelihood


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_bad_arguments(value):
    for name in ("alpha", "beta"):
        with pytest.raises(ValueError, match=rf"^{name} must be finite and > 0, got {value}$"):
            StudentTProcess(NET, X, LABELS, **{"alpha": 1.0, "beta": 1.0} | {name: value})
    with pytest.raises(ValueError, match=r"^noise must be finite and >= 0, got -0.5$"):
        StudentTProcess(NET, X, LABELS, alpha=1.0, beta=1.0, noise=-0.5)
    with pytest.raises(ValueError, match=r"^y must be finite, got nan at index \(0, 0\)$"):
        StudentTProcess(NET, X, np.full((n, 2), np.nan), alpha=1.0, beta=1.0)


def test_bad_further_labels():
    found = mixture(expon())
    with pytest.raises(ValueError, match=r"^y_test must have shape \(4, 3\), got \(4,\)$"):
        found.log_predictive_density(X_TEST, np.zeros(4))
    with pytest.raises(ValueError, match=r"^y_test must be finite, got nan at index \(0, 0\)$"):
        found.log_predictive_density(X_TEST, np.full((4, 3), np.nan))


@pytest.mark.parametrize("alpha", [1.0, 1e3, 1e8, 1e14, 1e300])
def test_many_degrees_of_freedom(alpha):
    """alpha = beta: Stirling's series of the ratio of gamma functions, and its limit, the Gaussian process."""
    X = np.random.default_rng(0).standard_normal((6, 3))
    net, y = mlp(hidden_layers=1, activation=Relu(), sigma_w=1.4, sigma_b=0.1), X[:, 0]
    process, student = (
        GaussianProcess(net, X, y, noise=0.1),
        StudentTProcess(net, X, y, alpha=alpha, beta=alpha, noise=0.1),
    )
    Q = -2 * process.log_marginal_likelihood - 6 * np.log(2 * np.pi) - process._factor.log_determinant
    with mp.workdps(340):
        a, q = mp.mpf(alpha), mp.mpf(float(Q))
        ratio = mp.log(mp.rf(a, 3)) - 3 * mp.log(a)
        more = float(ratio - (a + 3) * mp.log1p(q / (2 * a)) + q / 2)
    assert student.log_marginal_likelihood == pytest.approx(process.log_marginal_likelihood + more, abs=1e-12)


def test_slow_tails_and_far_tops():
    """E[s^2 | y] of a tail s^(-0.4); labels of 1e-150, whose likelihood has its top where h vanishes."""
    net = mlp(hidden_layers=1, activation=Relu(), sigma_w=1.4, sigma_b=0.1)
    heavy = ScaleMixture(net, [[1.0, 2.0]], [1.0], log_density=burr12(1.0, 0.7).logpdf)
    A = float(net.kernel([[1.0, 2.0]], get="nngp").nngp[0, 0])

    def integral(power):  # by x = s^-2
        return quad(lambda x: x ** (-power - 2 + 0.5) * 0.7 * (1 + 1 / x) ** -1.7 * np.exp(-x / (2 * A)), 0, np.inf)[0]

    assert heavy.posterior_scale == pytest.approx(integral(1) / integral(0), rel=1e-5)
    for y in (1e-60, 1e-150):
        found = ScaleMixture(net, [[1.0, 2.0]], [y], log_density=invgamma(2).logpdf).log_marginal_likelihood
        student = StudentTProcess(net, [[1.0, 2.0]], [y], alpha=2.0, beta=1.0)
        assert found == pytest.approx(student.log_marginal_likelihood, abs=1e-12)


def test_a_mean_without_a_covariance():
    """Where E[s^2 | y] is infinite the mean is that of the Gaussian process all the same."""
    net = mlp(hidden_layers=1, activation=Relu(), sigma_w=1.4, sigma_b=0.1)
    mixture = ScaleMixture(net, [[1.0, 2.0]], [1.0], log_density=burr12(1.0, 0.4).logpdf)
    with pytest.raises(ConvergenceError, match="diverges"):
        mixture.predict([[0.5, 1.0]])
    mean, cov = mixture.predict([[0.5, 1.0]], cov=False)
    want = GaussianProcess(net, [[1.0, 2.0]], [1.0]).predict([[0.5, 1.0]]).mean
    assert cov is None
    assert float(mean[0]) == pytest.approx(float(want[0]), rel=1e-14)
    with pytest.raises(TypeError, match="log_density must be a function"):
        ScaleMixture(net, [[1.0, 2.0]], [1.0], log_density=3.0)
    with pytest.raises(ValueError, match="log_density must give an array of the shape"):
        ScaleMixture(net, [[1.0, 2.0]], [1.0], log_density=lambda s2: np.zeros(3)).predict([[0.5, 1.0]])
