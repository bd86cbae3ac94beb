"""The movie under its maps, with the events ringed, as an animation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from ...pictures import contrast
from ...pictures.gif import write_gif
from ...pictures.mp4 import write_mp4
from ...pictures.overlay import OverlayPainter, Ring, overlay_palette
from .pictures import frame_rows, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ...movies import Movie
    from ...pictures.blend import Limits
    from .events import Event

    Map = NDArray[np.float32]

_LOOKS, _SIDE = 5, 1024  # frames that decide on the contrast; pixels to a side that are looked at


@dataclass(frozen=True)
class OverlayDrawn:
    """How many frames are drawn, of how many."""

    done: int
    total: int
    notices: tuple[str, ...] = ()


def draw_overlay(
    path: Path,
    movie: Movie,
    map_of: Callable[[int], Map | None],
    top: float,
    events: Sequence[Event] = (),
    *,
    radius: float = 10.0,
    format: Literal["gif", "mp4"] = "gif",
    pictures_per_second: float = 8,
) -> Iterator[OverlayDrawn]:
    """Draw a movie under its maps; yields after every frame.

    Parameters
    ----------
    path : Path
        The file, whole or absent.
    movie : Movie
    map_of : callable
        Gives the map (H, W) that belongs over a frame of the movie, by its index; None for a frame without one.
    top : float
        The value of the maps that is shown strongest.
    events : sequence of Event
        Ringed from the first to the last frame of their pair, and numbered in this order from 1.
    radius : float
        Of the rings, in pixels of the movie.
    format : {"gif", "mp4"}

    Raises
    ------
    UserError
        If the file cannot be written, or there is no encoder.
    """
    rings = _rings(movie, events, radius)
    painter = OverlayPainter(movie.shape[2:], _limits(movie), top)

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for index in range(len(movie)):
            yield painter.paint(shown(movie, index), map_of(index), rings.get(index, ()), _label(movie, index))

    if format == "gif":
        written = write_gif(path, pictures(), overlay_palette(), pictures_per_second)
    else:
        written = write_mp4(path, pictures(), pictures_per_second)
    for done in written:
        yield OverlayDrawn(done, len(movie))


def shown_strongest(maps: Iterable[Map]) -> float:
    """Return the value of maps to show strongest: reached by some pixels in a quarter of them.

    Parameters
    ----------
    maps : iterable of (H, W)
        At least 0; of large ones not every pixel is looked at. Only one is held at a time.
    """
    tops = [np.percentile(map[:: _step(map.shape), :: _step(map.shape)], 99.9) for map in maps]
    return float(np.percentile(tops, 75)) if tops else 0.0


def _rings(movie: Movie, events: Sequence[Event], radius: float) -> dict[int, list[Ring]]:
    rings: dict[int, list[Ring]] = {}
    for number, event in enumerate(events, 1):
        first, last = frame_rows(movie, event.pair)
        for index in range(first, last + 1):
            rings.setdefault(index, []).append(Ring(event.y, event.x, radius, str(number)))
    return rings


def _limits(movie: Movie) -> Limits:
    looks = np.unique(np.linspace(0, len(movie) - 1, _LOOKS).astype(int))
    step = _step(movie.shape[2:])
    return contrast(np.stack([shown(movie, int(index))[:, ::step, ::step].astype(np.float32) for index in looks]))


def _step(size: tuple[int, ...]) -> int:
    return max(1, max(size) // _SIDE)


def _label(movie: Movie, index: int) -> str:
    number = int(movie.frame_numbers[index])
    return f"frame {number}" if movie.interval is None else f"frame {number}   {_clock(number * movie.interval)}"


def _clock(seconds: float) -> str:
    """Write a time of the movie in its two largest units."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, left = divmod(round(seconds), 60)
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest:02d} min" if hours else f"{minutes} min {left:02d} s"
