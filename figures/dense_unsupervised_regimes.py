r"""Unsupervised dense network: ultra-storage and ultra-detection from a corrupted archetype, theory and simulation."""

from ._dense_regimes import data
from ._dense_regimes_drawn import draw
from .recipe import Recipe

recipe = Recipe(
    name="dense_unsupervised_regimes",
    data=data,
    draw=draw,
    full={
        "protocol": "unsupervised",
        "storage": {
            "gamma": 0.02,
            "N": 100,
            "r": [0.4, 0.5, 0.7],
            "M": [[16, 32, 64, 128, 256], [4, 8, 16, 32, 64], [1, 2, 4, 8, 16]],
            "weakest": 0.15,
        },
        "detection": {"N": [64, 128, 256], "x": [0.75, 1.0, 1.25, 1.5, 1.75, 2.25, 3.0], "largest": 10_000},
        "samples": 12,
        "sweeps": 20,
        "n_line": 60,
    },
    draft={
        "protocol": "unsupervised",
        "storage": {"gamma": 0.02, "N": 32, "r": [0.6], "M": [[2, 4, 16]], "weakest": 0.2},
        "detection": {"N": [24, 32], "x": [1.0, 1.6, 2.5], "largest": 200},
        "samples": 3,
        "sweeps": 5,
        "n_line": 5,
    },
)
