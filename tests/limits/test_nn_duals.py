"""Gaussian averages of every activation: symmetries, derivatives, limits, and a quadrature of their own."""

import re

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad

import mattis as mt
from mattis.theory.kernels.expressions import DUALS

nn = mt.nn
ACTIVATIONS = {
    "relu": nn.Relu(),
    "leaky_relu": nn.LeakyRelu(0.2),
    "abrelu": nn.ABRelu(-0.4, 1.3),
    "abs": nn.Abs(),
    "erf": nn.Erf(1.2, 0.7, 0.3),
    "sigmoid_like": nn.SigmoidLike(),
    "gelu": nn.Gelu(),
    "sin": nn.Sin(1.3, 0.7, 0.4),
    "cos": nn.Cos(0.9, 1.2),
    "rbf": nn.Rbf(0.8),
    "exp": nn.Exp(0.6),
    "gaussian": nn.Gaussian(0.7),
    "gabor": nn.Gabor(0.5),
    "sign": nn.Sign(),
    "rectified_square": nn.RectifiedSquare(),
    "monomial": nn.Monomial(3),
    "hermite": nn.Hermite(4),
    "polynomial": nn.Polynomial((0.3, -1.0, 0.2, 0.1)),
    "tanh": nn.Tanh(),
    "swish": nn.Swish(),
    "elementwise": nn.Elementwise(np.arctan, lambda x: 1 / (1 + x * x)),
}
NODES, WEIGHTS = np.polynomial.legendre.leggauss(40)
TRIPLES = [(1.0, 0.4, 1.2), (0.7, -0.5, 1.1), (1.5, 1.2, 1.4), (0.3, 0.0, 2.0)]
EACH = pytest.mark.parametrize("name", ACTIVATIONS)


def by_quadrature(f, g, a, k, b):
    """E f(u) g(v) over u and v given u, panels that end at the kinks u = 0 and v = 0."""
    edges = np.linspace(0, 13, 27)
    half = (edges[1] - edges[0]) / 2
    z = ((edges[:-1] + half)[:, None] + half * NODES).ravel()
    w = np.tile(half * WEIGHTS, 26)
    z, w = np.concatenate([-z[::-1], z]), np.concatenate([w[::-1], w])
    u, pu = np.sqrt(a) * z, w * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)
    s = np.sqrt(b - k * k / a)
    v = z * np.sqrt(13 * s)  # the same panels in v itself
    density = np.exp(-((v - k / a * u[:, None]) ** 2) / (2 * s * s)) / (s * np.sqrt(2 * np.pi)) * np.sqrt(13 * s)
    return pu @ (f(u)[:, None] * g(v) * density) @ w


@EACH
@pytest.mark.parametrize("triple", TRIPLES)
def test_against_quadrature(name, triple):
    """V and V' of the very functions phi and phi' of the finite form, to 1e-11."""
    activation = ACTIVATIONS[name]
    V, slope = activation.dual(*triple)
    want = by_quadrature(activation.function, activation.function, *triple)
    np.testing.assert_allclose(V, want, rtol=1e-11, atol=1e-12)
    if name != "sign":  # whose derivative is no function
        want = by_quadrature(activation.derivative, activation.derivative, *triple)
        np.testing.assert_allclose(slope, want, rtol=1e-11, atol=1e-12)


@EACH
@pytest.mark.parametrize("triple", TRIPLES)
def test_derivatives(name, triple):
    """V' = dV/dk and V_a = dV/da, V_b by symmetry, by central differences."""
    activation, h = ACTIVATIONS[name], 1e-5
    _, slope, up = activation.dual(*triple, derivative=True)

    def change(i):
        step = h * np.eye(3)[i]
        return (activation.dual(*(triple + step))[0] - activation.dual(*(triple - step))[0]) / (2 * h)

    np.testing.assert_allclose(slope, change(1), rtol=2e-8, atol=1e-9)
    np.testing.assert_allclose(up, change(0), rtol=2e-8, atol=1e-9)
    np.testing.assert_allclose(activation.dual(*triple[::-1], derivative=True)[2], change(2), rtol=2e-8, atol=1e-9)


@EACH
def test_symmetry_and_coincident_inputs(name):
    """V(a, k, b) = V(b, k, a), V(a, a, a) = E phi^2, V'(a, a, a) = E phi'^2 where phi has a derivative."""
    activation = ACTIVATIONS[name]
    for a, k, b in TRIPLES:
        np.testing.assert_allclose(activation.dual(a, k, b), activation.dual(b, k, a), rtol=1e-13, atol=1e-15)
    for a in (0.2, 1.0, 1.7):
        V, slope = activation.dual(a, a, a)

        def mean(f, a=a):
            density = lambda z: f(np.sqrt(a) * z) ** 2 * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)  # noqa: E731
            return sum(quad(density, low, high, epsabs=1e-13, epsrel=1e-12)[0] for low, high in ((-14, 0), (0, 14)))

        np.testing.assert_allclose(V, mean(activation.function), rtol=1e-11)
        if name != "sign":
            np.testing.assert_allclose(slope, mean(activation.derivative), rtol=1e-10)


@EACH
def test_positive(name):
    """The kernel of a random set has no negative eigenvalue beyond rounding."""
    x = np.random.default_rng(4).standard_normal((17, 5))
    K = nn.serial(nn.Dense(sigma_b=0.3), ACTIVATIONS[name]).kernel(x, get="nngp").nngp.values
    assert np.linalg.eigvalsh(K)[0] > -1e-13 * np.trace(K)


@EACH
def test_permutation(name):
    """Inputs in another order, and features in another order."""
    rng = np.random.default_rng(5)
    x, rows, columns = rng.standard_normal((11, 6)), rng.permutation(11), rng.permutation(6)
    net = nn.mlp(hidden_layers=2, activation=ACTIVATIONS[name], sigma_w=0.9, sigma_b=0.2)
    one, two = net.kernel(x), net.kernel(x[rows][:, columns])
    np.testing.assert_allclose(two.nngp, one.nngp.values[np.ix_(rows, rows)], rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(two.ntk, one.ntk.values[np.ix_(rows, rows)], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "abs"])
def test_homogeneity(name):
    """phi(c x) = c phi(x): without biases K(c x, c' x') = c c' K(x, x'), and the NTK the same."""
    net = nn.mlp(hidden_layers=3, activation=ACTIVATIONS[name], sigma_w=1.3)
    x = np.random.default_rng(6).standard_normal((4, 3))
    c = np.array([1.0, 0.5, 3.0, 10.0])
    one, two = net.kernel(x), net.kernel(c[:, None] * x)
    np.testing.assert_allclose(two.nngp, np.outer(c, c) * one.nngp.values, rtol=1e-13)
    np.testing.assert_allclose(two.ntk, np.outer(c, c) * one.ntk.values, rtol=1e-13)


@pytest.mark.parametrize("name", ["erf", "sigmoid_like", "gelu", "gaussian", "gabor", "sin", "cos"])
@pytest.mark.parametrize("q", [1e-8, 1.0, 1e4, 1e8, 1e15])
def test_coincident_inputs_of_any_length(name, q):
    """The table at 60 digits, where 1 - r^2 and a b - k^2 have some: rounding is not divided by them."""
    activation = ACTIVATIONS[name]
    with mp.workdps(60):
        a, entry = mp.mpf(q), DUALS[activation.entry]
        known = {"a": a, "b": a, "k": a, "pi": mp.pi, "where": lambda condition, x, y: x if condition else y}
        known |= {f: getattr(mp, f) for f in ("sqrt", "exp", "expm1", "sin", "cos", "atan2")}
        known |= dict(zip(entry.parameters, map(mp.mpf, activation.parameters()), strict=True))
        for left, right in entry.steps:
            known[left] = eval(right, {}, known)
        want = [float(eval(text, {}, known)) for text in (entry.V, entry.slope, entry.V_a)]
    np.testing.assert_allclose(activation.dual(q, q, q, derivative=True), want, rtol=1e-13)


@pytest.mark.parametrize("name", ["tanh", "swish", "polynomial"])
def test_variances_of_different_sizes(name):
    """One series is short and the other long: either first."""
    V, slope = ACTIVATIONS[name].dual(0.01, 0.3, 40.0)
    np.testing.assert_allclose(ACTIVATIONS[name].dual(40.0, 0.3, 0.01), (V, slope), rtol=1e-14)


@EACH
def test_opposite_inputs(name):
    """At k = -q, of both signs of the rounding: V = E phi(u) phi(-u), in the range of |V| <= E phi^2, from any side."""
    activation = ACTIVATIONS[name]
    for q in np.random.default_rng(5).uniform(0.1, 2, 50):
        V, slope = activation.dual(q, -q, q)
        near, near_slope = activation.dual(q, -q * (1 - 1e-7), q)
        np.testing.assert_allclose(V, near, atol=3e-4)
        np.testing.assert_allclose(slope, near_slope, atol=3e-3)
    assert nn.Relu().dual(0.3, -0.3, 0.3) == (0, 0)
    assert nn.Sign().dual(0.3, -0.3, 0.3)[0] == -1


@EACH
@pytest.mark.parametrize(
    ("triple", "said"),
    [
        ((-1.0, 0.1, 1.0), r"a must be in \[0, inf\), got -1.0"),
        ((1.0, 0.1, np.inf), r"b must be in \[0, inf\), got inf"),
        ((1.0, [0.5, 2.5], 4.0), r"k must be in \[-sqrt\(a b\), sqrt\(a b\)\], got 2.5 at index \(1,\)"),
        (([1.0, 1.0], -1.1, 1.0), r"k must be in .*, got -1.1 at index \(0,\)"),
        ((1.0, np.nan, 1.0), "k must be in .*, got nan"),
        ((1.0, "0.5", 1.0), "k must hold real numbers, got '0.5'"),
    ],
)
def test_what_is_no_covariance(name, triple, said):
    with pytest.raises(ValueError, match=f"^{ACTIVATIONS[name].title}: {said}$"):
        ACTIVATIONS[name].dual(*triple)


def test_rbf_is_radial():
    """exp(-gamma (a + b - 2 k)) (Rahimi and Recht, 2007)."""
    np.testing.assert_allclose(nn.Rbf(0.8).dual(1.0, 0.3, 1.4)[0], np.exp(-0.8 * (1.0 + 1.4 - 0.6)), rtol=1e-14)


def test_hermite_is_a_power():
    """V = k^m at unit variances."""
    for m in (1, 5, 12):
        np.testing.assert_allclose(nn.Hermite(m).dual(1.0, 0.7, 1.0), (0.7**m, m * 0.7 ** (m - 1)), rtol=1e-12)


def test_a_zero_row_is_no_nan():
    x = np.array([[0.0, 0.0], [1.0, -2.0]])
    for activation in ACTIVATIONS.values():
        for net in (
            nn.mlp(hidden_layers=2, activation=activation),
            nn.serial(nn.Dense(), activation, nn.Dense(), nn.Identity()),
        ):
            pair = net.kernel(x)
            assert np.isfinite(pair.nngp).all()
            assert np.isfinite(pair.ntk).all()


def test_numerical_error_is_told():
    """Smooth functions to rounding; |x - 1/2| with a kink off the panels is known to be worse, and by how much."""
    x = np.array([[1.0, 0.2], [0.3, -0.8]])
    smooth = nn.mlp(hidden_layers=2, activation=nn.Tanh(), sigma_b=0.1).kernel(x)
    kink = nn.Elementwise(lambda x: np.abs(x - 0.5), lambda x: np.sign(x - 0.5))
    rough = nn.mlp(hidden_layers=1, activation=kink).kernel(x)
    assert smooth.quadrature_error < 1e-13 < 1e-4 < rough.quadrature_error < 0.05
    assert nn.mlp(hidden_layers=1, activation=nn.Relu()).kernel(x).quadrature_error == 0.0
    a, b = (x[0] @ x[0] / 2, x[1] @ x[1] / 2)
    want = by_quadrature(lambda u: np.abs(u - 0.5), lambda u: np.abs(u - 0.5), a, x[0] @ x[1] / 2, b)
    assert abs(float(rough.nngp[0, 1]) / want - 1) < rough.quadrature_error


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.ABRelu(np.nan, 1.0), "ABRelu: al must be finite, got nan"),
        (lambda: nn.Gaussian(0.0), "Gaussian: c must be in (0, inf), got 0.0"),
        (lambda: nn.Gabor(-1.0), "Gabor: c must be in (0, inf), got -1.0"),
        (lambda: nn.Rbf(-1.0), "Rbf: gamma must be in [0, inf), got -1.0"),
        (lambda: nn.Monomial(65), "Monomial: n must be in [0, 64], got 65"),
        (lambda: nn.Hermite(-1), "Hermite: m must be in [0, 64], got -1"),
        (lambda: nn.Polynomial(()), "coefficients must be 1 to 65 numbers, got 0"),
        (lambda: nn.Elementwise(lambda x: 1 / (x + 0.5)), "three finite numbers"),
    ],
)
def test_bad_parameters(make, said):
    with np.errstate(divide="ignore"), pytest.raises(ValueError, match=re.escape(said)):
        make()


def test_tiny_variances_keep_their_angles():
    """ReLU at sigma_w = 1, layer by layer: variances of 2^-900; the angles are those of sigma_w = sqrt 2."""
    x = np.random.default_rng(11).standard_normal((3, 4))
    found = [
        nn.serial(nn.mlp(hidden_layers=900, activation=nn.Relu(), sigma_w=w), nn.Identity()).kernel(x).ntk.values
        for w in (1.0, 2**0.5)
    ]
    np.testing.assert_allclose(*(t / t[0, 0] for t in found), rtol=1e-10)
