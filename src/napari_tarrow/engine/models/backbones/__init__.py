"""Backbones by name: what sees every frame by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..choices import chosen
from .base import Backbone
from .residual import FPNResNet, ResNet, ResNet18, resnet18_layers
from .simple import Pixels, SimpleCNN
from .unet import LNet, UNet

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["BACKBONES", "Backbone", "UNet", "make_backbone", "resnet18_layers"]

_MAKERS: dict[str, Callable[[int], Backbone]] = {
    "unet": lambda channels: UNet(channels, maps=32),
    "unet_16fmaps": lambda channels: UNet(channels, maps=16),
    "lnet": lambda channels: LNet(channels, maps=32),
    "resnet32": lambda channels: ResNet(channels, maps=16, features=16, blocks=3, convolutions=5),
    "resnet32_32fmaps": lambda channels: ResNet(channels, maps=32, features=32, blocks=3, convolutions=5),
    "resnet_bioimage_wider": lambda channels: ResNet(channels, maps=64, features=512, blocks=4, convolutions=2),
    "resnet18": ResNet18,
    "simple": SimpleCNN,
    "id": Pixels,
    "fpn_resnet": FPNResNet,
}

BACKBONES = tuple(_MAKERS)


def make_backbone(name: str, in_channels: int) -> Backbone:
    """Return a new backbone for images of `in_channels` channels.

    Raises
    ------
    UserError
        If there is none of this name.
    """
    return chosen(_MAKERS, name, "backbone")(in_channels)
