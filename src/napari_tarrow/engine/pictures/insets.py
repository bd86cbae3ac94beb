"""The strongest places of an attribution map, and a figure of one frame with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from .blend import blended, brightest, contrast, grey
from .page import FADED, Page

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

REDUCTION = 0.3  # of the map in which peaks are sought, as published


@dataclass(frozen=True)
class Inset:
    """A place in a movie, cut out: what the frames show there, and the map.

    `frames` : (T, C, h, w) float32. `map` : (h, w) float32. Pixels beyond the image are NaN.
    `frame` is the index of the first frame, `delta` the step to the next; `y`, `x` the place in pixels.
    """

    frames: NDArray[np.float32] = field(repr=False)
    map: NDArray[np.float32] = field(repr=False)
    frame: int
    y: int
    x: int
    score: float
    delta: int = 1


def cut_inset(
    images: NDArray[np.floating],
    map: NDArray[np.floating],
    y: int,
    x: int,
    *,
    frame: int = 0,
    size: int = 48,
    score: float | None = None,
    delta: int = 1,
) -> Inset:
    """Cut a square with `size` pixels to a side around a place, padded with NaN beyond the image.

    Parameters
    ----------
    images : (T, C, H, W)
    map : (H, W)
    score : float
        Without it, the map's value at the place.
    """
    value = float(map[y, x]) if score is None else score
    return Inset(_crop(images, y, x, size), _crop(map, y, x, size), frame, y, x, value, delta)


def strongest_places(
    map: NDArray[np.floating], count: int = 8, size: int = 48, *, border: int | None = None
) -> NDArray[np.int_]:
    """Return the peaks of a map, strongest first.

    As in the reference, the map is reduced to 0.3 of its size, and peaks exceed its 90th percentile and lie more than
    half an inset apart along y or x. Unlike there, the slope of a peak that lies in the border is no peak.

    Parameters
    ----------
    map : (H, W)
        At least 0.
    count : int
        At most so many.
    size : int
        Side of an inset in pixels.
    border : int
        Pixels along every side without peaks; without it half an inset, but at most a quarter of the picture.

    Returns
    -------
    (N, 2) int
        `y, x` in pixels; none where the map is flat.
    """
    clean = np.nan_to_num(np.asarray(map, np.float32))
    shape = np.array(clean.shape)
    widths = np.minimum(size // 2, shape // 4) if border is None else np.full(2, border)
    found, scale = _peaks(clean)
    places: NDArray[np.int_] = ((found + 0.5) * scale).astype(int)
    inside = ((places >= widths) & (places < shape - widths)).all(1)
    return _apart(places[inside], size // 2, count)


def attribution_figure(
    images: NDArray[np.floating],
    map: NDArray[np.floating],
    places: NDArray[np.integer],
    title: str = "",
    *,
    size: int = 48,
) -> Figure:
    """Draw the first frame under the map, its places numbered, and beside it what every frame shows there.

    Parameters
    ----------
    images : (T, C, H, W)
    map : (H, W)
        At least 0.
    places : (N, 2)
        `y, x` of the insets, as from `strongest_places`.
    size : int
        Side of an inset in pixels.
    """
    clean = np.nan_to_num(np.asarray(map, np.float32))
    top = brightest(clean)
    insets = [cut_inset(images, clean, int(y), int(x), size=size) for y, x in places]
    n_frames, (height, width) = len(images), clean.shape
    zoom = min(_MAIN / height, 1.6 * _MAIN / width)
    shown_width, shown_height = width * zoom, height * zoom
    blocks = -(-len(insets) // _ROWS)
    block_width = (n_frames + 1) * (_TILE + _GAP) + _BLOCK_GAP
    page = Page(2 * _MARGIN + shown_width + blocks * block_width, _HEAD + _MAIN + _MARGIN)
    page.words(title, _MARGIN, 14, 17, weight="bold")
    page.picture(blended(images[0], clean, contrast(images[0]), top), _MARGIN, _HEAD, shown_width, shown_height)
    for number, inset in enumerate(insets):
        _number_box(page, inset, number + 1, size, zoom)
        block, row = divmod(number, _ROWS)
        left = _MARGIN + shown_width + _BLOCK_GAP + block * block_width
        if row == 0:
            _headings(page, left, n_frames)
        _row(page, inset, number + 1, left, _HEAD + row * (_TILE + _GAP), top)
    return page.figure


_ROWS, _TILE, _GAP, _BLOCK_GAP, _MARGIN, _HEAD = 4, 144, 4, 26, 20, 68
_MAIN = _ROWS * (_TILE + _GAP) - _GAP


def tiles(inset: Inset, top: float) -> list[NDArray[np.float32]]:
    """Return the pictures of an inset: every frame, in one contrast, and the first under the map."""
    limits = contrast(inset.frames)
    return [*(grey(frame, limits) for frame in inset.frames), blended(inset.frames[0], inset.map, limits, top)]


def _number_box(page: Page, inset: Inset, number: int, size: int, zoom: float) -> None:
    left, top = _MARGIN + (inset.x - size // 2) * zoom, _HEAD + (inset.y - size // 2) * zoom
    page.box(left, top, size * zoom, size * zoom)
    page.words(str(number), max(left, _MARGIN) + 5, max(top, _HEAD) + 4, 15, color="white", weight="bold")


def _headings(page: Page, left: float, n_frames: int) -> None:
    names = ["first frame", "second frame"] if n_frames == 2 else [f"frame {i + 1}" for i in range(n_frames)]
    for column, name in enumerate([*names, "map"]):
        page.words(name, left + column * (_TILE + _GAP), _HEAD - 6, 13, color=FADED, va="bottom")


def _row(page: Page, inset: Inset, number: int, left: float, top: float, brightest_value: float) -> None:
    for column, tile in enumerate(tiles(inset, brightest_value)):
        page.picture(tile, left + column * (_TILE + _GAP), top, _TILE, _TILE)
    page.words(str(number), left + 6, top + 5, 15, color="white", weight="bold")


def _crop(image: NDArray[np.floating], y: int, x: int, size: int) -> NDArray[np.float32]:
    """Cut the last two axes; NaN where the square leaves the image."""
    height, width = image.shape[-2:]
    top, left = y - size // 2, x - size // 2
    inside = np.s_[..., max(top, 0) : min(top + size, height), max(left, 0) : min(left + size, width)]
    cut = np.full((*image.shape[:-2], size, size), np.nan, np.float32)
    part = image[inside]
    down, right = max(-top, 0), max(-left, 0)
    cut[..., down : down + part.shape[-2], right : right + part.shape[-1]] = part
    return cut


def _peaks(map: NDArray[np.float32]) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
    """Return places of the reduced map that exceed their neighbours and the threshold, and its pixels' size."""
    from scipy import ndimage

    sides = [max(1, round(REDUCTION * side)) / side for side in map.shape]
    small = ndimage.zoom(map, sides, order=1, grid_mode=True, mode="nearest")
    peaks = (small == ndimage.maximum_filter(small, 3)) & (small > max(float(np.percentile(map, 90)), 0.0))
    strongest_first = np.argsort(-small[peaks], kind="stable")
    return np.argwhere(peaks)[strongest_first], np.array(map.shape) / small.shape


def _apart(places: NDArray[np.int_], distance: int, count: int) -> NDArray[np.int_]:
    """Keep, from the first on, places farther than `distance` along y or x from all that are kept."""
    kept: list[NDArray[np.int_]] = []
    while len(places) and len(kept) < count:
        kept.append(places[0])
        places = places[np.abs(places - places[0]).max(1) > distance]
    return np.array(kept, int).reshape(-1, 2)
