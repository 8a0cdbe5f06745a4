"""Arguments of layers and of ``Network.kernel``: what is no number, no array or no layer is refused by its name."""

import re
import tracemalloc
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import xarray as xr

import mattis as mt

nn = mt.nn
X = np.random.default_rng(1).standard_normal((5, 3))
IMAGES = np.random.default_rng(2).standard_normal((3, 4, 4, 2))
NET = nn.mlp(hidden_layers=2, activation=nn.Relu(), sigma_w=2**0.5)
GELU = nn.mlp(hidden_layers=1, activation=nn.Gelu())
CONV = nn.Conv(filter_shape=(3, 3), sigma_w=1.2, sigma_b=0.1)
TORUS = nn.Conv(filter_shape=(9, 9), padding="CIRCULAR")


def refused(call, said):
    with pytest.raises((ValueError, TypeError)) as told:
        call()
    assert said in str(told.value)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("net", [NET, GELU], ids=["compiled", "by layers"])
@pytest.mark.parametrize("name", ["x1", "x2"])
@pytest.mark.parametrize(
    ("x", "said"),
    [
        (X + 0j, "must hold real numbers, got array([["),
        ([["1.0", "2.0", "3.0"]], "must hold real numbers, got [['1.0'"),
        (X.astype("datetime64[s]"), "must hold real numbers, got array([['1970"),
        (np.ma.masked_greater(X, 0.0), "must have no masked entries"),
        ([[1.0, 2.0, 3.0], [1.0]], "must hold real numbers in rows of one length, got [[1.0, 2.0, 3.0], [1.0]]"),
        ("words", "must hold real numbers, got 'words'"),
        ({"a": [1.0]}, "must be an array, got a dict"),
        ({1.0, 2.0}, "must be an array, got a set"),
        (scipy.sparse.csr_array(X), "must hold real numbers, got <"),
        (xr.Dataset({"a": (("i", "j"), X)}), "must be an array, got a Dataset"),
        ([[10**400, 1.0, 2.0]], "must hold real numbers, got [[1000"),
        (pd.DataFrame({"a": [1.0], "b": ["x"], "c": [2.0]}), "must hold real numbers, got [[1.0, 'x', 2.0]]"),
    ],
    ids=lambda x: type(x).__name__ if not isinstance(x, str) else "",
)
def test_inputs(net, name, x, said):
    refused(lambda: net.kernel(x) if name == "x1" else net.kernel(X, x), f"{name} {said}")


def test_inputs_that_are_numbers():
    """Tables, labelled arrays, integers, halves and truth values are the floats they hold."""
    x = np.round(X)
    want = NET.kernel(x).ntk.values
    mixed = pd.DataFrame({"a": x[:, 0], "b": x[:, 1].astype(int), "c": x[:, 2]})
    for same in (pd.DataFrame(x), mixed, mixed.astype(object), xr.DataArray(x), x.astype(int), x.astype(np.float32),
                 x.astype(np.float16), x.tolist(), np.ma.array(x), np.asfortranarray(x)):  # fmt: skip
        np.testing.assert_array_equal(NET.kernel(same).ntk, want)
    np.testing.assert_array_equal(NET.kernel(x > 0).ntk, NET.kernel((x > 0) * 1.0).ntk)


READ_ONLY = np.empty((5, 5))
READ_ONLY.flags.writeable = False
ONE = np.empty((5, 5))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"get": 5}, "get must be 'nngp', 'ntk' or both, got 5"),
        ({"get": None}, "get must be 'nngp', 'ntk' or both, got None"),
        ({"get": [X]}, "get must be 'nngp', 'ntk' or both, got [array("),
        ({"stable": "yes"}, "stable must be True or False, got 'yes'"),
        ({"stable": 1}, "stable must be True or False, got 1"),
        ({"depths": 2}, "depths must be a list of integers, got 2"),
        ({"depths": "12"}, "depths must be a list of integers, got '12'"),
        ({"depths": []}, "depths must name a number of hidden layers at least, got none"),
        ({"depths": [1.0]}, "depths must be an integer in [1, 2]"),
        ({"memory": True}, "memory must be bytes > 0, got True"),
        ({"memory": "1GB"}, "memory must be bytes > 0, got '1GB'"),
        ({"memory": None}, "memory must be bytes > 0, got None"),
        ({"memory": np.inf}, "memory must be bytes > 0, got inf"),
        ({"threads": True}, "threads must be an integer in [1, 4096], got True"),
        ({"get": "ntk", "out": [[0.0] * 5] * 5}, "out['ntk'] must be an array that takes slices, got [[0.0"),
        ({"get": "ntk", "out": READ_ONLY}, "out['ntk'] must be writeable"),
        ({"get": "ntk", "out": np.empty((5, 5), int)}, "out['ntk'] must hold floats of 4 or 8 bytes, got int64"),
        ({"get": "ntk", "out": np.empty((5, 5), bool)}, "out['ntk'] must hold floats of 4 or 8 bytes, got bool"),
        ({"get": "ntk", "out": np.empty((5, 5), "U9")}, "out['ntk'] must hold floats of 4 or 8 bytes, got <U9"),
        ({"get": "ntk", "out": np.empty((5, 5), "f2")}, "out['ntk'] must hold floats of 4 or 8 bytes, got float16"),
        ({"get": "ntk", "out": np.empty((5, 5), "c16")}, "out['ntk'] must hold floats of 4 or 8 bytes, got complex128"),
        (
            {"out": {"nngp": ONE, "ntk": ONE}},
            "out must have an array for each name, got the same for 'nngp' and 'ntk'",
        ),
        ({"out": {"nngp": ONE, "ntk": ONE.T}}, "out must have an array for each name"),
        ({"out": {0: ONE}}, "out must have nngp, ntk, got 0"),
    ],
)
def test_options(options, said):
    refused(lambda: NET.kernel(X, **options), said)
    if "depths" not in options:
        refused(lambda: GELU.kernel(X, **options), said)


def test_options_that_work():
    """Results in single precision, halves of one array, and depths from any iterable."""
    want = NET.kernel(X)
    both = np.empty((2, 5, 5))
    NET.kernel(X, out={"nngp": both[0], "ntk": both[1]})
    np.testing.assert_allclose(both[1], want.ntk, rtol=1e-14)
    single = np.empty((5, 5), np.float32)
    NET.kernel(X, get="ntk", out=single)
    np.testing.assert_allclose(single, want.ntk, rtol=1e-6, atol=1e-7)
    for depths in (range(2, 3), np.array([2]), (d for d in (2,)), {2: None}.keys()):
        np.testing.assert_array_equal(NET.kernel(X, depths=depths).ntk[0], want.ntk)


NO_NUMBERS = ["a", None, [1.0], 1j, True, 10**400]
NUMBERS = [
    (lambda v: nn.Dense(sigma_w=v), "Dense: sigma_w must be a number in [0, inf)"),
    (lambda v: nn.Dense(sigma_b=v), "Dense: sigma_b must be a number in [0, inf)"),
    (lambda v: nn.Conv(filter_shape=(3, 3), sigma_w=v), "Conv: sigma_w must be a number in [0, inf)"),
    (lambda v: nn.Conv(filter_shape=(3, 3), sigma_b=v), "Conv: sigma_b must be a number in [0, inf)"),
    (lambda v: nn.LayerNorm(epsilon=v), "LayerNorm: epsilon must be a number in [0, inf)"),
    (lambda v: nn.Dropout(keep=v), "Dropout: keep must be a number in (0, 1]"),
    (lambda v: nn.ABRelu(v, 0.0), "ABRelu: al must be a finite number"),
    (lambda v: nn.LeakyRelu(v), "LeakyRelu: slope must be a finite number"),
    (lambda v: nn.Erf(v), "Erf: A must be a finite number"),
    (lambda v: nn.Sin(w=v), "Sin: w must be a finite number"),
    (lambda v: nn.Cos(phase=v), "Cos: phase must be a finite number"),
    (lambda v: nn.Exp(v), "Exp: c must be a finite number"),
    (lambda v: nn.Rbf(v), "Rbf: gamma must be in [0, inf)"),
    (lambda v: nn.Gaussian(v), "Gaussian: c must be in (0, inf)"),
    (lambda v: nn.Gabor(v), "Gabor: c must be in (0, inf)"),
]


@pytest.mark.parametrize("value", NO_NUMBERS, ids=lambda v: repr(v)[:8])
@pytest.mark.parametrize(("make", "said"), NUMBERS, ids=[said.split(" must")[0] for _, said in NUMBERS])
def test_parameters(make, said, value):
    refused(lambda: make(value), f"{said}, got {repr(value)[:70]}")


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: nn.LeakyRelu(np.nan), "LeakyRelu: slope must be finite, got nan"),
        (lambda: nn.Cos(w=np.nan), "Cos: w must be finite, got nan"),
        (lambda: nn.Dense(sigma_w=1e-200), "Dense: sigma_w must be 0 or >= 1e-153, or its square is lost, got 1e-200"),
        (lambda: nn.Dense(sigma_b=1e-200), "Dense: sigma_b must be 0 or >= 1e-153, or its square is lost, got 1e-200"),
        (lambda: nn.Conv(filter_shape=3), "Conv: filter_shape must be two integers, got 3"),
        (lambda: nn.Conv(filter_shape="33"), "Conv: filter_shape must be two integers, got '33'"),
        (lambda: nn.Conv(filter_shape=(3, 3), strides=2), "Conv: strides must be two integers, got 2"),
        (lambda: nn.Conv(filter_shape=(3, True)), "Conv: filter_shape must be an integer >= 1, got True"),
        (lambda: nn.AvgPool(window=2), "AvgPool: window must be two integers, got 2"),
        (lambda: nn.AvgPool(window=(2, 2), strides=0), "AvgPool: strides must be two integers, got 0"),
        (lambda: nn.Polynomial(3), "Polynomial: coefficients must be 1 to 65 numbers, got 3"),
        (lambda: nn.Polynomial("12"), "Polynomial: coefficients must hold real numbers, got '12'"),
        (lambda: nn.Polynomial((1j,)), "Polynomial: coefficients must hold real numbers, got (1j,)"),
        (lambda: nn.Elementwise(lambda x: x + 1j), "must be three finite numbers, none complex, got"),
        (lambda: nn.Elementwise(np.tanh, 3), "Elementwise: df must be a function of arrays or None, got 3"),
        (
            lambda: nn.mlp(hidden_layers=1, activation="relu"),
            "mlp: activation must be an activation such as Relu(), got 'relu'",
        ),
        (
            lambda: nn.mlp(hidden_layers=1, activation=nn.Dense()),
            "mlp: activation must be an activation such as Relu(), got Dense(",
        ),
    ],
)
def test_layers(make, said):
    refused(make, said)


def test_no_input():
    refused(lambda: NET.kernel(None), "x1 must hold real numbers, got None")


@pytest.mark.parametrize(
    "net",
    [
        nn.serial(TORUS, nn.Relu(), nn.Flatten(), nn.Dense()),
        nn.serial(TORUS, nn.Relu(), nn.GlobalAvgPool(), nn.Dense()),
        nn.serial(TORUS, nn.Gelu(), nn.Flatten(), nn.Dense()),
    ],
    ids=["compiled, flat", "compiled, pooled", "by layers"],
)
def test_windows_around_a_torus(net):
    said = "layer 0 (Conv): a window of 9 winds around a torus of 4 more than once"
    refused(lambda: net.kernel(IMAGES), said)
    refused(lambda: net.init(np.random.default_rng(0), IMAGES.shape[1:], 5), said)
    wide = net.kernel(np.pad(IMAGES, ((0, 0), (0, 4), (0, 4), (0, 0))))
    assert np.isfinite(wide.ntk).all()


@pytest.mark.parametrize(
    "units",
    [
        [nn.Relu()] * 3,
        [nn.ABRelu(-0.4, 1.3)] * 3,
        [nn.Erf(1.1, 0.8)] * 3,
        [nn.Relu(), nn.Erf(), nn.Abs()],
    ],
)
@pytest.mark.parametrize(("sigma_w", "scale"), [(1e-150, 1.0), (2**0.5, 1e-160), (1e-150, 1e-200), (1e-3, 1e-300)])
def test_small_scales(units, sigma_w, scale):
    """Where all is a line the kernels are a power of the scale times those of the first map and units of scale 1."""
    x = X.copy()
    x[3], x[4] = x[1], x[1] * (1 + 1e-9)
    lines = [nn.ABRelu(s, s) if isinstance(u, nn.Erf) else u for u in units for s in (slope_of(u),)]

    def kernel(units, sigma_w, x):
        return nn.serial(nn.Dense(sigma_w=sigma_w), *(y for u in units for y in (u, nn.Dense(sigma_w=sigma_w)))).kernel(
            x, stable=True
        )

    found, want = kernel(units, sigma_w, scale * x), kernel(lines, 1.0, x)
    log_gain = 2 * np.log(scale) + 2 * (len(units) + 1) * np.log(sigma_w)
    for name in ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist"):
        a, b = getattr(found, name).values, getattr(want, name).values
        np.testing.assert_allclose(a * np.exp(found.log_scale - log_gain), b, rtol=1e-9, atol=1e-13)
    assert found.log_scale < -690
    assert np.abs(found.ntk).max() > 1e-200


def slope_of(unit):
    return 2 * unit.A * unit.B / np.pi**0.5 if isinstance(unit, nn.Erf) else 0.0


def test_small_scales_beside_a_bias():
    """What is small in the first layer is nothing beside the bias of the next; an Erf unit may have a constant."""
    for unit in (nn.Relu(), nn.Erf(1.0, 1.0, 0.5)):
        first, last = nn.Dense(sigma_w=1e-150), nn.Dense(sigma_w=1.5, sigma_b=0.5)
        pair = nn.serial(first, unit, last, unit, last).kernel(1e-100 * X)
        want = nn.serial(nn.Dense(sigma_w=0.0), unit, last, unit, last).kernel(X)
        assert pair.log_scale == 0
        np.testing.assert_allclose(pair.nngp, want.nngp, rtol=1e-14)


def test_small_scales_of_convolutions():
    """The readout takes part: with a small sigma_w, and with a bias beside which all else is nothing."""
    conv, head = nn.Conv(filter_shape=(3, 3), sigma_w=1e-150), nn.Flatten()
    unit = nn.Conv(filter_shape=(3, 3))
    want = nn.serial(unit, nn.Relu(), unit, nn.Relu(), head, nn.Dense()).kernel(IMAGES)
    found = nn.serial(conv, nn.Relu(), conv, nn.Relu(), head, nn.Dense(sigma_w=1e-150)).kernel(IMAGES)
    np.testing.assert_allclose(found.ntk * np.exp(found.log_scale + 900 * np.log(10)), want.ntk, rtol=1e-10)
    beside = nn.serial(conv, nn.Relu(), conv, nn.Relu(), head, nn.Dense(sigma_b=0.1)).kernel(IMAGES)
    assert beside.log_scale == 0
    np.testing.assert_allclose(beside.ntk, 0.01, rtol=1e-14)


def test_large_scales_of_the_first_map():
    """A variance beyond floating-point numbers in the first layer is kept as all others are."""
    net = nn.mlp(hidden_layers=1, activation=nn.Relu(), sigma_w=2.0**9)
    found, want = net.kernel(2.0**505 * X, stable=True), net.kernel(X, stable=True)
    for name in ("nngp", "ntk", "nngp_sqdist", "ntk_sqdist"):
        told = getattr(found, name) * np.exp(found.log_scale - 1010 * np.log(2))
        np.testing.assert_allclose(told, getattr(want, name), rtol=1e-11)


def test_sigmas_beyond_range():
    """Without a square there is no kernel: the layer is named on every path."""
    said = re.escape("(Dense) gives a variance beyond the range of floating-point numbers")
    for unit in (nn.Relu(), nn.Gelu()):
        for sigmas in ({"sigma_w": 1e160}, {"sigma_b": 1e160}):
            with pytest.raises(OverflowError, match="layer 2 " + said):
                nn.serial(nn.Dense(), unit, nn.Dense(**sigmas)).kernel(X)
            with pytest.raises(OverflowError, match="layer 3 " + said):
                nn.serial(CONV, unit, nn.Flatten(), nn.Dense(**sigmas)).kernel(IMAGES)
    with pytest.raises(OverflowError, match=said.replace("Dense", "Conv")):
        nn.serial(nn.Conv(filter_shape=(3, 3), sigma_w=1e160), nn.Relu(), nn.Flatten(), nn.Dense()).kernel(IMAGES)


@pytest.mark.parametrize("unit", [nn.Gelu(), nn.Tanh(), nn.Sin()])
def test_small_scales_by_layers(unit):
    """No scale is taken out where there is no compiled loop: the layer that loses digits is named."""
    small = nn.mlp(hidden_layers=3, activation=unit, sigma_w=1e-100)
    with pytest.raises(OverflowError, match=re.escape("(Dense) gives variances below 1e-290: take larger sigma_w")):
        small.kernel(X)
    refused(
        lambda: nn.mlp(hidden_layers=1, activation=unit).kernel(1e-160 * np.ones((2, 3))),
        "the largest entry of x1 must be 0 or > 1e-145, got 1e-160",
    )
    cube = nn.serial(nn.Dense(sigma_w=1e-100), nn.Monomial(3), nn.Dense(sigma_w=1e100))
    with pytest.raises(OverflowError, match=re.escape("layer 1 (Polynomial) gives variances too small to be told")):
        cube.kernel(X)
    nothing = nn.serial(nn.Dense(), nn.Polynomial((0.0,)), nn.Dense(), unit)
    assert (nothing.kernel(X).nngp == 0).all()
    assert (nn.mlp(hidden_layers=2, activation=unit).kernel(0.0 * X).nngp == 0).all()


SERIES = {
    "flat": (nn.serial(CONV, nn.Tanh(), nn.Flatten()), (16, 16)),
    "flat, two": (nn.serial(CONV, nn.Swish(), CONV, nn.Swish(), nn.Flatten()), (8, 8)),
    "pooled": (nn.serial(CONV, nn.Tanh(), nn.GlobalAvgPool()), (6, 6)),
    "branches": (
        nn.serial(CONV, nn.FanOut(2), nn.parallel(nn.serial(nn.Tanh(), CONV), CONV), nn.FanInSum(), nn.Flatten()),
        (8, 8),
    ),
    "closed": (nn.serial(CONV, nn.Gabor(), CONV, nn.Gelu(), nn.Flatten()), (16, 16)),
    "closed, pooled": (nn.serial(CONV, nn.Gabor(), CONV, nn.Gelu(), nn.GlobalAvgPool()), (6, 6)),
}


@pytest.mark.parametrize("name", SERIES)
def test_memory_of_layers(name):
    """Tiles keep within the memory they are given, coefficients of series included."""
    net, size = SERIES[name]
    x = np.random.default_rng(3).standard_normal((24, *size, 2))
    want = net.kernel(x[:2]).ntk.values  # and tables are there
    out = {"nngp": np.empty((24, 24)), "ntk": np.empty((24, 24))}
    memory = 2.0**24
    tracemalloc.start()
    try:
        net.kernel(x, out=out, memory=memory, threads=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.05 * memory
    np.testing.assert_allclose(out["ntk"][:2, :2], want, rtol=1e-12)


def test_numbers_of_other_kinds():
    """Fractions, integers and NumPy's scalars are numbers."""
    want = NET.kernel(X).ntk
    for two in (2, np.int64(2), np.float64(2.0), Fraction(2)):
        net = nn.mlp(hidden_layers=2, activation=nn.Relu(), sigma_w=two)
        np.testing.assert_allclose(net.kernel(X).ntk / want, 8.0, rtol=1e-12)
