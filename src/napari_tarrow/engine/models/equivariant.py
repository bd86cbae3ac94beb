"""Layers that commute with every permutation of the frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class EquivariantBlock(nn.Module):
    """One equivariant layer, `y_t = L x_t + mean_t(G x_t)` at every pixel, then batch norm and leaky ReLU.

    Zaheer et al., Deep Sets, 2017 (supplement, eq. 23). The norm's statistics run over pixels, frames and samples.

    Parameters
    ----------
    in_features, out_features
        Maps per frame.
    active
        Whether batch norm and leaky ReLU follow.
    """

    def __init__(self, in_features: int, out_features: int, active: bool) -> None:
        super().__init__()
        self.layers = nn.Sequential(_Layer(in_features, out_features, active))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, T, out_features, h, w) for `x`, (B, T, in_features, h, w)."""
        y: torch.Tensor = self.layers(x)
        return y


class DifferenceBlock(nn.Module):
    """The two differences of two frames, `[x1 - x2, x2 - x1]`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, 2, F, h, w) for `x` of the same shape."""
        return x - x.flip(1)


class _Layer(nn.Module):
    def __init__(self, in_features: int, out_features: int, active: bool) -> None:
        super().__init__()
        self.L = nn.Linear(in_features, out_features)
        self.G = nn.Linear(in_features, out_features)
        self.norm = nn.BatchNorm2d(out_features) if active else nn.Identity()
        self.active = active

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer as matrix products over (pixels, features), without a copy where `x` is channels_last.

        The mean comes first, since mean and G commute and the product is then needed only once per pixel.
        """
        frames = x.shape[1]
        pixels = x.movedim(2, -1)
        own = F.linear(pixels, self.L.weight, self.L.bias)
        common = F.linear(pixels.sum(1), self.G.weight / frames, self.G.bias)
        y = (own + common.unsqueeze(1)).movedim(-1, 2)
        if self.active:
            active = F.leaky_relu(self.norm(y.flatten(0, 1)), inplace=True)
            y = active.view(y.shape)
        return y
