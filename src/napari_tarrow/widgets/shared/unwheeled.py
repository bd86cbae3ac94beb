"""Fields on a page that scrolls."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from qtpy.QtGui import QWheelEvent


class Unwheeled:
    """Comes before the Qt class of a field: the wheel scrolls the page, and changes nothing by accident."""

    def wheelEvent(self, event: QWheelEvent | None) -> None:
        """Leave the wheel to the page."""
        if event is not None:
            event.ignore()
