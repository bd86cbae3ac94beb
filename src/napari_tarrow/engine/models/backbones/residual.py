"""Residual networks: the strided ones of the paper's repository, ResNet-18, and a feature pyramid on top of one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..spans import Span, needed
from .base import Backbone, initialise_he, pad_to_multiple
from .border import BorderConv2d

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERYWHERE = Span(-(2**40), 2**40)


class ResNet(Backbone):
    """Residual blocks whose first convolution halves the resolution, maps doubling; a 1 x 1 convolution at the end."""

    def __init__(self, in_channels: int, maps: int, features: int, blocks: int, convolutions: int) -> None:
        super().__init__()
        self.features = features
        self.grid = self.downscale = 2**blocks
        widths = [maps * 2**level for level in range(blocks)]
        inputs = [in_channels, *widths[:-1]]
        self.blocks = nn.ModuleList(_ResidualBlock(a, b, convolutions) for a, b in zip(inputs, widths, strict=True))
        self.head = nn.Conv2d(widths[-1], features, 1)
        initialise_he(self)

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images of any size."""
        for block in self.blocks:
            x = block(x)
        maps: torch.Tensor = self.head(x)
        return maps

    def needs(self, span: Span) -> Span:
        """Return the pixels of an image on which the output pixels `span` depend."""
        for block in reversed(self.blocks):
            assert isinstance(block, _ResidualBlock)
            span = needed(block.conv_block, span).union(needed(block.shortcut, span))
        return span


class _ResidualBlock(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, convolutions: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i in range(convolutions):
            channels, stride = (out_channels, 1) if i else (in_channels, 2)
            layers += [
                BorderConv2d(channels, out_channels, stride),
                nn.BatchNorm2d(out_channels),
                nn.LeakyReLU(inplace=True),
            ]
        self.conv_block = nn.Sequential(*layers[:-1])
        self.shortcut = nn.Sequential(nn.Conv2d(in_channels, out_channels, 1, 2), nn.BatchNorm2d(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(self.conv_block(x) + self.shortcut(x))


class ResNet18(Backbone):
    """ResNet-18 without its last two layers (He et al. 2015), first convolution 5 x 5; 1/32 of the resolution."""

    features = 512
    grid = downscale = 32

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self._module = resnet18_layers(in_channels)

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images whose sides are multiples of 32."""
        maps: torch.Tensor = self._module(x)
        return maps

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that are multiples of 32, padded by reflection, centred."""
        return pad_to_multiple(x, self.grid, mode="reflect")

    def lead(self, size: int) -> int:
        """Return how many pixels `pad` puts before an image side of `size`."""
        return -size % self.grid // 2

    def needs(self, span: Span) -> Span:
        """Return the pixels of a padded image on which the output pixels `span` depend."""
        for layer in reversed(self._module):
            for inner in reversed(layer) if isinstance(layer, nn.Sequential) else [layer]:
                span = inner.needs(span) if isinstance(inner, BasicBlock) else needed([inner], span)
        return span


class FPNResNet(Backbone):
    """A residual network with a feature pyramid (Lin et al. 2017), all levels enlarged to the input and fused.

    The enlargement aligns the corners of the whole image, so an output pixel depends on the size of the image.
    """

    features = 16
    grid = 16
    local = False

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        widths = [32, 64, 128, 256]
        self.first = nn.Sequential(
            nn.Conv2d(in_channels, widths[0], 3, 2, padding=1, bias=False),
            nn.BatchNorm2d(widths[0]),
            nn.LeakyReLU(inplace=True),
        )
        self.backbone = _ResidualLevels(widths, self.features)
        self.fpn = _Pyramid(widths, self.features)
        fuse = nn.Conv2d(len(widths) * self.features, self.features, 3, padding=1)
        self.final = nn.Sequential(nn.LeakyReLU(inplace=True), fuse)

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images whose sides are multiples of 16."""
        size = x.shape[-2:]
        levels = self.fpn(self.backbone(self.first(x)))
        enlarged = [F.interpolate(level, size=size, mode="bilinear", align_corners=True) for level in levels]
        maps: torch.Tensor = self.final(torch.cat(enlarged, dim=1))
        return maps

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that are multiples of 16, padded by reflection, centred."""
        return pad_to_multiple(x, self.grid, mode="reflect")

    def offset(self, size: int) -> int:
        """Return where the output for an image side of `size` begins in the output of `core`."""
        return -size % self.grid // 2

    def needs(self, span: Span) -> Span:
        """Return everything: see the class."""
        return EVERYWHERE


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions with batch norm around a shortcut (He et al. 2015)."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, slope: float, shortcut_bias: bool) -> None:
        super().__init__()
        self.slope = slope
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != out_channels:
            shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=shortcut_bias)
            self.downsample = nn.Sequential(shortcut, nn.BatchNorm2d(out_channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of `x`, (N, C, H, W)."""
        inner = F.leaky_relu(self.bn1(self.conv1(x)), self.slope)
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.leaky_relu(self.bn2(self.conv2(inner)) + shortcut, self.slope)

    def needs(self, span: Span) -> Span:
        """Return the input pixels on which the output pixels `span` depend (the shortcut's are among them)."""
        return needed([self.conv1, self.conv2], span)


def resnet18_layers(in_channels: int) -> nn.Sequential:
    """Return the layers of ResNet-18 up to its last residual block, numbered as in upstream's files."""
    widths = [64, 64, 128, 256, 512]
    strides = [1, 2, 2, 2]
    levels = [
        nn.Sequential(BasicBlock(a, b, s, 0.0, False), BasicBlock(b, b, 1, 0.0, False))
        for a, b, s in zip(widths, widths[1:], strides, strict=False)
    ]
    for level in levels:
        _initialise_fan_out(level)
    stem = nn.Conv2d(in_channels, 64, 5, 2)
    return nn.Sequential(stem, nn.BatchNorm2d(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1), *levels)


class _ResidualLevels(nn.Module):
    def __init__(self, widths: Sequence[int], features: int) -> None:
        super().__init__()
        inputs = [widths[0], *widths[:-1]]
        self.layers = nn.ModuleList(
            nn.Sequential(BasicBlock(a, b, 2 if level else 1, 0.01, True), BasicBlock(b, b, 1, 0.01, True))
            for level, (a, b) in enumerate(zip(inputs, widths, strict=True))
        )
        _initialise_fan_out(self)
        self.final = nn.Conv2d(widths[-1], features, 1)  # never used, but part of the file format

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        levels = []
        for layer in self.layers:
            x = layer(x)
            levels.append(x)
        return levels


class _Pyramid(nn.Module):
    def __init__(self, widths: Sequence[int], features: int) -> None:
        super().__init__()
        self.inner_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(width, features, 1)) for width in widths)
        self.layer_blocks = nn.ModuleList(nn.Sequential(nn.Conv2d(features, features, 3, padding=1)) for _ in widths)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_uniform_(layer.weight, a=1)
                nn.init.zeros_(layer.bias)

    def forward(self, levels: list[torch.Tensor]) -> list[torch.Tensor]:
        lateral = [block(level) for block, level in zip(self.inner_blocks, levels, strict=True)]
        for i in reversed(range(len(lateral) - 1)):
            size = lateral[i].shape[-2:]
            lateral[i] = lateral[i] + F.interpolate(lateral[i + 1], size=size, mode="nearest")
        return [block(x) for block, x in zip(self.layer_blocks, lateral, strict=True)]


def _initialise_fan_out(module: nn.Module) -> None:
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
