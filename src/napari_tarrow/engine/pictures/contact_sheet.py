"""The strongest places of a whole movie on one page: what a newcomer looks at first."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .insets import Inset, tiles
from .page import FADED, INK, Page, save_png

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WIDTH, MARGIN, BETWEEN, GAP, HEAD, CAPTION, FOOT = 1500, 40, 36, 4, 104, 46, 66


def contact_sheet(insets: Sequence[Inset], path: Path, title: str, *, threshold: float | None = None) -> None:
    """Draw places of a movie as a PNG, numbered in the order given.

    Every entry shows its frames in one contrast and the first of them blended half and half with the map; the map's
    colours have one scale for the whole page, which ends where a quarter of the entries are brighter.

    Parameters
    ----------
    insets : sequence of Inset
        Strongest first, all with the same number of frames.
    title : str
        What the page shows, in words.
    threshold : float, optional
        Places with lower scores get pale captions.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    pictures = len(insets[0].frames) + 1 if insets else 3
    per_row = max(1, round(9 / pictures))
    entry = (WIDTH - 2 * MARGIN - (per_row - 1) * BETWEEN) / per_row
    tile = (entry - (pictures - 1) * GAP) / pictures
    rows = max(1, math.ceil(len(insets) / per_row))
    page = Page(WIDTH, HEAD + rows * (tile + CAPTION) + FOOT)
    _heading(page, title, pictures - 1)
    top = _top(insets)
    for number, inset in enumerate(insets):
        row, column = divmod(number, per_row)
        left, upper = MARGIN + column * (entry + BETWEEN), HEAD + row * (tile + CAPTION)
        colour = FADED if threshold is not None and inset.score < threshold else INK
        _entry(page, inset, number + 1, left, upper, tile, top, colour)
    if insets:
        foot = HEAD + rows * (tile + CAPTION) + 8
        _scale(page, foot, top)
        if threshold is not None:
            _say_threshold(page, foot, threshold, sum(inset.score >= threshold for inset in insets), len(insets))
    else:
        page.words("No place stands out: the map is flat.", MARGIN, HEAD, 17, color=FADED)
    save_png(page.figure, path)


def _heading(page: Page, title: str, n_frames: int) -> None:
    frames = "both frames" if n_frames == 2 else f"all {n_frames} frames"
    page.words(title, MARGIN, 26, min(27, 1.65 * (WIDTH - 2 * MARGIN) / max(len(title), 1)), weight="bold")
    text = f"Each entry: {frames} of a place, then the first under the map. The brighter, the more the network"
    page.words(f"{text} uses it to tell forwards from backwards.", MARGIN, 66, 16, color=FADED)


def _top(insets: Sequence[Inset]) -> float:
    """Return the value shown brightest: a single bright pixel would leave the other entries dark."""
    peaks = sorted(float(np.nanpercentile(inset.map, 99.5)) for inset in insets)
    return (peaks[3 * len(peaks) // 4] or peaks[-1] or 1.0) if peaks else 1.0


def _entry(
    page: Page, inset: Inset, number: int, left: float, top: float, tile: float, brightest_value: float, colour: str
) -> None:
    for column, picture in enumerate(tiles(inset, brightest_value)):
        page.picture(picture, left + column * (tile + GAP), top, tile, tile)
    page.words(f"{number}", left, top + tile + 7, 16, weight="bold", color=colour)
    page.words(_caption(inset), left + 28, top + tile + 8, 14.5, color=colour)


def _caption(inset: Inset) -> str:
    frames = " → ".join(str(inset.frame + i * inset.delta) for i in range(len(inset.frames)))
    return f"frame {frames}, y {inset.y}, x {inset.x}, score {inset.score:.3g}"


def _scale(page: Page, top: float, brightest_value: float) -> None:
    from matplotlib import colormaps

    colours = colormaps["magma"](np.linspace(0, 1, 256))[None, :, :3]
    page.words("attribution", MARGIN, top + 7, 14, color=FADED, va="center")
    page.words("0", MARGIN + 104, top + 7, 14, color=FADED, va="center")
    page.picture(colours, MARGIN + 122, top, 240, 14)
    page.words(f"{brightest_value:.3g}", MARGIN + 370, top + 7, 14, color=FADED, va="center")


def _say_threshold(page: Page, top: float, threshold: float, above: int, count: int) -> None:
    text = f"{above} of these {count} reach the threshold {threshold:.3g}; the others have pale captions"
    if above == count:
        text = f"all of these reach the threshold {threshold:.3g}"
    page.words(text, WIDTH - MARGIN, top + 7, 14, color=FADED, va="center", ha="right")
