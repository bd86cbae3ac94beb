"""Rejection of patches that show nothing but flat background."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from torch.nn import functional

from .augment import Warp
from .cutting import patches
from .draws import Stream
from .sampling import Places

if TYPE_CHECKING:
    from .frames import FrameStore
    from .sampling import Sampler

_TRIES = 10
_LEAST_DEVIATION = 0.02


def draw_foreground(sampler: Sampler, store: FrameStore, seed: int, phase: str, samples: np.ndarray) -> Places:
    """Draw a place for each sample, up to ten times in its clip while it shows only background; else the last.

    The measure is the reference's: the deviation of the patch after a median filter of T x 3 x 3, clipped to 0..1 in
    8 bits, has to exceed 0.02.
    """
    places = sampler.draw(Stream(seed, f"{phase}/places"), samples)
    open_ = np.arange(len(samples))
    for trial in range(1, _TRIES):
        chosen = Places(places.frames[open_], places.y[open_], places.x[open_])
        open_ = open_[~_shows_something(store, chosen, sampler.size)]
        if not len(open_):
            break
        again = sampler.elsewhere(places.frames[open_], Stream(seed, f"{phase}/places/{trial}"), samples[open_])
        places.y[open_], places.x[open_] = again.y, again.x
    return places


def _shows_something(store: FrameStore, places: Places, size: int) -> np.ndarray:
    plain = np.zeros(len(places.y), bool)
    clips = patches(store, places, size, Warp(plain, plain, plain))
    batch, frames, channels = clips.shape[:3]
    # torch's unfold has no borders of its own: replicate them, as the rank filter leaves them out
    padded = functional.pad(clips.flatten(0, 2)[:, None].clamp(0, 1), (1, 1, 1, 1), mode="replicate")
    windows = padded.unfold(2, 3, 1).unfold(3, 3, 1).reshape(batch, frames, channels, size, size, 9)
    values = windows.permute(0, 2, 3, 4, 1, 5).flatten(4)
    median = (values.median(-1).values * 255).round() / 255
    deviation: np.ndarray = median.flatten(1).std(1, correction=0).cpu().numpy()
    return deviation > _LEAST_DEVIATION
