"""Where a command begins: until it can save what it does, Ctrl-C ends it at once, without a traceback.

Nothing is imported here that takes time, since Ctrl-C would end that with a traceback.
"""

from __future__ import annotations

import os
import signal

_INTERRUPTED = 130


def attribute() -> int:
    """Run `napari-tarrow-attribute`."""
    return _run("attribute")


def embed() -> int:
    """Run `napari-tarrow-embed`."""
    return _run("embed")


def info() -> int:
    """Run `napari-tarrow-info`."""
    return _run("info")


def score() -> int:
    """Run `napari-tarrow-score`."""
    return _run("score")


def train() -> int:
    """Run `napari-tarrow-train`."""
    return _run("train")


def leave(number: int, frame: object) -> None:
    """End the process: an exception would turn up amid the imports of libraries, which print it or lose it."""
    try:
        os.write(2, b"Stopped.\n")
    finally:
        os._exit(_INTERRUPTED)


def _run(name: str) -> int:
    heeded = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # a shell may have it ignore Ctrl-C
    if heeded:
        signal.signal(signal.SIGINT, leave)
    from importlib import import_module

    code: int = import_module(f".{name}", __package__).main()
    if heeded:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done, and Python tidies up
    return code
