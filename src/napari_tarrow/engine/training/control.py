"""Requests that reach a running training from another thread."""

from __future__ import annotations

import threading


class Interrupted(Exception):
    """`stop` was called while the movies were read for the start: there is nothing to keep yet."""


class Control:
    """Ask a training loop to stop, pause or go on, or to show a map; all methods may be called from any thread.

    The loop looks at it between steps. A stopped loop ends by itself, in its own thread: it writes its checkpoint,
    yields `Finished`, and gives its memory back.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._running = threading.Event()
        self._running.set()
        self._maps = threading.Event()
        self._frame: int | None = None
        self._waiting = False
        self._reading = threading.Lock()
        self._frames_read = 0
        self._begun = False

    def stop(self) -> None:
        """End after the step at hand, paused or not."""
        self._stop.set()
        self._running.set()

    def pause(self) -> None:
        """Wait after the step at hand."""
        self._running.clear()

    def resume(self) -> None:
        """Go on after a pause."""
        self._running.set()

    def show_maps(self) -> None:
        """Yield attribution maps after the step at hand."""
        self._maps.set()

    def ask_map(self, frame: int) -> None:
        """Yield the attribution map of a frame of the first movie, by its index; of several asked for, the last."""
        self._frame = frame

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether the loop waits, or will after the step at hand."""
        return not self._running.is_set() and not self.stopping

    @property
    def waiting(self) -> bool:
        """Whether the loop waits now, its checkpoint written."""
        return self._waiting and self.paused

    @property
    def frames_read(self) -> int:
        """Frames read so far for the start: for large movies that takes a while, and nothing is yielded yet."""
        return self._frames_read

    def wait(self, seconds: float) -> bool:
        """Wait at most so long while paused; return whether the loop may go on."""
        self._waiting = True
        go_on = self._running.wait(seconds) or self.stopping
        self._waiting = not go_on
        return go_on

    def check_in(self) -> None:
        """Count a frame that is read for the start; from any thread.

        Raises
        ------
        Interrupted
            If the loop shall stop.
        """
        self.heed()
        if not self._begun:
            with self._reading:
                self._frames_read += 1

    def heed(self) -> None:
        """End the start where the loop shall stop.

        Raises
        ------
        Interrupted
            If so.
        """
        if self.stopping and not self._begun:
            raise Interrupted

    def begin(self) -> None:
        """Say that the start is over: from now on the loop itself heeds `stop`, and saves what there is."""
        self._begun = True

    def take_maps_request(self) -> bool:
        """Return whether maps were asked for, and forget it."""
        asked = self._maps.is_set()
        self._maps.clear()
        return asked

    def take_frame(self) -> int | None:
        """Return the frame whose map was asked for, and forget it."""
        frame, self._frame = self._frame, None
        return frame
