"""Requests that reach a running training from another thread."""

from __future__ import annotations

import threading


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

    @property
    def stopping(self) -> bool:
        """Whether `stop` was called."""
        return self._stop.is_set()

    @property
    def paused(self) -> bool:
        """Whether the loop waits, or will after the step at hand."""
        return not self._running.is_set() and not self.stopping

    def wait(self, seconds: float) -> bool:
        """Wait at most so long while paused; return whether the loop may go on."""
        return self._running.wait(seconds) or self.stopping

    def take_maps_request(self) -> bool:
        """Return whether maps were asked for, and forget it."""
        asked = self._maps.is_set()
        self._maps.clear()
        return asked
