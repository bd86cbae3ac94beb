"""Where a run stands, and what can be asked of it there: the one place that buttons look at."""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """Where a run stands."""

    IDLE = "idle"
    CHECKING = "checking"  # movies are opened and measured; there is no run folder yet
    TRAINING = "training"
    PAUSING = "pausing"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"


class Action(Enum):
    """What a user can ask for."""

    START = "start"
    PAUSE = "pause"
    GO_ON = "go on"
    STOP = "stop"
    CANCEL = "cancel"
    RESUME = "resume a run folder"
    CONTINUE = "continue from this model"


class Event(Enum):
    """What the engine says."""

    STARTED = "started"
    WAITING = "waiting"
    ENDED = "ended"
    BROKEN = "broken"
    DISCARDED = "discarded"


_AT_REST = (State.IDLE, State.FINISHED, State.FAILED)
_UNDER_WAY = (State.TRAINING, State.PAUSING, State.PAUSED)
_AT_WORK = (State.CHECKING, *_UNDER_WAY, State.STOPPING)

_NEXT: dict[tuple[State, Action | Event], State] = {
    **{(state, Action.START): State.CHECKING for state in _AT_REST},
    **{(state, Action.RESUME): State.CHECKING for state in _AT_REST},
    **{(state, Action.CONTINUE): state for state in _AT_REST},  # fills in the form; Start begins
    (State.CHECKING, Event.STARTED): State.TRAINING,
    (State.CHECKING, Action.CANCEL): State.STOPPING,
    (State.TRAINING, Action.PAUSE): State.PAUSING,
    (State.PAUSING, Event.WAITING): State.PAUSED,
    (State.PAUSED, Action.GO_ON): State.TRAINING,
    **{(state, Action.STOP): State.STOPPING for state in _UNDER_WAY},
    **{(state, Action.CANCEL): State.STOPPING for state in _UNDER_WAY},
    **{(state, Event.ENDED): State.FINISHED for state in _AT_WORK},
    **{(state, Event.BROKEN): State.FAILED for state in _AT_WORK},
    **{(state, Event.DISCARDED): State.IDLE for state in _AT_WORK},
}


class RunState:
    """A run's state; what does not fit the state changes nothing."""

    def __init__(self) -> None:
        self.now = State.IDLE

    def allows(self, action: Action) -> bool:
        """Whether an action works now."""
        return (self.now, action) in _NEXT

    def take(self, what: Action | Event) -> bool:
        """Go on to the next state; return whether there was one."""
        following = _NEXT.get((self.now, what))
        if following is None:
            return False
        self.now = following
        return True

    @property
    def at_work(self) -> bool:
        """Whether an engine is at work."""
        return self.now in _AT_WORK
