"""Movies in one tif file: plain, ImageJ, OME, tiled, compressed, larger than 4 GB."""

from __future__ import annotations

import contextlib
import logging
import re
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .layout import Layout, are_axes, arranged, find_layout, selection
from .movie import Movie, make_movie
from .tif_metadata import interval_and_pixel_size
from .tif_planes import Planes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import tifffile
    from numpy.typing import NDArray

    from .layout import Channels

    Array = NDArray[Any]

ENDINGS = (".tif", ".tiff", ".btf", ".tf2", ".tf8")
_DAMAGE = re.compile("invalid page offset|corrupt|failed to reshape|invalid value offset")


def open_tif(path: Path, *, channels: Channels = 0, axes: str | None = None) -> Movie:
    """Open a tif file as a movie; its pages are read when asked for.

    Raises
    ------
    UserError
        If it is no whole tif file, or not one movie.
    """
    file, series = open_series(path)
    with contextlib.ExitStack() as undo:
        undo.callback(file.close)
        layout = find_layout(path.name, series.axes, series.shape, channels=channels, given=axes, kind=series.kind)
        planes = Planes(file, series, path.name)
        if set(layout.axes[: planes.lead]) & set("YX"):
            raise UserError(
                f"{path.name} holds pictures of axes {series.axes}, of which {axes or series.axes} would take one row"
                " each. Give axes that end with Y and X, or save it again."
            )
        reader = _Reader(planes, layout, path.name)
        interval, pixel_size = interval_and_pixel_size(file)
        name = path.name.split(".ome.")[0].removesuffix(path.suffix)
        dtype = np.dtype(series.dtype)
        movie = make_movie(name, str(path), layout, dtype, reader.read, interval=interval, pixel_size=pixel_size)
        undo.pop_all()
    weakref.finalize(reader, file.close)
    return movie


def named_axes(path: Path, shape: tuple[int, ...]) -> str | None:
    """Return the axes of a tif file's pictures, such as TZYX, where it names them all; time must be among them.

    None where it does not, or where neither the pictures nor one channel of them have this shape.
    """
    try:
        file, series = open_series(path)
    except (UserError, OSError):
        return None
    with file:
        axes = series.axes.replace("S", "C")
        if not are_axes(axes) or "T" not in axes:
            return None
        of_channel = tuple(length for axis, length in zip(axes, series.shape, strict=True) if axis != "C")
        return axes if series.shape == shape else axes.replace("C", "") if of_channel == shape else None


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
    with _complaints() as complaints, contextlib.ExitStack() as undo:
        try:
            file = undo.enter_context(tifffile.TiffFile(path))
            series = list(file.series)
        except Exception as error:
            raise UserError(f"{path.name} cannot be read as tif ({_short(error)}). Copy or save it again.") from error
        if any(_DAMAGE.search(line) for line in complaints):
            raise UserError(f"{path.name} is damaged or cut off. Copy it again from its source.")
        one = _the_one(series, path.name)
        undo.pop_all()
    return file, one


class _Reader:
    """Frames of a movie from the planes of a file."""

    def __init__(self, planes: Planes, layout: Layout, name: str) -> None:
        self._planes, self._layout, self._name = planes, layout, name
        self._lead, self._inside = layout.axes[: planes.lead], layout.axes[planes.lead :]

    def read(self, index: int, only: int | None = None) -> Array:
        """Read frame `index` as ``(C, H, W)``, with Z slices, or `only` one of them, ``(C, Z, H, W)``."""
        separate = self._layout.channels if "C" in self._lead else range(1)  # planes that make a frame
        try:
            parts = [self._channel(index, channel, only) for channel in separate]
            return parts[0] if len(parts) == 1 else np.concatenate(parts)
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"Frame {index} of {self._name} cannot be read ({_short(error)}). "
                "The file is damaged or was changed: copy it again from its source."
            ) from error

    def _channel(self, index: int, channel: int, only: int | None) -> Array:
        """Read one channel of a frame, or all where planes hold all."""
        if "Z" not in self._lead:
            return self._part(index, channel, only)
        wanted = range(self._layout.slices) if only is None else (only,)
        return np.stack([self._part(index, channel, z) for z in wanted], axis=1)

    def _part(self, index: int, channel: int, z: int | None) -> Array:
        """Read what one plane holds of a frame."""
        at = {"T": index, "C": channel, "Z": z or 0}
        number = 0
        for axis, length in zip(self._lead, self._layout.shape, strict=False):
            number = number * length + at.get(axis, 0)
        plane = self._planes.read(number)
        return arranged(plane[selection(self._inside, index, self._layout.channels, z)], self._inside)


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


def _the_one(series: list[tifffile.TiffPageSeries], name: str) -> tifffile.TiffPageSeries:
    if not series or series[0].dtype is None:
        raise UserError(f"{name} holds no pictures that can be read. Save it again, in Fiji for instance.")
    if len(series) == 1:
        return series[0]
    joined = _joined(series)
    if joined is not None:
        return joined
    sizes = [f"{one.name or index} ({' x '.join(map(str, one.shape))}, {one.axes})" for index, one in enumerate(series)]
    shown = ", ".join(sizes[:6]) + (", ..." if len(sizes) > 6 else "")
    raise UserError(f"{name} holds {len(series)} series: {shown}. Save the one you want as a file of its own.")


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


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__
