"""How much a place changes from one frame to another, whatever the noise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.nn import functional

if TYPE_CHECKING:
    import torch

_PARTS = 8  # of a patch's side; what is averaged over one is smaller than a cell and larger than its noise


def squared_change(first: torch.Tensor, second: torch.Tensor, size: int) -> torch.Tensor:
    """Return the squared difference of two frames, each averaged over an eighth of a patch along y and x.

    Averaged, because white noise would be most of the difference in a dim movie: its share falls with the area, that of
    what happens to a cell stays.

    Parameters
    ----------
    first, second : (..., C, H, W) float tensors
        One frame, or a batch of them.
    size : int
        Side of a patch in pixels, at most H and W.

    Returns
    -------
    (..., H - k + 1, W - k + 1) tensor
        Mean over channels; k is an eighth of `size`, at least 1.
    """
    side = max(1, size // _PARTS)
    columns = functional.avg_pool2d(second - first, (side, 1), stride=1)
    return functional.avg_pool2d(columns, (1, side), stride=1).square().mean(-3)
