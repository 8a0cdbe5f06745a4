r"""Learning curves of wide networks: degrees of the sphere learnt one by one, and where more data make it worse."""

import numpy as np
import xarray as xr
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve
from tqdm import tqdm

from ..theory.kernels.activations import Relu
from ..theory.kernels.generalisation import learning_curve
from ..theory.kernels.network import Network, mlp
from ..theory.kernels.spectra import SphereSpectrum, gegenbauer, sphere_spectrum, zonal_kernel
from ._nn_staircase_drawn import draw
from .recipe import Recipe

Floats = NDArray[np.float64]
K_MAX = 6
SHARE = np.array([0, 1, 1, 1, 0, 0, 0]) / 3
"""Power of the target in degrees 0 ... K_MAX."""
CASES = {"A": (1.0, 0.5), "B": (0.01, 0.5), "C": (0.1, 4.0)}
"""Points (ridge, noise) of the diagram whose curves are drawn, in units of the trace and of the power."""


def data(
    *,
    dims: list[int],
    limit: int,
    shown: int,
    P: list[int],
    points: int,
    n_line: int,
    modes: int,
    load: list[float],
    draws: int,
    n_map: int,
) -> xr.Dataset:
    """E_g of the NTK on spheres by d, and by degree, with simulations of about ``points`` training points in all.

    And of a flat spectrum: the phases of E_g(P) over ridge and noise, and three curves with simulations.
    """
    net = mlp(hidden_layers=2, activation=Relu(), sigma_w=2**0.5, sigma_b=0.5)
    rows = [_sphere(net, d, n_line, P, points) for d in tqdm(dims, unit="sphere", delay=2, disable=None)]
    ds = xr.concat(rows, "d").assign_coords(d=dims, P=P)
    far = _theory(_spectrum(net, limit), limit ** ds["x"].values)
    ds["limit"] = "x", far.E_g.values
    return (
        ds.merge(_flat(modes, load, draws)).merge(_diagram(n_map)).assign_attrs(shown=shown, limit=limit, modes=modes)
    )


def _spectrum(net: Network, d: int) -> SphereSpectrum:
    return sphere_spectrum(zonal_kernel(net, dim=d, norm=d**0.5), dim=d, k_max=K_MAX)


def _theory(spectrum: SphereSpectrum, P: Floats) -> xr.Dataset:
    """The degrees above K_MAX are a ridge."""
    given = {"target_power": SHARE, "multiplicity": spectrum.multiplicities}
    return learning_curve(spectrum.eigenvalues, P=P, ridge=spectrum.trace_residual, **given)


def _sphere(net: Network, d: int, n_line: int, P: list[int], points: int) -> xr.Dataset:
    """Theory over x = ln P/ln d and simulations at P, with about points/P^2 draws of each."""
    spectrum = _spectrum(net, d)
    x = np.linspace(0.3, 3.5, n_line)
    line = _theory(spectrum, d**x)
    mean, error = np.full((2, len(P), K_MAX + 2), np.nan)
    for i, size in enumerate(P):
        if size > d ** x[-1]:
            continue
        many = int(np.clip(points / size**2, 16, 200))
        found = np.array([_draw(net, spectrum, size, (d, size, draw)) for draw in range(many)])
        mean[i], error[i] = found.mean(0), found.std(0, ddof=1) / many**0.5
    return xr.Dataset(
        {
            "E_g": ("x", line.E_g.values),
            "modes": (("x", "degree"), line.mode_error.values),
            "E_mc": ("P", mean[:, -1]),
            "E_mc_error": ("P", error[:, -1]),
            "modes_mc": (("P", "degree"), mean[:, :-1]),
            "modes_mc_error": (("P", "degree"), error[:, :-1]),
            "count": ("degree", spectrum.multiplicities),
            "share": ("degree", SHARE),
        },
        coords={"x": x},
    )


def _draw(net: Network, spectrum: SphereSpectrum, P: int, seed: tuple[int, int, int]) -> Floats:
    """Errors by degree and their sum, of kernel regression on P points; over the whole sphere, by <P_k P_k> = P_k/N.

    The target is the sum over k of c_k N_k^{1/2} P_k(x.w).
    """
    rng = np.random.default_rng(seed)
    d, N, lam = spectrum.dims[0], spectrum.multiplicities, spectrum.eigenvalues
    X = rng.standard_normal((P, d))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    c = np.sqrt(SHARE * N)
    seen = gegenbauer(X[:, 0], dim=d, k_max=K_MAX)
    theta = np.array(net.kernel(d**0.5 * X, get="ntk").ntk)
    weight = cho_solve(cho_factor(theta, lower=True, overwrite_a=True), c @ seen)
    norm = np.zeros(K_MAX + 1)
    for first in range(0, P, 64):
        part = slice(first, first + 64)
        inner = gegenbauer(np.clip(X[part] @ X.T, -1, 1), dim=d, k_max=K_MAX)
        norm += (inner @ weight) @ weight[part]
    errors = N * lam**2 * norm - 2 * lam * c * (seen @ weight) + SHARE
    return np.append(errors, errors.sum())


def _flat(modes: int, load: list[float], draws: int) -> xr.Dataset:
    """E_g of M modes of one eigenvalue 1/M at the CASES, and of ridge regression with M Gaussian features."""
    line = np.geomspace(0.03, 30, 400)
    theory = [_one_mode(line, ridge, noise).E_g.values for ridge, noise in CASES.values()]
    mean, error = np.zeros((2, len(CASES), len(load)))
    for i, (ridge, noise) in enumerate(CASES.values()):
        for j, alpha in enumerate(load):
            found = [_features(modes, round(alpha * modes), ridge, noise, 1000 * j + k) for k in range(draws)]
            mean[i, j], error[i, j] = np.mean(found), np.std(found, ddof=1) / draws**0.5
    return xr.Dataset(
        {
            "flat": (("case", "line"), np.array(theory)),
            "flat_mc": (("case", "load"), mean),
            "flat_mc_error": (("case", "load"), error),
            "at": (("case", "axis"), list(CASES.values())),
        },
        coords={"case": list(CASES), "line": line, "load": np.round(np.array(load) * modes) / modes},
    )


def _one_mode(alpha: Floats, ridge: float | Floats, noise: float | Floats) -> xr.Dataset:
    """Learning curve of a flat spectrum, alpha = P/M: M modes of 1/M at P are one of weight 1 at alpha."""
    return learning_curve([1.0], target_power=[1.0], P=alpha, ridge=ridge, noise=noise)


def _features(M: int, P: int, ridge: float, noise: float, seed: int) -> float:
    rng = Generator(Philox(key=seed))
    X, w = rng.standard_normal((P, M)), np.full(M, M**-0.5)
    y = X @ w + noise**0.5 * rng.standard_normal(P)
    fit = np.linalg.solve(X.T @ X + ridge * M * np.eye(M), X.T @ y)
    return float(((w - fit) ** 2).sum())


def _diagram(n: int) -> xr.Dataset:
    """How often dE_g/dP changes sign (0 ... 2), and gamma where E_g peaks; the edges of the phases in closed form.

    With u = kappa/(P + kappa), E_g = u (u^2 + (r - s^2) u + s^2)/(u^2 + r), u = 1 at P = 0: it rises there if
    s^2 > 1 + 2 r, and somewhere if s^2 exceeds the least u (u^3 + 3 r u + 2 r^2)/(u^2 + 2 r u - r).
    """
    ridge, noise, alpha = np.geomspace(1e-3, 10, n), np.geomspace(3e-3, 30, n), np.geomspace(1e-3, 300, 8 * n)
    turns, gamma = np.zeros((2, n, n))
    for i, r in enumerate(ridge):
        curve = _one_mode(alpha, r, noise).transpose("P", ...)
        rising = np.diff(curve.E_g.values, axis=0) > 0
        turns[i] = (rising[1:] != rising[:-1]).sum(0)
        last = len(rising) - rising[::-1].argmax(0)
        gamma[i] = np.where(rising.any(0), curve.gamma.values[last], np.nan)
    u = np.linspace(1e-4, 1, 40000)[:, None]
    D = u**2 + 2 * ridge * u - ridge
    edge = np.where(D > 0, u * (u**3 + 3 * ridge * u + 2 * ridge**2) / np.where(D > 0, D, 1), np.inf).min(0)
    found = {"turns": (("ridge", "noise"), turns), "gamma": (("ridge", "noise"), gamma), "edge": ("ridge", edge)}
    return xr.Dataset(found, coords={"ridge": ridge, "noise": noise})


recipe = Recipe(
    name="learning_curve_staircase",
    data=data,
    draw=draw,
    full={
        "dims": [10, 20, 40, 160],
        "limit": 1000,
        "shown": 20,
        "P": [4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 2896],
        "points": 2 * 10**7,
        "n_line": 150,
        "modes": 200,
        "load": [0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 3.0, 5.0],
        "draws": 60,
        "n_map": 120,
    },
    draft={
        "dims": [6, 12],
        "limit": 100,
        "shown": 12,
        "P": [8, 32],
        "points": 0,
        "n_line": 20,
        "modes": 20,
        "load": [0.5, 1.5],
        "draws": 3,
        "n_map": 15,
    },
)
