from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.inference import AttributionMap
from napari_tarrow.engine.inference.stores.map_files import MapFiles
from napari_tarrow.engine.movies import Movie, open_movie

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def movie() -> Movie:
    return open_movie(np.random.default_rng(0).integers(0, 99, (5, 12, 9)).astype(np.uint8))


def some_map(first: int, delta: int = 1) -> AttributionMap:
    values = np.random.default_rng(first + 10 * delta).normal(size=(12, 9)).astype(np.float32)
    return AttributionMap((first, first + delta), values, delta=delta)


@pytest.mark.parametrize("format", ["tif", "ome-zarr"])
def test_maps_are_read_as_they_were_written(format, movie: Movie, tmp_path: Path) -> None:
    files = MapFiles(tmp_path, movie, (2, 1), format)
    for one in (some_map(0, 2), some_map(3), some_map(1)):  # in any order
        files.put(one)
    np.testing.assert_array_equal(files.read(1, 3), some_map(3).map)
    assert files.read(1, 0) is None
    assert files.read(2, 3) is None
    assert [map[0, 0] for map in files.maps(1)] == [some_map(1).map[0, 0], some_map(3).map[0, 0]]
    assert len(list(files.maps(1, at_most=1))) == 1
    files.close()

    np.testing.assert_array_equal(files.read(2, 0), some_map(0, 2).map)
    if format == "tif":
        stacks = [tifffile.imread(tmp_path / f"maps_delta{delta}.tif") for delta in (1, 2)]
    else:
        stacks = [zarr.open_array(tmp_path / f"maps_delta{delta}.ome.zarr" / "0")[:, 0] for delta in (1, 2)]
    for stack, firsts in zip(stacks, ((1, 3), (0,)), strict=True):
        assert stack.shape == (5, 12, 9)
        assert [t for t in range(5) if stack[t].any()] == list(firsts)


def test_normalised_maps_lie_between_their_percentiles(movie: Movie, tmp_path: Path) -> None:
    files = MapFiles(tmp_path, movie, (1,))
    for first in range(4):
        files.put(some_map(first))
    raw = np.stack([some_map(first).map for first in range(4)])

    scales = files.normalise()

    np.testing.assert_allclose(scales[1], np.percentile(raw, (0.1, 99.99)), rtol=1e-6)
    scaled = np.stack(list(files.maps(1)))
    np.testing.assert_allclose(np.percentile(scaled, (0.1, 99.99)), (0, 1), atol=1e-6)


def test_flat_maps_are_normalised_without_a_division_by_zero(movie: Movie, tmp_path: Path) -> None:
    files = MapFiles(tmp_path, movie, (1,))
    files.put(AttributionMap((0, 1), np.zeros((12, 9), np.float32)))
    assert files.normalise() == {1: (0.0, 0.0)}
    assert not files.read(1, 0).any()


def test_stacks_that_are_there_are_not_replaced_unasked(movie: Movie, tmp_path: Path) -> None:
    (tmp_path / "maps_delta1.tif").write_text("mine")
    with pytest.raises(UserError, match="there already"):
        MapFiles(tmp_path, movie, (1,))
    files = MapFiles(tmp_path, movie, (1,), overwrite=True)
    assert (tmp_path / "maps_delta1.tif").read_text() == "mine"  # until the new one is whole
    files.put(some_map(0))
    files.close()
    assert tifffile.imread(tmp_path / "maps_delta1.tif").shape == (5, 12, 9)


def test_maps_of_a_movie_of_every_second_frame_are_as_far_apart_in_time(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 99, (4, 12, 9)).astype(np.uint8)
    movie = replace(open_movie(frames, frame_numbers=[6, 8, 10, 12]), interval=5.0)
    MapFiles(tmp_path, movie, (2,), "ome-zarr").close()
    level = zarr.open_group(tmp_path / "maps_delta2.ome.zarr").attrs["ome"]["multiscales"][0]["datasets"][0]
    scale, translation = level["coordinateTransformations"]
    assert scale["scale"][0] == 10.0
    assert translation["translation"][0] == 30.0
