"""The Sherrington-Kirkpatrick model where it is known in closed form (Phys. Rev. Lett. 35 (1975) 1792)."""

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

import mattis as mt

c = np.sqrt(2 / np.pi)


def test_ground_state_of_the_replica_symmetric_glass():
    """e = -sqrt(2/pi) = -0.7978845608, S = -1/(2 pi) (Sherrington, Kirkpatrick 1975), C = sqrt(2/pi)."""
    cold = mt.solve(mt.SherringtonKirkpatrick(T=0.0))
    assert cold.free_energy == pytest.approx(-c, abs=2e-15)
    assert cold.free_energy == pytest.approx(-0.7978845608, abs=5e-11)
    assert cold.energy == pytest.approx(-c, abs=1e-12)
    assert cold.entropy == pytest.approx(-1 / (2 * np.pi), abs=1e-12)
    assert cold.replicon == -np.inf


@pytest.mark.parametrize("h", [0.1, -0.8, 2.5])
def test_field_at_zero_temperature(h):
    """q = 1: C = c e^{-h^2/2}, m = erf(h/sqrt 2), f = -[h m + c e^{-h^2/2}], S = -C^2/4."""
    cold = mt.solve(mt.SherringtonKirkpatrick(T=0.0, h=h))
    C, m = c * np.exp(-0.5 * h * h), erf(h / np.sqrt(2))
    assert cold.m == pytest.approx(m, abs=1e-15)
    assert cold.free_energy == pytest.approx(-h * m - C, abs=2e-15 * (1 + abs(h)))
    assert cold.energy == pytest.approx(-h * m - C, abs=2e-12)
    assert cold.entropy == pytest.approx(-(C**2) / 4, abs=2e-12)


@pytest.mark.parametrize("h", [0.3, -1.2])
@pytest.mark.parametrize("T", [0.0, 1e-3, 0.01, 0.2, 1.5])
def test_one_solution_in_a_field(h, T):
    """Guerra 2001, Latala 2002: with h != 0 the equation for q has one root, so both starts end on it."""
    glass = mt.solve(mt.SherringtonKirkpatrick(T=T, h=h), "spin_glass")
    other = mt.solve(mt.SherringtonKirkpatrick(T=T, h=h), "paramagnet")
    assert other.q == pytest.approx(glass.q, abs=4e-12)
    assert other.free_energy == pytest.approx(glass.free_energy, abs=1e-12)


def test_low_temperature_entropy():
    """S(T) -> -1/(2 pi) linearly."""
    T = np.array([1e-2, 1e-3, 1e-4, 1e-8])
    gap = mt.solve(mt.SherringtonKirkpatrick(T=T)).entropy + 1 / (2 * np.pi)
    assert gap[0] / gap[1] == pytest.approx(10, rel=0.1)
    assert gap[1] / gap[2] == pytest.approx(10, rel=0.01)
    assert abs(gap[3]) < 1e-7


def test_glass_temperature_is_one():
    line = mt.spinodal(mt.SherringtonKirkpatrick, along="T", of="spin_glass")
    assert pytest.approx(1, abs=1e-13) == line.T


def test_order_parameter_below_the_transition():
    """q = t + t^2/3 + O(t^3), t = 1 - T (the RS equation expanded): the rest falls as t^3."""
    t = np.array([4e-2, 2e-2, 1e-2])
    q = mt.solve(mt.SherringtonKirkpatrick(T=1 - t)).q
    rest = q - t - t**2 / 3
    assert rest[0] / rest[1] == pytest.approx(8, rel=0.1)
    assert rest[1] / rest[2] == pytest.approx(8, rel=0.05)


@pytest.mark.parametrize("T", [1.0 + 1e-9, 1.3, 4.0, 1e4])
def test_paramagnet(T):
    """f = -T ln 2 - 1/(4T), u = -1/(2T), s = ln 2 - 1/(4T^2), replicon 1 - 1/T^2 (exact: annealed)."""
    hot = mt.solve(mt.SherringtonKirkpatrick(T=T), "paramagnet")
    assert hot.q == 0
    assert hot.free_energy == pytest.approx(-T * np.log(2) - 0.25 / T, rel=1e-15)
    assert hot.energy == pytest.approx(-0.5 / T, rel=1e-15)
    assert hot.entropy == pytest.approx(np.log(2) - 0.25 / T**2, abs=1e-15)
    assert hot.replicon == pytest.approx(1 - 1 / T**2, abs=1e-15)


def test_no_field_is_the_limit_of_small_field():
    """q(h) - q(0) is of second order in h below T_c."""
    q = mt.solve(mt.SherringtonKirkpatrick(T=0.6, h=np.array([0.0, 1e-2, 1e-3]))).q
    assert (q[1] - q[0]) / (q[2] - q[0]) == pytest.approx(100, rel=0.02)


def test_line_of_de_almeida_and_thouless():
    """E sech^4(h/T + sqrt(q) z/T) = T^2 (J. Phys. A 11 (1978) 983), root and average by independent rules."""
    z, step = np.linspace(-9, 9, 2001, retstep=True)
    w = step * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

    def moments(q, T, h):
        t2 = np.tanh((h + np.sqrt(q) * z) / T) ** 2
        return (w * t2).sum(), (w * (1 - t2) ** 2).sum()

    for h in (0.2, 0.5, 1.0):
        line = mt.at_line(mt.SherringtonKirkpatrick, along="T", of="spin_glass", h=h)

        def q_of(T, h=h):
            return brentq(lambda q: moments(q, T, h)[0] - q, 1e-12, 1, xtol=1e-14)

        def replicon(T, h=h):
            return 1 - moments(q_of(T), T, h)[1] / T**2

        T = brentq(replicon, 0.5 * line.T, 1.5 * line.T, xtol=1e-13)
        assert pytest.approx(T, abs=1e-10) == line.T
        assert abs(line.replicon) < 1e-10


def test_small_field_on_that_line():
    """h^2 = (4/3)(1 - T)^3 close to T_c (de Almeida, Thouless 1978): corrections fall linearly in 1 - T."""
    h = np.array([1e-2, 1e-3])
    tau = 1 - mt.at_line(mt.SherringtonKirkpatrick, along="T", of="spin_glass", h=h).T
    ratio = h**2 / tau**3 / (4 / 3)
    assert ratio[1] == pytest.approx(1, abs=3 * tau[1])
    assert (ratio[0] - 1) / (ratio[1] - 1) == pytest.approx(tau[0] / tau[1], rel=0.2)


def test_a_glass_of_dense_load_is_the_glass_of_sherrington_and_kirkpatrick():
    """alpha -> infinity at t = T/sqrt(alpha): Hopfield couplings turn Gaussian, corrections fall as 1/sqrt(alpha)."""
    alpha, t = np.array([1e4, 1e6]), 0.5
    hopfield = mt.solve(mt.Hopfield(alpha=alpha, T=t * np.sqrt(alpha)), "spin_glass")
    sk = mt.solve(mt.SherringtonKirkpatrick(T=t))
    gap = hopfield.q - sk.q
    assert gap[0] / gap[1] == pytest.approx(10, rel=0.05)
    assert abs(gap[1]) < 1e-2
