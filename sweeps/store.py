"""The store of a sweep: one zarr group, one writer; a tile is whole or absent, and damage is never read as a number.

::

    sweep.zarr/zarr.json                     attributes of the dataset
    sweep.zarr/<variable>/c/<start>/<...>    one chunk = one tile, Zstd and Crc32c
    sweep.zarr/tiles/digest/c/<start>/<...>  crc32 over all variables of the tile, written last
    sweep.zarr.lock                          pid and host of the writer, while there is one

A tile counts where its digest agrees with what is read: a kill between two chunks, or a deleted chunk, leaves
a tile that is computed again. A chunk or ``zarr.json`` that cannot be decoded is a :class:`StoreError`.
"""

import hashlib
import json
import shutil
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..core.errors import StoreError

FORMAT = 1
"""Version of the layout above."""
UNWRITTEN = -1


@dataclass(frozen=True)
class Tile:
    """A rectangular block of one start's grid: its chunk number ``index``, its points ``box`` in (start, *over)."""

    index: tuple[int, ...]
    box: tuple[slice, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Points along each dimension, the start's 1 included."""
        return tuple(s.stop - s.start for s in self.box)


def key_of(identity: Mapping[str, Any]) -> str:
    """Return sixteen hex digits that tell one sweep from another."""
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


class Store:
    """The group at ``path``, made where there is none, holding the same variables as the dataset in memory."""

    def __init__(self, path: Path, ds: xr.Dataset, chunks: tuple[int, ...], identity: Mapping[str, Any]) -> None:
        self.path = path
        self._values = {str(name): variable.values for name, variable in ds.data_vars.items()}
        if not path.exists():
            _create(path, ds, chunks, identity)
        self._group = self._open("")
        self._check_identity(identity)
        self._arrays = {name: self._open(name) for name in map(str, ds.variables)}
        self._check_layout(ds, chunks)
        self._check_coordinates(ds)
        self._digests = self._open("tiles/digest")

    @property
    def attrs(self) -> dict[str, Any]:
        """The attributes of the stored dataset."""
        return dict(self._group.attrs)

    def load(self, tile: Tile) -> bool:
        """Read a tile into memory; False where it is absent or not whole."""
        at = tuple(slice(i, i + 1) for i in tile.index)
        told = self._read("tiles/digest", self._digests, at, tile.index).item()
        if told == UNWRITTEN:
            return False
        found = {n: self._read(n, self._arrays[n], tile.box, tile.index) for n in self._values}
        if _digest(found) != told:
            return False
        for name, value in found.items():
            self._values[name][tile.box] = value
        return True

    def save(self, tile: Tile) -> None:
        """Write a tile from memory: data, then status, then the digest that vouches for both."""
        found = {name: value[tile.box] for name, value in self._values.items()}
        for name in sorted(found, key="status".__eq__):
            self._arrays[name][tile.box] = found[name]
        self._digests[tile.index] = _digest(found)

    def describe(self, attrs: Mapping[str, Any]) -> None:
        """Replace the attributes of the stored dataset where they differ."""
        if self.attrs != dict(attrs):
            self._group.attrs.put(dict(attrs))

    def _open(self, name: str) -> Any:
        import zarr

        file = self.path / name / "zarr.json"
        try:
            if not name:
                return _always_write(zarr.open_group(self.path, mode="r+", zarr_format=3))
            return _always_write(self._group[name])
        except Exception as error:
            raise StoreError(
                f"{self.path} is damaged or no store of a sweep: {file} cannot be read ({_short(error)}); "
                f"restore that file from a copy or delete the whole of {self.path}"
            ) from error

    def _read(self, name: str, array: Any, box: tuple[slice, ...], index: tuple[int, ...]) -> NDArray[Any]:
        try:
            return np.asarray(array[box])
        except OSError:
            raise
        except Exception as error:
            trailing = (0,) * (array.ndim - len(index))
            file = self.path.joinpath(name, "c", *map(str, index + trailing))
            raise StoreError(
                f"{self.path} is damaged: a chunk of {name}, {file}, cannot be read ({_short(error)}); "
                "delete that file and repeat the call: only its points are computed again"
            ) from error

    def _check_identity(self, here: Mapping[str, Any]) -> None:
        there = dict(self._open("tiles").attrs)
        here = json.loads(json.dumps(here))
        if there == here:
            return
        parts = [k for k in {**here, **there} if here.get(k) != there.get(k)]
        differ = "; ".join(f"{k}: {there.get(k)!r} there, {here.get(k)!r} here" for k in parts)
        raise StoreError(
            f"{self.path} holds another sweep, {there.get('model')} (key {key_of(there)}), not {here.get('model')} "
            f"(key {key_of(here)}): choose another store or delete that one; they differ in {differ}"
        )

    def _check_layout(self, ds: xr.Dataset, chunks: tuple[int, ...]) -> None:
        for name, array in self._arrays.items():
            wanted = ds[name].shape, _chunks(ds, name, chunks), ds[name].dtype.kind
            if (array.shape, array.chunks, "U" if array.dtype.kind == "T" else array.dtype.kind) != wanted:
                raise StoreError(
                    f"{self.path} is damaged: {self.path / name / 'zarr.json'} tells another shape or type than "
                    f"it was made with; restore that file from a copy or delete the whole of {self.path}"
                )

    def _check_coordinates(self, ds: xr.Dataset) -> None:
        for name in map(str, ds.coords):
            array = self._arrays[name]
            if not np.array_equal(self._read(name, array, (slice(None),), (0,)), ds[name].values):
                array[...] = ds[name].values


def _create(path: Path, ds: xr.Dataset, chunks: tuple[int, ...], identity: Mapping[str, Any]) -> None:
    """Make the group under another name and rename it: it is there whole or not at all."""
    import zarr

    new = path.with_name(path.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    try:
        group = zarr.create_group(new, zarr_format=3, attributes=dict(ds.attrs))
        for name in map(str, ds.variables):
            array = _create_array(group, name, ds[name], _chunks(ds, name, chunks))
            if name in ds.coords:
                array[...] = ds[name].values
        tiles = group.create_group("tiles", attributes=dict(identity))
        blocks = tuple(-(-n // b) for n, b in zip(ds["status"].shape, chunks, strict=True))
        digest = xr.DataArray(np.broadcast_to(np.int64(UNWRITTEN), blocks), dims=ds["status"].dims)
        _create_array(tiles, "digest", digest, (1,) * len(blocks))
        new.rename(path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def _create_array(group: Any, name: str, like: xr.DataArray, chunks: tuple[int, ...]) -> Any:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    fill: Any = {"f": np.nan, "U": "", "i": UNWRITTEN if name == "digest" else 0}.get(like.dtype.kind, 0)
    return _always_write(
        group.create_array(
            name,
            shape=like.shape,
            chunks=chunks,
            dtype=str if like.dtype.kind == "U" else like.dtype,
            fill_value=fill,
            compressors=(ZstdCodec(), Crc32cCodec()),
            dimension_names=[str(d) for d in like.dims],
            attributes=dict(like.attrs),
        )
    )


def _always_write(node: Any) -> Any:
    """An array whose chunks of nothing but fill values are written too: a missing file is then always a loss."""
    return node.with_config({"write_empty_chunks": True}) if hasattr(node, "with_config") else node


def _chunks(ds: xr.Dataset, name: str, chunks: tuple[int, ...]) -> tuple[int, ...]:
    shape: tuple[int, ...] = ds[name].shape
    return shape if name in ds.coords else chunks + shape[len(chunks) :]


def _digest(found: Mapping[str, NDArray[Any]]) -> int:
    crc = 0
    for name in sorted(found):
        crc = zlib.crc32(found[name].tobytes(), crc)
    return crc


def _short(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:120]}" if text else type(error).__name__
