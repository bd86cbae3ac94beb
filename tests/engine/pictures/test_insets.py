from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.pictures import attribution_figure, cut_inset, strongest_places
from napari_tarrow.engine.pictures.page import pixels


def test_peaks_are_found_strongest_first(blobs):
    map = blobs((200, 300), (60, 70, 1.0), (120, 200, 3.0), (150, 60, 2.0))

    places = strongest_places(map)

    assert len(places) == 3
    np.testing.assert_allclose(places, [(120, 200), (150, 60), (60, 70)], atol=2)


def test_no_more_than_asked_for_are_given(blobs):
    map = blobs((200, 300), (60, 70, 1.0), (120, 200, 3.0), (150, 60, 2.0))

    np.testing.assert_allclose(strongest_places(map, count=1), [(120, 200)], atol=2)


def test_of_two_peaks_nearer_than_half_an_inset_the_stronger_stays(blobs):
    near = blobs((200, 200), (100, 100, 1.0), (100, 118, 2.0))
    far = blobs((200, 200), (100, 100, 1.0), (100, 130, 2.0))

    np.testing.assert_allclose(strongest_places(near), [(100, 118)], atol=2)
    assert len(strongest_places(far)) == 2


def test_half_an_inset_along_the_border_is_left_out(blobs):
    map = blobs((200, 200), (10, 100, 5.0), (100, 190, 5.0), (100, 100, 1.0))

    np.testing.assert_allclose(strongest_places(map), [(100, 100)], atol=2)


def test_the_border_can_be_searched_too(blobs):
    map = blobs((200, 200), (10, 100, 5.0), (100, 196, 2.0), (100, 100, 1.0))

    np.testing.assert_allclose(strongest_places(map, border=0), [(10, 100), (100, 196), (100, 100)], atol=2)


def test_a_peak_in_the_border_hides_none_outside_it(blobs):
    map = blobs((200, 200), (20, 100, 5.0), (32, 100, 1.0), width=2.0)

    np.testing.assert_allclose(strongest_places(map), [(32, 100)], atol=2)


def test_every_inset_lies_within_a_large_picture():
    map = np.random.default_rng(0).random((150, 170)).astype(np.float32)

    places = strongest_places(map, count=50)

    assert len(places) > 4
    assert (places >= 24).all()
    assert (places <= np.array(map.shape) - 24).all()
    distances = np.abs(places[:, None] - places[None]).max(-1)[~np.eye(len(places), dtype=bool)]
    assert distances.min() > 24


@pytest.mark.parametrize("shape", [(40, 30), (48, 48), (20, 200), (3, 5), (1, 1)])
def test_pictures_smaller_than_an_inset_have_places_too(shape, blobs):
    middle = shape[0] // 2, shape[1] // 2
    places = strongest_places(blobs(shape, (*middle, 1.0)))

    assert len(places) <= 1
    if min(shape) >= 20:
        np.testing.assert_allclose(places, [middle], atol=3)


@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_a_flat_map_has_no_places(value):
    assert strongest_places(np.full((60, 60), value, np.float32)).shape == (0, 2)


def test_an_inset_is_the_square_around_its_place():
    images = np.arange(2 * 3 * 20 * 30, dtype=np.float32).reshape(2, 3, 20, 30)
    map = images[0, 0]

    inset = cut_inset(images, map, 10, 12, frame=4, size=6, delta=2)

    np.testing.assert_array_equal(inset.frames, images[:, :, 7:13, 9:15])
    np.testing.assert_array_equal(inset.map, map[7:13, 9:15])
    assert (inset.frame, inset.y, inset.x, inset.delta) == (4, 10, 12, 2)
    assert inset.score == map[10, 12]


@pytest.mark.parametrize(("y", "x"), [(0, 0), (19, 29), (1, 28), (10, 0)])
def test_an_inset_at_the_border_keeps_its_size_and_centre(y, x):
    images = np.random.default_rng(0).random((1, 1, 20, 30)).astype(np.float32)

    inset = cut_inset(images, images[0, 0], y, x, size=8)

    assert inset.frames.shape == (1, 1, 8, 8)
    assert inset.map[4, 4] == images[0, 0, y, x]
    inside = np.isfinite(inset.map)
    np.testing.assert_array_equal(np.isfinite(inset.frames[0, 0]), inside)
    expected = images[0, 0, max(y - 4, 0) : y + 4, max(x - 4, 0) : x + 4]
    np.testing.assert_array_equal(inset.map[inside], expected.ravel())


def test_an_inset_larger_than_the_picture_holds_all_of_it():
    images = np.ones((2, 1, 10, 6), np.float32)

    assert np.isfinite(cut_inset(images, images[0, 0], 5, 3, size=48).map).sum() == 60


@pytest.mark.parametrize(("n_frames", "channels", "shape"), [(2, 1, (130, 130)), (3, 2, (60, 200)), (2, 1, (12, 9))])
def test_the_figure_shows_the_map_in_colour(n_frames, channels, shape, blobs):
    images = np.random.default_rng(0).random((n_frames, channels, *shape)).astype(np.float32)
    map = blobs(shape, (shape[0] // 2, shape[1] // 2, 1.0))

    drawn = pixels(attribution_figure(images, map, strongest_places(map), "A title")).astype(int)

    assert drawn.std() > 20
    assert (np.ptp(drawn, axis=-1) > 60).mean() > 0.001
    assert (drawn == 255).all(-1)[:, :10].all()  # the margin is white


def test_insets_beyond_one_column_widen_the_figure(blobs):
    images = np.zeros((2, 1, 100, 100), np.float32)
    map = blobs((100, 100), (50, 50, 1.0))
    places = np.full((9, 2), 50)

    widths = [pixels(attribution_figure(images, map, places[:n])).shape[1] for n in (0, 1, 4, 5, 8, 9)]

    assert widths[0] < widths[1] == widths[2] < widths[3] == widths[4] < widths[5]


def test_a_map_of_a_network_that_diverged_can_be_drawn():
    images = np.zeros((2, 1, 60, 60), np.float32)
    map = np.full((60, 60), np.nan, np.float32)

    assert pixels(attribution_figure(images, map, strongest_places(map))).ndim == 3
