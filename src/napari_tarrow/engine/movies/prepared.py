"""A movie as a network wants it: normalised, binarised, subsampled."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from ..errors import UserError
from ..numbers import whole_number
from .movie import CHANNEL, CHANNELS
from .normalization import Normalize, looked_at, normalization_rows, rows
from .slices import Slices, checked_slices

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from .movie import Movie

    Array = NDArray[Any]

ScaleChannels = Literal["each", "together"]
_FAR = 1e4  # a movie's grey values lie so many times their range from 0, and float32 has few values there


@dataclass(frozen=True)
class Preparation:
    """What a network wants of a movie; stored with the model.

    Attributes
    ----------
    normalize
        ``frame``: percentiles of each frame, all channels as the first. ``channel``: of each channel of each frame.
        ``movie``: of each channel of the whole movie. ``smooth``: of each channel of each frame, smoothed over time.
    binarize : bool
        ``x > 0`` instead of normalisation.
    subsample : int
        Mean over blocks of so many pixels a side.
    channels : int
        0: the movie has no channel axis. n: its first n channels.
    z : "max", "mean" or int
        What is made of Z slices where a movie has them: the brightest of each pixel, their mean, or one of them.
    channel : int or None
        The channel that is taken alone, whatever `channels` says.
    scale_channels
        ``each`` is divided by its own range of intensities; ``together``: all by the widest of them.
    """

    normalize: Normalize = "frame"
    binarize: bool = False
    subsample: int = 1
    channels: int = 0
    z: Slices = "max"
    channel: int | None = None
    scale_channels: ScaleChannels = "each"

    def __post_init__(self) -> None:
        """Refuse what came from a damaged file or a slip, and would be taken for something else.

        Raises
        ------
        UserError
        """
        if self.normalize not in get_args(Normalize):
            raise UserError(f"normalize is {self.normalize!r}. Give one of: {', '.join(get_args(Normalize))}.")
        if self.scale_channels not in get_args(ScaleChannels):
            raise UserError(f"scale_channels is {self.scale_channels!r}. Give each or together.")
        if not isinstance(self.binarize, bool | np.bool_):
            raise UserError(f"binarize is {self.binarize!r}. Give true or false.")
        remedy = "Give 1 for full resolution, or the side of the blocks to average."
        own = {  # Python's own values, as they are stored
            "binarize": bool(self.binarize),
            "subsample": whole_number(self.subsample, "subsample", remedy, least=1),
            "channels": whole_number(self.channels, "channels", CHANNELS, least=0),
            "z": checked_slices(self.z),
            "channel": None if self.channel is None else whole_number(self.channel, "channel", CHANNEL, least=0),
        }
        for name, value in own.items():
            object.__setattr__(self, name, value)

    @property
    def taken(self) -> int:
        """How many channels the network sees."""
        return max(1, self.channels) if self.channel is None else 1


class PreparedMovie:
    """Frames ready for a network, and what they are made of: stored frames, and two numbers for each of their channels.

    Parameters
    ----------
    movie : Movie
    preparation : Preparation

    Raises
    ------
    UserError
        If the movie has other channels, no such Z slice, or frames smaller than one block.
    """

    def __init__(self, movie: Movie, preparation: Preparation) -> None:
        self.movie = movie.flat(preparation.z)
        self.preparation = preparation
        self._rows: NDArray[np.float32] | None = None
        self._lock = threading.Lock()
        _check(movie, preparation)

    def by_frame(self) -> PreparedMovie:
        """Return the same movie with each frame normalised by itself: to look at a few without reading them all."""
        if self._by_itself:
            return self
        return PreparedMovie(self.movie, replace(self.preparation, normalize="channel"))

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(T, C, h, w)`` after subsampling; an incomplete block at the edge is dropped."""
        n_frames, channels, height, width = self.movie.shape
        step = self.preparation.subsample
        return n_frames, channels, height // step, width // step

    @property
    def channels_in_words(self) -> str:
        """Which channels are taken, and whether the choice of one has found nothing to choose from."""
        if self.movie.channel is not None:
            return f"channel {self.movie.channel} alone"
        count, wanted = self.movie.shape[1], self.preparation.channel
        said = f"{count} channel{'s' * (count > 1)}"
        return said if wanted is None else f"{said} (channel {wanted} changes nothing)"

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the stored frames."""
        if self.preparation.subsample > 1 or self._offset:
            return np.dtype(np.float32)
        if self.preparation.binarize or self.movie.dtype.kind == "b":
            return np.dtype(np.uint8)
        return np.dtype(np.float32) if self.movie.dtype.kind == "f" else self.movie.dtype

    def stored(self, index: int) -> Array:
        """Read frame `index` before normalisation.

        Returns
        -------
        (C, h, w) array
            In the stored type (float32 for reals, uint8 for booleans and `binarize`), or float32 block means. Where
            grey values lie so far from zero that float32 would not part them, from the first frame's least on.

        Raises
        ------
        UserError
            If the frame cannot be read or holds NaN or infinity.
        """
        return self._reduced(self._whole(index))

    def normalization(self, indices: Sequence[int] | None = None) -> NDArray[np.float32]:
        """`low` and `span` per frame and channel, so that a prepared frame is ``(stored - low) / span``.

        Parameters
        ----------
        indices
            Rows that are wanted; None for all. All are found in one pass through the movie and kept, but where each
            frame is normalised by itself, and only what is asked for is read.

        Returns
        -------
        (T, 2, C) or (len(indices), 2, C) float32

        Raises
        ------
        UserError
            If all frames of the movie are constant.
        """
        if indices is not None and self._rows is None and self._by_itself:
            return self._some_rows(indices)
        with self._lock:
            if self._rows is None:
                self._rows = self._all_rows()
        return self._rows if indices is None else self._rows[np.asarray(indices, dtype=np.int64)]

    def frame(self, index: int) -> NDArray[np.float32]:
        """Read frame `index`, prepared: ``(C, h, w)`` float32, which the caller may change."""
        whole = self._whole(index)
        low, span = self._row(whole) if self._rows is None and self._by_itself else self.normalization([index])[0]
        stored = self._reduced(whole)
        del whole
        prepared = stored.astype(np.float32)
        del stored  # frames may be large: no more copies at a time than needed
        prepared -= low[:, None, None]
        prepared /= span[:, None, None]
        return prepared

    @property
    def _by_itself(self) -> bool:
        return self.preparation.binarize or self.preparation.normalize in ("frame", "channel")

    @functools.cached_property
    def _offset(self) -> float:
        """What is taken off every grey value of a type that holds more digits than float32, mostly 0."""
        if self.preparation.binarize or np.can_cast(self.movie.dtype, np.float32):
            return 0.0
        frame = self.movie.frame(0)
        low, high = float(frame.min()), float(frame.max())
        return low if 0 < high - low < abs(low) / _FAR else 0.0

    def _whole(self, index: int) -> Array:
        """Frame at full resolution, binarised if so wanted, reals in float32 and finite."""
        frame = self.movie.frame(index)
        if self._offset:
            frame = np.subtract(frame, self._offset, dtype=np.float64)
        if frame.dtype.kind == "f":
            with np.errstate(over="ignore"):
                frame = frame.astype(np.float32, copy=False)
            if not np.isfinite(frame).all():
                raise self._not_finite(index)
        if self.preparation.binarize:
            return (frame > 0).astype(np.uint8)
        return frame.astype(np.uint8) if frame.dtype.kind == "b" else frame

    def _not_finite(self, index: int) -> UserError:
        place = f"Frame {index} of {self.movie.name} holds"
        if np.isfinite(self.movie.frame(index)).all():
            return UserError(f"{place} values beyond 3e38, which float32 cannot hold. Scale them down.")
        return UserError(f"{place} NaN or infinite values. Replace them (numpy.nan_to_num) and save the movie again.")

    def _reduced(self, whole: Array) -> Array:
        if self.preparation.subsample > 1:
            return block_means(whole, self.preparation.subsample)
        return np.ascontiguousarray(whole, dtype=self.dtype)

    def _some_rows(self, indices: Sequence[int]) -> NDArray[np.float32]:
        found = [self._row(self._whole(int(index))) for index in indices]
        return np.array(found, np.float32).reshape(-1, 2, self.movie.shape[1])

    def _row(self, whole: Array) -> NDArray[np.float32]:
        """`low` and `span` of a frame that is normalised by itself, (2, C)."""
        if self.preparation.binarize:
            found = _identity(1)
        else:
            low, high = zip(*(one[:2] for one in looked_at(whole, self.preparation.normalize)), strict=True)
            found = rows(np.array([low]), np.array([high]))
        row: NDArray[np.float32] = self._of_every_channel(found)[0]
        return row

    def _all_rows(self) -> NDArray[np.float32]:
        if self.preparation.binarize:
            frames = (self._whole(index) for index in range(len(self.movie)))
            constant = all(frame.min() == frame.max() for frame in frames)  # stops at the first that is not
            found = _identity(len(self.movie))
        else:
            dtype = np.dtype(np.uint8) if self.movie.dtype.kind == "b" else self.movie.dtype
            found, constant = normalization_rows(
                self.preparation.normalize, self._whole, self.movie.frame_numbers, dtype, self.movie.frame_bytes
            )
        if constant:
            after = " after binarize" if self.preparation.binarize else ""
            raise UserError(
                f"{self.movie.name} shows nothing: every frame has one grey value{after}. Check how it was saved."
            )
        return self._of_every_channel(found)

    def _of_every_channel(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        found = np.broadcast_to(found, (len(found), 2, self.movie.shape[1]))
        if self.preparation.scale_channels == "each":
            return found
        return np.stack([found[:, 0], np.broadcast_to(found[:, 1].max(1, keepdims=True), found[:, 0].shape)], 1)


def block_means(frame: Array, step: int) -> NDArray[np.float32]:
    """Mean over ``step x step`` blocks of ``(C, H, W)``; an incomplete block at the edge is dropped."""
    channels, height, width = frame.shape
    height, width = height // step, width // step
    blocks = frame[:, : height * step, : width * step].reshape(channels, height, step, width, step)
    exact = frame.dtype.itemsize <= 2 and step <= 16  # sums of one grey value, so that a constant frame stays constant
    means: NDArray[np.float32] = blocks.mean(axis=(2, 4), dtype=np.float32 if exact else np.float64).astype(np.float32)
    return means


def middle(frame: Array, side: int) -> Array:
    """Return the middle of a frame (..., H, W), at most `side` pixels in each direction."""
    top, left = (max(0, (length - side) // 2) for length in frame.shape[-2:])
    return frame[..., top : top + side, left : left + side]


def _identity(n_frames: int) -> NDArray[np.float32]:
    return np.tile(np.array([[0], [1]], dtype=np.float32), (n_frames, 1, 1))


def _check(movie: Movie, preparation: Preparation) -> None:
    _, channels, height, width = movie.shape
    step = preparation.subsample
    if min(height, width) < step:
        raise UserError(f"{movie.name} is {height} x {width}, smaller than one block of subsample {step}. Give less.")
    wanted = preparation.taken
    if preparation.channel is not None and (channels > 1 or movie.channel not in (None, preparation.channel)):
        was = f"{channels} channels" if channels > 1 else f"channel {movie.channel}"
        raise UserError(
            f"{movie.name} was opened with {was}, but channel {preparation.channel} is wanted. Open it with"
            f" channel {preparation.channel}."
        )
    if channels != wanted:
        train = f", or train with channels {channels}" if channels > wanted else ""
        raise UserError(
            f"{movie.name} was opened with {channels} channel{'s' * (channels > 1)}, but {wanted} are wanted. "
            f"Open it with channels {wanted}{train}."
        )
