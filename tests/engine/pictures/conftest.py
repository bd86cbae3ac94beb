from __future__ import annotations

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def open_png():
    """Read a PNG as (H, W, 3) integers."""

    def read(path):
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB")).astype(int)

    return read


@pytest.fixture
def blobs():
    """Make a map with a Gaussian of given height at each place."""

    def make(shape, *places, width=3.0):
        y, x = np.mgrid[: shape[0], : shape[1]]
        parts = [h * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * width**2)) for cy, cx, h in places]
        return np.sum(parts, axis=0).astype(np.float32)

    return make
