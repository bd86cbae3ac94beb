"""The smallest backbones: five strided convolutions, and none at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..spans import needed
from .base import Backbone

if TYPE_CHECKING:
    from ..spans import Span


class SimpleCNN(Backbone):
    """Five 3 x 3 convolutions (zero-padded, no bias) with batch norm and ReLU, each halving the resolution."""

    features = 8
    grid = downscale = 32

    def __init__(self, in_channels: int, maps: int = 32) -> None:
        super().__init__()
        self.conv1 = _halving(in_channels, maps)
        self.convs = nn.Sequential(*(_halving(maps, maps) for _ in range(3)))
        self.final = _halving(maps, self.features)

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images of any size."""
        maps: torch.Tensor = self.final(self.convs(self.conv1(x)))
        return maps

    def needs(self, span: Span) -> Span:
        """Return the pixels of an image on which the output pixels `span` depend."""
        return needed([self.conv1, self.convs, self.final], span)


class Pixels(Backbone):
    """No backbone: the channels themselves."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.features = in_channels

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images."""
        return x

    def needs(self, span: Span) -> Span:
        """Return the same pixels."""
        return span


def _halving(in_channels: int, out_channels: int) -> nn.Sequential:
    convolution = nn.Conv2d(in_channels, out_channels, 3, 2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True))
