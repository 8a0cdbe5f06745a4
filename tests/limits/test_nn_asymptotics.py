"""Depth scales of random networks and the condition of their NTK by phase (arXiv:1611.01232, arXiv:1912.13053)."""

from math import acos, asin, cos, pi, sin, sqrt

import numpy as np
import pytest

import mattis as mt
from mattis.theory.kernels.asymptotics import depth_scales

nn = mt.nn


def erf_V(a, k, b):
    return 2 / pi * asin(2 * k / sqrt((1 + 2 * a) * (1 + 2 * b)))


def erf_V_prime(a, k, b):
    return 4 / pi / sqrt((1 + 2 * a) * (1 + 2 * b) - 4 * k * k)


def relu_V(a, k, b):
    c = min(1.0, max(-1.0, k / sqrt(a * b)))
    return sqrt(a * b) * (sqrt(1 - c * c) + (pi - acos(c)) * c) / (2 * pi)


def relu_V_prime(a, k, b):
    return (pi - acos(min(1.0, max(-1.0, k / sqrt(a * b))))) / (2 * pi)


def erf_edge(q):
    """sigma_w, sigma_b of the edge of chaos, by the variance q there: sigma_w^2 = 1/E phi'^2."""
    w = 1 / erf_V_prime(q, q, q)
    return sqrt(w), sqrt(q - w * erf_V(q, q, q))


def ntk(V, V_prime, w, b, q, c, depth):
    """Theta(x, x') and Theta(x, x) after each layer, started at variance q and correlation c."""
    k, T, D, out = c * q, c * q, q, []
    for _ in range(depth):
        slope, on = w * V_prime(q, k, q), w * V_prime(q, q, q)
        k, q_next = w * V(q, k, q) + b, w * V(q, q, q) + b
        T, D, q = k + slope * T, q_next + on * D, q_next
        k = min(k, q)
        out.append((T, D))
    return np.array(out)


@pytest.mark.parametrize(
    ("sigma_w", "sigma_b", "want"),
    [(2.5, 0.3, {"q_star": 4.55546168729, "chi_1": 1.81506666519, "c_star": 0.0931788635079, "xi_c": 4.23849090732})],
)
def test_reference_point_in_chaos(sigma_w, sigma_b, want):
    """Erf, 12 digits from quadrature (reference set deep.json, pt_erf_sw2.5_sb20.09), and xi_q = .582243608554."""
    found = depth_scales(nn.Erf(), sigma_w=sigma_w, sigma_b=sigma_b)
    for name, value in want.items():
        assert getattr(found, name) == pytest.approx(value, rel=1e-10)
    assert found.xi_q == pytest.approx(0.582243608554, rel=1e-9)
    assert (found.phase, found.ntk_ratio, found.ntk_condition(12)) == ("chaotic", 0.0, 1.0)


@pytest.mark.parametrize(
    ("q", "w", "b", "xi_q"), [(0.253210, 1.114280, 0.01, 2.4406), (0.726359, 1.552118, 0.1, 1.1146)]
)
def test_reference_points_of_the_edge(q, w, b, xi_q):
    """Erf: (q*, sigma_w^2, sigma_b^2, xi_q) of deep_theory.md 2.2, its digits."""
    sigma_w, sigma_b = erf_edge(q)
    assert (sigma_w**2, sigma_b**2) == (pytest.approx(w, abs=1e-6), pytest.approx(b, abs=1e-6))
    found = depth_scales(nn.Erf(), sigma_w=sigma_w, sigma_b=sigma_b)
    assert found.phase == "critical"
    assert (found.q_star, found.xi_q) == (pytest.approx(q, rel=1e-12), pytest.approx(xi_q, abs=5e-5))
    assert (found.c_star, found.xi_c) == (1.0, np.inf)


@pytest.mark.parametrize(
    ("activation", "V", "sigma_w", "sigma_b"),
    [(nn.Erf(), erf_V, 1.05, 0.2), (nn.Erf(), erf_V, 1.9, 0.1), (nn.Relu(), relu_V, 1.2, 0.5)],
)
def test_depths_against_the_recursion(activation, V, sigma_w, sigma_b):
    """Rates at which correlations near c* and variances near q*, read off the layers themselves."""
    found, w, b = depth_scales(activation, sigma_w=sigma_w, sigma_b=sigma_b), sigma_w**2, sigma_b**2
    q, gaps = 1.1 * found.q_star, []
    for _ in range(12):
        q = w * V(q, q, q) + b
        gaps.append(q - found.q_star)
    assert -1 / np.log(gaps[11] / gaps[10]) == pytest.approx(found.xi_q, rel=2e-3)
    q, c, gaps = found.q_star, 0.5 if found.c_star == 1 else 0.5 * (1 + found.c_star), []
    steps = int(8 * found.xi_c)
    for _ in range(steps):
        c = (w * V(q, c * q, q) + b) / q
        gaps.append(abs(c - found.c_star))
    tolerance = 0.05 if V is relu_V else 2e-3  # ReLU nears its rate only as the root of 1 - c
    assert -1 / np.log(gaps[-1] / gaps[-2]) == pytest.approx(found.xi_c, rel=tolerance)


def test_relu_in_closed_form():
    """q* = sigma_b^2/(1 - sigma_w^2/2) and chi_1 = chi_q = sigma_w^2/2; no chaotic phase."""
    found = depth_scales(nn.Relu(), sigma_w=1.2, sigma_b=0.5)
    assert found.q_star == pytest.approx(0.25 / 0.28, rel=1e-12)
    assert (found.phase, found.ntk_condition(5)) == ("ordered", np.inf)
    assert found.xi_c == pytest.approx(-1 / np.log(0.72), rel=1e-12)
    assert found.xi_q == pytest.approx(found.xi_c, rel=1e-10)
    edge = depth_scales(nn.Relu(), sigma_w=2**0.5, sigma_b=0.0)
    assert (edge.phase, edge.q_star, edge.ntk_ratio) == ("critical", 1.0, 0.25)
    assert edge.ntk_condition(9) == pytest.approx(4.0)  # (n + 3)/3
    assert depth_scales(nn.Relu(), sigma_w=1.0, sigma_b=0.0).phase == "vanishing"
    assert depth_scales(nn.Relu(), sigma_w=1.5, sigma_b=0.1).phase == "diverging"


def test_odd_activation_without_bias_decorrelates():
    found = depth_scales(nn.Erf(), sigma_w=2.0, sigma_b=0.0)
    assert (found.phase, found.c_star) == ("chaotic", 0.0)
    assert found.xi_c == pytest.approx(-1 / np.log(4 * 4 / pi / (1 + 2 * found.q_star)), rel=1e-12)


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1.5, 0.3), (0.9, 0.8), (2.0, 0.0)])
def test_a_jump_is_chaotic(sigma_w, sigma_b):
    """Sign: c' = (w (2/pi) asin c + b)/(w + b) by itself, its slope at c* for xi_c, and both kernels of 60 layers."""
    found, w, b = depth_scales(nn.Sign(), sigma_w=sigma_w, sigma_b=sigma_b), sigma_w**2, sigma_b**2
    c = 0.5
    for _ in range(400):
        c = (w * 2 / pi * asin(c) + b) / (w + b)
    assert (found.phase, found.chi_1, found.q_star, found.error) == ("chaotic", np.inf, pytest.approx(w + b), 0.0)
    assert found.c_star == pytest.approx(c, abs=1e-13)
    assert found.xi_c == pytest.approx(-1 / np.log(w / (w + b) * 2 / pi / sqrt(1 - c * c)), rel=1e-12)
    assert (found.xi_q, found.ntk_ratio) == (0.0, found.c_star)
    deep = nn.mlp(hidden_layers=120, activation=nn.Sign(), sigma_w=sigma_w, sigma_b=sigma_b).kernel(
        [[1.0, 0], [0.3, 1]]
    )
    for kernel in (deep.nngp, deep.ntk):
        assert float(kernel[0, 1] / kernel[0, 0]) == pytest.approx(found.c_star, abs=1e-9)


def test_inputs_that_a_jump_barely_tells_apart():
    """1 - c' = a (1 - c)^(1/2) as a -> 0: the slope 1/2 at the fixed point, where 1 - c* is lost in rounding too."""
    for sigma_w in (1e-2, 1e-4):
        found = depth_scales(nn.Sign(), sigma_w=sigma_w, sigma_b=1.0)
        assert found.c_star == pytest.approx(1, abs=1e-8)
        assert found.xi_c == pytest.approx(1 / np.log(2), rel=1e-7)


def test_a_series_says_how_far_off_it_is():
    jump = depth_scales(nn.Elementwise(np.sign), sigma_w=1.5, sigma_b=0.3)
    assert (jump.phase, jump.error > 0.1) == ("chaotic", True)
    assert jump.c_star == pytest.approx(0.1041, abs=1e-4)
    assert depth_scales(nn.Elementwise(np.tanh), sigma_w=1.5, sigma_b=0.3).error < 1e-8


def test_ntk_at_criticality():
    """Off/on the diagonal: ReLU .2535 at depth 1000 and .25005 at 1e5, erf .33326 at 1e5 (kernels.md 4.11)."""
    e, T, ratio = 0.7, 0.3, []  # ReLU in e = 1 - c, whose difference from 1 would be lost in c
    for layer in range(2, 100_002):
        angle = 2 * asin(sqrt(e / 2))
        arc = angle**3 * (1 / 3 - angle**2 / 30 + angle**4 / 840 - angle**6 / 45360)  # sin - angle cos
        e -= (arc if angle < 0.3 else sin(angle) - angle * cos(angle)) / pi
        T = 1 - e + (1 - angle / pi) * T
        ratio.append(T / layer)
    assert [ratio[999], ratio[99_999]] == pytest.approx([0.2535, 0.25005], abs=6e-5)
    sigma_w, sigma_b = erf_edge(0.7)
    scales = depth_scales(nn.Erf(), sigma_w=sigma_w, sigma_b=sigma_b)
    T = ntk(erf_V, erf_V_prime, sigma_w**2, sigma_b**2, 0.7, 0.3, 100_000)
    assert T[-1, 0] / T[-1, 1] == pytest.approx(scales.ntk_ratio, abs=2e-4)
    assert abs(T[-1, 0] / T[-1, 1] - 0.25) > 0.08


def test_condition_number_of_points_that_are_equally_correlated():
    """Eigenvalues of the matrix of 7 points at depth 3e4 against (n + 2)/2, and identity-like deep in chaos."""
    matrix = np.eye(7)
    for sigma_w, sigma_b, depth in ((*erf_edge(0.4), 30_000), (2.5, 0.3, 40)):
        scales = depth_scales(nn.Erf(), sigma_w=sigma_w, sigma_b=sigma_b)
        T = ntk(erf_V, erf_V_prime, sigma_w**2, sigma_b**2, scales.q_star, 0.3, depth)[-1]
        values = np.linalg.eigvalsh(T[0] + (T[1] - T[0]) * matrix)
        assert values[-1] / values[0] == pytest.approx(scales.ntk_condition(7), rel=2e-3)


def test_condition_number_grows_exponentially_in_order():
    """As chi_1^-L/L: the bulk over chi_1^L becomes a straight line in L."""
    scales = depth_scales(nn.Erf(), sigma_w=1.05, sigma_b=0.2)
    T = ntk(erf_V, erf_V_prime, 1.05**2, 0.04, scales.q_star, 0.5, 240)
    depth = np.array([140, 180, 240])
    bulk = (T[depth - 1, 1] - T[depth - 1, 0]) / T[depth - 1, 1] / scales.chi_1**depth
    slopes = np.diff(bulk) / np.diff(depth)
    assert slopes[1] > 0.05
    assert slopes[1] == pytest.approx(slopes[0], rel=1e-3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: depth_scales(nn.Erf(), sigma_w=0.0, sigma_b=0.1), "sigma_w must be finite and > 0"),
        (lambda: depth_scales(nn.Erf(), sigma_w=1.0, sigma_b=np.nan), "sigma_b must be finite and >= 0"),
        (lambda: depth_scales(nn.Erf(), sigma_w="a", sigma_b=0.0), "sigma_w must be finite and > 0, got 'a'"),
        (lambda: depth_scales(nn.Erf(), sigma_w=1.0, sigma_b=None), "sigma_b must be finite and >= 0, got None"),
        (lambda: depth_scales(nn.Monomial(1), sigma_w=1.0, sigma_b=0.0), "must be 1/2 or 1"),
        (lambda: depth_scales(nn.Erf(), sigma_w=2.0, sigma_b=0.1).ntk_condition(1), "points must be >= 2"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_an_activation_is_a_layer():
    with pytest.raises(TypeError, match="activation must be a layer such as"):
        depth_scales(np.tanh, sigma_w=1.0, sigma_b=0.0)
