from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.pictures.overlay import LARGEST, OverlayPainter, Ring, mixed, overlay_palette


def test_where_the_map_is_zero_the_frame_stays_grey(blobs):
    painter = OverlayPainter((40, 50), (0.0, 1.0), 1.0)
    image = np.full((40, 50), 0.5, np.float32)
    picture = painter.paint(image, 0.6 * blobs((40, 50), (30, 30, 1.0)))
    zoom = painter.zoom
    far, near = (picture[round(zoom * side), round(zoom * side)].astype(int) for side in (8, 30.5))
    assert np.ptp(far) == 0
    assert far[0] == pytest.approx(128, abs=1)
    assert np.ptp(near) > 80


def test_negative_values_and_missing_maps_show_nothing():
    painter = OverlayPainter((30, 30), (0.0, 1.0), 1.0)
    image = np.random.default_rng(0).random((2, 30, 30)).astype(np.float32)
    plain = painter.paint(image)
    np.testing.assert_array_equal(painter.paint(image, np.full((30, 30), -3, np.float32)), plain)
    assert np.ptp(plain.astype(int), axis=-1).max() == 0


@pytest.mark.parametrize(
    ("size", "expected"),
    [((130, 130), (520, 520)), ((480, 620), (480, 620)), ((1000, 2000), (400, LARGEST)), ((3, 3000), (1, LARGEST))],
)
def test_pictures_have_a_size_that_can_be_looked_at(size, expected):
    painter = OverlayPainter(size, (0.0, 1.0), 1.0)
    assert painter.size == expected
    assert painter.paint(np.zeros(size, np.uint8)).shape == (*expected, 3)


def test_rings_and_words_at_the_border_stay_in_the_picture():
    painter = OverlayPainter((500, 500), (0.0, 1.0), 1.0)
    corners = [Ring(y, x, 10, "123") for y in (0, 499) for x in (0, 499)]
    picture = painter.paint(np.zeros((500, 500)), rings=corners)
    blue = np.argwhere((picture[..., 2] > 200) & (picture[..., 0] < 150))
    for y in (0, 499):
        for x in (0, 499):
            assert (np.abs(blue - (y, x)).max(1) < 60).sum() > 40


def test_flat_maps_and_frames_can_be_painted():
    painter = OverlayPainter((20, 20), (3.0, 3.0), 0.0)
    assert np.isfinite(painter.paint(np.full((20, 20), 3.0), np.zeros((20, 20), np.float32))).all()


def test_the_palette_holds_what_pictures_are_made_of():
    palette = overlay_palette()
    assert palette.shape == (256, 3)
    grey, strength = np.random.default_rng(0).random((2, 500))
    colours = 255 * mixed(grey, strength)
    distance = np.abs(colours[:, None] - palette[None].astype(float)).max(-1).min(1)
    assert distance.max() < 20
