"""The map of one sequence, window by window, and from the network's grid to the movie's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from ...models.attribution import against_the_others, dense_head
from ...models.pixel_folding import acts_on_pixels
from ...models.pixel_head import PixelHead
from ...models.tiles import Window
from ..projections.memory import bytes_per_pixel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from ...config import MapKind
    from ...models import TimeArrowNet
    from ...movies import PreparedMovie


_FLOAT = 4  # bytes
_LEAST = 32  # pixels to a side that the coarsest head needs
_KEPT = 2.0  # what an allocator that keeps freed blocks takes, of what is in use


@dataclass(frozen=True)
class Recipe:
    """Which map is made: see `napari_tarrow.engine.inference.attribute`."""

    kind: MapKind = "evidence"
    class_id: int = 0
    signed: bool = False
    all_frames: bool = False


class MapMaker:
    """Makes maps on the network's grid, from blocks of the projections of a sequence's frames.

    Where head and projection act on every pixel by itself, and there are no more maps of the backbone than projections,
    no projections are made: blocks of the backbone's maps are taken in their place.

    Parameters
    ----------
    model : TimeArrowNet
        In eval mode.

    Attributes
    ----------
    layer : int, optional
        Of the projection head, that blocks come from; None: of the backbone's maps.
    """

    def __init__(self, model: TimeArrowNet, recipe: Recipe) -> None:
        of_maps = acts_on_pixels(model) and model.backbone.features <= model.n_features
        self.layer = None if of_maps else 0
        self.head = dense_head(model, of_maps)
        self.recipe = recipe
        self._device = model.device
        self._frames = range(model.n_frames)
        self._features = model.backbone.features if of_maps else model.n_features
        self._size = (0, 0)

    def make(self, windows: Sequence[Window], block: Callable[[int, Window], torch.Tensor]) -> torch.Tensor:
        """Return a map, (h, w) float32 on the CPU; where the head coarsens, smaller.

        Parameters
        ----------
        windows : sequence of Window
            They tile the projections.
        block : callable
            Gives the projections, or the backbone's maps, (F, y1 - y0, x1 - x0) of the t-th frame of the sequence in a
            window.
        """
        self._size = windows[-1].y1, windows[-1].x1
        weights = self._weights(windows, block) if self.recipe.kind in ("change", "gradcam") else None
        whole = torch.empty(self._size, dtype=torch.float32)
        for window, blocks in self._parts(windows, block):
            values = self._values(blocks, weights)
            if isinstance(self.head, PixelHead):
                whole[window.y0 : window.y1, window.x0 : window.x1] = values
            else:
                whole = values.float().cpu()
        return whole if self.recipe.signed else _size(whole, self.recipe.kind)

    def memory(self, height: int, width: int) -> tuple[int, int]:
        """Return the bytes that a map of this size takes while it is made, and those per pixel of a window."""
        frame = len(self._frames) * self._features
        if isinstance(self.head, PixelHead):
            return _FLOAT * height * width, _FLOAT * (max(0, frame - 2 * self._features) + 3)
        backward = not self.recipe.kind.startswith("evidence")
        taken = bytes_per_pixel(self._probe, frame, _LEAST, self._device, backward)
        return (_FLOAT * (1 + frame) + int(_KEPT * taken)) * height * width, 0

    def _probe(self, image: torch.Tensor) -> None:
        """Do for a small image (1, T * F, h, w) what takes the most memory for a head that sees whole frames."""
        blocks = list(image[0].unflatten(0, (len(self._frames), -1)))
        if self.recipe.kind.startswith("evidence"):
            self._values(blocks, None)
        else:
            self.head.summed_gradient(blocks, 0)

    def _parts(
        self, windows: Sequence[Window], block: Callable[[int, Window], torch.Tensor]
    ) -> Iterator[tuple[Window, list[torch.Tensor]]]:
        """Yield every window with the frames' blocks; for a head that sees everything at once, the whole frames."""
        if isinstance(self.head, PixelHead) or len(windows) == 1:
            for window in windows:
                yield window, [block(frame, window) for frame in self._frames]
            return
        frames = []
        for frame in self._frames:
            whole = torch.empty((self._features, *self._size), dtype=torch.float32, device=self._device)
            for window in windows:
                whole[:, window.y0 : window.y1, window.x0 : window.x1] = block(frame, window)
            frames.append(whole)
        yield Window(0, self._size[0], 0, self._size[1]), frames

    def _weights(self, windows: Sequence[Window], block: Callable[[int, Window], torch.Tensor]) -> torch.Tensor:
        """Return `alpha` (T, F): the gradient of the class's logit, summed over the whole frame."""
        parts = self._parts(windows, block)
        sums = [self.head.summed_gradient(blocks, self.recipe.class_id) for _, blocks in parts]
        return torch.stack(sums).sum(0) / (self._size[0] * self._size[1])

    def _values(self, blocks: list[torch.Tensor], weights: torch.Tensor | None) -> torch.Tensor:
        recipe = self.recipe
        if weights is None:
            if recipe.kind == "contribution":
                return self.head.contribution(blocks, recipe.class_id)
            return self.head.values(blocks, against_the_others(len(self._frames), recipe.class_id, self._device))
        maps = [self.head.weighted(block, alpha) for block, alpha in zip(blocks, weights, strict=True)]
        if recipe.kind == "gradcam":
            if not recipe.signed:
                maps = [one.abs_() for one in maps]
            if not recipe.all_frames:
                return maps[0]
        return torch.stack(maps).sum(0)


def without_signs(signed: np.ndarray, kind: MapKind) -> np.ndarray:
    """Return a signed map as it is without ``signed``: the positive part of evidence, the size of the others."""
    sizes: np.ndarray = _size(torch.tensor(signed), kind).numpy()
    return sizes


def on_prepared_grid(values: torch.Tensor, movie: PreparedMovie) -> torch.Tensor:
    """Enlarge a map (h, w) to the prepared frames' size, bilinearly, corners on corners as the reference does."""
    size = movie.shape[2:]
    if tuple(values.shape) == size:
        return values
    return functional.interpolate(values[None, None], size=size, mode="bilinear", align_corners=True)[0, 0]


def on_movie_grid(values: torch.Tensor, movie: PreparedMovie) -> torch.Tensor:
    """Enlarge a map of the prepared frames to the movie's pixels, bilinearly, centres of blocks on their centres.

    What subsampling dropped at the edge continues the nearest value.
    """
    height, width = movie.movie.shape[2:]
    step = movie.preparation.subsample
    if step == 1:
        return values
    large = functional.interpolate(values[None, None], scale_factor=step, mode="bilinear", align_corners=False)
    right, below = width - large.shape[-1], height - large.shape[-2]
    return functional.pad(large, (0, right, 0, below), mode="replicate")[0, 0]


def frame_difference(frame: Callable[[int], NDArray[np.float32]], frames: tuple[int, ...]) -> torch.Tensor:
    """Return `mean_t mean_c |x_(t+1) - x_t|` of prepared frames, (h, w) float32; `frame` gives them by their index."""
    before = torch.from_numpy(frame(frames[0]))
    total = torch.zeros(before.shape[1:], dtype=torch.float32)
    for index in frames[1:]:
        after = torch.from_numpy(frame(index))
        total += (after - before).abs_().mean(0)
        before = after
    return total / max(1, len(frames) - 1)


def _size(values: torch.Tensor, kind: MapKind) -> torch.Tensor:
    """Take the signs away, in place."""
    return values.clamp_(min=0) if kind.startswith("evidence") else values.abs_()
