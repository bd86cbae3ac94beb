"""The heads of two frames in one: from the backbone's maps to logits and decorrelation without making projections.

What a head costs in training is passes over the memory. A batch norm behind an affine map of pixels needs only the sums
of the pixels' features and of their products, `s = sum x` and `S = sum x x^T`: the map `W x + b` has the mean
`W s / n + b` and the variances `diag(W (S / n - s s^T / n^2) W^T)`. So projection, its batch norm, the first
equivariant layer and its batch norm are one affine map of the backbone's features, and the products of projections
that the decorrelation loss compares are `W S W^T` and what the bias adds. The small matrices are computed in double
precision where the device has it, since differences of large sums are taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.autograd.function import once_differentiable

from ..devices import widest_float
from .equivariant import SLOPE, EquivariantBlock, EquivariantLayer
from .fused import ROOM, available
from .layout import features_last
from .losses import decorrelation_of_products
from .products import bias_gradient, pixelwise, weight_gradient

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .classification import ClassificationHead
    from .network import TimeArrowNet

Pairs = tuple[tuple[int, int], ...]
_ALL_PAIRS: dict[int, Pairs] = {2: ((0, 1),), 3: ((0, 1), (1, 2), (0, 2))}  # that there are kernels for
_FUSED_TYPES = (torch.bfloat16,)  # matrix products of others are rounded in the kernels


@dataclass(frozen=True)
class FoldedHeads:
    """Two heads of a network of two frames, called in one.

    Attributes
    ----------
    convolution, norm
        The projection head.
    first, rest
        The classification head's first layer, and those after it.
    classification : ClassificationHead
        Which all of them belong to.
    """

    convolution: nn.Conv2d
    norm: nn.BatchNorm2d | None
    first: EquivariantLayer
    rest: nn.Sequential
    classification: ClassificationHead

    @classmethod
    def of(cls, model: TimeArrowNet, maps: torch.Tensor) -> FoldedHeads | None:
        """Return the heads of a network, or None if they, or the layout of the backbone's maps, are not known here."""
        match list(model.projection_head.layers.children()):
            case [nn.Conv2d(kernel_size=(1, 1)) as convolution]:
                norm = None
            case [nn.Conv2d(kernel_size=(1, 1)) as convolution, nn.BatchNorm2d() as norm]:
                pass
            case _:
                return None
        head = model.classification_head
        layers = list(head.layers.children())
        if not layers or not isinstance(layers[0], EquivariantBlock) or not layers[0].layer.active:
            return None
        if model.n_frames != 2 or not features_last(maps):
            return None
        return cls(convolution, norm, layers[0].layer, nn.Sequential(*layers[1:]), head)

    def __call__(self, maps: torch.Tensor, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return what the heads say of all sequences of clips, and the decorrelation loss.

        In training the running statistics of the batch norms are updated.

        Parameters
        ----------
        maps : (B, K, C, h, w) float
            The backbone's maps of the K frames of B clips, features last in memory.
        sequences : P pairs of positions in the clip

        Returns
        -------
        logits : (B * P, 2)
        decorrelation : scalar tensor
            Of the projections, as `decorrelation_loss` has it.
        """
        pairs: Pairs = tuple((int(i), int(j)) for i, j in sequences)
        pixels = maps.movedim(2, -1)
        shape = pixels.shape
        fused = self._may_be_fused(shape, maps, pairs)
        with torch.autocast(maps.device.type, enabled=False):
            x, sums = _Sums.of(pixels.flatten(2, 3), pairs, fused)
            projection = _projected(self.convolution, self.norm, sums)
            first = _first_layer(self.first, projection, sums, pairs)
            products = projection.products(sums.own, sums.single, sums.pixels)
            decorrelation = decorrelation_of_products(products.to(torch.promote_types(maps.dtype, torch.float32)))
            if fused:
                return self._logits_fused(x, first), decorrelation
            hidden: torch.Tensor = _Mixed.apply(x, *first, pairs)  # type: ignore[no-untyped-call]
        rest = hidden.flatten(0, 1).unflatten(2, shape[2:4]).movedim(-1, 2)
        return self.classification.pooled(self.rest(rest)), decorrelation

    def _may_be_fused(self, shape: torch.Size, maps: torch.Tensor, pairs: Pairs) -> bool:
        """Return whether there are kernels for these heads: of two layers and few features, of all pairs of a clip."""
        match list(self.rest):
            case [EquivariantBlock(layer=EquivariantLayer(active=True, norm=nn.BatchNorm2d() as norm) as second)]:
                widest = max(shape[-1], *second.L.weight.shape)
                known = pairs == _ALL_PAIRS.get(shape[1]) and widest <= ROOM and maps.dtype in _FUSED_TYPES
                return known and available(maps.device, norm.training)
        return False

    def _logits_fused(self, x: torch.Tensor, first: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> torch.Tensor:
        """Return the logits of all pairs, (B * P, 2), of the maps (B, K, pixels, C), on a GPU."""
        from .fused.heads import pooled_features

        layer = self.rest[0].layer
        assert isinstance(layer, EquivariantLayer)
        assert isinstance(layer.norm, nn.BatchNorm2d)
        common = layer.G.weight / 2
        second = layer.L.weight + common, common, layer.L.bias + layer.G.bias
        pooled = pooled_features(x, first, second, layer.norm, SLOPE)
        return self.classification.of_pooled(pooled.flatten(0, 1)[..., None, None])


@dataclass(frozen=True)
class _Affine:
    """`weight x + bias`."""

    weight: torch.Tensor
    bias: torch.Tensor

    def products(self, own: torch.Tensor, single: torch.Tensor, pixels: int) -> torch.Tensor:
        """Return the sums over pixels of `y y^T`, (..., out, out), from those of `x x^T` and `x`."""
        mapped = single @ self.weight.T
        mixed = mapped[..., :, None] * self.bias
        constant = pixels * self.bias[:, None] * self.bias
        return self.weight @ own @ self.weight.T + mixed + mixed.transpose(-1, -2) + constant


@dataclass(frozen=True)
class _Sums:
    """Sums over the pixels of clips.

    Attributes
    ----------
    single : (B, K, C)
        Of the features of each frame.
    own : (B, K, C, C)
        Of the products of a frame's features.
    cross : (C, C)
        Of the products of the first and the second frame's features, over all pairs and clips.
    pixels : int
        Of a frame.
    """

    single: torch.Tensor
    own: torch.Tensor
    cross: torch.Tensor
    pixels: int

    @classmethod
    def of(cls, x: torch.Tensor, pairs: Pairs, fused: bool) -> tuple[torch.Tensor, _Sums]:
        """Return `x`, (B, K, pixels, C), for further use, and its sums."""
        if fused:
            from .fused.heads import moments

            x, *found = moments(x.contiguous())
        else:
            found = _Moments.apply(x, pairs)  # type: ignore[no-untyped-call]
        single, own, cross = (one.to(widest_float(x.device)) for one in found)
        return x, cls(single, own, cross.sum(0), x.shape[2])


class _Moments(torch.autograd.Function):
    """The sums of `_Sums`, those of products of two frames for each pair; in float32 at least."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, pairs: Pairs) -> tuple[torch.Tensor, ...]:
        ctx.save_for_backward(x)
        ctx.pairs = pairs
        exact = x.to(torch.promote_types(x.dtype, torch.float32))
        rows = exact.transpose(-1, -2)
        cross = torch.stack([(rows[:, i] @ exact[:, j]).sum(0) for i, j in pairs])
        return exact.sum(-2), rows @ exact, cross

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_single: torch.Tensor, to_own: torch.Tensor, to_cross: torch.Tensor) -> tuple[Any, ...]:
        (x,) = ctx.saved_tensors
        own, single = (to_own + to_own.transpose(-1, -2)).to(x.dtype), to_single[..., None, :].to(x.dtype)
        gradient = torch.empty_like(x)
        for frame in range(x.shape[1]):
            part = torch.baddbmm(single[:, frame], x[:, frame], own[:, frame])
            for (i, j), matrix in zip(ctx.pairs, to_cross.to(x.dtype), strict=True):
                if frame in (i, j):
                    other, turned = (j, matrix.T) if frame == i else (i, matrix)
                    part.baddbmm_(x[:, other], turned.expand(len(x), -1, -1))
            gradient[:, frame] = part
        return gradient, None


def _projected(convolution: nn.Conv2d, norm: nn.BatchNorm2d | None, sums: _Sums) -> _Affine:
    """Return the projection head as one affine map."""
    weight = convolution.weight.flatten(1).to(sums.own)
    bias = torch.zeros_like(weight[:, 0]) if convolution.bias is None else convolution.bias.to(sums.own)
    if norm is None:
        return _Affine(weight, bias)
    count = sums.pixels * sums.single.shape[0] * sums.single.shape[1]
    mean = sums.single.sum((0, 1)) / count
    covariance = sums.own.sum((0, 1)) / count - mean[:, None] * mean
    scale, shift = _scale_and_shift(norm, weight @ mean + bias, (weight @ covariance * weight).sum(1), count)
    return _Affine(scale[:, None] * weight, scale * bias + shift)


def _first_layer(
    layer: EquivariantLayer, projection: _Affine, sums: _Sums, pairs: Pairs
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return A, B and b of projection, layer and batch norm: `y_1 = A x_1 + B x_2 + b`, and `y_2` the other way."""
    assert isinstance(layer.norm, nn.BatchNorm2d)
    common = layer.G.weight.to(sums.own) / 2
    own = layer.L.weight.to(sums.own) + common
    bias = (own + common) @ projection.bias + (layer.L.bias + layer.G.bias).to(sums.own)
    own, common = own @ projection.weight, common @ projection.weight
    members = [frame for pair in pairs for frame in pair]
    count = sums.pixels * sums.single.shape[0] * len(members)
    mean = _total(sums.single, members) / count
    centre = mean[:, None] * mean
    alone = _total(sums.own, members) / count - centre
    together = (sums.cross + sums.cross.T) / count - centre
    variance = (own @ alone * own + common @ alone * common + 2 * own @ together * common).sum(1)
    scale, shift = _scale_and_shift(layer.norm, (own + common) @ mean + bias, variance, count)
    exact = layer.L.weight.dtype
    return (scale[:, None] * own).to(exact), (scale[:, None] * common).to(exact), (scale * bias + shift).to(exact)


def _total(sums: torch.Tensor, frames: list[int]) -> torch.Tensor:
    """Sum (B, K, ...) over clips and the given frames; a list as an index would wait for a GPU."""
    return torch.stack([sums[:, frame].sum(0) for frame in frames]).sum(0)


def _scale_and_shift(
    norm: nn.BatchNorm2d, mean: torch.Tensor, variance: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return batch norm as `scale y + shift`; in training by these statistics, which its running ones then follow."""
    seen, spread, momentum = norm.running_mean, norm.running_var, norm.momentum
    assert isinstance(seen, torch.Tensor)
    assert isinstance(spread, torch.Tensor)
    if not norm.training:
        mean, variance = seen.to(mean), spread.to(mean)
    elif norm.num_batches_tracked is not None and momentum is not None:
        norm.num_batches_tracked.add_(1)
        seen.lerp_(mean.detach().to(seen), momentum)
        spread.lerp_(variance.detach().to(spread) * count / max(1, count - 1), momentum)
    scale = norm.weight * (variance.clamp(min=0) + norm.eps).rsqrt()  # below zero by rounding only
    return scale, norm.bias - scale * mean


class _Mixed(torch.autograd.Function):
    """Leaky ReLU of `A x_i + B x_j + b` and `A x_j + B x_i + b` for each pair i, j: (B, P, 2, pixels, out)."""

    @staticmethod
    def forward(
        ctx: Any, x: torch.Tensor, first: torch.Tensor, second: torch.Tensor, bias: torch.Tensor, pairs: Pairs
    ) -> torch.Tensor:
        first, second = first.to(x.dtype), second.to(x.dtype)
        a, b = pixelwise(x, first, bias.to(x.dtype)), pixelwise(x, second)
        y = a.new_empty((len(a), len(pairs), 2, *a.shape[2:]))
        for number, (i, j) in enumerate(pairs):
            torch.add(a[:, i], b[:, j], out=y[:, number, 0])
            torch.add(a[:, j], b[:, i], out=y[:, number, 1])
        F.leaky_relu_(y, SLOPE)
        ctx.save_for_backward(x, first, second, y)
        ctx.pairs, ctx.dtype = pairs, bias.dtype
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[Any, ...]:
        x, first, second, y = ctx.saved_tensors
        gradient = torch.ops.aten.leaky_relu_backward(gradient, y, SLOPE, True)
        to_a, to_b = (x.new_empty((*x.shape[:3], y.shape[-1])) for _ in range(2))
        for frame in range(x.shape[1]):
            places = [(p, side) for p, pair in enumerate(ctx.pairs) for side in (0, 1) if pair[side] == frame]
            _sum([gradient[:, p, side] for p, side in places], out=to_a[:, frame])
            _sum([gradient[:, p, 1 - side] for p, side in places], out=to_b[:, frame])
        to_x = pixelwise(to_a, first.T).add_(pixelwise(to_b, second.T))
        to_first, to_second = (weight_gradient(part, x).to(ctx.dtype) for part in (to_a, to_b))
        return to_x, to_first, to_second, bias_gradient(to_a).to(ctx.dtype), None


def _sum(parts: Sequence[torch.Tensor], out: torch.Tensor) -> None:
    """Write the sum of the parts into `out`; zeros if there are none."""
    match parts:
        case []:
            out.zero_()
        case [one]:
            out.copy_(one)
        case [one, other, *rest]:
            torch.add(one, other, out=out)
            for more in rest:
                out += more
