"""Engine work in a thread of its own, so that the window never waits and nothing that goes wrong is lost."""

from __future__ import annotations

import contextlib
import gc
import os
import queue
import sys
import threading
import time
import traceback
import weakref
from typing import TYPE_CHECKING, Any

from napari.qt.threading import FunctionWorker, create_worker
from napari.utils import cancelable_progress
from napari.viewer import current_viewer
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from ...engine.devices import give_memory_back, out_of_memory
from ...engine.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Job", "for_bar", "in_words", "notify"]

_BETWEEN_LOOKS = 40  # milliseconds
_AT_ONCE = 0.02  # seconds that the window may be kept with what has arrived
_MOST_IN_BAR = 1_000_000_000  # Qt counts in 32 bits
_BETWEEN_MARKS = 0.3  # seconds between two changes of a progress bar


class Job(QObject):
    """Iterate one of the engine's generators in a thread; everything here is called from the main thread.

    Values wait in a line until the window has time for them, and the generator waits where the line is full. It is
    closed in its own thread, whatever happens. napari knows the thread: it asks before it closes its window.

    Parameters
    ----------
    work
        Makes the iterator; called in the thread, so that it may import torch.
    title
        What is done, such as ``TAP training on cells``: for the activity dock, and for napari's question at its close.
    stop
        Asks the engine to end by itself, such as ``Control.stop``. Without it, `stop` ends at the next value.
    parent
        As of any Qt object; a job that is deleted, or that nobody knows any more, is abandoned.
    room
        How many values may wait.
    bar
        Whether the activity dock shows a bar. It is moved by values that have ``done`` and ``total``, or by
        `show_progress`.
    """

    yielded = Signal(object)  # a value
    returned = Signal(object)  # the generator has ended by itself; what it returned
    errored = Signal(object)  # it has ended with this exception
    finished = Signal()  # always the last

    def __init__(
        self,
        work: Callable[[], Iterator[Any]],
        title: str,
        *,
        stop: Callable[[], None] | None = None,
        parent: QObject | None = None,
        room: int = 16,
        bar: bool = True,
    ) -> None:
        super().__init__(parent)
        self._title = title
        self._line = line = _Line(work, title, stop, room)
        self._with_bar = bar
        self._bar: cancelable_progress | None = None
        self._marked = 0.0
        self._busy = False  # a bar that moves lets the event loop run, and with it the timer
        self._timer = QTimer(self)
        self._timer.setInterval(_BETWEEN_LOOKS)
        self._timer.timeout.connect(self._look)
        # `destroyed` will not do: of a job that the garbage collector finds in another thread, its slot is gone by then
        line.owner = weakref.ref(self)
        weakref.finalize(self, line.abandon)

    @property
    def running(self) -> bool:
        """Whether the thread has begun and `finished` is still to come."""
        return isalive(self) and self._timer.isActive()

    def start(self) -> None:
        """Begin; a job runs once."""
        pool = QThreadPool.globalInstance()
        if pool is not None:  # on a machine of two cores a third job would wait for the others to end
            pool.setMaxThreadCount(max(pool.maxThreadCount(), pool.activeThreadCount() + 2))
        if self._with_bar and current_viewer() is not None:  # without a window it would print
            self._bar = cancelable_progress(desc=self._title, total=0)
        self._timer.start()
        create_worker(self._line, _worker_class=_Worker, _start_thread=True)

    def stop(self) -> None:
        """Ask the work to end soon; `finished` comes when it has."""
        self._line.end_soon()

    def abandon(self) -> None:
        """End at the next value, whatever the work would still like to do."""
        self._line.abandon()

    def show_progress(self, done: float, total: float, text: str = "") -> None:
        """Move the bar in the activity dock."""
        now = time.monotonic()
        if self._bar is None or (now - self._marked < _BETWEEN_MARKS and done < total):
            return
        self._marked = now
        bar, (done, total) = self._bar, for_bar(done, total)
        if bar.total != total:
            bar.total = total
        if text and text != bar.desc.removesuffix(": "):
            bar.set_description(text)
        bar.update(done - bar.n)

    def _look(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            if self._bar is not None and self._bar.is_canceled:
                self.stop()
            self._pass_on()
        finally:
            self._busy = False

    def _pass_on(self) -> None:
        begin = time.monotonic()
        latest = None
        while time.monotonic() - begin < _AT_ONCE:
            try:
                value = self._line.values.get_nowait()
            except queue.Empty:
                break
            if value is _END:
                self._close()
                return
            self.yielded.emit(value)
            latest = value
        if getattr(latest, "total", None) and hasattr(latest, "done"):
            self.show_progress(latest.done, latest.total)  # type: ignore[union-attr]

    def _close(self) -> None:
        self._timer.stop()
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        gc.collect()  # here: Qt objects among the garbage may only die in the main thread
        if "torch" in sys.modules:
            give_memory_back()
        if self._line.error is None:
            self.returned.emit(self._line.result)
        else:
            self.errored.emit(self._line.error)
        self.finished.emit()


def for_bar(done: float, total: float) -> tuple[int, int]:
    """Return both as whole numbers that Qt's bars can hold, in parts per million where they are larger."""
    if total <= _MOST_IN_BAR:
        return round(done), round(total)
    return round(1e6 * done / total), 1_000_000


def in_words(error: BaseException) -> str:
    """Say what went wrong, in a sentence for whoever sits before the window."""
    if isinstance(error, UserError):
        return str(error)
    if out_of_memory(error):
        first = str(error).strip().split("\n")[0][:200]
        return f"Memory ran out{f' ({first})' if first else ''}. Close other programs, or ask for less at a time."
    return f"Something went wrong inside napari-tarrow ({type(error).__name__}: {error}). Please report it."


def notify(error: BaseException) -> None:
    """Show an error as napari's notification: a user's mistake as a sentence, a fault with its traceback."""
    from napari.utils.notifications import notification_manager, show_error

    if isinstance(error, UserError) or out_of_memory(error):
        show_error(in_words(error))
    else:
        notification_manager.receive_error(type(error), error, error.__traceback__)


_END = object()


class _Line:
    """What the two threads share. It knows no Qt object: those may die while the thread is at work."""

    def __init__(
        self, work: Callable[[], Iterator[Any]], title: str, stop: Callable[[], None] | None, room: int
    ) -> None:
        self.values: queue.Queue[Any] = queue.Queue(room)
        self.result: Any = None
        self.error: BaseException | None = None
        self.owner: weakref.ref[QObject] | None = None
        self._work: Callable[[], Iterator[Any]] | None = work
        self._title = title
        self._stop = stop
        self._abandoned = threading.Event()

    def __str__(self) -> str:
        """For napari's question at its close: "Executing TAP training on cells"."""
        return self._title

    def end_soon(self) -> None:
        stop = self._stop
        if stop is None:
            self._abandoned.set()
        else:
            stop()

    def abandon(self) -> None:
        self.end_soon()
        self._abandoned.set()

    def __call__(self) -> None:
        """Do the work, in the thread; no exception leaves it."""
        try:
            self._iterate()
        except BaseException as error:  # the main thread says it
            self.error = error
            _let_go(error)
        self._work = self._stop = None  # whoever abandons this line later must not stop what came after it
        self._put(_END)

    def _iterate(self) -> None:
        if self._work is None or self._abandoned.is_set():
            return
        leave_a_core()
        iterator = iter(self._work())
        with contextlib.closing(iterator) if hasattr(iterator, "close") else contextlib.nullcontext():  # type: ignore[type-var]
            while not self._abandoned.is_set():
                try:
                    value = next(iterator)
                except StopIteration as end:
                    self.result = end.value
                    return
                if self._orphaned():
                    self.abandon()
                    return
                self._put(value)

    def _orphaned(self) -> bool:
        """Whether the job's dock was deleted: nobody looks any more."""
        job = self.owner() if self.owner is not None else None
        return job is None or not isalive(job)

    def _put(self, value: Any) -> None:
        while True:
            try:
                self.values.put(value, timeout=0.1)
            except queue.Full:
                if self._abandoned.is_set():
                    return
            else:
                return


class _Worker(FunctionWorker):
    """napari's worker, whose `quit` (at the close of the window) reaches the engine, which may end after Qt."""

    def quit(self) -> None:
        self._func.abandon()
        super().quit()

    def run(self) -> None:
        """Do the work, and tell nobody of its end where Qt has gone meanwhile; the work lets no exception out."""
        with contextlib.suppress(RuntimeError):
            super().run()


def leave_a_core() -> None:
    """Let torch compute, in the thread that calls, with all cores but one, which is the window's.

    The count is taken from the machine each time: what torch says here depends on the threads before.
    """
    import torch

    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    threads = min(cores - 1, int(wanted)) if wanted.isdecimal() else cores - 1
    torch.set_num_threads(max(1, threads))


def _let_go(error: BaseException) -> None:
    """Forget the local variables along the traceback: they hold on to networks and movies."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or id(one) in seen:
            continue
        seen.add(id(one))
        traceback.clear_frames(one.__traceback__)
        waiting += [one.__cause__, one.__context__]
