"""Convolutional kernels against the full six-index covariance, 20-digit numbers and exact special cases."""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import erf, roots_hermite

from mattis.theory.kernels.conv_layers import ConvChain
from mattis.theory.kernels.conv_pairs import conv_kernel
from mattis.theory.kernels.workers import in_threads

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "kernel_numbers.json").read_text())["cntk"]
RELU, LEAKY, ERF = (0.0, 0.0, 1.0, 0.0), (0.0, -0.4, 1.3, 0.0), (1.0, 1.1, 0.8, 0.3)


def chain(filters, activation, sigma_w2=1.7, sigma_b2=0.03, circular=False):
    L = len(filters)
    every = activation if isinstance(activation, list) else [activation] * L
    return ConvChain(np.array(filters), np.full(L, sigma_w2), np.full(L, sigma_b2), np.array(every, float), circular)


def images(n, H, W, C, seed=1):
    return np.random.default_rng(seed).standard_normal((n, H, W, C))


def dual(K, q, activation, coincident):
    """V and V' of all pairs (n, H, W, n, H, W), from the textbook formulas; rho = 1 where the pair is one field."""
    code, a, b, c = activation
    left, right = q[..., None, None, None], q
    if code == 1:
        A = np.sqrt((1 + 2 * b * b * left) * (1 + 2 * b * b * right))
        r = 2 * b * b * K / A
        return a * a * 2 / np.pi * np.arcsin(r) + c * c, a * a * b * b * 4 / np.pi / A / np.sqrt(1 - r * r)
    g = np.sqrt(left * right)
    rho = np.where(coincident, 1, np.divide(K, g, out=np.zeros_like(K), where=g > 0)).clip(-1, 1)
    theta = np.arccos(rho)
    plus = (np.sin(theta) + (np.pi - theta) * rho) * g / (2 * np.pi)  # E max(u, 0) max(v, 0)
    cross = (np.sin(theta) - theta * rho) * g / (2 * np.pi)  # -E max(u, 0) min(v, 0)
    slope = ((a * a + b * b) * (np.pi - theta) + 2 * a * b * theta) / (2 * np.pi)
    return (a * a + b * b) * plus - 2 * a * b * cross, slope


def shifted(K, u, v, circular):
    """K(p + u, p' + u), 0 where a position lies outside."""
    K = np.roll(K, (-u, -v, -u, -v), (1, 2, 4, 5))
    if not circular:
        H, W = K.shape[1:3]
        i, j = np.arange(H) + u, np.arange(W) + v
        inside = ((i >= 0) & (i < H))[:, None] & ((j >= 0) & (j < W))
        K = K * inside[None, :, :, None, None, None] * inside
    return K


def reference(x, of, pooled):
    """k and t (n, n) from the covariance of all pairs of positions of all images at once."""
    n, H, W, C = x.shape
    V = np.einsum("ahwc,bijc->ahwbij", x, x) / C
    coincident = np.eye(n * H * W, dtype=bool).reshape(V.shape)
    T = np.zeros_like(V)
    for filters, sigma_w2, sigma_b2, activation in zip(*of[:4], strict=True):
        reach = [range(-(size // 2), size // 2 + 1) for size in filters]
        scale = sigma_w2 / np.prod(filters)
        K = scale * sum(shifted(V, u, v, of.circular) for u, v in product(*reach)) + sigma_b2
        theta = K + scale * sum(shifted(T, u, v, of.circular) for u, v in product(*reach))
        q = np.einsum("ahwahw->ahw", K)
        V, slope = dual(K, q, activation, coincident)
        T = slope * theta
    if pooled:
        return V.mean((1, 2, 4, 5)), T.mean((1, 2, 4, 5))
    return np.einsum("ahwbhw->ab", V) / (H * W), np.einsum("ahwbhw->ab", T) / (H * W)


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda c: f"{c['conv_layers']}-{c['head']}-{c['padding']}")
def test_twenty_digits(case):
    """tests/golden/kernel_numbers.json, key cntk: mpmath, 40 digits."""
    x = np.array(GOLDEN["images"], float)
    w, b = float(case["sigma_w2"]), float(case["sigma_b2"])
    of = chain([(3, 3)] * case["conv_layers"], RELU, w, b, case["padding"] == "circular")
    for y in (None, x):
        k, t = conv_kernel(x, y, of, pooled=case["head"] == "gap", ntk=True, threads=1)
        K = w * k + b
        np.testing.assert_allclose(K, np.array(case["nngp"], float), rtol=1e-13)
        np.testing.assert_allclose(K + w * t, np.array(case["ntk"], float), rtol=1e-13)


NETS = {
    "3x3 relu": ([(3, 3)] * 2, RELU),
    "5x1, 1x3 leaky": ([(5, 1), (1, 3)], LEAKY),
    "3x5 erf": ([(3, 5)] * 3, ERF),
    "1x1, 7x3, 3x5 mixed": ([(1, 1), (7, 3), (3, 5)], [LEAKY, ERF, RELU]),
    "11x13 relu": ([(11, 13), (3, 1)], RELU),
}


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "flat"])
@pytest.mark.parametrize("circular", [True, False], ids=["circular", "zero"])
@pytest.mark.parametrize("net", NETS.values(), ids=NETS.keys())
@pytest.mark.parametrize("shape", [(4, 5, 3), (3, 1, 2), (1, 6, 1)], ids=str)
def test_every_pair_of_positions(net, shape, circular, pooled):
    x = images(5, *shape)
    of = chain(*net, circular=circular)
    k, t = reference(x, of, pooled)
    found = conv_kernel(x[:3], x[3:], of, pooled=pooled, ntk=True, threads=2)
    np.testing.assert_allclose(found[0], k[:3, 3:], rtol=1e-12)
    np.testing.assert_allclose(found[1], t[:3, 3:], rtol=1e-12)
    found = conv_kernel(x, None, of, pooled=pooled, ntk=True, threads=1)
    np.testing.assert_allclose(found[0], k, rtol=1e-12)
    np.testing.assert_allclose(found[1], t, rtol=1e-12)
    assert all((kernel == kernel.T).all() for kernel in found)
    alone, none = conv_kernel(x, None, of, pooled=pooled, ntk=False, threads=1)
    assert none is None
    assert (alone == found[0]).all()


def test_erf_by_quadrature():
    """One 1x1 convolution of images of one pixel: two Gaussian fields, 120 x 120 Gauss-Hermite nodes."""
    x = images(2, 1, 1, 4, seed=3)
    _, a, b, c = ERF
    k, t = conv_kernel(x, None, chain([(1, 1)], ERF), pooled=False, ntk=True, threads=1)
    K = 1.7 * x.reshape(2, 4) @ x.reshape(2, 4).T / 4 + 0.03
    nodes, weights = roots_hermite(120)
    low = np.linalg.cholesky(K)
    z = np.sqrt(2) * np.array(np.meshgrid(nodes, nodes, indexing="ij"))
    u, v = low[0, 0] * z[0], low[1, 0] * z[0] + low[1, 1] * z[1]
    weight = np.outer(weights, weights) / np.pi
    slope = [2 / np.sqrt(np.pi) * a * b * np.exp(-((b * s) ** 2)) for s in (u, v)]
    assert k[0, 1] == pytest.approx((weight * (a * erf(b * u) + c) * (a * erf(b * v) + c)).sum(), rel=1e-12)
    assert t[0, 1] == pytest.approx(K[0, 1] * (weight * slope[0] * slope[1]).sum(), rel=1e-12)


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "flat"])
def test_threads_and_tasks_change_no_bit(pooled):
    x = images(11 if pooled else 70, 6, 5, 2)
    of = chain([(3, 3), (5, 3)], [RELU, ERF])
    k, t = conv_kernel(x, None, of, pooled=pooled, ntk=True, threads=1)
    for threads in (2, 5):
        found = conv_kernel(x, None, of, pooled=pooled, ntk=True, threads=threads)
        assert (found[0] == k).all()
        assert (found[1] == t).all()
    k2, t2 = conv_kernel(x, x[2:9], of, pooled=pooled, ntk=True, threads=3)
    np.testing.assert_allclose(k2, k[:, 2:9], rtol=1e-14)
    np.testing.assert_allclose(t2, t[:, 2:9], rtol=1e-14)


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "flat"])
@pytest.mark.parametrize("circular", [True, False], ids=["circular", "zero"])
def test_images_seen_twice(pooled, circular):
    """Between two copies as on the diagonal; the angle of rounding errors would show as 1e-8."""
    x = images(3, 16, 15, 3)
    x = np.concatenate([x, x[:2], np.roll(x[:1], (3, 5), (1, 2))])
    of = chain([(3, 3), (5, 5), (3, 3)], RELU, 2.0, 0.01, circular)
    k, t = conv_kernel(x, None, of, pooled=pooled, ntk=True, threads=1)
    for kernel in (k, t):
        assert kernel[3, 0] == pytest.approx(kernel[0, 0], rel=1e-13)
        assert kernel[3, 1] == pytest.approx(kernel[0, 1], rel=1e-13)
        if circular:
            shifted = kernel[5, 0] if pooled else kernel[5, 5]
            assert shifted == pytest.approx(kernel[0, 0], rel=1e-13)


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "flat"])
def test_constant_images(pooled):
    """Circular, ReLU, sigma_w^2 = 2, all positions alike: K grows by sigma_b^2 per layer, Theta is the sum of the K."""
    L, b = 20, 0.05
    x = np.full((1, 7, 6, 2), 1.3)
    k, t = conv_kernel(x, None, chain([(3, 5)] * L, RELU, 2.0, b, True), pooled=pooled, ntk=True, threads=1)
    K = 2 * 1.3**2 + b * np.arange(1, L + 1)
    assert k[0, 0] == pytest.approx(K[-1] / 2, rel=1e-13)
    assert t[0, 0] == pytest.approx(K.sum() / 2, rel=1e-13)


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "flat"])
def test_black_images(pooled):
    x = images(4, 6, 5, 2)
    x[1], x[2, :4], x[3, :, 2:] = 0, 0, 0
    of = chain([(3, 1), (1, 3)], LEAKY, sigma_b2=0.0)
    found = conv_kernel(x, None, of, pooled=pooled, ntk=True, threads=1)
    for kernel, exact in zip(found, reference(x, of, pooled), strict=True):
        np.testing.assert_allclose(kernel, exact, rtol=1e-12)
        assert not kernel[1].any()
        assert np.isfinite(kernel).all()


def test_opposite_images():
    """Two fields of rho = -1 are never active together."""
    x = images(1, 5, 4, 3)
    of = chain([(3, 3)], RELU, sigma_b2=0.0)
    for kernel in conv_kernel(x, -x, of, pooled=False, ntk=True, threads=1):
        assert abs(kernel[0, 0]) < 1e-15


@pytest.mark.parametrize("pooled", [True, False], ids=["pooled", "flat"])
def test_images_on_their_side(pooled):
    """Rows and columns are stored differently and mean the same."""
    x = images(3, 4, 7, 2)
    filters, activation = [(3, 1), (5, 3)], [ERF, RELU]
    found = conv_kernel(x, None, chain(filters, activation), pooled=pooled, ntk=True, threads=1)
    turned = chain([size[::-1] for size in filters], activation)
    side = conv_kernel(np.swapaxes(x, 1, 2), None, turned, pooled=pooled, ntk=True, threads=1)
    for kernel, other in zip(found, side, strict=True):
        np.testing.assert_allclose(kernel, other, rtol=1e-13)


def test_a_task_that_fails_is_heard_of():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda task: 1 // (task - 3), range(8), 2)
