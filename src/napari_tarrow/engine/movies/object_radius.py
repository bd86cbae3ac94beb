"""How large the things in a movie are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .prepared import middle
from .sequences import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .prepared import PreparedMovie

_FRAMES, _SIDE = 8, 1024  # looked at: so many frames, and of large ones their middle
_SMALLEST = 4.0  # pixels; phase contrast has fine grain, but nothing smaller than this is followed over time
_LARGEST = 1 / 8  # of the frame's shorter side
_DEGREE = 2  # of the surface that stands for uneven illumination


def object_radius(movie: PreparedMovie) -> float:
    """Estimate the radius of a movie's objects: where the autocorrelation of its frames has fallen to one half.

    For nuclei that is about their radius. The median of a few frames is taken. What lies beyond the percentiles of a
    prepared frame is cut, or a few hot pixels would be all that is seen; then a quadratic surface is taken off, or
    uneven illumination would, which reaches farther than any object.

    Returns
    -------
    float
        Pixels of the movie (not of the subsampled frames), within sensible bounds.
    """
    count, _, height, width = movie.shape
    looked_at = (middle(movie.frame(int(index)), _SIDE).clip(0, 1).mean(0) for index in spread(count, _FRAMES))
    found = [_half_width(frame) for frame in looked_at]
    known = [radius for radius in found if radius is not None]
    step = movie.preparation.subsample
    largest = max(_SMALLEST, _LARGEST * step * min(height, width))
    return float(np.clip(step * float(np.median(known)), _SMALLEST, largest)) if known else _SMALLEST


def _half_width(frame: NDArray[np.float32]) -> float | None:
    """Return the lag at which the autocorrelation, averaged over directions, crosses one half; None if it is flat."""
    from scipy import fft

    if min(frame.shape) < 2:
        return None
    objects = frame - _illumination(frame)
    size = [fft.next_fast_len(2 * side, real=True) for side in frame.shape]
    power = fft.irfft2(np.abs(fft.rfft2(objects, s=size)) ** 2, s=size)
    overlap = fft.irfft2(np.abs(fft.rfft2(np.ones_like(frame), s=size)) ** 2, s=size)
    reach = max(2, min(frame.shape) // 2)
    means = _by_lag(power[:reach, :reach] / overlap[:reach, :reach], reach)
    if means[0] <= 0:
        return None
    below = np.flatnonzero(means < means[0] / 2)
    if not len(below):
        return None
    lag = int(below[0])
    before, after = means[lag - 1] / means[0], means[lag] / means[0]
    return float(lag - 1 + (before - 0.5) / (before - after))


def _illumination(frame: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the polynomial in y and x of degree 2 that is nearest to a frame."""
    rows, columns = (_polynomials(side) for side in frame.shape)
    weights = rows.T @ frame @ columns
    degrees = np.add.outer(np.arange(rows.shape[1]), np.arange(columns.shape[1]))
    surface: NDArray[np.float64] = rows @ np.where(degrees <= _DEGREE, weights, 0) @ columns.T
    return surface


def _polynomials(side: int) -> NDArray[np.float64]:
    """Return orthonormal polynomials over the pixels of a side: (side, degrees)."""
    along = np.linspace(-1, 1, side)
    return np.linalg.qr(np.polynomial.legendre.legvander(along, min(_DEGREE, side - 1)))[0]


def _by_lag(quarter: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    """Average over a quarter circle (lags along y and x from 0), by rounded distance."""
    y, x = np.indices(quarter.shape)
    distance = np.hypot(y, x).round().astype(int).ravel()
    inside = distance < reach
    sums = np.bincount(distance[inside], quarter.ravel()[inside], reach)
    means: NDArray[np.float64] = sums / np.bincount(distance[inside], minlength=reach)
    return means
