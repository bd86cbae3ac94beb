"""Percentiles over time without the frames that stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[np.float64]

# Metaphases stay bright for some frames (an hour at 10 minutes per frame): a median over 15 frames passes over up to 7,
# and follows bleaching, focus drift and lamp changes, which last longer.
MEDIAN_FRAMES = 15
# The median jumps where an event enters or leaves its window: a Gaussian of this deviation, in frames, rounds it.
GAUSSIAN_SIGMA = 2.0


def smoothed(values: Values, frame_numbers: NDArray[np.int64]) -> Values:
    """Smooth ``(T,)`` values over time: a running median, then a Gaussian, both exact on a straight line.

    Parameters
    ----------
    values : (T,) float64
    frame_numbers : (T,) int64
        Times of the values; a gap counts as the time it is.
    """
    times = frame_numbers.astype(np.float64)
    return _gaussian(_median(values, times), times)


def _median(values: Values, times: Values) -> Values:
    """Take the running median over the nearest frames; where they lie to one side, moved along their slope.

    Without the slope, the ends of a bleaching movie would look constant, as the median there is that of later frames.
    """
    width = min(MEDIAN_FRAMES, len(values))
    result = np.empty_like(values)
    for index, time in enumerate(times):
        start = min(max(index - width // 2, 0), len(values) - width)
        near, at = values[start : start + width], times[start : start + width]
        moved = np.median(near) + _slope(near, at) * (time - np.median(at))
        result[index] = np.clip(moved, near.min(), near.max())
    return result


def _slope(values: Values, times: Values) -> float:
    """Median of the slopes of all pairs (Theil 1950, Sen 1968): not moved by less than 29 % of outliers."""
    first, second = np.triu_indices(len(values), 1)
    return float(np.median((values[second] - values[first]) / (times[second] - times[first])))


def _gaussian(values: Values, times: Values) -> Values:
    """Local straight line with Gaussian weights, which unlike a plain mean is not biased at the ends."""
    result = np.empty_like(values)
    for index, time in enumerate(times):
        start, end = np.searchsorted(times, (time - 4 * GAUSSIAN_SIGMA, time + 4 * GAUSSIAN_SIGMA + 0.5))
        near, away = values[start:end], times[start:end] - time
        weights = np.exp(-0.5 * (away / GAUSSIAN_SIGMA) ** 2)
        s0, s1, s2 = weights.sum(), weights @ away, weights @ away**2
        line = (s2 * (weights @ near) - s1 * (weights @ (away * near))) / max(s0 * s2 - s1 * s1, 1e-12)
        mean = weights @ near / s0
        result[index] = np.clip(line, near.min(), near.max()) if len(near) > 1 else mean
    return result
