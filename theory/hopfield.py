r"""The Hopfield network near saturation, replica symmetric, from patterns or from noisy examples of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..core.backend import Array
from .examples import ExampleAverages, chain
from .learner import Learner
from .model import Report, parameter
from .modes import Modes, modes_of
from .noise import Noise
from .overlap import GLASS_ABOVE, MATTIS_ABOVE


@dataclass(frozen=True, kw_only=True, eq=False)
class Hopfield(Learner):
    r"""Hebbian network of N spins and K = alpha N patterns, :math:`H = -\frac{1}{2N}\sum_\mu\sum_{i\ne j}
    \xi_i^\mu\xi_j^\mu\sigma_i\sigma_j`, replica symmetric.

    With C = (1 - q)/T, D = 1 - C > 0 and the field :math:`h = (m + \sqrt{\alpha r}\,z)/T`:

    .. math::
        m = \mathrm{E}\tanh h, \quad q = \mathrm{E}\tanh^2 h, \quad r = \frac{q}{D^2}, \qquad
        f = \frac{m^2}{2} + \frac{\alpha}{2}\Bigl[1 + T\ln D - \frac{q}{D} + rC\Bigr] - T\,\mathrm{E}\ln 2\cosh h

    Learning from M examples of quality r, :math:`\eta = \chi\xi` with P(chi = 1) = (1 + r)/2, replaces m in the
    field by n v, v = etabar/(r xi) the mean example, with n = E v tanh h/(1 + rho); where v is Gaussian, n =
    (m + rho n C)/(1 + rho) and the variance of the field grows by rho n^2. Unsupervised learning (each example
    stored by itself) adds M - 1 soft modes per pattern of coupling kappa = rho/(1 + rho) to the noise: r = q/D^2 +
    (M - 1) kappa^2 q/(1 - kappa C)^2.

    Parameters
    ----------
    alpha : array_like, shape (*grid)
        Load K/N, >= 0.
    T : array_like, shape (*grid)
        Temperature, >= 0, in units of J; T = 0 is the exact limit.
    protocol : {"storing", "supervised", "unsupervised"}
        Patterns themselves, class means of examples, or single examples.
    rho : array_like, optional
        Dataset entropy (1 - r^2)/(M r^2), >= 0 (supervised; with (r, M) only if they agree).
    r : array_like, optional
        Quality of an example, in (0, 1]. The noise overlap is reported as ``r_noise``.
    M : array_like, optional
        Examples per pattern, an integer >= 1 (needed with r where unsupervised).
    etabar : {"gaussian", "binomial"}
        Law of v: Gaussian as in the papers, or exact for finite M (needs r and M).

    Raises
    ------
    ValueError
        If a parameter is outside its range, protocol is unknown, or the dataset is given twice and differs.

    Notes
    -----
    The diagonal is out of H and of f (for examples: alpha/2 supervised, alpha/(2R) unsupervised,
    R = r^2 (1 + rho)); Amit, Gutfreund and Sompolinsky write r for ``r_noise``. f is nan where D <= 0.

    Examples
    --------
    >>> import mattis as mt
    >>> point = mt.solve(mt.Hopfield(alpha=0.05, T=0.2))
    >>> round(float(point.m), 10), round(float(point.free_energy), 10)
    (0.9988777631, -0.500111165)
    """

    alpha: Any = parameter(0.0)
    T: Any = parameter(0.0)
    protocol: str = "storing"
    rho: Any = parameter(0.0, default=None)
    r: Any = parameter(0.0, 1.0, open_low=True, default=None)
    M: Any = parameter(1.0, integer=True, default=None)
    etabar: str = "gaussian"

    starts: ClassVar[tuple[str, ...]] = ("retrieval", "spin_glass", "paramagnet")
    continuous: ClassVar[tuple[str, ...]] = ("spin_glass",)
    load: ClassVar[str | None] = "alpha"
    symbols: ClassVar[Mapping[str, str]] = {
        "alpha": r"\alpha",
        "T": "T",
        "rho": r"\rho",
        "r": "r",
        "M": "M",
        "m": "m",
        "n": "n",
        "q": "q",
        "r_noise": r"r",
    }
    reference: ClassVar[str] = "Amit, Gutfreund, Sompolinsky, Ann. Phys. 173 (1987) 30"

    def start(self, name: str) -> Array:
        """Aligned with the pattern; frozen without alignment (without load there is no glass); neither."""
        if name not in self.starts:
            raise self._no_start(name)
        if name == "retrieval":
            return self._stack(1 / np.sqrt(1 + self.rho), 0.0)
        with np.errstate(divide="ignore"):
            free = 1 / np.asarray(self.T)
        return self._stack(0.0, np.where(np.asarray(self.alpha) > 0, 0.0, free) if name == "spin_glass" else free)

    def box(self) -> tuple[Array, Array]:
        """|n| <= 1 (it cannot exceed the largest mean example), 0 <= C <= 1/T, and C < 1 under load."""
        with np.errstate(divide="ignore"):
            top = np.where(
                np.asarray(self.alpha) > 0, np.minimum(1 - 1e-9, 1 / np.asarray(self.T)), 1 / np.asarray(self.T)
            )
        return self._stack(-1.0, 0.0), self._stack(1.0, top)

    @property
    def _modes(self) -> Modes:
        return modes_of(self.protocol, self.alpha, self.T, self.rho, self.r, self.M)

    def _averages(self, x: Array) -> ExampleAverages:
        return self.mean_example.average(x[0], self._modes.loaded(self._modes.noise(x[1])[1]), self.T)

    def self_consistency(self, x: Array) -> tuple[Array, Array]:
        """(n, C) -> (E v tanh/(1 + rho), E sech^2/T), chained through the variance of the noise."""
        n, C = x
        modes = self._modes
        _, r, dr = modes.noise(C)
        a = self.mean_example.average(n, modes.loaded(r), self.T)
        share, by_C = 1 + self.rho, modes.loaded(dr)
        by_n = np.stack([a.vv_C / share, a.v_C_mean])
        by_C = np.stack([0.5 * chain(a.v_C_mean, by_C) / share, chain(a.C_var, by_C)])
        return np.stack([a.v_tanh / share, a.C]), np.stack([by_n, by_C], axis=1)

    def order_parameters(self, x: Array) -> dict[str, Array]:
        """Mattis overlap m, example overlap n (with examples), overlap q, noise overlap r_noise."""
        q, r, _ = self._modes.noise(x[1])
        found = {"m": x[0], "q": q, "r_noise": r}
        if self.protocol != "storing":
            found = {"m": self._averages(x).tanh, "n": x[0], "q": q, "r_noise": r}
        return found

    def report(self, x: Array) -> Report:
        """With (1 + rho) n^2 for m^2 and sums over soft modes (k = coupling, D = 1 - k C); nan where D <= 0.

        f as in the class docstring; u = -(1 + rho) n^2/2 + (alpha/2)[diagonal - sum k/D - r C];
        s = E[ln 2cosh h - h tanh h] - (alpha/2) sum [ln D + k C/D];
        replicon = 1 - alpha (E sech^4/T^2) sum k^2/D^2.
        """
        n, C = x
        modes = self._modes
        noise = modes.loaded(modes.noise(C)[1])
        a = self.mean_example.average(n, noise, self.T)
        glass_f, glass_u, glass_s = modes.thermodynamics(C)
        signal = 0.5 * (1 + self.rho) * n**2
        return Report(
            signal + glass_f - a.log2cosh,
            -signal + glass_u,
            a.entropy + glass_s,
            1 - modes.instability(C, a.sech4),
            self.mean_example.error(n, noise, self.T),
        )

    def noise(self) -> Noise:
        """R(q) = alpha int dq/lambda^2, a term of each kind of soft modes."""
        return self._modes.soft()

    def signal(self, n: Any) -> tuple[Any, Any]:
        """mu = n, of energy -(1 + rho) n^2/2."""
        return n, -0.5 * (1 + self.rho) * n**2

    def branch(self, m: Array, sd: Array) -> tuple[Array, Array, Array]:
        """(residual, alpha, x) at signal m (n with examples) and noise sd = sqrt(alpha r).

        alpha = sd^2/r, r the noise overlap at C = E sech^2/T; nan where D <= 0.
        """
        a = self.mean_example.average(m, sd**2, self.T)
        _, r, _ = self._modes.noise(a.C)
        with np.errstate(divide="ignore", invalid="ignore"):
            alpha = np.where(a.C < 1, sd**2 / r, np.nan)
        return a.v_tanh - (1 + self.rho) * m, alpha, np.stack([m, a.C])

    @classmethod
    def label(cls, order: Mapping[str, Any]) -> NDArray[np.str_]:
        """Retrieval where |m| > 1e-3, else spin glass where q > 1e-4, else paramagnet."""
        frozen = np.where(np.asarray(order["q"]) > GLASS_ABOVE, "spin_glass", "paramagnet")
        return np.where(abs(np.asarray(order["m"])) > MATTIS_ABOVE, "retrieval", frozen)
