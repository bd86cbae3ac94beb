"""What the work of several docks shares, without Qt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Stage:
    """What is done from now on, as a sentence; how long it takes is not known."""

    sentence: str


def outwards(current: int, count: int) -> Iterator[range]:
    """Yield stretches of frames: the current one first, then alternately after and before what is done, ever longer.

    Whoever works through a stretch in the order of time shares what neighbours have in common.
    """
    current = min(max(current, 0), count - 1)
    yield range(current, current + 1)
    before, after, length = current, current + 1, 4
    while before > 0 or after < count:
        if after < count:
            yield range(after, min(after + length, count))
            after = min(after + length, count)
        if before > 0:
            yield range(max(before - length, 0), before)
            before = max(before - length, 0)
        length = min(2 * length, 64)
