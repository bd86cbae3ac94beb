"""Which input pixels an output pixel depends on, along one axis, layer by layer.

A span is an inclusive range of pixel indices. Every backbone says which span of its input a span of its output needs;
tiles, halos and the receptive field all follow from that, so no size is written down twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Iterable


class Span(NamedTuple):
    """Pixels `first` to `last`, both included, along one axis."""

    first: int
    last: int

    def through_window(self, size: int, stride: int = 1, padding: int = 0) -> Span:
        """Return what a convolution or pooling of this geometry reads to make the span."""
        return Span(self.first * stride - padding, self.last * stride - padding + size - 1)

    def through_upsampling(self, factor: int) -> Span:
        """Return what nearest upsampling reads to make the span."""
        return Span(self.first // factor, self.last // factor)

    def union(self, other: Span) -> Span:
        """Return the smallest span that holds both."""
        return Span(min(self.first, other.first), max(self.last, other.last))


def needed(layers: Iterable[nn.Module], span: Span) -> Span:
    """Return what a chain of layers reads to make `span`; layers without a window act on every pixel by itself."""
    for layer in reversed(list(layers)):
        if isinstance(layer, nn.Conv2d):
            span = span.through_window(layer.kernel_size[0], layer.stride[0], int(layer.padding[0]))
        elif isinstance(layer, nn.MaxPool2d):
            size, stride, padding = (_first(value) for value in (layer.kernel_size, layer.stride, layer.padding))
            span = span.through_window(size, stride, padding)
        elif isinstance(layer, nn.Sequential):
            span = needed(layer, span)
    return span


def _first(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]
