"""One channel of a movie with several goes the whole way as the movie of that channel alone does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import yaml

from napari_tarrow.commands.attribute import main as attribute
from napari_tarrow.commands.embed import main as embed
from napari_tarrow.commands.info import main as info

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("one_thread")

CHANNELS = np.random.default_rng(0).integers(0, 4000, (12, 2, 32, 36)).astype(np.uint16)  # TCYX


@pytest.fixture
def movies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tifffile.imwrite(tmp_path / "both.tif", CHANNELS, imagej=True, metadata={"axes": "TCYX"})
    tifffile.imwrite(tmp_path / "second.tif", CHANNELS[:, 1], metadata={"axes": "TYX"})
    return tmp_path


def test_training_and_use(
    trained: Callable[..., str], embedded: Callable[..., np.ndarray], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("both.tif", "of_both", "--channel", "1")
    assert "uint16, channel 1 alone." in capsys.readouterr().out
    assert yaml.safe_load((movies / run / "run.yaml").read_text())["preparation"]["channel"] == 1
    other = trained("second.tif", "of_second")
    ours, alone = embedded(run, "both.tif", "a.zarr"), embedded(other, "second.tif", "b.zarr")
    np.testing.assert_array_equal(ours, alone)
    assert "Note: It is read as channel 1 alone." in capsys.readouterr().out
    np.testing.assert_array_equal(embedded(run, "second.tif", "c.zarr"), alone)
    assert "Note: It is read as 1 channel (channel 1 changes nothing)." in capsys.readouterr().out
    first = embedded(run, "both.tif", "d.zarr", "--channels", "1")
    np.testing.assert_array_equal(first, embedded(run, "both.tif", "e.zarr", "--channel", "0"))
    assert not np.array_equal(first, ours)
    assert "Note: channel is 0 instead of 1, which the model was trained with." in capsys.readouterr().out
    assert attribute([run, "both.tif", "-o", "maps", "--device", "cpu"]) == 0
    assert info([run]) == 0
    assert "channel 1 alone" in capsys.readouterr().out
    assert embed([other, "both.tif", "-o", "b.zarr", "--device", "cpu", "--channel", "0"]) == 2
    assert "b.zarr" in (said := capsys.readouterr().err)
    assert "None" not in said


def test_weights_of_another_channel_are_a_start(
    trained: Callable[..., str], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("both.tif", "first", "--channel", "1")
    trained("second.tif", "next", "--init", run)
    assert "instead of" not in capsys.readouterr().out


def test_what_is_wrong_is_told(trained: Callable[..., str], movies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained("both.tif", "run", "--channel", "2", code=2)
    assert "both.tif has 2 channels, numbered 0 to 1, and channel is 2" in capsys.readouterr().err
    trained("both.tif", "run", code=2)
    assert "Give channels 2 for all of them, or channel 0 to 1 for one (--channel 0)." in capsys.readouterr().err
    assert "None" not in capsys.readouterr().out
    assert not (movies / "runs").exists() or not list((movies / "runs").iterdir())


def test_channels_that_are_scaled_together_are_told(
    trained: Callable[..., str], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = "Note: normalize frame scales all channels as the first, as published"
    trained("both.tif", "together", "--channels", "2", "--normalize", "frame")
    assert said in capsys.readouterr().out
    trained("both.tif", "each", "--channels", "2")
    trained("both.tif", "one", "--channel", "0", "--normalize", "frame")
    assert said not in capsys.readouterr().out


def test_a_network_of_both_channels_takes_no_single_one(
    trained: Callable[..., str], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("both.tif", "both", "--channels", "2")
    assert embed([run, "both.tif", "-o", "a.zarr", "--device", "cpu", "--channel", "1"]) == 2
    assert "takes 2 channels, and channel 1 asks for 1 channel. Leave channel out" in capsys.readouterr().err


def test_labels_with_channels_are_told(
    trained: Callable[..., str], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = trained("second.tif", "second")
    capsys.readouterr()
    words = "second.tif -o a.zarr --device cpu --labels both.tif --table objects.csv"
    assert embed([run, *words.split()]) == 2
    assert "The labels both have several channels. Give labels with one." in capsys.readouterr().err


def test_axes_other_than_those_of_the_training_are_told(
    trained: Callable[..., str], movies: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tifffile.imwrite(movies / "unnamed.tif", np.ascontiguousarray(CHANNELS.swapaxes(0, 1)))
    run = trained("unnamed.tif", "run", "--axes", "CTYX", "--channel", "1")
    capsys.readouterr()
    assert embed([run, "unnamed.tif", "-o", "a.zarr", "--device", "cpu"]) == 0
    said = "Note: Its axes are not taken for CTYX, as in training, but as the file has them (--axes)."
    assert said in capsys.readouterr().out
    assert embed([run, "unnamed.tif", "-o", "b.zarr", "--device", "cpu", "--axes", "CTYX"]) == 0
    assert "axes" not in capsys.readouterr().out


def test_without_its_record_a_run_is_used_by_its_arguments(
    trained: Callable[..., str], embedded: Callable[..., np.ndarray], movies: Path
) -> None:
    run = trained("second.tif", "alone")
    ours = embedded(run, "second.tif", "a.zarr")
    (movies / run / "run.yaml").unlink()
    np.testing.assert_array_equal(embedded(run, "second.tif", "b.zarr"), ours)
