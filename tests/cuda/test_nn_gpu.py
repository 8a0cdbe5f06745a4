"""The fused kernel of fully connected networks: it compiles for devices, and gives the numbers of the processor."""

import json
import re
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

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
    "sign": nn.Sign(),
    "relu_squared": nn.RectifiedSquare(),
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
        np.testing.assert_allclose(np.diag(array)[[0, 17, 36]], alone, rtol=1e-15)


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
    ("((s2 > (2e-14 * p)) ? s2 : (0.0 * s2))", "fabs(s2)"),
    ("if (lower) ntk[mirrored] = t;", ""),
    ("t = own[row + i];", ""),
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
        (chain(nn.Relu(), nn.Gelu(), sigma_w=1e-80), "layer 0 (Dense)"),
        (chain(nn.Exp(), nn.Exp(), nn.Exp(), sigma_w=20.0), "layer 2 (Dense)"),
        (chain(nn.Relu(), sigma_w=1e160), "layer 2 (Dense)"),
    ],
    ids=["small", "large", "readout"],
)
def test_variances_beyond_the_device(net, layer):
    if layer == "layer 0 (Dense)":
        net = nn.serial(*(nn.Dense(sigma_w=x.sigma_w) if isinstance(x, nn.Dense) else x for x in net.layers))
    with pytest.raises(OverflowError, match=rf"^{re.escape(layer)} gives variances outside \[1e-150, 1e308\]"):
        gpu.device_tile(net, inputs(3, 11), None, ("ntk",))


@pytest.fixture
def nvrtc():
    """The module that compiles for devices; skipped where the compiler is missing."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="the compiler of the CUDA sources is in the extra 'nvrtc'")
    spec = spec_from_file_location("test_nvrtc", HERE / "test_nvrtc.py")
    loaded = module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize("entries", [*((name,) for name in ALL), ALL], ids=[*ALL, "all"])
@pytest.mark.parametrize("target", [75, 80, 90, 100])
def test_ptx(nvrtc, monkeypatch, target, entries):
    """No warning, no array in memory, and a block has registers for all its threads."""
    monkeypatch.setattr(gpu_plans, "source", lambda text: text)
    plan = gpu_plans.Plan(gpu_source.source(entries), gpu_source.NAME, gpu.OPTIONS, gpu_source.THREADS)
    log, ptx = nvrtc.compiled(plan, target)
    print(log)
    assert re.search(rf"\.entry {plan.name}\b", ptx)
    assert "warning" not in log
    assert int(re.search(r"(\d+) bytes stack frame", log)[1]) <= nvrtc.A_FEW_WORDS
    assert int(re.search(r"Used (\d+) registers", log)[1]) * plan.threads <= 2**16
