from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import open_movie
from napari_tarrow.engine.movies.folder import numbered_files


def grey(value, size=(6, 8)):
    return np.full(size, value, dtype=np.uint8)


def write(folder, names):
    for name, value in names.items():
        if name.lower().endswith(("tif", "tiff")):
            tifffile.imwrite(folder / name, grey(value))
        else:
            Image.fromarray(grey(value)).save(folder / name, format="png" if "png" in name.lower() else "jpeg")


def values(movie):
    return [int(movie.frame(index)[0, 0, 0]) for index in range(len(movie))]


def test_files_are_ordered_by_frame_number_not_as_text(tmp_path):
    write(tmp_path, {"t10.png": 10, "t9.png": 9, "t100.png": 100, "t1.png": 1})

    movie = open_movie(tmp_path)

    assert movie.frame_numbers.tolist() == [1, 9, 10, 100]
    assert values(movie) == [1, 9, 10, 100]


def test_files_and_their_numbers_are_known_without_opening_any(tmp_path):
    for name in ("t10.tif", "t9.tif", "t1.tif"):
        (tmp_path / name).touch()

    files, numbers = numbered_files(tmp_path)

    assert [file.name for file in files] == ["t1.tif", "t9.tif", "t10.tif"]
    assert numbers.tolist() == [1, 9, 10]


def test_all_endings_in_any_case_make_one_movie(tmp_path):
    write(tmp_path, {"a_1.png": 1, "a_2.TIF": 2, "a_3.tiff": 3, "a_4.JPG": 4, "a_5.jpeg": 5, "a_6.Png": 6})
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a_1.png").write_bytes(b"left by a Mac")

    assert values(open_movie(tmp_path)) == [1, 2, 3, 4, 5, 6]


def test_the_number_that_differs_counts_wherever_it_stands(tmp_path):
    write(tmp_path, {f"exp2_t{frame:03d}_c1.tif": frame for frame in (0, 1, 5)})

    assert open_movie(tmp_path).frame_numbers.tolist() == [0, 1, 5]


def test_a_folder_of_cell_tracking_data_is_named_with_the_folder_above(tmp_path):
    folder = tmp_path / "HeLa" / "01"
    folder.mkdir(parents=True)
    write(folder, {"t000.tif": 0, "t001.tif": 1})

    assert open_movie(folder).name == "HeLa_01"


def test_png_keeps_sixteen_bits_also_in_colour(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 2**16, (2, 9, 7, 3), dtype=np.uint16)
    for index, picture in enumerate(pixels):
        (tmp_path / f"{index}.png").write_bytes(imagecodecs.png_encode(picture))

    movie = open_movie(tmp_path, channels=3)

    assert movie.dtype == np.uint16
    np.testing.assert_array_equal(movie.frame(1), pixels[1].transpose(2, 0, 1))


@pytest.mark.parametrize(("mode", "channels"), [("L", 0), ("LA", 0), ("1", 0), ("RGB", 3), ("RGBA", 3), ("P", 3)])
def test_every_kind_of_png_is_read_without_its_transparency(tmp_path, mode, channels):
    for index in range(2):
        Image.fromarray(grey(255 * index)).convert(mode).save(tmp_path / f"{index}.png")

    movie = open_movie(tmp_path, channels=channels)

    assert movie.shape == (2, max(1, channels), 6, 8)
    assert movie.frame(1).min() == movie.frame(1).max() == 255


def test_a_frame_of_another_size_is_named_with_both_sizes(tmp_path):
    write(tmp_path, {"t0041.tif": 1, "t0043.tif": 3})
    tifffile.imwrite(tmp_path / "t0042.tif", grey(2, (4, 4)))

    with pytest.raises(UserError) as caught:
        open_movie(tmp_path)
    assert str(caught.value) == "t0042.tif is 4 x 4, the frames before it are 6 x 8. Use one movie per folder."


def test_a_frame_that_changes_size_after_opening_is_noticed(tmp_path):
    write(tmp_path, {"t1.tif": 1, "t2.tif": 3})
    movie = open_movie(tmp_path)
    tifffile.imwrite(tmp_path / "t2.tif", grey(2, (4, 4)))

    with pytest.raises(UserError, match=r"t2\.tif is 4 x 4"):
        movie.frame(1)


def test_opening_decodes_no_picture(tmp_path, monkeypatch):
    write(tmp_path, {"t1.png": 1, "t2.png": 2, "t3.png": 3})
    decoded = []
    original = imagecodecs.png_decode
    monkeypatch.setattr(imagecodecs, "png_decode", lambda data: (decoded.append(1), original(data))[1])

    movie = open_movie(tmp_path)
    assert decoded == []
    movie.frame(1)
    assert decoded == [1]
