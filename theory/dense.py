r"""The dense Hebbian network of P-spin interactions, replica symmetric, from patterns or from noisy examples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from ..core.errors import require_integer
from ..core.hermite import hermite_weights
from .examples import ExampleAverages, chain
from .glass import GlassTemperatures, glass_temperatures
from .learner import Learner
from .model import Report, parameter
from .noise import Mixture, Noise
from .overlap import GLASS_ABOVE, MATTIS_ABOVE, overlap

CLOSURES = ("full", "low_entropy")
DIAGONALS = ("excluded", "included")


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseHebbian(Learner):
    r"""Network of N spins and K = 2 gamma N^(P-1)/P! patterns, :math:`H = -\frac{P!}{2N^{P-1}}\sum_\mu
    \sum_{i_1<\dots<i_P}\xi_{i_1}^\mu\sigma_{i_1}\cdots\xi_{i_P}^\mu\sigma_{i_P}` = -(N/2) sum m^P, replica symmetric.

    The patterns that are not retrieved make a P-spin glass of energy covariance N xi(q), xi = gamma q^P/2. With
    C = (1 - q)/T and the field :math:`h = (\mu + \sqrt{\xi'(q)}\,z)/T`:

    .. math::
        m = \mathrm{E}\tanh h, \quad q = \mathrm{E}\tanh^2 h, \quad \mu = \tfrac P2 m^{P-1}, \qquad
        f = \frac{P-1}{2}m^P - \frac{\xi(1) - \xi(q) - (1-q)\xi'(q)}{2T} - T\,\mathrm{E}\ln 2\cosh h

    From M examples of quality r per pattern, of which the spin sees the mean v = etabar/(r xi) of variance rho:

    .. math::
        h = \frac{\mu v + \sqrt{\xi'(q)}\,z}{T}, \quad \mu = \tfrac P2 (1+\rho)^{P/2-1} n^{P-1}, \quad
        n = \frac{\mathrm{E}\,v\tanh h}{1+\rho}, \quad m^P \to (1+\rho)^{P/2} n^P \text{ in } f

    Single examples (unsupervised) make more noise, gamma (1 + rho_P)/(1 + rho)^P, rho_P = (1 - r^(2P))/(M r^(2P)).

    Parameters
    ----------
    P : int
        Spins per interaction, >= 3 (P = 2 is ``Hopfield``); odd P tells a state from its mirror image.
    gamma : array_like, shape (*grid)
        Load K P!/(2 N^(P-1)), >= 0; 0 is any K that grows more slowly.
    T : array_like, shape (*grid)
        Temperature T' = P! T/2 of the energy with prefactor N^(1-P), >= 0; T = 0 is the exact limit.
    protocol : {"storing", "supervised", "unsupervised"}
        Patterns themselves, class means of examples, or single examples.
    rho : array_like, optional
        Dataset entropy (1 - r^2)/(M r^2), >= 0 (supervised; with (r, M) only if they agree).
    r, M : array_like, optional
        Quality of an example, in (0, 1], and examples per pattern, an integer >= 1.
    closure : {"full", "low_entropy"}
        "low_entropy" takes n = m/(1 + rho), as arXiv:2212.00606 does for large datasets; f is then not stationary.
    diagonal : {"excluded", "included"}
        "included" is the energy -(N/2) sum m^P with repeated sites, whose noise is a mixture xi(q) =
        (gamma/2) sum_k (c_k^2 k!/P!) q^k, c_k = binom(P, k)(P - k - 1)!!, k = P, P - 2, ... >= 1.
    etabar : {"gaussian", "binomial"}
        Law of v: Gaussian as in the papers, or exact for finite M (needs r and M).

    Raises
    ------
    ValueError
        If a parameter is outside its range, a word is unknown, or the dataset is given twice and differs.

    Notes
    -----
    The diagonal is out of H and f; "included" leaves out the constant k = 0. Normalised by R^(P/2), R = r^2 (1 + rho),
    as in arXiv:2211.14067. See ``admissible`` for which solutions may be a phase.

    Theory is of states that overlap with all M examples of a pattern alike. Unsupervised, differences of these overlaps
    grow by ``example_gain`` = mu'(n) E[(1 - r^2 v^2) sech^2 h]/(R (M - 1) T) in one step: where it is 1 or more, the
    solution is unstable, and the network retrieves single examples.

    Examples
    --------
    >>> import mattis as mt
    >>> point = mt.solve(mt.DenseHebbian(P=3, gamma=0.3, T=0.4))
    >>> round(float(point.m), 10), round(float(point.free_energy), 10)
    (0.9316610655, -0.516952122)
    """

    P: int
    gamma: Any = parameter(0.0)
    T: Any = parameter(0.0)
    protocol: str = "storing"
    rho: Any = parameter(0.0, default=None)
    r: Any = parameter(0.0, 1.0, open_low=True, default=None)
    M: Any = parameter(1.0, integer=True, default=None)
    closure: str = "full"
    diagonal: str = "excluded"
    etabar: str = "gaussian"

    starts: ClassVar[tuple[str, ...]] = ("retrieval", "spin_glass", "paramagnet")
    load: ClassVar[str | None] = "gamma"
    symbols: ClassVar[Mapping[str, str]] = {
        "gamma": r"\gamma",
        "T": "T",
        "rho": r"\rho",
        "r": "r",
        "M": "M",
        "m": "m",
        "n": "n",
        "q": "q",
    }
    reference: ClassVar[str] = "Gardner, J. Phys. A 20 (1987) 3453; arXiv:2212.00606, arXiv:2211.14067"

    def __post_init__(self) -> None:
        require_integer(self.P, "P", 3, 170, ">= 3 (P = 2 is Hopfield) and <= 170")
        self.check_words(closure=CLOSURES, diagonal=DIAGONALS)
        super().__post_init__()

    def start(self, name: str) -> Array:
        """As aligned as can be (n^2 <= 1/(1 + rho)); frozen without alignment, if there is load; neither."""
        if name not in self.starts:
            raise self._no_start(name)
        if name == "retrieval":
            return self._stack(1 / np.sqrt(1 + self.rho), 0.0)
        with np.errstate(divide="ignore"):
            free = 1 / np.asarray(self.T)
        loaded = np.asarray(self.gamma) > 0
        if name == "paramagnet":  # in a random field nothing is free at T = 0
            loaded = loaded & np.isinf(free) & (self.diagonal == "included" and self.P % 2 == 1)
        return self._stack(0.0, np.where(loaded, 0.0, free))

    def box(self) -> tuple[Array, Array]:
        """|n| <= 1 and 0 <= C <= 1/T."""
        with np.errstate(divide="ignore"):
            return self._stack(-1.0, 0.0), self._stack(1.0, 1 / np.asarray(self.T))

    def _powers(self) -> list[tuple[int, Array]]:
        """(k, a_k) of xi(q) = gamma sum_k a_k q^k."""
        weights = hermite_weights(self.P, self.diagonal)
        if self.protocol != "unsupervised":
            return [(k, np.asarray(0.5 * w)) for k, w in weights.items()]
        R = self.r**2 * (1 + self.rho)
        return [
            (k, 0.5 * w * (self.r ** (2 * k) + (1 - self.r ** (2 * k)) / self.M) / R**self.P)
            for k, w in weights.items()
        ]

    def _noise(self, C: Array) -> tuple[Array, Array, Array]:
        """(q, xi'/gamma, xi''/gamma)."""
        q = overlap(C, np.asarray(self.T))
        first = sum((a * k * q ** (k - 1) for k, a in self._powers()), np.zeros(()))
        second = sum((a * k * (k - 1) * q ** (k - 2) for k, a in self._powers() if k > 1), np.zeros(()))
        return q, first, second

    def _signal(self, n: Array) -> tuple[Array, Array]:
        """The signal mu in the field, and d mu/dn."""
        slope = 0.5 * self.P * (1 + self.rho) ** (self.P / 2 - 1) * n ** (self.P - 2)
        return slope * n, (self.P - 1) * slope

    def _averages(self, x: Array) -> ExampleAverages:
        return self.mean_example.average(self._signal(x[0])[0], self.gamma * self._noise(x[1])[1], self.T)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """(n, C) -> (E v tanh/(1 + rho), E sech^2/T); m replaces E v tanh in the low-entropy closure."""
        n, C = x
        _, first, second = self._noise(C)
        mu, mu_n = self._signal(n)
        a = self.mean_example.average(mu, self.gamma * first, self.T)
        with np.errstate(invalid="ignore"):
            by_C = -np.asarray(self.T) * self.gamma * second
            share = 1 + self.rho
            image = np.stack([self._seen(a) / share, a.C])
            full = self.closure == "full"
            by_mu, by_noise = (a.vv_C, a.v_C_mean) if full else (a.v_C, a.C_mean)
            n_n, n_C = chain(by_mu, mu_n) / share, 0.5 * chain(by_noise, by_C) / share
            C_n, C_C = chain(a.v_C_mean, mu_n), chain(a.C_var, by_C)
        return image, np.stack([np.stack([n_n, n_C]), np.stack([C_n, C_C])])

    def _seen(self, a: ExampleAverages) -> Array:
        """What makes (1 + rho) n: E v tanh, or m in the closure."""
        return a.v_tanh if self.closure == "full" else a.tanh

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """Mattis overlap m, example overlap n (with examples), overlap q; unsupervised also the ``example_gain``."""
        q = overlap(x[1], np.asarray(self.T))
        if self.protocol == "storing":
            return {"m": x[0], "q": q}
        a = self._averages(x)
        found, gain = {"m": a.tanh, "n": x[0], "q": q}, self.example_gain(x[0], a.C, a.vv_C)
        return found if gain is None else found | {"example_gain": gain}

    def example_gain(self, n: Array, C: Array, vv_C: Array) -> Array | None:
        """By how much the map makes differences between the overlaps with the examples of a pattern grow."""
        if self.protocol != "unsupervised":
            return None
        slope = self._signal(n)[1] / (self.r**2 * (1 + self.rho) * np.maximum(self.M - 1, 1))
        with np.errstate(invalid="ignore"):
            return np.where(self.M > 1, chain(slope, C - self.r**2 * vv_C), 0.0)

    def report(self, x: Array) -> Report:
        """f as in the class docstring, with (1 - q) = T C taken out of the glass terms.

        u = -S/2 - [xi(1) - xi(q)]/T, S = (1 + rho)^(P/2) n^P; s = E[ln 2cosh h - h tanh h] - [xi(1) - xi(q) -
        (1 - q) xi'(q)]/(2 T^2); replicon = 1 - xi''(q) E sech^4/T^2. In the low-entropy closure f - u + T s =
        -rho mu^2 C, elsewhere 0.
        """
        n, C = x
        q, first, second = self._noise(C)
        mu = self._signal(n)[0]
        a = self.mean_example.average(mu, self.gamma * first, self.T)
        signal = (1 + self.rho) ** (self.P / 2) * n**self.P
        with np.errstate(invalid="ignore"):
            frozen, curved = self.gamma * C * self._difference(q), self.gamma * C * C * self._curvature(q)
            f = 0.5 * (self.P - 1) * signal - 0.5 * np.asarray(self.T) * curved - a.log2cosh
            unstable = np.where(np.asarray(self.gamma) * second > 0, self.gamma * second * a.sech4, 0.0)
        return Report(
            f,
            -0.5 * signal - frozen,
            a.entropy - 0.5 * curved,
            1 - unstable,
            self.mean_example.error(mu, self.gamma * first, self.T),
        )

    def _difference(self, q: Array) -> Array:
        """[xi(1) - xi(q)]/(gamma (1 - q)) = sum_k a_k (1 + q + ... + q^(k-1))."""
        return sum((a * np.polynomial.polynomial.polyval(q, np.ones(k)) for k, a in self._powers()), np.zeros(()))

    def _curvature(self, q: Array) -> Array:
        """[xi(1) - xi(q) - (1 - q) xi'(q)]/(gamma (1 - q)^2) = sum_k a_k (1 + 2 q + ... + (k - 1) q^(k-2))."""
        terms = ((a, np.arange(1.0, k)) for k, a in self._powers() if k > 1)
        return sum((a * np.polynomial.polynomial.polyval(q, c) for a, c in terms), np.zeros(()))

    def admissible(self, x: Array, report: Report) -> NDArray[np.bool_]:
        r"""Whether replica symmetry can tell that the solution may be the state of equilibrium.

        Never the solution with m = 0 and q > 0 (in the random field of an odd P with its diagonal: where its replicon
        is negative). Not the paramagnet below T_s sqrt(gamma), where the glass of one-step broken symmetry replaces
        it; there a retrieval state only where its f is below that of the paramagnet at T_s, which bounds the glass
        from below, as an entropy is not negative.
        """
        finite = np.isfinite(report.free_energy)
        aligned, q = abs(x[0]) > MATTIS_ABOVE, overlap(x[1], np.asarray(self.T))
        T_s = self.glass_temperatures().static
        if np.isnan(T_s).any():
            return finite & (aligned | (report.replicon > 0))
        warm = np.asarray(self.T) >= T_s * (1 - 1e-8)
        with np.errstate(divide="ignore", invalid="ignore"):
            whole = self.gamma * sum(a for _, a in self._powers())
            lowest = -T_s * np.log(2) - np.where(T_s > 0, whole / (2 * T_s), 0.0)
        return finite & np.where(aligned, warm | (report.free_energy <= lowest), warm & (q <= GLASS_ABOVE))

    def glass_temperatures(self) -> GlassTemperatures:
        """T_d, below which the paramagnet is not ergodic, and T_s, below which it is no equilibrium; of one-step broken
        symmetry, in units of T. nan in a random field (odd P, diagonal included).
        """
        powers = self._powers()
        each = np.stack(np.broadcast_arrays(*(a for _, a in powers)), axis=-1)
        whole = each.sum(axis=-1)
        kinds, which = np.unique((each / whole[..., None]).reshape(-1, len(powers)), axis=0, return_inverse=True)
        found = [glass_temperatures(tuple((k, w) for (k, _), w in zip(powers, kind, strict=True))) for kind in kinds]
        units = np.reshape(np.array(found).reshape(-1, 2)[which.ravel()], (*whole.shape, 2))
        return GlassTemperatures(*(units[..., i] * np.sqrt(self.gamma * whole) for i in (0, 1)))

    def noise(self) -> Noise:
        """R = xi'(q)."""
        return Mixture(tuple((k, float(self.gamma * a)) for k, a in self._powers()))

    def signal(self, n: Any) -> tuple[Any, Any]:
        """mu of the class docstring, of energy -(1 + rho)^(P/2) n^P/2."""
        return self._signal(n)[0], -0.5 * (1 + self.rho) ** (self.P / 2) * n**self.P

    def branch(self, m: Array, sd: Array) -> tuple[Array, Array, Array]:
        """(residual, gamma, x) at signal m (n with examples) and noise sd = sqrt(xi'(q)): gamma = sd^2/(xi'/gamma)."""
        a = self.mean_example.average(self._signal(m)[0], sd**2, self.T)
        _, first, _ = self._noise(a.C)
        with np.errstate(divide="ignore", invalid="ignore"):
            gamma = np.where(first > 0, sd**2 / first, np.nan)
        return self._seen(a) - (1 + self.rho) * m, gamma, np.stack([m, a.C])

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Retrieval where |m| > 1e-3, else spin glass where q > 1e-4, else paramagnet."""
        frozen = np.where(np.asarray(order["q"]) > GLASS_ABOVE, "spin_glass", "paramagnet")
        return np.where(abs(np.asarray(order["m"])) > MATTIS_ABOVE, "retrieval", frozen)
