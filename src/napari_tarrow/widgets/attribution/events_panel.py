"""The events of a movie in the dock: threshold, gallery, ticks, and what is saved of them."""

from __future__ import annotations

import functools
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from ...engine.errors import UserError
from ..shared.dock import note
from ..shared.layers import plain, provenance
from ..shared.saving import ask_for_file
from ..shared.unwheeled import Unwheeled
from ..shared.worker import Job, in_words, notify
from .earlier import Earlier
from .event_list import EventList, read_event_list
from .events_layer import EventsLayer
from .gallery import Gallery
from .work import SHOWN, ObjectsMeasured, Pictured, draw_sheet, pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from qtpy.QtGui import QHideEvent

    from ...engine.inference.events.events import Event
    from ...engine.pictures import Inset
    from ..shared.layers import LayerFacts

_STEPS = 1000  # of the slider
_BEFORE_KEEPING = 400  # milliseconds in which the slider may go on moving


class EventsPanel(QWidget):
    """Everything about events once they are there.

    Parameters
    ----------
    viewer
    chosen_movie
        Gives the layer that is chosen as movie, with its facts, or None: events from a csv are shown on it.
    """

    def __init__(self, viewer: ViewerModel, chosen_movie: Callable[[], tuple[Layer, LayerFacts] | None]) -> None:
        super().__init__()
        # napari fills the rest of a dock with nothing, unless something in it wants the room.
        self.setSizePolicy(QSizePolicy.Policy.Preferred, QSizePolicy.Policy.Expanding)
        self._viewer, self._chosen_movie = viewer, chosen_movie
        self._list = EventList()
        self.threshold = 0.0  # score from which on events are shown; finer than the slider's steps until it is moved
        self.insets: dict[int, Inset] = {}
        self._layer: EventsLayer | None = None
        self._earlier = Earlier()
        self._movie: weakref.ref[Layer] | None = None  # of the events
        self._name = ""
        self._job: Job | None = None
        self.count = note("Events: none yet.")
        self.count.setObjectName("event_count")
        self.slider = _Slider(Qt.Orientation.Horizontal)
        self.slider.setObjectName("threshold")
        self.slider.setRange(0, _STEPS)
        self.slider.setToolTip("Show events with at least this score")
        self.gallery = Gallery()
        self.open_button = _button("Open csv…", "Show the events of a table, with their ticks", self.open_csv)
        self.save_button = _button("Save csv…", "Save all events; later ticks go there by themselves", self.save_csv)
        self.sheet_button = _button(
            "Save pictures…", "Save the events that are shown as a contact sheet", self.save_sheet
        )
        row = QHBoxLayout()
        for button in (self.open_button, self.save_button, self.sheet_button):
            row.addWidget(button)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 4, 0, 0)
        box.addWidget(self.count)
        box.addWidget(self.slider)
        box.addWidget(self.gallery, 1)
        box.addLayout(row)
        box.addStretch(0)
        self.slider.valueChanged.connect(self._apply_threshold)
        self._later = QTimer(self)
        self._later.setSingleShot(True)
        self._later.setInterval(_BEFORE_KEEPING)
        self._later.timeout.connect(self._keep)
        self.slider.valueChanged.connect(lambda: self._later.start())
        self.gallery.clicked.connect(self.visit)
        self.gallery.ticked.connect(self.tick)
        self._update()

    @property
    def ticks(self) -> list[bool | None]:
        """What the user says of each event."""
        return list(self._list.ticks)

    def sentence(self) -> str:
        """Say how many events are shown of how many."""
        if not len(self._list):
            return f"No event of {self._name} stands out."
        shown = self._list.count(self.threshold)
        if not shown:
            return f"None of the {len(self._list)} events of {self._name} reaches the threshold; lower it to see them."
        pictured = f" The strongest {SHOWN} have pictures." if shown > SHOWN else ""
        return f"{shown} of {len(self._list)} events of {self._name} score at least {self.threshold:.3g}.{pictured}"

    def show_events(
        self,
        layer: Layer,
        facts: LayerFacts,
        events: EventList,
        threshold: float,
        name: str,
        metadata: dict[str, Any],
        *,
        radius: float | None = None,
    ) -> None:
        """Show events in place of those before; the layer of those before stays, hidden where it is of the same movie.

        Parameters
        ----------
        layer, facts
            The movie.
        events, threshold
        name
            Of the movie.
        metadata
            Of the new layer.
        radius
            Of the movie's objects, in pixels, where it is known.
        """
        self._settle()
        self._abandon()
        self._list, self.insets, self._name, self._layer = events, {}, name, None
        self._movie = weakref.ref(plain(layer))
        self._move_slider(threshold)
        if len(events):
            self._layer = EventsLayer(
                self._viewer,
                layer,
                facts,
                events.events,
                threshold=self.threshold,
                radius=radius,
                name=f"{name} events",
                metadata={**metadata},
            )
        self._earlier.replace(layer, None if self._layer is None else self._layer.layer)
        self.gallery.fill(events.events[:SHOWN], events.ticks[:SHOWN], events.count(self.threshold))
        self._show_ticks()

    def found_again(self, layer: Layer, events: Sequence[Event]) -> EventList:
        """Return events found in a movie, with what the user says of them if those shown are of this movie, too."""
        same = self._movie is not None and self._movie() is plain(layer)
        return self._list.found_again(events) if same else EventList(events)

    def shows(self, events: EventList | None) -> bool:
        """Whether these are the events that are shown."""
        return self._list is events

    def picture(self, pictured: Pictured) -> None:
        """Put the picture of an event into the gallery."""
        self.insets[pictured.place] = pictured.inset
        self.gallery.picture(pictured.place, pictured.inset)
        self.sheet_button.setEnabled(True)

    def visit(self, place: int) -> None:
        """Move the viewer to an event."""
        self.gallery.mark(place)
        if self._layer is not None:
            self._layer.visit(place)

    def tick(self, place: int, tick: bool | None) -> None:
        """Note what the user says of an event, in the layer and in the csv where there is one."""
        self._list.ticks[place] = tick
        self._keep()
        self._show_ticks()

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Leave nothing for later when the dock or napari is closed."""
        self._settle()
        super().hideEvent(event)

    def save_csv(self) -> None:
        """Ask for a file and write all events; ticks that stand there already are taken over."""
        path = ask_for_file(self, "Save events", self._suggested("csv"), "Table", ".csv")
        if path is None:
            return
        try:
            self._list.save(path, self.threshold)
        except UserError as error:
            self._fail(error)
        else:
            self._show_ticks()

    def open_csv(self) -> None:
        """Ask for a table and show its events on the chosen movie."""
        chosen = self._chosen_movie()
        path, _ = QFileDialog.getOpenFileName(self, "Open events", "", "Table (*.csv)") if chosen else ("", "")
        if not path or chosen is None:
            return
        layer, facts = chosen
        assert facts.source is not None
        try:
            events, threshold = read_event_list(Path(path), facts)
        except UserError as error:
            notify(error)
            return
        self.show_events(layer, facts, events, threshold, layer.name, provenance(events=path))
        work = functools.partial(pictures, facts.source, events.events[:SHOWN])
        self._job = self._started(work, f"Pictures of {layer.name}")

    def save_sheet(self) -> None:
        """Ask for a file and draw the events that are shown, but those ticked false, as a contact sheet."""
        shown = [
            inset
            for place, inset in sorted(self.insets.items())
            if self._list.events[place].score >= self.threshold and self._list.ticks[place] is not False
        ]
        if not shown:
            self._fail(UserError("No event that is shown has a picture and is not ticked false. Lower the threshold."))
            return
        path = ask_for_file(self, "Save pictures", self._suggested("png"), "Picture", ".png")
        if path is not None:
            title = f"The {len(shown)} strongest events of {self._name}"
            work = functools.partial(draw_sheet, tuple(shown), path, title)
            self._started(work, "Contact sheet").returned.connect(self._say)

    def _move_slider(self, threshold: float) -> None:
        low, high = self._list.range
        self.threshold = max(threshold, low)  # infinite where a table says that all events are below it
        share = (self.threshold - low) / (high - low) if high > low else float(threshold > high)
        self.slider.blockSignals(True)
        self.slider.setValue(round(min(share, 1.0) * _STEPS))
        self.slider.blockSignals(False)

    def _abandon(self) -> None:
        """Give up what is still drawn of other events."""
        if self._job is not None:
            self._job.abandon()
            self._job = None

    def _started(self, work: Callable[[], Any], title: str) -> Job:
        job = Job(work, title, parent=self, bar=False)
        job.yielded.connect(self._take)
        job.errored.connect(self._fail)
        job.finished.connect(job.deleteLater)
        job.start()
        return job

    def _take(self, value: Any) -> None:
        if self.sender() is not self._job:
            return
        if isinstance(value, Pictured):
            self.picture(value)
        elif isinstance(value, ObjectsMeasured) and self._layer is not None:
            self._layer.resize(value.radius)

    def _say(self, sentence: str | None) -> None:
        """Tell in passing what was saved."""
        from napari.utils.notifications import show_info

        self._update()
        if sentence:
            show_info(sentence)

    def _fail(self, error: BaseException) -> None:
        self.count.setText(in_words(error))
        notify(error)

    def _keep(self) -> None:
        """Keep ticks and threshold in the csv, where there is one."""
        self._later.stop()
        try:
            self._list.keep(self.threshold)
        except UserError as error:
            self._fail(error)

    def _settle(self) -> None:
        """Keep at once a threshold that was set a moment ago."""
        if self._later.isActive():
            self._keep()

    def _show_ticks(self) -> None:
        for card in self.gallery.cards:
            card.set_tick(self._list.ticks[card.place])
        if self._layer is not None:
            self._layer.tick(self._list.ticks)
        self._update()

    def _suggested(self, ending: str) -> str:
        """Suggest a file beside the csv where there is one, else at home: the working folder may be anywhere."""
        folder = Path.home() if self._list.csv is None else self._list.csv.parent
        return str(folder / f"{self._name}_events.{ending}")

    def _apply_threshold(self) -> None:
        low, high = self._list.range
        value = self.slider.value()
        self.threshold = high if value == _STEPS else low + (high - low) * value / _STEPS
        self.gallery.show_first(self._list.count(self.threshold))
        if self._layer is not None:
            self._layer.show_above(self.threshold)
        self._update()

    def _update(self) -> None:
        some = len(self._list) > 0
        for part in (self.slider, self.gallery, self.save_button, self.sheet_button):
            part.setVisible(some)
        self.sheet_button.setEnabled(bool(self.insets))
        true, false = self._list.ticks.count(True), self._list.ticks.count(False)
        ticked = f" {true} ticked true, {false} false." if true or false else ""
        kept = f" Ticks are kept in {self._list.csv.name}." if self._list.csv is not None else ""
        remark = f" {self._list.remark}" if self._list.remark else ""
        self.count.setText(f"{self.sentence()}{ticked}{kept}{remark}" if some or self._name else "Events: none yet.")


class _Slider(Unwheeled, QSlider):
    pass


def _button(words: str, tip: str, action: Callable[[], None]) -> QPushButton:
    button = QPushButton(words)
    button.setToolTip(tip)
    button.clicked.connect(action)
    return button
