"""`metrics.csv`: one row per epoch, for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from dataclasses import fields
from typing import TYPE_CHECKING

from ...files import write_text
from ..updates import Metrics
from .epoch_file import EpochFile

if TYPE_CHECKING:
    from ..updates import EpochEnded

KEYS = tuple(field.name for field in fields(Metrics))
COLUMNS = (
    *("epoch", "pairs_seen", "seconds"),
    *(f"{part}_{key}" for part in ("train", "val") for key in KEYS),
    "is_best",
)


class MetricsTable(EpochFile):
    """Keep `metrics.csv` with `COLUMNS`; numbers in full precision, `is_best` as 0 or 1."""

    def _write(self) -> None:
        text = io.StringIO()
        table = csv.writer(text, lineterminator="\n")
        table.writerow(COLUMNS)
        table.writerows(_row(epoch) for epoch in self._epochs)
        write_text(self._path, text.getvalue())


def _row(ended: EpochEnded) -> tuple[float, ...]:
    metrics = (getattr(part, key) for part in (ended.train, ended.val) for key in KEYS)
    return (ended.epoch, ended.pairs_seen, ended.seconds, *metrics, int(ended.is_best))
