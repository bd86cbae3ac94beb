"""Layers that commute with every permutation of the frames."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from .layout import features_last
from .products import bias_gradient, pixelwise, weight_gradient

SLOPE = 0.01  # of every leaky ReLU: torch's default


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
        self.layers = nn.Sequential(EquivariantLayer(in_features, out_features, active))

    @property
    def layer(self) -> EquivariantLayer:
        """The one layer, which stands in a sequence for the sake of upstream's names."""
        layer = self.layers[0]
        assert isinstance(layer, EquivariantLayer)
        return layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, T, out_features, h, w) for `x`, (B, T, in_features, h, w)."""
        y: torch.Tensor = self.layers(x)
        return y


class DifferenceBlock(nn.Module):
    """The two differences of two frames, `[x1 - x2, x2 - x1]`."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return (B, 2, F, h, w) for `x` of the same shape."""
        return x - x.flip(1)


class EquivariantLayer(nn.Module):
    """The parameters and the work of an `EquivariantBlock`."""

    def __init__(self, in_features: int, out_features: int, active: bool) -> None:
        super().__init__()
        self.L = nn.Linear(in_features, out_features)
        self.G = nn.Linear(in_features, out_features)
        self.norm = nn.BatchNorm2d(out_features) if active else nn.Identity()
        self.active = active

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the layer; for two frames in channels_last with few passes over the memory, else as the formula has it.

        In the order of the formula sums agree with the reference to the last digit.
        """
        frames = x.shape[1]
        if frames == 2 and features_last(x):
            weights = self.L.weight, self.G.weight / frames, self.L.bias + self.G.bias
            y: torch.Tensor = _TwoFrames.apply(x.movedim(2, -1), *weights).movedim(-1, 2)  # type: ignore[no-untyped-call]
            return F.leaky_relu(self.norm(y.flatten(0, 1)), SLOPE, inplace=True).view(y.shape) if self.active else y
        pixels = x.permute(0, 3, 4, 1, 2)
        y = self.L(pixels) + self.G(pixels).mean(-2, keepdim=True)
        if self.active:
            flat = self.norm(y.flatten(0, -2)[..., None, None])
            y = F.leaky_relu(flat, SLOPE, inplace=True).view(y.shape)
        return y.permute(0, 3, 4, 1, 2)


class _TwoFrames(torch.autograd.Function):
    """`y_t = x_t own^T + (x_1 + x_2) common^T + bias`, by sum and difference of the frames.

    Two products instead of three, and half as many passes over the memory, which is what this layer costs: `x_1 + x_2`
    times `own / 2 + common`, plus or minus `x_1 - x_2` times `own / 2`.
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, own: torch.Tensor, common: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return (B, 2, ..., out) for `x`, (B, 2, ..., in), `own` and `common`, (out, in), and `bias`, (out,)."""
        if torch.is_autocast_enabled(x.device.type):
            x = x.to(torch.get_autocast_dtype(x.device.type))
        half = own / 2
        both = (half + common).to(x.dtype)
        half = half.to(x.dtype)
        first, second = x.unbind(1)
        even, odd = first + second, first - second
        ctx.save_for_backward(even, odd, half, both)
        ctx.dtype = own.dtype
        return _plus_and_minus(pixelwise(even, both, bias.to(x.dtype)), pixelwise(odd, half))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of x, own, common and bias."""
        even, odd, half, both = ctx.saved_tensors
        first, second = gradient.unbind(1)
        to_even, to_odd = first + second, first - second
        of_x = ctx.needs_input_grad[0]
        x = _plus_and_minus(pixelwise(to_even, both.T), pixelwise(to_odd, half.T)) if of_x else None
        common, own = (weight_gradient(*ends).to(ctx.dtype) for ends in ((to_even, even), (to_odd, odd)))
        return x, (own + common) / 2, common, bias_gradient(to_even).to(ctx.dtype)


def _plus_and_minus(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return `a + b` and `a - b`, stacked along a new second axis."""
    both = a.new_empty((a.shape[0], 2, *a.shape[1:]))
    torch.add(a, b, out=both[:, 0])
    torch.sub(a, b, out=both[:, 1])
    return both
