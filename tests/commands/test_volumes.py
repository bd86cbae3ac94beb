"""A movie of volumes goes the whole way as the movie of one picture of their slices does."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml

from napari_tarrow.commands.attribute import main as attribute
from napari_tarrow.commands.embed import main as embed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

VOLUMES = np.random.default_rng(0).integers(0, 4000, (12, 5, 32, 36)).astype(np.uint16)  # TZYX
FLAT = {"max": VOLUMES.max(axis=1), "mean": VOLUMES.mean(axis=1).astype(np.float32), "2": VOLUMES[:, 2]}


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
def test_training_and_use(
    trained: Callable[..., str],
    embedded: Callable[..., np.ndarray],
    z: str,
    said: str,
    volumes: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = trained("volumes.tif", "of_volumes", "--z", z)
    assert f"1 channel, {said}." in capsys.readouterr().out
    of_pictures = trained(f"{z}.tif", "of_pictures")
    stored = yaml.safe_load((volumes / run / "run.yaml").read_text())["preparation"]["z"]
    assert str(stored) == z
    ours, flat = embedded(run, "volumes.tif", "a.zarr"), embedded(of_pictures, f"{z}.tif", "b.zarr")
    np.testing.assert_array_equal(ours, flat)
    capsys.readouterr()
    assert attribute([run, "volumes.tif", "-o", "maps", "--device", "cpu"]) == 0
    assert f"Note: Every frame is {said}." in capsys.readouterr().out
    assert (volumes / "maps" / "events.csv").is_file()


@pytest.mark.parametrize(("z", "objects"), [("max", range(10, 15)), ("3", [13])])
def test_objects_of_volumes(trained: Callable[..., str], z: str, objects: Iterable[int], volumes: Path) -> None:
    run = trained("volumes.tif", "run", "--z", z)
    words = "volumes.tif -o out.zarr --labels labels.tif --table objects.csv --device cpu"
    assert embed([run, *words.split()]) == 0
    with (volumes / "objects.csv").open() as file:
        found = {int(row["label"]) for row in csv.DictReader(file)}
    assert found == set(objects)


def test_axes_are_those_of_the_training_where_nobody_says_otherwise(
    trained: Callable[..., str], volumes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(volumes / "times.tif", FLAT["max"], imagej=True, metadata={"axes": "ZYX"})
    run = trained("times.tif", "run", "--axes", "TYX")
    capsys.readouterr()
    assert embed([run, "times.tif", "-o", "out.zarr", "--device", "cpu"]) == 0
    assert "Note: Its axes are taken for TYX, as in training." in capsys.readouterr().out
    assert embed([run, "times.tif", "-o", "other.zarr", "--device", "cpu", "--axes", "ZYX"]) == 2
    tifffile.imwrite(volumes / "picture.tif", FLAT["max"][0])
    assert embed([run, "picture.tif", "-o", "other.zarr", "--device", "cpu"]) == 2
    assert "picture.tif is one picture, not a movie" in capsys.readouterr().err


def test_a_slice_of_a_movie_without_any_is_told(
    trained: Callable[..., str], embedded: Callable[..., np.ndarray], volumes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "one picture without Z slices (z 2 changes nothing)."
    run = trained("max.tif", "run", "--z", "2")
    assert f"1 channel, {said}" in capsys.readouterr().out
    embedded(run, "max.tif", "out.zarr")
    assert f"Note: Every frame is {said}" in capsys.readouterr().out


def test_a_slice_that_is_not_there(
    trained: Callable[..., str], volumes: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trained("volumes.tif", "run", "--z", "5", code=2)
    assert "volumes has 5 Z slices, numbered 0 to 4, and z is 5" in capsys.readouterr().err
    assert not (volumes / "runs").exists() or not list((volumes / "runs").iterdir())
