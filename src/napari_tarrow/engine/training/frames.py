"""The frames of all movies in one flat tensor, in their stored type, where the network computes if they fit there."""

from __future__ import annotations

import contextlib
import functools
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from ..devices import free_memory
from ..errors import UserError
from ..files import in_words, other_temporary_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from ..movies import PreparedMovie

# Share of the free memory that frames may take; the rest is for the network's activations.
_SHARE = 0.4
# The median of a frame is that of every so many pixels along each side.
_MEDIAN_STEP = 4
# Apple's GPU finds nothing beyond that position.
_MOST_ON_MPS = 2**31
# torch has few operations for unsigned types wider than 8 bits: their bits are kept in signed ones.
_SIGNED = {np.dtype(np.uint16): np.dtype(np.int16), np.dtype(np.uint32): np.dtype(np.int32)}


@dataclass(frozen=True)
class FrameStore:
    """Frames of one or several movies; a frame is named by its number in the store.

    Attributes
    ----------
    values : (P,) tensor
        All pixels, one frame after the other, each (C, H, W).
    mask : int or None
        Where unsigned values sit in a signed type: the bits that count.
    offsets, heights, widths : (N,) int64
        Where each frame starts, and its size.
    low, span : (N, C) float32
        A prepared value is ``(stored - low) / span``.
    channels : int
    place : str
        Where the pixels are: the device, memory, or disk.
    """

    values: torch.Tensor
    mask: int | None
    offsets: np.ndarray
    heights: np.ndarray
    widths: np.ndarray
    low: np.ndarray
    span: np.ndarray
    channels: int
    place: str

    @functools.cached_property
    def medians(self) -> np.ndarray:
        """Of every prepared frame and channel, about: the level of its background, (N, C) float32.

        Reads all frames, once.
        """
        coarse = (self.frame(k)[..., ::_MEDIAN_STEP, ::_MEDIAN_STEP] for k in range(len(self.offsets)))
        return np.array([np.median(frame.cpu().numpy(), (1, 2)) for frame in coarse], np.float32)

    def read(self, index: torch.Tensor) -> torch.Tensor:
        """Return stored values as float32; `index` holds positions in `values`, of any shape."""
        raw = self.values.index_select(0, index.reshape(-1))
        if self.mask is not None:
            raw = raw.to(torch.int32 if self.mask == 0xFFFF else torch.int64) & self.mask
        return raw.to(torch.float32).view(index.shape)

    def frame(self, number: int) -> torch.Tensor:
        """Return one prepared frame: (C, H, W) float32, where the store is."""
        shape = (self.channels, int(self.heights[number]), int(self.widths[number]))
        start = int(self.offsets[number])
        index = torch.arange(start, start + int(np.prod(shape)), device=self.values.device)
        low, span = (torch.from_numpy(one[number]).to(index.device)[:, None, None] for one in (self.low, self.span))
        return (self.read(index).view(shape) - low) / span


@contextlib.contextmanager
def stored_frames(
    movies: Sequence[PreparedMovie], used: Sequence[Iterable[int]], device: torch.device, readers: int
) -> Iterator[tuple[FrameStore, list[np.ndarray]]]:
    """Read the used frames of the movies once and keep them for random access.

    They are kept on `device` if they fit beside the network, else in memory, else in a temporary file.

    Parameters
    ----------
    movies : prepared movies, all with the same number of channels
    used : for each movie, the indices of its frames that are needed
    readers : number of threads that read; the result does not depend on it

    Yields
    ------
    store : FrameStore
    numbers : for each movie, (T,) int64: the number in the store of each of its frames, -1 where it is not there

    Raises
    ------
    UserError
        If a frame cannot be read, or no place is large enough.
    """
    wanted = [(m, i) for m, indices in enumerate(used) for i in sorted(set(indices))]
    shapes = np.array([movies[m].shape[1:] for m, _ in wanted], np.int64)
    sizes = shapes.prod(1)
    offsets = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    dtype = _common_dtype(movies)
    with _buffer(int(sizes.sum()), dtype, device) as (buffer, place):
        _fill(np.split(buffer, offsets[1:]), movies, wanted, readers)
        scales = [movie.normalization() for movie in movies]
        low_span = np.array([scales[m][i] for m, i in wanted], np.float32)
        values = torch.from_numpy(buffer.view(_SIGNED.get(dtype, dtype)))
        if place == str(device):
            values = values.to(device)
        del buffer  # on another device than the CPU, frames are not kept twice
        store = FrameStore(
            values=values,
            mask={np.dtype(np.uint16): 0xFFFF, np.dtype(np.uint32): 0xFFFFFFFF}.get(dtype),
            offsets=offsets,
            heights=shapes[:, 1],
            widths=shapes[:, 2],
            low=low_span[:, 0],
            span=low_span[:, 1],
            channels=int(shapes[0, 0]),
            place=place,
        )
        yield store, _numbers(movies, wanted)


def _fill(
    places: Sequence[np.ndarray], movies: Sequence[PreparedMovie], wanted: Sequence[tuple[int, int]], readers: int
) -> None:
    """Read each wanted frame of the movies into its place, flat."""

    def read(place: np.ndarray, frame: tuple[int, int]) -> None:
        place[:] = movies[frame[0]].stored(frame[1]).astype(place.dtype, copy=False).ravel()

    with ThreadPoolExecutor(max(1, readers)) as pool:
        list(pool.map(read, places, wanted))


def _numbers(movies: Sequence[PreparedMovie], wanted: Sequence[tuple[int, int]]) -> list[np.ndarray]:
    numbers = [np.full(movie.shape[0], -1, np.int64) for movie in movies]
    for k, (m, i) in enumerate(wanted):
        numbers[m][i] = k
    return numbers


def _common_dtype(movies: Sequence[PreparedMovie]) -> np.dtype:
    dtypes = {movie.dtype for movie in movies}
    return dtypes.pop() if len(dtypes) == 1 else np.dtype(np.float32)


@contextlib.contextmanager
def _buffer(count: int, dtype: np.dtype, device: torch.device) -> Iterator[tuple[np.ndarray, str]]:
    """Give a flat array for the frames and say where it will stay."""
    size = count * dtype.itemsize
    cpu = torch.device("cpu")
    if size < _SHARE * free_memory(cpu):
        on_device = size < _SHARE * free_memory(device) and (device.type != "mps" or count < _MOST_ON_MPS)
        yield np.empty(count, dtype), str(device) if on_device else "memory"
        return
    folder = Path(tempfile.gettempdir())
    if size > 0.9 * shutil.disk_usage(folder).free:
        raise UserError(
            f"The movies need {in_words(size)}, more than fits in memory or in {folder}, the folder for temporary"
            f" files. Use fewer frames (n_images) or subsample 2, or {other_temporary_folder()}."
        )
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        yield np.memmap(Path(temporary) / "frames", dtype, "w+", shape=(count,)), "disk"
