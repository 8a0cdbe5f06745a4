"""What figures of dense networks against simulation share: runs of many samples, theory beside them, pulls."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm import tqdm

from ..core.backend import cores
from ..mc.patterns import examples, patterns
from ..mc.run import simulate
from ..mc.samplers import HeatBath, ZeroTemperature
from ..sweeps.solve import solve
from ..theory.dense import DenseHebbian
from ..theory.hopfield import Hopfield
from ..theory.load import gamma_to_K
from ._dense import stored

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Floats = NDArray[np.float64]
MARKERS = ("o", "s", "^", "D", "v", "P")


class Cell(NamedTuple):
    """One kind of network, and how many samples of its disorder; r = 1 and M = 0 are the patterns themselves."""

    P: int
    N: int
    gamma: float
    samples: int
    r: float = 1.0
    M: int = 0

    @property
    def shrink(self) -> float:
        r"""prod_{j<P} (1 - j/N) = 1 - P(P - 1)/(2N) + ...: the share of the N^P/P! tuples whose sites are different.

        The signal and the variance of the noise both have it, so that a network of N sites is to that order one of
        infinitely many at gamma/shrink and T/shrink.
        """
        return prod(1 - j / self.N for j in range(self.P))

    @property
    def share(self) -> float:
        """1 + rho, rho = (1 - r^2)/(M r^2)."""
        return 1 + (1 - self.r**2) / (self.M * self.r**2) if self.M else 1.0


def family(cell: Cell, protocol: str, law: str) -> tuple[Any, str, dict[str, Any]]:
    """The class of the theory of a cell, the name of its load, and its other parameters but T."""
    const: dict[str, Any] = {"protocol": protocol, "r": cell.r, "M": cell.M, "etabar": law} if cell.M else {}
    return (Hopfield, "alpha", const) if cell.P == 2 else (DenseHebbian, "gamma", const | {"P": cell.P})


def expected(
    cells: Sequence[Cell], T: Sequence[float], protocol: str = "storing", law: str = "binomial", *, finite: bool = False
) -> dict[str, Floats]:
    """m and n of the retrieval start, (cell, T), 0 where that ends without a stable one; without examples n is m.

    For infinitely many sites, or with the ``shrink`` of N.
    """
    found = []
    for cell in cells:
        Model, load, const = family(cell, protocol, law)
        by = cell.shrink if finite else 1.0
        found.append(solve(Model(**{load: cell.gamma / by}, T=np.asarray(T) / by, **const)))
    m = np.array([np.where(one.stable, one.m, 0.0) for one in found])
    n = np.array([one.n if cell.M else one.m for cell, one in zip(cells, found, strict=True)])
    return {"m": m, "n": np.where(m == 0, 0.0, n)}


def measured(
    cells: Sequence[Cell], T: Sequence[float], protocol: str = "storing", *, sweeps: int, seed: int = 0
) -> xr.Dataset:
    """Mean and standard error over samples, (cell, T), and the share of those ``lost``, m < 1/2.

    Of m, n, m^P (``power``), and of the ``largest`` overlap with a single example in the unit of n.

    Every sample is its own patterns and examples, and one chain per temperature (0 first). It starts at the majority
    of the examples of the first pattern, ties as in the pattern; without examples at the pattern.
    """
    run = partial(_sample, T=np.asarray(T, np.float64), protocol=protocol, sweeps=sweeps)
    jobs = [(cell, (seed << 40) + (k << 20) + z) for k, cell in enumerate(cells) for z in range(cell.samples)]
    with ThreadPoolExecutor(cores()) as pool:
        rows = list(tqdm(pool.map(run, *zip(*jobs, strict=True)), total=len(jobs), unit="sample", disable=None))
    parts = np.split(np.array(rows), np.cumsum([cell.samples for cell in cells])[:-1])
    found = {"lost": np.array([(part[:, 0] < 0.5).mean(axis=0) for part in parts])}
    for k, name in enumerate(("m", "n", "power", "largest")):
        found[name] = np.array([part[:, k].mean(axis=0) for part in parts])
        found[f"{name}_error"] = np.array([part[:, k].std(axis=0, ddof=1) / len(part) ** 0.5 for part in parts])
    ds = xr.Dataset({name: (("cell", "T"), values) for name, values in found.items()}, {"T": list(T)})
    return ds.assign({name: ("cell", list(v)) for name, v in zip(Cell._fields, zip(*cells, strict=True), strict=True)})


def compared(
    cells: Sequence[Cell], T: Sequence[float], protocol: str = "storing", *, sweeps: int, seed: int = 0
) -> xr.Dataset:
    """``measured`` beside theory, m_theory and n_theory; that at the ``shrink`` of N, m_finite and n_finite; pulls.

    A pull is over its error or over that of independent spins, sqrt((1 - m^2)/spins seen), whichever is larger: where
    hardly a spin turns, samples that differ by one of them tell nothing of their spread.
    """
    ds = measured(cells, T, protocol, sweeps=sweeps, seed=seed)
    seen = np.array([[cell.N * cell.samples * (sweeps // 2 if t > 0 else 1) for t in T] for cell in cells])
    for kind, finite in (("theory", False), ("finite", True)):
        found = expected(cells, T, protocol, finite=finite)
        least = np.sqrt(np.maximum(1 - found["m"] ** 2, 0) / seen)
        for name, value in found.items():
            ds[f"{name}_{kind}"] = ("cell", "T"), value
            ds[f"{name}_pull_{kind}"] = (ds[name] - ds[f"{name}_{kind}"]) / np.maximum(ds[f"{name}_error"], least)
    return ds.assign_attrs(sweeps=sweeps, protocol=protocol)


def _sample(cell: Cell, seed: int, *, T: Floats, protocol: str, sweeps: int) -> Floats:
    """m, n, m^P and the largest n_a of one sample, (4, T), averaged over ``sweeps`` sweeps after half as many."""
    xi = patterns(N=cell.N, K=max(1, int(gamma_to_K(cell.gamma, N=cell.N, P=cell.P))), seed=seed)
    eta = examples(xi, r=cell.r, M=cell.M, seed=seed) if cell.M else None
    energy = stored(xi, eta, P=cell.P, r=cell.r, protocol=protocol)
    first = xi.values[0, 0].astype(np.float64)
    shown = first[None] if eta is None else eta.values[0, 0].astype(np.float64)
    majority = np.sign(shown.sum(axis=0))
    start = np.where(majority == 0, first, majority).astype(np.int8)
    parts = []
    for at, sampler in ((T[T == 0], ZeroTemperature()), (T[T > 0], HeatBath())):
        if at.size:
            run = simulate(
                energy,
                sampler=sampler,
                T=at,
                chains=1,
                sweeps=sweeps,
                burn_in=sweeps // 2,
                every=2,
                start=start,
                seed=seed,
                threads=1,
                observables=("spins",),
            )
            parts.append(_overlaps(run.spins.values[0, :, 0], first, shown, cell))
    return np.concatenate(parts, axis=1)


def _overlaps(spins: NDArray[np.int8], first: Floats, shown: Floats, cell: Cell) -> Floats:
    """m, n, m^P and the largest n_a of draws (T, draw, site), averaged: (4, T).

    n, of the mean of the examples ``shown``, has the control variate (c - 1) m/(1 + rho): c = (1/N) sum_i xi_i
    etabar_i/r has mean 1, and it is the larger part of how the n of small networks differ.
    """
    m, mean = spins @ first / first.size, shown.mean(axis=0) / cell.r
    n = (spins @ mean / first.size - (mean @ first / first.size - 1) * m) / cell.share
    each = spins.mean(axis=1) @ shown.T / (first.size * cell.r * cell.share)
    return np.array([m.mean(axis=-1), n.mean(axis=-1), (m**cell.P).mean(axis=-1), each.max(axis=-1)])


def draw_pulls(axes: "Axes", pulls: Floats) -> None:
    """The frame of pulls: a band of one error, lines at 0 and 3; logarithmic beyond 4 where some are far out."""
    axes.axhspan(-1, 1, color="0.9", lw=0)
    for y in (-3, 0, 3):
        axes.axhline(y, color="0.4", lw=0.6, ls="-" if y == 0 else ":")
    high = 1.25 * max(4.0, float(np.nanmax(abs(pulls))))
    if high > 12:
        axes.set_yscale("symlog", linthresh=4, linscale=1.6)
    ticks = [y for y in (-1000, -100, -10, -3, 0, 3, 10, 100, 1000) if abs(y) < high]
    axes.set_yticks(ticks, [f"${y}$" for y in ticks])
    axes.set_yticks([], minor=True)
    axes.set_ylim(-high, high)


def name_lines(figure: "Figure", styles: Mapping[str, str]) -> None:
    """Name the styles of lines, and markers, in a row above all panels."""
    from matplotlib.lines import Line2D

    kind = {name: ("None", style) if style in "+|" else (style, "None") for name, style in styles.items()}
    drawn = [Line2D([], [], ls=line, marker=marker, color="0.3", lw=0.9) for line, marker in kind.values()]
    figure.legend(drawn, list(kind), loc="outside upper center", ncols=len(kind), handlelength=1.5, columnspacing=0.9)
