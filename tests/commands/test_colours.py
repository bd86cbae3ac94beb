"""Colours are scaled together; the model keeps it, also for files that call them channels or nothing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml
import zarr

from napari_tarrow.commands.info import main as info

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("one_thread")

COLOURS = np.random.default_rng(0).integers(0, (10, 250, 120), (12, 32, 36, 3)).astype(np.uint8)  # TYXC


@pytest.fixture
def movies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(tmp_path / "rgb.tif", COLOURS, photometric="rgb")
    channels = np.ascontiguousarray(np.moveaxis(COLOURS, -1, 1))
    tifffile.imwrite(tmp_path / "channels.tif", channels, imagej=True, metadata={"axes": "TCYX"})
    zarr.create_array(tmp_path / "bare.zarr", data=COLOURS)
    return tmp_path


def scaling(run: str) -> str:
    kept: str = yaml.safe_load((Path(run) / "run.yaml").read_text())["preparation"]["scale_channels"]
    return kept


def test_colours_and_channels(
    trained: Callable[..., str], embedded: Callable[..., np.ndarray], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("rgb.tif", "colours", "--channels", "3")
    assert scaling(run) == "together"
    assert scaling(trained("channels.tif", "channels", "--channels", "3")) == "each"
    assert scaling(trained("rgb.tif", "as_asked", "--channels", "3", "--scale_channels", "each")) == "each"
    ours = embedded(run, "rgb.tif", "a.zarr")
    np.testing.assert_array_equal(embedded(run, "channels.tif", "b.zarr"), ours)
    assert info([run]) == 0
    assert "channels scaled together" in " ".join(capsys.readouterr().out.split())
    (movies / run / "run.yaml").unlink()  # the arguments say it as well
    np.testing.assert_array_equal(embedded(run, "channels.tif", "c.zarr"), ours)


def test_axes_that_nobody_names_are_those_of_the_training(
    trained: Callable[..., str], embedded: Callable[..., np.ndarray], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("bare.zarr", "run", "--channels", "3", "--axes", "TYXS")
    ours = embedded(run, "bare.zarr", "a.zarr")
    assert ours.shape[-2:] == (32, 36)
    assert "Its axes are taken for TYXS, as in training." in capsys.readouterr().out
    np.testing.assert_array_equal(embedded(run, "channels.tif", "b.zarr"), ours)
