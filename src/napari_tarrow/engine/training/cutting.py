"""From places to patches: what NumPy says about a batch, and what torch makes of it where the frames lie.

Gather, warp and jitter of a whole batch are one composed sampling. Warps are computed in pixels, sample the frame
itself (a rotated patch shows what lies beside it, not zeros), bilinearly, and reflect at the frame's border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from .packing import on_device

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .augment import Jitter, Warp
    from .frames import FrameStore
    from .sampling import Places


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
    described = describe(store, places, size, warp, jitter, contrast)
    return cut(store, on_device(described, store.values.device))


def describe(
    store: FrameStore,
    places: Places,
    size: int,
    warp: Warp,
    jitter: Jitter | None = None,
    contrast: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Return all that patches depend on but the pixels, for `cut`.

    Which arrays there are, and their shapes and types, depends on the size of the batch and on which parts of warp,
    jitter and contrast there are.
    """
    frames = places.frames
    area = (store.heights * store.widths)[frames]
    described = {
        "base": store.offsets[frames][..., None] + area[..., None] * np.arange(store.channels),  # of every channel
        "low": store.low[frames],
        "span": store.span[frames],
    }
    described |= _grid(store, places, size, warp) if warp.affine is None else _sampling(store, places, size, warp)
    if contrast is not None:
        factor = contrast[:, None, None]
        described |= {"factor": factor, "lift": store.medians[frames] * (1 - factor)}
    if jitter is not None:
        described |= {"noise": jitter.noise[:, None, None], "seeds": jitter.seeds[:, None]}
        described |= {"gain": jitter.gain[..., None], "shift": jitter.shift[..., None]}
    return described


def cut(store: FrameStore, described: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Make patches as `describe` says: (B, K, C, S, S) float32, where the store is; nothing waits for the device."""
    raw = store.read(_index(described)) if "down" in described else _sample(store, described)
    # first the subtraction: the span of a constant frame is 1e-10, and what is not exactly zero would be huge
    raw.sub_(described["low"][..., None, None]).div_(described["span"][..., None, None])
    if "factor" in described:
        raw.mul_(described["factor"][..., None, None]).add_(described["lift"][..., None, None])
    if "noise" in described:
        noise = _pixel_noise(described["seeds"], raw[0].numel()).view(raw.shape)
        raw.addcmul_(noise, described["noise"][..., None, None], value=2.0**-24)
        raw.mul_(described["gain"][..., None, None]).add_(described["shift"][..., None, None])
    return raw


def _grid(store: FrameStore, places: Places, size: int, warp: Warp) -> dict[str, np.ndarray]:
    """Describe where the pixels of flipped and transposed patches lie in a frame, along both sides: (B, S) int64."""
    steps = np.arange(size)
    rows = places.y[:, None] + np.where(warp.flip_y[:, None], size - 1 - steps, steps)
    columns = places.x[:, None] + np.where(warp.flip_x[:, None], size - 1 - steps, steps)
    rows = rows * store.widths[places.frames[:, 0]][:, None]
    swap = warp.swap[:, None]
    return {"down": np.where(swap, columns, rows), "across": np.where(swap, rows, columns)}


def _index(described: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Positions in the store of the pixels of flipped and transposed patches: (B, K, C, S, S)."""
    within = described["down"][:, :, None] + described["across"][:, None, :]
    return described["base"][..., None, None] + within[:, None, None]


def _sampling(store: FrameStore, places: Places, size: int, warp: Warp) -> dict[str, np.ndarray]:
    """Describe where warped patches are sampled; the axis of two is that of y and x.

    `affine` : (3, 2, B, K) float32, from centred patch coordinates (y, x, 1) to the frame.
    `last` : (2, B, 1) float32, the last pixel of the frame; `period` : (2, B, 1) float32, of its reflections.
    `strides` : (2, B, 1) int64, from pixel to pixel in the store.
    `centred` : (S,) float32, the patch coordinates.
    `elastic` : (B, 2, 5, 5) float32, and `weights` : (S, 5) float32, of the control points for every pixel.
    """
    middle = (size - 1) / 2
    affine = np.ascontiguousarray(_with_flips(warp).transpose(3, 2, 0, 1))
    centres = (np.stack([places.y, places.x]) + middle).astype(np.float32)
    affine[2] = affine[2] * np.float32(size) + centres[..., None]
    first = places.frames[:, :1]  # frames of a clip are of one size
    widths = store.widths[first]
    last = np.stack([store.heights[first], widths]) - 1
    centred = np.arange(size, dtype=np.float32) - np.float32(middle)
    described = {
        "affine": affine,
        "last": last.astype(np.float32),
        "period": np.maximum(2 * last, 1).astype(np.float32),
        "strides": np.stack([widths, np.ones_like(widths)]),
        "centred": centred,
    }
    if warp.elastic is not None:
        described |= {"elastic": warp.elastic, "weights": _weights(warp.elastic.shape[-1], size)}
    return described


def _with_flips(warp: Warp) -> np.ndarray:
    """Flip and transpose what the affine maps point at: (B, K, 2, 3) float32."""
    assert warp.affine is not None
    affine = np.where(warp.swap[:, None, None, None], warp.affine[:, :, ::-1], warp.affine)
    signs = np.stack([1 - 2 * warp.flip_y, 1 - 2 * warp.flip_x], -1)
    return np.asarray(affine * signs[:, None, :, None], np.float32)


def _weights(points: int, size: int) -> np.ndarray:
    """Weight of every control point for every pixel along a side, where displacements are enlarged bilinearly."""
    at = np.arange(size, dtype=np.float32) * np.float32((points - 1) / (size - 1))
    weights: np.ndarray = 1 - np.abs(at[:, None] - np.arange(points, dtype=np.float32))
    return weights.clip(min=0)


def _sample(store: FrameStore, described: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Sample the frames bilinearly at the warped positions: (B, K, C, S, S), stored units."""
    last, period, strides = (described[name][..., None, None] for name in ("last", "period", "strides"))
    at = _reflect(_positions(described), last, period)
    pixels = at.floor()
    down, right = at.sub_(pixels)[:, :, :, None]
    below, beside = torch.where(pixels < last, strides, 0)[:, :, :, None]
    top, left = pixels.long()
    corner = described["base"][..., None, None] + (top * strides[0] + left)[:, :, None]
    upper = torch.lerp(store.read(corner), store.read(corner + beside), right)
    corner += below
    lower = torch.lerp(store.read(corner), store.read(corner + beside), right)
    return torch.lerp(upper, lower, down)


def _positions(described: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Where in the frame every pixel of a patch comes from: y and x, (2, B, K, S, S) float32."""
    centred = described["centred"]
    v, u = centred[:, None], centred[None, :]
    if "elastic" in described:
        weights = described["weights"]
        bend = weights @ described["elastic"] @ weights.T  # (B, 2, S, S)
        v, u = (v + bend[:, 0])[:, None], (u + bend[:, 1])[:, None]
    by_v, by_u, centre = described["affine"][..., None, None].unbind()
    return by_v * v + by_u * u + centre


def _reflect(x: torch.Tensor, last: torch.Tensor, period: torch.Tensor) -> torch.Tensor:
    """Reflect coordinates at 0 and `last` (without repeating the border)."""
    return (last - (last - x.remainder_(period)).abs_()).clamp_(min=0)


def _pixel_noise(seeds: torch.Tensor, count: int) -> torch.Tensor:
    """Uniform whole numbers in [0, 2^24) for every pixel of every sample, of seeds (B, 1) int32: (B, count) float32.

    A hash of the pixel's number and the sample's seed (C. Wellons' `lowbias32`), the same on every device.
    """
    x = torch.arange(count, dtype=torch.int32, device=seeds.device) ^ seeds
    x ^= x >> 16  # neither has its sign bit set
    x *= 0x21F0AAAD
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    x *= 0xD35A2D97 - (1 << 32)
    x ^= (x >> 15).bitwise_and_(0x1FFFF)
    return (x >> 8).bitwise_and_(0xFFFFFF).to(torch.float32)
