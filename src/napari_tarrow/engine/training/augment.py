"""What is done to patches: warps and jitters, drawn for a whole batch.

The levels are those of the reference (tarrow 0.2.0, `data/augmenters.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .draws import Stream

_ELASTIC_POINTS = 5  # control points of the elastic deformation along each side
_ELASTIC_PIXELS = 5.0  # their largest displacement
_NOISE = 0.05


@dataclass(frozen=True)
class Jitter:
    """Intensity changes of a batch: ``gain * (x + noise * u) + shift``, u uniform in [0, 1) per pixel.

    `gain`, `shift` : (B, K) float32; `noise` : (B,) float32; `seeds` : (B,) int32, of the pixel noise.
    """

    gain: np.ndarray
    shift: np.ndarray
    noise: np.ndarray
    seeds: np.ndarray


@dataclass(frozen=True)
class Warp:
    """Geometry of a batch, from patch to frame: flips and transposition, then an affine map per frame, then elastic.

    `flip_y`, `flip_x`, `swap` : (B,) bool.
    `affine` : (B, K, 2, 3) float32, maps centred patch coordinates (y, x, 1) to the frame; None for the identity.
    `elastic` : (B, 2, 5, 5) float32 displacements in pixels; None for none.
    """

    flip_y: np.ndarray
    flip_x: np.ndarray
    swap: np.ndarray
    affine: np.ndarray | None = None
    elastic: np.ndarray | None = None


@dataclass(frozen=True)
class Augmentation:
    """What is done to patches: by level (0 to 5), and with each clip's contrast, times 1 / contrast to contrast.

    With `rising_to`, a run begins with `level`, and more and more of its samples get the level `rising_to` instead: all
    of them from sample `rising_until` on.
    """

    level: int
    transpose: bool = False
    contrast: float = 1.0
    rising_to: int | None = None
    rising_until: float = 1.0

    @property
    def strongest(self) -> int:
        """The strongest level that a sample may get."""
        return self.level if self.rising_to is None else max(self.level, self.rising_to)

    def draw(self, stream: Stream, samples: np.ndarray, clip: int) -> tuple[Warp, Jitter | None, np.ndarray | None]:
        """Draw the warp and the jitter of each sample, and the factor, (B,) float32, of its contrast.

        Which of their arrays there are does not depend on the samples.

        Parameters
        ----------
        stream : Stream
        samples : (B,) int64
        clip : int
            Frames of a clip (K).
        """
        u = _Uniform(stream.uniform(samples, 32 + 8 * clip + 2 * _ELASTIC_POINTS**2))
        flip = u.take(3) < 0.5 if self.level else np.zeros((len(samples), 3), bool)
        warp = Warp(flip[:, 0], flip[:, 1], flip[:, 2] & self.transpose)
        if self.level >= 3:
            affine, elastic = self._draw_geometry(u, clip, self._levels(stream, samples))
            warp = Warp(warp.flip_y, warp.flip_x, warp.swap, affine, elastic)
        contrast = self._draw_contrast(replace(stream, purpose=f"{stream.purpose}/contrast"), samples)
        if self.level < 2:
            return warp, None, contrast
        noise = replace(stream, purpose=f"{stream.purpose}/noise").seeds(samples)
        return warp, self._draw_jitter(u, clip, noise), contrast

    def _draw_contrast(self, stream: Stream, samples: np.ndarray) -> np.ndarray | None:
        if self.contrast == 1:
            return None
        factors: np.ndarray = self.contrast ** (2 * stream.uniform(samples, 1)[:, 0] - 1)
        return factors.astype(np.float32)

    def _levels(self, stream: Stream, samples: np.ndarray) -> np.ndarray:
        """Return the level of each sample, (B,) int64."""
        if self.rising_to is None:
            return np.full(len(samples), self.level)
        chance = replace(stream, purpose=f"{stream.purpose}/level").uniform(samples, 1)[:, 0]
        return np.where(chance < samples / self.rising_until, self.rising_to, self.level)

    def _draw_geometry(self, u: _Uniform, clip: int, levels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        rotates = u.chance()
        angle = np.where(rotates, u.between(-np.pi, np.pi), 0)
        zoom = np.where(rotates & (levels == 5), u.between(4 / 5, 5 / 4), 1)
        per_frame = u.chance()[:, None] & (levels >= 4)[:, None]
        frame_zoom = np.where(per_frame, u.between(9 / 10, 10 / 9, clip), 1)
        moves = (per_frame & (levels == 5)[:, None])[..., None]
        shift = np.where(moves, np.stack([u.between(-0.03, 0.03, clip), u.between(-0.03, 0.03, clip)], -1), 0)
        bends = u.chance() & (levels >= 4)
        bend = bends[:, None] * u.between(-_ELASTIC_PIXELS, _ELASTIC_PIXELS, 2 * _ELASTIC_POINTS**2)
        elastic = bend.astype(np.float32).reshape(-1, 2, _ELASTIC_POINTS, _ELASTIC_POINTS)
        return _affine(angle, zoom, frame_zoom, shift), elastic if self.strongest >= 4 else None

    def _draw_jitter(self, u: _Uniform, clip: int, seeds: np.ndarray) -> Jitter:
        noise = u.take(1)[:, 0] * _NOISE  # on for every sample, as in the reference
        frames, whole = u.chance()[:, None], u.chance()[:, None]
        gain = np.where(frames, u.between(9 / 10, 10 / 9, clip), 1)
        shift = np.where(frames, u.between(-0.05, 0.05, clip), 0)
        whole_gain = np.where(whole, u.between(4 / 5, 5 / 4)[:, None], 1)
        whole_shift = np.where(whole, u.between(-0.1, 0.1)[:, None], 0)
        return Jitter(
            (gain * whole_gain).astype(np.float32),
            (shift * whole_gain + whole_shift).astype(np.float32),
            noise.astype(np.float32),
            seeds,
        )


class _Uniform:
    """Hands out the columns of a table of uniform numbers, one after the other."""

    def __init__(self, table: np.ndarray) -> None:
        self._table = table
        self._next = 0

    def take(self, count: int) -> np.ndarray:
        self._next += count
        return self._table[:, self._next - count : self._next]

    def chance(self) -> np.ndarray:
        return self.take(1)[:, 0] < 0.5

    def between(self, low: float, high: float, count: int | None = None) -> np.ndarray:
        values = low + (high - low) * self.take(count or 1)
        return values if count else values[:, 0]


def _affine(angle: np.ndarray, zoom: np.ndarray, frame_zoom: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Compose the maps from a patch to its frame: (B, K, 2, 3), shifts as a share of the patch's side."""
    scale = 1 / (zoom[:, None] * frame_zoom)
    cos, sin = np.cos(angle)[:, None] * scale, np.sin(angle)[:, None] * scale
    matrix = np.stack([np.stack([cos, sin], -1), np.stack([-sin, cos], -1)], -2)
    offset = -(matrix @ shift[..., None])
    return np.concatenate([matrix, offset], -1).astype(np.float32)
