"""What every backbone is: a map from images to maps, with the geometry that tiling needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ...errors import UserError

if TYPE_CHECKING:
    from ..spans import Span


class Backbone(nn.Module):
    """A network `(N, C, H, W) -> (N, features, h, w)` that sees every frame by itself.

    `forward` is `crop(core(pad(x)))`. A tile of a padded image that starts and ends at multiples of `grid`, or at the
    border of the image, gives in `core` what the whole image gives, wherever `needs` says that the tile suffices.

    Attributes
    ----------
    features
        Number of output maps.
    grid
        Tiles of the padded image start and end at multiples of this.
    downscale
        Input pixels per output pixel.
    local
        Whether an output pixel depends on its surroundings only; if not, there is nothing to tile.
    """

    features: int
    grid: int = 1
    downscale: int = 1
    local: bool = True

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of the images `x`, (N, C, H, W)."""
        height, width = x.shape[-2:]
        return self.crop(self.core(self.pad(x)), (height, width))

    def core(self, x: torch.Tensor) -> torch.Tensor:
        """Return the maps of padded images."""
        raise NotImplementedError

    def prepare_weights(self) -> None:
        """Do once what depends on the weights alone; they must not change any more."""

    def pad(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images with sides that `core` can take."""
        return x

    def offset(self, size: int) -> int:
        """Return where, in the output of `core`, the output for an image side of `size` begins."""
        return 0

    def lead(self, size: int) -> int:
        """Return how many pixels `pad` puts before an image side of `size`."""
        return self.offset(size) * self.downscale

    def length(self, size: int) -> int:
        """Return the output side for an image side of `size`."""
        return -(-size // self.downscale)

    def crop(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Return the part of the output of `core` that belongs to an image of `size`."""
        for axis, side in zip((-2, -1), size, strict=True):
            if maps.shape[axis] != self.length(side):
                maps = maps.narrow(axis, self.offset(side), self.length(side))
        return maps

    def needs(self, span: Span) -> Span:
        """Return the pixels of a padded image on which the pixels `span` of `core`'s output depend."""
        raise NotImplementedError


def pad_to_multiple(x: torch.Tensor, multiple: int, mode: str = "replicate") -> torch.Tensor:
    """Pad both sides of images (N, C, H, W) to multiples of `multiple`, centred: the smaller half goes before.

    Raises
    ------
    UserError
        If they are too small to be reflected.
    """
    missing = [-side % multiple for side in x.shape[-2:]]
    if not any(missing):
        return x
    (top, bottom), (left, right) = ((m // 2, m - m // 2) for m in missing)
    height, width = x.shape[-2:]
    if mode == "reflect" and (bottom >= height or right >= width):
        raise UserError(
            f"Images of {height} x {width} pixels are too small for this network, which reflects them to multiples of"
            f" {multiple}. Use more than {multiple // 2} pixels a side, or a unet."
        )
    return F.pad(x, (left, right, top, bottom), mode=mode)


def initialise_he(module: nn.Module) -> None:
    """He initialisation of every convolution (normal, fan-in, gain of leaky ReLU), zero biases; in place."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="leaky_relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
