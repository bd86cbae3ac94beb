"""Classification heads: from the projections of T frames to T logits, which say how the frames were ordered.

Whatever follows the mean over space is affine in every head, so a logit is the mean of a dense map: the *evidence*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import nn

from ..errors import UserError
from .backbones import UNet, resnet18_layers
from .choices import chosen
from .equivariant import DifferenceBlock, EquivariantBlock
from .layout import features_last

if TYPE_CHECKING:
    from collections.abc import Callable


class ClassificationHead(nn.Module):
    """A head `(B, T, in_features, h, w) -> (B, T)`.

    Parameters
    ----------
    in_features
        Maps per frame.
    n_frames
        T.
    out_features
        Hidden maps.
    mode
        One of `CLASSIFICATION_HEADS`.
    symmetric
        Equivariant: permuting the frames permutes the logits. Otherwise the frames are joined along channels.

    Raises
    ------
    UserError
        If there is no such head, or not for so many frames.
    """

    def __init__(self, in_features: int, n_frames: int, out_features: int, mode: str, symmetric: bool) -> None:
        super().__init__()
        self.symmetric = symmetric
        self.per_pixel = symmetric or mode == "minimal"
        if symmetric:
            if mode == "difference" and n_frames != 2:
                raise UserError(f"The classification head 'difference' takes 2 frames, not {n_frames}. Use 'minimal'.")
            make = chosen(_SYMMETRIC, mode, "permutation-equivariant classification head")
            self.layers, self.head = make(in_features, out_features)
        else:
            plain = chosen(_PLAIN, mode, "classification head without permutation equivariance")
            self.layers, self.head = plain(n_frames * in_features, out_features, n_frames)

    def forward(self, projections: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T) of `projections`, (B, T, F, h, w)."""
        return self.pooled(self._maps(projections))

    def pooled(self, maps: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T) of what `layers` make; from the pooling on at least in float32."""
        exact = torch.promote_types(maps.dtype, torch.float32)
        if features_last(maps):  # so that the gradient is laid out as the maps are; divided where it is small
            pixels = maps.movedim(-3, -1).flatten(-3, -2)
            pooled = (pixels.sum(-2, dtype=exact) / pixels.shape[-2])[..., None, None]
        else:
            pooled = maps.mean((-2, -1), keepdim=True, dtype=exact)
        return self.of_pooled(pooled)

    def of_pooled(self, pooled: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, T) of the mean over space of what `layers` make."""
        return self._after_pooling(pooled).flatten(1)

    def evidence(self, projections: torch.Tensor) -> torch.Tensor:
        """Return (B, T, h, w), whose mean over space is the logits; `resnet18`: at 1/32 of the resolution."""
        maps = self._maps(projections)
        return self._after_pooling(maps.to(torch.promote_types(maps.dtype, torch.float32)))

    def _maps(self, projections: torch.Tensor) -> torch.Tensor:
        maps: torch.Tensor = self.layers(projections if self.symmetric else projections.flatten(1, 2))
        return maps

    def _after_pooling(self, maps: torch.Tensor) -> torch.Tensor:
        """Apply the affine end of the head at every pixel: (B, T, h, w)."""
        with torch.autocast(maps.device.type, enabled=False):
            for layer in self.head:
                if isinstance(layer, EquivariantBlock):
                    maps = layer(maps)
                elif isinstance(layer, nn.Linear):
                    maps = F.conv2d(maps, layer.weight[:, :, None, None])
        return maps.squeeze(2) if maps.ndim == 5 else maps


Parts = tuple[nn.Module, nn.Sequential]


def _minimal_symmetric(in_features: int, out_features: int) -> Parts:
    first = EquivariantBlock(in_features, out_features, active=True)
    second = EquivariantBlock(out_features, out_features, active=True)
    return nn.Sequential(first, second), _end(EquivariantBlock(out_features, 1, active=False))


def _linear_symmetric(in_features: int, out_features: int) -> Parts:
    block = EquivariantBlock(in_features, out_features, active=False)
    return nn.Sequential(block), _end(EquivariantBlock(out_features, 1, active=False))


def _difference(in_features: int, out_features: int) -> Parts:
    return nn.Sequential(DifferenceBlock(), EquivariantBlock(in_features, 1, active=False)), _end()


def _minimal(in_features: int, out_features: int, classes: int) -> Parts:
    layers = nn.Sequential(
        nn.Conv2d(in_features, out_features, 1), nn.LeakyReLU(), nn.Conv2d(out_features, out_features, 1)
    )
    return layers, nn.Sequential(nn.Identity(), nn.Identity(), nn.Linear(out_features, classes, bias=False))


def _unet(in_features: int, out_features: int, classes: int) -> Parts:
    unet = UNet(in_features, maps=32, out_channels=out_features)
    return nn.Sequential(unet, nn.Conv2d(out_features, classes, 1, bias=False)), _end()


def _resnet18(in_features: int, out_features: int, classes: int) -> Parts:
    return nn.Sequential(*resnet18_layers(in_features), nn.Conv2d(512, classes, 1, bias=False)), _end()


def _end(*layers: nn.Module) -> nn.Sequential:
    """Return what follows the pooling, numbered as in upstream's files, where the pooling is layer 0."""
    return nn.Sequential(nn.Identity(), *layers)


_SYMMETRIC: dict[str, Callable[[int, int], Parts]] = {
    "minimal": _minimal_symmetric,
    "linear": _linear_symmetric,
    "difference": _difference,
}
_PLAIN: dict[str, Callable[[int, int, int], Parts]] = {"minimal": _minimal, "unet": _unet, "resnet18": _resnet18}

CLASSIFICATION_HEADS = tuple(dict.fromkeys([*_SYMMETRIC, *_PLAIN]))
