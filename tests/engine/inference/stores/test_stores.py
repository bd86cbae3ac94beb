"""An OME-Zarr output is written frame by frame, gone on with, and never mixed with another or put over another's."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import zarr

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.stores import (
    Calibration,
    ZarrStore,
    embedding_settings,
    open_store,
    stored_parts,
)
from napari_tarrow.engine.inference.stores import ome_layout as module
from napari_tarrow.engine.inference.stores.assembly import Assembly
from napari_tarrow.engine.inference.stores.ledger import Ledger, read_ledger
from napari_tarrow.engine.inference.stores.space import check_apart
from napari_tarrow.engine.models import TimeArrowNet
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 3, 20, 30)
SETTINGS = {"model": "abc", "movie": "def", "layer": 0, "grid": "movie"}
VALUES = np.random.default_rng(0).normal(size=SHAPE).astype(np.float16)


def opened(path: Path, *, overwrite: bool = False, **settings: Any) -> ZarrStore:
    return open_store(path, SHAPE, "float16", {**SETTINGS, **settings}, overwrite=overwrite)


def filled(path: Path, frames: tuple[int, ...] = (0, 1, 2, 3)) -> ZarrStore:
    store = opened(path)
    for frame in frames:
        store.write(frame, VALUES[frame])
    return store


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a frame of a few kB be too large for one chunk, and blocks be of 8 pixels."""
    monkeypatch.setattr(module, "_LARGEST_CHUNK", 1000)
    monkeypatch.setattr(module, "_BLOCK_SIDE", 8)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    store = filled(tmp_path / "out.zarr")
    assert store.missing == ()
    parts = list(stored_parts(store, indices=(10, 11, 12, 13)))
    np.testing.assert_array_equal([part.values for part in parts], VALUES)
    assert [(part.index, part.last, part.done, part.total) for part in parts][2] == (12, True, 3, 4)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_the_image_says_what_its_pixels_are(version: Any, tmp_path: Path) -> None:
    calibration = Calibration(interval=60.0, pixel_size=(0.5, 0.25), step=4, first=2, stride=3, origin=(0, -2))
    path = tmp_path / "cells.ome.zarr"
    open_store(path, SHAPE, "float16", SETTINGS, calibration=calibration, version=version)
    group = zarr.open_group(path, mode="r")
    metadata: Any = group.attrs["ome"] if version == "0.5" else group.attrs
    image = metadata["multiscales"][0]
    assert (metadata if version == "0.5" else image)["version"] == version
    assert image["name"] == "cells"
    assert [axis["name"] for axis in image["axes"]] == ["t", "c", "y", "x"]
    assert [axis["type"] for axis in image["axes"]] == ["time", "channel", "space", "space"]
    assert [axis.get("unit") for axis in image["axes"]] == ["second", None, "micrometer", "micrometer"]
    (level,) = image["datasets"]
    scale, translation = level["coordinateTransformations"]
    assert scale == {"type": "scale", "scale": [180, 1, 2, 1]}
    assert translation == {"type": "translation", "translation": [120, 0, 0.75, -0.125]}
    array = group[level["path"]]
    assert isinstance(array, zarr.Array)
    assert array.metadata.zarr_format == (3 if version == "0.5" else 2)
    assert array.chunks == (1, *SHAPE[1:])
    assert array.shards is None
    keys = {"0.5": "c/2/0/0/0", "0.4": "2/0/0/0"}
    assert array.metadata.encode_chunk_key((2, 0, 0, 0)) == keys[version]


def test_without_units_pixels_are_frames_and_pixels_of_the_movie(tmp_path: Path) -> None:
    opened(tmp_path / "out.zarr")
    image: Any = zarr.open_group(tmp_path / "out.zarr", mode="r").attrs["ome"]
    image = image["multiscales"][0]
    assert not any("unit" in axis for axis in image["axes"])
    assert image["datasets"][0]["coordinateTransformations"] == [{"type": "scale", "scale": [1, 1, 1, 1]}]


@pytest.mark.parametrize(
    ("numbers", "frames", "told"),
    [
        ([1, 2, 3, 5], None, [1, 2, 3, 5]),
        ([1, 2, 3, 5], range(3), None),
        ([1, 2, 3, 4], range(0, 4, 2), [1, 3]),
        ([1, 2, 3, 4], None, None),
        (None, range(2, 3), None),
    ],
)
def test_frame_numbers_are_told_where_frames_are_missing(
    tmp_path: Path, numbers: list[int] | None, frames: range | None, told: list[int] | None
) -> None:
    movie = open_movie(np.zeros((4, 8, 8), np.uint8), frame_numbers=numbers)
    shape = (len(frames or movie), *SHAPE[1:])
    open_store(tmp_path / "out.zarr", shape, "float16", SETTINGS, calibration=Calibration.of(movie, frames))
    group = zarr.open_group(tmp_path / "out.zarr", mode="r")
    assert group.attrs["napari_tarrow"].get("frame_numbers") == told


def test_our_own_reader_opens_it_with_its_calibration(tmp_path: Path) -> None:
    calibration = Calibration(interval=600.0, pixel_size=(0.65, 0.65))
    store = open_store(tmp_path / "out.zarr", SHAPE, "float16", SETTINGS, calibration=calibration)
    for frame in range(4):
        store.write(frame, VALUES[frame])
    movie = open_movie(tmp_path / "out.zarr", channels=3)
    assert (movie.shape, movie.interval, movie.pixel_size) == (SHAPE, 600.0, (0.65, 0.65))
    np.testing.assert_array_equal(movie.frame(2), VALUES[2])


def test_three_channels_of_bytes_are_colours(tmp_path: Path) -> None:
    open_store(tmp_path / "pca.zarr", SHAPE, "uint8", SETTINGS)
    metadata: Any = zarr.open_group(tmp_path / "pca.zarr", mode="r").attrs["ome"]
    assert [channel["color"] for channel in metadata["omero"]["channels"]] == ["FF0000", "00FF00", "0000FF"]


def test_a_store_is_gone_on_with_at_the_missing_frames(tmp_path: Path) -> None:
    filled(tmp_path / "out.zarr", (0, 2))
    store = opened(tmp_path / "out.zarr")
    assert store.missing == (1, 3)
    store.write(1, VALUES[1])
    store.write(3, VALUES[3])
    assert opened(tmp_path / "out.zarr").missing == ()
    np.testing.assert_array_equal([part.values for part in stored_parts(store)], VALUES)


def test_one_without_a_finished_frame_goes_when_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(tmp_path / "new.zarr").close()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("napari_tarrow.engine.files._hold", lambda file: True)  # a disk without locks
    store, other = opened(tmp_path / "out.zarr"), opened(tmp_path / "out.zarr")
    other.write(2, VALUES[2])
    store.close()  # another process has finished a frame
    assert opened(tmp_path / "out.zarr").missing == (0, 1, 3)


def test_what_is_closed_again_does_nothing_to_what_another_process_made(tmp_path: Path) -> None:
    store = filled(tmp_path / "out.zarr")
    store.close()
    other = opened(tmp_path / "out.zarr", overwrite=True, layer=1)
    store.close()
    for frame in range(4):
        other.write(frame, VALUES[frame])
    assert opened(tmp_path / "out.zarr", layer=1).missing == ()


@pytest.mark.parametrize("settings", [{}, {"layer": 1, "overwrite": True}])
def test_while_one_is_filled_no_other_process_writes_into_it(settings: dict[str, Any], tmp_path: Path) -> None:
    store = filled(tmp_path / "out.zarr", (0,))
    with pytest.raises(UserError, match="Another run is writing"):
        opened(tmp_path / "out.zarr", **settings)
    for frame in (1, 2, 3):
        store.write(frame, VALUES[frame])
    assert opened(tmp_path / "out.zarr").missing == ()  # one that is whole may be read by all
    store.close()
    opened(tmp_path / "out.zarr", **settings).close()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"layer": 1}, "with layer 0, and layer is 1 now"),
        ({"grid": "network"}, "with grid movie, and grid is network now"),
        ({"model": "other"}, "with another model. Choose another output, or give --overwrite to replace it"),
        ({"movie": "other"}, "with another movie."),
        ({"new": 3}, "with new none, and new is 3 now"),
    ],
)
def test_other_settings_are_refused_with_the_one_that_differs(
    settings: dict[str, Any], said: str, tmp_path: Path
) -> None:
    filled(tmp_path / "out.zarr", (0,))
    with pytest.raises(UserError, match=said):
        opened(tmp_path / "out.zarr", **settings)
    assert opened(tmp_path / "out.zarr").missing == (1, 2, 3)


def test_another_shape_type_or_version_is_refused_as_well(tmp_path: Path) -> None:
    opened(tmp_path / "out.zarr")
    for shape, dtype, version, said in (
        ((4, 3, 20, 31), "float16", "0.5", "shape"),
        (SHAPE, "float32", "0.5", "dtype float16, and dtype is float32"),
        (SHAPE, "float16", "0.4", "ome_zarr 0.5, and ome_zarr is 0.4"),
    ):
        with pytest.raises(UserError, match=said):
            open_store(tmp_path / "out.zarr", shape, dtype, SETTINGS, version=version)  # type: ignore[arg-type]


def test_overwriting_replaces_other_settings_and_goes_on_with_the_same(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    filled(path, (0, 1))
    assert opened(path, overwrite=True).missing == (2, 3)
    store = opened(path, overwrite=True, layer=1)
    assert store.missing == (0, 1, 2, 3)
    assert not list((path / "0").rglob("c/*"))
    assert sorted(one.name for one in tmp_path.iterdir()) == [".out.zarr.lock", "out.zarr"]


def test_what_is_not_ours_is_never_touched(tmp_path: Path) -> None:
    folder, file, group = tmp_path / "data", tmp_path / "file.zarr", tmp_path / "group.zarr"
    folder.mkdir()
    (folder / "precious.txt").write_text("!")
    file.write_text("!")
    zarr.create_group(group).create_array("0", shape=(2,), dtype="uint8")
    for path in (folder, file, group):
        with pytest.raises(UserError, match="is no output of this program's"):
            opened(path, overwrite=True)
    assert (folder / "precious.txt").read_text() == file.read_text() == "!"
    assert zarr.open_group(group, mode="r")["0"].shape == (2,)  # type: ignore[union-attr]


def test_an_empty_folder_may_become_an_output(tmp_path: Path) -> None:
    (tmp_path / "out.zarr").mkdir()
    assert opened(tmp_path / "out.zarr").missing == (0, 1, 2, 3)


def test_a_start_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    filled(tmp_path / "other.zarr").path.rename(tmp_path / ".out.zarr.part")
    assert opened(tmp_path / "out.zarr").missing == (0, 1, 2, 3)
    assert [one.name for one in tmp_path.iterdir()] == ["out.zarr"]


def test_a_torn_last_line_of_the_ledger_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "ledger.txt"
    ledger = Ledger(path, SETTINGS, 20)
    ledger.create()
    ledger.add(3)
    with path.open("a") as file:
        file.write("1")  # of 12
    again = read_ledger(path)
    assert again is not None
    assert again.finished == {3}
    again.add(5)
    last = read_ledger(path)
    assert last is not None
    assert last.finished == {3, 5}


def test_a_damaged_ledger_is_said(tmp_path: Path) -> None:
    path = tmp_path / "out.zarr"
    filled(path, (0,))
    ledger = path / "0" / "frames_finished.txt"
    text = ledger.read_text()
    for wrong, said in (
        ("", "damaged"),
        ("{}\n0\n", "damaged"),
        (text[10:], "damaged"),
        (text.replace('"format": 1', '"format": 2'), "of another version"),
    ):
        ledger.write_text(wrong)
        with pytest.raises(UserError, match=said):
            opened(path, overwrite=True)
    ledger.write_text(text)
    (path / "0" / "zarr.json").write_text("{")
    with pytest.raises(UserError, match="damaged"):
        opened(path)


def test_numbers_beyond_the_movie_do_not_count(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.txt", {}, 2)
    ledger.create()
    for frame in (0, 7):
        ledger.add(frame)
    again = read_ledger(tmp_path / "ledger.txt")
    assert again is not None
    assert again.missing == (1,)


def test_settings_are_compared_as_they_come_back_from_the_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.txt", {"deltas": (1, 2), "share": 0.1}, 2)
    ledger.create()
    again = read_ledger(tmp_path / "ledger.txt")
    assert again is not None
    assert again.difference({"deltas": (1, 2), "share": 0.1}) is None


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("tile", [(8, 8), (16, 8), (5, 7), (20, 30), (3, 30)])
def test_frames_too_large_for_a_chunk_come_from_any_blocks(tile: tuple[int, int], tmp_path: Path) -> None:
    store = opened(tmp_path / "out.zarr")
    assert zarr.open_array(tmp_path / "out.zarr" / "0").chunks == (1, 3, 8, 8)
    for frame in range(4):
        for y in range(0, 20, tile[0]):
            for x in range(0, 30, tile[1]):
                assert frame in store.missing
                store.write_block(frame, y, x, VALUES[frame, :, y : y + tile[0], x : x + tile[1]])
        assert frame not in store.missing
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr" / "0")[:], VALUES)
    parts = list(stored_parts(store))
    assert len(parts) == 4 * 3 * 4
    assert [part.last for part in parts[:12]] == [False] * 11 + [True]
    assert [part.done for part in parts[10:13]] == [0, 1, 1]


@pytest.mark.usefixtures("small_chunks")
def test_a_frame_that_begins_again_with_other_blocks_is_right(tmp_path: Path) -> None:
    store = opened(tmp_path / "out.zarr")
    store.write_block(0, 0, 0, VALUES[1, :, :12])
    for y in range(0, 20, 5):
        assert 0 in store.missing
        store.write_block(0, y, 0, VALUES[0, :, y : y + 5])
    assert store.missing == (1, 2, 3)
    np.testing.assert_array_equal(zarr.open_array(tmp_path / "out.zarr" / "0")[0], VALUES[0])


def test_blocks_of_two_frames_do_not_mix(tmp_path: Path) -> None:
    store = opened(tmp_path / "out.zarr")
    store.write_block(0, 0, 0, VALUES[0, :, :10])
    with pytest.raises(ValueError, match="frame 1 came before frame 0"):
        store.write_block(1, 10, 0, VALUES[1, :, 10:])


def test_whole_chunks_pass_without_a_copy_and_few_are_held() -> None:
    assembly = Assembly((1, 64, 64), (16, 16), np.dtype(np.float32))
    values = np.arange(64 * 64, dtype=np.float32).reshape(1, 64, 64)
    ((y, x, chunk),) = assembly.add(16, 32, values[:, 16:32, 32:48].copy())
    assert (y, x) == (16, 32)
    np.testing.assert_array_equal(chunk, values[:, 16:32, 32:48])
    assert list(assembly.add(0, 0, values[:, :8])) == []
    assert len(assembly._held) == 4
    assert len(list(assembly.add(8, 0, values[:, 8:16]))) == 4
    assert not assembly._held
    with pytest.raises(ValueError, match="no part of a frame"):
        list(assembly.add(60, 0, values[:, :8]))


def test_a_disk_that_is_too_small_is_refused_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = 4 * 3 * 20 * 30 * 2
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("", (), {"free": free}))
    with pytest.raises(UserError, match=r"up to 14.5 kB, and its disk has 14.4 kB free.*Do less\."):
        open_store(tmp_path / "new" / "out.zarr", SHAPE, "float16", SETTINGS, besides=100, advice="Do less.")
    assert not list(tmp_path.iterdir())
    filled(tmp_path / "out.zarr", (0, 1))
    free //= 2
    assert opened(tmp_path / "out.zarr").missing == (2, 3)


def test_an_output_never_lies_in_what_it_is_made_from(tmp_path: Path) -> None:
    movie = tmp_path / "movie"
    movie.mkdir()
    for output, said in (
        (movie, "is the movie itself"),
        (movie / "out.zarr", "lies inside the movie"),
        (tmp_path, "holds the movie"),
        (tmp_path / "movie" / ".." / "movie" / "x.csv", "lies inside the movie"),
    ):
        with pytest.raises(UserError, match=said):
            check_apart(output, [("movie", movie)])
    check_apart(tmp_path / "movie.zarr", [("movie", movie)])


def test_the_settings_lie_in_the_metadata_for_people(tmp_path: Path) -> None:
    open_store(tmp_path / "out.zarr", SHAPE, "float16", SETTINGS, about={"version": "1.2"})
    metadata = json.loads((tmp_path / "out.zarr" / "zarr.json").read_text())["attributes"]["napari_tarrow"]
    assert metadata["settings"]["layer"] == 0
    assert metadata["version"] == "1.2"


def test_an_embedding_is_of_another_movie_when_any_frame_was_mended() -> None:
    model = TimeArrowNet("id", n_features=2)
    frames = np.random.default_rng(0).integers(0, 99, (20, 8, 9)).astype(np.uint16)

    def settings() -> dict[str, Any]:
        return embedding_settings(model, PreparedMovie(open_movie(frames.copy()), Preparation()))

    before = settings()
    assert settings() == before
    frames[3, 0, 0] += 1
    assert settings()["movie"] != before["movie"]
