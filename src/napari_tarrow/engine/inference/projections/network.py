"""The part of a network that projects, as a copy that does the same faster."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ...models.backbones import Backbone

if TYPE_CHECKING:
    from ...models import TimeArrowNet


def projecting_copy(model: TimeArrowNet, layer: int | None) -> tuple[Backbone, nn.Sequential]:
    """Return a backbone and the head's layers up to `layer`, equal to the model's to rounding, in eval mode.

    None are left of the head with `layer` None.

    Batch norms are folded into the convolutions before them, and on the CPU weights are laid out as `channels_last`.

    Raises
    ------
    ValueError
        If the head has fewer layers.
    """
    layers = nn.Sequential() if layer is None else model.projection_head.until(layer)
    backbone, head = copy.deepcopy((model.backbone, layers))
    for part in (backbone, head):
        part.eval().requires_grad_(False)
        _fold(part)
        if fast_layout(model.device) == torch.channels_last:
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if isinstance(part, Backbone):
                part.prepare_weights()
    return backbone, head


def fast_layout(device: torch.device) -> torch.memory_format:
    """Return the memory format in which convolutions in float32 are fastest."""
    return torch.channels_last if device.type == "cpu" else torch.contiguous_format


def _fold(module: nn.Module) -> None:
    for child in module.children():
        _fold(child)
    if isinstance(module, nn.Sequential):
        for i in range(len(module) - 1):
            convolution, norm = module[i], module[i + 1]
            if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                module[i], module[i + 1] = fuse_conv_bn_eval(convolution, norm), nn.Identity()
