from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import open_movie


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 4000, (20, 32, 48), dtype=np.uint16)


def test_reading_one_frame_decodes_only_its_page(frames, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "m.tif", frames, compression="zlib")
    read = []
    for kind in (tifffile.TiffPage, tifffile.TiffFrame):
        original = kind.asarray
        monkeypatch.setattr(
            kind,
            "asarray",
            lambda self, *a, _original=original, **k: (read.append(self.index), _original(self, *a, **k))[1],
        )

    movie = open_movie(tmp_path / "m.tif")
    assert read == []
    movie.frame(7)

    assert set(read) == {7}


def test_reading_one_frame_of_a_plain_stack_reads_only_its_bytes(frames, tmp_path, monkeypatch):
    tifffile.imwrite(tmp_path / "m.tif", frames, imagej=True, metadata={"axes": "TYX"})
    movie = open_movie(tmp_path / "m.tif")
    sizes = []
    original = tifffile.FileHandle.read
    monkeypatch.setattr(
        tifffile.FileHandle, "read", lambda self, size=-1: (sizes.append(size), original(self, size))[1]
    )

    movie.frame(13)

    assert sizes == [frames[0].nbytes]


@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "predictor": True}, {"tile": (16, 16)}])
def test_many_threads_read_the_right_frames(frames, tmp_path, options):
    tifffile.imwrite(tmp_path / "m.tif", frames, **options)
    movie = open_movie(tmp_path / "m.tif")

    order = np.random.default_rng(0).integers(0, 20, 400).tolist()
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(movie.frame, order))

    assert all((one[0] == frames[index]).all() for one, index in zip(read, order, strict=True))


def test_ome_metadata_give_interval_and_pixel_size(frames, tmp_path):
    metadata = {
        "axes": "TYX",
        "TimeIncrement": 2.5,
        "TimeIncrementUnit": "min",
        "PhysicalSizeX": 650.0,
        "PhysicalSizeXUnit": "nm",
        "PhysicalSizeY": 0.5,
        "PhysicalSizeYUnit": "µm",
    }
    tifffile.imwrite(tmp_path / "m.ome.tif", frames, metadata=metadata)

    movie = open_movie(tmp_path / "m.ome.tif")

    assert movie.name == "m"
    assert movie.interval == 150
    assert movie.pixel_size == pytest.approx((0.5, 0.65))


@pytest.mark.parametrize(("unit", "micrometres"), [("um", 0.5), ("\\u00B5m", 0.5), ("micron", 0.5), ("mm", 500)])
def test_imagej_metadata_give_interval_and_pixel_size(frames, tmp_path, unit, micrometres):
    metadata = {"axes": "TYX", "finterval": 30.0, "unit": unit}
    tifffile.imwrite(tmp_path / "m.tif", frames, imagej=True, resolution=(2, 4), metadata=metadata)

    movie = open_movie(tmp_path / "m.tif")

    assert movie.interval == 30
    assert movie.pixel_size == pytest.approx((micrometres / 2, micrometres))


def test_what_the_file_does_not_say_stays_unknown(frames, tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", frames, resolution=(72, 72), resolutionunit="INCH")
    tifffile.imwrite(tmp_path / "pixels.tif", frames, imagej=True, metadata={"axes": "TYX", "unit": "pixel"})

    for name in ("plain.tif", "pixels.tif"):
        movie = open_movie(tmp_path / name)
        assert movie.interval is None
        assert movie.pixel_size is None


def test_slices_of_imagej_become_time_when_the_user_says_so(frames, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", frames, imagej=True, metadata={"axes": "ZYX"})

    with pytest.raises(UserError, match=r"The axes ZYX call the 20 pictures of m\.tif Z slices"):
        open_movie(tmp_path / "m.tif", axes="ZYX")
    with pytest.raises(UserError, match=r"ImageJ calls the 20 pictures of m\.tif Z slices.*axes TYX"):
        open_movie(tmp_path / "m.tif")
    movie = open_movie(tmp_path / "m.tif", axes="TYX")

    np.testing.assert_array_equal(movie.frame(3)[0], frames[3])


def test_planes_that_tifffile_takes_for_colours_become_time_when_the_user_says_so(frames, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", frames[:3], photometric="rgb", planarconfig="separate")

    movie = open_movie(tmp_path / "m.tif", axes="tyx")

    assert movie.shape == (3, 1, 32, 48)
    np.testing.assert_array_equal(movie.frame(2)[0], frames[2])


def test_fewer_pages_than_the_description_says_are_noticed(frames, tmp_path):
    description = "ImageJ=1.54f\nimages=30\nframes=30\nhyperstack=true\n"
    tifffile.imwrite(tmp_path / "m.tif", frames, description=description, metadata=None, compression="zlib")

    with pytest.raises(UserError, match=r"m\.tif is cut off: it should hold 30 pictures"):
        open_movie(tmp_path / "m.tif")


def test_several_series_are_named(frames, tmp_path):
    with tifffile.TiffWriter(tmp_path / "m.tif") as writer:
        writer.write(frames)
        writer.write(frames[:, :16])

    with pytest.raises(UserError, match=r"m\.tif holds 2 series: 0 \(20 x 32 x 48, QYX\), 1 \(20 x 16 x 48, QYX\)"):
        open_movie(tmp_path / "m.tif")


def test_a_damaged_page_is_named_when_it_is_read(frames, tmp_path):
    tifffile.imwrite(tmp_path / "m.tif", frames, compression="zlib")
    with tifffile.TiffFile(tmp_path / "m.tif") as file:
        at = file.pages[4].dataoffsets[0]
    with (tmp_path / "m.tif").open("r+b") as file:
        file.seek(at)
        file.write(b"\0" * 40)
    movie = open_movie(tmp_path / "m.tif")

    np.testing.assert_array_equal(movie.frame(3)[0], frames[3])
    with pytest.raises(UserError, match=r"Frame 4 of m\.tif cannot be read"):
        movie.frame(4)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.5, 0.8, 0.97, 0.999])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "TYX"}},
        {"ome": True, "metadata": {"axes": "TYX"}},
        {"metadata": None, "compression": "zlib"},
        {"imagej": True, "metadata": {"axes": "TYX"}, "contiguous": True, "truncate": True},
    ],
    ids=["plain", "compressed", "imagej", "ome", "bare", "imagej one page"],
)
def test_a_file_that_was_cut_off_is_refused_unless_all_pixels_are_there(frames, tmp_path, options, kept, caplog):
    tifffile.imwrite(tmp_path / "m.tif", frames, **options)
    whole = (tmp_path / "m.tif").read_bytes()
    (tmp_path / "m.tif").write_bytes(whole[: int(kept * len(whole))])

    read = []
    with contextlib.suppress(UserError):
        movie = open_movie(tmp_path / "m.tif")
        read = [movie.frame(index)[0] for index in range(len(movie))]

    if kept * len(whole) > frames.nbytes and "compression" not in options and read:
        np.testing.assert_array_equal(read, frames)  # only directories are gone, which not every reader needs
    else:
        with pytest.raises(UserError, match=r"m\.tif (is cut off|is damaged|cannot be read).* again"):
            open_movie(tmp_path / "m.tif")
    assert caplog.text == ""
