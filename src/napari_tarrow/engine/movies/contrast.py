"""How much of the contrast of a movie changes from one frame to another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .prepared import block_means

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    Array = NDArray[np.float32]

STRANGE = 0.8  # of the contrast changes: so little stays alike that objects are hardly known again
_DIM = 0.1  # of the contrast of the channel with most: one with less says nothing
_BLOCK = 32  # pixels; places with more contrast count for more
_SIGMA = 1.0  # of the smoothing that the noise is not to outweigh
_NOISE_LEFT = 1 / (4 * np.pi * _SIGMA**2)  # of the variance of white noise, after it


def liveliest(pairs: Iterable[tuple[Array, Array]]) -> tuple[int, float]:
    """Return the channel of whose contrast most changes from one prepared frame (C, H, W) to the other, and the share.

    Channels with little contrast do not count, nor, beside others, those in which nothing stays alike: noise, or what
    is recorded only now and then. Without any pair it is the first, of which nothing changes.
    """
    change = contrast = np.zeros(1)
    for first, second in pairs:
        one, other = _change_and_contrast(first, second)
        change, contrast = change + one, contrast + other
    shows = contrast > _DIM * max(0.0, float(contrast.max()))
    share = np.where(shows, np.clip(change, 0, None) / np.where(shows, contrast, 1), 0)
    telling = share < STRANGE
    channel = int(np.where(telling, share, -1).argmax() if (telling & shows).any() else share.argmax())
    return channel, float(share[channel])


def _change_and_contrast(first: Array, second: Array) -> tuple[Array, Array]:
    """Return how much changes from one prepared frame (C, H, W) to the other, and how much there is to change.

    Squared differences, and the sum of the frames' variances, within blocks of 32 pixels, summed over these; (C,) each.
    Frames are smoothed by one pixel, and what white noise adds is taken off; its size is the median absolute deviation
    of the diagonal details of the difference (Donoho and Johnstone 1994).
    """
    from scipy import ndimage

    noise = _NOISE_LEFT * _noise(second - first)[:, None, None]
    first, second = (ndimage.gaussian_filter(frame, (0, _SIGMA, _SIGMA)) for frame in (first, second))
    difference = _variance(second - first)
    return (difference - noise).sum((1, 2)), (_variance(first) + _variance(second) - noise).sum((1, 2))


def _variance(frame: Array) -> Array:
    """Return the variances within blocks."""
    block = min(_BLOCK, *frame.shape[1:])
    variances: Array = block_means(frame**2, block) - block_means(frame, block) ** 2
    return variances


def _noise(difference: Array) -> Array:
    """Return the variance of white noise in a difference of frames, (C,), which hardly anything else is as fine as."""
    even = difference[:, : difference.shape[1] // 2 * 2, : difference.shape[2] // 2 * 2]
    details = (even[:, ::2, ::2] - even[:, 1::2, ::2] - even[:, ::2, 1::2] + even[:, 1::2, 1::2]) / 2
    middles = np.median(details, (1, 2), keepdims=True)
    deviations: Array = np.median(np.abs(details - middles), (1, 2))
    return (deviations / 0.6745) ** 2
