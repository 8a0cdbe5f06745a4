"""Distances between function priors and the fit of one prior to another (arXiv:2011.12829).

Compared with matrix square roots, differences, one-dimensional quadrature and another optimiser.
"""

import numpy as np
import pytest
from numpy.random import Generator, Philox
from scipy.linalg import sqrtm
from scipy.optimize import minimize
from scipy.stats import multivariate_normal, wasserstein_distance

import mattis as mt
from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.prior_distance import gaussian_kl, sliced_wasserstein1, wasserstein2
from mattis.theory.kernels.prior_matching import fit_prior


def rng(seed):
    return Generator(Philox(key=seed))


def random_covariance(size, rank, seed):
    root = rng(seed).standard_normal((size, rank))
    return root @ root.T / rank


def differences(function, K, step=1e-6):
    """The gradient by central differences along symmetric matrices, off-diagonal entries shared by both halves."""
    gradient = np.empty_like(K)
    for i, j in np.ndindex(*K.shape):
        move = np.zeros_like(K)
        move[i, j] += step / 2
        move[j, i] += step / 2
        gradient[i, j] = (function(K + move) - function(K - move)) / (2 * step)
    return gradient


def erf_layer(X, p):
    """One hidden erf layer, parameters (sigma_w, sigma_b) of both layers, on (M, d) inputs; and its derivatives."""
    w, b = p
    gram = X @ X.T / X.shape[1]
    k, slopes = w**2 * gram + b**2, (2 * w * gram, 2 * b * np.ones_like(gram))
    q = 1 + 2 * k.diagonal()
    scale = np.sqrt(np.outer(q, q))
    u = 2 * k / scale
    dK = []
    for slope in slopes:
        dq = 2 * slope.diagonal() / q
        du = 2 * slope / scale - u * (dq[:, None] + dq[None, :]) / 2
        dK.append(w**2 * (2 / np.pi) * du / np.sqrt(1 - u**2))
    V = 2 / np.pi * np.arcsin(u)
    dK[0] += 2 * w * V
    dK[1] += 2 * b
    return w**2 * V + b**2, dK


def relu_layer(X, p):
    """The same for a hidden ReLU layer: dV/dk = (pi - th)/(2 pi), dV/da = sqrt(b/a) sin(th)/(4 pi)."""
    w, b = p
    gram = X @ X.T / X.shape[1]
    k, slopes = w**2 * gram + b**2, (2 * w * gram, 2 * b * np.ones_like(gram))
    norm = np.sqrt(k.diagonal())
    cos = np.clip(k / np.outer(norm, norm), -1, 1)
    np.fill_diagonal(cos, 1)
    th, sin = np.arccos(cos), np.sqrt(1 - cos**2)
    V = np.outer(norm, norm) * (sin + (np.pi - th) * cos) / (2 * np.pi)
    dK = []
    for slope in slopes:
        own = slope.diagonal() / norm
        side = sin / (4 * np.pi) * (np.outer(own, norm) + np.outer(norm, own))
        dK.append(w**2 * ((np.pi - th) / (2 * np.pi) * slope + side))
    dK[0] += 2 * w * V
    dK[1] += 2 * b
    return w**2 * V + b**2, dK


def squared_exponential(X):
    """Length 0.7, amplitude 1.3, and white noise of variance 0.01."""
    return 1.3**2 * np.exp(-((X[:, None] - X[None]) ** 2).sum(-1) / (2 * 0.7**2)) + 0.01 * np.eye(len(X))


@pytest.mark.parametrize(("size", "rank1", "rank2"), [(2, 2, 3), (7, 9, 8), (11, 30, 15)])
def test_wasserstein_against_matrix_square_roots(size, rank1, rank2):
    """tr K1 + tr K2 - 2 tr (K1^1/2 K2 K1^1/2)^1/2 and its gradient, with scipy.linalg.sqrtm."""
    K1, K2 = random_covariance(size, rank1, 1), random_covariance(size, rank2, 2)
    root = np.real(sqrtm(K1))
    middle = np.real(sqrtm(root @ K2 @ root))
    found = wasserstein2(K1, K2)
    assert found.value == pytest.approx(np.trace(K1) + np.trace(K2) - 2 * np.trace(middle), rel=1e-10)
    inverse = np.linalg.inv(root)
    np.testing.assert_allclose(found.gradient, np.eye(size) - inverse @ middle @ inverse, atol=1e-10 * size)
    assert wasserstein2(K2, K1).value == pytest.approx(found.value, rel=1e-13)


def test_wasserstein_of_commuting_matrices():
    """sum (sqrt l - sqrt m)^2 in a common basis; the gradient is 1 - sqrt(m/l)."""
    basis = np.linalg.qr(rng(3).standard_normal((5, 5)))[0]
    one, two = np.array([1e-4, 0.3, 1.0, 2.0, 50.0]), np.array([2.0, 0.3, 1e-6, 8.0, 49.0])
    found = wasserstein2(basis * one @ basis.T, basis * two @ basis.T)
    assert found.value == pytest.approx(((np.sqrt(one) - np.sqrt(two)) ** 2).sum(), rel=1e-12)
    exact = basis * (1 - np.sqrt(two / one)) @ basis.T
    np.testing.assert_allclose(found.gradient, exact, atol=1e-8)  # rounding of K1, 1e-14, over its least eigenvalue


def test_wasserstein_is_zero_where_the_matrices_are_equal_only():
    """Where they differ by 1e-9 of themselves W_2^2 = tr K (1e-9)^2/4: the trace formula has no digit of it."""
    K = random_covariance(6, 8, 4)
    assert wasserstein2(K, K).value < 1e-28
    assert wasserstein2(K, K * (1 + 1e-9)).value == pytest.approx(np.trace(K) * 0.25e-18, rel=1e-5)
    np.testing.assert_allclose(wasserstein2(K, K).gradient, 0, atol=1e-12)


def test_wasserstein_of_singular_matrices():
    """On a common subspace it is the distance there; for u u^T and v v^T it is |u|^2 + |v|^2 - 2 |u.v|."""
    plane = np.linalg.qr(rng(5).standard_normal((9, 4)))[0]
    small1, small2 = random_covariance(4, 6, 6), random_covariance(4, 7, 7)
    whole, part = wasserstein2(plane @ small1 @ plane.T, plane @ small2 @ plane.T), wasserstein2(small1, small2)
    assert whole.value == pytest.approx(part.value, rel=1e-12)
    np.testing.assert_allclose(plane.T @ whole.gradient @ plane, part.gradient, atol=1e-11)
    off = np.eye(9) - plane @ plane.T
    np.testing.assert_allclose(off @ whole.gradient, off, atol=1e-11)
    u, v = rng(8).standard_normal((2, 5))
    rank1 = wasserstein2(np.outer(u, u), np.outer(v, v))
    assert rank1.value == pytest.approx(u @ u + v @ v - 2 * abs(u @ v), rel=1e-12)
    np.testing.assert_allclose(rank1.gradient, np.eye(5) - np.outer(v, v) / abs(u @ v), atol=1e-12)
    assert whole.outside == part.outside == rank1.outside == 0
    assert wasserstein2(np.eye(5), np.outer(u, u)).outside == 0


@pytest.mark.parametrize("unit", [1e-30, 1e30])
def test_the_unit_of_the_matrices_does_not_matter(unit):
    """W_2^2 is linear in a common unit, the gradient has none; K1 has rank 3 of 5, K2 rank 4."""
    K1, K2 = random_covariance(5, 3, 27), random_covariance(5, 4, 28)
    plain, scaled = wasserstein2(K1, K2), wasserstein2(unit * K1, unit * K2)
    assert scaled.value == pytest.approx(unit * plain.value, rel=1e-12)
    assert scaled.outside == pytest.approx(unit * plain.outside, rel=1e-10)
    np.testing.assert_allclose(scaled.gradient, plain.gradient, atol=1e-9)


def test_wasserstein_where_only_one_matrix_is_singular():
    """K1 = u u^T: W_2^2 = |u|^2 + tr K2 - 2 sqrt(u.K2 u), and its derivative by u through the gradient in the range."""
    u, v = rng(8).standard_normal((2, 5))
    K2 = random_covariance(5, 8, 9)
    found = wasserstein2(np.outer(u, u), K2)
    assert found.value == pytest.approx(u @ u + np.trace(K2) - 2 * np.sqrt(u @ K2 @ u), rel=1e-12)
    assert u @ found.gradient @ u == pytest.approx(u @ u - np.sqrt(u @ K2 @ u), rel=1e-12)
    assert found.outside == pytest.approx(np.trace(K2) - (K2 @ u) @ (K2 @ u) / (u @ K2 @ u), rel=1e-12)
    aside = v - (u @ v) / (u @ u) * u
    apart = wasserstein2(np.outer(u, u), np.outer(aside, aside))
    assert apart.value == pytest.approx(u @ u + aside @ aside, rel=1e-12)
    assert apart.outside == pytest.approx(aside @ aside, rel=1e-12)
    empty = wasserstein2(np.zeros((3, 3)), np.diag([1.0, 2.0, 0.5]))
    assert empty.value == empty.outside == pytest.approx(3.5, rel=1e-15)


@pytest.mark.parametrize("distance", [wasserstein2, gaussian_kl])
def test_gradients_against_differences(distance):
    K1, K2 = random_covariance(4, 9, 10), random_covariance(4, 7, 11)
    numeric = differences(lambda K: distance(K, K2).value, K1)
    np.testing.assert_allclose(distance(K1, K2).gradient, numeric, atol=2e-7)


def test_kl_is_the_mean_log_ratio_of_the_densities():
    """Against log-densities at the Gauss-Hermite nodes of a two-dimensional Gaussian, exact for quadratics."""
    K1, K2 = np.array([[1.2, 0.4], [0.4, 0.5]]), np.array([[0.7, -0.2], [-0.2, 2.0]])
    x, weight = np.polynomial.hermite_e.hermegauss(5)
    nodes = np.stack(np.meshgrid(x, x, indexing="ij"), -1).reshape(-1, 2) @ np.linalg.cholesky(K1).T
    ratio = multivariate_normal(cov=K1).logpdf(nodes) - multivariate_normal(cov=K2).logpdf(nodes)
    exact = np.outer(weight, weight).ravel() @ ratio / (2 * np.pi)
    assert gaussian_kl(K1, K2).value == pytest.approx(exact, rel=1e-12)
    assert gaussian_kl(K1, K1).value == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize("layer", [erf_layer, relu_layer])
def test_the_derivatives_of_the_test_kernels(layer):
    """The families below are right by themselves: central differences in both parameters."""
    X, p = rng(12).standard_normal((5, 3)), np.array([1.4, 0.6])
    for i, slope in enumerate(layer(X, p)[1]):
        step = 1e-6 * np.eye(2)[i]
        numeric = (layer(X, p + step)[0] - layer(X, p - step)[0]) / 2e-6
        np.testing.assert_allclose(slope, numeric, atol=1e-8)


@pytest.mark.parametrize("distance", ["wasserstein", "kl"])
@pytest.mark.parametrize("layer", [erf_layer, relu_layer])
def test_the_fit_recovers_its_own_family(layer, distance):
    """The target is the family at (1.7, 0.4): the fit finds it, and is as good on sets it has not seen."""
    sets, fresh = rng(13).uniform(-2, 2, (6, 5, 2)), rng(14).uniform(-2, 2, (4, 7, 2))
    fit = fit_prior(
        layer,
        lambda X: layer(X, np.array([1.7, 0.4]))[0],
        start=[0.9, 1.1],
        measurement_sets=sets,
        fresh_sets=fresh,
        distance=distance,
        tolerance=1e-8,
    )
    np.testing.assert_allclose(fit.parameters, [1.7, 0.4], rtol=1e-5)
    assert fit.converged
    assert fit.fresh < 1e-8 * fit.distance[0]
    assert fit.distance.shape == fit.gradient_norm.shape
    assert fit.distance[-1] == fit.distance.min() < fit.distance[0]


@pytest.mark.parametrize("distance", ["wasserstein", "kl"])
def test_the_fit_to_another_family(distance):
    """An erf layer to a squared exponential: the minimum of Nelder and Mead over independent formulas."""
    sets, fresh = rng(15).uniform(-1.5, 1.5, (5, 4, 1)), rng(16).uniform(-1.5, 1.5, (40, 4, 1))

    def direct(K1, K2):
        if distance == "wasserstein":
            return np.trace(K1 + K2) - 2 * np.sqrt(np.maximum(np.linalg.eigvals(K1 @ K2).real, 0)).sum()
        ratio = np.linalg.solve(K2, K1)
        return (np.trace(ratio) - len(K1) - np.log(np.linalg.det(ratio))) / 2

    def mean(p, points):
        return np.array([direct(erf_layer(X, np.abs(p))[0], squared_exponential(X)) for X in points])

    fit = fit_prior(
        erf_layer,
        squared_exponential,
        start=[0.8, 1.9],
        measurement_sets=sets,
        fresh_sets=fresh,
        distance=distance,
    )
    start, steps = np.array([0.8, 1.9]), np.exp(1e-5 * np.eye(2))
    slopes = [(mean(start * step, sets).mean() - mean(start / step, sets).mean()) / 2e-5 for step in steps]
    assert fit.gradient_norm[0] == pytest.approx(np.abs(slopes).max(), rel=1e-6)
    other = minimize(lambda p: mean(p, sets).mean(), [2.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-7})
    np.testing.assert_allclose(fit.parameters, np.abs(other.x), rtol=1e-4)
    assert fit.distance[-1] == pytest.approx(other.fun, rel=1e-7)
    unseen = mean(fit.parameters, fresh)
    assert fit.fresh == pytest.approx(unseen.mean(), rel=1e-7)
    assert fit.fresh_error == pytest.approx(unseen.std(ddof=1) / np.sqrt(40), rel=1e-7)
    assert fit.distance[-1] > 0


def test_the_fit_of_a_singular_kernel():
    """p ones(3, 3) to the unit matrix: 3 p + 3 - 2 sqrt(3 p) has its minimum 2 at p = 1/3."""
    fit = fitted(
        kernel=lambda X, p: (p[0] * np.ones((3, 3)), [np.ones((3, 3))]), target=lambda X: np.eye(3), tolerance=1e-9
    )
    assert fit.parameters[0] == pytest.approx(1 / 3, rel=1e-8)
    assert fit.distance[-1] == pytest.approx(2, rel=1e-14)


def test_the_fit_of_nearly_singular_kernels():
    """Squared exponentials on 20 points, whose eigenvalues fall below rounding: amplitude and length are recovered."""

    def smooth(X, p):
        d2 = (X[:, None] - X[None]) ** 2
        K = p[0] ** 2 * np.exp(-d2 / (2 * p[1] ** 2))
        return K, [2 * K / p[0], K * d2 / p[1] ** 3]

    sets = rng(24).uniform(-1, 1, (5, 20))
    fit = fit_prior(
        smooth,
        lambda X: smooth(X, np.array([1.3, 0.5]))[0],
        start=[1.0, 0.9],
        measurement_sets=sets[:3],
        fresh_sets=sets[3:],
    )
    np.testing.assert_allclose(fit.parameters, [1.3, 0.5], rtol=1e-5)


def test_a_wrong_derivative_does_not_converge():
    """A planted sign in dK: the descent finds no lower point, and says so."""
    sets = rng(17).uniform(-1, 1, (3, 4, 2))

    def planted(X, p):
        K, dK = erf_layer(X, p)
        return K, [-dK[0], dK[1]]

    with pytest.raises(ConvergenceError, match="the prior fit stopped at a gradient of") as caught:
        fit_prior(planted, squared_exponential, start=[1.0, 1.0], measurement_sets=sets, fresh_sets=sets)
    assert not caught.value.solution.converged


def test_too_few_iterations_are_reported():
    sets = rng(18).uniform(-1, 1, (3, 4, 2))
    with pytest.raises(ConvergenceError, match="after 2 iterations") as caught:
        fit_prior(
            erf_layer, squared_exponential, start=[0.1, 3.0], measurement_sets=sets, fresh_sets=sets, iterations=2
        )
    reached = caught.value.solution
    assert reached.distance.shape == (3,)
    assert reached.distance[2] < reached.distance[0]


def test_sliced_distance_in_one_dimension_is_exact():
    """M = 1: both directions give W_1 of scipy.stats, with samples of unequal size."""
    f, g = rng(19).standard_normal((57, 1)), 1.5 + 2 * rng(20).standard_normal((83, 1))
    found = sliced_wasserstein1(f, g, projections=3, seed=0)
    assert found.value == pytest.approx(wasserstein_distance(f[:, 0], g[:, 0]), rel=1e-13)


def test_the_error_of_a_sliced_distance_between_samples_far_apart():
    """M = 1, no overlap: the distance is the difference of the means, its error that of the means."""
    f, g = rng(25).standard_normal((31, 1)), 50 - 3 * rng(26).standard_normal((44, 1))
    found = sliced_wasserstein1(f, g, projections=2, seed=0)
    assert found.value == pytest.approx(g.mean() - f.mean(), rel=1e-13)
    assert found.error == pytest.approx(np.sqrt(f.var(ddof=1) / 31 + g.var(ddof=1) / 44), rel=1e-12)


def test_sliced_distance_of_a_shift():
    """G = F + c: |u.c| along every u, mean |c| 2/pi in two dimensions; 4000 directions, rate 1e-5."""
    f, c = rng(21).standard_normal((30, 2)), np.array([1.2, -0.5])
    found = sliced_wasserstein1(f, f + c, projections=4000, seed=1)
    assert found.value == pytest.approx(np.linalg.norm(c) * 2 / np.pi, abs=4.4 * np.linalg.norm(c) * 0.308 / 4000**0.5)


def test_sliced_distance_of_gaussians_and_its_error():
    """sqrt(2/pi) |sqrt(u.K1 u) - sqrt(u.K2 u)| + bias, over the circle by quadrature; 150 independent samples.

    The error is honest if the values spread by it: chi2 of 149 degrees of freedom within 25 percent of one (rate 1e-5).
    The bias, of order 1/samples here, is below a tenth of the difference between the priors.
    """
    K1, K2 = np.array([[1.0, 0.3], [0.3, 0.5]]), np.array([[9.0, -0.8], [-0.8, 4.0]])
    angle = np.arange(400) * np.pi / 400
    u = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    spread = [np.sqrt(np.einsum("ai,ij,aj->a", u, K, u)) for K in (K1, K2)]
    exact = np.sqrt(2 / np.pi) * np.abs(spread[0] - spread[1]).mean()
    draw, found = rng(22), []
    for seed in range(150):
        f = draw.standard_normal((200, 2)) @ np.linalg.cholesky(K1).T
        g = draw.standard_normal((300, 2)) @ np.linalg.cholesky(K2).T
        found.append(sliced_wasserstein1(f, g, projections=40, seed=seed))
    value, error, floor = np.array(found).T
    assert value.mean() == pytest.approx(exact, rel=0.03)
    assert value.std(ddof=1) == pytest.approx(np.sqrt((error**2).mean()), rel=0.25)
    assert (floor < value / 2).all()


def test_the_floor_is_the_value_where_the_priors_are_equal():
    """Two samples of one prior: value and floor agree on average over 60 pairs, rate 1e-5."""
    draw = rng(23)
    pairs = [
        sliced_wasserstein1(draw.standard_normal((90, 3)), draw.standard_normal((70, 3)), projections=20, seed=i)
        for i in range(60)
    ]
    gap = np.array([found.value - found.floor for found in pairs])
    assert abs(gap.mean()) < 4.8 * gap.std(ddof=1) / np.sqrt(60)  # Student's t
    assert min(found.floor for found in pairs) > 0.02


GOOD = np.eye(3)
SETS = [np.zeros((3, 1)), np.ones((3, 1))]


def fitted(**change):
    arguments = {"start": [1.0], "measurement_sets": SETS, "fresh_sets": SETS} | change
    kernel = arguments.pop("kernel", lambda X, p: (p[0] * GOOD, [GOOD]))
    target = arguments.pop("target", lambda X: 2 * GOOD)
    return fit_prior(kernel, target, **arguments)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: wasserstein2(np.ones((2, 3)), GOOD), r"K1 must be a square matrix \(M, M\), got shape \(2, 3\)"),
        (lambda: wasserstein2(GOOD, np.eye(2)), r"of one shape, got \(3, 3\) and \(2, 2\)"),
        (lambda: wasserstein2(GOOD, np.full((3, 3), np.nan)), "K2 must be finite, got nan"),
        (lambda: wasserstein2(-GOOD, GOOD), "smallest eigenvalue of K1 must be >= 0, got -1.0"),
        (lambda: wasserstein2(GOOD, np.triu(np.ones((3, 3)))), "asymmetry of K2"),
        (lambda: gaussian_kl(GOOD, np.ones((3, 3))), "K2 must be positive definite"),
        (lambda: gaussian_kl(np.zeros((3, 3)), GOOD), "K1 must be positive definite"),
        (lambda: fitted(start=[0.0]), r"start must be > 0 and finite, got 0.0"),
        (lambda: fitted(start=[[1.0]]), r"start must be a vector \(p,\), got shape \(1, 1\)"),
        (lambda: fitted(start=[np.nan]), "start must be > 0 and finite, got nan"),
        (lambda: fitted(measurement_sets=[]), "the number of measurement_sets must be >= 1"),
        (lambda: fitted(fresh_sets=SETS[:1]), "the number of fresh_sets must be >= 2, got 1"),
        (lambda: fitted(distance="euclid"), "distance must be wasserstein or kl, got 'euclid'"),
        (lambda: fitted(tolerance=0.0), "tolerance must be > 0"),
        (lambda: fitted(tolerance="a"), "tolerance must be > 0 and finite, got 'a'"),
        (lambda: fitted(start="a"), "start must hold real numbers, got 'a'"),
        (lambda: fitted(kernel=lambda X, p: 3), r"kernel_of\(X, p\) must return a kernel and its derivatives"),
        (lambda: fitted(target=lambda X: np.eye(2)), r"kernel_of\(X, p\)\[0\] must have the shape of target\(X\)"),
        (lambda: fitted(iterations=0), "iterations must be >= 1"),
        (lambda: fitted(target=lambda X: np.ones(3)), r"target\(X\) must be a square matrix"),
        (lambda: fitted(kernel=lambda X, p: (GOOD, [])), r"must be of shape \(1, 3, 3\), got \(0,\)"),
        (lambda: fitted(kernel=lambda X, p: (np.nan * GOOD, [GOOD])), r"kernel_of\(X, p\)\[0\] must be finite"),
        (lambda: sliced_wasserstein1(np.ones((5, 2)), np.ones((6, 3)), projections=4, seed=0), "F and G must be"),
        (lambda: sliced_wasserstein1(np.ones(5), np.ones(5), projections=4, seed=0), "F and G must be"),
        (lambda: sliced_wasserstein1(np.ones((1, 2)), np.ones((6, 2)), projections=4, seed=0), "samples >= 2"),
        (lambda: sliced_wasserstein1([[1.0], [np.inf]], [[1.0], [2.0]], projections=4, seed=0), "F must be finite"),
        (lambda: sliced_wasserstein1(np.ones((5, 2)), np.ones((6, 2)), projections=1, seed=0), "projections must be"),
        (lambda: sliced_wasserstein1(np.ones((5, 2)), np.ones((6, 2)), projections=4, seed=-1), "seed must be"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def relu_net(X, p):
    """Two hidden layers of one sigma_w and sigma_b."""
    net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=float(p[0]), sigma_b=float(p[1]))
    slopes = net.kernel_gradient(X)
    return np.asarray(net.kernel(X, get="nngp").nngp), [slopes["sigma_w"], slopes["sigma_b"]]


@pytest.mark.parametrize("distance", ["wasserstein", "kl"])
def test_all_starts_end_in_the_same_minimum(distance):
    """Where a parameter nears 0 the derivative by its logarithm vanishes, and the minimum is elsewhere."""
    sets = rng(30).uniform(-1, 1, (6, 4, 2))
    starts = [[1.0, 1.0], [100.0, 0.01], [0.01, 0.01]]
    starts += [[0.001, 5.0], [1e-6, 1e-6]] if distance == "wasserstein" else []
    fits = [
        fit_prior(
            relu_net,
            squared_exponential,
            start=start,
            measurement_sets=sets[:4],
            fresh_sets=sets[4:],
            distance=distance,
        )
        for start in starts
    ]
    assert all(fit.converged for fit in fits)
    for fit in fits[1:]:
        np.testing.assert_allclose(fit.parameters, fits[0].parameters, rtol=1e-4)
        assert fit.distance[-1] == pytest.approx(fits[0].distance[-1], rel=1e-9)


def test_a_minimum_on_the_boundary():
    """1 + p ones(3, 3) to 1/2: D rises with p, and p -> 0 is the minimum, 3 (1 - sqrt(1/2))^2."""
    fit = fitted(
        kernel=lambda X, p: (GOOD + p[0] * np.ones((3, 3)), [np.ones((3, 3))]), target=lambda X: GOOD / 2, start=[1.0]
    )
    assert fit.converged
    assert fit.parameters[0] < 1e-5
    assert fit.distance[-1] == pytest.approx(3 * (1 - 0.5**0.5) ** 2, rel=1e-4)


@pytest.mark.parametrize("start", [1e-9, 1e9])
def test_plateaus_at_both_ends(start):
    """1 + ones(3, 3) p^2/(1 + p^2) is flat in ln p on both sides of its minimum, p = 2."""

    def kernel(X, p):
        share = p[0] ** 2 / (1 + p[0] ** 2)
        return GOOD + share * np.ones((3, 3)), [2 * p[0] / (1 + p[0] ** 2) ** 2 * np.ones((3, 3))]

    fit = fitted(kernel=kernel, target=lambda X: kernel(X, [2.0])[0], start=[start], tolerance=1e-9)
    assert fit.parameters[0] == pytest.approx(2.0, rel=1e-5)


def test_kernels_a_divergence_cannot_take():
    """Named as what the caller gave, with the parameters."""
    sets = rng(30).uniform(-1, 1, (3, 4, 2))
    good = {"measurement_sets": sets, "fresh_sets": sets, "distance": "kl"}
    with pytest.raises(
        ValueError, match=r"kernel_of\(X, p\)\[0\] must be positive definite .* not at p = \[0.001, 5\]"
    ):
        fit_prior(relu_net, squared_exponential, start=[0.001, 5.0], **good)
    with pytest.raises(ValueError, match=r"target\(X\) must be positive definite to double precision for 'kl'"):
        fit_prior(relu_net, lambda X: np.ones((4, 4)), start=[1.0, 1.0], **good)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kernel": 3}, "kernel_of must be a function, got 3"),
        ({"target": 3}, "target must be a function, got 3"),
        ({"measurement_sets": 3}, "measurement_sets must be a list of sets of inputs, got 3"),
        ({"iterations": 2.0}, "iterations must be an integer"),
    ],
)
def test_arguments_of_a_wrong_kind(change, words):
    with pytest.raises(TypeError, match=words):
        fitted(**change)
