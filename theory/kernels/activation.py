r"""Activations: phi and phi' of the finite form, and the Gaussian averages of the infinite one.

K' = E[phi(u) phi(v)],    Theta' = E[phi'(u) phi'(v)] Theta,    (u, v) ~ N(0, [[a, K], [K, b]]).
"""

from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from ...core.backend import namespace_of, to_host
from ...core.errors import real_array, require
from .expressions import averages
from .layer import Block, Layer, Parameters, State

ROUNDING = 1e-12
"""Of sqrt(a b), by which a covariance may pass it."""


class Activation(Layer):
    """The same function of each channel."""

    def function(self, x: Any) -> Any:
        """Return phi(x)."""
        raise NotImplementedError

    def derivative(self, x: Any) -> Any:
        """Return phi'(x)."""
        raise NotImplementedError

    def dual(self, a: Any, k: Any, b: Any, *, derivative: bool = False) -> Any:
        """V = E phi(u) phi(v) and E phi'(u) phi'(v), or V, dV/dk and dV/da if ``derivative``.

        ``a``, ``b`` >= 0 are the variances and ``k`` the covariance, |k| <= sqrt(a b), in arrays that broadcast;
        anything else is a ``ValueError``.
        """
        xp = namespace_of(a, k, b)
        a, k, b = (real_array(to_host(x), f"{self.title}: {name}") for name, x in (("a", a), ("k", k), ("b", b)))
        for name, variance in (("a", a), ("b", b)):
            require(np.isfinite(variance) & (variance >= 0), f"{self.title}: {name}", variance, "in [0, inf)")
        reach = np.sqrt(a) * np.sqrt(b) * (1 + ROUNDING)
        require(abs(k) <= reach, f"{self.title}: k", k + 0 * reach, "in [-sqrt(a b), sqrt(a b)]")
        return self.averages(xp.asarray(a), xp.asarray(k), xp.asarray(b), derivative=derivative)

    def averages(self, a: Any, k: Any, b: Any, *, derivative: bool = False) -> Any:
        """``dual`` of covariances that are known to be some, on the host or a device."""
        raise NotImplementedError

    def series_error(self, q: Any) -> float:
        """Of the averages at variances ``q``: 0 in closed form."""
        return 0.0

    def fused(self) -> tuple[float, float, float, float] | None:
        """(code, parameters) in the compiled loops, None where they do not have it."""
        return None

    def apply(self, parameters: Parameters, x: Any) -> Any:
        """Return phi(x)."""
        return self.function(x)

    def backward(self, parameters: Parameters, x: Any, delta: Any, tape: list[Any]) -> Any:
        """Return delta phi'(x)."""
        return delta * self.derivative(x)

    def carry(self, state: State, name: str) -> State:
        """V(K) and V'(K) Theta."""
        if not state.gaussian:
            raise ValueError(
                f"{name} needs Gaussian channels: put Dense or Conv before it, and one activation at a time"
            )

        def go(block: Block, a: Any, b: Any) -> Block:
            V, slope = self.averages(a, block.k, b)
            return Block(V, None if block.t is None else slope * block.t)

        one, two, cross = (go(*pair) for pair in state.pairs())
        if not all(np.isfinite(float(namespace_of(block.k).sum(block.k))) for block in (one, two, cross)):
            raise OverflowError(
                f"{name} gives a covariance beyond the range of floating-point numbers: take smaller sigma_w"
            )
        error = max(state.error, *(self.series_error(state.variances(own)) for own in (state.self1, state.self2)))
        fresh = (False,) * len(state.fresh)  # phi(u) has a mean
        return replace(state, self1=one, self2=two, cross=cross, gaussian=False, fresh=fresh, error=error)


class Closed(Activation):
    """An activation with an entry in the table of closed forms."""

    entry: ClassVar[str]

    def parameters(self) -> tuple[float, ...]:
        """Of the entry."""
        return ()

    def averages(self, a: Any, k: Any, b: Any, *, derivative: bool = False) -> Any:
        """From the table."""
        return averages(self.entry, a, k, b, self.parameters(), namespace_of(k), derivative=derivative)
