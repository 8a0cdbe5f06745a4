r"""Supervised dense network: m and n against the number of examples, replica theory, one step, and Monte Carlo."""

from ._dense_examples import data, draw
from .recipe import Recipe

recipe = Recipe(
    name="dense_supervised_examples",
    data=data,
    draw=draw,
    full={
        "protocol": "supervised",
        "P": 4,
        "N": 100,
        "gamma": 0.1,
        "T": 0.2,
        "theta": 0.95,
        "examples": {0.3: [7, 15, 30, 50, 75, 100], 0.5: [3, 6, 12, 20, 35, 60], 0.8: [1, 2, 3, 5, 9, 15]},
        "most": 300,
        "samples": 24,
        "sweeps": 40,
        "n_line": 80,
    },
    draft={
        "protocol": "supervised",
        "P": 4,
        "N": 30,
        "gamma": 0.05,
        "T": 0.2,
        "theta": 0.95,
        "examples": {0.5: [5, 40], 0.8: [2, 9]},
        "most": 60,
        "samples": 3,
        "sweeps": 10,
        "n_line": 9,
    },
)
