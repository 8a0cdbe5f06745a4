"""Single layers in closed form, and kernels that must not depend on how they are computed or on units."""

import re

import numpy as np
import pytest

import mattis as mt

nn = mt.nn
X = np.random.default_rng(0).standard_normal((300, 5))
IMAGES = np.random.default_rng(1).standard_normal((6, 5, 4, 3))
BIG = 2.0**300


def conv(**options):
    return nn.Conv(**({"filter_shape": (3, 3), "sigma_w": 1.3, "sigma_b": 0.2} | options))


def mean_products(x):
    """Sum over positions and channels of x x', over their number."""
    flat = x.reshape(len(x), -1)
    return flat @ flat.T / flat.shape[1]


LINEAR = {
    "SAME even": nn.Conv(filter_shape=(2, 2)),
    "VALID": nn.Conv(filter_shape=(3, 2), padding="VALID", strides=(2, 1)),
    "CIRCULAR": nn.Conv(filter_shape=(4, 3), padding="CIRCULAR", strides=(1, 2)),
    "AvgPool": nn.AvgPool(window=(2, 3), strides=(3, 1)),
    "AvgPool of its window": nn.AvgPool(window=(1, 2)),
}


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("head", [nn.Flatten(), nn.GlobalAvgPool()], ids=["flat", "pooled"])
def test_linear_layers_act_on_the_inputs(name, head):
    """Random weights do not change products: a convolution has the mean of its patches, a pool that of its windows."""
    layer = LINEAR[name]
    moved = layer._patches(IMAGES) if isinstance(layer, nn.Conv) else layer.apply(None, IMAGES)
    want = mean_products(moved if isinstance(head, nn.Flatten) else moved.mean((1, 2)))
    np.testing.assert_allclose(nn.serial(layer, head, nn.Dense()).kernel(IMAGES).nngp, want, rtol=1e-12, atol=1e-14)


def test_windows():
    """Of an even window the odd row and column are added after; a torus repeats itself; pools by loops."""

    def moved(x, down, right):
        return np.roll(x, (-down, -right), (1, 2))

    zeros = np.pad(IMAGES, ((0, 0), (1, 2), (0, 1), (0, 0)))
    found = nn.Conv(filter_shape=(4, 2))._patches(IMAGES)
    for part, (u, v) in zip(np.split(found, 8, -1), np.ndindex(4, 2), strict=True):
        np.testing.assert_array_equal(part, zeros[:, u : u + 5, v : v + 4])
    found = nn.Conv(filter_shape=(2, 3), padding="CIRCULAR")._patches(IMAGES)
    for part, (u, v) in zip(np.split(found, 6, -1), np.ndindex(2, 3), strict=True):
        np.testing.assert_array_equal(part, moved(IMAGES, u, v - 1))
    found = nn.AvgPool(window=(2, 3), strides=(3, 1)).apply(None, IMAGES)
    want = [[IMAGES[:, i : i + 2, j : j + 3].mean((1, 2)) for j in (0, 1)] for i in (0, 3)]
    np.testing.assert_allclose(found, np.moveaxis(want, 2, 0), rtol=1e-14)


def test_standard_parametrisation():
    """Theta = fan_in <K> + 1 of one layer, fan_in that of a filter, of all channels, of the units before."""
    flat, size = nn.Flatten(), 9 * 3
    one = conv(parametrisation="standard")
    K = nn.serial(conv(sigma_w=1.0, sigma_b=0.0), flat, nn.Dense()).kernel(IMAGES).nngp.values  # mean over windows
    found = nn.serial(one, flat, nn.Dense(sigma_w=1.5)).kernel(IMAGES)
    np.testing.assert_allclose(found.ntk, found.nngp.values + 1.5**2 * (size * K + 1), rtol=1e-12)
    dense = nn.Dense(sigma_w=0.7, parametrisation="standard")  # no bias, no 1
    flat_K = mean_products(IMAGES)
    np.testing.assert_allclose(nn.serial(flat, dense).kernel(IMAGES).ntk, 60 * flat_K, rtol=1e-12)
    wide = nn.serial(flat, nn.Dense(sigma_w=0.9, units=11), nn.Erf(), dense).kernel(IMAGES)
    inner = nn.serial(flat, nn.Dense(sigma_w=0.9), nn.Erf(), nn.Dense(sigma_w=0.7)).kernel(IMAGES)
    hidden = inner.nngp.values / 0.7**2
    np.testing.assert_allclose(wide.ntk, inner.ntk.values - inner.nngp.values + 11 * hidden, rtol=1e-12)


def test_layer_norm():
    """K/sqrt((a + epsilon)(b + epsilon))."""
    K = nn.serial(nn.Dense(sigma_w=0.1)).kernel(X[:7]).nngp.values
    a = np.diag(K) + 0.5
    found = nn.serial(nn.Dense(sigma_w=0.1), nn.LayerNorm(epsilon=0.5)).kernel(X[:7])
    np.testing.assert_allclose(found.nngp, K / np.sqrt(np.outer(a, a)), rtol=1e-13)


@pytest.mark.parametrize(
    "layers",
    [
        [conv(), nn.Relu(), conv(filter_shape=(1, 5)), nn.LeakyRelu(0.2), nn.Flatten(), nn.Dense(sigma_w=1.2)],
        [conv(filter_shape=(2, 3)), nn.Relu(), nn.Flatten(), nn.Dense()],
        [conv(strides=(2, 1)), nn.Relu(), nn.GlobalAvgPool(), nn.Dense()],
        [conv(padding="VALID"), nn.Erf(), nn.Flatten(), nn.Dense()],
        [conv(padding="CIRCULAR"), nn.Relu(), conv(), nn.Relu(), nn.GlobalAvgPool(), nn.Dense(sigma_b=0.4)],
        [conv(units=7, parametrisation="standard"), nn.Relu(), nn.Flatten(), nn.Dense()],
        [conv(units=7), nn.Relu(), nn.GlobalAvgPool(), nn.Dense(parametrisation="standard")],
        [nn.Flatten(), nn.Dense(units=7), nn.Relu(), nn.Dense(parametrisation="standard")],
    ],
)
def test_compiled_and_layered_agree(layers):
    """Whatever the compiled loops take, they give what the layers do, which another layer forces."""
    one, two = nn.serial(*layers).kernel(IMAGES), nn.serial(*layers, nn.Identity()).kernel(IMAGES)
    np.testing.assert_allclose(one.nngp, two.nngp, rtol=1e-12)
    np.testing.assert_allclose(one.ntk, two.ntk, rtol=1e-12)


def in_units(layers, unit):
    """All biases, and the outputs before Erf, in another unit."""
    for layer in layers:
        if isinstance(layer, nn.Erf):
            yield nn.Erf(layer.A, layer.B / unit, layer.c)
            unit = 1.0
        elif isinstance(layer, nn.Dense):
            yield nn.Dense(sigma_w=layer.sigma_w, sigma_b=layer.sigma_b * unit)
        elif isinstance(layer, nn.Conv):
            yield conv(sigma_w=layer.sigma_w, sigma_b=layer.sigma_b * unit)
        else:
            yield layer


D = nn.Dense(sigma_w=1.3, sigma_b=0.4)
RELU = [D, nn.Relu(), D, nn.LeakyRelu(0.2), D]
MIXED = [D, nn.Relu(), D, nn.Erf(1.1, 0.8, 0.3), D, nn.Relu(), D]
TREE = [conv(), nn.Relu(), conv(), nn.Relu(), nn.GlobalAvgPool(), D]


@pytest.mark.parametrize(("layers", "x"), [(RELU, X[:9]), (MIXED, X[:9]), (TREE, IMAGES)], ids=["relu", "erf", "conv"])
@pytest.mark.parametrize("unit", [BIG, 1 / BIG, 2.0**500])
def test_units(layers, x, unit):
    """Inputs and biases in another unit: the kernels in its square, as numbers or by log_scale, however asked."""
    rest = 1.0 if layers is MIXED else unit
    base, net = nn.serial(*layers), nn.serial(*in_units(layers, unit))
    gain = 2 * np.log(rest)
    n = len(x)
    out = np.empty((n, n))
    streamed = net.kernel(unit * x, get="ntk", out=out, memory=2**12)
    for pair, want in (
        (net.kernel(unit * x), base.kernel(x)),
        (net.kernel(unit * x[:4], unit * x), base.kernel(x[:4], x)),
        (net.kernel(unit * x[:4], unit * x[4:] / 2**9), base.kernel(x[:4], x[4:] / 2**9)),
    ):
        scale = np.exp(gain - pair.log_scale)
        np.testing.assert_allclose(pair.nngp, want.nngp * scale, rtol=1e-12)
        np.testing.assert_allclose(pair.ntk, want.ntk * scale, rtol=1e-12)
    np.testing.assert_allclose(out, base.kernel(x).ntk * np.exp(gain - streamed.log_scale), rtol=1e-12)


@pytest.mark.parametrize("kind", ["dense", "conv"])
def test_the_larger_set_decides_the_scale(kind):
    """K between a set whose own kernel is in range and one whose is not, either first."""
    steep = nn.Dense(sigma_w=2.0**7)
    layers = [nn.Flatten(), nn.Dense(), nn.Relu(), steep, nn.Relu(), steep]
    if kind == "conv":
        layers = [conv(sigma_w=1.0, sigma_b=0.0), nn.Relu(), conv(sigma_w=2.0**7, sigma_b=0.0), nn.Relu()]
        layers += [nn.Flatten(), steep]
    net, want = nn.serial(*layers), nn.serial(*layers).kernel(IMAGES[:2], IMAGES[2:]).nngp
    small, large = 2.0**490 * IMAGES[:2], 2.0**506 * IMAGES[2:]
    for pair, nngp in ((net.kernel(small, large), want), (net.kernel(large, small), want.T)):
        assert np.isfinite(pair.ntk).all()
        np.testing.assert_allclose(np.log(pair.nngp) + pair.log_scale, np.log(nngp) + 996 * np.log(2), rtol=1e-12)


def test_scales_after_bounded_units():
    """Erf units forget the scale of the inputs; what follows may leave the range all the same."""
    steep = nn.Conv(filter_shape=(3, 3), sigma_w=2.0**60)
    tail = [layer for _ in range(12) for layer in (nn.Relu(), steep)]
    unit = [layer for _ in range(12) for layer in (nn.Relu(), nn.Conv(filter_shape=(3, 3)))]
    head = [nn.Relu(), nn.Flatten(), nn.Dense()]
    found = nn.serial(conv(), nn.Erf(), steep, *tail, *head).kernel(IMAGES)
    want = nn.serial(conv(), nn.Erf(), nn.Conv(filter_shape=(3, 3)), *unit, *head).kernel(IMAGES)
    np.testing.assert_allclose(np.log(found.ntk) + found.log_scale, np.log(want.ntk) + 13 * 120 * np.log(2), rtol=1e-12)


def test_units_at_several_depths():
    net, base = nn.serial(*in_units(RELU, 2.0**500)), nn.serial(*RELU)
    pair, want = (
        net.kernel(2.0**500 * X[:5], depths=(1, 2), stable=True),
        base.kernel(X[:5], depths=(1, 2), stable=True),
    )
    for i, scale in enumerate(np.exp(1000 * np.log(2) - pair.log_scale)):
        for name in ("nngp", "ntk", "ntk_sqdist"):
            np.testing.assert_allclose(getattr(pair, name)[i], getattr(want, name)[i] * scale, rtol=1e-11, atol=1e-300)


PAIRS = ((250, 3), (251, 200), (299, 140), (130, 129), (20, 7))


@pytest.mark.parametrize("activation", [nn.Relu(), nn.Erf()], ids=["relu", "erf"])
def test_close_pairs_of_any_tile(activation):
    """Rows of very different lengths, a few of which nearly coincide, of one set and of two."""
    x = X * np.geomspace(0.1, 10, 300)[np.random.default_rng(2).permutation(300), None]
    for i, j in PAIRS:
        x[i] = x[j] + 1e-7 * np.eye(5)[1]
    net = nn.mlp(hidden_layers=3, activation=activation, sigma_w=1.4, sigma_b=0.1)
    one, two = net.kernel(x, stable=True), net.kernel(x[100:], x, stable=True)
    for i, j in PAIRS:
        want = net.kernel(x[[j, i]], stable=True)
        for pair, row in ((one, i), *(((two, i - 100),) if i >= 100 else ())):
            for name in ("nngp_sqdist", "ntk_sqdist", "ntk"):
                np.testing.assert_allclose(getattr(pair, name)[row, j], getattr(want, name)[1, 0], rtol=1e-9)


@pytest.mark.parametrize("activation", [nn.Relu(), nn.Erf()], ids=["relu", "erf"])
def test_a_bias_does_not_part_inputs(activation):
    """Distances behind a large last bias are those without."""
    layers = [nn.Dense(sigma_w=1.4, sigma_b=0.1), activation]
    want = nn.serial(*layers, nn.Dense(sigma_w=0.1)).kernel(X[:9], stable=True)
    found = nn.serial(*layers, nn.Dense(sigma_w=0.1, sigma_b=100.0)).kernel(X[:9], stable=True)
    for name in ("nngp_sqdist", "ntk_sqdist"):
        np.testing.assert_allclose(getattr(found, name), getattr(want, name), rtol=1e-12)


@pytest.mark.parametrize("activation", [nn.Relu(), nn.Abs(), nn.Erf()], ids=["relu", "abs", "erf"])
def test_plain_kernels_of_close_inputs(activation):
    """The angle of a pair at distance d has the rounding of its cosine over d, no more: of the loops and the layers."""
    net = nn.mlp(hidden_layers=3, activation=activation, sigma_w=1.4, sigma_b=0.1)
    for gap in (1e-3, 1e-4, 1e-5, 1e-6):
        x = np.array([X[0], X[0] + gap * X[1]])
        want = net.kernel(x, stable=True).ntk[0, 1]
        for plain in (net, nn.serial(net, nn.Identity())):
            np.testing.assert_allclose(plain.kernel(x).ntk[0, 1], want, rtol=2e-14 + 3e-15 / gap)


def test_opposite_inputs():
    """1 - rho = 2 up to rounding: V of ReLU units is sigma_b^2, that of Abs the diagonal."""
    for activation, at_pi in ((nn.Relu(), 0.0), (nn.Abs(), 1.0)):
        net = nn.mlp(hidden_layers=1, activation=activation, sigma_w=1.3)
        for stable in (False, True):
            found = np.diag(net.kernel(X, -X, stable=stable).nngp.values)
            np.testing.assert_allclose(found, at_pi * np.diag(net.kernel(X).nngp.values), rtol=1e-13, atol=1e-13)


def test_dropout():
    """Variances, of both sets, over keep, those of the NTK too; a LayerNorm behind it shows them in pairs."""
    dense, drop = nn.Dense(sigma_w=1.2), nn.Dropout(keep=0.4)
    one, two = nn.serial(dense).kernel(X[:7]), nn.serial(dense, drop).kernel(X[:7])
    for name in ("nngp", "ntk"):
        K = getattr(one, name).values
        np.testing.assert_allclose(getattr(two, name), K + (1 / 0.4 - 1) * np.diag(np.diag(K)), rtol=1e-13)
    K = nn.serial(dense).kernel(X[:7], X[7:10])
    normed = nn.serial(dense, drop, nn.Dense(), nn.LayerNorm()).kernel(X[:7], X[7:10])
    a, b = (np.diag(nn.serial(dense).kernel(x).nngp.values) for x in (X[:7], X[7:10]))
    np.testing.assert_allclose(normed.nngp, 0.4 * K.nngp.values / np.sqrt(np.outer(a, b)), rtol=1e-11)


def test_errors_travel():
    """The error of a series of the second set, and of any branch."""
    dense = nn.Dense()
    small, large = nn.serial(dense, nn.Tanh(), dense), 30 * X[:5]
    worst = small.kernel(large).quadrature_error
    assert worst > 10 * small.kernel(X[:5]).quadrature_error
    assert small.kernel(X[:5], large).quadrature_error == small.kernel(large, X[:5]).quadrature_error == worst
    for branches in ((nn.Identity(), small), (small, nn.Identity())):
        net = nn.serial(nn.FanOut(2), nn.parallel(*(nn.serial(dense, b) for b in branches)), nn.FanInSum())
        assert net.kernel(large).quadrature_error >= worst / 10


def test_a_zero_input_has_no_error():
    net = nn.mlp(hidden_layers=1, activation=nn.Tanh())
    assert net.kernel(np.array([[0.0, 0.0], [1.0, 2.0]])).quadrature_error < 1e-13


def test_nested_residual_blocks():
    """Blocks within a branch: K' = K + 2 V(K), once more inside, as long as each branch has weights of its own."""
    dense = nn.Dense()

    def block(*layers):
        return nn.serial(nn.FanOut(2), nn.parallel(nn.Identity(), nn.serial(*layers)), nn.FanInSum())

    net = nn.serial(dense, block(nn.Erf(), dense, block(nn.Erf(), dense)))
    K = nn.serial(dense).kernel(X[:5]).nngp.values
    q = np.diag(K)
    V = nn.Erf().dual(q[:, None], K, q)[0]
    inner = V + nn.Erf().dual(np.diag(V)[:, None], V, np.diag(V))[0]
    np.testing.assert_allclose(net.kernel(X[:5]).nngp, K + inner, rtol=1e-12)


C, E = nn.Conv(filter_shape=(3, 3)), nn.Erf()


@pytest.mark.parametrize(
    ("layers", "x", "said"),
    [
        ([nn.Dense(), nn.Dropout(keep=0.5), E, nn.Dense()], X, "layer 2 (Erf) needs Gaussian channels"),
        ([nn.Dropout(keep=0.5), nn.Dense(), E, nn.Dense()], X, "layer 0 (Dropout) needs many channels"),
        ([C, nn.Flatten(), E, nn.Dense()], IMAGES, "layer 2 (Erf) needs Gaussian channels"),
        ([nn.FanOut(2), nn.parallel(*[nn.serial(nn.Dense(), E)] * 2), nn.FanInSum(), nn.Dense()], X, "have a mean"),
        ([nn.Dense(), nn.FanOut(2), nn.Dense()], X, "layer 2 (Dense) stands after FanOut"),
        ([C, nn.AvgPool(window=(6, 1)), nn.Flatten(), nn.Dense()], IMAGES, "layer 1 (AvgPool): a window of 6"),
        (
            [nn.FanOut(2), nn.parallel(nn.Dense(units=3), nn.Dense(units=5)), nn.FanInSum()],
            X,
            "different units, [3, 5]",
        ),
    ],
)
def test_what_has_no_limit_of_this_form_is_refused(layers, x, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        nn.serial(*layers).kernel(x[:3])


def test_sums_that_are_no_limit_are_refused():
    """ReLU units after a sum with ReLU units in it; a sum that shares weights with a branch beside it."""
    dense = nn.Dense()

    def block(first, second):
        return [nn.FanOut(2), nn.parallel(first, second), nn.FanInSum()]

    for pair in ((nn.Identity(), dense), (dense, nn.Identity())):
        with pytest.raises(ValueError, match="needs Gaussian channels"):
            nn.serial(dense, nn.Relu(), *block(*pair), nn.Relu(), dense).kernel(X[:3])
        with pytest.raises(ValueError, match="two branches share weights or have a mean"):
            nn.serial(dense, *block(nn.serial(*block(*pair)), nn.Identity())).kernel(X[:3])


def test_a_zero_row_is_that_of_the_layers():
    x = np.vstack([X[:3], np.zeros(5)])
    for activation in (nn.Relu(), nn.Abs(), nn.Erf()):
        net = nn.mlp(hidden_layers=2, activation=activation, sigma_w=1.3)
        for stable in (False, True):
            pair, want = net.kernel(x, stable=stable), nn.serial(net, nn.Identity()).kernel(x)
            for found, exact in ((pair.ntk, want.ntk), (pair.nngp, want.nngp)):
                rounding = 1e-15 * float(exact.max()) if stable else 1e-15  # stable: (t1 + t2)/2 - TD
                np.testing.assert_allclose(found, exact, rtol=1e-12, atol=rounding)


@pytest.mark.parametrize("row", [0, 299])
def test_the_worst_error_of_all_tiles_is_told(row):
    """The steepest input is in the first or the last of several tiles, in memory and streamed."""
    x = 0.1 * X
    x[row] *= 100
    net = nn.mlp(hidden_layers=1, activation=nn.Tanh())
    want = net.kernel(x[row : row + 1]).quadrature_error
    assert want > 10 * net.kernel(np.delete(x, row, 0)).quadrature_error
    assert net.kernel(x).quadrature_error >= want
    assert net.kernel(x, get="ntk", out=np.empty((300, 300)), memory=2**22).quadrature_error >= want


def test_inputs_on_a_line():
    """Inputs of one dimension are parallel or opposite: a residual network has a kernel with no negative eigenvalue."""
    block = nn.parallel(nn.Identity(), nn.serial(nn.Relu(), nn.Dense(sigma_w=2**0.5)))
    net = nn.serial(nn.Dense(sigma_w=1.1), nn.FanOut(2), block, nn.FanInSum(), nn.Relu(), nn.Dense())
    for kernel in (net.kernel(np.linspace(-2, 2, 41)[:, None]).nngp, net.kernel(np.linspace(-2, 2, 41)[:, None]).ntk):
        values = np.linalg.eigvalsh(kernel.values)
        assert values[0] > -1e-13 * values[-1]
