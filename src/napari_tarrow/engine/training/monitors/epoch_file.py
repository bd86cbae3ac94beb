"""What the files with a value per epoch share: they are written anew, whole, after every epoch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..updates import EpochEnded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..updates import Update


class EpochFile:
    """A file of all epochs so far; a resumed run begins with those before it."""

    def __init__(self, path: Path, history: Sequence[EpochEnded] = ()) -> None:
        self._path = path
        self._epochs = list(history)
        if self._epochs:
            self._write()

    def take(self, update: Update) -> None:
        """Write the file anew, whole, after every epoch."""
        if isinstance(update, EpochEnded):
            self._epochs.append(update)
            self._write()

    def close(self) -> None:
        """Do nothing: the file is complete after every epoch."""

    def _write(self) -> None:
        raise NotImplementedError
