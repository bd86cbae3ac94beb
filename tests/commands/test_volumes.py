"""A movie of volumes goes the whole way as the movie of one picture of their slices does."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml
import zarr

from napari_tarrow.commands.attribute import main as attribute
from napari_tarrow.commands.embed import main as embed
from napari_tarrow.commands.train import main as train

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

VOLUMES = np.random.default_rng(0).integers(0, 4000, (12, 5, 32, 36)).astype(np.uint16)  # TZYX
FLAT = {"max": VOLUMES.max(axis=1), "mean": VOLUMES.mean(axis=1).astype(np.float32), "2": VOLUMES[:, 2]}
TINY = "--preset interactive --backbone simple --size 16 --epochs 1 --train_samples_per_epoch 4 --batchsize 2 --delta 1"
TINY += " --val_samples_per_epoch 2 --device cpu --precision 32 --num_workers 0 --timestamp no --tensorboard no"


@pytest.fixture
def volumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(tmp_path / "volumes.tif", VOLUMES, imagej=True, metadata={"axes": "TZYX"})
    for name, flat in FLAT.items():
        tifffile.imwrite(tmp_path / f"{name}.tif", flat, metadata={"axes": "TYX"})
    labels = np.zeros(VOLUMES.shape, np.uint16)
    for slice in range(5):
        labels[:, slice, 6 * slice : 6 * slice + 4] = 10 + slice
    tifffile.imwrite(tmp_path / "labels.tif", labels, imagej=True, metadata={"axes": "TZYX"})
    return tmp_path


@pytest.mark.parametrize(
    ("z", "said"), [("mean", "the mean of 5 Z slices at each pixel"), ("2", "Z slice 2 (of 0 to 4)")]
)
def test_training_and_use(z: str, said: str, volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--input_train", "volumes.tif", "--z", z, "--name", "of_volumes", *TINY.split()]) == 0
    assert f"1 channel, {said}." in capsys.readouterr().out
    assert train(["--input_train", f"{z}.tif", "--name", "of_pictures", *TINY.split()]) == 0
    runs = [next((volumes / "runs").glob(f"{name}*")) for name in ("of_volumes", "of_pictures")]
    stored = yaml.safe_load((runs[0] / "run.yaml").read_text())["preparation"]["z"]
    assert str(stored) == z
    found = []
    for run, movie in zip(runs, ("volumes.tif", f"{z}.tif"), strict=True):
        assert embed([str(run), movie, "-o", f"{run.name}.zarr", "--device", "cpu"]) == 0
        found.append(zarr.open_array(volumes / f"{run.name}.zarr" / "0", mode="r")[...])
    np.testing.assert_array_equal(*found)
    capsys.readouterr()
    assert attribute([str(runs[0]), "volumes.tif", "-o", "maps", "--device", "cpu"]) == 0
    assert f"Note: Every frame is {said}." in capsys.readouterr().out
    assert (volumes / "maps" / "events.csv").is_file()


@pytest.mark.parametrize(("z", "objects"), [("max", range(10, 15)), ("3", [13])])
def test_objects_of_volumes(z: str, objects: Iterable[int], volumes: Path) -> None:
    assert train(["--input_train", "volumes.tif", "--z", z, "--name", "run", *TINY.split()]) == 0
    run = str(next((volumes / "runs").glob("run*")))
    words = "volumes.tif -o out.zarr --labels labels.tif --table objects.csv --device cpu"
    assert embed([run, *words.split()]) == 0
    with (volumes / "objects.csv").open() as file:
        found = {int(row["label"]) for row in csv.DictReader(file)}
    assert found == set(objects)


def test_axes_are_those_of_the_training_where_nobody_says_otherwise(
    volumes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(volumes / "times.tif", FLAT["max"], imagej=True, metadata={"axes": "ZYX"})
    assert train(["--input_train", "times.tif", "--axes", "TYX", "--name", "run", *TINY.split()]) == 0
    run = str(next((volumes / "runs").glob("run*")))
    capsys.readouterr()
    assert embed([run, "times.tif", "-o", "out.zarr", "--device", "cpu"]) == 0
    assert "Note: Its axes are taken for TYX, as in training." in capsys.readouterr().out
    assert embed([run, "times.tif", "-o", "other.zarr", "--device", "cpu", "--axes", "ZYX"]) == 2
    tifffile.imwrite(volumes / "picture.tif", FLAT["max"][0])
    assert embed([run, "picture.tif", "-o", "other.zarr", "--device", "cpu"]) == 2
    assert "picture.tif is one picture, not a movie" in capsys.readouterr().err


def test_a_slice_of_a_movie_without_any_is_told(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = "one picture without Z slices (z 2 changes nothing)."
    assert train(["--input_train", "max.tif", "--z", "2", "--name", "run", *TINY.split()]) == 0
    assert f"1 channel, {said}" in capsys.readouterr().out
    assert embed([str(next((volumes / "runs").glob("run*"))), "max.tif", "-o", "out.zarr", "--device", "cpu"]) == 0
    assert f"Note: Every frame is {said}" in capsys.readouterr().out


def test_a_slice_that_is_not_there(volumes: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(["--input_train", "volumes.tif", "--z", "5", "--name", "run", *TINY.split()]) == 2
    assert "volumes has 5 Z slices, numbered 0 to 4, and z is 5" in capsys.readouterr().err
    assert not (volumes / "runs").exists() or not list((volumes / "runs").iterdir())
