"""Where a model meets a solver: one call, grids, stores, phases and boundary lines."""
