from __future__ import annotations

import importlib

import numpy as np
import pytest

from napari_tarrow.engine.movies import fingerprint, open_movie

PIXELS = np.arange(20 * 8 * 9, dtype=np.uint16).reshape(20, 8, 9)


def changed_pixel(frame):
    pixels = PIXELS.copy()
    pixels[frame, 0, 0] += 1
    return pixels


@pytest.mark.parametrize(
    "other",
    [
        open_movie(changed_pixel(0)),
        open_movie(PIXELS.astype(np.uint32)),
        open_movie(PIXELS, n_images=19),
        open_movie(PIXELS, frame_numbers=[*range(19), 30]),
        open_movie(PIXELS.reshape(20, 9, 8)),
    ],
    ids=["pixel", "type", "length", "numbers", "shape"],
)
def test_any_change_of_the_data_changes_the_fingerprint(other):
    assert fingerprint(other) != fingerprint(open_movie(PIXELS))


@pytest.mark.parametrize("frame", range(20))
def test_the_whole_shows_a_change_in_any_frame(frame):
    assert fingerprint(open_movie(changed_pixel(frame)), whole=True) != fingerprint(open_movie(PIXELS), whole=True)


@pytest.mark.parametrize(("most", "frames"), [(20, 20), (7, 7), (1, 5)])
def test_of_a_large_movie_evenly_spaced_frames_are_read(most, frames, monkeypatch):
    module = importlib.import_module("napari_tarrow.engine.movies.fingerprint")  # the name is the function's, too
    monkeypatch.setattr(module, "_MOST", most * PIXELS[0].nbytes)
    read = []
    movie = open_movie(PIXELS)
    object.__setattr__(movie, "read", lambda index: (read.append(index), PIXELS[index][None])[1])
    fingerprint(movie, whole=True)
    assert len(read) == frames
    assert (read[0], read[-1]) == (0, 19)
    assert np.ptp(np.diff(read)) <= 1


def test_the_fingerprint_stays_the_same():
    assert fingerprint(open_movie(PIXELS)) == "9bcf0b558aa799da"
    assert fingerprint(open_movie(PIXELS), whole=True) == "b25ef8f4ea2b6d20"
