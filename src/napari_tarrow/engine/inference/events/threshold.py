"""Which events stand out, found without labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .events import Event

_FAR = 2.5  # times the threshold: scores above that are taken for that


def suggest_threshold(events: Sequence[Event]) -> float:
    """Return the score that parts what stands out from the rest, found without labels.

    Otsu's threshold (1979) of the scores: the cut with the largest variance between the two groups. Scores above 2.5
    times the threshold are set to that, and it is taken anew, until it falls no more: where strong events differ
    widely among themselves, the strongest alone would stand out. A group of its own far above all others still does.

    Parameters
    ----------
    events : sequence of Event
        All that were found, weak ones included.

    Returns
    -------
    float
        Halfway between the weakest event that stands out and the strongest that does not; infinite without events,
        and the score of a single one.
    """
    scores = np.sort(np.array([event.score for event in events], np.float64))
    if len(scores) < 2:
        return float(scores[0]) if len(scores) else float("inf")
    threshold, before = otsu(scores), np.inf
    while threshold < before:
        threshold, before = otsu(np.minimum(scores, _FAR * threshold)), threshold
    return before


def otsu(scores: NDArray[np.floating[Any]]) -> float:
    """Return Otsu's threshold (1979) of at least two scores in rising order."""
    below = np.arange(1, len(scores))
    sums = np.cumsum(scores)[:-1]
    means = sums / below, (scores.sum() - sums) / (len(scores) - below)
    cut = int(np.argmax(below * (len(scores) - below) * (means[1] - means[0]) ** 2))
    return float((scores[cut] + scores[cut + 1]) / 2)
