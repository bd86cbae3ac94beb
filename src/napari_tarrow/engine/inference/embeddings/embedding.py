"""Dense embeddings of whole movies, frame by frame or block by block."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, cast, get_args

import numpy as np
import torch

from ...devices import give_memory_back, keeping_freed_memory
from ...numbers import whole_number
from ...threads import Threads
from ..checked import choice, indices, network_for
from ..projections.projector import Projector, Window

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from ...models import TimeArrowNet
    from ...movies import PreparedMovie
    from ...trained import TrainedModel

__all__ = ["EmbeddedBlock", "EmbeddedFrame", "embed", "embed_blocks"]

Grid = Literal["movie", "network"]
Precision = Literal["float16", "float32"]

_LARGEST_HALF = torch.finfo(torch.float16).max
_CUT = (
    f"Some values of the embedding are larger than float16 holds: they are cut to {_LARGEST_HALF:,.0f}. Float32 keeps"
    " them; or remove what is far too bright in the movie."
)


@dataclass(frozen=True)
class EmbeddedFrame:
    """The embedding of one frame.

    Attributes
    ----------
    index : int
        Of the frame in the movie.
    embedding : (F, H, W) float32 or float16
    done, total : int
        How many frames are done, this one included, of how many.
    notices : tuple of str
        What the user should know of what happened meanwhile, such as that tiles became smaller.
    """

    index: int
    embedding: np.ndarray = field(repr=False)
    done: int
    total: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class EmbeddedBlock:
    """A part of the embedding of one frame.

    Attributes
    ----------
    index : int
        Of the frame in the movie.
    y, x : int
        Where the part begins in the frame's embedding.
    values : (F, h, w) float32 or float16
    last : bool
        Whether the frame is complete with it.
    done, total : int
        How many frames are done, of how many.
    notices : tuple of str
        What the user should know of what happened meanwhile.
    """

    index: int
    y: int
    x: int
    values: np.ndarray = field(repr=False)
    last: bool
    done: int
    total: int
    notices: tuple[str, ...] = ()


def embed(
    model: TimeArrowNet | TrainedModel,
    movie: PreparedMovie,
    *,
    layer: int = 0,
    dtype: Precision = "float32",
    grid: Grid = "movie",
    frames: Iterable[int] | None = None,
    memory: int | None = None,
) -> Iterator[EmbeddedFrame]:
    """Yield the embedding of every frame; each frame is read and projected once.

    Parameters
    ----------
    model : TimeArrowNet or TrainedModel
        In eval mode, on any device; it is not changed.
    movie : PreparedMovie
    layer : int
        Of the projection head, as in `TimeArrowNet.embedding`; 0 is the last.
    dtype : {"float32", "float16"}
        Of the result; what is computed is float32.
    grid : {"movie", "network"}
        ``movie``: on the movie's pixels, with every value repeated over the pixels that it stands for where subsampling
        or the network make it coarser; pixels of an incomplete block at the edge take the nearest. ``network``: as the
        network gives it.
    frames : iterable of int, optional
        Indices of the frames that are wanted, in this order; all without it.
    memory : int, optional
        Bytes that the process (on a GPU: what it holds there) may take, two embedded frames included: the one in work
        and the one that was yielded before it. Without it, most of what is free.

    Raises
    ------
    UserError
        At once, if there is no such layer, type, grid or frame, or network and movie do not fit each other; later, if a
        frame cannot be read, or the memory does not suffice.
    """
    return _frames(*_planned(model, movie, layer, dtype, grid, frames, memory))


def _frames(projector: Projector, places: Places, frames: list[int], dtype: Precision) -> Iterator[EmbeddedFrame]:
    shape = projector.shape[0], *places.size
    projector.leave(2 * math.prod(shape) * np.dtype(dtype).itemsize)
    whole: np.ndarray = np.empty(0)
    notices: tuple[str, ...] = ()
    with contextlib.closing(_blocks(projector, places, frames, dtype)) as blocks:
        for block in blocks:
            notices += block.notices
            if block.values.shape == shape:
                whole = block.values
            else:
                whole = whole if whole.size else np.empty(shape, dtype)
                height, width = block.values.shape[1:]
                whole[:, block.y : block.y + height, block.x : block.x + width] = block.values
            if block.last:
                yield EmbeddedFrame(block.index, whole, block.done, block.total, notices)
                whole, notices = np.empty(0), ()


def embed_blocks(
    model: TimeArrowNet | TrainedModel,
    movie: PreparedMovie,
    *,
    layer: int = 0,
    dtype: Precision = "float32",
    grid: Grid = "movie",
    frames: Iterable[int] | None = None,
    memory: int | None = None,
    held: int = 0,
) -> Iterator[EmbeddedBlock]:
    """Yield the embedding of every frame in blocks, so that a whole one need not fit into memory.

    The parameters are those of `embed`; the blocks of a frame follow each other, row by row, and cover it once. Whoever
    takes them needs `held` bytes of the memory for them.

    Raises
    ------
    UserError
        As `embed`.
    """
    projector, places, chosen, precision = _planned(model, movie, layer, dtype, grid, frames, memory)
    projector.leave(held)
    return _blocks(projector, places, chosen, precision)


def _planned(
    model: TimeArrowNet | TrainedModel,
    movie: PreparedMovie,
    layer: int,
    dtype: Precision,
    grid: Grid,
    frames: Iterable[int] | None,
    memory: int | None,
) -> tuple[Projector, Places, list[int], Precision]:
    """Check what is given; return what projects, where that comes to lie, the frames that are wanted, and the type."""
    network = network_for(model, movie)
    choice(grid, get_args(Grid), "grid")
    named = cast("Precision", getattr(dtype, "__name__", str(dtype)))  # numpy.float32 and its dtype are taken, too
    choice(named, get_args(Precision), "dtype")
    projector = Projector(network, movie, layer=whole_number(layer, "layer"), memory=memory)
    return projector, Places(network, movie, grid), indices(frames, movie.shape[0], "frames"), named


def _blocks(
    projector: Projector, places: Places, frames: list[int], dtype: Precision
) -> Generator[EmbeddedBlock, None, None]:
    if places.repeated > 1:
        projector.leave(0, per_pixel=2 * places.repeated**2 * projector.shape[0] * np.dtype(dtype).itemsize)
    with contextlib.ExitStack() as ending:
        ending.callback(give_memory_back)
        ending.enter_context(keeping_freed_memory(projector.device))
        threads = ending.enter_context(Threads(projector.device))
        cut = False
        for done, index in enumerate(frames, 1):
            for window, block in projector.blocks(index):
                notices = projector.take_notices() + threads.adapt()
                if dtype == "float16" and max(map(abs, map(float, block.aminmax()))) > _LARGEST_HALF:
                    block = block.clamp(-_LARGEST_HALF, _LARGEST_HALF)
                    notices += (_CUT,) * (not cut)
                    cut = True
                y, x, values = places.place(window, block, dtype)
                del block  # not held any longer while the next is made
                last = window == projector.windows[-1]
                yield EmbeddedBlock(index, y, x, values, last, done - (not last), len(frames), notices)


class Places:
    """Where the network's pixels lie in an embedding.

    Attributes
    ----------
    size : (H, W)
        Of the embedding.
    repeated : int
        Pixels of the embedding along the side of a pixel of the network.
    """

    def __init__(self, model: TimeArrowNet, movie: PreparedMovie, grid: Grid) -> None:
        prepared = movie.shape[2:]
        self._rows = self._columns = np.empty(0, np.int64)
        if grid == "network":
            self.repeated = 1
            self.size = model.backbone.length(prepared[0]), model.backbone.length(prepared[1])
        else:
            self.repeated = movie.preparation.subsample * model.downscale
            self.size = movie.movie.shape[2:]
            self._rows, self._columns = (
                sources(model, side, small, movie.preparation.subsample)
                for side, small in zip(self.size, prepared, strict=True)
            )

    def place(self, window: Window, block: torch.Tensor, dtype: Precision) -> tuple[int, int, np.ndarray]:
        """Return where a block (F, h, w) of the network's pixels begins in the embedding, and its values there."""
        values = _in_planes(block.to(getattr(torch, dtype)).cpu()).numpy()
        if self.repeated == 1:
            return window.y0, window.x0, values
        (y0, y1), (x0, x1) = (
            np.searchsorted(taken, ends) for taken, ends in ((self._rows, window[:2]), (self._columns, window[2:]))
        )
        rows, columns = self._rows[y0:y1] - window.y0, self._columns[x0:x1] - window.x0
        return int(y0), int(x0), values.take(rows, 1).take(columns, 2)


def sources(model: TimeArrowNet, side: int, prepared: int, subsample: int) -> np.ndarray:
    """Return the network's pixel that each of `side` pixels of the movie takes its value from, rising, ``(side,)``.

    Parameters
    ----------
    model : TimeArrowNet
    side, prepared : int
        Pixels along one axis of the movie, and of the frames that the network gets.
    subsample : int
        Pixels of the movie along a side of theirs.
    """
    pixels = np.arange(side) // subsample
    backbone = model.backbone
    found: np.ndarray = (pixels + backbone.lead(prepared)) // backbone.downscale - backbone.offset(prepared)
    return found.clip(0, backbone.length(prepared) - 1)


def _in_planes(block: torch.Tensor) -> torch.Tensor:
    """Return a block (F, h, w) with the pixels of each feature together; torch transposes matrices fast."""
    if block.stride(0) != 1:
        return block.contiguous()
    return block.permute(1, 2, 0).reshape(-1, len(block)).t().contiguous().view(block.shape)
