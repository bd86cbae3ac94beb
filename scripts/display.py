"""Run a command that opens windows, on a screen of its own that nobody sees: `display.py pytest tests/widgets`.

`display.py --packages` names what Debian and Ubuntu need for that.

On Linux it starts an X server that only draws into memory (Xvfb) and ends it again; elsewhere, and where there is none,
the command gets the screen there is.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from environment import run, say, try_debian_packages

if TYPE_CHECKING:
    from collections.abc import Iterator

_SCREEN = "1600x1200x24"
_PROBE = "from qtpy.QtWidgets import QApplication; QApplication([])"
# What Qt's wheels expect of a Debian or an Ubuntu.
_PACKAGES = [
    "xvfb",
    "libdbus-1-3",
    "libegl1",
    "libfontconfig1",
    "libgl1",
    "libgl1-mesa-dri",
    "libglib2.0-0",
    "libopengl0",
    "libxcb-cursor0",
    "libxcb-icccm4",
    "libxcb-image0",
    "libxcb-keysyms1",
    "libxcb-randr0",
    "libxcb-render-util0",
    "libxcb-shape0",
    "libxcb-xinerama0",
    "libxcb-xkb1",
    "libxkbcommon-x11-0",
]


def main() -> int:
    """Return the exit code of the command."""
    if sys.argv[1:] == ["--packages"]:
        print(*_PACKAGES)
        return 0
    with screen() as variables:
        return run(sys.argv[1:], variables)


@contextlib.contextmanager
def screen() -> Iterator[dict[str, str]]:
    """Give the environment variables with which windows open on a screen of their own."""
    server = _start() if sys.platform.startswith("linux") and shutil.which("Xvfb") else None
    if server is None:
        yield {}
        return
    process, number = server
    try:
        yield {"DISPLAY": f":{number}", "QT_QPA_PLATFORM": "xcb", "LIBGL_ALWAYS_SOFTWARE": "1"}
    finally:
        process.terminate()
        process.wait()


def windows_open(python: str) -> bool:
    """Whether Qt can open windows with this Python; on a Debian, as root, what is missing is installed."""
    if _opens(python):
        return True
    return try_debian_packages(*_PACKAGES) and _opens(python)


def _opens(python: str) -> bool:
    with screen() as variables:
        if sys.platform.startswith("linux") and not {"DISPLAY", "WAYLAND_DISPLAY"} & {*os.environ, *variables}:
            return False
        probe = [python, "-c", _PROBE]
        silent = subprocess.DEVNULL
        return subprocess.call(probe, env={**os.environ, **variables}, stdout=silent, stderr=silent) == 0


def _start() -> tuple[subprocess.Popen[bytes], str] | None:
    """Start a server on a number that it finds by itself."""
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", _SCREEN, "-nolisten", "tcp"]
    process = subprocess.Popen(command, pass_fds=[writing], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(writing)
    with os.fdopen(reading) as answer:
        number = answer.readline().strip()
    if number:
        return process, number
    process.wait()
    say("Xvfb does not start")
    return None


if __name__ == "__main__":
    sys.exit(main())
