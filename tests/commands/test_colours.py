"""Colours are scaled together; the model keeps it, also for files that call them channels or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml
import zarr

from napari_tarrow.commands.embed import main as embed
from napari_tarrow.commands.info import main as info
from napari_tarrow.commands.train import main as train

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURS = np.random.default_rng(0).integers(0, (10, 250, 120), (12, 32, 36, 3)).astype(np.uint8)  # TYXC
TINY = "--preset interactive --backbone simple --size 16 --epochs 1 --train_samples_per_epoch 4 --batchsize 2 --delta 1"
TINY += " --val_samples_per_epoch 2 --device cpu --precision 32 --num_workers 0 --timestamp no --tensorboard no"


@pytest.fixture
def movies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(tmp_path / "rgb.tif", COLOURS, photometric="rgb")
    channels = np.ascontiguousarray(np.moveaxis(COLOURS, -1, 1))
    tifffile.imwrite(tmp_path / "channels.tif", channels, imagej=True, metadata={"axes": "TCYX"})
    zarr.create_array(tmp_path / "bare.zarr", data=COLOURS)
    return tmp_path


def trained(movies: Path, name: str, *more: str) -> str:
    assert train(["--channels", "3", "--name", name, *TINY.split(), *more]) == 0
    run = f"runs/{name}_backbone_simple"
    kept: dict[str, str] = yaml.safe_load((movies / run / "run.yaml").read_text())["preparation"]
    assert kept["scale_channels"] == name
    return run


def embedded(run: str, movie: str, name: str) -> np.ndarray:
    assert embed([run, movie, "-o", name, "--device", "cpu"]) == 0
    return np.asarray(zarr.open_array(f"{name}/0", mode="r")[...])


def test_colours_and_channels(movies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(movies, "together", "--input_train", "rgb.tif")
    trained(movies, "each", "--input_train", "channels.tif")
    trained(movies, "each", "--input_train", "rgb.tif", "--scale_channels", "each")
    ours = embedded(run, "rgb.tif", "a.zarr")
    np.testing.assert_array_equal(embedded(run, "channels.tif", "b.zarr"), ours)
    assert info([run]) == 0
    assert "channels scaled together" in " ".join(capsys.readouterr().out.split())
    (movies / run / "run.yaml").unlink()  # the arguments say it as well
    np.testing.assert_array_equal(embedded(run, "channels.tif", "c.zarr"), ours)


def test_axes_that_nobody_names_are_those_of_the_training(movies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(movies, "together", "--input_train", "bare.zarr", "--axes", "TYXS")
    ours = embedded(run, "bare.zarr", "a.zarr")
    assert ours.shape[-2:] == (32, 36)
    assert "Its axes are taken for TYXS, as in training." in capsys.readouterr().out
    np.testing.assert_array_equal(embedded(run, "channels.tif", "b.zarr"), ours)
