"""Threads: nothing is lost, nothing is left behind, and the main thread is the only one that sees Qt."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from napari.utils import progress
from qtpy.compat import isalive
from qtpy.QtCore import QCoreApplication, QEvent, QObject

from napari_tarrow.engine.errors import UserError
from napari_tarrow.widgets.shared.worker import Job, _Worker, for_bar, in_words, leave_a_core, notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pytestqt.qtbot import QtBot

Until = "Callable[..., None]"


class Watched:
    """A job and all it said, with the thread in which it was heard."""

    def __init__(self, work: Callable[[], Iterator[Any]], **options: Any) -> None:
        self.job = Job(work, "work", **options)
        self.heard: list[tuple[str, Any]] = []
        self.threads: set[int] = set()
        for name in ("yielded", "returned", "errored"):
            getattr(self.job, name).connect(lambda value, name=name: self._hear(name, value))
        self.job.finished.connect(lambda: self._hear("finished", None))

    def _hear(self, name: str, value: Any) -> None:
        self.threads.add(threading.get_ident())
        self.heard.append((name, value))

    @property
    def over(self) -> bool:
        return bool(self.heard) and self.heard[-1][0] == "finished"

    def values(self, name: str) -> list[Any]:
        return [value for kind, value in self.heard if kind == name]


def test_values_arrive_in_order_and_in_the_main_thread(qtbot: QtBot, until: Until) -> None:
    where: list[int] = []

    def work() -> Iterator[int]:
        where.append(threading.get_ident())
        yield from range(100)
        return "all"

    watched = Watched(work)
    watched.job.start()
    assert watched.job.running
    until(lambda: watched.over)
    assert watched.values("yielded") == list(range(100))
    assert watched.heard[-2:] == [("returned", "all"), ("finished", None)]
    assert watched.threads == {threading.get_ident()}
    assert where != [threading.get_ident()]
    assert not watched.job.running


@pytest.mark.parametrize(
    "error",
    [
        UserError("The movie is a potato. Give a movie."),
        RuntimeError("mat1 and mat2 shapes cannot be multiplied"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        ZeroDivisionError("division by zero"),
        MemoryError(),
        StopIteration("a slip"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("after", [0, 2])
def test_no_exception_is_lost(error: Exception, after: int, qtbot: QtBot, until: Until) -> None:
    class Work:
        def __init__(self) -> None:
            self.left = after

        def __iter__(self) -> Work:
            return self

        def __next__(self) -> int:
            if not self.left:
                raise RuntimeError("generator raised StopIteration") if isinstance(error, StopIteration) else error
            self.left -= 1
            return self.left

    watched = Watched(Work)
    watched.job.start()
    until(lambda: watched.over)
    assert [kind for kind, _ in watched.heard] == ["yielded"] * after + ["errored", "finished"]
    (found,) = watched.values("errored")
    assert isinstance(found, type(error) if not isinstance(error, StopIteration) else RuntimeError)


def test_what_fails_before_the_first_value_arrives_too(qtbot: QtBot, until: Until) -> None:
    def work() -> Iterator[int]:
        raise UserError("No movie is given.")

    watched = Watched(work)
    watched.job.start()
    until(lambda: watched.over)
    assert str(watched.values("errored")[0]) == "No movie is given."


def test_an_error_holds_on_to_nothing(qtbot: QtBot, until: Until) -> None:
    import weakref

    class Large:
        pass

    alive: list[weakref.ref[Large]] = []

    def deeper() -> None:
        large = Large()
        alive.append(weakref.ref(large))
        raise RuntimeError(f"inside, with {type(large).__name__}")

    def work() -> Iterator[int]:
        try:
            deeper()
        except RuntimeError as error:
            raise UserError("outside") from error
        yield 0

    watched = Watched(work)
    watched.job.start()
    until(lambda: watched.over)
    (error,) = watched.values("errored")
    assert str(error) == "outside"
    assert error.__traceback__ is not None
    assert alive[0]() is None


def test_stop_lets_an_engine_with_a_control_end_by_itself(qtbot: QtBot, until: Until) -> None:
    asked = threading.Event()

    def work() -> Iterator[str]:
        while not asked.wait(0.01):
            yield "step"
        yield "checkpoint"

    watched = Watched(work, stop=asked.set)
    watched.job.start()
    until(lambda: bool(watched.heard))
    watched.job.stop()
    until(lambda: watched.over)
    assert watched.values("yielded")[-1] == "checkpoint"
    assert watched.values("returned") == [None]


@pytest.mark.parametrize("how", ["stop", "abandon", "forget", "delete"])
def test_a_generator_is_closed_in_its_own_thread(how: str, qtbot: QtBot, until: Until) -> None:
    closed: list[int] = []
    began: list[int] = []

    def work() -> Iterator[int]:
        began.append(threading.get_ident())
        try:
            while True:
                time.sleep(0.005)
                yield 1
        finally:
            closed.append(threading.get_ident())

    parent = QObject()
    job = Job(work, "work", parent=parent if how == "delete" else None)
    job.start()
    until(lambda: bool(began))
    if how == "forget":
        del job
    elif how == "delete":
        parent.deleteLater()
    else:
        getattr(job, how)()
    until(lambda: bool(closed))
    assert closed == began


def test_a_full_line_makes_the_worker_wait(qtbot: QtBot, until: Until) -> None:
    made: list[int] = []

    def work() -> Iterator[int]:
        for number in range(50):
            made.append(number)
            yield number

    watched = Watched(work, room=3)
    watched.job.start()
    time.sleep(0.4)  # the window is busy elsewhere
    assert len(made) <= 6
    until(lambda: watched.over)
    assert watched.values("yielded") == list(range(50))


def test_a_core_is_left_to_the_window(qtbot: QtBot, until: Until, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(4)), raising=False)
    before = torch.get_num_threads()

    def work() -> Iterator[int]:
        yield torch.get_num_threads()

    for _ in range(2):  # a second thread must not leave one more
        watched = Watched(work)
        watched.job.start()
        until(lambda watched=watched: watched.over)
        assert watched.values("yielded") == [3]
    assert torch.get_num_threads() == before


def test_of_one_core_none_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0}, raising=False)
    before = torch.get_num_threads()
    leave_a_core()
    assert torch.get_num_threads() == 1
    torch.set_num_threads(before)


def test_the_activity_dock_shows_progress_and_can_cancel(make_napari_viewer_proxy: Any, until: Until) -> None:
    make_napari_viewer_proxy()
    bars: list[Any] = []

    def work() -> Iterator[Any]:
        for done in range(1, 1000):
            time.sleep(0.01)
            yield SimpleNamespace(done=done, total=1000)

    watched = Watched(work)
    watched.job.start()
    bars += list(progress._all_instances)
    (bar,) = bars
    assert bar.desc.startswith("work")
    until(lambda: bar.n > 0)
    assert bar.total == 1000
    bar.cancel()  # what its button in the dock does
    until(lambda: watched.over)
    assert len(watched.values("yielded")) < 900
    assert not progress._all_instances


def test_napari_asks_before_it_closes_and_its_quit_ends_the_work(make_napari_viewer_proxy: Any, until: Until) -> None:
    viewer = make_napari_viewer_proxy()
    closed = threading.Event()

    def work() -> Iterator[int]:
        try:
            while True:
                time.sleep(0.01)
                yield 1
        finally:
            closed.set()

    watched = Watched(work)
    watched.job.start()
    until(lambda: bool(watched.heard))
    manager = viewer.window._task_status_manager
    assert manager.get_status() == ["napari-worker: Executing work"]
    manager.cancel_all()  # what the window's close does once the user has agreed
    assert closed.wait(2)
    until(lambda: watched.over)
    assert not manager.is_busy()


@pytest.mark.parametrize(
    ("done", "total", "shown"), [(3, 40, (3, 40)), (0.2, 0.9, (0, 1)), (5 * 10**10, 10**11, (500_000, 1_000_000))]
)
def test_bars_hold_any_number(done: float, total: float, shown: tuple[int, int]) -> None:
    assert for_bar(done, total) == shown


def test_errors_are_said_in_words() -> None:
    assert in_words(UserError("Give a movie.")) == "Give a movie."
    said = in_words(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore"))
    assert "2.00 GiB" in said
    assert "more" not in said
    assert "ValueError: odd" in in_words(ValueError("odd"))


def test_errors_become_notifications(monkeypatch: pytest.MonkeyPatch) -> None:
    from napari.utils.notifications import notification_manager

    seen: list[tuple[str, str]] = []

    def hear(notification: Any) -> None:
        seen.append((str(notification.severity), notification.message))

    monkeypatch.setattr(notification_manager, "dispatch", hear)
    notify(UserError("Give a movie."))
    notify(torch.OutOfMemoryError("CUDA out of memory."))
    notify(ZeroDivisionError("division by zero"))
    assert seen[0] == ("error", "Give a movie.")
    assert "CUDA out of memory" in seen[1][1]
    assert "division by zero" in seen[2][1]


def test_the_timer_stands_still_after_the_end(qtbot: QtBot, until: Until) -> None:
    watched = Watched(lambda: iter([1]))
    watched.job.start()
    until(lambda: watched.over)
    assert not watched.job._timer.isActive()


def test_a_job_that_has_ended_stops_nothing_when_it_is_forgotten(until: Until) -> None:
    asked: list[str] = []
    watched = Watched(lambda: iter([1]), stop=lambda: asked.append("stop"))
    watched.job.start()
    until(lambda: watched.over)

    line = watched.job._line
    line.abandon()

    assert asked == []


def test_work_that_outlives_qt_ends_without_a_word(qtbot: QtBot) -> None:
    worker = _Worker(lambda: None)
    worker.signals.deleteLater()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete.value)
    assert not isalive(worker.signals)
    worker.run()
