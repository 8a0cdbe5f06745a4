"""Boundaries: what is returned lies on the boundary, by other means than those that found it; phases from a dataset."""

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import brentq

import mattis as mt
from mattis.core.quadrature import field

DATASETS = [
    {},
    {"protocol": "supervised", "rho": 0.1},
    {"protocol": "supervised", "r": 0.8, "M": 5},
    {"protocol": "unsupervised", "r": 0.5, "M": 30},
]
EVERY = pytest.mark.parametrize("const", DATASETS, ids=["storing", "rho", "rM", "unsupervised"])
TEMPERATURES = np.array([0.0, 1e-3, 0.05, 0.2, 0.45, 0.7])


@EVERY
def test_a_spinodal_is_a_fold(const):
    """A solution (residual < 1e-10) whose stability vanishes; below, two roots that close as a square root."""
    line = mt.spinodal(mt.Hopfield, T=TEMPERATURES, **const)
    assert line.converged.all()
    assert (line.residual < 1e-10).all()
    assert (abs(line.stability) < 1e-9).all()
    assert (line.label == "retrieval").all()
    near, nearer = (
        (mt.solve(mt.Hopfield(alpha=line.alpha * (1 - epsilon), T=TEMPERATURES, **const)).m - line.m) / np.sqrt(epsilon)
        for epsilon in (1e-4, 1e-6)
    )
    assert (near > 0).all()
    np.testing.assert_allclose(nearer, near, rtol=0.05)  # the next order is sqrt(1e-4)


@EVERY
def test_the_two_directions_invert_each_other(const):
    """alpha_M(T_M(alpha)) = alpha, to the round-off of a nested root: 1e-9."""
    T = np.array([0.05, 0.3, 0.7])
    by_T = mt.spinodal(mt.Hopfield, T=T, **const)
    by_alpha = mt.spinodal(mt.Hopfield, along="T", alpha=by_T.alpha, **const)
    np.testing.assert_allclose(by_alpha.T, T, rtol=1e-9)
    np.testing.assert_allclose(by_alpha.m, by_T.m, rtol=1e-6)
    assert by_alpha.converged.all()


def roots_of_the_map(alpha, T):
    """Retrieval roots counted on a dense grid of m: at each m the glass equation for C, by its own bisection."""
    m = np.linspace(0.02, 1 - 1e-12, 4001)

    def excess(C):
        sd = np.sqrt(alpha * np.maximum(1 - T * C, 0)) / (1 - C)
        return field(m, sd, T).C - C

    low, high = np.zeros(m.size), np.full(m.size, min(1 - 1e-9, 1 / T))
    for _ in range(60):
        middle = (low + high) / 2
        up = excess(middle) > 0
        low, high = np.where(up, middle, low), np.where(up, high, middle)
    sd = np.sqrt(alpha * (1 - T * low)) / (1 - low)
    gap = field(m, sd, T).tanh - m
    return int((np.sign(gap[1:]) != np.sign(gap[:-1])).sum())


@pytest.mark.parametrize("T", [0.1, 0.5])
def test_two_retrieval_roots_below_and_none_above(T):
    """A fold: the number of roots m > 0 goes from two to none at the value found."""
    alpha = mt.spinodal(mt.Hopfield, T=T).alpha
    assert roots_of_the_map(alpha * (1 - 1e-4), T) == 2
    assert roots_of_the_map(alpha * (1 + 1e-4), T) == 0


def test_the_fold_is_in_the_load_not_in_the_width():
    """The branch folds in sd before it folds in the load: scanning sd misses it (dense_hebbian.md 7.2)."""
    line = mt.spinodal(mt.Hopfield, T=0.3)
    sd = np.sqrt(line.alpha * line.r_noise)

    def deepest(width):
        m = np.linspace(0.3, 1, 2001)
        return (field(m, width, 0.3).tanh - m).max()

    assert deepest(sd) > 1e-4
    assert brentq(deepest, sd, 2 * sd) > sd * 1.001


def test_no_boundary_is_nan():
    """No retrieval above T = 1 nor above the largest alpha_M(T), 0.13819; every field is then nan and marked."""
    hot = mt.spinodal(mt.Hopfield, T=[0.5, 1.0, 1.3])
    assert np.isnan(hot.alpha).tolist() == [False, True, True]
    for name in ("m", "q", "free_energy", "stability", "replicon"):
        assert np.isnan(getattr(hot, name)[1:]).all(), name
    assert hot.converged.tolist() == [True, False, False]
    assert hot.label.tolist() == ["retrieval", "none", "none"]
    full = mt.spinodal(mt.Hopfield, along="T", alpha=[0.138188, 0.13819, 2.0])
    assert np.isnan(full.T).tolist() == [False, True, True]
    crossed = mt.transition(mt.Hopfield, between=("retrieval", "spin_glass"), along="T", alpha=[0.03, 0.054, 0.2])
    assert np.isnan(crossed.T).tolist() == [False, True, True]
    assert np.isnan(mt.at_line(mt.Hopfield, alpha=[0.1, 0.5]).T).tolist() == [False, True]
    assert np.isnan(mt.spinodal(mt.Hopfield, of="spin_glass", T=[0.5, 1.5]).alpha).tolist() == [True, False]
    bad = mt.spinodal(mt.Hopfield, T=0.1, protocol="supervised", rho=[0.1, 0.5, 30.0])
    assert np.isfinite(bad.alpha[:2]).all()


def test_no_load_ends_at_the_curie_point():
    """alpha = 0: retrieval merges with the paramagnet at T = 1, of second order."""
    line = mt.spinodal(mt.Hopfield, along="T", alpha=0.0)
    assert pytest.approx(1, abs=1e-12) == line.T
    assert pytest.approx(1, abs=1e-12) == mt.spinodal(mt.CurieWeiss, along="T", of="ferromagnet").T


@EVERY
def test_a_transition_has_equal_free_energies(const):
    line = mt.transition(mt.Hopfield, between=("retrieval", "spin_glass"), T=np.array([0.05, 0.2, 0.5]), **const)
    assert line.converged.all()
    here = {"alpha": line.alpha, "T": line.T, **const}
    retrieval, glass = mt.solve(mt.Hopfield(**here)), mt.solve(mt.Hopfield(**here), "spin_glass")
    np.testing.assert_array_equal(retrieval.label, "retrieval")
    np.testing.assert_array_equal(glass.label, "spin_glass")
    np.testing.assert_allclose(retrieval.free_energy, glass.free_energy, rtol=0, atol=1e-13)
    np.testing.assert_allclose(line.m, retrieval.m, rtol=1e-10)
    below = mt.Hopfield(**here | {"alpha": line.alpha * 0.99})
    assert (mt.solve(below).free_energy < mt.solve(below, "spin_glass").free_energy).all()


def test_the_largest_of_several_temperatures():
    """alpha_c(T) rises from 0.0519 at T = 0 to 0.0531 and falls: between, retrieval rules in a window of T only.

    Zeros of f_retrieval - f_glass by a dense scan in T at alpha = 0.0525.
    """
    cold = mt.transition(mt.Hopfield, between=("retrieval", "spin_glass"), T=[0.0, 0.05, 0.1])
    assert cold.alpha[0] < 0.0525 < cold.alpha[1] < cold.alpha[2]

    def gap(T):
        model = mt.Hopfield(alpha=0.0525, T=T)
        return mt.solve(model).free_energy - mt.solve(model, "spin_glass").free_energy

    T = np.linspace(0, 0.5, 101)
    sign = np.sign(gap(T))
    zeros = [brentq(gap, T[i], T[i + 1], xtol=1e-13) for i in np.flatnonzero(sign[1:] != sign[:-1])]
    assert len(zeros) == 2
    line = mt.transition(mt.Hopfield, between=("retrieval", "spin_glass"), along="T", alpha=0.0525)
    assert pytest.approx(zeros[1], abs=1e-10) == line.T


@pytest.mark.parametrize("distance", [1e-3, 1e-6])
def test_a_narrow_window_of_temperatures_is_not_missed(distance):
    """alpha_M(T) and alpha_c(T) have a maximum: just below it the load is a boundary load at two close T.

    The maxima are 0.138188511 at T = 0.0229 and 0.053132083 at T = 0.0851, found by golden section on along="alpha".
    """
    top, at = 0.138188511165, 0.02287354897
    assert mt.spinodal(mt.Hopfield, T=at).alpha == pytest.approx(top, abs=1e-11)
    upper = mt.spinodal(mt.Hopfield, along="T", alpha=top * (1 - distance)).T
    assert upper > at
    assert mt.spinodal(mt.Hopfield, T=upper).alpha == pytest.approx(top * (1 - distance), rel=1e-10)

    pair = {"between": ("retrieval", "spin_glass")}
    top, at = 0.053132082818, 0.0850639893
    assert mt.transition(mt.Hopfield, T=at, **pair).alpha == pytest.approx(top, abs=1e-11)
    upper = mt.transition(mt.Hopfield, along="T", alpha=top * (1 - distance), **pair).T
    assert upper > at
    assert mt.transition(mt.Hopfield, T=upper, **pair).alpha == pytest.approx(top * (1 - distance), rel=1e-10)


def test_transition_along_both_directions():
    T = np.array([0.2, 0.5, 0.8])
    pair = {"between": ("retrieval", "spin_glass")}
    alpha = mt.transition(mt.Hopfield, T=T, **pair).alpha
    np.testing.assert_allclose(mt.transition(mt.Hopfield, along="T", alpha=alpha, **pair).T, T, rtol=1e-9)
    swapped = mt.transition(mt.Hopfield, between=("spin_glass", "retrieval"), T=T)
    np.testing.assert_allclose(swapped.alpha, alpha, rtol=1e-12)
    assert (swapped.m == 0).all()


def test_replicon_vanishes_at_its_line():
    """On retrieval, of every protocol that has one; above it stable, below not."""
    alpha = np.array([0.05, 0.1, 0.13])
    line = mt.at_line(mt.Hopfield, alpha=alpha)
    assert (abs(line.replicon) < 1e-9).all()
    assert (mt.solve(mt.Hopfield(alpha=alpha, T=line.T * 1.05)).replicon > 0).all()
    assert (mt.solve(mt.Hopfield(alpha=alpha, T=line.T * 0.95)).replicon < 0).all()
    across = mt.at_line(mt.Hopfield, along="alpha", T=line.T[1:])
    np.testing.assert_allclose(across.alpha, alpha[1:], rtol=1e-8)
    glass = mt.at_line(mt.Hopfield, of="spin_glass", alpha=[0.0, 0.1, 2.0])
    np.testing.assert_allclose(glass.T, [np.nan, 1 + np.sqrt(0.1), 1 + np.sqrt(2)], rtol=1e-12)  # no noise, no line
    sk = mt.at_line(mt.SherringtonKirkpatrick, of="spin_glass", h=[0.0, 0.3, -0.3])
    assert sk.T[0] == pytest.approx(1, abs=1e-12)
    assert sk.T[1] == pytest.approx(sk.T[2], rel=1e-12)
    assert abs(sk.replicon[1]) < 1e-9


def test_constants_broadcast():
    grid = mt.spinodal(mt.Hopfield, T=np.array([0.0, 0.1, 0.3]), protocol="supervised", rho=np.array([[0.05], [0.2]]))
    assert grid.alpha.shape == grid.m.shape == grid.label.shape == (2, 3)
    for i, rho in enumerate((0.05, 0.2)):
        for j, T in enumerate((0.0, 0.1, 0.3)):
            one = mt.spinodal(mt.Hopfield, T=T, protocol="supervised", rho=rho)
            assert np.shape(one.alpha) == ()
            assert one.alpha == pytest.approx(grid.alpha[i, j], rel=1e-13)
            assert (grid.T[i, j], grid.rho[i, j]) == (T, rho)
    empty = mt.spinodal(mt.Hopfield, T=np.ones(0))
    assert empty.alpha.shape == (0,)


@pytest.mark.parametrize("line", [mt.spinodal, mt.at_line, lambda *a, **k: mt.transition(*a, between=BOTH, **k)])
def test_bad_names(line):
    with pytest.raises(ValueError, match=r"^along must be one of alpha, T for Hopfield, got 'rho'$"):
        line(mt.Hopfield, along="rho", T=0.1)
    with pytest.raises(ValueError, match=r"^T is the parameter searched \(along='T'\) and cannot be given as well$"):
        line(mt.Hopfield, along="T", T=0.1)
    with pytest.raises(ValueError, match=r"^beta is no parameter of Hopfield"):
        line(mt.Hopfield, along="alpha", beta=2.0)
    with pytest.raises(ValueError, match=r"^T must be finite and >= 0, got -0.1$"):
        line(mt.Hopfield, along="alpha", T=-0.1)


BOTH = ("retrieval", "spin_glass")


def test_bad_parameters():
    known = "it has alpha, T, protocol, rho, r, M, etabar"
    with pytest.raises(ValueError, match=f"^beta is no parameter of Hopfield: {known}$"):
        mt.spinodal(mt.Hopfield, T=0.1, beta=3.0)
    with pytest.raises(ValueError, match=r"^Hopfield needs T$"):
        mt.spinodal(mt.Hopfield)
    with pytest.raises(ValueError, match=r"^Hopfield needs alpha$"):
        mt.at_line(mt.Hopfield, along="T")


def test_bad_solutions():
    known = "must be among retrieval, spin_glass, paramagnet, got 'glass'$"
    for argument, call in (
        ("of", lambda: mt.spinodal(mt.Hopfield, of="glass", T=0.1)),
        ("of", lambda: mt.at_line(mt.Hopfield, of="glass", alpha=0.1)),
        ("between", lambda: mt.transition(mt.Hopfield, between=("retrieval", "glass"), T=0.1)),
    ):
        with pytest.raises(ValueError, match=f"^{argument} {known}"):
            call()
    for pair in (("retrieval", "retrieval"), "retrieval", ("retrieval", "spin_glass", "paramagnet")):
        with pytest.raises(ValueError, match="between must be two different solutions, got"):
            mt.transition(mt.Hopfield, between=pair, T=0.1)
    with pytest.raises(ValueError, match="that ends at a spinodal, got 'paramagnet'"):
        mt.spinodal(mt.Hopfield, of="paramagnet", T=0.1)
    with pytest.raises(ValueError, match="along must be one of T for CurieWeiss, got 'alpha'"):
        mt.spinodal(mt.CurieWeiss, along="alpha", of="ferromagnet")


# --- phases ---------------------------------------------------------------------------------------------------------


def by_hand(**changes):
    """Starts retrieval, spin_glass, paramagnet at five points: each row written out."""
    values = {
        "m": [[0.99, 0.97, 0.9, 0.95, 0.9], [0.0] * 5, [0.0] * 5],
        "q": [[0.98, 0.96, 0.85, 0.9, 0.8], [0.7, 0.7, 0.6, 0.5, 5e-5], [0.0] * 5],
        "free_energy": [[-0.6, -0.4, -0.6, -0.7, -0.6], [-0.5, -0.5, -0.5, -0.6, -0.5], [np.nan, -0.9, -0.3, -0.2, -2]],
        "stability": [[0.9, 0.8, 0.7, -0.1, 0.5], [0.2, 0.3, 0.1, 0.4, -0.2], [0.5, -0.3, 0.1, 0.2, -1.0]],
        "converged": [[True, True, False, True, False], [True] * 5, [True] * 5],
        "replicon": np.full((3, 5), -np.inf),
        "admissible": [[True] * 5, [True] * 5, [False] + [True] * 4],
    }  # fmt: skip
    values["stable"] = np.array(values["stability"]) > 0
    dims = ("start", "alpha")
    ds = xr.Dataset(
        {k: (dims, np.array(v)) for k, v in values.items()}, attrs={"model": "mattis.theory.hopfield:Hopfield"}
    )
    ds = ds.assign_coords(start=["retrieval", "spin_glass", "paramagnet"], alpha=[0.01, 0.03, 0.05, 0.07, 0.09])
    return ds.assign(**changes)


def test_classify():
    """Per point: lowest f; lower but unstable; lowest but unconverged; lowest but unstable; none left."""
    found = mt.classify(by_hand())
    assert found.phase.values.tolist() == ["retrieval", "spin_glass", "spin_glass", "spin_glass", "none"]
    assert found.phase.dims == ("alpha",)
    assert "start" not in found.phase.coords
    assert found.label.values.tolist() == [
        ["retrieval", "retrieval", "unconverged", "retrieval", "unconverged"],
        ["spin_glass"] * 4 + ["paramagnet"],
        ["paramagnet"] * 5,
    ]


def test_a_solution_without_free_energy_is_never_a_phase():
    """D <= 0: f is nan, though stable and alone."""
    nan = xr.full_like(by_hand().free_energy, np.nan)
    assert set(mt.classify(by_hand(free_energy=nan)).phase.values.tolist()) == {"none"}


def test_a_solution_that_is_not_admissible_is_never_a_phase():
    """Though stable and lowest: the retrieval of the first point gives way to the glass, and then there is none."""
    admissible = by_hand().admissible.copy()
    admissible[0, 0] = False
    assert mt.classify(by_hand(admissible=admissible)).phase.values.tolist()[0] == "spin_glass"
    admissible[1, 0] = False
    assert mt.classify(by_hand(admissible=admissible)).phase.values.tolist()[0] == "none"


def test_where_single_examples_win_there_is_no_phase():
    """Unstable against them alone, and lowest: none, and no matter where it is not lowest."""
    stable = by_hand().stable.copy()
    stable[0, :2] = False
    found = mt.classify(by_hand(stable=stable)).phase.values.tolist()
    assert found == ["none", "spin_glass", "spin_glass", "spin_glass", "none"]


def test_classify_leaves_its_argument():
    ds = by_hand()
    mt.classify(ds)
    xr.testing.assert_identical(ds, by_hand())


def test_classify_needs_the_name_of_a_model():
    with pytest.raises(ValueError, match=r"^ds must be a dataset of mattis.sweep, with the attribute 'model'"):
        mt.classify(by_hand().drop_attrs())
    with pytest.raises(ValueError, match=r"^ds must be a dataset of mattis.sweep.*, got a Solution with {}$"):
        mt.classify(mt.solve(mt.Hopfield(alpha=0.1, T=0.1)))
