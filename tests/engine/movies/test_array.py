from __future__ import annotations

import dask
import dask.array
import numpy as np
import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import open_movie


def test_of_a_dask_array_only_the_chunk_of_the_frame_is_computed():
    computed = []

    @dask.delayed
    def frame(index):
        computed.append(index)
        return np.full((4, 5), index, dtype=np.uint8)

    lazy = [dask.array.from_delayed(frame(index), (4, 5), np.uint8) for index in range(9)]
    movie = open_movie(dask.array.stack(lazy))
    assert computed == []

    assert (movie.frame(6) == 6).all()
    assert computed == [6]


def test_what_is_told_of_an_array_may_be_of_any_kind():
    pixels = np.zeros((6, 2, 4, 5), np.uint8)
    movie = open_movie(
        pixels, axes=["T", "C", "Y", "X"], channels=np.uint8(1), n_images=np.int64(3), frame_numbers=iter(range(1, 7))
    )
    assert (movie.shape, [type(side) for side in movie.shape]) == ((3, 1, 4, 5), [int] * 4)
    assert movie.frame_numbers.tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("stored", "given"),
    [("i8", "f8"), ("u8", "f8"), ("?", "?"), ("f2", "f2"), (">i4", "i4"), (">f8", "f8"), ("u4", "u4")],
)
def test_types_are_native_and_whole_numbers_of_64_bits_become_real(stored, given):
    movie = open_movie(np.ones((2, 3, 4), dtype=stored))

    assert movie.dtype == np.dtype(given)
    assert movie.frame(0).dtype == np.dtype(given)
    assert movie.dtype.isnative


def test_axes_of_length_one_may_be_left_out_of_what_is_given():
    movie = open_movie(np.zeros((1, 7, 1, 5, 6)), axes="TYX")

    assert movie.shape == (7, 1, 5, 6)


def test_a_movie_is_cut_before_it_is_split_and_numbered_before_it_is_cut():
    movie = open_movie(np.zeros((6, 3, 3)), n_images=4, frame_numbers=[0, 2, 3, 10, 11, 12])

    assert movie.shape == (4, 1, 3, 3)
    assert movie.frame_numbers.tolist() == [0, 2, 3, 10]
    with pytest.raises(IndexError):
        movie.frame(4)
    with pytest.raises(IndexError):
        movie.frame(-1)


def test_frame_numbers_come_from_a_text_file(tmp_path):
    (tmp_path / "numbers.txt").write_bytes(b"1\r\n2\r\n\r\n5\r\n")

    movie = open_movie(np.zeros((3, 3, 3)), frame_numbers=tmp_path / "numbers.txt")

    assert movie.frame_numbers.tolist() == [1, 2, 5]


def test_a_movie_that_is_open_gives_fewer_channels_but_not_more():
    pixels = np.random.default_rng(0).random((3, 4, 5, 6))
    movie = open_movie(pixels, channels=3)

    np.testing.assert_array_equal(open_movie(movie, channels=2).frame(1), pixels[1, :2])
    with pytest.raises(UserError, match="has 3 channel"):
        open_movie(movie, channels=4)
