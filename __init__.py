"""Statistical mechanics of neural networks: replica theory and Monte Carlo of the same models."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .core.errors import BackendUnavailable, ConvergenceError, StoreError
    from .mc.convert import to_arviz, to_pymbar
    from .mc.coupling import CouplingEnergy
    from .mc.effective_field import effective_field
    from .mc.energy import OverlapEnergy
    from .mc.equilibration import (
        energy_histograms,
        hot_cold,
        log_binning,
        q_in_time,
        q_symmetry,
    )
    from .mc.exact import enumerate_states
    from .mc.fluctuations import autocorrelation, covariance
    from .mc.identities import gaussian_pattern_identity, pattern_moments, sk_identity
    from .mc.images import load_images
    from .mc.losses import losses
    from .mc.mean_field import mean_field
    from .mc.monotone import MonotoneBoltzmann
    from .mc.observables import binder, blocking, jackknife, p_of_q, replica_overlap, susceptibility
    from .mc.parallel import archetype_overlaps, parallel_retrieval
    from .mc.patterns import examples, patterns
    from .mc.run import simulate
    from .mc.samplers import Annealing, HeatBath, Metropolis, ParallelTempering, ZeroTemperature
    from .mc.stats import summary
    from .mc.structured import archetypes, binarise, image_examples
    from .mc.tap import TAP
    from .solvers.anderson import Anderson
    from .solvers.damped import Damped
    from .solvers.newton import Newton
    from .sweeps.complexity import complexity
    from .sweeps.learning import learning_threshold
    from .sweeps.lines import at_line, spinodal, transition
    from .sweeps.phases import classify
    from .sweeps.rsb import rsb
    from .sweeps.solve import Solution, solve
    from .sweeps.sweep import sweep
    from .theory import kernels as nn
    from .theory import parallel_learning, regimes
    from .theory.curie_weiss import CurieWeiss
    from .theory.dense import DenseHebbian
    from .theory.hopfield import Hopfield
    from .theory.learning import minimal_examples, minimal_quality, one_step_overlap, ultra_detection
    from .theory.load import gamma_to_K, load_to_gamma
    from .theory.loss import loss
    from .theory.multitasking import Multitasking
    from .theory.pseudo_inverse import PseudoInverse
    from .theory.pspin import PSpin
    from .theory.sk import SherringtonKirkpatrick
    from .theory.zero_error import zero_error_load

__version__ = "0.1.0"

_WHERE = {
    "Anderson": "solvers.anderson",
    "Annealing": "mc.samplers",
    "BackendUnavailable": "core.errors",
    "ConvergenceError": "core.errors",
    "CouplingEnergy": "mc.coupling",
    "CurieWeiss": "theory.curie_weiss",
    "Damped": "solvers.damped",
    "DenseHebbian": "theory.dense",
    "HeatBath": "mc.samplers",
    "Hopfield": "theory.hopfield",
    "Metropolis": "mc.samplers",
    "MonotoneBoltzmann": "mc.monotone",
    "Multitasking": "theory.multitasking",
    "Newton": "solvers.newton",
    "OverlapEnergy": "mc.energy",
    "PSpin": "theory.pspin",
    "ParallelTempering": "mc.samplers",
    "PseudoInverse": "theory.pseudo_inverse",
    "SherringtonKirkpatrick": "theory.sk",
    "Solution": "sweeps.solve",
    "StoreError": "core.errors",
    "TAP": "mc.tap",
    "ZeroTemperature": "mc.samplers",
    "archetype_overlaps": "mc.parallel",
    "archetypes": "mc.structured",
    "at_line": "sweeps.lines",
    "autocorrelation": "mc.fluctuations",
    "binarise": "mc.structured",
    "binder": "mc.observables",
    "blocking": "mc.observables",
    "classify": "sweeps.phases",
    "complexity": "sweeps.complexity",
    "covariance": "mc.fluctuations",
    "effective_field": "mc.effective_field",
    "energy_histograms": "mc.equilibration",
    "enumerate_states": "mc.exact",
    "examples": "mc.patterns",
    "gamma_to_K": "theory.load",
    "gaussian_pattern_identity": "mc.identities",
    "hot_cold": "mc.equilibration",
    "image_examples": "mc.structured",
    "jackknife": "mc.observables",
    "learning_threshold": "sweeps.learning",
    "load_images": "mc.images",
    "load_to_gamma": "theory.load",
    "log_binning": "mc.equilibration",
    "loss": "theory.loss",
    "losses": "mc.losses",
    "mean_field": "mc.mean_field",
    "minimal_examples": "theory.learning",
    "minimal_quality": "theory.learning",
    "one_step_overlap": "theory.learning",
    "p_of_q": "mc.observables",
    "parallel_retrieval": "mc.parallel",
    "pattern_moments": "mc.identities",
    "patterns": "mc.patterns",
    "q_in_time": "mc.equilibration",
    "q_symmetry": "mc.equilibration",
    "replica_overlap": "mc.observables",
    "rsb": "sweeps.rsb",
    "simulate": "mc.run",
    "sk_identity": "mc.identities",
    "solve": "sweeps.solve",
    "spinodal": "sweeps.lines",
    "summary": "mc.stats",
    "susceptibility": "mc.observables",
    "sweep": "sweeps.sweep",
    "to_arviz": "mc.convert",
    "to_pymbar": "mc.convert",
    "transition": "sweeps.lines",
    "ultra_detection": "theory.learning",
    "zero_error_load": "theory.zero_error",
}
_NAMESPACES = {"nn": "theory.kernels", "parallel_learning": "theory.parallel_learning", "regimes": "theory.regimes"}
_FOLDERS = ("core", "theory", "solvers", "mc", "sweeps", "figures")

__all__ = [
    *_WHERE,
    *_NAMESPACES,
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    if name in _NAMESPACES:
        return import_module(f"{__name__}.{_NAMESPACES[name]}")
    if name in _FOLDERS:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE, *_NAMESPACES, *_FOLDERS})
