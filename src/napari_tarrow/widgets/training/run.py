"""The life of one training: its thread, its state, its folder; knows no widget."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from ...engine.training import Control, Finished, Progress, Started
from ..shared.words import roughly
from ..shared.worker import Job
from .run_state import Action, Event, RunState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from ...engine.training import Update
    from .kept_run import KeptRun

_WORDS = {
    "done": "Done",
    "stopped": "Stopped",
    "early": "Stopped early (no better validation loss for a while)",
}
_ROOM = 1000  # updates that may wait: training does not stand still while the window is busy


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Attributes
    ----------
    folder : Path or None
        None where there is none, or no longer.
    finished : Finished or None
        What the engine said last; None after an error, before training began, or ended from outside.
    error : BaseException or None
    discarded : bool
        Whether the user cancelled it.
    left_over : Path or None
        A discarded folder that could not be deleted whole; of a resumed run that could not be put back, its copy.
    resumed : bool
        Whether it had been gone on with, and is what it was before where it was cancelled.
    """

    folder: Path | None
    finished: Finished | None
    error: BaseException | None
    discarded: bool
    left_over: Path | None
    resumed: bool = False

    @property
    def words(self) -> str:
        """How it ended, in a sentence; after an error there is another that says more."""
        if self.left_over is not None and self.resumed:
            return f"Cancelled, but the run could not be put back; as it was before, it lies in {self.left_over}."
        if self.left_over is not None:
            return f"Cancelled; {self.left_over} could not be deleted whole."
        if self.discarded and self.resumed:
            return "Cancelled; the run is as it was before it was resumed."
        if self.discarded:
            return "Cancelled; nothing is kept."
        if self.finished is not None:
            best = f" The best epoch is {self.finished.best_epoch}." if self.finished.best_epoch else ""
            count = f"{self.finished.epochs} epoch{'s' * (self.finished.epochs != 1)}"
            return f"{_WORDS[self.finished.reason]} after {count}, {roughly(self.finished.seconds)}.{best}"
        if self.error is not None:
            return ""
        return "Cancelled before training began." if self.folder is None else "Training was ended before its time."

    @property
    def remark(self) -> str:
        """What to know of the network that came out, in a sentence; empty where there is nothing."""
        return "" if self.finished is None else self.finished.remark

    @property
    def what_is_there(self) -> str:
        """What is said above the path of the run folder."""
        if self.finished is not None:
            return "The model is in the run folder, and in the lists of the other docks:"
        return "The run was broken off; its last checkpoint is kept, and Resume a run folder goes on with it:"


class Run(QObject):
    """Trainings, one after the other.

    What is asked for at the wrong time changes nothing; `state` says what can be asked.
    """

    updated = Signal(object)  # an update of the engine
    changed = Signal()  # of the state
    ended = Signal(object)  # an Ending

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.state = RunState()
        self.control: Control | None = None
        self.folder: Path | None = None
        self._job: Job | None = None
        self._finished: Finished | None = None
        self._error: BaseException | None = None
        self._discard = False
        self._kept: KeptRun | None = None

    @property
    def resumed(self) -> bool:
        """Whether the run at work was there before, and will be what it was if it is cancelled."""
        return self._kept is not None

    def begin(
        self,
        action: Action,
        work: Callable[[Control], Iterator[Update]],
        title: str,
        kept: KeptRun | None = None,
    ) -> Control | None:
        """Start or resume; return the control, or None where that cannot be done now.

        Parameters
        ----------
        action
            START or RESUME.
        work
            Makes the engine's iterator, in the thread.
        title
            For napari.
        kept
            Of a run that is gone on with: what it is put back to if it is cancelled.
        """
        if not self.state.take(action):
            return None
        control = self.control = Control()
        self.folder, self._finished, self._error, self._discard = None, None, None, False
        self._kept = kept
        self._job = job = Job(lambda: work(control), title, stop=control.stop, parent=self, room=_ROOM)
        job.yielded.connect(self._take)
        job.errored.connect(self._note)
        job.finished.connect(self._end)
        job.finished.connect(job.deleteLater)
        job.start()
        self.changed.emit()
        return control

    def pause(self) -> None:
        """Wait after the step at hand."""
        if self.control is not None and self.state.take(Action.PAUSE):
            self.control.pause()
            self.changed.emit()

    def go_on(self) -> None:
        """Go on after a pause."""
        if self.control is not None and self.state.take(Action.GO_ON):
            self.control.resume()
            self.changed.emit()

    def stop(self) -> None:
        """End, and keep the model so far."""
        if self.control is not None and self.state.take(Action.STOP):
            self.control.stop()
            self.changed.emit()

    def cancel(self) -> None:
        """End, and delete the folder, or put it back to what it was before it was gone on with."""
        if self.control is not None and self.state.take(Action.CANCEL):
            self._discard = True
            self.control.stop()
            self.changed.emit()

    def leave(self) -> None:
        """End because nobody will look any more; what is there is kept."""
        if self.control is not None:
            self.control.stop()
            if self.state.take(Action.STOP) or self.state.take(Action.CANCEL):
                self.changed.emit()

    def _take(self, update: Update) -> None:
        if isinstance(update, Started):
            self.folder = update.run_folder
            if self.state.take(Event.STARTED):
                self.changed.emit()
        elif isinstance(update, Finished):
            self._finished = update
        elif isinstance(update, Progress) and self._job is not None:
            self._job.show_progress(update.step, update.steps)
        if self.control is not None and self.control.stopping and self.state.take(Action.STOP):
            self.changed.emit()  # it was cancelled in the activity dock
        if self.control is not None and self.control.waiting and self.state.take(Event.WAITING):
            self.changed.emit()
        self.updated.emit(update)

    def _note(self, error: BaseException) -> None:
        self._error = error

    def _end(self) -> None:
        self.control, self._job = None, None
        folder = self.folder
        if self._discard or folder is None:
            self.folder = None
        self.state.take(Event.BROKEN if self._error else Event.ENDED if self.folder else Event.DISCARDED)
        kept, self._kept = self._kept, None
        left_over = _undone(folder, kept) if self._discard and folder is not None else None
        if kept is not None and left_over is None:
            kept.let_go()
        self.changed.emit()
        resumed = kept is not None
        self.ended.emit(Ending(self.folder, self._finished, self._error, self._discard, left_over, resumed))


def _undone(folder: Path, kept: KeptRun | None) -> Path | None:
    """Delete a run folder, or put it back; return what is left where that cannot be done."""
    if kept is not None:
        return kept.put_back()
    shutil.rmtree(folder, ignore_errors=True)
    return folder if folder.exists() else None
