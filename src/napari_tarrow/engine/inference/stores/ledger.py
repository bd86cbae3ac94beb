"""Which frames of an output are finished, and which settings they were made with: a file that survives kills."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from ...errors import UserError
from ...files import writing
from ...options import said

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FORMAT = 1
_PROGRAM = "napari-tarrow"
_DIGESTS = ("model", "movie")  # settings of which only a digest is known: it means nothing to people


class Ledger:
    """One line of JSON that says what is being made, and a line with its number for every frame that is finished.

    Lines are appended and flushed to the disk, so that whatever kills a process leaves whole lines and at most one torn
    one at the end, which does not count.

    Attributes
    ----------
    path : Path
    settings : dict
        All that changes values, as plain JSON.
    total : int
        How many frames there are to be.
    finished : set of int
    """

    def __init__(self, path: Path, settings: Mapping[str, Any], total: int, finished: Iterable[int] = ()) -> None:
        self.path, self.total = path, total
        self.settings = plain(settings)
        self.finished = set(finished)

    @property
    def missing(self) -> tuple[int, ...]:
        """Frames that are not finished, in order."""
        return tuple(frame for frame in range(self.total) if frame not in self.finished)

    def create(self) -> None:
        """Write the file with no frame finished.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        head = {"program": _PROGRAM, "format": FORMAT, "frames": self.total, "settings": self.settings}
        self._append(json.dumps(head))

    def add(self, frame: int) -> None:
        """Mark a frame as finished; its values have to be on the disk by then.

        Raises
        ------
        UserError
            If the line cannot be written.
        """
        self._append(str(frame))
        self.finished.add(frame)

    def difference(self, settings: Mapping[str, Any]) -> str | None:
        """Say in words which setting is another than this output was made with; None if all are the same."""
        wanted = plain(settings)
        for name in (*wanted, *self.settings):
            old, new = self.settings.get(name), wanted.get(name)
            if old != new and name in _DIGESTS:
                return f"with another {name}"
            if old != new:
                return f"with {name} {said(old)}, and {name} is {said(new)} now"
        return None

    def _append(self, line: str) -> None:
        with writing(self.path), self.path.open("ab") as file:
            if file.tell() and not _ends_whole(self.path):
                line = f" torn\n{line}"  # else half a number would become a whole one
            file.write(f"{line}\n".encode())
            file.flush()
            os.fsync(file.fileno())


def read_ledger(path: Path) -> Ledger | None:
    """Read a ledger; None if there is none.

    Raises
    ------
    UserError
        If the file is damaged or of another format.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror or error}). Check its rights.") from error
    try:
        head = json.loads(lines[0])
        if (head["program"], head["format"]) != (_PROGRAM, FORMAT):
            raise UserError(f"{path} is of another version of {_PROGRAM}. Use that one, or choose another output.")
        frames = {int(line) for line in lines[1:-1] if line.isdigit()}  # what follows the last line break is torn
        total, settings = int(head["frames"]), dict(head["settings"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged. Delete the output that it lies in, or choose another.") from error
    return Ledger(path, settings, total, frames & set(range(total)))


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values as they come back from JSON: lists for tuples, names for numbers that are keys."""
    plain_values: dict[str, Any] = json.loads(json.dumps(dict(values)))
    return plain_values


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
