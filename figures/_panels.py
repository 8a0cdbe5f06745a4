"""Overlap, pulls and shift above one another: how the figures of theory against simulation are laid out."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import xarray as xr

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def three_panels(
    ds: xr.Dataset, draw: Sequence[Callable[["Axes", xr.Dataset], None]], *, height: float, ratios: Sequence[float]
) -> "Figure":
    """One column of three panels, each drawn by its function; the upper two share the horizontal axis."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(3, 1, figsize=(3.375, height), height_ratios=ratios)
    panels[1].sharex(panels[0])
    for draw_panel, axes in zip(draw, panels, strict=True):
        draw_panel(axes, ds)
    return figure
