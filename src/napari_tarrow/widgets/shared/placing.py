"""Which axis of a layer is which, and how a layer made from it comes to lie over it."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...engine.movies.tif import ENDINGS, named_axes

if TYPE_CHECKING:
    from napari.layers import Layer
    from numpy.typing import NDArray

_WORDS = {
    "T": ("t", "time", "times", "frame", "frames", "timepoint", "timepoints"),
    "C": ("c", "ch", "channel", "channels"),
    "Z": ("z", "slice", "slices", "depth", "plane", "planes"),
    "Y": ("y", "row", "rows", "height"),
    "X": ("x", "column", "columns", "width"),
}
_LETTER = {word: letter for letter, words in _WORDS.items() for word in words}
_NAMES = {"F": "feature", "P": "component"}


def labelled_axes(layer: Layer) -> str:
    """Axes of a layer, one letter each: as `told_axes` has them; what that leaves open as usual, such as TCYX."""
    letters = told_axes(layer)
    usual = [letter for letter in "YXTCZ" if letter not in letters][: letters.count("")]
    rest = iter(sorted(usual, key="TCZYX".index))
    return "".join(letter or next(rest, "?") for letter in letters)


def told_axes(layer: Layer) -> list[str]:
    """Axes of a layer by its axis labels, or by the tif file it came from; an empty text where neither says any."""
    labels = [str(label).strip().lower() for label in layer.axis_labels]
    letters = [_LETTER.get(label, "") for label in labels]
    if not any(letters) and (path := layer.source.path) and Path(path).suffix.lower() in ENDINGS:
        data = layer.data[0] if getattr(layer, "multiscale", False) else layer.data
        in_file = _axes_in(str(path), tuple(data.shape[: layer.ndim]))
        return list(in_file) if len(in_file) == layer.ndim else letters
    return ["" if letter in letters[:place] else letter for place, letter in enumerate(letters)]


@functools.lru_cache(maxsize=64)  # docks look at a layer often, and files may lie on a network disk
def _axes_in(path: str, shape: tuple[int, ...]) -> str:
    return named_axes(Path(path), shape) or ""


def like(layer: Layer, *, axes: str, own: str | None = None) -> dict[str, Any]:
    """Return the keyword arguments that lay a new layer over `layer`: scale, translate, units, axis labels and so on.

    Parameters
    ----------
    layer
    axes : str
        Of the new layer: letters of `own`, and any other letter for an axis that `layer` lacks (such as F).
    own : str, optional
        Axes of `layer`; without it as `labelled_axes` finds them.
    """
    own = own or labelled_axes(layer)
    rows = [own.find(letter) for letter in axes]
    new = np.array(rows) < 0
    arguments: dict[str, Any] = {
        "scale": np.where(new, 1.0, np.asarray(layer.scale)[rows]),
        "translate": np.where(new, 0.0, np.asarray(layer.translate)[rows]),
        "rotate": _picked(np.asarray(layer.rotate), rows),
        "affine": _picked_affine(np.asarray(layer.affine.affine_matrix), rows),
    }
    if np.any(layer.shear):
        arguments["shear"] = _picked_shear(layer.shear, layer.ndim, rows)
    arguments["units"] = tuple("pixel" if row < 0 else str(layer.units[row]) for row in rows)
    names = [_NAMES.get(letter, letter.lower()) for letter in axes]
    arguments["axis_labels"] = tuple(
        name if row < 0 else layer.axis_labels[row] for name, row in zip(names, rows, strict=True)
    )
    return arguments


def laid_over(values: NDArray[Any], axes: str, shape: tuple[int, ...], extra: int = 0) -> NDArray[Any]:
    """Return a view of maps that has the axes of the layer they were made from.

    napari aligns the axes of layers from the last one on, so that a map (T, Y, X) over a layer TCYX would have its time
    where the layer has its channels. The view repeats the map along all axes that it lacks, without copying: what is
    written into `values` shows.

    Parameters
    ----------
    values : (T, ..., Y, X)
        With `extra` axes between time and y.
    axes, shape : str, tuple of int
        Of the layer.
    extra : int
        How many axes come in addition to T, Y and X; they become the first ones of the view.

    Returns
    -------
    (extra..., one axis for each letter of `axes`)
    """
    moved = np.moveaxis(values, 0, extra)  # (extra..., T, Y, X)
    own = [letter for letter in axes if letter in "TYX"]
    moved = moved.transpose([*range(extra), *(extra + "TYX".index(letter) for letter in own)])
    for place, letter in enumerate(axes):
        if letter not in "TYX":
            moved = np.expand_dims(moved, extra + place)
    lengths = [
        moved.shape[extra + place] if letter in "TYX" else length
        for place, (letter, length) in enumerate(zip(axes, shape, strict=True))
    ]
    return np.broadcast_to(moved, (*moved.shape[:extra], *lengths))


def _picked(matrix: NDArray[Any], rows: list[int]) -> NDArray[np.float64]:
    """Return the part of a square matrix for some of its axes, and unity for new ones (-1)."""
    picked = np.eye(len(rows))
    old = [place for place, row in enumerate(rows) if row >= 0]
    kept = [rows[place] for place in old]
    picked[np.ix_(old, old)] = matrix[np.ix_(kept, kept)]
    return picked


def _picked_affine(matrix: NDArray[Any], rows: list[int]) -> NDArray[np.float64]:
    picked = np.eye(len(rows) + 1)
    picked[:-1, :-1] = _picked(matrix[:-1, :-1], rows)
    picked[:-1, -1] = np.where(np.array(rows) < 0, 0.0, matrix[:-1, -1][rows])
    return picked


def _picked_shear(shear: Any, ndim: int, rows: list[int]) -> NDArray[np.float64]:
    """Return shear, the upper triangle of a matrix row by row, for some of its axes."""
    full = np.eye(ndim)
    full[np.triu_indices(ndim, 1)] = shear
    picked: NDArray[np.float64] = _picked(full, rows)[np.triu_indices(len(rows), 1)]
    return picked
