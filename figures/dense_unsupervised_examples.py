r"""Unsupervised dense network: m and n against the number of examples, replica theory, one step, and Monte Carlo."""

from ._dense_examples import data, draw
from .recipe import Recipe

recipe = Recipe(
    name="dense_unsupervised_examples",
    data=data,
    draw=draw,
    full={
        "protocol": "unsupervised",
        "P": 4,
        "N": 140,
        "gamma": 0.05,
        "T": 0.2,
        "theta": 0.95,
        "examples": {0.5: [1, 5, 20, 30, 40, 60, 100], 0.6: [1, 3, 7, 12, 20, 35], 0.8: [1, 2, 3, 5, 9, 15]},
        "most": 300,
        "samples": 16,
        "sweeps": 40,
        "n_line": 80,
    },
    draft={
        "protocol": "unsupervised",
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
