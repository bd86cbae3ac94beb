"""Heads that act at every pixel by itself, as what they are there: a few affine layers with leaky ReLU between them.

Block by block, as in training, such a head passes over all pixels a dozen times, and in eval mode takes longer than the
backbone. Folded, with the batch norms in the weights, and a few thousand pixels at a time, which stay in the cache, it
is ten times as fast, and its gradient is a product of the same matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import nn

from .equivariant import DifferenceBlock, EquivariantBlock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .network import TimeArrowNet

_SLOPE = 0.01  # of the leaky ReLU
_CHUNK = {"cpu": 2**11}  # pixels at a time: what fits into a core's cache
_CHUNK_ELSEWHERE = 2**18


@dataclass(frozen=True)
class PixelHead:
    """`e(A) = W_n r(... r(W_1 A + b_1) ...) + b_n` at every pixel, with the features of all T frames joined in `A`.

    Attributes
    ----------
    n_frames : int
        T.
    weights : tuple of (in, out) float32
        The first takes T * F features, the last gives T logits, whose mean over space is the network's.
    biases : tuple of (out,) float32
    """

    n_frames: int
    weights: tuple[torch.Tensor, ...]
    biases: tuple[torch.Tensor, ...]

    def values(self, blocks: Sequence[torch.Tensor], mix: torch.Tensor) -> torch.Tensor:
        """Return `sum_k mix_k e_k` at every pixel, (h, w), for the projections (F, h, w) of T frames; `mix` is (T,)."""
        end, offset = self.weights[-1] @ mix, self.biases[-1] @ mix
        parts = []
        for pixels in self._chunks(blocks):
            hidden = [*self._forward(pixels)]
            last = F.leaky_relu_(hidden[-1], _SLOPE) if hidden else torch.cat(pixels, 1)
            parts.append(torch.addmv(offset, last, end))
        return torch.cat(parts).view(blocks[0].shape[1:])

    def summed_gradient(self, blocks: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return `sum_p d e_k(p) / d A_tf(p)` over the pixels p of the blocks, (T, F), for the class k."""
        if len(self.weights) == 1:
            return blocks[0][0].numel() * self.weights[0][:, class_id].view(self.n_frames, -1)
        sums = [self._backward([*self._forward(pixels)], class_id).sum(0) for pixels in self._chunks(blocks)]
        return (self.weights[0] @ torch.stack(sums).sum(0)).view(self.n_frames, -1)

    def contribution(self, blocks: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return `sum_tf A_tf d e_k / d A_tf` at every pixel, (h, w).

        The gradient at the first layer's output times that output, without its bias, is the same sum.
        """
        if len(self.weights) == 1:
            mix = torch.eye(self.n_frames).to(self.biases[0])[class_id]
            return self.values(blocks, mix) - self.biases[0][class_id]
        parts = []
        for pixels in self._chunks(blocks):
            hidden = [*self._forward(pixels)]
            parts.append((self._backward(hidden, class_id) * (hidden[0] - self.biases[0])).sum(1))
        return torch.cat(parts).view(blocks[0].shape[1:])

    def _chunks(self, blocks: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
        """Yield the features (pixels, F) of every frame, some pixels at a time, without a copy where possible."""
        size = _CHUNK.get(blocks[0].device.type, _CHUNK_ELSEWHERE)
        features = len(blocks[0])
        if blocks[0].stride(0) == 1:
            flat = [block.permute(1, 2, 0).reshape(-1, features) for block in blocks]
        else:
            flat = [block.reshape(features, -1).T for block in blocks]
        for start in range(0, len(flat[0]), size):
            yield [pixels[start : start + size] for pixels in flat]

    def _forward(self, pixels: Sequence[torch.Tensor]) -> Iterator[torch.Tensor]:
        """Yield what goes into each leaky ReLU, (pixels, hidden)."""
        if len(self.weights) == 1:
            return
        own = self.weights[0].view(self.n_frames, -1, self.weights[0].shape[1])
        hidden = self.biases[0].expand(len(pixels[0]), -1)
        for frame, weight in zip(pixels, own, strict=True):
            hidden = torch.addmm(hidden, frame, weight)
        yield hidden
        for weight, bias in zip(self.weights[1:-1], self.biases[1:-1], strict=True):
            hidden = torch.addmm(bias, F.leaky_relu(hidden, _SLOPE), weight)
            yield hidden

    def _backward(self, hidden: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return the gradient of a logit with respect to the first layer's output."""
        gradient = self.weights[-1][:, class_id].expand_as(hidden[-1])
        for before, weight in zip(hidden[:0:-1], self.weights[-2:0:-1], strict=True):
            gradient = (gradient * _slopes(before)) @ weight.T
        return gradient * _slopes(hidden[0])


@torch.no_grad()
def pixel_head(model: TimeArrowNet) -> PixelHead:
    """Fold the classification head of a network in eval mode.

    Raises
    ------
    ValueError
        If the head looks beyond single pixels (``not model.classification_head.per_pixel``).
    """
    head = model.classification_head
    if not head.per_pixel:
        raise ValueError("This classification head does not act at every pixel by itself.")
    weights: list[torch.Tensor] = []
    biases: list[torch.Tensor] = []
    joined = False  # whether nothing lies between the layer and the one before it
    for layer in _flat([head.layers, head.head]):
        if isinstance(layer, nn.LeakyReLU):
            joined = False
            continue
        weight, bias, active = _affine(layer, model.n_frames, model.n_features)
        if joined:
            weight, bias = weight @ weights.pop(), weight @ biases.pop() + bias
        weights.append(weight)
        biases.append(bias)
        joined = not active
    like = next(head.parameters())
    return PixelHead(
        model.n_frames,
        tuple(weight.T.contiguous().to(like.dtype).to(like.device) for weight in weights),
        tuple(bias.to(like.dtype).to(like.device) for bias in biases),
    )


def _flat(layers: list[nn.Module]) -> Iterator[nn.Module]:
    for layer in layers:
        if isinstance(layer, nn.Sequential):
            yield from _flat(list(layer))
        elif not isinstance(layer, nn.Identity):
            yield layer


def _affine(layer: nn.Module, n_frames: int, n_features: int) -> tuple[torch.Tensor, torch.Tensor, bool]:
    """Return weight (out, in), bias, and whether a leaky ReLU follows, of a layer on joined frames; float64, CPU."""
    if isinstance(layer, EquivariantBlock):
        return _equivariant(layer.layers[0], n_frames)
    if isinstance(layer, DifferenceBlock):
        signs = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64)
        return torch.kron(signs, torch.eye(n_features).double()), signs.new_zeros(2 * n_features), False
    weight = _exact(layer.weight).flatten(1)  # a 1 x 1 convolution or a linear layer
    bias = weight.new_zeros(len(weight)) if layer.bias is None else _exact(layer.bias)
    return weight, bias, False


def _equivariant(layer: Any, n_frames: int) -> tuple[torch.Tensor, torch.Tensor, bool]:
    each = torch.eye(n_frames, dtype=torch.float64)
    weight = torch.kron(each, _exact(layer.L.weight))
    weight += torch.kron(torch.full_like(each, 1 / n_frames), _exact(layer.G.weight))
    bias = _exact(layer.L.bias) + _exact(layer.G.bias)
    if layer.active:
        norm = layer.norm
        scale = _exact(norm.weight) / (_exact(norm.running_var) + norm.eps).sqrt()
        bias = (bias - _exact(norm.running_mean)) * scale + _exact(norm.bias)
        weight = weight * scale.repeat(n_frames)[:, None]
    return weight, bias.repeat(n_frames), layer.active


def _exact(values: Any) -> torch.Tensor:
    exact: torch.Tensor = values.detach().cpu().double()
    return exact


def _slopes(values: torch.Tensor) -> torch.Tensor:
    return torch.where(values > 0, 1.0, _SLOPE)
