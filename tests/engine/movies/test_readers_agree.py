"""A law: however a movie was saved, its frames are the same."""

from __future__ import annotations

import tempfile
from pathlib import Path

import dask.array
import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from napari_tarrow.engine.movies import fingerprint, open_movie


def tif(path, movie, **options):
    tifffile.imwrite(path / "m.tif", movie, **options)
    return path / "m.tif"


def ome_tif(path, movie, **options):
    tifffile.imwrite(path / "m.ome.tif", movie, metadata={"axes": "TYX"}, **options)
    return path / "m.ome.tif"


def tif_written_in_a_loop(path, movie):
    with tifffile.TiffWriter(path / "m.tif") as writer:
        for frame in movie:
            writer.write(frame, compression="zlib")
    return path / "m.tif"


def pyramid(path, movie):
    with tifffile.TiffWriter(path / "m.ome.tif") as writer:
        writer.write(movie, subifds=1, tile=(16, 16), metadata={"axes": "TYX"})
        writer.write(movie[:, ::2, ::2], subfiletype=1, tile=(16, 16))
    return path / "m.ome.tif"


def folder_of_tif(path, movie):
    for index, frame in enumerate(movie):
        tifffile.imwrite(path / f"t{index:03d}.tif", frame)
    return path


def folder_of_png(path, movie):
    for index, frame in enumerate(movie):
        Image.fromarray(frame).save(path / f"frame {index}.PNG", format="png")
    return path


def zarr_array(path, movie, version):
    zarr.create_array(path / "m.zarr", data=movie, chunks=(1, *movie.shape[1:]), zarr_format=version)
    return path / "m.zarr"


def ome_zarr(path, movie, version):
    scales = {
        "axes": [{"name": name, "type": "time" if name == "t" else "space"} for name in "tczyx"],
        "datasets": [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0] * 5}]}],
    }
    inner = {"multiscales": [scales], "version": version}
    attributes = {"ome": inner} if version == "0.5" else inner
    zarr_format = 3 if version == "0.5" else 2
    group = zarr.create_group(path / "m.ome.zarr", attributes=attributes, zarr_format=zarr_format)
    group.create_array("0", data=movie[:, None, None])
    return path / "m.ome.zarr"


FORMATS = {
    "tif": tif,
    "big-endian": lambda path, movie: tif(path, movie, byteorder=">"),
    "deflate with predictor": lambda path, movie: tif(path, movie, compression="zlib", predictor=True),
    "lzw strips": lambda path, movie: tif(path, movie, compression="lzw", rowsperstrip=3),
    "bigtiff tiles": lambda path, movie: tif(path, movie, bigtiff=True, tile=(16, 16), compression="zstd"),
    "no metadata": lambda path, movie: tif(path, movie, metadata=None),
    "imagej": lambda path, movie: tif(path, movie, imagej=True, metadata={"axes": "TYX"}),
    "imagej, first page only": lambda path, movie: tif(
        path, movie, imagej=True, metadata={"axes": "TYX"}, contiguous=True, truncate=True
    ),
    "ome": ome_tif,
    "ome compressed": lambda path, movie: ome_tif(path, movie, compression="zlib"),
    "ome pyramid": pyramid,
    "tif in a loop": tif_written_in_a_loop,
    "folder of tif": folder_of_tif,
    "folder of png": folder_of_png,
    "zarr 2": lambda path, movie: zarr_array(path, movie, 2),
    "zarr 3": lambda path, movie: zarr_array(path, movie, 3),
    "ome-zarr 0.4": lambda path, movie: ome_zarr(path, movie, "0.4"),
    "ome-zarr 0.5": lambda path, movie: ome_zarr(path, movie, "0.5"),
    "numpy": lambda path, movie: movie,
    "other byte order": lambda path, movie: movie.astype(">u2"),
    "list": lambda path, movie: list(movie),
    "dask": lambda path, movie: dask.array.from_array(movie, chunks=(1, 5, -1)),
    "zarr in memory": lambda path, movie: zarr.array(movie),
    "movie": lambda path, movie: open_movie(movie),
}


@pytest.mark.parametrize("form", FORMATS)
def test_a_movie_reads_the_same_in_every_format(form, tmp_path):
    expected = np.random.default_rng(0).integers(0, 2**16, (12, 37, 45), dtype=np.uint16)

    movie = open_movie(FORMATS[form](tmp_path, expected))

    assert movie.shape == (12, 1, 37, 45)
    assert movie.dtype == np.uint16
    assert movie.dtype.isnative
    assert movie.frame_numbers.tolist() == list(range(12))
    for index in (11, 0, 5):
        frame = movie.frame(index)
        assert frame.dtype == np.uint16
        assert frame.dtype.isnative
        assert frame.flags.c_contiguous
        np.testing.assert_array_equal(frame[0], expected[index])
    assert fingerprint(movie) == fingerprint(open_movie(expected))


@settings(deadline=None, max_examples=15)
@given(
    movie=npst.arrays(
        dtype=st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64]),
        shape=st.tuples(st.integers(2, 5), st.integers(2, 20), st.integers(2, 20)),
        elements=st.integers(0, 100),
    )
)
def test_any_type_and_size_reads_the_same_from_tif_and_zarr_and_memory(movie):
    plain = {"photometric": "minisblack"}  # tifffile would take a shape such as (3, 20, 20) for colours
    writers = {
        "tif": lambda path: tif(path, movie, **plain),
        "compressed": lambda path: tif(path, movie, compression="zlib", **plain),
        "ome": lambda path: ome_tif(path, movie, compression="zlib", **plain),
        "folder": lambda path: folder_of_tif(path, movie),
        "zarr 2": lambda path: zarr_array(path, movie, 2),
        "zarr 3": lambda path: zarr_array(path, movie, 3),
        "numpy": lambda path: movie,
    }
    with tempfile.TemporaryDirectory() as folder:
        for form, write in writers.items():
            (Path(folder) / form).mkdir()
            opened = open_movie(write(Path(folder) / form))
            assert opened.dtype == movie.dtype
            read = np.stack([opened.frame(index)[0] for index in range(len(opened))])
            np.testing.assert_array_equal(read, movie)
            del opened  # closes the file, which Windows wants before it is removed


CHANNEL_FORMS = {
    "tcyx array": lambda path, movie: (movie, None),
    "ctyx array": lambda path, movie: (movie.swapaxes(0, 1), "CTYX"),
    "tyxc array": lambda path, movie: (np.moveaxis(movie, 1, -1), "TYXC"),
    "imagej": lambda path, movie: (tif(path, movie, imagej=True, metadata={"axes": "TCYX"}), None),
    "tcyx tif": lambda path, movie: (
        tif(path, movie, metadata={"axes": "TCYX"}, photometric="minisblack"),
        None,
    ),
    "ome, channels first": lambda path, movie: (
        tif(path, np.ascontiguousarray(movie.swapaxes(0, 1)), ome=True, metadata={"axes": "CTYX"}),
        None,
    ),
    "compressed, channels first": lambda path, movie: (
        tif(path, movie.swapaxes(0, 1), metadata={"axes": "CTYX"}, compression="zlib", photometric="minisblack"),
        None,
    ),
    "rgb": lambda path, movie: (tif(path, np.moveaxis(movie, 1, -1), photometric="rgb"), None),
    "rgb planes": lambda path, movie: (tif(path, movie, photometric="rgb", planarconfig="separate"), None),
    "folder of rgb": lambda path, movie: (folder_of_tif(path, np.moveaxis(movie, 1, -1)), None),
    "folder of channel stacks": lambda path, movie: (folder_of_stacks(path, movie), None),
    "zarr": lambda path, movie: (
        zarr.create_array(path / "m.zarr", data=movie, dimension_names=["time", "channel", "y", "x"]),
        None,
    ),
}


def folder_of_stacks(path, movie):
    for index, frame in enumerate(movie):
        tifffile.imwrite(path / f"t{index:03d}.tif", frame, photometric="minisblack")
    return path


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("form", CHANNEL_FORMS)
def test_channels_are_the_leading_ones_wherever_their_axis_lies(form, channels, tmp_path):
    expected = np.random.default_rng(1).integers(0, 2**16, (4, 3, 21, 17), dtype=np.uint16)
    source, axes = CHANNEL_FORMS[form](tmp_path, expected)

    movie = open_movie(source, channels=channels, axes=axes)

    assert movie.shape == (4, channels, 21, 17)
    for index in range(4):
        np.testing.assert_array_equal(movie.frame(index), expected[index, :channels])
