"""What the docks that use a trained model share: movie, model, one button to begin, one to stop, and what is said."""

from __future__ import annotations

import time
import weakref
from typing import TYPE_CHECKING, Any

from qtpy.compat import isalive
from qtpy.QtCore import QEvent, Qt
from qtpy.QtWidgets import (
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLayout,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ...engine.errors import UserError
from .combo import titled
from .layers import duration, still_there
from .models import ModelChooser
from .movie_chooser import MovieChooser
from .sections import Page
from .words import as_tip
from .work import Stage, Stopping
from .worker import Job, in_words, notify

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.components import ViewerModel
    from napari.layers import Layer


_LEAST_WIDTH = 325  # pixels; napari cuts the title of a narrower dock
_LEAST_HEIGHT = 200  # of a page that scrolls: all docks together fit a screen of 768


class UseDock(QWidget):
    """A dock with a movie, a model and a job.

    A subclass adds rows to `form`, and says how work begins (`_work`), what comes of its values (`_take`) and of its
    end (`_ended`).

    Parameters
    ----------
    viewer
    action
        The word on the button.
    title
        What a job does, such as "TAP attribution of {movie}".
    """

    def __init__(self, viewer: ViewerModel, action: str, title: str) -> None:
        super().__init__()
        self.viewer = viewer
        self.job: Job | None = None
        self._title = title
        self._source: weakref.ref[Layer] | None = None  # the layer that the job works on
        self._stopping = Stopping()
        self._stopped = False
        self._ending = False  # the work was asked to end, and has not yet
        self._begin = 0.0  # of the work, or of its latest stage
        self._stage = ""
        self._notices: list[str] = []  # what the work said of itself
        self.movie = MovieChooser(viewer, "Movie")
        self.model = ModelChooser("Model")
        self.go = QPushButton(action)
        self.stop = QPushButton("Stop")
        self.stop.setToolTip("End now and keep what is done")
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.status = note("")
        self.status.setObjectName("status")
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        content = QWidget()
        self.box = QVBoxLayout(content)
        self.box.addStrut(_LEAST_WIDTH)
        self.form = QFormLayout()
        self.form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        self.box.addWidget(self.movie)
        self.box.addWidget(self.model)
        self.box.addLayout(self.form)
        page = Page(content)
        page.setMinimumHeight(_LEAST_HEIGHT)
        around = QVBoxLayout(self)
        around.setContentsMargins(0, 0, 0, 0)
        around.addWidget(page)
        viewer.layers.events.removed.connect(self._layer_gone)

    def begin(self) -> None:
        """Start the work that the dock describes."""
        layer = self.movie.layer
        self.movie.look()
        if self.job is not None or layer is None or self._hindrance():
            return
        self._stopping = Stopping()
        try:
            work = self._work()
        except UserError as error:
            self._fail(error)
            return
        self._source, self._begin = weakref.ref(layer), time.monotonic()
        self._stopped, self._ending = False, False
        self._notices, self._stage = [], ""
        self.job = Job(work, self._title.format(movie=layer.name), stop=self._asked_to_stop, parent=self)
        self.job.yielded.connect(self._value)
        self.job.errored.connect(self._fail)
        self.job.returned.connect(self._returned)
        self.job.finished.connect(self._finished)
        self.job.start()
        self._say("Opening the model and the movie ...")
        self.update_buttons()

    def end(self) -> None:
        """Ask the work to end, and keep what is done."""
        if self.job is not None and not self._ending:
            self._stopped, self._ending = True, True
            self._say("Stopping ...")
            self.stop.setEnabled(False)
            self.job.stop()

    def leave(self) -> None:
        """End the work because nobody will look at more of it."""
        self.end()
        self._stopping.stop_all()

    def update_buttons(self) -> None:
        """Enable what works now, and say what hinders."""
        running = self.job is not None
        why = self._hindrance()
        self.go.setEnabled(not running and why is None)
        self.go.setToolTip(as_tip(why or ""))
        self.stop.setEnabled(running and not self._ending)
        self.progress.setVisible(running)
        for part in (self.movie, self.model, *self._settings()):
            part.setEnabled(not running)

    def event(self, event: QEvent | None) -> bool:
        """End the work when napari closes the dock: it takes this widget out of it."""
        if event is not None and event.type() == QEvent.Type.ParentChange and self.parent() is None:
            self.leave()
        return bool(super().event(event))

    # what a subclass says

    def _work(self) -> Any:
        """Return what makes the iterator of the work, in the thread; read all settings here."""
        raise NotImplementedError

    def _take(self, value: Any) -> None:
        """Show a value of the work."""
        raise NotImplementedError

    def _ended(self, result: Any) -> str:
        """Show the end of the work, and return a sentence about it."""
        raise NotImplementedError

    def _forget(self) -> None:
        """Let go of what the work was about: it holds the movie's data."""

    def _settings(self) -> Iterator[QWidget]:
        """Yield what must not be changed during the work."""
        yield from ()

    def _wrong(self) -> str | None:
        """Say what is wrong in a field of the form, whatever else hinders; None where nothing is."""
        return None

    def _hindrance(self) -> str | None:
        """Say why the work cannot begin; None where it can."""
        if (wrong := self._wrong()) is not None:
            return wrong
        facts, model = self.movie.facts, self.model.facts
        if facts is None:
            return "Open a movie first."
        if facts.problem:
            return facts.problem
        if model.problem:
            return model.problem
        return model.misfit(facts.channels)

    # how it is laid out

    def _add_row(self, words: str, field: QWidget | QLayout, tip: str = "") -> None:
        label = titled(words)
        label.setToolTip(tip)
        self.form.addRow(label, field)

    def _add_run_bar(self) -> None:
        row = QHBoxLayout()
        row.addWidget(self.go, 1)
        row.addWidget(self.stop)
        self.box.addLayout(row)
        self.box.addWidget(self.progress)
        self.box.addWidget(self.status)
        self.go.clicked.connect(self.begin)
        self.stop.clicked.connect(self.end)
        self.movie.changed.connect(self._refresh)
        self.model.changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        self.update_buttons()
        if self.job is None:
            facts, model = self.movie.facts, self.model.facts
            told = facts is None or facts.problem or model.problem  # beside what is wrong
            wrong = self._wrong()
            self._say(wrong or ("" if told else self._hindrance() or ""), wrong=wrong is not None)

    # the life of a job

    def _asked_to_stop(self) -> None:
        """Pass on what the button asks, or the cross in napari's activity dock."""
        self._stopped = True
        self._stopping.stop()

    def _value(self, value: Any) -> None:
        if isinstance(value, Stage):
            self._stage, self._begin = value.sentence, time.monotonic()
            self._say(value.sentence)
            self._ending = False  # what has begun may be stopped, too
            self.update_buttons()
            return
        self._notices = list(
            dict.fromkeys([*self._notices, *(f"Note: {one}" for one in getattr(value, "notices", ()))])
        )
        self._take(value)
        done, total = getattr(value, "done", 0), getattr(value, "total", 0)
        if total:
            self.progress.setRange(0, total)
            self.progress.setValue(done)
            self._say(" ".join([self._how_far(done, total), *self._notices]))

    def _how_far(self, done: int, total: int) -> str:
        seconds = time.monotonic() - self._begin
        left = f", {duration(max(1.0, round(seconds / done * (total - done))))} left" if 0 < done < total else ""
        return f"{self._stage} {done} of {total} frames{left}".strip()

    def _returned(self, result: Any) -> None:
        self._say(" ".join([self._ended(result), *self._notices]))

    def _fail(self, error: BaseException) -> None:
        self._say(in_words(error), wrong=True)
        notify(error)

    def _finished(self) -> None:
        if self.job is not None:
            self.job.deleteLater()
        self.job, self._source = None, None
        self._forget()
        self.update_buttons()

    def _layer_gone(self, event: Any = None) -> None:
        del event
        if (
            isalive(self)
            and self.job is not None
            and self._source is not None
            and not still_there(self.viewer, self._source)
        ):
            self.leave()

    def _say(self, sentence: str, wrong: bool = False) -> None:
        self.status.setText(sentence)
        self.status.setStyleSheet("color: #d9534f;" if wrong else "")


def note(text: str) -> QLabel:
    """Return a label that wraps its words, takes no name for HTML and never widens the dock."""
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    label.setWordWrap(True)
    label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
    return label
