r"""Networks that retrieve several diluted patterns at once: low load, or under the noise of an extensive one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require_integer
from .dataset import PROTOCOLS, resolve
from .diluted_field import DilutedAverages, average
from .entries import Entries
from .examples import chain
from .model import Model, Report, parameter
from .modes import Modes, modes_of
from .overlap import GLASS_ABOVE
from .parallel import RETRIEVED_ABOVE, STARTS, amplitudes, name_states

_PLAIN, _ROUNDING = 40, 4e-16


@dataclass(frozen=True, kw_only=True, eq=False)
class Multitasking(Model):
    r"""Hebbian network of patterns with blank entries, P(xi = +-1) = (1 - d)/2 and P(xi = 0) = d; K of them retrieved.

    H = -(N/2) sum_mu m_mu^2 with m_mu = (1/N) sum_i xi_i^mu sigma_i ("raw"), divided by 1 - d in units "unit". With
    p = 1 - d, :math:`\hat T = T/p` in raw units, C = (1 - q)/:math:`\hat T`, r = q/(1 - C)^2 and the field

    .. math::
        h = (\xi\cdot\hat m + \sqrt{\alpha r}\,z)/\hat T, \qquad \hat m_\mu = \frac{m_\mu}{p} =
        \frac1p \mathrm{E}\,\xi^\mu\tanh h, \qquad q = \mathrm{E}\tanh^2 h

    .. math::
        \frac fp = \frac p2 \sum_\mu \hat m_\mu^2 + \frac\alpha2\Bigl[1 + \hat T\ln(1-C) - \frac{q}{1-C} + rC\Bigr]
        - \hat T\,\mathrm{E}\ln 2\cosh h

    Learning replaces xi in the field by eta = xi v, v the mean example over r, and m by :math:`n_\mu = \mathrm{E}
    \eta^\mu\tanh h/(1 + \rho)`; supervised and unsupervised obey the same equations at alpha = 0 but for the growth of
    differences between single examples, ``example_gain``. Under load the modes are those of :class:`mattis.Hopfield`.

    Parameters
    ----------
    d : array_like, shape (*grid)
        Dilution, in [0, 1).
    T : array_like, shape (*grid)
        Temperature, >= 0; T_c = 1 - d in raw units, 1 in "unit". T = 0 is the exact limit, ties of a field counting 0.
    K : int
        Patterns that may be retrieved together, >= 1.
    alpha : array_like
        Load of all other patterns per spin, >= 0.
    protocol : {"storing", "supervised", "unsupervised"}
        Patterns themselves, class means of examples, or single examples.
    rho : array_like, optional
        Dataset entropy (1 - r^2)/(M r^2), >= 0: given alone, v = 1 + sqrt(rho) lambda is Gaussian.
    r : array_like, optional
        Quality of an example, in (0, 1]; with M, v is exactly binomial.
    M : array_like, optional
        Examples per pattern, an integer >= 1.
    normalization : {"raw", "unit"}
        Units of T and of energies; m and n are the same in both, m_hat = m/(1 - d).

    Raises
    ------
    ValueError
        If a parameter is outside its range, a word is unknown, or the dataset is given twice and differs.

    Notes
    -----
    Sources: Agliari et al., Phys. Rev. Lett. 109, 268101 (2012); arXiv:2308.04106. ``retrieved`` counts the patterns
    with |m_mu| > 1e-6 (1 - d). In a "mixture" some spins follow a majority.

    Examples
    --------
    >>> import mattis as mt
    >>> state = mt.solve(mt.Multitasking(d=0.3, T=0.1, K=2))
    >>> state.m.round(10).tolist(), round(float(state.free_energy), 10), str(state.label)
    ([0.6999760657, 0.2028858209], -0.2736241702, 'hierarchical')
    """

    d: Any = parameter(0.0, 1.0, open_high=True)
    T: Any = parameter(0.0)
    K: int
    alpha: Any = parameter(0.0, default=0.0)
    protocol: str = "storing"
    rho: Any = parameter(0.0, default=None)
    r: Any = parameter(0.0, 1.0, open_low=True, default=None)
    M: Any = parameter(1.0, integer=True, default=None)
    normalization: str = "raw"
    _loaded: bool = field(init=False, repr=False, default=False)
    _binomial: bool = field(init=False, repr=False, default=False)

    starts: ClassVar[tuple[str, ...]] = STARTS
    continuous: ClassVar[tuple[str, ...]] = ("spin_glass",)
    load: ClassVar[str | None] = "alpha"
    along_noise: ClassVar[bool] = True
    symbols: ClassVar[Mapping[str, str]] = {
        "d": "d",
        "T": "T",
        "alpha": r"\alpha",
        "rho": r"\rho",
        "r": "r",
        "M": "M",
        "m": r"m_\mu",
        "m_hat": r"\hat m_\mu",
        "n": r"n_\mu",
        "q": "q",
        "r_noise": "r",
    }
    reference: ClassVar[str] = "Agliari, Barra, Galluzzi, Guerra, Moauro, Phys. Rev. Lett. 109, 268101 (2012)"

    def __post_init__(self) -> None:
        self.check_words(protocol=PROTOCOLS, normalization=("raw", "unit"))
        require_integer(self.K, "K", 1, 10_000, "in [1, 10000]")
        super().__post_init__()
        self._set("_loaded", bool(np.ndim(self.alpha)) or bool(np.any(self.alpha > 0)))
        self._set("_binomial", self.r is not None)
        self._set("rho", resolve(self.protocol, self.rho, self.r, self.M))
        self._check_shapes()

    @property
    def order(self) -> tuple[str, ...]:  # type: ignore[override]
        """m and q; with examples also n."""
        return ("m", "q") if self.protocol == "storing" else ("m", "n", "q")

    @property
    def variables(self) -> tuple[str, ...]:
        """The signals in the field, n_mu/(1 - d) (m_mu where patterns are stored), and under load C."""
        name = "m" if self.protocol == "storing" else "n"
        signals = tuple(f"{name}_{k + 1}" for k in range(self.K))
        return (*signals, "C") if self._loaded else signals

    def moved(self, name: str, values: Array) -> Self:
        """As of any model; where the load is moved, C is among the variables."""
        new = super().moved(name, values)
        if name == "alpha":
            new._set("_loaded", True)
        return new

    @property
    def _p(self) -> Array:
        return 1 - np.asarray(self.d)

    @property
    def _T_hat(self) -> Array:
        return np.asarray(self.T) / (self._p if self.normalization == "raw" else 1.0)

    @property
    def _entries(self) -> Entries:
        return Entries(self.rho, self.r, self.M) if self._binomial else Entries(self.rho)

    @property
    def _modes(self) -> Modes:
        return modes_of(self.protocol, self.alpha, self._T_hat, self.rho, self.r, self.M)

    def start(self, name: str) -> Array:
        """Amplitudes d^(k-1); one; all equal; the lowest mixture of T = 0; none, frozen or free."""
        if name not in self.starts:
            raise self._no_start(name)
        d = np.broadcast_to(self.d, self.shape)
        n = amplitudes(name, self.K, d) / np.sqrt(1 + self.rho)
        if not self._loaded:
            return n
        return np.concatenate([n, self._free(name == "paramagnet")[None]])

    def _free(self, always: bool) -> Array:
        """C of a paramagnet, 1/T (without load C is not iterated); 0 of what is frozen."""
        with np.errstate(divide="ignore"):
            free = np.where(np.asarray(self.alpha) > 0, 1 / self._T_hat, 0.0)
        return np.broadcast_to(free if always else 0.0, self.shape)

    @property
    def plain_steps(self) -> int:
        """The map is the gradient of a convex function: at low load plain steps only lower f."""
        return 0 if self._loaded else _PLAIN

    def sector(self, start: str) -> NDArray[np.intp] | None:
        """All amplitudes equal, or all but the first zero."""
        if start not in ("symmetric", "pure", "paramagnet", "spin_glass"):
            return None
        kept = {"symmetric": [0] * self.K, "pure": [0] + [-1] * (self.K - 1)}.get(start, [-1] * self.K)
        return np.array(kept + [max(kept) + 1] * self._loaded, np.intp)

    def box(self) -> tuple[Array, Array]:
        """|n_mu| <= 1 - d, 0 <= C <= 1/T, and C < 1 under load."""
        signals = np.full((self.K, *self.shape), 1 + 1e-9)  # at low T m_hat = 1 but for rounding
        if not self._loaded:
            return -signals, signals
        with np.errstate(divide="ignore"):
            top = np.minimum(1 - 1e-9, 1 / self._T_hat)[None] * np.ones((1, *self.shape))
        return np.concatenate([-signals, 0 * top]), np.concatenate([signals, top])

    def _split(self, x: Array) -> tuple[Array, Array, tuple[Array, Array, Array]]:
        """(n, C, noise (q, r, dr/dC)) of the variables."""
        C = x[self.K] if self._loaded else np.zeros(self.shape)
        return x[: self.K], C, self._modes.noise(C)

    def _averages(self, x: Array, check: bool = False) -> DilutedAverages:
        n, _, (_, r, _) = self._split(x)
        return average(self._entries, self.d, n, self._modes.loaded(r), self._T_hat, check)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """(n, C) -> (E eta tanh h/(1 + rho), E sech^2/T), chained through the variance of the noise."""
        a, share = self._averages(x), (1 + self.rho) * self._p
        F, J = a.eta_tanh / share, a.response / share
        if not self._loaded:
            return F, J
        by_C, under = self._modes.loaded(self._split(x)[2][2]), np.asarray(self.alpha) > 0
        F = np.concatenate([F, np.where(under, a.C, 0.0)[None]])
        side = 0.5 * chain(a.C_n, np.broadcast_to(by_C, self.shape)) / share
        last = np.concatenate([a.C_n, chain(a.C_noise, by_C)[None]]) * under
        return F, np.concatenate([np.concatenate([J, side[:, None]], axis=1), last[None]])

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """m and m_hat = m/(1 - d), n (with examples), q, r_noise, retrieved; example_gain where examples are stored."""
        n, _, (q, r, _) = self._split(x)
        a = self._averages(x)
        m = a.xi_tanh if self.protocol != "storing" else n * self._p
        found = {"m": np.moveaxis(m, 0, -1), "m_hat": np.moveaxis(m / self._p, 0, -1)}
        if self.protocol != "storing":
            found["n"] = np.moveaxis(n * self._p, 0, -1)
        under = np.asarray(self.alpha) > 0
        found["q"], found["r_noise"] = np.where(under, q, a.q), np.where(under, r, np.nan)
        found["retrieved"] = (abs(m / self._p) > RETRIEVED_ABOVE).sum(axis=0)
        if self.protocol == "unsupervised":
            found["example_gain"] = self._example_gain(a)
        return found

    def _example_gain(self, a: DilutedAverages) -> Array:
        r"""Largest over mu of (E xi^2 sech^2 - r^2 E eta^2 sech^2)/(T R (M - 1)), R = r^2 (1 + rho); 0 for one example.

        An overlap with one example that grows past the others does so where this exceeds 1.
        """
        own = np.stack([a.response[k, k] for k in range(self.K)])
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = np.where(np.isinf(own), np.inf, a.xi2_C - self.r**2 * own)
            gain = spread / (self._p * self.r**2 * (1 + self.rho) * (self.M - 1))
        return np.where(np.asarray(self.M) > 1, gain.max(axis=0), 0.0)

    def report(self, x: Array) -> Report:
        """f and u = -(p/2) (1 + rho) sum n^2 + that of the modes, times p in raw units; nan where D <= 0."""
        n, C, _ = self._split(x)
        a, again, modes = self._averages(x), self._averages(x, check=True), self._modes
        f, u, s = modes.thermodynamics(C)
        signal = 0.5 * self._p * (1 + self.rho) * (n * n).sum(axis=0)
        unit = self._p if self.normalization == "raw" else 1.0
        with np.errstate(invalid="ignore"):
            error = abs(a.eta_tanh - again.eta_tanh).max(axis=0) / self._p + _ROUNDING
            error = np.maximum(error, np.nan_to_num(abs(a.C - again.C))) if self._loaded else error
        return Report(
            unit * (signal + f - a.log2cosh),
            unit * (u - signal),
            a.entropy + s,
            1 - modes.instability(C, a.sech4),
            error,
        )

    def hessian(self, n: Array) -> Array:
        """A = 1 + rho - E eta eta^T sech^2(h)/T at overlaps n (..., mu) of a solution, alpha = 0; shape (..., mu, mu).

        N Cov(n) = T (A^-1 - 1/(1 + rho)), T raw, and n relaxes as A/(1 + rho) per sweep of heat bath in random order.
        """
        a = average(self._entries, self.d, np.moveaxis(np.asarray(n), -1, 0) / self._p, np.zeros(()), self._T_hat)
        share = np.broadcast_to(1 + self.rho, self.shape)[..., None, None]
        return share * np.eye(self.K) - np.moveaxis(a.response / self._p, (0, 1), (-2, -1))

    def in_noise(self, m: Array, sd: Array) -> tuple[Array, Array]:
        """E eta tanh h/((1 + rho) (1 - d)) and its derivatives, at signals m = n_mu/(1 - d)."""
        a, share = average(self._entries, self.d, m, sd**2, self._T_hat), (1 + self.rho) * self._p
        return a.eta_tanh / share, a.response / share

    def branch(self, m: Array, sd: Array) -> tuple[Array, Array, Array]:
        """(residual, alpha, x) at signals m = n_mu/(1 - d) and noise sd = sqrt(alpha r); nan where D <= 0."""
        a = average(self._entries, self.d, m, sd**2, self._T_hat)
        _, r, _ = self._modes.noise(a.C)
        with np.errstate(divide="ignore", invalid="ignore"):
            alpha = np.where(a.C < 1, sd**2 / r, np.nan)
        return a.eta_tanh / ((1 + self.rho) * self._p) - m, alpha, np.concatenate([m, a.C[None]])

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """pure, hierarchical, parallel or mixture where patterns are retrieved; else spin glass or paramagnet."""
        q, m = np.asarray(order["q"]), np.asarray(order.get("m_hat", order["m"]))
        frozen = np.where((q > GLASS_ABOVE) & np.isfinite(order.get("r_noise", np.nan)), "spin_glass", "paramagnet")
        return name_states(m if m.ndim > q.ndim else m[..., None], frozen)

    @classmethod
    def ended_on(cls, order: Mapping[str, Any], start: str) -> NDArray[np.bool_]:
        """The hierarchical start may end on any state that retrieves something: with one pattern, on a pure one."""
        label = cls.label(order)
        if start == "hierarchical":
            return (label != "spin_glass") & (label != "paramagnet")
        return label == start
