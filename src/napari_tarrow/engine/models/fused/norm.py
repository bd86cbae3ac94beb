"""Batch norm, leaky ReLU, border and pooling of maps laid out as channels_last, on a GPU in as few passes as can be.

torch's own kernels go over the memory three times as often, and that is most of what a small network costs on a GPU.
The kernels are written in Triton, which comes with torch for CUDA.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
import triton
from torch import nn
from torch.autograd.function import once_differentiable

from . import norm_kernels as kernels

_ELEMENTS = 2048  # of a program at a time: with more there are too few registers
_PROGRAMS = 4  # that sum up, per multiprocessor


def norm_leaky(
    x: torch.Tensor,
    before: torch.Tensor,
    norm: nn.BatchNorm2d,
    slope: float,
    *,
    blocks: torch.Tensor | None = None,
    border: bool = True,
    pooled: bool = False,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return `leaky_relu(norm(x + before))`, and its 2 x 2 max pooling.

    In training the running statistics follow; the gradient of `before`, which batch norm takes out again, is zero.

    Parameters
    ----------
    x : (N, C, H, W)
        What a convolution without bias gives, laid out as channels_last.
    before : (C,)
        The bias of the convolution.
    norm
    slope : float
    blocks : (N, 4 C, H / 2 + 1, W / 2 + 1), optional
        Added to `x` first, as `add_convolved_enlarged` does.
    border
        Whether the results have a border of one replicated pixel.
    pooled
        Whether pooling is wanted; height and width are even then.

    Returns
    -------
    (N, C, H + 2, W + 2) or (N, C, H, W)
    (N, C, H / 2 + 2, W / 2 + 2) or None
    """
    y, small = _NormLeaky.apply(x, blocks, norm.weight, norm.bias, before, norm, slope, border, pooled)  # type: ignore[no-untyped-call]
    return y, small if pooled else None


class _NormLeaky(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        blocks: torch.Tensor | None,
        weight: torch.Tensor,
        bias: torch.Tensor,
        before: torch.Tensor,
        norm: nn.BatchNorm2d,
        slope: float,
        border: bool,
        pooled: bool,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        x = x.contiguous(memory_format=torch.channels_last)
        if blocks is not None:
            blocks = blocks.contiguous(memory_format=torch.channels_last)
        x, values = _normalised(x, blocks, before, norm)
        y = _new(x, x.shape[2] + 2 * border, x.shape[3] + 2 * border)
        _run(kernels.activate, y, x, values, y, _pixels(y), *x.shape[2:], slope, BORDER=int(border))
        small = None
        if pooled:
            small = _new(x, x.shape[2] // 2 + 2, x.shape[3] // 2 + 2)
            _run(kernels.pool, small, y, small, _pixels(small), x.shape[2] // 2, x.shape[3] // 2)
        ctx.save_for_backward(x, values, y if pooled else None)
        ctx.options = slope, border, blocks is not None, norm.training
        ctx.before = before
        return y, small

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_y: torch.Tensor, to_small: torch.Tensor | None) -> tuple[Any, ...]:
        x, values, y = ctx.saved_tensors
        slope, border, add, training = ctx.options
        assert training, "there is no gradient of batch norm outside of training"
        count, features, (height, width) = _pixels(x), x.shape[1], x.shape[2:]
        to_y = to_y.contiguous(memory_format=torch.channels_last)
        pooled = y is not None and to_small is not None
        small = to_small.contiguous(memory_format=torch.channels_last) if to_small is not None and pooled else x
        inputs = (x, values, to_y, y if pooled else x, small)
        flags = {"BORDER": int(border), "POOLED": int(pooled)}
        partial, programs = _partial(x)
        _run(kernels.gradient_sums, x, *inputs, partial, count, height, width, slope, programs=programs, **flags)
        to_weight, to_bias = finished_gradients(partial)
        to_x, to_blocks = torch.empty_like(x), x
        if add:
            to_blocks = _new(x, height // 2 + 1, width // 2 + 1, 4 * features).zero_()
        outputs = (to_weight, to_bias, to_x, to_blocks)
        _run(
            kernels.gradient_of_input, x, *inputs, *outputs, count, height, width, float(count), slope,
            ADD=int(add), **flags,
        )  # fmt: skip
        learnt = (to_x, to_blocks if add else None, to_weight, to_bias, torch.zeros_like(ctx.before))
        return *learnt, None, None, None, None


def _normalised(
    x: torch.Tensor, blocks: torch.Tensor | None, before: torch.Tensor, norm: nn.BatchNorm2d
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `x` with the blocks, and what the kernels need of the norm, (4, C)."""
    count, (height, width) = _pixels(x), x.shape[2:]
    add = blocks is not None
    total = torch.empty_like(x) if add else x
    partial, programs = _partial(x)
    if norm.training or add:
        given = (x, blocks if add else x, total, partial, count, height, width)
        _run(kernels.statistics, x, *given, programs=programs, ADD=int(add))
    return total, finished_statistics(partial, x, before, norm, count)


def finished_statistics(
    partial: torch.Tensor | None, pivot: torch.Tensor | None, before: torch.Tensor, norm: nn.BatchNorm2d, count: int
) -> torch.Tensor:
    """Return what kernels need of a batch norm, (4, C) float32: mean, one over the deviation, scale and shift.

    Parameters
    ----------
    partial : (programs, 2, C) float32
        In training: sums of `x - pivot` and of its square over `count` pixels. Running statistics follow.
    pivot
        Begins with one value for each feature.
    before : (C,)
        A bias that was left out of `x`.
    norm
    count : int
    """
    seen, spread = norm.running_mean, norm.running_var
    assert seen is not None
    assert spread is not None
    if not norm.training:
        inverse = (spread + norm.eps).rsqrt()
        scale = norm.weight * inverse
        return torch.stack([seen - before, inverse, scale, norm.bias + (before - seen) * scale])
    assert partial is not None
    values = partial.new_empty((4, partial.shape[2]))
    if norm.num_batches_tracked is not None:
        norm.num_batches_tracked.add_(1)
    given = (norm.weight, norm.bias, before, seen, spread, values, float(count), len(partial), norm.momentum, norm.eps)
    _per_feature(kernels.finish_statistics, partial, pivot, *given)
    return values


def finished_gradients(partial: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of a batch norm's weight and bias, (C,) each, from sums of programs, (programs, 2, C)."""
    to_weight, to_bias = partial.new_empty(2, partial.shape[2]).unbind()
    _per_feature(kernels.finish_gradient_sums, partial, to_weight, to_bias, len(partial))
    return to_weight, to_bias


def _new(like: torch.Tensor, height: int, width: int, features: int | None = None) -> torch.Tensor:
    shape = (like.shape[0], features or like.shape[1], height, width)
    return torch.empty(shape, dtype=like.dtype, device=like.device, memory_format=torch.channels_last)


def _pixels(maps: torch.Tensor) -> int:
    return maps.shape[0] * maps.shape[2] * maps.shape[3]


def _tile(features: int) -> tuple[int, int]:
    """Return how many features and pixels a program handles at a time."""
    columns = 16 if features <= 16 else 32
    return columns, _ELEMENTS // columns


def _run(kernel: Any, over: torch.Tensor, *given: Any, programs: int | None = None, **flags: int) -> None:
    """Run a kernel over all pixels of `over`; in so many programs if it sums, else in one for each tile."""
    features = over.shape[1]
    columns, rows = _tile(features)
    programs = programs or triton.cdiv(_pixels(over), rows)
    with torch.cuda.device_of(over):
        kernel[(programs * triton.cdiv(features, columns),)](*given, features, BR=rows, BC=columns, **flags)


def _per_feature(kernel: Any, partial: torch.Tensor, *given: Any) -> None:
    """Run a kernel that adds up what programs found."""
    features = partial.shape[2]
    columns, _ = _tile(features)
    with torch.cuda.device_of(partial):
        kernel[(triton.cdiv(features, columns),)](partial, *given, features, BC=columns, BP=32)


def _partial(maps: torch.Tensor) -> tuple[torch.Tensor, int]:
    """Return room for the sums of programs, and how many there are."""
    features = maps.shape[1]
    _, rows = _tile(features)
    programs = min(triton.cdiv(_pixels(maps), rows), _PROGRAMS * multiprocessors(maps.device))
    return maps.new_empty((programs, 2, features), dtype=torch.float32), programs


@functools.cache
def multiprocessors(device: torch.device) -> int:
    """Return how many a device has."""
    if device.type != "cuda":  # Triton's interpreter
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)
