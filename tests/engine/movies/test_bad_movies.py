"""Whatever is wrong with a movie, the user reads one sentence: what, where, and what to do."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import zarr
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie

PIXELS = np.random.default_rng(0).integers(1, 999, (6, 20, 24), dtype=np.uint16)
FRAME = PIXELS[0]


def tif(path, data=PIXELS, **options):
    tifffile.imwrite(path / "movie.tif", data, **options)
    return path / "movie.tif"


def raw(path, name, content):
    (path / name).write_bytes(content)
    return path / name


def folder(path, *names):
    for name in names:
        if name.endswith("tif"):
            tifffile.imwrite(path / name, FRAME)
        else:
            Image.fromarray((FRAME // 4).astype(np.uint8)).save(path / name)
    return path


def cut(path, share):
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    return path


def two_series(path):
    with tifffile.TiffWriter(path / "movie.tif") as writer:
        writer.write(PIXELS)
        writer.write(PIXELS[:, :8])
    return path / "movie.tif"


def group(path, attributes=None, **arrays):
    made = zarr.create_group(path / "movie.zarr", attributes=attributes or {})
    for name, data in arrays.items():
        made.create_array(name, data=data)
    return path / "movie.zarr"


def multiscales(axes, *images):
    return {"ome": {"multiscales": [{"axes": [{"name": a} for a in axes], "datasets": [{"path": i}]} for i in images]}}


def with_bad_jpeg(path):
    folder(path, "t0.jpg", "t1.jpg")
    cut(path / "t1.jpg", 0.02)
    return path


def with_bad_png_header(path):
    folder(path, "t0.png", "t1.png")
    raw(path, "t1.png", b"\x89PNG\r\n\x1a\n")
    return path


def with_frame(path, frame, **options):
    folder(path, "t0.tif", "t1.tif")
    tifffile.imwrite(path / "t2.tif", frame, **options)
    return path


def numbers(path, content):
    raw(path, "numbers.txt", content)
    return tif(path)


def linked(path):
    (path / "loop.tif").symlink_to("loop.tif")
    return path / "loop.tif"


class Lazy:
    def __init__(self, shape, dtype="u2"):
        self.shape, self.dtype = shape, dtype

    def __getitem__(self, selection):
        return np.ones((4, 4), "u2")


# What is given (a function of an empty folder), options of open_movie, and what the message must say.
AT_OPENING = {
    "missing path": (lambda p: p / "movie.tif", {}, r"movie\.tif does not exist. Check the path"),
    "misspelt path": (
        lambda p: tif(p).with_name("moive.tif"),
        {},
        r"moive\.tif does not exist. Did you mean movie\.tif",
    ),
    "empty file": (lambda p: raw(p, "movie.tif", b""), {}, r"movie\.tif is empty \(0 bytes\)"),
    "text called tif": (lambda p: raw(p, "movie.tif", b"hello, this is text"), {}, r"movie\.tif cannot be read as tif"),
    "header only": (lambda p: raw(p, "movie.tif", b"II*\0\0\0\0\0"), {}, r"movie\.tif (holds no|is damaged|cannot)"),
    "truncated tif": (lambda p: cut(tif(p), 0.5), {}, r"movie\.tif is (cut off|damaged)"),
    "truncated compressed tif": (
        lambda p: cut(tif(p, compression="zlib"), 0.9),
        {},
        r"movie\.tif is (cut off|damaged)",
    ),
    "one picture": (lambda p: tif(p, FRAME), {}, r"movie\.tif is one picture, not a movie"),
    "two axes in memory": (lambda p: FRAME, {}, "array is one picture, not a movie"),
    "one frame": (lambda p: PIXELS[:1], {}, "array is one picture, not a movie"),
    "no frames": (lambda p: PIXELS[:0], {}, "array is empty: its shape is 0 x 20 x 24"),
    "no pixels": (lambda p: PIXELS[:, :0], {}, "array is empty: its shape is 6 x 0 x 24"),
    "a video": (lambda p: raw(p, "movie.avi", b"RIFF"), {}, r"movie\.avi is no format that is read here. Convert"),
    "a single png": (lambda p: folder(p, "t0.png") / "t0.png", {}, r"t0\.png is one picture.*folder"),
    "imagej slices": (lambda p: tif(p, imagej=True, metadata={"axes": "ZYX"}), {}, r"movie\.tif Z slices.*--axes TYX"),
    "six axes": (lambda p: PIXELS.reshape(6, 1, 1, 1, 20, 24), {}, "array has 6 axes"),
    "one axis": (lambda p: PIXELS.ravel(), {}, "array has 1 axes"),
    "several series": (two_series, {}, r"movie\.tif holds 2 series: .*Save the one you want"),
    "channels not asked for": (
        lambda p: PIXELS.reshape(2, 3, 20, 24),
        {},
        "array has 3 channels. Give channels 3 .*Z slices.*TZYX",
    ),
    "neither channels nor slices": (
        lambda p: PIXELS.reshape(2, 3, 1, 20, 24),
        {"axes": "TCZYX"},
        "array has 3 channels. Give channels 3 for all of them, or channel 0 to 2 for one \\(--channel 0\\)\\.$",
    ),
    "named channels not asked for": (
        lambda p: tif(p, PIXELS.reshape(2, 3, 20, 24), imagej=True, metadata={"axes": "TCYX"}),
        {},
        r"has 3 channels. Give channels 3 for all of them, or channel 0 to 2 for one \(--channel 0\)\.$",
    ),
    "time points that are called channels": (
        lambda p: tif(p, imagej=True, metadata={"axes": "CYX"}),
        {},
        r"Give channels 6 .*; if these are time points, say axes TYX \(--axes TYX\)\.$",
    ),
    "too many channels": (lambda p: PIXELS.reshape(2, 3, 20, 24), {"channels": 4}, "has 3 channels, but channels is 4"),
    "channels without axis": (
        tif,
        {"channels": 2},
        r"movie\.tif has no channel axis, but channels is 2. Give channels 0",
    ),
    "negative channels": (tif, {"channels": -1}, "channels is -1. Give 0"),
    "no number of channels": (tif, {"channels": None}, "channels is None. Give 0"),
    "yes as channels": (tif, {"channels": True}, "channels is True. Give 0"),
    "channels of an open movie": (lambda p: open_movie(PIXELS), {"channels": -1}, "channels is -1. Give 0"),
    "an empty path": (lambda p: " ", {}, "path of the movie is empty. Give a tif file"),
    "axes no letters": (tif, {"axes": 3}, "axes is 3. Give one letter for each axis"),
    "axes with a wrong letter": (tif, {"axes": "TWX"}, "Axes TWX cannot be read"),
    "axes twice": (tif, {"axes": "YYX"}, "Axes YYX cannot be read"),
    "too many axes": (tif, {"axes": "TCYX"}, r"movie\.tif is 6 x 20 x 24, which are 3 axes, not TCYX"),
    "complex": (lambda p: PIXELS.astype(np.complex64), {}, "type complex64.*Save its magnitude"),
    "complex tif": (lambda p: tif(p, PIXELS.astype(np.complex64)), {}, r"movie\.tif holds values of type complex64"),
    "text values": (lambda p: PIXELS.astype(str), {}, "no grey values"),
    "a number": (lambda p: 7, {}, "type int is no movie"),
    "an empty list": (lambda p: [], {}, "list of frames is empty"),
    "a ragged list": (
        lambda p: [FRAME, FRAME[:9]],
        {},
        "Frame 1 of the list is 9 x 24, the frames before it are 20 x 24",
    ),
    "n_images": (tif, {"n_images": 1}, "n_images is 1. Give 2 or more: movie needs two frames"),
    "too few numbers": (tif, {"frame_numbers": [1, 2]}, "frame_numbers has 2 numbers, but movie has 6 frames"),
    "falling numbers": (tif, {"frame_numbers": [1, 2, 3, 3, 4, 5]}, "must increase, but 3 follows 3"),
    "broken numbers": (tif, {"frame_numbers": [1, 2, 3, 3.5, 4, 5]}, "numbers with a fraction"),
    "half a number of frames": (tif, {"n_images": 2.5}, "n_images is 2.5. Give 2 or more"),
    "numbers in quotes": (tif, {"frame_numbers": [str(i) for i in range(6)]}, "is no list of numbers"),
    "numbers that are words": (tif, {"frame_numbers": ["a"] * 6}, "is no list of numbers"),
    "numbers that are none": (tif, {"frame_numbers": [np.nan] * 6}, "is no list of numbers"),
    "one number for all": (tif, {"frame_numbers": 5}, "is no list of numbers"),
    "endless numbers": (tif, {"frame_numbers": [10**30 + i for i in range(6)]}, "more than 18 digits"),
    "a file of endless numbers": (
        lambda p: numbers(p, b"99999999999999999999\n" * 6),
        {"frame_numbers": "numbers.txt"},
        "more than 18 digits",
    ),
    "masked pixels": (lambda p: np.ma.masked_greater(PIXELS, 500), {}, "array has masked pixels.*Fill them"),
    "a shape not known": (lambda p: Lazy((None, 20, 24)), {}, "shape or type that cannot be read.*Compute it"),
    "a foreign type": (lambda p: Lazy(PIXELS.shape, dtype="torch.float32"), {}, "shape or type that cannot be read"),
    "a list of ragged rows": (lambda p: [[[1], [1, 2]]] * 2, {}, "rows of unequal length"),
    "rows as pages": (tif, {"axes": "XYT"}, r"movie\.tif holds pictures of axes .* Give axes that end with Y and X"),
    "a home that is not there": (lambda p: "~nobody_of_this_name/a.tif", {}, "no path that can be used"),
    "a link to itself": (linked, {}, r"loop\.tif does not exist. Check the path"),
    "multiscales no list": (lambda p: group(p, {"multiscales": 3}), {}, "is a zarr group without images"),
    "missing numbers": (tif, {"frame_numbers": "nowhere.txt"}, r"nowhere\.txt cannot be read as text"),
    "wrong numbers": (
        lambda p: numbers(p, b"1\n2\nthree\n"),
        {"frame_numbers": "numbers.txt"},
        "line 3: 'three' is no",
    ),
    "empty folder": (lambda p: p, {}, "holds no png, jpg or tif pictures. Check the path"),
    "folder of folders": (
        lambda p: (p / "01").mkdir() or p,
        {},
        "but folders: 01. Give one, or --read_recursion_level 1",
    ),
    "folder of one": (lambda p: folder(p, "t0.tif"), {}, r"holds only one picture, t0\.tif"),
    "names without numbers": (lambda p: folder(p, "a.png", "b.png"), {}, r"a\.png has no frame number"),
    "names of two kinds": (lambda p: folder(p, "a1.png", "b2.png"), {}, r"a1\.png and b2\.png are named differently"),
    "two numbers": (
        lambda p: folder(p, "p1_t1.png", "p1_t2.png", "p2_t1.png", "p2_t2.png"),
        {},
        r"p1_t1\.png and p2_t2\.png differ in 2 numbers",
    ),
    "a number twice": (
        lambda p: folder(p, "t1.png", "t01.png", "t2.png"),
        {},
        r"t01\.png and t1\.png are both frame 1",
    ),
    "a number in two formats": (lambda p: folder(p, "t1.png", "t1.tif"), {}, r"t1\.png and t1\.tif are both frame 1"),
    "an endless number": (lambda p: folder(p, f"t{'9' * 30}.png", "t1.png"), {}, "30 digits, too long"),
    "size changes": (
        lambda p: with_frame(p, FRAME[:9]),
        {},
        r"t2\.tif is 9 x 24, the frames before it are 20 x 24. Use one",
    ),
    "type changes": (
        lambda p: with_frame(p, FRAME.astype("u1")),
        {},
        r"t2\.tif is uint8 with 1 channel.*t0\.tif is uint16",
    ),
    "a stack in a folder": (
        lambda p: with_frame(p, PIXELS),
        {},
        r"t2\.tif holds 6 frames, but a folder is read as one",
    ),
    "a volume in a folder": (
        lambda p: with_frame(p, PIXELS, metadata={"axes": "ZYX"}),
        {},
        r"t2\.tif is uint16 with 1 channel and 6 Z slices, but t0.* is uint16 with 1 channel\. Save all frames",
    ),
    "cut tif in a folder": (
        lambda p: cut(folder(p, "t0.tif", "t1.tif") / "t1.tif", 0.6).parent,
        {},
        r"t1\.tif is cut off",
    ),
    "empty picture": (lambda p: raw(folder(p, "t0.tif"), "t1.tif", b"").parent, {}, r"t1\.tif is empty"),
    "corrupt jpeg": (with_bad_jpeg, {}, r"t1\.jpg is damaged, or no picture"),
    "corrupt png": (with_bad_png_header, {}, r"t1\.png is damaged, or no picture"),
    "empty zarr": (lambda p: (p / "movie.zarr").mkdir() or p / "movie.zarr", {}, r"movie\.zarr holds no zarr array"),
    "empty group": (group, {}, r"movie\.zarr is a zarr group without images"),
    "bare group": (lambda p: group(p, raw=PIXELS), {}, r"movie\.zarr is a zarr group.*movie\.zarr/raw"),
    "broken metadata": (lambda p: raw(group(p), "zarr.json", b"{").parent, {}, r"movie\.zarr holds no zarr array"),
    "level missing": (
        lambda p: group(p, multiscales("tyx", "0"), raw=PIXELS),
        {},
        r"movie\.zarr has OME metadata that cannot",
    ),
    "axes missing": (
        lambda p: group(p, multiscales("yx", "0"), **{"0": PIXELS}),
        {},
        r"movie\.zarr names 2 axes.*has 3",
    ),
    "several images": (
        lambda p: group(p, multiscales("tyx", "0", "1"), **{"0": PIXELS, "1": PIXELS}),
        {},
        r"movie\.zarr holds 2 images",
    ),
}


@pytest.mark.parametrize("case", AT_OPENING)
def test_opening_tells_what_is_wrong_where_and_what_to_do(case, tmp_path, monkeypatch):
    build, options, message = AT_OPENING[case]
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UserError, match=message) as caught:
        open_movie(build(tmp_path), **options)
    assert_is_a_sentence(caught.value)


def damaged_png(path):
    folder(path, "t0.png", "t1.png", "t2.png")
    content = bytearray((path / "t1.png").read_bytes())
    content[60:90] = bytes(30)
    return raw(path, "t1.png", bytes(content)).parent


def removed(path):
    folder(path, "t0.png", "t1.png", "t2.png")
    movie = open_movie(path)
    (path / "t1.png").unlink()
    return movie


def with_value(value):
    pixels = PIXELS.astype(np.float32)
    pixels[1, 2, 3] = value
    return pixels


AT_READING = {
    "NaN": (lambda p: with_value(np.nan), "Frame 1 of array holds NaN or infinite"),
    "infinity": (lambda p: with_value(np.inf), "Frame 1 of array holds NaN or infinite"),
    "damaged png": (damaged_png, r"t1\.png is damaged"),
    "removed file": (removed, r"t1\.png is damaged, or no picture"),
    "a lazy array that lies": (lambda p: Lazy((5, 20, 24)), "Frame 0 of array is 1 x 4 x 4.* promises 1 x 20 x 24"),
    "constant movie": (lambda p: np.full_like(PIXELS, 7), "array shows nothing: every frame has one grey value"),
    "black movie": (lambda p: tif(p, np.zeros_like(PIXELS)), "movie shows nothing"),
}


@pytest.mark.parametrize("case", AT_READING)
def test_reading_tells_what_is_wrong_where_and_what_to_do(case, tmp_path):
    build, message = AT_READING[case]
    movie = PreparedMovie(open_movie(build(tmp_path)), Preparation())

    with pytest.raises(UserError, match=message) as caught:
        movie.normalization()
    assert_is_a_sentence(caught.value)


@pytest.mark.parametrize(
    "wrong", [{"normalize": "x"}, {"binarize": "maybe"}, {"subsample": "2"}, {"subsample": 0}, {"channels": -2}]
)
def test_a_preparation_that_cannot_be_is_told(wrong):
    with pytest.raises(UserError, match=f"{next(iter(wrong))} is .* Give ") as caught:
        Preparation(**wrong)
    assert_is_a_sentence(caught.value)


def test_units_of_any_kind_are_left_out_where_they_are_no_text(tmp_path):
    axes = [{"name": "t", "unit": 3}, {"name": "y", "unit": []}, {"name": "x", "unit": "furlong"}]
    scale = [{"type": "scale", "scale": [1, 1, 1]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": scale}]}
    movie = open_movie(group(tmp_path, {"ome": {"multiscales": [image]}}, **{"0": PIXELS}))
    assert movie.pixel_size is None


def test_numbers_saved_with_a_byte_order_mark_are_read(tmp_path):
    raw(tmp_path, "numbers.txt", "1\n2\n3\n5\n6\n7\n".encode("utf-8-sig"))
    movie = open_movie(tif(tmp_path), frame_numbers=tmp_path / "numbers.txt")
    assert movie.frame_numbers.tolist() == [1, 2, 3, 5, 6, 7]


def test_a_folder_that_may_not_be_read_is_told(tmp_path, monkeypatch):
    def refuse(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)

    with pytest.raises(UserError, match=r"cannot be read \(Permission denied\). Check the path and its rights"):
        open_movie(tmp_path)


def assert_is_a_sentence(error):
    text = str(error)
    assert text.endswith((".", "?"))
    assert text.count(". ") + text.count("? ") >= 1, "what to do is missing"
    assert len(text) < 330
    assert "\n" not in text
    assert "object at 0x" not in text
