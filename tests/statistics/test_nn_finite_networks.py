"""Every layer: the kernels of infinite width against finite networks drawn at random.

The mean over draws at width n is off by c/n, so (4 E(4n) - E(n))/3 has no such term; it is compared with the kernel in
units of its standard error. The spread of one draw falls as n^(-1/2). All entries of a kernel of one layer are
correlated, so each comparison takes one fixed combination of them, of the NNGP and of the NTK.
"""

import numpy as np
import pytest
from scipy.stats import norm

import mattis as mt
from mattis.theory.kernels.empirical import draw_parameters, tangent_kernel

nn = mt.nn
DRAWS = 400
DENSE = nn.Dense(sigma_w=1.2, sigma_b=0.3)
CONV = nn.Conv(filter_shape=(3, 3), sigma_w=1.3, sigma_b=0.2)


def between(layer):
    return nn.serial(DENSE, layer, DENSE)


def on_images(*layers):
    return nn.serial(*layers, nn.Dense(sigma_w=1.1, sigma_b=0.1))


BRANCH = nn.parallel(nn.Identity(), nn.serial(nn.Erf(), DENSE))
NETWORKS = {
    "Relu": between(nn.Relu()),
    "LeakyRelu": between(nn.LeakyRelu(0.3)),
    "Erf": between(nn.Erf(1.1, 0.8, 0.2)),
    "Gelu": between(nn.Gelu()),
    "Sin": between(nn.Sin(1.0, 0.9, 0.3)),
    "Gaussian": between(nn.Gaussian(0.5)),
    "Polynomial": between(nn.Polynomial((0.1, 1.0, 0.2))),
    "Tanh": between(nn.Tanh()),
    "deep": nn.mlp(hidden_layers=3, activation=nn.Erf(), sigma_w=1.4, sigma_b=0.2),
    "FanOut, FanInSum": nn.serial(DENSE, nn.FanOut(2), BRANCH, nn.FanInSum(), nn.Relu(), DENSE),
    "LayerNorm": nn.serial(DENSE, nn.LayerNorm(), nn.Relu(), DENSE),
    "Dropout": nn.serial(DENSE, nn.Relu(), nn.Dropout(keep=0.6), DENSE),
    "standard": nn.serial(
        *(nn.Dense(sigma_w=1.2, sigma_b=0.3, parametrisation="standard"), nn.Erf()),
        nn.Dense(sigma_w=1.2, sigma_b=0.3),
    ),
    "Conv SAME, Flatten": on_images(CONV, nn.Relu(), nn.Flatten()),
    "Conv VALID, strides": on_images(
        nn.Conv(filter_shape=(2, 3), strides=(2, 1), padding="VALID"), nn.Erf(), nn.Flatten()
    ),
    "Conv CIRCULAR, GlobalAvgPool": on_images(
        nn.Conv(filter_shape=(3, 1), padding="CIRCULAR", sigma_b=0.2), nn.Relu(), nn.GlobalAvgPool()
    ),
    "Conv even, strides": on_images(nn.Conv(filter_shape=(2, 2), strides=(2, 2), sigma_b=0.1), nn.Gelu(), nn.Flatten()),
    "two Conv, GlobalAvgPool": on_images(CONV, nn.Relu(), CONV, nn.Relu(), nn.GlobalAvgPool()),
    "AvgPool": on_images(CONV, nn.Relu(), nn.AvgPool(window=(2, 2), strides=(1, 1)), nn.Flatten()),
    "pool, then a layer": on_images(CONV, nn.Erf(), nn.GlobalAvgPool(), DENSE, nn.Relu()),
    "Dropout of images": on_images(CONV, nn.Relu(), nn.Dropout(keep=0.7), nn.GlobalAvgPool()),
}
IMAGES = [name for name in NETWORKS if "Conv" in name or "ool" in name or "images" in name]


def inputs(name):
    rng = np.random.default_rng(7)
    x = rng.standard_normal((2, 4, 3, 2) if name in IMAGES else (2, 5))
    return np.concatenate([x, 0.6 * x[:1] + 0.5 * x[1:]])


def drawn(net, x, units, seed):
    """One fixed combination of the entries of the NNGP and the NTK, for each draw."""
    weights = np.array([[0.5, 1.0, -0.7], [1.0, 0.3, 0.6], [-0.7, 0.6, 0.4]])
    found = []
    for draw in range(DRAWS):
        parameters = draw_parameters(net, x.shape[1:], units=units, outputs=units, seed=(seed, units, draw))
        f = net.apply(parameters, x)
        found.append([(weights * (f @ f.T / units)).sum(), (weights * tangent_kernel(net, parameters, x)).sum()])
    return weights, np.array(found)


def extrapolated(net, x, n=12):
    """Mean without its 1/n and its standard error, the kernels of infinite width, the slope of the spread."""
    weights, narrow = drawn(net, x, n, 1)
    _, wide = drawn(net, x, 4 * n, 2)
    pair = net.kernel(x)
    want = np.array([(weights * k.values).sum() for k in (pair.nngp, pair.ntk)])
    mean = (4 * wide.mean(0) - narrow.mean(0)) / 3
    error = np.sqrt((16 * wide.var(0, ddof=1) + narrow.var(0, ddof=1)) / DRAWS) / 3
    return mean, error, want, np.log(wide.std(0) / narrow.std(0)) / np.log(4)


@pytest.mark.parametrize("name", NETWORKS)
def test_kernel_against_finite_networks(name, p_min):
    mean, error, want, slope = extrapolated(NETWORKS[name], inputs(name))
    p = 2 * norm.sf(np.abs(mean - want) / error)
    assert (p > p_min / 2).all(), f"{(mean - want) / error} standard errors"
    assert (np.abs(slope + 0.5) < 0.25).all(), f"the spread falls as width^{slope}"


def test_the_measure_catches_a_missing_layer(p_min):
    """A planted fault: the NTK of the readout alone, which is the NNGP."""
    mean, error, want, _ = extrapolated(NETWORKS["Relu"], inputs("Relu"))
    assert 2 * norm.sf(abs(mean[1] - want[0]) / error[1]) < p_min / 2
