"""Ctrl-C at any moment after Python's own start: a process that sends itself the signal amid its imports."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from napari_tarrow.commands import start

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="nobody can send Ctrl-C to one process elsewhere")

# The n-th import after that of the entry point is interrupted; what the shell's script does is done here.
SCRIPT = """
import os, signal, sys
from napari_tarrow.commands import start
left = int(sys.argv.pop(1))

def interrupt(event, arguments):
    global left
    if event == "import":
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGINT)

sys.addaudithook(interrupt)
name = sys.argv.pop(1)
sys.exit(getattr(start, name)())
"""


def run(*words: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SCRIPT, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("imports", [1, 10, 100, 200])
def test_ctrl_c_amid_imports_is_one_word(imports: int, tmp_path: Path) -> None:
    ended = run(str(imports), "embed", "model", "movie.tif", "-o", "out.zarr", cwd=tmp_path)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "Stopped.\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["attribute", "embed", "info", "score", "train"])
def test_every_command_begins_here(name: str) -> None:
    ended = run("0", name, "--help")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert f"usage: napari-tarrow-{name}" in ended.stdout
    assert run("30", name, "--help").stderr == "Stopped.\n"


def test_a_command_that_is_to_ignore_ctrl_c_does() -> None:
    ended = run("30", "train", "--help", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_nothing_slow_is_imported_before_the_signal_is_heeded() -> None:
    script = (
        "import sys; before = set(sys.modules); import napari_tarrow.commands.start; print(*set(sys.modules) - before)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    ours = {name for name in ended.stdout.split() if name.startswith("napari_tarrow")}
    assert ours == {
        "napari_tarrow",
        "napari_tarrow.engine",
        "napari_tarrow.engine.lazy",
        "napari_tarrow.commands",
        "napari_tarrow.commands.start",
    }
    assert not set(ended.stdout.split()) & {"pydantic", "numpy", "torch", "argparse", "yaml"}


def test_after_what_can_be_saved_ctrl_c_is_an_exception_again() -> None:
    from napari_tarrow.commands.stopping import stopping
    from napari_tarrow.engine.training.control import Control

    before = signal.signal(signal.SIGINT, start.leave)
    try:
        with stopping(Control()):
            assert signal.getsignal(signal.SIGINT) is not start.leave
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
