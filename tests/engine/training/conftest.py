from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_tarrow.engine.config import TrainConfig

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TINY: dict[str, Any] = {
    "backbone": "unet_16fmaps",
    "features": 4,
    "size": 16,
    "batchsize": 4,
    "train_samples_per_epoch": 12,
    "val_samples_per_epoch": 8,
    "epochs": 2,
    "precision": "32",
    "device": "cpu",
    "split_train": [0, 0.6],
    "split_val": [0.6, 1],
    "cam_subsampling": 1,
    "shortcuts": False,
    "tensorboard": False,
    "num_workers": 0,
    "seed": 7,
}


@pytest.fixture(autouse=True)
def quick_curve(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Write an empty picture in place of the curve, which takes longer to draw than these runs to train."""
    if "monitors" not in request.path.parts:
        name = "napari_tarrow.engine.training.monitors.picture.learning_curve"
        monkeypatch.setattr(name, lambda train, val, best, path, **rest: path.touch())


@pytest.fixture
def growing() -> np.ndarray:
    return growing_square()


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    """12 frames of 24 x 28 in which a bright square grows, with a little noise."""
    path = tmp_path / "growing.tif"
    tifffile.imwrite(path, growing_square(), metadata={"axes": "TYX"})
    return path


@pytest.fixture
def tiny(movie: Path, tmp_path: Path) -> Callable[..., TrainConfig]:
    """Make a configuration that trains in a second; options given win."""

    def make(**options: Any) -> TrainConfig:
        given = {"input_train": str(movie), "outdir": str(tmp_path / "runs"), **TINY, **options}
        return TrainConfig.from_values(given)

    return make


def growing_square() -> np.ndarray:
    rng = np.random.default_rng(0)
    frames = rng.integers(90, 110, (12, 24, 28)).astype(np.uint16)
    frames[:, :6] = 0  # something for binarize
    for t, frame in enumerate(frames):
        frame[8 : 10 + t // 2, 8 : 10 + t // 2] += np.uint16(500 + 20 * t)
    return frames
