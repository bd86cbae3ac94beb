"""Lint, format, types and the import contract, with the tools of the Python that runs this; says all that fails."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from environment import ROOT, run, say

CHECKS = [
    ["ruff", "check"],
    ["ruff", "format", "--check"],
    ["mypy"],
    ["lint-imports", "--no-logo"],
]


def main() -> int:
    """Return 1 if any check failed, else 0."""
    failed = [" ".join(check) for check in CHECKS if not _passes(check)]
    for check in failed:
        say(f"FAILED: {check}")
    return int(bool(failed))


def _passes(check: list[str]) -> bool:
    say(" ".join(check))
    tool = shutil.which(check[0], path=str(Path(sys.executable).parent))
    if tool is None:
        sys.exit(f"{check[0]} is missing. Install the project with its extra: pip install -e '.[lint]'")
    return run([tool, *check[1:]], cwd=ROOT) == 0


if __name__ == "__main__":
    sys.exit(main())
