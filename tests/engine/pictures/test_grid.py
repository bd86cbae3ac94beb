from __future__ import annotations

import numpy as np

from napari_tarrow.engine.pictures import patch_grid


def test_patches_lie_row_by_row():
    patches = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 2, 3), np.float32)

    grid = patch_grid(patches, columns=4)

    assert grid.shape == (6, 12)
    np.testing.assert_array_equal(grid[::2, ::3], [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, np.nan, np.nan]])
    np.testing.assert_array_equal(grid[2:4, 3:6], 5)


def test_pixels_of_a_patch_keep_their_place():
    patches = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

    np.testing.assert_array_equal(patch_grid(patches), np.concatenate(list(patches), axis=1))
