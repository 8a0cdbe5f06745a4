"""Infinitely wide networks of growing depth: kernels, taxonomy, limit functions and classifiers (arXiv:2204.14126)."""

import json
from decimal import Decimal, localcontext
from pathlib import Path

import numpy as np
import pytest

from mattis.theory.kernels.depth_classifier import deep_classifier
from mattis.theory.kernels.depth_kernels import deep_kernels, limit_function
from mattis.theory.kernels.taxonomy import design_activation, hermite_coefficients, infinite_depth

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "kernel_numbers.json").read_text())["deep_taxonomy"]
CASES = GOLDEN["cases"]

SINGULAR = np.array([0.0, 0.6, 0.0, 0.8])
ONE_NN = np.sqrt([0.0, 0.0, 0.3, 0.7])
MAJORITY = np.array([0.5, 0.5, 0.5, 0.5])
FLAT = np.sqrt([0.5, 0.3, 0.1, 0.1])


def cube(coefficients):
    return [float(c) for c in coefficients]


def unit_vectors(n, d, key, orthant=False):
    x = np.random.Generator(np.random.Philox(key=key)).standard_normal((n, d))
    x = abs(x) if orthant else x
    return x / np.linalg.norm(x, axis=1)[:, None]


def labels(n, key):
    return np.random.Generator(np.random.Philox(key=key)).choice([-1.0, 1.0], n)


def exactly(coefficients, xi, depth):
    """K, Theta and Theta(1) after `depth` layers, in decimal numbers."""
    w = [Decimal(float(c)) ** 2 for c in coefficients]
    w = [v / sum(w) for v in w]
    K = T = xi
    D = Decimal(1)
    for _ in range(depth):
        slope = sum((m * v * (K ** (m - 1) if m > 1 else 1) for m, v in enumerate(w) if m), Decimal(0))
        K = sum((v * K**m for m, v in enumerate(w) if m), w[0])
        T, D = K + slope * T, 1 + sum(m * v for m, v in enumerate(w)) * D
    return K, T, D


# --- the kernels -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["kind"])
def test_golden_numbers(case):
    """20 digits of independent arithmetic; below the range of floats ln|K| is compared, relative to itself."""
    c = cube(case["hermite_coeffs"])
    for entry in case["values"]:
        deep = deep_kernels(c, float(entry["xi"]), [entry["depth"]])
        for name in ("nngp", "ntk"):
            mantissa, _, exponent = entry[name].partition("e")
            log = float(Decimal(mantissa).copy_abs().ln() + Decimal(exponent or 0) * Decimal(10).ln())
            assert getattr(deep, name + "_sign")[0] == np.sign(float(mantissa))
            assert getattr(deep, name + "_log")[0] == pytest.approx(log, rel=1e-13, abs=1e-12)
            if log > -700:
                assert getattr(deep, name)[0] == pytest.approx(float(entry[name]), rel=1e-11)
            elif log < -800:
                assert getattr(deep, name)[0] == 0


@pytest.mark.parametrize("c", [SINGULAR, ONE_NN, MAJORITY, FLAT], ids=["singular", "1-NN", "majority", "flat"])
def test_near_duplicates_keep_their_digits(c):
    """1 - K and 1 - Theta/Theta(1) of 1 - xi = 2^-40 to 1e-12 of themselves; from K in floats: 1e-4."""
    depths = [0, 1, 7, 23]
    deep = deep_kernels(c, 1 - 2.0**-40, depths)
    with localcontext() as context:
        context.prec = 80
        for i, L in enumerate(depths):
            K, T, D = exactly(c, 1 - Decimal(2) ** -40, L)
            assert -np.expm1(deep.nngp_log[i]) == pytest.approx(float(1 - K), rel=1e-12)
            assert -np.expm1(deep.ntk_share_log[i]) == pytest.approx(float(1 - T / D), rel=1e-12)
            assert deep.ntk[i] == pytest.approx(float(T), rel=1e-12)


@pytest.mark.parametrize("c", [SINGULAR, ONE_NN, MAJORITY, FLAT], ids=["singular", "1-NN", "majority", "flat"])
def test_every_angle_in_one_pass(c):
    xi = np.array([-1.0, -0.97, -0.3, 0.0, 0.2, 0.9, 1.0])
    deep = deep_kernels(c, xi, [9, 0, 2])
    with localcontext() as context:
        context.prec = 120
        for i, L in enumerate([9, 0, 2]):
            want = np.array([[float(v) for v in exactly(c, Decimal(float(x)), L)] for x in xi])
            np.testing.assert_allclose(deep.nngp[i], want[:, 0], rtol=2e-13, atol=1e-300)
            np.testing.assert_allclose(deep.ntk[i], want[:, 1], rtol=2e-13, atol=1e-300)


def test_opposite_points_of_an_odd_activation_stay_opposite():
    """xi = -1 is as repelling as 1, so rounding must not move it in 500 layers."""
    deep = deep_kernels(SINGULAR, [-1.0, 1.0], [500])
    assert deep.nngp[0].tolist() == [-1.0, 1.0]
    assert deep.ntk_log[0, 0] == deep.ntk_log[0, 1]


# --- the taxonomy ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=lambda c: c["kind"])
def test_golden_taxonomy(case):
    found = infinite_depth(cube(case["hermite_coeffs"]))
    assert found.kind == case["kind"]
    want = [float(case[name]) for name in ("E_phi", "E_dphi", "E_dphi2")]
    np.testing.assert_allclose([found.A, found.A_prime, found.B_prime], want, rtol=1e-15)
    alpha = case["alpha_singularity_ntk"]
    want = np.nan if alpha is None else float(alpha)
    np.testing.assert_allclose([found.alpha_nngp, found.alpha_ntk], want, rtol=1e-15)


@pytest.mark.parametrize(
    ("c", "kind"),
    [
        ([0.0, -1.0], "linear"),
        ([0.6, 0.8], "flat limit"),
        ([1.0], "constant"),
        ([-1.0, 0.0, 0.0], "constant"),
        (np.sqrt([0.5, 0.0, 0.5]), "majority vote"),
        (np.sqrt([0.51, 0.0, 0.49]), "flat limit"),
        ([0.0, 1e-9, np.sqrt(1 - 1e-18)], "singular kernel"),
    ],
)
def test_every_row_of_the_table(c, kind):
    assert infinite_depth(c).kind == kind


def test_activations_given_as_functions():
    """Against closed forms: ReLU and |x| have kinks; E sin'^2 = (1 + e^-2)/2, E sin^2 = (1 - e^-2)/2."""
    relu = infinite_depth(lambda x: np.maximum(x, 0))
    assert (relu.kind, relu.A, relu.A_prime) == ("majority vote", pytest.approx(np.pi**-0.5), pytest.approx(0.5**0.5))
    assert relu.B_prime == pytest.approx(1.0, abs=1e-12)
    sine = infinite_depth(np.sin)
    power, slope = (1 - np.exp(-2)) / 2, (1 + np.exp(-2)) / 2
    want = -2 * np.log(np.exp(-1) / power) / np.log(slope / power)
    assert sine.kind == "singular kernel"
    assert sine.alpha_ntk == pytest.approx(want, rel=1e-12)
    assert sine.error < 1e-12
    assert infinite_depth(lambda x: 3 * x**2 - 3).kind == "1-NN"
    assert infinite_depth(np.exp).kind == "majority vote"
    assert infinite_depth(np.cos).kind == "flat limit"
    jump = infinite_depth(np.sign)
    assert jump.B_prime == np.inf
    assert (jump.kind, jump.alpha_ntk) == ("singular kernel", 0.0)


def test_hermite_coefficients_of_a_sine_and_of_a_kink():
    """sin: c_m^2 = e^-1/m! at odd m over (1 - e^-2)/2. ReLU: 1 - sum c_m^2 is what it says it left out."""
    series = hermite_coefficients(np.sin, terms=24)
    odd = np.arange(1, 24, 2)
    factorial = np.cumprod(np.arange(1.0, 24.0))[odd - 1]
    np.testing.assert_allclose(series.coefficients[odd] ** 2, 2 * np.exp(-1) / (1 - np.exp(-2)) / factorial, atol=1e-15)
    assert not series.coefficients[::2].any()
    short, long = (hermite_coefficients(lambda x: np.maximum(x, 0), terms=m) for m in (40, 160))
    assert long.truncation == pytest.approx(short.truncation / 8, rel=0.05)  # c_m^2 ~ m^-5/2
    assert long.error < 1e-13


@pytest.mark.parametrize(("dim", "m"), [(1.01, 3), (2.0, 3), (3.0, 5), (9.0, 2), (784.0, 3)])
def test_designed_activation(dim, m):
    c = design_activation(dim, m=m)
    assert (c != 0).sum() == 2
    assert c @ c == pytest.approx(1, rel=1e-14)
    assert infinite_depth(c).alpha_ntk == pytest.approx(dim, rel=2e-13)


# --- limit functions -------------------------------------------------------------------------------------------------


def test_schroeder_equations():
    """s(phi^(x)) = A'^2 s(x) with s'(0) = 1; S(phi^(x)) = B' S(x) with S'(1) = -1; b(phi^(x)) = m b(x)."""
    x = np.array([-0.8, -0.1, 0.3, 0.6, 0.95, 1 - 1e-9])
    for c, factor in ((SINGULAR, 0.36), (FLAT, 0.8), (ONE_NN, 2.0)):
        after = deep_kernels(c, x, [1])
        found = limit_function(c, x)
        step = limit_function(c, after.nngp[0]).value
        np.testing.assert_allclose(step[:5], factor * found.value[:5], rtol=1e-12)
        assert step[5] == pytest.approx(factor * found.value[5], rel=1e-6)  # 1 - phi^ of 1e-9 is rounded
        assert found.error < 1e-12
    assert limit_function(SINGULAR, 1e-9).value == pytest.approx(1e-9, rel=1e-14)
    assert limit_function(FLAT, 1 - 2.0**-40).value == pytest.approx(2.0**-40, rel=1e-11)
    assert limit_function([0.0, 0.0, 0.0, 1.0], 0.7).value == pytest.approx(np.log(0.7), rel=1e-15)
    small = 1e-5  # b = ln|x| + ln c_2^2 + O(x)
    assert limit_function(ONE_NN, small).value == pytest.approx(np.log(0.3 * small) + 0.7 / 0.6 * small, rel=1e-11)
    assert limit_function(SINGULAR, [1.0, 0.0, -1.0]).value.tolist() == [np.inf, 0.0, -np.inf]


@pytest.mark.parametrize("c", [SINGULAR, design_activation(3.0), design_activation(7.0, m=4)])
def test_exponent_of_the_singularity(c):
    """d ln s/d ln|x - x'| -> -alpha over whole periods of the Schroeder equation, where it is free of oscillation."""
    found = infinite_depth(c)
    e = 2.0**-20 * found.B_prime ** -np.array([0.0, 9.0])
    near = limit_function(c, 1 - e).value
    assert 2 * np.diff(np.log(near))[0] / np.diff(np.log(e))[0] == pytest.approx(-found.alpha_nngp, rel=1e-5)


def test_nngp_and_ntk_tend_to_the_same_function():
    """phi = .6 h_1 + .8 h_3 at 1 - xi = .1: 1.348, 1.018 at depths 50, 1000, from 80 digits (kernels.md 4.2)."""
    s, depths = limit_function(SINGULAR, 0.9).value, np.array([50, 1000])
    deep = deep_kernels(SINGULAR, 0.9, depths)
    shift = 2 * depths * np.log(0.6) + np.log(s)
    np.testing.assert_allclose(deep.nngp_log, shift, atol=1e-11)
    np.testing.assert_allclose(np.exp(deep.ntk_log - shift) / (depths + 1), [1.348, 1.018], atol=6e-4)


def test_an_ntk_of_finite_depth_is_steeper_near_coincidence():
    """For 1 - xi << 1/L the first layers win and the slope is p + 1, p = alpha/2: the order of the limits matters."""
    p = infinite_depth(SINGULAR).alpha_ntk / 2
    e = 2.0**-33 * 2.28 ** -np.array([0.0, 7.0])
    slopes = [np.diff(deep_kernels(SINGULAR, 1 - e, [L]).ntk_log[0])[0] / np.diff(np.log(e))[0] for L in (60, 3000)]
    np.testing.assert_allclose(slopes, -(p + 1), rtol=2e-3)


# --- classifiers -----------------------------------------------------------------------------------------------------

X, Y, TEST = unit_vectors(23, 3, key=1), labels(23, key=2), unit_vectors(90, 3, key=3)


@pytest.mark.parametrize(
    ("c", "kind", "depth"),
    [
        (SINGULAR, "nngp", 40),
        (SINGULAR, "ntk", 3000),
        (np.sqrt([0.0, 0.3, 0.3, 0.2, 0.2]), "nngp", 40),
        (ONE_NN, "nngp", 20),
        (ONE_NN, "ntk", 20),
        (MAJORITY, "nngp", 60),
        (MAJORITY, "ntk", 60),
        (FLAT, "nngp", 150),
        (FLAT, "ntk", 2500),
    ],
)
def test_deep_classifiers_tend_to_the_limit(c, kind, depth):
    """Both kernels; a vote whose margin is below 2% may still be open at the depth of the NTK, which errs by 1/L."""
    limit = deep_classifier(c, X, Y, TEST)
    shallow, deep = (deep_classifier(c, X, Y, TEST, depth=L, kind=kind) for L in (3, depth))
    clear = limit.margin > (0.02 if kind == "ntk" and infinite_depth(c).kind == "singular kernel" else 0.0)
    assert clear.mean() > 0.9
    assert (deep.label == limit.label)[clear].all()
    assert (shallow.label != limit.label).any()


def test_nearest_neighbour():
    """In one orthant the plain nearest neighbour; over the sphere an odd activation also sees opposite points."""
    X, test = unit_vectors(31, 4, key=5, orthant=True), unit_vectors(80, 4, key=6, orthant=True)
    y = labels(31, key=7)
    nearest = y[(test @ X.T).argmax(axis=1)]
    for c in (ONE_NN, [0.0, 0.0, 0.0, 1.0]):
        assert (deep_classifier(c, X, y, test).label == nearest).all()
        assert (deep_classifier(c, X, y, test, depth=12).label == nearest).all()
    cosine = TEST @ X[:, :3].T / np.linalg.norm(X[:, :3], axis=1)
    X = X[:, :3] / np.linalg.norm(X[:, :3], axis=1)[:, None]
    at = abs(cosine).argmax(axis=1)
    signed = y[at] * np.sign(np.take_along_axis(cosine, at[:, None], axis=1)[:, 0])
    assert (deep_classifier([0.0, 0.0, 0.0, 1.0], X, y, TEST).label == signed).all()


def test_majority_vote_and_its_ties():
    y = np.where(np.arange(23) < 13, 1.0, -1.0)
    assert (deep_classifier(MAJORITY, X, y, TEST).label == 1).all()
    assert (deep_classifier(MAJORITY, X[3:23], y[3:23], TEST[:5]).label == 0).all()


def test_training_points_get_their_labels():
    """Interpolation: a training point among the test points, of every kind but the vote of the majority."""
    for c in (SINGULAR, ONE_NN, FLAT):
        assert (deep_classifier(c, X, Y, X).label == Y).all()
        assert (deep_classifier(c, X, Y, X, depth=6).label == Y).all()


def test_a_nonzero_mean_alone_does_not_make_a_majority_vote():
    """A != 0 with B' < 1: the flat limit separates by the pole, though one class is 4 times the other."""
    y = np.where(X[:, 2] > np.sort(X[:, 2])[-6], 1.0, -1.0)
    found = deep_classifier(FLAT, X, y, TEST)
    assert abs(y.sum()) > 11
    assert (found.label == np.where(TEST[:, 2] > np.sort(X[:, 2])[-6], 1.0, -1.0)).mean() > 0.85
    assert 0.1 < (found.label == 1).mean() < 0.5


@pytest.mark.parametrize("c", [SINGULAR, ONE_NN, MAJORITY, FLAT], ids=["singular", "1-NN", "majority", "flat"])
@pytest.mark.parametrize("depth", [3, 17])
def test_against_decimal_linear_algebra(c, depth):
    """K(x, X) K^-1 y in 150 digits, seven training points, from the definition."""
    X, y, test = unit_vectors(7, 4, key=11), np.array([1, 1, -1, 1, -1, -1, 1.0]), unit_vectors(19, 4, key=12)
    with localcontext() as context:
        context.prec = 150
        kernel = [[exactly(c, cosine(a, b), depth)[1] for b in X] for a in X]
        a = eliminate(kernel, [Decimal(v) for v in y])
        want = [sum(exactly(c, cosine(t, x), depth)[1] * v for x, v in zip(X, a, strict=True)) for t in test]
    found = deep_classifier(c, X, y, test, depth=depth)
    assert found.label.tolist() == [1.0 if v > 0 else -1.0 for v in want]
    assert found.condition < 1e7


def cosine(a, b):
    """Of the exact values of two float vectors."""
    a, b = ([Decimal(float(v)) for v in w] for w in (a, b))
    dot = [sum(p * q for p, q in zip(u, v, strict=True)) for u, v in ((a, b), (a, a), (b, b))]
    return dot[0] / (dot[1] * dot[2]).sqrt()


def eliminate(matrix, right):
    rows = [[*row, r] for row, r in zip(matrix, right, strict=True)]
    n = len(rows)
    for i in range(n):
        p = max(range(i, n), key=lambda j: abs(rows[j][i]))
        rows[i], rows[p] = rows[p], rows[i]
        for j in range(n):
            if j != i:
                f = rows[j][i] / rows[i][i]
                rows[j] = [u - f * v for u, v in zip(rows[j], rows[i], strict=True)]
    return [row[n] / row[i] for i, row in enumerate(rows)]


# --- bad input -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: infinite_depth([0.6, 0.6]), r"sum of coefficients\^2 must be 1"),
        (lambda: infinite_depth([[0.6, 0.8]]), "must be a vector"),
        (lambda: infinite_depth([0.6, np.nan]), "coefficients must be finite"),
        (lambda: infinite_depth(lambda x: np.sign(x - 0.3)), "phi is too rough"),
        (lambda: infinite_depth(lambda x: x[0]), "keep the shape"),
        (lambda: hermite_coefficients(lambda x: 0 * x), r"E phi\^2 must be > 0"),
        (lambda: design_activation(1.0), r"dim must be in \(1, 1000\]"),
        (lambda: design_activation(np.nan), "dim must be"),
        (lambda: design_activation("a"), r"dim must be in \(1, 1000\] with m = 3, got 'a'"),
        (lambda: infinite_depth("a"), "coefficients must hold real numbers, got 'a'"),
        (lambda: limit_function(SINGULAR, None), "xi must hold real numbers, got None"),
        (lambda: deep_kernels(SINGULAR, 1.5, [3]), r"xi must be in \[-1, 1\]"),
        (lambda: deep_kernels(SINGULAR, 0.5, [-1]), "depths must be in"),
        (lambda: limit_function(MAJORITY, 0.5), "they are of kind majority vote"),
        (lambda: deep_classifier(SINGULAR, 2 * X, Y, TEST), "length of the rows of X must be 1"),
        (lambda: deep_classifier(SINGULAR, X, 2 * Y, TEST), "y must be -1 or 1"),
        (lambda: deep_classifier(SINGULAR, X, Y[:5], TEST), "y and X_test must have shapes"),
        (lambda: deep_classifier(SINGULAR, X[[0, 1, 0]], Y[:3], TEST), "they are equal"),
        (lambda: deep_classifier(SINGULAR, X, Y, TEST, depth=1), "it is singular"),
        (lambda: deep_classifier(ONE_NN, X, Y, TEST, depth=3000), "take depth=None"),
        (lambda: deep_classifier([1.0], X, Y, TEST), "a term besides c_0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_activation_is_a_function():
    with pytest.raises(TypeError, match="activation must be a function of arrays, got 3"):
        hermite_coefficients(3)
