"""A page measured in pixels, on which pictures, boxes and words are put.

Only matplotlib's objects are used, never pyplot: a drawing made in a worker thread must not touch the state that
another thread, or the user's own notebook, draws with. For the same reason every colour and size is given here and
none is taken from the user's settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

DPI = 100
INK, FADED = "#222222", "#6b6b6b"
FONT = "DejaVu Sans"  # comes with matplotlib


def points(pixels: float) -> float:
    """Return a font size in points from one in pixels."""
    return pixels * 72 / DPI


def new_figure(width: float, height: float) -> Figure:
    """Return an empty white figure of so many pixels, with a canvas of its own."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width / DPI, height / DPI), dpi=DPI, facecolor="white")
    figure.set_layout_engine("none")
    FigureCanvasAgg(figure)
    return figure


def save_png(figure: Figure, path: Path) -> None:
    """Write a figure of `new_figure` as PNG, whole or not at all.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=DPI, facecolor="white")


def pixels(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure of `new_figure` as (H, W, 3) uint8."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


class Page:
    """A white page; positions are pixels from its upper left corner."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = new_figure(width, height)
        self._axes = self.figure.add_axes((0, 0, 1, 1))
        self._axes.set_axis_off()
        self._axes.set(xlim=(0, width), ylim=(height, 0))

    def picture(self, rgb: NDArray[np.floating], left: float, top: float, width: float, height: float) -> None:
        """Put a picture, (H, W, 3) between 0 and 1, into a rectangle."""
        extent = (left, left + width, top + height, top)
        self._axes.imshow(rgb, extent=extent, aspect="auto", interpolation="antialiased")

    def words(self, text: str, left: float, top: float, size: float = 14, **style: Any) -> None:
        """Write text of so many pixels; `left`, `top` are its upper left corner unless `style` says otherwise."""
        plain: dict[str, Any] = {"ha": "left", "va": "top", "color": INK, "fontfamily": FONT, "parse_math": False}
        self._axes.text(left, top, text, fontsize=points(size), **plain | style)

    def box(self, left: float, top: float, width: float, height: float, **style: Any) -> None:
        """Draw a rectangle, an outline unless `style` says otherwise."""
        from matplotlib.patches import Rectangle

        outline: dict[str, Any] = {"facecolor": "none", "edgecolor": "white", "linewidth": 1.2}
        self._axes.add_patch(Rectangle((left, top), width, height, **outline | style))
