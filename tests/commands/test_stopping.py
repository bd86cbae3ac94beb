"""Signals become requests, and only where that is wanted."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from napari_tarrow.commands.stopping import stopping
from napari_tarrow.engine.training.control import Control


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        control = Control()
        with stopping(control):
            signal.raise_signal(signal.SIGTERM)
        assert not control.stopping
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.parametrize(("saves", "said"), [(True, "this step and saving. Once"), (False, "this step. Once")])
def test_it_is_said_whether_anything_is_saved(saves: bool, said: str, capfd: pytest.CaptureFixture[str]) -> None:
    control = Control()
    with stopping(control, saves=saves):
        signal.raise_signal(signal.SIGINT)
    assert control.stopping
    assert said in capfd.readouterr().err


def test_another_thread_leaves_the_signals_alone() -> None:
    handlers: list[object] = []

    def run() -> None:
        with stopping(Control()):
            handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert handlers == [before]


def test_the_handlers_come_back_after_an_error() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError), stopping(Control()):
        raise ZeroDivisionError
    assert signal.getsignal(signal.SIGINT) is before


def test_a_third_signal_ends_a_process_that_heeds_nothing() -> None:
    script = """
import signal
from napari_tarrow.commands.stopping import stopping
signal.signal(signal.SIGINT, signal.default_int_handler)
class Control:
    def stop(self): pass
with stopping(Control()):
    for _ in range(3):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            pass
print("still there")
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 130
    assert "still there" not in ended.stdout
    assert "Traceback" not in ended.stderr
