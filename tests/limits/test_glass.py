"""The freezing temperatures of p-spin glasses against one step of replica symmetry breaking, solved here (3.2)."""

from itertools import pairwise
from math import factorial

import numpy as np
import pytest
from scipy.optimize import brentq, root

import mattis as mt
from mattis.core.hermite import hermite_weights
from mattis.theory.glass import glass_temperatures

z = np.linspace(-14, 14, 4001)
GAUSS = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) * (z[1] - z[0])


def log2cosh(h):
    return abs(h) + np.log1p(np.exp(-2 * abs(h)))


def broken(powers, x, q, T):
    """(A, q - <tanh^2>, dA/dx) of one broken step, m = q_0 = 0, xi = sum a_k q^k: xi' is the variance of the field."""
    xi = sum(a * q**k for k, a in powers)
    slope = sum(a * k * q ** (k - 1) for k, a in powers)
    whole = sum(a for _, a in powers)
    h = np.sqrt(slope) / T * z
    exponent = x * log2cosh(h)
    top = exponent.max()  # taken out of E (2 cosh)^x
    weight = GAUSS * np.exp(exponent - top)
    log = np.log(weight.sum()) + top
    weight = weight / weight.sum()
    theta = q * slope - xi
    A = log / x + (whole - slope + (1 - x) * theta) / (2 * T**2)
    by_x = (weight * log2cosh(h)).sum() / x - log / x**2 - theta / (2 * T**2)
    return A, q - (weight * np.tanh(h) ** 2).sum(), by_x


def glass(powers, T, guess):
    """(x, q, f) of the broken glass below T_s."""
    found = root(lambda v: broken(powers, *v, T)[1:], guess, tol=1e-13)
    assert found.success
    x, q = found.x
    assert 0 < x < 1
    assert q > 0.3
    return x, q, -T * broken(powers, x, q, T)[0]


def pure(p):
    return ((p, 0.5),)


def f_paramagnet(powers, T):
    return -T * np.log(2) - sum(a for _, a in powers) / (2 * T)


def test_the_broken_glass_of_this_file():
    """Section 6.5: x, q, f at T = 0.5."""
    for p, x, q, f in ((3, 0.7099479483, 0.8931014271, -0.8231361420), (4, 0.7911168216, 0.9663437080, -0.8294257596)):
        found = glass(pure(p), 0.5, (0.75, 0.93))
        np.testing.assert_allclose(found, (x, q, f), rtol=0, atol=1.5e-10)


@pytest.mark.parametrize("p", [3, 4, 6])
def test_at_T_s_the_broken_glass_is_born_of_the_paramagnet(p):
    """At x = 1 and T_s both stationarity conditions hold, and f and the paramagnet's are equal; T_s < T_d."""
    found = glass_temperatures(pure(p))
    T = found.static

    def q_of(T, start):
        q = start
        for _ in range(400):
            q = q - broken(pure(p), 1.0, q, T)[1]
        return q

    q = q_of(T, 0.9999)
    A, residual, by_x = broken(pure(p), 1.0, q, T)
    assert abs(residual) < 1e-12
    assert abs(by_x) < 1e-10
    assert pytest.approx(f_paramagnet(pure(p), T), abs=1e-12) == -T * A
    assert abs(broken(pure(p), 1.0, q_of(T * 1.001, 0.999), T * 1.001)[2]) > 1e-5
    # T_d: the last temperature with a frozen root at x = 1
    assert q_of(found.dynamic * (1 - 1e-4), 0.999) > 0.5
    above = [broken(pure(p), 1.0, v, found.dynamic * (1 + 1e-4))[1] for v in np.linspace(0.05, 0.999, 400)]
    assert (np.array(above) > 0).all()
    assert found.dynamic > T


@pytest.mark.parametrize(("p", "T", "guess"), [(3, 0.6, (0.9, 0.85)), (3, 0.3, (0.42, 0.97)), (4, 0.4, (0.6, 0.98))])
def test_the_paramagnet_at_T_s_bounds_the_broken_glass_from_below(p, T, guess):
    """f falls with T as s >= 0: f(T < T_s) >= f(T_s). This is what makes a retrieval state below it a phase."""
    bound = f_paramagnet(pure(p), glass_temperatures(pure(p)).static)
    f = glass(pure(p), T, guess)[2]
    assert bound < f < bound + 0.025
    assert f > f_paramagnet(pure(p), T)  # which would have a negative entropy
    gamma = np.linspace(0.3, 0.44, 29)  # and the model draws the line there
    cold = mt.solve(mt.DenseHebbian(P=p, gamma=gamma, T=T * np.sqrt(gamma)))
    retrieval = cold.label == "retrieval"
    np.testing.assert_array_equal(cold.admissible, retrieval & (cold.free_energy <= np.sqrt(gamma) * bound))
    assert 0 < cold.admissible.sum() < retrieval.sum()


@pytest.mark.parametrize("P", [4, 6, 8])
def test_a_mixture_with_pairs(P):
    """Even P with its diagonal: the paramagnet is unstable below sqrt(2 a_2); if the jump comes first it is higher."""
    weights = hermite_weights(P, "included")
    powers = tuple((k, w / 2) for k, w in weights.items())
    found = glass_temperatures(powers)
    onset = np.sqrt(weights[2])
    assert found.static >= onset * (1 - 1e-12)
    assert found.dynamic >= found.static
    for T, frozen in ((found.dynamic * (1 - 1e-3), True), (found.dynamic * (1 + 1e-3), False)):
        q = np.concatenate([np.geomspace(1e-4, 0.05, 60), np.linspace(0.06, 0.9999, 200)])
        gap = np.array([broken(powers, 1.0, v, T)[1] for v in q])
        assert (gap < 0).any() == frozen  # F(q) > q somewhere: q grows from there
    if found.static > onset * (1 + 1e-9):
        T, grid = found.static, np.linspace(0.3, 0.9999, 400)
        lowest = grid[np.argmin([broken(powers, 1.0, v, T)[1] for v in grid])]
        q = brentq(lambda v: broken(powers, 1.0, v, T)[1], lowest, 0.9999, xtol=1e-14)
        assert abs(broken(powers, 1.0, q, T)[2]) < 1e-9


def test_the_scale_of_the_glass_is_the_square_root_of_the_load():
    one = glass_temperatures(((3, 0.5),))
    other = glass_temperatures(((3, 0.5 * 0.09),))
    np.testing.assert_allclose(other, 0.3 * np.array(one), rtol=1e-9)


def test_large_p_is_the_random_energy_model():
    """T_s -> 1/(2 sqrt(ln 2)) from above, with a correction that falls exponentially (6.5)."""
    limit = 1 / (2 * np.sqrt(np.log(2)))
    gaps = [glass_temperatures(pure(p)).static - limit for p in (4, 8, 12, 16)]
    assert all(a > 4 * b > 0 for a, b in pairwise(gaps))
    for p in (60, 150):
        assert glass_temperatures(pure(p)).static == pytest.approx(limit, abs=1e-9)
        assert glass_temperatures(pure(p)).dynamic > glass_temperatures(pure(20)).dynamic


def test_hermite_weights_add_up():
    """sum_k c_k^2 k!/P! + (k = 0) = (2P - 1)!!/P!, the variance of x^P for a Gaussian of unit variance."""
    for P in range(3, 12):
        weights = hermite_weights(P, "included")
        mean = np.prod(np.arange(1, P, 2)) if P % 2 == 0 else 0
        moment = np.prod(np.arange(1, 2 * P, 2.0))
        assert sum(weights.values()) == pytest.approx((moment - mean**2) / factorial(P), rel=1e-13)
        assert hermite_weights(P, "excluded") == {P: 1.0}
