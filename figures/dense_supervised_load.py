r"""Supervised dense network: m against the load for P = 2, 4, 6 at T' = 0 and 0.2, theory and Monte Carlo."""

from ._dense_load import data, draw
from .recipe import Recipe

recipe = Recipe(
    name="dense_supervised_load",
    data=data,
    draw=draw,
    full={
        "protocol": "supervised",
        "T": [0.0, 0.2],
        "r": 0.8,
        "M": 9,
        "networks": [
            (2, 1000, 64, [0.02, 0.04, 0.06, 0.08]),
            (4, 100, 32, [0.05, 0.1, 0.15, 0.2, 0.25]),
            (6, 40, 32, [0.05, 0.1, 0.15, 0.2]),
        ],
        "sweeps": 40,
        "n_line": 60,
    },
    draft={
        "protocol": "supervised",
        "T": [0.0, 0.2],
        "r": 0.8,
        "M": 9,
        "networks": [(2, 60, 3, [0.05]), (4, 24, 3, [0.1, 0.2]), (6, 16, 3, [0.1])],
        "sweeps": 10,
        "n_line": 9,
    },
)
