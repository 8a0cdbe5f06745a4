"""The Hopfield network where it is known in closed form. AGS: Amit, Gutfreund, Sompolinsky, Ann. Phys. 173 (1987) 30.

At T = 0, with y = m/sqrt(2 alpha r) and c = sqrt(2/pi) (AGS, section 4; dense_hebbian.md 2.1):
sqrt(2 alpha) + (2/sqrt pi) e^{-y^2} = erf(y)/y,  m = erf(y),  C = 1 - sqrt(2 alpha) y/m,  r = 1/(1 - C)^2.
"""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize_scalar
from scipy.special import erf

import mattis as mt
from mattis.sweeps.solve import fixed_points

c = np.sqrt(2 / np.pi)


def load_of(y):
    """alpha(y) at T = 0."""
    return 0.5 * (erf(y) / y - 2 / np.sqrt(np.pi) * np.exp(-y * y)) ** 2


def frozen(alpha):
    """(m, C, f) of the retrieval solution at T = 0: the larger root y of alpha(y) = alpha."""
    top = minimize_scalar(lambda y: -load_of(y), bounds=(1, 2), options={"xatol": 1e-10}).x
    y = brentq(lambda y: load_of(y) - alpha, top, 40, xtol=1e-15, rtol=4e-15)
    m = erf(y)
    C = 1 - np.sqrt(2 * alpha) * y / m
    r = 1 / (1 - C) ** 2
    signal = m * erf(y) + np.sqrt(2 * alpha * r / np.pi) * np.exp(-y * y)
    return m, C, m**2 / 2 + alpha / 2 * (r * C - 1 / (1 - C) + 1) - signal


@pytest.mark.parametrize("alpha", [0.001, 0.02, 0.05, 0.1, 0.13, 0.1379])
def test_retrieval_at_zero_temperature(alpha):
    """y, m, C by the erf formulas; errors: residual 1e-12 over the stability."""
    point = mt.solve(mt.Hopfield(alpha=alpha, T=0.0))
    m, C, f = frozen(alpha)
    assert point.q == 1
    assert point.m == pytest.approx(m, abs=4e-12 / point.stability)
    assert point.r_noise == pytest.approx(1 / (1 - C) ** 2, abs=4e-11 / point.stability)
    assert point.free_energy == pytest.approx(f, abs=1e-13)
    assert point.energy == pytest.approx(f, abs=1e-11)
    S = -alpha / 2 * (np.log1p(-C) + C / (1 - C))  # exponentially small, negative
    assert point.entropy == pytest.approx(S, rel=1e-8, abs=1e-15)
    assert point.entropy < 0 or C < 1e-9


def test_capacity_is_the_maximum_of_the_closed_form():
    top = minimize_scalar(lambda y: -load_of(y), bounds=(1, 2), options={"xatol": 1e-10})
    assert mt.spinodal(mt.Hopfield, T=0.0).alpha == pytest.approx(-top.fun, rel=2e-15)


@pytest.mark.parametrize("alpha", [0.01, 0.1, 0.7, 5.0])
def test_spin_glass_at_zero_temperature(alpha):
    """C = c/(c + sqrt alpha), e = -(c + sqrt alpha)^2/2 + alpha/2 (dense_hebbian.md 2.1), S = S(C)."""
    glass = mt.solve(mt.Hopfield(alpha=alpha, T=0.0), "spin_glass")
    C = c / (c + np.sqrt(alpha))
    assert (glass.m, glass.q, str(glass.label)) == (0, 1, "spin_glass")
    assert glass.r_noise == pytest.approx((1 + c / np.sqrt(alpha)) ** 2, rel=1e-10)
    e = alpha / 2 - 0.5 * (np.sqrt(alpha) + c) ** 2
    assert glass.free_energy == pytest.approx(e, abs=1e-12)
    assert glass.energy == pytest.approx(e, abs=1e-10)
    assert glass.entropy == pytest.approx(-alpha / 2 * (np.log1p(-C) + C / (1 - C)), abs=1e-10)
    assert glass.replicon == -np.inf


@pytest.mark.parametrize("T", [0.0, 1e-3, 0.2, 0.7, 0.999, 1.5])
def test_without_load_it_is_the_curie_weiss_ferromagnet(T):
    """alpha = 0: identical to the last bits; alpha -> 0: linearly (r is finite at q > 0)."""
    magnet = mt.solve(mt.CurieWeiss(T=T))
    bare = mt.solve(mt.Hopfield(alpha=0.0, T=T))
    assert bare.m == pytest.approx(magnet.m, abs=4e-12 / max(magnet.stability, 1e-3))
    for name in ("free_energy", "energy", "entropy", "stability"):
        assert getattr(bare, name) == pytest.approx(getattr(magnet, name), abs=1e-9), name
    assert bare.replicon == 1
    if 0.1 < T < 0.9:
        gaps = [mt.solve(mt.Hopfield(alpha=a, T=T)).free_energy - magnet.free_energy for a in (1e-4, 1e-5, 1e-6)]
        assert gaps[0] / gaps[1] == pytest.approx(10, rel=0.05)
        assert gaps[1] / gaps[2] == pytest.approx(10, rel=0.01)


def test_glass_temperature():
    """T_g = 1 + sqrt(alpha) (Amit, Gutfreund, Sompolinsky 1987): a zero of 1 - T_g-map, to round-off."""
    alpha = np.array([0.0, 1e-6, 0.01, 0.1379, 1.0, 7.3])
    line = mt.spinodal(mt.Hopfield, along="T", of="spin_glass", alpha=alpha)
    np.testing.assert_allclose(line.T, 1 + np.sqrt(alpha), rtol=1e-13)
    T = np.array([1.0001, 1.2, 2.0, 5.5])
    onset = mt.spinodal(mt.Hopfield, along="alpha", of="spin_glass", T=T)
    assert (abs(onset.alpha - (T - 1) ** 2) < 4e-13 * T).all()


def test_glass_grows_linearly_below_its_onset():
    """q ~ (T_g - T)/k: doubling the distance doubles q, to first order."""
    T_g = 1 + np.sqrt(0.2)
    q = mt.solve(mt.Hopfield(alpha=0.2, T=T_g - np.array([2e-3, 1e-3, 5e-4])), "spin_glass").q
    assert q[0] / q[1] == pytest.approx(2, rel=5e-3)
    assert q[1] / q[2] == pytest.approx(2, rel=2.5e-3)


@pytest.mark.parametrize("alpha", [0.05, 0.4])
def test_high_temperature(alpha):
    """m = q = 0: f = -T ln 2 + (alpha/2)[1 + T ln(1 - 1/T)], whose tail is -alpha/(4T) (annealed)."""
    T = np.array([2.5, 10.0, 1e3])
    hot = mt.solve(mt.Hopfield(alpha=alpha, T=T))
    assert (hot.label == "paramagnet").all()
    exact = -T * np.log(2) + alpha / 2 * (1 + T * np.log1p(-1 / T))
    np.testing.assert_allclose(hot.free_energy, exact, rtol=1e-15, atol=1e-13)
    np.testing.assert_allclose(hot.energy, alpha / 2 * (1 - 1 / (1 - 1 / T)), rtol=1e-12, atol=1e-15)
    tail = (hot.free_energy[2] + 1e3 * np.log(2)) * 1e3
    assert tail == pytest.approx(-alpha / 4, rel=1e-3)


def test_replicon_vanishes_on_the_line_of_de_almeida_and_thouless():
    """alpha beta^2 E sech^4/D^2 = 1 (Amit, Gutfreund, Sompolinsky 1987), the average by an independent rule."""
    line = mt.at_line(mt.Hopfield, alpha=[0.1, 0.13])
    z, step = np.linspace(-9, 9, 90_001, retstep=True)  # of h at most 0.06
    weight = step * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)
    for alpha, T, m, q in zip([0.1, 0.13], line.T, line.m, line.q, strict=True):
        C = (1 - q) / T
        e = np.exp(-2 * abs(m + np.sqrt(alpha * q) / (1 - C) * z) / T)
        sech4 = (weight * (4 * e / (1 + e) ** 2) ** 2).sum()
        assert alpha * sech4 / (T * (1 - C)) ** 2 == pytest.approx(1, rel=1e-8)
    assert (abs(line.replicon) < 1e-9).all()


def test_glass_is_unstable_against_replica_symmetry_breaking_everywhere():
    """replicon < 0 below T_g (AGS section 5), 0 at T_g, (1 - T_g-map) above."""
    T = np.array([0.0, 0.05, 0.5, 1.0, 1.2])[:, None]
    glass = mt.solve(mt.Hopfield(alpha=np.array([0.1, 0.3, 1.1]), T=T), "spin_glass")
    assert (glass.replicon < 0).all()
    hot = mt.solve(mt.Hopfield(alpha=0.3, T=2.0), "paramagnet")
    assert hot.replicon == pytest.approx(1 - 0.3 / (2.0 - 1) ** 2, rel=1e-14)


# --- datasets (dense_hebbian.md 1.3, 2.3, 2.4) ------------------------------------------------------------------------


def test_perfect_examples_are_the_patterns():
    """rho = 0 (supervised) and r = 1 (both protocols) equal storing, bit for bit in the variables."""
    alpha, T = np.array([0.0, 0.03, 0.1]), np.array([[0.0], [0.2]])
    storing = mt.solve(mt.Hopfield(alpha=alpha, T=T))
    datasets = [
        mt.Hopfield(alpha=alpha, T=T, protocol="supervised", rho=0.0),
        mt.Hopfield(alpha=alpha, T=T, protocol="supervised", r=1.0, M=7),
        mt.Hopfield(alpha=alpha, T=T, protocol="unsupervised", r=1.0, M=7),
    ]
    for model in datasets:
        found = mt.solve(model)
        np.testing.assert_allclose(found.m, storing.m, rtol=0, atol=2e-12)
        np.testing.assert_allclose(found.n, storing.m, rtol=0, atol=2e-12)
        for name in ("q", "free_energy", "energy", "entropy"):
            np.testing.assert_allclose(getattr(found, name), getattr(storing, name), rtol=0, atol=1e-11, err_msg=name)


def test_small_dataset_entropy_is_linear():
    """f(rho) - f(0) is of first order in rho: the ratio over one decade is 10."""
    base = mt.solve(mt.Hopfield(alpha=0.05, T=0.2)).free_energy
    rho = np.array([1e-3, 1e-4, 1e-5])
    gap = mt.solve(mt.Hopfield(alpha=0.05, T=0.2, protocol="supervised", rho=rho)).free_energy - base
    assert gap[0] / gap[1] == pytest.approx(10, rel=0.05)
    assert gap[1] / gap[2] == pytest.approx(10, rel=5e-3)


def test_many_examples_are_the_patterns():
    """M -> infinity at r = 0.5: supervised and unsupervised approach storing as 1/M, in f.

    The unsupervised noise is (M - 1) kappa^2 -> 1/M ((1 - r^2)/r^2)^2.
    """
    base = mt.solve(mt.Hopfield(alpha=0.03, T=0.1)).free_energy
    M = np.array([1e4, 1e5, 1e6])
    for protocol in ("supervised", "unsupervised"):
        gap = mt.solve(mt.Hopfield(alpha=0.03, T=0.1, protocol=protocol, r=0.5, M=M)).free_energy - base
        assert gap[1] / gap[2] == pytest.approx(10, rel=0.01), protocol
        assert abs(gap[2]) < 1e-4


@pytest.mark.parametrize("start", ["retrieval", "spin_glass", "paramagnet"])
def test_one_example_knows_no_class(start):
    """M = 1: class mean and example are the same, so both protocols agree exactly."""
    grid = {"alpha": np.array([0.0, 0.01, 0.2]), "T": np.array([[0.0], [0.1], [0.3], [2.0]]), "r": 0.9, "M": 1}
    sup = mt.solve(mt.Hopfield(protocol="supervised", **grid), start)
    uns = mt.solve(mt.Hopfield(protocol="unsupervised", **grid), start)
    for name in ("m", "n", "q", "r_noise", "free_energy", "energy", "entropy", "stability"):
        a, b = getattr(sup, name), getattr(uns, name)
        np.testing.assert_allclose(a, b, rtol=1e-13, atol=1e-14, err_msg=name)


def test_weak_coupling_of_single_examples():
    """C -> 0 (retrieval at low T and load): r = q (1 + rho_2)/(1 + rho)^2, rho_2 = (1 - r^4)/(M r^4)."""
    r, M = 0.6, 12
    rho, rho_2 = (1 - r**2) / (M * r**2), (1 - r**4) / (M * r**4)
    model = mt.Hopfield(alpha=0.01, T=0.05, protocol="unsupervised", r=r, M=M)
    for C in (1e-3, 1e-5, 0.0):
        found = model.order_parameters(np.array([0.8, C]))
        weak = (1 + rho_2) / (1 + rho) ** 2
        assert found["r_noise"] / found["q"] == pytest.approx(weak, rel=2.1 * C + 4e-16)


@pytest.mark.parametrize("rho", [0.05, 0.5, 1.7])
def test_majority_vote(rho):
    """Zero load, T = 0: m = erf(1/sqrt(2 rho)), n = [m + sqrt(2 rho/pi) e^{-1/(2 rho)}]/(1 + rho)."""
    point = mt.solve(mt.Hopfield(alpha=0.0, T=0.0, protocol="supervised", rho=rho))
    m = erf(1 / np.sqrt(2 * rho))
    n = (m + np.sqrt(2 * rho / np.pi) * np.exp(-1 / (2 * rho))) / (1 + rho)
    assert point.m == pytest.approx(m, abs=4e-12)
    assert point.n == pytest.approx(n, abs=4e-12)


@pytest.mark.parametrize(("alpha", "rho"), [(0.02, 0.1), (0.05, 0.2), (0.07, 0.02)])
def test_supervised_at_zero_temperature(alpha, rho):
    """alpha(x) = n^2 (1/(2x^2) - rho)(1 - G)^2, G = 2x/(sqrt(pi) n) e^{-x^2}, m = erf(x) (dense_hebbian.md 2.3)."""

    def signal(x):
        return (erf(x) + rho * 2 * x / np.sqrt(np.pi) * np.exp(-x * x)) / (1 + rho)

    def load(x):
        G = 2 * x / (np.sqrt(np.pi) * signal(x)) * np.exp(-x * x)
        return signal(x) ** 2 * (1 / (2 * x * x) - rho) * (1 - G) ** 2

    end = 1 / np.sqrt(2 * rho)
    grid = np.linspace(0.3, end, 4001)[:-1]
    if load(grid).max() < alpha:
        assert mt.spinodal(mt.Hopfield, T=0.0, protocol="supervised", rho=rho).alpha < alpha
        return
    x = brentq(lambda x: load(x) - alpha, grid[np.argmax(load(grid))], end, xtol=1e-15)
    point = mt.solve(mt.Hopfield(alpha=alpha, T=0.0, protocol="supervised", rho=rho))
    assert point.m == pytest.approx(erf(x), abs=1e-11 / point.stability)
    assert point.n == pytest.approx(signal(x), abs=1e-11 / point.stability)


def test_diagonal_of_examples():
    """T -> infinity: f + T ln 2 -> 0, so what the diagonal adds is what the noise takes (dense_hebbian.md 2.4)."""
    for r, M in ((0.5, 30), (0.8, 5)):
        hot = mt.Hopfield(alpha=0.1, T=1e5, protocol="unsupervised", r=r, M=M)
        x = fixed_points(hot.flat(), "paramagnet", mt.Newton()).x[:, 0]
        assert hot.free_energy(x) + 1e5 * np.log(2) == pytest.approx(0, abs=1e-5)
