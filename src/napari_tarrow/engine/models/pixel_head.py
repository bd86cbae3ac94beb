"""Heads that act at every pixel by itself, as what they are there: a few affine layers with leaky ReLU between them.

Block by block, as in training, such a head passes over all pixels a dozen times, and in eval mode takes longer than the
backbone. Folded, with the batch norms in the weights, and a few thousand pixels at a time, which stay in the cache, it
is ten times as fast, and its gradient is made of products with the same matrices.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from .equivariant import SLOPE
from .layout import pixel_rows, weighted_sum
from .products import pixelwise

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_CHUNK = 2**13  # pixels at a time of a thread: what fits into a core's cache
_CHUNK_ELSEWHERE = 2**18


class Affine(NamedTuple):
    """`y_t = x_t own + (sum_s x_s) common + bias` for the features x_t, (pixels, in), of every frame.

    Of two frames, sum and difference are multiplied, two products in place of three. And equal frames stay equal to the
    last digit, so that where nothing changes there is no evidence at all.
    """

    own: torch.Tensor
    common: torch.Tensor
    bias: torch.Tensor
    half: torch.Tensor  # of own
    even: torch.Tensor  # half + common

    @classmethod
    def of(cls, own: torch.Tensor, common: torch.Tensor, bias: torch.Tensor) -> Affine:
        """Make one from weights (in, out) and bias (out,)."""
        return cls(own, common, bias, own / 2, own / 2 + common)

    def __call__(self, frames: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Apply it."""
        if len(frames) == 1:
            return [pixelwise(frames[0], self.own.T, self.bias)]
        if len(frames) == 2:
            return self._of_two(frames[0] + frames[1], frames[0] - frames[1])
        shared = pixelwise(_total(frames), self.common.T, self.bias)
        return [pixelwise(frame, self.own.T).add_(shared) for frame in frames]

    def transposed(self, gradients: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the gradients of the inputs for those of the outputs, which are overwritten."""
        turned = Affine(self.own.T, self.common.T, self.own.new_zeros(len(self.own)), self.half.T, self.even.T)
        return turned._of_two(*_sum_and_difference(*gradients)) if len(gradients) == 2 else turned(gradients)

    def _of_two(self, total: torch.Tensor, difference: torch.Tensor) -> list[torch.Tensor]:
        """Apply it to two frames of which sum and difference are given."""
        even, odd = pixelwise(total, self.even.T, self.bias), pixelwise(difference, self.half.T)
        return [*_sum_and_difference(even, odd)]

    def then(self, after: Affine, n_frames: int) -> Affine:
        """Return both, one after the other, as one."""
        common = self.common @ after.own + (self.own + n_frames * self.common) @ after.common
        bias = self.bias @ after.own + n_frames * self.bias @ after.common + after.bias
        return Affine.of(self.own @ after.own, common, bias)


@dataclass(frozen=True)
class PixelHead:
    """A folded head; its evidence `e_k`, one value per class and pixel, has the network's logits as mean over space.

    It is a function of the projections `A_t`, or of the backbone's maps, whose projection is then part of it.

    Attributes
    ----------
    n_frames : int
        T.
    layers : tuple of Affine
        With leaky ReLU between them.
    first : Affine
        The first layer as it acts on projections.
    projection : Affine, optional
        What makes one frame's projections of its maps, if they are part of the head.
    joined : bool
        Whether the frames' features are joined into one vector, of which the last layer makes T values; otherwise, in
        equivariant heads, it makes one value of each frame.
    """

    n_frames: int
    layers: tuple[Affine, ...]
    first: Affine
    projection: Affine | None
    joined: bool

    @torch.no_grad()
    def values(self, blocks: Sequence[torch.Tensor], mix: torch.Tensor) -> torch.Tensor:
        """Return `sum_k mix_k e_k` at every pixel, (h, w), for the blocks (F, h, w) of T frames; `mix` is (T,)."""
        ends, offset = self._ends(self.layers[-1], mix)
        parts = []
        for pixels in self._chunks(blocks):
            for hidden in self._forward(pixels):
                pixels = hidden
            parts.append(_total([one @ end for one, end in zip(pixels, ends, strict=True)]) + offset)
        return torch.cat(parts).view(blocks[0].shape[1:])

    @torch.no_grad()
    def summed_gradient(self, blocks: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return `sum_p d e_k(p) / d A_tf(p)` over the pixels p of the blocks, (T, F), for the class k."""
        if len(self.layers) == 1:
            ends, _ = self._ends(self.first, self._one(class_id))
            return blocks[0][0].numel() * torch.stack(ends).view(self.n_frames, -1)
        ends, _ = self._ends(self.layers[-1], self._one(class_id))
        sums = []
        for pixels in self._chunks(blocks):
            hidden = [*self._forward(pixels, signs=True)]
            gradients = _through_in_place(self._backward(hidden, ends), hidden[0])
            sums.append(torch.stack([gradient.sum(0) for gradient in gradients]))
        total = torch.stack(sums).sum(0)
        return torch.cat(self.first.transposed([*total[:, None]])).view(self.n_frames, -1)

    @torch.no_grad()
    def weighted(self, block: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
        """Return `sum_f weights_f A_f` at every pixel, (h, w), of one frame's block; `weights` is (F,)."""
        if self.projection is None:
            return weighted_sum(block, weights)
        return weighted_sum(block, self.projection.own @ weights).add_(self.projection.bias @ weights)

    @torch.no_grad()
    def contribution(self, blocks: Sequence[torch.Tensor], class_id: int) -> torch.Tensor:
        """Return `sum_tf A_tf d e_k / d A_tf` at every pixel, (h, w).

        The gradient at the first layer's output times that output, without its bias, is the same sum; and a leaky
        ReLU's input times the gradient there is its output times the gradient there.
        """
        if len(self.layers) == 1:
            _, offset = self._ends(self.first, self._one(class_id))
            return self.values(blocks, self._one(class_id)) - offset
        ends, _ = self._ends(self.layers[-1], self._one(class_id))
        parts = []
        for pixels in self._chunks(blocks):
            hidden = [*self._forward(pixels)]
            gradients = self._backward(hidden, ends)
            whole = _total([(g * y).sum(1) for g, y in zip(gradients, hidden[0], strict=True)])
            parts.append(whole - _total(_through_in_place(gradients, hidden[0])) @ self.first.bias)
        return torch.cat(parts).view(blocks[0].shape[1:])

    def _chunks(self, blocks: Sequence[torch.Tensor]) -> Iterator[list[torch.Tensor]]:
        """Yield the features (pixels, F) of every frame, some pixels at a time, without a copy where possible."""
        count = _CHUNK * torch.get_num_threads() if blocks[0].device.type == "cpu" else _CHUNK_ELSEWHERE
        frames = [pixel_rows(block).split(count) for block in blocks]
        for pixels in zip(*frames, strict=True):
            yield [torch.cat(pixels, 1)] if self.joined else list(pixels)

    def _forward(self, pixels: list[torch.Tensor], signs: bool = False) -> Iterator[list[torch.Tensor]]:
        """Yield what each leaky ReLU makes, (pixels, hidden) of every frame; `signs`: of the last, what goes in."""
        for number, layer in enumerate(self.layers[:-1], 2):
            pixels = layer(pixels)
            if not signs or number < len(self.layers):
                pixels = [F.leaky_relu_(one, SLOPE) for one in pixels]
            yield pixels

    def _backward(self, hidden: list[list[torch.Tensor]], ends: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        """Return the gradients at the first leaky ReLU's output, of what the `ends` make of the last one's."""
        gradients = [end.expand_as(one) for end, one in zip(ends, hidden[-1], strict=True)]
        for layer, after in zip(self.layers[-2:0:-1], hidden[:0:-1], strict=True):
            gradients = layer.transposed(_through_in_place(gradients, after))
        return gradients

    def _ends(self, last: Affine, mix: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
        """Return the last layer as one vector per frame, and an offset, that make `sum_k mix_k e_k`."""
        mix = mix.to(last.own)
        if self.joined:
            return [last.own @ mix], last.bias @ mix
        common = last.common[:, 0] * mix.sum()
        return [last.own[:, 0] * weight + common for weight in mix], last.bias[0] * mix.sum()

    def _one(self, class_id: int) -> torch.Tensor:
        return torch.eye(self.n_frames, dtype=torch.float32)[class_id]


def _sum_and_difference(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `a + b` and `a - b` in their place: memory that is written anew would have to be fetched first."""
    total = a.add_(b)
    return total, torch.sub(total, b, alpha=2, out=b)


def _total(frames: Sequence[torch.Tensor]) -> torch.Tensor:
    total = frames[0]
    for frame in frames[1:]:
        total = total + frame
    return total


def _through_in_place(gradients: Sequence[torch.Tensor], outputs: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Take gradients back through the leaky ReLU that gave these outputs, whose place they take.

    The outputs have the signs of its inputs.
    """
    return [
        torch.ops.aten.leaky_relu_backward.grad_input(gradient, output, SLOPE, True, grad_input=output)
        for gradient, output in zip(gradients, outputs, strict=True)
    ]
