r"""Random features of deep ReLU networks: a layer of m random neurons stands for each average over infinitely many.

NNGP: with h_0 = (sigma_w x/sqrt d, sigma_b) and independent standard normal W_l,

    h_{l+1} = (sigma_w relu(W_l h_l)/sqrt m, sigma_b),   E[h_{l+1}.h'_{l+1} | h_l] = sigma_w^2 V(h_l.h'_l) + sigma_b^2.

NTK: with t_0 = h_0 and the step function of the same neurons, s_l = Theta(W_l h_l)/sqrt m,

    t_{l+1} = (h_{l+1}, sigma_w S(s_l, t_l)),      Theta_{l+1} = K_{l+1} + sigma_w^2 V'(K_l) Theta_l.

S sketches the m x (length of t) numbers of the outer product down to m and keeps dot products without bias: both
factors are hashed into m places with random signs, and the circular convolution of the two tables is the hashed
outer product, E S(s, t).S(s', t') = (s.s')(t.t').
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.fft import irfft, rfft
from scipy.sparse import csr_array

from ...core.backend import Array
from ...core.errors import is_real, require, require_integer
from .features import rows


@dataclass(frozen=True, kw_only=True)
class NetworkFeatures:
    r"""Features whose dot product estimates the NNGP kernel or the NTK of a ReLU network with a readout.

    .. math::
        K_{l+1} = \sigma_w^2 V(K_l) + \sigma_b^2, \quad \Theta_{l+1} = K_{l+1} + \sigma_w^2 V'(K_l) \Theta_l, \qquad
        K_0 = \Theta_0 = \sigma_w^2 x.x'/d + \sigma_b^2

    The estimate is unbiased for one hidden layer. For more, V is taken at a random argument: the diagonal of the NNGP
    kernel stays unbiased, as V(q, q, q) = q/2 is linear, and all else has a bias of order 1/m beside a spread of order
    1/sqrt m, which an average over draws does not remove.

    Parameters
    ----------
    hidden_layers : int >= 1
    m : int >= 1
        Random neurons of each layer and length of each sketch.
    seed : int >= 0
    sigma_w : float > 0
        Of every layer, the readout included.
    sigma_b : float >= 0
    kind : {"nngp", "ntk"}

    Raises
    ------
    ValueError, TypeError
        If an argument is outside its range.

    Source: the layers: A. Daniely et al., arXiv:1703.07872; the NTK: A. Zandieh et al., arXiv:2106.07880, with the
    sketch of N. Pham, R. Pagh, KDD 2013, in place of theirs.

    >>> features = NetworkFeatures(hidden_layers=1, m=4096, seed=1, sigma_w=2**0.5, sigma_b=0.0, kind="ntk")
    >>> t = features.transform([[1.0, 1.0], [1.0, -1.0]])
    >>> t.shape, (t @ t.T).round(1).tolist()  # exactly 2 x 2 on the diagonal and 2/pi beside it
    ((2, 8193), [[4.0, 0.6], [0.6, 4.0]])
    """

    hidden_layers: int
    m: int
    seed: int
    sigma_w: float
    sigma_b: float
    kind: str = "nngp"

    def __post_init__(self) -> None:
        require_integer(self.hidden_layers, "hidden_layers", 1, 2**31, "in [1, 2^31]")
        require_integer(self.m, "m", 1, 2**31, "in [1, 2^31]")
        require_integer(self.seed, "seed", 0, 2**63 - 1, "in [0, 2^63)")
        require(is_real(self.sigma_w) and self.sigma_w > 0, "sigma_w", self.sigma_w, "finite and > 0")
        require(is_real(self.sigma_b) and self.sigma_b >= 0, "sigma_b", self.sigma_b, "finite and >= 0")
        if self.kind not in ("nngp", "ntk"):
            raise ValueError(f"kind must be nngp or ntk, got {self.kind!r}")

    def transform(self, X: ArrayLike) -> Array:
        """Features of the rows of X (n, d): (n, m + 1) for the NNGP, (n, 2 m + 1) for the NTK."""
        X = rows("X", X)
        rng = np.random.Generator(np.random.Philox(key=self.seed))
        h = t = self._with_bias(X / np.sqrt(X.shape[1]))
        for _ in range(self.hidden_layers):
            z = h @ rng.standard_normal((self.m, h.shape[1])).T
            h = self._with_bias(np.maximum(z, 0) / np.sqrt(self.m))
            if self.kind == "ntk":
                step = np.heaviside(z, 0.5) / np.sqrt(self.m)
                t = np.hstack([h, self.sigma_w * _sketch(rng, step, t, self.m)])
        return h if self.kind == "nngp" else t

    def _with_bias(self, h: Array) -> Array:
        return np.hstack([self.sigma_w * h, np.full((len(h), 1), self.sigma_b)])


def _sketch(rng: np.random.Generator, a: Array, b: Array, m: int) -> Array:
    """The outer products of the rows of a and b, hashed into m places."""
    a, b = a @ _hash(rng, a.shape[1], m), b @ _hash(rng, b.shape[1], m)
    return irfft(rfft(a, axis=1) * rfft(b, axis=1), m, axis=1)


def _hash(rng: np.random.Generator, length: int, m: int) -> csr_array:
    """One random sign in each row (length, m)."""
    place, sign = rng.integers(m, size=length), rng.choice([-1.0, 1.0], length)
    return csr_array((sign, (np.arange(length), place)), shape=(length, m))
