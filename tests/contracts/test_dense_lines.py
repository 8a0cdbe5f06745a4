"""Boundaries of the dense network: each is checked by what it means, not by what found it; phases as they are known."""

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

import mattis as mt
from mattis.core.quadrature import field
from mattis.sweeps.solve import evaluate
from mattis.theory.glass import glass_temperatures

Dense = mt.DenseHebbian
FAMILIES = {
    "3": {"P": 3},
    "4": {"P": 4},
    "20": {"P": 20},
    "5_rho": {"P": 5, "protocol": "supervised", "rho": 0.1},
    "3_rho": {"P": 3, "protocol": "supervised", "rho": 0.5},
    "4_single": {"P": 4, "protocol": "unsupervised", "r": 0.8, "M": 5},
    "6_closure": {"P": 6, "protocol": "supervised", "rho": 0.1, "closure": "low_entropy"},
    "4_diagonal": {"P": 4, "diagonal": "included"},
    "3_diagonal": {"P": 3, "diagonal": "included"},
    "3_binomial": {"P": 3, "protocol": "supervised", "r": 0.8, "M": 5, "etabar": "binomial"},
}
EVERY = pytest.mark.parametrize("case", FAMILIES)
TEMPERATURES = np.array([0.0, 1e-3, 0.1, 0.16271186440677968, 0.3, 0.45])
PAIR = {"between": ("retrieval", "paramagnet")}


def T_d_and_T_s(P):
    """In units of sqrt(gamma)."""
    return glass_temperatures(((P, 0.5),))


@EVERY
def test_a_spinodal_is_a_fold(case):
    """A solution whose stability vanishes; the signal below it closes as a square root, and above it is gone."""
    const = FAMILIES[case]
    T = TEMPERATURES[:4] if "protocol" in const else TEMPERATURES
    line = mt.spinodal(Dense, along="gamma", T=T, **const)
    assert line.converged.all()
    assert (line.residual < 1e-10).all()
    assert (abs(line.stability) < 1e-9).all()
    assert (line.label == "retrieval").all()
    signal = "m" if "protocol" not in const else "n"
    near, nearer = (
        (getattr(mt.solve(Dense(gamma=line.gamma * (1 - epsilon), T=T, **const)), signal) - getattr(line, signal))
        / np.sqrt(epsilon)
        for epsilon in (1e-5, 1e-7)
    )
    assert (near > 0).all()
    np.testing.assert_allclose(nearer, near, rtol=0.05)
    beyond = evaluate(Dense(gamma=line.gamma * (1 + 1e-4), T=T, **const), "retrieval", mt.Newton())
    kept = beyond["converged"] & (beyond["stability"] > 0) & (beyond[signal] > 0.98 * getattr(line, signal))
    assert not kept.any()


@pytest.mark.parametrize("case", ["3", "5_rho"])
def test_the_two_directions_invert_each_other(case):
    """gamma_M(T_M(gamma)) = gamma, on the upper side of the largest gamma_M."""
    const = FAMILIES[case]
    T = np.array([0.55, 0.6])
    by_T = mt.spinodal(Dense, along="gamma", T=T, **const)
    by_gamma = mt.spinodal(Dense, along="T", gamma=by_T.gamma, **const)
    np.testing.assert_allclose(by_gamma.T, T, rtol=1e-9)
    np.testing.assert_allclose(by_gamma.m, by_T.m, rtol=1e-5)


@pytest.mark.parametrize(("P", "rho"), [(3, 0.2), (4, 0.2), (20, 0.1)])
def test_the_spinodal_with_examples_has_no_gaps(P, rho):
    """At every T it is where the branch, followed from its zero-load end, first turns unstable.

    Further down the branch the load may rise once more, to states of an entropy far below zero.
    """
    const = {"P": P, "protocol": "supervised", "rho": rho}
    T = np.linspace(0.04, 0.64, 31)  # the load is smooth in T: its second difference is small
    line = mt.spinodal(Dense, along="gamma", T=T, **const)
    assert line.converged.all()
    assert (abs(line.stability) < 1e-9).all()
    assert (abs(np.diff(line.gamma, 2)) < 0.012).all()
    assert (line.entropy > -0.08).all()


@pytest.mark.parametrize(("P", "rho", "T"), [(3, 0.2, 0.16), (3, 0.5, 0.3), (4, 0.1, 0.25), (4, 0.2, 0.5)])
def test_the_load_is_largest_at_the_spinodal_with_examples(P, rho, T):
    """The load along the branch, by its closed form and bisection for the width, first falls there."""
    const = {"P": P, "protocol": "supervised", "rho": rho}
    n = mt.solve(Dense(gamma=0.0, T=T, **const)).n * (1 - np.linspace(1e-4, 0.6, 4000))
    many = Dense(gamma=np.zeros(n.size), T=np.full(n.size, T), **const)
    low, high = np.zeros(n.size), np.full(n.size, 4.0)
    for _ in range(45):
        middle = (low + high) / 2
        wide = many.branch(n, middle)[0] < 0  # the residual falls in the width
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    load = many.branch(n, low)[1]
    top = np.flatnonzero(np.diff(load) < 0)[0]
    line = mt.spinodal(Dense, along="gamma", T=T, **const)
    assert line.gamma == pytest.approx(load[top], rel=1e-6)
    assert line.n == pytest.approx(n[top], abs=3e-4)


# --- T_d and T_s on the Nishimori line --------------------------------------------------------------------------------


@pytest.mark.parametrize("P", [3, 4])
def test_the_spinodal_is_largest_at_T_d_squared(P):
    """gamma_M(T) has its maximum at T = gamma = T_d^2, found by maximising, where the replicon vanishes too (1.2)."""
    top = minimize_scalar(
        lambda T: -mt.spinodal(Dense, along="gamma", T=T, P=P).gamma, bounds=(0.3, 0.75), options={"xatol": 1e-7}
    )
    square = T_d_and_T_s(P).dynamic ** 2
    assert -top.fun == pytest.approx(square, rel=1e-13)
    assert top.x == pytest.approx(square, abs=1e-6)  # flat: (1e-6)^2 is round-off
    there = mt.spinodal(Dense, along="gamma", T=square, P=P)
    assert there.gamma == pytest.approx(square, rel=1e-13)
    assert abs(there.replicon) < 1e-12
    assert there.m == pytest.approx(there.q, abs=1e-12)


@pytest.mark.parametrize("P", [3, 6])
def test_the_transition_crosses_at_T_s_squared(P):
    """On T = gamma the two free energies meet at T_s^2; below that temperature there is no transition that replica
    symmetry knows. A T of ten digits, to either side of T_s^2 by round-off, is still on the line.
    """
    square = T_d_and_T_s(P).static ** 2
    rounded = round(square, 10)
    T = np.array([square, rounded, rounded + 1e-10, rounded - 1e-10, square * (1 + 1e-6), square * (1 - 1e-5)])
    line = mt.transition(Dense, along="gamma", T=T, P=P, **PAIR)
    assert np.isnan(line.gamma).tolist() == [False] * 5 + [True]
    np.testing.assert_allclose(line.gamma[:5], square, rtol=1e-11)
    np.testing.assert_allclose(line.m[:4], line.q[:4], rtol=0, atol=1e-9)
    cold = mt.transition(Dense, along="gamma", T=[0.0, 0.01, 0.2, 0.35], P=P, **PAIR)
    assert np.isnan(cold.gamma).all()
    assert (cold.label == "none").all()
    assert not cold.admissible.any()


@pytest.mark.parametrize("case", ["4", "5_rho"])
def test_a_transition_has_equal_free_energies_above_T_s(case):
    const = FAMILIES[case]
    T = np.array([0.5, 0.55])
    line = mt.transition(Dense, along="gamma", T=T, **const, **PAIR)
    assert line.converged.all()
    here = const | {"gamma": line.gamma, "T": T}
    retrieval, free = mt.solve(Dense(**here)), mt.solve(Dense(**here), "paramagnet")
    np.testing.assert_allclose(retrieval.free_energy, free.free_energy, rtol=0, atol=1e-13)
    assert (retrieval.admissible & free.admissible).all()
    assert (T_d_and_T_s(const["P"]).static * np.sqrt(line.gamma) < T).all()
    below = Dense(**here | {"gamma": 0.99 * line.gamma})
    assert (mt.solve(below).free_energy < mt.solve(below, "paramagnet").free_energy).all()
    swapped = mt.transition(Dense, between=("paramagnet", "retrieval"), along="gamma", T=T, **const)
    np.testing.assert_allclose(swapped.gamma, line.gamma, rtol=1e-12)
    back = mt.transition(Dense, along="T", gamma=line.gamma, **const, **PAIR)
    np.testing.assert_allclose(back.T, T, rtol=1e-9)


def test_no_transition_against_the_replica_symmetric_glass():
    """It is no phase: the paramagnet meets it nowhere; retrieval meets the glass of broken symmetry, where that is."""
    T = np.array([0.0, 0.3, 0.45, 0.7])
    line = mt.transition(Dense, between=("spin_glass", "paramagnet"), along="gamma", T=T, P=3)
    assert np.isnan(line.gamma).all()
    assert (line.label == "none").all()
    broken = mt.transition(Dense, along="gamma", T=T, P=3, between=("retrieval", "spin_glass"))
    assert np.isfinite(broken.gamma).tolist() == [False, True, False, False]
    assert T_d_and_T_s(3).static * np.sqrt(broken.gamma[1]) > T[1]
    assert "1 step of broken" in str(broken.ansatz)


# --- the glass and its lines ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("P", [3, 4, 20])
def test_the_onset_of_the_replica_symmetric_glass(P):
    """The least load with q > 0 at m = 0: the minimum of sd^2/((P/2) q^(P-1)), q = E tanh^2(sd z/T), on a grid."""
    line = mt.spinodal(Dense, along="T", of="spin_glass", gamma=[0.04, 1.0], P=P)
    assert line.T[0] == pytest.approx(0.2 * line.T[1], rel=1e-11)
    width = np.geomspace(0.05, 60, 60_001)
    load = width**2 / (P / 2 * (1 - field(0.0, width, 1.0).C) ** (P - 1))
    assert line.T[1] == pytest.approx(1 / np.sqrt(load.min()), rel=1e-7)
    across = mt.spinodal(Dense, along="gamma", of="spin_glass", T=[0.0, 0.2], P=P)
    assert np.isnan(across.gamma[0])  # at T = 0 it is there under every load
    assert across.gamma[1] == pytest.approx((0.2 / line.T[1]) ** 2, rel=1e-11)
    assert (abs(line.stability) < 1e-8).all()
    T = line.T[1] * np.array([1 - 1e-4, 1 + 1e-4])
    assert mt.solve(Dense(P=P, gamma=1.0, T=T), "spin_glass").label.tolist() == ["spin_glass", "paramagnet"]


def test_with_its_diagonal_an_even_glass_may_begin_continuously():
    """P = 4: xi''(0) = 3 gamma makes the paramagnet unstable at T = sqrt(3 gamma), above the jump of the rest."""
    line = mt.spinodal(Dense, along="T", of="spin_glass", gamma=[0.1, 2.0], P=4, diagonal="included")
    np.testing.assert_allclose(line.T, np.sqrt(3 * line.gamma), rtol=1e-10)
    q = mt.solve(Dense(P=4, gamma=0.1, T=line.T[0] * np.array([0.999, 0.998]), diagonal="included"), "spin_glass").q
    assert q[1] / q[0] == pytest.approx(2, rel=0.02)


@pytest.mark.parametrize("case", ["3", "5_rho"])
def test_replicon_vanishes_at_its_line(case):
    const = FAMILIES[case]
    gamma = mt.spinodal(Dense, along="gamma", T=0.0, **const).gamma * np.array([0.6, 0.95])
    line = mt.at_line(Dense, along="T", gamma=gamma, **const)
    assert (abs(line.replicon) < 1e-9).all()
    assert (line.label == "retrieval").all()
    assert (mt.solve(Dense(gamma=gamma, T=line.T * 1.05, **const)).replicon > 0).all()
    assert (mt.solve(Dense(gamma=gamma, T=line.T * 0.95, **const)).replicon < 0).all()
    across = mt.at_line(Dense, along="gamma", T=line.T, **const)
    np.testing.assert_allclose(across.gamma, gamma, rtol=1e-8)


def test_the_line_of_de_almeida_and_thouless_ends_at_T_d_squared():
    """AT value and fold meet on the Nishimori line, so just below T_d^2 the AT load is just below the spinodal's."""
    square = T_d_and_T_s(4).dynamic ** 2
    line = mt.at_line(Dense, along="gamma", T=[square - 1e-3, square + 1e-3], P=4)
    assert line.gamma[0] == pytest.approx(square, abs=1e-5)
    assert np.isnan(line.gamma[1])


# --- phases -----------------------------------------------------------------------------------------------------------


def classified(gamma, T, **const):
    ds = mt.sweep(Dense, over={"gamma": gamma, "T": T}, const=const)
    return mt.classify(ds)


def test_phases_where_they_are_known():
    """P = 4. (gamma, T): retrieval at low load, the paramagnet above T_s sqrt(gamma), nothing replica symmetry can
    name below it where retrieval does not rule, be its other solutions stable and low as they may.
    """
    found = classified([0.0, 0.1, 0.3, 0.45, 1.0], [0.0, 0.1, 0.3, 0.6, 0.8, 1.2], P=4)
    assert found.phase.values.tolist() == [
        ["retrieval"] * 4 + ["paramagnet"] * 2,
        ["retrieval"] * 4 + ["paramagnet"] * 2,
        ["retrieval"] * 3 + ["paramagnet"] * 3,
        ["none"] * 3 + ["paramagnet"] * 3,
        ["none"] * 4 + ["paramagnet"] * 2,
    ]
    glass = found.sel(start="spin_glass")
    assert (glass.label.values[3:, :2] == "spin_glass").all()
    assert not glass.admissible.values[3:, :2].any()


@pytest.mark.parametrize("P", [3, 6])
def test_no_paramagnet_below_T_s_and_no_glass_at_all(P):
    """On a grid: the phase is never the spin glass; the paramagnet only above T_s sqrt(gamma); retrieval only if its f
    is the least of all admissible ones, and below T_s if it is no more than that of the paramagnet at T_s.
    """
    gamma, T = np.linspace(0, 0.6, 25), np.linspace(0, 0.9, 31)
    found = classified(gamma, T, P=P)
    phase = found.phase.values
    T_s = T_d_and_T_s(P).static * np.sqrt(gamma)[:, None]
    assert set(np.unique(phase)) == {"retrieval", "paramagnet", "none"}
    assert (T[None, :] >= T_s * (1 - 1e-7))[phase == "paramagnet"].all()
    f = found.free_energy.sel(start="retrieval").values
    with np.errstate(divide="ignore", invalid="ignore"):
        bound = -T_s * np.log(2) - np.where(T_s > 0, gamma[:, None] / (4 * T_s), 0.0)
        warm = -T * np.log(2) - gamma[:, None] / (4 * T)
    above = T[None, :] > T_s
    rival = np.where(above, warm, bound)
    retrieval = found.label.sel(start="retrieval").values == "retrieval"
    assert ((phase == "retrieval") == (retrieval & (f <= rival))).all()
    strip = phase == "none"
    assert strip.any()
    assert not above[strip].any()


def test_what_replica_symmetry_leaves_open_is_narrow():
    """P = 4, T = 0.2: retrieval ends as a phase at gamma = 0.38000322 against the broken glass (section 6.7); it is
    called one up to at least 0.37, and never beyond.
    """
    gamma = np.linspace(0.3, 0.43, 131)
    phase = classified(gamma, [0.2], P=4).phase.values[:, 0]
    last = gamma[phase == "retrieval"].max()
    assert 0.37 < last <= 0.38000322
    assert (phase[gamma > last] == "none").all()


def test_an_odd_diagonal_has_a_phase_at_every_temperature():
    """P = 3, included: frozen in a random field, of equilibrium where its replicon is positive."""
    found = classified([0.1, 0.4], [0.0, 0.1, 0.4, 1.0, 2.0], P=3, diagonal="included")
    label = found.label.sel(start="spin_glass").values
    assert (label == "spin_glass").all()
    replicon = found.replicon.sel(start="spin_glass").values
    assert ((found.phase.values == "none") <= (replicon < 0)).all()
    assert (found.phase.values[:, 3:] == "spin_glass").all()
    assert found.phase.values[0, 0] == "retrieval"


# --- a sweep ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", ["4", "20", "3_rho", "4_single", "6_closure", "3_diagonal", "3_binomial"])
def test_a_sweep_converges_everywhere_and_keeps_to_the_branch(case):
    """24 x 24 points from every start: no failure; retrieval is found exactly where the load is below the spinodal."""
    const = FAMILIES[case]
    gamma, T = np.linspace(0, 0.6, 24), np.linspace(0, 1.3, 24)
    ds = mt.sweep(Dense, over={"gamma": gamma, "T": T}, const=const)
    assert ds.converged.values.all()
    assert (ds.quadrature_error.values < 1e-11).all()
    end = np.nan_to_num(mt.spinodal(Dense, along="gamma", T=T, **const).gamma, nan=-1.0)
    retrieval = mt.classify(ds).label.sel(start="retrieval").values == "retrieval"
    stable = ds.stability.sel(start="retrieval").values > 0
    assert (retrieval & stable == (gamma[:, None] < end)).all()
    others = ds.sel(start=["spin_glass", "paramagnet"])
    signal = others.m if "protocol" not in const else others.n
    assert (signal.values == 0).all()


@pytest.mark.parametrize(("const", "T"), [
    ({"P": 6, "protocol": "supervised", "rho": 0.5}, 0.1),
    ({"P": 4, "protocol": "supervised", "rho": 2.0}, 0.0),
    ({"P": 3, "protocol": "supervised", "rho": 2.0}, 0.1),
    ({"P": 10, "protocol": "supervised", "rho": 2.0}, 0.0),
    ({"P": 20, "protocol": "unsupervised", "r": 0.8, "M": 5, "etabar": "binomial"}, 0.2),
], ids=lambda v: str(v) if isinstance(v, float) else f"P={v['P']}")  # fmt: skip
def test_retrieval_is_found_up_to_its_end(const, T):
    """Where the dataset is poor the example overlap ends far above 1/(1 + rho), that of the pattern itself."""
    end = mt.spinodal(Dense, along="gamma", T=T, **const)
    point = mt.solve(Dense(gamma=end.gamma * np.array([0.3, 0.7, 0.9, 0.99, 0.999]), T=T, **const))
    assert (point.label == "retrieval").all()
    assert (np.diff(point.n) < 0).all()
    assert (point.n > end.n).all()
    assert (point.stability > 0).all()
