from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.movies import Preparation, PreparedMovie, open_movie
from napari_tarrow.engine.movies.object_radius import fitting_radius, object_radius, radius_in_words


def discs(radius: float, side: int = 300, count: int = 12) -> np.ndarray:
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:side, :side]
    frames = np.zeros((3, side, side), np.float32)
    for frame in frames:
        for y, x in rng.uniform(0, side, (count, 2)):
            frame[(rows - y) ** 2 + (columns - x) ** 2 <= radius**2] = 1
    return frames


@pytest.mark.parametrize("radius", [6, 12, 24])
def test_the_radius_of_discs_is_found_to_a_fifth(radius):
    movie = PreparedMovie(open_movie(discs(radius)), Preparation("movie"))
    assert object_radius(movie) == pytest.approx(0.81 * radius, rel=0.2)  # two discs overlap by half 0.81 radii apart


def test_the_radius_is_in_pixels_of_the_movie_when_it_is_subsampled():
    frames = discs(16)
    whole, half = (object_radius(PreparedMovie(open_movie(frames), Preparation("movie", subsample=s))) for s in (1, 2))
    assert half == pytest.approx(whole, rel=0.1)


@pytest.mark.parametrize("light", ["one side", "middle"])
def test_uneven_illumination_is_no_object(light):
    """As strong as the objects; from one side, or falling off like the fourth power of a cosine towards the corners."""
    frames = discs(12)
    y, x = np.mgrid[-1:1:300j, -1:1:300j]
    added = (x + 1) / 2 if light == "one side" else np.cos(np.hypot(y, x) / 1.5) ** 4
    even, uneven = (
        object_radius(PreparedMovie(open_movie(one), Preparation("movie")))
        for one in (frames, (frames + added).astype(np.float32))
    )
    assert uneven == pytest.approx(even, rel=0.1)


def test_hot_pixels_are_no_objects():
    frames = discs(12)
    hot = frames.copy()
    rows, columns = np.random.default_rng(0).integers(0, 300, (2, 50))
    hot[:, rows, columns] = 100
    even, spoilt = (object_radius(PreparedMovie(open_movie(one), Preparation("movie"))) for one in (frames, hot))
    assert spoilt == pytest.approx(even, rel=0.3)  # a hundred times as bright as the discs


@pytest.mark.parametrize("noise", [0.3, 0.7])
def test_noise_makes_objects_no_smaller(noise):
    frames = discs(12)
    noisy = frames + np.random.default_rng(0).normal(scale=noise, size=frames.shape).astype(np.float32)
    even, spoilt = (object_radius(PreparedMovie(open_movie(one), Preparation("movie"))) for one in (frames, noisy))
    assert spoilt == pytest.approx(even, rel=0.15)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("noise", [0.05, 0.2])
@pytest.mark.parametrize(("radius", "least", "most"), [(8, 7, 9), (12, 10.5, 13.5), (20, 13.5, 20)])
def test_cells_in_phase_contrast_are_larger_than_their_halo(radius, least, most, noise, seed):
    """Dark inside, with a bright rim two to three pixels wide; large ones come out too small."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:300, :300]
    frames = rng.normal(scale=noise, size=(3, 300, 300))
    for frame in frames:
        for y, x in rng.uniform(0, 300, (12, 2)):
            distance = np.hypot(rows - y, columns - x)
            frame += np.exp(-(((distance - radius) / 2) ** 2)) - 0.5 * (distance < radius - 2)
    movie = PreparedMovie(open_movie(frames.astype(np.float32)), Preparation("movie"))
    assert least <= object_radius(movie) <= most


def test_nuclei_that_lie_together_are_no_larger():
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:300, :300]
    frames = rng.normal(scale=0.02, size=(3, 300, 300))
    for frame in frames:
        for y, x in rng.normal(150, 40, (25, 2)):
            frame[(rows - y) ** 2 + (columns - x) ** 2 <= 100] = 1
    movie = PreparedMovie(open_movie(frames.astype(np.float32)), Preparation("movie"))
    assert object_radius(movie) < 10.5


def test_two_cells_in_a_large_frame_are_found():
    frames = discs(12, 800, 2) + np.random.default_rng(0).normal(scale=0.02, size=(3, 800, 800)).astype(np.float32)
    assert object_radius(PreparedMovie(open_movie(frames), Preparation("movie"))) == pytest.approx(9.7, rel=0.2)


def test_a_frame_of_one_value_holds_nothing():
    frames = discs(12)
    frames[1:] = 0.3
    movie = PreparedMovie(open_movie(frames), Preparation("movie"))
    assert object_radius(movie) == pytest.approx(9.7, rel=0.2)


def test_grain_counts_as_small_objects():
    frames = np.random.default_rng(0).uniform(size=(3, 64, 64)).astype(np.float32)
    assert object_radius(PreparedMovie(open_movie(frames), Preparation("movie"))) == 4


def test_objects_as_large_as_the_frame_are_bounded():
    frames = np.tile(np.linspace(0, 1, 64, dtype=np.float32), (3, 64, 1))
    assert object_radius(PreparedMovie(open_movie(frames), Preparation("movie"))) <= 8


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize(("height", "width"), [(40, 40), (40, 100), (100, 40)])
def test_frames_of_one_pixel_or_row_have_the_smallest_objects(height, width):
    frames = np.random.default_rng(0).uniform(size=(3, height, width)).astype(np.float32)
    assert object_radius(PreparedMovie(open_movie(frames), Preparation("smooth", subsample=40))) == 4


@pytest.mark.parametrize("radius", [0.4, 20.1, -1.0, float("nan"), float("inf")])
def test_a_radius_that_fits_no_object_of_the_movie_is_refused(radius):
    movie = PreparedMovie(open_movie(np.ones((3, 40, 52), np.float32)), Preparation("movie", subsample=2))
    assert [fitting_radius(movie, good) for good in (0.5, 20.0)] == [0.5, 20.0]
    with pytest.raises(UserError, match=r"the frames are 40 x 52: give 0\.5 to 20"):
        fitting_radius(movie, radius)


@pytest.mark.parametrize(("height", "width"), [(1, 40), (6, 6)])
def test_what_is_estimated_fits_tiny_frames_too(height, width):
    frames = np.random.default_rng(0).uniform(size=(3, height, width)).astype(np.float32)
    movie = PreparedMovie(open_movie(frames), Preparation("movie"))
    assert fitting_radius(movie, object_radius(movie)) == 4


def test_the_smallest_radius_is_said_to_be_a_bound():
    assert [radius_in_words(radius) for radius in (9.44, 4.0)] == ["about 9.4 pixels", "4 pixels or less"]


@pytest.mark.parametrize("beside", ["still", "noise"])
@pytest.mark.parametrize("bright", [1, 100])
@pytest.mark.parametrize("place", [0, 1])
def test_of_several_channels_the_one_counts_in_which_most_changes_but_not_all(place, bright, beside):
    frames = np.stack([np.roll(discs(12)[0], 4 * t, axis=1) for t in range(3)])
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=frames.shape), (0, 1, 1)).astype(np.float32)
    still = bright * (noise if beside == "noise" else np.repeat(discs(4, count=60)[:1], 3, axis=0))
    both = np.stack([frames, still] if place == 0 else [still, frames], 1)
    alone = object_radius(PreparedMovie(open_movie(frames), Preparation("channel")))
    assert object_radius(PreparedMovie(open_movie(both, channels=2), Preparation("channel", channels=2))) == alone
