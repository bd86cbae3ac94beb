"""Install napari-tarrow into .venv-tests, check it and test it; further arguments go to pytest."""

from __future__ import annotations

import sys

from environment import ROOT, prepare, run, say


def main() -> int:
    """Return the exit code of the tests, or of the checks where the tests passed."""
    python = prepare(ROOT / ".venv-tests", "[tests,lint]")
    checks = run([str(python), str(ROOT / "scripts" / "checks.py")])
    say("pytest")
    # One thread each: two processes with two threads each would slow each other down many times.
    tests = run([str(python), "-m", "pytest", "-n", "2", *sys.argv[1:]], cwd=ROOT, OMP_NUM_THREADS="1")
    if checks:
        say("The checks before the tests failed, see above")
    return tests or checks


if __name__ == "__main__":
    sys.exit(main())
