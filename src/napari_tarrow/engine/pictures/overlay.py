"""A frame of a movie with its map over it, rings around what happens, and the time: one picture of an animation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .blend import one_plane

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .blend import Limits

SMALLEST, LARGEST = 480, 800  # pixels of the longer side: smaller movies are enlarged, larger ones reduced
_OPACITY, _DARKEST = 0.8, 0.3  # of the map where it is strongest; of its colours, so that weak places are seen, too
_WHITE, _BLACK, _RING = (255, 255, 255), (0, 0, 0), (90, 225, 255)  # a colour that the map does not have
_SMALLEST_RING = 10  # pixels of the picture


@dataclass(frozen=True)
class Ring:
    """A place to ring: centre and radius in pixels of the movie, and what is written beside it."""

    y: float
    x: float
    radius: float = 0.0
    text: str = ""


class OverlayPainter:
    """Paints pictures of one size.

    Parameters
    ----------
    size : (H, W)
        Of the movie's frames.
    limits : two arrays, (C, 1, 1)
        Intensities shown as black and white.
    top : float
        The value of a map that is shown strongest.
    """

    def __init__(self, size: tuple[int, int], limits: Limits, top: float) -> None:
        longer = max(size)
        self.zoom = min(LARGEST / longer, max(1.0, round(SMALLEST / longer)))
        self.size = max(1, round(size[0] * self.zoom)), max(1, round(size[1] * self.zoom))
        self._limits, self._top = limits, top

    def paint(
        self,
        image: NDArray[Any],
        map: NDArray[np.floating] | None = None,
        rings: Sequence[Ring] = (),
        text: str = "",
    ) -> NDArray[np.uint8]:
        """Return a picture, (h, w, 3) uint8.

        Parameters
        ----------
        image : (H, W) or (C, H, W)
            Channels are averaged, each in its own contrast.
        map : (H, W)
            Its negative values are not shown.
        text : str
            Written into the upper left corner.
        """
        grey = np.clip(self._resized(one_plane(image, self._limits)), 0, 1)
        strength = np.zeros_like(grey) if map is None else np.clip(self._resized(map) / (self._top or 1), 0, 1)
        picture = (255 * mixed(grey, strength) + 0.5).astype(np.uint8)
        return self._written(picture, rings, text)

    def _resized(self, values: NDArray[Any]) -> NDArray[np.float32]:
        from PIL import Image

        image = Image.fromarray(np.asarray(values, np.float32))
        how = Image.Resampling.BOX if self.zoom < 1 else Image.Resampling.BICUBIC
        return np.asarray(image.resize(self.size[::-1], how), np.float32)

    def _written(self, picture: NDArray[np.uint8], rings: Sequence[Ring], text: str) -> NDArray[np.uint8]:
        from PIL import Image, ImageDraw, ImageFont

        image = Image.fromarray(picture)
        draw = ImageDraw.Draw(image)
        style: dict[str, Any] = {"font": ImageFont.load_default(16), "stroke_width": 2, "stroke_fill": _BLACK}
        for ring in rings:
            self._draw_ring(draw, ring, style)
        if text:
            draw.text((8, 6), text, fill=_WHITE, **style)
        return np.array(image)

    def _draw_ring(self, draw: Any, ring: Ring, style: dict[str, Any]) -> None:
        y, x = (ring.y + 0.5) * self.zoom, (ring.x + 0.5) * self.zoom
        radius = max(_SMALLEST_RING, ring.radius * self.zoom)
        for more, width, colour in ((1, 4, _BLACK), (0, 2, _RING)):
            reach = radius + more
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), outline=colour, width=width)
        aside = 0.75 * radius
        left = x + aside + 14 * len(ring.text) > self.size[1]
        place = (x - aside if left else x + aside, max(y - aside, 22))
        draw.text(place, ring.text, fill=_RING, anchor="rb" if left else "lb", **style)


def mixed(grey: NDArray[np.floating], strength: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return colours (..., 3): the grey picture where the map is 0, the map's colour the more the stronger it is."""
    from matplotlib import colormaps

    colour = colormaps["inferno"](_DARKEST + (1 - _DARKEST) * strength)[..., :3]
    opacity = _OPACITY * strength[..., None]
    return np.asarray((1 - opacity) * grey[..., None] + opacity * colour, np.float32)


def overlay_palette() -> NDArray[np.uint8]:
    """Return 256 colours, (256, 3) uint8, for such pictures: 79 greys, 11 greys under 16 strengths, and the rings'."""
    greys = np.repeat(np.linspace(0, 1, 79)[:, None], 3, axis=1)
    grey, strength = np.meshgrid(np.linspace(0, 1, 11), np.linspace(0, 1, 17)[1:])
    colours = np.concatenate([greys, mixed(grey, strength).reshape(-1, 3), np.array([_RING]) / 255])
    return (255 * colours + 0.5).astype(np.uint8)
