"""What networks share that store patterns, or learn them from noisy examples."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .dataset import PROTOCOLS, resolve
from .examples import LAWS, MeanExample, mean_example
from .model import Model


@dataclass(frozen=True, kw_only=True, eq=False)
class Learner(Model):
    """A model with the parameters protocol, rho, r, M and etabar: the signal in its field and C are the variables."""

    if TYPE_CHECKING:  # declared as fields, in the order of its docstring, by every model
        protocol: str
        etabar: str
        rho: Any
        r: Any
        M: Any

    def __post_init__(self) -> None:
        self.check_words(protocol=PROTOCOLS, etabar=LAWS)
        super().__post_init__()
        self._set("rho", resolve(self.protocol, self.rho, self.r, self.M))
        mean_example(self.etabar, self.rho, self.r, self.M)
        self._check_shapes()

    @property
    def order(self) -> tuple[str, ...]:  # type: ignore[override]
        """m and q; with examples also n."""
        return ("m", "q") if self.protocol == "storing" else ("m", "n", "q")

    @property
    def variables(self) -> tuple[str, ...]:
        """The signal in the field (m, or n with examples) and C = (1 - q)/T."""
        return ("m" if self.protocol == "storing" else "n", "C")

    @property
    def mean_example(self) -> MeanExample:
        """What a spin sees of a pattern."""
        return mean_example(self.etabar, self.rho, self.r, self.M)
