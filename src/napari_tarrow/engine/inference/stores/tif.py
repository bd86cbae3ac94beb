"""Images as one tif (T, C, Y, X), filled block by block and there only when it is whole."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from ...errors import UserError
from ...files import make_folder, only_one, user_path, writing
from .calibration import Calibration
from .space import check_space

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

_BAND_BYTES = 2**26  # read at once
_CLASSIC = 2**32 - 2**25  # bytes that a classic tif holds, with room for its metadata


class TifStore:
    """An OME-TIFF without compression that is being filled; see `open_tif_store`.

    Its pages lie one after the other, so that every block is written where it belongs and whole frames need not fit
    into memory. It is written beside its place and renamed when it is closed with all its frames.

    Attributes
    ----------
    path : Path
    shape : (T, C, H, W)
    dtype : numpy.dtype
    """

    def __init__(
        self, path: Path, shape: tuple[int, int, int, int], dtype: Any, calibration: Calibration, rgb: bool
    ) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self._rgb = rgb
        self._beside = path.with_name(f".{path.name}.part")  # one name: what a kill left is written over
        self._missing = set(range(shape[0]))
        self._pixels = 0
        make_folder(path.parent)
        with contextlib.ExitStack() as undo:
            undo.enter_context(only_one(self._beside, path))
            self._offset = self._laid_out(calibration)
            self._ending = undo.pop_all()

    @property
    def missing(self) -> tuple[int, ...]:
        """Frames that are not written yet, in order."""
        return tuple(sorted(self._missing))

    @property
    def working_bytes(self) -> int:
        """Memory that writing takes: none, rows go to the disk as they are."""
        return 0

    def write(self, frame: int, values: NDArray[Any]) -> None:
        """Write a whole frame (C, H, W).

        Raises
        ------
        UserError
            If the disk is full.
        """
        self.write_block(frame, 0, 0, values)

    def write_block(self, frame: int, y: int, x: int, values: NDArray[Any]) -> None:
        """Write a block (C, h, w) of a frame; a block at (0, 0) starts its frame anew.

        Raises
        ------
        UserError
            If the disk is full.
        """
        if y == x == 0:
            self._pixels = self.shape[2] * self.shape[3]
        planes = self._planes(values.astype(self.dtype.newbyteorder("<"), copy=False))
        with writing(self.path), self._beside.open("rb+", buffering=0) as file:
            for plane, rows in enumerate(planes):
                for start, content in self._runs(frame, plane, y, x, rows):
                    file.seek(start)
                    _write_all(file, content)
        self._pixels -= values.shape[1] * values.shape[2]
        if not self._pixels:
            self._missing.discard(frame)

    def parts(self, frame: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Yield a frame in bands of rows: y, x and values (C, h, width of the frame)."""
        _, channels, height, width = self.shape
        place = self._beside if self._beside.exists() else self.path
        rows = max(1, _BAND_BYTES // (channels * width * self.dtype.itemsize))
        planes, pixel = self._layout
        with place.open("rb") as file:
            for y in range(0, height, rows):
                count = min(rows, height - y) * width * pixel // self.dtype.itemsize
                band = np.empty((planes, count), self.dtype.newbyteorder("<"))
                for plane, content in enumerate(band):  # not mapped: what is mapped counts as the process's memory
                    file.seek(self._place(frame, plane, y, 0))
                    if file.readinto(content.data.cast("B")) < content.nbytes:
                        raise UserError(f"{self.path} was cut off. Delete it and make it anew.")
                yield y, 0, self._unlaid(band)

    def close(self) -> None:
        """Put the file in its place if all frames are written, else take it away.

        Raises
        ------
        UserError
            If it cannot be put there.
        """
        with self._ending, writing(self.path):
            if self._missing:
                self._beside.unlink(missing_ok=True)
            if not self._beside.exists():
                return
            with self._beside.open("rb+") as file:
                os.fsync(file.fileno())
            self._beside.replace(self.path)

    @property
    def _layout(self) -> tuple[int, int]:
        """Planes of a frame, and bytes of a pixel in each: colours lie together, other channels do not."""
        channels, size = self.shape[1], self.dtype.itemsize
        return (1, channels * size) if self._rgb else (channels, size)

    def _place(self, frame: int, plane: int, y: int, x: int) -> int:
        """Where a pixel lies in the file."""
        planes, pixel = self._layout
        return self._offset + (((frame * planes + plane) * self.shape[2] + y) * self.shape[3] + x) * pixel

    def _unlaid(self, band: NDArray[Any]) -> NDArray[Any]:
        """Turn what was read of full rows, planes first, into (C, h, w)."""
        if self._rgb:
            return np.moveaxis(band.reshape(-1, self.shape[3], self.shape[1]), -1, 0)
        return band.reshape(len(band), -1, self.shape[3])

    def _laid_out(self, calibration: Calibration) -> int:
        """Write metadata and the empty pages; return where the first one begins."""
        import tifffile

        frames, channels, height, width = self.shape
        shape = (frames, height, width, channels) if self._rgb else self.shape
        size = int(np.prod(self.shape, dtype=np.int64)) * self.dtype.itemsize
        with contextlib.ExitStack() as undo, writing(self.path):
            undo.callback(self._beside.unlink, missing_ok=True)
            with tifffile.TiffWriter(self._beside, bigtiff=size > _CLASSIC, ome=True, byteorder="<") as file:
                place = file.write(
                    None,
                    shape=shape,
                    dtype=self.dtype,
                    photometric="rgb" if self._rgb else "minisblack",
                    metadata=_metadata(calibration, "TYXS" if self._rgb else "TCYX"),
                    returnoffset=True,
                    contiguous=True,
                )
            undo.pop_all()
        assert place is not None
        return int(place[0])

    def _planes(self, values: NDArray[Any]) -> Iterator[NDArray[Any]]:
        """Give what lies together in the file: (h, w) per channel, or one (h, w * 3) of interleaved colours."""
        if self._rgb:
            yield np.ascontiguousarray(np.moveaxis(values, 0, -1)).reshape(values.shape[1], -1)
        else:
            yield from values

    def _runs(self, frame: int, plane: int, y: int, x: int, rows: NDArray[Any]) -> Iterator[tuple[int, memoryview]]:
        """Give what is to be written without a gap, and where: a plane of full rows at once, else row by row."""
        width, pixel = self.shape[3], self._layout[1]
        first = self._place(frame, plane, y, x)
        rows = np.ascontiguousarray(rows)
        if rows.nbytes == len(rows) * width * pixel:
            yield first, rows.data.cast("B")
            return
        for number, row in enumerate(rows):
            yield first + number * width * pixel, row.data.cast("B")


def open_tif_store(
    path: str | Path,
    shape: tuple[int, int, int, int],
    dtype: Any,
    *,
    calibration: Calibration | None = None,
    rgb: bool = False,
    overwrite: bool = False,
    besides: int = 0,
    advice: str = "",
) -> TifStore:
    """Begin a tif (T, C, Y, X); larger than 4 GB it is a BigTIFF.

    Parameters
    ----------
    path : path
    shape : (T, C, H, W)
    dtype
        uint8 or float32; neither OME-TIFF nor Fiji knows half precision.
    calibration : Calibration, optional
        Seconds and micrometres, for the OME metadata.
    rgb : bool
        Whether three channels of uint8 are the colours of one picture (T, Y, X, 3).
    overwrite : bool
        Whether a file that is there is replaced, once the new one is whole.
    besides, advice
        As `open_store` takes them.

    Raises
    ------
    UserError
        If something is there that may not be replaced, the place cannot be written, the disk has less free, or
        another process is writing it.
    """
    path = user_path(path)
    if path.is_dir():
        raise UserError(f"{path} is a folder. Choose another output.")
    if path.exists() and not overwrite:
        raise UserError(f"{path} is there already. Choose another output, or give --overwrite to replace it.")
    check_space(path, int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize + besides, advice)
    return TifStore(path, shape, dtype, calibration or Calibration(), rgb)


def _metadata(calibration: Calibration, axes: str) -> dict[str, Any]:
    values: dict[str, Any] = {"axes": axes}
    time, _, y, x = calibration.scale
    if calibration.interval:
        values |= {"TimeIncrement": time, "TimeIncrementUnit": "s"}
    if calibration.pixel_size:
        values |= {"PhysicalSizeY": y, "PhysicalSizeYUnit": "µm", "PhysicalSizeX": x, "PhysicalSizeXUnit": "µm"}
    return values


def _write_all(file: Any, content: memoryview) -> None:
    while content:
        content = content[file.write(content) :]
