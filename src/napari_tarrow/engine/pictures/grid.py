"""Many small patches as one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def patch_grid(patches: NDArray[np.floating], columns: int = 8) -> NDArray[np.float32]:
    """Lay patches side by side, row by row.

    Parameters
    ----------
    patches : (N, H, W)
        At least one.

    Returns
    -------
    (rows * H, columns * W) float32
        Fewer columns where there are fewer patches; places left over are NaN.
    """
    n, height, width = patches.shape
    columns = min(columns, n)
    rows = -(-n // columns)
    cells = np.full((rows * columns, height, width), np.nan, np.float32)
    cells[:n] = patches
    return cells.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
