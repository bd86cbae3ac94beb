"""Events: the places and times where something irreversible happens, one per process."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...movies.alignment import ComparedFrames
from ...movies.object_radius import fitting_radius, object_radius
from .moments import Timed, maps_holding, moments
from .peaks import Scale, peaks_of_maps
from .processes import processes

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from ...movies import Movie, PreparedMovie
    from ...movies.alignment import Alignment
    from ..maps.attribution import AttributionMap


_SAME = 2.0  # radii of the movie's objects; what happens no farther apart and at the same moment is one event


@dataclass(frozen=True)
class Event:
    """One irreversible process, where and when it happens.

    Attributes
    ----------
    frame : int
        Number of the last frame before it: between this one and the next most changes at its place.
    y, x : float
        Pixels of the movie.
    score : float
        How strongly; comparable within one table only.
    pair : tuple of int
        Numbers of two frames that were compared, between which it happens; for a delta of 1 `frame` and the next.
    """

    frame: int
    y: float
    x: float
    score: float
    pair: tuple[int, int]


def find_events(
    maps: Iterable[AttributionMap],
    movie: PreparedMovie,
    *,
    radius: float | None = None,
    count: int | None = None,
    alignment: Alignment | None = None,
) -> list[Event]:
    """Find where and when something happens: one event per process, strongest first.

    The maps are smoothed over space by 0.8 radii and over time by 1, 2, 1; beyond the border there is nothing, so what
    is cut by it counts by half. From the strongest maximum on, each is followed over the neighbouring maps while it
    keeps a quarter of its strength, over at most two maps without it, by two radii from map to map, and by three where
    it keeps 0.6 and nothing nearer led there: a nucleus that divides leaps. What is near its way belongs to the same
    process: all maxima within two radii, and weaker ones, of less than 0.6 of its strength, within three and a half.
    So a division is not reported again as its prophase, its metaphase and each of its daughters. The event lies at the
    centre of what changes around the maximum from one frame to the next: the mean of the place, weighted by the
    absolute difference of the two frames (mean shift with a Gaussian window of 1.25 radii, no farther than two). It
    happens when most changes in that window, as long as the process is followed, be it at the maximum or where it leapt
    to. Of processes that happen at the same moment with centres within two radii the strongest is the event.

    Parameters
    ----------
    maps : iterable of AttributionMap
        Of one movie, in the order of their first frames, at least 0, as `attribute` yields them unless `signed`; maps
        of several deltas that begin with the same frame are averaged. Only a few are held at a time.
    movie : PreparedMovie
        The movie that the maps are of.
    radius : float, optional
        Of the objects, in pixels of the movie; without it, estimated by `object_radius`.
    count : int, optional
        Return at most so many.
    alignment : Alignment, optional
        Of the movie, with which the maps were made: what changes is what does so between aligned frames. Where it is
        `fast`, the same place in the next map is another object: maps are not smoothed over time then, and what is near
        a process in the maps before and after it is none of it.

    Raises
    ------
    ValueError
        If the maps are not in order, or signed, or the alignment is of another movie.
    UserError
        If the radius fits no object of the movie.
    """
    search = search_events(maps, movie, radius=radius, alignment=alignment)
    return list(itertools.islice((one for one in search if isinstance(one, Event)), count))


def search_events(
    maps: Iterable[AttributionMap],
    movie: PreparedMovie,
    *,
    radius: float | None = None,
    stopping: threading.Event | None = None,
    alignment: Alignment | None = None,
) -> Iterator[int | Timed | Event]:
    """Do what `find_events` does, step by step.

    Yields how many maps were taken so far, then how many frames were compared to find out when, then events, strongest
    first. Where `maps` ends early, the events are those in the maps until there. Once `stopping` is set, no further
    frames are compared: what was not seen by then happens when and where its map is strongest.
    """
    compared = ComparedFrames(movie, alignment)
    radius = object_radius(movie) if radius is None else fitting_radius(movie, radius)
    scale = Scale.of(radius, fast=alignment is not None and alignment.fast)
    taken = 0

    def counted() -> Iterator[AttributionMap]:
        nonlocal taken
        for one in maps:
            taken += 1
            yield one

    layers = []
    for layer in peaks_of_maps(counted(), movie, scale):
        layers.append(layer)
        yield taken
    found = list(processes(layers, scale))
    holding = maps_holding(layers)
    for timed in moments(found, layers, sorted(holding), movie, compared, scale):
        yield timed
        if timed.done == timed.total or (stopping is not None and stopping.is_set()):
            for rank in _apart(timed, _SAME * scale.radius):
                process, when = found[rank], int(timed.frames[rank])
                nearest = min(holding[when], key=lambda number: abs(number - process.layer))
                yield _event(process.score, when, timed.places[rank], layers[nearest].frames, movie.movie)
            return


def _event(score: float, when: int, place: NDArray[np.float64], frames: tuple[int, ...], movie: Movie) -> Event:
    numbers = movie.frame_numbers
    first, second = (int(numbers[index]) for index in frames[:2])
    edge = np.array(movie.shape[2:]) - 1  # blocks may reach beyond it
    y, x = (round(float(value), 1) for value in np.clip(place, 0, edge))
    return Event(int(numbers[when]), y, x, score, (first, second))


def _apart(timed: Timed, reach: float) -> list[int]:
    """Return which processes, strongest first, are farther than `reach` from all stronger ones of the same moment."""
    from scipy.spatial import KDTree

    apart = np.ones(len(timed.frames), bool)
    order = np.argsort(timed.frames, kind="stable")
    for same in np.split(order, np.flatnonzero(np.diff(timed.frames[order])) + 1):
        tree = KDTree(timed.places[same])
        for index in same:
            if apart[index]:
                near = same[tree.query_ball_point(timed.places[index], reach)]
                apart[near[near > index]] = False
    indices: list[int] = np.flatnonzero(apart).tolist()
    return indices
