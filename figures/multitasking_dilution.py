r"""Overlaps m_k of diluted patterns against the dilution d at low temperature: theory, Monte Carlo and all pulls."""

from typing import TYPE_CHECKING, Any

import numpy as np
import xarray as xr
from tqdm import tqdm

from ..theory.ground_states import ground_states
from ._multitasking import compare, states
from ._multitasking_drawn import PHASES, columns, labelled, phase_codes
from .recipe import Recipe

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_TEAR = 0.02  # of an overlap between two points of a line


def data(*, T: float, runs: list[dict[str, int]], dilutions: list[float], n_line: int) -> xr.Dataset:
    """Panels by K: the state of lowest f on a line of dilutions, and simulations (size, x) beside theory of N sites.

    A pull counts, ``counts``, where ``N softest^2 > 5`` and ``barrier > 17`` (see ``compare``).
    """
    each: dict[int, dict[int, list[xr.Dataset]]] = {}
    jobs = [(run, d) for run in runs for d in dilutions]
    for seed, (run, d) in enumerate(tqdm(jobs, delay=2, disable=None)):
        found = compare(d=d, T=np.array([T]), seed=seed, **run).isel(T=0, drop=True)
        each.setdefault(run["K"], {}).setdefault(run["N"], []).append(found)
    line = np.linspace(0.01, 0.99, n_line)
    panels = [_line(K, line, T).merge(_points(sizes, dilutions)) for K, sizes in each.items()]
    return xr.concat(panels, labelled("panel", list(each)), join="outer").assign_attrs(T=T)


def _points(sizes: dict[int, list[xr.Dataset]], dilutions: list[float]) -> xr.Dataset:
    x = labelled("at", dilutions)
    ds = xr.concat([xr.concat(found, x) for found in sizes.values()], labelled("size", list(sizes)))
    return ds.assign(x=x).drop_vars("at")


def _line(K: int, d: Any, T: float) -> xr.Dataset:
    found = [states(K, x, T) for x in d]
    m = np.array([each[0] if len(each) else np.zeros(K) for each in found])
    cold = np.array([ground_states(d=x, K=K).m[0] for x in d])
    lines = {"m_line": (("line", "mu"), m), "m_cold": (("line", "mu"), cold), "x_line": ("line", d)}
    ds = xr.Dataset(lines, {"mu": np.arange(K)})
    return ds.assign(phase=phase_codes(ds.m_line, ds.x_line))


def draw(ds: xr.Dataset) -> "Figure":
    """A column for every K: overlaps above pulls."""
    jump = np.fmax.reduce(abs(np.diff(ds.m_line.values, axis=1, append=np.nan)), axis=-1) > _TEAR
    figure = columns(
        ds.assign(m_line=ds.m_line.where(~xr.DataArray(jump, dims=("panel", "line")))),
        _decorate,
        lambda at: rf"$K={int(at.panel)}$, $T={at.attrs['T']:g}$",
    )
    plate = {"frameon": True, "edgecolor": "none", "framealpha": 1, "borderpad": 0.2}
    figure.axes[ds.sizes["panel"] - 1].legend(loc="upper right", bbox_to_anchor=(0.99, 0.8), **plate)
    for axes in figure.axes[ds.sizes["panel"] :]:
        axes.set(xlabel=r"dilution $d$", xlim=(0, 1))
    return figure


def _decorate(axes: "Axes", at: xr.Dataset) -> None:
    """T = 0 dotted, and the names of the phases between the lines that part them."""
    axes.plot(at.x_line, at.m_cold, ":", color="0.35", lw=0.8, zorder=0)
    code, d = at.phase.values, at.x_line.values
    ends = np.concatenate([[-1], np.flatnonzero(np.diff(code)), [d.size - 1]])
    for left, right in zip(ends[:-1] + 1, ends[1:], strict=True):
        if left:
            axes.axvline(d[left], color="0.6", lw=0.6, ls="--", zorder=0)
        if d[right] - d[left] > 0.02:
            wide = d[right] - d[left] > 0.3
            style: dict[str, Any] = {"rotation": 0 if wide else 90, "fontsize": 7, "color": "0.25"}
            axes.text((d[left] + d[right]) / 2, 0.99, PHASES[code[left]], ha="center", va="top", **style)


_RUN = {"N": 2000, "chains": 128, "sweeps": 1500, "burn_in": 300}
recipe = Recipe(
    name="multitasking_dilution",
    data=data,
    draw=draw,
    full={
        "T": 0.02,
        "runs": [{"K": K} | _RUN for K in (2, 3, 5)]
        + [{"K": 5, "N": 20000, "chains": 64, "sweeps": 800, "burn_in": 300}],
        "dilutions": [round(0.05 * k, 2) for k in range(1, 20)],
        "n_line": 197,
    },
    draft={
        "T": 0.02,
        "runs": [{"K": K, "N": 300, "chains": 4, "sweeps": 50, "burn_in": 10} for K in (2, 3)],
        "dilutions": [0.3, 0.9],
        "n_line": 9,
    },
)
