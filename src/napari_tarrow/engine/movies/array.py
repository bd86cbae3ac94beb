"""Movies in memory: numpy, dask and whatever else has a shape, a type and is indexed like them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UserError
from .layout import are_axes, find_layout
from .movie import Movie, make_movie

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .layout import Channels

    Array = NDArray[Any]

DEFAULT_AXES = {2: "YX", 3: "TYX", 4: "TCYX", 5: "TCZYX"}


def open_array(
    source: Any, *, channels: Channels = 0, axes: str | None = None, known: str | None = None, name: str = "array"
) -> Movie:
    """Take an array as a movie; of a lazy one only the frame that is asked for is computed.

    Parameters
    ----------
    source : array-like
        With ``shape``, ``dtype`` and numpy indexing (numpy, dask, zarr, h5py, xarray), or a list of 2D arrays.
    channels
        As in `find_layout`.
    axes
        As in `open_movie`.
    known : str or None
        Axes that the array itself declares. Without them three are TYX, four TCYX, five TCZYX.
    name : str
        To show, and for error messages.

    Raises
    ------
    UserError
        If the axes are not those of a movie.
    """
    if isinstance(source, list | tuple):
        source = _stacked(source)
    _refuse_masked(source, name)
    shape, dtype = _facts(source, name)
    declared = known or _declared(source)
    assumed = declared or DEFAULT_AXES.get(len(shape))
    if assumed is None and axes is None:
        raise UserError(
            f"{name} has {len(shape)} axes. Give a movie as TYX or TCYX, or say which axis is which (axes)."
        )
    kind = "" if declared else "usual"
    layout = find_layout(name, assumed or "", shape, channels=channels, given=axes, kind=kind)

    def read(index: int, only: int | None = None) -> Array:
        return layout.arranged(np.asarray(source[layout.selection(index, only)]))

    return make_movie(name, "array", layout, dtype, read)


def _refuse_masked(source: Any, name: str) -> None:
    if np.ma.is_masked(source):
        raise UserError(
            f"{name} has masked pixels, which a network would take for grey values. Fill them first, such as with"
            " array.filled(0)."
        )


def _facts(source: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array, which a lazy one may not know, and a foreign one may call by its own names."""
    try:
        return tuple(int(length) for length in source.shape), np.dtype(source.dtype)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{name} has a shape or type that cannot be read ({' '.join(str(error).split())[:80]}). Compute it first,"
            " or give it as a numpy array."
        ) from error


def _declared(source: Any) -> str | None:
    """Axes of an xarray: its dimensions, where each is named by one letter or a word that begins with it."""
    dims = getattr(source, "dims", None)
    if not isinstance(dims, tuple) or not all(isinstance(dim, str) and dim for dim in dims):
        return None
    letters = "".join(dim[0].upper() for dim in dims)
    return letters if are_axes(letters) else None


def _stacked(frames: list[Any] | tuple[Any, ...]) -> Array:
    try:
        arrays = [np.asarray(frame) for frame in frames]
    except ValueError as error:
        raise UserError("The list holds frames with rows of unequal length. Give 2D arrays of one size.") from error
    for index, array in enumerate(arrays):
        if array.shape != arrays[0].shape:
            size, before = (" x ".join(map(str, one.shape)) for one in (array, arrays[0]))
            raise UserError(f"Frame {index} of the list is {size}, the frames before it are {before}. Crop them alike.")
    if not arrays:
        raise UserError("The list of frames is empty. Give two frames or more.")
    return np.stack(arrays)
