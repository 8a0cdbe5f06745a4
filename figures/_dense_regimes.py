r"""Ultra-storage, K ~ N^(P-1), and ultra-detection, K = M = N and weak examples: the figures of both protocols.

Chains start from a corrupted archetype. At a fixed load the network needs M ~ r^-2 examples (supervised) or r^-2P
(unsupervised). With K = M = N the least quality falls as N^(-1/2) (supervised) or N^(-(P-1)/(2P)) (unsupervised).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

from ..mc.patterns import examples, patterns
from ..sweeps.learning import learning_threshold
from ..theory.dense import DenseHebbian
from ..theory.learning import minimal_examples, minimal_quality, ultra_detection
from ..theory.load import gamma_to_K, load_to_gamma
from ._dense import Floats, averaged, over_samples, overlaps, retrieved, stored

P, T, THETA, START = 4, 0.1, 0.9, 0.7
RHO = 0.1  # of ultra-detection at a given dataset entropy
EXACT = {"etabar": "binomial"}


def data(
    *,
    protocol: str,
    storage: dict[str, Any],
    detection: dict[str, Any],
    samples: int,
    sweeps: int,
    n_line: int,
) -> xr.Dataset:
    """Overlaps m reached in both regimes, theory beside them, and where m crosses THETA."""
    run = {"samples": samples, "sweeps": sweeps}
    parts = _storage(protocol, run, n_line, **storage), _detection(protocol, run, n_line, **detection)
    lost = sum(int(v.sum()) for part in parts for name, v in part.items() if str(name).startswith("unconverged"))
    return xr.merge(parts).assign_attrs(run | {"protocol": protocol, "n_unconverged": lost, "gamma": storage["gamma"]})


def _storage(
    protocol: str,
    run: dict[str, int],
    n_line: int,
    *,
    gamma: float,
    N: int,
    r: list[float],
    M: list[list[int]],
    weakest: float,
) -> xr.Dataset:
    """m at one load against M, values for each quality; the M needed against the quality."""
    K = int(gamma_to_K(gamma, N=N, P=P))

    def one(seed: int) -> Floats:
        xi = patterns(N=N, K=K, seed=seed)
        m = np.empty((len(r), len(M[0])))
        for i, quality in enumerate(r):
            eta = examples(xi, r=quality, M=max(M[i]), seed=seed)
            for j, many in enumerate(M[i]):
                m[i, j] = _reached(protocol, xi, eta[:, :, :many], quality, run["sweeps"], seed)
        return m

    m = over_samples(one, run["samples"])
    found = averaged(m, ("r_storage", "point_storage"))
    ds = found.rename(overlap="m_storage", overlap_error="m_storage_error")
    ds["M_storage"] = (("r_storage", "point_storage"), M)
    needed = np.array([_crossing(np.array(M[i], float), m[:, i]) for i in range(len(r))])
    ds = ds.assign({k: ("r_storage", v) for k, v in zip(("M_needed", "M_needed_error"), needed.T, strict=True)})
    const: dict[str, Any] = {"P": P, "gamma": gamma, "protocol": protocol}
    many = np.unique(np.rint(np.geomspace(1, 2 * np.max(M), n_line)))
    theory = retrieved({"r": r, "M": many}, const | EXACT | {"T": T})
    names = {"r": "r_storage", "M": "M_line", "m": "m_of_M", "unconverged": "unconverged_storage"}
    quality = np.geomspace(weakest, 0.95, n_line)
    lines = {
        "M_RS": learning_threshold(DenseHebbian, theta=THETA, T=T, r=quality, **const).M,
        "M_one_step": minimal_examples(theta=THETA, r=quality, **const),
    }
    ds = xr.merge([ds.assign_coords(r_storage=r), theory.rename(names)])
    ds = ds.assign({k: ("r_line", v) for k, v in lines.items()}).assign_coords(r_line=quality)
    return ds.assign_attrs(N_storage=N)


def _detection(
    protocol: str, run: dict[str, int], n_line: int, *, N: list[int], x: list[float], largest: int
) -> xr.Dataset:
    """m at K = M = N against the quality x N^-exponent, values for each size; the least quality against the size."""
    r = _quality(protocol, np.array(N), np.array(x))
    m = np.stack(
        [over_samples(_detected(protocol, *at, run["sweeps"]), run["samples"]) for at in zip(N, r, strict=True)], axis=1
    )
    found = averaged(m, ("N_detection", "point_detection"))
    ds = found.rename(overlap="m_detection", overlap_error="m_detection_error").assign_coords(N_detection=N)
    ds["r_detection"] = (("N_detection", "point_detection"), r)
    least = np.array([_crossing(r[i], m[:, i]) for i in range(len(N))])
    ds = ds.assign({k: ("N_detection", v) for k, v in zip(("r_least", "r_least_error"), least.T, strict=True)})
    curve = np.geomspace(0.8 * min(x), 1.2 * max(x), n_line)
    ds["r_curve"] = (("N_detection", "curve"), _quality(protocol, np.array(N), curve))
    theory = [_curve(protocol, size, q, EXACT) for size, q in zip(N, ds.r_curve.values, strict=True)]
    for name, kept in (("m", "m_curve"), ("unconverged", "unconverged_detection")):
        ds[kept] = (("N_detection", "curve"), np.array([part[name] for part in theory]))
    return xr.merge([ds, _least(protocol, np.geomspace(min(N), largest, n_line), curve)])


def exponent(protocol: str) -> float:
    """Of N, by which the least quality falls where K = M = N."""
    return 0.5 if protocol == "supervised" else (P - 1) / (2 * P)


def _quality(protocol: str, N: Floats, x: Floats) -> Floats:
    return np.minimum(np.outer(N ** -exponent(protocol), x), 1.0)


def _detected(protocol: str, N: int, r: Floats, sweeps: int) -> Callable[[int], Floats]:
    def one(seed: int) -> Floats:
        xi = patterns(N=N, K=N, seed=seed)
        m = np.empty(len(r))
        for i, quality in enumerate(r):
            m[i] = _reached(protocol, xi, examples(xi, r=quality, M=N, seed=seed), quality, sweeps, seed)
        return m

    return one


def _reached(protocol: str, xi: xr.DataArray, eta: xr.DataArray, r: float, sweeps: int, seed: int) -> float:
    energy = stored(xi, eta, P=P, r=r, protocol=protocol)
    return float(overlaps(energy, xi, start=START, T=[T], sweeps=sweeps, seed=seed)[0])


def _curve(protocol: str, N: float, r: Floats, law: dict[str, str]) -> xr.Dataset:
    const = {"P": P, "T": T, "gamma": load_to_gamma(N ** (2.0 - P), P=P), "M": np.rint(N), "protocol": protocol}
    return retrieved({"r": r}, const | law)


def _least(protocol: str, N: Floats, x: Floats) -> xr.Dataset:
    """The least quality against N: self-consistently with the mean example Gaussian; one step; that at a fixed rho."""
    every = _quality(protocol, N, x)
    asked: dict[str, Any] = {"P": P, "protocol": protocol, "theta": THETA}
    lines = {
        "r_RS": [_above(r, _curve(protocol, n, r, {}).m.values) for n, r in zip(N, every, strict=True)],
        "r_one_step": minimal_quality(gamma=load_to_gamma(N ** (2.0 - P), P=P), M=N, **asked),
        "r_rho": ultra_detection(N=N, b=1.0, rho=RHO, **asked).r,
    }
    return xr.Dataset({k: ("N_line", v) for k, v in lines.items()}, coords={"N_line": N})


def _crossing(x: Floats, m: Floats) -> tuple[float, float]:
    """(value, jackknife error over samples) of the x from which on the mean of m (sample, x) is above THETA."""
    whole = m.sum(axis=0)
    without = np.array([_above(x, (whole - one) / (len(m) - 1)) for one in m])
    return _above(x, whole / len(m)), float(np.sqrt((len(m) - 1) * without.var()))


def _above(x: Floats, m: Floats) -> float:
    """Where m rises through THETA for the last time, between two values linear in log x; nan where it does not."""
    below = np.flatnonzero(m < THETA)
    if below.size == 0 or below[-1] == len(x) - 1:
        return float("nan")
    k = below[-1]
    share = (THETA - m[k]) / (m[k + 1] - m[k])
    return float(x[k] * (x[k + 1] / x[k]) ** share)
