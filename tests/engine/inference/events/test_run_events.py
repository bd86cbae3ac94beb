from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference import draw_run_events
from napari_tarrow.engine.models import TimeArrowNet, write_model
from napari_tarrow.engine.movies import Preparation
from napari_tarrow.engine.trained import read_trained

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model folder as training leaves it."""
    frames = np.random.default_rng(0).integers(0, 1000, (5, 40, 48)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "movie.tif", frames, metadata={"axes": "TYX"})
    write_model(tmp_path / "run", TimeArrowNet("unet_16fmaps", n_features=4, symmetric=True))
    record = {
        "config": {"input_train": [str(tmp_path / "movie.tif")], "delta": [2, 1], "subsample": 2},
        "preparation": {"normalize": "movie", "binarize": False, "subsample": 2, "channels": 0},
    }
    (tmp_path / "run" / "run.yaml").write_text(yaml.safe_dump(record))
    return tmp_path / "run"


def test_a_picture_of_the_strongest_events_is_drawn(folder: Path) -> None:
    done = list(draw_run_events(folder, folder / "events.png", count=3))
    assert [one.done for one in done] == [1, 2, 3, 4]
    assert {one.total for one in done} == {4}
    assert done[0].map.shape == (40, 48)
    with Image.open(folder / "events.png") as picture:
        assert np.ptp(np.asarray(picture.convert("L"))) > 100


def test_the_folder_says_what_the_network_wants(folder: Path) -> None:
    trained = read_trained(folder)
    assert trained.preparation == Preparation("movie", False, 2, 0)
    assert trained.delta == 1
    assert not trained.network.training


def test_the_references_folder_is_read_too(folder: Path) -> None:
    (folder / "run.yaml").unlink()
    (folder / "train_args.yaml").write_text(yaml.safe_dump({"subsample": 3, "delta": [4, 8], "channels": 0, "lr": 1}))
    trained = read_trained(folder)
    assert trained.preparation == Preparation(subsample=3)
    assert trained.delta == 4
    with pytest.raises(UserError, match="does not say what movie"):
        list(draw_run_events(folder, folder / "events.png"))


def test_a_damaged_record_is_said(folder: Path) -> None:
    (folder / "run.yaml").write_text("config: 3\n")
    with pytest.raises(UserError, match="no section config"):
        read_trained(folder)
