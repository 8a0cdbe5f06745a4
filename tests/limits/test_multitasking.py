"""The multitasking network against reference digits, against networks it contains, and against sums written out here.

Digits without another source were computed from the equations of the docstring by separate code (double precision).
"""

from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq

import mattis as mt
from mattis.sweeps.solve import fixed_points

QUANTITIES = ("free_energy", "energy", "entropy", "replicon", "stability")
RNG = np.random.default_rng(5)


def solve(start=None, **parameters):
    return mt.solve(mt.Multitasking(**parameters), start)


# --- digits ----------------------------------------------------------------------------------------------------------

HIERARCHICAL = [
    (2, 0.3, 0.1, [0.6999760657, 0.2028858209], -0.2736241702, 0.85919781),
    (2, 0.7, 0.1, [0.2523114579] * 2, -0.1023706757, 0.04664691),
    (3, 0.2, 0.02, [0.8, 0.1599997429, 0.0285009622], -0.3334527704, 0.66917923),
    (3, 0.4, 0.2, [0.5932801721, 0.1725557076, 0], -0.2372261079, 0.11063826),
    (3, 0.8, 0.05, [0.1636267361] * 3, -0.0597799220, 0.02440564),
    (4, 0.3, 0.02, [0.7, 0.2099999406, 0.0627635945, 0], -0.2694111390, 0.03847437),
    (4, 0.8, 0.08, [0.1454400146] * 4, -0.0734419670, 0.19895571),
    (5, 0.9, 0.02, [0.0827246145] * 5, -0.0258178040, 0.07674444),
]


@pytest.mark.parametrize(("K", "d", "T", "m", "f", "least"), HIERARCHICAL)
def test_states_reached_from_the_hierarchical_start(K, d, T, m, f, least):
    state = solve(K=K, d=d, T=T)
    np.testing.assert_allclose(state.m, m, rtol=0, atol=6e-11)
    assert state.free_energy == pytest.approx(f, abs=6e-11)
    assert state.stability == pytest.approx(least, abs=6e-9)
    assert state.retrieved == np.count_nonzero(m)
    assert state.label == ("parallel" if m[0] == m[-1] else "hierarchical")
    assert state.stable


def test_states_of_many_patterns():
    """By the Fourier average."""
    known = [0.7, 0.21, 0.06299455, 0.01787523, 0, 0, 0, 0]
    np.testing.assert_allclose(solve(K=8, d=0.3, T=0.01).m, known, rtol=0, atol=6e-9)
    np.testing.assert_allclose(solve(K=20, d=0.95, T=0.02).m, 0.03238142, rtol=0, atol=6e-9)


@pytest.mark.parametrize(
    ("K", "d", "T", "m", "least"), [(2, 0.3, 0.1, 0.4549531, -3.90094), (5, 0.9, 0.01, 0.0827587, -0.83938)]
)
def test_a_symmetric_start_ends_on_the_unstable_mixture_and_says_so(K, d, T, m, least):
    state = solve("symmetric", K=K, d=d, T=T)
    np.testing.assert_allclose(state.m, m, rtol=0, atol=6e-8)
    assert state.stability == pytest.approx(least, abs=6e-6)
    assert state.label == "parallel"
    assert not state.stable


def test_states_of_zero_temperature():
    """m_k = (1 - d) d^(k-1), e = -(1 - d)(1 - d^2K)/2(1 + d), s = d^K ln 2; mixtures."""
    ladder, mixed = (solve(start, K=3, d=0.4, T=0.0) for start in ("hierarchical", "mixture"))
    np.testing.assert_allclose(ladder.m, [0.6, 0.24, 0.096], rtol=0, atol=1e-15)
    np.testing.assert_allclose(mixed.m, [0.492, 0.348, 0.204], rtol=0, atol=1e-15)
    np.testing.assert_allclose([ladder.energy, mixed.energy], [-0.213408, -0.202392], rtol=0, atol=1e-15)
    assert (ladder.label, mixed.label) == ("hierarchical", "mixture")
    assert ladder.entropy == pytest.approx(0.4**3 * np.log(2), abs=1e-15)
    np.testing.assert_allclose(solve("mixture", K=3, d=0.8, T=0.0).m, [0.196, 0.164, 0.132], rtol=0, atol=1e-15)
    ground = solve("mixture", K=4, d=0.6, T=0.0)
    np.testing.assert_allclose(ground.m, [0.3552, 0.2656, 0.1888, 0.1312], rtol=0, atol=1e-15)
    assert ground.free_energy == pytest.approx(-0.12478464, abs=1e-15)
    many = solve(K=12, d=0.45, T=0.0)
    np.testing.assert_allclose(many.m, 0.55 * 0.45 ** np.arange(12), rtol=0, atol=1e-14)
    assert many.energy == pytest.approx(-0.5 * 0.55 * (1 - 0.45**24) / 1.45, abs=1e-15)


@pytest.mark.parametrize(("K", "d_h"), [(3, 0.6180339887), (4, 0.5436890127)])
def test_dilution_at_which_the_hierarchy_ends(K, d_h):
    """m_1 > m_2 + .. + m_K: 1 - 2d + d^K > 0. At d_h the first field ties."""
    below, above = (solve(K=K, d=d_h + shift, T=0.0) for shift in (-1e-6, 1e-6))
    assert (below.label, above.label) == ("hierarchical", "mixture")
    np.testing.assert_allclose(below.m_hat, (d_h - 1e-6) ** np.arange(K), rtol=0, atol=1e-14)
    assert above.m_hat[0] < 0.99


@pytest.mark.parametrize(("T", "d_gs"), [(0.0, (1 + 2 * np.sqrt(2)) / 7), (0.02, 0.5469177797), (0.03, 0.5469031174)])
def test_dilution_at_which_the_ground_state_changes(T, d_gs):
    """K = 3: equal free energies of the hierarchy and of the mixture."""

    def gap(d):
        ladder, mixed = (solve(start, K=3, d=d, T=T) for start in ("hierarchical", "mixture"))
        assert (ladder.label, mixed.label) == ("hierarchical", "mixture")
        return mixed.free_energy - ladder.free_energy

    assert brentq(gap, 0.54, 0.555, xtol=1e-13) == pytest.approx(d_gs, abs=1e-10)


EDGES = [
    ("pure", 3, 0.1, 0.09000001, -1),
    ("pure", 2, 0.3, 0.21276314, -1),
    ("pure", 5, 0.5, 0.28720974, -1),
    ("pure", 2, 0.65, 0.32912886, -1),
    ("symmetric", 2, 0.7, 0.0937644, -1),
    ("symmetric", 2, 0.8, 0.0400806, -1),
    ("symmetric", 2, 0.9, 0.01, -1),
    ("symmetric", 3, 0.7, 0.1049796, -1),
    ("symmetric", 3, 0.8, 0.0486487, -1),
    ("symmetric", 3, 0.9, 0.0135005, -1),
    ("symmetric", 2, 0.65, 0.1369815, -1),
    ("symmetric", 2, 0.65, 0.327252, 1),
    ("symmetric", 3, 0.0, 0.4597942, 1),
    ("symmetric", 5, 0.0, 0.3847393, 1),
]


@pytest.mark.parametrize(("start", "K", "d", "T", "sign"), EDGES)
def test_temperatures_at_which_a_state_turns_unstable(start, K, d, T, sign):
    """To the digits given; sign: -1 where the state is stable above. d = 0: Amit, Gutfreund, Sompolinsky (1985)."""
    digits = 6e-7 if T == 0.327252 else 6e-9 if start == "pure" else 6e-8
    below, above = solve(start, K=K, d=d, T=np.array([T - digits, T + digits])).stability
    assert below * sign > 0 > above * sign


@pytest.mark.parametrize(
    ("k", "d", "T"), [(3, 0.2, 0.03202343), (4, 0.2, 0.00640469), (3, 0.4, 0.10187816), (4, 0.4, 0.04075162)]
)
def test_the_cascade(k, d, T):
    """Pattern k is retrieved below T_k."""
    assert solve(K=4, d=d, T=T * np.array([0.999, 1.001])).retrieved.tolist() == [k, k - 1]


# --- networks it contains --------------------------------------------------------------------------------------------

PROTOCOLS = [
    ({}, {}),
    ({"protocol": "supervised", "rho": 0.1}, {}),
    ({"protocol": "supervised", "r": 0.8, "M": 5}, {"etabar": "binomial"}),
    ({"protocol": "unsupervised", "r": 0.6, "M": 21}, {"etabar": "binomial"}),
]


@pytest.mark.parametrize(("dataset", "law"), PROTOCOLS)
@pytest.mark.parametrize("start", ["hierarchical", "spin_glass", "paramagnet"])
def test_one_pattern_without_blanks_is_the_hopfield_network(dataset, law, start):
    alpha, T = np.array([0.0, 0.01, 0.05])[:, None], np.array([0.1, 0.5, 1.3])
    ours = solve(start, K=1, d=0.0, alpha=alpha, T=T, **dataset)
    theirs = mt.solve(mt.Hopfield(alpha=alpha, T=T, **dataset, **law), {"hierarchical": "retrieval"}.get(start, start))
    np.testing.assert_allclose(ours.m[..., 0], theirs.m, rtol=0, atol=1e-11)
    np.testing.assert_allclose(ours.q, theirs.q, rtol=0, atol=1e-11)
    loaded = np.broadcast_to(alpha > 0, theirs.q.shape)
    np.testing.assert_allclose(ours.r_noise[loaded], theirs.r_noise[loaded], rtol=1e-9, atol=1e-11)
    if dataset:
        np.testing.assert_allclose(ours.n[..., 0], theirs.n, rtol=0, atol=1e-11)
    for name in QUANTITIES:
        here = loaded if name == "stability" else np.ones_like(loaded)  # without load the map of C is not iterated
        np.testing.assert_allclose(getattr(ours, name)[here], getattr(theirs, name)[here], rtol=1e-10, atol=2e-11)


def test_one_pattern_without_blanks_or_load_is_the_curie_weiss_model():
    T = np.array([0.0, 0.05, 0.4, 0.9, 1.2])
    for ours, theirs in (("hierarchical", "ferromagnet"), ("paramagnet", "paramagnet")):
        a, b = solve(ours, K=1, d=0.0, T=T), mt.solve(mt.CurieWeiss(T=T), theirs)
        np.testing.assert_allclose(a.m[:, 0], b.m, rtol=0, atol=1e-12)
        for name in ("free_energy", "energy", "entropy", "stability"):
            np.testing.assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-13)


def test_no_load_is_the_limit_of_a_vanishing_one():
    """A point of alpha = 0 in a grid of loads is the network without load, and a load of 1e-9 is near it."""
    grid = solve(K=2, d=0.3, T=0.3, alpha=[0.0, 1e-9])
    alone = solve(K=2, d=0.3, T=0.3)
    for name in ("m", "q", "free_energy", "energy", "entropy", "stability"):
        found = getattr(grid, name)
        np.testing.assert_allclose(found[0], getattr(alone, name), rtol=0, atol=1e-14, err_msg=name)
    np.testing.assert_allclose(grid.m[1], alone.m, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "rest",
    [
        {"K": 3},
        {"K": 2, "alpha": 0.01},
        {"K": 2, "protocol": "supervised", "rho": 0.1},
        {"K": 1, "alpha": 0.02, "protocol": "unsupervised", "r": 0.8, "M": 9},
    ],
)
def test_units(rest):
    """ "unit" divides the couplings by 1 - d: T and energies of "raw" are 1 - d times those; m, n, q, s stay."""
    d, T = np.array([[0.1], [0.6]]), np.array([0.05, 0.3, 1.4])
    for start in ("hierarchical", "paramagnet"):
        raw = solve(start, d=d, T=T * (1 - d), **rest)
        unit = solve(start, d=d, T=T, normalization="unit", **rest)
        for name, factor in (("free_energy", 1 - d), ("energy", 1 - d), ("entropy", 1), ("replicon", 1), ("q", 1)):
            np.testing.assert_allclose(getattr(raw, name), getattr(unit, name) * factor, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(raw.m, unit.m, rtol=0, atol=1e-13)
        np.testing.assert_allclose(raw.stability, unit.stability, rtol=1e-9)


# --- symmetries and bounds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [{}, {"alpha": 0.02}, {"protocol": "supervised", "rho": 0.1}, {"protocol": "unsupervised", "r": 0.8, "M": 4}],
)
def test_hyperoctahedral_symmetry(rest):
    """Patterns may be renumbered and each be replaced by its negative: the map goes along and f stays."""
    model = mt.Multitasking(K=4, d=0.35, T=0.2, **rest)
    C = [0.3] * ("alpha" in rest)
    x = RNG.uniform(-0.8, 0.8, 4)
    image, J = model.self_consistency(np.array([*x, *C]))
    f = model.free_energy(np.array([*x, *C]))
    for _ in range(5):
        order, sign = RNG.permutation(4), RNG.choice([-1, 1], 4)
        moved = np.array([*(sign * x[order]), *C])
        turned, turned_J = model.self_consistency(moved)
        np.testing.assert_allclose(turned[:4], sign * image[order], rtol=0, atol=1e-14)
        np.testing.assert_allclose(turned[4:], image[4:], rtol=1e-13)
        np.testing.assert_allclose(turned_J[:4, :4], sign[:, None] * sign * J[np.ix_(order, order)], rtol=0, atol=1e-13)
        assert model.free_energy(moved) == pytest.approx(f, abs=1e-14)


def test_no_stable_state_lies_above_the_paramagnet():
    """Plain steps lower f from the starts on: f <= -T ln 2, with equality where nothing is retrieved."""
    d, T = np.array([0.0, 0.15, 0.45, 0.57, 0.75, 0.9])[:, None], np.array([0.01, 0.07, 0.2, 0.45, 0.8])
    for K, start in product((2, 3, 4), mt.Multitasking.starts):
        state = solve(start, K=K, d=d, T=T)
        gap = state.free_energy + T * np.log(2)
        assert (gap < 1e-14).all()
        assert ((gap > -1e-13) == (abs(state.m_hat).max(axis=-1) < 1e-4)).all()


# --- phases ----------------------------------------------------------------------------------------------------------


def test_phases_of_three_patterns():
    """By the edges above: T_2(.2) = .160, T_2(.4) = .254, T_s(.8) = .0486, T_c = 1 - d; no parallel phase below T_s."""
    ds = mt.classify(mt.sweep(mt.Multitasking, over={"d": [0.2, 0.4, 0.8], "T": [0.03, 0.1, 0.3, 0.7]}, const={"K": 3}))
    assert ds.phase.values.tolist() == [
        ["hierarchical", "hierarchical", "pure", "pure"],
        ["hierarchical", "hierarchical", "pure", "paramagnet"],
        ["mixture", "parallel", "paramagnet", "paramagnet"],
    ]
    symmetric = ds.sel(start="symmetric")
    assert (symmetric.label[:, 0] == "parallel").all()
    assert not symmetric.stable[:, 0].any()
    np.testing.assert_array_equal(ds.retrieved.sel(start="hierarchical").values[0], [3, 2, 1, 1])
    assert ds.m.dims[-1] == "mu"


def test_a_start_keeps_to_its_basin():
    """Below d_gs(3) the mixture is metastable: "mixture" stays there as plain iteration does, above the hierarchy."""
    model = mt.Multitasking(K=3, d=[0.45], T=0.02).flat()
    x = model.start("mixture")
    for _ in range(3000):
        x = model.self_consistency(x)[0]
    np.testing.assert_allclose(fixed_points(model, "mixture", mt.Newton()).x, x, rtol=0, atol=1e-11)
    assert mt.solve(model, "mixture").free_energy > mt.solve(model).free_energy


def test_flat_ground_next_to_a_solution():
    """Near the multicritical point Newton's step overshot m_3 = 0 and slid back; plain iteration ends there."""
    model = mt.Multitasking(K=3, d=0.65, T=0.31)
    x = model.start("hierarchical")
    for _ in range(40_000):
        x = model.self_consistency(x)[0]
    np.testing.assert_allclose(mt.solve(model).m_hat, x, rtol=0, atol=1e-6)
