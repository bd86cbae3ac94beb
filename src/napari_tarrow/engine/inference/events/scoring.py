"""Events compared with known divisions."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..csv_rows import read_rows

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from .events import Event


@dataclass(frozen=True)
class Division:
    """A known division, or anything else that is known to have happened.

    Attributes
    ----------
    frame : int
        Number of the last frame before it: the division lies between this frame and the next.
    y, x : float
        Its centre there, in pixels of the movie.
    """

    frame: int
    y: float
    x: float


@dataclass(frozen=True)
class Cut:
    """How well the strongest events do, down to one of them.

    Attributes
    ----------
    threshold : float or None
        The lowest score taken; None where nothing is.
    events, found : int
        How many events that are, and how many divisions they find.
    precision, recall, f1 : float
        ``found / events``, ``found / known`` and their harmonic mean ``2 found / (events + known)``.
    """

    threshold: float | None
    events: int
    found: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True)
class Score:
    """How well events agree with N known divisions.

    Attributes
    ----------
    events, known : int
        How many there are of each.
    distance, frames : float, int
        The farthest that an event may be from its division, in pixels and frames.
    recall_at_n, recall_at_2n : float
        Share of the divisions that the N (2N) strongest events find.
    precision_at_n : float
        Share of the N strongest events that find one; of all events, where there are fewer.
    average_precision : float
        Mean precision over the divisions, each taken where the ranked list finds it, and 0 if it never does:
        ``sum_k (R_k - R_k-1) P_k`` over the distinct scores k, without interpolation (Manning, Raghavan and Schuetze,
        Introduction to Information Retrieval, 2008, section 8.4).
    best : Cut
        With the threshold of the highest F1; the highest threshold, if there are several.
    chosen : Cut or None
        With the threshold given.
    matches : tuple of int or None
        For every event, in the order given, which division it finds when all events are taken.
    """

    events: int
    known: int
    distance: float
    frames: int
    recall_at_n: float
    recall_at_2n: float
    precision_at_n: float
    average_precision: float
    best: Cut
    chosen: Cut | None
    matches: tuple[int | None, ...] = field(repr=False)


def score(
    events: Sequence[Event],
    divisions: Sequence[Division],
    *,
    distance: float = 15.0,
    frames: int = 1,
    threshold: float | None = None,
) -> Score:
    """Compare events with all divisions that are known of a movie.

    Events and divisions are matched one to one, nearest first: of all pairs of an event and a division within both
    limits, the one with the smallest distance in the plane is matched, then the next of those whose event and division
    are both free, and so on. Of equal distances the one nearer in time goes first, then the stronger event, then the
    division named first. Each number below is that of such a matching of the events it speaks of alone, so a weak
    event never takes a division away from the events above a threshold.

    Parameters
    ----------
    events : sequence of Event
        In any order.
    divisions : sequence of Division
        At least one.
    distance : float
        An event within so many pixels (inclusive) may be that division.
    frames : int
        An event whose `frame` is at most so many frames from the division's may be it; 0: the same pair of frames.
    threshold : float, optional
        Events with at least this score are judged by themselves (`Score.chosen`).

    Raises
    ------
    ValueError
        If there is no division.
    """
    if not divisions:
        raise ValueError("Without a known division there is nothing to compare with.")
    order = sorted(range(len(events)), key=lambda i: -events[i].score)
    ranked = [events[i] for i in order]
    found, pairs = _matched(ranked, divisions, distance, frames)
    scores = np.array([event.score for event in ranked])
    n = len(divisions)
    first_n = min(n, len(events))
    cuts = [_cut(scores, found, n, size) for size in _sizes(scores)]
    finds = {order[pair.event]: pair.division for pair in pairs}
    return Score(
        events=len(events),
        known=n,
        distance=distance,
        frames=frames,
        recall_at_n=found[first_n] / n,
        recall_at_2n=found[min(2 * n, len(events))] / n,
        precision_at_n=found[first_n] / first_n if first_n else 0.0,
        average_precision=_average_precision(cuts),
        best=max(cuts, key=lambda cut: cut.f1),
        chosen=None if threshold is None else _cut(scores, found, n, int((scores >= threshold).sum())),
        matches=tuple(finds.get(i) for i in range(len(events))),
    )


def read_divisions(path: str | Path) -> list[Division]:
    """Read a csv of known divisions: columns frame, y and x; others are left alone.

    Raises
    ------
    UserError
        If the file cannot be read, lacks a column, or holds anything but numbers there; the line is named.
    """
    _, rows = read_rows(path, ("frame", "y", "x"))
    return [Division(row.frame_number("frame"), row.number("y"), row.number("x")) for row in rows]


class _Pair(NamedTuple):
    """An event and a division that may be the same; the smaller pair is matched first."""

    distance: float
    frames: int
    event: int  # its rank
    division: int


def _matched(
    ranked: Sequence[Event], divisions: Sequence[Division], distance: float, frames: int
) -> tuple[list[int], list[_Pair]]:
    """Match the strongest n events, for every n; returns how many that are for n = 0, 1, ..., and the last matching.

    Matching nearest first is the one stable matching in which both sides prefer what is nearer. Events may therefore be
    added one by one, each pushing out what is farther from its division and sending that on to its next choice; the
    outcome does not depend on the order (McVitie and Wilson, The stable marriage problem, CACM 14, 1971).
    """
    choices = _choices(ranked, divisions, distance, frames)
    held: dict[int, _Pair] = {}
    found = [0]
    for own in choices:
        looking: Iterator[_Pair] | None = own
        while looking and (pair := next(looking, None)):
            other = held.get(pair.division)
            if other is None or pair < other:
                held[pair.division] = pair
                looking = choices[other.event] if other else None
        found.append(len(held))
    return found, list(held.values())


def _choices(
    ranked: Sequence[Event], divisions: Sequence[Division], distance: float, frames: int
) -> list[Iterator[_Pair]]:
    """For every event the pairs that it may be in, nearest first."""
    where = np.array([(division.y, division.x) for division in divisions])
    when = np.array([division.frame for division in divisions])
    choices = []
    for rank, event in enumerate(ranked):
        far = np.hypot(*(where - (event.y, event.x)).T)
        late = np.abs(when - event.frame)
        near = np.flatnonzero((far <= distance) & (late <= frames)).tolist()
        choices.append(iter(sorted(_Pair(float(far[j]), int(late[j]), rank, j) for j in near)))
    return choices


def _sizes(scores: np.ndarray) -> list[int]:
    """How many events a threshold can leave: those of one score go together."""
    changes = np.flatnonzero(scores[1:] != scores[:-1]) + 1
    return [0, *changes.tolist(), len(scores)] if len(scores) else [0]


def _cut(scores: np.ndarray, found: Sequence[int], known: int, size: int) -> Cut:
    return Cut(
        threshold=float(scores[size - 1]) if size else None,
        events=size,
        found=found[size],
        precision=found[size] / size if size else 0.0,
        recall=found[size] / known,
        f1=2 * found[size] / (size + known),
    )


def _average_precision(cuts: Sequence[Cut]) -> float:
    pairs = itertools.pairwise(cuts)
    return sum((cut.recall - before.recall) * cut.precision for before, cut in pairs)
