"""How a command ends: one line for what the user can mend, an exit code for scripts, never a traceback for either."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from typing import TYPE_CHECKING, TextIO

from ..engine.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable

MISTAKE = 2
INTERRUPTED = 130
NOBODY_READS = 141  # what a shell reports for a program that a closed pipe ended


def run_command(
    program: str, command: Callable[[], int], memory: str = "Close other programs, and run it again."
) -> int:
    """Run a command and return its exit code.

    A `UserError` is printed as one line on the error stream (2), so is a lack of memory (2); Ctrl-C ends with
    one word (130), a reader that went away, as in ``... | head``, without any (141). Every other exception is a fault
    of the program and passes through.

    Parameters
    ----------
    program
        Its name, for the error line.
    command
        Does the work and returns 0, or another exit code.
    memory
        What helps where memory was not enough.
    """
    with contextlib.ExitStack() as closing:
        if sys.stdout is None:  # closed by whoever started the command, or a program without a terminal
            nowhere = closing.enter_context(open(os.devnull, "w", encoding="utf-8"))
            closing.enter_context(contextlib.redirect_stdout(nowhere))
        return _spoken(program, command, memory)


def _spoken(program: str, command: Callable[[], int], memory: str) -> int:
    _write_anything(sys.stdout)
    try:
        code = _checked(program, command, memory)
        sys.stdout.flush()
    except BrokenPipeError:
        _forget(sys.stdout)
        return NOBODY_READS
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _forget(sys.stdout)
        return _fail(program, "The disk is full: what is printed could not be written. Free some space.")
    return code


def _checked(program: str, command: Callable[[], int], memory: str) -> int:
    try:
        return command()
    except UserError as error:
        return _fail(program, str(error))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)
        return INTERRUPTED
    except SystemExit as end:  # --help, --version
        return end.code if isinstance(end.code, int) else 0
    except (MemoryError, RuntimeError) as error:
        from ..engine.devices import out_of_memory

        if not out_of_memory(error):
            raise
        return _fail(program, f"The memory is not enough. {memory}")


def _fail(program: str, message: str) -> int:
    print(f"{program}: error: {' '.join(message.split())}", file=sys.stderr)
    return MISTAKE


def _write_anything(stream: TextIO) -> None:
    """Let a file name that the terminal's encoding lacks be printed escaped, instead of ending the run."""
    if reconfigure := getattr(stream, "reconfigure", None):
        reconfigure(errors="backslashreplace")


def _forget(stream: TextIO) -> None:
    """Keep Python from complaining, at exit, about what it could not write."""
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):  # a stream without a file behind it
        return
    os.close(nowhere)
