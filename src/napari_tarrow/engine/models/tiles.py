"""Projections of large frames, tile by tile, equal to those of the whole frame."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import torch

from .spans import Span, needed

if TYPE_CHECKING:
    from torch import nn

    from .backbones import Backbone
    from .network import TimeArrowNet


class Window(NamedTuple):
    """Pixels `y0` to `y1` and `x0` to `x1` of the projections, the ends excluded."""

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return self.y1 - self.y0, self.x1 - self.x0


class Tiles:
    """Projections of frames of one size, any window of them by itself, equal to those of the whole frame.

    A frame is padded once, as the network would; what a window depends on is cut from it at multiples of the network's
    grid, so that nothing depends on where the windows lie.

    Parameters
    ----------
    backbone, head
        In eval mode; the head is a chain of layers, such as `ProjectionHead.until` gives.
    size : (H, W)
        Of the frames, in pixels.

    Attributes
    ----------
    whole : Window
        The projections of a whole frame.
    padded : (H', W')
        Of the padded frames.
    """

    def __init__(self, backbone: Backbone, head: nn.Sequential, size: tuple[int, int]) -> None:
        self.backbone, self.head, self.size = backbone, head, size
        height, width = (backbone.length(side) for side in size)
        self.whole = Window(0, height, 0, width)
        self.padded = tuple(backbone.pad(torch.empty((1, 1, *size), device="meta")).shape[-2:])

    def pad(self, frame: torch.Tensor) -> torch.Tensor:
        """Return a frame (C, H, W) padded as the network pads it, (1, C, H', W')."""
        return self.backbone.pad(frame[None])

    def region(self, window: Window) -> Window:
        """Return the part of the padded frame that is read for a window of the projections."""
        (y0, y1, _), (x0, x1, _) = (region for region, _, _ in self._axes(window))
        return Window(y0, y1, x0, x1)

    def reads(self, axis: int, first: int, stop: int) -> int:
        """Return how many pixels of a padded frame are read for `first` to `stop` of the projections, along an axis."""
        start, end, _ = self._axis(axis, first, stop)[0]
        return end - start

    def cut(self, padded: torch.Tensor, window: Window) -> torch.Tensor:
        """Return what `project` needs of a padded frame for a window, (1, C, h, w), without a copy."""
        y0, y1, x0, x1 = self.region(window)
        return padded[..., y0:y1, x0:x1]

    @torch.no_grad()
    def project(self, region: torch.Tensor, window: Window) -> torch.Tensor:
        """Return the projections (F, h, w) of a window, from what `cut` gave for it."""
        maps = self.backbone.core(region)
        axes = self._axes(window)
        for axis, ((_, _, first), wanted, _) in zip((-2, -1), axes, strict=True):
            maps = maps.narrow(axis, first, wanted.last - wanted.first + 1)
        part: torch.Tensor = self.head(maps)[0]
        for axis, (_, wanted, own) in zip((-2, -1), axes, strict=True):
            part = part.narrow(axis, own.first - wanted.first, own.last - own.first + 1)
        return part

    def _axes(self, window: Window) -> tuple[tuple[tuple[int, int, int], Span, Span], ...]:
        return self._axis(0, window.y0, window.y1), self._axis(1, window.x0, window.x1)

    def _axis(self, axis: int, first: int, stop: int) -> tuple[tuple[int, int, int], Span, Span]:
        """Find where to cut and where the head's pixels then are, the head's pixels, the window's own."""
        side = self.size[axis]
        own = Span(first, stop - 1)
        wanted = _clipped(needed(self.head, own), self.backbone.length(side))
        return _region(self.backbone, wanted, side, self.padded[axis]), wanted, own


def split(whole: Window, tile: tuple[int, int]) -> tuple[Window, ...]:
    """Divide a window into tiles of sides `tile`, row by row; those at the end may be smaller."""
    rows, columns = (
        [*range(first, stop, step), stop] for first, stop, step in zip(whole[::2], whole[1::2], tile, strict=True)
    )
    return tuple(Window(*y, *x) for y in pairwise(rows) for x in pairwise(columns))


def project_tiled(model: TimeArrowNet, frame: torch.Tensor, tile: int | tuple[int, int] | None) -> torch.Tensor:
    """Return the projections (F, h, w) of one frame (C, H, W), computed in tiles; in eval mode equal to the whole's.

    Parameters
    ----------
    model
        In eval mode; it is not changed.
    frame : (C, H, W) float
        On the model's device.
    tile
        Sides of a tile in input pixels, before what it needs around it; None: the whole frame.
    """
    height, width = frame.shape[-2:]
    tiles = Tiles(model.backbone, model.projection_head.until(0), (height, width))
    sides = (tile, tile) if isinstance(tile, int) else tile
    if sides is None or not model.backbone.local:
        sides = (height, width)
    windows = split(tiles.whole, (max(1, sides[0] // model.downscale), max(1, sides[1] // model.downscale)))
    padded = tiles.pad(frame)
    projections = frame.new_empty((model.n_features, *tiles.whole.shape))
    for window in windows:
        projections[:, window.y0 : window.y1, window.x0 : window.x1] = tiles.project(tiles.cut(padded, window), window)
    return projections


def _region(backbone: Backbone, wanted: Span, side: int, padded: int) -> tuple[int, int, int]:
    """Return where to cut the padded frame for the backbone's pixels `wanted`, and where these are in the result."""
    offset = backbone.offset(side)
    core = Span(wanted.first + offset, wanted.last + offset)
    need = _clipped(backbone.needs(core), padded)
    start = need.first // backbone.grid * backbone.grid
    stop = min(padded, -(-(need.last + 1) // backbone.grid) * backbone.grid)
    return start, stop, core.first - start // backbone.downscale


def _clipped(span: Span, size: int) -> Span:
    return Span(max(span.first, 0), min(span.last, size - 1))
