"""Frames laid onto one another where objects move farther than they are large: a displacement for every place."""

from __future__ import annotations

import functools
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .object_radius import object_radius
from .prepared import block_means, middle
from .sequences import sequences, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ..config import Align
    from .prepared import PreparedMovie

# In radii of the movie's objects: sides of the windows that are sought in the other frame, how far they are apart, and
# how far they may have moved.
_WINDOW, _APART, _FARTHEST = 8.0, 3.0, 4.5
_SMALLEST = 2.0  # pixels; radius that windows follow from at least
_BLOCK = 0.25  # radii; frames are averaged over blocks of this side first
_SMOOTHING = 0.75  # blocks
_FAR_COSTS = 0.05  # correlation by which the farthest displacement must be better than none
_ODD = 0.75  # radii by which a displacement may differ from the median of those around it
_AROUND = 5  # windows to a side that such a median is taken of
_EVENING = 0.7  # windows; standard deviation
_STILL = 0.5  # pixels
_PER_PIXEL = 48  # bytes that matching takes for every block and channel
_ROWS = 256  # that are put back at a time
_KEPT = 2.5e8  # bytes of displacements that are remembered

_LOOKED_AT, _SIDE = 5, 512  # pairs of frames, and pixels of their middle, that tell whether a movie is better aligned
_FAR, _GAIN = 1.0, 0.2  # radii that objects move there, and by how much frames correlate better aligned
_STRANGE = 0.3  # correlation of frames that have little in common; 0.56 and more where objects were found again
_SAID_OF_STRANGE = (
    "Frames have little in common, aligned or not: objects move farther than can be followed, or noise hides them."
)


class Alignment:
    """Where the objects of a movie are in its other frames.

    A window around every place of one frame is sought in another, where it correlates best; what lies between places is
    interpolated. What moves together with its neighbours is found, like cells of a sheet, not what moves by itself.

    Parameters
    ----------
    movie : PreparedMovie
    radius : float, optional
        Of the objects, in pixels of the movie; without it, estimated by `object_radius`.
    fast : bool
        Whether objects move so far that there are others in their place in the next frame.

    Attributes
    ----------
    movie, fast
    radius : float
        In pixels of prepared frames, 2 at least.
    """

    def __init__(self, movie: PreparedMovie, radius: float | None = None, *, fast: bool = True) -> None:
        self.movie, self.fast = movie, fast
        in_pixels = object_radius(movie) if radius is None else radius
        self.radius = max(in_pixels / movie.preparation.subsample, _SMALLEST)
        self._known: dict[tuple[int, int], NDArray[np.float32]] = {}

    def onto(self, first: int, other: int) -> NDArray[np.float32]:
        """Return the prepared frame `other`, (C, h, w) float32, with its objects where they are in frame `first`."""
        frame = self.movie.frame(other)
        return put_back(frame, self._displacements(first, other, frame))

    def distance(self, first: int, other: int, place: tuple[float, float]) -> tuple[int, int]:
        """Return how far what is at a place of frame `first` has moved in frame `other`, in pixels of the movie."""
        from scipy import ndimage

        step = self.movie.preparation.subsample
        moved = self._displacements(first, other)
        sides = np.maximum(np.array(self.movie.movie.shape[2:]) - 1, 1)
        at = np.array(place) / sides * (np.array(moved.shape[1:]) - 1)
        y, x = (step * ndimage.map_coordinates(one, at[:, None], order=1, mode="nearest")[0] for one in moved)
        return round(float(y)), round(float(x))

    def _displacements(self, first: int, other: int, frame: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        if (first, other) not in self._known:
            frame = self.movie.frame(other) if frame is None else frame
            found = displacements(self.movie.frame(first), frame, self.radius)
            while len(self._known) >= max(1.0, _KEPT / found.nbytes):
                del self._known[next(iter(self._known))]
            self._known[first, other] = found
        return self._known[first, other]


class ComparedFrames:
    """Frames of a movie as they are compared: each with a number, as they are or laid onto other ones.

    Parameters
    ----------
    movie : PreparedMovie
    alignment : Alignment, optional
        Of the movie; without it, frames are as they are, and their numbers are their indices.

    Raises
    ------
    ValueError
        If the alignment is of another movie.
    """

    def __init__(self, movie: PreparedMovie, alignment: Alignment | None) -> None:
        if alignment is not None and alignment.movie is not movie:
            raise ValueError("The alignment is of another movie.")
        self._prepared, self.alignment = movie, alignment
        self.movie, self.shape = movie.movie, movie.shape

    def numbers(self, frames: tuple[int, ...]) -> tuple[int, ...]:
        """Return the numbers of frames of the movie that are compared with one another: as the first of them lies."""
        return frames if self.alignment is None else tuple(frames[0] * self.shape[0] + other for other in frames)

    def frame(self, number: int) -> NDArray[np.float32]:
        """Return a frame by its number, (C, h, w)."""
        if self.alignment is None:
            return self._prepared.frame(number)
        first, other = divmod(number, self.shape[0])
        return self._prepared.frame(first) if first == other else self.alignment.onto(first, other)


def memory_of_matching(movie: PreparedMovie, radius: float) -> int:
    """Return the bytes that `displacements` takes, besides both frames; `radius` is in prepared pixels."""
    return _PER_PIXEL * prod(movie.shape[1:]) // _block(radius) ** 2


def alignment_for(
    align: Align, movie: PreparedMovie, deltas: Sequence[int], radius: float | None = None
) -> tuple[Alignment | None, list[str]]:
    """Return the alignment that is wanted of frames that are to be compared, and notices, one sentence each.

    ``auto`` looks at a few pairs of frames, the smallest of `deltas` apart: they are aligned where objects move by at
    least one radius, places weighed by their contrast, and frames correlate better by 0.2 then. Where they correlate
    with less than 0.3 either way, a notice says so.
    """
    if align == "no":
        return None, []
    alignment = Alignment(movie, radius)
    step, delta = int(np.diff(movie.movie.frame_numbers).min()), min(deltas)
    seen = _movement(movie, delta, alignment.radius)
    alignment.fast = seen.far if delta == step else _movement(movie, step, alignment.radius).far
    notices = [_SAID_OF_STRANGE] if seen.common < _STRANGE else []
    if seen.far:
        notices.insert(0, f"Objects move by {seen.radii:.1f} radii: frames are aligned before they are compared.")
    elif align == "yes":
        notices.insert(0, "Frames are aligned before they are compared.")
    return (alignment if seen.far or align == "yes" else None), notices


class _Movement(NamedTuple):
    """How far objects move, whether frames are better aligned therefore, and how well they correlate at best."""

    radii: float
    far: bool
    common: float


def _movement(movie: PreparedMovie, delta: int, radius: float) -> _Movement:
    """Look at the middle of a few pairs of frames."""
    pairs = sequences(movie.movie.frame_numbers, range(movie.shape[0]), 2, delta)
    far, gains, common = [], [], []
    for index in spread(len(pairs), _LOOKED_AT):
        before, after = (middle(movie.frame(int(frame)), _SIDE).copy() for frame in pairs[index])
        if min(np.ptp(before), np.ptp(after)) == 0 or np.array_equal(before, after):
            continue  # blank, or the same frame again
        by = displacements(before, after, radius)
        far.append(_mean_distance(by, before) / radius)
        aligned, as_they_are = _correlation(before, put_back(after, by)), _correlation(before, after)
        gains.append(aligned - as_they_are)
        common.append(max(aligned, as_they_are))
    if not far:
        return _Movement(0.0, False, 1.0)
    moved = float(np.median(far))
    return _Movement(moved, moved >= _FAR and float(np.mean(gains)) >= _GAIN, float(np.mean(common)))


def _mean_distance(moved: NDArray[np.float32], frame: NDArray[np.float32]) -> float:
    """Return how far the objects of a frame, (C, h, w), have moved in the mean: places count by their contrast."""
    from scipy import ndimage

    rows, columns = (_evenly(side, count) for side, count in zip(frame.shape[1:], moved.shape[1:], strict=True))
    apart = max(frame.shape[1] / len(rows), frame.shape[2] / len(columns))
    strong = np.abs(frame - np.median(frame, (1, 2), keepdims=True)).mean(0)
    contrast = ndimage.gaussian_filter(strong, apart)[np.ix_(rows, columns)]
    total = float(contrast.sum())
    return float((np.hypot(*moved) * contrast).sum()) / total if total else 0.0


def displacements(first: NDArray[np.float32], second: NDArray[np.float32], radius: float) -> NDArray[np.float32]:
    """Return how far the objects of one frame have moved in another.

    The displacement of a window is that of the largest normalised cross-correlation, to less than a block by a parabola
    through its neighbours; one that is odd among its neighbours becomes their median.

    Parameters
    ----------
    first, second : (C, h, w) float32
    radius : float
        Of the objects, in pixels.

    Returns
    -------
    (2, n, m) float32
        Displacements `y, x` in pixels, at n x m places that are spread evenly over the frame, corners on corners.
    """
    from scipy import ndimage

    block = min(_block(radius), *first.shape[1:])
    before, after = (
        ndimage.gaussian_filter(block_means(one, block), (0, _SMOOTHING, _SMOOTHING)) for one in (first, second)
    )
    unit = radius / block
    rows, columns = (_evenly(side, 1 + max(1, round(side / (_APART * unit)))) for side in before.shape[1:])
    found = _best_shifts(before, after, rows, columns, int(_WINDOW * unit / 2), int(np.ceil(_FARTHEST * unit)))
    around = ndimage.median_filter(found, (1, _AROUND, _AROUND), mode="nearest")
    found = np.where(np.hypot(*(found - around)) > _ODD * unit, around, found)
    even = ndimage.gaussian_filter(found, (0, _EVENING, _EVENING), mode="nearest")
    moved: NDArray[np.float32] = (block * even).astype(np.float32)
    return moved


def _evenly(side: int, count: int) -> NDArray[np.intp]:
    """Return so many indices, spread evenly from the first to the last."""
    return np.linspace(0, side - 1, count).round().astype(np.intp)


def _block(radius: float) -> int:
    return max(1, round(_BLOCK * radius))


def put_back(frame: NDArray[np.float32], moved: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a frame (C, h, w) float32 with what has moved put back, bilinearly; `moved` as `displacements` has it.

    What has moved by less than half a pixel is left alone: between pixels noise is evened out.
    """
    from scipy import ndimage

    height, width = frame.shape[1:]
    down, across = (_enlarging(count, side) for count, side in zip(moved.shape[1:], (height, width), strict=True))
    along = moved @ across.T
    rows, columns = (np.arange(side, dtype=np.float32) for side in (height, width))
    back = np.empty_like(frame)
    for top in range(0, height, _ROWS):
        part = slice(top, min(top + _ROWS, height))
        by = down[part] @ along
        by[:, np.hypot(*by) < _STILL] = 0
        places = np.array(np.meshgrid(rows[part], columns, indexing="ij")) + by
        for one, into in zip(frame, back, strict=True):
            ndimage.map_coordinates(one, places, output=into[part], order=1, mode="nearest")
    return back


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    a, b = (one - one.mean((1, 2), keepdims=True) for one in (first, second))
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size else 1.0


def _best_shifts(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    half: int,
    farthest: int,
) -> NDArray[np.float64]:
    """Return the shifts, (2, n, m), by which windows around places of one image (C, h, w) correlate best with another.

    The correlations of the channels are summed.
    """
    from scipy import fft

    side, shifts = 2 * half + 1, 2 * farthest + 1
    region = side + shifts - 1
    wide = half + farthest
    beside, beyond = (
        np.pad(one, ((0, 0), (by, by), (by, by)), mode="symmetric") for one, by in ((first, half), (second, wide))
    )
    spread = np.stack([_spreads(one, side) for one in beyond])
    distance = np.arange(-farthest, farthest + 1, dtype=np.float32) / farthest
    costs = _FAR_COSTS * (distance[:, None] ** 2 + distance**2)
    size = fft.next_fast_len(region, real=True)
    windows, regions, spreads = (
        np.lib.stride_tricks.sliding_window_view(image, (length, length), (1, 2))
        for image, length in ((beside, side), (beyond, region), (spread, shifts))
    )
    found = np.empty((2, len(rows), len(columns)))
    for number, row in enumerate(rows):
        sought = windows[:, row, columns]
        sought = sought - sought.mean((2, 3), keepdims=True)
        product = fft.rfft2(regions[:, row, columns], (size, size)) * fft.rfft2(sought, (size, size)).conj()
        match = fft.irfft2(product.sum(0), (size, size))[:, :shifts, :shifts]
        there = spreads[:, row, columns].sum(0)
        match /= np.sqrt((sought**2).sum((0, 2, 3))[:, None, None] * there + 1e-6)
        found[:, number] = np.transpose([_top(one) for one in match - costs])
    return found - farthest


def _top(match: NDArray[np.floating[Any]]) -> tuple[float, float]:
    """Return where the largest value is, between the values by a parabola along either axis."""
    y, x = np.unravel_index(np.argmax(match), match.shape)
    return y + _vertex(match[:, x], int(y)), x + _vertex(match[y], int(x))


def _vertex(values: NDArray[np.floating[Any]], top: int) -> float:
    if not 0 < top < len(values) - 1:
        return 0.0
    before, at, after = (float(value) for value in values[top - 1 : top + 2])
    bend = before - 2 * at + after
    return (before - after) / (2 * bend) if bend < 0 else 0.0


def _spreads(image: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Return the sum of squared differences from their mean of every window of an image."""
    from scipy import ndimage

    inner = slice(side // 2, -(side // 2) or None)
    centred = image - image.mean()
    mean, square = (ndimage.uniform_filter(one, side)[inner, inner] for one in (centred, centred**2))
    spreads: NDArray[np.float32] = np.maximum(square - mean**2, 0) * np.float32(side**2)
    return spreads


@functools.lru_cache(maxsize=8)
def _enlarging(count: int, side: int) -> NDArray[np.float32]:
    """Return the matrix, (side, count), that interpolates linearly between values, corners on corners."""
    at = np.linspace(0, count - 1, side)
    weights = 1 - np.abs(at[:, None] - np.arange(count))
    return weights.clip(min=0).astype(np.float32)
