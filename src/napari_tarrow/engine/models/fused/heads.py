"""The heads of clips of two or three frames on a GPU: from the backbone's maps to pooled features without maps between.

What `folded.py` does with torch's operations, which keep the hidden maps of every pair and go over them twenty times.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
from torch import nn
from torch.autograd.function import once_differentiable

from . import head_kernels as kernels
from .norm import finished_gradients, finished_statistics, multiprocessors

_ROWS = 64  # pixels at a time
_PROGRAMS = 4  # per multiprocessor


def moments(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return `x`, and sums over its pixels in float32.

    Whoever needs `x` besides its sums takes the one returned: its gradient is then added where the sums' is made.

    Parameters
    ----------
    x : (B, K, pixels, C)
        Contiguous; K is 2 or 3.

    Returns
    -------
    x : (B, K, pixels, C)
    single : (B, K, C)
    own : (B, K, C, C)
        Of the products of a frame's features.
    cross : (P, C, C)
        Of the products of the features of two frames, for pairs (0, 1), (1, 2), (0, 2), over all clips.
    """
    result: tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor] = _Moments.apply(x)  # type: ignore[no-untyped-call]
    return result


def pooled_features(
    x: torch.Tensor,
    first: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    second: tuple[torch.Tensor, torch.Tensor, torch.Tensor],
    norm: nn.BatchNorm2d,
    slope: float,
) -> torch.Tensor:
    """Return the mean over space of what two equivariant layers make of all pairs of frames, (B, P, 2, F) float32.

    Parameters
    ----------
    x : (B, K, pixels, C)
        Contiguous; K is 2 or 3.
    first, second
        What a frame's features and those of the other one are multiplied by, (F, C) and (F, C), then (F, F) and (F, F),
        and a bias, (F,), all float32. The first layer has its batch norm in them.
    norm
        The batch norm of the second layer; in training its running statistics follow, and the gradient of the bias
        before it is zero.
    slope : float
        Of the leaky ReLU behind both.
    """
    result: torch.Tensor = _Pooled.apply(x, *first, *second, norm.weight, norm.bias, norm, slope)  # type: ignore[no-untyped-call]
    return result


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        clips, frames, pixels, features = x.shape
        run = _Run(x)
        single = run.room(frames, features)
        own = run.room(frames, features, features)
        cross = run.room(_pairs(frames), features, features)
        run(kernels.moments, x, single, own, cross, frames, pixels, run.chunk, features)
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        of_clips = (one.unflatten(0, (clips, -1)).sum(1) for one in (single, own))
        return x.view_as(x), *of_clips, cross.sum(0)

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any,
        to_x: torch.Tensor | None,
        to_single: torch.Tensor,
        to_own: torch.Tensor,
        to_cross: torch.Tensor,
    ) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        run = _Run(x)
        # added to in place: nobody else has what `_Pooled` gives back
        to_x = torch.zeros_like(x) if to_x is None else to_x.contiguous()
        given = (to_single, to_own + to_own.transpose(-1, -2), to_cross)
        run(kernels.add_gradient_of_moments, x, *map(_plain, given), to_x, *x.shape[1:3], run.chunk, x.shape[3])
        return to_x


class _Pooled(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        bias: torch.Tensor,
        p: torch.Tensor,
        q: torch.Tensor,
        before: torch.Tensor,
        weight: torch.Tensor,
        shift: torch.Tensor,
        norm: nn.BatchNorm2d,
        slope: float,
    ) -> torch.Tensor:
        clips, frames, pixels, _ = x.shape
        pairs, features = _pairs(frames), len(p)
        run = _Run(x, features)
        weights = tuple(map(_plain, (a, b, bias, p, q)))
        sizes = (frames, pixels, run.chunk, slope, x.shape[3], features)
        count = clips * pairs * 2 * pixels
        partial = pivot = None
        if norm.training:
            assert norm.running_mean is not None
            pivot = norm.running_mean - before
            partial = run.room(2, features)
            run(kernels.statistics, x, *weights, pivot, partial, *sizes)
        values = finished_statistics(partial, pivot, before, norm, count)
        sums = run.room(pairs, 2, features)
        run(kernels.pooled, x, *weights, values, sums, *sizes)
        ctx.save_for_backward(x, *weights, values)
        ctx.options = sizes, count, norm.training
        means: torch.Tensor = sums.unflatten(0, (clips, -1)).sum(1) / pixels
        return means

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_pooled: torch.Tensor) -> tuple[Any, ...]:
        x, *weights, values = ctx.saved_tensors
        sizes, count, training = ctx.options
        assert training, "there is no gradient of batch norm outside of training"
        pixels, features = sizes[1], sizes[-1]
        run = _Run(x, features)
        to_pooled = _plain(to_pooled / pixels)
        partial = run.room(2, features)
        run(kernels.gradient_sums, x, *weights, values, to_pooled, partial, *sizes, warps=8)
        to_weight, to_shift = finished_gradients(partial)
        to_x = torch.empty_like(x)
        to_a, to_b = (run.room(features, x.shape[3]) for _ in range(2))
        to_p, to_q = (run.room(features, features) for _ in range(2))
        to_bias = run.room(features)
        given = (x, *weights, values, to_pooled, to_weight, to_shift, float(count))
        run(kernels.gradients, *given, to_x, to_a, to_b, to_bias, to_p, to_q, *sizes, rows=_ROWS // 2)
        sums = [one.sum(0) for one in (to_a, to_b, to_bias, to_p, to_q)]
        return to_x, *sums, torch.zeros_like(to_shift), to_weight, to_shift, None, None


class _Run:
    """How a kernel is run over the pixels of clips: several programs for each, with room for what each one finds."""

    def __init__(self, x: torch.Tensor, features: int | None = None) -> None:
        clips, _, pixels, width = x.shape
        tiles = triton.cdiv(pixels, _ROWS)
        chunks = max(1, min(tiles, round(_PROGRAMS * multiprocessors(x.device) / clips)))
        self.chunk = triton.cdiv(tiles, chunks) * _ROWS
        self._programs = clips * triton.cdiv(pixels, self.chunk)
        self._x = x
        self._blocks = {"BC": _block(width)} | ({"BF": _block(features)} if features else {})

    def room(self, *shape: int) -> torch.Tensor:
        return self._x.new_empty((self._programs, *shape), dtype=torch.float32)

    def __call__(self, kernel: Any, *given: Any, rows: int = _ROWS, warps: int = 4) -> None:
        with torch.cuda.device_of(self._x):
            kernel[(self._programs,)](*given, BR=rows, num_warps=warps, **self._blocks)


def _pairs(frames: int) -> int:
    """Return how many pairs two or three frames make."""
    return 2 * frames - 3


def _block(features: int) -> int:
    return max(16, int(triton.next_power_of_2(features)))


def _plain(values: torch.Tensor) -> torch.Tensor:
    return values.detach().float().contiguous()
