"""The state machine, without a window."""

from __future__ import annotations

import pytest

from napari_tarrow.widgets.training.run_state import Action, Event, RunState, State

ALLOWED = {
    State.IDLE: {Action.START, Action.RESUME, Action.CONTINUE},
    State.CHECKING: {Action.CANCEL},
    State.TRAINING: {Action.PAUSE, Action.STOP, Action.CANCEL},
    State.PAUSING: {Action.STOP, Action.CANCEL},
    State.PAUSED: {Action.GO_ON, Action.STOP, Action.CANCEL},
    State.STOPPING: set(),
    State.FINISHED: {Action.START, Action.RESUME, Action.CONTINUE},
    State.FAILED: {Action.START, Action.RESUME, Action.CONTINUE},
}


@pytest.mark.parametrize("state", State)
def test_each_state_allows_what_works_in_it(state: State) -> None:
    run = RunState()
    run.now = state
    assert {action for action in Action if run.allows(action)} == ALLOWED[state]


def test_a_whole_life() -> None:
    run = RunState()
    life: list[tuple[Action | Event, State]] = [
        (Action.START, State.CHECKING),
        (Event.STARTED, State.TRAINING),
        (Action.PAUSE, State.PAUSING),
        (Event.WAITING, State.PAUSED),
        (Action.GO_ON, State.TRAINING),
        (Action.STOP, State.STOPPING),
        (Event.ENDED, State.FINISHED),
        (Action.CONTINUE, State.FINISHED),
        (Action.RESUME, State.CHECKING),
        (Event.BROKEN, State.FAILED),
        (Action.START, State.CHECKING),
        (Action.CANCEL, State.STOPPING),
        (Event.DISCARDED, State.IDLE),
    ]
    for what, following in life:
        assert run.take(what)
        assert run.now is following


@pytest.mark.parametrize("event", [Event.ENDED, Event.BROKEN, Event.DISCARDED])
@pytest.mark.parametrize("state", State)
def test_an_engine_that_ends_leaves_no_state_of_work(state: State, event: Event) -> None:
    run = RunState()
    run.now = state
    run.take(event)
    assert not run.at_work


def test_what_does_not_fit_changes_nothing() -> None:
    run = RunState()
    assert not run.take(Action.PAUSE)
    assert not run.take(Event.WAITING)
    assert run.now is State.IDLE
