"""The averages over a cascade of fields against the recursion written out, its derivatives and the Parisi equation."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_ndtr

import mattis as mt
from mattis.core.cascade import cascade
from mattis.theory.rsb import parisi

H = np.array([-0.43, 0.2, 1.7])
WEIGHTS = np.array([0.2, 0.5, 0.3])
V = np.array([0.6, 1.1, -0.3])
STEPS = {
    1: (np.array([0.83]), np.array([1.3])),
    2: (np.array([0.61, 0.37]), np.array([0.45, 1.9])),
}
GL = np.polynomial.legendre.leggauss(24)


def panels(h, s, y, T, widest):
    """Nodes and weights of a normal variable about h, (nodes, weights), by Gauss-Legendre rules between the points
    h +- i widest, and the scales of tanh(u/T) about the kink u = 0."""
    reach = 9.5 * s + y * s * s
    cuts = np.linspace(h - reach, h + reach, 2 + int(2 * reach / widest))
    kink = np.array([0.0, 1, 2, 4, 7, 11, 16, 22, 40]) * T
    kink = np.append(-kink, kink)
    cuts = np.unique(np.append(cuts, kink[abs(kink - h) < reach]))
    half, middle = 0.5 * np.diff(cuts), 0.5 * (cuts[1:] + cuts[:-1])
    u = (middle[:, None] + half[:, None] * GL[0]).ravel()
    w = (half[:, None] * GL[1]).ravel()
    return u, w * np.exp(-0.5 * ((u - h) / s) ** 2) / (s * np.sqrt(2 * np.pi))


def innermost(h, T):
    """ln 2cosh and what is averaged, at fields h."""
    if T == 0:
        return {"Y": abs(h), "t": np.sign(h), "c": 0 * h, "q": [np.ones_like(h)], "c2": [0 * h], "slope": [],
                "C": 0 * h, "S": 0 * h}  # fmt: skip
    log = T * np.logaddexp(h / T, -h / T)
    t, c = np.tanh(h / T), 1 / (T * np.cosh(np.minimum(abs(h) / T, 300.0)) ** 2)
    return {"Y": log, "t": t, "c": c, "q": [t * t], "c2": [c * c], "slope": [], "C": c, "S": (log - h * t) / T}


def nested(h, s, y, T, widest):
    """What the cascade of these steps makes at one field, step by step and node by node."""
    if s.size == 0:
        return {key: [float(v[0]) for v in value] if isinstance(value, list) else float(value[0])
                for key, value in innermost(np.array([h]), T).items()}  # fmt: skip
    u, w = panels(h, s[0], y[0], T if s.size == 1 else 0.0, widest)
    if s.size == 1:
        below = innermost(u, T)
    else:
        points = [nested(x, s[1:], y[1:], T, widest) for x in u]
        below = {key: np.array([p[key] for p in points]).T for key in points[0]}
    tilted = w * np.exp(y[0] * below["Y"])
    Z = tilted.sum()
    tilted = tilted / Z

    def mean(value):
        return float((tilted * value).sum())

    here = {"Y": np.log(Z) / y[0], "t": mean(below["t"]), "C": mean(below["C"]), "S": mean(below["S"])}
    curved = mean(below["c"])
    if s.size == 1 and T == 0:  # c = 2 delta(u)
        curved = here["C"] = 2 * np.exp(-0.5 * (h / s[0]) ** 2) / (s[0] * np.sqrt(2 * np.pi) * Z)
    here["c"] = curved + y[0] * (mean(below["t"] ** 2) - here["t"] ** 2)
    here["q"] = [here["t"] ** 2, *map(mean, below["q"])]
    here["c2"] = [here["c"] ** 2, *map(mean, below["c2"])]
    here["slope"] = [(mean(below["Y"]) - here["Y"]) / y[0], *map(mean, below["slope"])]
    return here


@pytest.mark.parametrize("T", [0.0, 0.05, 0.4, 2.0])
@pytest.mark.parametrize("k", [1, 2])
def test_every_average_of_nested_gauss_legendre(k, T):
    s, y = STEPS[k]
    found = cascade(H, WEIGHTS, V, s, y, T)
    points = [nested(h, s, y, T, 0.5 * s.min()) for h in H]

    def mean(name, factor=1.0):
        return WEIGHTS * factor @ np.array([p[name] for p in points])

    wanted = {
        "Y": mean("Y"),
        "t": mean("t"),
        "v_t": mean("t", V),
        "response": mean("c"),
        "vv_response": mean("c", V**2),
        "C": mean("C"),
        "entropy": mean("S"),
        "q": mean("q"),
        "c2": np.append(mean("c2")[:-1], np.inf) if T == 0 else mean("c2"),
        "slope": mean("slope"),
    }
    assert set(wanted) == set(found._fields)
    for name, value in wanted.items():
        np.testing.assert_allclose(getattr(found, name), value, rtol=1e-10, atol=1e-10, err_msg=name)


def test_one_step_at_zero_temperature_in_closed_form():
    """E exp(y|h + s z|) = exp(y^2 s^2/2) sum_(+-) exp(+-y h) Phi(+-h/s + y s)."""
    s, y, h = 0.7, 2.3, 0.31
    found = cascade(np.array([h]), np.ones(1), np.ones(1), np.array([s]), np.array([y]), 0.0)
    both = np.logaddexp(y * h + log_ndtr(h / s + y * s), -y * h + log_ndtr(-h / s + y * s))
    assert pytest.approx(y * s * s / 2 + both / y, abs=1e-14) == found.Y
    assert found.q[1] == 1
    assert found.entropy == 0


@pytest.mark.parametrize("T", [0.0, 0.03, 0.4, 2.0])
def test_two_steps_of_one_breakpoint_are_one(T):
    """Variances add; of the second level nothing is left but the sum of the slopes."""
    s, y = np.array([0.47, 0.62]), 1.4
    two = cascade(H, WEIGHTS, V, s, np.full(2, y), T)
    one = cascade(H, WEIGHTS, V, np.array([np.hypot(*s)]), np.array([y]), T)
    for name in ("Y", "t", "v_t", "response", "vv_response", "C", "entropy"):
        assert getattr(two, name) == pytest.approx(getattr(one, name), rel=1e-13, abs=1e-13), name
    np.testing.assert_allclose(two.q[[0, 2]], one.q, rtol=0, atol=1e-13)
    np.testing.assert_allclose(two.c2[[0, 2]], one.c2, rtol=1e-13)
    assert two.slope.sum() == pytest.approx(one.slope[0], abs=1e-13)
    assert one.q[0] < two.q[1] < one.q[1]


def central(f, x, h):
    """df/dx to fourth order."""
    return (8 * (f(x + h) - f(x - h)) - (f(x + 2 * h) - f(x - 2 * h))) / (12 * h)


S3, Y3 = np.array([0.4, 0.55, 0.3]), np.array([0.3, 0.9, 2.2])


@pytest.mark.parametrize("T", [0.0, 0.2, 0.7])
def test_derivatives_of_Y(T):
    """By each y_j the slope, by the field t and then the response, and by T the entropy; differences of 4th order."""
    found = cascade(H, WEIGHTS, V, S3, Y3, T)

    def at(name, shift=0.0, y=Y3, T=T):
        return getattr(cascade(H + shift, WEIGHTS, V, S3, y, T), name)

    for j in range(3):
        unit = np.eye(3)[j]
        slope = central(lambda u, unit=unit: at("Y", y=Y3 + u * unit), 0.0, 2e-3)
        assert found.slope[j] == pytest.approx(slope, abs=1e-10)
        assert abs(slope) > 1e-2
    assert found.t == pytest.approx(central(lambda u: at("Y", u), 0.0, 4e-3), abs=1e-10)
    assert found.response == pytest.approx(central(lambda u: at("t", u), 0.0, 4e-3), abs=1e-9)
    by_v = central(lambda u: at("v_t", u * V), 0.0, 4e-3)
    assert found.vv_response == pytest.approx(by_v, abs=1e-9)
    if T > 0:
        assert found.entropy == pytest.approx(central(lambda T: at("Y", T=T), T, 2e-3), abs=1e-9)


@pytest.mark.parametrize("T", [0.0, 0.02, 0.3, 1.1])
@pytest.mark.parametrize("k", [1, 2, 4, 7])
def test_finer_grids_change_nothing(k, T):
    """Random staircases with steps as unlike as solutions have them; relative to each average, or to one. c^2, which
    varies twice as fast as all else, is left ten times the error."""
    rng = np.random.default_rng([k, int(100 * T)])
    for _ in range(3):
        R = np.cumsum(rng.uniform(0.1, 1.0, k + 1))
        s = np.sqrt(np.diff(R / R[-1] * rng.uniform(0.1, 2)))
        y = np.sort(rng.uniform(0.05, min(4.0, 1 / T) if T else 4.0, k))
        rough, fine = (cascade(H, WEIGHTS, V, s, y, T, fineness) for fineness in (1.0, 1.7))
        for name in rough._fields:
            a, b, spare = getattr(rough, name), getattr(fine, name), 1e-11 if name == "c2" else 1e-12
            np.testing.assert_allclose(a, b, rtol=spare, atol=spare, err_msg=name)


def test_symmetry_and_order_of_the_levels():
    """Odd t and even everything else; E t_j^2 rises with j; the tilt widens |h|."""
    for T in (0.0, 0.3):
        a, b = (cascade(sign * H, WEIGHTS, V, S3, Y3, T) for sign in (1, -1))
        for name in a._fields:
            sign = -1 if name in ("t", "v_t") else 1
            np.testing.assert_allclose(getattr(b, name), sign * np.asarray(getattr(a, name)), rtol=1e-13, err_msg=name)
        assert (np.diff(a.q) > 0).all()
        assert (a.slope > 0).all()


def test_a_cascade_that_is_too_strong_is_nan():
    """So strong a step would need more grid than memory; a solver sees that no such state is allowed."""
    found = cascade(H, WEIGHTS, V, np.array([1.0, 1.0]), np.array([1.0, 1e5]), 0.0)
    assert all(np.isnan(value).all() for value in found)
    assert [np.size(value) for value in found] == [1] * 7 + [3, 3, 2]


def parisi_equation(q, y, T, mesh):
    """phi(0, 0) of d phi/dq = -(phi_hh + y(q) phi_h^2)/2 with phi(q_k, h) = T ln 2cosh(h/T), y = 0 below q_0.

    Central differences on |h| <= 5, where phi_hh is 0 at the ends, and the method of Runge and Kutta in q.
    """
    h = np.arange(-round(5 / mesh), round(5 / mesh) + 1) * mesh
    phi = T * np.logaddexp(h / T, -h / T)

    def rate(phi, y):
        first, second = np.gradient(phi, mesh), np.zeros_like(phi)
        second[1:-1] = (phi[2:] - 2 * phi[1:-1] + phi[:-2]) / mesh**2
        first[[0, -1]] = -1, 1
        return 0.5 * (second + y * first**2)

    levels = np.append(0.0, q)
    for low, high, y_here in reversed(list(zip(levels[:-1], levels[1:], np.append(0.0, y), strict=True))):
        n = int(np.ceil((high - low) / (0.8 * mesh**2)))
        step = (high - low) / n
        for _ in range(n):
            a = rate(phi, y_here)
            b = rate(phi + 0.5 * step * a, y_here)
            c = rate(phi + 0.5 * step * b, y_here)
            phi = phi + step / 6 * (a + 2 * b + 2 * c + rate(phi + step * c, y_here))
    return phi[h.size // 2]


def test_the_parisi_equation_by_finite_differences():
    """Between breakpoints the recursion solves the equation of G. Parisi, J. Phys. A 13, 1101 (1980), in closed form:
    the error of a mesh falls with its square, and what it tends to is the recursion."""
    T = 0.5
    point = mt.rsb(mt.SherringtonKirkpatrick(T=T), k=3)
    q, y = np.asarray(point.q), np.asarray(point.x) / T
    assert y.size == 3
    z = np.linspace(-9, 9, 181)
    w = np.exp(-0.5 * z * z)
    exact = cascade(np.sqrt(q[0]) * z, w / w.sum(), 1 + 0 * z, np.sqrt(np.diff(q)), y, T).Y
    found = [parisi_equation(q, y, T, mesh) for mesh in (0.16, 0.08, 0.04)]
    errors = [f - exact for f in found]
    assert all(3.8 < a / b < 4.2 for a, b in pairwise(errors))
    assert (4 * found[2] - found[1]) / 3 == pytest.approx(exact, abs=2e-8)
    noise = parisi(mt.SherringtonKirkpatrick(T=T)).noise
    R = noise.terms(mt.theory.rsb.Staircase(q, (1 - q[-1]) / T, y), T).R
    np.testing.assert_allclose(R, q, rtol=1e-14)
