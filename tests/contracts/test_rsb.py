"""One battery for every model that breaks replica symmetry: stationarity, thermodynamics, shapes, merging, refusals."""

import numpy as np
import pytest

import mattis as mt
from mattis.sweeps.stairs import listed, state_of
from mattis.theory.rsb import Staircase, State, parisi

CASES = {
    "sk": (mt.SherringtonKirkpatrick, {"T": 0.4}, "spin_glass"),
    "sk_field": (mt.SherringtonKirkpatrick, {"T": 0.3, "h": 0.3}, "spin_glass"),
    "pspin": (mt.PSpin, {"p": 3, "T": 0.15}, "spin_glass"),
    "hopfield_glass": (mt.Hopfield, {"alpha": 0.1, "T": 0.2}, "spin_glass"),
    "hopfield_cold": (mt.Hopfield, {"alpha": 0.1375, "T": 0.0}, "retrieval"),
    "hopfield_soft": (
        mt.Hopfield,
        {"alpha": 0.05, "T": 0.2, "protocol": "unsupervised", "r": 0.8, "M": 5},
        "spin_glass",
    ),
    "dense": (mt.DenseHebbian, {"P": 4, "gamma": 0.42, "T": 0.1}, "retrieval"),
    "dense_glass": (mt.DenseHebbian, {"P": 5, "gamma": 0.3, "T": 0.03}, "spin_glass"),
    "supervised": (
        mt.DenseHebbian,
        {"P": 4, "gamma": 0.22, "T": 0.02, "protocol": "supervised", "rho": 0.1},
        "retrieval",
    ),
    "unsupervised": (
        mt.DenseHebbian,
        {"P": 3, "gamma": 0.33, "T": 0.02, "protocol": "unsupervised", "r": 0.9, "M": 40},
        "retrieval",
    ),
    "diagonal_even": (
        mt.DenseHebbian,
        {"P": 4, "gamma": 0.3, "T": 0.1, "diagonal": "included"},
        "spin_glass",
    ),
    "diagonal_odd": (mt.DenseHebbian, {"P": 3, "gamma": 0.3, "T": 0.1, "diagonal": "included"}, "spin_glass"),
    "binomial": (
        mt.DenseHebbian,
        {"P": 3, "gamma": 0.2, "T": 0.05, "protocol": "supervised", "r": 0.8, "M": 7, "etabar": "binomial"},
        "retrieval",
    ),
}
K = {"hopfield_cold": 1, "binomial": 1, "unsupervised": 1}
EVERY = pytest.mark.parametrize("case", CASES)
_SOLVED = {}


def solved(case):
    """(model, start, k, solution), once."""
    if case not in _SOLVED:
        cls, const, start = CASES[case]
        k = K.get(case, 2)
        _SOLVED[case] = cls(**const), start, k, mt.rsb(cls(**const), k=k, start=start)
    return _SOLVED[case]


def at(solution, T):
    """The state of a solution of one point."""
    n = solution.n if "n" in solution.values else solution.values.get("m", 0.0)
    return State(float(n), Staircase(solution.q, float(solution.C), solution.x / (T or 1.0)))


@EVERY
def test_it_is_stationary_and_consistent(case):
    """Every derivative of f vanishes, by differences that know nothing of the equations; f = u - T s; certificates."""
    model, start, k, found = solved(case)
    assert found.steps == k
    assert found.certified
    assert found.converged
    assert found.residual < 1e-10
    assert found.quadrature_error < 1e-11
    T = float(model.T)
    assert found.free_energy == pytest.approx(found.energy - T * found.entropy, abs=1e-10)
    functional, z = parisi(model), listed(at(found, T))
    free = range(0 if start == "retrieval" else 1, z.size)
    for j in free:
        if z[j] == 0:
            continue  # q_0 = 0 by symmetry
        gaps = [abs(z[j] - other) for other in (*found.q, 0.0, 1.0) if 1 <= j <= k and other != z[j]]
        length = min(gaps) if gaps else 0.1 * abs(z[j])
        length = min(length, found.C, *([(found.q[k] - found.q[k - 1]) / T] if T > 0 else [])) if j == k + 1 else length
        length = 0.1 * (1 - z[0]) if j == 0 else length
        values = {}
        for c in (-2, -1, 0, 1, 2):
            other = z.copy()
            other[j] += 1e-2 * c * length
            values[c] = functional.account(state_of(other, T)).free_energy
        slope = (8 * (values[1] - values[-1]) - (values[2] - values[-2])) / 0.12  # by z_j/length
        bend = abs(values[1] - 2 * values[0] + values[-1]) / 1e-4
        assert abs(slope) < 1e-5 * bend + 1e-12, (j, slope, bend)


@EVERY
def test_shapes_and_what_is_said(case):
    model, start, k, found = solved(case)
    assert found.q.shape == found.replicon.shape == (k + 1,)
    assert found.x.shape == (k,)
    assert (np.diff(found.q) > 0).all()
    assert (np.diff(found.x) > 0).all()
    assert float(model.T) == 0 or found.x[-1] < 1
    assert found.label == start
    assert found.q[-1] == pytest.approx(1 - float(model.T) * found.C, abs=1e-14)
    assert "broken replica symmetry" in str(found.ansatz)
    assert "ansatz = " in repr(found)
    if k == 1:
        assert found.x_low[0] < found.x[0] < found.x_high[0]


@pytest.mark.parametrize("case", ["sk", "pspin", "hopfield_glass", "dense_glass"])
def test_derivatives_by_temperature(case):
    """s = -df/dT and u = d(beta f)/d beta."""
    cls, const, start = CASES[case]
    T, d = const["T"], 2e-3 * const["T"]
    three = mt.rsb(cls(**const | {"T": np.array([T - d, T, T + d])}), k=K.get(case, 2), start=start)
    f = three.free_energy
    assert -(f[2] - f[0]) / (2 * d) == pytest.approx(three.entropy[1], abs=2e-5 * max(1.0, abs(three.entropy[1])))
    beta = 1 / (T + np.array([-d, 0, d]))
    assert (beta[2] * f[2] - beta[0] * f[0]) / (beta[2] - beta[0]) == pytest.approx(three.energy[1], abs=2e-5)


@pytest.mark.parametrize("case", ["sk", "pspin", "hopfield_glass"])
def test_zero_temperature_is_the_limit(case):
    """f(T) - f(0) falls as T^2, the entropy being linear."""
    cls, const, start = CASES[case]
    T = np.array([0.0, 2e-3, 4e-3])
    cold = mt.rsb(cls(**const | {"T": T}), k=1, start=start)
    assert (cold.steps == 1).all()
    gap = cold.free_energy[1:] - cold.free_energy[0] + T[1:] * cold.entropy[0]
    assert gap[1] / gap[0] == pytest.approx(4, rel=0.15)
    assert abs(gap[0]) < 1e-4
    np.testing.assert_allclose(cold.x[1] / T[1], cold.x[0], rtol=0.02)


def test_arrays_are_points():
    """One call for a grid gives what calls point by point give; points that fail are marked, and told."""
    gamma, T = np.array([[0.2], [0.42]]), np.array([0.0, 0.1, 0.3])
    grid = mt.rsb(mt.DenseHebbian(P=4, gamma=gamma, T=T))
    assert grid.q.shape == (2, 3, 2)
    for i, j in np.ndindex(2, 3):
        one = mt.rsb(mt.DenseHebbian(P=4, gamma=gamma[i, 0], T=T[j]))
        assert grid.steps[i, j] == one.steps
        np.testing.assert_allclose(grid.q[i, j], one.q, rtol=0, atol=1e-9)
        assert grid.free_energy[i, j] == pytest.approx(float(one.free_energy), abs=1e-13)
    with pytest.raises(mt.ConvergenceError, match=r"at 1 of 2 points, first at gamma=0\.7") as caught:
        mt.rsb(mt.DenseHebbian(P=4, gamma=[0.3, 0.7], T=0.1))
    assert caught.value.solution.converged.tolist() == [True, False]
    assert np.isnan(caught.value.solution.free_energy).tolist() == [False, True]


def test_levels_that_merge():
    """Above T_c, in retrieval above the AT line, and where one step is stable: fewer steps, the same numbers."""
    warm, plain = mt.rsb(mt.SherringtonKirkpatrick(T=1.2), k=3), mt.solve(mt.SherringtonKirkpatrick(T=1.2))
    assert (warm.steps, warm.certified) == (0, True)
    assert warm.free_energy == plain.free_energy
    assert np.isnan(warm.x).all()
    retrieval = mt.rsb(mt.Hopfield(alpha=0.05, T=0.2), k=2)
    symmetric = mt.solve(mt.Hopfield(alpha=0.05, T=0.2))
    assert (retrieval.steps, retrieval.certified) == (0, True)
    np.testing.assert_allclose([retrieval.m, *retrieval.q], [symmetric.m, *[symmetric.q] * 3], rtol=0, atol=1e-9)
    one = mt.rsb(mt.PSpin(p=3, T=[0.3, 0.2]), k=2)
    assert one.steps.tolist() == [1, 2]
    assert one.certified.all()
    assert np.isnan(one.x).tolist() == [[False, True], [False, False]]
    between = mt.rsb(mt.PSpin(p=3, T=0.66))  # T_s < T < T_d: the glass is made of too many states
    assert (between.steps, between.certified, between.label) == (0, True, "paramagnet")
    faint = mt.rsb(mt.Hopfield(alpha=0.03, T=0.0))  # broken, but by less than can be told
    assert (faint.steps, faint.certified) == (0, False)


REFUSED = {
    "zero": (ValueError, {"k": 0}, r"k must be from 1 to 20, or \"full\", got 0"),
    "many": (ValueError, {"k": 21}, "k must be from 1 to 20"),
    "word": (ValueError, {"k": "half"}, "k must be an integer from 1 to 20"),
    "truth": (TypeError, {"k": True}, "k must be an integer from 1 to 20"),
    "real": (TypeError, {"k": 1.5}, "k must be an integer from 1 to 20"),
    "paramagnet": (ValueError, {"start": "paramagnet"}, "start must be one of retrieval, spin_glass, got 'paramagnet'"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name):
    error, arguments, says = REFUSED[name]
    with pytest.raises(error, match=says):
        mt.rsb(mt.Hopfield(alpha=0.1, T=0.2), **arguments)
    if "k" in arguments:
        with pytest.raises(error, match=says):
            mt.sweep(mt.Hopfield, over={"alpha": [0.1]}, const={"T": 0.2}, progress=False, **arguments)


def test_what_has_no_noise_is_refused():
    for call in (
        lambda: mt.rsb(mt.CurieWeiss(T=0.5)),
        lambda: mt.sweep(mt.CurieWeiss, over={"T": [0.5]}, k=1, progress=False),
        lambda: mt.complexity(mt.CurieWeiss(T=0.5), start="ferromagnet"),
    ):
        with pytest.raises(TypeError, match="CurieWeiss declares no noise"):
            call()
    with pytest.raises(TypeError, match="model must be a model with its parameters"):
        mt.rsb(0.3)
    with pytest.raises(ValueError, match="p must be >= 3"):
        mt.PSpin(p=2, T=0.1)
    with pytest.raises(ValueError, match=r"x must be in \(0, 1\]"):
        mt.complexity(mt.PSpin(p=3, T=0.2), x=[0.5, 1.2])
    with pytest.raises(TypeError, match="model must be a model of one point"):
        mt.complexity(mt.PSpin(p=3, T=[0.2, 0.3]))


def test_lines_refuse_what_they_do_not_search():
    with pytest.raises(ValueError, match="only the end of retrieval along the load"):
        mt.spinodal(mt.Hopfield, along="T", alpha=0.1, k=1)
    with pytest.raises(ValueError, match="k must be from 1 to 20"):
        mt.spinodal(mt.Hopfield, T=0.0, k=0)
    with pytest.raises(ValueError, match="along must be 'gamma'"):
        mt.transition(mt.DenseHebbian, between=("retrieval", "spin_glass"), along="T", gamma=0.4, P=4)
    with pytest.raises(ValueError, match="between must be retrieval and spin_glass"):
        mt.transition(mt.Hopfield, between=("retrieval", "paramagnet"), T=0.1, k=1)
    with pytest.raises(ValueError, match="give one of them"):
        mt.sweep(mt.Hopfield, over={"alpha": [0.1]}, const={"T": 0.2}, k=1, solver=mt.Newton(), progress=False)


def test_sweep(tmp_path):
    """The numbers of rsb, phases with the glass, a store that has nothing left to do."""
    over, const = {"gamma": [0.2, 0.5], "T": [0.1, 0.3, 0.7]}, {"P": 4}
    ds = mt.sweep(mt.DenseHebbian, over=over, const=const, k=1, progress=False, store=tmp_path / "plane.zarr")
    assert ds.q.dims == ("start", "gamma", "T", "level")
    assert ds.x.dims == ("start", "gamma", "T", "step")
    assert ds.attrs["solver"] == "Steps(k=1)"
    assert ds.attrs["n_unconverged"] == 3 == int((~ds.converged).sum())
    point = mt.rsb(mt.DenseHebbian(P=4, gamma=0.5, T=0.1), start="spin_glass")
    here = ds.sel(start="spin_glass", gamma=0.5, T=0.1)
    np.testing.assert_allclose(here.q, point.q, rtol=0, atol=1e-9)
    assert float(here.free_energy) == pytest.approx(float(point.free_energy), abs=1e-13)
    phase = mt.classify(ds).phase.values.tolist()
    assert phase == [["retrieval", "retrieval", "paramagnet"], ["spin_glass", "spin_glass", "paramagnet"]]
    again = mt.sweep(mt.DenseHebbian, over=over, const=const, k=1, progress=False, store=tmp_path / "plane.zarr")
    np.testing.assert_array_equal(again.free_energy, ds.free_energy)
    assert again.attrs["created"] == ds.attrs["created"]
    with pytest.raises(mt.StoreError):
        mt.sweep(mt.DenseHebbian, over=over, const=const, k=2, progress=False, store=tmp_path / "plane.zarr")


def test_points_in_the_order_of_their_load():
    """Neighbours along the load help each other, and change no number: a row at once against its points alone."""
    gamma = np.linspace(0.36, 0.46, 6)
    row = mt.sweep(mt.DenseHebbian, over={"gamma": gamma}, const={"P": 4, "T": 0.1}, k=1, progress=False)
    for i, value in enumerate(gamma[:5]):
        one = mt.rsb(mt.DenseHebbian(P=4, gamma=value, T=0.1))
        assert float(row.m[0, i]) == pytest.approx(float(one.m), abs=1e-9)
        assert int(row.steps[0, i]) == int(one.steps)
