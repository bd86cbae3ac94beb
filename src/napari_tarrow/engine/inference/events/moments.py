"""When and where a process happens: the moment at which most changes at its place, and the centre of that change."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from ...movies import PreparedMovie
    from ...movies.alignment import ComparedFrames
    from .peaks import Array, Peaks, Scale
    from .processes import Process

_STEPS = 4  # of the search for the centre
_FARTHEST = 2.0  # radii from the map's maximum


@dataclass(frozen=True)
class Timed:
    """When and where every process happens, as `done` of `total` frames tell.

    Attributes
    ----------
    done, total : int
        How many frames were compared with the next, of how many.
    frames : (N,) int
        Indices of the frames after which most changes at its place.
    places : (N, 2) float64
        `y, x` of the centre of that change, in pixels of the movie.
    """

    done: int
    total: int
    frames: NDArray[np.intp] = field(repr=False)
    places: NDArray[np.float64] = field(repr=False)


def maps_holding(layers: Sequence[Peaks]) -> dict[int, list[int]]:
    """Return for every frame, by its index, which maps compare it or an earlier one with a later one."""
    holding: dict[int, list[int]] = {}
    for number, layer in enumerate(layers):
        for index in range(*layer.frames[:2]) if layer.frames else ():
            holding.setdefault(index, []).append(number)
    return holding


def moments(
    found: Sequence[Process],
    layers: Sequence[Peaks],
    wanted: Sequence[int],
    movie: PreparedMovie,
    compared: ComparedFrames,
    scale: Scale,
) -> Iterator[Timed]:
    """Find out when each process happens, frame by frame; `wanted` are the indices of all that maps compare, in order.

    Where a map is strongest says little about when: two frames that are several apart hold everything between them, and
    a network sees a division coming. Nor does it say exactly where: it may light up one daughter, or a cell's edge. So
    the frames of all maps near the process are compared with the next one each. Around its maximum, and around those
    elsewhere to which it came, the centre of what changes is sought, and where most changes around that centre, there
    and then it happens. Two frames are held at a time.
    """
    most = np.zeros(len(found))
    best = np.array([layers[one.layer].frames[0] for one in found], np.intp)
    stations = [(number, station) for number, one in enumerate(found) for station in one.stations]
    spans = np.array([_span(layers[one.first : one.last + 1]) for _, one in stations], np.intp).reshape(-1, 2)
    maxima = scale.blocks(np.array([one.place for _, one in stations]).reshape(-1, 2))
    centres = scale.blocks(np.array([one.stations[0].place for one in found]).reshape(-1, 2))
    frame = functools.lru_cache(maxsize=1)(compared.frame)
    yield Timed(0, len(wanted), best.copy(), scale.pixels(centres))
    for done, index in enumerate(wanted, 1):
        near = np.flatnonzero((spans[:, 0] <= index) & (index <= spans[:, 1]))
        if len(near):
            change = _change(movie, frame, compared.numbers((index, index + 1)), scale)
            for station in near:
                process, (centre, strength) = stations[station][0], _centre(change, maxima[station], scale)
                if strength > most[process]:
                    most[process], best[process], centres[process] = strength, index, centre
        yield Timed(done, len(wanted), best.copy(), scale.pixels(centres))


def _span(layers: Sequence[Peaks]) -> tuple[int, int]:
    frames = [layer.frames for layer in layers if layer.frames]
    return min(first for first, *_ in frames), max(second - 1 for _, second, *_ in frames)


def _change(movie: PreparedMovie, frame: Callable[[int], Array], frames: tuple[int, ...], scale: Scale) -> Array:
    """Return how much changes between two frames, which `frame` gives by their index: mean differences of blocks."""
    from ..maps.making import frame_difference, on_movie_grid  # brings torch: tables of events need none

    return scale.means(on_movie_grid(frame_difference(frame, frames), movie).numpy())


def _centre(change: Array, start: NDArray[np.float64], scale: Scale) -> tuple[NDArray[np.float64], float]:
    """Move a place to the mean of where things change around it, a few times, and return how much changes there.

    Mean shift with a Gaussian window.
    """
    sigma, farthest = scale.centring, _FARTHEST * scale.radius / scale.block
    reach = int(3 * sigma)
    centre, strength = start, 0.0
    for _ in range(_STEPS):
        (y, x), (top, left) = centre, np.maximum(centre.astype(int) - reach, 0)
        part = change[top : int(y) + reach + 1, left : int(x) + reach + 1]
        rows, columns = np.arange(part.shape[0]) + top, np.arange(part.shape[1]) + left
        weights = part * np.outer(_gaussian(rows - y, sigma), _gaussian(columns - x, sigma))
        strength = float(weights.sum())
        if strength <= 0:
            break
        moved = np.array([weights.sum(1) @ rows, weights.sum(0) @ columns]) / strength - start
        centre = start + moved * min(1.0, farthest / max(float(np.hypot(*moved)), 1e-9))
    return centre, strength


def _gaussian(distance: NDArray[np.floating[Any]], sigma: float) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.exp(-(distance**2) / (2 * sigma**2))
    return values
