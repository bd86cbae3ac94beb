"""What a movie is to everybody else: facts, and frames when asked."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from ..numbers import whole_number
from .slices import Slices, checked_slices, flat_dtype, flattened, stacked

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from .layout import Layout

    Array = NDArray[Any]

CHANNEL = "Give the number of the only channel to take, from 0."  # where channel is wrong
CHANNELS = "Give 0 if there is no channel axis, else how many to take."  # where channels is wrong


@dataclass(frozen=True, eq=False)
class Movie:
    """A lazy movie: nothing is kept in memory, every frame is read when it is asked for.

    Attributes
    ----------
    name : str
        Short name to show: the stem of the file or folder, with that of the folder above where it is only a number.
    source : str
        Its path, or ``"array"``.
    shape : (T, C, H, W)
        After the choice of channels; C is at least 1, T at least 2.
    stored_dtype : numpy.dtype
        Type in which frames are read, in native byte order: as stored, but float64 for integers of 64 bits.
    frame_numbers : (T,) int64
        Strictly increasing. Gaps are real gaps in time.
    read : callable
        Index to ``(C, H, W)`` array in any byte order. Where there are several `slices`, index and None to all of them,
        ``(C, Z, H, W)``, or index and a number to this one, ``(C, 1, H, W)``. Safe to call from several threads.
    interval : float or None
        Seconds between consecutive frame numbers, where the file says.
    pixel_size : (y, x) or None
        Micrometres, where the file says.
    own_numbers : bool
        Whether the frame numbers were given or stand in file names, so that they are comparable to those of another
        movie; otherwise they only count.
    channel : int or None
        Number of the channel that was taken alone, where there are others; else None.
    colours : bool
        Whether the channels are the red, green and blue of coloured frames.
    guessed : bool
        Whether nobody named the axes, and they are taken for what they mostly are.
    slices : int
        How many Z slices each frame is made of; 1 where there is no such axis.
    z : "max", "mean" or int
        What is made of them: the brightest of each pixel, their mean, or the slice of this number. See `flat`.
    """

    name: str
    source: str
    shape: tuple[int, int, int, int]
    stored_dtype: np.dtype[Any]
    frame_numbers: NDArray[np.int64]
    read: Callable[..., Array] = field(repr=False)
    interval: float | None = None
    pixel_size: tuple[float, float] | None = None
    own_numbers: bool = False
    channel: int | None = None
    colours: bool = False
    guessed: bool = False
    slices: int = 1
    z: Slices = "max"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the frames: that in which they are read, but floating point for the mean of Z slices."""
        return self.stored_dtype if self.slices == 1 else flat_dtype(self.stored_dtype, self.z)

    @property
    def frame_bytes(self) -> int:
        """Size of what is read for one frame."""
        return math.prod(self._read_shape) * self.stored_dtype.itemsize

    @property
    def _only(self) -> int | None:
        """The only slice that is wanted; None for all."""
        return self.z if isinstance(self.z, int) else None

    @property
    def _read_shape(self) -> tuple[int, ...]:
        """Shape of what is read for one frame."""
        shape = stacked(self.shape[1:], self.slices)
        return shape if self.slices == 1 or self._only is None else (shape[0], 1, *shape[2:])

    def __len__(self) -> int:
        """Count the frames."""
        return self.shape[0]

    def frame(self, index: int) -> Array:
        """Read frame `index` (a position, not a frame number) as a C-contiguous array ``(C, H, W)``.

        Raises
        ------
        IndexError
            If there is no such frame.
        UserError
            If it cannot be read, or is not what the movie's shape promises.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index} of a movie of {len(self)} frames")
        stored = self.read(index) if self.slices == 1 else self.read(index, self._only)
        if stored.shape != self._read_shape:
            size, wanted = (" x ".join(map(str, shape)) for shape in (stored.shape, self._read_shape))
            named = "channels, height, width" if self.slices == 1 else "channels, slices, height, width"
            raise UserError(
                f"Frame {index} of {self.name} is {size} ({named}), but the movie's shape promises"
                f" {wanted}. Check how it was made."
            )
        return np.ascontiguousarray(stored if self.slices == 1 else flattened(stored, self.z), dtype=self.dtype)

    def flat(self, z: Slices) -> Movie:
        """Make something else of the Z slices; a movie without any stays as it is.

        Raises
        ------
        UserError
            If it is not ``max``, ``mean`` or the number of a slice.
        """
        z = checked_slices(z)
        if self.slices == 1 or z == self.z:
            return self
        if isinstance(z, int) and z >= self.slices:
            raise UserError(
                f"{self.name} has {self.slices} Z slices, numbered 0 to {self.slices - 1}, and z is {z}."
                " Give one of these, max or mean."
            )
        return replace(self, z=z)

    def limited(self, n_images: int) -> Movie:
        """Keep the first `n_images` frames at most.

        Raises
        ------
        UserError
            If it is no whole number from 2 on.
        """
        remedy = f"Give 2 or more: {self.name} needs two frames to be a movie."
        count = min(whole_number(n_images, "n_images", remedy, least=2), len(self))
        return replace(self, shape=(count, *self.shape[1:]), frame_numbers=self.frame_numbers[:count])

    def numbered(self, numbers: NDArray[np.int64]) -> Movie:
        """Give the frames other numbers, ``(T,)`` and strictly increasing."""
        return replace(self, frame_numbers=numbers, own_numbers=True)


def make_movie(
    name: str,
    source: str,
    layout: Layout,
    dtype: np.dtype[Any],
    read: Callable[..., Array],
    *,
    interval: float | None = None,
    pixel_size: tuple[float, float] | None = None,
    frame_numbers: NDArray[np.int64] | None = None,
) -> Movie:
    """Build a movie from what a reader found out, and check that it can be one.

    Raises
    ------
    UserError
        If it has fewer than two frames, no pixels, or a type that holds no grey values.
    """
    shape = layout.movie_shape
    place = name if source == "array" else Path(source).name
    if 0 in (*shape, layout.slices):
        raise UserError(f"{place} is empty: its shape is {' x '.join(map(str, layout.shape))}. Check how it was saved.")
    if shape[0] < 2:
        raise UserError(f"{place} is one picture, not a movie. Give a stack or a folder with two frames or more.")
    own = frame_numbers is not None
    numbers = np.arange(shape[0], dtype=np.int64) if frame_numbers is None else frame_numbers
    name = name.encode("utf-8", "replace").decode()  # names on old disks may hold bytes that no font can draw
    dtype = grey_dtype(dtype, place)
    movie = Movie(name, source, shape, dtype, numbers, read, interval, pixel_size, own)
    only, slices = layout.only_channel, layout.slices
    return replace(movie, channel=only, colours=layout.colours, guessed=layout.guessed, slices=slices)


def folder_name(path: Path) -> str:
    """Name for what lies in a folder: its own, after the one above where it is only a number (``01``, ``x.zarr/0``)."""
    path = path.resolve()
    return f"{_stem(path.parent)}_{path.name}" if path.name.isdigit() and path.parent.name else _stem(path)


def _stem(path: Path) -> str:
    return path.name.removesuffix(".zarr").removesuffix(".ome")


def grey_dtype(dtype: np.dtype[Any], name: str) -> np.dtype[Any]:
    """Type in which frames stored as `dtype` are given: native byte order, no integers of 64 bits.

    Raises
    ------
    UserError
        If the type is not boolean, integer or real.
    """
    if dtype.kind not in "buif" or dtype.itemsize > 8:
        remedy = "Save its magnitude instead" if dtype.kind == "c" else "Save it as 8 or 16 bit integers or float32"
        raise UserError(f"{name} holds values of type {dtype}, which are no grey values. {remedy}.")
    if dtype.kind in "iu" and dtype.itemsize == 8:
        return np.dtype(np.float64)  # no device computes with them, and what they hold are counts or labels
    return dtype.newbyteorder("=")
