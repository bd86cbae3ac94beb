"""The course of a run on a clock that the test turns."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pytest

from napari_tarrow.engine.training.course import Pace
from napari_tarrow.engine.training.plan import Plan
from napari_tarrow.engine.training.schedule import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_tarrow.engine.training.course import Course

MINUTES = 3
ASKED = 60.0 * MINUTES
STEP, VALIDATION = 0.3, 0.7  # seconds on an idle machine


@dataclass
class Run:
    """A run of three minutes; `slowness` says how many times as long everything takes at a time."""

    slowness: Callable[[float], float]
    measured: float = 1.0  # slowness before the start
    longest: int = 10**6
    seconds: float = 0.0
    step: int = 0
    courses: list[Course] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    positions: list[float] = field(default_factory=list)
    changes: int = 0

    def plan(self) -> Plan:
        step, between = STEP * self.measured, VALIDATION * self.measured
        total = max(1, int(0.9 * ASKED / step))
        steps = min(self.longest, max(5, -(-total // 25)))
        epochs = max(1, round(total / steps))
        return Plan(epochs, steps, 128, "32", epochs * (steps * step + between), step)

    def go(self) -> Run:
        plan = self.plan()
        pace = Pace(plan, ASKED, self.longest)
        while len(self.lengths) < pace.course.epochs:
            pace.begin_epoch(self.step, self.seconds)
            self.courses.append(pace.course)
            begin = self.step
            while self.step < pace.course.epoch_end:
                self.positions.append(pace.course.position_of(self.step, plan.steps))
                self._take(STEP)
                self.step += 1
                if pace.off(self.step, self.seconds):
                    pace.change_epoch(self.step, len(self.lengths), self.seconds)
                    self.changes += 1
            self.lengths.append(self.step - begin)
            pace.end_steps(self.step, self.seconds)
            self._take(VALIDATION)
            pace.next_epoch(self.step, len(self.lengths), self.seconds)
            self._take(0.1)  # pictures
        self.courses.append(pace.course)
        self.positions.append(pace.course.position_of(self.step, plan.steps))
        return self

    def _take(self, seconds: float) -> None:
        self.seconds += seconds * self.slowness(self.seconds)


def changing(at: float, before: float, after: float) -> Callable[[float], float]:
    return lambda seconds: before if seconds < at else after


@pytest.mark.parametrize("measured", [0.2, 1, 5, 12, 60, 500])
@pytest.mark.parametrize(("before", "after"), [(1, 1), (1, 5), (5, 1), (3, 0.6)])
@pytest.mark.parametrize("at", [3, 20, 90, 150, 170, 177])
def test_minutes_are_kept_when_the_speed_changes(measured: float, before: float, after: float, at: float) -> None:
    run = Run(changing(at, before, after), measured).go()
    assert 0.9 * ASKED < run.seconds < 1.1 * ASKED
    assert len(run.lengths) <= 50
    assert run.changes <= 8


def test_a_machine_that_keeps_its_speed_keeps_its_plan() -> None:
    run = Run(lambda seconds: 1.0).go()
    assert run.changes == 0
    assert 20 <= len(run.lengths) <= 28
    assert max(run.lengths[1:-1]) - min(run.lengths[1:-1]) <= 3


def test_a_busy_start_costs_no_steps() -> None:
    idle, busy = Run(lambda seconds: 1.0).go(), Run(changing(2, 12, 1), 12).go()
    assert busy.step > 0.9 * idle.step
    peak = 0.15 * busy.plan().steps
    assert sum(position < peak for position in busy.positions) > 0.05 * busy.step  # the rate rises over some steps


@pytest.mark.parametrize("kind", ["onecycle", "cyclic", "constant"])
@pytest.mark.parametrize("slowness", [changing(60, 1, 5), changing(60, 5, 1), changing(1, 30, 1)])
def test_the_rate_has_no_jumps_and_a_cycle_ends(kind: str, slowness: Callable[[float], float]) -> None:
    run = Run(slowness, slowness(0)).go()
    plan = run.plan()
    assert np.all(np.diff(run.positions) > 0)
    assert run.positions[-1] == pytest.approx(plan.steps)
    if kind == "onecycle":
        schedule = Schedule("onecycle", 1.0, plan.steps, plan.steps_per_epoch)
        rates = np.array([schedule.rate(position) for position in run.positions])
        assert rates[-1] == pytest.approx(1e-3)
        late = slice(len(rates) // 2, None)
        assert np.abs(np.diff(rates[late])).max() < 0.2


def test_epochs_are_never_longer_than_asked_for() -> None:
    run = Run(changing(60, 4, 2), 4.0, longest=10).go()
    assert max(run.lengths) <= 10
    assert 0.9 * ASKED < run.seconds < 1.1 * ASKED


def test_but_they_last_seconds_however_fast_the_machine_is() -> None:
    run = Run(lambda seconds: 1 / 15, 1 / 15, longest=10).go()
    assert STEP / 15 * max(run.lengths) == pytest.approx(5, rel=0.1)


def test_without_minutes_the_plan_is_kept_to_the_digit() -> None:
    plan = Plan(4, 7, 64, "32", 100.0, 1.0)
    pace = Pace(plan, None, 7)
    for epoch in range(4):
        pace.begin_epoch(7 * epoch, 1000.0 * epoch)
        assert (pace.course.epoch_begin, pace.course.epoch_end) == (7 * epoch, 7 * epoch + 7)
        for step in range(7 * epoch, 7 * epoch + 7):
            assert pace.course.position_of(step, plan.steps) == step
            assert pace.course.epochs_of(step, epoch) * 7 == pytest.approx(step)
            assert not pace.off(step, 1e6)
        pace.end_steps(7 * epoch + 7, 1000.0 * epoch + 900)
        pace.next_epoch(7 * epoch + 7, epoch + 1, 1000.0 * epoch + 950)
    assert (pace.course.epochs, pace.course.steps) == (4, 28)


def test_a_stored_course_is_gone_on_with_exactly() -> None:
    run = Run(changing(60, 1, 5))
    plan, courses = run.plan(), run.go().courses
    pace = Pace(plan, ASKED, 10**6)
    stored = courses[7]
    pace.go_on(asdict(stored), stored.epoch_begin + 2, 7, 50.0)
    assert pace.course == stored


@pytest.mark.parametrize(
    "changes",
    [{"left": 0}, {"left": 2.5}, {"epoch_steps": -1}, {"position": float("nan")}, {"due": "x"}, {"steps": True}],
)
def test_a_damaged_course_is_refused(changes: dict[str, object]) -> None:
    course = asdict(Run(lambda seconds: 1.0).go().courses[3])
    with pytest.raises(TypeError, match=next(iter(changes))):
        Pace(Run(lambda seconds: 1.0).plan(), ASKED, 10).go_on(course | changes, course["epoch_begin"], 3, 1.0)


def test_a_step_outside_of_its_epoch_is_refused() -> None:
    pace = Pace(Plan(4, 7, 64, "32", 100.0, 1.0), None, 7)
    with pytest.raises(TypeError, match="outside"):
        pace.go_on(None, 30, 2, 1.0)
