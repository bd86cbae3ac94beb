"""The U-Net of the specification, and its relative with strided convolutions and output at half resolution."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from ..equivariant import SLOPE
from ..fused import available
from ..fused.pixels import convolved, linear_pixels
from ..layout import features_last
from ..spans import needed
from .base import Backbone, initialise_he, pad_to_multiple
from .border import BorderConv2d, leaky_border, replicate_border
from .enlarged import add_convolved_enlarged, kernels_of_blocks

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        self._prepared: tuple[torch.Tensor, torch.Tensor] | None = None

    def prepare_weights(self) -> None:
        """Part the first weight once and for all; it must not change any more."""
        self._prepared = self._parted_weight()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of `x`, (N, C, H, W)."""
        maps: torch.Tensor = self.conv_block(x)
        return maps

    def until_last_relu(self, bordered: torch.Tensor, small: torch.Tensor | None = None) -> torch.Tensor:
        """Return what the last leaky ReLU gets, (N, C, H, W), of maps laid out as channels_last, in few passes.

        Parameters
        ----------
        bordered : (N, C, H + 2, W + 2)
            The input, with a replicated border.
        small : (N, C', H / 2 + 2, W / 2 + 2), optional
            Further maps of the input, with a replicated border, that are to be enlarged to twice their size.
        """
        first, norm, _, second, last_norm, _ = self.conv_block
        assert isinstance(first, nn.Conv2d)
        assert isinstance(second, nn.Conv2d)
        if small is None:
            maps = F.conv2d(bordered, first.weight, first.bias, first.stride)
        else:
            weight, kernels = self._prepared or self._parted_weight()
            maps = add_convolved_enlarged(F.conv2d(bordered, weight, first.bias), small, kernels)
        del bordered, small  # where no gradient needs them, nobody does
        maps = leaky_border(norm(maps), SLOPE)
        result: torch.Tensor = last_norm(F.conv2d(maps, second.weight, second.bias))
        return result

    def fused(
        self, bordered: torch.Tensor, small: torch.Tensor | None = None, *, border: bool = True, pooled: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Return the block's maps, and their pooling, with the kernels for GPUs; arguments as `until_last_relu`.

        With `border` the results have a replicated border. Biases before a batch norm change nothing: it heeds them.
        """
        from ..fused.norm import norm_leaky

        first, norm, _, second, last_norm, _ = cast("tuple[Any, ...]", self.conv_block)
        blocks = None
        if small is not None:
            weight, kernels = self._prepared or self._parted_weight()
            maps, blocks = F.conv2d(bordered, weight), F.conv2d(small, kernels)
        else:
            maps = convolved(bordered, first.weight, first.stride[0])
        maps, _ = norm_leaky(maps, first.bias, norm, SLOPE, blocks=blocks)
        maps = F.conv2d(maps, second.weight)
        return norm_leaky(maps, second.bias, last_norm, SLOPE, border=border, pooled=pooled)

    def _parted_weight(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the first weight for a skip, which has as many maps as come out, and kernels for what is enlarged."""
        weight = _layers(self)[0].weight
        assert isinstance(weight, torch.Tensor)
        skip, enlarged = weight.split([len(weight), weight.shape[1] - len(weight)], 1)
        return skip.contiguous(memory_format=torch.channels_last), kernels_of_blocks(enlarged)


class _UNetLike(Backbone):
    """What both have: blocks on the way down, with pooling between them or not, blocks up, and a 1 x 1 convolution."""

    l_conv: nn.ModuleList
    r_conv: nn.ModuleList
    head: nn.Conv2d
    pooled: bool

    def prepare_weights(self) -> None:
        """Do once what depends on the weights alone; they must not change any more."""
        for block in self.r_conv:
            cast("ConvBlock", block).prepare_weights()

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of images whose sides are multiples of `grid`."""
        if features_last(next(self.r_conv.parameters())) and x.device.type != "mps":  # where nobody could try it
            return self._core_fused(x) if self._may_be_fused(x) else self._core_in_few_passes(x)
        skips: list[torch.Tensor] = []
        for block in self.l_conv:
            x = block(F.max_pool2d(x, 2) if skips and self.pooled else x)
            skips.append(x)
        x = skips.pop()
        for block in reversed(self.r_conv):
            x = block(torch.cat([skips.pop(), F.interpolate(x, scale_factor=2.0, mode="nearest")], dim=1))
        maps: torch.Tensor = self.head(x)
        return maps

    def _core_in_few_passes(self, x: torch.Tensor) -> torch.Tensor:
        """Do the same with maps that carry their border; leaky ReLU, which keeps the order of values, comes last."""
        down, up = (cast("Sequence[ConvBlock]", blocks) for blocks in (self.l_conv, self.r_conv))
        maps = down[0].until_last_relu(replicate_border(x))
        skips = [leaky_border(maps, SLOPE)]
        for block in down[1:]:
            below = leaky_border(F.max_pool2d(maps, 2), SLOPE) if self.pooled else skips[-1]
            maps = block.until_last_relu(below)
            skips.append(leaky_border(maps, SLOPE))
        del maps, below  # where no gradient needs them, nobody does
        small = skips.pop()
        for block in up[:0:-1]:
            small = leaky_border(block.until_last_relu(skips.pop(), small), SLOPE)
        top = F.leaky_relu(up[0].until_last_relu(skips.pop(), small), SLOPE, inplace=True)
        result: torch.Tensor = self.head(top)
        return result

    def _may_be_fused(self, x: torch.Tensor) -> bool:
        """Return whether there are kernels for this: borders need two pixels."""
        return min(x.shape[-2:]) >= 2 * 2**LEVELS and available(x.device, self.training)

    def _core_fused(self, x: torch.Tensor) -> torch.Tensor:
        """Do the same on a GPU."""
        down, up = (cast("Sequence[ConvBlock]", blocks) for blocks in (self.l_conv, self.r_conv))
        below, skips = replicate_border(x), []
        for block in down:
            maps, pooled = block.fused(below, pooled=self.pooled and block is not down[-1])
            skips.append(maps)
            below = maps if pooled is None else pooled
        del maps, pooled, below
        small = skips.pop()
        for block in up[:0:-1]:
            small, _ = block.fused(skips.pop(), small)
        top, _ = up[0].fused(skips.pop(), small, border=False)
        return linear_pixels(top, self.head)

    def needs(self, span: Span) -> Span:
        """Return the pixels of a padded image on which the output pixels `span` depend."""
        return _needs(self.l_conv, self.r_conv, span, self.pooled)


class UNet(_UNetLike):
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
    pooled = True

    def __init__(self, in_channels: int, maps: int, out_channels: int | None = None) -> None:
        super().__init__()
        self.features = out_channels or maps
        widths = [maps * 2**level for level in range(LEVELS)]
        self.l_conv = nn.ModuleList(_blocks([in_channels, *widths[:-1]], widths))
        self.r_conv = nn.ModuleList(_blocks([a + b for a, b in pairwise(widths)], widths[:-1]))
        self.head = nn.Conv2d(maps, self.features, 1)
        initialise_he(self)

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that are multiples of `grid`, padded by replication, centred."""
        return pad_to_multiple(x, self.grid)

    def offset(self, size: int) -> int:
        """Return where the output for an image side of `size` begins in the output of `core`."""
        return (-size % self.grid) // 2


class LNet(_UNetLike):
    """The U-Net's relative whose levels begin with a strided convolution; output at half the resolution.

    Upstream takes sides that are multiples of 16 only; other sides are padded here at the end, by replication.
    """

    grid: int = 2**LEVELS
    pooled = False
    downscale: int = 2

    def __init__(self, in_channels: int, maps: int) -> None:
        super().__init__()
        self.features = maps
        widths = [maps * 2**level for level in range(LEVELS)]
        self.l_conv = nn.ModuleList(_blocks([in_channels, *widths[:-1]], widths, stride=2))
        self.r_conv = nn.ModuleList(_blocks([a + b for a, b in pairwise(widths)], widths[:-1]))
        self.head = nn.Conv2d(maps, maps, 1)
        initialise_he(self)

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that are multiples of `grid`, padded at their ends."""
        bottom, right = (-side % self.grid for side in x.shape[-2:])
        return F.pad(x, (0, right, 0, bottom), mode="replicate") if bottom or right else x


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
