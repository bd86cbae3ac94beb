"""How a training went, from the files that it left: `metrics.csv`, or the reference's `losses.json`."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...chance import CHANCE_LOSS, by_heart, near_chance
from ...errors import UserError
from ..csv_rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

TABLE, LOSSES, SHORTCUTS = "metrics.csv", "losses.json", "shortcuts.json"
_CURVES = ("train_loss", "train_accuracy", "val_loss", "val_accuracy")


@dataclass(frozen=True)
class Epoch:
    """Means over one epoch; `number` counts from 1. What was not written, or was no number, is None."""

    number: int
    train_loss: float | None
    train_accuracy: float | None
    val_loss: float | None
    val_accuracy: float | None


@dataclass(frozen=True)
class History:
    """All epochs of a training.

    Attributes
    ----------
    epochs : tuple of Epoch
    pairs : int or None
        Sequences seen in training.
    seconds : float or None
        Time taken.
    """

    epochs: tuple[Epoch, ...]
    pairs: int | None = None
    seconds: float | None = None

    @property
    def best(self) -> Epoch | None:
        """The epoch with the lowest validation loss, the first of equals: the one that `keep: best` keeps."""
        judged = [epoch for epoch in self.epochs if epoch.val_loss is not None]
        return min(judged, key=lambda epoch: epoch.val_loss or 0.0, default=None)

    @property
    def remark(self) -> str:
        """Say that the best epoch, or the last one, is no better than guessing, at all or on new frames; or nothing."""
        kept = self.best or (self.epochs[-1] if self.epochs else None)
        if kept is None or kept.train_loss is None or kept.train_accuracy is None:
            return ""
        if not near_chance(kept.train_loss, kept.train_accuracy):
            if kept.val_loss is None or kept.val_accuracy is None:
                return ""
            return by_heart(kept.val_loss, kept.val_accuracy)
        return (
            f"The network has learnt next to nothing (loss of training {kept.train_loss:.3f}, of guessing"
            f" {CHANCE_LOSS:.3f}): its maps show little more than where much changes."
        )


def read_history(folder: Path) -> tuple[History | None, list[str]]:
    """Read how a training went.

    Returns
    -------
    history : History or None
        None where nothing says so.
    notices : list of str
        Files that are damaged, one sentence each: a model is whole without them.
    """
    notices: list[str] = []
    for name, read in ((TABLE, _read_table), (LOSSES, _read_losses)):
        if (folder / name).is_file():
            try:
                return read(folder / name), notices
            except UserError as error:
                notices.append(str(error))
    return None, notices


def read_shortcuts(folder: Path) -> tuple[str, ...]:
    """Read the sentences of the report on shortcuts; nothing where there is none that can be read."""
    try:
        lines = json.loads((folder / SHORTCUTS).read_text(encoding="utf-8"))["lines"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return ()
    return tuple(line for line in lines if isinstance(line, str)) if isinstance(lines, list) else ()


def _read_table(path: Path) -> History:
    _, rows = read_rows(path, ("epoch", "pairs_seen", "seconds", *_CURVES))
    epochs = [
        Epoch(row.frame_number("epoch"), *(_finite(_parsed(row.cells[name])) for name in _CURVES)) for row in rows
    ]
    if not rows:
        return History(())
    return History(tuple(epochs), rows[-1].frame_number("pairs_seen"), rows[-1].number("seconds"))


def _read_losses(path: Path) -> History:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        curves = [_curve(values[part][key]) for part, key in (name.split("_") for name in _CURVES)]
        epochs = [Epoch(number, *row) for number, row in enumerate(zip(*curves, strict=True), 1)]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(f"{path} is damaged; without it the losses are not known.") from error
    return History(tuple(epochs))


def _curve(values: Any) -> Sequence[float | None]:
    if not isinstance(values, list) or not all(type(value) in (int, float) for value in values):
        raise TypeError("no list of numbers")
    return [_finite(value) for value in values]


def _parsed(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
