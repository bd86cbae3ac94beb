"""Events as pictures: insets of their frames and maps, and a page of them."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from ...pictures import contact_sheet, cut_inset

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ...movies import Movie
    from ...movies.alignment import Alignment
    from ...pictures import Inset
    from .events import Event

    Map = NDArray[np.float32]

INSET = 48  # pixels of the movie at least
_ROOM = 3.2  # radii on each side of a place: an object, its neighbours, and daughters that part


def inset_side(radius: float) -> int:
    """Return the side of insets, in pixels of the movie, for objects of this radius (see `object_radius`)."""
    return max(INSET, 2 * round(_ROOM * radius))


def event_inset(
    movie: Movie, event: Event, map: Map | None, size: int = INSET, alignment: Alignment | None = None
) -> Inset:
    """Cut an event out of the movie, both frames and the map; without one, the map is flat.

    Parameters
    ----------
    movie : Movie
    event : Event
        Of this movie.
    map : (H, W)
        At least 0.
    size : int
        Side in pixels of the movie.
    alignment : Alignment, optional
        Of the movie: the second frame is shown where the event has moved.
    """
    return _cut(_frames(movie, event.pair), event, map, size, _moved(movie, event, alignment))


def draw_events(
    events: Sequence[Event],
    movie: Movie,
    map_of: Callable[[Event], Map | None],
    path: Path,
    *,
    size: int = INSET,
    threshold: float | None = None,
    alignment: Alignment | None = None,
) -> None:
    """Draw events as a contact sheet.

    Parameters
    ----------
    events : sequence of Event
        Strongest first.
    map_of : callable
        Gives the map (H, W), at least 0, in which an event was found; asked once for every pair of frames.
    path : Path
        The PNG.
    size : int
        Side of an inset in pixels of the movie.
    threshold : float, optional
        Events below it are marked.
    alignment : Alignment, optional
        As in `event_inset`.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    insets: dict[int, Inset] = {}
    for pair, numbers in groupby(sorted(range(len(events)), key=lambda i: events[i].pair), lambda i: events[i].pair):
        frames, several = _frames(movie, pair), list(numbers)
        map = map_of(events[several[0]])
        for number in several:
            event = events[number]
            insets[number] = _cut(frames, event, map, size, _moved(movie, event, alignment))
    what = f"The {len(insets)} strongest events of {movie.name}" if insets else f"Events of {movie.name}"
    contact_sheet([insets[number] for number in range(len(events))], path, what, threshold=threshold)


def frame_rows(movie: Movie, numbers: Sequence[int]) -> list[int]:
    """Return the positions in the movie of frame numbers; of one that is missing, the next one's."""
    rows = np.searchsorted(movie.frame_numbers, numbers).clip(max=len(movie) - 1)
    return [int(row) for row in rows]


def shown(movie: Movie, row: int) -> NDArray[Any]:
    """Read a frame, (C, H, W), as pictures show it: colours, which are one plane there, as their mean."""
    frame = movie.frame(row)
    return frame.mean(0, keepdims=True, dtype=np.float32) if movie.colours else frame


def _frames(movie: Movie, pair: tuple[int, int]) -> NDArray[Any]:
    return np.stack([shown(movie, row) for row in frame_rows(movie, pair)])


def _moved(movie: Movie, event: Event, alignment: Alignment | None) -> tuple[int, int]:
    if alignment is None:
        return 0, 0
    first, second = frame_rows(movie, event.pair)
    return alignment.distance(first, second, (event.y, event.x))


def _cut(frames: NDArray[Any], event: Event, map: Map | None, size: int, moved: tuple[int, int]) -> Inset:
    height, width = frames.shape[-2:]
    y, x = int(np.clip(round(event.y), 0, height - 1)), int(np.clip(round(event.x), 0, width - 1))
    values = np.zeros((height, width), np.float32) if map is None else map
    step = event.pair[1] - event.pair[0]
    if any(moved):
        frames = np.stack([frames[0], _shifted(frames[1], moved)])
    return cut_inset(frames, values, y, x, frame=event.pair[0], size=size, score=event.score, delta=step)


def _shifted(frame: NDArray[Any], moved: tuple[int, int]) -> NDArray[Any]:
    """Return a frame (C, H, W) with what has moved put back; 0 where that comes from beyond its edge."""
    back = np.zeros_like(frame)
    to, come = zip(*(_overlap(side, by) for side, by in zip(frame.shape[1:], moved, strict=True)), strict=True)
    back[:, *to] = frame[:, *come]
    return back


def _overlap(side: int, by: int) -> tuple[slice, slice]:
    return slice(max(0, -by), max(0, side - max(0, by))), slice(max(0, by), max(0, side + min(0, by)))
