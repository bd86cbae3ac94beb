"""When a process happens: the moment at which most changes at its place."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .peaks import change

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from ...movies import PreparedMovie
    from .peaks import Peaks, Scale
    from .processes import Process


@dataclass(frozen=True)
class Timed:
    """For every process the index of the frame after which most changes at its place, as `done` of `total` tell."""

    done: int
    total: int
    frames: NDArray[np.intp] = field(repr=False)


def maps_holding(layers: Sequence[Peaks]) -> dict[int, list[int]]:
    """Return for every frame, by its index, which maps compare it or an earlier one with a later one."""
    holding: dict[int, list[int]] = {}
    for number, layer in enumerate(layers):
        for index in range(*layer.frames[:2]) if layer.frames else ():
            holding.setdefault(index, []).append(number)
    return holding


def moments(
    found: Sequence[Process], layers: Sequence[Peaks], wanted: Sequence[int], movie: PreparedMovie, scale: Scale
) -> Iterator[Timed]:
    """Find out when each process happens, frame by frame; `wanted` are the indices of all that maps compare, in order.

    Where a map is strongest says little about when: two frames that are several apart hold everything between them, and
    a network sees a division coming. So the frames of all maps near the process are compared with the next one each,
    weighted around its place by the Gaussian in which its centre is sought. Two frames are held at a time.
    """
    from scipy import ndimage

    most = np.zeros(len(found))
    best = np.array([layers[one.layer].frames[0] for one in found], np.intp)
    spans = np.array([_span(layers[one.first : one.last + 1]) for one in found], np.intp).reshape(-1, 2)
    places = scale.blocks(np.array([one.place for one in found]).reshape(-1, 2))
    frame = functools.lru_cache(maxsize=1)(movie.frame)
    yield Timed(0, len(wanted), best)
    for done, index in enumerate(wanted, 1):
        near = np.flatnonzero((spans[:, 0] <= index) & (index <= spans[:, 1]))
        if len(near):
            smooth = ndimage.gaussian_filter(change(movie, frame, (index, index + 1), scale), scale.centring)
            values = smooth[tuple(places[near].T)]
            better = values > most[near]
            most[near[better]], best[near[better]] = values[better], index
        yield Timed(done, len(wanted), best)


def _span(layers: Sequence[Peaks]) -> tuple[int, int]:
    frames = [layer.frames for layer in layers if layer.frames]
    return min(first for first, *_ in frames), max(second - 1 for _, second, *_ in frames)
