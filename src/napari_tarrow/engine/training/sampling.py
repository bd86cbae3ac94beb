"""Which clip of which movie, and where: the places that patches are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from torch.nn import functional

from .change import squared_change

if TYPE_CHECKING:
    from .draws import Stream
    from .frames import FrameStore


@dataclass(frozen=True)
class Places:
    """Where the patches of a batch are cut.

    Attributes
    ----------
    frames : (B, K) int64
        Numbers in the frame store of each clip's frames.
    y, x : (B,) int64
        Upper left corner.
    """

    frames: np.ndarray
    y: np.ndarray
    x: np.ndarray


class Sampler:
    """Draws places from a table of clips, uniformly or by how much the movie changes there.

    Parameters
    ----------
    store : FrameStore
    clips : (N, K) int64
        Numbers in the store of the frames of every clip.
    size : int
        Side of a patch.
    change_power : float or None
        None: uniform over clips, then over positions. Otherwise a place is drawn with probability proportional to this
        power of its local change, the root mean square of `squared_change` between neighbouring frames of the clip.
    change_mix : float
        Share drawn uniformly over places all the same.
    """

    def __init__(
        self,
        store: FrameStore,
        clips: np.ndarray,
        size: int,
        *,
        change_power: float | None = None,
        change_mix: float = 0.0,
    ) -> None:
        self._store = store
        self.clips = clips
        self.size = size
        self._rows = store.heights[clips[:, 0]] - size + 1
        self._columns = store.widths[clips[:, 0]] - size + 1
        self._cells: _Cells | None = None
        if change_power is not None:
            stride = max(1, size // 4)
            maps = _clip_changes(store, clips, size, stride)
            self._cells = _Cells(maps, self._rows, self._columns, stride, change_power, change_mix)

    @property
    def extent(self) -> float:
        """How many patches cover the frames of all clips, each frame once."""
        frames = np.unique(self.clips)
        pixels: int = (self._store.heights[frames] * self._store.widths[frames]).sum()
        return float(pixels / self.size**2)

    def draw(self, stream: Stream, samples: np.ndarray) -> Places:
        """Draw a place for each sample: (B,) numbers of samples, counted over the run."""
        u = stream.uniform(samples, 3)
        if self._cells is not None:
            clip, y, x = self._cells.draw(u)
        else:
            clip = (u[:, 0] * len(self.clips)).astype(np.int64)
            y = (u[:, 1] * self._rows[clip]).astype(np.int64)
            x = (u[:, 2] * self._columns[clip]).astype(np.int64)
        return Places(self.clips[clip], y, x)

    def elsewhere(self, frames: np.ndarray, stream: Stream, samples: np.ndarray) -> Places:
        """Draw another position, uniformly, in each of the clips (B, K) given."""
        u = stream.uniform(samples, 2)
        rows = self._store.heights[frames[:, 0]] - self.size + 1
        columns = self._store.widths[frames[:, 0]] - self.size + 1
        return Places(frames, (u[:, 0] * rows).astype(np.int64), (u[:, 1] * columns).astype(np.int64))


class _Cells:
    """The probability of every cell of positions of every clip; within a cell all positions are alike.

    Parameters
    ----------
    maps : list of (rows, columns) float32
        Mean squared change of every cell, for every clip.
    rows, columns : (N,) int64
        Positions along y and x in every clip.
    stride : int
        Positions of a cell along each side; fewer in the last.
    power, mix : float
        See `Sampler`.
    """

    def __init__(
        self, maps: list[np.ndarray], rows: np.ndarray, columns: np.ndarray, stride: int, power: float, mix: float
    ) -> None:
        self._stride, self._rows, self._columns = stride, rows, columns
        self._starts = np.concatenate([[0], np.cumsum([m.size for m in maps])])
        self._wide = np.array([m.shape[1] for m in maps], np.int64)
        _, _, _, high, wide = self._located(np.arange(self._starts[-1]))
        even = (high * wide).astype(np.float64)
        change = np.concatenate([m.ravel() for m in maps]).astype(np.float64)
        weights = change ** (power / 2) * even  # the maps hold squares
        if not weights.sum() > 0:
            weights = even
        self._cumulative = np.cumsum((1 - mix) * weights / weights.sum() + mix * even / even.sum())

    def draw(self, u: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return clip, y and x of each row of three uniform numbers."""
        cell = np.searchsorted(self._cumulative, u[:, 0] * self._cumulative[-1], side="right")
        clip, y, x, high, wide = self._located(np.minimum(cell, len(self._cumulative) - 1))
        return clip, y + (u[:, 1] * high).astype(np.int64), x + (u[:, 2] * wide).astype(np.int64)

    def _located(self, cell: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the clip of each cell, its first position, and how many it has along y and x (fewer at the end)."""
        clip = np.searchsorted(self._starts, cell, side="right") - 1
        row, column = np.divmod(cell - self._starts[clip], self._wide[clip])
        y, x = row * self._stride, column * self._stride
        high, wide = self._rows[clip] - y, self._columns[clip] - x
        return clip, y, x, np.minimum(high, self._stride), np.minimum(wide, self._stride)


def _clip_changes(store: FrameStore, clips: np.ndarray, size: int, stride: int) -> list[np.ndarray]:
    """Mean squared change between a clip's neighbouring frames in every window on a grid: (rows, columns) each."""
    known: dict[tuple[int, int], np.ndarray] = {}
    changes = []
    for clip in clips:
        pairs = list(zip(clip[:-1].tolist(), clip[1:].tolist(), strict=True))
        for first, second in pairs:
            if (first, second) not in known:
                frames = store.frame(first), store.frame(second)
                change = squared_change(*frames, size)
                lost = frames[0].shape[-1] - change.shape[-1]
                windows = functional.avg_pool2d(change[None], size - lost, stride)[0]
                known[first, second] = windows.cpu().numpy()
        changes.append(np.mean([known[pair] for pair in pairs], 0))
    return changes


def evenly_spaced(clip: int, frames: int) -> np.ndarray:
    """Positions in a clip of all its evenly spaced sequences: (P, frames) int64, the narrowest first."""
    return np.array(
        [
            np.arange(frames) * spacing + start
            for spacing in range(1, (clip - 1) // (frames - 1) + 1)
            for start in range(clip - spacing * (frames - 1))
        ],
        np.int64,
    )
