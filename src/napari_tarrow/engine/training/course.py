"""How a run goes on: epochs of equally many steps, or with minutes, epochs that follow the speed of the machine."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from .plan import EPOCHS_AT_LEAST, STEPS_AT_LEAST, most_steps

if TYPE_CHECKING:
    from .plan import Plan

# With minutes, what comes between two epochs (validation, files, pictures) takes at most this share of the time.
_BETWEEN_SHARE = 0.2
# The epoch at hand is changed where it would end so much too late or too early, as a share of the minutes, once the
# same share halved has gone into it.
_TOLERANCE = 0.02
# The measurement before the start may have found the machine busy. Until an epoch has shown its speed, the schedule
# expects so many times as many steps: it would else be past its highest rate after a few of them.
_CAUTION = 4
_SHORTEST = 1e-6  # seconds of a step


@dataclass(frozen=True)
class Course:
    """What is left of a run, as last decided; with a checkpoint it is all that the steps to come depend on.

    Attributes
    ----------
    epochs, steps : int
        Of the whole run, as far as known.
    epoch_begin, epoch_steps : int
        First step of the epoch at hand, and how many it has.
    step : int
        Where this was decided.
    position : float
        How far the schedule of the learning rate was there, in steps of the plan.
    left : int
        In how many steps from there it gets to its end.
    due : float
        Seconds of training at which the steps of the epoch should be done.
    step_seconds, between_seconds : float
        Duration of a step, and of what comes between two epochs, as measured last.
    since_step, since_seconds : int, float
        From where the speed is being measured.
    """

    epochs: int
    steps: int
    epoch_begin: int
    epoch_steps: int
    step: int
    position: float
    left: int
    due: float
    step_seconds: float
    between_seconds: float
    since_step: int = 0
    since_seconds: float = 0.0

    @property
    def epoch_end(self) -> int:
        """Step before which the epoch at hand is over."""
        return self.epoch_begin + self.epoch_steps

    def position_of(self, step: int, planned: int) -> float:
        """Return how far the schedule is at a step, of `planned` steps; between decisions it goes evenly."""
        return self.position + (step - self.step) * ((planned - self.position) / self.left)

    def epochs_of(self, step: int, epoch: int) -> float:
        """Return how many epochs are done at a step, after `epoch` whole ones."""
        return epoch + (step - self.epoch_begin) / self.epoch_steps

    def checked(self) -> Course:
        """Return the course if it can be one.

        Raises
        ------
        TypeError
            If it was read from a damaged file.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            whole = field.type == "int"
            if type(value) is not int and (whole or type(value) is not float or not math.isfinite(value)):
                raise TypeError(f"{field.name} is {value!r}")
            if value < (1 if field.name in ("epochs", "epoch_steps", "left") else 0):
                raise TypeError(f"{field.name} is {value!r}")
        return self


class Pace:
    """Where a run stands on its course, and whether the course still fits the time.

    All times are seconds of training since the run began. Without `seconds` a run keeps to its plan; with them, every
    epoch gets as many steps as fit, after the speed of the one before.

    Parameters
    ----------
    plan : Plan
    seconds : float or None
        What was asked for.
    longest : int
        Steps that an epoch has at most, but see `most_steps`.
    """

    def __init__(self, plan: Plan, seconds: float | None, longest: int) -> None:
        self._plan, self._asked, self._longest = plan, seconds, longest
        self.course = self._first()
        self._trained_at: float | None = None

    def go_on(self, course: dict[str, Any] | None, step: int, epoch: int, seconds: float) -> None:
        """Take up the course of a checkpoint, or where it has none the plan.

        Raises
        ------
        TypeError
            If it belongs to no such run.
        """
        if course is not None:
            self.course = Course(**course).checked()
        else:
            begin = epoch * self._plan.steps_per_epoch
            self.course = replace(
                self.course, epoch_begin=begin, left=self._plan.steps, since_step=step, since_seconds=seconds
            )
        if not self.course.epoch_begin <= step <= self.course.epoch_end:
            raise TypeError(f"step {step} lies outside its epoch")

    def begin_epoch(self, step: int, seconds: float) -> None:
        """Measure the speed from here; what came since the last epoch counts as time between them.

        Amid an epoch, as after an interruption, it is measured from where it was.
        """
        if self._trained_at is not None:
            self.course = replace(self.course, between_seconds=seconds - self._trained_at)
        self._trained_at = None
        if step == self.course.epoch_begin:
            self.course = replace(self.course, since_step=step, since_seconds=seconds)

    def end_steps(self, step: int, seconds: float) -> None:
        """Note that all steps of the epoch are done."""
        self.course = replace(self.course, step_seconds=self._speed(step, seconds))
        self._trained_at = seconds

    def off(self, step: int, seconds: float) -> bool:
        """Return whether the epoch at hand would end so late, or the run so early, that it should be changed."""
        if self._asked is None or step >= self.course.epoch_end or step == self.course.since_step:
            return False
        tolerance = _TOLERANCE * self._asked
        late = seconds + (self.course.epoch_end - step) * self._speed(step, seconds) - self.course.due
        last = self.course.epoch_end == self.course.steps
        measured = seconds - self.course.since_seconds >= tolerance / 2 or (last and step + 1 == self.course.epoch_end)
        return measured and (late > tolerance or (last and late < -tolerance))

    def change_epoch(self, step: int, epoch: int, seconds: float) -> None:
        """Decide anew how the epoch at hand and the run end, after `epoch` whole ones."""
        old, now = self.course, self._speed(step, seconds)
        between = old.between_seconds * now / max(old.step_seconds, _SHORTEST)  # it changes with the speed
        self.course = replace(old, step_seconds=now, between_seconds=between, since_step=step, since_seconds=seconds)
        self._decide(step, epoch, seconds, self.course.epoch_begin)

    def next_epoch(self, step: int, epoch: int, seconds: float) -> None:
        """Decide on the next epoch, after `epoch` whole ones."""
        if self._asked is None:
            self.course = replace(self.course, epoch_begin=step)
        elif epoch < self.course.epochs:
            if self._trained_at is not None:
                between = max(self.course.between_seconds * (epoch > 1), seconds - self._trained_at)
                self.course = replace(self.course, between_seconds=between)
            self._decide(step, epoch, seconds, step)

    def _first(self) -> Course:
        plan = self._plan
        cautious = self._asked is not None and plan.epochs > 1
        between = plan.seconds / plan.epochs - plan.steps_per_epoch * plan.step_seconds
        return Course(
            epochs=plan.epochs,
            steps=plan.steps,
            epoch_begin=0,
            epoch_steps=plan.steps_per_epoch,
            step=0,
            position=0.0,
            left=plan.steps * (_CAUTION if cautious else 1),
            due=plan.steps_per_epoch * plan.step_seconds,
            step_seconds=plan.step_seconds,
            between_seconds=max(0.0, between),
        )

    def _speed(self, step: int, seconds: float) -> float:
        course, steps = self.course, step - self.course.since_step
        return (seconds - course.since_seconds) / steps if steps > 0 else course.step_seconds

    def _decide(self, step: int, epoch: int, seconds: float, begin: int) -> None:
        assert self._asked is not None
        old, done = self.course, step - begin
        left, epochs = self._divided(self._asked - seconds, old.step_seconds, old.between_seconds)
        longest = most_steps(self._longest, max(old.step_seconds, _SHORTEST))
        steps = min(math.ceil(left / epochs), max(1, longest - done))
        if epochs == 1 and steps < left:
            epochs = 2
        self.course = replace(
            old,
            epochs=epoch + epochs,
            steps=step + left,
            epoch_begin=begin,
            epoch_steps=done + steps,
            step=step,
            position=old.position_of(step, self._plan.steps),
            left=left,
            due=seconds + steps * old.step_seconds,
        )

    def _divided(self, seconds: float, step: float, between: float) -> tuple[int, int]:
        """Return how many steps fit into so many seconds, and into how many epochs they go."""
        assert self._asked is not None
        step = max(step, _SHORTEST)
        usual = max(self._asked / EPOCHS_AT_LEAST, STEPS_AT_LEAST * step + between, between / _BETWEEN_SHARE)
        longest = most_steps(self._longest, step) * step + between
        epochs = max(1, round(seconds / usual), math.ceil(seconds / longest))
        return max(epochs, round((seconds - epochs * between) / step)), epochs
