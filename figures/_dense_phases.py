r"""Phase diagrams of dense networks that learn from examples: what the figures of both protocols compute.

Two closures of the replica-symmetric theory, that of the papers (low entropy, n = m/(1 + rho)) and the full one, take
the mean example as Gaussian; in the exact law of M examples it is binomial.
"""

from itertools import product
from typing import Any

import numpy as np
import xarray as xr

from ..mc.patterns import examples, patterns
from ..sweeps.learning import learning_threshold
from ..sweeps.lines import at_line, spinodal, transition
from ..sweeps.phases import classify
from ..sweeps.sweep import sweep
from ..theory.dense import DenseHebbian
from ..theory.load import gamma_to_K
from ._dense import Floats, averaged, over_samples, overlaps, retrieved, stored

P, R = 4, 0.5**0.5  # at this quality rho = 1/M
CLOSURES = ("low_entropy", "full")
LAWS: dict[str, dict[str, Any]] = {
    "low_entropy": {"closure": "low_entropy"},
    "full": {},
    "binomial": {"etabar": "binomial"},
}
THETA = 0.9
REGIONS = ("ergodic", "metastable", "retrieval", "undecided", "glass", "singly")


def data(
    *,
    protocol: str,
    M: list[int],
    top: dict[str, float],
    grid: dict[str, int],
    mc: dict[str, Any],
    weak: dict[str, Any],
) -> xr.Dataset:
    """(gamma, T) for patterns themselves (M = 0) and for M examples; (M, gamma); (r, M); simulations in all three."""
    learned = [0, *M]
    planes = [xr.concat([_plane(c, _const(protocol, m), top, grid) for m in learned], "M") for c in CLOSURES]
    T, gamma = mc["T"][0], weak["gamma"]
    parts = [
        xr.concat(planes, "closure").assign_coords(closure=list(CLOSURES), M=learned),
        _glass(protocol, learned),
        _over_M(protocol, T, top, grid),
        _over_r(protocol, T, gamma, top, grid),
        _simulated(protocol, learned, **mc),
        _weak(protocol, T, **weak, **{k: mc[k] for k in ("N", "samples", "sweeps")}),
    ]
    lost = sum(int(v.sum()) for part in parts for name, v in part.items() if str(name).startswith("unconverged"))
    told = {"protocol": protocol, "T": T, "gamma": gamma, "n_unconverged": lost}
    return xr.merge(parts).assign_attrs(told | {k: mc[k] for k in ("N", "samples", "sweeps")})


def _const(protocol: str, M: int) -> dict[str, Any]:
    """The arguments of the model: patterns themselves for M = 0."""
    return {"P": P} | ({"protocol": protocol, "r": R, "M": M} if M else {})


def _regions(ds: xr.Dataset, name: str) -> xr.Dataset:
    """The region of every grid point, an index into REGIONS.

    Below T_s sqrt(gamma) the paramagnet is replaced by a glass of broken replica symmetry: where retrieval is a
    solution there and not surely the phase, replica symmetry cannot decide. Where retrieval is unstable against unequal
    overlaps with its examples, and else the phase, these are retrieved singly.
    """
    ds = classify(ds)
    retrieval = ds.sel(start="retrieval")
    exists = (retrieval.label == "retrieval") & (retrieval.stability > 0)
    found, warm, none = exists & retrieval.stable, ds.phase == "paramagnet", ds.phase == "none"
    holds = {
        "ergodic": warm & ~found,
        "metastable": warm & found,
        "retrieval": ds.phase == "retrieval",
        "undecided": none & found,
        "singly": none & exists & ~retrieval.stable,
    }
    index = xr.full_like(ds.phase, REGIONS.index("glass"), dtype=np.int8)
    for region, where in holds.items():
        index = index.where(~where, REGIONS.index(region))
    lost = (~ds.converged).any("start").astype(np.int8)
    found_both = xr.Dataset({f"region{name}": index.astype(np.int8), f"unconverged{name}": lost})
    return found_both.drop_vars("start", errors="ignore").drop_attrs()


def _plane(closure: str, const: dict[str, Any], top: dict[str, float], grid: dict[str, int]) -> xr.Dataset:
    """Regions in (gamma, T), and the spinodal, the first-order line and the AT line by temperature."""
    const = const | {"closure": closure}
    gamma, T = np.linspace(0, top["gamma"], grid["gamma"]), np.linspace(0.005, top["T"], grid["T"])
    regions = _regions(sweep(DenseHebbian, over={"gamma": gamma, "T": T}, const=const, progress=False), "")
    line = np.linspace(0.0, top["T"], grid["line"])
    given = {"along": "gamma", "T": line, **const}
    lines = {
        "gamma_M": spinodal(DenseHebbian, **given),
        "gamma_c": transition(DenseHebbian, between=("retrieval", "paramagnet"), **given),
        "gamma_AT": at_line(DenseHebbian, **given),
    }
    return regions.assign({k: ("T_line", v.gamma) for k, v in lines.items()}).assign_coords(T_line=line)


def _glass(protocol: str, learned: list[int]) -> xr.Dataset:
    """In units of sqrt(gamma): T_s, T_d of the broken glass, and the onset of the replica-symmetric m = 0, q > 0."""
    found: dict[str, list[float]] = {"T_s": [], "T_d": [], "T_onset": []}
    for M in learned:
        const = _const(protocol, M)
        glass = DenseHebbian(gamma=1.0, T=1.0, **const).glass_temperatures()
        least = spinodal(DenseHebbian, along="gamma", of="spin_glass", T=1.0, **const).gamma
        for name, value in zip(found, (glass.static, glass.dynamic, 1 / np.sqrt(least)), strict=True):
            found[name].append(float(value))
    return xr.Dataset({name: ("M", values) for name, values in found.items()}, coords={"M": learned})


def _over_M(protocol: str, T: float, top: dict[str, float], grid: dict[str, int]) -> xr.Dataset:
    """Regions in (M, gamma) at one temperature, by the exact law; the spinodal in every law."""
    many = np.unique(np.rint(np.geomspace(1, top["M"], grid["M"])))
    const: dict[str, Any] = {"P": P, "protocol": protocol, "r": R, "T": T}
    over = {"M_line": many, "gamma": np.linspace(0, top["gamma"], grid["gamma"])}
    told = {"M": many, "gamma": over["gamma"]}
    ds = _regions(sweep(DenseHebbian, over=told, const=const | LAWS["binomial"], progress=False), "_M")
    lines = [spinodal(DenseHebbian, along="gamma", M=many, **const, **law).gamma for law in LAWS.values()]
    return ds.rename(M="M_line").assign(gamma_of_M=(("law", "M_line"), np.array(lines))).assign_coords(law=list(LAWS))


def _over_r(protocol: str, T: float, gamma: float, top: dict[str, float], grid: dict[str, int]) -> xr.Dataset:
    """m in (r, M) at one temperature and load, by the exact law; the least M with m >= THETA in every law."""
    many = np.unique(np.rint(np.geomspace(1, top["M_of_r"], grid["M"])))
    r = np.geomspace(top["r"], 1.0, grid["r"])
    const: dict[str, Any] = {"P": P, "protocol": protocol, "gamma": gamma, "T": T}
    ds = retrieved({"r": r, "M": many}, const | LAWS["binomial"])
    most = int(top["M_of_r"])
    lines = [learning_threshold(DenseHebbian, theta=THETA, most=most, r=r, **const, **law).M for law in LAWS.values()]
    ds = ds.rename(M="M_of_r", m="m_of_r", unconverged="unconverged_r")
    return ds.assign(M_least=(("law", "r"), np.array(lines)))


def _simulated(
    protocol: str, learned: list[int], *, N: int, samples: int, sweeps: int, gamma: list[float], T: list[float]
) -> xr.Dataset:
    """Overlap with the archetype a chain starts from, by M, load and temperature: mean and error over disorder."""
    K = gamma_to_K(np.array(gamma), N=N, P=P)

    def one(seed: int) -> Floats:
        xi = patterns(N=N, K=int(K.max()), seed=seed)
        eta = examples(xi, r=R, M=max(learned), seed=seed)
        m = np.empty((len(learned), len(gamma), len(T)))
        for (i, M), (j, k) in product(enumerate(learned), enumerate(K)):
            energy = stored(xi[:, :k], eta[:, :k, :M] if M else None, P=P, r=R, protocol=protocol)
            m[i, j] = overlaps(energy, xi, start=1.0, T=T, sweeps=sweeps, seed=seed)
        return m

    names = {"gamma": "gamma_mc", "T": "T_mc"}
    exact = [_const(protocol, M) | (LAWS["binomial"] if M else {}) for M in learned]
    theory = xr.concat([retrieved({"gamma": gamma, "T": T}, const).m for const in exact], "M").rename(names)
    ds = averaged(over_samples(one, samples), ("M", "gamma_mc", "T_mc"))
    return ds.assign(theory=theory.assign_coords(M=learned))


def _weak(
    protocol: str, T: float, *, N: int, samples: int, sweeps: int, gamma: float, r: list[float], M: list[int]
) -> xr.Dataset:
    """The same by quality and number of the examples, at one load and temperature."""
    K = gamma_to_K(gamma, N=N, P=P)

    def one(seed: int) -> Floats:
        xi = patterns(N=N, K=int(K), seed=seed)
        m = np.empty((len(r), len(M)))
        for i, quality in enumerate(r):
            eta = examples(xi, r=quality, M=max(M), seed=seed)
            for j, many in enumerate(M):
                energy = stored(xi, eta[:, :, :many], P=P, r=quality, protocol=protocol)
                m[i, j] = overlaps(energy, xi, start=1.0, T=[T], sweeps=sweeps, seed=seed)[0]
        return m

    exact = {"P": P, "protocol": protocol, "gamma": gamma, "T": T, **LAWS["binomial"]}
    theory = retrieved({"r": r, "M": M}, exact).m.rename(r="r_mc", M="M_mc")
    ds = averaged(over_samples(one, samples), ("r_mc", "M_mc")).assign(theory=theory)
    return ds.rename({k: f"weak_{k}" for k in ds.data_vars})
