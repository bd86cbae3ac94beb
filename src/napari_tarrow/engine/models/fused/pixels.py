"""Convolutions that are matrix products over pixels, for maps laid out as channels_last on a GPU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

if TYPE_CHECKING:
    from torch import nn

_FEW = 4  # channels, below which cuDNN has no quick convolution
_MULTIPLE = 8  # of features, which matrix products want


def linear_pixels(maps: torch.Tensor, convolution: nn.Conv2d) -> torch.Tensor:
    """Return a convolution of single pixels, (N, F, H, W), of maps (N, C, H, W)."""
    return F.linear(maps.movedim(1, -1), convolution.weight.flatten(1), convolution.bias).movedim(-1, 1)


def convolved(bordered: torch.Tensor, weight: torch.Tensor, stride: int) -> torch.Tensor:
    """Return a 3 x 3 convolution, (N, F, H, W), of maps with a border, (N, C, H + 2, W + 2)."""
    channels = bordered.shape[1]
    if channels >= _FEW:
        return F.conv2d(bordered, weight, None, stride)
    windows = bordered.unfold(2, 3, stride).unfold(3, 3, stride).permute(0, 2, 3, 1, 4, 5)
    taps = 9 * channels
    room = -taps % _MULTIPLE
    rows = windows.new_zeros((*windows.shape[:3], taps + room))
    rows[..., :taps].unflatten(-1, windows.shape[3:]).copy_(windows)
    return F.linear(rows, F.pad(weight.flatten(1), (0, room))).movedim(-1, 1)
