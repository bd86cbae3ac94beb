"""One line in the dock: what a run would take, measured when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ...engine.errors import UserError
from ..shared.dock import note
from ..shared.words import cost
from ..shared.worker import Job

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ...engine.training import Estimate
    from .order import Order

_INVITATION, _AT_WORK = "Time and memory are not measured yet.", "Measuring …"


class MeasureLine(QWidget):
    """A button, and what was measured.

    Parameters
    ----------
    order
        Returns what would be trained; raises `UserError` where that is not right yet.
    """

    failed = Signal(object)

    def __init__(self, order: Callable[[], Order]) -> None:
        super().__init__()
        self._order = order
        self._job: Job | None = None
        self._told_by_a_run = False
        self.label = note(_INVITATION)
        self.label.setObjectName("estimate")
        self.button = QPushButton("Measure")
        self.button.setToolTip("Try a few steps and say how long an epoch takes, and how much memory a step needs")
        self.button.clicked.connect(self.start)
        box = QHBoxLayout(self)
        box.setContentsMargins(0, 0, 0, 0)
        box.addWidget(self.label, 1)
        box.addWidget(self.button)

    @property
    def running(self) -> bool:
        """Whether a measurement is under way."""
        return self._job is not None

    def start(self) -> None:
        """Measure, in a thread."""
        if self._job is not None:
            return
        try:
            order = self._order()
        except UserError as error:
            self.failed.emit(error)
            return

        def work() -> Iterator[Estimate]:
            from ...engine.training import measure

            yield measure(order.config, [order.movie])

        self.label.setText(_AT_WORK)
        self.button.setEnabled(False)
        self._job = job = Job(work, "TAP measurement", parent=self)
        job.yielded.connect(self._take)
        job.errored.connect(self._fail)
        job.finished.connect(self._finish)
        job.finished.connect(job.deleteLater)
        job.start()

    def allow(self, allowed: bool, *, shown: bool) -> None:
        """Let the button work, or not; it is there only between runs."""
        self.button.setEnabled(allowed and self._job is None)
        self.button.setVisible(shown)

    def tell(self, text: str) -> None:
        """Show what a run found out itself."""
        self.label.setText(text)

    def forget(self) -> None:
        """Show nothing: the settings have changed since."""
        if self._job is None:
            self.label.setText(_INVITATION)
        else:
            self.end()

    def end(self) -> None:
        """Give up a measurement."""
        if self._job is not None:
            self._job.abandon()
            self._job.yielded.disconnect()
            self._job.errored.disconnect()
            self._job.finished.disconnect(self._finish)  # it may come when another measurement is under way
            self._finish()

    def _take(self, found: Any) -> None:
        self.label.setText(cost(found.seconds, found.epochs, found.needed, found.free, found.device))

    def _fail(self, error: BaseException) -> None:
        self.label.setText(_INVITATION)
        self.failed.emit(error)

    def _finish(self) -> None:
        self._job = None
        self.button.setEnabled(True)
        if self.label.text() == _AT_WORK:
            self.label.setText(_INVITATION)
