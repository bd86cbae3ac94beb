"""Ctrl-C, `kill` and a closed terminal become a request to stop, which may save."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

from .running import INTERRUPTED
from .start import leave

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..engine.training.control import Control

_MESSAGE = b"\nStopping after this step%s. Once more, and it stops at once.\n"


@contextlib.contextmanager
def stopping(control: Control, *, saves: bool = True) -> Iterator[None]:
    """Within the block, the first signal asks `control` to stop, the second raises `KeyboardInterrupt`.

    A third ends the process where it stands. After the block the first raises it, even where it ended the process
    before. Signals that the process was told to ignore (`nohup`) stay ignored;
    outside the main thread, which alone may handle signals, nothing changes. What is said tells whether the work
    `saves` what is done.
    """
    received = 0

    def receive(number: int, frame: Any) -> None:
        nonlocal received
        received += 1
        if received == 1:
            control.stop()
            _say(_MESSAGE % (b" and saving" if saves else b""))
        elif received == 2:
            raise KeyboardInterrupt
        else:
            os._exit(INTERRUPTED)

    before = {number: signal.getsignal(number) for number in _signals()}
    mine = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    try:
        for number in mine:
            signal.signal(number, receive)
        yield
    finally:
        for number in mine:
            signal.signal(number, signal.default_int_handler if before[number] is leave else before[number])


def _signals() -> list[signal.Signals]:
    if threading.current_thread() is not threading.main_thread():
        return []
    names = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows has no SIGHUP
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _say(message: bytes) -> None:
    with contextlib.suppress(OSError):  # `print` is not allowed inside a signal handler: it may interrupt itself
        os.write(2, message)
