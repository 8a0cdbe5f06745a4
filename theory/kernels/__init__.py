"""Infinitely wide networks, ``mattis.nn``: NNGP and NTK, what is inferred with them, and their theory."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .activations import (
        ABRelu,
        Abs,
        Cos,
        Erf,
        Exp,
        Gabor,
        Gaussian,
        Gelu,
        LeakyRelu,
        Rbf,
        RectifiedSquare,
        Relu,
        SigmoidLike,
        Sign,
        Sin,
    )
    from .affine import Conv, Dense
    from .asymptotics import DepthScales, depth_scales
    from .attention import attention_estimate, attention_features, attention_kernel
    from .branches import FanInSum, FanOut, Identity, parallel
    from .deep_kernel import DeepKernelMachine
    from .deep_kernel_finite import finite_width_grams
    from .deep_kernel_linear import deep_linear_interpolation
    from .deep_kernel_maximum import DeepKernelOptimum, deep_kernel_optimum
    from .deep_kernel_sparse import SparseDeepKernelMachine
    from .depth_classifier import DeepPrediction, deep_classifier
    from .depth_kernels import DeepKernels, LimitFunction, deep_kernels, limit_function
    from .descent import GradientDescent
    from .empirical import draw_parameters, empirical_kernel, tangent_kernel
    from .features import ArcCosineFeatures, arc_cosine_kernel, kernel_estimate
    from .flow import GradientFlow
    from .generalisation import empirical_spectrum, learning_curve, transfer_error
    from .hierarchical import HierarchicalCNN, normalise_patches
    from .kernel import Pair
    from .mixture import ScaleMixture
    from .network import Network, mlp, serial
    from .network_features import NetworkFeatures
    from .network_training import TrainedNetwork, tangent_motion, train
    from .normalise import Dropout, LayerNorm
    from .permutation import ensemble_accuracy, ensemble_size, permutation_ntk, permutation_weights, sampled_accuracy
    from .positions import AvgPool, Flatten, GlobalAvgPool
    from .prior_distance import gaussian_kl, sliced_wasserstein1, wasserstein2
    from .prior_matching import fit_prior
    from .psd import NotPositiveDefinite
    from .regression import GaussianProcess
    from .ridge import feature_ridge
    from .scikit import ScikitKernel
    from .series import Elementwise, Hermite, Monomial, Polynomial, Swish, Tanh
    from .spectra import SphereSpectrum, product_spectrum, sphere_spectrum, zonal_kernel
    from .student import StudentT, StudentTProcess
    from .taxonomy import HermiteSeries, Taxonomy, design_activation, hermite_coefficients, infinite_depth
    from .teacher_student import ExpectedError, expected_error
    from .training import Prediction
    from .universal_features import UniversalFeatures, cosine_spectrum, gaussian_spectrum, sine_spectrum

_WHERE = {
    "ABRelu": "activations",
    "Abs": "activations",
    "ArcCosineFeatures": "features",
    "AvgPool": "positions",
    "Conv": "affine",
    "Cos": "activations",
    "DeepKernelMachine": "deep_kernel",
    "DeepKernelOptimum": "deep_kernel_maximum",
    "DeepKernels": "depth_kernels",
    "DeepPrediction": "depth_classifier",
    "Dense": "affine",
    "DepthScales": "asymptotics",
    "Dropout": "normalise",
    "Elementwise": "series",
    "Erf": "activations",
    "Exp": "activations",
    "ExpectedError": "teacher_student",
    "FanInSum": "branches",
    "FanOut": "branches",
    "Flatten": "positions",
    "Gabor": "activations",
    "Gaussian": "activations",
    "GaussianProcess": "regression",
    "Gelu": "activations",
    "GlobalAvgPool": "positions",
    "GradientDescent": "descent",
    "GradientFlow": "flow",
    "Hermite": "series",
    "HermiteSeries": "taxonomy",
    "HierarchicalCNN": "hierarchical",
    "Identity": "branches",
    "LayerNorm": "normalise",
    "LeakyRelu": "activations",
    "LimitFunction": "depth_kernels",
    "Monomial": "series",
    "Network": "network",
    "NetworkFeatures": "network_features",
    "NotPositiveDefinite": "psd",
    "Pair": "kernel",
    "Polynomial": "series",
    "Prediction": "training",
    "Rbf": "activations",
    "RectifiedSquare": "activations",
    "Relu": "activations",
    "ScaleMixture": "mixture",
    "ScikitKernel": "scikit",
    "SigmoidLike": "activations",
    "Sign": "activations",
    "Sin": "activations",
    "SparseDeepKernelMachine": "deep_kernel_sparse",
    "SphereSpectrum": "spectra",
    "StudentT": "student",
    "StudentTProcess": "student",
    "Swish": "series",
    "Tanh": "series",
    "Taxonomy": "taxonomy",
    "TrainedNetwork": "network_training",
    "UniversalFeatures": "universal_features",
    "arc_cosine_kernel": "features",
    "attention_estimate": "attention",
    "attention_features": "attention",
    "attention_kernel": "attention",
    "cosine_spectrum": "universal_features",
    "deep_classifier": "depth_classifier",
    "deep_kernel_optimum": "deep_kernel_maximum",
    "deep_kernels": "depth_kernels",
    "deep_linear_interpolation": "deep_kernel_linear",
    "depth_scales": "asymptotics",
    "design_activation": "taxonomy",
    "draw_parameters": "empirical",
    "empirical_kernel": "empirical",
    "empirical_spectrum": "generalisation",
    "ensemble_accuracy": "permutation",
    "ensemble_size": "permutation",
    "expected_error": "teacher_student",
    "feature_ridge": "ridge",
    "finite_width_grams": "deep_kernel_finite",
    "fit_prior": "prior_matching",
    "gaussian_kl": "prior_distance",
    "gaussian_spectrum": "universal_features",
    "hermite_coefficients": "taxonomy",
    "infinite_depth": "taxonomy",
    "kernel_estimate": "features",
    "learning_curve": "generalisation",
    "limit_function": "depth_kernels",
    "mlp": "network",
    "normalise_patches": "hierarchical",
    "parallel": "branches",
    "permutation_ntk": "permutation",
    "permutation_weights": "permutation",
    "product_spectrum": "spectra",
    "sampled_accuracy": "permutation",
    "serial": "network",
    "sine_spectrum": "universal_features",
    "sliced_wasserstein1": "prior_distance",
    "sphere_spectrum": "spectra",
    "tangent_kernel": "empirical",
    "tangent_motion": "network_training",
    "train": "network_training",
    "transfer_error": "generalisation",
    "wasserstein2": "prior_distance",
    "zonal_kernel": "spectra",
}

__all__ = [*_WHERE]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        value = getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
