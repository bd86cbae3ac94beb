"""Movies in zarr, versions 2 and 3: OME-Zarr images and bare arrays."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .array import open_array
from .layout import are_axes
from .movie import folder_name
from .units import micrometres, seconds

if TYPE_CHECKING:
    from pathlib import Path

    import zarr
    from numpy.typing import NDArray

    from .layout import Channels
    from .movie import Movie

BLOCK_BYTES = 2**28  # of frames that share a chunk, kept in memory
MARKERS = ("zarr.json", ".zarray", ".zgroup")


def is_zarr(path: Path) -> bool:
    """Whether a folder is a zarr array or group, or says so in its name."""
    return path.is_dir() and (path.suffix == ".zarr" or any((path / marker).exists() for marker in MARKERS))


def open_zarr(path: Path, *, channels: Channels = 0, axes: str | None = None) -> Movie:
    """Open an OME-Zarr image (its finest level) or a bare zarr array.

    Raises
    ------
    UserError
        If it cannot be opened, or holds no array, several images, or no movie.
    """
    import zarr

    name = path.name
    try:
        node = zarr.open(path, mode="r")
    except Exception as error:
        raise UserError(
            f"{name} holds no zarr array or group that can be opened. Check that it was copied whole."
        ) from error
    image = _image(node, name) if isinstance(node, zarr.Group) else _Image(node, _array_axes(node))
    array = _ByBlocks(image.array)
    movie = open_array(array, channels=channels, axes=axes, known=image.axes, name=name)

    def read(index: int, *only: int | None) -> NDArray[Any]:
        try:
            return movie.read(index, *only)
        except Exception as error:
            raise UserError(
                f"Frame {index} of {name} cannot be read ({error}). A chunk is damaged: copy it again."
            ) from error

    return replace(
        movie,
        name=folder_name(path),
        source=str(path),
        read=read,
        interval=image.interval,
        pixel_size=image.pixel_size,
    )


def open_zarr_array(array: zarr.Array[Any], *, channels: Channels = 0, axes: str | None = None) -> Movie:
    """Take a zarr array that is open already."""
    return open_array(array, channels=channels, axes=axes, known=_array_axes(array), name=array.basename or "array")


class _ByBlocks:
    """A zarr array that keeps the last block of frames: a chunk of many frames is decoded once, not for each.

    Only along the first axis, where time lies nearly always, and only for blocks that are small.
    """

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self.shape, self.dtype = array.shape, array.dtype
        self._lock = threading.Lock()
        self._key: tuple[int | slice, ...] = ()
        self._block: Any = None
        size = array.dtype.itemsize * math.prod(array.shape[1:])
        self._length = array.chunks[0] if array.ndim and array.chunks[0] * size <= BLOCK_BYTES else 1

    def __getitem__(self, selection: tuple[int | slice, ...]) -> NDArray[Any]:
        index = selection[0]
        if self._length == 1 or not isinstance(index, int):
            return np.asarray(self._array[selection])
        start = index - index % self._length
        with self._lock:
            key = (slice(start, start + self._length), *selection[1:])
            if key != self._key:
                self._block, self._key = self._array[key], key
            return np.array(self._block[index - start])


@dataclass(frozen=True)
class _Image:
    array: Any
    axes: str | None
    interval: float | None = None
    pixel_size: tuple[float, float] | None = None


def _array_axes(array: zarr.Array[Any]) -> str | None:
    """Axes by the names of the dimensions (zarr 3) or as xarray stores them (zarr 2), where they are all known."""
    names = getattr(array.metadata, "dimension_names", None) or array.attrs.get("_ARRAY_DIMENSIONS")
    if not isinstance(names, list | tuple) or len(names) != array.ndim or not all(names):
        return None
    letters = "".join(str(one)[0].upper() for one in names)
    return letters if are_axes(letters) else None


def _image(group: zarr.Group, name: str) -> _Image:
    """Find the one image of a group (OME-Zarr 0.1 to 0.5, also inside bioformats2raw's wrapping)."""
    import zarr

    multiscales = _multiscales(group)
    if not multiscales:
        return _only_image(group, name)
    if len(multiscales) > 1:
        raise UserError(f"{name} holds {len(multiscales)} images. Save the one you want as a zarr of its own.")
    try:
        scales = multiscales[0]
        array = group[scales["datasets"][0]["path"]]
        if not isinstance(array, zarr.Array):
            raise TypeError("the finest level is no array")
        axes = [{"name": axis} if isinstance(axis, str) else dict(axis) for axis in scales.get("axes", "tczyx")]
        letters = "".join(str(axis["name"])[0].upper() for axis in axes)
        scale = _scale(scales, array.ndim)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{name} has OME metadata that cannot be followed ({error}). Write it again.") from error
    if len(letters) != array.ndim:
        raise UserError(f"{name} names {len(letters)} axes, but its array has {array.ndim}. Write it again.")
    told = {letter: axis.get("unit") for letter, axis in zip(letters, axes, strict=True)}
    units = {letter: unit for letter, unit in told.items() if isinstance(unit, str)}
    step = dict(zip(letters, scale, strict=True))
    y, x = (micrometres(step.get(axis), units.get(axis)) for axis in "YX")
    interval = seconds(step.get("T"), units.get("T"))
    return _Image(array, letters, interval, None if y is None or x is None else (y, x))


def _only_image(group: zarr.Group, name: str) -> _Image:
    """Find the one image inside a group without OME metadata of its own; several must be chosen from."""
    import zarr

    images = [key for key, child in group.groups() if _multiscales(child)]
    arrays = [key for key, _ in group.arrays()]
    if len(images) == 1 and not arrays:
        child = group[images[0]]
        assert isinstance(child, zarr.Group)
        return _image(child, f"{name}/{images[0]}")
    found = sorted(images + arrays)
    if not found:
        raise UserError(f"{name} is a zarr group without images. Give the path of an array or OME-Zarr image.")
    shown = ", ".join(f"{name}/{one}" for one in found[:6]) + (", ..." if len(found) > 6 else "")
    raise UserError(f"{name} is a zarr group, not a movie. Give one of its arrays: {shown}.")


def _multiscales(group: zarr.Group) -> Any:
    """Find what OME metadata say of images: under ``ome`` since version 0.5, at the top before."""
    metadata: Any = group.attrs.asdict()
    metadata = metadata.get("ome", metadata)
    found = metadata.get("multiscales") if isinstance(metadata, dict) else None
    return found if isinstance(found, list) else None


def _scale(scales: Any, ndim: int) -> list[float]:
    """Scale of the finest level: its own times that of the whole image."""
    total = [1.0] * ndim
    for holder in (scales, scales["datasets"][0]):
        for transformation in holder.get("coordinateTransformations") or []:
            if transformation.get("type") == "scale":
                total = [a * float(b) for a, b in zip(total, transformation["scale"], strict=True)]
    return total
