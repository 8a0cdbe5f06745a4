"""The dense network against its own equations written out, closed forms and exact relations (dense_hebbian.md 1-2)."""

from itertools import product
from math import comb, factorial

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf, erfinv
from scipy.stats import binom

import mattis as mt
from mattis.core.quadrature import average

Dense = mt.DenseHebbian


def log2cosh(h):
    return abs(h) + np.log1p(np.exp(-2 * abs(h)))


# --- the pressure, written out ----------------------------------------------------------------------------------------


def pressure(n, q, P, gamma, T, rho, examples):
    """A(n, q) of sections 2.2-2.4 by the general average, which shares no code with the model's.

    ``examples`` are (weights, values) of v = etabar/(r xi), or None for the Gaussian law of variance rho.
    """
    b = 1 / T
    mu = b * P / 2 * (1 + rho) ** (P / 2 - 1) * n ** (P - 1)
    noise = b**2 * gamma * P / 2 * q ** (P - 1)
    if examples is None:
        free = average(log2cosh, mu, np.sqrt(noise + rho * mu**2))[0]
    else:
        free = sum(w * average(log2cosh, mu * v, np.sqrt(noise))[0] for w, v in zip(*examples, strict=True))
    signal = b / 2 * (P - 1) * (1 + rho) ** (P / 2) * n**P
    return float(free - signal + b**2 * gamma / 4 * (1 - P * q ** (P - 1) + (P - 1) * q**P))


def law(r, M):
    """Weights and values of the mean example: k of M examples agree with the archetype."""
    k = np.arange(M + 1)
    return binom.pmf(k, M, (1 + r) / 2), (2 * k / M - 1) / r


def noise_of_single_examples(P, r, M):
    """gamma_eff/gamma = (1 + rho_P)/(1 + rho)^P."""
    rho, rho_P = (1 - r**2) / (M * r**2), (1 - r ** (2 * P)) / (M * r ** (2 * P))
    return (1 + rho_P) / (1 + rho) ** P


POINTS = {
    "3": ({"P": 3, "gamma": 0.3, "T": 0.4}, 0.3),
    "4": ({"P": 4, "gamma": 0.3, "T": 0.2}, 0.3),
    "5": ({"P": 5, "gamma": 0.25, "T": 0.35}, 0.25),
    "6": ({"P": 6, "gamma": 0.4, "T": 0.3}, 0.4),
    "20": ({"P": 20, "gamma": 0.5, "T": 0.9}, 0.5),
    "3_rho": ({"P": 3, "gamma": 0.1, "T": 0.3, "protocol": "supervised", "rho": 0.4}, 0.1),
    "5_rM": ({"P": 5, "gamma": 0.1, "T": 0.3, "protocol": "supervised", "r": 0.6, "M": 20}, 0.1),
    "4_single": ({"P": 4, "gamma": 0.1, "T": 0.25, "protocol": "unsupervised", "r": 0.8, "M": 6},
                 0.1 * noise_of_single_examples(4, 0.8, 6)),
    "3_single": ({"P": 3, "gamma": 0.08, "T": 0.2, "protocol": "unsupervised", "r": 0.8, "M": 5, "etabar": "binomial"},
                 0.08 * noise_of_single_examples(3, 0.8, 5)),
    "4_exact": ({"P": 4, "gamma": 0.1, "T": 0.3, "protocol": "supervised", "r": 0.7, "M": 9, "etabar": "binomial"},
                0.1),
}  # fmt: skip


@pytest.mark.parametrize("case", POINTS)
def test_the_solution_makes_the_pressure_stationary_in_each_order_parameter(case):
    """dA/dn = dA/dq = 0 by central differences, not so 1% beside it; f = -T A; u and s by the formulas of 2.2."""
    parameters, gamma = POINTS[case]
    point = mt.solve(Dense(**parameters))
    assert point.label == "retrieval"
    P, T, rho = parameters["P"], parameters["T"], float(point.rho)
    n, q = float(point.m if rho == 0 else point.n), float(point.q)
    exact = law(parameters["r"], parameters["M"]) if parameters.get("etabar") == "binomial" else None

    def A(n, q):
        return pressure(n, q, P, gamma, T, rho, exact)

    def slopes(n, q, h=1e-5):
        return np.array([A(n + h, q) - A(n - h, q), A(n, q + h) - A(n, q - h)]) / (2 * h)

    scale = abs(slopes(0.99 * n, 0.99 * q))
    assert (scale > 1e-3).all()
    assert (abs(slopes(n, q)) < 1e-6 * scale + 1e-9).all()  # truncation h^2, round-off 1e-15/h
    assert point.free_energy == pytest.approx(-T * A(n, q), abs=2e-13)
    u = -0.5 * (1 + rho) ** (P / 2) * n**P - gamma / (2 * T) * (1 - q**P)
    assert point.energy == pytest.approx(u, abs=1e-12)
    assert point.entropy == pytest.approx(A(n, q) + u / T, abs=1e-11)


@pytest.mark.parametrize("case", ["3_single", "4_exact"])
def test_binomial_averages_by_brute_force(case):
    """m, n, q as sums over k with binom.pmf and the general average."""
    parameters, gamma = POINTS[case]
    point = mt.solve(Dense(**parameters))
    P, T, rho = parameters["P"], parameters["T"], float(point.rho)
    mu = P / 2 * (1 + rho) ** (P / 2 - 1) * point.n ** (P - 1) / T
    sd = np.sqrt(gamma * P / 2 * point.q ** (P - 1)) / T
    m = q = n = 0.0
    for w, v in zip(*law(parameters["r"], parameters["M"]), strict=True):
        tanh = average(np.tanh, mu * v, sd)[0]
        m, n, q = m + w * tanh, n + w * v * tanh, q + w * average(lambda h: np.tanh(h) ** 2, mu * v, sd)[0]
    np.testing.assert_allclose([point.m, point.n, point.q], [m, n / (1 + rho), q], rtol=0, atol=2e-12)


def test_replicon_by_an_independent_average():
    """1 - gamma P(P-1)/2 q^(P-2) E sech^4/T^2."""
    for P, gamma, T, rho in ((3, 0.3, 0.2, 0.0), (4, 0.3, 0.3, 0.0), (6, 0.1, 0.1, 0.1)):
        dataset = {"protocol": "supervised", "rho": rho} if rho else {}
        point = mt.solve(Dense(P=P, gamma=gamma, T=T, **dataset))
        n = point.n if rho else point.m
        mu = P / 2 * (1 + rho) ** (P / 2 - 1) * n ** (P - 1) / T
        sd = np.sqrt(gamma * P / 2 * point.q ** (P - 1) / T**2 + rho * mu**2)
        sech4 = average(lambda h: np.cosh(np.clip(h, -300, 300)) ** -4.0, mu, sd)[0]
        assert point.replicon == pytest.approx(
            1 - gamma * P * (P - 1) / 2 * point.q ** (P - 2) * sech4 / T**2, abs=1e-10
        )


# --- zero temperature -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("P", [3, 4, 5, 8, 20, 50])
def test_zero_temperature(P):
    """m = erf(x), gamma(x) = (P/4) erf^(2P-2)/x^2, e, S = -gamma P(P-1) C^2/8 (2.2), retrieval and spin glass."""

    def load(x):
        return P / 4 * erf(x) ** (2 * P - 2) / x**2

    top = minimize_scalar(lambda x: -load(x), bounds=(0.5, 4), method="bounded", options={"xatol": 1e-10})
    assert mt.spinodal(Dense, along="gamma", T=0.0, P=P).gamma == pytest.approx(-top.fun, rel=1e-13)
    gamma = 0.9 * -top.fun
    x = brentq(lambda x: load(x) - gamma, top.x, 30, xtol=1e-15, rtol=4e-15)
    point = mt.solve(Dense(P=P, gamma=gamma, T=0.0))
    m, s0, mu0 = erf(x), np.sqrt(gamma * P / 2), P / 2 * erf(x) ** (P - 1)
    e = (P - 1) / 2 * m**P - mu0 * erf(x) - s0 * np.sqrt(2 / np.pi) * np.exp(-x * x)
    C = np.sqrt(2 / np.pi) * np.exp(-x * x) / s0
    assert point.q == 1
    assert point.m == pytest.approx(m, abs=4e-12 / point.stability)
    assert point.free_energy == pytest.approx(e, abs=1e-12)
    assert point.energy == pytest.approx(e, abs=1e-11)
    assert point.entropy == pytest.approx(-gamma * P * (P - 1) * C**2 / 8, rel=1e-9)
    assert point.replicon == -np.inf
    glass = mt.solve(Dense(P=P, gamma=gamma, T=0.0), "spin_glass")
    assert (glass.m, glass.q, str(glass.label)) == (0, 1, "spin_glass")
    assert glass.free_energy == pytest.approx(-np.sqrt(gamma * P / np.pi), abs=1e-12)
    assert glass.entropy == pytest.approx(-(P - 1) / (2 * np.pi), rel=1e-10)
    assert not glass.admissible


@pytest.mark.parametrize("closure", ["full", "low_entropy"])
@pytest.mark.parametrize(("P", "rho"), [(3, 0.02), (3, 0.5), (4, 0.1), (6, 0.2), (5, 1.5)])
def test_zero_temperature_from_examples(P, rho, closure):
    """n(x) and gamma(x) of 2.3, m = erf(x), x < 1/sqrt(2 rho); the capacity is the maximum."""

    def signal(x):
        stein = rho * 2 * x / np.sqrt(np.pi) * np.exp(-x * x) if closure == "full" else 0.0
        return (erf(x) + stein) / (1 + rho)

    def load(x):
        return P / 2 * (1 + rho) ** (P - 2) * signal(x) ** (2 * P - 2) * (1 / (2 * x * x) - rho)

    end = 1 / np.sqrt(2 * rho)
    grid = np.linspace(0.05, end, 4001)
    best = np.argmax(load(grid))
    top = minimize_scalar(lambda x: -load(x), bounds=(grid[best - 1], grid[best + 1]), options={"xatol": 1e-11})
    fold = mt.spinodal(Dense, along="gamma", T=0.0, P=P, protocol="supervised", rho=rho, closure=closure)
    assert fold.gamma == pytest.approx(-top.fun, rel=1e-12)
    gamma = -0.8 * top.fun
    x = brentq(lambda x: load(x) - gamma, top.x, end, xtol=1e-15)
    point = mt.solve(Dense(P=P, gamma=gamma, T=0.0, protocol="supervised", rho=rho, closure=closure))
    assert point.n == pytest.approx(signal(x), abs=1e-11 / point.stability)
    assert point.m == pytest.approx(erf(x), abs=1e-11 / point.stability)


@pytest.mark.parametrize("const", [
    {"P": 3, "gamma": 0.2}, {"P": 4, "gamma": 0.1, "protocol": "supervised", "rho": 0.1},
    {"P": 4, "gamma": 0.08, "diagonal": "included"}, {"P": 3, "gamma": 0.1, "diagonal": "included"},
    {"P": 3, "gamma": 0.05, "protocol": "unsupervised", "r": 0.8, "M": 5, "etabar": "binomial"},
], ids=lambda c: f"P={c['P']} {len(c)}")  # fmt: skip
def test_zero_temperature_is_the_limit(const):
    """T = 0 against T = 1e-8 and 1e-3, both frozen solutions: of first order in T, C and m too."""
    for start in ("retrieval", "spin_glass"):
        zero, *cold = (mt.solve(Dense(T=T, **const), start) for T in (0.0, 1e-8, 1e-3))
        for name in ("m", "q", "free_energy", "energy", "entropy", "stability"):
            gap = [abs(getattr(c, name) - getattr(zero, name)) for c in cold]
            assert gap[0] < 1e-6, (start, name)
            assert gap[1] < 0.05, (start, name)
        assert zero.quadrature_error < 1e-12


# --- no load ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("P", [3, 4, 5, 6, 20])
def test_without_load(P):
    """m = tanh((P/2) m^(P-1)/T): it exists to T_M0 = max (P/2) tanh(u)^(P-1)/u; f = (P-1)/2 m^P - T ln 2cosh u."""
    u = brentq(lambda u: (P - 1) * 2 * u - np.sinh(2 * u), 0.1, 10, xtol=1e-15, rtol=4e-15)
    T_M = P / 2 * np.tanh(u) ** (P - 1) / u
    T = T_M * np.array([1e-3, 0.2, 0.6, 0.99, 1 - 1e-8, 1 + 1e-8, 1.5])
    point = mt.solve(Dense(P=P, gamma=0.0, T=T))
    assert (point.label == "retrieval").tolist() == [True] * 5 + [False] * 2
    field = P / 2 * point.m ** (P - 1) / T
    np.testing.assert_allclose(point.m, np.tanh(field), rtol=0, atol=2e-12)
    np.testing.assert_allclose(point.q, point.m**2, rtol=0, atol=2e-12)
    np.testing.assert_allclose(point.free_energy, (P - 1) / 2 * point.m**P - T * log2cosh(field), rtol=0, atol=1e-13)
    assert point.m[4] == pytest.approx(np.tanh(u), abs=2e-4)  # a square root of 1e-8
    assert (point.replicon == 1).all()
    glass = mt.solve(Dense(P=P, gamma=0.0, T=T), "spin_glass")
    assert (glass.label == "paramagnet").all()


@pytest.mark.parametrize("P", [3, 4])
def test_small_load_is_linear(P):
    """f(gamma) - f(0) is of first order in gamma: one decade is a factor of 10, the better the smaller gamma."""
    base = mt.solve(Dense(P=P, gamma=0.0, T=0.3)).free_energy
    gap = mt.solve(Dense(P=P, gamma=np.array([1e-3, 1e-4, 1e-5, 1e-12]), T=0.3)).free_energy - base
    assert gap[0] / gap[1] == pytest.approx(10, rel=3e-2)
    assert gap[1] / gap[2] == pytest.approx(10, rel=3e-3)
    assert abs(gap[3]) < 1e-12


@pytest.mark.parametrize("P", [3, 4, 7])
@pytest.mark.parametrize("gamma", [0.0, 1e-12, 0.3, 1e3])
def test_paramagnet(P, gamma):
    """f = -T ln 2 - gamma/(4T), u = -gamma/(2T), locally stable at all T > 0."""
    T = np.array([0.05, 0.7, 30.0])
    hot = mt.solve(Dense(P=P, gamma=gamma, T=T), "paramagnet")
    assert (hot.label == "paramagnet").all()
    np.testing.assert_allclose(hot.free_energy, -T * np.log(2) - gamma / (4 * T), rtol=1e-14)
    np.testing.assert_allclose(hot.energy, -gamma / (2 * T), rtol=1e-13, atol=1e-15)
    assert (hot.stability == 1).all()
    assert (hot.replicon == 1).all()


@pytest.mark.parametrize("P", [3, 4, 6])
def test_the_glass_of_one_size_fits_every_load(P):
    """m = 0: gamma only sets the unit of T, q(T/sqrt gamma) and f/sqrt(gamma) are those of the p-spin glass."""
    t = np.array([0.05, 0.2, 0.27])
    one = mt.solve(Dense(P=P, gamma=1.0, T=t), "spin_glass")
    for gamma in (1e-4, 0.3, 500.0):
        other = mt.solve(Dense(P=P, gamma=gamma, T=np.sqrt(gamma) * t), "spin_glass")
        np.testing.assert_allclose(other.q, one.q, rtol=1e-9)
        np.testing.assert_allclose(other.free_energy / np.sqrt(gamma), one.free_energy, rtol=1e-10)


# --- the Nishimori line -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("P", [3, 4, 5, 6, 20])
def test_nishimori_line(P):
    """T = gamma: m = q to round-off, and nowhere else; retrieval is stable there, in replicas too."""
    gamma = np.array([1e-3, 0.02, 0.1, 0.2, 0.3, 0.4, 0.44, 0.46])
    point = mt.solve(Dense(P=P, gamma=gamma, T=gamma))
    assert (point.label == "retrieval").all()
    np.testing.assert_allclose(point.m, point.q, rtol=0, atol=1e-12)
    assert (point.replicon > 0).all()
    assert (point.stability > 0).all()
    hot, cold = (mt.solve(Dense(P=P, gamma=gamma[4:], T=gamma[4:] * shift)) for shift in (1.02, 0.98))
    assert (hot.m > hot.q + 1e-11).all()
    assert (cold.m < cold.q - 1e-11).all()


# --- datasets ---------------------------------------------------------------------------------------------------------


GRID = {"gamma": np.array([0.0, 0.05, 0.2]), "T": np.array([[0.0], [0.25], [1.4]])}


def same(one, other, names, atol=2e-11):
    for name in names:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=0, atol=atol, err_msg=name)


@pytest.mark.parametrize("P", [3, 4])
def test_perfect_examples_are_the_patterns(P):
    """rho = 0 and r = 1, any protocol, closure and law."""
    storing = mt.solve(Dense(P=P, **GRID))
    for dataset in (
        {"protocol": "supervised", "rho": 0.0},
        {"protocol": "supervised", "rho": 0.0, "closure": "low_entropy"},
        {"protocol": "supervised", "r": 1.0, "M": 7},
        {"protocol": "unsupervised", "r": 1.0, "M": 7},
        {"protocol": "unsupervised", "r": 1.0, "M": 7, "etabar": "binomial"},
    ):
        found = mt.solve(Dense(P=P, **GRID, **dataset))
        same(found, storing, ("m", "q", "free_energy", "energy", "entropy"))
        np.testing.assert_allclose(found.n, storing.m, rtol=0, atol=2e-11)


@pytest.mark.parametrize("start", ["retrieval", "spin_glass", "paramagnet"])
@pytest.mark.parametrize("law", ["gaussian", "binomial"])
def test_one_example_knows_no_class(start, law):
    """M = 1: the class mean is the example, and both protocols agree."""
    const = GRID | {"P": 4, "r": 0.95, "M": 1, "etabar": law}
    sup, uns = (mt.solve(Dense(protocol=protocol, **const), start) for protocol in ("supervised", "unsupervised"))
    for name in ("m", "n", "q", "free_energy", "energy", "entropy", "stability"):
        np.testing.assert_allclose(getattr(sup, name), getattr(uns, name), rtol=1e-12, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("r", [1.0, 0.9, 0.5, 0.1, 0.01])
@pytest.mark.parametrize("protocol", ["supervised", "unsupervised"])
def test_a_single_example_is_a_pattern_of_its_own(protocol, r):
    """M = 1 in the exact law is a change of gauge: the network stores eta itself. q, f, u, s are those of storing, the
    overlap with eta is m_storing, so m = n = r m_storing.
    """
    storing = mt.solve(Dense(P=4, **GRID))
    found = mt.solve(Dense(P=4, **GRID, protocol=protocol, r=r, M=1, etabar="binomial"))
    same(found, storing, ("q", "free_energy", "energy", "entropy", "replicon"))
    np.testing.assert_allclose(found.m, r * storing.m, rtol=0, atol=2e-11)
    np.testing.assert_allclose(found.n, r * storing.m, rtol=0, atol=2e-11)


@pytest.mark.parametrize("P", [3, 4, 6])
def test_single_examples_are_more_noise(P):
    """Unsupervised at gamma is supervised at gamma (1 + rho_P)/(1 + rho)^P, in every quantity; so the capacities."""
    r, M = np.array([0.5, 0.8, 0.95]), np.array([400, 8, 3])
    more = noise_of_single_examples(P, r, M)
    uns = mt.solve(Dense(P=P, gamma=0.02, T=0.3, protocol="unsupervised", r=r, M=M))
    sup = mt.solve(Dense(P=P, gamma=0.02 * more, T=0.3, protocol="supervised", r=r, M=M))
    for name in ("m", "n", "q", "free_energy", "energy", "entropy", "replicon", "stability", "admissible"):
        np.testing.assert_allclose(getattr(uns, name), getattr(sup, name), rtol=1e-11, atol=1e-12, err_msg=name)
    for T in (0.0, 0.2):
        capacity = [
            mt.spinodal(Dense, along="gamma", T=T, P=P, protocol=protocol, r=r, M=M).gamma
            for protocol in ("supervised", "unsupervised")
        ]
        np.testing.assert_allclose(capacity[1], capacity[0] / more, rtol=1e-11)


@pytest.mark.parametrize("protocol", ["supervised", "unsupervised"])
def test_low_entropy_field(protocol):
    """The field of 2.3 in betat = beta/(1 + rho)^(P/2): noise rho (P/2)^2 m^(2P-2) + gamma (P/2)(1 + rho)^P q^(P-1);
    of single examples gamma (1 + rho_P)(P/2) q^(P-1).
    """
    P, T, gamma, r, M = 4, 0.2, 0.05, 0.8, 5
    rho, rho_P = (1 - r**2) / (M * r**2), (1 - r ** (2 * P)) / (M * r ** (2 * P))
    point = mt.solve(Dense(P=P, gamma=gamma, T=T, protocol=protocol, r=r, M=M, closure="low_entropy"))
    assert point.label == "retrieval"
    assert point.n == pytest.approx(point.m / (1 + rho), abs=1e-12)
    loaded = gamma * ((1 + rho) ** P if protocol == "supervised" else 1 + rho_P)
    b = 1 / (T * (1 + rho) ** (P / 2))
    signal = b * P / 2 * point.m ** (P - 1)
    width = b * np.sqrt(rho * (P / 2) ** 2 * point.m ** (2 * P - 2) + loaded * P / 2 * point.q ** (P - 1))
    assert point.m == pytest.approx(average(np.tanh, signal, width)[0], abs=2e-12)
    assert point.q == pytest.approx(average(lambda h: np.tanh(h) ** 2, signal, width)[0], abs=2e-12)


@pytest.mark.parametrize("P", [3, 5, 6])
@pytest.mark.parametrize("rho", [0.05, 0.5, 1.7])
def test_majority_vote(P, rho):
    """Zero load, T = 0, every P: m = erf(1/sqrt(2 rho)), n = [m + sqrt(2 rho/pi) e^{-1/(2 rho)}]/(1 + rho)."""
    point = mt.solve(Dense(P=P, gamma=0.0, T=0.0, protocol="supervised", rho=rho))
    m = erf(1 / np.sqrt(2 * rho))
    assert point.m == pytest.approx(m, abs=4e-12)
    n = (m + np.sqrt(2 * rho / np.pi) * np.exp(-1 / (2 * rho))) / (1 + rho)
    assert point.n == pytest.approx(n, abs=4e-12)


@pytest.mark.parametrize(("P", "r", "M"), [(3, 0.8, 5), (4, 0.3, 21), (5, 0.5, 8), (3, 0.4, 2)])
def test_majority_vote_of_finitely_many(P, r, M):
    """The exact law at no load, T -> 0: m = P(v > 0) - P(v < 0), n = E|v|/(1 + rho); after a tie a spin is free."""
    T = 1e-3 if M % 2 == 0 else 0.0
    point = mt.solve(Dense(P=P, gamma=0.0, T=T, protocol="unsupervised", r=r, M=M, etabar="binomial"))
    w, v = law(r, M)
    assert point.m == pytest.approx((w * np.sign(v)).sum(), abs=1e-12)
    assert point.n == pytest.approx((w * abs(v)).sum() / (1 + (1 - r**2) / (M * r**2)), abs=1e-12)
    assert point.q == pytest.approx(1 - w[v == 0].sum(), abs=1e-12)
    assert point.entropy == pytest.approx(w[v == 0].sum() * np.log(2), abs=1e-10)


@pytest.mark.parametrize(("P", "M", "T"), [(4, 3, 0.4), (3, 4, 0.3), (6, 2, 0.5)])
def test_unequal_examples_grow_as_the_gain_says(P, M, T):
    """The map of M overlaps x_a = (1/N) sum eta^a sigma, summed over all examples a site can have."""
    r, gamma = 0.8, 0.03
    point = mt.solve(Dense(P=P, gamma=gamma, T=T, r=r, M=M, protocol="unsupervised", etabar="binomial"))
    assert point.label == "retrieval"
    R, eta = r**2 + (1 - r**2) / M, np.array(list(product([-1, 1], repeat=M)))
    w = ((1 + r * eta) / 2).prod(axis=1)
    sd = np.sqrt(gamma * noise_of_single_examples(P, r, M) * P / 2 * point.q ** (P - 1)) / T

    def image(x):
        field = P / 2 / (R ** (P / 2) * M) * (eta @ x ** (P - 1)) / T
        return (w * average(np.tanh, field, sd)[0]) @ eta

    x = np.full(M, R * point.n / r)
    np.testing.assert_allclose(image(x), x, atol=1e-11)
    unequal = 1e-5 * np.array([1, -1] + [0] * (M - 2))
    grown = (image(x + unequal) - image(x - unequal)) / 2
    np.testing.assert_allclose(grown, point.example_gain * unequal, rtol=1e-7, atol=1e-13)


@pytest.mark.parametrize("P", [3, 4])
def test_many_examples_make_the_gaussian_law(P):
    """At fixed rho the binomial law tends to the Gaussian one as 1/M: its third and fourth cumulants are of that order.

    The field is wide enough (T, gamma) to average over the lattice of v.
    """
    rho, M = 0.1, np.array([100, 200, 400, 800, 1600])
    r = 1 / np.sqrt(1 + M * rho)
    const = {"P": P, "gamma": 0.05, "T": 0.4, "protocol": "supervised"}
    exact = mt.solve(Dense(**const, r=r, M=M, etabar="binomial"))
    limit = mt.solve(Dense(**const, rho=rho))
    for name in ("m", "n", "q", "free_energy"):
        gap = getattr(exact, name) - getattr(limit, name)
        off = 2 - gap[:-1] / gap[1:]  # of the next order, so half as large each time
        assert abs(off[3]) < 0.06, name
        assert (abs(off[1:]) < 0.65 * abs(off[:-1]) + 1e-3).all(), name
        assert 1e-8 < abs(gap[4]) < 1e-3, name


# --- the noise with its diagonal --------------------------------------------------------------------------------------


def pair_covariance(P, q):
    """Cov(x^P, y^P)/P! of Gaussians of correlation q, by Gauss-Hermite in two dimensions (exact for polynomials)."""
    x, w = np.polynomial.hermite_e.hermegauss(P + 2)
    w = w / w.sum()
    y = q * x[:, None] + np.sqrt(1 - q * q) * x[None, :]
    mean = (w * x**P).sum()
    return ((w[:, None] * w[None, :] * x[:, None] ** P * y**P).sum() - mean**2) / factorial(P)


def xi(P, q, dataset):
    """xi(q)/gamma = Cov/2; of single examples the average over pairs of examples, 1/M of which are the same one."""
    if "M" not in dataset or dataset["protocol"] != "unsupervised":
        return 0.5 * pair_covariance(P, q)
    r, M = dataset["r"], dataset["M"]
    R = r**2 + (1 - r**2) / M
    return 0.5 * (pair_covariance(P, q) / M + (1 - 1 / M) * pair_covariance(P, r**2 * q)) / R**P


DATASETS = [{}, {"protocol": "supervised", "r": 0.7, "M": 4}, {"protocol": "unsupervised", "r": 0.7, "M": 4}]


@pytest.mark.parametrize("P", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("dataset", DATASETS, ids=["storing", "supervised", "unsupervised"])
def test_the_noise_with_its_diagonal_is_that_of_powers_of_gaussians(P, dataset):
    """xi(1) from the paramagnet's energy, -xi(1)/T; xi'(q) from the load that a noise of given width needs."""
    gamma, T = 0.3, 40.0
    model = Dense(P=P, gamma=gamma, T=T, diagonal="included", **dataset)
    share = 1 + model.rho
    hot = mt.solve(model, "paramagnet")
    frozen = xi(P, 1.0, dataset) - xi(P, hot.q, dataset)
    assert hot.energy == pytest.approx(-gamma * frozen / T, rel=1e-10)
    assert (hot.q > 1e-6) == (P % 2 == 1)  # a random field
    sd = np.array([0.1, 0.5, 2.0])
    _, load, x = Dense(P=P, gamma=0.0, T=np.full(3, 0.4), diagonal="included", **dataset).branch(
        np.full(3, 0.7) / share, sd
    )
    q = 1 - 0.4 * x[1]
    slope = [(xi(P, v + 1e-4, dataset) - xi(P, v - 1e-4, dataset)) / 2e-4 for v in q]
    np.testing.assert_allclose(load, sd**2 / slope, rtol=2e-6)


def test_the_powers_of_an_overlap():
    """P = 4: q^4 + 3 q^2; P = 3: q^3 + (3/2) q (1.2)."""
    for q in (0.2, 0.9):
        assert pair_covariance(4, q) == pytest.approx(q**4 + 3 * q**2, rel=1e-12)
        assert pair_covariance(3, q) == pytest.approx(q**3 + 1.5 * q, rel=1e-12)


@pytest.mark.parametrize("P", [3, 4])
def test_energies_of_two_states_covary_as_the_noise(P):
    """E = -(N/2) K terms m^P at two states of overlap q, K = 2 gamma N^(P-1)/P!: Cov(E, E')/N = gamma xi(q) + O(1/N),
    by exact enumeration of one random pattern's overlaps (two binomials): the correction halves as N doubles.
    """
    q = 0.5
    gaps = []
    for N in (64, 128, 256):
        agree, differ = int(N * (1 + q) / 2), int(N * (1 - q) / 2)
        a, b = 2 * np.arange(agree + 1) - agree, 2 * np.arange(differ + 1) - differ
        w = binom.pmf(np.arange(agree + 1), agree, 0.5)[:, None] * binom.pmf(np.arange(differ + 1), differ, 0.5)
        first, second = (a[:, None] + b) / np.sqrt(N), (a[:, None] - b) / np.sqrt(N)
        covariance = (w * first**P * second**P).sum() - (w * first**P).sum() * (w * second**P).sum()
        gaps.append(covariance / factorial(P) - 2 * xi(P, q, {}))
    assert gaps[0] / gaps[1] == pytest.approx(2, rel=0.1)
    assert gaps[1] / gaps[2] == pytest.approx(2, rel=0.05)
    without = comb(64, P) * (q**P) / (64**P / factorial(P))  # distinct sites: that share of pairs, up to 1/N
    assert without == pytest.approx(q**P, rel=P * P / 64)


@pytest.mark.parametrize("P", [3, 4, 5])
def test_the_diagonal_adds_terms_and_takes_none(P):
    """With the diagonal the noise is larger at every q, so less is stored; the no-load network is the same."""
    excluded, included = (
        mt.spinodal(Dense, along="gamma", T=[0.0, 0.3], P=P, diagonal=d).gamma for d in ("excluded", "included")
    )
    assert (included < 0.7 * excluded).all()
    # at T = 0 only xi'(1) counts: the capacities are in its inverse ratio
    slope = (xi(P, 1.0, {}) - xi(P, 1 - 1e-6, {})) / 1e-6 / (P / 2)
    assert excluded[0] / included[0] == pytest.approx(slope, rel=1e-5)
    none = [mt.solve(Dense(P=P, gamma=0.0, T=0.4, diagonal=d)).free_energy for d in ("excluded", "included")]
    assert none[0] == none[1]


@pytest.mark.parametrize("gamma", [0.02, 0.3])
def test_an_odd_diagonal_is_a_random_field(gamma):
    """P = 3, included: m = 0 is a glass in a Gaussian field of variance (3/4) gamma: q -> (3/4) gamma/T^2 when hot.

    Every start without alignment ends on it, at T = 0 too.
    """
    T = np.array([30.0, 60.0])
    hot = mt.solve(Dense(P=3, gamma=gamma, T=T, diagonal="included"), "paramagnet")
    assert hot.q[1] * 60**2 == pytest.approx(0.75 * gamma, rel=2e-3)
    assert hot.q[0] / hot.q[1] == pytest.approx(4, rel=5e-3)
    T = np.array([0.0, 0.3, 1.0])
    glass, free = (mt.solve(Dense(P=3, gamma=gamma, T=T, diagonal="included"), s) for s in ("spin_glass", "paramagnet"))
    for name in ("q", "free_energy", "entropy", "stability"):
        np.testing.assert_allclose(getattr(free, name), getattr(glass, name), rtol=1e-9, err_msg=name)
    assert (glass.label == "spin_glass").all()


# --- one step from the pattern ----------------------------------------------------------------------------------------


def test_the_first_step_from_the_pattern_is_the_signal_to_noise_estimate():
    """V = rho + (2 gamma/P)(1 + rho)^P (2.3): m_1 = erf(1/sqrt(2V)) is the first step from n = 1/(1 + rho), q = 1."""
    P, gamma, rho = 4, 0.05, 0.2
    model = Dense(P=P, gamma=gamma, T=0.0, protocol="supervised", rho=rho)
    x = np.array([1 / (1 + rho), 0.0])
    V = rho + 2 * gamma / P * (1 + rho) ** P
    assert model.order_parameters(x)["m"] == pytest.approx(erf(1 / np.sqrt(2 * V)), abs=1e-12)
    assert 1 / (2 * erfinv(model.order_parameters(x)["m"]) ** 2) == pytest.approx(V, rel=1e-9)
