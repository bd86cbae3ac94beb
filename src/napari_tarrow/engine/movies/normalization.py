"""Two numbers per frame and channel, `low` and `span`, so that ``(x - low) / span`` is what a network is fed."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from .smoothing import smoothed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Rows = NDArray[np.float32]

Normalize = Literal["frame", "channel", "movie", "smooth"]

LOW, HIGH = 1.0, 99.8  # percentiles
STEP = 8  # they are taken over every 8th pixel along every axis, channels too
EPSILON = 1e-10
MOVIE_VALUES = 2**22  # values kept (16 MB) for the percentiles of a movie whose type has too many values to count each
THREADS = 4  # reading ahead; more do not help, as they share one file
AHEAD = 2**27  # bytes of frames that are read at a time


class Statistics(NamedTuple):
    """What one look at a frame gives."""

    low: float
    high: float
    smallest: float
    largest: float
    grid: Array  # every 8th pixel


def frame_statistics(frame: Array) -> Statistics:
    """Percentiles of a frame ``(C, H, W)`` as the specification has them: linear, in float32, on every 8th pixel.

    Where they coincide although the frame is not constant (few bright spots on a flat background), its smallest and
    largest value take their place: dividing by 1e-10 would give values of 1e14.
    """
    grid = frame[::STEP, ::STEP, ::STEP].flatten()  # a copy, so that the frame can go
    low, high = (float(value) for value in np.percentile(grid.astype(np.float32), (LOW, HIGH)).astype(np.float32))
    smallest, largest = float(frame.min()), float(frame.max())
    if low == high:
        low, high = smallest, largest
    return Statistics(low, high, smallest, largest, grid)


def looked_at(frame: Array, mode: Normalize) -> list[Statistics]:
    """Return the statistics of every channel of a frame, or one for all where `mode` scales them together."""
    return [frame_statistics(part) for part in ([frame] if mode == "frame" else np.split(frame, len(frame)))]


def normalization_rows(
    mode: Normalize,
    read: Callable[[int], Array],
    frame_numbers: NDArray[np.int64],
    dtype: np.dtype[Any],
    frame_bytes: int = 0,
) -> tuple[Rows, bool]:
    """Look at every frame once and find `low` and `span` of it, and whether all frames are constant.

    Parameters
    ----------
    mode
        ``frame``: each frame by itself, all channels as the first. The others take each channel by itself: ``channel``
        in each frame, ``movie`` in all frames together, ``smooth`` in each frame, smoothed over time.
    read
        Index to frame; called from several threads, which do not change the result.
    frame_numbers : (T,) int64
    dtype
        Of the frames.
    frame_bytes
        Size of a frame: few large ones are read at a time.

    Returns
    -------
    rows : (T, 2, C) float32
        `low` and `span`; C is 1 where one scale is all channels'.
    constant : bool
    """
    n_frames = len(frame_numbers)
    threads = max(1, min(THREADS, os.cpu_count() or 1, AHEAD // max(1, frame_bytes)))

    looks: list[list[tuple[float, ...]]] = []
    values: list[_Values] = []
    for channels in _streamed(lambda index: looked_at(read(index), mode), range(n_frames), threads):
        looks.append([channel[:4] for channel in channels])
        if mode == "movie":
            values = values or [_Values(dtype, n_frames) for _ in channels]
            for counted, channel in zip(values, channels, strict=True):
                counted.add(channel.grid)
    low, high, smallest, largest = np.moveaxis(np.array(looks, np.float64), 2, 0)
    for number, counted in enumerate(values):
        start, end = counted.percentiles()
        if start == end:
            start, end = smallest[:, number].min(), largest[:, number].max()
        low[:, number], high[:, number] = start, end
    if mode == "smooth":
        low, high = _smoothed(low, high, frame_numbers)
    return rows(low, high), bool((smallest == largest).all())


def rows(low: NDArray[np.float64], high: NDArray[np.float64]) -> Rows:
    """Turn two percentiles per frame and channel, (T, C), into `low` and `span`, ``(T, 2, C)``."""
    return np.stack([low, high - low + EPSILON], axis=1).astype(np.float32)


def _smoothed(
    low: NDArray[np.float64], high: NDArray[np.float64], frame_numbers: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Smooth the percentiles of every channel, (T, C), over the times at which it shows something.

    A channel may be recorded only now and then: frames in which it is blank take what lies between those around them.
    """
    low, high = low.copy(), high.copy()
    for channel in np.flatnonzero((low < high).any(0)):
        lit = low[:, channel] < high[:, channel]
        there = frame_numbers[lit]
        span = smoothed((high[:, channel] - low[:, channel])[lit], there)
        low[:, channel] = np.interp(frame_numbers, there, smoothed(low[lit, channel], there))
        high[:, channel] = low[:, channel] + np.interp(frame_numbers, there, span)
    return low, high


class _Values:
    """Values of many frames in bounded memory: counted one by one up to 16 bits, else an evenly spaced sample."""

    def __init__(self, dtype: np.dtype[Any], n_frames: int) -> None:
        self._counted = dtype.kind in "bui" and dtype.itemsize <= 2
        self._least = int(np.iinfo(dtype).min) if dtype.kind == "i" else 0
        self._counts = np.zeros(2**16 if self._counted else 0, dtype=np.int64)
        self._per_frame = max(1, MOVIE_VALUES // n_frames)
        self._sample: list[Array] = []

    def add(self, grid: Array) -> None:
        """Take in the values of one frame, ``(N,)``."""
        if self._counted:
            self._counts += np.bincount(grid.astype(np.int64) - self._least, minlength=2**16)
        elif len(grid) <= self._per_frame:
            self._sample.append(grid.astype(np.float32))
        else:
            chosen = np.linspace(0, len(grid) - 1, self._per_frame).astype(np.int64)
            self._sample.append(grid[chosen].astype(np.float32))

    def percentiles(self) -> tuple[float, float]:
        """Percentiles of all values, with linear interpolation between neighbours in rank."""
        if not self._counted:
            low, high = np.percentile(np.concatenate(self._sample), (LOW, HIGH))
            return float(low), float(high)
        up_to = self._counts.cumsum()
        rank = np.array([LOW, HIGH]) / 100 * (up_to[-1] - 1)
        below, above = (np.searchsorted(up_to, at, side="right") for at in (np.floor(rank), np.ceil(rank)))
        low, high = self._least + below + (rank - np.floor(rank)) * (above - below)
        return float(low), float(high)


def _streamed(
    look: Callable[[int], list[Statistics]], indices: Sequence[int], threads: int
) -> Iterator[list[Statistics]]:
    """Look at frames in threads, a few ahead; results come in order."""
    ahead = 4 * threads
    with ThreadPoolExecutor(threads, thread_name_prefix="movie") as pool:
        for start in range(0, len(indices), ahead):
            yield from pool.map(look, indices[start : start + ahead])
