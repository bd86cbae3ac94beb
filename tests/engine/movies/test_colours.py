"""Which channels are colours: those of coloured pictures, however these were saved."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_tarrow.engine.movies import open_movie

LAST = np.random.default_rng(0).integers(0, 255, (4, 20, 24, 3)).astype(np.uint8)  # TYXC
FIRST = np.ascontiguousarray(np.moveaxis(LAST, -1, 1))


def tif(path, movie, name="m.tif", **options):
    tifffile.imwrite(path / name, movie, **options)
    return path / name


def folder(path, *endings):
    for index, frame in enumerate(LAST):
        Image.fromarray(frame).save(path / f"t{index}.{endings[index % len(endings)]}")
    return path


@pytest.mark.parametrize(
    ("source", "axes"),
    [
        (lambda p: tif(p, LAST, photometric="rgb"), None),
        (lambda p: tif(p, FIRST, photometric="rgb", planarconfig="separate"), None),
        (lambda p: tif(p, LAST, photometric="rgb"), "TYXC"),
        (lambda p: folder(p, "tif"), None),
        (lambda p: folder(p, "png"), None),
        (lambda p: folder(p, "png", "tif"), None),
        (lambda p: LAST, "TYXS"),
        (lambda p: LAST[None], "TYXS"),
        (lambda p: LAST[:, None], "TCYXS"),
        (lambda p: zarr.create_array(p / "m.zarr", data=LAST), "TYXS"),
    ],
)
def test_coloured_frames(source, axes, tmp_path):
    movie = open_movie(source(tmp_path), channels=3, axes=axes)
    assert movie.colours
    assert not movie.guessed
    np.testing.assert_array_equal(movie.frame(2), FIRST[2])


@pytest.mark.parametrize(
    ("source", "axes"),
    [
        (lambda p: FIRST, None),
        (lambda p: FIRST[:, None, :, None], "TCYX"),  # more axes than anybody guesses
        (lambda p: tif(p, FIRST, imagej=True, metadata={"axes": "TCYX"}), None),
    ],
)
def test_other_channels(source, axes, tmp_path):
    movie = open_movie(source(tmp_path), channels=3, axes=axes)
    assert not movie.colours
    assert movie.guessed == (axes is None and not list(tmp_path.iterdir()))
    np.testing.assert_array_equal(movie.frame(2), FIRST[2])


def test_a_folder_may_hold_colours_and_channels(tmp_path):
    for index, frame in enumerate(LAST):
        if index % 2:
            tifffile.imwrite(tmp_path / f"t{index}.tif", FIRST[index], imagej=True, metadata={"axes": "CYX"})
        else:
            tifffile.imwrite(tmp_path / f"t{index}.tif", frame, photometric="rgb")
    np.testing.assert_array_equal(open_movie(tmp_path, channels=3).frame(1), FIRST[1])
