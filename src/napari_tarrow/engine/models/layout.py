"""Which memory format maps are in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def features_last(maps: torch.Tensor) -> bool:
    """Return whether the features (the third-last axis) lie next to each other, and pixels after them: channels_last.

    Sums are then taken in another order than in the plain format, which agrees with the reference to the last digit.
    """
    return maps.stride(-3) == 1 and maps.stride(-1) == maps.shape[-3] > 1
