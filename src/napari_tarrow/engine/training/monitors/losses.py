"""`losses.json`, as the reference writes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...files import write_json
from ..updates import EpochEnded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..updates import Update

KEYS = "loss", "loss_decorr", "accuracy", "pred1_ratio", "lr", "steps"


class LossFile:
    """Keep `losses.json`: for train and val, a list with one value per epoch for each of `KEYS`."""

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
        train, val = [e.train for e in self._epochs], [e.val for e in self._epochs]
        parts = (("train", train), ("val", val))
        write_json(self._path, {name: {key: [getattr(m, key) for m in part] for key in KEYS} for name, part in parts})
