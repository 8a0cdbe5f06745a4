"""The hand-written derivatives of every layer: the empirical NTK against central differences of all parameters."""

import numpy as np
import pytest

import mattis as mt

nn = mt.nn
DENSE = nn.Dense(sigma_w=1.3, sigma_b=0.3)
STANDARD = nn.Dense(sigma_w=1.3, sigma_b=0.3, parametrisation="standard")
X = np.random.default_rng(0).standard_normal((4, 3))
IMAGES = np.random.default_rng(1).standard_normal((3, 5, 4, 2))


def on_images(padding, strides, pool):
    conv = nn.Conv(filter_shape=(3, 2), sigma_w=1.1, sigma_b=0.2, padding=padding, strides=strides)
    other = nn.Conv(filter_shape=(1, 3), sigma_w=1.1, sigma_b=0.2, padding=padding, parametrisation="standard")
    return nn.serial(conv, nn.Erf(), other, pool, nn.Flatten(), DENSE)


BRANCH = nn.parallel(nn.Identity(), nn.serial(nn.Sin(), DENSE))
CASES = {
    "LayerNorm": (nn.serial(DENSE, nn.Erf(), DENSE, nn.LayerNorm(epsilon=0.1), nn.Gelu(), DENSE), X),
    "standard": (nn.serial(STANDARD, nn.Tanh(), STANDARD), X),
    "branches": (nn.serial(DENSE, nn.FanOut(2), BRANCH, nn.FanInSum(), nn.Dropout(keep=0.7), DENSE), X),
    "by position": (nn.serial(DENSE, nn.Gaussian(), DENSE, nn.Flatten(), DENSE), IMAGES),
    "pooled": (nn.serial(nn.Conv(filter_shape=(3, 3)), nn.Swish(), nn.GlobalAvgPool(), DENSE), IMAGES),
} | {
    f"{padding} {strides}": (on_images(padding, strides, nn.AvgPool(window=(2, 1), strides=(1, 2))), IMAGES)
    for padding in ("SAME", "VALID", "CIRCULAR")
    for strides in ((1, 1), (2, 1))
}


def arrays(parameters):
    """All parameter arrays, inside lists and tuples."""
    if isinstance(parameters, list | tuple):
        return [a for p in parameters for a in arrays(p)]
    return [parameters] if isinstance(parameters, np.ndarray) else []


@pytest.mark.parametrize("name", CASES)
def test_tangent_kernel(name):
    """J J^T of the first output; 1e-9 is what the differences allow."""
    net, x = CASES[name]
    parameters = nn.draw_parameters(net, x.shape[1:], units=5, outputs=2, seed=3)
    found, rows, h = nn.tangent_kernel(net, parameters, x), [], 1e-5
    for array in arrays(parameters):
        flat = array.reshape(-1)
        for i, kept in enumerate(flat.copy()):
            ends = []
            for step in (h, -h):
                flat[i] = kept + step
                ends.append(net.apply(parameters, x)[:, 0].copy())
            flat[i] = kept
            rows.append((ends[0] - ends[1]) / (2 * h))
    J = np.array(rows)
    np.testing.assert_allclose(found, J.T @ J, atol=1e-9 * abs(found).max())
    np.testing.assert_allclose(nn.tangent_kernel(net, parameters, x[:1], x[:1]), found[:1, :1], rtol=1e-12)
