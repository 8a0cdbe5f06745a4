"""The images of MNIST and Fashion-MNIST: idx files from a folder or the network, verified before they are read."""

import gzip
import hashlib
from math import prod
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.jit import cache_home


class _Collection(NamedTuple):
    """Where the four files of a collection lie and come from, and the sha256 of each, in the order of ``FILES``."""

    folders: tuple[str, ...]
    url: str
    source: str
    licence: str
    sha256: tuple[str, str, str, str]


FILES = tuple(f"{split}-{kind}-ubyte.gz" for split in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
COLLECTIONS = {
    "mnist": _Collection(
        ("mnist",),
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "Y. LeCun, C. Cortes, C. J. C. Burges, The MNIST database of handwritten digits",
        "CC BY-SA 3.0, Yann LeCun and Corinna Cortes",
        (
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "fashion_mnist": _Collection(
        ("fashion_mnist", "fashion"),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        "H. Xiao, K. Rasul, R. Vollgraf, arXiv:1708.07747",
        "MIT, copyright 2017 Zalando SE",
        (
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
}


def load_images(name: str, root: str | PathLike[str] | None = None) -> xr.Dataset:
    r"""Load the 60000 training and 10000 test images of MNIST or Fashion-MNIST, from verified files.

    .. math:: x_{rc} \in \{0, \dots, 255\}, \qquad r, c = 0, \dots, 27, \qquad \text{label} \in \{0, \dots, 9\}

    Parameters
    ----------
    name : "mnist" or "fashion_mnist"
    root : folder with the four gzipped idx files of ``FILES``, in its folder ``mnist`` (``fashion_mnist``, ``fashion``)
        where there is one, else directly in it. None for the user's cache, into which pooch (the extra ``data``)
        downloads what is missing

    Returns
    -------
    Dataset with ``grey`` (image, row, column) uint8, ``label`` (image,) uint8 and the coordinate ``split`` (image,),
    "train" or "test", training images first; attributes ``name``, ``source`` and ``licence``.

    Raises
    ------
    ValueError for another name, FileNotFoundError where a file is missing and cannot be had, OSError for a file whose
    sha256 is not that of the published one.

    Source: http://yann.lecun.com/exdb/mnist and arXiv:1708.07747.

    >>> load_images("cifar")
    Traceback (most recent call last):
        ...
    ValueError: name must be 'mnist' or 'fashion_mnist', got 'cifar'
    """
    if name not in COLLECTIONS:
        raise ValueError(f"name must be {' or '.join(map(repr, COLLECTIONS))}, got {name!r}")
    told = COLLECTIONS[name]
    folder = _cache(name) if root is None else _inside(Path(root), told.folders)
    if root is None:
        _download(name, folder)
    parts = [_verified(folder / file, sha256, root) for file, sha256 in zip(FILES, told.sha256, strict=True)]
    train, test = (len(parts[k]) for k in (1, 3))
    return xr.Dataset(
        {
            "grey": (("image", "row", "column"), np.concatenate(parts[::2])),
            "label": ("image", np.concatenate(parts[1::2])),
        },
        {"split": ("image", np.repeat(["train", "test"], [train, test]))},
        {"name": name, "source": told.source, "licence": told.licence},
    )


def read_idx(path: Path, content: bytes) -> NDArray[np.uint8]:
    """The array of an idx file of bytes: two zeros, 8 for uint8, the number of dimensions, their sizes, the values.

    >>> read_idx(Path("x"), bytes([0, 0, 8, 1, 0, 0, 0, 2, 5, 7]))
    array([5, 7], dtype=uint8)
    """
    start = 4 + 4 * content[3] if content[:3] == b"\0\0\x08" and len(content) > 3 else 0
    shape = tuple(int(n) for n in np.frombuffer(content[4:start], ">u4")) if 4 < start <= len(content) else ()
    if not shape or start + prod(shape) != len(content):
        raise OSError(f"{path} must be an idx file of bytes, got one of {len(content)} that begins {content[:4]!r}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def _cache(name: str) -> Path:
    home = cache_home()
    if home is None:
        raise FileNotFoundError(f"there is no cache to keep {name} in: give the folder of its files as root")
    return home / "images" / name


def _inside(root: Path, folders: tuple[str, ...]) -> Path:
    return next((root / folder for folder in folders if (root / folder).is_dir()), root)


def _download(name: str, folder: Path) -> None:
    """Fetch what is missing; pooch keeps a file only if its hash is right."""
    told, missing = COLLECTIONS[name], [file for file in FILES if not (folder / file).exists()]
    if not missing:
        return
    put = f"put {', '.join(FILES)} into {folder}, or give their folder as root"
    try:
        import pooch
    except ImportError:
        raise FileNotFoundError(
            f"{name} is not in {folder}: pip install 'mattis[data]' to download it, or {put}"
        ) from None
    for file in missing:
        sha256 = told.sha256[FILES.index(file)]
        try:
            pooch.retrieve(told.url + file, f"sha256:{sha256}", fname=file, path=folder)
        except (OSError, ValueError) as reason:
            tried = f"{told.url}{file} could not be downloaded ({type(reason).__name__})"
            raise FileNotFoundError(f"{name} is not in {folder}, and {tried}: {put}") from reason


def _verified(path: Path, sha256: str, root: Any) -> NDArray[np.uint8]:
    """The array in a file, if its content is the published one."""
    try:
        packed = path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(f"{path} is missing: root = {str(root)!r} must hold {', '.join(FILES)}") from None
    found = hashlib.sha256(packed).hexdigest()
    if found != sha256:
        raise OSError(f"{path} is damaged, get it anew: its sha256 must be {sha256}, got {found}")
    return read_idx(path, gzip.decompress(packed))
