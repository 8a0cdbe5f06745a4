"""The one border to a device: which library holds an array, copies to the host, and clear refusals."""

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from mattis.core.backend import cupy, namespace_of, to_host
from mattis.core.errors import BackendUnavailable


@pytest.fixture
def device(monkeypatch):
    """A stand-in for CuPy with a device, and an array that lives on it."""
    module = ModuleType("cupy")
    module.__spec__ = ModuleSpec("cupy", None)
    module.cuda = SimpleNamespace(is_available=lambda: True)
    monkeypatch.setitem(sys.modules, "cupy", module)
    array = type("ndarray", (), {"__module__": "cupy", "get": lambda self: np.arange(3.0)})()
    return module, array


def test_numpy_holds_what_is_on_the_host():
    x = np.arange(4.0)
    assert namespace_of(x, 1.0, None) is np
    assert to_host(x) is x


def test_one_array_on_the_device_decides(device):
    module, array = device
    assert namespace_of(np.ones(2), array) is module
    np.testing.assert_array_equal(to_host(array), [0.0, 1.0, 2.0])


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", None)
    monkeypatch.setattr("mattis.core.backend.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailable, match=r"backend='gpu' needs CuPy: pip install 'mattis\[cuda13\]'"):
        cupy()


def test_a_missing_device_says_what_to_do(device, monkeypatch):
    module, _ = device
    monkeypatch.setattr(module, "cuda", SimpleNamespace(is_available=lambda: False))
    with pytest.raises(BackendUnavailable, match="needs a CUDA device and CuPy sees none: use backend='cpu'"):
        cupy()
