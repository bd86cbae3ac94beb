"""What every output image is to those who fill and read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


class ImageStore(Protocol):
    """An image (T, C, H, W) on the disk that is filled frame by frame, in blocks.

    Attributes
    ----------
    path : Path
    shape : (T, C, H, W)
    dtype : numpy.dtype
    """

    path: Path
    shape: tuple[int, int, int, int]
    dtype: np.dtype[Any]

    @property
    def missing(self) -> tuple[int, ...]:
        """Frames that are not written yet, in order."""

    @property
    def working_bytes(self) -> int:
        """Memory that writing takes at most, besides the block that is given."""

    def write(self, frame: int, values: NDArray[Any]) -> None:
        """Write a whole frame (C, H, W)."""

    def write_block(self, frame: int, y: int, x: int, values: NDArray[Any]) -> None:
        """Write a block (C, h, w) of a frame; the frame is finished with the block that completes it.

        A block at (0, 0) starts its frame anew.
        """

    def parts(self, frame: int) -> Iterator[tuple[int, int, NDArray[Any]]]:
        """Read a finished frame in parts that fit into memory: y, x and values (C, h, w)."""

    def close(self) -> None:
        """End writing: an output that needs all frames is there from now on, or not at all. May be called again."""


@dataclass(frozen=True)
class StoredPart:
    """A part of a frame that was read from a store; alike what embedding yields.

    Attributes
    ----------
    index : int
        Of the frame.
    y, x : int
        Its first pixel.
    values : (C, h, w) array
    last : bool
        Whether it is the frame's last.
    done, total : int
        How many frames are read, of how many.
    """

    index: int
    y: int
    x: int
    values: NDArray[Any] = field(repr=False)
    last: bool
    done: int
    total: int
    notices: tuple[str, ...] = ()


def stored_parts(
    store: ImageStore, frames: Sequence[int] | None = None, indices: Sequence[int] | None = None
) -> Iterator[StoredPart]:
    """Yield what is stored, frame by frame, in parts that fit into memory.

    Parameters
    ----------
    store : ImageStore
        With all these frames finished.
    frames : sequence of int, optional
        Which frames of the store; all without it.
    indices : sequence of int, optional
        What ``index`` says for each frame of the store, such as its index in the movie.
    """
    wanted = range(store.shape[0]) if frames is None else frames
    for done, frame in enumerate(wanted):
        index = frame if indices is None else indices[frame]
        left = store.shape[2] * store.shape[3]
        for y, x, values in store.parts(frame):
            left -= values.shape[1] * values.shape[2]
            yield StoredPart(index, y, x, values, not left, done + (not left), len(wanted))
