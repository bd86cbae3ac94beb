"""The command line wins over the file, the file over the preset."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from napari_tarrow.commands.configuration import configured, resumed
from napari_tarrow.commands.train import _parser
from napari_tarrow.engine.config import INTERACTIVE, TrainConfig
from napari_tarrow.engine.errors import UserError
from napari_tarrow.samples import sample_path

# The reference's example configuration, word for word.
HELA = """name: hela
epochs: 200
augment: 5
batchsize: 152
size: 96
cam_size: 960
backbone: unet
features: 32
train_samples_per_epoch: 50000
num_workers: 4
projhead: minimal_batchnorm
classhead: minimal
input_train:
- data/hela/train/01
- data/hela/train/02
- data/hela/test/01
- data/hela/test/02
split_train:
- - 0.1
  - 1.0
split_val:
- 0.0
- 0.1
"""


def configure(*words: str) -> TrainConfig:
    return configured(_parser().read(words))[0]


@pytest.fixture
def hela(tmp_path: Path) -> str:
    path = tmp_path / "hela.yaml"
    path.write_text(HELA)
    return str(path)


def test_the_reference_s_example_is_accepted_as_it_is(hela: str) -> None:
    config = configure("-c", hela)

    assert config.name == "hela"
    assert config.batchsize == 152
    assert config.cam_size == 960
    assert len(config.input_train) == 4
    assert config.split_train == ((0.1, 1.0),)
    assert config.split_val == ((0.0, 0.1),)
    assert config.preset == "paper"


def test_the_command_line_wins_over_the_file(hela: str) -> None:
    config = configure("-c", hela, "--epochs", "5", "--input_train", "mine.tif", "--split_train", "0.5", "1")

    assert config.epochs == 5
    assert config.input_train == ("mine.tif",)
    assert config.split_train == ((0.5, 1.0),)
    assert config.split_val == ((0.0, 0.1),)
    assert config.size == 96


@pytest.mark.parametrize("place", ["file", "command line", "command line over file"])
def test_a_preset_gives_way_to_everything_given(tmp_path: Path, place: str) -> None:
    path = tmp_path / "options.yaml"
    preset = {"file": "preset: interactive\n", "command line": "", "command line over file": "preset: paper\n"}[place]
    path.write_text(f"{preset}input_train: a.tif\nsize: 80\n")
    words = [] if place == "file" else ["--preset", "interactive"]

    config = configure("-c", str(path), *words, "--lr", "0.5")

    assert (config.size, config.lr) == (80, 0.5)
    assert config.backbone == INTERACTIVE["backbone"]
    assert config.epochs == INTERACTIVE["epochs"]


def test_a_sample_brings_its_movie_and_the_interactive_preset() -> None:
    config = configure("--sample", "cancer_cell_migration")

    assert config.input_train == (str(sample_path("cancer_cell_migration")),)
    assert config.preset == "interactive"
    assert config.normalize == INTERACTIVE["normalize"]
    assert config.epochs == INTERACTIVE["epochs"]


def test_a_sample_keeps_a_preset_that_is_given(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("preset: paper")

    assert configure("--sample", "cancer_cell_migration", "--preset", "paper").normalize == "frame"
    assert configure("--sample", "cancer_cell_migration", "-c", str(path)).normalize == "frame"


def test_a_sample_replaces_the_movies_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("input_train: a.tif\ninput_val: b.tif\nsize: 40")

    config = configure("--sample", "cancer_cell_migration", "-c", str(path))

    assert config.input_train == (str(sample_path("cancer_cell_migration")),)
    assert config.input_val is None
    assert config.size == 40


def test_a_repeated_split_train_is_taken_for_the_split_val_that_is_missing() -> None:
    words = shlex.split("--input_train my_video.tif --delta 1 2 --split_train 0.0 0.8 --split_train 0.8 1.0")

    config, notices = configured(_parser().read(words))

    assert config.split_train == ((0.0, 0.8),)
    assert config.split_val == ((0.8, 1.0),)
    assert config.delta == (1, 2)
    assert notices == [
        "--split_train is given twice and --split_val never; the second is taken as --split_val 0.8 1.0."
    ]


@pytest.mark.parametrize("where", ["command line", "file"])
def test_a_repeated_split_train_stays_where_split_val_is_given(tmp_path: Path, where: str) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("split_val: [0.9, 1.0]" if where == "file" else "")
    words = shlex.split("--input_train a.tif --split_train 0 0.4 --split-train 0.5 0.9")
    words += ["-c", str(path)] if where == "file" else ["--split_val", "0.9", "1"]

    config, notices = configured(_parser().read(words))

    assert config.split_train == ((0.0, 0.4), (0.5, 0.9))
    assert config.split_val == ((0.9, 1.0),)
    assert notices == []


def test_minutes_on_the_command_line_win_over_the_file_s_epochs_and_the_other_way_round(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("input_train: a.tif\nepochs: 200\nminutes: 10\n")

    assert configure("-c", str(path), "--minutes", "3").minutes == 3
    assert configure("-c", str(path), "--epochs", "5").minutes is None


def test_an_error_says_whether_the_command_line_or_the_file_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "options.yaml"
    path.write_text("input_train: a.tif\nsize: big\n")

    with pytest.raises(UserError) as error:
        configure("-c", str(path))
    assert str(error.value) == f"size in {path} is 'big'; it should be a whole number."
    with pytest.raises(UserError) as error:
        configure("-c", str(path), "--size", "huge")
    assert str(error.value) == "--size is 'huge'; it should be a whole number."
    assert configure("-c", str(path), "--size", "64").size == 64


def test_a_resumed_run_may_change_its_machine_only() -> None:
    words = ["--resume", "runs/a", "--device", "cpu", "--num-workers", "2", "--tensorboard", "no"]
    assert resumed(_parser().read(words)) == (
        Path("runs/a"),
        {"device": "cpu", "num_workers": 2, "tensorboard": False},
    )
    assert resumed(_parser().read(["--resume", "runs/a"])) == (Path("runs/a"), {})


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("epochs: 7\nminutes: 3\n", "", True),
        ("epochs: 7\nminutes: 3\npreset: interactive\n", "", True),
        ("epochs: 7\nminutes: 3\n", "--epochs 5", False),
        ("epochs: 7\nminutes: 3\n", "--minutes 5", False),
        ("epochs: 7\nminutes: null\n", "", False),
        ("minutes: 3\n", "", False),
        ("epochs: 200\nminutes: 3\n", "", False),
    ],
)
def test_a_file_that_gives_both_epochs_and_minutes_is_noted(text: str, words: str, said: bool, tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text(f"input_train: movie.tif\n{text}")
    _, notices = configured(_parser().read(["-c", str(path), *words.split()]))
    assert (
        notices
        == [f"{path} gives both epochs and minutes; the minutes count. Give --epochs to have it the other way."] * said
    )


def test_the_stored_options_of_a_run_of_minutes_are_not_noted(tmp_path: Path) -> None:
    import yaml

    config = configure("--sample", "cancer_cell_migration", "--minutes", "3")
    path = tmp_path / "train_args.yaml"
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    again, notices = configured(_parser().read(["-c", str(path)]))
    assert (again, notices) == (config, [])


def test_values_of_an_option_given_several_times_add_up() -> None:
    config = configure("--input_train", "a.tif", "--delta", "1", "--delta", "4", "--input_train", "b.tif", "c.tif")
    assert (config.delta, config.input_train) == ((1, 4), ("a.tif", "b.tif", "c.tif"))
