"""What was found of shortcuts, in words and as plain values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from .odds import CHANCE, LEAST, tail

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMAT = 1


@dataclass(frozen=True)
class Finding:
    """A shortcut that the network takes.

    Attributes
    ----------
    kind : str
        ``brightness``, ``shift``, ``focus``, ``crowd``, ``still`` or ``place``.
    right, pairs : int
        How often the shortcut alone gives the right order, and of how many.
    share : float
        Of the evidence that it makes.
    text : str
        A sentence.
    remedy : str
        What removes it, in a sentence.
    """

    kind: str
    right: int
    pairs: int
    share: float
    text: str
    remedy: str


@dataclass(frozen=True)
class ShortcutReport:
    """What the network could have used, and what it used.

    Accuracies are shares of patches whose order is told right, in training and validation frames together.

    Attributes
    ----------
    pairs, right : int
        Sequences looked at, and those whose order the sum of the evidence over the whole window tells.
    accuracy, accuracy_without : float
        As the frames are, and after drifts of brightness, place and focus were taken off.
    by_time, by_change : (4,) floats
        From the first to the last quarter of the movie; from the stillest to the most changing quarter of patches.
    by_place : (4, 4) floats
        Of the frame; None where nothing was looked at.
    scalars : dict
        How often mean intensity, contrast and sharpness of whole frames rise, of `pairs`.
    offered : dict
        What goes one way in the movie, whether used or not, as a sentence.
    findings : tuple of Finding
        The strongest first.
    """

    pairs: int
    right: int
    accuracy: float | None
    accuracy_without: float | None
    by_time: tuple[float | None, ...]
    by_change: tuple[float | None, ...]
    by_place: tuple[tuple[float | None, ...], ...]
    scalars: dict[str, int]
    offered: dict[str, str]
    findings: tuple[Finding, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """The report in a few lines of plain English."""
        if self.pairs < LEAST:
            return (f"Shortcuts: only {self.pairs} pairs of frames were looked at, too few to tell.",)
        if not self.findings:
            return (self._none(), self._accuracies())
        lines = [f"{finding.text} {finding.remedy}" for finding in self.findings[:3]]
        return (
            f"Shortcuts: the network takes {'one' if len(self.findings) == 1 else 'some'}.",
            *lines,
            self._accuracies(),
        )

    def values(self) -> dict[str, Any]:
        """Return plain values for a file."""
        return {"format": FORMAT, "lines": list(self.lines), **asdict(self)}

    def _none(self) -> str:
        told = f"over whole frames the network tells the order of {self.right} of {self.pairs} pairs"
        offered = " and ".join(self.offered.values())
        if tail(self.right, self.pairs) > CHANCE:
            why, unused = "as guessing may", f" (not used so far: {offered})"
        else:
            why = "but not by brightness, drift, focus or crowding"
            unused = f" ({offered}, which explains little of it)"
        return f"No shortcut was found: {told}, {why}{unused if offered else ''}."

    def _accuracies(self) -> str:
        def told(values: Sequence[float | None]) -> str:
            return " ".join("-" if value is None else f"{value:.2f}" for value in values)

        return (
            f"Patches told right: {told([self.accuracy])}, from still to changing {told(self.by_change)}, over time"
            f" {told(self.by_time)}, without drifts {told([self.accuracy_without])} ({self.pairs} pairs of frames)."
        )
