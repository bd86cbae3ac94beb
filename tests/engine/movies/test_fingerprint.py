from __future__ import annotations

import numpy as np
import pytest

from napari_tarrow.engine.movies import fingerprint, open_movie

PIXELS = np.arange(20 * 8 * 9, dtype=np.uint16).reshape(20, 8, 9)


def changed_first_pixel():
    pixels = PIXELS.copy()
    pixels[0, 0, 0] += 1
    return pixels


@pytest.mark.parametrize(
    "other",
    [
        open_movie(changed_first_pixel()),
        open_movie(PIXELS.astype(np.uint32)),
        open_movie(PIXELS, n_images=19),
        open_movie(PIXELS, frame_numbers=[*range(19), 30]),
        open_movie(PIXELS.reshape(20, 9, 8)),
    ],
    ids=["pixel", "type", "length", "numbers", "shape"],
)
def test_any_change_of_the_data_changes_the_fingerprint(other):
    assert fingerprint(other) != fingerprint(open_movie(PIXELS))


def test_the_fingerprint_reads_few_frames_and_stays_the_same():
    read = []
    movie = open_movie(PIXELS)
    object.__setattr__(movie, "read", lambda index: (read.append(index), PIXELS[index][None])[1])

    assert fingerprint(movie) == fingerprint(open_movie(PIXELS)) == "9bcf0b558aa799da"
    assert len(read) == 5
    assert (read[0], read[-1]) == (0, 19)
