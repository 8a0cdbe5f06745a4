r"""Supervised dense network: phases in load, temperature, number and quality of examples; theory and Monte Carlo."""

from ._dense_phases import data
from ._dense_phases_drawn import draw
from .recipe import Recipe

recipe = Recipe(
    name="dense_supervised_phases",
    data=data,
    draw=draw,
    full={
        "protocol": "supervised",
        "M": [20, 10, 5],
        "top": {"gamma": 0.5, "T": 1.05, "M": 100, "M_of_r": 100, "r": 0.15},
        "grid": {"gamma": 101, "T": 85, "line": 85, "M": 40, "r": 80},
        "mc": {"N": 100, "samples": 10, "sweeps": 20, "gamma": [0.05, 0.15, 0.25, 0.35], "T": [0.2, 0.35, 0.5, 0.65]},
        "weak": {"gamma": 0.05, "r": [0.2, 0.3, 0.4, 0.55, 0.75, 0.95], "M": [1, 2, 4, 8, 16, 32]},
    },
    draft={
        "protocol": "supervised",
        "M": [10],
        "top": {"gamma": 0.5, "T": 1.05, "M": 50, "M_of_r": 50, "r": 0.25},
        "grid": {"gamma": 11, "T": 8, "line": 5, "M": 5, "r": 6},
        "mc": {"N": 24, "samples": 2, "sweeps": 5, "gamma": [0.05, 0.2], "T": [0.2, 0.6]},
        "weak": {"gamma": 0.1, "r": [0.5, 0.8], "M": [2, 10]},
    },
)
