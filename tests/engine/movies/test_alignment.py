"""Frames are laid onto one another where objects move together, and only where they move far."""

from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies import alignment as alignment_module
from napari_tarrow.engine.movies.alignment import Alignment, ComparedFrames, alignment_for, displacements, put_back

RADIUS, SIZE = 6.0, (150, 190)


def frame(offset: np.ndarray | tuple[float, float] = (0, 0), stretch: float = 1.0, seed: int = 0) -> np.ndarray:
    """Blobs at places that are drawn by chance, (1, h, w) float32: all moved by an offset, and apart."""
    draw = np.random.default_rng(seed)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.zeros(SIZE)
    for place, height in zip(draw.uniform(-20, 210, (120, 2)), draw.uniform(0.5, 1, 120), strict=True):
        at = np.array(SIZE) / 2 + (place - np.array(SIZE) / 2) * stretch + offset
        image += height * np.exp(-((y - at[0]) ** 2 + (x - at[1]) ** 2) / (2 * 4.0**2))
    return image[None].astype(np.float32)


def movie_of(frames: list[np.ndarray], **options: object) -> PreparedMovie:
    return PreparedMovie(open_movie(np.concatenate(frames), **options), Preparation("movie"))


def correlation(first: np.ndarray, second: np.ndarray) -> float:
    inner = (..., slice(25, -25), slice(25, -25))
    return float(np.corrcoef(first[inner].ravel(), second[inner].ravel())[0, 1])


@pytest.mark.parametrize("offset", [(9, -7), (0, 0), (-20, 3)])
def test_what_moves_together_is_found_and_put_back(offset):
    first, second = frame(), frame(offset)
    moved = displacements(first, second, RADIUS)
    assert np.median(np.abs(moved - np.array(offset)[:, None, None]), (1, 2)) == pytest.approx((0, 0), abs=0.5)
    assert correlation(first, put_back(second, moved)) > 0.98


def test_every_place_has_a_displacement_of_its_own():
    first, second = frame(), frame((4, 4), stretch=1.12)
    moved = displacements(first, second, RADIUS)
    assert moved[0, -2].mean() - moved[0, 1].mean() > 5
    assert correlation(first, second) < 0.6
    assert correlation(first, put_back(second, moved)) > 0.95


def test_several_channels_move_together():
    first, second = (np.concatenate([one, 0.5 * one]) for one in (frame(), frame((8, 5))))
    back = put_back(second, displacements(first, second, RADIUS))
    assert back.shape == first.shape
    assert back.dtype == np.float32
    np.testing.assert_allclose(back[1], 0.5 * back[0], atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 3, 40), (1, 17, 9), (2, 8, 8)])
@pytest.mark.parametrize("radius", [4.0, 30.0])
def test_frames_of_any_size_can_be_aligned(shape, radius):
    draw = np.random.default_rng(0)
    first, second = draw.normal(size=(2, *shape)).astype(np.float32)
    moved = displacements(first, second, radius)
    assert np.isfinite(moved).all()
    assert put_back(second, moved).shape == shape


def test_where_there_is_nothing_nothing_moves():
    flat = np.full((1, 60, 60), 3, np.float32)
    assert not displacements(flat, flat, RADIUS).any()
    np.testing.assert_array_equal(put_back(flat, np.zeros((2, 4, 4), np.float32)), flat)


def test_frames_are_aligned_where_objects_move_far():
    fast = movie_of([frame((8 * index, 4 * index)) for index in range(4)])
    alignment, said = alignment_for("auto", fast, (2, 1), RADIUS)
    assert isinstance(alignment, Alignment)
    assert alignment.fast
    assert alignment_for("yes", fast, (1,), RADIUS)[0].fast
    assert said == ["Objects move by 1.4 radii: frames are aligned before they are compared."]
    assert alignment_for("no", fast, (1,), RADIUS) == (None, [])


@pytest.mark.parametrize(
    ("frames", "strange"),
    [
        ([frame((index, index)) for index in range(4)], False),  # slow
        ([np.random.default_rng(index).normal(size=(1, *SIZE)) for index in range(4)], True),  # noise
        ([frame(seed=index) for index in range(4)], True),  # others each time
    ],
    ids=["slow", "noise", "others"],
)
def test_frames_are_left_where_aligning_would_bring_nothing(frames, strange):
    movie = movie_of(frames)
    warnings = ["Frames have little in common, aligned or not"] * strange
    alignment, said = alignment_for("auto", movie, (1,), RADIUS)
    assert alignment is None
    assert [one.partition(":")[0] for one in said] == warnings
    alignment, said = alignment_for("yes", movie, (1,), RADIUS)
    assert [one.partition(":")[0] for one in said] == ["Frames are aligned before they are compared.", *warnings]
    assert not alignment.fast


def test_a_movie_without_frames_that_far_apart_is_not_aligned():
    movie = movie_of([frame((9 * index, 0)) for index in range(2)], frame_numbers=[0, 5])
    assert alignment_for("auto", movie, (1,), RADIUS) == (None, [])


def test_aligned_frames_have_numbers_and_are_matched_once(monkeypatch):
    movie = movie_of([frame((9 * index, 0)) for index in range(3)])
    calls = []
    monkeypatch.setattr(alignment_module, "displacements", lambda *given: calls.append(given) or displacements(*given))
    frames = ComparedFrames(movie, Alignment(movie, RADIUS))
    numbers = frames.numbers((1, 2))
    assert len({*numbers, *frames.numbers((0, 1)), *frames.numbers((0, 2))}) == 5
    np.testing.assert_array_equal(frames.frame(numbers[0]), movie.frame(1))
    for _ in range(2):
        assert correlation(frames.frame(numbers[1]), movie.frame(1)) > 0.99
    assert len(calls) == 1


def test_lengths_are_those_of_subsampled_frames():
    movie = movie_of([frame(), frame((12, 0))])
    half = PreparedMovie(movie.movie, Preparation("movie", subsample=2))
    assert Alignment(half, RADIUS).radius == RADIUS / 2
    assert correlation(half.frame(0), Alignment(half, RADIUS).onto(0, 1)) > 0.98


def test_what_moves_by_less_than_half_a_pixel_is_left_alone():
    noise = np.random.default_rng(0).normal(size=(1, 40, 50)).astype(np.float32)
    np.testing.assert_array_equal(put_back(noise, np.full((2, 3, 4), 0.3, np.float32)), noise)
    assert put_back(noise, np.full((2, 3, 4), 0.4, np.float32)).std() < 0.9 * noise.std()


def test_equal_frames_stay_equal():
    still = frame()
    np.testing.assert_array_equal(put_back(still, displacements(still, still, RADIUS)), still)


def test_channels_of_opposite_contrast_and_of_other_levels_count_alike():
    first, second = (np.concatenate([one, 5 - 0.5 * one]) for one in (frame(), frame((8, -6))))
    moved = displacements(first, second, RADIUS)
    assert np.median(moved, (1, 2)) == pytest.approx((8, -6), abs=0.5)
    movie = PreparedMovie(open_movie(np.stack([first, second]), channels=2), Preparation("movie", channels=2))
    assert alignment_for("auto", movie, (1,), RADIUS)[0] is not None


def test_blank_and_repeated_frames_say_nothing_about_movement():
    shown = [frame((9 * index, 0)) for index in range(4)]
    blank = np.zeros_like(shown[0])
    movie = movie_of([shown[0], shown[0], shown[1], shown[1], blank, shown[2], shown[2], shown[3]])
    assert alignment_for("auto", movie, (1,), RADIUS)[0] is not None


def test_whether_objects_are_fast_is_asked_from_frame_to_frame():
    movie = movie_of([frame((3 * index, 0)) for index in range(7)])
    assert alignment_for("auto", movie, (1,), RADIUS)[0] is None
    alignment, said = alignment_for("auto", movie, (3,), RADIUS)
    assert alignment is not None
    assert said
    assert not alignment.fast


def test_only_so_many_displacements_are_remembered(monkeypatch):
    movie = movie_of([frame((index, 0)) for index in range(4)])
    alignment = Alignment(movie, RADIUS)
    monkeypatch.setattr(alignment_module, "_KEPT", 2 * displacements(frame(), frame(), RADIUS).nbytes)
    for first in range(3):
        alignment.onto(first, first + 1)
    assert list(alignment._known) == [(1, 2), (2, 3)]


def test_how_far_a_place_has_moved_is_told_in_pixels_of_the_movie():
    movie = movie_of([frame(), frame((12, -4))])
    half = PreparedMovie(movie.movie, Preparation("movie", subsample=2))
    for prepared in (movie, half):
        assert Alignment(prepared, RADIUS).distance(0, 1, (75, 95)) == pytest.approx((12, -4), abs=1)
