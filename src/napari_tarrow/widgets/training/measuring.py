"""One line in the dock: what a run would take, measured when asked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QWidget

from ...engine.errors import UserError
from ...engine.training import Control
from ...engine.training.control import Interrupted
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
        self._control = Control()
        self._waiting = False  # until what was given up has ended, to measure then
        self._allowed = True
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
        return self._job is not None and (self._waiting or not self._control.stopping)

    def start(self) -> None:
        """Measure, in a thread, once what was given up before has ended."""
        if self.running:
            return
        try:
            order = self._order()
        except UserError as error:
            self.failed.emit(error)
            return
        self.label.setText(_AT_WORK)
        self.button.setEnabled(False)
        self._waiting = self._job is not None
        if self._waiting:
            return
        self._control = control = Control()

        def work() -> Iterator[Estimate]:
            from ...engine.training import measure

            with contextlib.suppress(Interrupted):
                yield measure(order.config, [order.movie], control)

        self._job = job = Job(work, "TAP measurement", stop=control.stop, parent=self)
        job.yielded.connect(self._take)
        job.errored.connect(self._fail)
        job.finished.connect(self._finish)
        job.finished.connect(job.deleteLater)
        job.start()

    def allow(self, allowed: bool, *, shown: bool) -> None:
        """Let the button work, or not; it is there only between runs."""
        self._allowed = allowed
        self.button.setEnabled(allowed and not self.running)
        self.button.setVisible(shown)

    def tell(self, text: str) -> None:
        """Show what a run found out itself."""
        self.label.setText(text)

    def forget(self) -> None:
        """Show nothing: the settings have changed since."""
        self.label.setText(_INVITATION)
        self.end()

    def end(self) -> None:
        """Give up a measurement; it ends after the step at hand."""
        self._waiting = False
        if self._job is not None:
            self._job.stop()
        self._let_go()

    def _take(self, found: Any) -> None:
        if not self._control.stopping:
            self.label.setText(cost(found.seconds, found.epochs, found.needed, found.free, found.device))

    def _fail(self, error: BaseException) -> None:
        if not self._control.stopping:
            self.failed.emit(error)

    def _finish(self) -> None:
        self._job = None
        if self._waiting:
            self._waiting = False
            self.start()
        else:
            self._let_go()

    def _let_go(self) -> None:
        self.button.setEnabled(self._allowed)
        if self.label.text() == _AT_WORK:
            self.label.setText(_INVITATION)
