"""Projections of large frames, tile by tile, equal to those of the whole frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .spans import Span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .backbones import Backbone
    from .network import TimeArrowNet


@torch.no_grad()
def project_tiled(model: TimeArrowNet, frame: torch.Tensor, tile: int | tuple[int, int] | None) -> torch.Tensor:
    """Return the projections (F, h, w) of one frame (C, H, W), computed in tiles; in eval mode equal to the whole's.

    The frame is padded once, as the network would; each tile is cut from it with what its pixels depend on, at
    multiples of the network's grid, so that nothing depends on where the tiles lie.

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
    sides = (tile, tile) if isinstance(tile, int) else tile
    if sides is None or not model.backbone.local or (sides[0] >= height and sides[1] >= width):
        return model.project(frame[None])[0]
    padded = model.backbone.pad(frame[None])
    rows, columns = (model.backbone.length(side) for side in (height, width))
    projections: torch.Tensor | None = None
    for y in _spans(rows, max(1, sides[0] // model.downscale)):
        for x in _spans(columns, max(1, sides[1] // model.downscale)):
            part = _project_part(model, padded, (height, width), (y, x))
            if projections is None:
                projections = part.new_empty((part.shape[0], rows, columns))
            projections[:, y.first : y.last + 1, x.first : x.last + 1] = part
    assert projections is not None
    return projections


def _project_part(
    model: TimeArrowNet, padded: torch.Tensor, size: tuple[int, int], spans: tuple[Span, Span]
) -> torch.Tensor:
    """Return the projections at `spans` of a padded frame: what the head needs of what the backbone needs."""
    backbone, axes = model.backbone, (-2, -1)
    inner, region = [], padded
    for axis, side, span in zip(axes, size, spans, strict=True):
        wanted = _clipped(model.projection_head.needs(span), backbone.length(side))
        inner.append((wanted, Span(span.first - wanted.first, span.last - wanted.first)))
        start, stop, _ = _region(backbone, wanted, side, padded.shape[axis])
        region = region.narrow(axis, start, stop - start)
    maps = backbone.core(region)
    for axis, side, (wanted, _) in zip(axes, size, inner, strict=True):
        _, _, first = _region(backbone, wanted, side, padded.shape[axis])
        maps = maps.narrow(axis, first, wanted.last - wanted.first + 1)
    part: torch.Tensor = model.projection_head(maps)[0]
    for axis, (_, own) in zip(axes, inner, strict=True):
        part = part.narrow(axis, own.first, own.last - own.first + 1)
    return part


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


def _spans(size: int, step: int) -> Iterator[Span]:
    for first in range(0, size, step):
        yield Span(first, min(first + step, size) - 1)
