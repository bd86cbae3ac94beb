"""A tif output is filled block by block, opens with its axes and units, and is there only when it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import tifffile

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference.stores import Calibration, open_tif_store, stored_parts
from napari_tarrow.engine.inference.stores import tif as module
from napari_tarrow.engine.movies import open_movie

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (4, 3, 20, 30)
VALUES = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
BYTES = np.random.default_rng(0).integers(0, 256, SHAPE).astype(np.uint8)


@pytest.mark.parametrize("tile", [(20, 30), (6, 30), (7, 9)])
@pytest.mark.parametrize("rgb", [False, True])
def test_blocks_become_a_movie_with_axes(tile: tuple[int, int], rgb: bool, tmp_path: Path) -> None:
    values: np.ndarray = BYTES if rgb else VALUES
    store = open_tif_store(tmp_path / "out.tif", SHAPE, values.dtype, rgb=rgb)
    for frame in (2, 0, 3, 1):
        for y in range(0, 20, tile[0]):
            for x in range(0, 30, tile[1]):
                store.write_block(frame, y, x, values[frame, :, y : y + tile[0], x : x + tile[1]])
    assert store.missing == ()
    assert not (tmp_path / "out.tif").exists()
    store.close()
    with tifffile.TiffFile(tmp_path / "out.tif") as file:
        assert file.series[0].axes == ("TYXS" if rgb else "TCYX")
        found = file.asarray()
    np.testing.assert_array_equal(np.moveaxis(found, -1, 1) if rgb else found, values)
    np.testing.assert_array_equal([part.values for part in stored_parts(store)], values)
    assert [one.name for one in tmp_path.iterdir()] == ["out.tif"]


def test_frames_are_read_in_bands_that_fit_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BAND_BYTES", 3 * 30 * 4 * 7)
    store = open_tif_store(tmp_path / "out.tif", SHAPE, "float32")
    for frame in range(4):
        store.write(frame, VALUES[frame])
    parts = list(stored_parts(store, [1, 3]))
    assert [(part.y, part.last, part.done) for part in parts] == [
        (y, y == 14, d + (y == 14)) for d in (0, 1) for y in (0, 7, 14)
    ]
    np.testing.assert_array_equal(np.concatenate([part.values for part in parts[3:]], axis=1), VALUES[3])


def test_units_are_carried_over(tmp_path: Path) -> None:
    calibration = Calibration(interval=60.0, pixel_size=(0.5, 0.25), step=2, stride=3)
    store = open_tif_store(tmp_path / "out.tif", SHAPE, "float32", calibration=calibration)
    for frame in range(4):
        store.write(frame, VALUES[frame])
    store.close()
    movie = open_movie(tmp_path / "out.tif", channels=3)
    assert (movie.shape, movie.interval, movie.pixel_size) == (SHAPE, 180.0, (1.0, 0.5))


def test_a_frame_that_begins_again_is_right(tmp_path: Path) -> None:
    store = open_tif_store(tmp_path / "out.tif", SHAPE, "float32")
    store.write_block(0, 0, 0, VALUES[1, :, :12])
    store.write(0, VALUES[0])
    assert store.missing == (1, 2, 3)


def test_an_unfinished_one_leaves_nothing(tmp_path: Path) -> None:
    store = open_tif_store(tmp_path / "out.tif", SHAPE, "float32")
    store.write(0, VALUES[0])
    store.close()
    store.close()
    assert not list(tmp_path.iterdir())


def test_one_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    first = open_tif_store(tmp_path / "out.tif", SHAPE, "float32")
    for frame in range(4):
        first.write(frame, VALUES[frame])
        with pytest.raises(UserError, match="Another run is writing"):
            open_tif_store(tmp_path / "out.tif", SHAPE, "float32")
    first.close()
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out.tif"), VALUES)
    assert [one.name for one in tmp_path.iterdir()] == ["out.tif"]
    open_tif_store(tmp_path / "out.tif", SHAPE, "float32", overwrite=True).close()


def test_a_file_that_is_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.tif"
    path.write_text("precious")
    with pytest.raises(UserError, match=r"is there already.*--overwrite"):
        open_tif_store(path, SHAPE, "float32")
    store = open_tif_store(path, SHAPE, "float32", overwrite=True)
    store.write(0, VALUES[0])
    store.close()
    assert path.read_text() == "precious"
    with pytest.raises(UserError, match="is a folder"):
        open_tif_store(tmp_path, SHAPE, "float32", overwrite=True)


def test_more_than_four_gigabytes_become_a_bigtiff(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_big(**options: Any) -> bool:
        store = open_tif_store(tmp_path / "out.tif", SHAPE, "float32", **options)
        with tifffile.TiffFile(tmp_path / ".out.tif.part") as file:
            big = file.is_bigtiff
        store.close()
        return big

    assert not is_big()
    monkeypatch.setattr(module, "_CLASSIC", 1000)
    assert is_big()
