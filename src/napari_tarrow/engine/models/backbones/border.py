"""Convolutions that see the border pixel repeated, in either memory format and any precision.

torch's own padding gives the same numbers, but under CPU autocast it is computed in float32, and its CUDA backward adds
atomically, in another order every time. So it is used where it is exact and quick only: in plain memory format on the
CPU, where results then agree with the reference to the last digit.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


class BorderConv2d(nn.Conv2d):
    """A 3 x 3 convolution whose input is padded by one replicated pixel."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 3, stride, padding=1, padding_mode="replicate")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of `x`, (N, C, H, W)."""
        return F.conv2d(replicate_border(x), self.weight, self.bias, self.stride)


def replicate_border(x: torch.Tensor) -> torch.Tensor:
    """Return `x` (N, C, H, W) with its border pixels repeated once on every side; the memory format is kept."""
    plain = x.is_contiguous() and x.device.type == "cpu" and x.dtype in (torch.float32, torch.float64)
    if plain or min(x.shape[-2:]) < 2:
        return F.pad(x, (1, 1, 1, 1), mode="replicate")
    padded: torch.Tensor = _Replicate.apply(x)  # type: ignore[no-untyped-call]
    return padded


class _Replicate(torch.autograd.Function):
    """Rows 0 and -1, columns 0 and -1 are handled in pairs: a slice with the right step is both of them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        (n, c, height, width) = x.shape
        layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        padded = torch.empty((n, c, height + 2, width + 2), dtype=x.dtype, device=x.device, memory_format=layout)
        padded[..., 1:-1, 1:-1] = x
        padded[..., :: height + 1, 1:-1] = x[..., :: height - 1, :]
        padded[..., :: width + 1] = padded[..., 1 : width + 1 : width - 1]
        return padded

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (gradient,) = gradients
        height, width = gradient.shape[-2] - 2, gradient.shape[-1] - 2
        folded = gradient[..., 1:-1, 1:-1].clone()
        folded[..., :: height - 1, :] += gradient[..., :: height + 1, 1:-1]
        folded[..., :: width - 1] += gradient[..., 1:-1, :: width + 1]
        folded[..., :: height - 1, :: width - 1] += gradient[..., :: height + 1, :: width + 1]
        return folded
