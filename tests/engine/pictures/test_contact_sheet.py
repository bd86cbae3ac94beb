from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.pictures import contact_sheet, cut_inset
from napari_tarrow.engine.pictures.contact_sheet import _caption


@pytest.fixture
def inset(blobs):
    images = np.random.default_rng(0).random((2, 1, 60, 60)).astype(np.float32)
    return cut_inset(images, blobs((60, 60), (30, 30, 0.5)), 30, 30, frame=23)


def colourful(image):
    """Pixels under the map, without the scale at the foot."""
    return (np.ptp(image, axis=-1) > 40)[:-70].sum()


def test_every_entry_is_drawn(tmp_path, open_png, inset):
    sizes, colours = [], []
    for n in (1, 3, 4):
        contact_sheet([inset] * n, tmp_path / "sheet.png", "Places")
        image = open_png(tmp_path / "sheet.png")
        sizes.append(image.shape)
        colours.append(colourful(image))

    assert {width for _, width, _ in sizes} == {1500}
    heights = [height for height, _, _ in sizes]
    assert heights[0] == heights[1] < heights[2]
    np.testing.assert_allclose(np.array(colours) / colours[0], (1, 3, 4), rtol=0.02)


def test_all_maps_share_one_scale(tmp_path, open_png, inset):
    weak = replace(inset, map=inset.map * 0.01)

    contact_sheet([inset], tmp_path / "one.png", "Places")
    contact_sheet([inset, weak], tmp_path / "both.png", "Places")
    contact_sheet([weak], tmp_path / "weak.png", "Places")

    one, both, weak_alone = (colourful(open_png(tmp_path / f"{name}.png")) for name in ("one", "both", "weak"))
    assert both == pytest.approx(one, rel=0.02)
    assert weak_alone == pytest.approx(one, rel=0.02)


def test_one_bright_entry_leaves_the_others_visible(tmp_path, open_png, inset):
    bright = replace(inset, map=inset.map * 100)

    contact_sheet([inset] * 4, tmp_path / "alike.png", "Places")
    contact_sheet([bright, *[inset] * 4], tmp_path / "five.png", "Places")

    assert colourful(open_png(tmp_path / "five.png")) > colourful(open_png(tmp_path / "alike.png"))


def test_captions_below_the_threshold_are_pale(tmp_path, open_png, inset):
    for threshold in (None, 0.4, 0.6):
        contact_sheet([inset], tmp_path / f"{threshold}.png", "Places", threshold=threshold)
    plain, above, below = (open_png(tmp_path / f"{threshold}.png") for threshold in (None, 0.4, 0.6))
    tile = (1500 - 2 * 40 - 2 * 36) / 3 / 3
    captions = slice(int(104 + tile + 2), int(104 + tile + 36))
    np.testing.assert_array_equal(above[captions], plain[captions])
    assert below[captions].min() > above[captions].min() + 30
    for page in (above, below):
        assert (page[-70:, 1000:] < 200).sum() > 100  # the threshold is told
        assert (plain[-70:, 1000:] == 255).all()


def test_a_caption_names_frames_place_and_score(inset):
    assert _caption(inset) == "frame 23 → 24, y 30, x 30, score 0.5"
    assert _caption(replace(inset, delta=4)).startswith("frame 23 → 27,")
    assert _caption(replace(inset, frames=np.zeros((3, 1, 4, 4)))).startswith("frame 23 → 24 → 25,")


@pytest.mark.parametrize("n_frames", [3, 9])
def test_longer_sequences_fit_on_the_page(tmp_path, open_png, inset, n_frames):
    longer = replace(inset, frames=np.repeat(inset.frames[:1], n_frames, axis=0))

    contact_sheet([longer] * 3, tmp_path / "sheet.png", "Places")

    image = open_png(tmp_path / "sheet.png")
    assert image.shape[1] == 1500
    assert (image[:, -20:] == 255).all()


def test_places_at_the_border_and_titles_with_signs_are_drawn(tmp_path, open_png, blobs):
    images = np.ones((2, 1, 30, 30), np.float32)
    corner = cut_inset(images, blobs((30, 30), (0, 0, 1.0)), 0, 0)

    contact_sheet([corner], tmp_path / "sheet.png", "$a_b^{c$ " * 40)

    assert open_png(tmp_path / "sheet.png").std() > 10


def test_a_map_without_places_gives_a_page_that_says_so(tmp_path, open_png):
    contact_sheet([], tmp_path / "sheet.png", "Places")

    assert open_png(tmp_path / "sheet.png").std() > 5


def test_a_folder_that_is_not_there_is_told(tmp_path, inset):
    with pytest.raises(UserError, match=r"sheet\.png cannot be written"):
        contact_sheet([inset], tmp_path / "absent" / "sheet.png", "Places")
