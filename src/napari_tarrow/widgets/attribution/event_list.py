"""Events with what the user says of them, and the csv in which that is kept; without Qt."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ...engine.inference.events.events import Event
    from ..shared.layers import LayerFacts


class EventList:
    """Events, strongest first, and their ticks.

    Parameters
    ----------
    events : sequence of Event
        Strongest first.
    ticks : sequence of bool or None, optional
        What is known of each: true, false or nothing.
    csv : Path, optional
        The table they come from.
    rows : sequence of int, optional
        Where each stands in that table.
    threshold : float
        The one that the table was written with; minus infinity if there is none.

    Attributes
    ----------
    range : (low, high)
        Of the scores.
    remark : str
        A sentence about what the user said of events that are no longer in the list; mostly empty.
    """

    def __init__(
        self,
        events: Sequence[Event] = (),
        ticks: Sequence[bool | None] | None = None,
        csv: Path | None = None,
        rows: Sequence[int] = (),
        threshold: float = -math.inf,
    ) -> None:
        self.events = tuple(events)
        self.ticks: list[bool | None] = list(ticks or [None] * len(events))
        self.csv = csv
        self._places = np.argsort(rows).tolist()  # of the table's rows among the events
        self._threshold = threshold
        self.remark = ""
        self._scores = np.array([event.score for event in events], float)
        self.range = (float(self._scores.min()), float(self._scores.max())) if events else (0.0, 1.0)

    def __len__(self) -> int:
        """Count the events."""
        return len(self.events)

    def count(self, threshold: float) -> int:
        """Count the events that score at least `threshold`; they are the first ones."""
        return int((self._scores >= threshold).sum())

    def found_again(self, events: Sequence[Event]) -> EventList:
        """Return events, strongest first, with the ticks of those that are in this list too.

        They are kept in the same file, unless it has none of them, would lose what the user said of others, or was
        opened and has other events.
        """
        known = {_place(event): tick for event, tick in zip(self.events, self.ticks, strict=True)}
        places = [_place(event) for event in events]
        found = EventList(events, [known.get(place) for place in places])
        try:
            lost = self._remarks_beside(events)
        except UserError as error:
            found.remark = f"Ticks are no longer kept. {error}"
            return found
        if lost:
            where = f"; what you said of {'it' if lost == 1 else 'them'} stays in {self.csv.name}" if self.csv else ""
            what = "1 ticked event was" if lost == 1 else f"{lost} ticked events were"
            found.remark = f"{what} not found again{where}."
        elif known.keys() == set(places) or not (self._places or known.keys().isdisjoint(places)):
            found.csv = self.csv
        return found

    def save(self, path: Path, threshold: float) -> None:
        """Write all events, and keep to this file from now on.

        Ticks that stand there already are taken over, where the user has not said anything since.

        Raises
        ------
        UserError
            If the file cannot be written, or holds something else.
        """
        if path == self.csv:
            self.keep(threshold)
            return
        if path.is_file():
            self._take_ticks(path)
        self._write(path, threshold)
        self.csv, self._places = path, []

    def keep(self, threshold: float) -> None:
        """Write ticks and threshold to the file that the events were saved in or come from, if there is one.

        In one that they come from nothing else is changed, and the threshold is only written if it is another.

        Raises
        ------
        UserError
            If it cannot be written.
        """
        if self.csv is None:
            return
        if not self._places:
            self._write(self.csv, threshold)
            return
        from ...engine.inference.events.table import mark_events

        events, ticks = ([values[place] for place in self._places] for values in (self.events, self.ticks))
        other = threshold != max(self._threshold, self.range[0])  # lower ones leave out nothing either
        mark_events(self.csv, events, ticks, threshold=threshold if other else None)
        self._threshold = threshold

    def _write(self, path: Path, threshold: float) -> None:
        from ...engine.inference.events.table import write_events

        write_events(path, self.events, threshold=threshold, true=self.ticks)

    def _remarks_beside(self, events: Sequence[Event]) -> int:
        """Count the ticked events, and those with notes in the file, that are not among `events`."""
        from ...engine.inference.events.table import lost_remarks

        if self.csv is not None:
            return lost_remarks(self.csv, events)
        found = {_place(event) for event in events}
        return sum(
            tick is not None and _place(event) not in found for event, tick in zip(self.events, self.ticks, strict=True)
        )

    def _take_ticks(self, path: Path) -> None:
        from ...engine.inference.events.table import read_events

        table = read_events(path)
        known = {_place(event): tick for event, tick in zip(table.events, table.true, strict=True)}
        self.ticks = [
            known.get(_place(event)) if tick is None else tick
            for event, tick in zip(self.events, self.ticks, strict=True)
        ]


def read_event_list(path: Path, facts: LayerFacts) -> tuple[EventList, float]:
    """Read a table of events of a movie, and the threshold that it was written with (minus infinity without one).

    Raises
    ------
    UserError
        If it cannot be read, or belongs to another movie.
    """
    from ...engine.inference.events.table import read_events

    table = read_events(path)
    _check_inside(table.events, facts, path)
    order = sorted(range(len(table.events)), key=lambda place: -table.events[place].score)
    events = [table.events[place] for place in order]
    threshold = -math.inf if table.threshold is None else table.threshold
    return EventList(events, [table.true[place] for place in order], path, order, threshold), threshold


def _place(event: Event) -> tuple[Any, ...]:
    """Return what tells an event from others, to the digits that a table holds."""
    return event.frame, f"{event.y:.2f}", f"{event.x:.2f}", event.pair


def _check_inside(events: Sequence[Event], facts: LayerFacts, path: Path) -> None:
    height, width = (facts.shape[facts.axes.index(letter)] for letter in "YX")
    for event in events:
        inside = facts.frame_index(event.frame) is not None and -0.5 <= event.y <= height and -0.5 <= event.x <= width
        if not inside:
            raise UserError(
                f"{path.name} has an event in frame {event.frame} at y {event.y:g}, x {event.x:g}, outside the chosen"
                " movie. Choose the movie that the table belongs to."
            )
