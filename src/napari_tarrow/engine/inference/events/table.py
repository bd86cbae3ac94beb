"""`events.csv`: what was found, whether it stands out, and what the user says of it."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from ...errors import UserError
from ...files import user_path, write_text
from ..csv_rows import read_rows, write_cells
from .events import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from ..csv_rows import CsvRow

T = TypeVar("T")
_NEEDED = ("frame", "y", "x", "score")
_KNOWN = ("pair", "above", "true")
_WORDS = {"yes": True, "true": True, "t": True, "y": True, "1": True}
_WORDS |= {"no": False, "false": False, "f": False, "n": False, "0": False}


@dataclass(frozen=True)
class EventTable:
    """A table of events; all tuples have one entry per event.

    Attributes
    ----------
    events : tuple of Event
        In the order of the file.
    above : tuple of bool or None
        Whether the score reaches the threshold that was suggested without labels; None where none was.
    true : tuple of bool or None
        What the user says of it; None where nothing.
    other : dict of tuples of str
        The columns that are not ours, by name.
    """

    events: tuple[Event, ...] = ()
    above: tuple[bool | None, ...] = ()
    true: tuple[bool | None, ...] = ()
    other: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def threshold(self) -> float | None:
        """The lowest score that counts as above; infinite where all are below, None where nothing is said."""
        if all(one is None for one in self.above):
            return None
        return min((e.score for e, one in zip(self.events, self.above, strict=True) if one), default=math.inf)


def write_events(
    path: str | Path,
    events: Iterable[Event],
    *,
    threshold: float | None = None,
    true: Iterable[bool | None] | None = None,
) -> None:
    """Write all events that were found, in the order given, with positions to 0.01 pixel and scores to 6 digits.

    Where a table stands there already, an event that it holds too (same frame, position and pair) keeps what is not
    given here: `above`, `true` and the columns that are not ours. So ticks survive a new threshold, a note that a user
    wrote beside an event survives everything, and what is no longer an event goes.

    Parameters
    ----------
    path : path
        The csv; columns frame, y, x, score, pair (as ``12-13``), above and true (yes, no or empty).
    events : iterable of Event
        Below the threshold, too: another threshold is then a matter of looking.
    threshold : float, optional
        Events with at least this score are above it.
    true : iterable of bool or None, optional
        What the user says of each event.

    Raises
    ------
    UserError
        If the file cannot be written, or what stands there cannot be read.
    ValueError
        If a score or position is not finite, the threshold is NaN, or `true` has another length.
    """
    path, events, given = user_path(path), list(events), None if true is None else list(true)
    if given is not None and len(given) != len(events):
        raise ValueError(f"There are {len(given)} ticks for {len(events)} events.")
    if threshold is not None and math.isnan(threshold):
        raise ValueError("The threshold is NaN.")
    before = read_events(path) if path.is_file() else EventTable()
    known: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    for index, event in enumerate(before.events):
        known[_place(event)].append(index)
    rows = [known[_place(event)].pop(0) if known[_place(event)] else None for event in events]
    above = _taken(before.above, rows) if threshold is None else [event.score >= threshold for event in events]
    ticks = _taken(before.true, rows) if given is None else given
    columns = [
        *zip(*map(_written, events), strict=True),
        [_word(one) for one in above],
        [_word(one) for one in ticks],
        *([text or "" for text in _taken(values, rows)] for values in before.other.values()),
    ]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*_NEEDED, *_KNOWN, *before.other])
    if events:
        table.writerows(zip(*columns, strict=True))
    write_text(path, text.getvalue())


def mark_events(
    path: str | Path, events: Sequence[Event], true: Sequence[bool | None], *, threshold: float | None = None
) -> None:
    """Write into a table what the user says of its events; but for columns `true` and `above` it stays as it stands.

    Parameters
    ----------
    path : path
        A table, ours or one from elsewhere.
    events : sequence of Event
        As `read_events` has read them.
    true : sequence of bool or None
        What the user says of each.
    threshold : float, optional
        Events with at least this score are above it; without it, the column `above` stays, too.

    Raises
    ------
    UserError
        If the file cannot be read or written, or holds other events by now.
    """
    path, before = user_path(path), read_events(path)
    if before.events != tuple(events):
        raise UserError(f"{path} holds other events than when it was opened. Open it again.")
    above = before.above if threshold is None else [event.score >= threshold for event in events]
    columns = {"above": (before.above, above), "true": (before.true, true)}
    write_cells(
        path,
        {
            name: [None if was is one else _word(one) for was, one in zip(*cells, strict=True)]
            for name, cells in columns.items()
        },
    )


def lost_remarks(path: str | Path, events: Sequence[Event]) -> int:
    """Return how many ticked or otherwise annotated events of a table `write_events` of these events would drop.

    Raises
    ------
    UserError
        If there is a table that cannot be read.
    """
    path = user_path(path)
    if not path.is_file():
        return 0
    before, found = read_events(path), {_place(event) for event in events}
    columns = before.true, *before.other.values()
    said = (any(cell not in (None, "") for cell in cells) for cells in zip(*columns, strict=True))
    return sum(one and _place(event) not in found for event, one in zip(before.events, said, strict=True))


def read_events(path: str | Path) -> EventTable:
    """Read a table of events, ours or one from elsewhere.

    Without a column pair, the pair is a frame and the next. Columns above and true may be missing or have empty cells.

    Raises
    ------
    UserError
        If the file cannot be read or is empty, or a column is missing, or a cell holds what it cannot; the line is
        named.
    """
    columns, rows = read_rows(path, _NEEDED, _KNOWN)
    return EventTable(
        events=tuple(map(_event, rows)),
        above=tuple(_answer(row, "above") for row in rows),
        true=tuple(_answer(row, "true") for row in rows),
        other={
            name: tuple(row.cells[name] for row in rows) for name in columns if name and name not in (*_NEEDED, *_KNOWN)
        },
    )


def _written(event: Event) -> tuple[str, str, str, str, str]:
    if not all(map(math.isfinite, (event.y, event.x, event.score))):
        raise ValueError(f"{event} is not finite.")
    pair = "-".join(map(str, event.pair))
    return str(event.frame), f"{event.y:.2f}", f"{event.x:.2f}", f"{event.score:.6g}", pair


def _place(event: Event) -> tuple[str, ...]:
    """Return what tells an event from others, as it is written: a file does not hold more digits."""
    frame, y, x, _, pair = _written(event)
    return frame, y, x, pair


def _taken(values: Sequence[T | None], rows: Sequence[int | None]) -> list[T | None]:
    return [None if row is None else values[row] for row in rows]


def _event(row: CsvRow) -> Event:
    frame = row.frame_number("frame")
    return Event(frame, row.number("y"), row.number("x"), row.number("score"), _pair(row, frame))


def _pair(row: CsvRow, frame: int) -> tuple[int, int]:
    text = row.cells.get("pair", "")
    if not text:
        return frame, frame + 1
    if not (found := re.fullmatch(r"(-?\d{1,18})\s*-\s*(-?\d{1,18})", text)):
        raise row.wrong("pair", "two frame numbers such as 12-13 (spreadsheets take that for a date; it may be empty)")
    return int(found[1]), int(found[2])


def _answer(row: CsvRow, name: str) -> bool | None:
    text = row.cells.get(name, "").lower()
    if text and text not in _WORDS:
        raise row.wrong(name, "yes, no or empty")
    return _WORDS.get(text)


def _word(answer: bool | None) -> str:
    return "" if answer is None else "yes" if answer else "no"
