"""From a movie to a stored embedding: what it will be, and the missing frames of it."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...errors import UserError
from ..embeddings.embedding import embed_blocks, sources
from ..projections.projector import Projector
from .calibration import Calibration
from .identity import embedding_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from ...models import TimeArrowNet
    from ...movies import PreparedMovie
    from ..embeddings.embedding import EmbeddedBlock
    from .image import ImageStore


@dataclass(frozen=True)
class EmbeddingPlan:
    """What the embedding of a movie will be; made by `plan_embedding`.

    Attributes
    ----------
    model, movie, layer, grid, dtype
        As `plan_embedding` takes them.
    frames : range
        Indices in the movie of the frames that are embedded.
    shape : (T, F, h, w)
    step : int
        Pixels of the movie along a side of the embedding's pixels.
    """

    model: TimeArrowNet = field(repr=False)
    movie: PreparedMovie = field(repr=False)
    layer: int
    grid: Literal["movie", "network"]
    dtype: Literal["float16", "float32"]
    frames: range
    shape: tuple[int, int, int, int]
    step: int

    @property
    def frame_bytes(self) -> int:
        """Size of one frame, in bytes."""
        return int(np.prod(self.shape[1:], dtype=np.int64)) * np.dtype(self.dtype).itemsize

    @property
    def repeated(self) -> bool:
        """Whether the network's values are repeated onto the movie's finer pixels."""
        return self.grid == "movie" and self.movie.preparation.subsample * self.model.downscale > 1

    @property
    def calibration(self) -> Calibration:
        """Seconds and micrometres of the embedding's pixels."""
        return Calibration.of(self.movie.movie, self.frames, step=self.step, origin=self._origin())

    @property
    def sources(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Row and column of the embedding that each row and column of the movie takes its value from."""
        sides = self.movie.movie.shape[2:]
        if self.grid == "movie":
            return np.arange(sides[0]), np.arange(sides[1])
        subsample, prepared = self.movie.preparation.subsample, self.movie.shape[2:]
        rows, columns = (
            sources(self.model, side, small, subsample) for side, small in zip(sides, prepared, strict=True)
        )
        return rows, columns

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """All that changes the values, by name; reads the movie once."""
        frames = ":".join(map(str, (self.frames.start, self.frames.stop, self.frames.step)))
        return embedding_settings(self.model, self.movie, layer=self.layer, grid=self.grid, frames=frames)

    def blocks(
        self, positions: tuple[int, ...] | None = None, memory: int | None = None, held: int = 0
    ) -> Iterator[EmbeddedBlock]:
        """Embed the frames at some places of `frames`, all without them, block by block; see `embed_blocks`."""
        frames = [self.frames[position] for position in (range(len(self.frames)) if positions is None else positions)]
        return embed_blocks(
            self.model,
            self.movie,
            layer=self.layer,
            dtype=self.dtype,
            grid=self.grid,
            frames=frames,
            memory=memory,
            held=held,
        )

    def _origin(self) -> tuple[int, int]:
        """Find the pixel of the movie at which the embedding begins; networks that pad begin before the movie."""
        if self.grid == "movie":
            return 0, 0
        backbone, subsample = self.model.backbone, self.movie.preparation.subsample
        y, x = (
            (backbone.offset(side) * backbone.downscale - backbone.lead(side)) * subsample
            for side in self.movie.shape[2:]
        )
        return y, x


def plan_embedding(
    model: TimeArrowNet,
    movie: PreparedMovie,
    *,
    layer: int = 0,
    grid: Literal["movie", "network"] = "movie",
    dtype: Literal["float16", "float32"] = "float16",
    frames: str | None = None,
) -> EmbeddingPlan:
    """Find out what the embedding of a movie will be, without computing it.

    Parameters
    ----------
    model : TimeArrowNet
        In eval mode.
    movie : PreparedMovie
    layer : int
        Of the projection head, counted from the last.
    grid : {"movie", "network"}
        Whether the network's values are repeated onto the movie's pixels, where they are coarser.
    dtype : {"float16", "float32"}
    frames : str, optional
        ``START:STOP`` or ``START:STOP:STEP``, as Python slices; all frames without it.

    Raises
    ------
    UserError
        If the head has fewer layers, or no frame is chosen.
    """
    features, height, width = Projector(model, movie, layer=layer).shape
    size = movie.movie.shape[2:] if grid == "movie" else (height, width)
    step = 1 if grid == "movie" else movie.preparation.subsample * model.downscale
    chosen = _chosen(frames, movie)
    return EmbeddingPlan(model, movie, layer, grid, dtype, chosen, (len(chosen), features, *size), step)


def fill(store: ImageStore, plan: EmbeddingPlan, memory: int | None = None) -> Iterator[EmbeddedBlock]:
    """Embed the frames that a store lacks; yields each block once it is written, without its values.

    Parameters
    ----------
    store : ImageStore
        Of the plan's shape.
    plan : EmbeddingPlan
    memory : int, optional
        Bytes that the whole process may take, what writing takes included.

    Raises
    ------
    UserError
        If a frame cannot be read, or the disk is full.
    """
    if not store.missing:
        return
    position = {index: place for place, index in enumerate(plan.frames)}
    for block in plan.blocks(store.missing, memory, store.working_bytes):
        store.write_block(position[block.index], block.y, block.x, block.values)
        written = replace(block, values=block.values[:, :0, :0].copy())
        del block  # else it would be in memory while the next one is computed
        yield written


def _chosen(frames: str | None, movie: PreparedMovie) -> range:
    length = movie.shape[0]
    numbers = [int(part) if part else None for part in (frames or ":").split(":")]
    chosen = range(length)[slice(*numbers)]
    if not chosen:
        raise UserError(f"frames {frames} chooses none of the movie's {length} frames. Give START:STOP within them.")
    return chosen
