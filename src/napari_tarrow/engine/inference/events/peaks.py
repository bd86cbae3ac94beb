"""Maxima of a movie's maps, smoothed over space and time."""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...movies.prepared import block_means

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray
    from scipy.spatial import KDTree

    from ...movies import PreparedMovie
    from ..maps.attribution import AttributionMap

    Array = NDArray[np.float32]

# In radii of the movie's objects. F1 on two movies changed by less than 0.03 within a factor of 1.5 of the first, and
# average precision by as much with the second from 1 to 1.5.
_SMOOTHING, _CENTRING = 0.8, 1.25
_SIDEWAYS = 0.5  # weight of the maps just before and after, against 1
_PIXELS_PER_PEAK = 1000  # at most one maximum on so many pixels of the movie is kept of a map
_FEWEST = 50
_APART = 10  # maps; processes are not followed over gaps as long as this


@dataclass(frozen=True)
class Scale:
    """Lengths that follow from the radius of a movie's objects, and whether these stay where they are.

    Attributes
    ----------
    radius : float
        Pixels of the movie.
    block : int
        Maps are averaged over blocks of so many pixels a side first, which smoothing makes no difference to.
    fast : bool
        Whether the same place in the next map is another object.
    """

    radius: float
    block: int
    fast: bool = False

    @classmethod
    def of(cls, radius: float, fast: bool = False) -> Scale:
        """Return the scale for objects of this radius, in pixels."""
        return cls(radius, max(1, int(_SMOOTHING * radius / 2.5)), fast)

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

    def blocks(self, pixels: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where pixels are, in blocks: what `pixels` undoes."""
        return (pixels + 0.5) / self.block - 0.5

    def means(self, image: Array) -> Array:
        """Return the means of an image's blocks; the incomplete ones at the edge are completed by repetition."""
        height, width = image.shape
        below, right = -height % self.block, -width % self.block
        if below or right:
            image = np.pad(image, ((0, below), (0, right)), mode="edge")
        means: Array = block_means(image[None], self.block)[0]
        return means


@dataclass(frozen=True)
class Peaks:
    """The maxima of one smoothed map, strongest first.

    Attributes
    ----------
    frames : tuple of int
        Indices of the frames of the map's sequence.
    places : (N, 2) float64
        Their `y, x`, in pixels of the movie.
    scores : (N,) float64
    """

    frames: tuple[int, ...]
    places: NDArray[np.float64]
    scores: NDArray[np.float64]

    @functools.cached_property
    def _tree(self) -> KDTree:
        from scipy.spatial import KDTree

        return KDTree(self.places)

    def near(self, place: NDArray[np.float64], reach: float) -> NDArray[np.intp]:
        """Return which maxima lie within `reach` pixels of a place, strongest first."""
        return np.sort(np.array(self._tree.query_ball_point(place, reach), np.intp))


_NOTHING = Peaks((), np.zeros((0, 2)), np.zeros(0))


@dataclass(frozen=True)
class _Layer:
    frames: tuple[int, ...]
    time: int
    smooth: Array


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
    mean = sum(scale.means(one.map) for one in group) / np.float32(len(group))
    time = int(movie.movie.frame_numbers[shortest[0]])
    return _Layer(shortest, time, ndimage.gaussian_filter(mean, scale.smoothing, mode="constant"))


def _peaks(layer: _Layer, beside: list[_Layer], scale: Scale) -> Peaks:
    from scipy import ndimage

    sideways = 0.0 if scale.fast else _SIDEWAYS
    smooth = layer.smooth + sideways * sum((one.smooth for one in beside), np.float32(0))
    smooth /= 1 + sideways * len(beside)
    window = 2 * round(scale.radius / scale.block) + 1
    found = np.argwhere((smooth == ndimage.maximum_filter(smooth, window)) & (smooth > 0))
    scores = smooth[tuple(found.T)].astype(np.float64)
    most = max(_FEWEST, smooth.size * scale.block**2 // _PIXELS_PER_PEAK)
    strongest = np.argsort(-scores, kind="stable")[:most]
    return Peaks(layer.frames, scale.pixels(found[strongest]), scores[strongest])
