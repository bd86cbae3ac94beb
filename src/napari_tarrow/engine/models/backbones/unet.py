"""The U-Net of the specification, and its relative with strided convolutions and output at half resolution."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..spans import needed
from .base import Backbone, initialise_he, pad_to_multiple
from .border import BorderConv2d

if TYPE_CHECKING:
    from ..spans import Span

LEVELS = 4


class ConvBlock(nn.Module):
    """Two 3 x 3 convolutions (replicated border), each with batch norm and leaky ReLU; the first may have a stride."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for channels, step in ((in_channels, stride), (out_channels, 1)):
            layers += [
                BorderConv2d(channels, out_channels, step),
                nn.BatchNorm2d(out_channels),
                nn.LeakyReLU(inplace=True),
            ]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of `x`, (N, C, H, W)."""
        maps: torch.Tensor = self.conv_block(x)
        return maps


class UNet(Backbone):
    """U-Net of four levels: doubling maps, 2 x 2 max pooling, nearest upsampling, concatenation `[skip, up]`.

    Parameters
    ----------
    in_channels
        Channels of the images.
    maps
        Maps at the top level.
    out_channels
        Maps of the output (default: `maps`).
    """

    grid: int = 2 ** (LEVELS - 1)

    def __init__(self, in_channels: int, maps: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.features = out_channels or maps
        widths = [maps * 2**level for level in range(LEVELS)]
        self.l_conv = nn.ModuleList(_blocks([in_channels, *widths[:-1]], widths))
        self.r_conv = nn.ModuleList(_blocks([a + b for a, b in pairwise(widths)], widths[:-1]))
        self.head = nn.Conv2d(maps, self.features, 1)
        initialise_he(self)

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images whose sides are multiples of `grid`."""
        skips = []
        for level, block in enumerate(self.l_conv):
            x = block(F.max_pool2d(x, 2) if level else x)
            skips.append(x)
        return _up(skips, self.r_conv, self.head)

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that are multiples of `grid`, padded by replication, centred."""
        return pad_to_multiple(x, self.grid)

    def offset(self, size: int) -> int:
        """Return where the output for an image side of `size` begins in the output of `core`."""
        return (-size % self.grid) // 2

    def needs(self, span: Span) -> Span:
        """Return the pixels of a padded image on which the output pixels `span` depend."""
        return _needs(self.l_conv, self.r_conv, span, pooled=True)


class LNet(Backbone):
    """The U-Net's relative whose levels begin with a strided convolution; output at half the resolution.

    Upstream takes sides that are multiples of 16 only; other sides are padded here at the end, by replication.
    """

    grid: int = 2**LEVELS
    downscale: int = 2

    def __init__(self, in_channels: int, maps: int) -> None:
        super().__init__()
        self.features = maps
        widths = [maps * 2**level for level in range(LEVELS)]
        self.l_conv = nn.ModuleList(_blocks([in_channels, *widths[:-1]], widths, stride=2))
        self.r_conv = nn.ModuleList(_blocks([a + b for a, b in pairwise(widths)], widths[:-1]))
        self.head = nn.Conv2d(maps, maps, 1)
        initialise_he(self)

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images whose sides are multiples of `grid`."""
        skips = []
        for block in self.l_conv:
            x = block(x)
            skips.append(x)
        return _up(skips, self.r_conv, self.head)

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that are multiples of `grid`, padded at their ends."""
        bottom, right = (-side % self.grid for side in x.shape[-2:])
        return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x

    def needs(self, span: Span) -> Span:
        """Return the pixels of a padded image on which the output pixels `span` depend."""
        return _needs(self.l_conv, self.r_conv, span, pooled=False)


def _up(skips: list[torch.Tensor], blocks: nn.ModuleList, head: nn.Module) -> torch.Tensor:
    """Go from the bottom, the last of `skips`, up to the output: enlarge, join the skip, convolve."""
    x = skips.pop()
    for block in reversed(blocks):
        x = block(torch.cat([skips.pop(), F.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
    maps: torch.Tensor = head(x)
    return maps


def _blocks(inputs: list[int], outputs: list[int], stride: int = 1) -> list[ConvBlock]:
    return [ConvBlock(a, b, stride) for a, b in zip(inputs, outputs, strict=True)]


def _needs(down: nn.ModuleList, up: nn.ModuleList, span: Span, pooled: bool) -> Span:
    """Follow a span from the output to the bottom, and the skips' spans with it back to the input."""
    wanted = []
    for block in up:
        span = needed(_layers(block), span)
        wanted.append(span)
        span = span.through_upsampling(2)
    for level in reversed(range(len(down))):
        if level < len(wanted):
            span = span.union(wanted[level])
        span = needed(_layers(down[level]), span)
        if pooled and level:
            span = span.through_window(2, stride=2)
    return span


def _layers(block: nn.Module) -> nn.Sequential:
    layers = block.conv_block
    assert isinstance(layers, nn.Sequential)
    return layers
