"""Thumbnails of the strongest events, to click on and to tick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QFrame, QGridLayout, QHBoxLayout, QLabel, QScrollArea, QToolButton, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qtpy.QtGui import QKeyEvent, QMouseEvent, QResizeEvent

    from ...engine.inference.events.events import Event
    from ...engine.pictures import Inset

SIDE = 64  # pixels of a thumbnail on the screen
_GAP = 6
_BORDER = 2  # of a card; seen round the one that the viewer shows, and the one that keys go to
_YES, _NO = "#2e9e5b", "#c94f4f"


class Gallery(QScrollArea):
    """Cards of events in rows; the strongest comes first.

    Signals
    -------
    clicked(int)
        A card was clicked.
    ticked(int, object)
        The user says that an event is true (True), false (False), or no longer says anything (None).
    """

    clicked = Signal(int)
    ticked = Signal(int, object)

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[EventCard] = []
        self._shown = 0
        self._columns = 0
        self._inside = QWidget()
        self._grid = QGridLayout(self._inside)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(_GAP)
        self._grid.setAlignment(Qt.AlignmentFlag.AlignTop | Qt.AlignmentFlag.AlignLeft)
        self.setWidget(self._inside)
        self.setWidgetResizable(True)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setMinimumHeight(SIDE + 44)

    def fill(self, events: Sequence[Event], ticks: Sequence[bool | None], shown: int | None = None) -> None:
        """Make a card without pictures for each event, and show the first ones, or all."""
        self._inside.setUpdatesEnabled(False)
        for card in self.cards:
            card.setParent(None)
            card.deleteLater()
        self.cards = [
            EventCard(place, event, tick) for place, (event, tick) in enumerate(zip(events, ticks, strict=True))
        ]
        for card in self.cards:
            card.clicked.connect(self.clicked)
            card.ticked.connect(self.ticked)
        self._shown = len(self.cards) if shown is None else min(shown, len(self.cards))
        self._lay_out()
        self._inside.setUpdatesEnabled(True)

    def show_first(self, count: int) -> None:
        """Show the first `count` cards only."""
        if (count := min(count, len(self.cards))) != self._shown:
            changed = self.cards[min(count, self._shown) : max(count, self._shown)]
            self._shown = count
            for card in changed:
                card.setVisible(card.place < count)

    def picture(self, place: int, inset: Inset) -> None:
        """Put pictures onto a card."""
        if place < len(self.cards):
            self.cards[place].show_inset(inset)

    def mark(self, place: int) -> None:
        """Mark the card of the event that the viewer shows, and bring it into view."""
        for number, card in enumerate(self.cards):
            card.set_marked(number == place)
        if 0 <= place < len(self.cards):
            self.ensureWidgetVisible(self.cards[place], 0, 4)

    def sizeHint(self) -> QSize:
        """Ask for one row, and take what there is: the dock scrolls only where it has to."""
        return super().sizeHint().boundedTo(QSize(10**6, self.minimumHeight()))

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        """Put as many cards into a row as there is room for."""
        super().resizeEvent(event)
        if self._fitting() != self._columns:
            self._lay_out()

    def _fitting(self) -> int:
        bar = self.verticalScrollBar()
        width = self.width() - (0 if bar is None else bar.sizeHint().width())  # whether or not the bar is there
        return max(1, (width + _GAP) // (EventCard.WIDTH + _GAP))

    def _lay_out(self) -> None:
        self._columns = self._fitting()
        for number, card in enumerate(self.cards):
            self._grid.addWidget(card, *divmod(number, self._columns))
            card.setVisible(number < self._shown)


class EventCard(QFrame):
    """Both frames of an event, its number, frames and score, and two buttons to tick it."""

    WIDTH = 2 * SIDE + 3 * 4

    clicked = Signal(int)
    ticked = Signal(int, object)

    def __init__(self, place: int, event: Event, tick: bool | None) -> None:
        super().__init__()
        self.place = place
        self.setObjectName("event_card")
        self.setFixedWidth(self.WIDTH)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        first, second = event.pair
        self.setToolTip(
            f"Event {place + 1}: frames {first} and {second}, y {event.y:.0f}, x {event.x:.0f}, score"
            f" {event.score:.3g}.\nClick to go there; tick whether it is true or false."
        )
        self.pictures = [QLabel(), QLabel()]
        row = QHBoxLayout()
        row.setSpacing(4)
        for label in self.pictures:
            label.setFixedSize(SIDE, SIDE)
            label.setStyleSheet("background: rgba(128, 128, 128, 60);")
            row.addWidget(label)
        self.caption = QLabel(f"{place + 1} · {first}→{second}")
        self.yes, self.no = _tick_button("✓", "It is a true event"), _tick_button("✗", "It is no event")
        below = QHBoxLayout()
        below.setSpacing(2)
        below.addWidget(self.caption, 1)
        below.addWidget(self.yes)
        below.addWidget(self.no)
        box = QVBoxLayout(self)
        box.setContentsMargins(2, 2, 2, 1)  # inside the border
        box.setSpacing(2)
        box.addLayout(row)
        box.addLayout(below)
        self._marked: bool | None = None
        self.set_marked(False)
        self.set_tick(tick)
        self.yes.clicked.connect(lambda checked: self._tick(True if checked else None))
        self.no.clicked.connect(lambda checked: self._tick(False if checked else None))

    def show_inset(self, inset: Inset) -> None:
        """Show both frames, in one contrast."""
        from ...engine.pictures import contrast, grey

        limits = contrast(inset.frames)
        for label, frame in zip(self.pictures, inset.frames, strict=False):
            label.setPixmap(_pixmap(grey(frame, limits), inside=np.isfinite(frame).all(0)))

    def set_tick(self, tick: bool | None) -> None:
        """Show what the user said."""
        self.yes.setChecked(tick is True)
        self.no.setChecked(tick is False)

    def set_marked(self, marked: bool) -> None:
        """Draw a frame round the card, or none."""
        if marked == self._marked:
            return
        self._marked = marked
        colour = "palette(highlight)" if marked else "transparent"
        border = f"border: {_BORDER}px solid {colour}; border-radius: 4px;"
        focus = f"border: {_BORDER}px dashed palette(highlight);"
        self.setStyleSheet(f"#event_card {{ {border} }} #event_card:focus {{ {focus} }}")

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Take a click anywhere on the card."""
        super().mousePressEvent(event)
        self.clicked.emit(self.place)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Take Enter and space as a click, y and n as ticks."""
        key = None if event is None else event.key()
        if key in (Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space):
            self.clicked.emit(self.place)
        elif key in (Qt.Key.Key_Y, Qt.Key.Key_N):
            self._tick(key == Qt.Key.Key_Y)
        else:
            super().keyPressEvent(event)

    def _tick(self, tick: bool | None) -> None:
        self.set_tick(tick)
        self.ticked.emit(self.place, tick)


def _tick_button(sign: str, tip: str) -> QToolButton:
    button = QToolButton()
    button.setText(sign)
    button.setToolTip(tip)
    button.setCheckable(True)
    button.setAutoRaise(True)
    button.setFixedSize(20, 20)
    colour = _YES if sign == "✓" else _NO
    button.setStyleSheet(f"QToolButton:checked {{ background: {colour}; color: white; border-radius: 3px; }}")
    return button


def _pixmap(rgb: np.ndarray, inside: np.ndarray) -> QPixmap:
    """Return a thumbnail of a picture (H, W, 3), transparent beyond the movie's edge."""
    alpha = inside[..., None]
    pixels = np.ascontiguousarray(np.concatenate([np.clip(rgb, 0, 1), alpha], axis=-1) * 255, np.uint8)
    height, width = pixels.shape[:2]
    image = QImage(pixels.data, width, height, 4 * width, QImage.Format.Format_RGBA8888)
    return QPixmap.fromImage(image).scaled(
        SIDE, SIDE, Qt.AspectRatioMode.KeepAspectRatio, Qt.TransformationMode.SmoothTransformation
    )
