"""Projections of a movie's frames, or the backbone's maps, tile by tile, within a memory budget."""

from __future__ import annotations

import math
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch

from ...devices import exact_convolutions, give_memory_back, out_of_memory
from ...errors import UserError
from ...files import in_words
from ...models.tiles import Tiles, Window, split
from .cache import ProjectionCache
from .memory import Budget, bytes_per_pixel
from .network import fast_layout, projecting_copy
from .plan import Cost, best_tile, smaller

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from ...models import TimeArrowNet
    from ...movies import Movie

__all__ = ["ProjectionCache", "Projector", "Window"]

# What an allocator that keeps freed blocks takes at most, of the most that is in use; measured for glibc: 1.1 to 2.7.
_KEPT = {"cpu": 3.0}
_KEPT_ELSEWHERE = 1.5
_USABLE = 0.95  # of the budget; what libraries make for themselves when first used is not known before
_SCARCE = 0.1  # of the budget; when less is left, what the allocator kept is given back before the next tile
_FLOAT = 4  # bytes


class Frames(Protocol):
    """What is projected: a `PreparedMovie`, or frames that are made of one."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """``(T, C, h, w)`` as frames are prepared."""

    @property
    def movie(self) -> Movie:
        """What they are made of."""

    def frame(self, index: int) -> NDArray[np.float32]:
        """Return a frame, (C, h, w)."""


class Projector:
    """Projections of a movie's frames, window by window.

    A frame is projected whole where that fits into the memory, else in exact tiles. Where memory runs out all the same,
    tiles are halved, down to the smallest that make sense, and the window in work is made again.

    Parameters
    ----------
    model : TimeArrowNet
        In eval mode, on any device; it is not changed.
    movie : PreparedMovie or other `Frames`
    layer : int, optional
        Of the projection head, as in `TimeArrowNet.embedding`; 0 is the last. None: the backbone's maps are all.
    memory : int, optional
        Bytes that the process (on a GPU: what it holds there) may take; without it, most of what is free.

    Attributes
    ----------
    shape : (F, h, w)
        Of the projections of one frame, on the network's grid.

    Raises
    ------
    UserError
        If the head has fewer layers.
    """

    def __init__(self, model: TimeArrowNet, movie: Frames, *, layer: int | None = 0, memory: int | None = None) -> None:
        self.movie, self.device = movie, model.device
        self._tiles = Tiles(*projecting_copy(model, layer), movie.shape[2:])
        features = model.backbone.features if layer is None else model.n_features
        self.shape = (features, *self._tiles.whole.shape)
        self._memory = memory
        self._beside, self._beside_per_pixel = 0, 0
        self._halved: tuple[int, int] | None = None
        self._notices: list[str] = []

    @property
    def windows(self) -> tuple[Window, ...]:
        """What `blocks` yields, row by row; together the whole frame. They never change.

        Raises
        ------
        UserError
            If the memory does not suffice.
        """
        return self._plan.windows

    @property
    def spare(self) -> int:
        """Bytes of the budget that nobody needs; less than nothing where all of it is."""
        return self._plan.spare

    def leave(self, fixed: int, per_pixel: int = 0) -> None:
        """Leave main memory to what is made of the projections; to be called before the windows are asked for.

        It counts where the network is in main memory too.

        Parameters
        ----------
        fixed : int
            Bytes that are held whatever the windows are.
        per_pixel : int
            Bytes that are held for every pixel of a window, besides that window's projections.
        """
        if "_plan" in vars(self):
            raise RuntimeError("The windows are fixed already.")
        if self.device.type == "cpu":
            self._beside += fixed
            self._beside_per_pixel += per_pixel

    def blocks(self, index: int) -> Iterator[tuple[Window, torch.Tensor]]:
        """Yield the projections of frame `index`, (F, y1 - y0, x1 - x0) float32 on the model's device, per window.

        They are dense; the features of a pixel may lie next to each other, as in `channels_last`.

        Raises
        ------
        UserError
            If the frame cannot be read, or the memory does not suffice even for the smallest tiles.
        """
        windows = self.windows
        padded = self._tiles.pad(torch.from_numpy(self.movie.frame(index)))
        if len(windows) > 1 and self.device.type == "cpu":
            give_memory_back()  # what reading and preparing the frame took
        for window in windows:
            yield window, self._made(padded, window)

    def take_notices(self) -> tuple[str, ...]:
        """Return what the user should know of what happened since the last call."""
        notices, self._notices = tuple(self._notices), []
        return notices

    def _made(self, padded: torch.Tensor, window: Window) -> torch.Tensor:
        while True:
            try:
                return self._projected(padded, window)
            except (RuntimeError, MemoryError) as error:
                if not out_of_memory(error):
                    raise
            self._halve()  # here, where the error no longer holds on to what was computed
            give_memory_back()

    def _projected(self, padded: torch.Tensor, window: Window) -> torch.Tensor:
        parts = split(window, self._tile)
        if len(parts) == 1:
            made = self._part(padded, window)
            whole = made.untyped_storage().nbytes() == made.numel() * made.element_size()
            return made if whole else made.clone()  # a view would keep what lies around the window
        size = (1, self.shape[0], *window.shape)
        joined = self._empty(size)[0]
        for part in parts:
            y, x = part.y0 - window.y0, part.x0 - window.x0
            joined[:, y : y + part.shape[0], x : x + part.shape[1]] = self._part(padded, part)
        return joined

    def _part(self, padded: torch.Tensor, window: Window) -> torch.Tensor:
        if self._plan.budget.left < _SCARCE * self._plan.budget.total:
            give_memory_back()
        region = self._tiles.cut(padded, window)
        laid_out = self._empty(tuple(region.shape))
        with exact_convolutions():
            return self._tiles.project(laid_out.copy_(region), window)

    def _empty(self, size: tuple[int, ...]) -> torch.Tensor:
        layout = fast_layout(self.device)
        return torch.empty(size, dtype=torch.float32, device=self.device, memory_format=layout)

    @property
    def _tile(self) -> tuple[int, int]:
        return self._halved or self._plan.tile

    def _halve(self) -> None:
        half = smaller(self._tiles, self._tile)
        scale = self._tiles.backbone.downscale
        if half is None:
            height, width = (side * scale for side in self._tile)
            raise UserError(
                f"Memory ran out with tiles of {height} x {width} pixels, the smallest that make sense. Close other"
                " programs, or use a machine with more memory."
            )
        self._halved = half
        self._notices.append(f"Memory ran out: tiles are now {half[0] * scale} x {half[1] * scale} pixels.")

    @cached_property
    def _plan(self) -> _Plan:
        cost = self._cost()
        budget = Budget(self.device, self._memory)
        room = int(_USABLE * budget.total) - (budget.total - budget.left) - self._beside
        tile, needed = best_tile(self._tiles, cost, room - self._held_while_projecting())
        needed = max(needed + self._held_while_projecting(), self._held_while_reading())
        if needed > room:
            raise self._too_little(budget, needed - room)
        return _Plan(split(self._tiles.whole, tile), tile, budget, room - needed)

    def _cost(self) -> Cost:
        """Find out what tiles take, with small ones."""
        backbone, head = self._tiles.backbone, self._tiles.head
        read = bytes_per_pixel(
            lambda image: head(backbone.core(image)), self.movie.shape[1], backbone.grid, self.device
        )
        weights = sum(p.numel() * p.element_size() for part in (backbone, head) for p in part.parameters())
        made = 2 * _FLOAT * self.shape[0] + self._beside_per_pixel  # this window's, and the last one's
        return Cost(weights, _KEPT.get(self.device.type, _KEPT_ELSEWHERE) * read, made)

    def _held_while_reading(self) -> int:
        """Bytes of a frame: as it is stored, twice, and prepared, or before and after padding."""
        if self.device.type != "cpu":
            return 0
        stored = 2 * self.movie.movie.frame_bytes
        prepared = _FLOAT * math.prod(self.movie.shape[1:])
        return prepared + max(stored, self._held_while_projecting() if self._tiles.padded != self._tiles.size else 0)

    def _held_while_projecting(self) -> int:
        """Bytes of a padded frame."""
        if self.device.type != "cpu":
            return 0
        height, width = self._tiles.padded
        return _FLOAT * self.movie.shape[1] * height * width

    def _too_little(self, budget: Budget, missing: int) -> UserError:
        least = in_words(1.005 * (budget.total + missing / _USABLE))  # rounded, it still suffices
        height, width = self.movie.shape[2:]
        given = f"A memory of {in_words(budget.total)}" if budget.given else "The memory that is free"
        return UserError(
            f"{given} does not suffice for frames of {height} x {width} pixels: at least"
            f" {least} are needed. {'Give more' if budget.given else 'Close other programs'}, or use subsample."
        )


class _Plan(NamedTuple):
    windows: tuple[Window, ...]
    tile: tuple[int, int]
    budget: Budget
    spare: int
