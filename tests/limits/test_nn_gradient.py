"""Derivatives of the NNGP kernel by sigma_w and sigma_b, against differences, and what has none."""

import numpy as np
import pytest

import mattis as mt

nn = mt.nn
X = np.vstack([np.random.default_rng(0).standard_normal((4, 3)), np.zeros((1, 3))])
ACTIVATIONS = [
    nn.Relu(), nn.ABRelu(-0.4, 1.3), nn.Erf(1.2, 0.7, 0.3), nn.Gelu(), nn.Sin(1.3, 0.7, 0.4), nn.Rbf(0.8),
    nn.Gaussian(0.7), nn.Gabor(0.5), nn.Sign(), nn.RectifiedSquare(), nn.Hermite(3), nn.Tanh(),
]  # fmt: skip


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda unit: type(unit).__name__)
def test_against_differences(activation):
    """Twice the same input and a zero input among the others; the diagonal too."""

    def kernel(sigma_w, sigma_b, x):
        net = nn.mlp(hidden_layers=2, activation=activation, sigma_w=sigma_w, sigma_b=sigma_b)
        return net.kernel(x, get="nngp").nngp.values

    x, at, h = np.vstack([X, X[:1]]), np.array([0.9, 0.3]), 1e-6
    net = nn.mlp(hidden_layers=2, activation=activation, sigma_w=at[0], sigma_b=at[1])
    for name, step in (("sigma_w", [h, 0]), ("sigma_b", [0, h])):
        slope = (kernel(*(at + step), x) - kernel(*(at - step), x)) / (2 * h)
        np.testing.assert_allclose(net.kernel_gradient(x)[name], slope, atol=3e-8 * abs(slope).max())


def test_refusals():
    images = np.ones((2, 2, 2, 3))
    late = nn.serial(nn.Dense(), nn.Relu(), nn.Flatten(), nn.Dense())
    with pytest.raises(ValueError, match=r"layer 0 \(Dense\): gradients are for vectors"):
        late.kernel_gradient(images)
    first = nn.serial(nn.Flatten(), nn.Dense(), nn.Relu(), nn.Dense())
    flat = nn.serial(*first.layers[1:]).kernel_gradient(images.reshape(2, -1))
    np.testing.assert_array_equal(first.kernel_gradient(images)["sigma_w"], flat["sigma_w"])
    with pytest.raises(OverflowError, match="leave the range"):
        nn.mlp(hidden_layers=90, activation=nn.Relu(), sigma_w=1e4).kernel_gradient(X)
    with pytest.raises(ValueError, match=r"^x must be finite, got nan at index \(0, 0\)"):
        first.kernel_gradient(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match="gradients are for Dense layers"):
        nn.serial(nn.Dense(), nn.LayerNorm(), nn.Dense()).kernel_gradient(X)
