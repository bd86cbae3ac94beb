"""From places to patches: gather, warp and jitter of a whole batch in one composed sampling.

The levels are those of the reference (tarrow 0.2.0, `data/augmenters.py`). Warps are computed in pixels, sample the
frame itself (a rotated patch shows what lies beside it, not zeros), bilinearly, and reflect at the frame's border.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from .draws import Stream
    from .frames import FrameStore
    from .sampling import Places

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

    def draw(self, stream: Stream, samples: np.ndarray, clip: int) -> tuple[Warp, Jitter | None, np.ndarray | None]:
        """Draw the warp and the jitter of each sample, and the factor, (B,) float32, of its contrast.

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
        bend = u.between(-_ELASTIC_PIXELS, _ELASTIC_PIXELS, 2 * _ELASTIC_POINTS**2)
        elastic = bends[:, None] * bend if bends.any() else None
        if elastic is not None:
            elastic = elastic.reshape(-1, 2, _ELASTIC_POINTS, _ELASTIC_POINTS)
        return _affine(angle, zoom, frame_zoom, shift), elastic

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


def patches(
    store: FrameStore,
    places: Places,
    size: int,
    warp: Warp,
    jitter: Jitter | None = None,
    contrast: np.ndarray | None = None,
) -> torch.Tensor:
    """Cut, warp and jitter the patches of a batch; contrast is changed about the median of each frame.

    Returns
    -------
    (B, K, C, size, size) float32, where the store is
    """
    device = store.values.device
    if warp.affine is None:
        raw = store.read(_grid_index(store, places, size, warp))
    else:
        raw = _sample_warped(store, places, size, warp)
    # first the subtraction: the span of a constant frame is 1e-10, and what is not exactly zero would be huge
    raw.sub_(_column(store.low[places.frames], device)).div_(_column(store.span[places.frames], device))
    if contrast is not None:
        median = store.medians[places.frames]
        factor = np.broadcast_to(contrast[:, None, None], median.shape)
        raw.mul_(_column(factor, device)).add_(_column(median * (1 - factor), device))
    if jitter is None:
        return raw
    noise = _pixel_noise(on_device(jitter.seeds, device), raw[0].numel()).view(raw.shape)
    amount = np.broadcast_to(jitter.noise[:, None], jitter.gain.shape)
    raw.addcmul_(noise, _column(amount, device))
    return raw.mul_(_column(jitter.gain, device)).add_(_column(jitter.shift, device))


def on_device(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Copy an array to a device."""
    return moved(torch.from_numpy(np.ascontiguousarray(values)), device)


def moved(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return a tensor on a device; from memory to CUDA without waiting for what it is doing."""
    if device.type == "cuda" and tensor.device.type == "cpu":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def _column(values: np.ndarray, device: torch.device) -> torch.Tensor:
    """Put a value for each frame of the batch, (B, K), or for each of its channels, (B, K, C), before its pixels."""
    of_channels = values if values.ndim == 3 else values[..., None]
    return on_device(of_channels.astype(np.float32, copy=False), device)[..., None, None]


def _bases(store: FrameStore, places: Places) -> np.ndarray:
    """Position in the store of every channel of every frame of the batch: (B, K, C)."""
    area = (store.heights * store.widths)[places.frames]
    bases: np.ndarray = store.offsets[places.frames][..., None] + area[..., None] * np.arange(store.channels)
    return bases


def _grid_index(store: FrameStore, places: Places, size: int, warp: Warp) -> torch.Tensor:
    """Positions of the pixels of flipped and transposed patches: (B, K, C, S, S)."""
    device = store.values.device
    steps = np.arange(size)
    rows = places.y[:, None] + np.where(warp.flip_y[:, None], size - 1 - steps, steps)
    columns = places.x[:, None] + np.where(warp.flip_x[:, None], size - 1 - steps, steps)
    rows = rows * store.widths[places.frames[:, 0]][:, None]
    down = np.where(warp.swap[:, None], columns, rows)
    across = np.where(warp.swap[:, None], rows, columns)
    within = on_device(down, device)[:, :, None] + on_device(across, device)[:, None, :]
    return on_device(_bases(store, places), device)[..., None, None] + within[:, None, None]


def _sample_warped(store: FrameStore, places: Places, size: int, warp: Warp) -> torch.Tensor:
    """Sample the frames bilinearly at the warped positions: (B, K, C, S, S), stored units."""
    device = store.values.device
    y, x = _positions(places, size, warp, device)
    height = on_device(store.heights[places.frames], device)[:, :, None, None]
    width = on_device(store.widths[places.frames], device)[:, :, None, None]
    y, x = _reflect(y, height - 1), _reflect(x, width - 1)
    top, left = y.floor(), x.floor()
    down, right = (y - top)[:, :, None], (x - left)[:, :, None]
    top, left = top.long(), left.long()
    below = torch.minimum(top + 1, height - 1) - top
    beside = torch.minimum(left + 1, width - 1) - left
    base = on_device(_bases(store, places), device)[..., None, None]
    corner = base + (top * width + left)[:, :, None]
    below, beside = (below * width)[:, :, None], beside[:, :, None]
    upper = torch.lerp(store.read(corner), store.read(corner + beside), right)
    corner += below
    lower = torch.lerp(store.read(corner), store.read(corner + beside), right)
    return torch.lerp(upper, lower, down)


def _positions(places: Places, size: int, warp: Warp, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in the frame every pixel of a patch comes from: y and x, (B, K, S, S) float32."""
    assert warp.affine is not None
    centred = torch.arange(size, dtype=torch.float32, device=device) - (size - 1) / 2
    v, u = centred[:, None], centred[None, :]
    if warp.elastic is not None:
        bend = _bend(on_device(warp.elastic.astype(np.float32), device), size)
        v, u = (v + bend[:, 0])[:, None], (u + bend[:, 1])[:, None]
    affine = on_device(_with_flips(warp), device)[..., None, None]
    centre_y = on_device((places.y + (size - 1) / 2).astype(np.float32), device)[:, None, None, None]
    centre_x = on_device((places.x + (size - 1) / 2).astype(np.float32), device)[:, None, None, None]
    y = affine[:, :, 0, 0] * v + affine[:, :, 0, 1] * u + (affine[:, :, 0, 2] * size + centre_y)
    x = affine[:, :, 1, 0] * v + affine[:, :, 1, 1] * u + (affine[:, :, 1, 2] * size + centre_x)
    return y, x


def _with_flips(warp: Warp) -> np.ndarray:
    """Flip and transpose what the affine maps point at: (B, K, 2, 3) float32."""
    assert warp.affine is not None
    affine = np.where(warp.swap[:, None, None, None], warp.affine[:, :, ::-1], warp.affine)
    signs = np.stack([1 - 2 * warp.flip_y, 1 - 2 * warp.flip_x], -1)
    return np.ascontiguousarray(affine * signs[:, None, :, None], np.float32)


def _bend(points: torch.Tensor, size: int) -> torch.Tensor:
    """Enlarge displacements of control points bilinearly to all pixels: (B, 2, S, S)."""
    at = torch.arange(size, dtype=torch.float32, device=points.device) * ((_ELASTIC_POINTS - 1) / (size - 1))
    knots = torch.arange(_ELASTIC_POINTS, dtype=torch.float32, device=points.device)
    weights = (1 - (at[:, None] - knots).abs()).clamp_(min=0)  # (S, 5)
    return weights @ points @ weights.T


def _reflect(x: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Reflect coordinates at 0 and `last` (without repeating the border)."""
    period = (2 * last).clamp(min=1)
    return (last - (last - torch.remainder(x, period)).abs()).clamp_(min=0)


def _pixel_noise(seeds: torch.Tensor, count: int) -> torch.Tensor:
    """Uniform noise in [0, 1) for every pixel of every sample: (B, count) float32.

    A hash of the pixel's number and the sample's seed (C. Wellons' `lowbias32`), the same on every device.
    """
    x = torch.arange(count, dtype=torch.int32, device=seeds.device)[None] ^ seeds[:, None]
    for shift, factor in ((16, 0x21F0AAAD), (15, 0xD35A2D97 - (1 << 32))):
        x ^= (x >> shift) & ((1 << (32 - shift)) - 1)
        x *= factor
    x ^= (x >> 15) & 0x1FFFF
    return ((x >> 8) & 0xFFFFFF).to(torch.float32).mul_(2.0**-24)
