from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from napari_tarrow.engine.errors import UserError
from napari_tarrow.engine.pictures.gif import write_gif
from napari_tarrow.engine.pictures.overlay import mixed, overlay_palette


@pytest.fixture
def pictures():
    grey, strength = np.meshgrid(np.linspace(0, 1, 90), np.linspace(0, 1, 70))
    ramp = (255 * mixed(grey, strength)).astype(np.uint8)
    return [ramp, ramp[::-1].copy(), np.zeros_like(ramp), np.random.default_rng(0).choice(overlay_palette(), (70, 90))]


def test_pictures_are_read_as_they_were_written(tmp_path, pictures):
    assert list(write_gif(tmp_path / "a.gif", iter(pictures), overlay_palette(), 5)) == [1, 2, 3, 4]

    with Image.open(tmp_path / "a.gif") as gif:
        assert gif.n_frames == 4
        assert gif.info["loop"] == 0
        for index, picture in enumerate(pictures):
            gif.seek(index)
            assert gif.info["duration"] == 200
            shown = np.asarray(gif.convert("RGB")).astype(int)
            assert np.abs(shown - picture).mean() < 5  # 256 colours; a row out of place would be off by far more
    np.testing.assert_allclose(shown, pictures[-1], atol=8)  # colours of the palette, but for how Pillow seeks them


def test_each_picture_is_written_before_the_next_is_made(tmp_path, pictures):
    made = []

    def slowly():
        for picture in pictures:
            made.append(1)
            yield picture

    writing = write_gif(tmp_path / "a.gif", slowly(), overlay_palette())
    next(writing)
    assert len(made) == 1
    writing.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_told(tmp_path, pictures):
    with pytest.raises(UserError, match=r"a\.gif cannot be written"):
        list(write_gif(tmp_path / "absent" / "a.gif", iter(pictures), overlay_palette()))
