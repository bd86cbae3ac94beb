"""Blocks of a frame, wherever they are cut, become the whole chunks that a store writes."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Array = NDArray[Any]


class Assembly:
    """Collects one frame.

    A block that covers a chunk passes through without a copy; only chunks that several blocks share are held, each
    until it is complete. Blocks that come row by row thus hold one row of chunks at most.

    Parameters
    ----------
    shape : (C, H, W)
        Of the frame.
    chunk : (h, w)
        Chunks start at multiples of it; those at the end are smaller.
    dtype
        Of what is given back.
    """

    def __init__(self, shape: tuple[int, int, int], chunk: tuple[int, int], dtype: np.dtype[Any]) -> None:
        self._shape, self._chunk, self._dtype = shape, chunk, dtype
        self._held: dict[tuple[int, int], Array] = {}
        self._left: dict[tuple[int, int], int] = {}  # pixels that a held chunk lacks
        self._pixels = 0

    @property
    def complete(self) -> bool:
        """Whether all pixels of the frame came."""
        return self._pixels == self._shape[1] * self._shape[2]

    def add(self, y: int, x: int, values: Array) -> Iterator[tuple[int, int, Array]]:
        """Take a block (C, h, w) whose first pixel is (y, x); yield the chunks that are now complete, with theirs.

        Raises
        ------
        ValueError
            If the block does not lie in the frame.
        """
        channels, height, width = values.shape
        if channels != self._shape[0] or y < 0 or x < 0 or y + height > self._shape[1] or x + width > self._shape[2]:
            raise ValueError(f"a block {values.shape} at {y}, {x} is no part of a frame {self._shape}")
        self._pixels += height * width
        for start in product(self._starts(y, height, 0), self._starts(x, width, 1)):
            stop = tuple(min(a + c, s) for a, c, s in zip(start, self._chunk, self._shape[1:], strict=True))
            inside = tuple(
                slice(max(a, o), min(b, o + n)) for a, b, o, n in zip(start, stop, (y, x), (height, width), strict=True)
            )
            part = values[:, inside[0].start - y : inside[0].stop - y, inside[1].start - x : inside[1].stop - x]
            size = (stop[0] - start[0], stop[1] - start[1])
            if part.shape[1:] == size:
                yield *start, np.ascontiguousarray(part, dtype=self._dtype)
            elif (whole := self._completed(start, size, inside, part)) is not None:
                yield *start, whole

    def _starts(self, first: int, length: int, axis: int) -> range:
        step = self._chunk[axis]
        return range(first // step * step, first + length, step)

    def _completed(
        self, start: tuple[int, int], size: tuple[int, int], inside: tuple[slice, ...], part: Array
    ) -> Array | None:
        if start not in self._held:
            self._held[start] = np.empty((self._shape[0], *size), self._dtype)
            self._left[start] = size[0] * size[1]
        rows, columns = (slice(one.start - a, one.stop - a) for one, a in zip(inside, start, strict=True))
        self._held[start][:, rows, columns] = part
        self._left[start] -= part.shape[1] * part.shape[2]
        return None if self._left[start] else self._held.pop(start)
