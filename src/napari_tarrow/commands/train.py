"""`napari-tarrow-train`: from movies to a trained network, in a terminal."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from ..engine.config import TrainConfig
from ..engine.errors import UserError
from ..samples import SAMPLES
from .arguments import CommandParser, add_options
from .configuration import configured, resumed
from .running import INTERRUPTED, run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from ..engine.training.control import Control
    from ..engine.training.updates import Update
    from .progress import ProgressPrinter

PROGRAM = "napari-tarrow-train"
_DESCRIPTION = """
Train a time arrow prediction network on live-cell movies. Options may be written with underscores or hyphens, may
come from a YAML file (-c), and come from the preset where they are not given. yes and no may also be true and false.
Several values may also be given one by one: --delta 1 --delta 4.
"""
_EPILOG = f"""
Examples: `{PROGRAM} --sample cancer_cell_migration` trains on the bundled movie within minutes;
`{PROGRAM} --input_train my_video.tif --delta 1 2 --split_train 0.0 0.8 --split_val 0.8 1.0` on yours.
Ctrl-C stops, saves, and says how to go on.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Train as a command line says.

    Parameters
    ----------
    argv
        The words after the command's name; those of this process where nothing is given.

    Returns
    -------
    int
        Exit code: 0 trained, 2 something to mend (said in one line), 130 stopped and saved.
    """
    smaller = "Try a smaller --batchsize or --size."
    return run_command(PROGRAM, lambda: _train(sys.argv[1:] if argv is None else argv), smaller)


def _train(argv: Sequence[str]) -> int:
    namespace = _parser().read(argv)
    if "resume" in namespace:
        run_folder, changes = resumed(namespace)
        return _follow(lambda control: _engine().resume(run_folder, control, **changes))
    config, notices = configured(namespace)
    return _follow(lambda control: _engine().train(config, control), config, notices)


def _parser() -> CommandParser:
    parser = CommandParser(PROGRAM, _DESCRIPTION, _EPILOG)
    add = parser.general.add_argument
    add("-c", "--config", metavar="YAML", help="File of options; the command line wins over it.")
    add("--sample", metavar="NAME", help=f"Train on a bundled movie, with preset interactive: {', '.join(SAMPLES)}.")
    add("--resume", metavar="RUN_FOLDER", help="Go on with a run that was stopped or broken off.")
    add_options(parser, TrainConfig)
    return parser


def _engine() -> Any:
    from ..engine import training  # brings torch: neither --help nor a typing error should wait for it

    return training


def _follow(
    start: Callable[[Control], Generator[Update, None, None]],
    config: TrainConfig | None = None,
    notices: Sequence[str] = (),
) -> int:
    from ..engine.training.control import Control
    from ..engine.training.updates import Finished, Started
    from .progress import ProgressPrinter, resume_line
    from .stopping import stopping

    control, printer = Control(), ProgressPrinter(config)
    for notice in notices:
        printer.line(f"Note: {notice}")
    run_folder = finished = None
    try:
        with stopping(control), contextlib.closing(start(control)) as updates:
            for update in updates:
                printer.show(update)
                if isinstance(update, Started):
                    run_folder = update.run_folder
                elif isinstance(update, Finished):
                    finished = update
    except BaseException:
        if run_folder is not None:
            printer.line(f"To go on from the last checkpoint: {resume_line(PROGRAM, run_folder)}")
        raise
    if finished is None or finished.reason == "stopped":
        printer.line(f"To go on: {resume_line(PROGRAM, run_folder)}" if finished else "Stopped before training began.")
        return INTERRUPTED
    _say_results(finished.run_folder, printer)
    return 0


def _say_results(run_folder: Path, printer: ProgressPrinter) -> None:
    """Name what is there now; a picture that cannot be drawn does not undo a training."""
    from ..engine.devices import out_of_memory

    events = run_folder / "strongest_events.png"
    try:
        _draw_run_events(run_folder, events, printer)
    except KeyboardInterrupt:
        printer.line("Note: the strongest events are not drawn.")
    except (UserError, RuntimeError, MemoryError) as error:
        if not isinstance(error, UserError) and not out_of_memory(error):
            raise
        printer.line(f"Note: the strongest events are not drawn: {error}")
    for label, path in (
        ("Model folder", run_folder),
        ("Learning curve", run_folder / "learning_curve.png"),
        ("Strongest events", events),
    ):
        if path.exists():
            printer.line(f"{label + ':':<18}{path}")


def _draw_run_events(run_folder: Path, path: Path, printer: ProgressPrinter) -> None:
    from ..engine.inference import draw_run_events

    for one in draw_run_events(run_folder, path):
        printer.passing(f"Looking for the strongest events: {one.done} of {one.total} pairs of frames")
