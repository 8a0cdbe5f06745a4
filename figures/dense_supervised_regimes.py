r"""Supervised dense network: ultra-storage and ultra-detection from a corrupted archetype, theory and simulation."""

from ._dense_regimes import data
from ._dense_regimes_drawn import draw
from .recipe import Recipe

recipe = Recipe(
    name="dense_supervised_regimes",
    data=data,
    draw=draw,
    full={
        "protocol": "supervised",
        "storage": {
            "gamma": 0.02,
            "N": 100,
            "r": [0.2, 0.35, 0.6],
            "M": [[8, 16, 32, 64, 128], [4, 8, 16, 32, 64], [1, 2, 4, 8, 16]],
            "weakest": 0.1,
        },
        "detection": {"N": [48, 96, 192], "x": [0.4, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0], "largest": 10_000},
        "samples": 24,
        "sweeps": 20,
        "n_line": 60,
    },
    draft={
        "protocol": "supervised",
        "storage": {"gamma": 0.02, "N": 32, "r": [0.6], "M": [[2, 4, 16]], "weakest": 0.2},
        "detection": {"N": [24, 32], "x": [1.0, 1.6, 2.5], "largest": 200},
        "samples": 3,
        "sweeps": 5,
        "n_line": 5,
    },
)
