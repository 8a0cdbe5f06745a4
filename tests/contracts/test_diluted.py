"""Averages over diluted patterns: three engines, each against sums written out here, and the errors they admit."""

from time import perf_counter

import numpy as np
import pytest
from scipy.stats import binom

from mattis.theory import diluted_field
from mattis.theory.diluted_field import DilutedAverages, average, by_halves, by_rows, by_waves, by_waves_finer
from mattis.theory.entries import Entries

ONE = np.ones(1)
STORED = Entries(0 * ONE)
UNIT = {"C": 1, "C_n": 2, "C_noise": 3, "sech4": 2, "response": 1, "xi2_C": 1, "log2cosh": -1}
"""The powers of 1/T that the averages are made of."""


def point(engine, entries, d, n, noise, T):
    """The averages of an engine at one point, by name."""
    found = engine(entries, d * ONE, np.array(n, float)[:, None], noise * ONE, T * ONE)
    return {k: np.asarray(v)[..., 0] for k, v in found._asdict().items()}


def stored(d):
    """(eta, xi, weight) of an entry."""
    xi = np.array([-1.0, 0.0, 1.0])
    return xi, xi, np.array([(1 - d) / 2, d, (1 - d) / 2])


def learned(d, r, M, unit=1.0):
    """eta = xi (sum of M examples)/(r M), every value for each xi."""
    k = np.arange(M + 1)
    v, w = (2 * k - M) / unit, binom.pmf(k, M, (1 + r) / 2) * (1 - d) / 2
    ends = np.zeros(1)
    return np.concatenate([v, ends, -v]), np.repeat([1.0, 0, -1], [M + 1, 1, M + 1]), np.concatenate([w, [d], w])


def blurred(d, rho, nodes=40):
    """eta = xi (1 + sqrt(rho) lambda), lambda on the nodes of Gauss and Hermite."""
    z, w = np.polynomial.hermite_e.hermegauss(nodes)
    w = w / w.sum()
    v = 1 + np.sqrt(rho) * z
    p = (1 - d) / 2
    return np.concatenate([v, [0], -v]), np.repeat([1.0, 0, -1], [nodes, 1, nodes]), np.concatenate([p * w, [d], p * w])


def summed(tables, n, T, sd=0.0, nodes=40):
    """Every average as its definition says, by summing over all values of all entries, and of z."""
    K = len(tables)
    z, wz = np.polynomial.hermite_e.hermegauss(nodes) if sd > 0 else (np.zeros(1), np.ones(1))
    eta = np.stack([v.ravel() for v in np.meshgrid(*(t[0] for t in tables), z, indexing="ij")])
    xi = np.stack([v.ravel() for v in np.meshgrid(*(t[1] for t in tables), z, indexing="ij")])[:K]
    w = np.ones(1)
    for law in (*(t[2] for t in tables), wz / wz.sum()):
        w = np.multiply.outer(w, law).ravel()
    X = np.append(n, sd) @ eta
    eta = eta[:K]
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.tanh(X / T) if T > 0 else np.sign(np.where(abs(X) < 1e-9, 0.0, X))
    log = abs(X / T) + np.log1p(np.exp(-2 * abs(X / T))) if T > 0 else np.log(2) * (t == 0)
    found = {"eta_tanh": eta @ (w * t), "xi_tanh": xi @ (w * t), "q": w @ t**2}
    if T == 0:
        return found | {"log2cosh": w @ abs(X), "entropy": w @ log, "tied": eta**2 @ (w * (t == 0)) > 0}
    s = 1 / np.cosh(X / T) ** 2
    found |= {"response": (eta * (w * s)) @ eta.T / T, "C_n": -2 * eta @ (w * t * s) / T**2}
    found |= {"xi2_C": xi**2 @ (w * s) / T, "C": w @ s / T, "C_noise": w @ (2 * s - 3 * s**2) / T**3}
    return found | {"sech4": w @ s**2 / T**2, "log2cosh": T * (w @ log), "entropy": w @ (log - X / T * t)}


def agree(found, known, T, tol):
    """All averages, to a tolerance in their own units."""
    assert set(known) == set(DilutedAverages._fields)
    for name, value in known.items():
        scale = max(T ** -UNIT.get(name, 0), 1.0)
        np.testing.assert_allclose(found[name], value, rtol=0, atol=tol * scale, err_msg=name)


N = np.array([0.61, -0.27, 0.18, 0.0, 0.09, 0.05, 0.031])


@pytest.mark.parametrize("engine", [by_rows, by_waves])
@pytest.mark.parametrize("K", [1, 2, 3, 5, 7])
@pytest.mark.parametrize(("d", "T"), [(0.3, 0.06), (0.85, 0.4), (0.0, 1.7)])
def test_stored_patterns_by_the_sum_over_all_rows(engine, K, d, T):
    """3^K rows; the Fourier integral leaves out 1e-16 and rounds 500 nodes."""
    found = point(engine, STORED, d, N[:K], 0.0, T)
    agree(found, summed([stored(d)] * K, N[:K], T), T, 1e-13)


@pytest.mark.parametrize(("K", "M", "T"), [(1, 21, 0.05), (2, 7, 0.1), (2, 4, 0.3), (3, 5, 0.2), (3, 1, 0.7)])
def test_examples_by_the_sum_over_all_counts(K, M, T):
    r, d = 0.6, 0.35
    law = Entries((1 - r * r) / (M * r * r) * ONE, r * ONE, M * ONE)
    found = point(by_waves, law, d, N[:K], 0.0, T)
    agree(found, summed([learned(d, r, M, r * M)] * K, N[:K], T), T, 1e-13)


@pytest.mark.parametrize("engine", [by_rows, by_waves])
@pytest.mark.parametrize(("rho", "noise"), [(0.12, 0.04), (0.3, 0.0), (0.0, 0.09)])
def test_gaussian_entries_and_noise_by_gauss_and_hermite(engine, rho, noise):
    """Each lambda and z a sum of its own; the poles of tanh at pi T/2 limit 40 nodes to 3e-13 at this T."""
    d, T, n = 0.4, 1.1, N[:2]
    found = point(engine, Entries(rho * ONE), d, n, noise, T)
    agree(found, summed([blurred(d, rho)] * 2, n, T, np.sqrt(noise)), T, 1e-12)


@pytest.mark.parametrize("K", [2, 6])
@pytest.mark.parametrize(
    ("rho", "noise", "T"), [(0.1, 0.0, 0.05), (0.1, 0.0, 0.0), (0.1, 0.02, 0.0), (0.0, 0.02, 1e-3), (0.2, 0.3, 0.3)]
)
def test_rows_and_waves_agree_where_sums_cannot_reach(K, rho, noise, T):
    """Low T, under noise of entries or of the load: widths not below 0.1 N_3 instead of T."""
    n = np.array([0.61, -0.27, 0.18, 0.35, 0.4, 0.52])[:K]
    rows, waves = (point(engine, Entries(rho * ONE), 0.3, n, noise, T) for engine in (by_rows, by_waves))
    width = max(T, 0.05)
    agree(waves, rows, width, 1e-12)


@pytest.mark.parametrize("d", [0.0, 0.3])
@pytest.mark.parametrize("n", [(5, 3, 2), (5, -3, 1), (3, 3, 3), (4, 0, 0), (9, 6, 4, 3, 2, 1, 1)])
def test_ties_at_zero_temperature(d, n):
    """Integers: a field that vanishes does so exactly; 0.1 n rounds. A tie counts 0 and has a diverging response."""
    known = summed([stored(d)] * len(n), n, 0.0)
    tied = known.pop("tied")
    for engine in (by_rows, by_halves):
        found = point(engine, STORED, d, 0.1 * np.array(n), 0.0, 0.0)
        for name, value in known.items():
            np.testing.assert_allclose(found[name], value * (0.1 if name == "log2cosh" else 1), atol=1e-15)
        np.testing.assert_array_equal(np.isinf(np.diag(found["response"])), tied)
        np.testing.assert_array_equal(np.isinf(found["xi2_C"]), tied)
        assert (found["response"][~np.eye(len(n), dtype=bool)] == 0).all()
        assert (found["C"] == np.inf) == (known["q"] < 1 - 1e-15)
    assert known["entropy"] == pytest.approx(np.log(2) * (1 - known["q"]), abs=1e-15)


@pytest.mark.parametrize(("K", "M"), [(1, 4), (2, 5), (2, 4), (3, 5), (3, 3)])
def test_examples_at_zero_temperature(K, M):
    """In units of 1/(r M) and n = 3, 2, 1 the fields are integers, many of them zero."""
    r, d, n = 0.6, 0.35, np.array([3.0, 2.0, 1.0])[:K]
    known = summed([learned(d, r, M)] * K, n, 0.0)
    tied = known.pop("tied")
    law = Entries((1 - r * r) / (M * r * r) * ONE, r * ONE, M * ONE)
    found = point(by_halves, law, d, 0.1 * n, 0.0, 0.0)
    scale = {"eta_tanh": 1 / (r * M), "log2cosh": 0.1 / (r * M)}
    for name, value in known.items():
        np.testing.assert_allclose(found[name], value * scale.get(name, 1), atol=1e-14, err_msg=name)
    np.testing.assert_array_equal(np.isinf(np.diag(found["response"])), tied)


def test_zero_temperature_is_the_limit():
    """No field below 0.044/(1 + tie): at T = 2e-3 the waves are those of T = 0 to exp(-2 * 0.04/T) < 1e-17."""
    n, r, M, d = (0.61, 0.27), 0.6, 5, 0.35
    law = Entries((1 - r * r) / (M * r * r) * ONE, r * ONE, M * ONE)
    X = np.add.outer(learned(d, r, M, r * M)[0] * n[0], learned(d, r, M, r * M)[0] * n[1]).ravel()
    assert np.unique(abs(X[abs(X) > 1e-12]).round(12))[0] > 0.04
    cold, zero = point(by_waves, law, d, n, 0.0, 2e-3), point(by_halves, law, d, n, 0.0, 0.0)
    for name in ("eta_tanh", "xi_tanh", "q", "entropy"):
        np.testing.assert_allclose(cold[name], zero[name], rtol=0, atol=1e-13)
    assert cold["log2cosh"] == pytest.approx(zero["log2cosh"] + 2e-3 * zero["entropy"], abs=1e-13)


DIFFERENCE = ((1, 8 / 12), (-1, -8 / 12), (2, -1 / 12), (-2, 1 / 12))
LAWS = {
    "rows": (by_rows, Entries(0 * ONE), 0.0),
    "rows, rho": (by_rows, Entries(0.15 * ONE), 0.03),
    "waves, rho": (by_waves, Entries(0.15 * ONE), 0.03),
    "waves, examples": (by_waves, Entries(0.16 / 1.8 * ONE, 0.6 * ONE, 20 * ONE), 0.02),
}


@pytest.mark.parametrize("law", LAWS)
def test_derivatives(law):
    """By differences of fourth order, step 1e-3 T: 1e-11 in units of 1/T. Averages are derivatives of T E ln 2cosh."""
    engine, entries, noise = LAWS[law]
    n, d, T = N[:3], 0.3, 0.3
    here = point(engine, entries, d, n, noise, T)

    def slope(name, shift):
        at = [
            point(engine, entries, d, n + k * shift[0], noise + k * shift[1], T + k * shift[2]) for k, _ in DIFFERENCE
        ]
        return sum(w * v[name] for (_, w), v in zip(DIFFERENCE, at, strict=True)) / (1e-3 * T)

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)

    for k in range(3):
        by_n = (1e-3 * T * np.eye(3)[k], 0, 0)
        close(slope("eta_tanh", by_n), here["response"][k])
        close(slope("C", by_n), here["C_n"][k])
        close(slope("log2cosh", by_n), here["eta_tanh"][k])
    if noise > 0:
        by_noise = (0, 1e-3 * T, 0)
        close(slope("C", by_noise), here["C_noise"])
        close(slope("eta_tanh", by_noise), here["C_n"] / 2)
        close(slope("log2cosh", by_noise), here["C"] / 2)
    close(slope("log2cosh", (0, 0, 1e-3 * T)), here["entropy"])
    assert here["q"] + T * here["C"] == pytest.approx(1, abs=1e-14)


def test_many_examples_are_gaussian():
    """At given rho the excess kurtosis of the mean example falls as 1/M: so does the distance of the averages."""
    rho, gaps = 0.15, []
    gauss = point(by_rows, Entries(rho * ONE), 0.3, N[:2], 0.0, 0.2)
    for M in (400.0, 1600.0):
        law = Entries(rho * ONE, 1 / np.sqrt(1 + rho * M) * ONE, M * ONE)
        gaps.append(point(by_waves, law, 0.3, N[:2], 0.0, 0.2)["eta_tanh"] - gauss["eta_tanh"])
    assert gaps[0][0] / gaps[1][0] == pytest.approx(4, rel=0.03)


def test_two_hundred_patterns():
    """All n equal: the law of the sum by 200 convolutions. One evaluation takes 0.03 s on one core."""
    K, d, n, T = 200, 0.95, 0.3, 0.1
    law = np.ones(1)
    for _ in range(K):
        law = np.convolve(law, stored(d)[2])
    S = np.arange(-K, K + 1)
    times = []
    for _ in range(5):
        begun = perf_counter()
        found = point(by_waves, STORED, d, np.full(K, n), 0.0, T)
        times.append(perf_counter() - begun)
    assert min(times) <= 0.2
    t = np.tanh(n * S / T)
    np.testing.assert_allclose(found["eta_tanh"], (law * S) @ t / K, rtol=0, atol=1e-14)
    assert found["C"] == pytest.approx(law @ (1 - t * t) / T, abs=1e-13)
    assert found["response"].sum() == pytest.approx((law * S * S) @ (1 - t * t) / T, abs=1e-11)


def coarser(factor):
    """The rule with nodes further apart."""
    rule = diluted_field.nodes

    def nodes(entries, n, noise, T, finer=1.0):
        return rule(entries, n, noise, T, factor * finer)

    return nodes


@pytest.mark.parametrize("factor", [1.7, 2.2, 2.7, 3.3])
def test_too_few_nodes_err_as_predicted_and_the_check_sees_it(monkeypatch, factor):
    """The midpoint rule of step h adds tanh of fields shifted by 2 pi/h: 2 exp(-2(2 pi/h - X)/T) of tanh(X/T)."""
    n, T = np.array([0.7]), 0.2
    monkeypatch.setattr(diluted_field, "nodes", coarser(factor))
    step, _ = diluted_field.nodes(Entries(0.0), n, 0.0, T)
    coarse, check = (point(engine, STORED, 0.0, n, 0.0, T) for engine in (by_waves, by_waves_finer))
    error = abs(coarse["eta_tanh"] - np.tanh(n / T))[0]
    assert error == pytest.approx(2 * np.exp(-2 * (2 * np.pi / step - n[0]) / T), rel=0.02, abs=1e-14)
    assert error > 1e-12
    estimate = abs(coarse["eta_tanh"] - check["eta_tanh"])[0]
    assert estimate == pytest.approx(error, rel=0.2)


@pytest.mark.parametrize("K", [3, 7])
@pytest.mark.parametrize("rho", [0.0, 0.1])
def test_the_check_uses_other_nodes(K, rho):
    """What ``check`` finds differs in rounding only: both rules are exact to 1e-14 on their own."""
    n = np.array([0.61, 0.27, 0.18, 0.35, 0.4, 0.52, 0.1])[:K, None]
    args = Entries(rho * ONE), 0.3 * ONE, n, 0.01 * ONE, 0.04 * ONE
    usual, check = average(*args), average(*args, check=True)
    assert any((a != b).any() for a, b in zip(usual, check, strict=True))
    assert abs(usual.eta_tanh - check.eta_tanh).max() < 1e-13
    assert abs(usual.response - check.response).max() < 1e-11


def test_points_of_any_shape_and_engine():
    """A grid with cold and warm points of seven patterns: each as if alone."""
    T, d = np.array([0.0, 0.1, 0.5]), np.array([[0.2], [0.7]])
    n = np.broadcast_to(N[:, None, None], (7, 2, 3))
    grid = average(STORED, d, n, np.zeros(()), T)
    assert grid.response.shape == (7, 7, 2, 3)
    for i, j in np.ndindex(2, 3):
        one = average(Entries(0.0), d[i, 0], N, np.zeros(()), T[j])
        assert np.shape(one.C) == ()
        for a, b in zip(one, grid, strict=True):
            np.testing.assert_array_equal(a, b[..., i, j])


TOO_COLD = (
    r"^T/\(1 - d\) = 1e-08 is too low for the average over 2 patterns, of 6\.3e\+08 nodes: take a higher T, T = 0 or "
)
TOO_MANY = r"^K = 40 patterns of 3 values each are too many for the exact average at T = 0: take T > 0$"


def test_what_is_too_much():
    law = Entries(0.3 * ONE, 0.6 * ONE, 5 * ONE)
    with pytest.raises(ValueError, match=TOO_COLD):
        average(law, 0.3 * ONE, N[:2, None], 0 * ONE, 1e-8 * ONE)
    with pytest.raises(ValueError, match=TOO_MANY):
        average(STORED, 0.3 * ONE, np.ones((40, 1)), 0 * ONE, 0 * ONE)


def test_patterns_that_are_off_in_noise_of_the_entries():
    """With n_mu = 0 the noise of mu does not damp the Fourier integrand: rows of K = 7 against it."""
    n = np.array([0.9, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0])[:, None]
    at = Entries(0.1 * ONE), 0.6 * ONE, n, 0 * ONE, 0.05 * ONE
    for a, b in zip(by_rows(*at), by_waves(*at), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
