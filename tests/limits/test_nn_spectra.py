"""Spectra of kernels on spheres against golden numbers, exact fractions, Bessel functions and a two-dimensional FFT.

The kernels are those of ReLU networks without bias, sigma_w^2 = 2 and first covariance t, from their recursion.
"""

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.polynomial import Legendre
from scipy.integrate import quad
from scipy.special import gammaln, ive

import mattis as mt
from mattis.core.errors import ConvergenceError
from mattis.theory.kernels.spectra import (
    gegenbauer,
    multiplicities,
    product_spectrum,
    sphere_spectrum,
    zonal_kernel,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "kernel_numbers.json").read_text())["sphere_spectra"]


def kappa0(t):
    return 1 - np.arccos(np.clip(t, -1, 1)) / np.pi


def kappa1(t):
    t = np.clip(t, -1, 1)
    return t * kappa0(t) + np.sqrt((1 - t) * (1 + t)) / np.pi


def relu(kind, hidden_layers):
    def kernel(t):
        K = T = t
        for _ in range(hidden_layers):
            K, T = kappa1(K), kappa1(K) + kappa0(K) * T
        return K if kind == "nngp" else T

    return kernel


def patches(kind):
    """Two patches, each a ReLU layer, pooled into a second one: 4.3 of arXiv:2208.01003."""

    def kernel(t1, t2):
        mean = (kappa1(t1) + kappa1(t2)) / 2
        ntk = (relu("ntk", 1)(t1) + relu("ntk", 1)(t2)) / 2
        return kappa1(mean) if kind == "nngp" else kappa1(mean) + kappa0(mean) * ntk

    return kernel


def legendre_moments(k_max):
    """1/2 int_0^1 P_k dt and 1/2 int_0^1 t P_k dt as exact fractions."""
    P = [[Fraction(1)], [Fraction(0), Fraction(1)]]
    for k in range(1, k_max):
        up = [Fraction(0)] + [(2 * k + 1) * c for c in P[k]]
        P.append([(a - k * b) / (k + 1) for a, b in zip(up, P[k - 1] + [Fraction(0)] * 2, strict=True)])
    moment = [[sum(c / (i + p) for i, c in enumerate(poly)) / 2 for poly in P] for p in (1, 2)]
    return moment[0], moment[1]


def exact_on_the_sphere(k_max):
    """Eigenvalues on S^2 of one hidden layer: NNGP 2 d a_k^2 (Funk-Hecke), and t kappa0 by the recurrence of P_k."""
    step, ramp = legendre_moments(k_max + 1)
    nngp = [6 * a**2 for a in ramp]
    kappa = [2 * b**2 for b in step]
    times_t = [((k + 1) * kappa[k + 1] + k * kappa[k - 1]) / (2 * k + 1) for k in range(k_max + 1)]
    return nngp[: k_max + 1], [a + b for a, b in zip(nngp, times_t, strict=False)]


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: f"{e['kernel']}-{e['sphere'].split()[0]}")
def test_golden_numbers(entry):
    dim, reference = int(entry["sphere"].split("R^")[1]), np.array(entry["eigenvalues_k0_8"], float)
    found = sphere_spectrum(relu(entry["kernel"], entry["hidden_layers"]), dim=dim, k_max=8)
    assert (abs(found.eigenvalues - reference) <= found.quadrature_error + 1e-16 * reference).all()
    assert found.quadrature_error.max() < 1e-14 * reference[0]
    assert abs(found.eigenvalues[reference == 0]).max(initial=0) < 1e-15
    assert not found.resolved[reference == 0].any()
    assert found.resolved[reference > 0].all()
    assert found.multiplicities.tolist() == entry["multiplicities"]
    assert found.trace == pytest.approx(1 if entry["kernel"] == "nngp" else 1 + entry["hidden_layers"], abs=1e-15)


def test_exact_fractions_on_the_sphere():
    """3/8, 1/6, 3/128, 0, 1/1536 and 1/2, 1/3, 5/64, 0 of section 4.9, and on to degree 40; d off by one is caught."""
    nngp, ntk = exact_on_the_sphere(40)
    assert nngp[:5] == [Fraction(3, 8), Fraction(1, 6), Fraction(3, 128), 0, Fraction(1, 1536)]
    assert ntk[:4] == [Fraction(1, 2), Fraction(1, 3), Fraction(5, 64), 0]
    for kind, exact in (("nngp", nngp), ("ntk", ntk)):
        found = sphere_spectrum(relu(kind, 1), dim=3, k_max=40)
        exact = np.array(exact, float)
        assert (abs(found.eigenvalues - exact) <= found.quadrature_error).all()
        assert (found.resolved == (exact > 0)).all()
        assert abs(sphere_spectrum(relu(kind, 1), dim=4, k_max=40).eigenvalues - exact).max() > 0.01
    captured = 1 - sphere_spectrum(relu("ntk", 1), dim=3, k_max=8).trace_residual / 2
    assert captured == pytest.approx(0.983, abs=5e-4)  # section 4.9


def test_circle():
    """Cosine coefficients of one hidden layer: 4/pi^2, 1/4 and 4/(pi (k^2 - 1))^2 for even k."""
    found = sphere_spectrum(relu("nngp", 1), dim=2, k_max=32)
    k = np.arange(33)
    even = k % 2 == 0
    exact = np.where(even, 4 / (np.pi * (k * k - 1.0 + 2.0 * (k == 1))) ** 2, np.where(k == 1, 0.25, 0.0))
    assert (abs(found.eigenvalues - exact) <= found.quadrature_error).all()
    assert found.multiplicities.tolist() == [1] + [2] * 32


@pytest.mark.parametrize(("dim", "resolved"), [(2, 20), (7, 20), (100, 17), (1000, 10)])
def test_exponential_kernel(dim, resolved):
    """exp(a t): lambda_k = (a/2)^k Gamma(d/2)/Gamma(k + d/2) 0F1(k + d/2; a^2/4), a Bessel function I(a)."""
    a, k, m = 6.0, np.arange(61), np.arange(60)[:, None]
    b = k + dim / 2
    terms = (a / 2) ** (2.0 * m) * np.exp(gammaln(b) - gammaln(b + m) - gammaln(m + 1))
    exact = np.exp(k * np.log(a / 2) + gammaln(dim / 2) - gammaln(b)) * terms.sum(0)
    if dim == 7:
        bessel = np.exp(gammaln(dim / 2) + (dim / 2 - 1) * np.log(2 / a) + a) * ive(b - 1, a)
        np.testing.assert_allclose(exact, bessel, rtol=1e-11)
    found = sphere_spectrum(lambda t: np.exp(a * t), dim=dim, k_max=60)
    rounding = 1e-11 * exact if dim > 7 else 1e-13 * exact  # of gammaln
    assert (abs(found.eigenvalues - exact) <= found.quadrature_error + rounding).all()
    assert found.resolved[:resolved].all()


@pytest.mark.parametrize("dim", [2, 5, 30, 100, 1000])
def test_zeros_by_parity_stay_below_their_error(dim):
    """The odd part of one ReLU layer is t/2: in any dimension the odd degrees from 3 are zero, and said to be."""
    for kind in ("nngp", "ntk"):
        found = sphere_spectrum(relu(kind, 1), dim=dim, k_max=60)
        assert not found.resolved[3::2].any()
        assert abs(found.eigenvalues[3::2]).max() < 1e-15


def test_positive_definite_with_depth_or_bias():
    """arXiv:1806.07572: positive definite on the sphere with a bias or two layers, not with one layer without bias."""
    biased = sphere_spectrum(lambda t: relu("ntk", 1)((t + 0.2) / 1.2) * 1.2, dim=10, k_max=12)
    deeper = sphere_spectrum(relu("ntk", 2), dim=10, k_max=12)
    for found in (biased, deeper):
        assert (found.eigenvalues > found.quadrature_error).all()


def test_tails():
    """Even degrees fall as k^-d (NTK) and k^-(d+2) (NNGP), section 4.9; in k + (d-2)/2 corrections are O(1/k^2)."""
    for dim in (2, 3, 4):
        shifted = np.array([140, 196]) + (dim - 2) / 2
        for kind, exponent in (("ntk", dim), ("nngp", dim + 2)):
            low, high = sphere_spectrum(relu(kind, 1), dim=dim, k_max=196).eigenvalues[[140, 196]]
            assert np.log(high / low) / np.log(shifted[1] / shifted[0]) == pytest.approx(-exponent, abs=2e-3)


def test_kernel_is_rebuilt():
    """Off by at most what the other degrees hold, and by just that at t = 1."""
    t = np.linspace(-1, 1, 41)
    for kernel, dim in ((relu("nngp", 2), 3), (relu("ntk", 3), 6), (relu("ntk", 2), 100)):
        found = sphere_spectrum(kernel, dim=dim, k_max=50)
        gap = kernel(t) - found.kernel(t)
        assert found.trace_residual > 0
        assert abs(gap).max() <= found.trace_residual + found.trace_error
        assert gap[-1] == pytest.approx(found.trace_residual, abs=1e-12)


def test_parseval():
    """sum N lambda = K(1) for a smooth kernel, sum N lambda^2 = <K^2> by adaptive quadrature in t."""
    smooth = sphere_spectrum(lambda t: np.exp(2 * t) / (2 - t), dim=5, k_max=60)
    assert abs(smooth.trace_residual) < 1e-13 * smooth.trace + smooth.trace_error
    for dim in (3, 6):
        found = sphere_spectrum(relu("nngp", 1), dim=dim, k_max=120)
        square, one = (
            quad(lambda t, p=p, d=dim: kappa1(t) ** p * (1 - t * t) ** ((d - 3) / 2), -1, 1, epsabs=1e-14)[0]
            for p in (2, 0)
        )
        assert (found.multiplicities * found.eigenvalues**2).sum() == pytest.approx(square / one, rel=1e-9)


def test_gegenbauer():
    t = np.linspace(-1, 1, 13)
    np.testing.assert_allclose(gegenbauer(t, dim=2, k_max=9), np.cos(np.outer(np.arange(10), np.arccos(t))), atol=2e-14)
    legendre = [Legendre.basis(k)(t) for k in range(12)]
    np.testing.assert_allclose(gegenbauer(t, dim=3, k_max=11), legendre, atol=2e-14)
    chebyshev = gegenbauer(np.cos(0.7), dim=4, k_max=200)  # sin((k+1) a)/((k+1) sin a)
    k = np.arange(1, 202)
    np.testing.assert_allclose(chebyshev, np.sin(0.7 * k) / (k * np.sin(0.7)), atol=1e-14)
    assert (gegenbauer([1.0, -1.0], dim=57, k_max=3) == [[1, 1], [1, -1], [1, 1], [1, -1]]).all()


def test_addition_theorem():
    """<P_k(x.z) P_l(z.y)>_z = delta_kl P_k(x.y)/N on S^2, by a product rule in z; and N is the rank of P_k(x.x')."""
    rng = np.random.Generator(np.random.Philox(key=3))
    u, w = np.polynomial.legendre.leggauss(16)
    phi = 2 * np.pi * np.arange(31) / 31
    s = np.sqrt(1 - u * u)
    z = np.stack([np.outer(s, np.cos(phi)), np.outer(s, np.sin(phi)), np.outer(u, np.ones(31))], -1).reshape(-1, 3)
    weight = np.repeat(w / 2 / 31, 31)
    x, y = (v / np.linalg.norm(v) for v in rng.normal(size=(2, 3)))
    left, right = (gegenbauer(z @ v, dim=3, k_max=12) for v in (x, y))
    exact = np.diag(gegenbauer(x @ y, dim=3, k_max=12) / multiplicities(dim=3, k_max=12))
    np.testing.assert_allclose((left * weight) @ right.T, exact, atol=1e-15)
    X = rng.normal(size=(90, 5))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    cosines = np.clip(X @ X.T, -1, 1)
    ranks = [np.linalg.matrix_rank(P, tol=1e-8) for P in gegenbauer(cosines, dim=5, k_max=4)]
    assert multiplicities(dim=5, k_max=4).tolist() == ranks == [1, 5, 14, 30, 55]


def test_two_patches_have_the_slopes_of_their_meta_patch():
    """Section 4.3, circles: modes (k, k) -2.99 (NTK), -4.97 (NNGP), (k, 0) -2.08, -4.03; limits -3, -5, -2, -4."""
    for kind, pair, single in (("ntk", -2.99, -2.08), ("nngp", -4.97, -4.03)):
        lam = sphere_spectrum(patches(kind), dim=(2, 2), k_max=32).eigenvalues
        assert lam.min() > 0
        assert np.log(lam[32, 32] / lam[16, 16]) / np.log(2) == pytest.approx(pair, abs=0.01)
        assert np.log(lam[32, 0] / lam[16, 0]) / np.log(2) == pytest.approx(single, abs=0.01)
        assert lam == pytest.approx(lam.T, abs=1e-15)


def test_two_patches_against_a_fourier_transform():
    """On the product of circles the eigenvalues are Fourier coefficients; the 768 points alias the NNGP by 1e-12."""
    found = sphere_spectrum(patches("nngp"), dim=(2, 2), k_max=14)
    cosine = np.cos(2 * np.pi * np.arange(768) / 768)
    fourier = np.fft.rfft2(patches("nngp")(cosine[:, None], cosine)).real[:15, :15] / 768**2
    np.testing.assert_allclose(found.eigenvalues, fourier, atol=1e-11)
    assert found.quadrature_error.max() < 1e-14
    assert found.multiplicities[:2, :2].tolist() == [[1, 2], [2, 4]]


def test_products_of_kernels():
    """K1(t) K2(t') on S^2 x S^4 from its factors and from two-dimensional quadrature; rebuilt at pairs of cosines."""
    one, two = relu("nngp", 1), relu("ntk", 2)
    product = product_spectrum(sphere_spectrum(one, dim=3, k_max=11), sphere_spectrum(two, dim=5, k_max=11))
    joint = sphere_spectrum(lambda t, s: one(t) * two(s), dim=(3, 5), k_max=11)
    assert product.dims == joint.dims == (3, 5)
    assert (abs(product.eigenvalues - joint.eigenvalues) <= product.quadrature_error + joint.quadrature_error).all()
    assert (product.multiplicities == joint.multiplicities).all()
    assert product.trace == pytest.approx(joint.trace, abs=1e-14)
    t, s = np.linspace(-1, 1, 9), np.array([[-0.4], [0.9]])
    for found in (product, joint):
        gap = one(t) * two(s) - found.kernel(t, s)
        assert gap.shape == (2, 9)
        assert abs(gap).max() <= found.trace_residual


def test_three_spheres():
    """t1 t2 t3 + 2 t2: eigenvalue 1/(d1 d2 d3) at (1, 1, 1) and 2/d2 at (0, 1, 0)."""
    found = sphere_spectrum(lambda a, b, c: a * b * c + 2 * b, dim=(2, 3, 5), k_max=1)
    exact = np.zeros((2, 2, 2))
    exact[1, 1, 1], exact[0, 1, 0] = 1 / 30, 2 / 3
    assert (abs(found.eigenvalues - exact) <= found.quadrature_error).all()
    assert found.trace == 3


def test_networks():
    """`mlp` on unit vectors of R^10 is 2/10 times the golden kernel, which it is on the sphere of radius sqrt(5)."""
    net = mt.nn.mlp(hidden_layers=2, activation=mt.nn.Relu(), sigma_w=2**0.5, sigma_b=0.0)
    for entry in GOLDEN[4:]:
        reference = np.array(entry["eigenvalues_k0_8"], float)
        for norm, scale in ((1.0, 0.2), (5**0.5, 1.0)):
            kernel = zonal_kernel(net, dim=10, kind=entry["kernel"], norm=norm)
            found = sphere_spectrum(kernel, dim=10, k_max=8)
            np.testing.assert_allclose(found.eigenvalues, scale * reference, rtol=0, atol=4e-15)
    with pytest.raises(ValueError, match="kind must be nngp or ntk, got 'cntk'"):
        zonal_kernel(net, dim=10, kind="cntk")
    with pytest.raises(ValueError, match="norm must be finite and > 0"):
        zonal_kernel(net, dim=10, norm=0.0)


def test_a_kink_inside_is_reported():
    with pytest.raises(ConvergenceError, match="is the kernel smooth") as caught:
        sphere_spectrum(lambda t: abs(t - 0.3), dim=3, k_max=6)
    found = caught.value.solution
    exact = [quad(lambda t, k=k: abs(t - 0.3) * Legendre.basis(k)(t) / 2, -1, 1, points=[0.3])[0] for k in range(7)]
    assert 1e-10 < found.quadrature_error.max() < 1e-5
    assert (abs(found.eigenvalues - exact) < 10 * found.quadrature_error.max()).all()


@pytest.mark.parametrize(
    ("kernel", "dim", "k_max", "message"),
    [
        (kappa1, 1, 5, "dim must be in"),
        (kappa1, 3, 201, "k_max must be in"),
        (kappa1, (2, 2, 2, 2), 5, "number of spheres must be 1, 2 or 3, got 4"),
        (lambda t: t[:3], 3, 5, r"one value per cosine, shape \(129,\), got \(3,\)"),
        (3, 3, 5, "kernel must be a function of cosines, got 3"),
        (lambda t: np.where(t > 0.5, np.nan, t), 3, 5, "must be finite"),
    ],
)
def test_bad_input(kernel, dim, k_max, message):
    with pytest.raises(ValueError, match=message):
        sphere_spectrum(kernel, dim=dim, k_max=k_max)


def test_more_bad_input():
    with pytest.raises(TypeError, match="dim must be an integer"):
        multiplicities(dim=3.0, k_max=4)
    with pytest.raises(ValueError, match="t must be in"):
        gegenbauer([0.2, 1.1], dim=3, k_max=4)
    with pytest.raises(ValueError, match="number of spectra must be >= 1"):
        product_spectrum()
    with pytest.raises(ValueError, match="number of arrays t must be 1, one per sphere"):
        sphere_spectrum(kappa1, dim=3, k_max=2).kernel(0.1, 0.2)
    net = mt.nn.mlp(hidden_layers=1, activation=mt.nn.Relu())
    for value in ("a", None, [1.0], 0.0):
        with pytest.raises(ValueError, match="norm must be finite and > 0, got "):
            zonal_kernel(net, dim=3, norm=value)
    with pytest.raises(TypeError, match="network must be a network from serial or mlp, got 3"):
        zonal_kernel(3, dim=3)
    with pytest.raises(TypeError, match=r"spectra must each be a SphereSpectrum, got \(3,\)"):
        product_spectrum(3)
