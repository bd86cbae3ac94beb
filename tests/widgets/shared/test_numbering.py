"""Which numbers the frames of a layer have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from napari.components import ViewerModel
from napari.layers import Image
from npe2 import PluginManager

from napari_tarrow.engine.movies import fingerprint, open_movie
from napari_tarrow.widgets.shared import numbering
from napari_tarrow.widgets.shared.layers import describe_layer

if TYPE_CHECKING:
    from pathlib import Path


def files(folder: Path, numbers: list[int], name: str = "t{:03d}.tif", shape: tuple[int, ...] = (16, 17)) -> list[str]:
    folder.mkdir(exist_ok=True)
    paths = [folder / name.format(number) for number in numbers]
    for path, number in zip(paths, numbers, strict=True):
        tifffile.imwrite(path, np.full(shape, number, np.uint16), photometric="minisblack")
    return [str(path) for path in paths]


def opened(path: Any, **options: Any) -> Image:
    PluginManager.instance().discover(include_npe1=False)
    return ViewerModel().open(path, plugin="napari", **options)[0]


def numbers_of(layer: Image, axes: str | None = None) -> list[int]:
    facts = describe_layer(layer, axes)
    assert facts.source is not None
    assert facts.source.frame_numbers.tolist() == list(facts.numbers)
    return list(facts.numbers)


def test_a_folder_gives_the_numbers_of_its_files_as_the_engine_does(tmp_path):
    files(tmp_path / "movie", [1, 2, 5, 6])
    layer = opened(str(tmp_path / "movie"))
    assert numbers_of(layer) == [1, 2, 5, 6]
    assert fingerprint(describe_layer(layer).source) == fingerprint(open_movie(tmp_path / "movie"))


def test_all_files_of_a_folder_opened_as_a_stack_give_their_numbers(tmp_path):
    assert numbers_of(opened(files(tmp_path / "movie", [3, 4, 6]), stack=True)) == [3, 4, 6]


def test_some_files_of_a_folder_or_in_another_order_than_time_say_nothing(tmp_path):
    paths = files(tmp_path / "movie", [3, 4, 6])
    assert numbers_of(opened(paths[:2], stack=True)) == [0, 1]
    unpadded = sorted(files(tmp_path / "unpadded", [8, 9, 10], "t{}.tif"))
    assert numbers_of(opened(unpadded, stack=True)) == [0, 1, 2]


def test_a_stack_among_as_many_stacks_as_it_has_frames_is_not_numbered_by_them(tmp_path):
    paths = files(tmp_path / "movies", [1, 2, 3], "movie{}.tif", (3, 16, 17))
    assert numbers_of(opened(paths[0])) == [0, 1, 2]


@pytest.mark.parametrize("numbers", [[0, 3, 4], (0, 3, 4), np.array([0, 3, 4])])
def test_the_metadata_of_a_layer_come_first(tmp_path, numbers):
    files(tmp_path / "movie", [1, 2, 5])
    layer = opened(str(tmp_path / "movie"))
    layer.metadata["frame_numbers"] = numbers
    assert numbers_of(layer) == [0, 3, 4]


@pytest.mark.parametrize("numbers", [[1, 2], [1, 1, 2], [3, 2, 1], [1, 2, 3.5], "123", 5, [1, 2, 10**30], [[1, 2, 3]]])
def test_metadata_that_cannot_be_frame_numbers_are_passed_over(numbers):
    assert numbers_of(Image(np.zeros((3, 8, 9)), metadata={"frame_numbers": numbers})) == [0, 1, 2]


def test_files_say_nothing_of_another_number_of_frames_or_where_time_is_not_first(tmp_path):
    files(tmp_path / "movie", [1, 2, 5], shape=(3, 17))
    layer = opened(str(tmp_path / "movie"))
    assert numbers_of(layer) == [1, 2, 5]
    assert numbers_of(layer, "YTX") == [0, 1, 2]
    layer.data = layer.data[:2]
    assert numbers_of(layer) == [0, 1]


def test_a_folder_that_is_gone_or_named_otherwise_says_nothing(tmp_path):
    (tmp_path / "movie").mkdir()
    for number, name in enumerate("abc"):
        tifffile.imwrite(tmp_path / "movie" / f"{name}.tif", np.full((8, 9), number, np.uint8))
    layer = opened(str(tmp_path / "movie"))
    assert numbers_of(layer) == [0, 1, 2]
    for path in (tmp_path / "movie").iterdir():
        path.unlink()
    assert numbers_of(layer) == [0, 1, 2]


def test_a_folder_is_looked_into_once(tmp_path, monkeypatch):
    files(tmp_path / "movie", [1, 2, 5])
    layer = opened(str(tmp_path / "movie"))
    looks: list[Path] = []
    looked = numbering.numbered_files
    monkeypatch.setattr(numbering, "numbered_files", lambda path: looks.append(path) or looked(path))
    for _ in range(3):
        assert numbers_of(layer) == [1, 2, 5]
    assert len(looks) == 1


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ([1, 2, 3, 4], "1 channel, frames 1 to 4; 3 pairs at delta 1"),
        ([1, 2, 5, 6], "1 channel, frames 1 to 6 (2 missing); 2 pairs at delta 1"),
        ([0, 1, 2, 4], "1 channel, frames 0 to 4 (1 missing); 2 pairs at delta 1"),
        ([0, 1, 2, 3], "1 channel; 3 pairs at delta 1"),
    ],
)
def test_the_sentence_says_how_frames_are_numbered_where_that_is_not_from_0_on(numbers, words):
    layer = Image(np.zeros((4, 8, 9), "uint8"), metadata={"frame_numbers": numbers})
    assert describe_layer(layer).sentence == f"4 frames of 8 x 9, uint8, {words}"


def test_the_index_of_a_number_is_found_and_of_another_there_is_none():
    facts = describe_layer(Image(np.zeros((4, 8, 9)), metadata={"frame_numbers": [1, 2, 5, 6]}))
    assert [facts.frame_index(number) for number in (0, 1, 2, 3, 4, 5, 6, 7)] == [None, 0, 1, None, None, 2, 3, None]
