"""``Network.kernel``: the same numbers however it is called, and clear refusals."""

import re
from dataclasses import replace

import numpy as np
import pytest
import zarr

import mattis as mt
from mattis.theory.kernels.tiles import edge_of

nn = mt.nn
X = np.random.default_rng(8).standard_normal((300, 11))
IMAGES = np.random.default_rng(9).standard_normal((7, 5, 4, 3))
NETWORKS = {
    "relu": nn.mlp(hidden_layers=4, activation=nn.Relu(), sigma_w=1.4, sigma_b=0.1),
    "erf": nn.mlp(hidden_layers=3, activation=nn.Erf(), sigma_w=1.4, sigma_b=0.1),
    "gelu": nn.mlp(hidden_layers=2, activation=nn.Gelu(), sigma_w=1.2, sigma_b=0.2),
    "tanh": nn.mlp(hidden_layers=2, activation=nn.Tanh(), sigma_w=1.2, sigma_b=0.2),
    "mixed": nn.serial(
        nn.Dense(sigma_b=0.2),
        nn.Relu(),
        nn.Dense(sigma_w=1.5, sigma_b=0.1),
        nn.Erf(1.1, 0.9, 0.1),
        nn.Dense(sigma_b=0.3),
    ),
}
CONV = nn.Conv(filter_shape=(3, 3), sigma_w=1.3, sigma_b=0.1)
ON_IMAGES = {
    "compiled, flat": nn.serial(CONV, nn.Relu(), CONV, nn.Erf(), nn.Flatten(), nn.Dense(sigma_w=1.2)),
    "compiled, pooled": nn.serial(CONV, nn.Relu(), CONV, nn.Relu(), nn.GlobalAvgPool(), nn.Dense(sigma_w=1.2)),
    "by layers": nn.serial(CONV, nn.Gelu(), nn.AvgPool(window=(2, 2)), nn.Flatten(), nn.Dense(sigma_w=1.2)),
    "dense": nn.serial(nn.Flatten(), nn.Dense(sigma_w=1.2), nn.Relu(), nn.Dense()),
}
CASES = [*((net, X) for net in NETWORKS.values()), *((net, IMAGES) for net in ON_IMAGES.values())]
EACH = pytest.mark.parametrize(("net", "x"), CASES, ids=[*NETWORKS, *ON_IMAGES])


@EACH
def test_symmetric(net, x):
    """Both triangles are the same bits; two sets give the same numbers; the NNGP alone too."""
    pair, apart = net.kernel(x), net.kernel(x[:5], x)
    for name in ("nngp", "ntk"):
        whole = getattr(pair, name)
        assert whole.dims == ("x1", "x2")
        assert (whole.values == whole.values.T).all()
        np.testing.assert_allclose(getattr(apart, name), whole[:5], rtol=1e-13, atol=1e-15)
        alone = net.kernel(x, get=name)
        np.testing.assert_array_equal(getattr(alone, name), whole)
    assert alone.nngp is None


@EACH
def test_threads_and_tiles(net, x):
    """Any number of threads gives the same bits; tiles into arrays and zarr agree to rounding."""
    pair = net.kernel(x)
    for threads in (1, 3):
        again = net.kernel(x, threads=threads)
        np.testing.assert_array_equal(again.ntk, pair.ntk)
    n = len(x)
    out = {"nngp": np.full((n, n), np.nan), "ntk": zarr.create_array({}, shape=(n, n), chunks=(64, 64), dtype="f8")}
    told = net.kernel(x, out=out, memory=2**19, threads=2)
    assert told.ntk is out["ntk"]
    np.testing.assert_allclose(out["nngp"], pair.nngp, rtol=1e-13, atol=1e-15)
    np.testing.assert_allclose(out["ntk"][:], pair.ntk, rtol=1e-13, atol=1e-15)
    between = np.empty((4, n))
    net.kernel(x[:4], x, get="ntk", out=between)
    np.testing.assert_allclose(between, pair.ntk[:4], rtol=1e-13, atol=1e-15)


def test_the_estimate_comes_first(capsys, tmp_path):
    out = np.lib.format.open_memmap(tmp_path / "ntk.npy", mode="w+", shape=(300, 300), dtype=float)
    NETWORKS["relu"].kernel(X, get="ntk", out=out, threads=1)
    said = capsys.readouterr().err
    assert re.search(r"ntk of shape \(300, 300\): 703 KiB written in tiles of \d+, .* of memory on 1 threads", said)
    np.testing.assert_allclose(out, NETWORKS["relu"].kernel(X).ntk, rtol=1e-13)


@pytest.mark.parametrize("name", ["relu", "erf", "mixed"])
@pytest.mark.parametrize("stable", [False, True])
def test_depths(name, stable):
    """Each depth is the kernel of the network cut after it."""
    net = NETWORKS[name]
    L = len(net.layers) // 2
    pair = net.kernel(X[:40], depths=range(1, L + 1), stable=stable)
    assert pair.ntk.dims == ("depth", "x1", "x2")
    assert pair.ntk.depth.values.tolist() == list(range(1, L + 1))
    for depth in range(1, L + 1):
        cut = nn.serial(*net.layers[: 2 * depth + 1]).kernel(X[:40], stable=stable)
        for what in ("nngp", "ntk", *(("nngp_sqdist", "ntk_sqdist") if stable else ())):
            np.testing.assert_allclose(getattr(pair, what).sel(depth=depth), getattr(cut, what), rtol=1e-13, atol=2e-15)


def test_depths_tile_by_tile():
    """Several depths at once into arrays with an axis for them, in tiles that keep within the memory they are given."""
    net, names = NETWORKS["relu"], ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist")
    want = net.kernel(X, depths=(1, 3, 4), stable=True)
    out = {name: np.empty((3, 300, 300)) for name in names}
    net.kernel(X, depths=(1, 3, 4), stable=True, out=out, memory=2**21, threads=2)
    for name in names:
        np.testing.assert_allclose(out[name], getattr(want, name), rtol=1e-12, atol=1e-13)
    one = np.empty((300, 300))
    net.kernel(X, get="ntk", out=one, memory=2**19)
    np.testing.assert_allclose(one, want.ntk[2], rtol=1e-13)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("memory", [2.0**18, 2.0**21, 2.0**30])
def test_tiles_keep_within_memory(memory, threads):
    edge = edge_of(memory, threads, 33.0, 1024)
    assert threads * 33 * edge**2 <= memory < threads * 33 * (edge + 128) ** 2 or edge == 1024


def test_stable_distances_of_a_whole_set():
    """q1 + q2 - 2 k of far pairs, both triangles, streamed too."""
    for name in ("relu", "erf", "mixed"):
        pair = NETWORKS[name].kernel(X, stable=True)
        k, t = pair.nngp.values, pair.ntk.values
        for K, found in ((k, pair.nngp_sqdist.values), (t, pair.ntk_sqdist.values)):
            q = np.diag(K)
            np.testing.assert_allclose(found, q[:, None] + q - 2 * K, atol=2e-13 * q.max())
            assert (found == found.T).all()
        out = {what: np.empty((300, 300)) for what in ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist")}
        NETWORKS[name].kernel(X, stable=True, out=out, memory=2**20)
        np.testing.assert_allclose(out["ntk_sqdist"], pair.ntk_sqdist, rtol=1e-12, atol=1e-13)


def test_nothing_is_read_before_it_is_written(monkeypatch):
    """Memory as it comes may hold anything: with 1e308 in it a reading is an overflow, and an error here."""
    fresh = np.empty
    expected = {name: net.kernel(X, stable=True) for name, net in NETWORKS.items() if name in ("relu", "erf", "mixed")}

    def full(shape, *args, **kw):
        array = fresh(shape, *args, **kw)
        if array.dtype == np.float64:
            array.fill(1e308)
        return array

    monkeypatch.setattr(np, "empty", full)
    for name, pair in expected.items():
        out = {what: np.zeros((300, 300)) for what in ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist")}
        NETWORKS[name].kernel(X, stable=True, out=out, memory=2**20)
        again = NETWORKS[name].kernel(X, stable=True)
        for what, streamed in out.items():
            np.testing.assert_array_equal(getattr(again, what), getattr(pair, what))
            np.testing.assert_allclose(streamed, getattr(pair, what), rtol=1e-12, atol=1e-13)


def test_images_are_vectors_to_dense_layers():
    one = ON_IMAGES["dense"].kernel(IMAGES)
    two = nn.serial(nn.Dense(sigma_w=1.2), nn.Relu(), nn.Dense()).kernel(IMAGES.reshape(7, -1))
    np.testing.assert_array_equal(one.ntk, two.ntk)


def test_scales_beyond_floating_point():
    """sigma_w = 10 at depth 300: K is 50^300 times a number; small sigma_w the other way; the angles do not change."""
    for sigma_w, depth in ((10.0, 300), (0.05, 300)):
        net = nn.mlp(hidden_layers=depth, activation=nn.Relu(), sigma_w=sigma_w)
        pair = net.kernel(X[:6], stable=True)
        assert np.isfinite(pair.ntk).all()
        unit = nn.mlp(hidden_layers=depth, activation=nn.Relu(), sigma_w=2**0.5).kernel(X[:6], stable=True)
        log_gain = (depth + 1) * np.log(sigma_w**2 / 2)
        np.testing.assert_allclose(np.log(pair.nngp) + pair.log_scale, np.log(unit.nngp) + log_gain, rtol=1e-12)
        np.testing.assert_allclose(pair.nngp / pair.ntk, unit.nngp / unit.ntk, rtol=1e-11)
        np.testing.assert_allclose(pair.ntk_sqdist / pair.ntk, unit.ntk_sqdist / unit.ntk, rtol=1e-11, atol=1e-13)
    several = nn.mlp(hidden_layers=300, activation=nn.Relu(), sigma_w=10.0).kernel(X[:6], depths=(1, 100, 300))
    assert several.log_scale[0] == several.log_scale[1] == 0
    deep = nn.mlp(hidden_layers=300, activation=nn.Relu(), sigma_w=10.0).kernel(X[:6])
    np.testing.assert_allclose(several.log_scale[2], deep.log_scale, rtol=1e-15)
    one = nn.mlp(hidden_layers=100, activation=nn.Relu(), sigma_w=10.0).kernel(X[:6])
    np.testing.assert_allclose(several.ntk.sel(depth=100), one.ntk, rtol=1e-14)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: NETWORKS["relu"].kernel(np.array([[1.0, np.nan]])), "x1 must be finite, got nan at index (0, 1)"),
        (lambda: NETWORKS["relu"].kernel(X, np.full((2, 11), np.inf)), "x2 must be finite, got inf at index (0, 0)"),
        (lambda: NETWORKS["relu"].kernel(X[:, 0]), "x1 must be (n, d) or (n, height, width, channels)"),
        (lambda: NETWORKS["relu"].kernel(X[:0]), "not empty, got shape (0, 11)"),
        (lambda: NETWORKS["relu"].kernel(X, X[:, :4]), "x2 must have inputs of shape (11,) as x1 has, got (4,)"),
        (lambda: NETWORKS["relu"].kernel([[1e200, 1.0]]), "x1 must have finite squares, got entries up to 1e+200"),
        (lambda: NETWORKS["relu"].kernel(X, get="nkt"), "get must be 'nngp', 'ntk' or both, got 'nkt'"),
        (
            lambda: NETWORKS["relu"].kernel(X, depths=(0, 2)),
            "depths must be in [1, 4], the hidden layers of the network, got 0",
        ),
        (lambda: NETWORKS["relu"].kernel(X, depths=(2, 1)), "depths must increase, got [2, 1]"),
        (
            lambda: NETWORKS["gelu"].kernel(X, depths=(1,)),
            "depths is for host arrays and Dense layers with ABRelu or Erf units only: Dense -> Gelu",
        ),
        (
            lambda: NETWORKS["gelu"].kernel(X, stable=True),
            "stable=True is for host arrays and Dense layers with ABRelu or Erf units only",
        ),
        (lambda: NETWORKS["relu"].kernel(X, memory=0), "memory must be bytes > 0, got 0"),
        (lambda: NETWORKS["relu"].kernel(X, threads=0), "threads must be in [1, 4096], got 0"),
        (lambda: NETWORKS["relu"].kernel(X, out=np.empty((3, 300))), "out must have nngp, ntk, got nngp"),
        (
            lambda: NETWORKS["relu"].kernel(X, get="ntk", out=np.empty((3, 300))),
            "out['ntk'] must have shape (300, 300), got (3, 300)",
        ),
        (lambda: ON_IMAGES["by layers"].kernel(X), "layer 0 (Conv) needs images"),
        (lambda: nn.serial(CONV, nn.Relu()).kernel(IMAGES), "the network ends in images: put Flatten or GlobalAvgPool"),
        (lambda: nn.serial(nn.Relu(), nn.Dense()).kernel(X), "layer 0 (Relu) needs Gaussian channels"),
        (lambda: nn.serial(nn.Dense(), nn.Gelu(), nn.Erf()).kernel(X), "layer 2 (Erf) needs Gaussian channels"),
        (
            lambda: nn.serial(nn.Dense(), nn.Gelu(), nn.LayerNorm()).kernel(X),
            "layer 2 (LayerNorm) needs Gaussian channels",
        ),
        (
            lambda: nn.serial(nn.Dense(), nn.serial(nn.Gelu(), nn.Sin())).kernel(X),
            "layer 1.1 (Sin) needs Gaussian channels",
        ),
        (lambda: nn.serial(nn.Dense(), nn.FanInSum()).kernel(X), "layer 1 (FanInSum) adds branches"),
        (
            lambda: nn.serial(nn.Dense(), nn.parallel(nn.Gelu())).kernel(X),
            "layer 1 (Parallel) has 1 branches: put FanOut(1) before it",
        ),
        (
            lambda: nn.serial(nn.Dense(), nn.FanOut(2), nn.parallel(nn.Identity(), nn.Gelu()), nn.FanInSum()).kernel(X),
            "layer 3 (FanInSum): two branches share weights or have a mean",
        ),
        (lambda: nn.serial(nn.Dense(), nn.FanOut(2)).kernel(X), "the network ends in branches"),
        (lambda: nn.Dense(sigma_w=-1.0), "Dense: sigma_w must be a number in [0, inf), got -1.0"),
        (lambda: nn.Dense(sigma_b=np.nan), "Dense: sigma_b must be a number in [0, inf), got nan"),
        (lambda: nn.Dense(parametrisation="mup"), "Dense: parametrisation must be 'ntk' or 'standard', got 'mup'"),
        (
            lambda: nn.serial(nn.Dense(), nn.Gelu(), nn.Dense(parametrisation="standard")).kernel(X),
            "layer 2 (Dense): the standard parametrisation needs the number of units of the layer before",
        ),
        (lambda: nn.Conv(filter_shape=(0, 3)), "Conv: filter_shape must be >= 1, got 0"),
        (
            lambda: nn.Conv(filter_shape=(3, 3), padding="same"),
            "Conv: padding must be 'SAME', 'VALID' or 'CIRCULAR', got 'same'",
        ),
        (lambda: nn.Dropout(keep=0.0), "Dropout: keep must be a number in (0, 1], got 0.0"),
        (lambda: nn.mlp(hidden_layers=0, activation=nn.Relu()), "mlp: hidden_layers must be >= 1, got 0"),
        (lambda: nn.serial(), "serial needs at least one layer"),
        (
            lambda: nn.serial(nn.Conv(filter_shape=(9, 1), padding="VALID"), nn.Flatten()).kernel(IMAGES),
            "a window of 9 does not fit an image of 5",
        ),
    ],
)
def test_refusals(call, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        call()


def test_overflow_names_the_layer():
    """An Erf, an exponential after a variance that is no number."""
    dense = nn.Dense(sigma_w=100.0)
    deep = nn.serial(dense, *(nn.Relu(), dense) * 90, nn.Erf(), dense)
    with pytest.raises(OverflowError, match=re.escape("layer 181 (Erf) receives a variance beyond 2^")):
        deep.kernel(X)
    with pytest.raises(OverflowError, match=re.escape("layer 1 (Exp) gives a covariance beyond")):
        nn.serial(dense, nn.Exp(), dense).kernel(X)
    with pytest.raises(OverflowError, match=re.escape("layer 2 (Dense) gives a variance beyond the range")):
        nn.serial(dense, nn.ABRelu(1e200, 0.0), dense).kernel(X)


def test_not_a_layer():
    with pytest.raises(TypeError, match=re.escape("serial: layer 1 must be a layer such as Dense() or Relu()")):
        nn.serial(nn.Dense(), nn.Relu)
    with pytest.raises(TypeError, match="Elementwise: f must be a function of arrays, got 3"):
        nn.Elementwise(3)


@pytest.mark.parametrize("name", ["relu", "erf", "gelu", "tanh", "mixed"])
def test_gradients(name):
    """dK by a common change of all sigma_w or sigma_b, by central differences; coincident inputs are finite."""
    x, h = X[:8].copy(), 1e-5
    x[3] = x[1]
    net = NETWORKS[name]
    found = net.kernel_gradient(x)

    def moved(what, by):
        layers = [replace(y, **{what: getattr(y, what) + by}) if isinstance(y, nn.Dense) else y for y in net.layers]
        return nn.serial(*layers).kernel(x, get="nngp").nngp.values

    for what in ("sigma_w", "sigma_b"):
        want = (moved(what, h) - moved(what, -h)) / (2 * h)
        np.testing.assert_allclose(found[what], want, rtol=1e-7, atol=1e-8)


def test_scales_of_convolutions():
    """The same of ReLU convolutions, pooled or flat; an Erf, or a layer by itself, refuses by name."""
    depth = 60
    for head in (nn.GlobalAvgPool(), nn.Flatten()):

        def deep(sigma_w, unit=nn.Relu(), head=head):  # noqa: B008
            conv = nn.Conv(filter_shape=(3, 3), sigma_w=sigma_w, padding="CIRCULAR")
            return nn.serial(*(conv, unit) * depth, head, nn.Dense(sigma_w=2**0.5))

        unit = deep(2**0.5).kernel(IMAGES)
        for sigma_w in (1e5, 1e-6):
            pair = deep(sigma_w).kernel(IMAGES)
            log_gain = depth * np.log(sigma_w**2 / 2)
            np.testing.assert_allclose(np.log(pair.nngp) + pair.log_scale, np.log(unit.nngp) + log_gain, rtol=1e-12)
            np.testing.assert_allclose(pair.ntk / pair.nngp, unit.ntk / unit.nngp, rtol=1e-12)
            assert pair.log_scale != 0
        layers = [layer for layer in deep(1e5).layers[:30] if isinstance(layer, nn.Conv)]
        down = [replace(layer, sigma_w=1e-5) for layer in layers]
        back = nn.serial(*(y for x in (*layers, *down) for y in (x, nn.Relu())), head, nn.Dense())
        assert back.kernel(IMAGES).log_scale == 0
        mixed = nn.serial(*deep(1e5).layers[:-2], deep(1.0).layers[0], nn.Erf(), head, nn.Dense())
        with pytest.raises(OverflowError, match=re.escape("layer 121 (Erf) receives a variance beyond 2^")):
            mixed.kernel(IMAGES)
    with pytest.raises(OverflowError, match=re.escape("(RectifiedSquare) gives a covariance beyond")):
        deep(1e5, nn.RectifiedSquare()).kernel(IMAGES)
