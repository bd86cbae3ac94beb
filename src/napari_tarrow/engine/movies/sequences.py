"""Which frames make a sequence, and which frames a split holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def split_range(n: int, split: tuple[float, float]) -> range:
    """Frames of a split ``(a, b)``: ``int(n * a)`` up to, not including, ``int(n * b)``, truncated as upstream does.

    Raises
    ------
    UserError
        If not 0 <= a < b <= 1.
    """
    start, end = split
    if not 0 <= start < end <= 1:
        raise UserError(f"Split {start} {end} is no part of a movie. Give two increasing numbers from 0 to 1.")
    return range(int(n * start), int(n * end))


def sequences(frame_numbers: NDArray[np.int64], within: range, n_frames: int, delta: int) -> NDArray[np.int64]:
    """Find all sequences of frames whose numbers are `delta` apart.

    Parameters
    ----------
    frame_numbers : (T,) int64
        Strictly increasing; where numbers are missing, no sequence bridges the gap with a wrong time step.
    within : range
        Positions in the movie that may be used; no sequence leaves them.
    n_frames : int
        Frames per sequence.
    delta : int
        Difference between the numbers of consecutive frames.

    Returns
    -------
    (S, n_frames) int64
        Positions in the movie, in order of their first frame; S may be 0.
    """
    positions = np.arange(len(frame_numbers), dtype=np.int64)[within.start : within.stop : within.step]
    numbers = frame_numbers[positions]
    if len(numbers) == 0:
        return np.empty((0, n_frames), dtype=np.int64)
    wanted = numbers[:, np.newaxis] + delta * np.arange(n_frames, dtype=np.int64)
    found = np.searchsorted(numbers, wanted).clip(max=len(numbers) - 1)
    complete = (numbers[found] == wanted).all(axis=1)
    result: NDArray[np.int64] = positions[found[complete]]
    return result


def spread(count: int, most: int) -> NDArray[np.int64]:
    """Return at most `most` positions from 0 to `count` - 1, evenly spread, the first and the last among them."""
    found: NDArray[np.int64] = np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.int64))
    return found
