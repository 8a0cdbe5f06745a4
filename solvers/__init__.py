"""How to solve: fixed points of maps on whole grids. Knows functions and arrays, never a model."""
