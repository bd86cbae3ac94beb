"""The mean embedding of every object in a frame, from the frame's blocks."""

from __future__ import annotations

import contextlib
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
    """Open the labels of a movie's objects.

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
        If they cannot be read, or differ from the movie in frames, gaps between them, or size.
    """
    labels = _opened(source, n_images, axes)
    if labels.shape[2:] != movie.shape[2:]:
        own, wanted = (" x ".join(map(str, one.shape[2:])) for one in (labels, movie))
        raise UserError(f"The labels {labels.name} are {own}, the movie is {wanted} pixels. Give labels of this movie.")
    if len(labels) != len(movie):
        raise UserError(
            f"The labels {labels.name} have {len(labels)} frames, the movie has {len(movie)}."
            " Give labels of this movie."
        )
    steps, wanted_steps = (np.diff(one.frame_numbers) for one in (labels, movie))
    both = (steps != 1).any() and (wanted_steps != 1).any()  # else one is a mere stack, whose frames have no numbers
    if both and (different := np.flatnonzero(steps != wanted_steps)).size:
        own, wanted = (one.frame_numbers[different[0] + 1] for one in (labels, movie))
        raise UserError(
            f"The labels {labels.name} go on with frame {own} where the movie goes on with frame {wanted}."
            " Give labels of the movie's frames."
        )
    return labels


def _opened(source: Any, n_images: int | None, axes: str | None) -> Movie:
    try:
        return open_movie(source, n_images=n_images)
    except UserError:
        if axes:
            with contextlib.suppress(UserError):
                return open_movie(source, n_images=n_images, axes=axes.upper().replace("C", ""))
        raise


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
