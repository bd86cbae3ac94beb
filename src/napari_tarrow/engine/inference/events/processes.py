"""Which maxima belong to one process: followed over time from its strongest moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .peaks import Peaks, Scale

# In radii of the movie's objects: how far a process moves from one map to the next, what belongs to it, and what does
# unless it is so strong, as a share of the process's greatest strength, that it is rather a neighbour's.
_MOVES, _BELONGS, _AROUND_IT, _NEIGHBOUR = 2.0, 2.0, 3.5, 0.6
_KEEPS = 0.25  # share of its greatest strength that a process has while it is followed
_MISSING = 2  # maps in a row in which it may be missing
_BESIDE = 2  # maps before and after each of its moments in which what is near belongs to it
_LONGEST = 20  # maps before and after its strongest moment


@dataclass(frozen=True)
class Process:
    """A process, named by its strongest maximum.

    Attributes
    ----------
    layer : int
        The map it is in.
    place : (2,) float64
        `y, x` of the maximum, in pixels of the movie.
    score : float
        How strong it is.
    first, last : int
        The maps between which what is near belongs to the process.
    """

    layer: int
    place: NDArray[np.float64]
    score: float
    first: int
    last: int


def processes(layers: Sequence[Peaks], scale: Scale) -> Iterator[Process]:
    """Yield processes, strongest first; every maximum belongs to at most one.

    Parameters
    ----------
    layers : sequence of Peaks
        In the order of time.
    scale : Scale
    """
    free = [np.ones(len(layer.scores), bool) for layer in layers]
    owners = np.repeat(np.arange(len(layers)), [len(layer.scores) for layer in layers])
    peaks = np.concatenate([np.arange(len(layer.scores)) for layer in layers] or [np.zeros(0, int)])
    scores = np.concatenate([layer.scores for layer in layers] or [np.zeros(0)])
    for index in np.argsort(-scores, kind="stable"):
        layer, peak, score = int(owners[index]), int(peaks[index]), float(scores[index])
        if not free[layer][peak]:
            continue
        first = last = layer
        for moment, place in _followed(layers, layer, peak, _MOVES * scale.radius):
            beside = range(max(0, moment - _BESIDE), min(len(layers), moment + _BESIDE + 1))
            first, last = min(first, beside[0]), max(last, beside[-1])
            for near in beside:
                free[near][layers[near].near(place, _BELONGS * scale.radius)] = False
                around = layers[near].near(place, _AROUND_IT * scale.radius)
                free[near][around[layers[near].scores[around] < _NEIGHBOUR * score]] = False
        yield Process(layer, layers[layer].places[peak], score, first, last)


def _followed(
    layers: Sequence[Peaks], layer: int, peak: int, reach: float
) -> Iterator[tuple[int, NDArray[np.float64]]]:
    """Yield where a process is, map by map: its strongest moment, then forwards and backwards from it."""
    start, weakest = layers[layer].places[peak], _KEEPS * layers[layer].scores[peak]
    yield layer, start
    for step in (1, -1):
        place, missing, moment = start, 0, layer + step
        while 0 <= moment < len(layers) and abs(moment - layer) <= _LONGEST and missing <= _MISSING:
            found = _next(layers[moment], place, reach, weakest)
            missing = 0 if found is not None else missing + 1
            if found is not None:
                place = found
                yield moment, place
            moment += step


def _next(peaks: Peaks, place: NDArray[np.float64], reach: float, weakest: float) -> NDArray[np.float64] | None:
    """Return the strongest maximum within reach that is strong enough."""
    near = peaks.near(place, reach)
    return peaks.places[near[0]] if len(near) and peaks.scores[near[0]] >= weakest else None
