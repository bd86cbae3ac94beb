"""All kernels on a few pixels, forward and backward: what cannot be compiled or run fails before a training."""

from __future__ import annotations

import torch
from torch import nn

from .heads import moments, pooled_features
from .norm import norm_leaky

_FEATURES = 32


@torch.enable_grad()
def try_kernels(device: torch.device) -> None:
    """Run the kernels in bfloat16.

    Raises
    ------
    Exception
        Whatever Triton or CUDA raise.
    """
    random = torch.Generator().manual_seed(0)

    def values(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=random).to(device)

    norm = nn.BatchNorm2d(_FEATURES).to(device)
    last = torch.channels_last
    x = values(1, _FEATURES, 4, 4).bfloat16().contiguous(memory_format=last).requires_grad_()
    blocks = values(1, 4 * _FEATURES, 3, 3).bfloat16().contiguous(memory_format=last).requires_grad_()
    added, _ = norm_leaky(x, values(_FEATURES), norm, 0.01, blocks=blocks)
    inner = added[..., 1:-1, 1:-1].contiguous(memory_format=last)
    maps, small = norm_leaky(inner, values(_FEATURES), norm, 0.01, pooled=True)
    assert small is not None
    plain, _ = norm_leaky(inner, values(_FEATURES), norm, 0.01, border=False)
    for frames in (2, 3):
        clips = values(1, frames, 16, _FEATURES).bfloat16().requires_grad_()
        through, *sums = moments(clips)
        square = _FEATURES, _FEATURES
        layers = [(values(*square), values(*square), values(_FEATURES)) for _ in range(2)]
        pooled = pooled_features(through, layers[0], layers[1], norm, 0.01)
        (pooled.sum() + sum(one.sum() for one in sums)).backward()
    (maps.sum() + small.sum() + plain.sum()).float().backward()
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
