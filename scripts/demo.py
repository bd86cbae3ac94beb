"""Install napari-tarrow into .venv and train on the bundled movie; further arguments go to the training command."""

from __future__ import annotations

import sys

from environment import ROOT, prepare, run, say

TRAIN = ["--sample", "cancer_cell_migration", "--minutes", "5"]


def main() -> int:
    """Return the exit code of the training."""
    python = prepare(ROOT / ".venv")
    arguments = [*TRAIN, *sys.argv[1:]]
    say(f"napari-tarrow-train {' '.join(arguments)}")
    return run([str(python.with_name("napari-tarrow-train")), *arguments])


if __name__ == "__main__":
    sys.exit(main())
