"""The strongest places of a movie's attribution maps, and a picture of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ..devices import choose_device
from ..errors import UserError
from ..movies import expand_inputs, open_prepared
from ..pictures import Inset, contact_sheet, cut_inset
from .attribution import AttributionMap, MapKind, attribute
from .trained import TrainedModel, read_trained, with_last_weights

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from ..movies import PreparedMovie

_SMOOTHING = 4.0  # pixels of the prepared movie; about the size of what a single find covers
_APART, _FRAMES_APART = 25, 3  # closer than this in space and time, two places are one
_PER_MAP = 50  # local maxima kept of one map; far more than a picture shows
_MOST_PIXELS = 6e7  # of all maps together: the picture at the end of a training may take a minute, not an hour
_INSET = 48


@dataclass(frozen=True)
class Place:
    """A local maximum of a movie's smoothed maps.

    Attributes
    ----------
    frames : tuple of int
        Indices of the sequence's frames.
    y, x : int
        Pixel of the prepared movie.
    score : float
        The smoothed map there.
    """

    frames: tuple[int, ...]
    y: int
    x: int
    score: float


def strongest_places(maps: Iterable[AttributionMap], count: int) -> list[Place]:
    """Return the strongest local maxima over space and time, strongest first.

    Parameters
    ----------
    maps : iterable of AttributionMap
        One movie's, in any order; only one is held at a time.
    count : int
        How many places at most.
    """
    found = [place for one in maps for place in _maxima(one)]
    found.sort(key=lambda place: (-place.score, place.frames, place.y, place.x))
    chosen: list[Place] = []
    for place in found:
        if len(chosen) == count:
            break
        if not any(_same(place, other) for other in chosen):
            chosen.append(place)
    return chosen


def draw_strongest_places(
    folder: str | Path, path: Path, *, count: int = 12, kind: MapKind = "evidence"
) -> Iterator[AttributionMap]:
    """Draw the strongest places of the first movie that a model was trained on; yields each map as it is done.

    The maps are those of the run's last weights, where they are there: on the very movie that a network was trained on
    they tell more than those of the best epoch, which a short validation part picks almost by chance.

    Parameters
    ----------
    folder : path
        Run folder.
    path : Path
        The PNG to write.

    Raises
    ------
    UserError
        If the movie or the model cannot be read, or the picture not be written.
    """
    trained = with_last_weights(read_trained(folder, choose_device()[0]))
    movie = _movie(trained)
    firsts = _spread(movie)
    kept: list[AttributionMap] = []
    for one in attribute(trained.network, movie, trained.delta, kind=kind, firsts=firsts):
        kept.append(_reduced(one, movie))
        yield one
    places = strongest_places(kept, count)
    maps = {one.frames: one.map for one in kept}
    contact_sheet(
        [_inset(movie, place, maps[place.frames]) for place in places],
        path,
        f"The {len(places)} strongest places of {movie.movie.name}",
    )


def _reduced(one: AttributionMap, movie: PreparedMovie) -> AttributionMap:
    """Take the map to the prepared movie's pixels."""
    step = movie.preparation.subsample
    height, width = movie.shape[2:]
    return replace(one, map=one.map[step // 2 :: step, step // 2 :: step][:height, :width])


def _maxima(one: AttributionMap) -> list[Place]:
    smooth = ndimage.gaussian_filter(one.map, _SMOOTHING)
    peaks = np.argwhere((smooth == ndimage.maximum_filter(smooth, 2 * (_APART // 2) + 1)) & (smooth > 0))
    scores = smooth[tuple(peaks.T)]
    order = np.argsort(-scores, kind="stable")[:_PER_MAP]
    return [Place(one.frames, int(peaks[i, 0]), int(peaks[i, 1]), float(scores[i])) for i in order]


def _same(a: Place, b: Place) -> bool:
    near = (a.y - b.y) ** 2 + (a.x - b.x) ** 2 < _APART**2
    return near and abs(a.frames[0] - b.frames[0]) <= _FRAMES_APART


def _movie(trained: TrainedModel) -> PreparedMovie:
    config = trained.config
    if config is None or not config.input_train:
        raise UserError(f"{trained.folder} does not say what movie it was trained on.")
    source = expand_inputs(list(config.input_train), config.read_recursion_level)[0]
    return open_prepared(config, source)


def _spread(movie: PreparedMovie) -> list[int]:
    """Return the first frames of the sequences that are looked at: all, or of a huge movie an even choice."""
    frames, _, height, width = movie.shape
    most = int(max(1, min(frames, _MOST_PIXELS // (height * width))))
    chosen: list[int] = np.unique(np.linspace(0, frames - 1, most).round().astype(int)).tolist()
    return chosen


def _inset(movie: PreparedMovie, place: Place, values: np.ndarray) -> Inset:
    frames = np.stack([movie.frame(index) for index in place.frames])
    step = movie.preparation.subsample
    numbers = movie.movie.frame_numbers[list(place.frames)]
    inset = cut_inset(
        frames,
        values,
        place.y,
        place.x,
        frame=int(numbers[0]),
        size=_INSET,
        score=place.score,
        delta=int(numbers[1] - numbers[0]),
    )
    return replace(inset, y=place.y * step + step // 2, x=place.x * step + step // 2)
