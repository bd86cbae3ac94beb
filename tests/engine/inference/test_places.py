from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import torch
import yaml
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference import AttributionMap, draw_strongest_places, read_trained, strongest_places
from napari_tarrow.engine.inference.trained import with_last_weights
from napari_tarrow.engine.models import TimeArrowNet, write_model
from napari_tarrow.engine.movies import Preparation

if TYPE_CHECKING:
    from pathlib import Path


def with_peaks(frame: int, *peaks: tuple[int, int, float]) -> AttributionMap:
    values = np.zeros((80, 100), np.float32)
    for y, x, height in peaks:
        values[y, x] = height
    return AttributionMap((frame, frame + 1), values)


def test_places_come_strongest_first_and_no_more_than_asked_for() -> None:
    maps = [with_peaks(0, (20, 20, 1.0), (60, 80, 3.0)), with_peaks(9, (40, 50, 2.0))]
    found = strongest_places(maps, 2)
    assert [(p.frames[0], p.y, p.x) for p in found] == [(0, 60, 80), (9, 40, 50)]
    assert found[0].score == pytest.approx(1.5 * found[1].score, rel=1e-4)


def test_the_same_place_in_neighbouring_frames_counts_once() -> None:
    maps = [with_peaks(t, (40, 50 + t, 1.0 + (t == 2))) for t in range(4)]
    found = strongest_places(maps, 10)
    assert [(p.frames[0], p.y, p.x) for p in found] == [(2, 40, 52)]


def test_places_far_apart_in_space_or_in_time_are_two() -> None:
    assert len(strongest_places([with_peaks(0, (20, 20, 1.0), (20, 60, 1.0))], 10)) == 2
    assert len(strongest_places([with_peaks(0, (20, 20, 1.0)), with_peaks(10, (20, 20, 1.0))], 10)) == 2


def test_a_flat_map_has_no_place() -> None:
    assert strongest_places([with_peaks(0)], 10) == []


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


def test_a_picture_of_the_strongest_places_is_drawn(folder: Path) -> None:
    done = list(draw_strongest_places(folder, folder / "places.png", count=3))
    assert [one.done for one in done] == [1, 2, 3, 4]
    assert {one.total for one in done} == {4}
    assert done[0].map.shape == (40, 48)
    with Image.open(folder / "places.png") as picture:
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
        list(draw_strongest_places(folder, folder / "places.png"))


def test_a_damaged_record_is_said(folder: Path) -> None:
    (folder / "run.yaml").write_text("config: 3\n")
    with pytest.raises(UserError, match="no section config"):
        read_trained(folder)


def test_the_picture_is_that_of_the_last_weights(folder: Path) -> None:
    last = TimeArrowNet("unet_16fmaps", n_features=4, symmetric=True)
    (folder / "checkpoints").mkdir()
    torch.save({"model": last.state_dict(), "step": 3}, folder / "checkpoints" / "last.pt")
    trained = with_last_weights(read_trained(folder))
    assert torch.equal(next(trained.network.parameters()), next(last.parameters()))
    (folder / "checkpoints" / "last.pt").write_bytes(b"cut")
    with pytest.raises(UserError, match="damaged"):
        list(draw_strongest_places(folder, folder / "places.png"))
