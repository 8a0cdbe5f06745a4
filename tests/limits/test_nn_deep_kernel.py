"""Deep kernel machines: golden numbers, an objective written anew, closed forms, and deep Gaussian processes of finite
width, both by quadrature over their Wishart matrices and by Monte Carlo over their features."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.optimize import brentq, minimize
from scipy.stats import chi, gamma, multivariate_normal, norm

from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.deep_kernel import DeepKernelMachine
from mattis.theory.kernels.deep_kernel_bound import evaluate_bound, seen
from mattis.theory.kernels.deep_kernel_finite import finite_width_grams
from mattis.theory.kernels.deep_kernel_given import forward, given, started
from mattis.theory.kernels.deep_kernel_linear import deep_linear_interpolation
from mattis.theory.kernels.deep_kernel_maximum import deep_kernel_optimum
from mattis.theory.kernels.deep_kernel_objective import evaluate
from mattis.theory.kernels.deep_kernel_sparse import SparseDeepKernelMachine

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "kernel_numbers.json").read_text())
KERNELS = ("linear", "relu", "squared_exponential")
NAMES = {"sqexp": "squared_exponential", "relu_arccos1_normalised": "relu"}


def data(n, d, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=(n, outputs))


def k_of(kernel, G):
    """The kernels by other formulas than the package's: arccos, and products of exponentials."""
    q = np.diagonal(G)
    if kernel == "linear":
        return G
    if kernel == "squared_exponential":
        root = np.exp(-0.5 * q)
        return np.exp(G) * np.outer(root, root)
    scale = np.sqrt(np.outer(q, q))
    angle = np.arccos(np.clip(G / scale, -1, 1))
    np.fill_diagonal(angle, 0.0)
    return scale * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / np.pi


def kl_of(G, K):
    ratio = np.linalg.solve(K, G)
    return 0.5 * (np.trace(ratio) - np.linalg.slogdet(ratio)[1] - len(G))


def objective(grams, G0, Y, nu, noise, kernel):
    """L of the definition; the first len(Y) points have labels."""
    n, total, below = len(Y), 0.0, G0
    for G in grams:
        total -= nu * kl_of(G, k_of(kernel, below))
        below = G
    K = k_of(kernel, below)[:n, :n] + noise * np.eye(n)
    return total + multivariate_normal(cov=K).logpdf(Y.T).sum()


def golden_cases():
    item = GOLDEN["dkm_nonlinear"]
    for case in item["cases"]:
        arguments = {"layers": case["layers"], "nu": float(case["nu"]), "noise": float(case["noise"])}
        yield case, np.array(item["Y"], float), arguments | {"kernel": NAMES[case["kernel"]]}


def test_golden_optima():
    """To 1e-8 as stored; L to 1e-13; from the inputs X too, with G_0 = X X^T/2 + 0.1 I."""
    X = np.array(GOLDEN["dkm_nonlinear"]["X"], float)
    for case, Y, arguments in golden_cases():
        best = deep_kernel_optimum(np.array(case["G0"], float), Y, **arguments)
        np.testing.assert_allclose(best.grams, np.array(case["G"], float), rtol=0, atol=1e-8)
        assert best.objective == pytest.approx(float(case["objective"]), abs=1e-13)
        assert best.objective == pytest.approx(best.log_likelihood - arguments["nu"] * best.kl.sum(), abs=1e-13)
        assert best.converged
        assert best.residual <= 1e-9
        assert best.curvature < 0
        machine = DeepKernelMachine(X, Y, input_noise=0.1, **arguments)
        np.testing.assert_allclose(machine.optimum.grams, best.grams, rtol=0, atol=1e-12)


def test_golden_curvature():
    """max_hessian_eig of the golden file: the Hessian of the definition by differences, over the entries on and above
    the diagonal; the file keeps 5 digits."""
    for case, Y, arguments in golden_cases():
        rest = {name: value for name, value in arguments.items() if name != "layers"}
        G0, best = np.array(case["G0"], float), np.array(case["G"], float)
        rows, columns = np.triu_indices(3)
        size, h = len(best) * len(rows), 1e-4

        def value(x, best=best, G0=G0, Y=Y, rest=rest, rows=rows, columns=columns):
            grams = best.copy()
            for half in ((rows, columns), (columns, rows)):
                grams[:, *half] = best[:, *half] + x.reshape(len(best), -1)
            return objective(grams, G0, Y, **rest)

        e = h * np.eye(size)
        H = [[value(a + b) - value(a - b) - value(b - a) + value(-a - b) for a in e] for b in e]
        assert np.linalg.eigvalsh(np.array(H))[-1] / (4 * h**2) == pytest.approx(
            float(case["max_hessian_eig"]), rel=2e-4
        )


def test_linear_golden_and_closed_form():
    """dkm_linear; the machine finds it with nu = C = 3 outputs, Y Y^T/C = G_y and no noise."""
    item = GOLDEN["dkm_linear"]
    G0, Gy, G1, G2 = (np.array(item[name], float) for name in ("G0", "Gy", "G1", "G2"))
    between = deep_linear_interpolation(G0, Gy, layers=2)
    np.testing.assert_allclose(between, [G1, G2], rtol=1e-14, atol=1e-15)
    best = deep_kernel_optimum(G0, np.sqrt(3) * np.linalg.cholesky(Gy), layers=2, nu=3.0, noise=0.0, kernel="linear")
    np.testing.assert_allclose(best.grams, between, rtol=0, atol=1e-10)
    assert best.kl[0] == pytest.approx(kl_of(G1, G0), rel=1e-9)


def test_one_point_in_closed_form():
    """n = 1, linear, no noise, C outputs: (nu - C)/g + |y|^2/g^2 = nu/K. Where y = 0 the curvature is -(1 - C/nu)."""
    y, nu, K = np.array([[0.7, -1.1]]), 5.0, 0.8
    best = deep_kernel_optimum([[K]], y, layers=1, nu=nu, noise=0.0, kernel="linear")
    root = brentq(lambda g: (nu - 2) / g + (y**2).sum() / g**2 - nu / K, 1e-3, 10, xtol=1e-15)
    assert best.grams.item() == pytest.approx(root, rel=1e-12)
    plane = deep_kernel_optimum(
        np.diag([1.0, 2.0, 0.5]), data(3, 1, 2)[1], layers=1, nu=7.0, noise=0.0, kernel="linear"
    )
    assert plane.curvature == pytest.approx(-(1 - 2 / 7), rel=1e-12)


@pytest.mark.parametrize("kernel", KERNELS)
def test_gradient_and_hessian_are_exact(kernel):
    """Along G_l = R_l exp(h S_l) R_l^T of the definition: the gradient by 4th-order differences, and the Hessian
    product by differences of the gradient, where exp adds g.(S^2) to the second derivative."""
    X, Y = data(4, 6, 2)
    known, G0 = given(Y, 4, kernel, 3, 2.0, 0.3), X @ X.T / 6
    prior = forward(G0, known.kernel, 3)
    R, rng = started("random", prior, 5), np.random.default_rng(1)
    S = rng.normal(size=R.shape)
    S += S.transpose(0, 2, 1)
    at = evaluate(prior[0], known, R)

    def value(t):
        grams = [r @ expm(t * s) @ r.T for r, s in zip(R, S, strict=True)]
        return objective(grams, G0, Y, 2.0, 0.3, kernel)

    h = 1e-3
    ups, downs = [value(k * h) for k in (1, 2)], [value(-k * h) for k in (1, 2)]
    assert at.value == pytest.approx(value(0.0), abs=1e-12)
    slope = (8 * (ups[0] - downs[0]) - (ups[1] - downs[1])) / (12 * h)
    assert (at.gradient * S).sum() == pytest.approx(slope, rel=1e-8)
    bend = (16 * (ups[0] + downs[0]) - (ups[1] + downs[1]) - 30 * value(0.0)) / (12 * h**2)
    assert (S * at.hessian(S)).sum() + (at.gradient * (S @ S)).sum() == pytest.approx(bend, rel=1e-6)
    T = rng.normal(size=R.shape)
    T += T.transpose(0, 2, 1)
    assert (T * at.hessian(S)).sum() == pytest.approx((S * at.hessian(T)).sum(), rel=1e-11)


def test_restarts_reach_the_golden_optima():
    """Five random starts and a given one, each case; the linear machine, proven to have one maximum, too."""
    for case, Y, arguments in golden_cases():
        G0, best = np.array(case["G0"], float), np.array(case["G"], float)
        for seed in range(5):
            found = deep_kernel_optimum(G0, Y, start="random", seed=seed, **arguments)
            np.testing.assert_allclose(found.grams, best, rtol=0, atol=1e-8)
        found = deep_kernel_optimum(
            G0, Y, start=np.array([np.diag([1.0, 3.0, 0.2])] * arguments["layers"]), **arguments
        )
        np.testing.assert_allclose(found.grams, best, rtol=0, atol=1e-8)
    X, Y = data(5, 7, 2)
    values = [
        deep_kernel_optimum(X @ X.T, Y, layers=3, nu=1.5, noise=0.2, kernel="linear", start="random", seed=s).objective
        for s in range(6)
    ]
    assert np.ptp(values) < 1e-10


def test_two_maxima():
    """Unimodality is proven for the linear kernel only. Three points and relu at nu = 1/2 have two certified maxima;
    BFGS on the definition, with derivatives by differences, ends in the same two."""
    X, Y = np.array([[1.7, -0.9], [1.1, 0.1], [0.6, -1.5]]), np.array([[-1.0], [1.0], [1.0]])
    arguments = {"layers": 1, "nu": 0.5, "noise": 0.1, "input_noise": 0.01}
    found = [DeepKernelMachine(X, Y, start="random", seed=s, **arguments).optimum for s in range(8)]
    levels = np.array([best.objective for best in found])
    assert all(best.curvature < -0.1 for best in found)
    assert np.ptp(levels) > 0.2
    G0, rows = X @ X.T / 2 + 0.01 * np.eye(3), np.tril_indices(3)

    def minus(x):
        J = np.zeros((3, 3))
        J[rows] = x
        return -objective([J @ J.T], G0, Y, 0.5, 0.1, "relu")

    for best in (found[levels.argmin()], found[levels.argmax()]):
        start = np.linalg.cholesky(best.grams.values[0])[rows]
        for shift in (0.03, -0.03):
            end = minimize(minus, start + shift, method="BFGS", jac="3-point", options={"gtol": 1e-6})
            assert -end.fun == pytest.approx(best.objective, abs=1e-9)


def test_large_nu_is_the_nngp():
    """|G - K(G_0)| of the first golden case is 4.2e-3 at nu = 100 and 4.2e-5 at 1e4 (kernels spec 4.5); slope -1."""
    case, Y, arguments = next(golden_cases())
    G0 = np.array(case["G0"], float)
    off = [
        np.abs(deep_kernel_optimum(G0, Y, **(arguments | {"nu": nu})).grams[0] - k_of("squared_exponential", G0)).max()
        for nu in (1e2, 1e4, 1e6)
    ]
    np.testing.assert_allclose(off[:2], [4.2e-3, 4.2e-5], rtol=0.02)
    np.testing.assert_allclose(np.log10(off[:-1]) - np.log10(off[1:]), 2.0, atol=0.01)


def test_permuted_points_and_outputs():
    X, Y = data(7, 3, 2)
    order, arguments = [4, 0, 6, 2, 5, 1, 3], {"layers": 2, "nu": [2.0, 6.0], "noise": 0.1}
    best = DeepKernelMachine(X, Y, **arguments).optimum
    moved = DeepKernelMachine(X[order], Y[order][:, ::-1], **arguments).optimum
    np.testing.assert_allclose(moved.grams, best.grams.values[:, order][:, :, order], rtol=0, atol=1e-9)
    assert moved.objective == pytest.approx(best.objective, abs=1e-11)


@pytest.mark.parametrize("kernel", ["relu", "squared_exponential"])
def test_a_test_point_is_an_unlabelled_point(kernel):
    """L with one more point but no label for it has the same maximum, and its GP prediction is predict's."""
    X, Y = data(3, 2, 1, seed=4)
    new, nu, noise = np.array([[0.4, -0.7]]), 3.0, 0.1
    machine = DeepKernelMachine(X, Y[:, 0], layers=2, nu=nu, noise=noise, kernel=kernel, input_noise=0.05)
    mean, cov = machine.predict(new)
    assert (mean.dims, cov.dims) == (("x1",), ("x1", "x2"))
    every = np.vstack([X, new])
    G0, rows = every @ every.T / 2 + 0.05 * np.eye(4), np.tril_indices(4)

    def grams(x):
        J = np.zeros((2, 4, 4))
        J[:, *rows] = x.reshape(2, -1)
        return J @ J.transpose(0, 2, 1)

    start = np.linalg.cholesky([k_of(kernel, G0), k_of(kernel, k_of(kernel, G0))])[:, *rows].ravel()
    end = minimize(
        lambda x: -objective(grams(x), G0, Y, nu, noise, kernel), start, jac="3-point", method="BFGS", tol=1e-7
    )
    assert -end.fun == pytest.approx(machine.optimum.objective, abs=1e-9)
    np.testing.assert_allclose(grams(end.x)[:, :3, :3], machine.optimum.grams, atol=1e-5)
    K = k_of(kernel, grams(end.x)[1])
    weights = np.linalg.solve(K[:3, :3] + noise * np.eye(3), K[:3, 3])
    assert mean.item() == pytest.approx(weights @ Y[:, 0], abs=1e-5)
    assert cov.item() == pytest.approx(K[3, 3] - weights @ K[:3, 3], abs=1e-5)


def test_prediction_at_the_training_points():
    """There it is the Gaussian process of K(G_L): no detour over the layers."""
    X, Y = data(6, 4, 2)
    machine = DeepKernelMachine(X, Y, layers=3, nu=2.0, noise=0.2, input_noise=0.01)
    mean, cov = machine.predict(X)
    K = k_of("relu", machine.optimum.grams.values[-1])
    M = K + 0.2 * np.eye(6)
    assert mean.dims == ("x1", "output")
    np.testing.assert_allclose(mean, K @ np.linalg.solve(M, Y), atol=1e-11)
    np.testing.assert_allclose(cov, K - K @ np.linalg.solve(M, K), atol=1e-11)


def dense_bound(grams, X, Z, Y, nu, noise, kernel):
    """The sparse objective from full matrices of all points: propagate, then the bound of Titsias."""
    every, P = np.vstack([X, Z]), len(X)
    G, total = every @ every.T / X.shape[1], 0.0
    for inducing in grams:
        K = k_of(kernel, G)
        W = K[:, P:] @ np.linalg.inv(K[P:, P:])
        total -= nu * kl_of(inducing, K[P:, P:])
        G = K + W @ (inducing - K[P:, P:]) @ W.T
    K = k_of(kernel, G)
    Q = K[:P, P:] @ np.linalg.solve(K[P:, P:], K[P:, :P])
    total += multivariate_normal(cov=Q + noise * np.eye(P)).logpdf(Y.T).sum()
    return total - Y.shape[1] * np.trace(K[:P, :P] - Q) / (2 * noise)


@pytest.mark.parametrize("kernel", ["relu", "squared_exponential"])
def test_the_bound_and_its_gradient(kernel):
    (X, Y), Z = data(9, 6, 2), data(4, 6, 1, seed=8)[0]
    known, G0 = given(Y, 9, kernel, 2, 3.0, 0.2), Z @ Z.T / 6
    prior = forward(G0, known.kernel, 2)
    R = started("random", prior, 3)
    S = np.random.default_rng(2).normal(size=R.shape)
    S += S.transpose(0, 2, 1)
    at = evaluate_bound(seen(known.kernel, G0, X @ Z.T / 6, (X**2).sum(1) / 6), known, R)

    def value(t):
        return dense_bound(
            [r @ (np.eye(4) + t * s) @ r.T for r, s in zip(R, S, strict=True)], X, Z, Y, 3.0, 0.2, kernel
        )

    h = 2e-4
    a, b = (value(k * h) - value(-k * h) for k in (1, 2))
    assert at.value == pytest.approx(value(0.0), abs=1e-10)
    assert (at.gradient * S).sum() == pytest.approx((8 * a - b) / (12 * h), rel=1e-7)
    bend = (16 * (value(h) + value(-h)) - value(2 * h) - value(-2 * h) - 30 * value(0.0)) / (12 * h**2)
    assert (S * at.hessian(S)).sum() == pytest.approx(bend, rel=1e-4)


@pytest.mark.parametrize(("kernel", "layers"), [("relu", 2), ("squared_exponential", 1)])
def test_sparse_bounds_and_reaches_the_exact_machine(kernel, layers):
    """With all points inducing it is the exact machine; with fewer, nested, L falls each time."""
    (X, Y), new = data(10, 3, 2), data(5, 3, 1, seed=1)[0]
    arguments = {"layers": layers, "nu": 3.0, "noise": 0.2, "kernel": kernel, "input_noise": 0.05}
    exact = DeepKernelMachine(X, Y, **arguments)
    levels = []
    for count in (2, 4, 7, 10):
        sparse = SparseDeepKernelMachine(X, Y, inducing=X[:count], **arguments)
        levels.append(sparse.optimum.objective)
        assert sparse.optimum.curvature < 0
    assert np.all(np.diff(levels) > 1.0)
    assert levels[-1] == pytest.approx(exact.optimum.objective, abs=1e-10)
    np.testing.assert_allclose(sparse.optimum.grams, exact.optimum.grams, atol=1e-8)
    for a, b in zip(sparse.predict(new), exact.predict(new), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


def one_point_mean(K0, y, noise, N, nu, power=None):
    """E G_1, E G_2 of one point and two relu layers, k(q, q, q) = q: G_l ~ G_{l-1} chi^2_{N_l}/N_l, by trapezoids."""
    u, count = np.linspace(-2.5, 2.5, 701), N * nu
    g1 = K0 * np.exp(u)[:, None]
    g2 = g1 * np.exp(u)
    law = gamma(count / 2, scale=2 / count)
    log = law.logpdf(np.exp(u))[:, None] + law.logpdf(np.exp(u)) + u[:, None] + u
    log = log + (power or N) * norm(scale=np.sqrt(g2 + noise)).logpdf(y)
    weight = np.exp(log - log.max())
    return np.array([(weight * g).sum() for g in (g1, g2)]) / weight.sum()


def test_one_point_of_finite_width_by_quadrature():
    """E G_N = G + a/N + O(1/N^2): differences halve, and the extrapolation meets the machine."""
    best = deep_kernel_optimum([[0.8]], [1.9], layers=2, nu=2.0, noise=0.3).grams.values.ravel()
    means = np.array([one_point_mean(0.8, 1.9, 0.3, N, 2) for N in (100, 200, 400)])
    off = means - best
    np.testing.assert_allclose(off[:-1] / off[1:], 2.0, atol=0.005)
    np.testing.assert_allclose((8 * means[2] - 6 * means[1] + means[0]) / 3, best, rtol=0, atol=1e-8)


def two_point_mean(G0, y, noise, N):
    """E G_1 of two points and one squared-exponential layer by Bartlett's law, G = J A A^T J^T/N, in 3-d trapezoids."""
    J = np.linalg.cholesky(k_of("squared_exponential", G0))
    a, b = np.sqrt(N) * np.linspace(0.02, 2.4, 110), np.sqrt(N) * np.linspace(-1.7, 1.7, 110)
    a, b, c = np.meshgrid(a, b, a, indexing="ij")
    f1, f2 = J[0, 0] * a, np.stack([J[1, 0] * a + J[1, 1] * b, J[1, 1] * c])
    g11, g12, g22 = f1**2 / N, f1 * f2[0] / N, (f2**2).sum(0) / N
    k = np.exp(g12 - 0.5 * (g11 + g22))
    same, det = 1 + noise, (1 + noise) ** 2 - k**2
    fit = -0.5 * (same * (y**2).sum() - 2 * k * y[0] * y[1]) / det - 0.5 * np.log(det)
    log = chi(N).logpdf(a) + chi(N - 1).logpdf(c) - 0.5 * b**2 + N * fit
    weight = np.exp(log - log.max())
    return np.array([(weight * g).sum() for g in (g11, g12, g22)]) / weight.sum()


def test_two_points_of_finite_width_by_quadrature():
    G0, y = np.array([[0.7, 0.2], [0.2, 1.1]]), np.array([1.5, -0.8])
    best = deep_kernel_optimum(G0, y, layers=1, nu=1.0, noise=0.2, kernel="squared_exponential").grams.values[0]
    means = np.array([two_point_mean(G0, y, 0.2, N) for N in (50, 100, 200)])
    off = means - best[[0, 0, 1], [0, 1, 1]]
    np.testing.assert_allclose(off[1] / off[2], 2.0, atol=0.005)
    np.testing.assert_allclose((8 * means[2] - 6 * means[1] + means[0]) / 3, means[2] - off[2], rtol=0, atol=1e-8)


def test_features_by_monte_carlo():
    """The sampler of features against the quadratures: 5 numbers, |t| < 6 with 199 degrees of freedom, which fails by
    chance less often than 1e-8 each. The power N + 1 of the likelihood must be seen."""
    G0, y = np.array([[0.7, 0.2], [0.2, 1.1]]), np.array([1.5, -0.8])
    arguments = {"nu": 1.0, "noise": 0.2, "width": 6, "chains": 200, "sweeps": 200, "seed": 1}
    pair = finite_width_grams(G0, y, layers=1, kernel="squared_exponential", **arguments)
    t = (pair.gram.values[0][[0, 0, 1], [0, 1, 1]] - two_point_mean(G0, y, 0.2, 6)) / pair.gram_error.max().item()
    assert np.all(np.abs(t) < 6)
    arguments |= {"nu": 2.0, "noise": 0.3, "width": 5, "sweeps": 800, "seed": 2}
    chain = finite_width_grams([[0.8]], [1.9], layers=2, **arguments)
    found, error = chain.gram.values.ravel(), chain.gram_error.values.ravel()
    assert np.all(np.abs(found - one_point_mean(0.8, 1.9, 0.3, 5, 2)) < 6 * error)
    assert np.any(np.abs(found - one_point_mean(0.8, 1.9, 0.3, 5, 2, power=6)) > 12 * error)


def test_wide_networks_approach_the_machine():
    """Golden relu case, two layers: the mean is off by 0.3/N (measured at N = 4..64), a sample by 0.6/sqrt(N). The
    machine of nu = 1 instead of 2 is off by ten times more. False alarms: |t| < 8 with 99
    degrees of freedom, 1e-11 each."""
    case, Y, arguments = list(golden_cases())[2]
    G0 = np.array(case["G0"], float)
    best = deep_kernel_optimum(G0, Y, **arguments).grams
    wide = finite_width_grams(G0, Y, width=24, chains=100, sweeps=200, seed=3, **arguments)
    allowed = 0.5 / 24 + 8 * wide.gram_error
    assert np.all(np.abs(wide.gram - best) < allowed)
    assert wide.gram_error.max() < 5e-3
    assert wide.gram_std.max() * np.sqrt(24) == pytest.approx(0.62, abs=0.06)
    wrong = deep_kernel_optimum(G0, Y, **(arguments | {"nu": 1.0})).grams
    assert np.any(np.abs(wide.gram - wrong) > 2 * allowed)


def test_no_maximum_or_too_few_steps():
    """Linear, no noise, 2 outputs of 3 points and nu = 1: L grows as G_1 closes onto the span of Y."""
    X, Y = data(3, 5, 2)
    with pytest.raises(ConvergenceError, match=r"no maximum of L found: residual .* after"):
        deep_kernel_optimum(X @ X.T, Y, layers=1, nu=1.0, noise=0.0, kernel="linear")
    with pytest.raises(ConvergenceError, match="after 2 steps") as failed:
        DeepKernelMachine(X, Y, layers=2, nu=1.0, noise=0.1, max_steps=2)
    assert not failed.value.solution.converged
    assert failed.value.solution.steps == 2
    assert np.isnan(failed.value.solution.curvature)


GOOD = {"layers": 2, "nu": 1.0, "noise": 0.1}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nu": 0.0}, "nu must be > 0, got 0.0"),
        ({"nu": [1.0, -2.0]}, r"nu must be > 0, got -2.0 at index \(1,\)"),
        ({"nu": [1.0, 2.0, 3.0]}, r"nu must be a number or have shape \(2,\), got \(3,\)"),
        ({"nu": np.nan}, "nu must be finite"),
        ({"noise": -0.1}, "noise must be >= 0, got -0.1"),
        ({"noise": np.inf}, "noise must be finite"),
        ({"layers": 0}, "layers must be in"),
        ({"kernel": "tanh"}, "kernel must be one of linear, relu, squared_exponential, got 'tanh'"),
        ({"start": "prior"}, "start must be nngp, random or an array"),
        ({"start": np.eye(3)}, r"start must have shape \(2, 3, 3\), got \(3, 3\)"),
        ({"start": np.zeros((2, 3, 3))}, "start must be positive definite"),
        ({"max_steps": 0}, "max_steps must be >= 1"),
        ({"start": "random", "seed": -1}, "seed must be in"),
    ],
)
def test_bad_parameters(change, message):
    X, Y = data(3, 4, 1)
    with pytest.raises(ValueError, match=message):
        deep_kernel_optimum(X @ X.T, Y, **(GOOD | change))


def test_bad_data():
    X, Y = data(3, 4, 1)
    for G0, message in (
        (np.ones((2, 3)), "G0 must be a square matrix"),
        (np.zeros((0, 0)), "G0 must be a square matrix of at least one row"),
        (np.diag([1.0, np.nan, 1.0]), "G0 must be finite"),
        (np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), "the smallest eigenvalue of G0 must be >= 0"),
        (np.triu(np.ones((3, 3))), "G0 must be symmetric"),
        (np.diag([1.0, 0.0, 1.0]), "the diagonal of G0 must be > 0"),
        (np.ones((3, 3)), r"K\(G_0\) must be positive definite, .* A positive input_noise"),
    ):
        with pytest.raises(ValueError, match=message):
            deep_kernel_optimum(G0, Y, **GOOD)
    for X_, Y_, message in (
        (X[:0], Y[:0], r"X must have shape \(points, features\)"),
        (X, Y[:2], r"Y must have shape \(3,\) or \(3, outputs\), got \(2, 1\)"),
        (X, Y[:, :0], "Y must have shape"),
        (X, np.full(3, np.inf), "Y must be finite"),
    ):
        with pytest.raises(ValueError, match=message):
            DeepKernelMachine(X_, Y_, **GOOD)
    with pytest.raises(ValueError, match="input_noise must be >= 0"):
        DeepKernelMachine(X, Y, input_noise=-1.0, **GOOD)
    with pytest.raises(ValueError, match=r"X_test must have shape \(points, 4\)"):
        DeepKernelMachine(X, Y, **GOOD).predict(X[:, :3])
    with pytest.raises(ValueError, match=r"noise must be > 0, got 0\.0"):
        SparseDeepKernelMachine(X, Y, inducing=X, **(GOOD | {"noise": 0.0}))
    with pytest.raises(ValueError, match=r"inducing must have shape \(points, 4\)"):
        SparseDeepKernelMachine(X, Y, inducing=X[:, :2], **GOOD)
    with pytest.raises(ValueError, match="G_out must have the shape of G0"):
        deep_linear_interpolation(np.eye(2), np.eye(3), layers=2)
    for change, message in (
        ({"width": 2}, ">= 3, the number of points"),
        ({"width": 5, "nu": 0.7}, "an integer"),
        ({"width": 5, "chains": 1}, "chains"),
    ):
        with pytest.raises(ValueError, match=message):
            finite_width_grams(X @ X.T, Y, **(GOOD | change))


def test_equal_inputs_are_refused_in_any_order():
    """Whether rounding leaves a pivot or not."""
    for seed in range(20):
        X, Y = data(4, 2, 1, seed)
        X[1] = X[0]
        order = np.random.default_rng(seed).permutation(4)
        with pytest.raises(ValueError, match="parts all but equal ones"):
            DeepKernelMachine(X[order], Y[order], layers=1, nu=1.0, noise=0.1, input_noise=0.1)
