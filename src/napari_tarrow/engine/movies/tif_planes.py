"""The pictures in a tif file one by one, without reading the others."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError

if TYPE_CHECKING:
    import tifffile
    from numpy.typing import NDArray

    Array = NDArray[Any]


class Planes:
    """The planes of a series by their number; several threads may read at once.

    Parameters
    ----------
    file : tifffile.TiffFile
        Open, and kept open by whoever opened it.
    series : tifffile.TiffPageSeries
    name : str
        Of the file, for error messages.

    Attributes
    ----------
    lead : int
        How many of the axes of the series run over planes; the others lie inside a plane.

    Raises
    ------
    UserError
        If the file ends before the last plane does.
    """

    def __init__(self, file: tifffile.TiffFile, series: tifffile.TiffPageSeries, name: str) -> None:
        self._file, self._series, self._name = file, series, name
        self._lock = threading.RLock()
        key = series.keyframe
        self.lead = len(series.shape) - len(key.shape)
        if self.lead < 0 or series.shape[self.lead :] != key.shape:
            raise UserError(f"{name} has an unusual layout (axes {series.axes}). Save it again, in Fiji for instance.")
        self._count = math.prod(series.shape[: self.lead])
        self._shape = key.shape
        self._dtype = np.dtype(series.dtype).newbyteorder(file.byteorder)
        self._size = math.prod(self._shape) * self._dtype.itemsize
        # ImageJ describes only the first plane of a file above 4 GB; the others follow as plain bytes.
        self._offset = series.dataoffset if key.is_final else None
        if self._end() > file.filehandle.size:
            raise UserError(
                f"{name} is cut off: it should hold {self._count} pictures, but ends before the last. "
                "Copy it again from its source."
            )

    def read(self, number: int) -> Array:
        """Read plane `number`."""
        if self._offset is None:
            return self._page(number)
        with self._lock:
            self._file.filehandle.seek(self._offset + number * self._size)
            data = self._file.filehandle.read(self._size)
        return np.frombuffer(data, self._dtype).reshape(self._shape)

    def _page(self, number: int) -> Array:
        with self._lock:
            page = self._series.pages[number]
            if page is None or not page.dataoffsets:
                raise UserError(f"Picture {number} of {self._name} is missing in the file. Export it again.")
            if self._series.is_multifile:  # tifffile opens and closes the other files in between
                return page.asarray(maxworkers=1)
        return page.asarray(lock=self._lock, maxworkers=1)  # others wait for the reading, not for the decoding

    def _end(self) -> float:
        """Where the last plane ends in the file."""
        if self._offset is not None:
            return self._offset + self._count * self._size
        try:
            last = self._series.pages[self._count - 1]
        except IndexError:
            return math.inf
        return 0 if last is None or self._series.is_multifile else page_end(last)


def page_end(page: tifffile.TiffPage | tifffile.TiffFrame) -> int:
    """Where the data of a page end in its file."""
    return max((at + size for at, size in zip(page.dataoffsets, page.databytecounts, strict=False)), default=0)
