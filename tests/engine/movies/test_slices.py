"""Movies with Z slices: one picture of them is what everybody else sees."""

from __future__ import annotations

import dask.array
import numpy as np
import pytest
import tifffile
import zarr

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies.tif_planes import Planes

VOLUMES = np.random.default_rng(0).integers(0, 4000, (4, 5, 20, 24)).astype(np.uint16)  # TZYX
PICTURES = {"max": VOLUMES.max(axis=1), "mean": VOLUMES.mean(axis=1), 0: VOLUMES[:, 0], 2: VOLUMES[:, 2]}


def tif(path, volumes=VOLUMES, name="m.tif", **options):
    tifffile.imwrite(path / name, volumes, **options)
    return path / name


def folder(path, **options):
    for index, volume in enumerate(VOLUMES):
        tifffile.imwrite(path / f"t{index}.tif", volume, **options)
    return path


def zarr_array(path, names, volumes=VOLUMES):
    zarr.create_array(path / "m.zarr", data=volumes, chunks=(2, *volumes.shape[1:]), dimension_names=names)
    return path / "m.zarr"


FORMATS = {
    "imagej": lambda p: (tif(p, imagej=True, metadata={"axes": "TZYX"}), {}),
    "ome": lambda p: (tif(p, name="m.ome.tif", metadata={"axes": "TZYX"}, compression="zlib"), {}),
    "slices of all times": lambda p: (tif(p, VOLUMES.swapaxes(0, 1), name="m.ome.tif", metadata={"axes": "ZTYX"}), {}),
    "pages that nothing names": lambda p: (tif(p), {"axes": "TZYX"}),
    "slices inside a page": lambda p: (
        tif(p, volumetric=True, tile=(1, 16, 16), photometric="minisblack"),
        {"axes": "TZYX"},
    ),
    "folder": lambda p: (folder(p, imagej=True, metadata={"axes": "ZYX"}), {"axes": "TZYX"}),
    "folder of what says so": lambda p: (folder(p, ome=True, metadata={"axes": "ZYX"}), {}),
    "folder of what nothing names": lambda p: (folder(p), {"axes": "TZYX"}),
    "zarr": lambda p: (zarr_array(p, ["time", "z", "y", "x"]), {}),
    "zarr that ends in z": lambda p: (zarr_array(p, ["t", "y", "x", "z"], np.moveaxis(VOLUMES, 1, -1)), {}),
    "five axes in memory": lambda p: (VOLUMES[:, None], {}),
    "dask": lambda p: (dask.array.from_array(VOLUMES, chunks=(1, 1, 20, 24)), {"axes": "tzyx"}),
}


@pytest.mark.parametrize("format", FORMATS)
def test_frames_are_one_picture_of_the_slices_however_they_were_saved(format, tmp_path):
    source, options = FORMATS[format](tmp_path)
    movie = open_movie(source, **options)
    assert movie.shape == (4, 1, 20, 24)
    assert movie.slices == 5
    for z, wanted in PICTURES.items():
        flat = movie.flat(z)
        assert flat.dtype == (np.float32 if z == "mean" else np.uint16)
        frames = np.concatenate([flat.frame(index) for index in range(4)])
        np.testing.assert_array_equal(frames, wanted.astype(flat.dtype))


@pytest.mark.parametrize("axes", ["TZCYX", "TCZYX"])
def test_channels_keep_their_slices(axes, tmp_path):
    volumes = np.stack([VOLUMES, 5000 - VOLUMES], axis=axes.index("C"))
    tifffile.imwrite(tmp_path / "m.ome.tif", volumes, metadata={"axes": axes})
    both, first = (open_movie(tmp_path / "m.ome.tif", channels=channels) for channels in (2, 1))
    assert both.shape == (4, 2, 20, 24)
    np.testing.assert_array_equal(both.frame(1), [PICTURES["max"][1], 5000 - VOLUMES[1].min(axis=0)])
    np.testing.assert_array_equal(open_movie(both, channels=1).frame(1), first.frame(1))


def test_what_a_network_wants_decides_on_the_slices():
    movie = open_movie(VOLUMES, axes="TZYX")
    plain = open_movie(PICTURES["mean"].astype(np.float32))
    prepared, wanted = PreparedMovie(movie, Preparation(z="mean")), PreparedMovie(plain, Preparation())
    np.testing.assert_array_equal(prepared.frame(2), wanted.frame(2))
    again = PreparedMovie(prepared.movie, Preparation(z=1))
    np.testing.assert_array_equal(again.movie.frame(2)[0], VOLUMES[2, 1])
    assert again.dtype == np.uint16


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (
            None,
            r"ImageJ calls the 5 pictures of t0\.tif Z slices\. If each .* --axes TZYX; if each is a movie, .*level 1",
        ),
        ("TYX", r"ImageJ calls the 5 pictures of t0\.tif Z slices"),
    ],
)
def test_movies_in_a_folder_are_no_volumes_unless_somebody_says_so(axes, said, tmp_path):
    with pytest.raises(UserError, match=said):
        open_movie(folder(tmp_path, imagej=True, metadata={"axes": "ZYX"}), axes=axes)


def test_axes_that_a_folder_cannot_have_are_told(tmp_path):
    with pytest.raises(
        UserError, match=r"t0\.tif is 5 x 20 x 24, and of the axes given a file has all but time, YX\. Give"
    ):
        open_movie(folder(tmp_path), axes="TYX")


@pytest.mark.parametrize("axes", ["TZYY", "TAYX", "TZCY"])
def test_letters_that_no_picture_has_are_told(axes, tmp_path):
    with pytest.raises(UserError, match=rf"all but time, {axes[1:]}\. Give one letter"):
        open_movie(folder(tmp_path), axes=axes)


def test_pictures_that_name_their_axes_keep_them(tmp_path):
    colours = np.random.default_rng(0).integers(0, 255, (3, 20, 24, 3)).astype(np.uint8)
    for index, picture in enumerate(colours):
        tifffile.imwrite(tmp_path / f"t{index}.tif", picture, photometric="rgb")
    movie = open_movie(tmp_path, channels=3, axes="TCYX")
    np.testing.assert_array_equal(movie.frame(1), np.moveaxis(colours[1], -1, 0))


def test_no_slices_at_all_are_told():
    with pytest.raises(UserError, match="array is empty: its shape is 4 x 0 x 20 x 24"):
        open_movie(VOLUMES[:, :0], axes="TZYX")


def test_the_bytes_of_a_frame_are_those_that_are_read():
    movie = open_movie(VOLUMES, axes="TZYX")
    assert movie.frame_bytes == movie.flat("mean").frame_bytes == 5 * 20 * 24 * 2
    assert movie.flat(3).frame_bytes == 20 * 24 * 2


def test_of_one_slice_no_other_is_read(tmp_path, monkeypatch):
    asked = Asked(VOLUMES)
    open_movie(asked, axes="TZYX").flat(2).frame(1)
    assert asked.keys == [(1, slice(2, 3), slice(None), slice(None))]

    movie = open_movie(tif(tmp_path, name="m.ome.tif", metadata={"axes": "TZYX"}, compression="zlib")).flat(2)
    pages = []
    read = Planes.read
    monkeypatch.setattr(Planes, "read", lambda planes, number: pages.append(number) or read(planes, number))
    movie.frame(1)
    assert pages == [1 * 5 + 2]


class Asked:
    """An array that keeps what it was asked for."""

    def __init__(self, array):
        self.array, self.shape, self.dtype, self.keys = array, array.shape, array.dtype, []

    def __getitem__(self, key):
        self.keys.append(key)
        return self.array[key]


def test_a_slice_that_is_not_there_is_told_where_there_are_slices():
    movie = open_movie(VOLUMES, axes="TZYX")
    with pytest.raises(UserError, match=r"array has 5 Z slices, numbered 0 to 4, and z is 5\. Give one"):
        PreparedMovie(movie, Preparation(z=5))
    assert PreparedMovie(open_movie(VOLUMES[:, 0]), Preparation(z=5)).shape == (4, 1, 20, 24)


@pytest.mark.parametrize("wrong", ["min", -1, 1.0, None, True])
def test_anything_else_is_refused(wrong):
    for refuse in (lambda: Preparation(z=wrong), lambda: open_movie(VOLUMES, axes="TZYX").flat(wrong)):
        with pytest.raises(UserError, match="Give max, mean, or the number"):
            refuse()


def test_a_frame_with_other_slices_than_promised_is_told():
    movie = open_movie(VOLUMES, axes="TZYX")
    object.__setattr__(movie, "slices", 6)
    with pytest.raises(UserError, match=r"Frame 0 of array is 1 x 5 x 20 x 24 \(channels, slices, height, width\)"):
        movie.frame(0)
