"""Convolutions of maps enlarged to twice their size, without enlarging them.

Four pixels that repeat one see only 2 x 2 different pixels through a 3 x 3 window. So a convolution of maps enlarged by
nearest neighbours is four convolutions of the small maps, one for each pixel of a block of 2 x 2, with kernels of 2 x 2
whose taps are sums of the given ones: 16 products where there were 36, and no large maps.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable


def add_convolved_enlarged(y: torch.Tensor, small: torch.Tensor, kernels: torch.Tensor) -> torch.Tensor:
    """Add to `y` a 3 x 3 convolution of `small` enlarged to twice its size, in place.

    Parameters
    ----------
    y : (N, F, 2 h, 2 w)
        Laid out as channels_last.
    small : (N, C, h + 2, w + 2)
        Maps with a replicated border of one pixel.
    kernels : (4 F, C, 2, 2)
        What `kernels_of_blocks` makes of the convolution's weight.

    Returns
    -------
    (N, F, 2 h, 2 w)
        `y`, which equals `y + conv2d(pad(upsample(small without border), 1, replicate), weight)` to rounding.
    """
    added: torch.Tensor = _AddBlocks.apply(y, F.conv2d(small, kernels))  # type: ignore[no-untyped-call]
    return added


def kernels_of_blocks(weight: torch.Tensor) -> torch.Tensor:
    """Return kernels (4 F, C, 2, 2) for the pixels (0, 0), (0, 1), (1, 0), (1, 1) of a block, of (F, C, 3, 3)."""
    rows = _pairs_of_taps(weight, 2)
    kernels = torch.stack([_pairs_of_taps(kernel, 3) for kernel in rows])
    return kernels.flatten(0, 2).contiguous(memory_format=torch.channels_last)


def _pairs_of_taps(weight: torch.Tensor, axis: int) -> torch.Tensor:
    """Return what three taps are for the first and for the second of two equal pixels, (2, ...), two along `axis`."""
    before, at, after = weight.unbind(axis)
    return torch.stack([torch.stack([before, at + after], axis), torch.stack([before + at, after], axis)])


class _AddBlocks(torch.autograd.Function):
    """Adds the F maps (N, 4 F, h + 1, w + 1) for each pixel of a block to (N, F, 2 h, 2 w)."""

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, blocks: torch.Tensor) -> torch.Tensor:
        ctx.mark_dirty(y)
        ctx.shape = blocks.shape
        large = torch.empty_like(y)  # copied first: sums over so few features at a time are many times slower
        for pixels, of_block in _places(large, blocks):
            pixels.copy_(of_block)
        return y.add_(large)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        (gradient,) = gradients
        layout = torch.channels_last
        blocks = torch.empty(ctx.shape, dtype=gradient.dtype, device=gradient.device, memory_format=layout).zero_()
        for pixels, of_block in _places(gradient, blocks):
            of_block.copy_(pixels)
        return gradient, blocks


def _places(large: torch.Tensor, blocks: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return for each pixel of a block its places in the large maps, and its maps: windows begin before it or at it."""
    height, width = large.shape[-2] // 2, large.shape[-1] // 2
    parts = blocks.chunk(4, dim=1)
    return [
        (large[..., dy::2, dx::2], parts[2 * dy + dx][..., dy : dy + height, dx : dx + width])
        for dy in (0, 1)
        for dx in (0, 1)
    ]
