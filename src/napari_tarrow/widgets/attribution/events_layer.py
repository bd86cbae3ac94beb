"""Events as a Points layer over their movie: rings coloured by score, of which a threshold shows the strong ones."""

from __future__ import annotations

import itertools
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ..shared.layers import LayerFacts, like, plain, still_there
from ..shared.views import go_to, place_in_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer, Points
    from napari.utils.events import Event as LayerEvent
    from numpy.typing import NDArray

    from ...engine.inference.events.events import Event

_WORDS = {True: "yes", False: "no", None: ""}
_NO_EVENT = {"event": 0, "score": 0.0, "pair": "", "true": ""}  # features of a point of the user's
_RING = 4.0  # radii of the movie's objects: as on the overlay movie
_SMALLEST = 64  # rings in a row across the frame: smaller ones would not be seen
_SYMBOLS = {True: "disc", False: "x", None: "disc"}


class EventsLayer:
    """Adds the layer, and keeps it in step with threshold and ticks; if the user removes it, nothing is lost but it.

    Parameters
    ----------
    viewer
    movie
        The layer of the movie.
    facts
        What it is as a movie.
    events
        Strongest first, of frames of this movie.
    threshold
        Score from which on events are shown.
    radius
        Of the movie's objects, in pixels; None where it is not known.
    name, metadata
        Of the new layer.
    """

    def __init__(
        self,
        viewer: ViewerModel,
        movie: Layer,
        facts: LayerFacts,
        events: Sequence[Event],
        *,
        threshold: float,
        radius: float | None,
        name: str,
        metadata: dict[str, Any],
    ) -> None:
        self._viewer = viewer
        self._scores = np.array([event.score for event in events], float)
        self._axes = facts.axes
        self._copies = _copies(facts)
        self._ticks: list[bool | None] = [None] * len(events)
        self.places = _places(events, facts)  # (N, axes), of the first of the copies
        coordinates = np.concatenate([_moved(self.places, facts, copy) for copy in self._copies])
        features = {
            "event": np.tile(np.arange(1, len(events) + 1), len(self._copies)),
            "score": np.tile(self._scores, len(self._copies)),
            "pair": ["-".join(map(str, event.pair)) for event in events] * len(self._copies),
            "true": [""] * len(coordinates),
        }
        self._side = min(facts.shape[facts.axes.index(letter)] for letter in "YX")
        self._movie = weakref.ref(plain(movie))
        points = plain(
            viewer.add_points(
                coordinates,
                ndim=len(facts.axes),
                name=name,
                features=features,
                feature_defaults=_NO_EVENT,
                size=_size(self._side, radius),
                face_color="transparent",
                border_color="score" if len(coordinates) else "white",
                border_colormap="plasma",
                border_width=0.07,
                shown=np.tile(self._scores >= threshold, len(self._copies)),
                metadata=metadata,
                **like(movie, axes=facts.axes, own=facts.axes),
            )
        )
        points.events.feature_defaults.connect(_stay_no_event)
        self._layer: weakref.ref[Points] = weakref.ref(points)

    @property
    def layer(self) -> Points | None:
        """The layer, as long as it is in the viewer."""
        return self._layer() if still_there(self._viewer, self._layer) else None

    def show_above(self, threshold: float) -> None:
        """Show the events whose score is at least `threshold`."""
        if (layer := self.layer) is not None and len(self._scores):
            places, ours = _events_of(layer, len(self._scores))
            shown = np.array(layer.shown)
            shown[ours] = self._scores[places[ours]] >= threshold
            layer.shown = shown

    def resize(self, radius: float) -> None:
        """Fit the rings to the radius of the movie's objects, in pixels."""
        if (layer := self.layer) is not None and len(layer.data):
            layer.size = _size(self._side, radius)

    def tick(self, ticks: Sequence[bool | None]) -> None:
        """Show what the user says of each event: a cross for a false one."""
        before, self._ticks = self._ticks, list(ticks)
        if (layer := self.layer) is None or before == self._ticks:
            return
        places, ours = _events_of(layer, len(self._scores))
        features = layer.features.copy()
        words, symbols = (np.array(known, object) for known in (features.get("true", [""] * len(places)), layer.symbol))
        words[ours] = np.array([_WORDS[tick] for tick in ticks], object)[places[ours]]
        symbols[ours] = np.array([_SYMBOLS[tick] for tick in ticks], object)[places[ours]]
        features["true"] = words
        layer.features, layer.symbol = features, list(symbols)

    def visit(self, place: int) -> None:
        """Move the viewer to an event, and select it."""
        layer = self.layer or (self._movie() if still_there(self._viewer, self._movie) else None)
        if layer is None:
            return
        target = place_in_view(self._viewer, layer)  # its channel and its Z slice stay
        axes = [self._axes.index(letter) for letter in "TYX"]
        target[axes] = self.places[place][axes]
        go_to(self._viewer, layer, target.tolist())
        if (points := self.layer) is not None:
            places, ours = _events_of(points, len(self._scores))
            points.selected_data = set(np.flatnonzero(ours & (places == place)).tolist())


def _stay_no_event(change: LayerEvent) -> None:
    """Let points that are added be no events: napari would give them the features of the point that is selected."""
    defaults = change.source.feature_defaults
    if "event" in defaults and defaults["event"].iloc[0] != _NO_EVENT["event"]:
        change.source.feature_defaults = {name: value for name, value in _NO_EVENT.items() if name in defaults}


def _events_of(layer: Points, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the place of the event that each point stands for, and whether it stands for one.

    Users delete and add points, and may change the features.
    """
    import pandas as pd  # type: ignore[import-untyped, import-not-found, unused-ignore]

    numbers = layer.features["event"] if "event" in layer.features else np.zeros(len(layer.data))
    places = np.nan_to_num(np.asarray(pd.to_numeric(numbers, errors="coerce"), float)).astype(np.int64) - 1
    return places, (places >= 0) & (places < count)


def _copies(facts: LayerFacts) -> list[dict[str, int]]:
    """Return one index along each axis beyond T, Y and X for every copy of the points, for every channel and slice."""
    others = [(letter, length) for letter, length in zip(facts.axes, facts.shape, strict=True) if letter not in "TYX"]
    letters = [letter for letter, _ in others]
    found = itertools.product(*(range(length) for _, length in others))
    return [dict(zip(letters, indices, strict=True)) for indices in found]


def _places(events: Sequence[Event], facts: LayerFacts) -> NDArray[np.float64]:
    places = np.zeros((len(events), len(facts.axes)))
    for row, event in zip(places, events, strict=True):
        for letter, value in (("T", facts.frame_index(event.frame)), ("Y", event.y), ("X", event.x)):
            row[facts.axes.index(letter)] = value
    return places


def _moved(places: NDArray[np.float64], facts: LayerFacts, copy: dict[str, int]) -> NDArray[np.float64]:
    moved = places.copy()
    for letter, index in copy.items():
        moved[:, facts.axes.index(letter)] = index
    return moved


def _size(side: int, radius: float | None) -> float:
    """Diameter of a ring in pixels: it should go round what divides, and still be seen where the movie is large."""
    return float(np.clip(side / 8, 22, 40)) if radius is None else max(_RING * radius, side / _SMALLEST)
