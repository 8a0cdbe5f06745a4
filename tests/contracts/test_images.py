"""MNIST and Fashion-MNIST: files that are missing, damaged or downloaded; the real ones where they lie."""

import gzip
import hashlib
import http.server
import logging
import struct
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mattis.mc import images
from mattis.mc.images import COLLECTIONS, FILES, load_images, read_idx

DATA = Path(__file__).parents[2] / "../shared/data"
needs_data = pytest.mark.skipif(
    not (DATA / "mnist").is_dir() or not (DATA / "fashion").is_dir(), reason="no images in ../shared/data"
)


def idx(array):
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A collection of 5 + 3 images of 2 x 4 pixels: its arrays by file, and its folder, under a name of its own."""
    rng = np.random.default_rng(1)
    arrays = [rng.integers(0, 256, shape) for shape in ((5, 2, 4), (5,), (3, 2, 4), (3,))]
    packed = [gzip.compress(idx(a)) for a in arrays]
    told = COLLECTIONS["mnist"]._replace(sha256=tuple(hashlib.sha256(p).hexdigest() for p in packed))
    monkeypatch.setitem(COLLECTIONS, "mnist", told)
    folder = tmp_path / "files"
    folder.mkdir()
    for file, content in zip(FILES, packed, strict=True):
        (folder / file).write_bytes(content)
    return SimpleNamespace(arrays=arrays, folder=folder)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MATTIS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache/mattis/images/mnist"


def check(ds, small):
    train, train_label, test, test_label = small.arrays
    assert np.array_equal(ds.grey, np.concatenate([train, test]))
    assert ds.grey.dims == ("image", "row", "column")
    assert ds.grey.dtype == ds.label.dtype == np.uint8
    assert np.array_equal(ds.label, np.concatenate([train_label, test_label]))
    assert ds.split.values.tolist() == ["train"] * 5 + ["test"] * 3
    assert ds.attrs["name"] == "mnist"
    assert "CC BY-SA" in ds.attrs["licence"]
    assert "LeCun" in ds.attrs["source"]


def test_a_folder_with_the_files(small):
    check(load_images("mnist", small.folder), small)
    check(load_images("mnist", str(small.folder)), small)


def test_a_folder_of_the_name_comes_first(small, tmp_path):
    """root/mnist is taken where there is one, even if root holds files of the same names."""
    for file in FILES:
        (tmp_path / file).write_bytes(b"those of another collection")
    small.folder.rename(tmp_path / "mnist")
    check(load_images("mnist", tmp_path), small)


def test_a_missing_file(small):
    (small.folder / FILES[3]).unlink()
    with pytest.raises(
        FileNotFoundError, match=rf"{FILES[3]} is missing: root = '{small.folder}' must hold train-"
    ) as e:
        load_images("mnist", small.folder)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("file", FILES)
def test_a_damaged_file(small, file):
    """One byte is enough; the sentence names the file and both hashes."""
    path = small.folder / file
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    expected, found = COLLECTIONS["mnist"].sha256[FILES.index(file)], hashlib.sha256(content).hexdigest()
    with pytest.raises(OSError, match=rf"{file} is damaged, .* must be {expected}, got {found}$"):
        load_images("mnist", small.folder)


def test_the_wrong_collection(small):
    with pytest.raises(OSError, match=f"must be {COLLECTIONS['fashion_mnist'].sha256[0]}, got "):
        load_images("fashion_mnist", small.folder)


def test_an_unknown_name():
    with pytest.raises(ValueError, match=r"^name must be 'mnist' or 'fashion_mnist', got 'MNIST'$"):
        load_images("MNIST")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0\0\x08",
        b"\0\0\x08\0",  # no dimensions
        b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0",  # floats
        b"\0\x01\x08\x01\0\0\0\x02ab",  # another magic
        b"\0\0\x08\x02\0\0\0\x02",  # a dimension cut off
        b"\0\0\x08\x01\0\0\0\x02a",  # a value cut off
        b"\0\0\x08\x01\0\0\0\x02abc",  # a value too many
    ],
)
def test_no_idx_file(content):
    with pytest.raises(OSError, match=r"^x must be an idx file of bytes, got one of"):
        read_idx(Path("x"), content)


def test_idx_dimensions():
    array = np.arange(24).reshape(2, 3, 4)
    assert np.array_equal(read_idx(Path("x"), idx(array)), array)


def test_without_pooch_the_sentence_says_what_to_do(small, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(FileNotFoundError) as e:
        load_images("mnist")
    told = f"mnist is not in {cache}: pip install 'mattis[data]' to download it, or put {', '.join(FILES)} into {cache}"
    assert str(e.value) == f"{told}, or give their folder as root"
    cache.parent.mkdir(parents=True)
    small.folder.rename(cache)
    check(load_images("mnist"), small)


@pytest.mark.parametrize("error", [OSError, ValueError])
def test_without_network_the_sentence_says_what_to_do(small, cache, monkeypatch, error):
    """Of requests every error is an OSError; pooch gives ValueError for a hash."""

    def retrieve(url, known_hash, fname, path):
        assert (url, known_hash) == (COLLECTIONS["mnist"].url + FILES[0], "sha256:" + COLLECTIONS["mnist"].sha256[0])
        raise error("no route\nto host")

    monkeypatch.setitem(sys.modules, "pooch", SimpleNamespace(retrieve=retrieve))
    told = rf"^mnist is not in {cache}, and {COLLECTIONS['mnist'].url}{FILES[0]} could not be downloaded "
    with pytest.raises(FileNotFoundError, match=rf"{told}\({error.__name__}\): put .*, or give their folder as root$"):
        load_images("mnist")


def test_without_a_cache(monkeypatch):
    monkeypatch.setattr(images, "cache_home", lambda: None)
    with pytest.raises(FileNotFoundError, match="give the folder of its files as root"):
        load_images("mnist")


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def test_pooch_downloads_what_is_missing_and_refuses_what_is_wrong(small, cache, monkeypatch):
    """By the real pooch, from a server on this machine."""
    pooch = pytest.importorskip("pooch")
    pooch.get_logger().setLevel(logging.ERROR)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=small.folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        monkeypatch.setitem(COLLECTIONS, "mnist", COLLECTIONS["mnist"]._replace(url=url))
        right = (small.folder / FILES[2]).read_bytes()
        (small.folder / FILES[2]).write_bytes(b"wrong")
        with pytest.raises(FileNotFoundError, match=rf"{FILES[2]} could not be downloaded \(ValueError\)"):
            load_images("mnist")
        assert sorted(p.name for p in cache.iterdir()) == sorted(FILES[:2])
        (small.folder / FILES[2]).write_bytes(right)
        check(load_images("mnist"), small)
        server.shutdown()
    check(load_images("mnist"), small)


# mean and standard deviation of the training and test images: the usual constants; images per class of the training set
PUBLISHED = {
    "mnist": ((0.1307, 0.3081), (0.1325, 0.3105), [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]),
    "fashion_mnist": ((0.2860, 0.3530), (0.2868, 0.3524), [6000] * 10),
}


@needs_data
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_images(name):
    ds = load_images(name, DATA)
    assert ds.grey.shape == (70000, 28, 28)
    split = ds.split.values
    assert (np.sum(split == "train"), np.sum(split == "test")) == (60000, 10000)
    for part, (mean, std) in zip(("train", "test"), PUBLISHED[name], strict=False):
        counts = np.bincount(ds.grey.values[split == part].ravel(), minlength=256) / 784 / np.sum(split == part)
        grey = np.arange(256) / 255
        found = counts @ grey
        assert abs(found - mean) <= 0.5e-4
        assert abs(np.sqrt(counts @ grey**2 - found**2) - std) <= 0.5e-4
    assert np.bincount(ds.label[split == "train"]).tolist() == PUBLISHED[name][2]
    if name == "fashion_mnist":
        assert np.bincount(ds.label[split == "test"]).tolist() == [1000] * 10
