"""Products of the features of many pixels with small matrices.

On the CPU torch leaves matrix products in float32 to MKL, which is made for matrices that are wide in every direction,
and convolutions to oneDNN. With 32 features of many pixels a convolution of 1 x 1 takes a third of the time of the same
product on a processor of AMD; in bfloat16, where oneDNN does both, a fifth less.
"""

from __future__ import annotations

from math import prod

import torch
import torch.nn.functional as F

_IMAGES = 16  # with fewer, and a single thread, torch does not call oneDNN for a convolution of 1 x 1
_GEOMETRY = [1, 1], [0, 0], [1, 1], False, [0, 0], 1  # stride, padding, dilation, transposed, output padding, groups


def pixelwise(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Return `x weight^T + bias`, (..., out), for features `x`, (..., in), of pixels; `weight` is (out, in)."""
    if not _convolved(x):
        return F.linear(x, weight, bias)
    y = F.conv2d(_images(x), weight[:, :, None, None], bias)
    return y.permute(0, 2, 3, 1).reshape(*x.shape[:-1], len(weight))


def weight_gradient(gradient: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the gradient of `pixelwise`'s weight, (out, in), of that of its result, (..., out), and of `x`."""
    if not (_convolved(x) and _convolved(gradient)):
        return gradient.flatten(0, -2).T @ x.flatten(0, -2)
    weight = x.new_empty((gradient.shape[-1], x.shape[-1], 1, 1))
    _, of_weight, _ = torch.ops.aten.convolution_backward(
        _images(gradient), _images(x), weight, None, *_GEOMETRY, [False, True, False]
    )
    rows: torch.Tensor = of_weight.flatten(1)
    return rows


def bias_gradient(gradient: torch.Tensor) -> torch.Tensor:
    """Return the gradient of `pixelwise`'s bias, (out,), for that of its result, (..., out)."""
    rows = gradient.flatten(0, -2)
    total: torch.Tensor = (rows.new_ones(1, len(rows)) @ rows)[0]  # a sum in float32 would first copy
    return total


def _convolved(x: torch.Tensor) -> bool:
    return x.device.type == "cpu" and x.is_contiguous() and torch.backends.mkldnn.is_available()


def _images(x: torch.Tensor) -> torch.Tensor:
    """Return features (..., F) as images (N, F, 1, pixels), features last in memory, without a copy."""
    pixels = prod(x.shape[:-1])
    count = 1 if pixels % _IMAGES else _IMAGES
    return x.view(count, 1, pixels // count, x.shape[-1]).permute(0, 3, 1, 2)
