"""Parts of a dock: headings, sections that fold, a page that scrolls up and down only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtWidgets import QFrame, QLabel, QPushButton, QScrollArea, QVBoxLayout, QWidget

if TYPE_CHECKING:
    from qtpy.QtCore import QSize

_OPEN, _SHUT = "\u25be", "\u25b8"
_PLAIN = (
    "QPushButton { text-align: left; background: transparent; border: none; font-weight: bold; padding: 2px 0; }"
    "QPushButton:hover { text-decoration: underline; }"
)


def heading(text: str) -> QLabel:
    """Return a label for the head of a section."""
    label = QLabel(f"<b>{text}</b>")
    label.setContentsMargins(0, 4, 0, 0)
    return label


class Folding(QWidget):
    """A section that opens and closes at a click on its title.

    superqt's fixes the height of its content when it opens, and cuts off what grows inside later.

    Parameters
    ----------
    title
    content
    opened
        Whether it is open at first.
    """

    def __init__(self, title: str, content: QWidget, *, opened: bool) -> None:
        super().__init__()
        self._title = title
        self.content = content
        self.button = QPushButton()
        self.button.setObjectName("fold")
        self.button.setCheckable(True)
        self.button.setStyleSheet(_PLAIN)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.setSpacing(4)
        box.addWidget(self.button)
        box.addWidget(content)
        self.button.toggled.connect(self._show)
        self.button.setChecked(opened)
        self._show(opened)

    def set_open(self, opened: bool) -> None:
        """Open or close it."""
        self.button.setChecked(opened)

    def _show(self, opened: bool) -> None:
        self.button.setText(f"{_OPEN if opened else _SHUT} {self._title}")
        self.content.setVisible(opened)


class Page(QScrollArea):
    """A page that is never cut off sideways: the area is as wide as its content has to be.

    Parameters
    ----------
    content
    """

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        content.installEventFilter(self)
        self._widen()

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Heed what the content needs when it changes."""
        if event is not None and event.type() == QEvent.Type.LayoutRequest:
            self._widen()
        return bool(super().eventFilter(watched, event))

    def sizeHint(self) -> QSize:
        """As wide as the content has to be, and not higher than it likes."""
        hint = super().sizeHint()
        hint.setWidth(self.minimumWidth())
        return hint

    def _widen(self) -> None:
        content, bar = self.widget(), self.verticalScrollBar()
        if content is not None and bar is not None:
            self.setMinimumWidth(content.minimumSizeHint().width() + bar.sizeHint().width())
