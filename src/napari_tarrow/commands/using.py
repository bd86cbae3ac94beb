"""What the commands that use a trained model share: MODEL and MOVIE, opening, progress with time left, stopping."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .arguments import CommandParser, add_options, given_values
from .running import INTERRUPTED, run_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from ..engine.config import UseConfig
    from ..engine.movies import PreparedMovie
    from ..engine.trained import TrainedModel
    from ..engine.training.control import Control
    from .progress import ProgressPrinter


Config = TypeVar("Config", bound="UseConfig")

_WORDS = ("model", "movie")
_BOOLEANS = ("yes", "no", "true", "false", "t", "f", "y", "n", "1", "0")


class Step(Protocol):
    """What long work yields: how much is done of how much, and what the user should know."""

    @property
    def done(self) -> int:
        """Count what is finished."""

    @property
    def total(self) -> int:
        """Count what there is to do."""

    @property
    def notices(self) -> tuple[str, ...]:
        """Give sentences for the user."""


AnyStep = TypeVar("AnyStep", bound=Step)


def run_use(program: str, command: Callable[[], int]) -> int:
    """Run a command that uses a model, as `run_command` does; a lack of memory gets an advice that fits."""
    return run_command(program, command, "Close other programs, or give less with --memory 2GB.")


class StoppedError(Exception):
    """The user asked to stop, and something is left to do."""


def run_stoppable(
    job: Callable[[ProgressPrinter, Control, contextlib.ExitStack], None], *, saves: bool, kept: str
) -> int:
    """Do work that Ctrl-C asks to stop, and return the exit code.

    Parameters
    ----------
    job
        Gets where to print, what it is asked through, and what is closed at the end. Raises `StoppedError` where it
        was stopped.
    saves
        Whether what is finished is kept then.
    kept
        A sentence about that.
    """
    from ..engine.training.control import Control
    from .progress import ProgressPrinter
    from .stopping import stopping

    printer, control = ProgressPrinter(), Control()
    try:
        with stopping(control, saves=saves), contextlib.ExitStack() as closing:
            job(printer, control, closing)
    except StoppedError:
        printer.line(f"Stopped. {kept}")
        return INTERRUPTED
    return 0


def read_use(program: str, description: str, epilog: str, options: type[Config], argv: Sequence[str]) -> Config:
    """Read the command line of a command that uses a model: MODEL MOVIE [options].

    MODEL and MOVIE may also be given by name, as ``--model`` and ``--movie``.

    Raises
    ------
    UserError
        For what is missing, unknown or wrong.
    """
    given = {word.partition("=")[0] for word in argv}
    fields = options.model_fields
    words = {name.upper(): str(fields[name].description) for name in _WORDS if f"--{name}" not in given}
    parser = CommandParser(program, description, epilog, words)
    add_options(parser, options)
    return options.from_values(given_values(parser.read(_lone_flags(argv, options)), options), prefix="--")


def open_use(config: UseConfig, printer: ProgressPrinter) -> tuple[TrainedModel, PreparedMovie]:
    """Read the model and open the movie as the model wants it; prints what is overridden.

    Raises
    ------
    UserError
        If either cannot be read, or they do not fit together.
    """
    from ..engine.devices import choose_device
    from ..engine.inference.opening import open_for
    from ..engine.trained import read_trained

    device, notices = choose_device(config.device)
    trained = read_trained(config.model, device)
    movie, overridden = open_for(trained, config)
    for notice in (*notices, *overridden):
        printer.line(f"Note: {notice}")
    return trained, movie


def follow(
    steps: Iterable[AnyStep], printer: ProgressPrinter, control: Control, doing: str, unit: str = "frame"
) -> Iterator[AnyStep]:
    """Pass on the steps of long work with a line of progress for each, until `control` asks to stop.

    Parameters
    ----------
    steps
        A generator is closed at the end, whatever ends it.
    printer
        Shows ``Embedding: 12 of 48 frames, 3.1 frames/s, 12 s left``, and every notice as a line that stays.
    control
        Asked after every step; see `stopping`.
    doing, unit
        What the line says: ``Embedding``, ``frame``.
    """
    start = time.monotonic()
    with contextlib.ExitStack() as ending:
        if close := getattr(steps, "close", None):
            ending.callback(close)
        printer.passing(f"{doing}: preparing")  # percentiles of a long movie take a while
        for step in steps:
            for notice in step.notices:
                printer.line(f"Note: {notice}")
            printer.passing(f"{doing}: {_progress(step, time.monotonic() - start, unit)}")
            yield step
            del step  # large ones would be in memory while the next is computed
            if control.stopping:
                return


def _progress(step: Step, seconds: float, unit: str) -> str:
    from .progress import duration

    text = f"{step.done:,} of {step.total:,} {unit}{'s' * (step.total != 1)}"
    if not step.done or seconds <= 0:
        return text
    rate = step.done / seconds
    left = duration((step.total - step.done) / rate)
    speed = f"{rate:.3g} {unit}s/s" if rate >= 1 else f"{1 / rate:.3g} s/{unit}"
    return f"{text}, {speed}, {left} left"


def _lone_flags(argv: Sequence[str], options: type[UseConfig]) -> list[str]:
    """Write ``--tif`` as ``--tif=yes`` where what follows is no yes or no: it would be taken for its value."""
    flags = {f"--{name}" for name, field in options.model_fields.items() if _is_flag(field.annotation)}
    following: list[Any] = [*argv[1:], None]
    return [
        f"{word}=yes" if word.replace("-", "_").replace("__", "--", 1) in flags and not _is_boolean(after) else word
        for word, after in zip(argv, following, strict=False)
    ]


def _is_flag(annotation: Any) -> bool:
    return annotation is bool or "bool" in str(annotation)


def _is_boolean(word: str | None) -> bool:
    return word is not None and word.lower() in _BOOLEANS
