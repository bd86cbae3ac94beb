"""What the pixels of an output are in seconds and micrometres, and how OME-Zarr says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...movies import Movie


@dataclass(frozen=True)
class Calibration:
    """Scale and place of an output's pixels.

    Attributes
    ----------
    interval : float or None
        Seconds between consecutive frame numbers of the movie, where it says.
    pixel_size : (y, x) or None
        Micrometres per pixel of the movie, where it says.
    step : int
        Pixels of the movie along a side of an output's pixel.
    first, stride : int
        Number of the first frame, and numbers from one frame to the next.
    origin : (y, x)
        Pixel of the movie at which the output's first pixel begins.
    frame_numbers : tuple of int or None
        Number of every frame, where they do not follow each other one by one.
    """

    interval: float | None = None
    pixel_size: tuple[float, float] | None = None
    step: int = 1
    first: int = 0
    stride: int = 1
    origin: tuple[int, int] = (0, 0)
    frame_numbers: tuple[int, ...] | None = None

    @classmethod
    def of(
        cls, movie: Movie, frames: Sequence[int] | None = None, *, step: int = 1, origin: tuple[int, int] = (0, 0)
    ) -> Calibration:
        """Take over what a movie says of itself, for an output of all frames, or of those with these indices."""
        numbers = movie.frame_numbers if frames is None else movie.frame_numbers[list(frames)]
        steps = np.diff(numbers)
        stride = int(steps[0]) if len(np.unique(steps)) == 1 else 1  # with gaps no one number would be right
        told = None if (steps == 1).all() else tuple(numbers.tolist())
        return cls(movie.interval, movie.pixel_size, step, int(numbers[0]), stride, origin, told)

    @property
    def scale(self) -> tuple[float, float, float, float]:
        """Size of a pixel along t, c, y and x; in frames and pixels of the movie where no unit is known."""
        y, x = self.pixel_size or (1.0, 1.0)
        return (self.interval or 1.0) * self.stride, 1.0, y * self.step, x * self.step

    @property
    def translation(self) -> tuple[float, float, float, float]:
        """Centre of the first pixel, from that of the movie's first pixel in frame 0.

        A pixel that stands for ``step`` pixels of the movie has its centre ``(step - 1) / 2`` of them further on.
        """
        y, x = (
            size * (start + (self.step - 1) / 2)
            for size, start in zip(self.pixel_size or (1.0, 1.0), self.origin, strict=True)
        )
        return (self.interval or 1.0) * self.first, 0.0, y, x

    def axes(self) -> list[dict[str, str]]:
        """Describe the axes t, c, y and x as OME-Zarr does since version 0.4."""
        time = {"unit": "second"} if self.interval else {}
        space = {"unit": "micrometer"} if self.pixel_size else {}
        return [
            {"name": "t", "type": "time", **time},
            {"name": "c", "type": "channel"},
            {"name": "y", "type": "space", **space},
            {"name": "x", "type": "space", **space},
        ]

    def multiscale(self, name: str, path: str) -> dict[str, Any]:
        """Return the entry of ``multiscales`` for an image of one level."""
        transformations: list[dict[str, Any]] = [{"type": "scale", "scale": list(self.scale)}]
        if any(self.translation):
            transformations.append({"type": "translation", "translation": list(self.translation)})
        level = {"path": path, "coordinateTransformations": transformations}
        return {"name": name, "axes": self.axes(), "datasets": [level]}
