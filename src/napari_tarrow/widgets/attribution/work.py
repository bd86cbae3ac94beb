"""The work behind the dock "Show attribution": maps, events and their pictures, in a thread, without Qt."""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.errors import UserError
from ..shared.roomy import left_beside, roomy
from ..shared.work import Stage, open_model_and_movie, outwards

if TYPE_CHECKING:
    import threading
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from ...engine.config import Align, MapKind
    from ...engine.inference.events.events import Event
    from ...engine.inference.maps.attribution import AttributionMap
    from ...engine.movies import Movie, PreparedMovie
    from ...engine.movies.alignment import Alignment
    from ...engine.pictures import Inset
    from ..shared.work import Stopping

SHOWN = 60  # events that get a picture


@dataclass(frozen=True)
class MapOrder:
    """What the user asks for.

    Attributes
    ----------
    folder : Path
        Of the model.
    movie : Movie
    deltas : tuple of int
    kind, class_id, signed
        As in `attribute`.
    align
        As in `AttributeConfig`.
    radius : float, optional
        Of the movie's objects, in pixels; without it, estimated.
    current : int
        The frame in view, which comes first.
    device, memory
        As in `UseConfig`.
    """

    folder: Path
    movie: Movie
    deltas: tuple[int, ...] = (1,)
    kind: MapKind = "evidence"
    class_id: int = 0
    signed: bool = False
    align: Align = "auto"
    radius: float | None = None
    current: int = 0
    device: str = "auto"
    memory: int | None = None


@dataclass(frozen=True)
class MapsBegun:
    """The arrays (T, H, W) float32, one for each delta, that the maps are written into; 0 where there is none yet.

    `aligned`: whether frames are aligned before they are compared.
    """

    maps: dict[int, NDArray[np.float32]] = field(repr=False)
    fingerprint: str
    aligned: bool
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MapWritten:
    """The map of the sequence that begins with frame `frame` is there; `top` is the value to show brightest."""

    delta: int
    frame: int
    top: float
    done: int
    total: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class MapSearched:
    """Events were looked for in `done` of `total` maps."""

    done: int
    total: int


@dataclass(frozen=True)
class EventsFound:
    """Events, strongest first, the threshold that is suggested for them, and the radius of the objects, in pixels."""

    events: tuple[Event, ...]
    threshold: float
    radius: float


@dataclass(frozen=True)
class ObjectsMeasured:
    """The radius of the movie's objects, in pixels."""

    radius: float


@dataclass(frozen=True)
class Pictured:
    """The picture of event number `place`."""

    place: int
    inset: Inset


def show_attribution(order: MapOrder, stopping: Stopping) -> Iterator[Any]:
    """Make maps, find events in them, and draw these.

    Yields `MapsBegun`, a `MapWritten` for each sequence, `MapSearched`, `Timed`, `EventsFound`, and `Pictured`
    events. Stopped in the first part no further maps are made, and the events are those in the maps that are there; in
    the second, no further maps are searched, and there are no further pictures.
    """
    from ...engine.movies.alignment import alignment_for
    from ...engine.movies.object_radius import fitting_radius, object_radius

    opened = open_model_and_movie(order.folder, order.movie, order.device)
    movie = opened.movie
    radius = object_radius(movie) if order.radius is None else fitting_radius(movie, order.radius)
    alignment, said = alignment_for(order.align, movie, order.deltas, radius)
    n_frames, _, height, width = movie.movie.shape
    room = roomy((len(order.deltas), n_frames, height, width), np.float32)
    maps = dict(zip(order.deltas, room, strict=True))
    yield MapsBegun(maps, opened.fingerprint, alignment is not None, (*opened.notices, *said))
    written: list[tuple[tuple[int, ...], int]] = []
    memory = left_beside(room, opened.device, order.memory)
    made = () if stopping.first.is_set() else _maps(order, opened.network, movie, alignment, maps, memory)
    for value, frames in made:
        written.append((frames, value.delta))
        yield value
        if stopping.first.is_set():
            break
    stopping.in_second = True
    yield Stage("Looking for events ...")
    _import_features()
    yield from _events(order, movie, radius, alignment, maps, sorted(written), stopping.second)


def _import_features() -> None:
    """Import what the layer of events needs here: in the main thread it would stop the window for half a second."""
    with contextlib.suppress(ImportError):
        importlib.import_module("pandas")


def _maps(
    order: MapOrder,
    model: Any,
    movie: PreparedMovie,
    alignment: Alignment | None,
    maps: dict[int, Any],
    memory: int | None,
) -> Iterator[tuple[MapWritten, Any]]:
    from ...engine.inference.maps.attribution import attribute

    firsts = [frame for stretch in outwards(order.current, len(movie.movie)) for frame in stretch]
    options: dict[str, Any] = {"kind": order.kind, "class_id": order.class_id, "signed": order.signed}
    for one in attribute(model, movie, order.deltas, firsts=firsts, memory=memory, alignment=alignment, **options):
        maps[one.delta][one.frames[0]] = one.map
        top = float(np.percentile(np.abs(one.map), 99.9))
        yield MapWritten(one.delta, one.frames[0], top, one.done, one.total, one.notices), one.frames


def _events(
    order: MapOrder,
    movie: PreparedMovie,
    radius: float,
    alignment: Alignment | None,
    maps: dict[int, Any],
    written: Sequence[Any],
    stopping: threading.Event,
) -> Iterator[Any]:
    from ...engine.inference.events.events import search_events
    from ...engine.inference.events.moments import Timed
    from ...engine.inference.events.pictures import event_inset, inset_side
    from ...engine.inference.events.threshold import suggest_threshold

    found: list[Event] = []
    again = _again(order, maps, written, stopping)
    for one in search_events(again, movie, radius=radius, stopping=stopping, alignment=alignment):
        if isinstance(one, int):
            yield MapSearched(one, len(written))
        elif isinstance(one, Timed):
            if one.done == 0:
                yield Stage("Looking when they happened ...")
            yield one
        else:
            found.append(one)
    yield EventsFound(tuple(found), suggest_threshold(found), radius)
    for place, event in enumerate(found[:SHOWN]):
        if stopping.is_set():
            break
        row = int(np.searchsorted(movie.movie.frame_numbers, event.pair[0]))
        values = _sought(order, maps[event.pair[1] - event.pair[0]][row])
        yield Pictured(place, event_inset(movie.movie, event, values, inset_side(radius), alignment))


def _again(
    order: MapOrder, maps: dict[int, Any], written: Sequence[Any], stopping: threading.Event
) -> Iterator[AttributionMap]:
    """Yield the maps that were written, in the order of time, as events are sought in them."""
    from ...engine.inference.maps.attribution import AttributionMap

    for done, (frames, delta) in enumerate(written, 1):
        if stopping.is_set():
            return
        yield AttributionMap(frames, _sought(order, maps[delta][frames[0]]), done, len(written), delta)


def _sought(order: MapOrder, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a map as events are sought in it: at least 0."""
    from ...engine.inference.maps.making import without_signs

    return without_signs(values, order.kind) if order.signed else values


def pictures(movie: Movie, events: Sequence[Event]) -> Iterator[ObjectsMeasured | Pictured]:
    """Yield how large the movie's objects are, and the pictures of events, without maps."""
    from ...engine.inference.events.pictures import INSET, event_inset, inset_side
    from ...engine.movies import Preparation, PreparedMovie
    from ...engine.movies.object_radius import object_radius

    channels, size = movie.shape[1] if movie.shape[1] > 1 else 0, INSET
    scaled = Preparation("channel", channels=channels, scale_channels="together" if movie.colours else "each")
    with contextlib.suppress(UserError):  # a frame that cannot be used is no reason to show none
        radius = object_radius(PreparedMovie(movie, scaled))
        size = inset_side(radius)
        yield ObjectsMeasured(radius)
    for place, event in enumerate(events):
        yield Pictured(place, event_inset(movie, event, None, size))


def draw_sheet(insets: Sequence[Inset], path: Path, title: str) -> Generator[Any, None, str]:
    """Draw a contact sheet; yields nothing, and returns a sentence."""
    from ...engine.pictures import contact_sheet

    contact_sheet(insets, path, title)
    yield from ()
    return f"Saved {len(insets)} events as {path.name}."
