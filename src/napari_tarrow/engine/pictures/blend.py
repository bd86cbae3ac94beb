"""From intensities and maps to colours: grey images, and the magma map over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Limits = tuple[NDArray[np.float64], NDArray[np.float64]]

OUTSIDE = 0.88  # grey of pixels outside the image (NaN): neither black nor white, so that nobody takes it for signal


def contrast(images: ArrayLike) -> Limits:
    """Return the intensities to show as black and white, percentiles 1 and 99.8 of all finite values of a channel.

    Parameters
    ----------
    images : (H, W) or (..., C, H, W)

    Returns
    -------
    low, high : (C, 1, 1) float64
    """
    values = np.asarray(images)
    channels = np.moveaxis(values, -3, 0) if values.ndim > 2 else values[None]
    low, high = np.array([_limits(channel) for channel in channels]).T[..., None, None]
    return low, high


def _limits(values: NDArray[Any]) -> tuple[float, float]:
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, (1, 99.8))
    return float(low), float(high) if high > low else float(low) + 1.0


def one_plane(image: ArrayLike, limits: Limits | None = None) -> NDArray[np.float32]:
    """Return a picture, (H, W) or (C, H, W), as one plane, black 0 and white 1: channels are scaled and averaged.

    Several are clipped first, or what one of them has beyond its limits would hide the others.
    """
    channels = np.asarray(image, np.float32)
    channels = channels[None] if channels.ndim == 2 else channels
    low, high = limits or contrast(channels)
    span = np.where(np.equal(high, low), 1, np.subtract(high, low))
    scaled = (channels - low) / span
    plane: NDArray[np.float32] = (scaled[0] if len(scaled) == 1 else np.clip(scaled, 0, 1).mean(0)).astype(np.float32)
    return plane


def grey(image: ArrayLike, limits: Limits | None = None) -> NDArray[np.float32]:
    """Return a grey picture.

    Parameters
    ----------
    image : (H, W) or (C, H, W)
        Channels are averaged, each in its own contrast; NaN is outside the image.
    limits : two arrays, (C, 1, 1)
        Intensities shown as black and white; without them, `contrast` of the image.

    Returns
    -------
    (H, W, 3) float32
        Between 0 and 1.
    """
    plane = one_plane(image, limits)
    shown = np.where(np.isnan(plane), np.float32(OUTSIDE), np.clip(plane, 0, 1))
    return np.repeat(shown[..., None], 3, axis=-1).astype(np.float32)


def brightest(maps: ArrayLike) -> float:
    """Return the map value shown brightest: percentile 99.9 of all values, or their maximum where that is 0."""
    values = np.asarray(maps)
    values = values[np.isfinite(values)]
    if not values.size:
        return 1.0
    top = float(np.percentile(values, 99.9)) or float(values.max())
    return top if top > 0 else 1.0


def blended(
    image: ArrayLike, map: ArrayLike, limits: Limits | None = None, top: float | None = None
) -> NDArray[np.float32]:
    """Return an image blended half and half with a map in the colours of magma.

    Parameters
    ----------
    image : (H, W) or (C, H, W)
        As for `grey`, with `limits`.
    map : (H, W)
        At least 0; NaN is outside the image.
    top : float
        The value shown brightest; without it, `brightest` of the map.

    Returns
    -------
    (H, W, 3) float32
        Between 0 and 1.
    """
    from matplotlib import colormaps

    values = np.asarray(map, np.float32)
    scaled = np.clip(np.nan_to_num(values) / (brightest(values) if top is None else top), 0, 1)
    base = grey(image, limits)
    mixed = 0.5 * base + 0.5 * colormaps["magma"](scaled)[..., :3]
    return np.where(np.isnan(values)[..., None], base, mixed).astype(np.float32)
