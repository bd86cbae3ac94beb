"""The network of the package: it is whole, is found by name, and finds divisions where it never trained."""

from __future__ import annotations

import csv
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import tifffile
import torch

import napari_tarrow as tarrow
from napari_tarrow.engine.bundled import BUNDLED, bundled_at, model_folder
from napari_tarrow.engine.config import TrainConfig, UseConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference import open_for
from napari_tarrow.engine.inference.descriptions.description import describe_model
from napari_tarrow.engine.inference.descriptions.rows import model_rows
from napari_tarrow.engine.training.network import new_network, start_differences
from napari_tarrow.samples import SAMPLES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_tarrow.engine.movies import PreparedMovie

NAME = "general_nuclei"


def test_it_is_taken_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_folder(NAME) == BUNDLED[NAME].folder
    for name in (NAME, f"{NAME}/", Path(NAME)):
        assert tarrow.read_trained(name).folder == BUNDLED[NAME].folder
    assert bundled_at(BUNDLED[NAME].folder) == BUNDLED[NAME]
    assert tarrow.models.TimeArrowNet.from_folder(NAME).config["backbone"] == "unet_16fmaps"


def test_a_model_of_that_name_wins_and_no_other_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / NAME).mkdir()
    assert model_folder(NAME) == BUNDLED[NAME].folder
    (tmp_path / NAME / "model_kwargs.yaml").touch()
    assert model_folder(NAME) == Path(NAME)
    assert bundled_at(NAME) is None


def test_it_is_known_by_any_path_to_it(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(BUNDLED[NAME].folder)
    assert bundled_at(tmp_path / "link") == bundled_at(BUNDLED[NAME].folder / ".." / NAME) == BUNDLED[NAME]


def test_who_misses_a_folder_hears_of_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"or the name of a network that comes with the package: {NAME}\\."):
        tarrow.read_trained(tmp_path / "nowhere")


def test_its_folder_is_small_and_names_no_place_on_a_disk() -> None:
    files = list(BUNDLED[NAME].folder.iterdir())
    state = {"model_kwargs.yaml", "model_state.pt", "run.yaml"}
    assert {one.name for one in files} == state | {"metrics.csv", "shortcuts.json", "CARD.md"}
    assert sum(one.stat().st_size for one in files) < 3e6
    config = tarrow.read_trained(NAME).config
    assert config is not None
    assert not any(Path(movie).is_absolute() for movie in config.input_train)
    assert not Path(config.outdir).is_absolute()


def test_it_is_described_in_few_words() -> None:
    rows = dict(model_rows(describe_model(NAME)))
    assert rows["Trained on"].startswith("nuclei_00 (40 frames of 288 x 288, uint16); ")
    assert rows["Trained on"].endswith("; and 42 more")
    assert rows["Shortcuts"].startswith("No shortcut was found")


def test_the_preset_starts_from_it() -> None:
    config = TrainConfig.from_values({"input_train": "movie.tif", "preset": "interactive", "init": NAME})
    network = new_network(config, 1, torch.device("cpu"))
    own = tarrow.read_trained(NAME).network.state_dict()
    assert all(torch.equal(value, own[name]) for name, value in network.state_dict().items())
    assert start_differences(config) == []
    assert start_differences(config.model_copy(update={"subsample": 4})) == []  # as suits large objects


def opened(frames: NDArray[np.uint16], **options: Any) -> tuple[PreparedMovie, list[str]]:
    return open_for(tarrow.read_trained(NAME), UseConfig(**options), frames)


def frames_of_the_sample(magnified: int) -> NDArray[np.uint16]:
    frames = tifffile.imread(SAMPLES["cancer_cell_migration"].movie)
    return frames.repeat(magnified, 1).repeat(magnified, 2)


@pytest.mark.parametrize("magnified", [1, 3])
def test_the_strongest_events_of_a_movie_it_never_saw_are_the_divisions(magnified: int) -> None:
    movie, _ = opened(frames_of_the_sample(magnified))
    events = tarrow.find_events(tarrow.attribute(tarrow.read_trained(NAME).network, movie, delta=1), movie, count=3)
    with open(SAMPLES["cancer_cell_migration"].divisions, newline="") as file:
        divisions = [[float(row[name]) for name in ("frame", "y", "x")] for row in csv.DictReader(file)]
    near = 15 * magnified
    for frame, y, x in divisions:
        y, x = magnified * y, magnified * x
        assert any(abs(one.frame - frame) <= 1 and abs(one.y - y) < near and abs(one.x - x) < near for one in events)


def test_the_python_of_its_card_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = (BUNDLED[NAME].folder / "CARD.md").read_text(encoding="utf-8")
    [code] = re.findall(r"^```python\n(.+?)^```", card, flags=re.DOTALL | re.MULTILINE)
    tifffile.imwrite(tmp_path / "movie.tif", frames_of_the_sample(1)[:4], photometric="minisblack")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["events"]


def test_large_objects_are_brought_to_the_sizes_it_knows(tmp_path: Path) -> None:
    movie, notices = opened(frames_of_the_sample(4)[:6])
    assert movie.preparation.subsample == 4
    assert any(line.startswith("Blocks of 4 x 4 pixels averaged, chosen from the movie") for line in notices)
    assert opened(frames_of_the_sample(1)[:6])[0].preparation.subsample == 1
    assert opened(frames_of_the_sample(4)[:6], subsample=1)[0].preparation.subsample == 1
    shutil.copytree(BUNDLED[NAME].folder, tmp_path / "own")
    own = tarrow.read_trained(tmp_path / "own")
    assert open_for(own, UseConfig(), frames_of_the_sample(4)[:6])[0].preparation.subsample == 1
