"""Projections of a movie's frames, tile by tile, within a memory budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from ..models.tiles import Tiles, Window, split

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..models import TimeArrowNet
    from ..movies import PreparedMovie

__all__ = ["ProjectionCache", "Projector", "Window"]


class Projector:
    """Projections of a movie's frames, window by window.

    Parameters
    ----------
    model : TimeArrowNet
        In eval mode; it is not changed.
    movie : PreparedMovie
    layer : int
        Of the projection head, as in `TimeArrowNet.embedding`; 0 is the last.
    memory : int, optional
        Bytes that the process (on a GPU: what it holds there) may take; without it, most of what is free.

    Attributes
    ----------
    shape : (F, h, w)
        Of the projections of one frame, on the network's grid.
    windows : tuple of Window
        What `blocks` yields, row by row; together the whole frame. They stay as they are.
    """

    def __init__(self, model: TimeArrowNet, movie: PreparedMovie, *, layer: int = 0, memory: int | None = None) -> None:
        self.movie, self.device = movie, model.device
        self._tiles = Tiles(model.backbone, model.projection_head.until(layer), movie.shape[2:])
        self.shape = (model.n_features, *self._tiles.whole.shape)
        self.windows = split(self._tiles.whole, (1024, 1024) if model.backbone.local else self._tiles.whole.shape)
        self._notices: list[str] = []

    def keep_free(self, bytes: int) -> None:
        """Leave so much of the memory to what is made of the projections."""

    def blocks(self, index: int) -> Iterator[tuple[Window, torch.Tensor]]:
        """Yield the projections of frame `index`, (F, y1 - y0, x1 - x0) float32 on the model's device, per window."""
        padded = self._tiles.pad(torch.from_numpy(self.movie.frame(index)))
        for window in self.windows:
            yield window, self._tiles.project(self._tiles.cut(padded, window).to(self.device), window)

    def take_notices(self) -> tuple[str, ...]:
        """Return what the user should know of what happened since the last call."""
        notices, self._notices = tuple(self._notices), []
        return notices


class ProjectionCache:
    """Projections of some frames, each made once.

    Parameters
    ----------
    projector : Projector
    frames_at_once : int
        How many frames are held at most; who asks for more forgets others first.
    """

    def __init__(self, projector: Projector, frames_at_once: int) -> None:
        self._projector = projector
        self._known: dict[int, dict[Window, torch.Tensor]] = {}

    def block(self, index: int, window: Window) -> torch.Tensor:
        """Return the projections of a frame in one of the projector's windows; makes all of the frame, if need be."""
        if index not in self._known:
            self._known[index] = dict(self._projector.blocks(index))
        return self._known[index][window]

    def forget_before(self, index: int) -> None:
        """Let go of the frames before `index`."""
        for known in [known for known in self._known if known < index]:
            del self._known[known]

    def close(self) -> None:
        """Let go of everything."""
        self._known.clear()
