"""The part of a network that projects, as a copy that does the same faster."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from ...models import TimeArrowNet
    from ...models.backbones import Backbone


def projecting_copy(model: TimeArrowNet, layer: int | None) -> tuple[Backbone, nn.Sequential]:
    """Return a backbone and the head's layers up to `layer` (None: no layers), equal to the model's, in eval mode.

    They are equal to rounding. Batch norms are folded into the convolutions before them, and on the CPU weights are
    laid out as `channels_last`.

    Raises
    ------
    UserError
        If the head has fewer layers.
    """
    layers = nn.Sequential() if layer is None else model.projection_head.until(layer)
    backbone, head = copy.deepcopy((model.backbone, layers))
    layout = fast_layout(model.device)
    for part in (backbone, head):
        part.eval().requires_grad_(False)
        _fold(part)
        if layout == torch.channels_last:
            part.to(memory_format=layout)  # type: ignore[call-overload]
    if layout == torch.channels_last:  # elsewhere nothing asks for them
        backbone.prepare_weights()
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
