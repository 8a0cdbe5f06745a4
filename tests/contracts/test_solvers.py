"""One battery for every solver, and Newton's claim: it ends where the flow dx/dt = F(x) - x ends."""

import itertools
from dataclasses import fields

import numpy as np
import pytest
from scipy.optimize import root as scipy_root

import mattis as mt
from mattis.solvers.root import Root
from mattis.solvers.stability import least_eigenvalue, stability
from mattis.sweeps.solve import fixed_points

SOLVERS = {"newton": mt.Newton(), "damped": mt.Damped(), "anderson": mt.Anderson()}
EVERY = pytest.mark.parametrize("solver", SOLVERS.values(), ids=SOLVERS)
MODELS = [
    mt.CurieWeiss(T=np.array([0.05, 0.3, 0.8, 1.3])),
    mt.SherringtonKirkpatrick(T=np.array([0.05, 0.2, 0.7, 1.6])),
    mt.SherringtonKirkpatrick(T=np.array([0.0, 0.4, 1.1]), h=np.array([[0.2], [-0.7]])),
    mt.Hopfield(alpha=np.array([0.0, 0.02, 0.1, 1.5]), T=np.array([[0.0], [0.1], [0.45], [0.7], [2.8]])),
    mt.Hopfield(alpha=np.array([0.01, 0.05]), T=np.array([[0.1], [0.2], [1.8]]), protocol="supervised", rho=0.1),
    mt.Hopfield(alpha=np.array([0.01, 0.04]), T=np.array([[0.1], [0.2], [1.8]]), protocol="unsupervised", r=0.5, M=30),
]


@pytest.mark.parametrize("solver", [mt.Damped(damping=0.9), mt.Anderson()], ids=["damped", "anderson"])
@pytest.mark.parametrize("model", MODELS, ids=lambda m: f"{type(m).__name__}{m.shape}")
def test_same_fixed_points(model, solver):
    """Where two solvers converge to 1e-12, solutions differ by at most residual/stability, twice.

    The damping is 0.9 because near the glass C -> E sech^2/T is steep: at 0.3 plain iteration jumps about it.
    """
    for start in model.starts[:2]:
        if start == "paramagnet":
            continue
        here, there = mt.solve(model, start), mt.solve(model, start, solver)
        stable = here.stability > 0  # without load the spin glass start finds the paramagnet of D < 0
        assert stable[np.broadcast_to(getattr(model, "alpha", 1.0), model.shape) > 0].all()
        for name in model.order:
            gap = abs(getattr(here, name) - getattr(there, name))
            assert (gap[stable] < 4e-12 / here.stability[stable] + 1e-14).all(), (start, name)


class Counted:
    """A map that counts how often each point is asked for."""

    def __init__(self, step, points):
        self.step, self.calls, self.history = step, np.zeros(points, int), []

    def __call__(self, x, at):
        assert x.shape[1] == at.size
        assert np.unique(at).size == at.size
        np.add.at(self.calls, at, 1)
        image, J = self.step(x, at)
        self.history.append((at.copy(), x.copy(), image.copy()))
        return image, J


RATE = np.array([0.1, 0.5, 0.9, -0.4, 0.97])


def tanh_map(x, at):
    """x -> rate tanh x + 1 - rate/2: fixed points at different speeds."""
    t = np.tanh(x)
    return RATE[at] * t + 1 - RATE[at] / 2, (RATE[at] * (1 - t**2))[None]


BOX = (np.full((1, 5), -3.0), np.full((1, 5), 3.0))


@EVERY
def test_a_finished_point_is_never_asked_for_again(solver):
    step = Counted(tanh_map, 5)
    root = solver(step, np.zeros((1, 5)), BOX)
    assert root.converged.all()
    np.testing.assert_array_equal(step.calls, root.n_steps)
    assert len(set(root.n_steps.tolist())) > 1
    for at, x, image in step.history:
        done = abs(image - x).max(axis=0) < solver.tol
        for p in at[done]:
            assert sum(p in h[0] for h in step.history) == root.n_steps[p]
    for p in range(5):
        mine = [(x[0, at == p], image[0, at == p]) for at, x, image in step.history if p in at]
        gaps = [abs(image - x)[0] for x, image in mine]
        assert gaps[-1] < solver.tol
        assert min(gaps[:-1], default=1) >= solver.tol
        assert root.residual[p] == gaps[-1]
        assert root.x[0, p] == mine[-1][0][0]


@EVERY
def test_a_failing_point_disturbs_no_other(solver):
    """Bitwise the same with and without a map that is nan, infinite, or has no fixed point (x -> x + 1)."""

    def bad(x, at):
        image, J = tanh_map(x, np.minimum(at, 4) % 5)
        image = np.where(at == 5, np.nan, np.where(at == 6, np.inf, np.where(at == 7, x + 1, image)))
        return image, np.where(at == 5, np.nan, np.where(at == 7, 1.0, J))

    alone = solver(tanh_map, np.zeros((1, 5)), BOX)
    box = (np.full((1, 8), -3.0), np.full((1, 8), 3.0))
    among = solver(bad, np.zeros((1, 8)), box)
    for f in fields(Root):
        np.testing.assert_array_equal(getattr(among, f.name)[..., :5], getattr(alone, f.name), err_msg=f.name)
    assert not among.converged[5:].any()
    assert np.isnan(among.residual[5])
    assert np.isposinf(among.residual[6])
    assert among.n_steps.tolist()[5:] == [1, 1, solver.max_steps]
    assert among.residual[7] == 1.0


@EVERY
def test_failure_is_data_in_a_solution(solver):
    """Too few steps: the points that failed keep where they got to; solve raises and holds all of them."""
    short = type(solver)(max_steps=3)
    model = mt.Hopfield(alpha=np.array([0.0, 0.1]), T=np.array([[0.3], [0.2], [0.05]]))
    with pytest.raises(mt.ConvergenceError, match=r"^Hopfield did not converge from start 'retrieval' at \d of 6") as e:
        mt.solve(model, solver=short)
    found = e.value.solution
    assert found.m.shape == (3, 2)
    assert not found.converged.all()
    assert (found.residual[~found.converged] >= short.tol).all()
    assert (found.n_steps <= 3).all()


def test_a_root_is_five_arrays():
    assert [f.name for f in fields(Root)] == ["x", "J", "residual", "converged", "n_steps"]


@EVERY
@pytest.mark.parametrize("variables", [1, 2, 5])
def test_contracting_maps_of_any_number_of_variables(solver, variables):
    """x -> A tanh x + b with |A| < 1, against scipy.optimize.root; 7 points."""
    rng = np.random.default_rng(variables)
    A = rng.normal(size=(7, variables, variables))
    A *= 0.8 / np.linalg.norm(A, 2, axis=(1, 2))[:, None, None]
    b = rng.normal(size=(7, variables))

    def step(x, at):
        t = np.tanh(x)
        image = np.einsum("pij,jp->ip", A[at], t) + b[at].T
        return image, np.moveaxis(A[at], 0, 2) * (1 - t**2)

    wide = np.full((variables, 7), 9.0)
    found = solver(step, np.zeros((variables, 7)), (-wide, wide))
    assert found.converged.all()
    assert found.x.shape == (variables, 7)
    for p in range(7):
        exact = scipy_root(lambda y, p=p: A[p] @ np.tanh(y) + b[p] - y, np.zeros(variables), tol=1e-14).x
        np.testing.assert_allclose(found.x[:, p], exact, rtol=0, atol=1e-12 / 0.2 + 1e-13)


@pytest.mark.parametrize("solver", [mt.Newton(), mt.Damped(max_steps=20_000)], ids=["newton", "damped"])
@pytest.mark.parametrize("variables", [1, 2, 5])
def test_an_unstable_root_is_left(solver, variables):
    """Flow v' = v - v^3 along one direction, decay in the others: from beside 0 to v = +1 or -1, never to 0."""
    rng = np.random.default_rng(10 + variables)
    Q = np.linalg.qr(rng.normal(size=(variables, variables)))[0]
    rates = np.linspace(0.4, 1.1, variables)

    def step(x, at):
        v = Q.T @ x
        flow, slope = -rates[:, None] * v, np.tile(-rates[:, None], v.shape[1])
        flow[0], slope[0] = v[0] - v[0] ** 3, 1 - 3 * v[0] ** 2
        J = np.einsum("ik,kp,jk->ijp", Q, slope, Q) + np.eye(variables)[:, :, None]
        return x + Q @ flow, J

    v0 = np.array([0.02, -0.02, 0.3, -0.6, 1.4, 1e-6])
    start = Q @ np.vstack([v0, 0.1 * rng.normal(size=(variables - 1, 6))])
    wide = np.full((variables, 6), 5.0)
    found = solver(step, start, (-wide, wide))
    assert found.converged.all()
    end = np.vstack([np.sign(v0), np.zeros((variables - 1, 6))])
    np.testing.assert_allclose(Q.T @ found.x, end, rtol=0, atol=1e-11)


def test_newton_converges_quadratically():
    """Close to a root the residual is squared: the last orders log r_{n+1}/log r_n tend to 2."""
    model = mt.Hopfield(alpha=0.1, T=0.2).flat()
    root = fixed_points(model, "retrieval", mt.Newton()).x
    low, high = model.box()
    step = Counted(lambda x, at: model.self_consistency(x), 1)
    mt.Newton(tol=1e-15)(step, root + np.array([[-0.01], [0.004]]), (low, high))
    residual = [abs(image - x).max() for _, x, image in step.history]
    useful = [r for r in residual if r > 1e-13]
    assert len(useful) >= 3
    constants = [b / a**2 for a, b in itertools.pairwise(useful)]
    assert max(constants) < 20
    assert len(residual) <= 6


def test_damped_converges_linearly_at_its_rate():
    """The residual falls by 1 - (1 - damping)(1 - F') per step: x -> cos x, F' = -sin(0.739...)."""
    step = Counted(lambda x, at: (np.cos(x), -np.sin(x)[None]), 1)
    mt.Damped(damping=0.1)(step, np.array([[0.5]]), (np.zeros((1, 1)), np.ones((1, 1))))
    residual = [abs(image - x)[0, 0] for _, x, image in step.history]
    rate = abs(1 - 0.9 * (1 + np.sin(0.7390851332151607)))
    assert residual[12] / residual[11] == pytest.approx(rate, rel=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mt.Newton(tol=0.0), r"^tol must be > 0, got 0.0$"),
        (lambda: mt.Newton(tol=np.nan), r"^tol must be > 0, got nan$"),
        (lambda: mt.Newton(max_steps=0), r"^max_steps must be >= 1, got 0$"),
        (lambda: mt.Newton(reach=-0.1), r"^reach must be > 0, got -0.1$"),
        (lambda: mt.Damped(damping=1.0), r"^damping must be in \[0, 1\), got 1.0$"),
        (lambda: mt.Damped(damping=-0.1), r"^damping must be in \[0, 1\), got -0.1$"),
        (lambda: mt.Damped(tol=-1e-9), r"^tol must be > 0, got -1e-09$"),
        (lambda: mt.Anderson(memory=0), r"^memory must be >= 1, got 0$"),
        (lambda: mt.Anderson(damping=2.0), r"^damping must be in \[0, 1\), got 2.0$"),
        (lambda: mt.Anderson(max_steps=-4), r"^max_steps must be >= 1, got -4$"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@EVERY
def test_no_points(solver):
    empty = np.zeros((2, 0))
    found = solver(lambda x, at: (x, np.zeros((2, *x.shape))), empty, (empty, empty))
    assert found.x.shape == (2, 0)
    assert found.converged.shape == (0,)


@pytest.mark.parametrize("variables", [1, 2, 3, 5])
def test_least_eigenvalue(variables):
    """Against numpy.linalg.eigvals, complex pairs included; nan where an entry is nan."""
    A = np.random.default_rng(variables).normal(size=(variables, variables, 40))
    exact = [np.linalg.eigvals(A[:, :, p]).real.min() for p in range(40)]
    np.testing.assert_allclose(least_eigenvalue(A), exact, rtol=0, atol=2e-14 * variables)
    A[0, 0, 3] = np.nan
    assert np.isnan(least_eigenvalue(A)[3])
    J = np.zeros((variables, variables, 2))
    J[0, 0, 1] = np.inf
    assert stability(J).tolist() == [1.0, -np.inf]


# --- Newton keeps to the basin -------------------------------------------------------------------------------------


def flows_away(model, m_lost):
    """True where the flow from the retrieval start ends off the branch: explicit Euler, 0.05 until t = 60, then 0.5.

    Off: the signal falls below m_lost. On: |F - x| < 1e-10; above the spinodal by 1e-6 it stays above 1e-8.
    """
    x, at = model.start("retrieval"), np.arange(model.shape[0])
    away = np.zeros(at.size, bool)
    for k in range(120_000):
        gap = model.at(at).self_consistency(x)[0] - x
        lost = x[0] < m_lost[at]
        away[at[lost]] = True
        going = ~lost & (abs(gap).max(axis=0) > 1e-10)
        if not going.all():
            at, x, gap = at[going], x[:, going], gap[:, going]
        if at.size == 0:
            return away
        x = x + (0.05 if k < 1200 else 0.5) * gap
    raise AssertionError(f"{at.size} points undecided")


def on_branch(solution, fold):
    return (solution.m > fold.m * 0.98) & (solution.stability > 0)


def test_newton_ends_where_the_flow_ends():
    """60 x 40 points (alpha, T) around the spinodal: retrieval below alpha_M(T), never above."""
    T = np.concatenate([[0.0, 1e-3, 0.01, 0.03], np.linspace(0.06, 0.95, 36)])
    fold = mt.spinodal(mt.Hopfield, T=T)
    alpha = fold.alpha * np.geomspace(0.25, 4, 60)[:, None]
    model = mt.Hopfield(alpha=alpha, T=T)
    found = mt.solve(model)
    below = alpha < fold.alpha
    np.testing.assert_array_equal(on_branch(found, fold), below)
    coarse = mt.Hopfield(alpha=alpha[3::8, ::3], T=T[::3])
    lost = np.broadcast_to(0.5 * fold.m[::3], coarse.shape).ravel()
    np.testing.assert_array_equal(~flows_away(coarse.flat(), lost).reshape(coarse.shape), below[3::8, ::3])


def test_newton_ends_where_the_flow_ends_a_millionth_from_the_spinodal():
    T = np.array([0.0, 0.02, 0.1, 0.25, 0.5, 0.75, 0.9])
    fold = mt.spinodal(mt.Hopfield, T=T)
    distance = np.array([-1e-2, -1e-4, -1e-6, 1e-6, 1e-4, 1e-2])[:, None]
    model = mt.Hopfield(alpha=fold.alpha * (1 + distance), T=T)
    found = mt.solve(model, solver=mt.Newton(max_steps=2000))  # above, the passage takes time 1/sqrt(distance)
    assert (found.n_steps[distance[:, 0] < 0] < 30).all()
    np.testing.assert_array_equal(on_branch(found, fold), np.broadcast_to(distance < 0, model.shape))
    model = mt.Hopfield(alpha=(fold.alpha * (1 + distance))[:, 1:5], T=T[1:5])
    lost = np.broadcast_to(0.5 * fold.m[1:5], model.shape).ravel()
    away = flows_away(model.flat(), lost).reshape(model.shape)
    np.testing.assert_array_equal(away, np.broadcast_to(distance > 0, model.shape))


@pytest.mark.parametrize(
    "const", [{"protocol": "supervised", "rho": 0.1}, {"protocol": "unsupervised", "r": 0.5, "M": 30}]
)
def test_newton_keeps_the_branch_of_a_dataset(const):
    """24 x 17 points, some a millionth from the spinodal."""
    T = np.linspace(0.0, 0.7, 17)
    fold = mt.spinodal(mt.Hopfield, T=T, **const)
    factor = np.concatenate([np.geomspace(0.2, 5, 18), 1 + np.array([-1e-3, -1e-5, -1e-6, 1e-6, 1e-5, 1e-3])])[:, None]
    found = mt.solve(mt.Hopfield(alpha=fold.alpha * factor, T=T, **const), solver=mt.Newton(max_steps=2000))
    np.testing.assert_array_equal(on_branch(found, fold), np.broadcast_to(factor < 1, found.m.shape))


def test_spin_glass_start_stays_at_zero_signal():
    found = mt.solve(mt.Hopfield(alpha=np.geomspace(1e-4, 3, 13), T=np.linspace(0, 3, 11)[:, None]), "spin_glass")
    assert (found.m == 0).all()
    frozen = 1 + np.sqrt(found.model.alpha) > found.model.T
    np.testing.assert_array_equal(found.q > 1e-4, frozen)


class TiedTogether(mt.Multitasking):
    """Three overlaps that are kept equal, and a map that parts them."""

    def sector(self, start):
        return np.array([0, 0, 0])

    def self_consistency(self, x):
        F, J = super().self_consistency(x)
        return F * np.array([[1.0], [0.9], [0.8]]), J * np.array([1.0, 0.9, 0.8]).reshape(3, 1, 1)


def test_a_root_of_a_sector_that_is_none_of_the_map_has_not_converged():
    """In the sector there is a fixed point of the first component; the others are off by 0.1 and 0.2 of it."""
    model = TiedTogether(d=0.3, T=0.1, K=3).flat()
    found = fixed_points(model, "hierarchical", mt.Newton())
    assert found.residual > 0.01
    assert not found.converged
    with pytest.raises(mt.ConvergenceError, match="residual"):
        mt.solve(model)


def test_what_is_no_solver_or_no_model_is_refused():
    with pytest.raises(TypeError, match=r"^solver must be a solver, such as mattis.Newton\(\), got 'newton'$"):
        mt.solve(mt.CurieWeiss(T=0.5), solver="newton")
    with pytest.raises(TypeError, match=r"^model must be a model with its parameters"):
        mt.solve(mt.CurieWeiss)
