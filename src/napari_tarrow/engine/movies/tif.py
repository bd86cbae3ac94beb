"""Movies in one tif file: plain, ImageJ, OME, tiled, compressed, larger than 4 GB."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .layout import DROPPED, Layout, arranged, find_layout
from .movie import Movie, make_movie
from .tif_metadata import interval_and_pixel_size

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import tifffile
    from numpy.typing import NDArray

    Array = NDArray[Any]

ENDINGS = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
_DAMAGE = re.compile("invalid page offset|corrupt|failed to reshape|invalid value offset")


def open_tif(path: Path, *, channels: int = 0, axes: str | None = None) -> Movie:
    """Open a tif file as a movie; its pages are read when asked for.

    Raises
    ------
    UserError
        If it is no whole tif file, or not one 2D movie.
    """
    file, series = open_series(path)
    layout = find_layout(path.name, series.axes, series.shape, channels=channels, given=axes, source=series.kind)
    if layout.length("T") < 2:
        file.close()
        raise UserError(f"{path.name} is one picture, not a movie. Give a stack, or a folder with many of them.")
    try:
        planes = _Planes(file, series, path)
    except UserError:
        file.close()
        raise
    interval, pixel_size = interval_and_pixel_size(file)
    reader = _Reader(planes, layout, path)
    weakref.finalize(reader, file.close)
    name = path.name.split(".ome.")[0] if ".ome." in path.name else path.stem
    return make_movie(name, str(path), layout, series.dtype, reader.read, interval=interval, pixel_size=pixel_size)


def open_series(path: Path) -> tuple[tifffile.TiffFile, tifffile.TiffPageSeries]:
    """Open a tif file and find its one series of pictures; the caller closes the file.

    Raises
    ------
    UserError
        If the file is empty, no tif, cut off, or holds several series.
    """
    import tifffile

    if path.stat().st_size == 0:
        raise UserError(f"{path.name} is empty (0 bytes). Copy it again from its source.")
    with _complaints() as complaints:
        try:
            file = tifffile.TiffFile(path)
            series = file.series
        except Exception as error:
            raise UserError(f"{path.name} cannot be read as tif ({_short(error)}). Copy or save it again.") from error
    if any(_DAMAGE.search(line) for line in complaints):
        file.close()
        raise UserError(f"{path.name} is damaged or cut off. Copy it again from its source.")
    if not series or series[0].dtype is None:
        file.close()
        raise UserError(f"{path.name} holds no pictures that can be read. Save it again, in Fiji for instance.")
    if len(series) > 1:
        joined = _joined(series)
        if joined is None:
            file.close()
            raise UserError(_several(path, series))
        return file, joined
    return file, series[0]


class _Reader:
    """Frames of a movie from the planes of a file."""

    def __init__(self, planes: _Planes, layout: Layout, path: Path) -> None:
        self._planes, self._layout, self._path = planes, layout, path

    def read(self, index: int) -> Array:
        """Read frame `index` as ``(C, H, W)``."""
        try:
            return self._read(index)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"Frame {index} of {self._path.name} cannot be read ({_short(error)}). "
                "The file is damaged or was changed: copy it again from its source."
            ) from error

    def _read(self, index: int) -> Array:
        lead, inside = self._layout.axes[: self._planes.lead], self._layout.axes[self._planes.lead :]
        if "C" not in lead:
            return self._inside(self._planes.read(self._number(lead, index, 0)), inside, index)
        numbers = [self._number(lead, index, channel) for channel in range(self._layout.channels)]
        return np.concatenate([self._inside(self._planes.read(number), inside, index) for number in numbers])

    def _number(self, lead: str, index: int, channel: int) -> int:
        at = {"T": index, "C": channel}
        return (
            int(np.ravel_multi_index([at.get(axis, 0) for axis in lead], self._layout.shape[: len(lead)]))
            if lead
            else 0
        )

    def _inside(self, plane: Array, axes: str, index: int) -> Array:
        """Take what belongs to frame `index` from one plane."""
        at: dict[str, int | slice] = {"T": index, DROPPED: 0, "C": slice(self._layout.channels)}
        block = plane[tuple(at.get(axis, slice(None)) for axis in axes)]
        return arranged(block, axes.replace("T", "").replace(DROPPED, ""))


class _Planes:
    """The pictures of a series one by one, by their number; safe to use from several threads."""

    def __init__(self, file: tifffile.TiffFile, series: tifffile.TiffPageSeries, path: Path) -> None:
        self._file, self._series, self._path = file, series, path
        self._lock = threading.RLock()
        key = series.keyframe
        self._shape = key.shape
        self.lead = len(series.shape) - len(key.shape)
        if self.lead < 0 or series.shape[self.lead :] != key.shape or series.transform is not None:
            raise UserError(
                f"{path.name} has an unusual layout (axes {series.axes}). Save it again, in Fiji for instance."
            )
        self._count = int(np.prod(series.shape[: self.lead], dtype=np.int64))
        # ImageJ describes only the first page of files above 4 GB: there, the rest follows as plain bytes.
        self._offset = series.dataoffset if key.is_final else None
        self._dtype = np.dtype(key.dtype).newbyteorder(file.byteorder)
        self._check_whole()

    def read(self, number: int) -> Array:
        """Read plane `number`."""
        return self._paged(number) if self._offset is None else self._plain(number, self._offset)

    def _plain(self, number: int, offset: int) -> Array:
        size = int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        with self._lock:
            handle = self._file.filehandle
            handle.seek(offset + number * size)
            data = handle.read(size)
        return np.frombuffer(data, self._dtype).reshape(self._shape)

    def _paged(self, number: int) -> Array:
        with self._lock:
            page = self._series.pages[number]
            if page is None or not page.dataoffsets:
                raise UserError(f"Picture {number} of {self._path.name} is missing in the file. Export it again.")
            if self._series.is_multifile:  # tifffile opens and closes the other files in between
                return page.asarray(maxworkers=1)
        return page.asarray(lock=self._lock, maxworkers=1)  # only the reading waits for others, not the decoding

    def _check_whole(self) -> None:
        """Refuse a file that ends before its last picture does."""
        if self._offset is not None:
            end = self._offset + self._count * int(np.prod(self._shape, dtype=np.int64)) * self._dtype.itemsize
        else:
            try:
                last = self._series.pages[self._count - 1]
            except IndexError:
                last = None
            if last is None or self._series.is_multifile:
                end = 0
            else:
                end = max(
                    (at + size for at, size in zip(last.dataoffsets, last.databytecounts, strict=False)), default=0
                )
            if len(self._series.pages) < self._count:
                end = self._file.filehandle.size + 1
        if end > self._file.filehandle.size:
            raise UserError(
                f"{self._path.name} is cut off: it should hold {self._count} pictures, but ends before the last. "
                "Copy it again from its source."
            )


@contextlib.contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile would log, instead of letting it flood the terminal."""
    import tifffile

    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = tifffile.logger()
    before, logger.propagate = logger.propagate, False
    logger.addHandler(handler)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.propagate = before


def _joined(series: list[tifffile.TiffPageSeries]) -> tifffile.TiffPageSeries | None:
    """Join series of one picture each, as tifffile writes them in a loop; None if they are anything else."""
    import tifffile

    first = series[0]
    alike = all((one.kind, one.shape, one.dtype, len(one)) == ("shaped", first.shape, first.dtype, 1) for one in series)
    if not alike or first.axes != "YX":
        return None
    pages = [one.keyframe for one in series]
    shape = (len(series), *first.shape)
    return tifffile.TiffPageSeries(pages, shape, first.dtype, "IYX", parent=first.parent, kind="shaped")


def _several(path: Path, series: list[tifffile.TiffPageSeries]) -> str:
    names = [
        f"{one.name or number} ({' x '.join(map(str, one.shape))}, {one.axes})" for number, one in enumerate(series)
    ]
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    return f"{path.name} holds {len(series)} series: {shown}. Save the one you want as a file of its own."


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
