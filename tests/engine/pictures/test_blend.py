from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps

from napari_tarrow.engine.pictures import blended, contrast, grey
from napari_tarrow.engine.pictures.blend import OUTSIDE, brightest


def test_intensities_between_the_limits_are_scaled_and_the_rest_is_clipped():
    picture = grey(np.array([[-1.0, 0.0], [1.0, 5.0]]), (0.0, 2.0))

    np.testing.assert_allclose(picture[..., 0], [[0, 0], [0.5, 1]])
    assert picture.shape == (2, 2, 3)
    assert picture.dtype == np.float32


def test_channels_are_averaged():
    picture = grey(np.stack([np.zeros((2, 3)), np.ones((2, 3))]), (0.0, 1.0))

    np.testing.assert_allclose(picture, 0.5)


def test_each_channel_is_shown_in_its_own_contrast():
    ramp = np.linspace(0, 1, 100).reshape(10, 10)
    both = np.stack([ramp, 5000 + 1000 * ramp[:, ::-1]])

    low, high = contrast(np.stack([both, both]))

    assert low.shape == high.shape == (2, 1, 1)
    np.testing.assert_allclose(grey(both), grey(both, (low, high)), atol=0.01)
    np.testing.assert_allclose(grey(both), (grey(both[0]) + grey(both[1])) / 2, atol=0.01)


def test_what_one_channel_has_beyond_its_limits_hides_no_other():
    ramp = np.linspace(0, 1, 100).reshape(10, 10)
    limits = contrast(np.stack([np.zeros((10, 10)), ramp]))

    shown = grey(np.stack([np.full((10, 10), 5000.0), ramp]), limits)[..., 0]

    assert shown.min() >= 0.5
    assert shown.max() - shown.min() > 0.45


def test_a_few_hot_pixels_do_not_darken_the_rest():
    image = np.linspace(0, 1, 10_000)
    image[:3] = 1000

    low, high = contrast(image)
    assert 0 < low < 0.02
    assert 0.99 < high < 1.01


@pytest.mark.parametrize("image", [np.zeros((4, 4)), np.full((4, 4), 7.0), np.full((4, 4), np.nan)])
def test_flat_and_empty_images_can_be_shown(image):
    picture = blended(image, np.zeros((4, 4)))

    assert np.isfinite(picture).all()


def test_pixels_outside_the_image_are_neither_signal_nor_map():
    image, map = np.ones((2, 2)), np.ones((2, 2))
    image[0] = map[0] = np.nan

    np.testing.assert_allclose(grey(image)[0], OUTSIDE)
    np.testing.assert_allclose(blended(image, map)[0], OUTSIDE)


def test_image_and_map_are_blended_half_and_half():
    picture = blended(np.array([[0.0, 1.0]]), np.array([[2.0, 0.0]]), (0.0, 1.0), top=2.0)

    magma = colormaps["magma"]
    np.testing.assert_allclose(picture[0, 0], np.array(magma(1.0)[:3]) / 2, atol=1e-6)
    np.testing.assert_allclose(picture[0, 1], 0.5 + np.array(magma(0.0)[:3]) / 2, atol=1e-6)


def test_the_brightest_value_of_a_sparse_map_is_its_maximum():
    sparse = np.zeros((100, 100))
    sparse[3, 3] = 0.25

    assert brightest(sparse) == 0.25
    assert brightest(np.zeros((5, 5))) == 1
