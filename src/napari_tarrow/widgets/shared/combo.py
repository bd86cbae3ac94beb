"""Labels of equal width, and a list to choose from that shortens a long name in its middle instead of cutting it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QLabel, QStyle, QStyleOptionComboBox, QStylePainter

from .unwheeled import Unwheeled

if TYPE_CHECKING:
    from qtpy.QtGui import QPaintEvent

LABEL_WIDTH = 58  # pixels of the labels before the fields of a dock


def titled(words: str) -> QLabel:
    """Return a label that stands before a field; all are equally wide, unless their words need more."""
    label = QLabel(words)
    label.setMinimumWidth(LABEL_WIDTH)
    return label


class Combo(Unwheeled, QComboBox):
    """A combo box that may be narrower than its entries."""

    def __init__(self, name: str = "") -> None:
        super().__init__()
        self.setObjectName(name)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        if (view := self.view()) is not None:
            view.setTextElideMode(Qt.TextElideMode.ElideMiddle)

    def paintEvent(self, event: QPaintEvent | None) -> None:
        """Draw the chosen entry, shortened where it has to be."""
        del event
        painter = QStylePainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        if style is not None:
            field = style.subControlRect(
                QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
            )
            width = field.width() - 6
            option.currentText = self.fontMetrics().elidedText(self.currentText(), Qt.TextElideMode.ElideMiddle, width)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)
