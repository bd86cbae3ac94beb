"""The foot of the dock: buttons, how far the run is, and what went wrong."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from ..shared.dock import note
from ..shared.form import warning_label
from ..shared.words import as_tip
from ..shared.worker import for_bar
from .run_state import Action, RunState, State

_WORDS = {
    Action.START: ("Start", "Train a network on the chosen layer"),
    Action.PAUSE: ("Pause", "Wait after the step at hand; the run is saved"),
    Action.STOP: ("Stop", "End now and keep the model so far"),
    Action.CANCEL: ("Cancel", "End now and discard the run, after asking"),
    Action.RESUME: ("Resume a run folder…", "Go on with a run that was stopped or broken off"),
    Action.CONTINUE: ("Continue from this model…", "Begin a new run with the weights of a model"),
}
_AGAIN = ("Go on", "Go on with the run that waits")


class RunBar(QWidget):
    """Buttons that are enabled exactly when they work, a bar, and two places for words.

    Parameters
    ----------
    state
        What the buttons look at; call `refresh` after it changed.
    """

    asked = Signal(object)  # an Action
    halved = Signal()

    def __init__(self, state: RunState) -> None:
        super().__init__()
        self._state = state
        self._hindrance: str | None = None
        self.buttons = {action: _button(action) for action in _WORDS}
        self.progress = QProgressBar()
        self.progress.setTextVisible(False)
        self.progress.setFixedHeight(6)
        self.status = note("")
        self.status.setObjectName("status")
        self.status.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.problem = warning_label()
        self.problem.setObjectName("problem")
        self.problem.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.halve = QPushButton("Halve the batch")
        self.halve.setObjectName("halve")
        self.halve.setToolTip("Take half as many clips per step, which takes half the memory")
        self.halve.hide()
        self._lay_out()
        for action, button in self.buttons.items():
            button.clicked.connect(lambda _=False, action=action: self._click(action))
        self.halve.clicked.connect(self.halved)
        self.say("")
        self.refresh()

    def hinder(self, why: str | None) -> None:
        """Say why Start would not work; None where it would."""
        self._hindrance = why
        self.refresh()

    def refresh(self) -> None:
        """Enable what the state allows."""
        for action, button in self.buttons.items():
            allowed = self._state.allows(action) or (action is Action.PAUSE and self._state.allows(Action.GO_ON))
            button.setEnabled(allowed and not (action is Action.START and self._hindrance is not None))
        waits = self._state.now is State.PAUSED
        text, tip = _AGAIN if waits else _WORDS[Action.PAUSE]
        self.buttons[Action.PAUSE].setText(text)
        self.buttons[Action.PAUSE].setToolTip(tip)
        self.buttons[Action.START].setToolTip(as_tip(self._hindrance or _WORDS[Action.START][1]))
        self.progress.setVisible(self._state.at_work)

    def say(self, text: str) -> None:
        """Say where the run stands."""
        self.status.setText(text)
        self.status.setVisible(bool(text))

    def complain(self, text: str, *, memory: bool = False) -> None:
        """Say what went wrong; nothing where the text is empty. With `memory`, offer to halve the batch."""
        self.problem.setText(text)
        self.problem.setVisible(bool(text))
        self.halve.setVisible(memory)

    def show_progress(self, done: int, total: int) -> None:
        """Move the bar; an unknown total makes it run to and fro."""
        done, total = for_bar(done, total)
        self.progress.setRange(0, total)
        self.progress.setValue(done)

    def _click(self, action: Action) -> None:
        waits = action is Action.PAUSE and self._state.now is State.PAUSED
        self.asked.emit(Action.GO_ON if waits else action)

    def _lay_out(self) -> None:
        first, second = QHBoxLayout(), QHBoxLayout()
        for action in (Action.START, Action.PAUSE, Action.STOP, Action.CANCEL):
            first.addWidget(self.buttons[action], 2 if action is Action.START else 1)
        for action in (Action.RESUME, Action.CONTINUE):
            second.addWidget(self.buttons[action])
        problem = QVBoxLayout()
        problem.addWidget(self.problem)
        problem.addWidget(self.halve, 0, Qt.AlignmentFlag.AlignLeft)
        box = QVBoxLayout(self)
        box.setContentsMargins(0, 6, 0, 0)
        box.setSpacing(5)
        box.addLayout(problem)
        box.addWidget(self.status)
        box.addWidget(self.progress)
        box.addLayout(first)
        box.addLayout(second)


def _button(action: Action) -> QPushButton:
    text, tip = _WORDS[action]
    button = QPushButton(text)
    button.setObjectName(action.value)
    button.setToolTip(tip)
    button.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    return button
