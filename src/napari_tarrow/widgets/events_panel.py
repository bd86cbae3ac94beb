"""The events of a movie in the dock: threshold, gallery, ticks, and what is saved of them."""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QSizePolicy, QSlider, QVBoxLayout, QWidget

from ..engine.errors import UserError
from .attribution_work import SHOWN, Pictured, draw_sheet, pictures
from .dock import note
from .events_layer import EventsLayer
from .gallery import Gallery
from .layers import provenance
from .worker import Job, in_words, notify

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from numpy.typing import NDArray

    from ..engine.inference.events import Event
    from ..engine.pictures import Inset
    from .layers import LayerFacts

_STEPS = 1000  # of the slider


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
        self._events: tuple[Event, ...] = ()  # strongest first
        self._scores: NDArray[np.float64] = np.empty(0)
        self._range = 0.0, 1.0  # of the scores, and of the slider
        self._ticks: list[bool | None] = []
        self.insets: dict[int, Inset] = {}
        self._layer: EventsLayer | None = None
        self._name = ""
        self._csv: Path | None = None  # ticks are kept there
        self._job: Job | None = None
        self.count = note("Events: none yet.")
        self.count.setObjectName("event_count")
        self.slider = QSlider(Qt.Orientation.Horizontal)
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
        self.gallery.clicked.connect(self.visit)
        self.gallery.ticked.connect(self.tick)
        self._update()

    @property
    def threshold(self) -> float:
        """The score from which on events are shown."""
        low, high = self._range
        value = self.slider.value()
        return low if value == 0 else high if value == _STEPS else low + (high - low) * value / _STEPS

    @property
    def ticks(self) -> list[bool | None]:
        """What the user says of each event."""
        return list(self._ticks)

    def sentence(self) -> str:
        """Say how many events are shown of how many."""
        if not self._events:
            return "No event stands out."
        shown = self._count()
        pictured = f" The strongest {SHOWN} have pictures." if shown > SHOWN else ""
        return f"{shown} of {len(self._events)} events score at least {self.threshold:.3g}.{pictured}"

    def show_events(
        self,
        layer: Layer,
        facts: LayerFacts,
        events: Sequence[Event],
        threshold: float,
        name: str,
        metadata: dict[str, Any],
        ticks: Sequence[bool | None] | None = None,
    ) -> None:
        """Show events, strongest first, in place of those before; the layer of those before stays.

        Parameters
        ----------
        layer, facts
            The movie.
        events, threshold
        name
            Of the movie.
        metadata
            Of the new layer.
        ticks
            What is known of them.
        """
        self._abandon()
        self._events, self._ticks = tuple(events), list(ticks or [None] * len(events))
        self.insets, self._csv, self._name = {}, None, name
        self._scores = np.array([event.score for event in events], float)
        self._range = (float(self._scores.min()), float(self._scores.max())) if events else (0.0, 1.0)
        self._move_slider(threshold)
        self._layer = None
        if events:
            self._layer = EventsLayer(
                self._viewer,
                layer,
                facts,
                events,
                threshold=self.threshold,
                name=f"{name} events",
                metadata={**metadata},
            )
            if any(tick is not None for tick in self._ticks):
                self._layer.tick(self._ticks)
        self.gallery.fill(self._events[:SHOWN], self._ticks[:SHOWN], self._count())
        self._update()

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
        self._ticks[place] = tick
        if self._layer is not None:
            self._layer.tick(self._ticks)
        if self._csv is not None:
            self._write(self._csv)
        self._update()

    def save_csv(self) -> None:
        """Ask for a file and write all events; ticks that stand there already are taken over."""
        path, _ = QFileDialog.getSaveFileName(self, "Save events", self._suggested("csv"), "Table (*.csv)")
        if path and self._take_ticks(Path(path)) and self._write(Path(path)):
            self._csv = Path(path)
            self._update()

    def open_csv(self) -> None:
        """Ask for a table and show its events on the chosen movie."""
        from ..engine.inference.event_table import read_events

        chosen = self._chosen_movie()
        path, _ = QFileDialog.getOpenFileName(self, "Open events", "", "Table (*.csv)") if chosen else ("", "")
        if not path or chosen is None:
            return
        layer, facts = chosen
        assert facts.source is not None
        try:
            table = read_events(path)
            _check_inside(table.events, facts, Path(path))
        except UserError as error:
            notify(error)
            return
        order = sorted(range(len(table.events)), key=lambda i: -table.events[i].score)
        events = [table.events[i] for i in order]
        threshold = -math.inf if table.threshold is None else table.threshold
        metadata = provenance(events=path)
        self.show_events(layer, facts, events, threshold, layer.name, metadata, [table.true[i] for i in order])
        self._csv = Path(path)
        self._run(functools.partial(pictures, facts.source, tuple(events[:SHOWN])), f"Pictures of {layer.name}")

    def save_sheet(self) -> None:
        """Ask for a file and draw the events that are shown, but those ticked false, as a contact sheet."""
        shown = [
            inset
            for place, inset in sorted(self.insets.items())
            if self._events[place].score >= self.threshold and self._ticks[place] is not False
        ]
        path, _ = QFileDialog.getSaveFileName(self, "Save pictures", self._suggested("png"), "Picture (*.png)")
        if path:
            title = f"The {len(shown)} strongest events of {self._name}"
            self._run(functools.partial(draw_sheet, tuple(shown), Path(path), title), "Contact sheet")

    def _move_slider(self, threshold: float) -> None:
        low, high = self._range
        share = (threshold - low) / (high - low) if high > low and math.isfinite(threshold) else float(threshold > high)
        self.slider.blockSignals(True)
        self.slider.setValue(min(max(math.floor(share * _STEPS), 0), _STEPS))
        self.slider.blockSignals(False)

    def _abandon(self) -> None:
        """Give up what is still drawn of other events."""
        if self._job is not None:
            self._job.abandon()
            self._job = None

    def _run(self, work: Callable[[], Any], title: str) -> None:
        self._abandon()
        self._job = job = Job(work, title, parent=self, bar=False)
        job.yielded.connect(self._take)
        job.errored.connect(self._fail)
        job.returned.connect(self._say)
        job.start()

    def _take(self, value: Any) -> None:
        if self.sender() is self._job and isinstance(value, Pictured):
            self.picture(value)

    def _say(self, sentence: str | None) -> None:
        """Tell in passing what was saved."""
        from napari.utils.notifications import show_info

        self._update()
        if sentence:
            show_info(sentence)

    def _fail(self, error: BaseException) -> None:
        self.count.setText(in_words(error))
        notify(error)

    def _take_ticks(self, path: Path) -> bool:
        """Take over ticks of a table that is there already, where the user has not said anything since."""
        from ..engine.inference.event_table import read_events

        if not path.is_file():
            return True
        try:
            table = read_events(path)
        except UserError as error:
            notify(error)
            return False
        known = {_place(event): tick for event, tick in zip(table.events, table.true, strict=True)}
        for place, event in enumerate(self._events):
            if self._ticks[place] is None:
                self._ticks[place] = known.get(_place(event))
        for card in self.gallery.cards:
            card.set_tick(self._ticks[card.place])
        if self._layer is not None:
            self._layer.tick(self._ticks)
        return True

    def _write(self, path: Path) -> bool:
        from ..engine.inference.event_table import write_events

        try:
            write_events(path, self._events, threshold=self.threshold, true=self._ticks)
        except UserError as error:
            self._fail(error)
            return False
        return True

    def _suggested(self, ending: str) -> str:
        """Suggest a file beside the csv where there is one, else at home: the working folder may be anywhere."""
        folder = Path.home() if self._csv is None else self._csv.parent
        return str(folder / f"{self._name}_events.{ending}")

    def _count(self) -> int:
        """Count the events at or above the threshold."""
        return int((self._scores >= self.threshold).sum())

    def _apply_threshold(self) -> None:
        self.gallery.show_first(self._count())
        if self._layer is not None:
            self._layer.show_above(self.threshold)
        self._update()

    def _update(self) -> None:
        some = bool(self._events)
        for part in (self.slider, self.gallery, self.save_button, self.sheet_button):
            part.setVisible(some)
        self.sheet_button.setEnabled(bool(self.insets))
        true, false = self._ticks.count(True), self._ticks.count(False)
        ticked = f" {true} ticked true, {false} false." if true or false else ""
        kept = f" Ticks are kept in {self._csv.name}." if self._csv is not None else ""
        self.count.setText(f"{self.sentence()}{ticked}{kept}" if some or self._name else "Events: none yet.")


def _button(words: str, tip: str, action: Callable[[], None]) -> QPushButton:
    button = QPushButton(words)
    button.setToolTip(tip)
    button.clicked.connect(action)
    return button


def _place(event: Event) -> tuple[Any, ...]:
    """Return what tells an event from others, to the digits that a table holds."""
    return event.frame, f"{event.y:.2f}", f"{event.x:.2f}", event.pair


def _check_inside(events: Sequence[Event], facts: LayerFacts, path: Path) -> None:
    frames, height, width = (facts.shape[facts.axes.index(letter)] for letter in "TYX")
    for event in events:
        inside = 0 <= event.frame < frames and -0.5 <= event.y <= height and -0.5 <= event.x <= width
        if not inside:
            raise UserError(
                f"{path.name} has an event in frame {event.frame} at y {event.y:g}, x {event.x:g}, outside the chosen"
                " movie. Choose the movie that the table belongs to."
            )
