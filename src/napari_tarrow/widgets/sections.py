"""Parts of a dock: headings, sections that fold, a page that scrolls up and down only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QEvent, QObject, Qt
from qtpy.QtGui import QIcon, QPixmap
from qtpy.QtWidgets import QFrame, QLabel, QScrollArea, QWidget
from superqt import QCollapsible

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


def folding(title: str, content: QWidget, *, opened: bool) -> QCollapsible:
    """Return a section that opens and closes at a click on its title."""
    nothing = _no_icon()
    section = QCollapsible("", expandedIcon=nothing, collapsedIcon=nothing)  # its icons are black in any theme
    section.toggled.connect(lambda is_open: section.setText(f"{_OPEN if is_open else _SHUT} {title}"))
    section.setText(f"{_SHUT} {title}")
    section.setDuration(0)
    section.setFrameShape(QFrame.Shape.NoFrame)
    section.layout().setContentsMargins(0, 0, 0, 0)
    section.layout().setSpacing(2)
    section.toggleButton().setStyleSheet(_PLAIN)
    section.setContent(content)
    section.expand(animate=False) if opened else section.collapse(animate=False)
    return section


def _no_icon() -> QIcon:
    """Return a transparent icon: superqt asks whether there is one, and to PySide6 an empty one is none."""
    picture = QPixmap(1, 1)
    picture.fill(Qt.GlobalColor.transparent)
    return QIcon(picture)


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
