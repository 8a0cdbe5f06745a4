r"""Unsupervised learning of MNIST and Fashion-MNIST: overlap with archetypes against examples, load and P."""

from ._images import computed, drawn
from .recipe import Recipe

recipe = Recipe(
    name="dense_mnist_unsupervised",
    data=computed,
    draw=drawn,
    full={
        "protocol": "unsupervised",
        "powers": [2, 4, 6],
        "M": [1, 2, 4, 8, 16, 32, 64],
        "classes": 10,
        "K": [1, 2, 3, 5, 10, 30, 100],
        "stored_at": 32,
        "samples": 16,
        "sweeps": 40,
        "n_line": 120,
    },
    draft={
        "protocol": "unsupervised",
        "powers": [2, 4],
        "M": [1, 8],
        "classes": 10,
        "K": [2, 20],
        "stored_at": 8,
        "samples": 2,
        "sweeps": 8,
        "n_line": 12,
    },
)
