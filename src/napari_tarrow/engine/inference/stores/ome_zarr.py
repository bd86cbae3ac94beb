"""OME-Zarr images that are written frame by frame, and that a killed run goes on with."""

from __future__ import annotations

import contextlib
import os
import shutil
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...files import make_folder, only_one, user_path, writing
from .assembly import Assembly
from .calibration import Calibration
from .ledger import Ledger, read_ledger
from .ome_layout import LEVEL, attributes, chunks, encoding
from .space import check_space, stored_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from .ome_layout import Version

_LEDGER = "frames_finished.txt"  # beside the chunks, where no reader of zarr looks for arrays


class ZarrStore:
    """An OME-Zarr image of one level, axes t, c, y, x, being filled; see `open_store`.

    One frame is one chunk; a frame of more than 256 MB is divided into square blocks. Only whole chunks are written,
    each into a file that is renamed when it is whole; when all chunks of a frame are on the disk, the ledger says so.

    Attributes
    ----------
    path : Path
    shape : (T, C, H, W)
    dtype : numpy.dtype
    """

    def __init__(self, path: Path, ledger: Ledger, ending: contextlib.ExitStack) -> None:
        self.path = path
        self._array = _array(path)
        self._ledger, self._ending, self._closed = ledger, ending, False
        self.shape: tuple[int, int, int, int] = self._array.shape
        self.dtype = np.dtype(self._array.dtype)
        self._frame, self._assembly = -1, self._empty()

    @property
    def missing(self) -> tuple[int, ...]:
        """Frames that are not written yet, in order."""
        return self._ledger.missing

    @property
    def working_bytes(self) -> int:
        """Memory that writing takes at most: a row of chunks that are not complete, and one chunk in compression."""
        _, channels, height, width = self._array.chunks
        pixel = channels * self.dtype.itemsize
        return int(pixel * height * (self.shape[3] + 2 * width))

    def write(self, frame: int, values: NDArray[Any]) -> None:
        """Write a whole frame (C, H, W).

        Raises
        ------
        UserError
            If the disk is full or cannot be written.
        """
        self.write_block(frame, 0, 0, values)

    def write_block(self, frame: int, y: int, x: int, values: NDArray[Any]) -> None:
        """Write a block (C, h, w) of a frame; with the block that completes it the frame is finished.

        A block at (0, 0) starts its frame anew. The blocks of one frame come one after the other.

        Raises
        ------
        UserError
            If the disk is full or cannot be written.
        ValueError
            If the block does not lie in the frame, or belongs to another frame than the blocks before it.
        """
        if y == x == 0:
            self._frame, self._assembly = frame, self._empty()
        if frame != self._frame:
            raise ValueError(f"a block of frame {frame} came before frame {self._frame} was complete")
        with writing(self.path):
            for top, left, chunk in self._assembly.add(y, x, values):
                height, width = chunk.shape[1:]
                self._array[frame, :, top : top + height, left : left + width] = chunk
                self._flush(frame, top, left)
        if self._assembly.complete:
            self._ledger.add(frame)

    def parts(self, frame: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield a frame chunk by chunk: y, x and values (C, h, w).

        Raises
        ------
        UserError
            If a chunk is damaged.
        """
        height, width = self._array.chunks[2:]
        for y, x in product(range(0, self.shape[2], height), range(0, self.shape[3], width)):
            try:
                values = np.asarray(self._array[frame, :, y : y + height, x : x + width])
            except Exception as error:
                raise UserError(
                    f"Frame {frame} of {self.path} cannot be read ({error}). Delete it and make it anew."
                ) from error
            yield y, x, values

    def close(self) -> None:
        """End writing: every finished frame is on the disk already, and an output without one goes."""
        if self._closed:
            return
        self._closed = True
        with self._ending:
            known = read_ledger(self._ledger.path)  # where a disk knows no locks, another process may be at it
            if known is not None and not known.finished:
                shutil.rmtree(self.path, ignore_errors=True)

    def _empty(self) -> Assembly:
        height, width = self._array.chunks[2:]
        return Assembly((self.shape[1], self.shape[2], self.shape[3]), (height, width), self.dtype)

    def _flush(self, frame: int, top: int, left: int) -> None:
        """Have the chunk on the disk itself before the ledger says so: a computer may lose power, too."""
        height, width = self._array.chunks[2:]
        key = self._array.metadata.encode_chunk_key((frame, 0, top // height, left // width))
        with contextlib.suppress(FileNotFoundError), (self.path / LEVEL / key).open("rb+") as file:  # all zeros: none
            os.fsync(file.fileno())


def open_store(
    path: str | Path,
    shape: tuple[int, int, int, int],
    dtype: Any,
    settings: Mapping[str, Any],
    *,
    calibration: Calibration | None = None,
    version: Version = "0.5",
    overwrite: bool = False,
    about: Mapping[str, Any] | None = None,
    besides: int = 0,
    advice: str = "",
) -> ZarrStore:
    """Open an output of ours to go on with it, or make a new one.

    Parameters
    ----------
    path : path
        The folder, usually ``OUT.zarr``.
    shape : (T, C, H, W)
    dtype
        Of the values; an image of three channels of uint8 is marked as red, green and blue.
    settings : mapping
        All that changes values: model, movie, options. An output that was made with others is not gone on with.
    calibration : Calibration, optional
        Seconds and micrometres; without it, frames and pixels.
    version : {"0.5", "0.4"}
        Of OME-Zarr: 0.5 lies in zarr 3, 0.4 in zarr 2.
    overwrite : bool
        Whether an output of ours with other settings is replaced. One with these settings is gone on with all the same.
    about : mapping, optional
        What else the metadata tell of its making, such as versions; it does not change values.
    besides : int
        Bytes that are to be written to the same disk besides.
    advice : str
        What would make it smaller, as a sentence, where the disk has not enough free.

    Raises
    ------
    UserError
        If something else is there, an output of other settings that may not be replaced, or a damaged one; if the
        disk has less free than the missing frames may take; or if another process is writing it.
    """
    path = user_path(path)
    settings = {**settings, "shape": list(shape), "dtype": np.dtype(dtype).name, "ome_zarr": version}
    frame = int(np.prod(shape[1:], dtype=np.int64)) * np.dtype(dtype).itemsize

    def usable() -> Ledger | None:
        """Return the ledger to go on with, None where a new image is to be made; refuse what may not be."""
        ledger, freed = _ours(path), 0
        if ledger and (difference := ledger.difference(settings)):
            if not overwrite:
                raise UserError(
                    f"{path} was made {difference}. Choose another output, or give --overwrite to replace it."
                )
            ledger, freed = None, stored_bytes(path)
        if lacking := shape[0] if ledger is None else len(ledger.missing):
            check_space(path, lacking * frame + besides - freed, advice)
        return ledger

    if (ledger := usable()) is not None and not ledger.missing:
        return ZarrStore(path, ledger, contextlib.ExitStack())
    make_folder(path.parent)
    beside = path.with_name(f".{path.name}.part")
    with contextlib.ExitStack() as undo:
        undo.enter_context(only_one(beside, path))
        if (ledger := usable()) is None:  # nobody else changes it from now on
            told = {"settings": settings, **(about or {})}
            _create(path, beside, shape, dtype, version, calibration or Calibration(), told)
            ledger = _ours(path)
            assert ledger is not None
        return ZarrStore(path, ledger, undo.pop_all())


def _ours(path: Path) -> Ledger | None:
    """Read the ledger of an output of ours; None where a new one may be made.

    Raises
    ------
    UserError
        If something is there that is not ours.
    """
    if not path.exists():
        return None
    ledger = read_ledger(path / LEVEL / _LEDGER) if path.is_dir() else None
    if ledger is None and (path.is_file() or any(path.iterdir())):
        raise UserError(f"{path} is there already, and is no output of this program's. Choose another output.")
    return ledger


def _create(
    path: Path,
    beside: Path,
    shape: tuple[int, int, int, int],
    dtype: Any,
    version: Version,
    calibration: Calibration,
    about: Mapping[str, Any],
) -> None:
    """Make the image beside its place, with metadata and an empty ledger, and rename it: it is whole or absent."""
    import zarr

    with writing(path):
        _remove(beside)
        if path.exists():
            path.replace(beside)  # first out of the way: half of it, left by a kill, would not be known as ours
            _remove(beside)
        group = zarr.create_group(beside, zarr_format=3 if version == "0.5" else 2)
        group.create_array(LEVEL, shape=shape, chunks=chunks(shape, np.dtype(dtype)), dtype=dtype, **encoding(version))
        group.attrs.update(attributes(path, shape, np.dtype(dtype), version, calibration, about))
        Ledger(beside / LEVEL / _LEDGER, about["settings"], shape[0]).create()
        beside.replace(path)


def _remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _array(path: Path) -> Any:
    import zarr

    try:
        return zarr.open_array(path / LEVEL, mode="r+")
    except Exception as error:
        raise UserError(f"{path} is damaged: its metadata cannot be read. Delete it, or choose another.") from error
