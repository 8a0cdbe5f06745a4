"""The fused kernel of fully connected networks: it compiles for devices, and gives the numbers of the processor."""

import json
import re
import sys
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import mattis as mt
from mattis.mc import gpu_plans
from mattis.theory.kernels import gpu, gpu_source
from mattis.theory.kernels.expressions import DUALS
from mattis.theory.kernels.layered import layered_tile

nn = mt.nn
HERE = Path(__file__).parent
NUMBERS = json.loads((HERE.parent / "golden" / "kernel_numbers.json").read_text())["fully_connected"]
ACTIVATIONS = {
    "sign": nn.Sign(),
    "relu_squared": nn.RectifiedSquare(),
    "relu": nn.Relu(),
    "leaky_relu_0.1": nn.LeakyRelu(0.1),
    "abs": nn.Abs(),
    "erf": nn.Erf(),
    "erf_affine": nn.Erf(1.1, 0.8, 0.2),
    "gelu": nn.Gelu(),
    "sin": nn.Sin(),
    "sin_affine": nn.Sin(1.3, 0.7, 0.4),
    "rbf": nn.Rbf(0.5),
    "exp_0.5": nn.Exp(0.5),
    "gaussian": nn.Gaussian(0.6),
    "gabor": nn.Gabor(0.4),
}
ALL = tuple(sorted(DUALS))


def chain(*units, sigma_w=0.9, sigma_b=0.3):
    """Another sigma_w in each layer."""
    maps = [nn.Dense(sigma_w=sigma_w + 0.1 * i, sigma_b=sigma_b) for i in range(len(units) + 1)]
    return nn.serial(*(layer for pair in zip(maps, units, strict=False) for layer in pair), maps[-1])


def inputs(n, seed, d=5):
    return np.random.default_rng(seed).standard_normal((n, d))


NETS = {name: chain(unit, unit, unit) for name, unit in ACTIVATIONS.items()}
NETS["mixed"] = chain(nn.Gelu(), nn.Relu(), nn.Erf(), nn.Relu(), nn.Sin(1.2, 0.8, 0.3))
NETS["all"] = chain(*ACTIVATIONS.values(), sigma_w=0.5)
EACH = pytest.mark.parametrize("net", NETS.values(), ids=NETS)


class Side:
    """Where the kernel runs: arrays go there with ``put`` and come back with ``get``."""

    def __init__(self, put, get, launch):
        self.put, self.get, self.launch = put, get, launch

    def tile(self, net, x1, x2=None, names=("nngp", "ntk"), rows=slice(0, None), columns=slice(0, None), diagonal=None):
        made = gpu.device_tile(net, self.put(x1), None if x2 is None else self.put(x2), names, self.launch)
        found = made(rows, columns, x2 is None if diagonal is None else diagonal)
        return {name: self.get(array) for name, array in found.items()}


@pytest.fixture
def processor(shim, monkeypatch):
    """``processor(edits)``: the shim, with faults planted in the source."""
    monkeypatch.setattr(gpu_plans, "source", lambda text: text)  # the plans here name a text, not a file

    def side(*edits):
        device = shim(edits=edits)

        def launch(text, blocks, arguments):
            device.launch(gpu_plans.Plan(text, gpu_source.NAME, gpu.OPTIONS, gpu_source.THREADS), blocks, arguments)

        return Side(np.array, np.array, launch)

    return side


@pytest.fixture(params=["shim", "cuda"])
def side(request):
    if request.param == "shim":
        return request.getfixturevalue("processor")()
    request.getfixturevalue("cuda")
    import cupy

    return Side(cupy.asarray, cupy.asnumpy, gpu.launched)


def close(found, net, x1, x2=None, rtol=1e-13):
    """To rounding: of the entries, or of the diagonals where an entry is a difference."""
    want, _ = layered_tile(net, x1, x1 if x2 is None else x2, x2 is None, True)
    assert set(found) <= set(want)
    for name, array in found.items():
        one, two = (np.diag(layered_tile(net, x, x, True, True)[0][name]) for x in (x1, x1 if x2 is None else x2))
        error = np.abs(array - want[name]) / np.maximum(np.abs(want[name]), np.sqrt(np.outer(one, two)))
        assert error.max() < rtol, name


@EACH
def test_symmetric(side, net):
    """Both triangles the same bits, the diagonal that of one input; 37 rows: three squares of pairs, one cut."""
    x = inputs(37, 1)
    found = side.tile(net, x)
    close(found, net, x)
    for name, array in found.items():
        assert (array == array.T).all()
        alone = [side.tile(net, x[i : i + 1])[name][0, 0] for i in (0, 17, 36)]
        np.testing.assert_allclose(np.diag(array)[[0, 17, 36]], alone, rtol=1e-13)


@EACH
def test_rectangular(side, net):
    """Two sets, and one tile among others of them; a kernel that is not asked for is not there."""
    x1, x2 = inputs(19, 2), inputs(33, 3)
    found = side.tile(net, x1, x2)
    close(found, net, x1, x2)
    rows, columns = slice(3, 16), slice(7, 28)
    for name in found:
        part = side.tile(net, x1, x2, (name,), rows, columns)
        assert list(part) == [name]
        np.testing.assert_allclose(part[name], found[name][rows, columns], rtol=1e-13, atol=1e-14)


@EACH
def test_duplicates_and_zeros(side, net):
    """A repeated input has the numbers of the diagonal, in both kernels; a zero one no nan."""
    x = inputs(23, 4)
    x[5], x[20], x[11] = x[2], 0.0, -x[3]
    for found in (side.tile(net, x), side.tile(net, x, x.copy())):
        close(found, net, x)
        for array in found.values():
            np.testing.assert_allclose(array[[5, 2], [2, 5]], np.diag(array)[[2, 5]], rtol=2e-14)


@pytest.mark.parametrize("name", ["relu", "erf", "sin", "gelu"])
def test_zero_stays_zero(side, name):
    """Without biases these give nothing for the input zero."""
    x = inputs(9, 5)
    x[4] = 0.0
    for array in side.tile(chain(ACTIVATIONS[name], ACTIVATIONS[name], sigma_b=0.0), x).values():
        assert not array[4].any()
        assert np.isfinite(array).all()


@pytest.mark.parametrize(
    "case",
    [case for case in NUMBERS["cases"] if case["act"] in ACTIVATIONS],
    ids=lambda c: f"{c['act']}-{c['sigma_w2']}-{c['sigma_b2']}-{c['hidden_layers']}",
)
def test_reference_numbers(side, case):
    """20 digits by mpmath, to depth 20."""
    scales = {"sigma_w": float(case["sigma_w2"]) ** 0.5, "sigma_b": float(case["sigma_b2"]) ** 0.5}
    net = nn.mlp(hidden_layers=case["hidden_layers"], activation=ACTIVATIONS[case["act"]], **scales)
    for name, array in side.tile(net, np.array(NUMBERS["X"], float)).items():
        np.testing.assert_allclose(array, np.array(case[name], float), rtol=1e-12)


@pytest.mark.parametrize("name", ["relu", "erf"])
def test_compiled_loops(side, name):
    """The loops of the processor have other formulas for these."""
    x1, x2 = inputs(21, 6), inputs(34, 7)
    found, want = side.tile(NETS[name], x1, x2), NETS[name].kernel(x1, x2)
    np.testing.assert_allclose(found["nngp"], want.nngp, rtol=1e-13)
    np.testing.assert_allclose(found["ntk"], want.ntk, rtol=1e-13, atol=1e-14)


def test_chaotic_networks(side):
    """Rounding of a pair grows by a factor each layer; the diagonal comes from other formulas without pairs."""
    net, x = nn.mlp(hidden_layers=40, activation=nn.Erf(), sigma_w=3.0), inputs(18, 12)
    want = net.kernel(x)
    for name, array in side.tile(net, x).items():
        np.testing.assert_allclose(np.diag(array), np.diag(getattr(want, name)), rtol=1e-12)


FAULTS = [
    ("t = k + law[1] * slope * t;", "t = k + slope * t;"),
    ("(layer + 1) * ", "layer * "),
    ("(long long)layer * n1 + row + i", "(long long)layer * n1 + i"),
    ("(long long)layer * n2 + column + j", "(long long)layer * n2 + j"),
    ("nngp[at] = k;", "nngp[at] = t;"),
    ("((c2 > 2e-14) ? c2 : 0.0)", "fabs(c2)"),
    ("if (lower) ntk[mirrored] = t;", ""),
    ("own[row + i]", "own[i]"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=[old for old, _ in FAULTS])
def test_planted_faults_are_seen(processor, fault):
    """Some tile on the diagonal, or one beside it, is wrong by more than 1e-9."""
    net, x = chain(nn.Relu(), *[nn.Erf()] * 12, sigma_w=2.0), np.repeat(inputs(20, 8), 2, axis=0)
    places = [(slice(3, 29), slice(3, 29), True), (slice(5, 31), slice(2, 19), False)]
    good, bad = ([processor(*edits).tile(net, x, None, ("nngp", "ntk"), *place) for place in places]
                 for edits in ((), (fault,)))  # fmt: skip
    wrong = [~(np.abs(a[name] - b[name]) < 1e-9) for a, b in zip(good, bad, strict=True) for name in a]
    assert any(part.any() for part in wrong)


@pytest.mark.parametrize(
    "net",
    [
        nn.serial(nn.Dense()),
        nn.serial(nn.Dense(), nn.Relu()),
        nn.serial(nn.Dense(), nn.Tanh(), nn.Dense()),
        nn.serial(nn.Dense(), nn.Relu(), nn.Dropout(keep=0.5), nn.Dense()),
        nn.serial(nn.Dense(units=3), nn.Relu(), nn.Dense(parametrisation="standard")),
        nn.serial(nn.Relu(), nn.Dense(), nn.Relu(), nn.Dense()),
    ],
    ids=["no units", "no readout", "series", "dropout", "standard", "no first map"],
)
def test_other_networks_are_left_to_the_layers(net):
    assert gpu.device_tile(net, inputs(3, 9), None, ("nngp",)) is None


def test_images(side):
    """After Flatten they are vectors, also where networks are inside networks; without it the layers must refuse."""
    images = np.random.default_rng(10).standard_normal((7, 3, 4, 2))
    found = side.tile(nn.serial(nn.Flatten(), NETS["gelu"]), images)
    close(found, NETS["gelu"], images.reshape(7, -1))
    assert gpu.device_tile(NETS["gelu"], images, None, ("nngp",)) is None


@pytest.mark.parametrize(
    ("net", "layer"),
    [
        (nn.serial(nn.Dense(sigma_w=1e-146), nn.Relu(), nn.Dense()), "layer 0 (Dense)"),
        (chain(nn.Exp(), nn.Exp(), nn.Exp(), sigma_w=20.0), "layer 2 (Dense)"),
        (nn.serial(nn.Dense(), nn.Relu(), nn.Dense(sigma_w=1e160)), "layer 2 (Dense)"),
    ],
    ids=["small", "large", "readout"],
)
def test_variances_beyond_the_device(net, layer):
    with pytest.raises(OverflowError, match=rf"^{re.escape(layer)} gives variances outside \[1e-290, 1e308\]"):
        gpu.device_tile(net, inputs(3, 11), None, ("ntk",))


class DeviceArray(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that refuses, as CuPy's do, to become NumPy's or to meet one; only what the layers use is there."""

    METHODS = ("any", "max", "mean", "min", "ravel", "reshape", "sum")

    def __init__(self, host):
        self.host = host

    def __array__(self, *_, **__):
        raise TypeError("Implicit conversion to a NumPy array is not allowed.")

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        return on_device(ufunc)(*inputs, **options) if method == "__call__" else NotImplemented

    def __array_function__(self, function, types, inputs, options):
        return on_device(function)(*inputs, **options) if function.__name__ in OF_CUPY else NotImplemented

    def __getattr__(self, name):
        if name in self.METHODS:
            return on_device(getattr(self.host, name))
        if name in ("shape", "ndim", "size", "dtype"):
            return getattr(self.host, name)
        raise AttributeError(name)

    T = property(lambda self: DeviceArray(self.host.T))

    def get(self):
        return self.host.copy()

    def __getitem__(self, key):
        return on_device(self.host.__getitem__)(key)

    def __setitem__(self, key, value):
        on_device(self.host.__setitem__)(key, value)

    def __len__(self):
        return len(self.host)

    def __float__(self):
        return float(self.host)

    def __int__(self):
        return int(self.host)

    def __bool__(self):
        return bool(self.host)


DeviceArray.__module__ = "cupy"
OF_CUPY = {"clip", "cumsum", "diag", "dot", "einsum", "flip", "isfinite", "pad", "sum", "swapaxes", "tril", "where"}
OF_CUPY |= {"arctan2", "cos", "exp", "expm1", "sin", "sqrt", "empty_like", "zeros_like"}
FROM_HOST = {"arange", "asarray", "ascontiguousarray", "empty", "eye", "zeros"}


def on_device(function, from_host=False):
    """The function of NumPy on arrays of the device."""

    def here(x):
        if isinstance(x, np.ndarray) and not from_host:
            raise TypeError("Unsupported type <class 'numpy.ndarray'>")
        return x.host if isinstance(x, DeviceArray) else x

    def call(*inputs, **options):
        found = function(*(here(x) for x in inputs), **{name: here(x) for name, x in options.items()})
        return DeviceArray(np.asarray(found)) if isinstance(found, np.ndarray | np.generic) else found

    return call


@pytest.fixture
def emulated(shim, monkeypatch):
    """``put(array)``, and the launches so far: CuPy's namespace is this processor's, its kernels run on the shim."""
    launches = []

    class RawModule:
        def __init__(self, code, options):
            self.code, self.options = code, options

        def get_function(self, name):
            def launch(grid, block, arguments):
                launches.append(grid)
                plan = gpu_plans.Plan(self.code, name, self.options, *block)
                shim().launch(plan, *grid, [x.host if isinstance(x, DeviceArray) else x for x in arguments])

            return launch

    module = ModuleType("cupy")
    module.__spec__, module.RawModule = ModuleSpec("cupy", None), RawModule
    module.cuda = SimpleNamespace(is_available=lambda: True)
    module.broadcast = lambda *arrays: np.broadcast(*(x.host for x in arrays))
    for name in OF_CUPY | FROM_HOST:
        setattr(module, name, on_device(getattr(np, name), name in FROM_HOST))
    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(gpu_plans, "source", lambda text: text)
    gpu._compiled.cache_clear()
    yield SimpleNamespace(put=lambda x: DeviceArray(np.array(x)), launches=launches)
    gpu._compiled.cache_clear()


X, IMAGES = inputs(9, 12), np.random.default_rng(13).standard_normal((4, 5, 3, 2))
ONE = {"sigma_w": 1.3, "sigma_b": 0.1}
CONV = nn.Conv(filter_shape=(3, 2), **ONE)
BRANCHES = nn.parallel(nn.Identity(), nn.serial(nn.Relu(), nn.Dense()))
LAYERS = {
    "gelu": (NETS["gelu"], X),
    "mixed": (NETS["mixed"], X),
    "flatten": (nn.serial(nn.Flatten(), NETS["relu"]), IMAGES),
    "polynomial": (chain(nn.Polynomial((0.1, 0.5, 0.3)), nn.Hermite(3)), X),
    "tanh": (chain(nn.Tanh(), nn.Swish()), X),
    "residual": (nn.serial(nn.Dense(), nn.FanOut(2), BRANCHES, nn.FanInSum()), X),
    "normalised": (nn.serial(nn.Dense(), nn.LayerNorm(), nn.Erf(), nn.Dropout(keep=0.5), nn.Dense()), X),
    "standard": (nn.serial(nn.Dense(units=4), nn.Relu(), nn.Dense(parametrisation="standard")), X),
    "same": (nn.serial(CONV, nn.Relu(), CONV, nn.Gelu(), nn.Flatten(), nn.Dense()), IMAGES),
    "valid": (nn.serial(nn.Conv(filter_shape=(3, 2), padding="VALID"), nn.Sin(), nn.Flatten()), IMAGES),
    "torus": (
        nn.serial(nn.Conv(filter_shape=(3, 2), padding="CIRCULAR", strides=(2, 1)), nn.Erf(), nn.GlobalAvgPool()),
        IMAGES,
    ),
    "pooled": (nn.serial(CONV, nn.Tanh(), nn.AvgPool(window=(2, 2)), CONV, nn.GlobalAvgPool(), nn.Dense()), IMAGES),
    "dropped": (nn.serial(CONV, nn.Relu(), nn.Dropout(keep=0.5), nn.GlobalAvgPool(), nn.Dense()), IMAGES),
}
FUSED = ("gelu", "mixed", "flatten")


@pytest.fixture(params=["emulated", "cuda"])
def away(request):
    """``put(array)``, and the launches so far, None where they are not counted."""
    found = request.getfixturevalue(request.param)
    if request.param == "emulated":
        return found
    import cupy

    return SimpleNamespace(put=cupy.asarray, launches=None)


@pytest.mark.parametrize("name", LAYERS)
def test_every_layer_stays_on_the_device(away, name):
    """Nothing is converted on the way, and the numbers are those of the host; closed chains take the fused kernel."""
    net, x = LAYERS[name]
    for two in (None, x[:3] + 0.5):
        pair = net.kernel(away.put(x), None if two is None else away.put(two))
        want = net.kernel(x, two)
        assert pair.quadrature_error == pytest.approx(want.quadrature_error, rel=1e-6, abs=1e-12)
        for kernel in ("nngp", "ntk"):
            found, scale = getattr(pair, kernel).data.get(), float(getattr(want, kernel).max())
            np.testing.assert_allclose(found, getattr(want, kernel), rtol=0, atol=1e-13 * scale)
    assert away.launches is None or bool(away.launches) == (name in FUSED)


def test_averages_of_device_arrays_stay_there(away):
    a, k = np.array([1.0, 2.0]), np.array([0.3, -0.4])
    for activation in (nn.Erf(), nn.Tanh()):
        for found, want in zip(activation.dual(away.put(a), away.put(k), 1.5), activation.dual(a, k, 1.5), strict=True):
            np.testing.assert_allclose(found.get(), want, rtol=1e-14)


@pytest.mark.parametrize("name", ["mixed", "same"])
def test_tiles_of_a_device_into_host_arrays(away, name):
    net, x = LAYERS[name]
    n = len(x)
    out = {"nngp": np.full((n, n), np.nan), "ntk": np.full((n, n), np.nan)}
    net.kernel(away.put(x), out=out, memory=2.0**10 if name == "mixed" else 2.0**13)
    for kernel, array in out.items():
        np.testing.assert_allclose(array, getattr(net.kernel(x), kernel), rtol=1e-13)


@pytest.fixture
def nvrtc():
    """The module that compiles for devices; skipped where the compiler is missing."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="the compiler of the CUDA sources is in the extra 'nvrtc'")
    spec = spec_from_file_location("test_nvrtc", HERE / "test_nvrtc.py")
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("entries", [*((name,) for name in ALL), ALL], ids=[*ALL, "all"])
@pytest.mark.parametrize("target", [75, 80, 90])
def test_ptx(nvrtc, monkeypatch, target, entries):
    """No warning, no array in memory, and a block has registers for all its threads."""
    monkeypatch.setattr(gpu_plans, "source", lambda text: text)
    plan = gpu_plans.Plan(gpu_source.source(entries), gpu_source.NAME, gpu.OPTIONS, gpu_source.THREADS)
    log, ptx = nvrtc.compiled(plan, target)
    assert re.search(rf"\.entry {plan.name}\b", ptx)
    assert "warning" not in log
    assert int(re.search(r"(\d+) bytes stack frame", log)[1]) <= nvrtc.A_FEW_WORDS
    assert int(re.search(r"Used (\d+) registers", log)[1]) * plan.threads <= 2**16
