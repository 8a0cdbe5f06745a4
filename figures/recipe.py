"""A figure: data that are computed once and kept, and a drawing that only reads them."""

import hashlib
import inspect
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.resources import as_file, files
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any

import numpy as np
import scipy
import xarray as xr

from ..core.jit import PACKAGES, sources_hash

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_FORMATS: dict[str, dict[str, Any]] = {"png": {"Software": None}, "pdf": {"CreationDate": None, "Producer": None}}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One figure of the package.

    Parameters
    ----------
    name : str
        Of the files it makes.
    data : callable
        ``data(**arguments) -> xr.Dataset``; everything the figure shows, errors included.
    draw : callable
        ``draw(ds) -> Figure``; reads the dataset and nothing else.
    full, draft : mapping
        The arguments of ``data`` for the published figure, and for a look within seconds.
    """

    name: str
    data: Callable[..., xr.Dataset]
    draw: Callable[[xr.Dataset], "Figure"]
    full: Mapping[str, Any]
    draft: Mapping[str, Any]

    def key(self, arguments: Mapping[str, Any]) -> str:
        """Sixteen hex digits over the arguments, the module of ``data`` and the sources of all it may use, versions."""
        used = sources_hash(packages=tuple(p for p in PACKAGES if p != "figures"))
        own = [Path(inspect.getfile(self.data)), *sorted(Path(__file__).parent.glob("_[a-z]*.py"))]
        used += "".join(path.read_text() for path in own)
        versions = [np.__version__, scipy.__version__, xr.__version__]
        told = json.dumps([self.name, dict(arguments), used, versions], default=str)
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def dataset(self, folder: Path, *, draft: bool = False) -> xr.Dataset:
        """The data from ``folder/<name>.nc`` where that was made from the same content, else computed and kept."""
        arguments = self.draft if draft else self.full
        path, key = folder / f"{self.name}.nc", self.key(arguments)
        if path.exists():
            with suppress(OSError, ValueError, TypeError, LookupError):  # a damaged file is computed again
                kept = xr.load_dataset(path, engine="scipy")
                if kept.attrs.get("key") == key:
                    return kept
        ds = self.data(**arguments).assign_attrs(key=key)
        folder.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        ds.to_netcdf(partial, engine="scipy")
        os.replace(partial, path)
        return xr.load_dataset(path, engine="scipy")

    def make(self, folder: Path, *, draft: bool = False) -> list[Path]:
        """Draw the figure into ``folder`` as PNG and PDF, the same bytes for the same data."""
        from matplotlib import pyplot, style

        logging.getLogger("fontTools").setLevel(logging.ERROR)  # it warns of the dates left out of a PDF
        ds = self.dataset(folder, draft=draft)
        made = []
        with as_file(files("mattis.figures") / "paper.mplstyle") as sheet, style.context(sheet):
            figure = self.draw(ds)
            _settle(figure)
            for suffix, metadata in _FORMATS.items():
                path = folder / f"{self.name}.{suffix}"
                figure.savefig(path, metadata=metadata)
                made.append(path)
            pyplot.close(figure)
        return made


def _settle(figure: "Figure") -> None:
    """Lay the figure out once and round where its axes stand: more than the solver of layouts leaves to chance."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        axes.set_position(tuple(round(x, 4) for x in axes.get_position().bounds))
    for part in figure.subfigs:
        part.patch.set_visible(False)  # nothing is seen of it, but a corner may be at 0 or at -0


def recipes(beginnings: Sequence[str] = ()) -> list[Recipe]:
    """The figures of the package whose names begin so, in that order; all of them where nothing is asked.

    >>> [recipe.name for recipe in recipes(["hopfield_o"])]
    ['hopfield_overlap']
    """
    modules = sorted(module.name for module in iter_modules([str(Path(__file__).parent)]))
    known = [name for name in modules if name not in ("recipe", "__main__") and not name.startswith("_")]
    wanted = {text: [name for name in known if name.startswith(text)] for text in beginnings}
    if unknown := [text for text, found in wanted.items() if not found]:
        raise ValueError(f"names must be, or begin, one of {', '.join(known)}, got {unknown[0]!r}")
    names = dict.fromkeys(name for found in wanted.values() for name in found) or known
    return [import_module(f"{__package__}.{name}").recipe for name in names]
