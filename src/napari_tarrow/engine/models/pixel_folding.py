"""A network's head, and its projection where it is to be part of it, as affine layers that act on single pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from .equivariant import DifferenceBlock, EquivariantBlock
from .pixel_head import Affine, PixelHead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .network import TimeArrowNet


@torch.no_grad()
def pixel_head(model: TimeArrowNet, of_maps: bool = False) -> PixelHead:
    """Fold the classification head of a network in eval mode; `of_maps`: as a function of the backbone's maps.

    Raises
    ------
    ValueError
        If the head, or with `of_maps` the projection, looks beyond single pixels.
    """
    head = model.classification_head
    if not (acts_on_pixels(model) if of_maps else head.per_pixel):
        raise ValueError("Head or projection does not act at every pixel by itself.")
    layers: list[Affine] = []
    follows = False  # whether nothing lies between a layer and the one before it
    for layer in _flat([head.layers, head.head]):
        if isinstance(layer, nn.LeakyReLU):
            follows = False
            continue
        affine, active = _affine(layer, model.n_frames, model.n_features)
        layers.append(layers.pop().then(affine, model.n_frames) if follows else affine)
        follows = not active
    first, projection = layers[0], _projection(model) if of_maps else None
    if projection:
        of_frames = projection if head.symmetric else _of_joined(projection, model.n_frames)
        layers[0] = of_frames.then(first, model.n_frames)
    like = next(head.parameters())

    def ready(layer: Affine) -> Affine:
        return Affine(*(part.to(like.dtype).to(like.device).contiguous() for part in layer))

    return PixelHead(
        model.n_frames,
        tuple(map(ready, layers)),
        ready(first),
        ready(projection) if projection else None,
        joined=not head.symmetric,
    )


def acts_on_pixels(model: TimeArrowNet) -> bool:
    """Return whether projection and classification head act at every pixel by itself."""
    layers = _flat([model.projection_head.layers])
    projects = all(isinstance(one, nn.BatchNorm2d) or getattr(one, "kernel_size", None) == (1, 1) for one in layers)
    return projects and model.classification_head.per_pixel


def _projection(model: TimeArrowNet) -> Affine:
    """Return what makes projections of one frame's maps, pixel by pixel."""
    each = torch.eye(model.backbone.features, dtype=torch.float64)
    whole = _of_one_frame(each, each.new_zeros(len(each)))
    for layer in _flat([model.projection_head.layers]):
        if isinstance(layer, nn.BatchNorm2d):
            scale, bias = _scale_and_shift(layer)
            own = torch.diag(scale)
        else:
            own, bias = _weight_and_bias(layer)
        whole = whole.then(_of_one_frame(own, bias), model.n_frames)
    return whole


def _of_joined(projection: Affine, n_frames: int) -> Affine:
    """Return it for the features of all frames in one vector."""
    return _of_one_frame(torch.block_diag(*[projection.own] * n_frames), projection.bias.repeat(n_frames))


def _flat(layers: list[nn.Module]) -> Iterator[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from _flat(list(layer))
        elif not isinstance(layer, nn.Identity):
            yield layer


def _affine(layer: nn.Module, n_frames: int, n_features: int) -> tuple[Affine, bool]:
    """Return a layer in float64 on the CPU, and whether a leaky ReLU follows."""
    if isinstance(layer, EquivariantBlock):
        return _equivariant(layer.layer, n_frames), layer.layer.active
    if isinstance(layer, DifferenceBlock):
        each = torch.eye(n_features, dtype=torch.float64)
        return Affine.of(2 * each, -each, each.new_zeros(n_features)), False
    return _of_one_frame(*_weight_and_bias(layer)), False


def _equivariant(layer: Any, n_frames: int) -> Affine:
    own, common = _exact(layer.L.weight).T, _exact(layer.G.weight).T / n_frames
    bias = _exact(layer.L.bias) + _exact(layer.G.bias)
    if layer.active:
        scale, shift = _scale_and_shift(layer.norm)
        own, common, bias = own * scale, common * scale, bias * scale + shift
    return Affine.of(own, common, bias)


def _of_one_frame(own: torch.Tensor, bias: torch.Tensor) -> Affine:
    return Affine.of(own, torch.zeros_like(own), bias)


def _weight_and_bias(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (in, out) and (out,) of a 1 x 1 convolution or a linear layer."""
    own = _exact(layer.weight).flatten(1).T
    return own, own.new_zeros(own.shape[1]) if layer.bias is None else _exact(layer.bias)


def _scale_and_shift(norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
    scale = _exact(norm.weight) / (_exact(norm.running_var) + norm.eps).sqrt()
    return scale, _exact(norm.bias) - _exact(norm.running_mean) * scale


def _exact(values: Any) -> torch.Tensor:
    exact: torch.Tensor = values.detach().cpu().double()
    return exact
