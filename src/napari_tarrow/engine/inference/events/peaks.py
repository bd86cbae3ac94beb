"""Maxima of a movie's maps, smoothed over space and time, and the centres of what changed around them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...movies.prepared import block_means

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from numpy.typing import NDArray

    from ...movies import PreparedMovie
    from ..maps.attribution import AttributionMap

    Array = NDArray[np.float32]

# In radii of the movie's objects. F1 on two movies changed by less than 0.03 within a factor of 1.5 of each.
_SMOOTHING, _CENTRING = 0.8, 1.5
_SIDEWAYS = 0.5  # weight of the maps just before and after, against 1
_STEPS = 3  # of the search for the centre
_PIXELS_PER_PEAK = 1000  # at most one maximum on so many pixels of the movie is kept of a map
_FEWEST = 50
_APART = 10  # maps; processes are not followed over gaps as long as this


@dataclass(frozen=True)
class Scale:
    """Lengths that follow from the radius of a movie's objects.

    Attributes
    ----------
    radius : float
        Pixels of the movie.
    block : int
        Maps are averaged over blocks of so many pixels a side first, which smoothing makes no difference to.
    """

    radius: float
    block: int

    @classmethod
    def of(cls, radius: float) -> Scale:
        """Return the scale for objects of this radius, in pixels."""
        return cls(radius, max(1, int(_SMOOTHING * radius / 2.5)))

    @property
    def smoothing(self) -> float:
        """Standard deviation of the smoothing, in blocks."""
        return _SMOOTHING * self.radius / self.block

    @property
    def centring(self) -> float:
        """Standard deviation of the window in which the centre of change is sought, in blocks."""
        return _CENTRING * self.radius / self.block

    def pixels(self, blocks: NDArray[Any]) -> NDArray[np.float64]:
        """Return where the centres of blocks are, in pixels."""
        return (np.asarray(blocks, np.float64) + 0.5) * self.block - 0.5

    def blocks(self, pixels: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the blocks in which pixels lie."""
        return np.floor((pixels + 0.5) / self.block).astype(np.intp)


@dataclass(frozen=True)
class Peaks:
    """The maxima of one smoothed map, strongest first.

    Attributes
    ----------
    frames : tuple of int
        Indices of the frames of the map's sequence.
    places, refined : (N, 2) float64
        `y, x` of the maxima, and of the centres of what changed around them, in pixels of the movie.
    scores : (N,) float64
    """

    frames: tuple[int, ...]
    places: NDArray[np.float64]
    refined: NDArray[np.float64]
    scores: NDArray[np.float64]


_NOTHING = Peaks((), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0))


@dataclass(frozen=True)
class _Layer:
    frames: tuple[int, ...]
    time: int
    smooth: Array
    change: Array


def peaks_of_maps(maps: Iterable[AttributionMap], movie: PreparedMovie, scale: Scale) -> Iterator[Peaks]:
    """Yield the maxima of every map, in the order of time; maps with the same first frame are one, their mean.

    Where maps are missing, there are as many without maxima, but not more than `_APART`.

    Raises
    ------
    ValueError
        If the maps are not in the order of their first frames, or not at least 0.
    """
    step = int(np.diff(movie.movie.frame_numbers).min())
    before: _Layer | None = None
    layer: _Layer | None = None
    for after in itertools.chain(_layers(maps, movie, scale), [None]):
        if layer is not None:
            yield _peaks(layer, [one for one in (before, after) if one and abs(one.time - layer.time) == step], scale)
            if after is not None:
                yield from [_NOTHING] * min((after.time - layer.time) // step - 1, _APART)
        before, layer = layer, after


def _layers(maps: Iterable[AttributionMap], movie: PreparedMovie, scale: Scale) -> Iterator[_Layer]:
    last = -1
    for first, group in itertools.groupby(maps, key=lambda one: one.frames[0]):
        if first <= last:
            raise ValueError(f"The map of frame {first} comes after that of frame {last}; give them in order.")
        last, several = first, list(group)
        if min(float(one.map.min()) for one in several) < 0:
            raise ValueError(f"The map of frame {first} has signs; events are sought in maps made without `signed`.")
        yield _layer(several, movie, scale)


def _layer(group: list[AttributionMap], movie: PreparedMovie, scale: Scale) -> _Layer:
    from scipy import ndimage

    shortest = min((one.frames for one in group), key=lambda frames: frames[-1])
    mean = sum(_blocks(one.map, scale) for one in group) / np.float32(len(group))
    smooth = ndimage.gaussian_filter(mean, scale.smoothing, mode="constant")
    time = int(movie.movie.frame_numbers[shortest[0]])
    return _Layer(shortest, time, smooth, np.abs(mean) * change(movie, movie.frame, shortest, scale))


def change(
    movie: PreparedMovie, frame: Callable[[int], NDArray[np.float32]], frames: tuple[int, ...], scale: Scale
) -> Array:
    """Return how much changes between frames, which `frame` gives by index: mean absolute differences of blocks."""
    from ..maps.making import frame_difference, on_movie_grid  # brings torch: tables of events need none

    return _blocks(on_movie_grid(frame_difference(frame, frames), movie).numpy(), scale)


def _blocks(image: Array, scale: Scale) -> Array:
    """Return the means of blocks; the incomplete ones at the edge are completed by repetition."""
    height, width = image.shape
    below, right = -height % scale.block, -width % scale.block
    if below or right:
        image = np.pad(image, ((0, below), (0, right)), mode="edge")
    means: Array = block_means(image[None], scale.block)[0]
    return means


def _peaks(layer: _Layer, beside: list[_Layer], scale: Scale) -> Peaks:
    from scipy import ndimage

    smooth = layer.smooth + _SIDEWAYS * sum((one.smooth for one in beside), np.float32(0))
    smooth /= 1 + _SIDEWAYS * len(beside)
    window = 2 * round(scale.radius / scale.block) + 1
    found = np.argwhere((smooth == ndimage.maximum_filter(smooth, window)) & (smooth > 0))
    scores = smooth[tuple(found.T)].astype(np.float64)
    most = max(_FEWEST, smooth.size * scale.block**2 // _PIXELS_PER_PEAK)
    strongest = np.argsort(-scores, kind="stable")[:most]
    change = layer.change + sum((one.change for one in beside), np.float32(0))
    centres = [_centre(change, found[index], scale.centring) for index in strongest]
    refined = np.array(centres, np.float64).reshape(-1, 2)
    return Peaks(layer.frames, scale.pixels(found[strongest]), scale.pixels(refined), scores[strongest])


def _centre(change: Array, place: NDArray[np.int_], sigma: float) -> tuple[float, float]:
    """Move a place to the mean of where things change around it, a few times (mean shift, Gaussian window)."""
    y, x = float(place[0]), float(place[1])
    reach = int(3 * sigma)
    for _ in range(_STEPS):
        top, left = max(0, int(y) - reach), max(0, int(x) - reach)
        part = change[top : int(y) + reach + 1, left : int(x) + reach + 1]
        rows, columns = np.arange(part.shape[0]) + top, np.arange(part.shape[1]) + left
        weights = part * np.outer(_gaussian(rows - y, sigma), _gaussian(columns - x, sigma))
        total = float(weights.sum())
        if total <= 0:
            break
        y, x = float(weights.sum(1) @ rows / total), float(weights.sum(0) @ columns / total)
    return y, x


def _gaussian(distance: NDArray[np.floating[Any]], sigma: float) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.exp(-(distance**2) / (2 * sigma**2))
    return values
