"""The mean embedding of every object in a frame, from the frame's blocks."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...movies import Movie, open_movie
from .object_table import ObjectTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

_AT_ONCE = 2**20  # pixels of the labels looked at together


def pool(labels: Array, embedding: Array, *, sources: tuple[Array, Array] | None = None, frame: int = 0) -> ObjectTable:
    """Return the mean embedding of every object of a frame.

    Parameters
    ----------
    labels : (H, W) integers
        0, and what is below, is no object.
    embedding : (F, h, w)
    sources : ((H,), (W,)) integers, optional
        Row and column of the embedding that each row and column of the labels takes its value from, rising; needed
        where the embedding is coarser.
    frame : int
        Number of the frame, for the table.
    """
    pooling = FramePool(labels, sources=sources, frame=frame)
    pooling.add(0, 0, embedding)
    return pooling.table()


class FramePool:
    """Collects the mean embedding of every object of one frame from the frame's blocks.

    Parameters
    ----------
    labels, sources, frame
        As `pool` takes them.
    """

    def __init__(self, labels: Array, *, sources: tuple[Array, Array] | None = None, frame: int = 0) -> None:
        self._labels, self._frame = labels, frame
        whole: tuple[Array, Array] = (np.arange(labels.shape[0]), np.arange(labels.shape[1]))
        self._rows, self._columns = sources or whole
        self._ids = np.unique(labels)
        self._ids = self._ids[self._ids > 0]
        self._sums = np.zeros((len(self._ids), 0))  # per object: pixels, y, x, features

    def add(self, y: int, x: int, values: Array) -> None:
        """Take a block (F, h, w) of the embedding whose first pixel is (y, x); one at (0, 0) starts anew."""
        if y == x == 0:
            self._sums = np.zeros((len(self._ids), 3 + len(values)))
        height, width = values.shape[1:]
        top, bottom = np.searchsorted(self._rows, (y, y + height)).tolist()
        left, right = np.searchsorted(self._columns, (x, x + width)).tolist()
        rows_at_once = max(1, _AT_ONCE // max(1, right - left))
        for first in range(top, bottom, rows_at_once):
            self._add_band(slice(first, min(first + rows_at_once, bottom)), slice(left, right), y, x, values)

    def table(self) -> ObjectTable:
        """Return the frame's rows, labels in order."""
        area = self._sums[:, 0]
        y, x = self._sums[:, 1:3].T / area
        frame = np.full(len(self._ids), self._frame, dtype=np.int64)
        mean = self._sums[:, 3:] / area[:, None]
        return ObjectTable(frame, self._ids.astype(np.int64), y, x, area.astype(np.int64), mean)

    def _add_band(self, band: slice, across: slice, y: int, x: int, values: Array) -> None:
        """Add the labels of some rows and columns; `values` is the block that they lie in, from (y, x) on."""
        crop = self._labels[band, across]
        rows, columns = np.nonzero(crop > 0)
        if not len(rows):
            return
        which = np.searchsorted(self._ids, crop[rows, columns])
        order = np.argsort(which, kind="stable")
        starts = np.flatnonzero(np.diff(which[order], prepend=-1))
        rows, columns = rows[order] + band.start, columns[order] + across.start
        at = self._rows[rows] - y, self._columns[columns] - x
        objects = which[order[starts]]
        for column, plane in enumerate((np.ones(len(rows)), rows, columns, *(plane[at] for plane in values))):
            self._sums[objects, column] += np.add.reduceat(plane.astype(np.float64), starts)


def open_labels(source: Any, movie: Movie, *, n_images: int | None = None, axes: str | None = None) -> Movie:
    """Open the labels of a movie's objects, one frame of them for each of the movie.

    Where both have frame numbers of their own, as folders have, the labels with the movie's numbers are taken. A stack
    has none: its frames are taken in order. Of Z slices the movie's own is taken, or else the largest label at a pixel.

    Parameters
    ----------
    source : anything `open_movie` takes
        Whole numbers, one channel; 0 is background.
    movie : Movie
        What they belong to.
    n_images, axes : optional
        As the movie was opened with; the axes hold for labels that say nothing useful of their own.

    Raises
    ------
    UserError
        If they cannot be read, are of another size than the movie, or of other frames.
    """
    labels = _opened(source, axes)
    if labels.shape[1] > 1:
        raise UserError(f"The labels {labels.name} have {labels.shape[1]} channels. Give labels with one.")
    if isinstance(movie.z, int) and labels.slices == movie.slices:
        labels = labels.flat(movie.z)
    if labels.shape[2:] != movie.shape[2:]:
        own, wanted = (" x ".join(map(str, one.shape[2:])) for one in (labels, movie))
        raise UserError(f"The labels {labels.name} are {own}, the movie is {wanted} pixels. Give labels of this movie.")
    if labels.own_numbers and movie.own_numbers:
        return _of_frames(labels, movie.frame_numbers)
    if n_images is not None:
        labels = labels.limited(n_images)
    if len(labels) != len(movie):
        raise UserError(
            f"The labels {labels.name} have {len(labels)} frames, the movie has {len(movie)}."
            " Give labels of this movie."
        )
    return labels


def _of_frames(labels: Movie, numbers: NDArray[np.int64]) -> Movie:
    missing = np.setdiff1d(numbers, labels.frame_numbers)
    if len(missing):
        first, last = labels.frame_numbers[[0, -1]]
        raise UserError(
            f"The labels {labels.name}, numbered {first} to {last}, have no frame {missing[0]}, which the movie has."
            " Give labels of all its frames, or one stack, whose frames are taken in order."
        )
    places = np.searchsorted(labels.frame_numbers, numbers).tolist()
    shape = len(numbers), *labels.shape[1:]
    return replace(
        labels, shape=shape, frame_numbers=numbers, read=lambda index, *only: labels.read(places[index], *only)
    )


def _opened(source: Any, axes: str | None) -> Movie:
    if isinstance(source, Movie):
        return source
    try:
        return open_movie(source)
    except UserError:
        if axes:
            with contextlib.suppress(UserError):
                return open_movie(source, axes=axes.upper().replace("C", ""))
        first = None
        with contextlib.suppress(UserError):
            first = open_movie(source, channel=0)
        if first is None or first.channel is None:
            raise
    raise UserError(f"The labels {first.name} have several channels. Give labels with one.")


def read_labels(labels: Movie, index: int) -> Array:
    """Read the labels (H, W) of one frame.

    Raises
    ------
    UserError
        If they are no whole numbers.
    """
    values: Array = labels.frame(index)[0]
    if values.dtype.kind != "f":
        return values.view(np.uint8) if values.dtype.kind == "b" else values
    with np.errstate(invalid="ignore"):
        whole: NDArray[np.int64] = values.astype(np.int64)
    if not (whole == values).all():
        raise UserError(
            f"Frame {index} of the labels {labels.name} holds numbers with a fraction: these are no labels."
        )
    return whole
