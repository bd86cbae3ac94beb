"""Install napari-tarrow into .venv-tests, check it and test it; further arguments go to pytest."""

from __future__ import annotations

import sys

from display import screen, windows_open
from environment import ROOT, prepare, run, say


def main() -> int:
    """Return the exit code of the tests, or of what was checked before where the tests passed."""
    python = str(prepare(ROOT / ".venv-tests", "[gui-tests,lint,docs]", "napari[pyqt6]"))
    failed = []
    if run([python, str(ROOT / "scripts" / "checks.py")]):
        failed.append("The checks")
    say("sphinx-build")
    if run([python, "-m", "sphinx", "-qWn", "--keep-going", "docs", "docs/_build/html"], cwd=ROOT):
        failed.append("The docs")
    tests = _test(python)
    for what in failed:
        say(f"{what} before the tests failed, see above")
    return tests or len(failed)


def _test(python: str) -> int:
    """Run all tests; those of the windows only where windows can be opened."""
    say("pytest")
    windows = windows_open(python)
    left_out = [] if windows else ["--ignore", "tests/widgets"]
    with screen() as variables:
        # One thread each: two processes with two threads each would slow each other down many times.
        command = [python, "-m", "pytest", "-n", "2", *left_out, *sys.argv[1:]]
        code = run(command, {"OMP_NUM_THREADS": "1", **variables}, cwd=ROOT)
    if not windows:
        say("The tests of the windows were left out: Qt cannot open any here. On Debian: sudo apt-get install xvfb")
    return code


if __name__ == "__main__":
    sys.exit(main())
