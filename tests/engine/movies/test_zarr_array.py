from __future__ import annotations

import numpy as np
import pytest
import zarr

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import open_movie

MOVIE = np.random.default_rng(0).integers(0, 99, (6, 9, 7), dtype=np.uint16)


def scales(axes, **more):
    steps = {"fine": [5.0, 0.2, 0.1], "coarse": [5.0, 0.4, 0.2]}
    datasets = [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": step}]} for path, step in steps.items()
    ]
    return {"multiscales": [{"axes": axes, "datasets": datasets, **more}]}


def ome_zarr(path, attributes, version=3):
    group = zarr.create_group(path, attributes={"ome": attributes} if version == 3 else attributes, zarr_format=version)
    group.create_array("fine", data=MOVIE)
    group.create_array("coarse", data=MOVIE[:, ::2, ::2])
    return path


@pytest.mark.parametrize("version", [2, 3])
def test_scales_and_units_give_interval_and_pixel_size(tmp_path, version):
    axes = [
        {"name": "t", "type": "time", "unit": "minute"},
        {"name": "y", "type": "space", "unit": "micrometer"},
        {"name": "x", "type": "space", "unit": "millimeter"},
    ]
    whole = {"coordinateTransformations": [{"type": "scale", "scale": [2.0, 1.0, 3.0]}]}
    path = ome_zarr(tmp_path / "m.ome.zarr", scales(axes, **whole), version)

    movie = open_movie(path)

    assert movie.name == "m"
    assert movie.source == str(path)
    assert movie.shape == (6, 1, 9, 7)
    assert movie.interval == 600
    assert movie.pixel_size == pytest.approx((0.2, 300))


def test_axes_without_units_leave_the_scale_unknown(tmp_path):
    movie = open_movie(ome_zarr(tmp_path / "m.zarr", scales([{"name": name} for name in "tyx"])))

    assert (movie.interval, movie.pixel_size) == (None, None)


def test_an_image_inside_the_wrapping_of_a_converter_is_found(tmp_path):
    zarr.create_group(tmp_path / "m.zarr")
    ome_zarr(tmp_path / "m.zarr" / "0", scales([{"name": name} for name in "tyx"]))

    np.testing.assert_array_equal(open_movie(tmp_path / "m.zarr").frame(5)[0], MOVIE[5])
    assert open_movie(tmp_path / "m.zarr" / "0").name == "m_0"


def test_the_names_of_dimensions_are_taken_as_axes(tmp_path):
    swapped = MOVIE.transpose(2, 0, 1)
    zarr.create_array(tmp_path / "3.zarr", data=swapped, dimension_names=["x", "time", "y"])
    array = zarr.create_array(tmp_path / "2.zarr", data=swapped, zarr_format=2)
    array.attrs["_ARRAY_DIMENSIONS"] = ["x", "time", "y"]

    for name in ("2.zarr", "3.zarr"):
        np.testing.assert_array_equal(open_movie(tmp_path / name).frame(2)[0], MOVIE[2])


def test_chunks_longer_than_an_axis_of_length_one_do_not_mix_frames(tmp_path):
    zarr.create_array(tmp_path / "m.zarr", data=MOVIE[None], chunks=(4, 2, 9, 7), dimension_names=["z", "t", "y", "x"])
    movie = open_movie(tmp_path / "m.zarr")

    np.testing.assert_array_equal(np.stack([movie.frame(index)[0] for index in range(6)]), MOVIE)


def test_arrays_of_a_bare_group_are_named(tmp_path):
    group = zarr.create_group(tmp_path / "m.zarr")
    group.create_array("raw", data=MOVIE)
    group.create_array("masks", data=MOVIE)

    with pytest.raises(UserError, match=r"m\.zarr is a zarr group, not a movie.*m\.zarr/masks, m\.zarr/raw"):
        open_movie(tmp_path / "m.zarr")
    assert open_movie(tmp_path / "m.zarr" / "raw").shape == (6, 1, 9, 7)


def test_a_damaged_chunk_is_told_with_its_frame(tmp_path):
    zarr.create_array(tmp_path / "m.zarr", data=MOVIE, chunks=(1, 9, 7))
    (tmp_path / "m.zarr" / "c" / "4" / "0" / "0").write_bytes(b"torn")
    movie = open_movie(tmp_path / "m.zarr")

    np.testing.assert_array_equal(movie.frame(3)[0], MOVIE[3])
    with pytest.raises(UserError, match=r"Frame 4 of m\.zarr cannot be read"):
        movie.frame(4)


def reads_of(monkeypatch):
    read = []
    original = zarr.storage.LocalStore.get

    async def get(self, key, *args, **kwargs):
        read.append(key)
        return await original(self, key, *args, **kwargs)

    monkeypatch.setattr(zarr.storage.LocalStore, "get", get)
    return read


def test_only_the_chunk_of_the_frame_is_read(tmp_path, monkeypatch):
    zarr.create_array(tmp_path / "m.zarr", data=MOVIE, chunks=(1, 9, 7))
    movie = open_movie(tmp_path / "m.zarr")
    read = reads_of(monkeypatch)

    movie.frame(2)

    assert read == ["c/2/0/0"]


def test_a_chunk_of_many_frames_is_read_once_for_all_of_them(tmp_path, monkeypatch):
    zarr.create_array(tmp_path / "m.zarr", data=MOVIE, chunks=(4, 9, 7))
    movie = open_movie(tmp_path / "m.zarr")
    read = reads_of(monkeypatch)

    frames = [movie.frame(index) for index in range(6)]
    frames[0][:] = 0

    assert read == ["c/0/0/0", "c/1/0/0"]
    np.testing.assert_array_equal(np.stack(frames[1:])[:, 0], MOVIE[1:])
    np.testing.assert_array_equal(movie.frame(0)[0], MOVIE[0])
