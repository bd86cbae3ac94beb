"""The numbers of a layer's frames, where something says them: its metadata, or the names of the files it came from."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.errors import UserError
from ...engine.movies.folder import numbered_files
from ...engine.movies.picture import ENDINGS, read_header

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]

# What the names of files said, by layer: folders on a network disk are slow, and docks look at a layer often.
_known: weakref.WeakKeyDictionary[Layer, tuple[str, Numbers | None]] = weakref.WeakKeyDictionary()


def known_numbers(layer: Layer, count: int, *, time_first: bool) -> Numbers | None:
    """Return the frame numbers of a layer, (count,) int64 and increasing; None where nothing says them.

    Parameters
    ----------
    layer
        The layer itself, no proxy. Its ``metadata["frame_numbers"]`` comes first, then the names of the files that
        ``source.path`` tells of: a folder, or the first of several files, where these are all in their folder.
    count : int
        Frames of the layer; what says another number of them belongs to something else.
    time_first : bool
        Whether time is the layer's first axis, as it is where each file is a frame.
    """
    told = _listed(layer.metadata.get("frame_numbers"))
    if told is not None and len(told) == count:
        return told
    numbers = _of_files(layer) if time_first else None
    return numbers if numbers is not None and len(numbers) == count else None


def _listed(values: Any) -> Numbers | None:
    """Return numbers that somebody put into the metadata, if they are whole and increase."""
    if not isinstance(values, list | tuple | np.ndarray) or not all(
        isinstance(one, int | np.integer) for one in values
    ):
        return None
    try:
        numbers = np.array(values, np.int64)
    except OverflowError:
        return None
    return numbers if (np.diff(numbers) > 0).all() else None


def _of_files(layer: Layer) -> Numbers | None:
    path = layer.source.path
    if not path:
        return None
    known = _known.get(layer)
    if known is None or known[0] != path:
        known = _known[layer] = path, _read(Path(path), layer.ndim)
    return known[1]


def _read(path: Path, ndim: int) -> Numbers | None:
    try:
        if path.is_dir():
            return numbered_files(path)[1]
        if path.suffix.lower() not in ENDINGS:
            return None
        if len(read_header(path, 0).shape) > ndim:  # a stack is no frame
            return None
        files, numbers = numbered_files(path.parent)
    except (UserError, OSError, ValueError):
        return None
    # Files chosen in a dialogue come in the order of their names.
    return numbers if files == sorted(files) and files[0] == path else None
