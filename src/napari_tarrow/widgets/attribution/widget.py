"""The dock "Show attribution": maps over the movie, the frame in view first, and the events in them."""

from __future__ import annotations

import contextlib
import functools
import re
import weakref
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QCheckBox, QHBoxLayout, QLabel, QLineEdit, QWidget

from ...engine.config.attribution import Align, MapKind
from ...engine.errors import UserError
from ...engine.movies import sequences
from ...engine.movies.object_radius import radius_in_words
from ..shared.combo import Combo
from ..shared.dock import UseDock
from ..shared.layers import laid_over, like, plain, provenance, still_there
from ..shared.preferences import read_preferences
from ..shared.views import frame_in_view
from ..shared.worker import in_words
from .earlier import Earlier
from .events_panel import EventsPanel
from .work import EventsFound, MapOrder, MapsBegun, MapSearched, MapWritten, Pictured, show_attribution

if TYPE_CHECKING:
    from collections.abc import Iterator

    import napari.viewer
    from napari.layers import Image

    from ..shared.layers import LayerFacts
    from .event_list import EventList

_KINDS: dict[str, tuple[str, str]] = {
    "evidence": ("evidence", "where the network sees the direction of time"),
    "change": ("change", "how its weighted features changed"),
    "gradcam": ("Grad-CAM", "as published, of the first frame"),
    "contribution": ("contribution", "gradient times activation"),
    "evidence_change": ("evidence x difference", "evidence times the difference of the frames"),
}

_ALIGN: dict[str, Align] = {"if fast": "auto", "always": "yes", "never": "no"}


class AttributionWidget(UseDock):
    """Movie, model and map; a button to show; the events that are found."""

    def __init__(self, napari_viewer: napari.viewer.Viewer) -> None:
        super().__init__(napari_viewer, "Show", "TAP attribution of {movie}")
        self._facts: LayerFacts | None = None  # of the movie of the job, without its data
        self._order: MapOrder | None = None
        self._shown: dict[int, _ShownMaps] = {}
        self._earlier = Earlier()
        self._record: dict[str, Any] = {}
        self._name = ""
        self._written, self._searched = 0, 0
        self._found: EventList | None = None  # by the job; a csv may have been opened since
        self._deltas_typed = False
        self._estimated = ""  # what is said of the objects
        self.deltas = QLineEdit("1")
        self.deltas.setObjectName("deltas")
        self.deltas.setToolTip("Time steps between the two frames, in frames; several with commas: a layer for each.")
        self.kind = Combo("kind")
        for number, kind in enumerate(get_args(MapKind)):
            words, tip = _KINDS.get(kind, (kind, ""))
            self.kind.addItem(words, kind)
            self.kind.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)
        self.kind.setToolTip("\n".join(f"{words}: {tip}" for words, tip in _KINDS.values()))
        self.direction = Combo("class_id")
        self.direction.setToolTip("Which answer of the network is explained; forwards is the true order of the frames.")
        self.signed = QCheckBox("signed, also what speaks against")
        self.signed.setObjectName("signed")
        self.align = Combo("align")
        for words, value in _ALIGN.items():
            self.align.addItem(words, value)
        self.align.setToolTip(
            "Align frames with one another before they are compared, so that what moves together is not taken for"
            " change: if objects move by their own radius or more, always, or never. Takes twice as long or longer."
        )
        self.radius = QLineEdit()
        self.radius.setObjectName("radius")
        self.radius.setPlaceholderText("from the movie")
        self.radius.setToolTip(
            "Radius of the objects, in pixels, by which events are told apart and placed; without it, estimated from"
            " the movie."
        )
        self._add_row("Delta", self.deltas)
        self._add_row("Map", self.kind)
        self._add_row("Explain", self.direction)
        self._add_row("", self.signed)
        row = QHBoxLayout()
        row.addWidget(self.radius, 1)
        row.addWidget(QLabel("Align"))
        row.addWidget(self.align, 1)
        self._add_row("Radius", row)
        self.events = EventsPanel(napari_viewer, self._chosen_movie)
        self.model.changed.connect(self._suit_model)
        self.model.picked.connect(self._take_deltas)
        self.deltas.textEdited.connect(self._count_pairs)
        self.radius.textEdited.connect(self._refresh)
        self._suit_model()
        self._add_run_bar()
        self.box.addWidget(self.events, 1)

    def _suit_model(self) -> None:
        """Offer what the chosen model was trained with."""
        facts = self.model.facts
        if facts.problem:
            return
        if not self._deltas_typed:
            self.deltas.setText(", ".join(map(str, facts.deltas)))
            self.movie.deltas = facts.deltas
        self.direction.clear()
        for class_id in range(facts.frames):
            words = {0: "forwards", 1: "backwards" if facts.frames == 2 else "order 2"}
            self.direction.addItem(words.get(class_id, f"order {class_id + 1}"), class_id)
        self.movie.look()

    def _take_deltas(self) -> None:
        """Offer the time steps of a model that the user chose, whatever was typed before."""
        self._deltas_typed = False
        self._suit_model()

    def _settings(self) -> Iterator[QWidget]:
        yield from (self.deltas, self.kind, self.direction, self.signed, self.align, self.radius)

    def _count_pairs(self) -> None:
        """Let the sentence about the movie count the pairs at the time steps that the user typed."""
        self._deltas_typed = True
        with contextlib.suppress(UserError):
            self.movie.deltas = _numbers(self.deltas.text())
            self.movie.look()
        self._refresh()

    def _wrong(self) -> str | None:
        try:
            deltas = _numbers(self.deltas.text())
            _radius(self.radius.text())
        except UserError as error:
            return str(error)
        movie, model = self.movie.facts, self.model.facts
        if movie is None or movie.problem or model.problem:
            return None
        numbers = np.array(movie.numbers)
        for delta in deltas:
            if not len(sequences(numbers, range(len(numbers)), model.frames, delta)):
                return f"Delta is {delta}, and the movie has no {model.frames} frames that far apart. Give another."
        return None

    def _work(self) -> Any:
        layer, facts, model = self.movie.layer, self.movie.facts, self.model.folder
        assert layer is not None
        assert facts is not None
        assert facts.source is not None
        assert model is not None
        self._shown, self._written, self._searched, self._found, self._estimated = {}, 0, 0, None, ""
        preferences = read_preferences()
        self._order = MapOrder(
            folder=model,
            movie=facts.source,
            deltas=_numbers(self.deltas.text()),
            kind=self.kind.currentData(),
            class_id=self.direction.currentData() or 0,
            signed=self.signed.isChecked(),
            align=self.align.currentData(),
            radius=_radius(self.radius.text()),
            current=frame_in_view(self.viewer, layer, facts.axes),
            device=preferences.device,
            memory=preferences.memory,
        )
        self._facts, self._name = replace(facts, source=None), layer.name
        return functools.partial(show_attribution, self._order, self._stopping)

    def _forget(self) -> None:
        self._order = None

    def _take(self, value: Any) -> None:
        if isinstance(value, MapWritten):
            self._written += 1
            if self._written == 1:
                self._hide_earlier()
            if value.delta in self._shown:  # not where the movie was removed before
                self._shown[value.delta].update(self.viewer, value)
        elif isinstance(value, MapsBegun):
            self._add_maps(value)
        elif isinstance(value, MapSearched):
            self._searched = value.done
        elif isinstance(value, EventsFound):
            self._add_events(value)
        elif isinstance(value, Pictured) and self.events.shows(self._found):
            self.events.picture(value)

    def _add_maps(self, begun: MapsBegun) -> None:
        layer = self._source() if self._source is not None else None
        if layer is None or not still_there(self.viewer, layer) or self._facts is None or self._order is None:
            return
        order, facts = self._order, self._facts
        options = {
            "delta": list(order.deltas),
            "map": order.kind,
            "class_id": order.class_id,
            "signed": order.signed,
            "aligned": begun.aligned,
            "radius": order.radius,
        }
        self._record = provenance(model=str(order.folder), configuration=options, data=begun.fingerprint)
        for delta, values in begun.maps.items():
            suffix = f" delta {delta}" if len(begun.maps) > 1 else ""
            shown = self.viewer.add_image(
                laid_over(values, facts.axes, facts.shape),
                name=f"{self._name} {order.kind}{suffix}",
                colormap=_two_sided() if order.signed else "inferno",
                blending="additive",
                contrast_limits=(-1, 1) if order.signed else (0, 1),
                metadata={**self._record},
                **like(layer, axes=facts.axes, own=facts.axes),
            )
            self._shown[delta] = _ShownMaps(plain(shown), facts.axes, order.signed)

    def _hide_earlier(self) -> None:
        """Hide the maps of the same movie from before: there are others to see now."""
        if (layer := self._source() if self._source is not None else None) is not None:
            self._earlier.replace(layer, *(shown.layer for shown in self._shown.values()))

    def _add_events(self, found: EventsFound) -> None:
        layer = self._source() if self._source is not None else None
        for shown in self._shown.values():
            shown.finish(self.viewer)
        if self._order is not None and self._order.radius is None:
            self._estimated = f" Objects have a radius of {radius_in_words(found.radius)}."
        if layer is not None and still_there(self.viewer, layer) and self._facts is not None:
            self._found = self.events.found_again(layer, found.events)
            self.events.show_events(
                layer, self._facts, self._found, found.threshold, self._name, self._record, radius=found.radius
            )

    def _fail(self, error: BaseException) -> None:
        """Say it, with how many maps are there; a layer without any goes."""
        super()._fail(error)
        if self._written:
            self._say(f"{in_words(error)} {_maps(self._written)} shown.", wrong=True)
        else:
            for shown in self._shown.values():
                shown.remove(self.viewer)

    def _ended(self, result: Any) -> str:
        del result
        if self._source is not None and not still_there(self.viewer, self._source):
            return f"The layer {self._name} was removed: the work has ended."
        if self._stopped:
            few = self._searched < self._written
            which = f"the first {self._searched} of them" if few else "them"
            return f"Stopped: {_maps(self._written)} shown, and the events are those in {which}.{self._estimated}"
        return f"Done: {_maps(self._written)} shown.{self._estimated}"

    def _chosen_movie(self) -> tuple[Any, LayerFacts] | None:
        """Return the layer that is chosen as movie, and what it is; None where it is none."""
        self.movie.look()
        layer, facts = self.movie.layer, self.movie.facts
        return None if layer is None or facts is None or facts.source is None else (layer, facts)


class _ShownMaps:
    """A layer of maps that fills up; its contrast follows the brightest map until the user sets it."""

    def __init__(self, layer: Image, axes: str, signed: bool) -> None:
        self._layer = weakref.ref(layer)
        self._axes, self._signed = axes, signed
        self._top = 0.0
        self._limits = tuple(layer.contrast_limits)

    def update(self, viewer: Any, written: MapWritten) -> None:
        """Show what was written, if the viewer is there."""
        layer = self._layer()
        if layer is None or not still_there(viewer, layer):
            return
        if written.top > 1.02 * self._top and tuple(layer.contrast_limits) == self._limits:
            self._top = written.top
            layer.contrast_limits = (-self._top if self._signed else 0.0, self._top)
            self._limits = tuple(layer.contrast_limits)
        if written.frame == frame_in_view(viewer, layer, self._axes):
            layer.refresh(extent=False, thumbnail=False)

    @property
    def layer(self) -> Image | None:
        """The layer, as long as somebody knows it."""
        return self._layer()

    def remove(self, viewer: Any) -> None:
        """Take the layer out of the viewer."""
        layer = self._layer()
        if layer is not None and still_there(viewer, layer):
            viewer.layers.remove(layer)

    def finish(self, viewer: Any) -> None:
        """Draw the thumbnail."""
        layer = self._layer()
        if layer is not None and still_there(viewer, layer):
            layer.refresh(extent=False)


def _numbers(text: str) -> tuple[int, ...]:
    words = [word for word in re.split(r"[\s,;]+", text.strip()) if word]
    if not words or not all(word.isdecimal() and 0 < int(word) <= 1_000_000 for word in words):
        raise UserError(f"Delta is {text.strip() or 'empty'}. Write whole numbers from 1 on, such as 1 or 4, 8.")
    return tuple(dict.fromkeys(map(int, words)))


def _radius(text: str) -> float | None:
    """Return the radius that was typed; None where nothing was."""
    if not text.strip():
        return None
    with contextlib.suppress(ValueError):
        if 0 < (value := float(text)) < np.inf:
            return value
    raise UserError(f"Radius is {text.strip()}. Write pixels above 0, such as 9.5, or leave it empty.")


def _maps(count: int) -> str:
    return f"{count} map{'s' * (count != 1)} {'is' if count == 1 else 'are'}"


def _two_sided() -> Any:
    """Return colours from blue (against) over black (neither) to orange (for): black adds nothing to the movie."""
    from napari.utils import Colormap

    return Colormap([[0.15, 0.55, 1, 1], [0, 0, 0, 1], [1, 0.55, 0.1, 1]], name="against and for")
