"""One channel of movies that have several: what a movie of that channel alone shows."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import Preparation, PreparedMovie, fingerprint, open_movie
from napari_tarrow.engine.movies.tif_planes import Planes

COLOURS = np.random.default_rng(0).integers(0, 255, (4, 3, 20, 24)).astype(np.uint8)  # TCYX
LAST = np.moveaxis(COLOURS, 1, -1)  # TYXC


def tif(path, movie, name="m.tif", **options):
    tifffile.imwrite(path / name, movie, **options)
    return path / name


def folder(path, ending):
    for index, frame in enumerate(LAST):
        Image.fromarray(frame).save(path / f"t{index}.{ending}")
    return path


def zarr_array(path):
    zarr.create_array(path / "m.zarr", data=COLOURS, chunks=(2, 1, 20, 24), dimension_names=["t", "c", "y", "x"])
    return path / "m.zarr"


FORMATS = {
    "imagej": lambda p: tif(p, COLOURS, imagej=True, metadata={"axes": "TCYX"}),
    "ome, channels first": lambda p: tif(p, COLOURS.swapaxes(0, 1), "m.ome.tif", metadata={"axes": "CTYX"}),
    "colours": lambda p: tif(p, LAST, photometric="rgb"),
    "planes of colours": lambda p: tif(p, COLOURS, photometric="rgb", planarconfig="separate"),
    "folder of tif": lambda p: folder(p, "tif"),
    "folder of png": lambda p: folder(p, "png"),
    "zarr": zarr_array,
    "in memory": lambda p: COLOURS,
    "dask": lambda p: dask.array.from_array(COLOURS, chunks=(1, 1, 20, 24)),
    "open already": lambda p: open_movie(COLOURS, channels=3),
}


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("format", FORMATS)
def test_a_channel_is_the_movie_of_that_channel_however_it_was_saved(format, channels, tmp_path):
    source = FORMATS[format](tmp_path)
    for channel in range(3):
        movie, alone = open_movie(source, channels=channels, channel=channel), open_movie(COLOURS[:, channel])
        assert movie.channel == channel
        assert movie.shape == (4, 1, 20, 24)
        assert fingerprint(movie, whole=True) == fingerprint(alone, whole=True)
    with pytest.raises(UserError, match=r"has 3 channels, numbered 0 to 2, and channel is 3\. Give one of these\.$"):
        open_movie(source, channel=3)


@pytest.mark.parametrize("axes", ["TZCYX", "TCZYX"])
def test_a_channel_keeps_its_slices(axes, tmp_path):
    volumes = np.stack([COLOURS, 255 - COLOURS], axis=axes.index("C"))
    tifffile.imwrite(tmp_path / "m.ome.tif", volumes, metadata={"axes": axes})
    movie = open_movie(tmp_path / "m.ome.tif", channel=1)
    assert movie.slices == 3
    np.testing.assert_array_equal(movie.frame(1)[0], 255 - COLOURS[1].min(axis=0))
    np.testing.assert_array_equal(movie.flat(2).frame(3)[0], 255 - COLOURS[3, 2])


def test_no_other_channel_is_read(tmp_path, monkeypatch):
    numbers = []
    read = Planes.read
    monkeypatch.setattr(Planes, "read", lambda planes, number: numbers.append(number) or read(planes, number))
    open_movie(tif(tmp_path, COLOURS, imagej=True, metadata={"axes": "TCYX"}), channel=2).frame(1)
    assert numbers == [5]


@pytest.mark.parametrize("channels", [0, 1])
def test_a_movie_of_one_channel_stays_as_it_is(channels, tmp_path):
    for source in (
        COLOURS[:, 0],
        COLOURS[:, :1],
        open_movie(COLOURS[:, 0]),
        tif(tmp_path, COLOURS[:, 0], photometric="minisblack"),
    ):
        movie = open_movie(source, channels=channels, channel=2)
        assert movie.channel is None
        np.testing.assert_array_equal(movie.frame(1)[0], COLOURS[1, 0])
        assert PreparedMovie(movie, Preparation(channels=channels, channel=2)).shape == (4, 1, 20, 24)


@pytest.mark.parametrize("wrong", [-1, "1", 1.5, True])
def test_what_is_no_number_of_a_channel_is_told(wrong):
    for refuse in (lambda: Preparation(channel=wrong), lambda: open_movie(COLOURS, channel=wrong)):
        with pytest.raises(UserError, match=rf"channel is {wrong!r}\. Give the number of the only channel"):
            refuse()


def test_another_channel_than_the_network_wants_is_refused():
    wanted = Preparation(channels=2, channel=1)
    assert wanted.taken == 1
    assert PreparedMovie(open_movie(COLOURS, channel=1), wanted).shape == (4, 1, 20, 24)
    for movie, was in (
        (open_movie(COLOURS, channel=2), "channel 2"),
        (open_movie(COLOURS, channels=1), "channel 0"),
        (open_movie(COLOURS, channels=2), "2 channels"),
    ):
        with pytest.raises(UserError, match=rf"opened with {was}, but channel 1 is wanted\. Open it with channel 1\.$"):
            PreparedMovie(movie, wanted)


def test_a_movie_opened_with_another_channel_is_not_taken_for_it():
    movie = open_movie(COLOURS, channel=1)
    assert open_movie(movie, channel=1) is movie
    with pytest.raises(UserError, match=r"was opened with channel 1, and channel is 2\. Open it again\.$"):
        open_movie(movie, channel=2)


@pytest.mark.parametrize("odd", [0, 2])
@pytest.mark.parametrize("options", [{"channel": 1}, {"channels": 1}])
def test_grey_pictures_among_colours_are_told(odd, options, tmp_path):
    Image.fromarray(COLOURS[odd, 0]).save(folder(tmp_path, "png") / f"t{odd}.png")
    with pytest.raises(UserError, match=r"uint8 with [13] channels?, but t0\.png is uint8 with [31] channels?\. Save"):
        open_movie(tmp_path, **options)
