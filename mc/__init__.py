"""How nature does it: patterns, energies, kernels, samplers and their statistics."""
