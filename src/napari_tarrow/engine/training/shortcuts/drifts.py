"""How whole frames differ: light, place, sharpness. Estimated between two frames, put on frames, taken off them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

KINDS = ("brightness", "shift", "focus")
_BLOCK = 16  # pixels: what moves within a block changes nothing
_BRIGHT = 75  # percentile: blocks above it tell the gain
_FINEST = 0.15  # cycles per pixel: the shift is found in what is coarser
_SHARPEST = 4.0  # times that a frequency may be amplified to take blur off
_NEIGHBOURS = 24  # steps over which a drift is averaged
_SURE = 2.0  # standard errors from which on it is one
_STEADY = 3.0  # standard errors from which on all of a movie goes one way
_FEW = 9  # values of which nothing is said


@dataclass(frozen=True)
class Drift:
    """How the frames of a sequence differ as wholes, each against their mean.

    A frame is ``gain * scene + offset``, moved by `shift` pixels (y, x), and blurred by ``exp(-blur * k**2)`` of every
    frequency k in cycles per pixel (negative: sharper).

    Attributes
    ----------
    gain, offset, blur : (T,) float64
    shift : (T, 2) float64
    """

    gain: np.ndarray
    offset: np.ndarray
    shift: np.ndarray
    blur: np.ndarray

    def put(self, frames: torch.Tensor, kinds: tuple[str, ...], sign: int = 1) -> torch.Tensor:
        """Put drifts of these kinds on frames (T, C, H, W) float32, or with sign -1 take them off."""
        if "shift" in kinds:
            frames = _moved(frames, sign * self.shift)
        if "focus" in kinds:
            frames = _blurred(frames, sign * self.blur)
        if "brightness" in kinds:
            gain, offset = (_per_frame(values, frames) for values in (self.gain, self.offset))
            frames = frames * gain + offset if sign > 0 else (frames - offset) / gain
        return frames

    def has(self, kind: str) -> bool:
        """Whether there is any drift of this kind."""
        if kind == "brightness":
            return bool(np.ptp(self.gain) > 1e-5 or np.ptp(self.offset) > 1e-5)
        return bool(np.ptp(self.shift if kind == "shift" else self.blur) > 0)


def steps_between(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Estimate how the frame `last` differs from `first`, both (C, H, W) float32.

    Returns
    -------
    (5,) float64
        Logarithm of the gain, offset, shift along y and x, blur. Exchanging the frames changes the signs, so noise
        leans to neither side.
    """
    a, b = first.mean(0, dtype=np.float64), last.mean(0, dtype=np.float64)
    shift = _shift(a, b)
    gain, offset = _light(*_overlap(a, b, np.round(shift).astype(int)))
    return np.array([np.log(gain), offset, *shift, _blur(a, b)])


def lasting(steps: np.ndarray) -> np.ndarray:
    """Keep of steps (N, ...), in order of time, what goes on: local means where they are surely not zero, else zero."""
    kept = np.zeros_like(steps)
    width = min(_NEIGHBOURS, len(steps))
    if width < 6:
        return kept
    for index in range(len(steps)):
        start = min(max(index - width // 2, 0), len(steps) - width)
        near = steps[start : start + width]
        mean, error = near.mean(0), near.std(0, ddof=1) / np.sqrt(width)
        kept[index] = np.where(np.abs(mean) > _SURE * error, mean, 0)
    return kept


def goes_one_way(values: np.ndarray) -> bool:
    """Whether the mean of values (N,) is surely not zero."""
    if len(values) < _FEW:
        return False
    return bool(abs(values.mean()) > _STEADY * max(values.std(ddof=1) / np.sqrt(len(values)), 1e-12))


def _light(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Gain and offset from blocks at the same places; a minority of blocks in which something appears is no matter."""
    side = min(_BLOCK, max(1, min(a.shape) // 6))
    a, b = _blocks(a, side), _blocks(b, side)
    brightness = a + b
    dark, bright = brightness <= np.median(brightness), brightness >= np.percentile(brightness, _BRIGHT)
    middle, step = np.median(brightness[dark]) / 2, np.median((b - a)[dark])
    above_a, above_b = a[bright] - (middle - step / 2), b[bright] - (middle + step / 2)
    sensible = (above_a > 0) & (above_b > 0)
    gain = float(np.exp(_trimmed(np.log(above_b[sensible] / above_a[sensible])))) if sensible.any() else 1.0
    return gain, float(middle + step / 2 - gain * (middle - step / 2))


def _trimmed(values: np.ndarray) -> float:
    """Mean of the middle half."""
    values = np.sort(values)
    cut = len(values) // 4
    return float(values[cut : len(values) - cut].mean())


def _blocks(image: np.ndarray, side: int) -> np.ndarray:
    rows, columns = (length // side for length in image.shape)
    means: np.ndarray = image[: rows * side, : columns * side].reshape(rows, side, columns, side).mean((1, 3)).ravel()
    return means


def _overlap(a: np.ndarray, b: np.ndarray, shift: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut what both frames show, where `b` is moved by whole pixels; both whole where that is little."""
    if (2 * np.abs(shift) > a.shape).any():
        return a, b
    here = tuple(slice(max(0, -s), n - max(0, s)) for s, n in zip(shift, a.shape, strict=True))
    there = tuple(slice(max(0, s), n - max(0, -s)) for s, n in zip(shift, a.shape, strict=True))
    return a[here], b[there]


def _shift(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Find how far `b` is moved against `a`, by phase correlation (Kuglin and Hines 1975) of the coarser structures."""
    window = np.hanning(a.shape[0])[:, None] * np.hanning(a.shape[1])
    cross = np.conj(np.fft.rfft2((a - a.mean()) * window)) * np.fft.rfft2((b - b.mean()) * window)
    weight = np.exp(-0.5 * _frequencies(a.shape) / _FINEST**2)
    peak = np.fft.irfft2(weight * cross / np.maximum(np.abs(cross), 1e-30), a.shape)
    at = np.unravel_index(int(np.argmax(peak)), peak.shape)
    shift = [
        _signed(
            where + _vertex(np.take(np.take(peak, at[1 - axis], 1 - axis), [where - 1, where, where + 1], mode="wrap")),
            n,
        )
        for axis, (where, n) in enumerate(zip(at, a.shape, strict=True))
    ]
    return np.array(shift)


def _vertex(values: np.ndarray) -> float:
    """Place of the maximum between three values, of a Gaussian: the peak is one."""
    if (values <= 0).any():
        return 0.0
    left, middle, right = np.log(values)
    bend = left - 2 * middle + right
    return float(np.clip((left - right) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0


def _signed(where: float, length: int) -> float:
    return float(where - length if where > length / 2 else where)


def _blur(a: np.ndarray, b: np.ndarray) -> float:
    """Fit ``log(power of b / power of a) = c - 2 * blur * k**2`` where both are well above the noise."""
    window = np.hanning(a.shape[0])[:, None] * np.hanning(a.shape[1])
    squared = _frequencies(a.shape)
    ring = (np.sqrt(squared) * min(a.shape)).astype(int)
    rings = min(a.shape) // 2
    count = np.bincount(ring.ravel(), minlength=rings)[:rings]
    powers = [
        np.bincount(ring.ravel(), (np.abs(np.fft.rfft2((x - x.mean()) * window)) ** 2).ravel(), rings)[:rings] / count
        for x in (a, b)
    ]
    noise = max(np.median(power[-max(1, rings // 5) :]) for power in powers)
    use = np.minimum(*powers) > 4 * noise
    use[:2] = False  # the mean, and the window
    if np.count_nonzero(use) < 4:
        return 0.0
    k2, ratio = ((np.arange(rings) + 0.5) / min(a.shape))[use] ** 2, np.log(powers[1][use] / powers[0][use])
    weight = count[use].astype(np.float64)
    k2 = k2 - np.average(k2, weights=weight)
    return float(-0.5 * (weight * k2 * ratio).sum() / (weight * k2 * k2).sum())


def _frequencies(shape: tuple[int, ...]) -> np.ndarray:
    """Squared frequencies, in cycles per pixel, of a real transform."""
    squared: np.ndarray = np.fft.fftfreq(shape[0])[:, None] ** 2 + np.fft.rfftfreq(shape[1]) ** 2
    return squared


def _moved(frames: torch.Tensor, shift: np.ndarray) -> torch.Tensor:
    """Move frames (T, C, H, W) by `shift` (T, 2) pixels, bilinearly; the border is repeated."""
    height, width = frames.shape[-2:]
    theta = torch.zeros(len(frames), 2, 3, dtype=torch.float32, device=frames.device)
    theta[:, 0, 0] = theta[:, 1, 1] = 1
    moves = torch.as_tensor(shift, dtype=torch.float32, device=frames.device)
    theta[:, 0, 2], theta[:, 1, 2] = -2 * moves[:, 1] / width, -2 * moves[:, 0] / height
    grid = functional.affine_grid(theta, list(frames.shape), align_corners=False)
    return functional.grid_sample(frames.contiguous(), grid, padding_mode="border", align_corners=False)


def _blurred(frames: torch.Tensor, blur: np.ndarray) -> torch.Tensor:
    """Multiply every frequency k of frames (T, C, H, W) by ``exp(-blur * k**2)``, reflected at the border."""
    height, width = frames.shape[-2:]
    pad = min(16, height - 1, width - 1)
    padded = functional.pad(frames, (pad, pad, pad, pad), mode="reflect")
    squared = torch.as_tensor(_frequencies(tuple(padded.shape[-2:])), device=frames.device)
    factor = torch.exp(-torch.as_tensor(blur, device=frames.device)[:, None, None, None] * squared)
    factor = factor.clamp(max=_SHARPEST).to(torch.float32)
    changed: torch.Tensor = torch.fft.irfft2(torch.fft.rfft2(padded) * factor, s=padded.shape[-2:])
    return changed.narrow(-2, pad, height).narrow(-1, pad, width)


def _per_frame(values: np.ndarray, frames: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(values, dtype=torch.float32, device=frames.device)[:, None, None, None]
