"""Maps whose border pixel is repeated once on every side, and convolutions that see them so, in any precision.

torch's own padding gives the same numbers, but under CPU autocast it is computed in float32, and its CUDA backward adds
atomically, in another order every time. So it is used where it is exact and quick only: in plain memory format on the
CPU, where results then agree with the reference to the last digit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from collections.abc import Iterator


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
    """The border is filled from the pixels inside; what is learnt of it goes back to them."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        (n, c, height, width) = x.shape
        layout = torch.contiguous_format if x.is_contiguous() else torch.channels_last
        padded = torch.empty((n, c, height + 2, width + 2), dtype=x.dtype, device=x.device, memory_format=layout)
        padded[..., 1:-1, 1:-1] = x
        _fill_border(padded)
        return padded

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (gradient,) = gradients
        height, width = gradient.shape[-2] - 2, gradient.shape[-1] - 2
        folded = gradient[..., 1:-1, 1:-1].clone()
        for rows, columns, outer_rows, outer_columns in _edges(height, width):
            folded[..., rows, columns] += gradient[..., outer_rows, outer_columns]
        return folded


def leaky_border(x: torch.Tensor, slope: float) -> torch.Tensor:
    """Return `leaky_relu(x)` of maps (N, C, H, W) with its border repeated, as `replicate_border` does, in one pass.

    The maps are laid out as channels_last.
    """
    if min(x.shape[-2:]) < 2:
        return replicate_border(F.leaky_relu(x, slope))
    bordered: torch.Tensor = _LeakyBorder.apply(x, slope)  # type: ignore[no-untyped-call]
    return bordered


def _fill_border(padded: torch.Tensor) -> None:
    """Fill the border with the pixels next to it. A slice with the right step is the first and the last row in one."""
    height, width = padded.shape[-2] - 2, padded.shape[-1] - 2
    padded[..., :: height + 1, 1:-1] = padded[..., 1 : height + 1 : height - 1, 1:-1]
    padded[..., :: width + 1] = padded[..., 1 : width + 1 : width - 1]


def _edges(height: int, width: int) -> Iterator[tuple[slice, slice, slice, slice]]:
    """Return rows and columns of the inner part's edges and corners, and those of the border that repeat them."""
    whole, inner = slice(None), slice(1, -1)
    rows, outer_rows = slice(None, None, height - 1), slice(None, None, height + 1)
    columns, outer_columns = slice(None, None, width - 1), slice(None, None, width + 1)
    yield rows, whole, outer_rows, inner
    yield whole, columns, inner, outer_columns
    yield rows, columns, outer_rows, outer_columns


class _LeakyBorder(torch.autograd.Function):
    """Keeps its output only, as the convolution behind it does; the inner part has the signs of the input."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, slope: float) -> torch.Tensor:
        (n, c, height, width) = x.shape
        shape = (n, c, height + 2, width + 2)
        bordered = torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=torch.channels_last)
        torch.ops.aten.leaky_relu.out(x, slope, out=bordered[..., 1:-1, 1:-1])
        _fill_border(bordered)
        ctx.save_for_backward(bordered)
        ctx.slope = slope
        return bordered

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        (bordered,), (gradient,) = ctx.saved_tensors, gradients
        inner = bordered[..., 1:-1, 1:-1]
        height, width = inner.shape[-2:]

        def through(part: torch.Tensor, output: torch.Tensor) -> torch.Tensor:
            result: torch.Tensor = torch.ops.aten.leaky_relu_backward(part, output, ctx.slope, True)
            return result

        folded = through(gradient[..., 1:-1, 1:-1], inner)
        for rows, columns, outer_rows, outer_columns in _edges(height, width):
            edge = inner[..., rows, columns]
            folded[..., rows, columns] += through(gradient[..., outer_rows, outer_columns], edge)
        return folded, None
