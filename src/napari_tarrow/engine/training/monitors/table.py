"""`metrics.csv`: one row per epoch, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import TYPE_CHECKING

from ...files import write_text
from ..updates import EpochEnded, Metrics

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ..updates import Update

KEYS = tuple(field.name for field in fields(Metrics))
COLUMNS = (
    *("epoch", "pairs_seen", "seconds"),
    *(f"{part}_{key}" for part in ("train", "val") for key in KEYS),
    "is_best",
)


class MetricsTable:
    """Keep `metrics.csv` with `COLUMNS`; numbers in full precision, `is_best` as 0 or 1."""

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
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_row(epoch) for epoch in self._epochs)
        write_text(self._path, text.getvalue())


def _row(ended: EpochEnded) -> tuple[float, ...]:
    metrics = (getattr(part, key) for part in (ended.train, ended.val) for key in KEYS)
    return (ended.epoch, ended.pairs_seen, ended.seconds, *metrics, int(ended.is_best))
