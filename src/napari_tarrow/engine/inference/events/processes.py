"""Which maxima belong to one process: followed over time from its strongest moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from .peaks import Peaks, Scale

# In radii of the movie's objects: how far a process moves from one map to the next, or leaps; what belongs to it; and
# what does unless it is strong.
_MOVES, _LEAPS, _BELONGS, _AROUND_IT = 2.0, 3.0, 2.0, 3.5
# Shares of the process's greatest strength: that it has while it is followed, and from which a maximum is strong, so
# that it may be what the process leaps to, or a neighbour's.
_KEEPS, _STRONG = 0.25, 0.6
_BESIDE = 2  # maps before and after each of its moments in which what is near belongs to it, unless objects are fast
_MISSING = 2  # maps in a row in which it may be missing
_LONGEST = 20  # maps before and after its strongest moment


@dataclass(frozen=True)
class Station:
    """A place of a process, and the maps in which what is near belongs to it.

    Attributes
    ----------
    place : (2,) float64
        `y, x` of a maximum, in pixels of the movie.
    first, last : int
        The first and the last of the maps.
    """

    place: NDArray[np.float64]
    first: int
    last: int


@dataclass(frozen=True)
class Process:
    """A process, named by its strongest maximum.

    Attributes
    ----------
    layer : int
        The map it is in.
    score : float
        How strong it is.
    stations : tuple of Station
        The strongest maximum, as long as the process lasts, and others of it that are strong, two radii apart or more.
    """

    layer: int
    score: float
    stations: tuple[Station, ...]


def processes(layers: Sequence[Peaks], scale: Scale) -> Iterator[Process]:
    """Yield processes, strongest first; a maximum that belongs to one names no other.

    What is left over of a stronger one may be followed to its places: it happens where and when that does then.

    Parameters
    ----------
    layers : sequence of Peaks
        In the order of time.
    scale : Scale
    """
    free = [np.ones(len(layer.scores), bool) for layer in layers]
    beside_it = 0 if scale.fast else _BESIDE
    owners = np.repeat(np.arange(len(layers)), [len(layer.scores) for layer in layers])
    peaks = np.concatenate([np.arange(len(layer.scores)) for layer in layers] or [np.zeros(0, int)])
    scores = np.concatenate([layer.scores for layer in layers] or [np.zeros(0)])
    for index in np.argsort(-scores, kind="stable"):
        layer, peak, score = int(owners[index]), int(peaks[index]), float(scores[index])
        if not free[layer][peak]:
            continue
        first = last = layer
        places = [layers[layer].places[peak]]
        elsewhere = []
        for moment, found in _followed(layers, layer, peak, scale):
            place = layers[moment].places[found]
            beside = range(max(0, moment - beside_it), min(len(layers), moment + beside_it + 1))
            first, last = min(first, beside[0]), max(last, beside[-1])
            for near in beside:
                free[near][layers[near].near(place, _BELONGS * scale.radius)] = False
                around = layers[near].near(place, _AROUND_IT * scale.radius)
                free[near][around[layers[near].scores[around] < _STRONG * score]] = False
            apart = np.linalg.norm(np.array(places) - place, axis=1).min() > _BELONGS * scale.radius
            if apart and layers[moment].scores[found] >= _STRONG * score:
                places.append(place)
                elsewhere.append(Station(place, beside[0], beside[-1]))
        yield Process(layer, score, (Station(places[0], first, last), *elsewhere))


def _followed(layers: Sequence[Peaks], layer: int, peak: int, scale: Scale) -> Iterator[tuple[int, int]]:
    """Yield in which map and maximum a process is: its strongest moment, then forwards and backwards from it."""
    weakest, strong = (share * layers[layer].scores[peak] for share in (_KEEPS, _STRONG))
    yield layer, peak
    for step in (1, -1):
        last, missing, moment = (layer, peak), 0, layer + step
        while 0 <= moment < len(layers) and abs(moment - layer) <= _LONGEST and missing <= _MISSING:
            before, after = layers[last[0]], layers[moment]
            place = before.places[last[1]]
            found = _strongest(after, place, _MOVES * scale.radius, weakest)
            if found is None and not (missing or scale.fast):
                leap = _strongest(after, place, _LEAPS * scale.radius, strong)
                if leap is not None:  # what led there by itself is another process
                    led = _strongest(before, after.places[leap], _MOVES * scale.radius, weakest)
                    found = leap if led is None else None
            missing = 0 if found is not None else missing + 1
            if found is not None:
                last = moment, found
                yield last
            moment += step


def _strongest(peaks: Peaks, place: NDArray[np.float64], reach: float, weakest: float) -> int | None:
    """Return the strongest maximum within reach, if it is strong enough."""
    near = peaks.near(place, reach)
    return int(near[0]) if len(near) and peaks.scores[near[0]] >= weakest else None
