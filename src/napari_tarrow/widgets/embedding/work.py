"""The work behind the dock "Compute embeddings": frames, colours and objects, in a thread, without Qt."""

from __future__ import annotations

import contextlib
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ...engine.errors import UserError
from ...engine.files import in_words
from ..shared.roomy import left_beside, roomy
from ..shared.work import Stage, open_model_and_movie, outwards

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from ...engine.inference.embeddings.object_table import ObjectTable
    from ...engine.inference.stores import ZarrStore
    from ...engine.inference.stores.filling import EmbeddingPlan
    from ...engine.movies import Movie
    from ..shared.work import Stopping

_LEFT = 0.75  # of the memory that may be taken, for the channels; the rest is for the work
COLOURS = 3


@dataclass(frozen=True)
class EmbeddingOrder:
    """What the user asks for.

    Attributes
    ----------
    folder : Path
        Of the model.
    movie : Movie
    layer : int
        Of the projection head, as in `TimeArrowNet.embedding`.
    store : Path or None
        The zarr to write; None for memory.
    labels : Movie or None
        Objects whose mean embedding is wanted.
    current : int
        The frame in view, which comes first.
    device, memory
        As in `UseConfig`.
    """

    folder: Path
    movie: Movie
    layer: int = 0
    store: Path | None = None
    labels: Movie | None = None
    current: int = 0
    device: str = "auto"
    memory: int | None = None


@dataclass(frozen=True)
class EmbeddingBegun:
    """Where frames appear.

    Attributes
    ----------
    channels : (T, F, H, W) float32 array, or Path of a zarr of float16
    colours : (T, 4, H, W) uint8
        Red, green, blue and opacity: the movie shows through where there is no frame yet.
    """

    channels: NDArray[np.float32] | Path = field(repr=False)
    colours: NDArray[np.uint8] = field(repr=False)
    fingerprint: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameEmbedded:
    """Frame `frame` is there; `limits` are the values to show as black and white, known from the first frame."""

    frame: int
    limits: tuple[float, float]
    done: int
    total: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class FrameColoured:
    """Frame `frame` has its final colours."""

    frame: int


@dataclass(frozen=True)
class ObjectsPooled:
    """The mean embedding of every object, one row per object and frame."""

    table: ObjectTable


def size_of(frames: int, features: int, height: int, width: int, *, on_disk: bool) -> int:
    """Bytes of an embedding: float32 in memory, float16 (before compression) on the disk."""
    return frames * features * height * width * (2 if on_disk else 4)


def compute_embedding(order: EmbeddingOrder, stopping: Stopping) -> Iterator[Any]:
    """Yield `EmbeddingBegun`, a `FrameEmbedded` for each frame, `ObjectsPooled`, and a `FrameColoured` for each frame.

    The colours are three principal components, fitted to the first frame until those of the whole movie are known.
    Stopped in the first part no further frames are embedded, and the components are those of the frames that are there;
    in the second, no further frames are coloured anew.
    """
    from ...engine.inference.stores.filling import plan_embedding

    opened = open_model_and_movie(order.folder, order.movie, order.device)
    dtype: Literal["float16", "float32"] = "float32" if order.store is None else "float16"
    plan = plan_embedding(opened.network, opened.movie, layer=order.layer, dtype=dtype)
    n_frames, _, height, width = plan.shape
    with contextlib.closing(_Kept(order, plan)) as kept:
        colours = roomy((n_frames, COLOURS + 1, height, width), np.uint8)
        yield EmbeddingBegun(kept.shown, colours, opened.fingerprint, opened.notices)
        yield from _frames(order, plan, kept, colours, stopping)


class _Kept:
    """The embedding while it is made: in memory, or in a zarr on the disk that may hold some frames already."""

    def __init__(self, order: EmbeddingOrder, plan: EmbeddingPlan) -> None:
        self.shape = plan.shape
        self._store: ZarrStore | None = None
        self._array: NDArray[np.float32] = np.empty(0, np.float32)
        self._there: set[int] = set()
        if order.store is None:
            _check_memory(4 * math.prod(self.shape), plan.model.device, order.memory)
            self._array = np.zeros(self.shape, np.float32)
        else:
            self._store = _open_store(order.store, plan)
            self._there = set(range(self.shape[0])) - set(self._store.missing)

    @property
    def shown(self) -> NDArray[np.float32] | Path:
        """What a layer shows."""
        return self._array if self._store is None else self._store.path

    @property
    def array(self) -> NDArray[np.float32] | None:
        """The array in memory; None where it is on the disk."""
        return self._array if self._store is None else None

    def has(self, index: int) -> bool:
        """Whether a frame is there."""
        return index in self._there

    def write(self, index: int, embedding: NDArray[Any]) -> None:
        """Keep a frame (F, H, W)."""
        if self._store is None:
            self._array[index] = embedding
        else:
            self._store.write(index, embedding)
        self._there.add(index)

    def read(self, index: int) -> NDArray[Any]:
        """Return a frame (F, H, W) that is there."""
        if self._store is None:
            return self._array[index]
        frame = np.empty(self.shape[1:], np.float16)
        for y, x, part in self._store.parts(index):
            frame[:, y : y + part.shape[1], x : x + part.shape[2]] = part
        return frame

    def close(self) -> None:
        """End writing."""
        if self._store is not None:
            self._store.close()


def _open_store(path: Path, plan: EmbeddingPlan) -> ZarrStore:
    from ...engine.inference.stores import open_store

    try:
        return open_store(path, plan.shape, plan.dtype, plan.settings, calibration=plan.calibration)
    except UserError as error:
        raise UserError(str(error).replace(", or give --overwrite to replace it", "")) from error


def _check_memory(needed: int, device: torch.device, memory: int | None) -> None:
    """Refuse what would leave too little for the work itself, before Linux kills the process without a word."""
    import torch

    from ...engine.inference.projections.memory import Budget

    left = Budget(torch.device("cpu"), memory if device.type == "cpu" else None).left
    if needed > _LEFT * left:
        raise UserError(
            f"The embedding takes {in_words(needed)} of memory, and about {in_words(max(left, 0))} may be taken. Keep"
            " it in a zarr on the disk instead."
        )


def _frames(order: EmbeddingOrder, plan: EmbeddingPlan, kept: _Kept, colours: Any, stopping: Stopping) -> Iterator[Any]:
    from ...engine.inference.embeddings.components import ComponentFit
    from ...engine.inference.embeddings.embedding import embed
    from ...engine.inference.embeddings.pooling import open_labels, pool, read_labels

    labels = None if order.labels is None else open_labels(order.labels, plan.movie.movie)
    frames = [frame for stretch in outwards(order.current, kept.shape[0]) for frame in stretch]
    missing = [frame for frame in frames if not kept.has(frame)]
    memory = left_beside(kept.array, plan.model.device, order.memory)
    steps = embed(plan.model, plan.movie, layer=order.layer, dtype=plan.dtype, frames=missing, memory=memory)
    fit = ComponentFit(min(COLOURS, kept.shape[1]))
    tables, preview, limits = [], None, (0.0, 1.0)
    for done, frame in enumerate(frames, 1):
        notices: tuple[str, ...] = ()
        if kept.has(frame):
            embedding = kept.read(frame)
        else:
            step = next(steps)
            embedding, notices = step.embedding, step.notices
            kept.write(frame, embedding)
        fit.add(embedding)
        if preview is None:
            preview, limits = fit.result(), _limits(embedding)
        _colour(colours, frame, preview, embedding)
        if labels is not None:
            number = int(plan.movie.movie.frame_numbers[frame])
            tables.append(pool(read_labels(labels, frame), embedding, frame=number))
        yield FrameEmbedded(frame, limits, done, len(frames), notices)
        if stopping.first.is_set():
            break
    if tables:
        yield ObjectsPooled(_joined(tables))
    steps.close()  # type: ignore[attr-defined]
    stopping.in_second = True
    yield Stage("Colours of the whole movie ...")
    components = fit.result()
    for frame in frames[:done]:
        if stopping.second.is_set():
            break
        _colour(colours, frame, components, kept.read(frame))
        yield FrameColoured(frame)


def _colour(colours: NDArray[np.uint8], frame: int, components: Any, embedding: NDArray[Any]) -> None:
    grey = components.apply(embedding)
    colours[frame, : len(grey)] = grey
    colours[frame, COLOURS] = 255


def _limits(embedding: NDArray[Any]) -> tuple[float, float]:
    step = max(1, embedding.size // 1_000_000)
    low, high = np.percentile(embedding.ravel()[::step].astype(np.float32), (1, 99.8))
    return float(low), float(high) if high > low else float(low) + 1


def _joined(tables: list[ObjectTable]) -> ObjectTable:
    from ...engine.inference.embeddings.object_table import joined

    return joined(tables)
