"""A virtual environment with this project in it, made with nothing but Python itself.

The scripts beside this file import it on machines where nothing is installed yet, so it has no dependencies, and it
loads (if only to say what is missing) on every Python 3.7 or newer.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
CPU_BUILDS = "https://download.pytorch.org/whl/cpu"
_UNASKED = {"DEBIAN_FRONTEND": "noninteractive"}


def prepare(folder: Path, extras: str = "", *packages: str) -> Path:
    """Make or update the virtual environment in `folder`, with the project and more `packages`; return its Python."""
    start = time.monotonic()
    if sys.version_info < (3, 11):
        sys.exit(f"napari-tarrow needs Python 3.11 or newer, this is {_version()}: run the script with a newer one.")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if not _works(python):
        _ensure_venv()
        say(f"Making the virtual environment {folder}")
        must_run([sys.executable, "-m", "venv", "--clear", str(folder)])
    say("Installing napari-tarrow and what it needs (the first time: some minutes on a slow line)")
    _install_torch(python)
    must_run([*_pip(python), "--constraint", str(CONSTRAINTS), f"{ROOT}{extras}", *packages])
    say(f"Ready after {time.monotonic() - start:.0f} s: {folder}")
    return python


def run(command: list[str], variables: Mapping[str, str] | None = None, cwd: Path | None = None) -> int:
    """Run `command` with additional environment variables and return its exit code."""
    process = subprocess.Popen(command, cwd=cwd, env={**os.environ, **(variables or {})})
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the command was interrupted as well, and may be saving


def must_run(command: list[str], variables: Mapping[str, str] | None = None) -> None:
    """Run `command` with additional environment variables; end with its exit code unless that is 0."""
    code = run(command, variables)
    if code:
        sys.exit(code)


def say(text: str) -> None:
    """Print a line of progress, in order with what the commands print."""
    print(f"== {text}", flush=True)


def _install_torch(python: Path) -> None:
    """Install the build of PyTorch that fits the machine, where plain pip would bring gigabytes for a missing GPU.

    A wheel in a folder that pip is configured to look into comes first (no network is touched for that), then, on Linux
    without an NVIDIA GPU, the CPU build. Where both fail, the installation that follows brings the usual one.
    """
    if not sys.platform.startswith("linux") or shutil.which("nvidia-smi") or _has_torch(python):
        return
    wheel = [*_pip(python), "--no-deps", "--only-binary=:all:", "--constraint", str(CONSTRAINTS), "torch"]
    if subprocess.call([*wheel, "--no-index"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0:
        return
    if run([*wheel, "--index-url", CPU_BUILDS, "--timeout", "20", "--retries", "1"]):
        say("The CPU build of PyTorch could not be had; taking the usual one, which is large")


def _pip(python: Path) -> list[str]:
    # Compiling everything takes longer than all the rest; Python compiles what it imports, when it does.
    return [str(python), "-m", "pip", "install", "--no-compile", "--disable-pip-version-check"]


def _works(python: Path) -> bool:
    """Whether there is an environment that was not left half-made, of the same version as this Python."""
    if not python.exists():
        return False
    probe = "import pip, sys; print('%d.%d' % sys.version_info[:2])"
    answer = subprocess.run([str(python), "-c", probe], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False)
    return answer.stdout.decode().strip() == _version()


def _version() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def _has_torch(python: Path) -> bool:
    probe = "import importlib.util, sys; sys.exit(importlib.util.find_spec('torch') is None)"
    return subprocess.call([str(python), "-c", probe]) == 0


def _ensure_venv() -> None:
    """Debian and Ubuntu keep a part of `venv` in a package of its own."""
    if importlib.util.find_spec("ensurepip"):
        return
    package = f"python{_version()}-venv"
    if not shutil.which("apt-get"):
        sys.exit("This Python has no `ensurepip`, which virtual environments need. Install it, or another Python.")
    if os.geteuid() != 0:
        sys.exit(f"This Python cannot make virtual environments yet. Run: sudo apt-get install {package}")
    install_debian_packages(package)


def install_debian_packages(*packages: str) -> None:
    """Install `packages` with apt-get; only where it exists, as root."""
    say(f"Installing Debian packages: {' '.join(packages)}")
    for command in _apt(packages):
        must_run(command, _UNASKED)


def try_debian_packages(*packages: str) -> bool:
    """Install `packages` where there is apt-get and the right to use it; return whether they are there now."""
    if not shutil.which("apt-get") or os.geteuid() != 0:
        return False
    say(f"Installing Debian packages: {' '.join(packages)}")
    return not any(run(command, _UNASKED) for command in _apt(packages))


def _apt(packages: tuple[str, ...]) -> list[list[str]]:
    install = ["apt-get", "install", "-qq", "--yes", "--no-install-recommends", *packages]
    return [["apt-get", "update", "-qq"], install]
