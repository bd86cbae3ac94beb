"""How large the things in a movie are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import UserError
from .contrast import liveliest
from .prepared import block_means, middle
from .sequences import spread

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .prepared import PreparedMovie

_FRAMES, _SIDE = 8, 1024  # looked at: so many frames, and of large ones their middle
_SMALLEST = 4.0  # pixels; phase contrast has fine grain, but nothing smaller than this is followed over time
_LARGEST = 1 / 8  # of the frame's shorter side
_DEGREE = 2  # of the surface that stands for uneven illumination
_NOTHING = 1e-6  # of the largest value: what is less is rounding
_GRAIN, _ROUNDS = 0.5, 3  # smoothing before contrast is taken, in radii of intensity; how often its reach is measured


class Radii(NamedTuple):
    """How large a movie's objects are, and what is fine in them: halos in phase contrast, cells in a dense colony."""

    objects: float
    details: float


def object_radius(movie: PreparedMovie) -> float:
    """Estimate the radius of a movie's objects, in its pixels: see `object_radii`."""
    return object_radii(movie).objects


def object_radii(movie: PreparedMovie) -> Radii:
    """Estimate the radius of a movie's objects and of what is fine in them.

    It is where the autocorrelation of frames has fallen to one half. For nuclei that is about their radius (discs
    with sharp edges have 0.81 of theirs). The median of a few frames is taken. A quadratic surface is taken off
    each first, or uneven illumination would be all that is seen, which reaches farther than any object; and the
    autocorrelation at lag 0 is that which lags 1 and 2 point at, which leaves out noise and hot pixels. In phase
    contrast a cell is dark and bright side by side, and its intensity reaches no farther than its halo is wide:
    what the smoothed contrast, whatever its sign, reaches beyond the equally smoothed intensity is added. A colony
    of dark cells with a bright halo looks the same, and counts as one object; its details are cells. Of several
    channels the one counts in which most changes.

    Returns
    -------
    objects, details : float
        Pixels of the movie (not of the subsampled frames), within sensible bounds. Details, what intensity alone says,
        are no larger than objects.
    """
    count, channels, height, width = movie.shape
    looked_at = spread(count, _FRAMES)
    channel = 0 if channels == 1 else _channel_to_measure(movie, looked_at)
    found = (_radii(middle(movie.frame(int(index)), _SIDE)[channel]) for index in looked_at)
    known = [radii for radii in found if radii is not None]
    step = movie.preparation.subsample
    largest = max(_SMALLEST, _LARGEST * step * min(height, width))
    medians = step * np.median(known, axis=0) if known else (_SMALLEST, _SMALLEST)
    return Radii(*np.clip(medians, _SMALLEST, largest).tolist())


def _channel_to_measure(movie: PreparedMovie, indices: NDArray[np.int64]) -> int:
    """Return the channel in which most changes from these frames to the next."""
    first = indices[indices < movie.shape[0] - 1].tolist()
    return liveliest((middle(movie.frame(at), _SIDE), middle(movie.frame(at + 1), _SIDE)) for at in first)[0]


def fitting_radius(movie: PreparedMovie, radius: float) -> float:
    """Return a radius that a user gives, in pixels of the movie.

    Raises
    ------
    UserError
        If it is less than half a pixel, or more than half the shorter side of the frames (or 4, in tiny ones).
    """
    height, width = movie.movie.shape[2:]
    most = max(_SMALLEST, min(height, width) / 2)
    if not 0.5 <= radius <= most:
        raise UserError(
            f"The radius of the objects is {radius:g} pixels, and the frames are {height:,} x {width:,}: give 0.5 to"
            f" {most:g}, or none, and it is estimated."
        )
    return radius


def radius_in_words(radius: float) -> str:
    """Say how large an estimated radius is: smaller ones than the smallest are not told apart."""
    return f"about {radius:.1f} pixels" if radius > _SMALLEST else f"{_SMALLEST:g} pixels or less"


def _radii(frame: NDArray[np.float32]) -> Radii | None:
    """Return the radius of the objects in a frame and of their details; None if there are none."""
    from scipy import ndimage

    fine = _half_width(frame)
    if fine is None:
        return None
    radius = fine
    block = max(1, int(_GRAIN * fine))  # smoothed frames need no more pixels
    smooth = block_means(ndimage.gaussian_filter(_levelled(frame), _GRAIN * fine)[None], block)[0]
    for _ in range(_ROUNDS):
        both = (ndimage.gaussian_filter(image, radius / block) for image in (smooth, np.abs(smooth)))
        intensity, contrast = map(_half_width, both)
        if intensity is None or contrast is None or fine + block * (contrast - intensity) <= radius:
            break
        radius = fine + block * (contrast - intensity)
    return Radii(radius, fine)


def _half_width(image: NDArray[np.floating[Any]]) -> float | None:
    """Return the lag at which the autocorrelation, averaged over directions, crosses one half; None if it does not."""
    from scipy import fft

    if min(image.shape) < 2:
        return None
    level = _levelled(image)
    if level.std() <= _NOTHING * np.abs(image).max():
        return None
    size = [fft.next_fast_len(2 * side, real=True) for side in image.shape]
    power = fft.irfft2(np.abs(fft.rfft2(level, s=size)) ** 2, s=size)
    reach = max(2, min(image.shape) // 2)
    overlap = np.multiply.outer(*(side - np.arange(reach) for side in image.shape))
    means = _by_lag(power[:reach, :reach] / overlap, reach)
    whole = min(means[0], 2 * means[1] - means[2]) if reach > 2 else means[0]
    below = np.flatnonzero(means < whole / 2)
    if whole <= 0 or not len(below):
        return None
    lag = int(below[0])
    before, after = min(means[lag - 1] / whole, 1.0), means[lag] / whole
    return float(lag - 1 + (before - 0.5) / (before - after))


def _levelled(image: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """Return an image without its illumination: the polynomial in y and x, of degree `_DEGREE`, nearest to it."""
    rows, columns = (_polynomials(side) for side in image.shape)
    weights = rows.T @ image @ columns
    degrees = np.add.outer(np.arange(rows.shape[1]), np.arange(columns.shape[1]))
    level: NDArray[np.float64] = image - rows @ np.where(degrees <= _DEGREE, weights, 0) @ columns.T
    return level


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
