"""Limits, bounds and identities of broken replica symmetry, each with its source, and what a wrong solver gives."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import gammaln

import mattis as mt
from mattis.core.quadrature import field
from mattis.solvers.stationary import Stationary
from mattis.sweeps.stairs import Unknowns
from mattis.theory.rsb import Staircase, State, parisi

SK = mt.SherringtonKirkpatrick


@pytest.mark.parametrize("p", [20, 60])
def test_random_energy_model(p):
    """p -> infinity: f = -sqrt(ln 2) and x = T/T_s, T_s = 1/(2 sqrt(ln 2)) (Derrida, Phys. Rev. B 24 (1981) 2613)."""
    state = mt.rsb(mt.PSpin(p=p, T=0.3))
    assert state.free_energy == pytest.approx(-np.sqrt(np.log(2)), abs=2.0**-p + 1e-7)
    assert state.x[0] == pytest.approx(0.3 * 2 * np.sqrt(np.log(2)), abs=1e-5)


def test_dense_network_is_a_p_spin_glass():
    """Its glass at (gamma, T) is that of p spins at T/sqrt(gamma), in units of sqrt(gamma)."""
    gamma, T = 0.37, 0.21
    dense = mt.rsb(mt.DenseHebbian(P=3, gamma=gamma, T=T), start="spin_glass", k=2)
    glass = mt.rsb(mt.PSpin(p=3, T=T / np.sqrt(gamma)), k=2)
    np.testing.assert_allclose(dense.q, glass.q, rtol=0, atol=1e-10)
    np.testing.assert_allclose(dense.x, glass.x, rtol=0, atol=1e-10)
    assert dense.free_energy == pytest.approx(np.sqrt(gamma) * glass.free_energy, abs=1e-13)


def test_hopfield_network_of_many_patterns_is_sherrington_and_kirkpatrick():
    """alpha -> infinity at T/sqrt(alpha) = 0.4: f/sqrt(alpha) tends to that of SK as 1/sqrt(alpha)."""
    alpha = np.array([1e4, 4e4])
    sk = mt.rsb(SK(T=0.4), k=2)
    many = mt.rsb(mt.Hopfield(alpha=alpha, T=0.4 * np.sqrt(alpha)), start="spin_glass", k=2)
    off = many.free_energy / np.sqrt(alpha) - sk.free_energy
    assert off[0] / off[1] == pytest.approx(2, rel=0.02)
    assert abs(off[1]) < 0.01


@pytest.mark.parametrize(("model", "T"), [(SK, 0.0), (SK, 0.3), (SK, 0.7), ("p3", 0.0), ("p3", 0.1)])
def test_bounds_of_guerra(model, T):
    """f of k steps bounds that of k + 1 from below (F. Guerra, Commun. Math. Phys. 233 (2003) 1), and the limit.

    Replica symmetry too: in SK its glass, in the p-spin glass below T_s the entropy makes it worse than one step.
    """
    made = mt.PSpin(p=3, T=T) if model == "p3" else model(T=T)
    f = [float(mt.rsb(made, k=k).free_energy) for k in range(1, 5)]
    full = mt.rsb(made, k="full")
    f = [*([] if model == "p3" else [float(mt.solve(made).free_energy)]), *f, float(full.free_energy)]
    assert (np.diff(f) > 0).all(), f
    assert full.certified
    assert full.entropy > -1e-4  # -C^2/4 of 14 steps at T = 0; of one, -0.0143


def test_low_temperatures_of_sherrington_and_kirkpatrick():
    """s = 0.718 T^2 and q_EA = 1 - 1.60 T^2 (A. Crisanti, T. Rizzo, Phys. Rev. E 65 (2002) 046137); f at T = 0."""
    full = mt.rsb(SK(T=[0.05, 0.1]), k="full")
    np.testing.assert_allclose(full.entropy / full.T**2, 0.718, atol=2e-3)
    assert (1 - full.q[1, -1]) / 0.01 == pytest.approx(1.60, abs=0.04)
    assert (full.free_energy < -0.7631667).all()


def test_full_breaking_is_marginal():
    """Every level of k steps is unstable by a replicon that vanishes as k^-2."""
    least = [-mt.rsb(SK(T=0.5), k=k).replicon.min() for k in (4, 8)]
    middle = [-np.median(mt.rsb(SK(T=0.5), k=k).replicon) for k in (4, 8)]
    assert least[0] / least[1] > 2.5
    assert middle[0] / middle[1] == pytest.approx(4, rel=0.35)


@pytest.mark.parametrize(("k", "wrong"), [(1, -0.768828026), (2, -0.764027536)])
def test_a_solver_that_forces_q_0_to_zero_is_found_out(k, wrong):
    """It is stationary, its value is known (by an independent program), and its lowest level is unstable."""
    functional = parisi(SK(T=0.0))
    start = mt.rsb(SK(T=0.0), k=k)
    guess = State(0.0, Staircase(np.append(0.0, start.q[1:]), float(start.C) * 1.3, start.x * 0.6))
    state, root = Unknowns(aligned=False, gapped=True).solve(functional, guess, Stationary())
    assert root.converged
    account = functional.account(state)
    assert account.free_energy == pytest.approx(wrong, abs=6e-10)
    assert account.free_energy < start.free_energy
    assert account.replicon[0] < start.replicon[0] < 0


def test_slope_on_the_flat_direction_of_retrieval():
    """Hopfield at T = 0: f changes by 1e-8 over a tenth of y*, yet df/dy has its sign, by two steps of differences."""
    alpha = 0.1375
    model, found = mt.Hopfield(alpha=alpha, T=0.0), mt.rsb(mt.Hopfield(alpha=alpha, T=0.0))
    functional, held = parisi(model), Unknowns(aligned=True, gapped=False, held=True)

    def nested(y):
        at = State(float(found.m), Staircase(found.q, float(found.C), np.array([y])))
        state, root = held.solve(functional, at, Stationary())
        assert root.converged
        return functional.account(state).free_energy, -0.5 * functional.residual(state)[-1]

    for y in (0.8 * found.x[0], 1.25 * found.x[0]):
        slope = nested(y)[1]
        for step in (4e-2 * y, 2e-2 * y):
            up, down = nested(y + step)[0], nested(y - step)[0]
            assert np.sign(up - down) == np.sign(slope)
            assert (up - down) / (2 * step) == pytest.approx(slope, rel=0.02)
    assert nested(0.8 * found.x[0])[1] * nested(1.25 * found.x[0])[1] < 0
    assert found.x_low[0] < found.x[0] < found.x_high[0]
    assert nested(found.x_low[0])[1] * nested(found.x_high[0])[1] < 0


def test_nishimori_line():
    """T = gamma: replica symmetry is exact in retrieval, m = q (H. Nishimori, Prog. Theor. Phys. 66 (1981) 1169)."""
    state = mt.rsb(mt.DenseHebbian(P=4, gamma=[0.2, 0.4], T=[0.2, 0.4]), k=2)
    assert (state.steps == 0).all()
    assert state.certified.all()
    np.testing.assert_allclose(state.m, state.q[:, -1], rtol=0, atol=1e-10)


def test_complexity():
    """At x = 1 that of planted states; zero at the x of equilibrium; d Sigma/df = x/T (PRL 75 (1995) 2847)."""
    T = 0.66
    top = mt.complexity(mt.PSpin(p=3, T=T), x=[1.0])

    def gap(q):
        return field(1.5 * q * q / T**2, np.sqrt(1.5) * q / T, 1.0).tanh - q

    q = brentq(gap, 0.75, 0.99)
    noise = 1.5 * q * q / T**2
    gain = field(noise, np.sqrt(noise), 1.0).log2cosh - np.log(2) - noise / 2
    assert top.complexity[0] == pytest.approx(noise / 2 * (q - q / 3) - gain, abs=1e-12)
    assert top.q[0, 1] == pytest.approx(q, abs=1e-10)

    cold = mt.PSpin(p=3, T=0.4)
    here = mt.rsb(cold)
    near = mt.complexity(cold, x=here.x[0] * np.array([0.9999, 1.0, 1.0001]))
    assert abs(near.complexity[1]) < 1e-11
    assert near.free_energy[1] == pytest.approx(float(here.free_energy), abs=1e-11)
    slope = (near.complexity[2] - near.complexity[0]) / (near.free_energy[2] - near.free_energy[0])
    assert float(slope) == pytest.approx(here.x[0] / 0.4, rel=1e-6)
    minima = mt.complexity(mt.PSpin(p=3, T=0.0))
    assert minima.complexity.max() > 0.06
    assert not np.isnan(minima.complexity).any()


@pytest.mark.parametrize("T", [1.5, 3.0])
def test_hard_and_soft_glass(T):
    """Without overlap, D = 1 - 1/T: the modes of Hopfield's network add alpha T ln D + (alpha T/2)(1/D - 1) + alpha/2.

    The rest of f is -T ln 2 and the Gaussian couplings; in a dense network that is all.
    """
    alpha, D = 0.04, 1 - 1 / T
    free = mt.rsb(mt.Hopfield(alpha=alpha, T=T), start="spin_glass")
    assert free.steps == 0
    soft = alpha * T * np.log(D) + 0.5 * alpha * T * (1 / D - 1) + 0.5 * alpha
    assert free.soft_free_energy == pytest.approx(soft, abs=1e-15)
    hard = -T * np.log(2) - 0.5 * alpha * T * (1 / D - 1 + np.log(D))  # -(1/2T) int R dq of paramagnetic spins
    assert free.free_energy - free.soft_free_energy == pytest.approx(hard, abs=1e-14)
    assert mt.rsb(mt.DenseHebbian(P=4, gamma=0.3, T=0.1), start="spin_glass").soft_free_energy == 0


def remainder(P, N, T):
    """-T (K/N)[ln E e^X - E X^2/2] of all patterns in free spins, per load, X = -H_mu/T: beyond Gaussian couplings."""
    M = np.arange(-N, N + 1, 2.0)
    before, e = np.ones(M.size), M
    for k in range(1, P):
        before, e = e, (M * e - (N - k + 1) * before) / (k + 1)
    law = np.exp(gammaln(N + 1) - gammaln((N + M) / 2 + 1) - gammaln((N - M) / 2 + 1) - N * np.log(2))
    factorial = float(np.prod(np.arange(1, P + 1)))
    X = factorial * e / (2 * N ** (P - 1.0)) / T
    near = sum(np.where(abs(X) < 0.3, X, 0.0) ** k / float(np.prod(np.arange(1, k + 1))) for k in range(3, 14))
    beyond = law @ np.where(abs(X) < 0.3, near, np.expm1(np.minimum(X, 600)) - X - 0.5 * X**2)  # E X = 0
    whole = 0.5 * law @ X**2 + beyond
    log = np.log1p(whole) - whole if whole > 1e-3 else -0.5 * whole**2 + whole**3 / 3
    return -T * 2 * N ** (P - 2.0) / factorial * (beyond + log)


def test_only_the_hard_glass_survives_above_two_spins():
    """arXiv:2111.12997, by exact sums: at P = 2 the patterns add more than Gaussian couplings do, at P > 2 nothing."""
    T = 2.0
    limit = 0.5 * T * (np.log(1 - 1 / T) + 1 / T + 0.5 / T**2)
    assert remainder(2, 3000, T) == pytest.approx(limit, rel=2e-3)
    for P in (3, 4, 6):
        few, many = remainder(P, 800, T), remainder(P, 3200, T)
        assert abs(many) < 0.3 * abs(few) < 0.002 * abs(limit) * 10


def test_end_of_retrieval():
    """At the spinodal with one step the stability vanishes, as the square root of the distance before it."""
    end = mt.spinodal(mt.DenseHebbian, along="gamma", k=1, P=4, T=0.1)
    assert abs(end.stability) < 1e-6
    before = mt.rsb(mt.DenseHebbian(P=4, gamma=end.gamma * (1 - np.array([4e-4, 1e-4])), T=0.1))
    assert before.stability[0] / before.stability[1] == pytest.approx(2, rel=0.03)
    with pytest.raises(mt.ConvergenceError, match="has no retrieval state of k=1 steps that could be found at 1 of 1"):
        mt.rsb(mt.DenseHebbian(P=4, gamma=float(end.gamma) * 1.001, T=0.1))
    warm = mt.spinodal(mt.DenseHebbian, along="gamma", k=1, P=4, T=0.6)
    assert warm.steps == 0
    assert warm.gamma == pytest.approx(mt.spinodal(mt.DenseHebbian, along="gamma", P=4, T=0.6).gamma, rel=1e-12)


def test_thermodynamic_capacity_in_one_step():
    """Both states broken: the boundary is where their f is equal, and little above that of symmetric retrieval."""
    line = mt.transition(mt.DenseHebbian, between=("retrieval", "spin_glass"), along="gamma", k=1, P=3, T=0.2)
    here = mt.DenseHebbian(P=3, gamma=line.gamma, T=0.2)
    assert mt.rsb(here).free_energy == pytest.approx(mt.rsb(here, start="spin_glass").free_energy, abs=1e-12)
    plain = mt.transition(mt.DenseHebbian, between=("retrieval", "spin_glass"), along="gamma", P=3, T=0.2)
    assert 0 < plain.gamma - line.gamma < 5e-3 or np.isnan(plain.gamma)


def test_units():
    """A dense network of load gamma is one of load 1 in units of sqrt(gamma), at T = 0 and above, however small."""
    one = mt.rsb(mt.DenseHebbian(P=3, gamma=1.0, T=[0.0, 0.2]), start="spin_glass", k=2)
    for gamma in (1e-6, 1e6):
        unit = np.sqrt(gamma)
        other = mt.rsb(mt.DenseHebbian(P=3, gamma=gamma, T=unit * np.array([0.0, 0.2])), start="spin_glass", k=2)
        np.testing.assert_allclose(other.free_energy, unit * one.free_energy, rtol=1e-12)
        np.testing.assert_allclose(other.q, one.q, rtol=0, atol=1e-8)


def test_fineness_of_the_grids():
    """Finer grids change a residual by round-off only: what ``quadrature_error`` says."""
    state = mt.rsb(SK(T=0.1), k=4)
    functional = parisi(SK(T=0.1))
    point = State(0.0, Staircase(state.q, float(state.C), state.x / 0.1))
    change = replace(functional, fineness=2.3).residual(point) - functional.residual(point)
    assert abs(change).max() < 1e-12
    assert state.quadrature_error < 1e-12
