"""Which memory format maps are in, and their pixels as rows in either."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def features_last(maps: torch.Tensor) -> bool:
    """Return whether the features (the third-last axis) lie next to each other, and pixels after them: channels_last.

    Sums are then taken in another order than in the plain format, which agrees with the reference to the last digit.
    """
    return maps.stride(-3) == 1 and maps.stride(-1) == maps.shape[-3] > 1


def pixel_rows(block: torch.Tensor) -> torch.Tensor:
    """Return the features of every pixel, (h w, F), of a block (F, h, w), without a copy where possible."""
    if block.stride(0) == 1:
        return block.permute(1, 2, 0).reshape(-1, len(block))
    return block.reshape(len(block), -1).T


def weighted_sum(block: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return `sum_f weights_f block_f`, (h, w)."""
    return (pixel_rows(block) @ weights).view(block.shape[1:])
