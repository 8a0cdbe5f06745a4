"""One battery for every model and protocol: shapes, derivatives, thermodynamics, limits, and what is refused."""

import dataclasses

import numpy as np
import pytest

import mattis as mt
from mattis.solvers.stability import stability
from mattis.sweeps.solve import fixed_points

CASES = {
    "curie_weiss": (mt.CurieWeiss, {}),
    "sk": (mt.SherringtonKirkpatrick, {}),
    "sk_field": (mt.SherringtonKirkpatrick, {"h": 0.3}),
    "storing": (mt.Hopfield, {"alpha": 0.05}),
    "no_load": (mt.Hopfield, {"alpha": 0.0}),
    "pseudo_inverse": (mt.PseudoInverse, {"alpha": 0.1}),
    "supervised_rho": (mt.Hopfield, {"alpha": 0.03, "protocol": "supervised", "rho": 0.1}),
    "supervised_rM": (mt.Hopfield, {"alpha": 0.02, "protocol": "supervised", "r": 0.8, "M": 5}),
    "unsupervised": (mt.Hopfield, {"alpha": 0.02, "protocol": "unsupervised", "r": 0.5, "M": 30}),
    "dense3": (mt.DenseHebbian, {"P": 3, "gamma": 0.3}),
    "dense6_no_load": (mt.DenseHebbian, {"P": 6, "gamma": 0.0}),
    "dense5_rho": (mt.DenseHebbian, {"P": 5, "gamma": 0.1, "protocol": "supervised", "rho": 0.1}),
    "dense4_rM": (mt.DenseHebbian, {"P": 4, "gamma": 0.12, "protocol": "unsupervised", "r": 0.8, "M": 5}),
    "dense4_closure": (
        mt.DenseHebbian,
        {"P": 4, "gamma": 0.1, "protocol": "supervised", "rho": 0.1, "closure": "low_entropy"},
    ),
    "dense4_diagonal": (mt.DenseHebbian, {"P": 4, "gamma": 0.1, "diagonal": "included"}),
    "dense3_diagonal": (mt.DenseHebbian, {"P": 3, "gamma": 0.1, "diagonal": "included"}),
    "dense3_binomial": (
        mt.DenseHebbian,
        {"P": 3, "gamma": 0.08, "protocol": "unsupervised", "r": 0.8, "M": 5, "etabar": "binomial"},
    ),
    "multitasking_load": (mt.Multitasking, {"K": 1, "d": 0.2, "alpha": 0.01}),
    "multitasking": (mt.Multitasking, {"K": 3, "d": 0.3}),
    "multitasking_rho": (mt.Multitasking, {"K": 2, "d": 0.3, "protocol": "supervised", "rho": 0.15}),
    "multitasking_rM": (mt.Multitasking, {"K": 2, "d": 0.25, "protocol": "unsupervised", "r": 0.8, "M": 3}),
}
NOISELESS = ("curie_weiss", "no_load", "dense6_no_load", "multitasking", "multitasking_rM")
NOT_STATIONARY = ("dense4_closure",)  # the low-entropy closure is no derivative of its free energy
TEMPERATURES = (0.0, 1e-3, 0.05, 0.31, 0.6, 1.7)
EVERY = pytest.mark.parametrize("case", CASES)


def make(case, T, **changes):
    cls, const = CASES[case]
    return cls(T=T, **const | changes)


def solved(case, T, start=None):
    """(model, solution, x), flat: x the variables at the solution."""
    model = make(case, np.atleast_1d(T)).flat()
    start = start or model.starts[0]
    return model, mt.solve(model, start), fixed_points(model, start, mt.Newton()).x


def map_of(model):
    return lambda x: model.self_consistency(x)[0]


def inner(case, T):
    """A point off every solution and inside the box, with the lengths over which the map varies there."""
    model = make(case, T)
    x = {"m": 0.55, "n": 0.5, "C": 0.35 if "sk" in case else 0.22, "V": 0.3}
    length = {"m": 0.4, "n": 0.4, "C": 0.2, "V": 0.2}
    if case in NOISELESS and T < 0.1:  # where the field is 1.5 T
        P = getattr(model, "P", 2)
        x["m"] = x["n"] = (3 * T / P) ** (1 / (P - 1))
        length["m"] = length["n"] = x["m"] / (1.5 * (P - 1) ** 2)
    for k in range(getattr(model, "K", 0)):
        x |= {f"{v}_{k + 1}": x[v] * 0.7**k for v in "mn"}
        length |= {f"{v}_{k + 1}": length[v] for v in "mn"}
    names = model.variables
    return model, np.array([x[v] for v in names]), np.array([length[v] for v in names])


DIFFERENCE = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))


def derivative(f, x, j, length):
    """Fourth-order difference in x_j with step 1e-3 length: truncation 1e-11, round-off 1e-10, in units f/length."""
    step = np.zeros_like(x)
    step[j] = 1e-3 * length
    return sum(w * f(x + k * step) for k, w in DIFFERENCE) / (1e-3 * length)


@EVERY
def test_a_scalar_is_a_grid_of_one_and_a_row_of_any_grid(case):
    T = np.array([[0.0, 0.2, 0.45, 1.4], [0.6, 0.05, 0.3, 1.1], [0.1, 0.25, 0.15, 2.0]])
    wide = mt.solve(make(case, T))
    turned = mt.solve(make(case, T.T[::-1]))
    for name, value in wide.values.items():
        assert value.shape[:2] == (3, 4), name
        np.testing.assert_array_equal(turned.values[name], value.swapaxes(0, 1)[::-1], err_msg=name)
    for at in ((0, 0), (1, 2), (2, 3)):
        point, row = mt.solve(make(case, T[at])), mt.solve(make(case, T[at[0], at[1] : at[1] + 1]))
        for name in wide.values:
            vector = wide.values[name].shape[2:]
            assert np.shape(point.values[name]) == vector
            assert row.values[name].shape == (1, *vector)
            np.testing.assert_array_equal(point.values[name], wide.values[name][at], err_msg=name)
            np.testing.assert_array_equal(row.values[name][0], wide.values[name][at], err_msg=name)


BROADCAST = ["sk_field", "storing", "supervised_rho", "supervised_rM", "unsupervised", "dense3", "dense5_rho"]


@pytest.mark.parametrize("case", [*BROADCAST, "dense4_rM", "dense3_binomial", *(c for c in CASES if "multi" in c)])
def test_every_parameter_broadcasts(case):
    other = {"sk_field": ("h", [0.1, 0.4, -0.2]), "storing": ("alpha", [0.01, 0.0, 0.9])}
    other |= {"supervised_rho": ("rho", [0.0, 0.05, 0.2]), "supervised_rM": ("M", [3, 8, 40])}
    other |= {"dense3": ("gamma", [0.01, 0.0, 0.9]), "dense5_rho": ("rho", [0.0, 0.05, 0.2])}
    other |= {"dense4_rM": ("M", [3, 8, 40]), "dense3_binomial": ("r", [0.7, 0.9, 1.0])}
    other |= {"multitasking_load": ("alpha", [0.01, 0.002, 0.9]), "multitasking": ("d", [0.0, 0.6, 0.8])}
    other |= {"multitasking_rho": ("rho", [0.0, 0.05, 0.2])}
    name, values = other.get(case, ("r", [0.4, 0.6, 1.0]))
    T = np.array([0.0, 0.3])
    grid = mt.solve(make(case, T[:, None], **{name: values}))
    assert grid.model.shape == (2, 3)
    for i, j in np.ndindex(2, 3):
        one = mt.solve(make(case, T[i], **{name: values[j]}))
        assert one.free_energy == grid.free_energy[i, j]
        assert one.q == grid.q[i, j]
        assert getattr(grid, name)[i, j] == values[j]


@EVERY
def test_a_model_of_no_points(case):
    empty = mt.solve(make(case, np.ones((0, 3))))
    assert empty.free_energy.shape == (0, 3)
    assert empty.label.shape == (0, 3)
    assert empty.converged.dtype == bool


@pytest.mark.parametrize(("case", "T"), [(c, T) for c in CASES for T in TEMPERATURES if T > 0 or c not in NOISELESS])
def test_jacobian_is_the_derivative_of_the_map(case, T):
    """Tolerance of derivative(), for maps of order 1/length; without noise the map of T = 0 is a step."""
    model, x, length = inner(case, T)
    J = model.self_consistency(x)[1]
    assert J.shape == (x.size, x.size)
    for j in range(x.size):
        found = derivative(map_of(model), x, j, length[j])
        np.testing.assert_allclose(J[:, j], found, rtol=0, atol=2e-9 * np.ptp([0, 1, *abs(J.ravel())]) / length[j])


@EVERY
@pytest.mark.parametrize("T", TEMPERATURES)
def test_free_energy_is_stationary_where_the_map_is_fixed_and_only_there(case, T):
    model, x, length = inner(case, T)
    if not (T == 0 and case in ("sk", "sk_field", *NOISELESS)):  # there f does not depend on C
        gap = abs(model.self_consistency(x)[0] - x)
        slopes = [derivative(model.free_energy, x, j, length[j]) for j in range(x.size)]
        assert gap.max() > 1e-2
        assert max(map(abs, slopes)) > 1e-4 * gap.max()
    for start in model.starts:
        model, solution, x = solved(case, T, start)
        if not np.isfinite(solution.free_energy).all() or (T == 0 and case in NOISELESS):
            continue
        W = max(T, 0.05)
        for j, name in enumerate(model.variables):
            unit = W if name != "C" else min(0.2, 0.3 * abs(1 - x[j, 0]) if "sk" not in case else 0.2)
            if name == "C" and (solution.q < 1e-8 or T * unit * 2e-3 > solution.q):
                continue  # q = 1 - T C is clipped at zero: f has a kink there
            if name == "V" and x[j, 0] < 1e-8:
                continue  # a variance
            slope = derivative(model.free_energy, x, j, unit)
            if case in NOT_STATIONARY and name == "n":
                slope = slope + lost_in_the_closure(model, x)[1]
            assert abs(slope[0]) < 1e-9 / unit, (start, name)


def lost_in_the_closure(model, x):
    """rho mu^2 C, and rho mu C dmu/dn: what the low-entropy closure leaves out of f and of df/dn."""
    n, C = x
    mu = 0.5 * model.P * (1 + model.rho) ** (model.P / 2 - 1) * n ** (model.P - 1)
    mu_n = 0.5 * model.P * (model.P - 1) * (1 + model.rho) ** (model.P / 2 - 1) * n ** (model.P - 2)
    return model.rho * mu**2 * C, model.rho * mu * C * mu_n


@pytest.mark.parametrize("case", [case for case in CASES if case not in NOT_STATIONARY])
@pytest.mark.parametrize("start", [0, 1])
def test_energy_and_entropy_are_derivatives_of_the_free_energy(case, start):
    """s = -df/dT, u = d(beta f)/d beta, f = u - T s along solutions; differences as in derivative()."""
    T = np.array([0.12, 0.35, 0.8, 1.9])
    start = make(case, 1.0).starts[start]

    def f(t):
        return mt.solve(make(case, t), start).free_energy

    here = mt.solve(make(case, T), start)
    defined = np.isfinite(here.free_energy)  # not for a paramagnet with D <= 0
    assert defined[-1]
    gap = here.free_energy - here.energy + T * here.entropy
    assert (abs(gap[defined]) < 4e-12).all()  # of first order in the residual, 1e-12
    by_T = sum(w * f(T * (1 + 1e-3 * k)) for k, w in DIFFERENCE) / (1e-3 * T)
    assert (abs(here.entropy + by_T)[defined] < (1e-9 / T)[defined]).all()
    beta = 1 / T
    by_beta = sum(w * beta * (1 + 1e-3 * k) * f(1 / (beta * (1 + 1e-3 * k))) for k, w in DIFFERENCE) / (1e-3 * beta)
    assert (abs(here.energy - by_beta)[defined] < (1e-9 / T)[defined]).all()


@pytest.mark.parametrize("case", NOT_STATIONARY)
@pytest.mark.parametrize("start", [0, 1])
def test_entropy_is_the_partial_derivative_where_the_free_energy_is_not_stationary(case, start):
    """s = -df/dT at fixed n and q; f - u + T s = -rho mu^2 C exactly, which is not zero in the retrieval state."""
    T = np.array([0.12, 0.35, 0.8, 1.9])
    model, solution, x = solved(case, T, make(case, 1.0).starts[start])
    gap = solution.free_energy - solution.energy + T * solution.entropy
    lost = lost_in_the_closure(model, x)[0]
    np.testing.assert_allclose(gap, -lost, rtol=0, atol=4e-12)
    assert (lost[0] > 1e-3) == (start == 0)

    def f(t):
        n, q = x[0], 1 - T * x[1]
        return make(case, t).free_energy(np.stack([n, (1 - q) / t]))

    by_T = sum(w * f(T * (1 + 1e-3 * k)) for k, w in DIFFERENCE) / (1e-3 * T)
    assert (abs(solution.entropy + by_T) < 1e-9 / T).all()


@EVERY
@pytest.mark.parametrize("T", TEMPERATURES)
def test_signal_to_minus_signal(case, T):
    """H is even (h = 0): the map is odd in m or n and even in C; f is even. With a field, h goes along.

    An odd number of spins per interaction: the field, and so the map, is even in m or n, and f keeps its -m^P apart.
    """
    model, x, _ = inner(case, T)
    if getattr(model, "P", 2) % 2:
        y = x * [-1, 1]
        (image, J), (mirror, K) = model.self_consistency(x), model.self_consistency(y)
        np.testing.assert_allclose(mirror, image, rtol=1e-13)
        np.testing.assert_allclose(K, J * [-1, 1], rtol=1e-10, atol=1e-13)
        rise = (model.P - 1) * (1 + model.rho) ** (model.P / 2) * x[0] ** model.P
        assert model.free_energy(x) - model.free_energy(y) == pytest.approx(rise, rel=1e-12)
        return
    if isinstance(model, mt.SherringtonKirkpatrick):
        mirrored, y, odd = make(case, T, h=-model.h), x, []
    else:
        even = np.isin(model.variables, ("C", "V"))
        mirrored, y, odd = model, x * np.where(even, 1, -1), np.flatnonzero(~even)
    image, J = model.self_consistency(x)
    mirror, K = mirrored.self_consistency(y)
    sign = np.array([-1.0 if j in odd else 1.0 for j in range(x.size)])
    np.testing.assert_allclose(mirror, sign * image, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(K, sign[:, None] * sign * J, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(mirrored.free_energy(y), model.free_energy(x), rtol=1e-13)


EXTRAPOLATE = np.array([4.0, -6.0, 4.0, -1.0])


def starts_with_a_limit(case):
    """Without noise only the aligned solution has one, and a paramagnet only in a field: else C = 1/T diverges.

    Noise of the examples leaves out the spins that have none: the blank ones of "pure".
    """
    starts = make(case, 1.0).starts[: 1 if case in (*NOISELESS, "multitasking_rho") else 2]
    return [s for s in starts if s != "paramagnet" or case == "sk_field"]


@pytest.mark.parametrize(("case", "start"), [(c, s) for c in CASES for s in starts_with_a_limit(c)])
def test_low_temperature_tends_to_zero_temperature(case, start):
    """x and f are smooth in T >= 0 (Sommerfeld): cubic extrapolation from t, 2t, 3t, 4t errs by O(t^4)."""
    steps = [np.arange(5) * 4e-3, np.arange(5) * 2e-3]
    least = 1e-4 if case == "multitasking_rM" else 1e-8  # a Fourier integral has about 10/T nodes
    gaps = {}
    for T in [*steps, np.array([0.0, least, 1e-4 * least if least < 1e-6 else 0.0])]:
        model, solution, x = solved(case, T, start)
        for name, v in [*zip(model.variables, x, strict=True), ("f", solution.free_energy)]:
            gaps.setdefault(name, []).append(v[0] - EXTRAPOLATE @ v[1:] if T.size == 5 else abs(v - v[0]).max())
    for name, (coarse, fine, cold) in gaps.items():
        assert abs(fine) < max(1e-11, 0.1 * abs(coarse)), name
        assert cold < 10 * least, name  # of first order in T, with a slope up to P C^2
    _, solution, _ = solved(case, np.array([0.0, least]), start)
    assert solution.stability[1] == pytest.approx(solution.stability[0], abs=1e-6)


@EVERY
def test_box_holds_every_solution_and_start(case):
    """The flow without a box, dx = 0.2 (F - x), ends inside it, or where there is no free energy (D <= 0)."""
    T = np.array([0.05, 0.3, 0.7, 1.2, 2.5])
    model = make(case, T)
    low, high = model.box()
    for start in model.starts:
        x = model.start(start)
        assert x.shape == (len(model.variables), 5)
        for _ in range(400):
            step = 0.2 * (model.self_consistency(x)[0] - x)
            x = x + step
            if abs(step).max() < 1e-15:
                break
        inside = ((x >= low - 1e-12) & (x <= high + 1e-12)).all(axis=0)
        assert (inside | np.isnan(model.free_energy(x))).all(), start


@EVERY
def test_starts_flow_to_solutions_and_unknown_ones_are_named(case):
    model = make(case, 0.4)
    for start in model.starts:
        assert mt.solve(model, start).converged
    message = rf"^start must be one of {', '.join(model.starts)}, got 'ferro'$"
    with pytest.raises(ValueError, match=message):
        mt.solve(model, "ferro")


@EVERY
@pytest.mark.parametrize("T", [0.05, 0.31, 0.6, 1.7])
def test_stability_is_the_rate_of_the_flow(case, T):
    """Least eigenvalue of 1 - map' by differences, and the flow dx/dt = F - x returns or runs away accordingly."""
    for start in make(case, T).starts:
        model, solution, x = solved(case, T, start)
        if solution.q < 1e-8 if "C" in model.variables else False:
            continue  # q = 1 - T C is clipped at zero: only one side is differentiable
        if abs(solution.stability) < 1e-3:
            continue
        unit, least = max(T, 0.05) * 0.5, solution.stability
        if not ("V" in model.variables and x[2, 0] < 1e-8):  # a variance: only one side is differentiable
            J = np.stack([derivative(map_of(model), x, j, unit) for j in range(len(x))], axis=1)
            least = np.linalg.eigvals(np.eye(len(x)) - J[..., 0]).real.min()
        assert solution.stability == pytest.approx(least, abs=1e-7), start
        near = x + 1e-5 * np.array([[1.0], [-0.3], [0.4]])[: len(x)]
        first = abs(near - x).max()
        for _ in range(100):
            near = near + 0.1 * (model.self_consistency(near)[0] - near)
        assert (abs(near - x).max() < first) == (least > 0), start


@EVERY
def test_residual_and_quadrature_error_are_small(case):
    T = np.array([0.0, 0.05, 0.31, 0.6, 1.7])
    for start in make(case, T).starts:
        solution = mt.solve(make(case, T), start)
        assert (solution.residual < 1e-12).all()
        finite = np.isfinite(solution.quadrature_error)
        assert finite.all()
        assert (solution.quadrature_error < 1e-10).all()


@EVERY
def test_label_names_the_solution(case):
    T = np.array([0.1, 0.9, 1.9])
    cls = type(make(case, 1.0))
    first = mt.solve(make(case, T))
    named = {
        "curie_weiss": ["ferromagnet", "ferromagnet", "paramagnet"],
        "sk": ["spin_glass", "spin_glass", "paramagnet"],
        "sk_field": ["spin_glass"] * 3,
        "no_load": ["retrieval", "retrieval", "paramagnet"],
        "pseudo_inverse": ["retrieval", "paramagnet", "paramagnet"],
        "multitasking_load": ["pure", "paramagnet", "paramagnet"],
        "multitasking": ["hierarchical", "paramagnet", "paramagnet"],
        "multitasking_rho": ["hierarchical", "paramagnet", "paramagnet"],
        "multitasking_rM": ["hierarchical", "paramagnet", "paramagnet"],
    }.get(case, ["retrieval", "spin_glass", "paramagnet"])
    if case.startswith("dense"):  # P >= 3: not a glass but the paramagnet is next; a random field freezes it
        last = "spin_glass" if case == "dense3_diagonal" else "paramagnet"
        named = ["retrieval", "retrieval" if case in NOISELESS else last, last]
    assert first.label.tolist() == named
    order = {name: np.zeros(2) for name in (*first.model.order, "q")}
    assert cls.label(order).tolist() == ["paramagnet"] * 2


@EVERY
def test_a_model_is_frozen(case):
    model = make(case, 0.3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        model.T = 0.4
    with pytest.raises(TypeError):
        type(model)(0.3)


@EVERY
def test_declarations(case):
    """Names that a sweep, a figure and a boundary need."""
    model = make(case, 0.3)
    assert set(model.continuous) <= set(model.starts)
    assert set(model.order) <= set(model.order_parameters(model.start(model.starts[0])))
    assert {*model.parameters(), *model.order} <= set(model.symbols)
    assert model.load is None or model.load in model.parameters()
    assert len(model.reference) > 10


@pytest.mark.parametrize("T", [0.0, 0.5])
@pytest.mark.parametrize("alpha", [1e-3, 1e-5, 1e-7])
def test_the_glass_of_small_loads(alpha, T):
    """alpha r stays finite as alpha -> 0: (c + sqrt alpha)^2 at T = 0, c = sqrt(2/pi) (dense_hebbian.md 2.1).

    D = 1 - C is about sqrt(alpha), so round-off of C gives the residual a floor of 1e-16/sqrt(alpha).
    """
    glass = mt.solve(mt.Hopfield(alpha=alpha, T=T), "spin_glass")
    assert glass.label == "spin_glass"
    if T == 0:
        assert alpha * glass.r_noise == pytest.approx((np.sqrt(2 / np.pi) + np.sqrt(alpha)) ** 2, rel=1e-8)


BAD = [
    (mt.CurieWeiss, {"T": -0.1}, r"^T must be finite and >= 0, got -0.1$"),
    (mt.CurieWeiss, {"T": [0.2, np.nan, 0.3]}, r"^T must be finite and >= 0, got nan at index \(1,\)$"),
    (mt.CurieWeiss, {"T": np.inf}, r"^T must be finite and >= 0, got inf$"),
    (mt.CurieWeiss, {"T": "warm"}, r"^T must be a real number or an array of them, finite and >= 0, got 'warm'$"),
    (mt.CurieWeiss, {"T": 1j}, r"^T must be a real number or an array of them, finite and >= 0, got 1j$"),
    (mt.CurieWeiss, {"T": [[0.1], [0.2, 0.3]]}, r"^T must be a real number or an array of them"),
    (mt.SherringtonKirkpatrick, {"T": -1.0}, r"^T must be finite and >= 0, got -1.0$"),
    (mt.SherringtonKirkpatrick, {"T": 1.0, "h": np.nan}, r"^h must be finite, got nan$"),
    (mt.SherringtonKirkpatrick, {"T": 1.0, "h": -np.inf}, r"^h must be finite, got -inf$"),
    (mt.SherringtonKirkpatrick, {"T": [1.0, 2.0], "h": [1.0, 2.0, 3.0]},
     r"^the parameters must broadcast together, got T of shape \(2,\), h of shape \(3,\)$"),
    (mt.Hopfield, {"alpha": -0.2, "T": 1.0}, r"^alpha must be finite and >= 0, got -0.2$"),
    (mt.Hopfield, {"alpha": np.inf, "T": 1.0}, r"^alpha must be finite and >= 0, got inf$"),
    (mt.Hopfield, {"alpha": 0.1, "T": [[0.1, -2.0]]}, r"^T must be finite and >= 0, got -2.0 at index \(0, 1\)$"),
    (mt.Hopfield, {"alpha": [0.1, 0.2], "T": [1.0, 2.0, 3.0]}, r"^the parameters must broadcast together, got alpha of "
     r"shape \(2,\), T of shape \(3,\)$"),
    (mt.Hopfield, {"alpha": 0.1, "T": 1.0, "protocol": "online"},
     r"^protocol must be one of storing, supervised, unsupervised, got 'online'$"),
    (mt.Hopfield, {"alpha": 0.1, "T": 1.0, "rho": 0.1},
     r"^protocol='storing' stores the patterns themselves and takes no rho, r or M, got rho$"),
    (mt.Hopfield, {"alpha": 0.1, "T": 1.0, "r": 0.5, "M": 3}, r"takes no rho, r or M, got r, M$"),
]  # fmt: skip
SUPERVISED = [
    ({}, r"^protocol='supervised' needs rho, or both r and M$"),
    ({"rho": -0.1}, r"^rho must be finite and >= 0, got -0.1$"),
    ({"rho": np.nan}, r"^rho must be finite and >= 0, got nan$"),
    ({"r": 0.5}, r"^r and M must be given together, got r alone$"),
    ({"M": 5}, r"^r and M must be given together, got M alone$"),
    ({"r": 0.0, "M": 5}, r"^r must be finite and in \(0, 1\], got 0.0$"),
    ({"r": 1.2, "M": 5}, r"^r must be finite and in \(0, 1\], got 1.2$"),
    ({"r": -0.5, "M": 5}, r"^r must be finite and in \(0, 1\], got -0.5$"),
    ({"r": np.nan, "M": 5}, r"^r must be finite and in \(0, 1\], got nan$"),
    ({"r": 0.5, "M": 0}, r"^M must be an integer, finite and >= 1, got 0.0$"),
    ({"r": 0.5, "M": 2.5}, r"^M must be an integer, finite and >= 1, got 2.5$"),
    ({"r": 0.5, "M": np.inf}, r"^M must be an integer, finite and >= 1, got inf$"),
    ({"r": 0.5, "M": [4, 7, 2.5]}, r"^M must be an integer, finite and >= 1, got 2.5 at index \(2,\)$"),
    ({"rho": 0.2, "r": 0.5, "M": 30}, r"^rho must be \(1 - r\^2\)/\(M r\^2\) where r and M are given too, got 0.2$"),
    (
        {"r": [0.5, 0.6], "M": [1, 2, 3]},
        r"^the parameters must broadcast together, got .*r of shape \(2,\), M of",
    ),
    ({"rho": [0.1, 0.2], "r": [0.5, 0.6, 0.7], "M": 5}, r"^the parameters must broadcast together"),
]
UNSUPERVISED = [
    ({"rho": 0.1}, r"^protocol='unsupervised' needs both r and M$"),
    ({}, r"^protocol='unsupervised' needs both r and M$"),
    ({"rho": 0.1, "r": 0.5}, r"^r and M must be given together, got rho, r alone$"),
]
BAD += [(mt.Hopfield, {"alpha": 0.1, "T": 1.0, "protocol": "supervised"} | k, why) for k, why in SUPERVISED]
BAD += [(mt.Hopfield, {"alpha": 0.1, "T": 1.0, "protocol": "unsupervised"} | k, why) for k, why in UNSUPERVISED]
DENSE = [
    ({"P": 2}, r"^P must be .*>= 3 \(P = 2 is Hopfield\).*, got 2$"),
    ({"P": -3}, r"^P must be .*>= 3 .*, got -3$"),
    ({"P": 2000}, r"^P must be .*, got 2000$"),
    ({"P": 3.0}, r"^P must be an integer .*>= 3 .*, got 3.0$"),
    ({"P": "4"}, r"^P must be an integer .*>= 3 .*, got '4'$"),
    ({"P": True}, r"^P must be an integer .*>= 3 .*, got True$"),
    ({"P": [3, 4]}, r"^P must be an integer .*>= 3 .*, got \[3, 4\]$"),
    ({"gamma": -0.1}, r"^gamma must be finite and >= 0, got -0.1$"),
    ({"gamma": [0.1, np.inf]}, r"^gamma must be finite and >= 0, got inf at index \(1,\)$"),
    ({"T": -1e-9}, r"^T must be finite and >= 0, got -1e-09$"),
    ({"gamma": [0.1, 0.2], "T": [0.1, 0.2, 0.3]}, r"^the parameters must broadcast together, got gamma of shape"),
    ({"protocol": "online"}, r"^protocol must be one of storing, supervised, unsupervised, got 'online'$"),
    ({"closure": "large_M"}, r"^closure must be one of full, low_entropy, got 'large_M'$"),
    ({"diagonal": True}, r"^diagonal must be one of excluded, included, got True$"),
    ({"etabar": "normal"}, r"^etabar must be one of gaussian, binomial, got 'normal'$"),
    ({"etabar": "binomial"}, r"^etabar='binomial' needs both r and M$"),
    ({"protocol": "supervised", "rho": 0.1, "etabar": "binomial"}, r"^etabar='binomial' needs both r and M$"),
    ({"rho": 0.1}, r"^protocol='storing' stores the patterns themselves and takes no rho, r or M, got rho$"),
    ({"r": 0.5, "M": 3}, r"takes no rho, r or M, got r, M$"),
]
for dataset, refused in (("supervised", SUPERVISED), ("unsupervised", UNSUPERVISED)):
    DENSE += [({"protocol": dataset} | k, why) for k, why in refused]
BAD += [(mt.DenseHebbian, {"P": 3, "gamma": 0.1, "T": 1.0} | k, why) for k, why in DENSE]
MULTITASKING = [
    ({"d": 1.0}, r"^d must be finite and in \[0, 1\), got 1.0$"),
    ({"d": -0.1}, r"^d must be finite and in \[0, 1\), got -0.1$"),
    ({"d": [0.2, np.nan]}, r"^d must be finite and in \[0, 1\), got nan at index \(1,\)$"),
    ({"d": [0.2, 0.3], "T": [0.1, 0.2, 0.3]}, r"^the parameters must broadcast together, got d of shape \(2,\), T of"),
    ({"T": -0.1}, r"^T must be finite and >= 0, got -0.1$"),
    ({"alpha": -0.1}, r"^alpha must be finite and >= 0, got -0.1$"),
    ({"K": 0}, r"^K must be in \[1, 10000\], got 0$"),
    ({"K": 10_001}, r"^K must be in \[1, 10000\], got 10001$"),
    ({"K": 1.5}, r"^K must be an integer in \[1, 10000\], got 1.5$"),
    ({"K": True}, r"^K must be an integer in \[1, 10000\], got True$"),
    ({"K": [2, 3]}, r"^K must be an integer in \[1, 10000\], got \[2, 3\]$"),
    ({"protocol": "online"}, r"^protocol must be one of storing, supervised, unsupervised, got 'online'$"),
    ({"normalization": "hat"}, r"^normalization must be one of raw, unit, got 'hat'$"),
    ({"rho": 0.1}, r"^protocol='storing' stores the patterns themselves and takes no rho, r or M, got rho$"),
    ({"r": 0.5, "M": 3}, r"takes no rho, r or M, got r, M$"),
]
for dataset, refused in (("supervised", SUPERVISED), ("unsupervised", UNSUPERVISED)):
    MULTITASKING += [({"protocol": dataset} | k, why) for k, why in refused]
BAD += [(mt.Multitasking, {"K": 2, "d": 0.3, "T": 0.1} | k, why) for k, why in MULTITASKING]


@pytest.mark.parametrize(("cls", "parameters", "message"), BAD)
def test_what_is_refused(cls, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message) as refused:
        cls(**parameters)
    assert "\n" not in str(refused.value)


def test_unknown_parameters_are_refused_by_name():
    with pytest.raises(TypeError, match="unexpected keyword argument 'beta'"):
        mt.Hopfield(alpha=0.1, beta=2.0)
    with pytest.raises(TypeError, match="unexpected keyword argument 'alpha'"):
        mt.DenseHebbian(P=3, alpha=0.1, T=0.2)
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'P'"):
        mt.DenseHebbian(gamma=0.1, T=0.2)


def test_both_descriptions_of_a_dataset_where_they_agree():
    """rho = (1 - r^2)/(M r^2): r = 0.5, M = 30 is rho = 0.1 (dense_hebbian.md 1.3)."""
    both = mt.Hopfield(alpha=0.02, T=0.2, protocol="supervised", rho=0.1, r=0.5, M=30)
    assert mt.solve(both).n == pytest.approx(mt.solve(make("supervised_rho", 0.2, alpha=0.02)).n, rel=1e-14)


@EVERY
def test_stability_of_one_point_is_that_of_the_jacobian(case):
    model, solution, x = solved(case, 0.31)
    assert stability(model.self_consistency(x)[1]) == pytest.approx(solution.stability, rel=1e-9)
