"""What every folder shares: quadrature, addressed random numbers, the jit wrapper, errors."""
