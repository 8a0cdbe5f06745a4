r"""Universal random features: a neuron f(w.x + b) as a dot product of something of x with something of w and b.

    f(z) = int fhat(xi) exp(2 pi i xi z) dxi = E_xi weight exp(2 pi i xi z),   xi ~ |fhat|/Z, weight = Z fhat/|fhat|,
    exp(c^2 x.w) = E_g L(x, g) L(w, g),       L(x, g) = exp(-c^2 |x|^2/2 + c g.x),  c^2 = 2 pi i xi, g ~ N(0, 1_d).

The bias is a factor exp(2 pi i xi b). The law of g can be tilted by any complex number tau = p + i q with p > 1/2,

    L(x, g) = tau^{d/4} exp((1 - tau) |g|^2/4 + c sqrt(tau) g.x - c^2 |x|^2/2),

without a change of the mean; tau takes the side of its conjugate where xi < 0. The second moment at given xi is

    E|L(x, g) L(w, g)|^2 = |tau|^d (2 p - 1)^{-d/2} exp(2 pi |xi| |x + w|^2 (|tau| - q)/(2 p - 1)),

exp(2 pi |xi| |x + w|^2) at tau = 1: these features are for small |x + w|, and for f whose transform falls faster than
any exponential or has a bound on xi.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import pi
from numbers import Complex as ComplexNumber

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from ...core.backend import Array
from ...core.errors import ConvergenceError, is_real, real_array, require, require_integer
from .features import rows

Complex = NDArray[np.complex128]
Spectrum = Callable[[np.random.Generator, int], tuple[Array, Complex]]
"""(generator, m) -> m frequencies xi and m weights with E weight exp(2 pi i xi z) = f(z)."""


def cosine_spectrum(rng: np.random.Generator, m: int) -> tuple[Array, Complex]:
    """Cos z: xi = +-1/(2 pi) with equal chance and weight 1.

    >>> cosine_spectrum(np.random.default_rng(1), 1)[0].round(6)
    array([-0.159155])
    """
    return rng.choice([-1.0, 1.0], m) / (2 * pi), np.ones(m, complex)


def sine_spectrum(rng: np.random.Generator, m: int) -> tuple[Array, Complex]:
    """Sin z: xi = +-1/(2 pi) with equal chance and weight -+i.

    >>> sine_spectrum(np.random.default_rng(1), 1)[1].imag
    array([1.])
    """
    xi = rng.choice([-1.0, 1.0], m) / (2 * pi)
    return xi, -1j * np.sign(xi)


def gaussian_spectrum(c: float) -> Spectrum:
    """Exp(-c z^2) of c > 0: xi ~ N(0, c/(2 pi^2)) with weight 1; ValueError if c is not positive and finite.

    >>> gaussian_spectrum(2.0)(np.random.default_rng(1), 3)[0].round(4)
    array([0.11  , 0.2615, 0.1052])
    """
    require(is_real(c) and c > 0, "c", c, "finite and > 0")
    return lambda rng, m: (rng.normal(0, np.sqrt(c / 2) / pi, m), np.ones(m, complex))


@dataclass(frozen=True, kw_only=True)
class UniversalFeatures:
    r"""Features of inputs and of neurons whose dot product estimates f(w.x + b) without bias.

    .. math::
        f(w.x + b) = E\, \mathrm{Re} \sum_i \phi_i(x)\, \psi_i(w, b), \qquad
        \phi_i(x) = \frac{L_{\xi_i}(x, g_i)}{\sqrt m}, \quad
        \psi_i(w, b) = \frac{a_i\, e^{2 \pi i \xi_i b}}{\sqrt m} L_{\xi_i}(w, g_i)

    with a_i the weight of xi_i. The variance of one term grows with |x + w| as the second moment of the module says.

    Parameters
    ----------
    spectrum : cosine_spectrum, sine_spectrum, gaussian_spectrum(c) or any function of that kind
        Frequencies and weights of a real f: called with a generator and m, it returns two arrays (m,).
    m : int >= 2
        Samples (xi, g).
    seed : int >= 0
    tilt : complex, real part > 1/2
        tau. A larger tau with q > 0 tames large |x + w| and costs a factor |tau|^d (2 p - 1)^{-d/2}; 1 is the formula
        of the source without its parameter A = (1 - tau)/4.

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its range.

    Source: A. Sehanobish et al., arXiv:2310.13225; the tilt is that of the optimal positive features of
    V. Likhosherstov et al., arXiv:2205.15317, with a complex A. The second moment is derived here.

    >>> features = UniversalFeatures(spectrum=cosine_spectrum, m=100_000, seed=1)
    >>> found = features.neuron([[0.5, -0.2]], [[0.3, 0.4]], b=[0.1])
    >>> round(float(found.value[0, 0]), 2), round(float(found.error[0, 0]), 3)  # cos(0.15 - 0.08 + 0.1) = 0.986
    (0.99, 0.002)
    """

    spectrum: Spectrum
    m: int
    seed: int
    tilt: complex = 1.0

    def __post_init__(self) -> None:
        require_integer(self.m, "m", 2, 2**31, "in [2, 2^31]")
        require_integer(self.seed, "seed", 0, 2**63 - 1, "in [0, 2^63)")
        number = isinstance(self.tilt, ComplexNumber) and bool(np.isfinite(self.tilt))
        require(number and self.tilt.real > 0.5, "tilt", self.tilt, "finite, of real part > 1/2")
        if not callable(self.spectrum):
            raise TypeError(f"spectrum must be a function such as cosine_spectrum, got {self.spectrum!r}")

    def inputs(self, X: ArrayLike) -> Complex:
        """Complex features phi (n, m) of the rows of X (n, d); ValueError for another shape."""
        X = rows("X", X)
        xi, _, g = self._samples(X.shape[1])
        return self._features(X, xi, g)

    def neurons(self, W: ArrayLike, b: ArrayLike | None = None) -> Complex:
        """Complex features psi (k, m) of the rows of W (k, d) and of b (k,), 0 where it is left out."""
        W = rows("W", W)
        b = np.zeros(len(W)) if b is None else real_array(b, "b")
        if b.shape != (len(W),):
            raise ValueError(f"b must have shape (k,) with k = {len(W)}, got {b.shape}")
        require(np.isfinite(b), "b", b, "finite")
        xi, weight, g = self._samples(W.shape[1])
        return self._features(W, xi, g) * weight * np.exp(2j * pi * np.outer(b, xi))

    def neuron(self, X: ArrayLike, W: ArrayLike, b: ArrayLike | None = None) -> xr.Dataset:
        """Estimates of f(w.x + b): ``value`` and standard ``error``, dims (x, neuron), shape (n, k).

        ValueError for wrong shapes; ConvergenceError where a feature overflows, as |x| or |w| is too large.
        """
        W = rows("W", W, rows("X", X).shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            phi, psi = self.inputs(X), self.neurons(W, b)
            value = (phi @ psi.T).real
            squares = 0.5 * self.m * (abs(phi) ** 2 @ (abs(psi) ** 2).T + (phi**2 @ (psi**2).T).real)
        if not np.isfinite(squares).all():
            raise ConvergenceError("a universal feature overflows: |x + w| is too large for the spectrum of f")
        error = np.sqrt(np.maximum(squares - value**2, 0) / (self.m - 1))
        return xr.Dataset({"value": (("x", "neuron"), value), "error": (("x", "neuron"), error)})

    def _samples(self, d: int) -> tuple[Array, Complex, Array]:
        rng = np.random.Generator(np.random.Philox(key=self.seed))
        xi, weight = self.spectrum(rng, self.m)
        if np.shape(xi) != (self.m,) or np.shape(weight) != (self.m,):
            raise ValueError(f"spectrum must return two arrays ({self.m},), got {np.shape(xi)} and {np.shape(weight)}")
        return xi, weight, rng.standard_normal((self.m, d))

    def _features(self, X: Array, xi: Array, g: Array) -> Complex:
        """L/sqrt m."""
        tau = np.where(xi < 0, np.conj(self.tilt), self.tilt)
        c2 = 2j * pi * xi
        exponent = (1 - tau) / 4 * (g**2).sum(1) + np.sqrt(c2) * np.sqrt(tau) * (X @ g.T)
        exponent = exponent - c2 / 2 * (X**2).sum(1)[:, None] + g.shape[1] / 4 * np.log(tau)
        return np.exp(exponent) / np.sqrt(self.m)
