"""Gaussian averages against two independent integrators, on widths and temperatures of every size.

All comparisons are in units of an average's natural scale, W = max(sd, T): the largest value it can have in order of
magnitude. ``field`` states an error below 1e-13 of it.
"""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import erf

from mattis.core.quadrature import FieldAverages, average, field, field_error
from mattis.core.quadrature import _split as split

NAMES = FieldAverages._fields
STATED = 1e-13
NODES, WEIGHTS = np.polynomial.legendre.leggauss(24)
ROOT = math.sqrt(2 * math.pi)
BELL = math.sqrt(2 / math.pi)


def integrands(h):
    """The seven functions of h whose averages ``field`` returns, at unit temperature, in its order."""
    e = np.exp(-2 * abs(h))
    sech2, t = 4 * e / (1 + e) ** 2, np.tanh(h)
    free = np.log1p(e) + 2 * abs(h) * e / (1 + e)
    return np.stack([t, sech2, -2 * t * sech2, sech2 * (2 - 3 * sech2), sech2**2, abs(h) + np.log1p(e), free])


def in_units(T):
    """Factors from unit temperature to T."""
    return np.array([1, 1 / T, 1 / T**2, 1 / T**3, 1 / T**2, T, 1])


def natural(mean, sd, T):
    W = max(sd, T)
    return np.array([1, 1 / W, 1 / W**2, 1 / W**3, 1 / (T * W), max(W, abs(mean)), T / W])


def panels(edges):
    """Nodes and weights of 24-point Gauss-Legendre on each panel."""
    left, right = edges[:-1, None], edges[1:, None]
    half = (right - left) / 2
    return ((left + right) / 2 + half * NODES).ravel(), (half * WEIGHTS).ravel()


def pair(u, z0):
    """Gaussian density at z0 + u plus (minus) that at z0 - u; the difference without cancellation."""
    up, down = np.exp(-0.5 * (u + z0) ** 2), np.exp(-0.5 * (u - z0) ** 2)
    small = abs(z0 * u) < 1
    odd = np.where(small, -2 * np.exp(-0.5 * (u**2 + z0**2)) * np.sinh(np.where(small, z0 * u, 0)), up - down)
    return (up + down) / ROOT, odd / ROOT


def bent(u, z0):
    """The even pair less its value at u = 0, which the sech^2 rule of C_var cannot see: int (2 s^2 - 3 s^4) = 0."""
    return 2 * math.exp(-0.5 * z0**2) / ROOT * (np.expm1(-0.5 * u**2) * np.cosh(z0 * u) + 2 * np.sinh(z0 * u / 2) ** 2)


def reference(mean, sd, T):
    """The averages by geometric panels in the distance u of z from the zero z0 of the field, h = u sd/T."""
    if sd == 0:
        return integrands(np.array([mean / T]))[:, 0] * in_units(T)
    b, z0 = sd / T, -mean / sd
    if abs(z0) > 10 or b < 0.5:
        z, w = panels(np.linspace(-11, 11, 178))
        values = integrands((mean + sd * z) / T) * w * np.exp(-0.5 * z * z) / ROOT
        return np.array([math.fsum(v) for v in values]) * in_units(T)
    end = 10 + abs(z0)
    near = np.geomspace(0.25 / b, end, math.ceil(math.log2(4 * b * end)) + 1)
    u, w = panels(np.unique(np.concatenate([[0.0], near, np.arange(0.5, end, 0.5)])))
    even, odd = pair(u, z0)
    functions = integrands(b * u)
    weights = [odd, even, odd, bent(u, z0) if b >= 20 else even, even, even, even]
    return np.array([math.fsum(f * v * w) for f, v in zip(functions, weights, strict=True)]) * in_units(T)


def points():
    """(mean, sd, T): widths sd/T from 1e-6 to 1e8 and every border of the rules, means in units of sd and of T."""
    widths = [*np.geomspace(1e-6, 1e8, 15), 0.2799, 0.2801, 0.4999, 0.5001, 0.7, 2.0, 3.3, 17782.8]
    means = (0.0, 1e-8, 1e-3, 0.1, 0.5, 1.0, 2.0, 5.0, 8.6, 9.4, 1e3)
    for T, b, y in itertools.product((1e-3, 7.0), widths, means):
        yield y * b * T, b * T, T
        yield y * T, b * T, T


@pytest.fixture(scope="module")
def table():
    """Points, and per point the exact value, and the estimated and the true error in natural units."""
    at = np.array(list(dict.fromkeys(points())))
    value, estimate = np.stack(field(*at.T)), np.stack(field_error(*at.T, field(*at.T)))
    exact = np.array([reference(*p) for p in at]).T
    unit = np.array([natural(*p) for p in at]).T
    return at, exact, estimate / unit, abs(value - exact) / unit


@pytest.mark.parametrize("name", NAMES)
def test_error_is_below_the_stated_one(table, name):
    at, _, _, error = table
    error = error[NAMES.index(name)]
    worst = np.argmax(error)
    assert error[worst] < STATED, f"{error[worst]:.1e} at (mean, sd, T) = {tuple(at[worst])}"


@pytest.mark.parametrize("name", NAMES)
def test_error_estimate_covers_the_error(table, name):
    """Where the true error exceeds 1e-15 of the natural scale the estimate is at least a third of it."""
    at, _, estimate, error = table
    estimate, error = estimate[NAMES.index(name)], error[NAMES.index(name)]
    short = np.where(error > 1e-15, error / np.maximum(estimate, 1e-300), 0.0)
    worst = np.argmax(short)
    message = f"true {error[worst]:.1e}, estimated {estimate[worst]:.1e} at (mean, sd, T) = {tuple(at[worst])}"
    assert short[worst] <= 3, message


def by_quad(row, mean, sd, T):
    """One average by scipy.integrate.quad, adaptive on each piece between break points around the zero."""
    z0, b = -mean / sd, sd / T
    near = [s * k / b for s in (-1, 1) for k in (0.5, 1, 2, 4, 8, 20)]
    breaks = sorted({0.0, *near, *(z - z0 for z in np.linspace(-10, 10, 21))})
    breaks = [u for u in breaks if -10 - z0 <= u <= 10 - z0]

    def f(u):
        return integrands(np.float64(b * u))[row] * math.exp(-0.5 * (z0 + u) ** 2) / ROOT

    scale = natural(mean, sd, T)[row] / in_units(T)[row]
    pieces = [quad(f, *ends, epsabs=1e-16 * scale, epsrel=1e-11, limit=99)[0] for ends in itertools.pairwise(breaks)]
    return math.fsum(pieces) * in_units(T)[row]


@pytest.mark.parametrize("row", range(7), ids=NAMES)
@pytest.mark.parametrize(("mean", "sd", "T"), [(0.4, 0.03, 0.3), (1.0, 0.11, 0.3), (0.7, 0.45, 0.5), (1.0, 0.9, 0.2)])
def test_against_adaptive_quadrature(row, mean, sd, T):
    """Each piece is smooth: the adaptive rule reaches 1e-11 of itself; the 15 digits of the sum are round-off."""
    exact, unit = by_quad(row, mean, sd, T), natural(mean, sd, T)[row]
    assert abs(reference(mean, sd, T)[row] - exact) < 1e-14 * unit
    assert abs(field(mean, sd, T)[row] - exact) < STATED * unit


def test_zero_temperature_is_the_error_function():
    """E sign = erf(y/sqrt 2), C = density of the field at zero, E|h| = mean erf + sd sqrt(2/pi) e^{-y^2/2}."""
    mean, sd = np.meshgrid([-3.0, -0.2, 0.0, 0.7, 40.0], [1e-6, 0.3, 2.0, 1e5], indexing="ij")
    y = mean / sd
    C = BELL * np.exp(-0.5 * y**2) / sd
    f = field(mean, sd, 0.0)
    np.testing.assert_allclose(f.tanh, erf(y / math.sqrt(2)), rtol=0, atol=4e-16)
    np.testing.assert_allclose(f.C, C, rtol=1e-15)
    np.testing.assert_allclose(f.C_mean, -C * y / sd, rtol=1e-14)
    np.testing.assert_allclose(f.C_var, 0.5 * C * (y**2 - 1) / sd**2, rtol=1e-14)
    np.testing.assert_allclose(f.log2cosh, mean * erf(y / math.sqrt(2)) + sd**2 * C, rtol=4e-15)
    assert (f.entropy == 0).all()
    np.testing.assert_array_equal(f.sech4, np.where(C > 0, np.inf, 0.0))


def test_zero_temperature_without_width():
    """A frozen spin in a field of one value: sign, |mean|; free (entropy ln 2) where the field vanishes."""
    f = field([-0.3, 0.0, 2.0], 0.0, 0.0)
    assert f.tanh.tolist() == [-1.0, 0.0, 1.0]
    assert f.C.tolist() == [0.0, np.inf, 0.0]
    assert f.log2cosh.tolist() == [0.3, 0.0, 2.0]
    assert f.entropy.tolist() == [0.0, math.log(2), 0.0]


def test_no_width_is_the_function_itself():
    """sd = 0: tanh(mean/T) and its kin, to the round-off of the exponential."""
    mean, T = np.array([[-2.0], [0.0], [0.3], [1.1]]), np.array([0.02, 0.4, 3.0])
    exact = integrands(mean / T) * np.stack([in_units(t) for t in T], axis=1)[:, None]
    for name, got, want in zip(NAMES, field(mean, 0.0, T), exact, strict=True):
        np.testing.assert_allclose(got, want, rtol=4e-14, atol=1e-300, err_msg=name)


def test_odd_averages_of_an_even_field_vanish_exactly():
    f = field(0.0, np.array([0.0, 1e-4, 0.2, 0.7, 50.0]), np.array([[0.0], [0.1], [2.0]]))
    assert (f.tanh == 0).all()
    assert (f.C_mean == 0).all()


def test_mean_to_minus_mean():
    mean, sd = np.array([1e-6, 0.3, 2.7, 90.0]), np.array([[0.0], [0.05], [0.4], [6.0], [3e4]])
    for name, up, down in zip(NAMES, field(mean, sd, 0.2), field(-mean, sd, 0.2), strict=True):
        sign = -1 if name in ("tanh", "C_mean") else 1
        unit = natural(90.0, 3e4, 0.2)[NAMES.index(name)] if name == "log2cosh" else 1.0
        np.testing.assert_allclose(down, sign * up, rtol=1e-11, atol=1e-13 * max(1, unit), err_msg=name)


def test_low_temperature_tends_to_the_exact_limit():
    """Sommerfeld: C leaves T = 0 as (pi^2/24) T^2 d^2C/dmean^2, and the entropy is (pi^2/12) T C."""
    mean, sd = 0.8, 0.5
    cold, c2 = field(mean, sd, 0.0), 2 * field(mean, sd, 0.0).C_var
    for T in (1e-2, 1e-3):
        f = field(mean, sd, T)
        leaves = (f.C - cold.C) / T**2
        assert leaves == pytest.approx(np.pi**2 / 24 * c2, rel=30 * (T / sd) ** 2)
        assert f.entropy / T == pytest.approx(np.pi**2 / 12 * cold.C, rel=30 * (T / sd) ** 2)
    for T in (1e-8, 1e-12, 1e-300):
        for name in ("tanh", "C", "C_mean", "log2cosh"):
            i = NAMES.index(name)
            gap = abs(field(mean, sd, T)[i] - cold[i])
            assert gap < STATED * natural(mean, sd, T)[i] + 9 * T**2, (name, T)


STEP = 1e-3


def slope(f, x, unit):
    """Fourth-order difference with step 1e-3 unit: truncation of order 1e-12/unit, round-off of order 1e-10/unit."""
    d = STEP * unit
    return (8 * (f(x + d) - f(x - d)) - (f(x + 2 * d) - f(x - 2 * d))) / (12 * d)


@pytest.mark.parametrize(("mean", "sd", "T"), [(0.9, 0.02, 0.3), (0.6, 0.11, 0.3), (0.5, 0.6, 0.4), (2.0, 3.0, 0.01)])
def test_stein_identities(mean, sd, T):
    """d/dmean and d/dsd^2 = (1/2) d^2/dmean^2 of averages are averages (Stein's lemma); tolerance as in slope()."""
    W, v, f = max(sd, T), sd * sd, field(mean, sd, T)
    unit = dict(zip(NAMES, natural(mean, sd, T), strict=True))

    def by_mean(name):
        return slope(lambda a: getattr(field(a, sd, T), name), mean, W)

    def by_var(name):
        reach = min(W**2, v / 2.1 / STEP)
        return slope(lambda s: getattr(field(mean, np.sqrt(s), T), name), v, reach)

    pairs = [
        (f.C, by_mean("tanh"), unit["C"]),
        (f.C_mean, by_mean("C"), unit["C_mean"]),
        (f.C_var, by_var("C"), unit["C_var"]),
        (0.5 * f.C_mean, by_var("tanh"), unit["C_mean"]),
        (f.tanh, by_mean("log2cosh"), 1 + abs(mean) / W),
        (0.5 * f.C, by_var("log2cosh"), unit["C"] * (1 + abs(mean) / W)),
        (f.entropy, slope(lambda t: field(mean, sd, t).log2cosh, T, T), 1 + (W + abs(mean)) / T),
    ]
    for i, (exact, difference, natural_unit) in enumerate(pairs):
        assert abs(exact - difference) < 1e-9 * natural_unit, i


def test_moments_agree_with_the_general_rule():
    """E tanh^2 = 1 - T C; two rules that share no node."""
    mean, sd, T = np.array([0.3, 1.0, 20.0]), np.array([[0.05], [0.9], [30.0]]), 0.25
    value, error = average(lambda h: np.tanh(h) ** 2, mean, sd, T)
    assert value.shape == (3, 3)
    assert (abs(value - (1 - T * field(mean, sd, T).C)) < error + 2 * STATED).all()


FUNCTIONS = {
    "tanh^2": lambda h: np.tanh(h) ** 2,
    "sech^4": lambda h: integrands(np.clip(h, -400, 400))[4],
    "entropy": lambda h: integrands(np.clip(h, -400, 400))[6],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_general_rule_knows_its_error(name, table):
    """True error below three times the estimate, or below 2e-14 (round-off of 224 terms of order one)."""
    at, exact = table[0][::2], table[1][:, ::2]
    usual = (at[:, 0] <= 9 * at[:, 1:].max(axis=1)) & (at[:, 1] < 1e7 * at[:, 2])
    mean, sd, T = at[usual].T
    value, error = average(FUNCTIONS[name], mean, sd, T)
    exact = exact[:, usual] / np.stack([in_units(t) for t in T], axis=1)
    gap = abs(value - {"tanh^2": 1 - exact[1], "sech^4": exact[4], "entropy": exact[6]}[name])
    worst = np.argmax(gap - 3 * error)
    assert gap[worst] < 3 * error[worst] + 2e-14, tuple(at[usual][worst])


def test_general_rule_asks_for_the_limits_at_zero_temperature_only():
    """h sech^2 h is 0 at infinity but inf * 0 in arithmetic: with T > 0 it need not be asked there."""

    def finite_only(h):
        assert np.isfinite(h).all()
        return h / np.cosh(np.minimum(abs(h), 300.0)) ** 2

    value, _ = average(finite_only, [0.3, 2.0], 0.5, 0.4)
    assert value.shape == (2,)


def test_general_rule_at_zero_temperature_takes_the_limits():
    """P(field > 0) f(inf) + P(field < 0) f(-inf); f(0) where there is no field."""
    value, error = average(lambda h: 3 * (h > 0) - (h < 0) + 7.0 * (h == 0), [0.5, 0.0, 0.0, -2.0], [1, 2, 0, 0], 0.0)
    up = 0.5 * (1 + erf(0.5 / math.sqrt(2)))
    np.testing.assert_allclose(value, [3 * up - (1 - up), 1.0, 7.0, -1.0], rtol=0, atol=1e-15)
    assert error.tolist() == [0.0] * 4


def test_general_rule_gains_digits_with_nodes():
    """Gauss-Legendre on analytic panels: geometric, so twice the nodes give at least 1.6 times the digits."""
    at = np.array([2.0]), np.array([3.0]), np.array([0.5])
    exact = 1 - reference(2.0, 3.0, 0.5)[1] * 0.5
    digits = [-math.log10(abs(split(lambda h: np.tanh(h) ** 2, *at, n)[0] - exact)) for n in (4, 8, 16)]
    assert digits[1] > 1.6 * digits[0]
    assert digits[2] > 1.6 * digits[1]


def test_trapezoidal_rule_falls_as_the_pole_says():
    """int sech^2 over the line by steps s errs by 4 pi^2/s/sinh(pi^2/s) (Poisson): 1e-19 at the step 0.2 in use."""
    for s in (1.6, 0.8, 0.4):
        h = s * np.arange(-200, 201)
        error = s * integrands(h)[1].sum() - 2
        assert error == pytest.approx(4 * np.pi**2 / s / np.sinh(np.pi**2 / s), rel=1e-2, abs=2e-15)


@pytest.mark.parametrize(("mean", "sd", "least"), [(2, 3, 5e-4), (20, 30, 1e-3), (100, 150, 1e-3)])
def test_gauss_hermite_would_fail(mean, sd, least):
    """Why the rule is not Gauss-Hermite: 64 nodes err by 1e-3 and more in q (dense_hebbian.md 7.1)."""
    z, w = np.polynomial.hermite_e.hermegauss(64)
    hermite = (w * np.tanh(mean + sd * z) ** 2).sum() / w.sum()
    assert abs(hermite - (1 - reference(mean, sd, 1.0)[1])) > least
    assert abs(1 - field(mean, sd, 1.0).C - (1 - reference(mean, sd, 1.0)[1])) < STATED


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_field_that_is_not_finite_gives_nan_and_harms_no_other(bad):
    for T in (0.0, 0.4):
        for mean, sd in ((bad, 0.3), (0.3, bad if bad != -np.inf else np.nan)):
            f = np.stack(field([0.2, mean, 0.9], [0.1, sd, 0.7], T))
            assert np.isnan(f[:, 1]).all()
            np.testing.assert_array_equal(f[:, [0, 2]], np.stack(field([0.2, 0.9], [0.1, 0.7], T)))
            assert np.isnan(np.stack(field_error(mean, sd, T, field(mean, sd, T)))).all()


def test_general_rule_of_a_field_that_is_not_finite_is_nan():
    """As in field(): nan at the point, the others untouched."""
    value, _ = average(np.tanh, [np.nan, 0.4, 0.1], [0.2, 0.3, np.nan], 0.5)
    assert np.isnan(value).tolist() == [True, False, True]
    assert value[1] == average(np.tanh, 0.4, 0.3, 0.5)[0]


@pytest.mark.parametrize("T", [0.0, 1.0])
@pytest.mark.parametrize(("mean", "sd"), [(0.1, 1e-160), (0.1, 1e-170), (0.1, 1e-310), (1e160, 1e155), (1e300, 1e-300)])
def test_squares_that_underflow_or_overflow_harm_nothing(mean, sd, T):
    """sd^2 is no float at these widths; the averages are those of a field without width (0.1) or of |mean| alone."""
    f = field(mean, sd, T)
    assert f.tanh == pytest.approx(np.tanh(mean / T) if T else 1.0, rel=1e-14)
    assert f.log2cosh == pytest.approx(np.logaddexp(mean, -mean) if T else mean, rel=1e-14)
    assert pytest.approx(integrands(np.float64(min(mean, 400.0)))[1] if T else 0.0, rel=1e-13) == f.C
    assert not np.isnan(np.stack(f)).any()


@pytest.mark.parametrize("rule", [field, lambda *at: average(np.tanh, *at)])
def test_negative_width_or_temperature(rule):
    with pytest.raises(ValueError, match=r"^sd must be >= 0, got -0.1 at index \(1,\)$"):
        rule(0.0, [0.3, -0.1, 0.2], 1.0)
    with pytest.raises(ValueError, match=r"^T must be >= 0, got -2.0 at index \(0,\)$"):
        rule(0.0, 0.3, [-2.0, 0.3])


def test_broadcasting():
    mean, sd, T = np.array([0.1, 0.5, 2.0]), np.array([[0.0], [0.7]]), np.array([0.0, 0.2, 1.0, 3.0])[:, None, None]
    grid = np.stack(field(mean, sd, T))
    assert grid.shape == (7, 4, 2, 3)
    assert field(0.3, 0.2, 0.1).tanh.shape == ()
    assert field(np.ones(0), 0.2, 0.1).C.shape == (0,)
    for at in np.ndindex(4, 2, 3):
        one = np.stack(field(mean[at[2]], sd[at[1], 0], T[at[0], 0, 0]))
        np.testing.assert_array_equal(grid[(slice(None), *at)], one)
