"""Projection heads: from a backbone's maps to the dense representation, each frame by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from ..errors import UserError
from .choices import chosen
from .spans import Span, needed

if TYPE_CHECKING:
    from collections.abc import Callable


class ProjectionHead(nn.Module):
    """A few layers `(N, in_features, h, w) -> (N, out_features, h, w)`.

    Raises
    ------
    UserError
        If there is no head called `mode`.
    """

    def __init__(self, in_features: int, out_features: int, mode: str) -> None:
        super().__init__()
        self.layers = chosen(_MAKERS, mode, "projection head")(in_features, out_features)
        self.out_features = in_features if mode == "id" else out_features

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the projections of a backbone's maps."""
        maps: torch.Tensor = self.layers(x)
        return maps

    def layer(self, x: torch.Tensor, n: int) -> torch.Tensor:
        """Return the output of the n-th last convolution, batch norm or identity, starting at 0.

        Raises
        ------
        UserError
            If there are not so many.
        """
        maps: torch.Tensor = self.until(n)(x)
        return maps

    def until(self, n: int) -> nn.Sequential:
        """Return the layers up to the n-th last convolution, batch norm or identity, starting at 0: all.

        Raises
        ------
        UserError
            If there are not so many.
        """
        layers = list(self.layers) if isinstance(self.layers, nn.Sequential) else [self.layers]
        countable = [i for i, layer in enumerate(layers) if isinstance(layer, nn.Conv2d | nn.BatchNorm2d | nn.Identity)]
        if not 0 <= n < len(countable):
            raise UserError(
                f"The projection head has {len(countable)} feature layers (0 is the last), not layer {n}. Give one of"
                f" 0 to {len(countable) - 1}."
            )
        return nn.Sequential(*layers[: countable[-1 - n] + 1])

    def needs(self, span: Span) -> Span:
        """Return the pixels of the backbone's maps on which the pixels `span` of the projections depend."""
        return needed([self.layers], span)


def _linear(in_features: int, out_features: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_features, out_features, 1))


def _minimal_batchnorm(in_features: int, out_features: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(in_features, out_features, 1), nn.BatchNorm2d(out_features))


def _three_3x3convs(in_features: int, out_features: int) -> nn.Module:
    layers: list[nn.Module] = []
    for channels in (in_features, out_features, out_features):
        layers += [nn.Conv2d(channels, out_features, 3, padding=1), nn.BatchNorm2d(out_features), nn.LeakyReLU()]
    return nn.Sequential(*layers[:-1])


_MAKERS: dict[str, Callable[[int, int], nn.Module]] = {
    "minimal_batchnorm": _minimal_batchnorm,
    "linear": _linear,
    "id": lambda in_features, out_features: nn.Identity(),
    "three_3x3convs": _three_3x3convs,
}

PROJECTION_HEADS = tuple(_MAKERS)
