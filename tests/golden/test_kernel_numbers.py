"""The networks of ``kernel_numbers.json`` (20 digits, mpmath; its checks are told there) against ours."""

import json
from pathlib import Path

import numpy as np
import pytest

import mattis as mt

nn = mt.nn
NUMBERS = json.loads((Path(__file__).parent / "kernel_numbers.json").read_text())
ACTIVATIONS = {
    "relu": nn.Relu(),
    "leaky_relu_0.1": nn.LeakyRelu(0.1),
    "abs": nn.Abs(),
    "erf": nn.Erf(),
    "gelu": nn.Gelu(),
    "sin": nn.Sin(),
    "cos": nn.Cos(),
    "sin_affine": nn.Sin(1.3, 0.7, 0.4),
    "gaussian": nn.Gaussian(),
    "exp_0.5": nn.Exp(0.5),
    "sign": nn.Sign(),
    "square": nn.Monomial(2),
    "cube": nn.Monomial(3),
    "relu_squared": nn.RectifiedSquare(),
    "rbf_0.5": nn.Rbf(0.5),
    "gabor": nn.Gabor(),
    "tanh": nn.Tanh(),
    "swish_x_sigmoid": nn.Swish(),
}


def floats(values):
    return np.array(values, float)


def scales(case):
    return {"sigma_w": float(case["sigma_w2"]) ** 0.5, "sigma_b": float(case["sigma_b2"]) ** 0.5}


def agree(pair, case, rtol=1e-12):
    np.testing.assert_allclose(pair.nngp, floats(case["nngp"]), rtol=rtol)
    np.testing.assert_allclose(pair.ntk, floats(case["ntk"]), rtol=rtol)


def name_of(case):
    return "-".join(str(case[k]) for k in case if k not in ("nngp", "ntk") and not isinstance(case[k], list | dict))


DUALS = NUMBERS["dual_activations"]


@pytest.mark.parametrize("name", DUALS["values"])
def test_duals(name):
    """Closed forms to 1e-13, 1e-9 asked for at the nearly degenerate last triple: 1e-13 is reached there too."""
    V, slope = ACTIVATIONS[name].dual(*floats(DUALS["triples_q11_q12_q22"]).T)
    np.testing.assert_allclose(V, floats(DUALS["values"][name]["E_phi_phi"]), rtol=1e-13)
    np.testing.assert_allclose(slope, floats(DUALS["values"][name]["E_dphi_dphi"]), rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("name", DUALS["values_float64_quadrature_13digits"])
def test_numerical_duals(name):
    """13 digits are given."""
    want = DUALS["values_float64_quadrature_13digits"][name]
    V, slope = ACTIVATIONS[name].dual(*floats(DUALS["triples_q11_q12_q22"])[:3].T)
    np.testing.assert_allclose(V, floats(want["E_phi_phi"]), rtol=1e-13)
    np.testing.assert_allclose(slope, floats(want["E_dphi_dphi"]), rtol=1e-13)


@pytest.mark.parametrize("case", NUMBERS["fully_connected"]["cases"], ids=name_of)
def test_fully_connected(case):
    """Both triangles, the two sets apart, with distances where there are any, and layer by layer."""
    x, activation = floats(NUMBERS["fully_connected"]["X"]), ACTIVATIONS[case["act"]]
    net = nn.mlp(hidden_layers=case["hidden_layers"], activation=activation, **scales(case))
    for stable in (False, True) if activation.fused() else (False,):
        agree(net.kernel(x, stable=stable), case)
        agree(net.kernel(x, x.copy(), stable=stable), case)
    agree(nn.serial(net, nn.Identity()).kernel(x), case)


STRESS = NUMBERS["stress_near_duplicate"]


@pytest.mark.parametrize("case", STRESS["cases"], ids=name_of)
def test_near_duplicates(case):
    """1e-6 apart in decimals: in double precision the inputs themselves are off by 1e-10 of the difference."""
    x0 = floats(STRESS["x0"])
    x = np.array([x0, x0 + np.array([1e-6, 0, 0])])
    net = nn.mlp(hidden_layers=case["hidden_layers"], activation=ACTIVATIONS[case["act"]], **scales(case))
    pair = net.kernel(x, stable=True)
    assert abs(float(pair.nngp_sqdist[0, 1]) / float(case["nngp_sqdist"]) - 1) < 1e-8
    assert abs(float(pair.ntk_sqdist[1, 0]) / float(case["ntk_sqdist"]) - 1) < 1e-8


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("case", NUMBERS["cntk"]["cases"], ids=name_of)
def test_convolutions(case, compiled):
    padding = {"zero": "SAME", "circular": "CIRCULAR"}[case["padding"]]
    conv = nn.Conv(filter_shape=(3, 3), padding=padding, **scales(case))
    head = nn.GlobalAvgPool() if case["head"] == "gap" else nn.Flatten()
    layers = [layer for _ in range(case["conv_layers"]) for layer in (conv, ACTIVATIONS[case["act"]])]
    net = nn.serial(*layers, head, nn.Dense(**scales(case)), *([] if compiled else [nn.Identity()]))
    agree(net.kernel(floats(NUMBERS["cntk"]["images"])), case)


@pytest.mark.parametrize("case", NUMBERS["residual"]["cases"], ids=name_of)
def test_residual(case):
    """Dense -> [h + sqrt(alpha) Dense(act(h))] -> act -> Dense."""
    root, dense = float(case["branch_variance_alpha"]) ** 0.5, nn.Dense(**scales(case))
    activation = ACTIVATIONS[case["act"]]
    branch = nn.serial(activation, nn.Dense(sigma_w=root * dense.sigma_w, sigma_b=root * dense.sigma_b))
    block = nn.serial(nn.FanOut(2), nn.parallel(nn.Identity(), branch), nn.FanInSum())
    net = nn.serial(dense, *[block] * case["blocks"], activation, dense)
    agree(net.kernel(floats(NUMBERS["residual"]["X"])), case)


def test_inference_kernels():
    case = NUMBERS["inference"]
    net = nn.mlp(hidden_layers=case["hidden_layers"], activation=ACTIVATIONS[case["act"]], **scales(case))
    agree(net.kernel(floats(case["X"])), case)
