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
        """Apply the layer as 1 x 1 convolutions: matrix products over pixels in either memory format.

        The mean comes first, since mean and G commute and the product is then needed only once per pixel.
        """
        batch, frames = x.shape[:2]
        own = F.conv2d(x.flatten(0, 1), _kernel(self.L), self.L.bias)
        common = F.conv2d(x.mean(1), _kernel(self.G), self.G.bias)
        y = (own.unflatten(0, (batch, frames)) + common.unsqueeze(1)).flatten(0, 1)
        if self.active:
            y = F.leaky_relu(self.norm(y), inplace=True)
        return y.unflatten(0, (batch, frames))


def _kernel(linear: nn.Linear) -> torch.Tensor:
    return linear.weight[:, :, None, None]
