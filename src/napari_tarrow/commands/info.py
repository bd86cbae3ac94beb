"""`napari-tarrow-info`: what a trained model is."""

from __future__ import annotations

import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING

from ..engine.bundled import NAMES
from .arguments import CommandParser
from .running import run_command

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..engine.inference.descriptions.description import ModelDescription

PROGRAM = "napari-tarrow-info"
_DESCRIPTION = """
Say what a trained model is: its network, what it wants of a movie, what it was trained on, how long, and how well that
went. Folders of the reference implementation are read as well.
"""
_EPILOG = f"Example: `{PROGRAM} runs/my_movie_backbone_unet`."
_WORDS = {"MODEL": f"Folder of the trained model, or a network of the package: {NAMES}."}


def main(argv: Sequence[str] | None = None) -> int:
    """Describe a model as a command line says.

    Parameters
    ----------
    argv
        The words after the command's name; those of this process where nothing is given.

    Returns
    -------
    int
        Exit code: 0 described, 2 something to mend (said in one line), 130 stopped.
    """
    return run_command(PROGRAM, lambda: _describe(sys.argv[1:] if argv is None else argv))


def _describe(argv: Sequence[str]) -> int:
    parser = CommandParser(PROGRAM, _DESCRIPTION, _EPILOG, _WORDS)
    parser.general.add_argument("--json", action="store_true", help="Print one JSON object, with all epochs.")
    namespace = parser.read(argv)

    from ..engine.inference.descriptions.description import describe_model

    model = describe_model(namespace.model)
    if "json" in namespace:
        print(json.dumps(model.values(), indent=1, default=str))
    else:
        print("\n".join(_lines(model)))
    return 0


def _lines(model: ModelDescription) -> list[str]:
    from ..engine.inference.descriptions.rows import model_rows

    rows = model_rows(model)
    indent = max(len(label) for label, _ in rows) + 2
    width = max(shutil.get_terminal_size().columns, indent + 20)
    lines = [model.folder, ""]
    for label, text in rows:
        lines += textwrap.wrap(
            text,
            width,
            initial_indent=label.ljust(indent),
            subsequent_indent=" " * indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    return [*lines, *(f"Note: {notice}" for notice in model.notices)]
