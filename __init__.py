"""Statistical mechanics of neural networks: replica theory and Monte Carlo of the same models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.errors import BackendUnavailable, ConvergenceError, StoreError
    from .mc.energy import OverlapEnergy
    from .mc.exact import enumerate_states
    from .mc.patterns import examples, patterns
    from .mc.run import simulate
    from .mc.samplers import HeatBath, Metropolis
    from .mc.stats import summary
    from .solvers.anderson import Anderson
    from .solvers.damped import Damped
    from .solvers.newton import Newton
    from .sweeps.lines import at_line, spinodal, transition
    from .sweeps.phases import classify
    from .sweeps.solve import Solution, solve
    from .sweeps.sweep import sweep
    from .theory.curie_weiss import CurieWeiss
    from .theory.hopfield import Hopfield
    from .theory.sk import SherringtonKirkpatrick

__version__ = "0.1.0"

_WHERE = {
    "Anderson": "solvers.anderson",
    "BackendUnavailable": "core.errors",
    "ConvergenceError": "core.errors",
    "CurieWeiss": "theory.curie_weiss",
    "Damped": "solvers.damped",
    "HeatBath": "mc.samplers",
    "Hopfield": "theory.hopfield",
    "Metropolis": "mc.samplers",
    "Newton": "solvers.newton",
    "OverlapEnergy": "mc.energy",
    "SherringtonKirkpatrick": "theory.sk",
    "Solution": "sweeps.solve",
    "StoreError": "core.errors",
    "at_line": "sweeps.lines",
    "classify": "sweeps.phases",
    "enumerate_states": "mc.exact",
    "examples": "mc.patterns",
    "patterns": "mc.patterns",
    "simulate": "mc.run",
    "solve": "sweeps.solve",
    "spinodal": "sweeps.lines",
    "summary": "mc.stats",
    "sweep": "sweeps.sweep",
    "transition": "sweeps.lines",
}
_FOLDERS = ("core", "theory", "solvers", "mc", "sweeps", "figures")

__all__ = [
    *_WHERE,
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    if name in _FOLDERS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE, *_FOLDERS})
