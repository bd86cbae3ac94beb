"""Ways of a configuration in and out of the dock."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest
import tifffile
import yaml

from napari_tarrow.engine.config import TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import open_movie
from napari_tarrow.widgets.training import recipes

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    pass


def test_the_file_holds_the_preset_and_what_differs_from_it(tmp_path: Path) -> None:
    config = TrainConfig.from_values({"preset": "interactive", "size": 64, "input_train": "a b.tif"})
    recipes.save(config, tmp_path / "train.yaml")
    values = yaml.safe_load((tmp_path / "train.yaml").read_text())
    assert values == {"preset": "interactive", "size": 64, "input_train": ["a b.tif"]}
    assert TrainConfig.from_values(recipes.load(tmp_path / "train.yaml")) == config


def test_the_command_can_be_pasted_into_a_shell() -> None:
    config = TrainConfig.from_values({"preset": "interactive", "name": "it's mine", "split_train": [0, 0.4, 0.5, 0.8]})
    words = shlex.split(recipes.as_command(config))
    assert words[:3] == ["napari-tarrow-train", "--preset", "interactive"]
    assert words[words.index("--name") + 1] == "it's mine"
    assert words[words.index("--split_train") + 1 :][:4] == ["0", "0.4", "0.5", "0.8"]
    assert words[-2:] == ["--input_train", "MOVIE.tif"]


def test_what_a_preset_gives_can_be_taken_away_in_the_command() -> None:
    config = TrainConfig.from_values({"preset": "interactive", "clip": None})
    words = shlex.split(recipes.as_command(config))
    assert words[2] == "paper"
    assert "--clip" not in words
    assert "48" in words


def test_minutes_take_the_place_of_epochs_in_the_command() -> None:
    words = shlex.split(recipes.as_command(TrainConfig(minutes=5, epochs=7)))
    assert "--epochs" not in words
    assert words[words.index("--minutes") + 1] == "5"


def test_settings_of_the_reference_are_read(tmp_path: Path) -> None:
    values = {"size": 64, "delta": [1, 2], "split_train": [[0.0, 0.8]], "something_else": 3}
    (tmp_path / "train_args.yaml").write_text(yaml.safe_dump(values))
    assert recipes.load(tmp_path) == {"preset": "paper", "size": 64, "delta": [1, 2], "split_train": [[0.0, 0.8]]}


@pytest.mark.parametrize("name", [".", "nothing"])
def test_a_folder_without_settings_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no run folder|cannot be read"):
        recipes.load(tmp_path / name)


def test_a_model_gives_the_options_of_its_network(model_folder: Path) -> None:
    found = recipes.network_of(model_folder)
    assert found["init"] == str(model_folder)
    config = TrainConfig.from_values(found)
    assert (config.backbone, config.features, config.frames, config.perm_equiv) == ("unet_16fmaps", 4, 2, True)
    with pytest.raises(UserError, match="holds no model"):
        recipes.network_of(model_folder.parent)


def test_the_file_of_a_layer_counts_only_if_it_is_the_movie(tmp_path: Path, growing: np.ndarray) -> None:
    path = tmp_path / "growing.tif"
    tifffile.imwrite(path, growing, metadata={"axes": "TYX"})
    movie, config = open_movie(growing), TrainConfig(axes="TYX")
    assert recipes.file_of(str(path), movie, config) == str(path.resolve())
    assert recipes.file_of(str(path), movie, config, exact=True) == str(path.resolve())
    assert recipes.file_of(str(path), open_movie(growing + 1), config, exact=True) is None
    assert recipes.file_of(str(path), open_movie(growing[:, :20]), config) is None
    assert recipes.file_of(str(tmp_path / "gone.tif"), movie, config) is None
    assert recipes.file_of(None, movie, config) is None
    (tmp_path / "odd.tif").write_bytes(b"no tif")
    assert recipes.file_of(str(tmp_path / "odd.tif"), movie, config) is None
