"""What figures of broken replica symmetry share: sweeps without the points that failed, and how errors are told."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from ..sweeps.lines import spinodal
from ..sweeps.phases import classify
from ..sweeps.sweep import sweep
from ..theory.model import Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Floats = NDArray[np.float64]
RS, ONE, FULL = "#D55E00", "#0072B2", "#009E73"
"""Colours of replica symmetry, of one step and of two or all."""
PHASES = ("paramagnet", "spin_glass", "metastable", "retrieval")
COLOURS = ("#FFFFFF", "#E6E6E6", "#CFE3F2", "#9CC4E4")
_FOLD = 1e-4  # of the stability at a fold, which vanishes there
_JUMP = 0.3  # of q between two points of a line, beyond which it is torn


def spaced(ends: Sequence[float]) -> Floats:
    """Values from (first, last, how many), evenly."""
    first, last, many = ends
    return np.linspace(first, last, round(many))


def states(
    Model: type[Model],
    *,
    over: Mapping[str, Any],
    const: Mapping[str, Any] | None = None,
    starts: Sequence[str] | None = None,
    k: int | str | None = None,
) -> xr.Dataset:
    """A sweep with its labels; numbers are nan where a start failed, is not certified or ended on another state."""
    ds = classify(sweep(Model, over=over, const=const, starts=starts, k=k, progress=False))
    sure = ds.converged & ds.get("certified", ds.converged)
    ds["lost"] = (~sure).astype(np.int8)
    numbers = [str(name) for name, v in ds.data_vars.items() if v.dtype.kind == "f"]
    there = sure & (ds.label == ds.start) | (ds.start == "spin_glass") & sure
    ds[numbers] = ds[numbers].where(there)
    return ds


def counted(*found: xr.Dataset) -> dict[str, Any]:
    """Attributes: how many points were lost, and the largest error of those that were not."""
    errors = [float(ds[name].max()) for ds in found for name in ("quadrature_error", "free_energy_error") if name in ds]
    finite = [e for e in errors if np.isfinite(e)]
    return {"n_unconverged": sum(int(ds.lost.sum()) for ds in found), "worst_error": max(finite, default=0.0)}


def tell_errors(axes: "Axes", ds: xr.Dataset, x: float, y: float, *, ha: str = "right") -> None:
    """Say in the panel how small the errors are, and how many points are left out."""
    power = int(np.ceil(np.log10(max(ds.attrs["worst_error"], 1e-16))))
    told = rf"errors $<10^{{{power}}}$"
    if ds.attrs["n_unconverged"]:
        told += f"; {ds.attrs['n_unconverged']} left out"
    axes.text(x, y, told, transform=axes.transAxes, ha=ha, va="center", fontsize=6, color="0.35")


def retrieval_end(network: type[Model], k: int, T: Floats, **const: Any) -> Floats:
    """The load where retrieval of k steps (0: replica symmetric) ends, by T.

    nan where that is neither a fold of k steps, nor the one of a replica-symmetric state stable against breaking.
    """
    kept: dict[str, Any] = {"along": str(network.load), "T": T, **const}
    if not k:
        return np.asarray(getattr(spinodal(network, **kept), str(network.load)))
    end = spinodal(network, **kept, k=k)
    folded = (end.steps == k) & (abs(end.stability) < _FOLD)
    sure = end.converged & (folded | (end.replicon[..., -1] > 0))
    return np.where(sure, getattr(end, str(network.load)), np.nan)


def draw_pieces(axes: "Axes", values: xr.DataArray, q: xr.DataArray, style: str, **kept: Any) -> None:
    """A line over T with no stroke across a jump of q."""
    jump = np.flatnonzero(abs(np.diff(q.values)) > _JUMP) + 1
    axes.plot(np.insert(values["T"].values, jump, np.nan), np.insert(values.values, jump, np.nan), style, **kept)


def regions(ds: xr.Dataset) -> xr.Dataset:
    """The region of every point of a sweep, as an index into PHASES; metastable retrieval is no phase of its own."""
    found = (ds.label.sel(start="retrieval") == "retrieval") & ds.stable.sel(start="retrieval")
    index = xr.zeros_like(ds.phase, dtype=np.int32)
    for code, name in enumerate(PHASES):
        index = index.where(ds.phase != name, code)
    index = index.where(~(found & (ds.phase != "retrieval")), PHASES.index("metastable"))
    lost = (ds.phase == "none").astype(np.int8)
    return xr.Dataset({"region": index.astype(np.int32), "unconverged": lost}).drop_vars("start", errors="ignore")


def shade(axes: "Axes", region: xr.DataArray, unconverged: xr.DataArray) -> None:
    """Regions as colours, over (load, T); points without a state are hatched."""
    from matplotlib.colors import ListedColormap

    load, T = (region[str(d)] for d in region.dims)
    axes.pcolormesh(load, T, region.T, cmap=ListedColormap(COLOURS), vmin=-0.5, vmax=3.5, rasterized=True, zorder=0)
    if unconverged.any():
        axes.contourf(load, T, unconverged.T, levels=[0.5, 1.5], colors="none", hatches=["xxxx"])


def name(axes: "Axes", texts: Sequence[tuple[str, float, float]], **style: Any) -> None:
    """Words at points of a panel."""
    for text, x, y in texts:
        axes.text(x, y, text, ha="center", va="center", zorder=6, **{"fontsize": 7, **style})
